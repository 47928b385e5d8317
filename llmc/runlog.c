// runlog.c -- what a run tells.
#include "runlog.h"
#include "check.h"
#include "files.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Rewrites the file without the rows whose first number is `step` or more, nor a last line that was cut off.
static void drop_rows(const char* path, int step) {
    char* text = input_text(path);
    Output o = output_open(path);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char* rest;
        long number = strtol(line[0] == 's' && line[1] == ':' ? line + 2 : line, &rest, 10);
        int is_header = line == text && rest == line;
        if (is_header || number < step) { output_write(&o, line, (size_t)(end + 1 - line)); }
    }
    output_close(&o);
    free(text);
}

static FILE* open_log(const char* folder, const char* name, int first_step, int* is_new) {
    char* path = path_join(folder, name);
    *is_new = first_step == 0 || access(path, F_OK) != 0;
    if (!*is_new) { drop_rows(path, first_step); }
    FILE* f = fopen(path, *is_new ? "w" : "a");
    check(f != NULL, "%s: cannot be written: %s", path, strerror(errno));
    free(path);
    return f;
}

FILE* runlog_csv(const char* folder, const char* name, int first_step, int* is_new) {
    *is_new = 0;
    return folder ? open_log(folder, name, first_step, is_new) : NULL;
}

#define NAME(name) "," #name
static const char* const log_columns[] = {
    [COLUMNS_LOSSES] = "",
    [COLUMNS_PAIRS] = ",accuracy,margin,target_accuracy,target_margin,val_accuracy,val_margin,val_general_accuracy,val_general_margin",
    [COLUMNS_ROUNDS] = ROUND_CELLS(NAME),
};
static const char* const eval_columns[] = { "loss,accuracy,exact", "loss,accuracy,margin", "reward,right,length" };

RunLog runlog_open(const char* folder, int first_step, int steps, LogColumns columns) {
    RunLog log = { .first_step = first_step, .steps = steps, .columns = columns, .began = seconds_now() };
    int is_new;
    if (!folder) { return log; }
    log.log_csv = open_log(folder, "log.csv", first_step, &is_new);
    if (is_new) {
        fprintf(log.log_csv, "step,loss,target_loss,val_loss,val_general_loss,lr,grad_norm,update_cos,update_ratio,tokens,ms%s\n", log_columns[columns]);
    }
    log.eval_csv = open_log(folder, "eval.csv", first_step, &is_new);
    if (is_new) { fprintf(log.eval_csv, "step,data,%s\n", eval_columns[columns]); }
    log.main_log = open_log(folder, "main.log", first_step, &is_new);
    return log;
}

void runlog_close(RunLog* log) {
    FILE* files[3] = { log->log_csv, log->eval_csv, log->main_log };
    for (int i = 0; i < 3; i++) {
        if (files[i]) { check(fclose(files[i]) == 0, "a log file could not be written: %s", strerror(errno)); }
    }
    *log = (RunLog){0};
}

StepRow runlog_row(int step) {
    StepRow row = { .step = step, .loss = NAN, .target_loss = NAN, .val_loss = NAN, .val_general_loss = NAN, .lr = NAN, .grad_norm = NAN,
                    .update_cos = NAN, .update_ratio = NAN, .ms = NAN, .projecting_ms = NAN };
    for (int i = 0; i < 4; i++) { row.pairs[i] = (PairCells){ NAN, NAN }; }
    #define UNKNOWN(name) row.round.name = NAN;
    ROUND_CELLS(UNKNOWN)
    return row;
}

static void cell(FILE* f, double x, const char* end) {
    if (!isnan(x)) { fprintf(f, "%.9g", x); }
    fputs(end, f);
}

