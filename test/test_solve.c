// test_solve.c -- every method against its definition, in double precision and by other means: full enumeration,
// elimination, Gram-Schmidt in the space of the gradients. Here the selections, span and cone, and what holds of all methods;
// the others in test_family.c. Numbers are those of the invariants in the design's list.
#include "gradients.h"

static void expect_full(void) {
    expect(beta == 0.0);
    for (int i = 0; i < n; i++) { expect(fabs(alpha[i] - 1.0 / n) <= 1e-15); }
}

// ---------------------------------------------------------------------------------------------
// other ways to the same answer

// The projection on the cone: of all sets of rows whose free minimum is not negative, the best. Some best set
// is independent (Caratheodory), so that singular ones need not be looked at. With mu the problem is the one
// of the rows (g_i, sqrt(mu) e_i), whose Gram matrix is K + mu I.
static void enumerate_cone(double* best, double mu) {
    double least = 0.0; // of 1/2 a'Ka - s'a; the empty set
    for (int i = 0; i < n; i++) { best[i] = 0.0; }
    for (int set = 1; set < 1 << n; set++) {
        double A[100], b[10], x[10];
        int P[10], p = 0, fits = 1;
        for (int i = 0; i < n; i++) { if (set >> i & 1) { P[p++] = i; } }
        for (int i = 0; i < p; i++) {
            b[i] = s[P[i]];
            for (int j = 0; j < p; j++) { A[i*p + j] = K[P[i]*n + P[j]] + (i == j ? mu : 0.0); }
        }
        if (!eliminate(A, b, x, p)) { continue; }
        double value = 0.0; // at a free minimum it is -1/2 s'a
        for (int i = 0; i < p; i++) { fits &= x[i] >= 0.0; value -= 0.5 * x[i] * s[P[i]]; }
        if (!fits || !(value < least)) { continue; }
        least = value;
        for (int i = 0; i < n; i++) { best[i] = 0.0; }
        for (int i = 0; i < p; i++) { best[P[i]] = x[i]; }
    }
}

// ---------------------------------------------------------------------------------------------
// the weights that need no solver

static void test_full_target_mix(void) {
    for (n = 1; n <= 7; n++) {
        draw(n, 5);
        knobs = KNOBS(.mix = 0.3);
        solve(METHOD_full);
        expect_full();
        expect(verdict.skipped == 0 && verdict.dropped == 0);
        solve(METHOD_target);
        expect(beta == 1.0);
        for (int i = 0; i < n; i++) { expect(alpha[i] == 0.0); }
        solve(METHOD_mix);
        expect(beta == 0.3);
        for (int i = 0; i < n; i++) { expect(fabs(alpha[i] - 0.7 / n) <= 1e-15); }
        knobs.mix = 0.0;
        solve(METHOD_mix);
        expect_full();
    }
}

// [16] Row i is kept if fewer than k rows come before it, by score and then by index. The fraction is c hundredths, so that
// floor(keep * n) can be had in whole numbers; 0.58 * 50 is less than 29 in binary.
static void test_subset_is_top_k(void) {
    for (n = 1; n <= 50; n += 7) {
        for (int c = 0; c <= 100; c++) {
            d = 0;
            for (int i = 0; i < n; i++) { s[i] = below(5) - 2; usable[i] = 1; }
            q = 1.0;
            knobs = KNOBS(.keep = c / 100.0);
            solve(METHOD_subset);
            int k = c * n / 100 > 1 ? c * n / 100 : 1;
            for (int i = 0; i < n; i++) {
                int before = 0;
                for (int j = 0; j < n; j++) { before += s[j] > s[i] || (s[j] == s[i] && j < i); }
                expect(alpha[i] == (before < k ? 1.0 / k : 0.0));
            }
        }
    }
}

