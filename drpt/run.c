// run.c -- a run of the trainer, on either device: options, data, steps, evaluations, checkpoints, logs.
#include "run.h"
#include "generate.h"
#include "run_probe.h"
#include "../llmc/check.h"
#include "../llmc/checkpoint.h"
#include "../llmc/device.h"
#include "../llmc/files.h"
#include "../llmc/schedule.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <string.h>
#include <unistd.h>

#ifndef VERIFY_SITES
#define VERIFY_SITES 0 // 1: check that nothing overwrites what a site points to (the sanitizer build does)
#endif

volatile sig_atomic_t stop_requested;

// The step is finished first, unless it waits for a reward command. Ctrl-C again ends the program at once.
static void request_stop(int signal_number) {
    static const char told[] = "stopping after this step, or before one that waits for a reward command; Ctrl-C again stops at once\n";
    stop_requested = 1;
    if (signal_number != SIGINT) { return; } // timeout(1) sends SIGTERM twice
    signal(SIGINT, SIG_DFL);
    if (write(STDERR_FILENO, told, sizeof(told) - 1) < 0) { return; }
}

// `count` rows of run->eval, weighed so that they have a weight of `share` together.
static void evaluate_batch(Run* run, int count, double share, Tally* tally) {
    const Batch* b = &run->eval;
    gpt2_forward(run->model, b->inputs, count, b->T);
    gpt2_evaluate(run->model, b->targets, b->weight, run->losses, run->hits, count, b->T);
    for (int i = 0; i < count; i++) {
        int hits = 0, trained = batch_trained(b, (size_t)i);
        for (int t = i * b->T; t < (i + 1) * b->T; t++) {
            tally->loss += (double)b->weight[t] * run->losses[t];
            hits += run->hits[t];
        }
        tally->trained += trained;
        tally->hits += hits;
        tally->rows += trained > 0;
        tally->exact += trained > 0 && hits == trained;
    }
    tally->weight += share;
}

// How many rows of the data an evaluation takes.
static size_t evaluated(const Run* run, const Dataset* data) {
    size_t most = run->config.val_batches < 0 ? data->rows : (size_t)run->config.val_batches * (size_t)run->eval.n;
    return most < data->rows ? most : data->rows;
}

// Rows [first, end) of the data into run->eval, as many as it holds; returns how many.
static int load_batch(Run* run, const Dataset* data, size_t first, size_t end) {
    Batch* b = &run->eval;
    int count = end - first < (size_t)b->n ? (int)(end - first) : b->n;
    for (int i = 0; i < count; i++) { batch_row(b, (size_t)i, data, first + (size_t)i, gpt2_config(run->model)->vocab_size); }
    return count;
}

Tally evaluate(Run* run, const Dataset* data) {
    Batch* b = &run->eval;
    Tally tally = {0};
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0;
    size_t end = evaluated(run, data);
    for (size_t first = 0; first < end; first += (size_t)b->n) {
        int count = load_batch(run, data, first, end);
        Count all = batch_count(b, 0, count);
        double share = by_tokens ? (double)all.tokens : (double)all.rows;
        batch_weigh(b, 0, count, by_tokens, share);
        evaluate_batch(run, count, share, &tally);
    }
    return tally;
}

ObjectiveStats evaluate_pairs(Run* run, const Dataset* data) {
    static const double share[2] = { 1.0, 1.0 };
    Batch* b = &run->eval;
    ObjectiveStats stats[2] = {{0}};
    size_t end = evaluated(run, data);
    for (size_t first = 0; first < end; first += (size_t)b->n) {
        int count = load_batch(run, data, first, end);
        policy_weigh(&run->policy, run->model, b, 0, count, count, share, stats);
    }
    return stats[0];
}

static PairCells pair_cells(const ObjectiveStats* s) { return (PairCells){ s->correct / s->pairs, s->margin / s->pairs }; }

