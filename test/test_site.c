// test_site.c -- the gradients of every kind of site, their inner products and their weighted sums, against the gradients
// of single rows written out in double precision from the formulas of drpt/site.h.
#include "../drpt/assemble.h"
#include "../drpt/gather.h"
#include "../llmc/matmul.h"
#include "guarded.h"
#include "test.h"

#include <omp.h>

enum { n = 4, m = 3, B = n + m, T = 6, MAX_ROWS = 301, MAX_COLS = 2500, NUM_WEIGHTS = 20000 }; // the last: of any site here

// A site of the test: its sizes, and whether it has a bias. No two sizes are the same, and together they meet one slab and
// many, slabs that are cut off, slabs of the fewest and of the most rows, and fewer rows than threads.
typedef struct { const char* what; SiteKind kind; int rows, cols, bias; } Case;

static const Case cases[] = {
    { "linear",        SITE_LINEAR,    11,  7,    1 },
    { "no bias",       SITE_LINEAR,    13,  6,    0 },
    { "two outputs",   SITE_LINEAR,    2,   9,    1 },
    { "many outputs",  SITE_LINEAR,    301, 3,    1 },
    { "many inputs",   SITE_LINEAR,    4,   2500, 1 },
    { "more slabs",    SITE_LINEAR,    17,  600,  1 },
    { "all of a slab", SITE_LINEAR,    129, 152,  1 }, // leaves no room for the factor to spill into
    { "layernorm",     SITE_LAYERNORM, 19,  1,    1 },
    { "no shift",      SITE_LAYERNORM, 21,  1,    0 },
    { "wide norm",     SITE_LAYERNORM, 290, 1,    1 },
    { "position",      SITE_POSITION,  T,   8,    0 },
    { "pairs",         SITE_POSITION,  T/2, 8,    0 }, // both sequences of a row begin at the first place
    { "token",         SITE_TOKEN,     12,  10,   0 },
    { "many tokens",   SITE_TOKEN,     257, 14,   0 },
    { "lookup alone",  SITE_LOOKUP,    23,  300,  0 },
};
enum { NUM_CASES = sizeof(cases) / sizeof(cases[0]) };

static float dout[B*T*MAX_COLS], inp[B*T*MAX_COLS], mean[B*T], rstd[B*T], dlookup[B*T*MAX_COLS];
static int tokens[B*T];
static float dweight[NUM_WEIGHTS], dbias[MAX_ROWS];
static uint64_t rng = 5;

// The gradients of the single rows; a bias follows its weight as one more column.
static double gradient[B][NUM_WEIGHTS + MAX_ROWS];

static Site draw(const Case* c) {
    test_fill(dout, (size_t)(B*T * (c->rows > c->cols ? c->rows : c->cols)), &rng);
    test_fill(inp, (size_t)(B*T * (c->kind == SITE_LAYERNORM ? c->rows : c->cols)), &rng);
    test_fill(dlookup, (size_t)(B*T * c->cols), &rng);
    test_fill(mean, B*T, &rng);
    test_fill(rstd, B*T, &rng);
    for (int i = 0; i < B*T; i++) { // a third of the tokens are the first or the last word, so that words repeat
        int random = (int)((test_uniform(&rng) + 1.0f) / 2.0f * (float)c->rows) % c->rows;
        tokens[i] = i % 6 == 0 ? 0 : i % 6 == 3 ? c->rows - 1 : random;
    }
    Site s = { .kind = c->kind, .name = c->what, .dweight = dweight, .dbias = c->bias ? dbias : NULL,
               .dout = dout, .inp = inp, .rows = c->rows, .cols = c->cols,
               .stride = c->rows, .parts = 1 };
    if (c->kind == SITE_LAYERNORM) { s.mean = mean; s.rstd = rstd; }
    if (c->kind == SITE_POSITION) { s.inp = NULL; }
    if (c->kind == SITE_TOKEN || c->kind == SITE_LOOKUP) { s.dlookup = dlookup; s.tokens = tokens; }
    if (c->kind == SITE_LOOKUP) { s.dout = s.inp = NULL; }
    return s;
}

static size_t size_of(const Site* s) { return (size_t)s->rows * (size_t)(s->cols + (s->dbias != NULL)); }

