// device.c -- see device.h; the arrays are the host's own.
#include "device.h"
#include "check.h"

#include <string.h>

void device_start(const char* precision) {
    check(strcmp(precision, "fp32") == 0, "--precision %s: this trainer computes in fp32; the GPU's has tf32", precision);
}

const char* device_name(void) { return "CPU"; }

void* device_alloc(size_t bytes, const char* what) {
    void* p = malloc(bytes > 0 ? bytes : 1);
    check(p != NULL, "out of memory: %zu MiB for %s", bytes >> 20, what);
    return p;
}

void device_free(void* p) { free(p); }
void device_zero(void* p, size_t bytes) { memset(p, 0, bytes); }
void device_copy(void* dst, const void* src, size_t bytes) { memmove(dst, src, bytes); }
void device_write(void* dst, const void* host, size_t bytes) { memcpy(dst, host, bytes); }
void device_read(void* host, const void* src, size_t bytes) { memcpy(host, src, bytes); }

float* device_open(float* array, size_t count) {
    (void)count;
    return array;
}

void device_shut(float* array, float* opened, size_t count, int write_back) { (void)array; (void)opened; (void)count; (void)write_back; }
