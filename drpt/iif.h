// iif.h -- influence filtering, the published baseline: once a round, before anything is learnt from it, each response is scored against
// the target's gradient, and those with a negative score are left out. Then the round is ordinary training.
//
// score_i = <g_i, t> over all parameters, under the policy that sampled the round. g_i is the gradient of response i alone: REINFORCE with the
// objective's advantages, the mean over its tokens, without clipping, values and divergence. t is that of all target responses at hand, as
// --target-objective says; in self-reference of all responses of the round, and with --leave-one-out less response i's own
// part. However many steps the round has, that takes one forward and backward of each target response, and one of each of the others, or
// two where its own part is to be known.
#ifndef DRPT_IIF_H
#define DRPT_IIF_H

#include "drpt.h"
#include "../llmc/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

struct Run;

typedef struct Iif {
    Drpt gradient, scorer;    // forms t; scores rows against it
    Batch batch;              // of a pass: the scorer's rows; the same memory for those of t
    float *values, *dvalue, *share; // of ppo: of a pass (rows, T), (rows, T), (rows), the last zeros; else NULL
    double* score;            // of the round's general rows; NAN: not usable, or no number
} Iif;

// most: rows that the model has memory for, two at least.
Iif* iif_create(const struct Run* run, int rows, int most);
void iif_free(Iif* f);

// Of the general rows of the round at hand those with a negative score, or none, are no longer usable. The gradients, which must be
// zero, are so afterwards.
void iif_filter(struct Run* run);

#ifdef __cplusplus
}
#endif

#endif // DRPT_IIF_H