// One token's part of the gradient, (rows, cols + bias).
static void add_token(double* grad, const Site* s, size_t at) {
    int width = s->cols + (s->dbias != NULL);
    for (int r = 0; r < s->rows; r++) {
        for (int c = 0; c < s->cols; c++) {
            double* to = &grad[r*width + c];
            switch (s->kind) {
                case SITE_LINEAR:    *to += (double)dout[at*s->stride + r] * inp[at*s->cols + c]; break;
                case SITE_LAYERNORM: *to += (double)dout[at*s->rows + r] * ((double)inp[at*s->rows + r] - mean[at]) * rstd[at]; break;
                case SITE_POSITION:  *to += at % T % (size_t)s->rows == (size_t)r ? dout[at*s->cols + c] : 0.0; break;
                case SITE_LOOKUP:    *to += tokens[at] == r ? dlookup[at*s->cols + c] : 0.0; break;
                default:             *to += (double)dout[at*s->rows + r] * inp[at*s->cols + c]
                                          + (tokens[at] == r ? dlookup[at*s->cols + c] : 0.0); break;
            }
        }
        if (s->dbias) { grad[r*width + s->cols] += dout[at*s->stride + r]; }
    }
}

static void single_rows(const Site* s) {
    for (int b = 0; b < B; b++) {
        memset(gradient[b], 0, sizeof(double) * size_of(s));
        for (int t = 0; t < T; t++) { add_token(gradient[b], s, (size_t)(b*T + t)); }
    }
}

// Rows that do not count hold NaN and Inf in everything that can be read of them.
static void poison(const Site* s, const float* weight) {
    for (int at = 0; at < B*T; at++) {
        if (weight[at / T] != 0.0f) { continue; }
        float bad = at % 2 ? NAN : INFINITY;
        int outputs = s->kind == SITE_POSITION ? s->cols : s->rows, inputs = s->kind == SITE_LAYERNORM ? s->rows : s->cols;
        for (int k = 0; k < outputs; k++) { dout[at*outputs + k] = bad; }
        for (int k = 0; k < inputs; k++) { inp[at*inputs + k] = bad; dlookup[at*inputs + k] = bad; }
        mean[at] = rstd[at] = bad;
    }
}

// ---------------------------------------------------------------------------------------------
// site_gradient

// Rows [o, o+count) of the sum over rows [first, end) are added to what is there.
static void expect_gradient(const Site* s, const float* weight, int first, int end, int o, int count) {
    static float dw[NUM_WEIGHTS], db[MAX_ROWS], want_dw[NUM_WEIGHTS], want_db[MAX_ROWS];
    int width = s->cols + (s->dbias != NULL);
    size_t scratch_size = (size_t)((end - first) * T * count);
    float* scratch = take(scratch_size);
    test_fill(dw, (size_t)(count * s->cols), &rng);
    test_fill(db, (size_t)count, &rng);
    for (int r = 0; r < count; r++) {
        for (int c = 0; c < width; c++) {
            double sum = c < s->cols ? dw[r*s->cols + c] : db[r];
            for (int b = first; b < end; b++) { sum += weight[b] != 0.0f ? weight[b] * gradient[b][(o + r)*width + c] : 0.0; }
            *(c < s->cols ? &want_dw[r*s->cols + c] : &want_db[r]) = (float)sum;
        }
    }
    site_gradient(dw, s->dbias ? db : NULL, s, weight, first, end, T, o, count, scratch);
    expect_close(dw, want_dw, (size_t)(count * s->cols), 2e-5f);
    if (s->dbias) { expect_close(db, want_db, (size_t)count, 2e-5f); }
    give_back(scratch, scratch_size);
}

static void test_gradient_of_any_rows(void) {
    static const float weight[][B] = {
        { 1, 1, 1, 1, 1, 1, 1 }, { 0.5f, 0, -2, 1, 0, 0, 3 }, { 0, 0, 0.25f, 0, 0.25f, 0.25f, 0 }, { -1, -2, 0, -0.0f, 0, 0, 0 },
    };
    for (int k = 0; k < NUM_CASES; k++) {
        for (size_t w = 0; w < sizeof(weight) / sizeof(weight[0]); w++) {
            Site s = draw(&cases[k]);
            single_rows(&s);
            poison(&s, weight[w]);
            expect_gradient(&s, weight[w], 0, B, 0, s.rows);
            expect_gradient(&s, weight[w], 2, B, s.rows / 2, s.rows - s.rows / 2);
            expect_gradient(&s, weight[w], 1, 4, s.rows / 3, 1);
            expect_gradient(&s, weight[w], 3, 3, 0, 1);
        }
    }
}

