// policy.c -- objectives on preference pairs.
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
int objective_has_head(Objective objective) { return objective == OBJECTIVE_reward || objective == OBJECTIVE_ppo; }

static void layout(Policy* p, size_t rows, size_t T) {
    if (p->reference) {
        p->logp = arena_take(&p->arena, sizeof(float) * rows * T);
        p->reference_logp = arena_take(&p->arena, sizeof(float) * rows * T);
        p->hits = arena_take(&p->arena, rows * T);
    } else {
        p->values = arena_take(&p->arena, sizeof(float) * rows * T);
        p->dvalue = arena_take(&p->arena, sizeof(float) * rows * T);
        p->score = arena_take(&p->arena, sizeof(float) * rows);
        p->dscore = arena_take(&p->arena, sizeof(float) * rows);
        p->share = arena_take(&p->arena, sizeof(float) * rows);
    }
    p->usable = arena_take(&p->arena, rows / 2);
    p->domain = arena_take(&p->arena, sizeof(int) * (rows / 2));
}

GPT2* reference_open(const char* name, int seed, const GPT2Config* model, int rows, int T) {
    GPT2* reference = gpt2_create(name, seed, 0, 0);
    const GPT2Config* c = gpt2_config(reference);
    check(c->vocab_size == model->vocab_size, "--reference %s: has a vocabulary of %d, the model one of %d", name, c->vocab_size, model->vocab_size);
    check(T <= c->max_seq_len, "--reference %s: rows of %d tokens do not fit its context of %d", name, T, c->max_seq_len);
    gpt2_alloc(reference, rows, T, 0, 0, 1); // without a backward, the blocks may share all of their activations
    return reference;
}

Policy policy_create(Objective objective, const char* reference, int seed, double beta, const GPT2Config* model, int rows, int T) {
    Policy p = { .objective = objective, .beta = beta };
    if (reference) { p.reference = reference_open(reference, seed, model, rows, T); }
    layout(&p, (size_t)rows, (size_t)T);
    arena_alloc(&p.arena, "the log-probabilities");
    layout(&p, (size_t)rows, (size_t)T);
    p.head = (HeadGradient){ p.dvalue, p.share };
    return p;
}

void policy_free(Policy* p) {
    if (p->reference) { gpt2_free(p->reference); }
    arena_free(&p->arena);
}

void log_probabilities(float* logp, unsigned char* hits, GPT2* model, Batch* b, int first, int end) {
    size_t T = (size_t)b->T, at = (size_t)first * T, N = (size_t)(end - first) * T;
    for (size_t n = at; n < at + N; n++) { b->weight[n] = b->mask[n] ? 1.0f : 0.0f; }
    gpt2_forward(model, b->inputs + at, end - first, b->T);
    gpt2_evaluate(model, b->targets + at, b->weight + at, logp, hits, end - first, b->T);
    for (size_t n = 0; n < N; n++) { logp[n] = -logp[n]; }
}

// The last trained position of a row; -1: it has none.
static int last_trained(const Batch* b, size_t row) {
    int t = b->T - 1;
    while (t >= 0 && !b->mask[row * (size_t)b->T + (size_t)t]) { t--; }
    return t;
}

// score (count) of the rows from `first` on. A row that has none is nobody's: its score is 0.
static void scores(Policy* p, GPT2* model, Batch* b, int first, int count) {
    size_t T = (size_t)b->T, at = (size_t)first * T;
    for (int i = 0; i < count; i++) {
        int last = last_trained(b, (size_t)(first + i));
        size_t n = at + (size_t)i * T + (size_t)last;
        if (last >= 0) { b->inputs[n + 1] = b->targets[n]; }
    }
    gpt2_hidden(model, b->inputs + at, count, b->T);
    gpt2_values(model, p->values, count, b->T);
    for (int i = 0; i < count; i++) {
        int last = last_trained(b, (size_t)(first + i));
        p->score[i] = last >= 0 ? p->values[i * b->T + last + 1] : 0.0f;
    }
}

static void set_values_gradient(Policy* p, const Batch* b, int first, int count) {
    memset(p->dvalue, 0, sizeof(float) * (size_t)count * (size_t)b->T);
    for (int i = 0; i < count; i++) {
        int last = last_trained(b, (size_t)(first + i));
        if (last >= 0) { p->dvalue[i * b->T + last + 1] = p->dscore[i]; }
    }
}

void policy_weigh(Policy* p, GPT2* model, Batch* b, int first, int end, int general, const double share[2], ObjectiveStats stats[2]) {
    size_t T = (size_t)b->T, at = (size_t)first * T, count[2] = { (size_t)general, (size_t)(end - first - general) };
    if (p->objective == OBJECTIVE_reward) {
        memset(b->weight + at, 0, sizeof(float) * (size_t)(end - first) * T);
        scores(p, model, b, first, end - first);
    } else {
        log_probabilities(p->reference_logp, p->hits, p->reference, b, first, end);
        log_probabilities(p->logp, p->hits, model, b, first, end);
    }
    for (size_t part = 0, row = 0; part < 2; row += count[part++]) {
        Responses r = { b->mask + at + row * T, b->usable + (size_t)first + row, (int)count[part], b->T };
        if (p->objective == OBJECTIVE_reward) { reward_gradient(p->dscore + row, &stats[part], r, p->score + row, share[part]); continue; }
        dpo_weights(b->weight + at + row * T, &stats[part], r, p->logp + row * T, p->reference_logp + row * T, p->beta, share[part]);
    }
    if (p->objective == OBJECTIVE_reward) { set_values_gradient(p, b, first, end - first); }
}

void policy_items(Policy* p, const Batch* b) {
    for (int i = 0; 2 * i < b->n + b->m; i++) {
        p->usable[i] = b->usable[2 * i];
        p->domain[i] = b->domain[2 * i];
    }
}

void head_shares(float* share, const Drpt* d, const unsigned char* usable, int per, int rows, int general) {
    int items = 0, from_target = general == 0 || d->method == METHOD_target;
    for (int i = 0; i < general / per; i++) { items += usable[i] != 0; }
    double mean = d->plain || from_target ? 1.0 : 1.0 / (items > 0 ? items : 1); // an item stands for itself where items are weighed
    for (int i = 0; i < rows; i++) { share[i] = (i >= general) == from_target ? (float)mean : 0.0f; }
}

const HeadGradient* policy_head(Policy* p, const Drpt* d, int rows, int general) {
    if (p->objective != OBJECTIVE_reward) { return NULL; }
    head_shares(p->share, d, p->usable, 2, rows, general);
    return &p->head;
}
