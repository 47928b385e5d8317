// ngram.c -- bias and variance in a world where the true gradient is known: the probe of drpt, and whole training runs.
//
// The world and its model are in dev/world: Markov sources over 16 tokens, a network of 2640 parameters. A base is trained on the
// mixture of all domains; the probe looks at it there and along exact descent on the target's loss, or along a training run on other
// target rows than those it draws. A training run starts from the base too, and sees m fixed target rows and fresh general rows in every step; its test loss is exact.
#include "world/rows.h"
#include "../drpt/probe.h"
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/optimizer.h"
#include "../llmc/options.h"
#include "../llmc/schedule.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "ngram measures bias and variance of update directions in a world whose true gradient is known, and trains in it.\n"
    "Writes probe_STEP/ for each checkpoint, curves.csv, and ngram.txt, which says what the world is.\n";

typedef struct {
    const char *out, *variants, *at, *along, *rows, *train, *rates;
    int seed, draws, draw_batches, batch, target_batch, seq, steps, every, val_rows;
    double descent;
} Config;

#define AT(field) offsetof(Config, field)
static const Option options[] = {
    { .name = "Files" },
    { "out",          "o",  OPTION_TEXT, AT(out),          0, 0,          NULL, "folder; needed" },
    { "variants",     NULL, OPTION_TEXT, AT(variants),     0, 0,          NULL, "a text file, a line each: label | options of the regularizer; needed" },
    { "seed",         NULL, OPTION_INT,  AT(seed),         0, 2147483647, NULL, "of the world and of every row" },
    { .name = "Rows" },
    { "batch",        "b",  OPTION_INT,  AT(batch),        2, 4096,       NULL, "general rows of a batch" },
    { "seq",          "t",  OPTION_INT,  AT(seq),          1, CONTEXTS,   NULL, "positions of a row" },
    { .name = "Probe" },
    { "at",           NULL, OPTION_TEXT, AT(at),           0, 0,          NULL, "steps of the descent after which to measure, ascending; 'none' for no probe" },
    { "along",        NULL, OPTION_TEXT, AT(along),        0, 0,          NULL,
      "the descent: 'exact', on the target's true gradient, or a label, trained on a target set of its own" },
    { "descent",      NULL, OPTION_REAL, AT(descent),      0, 100,        NULL,
      "its learning rate; from 2 on an exact descent does not settle but swings across the steepest directions, cosine of successive gradients -0.9" },
    { "draws",        NULL, OPTION_INT,  AT(draws),        2, 100000,     NULL, "target draws" },
    { "draw-batches", NULL, OPTION_INT,  AT(draw_batches), 2, 100000,     NULL, "general batches that each target draw meets" },
    { "target-batch", NULL, OPTION_INT,  AT(target_batch), 1, 4096,       NULL, "rows of a target draw" },
    { .name = "Training" },
    { "train",        NULL, OPTION_TEXT, AT(train),        0, 0,          NULL, "labels to train, separated by commas; 'all', or 'none'" },
    { "rows",         NULL, OPTION_TEXT, AT(rows),         0, 0,          NULL, "sizes m of the fixed target set, 'inf' for the true gradient" },
    { "steps",        NULL, OPTION_INT,  AT(steps),        1, 1000000,    NULL, "of SGD, its rate decaying to 0 in a line" },
    { "rates",        NULL, OPTION_TEXT, AT(rates),        0, 0,          NULL, "learning rates to choose from, for every label and size" },
    { "val-rows",     NULL, OPTION_INT,  AT(val_rows),     1, 4096,       NULL, "target rows, not those trained on, to choose by" },
    { "every",        NULL, OPTION_INT,  AT(every),        1, 1000000,    NULL, "steps between two lines of a curve" },
};

// Streams of random numbers beside those of the world and of the network's first weights, which come before.
enum { PROBE_TARGET = 32, PROBE_GENERAL, ALONG_TARGET, ALONG_GENERAL, TRAIN_TARGET, TRAIN_GENERAL, VALIDATION };

typedef struct {
    Config config;
    World world;
    Net net;
    Params base, w, grad;
    ProbeList list;
    Drpt drpt;           // of the run at hand
    TextRows val;
} Lab;

// The next of several things separated by commas; NULL after the last.
static const char* next_item(char* item, size_t size, const char* list) {
    size_t length = strcspn(list, ",");
    check(length < size, "%s: too long", list);
    memcpy(item, list, length);
    item[length] = '\0';
    return list[length] == ',' ? list + length + 1 : NULL;
}

