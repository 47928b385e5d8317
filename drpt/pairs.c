// pairs.c -- inner products from pairs of positions.
//
// The gradient of a row is a sum of outer products over its positions a, that of another over its positions b:
//     <sum_a dout_a x_a', sum_b dout_b x_b'> = sum_ab (dout_a . dout_b)(x_a . x_b),
// two small products instead of one large one where there are few positions. A bias adds 1 to x_a . x_b. In
// the tied token embedding the lookup of token w adds dlookup to row w, so that pairs of positions have three terms more:
//     [w_a = w_b] dlookup_a . dlookup_b  +  dout_a[w_b] (x_a . dlookup_b)  +  dout_b[w_a] (dlookup_a . x_b)
//
// Without K the positions of all rows meet those of the target. With K all meet all, and those before them are left out:
// a panel of positions meets itself and what comes after it.
#include "pairs.h"
#include "gram.h"
#include "../llmc/matmul.h"

#include <math.h>
#include <string.h>

enum {
    PRODUCTS = 256 * 1024, // floats of a block of products: with a second one still within a large cache
    COPIES = 512 * 1024,   // floats of either factor, where positions must be brought together first
    WIDE = 512,            // target positions at a time
    SMALL_PANEL = 64, LARGE_PANEL = 256,
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }

// Floats of a block of products, and of the copy of either factor.
static size_t room(size_t N) { return least(PRODUCTS, N * N); }
static size_t copy_room(size_t N, size_t rows) { return least(most(COPIES, rows), N * rows); }

size_t pairs_scratch(int n, int m, int T, int widest) {
    size_t N = (size_t)(n + m) * T;
    return 2 * room(N) + 2 * copy_room(N, (size_t)widest);
}

// A block: positions [a, a+A) with positions [b, b+B).
typedef struct {
    size_t a, b;
    int A, B;
} Block;

// x *= y + c, element by element.
static void multiply(float* x, const float* y, float c, size_t count) {
    #pragma omp parallel for simd
    for (size_t k = 0; k < count; k++) { x[k] *= y[k] + c; }
}

// The three terms of the lookup, added to product (A, B).
static void add_lookup(float* product, float* other, const Site* s, Block k) {
    size_t C = (size_t)s->cols;
    const int *token = s->tokens + k.a, *target = s->tokens + k.b;
    matmul_forward(other, s->dlookup + k.a * C, s->dlookup + k.b * C, NULL, k.A, s->cols, k.B);
    #pragma omp parallel for
    for (int a = 0; a < k.A; a++) {
        for (int b = 0; b < k.B; b++) { product[(size_t)a * k.B + b] += token[a] == target[b] ? other[(size_t)a * k.B + b] : 0.0f; }
    }
    matmul_forward(other, s->inp + k.a * C, s->dlookup + k.b * C, NULL, k.A, s->cols, k.B);
    #pragma omp parallel for
    for (int a = 0; a < k.A; a++) {
        const float* dout = s->dout + (k.a + (size_t)a) * s->stride;
        for (int b = 0; b < k.B; b++) { product[(size_t)a * k.B + b] += dout[target[b]] * other[(size_t)a * k.B + b]; }
    }
    matmul_forward(other, s->dlookup + k.a * C, s->inp + k.b * C, NULL, k.A, s->cols, k.B);
    #pragma omp parallel for
    for (int a = 0; a < k.A; a++) {
        const float* dout = s->dout + k.b * s->stride + token[a];
        for (int b = 0; b < k.B; b++) { product[(size_t)a * k.B + b] += dout[(size_t)b * s->stride] * other[(size_t)a * k.B + b]; }
    }
}

