// matmul.c -- the linear layer as one packed matrix product.
//
// All three operations are out (M,N) = start + a (M,K) @ b (K,N), with a and b read through a stride
// for each index, so that a transpose is two numbers exchanged. The product follows K. Goto and R. van
// de Geijn, "Anatomy of high-performance matrix multiplication" (2008): b is copied in blocks that stay
// in the L2 cache, a in strips that stay in L1, both in the order the innermost loop reads them, and
// that loop keeps a tile of out in registers.
//
// An element of out is a sum over k in rising order, block by block, whatever the tile it lies in and
// whichever thread computes it.
#include "matmul.h"

#include <omp.h>
#include <stddef.h>
#include <string.h>

// gcc, asked for strict C, keeps a * b + c as two roundings and two instructions.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=fast")
#endif

// A tile is ROWS x 2 vectors: that many accumulators, 2 registers for b and 1 for an element of a
// must fit into 32 registers (AVX-512: 28 + 3, NEON: 24 + 3) or 16 (AVX and SSE: 12 + 3).
#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 14 };
#elif defined(__AVX__)
enum { LANES = 8, ROWS = 6 };
#elif defined(__aarch64__)
enum { LANES = 4, ROWS = 12 };
#else
enum { LANES = 4, ROWS = 6 };
#endif

enum {
    COLS = 2 * LANES,
    A_STEP = (ROWS + LANES - 1) / LANES * LANES, // a strip is packed in whole vectors
    BLOCK_K = 256,  // 256 x A_STEP floats are 16 KiB, half of L1
    BLOCK_N = 384,  // 256 x 384 floats are 384 KiB: within L2, and a bounded piece of the stack
};

typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
typedef float VecAnywhere __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline Vec load(const float* x) { return *(const VecAnywhere*)x; }
static inline void store(float* x, Vec v) { *(VecAnywhere*)x = v; }

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int ceil_div(int a, int b) { return a / b + (a % b != 0); }

// Where part i of n begins, in whole units, when `size` is divided as evenly as that allows.
static inline int part(int size, int unit, int i, int n) {
    return min(size, (int)((long long)ceil_div(size, unit) * i / n) * unit);
}

typedef struct { const float* at; size_t row, col; } Matrix; // element (i,j) is at[i*row + j*col]

typedef struct {
    float* out;        // (M,N), rows adjoin
    const float* bias; // (N), where out starts from, or NULL
    int add;           // out starts from what it holds
    Matrix a, b;
    int M, N, K;
} Product;

// ---------------------------------------------------------------------------------------------
// the tile

// out = start + a @ b for `rows` x `vecs` vectors. Both are constants wherever this is expanded, and
// acc lives in registers.
static inline __attribute__((always_inline))
void tile(int rows, int vecs, float* out, size_t out_step, const float* start, size_t start_step,
          const float* a, size_t a_step, const float* b, size_t b_step, int K) {
    Vec acc[ROWS][2] = {0};
    for (int k = 0; k < K; k++, a += a_step, b += b_step) {
        #pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            #pragma GCC unroll 2
            for (int v = 0; v < vecs; v++) { acc[i][v] += a[i] * load(b + v*LANES); }
        }
    }
    #pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        #pragma GCC unroll 2
        for (int v = 0; v < vecs; v++) {
            store(out + i*out_step + v*LANES, load(start + i*start_step + v*LANES) + acc[i][v]);
        }
    }
}

static void any_tile(int rows, int vecs, float* out, size_t out_step, const float* start, size_t start_step,
                     const float* a, size_t a_step, const float* b, size_t b_step, int K) {
    #define TILE(R, V) tile(R, V, out, out_step, start, start_step, a, a_step, b, b_step, K)
    #define CASE(R) case R: if (R <= ROWS) { if (vecs == 2) { TILE(R, 2); } else { TILE(R, 1); } } break;
    switch (rows) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7)
        CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
    }
}

// A tile whose columns are no whole vectors is computed beside out and copied.
static void ragged_tile(int rows, int cols, float* out, size_t out_step, const float* start, size_t start_step,
                        const float* a, size_t a_step, const float* b, size_t b_step, int K) {
    float from[ROWS*COLS] = {0}, to[ROWS*COLS];
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) { from[i*COLS + j] = start[i*start_step + j]; }
    }
    any_tile(rows, ceil_div(cols, LANES), to, COLS, from, COLS, a, a_step, b, b_step, K);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) { out[i*out_step + j] = to[i*COLS + j]; }
    }
}

// ---------------------------------------------------------------------------------------------
// packing

