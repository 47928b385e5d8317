// runlog.h -- what a run tells: a line for people, rows for programs.
#ifndef LLMC_RUNLOG_H
#define LLMC_RUNLOG_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

// Of preference pairs: the share of those in the right order, and the mean margin.
typedef struct { double accuracy, margin; } PairCells;

// One step, as it was seen before its update. NAN: not measured, an empty cell.
typedef struct {
    int step;
    double loss, target_loss, val_loss, val_general_loss, lr, grad_norm, update_cos, update_ratio;
    long tokens;
    double ms, projecting_ms; // of the step; of these, what the regularizer took to find its weights
    PairCells pairs[4];       // general, target, val, val_general
    int rows_left_out;        // by the objective, for a note: log-probabilities that are not finite
} StepRow;

typedef struct {
    FILE *log_csv, *eval_csv, *main_log; // NULL without a folder
    int first_step, steps, pairs;        // pairs: 1: the files have columns for them
    double began, last_line;             // seconds
} RunLog;

// folder: of --out, or NULL. A new run begins its files anew; one that continues at first_step drops the rows from
// there on and appends.
RunLog runlog_open(const char* folder, int first_step, int steps, int pairs);
void runlog_close(RunLog* log);

// A CSV file of the folder under the same rules, NULL without a folder. *is_new: the caller writes the header.
FILE* runlog_csv(const char* folder, const char* name, int first_step, int* is_new);

// log.csv and main.log; and a line on the terminal, one a step or a second, whichever is rarer.
void runlog_step(RunLog* log, const StepRow* row, const char* note);
// eval.csv. data: val or val_general; accuracy over trained tokens, exact over rows; of pairs, accuracy over them, and the mean margin.
void runlog_eval(RunLog* log, int step, const char* data, double loss, double accuracy, double exact_or_margin);

double seconds_now(void);

#ifdef __cplusplus
}
#endif

#endif // LLMC_RUNLOG_H