// [6, 16]
static void test_subset_invariances(void) {
    draw(11, 6);
    double first[MAX_N], score[MAX_N];
    memcpy(score, s, sizeof(s));
    knobs = KNOBS(.keep = 0.4);
    solve(METHOD_subset);
    memcpy(first, alpha, sizeof(alpha));
    for (int i = 0; i < n; i++) { s[i] = 1e-12 * score[i]; }
    solve(METHOD_subset);
    expect_near(alpha, first, n, 1.0, 0.0);
    for (int i = 0; i < n; i++) { s[i] = 4.0 * score[i] - 100.0; } // all negative: it moves all the same
    solve(METHOD_subset);
    expect_near(alpha, first, n, 1.0, 0.0);
    expect(verdict.skipped == 0);
    for (int i = 0; i < n; i++) { s[i] = score[(i * 7 + 3) % n]; }
    solve(METHOD_subset);
    for (int i = 0; i < n; i++) { expect(alpha[i] == first[(i * 7 + 3) % n]); }
    knobs.keep = 1.0;
    solve(METHOD_subset);
    expect_full();
}

// [17]
static void test_filter_by_definition(void) {
    for (int trial = 0; trial < 200; trial++) {
        draw(1 + below(12), 4);
        if (trial % 3 == 0) { s[below(n)] = 0.0; }
        int k = 0;
        for (int i = 0; i < n; i++) { k += s[i] >= 0.0; }
        solve(METHOD_filter);
        for (int i = 0; i < n; i++) { expect(alpha[i] == (s[i] >= 0.0 ? 1.0 / k : 0.0)); }
        expect(verdict.skipped == (k == 0));
        expect(dot(alpha, s, n) >= 0.0);
    }
    for (int i = 0; i < n; i++) { s[i] = -1.0 - i; }
    solve(METHOD_filter);
    expect(verdict.skipped == 1 && dot(u, u, d) == 0.0 && dot(alpha, alpha, n) == 0.0);
    for (int i = 0; i < n; i++) { s[i] = i; }
    solve(METHOD_filter);
    expect_full();
}

static void test_random_draws_fairly(void) {
    enum { DRAWS = 4000 };
    draw(10, 3);
    knobs = KNOBS(.keep = 0.3);
    double mean[MAX_N] = {0}, both = 0.0, before[MAX_N] = {0};
    int same = 0;
    for (int i = 0; i < DRAWS; i++) {
        knobs.seed = (uint64_t)i;
        solve(METHOD_random);
        int k = 0;
        for (int j = 0; j < n; j++) { k += alpha[j] == 1.0 / 3; mean[j] += alpha[j] / DRAWS; }
        expect(k == 3 && fabs(dot(alpha, alpha, n) - 3.0 / 9) < 1e-12);
        same += memcmp(alpha, before, sizeof(double) * (size_t)n) == 0;
        both += alpha[2] > 0.0 && alpha[7] > 0.0;
        memcpy(before, alpha, sizeof(alpha));
    }
    // Five standard deviations of each of these counts.
    for (int j = 0; j < n; j++) { expect(fabs(mean[j] - 0.1) < 5.0 / 3 * sqrt(0.3 * 0.7 / DRAWS)); }
    expect(fabs(both / DRAWS - 3.0 * 2 / (10 * 9)) < 5.0 * sqrt(0.067 / DRAWS));
    expect(fabs(same - DRAWS / 120.0) < 5.0 * sqrt(DRAWS / 120.0)); // of the 120 sets of 3
    memcpy(before, alpha, sizeof(alpha));
    for (int j = 0; j < n; j++) { s[j] = -s[j]; } // the scores are none of its business
    solve(METHOD_random);
    expect_near(alpha, before, n, 1.0, 0.0);
    knobs.keep = 1.0;
    solve(METHOD_random);
    expect_full();
}

// ---------------------------------------------------------------------------------------------
// span