static double evaluate_and_log(Run* run, const Dataset* data, const char* name, int step, PairCells* pairs) {
    if (data->rows == 0) { return NAN; }
    double loss, accuracy, last; // the last is what the file's header calls it
    if (run->per_item == 2) {
        ObjectiveStats s = evaluate_pairs(run, data);
        *pairs = pair_cells(&s);
        loss = s.broken > 0.0 ? NAN : s.loss / s.pairs;
        accuracy = pairs->accuracy;
        last = pairs->margin;
    } else {
        Tally t = evaluate(run, data);
        loss = t.loss / t.weight;
        accuracy = t.hits / t.trained;
        last = t.exact / t.rows;
    }
    check(isfinite(loss), "step %d: the %s loss is not finite; lower --lr, or look for broken values in the model or the data", step, name);
    runlog_eval(&run->log, step, name, (const double[]){ loss, accuracy, last });
    return loss;
}

void add_losses(Mean* mean, const float* losses, const Batch* b, const float* weight, int first, int end) {
    for (int i = first; i < end; i++) {
        double sum = 0.0, total = 0.0;
        for (int t = i * b->T; t < (i + 1) * b->T; t++) {
            sum += (double)weight[t] * losses[t];
            total += weight[t];
        }
        if (isfinite(sum)) { mean->sum += sum; mean->weight += total; }
    }
}

double mean_of(Mean m) { return m.weight > 0.0 ? m.sum / m.weight : NAN; }

// Forward and backward of all micro-batches, of each its rows from `first` on. The weights of all rows are known beforehand.
static void compute_examples(Run* run, int step, int first) {
    Batch* b = &run->batch;
    Drpt* drpt = &run->drpt;
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0, rows = b->n + b->m;
    Count usable = batch_count(b, 0, b->n);
    // Plain training: the mean loss. Else each row stands for itself and the feasible set gives it its weight.
    batch_weigh(b, 0, b->n, by_tokens, drpt->plain ? 1.0 : (double)usable.rows);
    batch_weigh(b, b->n, rows, by_tokens, 1.0);
    for (int a = 0; a < b->accumulate; a++) {
        size_t at = ((size_t)a * (size_t)rows + (size_t)first) * (size_t)b->T;
        drpt_begin(drpt, (uint64_t)step, b->usable, b->domain);
        gpt2_forward(run->model, b->inputs + at, rows - first, b->T);
        gpt2_backward(run->model, b->inputs + at, b->targets + at, b->weight + at, NULL, drpt, rows - first, b->T);
        device_copy(run->pending + at, gpt2_losses(run->model), sizeof(float) * (size_t)(rows - first) * (size_t)b->T);
    }
}

// Rows are left out of a step's only micro-batch alone.
static void read_losses(Run* run, int first, StepRow* row) {
    const Batch* b = &run->batch;
    int rows = b->n + b->m;
    size_t begin = (size_t)first * (size_t)b->T, end = (size_t)b->accumulate * (size_t)rows * (size_t)b->T;
    Mean general = {0}, target = {0};
    device_read(run->losses + begin, run->pending + begin, sizeof(float) * (end - begin));
    for (int a = 0; a < b->accumulate; a++) {
        size_t at = ((size_t)a * (size_t)rows + (size_t)first) * (size_t)b->T;
        add_losses(&general, run->losses + at, b, b->weight + at, 0, b->n - first);
        add_losses(&target, run->losses + at, b, b->weight + at, b->n - first, rows - first);
    }
    row->loss = mean_of(general);
    row->target_loss = mean_of(target);
}

