// test_family.c -- greedy, the hulls, and the methods that know domains, each against its definition in the space of the
// gradients; then strength, rescaling and the order of the rows, for every method. Numbers in brackets are those of the
// invariants in the design's list.
#include "gradients.h"

static double square(const double* a) { return dot(a, a, d); }
static double distance(void) { // of the update from t
    double sum = 0.0;
    for (int k = 0; k < d; k++) { sum += (t[k] - u[k]) * (t[k] - u[k]); }
    return sqrt(sum);
}
static double length(const double* a) { return sqrt(square(a)); }
static double uniform01(void) { return (uniform() + 1.0) / 2.0; }

// The mean of the rows of one domain, -1: of all. Returns how many they are.
static int mean_of(double* mean, int which) {
    int count = 0;
    memset(mean, 0, sizeof(double) * MAX_D);
    for (int i = 0; i < n; i++) { count += which < 0 || domain[i] == which; }
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < d && (which < 0 || domain[i] == which); k++) { mean[k] += g[i][k] / count; }
    }
    return count;
}

static void draw_domains(int count) {
    domains = count;
    for (int i = 0; i < n; i++) { domain[i] = below(count); }
}

// m target rows that add up to t, around a direction of their own.
static void draw_targets(int count, double spread) {
    m = count;
    for (int k = 0; k < d; k++) {
        double centre = uniform();
        t[k] = 0.0;
        for (int j = 0; j < m; j++) { row[j][k] = (centre + spread * uniform()) / m; t[k] += row[j][k]; }
    }
    products();
}

static int is_projection(int method) {
    return method == METHOD_span || method == METHOD_cone || method == METHOD_simplex || method == METHOD_capped;
}

// ---------------------------------------------------------------------------------------------
// greedy

// [19] Step by step in the space of the gradients: the row with which <u,t> - tau/2 |u|^2 comes out highest.
static void test_greedy_step_by_step(void) {
    for (int trial = 0; trial < 300; trial++) {
        draw(1 + below(12), 1 + below(9));
        knobs = KNOBS(.keep = uniform01());
        knobs.tau = trial % 3 * 0.7;
        int k = (int)(knobs.keep * n + 1e-9);
        k = k < 1 ? 1 : k;
        double want[MAX_N] = {0}, v[MAX_D] = {0};
        for (int picked = 0; picked < k; picked++) {
            int best = -1;
            double highest = -INFINITY;
            for (int i = 0; i < n; i++) {
                double w[MAX_D];
                for (int c = 0; c < d; c++) { w[c] = v[c] + g[i][c] / k; }
                double value = dot(w, t, d) - 0.5 * knobs.tau * square(w);
                if (want[i] == 0.0 && value > highest) { highest = value; best = i; }
            }
            want[best] = 1.0 / k;
            for (int c = 0; c < d; c++) { v[c] += g[best][c] / k; }
        }
        solve(METHOD_greedy);
        expect_near(alpha, want, n, 1.0, 0.0);
    }
}

// The least |t - mean of k rows|.
static double best_subset(int k) {
    double least = INFINITY;
    for (int set = 0; set < 1 << n; set++) {
        double left[MAX_D], count = 0.0;
        memcpy(left, t, sizeof(left));
        for (int i = 0; i < n; i++) { count += set >> i & 1; }
        for (int i = 0; i < n && (int)count == k; i++) {
            for (int c = 0; c < d && (set >> i & 1); c++) { left[c] -= g[i][c] / k; }
        }
        if ((int)count == k) { least = fmin(least, length(left)); }
    }
    return least;
}

static void test_greedy_among_all_subsets(void) {
    int equal = 0;
    for (int trial = 0; trial < 100; trial++) {
        draw(2 + below(9), 1 + below(6));
        knobs = KNOBS(.keep = 0.0);
        solve(METHOD_greedy);
        expect(fabs(distance() - best_subset(1)) <= 1e-12); // [19] one row: the nearest
        int k = 1 + below(n);
        knobs.keep = (double)k / n;
        solve(METHOD_greedy);
        expect(distance() >= best_subset(k) - 1e-12); // [19]
        equal += distance() <= best_subset(k) + 1e-12;
        knobs.tau = 0.0;
        solve(METHOD_greedy);
        double first[MAX_N];
        memcpy(first, alpha, sizeof(first));
        solve(METHOD_subset);
        expect_near(alpha, first, n, 1.0, 0.0); // without |u|^2 the highest scores
        knobs = KNOBS(.keep = 1.0);
        solve(METHOD_greedy);
        for (int i = 0; i < n; i++) { expect(alpha[i] == 1.0 / n); } // [18]
    }
    expect(equal > 30);
}

// [18] With K of one length and no angles the scores alone decide, a copy is worth less than its original, and ties
// go to the first.
static void test_greedy_and_copies(void) {
    for (int trial = 0; trial < 50; trial++) {
        draw(10, 4);
        for (int i = 0; i < n*n; i++) { K[i] = i % (n + 1) == 0 ? trial % 2 * 3.0 : 0.0; }
        knobs = KNOBS(.keep = 0.4);
        double first[MAX_N];
        solve(METHOD_subset);
        memcpy(first, alpha, sizeof(first));
        solve(METHOD_greedy);
        expect_near(alpha, first, n, 1.0, 0.0);
    }
    draw(3, 4);
    memset(g, 0, sizeof(g));
    memset(t, 0, sizeof(t));
    t[0] = t[1] = g[0][0] = g[1][0] = 1.0; // rows 0 and 1 are the same, row 2 has the other part of t, with a lower score
    g[2][1] = 0.9;
    products();
    knobs = KNOBS(.keep = 0.67);
    solve(METHOD_greedy);
    expect(alpha[0] == 0.5 && alpha[1] == 0.0 && alpha[2] == 0.5);
    solve(METHOD_subset);
    expect(alpha[0] == 0.5 && alpha[1] == 0.5);
}

// ---------------------------------------------------------------------------------------------
// the hulls

// The minimum of 1/2 x'Hx - s'x over the free rows, the others being where they are and the sum 1.
static int minimum_of_face(double* x, const double* H, const int* P, int p) {
    double A[64], b[8], z[8];
    for (int i = 0; i <= p; i++) {
        for (int j = 0; j <= p; j++) { A[i*(p + 1) + j] = i == p || j == p ? (double)(i != j) : H[P[i]*n + P[j]]; }
        b[i] = i == p ? 1.0 : s[P[i]];
        for (int j = 0; j < n; j++) { b[i] -= i == p ? x[j] : H[P[i]*n + j] * x[j]; }
    }
    if (!eliminate(A, b, z, p + 1)) { return 0; }
    for (int i = 0; i < p; i++) { x[P[i]] = z[i]; }
    return 1;
}

