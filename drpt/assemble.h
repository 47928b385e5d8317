// assemble.h -- the update of a site from the weights of the batch's rows.
#ifndef DRPT_ASSEMBLE_H
#define DRPT_ASSEMBLE_H

#include "site.h"

#ifdef __cplusplus
extern "C" {
#endif

// dweight and dbias of the site are added sum_b weight[b] G_b over all B rows of the batch. Rows of weight 0 are
// not read. weight (B) is on the device; NULL: every row counts 1. At most `most` rows have a weight other than 0: on a GPU the
// product is that long. scratch: `threads` parts of `part` >= assemble_scratch() floats.
void drpt_assemble(const Site* site, // its dweight and dbias are added to
                   const float* weight, int B, int most, int T, float* scratch, size_t part, int threads);

size_t assemble_scratch(int most, int T, int widest); // floats that one thread needs for any site of at most `widest` columns

// The same from gradients that drpt_gather() kept: dweight and dbias are added sum_i weight[i] g_i + weight[n] t. Gradients of weight 0
// are not read.
void drpt_assemble_kept(const Site* site, // its dweight and dbias are added to
                        const float* weight, const float* kept, int n, int threads);

#ifdef __cplusplus
}
#endif

#endif // DRPT_ASSEMBLE_H
