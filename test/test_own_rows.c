// test_own_rows.c -- target rows that are the general rows with other losses: each row's score leaves its own part of t out. Against
// the definition in the space of the gradients, where t without row i is a vector.
#include "gradients.h"

static double own_score[MAX_N]; // <g_i, t - t_i>

// Target row i leans on general row i, more or less, and has a part of its own. Enough dimensions for K to have full rank.
static void draw_own(int rows) {
    draw(rows, rows + below(4));
    m = n;
    memset(t, 0, sizeof(t));
    for (int i = 0; i < n; i++) {
        double lean = 2.0 * uniform();
        for (int k = 0; k < d; k++) { row[i][k] = lean * g[i][k] + uniform(); t[k] += row[i][k]; }
    }
    products();
    for (int i = 0; i < n; i++) {
        double rest[MAX_D];
        for (int k = 0; k < d; k++) { rest[k] = t[k] - row[i][k]; }
        own_score[i] = dot(g[i], rest, d);
    }
}

static void solve_own_rows(Method method) {
    own_rows = 1;
    solve_with(method, solve_needs(method, knobs) | NEEDS_S | NEEDS_ROWS, s);
    own_rows = 0;
}

// ---------------------------------------------------------------------------------------------
// against the definition

static int count_better(int i) {
    int better = 0;
    for (int j = 0; j < n; j++) { better += own_score[j] > own_score[i]; }
    return better;
}

static void test_selections(void) {
    int moved = 0;
    for (int trial = 0; trial < 300; trial++) {
        double want[MAX_N], first[MAX_N];
        int positive = 0, k;
        draw_own(2 + below(7));
        knobs = KNOBS(.keep = 0.5);
        k = n / 2;
        for (int i = 0; i < n; i++) { want[i] = count_better(i) < k ? 1.0 / k : 0.0; positive += own_score[i] >= 0.0; }
        solve(METHOD_subset);
        memcpy(first, alpha, sizeof(first));
        solve_own_rows(METHOD_subset);
        expect_near(alpha, want, n, 1.0, 0.0);
        moved += memcmp(first, alpha, sizeof(double) * (size_t)n) != 0;
        for (int i = 0; i < n; i++) { want[i] = own_score[i] >= 0.0 ? 1.0 / positive : 0.0; }
        solve_own_rows(METHOD_filter);
        expect_near(alpha, want, n, 1.0, 1e-15);
        expect(verdict.skipped == (positive == 0) && verdict.dropped == 0);
    }
    expect(moved > 60); // the question matters
}

// What the weights maximise.
static double value(const double* x, double tau, double mu) {
    double v[MAX_D] = {0}, sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * own_score[i] - 0.5 * mu * x[i] * x[i];
        for (int k = 0; k < d; k++) { v[k] += x[i] * g[i][k]; }
    }
    return sum - 0.5 * tau * dot(v, v, d);
}

static void test_greedy(void) {
    for (int trial = 0; trial < 100; trial++) {
        double want[MAX_N] = {0};
        draw_own(2 + below(7));
        knobs = KNOBS(.keep = 0.5);
        int k = n / 2;
        for (int picked = 0; picked < k; picked++) {
            int best = -1;
            double highest = -INFINITY;
            for (int i = 0; i < n; i++) {
                if (want[i] != 0.0) { continue; }
                want[i] = 1.0 / k;
                if (value(want, 1.0, 0.0) > highest) { highest = value(want, 1.0, 0.0); best = i; }
                want[i] = 0.0;
            }
            want[best] = 1.0 / k;
        }
        solve_own_rows(METHOD_greedy);
        expect_near(alpha, want, n, 1.0, 0.0);
    }
}

