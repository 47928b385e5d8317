// cuda_check.h -- every CUDA and cuBLASLt call goes through one of these.
#ifndef LLMC_CUDA_CHECK_H
#define LLMC_CUDA_CHECK_H

#include "check.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#define CUDA(call) do { cudaError_t e_ = (call); check(e_ == cudaSuccess, "%s: %s", #call, cudaGetErrorString(e_)); } while (0)
#define CUBLAS(call) do { cublasStatus_t s_ = (call); check(s_ == CUBLAS_STATUS_SUCCESS, "%s: %s", #call, cublasLtGetStatusString(s_)); } while (0)

// After every launch: reports a bad configuration at once and, built with -DSYNC, a fault inside the kernel at the
// kernel's own line.
#ifdef SYNC
#define LAUNCHED() do { CUDA(cudaGetLastError()); CUDA(cudaDeviceSynchronize()); } while (0)
#else
#define LAUNCHED() CUDA(cudaGetLastError())
#endif

#endif // LLMC_CUDA_CHECK_H
