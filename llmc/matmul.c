// matmul.c -- the linear layer as one matrix product, packed and in tiles.
//
// All three operations are out (M,N) = start + a (M,K) @ b (K,N), where a and b have a stride for each
// index: a transpose is two numbers exchanged. The structure is that of K. Goto and R. van de Geijn,
// "Anatomy of high-performance matrix multiplication" (2008): a block of b is copied to where it stays
// in the L2 cache, a strip of a to where it stays in L1, each in the order in which the innermost loop
// reads it, and that loop keeps a tile of out in registers. In any tile, on any thread, an element of
// out is summed in the same order: the number of threads does not change the bits.
#include "matmul.h"

#include <omp.h>
#include <stddef.h>

// A tile is ROWS x 2 vectors of sums. They, 2 vectors of b and 1 of an element of a fit the registers:
// 28 + 3 of 32 (AVX-512), 24 + 3 of 32 (NEON), 12 + 3 of 16 (all others).
#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 14 };
#define HALF PAIRS_8
#elif defined(__AVX__)
enum { LANES = 8, ROWS = 6 };
#define HALF PAIRS_4
#elif defined(__aarch64__)
enum { LANES = 4, ROWS = 12 };
#define HALF PAIRS_2
#else
enum { LANES = 4, ROWS = 6 };
#define HALF PAIRS_2
#endif

enum {
    COLS = 2 * LANES,
    STRIP = (ROWS + LANES - 1) / LANES * LANES, // ROWS, in whole vectors
    DEPTH = 256,         // of a block: a strip is then 256 x 16 floats, 16 KiB, half of a usual L1
    BLOCK = 384 * DEPTH, // floats of b, 384 KiB: within L2, and no burden to a thread's stack
    FEW_STRIPS = 8,      // up to so many use b where it is: packing would cost what it saves them,
    LARGE = 1000000,     // unless b has more floats than are at hand in a cache
    FEW_ROWS = 4,        // up to so many are not worth packing the weight
    SMALL = 1000000,     // multiply-adds: some 20 us of one thread, where waking the others takes 5
};

#ifdef __clang__
#define UNROLL // clang unrolls these loops by itself; asked to, clang 14 leaves a tile in memory
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
typedef Vec VecAnywhere __attribute__((aligned(sizeof(float)), may_alias));
#define VEC(x) (*(VecAnywhere*)(x)) // at any address, to be read or assigned

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int ceil_div(int a, int b) { return a / b + (a % b != 0); }

// Where part i of n begins when `size` is divided into whole units, as evenly as can be.
static inline int part(int size, int unit, int i, int n) {
    long long at = (long long)ceil_div(size, unit) * i / n * unit;
    return at < size ? (int)at : size;
}

typedef struct {
    float* out; const float* start; // row i is at i * step
    size_t out_step, start_step;
    const float *a, *b;             // k is at k * STRIP, at k * b_step
    size_t b_step;
    int K;
} Tile;

// out = start + a @ b for `rows` rows and `vecs` vectors of columns. Both are constants wherever this
// is expanded, so that the sums live in registers.
static inline __attribute__((always_inline)) void compute_tile(int rows, int vecs, Tile t) {
    Vec sum[ROWS][2] = {{{0}}};
    for (int k = 0; k < t.K; k++, t.a += STRIP, t.b += t.b_step) {
        UNROLL for (int i = 0; i < rows; i++) {
            UNROLL for (int v = 0; v < vecs; v++) { sum[i][v] += t.a[i] * VEC(t.b + v*LANES); }
        }
    }
    UNROLL for (int i = 0; i < rows; i++, t.out += t.out_step, t.start += t.start_step) {
        UNROLL for (int v = 0; v < vecs; v++) { VEC(t.out + v*LANES) = VEC(t.start + v*LANES) + sum[i][v]; }
    }
}

// One function for each shape of a tile; those of more than ROWS rows are never called.
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define DEFINE(R) static void tile_##R##x1(const Tile* t) { compute_tile(R < ROWS ? R : ROWS, 1, *t); } \
                  static void tile_##R##x2(const Tile* t) { compute_tile(R < ROWS ? R : ROWS, 2, *t); }
