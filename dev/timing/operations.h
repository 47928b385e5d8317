// operations.h -- the operations of a step, each alone, for the text of either trainer: include it behind one of them.
#ifndef DEV_TIMING_OPERATIONS_H
#define DEV_TIMING_OPERATIONS_H

#include "trainer.h"

#include <assert.h>
#include <string.h>

// For all blocks one after the other. Weights and activations come from where they come from in a step, and hold what a step left there.

typedef struct {
    Run* run;
    GPT2* model;
    int L, B, T, C, NH, V, N, row; // row: of the logits, from one position to the next
    size_t NC;
    const BlockActs* a;            // of the block at hand; w, g, d, x as in block_backward()
    const BlockParams* w;
    const BlockParamGrads* g;
    const BlockGrads* d;
    const Real* x;
    const int *tokens, *targets;   // of the batch, where the layers read them
    const float* weight;
} Step;

static void matmuls_forward(Step* s) {
    matmul_forward(s->a->qkv, s->a->ln1, s->w->qkvw, s->w->qkvb, s->N, s->C, 3*s->C);
    matmul_forward_residual(s->a->residual2, s->x, s->a->atty, s->w->attprojw, s->w->attprojb, s->N, s->C, s->C);
    matmul_forward(s->a->fch, s->a->ln2, s->w->fcw, s->w->fcb, s->N, s->C, 4*s->C);
    matmul_forward_residual(s->a->residual3, s->a->residual2, s->a->fch_gelu, s->w->fcprojw, s->w->fcprojb, s->N, 4*s->C, s->C);
}

static void matmuls_input(Step* s) {
    matmul_backward_input(s->d->fch, s->d->fcproj, s->w->fcprojw, s->N, 4*s->C, s->C);
    matmul_backward_input(s->d->ln2, s->d->fch, s->w->fcw, s->N, s->C, 4*s->C);
    matmul_backward_input(s->d->atty, s->d->attproj, s->w->attprojw, s->N, s->C, s->C);
    matmul_backward_input(s->d->ln1, s->d->qkv, s->w->qkvw, s->N, s->C, 3*s->C);
}

static void matmuls_params(Step* s) {
    Drpt* drpt = &s->run->drpt;
    drpt_site(drpt, "fcproj", s->g->fcprojw, s->g->fcprojb, s->d->fcproj, s->a->fch_gelu, 4*s->C, s->C);
    drpt_site(drpt, "fc", s->g->fcw, s->g->fcb, s->d->fch, s->a->ln2, s->C, 4*s->C);
    drpt_site(drpt, "attproj", s->g->attprojw, s->g->attprojb, s->d->attproj, s->a->atty, s->C, s->C);
    drpt_site(drpt, "qkv", s->g->qkvw, s->g->qkvb, s->d->qkv, s->a->ln1, s->C, 3*s->C);
}

static void head_forward(Step* s) { matmul_forward(s->model->logits, s->model->lnf, s->model->weight.wte, NULL, s->N, s->C, s->row); }
static void head_input(Step* s) { matmul_backward_input(s->model->dlnf, s->model->logits, s->model->weight.wte, s->N, s->C, s->row); }
static void head_params(Step* s) {
    drpt_site_token(&s->run->drpt, "wte", s->model->grad.wte, s->model->logits, s->model->lnf, s->model->dx, s->tokens, s->C, s->V, s->row);
}

static void attentions_forward(Step* s) { attention_forward(s->a->atty, s->a->lse, s->a->qkv, s->model->scratch, s->B, s->T, s->C, s->NH); }
static void attentions_backward(Step* s) {
    attention_backward(s->d->qkv, s->d->atty, s->a->qkv, s->a->atty, s->a->lse, s->model->scratch, s->B, s->T, s->C, s->NH);
}

static void layernorms_forward(Step* s) {
    layernorm_forward(s->a->ln1, s->a->ln1_mean, s->a->ln1_rstd, s->x, s->w->ln1w, s->w->ln1b, s->N, s->C);
    layernorm_forward(s->a->ln2, s->a->ln2_mean, s->a->ln2_rstd, s->a->residual2, s->w->ln2w, s->w->ln2b, s->N, s->C);
}

static void layernorms_input(Step* s) {
    layernorm_backward_input(s->d->attproj, s->d->fcproj, s->d->ln2, s->a->residual2, s->w->ln2w, s->a->ln2_mean, s->a->ln2_rstd, s->N, s->C);
    layernorm_backward_input(s->model->dx, s->d->attproj, s->d->ln1, s->x, s->w->ln1w, s->a->ln1_mean, s->a->ln1_rstd, s->N, s->C);
}

