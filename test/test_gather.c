// test_gather.c -- the routes of the statistics against inner products of the gradients of single rows, in double precision.
// Numbers in names are those of the list of invariants that an implementation of this method should keep:
//      1  every route = inner products by brute force           2  a sketch of no fewer numbers than there are = exact
//      3  sketches = inner products of P_O' G P_I               4  unbiased
//      5  additive in the target rows                           6  linear in the target
//      7  target formed or as factors: the same (1)             8  merged batch = separate passes: a matter of the losses'
//      9  a bias = an input that is always 1                       weights, which are the trainer's; test_update.c
//     10  lookup = scattered additions, repeated words too     11  tied weight = inner products of whole gradients (1)
//     12  scores add up over rows and over sites               13  the target is general row j: s = row j of K, q = K_jj
//     14  K is symmetric and positive semi-definite            15  s_i = the slope of the target's loss along G_i
#include "../drpt/assemble.h"
#include "../drpt/direct.h"
#include "../drpt/gather.h"
#include "../drpt/pairs.h"
#include "../drpt/sketch.h"
#include "../drpt/tokens.h"
#include "../llmc/matmul.h"
#include "guarded.h"
#include "test.h"

#include <omp.h>

enum { MOST_N = 6, MOST_M = 4, MOST_B = 10, MOST_POSITIONS = 760, MOST_FLOATS = 640000, MOST_WEIGHTS = 34000, MOST_NEEDS = 8 };

typedef struct { const char* what; SiteKind kind; int rows, cols, bias, stride, n, m, T; } Case;

static const Case cases[] = {
    { "linear",     SITE_LINEAR,    11,  7,  1, 11,  4, 3, 5 },
    { "no bias",    SITE_LINEAR,    13,  6,  0, 13,  3, 2, 4 },
    { "part",       SITE_LINEAR,    5,   8,  1, 23,  4, 1, 3 },   // of a fused projection
    { "bare part",  SITE_LINEAR,    6,   9,  0, 19,  2, 4, 3 },
    { "layernorm",  SITE_LAYERNORM, 19,  1,  1, 19,  4, 2, 3 },
    { "no shift",   SITE_LAYERNORM, 21,  1,  0, 21,  3, 3, 2 },
    { "position",   SITE_POSITION,  5,   8,  0, 8,   4, 2, 5 },
    { "token",      SITE_TOKEN,     12,  10, 0, 12,  3, 2, 6 },
    { "no target",  SITE_LINEAR,    7,   5,  1, 7,   3, 0, 4 },
    { "no general", SITE_TOKEN,     9,   5,  0, 9,   0, 2, 3 },
    { "one token",  SITE_LINEAR,    140, 3,  1, 140, 6, 1, 1 },
    { "a slab",     SITE_LINEAR,    129, 152, 1, 129, 4, 3, 5 },  // most rows
    { "full",       SITE_LINEAR,    129, 257, 1, 129, 5, 3, 5 },  // a slab that leaves no room for the target's factor to spill into
    { "wide",       SITE_LINEAR,    20,  600, 1, 25,  3, 2, 5 },  // several blocks of columns
    { "wide token", SITE_TOKEN,     19,  513, 0, 19,  2, 2, 4 },
    { "wide word",  SITE_LOOKUP,    17,  300, 0, 17,  3, 2, 4 },
    { "wide pos.",  SITE_POSITION,  6,   300, 0, 300, 3, 1, 6 },
    { "long",       SITE_LINEAR,    140, 9,  1, 140, 4, 1, 150 }, // several slabs, blocks of positions, panels
    { "long part",  SITE_LINEAR,    720, 9,  1, 800, 3, 2, 152 }, // copies in several pieces
    { "long token", SITE_TOKEN,     150, 11, 0, 150, 3, 2, 150 },
    { "pairs pos.", SITE_POSITION,  5,   8,  0, 8,   4, 2, 10 },  // both sequences of a row begin at the first place
};
enum { NUM_CASES = sizeof(cases) / sizeof(cases[0]), SMALL_CASES = 11 };

static float dout[MOST_FLOATS], inp[MOST_POSITIONS * 64], dlookup[MOST_POSITIONS * 64], mean[MOST_POSITIONS], rstd[MOST_POSITIONS];
static float dweight[MOST_WEIGHTS], dbias[1024], vweight[MOST_WEIGHTS], vbias[1024];
static int tokens[MOST_POSITIONS];
static double gradient[MOST_B][MOST_WEIGHTS]; // of single rows, bias last
static uint64_t rng = 11;

// What a test varies; everything else follows from the case.
static struct {
    Route route;
    int threads, metric, given, keep;
    float* kept;
    size_t kept_size, part; // part: 0: as much as promised
    SketchStore* sketches;
} with = { .threads = 1 };

// ---------------------------------------------------------------------------------------------
// sites and their single rows

static Site draw(const Case* c) {
    size_t positions = (size_t)((c->n + c->m) * c->T);
    test_fill(dout, positions * (size_t)c->stride, &rng);
    test_fill(inp, positions * (size_t)(c->kind == SITE_LAYERNORM ? c->rows : c->cols), &rng);
    test_fill(dlookup, positions * (size_t)c->cols, &rng);
    test_fill(mean, positions, &rng);
    test_fill(rstd, positions, &rng);
    test_fill(vweight, MOST_WEIGHTS, &rng);
    test_fill(vbias, 1024, &rng);
    for (size_t k = 0; k < MOST_WEIGHTS; k++) { vweight[k] = vweight[k] * vweight[k]; }
    for (size_t k = 0; k < 1024; k++) { vbias[k] = vbias[k] * vbias[k]; }
    for (size_t i = 0; i < positions; i++) { tokens[i] = i % 3 == 0 ? c->rows - 1 : (int)(i * 7 % (size_t)c->rows); } // words repeat
    Site s = { .kind = c->kind, .name = c->what, .dweight = dweight, .dbias = c->bias ? dbias : NULL, .dout = dout, .inp = inp,
               .mean = mean, .rstd = rstd, .rows = c->rows, .cols = c->cols, .stride = c->stride, .part = 0, .parts = 1, .index = 3,
               .vweight = vweight, .vbias = vbias };
    if (c->kind == SITE_TOKEN || c->kind == SITE_LOOKUP) { s.dlookup = dlookup; s.tokens = tokens; }
    if (c->kind == SITE_LOOKUP) { s.dout = s.inp = NULL; }
    return s;
}

