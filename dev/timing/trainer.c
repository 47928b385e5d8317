// trainer.c -- the trainer's text without its main, and its functions under the clock.
#include "trainer.h"
#include "worker.h"

#pragma GCC diagnostic ignored "-Wunused-function" // not all of the trainer is called here
#define TESTING
#include "../../train_gpt2_drpt.c"
#include "../../llmc/files.h"
#include "../../llmc/rng.h"

#include <unistd.h>

// ---------------------------------------------------------------------------------------------
// What a step amounts to.

static GPT2Config config_of(const TrainerJob* job) {
    GPT2Config c;
    check(gpt2_config_parse(&c, job->init), "%s: no sizes of a model", job->init);
    return c;
}

void trainer_sizes(const TrainerJob* job, int sizes[5]) {
    GPT2Config c = config_of(job);
    int found[5] = { c.layers, c.heads, c.channels, c.vocab_size, c.max_seq_len };
    memcpy(sizes, found, sizeof(found));
}

double trainer_flops(const TrainerJob* job, Work w) {
    GPT2Config c = config_of(job);
    double N = (double)(job->n + job->m) * job->T, L = c.layers, C = c.channels;
    return N * (w.blocks * 12*L*C*C + w.head * c.vocab_size * C + w.attention * L * job->T * C);
}

double trainer_step_flops(const TrainerJob* job) { return trainer_flops(job, (Work){ 6, 6, 6 }); }

double trainer_parameter_bytes(const TrainerJob* job) {
    Tensor tensor[NUM_TENSORS];
    GPT2Config c = config_of(job);
    return 4.0 * sizeof(float) * (double)list_tensors(tensor, &c);
}

// The trainer's own list for the blocks; the embedding; the last layer normalisation with its mean and rstd; the logits.
double trainer_activation_bytes(const TrainerJob* job) {
    GPT2Config c = config_of(job);
    size_t N = (size_t)(job->n + job->m) * (size_t)job->T, C = (size_t)c.channels, NH = (size_t)c.heads, block = 0;
    #define ADD(name, type, floats) block += floats;
    BLOCK_ACTS(ADD)
    #undef ADD
    return (double)sizeof(float) * (double)(block * (size_t)c.layers + N * C + N * (C + 2) + N * (size_t)c.vocab_size);
}

// ---------------------------------------------------------------------------------------------
// A run.

static void write_rows(const char* path, const TrainerJob* job, uint64_t stream) {
    enum { ROWS = 128 };
    size_t T = (size_t)job->T, first = T - (size_t)job->trained;
    int V = config_of(job).vocab_size;
    uint16_t* tokens = malloc(sizeof(uint16_t) * ROWS * (T + 1));
    unsigned char* mask = malloc(ROWS * T);
    check(tokens && mask, "out of memory for %d rows", ROWS);
    Rng rng = rng_seed(1, stream, 0);
    for (size_t i = 0; i < ROWS * (T + 1); i++) { tokens[i] = (uint16_t)rng_below(&rng, (uint32_t)V); }
    for (size_t i = 0; i < ROWS * T; i++) { mask[i] = i % T >= first; }
    examples_write(path, tokens, mask, ROWS, T, V, KIND_EXAMPLES, TOKENIZER_NONE);
    free(tokens);
    free(mask);
}

// What the words of the run's options point to lives as long as the process.
static void parse(DrptOptions* options, const char* words) {
    static char text[256], *argv[32] = { "bench" };
    int argc = 1;
    OptionTable table = drpt_option_table(options);
    check(strlen(words) < sizeof(text), "options of a contender are too long: %s", words);
    snprintf(text, sizeof(text), "%s", words);
    for (char* word = strtok(text, " "); word && argc < 31; word = strtok(NULL, " ")) { argv[argc++] = word; }
    options_parse(&table, 1, argc, argv, "");
}

