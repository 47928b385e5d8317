// assemble.cu -- the gradient of a site for any weighting of the batch's rows, on the GPU; see site.h for the formulas.
//
// A product sums over the rows that have a weight alone: which these are is known on the device only, so they are packed one after the
// other, dout scaled, as many as there are at most. Of a row without a weight nothing but its tokens is read.
// Each element of dweight belongs to one thread, which adds in the order of the positions: no atomics, the same bits each run.
#include "assemble.h"
#include "../llmc/device.cuh"
#include "../llmc/matmul.h"

#include <stdint.h>

enum { BLOCK = 256, COLUMNS = 32, ROWS = 8, PARTS = 64 };

static __device__ float weight_of(const float* weight, int b) { return weight ? weight[b] : 1.0f; }

// ---------------------------------------------------------------------------------------------
// Linear layers.

// The row that is the `place`-th with a weight, or -1. All lanes of a warp call it alike.
static __device__ int weighed_row(const float* weight, int B, int place) {
    int lane = threadIdx.x % WARP;
    for (int b = 0; b < B; b += WARP) {
        unsigned some = __ballot_sync(~0u, b + lane < B && weight_of(weight, b + lane) != 0.0f);
        int count = __popc(some);
        if (place < count) {
            for (; place > 0; place--) { some &= some - 1; }
            return b + __ffs((int)some) - 1;
        }
        place -= count;
    }
    return -1;
}

// packed (positions, count) = the first columns of `from` (B*T, stride), of the rows with a weight from the `first`-th on; times their
// weight if it is to be scaled; 0 where there are not as many rows.
typedef struct { Real* packed; const Real* from; int stride, count, scaled; } Packing;
typedef struct { Packing one[2]; } Packings; // of both factors

// A block takes a position, a thread W neighbouring columns of it. grid (positions; packings), block (BLOCK)
template <int W> static __global__ void pack_kernel(Packings all, const float* weight, int B, int T, int first) {
    Packing p = blockIdx.y == 0 ? all.one[0] : all.one[1]; // an index would put both into memory of the thread
    int position = blockIdx.x, b = weighed_row(weight, B, first + position / T);
    Real* to = p.packed + (size_t)position * p.count;
    if (b < 0) {
        for (int c = threadIdx.x * W; c < p.count; c += BLOCK * W) { store<W>(to + c, Pack<W>{}); }
        return;
    }
    float scale = p.scaled ? weight_of(weight, b) : 1.0f;
    const Real* from = p.from + ((size_t)b * T + position % T) * p.stride;
    for (int c = threadIdx.x * W; c < p.count; c += BLOCK * W) {
        Pack<W> x = load<W>(from + c);
        for (int k = 0; k < W; k++) { x.at[k] = (Real)(scale * (float)x.at[k]); }
        store<W>(to + c, x);
    }
}

// packed is as aligned as its rows are long.
static bool is_wide(Packing p) { return p.stride % WIDE == 0 && p.count % WIDE == 0 && (uintptr_t)p.from % sizeof(Pack<WIDE>) == 0; }

