// runlog.h -- what a run tells: a line for people, rows for programs.
#ifndef LLMC_RUNLOG_H
#define LLMC_RUNLOG_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

// Of preference pairs: the share of those in the right order, and the mean margin.
typedef struct { double accuracy, margin; } PairCells;

// Of rounds of policy gradients: mean rewards of the round's responses, of the target's and of evaluations; mean length of the
// round's; a step's divergence from the policy that sampled and from the reference, the latter's coefficient, the share of tokens
// without gradient because their ratio was clipped; groups of the round where no response is better than another; the value's loss; steps
// since the target's responses were drawn; rows of the round that a filter kept.
#define ROUND_CELLS(X) \
    X(reward) X(target_reward) X(val_reward) X(val_general_reward) X(length) X(kl_old) X(kl_reference) X(kl) X(clipped) X(degenerate) \
    X(value_loss) X(target_age) X(kept)
#define ROUND_CELL(name) double name;
typedef struct { ROUND_CELLS(ROUND_CELL) } RoundCells;
#undef ROUND_CELL

// One step, as it was seen before its update. NAN: not measured, an empty cell.
typedef struct {
    int step;
    double loss, target_loss, val_loss, val_general_loss, lr, grad_norm, update_cos, update_ratio;
    long tokens;
    double ms, projecting_ms; // of the step; of these, what the regularizer took to find its weights
    PairCells pairs[4];       // general, target, val, val_general
    RoundCells round;
    int round_ended;          // 1: before the step, because the policy had moved too far
    int rows_left_out;        // by the objective, for a note: log-probabilities that are not finite
} StepRow;

typedef enum { COLUMNS_LOSSES, COLUMNS_PAIRS, COLUMNS_ROUNDS } LogColumns; // what the files have columns for

typedef struct {
    FILE *log_csv, *eval_csv, *main_log; // NULL without a folder
    int first_step, steps;
    LogColumns columns;
    double began, last_line;             // seconds
} RunLog;

// folder: of --out, or NULL. A new run begins its files anew; one that continues at first_step drops the rows from
// there on and appends.
RunLog runlog_open(const char* folder, int first_step, int steps, LogColumns columns);
void runlog_close(RunLog* log);

// A CSV file of the folder under the same rules, NULL without a folder. *is_new: the caller writes the header.
FILE* runlog_csv(const char* folder, const char* name, int first_step, int* is_new);

StepRow runlog_row(int step); // with nothing measured

// log.csv and main.log; and a line on the terminal, one a step or a second, whichever is rarer.
void runlog_step(RunLog* log, const StepRow* row, const char* note);
// eval.csv. data: val or val_general; loss, accuracy over trained tokens, and exact over rows; of pairs, loss, accuracy over them, and the mean
// margin; of rounds, mean reward, the share of responses that are right, with a reward of at least 1, NAN where no reward says so,
// and the mean length.
void runlog_eval(RunLog* log, int step, const char* data, const double cells[3]);

double seconds_now(void);

#ifdef __cplusplus
}
#endif

#endif // LLMC_RUNLOG_H
