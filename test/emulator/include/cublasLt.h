// cublasLt.h -- the matrix product that the trainer asks cuBLASLt for: fp32 or bf16, any transposition, batches, a bias or GELU as the epilogue.
#ifndef EMU_CUBLASLT_H
#define EMU_CUBLASLT_H

#include "cuda_runtime.h"

enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INVALID_VALUE = 7, CUBLAS_STATUS_NOT_SUPPORTED = 15 };
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 };

namespace emu {

// Matrices of one shape, column-major: element (i,j) of the b-th is at data[b*stride + i + j*ld].
struct Matrix { const void* data; cudaDataType type; int64_t rows, cols, ld, stride; int count; };

// What the sums go through. aux: like out, but for its data; what gelu() was given, which is written, or (gradient) read.
struct Epilogue { const void* bias; Matrix aux; bool gelu, gradient; };

// out = alpha op(A) op(B) + beta C + bias, op the transposition if ta or tb; bias: a number of out's type for each row, or NULL
cublasStatus_t multiply(Matrix out, float alpha, Matrix A, bool ta, Matrix B, bool tb, float beta, Matrix C, Epilogue e);

} // namespace emu

struct cublasLtMatmulDescOpaque { cublasOperation_t ta, tb; int epilogue; const void *bias, *aux; int64_t aux_ld; };
typedef cublasLtMatmulDescOpaque* cublasLtMatmulDesc_t;
typedef emu::Matrix* cublasLtMatrixLayout_t; // without the data
typedef struct cublasLtContext* cublasLtHandle_t;
// What an algorithm was chosen for: it is refused for anything else.
struct cublasLtMatmulPreferenceOpaque { uint32_t alignment[4], reduction; }; // of A, B, C, D; how parts of a sum may be added
typedef cublasLtMatmulPreferenceOpaque* cublasLtMatmulPreference_t;
struct cublasLtMatmulAlgo_t { uint64_t shape; uint32_t alignment[4], bias_alignment, aux_alignment; };
struct cublasLtMatmulHeuristicResult_t { cublasLtMatmulAlgo_t algo; size_t workspaceSize; cublasStatus_t state; float wavesCount; };

enum cublasLtMatmulDescAttributes_t {
    CUBLASLT_MATMUL_DESC_TRANSA = 3, CUBLASLT_MATMUL_DESC_TRANSB = 4, CUBLASLT_MATMUL_DESC_EPILOGUE = 7, CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8,
    CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER = 11, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD = 12,
};
enum cublasLtMatrixLayoutAttribute_t { CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT = 5, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET = 6 };
enum cublasLtMatmulPreferenceAttributes_t {
    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8,
};
enum cublasLtReductionScheme_t { CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2 };
enum cublasLtEpilogue_t {
    CUBLASLT_EPILOGUE_DEFAULT = 1, CUBLASLT_EPILOGUE_BIAS = 4, CUBLASLT_EPILOGUE_GELU_AUX = 32 | 128, CUBLASLT_EPILOGUE_GELU_AUX_BIAS = 32 | 128 | 4,
    CUBLASLT_EPILOGUE_DGELU = 64 | 128,
};

