// probe_vectors.c -- see probe_vectors.h.
#include "probe_vectors.h"
#include "../llmc/matmul.h"

#include <omp.h>
#include <string.h>

enum { WORTH_THREADS = 1 << 15 }; // floats: waking threads takes as long as adding up some thousands

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// As many floats at a time as have their signs in a word.
static void fold_one(float* to, const float* from, Fold f, size_t first, size_t floats) {
    for (size_t j = 0, count; j < floats; j += count) {
        size_t at = first + j;
        uint64_t sign = fold_signs(f, at);
        float* x = to + at % f.width;
        count = least(64 - at % 64, floats - j);
        for (size_t k = 0; k < count; k++) { x[k] += sign >> k & 1 ? -from[j + k] : from[j + k]; }
    }
}

void vectors_fold(float* to, size_t to_apart, const float* from, size_t from_apart, int count, Fold f, size_t first, size_t floats) {
    #pragma omp parallel for schedule(static) if ((size_t)count * floats >= WORTH_THREADS)
    for (int i = 0; i < count; i++) { fold_one(to + (size_t)i * to_apart, from + (size_t)i * from_apart, f, first, floats); }
}

// The gradient of the rows [first, end) together, weights and then bias.
static void form(float* to, const Site* s, int first, int end, int T, float* scratch) {
    float *weights = to, *bias = s->dbias ? to + (size_t)s->rows * (size_t)s->cols : NULL;
    memset(to, 0, sizeof(float) * site_size(s));
    for (int o = 0; o < s->rows; o += SLAB_MAX_ROWS) {
        int count = s->rows - o < SLAB_MAX_ROWS ? s->rows - o : SLAB_MAX_ROWS;
        site_gradient(weights + (size_t)o * s->cols, bias ? bias + o : NULL, s, NULL, first, end, T, o, count, scratch);
    }
}

// A thread has room for one gradient before it is folded, and to form it.
size_t vectors_form_scratch(const Site* s, int n, int m, int T, int threads) {
    (void)n;
    return (site_size(s) + (size_t)m * (size_t)T * SLAB_MAX_ROWS) * (size_t)threads;
}

void vectors_form(float* to, const Site* s, Fold f, int n, int m, int T, float* scratch, size_t floats, int threads) {
    memset(to, 0, sizeof(float) * (size_t)(n + 1) * f.width);
    #pragma omp parallel for schedule(static) num_threads(threads)
    for (int i = 0; i <= n; i++) {
        float* raw = scratch + (size_t)omp_get_thread_num() * (floats / (size_t)threads);
        form(raw, s, i, i < n ? i + 1 : n + m, T, raw + f.size);
        fold_one(to + (size_t)i * f.width, raw, f, 0, f.size);
    }
}

void vectors_combine(float* out, const float* weight, const float* x, int rows, size_t width, int count) {
    matmul_backward_params(out, NULL, weight, x, rows, (int)width, count);
}

static double dot(const float* a, const float* b, size_t size) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t j = 0; j < size; j++) { sum += (double)a[j] * (double)b[j]; }
    return sum;
}

void vectors_products(double* out, const float* x, size_t x_apart, const float* y, size_t y_apart, size_t size, int count) {
    #pragma omp parallel for schedule(static) if ((size_t)count * size >= WORTH_THREADS)
    for (int i = 0; i < count; i++) { out[i] += dot(x + (size_t)i * x_apart, y + (size_t)i * y_apart, size); }
}
