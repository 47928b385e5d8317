// bench.c -- how long a training step takes, of what, and how that compares: with the machine's peak, with PyTorch, and
// plain training with the regularizer.
//
// The steps are the trainer's own: its text is included here, without its main. Each contender is a process of its
// own; they take turns of a step or more, so that noise of the machine hits all of them (dev/timing/worker.h).
#pragma GCC diagnostic ignored "-Wunused-function" // not all of the trainer is called here
#define TESTING
#include "../train_gpt2_drpt.c"

#include "timing/peak.h"
#include "timing/products.h"
#include "timing/report.h"
#include "timing/worker.h"

// ---------------------------------------------------------------------------------------------
// What is measured.

enum { MOST_ENTRIES = 3 };

typedef struct {
    const char* what;
    const char* method;
    int n, m;                       // general and target rows of a step
    double keep;
} Entry;

typedef struct {
    const char *name, *title, *init;
    int T, trained;                 // tokens of a row, and how many of them are trained on
    int threads;                    // 0: as many as asked for
    double wanted_share, wanted_ratio; // of the peak; of PyTorch's time to ours, or of a method's to plain training
    Entry entry[MOST_ENTRIES];      // the first is a plain step; if it is the only one it is compared with PyTorch, and split by operation
} Shape;

static const Shape shapes[] = {
    { "124m-t64",   "GPT-2 124M, B=4, T=64",     "d12",                      64,   64,   0, 0.45, 2.2, { { "", "full", 4, 0, 0.5 } } },
    { "124m-t256",  "GPT-2 124M, B=4, T=256",    "d12",                      256,  256,  0, 0.45, 1.9, { { "", "full", 4, 0, 0.5 } } },
    { "124m-t1024", "GPT-2 124M, B=1, T=1024",   "d12",                      1024, 1024, 0, 0.40, 1.5, { { "", "full", 1, 0, 0.5 } } },
    { "c384",       "L6 C384 V512, B=4, T=64",   "L6,H6,C384,V512,T64",      64,   64,   0, 0.40, 2.0, { { "", "full", 4, 0, 0.5 } } },
    { "c128",       "L4 C128 V512, B=4, T=64",   "L4,H4,C128,V512,T64",      64,   64,   0, 0.28, 3.0, { { "", "full", 4, 0, 0.5 } } },
    { "subset",     "GPT-2 124M, T=64, 9 rows",  "d12",                      64,   64,   0, 0.0,  1.10, {
        { "plain step, 9 rows", "full", 9, 0, 0.5 }, { "subset by layer, n=8, m=1", "subset", 8, 1, 0.5 } } },
    { "demo",       "demo (L2 C64 V41), T=12, 48 rows", "L2,H4,C64,V41,T12", 12,   5,    1, 0.0,  NAN, {
        { "plain step, 48 rows", "full", 48, 0, 0.5 }, { "subset by layer, n=32, m=16", "subset", 32, 16, 0.25 },
        { "cone by layer, n=32, m=16", "cone", 32, 16, 0.5 } } },
};
enum { NUM_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

// The multiply-adds of the operations below, in FLOP. A step has three products (forward, input gradient, weight gradient)
// for each matrix of a block and for the head, and attention's four backward and two forward, over half of the pairs of
// positions each.
typedef struct { double blocks, head, attention; } Work;
static const Work whole_step = { 6, 6, 6 };

static double flops(const Shape* shape, const GPT2Config* c, Work w) {
    double N = (double)(shape->entry[0].n + shape->entry[0].m) * shape->T, L = c->layers, C = c->channels;
    return N * (w.blocks * 12*L*C*C + w.head * c->vocab_size * C + w.attention * L * shape->T * C);
}

// What a backward needs of its forward, in floats: the trainer's own list, the embedding, the last layer normalisation, and the logits.
static double activations(const Shape* shape, const GPT2Config* c, const Entry* e) {
    size_t N = (size_t)(e->n + e->m) * (size_t)shape->T, C = (size_t)c->channels, NH = (size_t)c->heads, block = 0;
    #define ADD(name, floats) block += floats;
    BLOCK_ACTS(ADD)
    #undef ADD
    return (double)(block * (size_t)c->layers + N * C + N * (C + 2) + N * (size_t)c->vocab_size);
}

static double parameters(const GPT2Config* c) {
    Tensor tensor[NUM_TENSORS];
    return (double)list_tensors(tensor, c);
}

static GPT2Config shape_config(const Shape* shape) {
    GPT2Config c;
    check(gpt2_config_parse(&c, shape->init), "%s: no model", shape->init);
    return c;
}

// ---------------------------------------------------------------------------------------------
// The trainer as a contender.

typedef struct { const Shape* shape; const Entry* entry; int threads; } Job;

static void write_rows(const char* path, const Job* job, uint64_t stream) {
    enum { ROWS = 128 };
    size_t T = (size_t)job->shape->T, first = T - (size_t)job->shape->trained;
    int V = shape_config(job->shape).vocab_size;
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

// The data files are needed until they are mapped, no longer.
static void open_run(Run* run, const Job* job) {
    char path[2][512];
    const Entry* e = job->entry;
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/drpt-bench.%ld.%d.bin", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(), i);
        write_rows(path[i], job, (uint64_t)i);
    }
    omp_set_num_threads(job->threads);
    memset(run, 0, sizeof(*run));
    run->config = config_defaults;
    run->options = drpt_defaults;
    run->config.init = job->shape->init;
    run->config.general = path[0];
    run->config.target = e->m > 0 ? path[1] : NULL;
    run->config.batch = e->n;
    run->config.target_batch = e->m > 0 ? e->m : 1;
    run->config.steps = 1000000;
    run->config.threads = job->threads;
    run->config.val_every = 0;
    run->options.method = e->method;
    run->options.keep = e->keep;
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

// Answers a number of steps with their median in milliseconds.
static void serve_steps(FILE* in, FILE* out, const void* job) {
    Run run;
    int step = 0;
    open_run(&run, job);
    for (int count; fscanf(in, "%d", &count) == 1; ) {
        double ms[MOST_ROUNDS];
        check(count > 0 && count <= MOST_ROUNDS, "%d steps in a turn", count);
        for (int i = 0; i < count; i++) { ms[i] = step_ms(&run, step++); }
        fprintf(out, "%.9g\n", median(ms, count));
    }
    run_close(&run);
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
    const BlockParams *w, *g;
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
    drpt_site_token(&s->run->drpt, "wte", s->model->grad.wte, s->model->logits, s->model->lnf, s->model->dx, s->run->batch.inputs, s->C, s->V);
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
    cross_entropy_backward(s->model->losses, s->model->logits, s->run->batch.targets, s->run->batch.weight, s->N, s->V);
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
enum { NUM_PARTS = sizeof(operations) / sizeof(operations[0]) };

static Step step_of(Run* run) {
    GPT2* model = &run->model;
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

// Answers a number of passes, each of a whole step and then every operation, with the medians of all of them in
// milliseconds, the step's first.
static void serve_parts(FILE* in, FILE* out, const void* job) {
    Run run;
    int step = 0;
    open_run(&run, job);
    Step s = step_of(&run);
    step_ms(&run, step++);
    for (int passes; fscanf(in, "%d", &passes) == 1; ) {
        double ms[NUM_PARTS + 1][MOST_ROUNDS];
        check(passes > 0 && passes <= MOST_ROUNDS, "%d passes", passes);
        for (int p = 0; p < passes; p++) {
            ms[NUM_PARTS][p] = step_ms(&run, step++);
            for (int i = 0; i < NUM_PARTS; i++) { ms[i][p] = operation_ms(&s, i); }
        }
        fprintf(out, "%.9g\n", median(ms[NUM_PARTS], passes));
        for (int i = 0; i < NUM_PARTS; i++) { fprintf(out, "%.9g\n", median(ms[i], passes)); }
    }
    run_close(&run);
}

// ---------------------------------------------------------------------------------------------
// Measuring a shape.

typedef struct {
    const char *shapes, *python, *out, *flags;
    int rounds, threads, quick, products;
} BenchOptions;

enum { TORCH = MOST_ENTRIES, PEAK, NUM_CONTENDERS }; // and before them the entries of the shape

typedef struct {
    const Shape* shape;
    GPT2Config config;
    int threads;
    double ms[NUM_CONTENDERS];      // medians; GFLOP/s of the peak; NAN: did not take part
    double least[NUM_CONTENDERS], most[NUM_CONTENDERS];
    double ratio[NUM_CONTENDERS];   // to the plain step's time, round by round
    double memory[NUM_CONTENDERS];  // MiB, at most
    double step_ms, part_ms[NUM_PARTS]; // NAN: not split
} Result;

static const char torch_program[] = "dev/bench_torch.py";

static Worker start_torch(const char* python, const Shape* shape, int threads) {
    GPT2Config c = shape_config(shape);
    int sizes[8] = { c.layers, c.heads, c.channels, c.vocab_size, c.max_seq_len, shape->entry[0].n, shape->T, threads };
    char text[8][16], program[2][512];
    char* argv[11] = { program[0], program[1] };
    snprintf(program[0], sizeof(program[0]), "%s", python);
    snprintf(program[1], sizeof(program[1]), "%s", torch_program);
    for (int i = 0; i < 8; i++) {
        snprintf(text[i], sizeof(text[i]), "%d", sizes[i]);
        argv[2 + i] = text[i];
    }
    return worker_start_program("PyTorch", argv, threads);
}

// The first interpreter that has PyTorch, NULL if none has; its version.
static const char* find_torch(const char* asked, char* version, size_t size) {
    static const char* const usual[] = { "python3", "/usr/bin/python3" };
    if (asked && strcmp(asked, "none") == 0) { return NULL; }
    for (int i = 0; i < (asked ? 1 : 2); i++) {
        const char* python = asked ? asked : usual[i];
        char program[512], script[sizeof(torch_program)], argument[] = "--version";
        snprintf(program, sizeof(program), "%s", python);
        memcpy(script, torch_program, sizeof(script));
        char* argv[4] = { program, script, argument, NULL };
        Worker w = worker_start_program("PyTorch", argv, 1);
        int found = worker_text(&w, version, size);
        worker_stop(&w);
        if (found) { return python; }
    }
    return NULL;
}

// Starts a contender and lets it take its first step, which nobody counts, and a few to see how many fill a turn.
static void warm_up(Worker* w, double turn_ms) {
    worker_send(w, "1");
    double ms = worker_number(w);
    if (ms < 10 * turn_ms) {
        worker_send(w, "3");
        ms = worker_number(w);
    }
    int count = ms < turn_ms ? (int)(turn_ms / ms) : 1;
    snprintf(w->request, sizeof(w->request), "%d", count < MOST_ROUNDS ? count : MOST_ROUNDS);
}

static int start_contenders(Worker w[NUM_CONTENDERS], int place[NUM_CONTENDERS], Job job[MOST_ENTRIES], const Result* r,
                            const BenchOptions* o) {
    int count = 0;
    double turn_ms = o->quick ? 20 : 200;
    for (int i = 0; i < MOST_ENTRIES && r->shape->entry[i].method; i++) {
        job[i] = (Job){ r->shape, &r->shape->entry[i], r->threads };
        place[count] = i;
        w[count] = worker_start(r->shape->name, serve_steps, &job[i]);
        warm_up(&w[count++], turn_ms);
    }
    if (o->python && count == 1) {
        place[count] = TORCH;
        w[count] = start_torch(o->python, r->shape, r->threads);
        warm_up(&w[count++], turn_ms);
    }
    place[count] = PEAK;
    w[count] = worker_start("the peak", peak_serve, NULL);
    snprintf(w[count].request, sizeof(w[count].request), "%d", r->threads);
    return count + 1;
}

static void compare_contenders(Result* r, const BenchOptions* o) {
    Worker w[NUM_CONTENDERS];
    Job job[MOST_ENTRIES];
    int place[NUM_CONTENDERS], count = start_contenders(w, place, job, r, o);
    workers_take_turns(w, count, o->rounds);
    for (int i = 0; i < count; i++) {
        int p = place[i];
        r->ms[p] = r->least[p] = r->most[p] = median(w[i].sample, o->rounds);
        r->ratio[p] = median_ratio(w[i].sample, w[0].sample, o->rounds);
        for (int k = 0; k < o->rounds; k++) {
            r->least[p] = fmin(r->least[p], w[i].sample[k]);
            r->most[p] = fmax(r->most[p], w[i].sample[k]);
        }
    }
    for (int i = count - 1; i >= 0; i--) { r->memory[place[i]] = worker_stop(&w[i]); }
}

static void split_step(Result* r, const BenchOptions* o) {
    Job job = { r->shape, &r->shape->entry[0], r->threads };
    char request[16];
    int most = o->quick ? 3 : 1000.0 < r->ms[0] ? 3 : 30;
    Worker w = worker_start(r->shape->name, serve_parts, &job);
    snprintf(request, sizeof(request), "%d", most);
    worker_send(&w, request);
    r->step_ms = worker_number(&w);
    for (int i = 0; i < NUM_PARTS; i++) { r->part_ms[i] = worker_number(&w); }
    worker_stop(&w);
}

static Result measure(const Shape* shape, const BenchOptions* o) {
    Result r = { .shape = shape, .config = shape_config(shape), .threads = shape->threads ? shape->threads : o->threads, .step_ms = NAN };
    for (int i = 0; i < NUM_CONTENDERS; i++) { r.ms[i] = r.least[i] = r.most[i] = r.ratio[i] = r.memory[i] = NAN; }
    fprintf(stderr, "%s: steps\n", shape->name);
    compare_contenders(&r, o);
    if (!shape->entry[1].method) {
        fprintf(stderr, "%s: operations\n", shape->name);
        split_step(&r, o);
    }
    return r;
}

// ---------------------------------------------------------------------------------------------
// Tables.

static Table* table_new(const char* const* heading, int cols) {
    Table* t = calloc(1, sizeof(Table));
    check(t != NULL, "out of memory for a table");
    for (int i = 0; i < cols; i++) { table_cell(t, "%s", heading[i]); }
    if (cols > 0) { table_end_row(t); }
    return t;
}

static void print_and_free(const Report* report, Table* t) {
    report_table(report, t);
    free(t);
}

static void time_cells(Table* t, const Result* r, int contender) {
    int decimals = r->ms[contender] < 100 ? 2 : 0;
    table_number(t, r->ms[contender], decimals, "");
    table_number(t, r->least[contender], decimals, "");
    table_number(t, r->most[contender], decimals, "");
}

static void report_steps(const Report* report, const Result* r, int count) {
    static const char* const heading[] = { "plain step", "ms", "least", "most", "GFLOP/s", "peak", "of peak", "wanted",
                                           "PyTorch ms", "faster", "wanted" };
    Table* t = table_new(heading, 11);
    for (; count > 0; r++, count--) {
        double gflops = flops(r->shape, &r->config, whole_step) / r->ms[0] / 1e6;
        table_cell(t, "%s", r->shape->title);
        time_cells(t, r, 0);
        table_number(t, gflops, 0, "");
        table_number(t, r->ms[PEAK], 0, "");
        table_number(t, 100 * gflops / r->ms[PEAK], 1, " %");
        table_number(t, 100 * r->shape->wanted_share, 0, " %");
        table_number(t, r->ms[TORCH], r->ms[TORCH] < 100 ? 2 : 0, "");
        table_number(t, r->ratio[TORCH], 2, "x");
        table_number(t, r->shape->wanted_ratio, 1, "x");
        table_end_row(t);
    }
    report_heading(report, "A training step");
    print_and_free(report, t);
    report_text(report, "Forward, backward, clipping and AdamW: the trainer's own step, its batch included. Medians of interleaved rounds, each "
                "contender in a process of its own, first step left out. FLOP of a step: 6 N (12 L C^2 + V C) + 6 L N T C, N = B T. "
                "Peak: GFLOP/s of multiply-adds on registers alone, vectors of %s, the same threads, in turn with the steps. "
                "Faster: the median of PyTorch's time by ours, round by round.", peak_vectors);
}

static void report_memory(const Report* report, const Result* r, int count) {
    static const char* const heading[] = { "most memory, MiB", "measured", "parameters x 16 bytes", "activations",
                                           "parameters + 1.2 activations", "measured by that", "PyTorch" };
    const double mib = 1 << 20;
    Table* t = table_new(heading, 7);
    for (; count > 0; r++, count--) {
        double params = 16 * parameters(&r->config) / mib, acts = 4 * activations(r->shape, &r->config, &r->shape->entry[0]) / mib;
        table_cell(t, "%s", r->shape->title);
        table_number(t, r->memory[0], 0, "");
        table_number(t, params, 0, "");
        table_number(t, acts, 1, "");
        table_number(t, params + 1.2 * acts, 0, "");
        table_number(t, r->memory[0] / (params + 1.2 * acts), 2, "");
        table_number(t, r->memory[TORCH], 0, "");
        table_end_row(t);
    }
    report_heading(report, "Memory");
    print_and_free(report, t);
    report_text(report, "Measured: the largest resident set of the process (getrusage), program and libraries included, some 10 MiB of ours. Parameters: "
                "weight, gradient and two moments. Activations: what the backward needs of the forward, the logits once among them.");
}

static void report_methods(const Report* report, const Result* r, int count) {
    static const char* const heading[] = { "regularized step", "threads", "ms", "least", "most", "of plain", "wanted at most" };
    Table* t = table_new(heading, 7);
    for (; count > 0; r++, count--) {
        for (int i = 0; i < MOST_ENTRIES && r->shape->entry[i].method; i++) {
            table_cell(t, "%s: %s", r->shape->title, r->shape->entry[i].what);
            table_cell(t, "%d", r->threads);
            time_cells(t, r, i);
            table_number(t, r->ratio[i], 3, "");
            table_number(t, i > 0 ? r->shape->wanted_ratio : NAN, 2, "");
            table_end_row(t);
        }
    }
    report_heading(report, "The regularizer beside a plain step on the same rows");
    print_and_free(report, t);
    report_text(report, "Medians of interleaved rounds; 'of plain' is the median of the ratios of the rounds.");
}

// "ms (share of the peak)" where the operation has products to count.
static void part_cell(Table* t, const Result* r, int i) {
    double gflop = flops(r->shape, &r->config, operations[i].work) / 1e9;
    int decimals = r->step_ms < 100 ? 3 : 1;
    if (gflop == 0) { table_number(t, r->part_ms[i], decimals, "      "); return; } // so that milliseconds stand below each other
    table_cell(t, "%.*f (%2.0f%%)", decimals, r->part_ms[i], 100 * gflop / (r->part_ms[i] / 1e3) / r->ms[PEAK]);
}

static void report_parts(const Report* report, const Result* r, int count) {
    Table* t = table_new(NULL, 0);
    double sum[NUM_SHAPES] = {0};
    table_cell(t, "ms (share of the peak)");
    for (int k = 0; k < count; k++) { table_cell(t, "%s      ", r[k].shape->name); }
    table_end_row(t);
    for (int i = 0; i < NUM_PARTS; i++) {
        table_cell(t, "%s", operations[i].name);
        for (int k = 0; k < count; k++) {
            part_cell(t, &r[k], i);
            sum[k] += r[k].part_ms[i];
        }
        table_end_row(t);
    }
    const char* const last[3] = { "sum", "whole step", "sum by whole" };
    for (int i = 0; i < 3; i++) {
        table_cell(t, "%s", last[i]);
        for (int k = 0; k < count; k++) {
            double x[3] = { sum[k], r[k].step_ms, sum[k] / r[k].step_ms };
            table_number(t, x[i], i == 2 ? 2 : r[k].step_ms < 100 ? 3 : 1, "      ");
        }
        table_end_row(t);
    }
    report_heading(report, "A step by operation");
    print_and_free(report, t);
    report_text(report, "Each operation alone, for all blocks, on what a real step left in its buffers; medians of passes of a whole step and then every "
                "operation. What the sum lacks is the batch, the log and the memory's other state.");
}

// ---------------------------------------------------------------------------------------------
// Options, and main.

#define AT(field) offsetof(BenchOptions, field)
static const Option options[] = {
    { .name = "What to measure" },
    { "shapes",  NULL, OPTION_TEXT,   AT(shapes),   0, 0,           NULL, "some of 124m-t64,124m-t256,124m-t1024,c384,c128,subset,demo; all, or with --quick the last four but subset" },
    { "ops",     NULL, OPTION_SWITCH, AT(products), 0, 1,           NULL, "single matrix products beside OpenBLAS instead" },
    { "rounds",  NULL, OPTION_INT,    AT(rounds),   1, MOST_ROUNDS, NULL, "turns of each contender" },
    { "threads", NULL, OPTION_INT,    AT(threads),  0, 1024,        NULL, "0: all there are" },
    { "quick",   NULL, OPTION_SWITCH, AT(quick),    0, 1,           NULL, "two short rounds: does it work at all" },
    { .name = "Around it" },
    { "python",  NULL, OPTION_TEXT,   AT(python),   0, 0,           NULL, "an interpreter that has PyTorch, or none; python3, else /usr/bin/python3" },
    { "out",     NULL, OPTION_TEXT,   AT(out),      0, 0,           NULL, "Markdown file of the results; dev/bench/results.md (--ops: products.md), and none with --quick or --shapes" },
    { "flags",   NULL, OPTION_TEXT,   AT(flags),    0, 0,           NULL, "of the compiler, for the report" },
};

static const char bench_about[] =
    "bench -- times the training step beside the machine's peak and PyTorch, by operation, and the regularizer beside plain training.\n"
    "  from the repository root; make bench, make bench OPS=1, make bench ARGS=--quick";

static int is_listed(const char* list, const char* name) {
    size_t length = strlen(name);
    for (const char* at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) { return 1; }
    }
    return 0;
}

static void check_shapes(const char* list) {
    int named = 1, known = 0;
    for (const char* at = list; *at; at++) { named += *at == ','; }
    for (int i = 0; i < NUM_SHAPES; i++) { known += is_listed(list, shapes[i].name); }
    check(named == known, "--shapes %s: not all of these are known, or one comes twice; --help lists them", list);
}

static int is_wanted(const BenchOptions* o, const Shape* s) {
    if (o->shapes) { return is_listed(o->shapes, s->name); }
    return !o->quick || strcmp(s->init, "d12") != 0;
}

static void measure_steps(const Report* report, const BenchOptions* o) {
    Result plain[NUM_SHAPES], methods[NUM_SHAPES];
    int num_plain = 0, num_methods = 0;
    for (int i = 0; i < NUM_SHAPES; i++) {
        if (!is_wanted(o, &shapes[i])) { continue; }
        if (shapes[i].entry[1].method) { methods[num_methods++] = measure(&shapes[i], o); }
        else { plain[num_plain++] = measure(&shapes[i], o); }
    }
    if (num_plain > 0) {
        report_steps(report, plain, num_plain);
        report_memory(report, plain, num_plain);
        report_parts(report, plain, num_plain);
    }
    if (num_methods > 0) { report_methods(report, methods, num_methods); }
}

static void report_peaks(const Report* report, int threads) {
    char request[16];
    Worker w = worker_start("the peak", peak_serve, NULL);
    worker_send(&w, "1");
    double one = worker_number(&w);
    snprintf(request, sizeof(request), "%d", threads);
    worker_send(&w, request);
    report_text(report, "At the beginning, multiply-adds on registers alone: %.0f GFLOP/s with 1 thread, %.0f with %d, vectors of %s.",
                one, worker_number(&w), threads, peak_vectors);
    worker_stop(&w);
}

// The file appears when all of it is there (llmc/files.h).
static const char* results_path(const BenchOptions* o) {
    if (o->out || o->quick || o->shapes) { return o->out; }
    folder_create("dev/bench");
    return o->products ? "dev/bench/products.md" : "dev/bench/results.md";
}

static void measure_all(const Report* report, BenchOptions* o) {
    char version[64];
    report_machine(report, o->flags);
    report_peaks(report, o->threads);
    if (o->products) { products_measure(report, o->rounds, o->threads, o->quick); return; }
    o->python = find_torch(o->python, version, sizeof(version));
    report_text(report, "%d threads where no other number is given; %d rounds; PyTorch%s%s.", o->threads, o->rounds,
                o->python ? " " : ": none found, left out", o->python ? version : "");
    measure_steps(report, o);
}

int main(int argc, char** argv) {
    BenchOptions o = { .rounds = 5 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &o };
    options_parse(&table, 1, argc, argv, bench_about);
    if (o.shapes) { check_shapes(o.shapes); }
    if (o.threads == 0) { o.threads = omp_get_max_threads(); }
    if (o.quick && o.rounds > 2) { o.rounds = 2; }
    const char* path = results_path(&o);
    Report report = { NULL };
    if (!path) { measure_all(&report, &o); return 0; }
    Output out = output_open(path);
    report.file = out.file;
    fprintf(report.file, "# %s\n\n", o.products ? "Matrix products" : "The training step");
    measure_all(&report, &o);
    output_close(&out);
    printf("\nwrote %s\n", path);
    return 0;
}