static void test_no_rows_give_nothing(void) {
    const float weight[B] = {0};
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        poison(&s, weight);
        single_rows(&s);
        expect_gradient(&s, weight, 0, B, 0, s.rows);
    }
}

// The slabs that gather works in stay within the memory it asks for, and are not absurdly small.
static void test_slabs(void) {
    for (int cols = 1; cols < 5000; cols = cols * 2 + 1) {
        for (int copies = 1; copies < 2000; copies = 4 * copies + 1) {
            Site s = { .rows = 100000, .cols = cols };
            int rows = site_slab_rows(&s, copies);
            size_t width = (size_t)(cols < SITE_BLOCK ? cols : SITE_BLOCK) + 1, floats = (size_t)rows * (size_t)copies * width;
            expect(rows >= SLAB_MIN_ROWS && rows <= SLAB_MAX_ROWS);
            expect(floats <= SLAB_FLOATS || rows == SLAB_MIN_ROWS);
            expect(rows == SLAB_MAX_ROWS || floats + (size_t)copies * width > SLAB_FLOATS);
            s.rows = 3;
            expect(site_slab_rows(&s, copies) == 3);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// gather

typedef struct { double K[n*n], s[n], q; } Products;

static Products by_single_rows(const Site* s, int general, int target) {
    Products p = {0};
    static double t[NUM_WEIGHTS + MAX_ROWS];
    memset(t, 0, sizeof(t));
    for (int b = general; b < general + target; b++) { for (size_t k = 0; k < size_of(s); k++) { t[k] += gradient[b][k]; } }
    for (size_t k = 0; k < size_of(s); k++) {
        p.q += t[k] * t[k];
        for (int i = 0; i < general; i++) {
            p.s[i] += gradient[i][k] * t[k];
            for (int j = 0; j < general; j++) { p.K[i*general + j] += gradient[i][k] * gradient[j][k]; }
        }
    }
    return p;
}

// Onto zeros, or onto something: it is added to.
static Route route; // auto, unless a test goes through them

static Products by_gather(const Site* s, int needs, int general, int target, int threads, double start) {
    Products p;
    double* partial = (double*)malloc(sizeof(double) * gather_partial(general, target, threads));
    size_t part = gather_scratch(general, target, T, s->cols), size = part * (size_t)threads;
    float* scratch = take(size);
    for (size_t i = 0; i < sizeof(p) / sizeof(double); i++) { ((double*)&p)[i] = start; }
    Statistics st = { .K = p.K, .s = p.s, .q = &p.q, .score = p.s, .partial = partial };
    Gather g = { .n = general, .m = target, .T = T, .threads = threads, .needs = needs, .route = route, .scratch = scratch, .part = part };
    drpt_gather(&st, s, &g);
    give_back(scratch, size);
    free(partial);
    return p;
}

// In units of |g_i| |g_j|: a small inner product of two large gradients may be off by as much as they are long.
static void expect_products(const Site* s, const Products* got, const Products* want, int needs, int general, double start) {
    for (int i = 0; i < general; i++) {
        double unit = sqrt(want->K[i*general + i]), s_want = needs & (NEEDS_S | NEEDS_K) ? want->s[i] : 0.0;
        int right = fabs(got->s[i] - start - s_want) <= 1e-5 * unit * sqrt(want->q);
        for (int j = 0; j < general; j++) {
            double K_want = needs & NEEDS_K ? want->K[i*general + j] : 0.0;
            right &= fabs(got->K[i*general + j] - start - K_want) <= 1e-5 * unit * sqrt(want->K[j*general + j]);
        }
        if (!right) { fprintf(stderr, "%s, needs %d:\n", s->name, needs); }
        expect(right);
    }
    expect(fabs(got->q - start - want->q) <= 1e-5 * want->q);
}

static void test_gather_is_inner_products(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        single_rows(&s);
        Products want = by_single_rows(&s, n, m);
        for (int needs = 0; needs < 4; needs++) {
            for (int threads = 1; threads <= 3; threads++) {
                Products got = by_gather(&s, needs, n, m, threads, threads == 2 ? 0.25 : 0.0);
                expect_products(&s, &got, &want, needs, n, threads == 2 ? 0.25 : 0.0);
            }
        }
    }
}

static void test_gather_of_any_batch(void) {
    static const int split[][2] = { { 0, 3 }, { 1, 1 }, { 3, 0 }, { 1, 6 }, { 4, 1 } };
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        single_rows(&s);
        for (size_t i = 0; i < sizeof(split) / sizeof(split[0]); i++) {
            Products want = by_single_rows(&s, split[i][0], split[i][1]);
            for (int needs = 0; needs < 4; needs++) {
                Products got = by_gather(&s, needs, split[i][0], split[i][1], 3, 0.0);
                expect_products(&s, &got, &want, needs, split[i][0], 0.0);
            }
        }
    }
}

static void test_gather_repeats_itself(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        for (int threads = 3; threads >= 1; threads--) {
            omp_set_num_threads(threads);
            int needs = threads == 3 ? NEEDS_S : NEEDS_S | NEEDS_K;
            Products once = by_gather(&s, needs, n, m, threads, 0.0);
            Products twice = by_gather(&s, needs, n, m, threads, 0.0);
            expect(memcmp(&once, &twice, sizeof(once)) == 0);
            for (int i = 0; i < n*n; i++) { expect(once.K[i] == once.K[i % n * n + i / n]); } // symmetric to the bit
        }
    }
    omp_set_num_threads(1);
}