// The products (A, B) of the block.
static const float* products(const Site* s, const Gather* g, Block k) {
    size_t N = (size_t)(g->n + g->m) * g->T;
    float *product = g->scratch, *other = product + room(N), *left = other + room(N), *right = left + copy_room(N, (size_t)s->rows);
    const float* dout = site_dout(left, s, k.a, k.A);
    matmul_forward(product, dout, site_dout(right, s, k.b, k.B), NULL, k.A, s->rows, k.B);
    matmul_forward(other, s->inp + k.a * s->cols, s->inp + k.b * s->cols, NULL, k.A, s->cols, k.B);
    multiply(product, other, s->dbias ? 1.0f : 0.0f, (size_t)k.A * (size_t)k.B);
    if (s->kind == SITE_TOKEN) { add_lookup(product, other, s, k); }
    return product;
}

// table (V,V) += what position a's products with the block's add up to. Pairs within the panel are all there, and what they add
// below the diagonal of the table nobody reads; other pairs of one row stand for two.
static void add_position(double* table, const float* product, Block k, size_t a, int T, int V) {
    size_t i = a / (size_t)T, panel = k.a + (size_t)k.A, end = k.b + (size_t)k.B;
    for (size_t b = k.b, stop; b < end; b = stop) {
        size_t j = b / (size_t)T;
        int within = b < panel;
        stop = least((j + 1) * (size_t)T, within ? least(panel, end) : end);
        double sum = 0.0;
        #pragma omp simd reduction(+:sum)
        for (size_t c = b - k.b; c < stop - k.b; c++) { sum += product[c]; }
        table[i * (size_t)V + j] += i == j && !within ? 2.0 * sum : sum;
    }
}

static void add_block(double* tables, const float* product, Block k, const Gather* g) {
    int V = g->n + g->m, threads = g->threads;
    #pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
        int from = (int)((long long)k.A * thread / threads), end = (int)((long long)k.A * (thread + 1) / threads);
        double* table = tables + (size_t)thread * V * V;
        for (int a = from; a < end; a++) { add_position(table, product + (size_t)a * k.B, k, k.a + (size_t)a, g->T, V); }
    }
}

// Positions of a panel. With K a panel costs half its square too many, and a block of height A an overhead of about 6/A in
// packing (llmc/matmul.c): A/N + 6/A is least at A^2 = 6N.
static size_t panel_height(const Gather* g, const Site* s) {
    size_t N = (size_t)(g->n + g->m) * g->T, target = (size_t)g->m * g->T;
    size_t height = PRODUCTS / most(1, least(WIDE, target));
    if (g->needs & NEEDS_K) { height = least(LARGE_PANEL, most(SMALL_PANEL, (size_t)sqrt(6.0 * (double)N))); }
    return s->stride == s->rows ? height : most(1, least(height, (size_t)(COPIES / s->rows)));
}

double pairs_panel(const Site* s, const Gather* g) {
    double height = (double)panel_height(g, s), rows = (double)(g->needs ? g->n + g->m : g->m) * g->T;
    return height < rows ? height : rows;
}

double pairs_count(const Gather* g) {
    double N = (double)(g->n + g->m) * g->T, target = (double)g->m * g->T;
    return g->needs & NEEDS_K ? 0.5 * N * (N + fmin(SMALL_PANEL, N)) : g->needs ? N * target : target * target;
}

void gather_pairs(Statistics* st, const Site* s, const Gather* g) {
    int V = g->n + g->m;
    size_t T = (size_t)g->T, general = (size_t)g->n * T, N = (size_t)V * T, height = panel_height(g, s);
    size_t width = s->stride == s->rows ? N : most(1, (size_t)(COPIES / s->rows));
    Block k;
    memset(st->partial, 0, sizeof(double) * (size_t)g->threads * (size_t)V * (size_t)V);
    for (k.a = (size_t)gram_first(g) * T; k.a < N; k.a += (size_t)k.A) {
        k.A = (int)least(height, N - k.a);
        k.b = g->needs & NEEDS_K ? k.a : most(k.a, general);
        for (; k.b < N; k.b += (size_t)k.B) {
            k.B = (int)least(N - k.b, least(width, PRODUCTS / (size_t)k.A));
            add_block(st->partial, products(s, g, k), k, g);
        }
    }
    gram_to_statistics(st, st->partial, (size_t)V * V, g, V);
}
