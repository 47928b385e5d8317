// optimizer.cu -- see optimizer.c for the formulas.
#include "optimizer.h"
#include "device.h"
#include "device.cuh"

#include <math.h>

enum { BLOCK = 256, PARTS = 512 };

// One thread a parameter. grid (n / BLOCK), block (BLOCK)
static __global__ void adamw_kernel(float* params, float* grads, float* m, float* v, size_t n, AdamW a, const Clip* clip,
                                    float m_unbiased, float v_unbiased) {
    size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    float scale = clip ? (float)clip->scale : 1.0f;
    if (i >= n || scale == 0.0f) { return; }
    float g = scale * grads[i];
    float m_new = a.beta1 * m[i] + (1.0f - a.beta1) * g;
    float v_new = a.beta2 * v[i] + (1.0f - a.beta2) * g * g;
    m[i] = m_new;
    v[i] = v_new;
    params[i] -= a.lr * (m_new * m_unbiased / (sqrtf(v_new * v_unbiased) + a.eps) + a.weight_decay * params[i]);
    grads[i] = 0.0f;
}

void adamw_update(float* params, float* grads, float* m, float* v, size_t n, AdamW a, const Clip* clip, int step) {
    float m_unbiased = (float)(1.0 / (1.0 - pow(a.beta1, step))), v_unbiased = (float)(1.0 / (1.0 - pow(a.beta2, step)));
    adamw_kernel<<<blocks_of(n, BLOCK), BLOCK>>>(params, grads, m, v, n, a, clip, m_unbiased, v_unbiased);
    LAUNCHED();
}

static __global__ void sgd_kernel(float* params, float* grads, size_t n, float lr, float weight_decay, const Clip* clip) {
    size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    float scale = clip ? (float)clip->scale : 1.0f;
    if (i >= n || scale == 0.0f) { return; }
    params[i] -= lr * (scale * grads[i] + weight_decay * params[i]);
    grads[i] = 0.0f;
}

void sgd_update(float* params, float* grads, size_t n, float lr, float weight_decay, const Clip* clip) {
    sgd_kernel<<<blocks_of(n, BLOCK), BLOCK>>>(params, grads, n, lr, weight_decay, clip);
    LAUNCHED();
}

// A fixed number of blocks, whatever the GPU; another one adds up what they found. grid (PARTS), block (BLOCK)
static __global__ void squares_kernel(double* part, const float* x, size_t n) {
    double sum = 0.0;
    size_t first = (size_t)blockIdx.x * BLOCK + threadIdx.x, step = (size_t)PARTS * BLOCK, whole = n / step;
    #pragma unroll 8
    for (size_t k = 0; k < whole; k++) { sum += (double)x[first + k * step] * x[first + k * step]; }
    if (first + whole * step < n) { sum += (double)x[first + whole * step] * x[first + whole * step]; }
    sum = block_sum<BLOCK>(sum);
    if (threadIdx.x == 0) { part[blockIdx.x] = sum; }
}

// grid (1), block (PARTS)
static __global__ void clip_kernel(Clip* clip, const double* part, double longest) {
    double norm = sqrt(block_sum<PARTS>(part[threadIdx.x]));
    if (threadIdx.x > 0) { return; }
    clip->norm = norm;
    clip->scale = !isfinite(norm) ? 0.0 : longest > 0.0 && norm > longest ? longest / norm : 1.0;
}

void gradient_clip(Clip* clip, const float* grads, size_t n, double longest) {
    double* part = (double*)device.workspace;
    squares_kernel<<<PARTS, BLOCK>>>(part, grads, n);
    LAUNCHED();
    clip_kernel<<<1, PARTS>>>(clip, part, longest);
    LAUNCHED();
}