// The same where the weights are what log-probabilities or scores say: share of the loss of a pair, which stands for itself as a row does.
static void compute_pairs(Run* run, int step, int first, StepRow* row) {
    Batch* b = &run->batch;
    Drpt* drpt = &run->drpt;
    int rows = b->n + b->m;
    double pairs = 0.5 * b->accumulate, share[2] = { drpt->plain ? 1.0 / (pairs * b->n) : 1.0, 1.0 / (pairs * b->m) };
    ObjectiveStats stats[2] = {{0}};
    for (int a = 0; a < b->accumulate; a++) {
        size_t at = ((size_t)a * (size_t)rows + (size_t)first) * (size_t)b->T;
        policy_weigh(&run->policy, run->model, b, a * rows + first, (a + 1) * rows, b->n - first, share, stats);
        policy_items(&run->policy, b);
        const HeadGradient* head = policy_head(&run->policy, drpt, rows - first, b->n - first);
        drpt_begin(drpt, (uint64_t)step, run->policy.usable, run->policy.domain);
        gpt2_backward(run->model, b->inputs + at, b->targets + at, b->weight + at, head, drpt, rows - first, b->T);
    }
    row->loss = stats[0].loss / (share[0] * stats[0].pairs);
    row->target_loss = stats[1].loss / (share[1] * stats[1].pairs);
    for (int i = 0; i < 2; i++) { row->pairs[i] = pair_cells(&stats[i]); }
    row->rows_left_out = (int)(stats[0].broken + stats[1].broken);
}

// The gradients hold the update direction of the step then.
void compute_update(Run* run, int step, StepRow* row) {
    Batch* b = &run->batch;
    Drpt* drpt = &run->drpt;
    int rows = b->n + b->m, with_general = drpt_wants_general(drpt, (uint64_t)step), first = with_general ? 0 : b->n; // first row of a pass
    batch_fill(b, &run->general_reader, &run->target_reader, with_general, gpt2_config(run->model)->vocab_size);
    if (run->per_item == 2) { compute_pairs(run, step, first, row); } else { compute_examples(run, step, first); }
    row->tokens = (long)b->accumulate * (rows - first) * b->T;
}

void end_update(Run* run, StepRow* row) {
    Drpt* drpt = &run->drpt;
    if (!run->round && run->per_item == 1) { read_losses(run, drpt->with_general ? 0 : run->batch.n, row); }
    drpt_end(drpt);
    row->projecting_ms = drpt->plain ? NAN : 1e3 * drpt->seconds;
}

// The norm of the update, its angle to the target gradient and its length in units of it. A scalar head is part of the update and not of the
// target's gradient.
static void measure_update(const Run* run, StepRow* row) {
    const Drpt* d = &run->drpt;
    row->grad_norm = gpt2_norm(run->model);
    check(isfinite(row->grad_norm), "step %d: the gradient is not finite (loss %g); lower --lr, or look for broken values in the model or the data",
          row->step, isnan(row->loss) ? row->target_loss : row->loss);
    if (d->m == 0) { return; }
    double u = row->grad_norm, t = sqrt(d->norm_t2);
    if (d->method == METHOD_target) { row->update_cos = row->update_ratio = u > 0.0 ? 1.0 : 0.0; return; }
    row->update_cos = u * t > 0.0 || isnan(t) ? d->dot_ut / (u * t) : 0.0;
    row->update_ratio = t > 0.0 || isnan(t) ? u / t : 0.0;
}

static void note_degenerate(const Drpt* d, const StepRow* row, char* note, size_t size) {
    note[0] = '\0';
    if (row->round_ended) { snprintf(note, size, "the policy had moved beyond --kl-stop: a new round"); }
    else if (row->rows_left_out > 0) { snprintf(note, size, "%d rows with NaN or Inf left out", row->rows_left_out); }
    else if (d->rows_dropped > 0) { snprintf(note, size, "%d gradients with NaN or Inf left out", d->rows_dropped); }
    else if (!isnan(row->round.length) && row->grad_norm == 0.0) { snprintf(note, size, "nothing to learn from: no update"); }
    else if (d->groups_skipped > 0) { snprintf(note, size, "%d groups with nothing to project, or on", d->groups_skipped); }
}

