// sketch_store.h -- what sketch.c keeps, for those who project with it.
#ifndef DRPT_SKETCH_STORE_H
#define DRPT_SKETCH_STORE_H

#include "sketch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    Real* factor[2];    // on the device, like all arrays here
    int length[2];
    int fresh;          // made from the seed of now
} Projection;

struct SketchStore {
    int k, n, m, T;
    uint64_t seed;
    Projection site[DRPT_MAX_SITES];
    float *drawn;       // the host's: a factor before it is copied
    size_t room;        // floats of it
    float *side[2];     // ((n+m)*T, k): projected factors of all positions
    float *vector;      // (n+m+1, k*k)
};

// The site's, made if it is not.
const Projection* sketch_projection(SketchStore* store, const Site* site);

// to (count), on the device, = x, which are the host's.
void sketch_copy(Real* to, const float* x, size_t count);

#ifdef __cplusplus
}
#endif

#endif // DRPT_SKETCH_STORE_H
