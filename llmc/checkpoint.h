// checkpoint.h -- the checkpoints of a run in its folder: model, state, and then an empty DONE file that says that
// both are whole. Names and layout are llm.c's.
#ifndef LLMC_CHECKPOINT_H
#define LLMC_CHECKPOINT_H

#include "gpt2_file.h"

int checkpoint_last(const char* folder);                            // the highest step with a DONE file, -1 without one
char* checkpoint_model(const char* folder, int step);               // the path of its model; the caller frees it
char* checkpoint_basis(const char* folder, int step);               // the path of its bases, which only some runs have
char* checkpoint_round(const char* folder, int step);               // likewise, of its responses
void checkpoint_save(const char* folder, const GPT2Config* config, const RunState* state,
                     const float* params, const float* m, const float* v, size_t num_params);
void checkpoint_remove(const char* folder, int step);

// Moments and state of a step; ends the program unless the run that saved them was set up like `now`.
RunState checkpoint_load_state(const char* folder, const RunState* now, float* m, float* v, size_t num_params);

#endif // LLMC_CHECKPOINT_H
