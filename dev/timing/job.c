// job.c -- what a step amounts to, and a run on random rows; see trainer.h.
#include "trainer.h"
#include "../../drpt/run.h"
#include "../../llmc/check.h"
#include "../../llmc/files.h"
#include "../../llmc/gpt2_tensors.h"
#include "../../llmc/rng.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
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
void trainer_open(Run* run, const TrainerJob* job) {
    char path[2][512];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof(path[i]), "%s/drpt-bench.%ld.%d.bin", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(), i);
        write_rows(path[i], job, (uint64_t)i);
    }
    omp_set_num_threads(job->threads);
    *run = run_with_defaults();
    run->config.init = job->init;
    run->config.general = path[0];
    run->config.target = job->m > 0 ? path[1] : NULL;
    run->config.batch = job->n;
    run->config.target_batch = job->m > 0 ? job->m : 1;
    run->config.steps = 1000000;
    run->config.threads = job->threads;
    run->config.val_every = 0;
    parse(&run->options, job->options);
    check_options(run);
    run_open(run);
    run->config.general = run->config.target = NULL;
    for (int i = 0; i < 2; i++) { unlink(path[i]); }
}
