// gradients.h -- explicit gradients for the tests of the solver: what it gets to see of them, its answer, and the update
// that the answer stands for. alpha is compared only where it is unique; the update always is.
#ifndef TEST_GRADIENTS_H
#define TEST_GRADIENTS_H

#include "../drpt/solve.h"
#include "test.h"

enum { MAX_N = 64, MAX_M = 8, MAX_D = 64 };

// The problem at hand: general gradients g (n,d), target gradients row (m,d) that add up to t; their inner products.
static int n, m, d, domains, domain[MAX_N];
static double g[MAX_N][MAX_D], row[MAX_M][MAX_D], t[MAX_D];
static double K[MAX_N*MAX_N], s[MAX_N], q, S[MAX_N*MAX_M], Q[MAX_M*MAX_M];
static unsigned char usable[MAX_N];
static int own_rows;      // row[i] is g[i] with another loss
static Knobs knobs;

// The answer.
static double alpha[MAX_N], beta, u[MAX_D];
static Verdict verdict;

static uint64_t rng = 3;

// Of what is not named: the projection itself.
#define KNOBS(...) (Knobs){ .tau = 1.0, .radius = 0.5, .strength = 1.0, __VA_ARGS__ }

#define NEEDS(name, needs, ...) needs,
static const int needs[] = { DRPT_METHODS(NEEDS) };
enum { FAMILY = METHOD_inside }; // the methods of this file come before

#define expect_near(got, want, count, scale, tol) expect_near_at(__FILE__, __LINE__, #got, got, want, count, scale, tol)

// Worst error in units of a scale that the test names, since a right answer may be zero.
static inline void expect_near_at(const char* file, int line, const char* what, const double* got, const double* want, int count,
                                  double scale, double tol) {
    for (int i = 0; i < count; i++) {
        if (fabs(got[i] - want[i]) <= tol * scale) { continue; } // so phrased that a NaN fails
        fprintf(stderr, "%s:%d: %s[%d] is %.12g, not %.12g (n %d, d %d)\n", file, line, what, i, got[i], want[i], n, d);
        test_failures++;
        return;
    }
}

static inline double uniform(void) { return (double)test_uniform(&rng); }
static inline int below(int count) { return (int)((uniform() + 1.0) / 2.0 * count); } // 0..count-1

static inline double dot(const double* a, const double* b, int count) {
    double sum = 0.0;
    for (int i = 0; i < count; i++) { sum += a[i] * b[i]; }
    return sum;
}

static inline void products(void) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) { K[i*n + j] = dot(g[i], g[j], d); }
        s[i] = dot(g[i], t, d);
        usable[i] = 1;
    }
    q = dot(t, t, d);
    for (int j = 0; j < m; j++) {
        for (int i = 0; i < n; i++) { S[i*m + j] = dot(g[i], row[j], d); }
        for (int l = 0; l < m; l++) { Q[j*m + l] = dot(row[j], row[l], d); }
    }
}

static inline void draw(int rows, int dims) {
    n = rows;
    d = dims;
    m = 0;
    domains = 1;
    memset(domain, 0, sizeof(domain));
    for (int i = 0; i < n; i++) { for (int k = 0; k < d; k++) { g[i][k] = uniform(); } }
    for (int k = 0; k < d; k++) { t[k] = uniform(); }
    products();
}

// Some rows repeat or mix earlier ones, so that K has not full rank whatever d is.
static inline void draw_dependent(int rows, int dims) {
    draw(rows, dims);
    for (int i = 1; i < n; i++) {
        int from = below(i), other = below(i), kind = below(4);
        for (int k = 0; k < d && kind < 2; k++) { g[i][k] = kind == 0 ? g[from][k] : 0.3*g[from][k] + 0.7*g[other][k]; }
    }
    products();
}

static inline void form_update(void) {
    for (int k = 0; k < d; k++) {
        u[k] = beta * t[k];
        for (int i = 0; i < n; i++) { u[k] += alpha[i] != 0.0 ? alpha[i] * g[i][k] : 0.0; }
    }
}

// Memory exactly as large as promised, with a value behind it (and the sanitizer behind that).
static inline void solve_with(Method method, int gathered, double* score) {
    size_t size = solve_work(n, m, domains);
    double* work = (double*)malloc(sizeof(double) * (size + 1));
    if (work == NULL) { abort(); }
    work[size] = 42.0;
    Statistics st = { K, s, &q, score, S, Q, NULL };
    Rows rows = { n, m, usable, domains == 1 && n % 2 ? NULL : domain, domains, own_rows };
    verdict = drpt_solve(alpha, &beta, method, &st, rows, gathered, knobs, work);
    expect(work[size] == 42.0);
    free(work);
    form_update();
}

static inline void solve(Method method) { solve_with(method, solve_needs(method, knobs), s); }

static inline double length_of_t(void) { return sqrt(dot(t, t, d)); }

static inline double mean_square(void) {
    double trace = 0.0;
    for (int i = 0; i < n; i++) { trace += K[i*n + i]; }
    return trace / n;
}

// ---------------------------------------------------------------------------------------------
// other ways to the same answer

// x = A^-1 b by elimination with row exchanges; returns 0 if A is singular. A and b are overwritten.
static inline int eliminate(double* A, double* b, double* x, int count) {
    for (int c = 0; c < count; c++) {
        int pivot = c;
        for (int r = c + 1; r < count; r++) { if (fabs(A[r*count + c]) > fabs(A[pivot*count + c])) { pivot = r; } }
        if (fabs(A[pivot*count + c]) < 1e-9) { return 0; }
        for (int k = 0; k < count; k++) { double v = A[c*count + k]; A[c*count + k] = A[pivot*count + k]; A[pivot*count + k] = v; }
        double v = b[c]; b[c] = b[pivot]; b[pivot] = v;
        for (int r = c + 1; r < count; r++) {
            double f = A[r*count + c] / A[c*count + c];
            for (int k = c; k < count; k++) { A[r*count + k] -= f * A[c*count + k]; }
            b[r] -= f * b[c];
        }
    }
    for (int c = count - 1; c >= 0; c--) {
        x[c] = b[c];
        for (int k = c + 1; k < count; k++) { x[c] -= A[c*count + k] * x[k]; }
        x[c] /= A[c*count + c];
    }
    return 1;
}

// The projection of t on the span of the rows, by Gram and Schmidt (twice, for the rounding).
static inline void project_by_basis(double* p) {
    static double e[MAX_N][MAX_D];
    int rank = 0;
    for (int k = 0; k < d; k++) { p[k] = 0.0; }
    for (int i = 0; i < n; i++) {
        memcpy(e[rank], g[i], sizeof(double) * (size_t)d);
        for (int again = 0; again < 2; again++) {
            for (int r = 0; r < rank; r++) {
                double along = dot(e[rank], e[r], d);
                for (int k = 0; k < d; k++) { e[rank][k] -= along * e[r][k]; }
            }
        }
        double norm = sqrt(dot(e[rank], e[rank], d));
        if (norm <= 1e-9 * sqrt(dot(g[i], g[i], d))) { continue; }
        for (int k = 0; k < d; k++) { e[rank][k] /= norm; }
        double along = dot(t, e[rank], d);
        for (int k = 0; k < d; k++) { p[k] += along * e[rank][k]; }
        rank++;
    }
}

#endif // TEST_GRADIENTS_H
