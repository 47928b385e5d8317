// sampler.h -- choosing the next token.
#ifndef LLMC_SAMPLER_H
#define LLMC_SAMPLER_H

#include "rng.h"

// A token out of V with probability softmax(logits / temperature), among the top_k most likely ones only if
// top_k > 0; temperature 0 takes the most likely one (of equals the first). logits are overwritten.
int sample_token(float* logits, int V, double temperature, int top_k, Rng* rng);

#endif // LLMC_SAMPLER_H
