// optimizer.h -- from a gradient to new parameters: its norm, AdamW, SGD.
#ifndef LLMC_OPTIMIZER_H
#define LLMC_OPTIMIZER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// What a gradient is multiplied with when it is used.
typedef struct {
    double norm;
    double scale; // 0: the norm is not finite, and the gradient is not used at all
} Clip;

// On the device, where the updates read it: the norm of a gradient, in double and always in the same order, and the scale that makes it no
// longer than `longest` (0: as long as it is).
void gradient_clip(Clip* clip, const float* grads, size_t n, double longest);

typedef struct { float lr, beta1, beta2, eps, weight_decay; } AdamW;

// One step of AdamW (Loshchilov and Hutter 2019) on n parameters; step counts from 1. The gradient is used times the clip's scale and left
// zero, ready for the next step's sums: one pass over the memory. A scale of 0 leaves all arrays as they are. clip NULL: a scale of 1.
void adamw_update(float* params, float* grads, float* m, float* v, size_t n, AdamW a, const Clip* clip, int step);

// params -= lr (scale grads + weight_decay params); else likewise.
void sgd_update(float* params, float* grads, size_t n, float lr, float weight_decay, const Clip* clip);

#ifdef __cplusplus
}
#endif

#endif // LLMC_OPTIMIZER_H