static void layernorms_params(Step* s) {
    Drpt* drpt = &s->run->drpt;
    drpt_site_layernorm(drpt, "ln2", s->g->ln2w, s->g->ln2b, s->d->ln2, s->a->residual2, s->a->ln2_mean, s->a->ln2_rstd, s->C);
    drpt_site_layernorm(drpt, "ln1", s->g->ln1w, s->g->ln1b, s->d->ln1, s->x, s->a->ln1_mean, s->a->ln1_rstd, s->C);
}

// As kernels of their own; in bf16 on Hopper the products of a step hold them.
static void gelus_forward(Step* s) { gelu_forward(s->a->fch_gelu, s->a->fch, 4*s->NC); }
static void gelus_backward(Step* s) { gelu_backward(s->d->fch, s->a->fch, 4*s->NC); }

static void classifier(Step* s) {
    cross_entropy_backward(s->model->losses, s->model->logits, s->targets, s->weight, s->N, s->V, s->row);
}

static void embedding(Step* s) {
    encoder_forward(s->model->encoded, s->tokens, s->model->weight.wte, s->model->weight.wpe, s->B, s->T, s->C);
    drpt_site_position(&s->run->drpt, "wpe", s->model->grad.wpe, s->model->dx, s->C);
}

static void adamw(Step* s) { gpt2_update(s->model, &s->run->config, s->run->config.lr, 1000); }

// In this order each operation finds what another one, or the step before, has written.
static const struct {
    const char* name;
    void (*run)(Step* s);
    int every_block;
    Work work;
} operations[] = {
    { "matmul forward, sums",         matmuls_forward,     1, { 2, 0, 0 } },
    { "matmul input gradient",        matmuls_input,       1, { 2, 0, 0 } },
    { "matmul weight gradient",       matmuls_params,      1, { 2, 0, 0 } },
    { "head forward",                 head_forward,        0, { 0, 2, 0 } },
    { "head input gradient",          head_input,          0, { 0, 2, 0 } },
    { "head weight gradient, lookup", head_params,         0, { 0, 2, 0 } },
    { "attention forward",            attentions_forward,  1, { 0, 0, 2 } },
    { "attention backward",           attentions_backward, 1, { 0, 0, 4 } },
    { "layernorm forward",            layernorms_forward,  1, { 0, 0, 0 } },
    { "layernorm input gradient",     layernorms_input,    1, { 0, 0, 0 } },
    { "layernorm weight gradient",    layernorms_params,   1, { 0, 0, 0 } },
    { "gelu forward",                 gelus_forward,       1, { 0, 0, 0 } },
    { "gelu backward",                gelus_backward,      1, { 0, 0, 0 } },
    { "cross entropy",                classifier,          0, { 0, 0, 0 } },
    { "embedding",                    embedding,           0, { 0, 0, 0 } },
    { "gradient norm, AdamW",                     adamw,               0, { 0, 0, 0 } },
};
static_assert(sizeof(operations) / sizeof(operations[0]) == NUM_PARTS, "trainer.h says how many operations there are");

static Step step_of(Run* run, const int* tokens, const int* targets, const float* weight, int row) {
    GPT2* model = run->model;
    const GPT2Config* c = &model->config;
    Step s;
    memset(&s, 0, sizeof(s));
    s.run = run;
    s.model = model;
    s.B = run->batch.n + run->batch.m;
    s.T = run->T;
    s.L = c->layers;
    s.C = c->channels;
    s.NH = c->heads;
    s.V = c->vocab_size;
    s.N = s.B * s.T;
    s.row = row;
    s.NC = (size_t)s.N * (size_t)s.C;
    s.tokens = tokens;
    s.targets = targets;
    s.weight = weight;
    return s;
}

static void run_operation(Step* s, int operation) {
    GPT2* model = s->model;
    for (int l = 0; l < (operations[operation].every_block ? s->L : 1); l++) {
        s->a = &model->act[l];
        s->w = &model->weight.block[l];
        s->g = &model->grad.block[l];
        s->d = &model->dact[l];
        s->x = l > 0 ? model->act[l - 1].residual3 : model->encoded;
        operations[operation].run(s);
    }
}

#endif // DEV_TIMING_OPERATIONS_H