#define NAME(R) { tile_##R##x1, tile_##R##x2 },
EACH_ROWS(DEFINE)
static void (*const tiles[][2])(const Tile*) = { EACH_ROWS(NAME) };
static const float zeros[COLS];

// Any number of rows up to ROWS and of columns up to COLS; b has whole vectors, out and start need not.
static void any_tile(int rows, int cols, Tile t) {
    void (*whole_tile)(const Tile*) = tiles[rows - 1][cols > LANES];
    if (cols % LANES == 0) { whole_tile(&t); return; }
    float sum[ROWS*COLS];
    whole_tile(&(Tile){ sum, zeros, COLS, 0, t.a, t.b, t.b_step, t.K });
    for (int i = 0; i < rows; i++, t.out += t.out_step, t.start += t.start_step) {
        for (int j = 0; j < cols; j++) { t.out[j] = t.start[j] + sum[i*COLS + j]; }
    }
}

#define PAIRS_2(l) x[l], y[l], x[l + 1], y[l + 1]
#define PAIRS_4(l) PAIRS_2(l), PAIRS_2(l + 2)
#define PAIRS_8(l) PAIRS_4(l), PAIRS_4(l + 4)

// Each round interleaves the first half of the vectors with the second: the highest bit of an element's
// row becomes the lowest of its column. After log2(LANES) rounds rows and columns have changed places.
static inline void transpose(Vec v[LANES]) {
    Vec next[LANES];
    UNROLL for (int round = 1; round < LANES; round *= 2) {
        UNROLL for (int i = 0; i < LANES/2; i++) {
            Vec x = v[i], y = v[i + LANES/2];
            next[2*i] = (Vec){ HALF(0) };
            next[2*i + 1] = (Vec){ HALF(LANES/2) };
        }
        UNROLL for (int i = 0; i < LANES; i++) { v[i] = next[i]; }
    }
}

// to[k*width + i] = from[i*row + k*col] for i < n and k < K. The last vector of each k is filled up with
// any numbers of the matrix: they are computed with, but not stored. Where a stride is 1, vectors are
// read, as long as they end inside the matrix.
static void pack(float* to, size_t width, const float* from, size_t row, size_t col, int n, int K) {
    for (; n > 0; n -= LANES, to += LANES, from += LANES*row) {
        int squares = col == 1 && K >= LANES;
        size_t end = (size_t)(K - 1)*col + (size_t)n; // of the matrix, where row is 1
        for (int k = 0; k < K; k += squares ? LANES : 1) {
            if (squares) {
                int at = min(k, K - LANES); // the last may overlap the one before
                Vec x[LANES];
                UNROLL for (int i = 0; i < LANES; i++) { x[i] = VEC(from + min(i, n - 1)*row + at); }
                transpose(x);
                UNROLL for (int i = 0; i < LANES; i++) { VEC(to + (size_t)(at + i)*width) = x[i]; }
            } else if (row == 1 && k*col + LANES <= end) {
                VEC(to + k*width) = VEC(from + k*col);
            } else {
                for (int i = 0; i < LANES; i++) { to[k*width + i] = from[min(i, n - 1)*row + k*col]; }
            }
        }
    }
}

typedef struct { const float* at; size_t row, col; } Matrix; // element (i,j) is at[i*row + j*col]

typedef struct {
    float* out;        // (M,N)
    const float* bias; // (N), what each row of out starts from, or NULL
    int add;           // out starts from what it holds
    Matrix a, b;       // (M,K), (K,N)
    int M, N, K;
} Product;