// One of the model's arrays, laid out as its parameters, into a checkpoint file.
static void write_array(const Run* run, const char* path, int version, float* array) {
    size_t count = gpt2_arrays(run->model).num_params, bytes = sizeof(float) * count;
    float* host = device_open(array, bytes);
    model_write(path, gpt2_config(run->model), version, host, count);
    device_close(host, array, bytes, 0);
}

static void evaluate_all(Run* run, StepRow* row) {
    if (run->round) { round_evaluate(run, row); return; }
    row->val_loss = evaluate_and_log(run, &run->val, "val", row->step, &row->pairs[2]);
    row->val_general_loss = evaluate_and_log(run, &run->val_general, "val_general", row->step, &row->pairs[3]);
}

// One optimizer step, its evaluation before it.
void train_step(Run* run, int step) {
    const Config* c = &run->config;
    StepRow row = runlog_row(step);
    char note[96];
    if (c->val_every > 0 && step % c->val_every == 0) { evaluate_all(run, &row); }
    double began = seconds_now();
    if (run->round) { round_update(run, step, &row); } else { compute_update(run, step, &row); }
    if (c->dump_update && step == run->steps - 1) {
        write_array(run, c->dump_update, MODEL_FP32, gpt2_arrays(run->model).grads);
    }
    row.lr = scheduled_lr(c->schedule, c->lr, c->warmup, c->final_lr, step, run->steps);
    // Moments and weight decay would move the weights after a round without anything to learn.
    int learns = !run->round || gpt2_gradient_norm(run->model) > 0.0;
    if (learns) { gpt2_update(run->model, c, row.lr, ++run->updates); }
    end_update(run, &row);
    measure_update(run, &row);
    row.ms = 1e3 * (seconds_now() - began);
    note_degenerate(&run->drpt, &row, note, sizeof(note));
    runlog_step(&run->log, &row, note);
}

// ---------------------------------------------------------------------------------------------
// Checkpoints.

DataPosition run_position(const Run* run) {
    return (DataPosition){ run->general_reader.epoch, run->general_reader.position, run->target_reader.epoch, run->target_reader.position };
}

void run_seek(Run* run, DataPosition at) {
    if (run->general.rows > 0) { reader_seek(&run->general_reader, at.general_epoch, at.general_position); }
    if (run->target.rows > 0) { reader_seek(&run->target_reader, at.target_epoch, at.target_position); }
}

static RunState run_state(const Run* run, int step) {
    const Config* c = &run->config;
    return (RunState){
        .step = step, .skipped = step - run->updates,
        .position = run_position(run),
        .batch = c->general ? c->batch : 0, .target_batch = c->target ? c->target_batch : 0, .accumulate = c->accumulate,
        .T = run->T, .seed = c->seed,
        .general_rows = run->general.rows, .target_rows = run->target.rows,
    };
}

static void save_checkpoint(const Run* run, int step) {
    RunState state = run_state(run, step);
    if (run->drpt.geometry) { fflush(run->drpt.geometry); } // a run that is killed goes on from here, and so do its logs
    if (drpt_has_state(&run->drpt)) {
        char* path = checkpoint_basis(run->config.out, step);
        drpt_save(&run->drpt, path);
        free(path);
    }
    if (run->round) {
        char* path = checkpoint_round(run->config.out, step);
        round_save(run, path);
        free(path);
    }
    GPT2Arrays a = gpt2_arrays(run->model);
    size_t bytes = sizeof(float) * a.num_params;
    float *params = device_open(a.params, bytes), *m = device_open(a.m, bytes), *v = device_open(a.v, bytes);
    checkpoint_save(run->config.out, gpt2_config(run->model), &state, params, m, v, a.num_params);
    device_close(params, a.params, bytes, 0);
    device_close(m, a.m, bytes, 0);
    device_close(v, a.v, bytes, 0);
}