// A row that is not finite shows in its own products and in nobody else's.
static void test_gather_keeps_nan_apart(void) {
    const float weight[B] = { 1, 1, 0, 1, 1, 1, 1 };
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        single_rows(&s);
        Products want = by_single_rows(&s, n, m);
        poison(&s, weight);
        for (int needs = NEEDS_S; needs <= (NEEDS_S | NEEDS_K); needs += NEEDS_K) {
            Products got = by_gather(&s, needs, n, m, 3, 0.0);
            expect(!isfinite(got.s[2]) && (needs == NEEDS_S || !isfinite(got.K[2*n + 2])));
            got.s[2] = want.s[2];
            for (int i = 0; i < n && needs & NEEDS_K; i++) { got.K[2*n + i] = want.K[2*n + i]; got.K[i*n + 2] = want.K[i*n + 2]; }
            expect_products(&s, &got, &want, needs, n, 0.0);
        }
    }
}

// A few products by hand: the lookup and the head of one word meet in its row of the embedding.
static void test_token_cross_terms(void) {
    static const float head[2] = { 2, 0 }, x[1] = { 3 }, wide_lookup[2] = { 5, 7 };
    static const int word[2] = { 0, 1 };
    float both_dout[4] = { head[0], head[1], 1, 4 }, both_inp[2] = { x[0], 1 };
    Site s = { .kind = SITE_TOKEN, .dout = both_dout, .inp = both_inp, .dlookup = wide_lookup, .tokens = word, .rows = 2, .cols = 1, .stride = 2, .parts = 1 };
    double K = 0.0, score = 0.0, q = 0.0, partial[16];
    Statistics st = { .K = &K, .s = &score, .q = &q, .score = &score, .partial = partial };
    size_t part = gather_scratch(1, 1, 1, 1);
    float* scratch = take(part);
    Gather g = { .n = 1, .m = 1, .T = 1, .threads = 1, .needs = NEEDS_S | NEEDS_K, .scratch = scratch, .part = part };
    drpt_gather(&st, &s, &g); // g (2*3 + 5, 0*3), t (1*1, 4*1 + 7)
    expect(K == 121.0 && score == 11.0 && q == 1.0 + 121.0);
    give_back(scratch, part);
}

// ---------------------------------------------------------------------------------------------
// assemble

static void assemble(const Site* s, const float* weight, int rows_of_batch, int threads) {
    size_t part = assemble_scratch(rows_of_batch, T, s->cols), size = part * (size_t)threads;
    float* scratch = take(size);
    drpt_assemble(s, weight, rows_of_batch, rows_of_batch, T, scratch, part, threads);
    give_back(scratch, size);
}

