// basis.c -- the bases by randomized subspace iteration on the factors of the gradients (N. Halko, P.-G. Martinsson and
// J. Tropp, "Finding structure with randomness", 2011), and the projections.
//
// A refresh takes one power step Y = C U = sum_i g_i (g_i' U) from the basis of the refresh before and a few random
// directions, makes Y orthonormal, and turns it to the eigenvectors of C within that space (Rayleigh and Ritz), of which the
// largest are kept. What lies outside of the basis is forgotten: of the C before, only U' Lambda U is left.
#include "basis.h"
#include "factor.h"
#include "solve.h"
#include "../llmc/arena.h"
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/matmul.h"
#include "../llmc/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    OVERSAMPLING = 8,   // random directions in each refresh, by which it finds what the basis before has not seen
    FIRST_STEPS = 2,    // power steps of a first refresh, which begins with random directions alone
    MAX_RANK = 4096,
};

// Directions of smaller singular value, relative to the largest, are rounding errors of a zero.
#define RESOLUTION 1e-6

// k directions of one side: main (k,cols), and a last column where that side has a bias, else NULL.
typedef struct { float *main, *bias; int cols; } Block;

typedef struct {
    int dim, rank;      // rank 0: nothing is inside
    Block u;            // room for the basis' rank; main is NULL: all directions, not stored
    double* value;      // (rank) eigenvalues of C, the largest first
} Side;

enum { LEFT, RIGHT };

typedef struct {
    int kind, rows, cols, bias, refreshes;
    double total;       // trace of C
    Side side[2];
} State;

struct Basis {
    int rank, threads;
    Sides sides;
    double forget;
    uint64_t seed;
    State* state[DRPT_MAX_SITES]; // by the site's index
    Arena arena;                  // working memory of one call
};

#define SIDES_NAME(name) #name,
static const char* const sides_names[] = { DRPT_SIDES(SIDES_NAME) };

// ---------------------------------------------------------------------------------------------
// Memory.

static void* take(size_t size, size_t count) {
    void* p = calloc(count > 0 ? count : 1, size);
    check(p != NULL, "out of memory for a basis: %zu bytes", size * count);
    return p;
}

Basis* basis_create(int rank, Sides sides, double forget, uint64_t seed, int threads) {
    check(rank >= 1 && rank <= MAX_RANK, "--rank %d is not in 1..%d", rank, MAX_RANK);
    check(forget >= 0.0 && forget <= 1.0, "--forget %g is not in 0..1", forget);
    Basis* b = take(sizeof(*b), 1);
    *b = (Basis){ .rank = rank, .threads = threads, .sides = sides, .forget = forget, .seed = seed };
    return b;
}

static void state_free(State* st) {
    for (int side = LEFT; st && side <= RIGHT; side++) {
        free(st->side[side].u.main);
        free(st->side[side].value);
    }
    free(st);
}

void basis_free(Basis* b) {
    if (!b) { return; }
    for (int i = 0; i < DRPT_MAX_SITES; i++) { state_free(b->state[i]); }
    arena_free(&b->arena);
    free(b);
}

static int is_projected(const Basis* b, int side) { return b->sides == SIDES_both || (b->sides == SIDES_left) == (side == LEFT); }

static Block block_at(float* floats, int cols, int bias, int k) {
    return (Block){ floats, bias && floats ? floats + (size_t)cols * k : NULL, cols };
}

static State* state_create(const Basis* b, int kind, int rows, int cols, int bias) {
    State* st = take(sizeof(*st), 1);
    *st = (State){ .kind = kind, .rows = rows, .cols = cols, .bias = bias };
    for (int side = LEFT; side <= RIGHT; side++) {
        Side* s = &st->side[side];
        s->dim = side == LEFT ? rows : cols + bias;
        if (!is_projected(b, side) || s->dim <= b->rank) { continue; }
        s->u = block_at(take(sizeof(float), (size_t)s->dim * b->rank), side == LEFT ? rows : cols, side == RIGHT && bias, b->rank);
        s->value = take(sizeof(double), (size_t)b->rank);
    }
    return st;
}

