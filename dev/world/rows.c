// rows.c -- batches of text.
#include "rows.h"
#include "../../llmc/check.h"

#include <string.h>

static void layout(TextRows* r) {
    size_t positions = (size_t)(r->n + r->m) * (size_t)r->T;
    r->context = arena_take(&r->arena, sizeof(int) * positions);
    r->next = arena_take(&r->arena, sizeof(int) * positions);
    r->domain = arena_take(&r->arena, sizeof(int) * (size_t)r->n);
    r->usable = arena_take(&r->arena, (size_t)r->n);
}

void rows_create(TextRows* r, int n, int m, int T) {
    *r = (TextRows){ .n = n, .m = m, .T = T };
    layout(r);
    arena_alloc(&r->arena, "a batch");
    layout(r);
    memset(r->usable, 1, (size_t)n);
}

void rows_free(TextRows* r) { arena_free(&r->arena); }

void rows_draw_general(TextRows* r, const World* w, Rng* rng) {
    for (int i = 0; i < r->n; i++) {
        r->domain[i] = (int)rng_below(rng, DOMAINS);
        world_row(&r->context[i * r->T], &r->next[i * r->T], w, r->domain[i], rng, r->T);
    }
}

void rows_draw_target(TextRows* r, const World* w, Rng* rng) {
    for (int i = r->n; i < r->n + r->m; i++) { world_row(&r->context[i * r->T], &r->next[i * r->T], w, TARGET, rng, r->T); }
}

void rows_take_all_contexts(TextRows* r, const World* w) {
    check(r->m * r->T == CONTEXTS, "all %d contexts as rows of %d: it must divide them", CONTEXTS, r->T);
    for (int i = 0; i < CONTEXTS; i++) { r->context[r->n * r->T + i] = i; }
    r->exact = w;
}

double rows_target_loss(const TextRows* r, const Net* net) {
    int first = r->n * r->T, count = r->m * r->T;
    double sum = 0.0;
    if (r->exact) { return net_exact_loss(net, r->exact, TARGET); }
    for (int i = first; i < first + count; i++) { sum -= net->logp[r->context[i] * VOCAB + r->next[i]]; }
    return sum / count;
}

static void position_dlogits(float* dlogits, const float* p, int next, float weight) {
    for (int c = 0; c < VOCAB; c++) { dlogits[c] = weight * p[c]; }
    dlogits[next] -= weight;
}

void rows_pass(const TextRows* r, Net* net, const Params* w, Params* grad, Drpt* drpt) {
    int target = r->n * r->T, end = (r->n + r->m) * r->T, first = drpt->with_general ? 0 : target;
    float* dlogits = net->pass.dlogits;
    net_forward(net, w);
    for (int i = first; i < (r->exact ? target : end); i++) {
        float weight = 1.0f / (float)(i < target ? r->T : r->m * r->T);
        position_dlogits(&dlogits[(i - first) * VOCAB], &net->p[r->context[i] * VOCAB], r->next[i], weight);
    }
    if (r->exact) { net_exact_dlogits(&dlogits[(target - first) * VOCAB], net, r->exact, TARGET); }
    net_backward(net, w, grad, drpt, &r->context[first], end - first);
}