// The best of all faces, each row at 0, at the ceiling or free. Some best point is on a face whose rows are affinely
// independent (Caratheodory), so that singular ones need not be looked at.
static void enumerate_hull(double* best, const double* H, double ceiling) {
    double least = INFINITY;
    int faces = 1;
    for (int i = 0; i < n; i++) { faces *= 3; }
    for (int face = 0; face < faces; face++) {
        double x[MAX_N], value = 0.0, sum = 0.0;
        int P[8], p = 0, fits = 1;
        for (int i = 0, code = face; i < n; i++, code /= 3) {
            x[i] = code % 3 == 1 ? ceiling : 0.0;
            if (code % 3 == 2) { P[p++] = i; }
        }
        if (p > 0 && !minimum_of_face(x, H, P, p)) { continue; }
        for (int i = 0; i < n; i++) {
            fits &= x[i] >= -1e-12 && x[i] <= ceiling + 1e-12;
            sum += x[i];
            value += 0.5 * x[i] * dot(&H[i*n], x, n) - s[i] * x[i];
        }
        if (!fits || fabs(sum - 1.0) > 1e-9 || !(value < least)) { continue; }
        least = value;
        memcpy(best, x, sizeof(double) * (size_t)n);
    }
}

// How much the linear part could still gain: the best of the set, which is k rows at the ceiling, against where it is. In
// units of the longest row and the target.
static double gap(const double* weight, double tau, double mu, int k) {
    double slope[MAX_N], unit = 0.0, at = 0.0, most = 0.0;
    for (int i = 0; i < n; i++) {
        slope[i] = s[i] - mu * weight[i] - tau * dot(&K[i*n], weight, n);
        unit = fmax(unit, fmax(tau * K[i*n + i] + mu, fabs(s[i])));
        at += slope[i] * weight[i];
    }
    for (int i = 0; i < n; i++) {
        int before = 0;
        for (int j = 0; j < n; j++) { before += slope[j] > slope[i] || (slope[j] == slope[i] && j < i); }
        most += before < k ? slope[i] / k : 0.0;
    }
    return (most - at) / unit;
}

static void expect_feasible(double ceiling) {
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        expect(alpha[i] >= 0.0 && alpha[i] <= ceiling);
        sum += alpha[i];
    }
    expect(fabs(sum - 1.0) <= 1e-12 && beta == 0.0);
}

// [35] Simplex and capped against all faces, K of full rank and not, with ridge and tau.
static void test_hull_is_the_best_of_all_faces(void) {
    for (int trial = 0; trial < 400; trial++) {
        int rows = trial % 40 == 0 ? 7 : 1 + below(5);
        if (trial % 3) { draw(rows, 1 + below(8)); } else { draw_dependent(rows, 1 + below(6)); }
        if (trial % 7 == 0) { memset(t, 0, sizeof(t)); products(); } // the shortest point of the hull
        knobs = KNOBS(.keep = uniform01(), .ridge = trial % 4 == 1 ? 0.2 : 0.0);
        if (trial % 5 == 0) { knobs.tau = 0.3; }
        int k = trial % 2 ? 1 : solve_count(knobs.keep, n);
        double H[MAX_N*MAX_N], best[MAX_N], want[MAX_D], mu = knobs.ridge * mean_square();
        for (int i = 0; i < n*n; i++) { H[i] = knobs.tau * K[i] + (i % (n + 1) == 0 ? mu : 0.0); }
        enumerate_hull(best, H, 1.0 / k);
        solve(trial % 2 ? METHOD_simplex : METHOD_capped);
        expect_feasible(1.0 / k);
        expect(gap(alpha, knobs.tau, mu, k) <= 1e-13);
        if (mu > 0.0) { expect_near(alpha, best, n, 1.0, 1e-9); }
        memcpy(want, u, sizeof(u));
        memcpy(alpha, best, sizeof(alpha));
        form_update();
        expect_near(want, u, d, length_of_t() + sqrt(n * mean_square()), 1e-7);
    }
}

// Rows enough for any batch, and what is hard about them: few dimensions, whole numbers (ties), near copies, very different lengths.
static void draw_hard(int kind, int rows, int dims) {
    draw(rows, dims);
    for (int i = 0; i < n; i++) {
        double c = kind == 3 ? pow(10.0, 3.0 * uniform()) : 1.0;
        int from = i > 0 ? below(i) : 0;
        for (int k = 0; k < d; k++) {
            if (kind == 1) { g[i][k] = below(5) - 2; t[k] = below(5) - 2; }
            if (kind == 2 && i > 0) { g[i][k] = g[from][k] + (from % 2 ? 0.0 : 1e-8 * uniform()); }
            g[i][k] *= c;
        }
    }
    products();
}

// The free rows have one slope, each in units of what its own is the difference of: long rows do not drown short ones.
static void expect_equal_slopes(double ceiling) {
    double slope[MAX_N], unit[MAX_N], worst = 0.0;
    for (int i = 0; i < n; i++) {
        slope[i] = s[i] - dot(&K[i*n], alpha, n);
        unit[i] = fabs(s[i]) + K[i*n + i] * ceiling;
        for (int j = 0; j < n; j++) { unit[i] += fabs(K[i*n + j]) * alpha[j]; }
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            int both = alpha[i] > 0.0 && alpha[i] < ceiling && alpha[j] > 0.0 && alpha[j] < ceiling;
            if (both) { worst = fmax(worst, fabs(slope[i] - slope[j]) / (unit[i] + unit[j])); }
        }
    }
    expect(worst <= 1e-12);
}

static void test_hull_to_the_last_digit(void) {
    for (int trial = 0; trial < 400; trial++) {
        draw_hard(trial % 4, 1 + below(MAX_N), 1 + below(MAX_D));
        knobs = KNOBS(.keep = uniform01());
        solve(METHOD_simplex);
        expect_feasible(1.0);
        expect(gap(alpha, 1.0, 0.0, 1) <= 1e-12);
        expect_equal_slopes(1.0);
        int k = solve_count(knobs.keep, n);
        solve(METHOD_capped);
        expect_feasible(1.0 / k);
        expect(gap(alpha, 1.0, 0.0, k) <= 1e-12);
        expect_equal_slopes(1.0 / k);
    }
}

