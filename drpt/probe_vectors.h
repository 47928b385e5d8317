// probe_vectors.h -- what a probe does with gradients, updates and their sums, all of which stay on the device.
//
// Vectors stand `apart` floats from one to the next; apart 0: there is one, which is meant each time.
#ifndef DRPT_PROBE_VECTORS_H
#define DRPT_PROBE_VECTORS_H

#include "site.h"
#include "solve.h"

#ifdef __cplusplus
extern "C" {
#endif

// A site's gradient of `size` floats in `width`: as it is if they are equal; else width is a multiple of 64, and float j goes to j % width
// under a random sign, which is the site's and its own.
typedef struct { size_t size, width; int site; } Fold;

// A bit for each float from `at` on, the lowest first, as many as there are to the next multiple of 64: 1 turns it around.
static inline HOST_DEVICE uint64_t fold_signs(Fold f, size_t at) {
    return f.width < f.size ? solve_bits((uint64_t)f.site << 48, at / 64) >> at % 64 : 0;
}

// to (count) += floats [first, first + floats) of as many gradients, folded; they begin at `from`.
void vectors_fold(float* to, size_t to_apart, const float* from, size_t from_apart, int count, Fold fold, size_t first, size_t floats);

// to (n+1, width) = the gradients of the rows 0..n-1, then that of the m rows behind them together, folded.
// scratch: vectors_form_scratch() floats; less will do on a GPU, if a row of all gradients fits.
void vectors_form(float* to, const Site* site, Fold fold, int n, int m, int T, float* scratch, size_t floats, int threads);
size_t vectors_form_scratch(const Site* site, int n, int m, int T, int threads);

// out (count, width) += sum_k weight[k] x_k; weight (rows, count), x (rows, width)
void vectors_combine(float* out, const float* weight, const float* x, int rows, size_t width, int count);

// out (count) += <x_i, y_i>, of `size` floats each; in double precision, always in the same order
void vectors_products(double* out, const float* x, size_t x_apart, const float* y, size_t y_apart, size_t size, int count);

#ifdef __cplusplus
}
#endif

#endif // DRPT_PROBE_VECTORS_H
