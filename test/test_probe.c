// test_probe.c -- the probe against the regularizer itself and against closed forms, in a world whose true gradient is known.
//
// The oracle runs the ordinary regularizer, one variant and one pass at a time, keeps every update, and estimates by loops over
// pairs of updates (pairwise.h).
#include "../dev/world/rows.h"
#include "../llmc/files.h"
#include "pairwise.h"
#include "scratch.h"
#include "test.h"

#include <omp.h>

static World world;
static Net net;
static Params w, grad;

// A probe's draws: R target sets of m rows, with Q batches of n rows each.
typedef struct {
    int n, m, T, R, Q;
    uint64_t seed;
    int same_general;  // 1: every target draw meets the same batches; 2: every pass the same batch
    int unusable;      // 1: some rows of some batches may not be used
    int halves;        // 1: t* is estimated, from two sets of rows
} Shape;

enum { PROBE_SEED = 99, REFERENCE_ROWS = 6, REFERENCE_PASSES = 2 };

static void prepare(void) {
    if (net.positions) { return; }
    omp_set_num_threads(1);
    world_create(&world, 3);
    net_create(&net, 4096);
    net_init(&w, 3);
    for (int step = 0; step < 30; step++) {
        net_exact_gradient(&net, &w, &grad, &world, GENERAL);
        for (int k = 0; k < NUM_PARAMS; k++) { ((float*)&w)[k] -= 2.0f * ((float*)&grad)[k]; }
    }
}

static double dot(const float* a, const float* b) { return product(a, b, NUM_PARAMS); }

static ProbeList list_of(const char* text) {
    const char* path = scratch("variants.txt");
    FILE* f = fopen(path, "w");
    if (f == NULL) { abort(); }
    fputs(text, f);
    fclose(f);
    return probe_list_read(path);
}

static void draw(TextRows* rows, const Shape* s, int a, int b) {
    int batch = s->same_general == 2 ? 0 : s->same_general ? b : a * s->Q + b;
    Rng target = rng_seed(s->seed, 1, (uint64_t)a), general = rng_seed(s->seed, 2, (uint64_t)batch);
    rows_draw_target(rows, &world, &target);
    rows_draw_general(rows, &world, &general);
    for (int i = 0; i < rows->n; i++) { rows->usable[i] = !(s->unusable && (i + batch) % 5 == 0); }
}

// Part of one half of t*: its losses weighed so that all passes together are a mean.
static void reference_pass(const Shape* s, int half, int pass, Params* to, Drpt* drpt) {
    TextRows rows;
    Rng rng = rng_seed(s->seed, 3, (uint64_t)(2 * pass + half));
    rows_create(&rows, 0, REFERENCE_ROWS, s->T);
    rows_draw_target(&rows, &world, &rng);
    net_forward(&net, &w);
    for (int i = 0; i < rows.m * rows.T; i++) {
        for (int c = 0; c < VOCAB; c++) {
            float p = net.p[rows.context[i] * VOCAB + c];
            net.pass.dlogits[i * VOCAB + c] = (p - (float)(c == rows.next[i])) / (float)(REFERENCE_PASSES * rows.m * rows.T);
        }
    }
    net_backward(&net, &w, to, drpt, rows.context, rows.m * rows.T);
    rows_free(&rows);
}

static Probe* measure(const ProbeList* list, const Shape* s) {
    Probe* p = probe_create(list, s->n, s->m, s->T, WIDEST, DOMAINS, s->R, s->Q, PROBE_SEED);
    Drpt* recorder = probe_recorder(p);
    TextRows rows;
    rows_create(&rows, s->n, s->m, s->T);
    for (int k = 0; s->halves && k < 2 * REFERENCE_PASSES; k++) {
        probe_begin_reference(p, k % 2, REFERENCE_ROWS, s->T);
        reference_pass(s, k % 2, k / 2, &grad, recorder);
    }
    if (!s->halves) {
        net_forward(&net, &w);
        net_exact_dlogits(net.pass.dlogits, &net, &world, TARGET);
        probe_begin_reference(p, 2, CONTEXTS / s->T, s->T);
        net_backward(&net, &w, &grad, recorder, net.context, CONTEXTS);
    }
    for (int k = 0; k < s->R * s->Q; k++) {
        draw(&rows, s, k / s->Q, k % s->Q);
        probe_begin(p, k / s->Q, k % s->Q, rows.usable, rows.domain);
        rows_pass(&rows, &net, &w, &grad, recorder);
    }
    rows_free(&rows);
    return p;
}

// ---------------------------------------------------------------------------------------------
// the oracle

typedef struct { float g[NUM_PARAMS]; } Vector;

// One update by the ordinary regularizer. A basis is that of the pass alone.
static void update(Vector* u, const DrptOptions* o, const Shape* s, int a, int b) {
    static Drpt d; // large
    TextRows rows;
    rows_create(&rows, s->n, s->m, s->T);
    draw(&rows, s, a, b);
    d = drpt_create(o, s->n, s->m, s->T, WIDEST, DOMAINS, PROBE_SEED);
    memset(u, 0, sizeof(*u));
    drpt_begin(&d, d.basis ? 0 : (uint64_t)(a * s->Q + b), rows.usable, rows.domain);
    rows_pass(&rows, &net, &w, (Params*)u, &d);
    drpt_free(&d);
    rows_free(&rows);
}

// The gradients of a batch's general rows, one at a time.
static void row_gradients(Vector* g, const Shape* s, int a, int b) {
    static Drpt d;
    const unsigned char usable = 1;
    TextRows all, single;
    DrptOptions o = drpt_defaults;
    rows_create(&all, s->n, s->m, s->T);
    rows_create(&single, 1, 1, s->T);
    draw(&all, s, a, b);
    o.method = "full";
    d = drpt_create(&o, 1, 1, s->T, WIDEST, 1, 0);
    memset(g, 0, sizeof(Vector) * (size_t)s->n);
    for (int i = 0; i < s->n; i++) {
        memcpy(single.context, &all.context[i * s->T], sizeof(int) * (size_t)s->T);
        memcpy(single.next, &all.next[i * s->T], sizeof(int) * (size_t)s->T);
        drpt_begin(&d, 0, &usable, NULL);
        rows_pass(&single, &net, &w, (Params*)&g[i], &d);
    }
    drpt_free(&d);
    rows_free(&single);
    rows_free(&all);
}

