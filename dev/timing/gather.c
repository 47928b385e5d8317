// gather.c -- each route of drpt/gather.h on the layers of GPT-2 124M, beside a plain layer on the same rows.
#include "gather.h"
#include "worker.h"
#include "../../drpt/assemble.h"
#include "../../drpt/gather.h"
#include "../../drpt/sketch.h"
#include "../../llmc/check.h"
#include "../../llmc/matmul.h"
#include "../../llmc/runlog.h"

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

enum { GENERAL = 8, TARGET = 1, ROWS = GENERAL + TARGET, MOST_TOKENS = 512, MOST_CHANNELS = 3072, MOST_WEIGHTS = 3072 * 768, SKETCH = 64 };

static const int layers[][2] = { { 768, 768 }, { 768, 2304 }, { 768, 3072 }, { 3072, 768 } }; // inputs, outputs
static const int lengths[] = { 64, 256, 512 };

// What a method asks for, how many general rows it weighs, and which ways there are to find it.
typedef struct { const char* what; int needs, weighed; } Question;
static const Question questions[] = {
    { "scores, half", NEEDS_S, GENERAL / 2 }, { "scores, all", NEEDS_S, GENERAL }, { "with K", NEEDS_S | NEEDS_K, GENERAL },
};

typedef struct { const char* name; Route route; int keep; } Way;
static const Way ways[] = {
    { "direct", ROUTE_direct, 0 }, { "kept", ROUTE_direct, 1 }, { "pairs", ROUTE_pairs, 0 }, { "tokens", ROUTE_tokens, 0 }, { "sketch", ROUTE_sketch, 0 },
};
enum { NUM_WAYS = sizeof(ways) / sizeof(ways[0]), EXACT_WAYS = NUM_WAYS - 1 };

typedef struct {
    float *inp, *dout, *out, *weight, *dweight, *dbias, *kept, *scratch;
    double *K, *s, *partial;
    size_t part;
    SketchStore* sketches;
    int threads;
} Bench;

static float* filled(size_t count) {
    float* x = malloc(count * sizeof(float));
    check(x != NULL, "out of memory for %zu floats", count);
    #pragma omp parallel for
    for (size_t i = 0; i < count; i++) { x[i] = (float)((uint32_t)i * 2654435761u >> 8) / 16777216.0f - 0.5f; }
    return x;
}

static Bench bench_create(int threads) {
    size_t positions = (size_t)ROWS * MOST_TOKENS * MOST_CHANNELS;
    size_t gather = gather_scratch(GENERAL, TARGET, MOST_TOKENS, MOST_CHANNELS), assemble = assemble_scratch(ROWS, MOST_TOKENS, MOST_CHANNELS);
    Bench b = { .threads = threads, .part = gather > assemble ? gather : assemble };
    b.inp = filled(positions);
    b.dout = filled(positions);
    b.out = filled(positions);
    b.weight = filled(MOST_WEIGHTS);
    b.dweight = filled(MOST_WEIGHTS);
    b.dbias = filled(MOST_CHANNELS);
    b.kept = filled((size_t)(GENERAL + 1) * (MOST_WEIGHTS + MOST_CHANNELS));
    b.scratch = filled(b.part * (size_t)threads);
    b.K = calloc(GENERAL * GENERAL, sizeof(double));
    b.s = calloc(GENERAL, sizeof(double));
    b.partial = calloc(gather_partial(GENERAL, TARGET, threads), sizeof(double));
    check(b.K && b.s && b.partial, "out of memory");
    b.sketches = sketch_create(SKETCH, GENERAL, TARGET, MOST_TOKENS, 1);
    return b;
}

static void bench_free(Bench* b) {
    float* floats[] = { b->inp, b->dout, b->out, b->weight, b->dweight, b->dbias, b->kept, b->scratch };
    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) { free(floats[i]); }
    free(b->K);
    free(b->s);
    free(b->partial);
    sketch_free(b->sketches);
}

static Site site_of(const Bench* b, int layer) {
    int C = layers[layer][0], OC = layers[layer][1];
    return (Site){ .kind = SITE_LINEAR, .name = "layer", .dweight = b->dweight, .dbias = b->dbias, .dout = b->dout, .inp = b->inp,
                   .rows = OC, .cols = C, .stride = OC, .parts = 1, .index = layer };
}

static Gather gather_of(const Bench* b, const Question* q, const Way* w, int T) {
    return (Gather){ .n = GENERAL, .m = TARGET, .T = T, .threads = b->threads, .needs = q->needs, .weighed = q->weighed, .route = w->route, .keep_gradients = w->keep,
                     .kept = b->kept, .kept_size = (size_t)(GENERAL + 1) * (MOST_WEIGHTS + MOST_CHANNELS), .sketches = b->sketches,
                     .scratch = b->scratch, .part = b->part };
}

