// solve.h -- the family of feasible sets: each method finds the update u = beta t + sum_i alpha_i g_i from inner
// products alone. The problems have the size of the batch, so the same lines serve the CPU and, one thread a
// group, the GPU; all in double precision, because K is the square of what it measures.
//
// All of them are the master problem (alpha in a set; D the unit matrix times tr K / n)
//     maximise  <u,t> - 1/2 |u|^2 - ridge/2 alpha'D alpha,
// or its linear part alone (the selections). Source: Dr. Post-Training, arXiv 2605.07063, for full, target, random, subset
// and filter; the projections on span and cone are classical.
#ifndef DRPT_SOLVE_H
#define DRPT_SOLVE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif

// What a method needs to know: q always, scores s, the Gram matrix K; ROWS: S and Q, the target rows singly.
enum { NEEDS_Q = 0, NEEDS_S = 1, NEEDS_K = 2, NEEDS_ROWS = 4 };

// The one table of methods: options, --help, README and tests read it.
//    name    needs                  what it is
#define DRPT_METHODS(X)                                                                                                   \
    X(full,   NEEDS_Q,             "alpha = 1/n: ordinary training on the general rows")                                  \
    X(target, NEEDS_Q,             "beta = 1: ordinary training on the target rows")                                      \
    X(mix,    NEEDS_Q,             "beta = --mix, alpha = (1 - mix)/n: ordinary training on both")                        \
    X(random, NEEDS_Q,             "alpha = 1/k on k = --keep * n rows drawn at random, a control")                       \
    X(subset, NEEDS_S,             "alpha = 1/k on the k = --keep * n rows with the highest scores s_i")             \
    X(filter, NEEDS_S,             "alpha = 1/k on the k rows whose score is not negative")                               \
    X(span,   NEEDS_S | NEEDS_K,   "projection of t on the span of the general gradients, with --ridge")                  \
    X(cone,   NEEDS_S | NEEDS_K,   "projection of t on their cone: alpha >= 0, with --ridge")

#define METHOD_ENUM(name, ...) METHOD_##name,
typedef enum { DRPT_METHODS(METHOD_ENUM) NUM_METHODS } Method;
#undef METHOD_ENUM

typedef struct {
    double keep;      // kept fraction of the rows: k = max(1, floor(keep * n))
    double ridge;     // relative to the mean of |g_i|^2
    double mix;       // weight of the target gradient
    uint64_t seed;    // of random
} Knobs;

// Of one group. K is symmetric.
typedef struct {
    double *K, *s, q;  // (n,n), (n)
    double* score;     // (n) what selections rank by; the same array as s unless another is asked for
    double *S, *Q;     // (n,m), (m,m): <g_i,t_j>, <t_j,t_l>; NULL unless NEEDS_ROWS
    double* partial;   // gather's: gather_partial()
} Statistics;

typedef struct {
    int dropped;       // rows left out because their gradient is not finite
    int skipped;       // 1: no direction to go (t zero or not finite, or an empty feasible set)
} Verdict;

// Doubles of `work` that a problem of n rows needs.
static inline HOST_DEVICE size_t solve_work(int n) { return 4 * (size_t)n * n + 12 * (size_t)n + 8; }

// k rows of the highest score share the weight; ties go to the lowest index.
static inline HOST_DEVICE void solve_subset(double* alpha, const double* s, int n, double keep) {
    int k = (int)(keep * n + 1e-9); // so that 0.3 of 10 is 3, though 0.3 is a little less in binary
    k = k < 1 ? 1 : k;
    k = k > n ? n : k; // after the other: of no rows none is kept
    for (int i = 0; i < n; i++) { alpha[i] = 0.0; }
    for (int picked = 0; picked < k; picked++) {
        int best = -1;
        for (int i = 0; i < n; i++) {
            if (alpha[i] == 0.0 && (best < 0 || s[i] > s[best])) { best = i; }
        }
        alpha[best] = 1.0 / k;
    }
}

// A hash as a uniform score (splitmix64, Steele, Lea and Flood 2014): nothing to be saved, the same on every device.
static inline HOST_DEVICE double solve_hash(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11);
}

static inline HOST_DEVICE void solve_random(double* alpha, int n, double keep, uint64_t seed, double* work) {
    for (int i = 0; i < n; i++) { work[i] = solve_hash(seed, (uint64_t)i); }
    solve_subset(alpha, work, n, keep);
}