static void write_row(FILE* f, const StepRow* r, LogColumns columns) {
    const double cells[] = { r->loss, r->target_loss, r->val_loss, r->val_general_loss, r->lr, r->grad_norm,
                             r->update_cos, r->update_ratio };
    fprintf(f, "%d,", r->step);
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) { cell(f, cells[i], ","); }
    if (r->tokens > 0) { fprintf(f, "%ld", r->tokens); }
    fputc(',', f);
    cell(f, r->ms, "");
    for (int i = 0; columns == COLUMNS_PAIRS && i < 4; i++) {
        fputc(',', f);
        cell(f, r->pairs[i].accuracy, ",");
        cell(f, r->pairs[i].margin, "");
    }
    #define CELL(name) fputc(',', f); cell(f, r->round.name, "");
    if (columns == COLUMNS_ROUNDS) { ROUND_CELLS(CELL) }
    fputc('\n', f);
    fflush(f);
}

// llm.c's lines, which its plotting notebook reads: tel, a loss of evaluation, less is better; eval, of which more is.
static void write_main(FILE* f, const StepRow* r) {
    double trained = isnan(r->loss) ? r->target_loss : r->loss;
    if (!isnan(r->val_loss)) { fprintf(f, "s:%d tel:%.4f\n", r->step, r->val_loss); }
    if (!isnan(r->round.val_reward)) { fprintf(f, "s:%d eval:%.4f\n", r->step, r->round.val_reward); }
    if (!isnan(trained)) { fprintf(f, "s:%d trl:%.4f lr:%.6f norm:%.2f\n", r->step, trained, r->lr, r->grad_norm); }
    fflush(f);
}

static void show(const char* name, double x) { if (!isnan(x)) { printf(" | %s %.4f", name, x); } }

static void show_line(RunLog* log, const StepRow* r, const char* note) {
    int done = r->step + 1 - log->first_step, width = snprintf(NULL, 0, "%d", log->steps);
    double left = (seconds_now() - log->began) / (done > 0 ? done : 1) * (log->steps - r->step - 1);
    printf("step %*d/%d", width, r->step, log->steps);
    show("loss", r->loss);
    show("target", r->target_loss);
    show("val", r->val_loss);
    show("val general", r->val_general_loss);
    if (log->columns == COLUMNS_PAIRS) {
        show("accuracy", r->pairs[0].accuracy);
        show("target accuracy", r->pairs[1].accuracy);
        show("val accuracy", r->pairs[2].accuracy);
        show("val general accuracy", r->pairs[3].accuracy);
    } else if (log->columns == COLUMNS_ROUNDS) {
        show("reward", r->round.reward);
        show("target reward", r->round.target_reward);
        show("val reward", r->round.val_reward);
        show("val general reward", r->round.val_general_reward);
        show("kl", isnan(r->round.kl_reference) ? r->round.kl_old : r->round.kl_reference);
    }
    if (!isnan(r->ms)) {
        printf(" | lr %.2e | norm %.3f", r->lr, r->grad_norm);
        show("cos", r->update_cos);
        if (!isnan(r->projecting_ms)) { printf(" | projection %.0f %%", 100.0 * r->projecting_ms / r->ms); }
        printf(" | %.1f ms | %.0f tok/s | %d:%02d left", r->ms, (double)r->tokens / r->ms * 1e3, (int)left / 60, (int)left % 60);
    }
    printf("%s%s\n", note[0] ? " | " : "", note);
    fflush(stdout);
}

void runlog_step(RunLog* log, const StepRow* r, const char* note) {
    if (log->log_csv) { write_row(log->log_csv, r, log->columns); }
    if (log->main_log) { write_main(log->main_log, r); }
    double now = seconds_now();
    int must = !isnan(r->val_loss) || !isnan(r->round.val_reward) || r->step == log->first_step || r->step + 1 >= log->steps || note[0];
    if (!must && now - log->last_line < 1.0) { return; }
    show_line(log, r, note);
    log->last_line = now;
}

void runlog_eval(RunLog* log, int step, const char* data, const double cells[3]) {
    if (!log->eval_csv) { return; }
    fprintf(log->eval_csv, "%d,%s,", step, data);
    for (int i = 0; i < 3; i++) { cell(log->eval_csv, cells[i], i < 2 ? "," : "\n"); }
    fflush(log->eval_csv);
}