static void pack(Packings all, int count, const float* weight, int B, int T, int first, int positions) {
    dim3 grid((unsigned)positions, (unsigned)count);
    if (is_wide(all.one[0]) && (count == 1 || is_wide(all.one[1]))) { pack_kernel<WIDE><<<grid, BLOCK>>>(all, weight, B, T, first); }
    else { pack_kernel<1><<<grid, BLOCK>>>(all, weight, B, T, first); }
    LAUNCHED();
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// inp is packed once, or, if it takes more than half of the room, as many rows of the batch at a time as half of it holds; dout in slabs of
// its columns in what is left; with the first slab in one kernel.
static void linear(const Site* s, float* dbias, const float* weight, int B, int most, int T, float* scratch, size_t part) {
    enum { ALIGNED = 64 }; // slabs begin where products like it
    size_t room = part * sizeof(float) / sizeof(Real), cols = (size_t)s->cols, apart = (size_t)T * cols;
    int rows = (int)least((size_t)most, room / 2 / apart);
    check(rows > 0, "%s: %zu floats of scratch do not hold a row of %d x %d", s->name, part, T, s->cols);
    for (int first = 0; first < most; first += rows) {
        int count = most - first < rows ? most - first : rows, N = count * T;
        size_t used = ((size_t)count * apart + ALIGNED - 1) / ALIGNED * ALIGNED;
        size_t slab = least((size_t)s->rows, used < room ? (room - used) / (size_t)N : 0);
        slab -= slab > ALIGNED && slab < (size_t)s->rows ? slab % ALIGNED : 0;
        check(slab > 0, "%s: %zu floats of scratch do not hold a slab of %d positions", s->name, part, N);
        Real *inp = (Real*)scratch, *dout = inp + used;
        for (int o = 0; o < s->rows; o += (int)slab) {
            int width = (int)least(slab, (size_t)(s->rows - o));
            Packings both = {{ { dout, s->dout + o, s->stride, width, 1 }, { inp, s->inp, s->cols, s->cols, 0 } }};
            pack(both, o == 0 ? 2 : 1, weight, B, T, first, N);
            matmul_backward_params(s->dweight + (size_t)o * cols, dbias ? dbias + o : NULL, dout, inp, N, s->cols, width);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// What is no product.

// A layer normalisation is two sums over all N positions: as in matmul.cu a block takes COLUMNS channels, and of the positions every
// gridDim.y-th piece of ROWS. partial (parts,2,C).
// grid (C / COLUMNS, parts), block (COLUMNS, ROWS)
static __global__ void layernorm_partial_kernel(float* partial, const Real* dout, const Real* inp, const float* mean, const float* rstd,
                                                const float* weight, int N, int T, int C) {
    __shared__ float dw[ROWS][COLUMNS], db[ROWS][COLUMNS];
    int x = threadIdx.x, y = threadIdx.y, c = blockIdx.x * COLUMNS + x;
    int first = blockIdx.y * ROWS + y, step = gridDim.y * ROWS, count = c < C ? steps_below(N, first, step) : 0;
    float w = 0.0f, b = 0.0f;
    #pragma unroll 4
    for (int k = 0; k < count; k++) {
        size_t n = (size_t)(first + k * step);
        float scale = weight_of(weight, (int)n / T);
        if (scale == 0.0f) { continue; }
        float dy = scale * (float)dout[n*C + c];
        w += dy * ((float)inp[n*C + c] - mean[n]) * rstd[n];
        b += dy;
    }
    dw[y][x] = w;
    db[y][x] = b;
    __syncthreads();
    if (y > 0 || c >= C) { return; }
    for (int k = 1; k < ROWS; k++) { w += dw[k][x]; b += db[k][x]; }
    partial[(size_t)blockIdx.y * 2*C + c] = w;
    partial[(size_t)blockIdx.y * 2*C + C + c] = b;
}

// One thread a channel. grid (C / BLOCK), block (BLOCK)
static __global__ void layernorm_add_kernel(float* dweight, float* dbias, const float* partial, int parts, int C) {
    int c = blockIdx.x * BLOCK + threadIdx.x;
    if (c >= C) { return; }
    float w = 0.0f, b = 0.0f;
    for (int p = 0; p < parts; p++) {
        w += partial[(size_t)p * 2*C + c];
        b += partial[(size_t)p * 2*C + C + c];
    }
    dweight[c] += w;
    dbias[c] += b;
}

static void layernorm(const Site* s, const float* weight, int N, int T) {
    int C = s->rows, parts = (int)blocks_of((size_t)N, ROWS * 4);
    float* partial = (float*)device.workspace;
    parts = parts > PARTS ? PARTS : parts;
    check((size_t)parts * 2 * C * sizeof(float) <= WORKSPACE, "a layer normalisation of %d channels does not fit the workspace", C);
    layernorm_partial_kernel<<<dim3(blocks_of((size_t)C, COLUMNS), (unsigned)parts), dim3(COLUMNS, ROWS)>>>(
        partial, s->dout, s->inp, s->mean, s->rstd, weight, N, T, C);
    LAUNCHED();
    layernorm_add_kernel<<<blocks_of((size_t)C, BLOCK), BLOCK>>>(s->dweight, s->dbias, partial, parts, C);
    LAUNCHED();
}

// One thread an element, which all rows of the batch add to, each so many `times`. grid (size / BLOCK), block (BLOCK)
static __global__ void position_kernel(float* dweight, const Real* dout, const float* weight, int B, int times, size_t size) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k >= size) { return; }
    float sum = 0.0f;
    for (int i = 0; i < B * times; i++) {
        float w = weight_of(weight, i / times);
        if (w != 0.0f) { sum += w * (float)dout[(size_t)i * size + k]; }
    }
    dweight[k] += sum;
}

enum { WARPS = 4, OWN = 8, SLICE = OWN * WARP, AHEAD = 4, GLANCES = 4, GLANCE = GLANCES * WARP };

// Of the GLANCE positions from `first` on, those in [0, end): a bit for each of those that the lane looks at, one of every WARP, that has the
// token.
static __device__ unsigned glance(const int* tokens, int token, int first, int end) {
    unsigned same = 0;
    #pragma unroll
    for (int k = 0; k < GLANCES; k++) {
        int n = first + k * WARP + (int)threadIdx.x;
        same |= n >= 0 && n < end && tokens[n] == token ? 1u << k : 0u;
    }
    return same;
}

// sum += the gradients of the places that are set in `same`, of those from n on; AHEAD of them are fetched before they are added, one
// after the other. place: one that can be read where there are fewer.
static __device__ void add_places(float sum[OWN], unsigned same, int n, int place, int first, const Real* dlookup, const float* weight, int T, int C) {
    while (same != 0) {
        float term[AHEAD][OWN];
        #pragma unroll
        for (int a = 0; a < AHEAD; a++, same &= same - 1) {
            int from = n + __ffs((int)same) - 1;
            float w = same != 0 ? weight_of(weight, from / T) : 0.0f;
            const Real* d = dlookup + (size_t)(same != 0 ? from : place) * C;
            for (int k = 0; k < OWN; k++) { term[a][k] = w != 0.0f && first + k * WARP < C ? w * (float)d[first + k * WARP] : 0.0f; }
        }
        #pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            for (int k = 0; k < OWN; k++) { sum[k] += term[a][k]; }
        }
    }
}

// A warp takes the row of one position's token, if that position is the token's first, and SLICE of its channels: it adds up the
// gradients of all positions that have the token, which it finds a GLANCE at a time.
// grid (N / WARPS; C / SLICE), block (WARP, WARPS)
static __global__ void lookup_kernel(float* dweight, const Real* dlookup, const int* tokens, const float* weight, int N, int T, int C) {
    int at = blockIdx.x * WARPS + threadIdx.y, lane = threadIdx.x, first = blockIdx.y * SLICE + lane;
    if (at >= N) { return; }
    int token = tokens[at];
    for (int n = at; n > 0; n -= GLANCE) { // backwards: what is frequent was there a moment ago
        if (__any_sync(~0u, glance(tokens, token, n - GLANCE, at) != 0)) { return; }
    }
    float sum[OWN] = {0.0f};
    for (int n = at; n < N; n += GLANCE) {
        unsigned same = glance(tokens, token, n, N);
        if (!__any_sync(~0u, same != 0)) { continue; }
        for (int g = 0; g < GLANCES; g++) { add_places(sum, __ballot_sync(~0u, same >> g & 1), n + g * WARP, at, first, dlookup, weight, T, C); }
    }
    for (int k = 0; k < OWN && first + k * WARP < C; k++) { dweight[(size_t)token * C + first + k * WARP] += sum[k]; }
}

static void lookup(const Site* s, const float* weight, int N, int T) {
    dim3 grid(blocks_of((size_t)N, WARPS), blocks_of((size_t)s->cols, SLICE));
    lookup_kernel<<<grid, dim3(WARP, WARPS)>>>(s->dweight, s->dlookup, s->tokens, weight, N, T, s->cols);
    LAUNCHED();
}

void drpt_assemble(const Site* s, const float* weight, int B, int most, int T, float* scratch, size_t part, int) {
    int N = B * T;
    size_t size = (size_t)s->rows * (size_t)s->cols;
    if (most == 0) { return; }
    if (site_is_product(s)) {
        float* dbias = s->kind == SITE_LINEAR ? s->dbias : NULL;
        if (weight || s->stride != s->rows) { linear(s, dbias, weight, B, most, T, scratch, part); }
        else { matmul_backward_params(s->dweight, dbias, s->dout, s->inp, N, s->cols, s->rows); } // nothing to scale
    }
    switch (s->kind) {
        case SITE_LAYERNORM: layernorm(s, weight, N, T); break;
        case SITE_POSITION:  position_kernel<<<blocks_of(size, BLOCK), BLOCK>>>(s->dweight, s->dout, weight, B, T / s->rows, size);
                             LAUNCHED(); break;
        case SITE_TOKEN:
        case SITE_LOOKUP:    lookup(s, weight, N, T); break;
        default:             break;
    }
}

// Both factors of a layer of at most `widest` rows and columns; for more rows, or where that is too much, they come in slabs.
size_t assemble_scratch(int most, int T, int widest) {
    const size_t budget = (size_t)128 << 20; // floats
    enum { SLAB = 64 };
    size_t one = 2 * (size_t)T * ((size_t)widest + SLAB), all = (size_t)most * one;
    return (least(all, budget > one ? budget : one) * sizeof(Real) + sizeof(float) - 1) / sizeof(float) + SLAB;
}

void drpt_assemble_kept(const Site*, const float*, const float*, int, int) { check(0, "gradients are not kept on a GPU"); }
