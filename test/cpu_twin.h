// cpu_twin.h -- the CPU trainer's functions, for a program that holds the GPU trainer's of the same names.
#ifndef TEST_CPU_TWIN_H
#define TEST_CPU_TWIN_H

#include "../drpt/basis.h"
#include "../drpt/gpt2.h"
#include "../llmc/optimizer.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Shorter than the gradients of these models.
#define TWIN_CLIP 0.1
// AdamW's, above the rounding errors: the bias of the keys has no gradient but these, which eps = 1e-8 would blow up to whole steps.
#define TWIN_EPS 1e-4

typedef struct {
    void (*encoder_forward)(float* out, const int* tokens, const float* wte, const float* wpe, int B, int T, int C);
    void (*layernorm_forward)(float* out, float* mean, float* rstd, const float* inp, const float* weight, const float* bias, int N, int C);
    void (*layernorm_backward_input)(float* dinp, const float* dstream, const float* dout, const float* inp, const float* weight,
                                     const float* mean, const float* rstd, int N, int C);
    void (*attention_forward)(float* out, float* lse, const float* qkv, int B, int T, int C, int NH);
    void (*attention_backward)(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse, int B, int T, int C, int NH);
    void (*gelu_forward)(float* out, const float* inp, size_t n);
    void (*gelu_backward)(float* dinp, const float* inp, size_t n);
    void (*cross_entropy_forward)(float* losses, unsigned char* hits, const float* logits, const int* targets,
                                  const float* weight, int N, int V, int stride);
    void (*cross_entropy_backward)(float* losses, float* logits, const int* targets, const float* weight, int N, int V, int stride);
    void (*matmul_forward)(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC);
    void (*matmul_backward_input)(float* dinp, const float* dout, const float* weight, int N, int C, int OC);
    void (*matmul_backward_params)(float* dweight, float* dbias, const float* dout, const float* inp, int N, int C, int OC);
    void (*gradient_clip)(Clip* clip, const float* grads, size_t n, double longest);

    // A model with a scalar head, in plain training: n rows of T tokens. Its arrays are those of the model last opened.
    GPT2Config (*open)(const char* sizes, int n, int T);
    float* (*params)(void);
    const float* (*grads)(void);
    const float* (*losses)(void);
    void (*pass)(const int* tokens, const int* targets, const float* weight, const HeadGradient* head); // forward and backward
    void (*values)(float* values);
    void (*update)(const char* optimizer, double lr, int step);
    void (*close)(void);

    // Cached bases, of sites whose factors are floats.
    Basis* (*basis_create)(int rank, Sides sides, double forget, uint64_t seed, int threads);
    void (*basis_free)(Basis* basis);
    void (*basis_refresh)(Basis* basis, const Site* site, int n, int T, const unsigned char* usable, BasisReport* report);
    void (*basis_inside)(Basis* basis, const Site* site, int first, int end, int T, double* norm2);
    void (*basis_outside)(Basis* basis, const Site* site, int first, int end, int T, double* norm2);
    void (*basis_write)(const Basis* basis, const char* path);
    void (*basis_read)(Basis* basis, const char* path);
} CpuTwin;

extern const CpuTwin cpu_twin;

#ifdef __cplusplus
}
#endif

#endif // TEST_CPU_TWIN_H
