// pairs.h -- inner products of a site from products of pairs of positions; its gradients are never formed.
#ifndef DRPT_PAIRS_H
#define DRPT_PAIRS_H

#include "gather.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds what is asked for to the statistics, for linear and token sites.
void gather_pairs(Statistics* statistics, const Site* site, const Gather* g);

size_t pairs_scratch(int n, int m, int T, int widest);

// How many pairs of positions that multiplies, and how many positions it takes at a time on the CPU.
double pairs_count(const Gather* g);
double pairs_panel(const Site* site, const Gather* g);

#ifdef __cplusplus
}
#endif

#endif // DRPT_PAIRS_H
