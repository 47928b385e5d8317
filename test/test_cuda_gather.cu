// test_cuda_gather.cu -- every route on the device against inner products of the gradients of single rows, in double precision.
#include "../drpt/direct.h"
#include "../drpt/gather.h"
#include "../drpt/pairs.h"
#include "../drpt/sketch.h"
#include "../drpt/tokens.h"
extern "C" {
#include "../llmc/rng.h"
}
#include "site_on_device.h"

enum { MOST_NEEDS = 8, SLACK = 16 };
static const double TOLERANCE = 1e-5, ROUNDED = 1e-2; // ROUNDED: of what is rounded to bf16 on the way
static const float CORRECTION = 1.7f, EPS = 0.01f;

static const Case cases[] = {
    { "linear",     SITE_LINEAR,    11,  7,   1, 11,  4, 3, 5 },
    { "no bias",    SITE_LINEAR,    13,  6,   0, 13,  3, 2, 4 },
    { "part",       SITE_LINEAR,    5,   8,   1, 23,  4, 1, 3 },   // of a fused projection
    { "bare part",  SITE_LINEAR,    6,   9,   0, 19,  2, 4, 3 },
    { "layernorm",  SITE_LAYERNORM, 19,  1,   1, 19,  4, 2, 3 },
    { "no shift",   SITE_LAYERNORM, 37,  1,   0, 37,  3, 3, 19 },
    { "position",   SITE_POSITION,  5,   8,   0, 8,   4, 2, 5 },
    { "pairs pos.", SITE_POSITION,  5,   8,   0, 8,   4, 2, 10 },  // both sequences of a row begin at the first place
    { "token",      SITE_TOKEN,     12,  10,  0, 12,  3, 2, 6 },
    { "lookup",     SITE_LOOKUP,    12,  10,  0, 12,  3, 2, 6 },
    { "no target",  SITE_LINEAR,    7,   5,   1, 7,   3, 0, 4 },
    { "no general", SITE_TOKEN,     9,   5,   0, 9,   0, 2, 3 },
    { "one token",  SITE_LINEAR,    140, 3,   1, 140, 6, 1, 1 },
    { "tiles",      SITE_LINEAR,    6,   5,   1, 6,   11, 9, 2 },  // of the table: more vectors than one takes
    { "wide",       SITE_LINEAR,    20,  600, 1, 25,  3, 2, 5 },   // several pieces of a slab
    { "long token", SITE_TOKEN,     150, 300, 0, 150, 2, 2, 70 },  // several slabs of lookups, more positions than a warp looks at
};
enum { NUM_CASES = sizeof(cases) / sizeof(cases[0]) };

// ---------------------------------------------------------------------------------------------
// Statistics.

struct Products {
    int n, m;
    std::vector<double> K, s, score, S, Q, q;

    Products(int n_, int m_, double start = 0.0)
        : n(n_), m(m_), K((size_t)(n*n), start), s((size_t)n, start), score((size_t)n, start), S((size_t)(n*m), start), Q((size_t)(m*m), start), q(1, start) {}
    bool operator==(const Products& o) const { // bit by bit: NaN is NaN
        const std::vector<double> *a[] = { &K, &s, &score, &S, &Q, &q }, *b[] = { &o.K, &o.s, &o.score, &o.S, &o.Q, &o.q };
        for (int k = 0; k < 6; k++) {
            if (a[k]->size() != b[k]->size() || (!a[k]->empty() && memcmp(a[k]->data(), b[k]->data(), sizeof(double) * a[k]->size()) != 0)) { return false; }
        }
        return true;
    }
};

static double dot(const std::vector<double>& x, const std::vector<double>& y) {
    double sum = 0.0;
    for (size_t k = 0; k < x.size(); k++) { sum += x[k] * y[k]; }
    return sum;
}

