// test_cuda_group.cu -- solving and assembling on the device: every method as on the host; updates of every kind of site against sums in
// double precision.
#include "../drpt/assemble.h"
#include "../drpt/group.h"
#include "on_device.h"
#include "test.h"

typedef std::vector<float> Array;
typedef OnDevice<float> Floats;
typedef OnDevice<int> Ints;
static uint64_t rng = 1;

// The emulator's arithmetic is the host's; a GPU rounds products and sums as one.
#ifdef __CUDACC__
static const double SAME = 1e-7;
#else
static const double SAME = 1e-12;
#endif

// What is multiplied is of type Real: a scaled factor is rounded to it.
#ifdef BF16
static const float TOLERANCE = 1e-2f;
#else
static const float TOLERANCE = 1e-5f;
#endif

static Array fill(size_t count) {
    Array x(count);
    test_fill(x.data(), count, &rng);
    return x;
}

// Numbers that Real can hold.
static Array fill_real(size_t count) {
    Array x = fill(count);
    for (float& f : x) { f = (float)(Real)f; }
    return x;
}

static std::vector<Real> real(const Array& x) {
    std::vector<Real> y(x.size());
    for (size_t i = 0; i < x.size(); i++) { y[i] = (Real)x[i]; }
    return y;
}

// ---------------------------------------------------------------------------------------------
// solve

enum { n = 7, m = 3, DOMAINS = 3, LENGTH = 12, GROUPS = 6, FIRST = 2 };
static const unsigned char usable[n] = { 1, 1, 1, 1, 1, 0, 1 };
static const int domain[n] = { 0, 2, 0, 2, 2, 0, 0 }; // none of domain 1

#define NAME(name, ...) #name,
static const char* const method_name[] = { DRPT_METHODS(NAME) };

// The statistics of gradients g (n, LENGTH) and target rows t (m, LENGTH), on the host.
struct Known {
    double K[n*n], s[n], q, score[n], S[n*m], Q[m*m];

    static double dot(const float* a, const float* b) {
        double sum = 0.0;
        for (int k = 0; k < LENGTH; k++) { sum += (double)a[k] * b[k]; }
        return sum;
    }
    void find(const Array& g, const Array& t) {
        q = 0.0;
        for (int i = 0; i < n; i++) {
            s[i] = 0.0;
            for (int j = 0; j < n; j++) { K[i*n + j] = dot(&g[i*LENGTH], &g[j*LENGTH]); }
            for (int j = 0; j < m; j++) { s[i] += S[i*m + j] = dot(&g[i*LENGTH], &t[j*LENGTH]); }
            score[i] = s[i];
        }
        for (int i = 0; i < m; i++) { for (int j = 0; j < m; j++) { q += Q[i*m + j] = dot(&t[i*LENGTH], &t[j*LENGTH]); } }
    }
    Statistics host() { return Statistics{ K, s, &q, score, S, Q, NULL }; }
    void write(Statistics st) const {
        device_write(st.K, K, sizeof(K));
        device_write(st.s, s, sizeof(s));
        device_write(st.q, &q, sizeof(q));
        device_write(st.score, score, sizeof(score));
        device_write(st.S, S, sizeof(S));
        device_write(st.Q, Q, sizeof(Q));
    }
};

// Groups as others are, with a NaN in a row's gradient, without a target, with rows that are alike, with a target that is not finite,
// with scores that are not s.
static void draw(Known* known) {
    for (int k = 0; k < GROUPS; k++) {
        Array g = fill(n*LENGTH), t = fill(m*LENGTH);
        for (int c = 0; c < LENGTH; c++) { for (int j = 0; j < m; j++) { t[j*LENGTH + c] += 0.5f * g[c]; } }
        if (k == 2) { for (float& x : t) { x = 0.0f; } }
        if (k == 3) { for (int c = 0; c < LENGTH; c++) { g[3*LENGTH + c] = g[6*LENGTH + c] = g[c]; } }
        known[k].find(g, t);
        if (k == 1) {
            for (int j = 0; j < n; j++) { known[k].K[2*n + j] = known[k].K[j*n + 2] = NAN; }
            for (int j = 0; j < m; j++) { known[k].S[2*m + j] = NAN; }
            known[k].s[2] = known[k].score[2] = NAN;
        }
        if (k == 4) { known[k].q = known[k].Q[0] = NAN; }
        for (int i = 0; i < n && k == 5; i++) { known[k].score[i] = -known[k].s[i]; }
    }
}

