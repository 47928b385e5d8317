// rows.c -- batches of text.
#include "rows.h"
#include "../../llmc/check.h"

#include <math.h>
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

double rows_target_loss(const TextRows* r, Net* net, const Params* w) {
    int first = r->n * r->T, count = r->m * r->T;
    double sum = 0.0;
    net_forward(net, w, &r->context[first], count);
    if (r->exact) { return net_exact_loss(net, r->exact, TARGET, 0); }
    for (int i = 0; i < count; i++) { sum -= net->logp[i * VOCAB + r->next[first + i]]; }
    return sum / count;
}

void rows_pass(const TextRows* r, Net* net, const Params* w, Params* grad, Drpt* drpt) {
    int first = drpt->with_general ? 0 : r->n * r->T, target = r->n * r->T - first, N = (r->n + r->m) * r->T - first;
    const int* next = &r->next[first];
    net_forward(net, w, &r->context[first], N);
    for (int i = 0; i < (r->exact ? target : N); i++) {
        float weight = 1.0f / (float)(i < target ? r->T : r->m * r->T);
        for (int c = 0; c < VOCAB; c++) { net->dlogits[i * VOCAB + c] = weight * expf(net->logp[i * VOCAB + c]); }
        net->dlogits[i * VOCAB + next[i]] -= weight;
    }
    if (r->exact) { net_exact_dlogits(net, r->exact, TARGET, target); }
    net_backward(net, w, grad, drpt, N);
}