static Products products_of(const std::vector<std::vector<double>>& gradient, const Case& c, const Host& h) {
    Products p(c.n, c.m);
    size_t size = gradient[0].size(), weights = (size_t)(c.rows * c.cols);
    std::vector<double> t(size, 0.0), scaled(size);
    for (size_t k = 0; k < size; k++) {
        for (int j = 0; j < c.m; j++) { t[k] += gradient[(size_t)(c.n + j)][k]; }
        double v = k >= h.vweight.size() + h.vbias.size() ? 0.0 : k < weights ? h.vweight[k] : h.vbias[k - weights];
        scaled[k] = t[k] / (sqrt(v * CORRECTION) + EPS);
    }
    p.q[0] = dot(t, t);
    for (int i = 0; i < c.n; i++) {
        const std::vector<double>& g = gradient[(size_t)i];
        p.s[(size_t)i] = dot(g, t);
        p.score[(size_t)i] = dot(g, scaled);
        for (int j = 0; j < c.n; j++) { p.K[(size_t)(i*c.n + j)] = dot(g, gradient[(size_t)j]); }
        for (int j = 0; j < c.m; j++) { p.S[(size_t)(i*c.m + j)] = dot(g, gradient[(size_t)(c.n + j)]); }
    }
    for (int j = 0; j < c.m; j++) {
        for (int l = 0; l < c.m; l++) { p.Q[(size_t)(j*c.m + l)] = dot(gradient[(size_t)(c.n + j)], gradient[(size_t)(c.n + l)]); }
    }
    return p;
}

static std::vector<std::vector<double>> gradients(const Host& h, const Case& c) {
    std::vector<std::vector<double>> g;
    for (int b = 0; b < c.n + c.m; b++) { g.push_back(h.gradient(c, b)); }
    return g;
}

static int widest(const Case& c) { return c.stride == c.rows || c.cols > c.rows ? c.cols : c.rows; }

static Gather gather_plan(const Case& c, Route route, int needs, int metric, int given) {
    Gather g = {};
    g.n = c.n;
    g.m = c.m;
    g.T = c.T;
    g.threads = 1;
    g.needs = needs;
    g.metric = metric;
    g.given = given;
    g.correction = CORRECTION;
    g.eps = EPS;
    g.route = route;
    g.tables = gather_tables(c.n, c.m);
    return g;
}

// What is gathered, added to `start`, with `part` floats of scratch.
static Products gather(const Site& s, const Case& c, Route route, int needs, int metric, size_t part, SketchStore* sketches, double start = 0.0, int given = 0) {
    Products p(c.n, c.m, start);
    OnDevice<double> K(p.K), score(p.score), S(p.S), Q(p.Q), q(p.q), sums(p.s);
    OnDevice<float> scratch(part);
    Statistics st = {};
    st.K = K;
    st.s = sums;
    st.q = q;
    st.score = metric ? score : sums;
    if (needs & NEEDS_ROWS) { st.S = S; st.Q = Q; }
    Gather g = gather_plan(c, route, needs, metric, given);
    g.sketches = sketches;
    g.scratch = scratch;
    g.part = part;
    Gathered done = drpt_gather(&st, &s, &g);
    gather_end(&g);
    gather_tables_free(g.tables);
    expect(done.route == gather_route(&s, &g) && done.route != ROUTE_auto && !done.kept);
    p.K = K.read();
    p.s = sums.read();
    p.score = score.read();
    p.S = S.read();
    p.Q = Q.read();
    p.q = q.read();
    return p;
}

// In units of the lengths of the two vectors, but those of `unit` where they are not known.
static bool is_near(double got, double want, double xx, double yy, double tolerance) {
    return fabs(got - want) <= tolerance * sqrt(fabs(xx * yy)) + 1e-30;
}

