// runlog.h -- what a run tells: a line for people, rows for programs.
#ifndef LLMC_RUNLOG_H
#define LLMC_RUNLOG_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

// One step, as it was seen before its update. NAN: not measured, an empty cell.
typedef struct {
    int step;
    double loss, target_loss, val_loss, val_general_loss, lr, grad_norm, update_cos, update_ratio;
    long tokens;
    double ms, projecting_ms; // of the step; of these, what the regularizer took to find its weights
} StepRow;

typedef struct {
    FILE *log_csv, *eval_csv, *main_log; // NULL without a folder
    int first_step, steps;
    double began, last_line;             // seconds
} RunLog;

// folder: of --out, or NULL. A new run begins its files anew; one that continues at first_step drops the rows from
// there on and appends.
RunLog runlog_open(const char* folder, int first_step, int steps);
void runlog_close(RunLog* log);

// A CSV file of the folder under the same rules, NULL without a folder. *is_new: the caller writes the header.
FILE* runlog_csv(const char* folder, const char* name, int first_step, int* is_new);

// log.csv and main.log; and a line on the terminal, one a step or a second, whichever is rarer.
void runlog_step(RunLog* log, const StepRow* row, const char* note);
// eval.csv. data: val or val_general; accuracy over trained tokens, exact over rows.
void runlog_eval(RunLog* log, int step, const char* data, double loss, double accuracy, double exact);

double seconds_now(void);

#ifdef __cplusplus
}
#endif

#endif // LLMC_RUNLOG_H