static void test_span_solves_the_ridge_system(void) {
    for (int trial = 0; trial < 100; trial++) {
        draw(1 + below(20), 1 + below(30));
        knobs = KNOBS(.ridge = trial % 2 ? 0.05 : 3.0);
        double A[MAX_N*MAX_N], b[MAX_N], want[MAX_N];
        for (int i = 0; i < n*n; i++) { A[i] = K[i] + (i % (n + 1) == 0 ? knobs.ridge * mean_square() : 0.0); }
        memcpy(b, s, sizeof(b));
        expect(eliminate(A, b, want, n));
        solve(METHOD_span);
        expect(beta == 0.0);
        expect_near(alpha, want, n, 1.0, 1e-9);
    }
}

// [35, 37] The residual is at right angles to every row; what lies in the span stays.
static void test_span_projects(void) {
    for (int trial = 0; trial < 200; trial++) {
        if (trial % 2) { draw(1 + below(12), 20 + below(10)); } else { draw_dependent(1 + below(14), 1 + below(14)); }
        double want[MAX_D], zero[MAX_N] = {0}, left[MAX_N], again[MAX_D];
        project_by_basis(want);
        knobs = KNOBS(.ridge = 0.0);
        solve(METHOD_span);
        expect_near(u, want, d, length_of_t(), 1e-6);
        for (int i = 0; i < n; i++) { left[i] = s[i] - dot(g[i], u, d); }
        expect_near(left, zero, n, sqrt(mean_square() * q), 1e-6);
        memcpy(again, u, sizeof(u));
        memcpy(t, u, sizeof(u));
        products();
        solve(METHOD_span);
        expect_near(u, again, d, sqrt(dot(again, again, d)) + 1e-9, 1e-6); // what lies in the span stays
    }
}

static void test_span_is_unmoved_by_duplicates(void) {
    draw(5, 12);
    double want[MAX_D], residual[MAX_D], before = q;
    knobs = KNOBS(.ridge = 0.0);
    solve(METHOD_span);
    memcpy(want, u, sizeof(u));
    for (int i = 0; i < 5; i++) { memcpy(g[n++], g[i], sizeof(g[i])); }
    products();
    solve(METHOD_span);
    expect_near(u, want, d, length_of_t(), 1e-9);
    for (n = 1; n <= 9; n++) { // every general row can only add to the span; the last four are duplicates
        products();
        solve(METHOD_span);
        for (int k = 0; k < d; k++) { residual[k] = t[k] - u[k]; }
        expect(dot(residual, residual, d) <= before * (1 + 1e-9));
        before = dot(residual, residual, d);
    }
}

// [38] To the direction of sum s_i g_i.
static void test_span_shrinks_with_the_ridge(void) {
    for (int trial = 0; trial < 20; trial++) {
        draw_dependent(2 + below(10), 2 + below(12));
        double before = length_of_t() * (1 + 1e-9), power[MAX_D] = {0};
        for (double ridge = 0.0; ridge < 1e7; ridge = ridge == 0.0 ? 1e-3 : ridge * 10) {
            knobs = KNOBS(.ridge = ridge);
            solve(METHOD_span);
            double norm = sqrt(dot(u, u, d));
            expect(norm <= before);
            expect(dot(u, t, d) >= 0.0);
            before = norm * (1 + 1e-9);
        }
        for (int i = 0; i < n; i++) { for (int k = 0; k < d; k++) { power[k] += s[i] * g[i][k] / (knobs.ridge * mean_square()); } }
        expect_near(u, power, d, sqrt(dot(power, power, d)), 1e-4); // G's, and small
    }
}

// ---------------------------------------------------------------------------------------------
// cone

// alpha >= 0; no row would still help; a row that is used is used to the full. In units of |g_i| |t|.
static void expect_optimal(double mu, double tol) {
    for (int i = 0; i < n; i++) {
        double unit = sqrt((K[i*n + i] + mu) * q);
        double slope = s[i] - dot(&K[i*n], alpha, n) - mu * alpha[i];
        if (!(alpha[i] >= 0.0 && slope <= tol * unit && (alpha[i] == 0.0 || fabs(slope) <= tol * unit))) {
            fprintf(stderr, "%s: n %d, d %d: alpha_%d %g has slope %g of %g\n", __FILE__, n, d, i, alpha[i], slope, unit);
            test_failures++;
            return;
        }
    }
}