static void expect_products(const Products& got, const Products& want, const char* what, int route, int needs, bool has_s, double start, double tolerance) {
    int n = want.n, m = want.m;
    bool right = is_near(got.q[0] - start, want.q[0], want.q[0], want.q[0], TOLERANCE);
    for (int i = 0; i < n; i++) {
        double ii = want.K[(size_t)(i*n + i)];
        right &= is_near(got.s[(size_t)i] - start, has_s ? want.s[(size_t)i] : 0.0, ii, want.q[0], tolerance);
        for (int j = 0; j < n; j++) {
            size_t at = (size_t)(i*n + j);
            right &= is_near(got.K[at] - start, needs & NEEDS_K ? want.K[at] : 0.0, ii, want.K[(size_t)(j*n + j)], tolerance);
        }
        for (int j = 0; j < m; j++) {
            size_t at = (size_t)(i*m + j);
            right &= is_near(got.S[at] - start, needs & NEEDS_ROWS ? want.S[at] : 0.0, ii, want.Q[(size_t)(j*m + j)], tolerance);
        }
    }
    for (int j = 0; j < m; j++) {
        for (int l = 0; l < m; l++) {
            size_t at = (size_t)(j*m + l);
            right &= is_near(got.Q[at] - start, needs & NEEDS_ROWS ? want.Q[at] : 0.0, want.Q[(size_t)(j*m + j)], want.Q[(size_t)(l*m + l)], tolerance);
        }
    }
    if (!right) { fprintf(stderr, "%s, route %d, needs %d:\n", what, route, needs); }
    expect(right);
}

static size_t scratch_of(const Case& c) { return gather_scratch(c.n, c.m, c.T, widest(c)); }

// Of what a route promises to do with, so that its memory is used to the end.
static size_t own_scratch(const Case& c, Route route) {
    size_t direct = direct_scratch(c.n, c.m, c.T, widest(c)), own = direct;
    if (route == ROUTE_pairs) { own = pairs_scratch(c.n, c.m, c.T, widest(c)); }
    if (route == ROUTE_tokens) { own = tokens_scratch(c.n, c.m, c.T, widest(c)); }
    return own;
}

static bool is_product(const Case& c) { return c.kind == SITE_LINEAR || c.kind == SITE_TOKEN; }

// ---------------------------------------------------------------------------------------------

static double tolerance_of(Route route) { return route == ROUTE_tokens && sizeof(Real) < sizeof(float) ? ROUNDED : TOLERANCE; }

static bool takes(Route route, const Case& c, int needs, int metric) {
    return route == ROUTE_direct || (is_product(c) && (route == ROUTE_pairs ? !metric : c.m > 0 && !(needs & (NEEDS_K | NEEDS_ROWS))));
}

static void test_routes(void) {
    for (const Case& c : cases) {
        Host host(c);
        Copy copy(host);
        Site s = copy.site(c);
        Products want = products_of(gradients(host, c), c, host);
        for (int r = ROUTE_direct; r <= ROUTE_tokens; r++) {
            for (int needs = 0; needs < MOST_NEEDS; needs++) {
                Route route = (Route)r;
                bool usual = needs == 0 || needs == NEEDS_S || needs == MOST_NEEDS - 1;
                if (!takes(route, c, needs, 0) || (!usual && c.n * c.T > 20)) { continue; }
                double start = needs % 2 ? 0.25 : 0.0;
                Products got = gather(s, c, route, needs, 0, own_scratch(c, route), NULL, start);
                expect_products(got, want, c.what, route, needs, needs != 0, start, tolerance_of(route));
            }
        }
    }
}

// auto takes one of them, with the memory for all.
static void test_auto(void) {
    for (int k = 0; k < NUM_CASES - 1; k++) {
        const Case& c = cases[k];
        Host host(c);
        Copy copy(host);
        Products want = products_of(gradients(host, c), c, host), got = gather(copy.site(c), c, ROUTE_auto, NEEDS_S, 0, scratch_of(c), NULL);
        expect_products(got, want, c.what, ROUTE_auto, NEEDS_S, true, 0.0, tolerance_of(ROUTE_tokens));
    }
}

