// pairs.cu -- see pairs.h, and pairs.c for the formula: a panel of pairs of positions at a time.
//
// A panel is whole rows of the batch with whole rows. Their products are never put together: the sum over a pair of rows reads the
// products of both factors and multiplies them there.
#include "pairs.h"
#include "table.cuh"
#include "../llmc/product.cuh"

enum { PRODUCTS = 8 << 20, BLOCK = 256, WARPS = BLOCK / WARP }; // floats of both products: they stay in the second-level cache

static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t pairs_scratch(int n, int m, int T, int) {
    size_t V = (size_t)n + (size_t)m, pair = 2 * (size_t)T * (size_t)T;
    return most(pair, least(PRODUCTS, V * V * pair));
}

// Rows [i, i + I) of the batch with rows [j, j + J).
typedef struct { int i, j, I, J; } Panel;

// The terms of a pair of positions: the head's two products; where the words are the same, that of the lookups; the head of one with
// the lookup of the other.
typedef enum { HEADS, LOOKUPS, HEAD_LOOKUP, LOOKUP_HEAD } Term;

// What the product of positions a and b of the whole batch is multiplied with. A factor of 0 does not hide a product that is not finite.
struct Factor {
    Term term;
    const Real* dout;
    size_t stride;
    const int* tokens;
    float bias;

    __device__ float times(float product, float other, size_t a, size_t b) const {
        if (term == HEADS) { return product * (other + bias); }
        if (term == LOOKUPS) { return tokens[a] == tokens[b] ? product : 0.0f; }
        return product * (float)(term == HEAD_LOOKUP ? dout[a * stride + tokens[b]] : dout[b * stride + tokens[a]]);
    }
};

// product, other (I*T, J*T). A block adds up, of one pair of rows, every gridDim.x-th piece of WARPS positions a with all positions b.
// grid (pieces; J; I), block (BLOCK)
static __global__ void sum_kernel(double* partial, int V, const float* product, const float* other, Factor factor, Panel k, int T) {
    int i = k.i + blockIdx.z, j = k.j + blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    if (i > j) { return; } // below the diagonal
    size_t width = (size_t)k.J * T, corner = (size_t)blockIdx.z * T * width + (size_t)blockIdx.y * T;
    float sum = 0.0f;
    for (int a = blockIdx.x * WARPS + warp; a < T; a += gridDim.x * WARPS) {
        for (int b = lane; b < T; b += WARP) {
            size_t at = corner + a * width + b;
            sum += factor.times(product[at], other ? other[at] : 0.0f, (size_t)i * T + a, (size_t)j * T + b);
        }
    }
    double all = block_sum<BLOCK>((double)sum);
    if (threadIdx.x == 0) { partial[((size_t)blockIdx.x * V + i) * V + j] += all; }
}

static void add_term(Table table, const float* product, const float* other, const Site* s, Panel k, int T, Term term) {
    Factor factor = { term, s->dout, (size_t)s->stride, s->tokens, s->dbias ? 1.0f : 0.0f };
    dim3 grid((unsigned)least((size_t)table.pieces, blocks_of((size_t)T, WARPS)), (unsigned)k.J, (unsigned)k.I);
    sum_kernel<<<grid, BLOCK>>>(table.partial, table.V, product, other, factor, k, T);
    LAUNCHED();
}

// to (I*T, J*T) = products of one factor's positions with the other's; both have `cols` numbers, `stride` apart.
static void multiply(float* to, const Real* left, const Real* right, int cols, int stride, Panel k, int T) {
    size_t apart = (size_t)T * (size_t)stride;
    product(matrix(to, k.I * T, k.J * T), matrix(left + (size_t)k.i * apart, k.I * T, cols, (size_t)stride),
            turned(right + (size_t)k.j * apart, k.J * T, cols, (size_t)stride));
}

static void add_panel(Table table, float* first, const Site* s, Panel k, int T) {
    int C = s->cols;
    float* second = first + (size_t)k.I * T * k.J * T;
    multiply(first, s->dout, s->dout, s->rows, s->stride, k, T);
    multiply(second, s->inp, s->inp, C, C, k, T);
    add_term(table, first, second, s, k, T, HEADS);
    if (s->kind != SITE_TOKEN) { return; }
    multiply(first, s->dlookup, s->dlookup, C, C, k, T);
    add_term(table, first, NULL, s, k, T, LOOKUPS);
    multiply(first, s->inp, s->dlookup, C, C, k, T);
    add_term(table, first, NULL, s, k, T, HEAD_LOOKUP);
    multiply(first, s->dlookup, s->inp, C, C, k, T);
    add_term(table, first, NULL, s, k, T, LOOKUP_HEAD);
}

double pairs_count(const Gather* g) {
    double N = ((double)g->n + g->m) * g->T, target = (double)g->m * g->T;
    return g->needs & NEEDS_K ? 0.5 * N * (N + g->T) : g->needs ? N * target : target * target;
}

void gather_pairs(Statistics* st, const Site* s, const Gather* g) {
    int V = g->n + g->m, T = g->T;
    Table table = table_open(g, st, V);
    size_t fit = most(1, least(g->part, PRODUCTS) / (2 * (size_t)T * (size_t)T)); // pairs of rows
    Panel k;
    for (k.i = gram_first(g); k.i < V; k.i += k.I) {
        k.j = k.i > gram_from(g) ? k.i : gram_from(g);
        k.I = (int)least((size_t)(V - k.i), most(1, fit / most(1, (size_t)(V - k.j))));
        for (; k.j < V; k.j += k.J) {
            k.J = (int)least((size_t)(V - k.j), fit / (size_t)k.I);
            add_panel(table, g->scratch, s, k, T);
        }
    }
}
