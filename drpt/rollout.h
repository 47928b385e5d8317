// rollout.h -- what a model answers to prompts, many at a time: rows of tokens with the log-probabilities of those that were sampled.
#ifndef DRPT_ROLLOUT_H
#define DRPT_ROLLOUT_H

#include "gpt2.h"
#include "../llmc/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

// A row is a prompt and what was sampled after it: until `end`, which is then its last token and counts as sampled, or until `most`
// tokens were sampled or the row has T. Since a full context of the model still has a next token, T is at most one more than
// the context.
typedef struct {
    int rows, T;
    int* tokens;                // (rows,T) zeros behind a row's end
    unsigned char* mask;        // (rows,T) 1 on sampled tokens
    float* log_prob;            // (rows,T) of each sampled token, as the model has it (sampler.h); zeros elsewhere
    int *prompt, *length;       // (rows) tokens of the prompt; of the row
    unsigned char* ended;       // (rows) 1: by `end`; 0: cut, or not done yet

    Sampling sampling;          // this and the next two are the caller's to set, before the prompts
    int most;                   // tokens that are sampled in a row
    int end;                    // the token that ends a text; -1: there is none

    int width;                  // rows at a time, in as many rows of the decoder
    int running, *row, *place;  // the first `running` of (width): which rows they are and where in the decoder they are kept;
                                // the other places are free
    int waiting, *queue;        // (rows) those with a prompt and not yet running, the first first
    Rng* rng;                   // (rows)
    int *fed, *fed_row, *fed_place; // (width * T) positions on their way to the decoder
    float* weight;              // (width,V)
    Decoder* decoder;
} Rollouts;

// For `rows` prompts, `width` of them at a time: whenever a row is done, the next takes its place.
Rollouts rollouts_create(const GPT2Config* model, int rows, int T, int width);
void rollouts_free(Rollouts* r);

// Rows without prompts. Row i will use the random numbers of (seed, stream, first + i), one for each token: what it becomes depends on
// them and its prompt, not on the number of threads, and on the CPU to the last bit not on `width` or the other rows; on a GPU, where a
// product's rounding depends on its size, only as far as a choice is not that close.
void rollouts_begin(Rollouts* r, uint64_t seed, uint64_t stream, uint64_t first);

// A prompt of at most T tokens for a row that is new or done, from anywhere or the row itself; its random numbers go on where they
// were. An empty one becomes `end`: a text from its beginning. A prompt that a running row begins
// with is not computed again, so those of a group are best given one after another.
void rollouts_prompt(Rollouts* r, int row, const int* tokens, int count);

// One token more for each of `width` rows; returns how many rows are not done. Call it until that is 0. The model stays as it is until then.
int rollouts_step(Rollouts* r, const GPT2* model);

#ifdef __cplusplus
}
#endif

#endif // DRPT_ROLLOUT_H
