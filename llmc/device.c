// device.c -- the arrays of a model in the host's own memory.
#include "device.h"
#include "check.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

void device_program(const char* precision, char** argv) { (void)precision; (void)argv; }

void device_start(const char* precision) {
    check(!precision || strcmp(precision, "fp32") == 0, "--precision %s: the CPU has fp32 alone, a GPU the others", precision);
}

void* device_alloc(size_t bytes, const char* what) {
    void* p = malloc(bytes > 0 ? bytes : 1);
    check(p != NULL, "out of memory: %zu MiB for %s; use a smaller --batch, --seq or model", bytes >> 20, what);
    return p;
}

void device_free(void* p) { free(p); }
void device_zero(void* p, size_t bytes) { memset(p, 0, bytes); }
void device_copy(void* dst, const void* src, size_t bytes) { memcpy(dst, src, bytes); }
void device_write(void* dst, const void* host, size_t bytes) { memcpy(dst, host, bytes); }
void device_read(void* host, const void* src, size_t bytes) { memcpy(host, src, bytes); }
void* device_open(void* p, size_t bytes) { (void)bytes; return p; }
void device_close(void* host, void* p, size_t bytes, int changed) { (void)host; (void)p; (void)bytes; (void)changed; }
size_t device_real_size(void) { return sizeof(Real); }
int device_threads(void) { return omp_get_max_threads(); }

void stopwatch_start(Stopwatch* w) { w->began = omp_get_wtime(); }
void stopwatch_stop(Stopwatch* w) { w->seconds += omp_get_wtime() - w->began; }
void stopwatch_free(Stopwatch* w) { (void)w; }

double stopwatch_read(Stopwatch* w) {
    double seconds = w->seconds;
    w->seconds = 0.0;
    return seconds;
}