static void single_rows(const Site* s, int B, int T) {
    static float grad[MOST_WEIGHTS], one[MOST_B], scratch[200000];
    size_t weights = (size_t)s->rows * (size_t)s->cols;
    for (int b = 0; b < B; b++) { one[b] = 1.0f; }
    for (int b = 0; b < B; b++) {
        memset(grad, 0, sizeof(grad));
        site_gradient(grad, s->dbias ? grad + weights : NULL, s, one, b, b + 1, T, 0, s->rows, scratch);
        for (size_t k = 0; k < site_size(s); k++) { gradient[b][k] = grad[k]; }
    }
}

// ---------------------------------------------------------------------------------------------
// statistics

typedef struct { double K[MOST_N * MOST_N], s[MOST_N], score[MOST_N], S[MOST_N * MOST_M], Q[MOST_M * MOST_M], q; } Products;

static double dot(const double* x, const double* y, size_t count) {
    double sum = 0.0;
    for (size_t k = 0; k < count; k++) { sum += x[k] * y[k]; }
    return sum;
}

// The denominators that the test's metric has.
static const float correction = 1.7f, eps = 0.01f;
static double denominator(const Site* s, size_t k) {
    size_t weights = (size_t)s->rows * (size_t)s->cols;
    return sqrt((double)(k < weights ? vweight[k] : vbias[k - weights]) * correction) + eps;
}

static Products by_single_rows(const Site* s, int n, int m) {
    static double t[MOST_WEIGHTS], scaled[MOST_WEIGHTS];
    Products p = {0};
    size_t size = site_size(s);
    for (size_t k = 0; k < size; k++) {
        t[k] = 0.0;
        for (int j = 0; j < m; j++) { t[k] += gradient[n + j][k]; }
        scaled[k] = t[k] / denominator(s, k);
    }
    p.q = dot(t, t, size);
    for (int i = 0; i < n; i++) {
        p.s[i] = dot(gradient[i], t, size);
        p.score[i] = dot(gradient[i], scaled, size);
        for (int j = 0; j < n; j++) { p.K[i*n + j] = dot(gradient[i], gradient[j], size); }
        for (int j = 0; j < m; j++) { p.S[i*m + j] = dot(gradient[i], gradient[n + j], size); }
    }
    for (int j = 0; j < m; j++) { for (int l = 0; l < m; l++) { p.Q[j*m + l] = dot(gradient[n + j], gradient[n + l], size); } }
    return p;
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

// What the route says it takes, or direct, which it may give way to.
static size_t scratch_of(Route route, int n, int m, int T, int widest) {
    size_t direct = direct_scratch(n, m, T, widest), all = gather_scratch(n, m, T, widest);
    size_t own = route == ROUTE_pairs ? pairs_scratch(n, m, T, widest) : route == ROUTE_tokens ? tokens_scratch(n, m, T, widest) : direct;
    expect(all >= most(direct, own));
    return route == ROUTE_auto || route == ROUTE_sketch ? all : most(direct, own);
}

static Gathered done; // by the last call

// Added to what p holds.
static void add(Products* p, const Site* s, int needs, int n, int m, int T) {
    int widest = s->stride == s->rows ? s->cols : s->rows > s->cols ? s->rows : s->cols;
    size_t part = with.part ? with.part : scratch_of(with.route, n, m, T, widest), size = part * (size_t)with.threads;
    size_t doubles = gather_partial(n, m, with.threads);
    float* scratch = take(size);
    double* partial = (double*)malloc(sizeof(double) * (doubles + 1));
    if (partial == NULL) { abort(); }
    partial[doubles] = 42.0;
    Statistics st = { .K = p->K, .s = p->s, .q = &p->q, .score = with.metric ? p->score : p->s, .partial = partial };
    if (needs & NEEDS_ROWS) { st.S = p->S; st.Q = p->Q; }
    Gather g = { .n = n, .m = m, .T = T, .threads = with.threads, .needs = needs, .metric = with.metric, .given = with.given, .correction = correction, .eps = eps,
                 .route = with.route, .keep_gradients = with.keep, .kept = with.kept, .kept_size = with.kept_size, .sketches = with.sketches,
                 .scratch = scratch, .part = part };
    done = drpt_gather(&st, s, &g);
    expect(done.route == gather_route(s, &g) && done.route != ROUTE_auto);
    expect(partial[doubles] == 42.0);
    free(partial);
    give_back(scratch, size);
}

static Products gather(const Site* s, const Case* c, int needs) {
    Products p = {0};
    add(&p, s, needs, c->n, c->m, c->T);
    return p;
}

// In units of the lengths of the two vectors: a small inner product of two large gradients may be off by as much as they are long.
static int is_near(double got, double want, double xx, double yy, double tolerance) {
    return fabs(got - want) <= tolerance * sqrt(fabs(xx * yy)) + 1e-30;
}

static void expect_products(const Site* s, const Products* got, const Products* want, int needs, int n, int m, double start, double tolerance) {
    int right = is_near(got->q - start, want->q, want->q, want->q, tolerance), has_s = needs && !(with.metric && done.route == ROUTE_tokens);
    for (int i = 0; i < n; i++) {
        double ii = want->K[i*n + i];
        right &= is_near(got->s[i] - start, has_s ? want->s[i] : 0.0, ii, want->q, tolerance);
        for (int j = 0; j < n; j++) { right &= is_near(got->K[i*n + j] - start, needs & NEEDS_K ? want->K[i*n + j] : 0.0, ii, want->K[j*n + j], tolerance); }
        for (int j = 0; j < m; j++) { right &= is_near(got->S[i*m + j] - start, needs & NEEDS_ROWS ? want->S[i*m + j] : 0.0, ii, want->Q[j*m + j], tolerance); }
    }
    for (int j = 0; j < m; j++) {
        for (int l = 0; l < m; l++) { right &= is_near(got->Q[j*m + l] - start, needs & NEEDS_ROWS ? want->Q[j*m + l] : 0.0, want->Q[j*m + j], want->Q[l*m + l], tolerance); }
    }
    if (!right) { fprintf(stderr, "%s, route %d (asked for %d), needs %d, %d threads:\n", s->name, done.route, with.route, needs, with.threads); }
    expect(right);
}

// ---------------------------------------------------------------------------------------------
// all routes

static void test_1_7_11_routes(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        Site s = draw(c);
        single_rows(&s, c->n + c->m, c->T);
        Products want = by_single_rows(&s, c->n, c->m);
        for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
            for (int needs = k < SMALL_CASES ? 0 : 1; needs < MOST_NEEDS; needs += k < SMALL_CASES ? 1 : 2) {
                with.threads = 1 + (needs / 2 + k) % 3;
                omp_set_num_threads(1 + needs % 2);
                double start = needs % 2 ? 0.25 : 0.0;
                Products got;
                for (size_t i = 0; i < sizeof(got) / sizeof(double); i++) { ((double*)&got)[i] = start; }
                add(&got, &s, needs, c->n, c->m, c->T);
                expect_products(&s, &got, &want, needs, c->n, c->m, start, 1e-5);
            }
        }
    }
    omp_set_num_threads(1);
    with.threads = 1;
}