static bool same(double got, double want, double scale) { return (isnan(got) && isnan(want)) || fabs(got - want) <= SAME * scale; }

// <u,t> and |u|^2 of the answer; what a row without a weight holds plays no part.
static void expect_measures(const GroupResult* r, const double* alpha, const Known* known, int needs) {
    double dot = r->beta * known->q, square = r->beta * dot, scale = fabs(square);
    for (int i = 0; i < n; i++) {
        if (alpha[i] == 0.0) { continue; }
        dot += alpha[i] * known->s[i];
        square += 2.0 * r->beta * alpha[i] * known->s[i];
        for (int j = 0; j < n; j++) {
            if (alpha[j] == 0.0) { continue; }
            square += alpha[i] * alpha[j] * known->K[i*n + j];
            scale += fabs(alpha[i] * alpha[j] * known->K[i*n + j]);
        }
    }
    expect(same(r->q, known->q, fabs(known->q)));
    expect(same(r->dot_ut, dot, sqrt(scale * fabs(known->q)) + fabs(dot)));
    if (needs & NEEDS_K) { expect(same(r->norm_u2, square, scale + 1e-300)); } else { expect(isnan(r->norm_u2)); }
}

static void expect_solved(Groups* groups, Known* known, GroupTask task) {
    GroupResult result[GROUPS];
    double alpha[GROUPS*n], score[GROUPS*n];
    float weight[GROUPS*(n + m)];
    Rows rows = { n, m, usable, domain, DOMAINS, 0 };
    std::vector<double> work(solve_work(n, m, DOMAINS));
    int failures = test_failures;
    task.rows = groups_rows(groups, rows);
    group_solve(groups, FIRST, GROUPS, &task);
    device_read(result, groups->result + FIRST, sizeof(result));
    device_read(alpha, groups->alpha + FIRST * n, sizeof(alpha));
    device_read(score, groups->score + FIRST * n, sizeof(score));
    device_read(weight, groups->weight, sizeof(weight));
    for (int k = 0; k < GROUPS; k++) {
        double want[n], beta, largest;
        Statistics st = known[k].host();
        Knobs knobs = task.knobs;
        knobs.seed = drpt_group_seed(knobs.seed, task.step, (uint64_t)(FIRST + k));
        Verdict v = drpt_solve(want, &beta, task.method, &st, rows, task.needs, knobs, work.data());
        largest = fabs(beta);
        for (int i = 0; i < n; i++) { largest = fmax(largest, fabs(want[i])); }
        expect(same(result[k].beta, beta, largest));
        for (int i = 0; i < n; i++) {
            expect(same(alpha[k*n + i], want[i], largest) && (alpha[k*n + i] != 0.0) == (want[i] != 0.0));
            expect(weight[k*(n + m) + i] == (float)alpha[k*n + i] && same(score[k*n + i], known[k].score[i], fabs(known[k].score[i])));
        }
        for (int j = 0; j < m; j++) { expect(weight[k*(n + m) + n + j] == (float)result[k].beta); }
        expect(result[k].verdict.dropped == v.dropped && result[k].verdict.skipped == v.skipped);
        expect(same(result[k].verdict.strength, v.strength, 1.0));
        expect_measures(&result[k], alpha + k*n, &known[k], task.needs);
    }
    if (test_failures > failures) { fprintf(stderr, "    %s, strength %g, rescale %d\n", method_name[task.method], task.knobs.strength, task.knobs.rescale); }
}

static void test_solve(void) {
    static const double strengths[] = { 1.0, 0.6, -1.0 };
    Known known[GROUPS];
    Groups groups = groups_create(n, m, DOMAINS, 1, 1, 1);
    expect(groups.slots >= GROUPS);
    draw(known);
    for (int k = 0; k < GROUPS; k++) { known[k].write(groups_statistics(&groups, k)); }
    for (int method = 0; method < METHOD_inside; method++) {
        for (int rescale = 0; rescale < NUM_RESCALES; rescale++) {
            for (double strength : strengths) {
                GroupTask task = {};
                task.method = (Method)method;
                task.knobs = Knobs{ 0.5, 0.05, 0.3, 1.0, 0.5, strength, (Rescale)rescale, 11 };
                task.needs = solve_needs(task.method, task.knobs) | (rescale == 0 ? NEEDS_Q : NEEDS_S);
                task.step = 9;
                expect_solved(&groups, known, task);
            }
        }
    }
    groups_free(&groups);
}

