// matmul.c -- the linear layer by OpenBLAS, in place of llmc/matmul.c (make USE_BLAS=1).
//
// For comparison. The promise about parallel regions is kept only by an OpenBLAS that was itself
// built with OpenMP; one with threads of its own may use them there too.
#include "../matmul.h"

#include <cblas.h>
#include <stddef.h>
#include <string.h>

void matmul_forward(float* out,
                    const float* inp, const float* weight, const float* bias,
                    int N, int C, int OC) {
    if (N == 0 || OC == 0) { return; }
    for (int n = 0; n < N; n++) {
        float* row = out + (size_t)n * OC;
        if (bias != NULL) { memcpy(row, bias, (size_t)OC * sizeof(float)); }
        else { memset(row, 0, (size_t)OC * sizeof(float)); }
    }
    if (C == 0) { return; }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, OC, C, 1.0f, inp, C, weight, C, 1.0f, out, OC);
}

void matmul_forward_rows(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    matmul_forward(out, inp, weight, bias, N, C, OC);
}

void matmul_backward_input(float* dinp,
                           const float* dout, const float* weight,
                           int N, int C, int OC) {
    if (N == 0 || C == 0) { return; }
    if (OC == 0) { memset(dinp, 0, (size_t)N * C * sizeof(float)); return; }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, C, OC, 1.0f, dout, OC, weight, C, 0.0f, dinp, C);
}

void matmul_backward_params(float* dweight, float* dbias,
                            const float* dout, const float* inp,
                            int N, int C, int OC) {
    for (int n = 0; n < N && dbias != NULL; n++) {
        const float* row = dout + (size_t)n * OC;
        for (int o = 0; o < OC; o++) { dbias[o] += row[o]; }
    }
    if (N == 0 || C == 0 || OC == 0) { return; }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, OC, C, N, 1.0f, dout, OC, inp, C, 1.0f, dweight, C);
}