static void test_hull_of_hundreds_of_rows(void) {
    enum { ROWS = 300, DIMS = 40 };
    static double big_K[ROWS*ROWS], big_s[ROWS], big_g[ROWS][DIMS], x[ROWS];
    static unsigned char all[ROWS];
    double* work = (double*)malloc(sizeof(double) * solve_work(ROWS, 0, 1));
    for (int i = 0; i < ROWS; i++) { for (int k = 0; k < DIMS; k++) { big_g[i][k] = 1.0 + uniform(); } }
    for (int i = 0; i < ROWS; i++) {
        all[i] = 1;
        big_s[i] = 0.5 * dot(big_g[i], big_g[3], DIMS) + 0.6 * dot(big_g[i], big_g[5], DIMS);
        for (int j = 0; j < ROWS; j++) { big_K[i*ROWS + j] = dot(big_g[i], big_g[j], DIMS); }
    }
    double one = 1.0;
    Statistics st = { big_K, big_s, &one, big_s, NULL, NULL, NULL };
    Rows rows = { ROWS, 0, all, NULL, 1, 0 };
    for (int k = 1; k <= ROWS; k += 37) {
        double at = 0.0, most = 0.0, slope[ROWS], sum = 0.0;
        knobs = KNOBS(.keep = (double)k / ROWS);
        drpt_solve(x, &beta, METHOD_capped, &st, rows, NEEDS_S | NEEDS_K, knobs, work);
        for (int i = 0; i < ROWS; i++) {
            slope[i] = big_s[i] - dot(&big_K[i*ROWS], x, ROWS);
            at += slope[i] * x[i];
            sum += x[i];
            expect(x[i] >= 0.0 && x[i] <= 1.0 / k);
        }
        for (int i = 0; i < ROWS; i++) {
            int before = 0;
            for (int j = 0; j < ROWS; j++) { before += slope[j] > slope[i] || (slope[j] == slope[i] && j < i); }
            most += before < k ? slope[i] / k : 0.0;
        }
        expect(most - at <= 1e-12 * big_K[0] && fabs(sum - 1.0) <= 1e-12);
    }
    free(work);
}

static void test_hull_ends(void) {
    for (int trial = 0; trial < 100; trial++) {
        double first[MAX_N];
        if (trial % 2) { draw(1 + below(12), 5); } else { draw_hard(1, 1 + below(12), 3); }
        int k = 1 + below(n);
        knobs = KNOBS(.keep = (double)k / n);
        knobs.tau = 0.0; // the linear part alone: the best corner of the set
        solve(METHOD_subset);
        memcpy(first, alpha, sizeof(first));
        solve(METHOD_capped);
        expect_near(alpha, first, n, 1.0, 0.0);
        knobs.keep = 0.0;
        solve(METHOD_subset);
        memcpy(first, alpha, sizeof(first));
        solve(METHOD_simplex);
        expect_near(alpha, first, n, 1.0, 0.0);
        knobs.tau = 1.0; // k = 1: no ceiling
        solve(METHOD_simplex);
        memcpy(first, alpha, sizeof(first));
        solve(METHOD_capped);
        expect_near(alpha, first, n, 1.0, 0.0);
        knobs.keep = 1.0; // k = n: nothing to choose
        solve(METHOD_capped);
        for (int i = 0; i < n; i++) { expect(alpha[i] == 1.0 / n); }
        knobs.ridge = 1e9;
        solve(METHOD_simplex);
        for (int i = 0; i < n; i++) { expect(fabs(alpha[i] - 1.0 / n) <= 1e-7); }
    }
}

// ---------------------------------------------------------------------------------------------
// what holds of all projections

// A random member of the method's set.
static void draw_member(int method, int k, double* v) {
    double w[MAX_N], sum = 0.0;
    for (int i = 0; i < n; i++) { w[i] = method == METHOD_span ? 3.0 * uniform() : method == METHOD_cone ? 3.0 * uniform01() : 0.0; }
    for (int i = 0; i < n && method == METHOD_simplex; i++) { sum += w[i] = -log(uniform01() + 1e-9); }
    for (int i = 0; i < n && method == METHOD_simplex; i++) { w[i] /= sum; }
    for (int again = 0; again < 3 && method == METHOD_capped; again++) { // the mean of three corners
        int left = k;
        for (int i = 0; i < n; i++) { if (below(n - i) < left) { w[i] += 1.0 / k / 3; left--; } }
    }
    for (int c = 0; c < d; c++) {
        v[c] = 0.0;
        for (int i = 0; i < n; i++) { v[c] += w[i] * g[i][c]; }
    }
}

// [35] <t - u, v - u> <= 0 for every v of the set; [37] a member stays where it is.
static void test_projections_are_nearest(void) {
    for (int trial = 0; trial < 150; trial++) {
        if (trial % 2) { draw(1 + below(14), 1 + below(12)); } else { draw_dependent(1 + below(14), 1 + below(12)); }
        for (int method = METHOD_span; method <= METHOD_capped; method++) {
            double v[MAX_D], along = 0.0, unit = q + n * mean_square();
            knobs = KNOBS(.keep = 0.3);
            int k = solve_count(0.3, n);
            solve((Method)method);
            for (int again = 0; again < 20; again++) {
                draw_member(method, k, v);
                along = 0.0;
                for (int c = 0; c < d; c++) { along += (t[c] - u[c]) * (v[c] - u[c]); }
                expect(along <= 1e-6 * unit);
            }
            if (method <= METHOD_cone) { expect(fabs(dot(u, t, d) - square(u)) <= 1e-6 * q); } // [39]
            memcpy(t, v, sizeof(t));
            products();
            solve((Method)method);
            expect_near(u, v, d, sqrt(unit), method <= METHOD_cone ? 1e-6 : 1e-7);
        }
    }
}

// [36] Where K can tell all directions of the span, as it nearly always can.
static void test_sets_are_nested(void) {
    int told = 0;
    for (int trial = 0; trial < 150; trial++) {
        if (trial % 2) { draw(2 + below(8), 2 + below(9)); } else { draw_dependent(2 + below(8), 2 + below(9)); }
        int k = 1 + below(n);
        double before = 0.0, span[MAX_D], apart = 0.0;
        knobs = KNOBS(.keep = (double)k / n);
        project_by_basis(span);
        solve(METHOD_span);
        for (int c = 0; c < d; c++) { apart = fmax(apart, fabs(u[c] - span[c])); }
        if (apart > 1e-6) { continue; }
        told++;
        for (int method = METHOD_span; method <= METHOD_capped; method++) {
            solve((Method)method);
            expect(distance() >= before - 1e-7);
            before = distance();
        }
        expect(best_subset(k) >= before - 1e-12);
        solve(METHOD_full);
        expect(distance() >= before - 1e-12);
        solve(METHOD_simplex);
        double simplex = distance();
        knobs.keep = 0.0;
        solve(METHOD_capped);
        expect(fabs(distance() - simplex) <= 1e-12);
    }
    expect(told > 140);
}