static inline HOST_DEVICE void solve_filter(double* alpha, const double* s, int n) {
    int k = 0;
    for (int i = 0; i < n; i++) { k += s[i] >= 0.0; }
    for (int i = 0; i < n; i++) { alpha[i] = s[i] >= 0.0 ? 1.0 / k : 0.0; }
}

// M = K + mu I with its rows and columns scaled to a diagonal of 1, b scaled likewise, so that one tolerance serves
// gradients of all lengths; d are the scales. A row of zero length gets d = 0 and stays out.
static inline HOST_DEVICE void solve_normalise(double* M, double* b, double* d, const double* K, const double* s, int n, double mu) {
    for (int i = 0; i < n; i++) { d[i] = K[i*n + i] + mu > 0.0 ? sqrt(K[i*n + i] + mu) : 0.0; }
    for (int i = 0; i < n; i++) {
        b[i] = d[i] > 0.0 ? s[i] / d[i] : 0.0;
        for (int j = 0; j < n; j++) { M[i*n + j] = d[i] > 0.0 && d[j] > 0.0 && i != j ? K[i*n + j] / (d[i] * d[j]) : 0.0; }
        M[i*n + i] = 1.0;
    }
}

static inline HOST_DEVICE double solve_ridge(const double* K, int n, double ridge) {
    double trace = 0.0;
    for (int i = 0; i < n; i++) { trace += K[i*n + i]; }
    return ridge * trace / n;
}

// Rows [from, p) of the Cholesky factor L (row stride n) of M restricted to the list P. Returns 0 if a pivot is
// not above `smallest` (M has ones on its diagonal): row P[...] depends on those before it.
static inline HOST_DEVICE int solve_factor(double* L, const double* M, const int* P, int from, int p, int n, double smallest) {
    for (int i = from; i < p; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = M[P[i]*n + P[j]];
            for (int k = 0; k < j; k++) { sum -= L[i*n + k] * L[j*n + k]; }
            if (j < i) { L[i*n + j] = sum / L[j*n + j]; }
            else if (!(sum > smallest)) { return 0; }
            else { L[i*n + i] = sqrt(sum); }
        }
    }
    return 1;
}

// z (p) = (L L')^-1 b restricted to P.
static inline HOST_DEVICE void solve_factored(double* z, const double* L, const double* b, const int* P, int p, int n) {
    for (int i = 0; i < p; i++) {
        double sum = b[P[i]];
        for (int k = 0; k < i; k++) { sum -= L[i*n + k] * z[k]; }
        z[i] = sum / L[i*n + i];
    }
    for (int i = p - 1; i >= 0; i--) {
        double sum = z[i];
        for (int k = i + 1; k < p; k++) { sum -= L[k*n + i] * z[k]; }
        z[i] = sum / L[i*n + i];
    }
}