// The best point of the face on which the rows of P are free and the others stay, with the sum 1 if it is asked for.
static int best_of_face(double* x, const int* P, int p, double tau, double mu, int sum_is_one) {
    double A[64], b[8], z[8];
    int size = p + sum_is_one;
    for (int i = 0; i < size; i++) {
        for (int j = 0; j < size; j++) { A[i*size + j] = i < p && j < p ? tau * K[P[i]*n + P[j]] + (i == j ? mu : 0.0) : (double)(i != j); }
        b[i] = i < p ? own_score[P[i]] : 1.0;
        for (int j = 0; j < n; j++) { b[i] -= i < p ? tau * K[P[i]*n + j] * x[j] : x[j]; }
    }
    if (!eliminate(A, b, z, size)) { return 0; }
    for (int i = 0; i < p; i++) { x[P[i]] = z[i]; }
    return 1;
}

// The best of all faces: each row at 0, at the ceiling, or free.
static void best_of_all(double* best, Method method, int k, double tau, double mu) {
    int bounded = method == METHOD_simplex || method == METHOD_capped, faces = 1;
    double ceiling = bounded ? 1.0 / k : INFINITY, highest = -INFINITY;
    for (int i = 0; i < n; i++) { faces *= 3; }
    for (int face = 0; face < faces; face++) {
        double x[MAX_N], sum = 0.0;
        int P[8], p = 0, fits = 1;
        for (int i = 0, code = face; i < n; i++, code /= 3) {
            x[i] = code % 3 == 1 ? ceiling : 0.0;
            if (code % 3 == 2) { P[p++] = i; }
            fits &= bounded || code % 3 != 1;
            fits &= method != METHOD_span || code % 3 == 2;
        }
        if (!fits || (p > 0 && !best_of_face(x, P, p, tau, mu, bounded))) { continue; }
        for (int i = 0; i < n; i++) {
            fits &= method == METHOD_span || (x[i] >= -1e-12 && x[i] <= ceiling + 1e-12);
            sum += x[i];
        }
        if (!fits || (bounded && fabs(sum - 1.0) > 1e-9) || value(x, tau, mu) <= highest) { continue; }
        highest = value(x, tau, mu);
        memcpy(best, x, sizeof(double) * (size_t)n);
    }
}

static void test_convex_sets(void) {
    static const Method sets[] = { METHOD_span, METHOD_cone, METHOD_simplex, METHOD_capped };
    for (int trial = 0; trial < 200; trial++) {
        draw_own(2 + below(4));
        knobs = KNOBS(.keep = 0.5, .ridge = trial % 2 ? 0.3 : 0.05);
        if (trial % 3 == 0) { knobs.tau = 0.4; }
        for (int i = 0; i < 4; i++) {
            double best[MAX_N];
            int k = sets[i] == METHOD_simplex ? 1 : n / 2;
            best_of_all(best, sets[i], k, knobs.tau, knobs.ridge * mean_square());
            solve_own_rows(sets[i]);
            expect(beta == 0.0);
            expect_near(alpha, best, n, 1.0 + fabs(best[0]), 1e-9);
        }
    }
}

// t without what of it works against the mean of the rows: against each row what the others bring.
static void test_conflicts(void) {
    int bent = 0;
    for (int trial = 0; trial < 100; trial++) {
        double mean[MAX_D] = {0}, conflict = 0.0, want[MAX_D];
        draw_own(2 + below(7));
        knobs = KNOBS(.keep = 0.5);
        for (int i = 0; i < n; i++) {
            conflict += own_score[i] / n;
            for (int k = 0; k < d; k++) { mean[k] += g[i][k] / n; }
        }
        bent += conflict < 0.0;
        for (int k = 0; k < d; k++) { want[k] = t[k] - fmin(0.0, conflict) / dot(mean, mean, d) * mean[k]; }
        solve_own_rows(METHOD_agem);
        expect_near(u, want, d, length_of_t(), 1e-9);
        for (int k = 0; k < d; k++) { want[k] = mean[k] - fmin(0.0, conflict) / q * t[k]; }
        solve_own_rows(METHOD_agem_mirror);
        expect_near(u, want, d, length_of_t(), 1e-9);
    }
    expect(bent > 10);
}

// ---------------------------------------------------------------------------------------------
// what holds of every method