static Vector* updates(const DrptOptions* o, const Shape* s) { // (R,Q)
    Vector* u = room(sizeof(Vector) * (size_t)(s->R * s->Q));
    for (int k = 0; k < s->R * s->Q; k++) { update(&u[k], o, s, k / s->Q, k % s->Q); }
    return u;
}

static void true_gradient(Vector* half, const Shape* s) { // (2)
    static Drpt d;
    DrptOptions o = drpt_defaults;
    unsigned char usable[REFERENCE_ROWS];
    memset(usable, 1, sizeof(usable));
    memset(half, 0, sizeof(Vector) * 2);
    for (int h = 0; h < 2 && !s->halves; h++) { net_exact_gradient(&net, &w, (Params*)&half[h], &world, TARGET); }
    o.method = "full";
    d = drpt_create(&o, REFERENCE_ROWS, 0, s->T, WIDEST, 1, 0);
    for (int k = 0; s->halves && k < 2 * REFERENCE_PASSES; k++) {
        drpt_begin(&d, 0, usable, NULL);
        reference_pass(s, k % 2, k / 2, (Params*)&half[k % 2], &d);
    }
    drpt_free(&d);
}

// The debiased formula of nested analysis of variance: with the true gradient itself it must agree with the products of different draws.
static void expect_debiased(const ProbeResult* r, const char* label, const Vector* u, const Vector* t, const Shape* s) {
    double sum = 0.0;
    for (int k = 0; k < NUM_PARAMS; k++) {
        double mean = 0.0;
        for (int i = 0; i < s->R * s->Q; i++) { mean += (double)u[i].g[k] / (s->R * s->Q); }
        sum += (mean - t->g[k]) * (mean - t->g[k]);
    }
    double want = sum / dot(t->g, t->g) - r->v_tgt.value / s->R - r->v_gen.value / (s->R * s->Q);
    expect_estimate(label, "bias2, debiased,", r->bias2.value, want, 1e-5 * fmax(1.0, r->norm2.value));
}

// ---------------------------------------------------------------------------------------------
// every method against the oracle

static const char family[] =
    "# a comment, and an empty line\n\n"
    "target | --method target\n"
    "full | --method full\n"
    "full global | --method full --group global\n"
    "mix | --method mix --mix 0.3\n"
    "random | --method random --keep 0.4\n"
    "random block | --method random --keep 0.4 --group block\n"
    "subset | --method subset --keep 0.3\n"
    "subset by default | --keep 0.3\n"
    "subset block | --method subset --keep 0.3 --group block\n"
    "subset global | --method subset --keep 0.3 --group global\n"
    "subset normalised | --method subset --keep 0.3 --group global --normalise 1\n"
    "filter normalised block | --method filter --group block --normalise 1\n"
    "filter | --method filter --group global\n"
    "greedy | --method greedy --keep 0.5 --group global\n"
    "greedy tau | --method greedy --keep 0.5 --tau 0.2\n"
    "span | --method span --ridge 0.01 --group global\n"
    "span layer | --method span --ridge 0.1\n"
    "span tau | --method span --ridge 0.1 --tau 0.5 --group block\n"
    "cone matrix | --method cone --group matrix\n"
    "cone layer | --method cone\n"
    "cone sublayer | --method cone --group sublayer\n"
    "cone block | --method cone --group block\n"
    "cone global | --method cone --group global --ridge 0.1\n"
    "simplex | --method simplex --group global\n"
    "capped | --method capped --keep 0.5\n"
    "agem | --method agem --group global\n"
    "agem mirror | --method agem_mirror\n"
    "gem | --method gem --group global\n"
    "pcgrad | --method pcgrad --group block\n"
    "cagrad | --method cagrad --radius 0.4 --group global\n"
    "trust | --method trust --radius 0.7\n"
    "inside | --method inside --rank 3\n"
    "inside left | --method inside --rank 4 --sides left --group matrix\n"
    "outside | --method outside --rank 3\n"
    "soft | --method cone --strength 0.6 --group global\n"
    "soft subset | --method subset --keep 0.3 --strength 0.5\n"
    "auto cone | --method cone --strength auto --group global\n"
    "auto span | --method span --ridge 0.1 --strength auto\n"
    "ray | --method subset --keep 0.3 --rescale ray --group global\n"
    "as long as t | --method simplex --rescale target\n"
    "as long as g | --method cone --rescale general --group block\n"
    "cap | --method target --rescale cap --radius 0.5 --group global\n";

static void expect_family(const Shape* s) {
    ProbeList list = list_of(family);
    Probe* p = measure(&list, s);
    Vector half[2], *target = room(sizeof(Vector) * (size_t)(s->R * s->Q));
    DrptOptions o = drpt_defaults;
    true_gradient(half, s);
    o.method = "target";
    for (int k = 0; k < s->R * s->Q; k++) { update(&target[k], &o, s, k / s->Q, k % s->Q); }
    expect(probe_size(p) == NUM_PARAMS && !probe_is_folded(p));
    expect_estimate("all", "|t*|^2", probe_t_norm2(p), dot(half[0].g, half[1].g), 1e-6 * dot(half[0].g, half[0].g));
    for (int v = 0; v < list.count; v++) {
        int before = test_failures;
        Vector* u = updates(&list.variant[v].options, s);
        for (int a = 0; a < s->R; a++) {
            Vector sum = { { 0.0f } }, got;
            for (int b = 0; b < s->Q; b++) { for (int k = 0; k < NUM_PARAMS; k++) { sum.g[k] += u[a * s->Q + b].g[k]; } }
            probe_sum(p, got.g, v, a);
            expect_close(got.g, sum.g, NUM_PARAMS, 1e-5f);
        }
        ProbeResult r = probe_result(p, v);
        expect_estimates(&r, list.variant[v].label, &(Updates){ u->g, target->g, half->g, NUM_PARAMS, s->R, s->Q }, 1e-5);
        if (!s->halves) { expect_debiased(&r, list.variant[v].label, u, &half[0], s); }
        if (test_failures != before) { fprintf(stderr, "    that was '%s'\n", list.variant[v].label); }
        free(u);
    }
    free(target);
    probe_free(p);
    probe_list_free(&list);
}

