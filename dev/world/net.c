// net.c -- forward, backward, and what is exact.
#include "net.h"
#include "../../llmc/matmul.h"

#include <math.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// memory

static void layout(Net* net) {
    size_t N = (size_t)net->positions;
    float** hidden[] = { &net->pass.a1, &net->pass.a2, &net->pass.da1, &net->pass.da2 };
    net->pass.x = arena_take(&net->arena, sizeof(float) * N * INPUTS);
    net->pass.dlogits = arena_take(&net->arena, sizeof(float) * N * VOCAB);
    for (int i = 0; i < 4; i++) { *hidden[i] = arena_take(&net->arena, sizeof(float) * N * HIDDEN); }
}

void net_create(Net* net, int positions) {
    DrptOptions o = drpt_defaults;
    memset(net, 0, sizeof(*net));
    net->positions = positions < CONTEXTS ? CONTEXTS : positions;
    layout(net);
    arena_alloc(&net->arena, "the model");
    layout(net);
    for (int i = 0; i < CONTEXTS; i++) {
        net->context[i] = i;
        net->x[i * INPUTS + i / VOCAB] = 1.0f;
        net->x[i * INPUTS + VOCAB + i % VOCAB] = 1.0f;
    }
    o.method = "full"; // without target rows an ordinary backward pass; all contexts are one row
    net->plain = drpt_create(&o, 1, 0, CONTEXTS, WIDEST, 1, 0);
}

void net_free(Net* net) {
    drpt_free(&net->plain);
    arena_free(&net->arena);
}

// Of every layer alike, the outputs as large as the inputs on average.
void net_init(Params* w, uint64_t seed) {
    Rng rng = rng_seed(seed, SOURCES, 0);
    memset(w, 0, sizeof(*w));
    rng_normal(&rng, w->w1, HIDDEN * INPUTS, 1.0f); // of its inputs only two are not zero
    rng_normal(&rng, w->w2, HIDDEN * HIDDEN, 1.0f / sqrtf(HIDDEN));
    rng_normal(&rng, w->w3, VOCAB * HIDDEN, 1.0f / sqrtf(HIDDEN));
}

// ---------------------------------------------------------------------------------------------
// layers

static void softsign_forward(float* x, int n) { // holds h on entry
    for (int i = 0; i < n; i++) { x[i] = x[i] / (1.0f + fabsf(x[i])); }
}

// The slope is 1 / (1 + |h|)^2 = (1 - |f(h)|)^2.
static void softsign_backward(float* dinp, const float* out, int n) { // dinp holds dout on entry
    for (int i = 0; i < n; i++) { dinp[i] *= (1.0f - fabsf(out[i])) * (1.0f - fabsf(out[i])); }
}

static void softmax_forward(float* p, float* logp) { // logp holds logits on entry
    for (int i = 0; i < CONTEXTS; i++, logp += VOCAB, p += VOCAB) {
        float most = logp[0], sum = 0.0f;
        for (int c = 1; c < VOCAB; c++) { most = logp[c] > most ? logp[c] : most; }
        for (int c = 0; c < VOCAB; c++) { sum += p[c] = expf(logp[c] - most); }
        float log_sum = most + logf(sum);
        for (int c = 0; c < VOCAB; c++) { logp[c] -= log_sum; p[c] /= sum; }
    }
}

void net_forward(Net* net, const Params* w) {
    matmul_forward(net->a1, net->x, w->w1, w->b1, CONTEXTS, INPUTS, HIDDEN);
    softsign_forward(net->a1, CONTEXTS * HIDDEN);
    matmul_forward(net->a2, net->a1, w->w2, w->b2, CONTEXTS, HIDDEN, HIDDEN);
    softsign_forward(net->a2, CONTEXTS * HIDDEN);
    matmul_forward(net->logp, net->a2, w->w3, w->b3, CONTEXTS, HIDDEN, VOCAB);
    softmax_forward(net->p, net->logp);
}

static void look_up(float* to, const float* table, const int* context, int N, int width) {
    for (int i = 0; i < N; i++) { memcpy(&to[i * width], &table[context[i] * width], sizeof(float) * (size_t)width); }
}

// The head is a block of its own.
void net_backward(Net* net, const Params* w, Params* grad, Drpt* drpt, const int* context, int N) {
    look_up(net->pass.x, net->x, context, N, INPUTS);
    look_up(net->pass.a1, net->a1, context, N, HIDDEN);
    look_up(net->pass.a2, net->a2, context, N, HIDDEN);
    drpt->block = -1;
    drpt_site(drpt, "head", grad->w3, grad->b3, net->pass.dlogits, net->pass.a2, HIDDEN, VOCAB);
    drpt_project(drpt, DRPT_BLOCK);
    matmul_backward_input(net->pass.da2, net->pass.dlogits, w->w3, N, HIDDEN, VOCAB);
    softsign_backward(net->pass.da2, net->pass.a2, N * HIDDEN);
    drpt->block = 0;
    drpt_site(drpt, "second", grad->w2, grad->b2, net->pass.da2, net->pass.a1, HIDDEN, HIDDEN);
    matmul_backward_input(net->pass.da1, net->pass.da2, w->w2, N, HIDDEN, HIDDEN);
    softsign_backward(net->pass.da1, net->pass.a1, N * HIDDEN);
    drpt_site(drpt, "first", grad->w1, grad->b1, net->pass.da1, net->pass.x, INPUTS, HIDDEN);
    drpt_project(drpt, DRPT_GLOBAL);
    drpt->block = -1;
}

// ---------------------------------------------------------------------------------------------
// what is exact

double net_exact_loss(const Net* net, const World* world, int source) {
    double sum = 0.0;
    for (int i = 0; i < CONTEXTS; i++) {
        double of_context = 0.0;
        for (int c = 0; c < VOCAB; c++) { of_context -= world->next[source][i][c] * net->logp[i * VOCAB + c]; }
        sum += world->often[source][i] * of_context;
    }
    return sum;
}

void net_exact_dlogits(float* dlogits, const Net* net, const World* world, int source) {
    for (int i = 0; i < CONTEXTS; i++) {
        for (int c = 0; c < VOCAB; c++) {
            dlogits[i * VOCAB + c] = (float)(world->often[source][i] * (net->p[i * VOCAB + c] - world->next[source][i][c]));
        }
    }
}

double net_exact_gradient(Net* net, const Params* w, Params* grad, const World* world, int source) {
    const unsigned char usable = 1;
    memset(grad, 0, sizeof(*grad));
    net_forward(net, w);
    net_exact_dlogits(net->pass.dlogits, net, world, source);
    drpt_begin(&net->plain, 0, &usable, NULL);
    net_backward(net, w, grad, &net->plain, net->context, CONTEXTS);
    return net_exact_loss(net, world, source);
}