// Milliseconds of what every way has in common, then of the ordinary weight gradient.
static void time_plain(const Bench* b, const Site* s, int T, double ms[2]) {
    double start = seconds_now();
    matmul_forward(b->out, b->inp, b->weight, b->dbias, ROWS * T, s->cols, s->rows);
    matmul_backward_input(b->out, b->dout, b->weight, ROWS * T, s->cols, s->rows);
    ms[0] = 1e3 * (seconds_now() - start);
    start = seconds_now();
    matmul_backward_params(b->dweight, b->dbias, b->dout, b->inp, ROWS * T, s->cols, s->rows);
    ms[1] = 1e3 * (seconds_now() - start);
}

// Milliseconds of the statistics and the update; NAN: this way does not give them.
static double time_way(const Bench* b, const Site* s, const Question* q, const Way* w, int T) {
    double square = 0.0;
    Statistics st = { .K = b->K, .s = b->s, .q = &square, .score = b->s, .partial = b->partial };
    Gather g = gather_of(b, q, w, T);
    double start = seconds_now();
    float weight[ROWS];
    if (gather_route(s, &g) != w->route) { return NAN; }
    Gathered done = drpt_gather(&st, s, &g);
    for (int i = 0; i < ROWS; i++) { weight[i] = i < q->weighed ? 1.0f / q->weighed : 0.0f; }
    if (done.kept) { drpt_assemble_kept(s, weight, b->kept, GENERAL, b->threads); }
    else { drpt_assemble(s, weight, ROWS, ROWS, T, b->scratch, b->part, b->threads); }
    return 1e3 * (seconds_now() - start);
}

// The exact way of least value, as the model reckons or as was measured.
static int least(const double* value) {
    int best = 0;
    for (int i = 1; i < EXACT_WAYS; i++) { if (!(value[i] >= value[best])) { best = isnan(value[i]) ? best : i; } }
    return best;
}

static void shape_row(Table* t, const Bench* b, const Question* q, int layer, int T, int rounds) {
    double plain[2], ratio[NUM_WAYS][MOST_ROUNDS], share[NUM_WAYS], reckoned[NUM_WAYS], sample[2][MOST_ROUNDS];
    Site s = site_of(b, layer);
    for (int i = 0; i < NUM_WAYS && T == lengths[0]; i++) { time_way(b, &s, q, &ways[i], T); } // longer ones need no warming up
    for (int r = 0; r < rounds; r++) {
        time_plain(b, &s, T, plain);
        sample[0][r] = plain[0] + plain[1];
        sample[1][r] = plain[1];
        for (int i = 0; i < NUM_WAYS; i++) { ratio[i][r] = (plain[0] + time_way(b, &s, q, &ways[i], T)) / sample[0][r]; }
    }
    double product = 2e-9 * ROWS * T * s.rows * s.cols, wgrad = median(sample[1], rounds);
    table_cell(t, "%s, %d -> %d, T=%d", q->what, s.cols, s.rows, T);
    table_number(t, median(sample[0], rounds), 1, "");
    table_number(t, product / wgrad * 1e3, 0, "");
    for (int i = 0; i < NUM_WAYS; i++) {
        Gather g = gather_of(b, q, &ways[i], T);
        share[i] = median(ratio[i], rounds);
        reckoned[i] = isnan(share[i]) ? NAN : gather_cost(&s, &g, ways[i].route) / 1e9;
        table_number(t, share[i], 2, "");
        if (i < EXACT_WAYS) { table_number(t, (2 + reckoned[i] / product) / 3, 2, ""); }
    }
    int chosen = least(reckoned), best = least(share);
    table_cell(t, "%s%s", ways[chosen].name, share[chosen] > 1.05 * share[best] ? " !" : "");
    table_cell(t, "%s", ways[best].name);
    table_end_row(t);
}

static void question(const Report* report, const Bench* b, const Question* q, int rounds, int quick) {
    Table* t = calloc(1, sizeof(Table));
    check(t != NULL, "out of memory for a table");
    table_cell(t, "inputs -> outputs");
    table_cell(t, "layer ms");
    table_cell(t, "GFLOP/s");
    for (int i = 0; i < NUM_WAYS; i++) {
        table_cell(t, "%s", ways[i].name);
        if (i < EXACT_WAYS) { table_cell(t, "model"); }
    }
    table_cell(t, "chosen");
    table_cell(t, "best");
    table_end_row(t);
    for (int k = 0; k < (quick ? 1 : 3); k++) {
        for (int i = 0; i < (quick ? 1 : 4); i++) { shape_row(t, b, q, i, lengths[k], rounds); }
    }
    report_table(report, t);
    free(t);
}

void gather_measure(const Report* report, int rounds, int threads, int quick) {
    omp_set_num_threads(threads);
    Bench b = bench_create(threads);
    report_heading(report, "Routes of the statistics");
    report_text(report, "%d general rows and %d target row, %d threads. Layer: forward and both gradients of all rows, plainly; GFLOP/s: of its weight "
                "gradient. Then the layer with its statistics found and its update formed by each route, as the ratio to the plain one, medians of "
                "%d interleaved rounds; beside it what the cost model reckons, with all three products equally fast. !: the model's choice takes 5 %% more "
                "than the best. Sketch (%d) is never chosen by itself: it is not exact.", GENERAL, TARGET, threads, rounds, SKETCH);
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) { question(report, &b, &questions[i], rounds, quick); }
    bench_free(&b);
}
