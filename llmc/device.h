// device.h -- where the arrays of a model stand: in memory that device.c takes from the host, or on a GPU (device.cu). The host goes
// through these functions wherever it touches such an array; the layers get plain pointers.
#ifndef LLMC_DEVICE_H
#define LLMC_DEVICE_H

#include "real.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where another program computes in this precision: starts it in the place of this one, with the same arguments, and does not return.
void device_program(const char* precision, char** argv);

// Before everything else. precision: fp32; on a GPU also tf32, products that round their factors to ten bits, and bf16; NULL: the device's
// own, fp32 or (a GPU) tf32. Ends the program if this device, or this program, does not know it.
void device_start(const char* precision);

// Each array is a piece of its own, not zeroed; `what` it is for stands in the error if there is no memory.
void* device_alloc(size_t bytes, const char* what);
void device_free(void* p);                                          // NULL is allowed
void device_zero(void* p, size_t bytes);
void device_copy(void* dst, const void* src, size_t bytes);         // both on the device
void device_write(void* dst, const void* host, size_t bytes);       // host may change once it returns
void device_read(void* host, const void* src, size_t bytes);        // waits for all work before it

// An array where the host can read and write it: the array itself, or a copy of it, which device_close() puts back if it was `changed`.
void* device_open(void* p, size_t bytes);
void device_close(void* host, void* p, size_t bytes, int changed);

// Bytes of a Real on this device, and x + count: C code, which only passes Reals on, takes them for floats.
size_t device_real_size(void);
static inline const Real* device_reals(const Real* x, ptrdiff_t count) {
    return (const Real*)(const void*)((const char*)x + count * (ptrdiff_t)device_real_size());
}

// Threads of the host that work on such arrays: 1 where only the device does.
int device_threads(void);

// How long the device works on what is called between start and stop, all such times together. Zeroed at first. A GPU is not waited for
// before the reading.
typedef struct {
    double began, seconds;   // of the host's clock
    void** event;            // a GPU's: (count) a start, a stop, and so on
    int count, room;
} Stopwatch;
void stopwatch_start(Stopwatch* w);
void stopwatch_stop(Stopwatch* w);
double stopwatch_read(Stopwatch* w); // seconds since the last reading
void stopwatch_free(Stopwatch* w);

#ifdef __cplusplus
}
#endif

#endif // LLMC_DEVICE_H