// [35]
static void test_cone_is_the_best_of_all_sets(void) {
    for (int trial = 0; trial < 400; trial++) {
        int rows = trial % 40 == 0 ? 10 : 1 + below(7);
        if (trial % 2) { draw(rows, 1 + below(12)); } else { draw_dependent(rows, 1 + below(9)); }
        knobs = KNOBS(.ridge = trial % 4 < 2 ? 0.0 : 0.1);
        double best[MAX_N], want[MAX_D], mu = knobs.ridge * mean_square();
        enumerate_cone(best, mu);
        solve(METHOD_cone);
        memcpy(want, u, sizeof(u));
        expect(beta == 0.0);
        expect_optimal(mu, 1e-8);
        if (mu > 0.0) { expect_near(alpha, best, n, 1.0 + sqrt(dot(best, best, n)), 1e-7); }
        memcpy(alpha, best, sizeof(alpha));
        form_update();
        expect_near(want, u, d, length_of_t(), 1e-7);
    }
}

// [39] The residual is in the polar cone and orthogonal to the update (Moreau).
static void test_cone_splits_the_target(void) {
    for (int trial = 0; trial < 300; trial++) {
        int rows = 1 + below(49);
        if (trial % 3) { draw(rows, 1 + below(MAX_D - 1)); } else { draw_dependent(rows, 1 + below(MAX_D - 1)); }
        knobs = KNOBS(.ridge = 0.0);
        solve(METHOD_cone);
        expect_optimal(0.0, 1e-8);
        double norm = dot(u, u, d);
        expect(fabs(dot(u, t, d) - norm) <= 1e-8 * q);
        expect(norm <= q * (1 + 1e-9));
        solve(METHOD_span);
        expect(norm <= dot(u, u, d) * (1 + 1e-6) + 1e-9 * q);
    }
}

static void test_cone_does_nothing_when_nothing_helps(void) {
    for (int trial = 0; trial < 50; trial++) {
        draw(1 + below(15), 1 + below(20));
        for (int i = 0; i < n; i++) { if (s[i] > 0.0) { for (int k = 0; k < d; k++) { g[i][k] = -g[i][k]; } } }
        products();
        solve(METHOD_cone);
        expect(verdict.skipped == 1 && dot(alpha, alpha, n) == 0.0);
    }
}

static void test_cone_finds_copies_of_the_target(void) {
    draw(6, 15);
    for (int k = 0; k < d; k++) { t[k] = g[1][k] + 2.0 * g[4][k]; }
    products();
    double want[MAX_N] = { 0, 1, 0, 0, 2, 0 };
    knobs = KNOBS(.ridge = 0.0);
    solve(METHOD_cone);
    expect_near(alpha, want, n, 1.0, 1e-9);
    solve(METHOD_span);
    expect_near(alpha, want, n, 1.0, 1e-9);
}

// ---------------------------------------------------------------------------------------------
// scales

static void rescale_rows(double smallest_exponent, double largest_exponent) {
    for (int i = 0; i < n; i++) {
        double c = pow(10.0, smallest_exponent + (largest_exponent - smallest_exponent) * below(1001) / 1000);
        for (int k = 0; k < d; k++) { g[i][k] *= c; }
    }
    products();
}

// Without a ridge the span and the cone of the rows do not know their lengths.
static void test_lengths_of_the_rows_do_not_matter(void) {
    for (int trial = 0; trial < 100; trial++) {
        if (trial % 2) { draw(1 + below(12), 16); } else { draw_dependent(1 + below(12), 8); }
        for (int method = METHOD_span; method <= METHOD_cone; method++) {
            double want[MAX_D];
            knobs = KNOBS(.ridge = 0.0);
            solve((Method)method);
            memcpy(want, u, sizeof(u));
            rescale_rows(-6, 6);
            solve((Method)method);
            expect_near(u, want, d, length_of_t(), 1e-6);
            if (method == METHOD_cone) { expect_optimal(0.0, 1e-8); }
        }
    }
}

