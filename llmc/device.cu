// device.cu -- see device.h.
#include "device.h"
#include "device.cuh"

#include <math.h>
#include <stdlib.h>
#include <string.h>

Device device;

void device_start(const char* precision) {
    int count = 0;
    check(cudaGetDeviceCount(&count) == cudaSuccess && count > 0, "no NVIDIA GPU, or no driver for it");
    int tf32 = strcmp(precision, "tf32") == 0;
    check(tf32 || strcmp(precision, "fp32") == 0, "--precision %s: not built for the GPU yet; fp32 and tf32 are", precision);
    device.compute = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    CUBLAS(cublasLtCreate(&device.blas));
    device.workspace = device_alloc(WORKSPACE, "the workspace of matrix products");
}

void* device_alloc(size_t bytes, const char* what) {
    void* p;
    check(cudaMalloc(&p, bytes > 0 ? bytes : 1) == cudaSuccess, "the GPU is out of memory: %zu MiB for %s; use a smaller --batch, --seq or model, or --recompute 1",
          bytes >> 20, what);
    return p;
}

void device_free(void* p) { CUDA(cudaFree(p)); }
void device_zero(void* p, size_t bytes) { CUDA(cudaMemsetAsync(p, 0, bytes)); }
void device_copy(void* dst, const void* src, size_t bytes) { CUDA(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice)); }
void device_write(void* dst, const void* host, size_t bytes) { CUDA(cudaMemcpy(dst, host, bytes, cudaMemcpyHostToDevice)); }
void device_read(void* host, const void* src, size_t bytes) { CUDA(cudaMemcpy(host, src, bytes, cudaMemcpyDeviceToHost)); }

void* device_open(void* p, size_t bytes) {
    void* host = malloc(bytes > 0 ? bytes : 1);
    check(host != NULL, "out of memory: %zu MiB for a copy of the GPU's", bytes >> 20);
    device_read(host, p, bytes);
    return host;
}

void device_close(void* host, void* p, size_t bytes, int changed) {
    if (changed) { device_write(p, host, bytes); }
    free(host);
}

int device_threads(void) { return 1; }
double device_seconds(void) { return NAN; }
