// policy.h -- objectives on preference pairs: log-probabilities or scores of the batch, and the weights that follow.
//
// A step of such an objective is: what the model says of the batch, weights out of it (llmc/objective.h), and the ordinary backward with
// these weights, so that sites and feasible sets see nothing new. An item is what gets one weight from the regularizer: a pair
// of rows, the better one first, which stand next to each other in the batch.
//
// dpo compares the log-probabilities of the model with those of a frozen reference. A reward model has a scalar head, and the score of a row
// is what that says at the place of the row's last token: the target of its last trained position, which stands one place behind it.
#ifndef DRPT_POLICY_H
#define DRPT_POLICY_H

#include "gpt2.h"
#include "../llmc/batch.h"
#include "../llmc/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    Objective objective;
    GPT2* reference;              // of dpo, as are the next four
    double beta;
    float *logp, *reference_logp; // (rows, T)
    unsigned char* hits;          // (rows, T)
    float *values, *dvalue;       // (rows, T) of reward, as are the next two
    float *score, *dscore, *share; // (rows)
    HeadGradient head;
    unsigned char* usable;        // (rows / 2) of the items
    int* domain;                  // (rows / 2)
    Arena arena;
} Policy;

Objective objective_named(const char* name);
int objective_rows(Objective objective); // of an item: 2 for pairs, else 1

int objective_has_head(Objective objective); // its model has a scalar head

// A frozen model for rows of T tokens, opened as gpt2_create() does; it must have the vocabulary of `model`.
GPT2* reference_open(const char* name, int seed, const GPT2Config* model, int rows, int T);

// Leaves the model as gpt2_forward() does; logp (end-first,T) of the targets of rows [first, end) that are trained on, 0 elsewhere. Their
// weights become 1 there and 0 elsewhere; hits (end-first,T) is overwritten.
void log_probabilities(float* logp, unsigned char* hits, GPT2* model, Batch* b, int first, int end);

// Of an objective on pairs: room for so many rows of T positions. The reference is opened as gpt2_create() does, and must have the vocabulary
// of `model`; reward has none (NULL).
Policy policy_create(Objective objective, const char* reference, int seed, double beta, const GPT2Config* model, int rows, int T);
void policy_free(Policy* p);

// Leaves the model as gpt2_forward() does, of reward as gpt2_hidden(), and gives the rows [first, end) of the batch, counted through its
// micro-batches, their weights. The first `general` of them count share[0] a pair, those behind them share[1]; stats[0] and stats[1] are added to.
// Pairs that are left out are no longer usable. Of reward all weights are 0: what its loss says stands in dscore.
void policy_weigh(Policy* p, GPT2* model, Batch* b, int first, int end, int general, const double share[2], ObjectiveStats stats[2]);

// Then usable and domain of the first micro-batch's items, for the regularizer.
void policy_items(Policy* p, const Batch* b);

// And what the backward of these rows, the first `general` of them general ones, is to be told of the head; NULL: the objective has none.
const HeadGradient* policy_head(Policy* p, const Drpt* d, int rows, int general);

// The shares (rows) of the head's own gradient, where an item is `per` rows and the first general/per of `usable` are the general items: it
// learns from the mean loss of the general items, and from the target where only that trains.
void head_shares(float* share, const Drpt* d, const unsigned char* usable, int per, int rows, int general);

#ifdef __cplusplus
}
#endif

#endif // DRPT_POLICY_H
