// round_step.c -- one optimizer step of a round: which responses, with which weights.
#include "round.h"
#include "run.h"
#include "../llmc/check.h"
#include "../llmc/device.h"

#include <math.h>
#include <string.h>

void round_batch_row(Batch* b, size_t at, const RoundRows* rows, int row) {
    size_t T = (size_t)b->T, to = at * T, from = (size_t)row * T;
    memcpy(b->inputs + to, rows->tokens + from, sizeof(int) * T);
    memcpy(b->targets + to, rows->tokens + from + 1, sizeof(int) * (T - 1));
    b->targets[to + T - 1] = 0;
    memcpy(b->mask + to, rows->mask + from, T);
    b->usable[at] = rows->usable[row];
    b->domain[at] = rows->domain[row];
}

// An order of the round's responses that is a function of its number and the epoch.
static void shuffle(Run* run, int epoch) {
    Round* r = run->round;
    Rng rng = rng_seed((uint64_t)run->config.seed, ((uint64_t)5 << 32) + (uint64_t)r->number, (uint64_t)epoch);
    for (int i = 0; i < r->general.rows; i++) { r->order[i] = (uint32_t)i; }
    rng_shuffle(&rng, r->order, (size_t)r->general.rows);
}

static void put_row(Run* run, size_t at, const RoundRows* rows, int row) {
    round_batch_row(&run->batch, at, rows, row);
    round_rows_copy(&run->round->step, (int)at, rows, row);
}

void round_fill(Run* run) {
    Round* r = run->round;
    const Batch* b = &run->batch;
    int rows = b->n + b->m, n = b->accumulate * b->n, of_an_epoch = n > 0 ? r->general.rows / n : 1, first = r->done % of_an_epoch * n;
    shuffle(run, r->done / of_an_epoch);
    for (int a = 0; a < b->accumulate; a++) {
        for (int i = 0; i < b->n; i++) { put_row(run, (size_t)(a * rows + i), &r->general, (int)r->order[first + a * b->n + i]); }
        for (int j = 0; j < b->m; j++) {
            put_row(run, (size_t)(a * rows + b->n + j), &r->target, r->own_target ? (int)r->order[first + a * b->n + j] : a * b->m + j);
        }
    }
}

// Usable rows of all micro-batches from `first` to `end` of each, and the tokens sampled in them.
static Count count_usable(const Batch* b, int first, int end) {
    Count c = { 0, 0 };
    for (int a = 0; a < b->accumulate; a++) {
        for (int i = first; i < end; i++) {
            size_t row = (size_t)(a * (b->n + b->m) + i);
            if (!b->usable[row]) { continue; }
            c.rows++;
            c.tokens += batch_trained(b, row);
        }
    }
    return c;
}

void round_weigh(const Run* run, float* weight, ObjectiveStats* stats, Responses rows, int part, const RoundRows* of, size_t row,
                 const float* logp, double share) {
    const Round* r = run->round;
    size_t n = row * (size_t)of->T;
    int plain = part == 1 && r->target_objective != TARGET_objective; // REINFORCE: the ratio is 1, and stays so
    double kl = plain || r->objective == OBJECTIVE_ppo ? 0.0 : r->kl; // ppo has it in the rewards
    policy_weights(weight, stats, rows, logp, plain ? logp : of->old + n, r->reference && !plain ? of->reference + n : NULL, of->advantage + n,
                   run->round_options.clip_ratio, kl, share);
}

void round_weigh_values(const Run* run, float* dvalue, ObjectiveStats* stats, Responses rows, int part, const RoundRows* of, size_t row,
                        const float* values, double share) {
    const RoundOptions* o = &run->round_options;
    size_t n = row * (size_t)of->T, N = (size_t)rows.B * (size_t)of->T;
    if (part == 1 && run->round->target_objective != TARGET_objective) { memset(dvalue, 0, sizeof(float) * N); return; }
    value_gradient(dvalue, stats, rows, values, of->value + n, of->returns + n, o->value_clip, share);
    for (size_t k = 0; k < N; k++) { dvalue[k] *= (float)o->value_weight; }
}