static void test_2_wide_sketch_is_exact(void) {
    with.route = ROUTE_sketch;
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        if (c->rows > 160 || c->cols >= 160) { continue; }
        Site s = draw(c);
        single_rows(&s, c->n + c->m, c->T);
        Products want = by_single_rows(&s, c->n, c->m);
        with.sketches = sketch_create(160, c->n, c->m, c->T, 1);
        for (int needs = 0; needs < MOST_NEEDS; needs++) {
            with.threads = 1 + needs % 3;
            Products got = gather(&s, c, needs);
            expect(done.route == (site_is_product(&s) ? ROUTE_sketch : ROUTE_direct));
            expect_products(&s, &got, &want, needs, c->n, c->m, 0.0, 1e-5);
        }
        sketch_free(with.sketches);
    }
    with.sketches = NULL;
    with.threads = 1;
}

static void expect_route(const Site* s, Route asked, int needs, int m, int metric, Route want) {
    Gather g = { .n = 4, .m = m, .T = 8, .threads = 1, .needs = needs, .metric = metric, .route = asked, .sketches = with.sketches };
    expect(gather_route(s, &g) == want);
}

static void test_a_route_that_cannot_gives_way(void) {
    Site linear = { .kind = SITE_LINEAR, .rows = 9, .cols = 9, .stride = 9 }, norm = { .kind = SITE_LAYERNORM, .rows = 9, .cols = 1, .stride = 9 };
    expect_route(&linear, ROUTE_tokens, NEEDS_S, 1, 0, ROUTE_tokens);
    expect_route(&linear, ROUTE_tokens, NEEDS_S, 1, 1, ROUTE_tokens);
    expect_route(&linear, ROUTE_tokens, NEEDS_S, 0, 0, ROUTE_direct);
    expect_route(&linear, ROUTE_tokens, NEEDS_K, 1, 0, ROUTE_direct);
    expect_route(&linear, ROUTE_tokens, NEEDS_ROWS, 2, 0, ROUTE_direct);
    expect_route(&linear, ROUTE_pairs, NEEDS_K | NEEDS_ROWS, 2, 0, ROUTE_pairs);
    expect_route(&linear, ROUTE_pairs, NEEDS_S, 2, 1, ROUTE_direct);
    expect_route(&linear, ROUTE_sketch, NEEDS_S, 2, 0, ROUTE_direct); // no store
    for (int route = ROUTE_auto; route < NUM_ROUTES; route++) { expect_route(&norm, (Route)route, NEEDS_S, 2, 0, ROUTE_direct); }
    with.sketches = sketch_create(4, 4, 2, 8, 1);
    expect_route(&linear, ROUTE_sketch, NEEDS_S | NEEDS_K | NEEDS_ROWS, 2, 0, ROUTE_sketch);
    expect_route(&linear, ROUTE_sketch, NEEDS_S, 2, 1, ROUTE_direct);
    sketch_free(with.sketches);
    with.sketches = NULL;
}