static void load_state(Run* run, int step) {
    RunState now = run_state(run, step);
    GPT2Arrays a = gpt2_arrays(run->model);
    size_t bytes = sizeof(float) * a.num_params;
    float *m = device_open(a.m, bytes), *v = device_open(a.v, bytes);
    RunState was = checkpoint_load_state(run->config.out, &now, m, v, a.num_params);
    device_close(m, a.m, bytes, 1);
    device_close(v, a.v, bytes, 1);
    run->updates = step - was.skipped;
    run_seek(run, was.position);
    if (drpt_has_state(&run->drpt)) {
        char* path = checkpoint_basis(run->config.out, step);
        drpt_load(&run->drpt, path);
        free(path);
    }
    if (run->round) {
        char* path = checkpoint_round(run->config.out, step);
        round_load(run, path);
        free(path);
    }
}

// ---------------------------------------------------------------------------------------------
// Setting up, and the loop.

// Examples are prompts too: their masks say where the answers are.
static void check_kind(const Run* run, const Dataset* d, const char* pattern) {
    static const char* const kinds[] = { "examples", "preference pairs", "prompts" };
    int rounds = objective_has_rounds(run->config.objective);
    ExamplesKind needed = rounds ? KIND_PROMPTS : run->per_item == 2 ? KIND_PAIRS : KIND_EXAMPLES;
    int fits = d->kind == needed || (rounds && d->kind == KIND_EXAMPLES);
    check(fits && (d->examples || needed == KIND_EXAMPLES), "%s: holds %s, but --objective %s needs %s",
          pattern, d->examples ? kinds[d->kind] : "a stream of tokens", run->config.objective, kinds[needed]);
}

void open_data(Run* run) {
    const Config* c = &run->config;
    Objective objective = objective_named(c->objective);
    int context = gpt2_config(run->model)->max_seq_len, rounds = objective_has_rounds(c->objective);
    run->per_item = objective_rows(objective);
    const char* pattern[4] = { c->general, c->target, c->val, c->val_general };
    Dataset* data[4] = { &run->general, &run->target, &run->val, &run->val_general };
    size_t widest = 0, scored = objective == OBJECTIVE_reward; // the last token of a row must be an input
    for (int i = 0; i < 4; i++) {
        size_t T = pattern[i] ? dataset_row_length(pattern[i]) : 0;
        if (T > 0) { T += scored; }
        widest = T > widest ? T : widest;
    }
    run->T = rounds ? round_row_length(c, widest, context) : c->seq > 0 ? c->seq : widest > 0 ? (int)widest : 64;
    check(rounds || (size_t)run->T >= widest, "--seq %d: the examples have rows of %zu tokens; leave --seq out or prepare them with --seq %d", run->T, widest, run->T);
    for (int i = 0; i < 4; i++) {
        if (!pattern[i]) { continue; }
        *data[i] = dataset_open(pattern[i], (size_t)run->T);
        check(data[i]->vocab_size <= gpt2_config(run->model)->vocab_size, "%s: made with a vocabulary of %d, the model has %d",
              pattern[i], data[i]->vocab_size, gpt2_config(run->model)->vocab_size);
        check_kind(run, data[i], pattern[i]);
    }
    check(run->T <= context, "rows of %d tokens%s do not fit the model's context of %d; use a smaller --seq or another --init",
          run->T, scored ? ", at the last of which they are scored," : "", context);
}

