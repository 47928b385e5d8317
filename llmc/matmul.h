// matmul.h -- the linear layer, out = inp @ weight^T + bias, and its two gradients.
#ifndef LLMC_MATMUL_H
#define LLMC_MATMUL_H

#ifdef __cplusplus
extern "C" {
#endif

// Shapes: inp (N,C); weight (OC,C); bias (OC) or NULL; out (N,OC); d* is the gradient of what it is
// named after. Any size, zero included. The same sizes and thread count give the same bits. Called
// from inside a parallel region, each call runs on the calling thread alone.
void matmul_forward(float* out,                             // overwritten
                    const float* inp, const float* weight, const float* bias,
                    int N, int C, int OC);
void matmul_backward_input(float* dinp,                     // overwritten
                           const float* dout, const float* weight,
                           int N, int C, int OC);
void matmul_backward_params(float* dweight, float* dbias,   // added to; dbias may be NULL
                            const float* dout, const float* inp,
                            int N, int C, int OC);

#ifdef __cplusplus
}
#endif

#endif // LLMC_MATMUL_H