// How alpha grows with the target alone: 1 as it does, 0 not at all, -1 otherwise.
static int degree(int method) {
    switch (method) {
        case METHOD_span: case METHOD_cone: case METHOD_agem: case METHOD_gem: return 1;
        case METHOD_greedy: case METHOD_simplex: case METHOD_capped: case METHOD_pcgrad: case METHOD_cagrad: return -1;
        default: return 0;
    }
}

// The weights do not change when all gradients are measured in another unit.
static void test_units_do_not_matter(void) {
    const double units[] = { 1e-12, 1e-3, 1e6 };
    for (int method = 0; method < FAMILY; method++) {
        draw(8, 6);
        double want[MAX_N], kept_K[MAX_N*MAX_N], kept_s[MAX_N], kept_q = q;
        memcpy(kept_K, K, sizeof(K));
        memcpy(kept_s, s, sizeof(s));
        knobs = KNOBS(.keep = 0.5, .mix = 0.2, .ridge = 0.02);
        solve((Method)method);
        memcpy(want, alpha, sizeof(alpha));
        double want_beta = beta;
        for (int c = 0; c < 3; c++) {
            double unit = units[c] * units[c], factor = degree(method) == 1 ? units[c] : 1.0, scaled[MAX_N];
            for (int i = 0; i < n*n; i++) { K[i] = unit * kept_K[i]; }
            for (int i = 0; i < n; i++) { s[i] = unit * kept_s[i]; }
            q = unit * kept_q;
            solve((Method)method);
            expect_near(alpha, want, n, 1.0, 1e-9);
            expect_near(&beta, &want_beta, 1, 1.0, 1e-9);
            if (degree(method) < 0) { continue; }
            memcpy(K, kept_K, sizeof(K)); // the target alone
            for (int i = 0; i < n; i++) { s[i] = units[c] * kept_s[i]; scaled[i] = factor * want[i]; }
            q = units[c] * units[c] * kept_q;
            solve((Method)method);
            expect_near(alpha, scaled, n, factor, 1e-9);
        }
    }
}

// As drpt_gather() gives them: K and s are sums of single-precision products, and general rows may nearly repeat each
// other. The projection must not blow up where K no longer knows the difference.
static void test_single_precision_products(void) {
    for (int trial = 0; trial < 600; trial++) {
        int near_copies = trial % 2;
        if (trial % 4) { draw(2 + below(14), 1 + below(20)); } else { draw_dependent(2 + below(14), 1 + below(14)); }
        for (int i = 1; i < n && near_copies; i++) {
            int from = below(i);
            double apart = pow(10.0, -1 - below(9));
            for (int k = 0; k < d && below(3) == 0; k++) { for (k = 0; k < d; k++) { g[i][k] = g[from][k] + apart * uniform(); } }
        }
        products();
        for (int i = 0; i < n; i++) {
            for (int j = 0; j <= n; j++) {
                const double* other = j < n ? g[j] : t;
                float sum = 0.0f;
                for (int k = 0; k < d; k++) { sum += (float)g[i][k] * (float)other[k]; }
                *(j < n ? &K[i*n + j] : &s[i]) = sum;
            }
        }
        knobs = KNOBS(.ridge = 0.0);
        for (int method = METHOD_span; method <= METHOD_cone; method++) {
            double best[MAX_D], left = 0.0, least = 0.0;
            solve((Method)method);
            project_by_basis(best); // of the span: for the cone only a bound
            for (int k = 0; k < d; k++) { left += (t[k] - u[k]) * (t[k] - u[k]); least += (t[k] - best[k]) * (t[k] - best[k]); }
            expect(left <= q * (1 + 1e-3)); // doing nothing leaves q
            expect(left >= least - 1e-6 * q);
            if (method == METHOD_span && !near_copies) { expect(left <= least + 1e-3 * q); }
        }
    }
}