static void test_metric(void) {
    for (const Case& c : cases) {
        Host host(c);
        Copy copy(host);
        Products want = products_of(gradients(host, c), c, host);
        for (int r = ROUTE_direct; r <= ROUTE_tokens; r++) {
            Route route = (Route)r;
            if (!takes(route, c, NEEDS_S, 1)) { continue; }
            Products got = gather(copy.site(c), c, route, NEEDS_S, 1, own_scratch(c, route), NULL, 0.5);
            expect_products(got, want, c.what, route, NEEDS_S, route == ROUTE_direct, 0.5, TOLERANCE);
            for (int i = 0; i < c.n; i++) { // the largest that the metric can make of it is 1/eps
                double unit = sqrt(want.K[(size_t)(i*c.n + i)] * want.q[0]) / EPS;
                expect(fabs(got.score[(size_t)i] - 0.5 - want.score[(size_t)i]) <= (tolerance_of(route) > TOLERANCE ? ROUNDED : 2e-6) * unit);
            }
        }
    }
}

// Against a vector that is given: with target rows or without, which do not count, and with each row's products with those.
static void test_given(void) {
    for (const Case& with_target : cases) {
        Host host(with_target);
        Copy copy(host);
        std::vector<std::vector<double>> g = gradients(host, with_target);
        Products of_target = products_of(g, with_target, host);
        size_t weights = (size_t)(with_target.rows * with_target.cols);
        std::vector<double> v(g[0].size());
        for (size_t k = 0; k < v.size(); k++) { v[k] = k < weights ? host.vweight[k] : host.vbias[k - weights]; }
        for (int way = 0; way < 6; way++) {
            Case c = with_target;
            Route route = way / 2 == 2 ? ROUTE_tokens : ROUTE_direct;
            int needs = way / 2 == 1 ? NEEDS_S | NEEDS_ROWS : NEEDS_S;
            if (way % 2) { c.m = 0; }
            if (route == ROUTE_tokens && !is_product(c)) { continue; }
            Products got = gather(copy.site(c), c, route, needs, 1, own_scratch(c, route), NULL, 0.5, 1);
            for (int i = 0; i < c.n; i++) {
                double unit = sqrt(dot(g[(size_t)i], g[(size_t)i]) * dot(v, v));
                expect(fabs(got.score[(size_t)i] - 0.5 - dot(g[(size_t)i], v)) <= tolerance_of(route) * unit);
                for (int j = 0; j < c.m && needs & NEEDS_ROWS; j++) {
                    size_t at = (size_t)(i*c.m + j);
                    expect(is_near(got.S[at] - 0.5, of_target.S[at], unit, unit, TOLERANCE));
                }
            }
        }
    }
}

// With a sketch wider than a site nothing is projected.
static void test_wide_sketch_is_exact(void) {
    for (const Case& c : cases) {
        if (!is_product(c) || c.cols >= 160) { continue; }
        Host host(c);
        Copy copy(host);
        Products want = products_of(gradients(host, c), c, host);
        SketchStore* store = sketch_create(160, c.n, c.m, c.T, 1);
        for (int needs = 0; needs < MOST_NEEDS; needs++) {
            Products got = gather(copy.site(c), c, ROUTE_sketch, needs, 0, scratch_of(c), store);
            expect_products(got, want, c.what, ROUTE_sketch, needs, needs != 0, 0.0, TOLERANCE);
        }
        sketch_free(store);
    }
}

// The factor of a side; the unit matrix where it is left as it is.
static std::vector<double> factor_of(SketchStore* store, const Site& s, int side, int length, int k) {
    const Real* on_device = sketch_factor(store, &s, side);
    expect((on_device == NULL) == (length <= k));
    int width = on_device ? k : length;
    std::vector<double> P((size_t)(length * width));
    std::vector<Real> x(P.size());
    if (on_device) { device_read(x.data(), on_device, sizeof(Real) * x.size()); }
    for (int i = 0; i < length * width; i++) { P[(size_t)i] = on_device ? (double)(float)x[(size_t)i] : i / width == i % width; }
    return P;
}

