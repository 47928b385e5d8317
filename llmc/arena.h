// arena.h -- memory with one lifetime: taken piece by piece, freed all at once.
//
// A layout function runs twice. The first time the arena has no memory and only adds up what it
// is asked for; arena_alloc() then gets that much in one piece, and the second run hands it out.
#ifndef LLMC_ARENA_H
#define LLMC_ARENA_H

#include <stddef.h>

typedef struct {
    char* base;      // NULL while measuring
    size_t used;     // bytes handed out so far
    size_t size;     // bytes behind base
} Arena;

void* arena_take(Arena* a, size_t bytes);          // NULL while measuring
void arena_alloc(Arena* a, const char* what);      // memory for all that was measured, zeroed; `what` names it in an error
void arena_free(Arena* a);

#endif // LLMC_ARENA_H
