// solve.h -- the family of feasible sets: each method finds the update u = beta t + sum_i alpha_i g_i from inner
// products alone. The problems have the size of the batch, so the same lines serve the CPU and, one thread a
// group, the GPU; all in double precision, because K is the square of what it measures.
//
// Most of them are the master problem (alpha in a set; D the unit matrix times tr K / n)
//     maximise  <u,t> - tau/2 |u|^2 - ridge/2 alpha'D alpha,
// or, with tau = 0, its linear part (the selections); tau = 1 is the projection of t on the set. The others keep the target's
// own gradient and bend it away from conflicts with the general rows. Sources: Dr. Post-Training, arXiv 2605.07063, for full,
// target, random, subset and filter; GREATS (Wang et al. 2024) for greedy; A-GEM (Chaudhry et al. 2019); GEM (Lopez-Paz and
// Ranzato 2017); PCGrad (Yu et al. 2020); CAGrad (Liu et al. 2021). The projections are classical.
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

// What a method needs to know: q always, scores s, the Gram matrix K, and with ROWS the target rows one by one: S and Q.
enum { NEEDS_Q = 0, NEEDS_S = 1, NEEDS_K = 2, NEEDS_ROWS = 4 };

// The one table of methods: options, --help, README and tests read it. The last two are projections of t on a basis
// (basis.h) and no business of this file.
//    name         needs                 what it is
#define DRPT_METHODS(X)                                                                                                   \
    X(full,        NEEDS_Q,            "alpha = 1/n: ordinary training on the general rows")                              \
    X(target,      NEEDS_Q,            "beta = 1: ordinary training on the target rows")                                  \
    X(mix,         NEEDS_Q,            "beta = --mix, alpha = (1 - mix)/n: ordinary training on both")                    \
    X(random,      NEEDS_Q,            "alpha = 1/k on k = --keep * n rows drawn at random, a control")                   \
    X(subset,      NEEDS_S,            "alpha = 1/k on the k = --keep * n rows with the highest scores s_i")              \
    X(filter,      NEEDS_S,            "alpha = 1/k on the k rows whose score is not negative")                           \
    X(greedy,      NEEDS_S | NEEDS_K,  "alpha = 1/k on k rows, each the best next to those before it, with --tau")        \
    X(span,        NEEDS_S | NEEDS_K,  "projection of t on the span of the general gradients, with --ridge")              \
    X(cone,        NEEDS_S | NEEDS_K,  "projection of t on their cone: alpha >= 0, with --ridge")                         \
    X(simplex,     NEEDS_S | NEEDS_K,  "projection of t on their hull: alpha >= 0 of sum 1, with --ridge")                \
    X(capped,      NEEDS_S | NEEDS_K,  "the same with no alpha above 1/k, k = --keep * n: between simplex and full")      \
    X(agem,        NEEDS_S | NEEDS_K,  "t less its part against the general mean")                                        \
    X(agem_mirror, NEEDS_S,            "the general mean less its part against t")                                        \
    X(gem,         NEEDS_S | NEEDS_K,  "the nearest to t that goes against no domain's mean")                             \
    X(pcgrad,      NEEDS_S | NEEDS_K,  "mean of t and the domains' means, each less its parts against the others")        \
    X(cagrad,      NEEDS_S | NEEDS_K,  "best for the worst off of t and the domains' means, --radius from their mean")    \
    X(trust,       NEEDS_S | NEEDS_K,  "best for t within --radius of the general mean")                                  \
    X(inside,      NEEDS_Q,            "t within a cached basis of general gradients")                                    \
    X(outside,     NEEDS_Q,            "t without its part in that basis")

#define METHOD_ENUM(name, ...) METHOD_##name,
typedef enum { DRPT_METHODS(METHOD_ENUM) NUM_METHODS } Method;
#undef METHOD_ENUM

// What is done to the length of the update at the end.
#define DRPT_RESCALES(X)                                                           \
    X(none,    "as the method gives it")                                           \
    X(ray,     "the projection of t on the ray through u: |u|^2 = <u,t>, or 0")    \
    X(target,  "|u| = |t|")                                                        \
    X(general, "|u| = that of the general mean")                                   \
    X(cap,     "|u| at most --radius times that of the general mean")

#define RESCALE_ENUM(name, ...) RESCALE_##name,
typedef enum { DRPT_RESCALES(RESCALE_ENUM) NUM_RESCALES } Rescale;
#undef RESCALE_ENUM

typedef struct {
    double keep;      // kept fraction of the rows: k = max(1, floor(keep * n))
    double ridge;     // relative to the mean of |g_i|^2
    double mix;       // weight of the target gradient
    double tau;       // weight of |u|^2/2 in the master problem
    double radius;    // relative to the mean gradient that it is around
    double strength;  // u = (1 - strength) t + strength P(t); negative: found from the target rows
    Rescale rescale;
    uint64_t seed;    // of random and pcgrad
} Knobs;

// Of one group. K and Q are symmetric.
typedef struct {
    double *K, *s, *q; // (n,n), (n), one
    double* score;     // (n) what subset and filter rank by; s itself unless another is asked for
    double *S, *Q;     // (n,m), (m,m): <g_i,t_j>, <t_i,t_j>; NULL unless NEEDS_ROWS
    double* partial;   // gather's: (threads, n+1, n+1)
} Statistics;

