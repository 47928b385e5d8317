// matmul.cu -- the linear layer on the GPU; see matmul.h.
#include "matmul.h"
#include "product.cuh"

void matmul_forward(Real* out, const Real* inp, const Real* weight, const Real* bias, int N, int C, int OC) {
    product(matrix(out, N, OC), matrix(inp, N, C), turned(weight, OC, C), 0.0f, bias);
}

void matmul_forward_rows(Real* out, const Real* inp, const Real* weight, const Real* bias, int N, int C, int OC) {
    matmul_forward(out, inp, weight, bias, N, C, OC);
}

void matmul_backward_input(Real* dinp, const Real* dout, const Real* weight, int N, int C, int OC) {
    product(matrix(dinp, N, C), matrix(dout, N, OC), matrix(weight, OC, C));
}

// ---------------------------------------------------------------------------------------------
// The bias gradient: sums of columns. A block takes COLUMNS neighbouring ones and, of the rows, every gridDim.y-th PIECE: its ROWS rows
// of threads share them out, and the first adds up what they found. The pieces' sums are added by a second kernel. Both always in the
// same order: no atomics, the same bits each run.
enum { COLUMNS = 32, ROWS = 8, PARTS = 64, BLOCK = 256 };

// grid (OC / COLUMNS, parts), block (COLUMNS, ROWS)
static __global__ void partial_sums_kernel(float* partial, const Real* dout, int N, int OC) {
    __shared__ float sums[ROWS][COLUMNS];
    int x = threadIdx.x, y = threadIdx.y, o = blockIdx.x * COLUMNS + x;
    int first = blockIdx.y * ROWS + y, step = gridDim.y * ROWS, count = o < OC ? steps_below(N, first, step) : 0;
    float sum = 0.0f;
    #pragma unroll 8
    for (int k = 0; k < count; k++) { sum += (float)dout[(size_t)(first + k * step) * OC + o]; }
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

static void add_columns(float* dbias, const Real* dout, int N, int OC) {
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

void matmul_backward_params(float* dweight, float* dbias, const Real* dout, const Real* inp, int N, int C, int OC) {
    product(matrix(dweight, OC, C), turned(dout, N, OC), matrix(inp, N, C), 1.0f);
    if (dbias && N > 0 && OC > 0) { add_columns(dbias, dout, N, OC); }
}