static void expect_sum(const Site* s, const float* weight, int threads) {
    static float want_dw[NUM_WEIGHTS], want_db[MAX_ROWS];
    int width = s->cols + (s->dbias != NULL);
    test_fill(dweight, (size_t)(s->rows * s->cols), &rng);
    test_fill(dbias, (size_t)s->rows, &rng);
    for (int r = 0; r < s->rows; r++) {
        for (int c = 0; c < width; c++) {
            double sum = c < s->cols ? dweight[r*s->cols + c] : dbias[r];
            for (int b = 0; b < B; b++) { sum += !weight ? gradient[b][r*width + c] : weight[b] != 0.0f ? weight[b] * gradient[b][r*width + c] : 0.0; }
            *(c < s->cols ? &want_dw[r*s->cols + c] : &want_db[r]) = (float)sum;
        }
    }
    assemble(s, weight, B, threads);
    expect_close(dweight, want_dw, (size_t)(s->rows * s->cols), 2e-6f);
    if (s->dbias) { expect_close(dbias, want_db, (size_t)s->rows, 2e-6f); }
}

static void test_assemble_is_weighted_sum(void) {
    static const float weight[][B] = {
        { 0.5f, 0, -2, 1, 0, 0, 3 }, { 0, 0.1f, 0.1f, 0, 0.7f, 0.7f, 0.7f }, { 1, 1, 1, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1, 1, 2 }, { 0 },
    };
    for (int k = 0; k < NUM_CASES; k++) {
        for (size_t w = 0; w < sizeof(weight) / sizeof(weight[0]); w++) {
            Site s = draw(&cases[k]);
            single_rows(&s);
            poison(&s, weight[w]);
            for (int threads = 1; threads <= 3; threads++) { expect_sum(&s, weight[w], threads); }
        }
    }
}

// Without weights each row counts once; a site may be a part of a projection that is several in one.
static void test_assemble_without_weights(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (int more = 0; more < 3; more += 2) {
            Site s = draw(&cases[k]);
            if (more > 0 && s.kind != SITE_LINEAR) { continue; }
            s.stride += more;
            test_fill(dout, (size_t)(B*T * (s.stride > s.cols ? s.stride : s.cols)), &rng);
            single_rows(&s);
            expect_sum(&s, NULL, 1);
            expect_sum(&s, NULL, 3);
        }
    }
}

// Plain training is the plain product, bit for bit.
static void test_assemble_of_all_rows_is_the_plain_gradient(void) {
    static float want_dw[NUM_WEIGHTS], want_db[MAX_ROWS];
    const float weight[B] = { 1, 1, 1, 1, 1, 1, 1 };
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        if (s.kind != SITE_LINEAR) { continue; }
        test_fill(dweight, NUM_WEIGHTS, &rng);
        test_fill(dbias, MAX_ROWS, &rng);
        memcpy(want_dw, dweight, sizeof(dweight));
        memcpy(want_db, dbias, sizeof(dbias));
        assemble(&s, weight, B, 2);
        matmul_backward_params(want_dw, s.dbias ? want_db : NULL, dout, inp, B*T, s.cols, s.rows);
        expect(memcmp(dweight, want_dw, sizeof(dweight)) == 0 && memcmp(dbias, want_db, sizeof(dbias)) == 0);
    }
}

static void test_assemble_repeats_itself(void) {
    static float once[NUM_WEIGHTS];
    const float weight[B] = { 0.5f, 0, -2, 1, 0, 0, 3 };
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        for (int again = 0; again < 2; again++) {
            memset(dweight, 0, sizeof(dweight));
            assemble(&s, weight, B, 3);
            if (again == 0) { memcpy(once, dweight, sizeof(dweight)); }
        }
        expect(memcmp(once, dweight, sizeof(dweight)) == 0);
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "site/gradient_of_any_rows", test_gradient_of_any_rows },
        { "site/no_rows_give_nothing", test_no_rows_give_nothing },
        { "site/slabs", test_slabs },
        { "site/gather_is_inner_products", test_gather_is_inner_products },
        { "site/gather_of_any_batch", test_gather_of_any_batch },
        { "site/gather_repeats_itself", test_gather_repeats_itself },
        { "site/gather_keeps_nan_apart", test_gather_keeps_nan_apart },
        { "site/token_cross_terms", test_token_cross_terms },
        { "site/assemble_is_weighted_sum", test_assemble_is_weighted_sum },
        { "site/assemble_without_weights", test_assemble_without_weights },
        { "site/assemble_of_all_rows_is_the_plain_gradient", test_assemble_of_all_rows_is_the_plain_gradient },
        { "site/assemble_repeats_itself", test_assemble_repeats_itself },
    };
    omp_set_num_threads(1); // so many small products are quicker alone; what depends on threads sets them
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
