// gather.h -- inner products of the per-row gradients of a site.
#ifndef DRPT_GATHER_H
#define DRPT_GATHER_H

#include "site.h"
#include "solve.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds the site's part of K (n,n), s (n) and q to the statistics; `needs` says which of them the method asks for.
// scratch: `threads` parts of gather_scratch() floats. The same thread count gives the same bits.
void drpt_gather(Statistics* statistics, // added to
                 const Site* site, int needs, int n, int m, int T, float* scratch, size_t part, int threads);

// Floats that one thread needs for any site of at most `widest` columns.
size_t gather_scratch(int n, int m, int T, int widest);

#ifdef __cplusplus
}
#endif

#endif // DRPT_GATHER_H