typedef struct {
    int n, m;                     // general and target rows
    const unsigned char* usable;  // (n) general rows that have a trained token at all
    const int* domain;            // (n) 0..domains-1, where a row comes from; NULL: all 0
    int domains;
    int own_rows;                 // 1: target row i is general row i, so that it does not count in that row's score; m = n, NEEDS_ROWS
} Rows;

// Of random and pcgrad: each group of each step has its own.
static inline HOST_DEVICE uint64_t drpt_group_seed(uint64_t seed, uint64_t step, uint64_t group) {
    return seed + 0x2545f4914f6cdd1du * step + 0x5851f42d4c957f2du * group;
}

typedef struct {
    int dropped;       // rows left out because their gradient is not finite
    int skipped;       // 1: no direction to go (t zero or not finite, or an empty feasible set)
    double strength;   // the weight of t's residual that the target rows speak for; NaN unless asked for
} Verdict;

// What must be gathered.
static inline HOST_DEVICE int solve_needs(Method method, Knobs knobs) {
#define METHOD_NEEDS(name, needs, ...) case METHOD_##name: all = needs; break;
    int all = NEEDS_Q;
    switch (method) { DRPT_METHODS(METHOD_NEEDS) default: break; }
#undef METHOD_NEEDS
    if (knobs.strength < 1.0) { all |= NEEDS_S; }
    if (knobs.strength < 0.0) { all |= NEEDS_S | NEEDS_K | NEEDS_ROWS; }
    if (knobs.rescale != RESCALE_none) { all |= NEEDS_S | NEEDS_K; }
    return all;
}

// Doubles of `work` that a problem needs.
static inline HOST_DEVICE size_t solve_work(int n, int m, int domains) {
    size_t rows = (size_t)n, tasks = (size_t)domains + 1;
    return 4 * rows * rows + rows * (size_t)m + 16 * rows + 4 * tasks * tasks + 16 * tasks + 16;
}

// The usable rows of a group, in an order of their own: it does not depend on where they stood in the batch, so that
// neither do the rounding errors of sums over them.
typedef struct {
    int n, m, domains;
    double *K, *s, q;  // (n,n), (n)
    double *score, *S; // (n), (n,m)
    const double* Q;   // (m,m)
    int *place;        // (n) among the usable rows of the batch: decides ties and draws
    int *domain;       // (n)
} Problem;

// What K can tell of a direction, relative to the largest: its entries come from single-precision products and are exact to
// about 1e-7 of |g_i| |g_j|, so that a smaller eigenvalue is noise and its inverse would blow the update up.
#define SOLVE_RESOLUTION 1e-6

// ---------------------------------------------------------------------------------------------
// Selections: k rows share the weight.

static inline HOST_DEVICE int solve_count(double keep, int n) {
    int k = (int)(keep * n + 1e-9); // so that 0.3 of 10 is 3, though 0.3 is a little less in binary
    k = k < 1 ? 1 : k;
    return k > n ? n : k; // after the other: of no rows none is kept
}

// The row of the highest score that has no weight yet; ties go to the first in the batch.
static inline HOST_DEVICE int solve_best(const double* alpha, const double* score, const int* place, int n) {
    int best = -1;
    for (int i = 0; i < n; i++) {
        if (alpha[i] != 0.0) { continue; }
        if (best < 0 || score[i] > score[best] || (score[i] == score[best] && place[i] < place[best])) { best = i; }
    }
    return best;
}

static inline HOST_DEVICE void solve_subset(double* alpha, const double* score, const int* place, int n, int k) {
    for (int i = 0; i < n; i++) { alpha[i] = 0.0; }
    for (int picked = 0; picked < k; picked++) { alpha[solve_best(alpha, score, place, n)] = 1.0 / k; }
}