// Two rows that nearly cancel, and inner products that are off by less than single precision is. They make the rows
// look far closer to each other than they are, so that weights which just balance there do not in the update.
static void test_rows_that_cancel(void) {
    for (int method = METHOD_span; method <= METHOD_cone; method++) {
        draw(2, 2);
        memset(g, 0, sizeof(g));
        memset(t, 0, sizeof(t));
        g[0][0] = t[0] = 1.0;
        g[1][0] = -1.0;
        g[1][1] = 3e-4;
        products();
        K[3] = 1.0 + 1e-11; // 1 + 9e-8
        s[1] = -1.0 + 1e-7;
        knobs = KNOBS(.ridge = 0.0);
        solve((Method)method);
        expect_near(u, t, d, 1.0, 1e-3);
    }
}

// ---------------------------------------------------------------------------------------------
// methods.md 1.3

static void test_one_row(void) {
    for (int sign = -1; sign <= 1; sign += 2) {
        draw(1, 9);
        if (s[0] * sign < 0.0) { for (int k = 0; k < d; k++) { g[0][k] = -g[0][k]; } products(); }
        knobs = KNOBS(.keep = 0.3);
        solve(METHOD_subset);
        expect_full();
        solve(METHOD_random);
        expect_full();
        double ratio = s[0] / K[0], cut = fmax(0.0, ratio);
        solve(METHOD_span);
        expect_near(alpha, &ratio, 1, 1.0, 1e-12);
        solve(METHOD_cone);
        expect_near(alpha, &cut, 1, 1.0, 1e-12);
        knobs.ridge = 0.5;
        ratio /= 1.5;
        solve(METHOD_span);
        expect_near(alpha, &ratio, 1, 1.0, 1e-12);
    }
}

static void test_no_target_gradient(void) {
    draw(7, 5);
    memset(t, 0, sizeof(t));
    products();
    knobs = KNOBS(.keep = 0.4, .mix = 0.5);
    for (int method = 0; method < FAMILY; method++) {
        solve((Method)method);
        expect(verdict.skipped == 1 && verdict.dropped == 0); // flagged, whatever it does
        for (int i = 0; i < n; i++) { expect(isfinite(alpha[i])); }
        int zero = method == METHOD_span || method == METHOD_cone || method == METHOD_target || method == METHOD_agem || method == METHOD_gem;
        if (zero) { expect(dot(u, u, d) == 0.0); }
        if (method == METHOD_filter || method == METHOD_full) { expect_full(); }
        if (method == METHOD_subset) { expect(alpha[0] == 0.5 && alpha[1] == 0.5 && alpha[2] == 0.0); }
    }
}

// What is left of each method without a general row: how much of t.
static double without_rows(int method) {
    switch (method) {
        case METHOD_target: case METHOD_agem: case METHOD_gem: case METHOD_pcgrad: return 1.0;
        case METHOD_mix: return knobs.mix;
        case METHOD_cagrad: return 1.0 + knobs.radius;
        default: return 0.0;
    }
}

static void test_no_general_gradient(void) {
    for (int ridge = 0; ridge <= 1; ridge++) {
        draw(6, 5);
        memset(g, 0, sizeof(g));
        products();
        knobs = KNOBS(.keep = 0.5, .mix = 0.25, .ridge = ridge);
        for (int method = 0; method < FAMILY; method++) {
            solve((Method)method);
            double want[MAX_D], part = method == METHOD_pcgrad || method == METHOD_cagrad ? 0.5 : without_rows(method); // half: of two tasks
            for (int k = 0; k < d; k++) { want[k] = part * t[k]; }
            expect_near(u, want, d, 1.0, 1e-15);
            for (int i = 0; i < n; i++) { expect(isfinite(alpha[i])); }
        }
        solve(METHOD_cone);
        expect(verdict.skipped == 1);
    }
}