static void test_family(void) {
    prepare();
    expect_family(&(Shape){ .n = 8, .m = 4, .T = 8, .R = 4, .Q = 3, .seed = 1 });
}

static void test_family_with_halves(void) {
    prepare();
    expect_family(&(Shape){ .n = 7, .m = 3, .T = 4, .R = 3, .Q = 2, .seed = 2, .unusable = 1, .halves = 1 });
}

// ---------------------------------------------------------------------------------------------
// closed forms

static void expect_within(const char* what, Estimate e, double want, double errors) {
    expect_estimate(what, "an estimate", e.value, want, errors * e.error + 1e-6);
}

static double square_apart(const Vector* a, const Vector* b) {
    double sum = 0.0;
    for (int k = 0; k < NUM_PARAMS; k++) { sum += ((double)a->g[k] - b->g[k]) * ((double)a->g[k] - b->g[k]); }
    return sum;
}

// Plain training on one set of rows or on both, against true gradients that are known exactly.
static void test_closed_forms(void) {
    prepare();
    Shape s = { .n = 8, .m = 4, .T = 8, .R = 40, .Q = 4, .seed = 5 };
    ProbeList list = list_of("target | --method target\nfull | --method full\nmix | --method mix --mix 0.3\nmore | --method mix --mix 0.8\n");
    Probe* p = measure(&list, &s);
    ProbeResult target = probe_result(p, 0), full = probe_result(p, 1);
    Vector t, g;
    net_exact_gradient(&net, &w, (Params*)&t, &world, TARGET);
    net_exact_gradient(&net, &w, (Params*)&g, &world, GENERAL);
    double bias2 = square_apart(&t, &g) / dot(t.g, t.g);

    expect_within("target: bias2", target.bias2, 0.0, 3.0);
    expect(fabs(target.v_gen.value) <= 1e-6 * target.norm2.value); // no general row is in it
    expect(fabs(target.cos_t.value - 1.0) <= 1e-6 && target.cos_t.error <= 1e-6);
    expect(target.v_tgt.value > 10.0 * target.v_tgt.error / 3.0);
    expect_within("target: norm2", target.norm2, 1.0 + target.v_tgt.value, 3.0);
    expect_within("full: v_tgt", full.v_tgt, 0.0, 3.0);
    expect_within("full: bias2", full.bias2, bias2, 3.0);
    for (int v = 2; v < 4; v++) {
        double x = list.variant[v].options.mix;
        ProbeResult mix = probe_result(p, v);
        expect_within("mix: bias2", mix.bias2, (1.0 - x) * (1.0 - x) * bias2, 3.0);
        expect_within("mix: v_tgt", mix.v_tgt, x * x * target.v_tgt.value, 3.0);
        expect(fabs(mix.v_gen.value - (1.0 - x) * (1.0 - x) * full.v_gen.value) <= 1e-5 * full.v_gen.value); // of the same batches
    }
    probe_free(p);
    probe_list_free(&list);
}

// Variance falls with the rows: of the target's gradient as 1/m, of the general one's as 1/n.
static void test_variance_of_means(void) {
    prepare();
    ProbeList list = list_of("target | --method target\nfull | --method full\n");
    Shape few = { .n = 4, .m = 2, .T = 8, .R = 60, .Q = 4, .seed = 6 }, many = { .n = 16, .m = 8, .T = 8, .R = 60, .Q = 4, .seed = 7 };
    Probe *a = measure(&list, &few), *b = measure(&list, &many);
    Estimate x = probe_result(a, 0).v_tgt, y = probe_result(b, 0).v_tgt;
    expect(fabs(x.value - 4.0 * y.value) <= 3.0 * hypot(x.error, 4.0 * y.error));
    x = probe_result(a, 1).v_gen, y = probe_result(b, 1).v_gen;
    expect(fabs(x.value - 4.0 * y.value) <= 3.0 * hypot(x.error, 4.0 * y.error));
    probe_free(a);
    probe_free(b);
    probe_list_free(&list);
}

// Draws that meet the same batches differ in nothing if the target is not used.
static void test_same_batches(void) {
    prepare();
    Shape s = { .n = 5, .m = 3, .T = 4, .R = 6, .Q = 3, .seed = 8, .same_general = 1 };
    ProbeList list = list_of("full | --method full\n");
    Probe* p = measure(&list, &s);
    ProbeResult full = probe_result(p, 0);
    Vector first, sum;
    probe_sum(p, first.g, 0, 0);
    for (int a = 1; a < s.R; a++) {
        probe_sum(p, sum.g, 0, a);
        expect(memcmp(&sum, &first, sizeof(sum)) == 0);
    }
    expect(fabs(full.v_tgt.value + full.v_gen.value / s.Q) <= 1e-6 * full.norm2.value);
    expect(full.v_gen.error <= 1e-6 * full.norm2.value);
    probe_free(p);
    probe_list_free(&list);
}

// x less its part in the span of the rows' gradients, of a batch that has no others.
static void make_orthonormal(Vector* g, int n) {
    for (int i = 0; i < n; i++) {
        for (int again = 0; again < 2; again++) {
            for (int j = 0; j < i; j++) {
                double along = dot(g[i].g, g[j].g);
                for (int k = 0; k < NUM_PARAMS; k++) { g[i].g[k] -= (float)(along * g[j].g[k]); }
            }
            double length = sqrt(dot(g[i].g, g[i].g));
            for (int k = 0; k < NUM_PARAMS; k++) { g[i].g[k] = (float)(g[i].g[k] / length); }
        }
    }
}

static double square_inside(const Vector* basis, int n, const float* x) {
    double sum = 0.0;
    for (int i = 0; i < n; i++) { sum += dot(basis[i].g, x) * dot(basis[i].g, x); }
    return sum;
}