// (tau K + mu I) alpha = s: with mu for every tau the answer is 1/tau of that with the ridge mu/tau.
static void test_tau(void) {
    for (int trial = 0; trial < 60; trial++) {
        if (trial % 2) { draw(1 + below(10), 14); } else { draw_dependent(1 + below(10), 5); }
        for (int method = METHOD_span; method <= METHOD_cone; method++) {
            double want[MAX_D], tau = trial % 3 ? 0.25 : 4.0;
            knobs = KNOBS(.ridge = trial % 5 == 0 ? 0.0 : 0.3 / tau);
            solve((Method)method);
            for (int k = 0; k < d; k++) { want[k] = u[k] / tau; }
            knobs.ridge *= tau;
            knobs.tau = tau;
            solve((Method)method);
            expect_near(u, want, d, length_of_t() / tau, 1e-9);
            knobs.tau = 0.0; // the ridge alone: alpha_i = s_i / mu, or nothing
            knobs.ridge = 2.0;
            solve((Method)method);
            for (int i = 0; i < n; i++) {
                double alone = s[i] / (2.0 * mean_square());
                alone = method == METHOD_cone ? fmax(0.0, alone) : alone;
                expect_near(&alpha[i], &alone, 1, 1.0 + fabs(alone), 1e-12);
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------
// the general mean

static void test_agem(void) {
    int conflicts = 0;
    for (int trial = 0; trial < 200; trial++) {
        double mean[MAX_D], want[MAX_D], other[MAX_D];
        draw(1 + below(9), 2 + below(6));
        mean_of(mean, -1);
        double along = fmin(0.0, dot(t, mean, d));
        conflicts += along < 0.0;
        for (int k = 0; k < d; k++) {
            want[k] = t[k] - along / square(mean) * mean[k];
            other[k] = mean[k] - along / q * t[k];
        }
        knobs = KNOBS(.keep = 0.5);
        solve(METHOD_agem);
        expect_near(u, want, d, length_of_t(), 1e-12);
        expect(beta == 1.0 && dot(u, mean, d) >= -1e-12 && length(u) <= length_of_t() * (1 + 1e-12));
        if (along == 0.0) { for (int i = 0; i < n; i++) { expect(alpha[i] == 0.0); } }
        solve(METHOD_agem_mirror);
        expect_near(u, other, d, length(mean) + 1e-3, 1e-12);
        expect(dot(u, t, d) >= -1e-12 && length(u) <= length(mean) * (1 + 1e-12));
        if (along == 0.0) { expect(beta == 0.0); }
        memset(t, 0, sizeof(t));
        products();
        solve(METHOD_agem_mirror);
        expect_near(u, mean, d, 1.0, 1e-12);
    }
    expect(conflicts > 50 && conflicts < 150);
}

// No point within the radius has a larger <u,t>: in two and three dimensions by looking at many.
static void test_trust(void) {
    for (int trial = 0; trial < 100; trial++) {
        double mean[MAX_D], v[MAX_D], from[MAX_D];
        draw(1 + below(9), 2 + trial % 2);
        mean_of(mean, -1);
        knobs = KNOBS(.keep = 0.5);
        knobs.radius = 2.0 * uniform01();
        double r = knobs.radius * length(mean);
        solve(METHOD_trust);
        for (int k = 0; k < d; k++) { from[k] = u[k] - mean[k]; }
        expect(length(from) <= r * (1 + 1e-9) && beta >= 0.0);
        double best = -INFINITY;
        for (int again = 0; again < 5000; again++) {
            for (int k = 0; k < d; k++) { v[k] = uniform(); }
            double scale = r / length(v);
            for (int k = 0; k < d; k++) { v[k] = mean[k] + scale * v[k]; }
            best = fmax(best, dot(v, t, d));
        }
        expect(dot(u, t, d) >= best - 1e-12);
        expect(dot(u, t, d) <= best + 0.02 * r * length_of_t());
        knobs.radius = 0.0;
        solve(METHOD_trust);
        expect_near(u, mean, d, 1.0, 1e-12);
        knobs.radius = 0.7;
        memset(t, 0, sizeof(t));
        products();
        solve(METHOD_trust);
        expect_near(u, mean, d, 1.0, 1e-12);
    }
}

// ---------------------------------------------------------------------------------------------
// domains

// u = t + sum v_d m_d with v >= 0, no <u,m_d> < 0, and v_d > 0 only where it is 0: that is the nearest such u.
static void test_gem(void) {
    int active = 0;
    for (int trial = 0; trial < 300; trial++) {
        draw(2 + below(14), 6 + below(10));
        draw_domains(1 + trial % 5);
        knobs = KNOBS(.keep = 0.5);
        solve(METHOD_gem);
        double rebuilt[MAX_D], residual[MAX_D];
        memcpy(rebuilt, t, sizeof(rebuilt));
        for (int a = 0; a < domains; a++) {
            double mean[MAX_D], v = 0.0, same = NAN;
            int rows = mean_of(mean, a), alike = 1;
            for (int i = 0; i < n; i++) {
                if (domain[i] != a) { continue; }
                alike &= isnan(same) || alpha[i] == same;
                same = alpha[i];
                v += alpha[i];
            }
            expect(alike && v >= 0.0);
            if (rows == 0) { continue; }
            expect(dot(u, mean, d) >= -1e-9);
            expect(v == 0.0 || fabs(dot(u, mean, d)) <= 1e-9);
            active += v > 0.0;
            for (int k = 0; k < d; k++) { rebuilt[k] += v * mean[k]; }
        }
        expect_near(u, rebuilt, d, 1.0, 1e-12);
        for (int k = 0; k < d; k++) { residual[k] = t[k] - u[k]; }
        expect(fabs(dot(u, residual, d)) <= 1e-9 && length(u) <= length_of_t() * (1 + 1e-12)); // Moreau
        double nearest[MAX_D];
        memcpy(nearest, u, sizeof(u));
        if (domains > 1) { continue; }
        solve(METHOD_agem);
        expect_near(u, nearest, d, 1.0, 1e-12);
    }
    expect(active > 100);
}

// t = u + p with p the projection of t on the cone of the negative means, by the cone itself on explicit rows.
static void test_gem_and_the_cone(void) {
    for (int trial = 0; trial < 100; trial++) {
        double mean[4][MAX_D], gem[MAX_D];
        draw(12, 7);
        domains = 4;
        for (int i = 0; i < n; i++) { domain[i] = (i * 5 + 2) % 4; }
        knobs = KNOBS(.keep = 0.5);
        solve(METHOD_gem);
        memcpy(gem, u, sizeof(u));
        for (int a = 0; a < 4; a++) { mean_of(mean[a], a); }
        n = 4;
        for (int a = 0; a < 4; a++) { for (int k = 0; k < d; k++) { g[a][k] = -mean[a][k]; } }
        products();
        solve(METHOD_cone);
        for (int k = 0; k < d; k++) { u[k] = t[k] - u[k]; }
        expect_near(gem, u, d, length_of_t(), 1e-9);
    }
}

// The tasks: t, and the mean of each domain that has rows.
static double task[MAX_N][MAX_D];
static int draw_tasks(void) {
    int count = 1;
    memcpy(task[0], t, sizeof(t));
    for (int a = 0; a < domains; a++) { count += mean_of(task[count], a) > 0; }
    return count;
}

static void less(double* v, const double* other) { // its part against the other
    double along = fmin(0.0, dot(v, other, d)) / square(other);
    for (int k = 0; k < d; k++) { v[k] -= along * other[k]; }
}

// With three tasks each has two orders: eight updates, all of which are drawn, and nothing else.
static void test_pcgrad(void) {
    int plain = 0;
    for (int trial = 0; trial < 60; trial++) {
        draw(6, 3);
        int one = trial % 3 == 0;
        domains = one ? 1 : 3; // the third without rows
        for (int i = 0; i < n; i++) { domain[i] = one ? 0 : i % 2 * 2; }
        int count = draw_tasks(), seen[8] = {0}, distinct = 1;
        double want[8][MAX_D] = {{0}};
        expect(count == (one ? 2 : 3));
        for (int orders = 0; orders < 8; orders++) {
            for (int a = 0; a < count; a++) {
                double v[MAX_D];
                int first = (a + 1 + (orders >> a & 1)) % 3, second = (a + 2 - (orders >> a & 1)) % 3;
                memcpy(v, task[a], sizeof(v));
                if (first < count) { less(v, task[first]); }
                if (second < count) { less(v, task[second]); }
                for (int k = 0; k < d; k++) { want[orders][k] += v[k] / count; }
            }
        }
        for (int seed = 0; seed < 200; seed++) {
            int found = -1;
            knobs = KNOBS(.seed = (uint64_t)seed);
            solve(METHOD_pcgrad);
            for (int orders = 0; orders < 8; orders++) {
                double worst = 0.0;
                for (int k = 0; k < d; k++) { worst = fmax(worst, fabs(u[k] - want[orders][k])); }
                if (worst <= 1e-12) { seen[orders]++; found = orders; }
            }
            expect(found >= 0);
        }
        for (int orders = 0; orders < 8; orders++) { distinct &= seen[orders] > 0; }
        expect(distinct);
        double mean[MAX_D] = {0};
        int conflict = 0;
        for (int a = 0; a < count; a++) {
            for (int b = 0; b < count; b++) { conflict |= dot(task[a], task[b], d) < 0.0; }
            for (int k = 0; k < d; k++) { mean[k] += task[a][k] / count; }
        }
        if (!conflict) { expect_near(u, mean, d, 1.0, 1e-12); plain++; }
    }
    expect(plain > 5);
}

static double worst_off(const double* v, int count) {
    double least = INFINITY;
    for (int a = 0; a < count; a++) { least = fmin(least, dot(v, task[a], d)); }
    return least;
}

// By weak duality no v within r of g0 can do better than <g_w,g0> + r |g_w| for any w of the simplex: here the one that u's own
// weights tell of. Returns how far u is from that.
static double cagrad_gap(const double* g0, double r, int count) {
    double weight[MAX_N] = {0}, sum = 0.0, mixed[MAX_D] = {0};
    weight[0] = beta - 1.0 / count;
    for (int a = 0, at = 1; a < domains; a++) {
        double mean[MAX_D];
        if (mean_of(mean, a) == 0) { continue; }
        weight[at] = -1.0 / count;
        for (int i = 0; i < n; i++) { weight[at] += domain[i] == a ? alpha[i] : 0.0; }
        at++;
    }
    for (int a = 0; a < count; a++) { weight[a] = fmax(0.0, weight[a]); sum += weight[a]; }
    for (int a = 0; a < count; a++) { for (int k = 0; k < d; k++) { mixed[k] += weight[a] / sum * task[a][k]; } }
    return dot(mixed, g0, d) + r * length(mixed) - worst_off(u, count);
}

static void test_cagrad(void) {
    int tight = 0;
    for (int trial = 0; trial < 300; trial++) {
        double g0[MAX_D] = {0}, from[MAX_D], best = -INFINITY;
        draw(4 + below(8), trial % 2 ? 2 : 3 + below(9));
        draw_domains(1 + below(4));
        int count = draw_tasks();
        for (int a = 0; a < count; a++) { for (int k = 0; k < d; k++) { g0[k] += task[a][k] / count; } }
        knobs = KNOBS(.keep = 0.5);
        knobs.radius = 0.9 * uniform01();
        double r = knobs.radius * length(g0);
        solve(METHOD_cagrad);
        for (int k = 0; k < d; k++) { from[k] = u[k] - g0[k]; }
        expect(length(from) <= r * (1 + 1e-9));
        expect(worst_off(u, count) >= worst_off(g0, count) - 1e-12);
        tight += cagrad_gap(g0, r, count) <= 1e-9;
        for (int step = 0; step < 4000 && d == 2; step++) {
            double angle = step * 6.283185307179586 / 4000, v[2] = { g0[0] + r * cos(angle), g0[1] + r * sin(angle) };
            best = fmax(best, worst_off(v, count));
        }
        if (d == 2) { expect(worst_off(u, count) >= best - 1e-9 && worst_off(u, count) <= best + 0.01 * r); }
        knobs.radius = 0.0;
        solve(METHOD_cagrad);
        expect_near(u, g0, d, 1.0, 1e-12);
    }
    expect(tight == 300);
}

// Tasks that cancel: t against the one mean, longer or as long; t = 0; and, with a radius that reaches it, u = 0.
static void test_cagrad_of_opposites(void) {
    for (int trial = 0; trial < 40; trial++) {
        draw(4, 3);
        double mean[MAX_D], g0[MAX_D] = {0}, from[MAX_D] = {0};
        mean_of(mean, -1);
        double c = trial % 4 - 3.0; // -3, -2, -1, 0
        for (int k = 0; k < d; k++) { t[k] = c * mean[k]; g0[k] = 0.5 * (1.0 + c) * mean[k]; }
        products();
        int count = draw_tasks();
        knobs = KNOBS(.keep = 0.5);
        knobs.radius = trial % 8 < 4 ? 0.5 : 1.5;
        solve(METHOD_cagrad);
        double r = knobs.radius * length(g0);
        for (int k = 0; k < d; k++) { from[k] = u[k] - g0[k]; }
        expect(length(from) <= r * (1 + 1e-6) + 1e-12);
        if (trial % 8 >= 4 || c == -1.0) { expect(worst_off(u, count) >= -1e-5 * square(mean)); continue; }
        // Along their line, back from g0 as far as the radius goes; 0 is the best of all for t = 0.
        double want = c == 0.0 ? 0.0 : -0.5 * fabs(1.0 + c) * 0.5 * fabs(c < -1.0 ? 1.0 : c) * square(mean);
        expect(fabs(worst_off(u, count) - want) <= 1e-9);
    }
}

// Two domains that share a line with t, against it and along it, and a third that does not.
static void test_cagrad_on_an_edge(void) {
    draw(2, 2);
    domains = 2;
    domain[1] = 1;
    t[0] = 1.0; t[1] = 0.0;
    g[0][0] = -1.0; g[0][1] = 0.0;
    g[1][0] = 0.3; g[1][1] = 2.0;
    products();
    for (int r = 1; r <= 9; r++) {
        knobs = KNOBS(.keep = 0.5);
        knobs.radius = 0.1 * r;
        solve(METHOD_cagrad);
        int count = draw_tasks();
        double g0[MAX_D] = { 0.1, 2.0 / 3 }, from[MAX_D] = { u[0] - g0[0], u[1] - g0[1] };
        expect(length(from) <= 0.1 * r * length(g0) * (1 + 1e-5));
        // 0 at best, where u is at right angles to t: within reach if the radius is 0.1 or more.
        double reach = 0.1 * r * length(g0), want = reach >= 0.1 ? 0.0 : -(0.1 - reach);
        expect(fabs(worst_off(u, count) - want) <= 1e-4);
    }
}

// ---------------------------------------------------------------------------------------------
// strength

static void test_strength_is_linear(void) {
    for (int method = 0; method < FAMILY; method++) {
        double whole[MAX_D], want[MAX_D];
        draw(9, 6);
        draw_domains(3);
        knobs = KNOBS(.keep = 0.4, .mix = 0.3, .ridge = 0.1);
        solve((Method)method);
        memcpy(whole, u, sizeof(u));
        for (int tenth = 0; tenth <= 10; tenth++) {
            knobs.strength = 0.1 * tenth;
            solve((Method)method);
            for (int k = 0; k < d; k++) { want[k] = (1.0 - knobs.strength) * t[k] + knobs.strength * whole[k]; }
            expect_near(u, want, d, 1.0, 1e-12);
            expect(isnan(verdict.strength));
        }
    }
}

// With explicit residuals: r_j = m t_j - P(m t_j), U the mean of <r_i,r_j> over i != j.
static double residuals(Method method, double* rbar) {
    double r[MAX_M][MAX_D], kept[MAX_D], U = 0.0;
    memcpy(kept, t, sizeof(t));
    memset(rbar, 0, sizeof(double) * MAX_D);
    for (int j = 0; j < m; j++) {
        for (int k = 0; k < d; k++) { t[k] = m * row[j][k]; }
        products();
        solve(method);
        for (int k = 0; k < d; k++) { r[j][k] = t[k] - u[k]; rbar[k] += r[j][k] / m; }
    }
    for (int i = 0; i < m; i++) { for (int j = 0; j < m; j++) { U += i != j ? dot(r[i], r[j], d) / (m * (m - 1.0)) : 0.0; } }
    memcpy(t, kept, sizeof(t));
    products();
    return U;
}

static void test_strength_auto(void) {
    int zero = 0, between = 0;
    for (int trial = 0; trial < 300; trial++) {
        double rbar[MAX_D], want[MAX_D];
        int method = METHOD_span + trial % 4;
        if (trial % 8 < 4) { draw(1 + below(9), 10); } else { draw_dependent(1 + below(9), 10); }
        draw_targets(2 + below(MAX_M - 1), trial % 3 * 2.0);
        knobs = KNOBS(.keep = 0.5, .ridge = trial % 5 == 0 ? 0.3 : 0.0);
        if (trial % 7 == 0) { knobs.tau = 0.5; }
        double U = residuals((Method)method, rbar), b = fmax(0.0, U) / square(rbar);
        solve((Method)method);
        for (int k = 0; k < d; k++) { want[k] = u[k] + b * (t[k] - u[k]); }
        knobs.strength = -1.0;
        solve((Method)method);
        expect_near(&verdict.strength, &b, 1, 1.0, 1e-6);
        expect_near(u, want, d, 1.0 + length_of_t(), 1e-6);
        expect(beta == verdict.strength && b <= 1.0 + 1e-12);
        zero += b == 0.0;
        between += b > 0.01 && b < 0.99;
    }
    expect(zero > 10 && between > 50);
}

// All target rows alike: what is left of t is no chance, and the update is t. One row tells nothing of chance.
static void test_strength_auto_ends(void) {
    for (int method = METHOD_span; method <= METHOD_capped; method++) {
        draw(4, 9);
        draw_targets(5, 0.0);
        knobs = KNOBS(.keep = 0.5);
        knobs.strength = -1.0;
        solve((Method)method);
        expect(fabs(verdict.strength - 1.0) <= 1e-9);
        expect_near(u, t, d, 1.0, 1e-9);
        draw_targets(1, 1.0);
        solve((Method)method);
        expect(verdict.strength == 0.0 && beta == 0.0);
        memset(row, 0, sizeof(row));
        draw_targets(3, 1.0);
        memset(row, 0, sizeof(row));
        memset(t, 0, sizeof(t));
        products();
        solve((Method)method);
        expect(isfinite(verdict.strength) && verdict.skipped == 1 && (method > METHOD_cone || square(u) == 0.0));
    }
}

// E U = |E r|^2 over draws of the target rows, while |rbar|^2 is too large by the noise. Four standard errors.
static void test_strength_auto_is_unbiased(void) {
    enum { DRAWS = 3000, ROWS = 4 };
    for (int method = METHOD_span; method <= METHOD_cone; method++) {
        double centre[MAX_D], mean_r[MAX_D] = {0}, sum = 0.0, squares = 0.0, naive = 0.0;
        draw(3, 8);
        for (int k = 0; k < d; k++) { centre[k] = 3.0 * uniform(); }
        for (int at = 0; at < DRAWS; at++) {
            double rbar[MAX_D];
            m = ROWS;
            memset(t, 0, sizeof(t));
            for (int j = 0; j < m; j++) {
                for (int k = 0; k < d; k++) { row[j][k] = (centre[k] + 2.0 * uniform()) / m; t[k] += row[j][k]; }
            }
            products();
            knobs = KNOBS(.ridge = 0.0);
            residuals((Method)method, rbar);
            knobs.strength = -1.0;
            solve((Method)method);
            double U = verdict.strength * square(rbar);
            expect(verdict.strength > 0.0); // far from where it is cut off
            for (int k = 0; k < d; k++) { mean_r[k] += rbar[k] / DRAWS; }
            sum += U / DRAWS;
            squares += U * U / DRAWS;
            naive += square(rbar) / DRAWS;
        }
        double error = sqrt((squares - sum * sum) / DRAWS);
        expect(fabs(sum - square(mean_r)) <= 4.0 * error);
        expect(naive - square(mean_r) > 10.0 * error);
    }
}

// ---------------------------------------------------------------------------------------------
// the length of the update

static void test_rescale(void) {
    int capped = 0, left = 0;
    for (int trial = 0; trial < 20; trial++) {
        for (int method = 0; method < FAMILY; method++) {
            double plain[MAX_D], mean[MAX_D], want[MAX_D];
            draw(7, 5);
            draw_domains(2);
            mean_of(mean, -1);
            knobs = KNOBS(.keep = 0.4, .mix = 0.3, .ridge = 0.1);
            knobs.strength = trial % 2 ? 0.8 : 1.0;
            knobs.radius = trial % 3 ? 0.5 : 2.0;
            solve((Method)method);
            memcpy(plain, u, sizeof(u));
            double norm = length(u), limit = knobs.radius * length(mean);
            if (norm == 0.0) { continue; }
            double ray = fmax(0.0, dot(u, t, d)) / (norm * norm);
            double to[] = { 1.0, ray, length_of_t() / norm, length(mean) / norm, fmin(1.0, limit / norm) };
            for (int rescale = 0; rescale < NUM_RESCALES; rescale++) {
                knobs.rescale = (Rescale)rescale;
                solve((Method)method);
                for (int k = 0; k < d; k++) { want[k] = to[rescale] * plain[k]; }
                expect_near(u, want, d, 1.0 + norm, 1e-9);
                if (rescale == RESCALE_cap) { capped += to[4] < 1.0; left += to[4] == 1.0; }
            }
        }
    }
    expect(capped > 50 && left > 50);
}

static void test_rescale_of_nothing(void) {
    for (int rescale = 0; rescale < NUM_RESCALES; rescale++) {
        draw(5, 8);
        for (int i = 0; i < n; i++) { if (s[i] > 0.0) { for (int k = 0; k < d; k++) { g[i][k] = -g[i][k]; } } }
        products();
        knobs = KNOBS(.rescale = (Rescale)rescale);
        solve(METHOD_cone);
        expect(verdict.skipped == 1 && square(u) == 0.0);
        solve(METHOD_full); // against t: on its ray nothing is nearest
        expect(rescale == RESCALE_ray ? verdict.skipped == 1 && square(u) == 0.0 : square(u) > 0.0);
    }
}

// ---------------------------------------------------------------------------------------------
// the rows

static void shuffle(const int* to) {
    double old_K[MAX_N*MAX_N], old_s[MAX_N], old_S[MAX_N*MAX_M], old_g[MAX_N][MAX_D];
    unsigned char old_usable[MAX_N];
    int old_domain[MAX_N];
    memcpy(old_K, K, sizeof(K));
    memcpy(old_s, s, sizeof(s));
    memcpy(old_S, S, sizeof(S));
    memcpy(old_g, g, sizeof(g));
    memcpy(old_usable, usable, sizeof(usable));
    memcpy(old_domain, domain, sizeof(domain));
    for (int i = 0; i < n; i++) {
        s[to[i]] = old_s[i];
        usable[to[i]] = old_usable[i];
        domain[to[i]] = old_domain[i];
        memcpy(g[to[i]], old_g[i], sizeof(g[i]));
        for (int j = 0; j < n; j++) { K[to[i]*n + to[j]] = old_K[i*n + j]; }
        for (int j = 0; j < m; j++) { S[to[i]*m + j] = old_S[i*m + j]; }
    }
}

// [21] Shuffled rows have the weights they had, to the last bit: of every method but the drawn one, with more rows than
// dimensions, rows left out, and whatever is done to the update afterwards.
static void test_order_of_the_rows(void) {
    for (int trial = 0; trial < 400; trial++) {
        int to[MAX_N], method = trial % FAMILY;
        double first[MAX_N];
        if (method == METHOD_random) { continue; }
        draw(2 + below(20), 1 + below(15));
        draw_targets(3, 1.0);
        if (trial % 11 == 0) { memset(t, 0, sizeof(t)); memset(row, 0, sizeof(row)); products(); }
        draw_domains(1 + below(3));
        if (trial % 3 == 0) { usable[0] = 0; s[1] = NAN; }
        knobs = KNOBS(.keep = uniform01(), .ridge = trial % 2 * 0.01, .seed = 5, .rescale = (Rescale)(trial / FAMILY % NUM_RESCALES));
        if (trial % 4 == 0 && is_projection(method)) { knobs.strength = -1.0; }
        solve((Method)method);
        memcpy(first, alpha, sizeof(first));
        double first_beta = beta;
        for (int again = 0; again < 4; again++) {
            for (int i = 0; i < n; i++) { int j = below(i + 1); to[i] = to[j]; to[j] = i; }
            double moved[MAX_N];
            for (int i = 0; i < n; i++) { moved[to[i]] = first[i]; }
            shuffle(to);
            solve((Method)method);
            if (trial % 11 != 0 || method > METHOD_greedy) { expect_near(alpha, moved, n, 1.0, 0.0); }
            expect(beta == first_beta);
            memcpy(first, alpha, sizeof(first));
        }
    }
}

// subset and filter rank by whatever score they are given; the others do not look at it, and a row without one is left out.
static void test_score_of_its_own(void) {
    for (int method = 0; method < FAMILY; method++) {
        double score[MAX_N], want[MAX_N], plain[MAX_N];
        draw(8, 9);
        memcpy(g[0], t, sizeof(t));
        products();
        for (int i = 0; i < n; i++) { score[i] = below(3) - 1; } // ties go to the first in the batch
        knobs = KNOBS(.keep = 0.4, .mix = 0.3, .ridge = 0.1);
        solve((Method)method);
        memcpy(plain, alpha, sizeof(plain));
        solve_with((Method)method, solve_needs((Method)method, knobs) | NEEDS_S, score);
        memcpy(want, alpha, sizeof(want));
        if (method == METHOD_subset || method == METHOD_filter) {
            memcpy(s, score, sizeof(score));
            solve((Method)method);
            expect_near(want, alpha, n, 1.0, 0.0);
        } else {
            expect_near(want, plain, n, 1.0, 0.0);
        }
        products();
        score[3] = NAN;
        solve_with((Method)method, solve_needs((Method)method, knobs) | NEEDS_S, score);
        expect(verdict.dropped == 1 && alpha[3] == 0.0); // [20]
    }
}

// A NaN in <g_i,t_j> alone, or in the length of a target row.
static void test_bad_target_products(void) {
    for (int method = METHOD_span; method <= METHOD_capped; method++) {
        double want[MAX_N];
        draw(5, 9);
        memcpy(g[0], t, sizeof(t));
        draw_targets(3, 1.0);
        knobs = KNOBS(.keep = 0.5);
        knobs.strength = -1.0;
        usable[2] = 0;
        solve((Method)method);
        memcpy(want, alpha, sizeof(want));
        usable[2] = 1;
        S[2*m + 1] = NAN;
        solve((Method)method);
        expect(verdict.dropped == 1);
        expect_near(alpha, want, n, 1.0, 0.0);
        products();
        Q[4] = INFINITY;
        solve((Method)method);
        expect(verdict.skipped == 1 && beta == 0.0 && square(u) == 0.0);
    }
}

static void test_what_is_needed(void) {
    knobs = KNOBS(.ridge = 0.0);
    for (int method = 0; method < FAMILY; method++) { expect(solve_needs((Method)method, knobs) == needs[method]); }
    expect(solve_needs(METHOD_inside, knobs) == NEEDS_Q && solve_needs(METHOD_outside, knobs) == NEEDS_Q);
    knobs.rescale = RESCALE_cap;
    expect(solve_needs(METHOD_target, knobs) == (NEEDS_S | NEEDS_K));
    knobs.rescale = RESCALE_none;
    knobs.strength = 0.5;
    expect(solve_needs(METHOD_random, knobs) == NEEDS_S);
    knobs.strength = -1.0;
    expect(solve_needs(METHOD_cone, knobs) == (NEEDS_S | NEEDS_K | NEEDS_ROWS));
}

// ---------------------------------------------------------------------------------------------
// methods.md 1.3

// [38] One row: the average sets give it, whatever else they are told.
static void test_one_row(void) {
    for (int trial = 0; trial < 20; trial++) {
        draw(1, 5);
        knobs = KNOBS(.keep = trial % 2 * 0.5, .ridge = trial % 3 * 0.2);
        knobs.tau = trial % 4 * 0.5;
        const Method of_average[] = { METHOD_full, METHOD_random, METHOD_subset, METHOD_greedy, METHOD_simplex, METHOD_capped };
        for (int i = 0; i < 6; i++) {
            solve(of_average[i]);
            expect(alpha[0] == 1.0 && beta == 0.0);
        }
    }
}

// All scores negative: what must move does, on weights that add up to 1.
static void test_all_against(void) {
    draw(6, 9);
    for (int i = 0; i < n; i++) { if (s[i] > 0.0) { for (int k = 0; k < d; k++) { g[i][k] = -g[i][k]; } } }
    products();
    const Method moving[] = { METHOD_subset, METHOD_greedy, METHOD_simplex, METHOD_capped };
    for (int i = 0; i < 4; i++) {
        double sum = 0.0;
        knobs = KNOBS(.keep = 0.5);
        solve(moving[i]);
        for (int j = 0; j < n; j++) { sum += alpha[j]; }
        expect(fabs(sum - 1.0) <= 1e-12 && verdict.skipped == 0 && dot(u, t, d) < 0.0);
    }
}

// A copy of the target among the rows, and every row twice: nothing that is convex notices.
static void test_copies(void) {
    for (int trial = 0; trial < 50; trial++) {
        double want[MAX_D];
        draw(5, 7);
        knobs = KNOBS(.keep = 0.0);
        for (int method = METHOD_span; method <= METHOD_simplex; method++) {
            n = 5;
            products();
            solve((Method)method);
            memcpy(want, u, sizeof(u));
            for (int i = 0; i < 5; i++) { memcpy(g[n++], g[i], sizeof(g[i])); }
            products();
            solve((Method)method);
            expect_near(u, want, d, 1.0, 1e-7);
        }
        memcpy(g[3], t, sizeof(t));
        products();
        for (int method = METHOD_span; method <= METHOD_simplex; method++) {
            solve((Method)method);
            expect_near(u, t, d, 1.0, 1e-7);
        }
    }
}

// Rows that cancel, in products that are off by what single precision is: the mean is nothing that could be divided by.
static void test_rows_that_cancel(void) {
    const double noise[] = { 1e-7, -1e-7, 3e-8, 1e-15 };
    for (int trial = 0; trial < 4; trial++) {
        draw(2, 2);
        memset(g, 0, sizeof(g));
        g[0][0] = 1.0;
        g[1][0] = -1.0;
        products();
        s[0] -= 1e-7;
        K[0] += noise[trial];
        const Method guarded[] = { METHOD_agem, METHOD_gem, METHOD_trust, METHOD_pcgrad, METHOD_cagrad };
        for (int i = 0; i < 5; i++) {
            knobs = KNOBS(.keep = 0.5);
            solve(guarded[i]);
            expect(length(u) <= length_of_t() * 1.01);
            for (int j = 0; j < n; j++) { expect(fabs(alpha[j]) <= 1.0); }
        }
        knobs.rescale = RESCALE_target;
        solve(METHOD_full);
        for (int j = 0; j < n; j++) { expect(fabs(alpha[j]) <= 1000.0 * length_of_t()); }
        knobs.rescale = RESCALE_general;
        solve(METHOD_target);
        expect(length(u) == 0.0);
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "family/greedy_step_by_step", test_greedy_step_by_step },
        { "family/greedy_among_all_subsets", test_greedy_among_all_subsets },
        { "family/greedy_and_copies", test_greedy_and_copies },
        { "family/hull_is_the_best_of_all_faces", test_hull_is_the_best_of_all_faces },
        { "family/hull_to_the_last_digit", test_hull_to_the_last_digit },
        { "family/hull_of_hundreds_of_rows", test_hull_of_hundreds_of_rows },
        { "family/hull_ends", test_hull_ends },
        { "family/projections_are_nearest", test_projections_are_nearest },
        { "family/sets_are_nested", test_sets_are_nested },
        { "family/tau", test_tau },
        { "family/agem", test_agem },
        { "family/trust", test_trust },
        { "family/gem", test_gem },
        { "family/gem_and_the_cone", test_gem_and_the_cone },
        { "family/pcgrad", test_pcgrad },
        { "family/cagrad", test_cagrad },
        { "family/cagrad_of_opposites", test_cagrad_of_opposites },
        { "family/cagrad_on_an_edge", test_cagrad_on_an_edge },
        { "family/strength_is_linear", test_strength_is_linear },
        { "family/strength_auto", test_strength_auto },
        { "family/strength_auto_ends", test_strength_auto_ends },
        { "family/strength_auto_is_unbiased", test_strength_auto_is_unbiased },
        { "family/rescale", test_rescale },
        { "family/rescale_of_nothing", test_rescale_of_nothing },
        { "family/order_of_the_rows", test_order_of_the_rows },
        { "family/score_of_its_own", test_score_of_its_own },
        { "family/bad_target_products", test_bad_target_products },
        { "family/what_is_needed", test_what_is_needed },
        { "family/one_row", test_one_row },
        { "family/all_against", test_all_against },
        { "family/copies", test_copies },
        { "family/rows_that_cancel", test_rows_that_cancel },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
