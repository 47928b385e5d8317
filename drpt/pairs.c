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

double pairs_cost(const Site* s, int n, int m, int T) {
    double products = s->kind == SITE_TOKEN ? s->rows + 4.0 * s->cols : (double)s->rows + s->cols;
    return ((double)n + m) * T * (double)m * T * products;
}

double slabs_cost(const Site* s, int n, int m, int T) {
    return ((double)n + m) * T * (double)s->rows * s->cols;
}

// What a column of products adds up to, position by position: the rows of the batch, then all target rows as one.
static void add_up(Statistics* st, const float* product, int n, int m, int T, int columns) {
    #pragma omp parallel for
    for (int i = 0; i < n; i++) {
        const float* p = product + (size_t)i * T * columns;
        double sum = 0.0;
        #pragma omp simd reduction(+:sum)
        for (size_t k = 0; k < (size_t)T * columns; k++) { sum += p[k]; }
        st->s[i] += sum;
    }
    const float* p = product + (size_t)n * T * columns;
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t k = 0; k < (size_t)m * T * columns; k++) { sum += p[k]; }
    st->q += sum;
}

// x (rows, columns) *= y + c, element by element.
static void multiply(float* x, const float* y, float c, size_t count) {
    #pragma omp parallel for simd
    for (size_t k = 0; k < count; k++) { x[k] *= y[k] + c; }
}

// The three terms of the lookup, added to product (N, columns) of the pairs (a, first + b). other: of the same size.
static void add_lookup(float* product, float* other, const Site* s, int N, int first, int columns) {
    size_t C = (size_t)s->cols, V = (size_t)s->rows;
    const int* token = s->tokens + first;
    matmul_forward(other, s->dlookup, s->dlookup + first * C, NULL, N, s->cols, columns);
    #pragma omp parallel for
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < columns; b++) {
            if (s->tokens[a] == token[b]) { product[(size_t)a * columns + b] += other[(size_t)a * columns + b]; }
        }
    }
    matmul_forward(other, s->inp, s->dlookup + first * C, NULL, N, s->cols, columns);
    #pragma omp parallel for
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < columns; b++) {
            product[(size_t)a * columns + b] += s->dout[a * V + (size_t)token[b]] * other[(size_t)a * columns + b];
        }
    }
    matmul_forward(other, s->dlookup, s->inp + first * C, NULL, N, s->cols, columns);
    #pragma omp parallel for
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < columns; b++) {
            product[(size_t)a * columns + b] += s->dout[(size_t)(first + b) * V + (size_t)s->tokens[a]] * other[(size_t)a * columns + b];
        }
    }
}

void drpt_gather_pairs(Statistics* st, const Site* s, int n, int m, int T, float* scratch, size_t floats) {
    int N = (n + m) * T, most = (int)(floats / (2 * (size_t)N));
    most = most < MOST_COLUMNS ? most : MOST_COLUMNS;
    for (int first = n * T; first < N; first += most) {
        int columns = N - first < most ? N - first : most;
        float *product = scratch, *other = scratch + (size_t)N * columns;
        matmul_forward(product, s->dout, s->dout + (size_t)first * s->rows, NULL, N, s->rows, columns);
        matmul_forward(other, s->inp, s->inp + (size_t)first * s->cols, NULL, N, s->cols, columns);
        multiply(product, other, s->dbias ? 1.0f : 0.0f, (size_t)N * columns);
        if (s->kind == SITE_TOKEN) { add_lookup(product, other, s, N, first, columns); }
        add_up(st, product, n, m, T, columns);
    }
}
