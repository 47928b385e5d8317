// bench.c -- how long a training step takes, of what, and how that compares: with the machine's peak, with PyTorch, and
// the regularizer with plain training.
//
// Each contender is a process of its own; they take turns of a step or more, so that what else happens on the machine hits
// all of them (dev/timing/worker.h). The steps are the trainer's own (dev/timing/trainer.h).
#include "timing/gather.h"
#include "timing/peak.h"
#include "timing/products.h"
#include "timing/report.h"
#include "timing/rollouts.h"
#include "timing/trainer.h"
#include "timing/worker.h"
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/options.h"

#include <math.h>
#include <omp.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// What is measured.

enum { MOST_ENTRIES = 7 };

typedef struct {
    const char *what, *options;        // of the trainer's regularizer
    int n, m;                          // general and target rows
    double wanted;                     // at most this ratio to the plain step; NAN: no target
} Entry;

typedef struct {
    const char *name, *title, *init;
    int T, trained;                    // tokens of a row, and how many of them are trained on
    int threads;                       // 0: as many as asked for
    double wanted_share, wanted_ratio; // of the peak; of PyTorch's time to ours
    Entry entry[MOST_ENTRIES];         // the first is a plain step; alone it is compared with PyTorch, and split by operation
} Shape;

#define PLAIN(rows) { "plain step, " #rows " rows", "--method full", rows, 0, NAN }
static const Shape shapes[] = {
    { "124m-t64",   "GPT-2 124M, B=4, T=64",     "d12",                      64,   64,   0, 0.45, 2.2, { PLAIN(4) } },
    { "124m-t256",  "GPT-2 124M, B=4, T=256",    "d12",                      256,  256,  0, 0.45, 1.9, { PLAIN(4) } },
    { "124m-t1024", "GPT-2 124M, B=1, T=1024",   "d12",                      1024, 1024, 0, 0.40, 1.5, { PLAIN(1) } },
    { "c384",       "L6 C384 V512, B=4, T=64",   "L6,H6,C384,V512,T64",      64,   64,   0, 0.40, 2.0, { PLAIN(4) } },
    { "c128",       "L4 C128 V512, B=4, T=64",   "L4,H4,C128,V512,T64",      64,   64,   0, 0.28, 3.0, { PLAIN(4) } },
    { "drpt-t64",   "GPT-2 124M, T=64, 9 rows",  "d12",                      64,   64,   0, 0.0,  0.0, { PLAIN(9),
        { "subset by layer, n=8, m=1",          "--method subset",                8, 1, 1.00 },
        { "the same, sketched",                 "--method subset --score sketch", 8, 1, 0.97 },
        { "every row weighs: subset, keep 1",   "--method subset --keep 1",       8, 1, 1.12 },
        { "span by layer (K), n=8, m=1",        "--method span --ridge 0.1",      8, 1, 1.30 },
        { "cone by layer (K), n=8, m=1",        "--method cone",                  8, 1, 1.30 } } },
    { "drpt-t256",  "GPT-2 124M, T=256, 9 rows", "d12",                      256,  256,  0, 0.0,  0.0, { PLAIN(9),
        { "span by layer (K), n=8, m=1",        "--method span --ridge 0.1",      8, 1, 1.15 },
        { "cone by layer (K), n=8, m=1",        "--method cone",                  8, 1, 1.15 } } },
    { "drpt-t512",  "GPT-2 124M, T=512, 9 rows", "d12",                      512,  512,  0, 0.0,  0.0, { PLAIN(9),
        { "subset by layer, n=8, m=1",          "--method subset",                8, 1, 1.08 },
        { "the same, sketched",                 "--method subset --score sketch", 8, 1, 0.97 } } },
    { "drpt-t512-all", "GPT-2 124M, T=512, 9 rows", "d12",                   512,  512,  0, 0.0,  0.0, { PLAIN(9),
        { "every row weighs: subset, keep 1",   "--method subset --keep 1",       8, 1, 1.12 },
        { "span by layer (K), n=8, m=1",        "--method span --ridge 0.1",      8, 1, 1.15 } } },
    { "basis",      "GPT-2 124M, T=64, 8 target rows", "d12",                64,   64,   0, 0.0,  0.0, { PLAIN(8),
        { "inside a basis of rank 64, m=8",     "--method inside --rank 64 --refresh 1000000000", 8, 8, 0.95 } } },
    { "demo",       "demo (L2 C64 V41), T=12, 48 rows", "L2,H4,C64,V41,T12", 12,   5,    1, 0.0,  0.0, { PLAIN(48),
        { "subset by layer, n=32, m=16",        "--method subset --keep 0.25",    32, 16, NAN },
        { "cone by layer, n=32, m=16",          "--method cone",                  32, 16, NAN } } },
};
#undef PLAIN
enum { NUM_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

// ---------------------------------------------------------------------------------------------
// Measuring a shape.

typedef struct {
    const char *shapes, *python, *out, *flags;
    int rounds, threads, quick, products, gather, rollouts;
} BenchOptions;

enum { TORCH = MOST_ENTRIES, PEAK, NUM_CONTENDERS }; // and before them the entries of the shape

typedef struct {
    const Shape* shape;
    TrainerJob job[MOST_ENTRIES];
    int threads;
    double ms[NUM_CONTENDERS];      // medians; of the peak the most GFLOP/s; NAN: did not take part
    double least[NUM_CONTENDERS], most[NUM_CONTENDERS];
    double ratio[NUM_CONTENDERS];   // to the plain step's time, round by round
    double memory[NUM_CONTENDERS];  // MiB, at most
    double step_ms, part_ms[NUM_PARTS]; // NAN: not split
} Result;

static const char torch_program[] = "dev/bench_torch.py";

// argv as program, script, arguments; strings that the new process may change are copies here.
static Worker run_torch(const char* python, char arguments[][16], int count, int threads) {
    char program[512], script[sizeof(torch_program)];
    char* argv[16] = { program, script };
    snprintf(program, sizeof(program), "%s", python);
    memcpy(script, torch_program, sizeof(script));
    for (int i = 0; i < count; i++) { argv[2 + i] = arguments[i]; }
    return worker_start_program("PyTorch", argv, threads);
}

static Worker start_torch(const char* python, const TrainerJob* job) {
    int size[8] = { 0, 0, 0, 0, 0, job->n, job->T, job->threads };
    char text[8][16];
    trainer_sizes(job, size);
    for (int i = 0; i < 8; i++) { snprintf(text[i], sizeof(text[i]), "%d", size[i]); }
    return run_torch(python, text, 8, job->threads);
}

// The first interpreter that has PyTorch, NULL if none has; its version.
static const char* find_torch(const char* asked, char* version, size_t size) {
    static const char* const usual[] = { "python3", "/usr/bin/python3" };
    if (asked && strcmp(asked, "none") == 0) { return NULL; }
    for (int i = 0; i < (asked ? 1 : 2); i++) {
        const char* python = asked ? asked : usual[i];
        char argument[1][16] = { "--version" };
        Worker w = run_torch(python, argument, 1, 1);
        int found = worker_text(&w, version, size);
        worker_stop(&w);
        if (found) { return python; }
    }
    return NULL;
}

// Starts a contender and lets it take its first step, which nobody counts, and a few to see how many fill a turn.
static void warm_up(Worker* w, double turn_ms) {
    worker_send(w, "1");
    double ms = worker_number(w);
    if (ms < 5 * turn_ms) {
        worker_send(w, "3");
        ms = worker_number(w);
    }
    int count = ms < turn_ms ? (int)(turn_ms / ms) : 1;
    snprintf(w->request, sizeof(w->request), "%d", count < MOST_ROUNDS ? count : MOST_ROUNDS);
}

static int start_contenders(Worker w[NUM_CONTENDERS], int place[NUM_CONTENDERS], const Result* r, const BenchOptions* o) {
    int count = 0;
    double turn_ms = o->quick ? 20 : 200;
    for (int i = 0; i < MOST_ENTRIES && r->job[i].options; i++) {
        place[count] = i;
        w[count] = worker_start(r->shape->name, trainer_serve, &r->job[i]);
        warm_up(&w[count++], turn_ms);
    }
    if (o->python && count == 1) {
        place[count] = TORCH;
        w[count] = start_torch(o->python, &r->job[0]);
        warm_up(&w[count++], turn_ms);
    }
    place[count] = PEAK;
    w[count] = worker_start("the peak", peak_serve, NULL);
    snprintf(w[count].request, sizeof(w[count].request), "%d", r->threads);
    return count + 1;
}

static void note_samples(Result* r, int contender, const Worker* w, const Worker* plain, int rounds) {
    double middle = median(w->sample, rounds);
    r->ms[contender] = r->least[contender] = r->most[contender] = middle;
    r->ratio[contender] = median_ratio(w->sample, plain->sample, rounds);
    for (int k = 0; k < rounds; k++) {
        r->least[contender] = fmin(r->least[contender], w->sample[k]);
        r->most[contender] = fmax(r->most[contender], w->sample[k]);
    }
}

// Where a turn is short there are more of them.
static int rounds_of(const Worker* w, int rounds) {
    int several_steps = strcmp(w->request, "1") != 0;
    return several_steps && 3 * rounds <= MOST_ROUNDS ? 3 * rounds : rounds;
}

static void split_step(Result* r, Worker* trainer, int quick) {
    char request[16];
    snprintf(request, sizeof(request), "%d", quick || r->ms[0] > 1000 ? -2 : -30);
    worker_send(trainer, request);
    r->step_ms = worker_number(trainer);
    for (int i = 0; i < NUM_PARTS; i++) { r->part_ms[i] = worker_number(trainer); }
}

static Result result_of(const Shape* shape, const BenchOptions* o) {
    Result r = { .shape = shape, .threads = shape->threads ? shape->threads : o->threads };
    for (int i = 0; i < NUM_CONTENDERS; i++) { r.ms[i] = r.least[i] = r.most[i] = r.ratio[i] = r.memory[i] = NAN; }
    for (int i = 0; i < MOST_ENTRIES; i++) {
        const Entry* e = &shape->entry[i];
        r.job[i] = (TrainerJob){ shape->init, shape->T, shape->trained, r.threads, e->options, e->n, e->m };
    }
    return r;
}

static Result measure(const Shape* shape, const BenchOptions* o) {
    Result r = result_of(shape, o);
    Worker w[NUM_CONTENDERS];
    int place[NUM_CONTENDERS];
    fprintf(stderr, "%s\n", shape->name);
    int count = start_contenders(w, place, &r, o), rounds = rounds_of(&w[0], o->rounds);
    workers_take_turns(w, count, rounds);
    for (int i = 0; i < count; i++) { note_samples(&r, place[i], &w[i], &w[0], rounds); }
    r.ms[PEAK] = r.most[PEAK]; // what the machine can do, not what it did while others had a part of it
    if (!shape->entry[1].options) { split_step(&r, &w[0], o->quick); }
    for (int i = count - 1; i >= 0; i--) { r.memory[place[i]] = worker_stop(&w[i]); }
    return r;
}

// ---------------------------------------------------------------------------------------------
// Tables.

static Table* table_new(const char* const* heading, int cols) {
    Table* t = calloc(1, sizeof(Table));
    check(t != NULL, "out of memory for a table");
    for (int i = 0; i < cols; i++) { table_cell(t, "%s", heading[i]); }
    if (cols > 0) { table_end_row(t); }
    return t;
}

static void print_and_free(const Report* report, Table* t) {
    report_table(report, t);
    free(t);
}

static void time_cells(Table* t, const Result* r, int contender) {
    int decimals = r->ms[contender] < 100 ? 2 : 0;
    table_number(t, r->ms[contender], decimals, "");
    table_number(t, r->least[contender], decimals, "");
    table_number(t, r->most[contender], decimals, "");
}

static void report_steps(const Report* report, const Result* r, int count) {
    static const char* const heading[] = { "plain step", "ms", "least", "most", "GFLOP/s", "peak", "of peak", "wanted",
                                           "PyTorch ms", "faster", "wanted" };
    Table* t = table_new(heading, 11);
    for (; count > 0; r++, count--) {
        double gflops = trainer_step_flops(&r->job[0]) / r->ms[0] / 1e6;
        table_cell(t, "%s", r->shape->title);
        time_cells(t, r, 0);
        table_number(t, gflops, 0, "");
        table_number(t, r->ms[PEAK], 0, "");
        table_number(t, 100 * gflops / r->ms[PEAK], 1, " %");
        table_number(t, 100 * r->shape->wanted_share, 0, " %");
        table_number(t, r->ms[TORCH], r->ms[TORCH] < 100 ? 2 : 0, "");
        table_number(t, r->ratio[TORCH], 2, "x");
        table_number(t, r->shape->wanted_ratio, 1, "x");
        table_end_row(t);
    }
    report_heading(report, "A training step");
    print_and_free(report, t);
    report_text(report, "Forward, backward, clipping and AdamW: the trainer's own step, its batch included. Medians of interleaved rounds, each "
                "contender in a process of its own, first step left out. FLOP of a step: 6 N (12 L C^2 + V C) + 6 L N T C, N = B T. "
                "Peak: the most GFLOP/s of multiply-adds on registers alone, vectors of %s, the same threads, in turn with the steps. "
                "Faster: the median of PyTorch's time by ours, round by round.", peak_vectors);
}

static void report_memory(const Report* report, const Result* r, int count) {
    static const char* const heading[] = { "most memory, MiB", "measured", "parameters x 16 bytes", "activations",
                                           "parameters + 1.2 activations", "measured by that", "PyTorch" };
    const double mib = 1 << 20;
    Table* t = table_new(heading, 7);
    for (; count > 0; r++, count--) {
        double params = trainer_parameter_bytes(&r->job[0]) / mib, acts = trainer_activation_bytes(&r->job[0]) / mib;
        table_cell(t, "%s", r->shape->title);
        table_number(t, r->memory[0], 0, "");
        table_number(t, params, 0, "");
        table_number(t, acts, 1, "");
        table_number(t, params + 1.2 * acts, 0, "");
        table_number(t, r->memory[0] / (params + 1.2 * acts), 2, "");
        table_number(t, r->memory[TORCH], 0, "");
        table_end_row(t);
    }
    report_heading(report, "Memory");
    print_and_free(report, t);
    report_text(report, "Measured: the largest resident set of the process (getrusage), program and libraries included. Parameters: "
                "weight, gradient and two moments. Activations: what the backward needs of the forward, the logits once among them.");
}

static void report_methods(const Report* report, const Result* r, int count) {
    static const char* const heading[] = { "regularized step", "threads", "ms", "least", "most", "of plain", "wanted at most" };
    Table* t = table_new(heading, 7);
    for (; count > 0; r++, count--) {
        for (int i = 0; i < MOST_ENTRIES && r->shape->entry[i].options; i++) {
            table_cell(t, "%s: %s", r->shape->title, r->shape->entry[i].what);
            table_cell(t, "%d", r->threads);
            time_cells(t, r, i);
            table_number(t, r->ratio[i], 3, "");
            table_number(t, r->shape->entry[i].wanted, 2, "");
            table_end_row(t);
        }
    }
    report_heading(report, "The regularizer beside a plain step on the same rows");
    print_and_free(report, t);
    report_text(report, "Medians of interleaved rounds; 'of plain' is the median of the ratios of the rounds. A basis is refreshed in the first step, which is not counted.");
}

// "ms (share of the peak)" where the operation has products to count.
static void part_cell(Table* t, const Result* r, int i) {
    double gflop = trainer_flops(&r->job[0], trainer_part(i).work) / 1e9;
    int decimals = r->step_ms < 100 ? 3 : 1;
    if (gflop == 0) { table_number(t, r->part_ms[i], decimals, "      "); return; } // so that milliseconds stand below each other
    table_cell(t, "%.*f (%2.0f%%)", decimals, r->part_ms[i], 100 * gflop / (r->part_ms[i] / 1e3) / r->ms[PEAK]);
}

// What bf16 could bring to the largest models: where the products take the share p of a step, units of r times the rate
// make it at most 1 / (1 - p + p / r) times faster. Part of p is packing and memory; if only the multiply-adds themselves, at
// the peak, were to shrink, p is what they take.
static void report_bf16(const Report* report, const Result* r, int count, double rate) {
    const double asked = 1.6;
    for (; count > 0; r++, count--) {
        if (strcmp(r->shape->init, "d12") != 0) { continue; }
        double products = 0, whole = 0, flop = trainer_flops(&r->job[0], (Work){ 6, 6, 0 });
        for (int i = 0; i < NUM_PARTS; i++) {
            whole += r->part_ms[i];
            products += trainer_part(i).work.blocks + trainer_part(i).work.head > 0 ? r->part_ms[i] : 0;
        }
        double p = products / whole, q = fmin(p, flop / r->ms[PEAK] / 1e6 / whole);
        double most = 1 / (1 - p + p / rate), likely = 1 / (1 - q + q / rate);
        report_text(report, "bf16, %s: dot products of pairs %.2f times as fast as multiply-adds; the products are %.0f %% of the step, their multiply-adds "
                    "at the peak %.0f %%: a step at most %.2f times faster, %.2f if packing and memory stay as they are; %.1f asked, so %s.",
                    r->shape->name, rate, 100 * p, 100 * q, most, likely, asked,
                    likely >= asked ? "to be built" : most >= asked ? "not built: it would take packing and memory in proportion" : "not built");
    }
}

static void report_parts(const Report* report, const Result* r, int count, double bf16_rate) {
    Table* t = table_new(NULL, 0);
    double sum[NUM_SHAPES] = {0};
    table_cell(t, "ms (share of the peak)");
    for (int k = 0; k < count; k++) { table_cell(t, "%s      ", r[k].shape->name); }
    table_end_row(t);
    for (int i = 0; i < NUM_PARTS; i++) {
        table_cell(t, "%s", trainer_part(i).name);
        for (int k = 0; k < count; k++) {
            part_cell(t, &r[k], i);
            sum[k] += r[k].part_ms[i];
        }
        table_end_row(t);
    }
    const char* const last[3] = { "sum", "whole step", "sum by whole" };
    for (int i = 0; i < 3; i++) {
        table_cell(t, "%s", last[i]);
        for (int k = 0; k < count; k++) {
            double x[3] = { sum[k], r[k].step_ms, sum[k] / r[k].step_ms };
            table_number(t, x[i], i == 2 ? 2 : r[k].step_ms < 100 ? 3 : 1, "      ");
        }
        table_end_row(t);
    }
    report_heading(report, "A step by operation");
    print_and_free(report, t);
    report_text(report, "Each operation alone, for all blocks, on what a real step left in its buffers; medians of passes of a whole step and then every "
                "operation. What the sum lacks is the batch, the log and the memory's other state.");
    if (!isnan(bf16_rate)) { report_bf16(report, r, count, bf16_rate); }
}

// ---------------------------------------------------------------------------------------------
// Options, and main.

#define AT(field) offsetof(BenchOptions, field)
static const Option options[] = {
    { .name = "What to measure" },
    { "shapes",  NULL, OPTION_TEXT,   AT(shapes),   0, 0,           NULL,
      "some of 124m-t64,124m-t256,124m-t1024,c384,c128,drpt-t64,drpt-t256,drpt-t512,drpt-t512-all,basis,demo, with commas; all, or with --quick c384,c128,demo" },
    { "ops",     NULL, OPTION_SWITCH, AT(products), 0, 1,           NULL, "single matrix products beside OpenBLAS instead" },
    { "gather",  NULL, OPTION_SWITCH, AT(gather),   0, 1,           NULL, "the routes of the regularizer's statistics, layer by layer, instead" },
    { "rollouts", NULL, OPTION_SWITCH, AT(rollouts), 0, 1,          NULL, "sampling beside a forward pass of as many rows, instead" },
    { "rounds",  NULL, OPTION_INT,    AT(rounds),   1, MOST_ROUNDS, NULL,
      "turns of each contender; three times as many where a step is shorter than a turn of 200 ms" },
    { "threads", NULL, OPTION_INT,    AT(threads),  0, 1024,        NULL, "0: all there are" },
    { "quick",   NULL, OPTION_SWITCH, AT(quick),    0, 1,           NULL, "one round of short turns: does it work at all" },
    { .name = "Around it" },
    { "python",  NULL, OPTION_TEXT,   AT(python),   0, 0,           NULL, "an interpreter that has PyTorch, or none; python3, else /usr/bin/python3" },
    { "out",     NULL, OPTION_TEXT,   AT(out),      0, 0,           NULL,
      "Markdown file of the results; dev/bench/results.md (--ops: products.md, --gather: gather.md, --rollouts: rollouts.md), and none with --quick or --shapes" },
    { "flags",   NULL, OPTION_TEXT,   AT(flags),    0, 0,           NULL, "of the compiler, for the report" },
};

static const char bench_about[] =
    "bench -- times the training step beside the machine's peak and PyTorch, by operation, and the regularizer beside plain training.\n"
    "  from the repository root; make bench, make bench OPS=1, make bench ARGS=--quick";

static int is_listed(const char* list, const char* name) {
    size_t length = strlen(name);
    for (const char* at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) { return 1; }
    }
    return 0;
}

