// blas.cpp -- the one matrix product behind cuBLASLt.
#include "emulator.h"
#include "include/cublasLt.h"

namespace emu {
namespace {

size_t size_of(cudaDataType type) { return type == CUDA_R_16BF ? sizeof(uint16_t) : sizeof(float); }

// A bf16 number is the upper half of a float.
float load(const void* data, cudaDataType type, int64_t at) {
    if (type == CUDA_R_32F) { return ((const float*)data)[at]; }
    uint32_t word = (uint32_t)((const uint16_t*)data)[at] << 16;
    float x;
    memcpy(&x, &word, sizeof(x));
    return x;
}

// To the nearest, of two the even one; a NaN stays one.
void store(void* data, cudaDataType type, int64_t at, float x) {
    if (type == CUDA_R_32F) { ((float*)data)[at] = x; return; }
    uint32_t word;
    memcpy(&word, &x, sizeof(word));
    ((uint16_t*)data)[at] = (uint16_t)(x != x ? 0x7fff : (word + 0x7fff + (word >> 16 & 1)) >> 16);
}

// Rows of k: the rows of op(A), or the columns of op(B). The product is then one of rows with rows.
std::vector<float> packed(const Matrix& x, int batch, bool columns) {
    int64_t count = columns ? x.cols : x.rows, k = columns ? x.rows : x.cols;
    std::vector<float> rows((size_t)(count * k));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t l = 0; l < k; l++) { rows[(size_t)(i*k + l)] = load(x.data, x.type, batch * x.stride + (columns ? l + i * x.ld : i + l * x.ld)); }
    }
    return rows;
}

// The tanh form and its derivative, in double.
double gelu(double x) { return 0.5 * x * (1.0 + tanh(sqrt(M_2_PI) * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) {
    double t = tanh(sqrt(M_2_PI) * (x + 0.044715 * x * x * x));
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * sqrt(M_2_PI) * (1.0 + 3.0 * 0.044715 * x * x);
}

float dot(const float* a, const float* b, int64_t n) {
    float sum = 0.0f;
    #pragma omp simd reduction(+:sum)
    for (int64_t i = 0; i < n; i++) { sum += a[i] * b[i]; }
    return sum;
}

void require_matrix(const Matrix& x, const char* name) {
    int64_t elements = (x.count - 1) * x.stride + (x.cols - 1) * x.ld + x.rows;
    require_device(x.data, (size_t)elements * size_of(x.type), name);
}

} // namespace

cublasStatus_t multiply(Matrix out, float alpha, Matrix A, bool ta, Matrix B, bool tb, float beta, Matrix C, Epilogue e) {
    Working working("cublasLtMatmul");
    int64_t k = ta ? A.rows : A.cols;
    for (const Matrix& x : {A, B, C, out}) { if (x.rows < 1 || x.cols < 1 || x.ld < x.rows) { return CUBLAS_STATUS_INVALID_VALUE; } }
    if ((ta ? A.cols : A.rows) != out.rows || (tb ? B.rows : B.cols) != out.cols || (tb ? B.cols : B.rows) != k) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (A.type != B.type || C.type != out.type || (out.type != A.type && out.type != CUDA_R_32F)) { return CUBLAS_STATUS_NOT_SUPPORTED; }
    for (const Matrix& x : {A, B, C}) { if (x.count != out.count) { return CUBLAS_STATUS_INVALID_VALUE; } }
    require_matrix(A, "A");
    require_matrix(B, "B");
    require_matrix(out, "the result");
    if (beta != 0.0f) { require_matrix(C, "C"); } // else C may be unwritten
    if (e.bias) { require_device(e.bias, (size_t)out.rows * size_of(out.type), "the bias"); }
    if (e.aux.data) { require_matrix(e.aux, "what GELU is given"); }
    for (int batch = 0; batch < out.count; batch++) {
        std::vector<float> a = packed(A, batch, ta), b = packed(B, batch, !tb);
        for (int64_t j = 0; j < out.cols; j++) {
            for (int64_t i = 0; i < out.rows; i++) {
                float x = alpha * dot(&a[(size_t)(i*k)], &b[(size_t)(j*k)], k);
                if (beta != 0.0f) { x += beta * load(C.data, C.type, batch * C.stride + i + j * C.ld); }
                if (e.bias) { x += load(e.bias, out.type, i); }
                if (e.gelu) { store((void*)e.aux.data, e.aux.type, i + j * e.aux.ld, x); }
                double y = e.gelu ? gelu(x) : e.gradient ? x * gelu_slope(load(e.aux.data, e.aux.type, i + j * e.aux.ld)) : x;
                store((void*)out.data, out.type, batch * out.stride + i + j * out.ld, (float)y);
            }
        }
    }
    return CUBLAS_STATUS_SUCCESS;
}

} // namespace emu
