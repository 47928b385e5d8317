// run_probe.c -- measuring bias and variance of the update directions at a checkpoint (probe.h).
#include "run_probe.h"
#include "run.h"
#include "run_probe_round.h"
#include "../llmc/check.h"
#include "../llmc/files.h"

#include <string.h>
#include <unistd.h>

// What --weigh counts of the rows [first, end) of the data: their trained tokens, or the rows.
static double count_rows(Run* run, const Dataset* data, size_t first, size_t end) {
    double tokens = 0.0;
    if (strcmp(run->options.weigh, "tokens") != 0) { return (double)(end - first); }
    for (size_t i = first; i < end; i++) {
        batch_row(&run->eval, 0, data, i, gpt2_config(run->model)->vocab_size);
        tokens += batch_trained(&run->eval, 0);
    }
    return tokens;
}

// Weighs the rows of a pass, of which the first `general` stand for themselves and the others add up to `total`, and leaves the model ready
// for the backward.
static void weigh_pass(Run* run, Batch* b, int general, int rows, double total) {
    if (run->per_item == 2) {
        double pairs = (rows - general) / 2.0, share[2] = { 1.0, total / pairs };
        ObjectiveStats stats[2] = {{0}};
        policy_weigh(&run->policy, run->model, b, 0, rows, general, share, stats);
        check(stats[0].broken + stats[1].broken == 0.0, "the probe: log-probabilities or scores are not finite; look for broken values in the models");
        policy_items(&run->policy, b);
        return;
    }
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0;
    batch_weigh(b, 0, general, by_tokens, (double)batch_count(b, 0, general).rows);
    batch_weigh(b, general, rows, by_tokens, total);
    gpt2_forward(run->model, b->inputs, rows, b->T);
}

static void backward(Run* run, Probe* probe, const Batch* b, int general, int rows) {
    Drpt* recorder = probe_recorder(probe);
    const HeadGradient* head = run->per_item == 2 ? policy_head(&run->policy, recorder, rows, general) : NULL;
    gpt2_backward(run->model, b->inputs, b->targets, b->weight, head, recorder, rows, b->T);
}

// The rows [first, end) of --val are half of the reference, or (2) all of it.
static void probe_reference(Run* run, Probe* probe, int half, size_t first, size_t end) {
    Batch* b = &run->eval;
    int vocab = gpt2_config(run->model)->vocab_size;
    double all = count_rows(run, &run->val, first, end);
    for (size_t at = first; at < end && !stop_requested; at += (size_t)b->n) {
        int count = end - at < (size_t)b->n ? (int)(end - at) : b->n;
        double part = count_rows(run, &run->val, at, at + (size_t)count) / all;
        for (int i = 0; i < count; i++) { batch_row(b, (size_t)i, &run->val, at + (size_t)i, vocab); }
        weigh_pass(run, b, 0, count, part);
        probe_begin_reference(probe, half, count, b->T);
        backward(run, probe, b, 0, count);
    }
}

static void probe_references(Run* run, Probe* probe, int is_population) {
    size_t per = (size_t)run->per_item, rows = run->val.rows, half = rows / per / 2 * per;
    if (run->round) {
        probe_round_reference(run, probe, 0, 0, is_population ? rows : half);
        probe_round_reference(run, probe, 1, is_population ? 0 : half, rows);
    } else if (is_population) {
        probe_reference(run, probe, 2, 0, rows);
    } else {
        probe_reference(run, probe, 0, 0, half);
        probe_reference(run, probe, 1, half, rows);
    }
}

// One target draw with one batch: as in a step of training.
static void probe_pass(Run* run, Probe* probe, const size_t* target_rows, int draw, int batch) {
    Batch* b = &run->batch;
    int rows = b->n + b->m, vocab = gpt2_config(run->model)->vocab_size;
    for (int i = 0; i < b->n; i++) { batch_row(b, (size_t)i, &run->general, reader_next(&run->general_reader), vocab); }
    for (int j = 0; j < b->m; j++) { batch_row(b, (size_t)(b->n + j), &run->target, target_rows[j], vocab); }
    weigh_pass(run, b, b->n, rows, 1.0);
    int of_pairs = run->per_item == 2;
    probe_begin(probe, draw, batch, of_pairs ? run->policy.usable : b->usable, of_pairs ? run->policy.domain : b->domain);
    backward(run, probe, b, b->n, rows);
}