// A whole text as a number in [min, max].
static double number(const char* text, const char* option, double min, double max) {
    char* end;
    double x = strtod(text, &end);
    check(end != text && *end == '\0' && x >= min && x <= max, "--%s %s: a number from %g to %g", option, text, min, max);
    return x;
}

// ---------------------------------------------------------------------------------------------
// the base

static void pretrain(Lab* lab) {
    enum { STEPS = 1000 };
    Params m, v;
    memset(&m, 0, sizeof(m));
    memset(&v, 0, sizeof(v));
    net_init(&lab->base, (uint64_t)lab->config.seed);
    for (int step = 1; step <= STEPS; step++) {
        AdamW a = { .lr = (float)scheduled_lr("linear", 0.01, 0, 0.0, step, STEPS), .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f };
        net_exact_gradient(&lab->net, &lab->base, &lab->grad, &lab->world, GENERAL);
        adamw_update((float*)&lab->base, (float*)&lab->grad, (float*)&m, (float*)&v, NUM_PARAMS, a, NULL, step);
    }
}

static double dot(const Params* a, const Params* b) {
    double sum = 0.0;
    for (int k = 0; k < NUM_PARAMS; k++) { sum += (double)((const float*)a)[k] * ((const float*)b)[k]; }
    return sum;
}

static void describe(Lab* lab) {
    static Params t, g;
    char* path = path_join(lab->config.out, "ngram.txt");
    Output o = output_open(path);
    double loss = net_exact_gradient(&lab->net, &lab->base, &t, &lab->world, TARGET);
    fprintf(o.file, "seed %d: order-2 Markov sources over %d tokens, %d parameters, rows of %d positions\n",
            lab->config.seed, VOCAB, NUM_PARAMS, lab->config.seq);
    fprintf(o.file, "target: loss of the base %.4f, entropy floor %.4f, length of its gradient %.4f\n", loss, world_floor(&lab->world, TARGET),
            sqrt(dot(&t, &t)));
    for (int d = 0; d < SOURCES; d++) {
        const char* kind = d < ALIGNED ? "aligned" : d < ALIGNED + IRRELEVANT ? "irrelevant" : d < DOMAINS ? "conflicting" : "general";
        if (d == TARGET) { continue; }
        loss = net_exact_gradient(&lab->net, &lab->base, &g, &lab->world, d);
        fprintf(o.file, "%d %s: loss of the base %.4f, floor %.4f, cosine of its gradient with the target's %.3f, length %.4f\n", d, kind, loss,
                world_floor(&lab->world, d), dot(&g, &t) / sqrt(dot(&g, &g) * dot(&t, &t)), sqrt(dot(&g, &g)));
    }
    output_close(&o);
    free(path);
}

// ---------------------------------------------------------------------------------------------
// the probe

static void probe_here(Lab* lab, int step) {
    const Config* c = &lab->config;
    Probe* probe = probe_create(&lab->list, c->batch, c->target_batch, c->seq, WIDEST, DOMAINS, c->draws, c->draw_batches, (uint64_t)c->seed);
    Drpt* recorder = probe_recorder(probe);
    TextRows rows;
    rows_create(&rows, c->batch, c->target_batch, c->seq);

    net_forward(&lab->net, &lab->w);
    net_exact_dlogits(lab->net.pass.dlogits, &lab->net, &lab->world, TARGET);
    probe_begin_reference(probe, 2, 1, CONTEXTS);
    net_backward(&lab->net, &lab->w, &lab->grad, recorder, lab->net.context, CONTEXTS);
    for (int a = 0; a < c->draws; a++) {
        Rng of_target = rng_seed((uint64_t)c->seed, PROBE_TARGET, (uint64_t)a);
        Rng of_general = rng_seed((uint64_t)c->seed, PROBE_GENERAL, (uint64_t)a);
        rows_draw_target(&rows, &lab->world, &of_target);
        for (int b = 0; b < c->draw_batches; b++) {
            rows_draw_general(&rows, &lab->world, &of_general);
            probe_begin(probe, a, b, rows.usable, rows.domain);
            rows_pass(&rows, &lab->net, &lab->w, &lab->grad, recorder);
        }
    }

    char name[32];
    snprintf(name, sizeof(name), "probe_%d", step);
    char* folder = path_join(c->out, name);
    folder_create(folder);
    probe_write(probe, folder);
    free(folder);
    rows_free(&rows);
    probe_free(probe);
}