// With one batch in all passes the span is a fixed projector P, and
//     E |P t - t*|^2 = |(1 - P) t*|^2 + tr(P Sigma) / m
// splits into the bias and the variance; so do the parts of t inside and outside of a basis.
static void test_fixed_span(void) {
    prepare();
    enum { SINGLE = 1500 };
    Shape s = { .n = 6, .m = 4, .T = 8, .R = 40, .Q = 2, .seed = 9, .same_general = 2 }, one = { .n = 1, .m = 1, .T = 8, .Q = 1, .seed = 10 };
    ProbeList list = list_of("span | --method span --ridge 0 --group global\ntarget | --method target\n"
                             "inside | --method inside --rank 3\noutside | --method outside --rank 3\n");
    Probe* p = measure(&list, &s);
    ProbeResult span = probe_result(p, 0), target = probe_result(p, 1), in = probe_result(p, 2), out = probe_result(p, 3);
    Vector t, x, mean = { { 0.0f } }, basis[6];
    DrptOptions o = drpt_defaults;
    row_gradients(basis, &s, 0, 0);
    make_orthonormal(basis, s.n);
    net_exact_gradient(&net, &w, (Params*)&t, &world, TARGET);
    double t2 = dot(t.g, t.g), inside = square_inside(basis, s.n, t.g), spread = 0.0, squares = 0.0;
    o.method = "target"; // rows of a population of their own: tr(P Sigma) and what it is known to
    for (int a = 0; a < SINGLE; a++) {
        update(&x, &o, &one, a, 0);
        for (int k = 0; k < NUM_PARAMS; k++) { x.g[k] -= t.g[k]; mean.g[k] += x.g[k] / SINGLE; }
        double part = square_inside(basis, s.n, x.g) / t2 / s.m;
        spread += part / SINGLE;
        squares += part * part / SINGLE;
    }
    expect_within("span: bias2", span.bias2, 1.0 - inside / t2, 3.0);
    expect(fabs(span.v_tgt.value - spread) <= 3.0 * hypot(span.v_tgt.error, sqrt((squares - spread * spread) / SINGLE)));
    expect(span.v_tgt.value < 0.5 * target.v_tgt.value && fabs(span.v_gen.value) <= 1e-6);
    expect(fabs(in.v_tgt.value + out.v_tgt.value - target.v_tgt.value) <= 1e-5 * target.norm2.value);
    expect(fabs(in.bias2.value + out.bias2.value - target.bias2.value - 1.0) <= 1e-5 * target.norm2.value);
    expect(fabs(in.norm2.value + out.norm2.value - target.norm2.value) <= 1e-5 * target.norm2.value);
    probe_free(p);
    probe_list_free(&list);
}

// ---------------------------------------------------------------------------------------------
// errors

// Over independent repetitions the estimates spread as much as their errors say. Where u is t itself, bias2 is a mean of products of
// independent deviations and nothing else (a degenerate U-statistic), of whose variance the jackknife reports twice as much.
static void test_errors_are_calibrated(void) {
    prepare();
    enum { TIMES = 120, VARIANTS = 4 };
    static double value[VARIANTS][NUM_ESTIMATES][TIMES], error[VARIANTS][NUM_ESTIMATES];
    ProbeList list = list_of("target | --method target\nmix | --method mix\nsubset | --method subset --keep 0.25\ncone | --method cone --group global\n");
    for (int time = 0; time < TIMES; time++) {
        Probe* p = measure(&list, &(Shape){ .n = 12, .m = 4, .T = 8, .R = 30, .Q = 2, .seed = (uint64_t)(1000 + time) });
        for (int v = 0; v < VARIANTS; v++) {
            ProbeResult r = probe_result(p, v);
            for (int e = 0; e < NUM_ESTIMATES; e++) {
                value[v][e][time] = ((Estimate*)&r)[e].value;
                error[v][e] += ((Estimate*)&r)[e].error / TIMES;
            }
        }
        probe_free(p);
    }
    for (int v = 0; v < VARIANTS; v++) {
        for (int e = 0; e < NUM_ESTIMATES; e++) {
            double mean = 0.0, squares = 0.0;
            for (int time = 0; time < TIMES; time++) { mean += value[v][e][time] / TIMES; }
            for (int time = 0; time < TIMES; time++) { squares += pow(value[v][e][time] - mean, 2.0); }
            double spread = sqrt(squares / (TIMES - 1)) * (v == 0 && e == AT_bias2 ? sqrt(2.0) : 1.0);
            if (spread < 1e-6 && error[v][e] < 1e-6) { continue; } // what cannot vary
            if (spread <= 1.5 * error[v][e] && error[v][e] <= 1.5 * spread) { continue; }
            fprintf(stderr, "%s of '%s' spreads by %g, its error is said to be %g\n", estimate_name[e], list.variant[v].label, spread, error[v][e]);
            test_failures++;
        }
    }
    probe_list_free(&list);
}

// ---------------------------------------------------------------------------------------------
// sites of every kind

enum { KN = 4, KM = 2, KB = KN + KM, KT = 3, C = 6, PARTS = 3, WIDE = 9, V = 7, KR = 3, KQ = 2 };
typedef struct { float qkvw[WIDE*C], qkvb[WIDE], lnw[WIDE], lnb[WIDE], fcw[V*C], wte[V*C], wpe[KT*C]; } Kinds;
enum { NUM_KINDS = sizeof(Kinds) / sizeof(float) };

// Not the gradients of anything: numbers from a seed where a backward pass would have its buffers.
static void pass_over_kinds(Drpt* d, Kinds* g, uint64_t seed) {
    static float dqkv[KB*KT*WIDE], inp[KB*KT*C], dln[KB*KT*WIDE], x[KB*KT*WIDE], mean[KB*KT], rstd[KB*KT];
    static float dfc[KB*KT*V], dlogits[KB*KT*V], last[KB*KT*C], dx[KB*KT*C];
    static int tokens[KB*KT];
#define FILL(array) test_fill(array, sizeof(array) / sizeof(float), &seed)
    FILL(dqkv); FILL(inp); FILL(dln); FILL(x); FILL(mean); FILL(rstd); FILL(dfc); FILL(dlogits); FILL(last); FILL(dx);
    for (int i = 0; i < KB*KT; i++) { tokens[i] = i % 3 ? i % V : 2; }
    d->block = 1;
    drpt_site_fused(d, "qkv", g->qkvw, g->qkvb, dqkv, inp, C, WIDE);
    drpt_project(d, DRPT_SUBLAYER);
    drpt_site_layernorm(d, "ln", g->lnw, g->lnb, dln, x, mean, rstd, WIDE);
    drpt_site(d, "fc", g->fcw, NULL, dfc, inp, C, V);
    drpt_project(d, DRPT_BLOCK);
    d->block = -1;
    drpt_site_token(d, "wte", g->wte, dlogits, last, dx, tokens, C, V, V);
    drpt_site_position(d, "wpe", g->wpe, dx, C);
    drpt_project(d, DRPT_GLOBAL);
}