static void check_shapes(const char* list) {
    int named = 1, known = 0;
    for (const char* at = list; *at; at++) { named += *at == ','; }
    for (int i = 0; i < NUM_SHAPES; i++) { known += is_listed(list, shapes[i].name); }
    check(named == known, "--shapes %s: not all of these are known, or one comes twice; --help lists them", list);
}

static int is_wanted(const BenchOptions* o, const Shape* s) {
    if (o->shapes) { return is_listed(o->shapes, s->name); }
    return !o->quick || strcmp(s->init, "d12") != 0;
}

// GFLOP/s of bf16 dot products by those of multiply-adds; NAN where the processor has none.
static double bf16_rate(int threads) {
    Worker w = worker_start("the peak", peak_serve, NULL);
    double rate[5];
    for (int i = 0; i < 5; i++) {
        double found[2];
        for (int k = 0; k < 2; k++) {
            char request[16];
            snprintf(request, sizeof(request), "%d", k == 0 ? -threads : threads);
            worker_send(&w, request);
            found[k] = worker_number(&w);
        }
        rate[i] = found[0] / found[1];
    }
    worker_stop(&w);
    return median(rate, 5);
}

static void measure_steps(const Report* report, const BenchOptions* o) {
    Result plain[NUM_SHAPES], methods[NUM_SHAPES];
    int num_plain = 0, num_methods = 0;
    for (int i = 0; i < NUM_SHAPES; i++) {
        if (!is_wanted(o, &shapes[i])) { continue; }
        if (shapes[i].entry[1].options) { methods[num_methods++] = measure(&shapes[i], o); }
        else { plain[num_plain++] = measure(&shapes[i], o); }
    }
    if (num_plain > 0) {
        report_steps(report, plain, num_plain);
        report_memory(report, plain, num_plain);
        report_parts(report, plain, num_plain, bf16_rate(o->threads));
    }
    if (num_methods > 0) { report_methods(report, methods, num_methods); }
}