// The answer is that to a target whose scores these are; a method that reads none gives the same bits as ever.
static void test_only_the_scores_change(void) {
    static const Method blind[] = { METHOD_full, METHOD_target, METHOD_mix, METHOD_random, METHOD_trust };
    for (int trial = 0; trial < 60; trial++) {
        draw_own(1 + below(8));
        domains = 2;
        for (int i = 0; i < n; i++) { domain[i] = below(2); }
        for (int method = 0; method < FAMILY; method++) {
            double first[MAX_N], whole[MAX_N], beta_first;
            int is_blind = 0;
            for (int i = 0; i < 5; i++) { is_blind |= blind[i] == (Method)method; }
            knobs = KNOBS(.keep = 0.5, .mix = 0.3, .ridge = 0.1, .seed = 5);
            if (trial % 2 && !is_blind) { knobs.strength = 0.7; }
            memcpy(whole, s, sizeof(whole));
            if (!is_blind) { memcpy(s, own_score, sizeof(own_score)); }
            solve_with((Method)method, solve_needs((Method)method, knobs) | NEEDS_S, s);
            memcpy(s, whole, sizeof(whole));
            memcpy(first, alpha, sizeof(first));
            beta_first = beta;
            solve_own_rows((Method)method);
            expect_near(alpha, first, n, 1.0, is_blind ? 0.0 : 1e-8);
            expect(fabs(beta - beta_first) <= (is_blind ? 0.0 : 1e-8));
        }
    }
}

// Another score than s loses the row's own part as well.
static void test_score_of_its_own(void) {
    double score[MAX_N], want[MAX_N];
    draw_own(6);
    knobs = KNOBS(.keep = 0.5);
    for (int i = 0; i < n; i++) { score[i] = S[i*m + i] + (i % 2 ? 1.0 : -1.0); want[i] = i % 2 ? 1.0 / 3.0 : 0.0; }
    own_rows = 1;
    solve_with(METHOD_subset, NEEDS_S | NEEDS_ROWS, score);
    expect_near(alpha, want, n, 1.0, 0.0);
    solve_with(METHOD_filter, NEEDS_S | NEEDS_ROWS, score);
    expect_near(alpha, want, n, 1.0, 1e-15);
    own_rows = 0;
}

// A new length does not turn the update, and is that of the update and of the whole t.
static void test_rescale(void) {
    for (int trial = 0; trial < 60; trial++) {
        draw_own(2 + below(7));
        for (int method = 0; method < FAMILY; method++) {
            double plain[MAX_D], length, mean[MAX_D] = {0};
            knobs = KNOBS(.keep = 0.5, .mix = 0.3, .ridge = 0.1, .seed = 5);
            if (trial % 2) { knobs.strength = 0.7; }
            for (int i = 0; i < n; i++) { for (int k = 0; k < d; k++) { mean[k] += g[i][k] / n; } }
            solve_own_rows((Method)method);
            memcpy(plain, u, sizeof(plain));
            length = sqrt(dot(plain, plain, d));
            if (length < 1e-3 * length_of_t()) { continue; }
            for (int rescale = RESCALE_none + 1; rescale < NUM_RESCALES; rescale++) {
                double wanted = 0.0, want[MAX_D];
                switch (rescale) {
                    case RESCALE_ray:     wanted = fmax(0.0, dot(plain, t, d)) / length; break;
                    case RESCALE_target:  wanted = length_of_t(); break;
                    case RESCALE_general: wanted = sqrt(dot(mean, mean, d)); break;
                    default:              wanted = fmin(length, knobs.radius * sqrt(dot(mean, mean, d))); break;
                }
                knobs.rescale = (Rescale)rescale;
                solve_own_rows((Method)method);
                for (int k = 0; k < d; k++) { want[k] = plain[k] / length * wanted; }
                expect_near(u, want, d, wanted + length, 1e-8);
            }
        }
    }
}