// The data files are needed until they are mapped, no longer.
static void open_run(Run* run, const TrainerJob* job) {
    char path[2][512];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/drpt-bench.%ld.%d.bin", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(), i);
        write_rows(path[i], job, (uint64_t)i);
    }
    omp_set_num_threads(job->threads);
    memset(run, 0, sizeof(*run));
    run->config = config_defaults;
    run->options = drpt_defaults;
    run->config.init = job->init;
    run->config.general = path[0];
    run->config.target = job->m > 0 ? path[1] : NULL;
    run->config.batch = job->n;
    run->config.target_batch = job->m > 0 ? job->m : 1;
    run->config.steps = 1000000;
    run->config.threads = job->threads;
    run->config.val_every = 0;
    parse(&run->options, job->options);
    check_options(&run->config, &run->options);
    run_open(run);
    run->config.general = run->config.target = NULL;
    for (int i = 0; i < 2; i++) { unlink(path[i]); }
}

static double step_ms(Run* run, int step) {
    double began = seconds_now();
    train_step(run, step);
    return 1e3 * (seconds_now() - began);
}

// ---------------------------------------------------------------------------------------------
// The operations of a step, each alone, for all blocks one after the other: weights and activations come from where they
// come from in a step, and hold what a step left there.

typedef struct {
    Run* run;
    GPT2* model;
    int L, B, T, C, NH, V, N;
    size_t NC;
    const BlockActs* a;            // of the block at hand; w, g, d, x as in block_backward()
    const BlockParams* w;
    const BlockParamGrads* g;
    const BlockGrads* d;
    const float* x;
} Step;