// P_O' G P_I of every row.
static std::vector<std::vector<double>> sketched(const Host& h, const Case& c, const std::vector<double>& left, const std::vector<double>& right) {
    std::vector<std::vector<double>> all;
    int length = c.cols + c.bias, O = (int)left.size() / c.rows, I = (int)right.size() / length;
    for (int b = 0; b < c.n + c.m; b++) {
        std::vector<double> g = h.gradient(c, b), x((size_t)(O * I), 0.0);
        for (int o = 0; o < c.rows; o++) {
            for (int z = 0; z < I; z++) {
                double sum = 0.0;
                for (int y = 0; y < length; y++) { sum += (y < c.cols ? g[(size_t)(o*c.cols + y)] : g[(size_t)(c.rows*c.cols + o)]) * right[(size_t)(y*I + z)]; }
                for (int w = 0; w < O; w++) { x[(size_t)(w*I + z)] += left[(size_t)(o*O + w)] * sum; }
            }
        }
        all.push_back(x);
    }
    return all;
}

static void test_sketch_is_projected_gradients(void) {
    for (const Case& c : cases) {
        if (!is_product(c) || c.T > 50) { continue; }
        for (int k = 4; k <= 8; k += 4) { // 8: some sides are as long, or 7 and a bias
            Host host(c);
            Copy copy(host);
            Site s = copy.site(c);
            SketchStore* store = sketch_create(k, c.n, c.m, c.T, 77);
            std::vector<double> left = factor_of(store, s, 0, c.rows, k), right = factor_of(store, s, 1, c.cols + c.bias, k);
            Products want = products_of(sketched(host, c, left, right), c, host);
            for (int needs = 0; needs < MOST_NEEDS; needs++) {
                Products got = gather(s, c, ROUTE_sketch, needs, 0, scratch_of(c), store);
                expect_products(got, want, c.what, ROUTE_sketch, needs, needs != 0, 0.0, 2 * TOLERANCE);
            }
            sketch_free(store);
        }
    }
}

// The random factors are those of the seed, the site and the side, on every device.
static void test_sketch_streams(void) {
    const Case& c = cases[0];
    Host host(c);
    Copy copy(host);
    Site s = copy.site(c);
    SketchStore* store = sketch_create(2, c.n, c.m, c.T, 5);
    for (uint64_t seed : { 5, 6, 5 }) {
        sketch_refresh(store, seed);
        for (int side = 0; side < 2; side++) {
            int length = side ? c.cols + c.bias : c.rows;
            std::vector<float> drawn((size_t)(2 * length));
            Rng stream = rng_seed(seed, 2 * (uint64_t)s.index + (uint64_t)side, 0);
            rng_normal(&stream, drawn.data(), drawn.size(), (float)sqrt(0.5));
            std::vector<double> got = factor_of(store, s, side, length, 2);
            for (size_t i = 0; i < got.size(); i++) { expect(got[i] == (double)(float)(Real)drawn[i]); }
        }
    }
    sketch_free(store);
}

// The least memory a route can work in: one row of the site, one pair of rows of the batch.
static size_t least_scratch(const Case& c, Route route) {
    size_t T = (size_t)c.T, row = (size_t)(c.cols + c.bias);
    if (route == ROUTE_pairs) { return 2 * T * T; }
    if (route == ROUTE_tokens) { return 32 + 2 * ((size_t)c.cols + 1) + T; }
    return (size_t)(c.n + c.m) * (row + 7);
}