// A basis that a file brought must fit the model.
static State* state_of(const Basis* b, const Site* s) {
    check(s->index >= 0 && s->index < DRPT_MAX_SITES, "%s: site %d of at most %d", s->name, s->index, DRPT_MAX_SITES);
    State* st = b->state[s->index];
    check(!st || (st->kind == (int)s->kind && st->rows == s->rows && st->cols == s->cols && st->bias == (s->dbias != NULL)),
          "%s: its basis is of another layer: (%d,%d), not (%d,%d)", s->name, st->rows, st->cols, s->rows, s->cols);
    return st;
}

// ---------------------------------------------------------------------------------------------
// Arithmetic of k directions.

static void product(float* out, Block a, int k, Block b, int l) { // out (k,l) = a b'
    matmul_forward(out, a.main, b.main, NULL, k, a.cols, l);
    for (int i = 0; a.bias && i < k; i++) {
        for (int j = 0; j < l; j++) { out[i*l + j] += a.bias[i] * b.bias[j]; }
    }
}

static void add_turned(Block out, int k, const float* turn, Block a, int l) { // out += turn' a, turn (l,k)
    matmul_backward_params(out.main, NULL, turn, a.main, l, out.cols, k);
    if (out.bias) { matmul_backward_params(out.bias, NULL, turn, a.bias, l, 1, k); }
}

static void clear(Block x, int k) {
    memset(x.main, 0, sizeof(float) * (size_t)k * x.cols);
    if (x.bias) { memset(x.bias, 0, sizeof(float) * (size_t)k); }
}

static void scale_by(float* x, size_t count, float c) {
    #pragma omp parallel for simd
    for (size_t i = 0; i < count; i++) { x[i] *= c; }
}

static void scale(Block x, int k, float c) {
    scale_by(x.main, (size_t)k * x.cols, c);
    if (x.bias) { scale_by(x.bias, (size_t)k, c); }
}

static double dot(const double* x, const float* y, size_t count) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t i = 0; i < count; i++) { sum += x[i] * y[i]; }
    return sum;
}

// x (cols + bias) minus its part along the first k directions, whose coefficients stay in `along`.
static void remove_part(double* x, double* along, Block q, int k) {
    size_t cols = (size_t)q.cols;
    #pragma omp parallel if (cols * (size_t)k > 100000)
    {
        #pragma omp for
        for (int j = 0; j < k; j++) { along[j] = dot(x, q.main + j * cols, cols) + (q.bias ? x[cols] * q.bias[j] : 0.0); }
        #pragma omp for
        for (size_t from = 0; from < cols; from += 512) { // stays in the first cache
            size_t count = cols - from < 512 ? cols - from : 512;
            for (int j = 0; j < k; j++) {
                const float* row = q.main + j * cols + from;
                #pragma omp simd
                for (size_t i = 0; i < count; i++) { x[from + i] -= along[j] * row[i]; }
            }
        }
    }
    for (int j = 0; q.bias && j < k; j++) { x[cols] -= along[j] * q.bias[j]; }
}

static double length(const double* x, size_t count) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t i = 0; i < count; i++) { sum += x[i] * x[i]; }
    return sqrt(sum);
}

// Gram and Schmidt, twice because once leaves what rounding of a long vector is in the rest of a short one. Directions that are
// nothing but rounding are dropped; returns how many are left.
static int orthonormalise(Block y, int k, double* x, double* along) {
    size_t cols = (size_t)y.cols, dim = cols + (y.bias != NULL);
    int kept = 0;
    for (int i = 0; i < k; i++) {
        for (size_t c = 0; c < cols; c++) { x[c] = y.main[i * cols + c]; }
        if (y.bias) { x[cols] = y.bias[i]; }
        double before = length(x, dim);
        remove_part(x, along, y, kept);
        remove_part(x, along, y, kept);
        double after = length(x, dim);
        if (!(after > 1e-7 * before)) { continue; }
        for (size_t c = 0; c < cols; c++) { y.main[kept * cols + c] = (float)(x[c] / after); }
        if (y.bias) { y.bias[kept] = (float)(x[cols] / after); }
        kept++;
    }
    return kept;
}