void check_options(const Run* run) {
    const Config* c = &run->config;
    const DrptOptions* o = &run->options;
    int has_target = c->target || round_is_own_target(run), rounds = objective_has_rounds(c->objective);
    check(c->init, "--init is missing: a checkpoint file, or sizes such as L4,H4,C128,V257,T128");
    check(c->out || !c->resume, "--resume needs --out, the directory of the run to continue");
    check(c->out || !c->save_every, "--save-every needs --out, a directory for the checkpoints");
    check(c->out || !o->log_geometry, "--log-geometry needs --out, a directory for geometry.csv");
    check(!o->log_geometry || has_target, "--log-geometry needs --target: there is no geometry without a target");
    check(c->general || c->target || (c->steps == 0 && (c->val || c->val_general)),
          "no data: give --general (and --target), or --steps 0 and --val to evaluate");
    check(!c->recompute || !has_target || strcmp(o->group, "global") != 0, "--recompute with --group global: the activations of all blocks are needed to the end");
    check(strcmp(o->metric, "adam") != 0 || strcmp(c->optimizer, "adamw") == 0, "--metric adam needs --optimizer adamw: it is measured by its moments");
    int has_reference = objective_named(c->objective) == OBJECTIVE_dpo;
    check(has_reference || c->beta == config_defaults.beta, "--beta: --objective %s has none", c->objective);
    check(has_reference || rounds || !c->reference, "--reference: --objective %s has none", c->objective);
    check(has_reference || !c->reference || run->round_options.kl > 0.0, "--reference: needs --kl, which says how much it counts");
    check(objective_rows(objective_named(c->objective)) == 1 || strcmp(o->weigh, "rows") == 0,
          "--weigh tokens: of --objective %s a pair counts as one, however long", c->objective);
    check(!c->dump_update || c->steps != 0, "--dump-update needs a step; --steps is 0");
    round_check_options(run);
}

Run run_with_defaults(void) {
    return (Run){ .config = config_defaults, .options = drpt_defaults, .round_options = round_defaults, .reward_options = reward_defaults };
}

void run_tables(Run* run, OptionTable tables[RUN_TABLES]) {
    tables[0] = config_option_table(&run->config);
    tables[1] = drpt_option_table(&run->options);
    tables[2] = round_option_table(&run->round_options);
    tables[3] = ppo_option_table(&run->round_options);
    tables[4] = reward_option_table(&run->reward_options);
}

void write_config(Run* run) {
    Run resolved = *run;
    OptionTable tables[RUN_TABLES];
    run_tables(&resolved, tables);
    char* path = path_join(run->config.out, "config.txt");
    resolved.config.steps = run->steps;
    resolved.config.seq = run->T;
    resolved.config.resume = 0;
    Output out = output_open(path);
    options_print(out.file, tables, RUN_TABLES);
    output_close(&out);
    free(path);
}

static char* find_checkpoint(Run* run) {
    const Config* c = &run->config;
    int last = c->out ? checkpoint_last(c->out) : -1;
    check(last < 0 || c->resume, "%s: holds checkpoints of a run; continue it with --resume 1, or give another --out", c->out);
    if (c->resume && last < 0) { printf("%s: no checkpoint yet, starting from the beginning\n", c->out); }
    run->first_step = last < 0 ? 0 : last;
    return last < 0 ? NULL : checkpoint_model(c->out, last);
}

// What evaluations and backward passes tell about their positions, most * T of them at a time.
void open_losses(Run* run, int most) {
    const Batch* b = &run->batch;
    size_t T = (size_t)run->T, step = (size_t)b->accumulate * (size_t)(b->n + b->m) * T, N = step > (size_t)most * T ? step : (size_t)most * T;
    run->losses = malloc(sizeof(float) * N);
    run->hits = malloc((size_t)most * T);
    check(run->losses && run->hits, "out of memory for the losses of %zu positions", N);
    run->pending = device_alloc(sizeof(float) * step, "the losses");
}

static void open_geometry(Run* run) {
    int is_new;
    if (!run->options.log_geometry) { return; }
    FILE* f = runlog_csv(run->config.out, "geometry.csv", run->first_step, &is_new);
    drpt_log_geometry(&run->drpt, f, is_new);
}