// Memory that holds only some rows of the site or of the batch, and more than is asked for.
static void test_memory(void) {
    for (const Case& c : cases) {
        size_t T = (size_t)c.T;
        if (c.n + c.m > 7 || c.rows > 100) { continue; }
        Host host(c);
        Copy copy(host);
        Products want = products_of(gradients(host, c), c, host);
        for (size_t more : { (size_t)0, 5 * T * T, (size_t)1 << 16 }) {
            for (int r = ROUTE_direct; r <= ROUTE_tokens; r++) {
                Route route = (Route)r;
                int needs = route == ROUTE_tokens ? NEEDS_S : NEEDS_S | NEEDS_K | NEEDS_ROWS;
                if (!takes(route, c, needs, 0)) { continue; }
                Products got = gather(copy.site(c), c, route, needs, 0, least_scratch(c, route) + more, NULL);
                expect_products(got, want, c.what, route, needs, true, 0.0, tolerance_of(route));
            }
        }
    }
}

static void test_same_bits(void) {
    const int some[] = { 0, 4, 7, NUM_CASES - 2 };
    for (int k : some) {
        const Case& c = cases[k];
        Host host(c);
        Copy copy(host);
        SketchStore* store = sketch_create(3, c.n, c.m, c.T, 1);
        for (int r = ROUTE_auto; r < NUM_ROUTES; r++) {
            for (int needs : { (int)NEEDS_S, NEEDS_S | NEEDS_K | NEEDS_ROWS }) {
                Products once = gather(copy.site(c), c, (Route)r, needs, 0, scratch_of(c), store);
                expect(once == gather(copy.site(c), c, (Route)r, needs, 0, scratch_of(c), store));
            }
        }
        sketch_free(store);
    }
}

// A row that is not finite shows in its own entries and in nobody else's.
static void expect_nan_apart(const Case& c, Route route, int needs, SketchStore* store) {
    Host host(c);
    Products want = gather(Copy(host).site(c), c, route, needs, 0, scratch_of(c), store);
    size_t at = (size_t)(c.T + c.T / 2), n = (size_t)c.n, m = (size_t)c.m;
    host.dout[at * (size_t)c.stride] = (Real)NAN;
    host.inp[at * (size_t)(c.kind == SITE_LAYERNORM ? c.rows : c.cols)] = (Real)INFINITY;
    host.dlookup[at * (size_t)c.cols] = (Real)INFINITY;
    Products got = gather(Copy(host).site(c), c, route, needs, 0, scratch_of(c), store);
    expect(m == 0 || !isfinite(got.s[1]));
    expect(!(needs & NEEDS_K) || !isfinite(got.K[n + 1]));
    for (size_t i = 0; i < n; i++) { got.K[i*n + 1] = want.K[i*n + 1]; got.K[n + i] = want.K[n + i]; }
    for (size_t j = 0; j < m; j++) { got.S[m + j] = want.S[m + j]; }
    got.s[1] = want.s[1];
    if (!(got == want)) { fprintf(stderr, "%s, route %d, needs %d:\n", c.what, route, needs); }
    expect(got == want);
}

static void test_nan_stays_apart(void) {
    for (const Case& c : cases) {
        if (c.n < 3 || c.n + c.m > 7) { continue; }
        SketchStore* store = sketch_create(160, c.n, c.m, c.T, 1);
        for (int r = ROUTE_direct; r < NUM_ROUTES; r++) {
            if (r == ROUTE_sketch && c.cols >= 160) { continue; }
            for (int needs : { (int)NEEDS_S, NEEDS_S | NEEDS_K | NEEDS_ROWS }) { expect_nan_apart(c, (Route)r, needs, store); }
        }
        sketch_free(store);
    }
}

// Arithmetic on NaN ends the emulator unless it was told otherwise before it began: a program of its own.
static void test_nan(void) {
    fflush(stdout);
    expect(system("EMU_NAN=allow /proc/$PPID/exe gather/nan_stays_apart") == 0);
}

