// tokens.h -- scores of a site from its target gradient and the general positions.
#ifndef DRPT_TOKENS_H
#define DRPT_TOKENS_H

#include "gather.h"

#ifdef __cplusplus
extern "C" {
#endif

// Adds q, and s or, with a metric, score to the statistics, for linear and token sites.
void gather_tokens(Statistics* statistics, const Site* site, const Gather* g);

size_t tokens_scratch(int n, int m, int T, int widest);

#ifdef __cplusplus
}
#endif

#endif // DRPT_TOKENS_H