void run_open(Run* run) {
    const Config* c = &run->config;
    char* checkpoint = find_checkpoint(run);
    Objective objective = objective_named(c->objective);
    if (run->round_options.iif) { run->options.method = "full"; } // check_options() lets no other pass
    run->model = gpt2_create(checkpoint ? checkpoint : c->init, c->seed, 1, objective_has_head(objective));
    free(checkpoint);
    open_data(run);
    // The feasible set is made of all general rows of a step, so its micro-batches are one batch where there is a target. Of its
    // blocks only the outputs are kept, and the rest is computed again: a micro-batch's memory is mostly that rest.
    int own = round_is_own_target(run), as_one = (c->target || own) && c->accumulate > 1, times = as_one ? c->accumulate : 1;
    int per = run->per_item, n = c->general ? per * times * c->batch : 0, m = own ? n : c->target ? per * times * c->target_batch : 0;
    int most = n + m > per * c->batch ? n + m : per * c->batch;
    most = round_least_rows(run, most);
    size_t step_rows = (size_t)(per * c->accumulate) * (size_t)c->batch, rows = c->general ? run->general.rows : run->target.rows;
    if (!c->general) { step_rows = (size_t)(per * c->accumulate) * (size_t)c->target_batch; }
    run->steps = c->steps >= 0 ? c->steps : objective_has_rounds(c->objective) ? round_steps_of_a_pass(run) : rows > step_rows ? (int)(rows / step_rows) : 1;
    if (gpt2_config(run->model)->head && !objective_has_head(objective) && run->first_step == 0 && run->steps > 0) {
        printf("--init %s: has a scalar head, which --objective %s leaves as it is\n", c->init, c->objective);
    }
    check(run->first_step <= run->steps, "%s: stands at step %d, beyond --steps %d", c->out, run->first_step, run->steps);
    if (n + m > 0) {
        run->options.own_rows = own && run->round_options.leave_one_out;
        run->drpt = drpt_create(&run->options, n / per, m / per, per * run->T, 4 * gpt2_config(run->model)->channels, (int)run->general.num_files, (uint64_t)c->seed);
        drpt_moments(&run->drpt, gpt2_arrays(run->model).grads, gpt2_arrays(run->model).v, &run->updates, c->beta2, c->eps);
    }
    run->drpt.places = run->T;
    run->drpt.verify = VERIFY_SITES;
    int keep_blocks = drpt_keeps_blocks(&run->drpt);
    gpt2_alloc(run->model, most, run->T, 1, keep_blocks, (c->recompute || as_one) && !keep_blocks);
    run->batch = batch_create(n, m, run->T, as_one ? 1 : c->accumulate);
    open_losses(run, most);
    run->eval = batch_create(per * c->batch, 0, run->T, 1);
    if (per == 2) {
        const char* reference = objective == OBJECTIVE_dpo ? c->reference ? c->reference : c->init : NULL;
        run->policy = policy_create(objective, reference, c->seed, c->beta, gpt2_config(run->model), most, run->T);
    }
    if (objective_has_rounds(c->objective)) { round_open(run); }
    if (n > 0) { run->general_reader = reader_open(&run->general, (uint64_t)c->seed, 1); }
    if (m > 0 && !own) { run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1, 1); }
    if (run->first_step > 0) { load_state(run, run->first_step); }
    if (c->dump_update) { output_probe(c->dump_update); } // now rather than at the last step
    if (c->sample_every > 0) { run->tokenizer = open_tokenizer(c, gpt2_config(run->model), "--sample-every"); }
    if (c->out) {
        folder_create(c->out);
        write_config(run);
    }
    run->log = runlog_open(c->out, run->first_step, run->steps, run->round ? COLUMNS_ROUNDS : run->per_item == 2 ? COLUMNS_PAIRS : COLUMNS_LOSSES);
    open_geometry(run);
}