static std::vector<double> on_host(const double* p, size_t count) {
    std::vector<double> x(count);
    device_read(x.data(), p, sizeof(double) * count);
    return x;
}

// Target rows that are the general rows: as on the host, and the scores are without their rows' own parts, score as well as s.
static void test_own_rows(void) {
    enum { ROWS = 5, SLOTS = 3 };
    const unsigned char use[ROWS] = { 1, 1, 1, 0, 1 };
    Groups groups = groups_create(ROWS, ROWS, 1, 1, 1, 1);
    double K[SLOTS][ROWS*ROWS], s[SLOTS][ROWS], q[SLOTS], score[SLOTS][ROWS], S[SLOTS][ROWS*ROWS], Q[ROWS*ROWS] = {};
    std::vector<double> work(solve_work(ROWS, ROWS, 1));
    Rows rows = { ROWS, ROWS, use, NULL, 1, 1 };
    for (int k = 0; k < SLOTS; k++) {
        Array g = fill(ROWS*LENGTH), t = fill(ROWS*LENGTH), sum(LENGTH, 0.0f);
        for (int i = 0; i < ROWS*LENGTH; i++) { t[i] += g[i]; sum[i % LENGTH] += t[i]; }
        q[k] = Known::dot(&sum[0], &sum[0]);
        for (int i = 0; i < ROWS; i++) {
            s[k][i] = Known::dot(&g[i*LENGTH], &sum[0]);
            score[k][i] = s[k][i] + (k == 2 ? (float)i : 0.0f);
            for (int j = 0; j < ROWS; j++) {
                K[k][i*ROWS + j] = Known::dot(&g[i*LENGTH], &g[j*LENGTH]);
                S[k][i*ROWS + j] = Known::dot(&g[i*LENGTH], &t[j*LENGTH]);
            }
        }
        Statistics st = groups_statistics(&groups, k);
        device_write(st.K, K[k], sizeof(K[k]));
        device_write(st.s, s[k], sizeof(s[k]));
        device_write(st.q, &q[k], sizeof(q[k]));
        device_write(st.score, score[k], sizeof(score[k]));
        device_write(st.S, S[k], sizeof(S[k]));
        device_write(st.Q, Q, sizeof(Q));
    }
    for (int method = 0; method < METHOD_inside; method++) {
        double alpha[SLOTS*ROWS], scores[SLOTS*ROWS], want[ROWS], beta;
        GroupResult result[SLOTS];
        GroupTask task = {};
        task.method = (Method)method;
        task.knobs = Knobs{ 0.5, 0.05, 0.3, 1.0, 0.5, 1.0, method % 2 ? RESCALE_ray : RESCALE_none, 11 };
        task.needs = solve_needs(task.method, task.knobs) | NEEDS_S | NEEDS_ROWS;
        task.rows = groups_rows(&groups, rows);
        group_solve(&groups, 0, SLOTS, &task);
        device_read(alpha, groups.alpha, sizeof(alpha));
        device_read(scores, groups.score, sizeof(scores));
        device_read(result, groups.result, sizeof(result));
        for (int k = 0; k < SLOTS; k++) {
            Statistics st = { K[k], s[k], &q[k], score[k], S[k], Q, NULL };
            Knobs knobs = task.knobs;
            knobs.seed = drpt_group_seed(knobs.seed, 0, (uint64_t)k);
            drpt_solve(want, &beta, task.method, &st, rows, task.needs, knobs, work.data());
            double dot = beta * q[k];
            for (int i = 0; i < ROWS; i++) {
                expect(same(alpha[k*ROWS + i], want[i], 1.0 + fabs(beta)));
                expect(same(scores[k*ROWS + i], score[k][i] - S[k][i*ROWS + i], q[k]));
                dot += want[i] * s[k][i];
            }
            expect(same(result[k].dot_ut, dot, (1.0 + fabs(beta)) * q[k]) && same(result[k].q, q[k], q[k]));
        }
    }
    groups_free(&groups);
}

