// kept.h -- the gradients of all rows of a site, formed whole and left in memory for the update.
#ifndef DRPT_KEPT_H
#define DRPT_KEPT_H

#include "gather.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds what is asked for to the statistics, for any kind of site but not with NEEDS_ROWS, and leaves g_1..g_n and t in g->kept, one
// after the other: each the weights (rows, cols), then the bias.
void gather_kept(Statistics* statistics, const Site* site, const Gather* g);

#ifdef __cplusplus
}
#endif

#endif // DRPT_KEPT_H
