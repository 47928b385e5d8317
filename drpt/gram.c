// gram.c -- tables of inner products. Products of some hundred numbers are single precision, their sums double.
#include "gram.h"

enum { PIECE = 512, ABREAST = 4 }; // pieces of ten vectors or so stay in L1; four sums at a time hide the adder's latency

double gram_dot(const float* x, const float* y, size_t count) {
    float sum = 0.0f;
    #pragma omp simd reduction(+:sum)
    for (size_t k = 0; k < count; k++) { sum += x[k] * y[k]; }
    return sum;
}

double gram_long_dot(const float* x, const float* y, size_t count) {
    double sum = 0.0;
    for (size_t at = 0; at < count; at += PIECE) { sum += gram_dot(x + at, y + at, count - at < PIECE ? count - at : PIECE); }
    return sum;
}

// to[j] += <x, y_j> for the four vectors y_j at y + j * step.
static void dots(double* to, const float* x, const float* y, size_t step, size_t count) {
    const float *y1 = y + step, *y2 = y1 + step, *y3 = y2 + step;
    float a = 0.0f, b = 0.0f, c = 0.0f, d = 0.0f;
    #pragma omp simd reduction(+:a, b, c, d)
    for (size_t k = 0; k < count; k++) {
        a += x[k] * y[k];
        b += x[k] * y1[k];
        c += x[k] * y2[k];
        d += x[k] * y3[k];
    }
    to[0] += a; to[1] += b; to[2] += c; to[3] += d;
}

static void add_piece(double* table, const float* x, size_t step, size_t count, int V, int first, int from) {
    for (int i = first; i < V; i++) {
        const float* xi = x + (size_t)i * step;
        int j = i > from ? i : from;
        for (; j + ABREAST <= V; j += ABREAST) { dots(table + (size_t)i * V + j, xi, x + (size_t)j * step, step, count); }
        for (; j < V; j++) { table[(size_t)i * V + j] += gram_dot(xi, x + (size_t)j * step, count); }
    }
}

void gram_add(double* table, const float* x, size_t step, size_t count, int V, int first, int from) {
    for (size_t at = 0; at < count; at += PIECE) {
        add_piece(table, x + at, step, count - at < PIECE ? count - at : PIECE, V, first, from);
    }
}

// The entry of two vectors, in the order of the threads.
static double entry(const double* tables, size_t apart, int threads, int V, int i, int j) {
    double sum = 0.0;
    const double* at = tables + (i < j ? (size_t)i * V + j : (size_t)j * V + i);
    for (int thread = 0; thread < threads; thread++) { sum += at[(size_t)thread * apart]; }
    return sum;
}

void gram_to_statistics(Statistics* st, const double* tables, size_t apart, const Gather* g, int V) {
    int n = g->n, targets = V - n;
    for (int i = gram_first(g); i < V; i++) {
        for (int j = i < n && g->needs & NEEDS_K ? 0 : n; j < V; j++) {
            double x = entry(tables, apart, g->threads, V, i, j);
            if (j < n) { st->K[(size_t)i * n + j] += x; }
            else if (i < n) { st->s[i] += x; }
            else { *st->q += x; }
            if (j < n || !(g->needs & NEEDS_ROWS)) { continue; }
            if (i < n) { st->S[(size_t)i * targets + j - n] += x; }
            else { st->Q[(size_t)(i - n) * targets + j - n] += x; }
        }
    }
}
