// sampler.h -- choosing the next token.
#ifndef LLMC_SAMPLER_H
#define LLMC_SAMPLER_H

#include "rng.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of the top_k most likely tokens (0: all), the fewest most likely ones that have at least top_p of their probability together
// (1: all), each with probability softmax(logits / temperature) among what is left. Of equals the first are kept. temperature 0: the
// most likely token.
typedef struct {
    double temperature, top_p;
    int top_k;
} Sampling;

// A token out of V; one number of rng is used, none at temperature 0. -1 if the logits give no probabilities: one is NaN or
// infinite, or all are minus infinity. log_prob is log softmax(logits)[token]: of the model itself, at temperature 1 and without top_k
// and top_p, which is what a policy gradient is about. weight (V) is overwritten: what each token weighs.
int sample_token(const float* logits, int V, Sampling how, Rng* rng, float* weight, float* log_prob);

#ifdef __cplusplus
}
#endif

#endif // LLMC_SAMPLER_H
