// pairs.c -- scores of a site from products of pairs of positions.
//
// The gradient of a row is a sum of outer products over its positions a, that of the target over its positions b:
//     <sum_a dout_a x_a', sum_b dout_b x_b'> = sum_ab (dout_a . dout_b)(x_a . x_b),
// two small products instead of one large one where the target has few positions. A bias adds 1 to x_a . x_b. In
// the tied token embedding the lookup of token w adds dlookup to row w, so that pairs of positions have three terms more:
//     [w_a = w_b] dlookup_a . dlookup_b  +  dout_a[w_b] (x_a . dlookup_b)  +  dout_b[w_a] (dlookup_a . x_b)
#include "pairs.h"
#include "../llmc/matmul.h"

enum { MOST_COLUMNS = 256 }; // target positions at a time

// Per position of the batch: rows + cols for each target position (the lookup's terms take 3 cols more), against
// rows * cols. K has pairs of all positions, which is hardly ever less; it is left to the other route.
int pairs_are_cheaper(const Site* s, int needs, int m, int T) {
    if (m == 0 || (needs & NEEDS_K) || (s->kind != SITE_LINEAR && s->kind != SITE_TOKEN)) { return 0; }
    double products = s->kind == SITE_TOKEN ? s->rows + 4.0 * s->cols : (double)s->rows + s->cols;
    return (double)m * T * products < (double)s->rows * s->cols;
}

static double sum(const float* x, size_t count) {
    double total = 0.0;
    #pragma omp simd reduction(+:total)
    for (size_t k = 0; k < count; k++) { total += x[k]; }
    return total;
}

// product (rows of the batch from `first` on, T, columns): what each general row adds up to is its part of s, all
// target rows together q.
static void add_up(Statistics* st, const float* product, int first, int n, int m, int T, int columns) {
    size_t row = (size_t)T * columns;
    #pragma omp parallel for
    for (int i = first; i < n; i++) { st->s[i] += sum(product + (size_t)(i - first) * row, row); }
    st->q += sum(product + (size_t)(n - first) * row, (size_t)m * row);
}

// x (rows, columns) *= y + c, element by element.
static void multiply(float* x, const float* y, float c, size_t count) {
    #pragma omp parallel for simd
    for (size_t k = 0; k < count; k++) { x[k] *= y[k] + c; }
}

// The three terms of the lookup, added to product (end - begin, columns) of the pairs (begin + a, from + b).
static void add_lookup(float* product, float* other, const Site* s, size_t begin, size_t end, size_t from, int columns) {
    size_t C = (size_t)s->cols, V = (size_t)s->rows;
    int N = (int)(end - begin);
    const int *token = s->tokens + begin, *target = s->tokens + from;
    matmul_forward(other, s->dlookup + begin * C, s->dlookup + from * C, NULL, N, s->cols, columns);
    #pragma omp parallel for
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < columns; b++) { product[(size_t)a * columns + b] += token[a] == target[b] ? other[(size_t)a * columns + b] : 0.0f; }
    }
    matmul_forward(other, s->inp + begin * C, s->dlookup + from * C, NULL, N, s->cols, columns);
    #pragma omp parallel for
    for (int a = 0; a < N; a++) {
        const float* dout = s->dout + (begin + (size_t)a) * V;
        for (int b = 0; b < columns; b++) { product[(size_t)a * columns + b] += dout[target[b]] * other[(size_t)a * columns + b]; }
    }
    matmul_forward(other, s->dlookup + begin * C, s->inp + from * C, NULL, N, s->cols, columns);
    #pragma omp parallel for
    for (int a = 0; a < N; a++) {
        const float* dout = s->dout + from * V + token[a];
        for (int b = 0; b < columns; b++) { product[(size_t)a * columns + b] += dout[(size_t)b * V] * other[(size_t)a * columns + b]; }
    }
}

void gather_pairs(Statistics* st, const Site* s, int needs, int n, int m, int T, float* scratch, size_t floats) {
    int first = needs & NEEDS_S ? 0 : n; // row of the batch
    size_t begin = (size_t)first * T, end = (size_t)(n + m) * T, N = end - begin, most = floats / (2 * N);
    most = most < MOST_COLUMNS ? most : MOST_COLUMNS;
    for (size_t from = (size_t)n * T; from < end; from += most) {
        int columns = (int)(end - from < most ? end - from : most);
        float *product = scratch, *other = scratch + N * (size_t)columns;
        matmul_forward(product, s->dout + begin * s->rows, s->dout + from * s->rows, NULL, (int)N, s->rows, columns);
        matmul_forward(other, s->inp + begin * s->cols, s->inp + from * s->cols, NULL, (int)N, s->cols, columns);
        multiply(product, other, s->dbias ? 1.0f : 0.0f, N * (size_t)columns);
        if (s->kind == SITE_TOKEN) { add_lookup(product, other, s, begin, end, from, columns); }
        add_up(st, product, first, n, m, T, columns);
    }
}
