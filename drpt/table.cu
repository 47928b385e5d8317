// table.cu -- see table.cuh. Products are single precision and summed so within a warp, in double between warps and blocks.
#include "table.cuh"
#include "../llmc/device.cuh"
#include "../llmc/device.h"

#include <stdlib.h>

enum { TILE = 8, BLOCK = 256, WARPS = BLOCK / WARP, LARGE_BLOCK = 1024, TABLES = 16 }; // TABLES wait at most: more sites than a block has
static const size_t PIECES = 128, DOUBLES = 1 << 22;

// What a table means: vectors [0, n) are general rows, [n, n + targets) the target; behind it, perhaps, the target in a metric.
typedef struct { int n, targets, first, from, needs, metric; } Meaning;

typedef struct { Statistics st; Table table; Meaning meaning; } Waiting;
typedef struct { Waiting table[TABLES]; int count; } Queue;

struct Tables {
    double* room;          // zero where no table is
    size_t doubles, used;
    Queue queue;
};

// As many pieces as fill a GPU, or as have room.
static size_t pieces_of(size_t V) {
    size_t fit = V > 0 ? DOUBLES / (V * V) : PIECES;
    return fit < 1 ? 1 : fit > PIECES ? PIECES : fit;
}

// For every table of n and m rows, and a target in a metric; for TABLES of them if they are small.
Tables* gather_tables(int n, int m) {
    size_t V = (size_t)n + (size_t)m + 2, one = pieces_of(V) * V * V, all = TABLES * one;
    Tables* t = (Tables*)calloc(1, sizeof(Tables));
    check(t != NULL, "out of memory for tables");
    t->doubles = all < DOUBLES ? all : one > DOUBLES ? one : DOUBLES;
    t->room = (double*)device_alloc(sizeof(double) * t->doubles, "the regularizer's inner products");
    device_zero(t->room, sizeof(double) * t->doubles);
    return t;
}

void gather_tables_free(Tables* t) {
    if (t) { device_free(t->room); }
    free(t);
}

Table table_open(const Gather* g, const Statistics* st, int V) {
    Tables* all = g->tables;
    size_t pieces = pieces_of((size_t)V), doubles = pieces * (size_t)V * (size_t)V;
    if (all->queue.count == TABLES || doubles > all->doubles - all->used) { gather_end(g); }
    Table t = { all->room + all->used, V, (int)pieces };
    Meaning m = { g->n, V - g->metric - g->n, g->metric ? 0 : gram_first(g), gram_from(g), g->needs, g->metric };
    all->queue.table[all->queue.count++] = Waiting{ *st, t, m };
    all->used += doubles;
    return t;
}

// A block multiplies TILE vectors from i0 on with TILE from j0 on, every gridDim.x-th piece of them; a thread keeps the sums of all
// pairs in registers, so that it loads 16 numbers for 64 products.
// grid (pieces; tiles from `first` on; tiles from `from` on), block (BLOCK)
static __global__ void __launch_bounds__(BLOCK, 2) add_kernel(double* partial, const float* x, size_t step, size_t length, int V, int first, int from) {
    __shared__ double of_warp[WARPS][TILE * TILE];
    int i0 = first + blockIdx.y * TILE, j0 = from + blockIdx.z * TILE, thread = threadIdx.x;
    if (j0 + TILE <= i0) { return; } // all below the diagonal
    float sum[TILE][TILE] = {};
    const float *xi = x + (size_t)(i0 - first) * step, *xj = x + (size_t)(j0 - first) * step;
    for (size_t k = (size_t)blockIdx.x * BLOCK + thread; k < length; k += (size_t)gridDim.x * BLOCK) {
        float a[TILE], b[TILE];
        for (int r = 0; r < TILE; r++) { a[r] = i0 + r < V ? xi[r * step + k] : 0.0f; }
        for (int c = 0; c < TILE; c++) { b[c] = j0 + c < V ? xj[c * step + k] : 0.0f; }
        for (int r = 0; r < TILE; r++) {
            for (int c = 0; c < TILE; c++) { sum[r][c] += a[r] * b[c]; }
        }
    }
    for (int r = 0; r < TILE; r++) {
        for (int c = 0; c < TILE; c++) {
            if (i0 + r > j0 + c || j0 + c >= V) { continue; }
            float all = warp_sum(sum[r][c]);
            if (thread % WARP == 0) { of_warp[thread / WARP][r * TILE + c] = all; }
        }
    }
    __syncthreads();
    int i = i0 + thread / TILE, j = j0 + thread % TILE;
    if (thread >= TILE * TILE || i > j || j >= V) { return; }
    double all = 0.0;
    for (int w = 0; w < WARPS; w++) { all += of_warp[w][thread]; }
    partial[((size_t)blockIdx.x * V + i) * V + j] += all;
}

