// device.h -- memory where the arrays of a model live: the host's here (device.c), the GPU's there (device.cu).
//
// The host part of a trainer goes through these functions wherever it touches such an array; the layers get plain pointers.
#ifndef LLMC_DEVICE_H
#define LLMC_DEVICE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Before everything else. precision: fp32, or tf32 for products that round their factors to ten bits; ends the program if the
// device does not know it.
void device_start(const char* precision);
const char* device_name(void);

// Each array is a piece of its own, not zeroed; `what` it is for stands in the error if there is no memory.
void* device_alloc(size_t bytes, const char* what);
void device_free(void* p);
void device_zero(void* p, size_t bytes);
void device_copy(void* dst, const void* src, size_t bytes);         // both on the device
void device_write(void* dst, const void* host, size_t bytes);
void device_read(void* host, const void* src, size_t bytes);        // waits for all work before it

// The array for host code: itself where the host can reach it, else a copy; device_shut() frees the copy, after writing it back if
// it was opened for that.
float* device_open(float* array, size_t count);
void device_shut(float* array, float* opened, size_t count, int write_back);

#ifdef __cplusplus
}
#endif

#endif // LLMC_DEVICE_H
