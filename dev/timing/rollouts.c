// rollouts.c -- sampling beside a forward pass of as many rows; see rollouts.h.
#include "rollouts.h"
#include "worker.h"
#include "../../drpt/rollout.h"
#include "../../llmc/check.h"
#include "../../llmc/runlog.h"

#include <omp.h>
#include <stdlib.h>

typedef struct {
    const char *what, *init;
    int rows, T, prompt;
} Sampler;

static const Sampler samplers[] = {
    { "GPT-2 124M, B=1",  "d12", 1,  128, 16 },
    { "GPT-2 124M, B=8",  "d12", 8,  128, 16 },
    { "GPT-2 124M, B=32", "d12", 32, 128, 16 },
    { "L6 C384 V512, B=32", "L6,H6,C384,V512,T128", 32, 128, 16 },
    { "L4 C128 V512, B=16", "L4,H4,C128,V512,T128", 16, 128, 16 },
    { "L4 C128 V512, B=64", "L4,H4,C128,V512,T128", 64, 128, 16 },
};

// Of one position at place t: its products, and attention's two over t + 1 places.
static double gflop(const GPT2Config* c, int t) {
    double L = c->layers, C = c->channels;
    return 1e-9 * (2 * (12*L*C*C + c->vocab_size * C) + 4 * L * C * (t + 1));
}

static double forward_seconds(GPT2* model, const int* tokens, int B, int T) {
    double start = seconds_now();
    gpt2_forward(model, tokens, B, T);
    return seconds_now() - start;
}

// GFLOP/s of turns: a forward with one token in each row, one with eight, a step of the rollouts; and the step's share in the decoder.
static void take_turn(GPT2* model, Rollouts* r, const int* tokens, double* one, double* eight, double* step, double* share) {
    const GPT2Config* c = gpt2_config(model);
    int t = r->length[0] - 1;
    *one = r->rows * gflop(c, 0) / forward_seconds(model, tokens, r->rows, 1);
    *eight = 8 * r->rows * gflop(c, 3) / forward_seconds(model, tokens, r->rows, 8);
    double start = seconds_now();
    rollouts_step(r, model);
    double whole = seconds_now() - start;
    *step = r->rows * gflop(c, t) / whole;
    start = seconds_now();
    gpt2_decode(model, r->decoder, r->fed, r->fed_row, r->fed_place, r->running); // the same positions again
    *share = (seconds_now() - start) / whole;
}

static void sampler_row(Table* table, const Sampler* s, int turns) {
    double one[MOST_ROUNDS], eight[MOST_ROUNDS], step[MOST_ROUNDS], share[MOST_ROUNDS];
    GPT2* model = gpt2_create(s->init, 1, 0, 0);
    int B = s->rows, V = gpt2_config(model)->vocab_size, *tokens = calloc((size_t)B * (size_t)s->T, sizeof(int));
    check(tokens != NULL, "out of memory for the prompts");
    gpt2_alloc(model, B, 8, 0, 0, 0);
    Rollouts r = rollouts_create(gpt2_config(model), B, s->T, B);
    r.sampling = (Sampling){ .temperature = 0.8, .top_p = 0.95, .top_k = 50 };
    rollouts_begin(&r, 1, 0, 0);
    for (int i = 0; i < B * s->T; i++) { tokens[i] = i * 7919 % V; }
    for (int i = 0; i < B; i++) { rollouts_prompt(&r, i, tokens + i * s->T, s->prompt); }
    rollouts_step(&r, model); // the prompts
    for (int i = 0; i < turns; i++) { take_turn(model, &r, tokens, &one[i], &eight[i], &step[i], &share[i]); }
    table_cell(table, "%s", s->what);
    table_number(table, median(one, turns), 1, "");
    table_number(table, median(eight, turns), 1, "");
    table_number(table, median(step, turns), 1, "");
    table_number(table, 100 * median_ratio(step, one, turns), 0, " %");
    table_number(table, 100 * median_ratio(step, eight, turns), 0, " %");
    table_number(table, 60, 0, " %");
    table_number(table, 100 * (1 - median(share, turns)), 0, " %");
    table_end_row(table);
    rollouts_free(&r);
    gpt2_free(model);
    free(tokens);
}