// to[k*width + i] = from[i*row + k*col] for i < n and k < K; zero for n <= i < width.
static void pack(float* to, int width, const float* from, size_t row, size_t col, int n, int K) {
    for (int k = 0; k < K; k++) {
        for (int i = 0; i < width; i++) { to[k*width + i] = i < n ? from[i*row + k*col] : 0.0f; }
    }
}

// ---------------------------------------------------------------------------------------------
// the product

// Rows [i0,i1) and columns [j0,j1) of out, by one thread.
static void rectangle(const Product* p, int i0, int i1, int j0, int j1) {
    static const float zeros[COLS];
    _Alignas(64) float a[A_STEP*BLOCK_K], b[BLOCK_N*BLOCK_K];
    int row_tiles = ceil_div(i1 - i0, ROWS);
    int k_blocks = p->K > 0 ? ceil_div(p->K, BLOCK_K) : 1, n_blocks = ceil_div(j1 - j0, BLOCK_N);

    for (int kn = 0; kn < k_blocks * n_blocks; kn++) {
        int kb = kn % k_blocks, nb = kn / k_blocks;
        int k0 = part(p->K, 1, kb, k_blocks), K = part(p->K, 1, kb + 1, k_blocks) - k0;
        int n0 = j0 + part(j1 - j0, COLS, nb, n_blocks), n1 = j0 + part(j1 - j0, COLS, nb + 1, n_blocks);
        for (int j = n0; j < n1; j += COLS) {
            pack(b + (size_t)(j - n0)*K, COLS, p->b.at + k0*p->b.row + j*p->b.col, p->b.col, p->b.row,
                 min(COLS, n1 - j), K);
        }
        for (int t = 0; t < row_tiles; t++) {
            int i = i0 + part(i1 - i0, 1, t, row_tiles), rows = i0 + part(i1 - i0, 1, t + 1, row_tiles) - i;
            pack(a, A_STEP, p->a.at + i*p->a.row + k0*p->a.col, p->a.row, p->a.col, rows, K);
            for (int j = n0; j < n1; j += COLS) {
                float* out = p->out + (size_t)i*p->N + j;
                int cols = min(COLS, n1 - j), add = p->add || kb > 0;
                const float* start = add ? out : p->bias != NULL ? p->bias + j : zeros;
                (cols % LANES == 0 ? any_tile : ragged_tile)(
                    rows, cols % LANES == 0 ? cols / LANES : cols, out, (size_t)p->N, start, add ? (size_t)p->N : 0,
                    a, A_STEP, b + (size_t)(j - n0)*K, COLS, K);
            }
        }
    }
}

// Divides out among the threads as a grid of th x tw rectangles.
static void product(Product p) {
    int threads = omp_get_level() > 0 ? 1 : omp_get_max_threads();
    if (threads == 1 || (double)p.M * p.N * p.K < 1e6) { rectangle(&p, 0, p.M, 0, p.N); return; }
    #pragma omp parallel num_threads(threads)
    {
        int all = omp_get_num_threads(), tall = 1;
        double least = 1e300;
        for (int h = 1; h <= all; h++) {
            double rows = ceil_div(p.M, h), cols = (double)ceil_div(ceil_div(p.N, COLS), all / h) * COLS;
            double cost = rows * cols + 8 * (rows + cols);
            if (cost < least) { least = cost; tall = h; }
        }
        int wide = all / tall, y = omp_get_thread_num() / wide, x = omp_get_thread_num() % wide;
        if (y < tall) {
            rectangle(&p, part(p.M, 1, y, tall), part(p.M, 1, y + 1, tall),
                      part(p.N, COLS, x, wide), part(p.N, COLS, x + 1, wide));
        }
    }
}

void matmul_forward(float* out,
                    const float* inp, const float* weight, const float* bias,
                    int N, int C, int OC) {
    product((Product){ out, bias, 0, { inp, C, 1 }, { weight, 1, C }, N, OC, C });
}

void matmul_backward_input(float* dinp,
                           const float* dout, const float* weight,
                           int N, int C, int OC) {
    product((Product){ dinp, NULL, 0, { dout, OC, 1 }, { weight, C, 1 }, N, C, OC });
}

// dbias is a product too: of a row of ones, a matrix that is the same number everywhere, with dout.
void matmul_backward_params(float* dweight, float* dbias,
                            const float* dout, const float* inp,
                            int N, int C, int OC) {
    static const float one = 1.0f;
    product((Product){ dweight, NULL, 1, { dout, 1, OC }, { inp, C, 1 }, OC, C, N });
    if (dbias != NULL) { product((Product){ dbias, NULL, 1, { &one, 0, 0 }, { dout, OC, 1 }, 1, OC, N }); }
}