// Rows at right angles tell nothing of each other, however they like themselves.
static void test_rows_that_like_only_themselves(void) {
    draw(5, 5);
    m = n;
    for (int i = 0; i < n; i++) { for (int k = 0; k < d; k++) { g[i][k] = i == k ? 1.0 + i : 0.0; row[i][k] = 0.5 * g[i][k]; } }
    for (int k = 0; k < d; k++) { t[k] = row[k][k]; }
    products();
    knobs = KNOBS(.keep = 0.4);
    solve(METHOD_cone);
    for (int i = 0; i < n; i++) { expect(fabs(alpha[i] - 0.5) <= 1e-12); }
    solve_own_rows(METHOD_cone);
    for (int i = 0; i < n; i++) { expect(alpha[i] == 0.0); }
    expect(verdict.skipped == 1);
    solve(METHOD_subset);
    expect(alpha[4] == 0.5 && alpha[3] == 0.5);
    solve_own_rows(METHOD_subset); // a draw: the first
    expect(alpha[0] == 0.5 && alpha[1] == 0.5);
}

// One row is scored by nothing: it is no enemy of its own.
static void test_one_row(void) {
    draw_own(1);
    knobs = KNOBS(.keep = 0.5);
    for (int k = 0; k < d; k++) { row[0][k] = t[k] = -g[0][k]; }
    products();
    solve(METHOD_filter);
    expect(alpha[0] == 0.0);
    solve_own_rows(METHOD_filter);
    expect(alpha[0] == 1.0);
    solve_own_rows(METHOD_cone);
    expect(alpha[0] == 0.0 && verdict.skipped == 1);
}

// A row that is not used is no part of the set, though of t; one of which anything is no number is dropped.
static void test_rows_left_out(void) {
    for (int trial = 0; trial < 50; trial++) {
        double want[MAX_N], *const broken[] = { K, s, S };
        int out = trial % 4, at[] = { out*5, out, out*5 };
        draw_own(4);
        knobs = KNOBS(.ridge = 0.1);
        usable[out] = 0;
        solve_own_rows(METHOD_cone);
        memcpy(want, alpha, sizeof(want));
        expect(alpha[out] == 0.0 && verdict.dropped == 0);
        usable[out] = 1;
        for (int i = 0; i < 3; i++) {
            double kept = broken[i][at[i]];
            broken[i][at[i]] = NAN;
            solve_own_rows(METHOD_cone);
            expect_near(alpha, want, n, 1.0, 0.0);
            expect(verdict.dropped == 1);
            broken[i][at[i]] = kept;
        }
    }
}

// [21] Rows in another order, and the target rows with them, have the weights they had, to the last bit.
static void test_order_of_the_rows(void) {
    for (int trial = 0; trial < 100; trial++) {
        double first[MAX_N], old_K[64], old_S[64], old_s[8];
        int method = trial % FAMILY, to[8] = {0};
        if (method == METHOD_random) { continue; }
        draw_own(8);
        knobs = KNOBS(.keep = 0.5, .ridge = 0.1, .seed = 5, .rescale = trial % 2 ? RESCALE_ray : RESCALE_none);
        solve_own_rows((Method)method);
        memcpy(first, alpha, sizeof(first));
        memcpy(old_K, K, sizeof(old_K));
        memcpy(old_S, S, sizeof(old_S));
        memcpy(old_s, s, sizeof(old_s));
        for (int i = 0; i < n; i++) { int j = below(i + 1); to[i] = to[j]; to[j] = i; }
        for (int i = 0; i < n; i++) {
            s[to[i]] = old_s[i];
            for (int j = 0; j < n; j++) { K[to[i]*n + to[j]] = old_K[i*n + j]; S[to[i]*n + to[j]] = old_S[i*n + j]; }
        }
        solve_own_rows((Method)method);
        for (int i = 0; i < n; i++) { expect(alpha[to[i]] == first[i]); }
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "own/selections", test_selections },
        { "own/greedy", test_greedy },
        { "own/convex_sets", test_convex_sets },
        { "own/conflicts", test_conflicts },
        { "own/only_the_scores_change", test_only_the_scores_change },
        { "own/score_of_its_own", test_score_of_its_own },
        { "own/rescale", test_rescale },
        { "own/rows_that_like_only_themselves", test_rows_that_like_only_themselves },
        { "own/one_row", test_one_row },
        { "own/rows_left_out", test_rows_left_out },
        { "own/order_of_the_rows", test_order_of_the_rows },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