static const ProbeVariant* find_label(const Lab* lab, const char* label, const char* option) {
    for (int v = 0; v < lab->list.count; v++) { if (strcmp(lab->list.variant[v].label, label) == 0) { return &lab->list.variant[v]; } }
    die("--%s %s: %s has no such label", option, label, lab->config.variants);
}

// One step of the regularizer and SGD, on new general rows.
static void train_step(Lab* lab, TextRows* rows, Rng general, int step, double lr) {
    rows_draw_general(rows, &lab->world, &general);
    drpt_begin(&lab->drpt, (uint64_t)step, rows->usable, rows->domain);
    memset(&lab->grad, 0, sizeof(lab->grad));
    rows_pass(rows, &lab->net, &lab->w, &lab->grad, &lab->drpt);
    sgd_update((float*)&lab->w, (float*)&lab->grad, NUM_PARAMS, (float)lr, 0.0f, NULL);
}

// The weights at which the probe looks have not seen the rows that it draws.
static void probe_along_descent(Lab* lab) {
    const Config* c = &lab->config;
    uint64_t seed = (uint64_t)c->seed;
    int exact = strcmp(c->along, "exact") == 0, done = 0;
    char item[32];
    TextRows rows;
    rows_create(&rows, c->batch, c->target_batch, c->seq);
    if (!exact) {
        Rng rng = rng_seed(seed, ALONG_TARGET, 0);
        rows_draw_target(&rows, &lab->world, &rng);
        lab->drpt = drpt_create(&find_label(lab, c->along, "along")->options, rows.n, rows.m, rows.T, WIDEST, DOMAINS, seed);
    }
    lab->w = lab->base;
    for (const char* list = c->at; list; ) {
        list = next_item(item, sizeof(item), list);
        int step = (int)number(item, "at", done, 1e9);
        for (; done < step; done++) {
            if (!exact) { train_step(lab, &rows, rng_seed(seed, ALONG_GENERAL, (uint64_t)done), done, c->descent); continue; }
            net_exact_gradient(&lab->net, &lab->w, &lab->grad, &lab->world, TARGET);
            sgd_update((float*)&lab->w, (float*)&lab->grad, NUM_PARAMS, (float)c->descent, 0.0f, NULL);
        }
        probe_here(lab, step);
        printf("probe after %d steps\n", step);
    }
    if (!exact) { drpt_free(&lab->drpt); }
    rows_free(&rows);
}

// ---------------------------------------------------------------------------------------------
// training

typedef struct { double test, train, general; } Point;

static Point measure(Lab* lab, const TextRows* rows) {
    net_forward(&lab->net, &lab->w);
    return (Point){ .test = net_exact_loss(&lab->net, &lab->world, TARGET), .train = rows_target_loss(rows, &lab->net),
                    .general = net_exact_loss(&lab->net, &lab->world, GENERAL) };
}

// From the base. The general rows of a step are the same in every run of a seed. Returns the validation loss at the end.
static double train(Lab* lab, TextRows* rows, const DrptOptions* o, double rate, Point* curve) {
    const Config* c = &lab->config;
    lab->drpt = drpt_create(o, rows->n, rows->m, rows->T, WIDEST, DOMAINS, (uint64_t)c->seed);
    lab->w = lab->base;
    for (int step = 0; step <= c->steps; step++) {
        if (step % c->every == 0) { *curve++ = measure(lab, rows); }
        if (step == c->steps) { break; }
        train_step(lab, rows, rng_seed((uint64_t)c->seed, TRAIN_GENERAL, (uint64_t)step), step, scheduled_lr("linear", rate, 0, 0.0, step, c->steps));
    }
    drpt_free(&lab->drpt);
    net_forward(&lab->net, &lab->w);
    return rows_target_loss(&lab->val, &lab->net);
}

// Of all rates, the curve of the one with the least validation loss goes into the file.
static void train_best(Lab* lab, FILE* out, const ProbeVariant* v, const char* size, TextRows* rows) {
    const Config* c = &lab->config;
    size_t points = (size_t)(c->steps / c->every + 1);
    Point *curve = malloc(sizeof(Point) * points), *best = malloc(sizeof(Point) * points);
    check(curve && best, "out of memory: curves of %zu points", points);
    double least = INFINITY, chosen = NAN;
    DrptOptions o = v->options;
    if (rows->exact && strcmp(o.strength, "auto") == 0) { o.strength = "0"; } // what it tends to as m grows: target rows that agree
    char item[32];
    for (const char* list = c->rates; list; ) {
        list = next_item(item, sizeof(item), list);
        double rate = number(item, "rates", 0.0, 1e9), val = train(lab, rows, &o, rate, curve);
        if (!(val < least) && !isnan(chosen)) { continue; }
        Point* other = best;
        best = curve;
        curve = other;
        chosen = rate;
        least = val < INFINITY ? val : INFINITY; // NaN: any other is better
    }
    for (size_t i = 0; i < points; i++) {
        fprintf(out, "%s,%s,%d,%zu,%.9g,%.9g,%.9g,%.9g\n", v->label, size, c->seed, i * (size_t)c->every, best[i].test, best[i].train,
                best[i].general, chosen);
    }
    free(curve);
    free(best);
}

