// run.h -- a run of the trainer: what its command line says is done, step by step.
#ifndef DRPT_RUN_H
#define DRPT_RUN_H

#include "drpt.h"
#include "gpt2.h"
#include "policy.h"
#include "round.h"
#include "../llmc/batch.h"
#include "../llmc/config.h"
#include "../llmc/dataset.h"
#include "../llmc/runlog.h"
#include "../llmc/tokenizer.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Run {
    Config config;
    DrptOptions options;
    RoundOptions round_options;
    RewardOptions reward_options;
    GPT2* model;
    Drpt drpt;
    Policy policy;                             // of an objective on pairs
    Round* round;                              // of one that samples, else NULL
    int per_item;                              // rows of the data that are an item of the regularizer: 2, a pair, or 1
    Dataset general, target, val, val_general; // rows = 0: not given
    Reader general_reader, target_reader;
    Batch batch;
    Batch eval;                                // --batch items of evaluation data
    float* losses;                             // of the positions of all micro-batches, or of an evaluation's batch
    float* pending;                            // those of a step, on the device until it is queued
    unsigned char* hits;
    RunLog log;
    Tokenizer* tokenizer;                      // for samples, else NULL
    int T, steps, first_step, step;            // the last: at hand
    const char* program;                       // named where the way to continue is told
    int updates;                               // of the weights, so far: one a step, but for those of rounds that have nothing to learn from
} Run;

// The program: `about` it is what it prints when it is given nothing to do. Returns its exit status.
int run_main(int argc, char** argv, const char* about);

// Its parts. All options are what a run is asked for, and begin as their defaults; check_options() ends the program if they make no sense.
enum { RUN_TABLES = 5 };
Run run_with_defaults(void);
void run_tables(Run* run, OptionTable tables[RUN_TABLES]);
void check_options(const Run* run);
void run_open(Run* run);
void run_close(Run* run);
void train(Run* run, const char* program); // all steps

// One optimizer step, its evaluation before it; and of that the forward and backward of all micro-batches, which leave the update direction
// of the step in the gradients, and what came of them for the log. Before the second the host need not wait for a GPU.
void train_step(Run* run, int step);
void compute_update(Run* run, int step, StepRow* row);
void end_update(Run* run, StepRow* row);

// What an evaluation adds up: the weighted losses and the weights; trained positions, and those whose target was the
// likeliest token; rows, and those where all were.
typedef struct { double loss, weight, trained, hits, rows, exact; } Tally;
Tally evaluate(Run* run, const Dataset* data);
ObjectiveStats evaluate_pairs(Run* run, const Dataset* data); // of pairs, which count 1 each

// The loss of the rows [first, end) of all micro-batches, from what was added up: rows with a loss that is no number are left out.
// losses, weight: (rows, b->T).
typedef struct { double sum, weight; } Mean;
void add_losses(Mean* mean, const float* losses, const Batch* b, const float* weight, int first, int end);
double mean_of(Mean m);

// By Ctrl-C, or SIGTERM. What is in the middle of a step ends the program with run_stop(): what was done before the step is kept.
extern volatile sig_atomic_t stop_requested;
__attribute__((noreturn)) void run_stop(Run* run);

// Where the readers of the data stand.
DataPosition run_position(const Run* run);
void run_seek(Run* run, DataPosition at);

// For --probe, which is a run of another kind.
void open_data(Run* run);
void open_losses(Run* run, int most);         // most rows of a pass
void write_config(Run* run);

#ifdef __cplusplus
}
#endif

#endif // DRPT_RUN_H
