// attention_mma.h -- causal self-attention on tensor cores, for the GPU trainer in bf16.
#ifndef LLMC_ATTENTION_MMA_H
#define LLMC_ATTENTION_MMA_H

#include "real.h"

#ifdef __cplusplus
extern "C" {
#endif

// qkv (B,T,3,NH,hs), C = NH*hs; out (B,T,C); lse (B,NH,T), the log of each softmax's denominator. Scores, softmax and sums are single
// precision; probabilities and the scores' gradients are rounded to bf16 as factors of a product. The same input gives the same bits.
void attention_mma_forward(Real* out, float* lse, // overwritten
                           const Real* qkv, int B, int T, int C, int NH);

// along (B,NH,T) = dout . out of each query's head
void attention_mma_backward(Real* dqkv,           // overwritten
                            const Real* dout, const Real* qkv, const float* lse, const float* along, int B, int T, int C, int NH);

#ifdef __cplusplus
}
#endif

#endif // LLMC_ATTENTION_MMA_H
