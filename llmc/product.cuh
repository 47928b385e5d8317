// product.cuh -- products of row-major matrices on the GPU, one or a batch of them: what every .cu file multiplies with.
#ifndef LLMC_PRODUCT_CUH
#define LLMC_PRODUCT_CUH

#include "device.cuh"
#include "real.h"

#include <stdint.h>

// Matrices of one shape: element (i,j) of the b-th is at data[b * apart + i * stride + j]. `turned` it stands for its transpose.
typedef struct {
    const void* data;
    cudaDataType type;     // CUDA_R_32F or CUDA_R_16BF
    int rows, cols;        // as they lie in memory
    size_t stride, apart;
    bool turned;
} Matrix;

static inline cudaDataType type_of(const float*) { return CUDA_R_32F; }
#ifdef BF16
static inline cudaDataType type_of(const Real*) { return CUDA_R_16BF; }
#endif

// stride 0: cols, there are no gaps.
template <class T> static inline Matrix matrix(const T* data, int rows, int cols, size_t stride = 0, size_t apart = 0) {
    return Matrix{ data, type_of(data), rows, cols, stride > 0 ? stride : (size_t)cols, apart, false };
}
template <class T> static inline Matrix turned(const T* data, int rows, int cols, size_t stride = 0, size_t apart = 0) {
    return Matrix{ data, type_of(data), rows, cols, stride > 0 ? stride : (size_t)cols, apart, true };
}

// out = left right + beta out + bias, `count` times. Both factors are of one type; out is of that type or float, not turned, and written
// to although its data is const here. beta: 0, and out is not read, or 1. bias: a number for each column, of out's type, or NULL; not with beta 1.
// Sums are single precision. Any size: without columns of left to sum over, out is bias, or 0, or stays. The same sizes and
// alignment give the same bits.
void product(Matrix out, Matrix left, Matrix right, float beta = 0.0f, const void* bias = NULL, int count = 1);

// out = start + left right + bias. start: out's numbers in another place, of the same shape, type and strides.
void product_onto(Matrix out, const void* start, Matrix left, Matrix right, const void* bias);

// GELU, in its tanh form, where a product writes its sums: out = gelu(left right + bias) and hidden = left right + bias; or
// out = (left right) gelu'(hidden). hidden: of out's type, shape and strides. false: nothing was done, as the GPU is faster with a kernel of
// its own (device.cu says which is), or cuBLASLt has no such product: the same for all of the same sizes and alignment. bias: not NULL.
bool product_gelu(Matrix out, void* hidden, Matrix left, Matrix right, const void* bias);
bool product_gelu_backward(Matrix out, const void* hidden, Matrix left, Matrix right);

#endif // LLMC_PRODUCT_CUH
