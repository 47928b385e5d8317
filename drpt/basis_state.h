// basis_state.h -- what a Basis holds; for the files basis*.c and basis*.cu alone.
#ifndef DRPT_BASIS_STATE_H
#define DRPT_BASIS_STATE_H

#include "basis.h"
#include "subspace.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEFT, RIGHT };

// What a refresh finds out of a site; on the device.
typedef struct {
    double total;       // trace of C
    int rank[2];        // of LEFT and RIGHT; 0: nothing is inside
} Found;

typedef struct {
    int dim;
    Block u;            // room for the basis' rank, on the device; main is NULL: all directions, not stored
    double* value;      // (rank) eigenvalues of C, the largest first; on the device
    int* rank;          // in Found. On a GPU the directions and values beyond it are zeros
    int heard;          // the rank as far as the host was told, else -1
} Side;

typedef struct {
    int kind, rows, cols, bias, refreshes;
    Found* found;
    Side side[2];
} State;

typedef struct BasisRoom BasisRoom; // working memory, kept from one call to the next; basis.c and basis.cu have each their own

struct Basis {
    int rank, threads;
    Sides sides;
    double forget;
    uint64_t seed;
    State* state[DRPT_MAX_SITES]; // by the site's index
    BasisRoom* room;
};

State* basis_state_create(const Basis* b, int kind, int rows, int cols, int bias);   // of a site, its ranks 0
State* basis_state_of(const Basis* b, const Site* s);                                // NULL: not refreshed yet
State* basis_state_needed(Basis* b, const Site* s);                                  // created if need be

BasisRoom* basis_room_create(void);
void basis_room_free(BasisRoom* room);

#ifdef __cplusplus
}
#endif

#endif // DRPT_BASIS_STATE_H
