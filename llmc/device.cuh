// device.cuh -- what the .cu files share: the library handle with its workspace, grid sizes, sums over the threads of a warp or a block.
#ifndef LLMC_DEVICE_CUH
#define LLMC_DEVICE_CUH

#include "cuda_check.h"
#include "real.h"

// The one state that is no argument, made by device_start(). All work is on the default stream, one operation after the other,
// so that they can share the workspace.
typedef struct {
    cublasLtHandle_t blas;
    cublasComputeType_t compute;
    bool fuses_gelu; // products with GELU are faster than a kernel of its own
    void* workspace;
    void* staging;   // of the host: what is on its way to the GPU,
    size_t staged;   // and how many bytes of it
} Device;
extern Device device;
enum { WORKSPACE = 32 << 20, STAGING = 16 << 20 }; // bytes; of the workspace what NVIDIA recommends for Hopper

enum { WARP = 32 };

// Blocks of `size` that cover n.
static inline unsigned blocks_of(size_t n, size_t size) { return (unsigned)((n + size - 1) / size); }

// How many of from, from + step, ... are below end. Of a loop over so many, unrolled, the loads are under way together; one that compares
// each time waits for each.
static __device__ inline int steps_below(int end, int from, int step) { return from < end ? (end - from + step - 1) / step : 0; }

// W neighbouring Reals, moved at once: one, or WIDE, as many as a thread can move. They begin at a multiple of their size.
enum { WIDE = 16 / sizeof(Real) };
template <int W> struct alignas(W * sizeof(Real)) Pack { Real at[W]; };
template <int W> static __device__ inline Pack<W> load(const Real* x) { return *(const Pack<W>*)x; }
template <int W> static __device__ inline void store(Real* x, Pack<W> pack) { *(Pack<W>*)x = pack; }

// The sum, or the largest, of the x of `lanes` neighbouring lanes, in each of them; of a warp. The order is fixed, so equal inputs give equal bits.
template <int lanes, class T> static __device__ inline T lanes_sum(T x) {
    for (int offset = lanes / 2; offset > 0; offset /= 2) { x += __shfl_xor_sync(~0u, x, offset); }
    return x;
}
template <int lanes> static __device__ inline float lanes_max(float x) {
    for (int offset = lanes / 2; offset > 0; offset /= 2) { x = fmaxf(x, __shfl_xor_sync(~0u, x, offset)); }
    return x;
}
template <class T> static __device__ inline T warp_sum(T x) { return lanes_sum<WARP>(x); }
static __device__ inline float warp_max(float x) { return lanes_max<WARP>(x); }

// The sum of x over a block of `threads` threads, in every one of them. All must call it.
template <int threads, class T>
static __device__ inline T block_sum(T x) {
    static_assert(threads % WARP == 0 && threads <= 1024, "whole warps, one block");
    __shared__ T of_warp[threads / WARP];
    for (int offset = WARP / 2; offset > 0; offset /= 2) { x += __shfl_xor_sync(~0u, x, offset); }
    __syncthreads(); // the last call's sums have been read
    if (threadIdx.x % WARP == 0) { of_warp[threadIdx.x / WARP] = x; }
    __syncthreads();
    T sum = 0;
    for (int w = 0; w < threads / WARP; w++) { sum += of_warp[w]; }
    return sum;
}

#endif // LLMC_DEVICE_CUH
