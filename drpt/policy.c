// policy.c -- objectives on the tokens' log-probabilities.
#include "policy.h"
#include "../llmc/check.h"

#include <string.h>

#define NAME(name, ...) #name,
Objective objective_named(const char* name) {
    static const char* const names[] = { OBJECTIVES(NAME) };
    int i = 0;
    while (i < NUM_OBJECTIVES && strcmp(names[i], name) != 0) { i++; }
    check(i < NUM_OBJECTIVES, "--objective %s: there is none of that name", name);
    return (Objective)i;
}

int objective_rows(Objective objective) { return objective == OBJECTIVE_dpo || objective == OBJECTIVE_reward ? 2 : 1; }

static void layout(Policy* p, size_t rows, size_t T) {
    p->logp = arena_take(&p->arena, sizeof(float) * rows * T);
    p->reference_logp = arena_take(&p->arena, sizeof(float) * rows * T);
    p->hits = arena_take(&p->arena, rows * T);
    p->usable = arena_take(&p->arena, rows / 2);
    p->domain = arena_take(&p->arena, sizeof(int) * (rows / 2));
}

GPT2* reference_open(const char* name, int seed, const GPT2Config* model, int rows, int T) {
    GPT2* reference = gpt2_create(name, seed, 0);
    const GPT2Config* c = gpt2_config(reference);
    check(c->vocab_size == model->vocab_size, "--reference %s: has a vocabulary of %d, the model one of %d", name, c->vocab_size, model->vocab_size);
    check(T <= c->max_seq_len, "--reference %s: rows of %d tokens do not fit its context of %d", name, T, c->max_seq_len);
    gpt2_alloc(reference, rows, T, 0, 0, 1); // without a backward, the blocks may share all of their activations
    return reference;
}

Policy policy_create(const char* reference, int seed, double beta, const GPT2Config* model, int rows, int T) {
    Policy p = { .reference = reference_open(reference, seed, model, rows, T), .beta = beta };
    layout(&p, (size_t)rows, (size_t)T);
    arena_alloc(&p.arena, "the log-probabilities");
    layout(&p, (size_t)rows, (size_t)T);
    return p;
}

void policy_free(Policy* p) {
    if (!p->reference) { return; }
    gpt2_free(p->reference);
    arena_free(&p->arena);
}

void log_probabilities(float* logp, unsigned char* hits, GPT2* model, Batch* b, int first, int end) {
    size_t T = (size_t)b->T, at = (size_t)first * T, N = (size_t)(end - first) * T;
    for (size_t n = at; n < at + N; n++) { b->weight[n] = b->mask[n] ? 1.0f : 0.0f; }
    gpt2_forward(model, b->inputs + at, end - first, b->T);
    gpt2_evaluate(model, b->targets + at, b->weight + at, logp, hits, end - first, b->T);
    for (size_t n = 0; n < N; n++) { logp[n] = -logp[n]; }
}

void policy_weigh(Policy* p, GPT2* model, Batch* b, int first, int end, int general, const double share[2], ObjectiveStats stats[2]) {
    size_t T = (size_t)b->T, at = (size_t)first * T, count[2] = { (size_t)general, (size_t)(end - first - general) };
    log_probabilities(p->reference_logp, p->hits, p->reference, b, first, end);
    log_probabilities(p->logp, p->hits, model, b, first, end);
    for (size_t part = 0, row = 0; part < 2; row += count[part++]) {
        Responses r = { b->mask + at + row * T, b->usable + (size_t)first + row, (int)count[part], b->T };
        dpo_weights(b->weight + at + row * T, &stats[part], r, p->logp + row * T, p->reference_logp + row * T, p->beta, share[part]);
    }
}

void policy_items(Policy* p, const Batch* b) {
    for (int i = 0; 2 * i < b->n + b->m; i++) {
        p->usable[i] = b->usable[2 * i];
        p->domain[i] = b->domain[2 * i];
    }
}
