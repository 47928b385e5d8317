// device.h -- the GPU, and memory on it. The host goes through these functions wherever it touches an array of a model; the layers get
// plain pointers.
#ifndef LLMC_DEVICE_H
#define LLMC_DEVICE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Before everything else. precision: fp32, or tf32 for products that round their factors to ten bits; ends the program if the
// device does not know it.
void device_start(const char* precision);

// Each array is a piece of its own, not zeroed; `what` it is for stands in the error if there is no memory.
void* device_alloc(size_t bytes, const char* what);
void device_free(void* p);
void device_zero(void* p, size_t bytes);
void device_copy(void* dst, const void* src, size_t bytes);         // both on the device
void device_write(void* dst, const void* host, size_t bytes);
void device_read(void* host, const void* src, size_t bytes);        // waits for all work before it

#ifdef __cplusplus
}
#endif

#endif // LLMC_DEVICE_H