// Widths of GPT-2 124M. Few target positions: pairs. Kept gradients save a product where rows are long. Many target positions and
// nothing kept: the tokens' large products. Never a sketch.
static void test_auto(void) {
    Site s = { .kind = SITE_LINEAR, .rows = 3072, .cols = 768, .stride = 3072 };
    size_t room = 9 * site_size(&s);
    SketchStore* store = sketch_create(64, 1, 1, 1, 1);
    static const struct { int m, T, needs, keep, metric; Route want; } choice[] = {
        { 1,  64,  NEEDS_S,           1, 0, ROUTE_pairs },  { 1, 512, NEEDS_S,           1, 0, ROUTE_direct },
        { 16, 64,  NEEDS_S,           0, 0, ROUTE_tokens }, { 1, 64,  NEEDS_S | NEEDS_K, 1, 0, ROUTE_pairs },
        { 1,  512, NEEDS_S | NEEDS_K, 1, 0, ROUTE_direct }, { 1, 512, NEEDS_S | NEEDS_K, 0, 0, ROUTE_direct },
        { 1,  64,  NEEDS_S,           0, 1, ROUTE_tokens },
    };
    for (size_t k = 0; k < sizeof(choice) / sizeof(choice[0]); k++) {
        Gather g = { .n = 8, .m = choice[k].m, .T = choice[k].T, .threads = 2, .needs = choice[k].needs, .metric = choice[k].metric,
                     .keep_gradients = choice[k].keep, .kept_size = room, .sketches = store };
        expect(gather_route(&s, &g) == choice[k].want);
        expect(gather_cost(&s, &g, ROUTE_sketch) < gather_cost(&s, &g, ROUTE_tokens));
    }
    sketch_free(store);
}

static void test_same_bits(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        Site s = draw(c);
        with.sketches = sketch_create(3, c->n, c->m, c->T, 1);
        for (with.route = ROUTE_auto; with.route < NUM_ROUTES; with.route++) {
            for (with.threads = 3; with.threads >= (k < SMALL_CASES ? 1 : 3); with.threads--) {
                omp_set_num_threads(with.threads);
                Products once = gather(&s, c, NEEDS_S | NEEDS_ROWS * (with.threads == 1)), twice = gather(&s, c, NEEDS_S | NEEDS_ROWS * (with.threads == 1));
                expect(memcmp(&once, &twice, sizeof(once)) == 0);
                once = gather(&s, c, NEEDS_S | NEEDS_K);
                twice = gather(&s, c, NEEDS_S | NEEDS_K);
                expect(memcmp(&once, &twice, sizeof(once)) == 0);
            }
        }
        sketch_free(with.sketches);
    }
    with.threads = 1;
    with.sketches = NULL;
}

// A row that is not finite shows in its own entries and in nobody else's.
static void test_nan_stays_apart(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        if (c->n < 3) { continue; }
        Site s = draw(c);
        with.sketches = sketch_create(160, c->n, c->m, c->T, 1);
        for (with.route = ROUTE_auto; with.route < NUM_ROUTES; with.route++) {
            if (with.route == ROUTE_sketch && (c->rows > 160 || c->cols >= 160)) { continue; }
            for (int needs = NEEDS_S; needs < MOST_NEEDS; needs++) {
                int at = c->T + c->T / 2, width = c->kind == SITE_LAYERNORM ? c->rows : c->cols;
                float kept = inp[at*width], looked_up = dlookup[at*c->cols], error = dout[at*c->stride];
                Products want = gather(&s, c, needs), got;
                inp[at*width] = dlookup[at*c->cols] = INFINITY;
                dout[at*c->stride] = NAN;
                got = gather(&s, c, needs);
                inp[at*width] = kept;
                dlookup[at*c->cols] = looked_up;
                dout[at*c->stride] = error;
                expect(c->m == 0 || !isfinite(got.s[1]));
                expect(!(needs & NEEDS_K) || !isfinite(got.K[c->n + 1]));
                for (int i = 0; i < c->n; i++) { got.K[i*c->n + 1] = want.K[i*c->n + 1]; got.K[c->n + i] = want.K[c->n + i]; }
                for (int j = 0; j < c->m; j++) { got.S[c->m + j] = want.S[c->m + j]; }
                got.s[1] = want.s[1];
                expect(memcmp(&got, &want, sizeof(got)) == 0);
            }
        }
        sketch_free(with.sketches);
    }
    with.sketches = NULL;
}

static void test_metric(void) {
    with.metric = 1;
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        Site s = draw(c);
        single_rows(&s, c->n + c->m, c->T);
        Products want = by_single_rows(&s, c->n, c->m);
        with.kept_size = (size_t)(c->n + 1) * site_size(&s);
        with.kept = take(with.kept_size);
        for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
            for (with.threads = 1; with.threads <= 6; with.threads++) {
                with.keep = with.threads > 3;
                Products got = gather(&s, c, NEEDS_S);
                expect_products(&s, &got, &want, NEEDS_S, c->n, c->m, 0.0, 1e-5);
                for (int i = 0; i < c->n; i++) { // the largest that the metric can make of it is 1/eps
                    double unit = sqrt(want.K[i*c->n + i] * want.q) / eps;
                    expect(fabs(got.score[i] - want.score[i]) <= 2e-6 * unit);
                }
            }
        }
        give_back(with.kept, with.kept_size);
    }
    with.metric = with.keep = 0;
    with.kept = NULL;
    with.threads = 1;
}

