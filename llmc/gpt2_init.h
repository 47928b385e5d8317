// gpt2_init.h -- the parameters that a model begins with.
#ifndef LLMC_GPT2_INIT_H
#define LLMC_GPT2_INIT_H

#include "gpt2_tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

// The model that `init` names, a checkpoint or sizes for random weights: its sizes and tensors. `file` is the open checkpoint; without one its
// `file` is NULL. with_head 1: the model gets a scalar head, unless the file has one; 0: it has what the file has.
typedef struct {
    ModelFile file;
    GPT2Config config;
    Tensor tensor[NUM_TENSORS];
    size_t num_params;
    size_t given;   // how many of them the file has: all, or all but the head's
} GPT2Init;
GPT2Init gpt2_init_open(const char* init, int with_head);

// Its parameters (num_params), and the end of the file. Random ones are normal with deviation 0.02, and 0.02 / sqrt(2L) for what adds to the
// residual stream, as GPT-2 has it; rows of the padded vocabulary are zero, as is a head that the file has not. Each matrix has a random stream of its own.
void gpt2_init(const GPT2Init* g, float* params, int seed);

#ifdef __cplusplus
}
#endif

#endif // LLMC_GPT2_INIT_H