// As the probe has it: of a fused site each part with its bias.
static void by_parts(float* to, const Kinds* g) {
    const int rows = WIDE / PARTS;
    for (int part = 0; part < PARTS; part++, to += rows * (C + 1)) {
        memcpy(to, &g->qkvw[part * rows * C], sizeof(float) * (size_t)(rows * C));
        memcpy(to + rows * C, &g->qkvb[part * rows], sizeof(float) * (size_t)rows);
    }
    memcpy(to, g->lnw, sizeof(*g) - offsetof(Kinds, lnw));
}

static void test_every_kind_of_site(void) {
    static Drpt d;
    static Kinds g;
    const unsigned char usable[KB] = { 1, 1, 1, 1, 1, 1 };
    const int domain[KN] = { 0, 1, 1, 0 };
    float got[NUM_KINDS], want[NUM_KINDS], one[NUM_KINDS];
    omp_set_num_threads(1);
    ProbeList list = list_of("a | --method cone --group matrix\nb | --method cone --group layer\nc | --method cone --group sublayer\n"
                             "d | --method subset --group block\ne | --method span --ridge 0.1 --group global\nf | --method gem --group matrix\n"
                             "g | --method random --group layer\nh | --method random --group matrix\ni | --method inside --rank 2 --group layer\n"
                             "j | --method inside --rank 2 --group matrix\nk | --method outside --rank 1 --sides right\n"
                             "l | --method subset --normalise 1 --group block\nm | --method cone --strength auto --group sublayer\n"
                             "n | --method subset --normalise 1 --group sublayer\n");
    Probe* p = probe_create(&list, KN, KM, KT, WIDE, 2, KR, KQ, PROBE_SEED);
    probe_begin_reference(p, 2, KB, KT);
    pass_over_kinds(probe_recorder(p), &g, 77);
    for (int k = 0; k < KR * KQ; k++) {
        probe_begin(p, k / KQ, k % KQ, usable, domain);
        pass_over_kinds(probe_recorder(p), &g, (uint64_t)k);
    }
    expect(probe_size(p) == NUM_KINDS);
    for (int v = 0; v < list.count; v++) {
        for (int a = 0; a < KR; a++) {
            memset(want, 0, sizeof(want));
            for (int k = a * KQ; k < (a + 1) * KQ; k++) {
                d = drpt_create(&list.variant[v].options, KN, KM, KT, WIDE, 2, PROBE_SEED);
                memset(&g, 0, sizeof(g));
                drpt_begin(&d, d.basis ? 0 : (uint64_t)k, usable, domain);
                pass_over_kinds(&d, &g, (uint64_t)k);
                drpt_free(&d);
                by_parts(one, &g);
                for (int i = 0; i < NUM_KINDS; i++) { want[i] += one[i]; }
            }
            probe_sum(p, got, v, a);
            expect_close(got, want, NUM_KINDS, 1e-5f);
        }
    }
    DrptOptions o = drpt_defaults; // the reference: all rows together
    double t2 = 0.0;
    o.method = "full";
    d = drpt_create(&o, KB, 0, KT, WIDE, 1, 0);
    memset(&g, 0, sizeof(g));
    drpt_begin(&d, 0, usable, NULL);
    pass_over_kinds(&d, &g, 77);
    drpt_free(&d);
    for (int i = 0; i < NUM_KINDS; i++) { t2 += (double)((float*)&g)[i] * ((float*)&g)[i]; }
    expect(fabs(probe_t_norm2(p) - t2) <= 1e-6 * t2);
    probe_free(p);
    probe_list_free(&list);
}

// ---------------------------------------------------------------------------------------------
// folding

enum { BIG = 96 }; // outputs and inputs of a layer: more than 4096 parameters

static Probe* measure_big(const ProbeList* list, size_t bytes) {
    static float dout[2][KB*KT*BIG], inp[KB*KT*BIG], dweight[BIG*BIG], dbias[BIG];
    static const unsigned char usable[KN] = { 1, 1, 1, 1 };
    static const int domain[KN];
    Probe* p = probe_create(list, KN, KM, KT, BIG, 1, KR, KQ, PROBE_SEED);
    probe_limit(p, bytes);
    for (int k = -1; k < KR * KQ; k++) {
        uint64_t seed = (uint64_t)(k + 5);
        FILL(inp); FILL(dout[0]); FILL(dout[1]);
        for (int i = 0; i < KB*KT*BIG; i++) { inp[i] += 0.5f; dout[0][i] += 0.5f; } // parameters that go together: signs keep them apart
        if (k < 0) { probe_begin_reference(p, 2, KB, KT); } else { probe_begin(p, k / KQ, k % KQ, usable, domain); }
        drpt_site(probe_recorder(p), "one", dweight, dbias, dout[0], inp, BIG, BIG);
        drpt_site(probe_recorder(p), "other", dweight, dbias, dout[1], inp, BIG, BIG);
        drpt_project(probe_recorder(p), DRPT_GLOBAL);
    }
    return p;
}