typedef struct {
    double share[2];         // of a token: general, target
    ObjectiveStats stats[2];
} Weights;

// The rows from `at` on; logp (count,T) is theirs.
static void weigh_part(Run* run, Weights* w, int part, size_t at, int count, const float* logp) {
    Batch* b = &run->batch;
    size_t n = at * (size_t)b->T;
    Responses rows = { b->mask + n, b->usable + at, count, b->T };
    round_weigh(run, b->weight + n, &w->stats[part], rows, part, &run->round->step, at, logp, w->share[part]);
}

// dvalue of the same rows, which are those from `row` on of the pass.
static void weigh_values(Run* run, Weights* w, int part, size_t at, int count, int row) {
    Round* r = run->round;
    Batch* b = &run->batch;
    size_t to = (size_t)row * (size_t)b->T;
    Responses rows = { b->mask + at * (size_t)b->T, b->usable + at, count, b->T };
    round_weigh_values(run, r->dvalue + to, &w->stats[part], rows, part, &r->step, at, r->values + to, w->share[part]);
}

// What the backward of a pass is to be told of the values, NULL where there are none.
static const HeadGradient* value_head(Run* run, const Drpt* drpt, HeadGradient* head, size_t at, int rows, int general) {
    Round* r = run->round;
    const Batch* b = &run->batch;
    if (r->objective != OBJECTIVE_ppo) { return NULL; }
    head_shares(r->share, drpt, b->usable + at, 1, rows, general);
    *head = (HeadGradient){ r->dvalue, r->share };
    return head;
}

// Known once all micro-batches have their weights. The first step of a round is taken however far its rounding is.
static int too_far(const Run* run, const Weights* w) {
    const ObjectiveStats* s = &w->stats[run->batch.n == 0];
    return run->round_options.kl_stop > 0.0 && run->round->done > 0 && s->tokens + s->broken > 0.0 && policy_too_far(s, run->round_options.kl_stop);
}

static double each(double sum, double count) { return count > 0.0 ? sum / count : NAN; }

static void tell(const Run* run, StepRow* row, const Weights* w, const Count* usable) {
    const Round* r = run->round;
    const ObjectiveStats* s = w->stats;
    RoundCells* c = &row->round;
    row->loss = each(s[0].loss, w->share[0] * (double)usable[0].tokens);
    row->target_loss = each(s[1].loss, w->share[1] * (double)usable[1].tokens);
    c->kl_old = each(s[0].kl_old, s[0].tokens);
    c->clipped = each(s[0].clipped, s[0].tokens);
    if (r->objective == OBJECTIVE_ppo) { c->value_loss = each(s[0].value_loss, w->share[0] * (double)usable[0].tokens); }
    if (!r->reference) { return; }
    c->kl_reference = each(s[0].kl_reference, s[0].tokens);
    c->kl = r->kl;
}

static int rows_broken(const Weights* w) { return (int)(w->stats[0].broken + w->stats[1].broken); }

typedef enum { WHOLE, TOO_FAR, BROKEN } Outcome;

