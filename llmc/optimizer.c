// optimizer.c -- from a gradient to new parameters.
#include "optimizer.h"

#include <math.h>

// With m and v the running means of the gradient and of its square, both begun at zero and so divided by what of
// their weight has arrived, 1 - beta^step:
//     param -= lr (mhat / (sqrt(vhat) + eps) + weight_decay param)
void adamw_update(float* params, float* grads, float* m, float* v, size_t n, AdamW a, const Clip* clip, int step) {
    float scale = clip ? (float)clip->scale : 1.0f;
    if (scale == 0.0f) { return; }
    float m_unbiased = (float)(1.0 / (1.0 - pow(a.beta1, step))), v_unbiased = (float)(1.0 / (1.0 - pow(a.beta2, step)));
    #pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) {
        float g = scale * grads[i];
        float m_new = a.beta1 * m[i] + (1.0f - a.beta1) * g;
        float v_new = a.beta2 * v[i] + (1.0f - a.beta2) * g * g;
        m[i] = m_new;
        v[i] = v_new;
        params[i] -= a.lr * (m_new * m_unbiased / (sqrtf(v_new * v_unbiased) + a.eps) + a.weight_decay * params[i]);
        grads[i] = 0.0f;
    }
}

void sgd_update(float* params, float* grads, size_t n, float lr, float weight_decay, const Clip* clip) {
    float scale = clip ? (float)clip->scale : 1.0f;
    if (scale == 0.0f) { return; }
    #pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) {
        params[i] -= lr * (scale * grads[i] + weight_decay * params[i]);
        grads[i] = 0.0f;
    }
}

// A fixed number of parts whatever the number of threads, added up in order.
static double squared_norm(const float* x, size_t n) {
    enum { PARTS = 64 };
    double part[PARTS], total = 0.0;
    #pragma omp parallel for
    for (int p = 0; p < PARTS; p++) {
        size_t begin = n / PARTS * (size_t)p, end = p == PARTS - 1 ? n : begin + n / PARTS;
        double sum = 0.0;
        #pragma omp simd reduction(+:sum)
        for (size_t i = begin; i < end; i++) { sum += (double)x[i] * x[i]; }
        part[p] = sum;
    }
    for (int p = 0; p < PARTS; p++) { total += part[p]; }
    return total;
}

void gradient_clip(Clip* clip, const float* grads, size_t n, double longest) {
    double norm = sqrt(squared_norm(grads, n));
    clip->norm = norm;
    clip->scale = !isfinite(norm) ? 0.0 : longest > 0.0 && norm > longest ? longest / norm : 1.0;
}
