// reward_model.h -- a trained model as the judge of responses: what its scalar head says at their last token.
#ifndef DRPT_REWARD_MODEL_H
#define DRPT_REWARD_MODEL_H

#include "gpt2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    GPT2* model;      // NULL: there is none
    int rows, T;      // at a time, and tokens of one
    float* values;    // (rows,T)
} RewardModel;

// Ends the program unless the checkpoint has a head, the vocabulary of `policy` and a context of T tokens.
RewardModel reward_model_open(const char* path, int seed, const GPT2Config* policy, int rows, int T);
void reward_model_close(RewardModel* r);

// rewards (count) of the first `length` (count) of T tokens each; what stands behind them does not count.
void reward_model_give(RewardModel* r, double* rewards, const int* tokens, const int* length, int count);

#ifdef __cplusplus
}
#endif

#endif // DRPT_REWARD_MODEL_H