// [7] Against a vector that is given: with target rows or without, which do not count, and with each row's products with those.
static void test_7_given(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        Site s = draw(c);
        size_t weights = (size_t)s.rows * (size_t)s.cols, size = site_size(&s);
        test_fill(vweight, MOST_WEIGHTS, &rng);
        test_fill(vbias, 1024, &rng);
        single_rows(&s, c->n + c->m, c->T);
        Products want = by_single_rows(&s, c->n, c->m);
        double vv = 0.0;
        for (int i = 0; i < c->n; i++) {
            want.score[i] = vv = 0.0;
            for (size_t e = 0; e < size; e++) {
                double v = e < weights ? vweight[e] : vbias[e - weights];
                want.score[i] += gradient[i][e] * v;
                vv += v * v;
            }
        }
        with.metric = with.given = 1;
        for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
            for (int way = 0; way < 8; way++) {
                int m = way % 2 ? c->m : 0, needs = way & 2 ? NEEDS_S | NEEDS_ROWS : NEEDS_S;
                Products got = {0};
                with.threads = way & 4 ? 3 : 1;
                add(&got, &s, needs, c->n, m, c->T);
                int by_tokens = site_is_product(&s) && !(needs & NEEDS_ROWS);
                expect(with.route == ROUTE_auto || done.route == (by_tokens && with.route == ROUTE_tokens ? ROUTE_tokens : ROUTE_direct));
                for (int i = 0; i < c->n; i++) {
                    expect(fabs(got.score[i] - want.score[i]) <= 1e-5 * sqrt(want.K[i*c->n + i] * vv));
                    for (int j = 0; j < m && needs & NEEDS_ROWS; j++) { expect(is_near(got.S[i*m + j], want.S[i*m + j], want.K[i*c->n + i], want.Q[j*m + j], 1e-5)); }
                }
                expect(is_near(got.q, m > 0 ? want.q : 0.0, want.q, want.q, 1e-5));
            }
        }
        with.metric = with.given = 0;
    }
    with.threads = 1;
}

// ---------------------------------------------------------------------------------------------
// kept gradients

static void expect_same_update(const Site* s, const Case* c, const double* alpha, double beta) {
    static float got_w[MOST_WEIGHTS], got_b[1024];
    float weight[MOST_B];
    for (int b = 0; b < c->n + c->m; b++) { weight[b] = (float)(b < c->n ? alpha[b] : beta); }
    size_t size = assemble_scratch(c->n + c->m, c->T, s->cols);
    float* scratch = take(size);
    for (size_t k = 0; k < MOST_WEIGHTS; k++) { dweight[k] = (float)(k % 5); }
    for (size_t k = 0; k < 1024; k++) { dbias[k] = (float)(k % 7); }
    Site other = *s;
    memcpy(got_w, dweight, sizeof(got_w));
    memcpy(got_b, dbias, sizeof(got_b));
    other.dweight = got_w;
    other.dbias = s->dbias ? got_b : NULL;
    drpt_assemble_kept(&other, weight, with.kept, c->n, 3);
    drpt_assemble(s, weight, c->n + c->m, c->n + c->m, c->T, scratch, size, 1);
    expect_close(got_w, dweight, MOST_WEIGHTS, 2e-6f);
    expect_close(got_b, dbias, 1024, 2e-6f);
    give_back(scratch, size);
}

static void test_kept_gradients_give_the_update(void) {
    static const double alpha[MOST_N] = { 0.5, 0.0, -0.25, 1.5, 0.0, 0.125 }, all[MOST_N] = { 1, 1, 1, 1, 1, 1 };
    with.route = ROUTE_direct;
    with.keep = 1;
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        Site s = draw(c);
        single_rows(&s, c->n + c->m, c->T);
        Products want = by_single_rows(&s, c->n, c->m);
        for (int needs = NEEDS_S; needs < NEEDS_ROWS; needs++) {
            with.threads = 1 + needs % 2;
            with.kept_size = (size_t)(c->n + 1) * site_size(&s);
            with.kept = take(with.kept_size);
            with.part = needs == NEEDS_K ? (size_t)(c->m * c->T + c->n + c->m) : 0; // a part of a fused projection: a few rows at a time
            Products got = gather(&s, c, needs);
            with.part = 0;
            expect(done.kept);
            expect_products(&s, &got, &want, needs, c->n, c->m, 0.0, 1e-5);
            expect_same_update(&s, c, alpha, 0.75);
            expect_same_update(&s, c, all, 1.0);
            if (c->n > 1) { memset(with.kept + site_size(&s), 0xff, sizeof(float) * site_size(&s)); } // row 1, of weight 0: NaN
            expect_same_update(&s, c, alpha, 0.0);
            give_back(with.kept, with.kept_size);
        }
    }
    with.keep = 0;
    with.threads = 1;
}

static void test_what_is_kept(void) {
    const Case* c = &cases[0];
    Site s = draw(c);
    with.route = ROUTE_direct;
    size_t size = (size_t)(c->n + 1) * site_size(&s);
    with.kept = take(size);
    with.kept_size = size;
    gather(&s, c, NEEDS_S);
    expect(!done.kept && isnan(with.kept[0])); // not asked for
    with.keep = 1;
    gather(&s, c, NEEDS_S | NEEDS_ROWS);
    expect(!done.kept && isnan(with.kept[0])); // the target is not there in one piece
    gather(&s, c, NEEDS_Q);
    expect(!done.kept && isnan(with.kept[0])); // general rows do not matter
    with.route = ROUTE_pairs;
    gather(&s, c, NEEDS_S);
    expect(!done.kept && isnan(with.kept[0]));
    with.route = ROUTE_direct;
    with.kept_size--;
    gather(&s, c, NEEDS_S);
    expect(!done.kept && isnan(with.kept[0])); // no room
    with.metric = 1;
    with.kept_size++;
    gather(&s, c, NEEDS_S);
    expect(done.kept);
    single_rows(&s, c->n + c->m, c->T);
    for (int i = 0; i < c->n; i++) {
        for (size_t k = 0; k < site_size(&s); k++) { expect(fabs(with.kept[(size_t)i * site_size(&s) + k] - gradient[i][k]) <= 1e-5); }
    }
    with.metric = with.keep = 0;
    give_back(with.kept, size);
}

// ---------------------------------------------------------------------------------------------
// identities

