// arena.c -- memory with one lifetime.
#include "arena.h"
#include "check.h"

#include <stdint.h>
#include <string.h>

enum { ALIGN = 256 }; // a vector register, a cache line, and on a GPU a memory transaction

void* arena_take(Arena* a, size_t bytes) {
    size_t at = a->used;
    check(bytes <= SIZE_MAX - ALIGN - at, "a model of more than %zu bytes does not fit into any memory", SIZE_MAX);
    a->used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (a->base == NULL) { return NULL; }
    check(a->used <= a->size, "arena of %zu bytes asked for %zu", a->size, a->used);
    return a->base + at;
}

// Zeroed in parallel, so that every thread touches pages first and the first step is not slower
// than the others.
void arena_alloc(Arena* a, const char* what) {
    enum { PIECE = 1 << 20 };
    a->size = a->used > 0 ? a->used : ALIGN;
    a->used = 0;
    a->base = aligned_alloc(ALIGN, a->size);
    check(a->base != NULL, "out of memory: %zu MiB for %s; use a smaller --batch, --seq or model", a->size >> 20, what);
    #pragma omp parallel for
    for (size_t at = 0; at < a->size; at += PIECE) {
        memset(a->base + at, 0, a->size - at < PIECE ? a->size - at : PIECE);
    }
}

void arena_free(Arena* a) {
    free(a->base);
    *a = (Arena){0};
}
