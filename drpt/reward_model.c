// reward_model.c -- a trained model as the judge of responses.
#include "reward_model.h"
#include "../llmc/check.h"

RewardModel reward_model_open(const char* path, int seed, const GPT2Config* policy, int rows, int T) {
    RewardModel r = { .model = gpt2_create(path, seed, 0, 0), .rows = rows, .T = T };
    const GPT2Config* c = gpt2_config(r.model);
    check(c->head, "--reward-model %s: has no head that gives scores; --objective reward trains one", path);
    check(c->vocab_size == policy->vocab_size, "--reward-model %s: has a vocabulary of %d, the model one of %d", path, c->vocab_size, policy->vocab_size);
    check(T <= c->max_seq_len, "--reward-model %s: rows of %d tokens do not fit its context of %d", path, T, c->max_seq_len);
    gpt2_alloc(r.model, rows, T, 0, 0, 1); // without a backward, the blocks may share all of their activations
    r.values = malloc(sizeof(float) * (size_t)rows * (size_t)T);
    check(r.values != NULL, "out of memory for the scores of %d responses", rows);
    return r;
}

void reward_model_close(RewardModel* r) {
    if (r->model) { gpt2_free(r->model); }
    free(r->values);
    *r = (RewardModel){0};
}

void reward_model_give(RewardModel* r, double* rewards, const int* tokens, const int* length, int count) {
    for (int first = 0; first < count; first += r->rows) {
        int rows = count - first < r->rows ? count - first : r->rows;
        gpt2_hidden(r->model, tokens + (size_t)first * (size_t)r->T, rows, r->T);
        gpt2_values(r->model, r->values, rows, r->T);
        for (int i = 0; i < rows; i++) { rewards[first + i] = r->values[i * r->T + length[first + i] - 1]; }
    }
}