// Folding is a linear map, the same one in all passes, that keeps inner products as they are on average; the methods do not notice.
static void test_folding(void) {
    omp_set_num_threads(1);
    ProbeList list = list_of("target | --method target\nfull | --method full\nmix | --method mix --mix 0.25\ncone | --method cone --group global\n"
                             "inside | --method inside --rank 2\n");
    Probe *whole = measure_big(&list, (size_t)1 << 31), *folded = measure_big(&list, 900 << 10);
    expect(!probe_is_folded(whole) && probe_is_folded(folded));
    expect(probe_size(whole) == 2 * BIG * (BIG + 1) && probe_size(folded) == 2 * 4096);
    for (int a = 0; a < KR; a++) {
        float t[2 * 4096], g[2 * 4096], mix[2 * 4096];
        probe_sum(folded, t, 0, a);
        probe_sum(folded, g, 1, a);
        for (int k = 0; k < 2 * 4096; k++) { g[k] = 0.25f * t[k] + 0.75f * g[k]; }
        probe_sum(folded, mix, 2, a);
        expect_close(mix, g, 2 * 4096, 1e-5f);
    }
    expect(fabs(probe_t_norm2(folded) / probe_t_norm2(whole) - 1.0) <= 0.08 && probe_t_norm2(folded) != probe_t_norm2(whole));
    for (int v = 0; v < list.count; v++) {
        ProbeResult x = probe_result(whole, v), y = probe_result(folded, v);
#define NEAR(name) expect(fabs(x.name.value - y.name.value) <= 0.08 * fmax(1.0, x.norm2.value));
        PROBE_ESTIMATES(NEAR)
    }
    probe_free(whole);
    probe_free(folded);
    expect_dies("more than", measure_big(&list, 100 << 10));
    probe_list_free(&list);
}

// ---------------------------------------------------------------------------------------------
// files

enum { MOST_ROWS = 400, MOST_COLS = 64 };
typedef struct { char* text; char* cell[MOST_ROWS][MOST_COLS]; int rows, cols; } Table;

static void read_table(Table* t, const char* folder, const char* name) {
    char* path = path_join(folder, name);
    char* rest = t->text = input_text(path);
    free(path);
    t->rows = t->cols = 0;
    for (char* line; (line = strsep(&rest, "\n")) && *line && t->rows < MOST_ROWS; t->rows++) {
        int cols = 0;
        for (char* cell; (cell = strsep(&line, ",")) && cols < MOST_COLS; ) { t->cell[t->rows][cols++] = cell; }
        expect(t->rows == 0 || cols == t->cols);
        t->cols = cols;
    }
}

static double number(const Table* t, int row, int col) {
    char* end;
    double x = strtod(t->cell[row][col], &end);
    expect(end != t->cell[row][col] && *end == '\0' && isfinite(x));
    return x;
}

static void expect_heading(const Table* t, const char* want) {
    char got[2048] = "";
    size_t length = 0;
    for (int c = 0; c < t->cols && length < sizeof(got); c++) {
        length += (size_t)snprintf(got + length, sizeof(got) - length, "%s%s", c ? "," : "", t->cell[0][c]);
    }
    if (strcmp(got, want) != 0) { fprintf(stderr, "the columns are %s\n", got); test_failures++; }
}

enum { FIRST_ESTIMATE = 11, FIRST_MASS = FIRST_ESTIMATE + 2 * NUM_ESTIMATES };

static void expect_table(const Probe* p, const ProbeList* list, const char* folder, const Shape* s) {
    static const char* const method[] = { "target", "full", "subset", "cone" };
    static const char* const group[] = { "layer", "layer", "global", "global" };
    static const char* const written[] = { "--method target", "--method full", "--keep 0.3 --group global", "--method cone --group global" };
    static Table t;
    Vector half[2];
    true_gradient(half, s);
    read_table(&t, folder, "probe.csv");
    expect_heading(&t, "label,method,group,options,n,m,draws,batches,parameters,t_norm2,reference_error,bias2,bias2_se,v_tgt,v_tgt_se,v_gen,v_gen_se,"
                       "mse,mse_se,cos_t,cos_t_se,cos_true,cos_true_se,norm2,norm2_se,rho,rho_se,mass_0,mass_1,mass_2,mass_3,mass_4,mass_5,mass_6,"
                       "mass_7,mass_8,mass_9,mass_10,mass_11,mass_12,mass_13,mass_14");
    expect(t.rows == 1 + list->count);
    double t2 = dot(half[0].g, half[1].g), numbers[] = { s->n, s->m, s->R, s->Q, NUM_PARAMS, t2, square_apart(&half[0], &half[1]) / 4.0 / t2 };
    for (int v = 0; v < list->count; v++) {
        const char* texts[] = { list->variant[v].label, method[v], group[v], written[v] };
        ProbeResult r = probe_result(p, v);
        for (int c = 0; c < 4; c++) { expect(strcmp(t.cell[v + 1][c], texts[c]) == 0); }
        for (int c = 4; c < FIRST_ESTIMATE; c++) { expect(fabs(number(&t, v + 1, c) - numbers[c - 4]) <= 1e-5 * numbers[c - 4]); }
        for (int e = 0; e < 2 * NUM_ESTIMATES; e++) {
            double want = ((double*)&r)[e];
            expect(fabs(number(&t, v + 1, FIRST_ESTIMATE + e) - want) <= 1e-8 * fabs(want));
        }
    }
    free(t.text);
}

// The errors in the table, from the replicates in the file, and from these that of a difference.
static void expect_replicates(const Probe* p, const ProbeList* list, const char* folder, const Shape* s) {
    static Table t;
    read_table(&t, folder, "replicates.csv");
    expect_heading(&t, "label,draw,bias2,v_tgt,v_gen,mse,cos_t,cos_true,norm2,rho");
    expect(t.rows == 1 + list->count * s->R);
    for (int v = 0; v < list->count; v++) {
        ProbeResult r = probe_result(p, v);
        for (int e = 0; e < NUM_ESTIMATES; e++) {
            double mean = 0.0, squares = 0.0;
            for (int a = 0; a < s->R; a++) { mean += number(&t, 1 + v * s->R + a, 2 + e) / s->R; }
            for (int a = 0; a < s->R; a++) { squares += pow(number(&t, 1 + v * s->R + a, 2 + e) - mean, 2.0); }
            expect(fabs(sqrt(squares * (s->R - 1) / s->R) - ((Estimate*)&r)[e].error) <= 1e-6 * fmax(1.0, fabs(((Estimate*)&r)[e].value)));
        }
        for (int a = 0; a < s->R; a++) {
            expect(strcmp(t.cell[1 + v * s->R + a][0], list->variant[v].label) == 0 && number(&t, 1 + v * s->R + a, 1) == a);
        }
    }
    free(t.text);
}

