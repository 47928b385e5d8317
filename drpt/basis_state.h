// basis_state.h -- what a Basis holds; for basis.c, basis_refresh.c and basis_file.c alone.
#ifndef DRPT_BASIS_STATE_H
#define DRPT_BASIS_STATE_H

#include "basis.h"
#include "subspace.h"
#include "../llmc/arena.h"

enum { LEFT, RIGHT };

typedef struct {
    int dim, rank;      // rank 0: nothing is inside
    Block u;            // room for the basis' rank; main is NULL: all directions, not stored
    double* value;      // (rank) eigenvalues of C, the largest first
} Side;

typedef struct {
    int kind, rows, cols, bias, refreshes;
    double total;       // trace of C
    Side side[2];
} State;

struct Basis {
    int rank, threads;
    Sides sides;
    double forget;
    uint64_t seed;
    State* state[DRPT_MAX_SITES]; // by the site's index
    Arena arena;                  // working memory of one call
    unsigned char* use;           // (n) rows that a refresh counts, n the most so far
    int n;
};

State* basis_state_create(const Basis* b, int kind, int rows, int cols, int bias);   // of a site, its ranks 0
State* basis_state_of(const Basis* b, const Site* s);                                // NULL: not refreshed yet
Arena* basis_room(Basis* b, Arena measured);                                         // as large at least, empty; until the next call
double basis_inside_norm2(Basis* b, const Site* s, int first, int end, int T);       // |P(t)|^2 alone

#endif // DRPT_BASIS_STATE_H
