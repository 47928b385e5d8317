// run_probe.c -- measuring bias and variance of the update directions at a checkpoint (probe.h).
#include "run_probe.h"
#include "run.h"
#include "probe.h"
#include "../llmc/check.h"
#include "../llmc/files.h"

#include <string.h>
#include <unistd.h>

static size_t count_trained(Run* run, const Dataset* data, size_t first, size_t end) {
    size_t tokens = 0;
    for (size_t i = first; i < end; i++) {
        batch_row(&run->eval, 0, data, i, gpt2_config(run->model)->vocab_size);
        tokens += (size_t)batch_trained(&run->eval, 0);
    }
    return tokens;
}

// The rows [first, end) of --val are half of the reference, or (2) all of it.
static void probe_reference(Run* run, Probe* probe, int half, size_t first, size_t end) {
    Batch* b = &run->eval;
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0;
    double all = (double)(by_tokens ? count_trained(run, &run->val, first, end) : end - first);
    for (size_t at = first; at < end && !stop_requested; at += (size_t)b->n) {
        int count = end - at < (size_t)b->n ? (int)(end - at) : b->n;
        for (int i = 0; i < count; i++) { batch_row(b, (size_t)i, &run->val, at + (size_t)i, gpt2_config(run->model)->vocab_size); }
        Count these = batch_count(b, 0, count);
        batch_weigh(b, 0, count, by_tokens, (double)(by_tokens ? these.tokens : these.rows) / all);
        probe_begin_reference(probe, half, count, b->T);
        gpt2_forward(run->model, b->inputs, count, b->T);
        gpt2_backward(run->model, b->inputs, b->targets, b->weight, NULL, probe_recorder(probe), count, b->T);
    }
}

// One target draw with one batch: as in a step of training.
static void probe_pass(Run* run, Probe* probe, const size_t* target_rows, int draw, int batch) {
    Batch* b = &run->batch;
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0, rows = b->n + b->m, vocab = gpt2_config(run->model)->vocab_size;
    for (int i = 0; i < b->n; i++) { batch_row(b, (size_t)i, &run->general, reader_next(&run->general_reader), vocab); }
    for (int j = 0; j < b->m; j++) { batch_row(b, (size_t)(b->n + j), &run->target, target_rows[j], vocab); }
    batch_weigh(b, 0, b->n, by_tokens, (double)batch_count(b, 0, b->n).rows);
    batch_weigh(b, b->n, rows, by_tokens, 1.0);
    probe_begin(probe, draw, batch, b->usable, b->domain);
    gpt2_forward(run->model, b->inputs, rows, b->T);
    gpt2_backward(run->model, b->inputs, b->targets, b->weight, NULL, probe_recorder(probe), rows, b->T);
}

// Where --val and --target are one file it is the whole population, and its draws are independent; else they are disjoint, as if drawn
// from the population one after the other.
static void probe_draws(Run* run, Probe* probe, int is_population) {
    const Config* c = &run->config;
    size_t* rows = malloc(sizeof(size_t) * (size_t)c->target_batch);
    check(rows != NULL, "out of memory for a draw");
    double began = seconds_now();
    for (int a = 0; a < c->draws && !stop_requested; a++) {
        if (is_population) {
            reader_close(&run->target_reader);
            run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1 + (uint64_t)a, 1);
        }
        for (int j = 0; j < c->target_batch; j++) { rows[j] = reader_next(&run->target_reader); }
        for (int b = 0; b < c->draw_batches && !stop_requested; b++) { probe_pass(run, probe, rows, a, b); }
        double gone = seconds_now() - began;
        if (isatty(1)) { printf("\rdraw %d of %d, %.0f s left ", a + 1, c->draws, gone / (a + 1) * (c->draws - a - 1)); fflush(stdout); }
    }
    if (isatty(1)) { putchar('\n'); }
    free(rows);
}

static void probe_open(Run* run) {
    const Config* c = &run->config;
    check(c->init && c->general && c->target && c->val && c->out, "--probe needs --init, --general, --target, --val and --out");
    check(!run->options.method, "--probe: its file says what is measured; leave --method out");
    run->model = gpt2_create(c->init, c->seed, 1, 0);
    open_data(run);
    check(run->val.rows >= 2, "--val %s: one row cannot tell how well it knows the true gradient", c->val);
    int rows = c->batch + c->target_batch;
    gpt2_alloc(run->model, rows, run->T, 1, 0, c->recompute);
    run->batch = batch_create(c->batch, c->target_batch, run->T, 1);
    run->eval = batch_create(rows, 0, run->T, 1);
    run->general_reader = reader_open(&run->general, (uint64_t)c->seed, 1);
    run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1, 1);
    folder_create(c->out);
    write_config(run);
}

void run_probe(Run* run) {
    const Config* c = &run->config;
    ProbeList list = probe_list_read(c->probe);
    probe_open(run);
    int is_population = strcmp(c->val, c->target) == 0;
    size_t rows = run->val.rows, drawn = (size_t)c->target_batch * (is_population ? 1 : (size_t)c->draws);
    check(drawn <= run->target.rows, "--target %s: has %zu rows, %s of %d rows take %zu; use fewer --draws or a smaller --target-batch",
          c->target, run->target.rows, is_population ? "a draw" : "disjoint draws", c->target_batch, drawn);
    Probe* probe = probe_create(&list, c->batch, c->target_batch, run->T, 4 * gpt2_config(run->model)->channels, (int)run->general.num_files,
                                c->draws, c->draw_batches, (uint64_t)c->seed);
    if (is_population) { probe_reference(run, probe, 2, 0, rows); }
    for (size_t half = 0; half < 2 && !is_population; half++) { probe_reference(run, probe, (int)half, half * (rows / 2), half ? rows : rows / 2); }
    probe_draws(run, probe, is_population);
    if (stop_requested) { printf("stopped; nothing was written\n"); exit(130); }
    if (!(probe_t_norm2(probe) > 0.0)) { printf("the two halves of --val %s do not agree on the target's gradient: nothing can be said in its units; give more rows\n", c->val); }
    probe_write(probe, c->out);
    printf("wrote %s/probe.csv: %d variants, %d draws of %d target rows with %d batches of %d general rows%s\n", c->out, list.count,
           c->draws, c->target_batch, c->draw_batches, c->batch, probe_is_folded(probe) ? "; large gradients were folded at random" : "");
    probe_free(probe);
    probe_list_free(&list);
}
