// faults.cu -- one planted fault per name: each has to be caught. faults.sh says by which message.
#include "../../llmc/cuda_check.h"
#include "../../llmc/device.cuh"
#include "../../llmc/mma.cuh"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 256 };

// x[i] = the sum of x: right if `barriers` stand where they should.
template <bool before, bool after>
static __global__ void sum_kernel(float* out, const float* x) {
    __shared__ float of_warp[N / WARP];
    float total = 0.0f;
    for (int round = 0; round < 2; round++) {
        float v = x[threadIdx.x] + (float)round;
        for (int offset = 16; offset > 0; offset /= 2) { v += __shfl_xor_sync(~0u, v, offset); }
        if (before) { __syncthreads(); }
        if (threadIdx.x % WARP == 0) { of_warp[threadIdx.x / WARP] = v; }
        if (after) { __syncthreads(); }
        for (int w = 0; w < N / WARP; w++) { total += of_warp[w]; }
    }
    out[threadIdx.x] = total;
}

static __global__ void copy_kernel(float* out, const float* x, int shift, int limit) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < limit) { out[i] = x[i + shift]; }
}

static __global__ void write_kernel(float* out, int at) { out[at] = 1.0f; }
static __global__ void add_kernel(float* out, const float* x) { out[threadIdx.x] = x[threadIdx.x] + 1.0f; }
static __global__ void select_kernel(float* out, const __nv_bfloat16* x) {
    float v = (float)x[threadIdx.x];
    out[threadIdx.x] = threadIdx.x < N ? 1.0f : v; // read, never used
}
// A warp of which lane 31 stays away.
static __global__ void mma_kernel(float* out) {
    float d[4] = {0.0f};
    const uint32_t a[4] = {0}, b[2] = {0};
    if (threadIdx.x < 31) { mma_16x8x16(d, a, b); }
    out[threadIdx.x] = d[0];
}
static __global__ void shuffle_kernel(float* out, unsigned mask, int offset) {
    float v = (float)threadIdx.x;
    if (threadIdx.x % WARP < 16) { v += __shfl_down_sync(mask, v, offset, 16); }
    out[threadIdx.x] = v;
}
static __global__ void wide_shuffle_kernel(float* out) {
    float v = (float)threadIdx.x;
    if (threadIdx.x % WARP < 16) { v += __shfl_sync(0xffffu, v, 20); }
    out[threadIdx.x] = v;
}
static __global__ void divergent_kernel(float* out, int last) {
    if ((int)threadIdx.x < last) { __syncthreads(); }
    out[threadIdx.x] = 1.0f;
}
static __global__ void branches_kernel(float* out) {
    if (threadIdx.x < 32) { __syncthreads(); }
    else { __syncthreads(); }
    out[threadIdx.x] = 1.0f;
}
static __global__ void dynamic_kernel(float* out, int n) {
    extern __shared__ float rows[];
    for (int i = threadIdx.x; i < n; i += blockDim.x) { rows[i] = 1.0f; }
    __syncthreads();
    out[threadIdx.x] = rows[threadIdx.x];
}
static __global__ void stale_shared_kernel(float* out) {
    __shared__ float kept;
    if (blockIdx.x == 0 && threadIdx.x == 0) { kept = 1.0f; }
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = kept + 1.0f;
}
static __global__ void shared_past_kernel(float* out, int n) {
    __shared__ float a[N], b[N];
    for (int i = threadIdx.x; i < n; i += blockDim.x) { a[i] = b[i] = 1.0f; }
    __syncthreads();
    out[threadIdx.x] = a[threadIdx.x] + b[threadIdx.x];
}
static __global__ void vector_kernel(float* out, const float* x) {
    const float4* v = (const float4*)(x + threadIdx.x);
    out[threadIdx.x] = v->x + v->w;
}
// Each lane reads what its neighbour wrote; only __syncwarp orders that, a shuffle does not.
template <bool sync> static __global__ void warp_order_kernel(float* out) {
    __shared__ float seat[N];
    seat[threadIdx.x] = (float)threadIdx.x;
    if (sync) { __syncwarp(); } else { (void)__shfl_sync(~0u, 1, 0); }
    out[threadIdx.x] = seat[threadIdx.x ^ 1];
}
struct Hidden { const float* x; };
static __global__ void struct_kernel(float* out, Hidden hidden) { out[threadIdx.x] = hidden.x[threadIdx.x]; }
static __global__ void lost_update_kernel(float* out) { out[0] += 1.0f; }
static __global__ void atomic_kernel(float* out) { atomicAdd(out, 1.0f); }
static __global__ void between_blocks_kernel(float* out) { // reads what the block before wrote
    if (threadIdx.x == 0) { out[blockIdx.x] = blockIdx.x == 0 ? 1.0f : out[blockIdx.x - 1] + 1.0f; }
}
static __device__ float deep(float* out, int depth) {
    volatile float frame[4096];
    for (int i = 0; i < 4096; i++) { frame[i] = (float)depth; }
    return depth ? deep(out, depth - 1) + frame[depth] : out[0];
}
static __global__ void deep_kernel(float* out, int depth) { out[1] = deep(out, depth); }

static float *out, *x, host[N];