// Memory of a store for fewer rows; a site that is another.
// Sites that wait together, more than there is room for, of two groups in turn: each group gets what is its own.
static void test_together(void) {
    enum { SITES = 20, EVERY = 3 };
    Case c = cases[0];
    Host host(c);
    Copy copy(host);
    Site s = copy.site(c);
    Products want = products_of(gradients(host, c), c, host), zero(c.n, c.m, 0.0);
    OnDevice<double> K[2] = { OnDevice<double>(zero.K), OnDevice<double>(zero.K) }, sums[2] = { OnDevice<double>(zero.s), OnDevice<double>(zero.s) };
    OnDevice<double> q[2] = { OnDevice<double>(zero.q), OnDevice<double>(zero.q) };
    OnDevice<float> scratch(scratch_of(c));
    int times[2] = { 0, 0 };
    Gather g = gather_plan(c, ROUTE_auto, NEEDS_S | NEEDS_K, 0, 0);
    g.scratch = scratch;
    g.part = scratch.count;
    for (int i = 0; i < SITES; i++) {
        int group = i % EVERY == 1;
        Statistics st = {};
        st.K = K[group];
        st.s = st.score = sums[group];
        st.q = q[group];
        g.route = i % 2 ? ROUTE_pairs : ROUTE_direct; // tables of two sizes
        drpt_gather(&st, &s, &g);
        times[group]++;
    }
    gather_end(&g);
    gather_end(&g);
    gather_tables_free(g.tables);
    for (int group = 0; group < 2; group++) {
        std::vector<double> got[3] = { K[group].read(), sums[group].read(), q[group].read() };
        const std::vector<double>* wanted[3] = { &want.K, &want.s, &want.q };
        for (int k = 0; k < 3; k++) {
            for (size_t i = 0; i < got[k].size(); i++) { expect(fabs(got[k][i] - times[group] * (*wanted[k])[i]) <= 1e-4 * (times[group] * want.K[0])); }
        }
    }
}

// What dies does it in a process of its own, which has to begin with the GPU: one forked from a process that uses it has none.
static void refused(Route route, int target_rows, size_t part, bool another_site) {
    device_start(TEST_PRECISION);
    Case c = cases[0];
    Host host(c);
    Copy copy(host);
    Site s = copy.site(c);
    SketchStore* store = sketch_create(3, c.n, target_rows, c.T, 1);
    if (another_site) {
        sketch_factor(store, &s, 0);
        s.rows++;
        sketch_factor(store, &s, 0);
    }
    gather(s, c, route, NEEDS_S, 0, part, store);
}

static void test_refused(void) {
    const Case& c = cases[0];
    expect_dies("a sketch for 6 rows of 5 tokens got 7 of 5", refused(ROUTE_sketch, c.m - 1, scratch_of(c), false));
    expect_dies("linear: not the site that its sketch was made for", refused(ROUTE_sketch, c.m, scratch_of(c), true));
    expect_dies("linear: no room for a row of its gradients", refused(ROUTE_direct, c.m, 64, false));
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "gather/routes", test_routes },
        { "gather/auto", test_auto },
        { "gather/metric", test_metric },
        { "gather/given", test_given },
        { "gather/wide_sketch_is_exact", test_wide_sketch_is_exact },
        { "gather/sketch_is_projected_gradients", test_sketch_is_projected_gradients },
        { "gather/sketch_streams", test_sketch_streams },
        { "gather/memory", test_memory },
        { "gather/together", test_together },
        { "gather/same_bits", test_same_bits },
        { "gather/nan", test_nan },
    };
    static const Test nan_test = { "gather/nan_stays_apart", test_nan_stays_apart };
    static const Test refused_test = { "gather/refused", test_refused };
    test_main(argc, argv, &refused_test, 1);
    device_start(TEST_PRECISION);
    if (argc == 2 && strcmp(argv[1], nan_test.name) == 0) { return test_main(argc, argv, &nan_test, 1); }
    return test_main(argc, argv, tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