// One row of zeros among others, as a row without a trained token that is not marked so.
static void test_a_row_of_zeros(void) {
    draw(5, 9);
    memcpy(g[0], t, sizeof(t)); // so that something helps
    memset(g[2], 0, sizeof(g[2]));
    products();
    for (int method = METHOD_span; method <= METHOD_cone; method++) {
        for (int ridge = 0; ridge <= 1; ridge++) {
            knobs = KNOBS(.ridge = ridge);
            solve((Method)method);
            expect(alpha[2] == 0.0 && dot(u, u, d) > 0.0);
        }
    }
}

// The rows in `list` alone.
static void restrict_to(const int* list, int count) {
    double small_K[MAX_N*MAX_N], small_s[MAX_N];
    for (int i = 0; i < count; i++) {
        small_s[i] = s[list[i]];
        for (int j = 0; j < count; j++) { small_K[i*count + j] = K[list[i]*n + list[j]]; }
    }
    n = count;
    memcpy(K, small_K, sizeof(K));
    memcpy(s, small_s, sizeof(s));
    memset(usable, 1, sizeof(usable));
}

static void poison(int at, double value) {
    for (int j = 0; j < n; j++) { K[at*n + j] = K[j*n + at] = j % 2 ? value : NAN; }
    K[at*n + at] = s[at] = value;
}

// [20] Rows that cannot be used leave the others as if they had never been there.
static void test_bad_rows_are_left_out(void) {
    const double bad[] = { NAN, INFINITY, -INFINITY };
    static const int kept[] = { 0, 2, 4, 5, 7 };
    for (int method = 0; method < FAMILY; method++) {
        for (int b = 0; b < 3; b++) {
            draw(8, 5);
            memcpy(g[0], t, sizeof(t)); // so that something helps
            products();
            knobs = KNOBS(.keep = 0.5, .mix = 0.25, .ridge = 0.01, .seed = (uint64_t)b);
            memset(alpha, 0x55, sizeof(alpha));
            poison(1, bad[b]);
            poison(6, b == 0 ? 1e30 : bad[b]); // where b is 0: finite, but without a trained token
            if (b == 0) { usable[6] = 0; }
            poison(3, bad[b]);
            usable[3] = 0; // both: not a failure of the gradient
            solve((Method)method);
            double got[MAX_N], got_beta = beta;
            memcpy(got, alpha, sizeof(alpha));
            expect(verdict.dropped == (needs[method] == NEEDS_Q ? 0 : b == 0 ? 1 : 2));
            expect(verdict.skipped == 0);
            if (needs[method] == NEEDS_Q) { continue; } // does not look at what is broken
            restrict_to(kept, 5);
            solve((Method)method);
            expect(beta == got_beta);
            for (int i = 0; i < 5; i++) { expect(alpha[i] == got[kept[i]]); }
            expect(got[1] == 0.0 && got[3] == 0.0 && got[6] == 0.0);
        }
    }
}

// The length of a gradient can be too much for single precision where its score is not.
static void test_a_length_that_overflows(void) {
    for (int method = METHOD_span; method <= METHOD_cone; method++) {
        draw(4, 5);
        memcpy(g[0], t, sizeof(t));
        products();
        K[2*n + 2] = INFINITY;
        knobs = KNOBS(.ridge = 0.1);
        solve((Method)method);
        expect(verdict.dropped == 1 && alpha[2] == 0.0);
        for (int i = 0; i < n; i++) { expect(isfinite(alpha[i])); }
    }
}

// The trainer asks every method for the scores, to log the angle: then no method may use a broken row.
static void test_bad_rows_are_left_out_of_means(void) {
    draw(4, 5);
    knobs = KNOBS(.keep = 0.5, .mix = 0.25);
    poison(2, NAN);
    solve_with(METHOD_full, NEEDS_S, s);
    expect(verdict.dropped == 1 && alpha[2] == 0.0 && alpha[0] == 1.0 / 3 && alpha[3] == 1.0 / 3);
    solve_with(METHOD_mix, NEEDS_S, s);
    expect(verdict.dropped == 1 && alpha[2] == 0.0 && alpha[1] == 0.25 && beta == 0.25);
    usable[0] = 0;
    solve_with(METHOD_random, NEEDS_S, s);
    expect(verdict.dropped == 1 && alpha[0] == 0.0 && alpha[2] == 0.0 && alpha[1] + alpha[3] == 1.0);
}