static void report_peaks(const Report* report, int threads) {
    char request[16];
    Worker w = worker_start("the peak", peak_serve, NULL);
    worker_send(&w, "1");
    double one = worker_number(&w);
    snprintf(request, sizeof(request), "%d", threads);
    worker_send(&w, request);
    report_text(report, "At the beginning, multiply-adds on registers alone: %.0f GFLOP/s with 1 thread, %.0f with %d, vectors of %s.",
                one, worker_number(&w), threads, peak_vectors);
    worker_stop(&w);
}

// The file appears when all of it is there (llmc/files.h).
static const char* results_path(const BenchOptions* o) {
    if (o->out || o->quick || o->shapes) { return o->out; }
    folder_create("dev/bench");
    return o->products ? "dev/bench/products.md" : o->gather ? "dev/bench/gather.md" : o->rollouts ? "dev/bench/rollouts.md" : "dev/bench/results.md";
}

static void measure_all(const Report* report, BenchOptions* o) {
    char version[64];
    report_machine(report, o->flags);
    report_peaks(report, o->threads);
    if (o->products) { products_measure(report, o->rounds, o->threads, o->quick); return; }
    if (o->gather) { gather_measure(report, o->rounds, o->threads, o->quick); return; }
    if (o->rollouts) { rollouts_measure(report, o->rounds, o->threads, o->quick); return; }
    o->python = find_torch(o->python, version, sizeof(version));
    report_text(report, "Threads: %d where no other number is given. Rounds: %d, of short steps more. PyTorch%s%s.", o->threads, o->rounds,
                o->python ? " " : ": none found, left out", o->python ? version : "");
    measure_steps(report, o);
}

int main(int argc, char** argv) {
    BenchOptions o = { .rounds = 3 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &o };
    options_parse(&table, 1, argc, argv, bench_about);
    if (o.shapes) { check_shapes(o.shapes); }
    if (o.threads == 0) { o.threads = omp_get_max_threads(); }
    if (o.quick) { o.rounds = 1; }
    const char* path = results_path(&o);
    Report report = { NULL };
    if (!path) { measure_all(&report, &o); return 0; }
    Output out = output_open(path);
    report.file = out.file;
    fprintf(report.file, "# %s\n\n", o.products ? "Matrix products" : o.gather ? "The statistics" : o.rollouts ? "Rollouts" : "The training step");
    measure_all(&report, &o);
    output_close(&out);
    printf("\nwrote %s\n", path);
    return 0;
}
