// basis_room.h -- working memory of the cached bases on the CPU, and what their projections and refreshes share.
#ifndef DRPT_BASIS_ROOM_H
#define DRPT_BASIS_ROOM_H

#include "basis_state.h"
#include "../llmc/arena.h"

struct BasisRoom {
    Arena arena;        // of one call
    unsigned char* use; // (n) rows that a refresh counts, n the most so far
    int n;
};

Arena* basis_room(Basis* b, Arena measured);                                         // as large at least, empty; until the next call
double basis_inside_norm2(Basis* b, const Site* s, int first, int end, int T);       // |P(t)|^2 alone

#endif // DRPT_BASIS_ROOM_H
