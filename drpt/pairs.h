// pairs.h -- scores of a site from products of pairs of positions; its gradients are never formed.
#ifndef DRPT_PAIRS_H
#define DRPT_PAIRS_H

#include "site.h"
#include "solve.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds the site's part of s (n) and q to the statistics, or of q alone; for linear and token sites. scratch: `floats` of
// them, at least 2 * (n+m)*T.
void gather_pairs(Statistics* statistics, // added to
                  const Site* site, int needs, int n, int m, int T, float* scratch, size_t floats);

// Does that take fewer multiply-adds than forming the gradients of the rows?
int pairs_are_cheaper(const Site* site, int needs, int m, int T);

#ifdef __cplusplus
}
#endif

#endif // DRPT_PAIRS_H