// What is cleared is whole slots and no more.
static void test_clear(void) {
    Groups groups = groups_create(n, m, 1, 1, 1, 1);
    Known full;
    full.find(fill(n*LENGTH), fill(m*LENGTH));
    for (int i = 0; i < n; i++) { full.score[i] = 1.0 + i; }
    for (int k = 0; k < 3; k++) { full.write(groups_statistics(&groups, k)); }
    groups_clear(&groups, 2);
    for (int k = 0; k < 3; k++) {
        Statistics st = groups_statistics(&groups, k);
        const double* piece[] = { st.K, st.s, st.q, st.score, st.S, st.Q };
        const double* want[] = { full.K, full.s, &full.q, full.score, full.S, full.Q };
        const size_t count[] = { n*n, n, 1, n, n*m, m*m };
        for (int p = 0; p < 6; p++) {
            std::vector<double> got = on_host(piece[p], count[p]);
            for (size_t i = 0; i < count[p]; i++) { expect(got[i] == (k < 2 ? 0.0 : want[p][i])); }
        }
    }
    groups_free(&groups);
}

// More rows than lanes; a row that is not usable, one that is not finite; a layer whose rows add nothing.
static void test_add_normalised(void) {
    enum { ROWS = 70 };
    std::vector<double> before(ROWS), s(ROWS), start(ROWS);
    std::vector<unsigned char> use(ROWS, 1);
    double sum = 0.0;
    int count = 0;
    for (int i = 0; i < ROWS; i++) { before[i] = i * 0.25; s[i] = before[i] + i % 5 - 1.5; start[i] = 3.0 * i; }
    use[33] = 0;
    s[34] = NAN;
    for (int i = 0; i < ROWS; i++) { if (use[i] && !isnan(s[i])) { sum += fabs(s[i] - before[i]); count++; } }
    OnDevice<double> score(start), of_s(s), of_before(before);
    OnDevice<unsigned char> of_use(use);
    group_add_normalised(score, of_s, of_before, of_use, ROWS);
    group_add_normalised(score, of_before, of_before, of_use, ROWS); // nothing
    std::vector<double> got = score.read();
    for (int i = 0; i < ROWS; i++) { expect(same(got[i], start[i] + (s[i] - before[i]) * count / sum, 300.0)); }
    group_add_normalised(score, of_s, NULL, of_use, ROWS);
    expect(fabs(score.read()[1] - got[1]) > 1e-3);
}

// ---------------------------------------------------------------------------------------------
// assemble

enum { B = 6, T = 9 };
static const Array mixed = { 0.5f, 0.0f, -1.25f, 0.0f, 0.0f, 2.0f };

// Of the rows with a weight, columns [o, o+cols) of a factor (B*T, stride); all else stays unwritten: reading it traps.
static void write_rows(Real* to, const Array& x, const Array& weight, int stride, int o, int cols) {
    for (int at = 0; at < B*T; at++) {
        if (weight[at / T] == 0.0f) { continue; }
        std::vector<Real> line(cols);
        for (int c = 0; c < cols; c++) { line[c] = (Real)x[(size_t)at*stride + o + c]; }
        device_write(to + (size_t)at*stride + o, line.data(), sizeof(Real) * cols);
    }
}

static void write_numbers(float* to, const Array& x, const Array& weight) {
    for (int at = 0; at < B*T; at++) { if (weight[at / T] != 0.0f) { device_write(to + at, &x[at], sizeof(float)); } }
}

// A site of some kind with all its factors. parts 3: the second of three.
struct Layer {
    Site site = {};
    int rows, cols, stride, o;
    Array dout, inp, mean, rstd, dlookup, dweight, dbias;
    std::vector<int> tokens;
    OnDevice<Real> of_dout, of_inp, of_dlookup;
    Floats of_mean, of_rstd, of_dweight, of_dbias;
    Ints of_tokens;