// Adds what the block [k0,k1) x [j0,j1) of b gives to rows [i0,i1) of out. BLOCK has room for it.
static void block(const Product* p, int i0, int i1, int j0, int j1, int k0, int k1) {
    _Alignas(64) float a[STRIP*DEPTH], b[BLOCK];
    int strips = ceil_div(i1 - i0, ROWS), K = k1 - k0;
    int in_place = p->b.col == 1 && strips <= FEW_STRIPS && (double)p->K * p->N <= LARGE;
    int first = in_place ? j1 - (j1 - j0) % COLS : j0; // of the columns that are packed
    int rows_at_once = p->b.col == 1 ? 16 : DEPTH;     // few, to read long pieces of memory in order
    const float* corner = p->b.at + k0*p->b.row;
    for (int k = 0; k < K; k += rows_at_once) {
        for (int j = first; j < j1; j += COLS) {
            pack(b + (size_t)(j - first)*K + k*COLS, COLS, corner + k*p->b.row + j*p->b.col,
                 p->b.col, p->b.row, min(COLS, j1 - j), min(rows_at_once, K - k));
        }
    }
    for (int s = 0; s < strips; s++) {
        int i = i0 + part(i1 - i0, 1, s, strips), rows = i0 + part(i1 - i0, 1, s + 1, strips) - i;
        pack(a, STRIP, p->a.at + i*p->a.row + k0*p->a.col, p->a.row, p->a.col, min(STRIP, p->M - i), K);
        for (int j = j0; j < j1; j += COLS) {
            Tile t = { p->out + (size_t)i*p->N + j, p->bias != NULL ? p->bias + j : zeros, (size_t)p->N, 0,
                       a, corner + j, p->b.row, K };
            if (p->add || k0 > 0) { t.start = t.out; t.start_step = t.out_step; }
            if (j >= first) { t.b = b + (size_t)(j - first)*K; t.b_step = COLS; }
            any_tile(rows, min(COLS, j1 - j), t);
        }
    }
}

// Rows [i0,i1) and columns [j0,j1) of out, by one thread.
static void by_blocks(const Product* p, int i0, int i1, int j0, int j1) {
    int deep = p->K > 0 ? ceil_div(p->K, DEPTH) : 1, depth = p->K > 0 ? ceil_div(p->K, deep) : 1;
    int wide = ceil_div(j1 - j0, BLOCK / depth / COLS * COLS);
    for (int w = 0; w < wide; w++) {
        for (int d = 0; d < deep; d++) {
            block(p, i0, i1, j0 + part(j1 - j0, COLS, w, wide), j0 + part(j1 - j0, COLS, w + 1, wide),
                  part(p->K, 1, d, deep), part(p->K, 1, d + 1, deep));
        }
    }
}

// The same for a forward of a few rows, where memory is the limit: weight is read once and where it is.
static void by_dots(const Product* p, int i0, int i1, int j0, int j1) {
    for (int j = j0; j < j1; j++) {
        for (int i = i0; i < i1; i++) {
            const float *a = p->a.at + i*p->a.row, *b = p->b.at + j*p->b.col;
            float sum = 0.0f;
            #pragma omp simd reduction(+:sum)
            for (int k = 0; k < p->K; k++) { sum += a[k] * b[k]; }
            p->out[(size_t)i*p->N + j] = (p->bias != NULL ? p->bias[j] : 0.0f) + sum;
        }
    }
}

// Rows of weights are turned around where they are, and used at once; each element is summed in the order of by_blocks().
static inline __attribute__((always_inline)) void columns(int rows, const Product* p, int i0, int i1, int j0, int j1) {
    int deep = p->K > 0 ? ceil_div(p->K, DEPTH) : 1;
    const float* a[FEW_ROWS];
    for (int i = 0; i < rows; i++) { a[i] = p->a.at + min(i0 + i, i1 - 1)*p->a.row; }
    for (int j = j0; j < j1; j += LANES) {
        float start[LANES] = {0};
        for (int d = 0; d < deep; d++) {
            Vec sum[FEW_ROWS] = {{0}};
            int k1 = part(p->K, 1, d + 1, deep);
            for (int k = part(p->K, 1, d, deep); k < k1; k += LANES) {
                int first = min(k, p->K - LANES), here = min(LANES, k1 - k); // the last vector may begin earlier
                Vec x[LANES];
                UNROLL for (int l = 0; l < LANES; l++) { x[l] = VEC(p->b.at + min(j + l, j1 - 1)*p->b.col + first); }
                transpose(x);
                for (int l = 0; l < here; l++) {
                    UNROLL for (int i = 0; i < rows; i++) { sum[i] += a[i][k + l] * x[k - first + l]; }
                }
            }
            for (int i = 0; i < i1 - i0; i++) {
                float* out = p->out + (size_t)(i0 + i)*p->N + j;
                const float* from = d > 0 ? out : p->bias ? p->bias + j : start;
                for (int l = 0; l < min(LANES, j1 - j); l++) { out[l] = from[l] + sum[i][l]; }
            }
        }
    }
}

