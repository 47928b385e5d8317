// buffer.cuh -- working memory on the device that grows with what is asked of it.
#ifndef DRPT_BUFFER_CUH
#define DRPT_BUFFER_CUH

#include "../llmc/device.h"

typedef struct { void* data; size_t bytes; } Buffer;

// At least `count` elements, of any content; what was there is lost if the buffer grows. Growing waits for the device, which happens
// in the first step only.
template <class T> static inline T* buffer_take(Buffer* b, size_t count) {
    if (sizeof(T) * count > b->bytes) {
        device_free(b->data);
        b->bytes = sizeof(T) * count;
        b->data = device_alloc(b->bytes, "a basis");
    }
    return (T*)b->data;
}

#endif // DRPT_BUFFER_CUH