// Seconds of a first step, which takes in all prompts: of `count` tokens, the same for every `group` rows.
static double first_step(Rollouts* r, GPT2* model, const int* tokens, int count, int group) {
    rollouts_begin(r, 1, 0, 0);
    for (int i = 0; i < r->rows; i++) { rollouts_prompt(r, i, tokens + i / group, count); }
    double start = seconds_now();
    rollouts_step(r, model);
    return seconds_now() - start;
}

static void group_row(Table* table, const char* what, const char* init, int turns) {
    enum { ROWS = 32, GROUP = 4, T = 128 };
    double alone[MOST_ROUNDS], together[MOST_ROUNDS];
    int tokens[ROWS + T];
    GPT2* model = gpt2_create(init, 1, 0, 0);
    Rollouts r = rollouts_create(gpt2_config(model), ROWS, T, ROWS);
    for (int i = 0; i < ROWS + T; i++) { tokens[i] = i * 7919 % gpt2_config(model)->vocab_size; }
    for (int i = 0; i < turns; i++) {
        alone[i] = first_step(&r, model, tokens, T / 2, 1);
        together[i] = first_step(&r, model, tokens, T / 2, GROUP);
    }
    table_cell(table, "%s", what);
    table_number(table, 1e3 * median(alone, turns), 1, " ms");
    table_number(table, 1e3 * median(together, turns), 1, " ms");
    table_number(table, median_ratio(alone, together, turns), 2, "");
    table_end_row(table);
    rollouts_free(&r);
    gpt2_free(model);
}

static void measure_groups(const Report* report, int turns) {
    static const char* const heading[] = { "32 responses to prompts of 64 tokens", "32 prompts", "8 prompts", "ratio" };
    Table* t = calloc(1, sizeof(Table));
    check(t != NULL, "out of memory for a table");
    for (size_t i = 0; i < sizeof(heading) / sizeof(heading[0]); i++) { table_cell(t, "%s", heading[i]); }
    table_end_row(t);
    group_row(t, "L6 C384 V512", "L6,H6,C384,V512,T128", turns);
    group_row(t, "L4 C128 V512", "L4,H4,C128,V512,T128", turns);
    report_heading(report, "Groups");
    report_table(report, t);
    free(t);
    report_text(report, "The first step, which takes in the prompts and samples a token of each response: each prompt goes through the model once, and its keys "
                "and values are copied for the other responses to it. 4 would be all that it can save.");
}

void rollouts_measure(const Report* report, int rounds, int threads, int quick) {
    static const char* const heading[] = { "sampling", "forward, T=1", "forward, T=8", "rollouts", "of T=1", "of T=8", "wanted of T=1", "not the model" };
    enum { COUNT = sizeof(samplers) / sizeof(samplers[0]) };
    int turns = quick ? 3 : 10 * rounds < MOST_ROUNDS ? 10 * rounds : MOST_ROUNDS;
    omp_set_num_threads(threads);
    Table* t = calloc(1, sizeof(Table));
    check(t != NULL, "out of memory for a table");
    for (size_t i = 0; i < sizeof(heading) / sizeof(heading[0]); i++) { table_cell(t, "%s", heading[i]); }
    table_end_row(t);
    for (int i = quick ? COUNT - 3 : 0; i < COUNT; i++) { sampler_row(t, &samplers[i], turns); }
    report_heading(report, "Sampling");
    report_table(report, t);
    free(t);
    report_text(report, "GFLOP/s of B rows, %d threads, medians of %d turns. Forward: gpt2_forward() on B rows of T tokens. Rollouts: a whole step of them (decoding at "
                "places 16 and on, temperature, top-k 50, top-p 0.95, and what a policy gradient needs) for one token in each row. FLOP of a position: "
                "2 (12 L C^2 + V C) + 4 L C (places it attends to). Wanted: 60 %% of the rate of a forward of the same batch width, which is "
                "taken to be T=1: as many positions, through the same weights. Not the model: the step's share outside gpt2_decode().", threads, turns);
    measure_groups(report, turns);
}
