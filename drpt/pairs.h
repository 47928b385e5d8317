// pairs.h -- scores of a site from products of pairs of positions; its gradients are never formed.
#ifndef DRPT_PAIRS_H
#define DRPT_PAIRS_H

#include "site.h"
#include "solve.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds the site's part of s (n) and q to the statistics; for linear and token sites. scratch: `floats` of them, at
// least 2 * (n+m)*T.
void drpt_gather_pairs(Statistics* statistics, // added to
                       const Site* site, int n, int m, int T, float* scratch, size_t floats);

// Multiply-adds that this takes, and that forming the gradients takes instead.
double pairs_cost(const Site* site, int n, int m, int T);
double slabs_cost(const Site* site, int n, int m, int T);

#ifdef __cplusplus
}
#endif

#endif // DRPT_PAIRS_H