// Where --val and --target are one file it is the whole population, and its draws are independent; else they are disjoint, as if drawn
// from the population one after the other.
static void probe_draws(Run* run, Probe* probe, int is_population) {
    const Config* c = &run->config;
    int m = run->batch.m;
    size_t* rows = malloc(sizeof(size_t) * (size_t)m);
    check(rows != NULL, "out of memory for a draw");
    double began = seconds_now();
    for (int a = 0; a < c->draws && !stop_requested; a++) {
        if (is_population) {
            reader_close(&run->target_reader);
            run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1 + (uint64_t)a, 1);
        }
        uint64_t epoch = run->target_reader.epoch, position = run->target_reader.position;
        for (int j = 0; j < m && !run->round; j++) { rows[j] = reader_next(&run->target_reader); }
        for (int b = 0; b < c->draw_batches && !stop_requested; b++) {
            if (run->round) { probe_round_pass(run, probe, a, b, epoch, position); } else { probe_pass(run, probe, rows, a, b); }
        }
        double gone = seconds_now() - began;
        if (isatty(1)) { printf("\rdraw %d of %d, %.0f s left ", a + 1, c->draws, gone / (a + 1) * (c->draws - a - 1)); fflush(stdout); }
    }
    if (isatty(1)) { putchar('\n'); }
    free(rows);
}

static const char* items_of(const Run* run) {
    return objective_has_rounds(run->config.objective) ? "prompt" : run->per_item == 2 ? "pair" : "row";
}

static void probe_open(Run* run) {
    const Config* c = &run->config;
    check(c->init && c->general && c->target && c->val && c->out, "--probe needs --init, --general, --target, --val and --out");
    check(!run->options.method, "--probe: its file says what is measured; leave --method out");
    check(c->accumulate == 1, "--accumulate %d: a batch of --probe is one batch; leave it out and make --batch larger", c->accumulate);
    Objective objective = objective_named(c->objective);
    run->model = gpt2_create(c->init, c->seed, 1, objective == OBJECTIVE_ppo);
    check(objective != OBJECTIVE_reward || gpt2_config(run->model)->head, "--init %s: has no scalar head, by way of which --objective reward "
          "has a gradient; give the model_final.bin of a run that has trained one", c->init);
    open_data(run);
    int per = run->per_item, n = per * c->batch, m = per * c->target_batch; // in rows of a pass
    check(run->val.rows >= 2 * (size_t)per, "--val %s: one %s cannot tell how well it knows the true gradient", c->val, items_of(run));
    gpt2_alloc(run->model, n + m, run->T, 1, 0, c->recompute);
    run->batch = batch_create(n, m, run->T, 1);
    run->eval = batch_create(n + m, 0, run->T, 1);
    if (per == 2) {
        const char* reference = objective == OBJECTIVE_dpo ? c->reference ? c->reference : c->init : NULL;
        run->policy = policy_create(objective, reference, c->seed, c->beta, gpt2_config(run->model), n + m, run->T);
    }
    if (objective_has_rounds(c->objective)) {
        open_losses(run, n + m);
        round_open(run);
    }
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
    int items = c->target_batch / (run->round ? run->round->group : 1); // of a draw
    size_t given = run->target.rows / (size_t)run->per_item, drawn = (size_t)items * (is_population ? 1 : (size_t)c->draws);
    check(drawn <= given, "--target %s: has %zu %ss, %s of %d take %zu; use fewer --draws or a smaller --target-batch",
          c->target, given, items_of(run), is_population ? "a draw" : "disjoint draws", items, drawn);
    Probe* probe = probe_create(&list, c->batch, c->target_batch, run->per_item * run->T, 4 * gpt2_config(run->model)->channels,
                                (int)run->general.num_files, c->draws, c->draw_batches, (uint64_t)c->seed);
    probe_recorder(probe)->places = run->T;
    probe_references(run, probe, is_population);
    probe_draws(run, probe, is_population);
    if (stop_requested) { run_stop(run); }
    if (!(probe_t_norm2(probe) > 0.0)) { printf("the two halves of --val %s do not agree on the target's gradient: nothing can be said in its units; give more %ss\n", c->val, items_of(run)); }
    probe_write(probe, c->out);
    const char* what = run->round ? "response" : items_of(run);
    printf("wrote %s/probe.csv: %d variants, %d draws of %d target %ss with %d batches of %d general %ss%s\n", c->out, list.count,
           c->draws, c->target_batch, what, c->draw_batches, c->batch, what, probe_is_folded(probe) ? "; large gradients were folded at random" : "");
    probe_free(probe);
    probe_list_free(&list);
}
