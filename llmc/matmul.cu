// matmul.cu -- the linear layer by cuBLASLt; see matmul.h.
//
// cuBLAS counts along columns: a row-major (R,C) array is its (C,R) matrix. So out (N,OC) = inp weight^T is asked for as
// out' (OC,N) = weight inp', weight transposed.
#include "matmul.h"
#include "device.cuh"

#include <stdint.h>

// A factor or result: rows and columns as cuBLAS sees them, and whether it is to be transposed.
typedef struct { const float* data; int rows, cols; cublasOperation_t op; } Factor;

static cublasLtMatrixLayout_t layout(Factor x) {
    cublasLtMatrixLayout_t made;
    CUBLAS(cublasLtMatrixLayoutCreate(&made, CUDA_R_32F, (uint64_t)x.rows, (uint64_t)x.cols, x.rows));
    return made;
}

static cublasLtMatmulDesc_t description(Factor a, Factor b, const float* bias) {
    cublasLtMatmulDesc_t made;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    CUBLAS(cublasLtMatmulDescCreate(&made, device.compute, CUDA_R_32F));
    CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSA, &a.op, sizeof(a.op)));
    CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_TRANSB, &b.op, sizeof(b.op)));
    if (bias) {
        CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue)));
        CUBLAS(cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias)));
    }
    return made;
}

// Tensors stand one behind the other in a checkpoint and in memory, so their alignment follows from the model's sizes.
static void set_alignment(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void* p) {
    uint32_t alignment = 256;
    while ((uintptr_t)p % alignment != 0) { alignment /= 2; }
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof(alignment)));
}

// out = op(a) op(b) + beta out + bias
static void multiply(Factor out, Factor a, Factor b, float beta, const float* bias) {
    const float one = 1.0f;
    const size_t workspace = WORKSPACE;
    int found = 0;
    cublasLtMatmulHeuristicResult_t best;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulDesc_t what = description(a, b, bias);
    cublasLtMatrixLayout_t la = layout(a), lb = layout(b), lout = layout(out);
    CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof(workspace)));
    set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a.data);
    set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b.data);
    set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out.data);
    set_alignment(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out.data);
    CUBLAS(cublasLtMatmulAlgoGetHeuristic(device.blas, what, la, lb, lout, lout, preference, 1, &best, &found));
    check(found > 0, "cuBLASLt has no product of %d x %d and %d x %d", a.rows, a.cols, b.rows, b.cols);
    CUBLAS(cublasLtMatmul(device.blas, what, &one, a.data, la, b.data, lb, &beta, out.data, lout, (float*)out.data, lout,
                          &best.algo, device.workspace, WORKSPACE, 0));
    CUBLAS(cublasLtMatmulPreferenceDestroy(preference));
    CUBLAS(cublasLtMatrixLayoutDestroy(la));
    CUBLAS(cublasLtMatrixLayoutDestroy(lb));
    CUBLAS(cublasLtMatrixLayoutDestroy(lout));
    CUBLAS(cublasLtMatmulDescDestroy(what));
}

static Factor plain(const float* data, int rows, int cols) { return Factor{ data, rows, cols, CUBLAS_OP_N }; }
static Factor turned(const float* data, int rows, int cols) { return Factor{ data, rows, cols, CUBLAS_OP_T }; }

void matmul_forward(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    if (N == 0 || OC == 0) { return; }
    multiply(plain(out, OC, N), turned(weight, C, OC), plain(inp, C, N), 0.0f, bias);
}

void matmul_backward_input(float* dinp, const float* dout, const float* weight, int N, int C, int OC) {
    if (N == 0 || C == 0) { return; }
    multiply(plain(dinp, C, N), plain(weight, C, OC), plain(dout, OC, N), 0.0f, NULL);
}

// ---------------------------------------------------------------------------------------------
// The bias gradient: sums of columns. A block takes COLUMNS neighbouring ones and, of the rows, every gridDim.y-th PIECE: its ROWS rows
// of threads share them out, and the first adds up what they found. The pieces' sums are added by a second kernel. Both always in the
// same order: no atomics, the same bits each run.
enum { COLUMNS = 32, ROWS = 8, PARTS = 64, BLOCK = 256 };

// grid (OC / COLUMNS, parts), block (COLUMNS, ROWS)
static __global__ void partial_sums_kernel(float* partial, const float* dout, int N, int OC) {
    __shared__ float sums[ROWS][COLUMNS];
    int x = threadIdx.x, y = threadIdx.y, o = blockIdx.x * COLUMNS + x;
    float sum = 0.0f;
    for (size_t n = (size_t)blockIdx.y * ROWS + y; n < (size_t)N && o < OC; n += (size_t)gridDim.y * ROWS) { sum += dout[n*OC + o]; }
    sums[y][x] = sum;
    __syncthreads();
    if (y > 0 || o >= OC) { return; }
    for (int k = 1; k < ROWS; k++) { sum += sums[k][x]; }
    partial[(size_t)blockIdx.y * OC + o] = sum;
}

// grid (OC / BLOCK), block (BLOCK)
static __global__ void add_partial_kernel(float* dbias, const float* partial, int parts, int OC) {
    int o = blockIdx.x * BLOCK + threadIdx.x;
    if (o >= OC) { return; }
    float sum = 0.0f;
    for (int p = 0; p < parts; p++) { sum += partial[(size_t)p * OC + o]; }
    dbias[o] += sum;
}

static void add_columns(float* dbias, const float* dout, int N, int OC) {
    int parts = (int)blocks_of((size_t)N, ROWS * 4), room = WORKSPACE / (int)sizeof(float) / OC;
    parts = parts > PARTS ? PARTS : parts;
    check(room > 0, "a bias of %d does not fit the workspace", OC);
    parts = parts > room ? room : parts;
    float* partial = (float*)device.workspace;
    partial_sums_kernel<<<dim3(blocks_of((size_t)OC, COLUMNS), (unsigned)parts), dim3(COLUMNS, ROWS)>>>(partial, dout, N, OC);
    LAUNCHED();
    add_partial_kernel<<<blocks_of((size_t)OC, BLOCK), BLOCK>>>(dbias, partial, parts, OC);
    LAUNCHED();
}

void matmul_backward_params(float* dweight, float* dbias, const float* dout, const float* inp, int N, int C, int OC) {
    if (N == 0 || OC == 0) { return; }
    multiply(plain(dweight, C, OC), plain(inp, C, N), turned(dout, OC, N), 1.0f, NULL);
    if (dbias) { add_columns(dbias, dout, N, OC); }
}