namespace emu {
// Copies an attribute into its field; the caller has to have meant a field of that size.
template <class T> cublasStatus_t set(T& field, const void* value, size_t bytes) {
    if (bytes != sizeof(T)) { return CUBLAS_STATUS_INVALID_VALUE; }
    memcpy(&field, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}
inline Matrix at(cublasLtMatrixLayout_t layout, const void* data) { Matrix m = *layout; m.data = data; return m; }
inline uint64_t shape_of(cublasLtMatmulDesc_t d, std::initializer_list<cublasLtMatrixLayout_t> layouts) {
    uint64_t hash = (uint64_t)(d->ta + 2 * d->tb + 4 * d->epilogue) + ((uint64_t)d->aux_ld << 32);
    for (cublasLtMatrixLayout_t m : layouts) {
        for (int64_t x : {(int64_t)m->type, m->rows, m->cols, m->ld, m->stride, (int64_t)m->count}) { hash = (hash ^ (uint64_t)x) * 0x100000001b3u; }
    }
    return hash;
}
inline bool aligned(const void* p, uint32_t bytes) { return bytes == 0 || (uintptr_t)p % bytes == 0; }
inline uint32_t alignment_of(const void* p) { return (uint32_t)std::min<uintptr_t>(256, p ? (uintptr_t)p & (0 - (uintptr_t)p) : 256); }
inline bool has(cublasLtMatmulDesc_t d, int epilogue) { return (d->epilogue & epilogue) == epilogue; }
inline Epilogue epilogue_of(cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t out) {
    bool gelu = has(d, CUBLASLT_EPILOGUE_GELU_AUX), gradient = has(d, CUBLASLT_EPILOGUE_DGELU);
    Matrix aux = at(out, gelu || gradient ? d->aux : nullptr);
    aux.ld = d->aux_ld;
    return Epilogue{has(d, CUBLASLT_EPILOGUE_BIAS) ? d->bias : nullptr, aux, gelu, gradient};
}
} // namespace emu

inline const char* cublasLtGetStatusString(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS ? "success" : "invalid value"; }
inline cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) { *handle = nullptr; return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t, cudaDataType) {
    *desc = new cublasLtMatmulDescOpaque();
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { delete desc; return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t attribute,
                                                     const void* value, size_t bytes) {
    switch (attribute) {
        case CUBLASLT_MATMUL_DESC_TRANSA: return emu::set(d->ta, value, bytes);
        case CUBLASLT_MATMUL_DESC_TRANSB: return emu::set(d->tb, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE: return emu::set(d->epilogue, value, bytes);
        case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return emu::set(d->bias, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return emu::set(d->aux, value, bytes);
        case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return emu::set(d->aux_ld, value, bytes);
    }
    return CUBLAS_STATUS_NOT_SUPPORTED;
}
inline cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld) {
    *layout = new emu::Matrix{nullptr, type, (int64_t)rows, (int64_t)cols, ld, 0, 1};
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { delete layout; return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute,
                                                       const void* value, size_t bytes) {
    bool count = attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
    return count ? emu::set(layout->count, value, bytes) : emu::set(layout->stride, value, bytes);
}
inline cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
    *p = new cublasLtMatmulPreferenceOpaque();
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) { delete p; return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t attribute,
                                                           const void* value, size_t bytes) {
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) { return CUBLAS_STATUS_SUCCESS; }
    if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) { return emu::set(p->reduction, value, bytes); }
    return emu::set(p->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
}
inline cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
        cublasLtHandle_t, cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
        cublasLtMatrixLayout_t out, cublasLtMatmulPreference_t preference, int, cublasLtMatmulHeuristicResult_t* results, int* found) {
    *results = {};
    *found = 0;
    if (preference->reduction != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) { return CUBLAS_STATUS_NOT_SUPPORTED; } // others round, or add in any order
    if (emu::has(d, CUBLASLT_EPILOGUE_BIAS) && !d->bias) { return CUBLAS_STATUS_NOT_SUPPORTED; }
    if (emu::has(d, CUBLASLT_EPILOGUE_GELU_AUX) || emu::has(d, CUBLASLT_EPILOGUE_DGELU)) {
        if (!d->aux || d->aux_ld % 8 != 0 || d->aux_ld < out->rows || out->count > 1) { return CUBLAS_STATUS_INVALID_VALUE; }
        if ((d->ta ? a->rows : a->cols) % 8 != 0) { return CUBLAS_STATUS_NOT_SUPPORTED; } // a limit of its own, so that there are such products
    }
    results->algo.bias_alignment = emu::alignment_of(d->bias);
    results->algo.aux_alignment = emu::alignment_of(d->aux);
    results->algo.shape = emu::shape_of(d, {a, b, c, out});
    memcpy(results->algo.alignment, preference->alignment, sizeof(preference->alignment));
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmul(
        cublasLtHandle_t, cublasLtMatmulDesc_t d, const void* alpha, const void* A, cublasLtMatrixLayout_t a,
        const void* B, cublasLtMatrixLayout_t b, const void* beta, const void* C, cublasLtMatrixLayout_t c,
        void* D, cublasLtMatrixLayout_t out, const cublasLtMatmulAlgo_t* algo, void*, size_t, cudaStream_t) {
    const uint32_t* alignment = algo->alignment;
    bool fits = emu::aligned(A, alignment[0]) && emu::aligned(B, alignment[1]) && emu::aligned(C, alignment[2]) && emu::aligned(D, alignment[3]);
    fits = fits && (!emu::has(d, CUBLASLT_EPILOGUE_BIAS) || (d->bias && emu::aligned(d->bias, 16))); // a GPU would read it 16 bytes at a time
    fits = fits && emu::aligned(d->bias, algo->bias_alignment) && emu::aligned(d->aux, algo->aux_alignment);
    if (!fits || algo->shape != emu::shape_of(d, {a, b, c, out})) { return CUBLAS_STATUS_INVALID_VALUE; }
    return emu::multiply(emu::at(out, D), *(const float*)alpha, emu::at(a, A), d->ta, emu::at(b, B), d->tb, *(const float*)beta, emu::at(c, C),
                         emu::epilogue_of(d, out));
}

#endif // EMU_CUBLASLT_H
