// basis_room.cuh -- working memory of the cached bases on the GPU, which their projections and refreshes share.
#ifndef DRPT_BASIS_ROOM_CUH
#define DRPT_BASIS_ROOM_CUH

#include "basis_state.h"
#include "factor.cuh"
#include "subspace.cuh"

// What one call passes from kernel to kernel.
typedef struct {
    double fresh, sum;      // the rows' sum of |g_i|^2; |P(t)|^2, or |t|^2
    double overlap[2];
    int dropped, adds;      // adds: whether P(t) is added
} Passing;

// A site on its way to a new basis, until the eigenvectors of all that wait are found at once.
typedef struct {
    Site site;
    State* state;
    int n, T;
    BasisReport* report;
    Buffer passing, use, norm2;             // a Passing; of the rows of the batch
    Buffer x[2], H[2], E[2];                // of each side: its directions, C between them, and the eigenvectors of that
} Waiting;

enum { MOST_WAITING = 16 };

struct BasisRoom {
    Factors factors;
    SubspaceRoom subspace;
    Passing* passing;
    Waiting waiting[MOST_WAITING];
    int count;                              // of those that wait
    Buffer use, inside;                     // of the rows of the batch
    Buffer y, other, across;                // directions
    Buffer past, turn, order, random;
    Buffer middle, wide;
};

// A block of k directions of a side of the site, `count` times.
Block basis_block(Buffer* room, const State* st, int side, int k, int count);

#endif // DRPT_BASIS_ROOM_CUH
