// factor.h -- a site's gradient between thin matrices: it is a sum of outer products, so both sides can be
// projected before they are multiplied, and the gradient itself is never formed.
#ifndef DRPT_FACTOR_H
#define DRPT_FACTOR_H

#include "site.h"

#ifdef __cplusplus
extern "C" {
#endif

// G (rows, cols), or (rows, cols + 1) with the bias as its last column, is the sum of the gradients of the batch's rows
// [first, end). A matrix of k directions on its left is left (k,rows); on its right, right (k,cols) and the last column
// right_bias (k), which is read or added to only where the site has a bias, and may be NULL elsewhere.
// scratch: `floats` of them; from site_between_scratch() on, more does not make it faster.

// M (rl,rr) = left G [right | right_bias]'
void site_between(float* M, // overwritten
                  const Site* site, int first, int end, int T, const float* left, int rl,
                  const float* right, const float* right_bias, int rr, float* scratch, size_t floats);

// [out | out_bias] (k,cols + 1) += left G
void site_left(float* out, float* out_bias, // added to
               const Site* site, int first, int end, int T, const float* left, int k, float* scratch, size_t floats);

// out (k,rows) += [right | right_bias] G'
void site_right(float* out, // added to
                const Site* site, int first, int end, int T, const float* right, const float* right_bias, int k,
                float* scratch, size_t floats);

// Floats for up to rl directions on the left and rr on the right (for site_left and site_right the other is 0).
size_t site_between_scratch(const Site* site, int rl, int rr);

// dweight and dbias of the site += G, the ordinary product.
void site_add(const Site* site, int first, int end, int T, float* scratch, size_t floats);

// |G|^2, by forming slabs of it; not finite if G is not. scratch: `threads` parts of site_norm_scratch() floats.
double site_norm2(const Site* site, int first, int end, int T, float* scratch, int threads);
size_t site_norm_scratch(const Site* site, int T);

#ifdef __cplusplus
}
#endif

#endif // DRPT_FACTOR_H