    static int across(SiteKind kind, int rows, int cols, int parts) { return kind == SITE_POSITION ? cols : rows * parts; }
    static int of_input(SiteKind kind, int rows, int cols) { return kind == SITE_LAYERNORM ? rows : cols; }
    static std::vector<int> draw_tokens(int V) {
        std::vector<int> x(B*T);
        for (int i = 0; i < B*T; i++) { x[i] = i % 3 == 0 ? V / 2 : i * 7 % V; }
        return x;
    }

    Layer(SiteKind kind, int rows_, int cols_, bool bias, int parts, const Array& weight) :
        rows(rows_), cols(cols_), stride(across(kind, rows_, cols_, parts)), o(parts > 1 ? rows_ : 0),
        dout(fill_real((size_t)B*T * stride)), inp(fill_real((size_t)B*T * of_input(kind, rows_, cols_))), mean(fill(B*T)), rstd(fill(B*T)),
        dlookup(fill_real((size_t)B*T * cols_)), dweight(fill((size_t)rows_ * cols_)), dbias(fill(rows_)), tokens(draw_tokens(rows_)),
        of_dout(dout.size()), of_inp(inp.size()), of_dlookup(dlookup.size()), of_mean(B*T), of_rstd(B*T), of_dweight(dweight), of_dbias(dbias),
        of_tokens(tokens) {
        int width = kind == SITE_POSITION ? cols : rows;
        write_rows(of_dout, dout, weight, stride, o, width);
        write_rows(of_inp, inp, weight, of_input(kind, rows, cols), 0, of_input(kind, rows, cols));
        write_rows(of_dlookup, dlookup, weight, cols, 0, cols);
        write_numbers(of_mean, mean, weight);
        write_numbers(of_rstd, rstd, weight);
        site.kind = kind;
        site.name = "a layer";
        site.dweight = of_dweight;
        site.dbias = bias ? (float*)of_dbias : NULL;
        site.dout = of_dout + o;
        site.inp = of_inp;
        site.mean = of_mean;
        site.rstd = of_rstd;
        site.dlookup = of_dlookup;
        site.tokens = of_tokens;
        site.rows = rows;
        site.cols = cols;
        site.stride = stride;
        site.parts = parts;
        site.part = parts > 1;
    }

    // What position `at` adds, times w.
    void add(double* dw, double* db, int at, double w) const {
        if (site.kind == SITE_LAYERNORM) {
            for (int c = 0; c < rows; c++) {
                double d = w * dout[(size_t)at*rows + c];
                dw[c] += d * ((double)inp[(size_t)at*rows + c] - mean[at]) * rstd[at];
                db[c] += d;
            }
        }
        if (site.kind == SITE_POSITION) { for (int c = 0; c < cols; c++) { dw[at % T % rows * cols + c] += w * dout[(size_t)at*cols + c]; } }
        if (site.kind == SITE_LINEAR || site.kind == SITE_TOKEN) {
            for (int r = 0; r < rows; r++) {
                double d = w * dout[(size_t)at*stride + o + r];
                for (int c = 0; c < cols; c++) { dw[r*cols + c] += d * inp[(size_t)at*cols + c]; }
                db[r] += d;
            }
        }
        if (site.kind == SITE_TOKEN || site.kind == SITE_LOOKUP) {
            for (int c = 0; c < cols; c++) { dw[tokens[at]*cols + c] += w * dlookup[(size_t)at*cols + c]; }
        }
    }

    void expect_sum(const Array& weight) const {
        std::vector<double> dw(dweight.begin(), dweight.end()), db(dbias.begin(), dbias.end());
        for (int at = 0; at < B*T; at++) { if (weight[at / T] != 0.0f) { add(dw.data(), db.data(), at, weight[at / T]); } }
        Array want(dw.begin(), dw.end()), want_bias(db.begin(), db.end());
        expect_close(of_dweight.read().data(), want.data(), want.size(), TOLERANCE);
        expect_close(of_dbias.read().data(), (site.dbias ? want_bias : dbias).data(), dbias.size(), TOLERANCE);
    }
};

