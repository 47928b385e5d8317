// gram.h -- tables of inner products, in double precision, and how they add up to the statistics.
//
// A route multiplies V vectors: the gradients of the n general rows, then the target, as one vector or its m rows singly. It
// fills the part of a table (V,V) on and above the diagonal.
#ifndef DRPT_GRAM_H
#define DRPT_GRAM_H

#include "gather.h"

#ifdef __cplusplus
extern "C" {
#endif

// The first vector that takes part, and the first that others are multiplied with: without K only the target is.
static inline int gram_first(const Gather* g) { return g->needs ? 0 : g->n; }
static inline int gram_from(const Gather* g) { return g->needs & NEEDS_K ? 0 : g->n; }

// Sum of x[k] y[k]; gram_dot() in single precision: for pieces of some hundred numbers.
double gram_dot(const float* x, const float* y, size_t count);
double gram_long_dot(const float* x, const float* y, size_t count);

// table[i][j] += <x_i, x_j> for i from `first` on and all j that are neither below i nor below `from`. x_i: `count` floats at
// x + i * step.
void gram_add(double* table, const float* x, size_t step, size_t count, int V, int first, int from);

// Adds the tables of all threads, which are `apart` doubles from one another, to the statistics. The last V - n vectors are the target.
void gram_to_statistics(Statistics* statistics, const double* tables, size_t apart, const Gather* g, int V);

#ifdef __cplusplus
}
#endif

#endif // DRPT_GRAM_H