// One Jacobi rotation of the symmetric A (n,n) that zeroes A_pq, recorded in the columns of V.
static inline HOST_DEVICE void solve_rotate(double* A, double* V, int n, int p, int q) {
    double theta = (A[q*n + q] - A[p*n + p]) / (2.0 * A[p*n + q]);
    double t = (theta >= 0.0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    for (int k = 0; k < n; k++) {
        double x = A[k*n + p], y = A[k*n + q];
        A[k*n + p] = c * x - s * y;
        A[k*n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        double x = A[p*n + k], y = A[q*n + k];
        A[p*n + k] = c * x - s * y;
        A[q*n + k] = s * x + c * y;
        x = V[k*n + p]; y = V[k*n + q];
        V[k*n + p] = c * x - s * y;
        V[k*n + q] = s * x + c * y;
    }
}

// What K can tell of a direction, relative to the largest: its entries come from single-precision products and are exact to
// about 1e-7 of |g_i| |g_j|, so that a smaller eigenvalue is noise and its inverse would blow the update up.
#define SOLVE_RESOLUTION 1e-6

// x (n) = A^+ b for a symmetric, positive semi-definite A (n,n), overwritten: directions that K cannot
// resolve are left out. Cyclic Jacobi; V (n,n).
static inline HOST_DEVICE void solve_pseudo_inverse(double* x, double* A, double* V, const double* b, int n) {
    for (int i = 0; i < n * n; i++) { V[i] = i % (n + 1) == 0 ? 1.0 : 0.0; }
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0.0;
        for (int p = 0; p < n; p++) {
            for (int q = p + 1; q < n; q++) {
                if (fabs(A[p*n + q]) <= 1e-15) { continue; }
                off += fabs(A[p*n + q]);
                solve_rotate(A, V, n, p, q);
            }
        }
        if (off == 0.0) { break; }
    }
    double largest = 0.0;
    for (int k = 0; k < n; k++) { largest = fmax(largest, A[k*n + k]); }
    for (int i = 0; i < n; i++) { x[i] = 0.0; }
    for (int k = 0; k < n; k++) {
        if (!(A[k*n + k] > SOLVE_RESOLUTION * largest)) { continue; }
        double along = 0.0;
        for (int i = 0; i < n; i++) { along += V[i*n + k] * b[i]; }
        for (int i = 0; i < n; i++) { x[i] += V[i*n + k] * along / A[k*n + k]; }
    }
}

// alpha = (K + mu I)^-1 s by Cholesky; by eigenvectors where K has not full rank. work: 3 n^2 + 4 n.
static inline HOST_DEVICE void solve_span(double* alpha, const double* K, const double* s, int n, double ridge, double* work) {
    double *M = work, *L = M + n*n, *V = L + n*n, *b = V + n*n, *d = b + n;
    int* P = (int*)(d + n);
    solve_normalise(M, b, d, K, s, n, solve_ridge(K, n, ridge));
    for (int i = 0; i < n; i++) { P[i] = i; }
    if (solve_factor(L, M, P, 0, n, n, SOLVE_RESOLUTION)) { solve_factored(alpha, L, b, P, n, n); }
    else { solve_pseudo_inverse(alpha, M, V, b, n); }
    for (int i = 0; i < n; i++) { alpha[i] = d[i] > 0.0 ? alpha[i] / d[i] : 0.0; }
}

// The active set of Lawson and Hanson's method: rows whose weight is free, in the order of the factor L.
typedef struct {
    double *M, *b, *L, *x, *z; // the problem; its factor on the free rows; weights, and the free minimum
    int *P, p, n;              // the free rows
    int *blocked;              // rows that the arithmetic cannot tell from the free ones
} Cone;

// Walks from x towards the minimum z over the free rows until a weight meets zero; that row is bound again.
static inline HOST_DEVICE void cone_retreat(Cone* c) {
    double step = 2.0;
    int hit = 0, first = c->p;
    for (int k = 0; k < c->p; k++) {
        double x = c->x[c->P[k]];
        if (c->z[k] <= 0.0 && x / (x - c->z[k]) < step) { step = x / (x - c->z[k]); hit = k; }
    }
    for (int k = 0; k < c->p; k++) { c->x[c->P[k]] += step * (c->z[k] - c->x[c->P[k]]); }
    int kept = 0;
    for (int k = 0; k < c->p; k++) {
        int i = c->P[k];
        if (k == hit || c->x[i] <= 0.0) { c->x[i] = 0.0; first = k < first ? k : first; }
        else { c->P[kept++] = i; }
    }
    c->p = kept;
    solve_factor(c->L, c->M, c->P, first, c->p, c->n, 0.0);
    solve_factored(c->z, c->L, c->b, c->P, c->p, c->n);
}

static inline HOST_DEVICE int cone_has_negative(const Cone* c) {
    for (int k = 0; k < c->p; k++) { if (c->z[k] <= 0.0) { return 1; } }
    return 0;
}

// The bound row along which the objective rises fastest, -1 if there is none: then x is the solution.
static inline HOST_DEVICE int cone_candidate(const Cone* c, double tolerance) {
    int best = -1, n = c->n;
    double steepest = tolerance;
    for (int i = 0; i < n; i++) {
        if (c->x[i] > 0.0 || c->blocked[i]) { continue; }
        double slope = c->b[i];
        for (int j = 0; j < n; j++) { slope -= c->M[i*n + j] * c->x[j]; }
        if (slope > steepest) { steepest = slope; best = i; }
    }
    return best;
}

// Frees row i. Returns 0, and blocks it, where it depends on the free rows or would turn negative at once.
static inline HOST_DEVICE int cone_free(Cone* c, int i) {
    c->P[c->p++] = i;
    if (solve_factor(c->L, c->M, c->P, c->p - 1, c->p, c->n, SOLVE_RESOLUTION)) {
        solve_factored(c->z, c->L, c->b, c->P, c->p, c->n);
        if (c->z[c->p - 1] > 0.0) { return 1; }
    }
    c->p--;
    c->blocked[i] = 1;
    return 0;
}

// min 1/2 alpha'(K + mu I)alpha - s'alpha over alpha >= 0: Lawson and Hanson 1974, on the Gram matrix as in Bro and
// De Jong 1997. All s <= 0 gives alpha = 0: no general row points along the target. work: 2 n^2 + 6 n.
static inline HOST_DEVICE void solve_cone(double* alpha, const double* K, const double* s, int n, double ridge, double* work) {
    Cone c = { .M = work, .L = work + n*n, .b = work + 2*n*n, .x = alpha, .n = n };
    double* d = c.b + n;
    c.z = d + n;
    c.P = (int*)(c.z + n);
    c.blocked = c.P + n;
    solve_normalise(c.M, c.b, d, K, s, n, solve_ridge(K, n, ridge));
    double largest = 0.0;
    for (int i = 0; i < n; i++) {
        alpha[i] = 0.0;
        c.blocked[i] = d[i] == 0.0;
        largest = fmax(largest, fabs(c.b[i]));
    }
    for (int pass = 0; pass < 5 * n + 10; pass++) {
        int i = cone_candidate(&c, 1e-10 * largest);
        if (i < 0) { break; }
        if (!cone_free(&c, i)) { continue; }
        while (cone_has_negative(&c)) { cone_retreat(&c); }
        for (int k = 0; k < c.p; k++) { alpha[c.P[k]] = c.z[k]; }
        for (int k = 0; k < n; k++) { c.blocked[k] = d[k] == 0.0; }
    }
    for (int i = 0; i < n; i++) { alpha[i] = d[i] > 0.0 ? alpha[i] / d[i] : 0.0; }
}

// One method on n rows that may all be used. work: solve_work(n) less what drpt_solve() takes.
static inline HOST_DEVICE void solve_method(double* alpha, double* beta, Method method, const double* K, const double* s, int n,
                                            Knobs knobs, double* work) {
    *beta = 0.0;
    switch (method) {
        case METHOD_target: *beta = 1.0; for (int i = 0; i < n; i++) { alpha[i] = 0.0; } break;
        case METHOD_mix:    *beta = knobs.mix; for (int i = 0; i < n; i++) { alpha[i] = (1.0 - knobs.mix) / n; } break;
        case METHOD_random: solve_random(alpha, n, knobs.keep, knobs.seed, work); break;
        case METHOD_subset: solve_subset(alpha, s, n, knobs.keep); break;
        case METHOD_filter: solve_filter(alpha, s, n); break;
        case METHOD_span:   solve_span(alpha, K, s, n, knobs.ridge, work); break;
        case METHOD_cone:   solve_cone(alpha, K, s, n, knobs.ridge, work); break;
        default:            for (int i = 0; i < n; i++) { alpha[i] = 1.0 / n; } break; // full
    }
}

// alpha (n) and beta of a group. usable (n): rows that have a trained token at all. Rows with a NaN or Inf in their gradient
// are left out as if they were not there; a target gradient with one gives no update.
static inline HOST_DEVICE Verdict drpt_solve(double* alpha, double* beta, Method method, const Statistics* st,
                                             const unsigned char* usable, int needs, int n, Knobs knobs, double* work) {
    Verdict verdict = { 0, 0 };
    double* s = work;
    double* found = s + n;
    int* row = (int*)(found + n);
    double* K = found + 2 * n;
    int kept = 0;

    *beta = 0.0;
    for (int i = 0; i < n; i++) { alpha[i] = 0.0; }
    if (!isfinite(st->q)) { verdict.skipped = 1; return verdict; }
    for (int i = 0; i < n; i++) {
        int finite = (!(needs & NEEDS_S) || isfinite(st->s[i])) && (!(needs & NEEDS_K) || isfinite(st->K[i*n + i]));
        verdict.dropped += usable[i] && !finite;
        if (usable[i] && finite) { row[kept++] = i; }
    }
    for (int i = 0; i < kept; i++) {
        s[i] = st->s[row[i]];
        for (int j = 0; (needs & NEEDS_K) && j < kept; j++) { K[i*kept + j] = st->K[row[i]*n + row[j]]; }
    }
    solve_method(found, beta, method, K, s, kept, knobs, K + (size_t)kept * kept);
    int any = *beta != 0.0;
    for (int i = 0; i < kept; i++) {
        alpha[row[i]] = found[i];
        any = any || found[i] != 0.0;
    }
    verdict.skipped = !any || st->q == 0.0;
    return verdict;
}

#endif // DRPT_SOLVE_H