// With room for everything, with as much as is asked for, and with so little that a row of the batch and few columns fit.
static void expect_assembled(SiteKind kind, int rows, int cols, bool bias, int parts, const Array& weight, int most) {
    size_t asked = assemble_scratch(most, T, cols), little = 2 * (size_t)T * (size_t)cols + 64 + 5*T, sizes[] = { 1 << 16, asked, little };
    int failures = test_failures;
    for (size_t part : sizes) {
        Layer layer(kind, rows, cols, bias, parts, weight);
        Floats scratch(part), w(weight);
        drpt_assemble(&layer.site, w, B, most, T, scratch, part, 1);
        layer.expect_sum(weight);
    }
    if (test_failures > failures) { fprintf(stderr, "    kind %d, %d x %d, %d parts, at most %d rows\n", kind, rows, cols, parts, most); }
}

static void expect_all_kinds(const Array& weight, int most) {
    expect_assembled(SITE_LINEAR, 150, 37, true, 1, weight, most);
    expect_assembled(SITE_LINEAR, 13, 21, false, 1, weight, most);
    expect_assembled(SITE_LINEAR, 11, 19, true, 3, weight, most);
    expect_assembled(SITE_LAYERNORM, 75, 1, true, 1, weight, most);
    expect_assembled(SITE_POSITION, T, 37, false, 1, weight, most);
    expect_assembled(SITE_POSITION, T/3, 37, false, 1, weight, most); // three sequences in a row
    expect_assembled(SITE_TOKEN, 41, 23, false, 1, weight, most);
    expect_assembled(SITE_LOOKUP, 29, 300, false, 1, weight, most);
}

static void test_assemble(void) {
    expect_all_kinds(mixed, 3);                                            // as many as have a weight
    expect_all_kinds(mixed, B);                                            // more
    expect_all_kinds(Array{ 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f }, 1);
    expect_all_kinds(Array{ 1.0f, 2.0f, 3.0f, -1.0f, -2.0f, -3.0f }, B);
    expect_all_kinds(Array(B, 0.0f), 2);                                   // none
}

// More rows than a warp has lanes.
static void test_many_rows(void) {
    enum { ROWS = 75, C = 3, OC = 5 };
    Array dout = fill_real(ROWS*OC), inp = fill_real(ROWS*C), weight(ROWS, 0.0f), dweight(OC*C, 0.0f);
    for (int b : { 3, 31, 32, 40, 63, 64, 74 }) { weight[b] = 0.1f * (float)b; }
    for (int b = 0; b < ROWS; b++) {
        for (int k = 0; k < OC*C; k++) { dweight[k] += weight[b] * dout[b*OC + k / C] * inp[b*C + k % C]; }
    }
    OnDevice<Real> of_dout(real(dout)), of_inp(real(inp));
    Floats w(weight), got(Array(OC*C, 0.0f)), scratch(1 << 12);
    Site site = {};
    site.dweight = got;
    site.dout = of_dout;
    site.inp = of_inp;
    site.rows = site.stride = OC;
    site.cols = C;
    drpt_assemble(&site, w, ROWS, 9, 1, scratch, 1 << 12, 1);
    expect_close(got.read().data(), dweight.data(), dweight.size(), TOLERANCE);
}

// Without weights every row counts 1, as with ones.
static void test_no_weights(void) {
    Array ones(B, 1.0f);
    Layer plain(SITE_LINEAR, 31, 17, true, 1, ones), norm(SITE_LAYERNORM, 33, 1, true, 1, ones), token(SITE_TOKEN, 23, 11, false, 1, ones);
    for (Layer* layer : { &plain, &norm, &token }) {
        drpt_assemble(&layer->site, NULL, B, B, T, NULL, 0, 1);
        layer->expect_sum(ones);
    }
}

static void test_too_little_room(void) {
    Layer layer(SITE_LINEAR, 8, 16, true, 1, mixed);
    Floats scratch(100), w(mixed);
    expect_dies("do not hold a row of 9 x 16", drpt_assemble(&layer.site, w, B, 3, T, scratch, 100, 1));
    expect_dies("not kept", drpt_assemble_kept(&layer.site, w, w, n, 1));
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "group/solve", test_solve },
        { "group/own_rows", test_own_rows },
        { "group/clear", test_clear },
        { "group/add_normalised", test_add_normalised },
        { "group/assemble", test_assemble },
        { "group/many_rows", test_many_rows },
        { "group/no_weights", test_no_weights },
        { "group/too_little_room", test_too_little_room },
    };
    device_start(TEST_PRECISION);
    return test_main(argc, argv, tests, (int)(sizeof(tests) / sizeof(tests[0])));
}