// Forward and backward of all micro-batches. Rows that turn out to be broken are no longer usable then, and the gradients are none: the others had
// their share of a mean with the tokens of these in it.
static Outcome compute(Run* run, Drpt* drpt, int step, int first, Weights* w) {
    Batch* b = &run->batch;
    int rows = b->n + b->m, general = b->n - first;
    for (int a = 0; a < b->accumulate; a++) {
        size_t begin = (size_t)(a * rows), at = begin + (size_t)first, n = at * (size_t)b->T;
        log_probabilities(run->losses, run->hits, run->model, b, (int)at, (a + 1) * rows);
        if (run->round->objective == OBJECTIVE_ppo) {
            gpt2_values(run->model, run->round->values, rows - first, b->T);
            weigh_values(run, w, 0, at, general, 0);
            weigh_values(run, w, 1, begin + (size_t)b->n, b->m, general);
        }
        weigh_part(run, w, 0, at, general, run->losses);
        weigh_part(run, w, 1, begin + (size_t)b->n, b->m, run->losses + (size_t)general * (size_t)b->T);
        if (a == b->accumulate - 1 && too_far(run, w)) { return TOO_FAR; }
        if (rows_broken(w) > 0) { continue; }
        HeadGradient head;
        const HeadGradient* values = value_head(run, drpt, &head, at, rows - first, general);
        drpt_begin(drpt, (uint64_t)step, b->usable + begin, b->domain + begin);
        gpt2_backward(run->model, b->inputs + n, b->targets + n, b->weight + n, values, drpt, rows - first, b->T);
    }
    return rows_broken(w) > 0 ? BROKEN : WHOLE;
}

static void forget_gradients(Run* run) {
    GPT2Arrays a = gpt2_arrays(run->model);
    device_zero(a.grads, sizeof(float) * a.num_params);
}

int round_compute(Run* run, Drpt* drpt, int step, int first, StepRow* row) {
    const Batch* b = &run->batch;
    for (row->rows_left_out = 0; ; ) {
        Count usable[2] = { count_usable(b, first, b->n), count_usable(b, b->n, b->n + b->m) };
        // The mean over tokens; where the feasible set weighs rows, each stands for itself.
        Weights w = { .share = { (drpt->plain ? 1.0 : (double)usable[0].rows) / fmax(1.0, (double)usable[0].tokens), 1.0 / fmax(1.0, (double)usable[1].tokens) } };
        Outcome outcome = compute(run, drpt, step, first, &w);
        if (outcome == WHOLE) { tell(run, row, &w, usable); return 1; }
        forget_gradients(run);
        if (outcome == TOO_FAR) { return 0; }
        row->rows_left_out += rows_broken(&w); // then again, without them
    }
}

static double mean_reward(const RoundRows* r) {
    double sum = 0.0;
    for (int i = 0; i < r->rows; i++) { sum += r->reward[i]; }
    return each(sum, r->rows);
}

static double mean_length(const RoundRows* r) {
    double sum = 0.0;
    for (size_t n = 0; n < (size_t)r->rows * (size_t)r->T; n++) { sum += r->mask[n]; }
    return each(sum, r->rows);
}

static void tell_round(const Run* run, int step, RoundCells* c) {
    const Round* r = run->round;
    int has_general = round_wants_general(run, step - r->done);
    if (has_general) { c->reward = mean_reward(&r->general); }
    c->length = mean_length(has_general ? &r->general : &r->target);
    if (r->objective == OBJECTIVE_grpo && (has_general || r->general.rows == 0)) { c->degenerate = r->degenerate; }
    c->kept = r->kept >= 0 ? r->kept : NAN;
    if (r->target.rows == 0) { return; }
    c->target_reward = mean_reward(&r->target);
    c->target_age = r->target_age;
}

void round_update(Run* run, int step, StepRow* row) {
    Round* r = run->round;
    const RoundOptions* o = &run->round_options;
    Batch* b = &run->batch;
    int first = drpt_wants_general(&run->drpt, (uint64_t)step) ? 0 : b->n;
    for (int ended = r->done == r->steps; ; ended = 1) {
        if (ended) { round_begin(run, step); }
        int due = r->target_draws == 0 || (o->target_refresh > 0 ? r->target_age >= o->target_refresh : ended);
        if (due && r->target.rows > 0 && !r->own_target) { round_draw_target(run); }
        if (ended && r->iif) { iif_filter(run); }
        round_fill(run);
        if (round_compute(run, &run->drpt, step, first, row)) { break; }
        row->round_ended = 1;
    }
    tell_round(run, step, &row->round);
    r->done++;
    r->target_age++;
    row->tokens = (long)b->accumulate * (b->n + b->m - first) * b->T;
}
