// direct.h -- the gradients of all rows of a site, formed a slab at a time.
#ifndef DRPT_DIRECT_H
#define DRPT_DIRECT_H

#include "gather.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds what is asked for to the statistics, for any kind of site.
void gather_direct(Statistics* statistics, const Site* site, const Gather* g);

size_t direct_scratch(int n, int m, int T, int widest);

// x (count) /= sqrt(v * correction) + eps: a gradient in the metric that AdamW moves in. x = v where that is given.
void gather_metric(float* x, const float* v, size_t count, const Gather* g);

#ifdef __cplusplus
}
#endif

#endif // DRPT_DIRECT_H