// The batch's rows become those of the list, `from` times `scale`.
static void rearrange(const Case* c, const int* row, const float* scale, int count) {
    static float copy[MOST_FLOATS];
    static int words[MOST_POSITIONS];
    struct { float* x; int width, scaled; } all[] = { { dout, c->stride, 1 }, { dlookup, c->cols, 1 }, { mean, 1, 0 }, { rstd, 1, 0 },
                                                      { inp, c->kind == SITE_LAYERNORM ? c->rows : c->cols, 0 } };
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
        int length = all[k].width * c->T;
        for (int b = 0; b < count; b++) {
            for (int i = 0; i < length; i++) { copy[b*length + i] = all[k].x[row[b]*length + i] * (all[k].scaled ? scale[b] : 1.0f); }
        }
        memcpy(all[k].x, copy, sizeof(float) * (size_t)(count * length));
    }
    for (int i = 0; i < count * c->T; i++) { words[i] = tokens[row[i / c->T] * c->T + i % c->T]; }
    memcpy(tokens, words, sizeof(int) * (size_t)(count * c->T));
}

static const float ones[MOST_B] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

// Scores against two target rows, the second scaled, are scores against each. Sizes n = 3, m = 2 from row 3 on.
static void test_5_6_additive_and_linear(void) {
    for (int k = 0; k < SMALL_CASES; k++) {
        Case c = cases[k];
        if (c.n + c.m < 5) { continue; }
        c.n = 3;
        for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
            static const float scale[] = { 1, 1, 1, 1, -2.5f };
            static const int rows[2][4] = { { 0, 1, 2, 3 }, { 0, 1, 2, 4 } }, all[] = { 0, 1, 2, 3, 4 };
            Products part[2], both;
            uint64_t seed = rng;
            Site s;
            for (int j = 0; j < 2; j++) {
                rng = seed;
                s = draw(&cases[k]);
                rearrange(&c, rows[j], ones, 4);
                c.m = 1;
                part[j] = gather(&s, &c, NEEDS_S | NEEDS_K);
            }
            rng = seed;
            s = draw(&cases[k]);
            rearrange(&c, all, scale, 5);
            c.m = 2;
            both = gather(&s, &c, NEEDS_S);
            for (int i = 0; i < 3; i++) {
                expect(is_near(both.s[i], part[0].s[i] - 2.5 * part[1].s[i], part[0].K[i*3 + i], part[0].q + 6.25 * part[1].q, 1e-5));
            }
        }
    }
}

static void test_9_bias_is_an_input_of_ones(void) {
    const Case* c = &cases[0];
    Site s = draw(c), wide = s;
    static float extended[MOST_POSITIONS * 8];
    for (int at = 0; at < (c->n + c->m) * c->T; at++) {
        memcpy(extended + at*8, inp + at*7, sizeof(float) * 7);
        extended[at*8 + 7] = 1.0f;
    }
    wide.inp = extended;
    wide.cols = 8;
    wide.dbias = NULL;
    for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
        Products want = gather(&s, c, 7), got = gather(&wide, c, 7);
        expect_products(&s, &got, &want, 7, c->n, c->m, 0.0, 1e-6);
    }
}

// Without the head, a token's row of the gradient is the sum of what was looked up there.
static void test_10_lookup_is_scattered(void) {
    const Case* c = &cases[7];
    Site s = draw(c);
    memset(dout, 0, sizeof(dout));
    memset(gradient, 0, sizeof(gradient));
    for (int at = 0; at < (c->n + c->m) * c->T; at++) {
        for (int x = 0; x < c->cols; x++) { gradient[at / c->T][tokens[at]*c->cols + x] += dlookup[at*c->cols + x]; }
    }
    Products want = by_single_rows(&s, c->n, c->m);
    for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
        for (int needs = 0; needs < MOST_NEEDS; needs++) {
            Products got = gather(&s, c, needs);
            expect_products(&s, &got, &want, needs, c->n, c->m, 0.0, 1e-5);
        }
    }
}

// The scores add up to that of all general rows as one, here as S_ij of target rows; and statistics over sites are sums.
static void test_12_sums(void) {
    for (int k = 0; k < SMALL_CASES; k++) {
        const Case* c = &cases[k];
        for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
            Site s = draw(c);
            single_rows(&s, c->n + c->m, c->T);
            Products want = by_single_rows(&s, c->n, c->m), got = {0};
            for (size_t i = 0; i < sizeof(want) / sizeof(double); i++) { ((double*)&want)[i] *= 2.0; }
            add(&got, &s, 7, c->n, c->m, c->T);
            add(&got, &s, 7, c->n, c->m, c->T);
            expect_products(&s, &got, &want, 7, c->n, c->m, 0.0, 1e-5);
            double sum = 0.0, all = 0.0, unit = want.q;
            for (int i = 0; i < c->n; i++) {
                sum += got.s[i];
                unit += want.K[i*c->n + i];
                for (int j = 0; j < c->m; j++) { all += got.S[i*c->m + j]; }
            }
            expect(fabs(sum - all) <= 1e-5 * unit);
        }
    }
}

static void test_13_target_is_a_general_row(void) {
    for (int k = 0; k < SMALL_CASES; k++) {
        Case c = cases[k];
        if (c.n < 2 || c.m < 1) { continue; }
        Site s = draw(&c);
        c.m = 1;
        int row[MOST_B];
        for (int b = 0; b < c.n; b++) { row[b] = b; }
        row[c.n] = 1;
        rearrange(&c, row, ones, c.n + 1);
        with.sketches = sketch_create(2, c.n, c.m, c.T, 1); // true of a sketch as well
        for (with.route = ROUTE_auto; with.route < NUM_ROUTES; with.route++) {
            Products scores = gather(&s, &c, NEEDS_S), p = gather(&s, &c, NEEDS_S | NEEDS_K);
            if (with.route == ROUTE_sketch || with.route == ROUTE_auto) { scores = p; }
            double jj = p.K[c.n + 1];
            expect(is_near(scores.q, jj, jj, jj, 1e-5) && jj > 0.0);
            for (int i = 0; i < c.n; i++) { expect(is_near(scores.s[i], p.K[c.n + i], jj, p.K[i*c.n + i], 1e-5)); }
        }
        sketch_free(with.sketches);
        with.sketches = NULL;
    }
}

