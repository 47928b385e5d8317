// basis_refresh.c -- the bases by randomized subspace iteration on the factors of the gradients (N. Halko, P.-G. Martinsson and
// J. Tropp, "Finding structure with randomness", 2011).
//
// A refresh takes one power step Y = C U = sum_i g_i (g_i' U) from the basis of the refresh before and a few random
// directions, makes Y orthonormal, and turns it to the eigenvectors of C within that space (Rayleigh and Ritz), of which the
// largest are kept. What lies outside of the basis is forgotten: of the C before, only U' Lambda U is left.
#include "basis_room.h"
#include "factor.h"
#include "../llmc/check.h"
#include "../llmc/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    OVERSAMPLING = 8, // random directions in each refresh, by which it finds what the basis before has not seen
    FIRST_STEPS = 2,  // power steps of a first refresh, which begins with random directions alone
};

// Directions of smaller singular value, relative to the largest, are rounding errors of a zero.
#define RESOLUTION 1e-6

// ---------------------------------------------------------------------------------------------
// One side.

// What the steps of a refresh share: the rows that count, and room.
typedef struct {
    const Site* site;
    const unsigned char* use;  // (n)
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
    block_clear(w->across, k);
    through(w->across, w, i, w->x, k, w->side);
    block_scale(w->across, k, (float)(1.0 / w->unit));
}

// turn (rank,k) = U x', for what is left of the past: forget U' Lambda U. Returns rank, or 0 if nothing is left.
static int past(const Work* w, int k) {
    int rank = w->forget > 0.0 ? *w->old->rank : 0;
    if (rank == 0) { return 0; }
    block_product(w->turn, w->old->u, rank, w->x, k);
    return rank;
}

// y = C x, in one unit of the two, because the other might leave single precision.
static void power_step(const Work* w, int k) {
    block_clear(w->y, k);
    for (int i = 0; i < w->n; i++) {
        if (!w->use[i]) { continue; }
        measure(w, i, k);
        through(w->y, w, i, w->across, k, !w->side);
    }
    int rank = past(w, k);
    for (int q = 0; q < rank; q++) {
        floats_scale(w->turn + (size_t)q * k, (size_t)k, (float)(w->forget * w->old->value[q] / w->unit));
    }
    if (rank > 0) { block_add_turned(w->y, k, w->turn, w->old->u, rank); }
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
        block_product(w->turn, w->across, k, w->across, k);
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
    block_clear(w->y, kept);
    if (kept > 0) { block_add_turned(w->y, kept, w->turn, w->x, k); }
    return kept;
}

// x = the basis before and random directions, from a stream of each site, side and refresh.
static void begin(const Work* w, uint64_t seed, int refreshes, int k) {
    int old = *w->old->rank;
    size_t cols = (size_t)w->x.cols;
    float sd = (float)(1.0 / sqrt((double)w->old->dim));
    Rng rng = rng_seed(seed, 2 * (uint64_t)w->site->index + (uint64_t)w->side, (uint64_t)refreshes);
    memcpy(w->x.main, w->old->u.main, sizeof(float) * (size_t)old * cols);
    rng_normal(&rng, w->x.main + (size_t)old * cols, (size_t)(k - old) * cols, sd);
    if (!w->x.bias) { return; }
    memcpy(w->x.bias, w->old->u.bias, sizeof(float) * (size_t)old);
    rng_normal(&rng, w->x.bias + old, (size_t)(k - old), sd);
}

// |U_old U_new'|_F^2 / the larger rank
static double overlap(const Work* w, int rank) {
    int old = *w->old->rank;
    if (old == 0 || rank == 0) { return NAN; }
    block_product(w->turn, w->old->u, old, w->y, rank);
    double sum = 0.0;
    for (int i = 0; i < old * rank; i++) { sum += (double)w->turn[i] * w->turn[i]; }
    return sum / (old > rank ? old : rank);
}

// One side of one site; returns the overlap with the basis before.
static double turn_side(Work* w, uint64_t seed, int refreshes, int rank) {
    int k = w->most;
    begin(w, seed, refreshes, k);
    for (int step = *w->old->rank > 0 ? 1 : FIRST_STEPS; step > 0; step--) {
        power_step(w, k);
        k = block_orthonormalise(w->y, k, w->vector, w->along);
        Block x = w->y;
        w->y = w->x;
        w->x = x;
    }
    int kept = largest(w, k, rank);
    double same = overlap(w, kept);
    memcpy(w->old->u.main, w->y.main, sizeof(float) * (size_t)kept * w->y.cols);
    if (w->y.bias) { memcpy(w->old->u.bias, w->y.bias, sizeof(float) * (size_t)kept); }
    memcpy(w->old->value, w->along, sizeof(double) * (size_t)kept);
    *w->old->rank = kept;
    return same;
}

// ---------------------------------------------------------------------------------------------
// A site.

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
    int before = *s->rank;
    if (st->found->total == 0.0) { *s->rank = 0; return NAN; }
    if (!s->u.main) { *s->rank = s->dim; return before > 0 ? 1.0 : NAN; }
    Arena measured = {0};
    w.side = side;
    w.old = s;
    w.most = s->dim - b->rank < OVERSAMPLING ? s->dim : b->rank + OVERSAMPLING;
    layout_side(&w, &measured, st->bias);
    layout_side(&w, basis_room(b, measured), st->bias);
    return turn_side(&w, b->seed, st->refreshes, b->rank);
}

static unsigned char* room_for_rows(BasisRoom* room, int n) {
    if (n <= room->n) { return room->use; }
    free(room->use);
    room->use = malloc((size_t)n);
    check(room->use != NULL, "out of memory for %d rows", n);
    room->n = n;
    return room->use;
}

// Which rows count, and the sum of their |g_i|^2.
static double rows_norm2(Basis* b, const Site* s, int n, int T, const unsigned char* usable, int* dropped) {
    double sum = 0.0;
    unsigned char* use = room_for_rows(b->room, n);
    Arena measured = {0};
    size_t bytes = sizeof(float) * site_norm_scratch(s, T) * (size_t)b->threads;
    arena_take(&measured, bytes);
    float* scratch = arena_take(basis_room(b, measured), bytes);
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

void basis_refresh(Basis* b, const Site* s, int n, int T, const unsigned char* usable, BasisReport* report) {
    const double smallest = 1e-60; // a trace below is a zero: its directions leave single precision
    *report = (BasisReport){0};
    State* st = basis_state_needed(b, s);
    double* total = &st->found->total;
    double fresh = rows_norm2(b, s, n, T, usable, &report->dropped), inside = 0.0;
    *total = fresh + b->forget * *total;
    if (*total < smallest) { *total = 0.0; }
    Work w = { .site = s, .use = b->room->use, .n = n, .T = T, .forget = b->forget, .unit = sqrt(*total) };
    report->overlap_left = refresh_side(b, st, w, LEFT);
    report->overlap_right = refresh_side(b, st, w, RIGHT);
    st->refreshes++;
    report->rank_left = *st->side[LEFT].rank;
    report->rank_right = *st->side[RIGHT].rank;
    for (int i = 0; i < n; i++) { inside += w.use[i] ? basis_inside_norm2(b, s, i, i + 1, T) : 0.0; }
    report->energy = fresh > 0.0 ? inside / fresh : NAN;
}

void basis_refresh_end(Basis* b) { (void)b; } // nothing waits
