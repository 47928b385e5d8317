// iif.c -- influence filtering: the target's gradient is formed where gradients stand, and the round's rows are scored against it there.
#include "iif.h"
#include "run.h"
#include "../llmc/check.h"
#include "../llmc/device.h"

#include <math.h>
#include <string.h>

static Drpt create_drpt(const Run* run, DrptOptions o, int n, int m) {
    Drpt d = drpt_create(&o, n, m, run->T, 4 * gpt2_config(run->model)->channels, 1, 0);
    d.places = run->T;
    d.verify = run->drpt.verify;
    return d;
}

Iif* iif_create(const Run* run, int rows, int most) {
    Iif* f = calloc(1, sizeof(Iif));
    DrptOptions plain = drpt_defaults, scores = drpt_defaults;
    int own = run->round->own_target && run->round_options.leave_one_out, n = own ? most / 2 : most;
    n = n < rows ? n : rows;
    plain.method = "full";
    scores.method = "filter";
    scores.scores_only = 1;
    scores.own_rows = own;
    check(f != NULL, "out of memory for scores");
    f->score = calloc((size_t)rows, sizeof(double));
    check(f->score != NULL, "out of memory for %d scores", rows);
    if (run->round->objective == OBJECTIVE_ppo) {
        size_t pass = (size_t)most, T = (size_t)run->T;
        f->values = calloc(pass * T, sizeof(float));
        f->dvalue = calloc(pass * T, sizeof(float));
        f->share = calloc(pass, sizeof(float));
        check(f->values && f->dvalue && f->share, "out of memory for the values of %zu rows", pass);
    }
    f->scorer = create_drpt(run, scores, n, own ? n : 0);
    f->gradient = create_drpt(run, plain, n + (own ? n : 0), 0);
    f->batch = batch_create(n, own ? n : 0, run->T, 1);
    return f;
}

void iif_free(Iif* f) {
    if (!f) { return; }
    drpt_free(&f->gradient);
    drpt_free(&f->scorer);
    batch_free(&f->batch);
    free(f->score);
    free(f->values);
    free(f->dvalue);
    free(f->share);
    free(f);
}

// `count` rows from `first` on as rows `at`, ... of the pass; where there are no more, rows of zeros from which nothing is learnt.
static void put_rows(Batch* b, int at, int count, const RoundRows* rows, int first) {
    size_t T = (size_t)b->T;
    for (int i = 0; i < count; i++) {
        size_t to = (size_t)(at + i);
        if (first + i < rows->rows) { round_batch_row(b, to, rows, first + i); continue; }
        memset(b->inputs + to * T, 0, sizeof(int) * T);
        memset(b->targets + to * T, 0, sizeof(int) * T);
        memset(b->mask + to * T, 0, T);
        b->usable[to] = 0;
        b->domain[to] = 0;
    }
}

// Of these rows there are `count`, and that many in the batch from `at` on.
static int there(const RoundRows* rows, int first, int count) {
    int left = rows->rows - first;
    return left < count ? left : count;
}

static Responses responses(const Batch* b, int at, int count) {
    return (Responses){ b->mask + (size_t)at * (size_t)b->T, b->usable + at, count, b->T };
}

// Rows `at`, ... of the pass are target rows from `first` on. share: of a token.
static void weigh_target(Run* run, Iif* f, int at, int count, int first, double share) {
    const Round* r = run->round;
    size_t to = (size_t)at * (size_t)f->batch.T;
    Responses rows = responses(&f->batch, at, there(&r->target, first, count));
    ObjectiveStats stats = {0};
    if (f->values) { round_weigh_values(run, f->dvalue + to, &stats, rows, 1, &r->target, (size_t)first, f->values + to, share); }
    round_weigh(run, f->batch.weight + to, &stats, rows, 1, &r->target, (size_t)first, run->losses + to, share);
    for (int i = 0; f->values && i < rows.B; i++) { // those that were found to be no numbers only now
        if (!rows.usable[i]) { memset(f->dvalue + to + (size_t)i * (size_t)rows.T, 0, sizeof(float) * (size_t)rows.T); }
    }
}

static void weigh_general(const Run* run, Batch* b, int count, int first, const float* logp) {
    const RoundRows* rows = &run->round->general;
    for (int i = 0; i < there(rows, first, count); i++) {
        size_t to = (size_t)i * (size_t)b->T;
        ObjectiveStats stats = {0};
        policy_weights(b->weight + to, &stats, responses(b, i, 1), logp + to, logp + to, NULL, rows->advantage + to + (size_t)first * (size_t)b->T,
                       run->round_options.clip_ratio, 0.0, 1.0 / fmax(1.0, batch_trained(b, (size_t)i)));
    }
}

static void forward(Run* run, Iif* f) {
    Batch* b = &f->batch;
    log_probabilities(run->losses, run->hits, run->model, b, 0, b->n + b->m);
    if (!f->values) { return; }
    gpt2_values(run->model, f->values, b->n + b->m, b->T);
    memset(f->dvalue, 0, sizeof(float) * (size_t)(b->n + b->m) * (size_t)b->T);
}

static void backward(Run* run, Iif* f, Drpt* d) {
    Batch* b = &f->batch;
    HeadGradient head = { f->dvalue, f->share };
    drpt_begin(d, 0, b->usable, b->domain);
    gpt2_backward(run->model, b->inputs, b->targets, b->weight, f->values ? &head : NULL, d, b->n + b->m, b->T);
    drpt_end(d);
}

static void form_target(Run* run, Iif* f, double share) {
    const RoundRows* target = &run->round->target;
    Batch* b = &f->batch;
    int rows = b->n + b->m;
    for (int first = 0; first < target->rows; first += rows) {
        put_rows(b, 0, rows, target, first);
        forward(run, f);
        weigh_target(run, f, 0, rows, first, share);
        backward(run, f, &f->gradient);
    }
}

// The sum over the groups. A row that its weights have turned out to be no numbers of has none.
static double score_of(const Iif* f, int i) {
    double sum = 0.0;
    for (int k = 0; k < f->scorer.num_groups; k++) { sum += f->scorer.scores[k * f->scorer.n + i]; }
    return f->batch.usable[i] ? sum : NAN;
}

static void score_rows(Run* run, Iif* f, double share) {
    Round* r = run->round;
    Batch* b = &f->batch;
    for (int first = 0; first < r->general.rows; first += b->n) {
        put_rows(b, 0, b->n, &r->general, first);
        put_rows(b, b->n, b->m, &r->target, first);
        forward(run, f);
        weigh_general(run, b, b->n, first, run->losses);
        if (b->m > 0) { weigh_target(run, f, b->n, b->m, first, share); }
        backward(run, f, &f->scorer);
        for (int i = 0; i < there(&r->general, first, b->n); i++) { f->score[first + i] = score_of(f, i); }
    }
}

void iif_filter(Run* run) {
    Round* r = run->round;
    GPT2Arrays a = gpt2_arrays(run->model);
    double share = 1.0 / fmax(1.0, (double)trained_tokens(round_responses(&r->target)));
    form_target(run, r->iif, share);
    score_rows(run, r->iif, share);
    device_zero(a.grads, sizeof(float) * a.num_params);
    r->kept = 0;
    for (int i = 0; i < r->general.rows; i++) {
        r->general.usable[i] = r->iif->score[i] >= 0.0; // so phrased that a NaN is not kept
        r->kept += r->general.usable[i];
    }
}
