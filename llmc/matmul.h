// matmul.h -- the linear layer, out = inp @ weight^T + bias, and its two gradients.
#ifndef LLMC_MATMUL_H
#define LLMC_MATMUL_H

#include "real.h"

#ifdef __cplusplus
extern "C" {
#endif

// Shapes: inp (N,C); weight (OC,C); bias (OC) or NULL; out (N,OC); d* is the gradient of what it is
// named after. Any size, zero included. The same sizes and thread count give the same bits. Called
// from inside a parallel region, each call runs on the calling thread alone.
void matmul_forward(Real* out,                              // overwritten
                    const Real* inp, const Real* weight, const Real* bias,
                    int N, int C, int OC);
// The same for the positions of a decoder. In llmc/matmul.c the bits of a row of out depend on its row of inp alone, whatever N.
void matmul_forward_rows(Real* out,                         // overwritten
                         const Real* inp, const Real* weight, const Real* bias,
                         int N, int C, int OC);
void matmul_backward_input(Real* dinp,                      // overwritten
                           const Real* dout, const Real* weight,
                           int N, int C, int OC);
void matmul_backward_params(float* dweight, float* dbias,   // added to; dbias may be NULL
                            const Real* dout, const Real* inp,
                            int N, int C, int OC);

#ifdef __cplusplus
}
#endif

#endif // LLMC_MATMUL_H
