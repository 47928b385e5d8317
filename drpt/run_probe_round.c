// run_probe_round.c -- the probe of objectives that sample. Weights and gradients are those of a step of the first epoch.
#include "run_probe_round.h"
#include "../llmc/check.h"

static const uint64_t REFERENCE = (uint64_t)6 << 32; // of random numbers, as in round_draw.c; and the next for the other half

// One group to each of the prompts [first, end) of --val, with advantages over one another.
static RoundRows reference_rows(Run* run, int half, size_t first, size_t end) {
    const Round* r = run->round;
    size_t rows = (end - first) * (size_t)r->group, most = 1 << 24;
    check(rows <= most, "--group-size %d: makes %zu responses to the prompts of --val, at most %zu can be kept", r->group, rows, most);
    int count = (int)rows, at = 0;
    RoundRows all = round_rows_create(count, run->T), some = round_rows_create(r->target.rows, run->T);
    Reader reader = reader_open(&run->val, 0, 0);
    reader_seek(&reader, 0, first);
    for (int number = 0; at < count && !stop_requested; number++) {
        round_draw(run, &some, &reader, REFERENCE + ((uint64_t)half << 32), number);
        for (int i = 0; i < some.rows && at < count; i++) { round_rows_copy(&all, at++, &some, i); }
    }
    round_compare_target(run, &all);
    reader_close(&reader);
    round_rows_free(&some);
    return all;
}

static void compute(Run* run, Drpt* recorder, int pass) {
    StepRow row = runlog_row(pass);
    round_compute(run, recorder, pass, 0, &row);
    check(row.rows_left_out == 0, "the probe: log-probabilities are not finite; look for broken values in the model");
}

// A step of target rows alone, in as many micro-batches as it takes; what is left of the last one is zeros, and trained nowhere.
void probe_round_reference(Run* run, Probe* probe, int half, size_t first, size_t end) {
    RoundRows rows = reference_rows(run, half, first, end), step = run->round->step;
    Batch batch = run->batch;
    int each = batch.n + batch.m, times = (rows.rows + each - 1) / each;
    run->batch = batch_create(0, each, run->T, times);
    run->round->step = round_rows_create(times * each, run->T);
    for (int i = 0; i < rows.rows; i++) {
        round_batch_row(&run->batch, (size_t)i, &rows, i);
        round_rows_copy(&run->round->step, i, &rows, i);
    }
    probe_begin_reference(probe, half, each, run->T);
    compute(run, probe_recorder(probe), 0);
    round_rows_free(&run->round->step);
    batch_free(&run->batch);
    round_rows_free(&rows);
    run->round->step = step;
    run->batch = batch;
}

void probe_round_pass(Run* run, Probe* probe, int draw, int batch, uint64_t epoch, uint64_t position) {
    int refresh = run->round_options.target_refresh;
    if (batch == 0 || (refresh > 0 && batch % refresh == 0)) {
        reader_seek(&run->target_reader, epoch, position);
        round_draw_target(run);
    }
    round_begin(run, 0);
    round_fill(run);
    probe_begin(probe, draw, batch, run->batch.usable, run->batch.domain);
    compute(run, probe_recorder(probe), draw * run->config.draw_batches + batch);
}
