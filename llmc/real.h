// real.h -- the number type of weights and activations: float, or bfloat16 where the GPU trainer is compiled with -DBF16. Gradients of
// weights, the optimizer's copies, means, sums and inner products are float or double in either.
#ifndef LLMC_REAL_H
#define LLMC_REAL_H

#ifndef BF16
typedef float Real;
#elif defined(__cplusplus)
#include <cuda_bf16.h>
typedef __nv_bfloat16 Real;
#else
#include <stdint.h>
typedef struct { uint16_t bits; } Real; // C code only passes it on
#endif

#endif // LLMC_REAL_H
