// device.cu -- see device.h.
#include "device.h"
#include "device.cuh"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Device device;

// bfloat16 is another type of weights and activations, so the program that has it is compiled on its own; it stands beside this one.
#ifdef BF16
static void check_precision(const char* precision) {
    check(precision && strcmp(precision, "bf16") == 0, "--precision %s: this program has bf16 alone; the one without _bf16 in its name has fp32 and tf32, and starts this one",
          precision ? precision : "is missing");
}
void device_program(const char* precision, char** argv) { (void)precision; (void)argv; }
#else
static void check_precision(const char* precision) {
    check(!precision || strcmp(precision, "tf32") == 0 || strcmp(precision, "fp32") == 0, "--precision %s: this program has fp32 and tf32", precision);
}

void device_program(const char* precision, char** argv) {
    char self[4096], path[sizeof(self) + sizeof("_bf16")];
    if (!precision || strcmp(precision, "bf16") != 0) { return; }
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self));
    if (length < 0) { length = snprintf(self, sizeof(self), "%s", argv[0]); }
    check(length < (ssize_t)sizeof(self), "--precision bf16: the path of this program is too long");
    snprintf(path, sizeof(path), "%.*s_bf16", (int)length, self);
    fflush(stdout);
    execv(path, argv);
    die("--precision bf16 is a program of its own, %s, which cannot be started: %s; 'make cuda' builds it", path, strerror(errno));
}
#endif

static __global__ void nothing_kernel(void) {}

// A driver that is too old says so at the first call; a program without code for this GPU would at its first launch.
static void check_gpu(void) {
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    check(error == cudaSuccess && count > 0, "no NVIDIA GPU that can be used: %s", error == cudaSuccess ? "none is there" : cudaGetErrorString(error));
    cudaFuncAttributes code;
    cudaDeviceProp gpu;
    error = cudaFuncGetAttributes(&code, nothing_kernel);
    if (error == cudaSuccess) { return; }
    CUDA(cudaGetDeviceProperties(&gpu, 0));
    die("%s: %s; 'make cuda ARCH=sm_%d%d' compiles this program for it", gpu.name, cudaGetErrorString(error), gpu.major, gpu.minor);
}

void device_start(const char* precision) {
    int generation = 0, tf32 = !precision || strcmp(precision, "tf32") == 0;
    check_precision(precision);
    check_gpu();
    device.compute = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    // Of a product of bfloat16 on Hopper, GELU is a part. Where it is not, as on Ampere, Ada and the smaller Blackwells, and perhaps of floats,
    // cuBLASLt has a second kernel for it, slower than ours.
    CUDA(cudaDeviceGetAttribute(&generation, cudaDevAttrComputeCapabilityMajor, 0));
    device.fuses_gelu = generation == 9 && sizeof(Real) == 2;
    CUBLAS(cublasLtCreate(&device.blas));
    device.workspace = device_alloc(WORKSPACE, "the workspace of matrix products");
    CUDA(cudaMallocHost(&device.staging, STAGING));
}

void* device_alloc(size_t bytes, const char* what) {
    void* p;
    cudaError_t error = cudaMalloc(&p, bytes > 0 ? bytes : 1);
    check(error != cudaErrorMemoryAllocation, "the GPU is out of memory: %zu MiB for %s; use a smaller --batch, --seq or model, or --recompute 1",
          bytes >> 20, what);
    check(error == cudaSuccess, "no memory for %s: %s", what, cudaGetErrorString(error)); // a kernel before it has failed
    return p;
}

void device_free(void* p) { CUDA(cudaFree(p)); }
void device_zero(void* p, size_t bytes) { CUDA(cudaMemsetAsync(p, 0, bytes)); }
void device_copy(void* dst, const void* src, size_t bytes) { CUDA(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice)); }

// What is small goes through memory that the GPU fetches by itself, in its turn, so that the host need not wait for the work before it.
// All that was staged has been fetched once something is read, or written past it: both wait.
void device_write(void* dst, const void* host, size_t bytes) {
    if (bytes > STAGING - device.staged) {
        CUDA(cudaMemcpy(dst, host, bytes, cudaMemcpyHostToDevice));
        device.staged = 0;
        return;
    }
    char* staged = (char*)device.staging + device.staged;
    memcpy(staged, host, bytes);
    device.staged += bytes;
    CUDA(cudaMemcpyAsync(dst, staged, bytes, cudaMemcpyHostToDevice));
}

void device_read(void* host, const void* src, size_t bytes) {
    CUDA(cudaMemcpy(host, src, bytes, cudaMemcpyDeviceToHost));
    device.staged = 0;
}

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

size_t device_real_size(void) { return sizeof(Real); }
int device_threads(void) { return 1; }

// Events are created in the first step and used again in the next.
static void mark(Stopwatch* w) {
    if (w->count == w->room) {
        w->event = (void**)realloc(w->event, sizeof(void*) * (size_t)++w->room);
        check(w->event != NULL, "out of memory for %d events", w->room);
        CUDA(cudaEventCreate((cudaEvent_t*)&w->event[w->count]));
    }
    CUDA(cudaEventRecord((cudaEvent_t)w->event[w->count++], 0));
}

void stopwatch_start(Stopwatch* w) { mark(w); }
void stopwatch_stop(Stopwatch* w) { mark(w); }

double stopwatch_read(Stopwatch* w) {
    double seconds = 0.0;
    if (w->count > 0) { CUDA(cudaEventSynchronize((cudaEvent_t)w->event[w->count - 1])); }
    for (int i = 0; i + 1 < w->count; i += 2) {
        float ms;
        CUDA(cudaEventElapsedTime(&ms, (cudaEvent_t)w->event[i], (cudaEvent_t)w->event[i + 1]));
        seconds += 1e-3 * ms;
    }
    w->count = 0;
    return seconds;
}

void stopwatch_free(Stopwatch* w) {
    for (int i = 0; i < w->room; i++) { CUDA(cudaEventDestroy((cudaEvent_t)w->event[i])); }
    free(w->event);
}
