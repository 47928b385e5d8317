// basis.h -- cached low-rank bases of the general gradients, and a target gradient inside or outside of them.
//
// Of each site, U (rank,rows) spans the left singular directions and V (rank,cols + bias) the right ones of what the general
// rows' gradients g_i have had in common lately, in the second moments
//     C_L = sum_i g_i g_i' + forget * (C_L of the refresh before),   C_R likewise of g_i' g_i.
// With the orthogonal projector P(t) = U'U t V'V (of one side: the other is left as it is) the update is
//     inside:  u = P(t)         what general data moves as well: regularise
//     outside: u = t - P(t)     what it does not: protect
// Between refreshes no general row is needed. A side of no more than `rank` dimensions is projected on all of them, and not stored.
#ifndef DRPT_BASIS_H
#define DRPT_BASIS_H

#include "site.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// --sides
#define DRPT_SIDES(X) X(left) X(right) X(both)
#define SIDES_ENUM(name) SIDES_##name,
typedef enum { DRPT_SIDES(SIDES_ENUM) NUM_SIDES } Sides;
#undef SIDES_ENUM

typedef struct Basis Basis;

typedef struct {
    int rank_left, rank_right;          // directions kept; those of a side that is not projected are all of its dimensions
    double overlap_left, overlap_right; // |U_old U_new'|_F^2 / rank: 1 the same space, 0 another; NaN the first time
    double energy;                      // of these rows' sum of |g_i|^2, the part inside of the new basis; NaN without any
    int dropped;                        // rows left out: a gradient with a NaN or Inf in it
} BasisReport;

// forget in [0,1]: what is left of the past at a refresh. Memory for a site is taken at its first refresh; a later call takes
// more only if its rows are more or longer. The same thread count gives the same bits.
Basis* basis_create(int rank, Sides sides, double forget, uint64_t seed, int threads);
void basis_free(Basis* basis);

// From the gradients of the batch's rows 0..n-1 that are usable (NULL: all). usable and report are on the device, as the site's arrays are.
// A GPU does several sites at once: until basis_refresh_end() the factors of the sites must stay as they are, and bases and reports are not
// to be read.
void basis_refresh(Basis* basis, const Site* site, int n, int T, const unsigned char* usable, BasisReport* report);
void basis_refresh_end(Basis* basis);

// The ranks of a site's last report, once the host has read it: the next refresh is then cheaper on a GPU. Nothing else changes.
void basis_heard(Basis* basis, int index, const BasisReport* report);

// dweight and dbias of the site are added P(t), or t - P(t), for t the sum of the rows [first, end). *norm2, on the device, is set to
// |P(t)|^2 = <P(t),t>; if that is not finite, nothing is added. The site must have been refreshed before.
void basis_inside(Basis* basis, const Site* site, int first, int end, int T, double* norm2);
void basis_outside(Basis* basis, const Site* site, int first, int end, int T, double* norm2);

// All sites' bases, to go on from bit for bit. Reading ends the program unless the file is whole and was written with the same
// rank, sides, forgetting factor and seed; that a basis fits its site is checked when it is used.
void basis_write(const Basis* basis, const char* path);
void basis_read(Basis* basis, const char* path); // just created

#ifdef __cplusplus
}
#endif

#endif // DRPT_BASIS_H