// Eigenvectors of the symmetric H (k,k) in the columns of E, its eigenvalues on the diagonal; by Jacobi's rotations, which find
// the small ones of a graded H as exactly as the large.
static void eigenvectors(double* H, double* E, int k) {
    for (int i = 0; i < k * k; i++) { E[i] = i % (k + 1) == 0 ? 1.0 : 0.0; }
    for (int sweep = 0, turned = 1; turned && sweep < 60; sweep++) {
        turned = 0;
        for (int p = 0; p < k; p++) {
            for (int q = p + 1; q < k; q++) {
                double off = fabs(H[p*k + q]);
                if (!(off > 1e-12 * sqrt(fabs(H[p*k + p] * H[q*k + q]))) || off < 1e-30) { continue; }
                solve_rotate(H, E, k, p, q);
                turned = 1;
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Refresh.

// What the steps of a refresh share: the rows that count, and room.
typedef struct {
    const Site* site;
    unsigned char* use;        // (n)
    int n, T, side, most;      // which side, and directions at a time
    Side* old;
    double forget, unit;       // forget times C of the refresh before; C is measured in units of unit^2
    Block x, y, across;        // (most) directions of this side, twice, and of the other
    float *turn, *scratch;     // (most,most)
    size_t floats;
    double *H, *E;             // (most,most)
    double *vector, *along;    // (dim), (most)
    int* order;                // (most)
} Work;

// out (k) += in (k) through row i's gradient, from this side to the other, or from the other to this one.
static void through(Block out, const Work* w, int i, Block in, int k, int from) {
    if (from == LEFT) { site_left(out.main, out.bias, w->site, i, i + 1, w->T, in.main, k, w->scratch, w->floats); }
    else { site_right(out.main, w->site, i, i + 1, w->T, in.main, in.bias, k, w->scratch, w->floats); }
}

// across (k) = x through row i's gradient, in units.
static void measure(const Work* w, int i, int k) {
    clear(w->across, k);
    through(w->across, w, i, w->x, k, w->side);
    scale(w->across, k, (float)(1.0 / w->unit));
}

// turn (rank,k) = U x', its row q times sqrt(forget) sqrt(value_q): C of the past is turn'turn within x.
static int past(const Work* w, int k) {
    int rank = w->forget > 0.0 ? w->old->rank : 0;
    if (rank == 0) { return 0; }
    product(w->turn, w->old->u, rank, w->x, k);
    return rank;
}

// y = C x, in one unit of the two, because the other might leave single precision.
static void power_step(const Work* w, int k) {
    clear(w->y, k);
    for (int i = 0; i < w->n; i++) {
        if (!w->use[i]) { continue; }
        measure(w, i, k);
        through(w->y, w, i, w->across, k, !w->side);
    }
    int rank = past(w, k);
    for (int q = 0; q < rank; q++) { scale_by(w->turn + (size_t)q * k, (size_t)k, (float)(w->forget * w->old->value[q] / w->unit)); }
    if (rank > 0) { add_turned(w->y, k, w->turn, w->old->u, rank); }
}

// H (k,k) = x C x', in units.
static void rayleigh(const Work* w, int k) {
    memset(w->H, 0, sizeof(double) * (size_t)k * k);
    int rank = past(w, k);
    for (int q = 0; q < rank; q++) {
        const float* turn = w->turn + (size_t)q * k;
        double value = w->forget * w->old->value[q] / (w->unit * w->unit);
        for (int a = 0; a < k; a++) {
            for (int b = 0; b < k; b++) { w->H[a*k + b] += value * turn[a] * turn[b]; }
        }
    }
    for (int i = 0; i < w->n; i++) {
        if (!w->use[i]) { continue; }
        measure(w, i, k);
        product(w->turn, w->across, k, w->across, k);
        for (int j = 0; j < k * k; j++) { w->H[j] += w->turn[j]; }
    }
}

// y (rank) = the eigenvectors of the largest eigenvalues, among the k directions x; their values into `along`.
static int largest(const Work* w, int k, int rank) {
    int kept = 0, *order = w->order;
    rayleigh(w, k);
    eigenvectors(w->H, w->E, k);
    for (int i = 0; i < k; i++) {
        int at = i;
        for (; at > 0 && w->H[order[at - 1] * (k + 1)] < w->H[i * (k + 1)]; at--) { order[at] = order[at - 1]; }
        order[at] = i;
    }
    double least = RESOLUTION * RESOLUTION * (k > 0 ? w->H[order[0] * (k + 1)] : 0.0);
    while (kept < rank && kept < k && w->H[order[kept] * (k + 1)] > least) { kept++; }
    for (int q = 0; q < kept; q++) {
        w->along[q] = w->H[order[q] * (k + 1)] * w->unit * w->unit;
        for (int a = 0; a < k; a++) { w->turn[a * kept + q] = (float)w->E[a*k + order[q]]; }
    }
    clear(w->y, kept);
    if (kept > 0) { add_turned(w->y, kept, w->turn, w->x, k); }
    return kept;
}

static void begin(const Work* w, uint64_t seed, int refreshes, int k) { // x = the basis before, and random directions
    int old = w->old->rank;
    size_t cols = (size_t)w->x.cols;
    float sd = (float)(1.0 / sqrt((double)w->old->dim));
    Rng rng = rng_seed(seed, 2 * (uint64_t)w->site->index + (uint64_t)w->side, (uint64_t)refreshes);
    memcpy(w->x.main, w->old->u.main, sizeof(float) * (size_t)old * cols);
    rng_normal(&rng, w->x.main + (size_t)old * cols, (size_t)(k - old) * cols, sd);
    if (!w->x.bias) { return; }
    memcpy(w->x.bias, w->old->u.bias, sizeof(float) * (size_t)old);
    rng_normal(&rng, w->x.bias + old, (size_t)(k - old), sd);
}

static void swap(Block* x, Block* y) { Block kept = *x; *x = *y; *y = kept; }

// |U_old U_new'|_F^2 / the larger rank
static double overlap(const Work* w, int rank) {
    int old = w->old->rank;
    if (old == 0 || rank == 0) { return NAN; }
    product(w->turn, w->old->u, old, w->y, rank);
    double sum = 0.0;
    for (int i = 0; i < old * rank; i++) { sum += (double)w->turn[i] * w->turn[i]; }
    return sum / (old > rank ? old : rank);
}

// One side of one site; returns the overlap with the basis before.
static double turn_side(Work* w, uint64_t seed, int refreshes, int rank) {
    int k = w->most;
    begin(w, seed, refreshes, k);
    for (int step = w->old->rank > 0 ? 1 : FIRST_STEPS; step > 0; step--) {
        power_step(w, k);
        k = orthonormalise(w->y, k, w->vector, w->along);
        swap(&w->x, &w->y);
    }
    int kept = largest(w, k, rank);
    double same = overlap(w, kept);
    memcpy(w->old->u.main, w->y.main, sizeof(float) * (size_t)kept * w->y.cols);
    if (w->y.bias) { memcpy(w->old->u.bias, w->y.bias, sizeof(float) * (size_t)kept); }
    memcpy(w->old->value, w->along, sizeof(double) * (size_t)kept);
    w->old->rank = kept;
    return same;
}

// ---------------------------------------------------------------------------------------------
// Projections.

// P(t) between the bases: U t V' (k = rank of U, cols = rank of V), or U t, or (t V')', whichever are stored.
typedef struct {
    Block m, wide;  // wide: U t V' V
    int k;
    float* scratch;
    size_t floats;
    int threads;
} Middle;

static int is_nothing(const State* st) { return st->side[LEFT].rank == 0 || st->side[RIGHT].rank == 0; }
static int is_everything(const State* st) { return !st->side[LEFT].u.main && !st->side[RIGHT].u.main && !is_nothing(st); }

static void layout_middle(Middle* x, Arena* arena, const State* st, const Site* s, int T, int threads) {
    const Side *left = &st->side[LEFT], *right = &st->side[RIGHT];
    size_t rl = left->u.main ? (size_t)left->rank : 0, rr = right->u.main ? (size_t)right->rank : 0, width = (size_t)right->dim;
    size_t norm = site_norm_scratch(s, T) * (size_t)threads;
    x->threads = threads;
    x->floats = site_between_scratch(s, (int)rl, (int)rr);
    if (x->floats < norm) { x->floats = norm; }
    x->scratch = arena_take(arena, sizeof(float) * x->floats);
    x->k = (int)(rl ? rl : rr);
    size_t cols = rl && rr ? rr : rl ? width : (size_t)s->rows;
    float* m = arena_take(arena, sizeof(float) * (size_t)x->k * cols);
    float* wide = arena_take(arena, sizeof(float) * rl * width);
    x->m = rl && rr ? (Block){ m, NULL, (int)rr } : rl ? block_at(m, s->cols, st->bias, x->k) : (Block){ m, NULL, s->rows };
    x->wide = block_at(wide, s->cols, st->bias, (int)rl);
}

static double norm2(Block x, int k) {
    double sum = 0.0;
    for (size_t i = 0; i < (size_t)k * x.cols; i++) { sum += (double)x.main[i] * x.main[i]; }
    for (int i = 0; x.bias && i < k; i++) { sum += (double)x.bias[i] * x.bias[i]; }
    return sum;
}

// Returns |P(t)|^2.
static double project(const Middle* x, const State* st, const Site* s, int first, int end, int T) {
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u;
    if (is_nothing(st)) { return 0.0; }
    if (is_everything(st)) { return site_norm2(s, first, end, T, x->scratch, x->threads); }
    if (u.main && v.main) {
        site_between(x->m.main, s, first, end, T, u.main, x->k, v.main, v.bias, x->m.cols, x->scratch, x->floats);
        return norm2(x->m, x->k);
    }
    clear(x->m, x->k);
    if (u.main) { site_left(x->m.main, x->m.bias, s, first, end, T, u.main, x->k, x->scratch, x->floats); }
    else { site_right(x->m.main, s, first, end, T, v.main, v.bias, x->k, x->scratch, x->floats); }
    return norm2(x->m, x->k);
}

// dweight and dbias += left' right, left (k,rows), right (k,cols + bias).
static void add_thin(const Site* s, Block left, Block right, int k) {
    matmul_backward_params(s->dweight, NULL, left.main, right.main, k, s->cols, s->rows);
    if (s->dbias) { matmul_backward_params(s->dbias, NULL, left.main, right.bias, k, 1, s->rows); }
}

// dweight and dbias += sign P(t)
static void expand(const Middle* x, const State* st, const Site* s, float sign) {
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u, wide = x->wide;
    scale(x->m, x->k, sign);
    if (!u.main) { add_thin(s, x->m, v, x->k); return; }
    if (!v.main) { add_thin(s, u, x->m, x->k); return; }
    matmul_backward_input(wide.main, x->m.main, v.main, x->k, s->cols, x->m.cols);
    if (wide.bias) { matmul_backward_input(wide.bias, x->m.main, v.bias, x->k, 1, x->m.cols); }
    add_thin(s, u, wide, x->k);
}

// A layout's memory, the same piece again if it is large enough.
static Arena* room_for(Basis* b, Arena measured) {
    if (measured.used > b->arena.size) {
        arena_free(&b->arena);
        b->arena = measured;
        arena_alloc(&b->arena, "a basis");
    }
    b->arena.used = 0;
    return &b->arena;
}

static Middle middle(Basis* b, const State* st, const Site* s, int T) {
    Middle x;
    Arena measured = {0};
    check(st != NULL, "%s: has no basis yet", s->name);
    layout_middle(&x, &measured, st, s, T, b->threads);
    layout_middle(&x, room_for(b, measured), st, s, T, b->threads);
    return x;
}

double basis_inside(Basis* b, const Site* s, int first, int end, int T) {
    const State* st = state_of(b, s);
    Middle x = middle(b, st, s, T);
    double inside = project(&x, st, s, first, end, T);
    if (!isfinite(inside) || is_nothing(st)) { return inside; }
    if (is_everything(st)) { site_add(s, first, end, T, x.scratch, x.floats); }
    else { expand(&x, st, s, 1.0f); }
    return inside;
}

double basis_outside(Basis* b, const Site* s, int first, int end, int T) {
    const State* st = state_of(b, s);
    Middle x = middle(b, st, s, T);
    double inside = project(&x, st, s, first, end, T);
    if (is_nothing(st)) { inside = 0.0 * site_norm2(s, first, end, T, x.scratch, b->threads); } // is t finite?
    if (!isfinite(inside) || is_everything(st)) { return inside; }
    site_add(s, first, end, T, x.scratch, x.floats);
    if (!is_nothing(st)) { expand(&x, st, s, -1.0f); }
    return inside;
}

// ---------------------------------------------------------------------------------------------
// The whole of a refresh.

static Block take_block(Arena* arena, int side, const Site* s, int bias, int k) {
    int cols = side == LEFT ? s->rows : s->cols, more = side == RIGHT && bias;
    return block_at(arena_take(arena, sizeof(float) * (size_t)k * (size_t)(cols + more)), cols, more, k);
}

static void layout_side(Work* w, Arena* arena, int bias) {
    size_t k = (size_t)w->most;
    w->H = arena_take(arena, sizeof(double) * k * k);
    w->E = arena_take(arena, sizeof(double) * k * k);
    w->vector = arena_take(arena, sizeof(double) * (size_t)w->old->dim);
    w->along = arena_take(arena, sizeof(double) * k);
    w->order = arena_take(arena, sizeof(int) * k);
    w->turn = arena_take(arena, sizeof(float) * k * k);
    w->x = take_block(arena, w->side, w->site, bias, w->most);
    w->y = take_block(arena, w->side, w->site, bias, w->most);
    w->across = take_block(arena, !w->side, w->site, bias, w->most);
    w->floats = site_between_scratch(w->site, w->most, 0);
    w->scratch = arena_take(arena, sizeof(float) * w->floats);
}

// Returns the overlap with the basis before.
static double refresh_side(Basis* b, State* st, Work w, int side) {
    Side* s = &st->side[side];
    int before = s->rank;
    if (st->total == 0.0) { s->rank = 0; return NAN; }
    if (!s->u.main) { s->rank = s->dim; return before > 0 ? 1.0 : NAN; }
    Arena measured = {0};
    w.side = side;
    w.old = s;
    w.most = s->dim - b->rank < OVERSAMPLING ? s->dim : b->rank + OVERSAMPLING;
    layout_side(&w, &measured, st->bias);
    layout_side(&w, room_for(b, measured), st->bias);
    return turn_side(&w, b->seed, st->refreshes, b->rank);
}

// Which rows count, and the sum of their |g_i|^2.
static double rows_norm2(Basis* b, const Site* s, unsigned char* use, int n, int T, const unsigned char* usable, int* dropped) {
    double sum = 0.0;
    Arena measured = {0};
    size_t bytes = sizeof(float) * site_norm_scratch(s, T) * (size_t)b->threads;
    arena_take(&measured, bytes);
    float* scratch = arena_take(room_for(b, measured), bytes);
    for (int i = 0; i < n; i++) {
        use[i] = !usable || usable[i];
        if (!use[i]) { continue; }
        double g2 = site_norm2(s, i, i + 1, T, scratch, b->threads);
        use[i] = isfinite(g2) != 0;
        *dropped += !use[i];
        sum += use[i] ? g2 : 0.0;
    }
    return sum;
}

BasisReport basis_refresh(Basis* b, const Site* s, int n, int T, const unsigned char* usable) {
    const double smallest = 1e-60; // a trace below is a zero: its directions leave single precision
    BasisReport report = {0};
    State* st = state_of(b, s);
    if (!st) { st = b->state[s->index] = state_create(b, (int)s->kind, s->rows, s->cols, s->dbias != NULL); }
    unsigned char* use = take(1, (size_t)n);
    double fresh = rows_norm2(b, s, use, n, T, usable, &report.dropped), inside = 0.0;
    st->total = fresh + b->forget * st->total;
    if (st->total < smallest) { st->total = 0.0; }
    Work w = { .site = s, .use = use, .n = n, .T = T, .forget = b->forget, .unit = sqrt(st->total) };
    report.overlap_left = refresh_side(b, st, w, LEFT);
    report.overlap_right = refresh_side(b, st, w, RIGHT);
    st->refreshes++;
    report.rank_left = st->side[LEFT].rank;
    report.rank_right = st->side[RIGHT].rank;
    Middle x = middle(b, st, s, T);
    for (int i = 0; i < n; i++) { inside += use[i] ? project(&x, st, s, i, i + 1, T) : 0.0; }
    report.energy = fresh > 0.0 ? inside / fresh : NAN;
    free(use);
    return report;
}

// ---------------------------------------------------------------------------------------------
// Files: a header; then of each site a record, its trace, and of each side that is stored the values and the directions.

enum { MAGIC_BASIS = 20260508, BASIS_VERSION = 1, RANK = 2, SIDES, COUNT, FORGET, SEED = FORGET + 2 };
typedef struct { int32_t index, kind, rows, cols, bias, refreshes, rank[2]; } Record;

static void write_state(Output* o, const State* st, int index) {
    Record r = { index, st->kind, st->rows, st->cols, st->bias, st->refreshes, { st->side[LEFT].rank, st->side[RIGHT].rank } };
    output_write(o, &r, sizeof(r));
    output_write(o, &st->total, sizeof(st->total));
    for (int side = LEFT; side <= RIGHT; side++) {
        const Side* s = &st->side[side];
        if (!s->u.main) { continue; }
        output_write(o, s->value, sizeof(double) * (size_t)s->rank);
        output_write(o, s->u.main, sizeof(float) * (size_t)s->rank * s->u.cols);
        if (s->u.bias) { output_write(o, s->u.bias, sizeof(float) * (size_t)s->rank); }
    }
}

void basis_write(const Basis* b, const char* path) {
    int32_t header[HEADER_INTS] = { MAGIC_BASIS, BASIS_VERSION, b->rank, (int32_t)b->sides };
    for (int i = 0; i < DRPT_MAX_SITES; i++) { header[COUNT] += b->state[i] != NULL; }
    memcpy(header + FORGET, &b->forget, sizeof(b->forget));
    memcpy(header + SEED, &b->seed, sizeof(b->seed));
    Output o = output_open(path);
    output_write(&o, header, sizeof(header));
    for (int i = 0; i < DRPT_MAX_SITES; i++) {
        if (b->state[i]) { write_state(&o, b->state[i], i); }
    }
    output_close(&o);
}

typedef struct { FILE* file; const char* path; size_t left; } Input;

static void input_take(Input* in, void* data, size_t bytes) {
    check(bytes <= in->left, "%s: ends early; %zu more bytes were expected", in->path, bytes - in->left);
    input_read(in->file, in->path, data, bytes);
    in->left -= bytes;
}

static void check_header(const Basis* b, const int32_t* header, const char* path) {
    double forget;
    uint64_t seed;
    memcpy(&forget, header + FORGET, sizeof(forget));
    memcpy(&seed, header + SEED, sizeof(seed));
    check(header[0] == MAGIC_BASIS && header[1] == BASIS_VERSION, "%s: not a file of bases (magic %d, version %d)", path, header[0], header[1]);
    check(header[RANK] == b->rank, "%s: is of --rank %d, this run of %d", path, header[RANK], b->rank);
    check(header[SIDES] >= 0 && header[SIDES] < NUM_SIDES, "%s: sides %d make no sense", path, header[SIDES]);
    check(header[SIDES] == (int32_t)b->sides, "%s: is of --sides %s, this run of %s", path, sides_names[header[SIDES]], sides_names[b->sides]);
    check(forget == b->forget, "%s: is of --forget %g, this run of %g", path, forget, b->forget);
    check(seed == b->seed, "%s: is of another --seed than this run", path);
    check(header[COUNT] >= 0 && header[COUNT] <= DRPT_MAX_SITES, "%s: %d sites make no sense", path, header[COUNT]);
}

static void check_record(const Record* r, int after, const char* path) {
    const int most = 1 << 20;
    check(r->index > after && r->index < DRPT_MAX_SITES, "%s: site %d after site %d", path, r->index, after);
    check(r->kind >= 0 && r->kind <= SITE_LOOKUP && (r->bias == 0 || r->bias == 1) && r->refreshes > 0
          && r->rows > 0 && r->rows <= most && r->cols > 0 && r->cols <= most,
          "%s: site %d makes no sense (kind %d, %d rows, %d columns, bias %d, refreshes %d)",
          path, r->index, r->kind, r->rows, r->cols, r->bias, r->refreshes);
}

// Every direction has length one, and every value is positive and no larger than the one before.
static void check_side(const Side* s, int index, const char* path) {
    for (int q = 0; q < s->rank; q++) {
        double squares = s->u.bias ? (double)s->u.bias[q] * s->u.bias[q] : 0.0;
        for (int c = 0; c < s->u.cols; c++) { squares += (double)s->u.main[(size_t)q * s->u.cols + c] * s->u.main[(size_t)q * s->u.cols + c]; }
        check(fabs(squares - 1.0) < 1e-3, "%s: site %d: direction %d (from 0) has not length 1", path, index, q);
        check(s->value[q] > 0.0 && isfinite(s->value[q]) && (q == 0 || s->value[q] <= s->value[q - 1]),
              "%s: site %d: value %d (from 0) is %g", path, index, q, s->value[q]);
    }
}

static void read_side(Input* in, Side* s, int rank, int most, int index) {
    check(s->u.main ? rank >= 0 && rank <= most : rank == 0 || rank == s->dim,
          "%s: site %d: %d directions of %d make no sense", in->path, index, rank, s->dim);
    s->rank = rank;
    if (!s->u.main) { return; }
    input_take(in, s->value, sizeof(double) * (size_t)rank);
    input_take(in, s->u.main, sizeof(float) * (size_t)rank * s->u.cols);
    if (s->u.bias) { input_take(in, s->u.bias, sizeof(float) * (size_t)rank); }
    check_side(s, index, in->path);
}

static int read_state(Basis* b, Input* in, int after) {
    Record r;
    input_take(in, &r, sizeof(r));
    check_record(&r, after, in->path);
    State* st = b->state[r.index] = state_create(b, r.kind, r.rows, r.cols, r.bias);
    st->refreshes = r.refreshes;
    input_take(in, &st->total, sizeof(st->total));
    check(st->total >= 0.0 && isfinite(st->total), "%s: site %d: a trace of %g", in->path, r.index, st->total);
    for (int side = LEFT; side <= RIGHT; side++) { read_side(in, &st->side[side], r.rank[side], b->rank, r.index); }
    return r.index;
}

void basis_read(Basis* b, const char* path) {
    int32_t header[HEADER_INTS];
    Input in = { .path = path };
    in.file = input_open(path, &in.left);
    input_take(&in, header, sizeof(header));
    check_header(b, header, path);
    for (int i = 0, after = -1; i < header[COUNT]; i++) { after = read_state(b, &in, after); }
    check(in.left == 0, "%s: has %zu bytes too many", path, in.left);
    fclose(in.file);
}
