// net.c -- forward, backward, and what is exact.
#include "net.h"
#include "../../llmc/matmul.h"

#include <math.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// memory

static void layout(Net* net) {
    size_t N = (size_t)net->positions;
    float** wide[] = { &net->h1, &net->a1, &net->h2, &net->a2, &net->da1, &net->da2 };
    net->x = arena_take(&net->arena, sizeof(float) * N * INPUTS);
    net->logp = arena_take(&net->arena, sizeof(float) * N * VOCAB);
    net->dlogits = arena_take(&net->arena, sizeof(float) * N * VOCAB);
    for (int i = 0; i < 6; i++) { *wide[i] = arena_take(&net->arena, sizeof(float) * N * HIDDEN); }
}

void net_create(Net* net, int positions) {
    *net = (Net){ .positions = positions < CONTEXTS ? CONTEXTS : positions };
    layout(net);
    arena_alloc(&net->arena, "the model");
    layout(net);
    DrptOptions o = drpt_defaults;
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

static void softsign_forward(float* out, const float* inp, int n) {
    for (int i = 0; i < n; i++) { out[i] = inp[i] / (1.0f + fabsf(inp[i])); }
}

// The slope is 1 / (1 + |h|)^2 = (1 - |f(h)|)^2.
static void softsign_backward(float* dinp, const float* out, int n) { // dinp holds dout on entry
    for (int i = 0; i < n; i++) { dinp[i] *= (1.0f - fabsf(out[i])) * (1.0f - fabsf(out[i])); }
}

static void log_softmax(float* logits, int N) {
    for (int i = 0; i < N; i++) {
        float *x = logits + i * VOCAB, most = x[0], sum = 0.0f;
        for (int c = 1; c < VOCAB; c++) { most = x[c] > most ? x[c] : most; }
        for (int c = 0; c < VOCAB; c++) { sum += expf(x[c] - most); }
        float log_sum = most + logf(sum);
        for (int c = 0; c < VOCAB; c++) { x[c] -= log_sum; }
    }
}

void net_forward(Net* net, const Params* w, const int* context, int N) {
    memset(net->x, 0, sizeof(float) * (size_t)N * INPUTS);
    for (int i = 0; i < N; i++) {
        net->x[i * INPUTS + context[i] / VOCAB] = 1.0f;
        net->x[i * INPUTS + VOCAB + context[i] % VOCAB] = 1.0f;
    }
    matmul_forward(net->h1, net->x, w->w1, w->b1, N, INPUTS, HIDDEN);
    softsign_forward(net->a1, net->h1, N * HIDDEN);
    matmul_forward(net->h2, net->a1, w->w2, w->b2, N, HIDDEN, HIDDEN);
    softsign_forward(net->a2, net->h2, N * HIDDEN);
    matmul_forward(net->logp, net->a2, w->w3, w->b3, N, HIDDEN, VOCAB);
    log_softmax(net->logp, N);
}

// The head is a block of its own, as in a transformer.
void net_backward(Net* net, const Params* w, Params* grad, Drpt* drpt, int N) {
    matmul_backward_input(net->da2, net->dlogits, w->w3, N, HIDDEN, VOCAB);
    drpt->block = -1;
    drpt_site(drpt, "head", grad->w3, grad->b3, net->dlogits, net->a2, HIDDEN, VOCAB);
    drpt_project(drpt, DRPT_BLOCK);
    softsign_backward(net->da2, net->a2, N * HIDDEN);
    matmul_backward_input(net->da1, net->da2, w->w2, N, HIDDEN, HIDDEN);
    drpt->block = 0;
    drpt_site(drpt, "second", grad->w2, grad->b2, net->da2, net->a1, HIDDEN, HIDDEN);
    softsign_backward(net->da1, net->a1, N * HIDDEN);
    drpt_site(drpt, "first", grad->w1, grad->b1, net->da1, net->x, INPUTS, HIDDEN);
    drpt_project(drpt, DRPT_GLOBAL);
    drpt->block = -1;
}

// ---------------------------------------------------------------------------------------------
// all contexts

void net_forward_all(Net* net, const Params* w) {
    int all[CONTEXTS];
    for (int i = 0; i < CONTEXTS; i++) { all[i] = i; }
    net_forward(net, w, all, CONTEXTS);
}

double net_exact_loss(const Net* net, const World* world, int source, int first) {
    const float* logp = net->logp + first * VOCAB;
    double sum = 0.0;
    for (int i = 0; i < CONTEXTS; i++) {
        double of_context = 0.0;
        for (int c = 0; c < VOCAB; c++) { of_context -= world->next[source][i][c] * logp[i * VOCAB + c]; }
        sum += world->often[source][i] * of_context;
    }
    return sum;
}

void net_exact_dlogits(Net* net, const World* world, int source, int first) {
    for (int i = 0; i < CONTEXTS; i++) {
        const float* logp = net->logp + (first + i) * VOCAB;
        float* d = net->dlogits + (first + i) * VOCAB;
        for (int c = 0; c < VOCAB; c++) { d[c] = (float)(world->often[source][i] * (exp((double)logp[c]) - world->next[source][i][c])); }
    }
}

double net_exact_gradient(Net* net, const Params* w, Params* grad, const World* world, int source) {
    const unsigned char usable = 1;
    memset(grad, 0, sizeof(*grad));
    net_forward_all(net, w);
    net_exact_dlogits(net, world, source, 0);
    drpt_begin(&net->plain, 0, &usable, NULL);
    net_backward(net, w, grad, &net->plain, CONTEXTS);
    return net_exact_loss(net, world, source, 0);
}
