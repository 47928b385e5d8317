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

Policy policy_create(const char* reference, int seed, double beta, const GPT2Config* model, int rows, int T) {
    Policy p = { .reference = gpt2_create(reference, seed, 0, 0), .beta = beta };
    const GPT2Config* c = gpt2_config(p.reference);
    check(c->vocab_size == model->vocab_size, "--reference %s: has a vocabulary of %d, the model one of %d", reference, c->vocab_size, model->vocab_size);
    check(T <= c->max_seq_len, "--reference %s: rows of %d tokens do not fit its context of %d", reference, T, c->max_seq_len);
    gpt2_alloc(p.reference, rows, T, 0, 0, 1); // without a backward, the blocks may share all of their activations
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

// logp (count,T) of the targets that are trained on, which have a weight that is not 0.
static void log_probabilities(float* logp, Policy* p, GPT2* model, const Batch* b, size_t at, int count) {
    gpt2_forward(model, b->inputs + at, count, b->T);
    gpt2_evaluate(model, b->targets + at, b->weight + at, logp, p->hits, count, b->T);
    for (size_t n = 0; n < (size_t)count * (size_t)b->T; n++) { logp[n] = -logp[n]; }
}

void policy_weigh(Policy* p, GPT2* model, Batch* b, int first, int end, int general, const double share[2], ObjectiveStats stats[2]) {
    size_t T = (size_t)b->T, at = (size_t)first * T, count[2] = { (size_t)general, (size_t)(end - first - general) };
    for (size_t n = at; n < (size_t)end * T; n++) { b->weight[n] = b->mask[n] ? 1.0f : 0.0f; }
    log_probabilities(p->reference_logp, p, p->reference, b, at, end - first);
    log_probabilities(p->logp, p, model, b, at, end - first);
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