static void test_14_symmetric_and_psd(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        if (c->n < 3) { continue; }
        int n = c->n, row[MOST_B];
        Site s = draw(c);
        for (int b = 0; b < n + c->m; b++) { row[b] = b == 2 ? 0 : b; } // row 2 repeats row 0: K has no full rank
        rearrange(c, row, ones, n + c->m);
        with.sketches = sketch_create(2, c->n, c->m, c->T, 1);
        for (with.route = ROUTE_auto; with.route < NUM_ROUTES; with.route++) {
            Products p = gather(&s, c, NEEDS_K);
            double trace = 0.0;
            for (int i = 0; i < n; i++) { trace += p.K[i*n + i]; }
            expect(trace > 0.0);
            for (int i = 0; i < n*n; i++) { expect(p.K[i] == p.K[i % n * n + i / n]); }
            for (int again = 0; again < 20; again++) {
                float x[MOST_N];
                double form = 0.0;
                test_fill(x, MOST_N, &rng);
                if (again == 0) { memset(x, 0, sizeof(x)); x[0] = 1.0f; x[2] = -1.0f; }
                for (int i = 0; i < n*n; i++) { form += (double)x[i / n] * x[i % n] * p.K[i]; }
                expect(form >= -1e-5 * trace && (again > 0 || form <= 1e-5 * trace));
            }
        }
        sketch_free(with.sketches);
        with.sketches = NULL;
    }
}

// The target's loss is linear in a weight: its slope along G_i is what a difference of any width finds.
static void test_15_slope_of_the_target_loss(void) {
    const Case* c = &cases[0];
    Site s = draw(c);
    single_rows(&s, c->n + c->m, c->T);
    for (with.route = ROUTE_auto; with.route <= ROUTE_tokens; with.route++) {
        Products got = gather(&s, c, NEEDS_S | NEEDS_K);
        for (int i = 0; i < c->n; i++) {
            double loss = 0.0;
            for (int at = c->n * c->T; at < (c->n + c->m) * c->T; at++) { // of the weights G_i less that of weights 0
                for (int o = 0; o < c->rows; o++) {
                    double out = gradient[i][c->rows * c->cols + o];
                    for (int x = 0; x < c->cols; x++) { out += gradient[i][o*c->cols + x] * inp[at*c->cols + x]; }
                    loss += dout[at*c->stride + o] * out;
                }
            }
            expect(is_near(got.s[i], loss, got.K[i*c->n + i], got.q, 1e-5));
        }
    }
}

// ---------------------------------------------------------------------------------------------
// sketches

// P_O' G P_I in double precision; a side without factor is left as it is.
static void expect_sketch(const Case* c, int k, size_t part) {
    static double right[MOST_WEIGHTS], sketched[MOST_WEIGHTS];
    Site s = draw(c);
    int width = s.cols + (s.dbias != NULL), O = s.rows < k ? s.rows : k, I = width < k ? width : k;
    single_rows(&s, c->n + c->m, c->T);
    with.part = part;
    with.sketches = sketch_create(k, c->n, c->m, c->T, 77);
    const float *left = sketch_factor(with.sketches, &s, 0), *P = sketch_factor(with.sketches, &s, 1);
    expect((left == NULL) == (s.rows <= k) && (P == NULL) == (width <= k));
    for (int b = 0; b < c->n + c->m; b++) {
        size_t weights = (size_t)(s.rows * s.cols);
        for (int o = 0; o < s.rows; o++) {
            for (int x = 0; x < I; x++) {
                double sum = 0.0;
                for (int y = 0; y < width; y++) {
                    double g = y < s.cols ? gradient[b][o*s.cols + y] : gradient[b][weights + (size_t)o];
                    sum += g * (P ? P[y*k + x] : x == y);
                }
                right[o*I + x] = sum;
            }
        }
        for (int z = 0; z < O; z++) {
            for (int x = 0; x < I; x++) {
                sketched[z*I + x] = 0.0;
                for (int o = 0; o < s.rows; o++) { sketched[z*I + x] += right[o*I + x] * (left ? left[o*k + z] : o == z); }
            }
        }
        memset(gradient[b], 0, sizeof(gradient[b]));
        memcpy(gradient[b], sketched, sizeof(double) * (size_t)(O * I));
    }
    Products want = by_single_rows(&s, c->n, c->m);
    for (int needs = 0; needs < MOST_NEEDS; needs++) {
        Products got = gather(&s, c, needs);
        expect(done.route == ROUTE_sketch);
        expect_products(&s, &got, &want, needs, c->n, c->m, 0.0, 2e-5);
    }
    sketch_free(with.sketches);
    with.sketches = NULL;
    with.part = 0;
}

static void test_3_sketch_is_projected_gradients(void) {
    with.route = ROUTE_sketch;
    for (int k = 0; k < NUM_CASES; k++) {
        const Case* c = &cases[k];
        if (c->kind != SITE_LINEAR && c->kind != SITE_TOKEN) { continue; }
        expect_sketch(c, 4, 0);
        expect_sketch(c, 8, 0); // some sides are as long, or 7 and a bias
        expect_sketch(c, 6, c->stride > c->rows ? (size_t)c->rows * 7 : 0); // copies in pieces of 7 positions
    }
}