static void expect_scores(const char* folder, const Shape* s) {
    static const char *const site[] = { "head", "h0.second", "h0.first" }, *const block[] = { "-1", "0", "0" };
    static const size_t start[] = { 0, offsetof(Params, w2) / sizeof(float), offsetof(Params, w1) / sizeof(float), NUM_PARAMS };
    static Table t;
    Vector g[16], target;
    char heading[512] = "draw,batch,site,block";
    size_t length = strlen(heading);
    DrptOptions o = drpt_defaults;
    o.method = "target";
    for (int i = 0; i < s->n && length < sizeof(heading); i++) { length += (size_t)snprintf(heading + length, sizeof(heading) - length, ",s_%d", i); }
    read_table(&t, folder, "scores.csv");
    expect_heading(&t, heading);
    expect(t.rows == 1 + 3 * s->R * s->Q);
    for (int row = 1; row < t.rows; row++) {
        int pass = (row - 1) / 3, at = (row - 1) % 3;
        expect(number(&t, row, 0) == pass / s->Q && number(&t, row, 1) == pass % s->Q);
        expect(strcmp(t.cell[row][2], site[at]) == 0 && strcmp(t.cell[row][3], block[at]) == 0);
        row_gradients(g, s, pass / s->Q, pass % s->Q);
        update(&target, &o, s, pass / s->Q, pass % s->Q);
        for (int i = 0; i < s->n; i++) {
            double score = 0.0, x = 0.0, y = 0.0;
            for (size_t k = start[at]; k < start[at + 1]; k++) {
                score += (double)g[i].g[k] * target.g[k];
                x += (double)g[i].g[k] * g[i].g[k];
                y += (double)target.g[k] * target.g[k];
            }
            expect(fabs(number(&t, row, 4 + i) - score) <= 1e-5 * sqrt(x * y));
        }
    }
    free(t.text);
}

// The share of sum |alpha_i| |g_i| on each domain, in the mean over passes. Variant 1 weighs all rows alike, layer by layer; 2 and 3 have
// one group.
static void expect_mass(const ProbeList* list, const char* folder, const Shape* s) {
    static Drpt d;
    static Table t;
    static const size_t start[] = { 0, offsetof(Params, w2) / sizeof(float), offsetof(Params, w1) / sizeof(float), NUM_PARAMS };
    read_table(&t, folder, "probe.csv");
    for (int c = FIRST_MASS; c < t.cols; c++) { expect(*t.cell[1][c] == '\0'); } // the target has none
    for (int v = 1; v < list->count; v++) {
        double mean[DOMAINS] = {0};
        for (int pass = 0; pass < s->R * s->Q; pass++) {
            Vector g[16];
            double part[DOMAINS] = {0}, all = 0.0;
            TextRows rows;
            rows_create(&rows, s->n, s->m, s->T);
            row_gradients(g, s, pass / s->Q, pass % s->Q);
            draw(&rows, s, pass / s->Q, pass % s->Q);
            d = drpt_create(&list->variant[v].options, s->n, s->m, s->T, WIDEST, DOMAINS, PROBE_SEED);
            drpt_begin(&d, (uint64_t)pass, rows.usable, rows.domain);
            rows_pass(&rows, &net, &w, &grad, &d);
            drpt_end(&d);
            for (int i = 0; i < s->n; i++) {
                for (int at = 0; at < 3; at++) {
                    double length = 0.0;
                    for (size_t k = v == 1 ? start[at] : 0; k < start[v == 1 ? at + 1 : 3]; k++) { length += (double)g[i].g[k] * g[i].g[k]; }
                    part[rows.domain[i]] += fabs(d.alpha[i]) * sqrt(length);
                }
            }
            for (int k = 0; k < DOMAINS; k++) { all += part[k]; }
            for (int k = 0; k < DOMAINS; k++) { mean[k] += part[k] / all / (s->R * s->Q); }
            drpt_free(&d);
            rows_free(&rows);
        }
        for (int k = 0; k < DOMAINS; k++) { expect_estimate(list->variant[v].label, "a mass", number(&t, v + 1, FIRST_MASS + k), mean[k], 1e-5); }
    }
    free(t.text);
}

static void test_files(void) {
    prepare();
    Shape s = { .n = 9, .m = 3, .T = 4, .R = 5, .Q = 3, .seed = 12, .unusable = 1, .halves = 1 };
    ProbeList list = list_of("target|--method target\n full training \t |\t --method full \r\nthe best .3 | --keep 0.3 --group global\n"
                             "cone | --method cone --group global");
    const char* folder = scratch("probe");
    Probe* p = measure(&list, &s);
    folder_create(folder);
    probe_write(p, folder);
    expect(list.count == 4 && strcmp(list.variant[1].label, "full training") == 0);
    expect_table(p, &list, folder, &s);
    expect_replicates(p, &list, folder, &s);
    expect_scores(folder, &s);
    expect_mass(&list, folder, &s);
    probe_free(p);
    probe_list_free(&list);
}

static void test_faults_of_a_list(void) {
    expect_dies("variants.txt", list_of(""));
    expect_dies("variants.txt", list_of("# nothing\n\n"));
    expect_dies("variants.txt:2", list_of("a | --method cone\ncone\n"));
    expect_dies("variants.txt:1", list_of("a,b | --method cone\n"));
    expect_dies("variants.txt:1", list_of(" | --method cone\n"));
    expect_dies("variants.txt:3", list_of("\n#\na | --keap 0.5\n"));
    expect_dies("keep", list_of("a | --keep 2\n"));
    expect_dies("cones", list_of("a | --method cones\n"));
    expect_dies("metric", list_of("a | --method subset --metric adam\n"));
    expect_dies("score", list_of("a | --method subset --score sketch\n"));
    expect_dies("", probe_list_read(scratch("absent.txt")));
}