static int is_listed(const char* label, const char* list) {
    char item[256];
    while (list) {
        list = next_item(item, sizeof(item), list);
        if (strcmp(item, label) == 0) { return 1; }
    }
    return 0;
}

static void train_size(Lab* lab, FILE* out, const char* size, int all) {
    const Config* c = &lab->config;
    int exact = strcmp(size, "inf") == 0;
    check(!exact || CONTEXTS % c->seq == 0, "--rows inf: takes a --seq that divides %d", CONTEXTS);
    TextRows rows;
    rows_create(&rows, c->batch, exact ? CONTEXTS / c->seq : (int)number(size, "rows", 1, 4096), c->seq);
    Rng rng = rng_seed((uint64_t)c->seed, TRAIN_TARGET, 0); // a larger set begins with the smaller ones
    if (exact) { rows_take_all_contexts(&rows, &lab->world); } else { rows_draw_target(&rows, &lab->world, &rng); }
    for (int v = 0; v < lab->list.count; v++) {
        if (all || is_listed(lab->list.variant[v].label, c->train)) { train_best(lab, out, &lab->list.variant[v], size, &rows); }
    }
    rows_free(&rows);
    printf("trained on %s rows\n", size);
}

static void train_all(Lab* lab) {
    const Config* c = &lab->config;
    int all = strcmp(c->train, "all") == 0;
    char *path = path_join(c->out, "curves.csv"), size[32], label[256];
    for (const char* list = all ? NULL : c->train; list; ) {
        list = next_item(label, sizeof(label), list);
        find_label(lab, label, "train");
    }
    Output o = output_open(path);
    Rng rng = rng_seed((uint64_t)c->seed, VALIDATION, 0);
    rows_create(&lab->val, 0, c->val_rows, c->seq);
    rows_draw_target(&lab->val, &lab->world, &rng);
    fprintf(o.file, "name,m,seed,step,test,train,general,lr\n");
    for (const char* list = c->rows; list; ) {
        list = next_item(size, sizeof(size), list);
        train_size(lab, o.file, size, all);
    }
    output_close(&o);
    rows_free(&lab->val);
    free(path);
}

static int most_rows(const Config* c) { // of a pass
    char item[32];
    int most = c->target_batch;
    for (const char* list = c->rows; list; ) {
        list = next_item(item, sizeof(item), list);
        int m = strcmp(item, "inf") == 0 ? CONTEXTS / c->seq : (int)number(item, "rows", 1, 4096);
        most = m > most ? m : most;
    }
    return c->batch + most;
}

int main(int argc, char** argv) {
    static Lab lab; // large
    lab.config = (Config){ .at = "0,25,100,400", .rows = "4,16,64,inf", .train = "all", .rates = "0.1,0.4,1.6,6.4", .draws = 60, .draw_batches = 4,
                           .batch = 32, .target_batch = 16, .seq = 16, .steps = 200, .every = 10, .val_rows = 256, .along = "exact", .descent = 0.25 };
    Config* c = &lab.config;
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), c };
    options_parse(&table, 1, argc, argv, about);
    check(c->out && c->variants, "--out FOLDER and --variants FILE are needed; --help lists the options");
    omp_set_num_threads(1); // a pass takes less than threads need to meet; and so the bits are the same on every machine with these instructions
    lab.list = probe_list_read(c->variants);
    folder_create(c->out);
    world_create(&lab.world, (uint64_t)c->seed);
    net_create(&lab.net, most_rows(c) * c->seq);
    pretrain(&lab);
    describe(&lab);
    if (strcmp(c->at, "none") != 0) { probe_along_descent(&lab); }
    if (strcmp(c->train, "none") != 0) { train_all(&lab); }
    net_free(&lab.net);
    probe_list_free(&lab.list);
    return 0;
}