static void matmuls_forward(Step* s) {
    matmul_forward(s->a->qkv, s->a->ln1, s->w->qkvw, s->w->qkvb, s->N, s->C, 3*s->C);
    matmul_forward(s->a->residual2, s->a->atty, s->w->attprojw, s->w->attprojb, s->N, s->C, s->C);
    matmul_forward(s->a->fch, s->a->ln2, s->w->fcw, s->w->fcb, s->N, s->C, 4*s->C);
    matmul_forward(s->a->residual3, s->a->fch_gelu, s->w->fcprojw, s->w->fcprojb, s->N, 4*s->C, s->C);
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

static void head_forward(Step* s) { matmul_forward(s->model->logits, s->model->lnf, s->model->weight.wte, NULL, s->N, s->C, s->V); }
static void head_input(Step* s) { matmul_backward_input(s->model->dlnf, s->model->logits, s->model->weight.wte, s->N, s->C, s->V); }
static void head_params(Step* s) {
    drpt_site_token(&s->run->drpt, "wte", s->model->grad.wte, s->model->logits, s->model->lnf, s->model->dx, s->run->batch.inputs, s->C, s->V, s->V);
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
    layernorm_backward_input(s->model->dx, s->d->ln2, s->a->residual2, s->w->ln2w, s->a->ln2_mean, s->a->ln2_rstd, s->N, s->C);
    layernorm_backward_input(s->model->dx, s->d->ln1, s->x, s->w->ln1w, s->a->ln1_mean, s->a->ln1_rstd, s->N, s->C);
}

static void layernorms_params(Step* s) {
    Drpt* drpt = &s->run->drpt;
    drpt_site_layernorm(drpt, "ln2", s->g->ln2w, s->g->ln2b, s->d->ln2, s->a->residual2, s->a->ln2_mean, s->a->ln2_rstd, s->C);
    drpt_site_layernorm(drpt, "ln1", s->g->ln1w, s->g->ln1b, s->d->ln1, s->x, s->a->ln1_mean, s->a->ln1_rstd, s->C);
}

static void gelus_forward(Step* s) { gelu_forward(s->a->fch_gelu, s->a->fch, 4*s->NC); }
static void gelus_backward(Step* s) { gelu_backward(s->d->fch, s->a->fch, 4*s->NC); }

static void residuals(Step* s) {
    residual_forward(s->a->residual2, s->x, s->NC);
    residual_forward(s->a->residual3, s->a->residual2, s->NC);
    residual_backward(s->d->fcproj, s->model->dx, s->NC);
    residual_backward(s->d->attproj, s->model->dx, s->NC);
}

static void classifier(Step* s) {
    cross_entropy_backward(s->model->losses, s->model->logits, s->run->batch.targets, s->run->batch.weight, s->N, s->V, s->V);
}

static void embedding(Step* s) {
    encoder_forward(s->model->encoded, s->run->batch.inputs, s->model->weight.wte, s->model->weight.wpe, s->B, s->T, s->C);
    drpt_site_position(&s->run->drpt, "wpe", s->model->grad.wpe, s->model->dx, s->C);
}

static void gradient_norm(Step* s) { s->model->losses[0] = (float)squared_norm(s->model->grads, s->model->num_params); }
static void adamw(Step* s) { gpt2_update(s->model, &s->run->config, s->run->config.lr, 1.0, 1000); }

// In this order each operation finds what another one, or the step before, has written.
static const struct {
    const char* name;
    void (*run)(Step* s);
    int every_block;
    Work work;
} operations[] = {
    { "matmul forward",               matmuls_forward,     1, { 2, 0, 0 } },
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
    { "residual sums and copies",     residuals,           1, { 0, 0, 0 } },
    { "cross entropy",                classifier,          0, { 0, 0, 0 } },
    { "embedding",                    embedding,           0, { 0, 0, 0 } },
    { "gradient norm",                gradient_norm,       0, { 0, 0, 0 } },
    { "AdamW",                        adamw,               0, { 0, 0, 0 } },
};
_Static_assert(sizeof(operations) / sizeof(operations[0]) == NUM_PARTS, "trainer.h says how many operations there are");

Part trainer_part(int i) { return (Part){ operations[i].name, operations[i].work }; }

static Step step_of(Run* run) {
    GPT2* model = run->model;
    const GPT2Config* c = &model->config;
    int B = run->batch.n + run->batch.m, N = B * run->T;
    return (Step){ .run = run, .model = model, .L = c->layers, .B = B, .T = run->T, .C = c->channels, .NH = c->heads,
                   .V = c->vocab_size, .N = N, .NC = (size_t)N * (size_t)c->channels };
}

static double operation_ms(Step* s, int operation) {
    GPT2* model = s->model;
    double began = seconds_now();
    for (int l = 0; l < (operations[operation].every_block ? s->L : 1); l++) {
        s->a = &model->act[l];
        s->w = &model->weight.block[l];
        s->g = &model->grad.block[l];
        s->d = &model->dact[l];
        s->x = l > 0 ? model->act[l - 1].residual3 : model->encoded;
        operations[operation].run(s);
    }
    return 1e3 * (seconds_now() - began);
}

static void answer_steps(FILE* out, Run* run, int* step, int count) {
    double ms[MOST_ROUNDS];
    check(count <= MOST_ROUNDS, "%d steps in a turn", count);
    for (int i = 0; i < count; i++) { ms[i] = step_ms(run, (*step)++); }
    fprintf(out, "%.9g\n", median(ms, count));
}

static void answer_parts(FILE* out, Run* run, int* step, int passes) {
    double ms[NUM_PARTS + 1][MOST_ROUNDS];
    Step s = step_of(run);
    check(passes <= MOST_ROUNDS, "%d passes", passes);
    for (int p = 0; p < passes; p++) {
        ms[0][p] = step_ms(run, (*step)++);
        for (int i = 0; i < NUM_PARTS; i++) { ms[1 + i][p] = operation_ms(&s, i); }
    }
    for (int i = 0; i <= NUM_PARTS; i++) { fprintf(out, "%.9g\n", median(ms[i], passes)); }
}

void trainer_serve(FILE* in, FILE* out, const void* job) {
    Run run;
    int step = 0;
    open_run(&run, job);
    for (int count; fscanf(in, "%d", &count) == 1 && count != 0; ) {
        if (count > 0) { answer_steps(out, &run, &step, count); } else { answer_parts(out, &run, &step, -count); }
    }
    run_close(&run);
}