static void test_faults_of_use(void) {
    prepare();
    ProbeList list = list_of("a | --method target\n"), strange = list_of("a | --method target --strength 0.5\n");
    static const unsigned char usable[4] = { 1, 1, 1, 1 };
    static const int domain[4];
    Kinds g;
    expect_dies("draws", probe_create(&list, 4, 2, 3, WIDE, 1, 1, 2, 0));
    expect_dies("batches", probe_create(&list, 4, 2, 3, WIDE, 1, 2, 1, 0));
    expect_dies("--target", probe_create(&list, 4, 0, 3, WIDE, 1, 2, 2, 0));
    expect_dies("--strength 0.5", probe_create(&strange, 4, 2, 3, WIDE, 1, 2, 2, 0));
    Probe* p = probe_create(&list, KN, KM, KT, WIDE, 1, 2, 2, 0);
    expect_dies("reference", probe_begin(p, 0, 0, usable, domain));
    probe_begin_reference(p, 0, KB, KT);
    pass_over_kinds(probe_recorder(p), &g, 1);
    expect_dies("halves", probe_begin(p, 0, 0, usable, domain));
    probe_begin_reference(p, 1, KB, KT);
    pass_over_kinds(probe_recorder(p), &g, 2);
    expect_dies("order", probe_begin(p, 0, 1, usable, domain));
    probe_begin(p, 0, 0, usable, domain);
    pass_over_kinds(probe_recorder(p), &g, 3);
    expect_dies("order", probe_begin(p, 0, 0, usable, domain));
    expect_dies("first draw", probe_begin_reference(p, 0, KB, KT));
    expect_dies("passes", probe_result(p, 0));
    probe_begin(p, 0, 1, usable, domain);
    expect_dies("sites", drpt_project(probe_recorder(p), DRPT_GLOBAL)); // none was recorded
    probe_free(p);
    probe_list_free(&list);
    probe_list_free(&strange);
}

// ---------------------------------------------------------------------------------------------
// the world

// The exact gradient against differences of the exact loss, entry by entry, and along a direction in which all entries change.
static void test_exact_gradient(void) {
    prepare();
    uint64_t rng = 21;
    for (int source = 0; source < SOURCES; source += 5) {
        Params g, at = w, direction;
        double slope = 0.0;
        net_exact_gradient(&net, &w, &g, &world, source);
        test_fill((float*)&direction, NUM_PARAMS, &rng);
        for (int k = 0; k < NUM_PARAMS; k++) { slope += (double)((float*)&direction)[k] * ((float*)&g)[k]; }
        for (int k = -1; k < NUM_PARAMS; k += 37) { // -1: all
            double loss[2], step = k < 0 ? 1e-3 : 1e-2, want = k < 0 ? slope : ((float*)&g)[k];
            for (int side = 0; side < 2; side++) {
                double by = side ? step : -step;
                for (int i = 0; i < NUM_PARAMS; i++) {
                    ((float*)&at)[i] = (float)(((float*)&w)[i] + by * (k < 0 ? ((float*)&direction)[i] : (float)(i == k)));
                }
                net_forward(&net, &at);
                loss[side] = net_exact_loss(&net, &world, source);
            }
            double got = (loss[1] - loss[0]) / (2.0 * step);
            expect(fabs(got - want) <= 2e-3 * fabs(want) + 2e-5);
        }
    }
}

// What is exact is what rows come to in the long run: gradients and losses of many rows against the enumerated ones.
static void test_rows_are_of_the_world(void) {
    prepare();
    static Drpt d;
    enum { ROWS = 500, LONG = 8, TIMES = 8 };
    TextRows rows;
    Vector sum = { { 0.0f } }, t;
    double loss = 0.0, squares = 0.0;
    Rng rng = rng_seed(1, 2, 3);
    DrptOptions o = drpt_defaults;
    o.method = "target";
    rows_create(&rows, 1, ROWS, LONG);
    d = drpt_create(&o, 1, ROWS, LONG, WIDEST, DOMAINS, 0);
    for (int time = 0; time < TIMES; time++) {
        Vector g = { { 0.0f } };
        rows_draw_general(&rows, &world, &rng);
        rows_draw_target(&rows, &world, &rng);
        drpt_begin(&d, 0, rows.usable, rows.domain);
        rows_pass(&rows, &net, &w, (Params*)&g, &d);
        loss += rows_target_loss(&rows, &net) / TIMES;
        squares += dot(g.g, g.g);
        for (int k = 0; k < NUM_PARAMS; k++) { sum.g[k] += g.g[k] / TIMES; }
    }
    double exact = net_exact_gradient(&net, &w, (Params*)&t, &world, TARGET);
    double noise2 = (squares / TIMES - dot(sum.g, sum.g)) / (TIMES - 1); // of the mean of all
    expect(fabs(loss - exact) <= 0.02 * exact);
    expect(square_apart(&sum, &t) <= 2.0 * noise2 && noise2 <= 0.01 * dot(t.g, t.g));
    for (int source = 0; source < SOURCES; source++) {
        double often = 0.0;
        for (int i = 0; i < CONTEXTS; i++) { often += world.often[source][i]; }
        expect(fabs(often - 1.0) <= 1e-9 && net_exact_loss(&net, &world, source) > world_floor(&world, source));
    }
    drpt_free(&d);
    rows_free(&rows);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "probe/exact_gradient", test_exact_gradient },
        { "probe/rows_are_of_the_world", test_rows_are_of_the_world },
        { "probe/family", test_family },
        { "probe/family_with_halves", test_family_with_halves },
        { "probe/every_kind_of_site", test_every_kind_of_site },
        { "probe/closed_forms", test_closed_forms },
        { "probe/variance_of_means", test_variance_of_means },
        { "probe/same_batches", test_same_batches },
        { "probe/fixed_span", test_fixed_span },
        { "probe/errors_are_calibrated", test_errors_are_calibrated },
        { "probe/folding", test_folding },
        { "probe/files", test_files },
        { "probe/faults_of_a_list", test_faults_of_a_list },
        { "probe/faults_of_use", test_faults_of_use },
    };
    int status = test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
    if (net.positions) { net_free(&net); }
    return status;
}