// FEW_ROWS rows at most.
static void by_columns(const Product* p, int i0, int i1, int j0, int j1) {
    if (i1 - i0 == 1) { columns(1, p, i0, i1, j0, j1); } else if (i1 > i0) { columns(FEW_ROWS, p, i0, i1, j0, j1); }
}

// Of one rectangle of a grid, in multiply-adds; packing an element takes 6 of them (0.37 cycles to 1/16).
static double cost(const Product* p, int tall, int wide) {
    double rows = ceil_div(p->M, tall), cols = (double)ceil_div(ceil_div(p->N, COLS), wide) * COLS;
    return rows * cols + 6 * (rows + cols);
}

// The threads form the cheapest grid and each takes one rectangle of out.
static void product(void (*rectangle)(const Product*, int, int, int, int), Product p) {
    int threads = omp_get_level() > 0 || (double)p.M * p.N * p.K < SMALL ? 1 : omp_get_max_threads();
    if (threads == 1) { rectangle(&p, 0, p.M, 0, p.N); return; }
    #pragma omp parallel num_threads(threads)
    {
        int all = omp_get_num_threads(), me = omp_get_thread_num(), tall = 1;
        for (int t = 2; t <= all; t++) {
            if (cost(&p, t, all / t) < cost(&p, tall, all / tall)) { tall = t; }
        }
        int wide = all / tall, y = me / wide, x = me % wide;
        int i0 = part(p.M, 1, y, tall), i1 = part(p.M, 1, y + 1, tall);
        if (i0 < i1) { rectangle(&p, i0, i1, part(p.N, COLS, x, wide), part(p.N, COLS, x + 1, wide)); }
    }
}

void matmul_forward(float* out,
                    const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    Matrix a = { inp, (size_t)C, 1 }, b = { weight, 1, (size_t)C };
    product(N <= FEW_ROWS ? by_dots : by_blocks, (Product){ out, bias, 0, a, b, N, OC, C });
}

// Each sums an element in the same order as the other, whatever N is.
void matmul_forward_rows(float* out,
                         const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    Matrix a = { inp, (size_t)C, 1 }, b = { weight, 1, (size_t)C };
    product(N <= FEW_ROWS && C >= LANES ? by_columns : by_blocks, (Product){ out, bias, 0, a, b, N, OC, C });
}

void matmul_backward_input(float* dinp,
                           const float* dout, const float* weight, int N, int C, int OC) {
    Matrix a = { dout, (size_t)OC, 1 }, b = { weight, (size_t)C, 1 };
    product(by_blocks, (Product){ dinp, NULL, 0, a, b, N, C, OC });
}

// dbias is a product too: of dout with a row of ones, a matrix that is the same number everywhere.
void matmul_backward_params(float* dweight, float* dbias,
                            const float* dout, const float* inp, int N, int C, int OC) {
    static const float one = 1.0f;
    Matrix a = { dout, 1, (size_t)OC }, b = { inp, (size_t)C, 1 };
    product(by_blocks, (Product){ dweight, NULL, 1, a, b, OC, C, N });
    Matrix ones = { &one, 0, 0 }, rows = { dout, (size_t)OC, 1 };
    if (dbias != NULL) { product(by_blocks, (Product){ dbias, NULL, 1, ones, rows, 1, OC, N }); }
}