void run_close(Run* run) {
    runlog_close(&run->log);
    if (run->drpt.geometry) { check(fclose(run->drpt.geometry) == 0, "%s/geometry.csv: writing failed: %s", run->config.out, strerror(errno)); }
    reader_close(&run->general_reader);
    reader_close(&run->target_reader);
    dataset_close(&run->general);
    dataset_close(&run->target);
    dataset_close(&run->val);
    dataset_close(&run->val_general);
    batch_free(&run->batch);
    batch_free(&run->eval);
    drpt_free(&run->drpt);
    policy_free(&run->policy);
    round_close(run);
    gpt2_free(run->model);
    free(run->losses);
    device_free(run->pending);
    free(run->hits);
    if (run->tokenizer) { tokenizer_free(run->tokenizer); }
}

static void print_sample(Run* run, int step) {
    size_t most = (size_t)run->config.sample_tokens + 1;
    uint16_t* tokens = malloc(sizeof(uint16_t) * most);
    check(tokens != NULL, "out of memory for a sample");
    tokens[0] = (uint16_t)tokenizer_eot(run->tokenizer);
    printf("--- sample at step %d\n", step);
    generate(run->model, run->tokenizer, tokens, 1, run->config.sample_tokens, &run->config, (uint64_t)step);
    printf("---\n");
    free(tokens);
}

// After Ctrl-C: what was done so far is kept, and the way on is told.
__attribute__((noreturn)) static void stop(Run* run, int step) {
    printf("stopped after step %d of %d\n", step, run->steps);
    if (run->config.out) {
        save_checkpoint(run, step);
        printf("continue with: %s --config '%s/config.txt' --resume 1\n", run->program, run->config.out);
    }
    run_close(run);
    exit(130);
}

void run_stop(Run* run) {
    if (run->config.probe) { printf("stopped; nothing was written\n"); exit(130); }
    round_recall(run);
    stop(run, run->step);
}

static void begin_step(Run* run, int step) {
    run->step = step;
    if (run->round) { round_remember(run); }
}

static void finish(Run* run) {
    StepRow row = runlog_row(run->steps);
    begin_step(run, run->steps);
    evaluate_all(run, &row);
    runlog_step(&run->log, &row, "");
    if (!run->config.out) { return; }
    int bf16 = run->config.precision && strcmp(run->config.precision, "bf16") == 0; // as the layers had it
    char* path = path_join(run->config.out, "model_final.bin");
    write_array(run, path, bf16 ? MODEL_BF16 : MODEL_FP32, gpt2_arrays(run->model).params);
    printf("wrote %s\n", path);
    free(path);
}

void train(Run* run, const char* program) {
    const Config* c = &run->config;
    run->program = program;
    for (int step = run->first_step; step < run->steps; step++) {
        begin_step(run, step);
        train_step(run, step);
        int done = step + 1;
        if (c->sample_every > 0 && done % c->sample_every == 0) { print_sample(run, done); }
        if (stop_requested) { stop(run, done); }
        if (c->save_every > 0 && done % c->save_every == 0) {
            save_checkpoint(run, done);
            int old = done - c->keep_checkpoints * c->save_every;
            if (c->keep_checkpoints > 0 && old > 0) { checkpoint_remove(c->out, old); }
        }
    }
    finish(run);
}

int run_main(int argc, char** argv, const char* about) {
    Run run = run_with_defaults();
    OptionTable tables[RUN_TABLES];
    run_tables(&run, tables);
    if (argc == 1) { fputs(about, stdout); return 0; }
    options_parse(tables, RUN_TABLES, argc, argv, about);
    device_program(run.config.precision, argv);
    device_start(run.config.precision);
    if (run.config.threads > 0) { omp_set_num_threads(run.config.threads); }
    if (run.config.init && run.config.generate) { generate_from_text(&run.config); return 0; }
    check_options(&run);
    signal(SIGINT, request_stop);
    signal(SIGTERM, request_stop);
    if (run.config.probe) {
        run_probe(&run);
    } else {
        run_open(&run);
        train(&run, argv[0]);
    }
    run_close(&run);
    return 0;
}