// A hash as random bits (splitmix64, Steele, Lea and Flood 2014): nothing to be saved, the same on every device.
static inline HOST_DEVICE uint64_t solve_bits(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline HOST_DEVICE double solve_hash(uint64_t seed, uint64_t i) { return (double)(solve_bits(seed, i) >> 11); }

static inline HOST_DEVICE void solve_random(double* alpha, const int* place, int n, int k, uint64_t seed, double* work) {
    for (int i = 0; i < n; i++) { work[i] = solve_hash(seed, (uint64_t)place[i]); }
    solve_subset(alpha, work, place, n, k);
}

static inline HOST_DEVICE void solve_filter(double* alpha, const double* score, int n) {
    int k = 0;
    for (int i = 0; i < n; i++) { k += score[i] >= 0.0; }
    for (int i = 0; i < n; i++) { alpha[i] = score[i] >= 0.0 ? 1.0 / k : 0.0; }
}

// k times the row that raises <u,t> - tau/2 |u|^2 most when u grows by g_i/k: by 1/k of the gain below. work: 2 n.
static inline HOST_DEVICE void solve_greedy(double* alpha, const Problem* p, int k, double tau, double* work) {
    int n = p->n;
    double *gain = work, *along = work + n; // along: <g_i,u>
    for (int i = 0; i < n; i++) { alpha[i] = along[i] = 0.0; }
    for (int picked = 0; picked < k; picked++) {
        for (int i = 0; i < n; i++) { gain[i] = p->s[i] - tau * (along[i] + p->K[i*n + i] / (2.0 * k)); }
        int best = solve_best(alpha, gain, p->place, n);
        alpha[best] = 1.0 / k;
        for (int i = 0; i < n; i++) { along[i] += p->K[i*n + best] / k; }
    }
}

// ---------------------------------------------------------------------------------------------
// The span: a linear system.

// M = tau K + mu I with its rows and columns scaled to a diagonal of 1, b scaled likewise, so that one tolerance serves
// gradients of all lengths; d are the scales. A row of zero length gets d = 0 and stays out.
static inline HOST_DEVICE void solve_normalise(double* M, double* b, double* d, const double* K, const double* s, int n,
                                               double tau, double mu) {
    for (int i = 0; i < n; i++) { d[i] = tau * K[i*n + i] + mu > 0.0 ? sqrt(tau * K[i*n + i] + mu) : 0.0; }
    for (int i = 0; i < n; i++) {
        b[i] = d[i] > 0.0 ? s[i] / d[i] : 0.0;
        for (int j = 0; j < n; j++) { M[i*n + j] = d[i] > 0.0 && d[j] > 0.0 && i != j ? tau * K[i*n + j] / (d[i] * d[j]) : 0.0; }
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

// alpha = (tau K + mu I)^-1 s by Cholesky; by eigenvectors where K has not full rank. work: 3 n^2 + 3 n.
static inline HOST_DEVICE void solve_span(double* alpha, const double* K, const double* s, int n, double tau, double mu, double* work) {
    double *M = work, *L = M + n*n, *V = L + n*n, *b = V + n*n, *d = b + n;
    int* P = (int*)(d + n);
    solve_normalise(M, b, d, K, s, n, tau, mu);
    for (int i = 0; i < n; i++) { P[i] = i; }
    if (solve_factor(L, M, P, 0, n, n, SOLVE_RESOLUTION)) { solve_factored(alpha, L, b, P, n, n); }
    else { solve_pseudo_inverse(alpha, M, V, b, n); }
    for (int i = 0; i < n; i++) { alpha[i] = d[i] > 0.0 ? alpha[i] / d[i] : 0.0; }
}

// ---------------------------------------------------------------------------------------------
// The cone: weights that are not negative.

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

// min 1/2 alpha'(tau K + mu I)alpha - s'alpha over alpha >= 0: Lawson and Hanson 1974, on the Gram matrix as in Bro and
// De Jong 1997. All s <= 0 gives alpha = 0: no general row points along the target. work: 2 n^2 + 4 n.
static inline HOST_DEVICE void solve_cone(double* alpha, const double* K, const double* s, int n, double tau, double mu, double* work) {
    Cone c;
    c.M = work;
    c.L = c.M + n*n;
    c.b = c.L + n*n;
    c.x = alpha;
    c.z = c.b + n;
    c.P = (int*)(c.z + n);
    c.p = 0;
    c.n = n;
    c.blocked = c.P + n;
    double *d = c.z + 2*n, largest = 0.0;
    solve_normalise(c.M, c.b, d, K, s, n, tau, mu);
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

// ---------------------------------------------------------------------------------------------
// The hull: weights between 0 and a ceiling that add up to 1. They are bounded, so that nothing can blow up where K has
// not full rank, and the problem is solved to the last digits of K whatever these are worth.
//
// A row rests at 0 or at the ceiling, or is free. The slopes of the free rows are equal: along the face of the set that they
// span, x is the minimum. A row that should not rest is moved, the free rows following so that their slopes stay equal, until
// its own slope is theirs, or it meets its other bound, or a free row meets one and rests. The objective never rises,
// and a direction without curvature needs no care: it ends at a bound. (The primal method of Wolfe 1976 for the nearest point of
// a polytope, with ceilings.)

typedef struct {
    double *H, *s;          // minimise 1/2 x'H x - s'x
    double ceiling;
    double *x;              // (n) weights
    double *slope, *noise;  // (n) s - H x, and the size of what it is the difference of
    double *move, *row;     // (n) direction of the free rows; scratch
    double *L;              // the factor of <g_i - g_b, g_j - g_b> over the free rows i, j after the first, b
    int *P, p, n;           // the free rows, the shortest first: the others' differences from it lose the least
    int *rest;              // (n) -1: at 0; 1: at the ceiling; 0: free
} Hull;

// A curvature that is not above this, relative to the rows' own, is a rounding error, and so is a slope.
#define HULL_ROUNDING 1e-13

// Row i of the factor after p others, without its pivot, which is returned: the curvature along i when the free rows follow.
static inline HOST_DEVICE double hull_row(const Hull* h, double* row, int i, int p) {
    const double* H = h->H;
    int n = h->n, b = h->P[0];
    double left = H[i*n + i] - 2.0 * H[i*n + b] + H[b*n + b];
    for (int k = 1; k < p; k++) {
        int j = h->P[k];
        double sum = H[i*n + j] - H[i*n + b] - H[j*n + b] + H[b*n + b];
        for (int l = 1; l < k; l++) { sum -= row[l] * h->L[k*n + l]; }
        row[k] = sum / h->L[k*n + k];
        left -= row[k] * row[k];
    }
    return left;
}

static inline HOST_DEVICE double hull_rounding(const Hull* h, int i) {
    int n = h->n, b = h->P[0];
    return HULL_ROUNDING * (h->H[i*n + i] + h->H[b*n + b]) + 1e-300;
}

// Rows [from, p) of the factor. All of them anew if the first free row is another.
static inline HOST_DEVICE void hull_factor(Hull* h, int from) {
    for (int k = from; k < h->p; k++) {
        double pivot = hull_row(h, &h->L[k * h->n], h->P[k], k);
        h->L[k * h->n + k] = sqrt(fmax(pivot, hull_rounding(h, h->P[k])));
    }
}

// Puts the shortest free row first, and brings the factor up to date from row `from` on.
static inline HOST_DEVICE void hull_order(Hull* h, int from) {
    int shortest = 0, n = h->n;
    for (int k = 1; k < h->p; k++) {
        int i = h->P[k], j = h->P[shortest];
        if (h->H[i*n + i] < h->H[j*n + j]) { shortest = k; }
    }
    if (shortest > 0) {
        int i = h->P[0];
        h->P[0] = h->P[shortest];
        h->P[shortest] = i;
        from = 0;
    }
    hull_factor(h, from < 1 ? 1 : from);
}

static inline HOST_DEVICE void hull_free(Hull* h, int i) {
    h->rest[i] = 0;
    h->P[h->p++] = i;
    hull_order(h, h->p - 1);
}

// Row i comes to rest: side -1 at 0, 1 at the ceiling.
static inline HOST_DEVICE void hull_rest(Hull* h, int i, int side) {
    h->rest[i] = side;
    h->x[i] = side < 0 ? 0.0 : h->ceiling;
}

static inline HOST_DEVICE void hull_bind(Hull* h, int k) {
    hull_rest(h, h->P[k], h->move[h->P[k]] < 0.0 ? -1 : 1);
    for (int l = k; l + 1 < h->p; l++) { h->P[l] = h->P[l + 1]; }
    h->p--;
    hull_order(h, k);
}

static inline HOST_DEVICE void hull_slopes(Hull* h) {
    int n = h->n;
    for (int i = 0; i < n; i++) {
        double slope = h->s[i], noise = fabs(h->s[i]) + h->H[i*n + i] * h->ceiling;
        for (int j = 0; j < n; j++) {
            slope -= h->H[i*n + j] * h->x[j];
            noise += fabs(h->H[i*n + j]) * h->x[j];
        }
        h->slope[i] = slope;
        h->noise[i] = noise;
    }
}

// The resting row that gains most by leaving its bound, -1 if there is none: then x is the solution.
static inline HOST_DEVICE int hull_candidate(const Hull* h) {
    int best = -1, b = h->P[0];
    double most = 0.0;
    for (int i = 0; i < h->n; i++) {
        double gain = h->rest[i] * (h->slope[b] - h->slope[i]);
        if (gain > most && gain > HULL_ROUNDING * (h->noise[i] + h->noise[b])) { most = gain; best = i; }
    }
    return best;
}

// How the free rows follow when row i moves by `sign`: their slopes stay equal and the sum stays 1. Returns the curvature.
static inline HOST_DEVICE double hull_direction(Hull* h, int i, double sign) {
    double curvature = hull_row(h, h->row, i, h->p), sum = sign;
    for (int k = h->p - 1; k >= 1; k--) {
        double z = h->row[k];
        for (int l = k + 1; l < h->p; l++) { z -= h->L[l * h->n + k] * h->row[l]; }
        h->row[k] = z / h->L[k * h->n + k];
        h->move[h->P[k]] = -sign * h->row[k];
        sum += h->move[h->P[k]];
    }
    h->move[h->P[0]] = -sum;
    return curvature > hull_rounding(h, i) ? curvature : 0.0;
}

// How far x_i can go in a direction.
static inline HOST_DEVICE double hull_room(const Hull* h, int i, double move) {
    return move < 0.0 ? h->x[i] / -move : move > 0.0 ? (h->ceiling - h->x[i]) / move : INFINITY;
}

// Moves row i off its bound until it rests or is free.
static inline HOST_DEVICE void hull_bring(Hull* h, int i) {
    int sign = -h->rest[i];
    while (h->p > 0) {
        double curvature = hull_direction(h, i, sign), step = hull_room(h, i, sign);
        int hit = -1;
        for (int k = 0; k < h->p; k++) {
            double room = hull_room(h, h->P[k], h->move[h->P[k]]);
            if (room < step) { step = room; hit = k; }
        }
        double gain = fmax(0.0, sign * (h->slope[i] - h->slope[h->P[0]]));
        int reached = curvature * step > gain;
        if (reached) { step = gain / curvature; }
        h->x[i] += sign * step;
        for (int k = 0; k < h->p; k++) {
            int j = h->P[k];
            h->x[j] = fmin(fmax(h->x[j] + step * h->move[j], 0.0), h->ceiling);
        }
        if (reached) { break; }
        if (hit < 0) { hull_rest(h, i, sign); hull_slopes(h); return; }
        hull_bind(h, hit);
        hull_slopes(h);
    }
    hull_free(h, i);
    hull_slopes(h);
}

// min 1/2 x'H x - s'x over 0 <= x <= 1/k, sum x = 1, from the k highest s on. work: n^2 + 5 n.
static inline HOST_DEVICE void solve_hull(double* x, double* H, double* s, int n, int k, double* work) {
    Hull h;
    h.H = H;
    h.s = s;
    h.ceiling = 1.0 / k;
    h.x = x;
    h.slope = work;
    h.noise = h.slope + n;
    h.move = h.noise + n;
    h.row = h.move + n;
    h.P = (int*)(h.row + n);
    h.rest = h.P + n;
    h.L = h.row + 2*n;
    h.p = 0;
    h.n = n;
    for (int i = 0; i < n; i++) { h.P[i] = i; }
    solve_subset(x, s, h.P, n, k);
    for (int i = 0; i < n; i++) { h.rest[i] = x[i] > 0.0 ? 1 : -1; }
    for (int i = 0; i < n && h.p == 0; i++) { if (x[i] > 0.0) { hull_free(&h, i); } }
    hull_slopes(&h);
    for (int pass = 0; pass < 20 * n + 50 && h.p > 0; pass++) {
        int i = hull_candidate(&h);
        if (i < 0) { break; }
        hull_bring(&h, i);
    }
}

// ---------------------------------------------------------------------------------------------
// The convex sets that t is projected on, as one function of the scores.

static inline HOST_DEVICE int solve_is_projection(Method method) {
    return method == METHOD_span || method == METHOD_cone || method == METHOD_simplex || method == METHOD_capped;
}

// work: 3 n^2 + 5 n.
static inline HOST_DEVICE void solve_project(double* alpha, Method method, const Problem* p, double* s, Knobs knobs, double* work) {
    int n = p->n;
    double tau = knobs.tau, mu = solve_ridge(p->K, n, knobs.ridge), *H = work;
    if (method == METHOD_span) { solve_span(alpha, p->K, s, n, tau, mu, work); return; }
    if (method == METHOD_cone) { solve_cone(alpha, p->K, s, n, tau, mu, work); return; }
    int k = solve_count(method == METHOD_simplex ? 0.0 : knobs.keep, n);
    if (tau == 0.0 && mu == 0.0) { solve_subset(alpha, s, p->place, n, k); return; } // the best corner
    for (int i = 0; i < n * n; i++) { H[i] = tau * p->K[i] + (i % (n + 1) == 0 ? mu : 0.0); }
    solve_hull(alpha, H, s, n, k, H + n*n);
}

// ---------------------------------------------------------------------------------------------
// The target and the mean of the general rows, or of each domain of them.

// <u,v> of two combinations of the general rows.
static inline HOST_DEVICE double solve_dot(const Problem* p, const double* a, const double* b) {
    double sum = 0.0;
    for (int i = 0; i < p->n; i++) {
        for (int j = 0; a[i] != 0.0 && j < p->n; j++) { sum += a[i] * b[j] * p->K[i * p->n + j]; }
    }
    return sum;
}

static inline HOST_DEVICE double solve_sum(const double* a, const double* b, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++) { sum += a[i] * b[i]; }
    return sum;
}

static inline HOST_DEVICE void solve_fill(double* alpha, int n, double value) {
    for (int i = 0; i < n; i++) { alpha[i] = value; }
}

// |gbar|^2, and 0 where the rows cancel beyond what K can tell.
static inline HOST_DEVICE double solve_mean_square(const Problem* p) {
    double square = 0.0, trace = 0.0;
    int n = p->n;
    for (int i = 0; i < n * n; i++) { square += p->K[i]; }
    for (int i = 0; i < n; i++) { trace += p->K[i*n + i]; }
    return square > SOLVE_RESOLUTION * n * trace ? square / n / n : 0.0;
}

static inline HOST_DEVICE double solve_mean_score(const Problem* p) {
    double sum = 0.0;
    for (int i = 0; i < p->n; i++) { sum += p->s[i]; }
    return p->n > 0 ? sum / p->n : 0.0;
}

static inline HOST_DEVICE void solve_agem(double* alpha, double* beta, const Problem* p) {
    double dot = solve_mean_score(p), square = solve_mean_square(p);
    *beta = 1.0;
    solve_fill(alpha, p->n, dot < 0.0 && square > 0.0 ? -dot / square / p->n : 0.0);
}

static inline HOST_DEVICE void solve_agem_mirror(double* alpha, double* beta, const Problem* p) {
    double dot = solve_mean_score(p);
    *beta = dot < 0.0 && p->q > 0.0 ? -dot / p->q : 0.0;
    solve_fill(alpha, p->n, 1.0 / p->n);
}

static inline HOST_DEVICE void solve_trust(double* alpha, double* beta, const Problem* p, double radius) {
    *beta = p->q > 0.0 ? radius * sqrt(solve_mean_square(p) / p->q) : 0.0;
    solve_fill(alpha, p->n, 1.0 / p->n);
}

// Task 0 is t, and every domain that has rows is one: their mean.
typedef struct {
    int count;
    double *G;       // (count,count) inner products
    double *weight;  // (count) of the answer
    double *size;    // (count) rows
    int *task;       // (domains) 0: none of its rows is here
} Tasks;

// A mean that K cannot tell from zero becomes zero.
static inline HOST_DEVICE void tasks_resolve(const Tasks* k, const double* trace) {
    for (int a = 1; a < k->count; a++) {
        if (k->G[a * k->count + a] > SOLVE_RESOLUTION * trace[a] / k->size[a]) { continue; }
        for (int b = 0; b < k->count; b++) { k->G[a * k->count + b] = k->G[b * k->count + a] = 0.0; }
    }
}

// work: count^2 + 4 count.
static inline HOST_DEVICE Tasks solve_tasks(const Problem* p, double* work) {
    Tasks k;
    int n = p->n, most = p->domains + 1;
    k.weight = work;
    k.size = k.weight + most;
    double* trace = k.size + most;
    k.task = (int*)(trace + most);
    k.G = trace + 2*most;
    k.count = 1;
    for (int a = 0; a < most; a++) { k.size[a] = trace[a] = 0.0; }
    for (int a = 0; a < p->domains; a++) {
        k.task[a] = 0;
        for (int i = 0; i < n && k.task[a] == 0; i++) { if (p->domain[i] == a) { k.task[a] = k.count++; } }
    }
    for (int i = 0; i < n; i++) { k.size[k.task[p->domain[i]]] += 1.0; }
    for (int a = 0; a < k.count * k.count; a++) { k.G[a] = 0.0; }
    k.G[0] = p->q;
    for (int i = 0; i < n; i++) {
        int a = k.task[p->domain[i]];
        trace[a] += p->K[i*n + i];
        k.G[a] = k.G[a * k.count] += p->s[i] / k.size[a];
        for (int j = 0; j < n; j++) {
            int b = k.task[p->domain[j]];
            k.G[a * k.count + b] += p->K[i*n + j] / (k.size[a] * k.size[b]);
        }
    }
    tasks_resolve(&k, trace);
    return k;
}

// A task's weight is shared by its rows.
static inline HOST_DEVICE void tasks_share(double* alpha, double* beta, const Tasks* k, const Problem* p) {
    *beta = k->weight[0];
    for (int i = 0; i < p->n; i++) {
        int a = k->task[p->domain[i]];
        alpha[i] = k->weight[a] / k->size[a];
    }
}

// min |u - t| with <u,m> >= 0 for every mean m. The dual: u = t + sum_d v_d m_d, where v >= 0 is the projection of -t on the
// means' cone. work: 3 count^2 + 6 count.
static inline HOST_DEVICE void tasks_gem(const Tasks* k, double* work) {
    int domains = k->count - 1;
    double *G = work, *s = G + domains * domains;
    for (int a = 0; a < domains; a++) {
        s[a] = -k->G[a + 1];
        for (int b = 0; b < domains; b++) { G[a*domains + b] = k->G[(a + 1) * k->count + b + 1]; }
    }
    k->weight[0] = 1.0;
    solve_cone(k->weight + 1, G, s, domains, 1.0, 0.0, s + domains);
}

// The task that comes after `last` (-1: the first) in the random order of task a.
static inline HOST_DEVICE int pcgrad_next(uint64_t seed, int a, int last, int count) {
    int next = -1;
    double before = last < 0 ? -1.0 : solve_hash(seed, (uint64_t)a * (uint64_t)count + (uint64_t)last), least = INFINITY;
    for (int b = 0; b < count; b++) {
        double hash = solve_hash(seed, (uint64_t)a * (uint64_t)count + (uint64_t)b);
        if (hash > before && hash < least) { least = hash; next = b; }
    }
    return next;
}

// v: task a less its parts against the others, one after the other; v is written in the tasks.
static inline HOST_DEVICE void pcgrad_project(double* v, const Tasks* k, int a, uint64_t seed) {
    int count = k->count;
    for (int b = 0; b < count; b++) { v[b] = b == a ? 1.0 : 0.0; }
    for (int b = pcgrad_next(seed, a, -1, count); b >= 0; b = pcgrad_next(seed, a, b, count)) {
        double dot = solve_sum(v, &k->G[b * count], count);
        if (b != a && dot < 0.0 && k->G[b * count + b] > 0.0) { v[b] -= dot / k->G[b * count + b]; }
    }
}

// work: count.
static inline HOST_DEVICE void tasks_pcgrad(const Tasks* k, uint64_t seed, double* work) {
    for (int b = 0; b < k->count; b++) { k->weight[b] = 0.0; }
    for (int a = 0; a < k->count; a++) {
        pcgrad_project(work, k, a, seed);
        for (int b = 0; b < k->count; b++) { k->weight[b] += work[b] / k->count; }
    }
}

// |g_w|, or, where the tasks cancel, the least that K can tell.
static inline HOST_DEVICE double cagrad_length(const Tasks* k, const double* w) {
    double square = 0.0, sum = 0.0;
    for (int a = 0; a < k->count; a++) {
        square += w[a] * solve_sum(&k->G[a * k->count], w, k->count);
        sum += w[a] * sqrt(k->G[a * k->count + a]);
    }
    return sqrt(fmax(square, SOLVE_RESOLUTION * sum * sum));
}

// max over |u - g0| <= r of the least <u,task>, g0 the tasks' mean and r = radius |g0|. Its dual: u = g0 + r g_w / |g_w|, with w on the
// simplex where <g_w,g0> + r |g_w| is least. As |g_w| = min over l > 0 of |g_w|^2 / 2l + l/2, that is, for a given l,
// a quadratic problem, and the right l is the |g_w| of its answer; |g_w| / l falls with l, so that l can be found by
// halving. u = g0 + r g_w / l stays right where |g_w| is 0. work: 2 count^2 + 7 count.
static inline HOST_DEVICE void tasks_cagrad(const Tasks* k, double radius, double* work) {
    int count = k->count;
    double *b = work, *s = b + count, *H = s + count, square = 0.0, longest = 0.0;
    for (int a = 0; a < count; a++) {
        b[a] = 0.0;
        for (int c = 0; c < count; c++) { b[a] += k->G[a*count + c] / count; }
        square += b[a] / count;
        longest = fmax(longest, sqrt(k->G[a*count + a]));
        k->weight[a] = 0.0;
    }
    double r = radius * sqrt(fmax(0.0, square)), low = SOLVE_RESOLUTION * longest, high = longest;
    for (int a = 0; a < count * count; a++) { H[a] = r * k->G[a]; }
    for (int halving = 0; r > 0.0 && halving < 64; halving++) {
        double l = 0.5 * (low + high);
        for (int a = 0; a < count; a++) { s[a] = -l * b[a]; }
        solve_hull(k->weight, H, s, count, 1, H + count*count);
        if (cagrad_length(k, k->weight) > l) { low = l; } else { high = l; }
    }
    for (int a = 0; a < count; a++) { // a task that counts as zero is not to be magnified
        k->weight[a] = 1.0 / count + (r > 0.0 && k->G[a*count + a] > 0.0 ? r / high * k->weight[a] : 0.0);
    }
}

static inline HOST_DEVICE void solve_with_tasks(double* alpha, double* beta, Method method, const Problem* p, Knobs knobs, double* work) {
    Tasks k = solve_tasks(p, work);
    double* rest = k.G + k.count * k.count;
    if (method == METHOD_gem) { tasks_gem(&k, rest); }
    if (method == METHOD_pcgrad) { tasks_pcgrad(&k, knobs.seed, rest); }
    if (method == METHOD_cagrad) { tasks_cagrad(&k, knobs.radius, rest); }
    tasks_share(alpha, beta, &k, p);
}

// ---------------------------------------------------------------------------------------------
// One group.

// One method on rows that may all be used.
static inline HOST_DEVICE void solve_method(double* alpha, double* beta, Method method, const Problem* p, Knobs knobs, double* work) {
    int n = p->n, k = solve_count(knobs.keep, n);
    *beta = 0.0;
    switch (method) {
        case METHOD_target:      *beta = 1.0; solve_fill(alpha, n, 0.0); break;
        case METHOD_mix:         *beta = knobs.mix; solve_fill(alpha, n, (1.0 - knobs.mix) / n); break;
        case METHOD_random:      solve_random(alpha, p->place, n, k, knobs.seed, work); break;
        case METHOD_subset:      solve_subset(alpha, p->score, p->place, n, k); break;
        case METHOD_filter:      solve_filter(alpha, p->score, n); break;
        case METHOD_greedy:      solve_greedy(alpha, p, k, knobs.tau, work); break;
        case METHOD_span:
        case METHOD_cone:
        case METHOD_simplex:
        case METHOD_capped:      solve_project(alpha, method, p, p->s, knobs, work); break;
        case METHOD_agem:        solve_agem(alpha, beta, p); break;
        case METHOD_agem_mirror: solve_agem_mirror(alpha, beta, p); break;
        case METHOD_gem:
        case METHOD_pcgrad:
        case METHOD_cagrad:      solve_with_tasks(alpha, beta, method, p, knobs, work); break;
        case METHOD_trust:       solve_trust(alpha, beta, p, knobs.radius); break;
        default:                 solve_fill(alpha, n, 1.0 / n); break; // full
    }
}

// The target rows t'_j = m t_j are m draws of the same gradient, whose mean is t. Their residuals r_j = t'_j - P(t'_j) have
// U = the mean of <r_i,r_j> over i != j, which estimates |E r|^2 without bias: what of t lies outside the set by more than chance.
// u = P(t) + b (t - P(t)) with b = U / |rbar|^2, in [0,1]: the positive part of James and Stein's shrinkage. rbar itself would be
// t - P(t) if P were linear; as the rows' projections on a cone follow their noise, their mean is no good part of an update.
// Returns b.
// work: 3 n + what a projection takes.
static inline HOST_DEVICE double solve_auto(double* alpha, Method method, const Problem* p, Knobs knobs, double* work) {
    int n = p->n, m = p->m;
    double *mean = work, *a = mean + n, *s = a + n, squares = 0.0;
    solve_fill(mean, n, 0.0);
    for (int j = 0; j < m; j++) {
        for (int i = 0; i < n; i++) { s[i] = m * p->S[i*m + j]; }
        solve_project(a, method, p, s, knobs, s + n);
        squares += (double)m * m * p->Q[j*m + j] - 2.0 * solve_sum(a, s, n) + solve_dot(p, a, a);
        for (int i = 0; i < n; i++) { mean[i] += a[i] / m; }
    }
    double square = p->q - 2.0 * solve_sum(mean, p->s, n) + solve_dot(p, mean, mean);
    double U = m > 1 ? (m * square - squares / m) / (m - 1) : 0.0;
    double b = U > 0.0 && square > 0.0 ? fmin(1.0, U / square) : 0.0;
    for (int i = 0; i < n; i++) { alpha[i] *= 1.0 - b; }
    return b;
}

// What u is multiplied by. A length that the parts of u cancel down to counts as no less than K can tell.
static inline HOST_DEVICE double solve_scale(const double* alpha, double beta, const Problem* p, Knobs knobs) {
    double dot = solve_sum(alpha, p->s, p->n) + beta * p->q, parts = fabs(beta) * sqrt(p->q);
    double square = solve_dot(p, alpha, alpha) + 2.0 * beta * solve_sum(alpha, p->s, p->n) + beta * beta * p->q;
    for (int i = 0; i < p->n; i++) { parts += fabs(alpha[i]) * sqrt(fmax(0.0, p->K[i * p->n + i])); }
    square = fmax(square, SOLVE_RESOLUTION * parts * parts);
    if (square == 0.0) { return 1.0; }
    double length = sqrt(square);
    switch (knobs.rescale) {
        case RESCALE_ray:     return fmax(0.0, dot) / square;
        case RESCALE_target:  return sqrt(p->q) / length;
        case RESCALE_general: return sqrt(solve_mean_square(p)) / length;
        case RESCALE_cap:     return fmin(1.0, knobs.radius * sqrt(solve_mean_square(p)) / length);
        default:              return 1.0;
    }
}

// Can nothing that is known of row i harm the others?
static inline HOST_DEVICE int solve_is_finite(const Statistics* st, int needs, int n, int m, int i) {
    int finite = !(needs & NEEDS_S) || (isfinite(st->s[i]) && isfinite(st->score[i]));
    finite = finite && (!(needs & NEEDS_K) || isfinite(st->K[i*n + i]));
    for (int j = 0; (needs & NEEDS_ROWS) && j < m; j++) { finite = finite && isfinite(st->S[i*m + j]); }
    return finite;
}

static inline HOST_DEVICE int solve_target_is_finite(const Statistics* st, int needs, int m) {
    int finite = isfinite(*st->q);
    for (int j = 0; (needs & NEEDS_ROWS) && j < m; j++) { finite = finite && isfinite(st->Q[j*m + j]); }
    return finite;
}

static inline HOST_DEVICE int solve_comes_before(const Statistics* st, int needs, int n, int i, int j) {
    if ((needs & NEEDS_S) && st->s[i] != st->s[j]) { return st->s[i] > st->s[j]; }
    return (needs & NEEDS_K) && st->K[i*n + i] < st->K[j*n + j];
}

// order (count): the places of the rows in `row`, by score, then by length; of the like the first in the batch first.
static inline HOST_DEVICE void solve_sort(int* order, const int* row, int count, const Statistics* st, int needs, int n) {
    for (int place = 0; place < count; place++) {
        int at = place;
        for (; at > 0 && solve_comes_before(st, needs, n, row[place], row[order[at - 1]]); at--) { order[at] = order[at - 1]; }
        order[at] = place;
    }
}

// The part of a row's score that it gives itself, <g_i,t_i>.
static inline HOST_DEVICE double solve_own(const Statistics* st, Rows rows, int i) { return rows.own_rows ? st->S[i*rows.m + i] : 0.0; }

// Copies what is known of the rows in `row`, in the order p->place.
static inline HOST_DEVICE void solve_restrict(Problem* p, const int* row, const Statistics* st, Rows rows, int needs) {
    for (int i = 0; i < p->n; i++) {
        int from = row[p->place[i]];
        p->domain[i] = rows.domain ? rows.domain[from] : 0;
        p->s[i] = needs & NEEDS_S ? st->s[from] - solve_own(st, rows, from) : 0.0;
        p->score[i] = needs & NEEDS_S ? st->score[from] - solve_own(st, rows, from) : 0.0;
        for (int j = 0; (needs & NEEDS_K) && j < p->n; j++) { p->K[i * p->n + j] = st->K[from * rows.n + row[p->place[j]]]; }
        for (int j = 0; (needs & NEEDS_ROWS) && j < p->m; j++) { p->S[i * p->m + j] = st->S[from * p->m + j]; }
    }
}

// alpha (n) and beta of a group; needs: what was gathered, at least solve_needs(). Rows with a NaN or Inf in their gradient
// are left out as if they were not there; a target gradient with one gives no update.
static inline HOST_DEVICE Verdict drpt_solve(double* alpha, double* beta, Method method, const Statistics* st,
                                             Rows rows, int needs, Knobs knobs, double* work) {
    Verdict verdict = { 0, 0, NAN };
    int n = rows.n, *row = (int*)work;
    Problem p;

    *beta = 0.0;
    solve_fill(alpha, n, 0.0);
    if (!solve_target_is_finite(st, needs, rows.m)) { verdict.skipped = 1; return verdict; }
    p.n = 0;
    for (int i = 0; i < n; i++) {
        int finite = solve_is_finite(st, needs, n, rows.m, i);
        verdict.dropped += rows.usable[i] && !finite;
        if (rows.usable[i] && finite) { row[p.n++] = i; }
    }
    p.m = rows.m;
    p.domains = rows.domains;
    p.q = *st->q;
    p.Q = st->Q;
    p.place = row + n;
    p.domain = p.place + n;
    p.s = work + 2*n;
    p.score = p.s + n;
    p.K = p.score + n;
    p.S = p.K + (size_t)p.n * p.n;
    double* found = p.S + (needs & NEEDS_ROWS ? (size_t)p.n * p.m : 0);
    solve_sort(p.place, row, p.n, st, needs, n);
    solve_restrict(&p, row, st, rows, needs);

    solve_method(found, beta, method, &p, knobs, found + p.n);
    if (knobs.strength < 0.0 && solve_is_projection(method)) {
        *beta = verdict.strength = solve_auto(found, method, &p, knobs, found + p.n);
    } else if (knobs.strength >= 0.0) {
        *beta = 1.0 - knobs.strength + knobs.strength * *beta;
        for (int i = 0; i < p.n; i++) { found[i] *= knobs.strength; }
    }
    if (rows.own_rows && knobs.rescale != RESCALE_none) { // lengths and <u,t> are those of the whole t
        rows.own_rows = 0;
        solve_restrict(&p, row, st, rows, needs);
    }
    double scale = knobs.rescale == RESCALE_none ? 1.0 : solve_scale(found, *beta, &p, knobs);
    *beta *= scale;
    int any = *beta != 0.0;
    for (int i = 0; i < p.n; i++) {
        alpha[row[p.place[i]]] = scale * found[i];
        any = any || alpha[row[p.place[i]]] != 0.0;
    }
    verdict.skipped = !any || *st->q == 0.0;
    return verdict;
}

#endif // DRPT_SOLVE_H
