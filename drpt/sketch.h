// sketch.h -- inner products of random projections of a site's gradients (LoGra: Choe et al. 2024, arXiv 2405.13954).
#ifndef DRPT_SKETCH_H
#define DRPT_SKETCH_H

#include "gather.h"

#ifdef __cplusplus
extern "C" {
#endif

// The projections of all sites, by index, and the memory to work in. A site's are made when it is first met, from the seed, its
// index and the side alone.
typedef struct SketchStore SketchStore;

SketchStore* sketch_create(int k, int n, int m, int T, uint64_t seed); // k: most numbers that a side is projected to
void sketch_free(SketchStore* store);                                  // NULL is allowed

// From here on other projections, those of this seed.
void sketch_refresh(SketchStore* store, uint64_t seed);

// Adds what is asked for to the statistics, for linear and token sites, from products of projections.
void gather_sketch(Statistics* statistics, const Site* site, const Gather* g);

// The factor of a side, (length, k) with entries of mean 0 and variance 1/k, of length rows (side 0) or cols, and one more for a
// bias (side 1), on the device; NULL: no more than k long, so that it is left as it is. Valid until the store is refreshed.
const Real* sketch_factor(SketchStore* store, const Site* site, int side);

int sketch_width(const SketchStore* store); // k

#ifdef __cplusplus
}
#endif

#endif // DRPT_SKETCH_H