static void read_back(void) {
    CUDA(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
    float sum = 0.0f;
    for (int i = 0; i < N; i++) { sum += host[i]; }
    printf("sum %g\n", sum);
}

int main(int argc, char** argv) {
    const char* fault = argc > 1 ? argv[1] : "none";
    auto is = [fault](const char* name) { return strcmp(fault, name) == 0; };
    for (int i = 0; i < N; i++) { host[i] = (float)(i % 7); }
    CUDA(cudaMalloc(&out, sizeof(host)));
    CUDA(cudaMalloc(&x, sizeof(host)));
    CUDA(cudaMemcpy(x, host, sizeof(host), cudaMemcpyHostToDevice));
    if (is("none")) { sum_kernel<true, true><<<1, N>>>(out, x); }
    if (is("barrier-before")) { sum_kernel<false, true><<<1, N>>>(out, x); }
    if (is("barrier-after")) { sum_kernel<true, false><<<1, N>>>(out, x); }
    if (is("read-past")) { copy_kernel<<<1, N>>>(out, x, 1, N); }
    if (is("read-before")) { copy_kernel<<<1, N>>>(out, x, -1025, N); }
    if (is("write-past")) { write_kernel<<<1, 1>>>(out, N); }
    if (is("write-before")) { write_kernel<<<1, 1>>>(out, -1); }
    if (is("freed")) { CUDA(cudaFree(x)); float** y = &x; copy_kernel<<<1, N>>>(out, *y, 0, N); }
    if (is("host-argument")) { copy_kernel<<<1, N>>>(out, host, 0, N); }
    if (is("host-struct")) { float* heap = (float*)calloc(N, sizeof(float)); struct_kernel<<<1, N>>>(out, Hidden{ heap }); }
    if (is("forked") && fork() == 0) { CUDA(cudaMemset(out, 0, sizeof(host))); _exit(0); }
    if (is("forked")) { int status; wait(&status); return WEXITSTATUS(status); }
    if (is("copy-changed") || is("copy-waited") || is("copy-pageable")) {
        float* lent = host;
        if (!is("copy-pageable")) { CUDA(cudaMallocHost((void**)&lent, sizeof(host))); memset(lent, 0, sizeof(host)); }
        CUDA(cudaMemcpyAsync(out, lent, sizeof(host), cudaMemcpyHostToDevice));
        if (is("copy-waited")) { CUDA(cudaDeviceSynchronize()); }
        lent[3] = 1.0f;
    }
    if (is("unwritten")) { copy_kernel<<<1, N>>>(out, x, 0, N - 1); }
    if (is("read-unwritten-bf16")) { select_kernel<<<1, N>>>(x, (const __nv_bfloat16*)out); CUDA(cudaMemset(out, 0, sizeof(host))); }
    if (is("mma-absent")) { mma_kernel<<<1, 32>>>(out); CUDA(cudaMemset(out, 0, sizeof(host))); }
    if (is("read-unwritten")) { add_kernel<<<1, N>>>(x, out); CUDA(cudaMemset(out, 0, sizeof(host))); }
    if (is("mask-absent")) { shuffle_kernel<<<1, 64>>>(out, ~0u, 1); }
    if (is("mask-self")) { shuffle_kernel<<<1, 64>>>(out, 0xff00u, 1); }
    if (is("mask-source")) { wide_shuffle_kernel<<<1, 64>>>(out); }
    if (is("mask-short-block")) { sum_kernel<true, true><<<1, 16>>>(out, x); }
    if (is("divergent")) { divergent_kernel<<<1, N>>>(out, 200); }
    if (is("branches")) { branches_kernel<<<1, N>>>(out); }
    if (is("dynamic-past")) { dynamic_kernel<<<1, N, N * sizeof(float)>>>(out, N + 1); }
    if (is("shared-past")) { shared_past_kernel<<<1, N>>>(out, N + 1); }
    if (is("misaligned")) { vector_kernel<<<1, N - 4>>>(out, x); }
    if (is("dynamic-large")) { dynamic_kernel<<<1, N, 64 << 10>>>(out, N); LAUNCHED(); }
    if (is("stale-shared")) { stale_shared_kernel<<<2, N / 2>>>(out); }
    if (is("lost-update")) { CUDA(cudaMemset(out, 0, sizeof(host))); lost_update_kernel<<<1, N>>>(out); }
    if (is("atomic")) { CUDA(cudaMemset(out, 0, sizeof(host))); atomic_kernel<<<4, N>>>(out); }
    if (is("warp-sync")) { warp_order_kernel<true><<<1, N>>>(out); }
    if (is("warp-order")) { warp_order_kernel<false><<<1, N>>>(out); }
    if (is("between-blocks")) { between_blocks_kernel<<<N, 32>>>(out); }
    if (is("deep")) { CUDA(cudaMemset(out, 0, sizeof(host))); deep_kernel<<<1, 1>>>(out, 1000); }
    if (is("block-size")) { copy_kernel<<<1, 2048>>>(out, x, 0, N); LAUNCHED(); }
    if (is("host-reads")) { printf("%g\n", out[3]); }
    if (is("host-writes")) { memset(out, 0, 8); }
    if (is("copy-past")) { CUDA(cudaMemset(out, 0, sizeof(host) + 1)); }
    if (is("copy-direction")) { CUDA(cudaMemcpy(out, host, sizeof(host), cudaMemcpyDeviceToHost)); }
    read_back();
    return 0;
}
