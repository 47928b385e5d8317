// policy.h -- objectives on the tokens' log-probabilities: those of the model and of a frozen reference, and the weights that follow.
//
// A step of such an objective is: log-probabilities of the batch, weights out of them (llmc/objective.h), and the ordinary backward with
// these weights, so that sites and feasible sets see nothing new. An item is what gets one weight from the regularizer: a pair
// of rows, the better one first, which stand next to each other in the batch.
#ifndef DRPT_POLICY_H
#define DRPT_POLICY_H

#include "gpt2.h"
#include "../llmc/batch.h"
#include "../llmc/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    GPT2* reference;              // NULL: the objective does without, and with all of this
    double beta;
    float *logp, *reference_logp; // (rows, T)
    unsigned char* hits;          // (rows, T)
    unsigned char* usable;        // (rows / 2) of the items
    int* domain;                  // (rows / 2)
    Arena arena;
} Policy;

Objective objective_named(const char* name);
int objective_rows(Objective objective); // of an item: 2 for pairs, else 1

// A frozen model for rows of T tokens, opened as gpt2_create() does; it must have the vocabulary of `model`.
GPT2* reference_open(const char* name, int seed, const GPT2Config* model, int rows, int T);

// Leaves the model as gpt2_forward() does; logp (end-first,T) of the targets of rows [first, end) that are trained on, 0 elsewhere. Their
// weights become 1 there and 0 elsewhere; hits (end-first,T) is overwritten.
void log_probabilities(float* logp, unsigned char* hits, GPT2* model, Batch* b, int first, int end);

// Room for so many rows of T positions.
Policy policy_create(const char* reference, int seed, double beta, const GPT2Config* model, int rows, int T);
void policy_free(Policy* p);

// Leaves the model as gpt2_forward() does, and gives the rows [first, end) of the batch, counted through its micro-batches, their weights.
// The first `general` of them count share[0] a pair, those behind them share[1]; stats[0] and stats[1] are added to. Pairs that are left
// out are no longer usable.
void policy_weigh(Policy* p, GPT2* model, Batch* b, int first, int end, int general, const double share[2], ObjectiveStats stats[2]);

// Then usable and domain of the first micro-batch's items, for the regularizer.
void policy_items(Policy* p, const Batch* b);

#ifdef __cplusplus
}
#endif

#endif // DRPT_POLICY_H