static void test_no_rows_are_left(void) {
    for (int method = 0; method < FAMILY; method++) {
        for (int how = 0; how < 3; how++) {
            draw(how == 2 ? 0 : 5, 4);
            knobs = KNOBS(.keep = 0.5, .mix = 0.25, .ridge = 0.1);
            for (int i = 0; i < n; i++) { if (how == 0) { usable[i] = 0; } else { poison(i, NAN); } }
            memset(alpha, 0x55, sizeof(alpha));
            solve((Method)method);
            int looks = needs[method] != NEEDS_Q;
            if (how == 1 && !looks) { continue; }
            for (int i = 0; i < n; i++) { expect(alpha[i] == 0.0); }
            expect(fabs(beta - without_rows(method)) <= 1e-15);
            expect(verdict.skipped == (beta == 0.0) && verdict.dropped == (how == 1 ? 5 : 0));
        }
    }
    double around[3] = { 7.0, 7.0, 7.0 }; // a set of none has no first member
    solve_subset(around + 1, s, NULL, 0, solve_count(0.5, 0));
    expect(around[0] == 7.0 && around[1] == 7.0 && around[2] == 7.0);
}

static void test_bad_target_gives_no_update(void) {
    const double bad[] = { NAN, INFINITY };
    for (int method = 0; method < FAMILY; method++) {
        for (int b = 0; b < 2; b++) {
            draw(6, 5);
            q = bad[b];
            for (int i = 0; i < n; i++) { s[i] = bad[b]; }
            memset(alpha, 0x55, sizeof(alpha));
            beta = 5.0;
            knobs = KNOBS(.keep = 0.5, .mix = 0.25);
            solve((Method)method);
            expect(beta == 0.0 && dot(alpha, alpha, n) == 0.0);
            expect(verdict.skipped == 1 && verdict.dropped == 0);
        }
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "solve/full_target_mix", test_full_target_mix },
        { "solve/subset_is_top_k", test_subset_is_top_k },
        { "solve/subset_invariances", test_subset_invariances },
        { "solve/filter_by_definition", test_filter_by_definition },
        { "solve/random_draws_fairly", test_random_draws_fairly },
        { "solve/span_solves_the_ridge_system", test_span_solves_the_ridge_system },
        { "solve/span_projects", test_span_projects },
        { "solve/span_is_unmoved_by_duplicates", test_span_is_unmoved_by_duplicates },
        { "solve/span_shrinks_with_the_ridge", test_span_shrinks_with_the_ridge },
        { "solve/cone_is_the_best_of_all_sets", test_cone_is_the_best_of_all_sets },
        { "solve/cone_splits_the_target", test_cone_splits_the_target },
        { "solve/cone_does_nothing_when_nothing_helps", test_cone_does_nothing_when_nothing_helps },
        { "solve/cone_finds_copies_of_the_target", test_cone_finds_copies_of_the_target },
        { "solve/lengths_of_the_rows_do_not_matter", test_lengths_of_the_rows_do_not_matter },
        { "solve/units_do_not_matter", test_units_do_not_matter },
        { "solve/single_precision_products", test_single_precision_products },
        { "solve/rows_that_cancel", test_rows_that_cancel },
        { "solve/one_row", test_one_row },
        { "solve/no_target_gradient", test_no_target_gradient },
        { "solve/no_general_gradient", test_no_general_gradient },
        { "solve/a_row_of_zeros", test_a_row_of_zeros },
        { "solve/bad_rows_are_left_out", test_bad_rows_are_left_out },
        { "solve/a_length_that_overflows", test_a_length_that_overflows },
        { "solve/bad_rows_are_left_out_of_means", test_bad_rows_are_left_out_of_means },
        { "solve/no_rows_are_left", test_no_rows_are_left },
        { "solve/bad_target_gives_no_update", test_bad_target_gives_no_update },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
