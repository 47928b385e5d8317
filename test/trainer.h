// trainer.h -- the trainer's text without its main, for tests, and whole runs of it inside a test.
#ifndef TEST_TRAINER_H
#define TEST_TRAINER_H

#pragma GCC diagnostic ignored "-Wunused-function" // no test calls all of it

#include "scratch.h"
#include "test.h"

#define TESTING
#include "../train_gpt2_drpt.c"
#include "../drpt/generate.h"
#include "../drpt/run_probe.h"
#include "../llmc/batch.h"
#include "../llmc/dataset.h"
#include "../llmc/files.h"
#include "../llmc/rng.h"
#include "../llmc/runlog.h"
#include "../llmc/schedule.h"

#include <fcntl.h>

// ---------------------------------------------------------------------------------------------
// What the trainer prints is not the test's.

static int quiet_kept = -1;

static void quiet_begin(const char* to) {
    fflush(stdout);
    quiet_kept = dup(STDOUT_FILENO);
    int file = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (quiet_kept < 0 || file < 0) { perror(to); exit(1); }
    dup2(file, STDOUT_FILENO);
    close(file);
}

static void quiet_end(void) {
    fflush(stdout);
    dup2(quiet_kept, STDOUT_FILENO);
    close(quiet_kept);
}

// ---------------------------------------------------------------------------------------------
// Runs, given by their command line.

static Run run;
static char run_text[4096];

// Options with their values filled in, until the next call.
__attribute__((format(printf, 1, 2)))
static const char* with(const char* format, ...) {
    static char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return text;
}

__attribute__((format(printf, 1, 2)))
static void run_begin(const char* format, ...) {
    char* argv[128] = { run_text };
    int argc = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(run_text, sizeof(run_text), format, args);
    va_end(args);
    for (char* word = strtok(run_text, " "); word && argc < 128; word = strtok(NULL, " ")) { argv[argc++] = word; }
    run = run_with_defaults();
    OptionTable tables[RUN_TABLES];
    run_tables(&run, tables);
    options_parse(tables, RUN_TABLES, argc, argv, "");
    check_options(&run);
    omp_set_num_threads(run.config.threads > 0 ? run.config.threads : omp_get_num_procs());
    quiet_begin("/dev/null");
    if (run.config.probe) { run_probe(&run); } else { run_open(&run); }
    quiet_end();
}

// All its steps; then the run can be looked at until run_close(&run).
static void run_train(void) {
    quiet_begin("/dev/null");
    train(&run, "trainer");
    quiet_end();
}

// ---------------------------------------------------------------------------------------------
// Models and data.

static uint64_t test_rng = 1;

static int test_below(int n) { return (int)((test_uniform(&test_rng) + 1.0f) / 2.0f * (float)n) % n; }

// Weights so large that every part of the model matters, LayerNorms about 1; padded rows too, which must not matter.
static void fill_params(GPT2* model, float size) {
    test_fill(model->params, model->num_params, &test_rng);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        for (size_t k = 0; k < t->blocks * t->rows * t->cols; k++) {
            float* x = model->params + t->begin + k;
            *x = (t->init == '1') + size * *x;
        }
    }
}

// A row whose tokens repeat; up to three quarters of its positions are trained on, the last always.
static void random_row(uint16_t* tokens, unsigned char* mask, int T, int V) {
    int kinds = 1 + test_below(V);
    for (int t = 0; t <= T; t++) { tokens[t] = (uint16_t)test_below(kinds); }
    int share = 1 + test_below(3);
    for (int t = 0; t < T; t++) { mask[t] = t == T - 1 || test_below(4) < share; }
}

static void write_examples(const char* path, int rows, int T, int V) {
    uint16_t* tokens = malloc(sizeof(uint16_t) * (size_t)rows * (size_t)(T + 1));
    unsigned char* mask = malloc((size_t)rows * (size_t)T);
    check(tokens && mask, "out of memory");
    for (int i = 0; i < rows; i++) { random_row(tokens + i * (T + 1), mask + i * T, T, V); }
    examples_write(path, tokens, mask, (size_t)rows, (size_t)T, V, KIND_EXAMPLES, TOKENIZER_NONE);
    free(tokens);
    free(mask);
}

#endif // TEST_TRAINER_H