// The mean over seeds is the exact value, within 4.5 of its standard errors; and k times as many numbers have a smaller spread.
static double expect_unbiased(const Case* c, int k) {
    enum { SEEDS = 2000, COUNT = sizeof(Products) / sizeof(double) };
    static double sum[COUNT], square[COUNT];
    Site s = draw(c);
    double spread = 0.0;
    with.route = ROUTE_direct;
    Products want = gather(&s, c, 7);
    with.route = ROUTE_sketch;
    with.sketches = sketch_create(k, c->n, c->m, c->T, 0);
    memset(sum, 0, sizeof(sum));
    memset(square, 0, sizeof(square));
    for (int seed = 0; seed < SEEDS; seed++) {
        sketch_refresh(with.sketches, (uint64_t)seed);
        Products got = gather(&s, c, 7);
        for (int i = 0; i < COUNT; i++) { double x = ((double*)&got)[i]; sum[i] += x; square[i] += x * x; }
    }
    for (int i = 0; i < COUNT; i++) {
        double mean_of = sum[i] / SEEDS, variance = square[i] / SEEDS - mean_of * mean_of;
        expect(fabs(mean_of - ((double*)&want)[i]) <= 4.5 * sqrt(variance / SEEDS) + 1e-12);
        if (&((double*)&want)[i] == &want.q) { spread = sqrt(variance) / want.q; }
    }
    sketch_free(with.sketches);
    with.sketches = NULL;
    return spread;
}

static void test_4_sketch_is_unbiased(void) {
    static const int some[] = { 0, 1, 2, 7 }; // linear with bias and without, a part, token
    for (size_t k = 0; k < sizeof(some) / sizeof(some[0]); k++) {
        double coarse = expect_unbiased(&cases[some[k]], 1), fine = expect_unbiased(&cases[some[k]], 4);
        expect(fine > 0.05 && fine < 0.75 * coarse);
    }
}

// Sites, sides and seeds have streams of their own; a seed that comes again, or a store made with it, has the same.
static void test_streams(void) {
    enum { SITES = 400, SEEDS = 3, K = 2, COUNT = SITES * 2 * SEEDS };
    static float first[COUNT];
    const Case* c = &cases[1];
    Site s = draw(c);
    SketchStore* store = sketch_create(K, 1, 1, 1, 5);
    int count = 0;
    for (int seed = 5; seed < 5 + SEEDS; seed++) {
        if (seed > 5) { sketch_refresh(store, (uint64_t)seed); }
        for (s.index = 0; s.index < SITES; s.index++) {
            for (int side = 0; side < 2; side++) { first[count++] = sketch_factor(store, &s, side)[1]; }
        }
    }
    for (int i = 0; i < COUNT; i++) { for (int j = 0; j < i; j++) { expect(first[i] != first[j]); } }
    sketch_refresh(store, 5);
    SketchStore* other = sketch_create(K, 2, 2, 2, 5);
    for (s.index = SITES - 1; s.index >= 0; s.index -= 57) {
        for (int side = 0; side < 2; side++) {
            int length = side ? s.cols : s.rows;
            expect(memcmp(sketch_factor(store, &s, side), sketch_factor(other, &s, side), sizeof(float) * (size_t)(length * K)) == 0);
            expect(sketch_factor(store, &s, side)[1] == first[2 * s.index + side]);
        }
    }
    expect(sketch_width(store) == K);
    sketch_free(store);
    sketch_free(other);
    sketch_free(NULL);
}

static void test_sketch_refuses(void) {
    const Case* c = &cases[0];
    Site s = draw(c);
    with.route = ROUTE_sketch;
    with.sketches = sketch_create(3, c->n, c->m - 1, c->T, 1);
    expect_dies("a sketch for 6 rows of 5 tokens got 7 of 5", gather(&s, c, NEEDS_S));
    s.rows--;
    s.stride--;
    sketch_factor(with.sketches, &s, 0);
    s.rows++;
    expect_dies("linear: not the site that its sketch was made for", sketch_factor(with.sketches, &s, 0));
    sketch_free(with.sketches);
    with.sketches = NULL;
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "gather/1_7_11_routes", test_1_7_11_routes },
        { "gather/2_wide_sketch_is_exact", test_2_wide_sketch_is_exact },
        { "gather/3_sketch_is_projected_gradients", test_3_sketch_is_projected_gradients },
        { "gather/4_sketch_is_unbiased", test_4_sketch_is_unbiased },
        { "gather/5_6_additive_and_linear", test_5_6_additive_and_linear },
        { "gather/9_bias_is_an_input_of_ones", test_9_bias_is_an_input_of_ones },
        { "gather/10_lookup_is_scattered", test_10_lookup_is_scattered },
        { "gather/12_sums", test_12_sums },
        { "gather/13_target_is_a_general_row", test_13_target_is_a_general_row },
        { "gather/14_symmetric_and_psd", test_14_symmetric_and_psd },
        { "gather/15_slope_of_the_target_loss", test_15_slope_of_the_target_loss },
        { "gather/a_route_that_cannot_gives_way", test_a_route_that_cannot_gives_way },
        { "gather/auto", test_auto },
        { "gather/metric", test_metric },
        { "gather/7_given", test_7_given },
        { "gather/kept_gradients_give_the_update", test_kept_gradients_give_the_update },
        { "gather/what_is_kept", test_what_is_kept },
        { "gather/same_bits", test_same_bits },
        { "gather/nan_stays_apart", test_nan_stays_apart },
        { "gather/streams", test_streams },
        { "gather/sketch_refuses", test_sketch_refuses },
    };
    omp_set_num_threads(1); // so many small products are quicker alone; what depends on threads sets them
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
