// optimizer.h -- from a gradient to new parameters: AdamW, SGD, the norm.
#ifndef LLMC_OPTIMIZER_H
#define LLMC_OPTIMIZER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct { float lr, beta1, beta2, eps, weight_decay; } AdamW;

// One step of AdamW (Loshchilov and Hutter 2019) on n parameters; step counts from 1. The gradient is used times
// `scale` and left zero, ready for the next step's sums: one pass over the memory.
void adamw_update(float* params, float* grads, float* m, float* v, size_t n, AdamW a, float scale, int step);

// params -= lr (scale grads + weight_decay params); the gradient is left zero.
void sgd_update(float* params, float* grads, size_t n, float lr, float weight_decay, float scale);

// Sum of squares, in double and always in the same order.
double squared_norm(const float* x, size_t n);

#ifdef __cplusplus
}
#endif

#endif // LLMC_OPTIMIZER_H