void table_add(Table t, const float* x, size_t step, size_t length, int first, int from) {
    unsigned pieces = blocks_of(length, 4 * BLOCK), most = (unsigned)t.pieces;
    if (first >= t.V || from >= t.V || length == 0) { return; }
    dim3 grid(pieces < most ? pieces : most, blocks_of((size_t)(t.V - first), TILE), blocks_of((size_t)(t.V - from), TILE));
    add_kernel<<<grid, BLOCK>>>(t.partial, x, step, length, t.V, first, from);
    LAUNCHED();
}

// All of one table by one block, for there is little of it: each warp adds up the pieces of an entry, in the place of the first; then
// the threads add entries to the statistics, each of them always the same.
static __device__ void add_to_statistics(Statistics st, Table t, Meaning m) {
    double* partial = t.partial;
    int V = t.V, pieces = t.pieces;
    int lane = threadIdx.x % WARP, thread = threadIdx.x;
    size_t all = (size_t)V * V;
    for (size_t e = threadIdx.x / WARP; e < all; e += LARGE_BLOCK / WARP) {
        int i = (int)(e / (size_t)V), j = (int)(e % (size_t)V);
        if (i > j || i < m.first || j < m.from) { continue; }
        double sum = 0.0;
        for (int p = lane; p < pieces; p += WARP) { sum += partial[p * all + e]; }
        sum = warp_sum(sum);
        if (lane == 0) { partial[e] = sum; }
    }
    __syncthreads();
    for (int e = thread; (m.needs & NEEDS_K) && e < m.n * m.n; e += LARGE_BLOCK) {
        int i = e / m.n, j = e % m.n;
        st.K[e] += partial[i < j ? (size_t)i * V + j : (size_t)j * V + i];
    }
    for (int i = thread; m.needs && i < m.n; i += LARGE_BLOCK) {
        double sum = 0.0;
        for (int j = 0; j < m.targets; j++) { sum += partial[(size_t)i * V + m.n + j]; }
        st.s[i] += sum;
    }
    for (int e = thread; (m.needs & NEEDS_ROWS) && e < m.n * m.targets; e += LARGE_BLOCK) {
        st.S[e] += partial[(size_t)(e / m.targets) * V + m.n + e % m.targets];
    }
    double q = 0.0;
    for (int e = thread; e < m.targets * m.targets; e += LARGE_BLOCK) {
        int i = m.n + e / m.targets, j = m.n + e % m.targets;
        double x = partial[i < j ? (size_t)i * V + j : (size_t)j * V + i];
        if (m.needs & NEEDS_ROWS) { st.Q[e] += x; }
        q += x;
    }
    q = block_sum<LARGE_BLOCK>(q);
    if (thread == 0) { *st.q += q; }
    for (int i = thread; m.metric && i < m.n; i += LARGE_BLOCK) { st.score[i] += partial[(size_t)i * V + V - 1]; }
}

// A block adds all tables of the statistics that its own is of, in order, if its own is the first of them. grid (tables), block (LARGE_BLOCK)
static __global__ void __launch_bounds__(LARGE_BLOCK) statistics_kernel(Queue queue) {
    int mine = blockIdx.x;
    double* q = queue.table[mine].st.q;
    for (int t = 0; t < mine; t++) { if (queue.table[t].st.q == q) { return; } }
    for (int t = mine; t < queue.count; t++) {
        if (queue.table[t].st.q == q) { add_to_statistics(queue.table[t].st, queue.table[t].table, queue.table[t].meaning); }
    }
}

void gather_end(const Gather* g) {
    Tables* t = g->tables;
    if (t->queue.count == 0) { return; }
    statistics_kernel<<<(unsigned)t->queue.count, LARGE_BLOCK>>>(t->queue);
    LAUNCHED();
    device_zero(t->room, sizeof(double) * t->used);
    t->queue.count = 0;
    t->used = 0;
}
