// basis_refresh.cu -- the bases by randomized subspace iteration, as in basis_refresh.c; here for many rows of the batch at once, and
// without the host knowing how many directions there are: those that are dropped are zeros. The eigenvectors, a long chain of small steps, are
// found for all sites at hand at once: a refresh is begun, waits for that, and is completed.
#include "basis_room.cuh"
#include "../llmc/device.cuh"
#include "../llmc/rng.h"

#include <math.h>
#include <stdlib.h>

enum {
    BLOCK = 256,
    OVERSAMPLING = 8, // as in basis_refresh.c
    FIRST_STEPS = 2,
};

#define RESOLUTION 1e-6
#define SMALLEST 1e-60

// ---------------------------------------------------------------------------------------------
// One side.

// What the steps of a refresh share: the rows that count, and room.
typedef struct {
    const Site* site;
    const State* state;
    BasisRoom* room;
    int n, side, k, rank; // which side, directions at a time and in the basis
    Side* old;
    double forget;
    Passing* passing;
    Block x, y;           // (k) directions of this side
    double *H, *E, *past; // (k,k), (k,k), (rank,k)
    float* turn;          // (k,k)
} Work;

static __device__ double unit_of(const Found* found) { return sqrt(found->total); } // C is measured in units of unit^2

// grid (n / BLOCK), block (BLOCK)
static __global__ void to_units_kernel(float* x, size_t n, const Found* found) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < n) { x[k] = found->total > 0.0 ? x[k] * (float)(1.0 / unit_of(found)) : 0.0f; }
}

static void to_units(float* x, size_t n, const Found* found) {
    to_units_kernel<<<blocks_of(n, BLOCK), BLOCK>>>(x, n, found);
    LAUNCHED();
}

static Piece first_piece(const Work* w) {
    int other = w->side == LEFT ? w->state->cols + w->state->bias : w->state->rows;
    return piece_first(&w->room->factors, 0, w->n, w->k, (size_t)w->k * (size_t)other);
}

// across (count,k) = x through each row's gradient, in units; whole when the last piece of the rows was added.
static Block measure(const Work* w, Piece p) {
    BasisRoom* r = w->room;
    Block across = basis_block(&r->across, w->state, !w->side, w->k, p.count);
    if (p.at == 0) { block_zero(across, w->k * p.count); }
    if (w->side == LEFT) { factor_left(across, 1, &r->factors, p, w->x.main, 0, w->k); }
    else { factor_right(across.main, 1, &r->factors, p, w->x, 0, w->k); }
    if (!piece_is_last(&r->factors, p)) { return across; }
    to_units(across.main, (size_t)w->k * (size_t)p.count * (size_t)across.cols, w->state->found);
    if (across.bias) { to_units(across.bias, (size_t)w->k * (size_t)p.count, w->state->found); }
    return across;
}

// y += the across of the rows of which p is the last piece, back through their gradients.
static void back(const Work* w, Piece p, Block across) {
    Factors* f = &w->room->factors;
    int end = p.first + p.count;
    p.at = 0;
    for (; p.first < end && p.count > 0; p = piece_next(f, p, end)) {
        if (w->side == LEFT) { factor_right(w->y.main, 0, f, p, across, 1, w->k); }
        else { factor_left(w->y, 0, f, p, across.main, 1, w->k); }
    }
}

// turn (rank,k) = U x' of what is left of the past, forget U' Lambda U, in one unit. grid (rank * k / BLOCK), block (BLOCK)
static __global__ void weigh_past_kernel(float* turn, const double* past, const double* value, const Found* found, double forget, int rank, int k) {
    int e = blockIdx.x * BLOCK + threadIdx.x;
    if (e >= rank * k) { return; }
    turn[e] = found->total > 0.0 ? (float)(past[e] * (forget * value[e / k] / unit_of(found))) : 0.0f;
}

// y = C x, in one unit of the two, because the other might leave single precision.
static void power_step(const Work* w) {
    Side* old = w->old;
    block_zero(w->y, w->k);
    for (Piece p = first_piece(w); p.count > 0; p = piece_next(&w->room->factors, p, w->n)) {
        Block across = measure(w, p);
        if (piece_is_last(&w->room->factors, p)) { back(w, p, across); }
    }
    if (w->forget == 0.0) { return; }
    block_gram(w->past, old->u, w->rank, w->x, w->k, 1, 0, &w->room->subspace);
    weigh_past_kernel<<<blocks_of((size_t)w->rank * (size_t)w->k, BLOCK), BLOCK>>>(
        w->turn, w->past, old->value, w->state->found, w->forget, w->rank, w->k);
    LAUNCHED();
    block_add_turned_all(w->y, w->k, w->turn, old->u, w->rank);
}

// H (k,k) += the past, in units. grid (k * k / BLOCK), block (BLOCK)
static __global__ void add_past_kernel(double* H, const double* past, const double* value, const Found* found, double forget, int rank, int k) {
    int e = blockIdx.x * BLOCK + threadIdx.x;
    if (e >= k * k || !(found->total > 0.0)) { return; }
    double sum = H[e];
    for (int q = 0; q < rank; q++) { sum += forget * value[q] / found->total * past[q*k + e / k] * past[q*k + e % k]; }
    H[e] = sum;
}

// H (k,k) = x C x', in units.
static void rayleigh(const Work* w) {
    Side* old = w->old;
    device_zero(w->H, sizeof(double) * (size_t)w->k * (size_t)w->k);
    for (Piece p = first_piece(w); p.count > 0; p = piece_next(&w->room->factors, p, w->n)) {
        Block across = measure(w, p);
        if (piece_is_last(&w->room->factors, p)) { block_gram(w->H, across, w->k, across, w->k, p.count, 1, &w->room->subspace); }
    }
    if (w->forget == 0.0) { return; }
    block_gram(w->past, old->u, w->rank, w->x, w->k, 1, 0, &w->room->subspace);
    add_past_kernel<<<blocks_of((size_t)w->k * (size_t)w->k, BLOCK), BLOCK>>>(
        w->H, w->past, old->value, w->state->found, w->forget, w->rank, w->k);
    LAUNCHED();
}

// turn (k,rank) = the eigenvectors of the largest eigenvalues, value (rank) theirs; zeros behind the `kept`. order: k numbers.
// grid (1), block (BLOCK)
static __global__ void choose_kernel(float* turn, double* value, int* kept, int* order, const double* H, const double* E, const Found* found,
                                     int k, int rank) {
    for (int i = threadIdx.x; i < k; i += BLOCK) { order[i] = i; } // eigenvalues that are NaN have no order, but stay places
    __syncthreads();
    for (int i = threadIdx.x; i < k; i += BLOCK) {
        int before = 0;
        for (int j = 0; j < k; j++) { before += H[j * (k + 1)] > H[i * (k + 1)] || (j < i && H[j * (k + 1)] == H[i * (k + 1)]); }
        order[before] = i;
    }
    __syncthreads();
    double least = RESOLUTION * RESOLUTION * H[order[0] * (k + 1)];
    int count = 0;
    while (count < rank && H[order[count] * (k + 1)] > least) { count++; }
    for (int e = threadIdx.x; e < k * rank; e += BLOCK) {
        turn[e] = e % rank < count ? (float)E[e / rank * k + order[e % rank]] : 0.0f;
    }
    for (int q = threadIdx.x; q < rank; q += BLOCK) { value[q] = q < count ? H[order[q] * (k + 1)] * found->total : 0.0; }
    if (threadIdx.x == 0) { *kept = count; }
}

// |U_old U_new'|_F^2 / the larger rank, from their product (rank,rank); then the new rank takes the place of the old.
// grid (1), block (BLOCK)
static __global__ void overlap_kernel(double* overlap, int* rank, const int* kept, const double* both, int most) {
    int old = *rank, now = *kept;
    double sum = 0.0;
    for (int e = threadIdx.x; e < most * most; e += BLOCK) { sum += both[e] * both[e]; }
    sum = block_sum<BLOCK>(sum);
    if (threadIdx.x > 0) { return; }
    *overlap = old == 0 || now == 0 ? NAN : sum / (old > now ? old : now);
    *rank = now;
}

// The basis becomes the eigenvectors E of the largest eigenvalues, the diagonal of H, among the k directions x.
static void turn_to_largest(const Work* w) {
    BasisRoom* r = w->room;
    Side* old = w->old;
    int* order = buffer_take<int>(&r->order, (size_t)w->k + 1);
    choose_kernel<<<1, BLOCK>>>(w->turn, old->value, order + w->k, order, w->H, w->E, w->state->found, w->k, w->rank);
    LAUNCHED();
    Block now = basis_block(&r->y, w->state, w->side, w->rank, 1); // y has been read
    block_zero(now, w->rank);
    block_add_turned_all(now, w->rank, w->turn, w->x, w->k);
    block_gram(w->past, old->u, w->rank, now, w->rank, 1, 0, &r->subspace);
    overlap_kernel<<<1, BLOCK>>>(&w->passing->overlap[w->side], old->rank, order + w->k, w->past, w->rank);
    LAUNCHED();
    block_copy(old->u, now, w->rank);
}

// x (k,cols) = the basis before, then random directions: `random` begins with those of row `known`, no more than the rank, and has the
// bias, if there is one, behind the last. Normal numbers are drawn in pairs, so that the bias begins at an even one.
// grid (columns / BLOCK; k), block (BLOCK)
static __global__ void begin_kernel(Block x, Block u, const float* random, const int* rank, int k) {
    int c = blockIdx.x * BLOCK + threadIdx.x, i = blockIdx.y;
    size_t cols = (size_t)x.cols, j = (size_t)(i - *rank), main = (size_t)(k - *rank) * cols;
    if (c < x.cols) { x.main[i * cols + c] = i < *rank ? u.main[i * cols + c] : random[j * cols + c]; }
    if (c == x.cols && x.bias) { x.bias[i] = i < *rank ? u.bias[i] : random[main + main % 2 + j]; }
}

// From a stream of each site, side and refresh, as many as a rank no less than `least` needs.
static const float* random_numbers(const Work* w, uint64_t seed, int refreshes, int least) {
    size_t most = (size_t)(w->k - least) * (size_t)(w->x.cols + 1) + 2;
    float* host = (float*)malloc(sizeof(float) * most);
    check(host != NULL, "out of memory for %zu random numbers", most);
    Rng rng = rng_seed(seed, 2 * (uint64_t)w->site->index + (uint64_t)w->side, (uint64_t)refreshes);
    rng_normal(&rng, host, most, (float)(1.0 / sqrt((double)w->old->dim)));
    float* random = buffer_take<float>(&w->room->random, most);
    device_write(random, host, sizeof(float) * most);
    free(host);
    return random;
}

// to = from, if there was a basis before. grid (n / BLOCK), block (BLOCK)
static __global__ void keep_kernel(float* to, const float* from, size_t n, const int* rank) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < n && *rank > 0) { to[k] = from[k]; }
}

// A first refresh begins with random directions alone, and takes more steps. Where the host was not told whether there is a basis, they
// are taken, and count if there is none.
static void begin_side(Work* w, const Basis* b, int refreshes) {
    int known = refreshes == 0 ? 0 : w->old->heard;
    const float* random = random_numbers(w, b->seed, refreshes, known > 0 ? known : 0);
    begin_kernel<<<dim3(blocks_of((size_t)w->x.cols + 1, BLOCK), (unsigned)w->k), BLOCK>>>(w->x, w->old->u, random, w->old->rank, w->k);
    LAUNCHED();
    Block other = basis_block(&w->room->other, w->state, w->side, w->k, 1);
    for (int step = 0; step < (known > 0 ? 1 : FIRST_STEPS); step++) {
        power_step(w);
        block_orthonormalise_all(w->y, other, w->k, &w->room->subspace);
        if (step > 0 && known < 0) {
            size_t size = (size_t)w->k * (size_t)w->old->dim;
            keep_kernel<<<blocks_of(size, BLOCK), BLOCK>>>(w->y.main, w->x.main, size, w->old->rank);
            LAUNCHED();
        }
        block_copy(w->x, w->y, w->k);
    }
    rayleigh(w);
}

// ---------------------------------------------------------------------------------------------
// A site.

// grid (1), block (1)
static __global__ void whole_side_kernel(double* overlap, int* rank, const Found* found, int dim) {
    *overlap = found->total > 0.0 && *rank > 0 ? 1.0 : NAN;
    *rank = found->total > 0.0 ? dim : 0;
}

static Work work_on(Basis* b, Waiting* site, int side) {
    BasisRoom* r = b->room;
    State* st = site->state;
    Side* old = &st->side[side];
    int k = old->dim - b->rank < OVERSAMPLING ? old->dim : b->rank + OVERSAMPLING;
    size_t square = (size_t)k * (size_t)k;
    Work w = { &site->site, st, r, site->n, side, k, b->rank, old, b->forget, (Passing*)site->passing.data, {}, {}, NULL, NULL, NULL, NULL };
    w.x = basis_block(&site->x[side], st, side, k, 1);
    w.y = basis_block(&r->y, st, side, k, 1);
    w.H = buffer_take<double>(&site->H[side], square);
    w.E = buffer_take<double>(&site->E[side], square);
    w.past = buffer_take<double>(&r->past, square);
    w.turn = buffer_take<float>(&r->turn, square);
    return w;
}

static int is_stored(const Waiting* site, int side) { return site->state->side[side].u.main != NULL; }

static void end_side(Basis* b, Waiting* site, int side) {
    Side* old = &site->state->side[side];
    if (is_stored(site, side)) {
        Work w = work_on(b, site, side);
        turn_to_largest(&w);
    } else {
        whole_side_kernel<<<1, 1>>>(&((Passing*)site->passing.data)->overlap[side], old->rank, site->state->found, old->dim);
        LAUNCHED();
    }
    old->heard = -1;
}

// grid (n / BLOCK), block (BLOCK)
static __global__ void use_kernel(unsigned char* use, const unsigned char* usable, int n) {
    int i = blockIdx.x * BLOCK + threadIdx.x;
    if (i < n) { use[i] = !usable || usable[i]; }
}

// Which rows count, and the sum of their |g_i|^2; that of others becomes 0. grid (1), block (1)
static __global__ void total_kernel(Passing* p, Found* found, unsigned char* use, double* norm2, int n, double forget) {
    double fresh = 0.0;
    int dropped = 0;
    for (int i = 0; i < n; i++) {
        int finite = isfinite(norm2[i]);
        dropped += use[i] && !finite;
        use[i] = use[i] && finite;
        if (!use[i]) { norm2[i] = 0.0; }
        fresh += norm2[i];
    }
    double total = fresh + forget * found->total;
    p->fresh = fresh;
    p->dropped = dropped;
    found->total = total < SMALLEST ? 0.0 : total;
}

// inside[i] = |P(g_i)|^2
static void rows_inside(Basis* b, const State* st, double* inside, int n) {
    BasisRoom* r = b->room;
    Factors* f = &r->factors;
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u;
    int k = b->rank, side = u.main ? RIGHT : LEFT, both = u.main && v.main;
    size_t dim = both ? (size_t)k : (size_t)st->side[side].dim;
    for (Piece p = piece_first(f, 0, n, 2 * k, (size_t)k * dim); p.count > 0; p = piece_next(f, p, n)) {
        Block m = both ? Block{ buffer_take<float>(&r->across, (size_t)k * dim * (size_t)p.count), NULL, k }
                       : basis_block(&r->across, st, side, k, p.count);
        if (p.at == 0) { block_zero(m, k * p.count); }
        if (both) { factor_between(m.main, 1, f, p, u.main, k, v, k); }
        else if (u.main) { factor_left(m, 1, f, p, u.main, 0, k); }
        else { factor_right(m.main, 1, f, p, v, 0, k); }
        if (!piece_is_last(f, p)) { continue; }
        size_t size = (size_t)k * (size_t)m.cols;
        sums_of_squares(inside + p.first, m.main, size, size, p.count, &f->partial);
        if (m.bias) { sums_of_squares(inside + p.first, m.bias, (size_t)k, (size_t)k, p.count, &f->partial); }
    }
}

// grid (1), block (1)
static __global__ void report_kernel(BasisReport* report, const Passing* p, const Found* found, const double* inside, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++) { sum += inside[i]; }
    report->rank_left = found->rank[LEFT];
    report->rank_right = found->rank[RIGHT];
    report->overlap_left = p->overlap[LEFT];
    report->overlap_right = p->overlap[RIGHT];
    report->energy = p->fresh > 0.0 ? (found->rank[LEFT] > 0 && found->rank[RIGHT] > 0 ? sum : 0.0) / p->fresh : NAN;
    report->dropped = p->dropped;
}

void basis_refresh(Basis* b, const Site* s, int n, int T, const unsigned char* usable, BasisReport* report) {
    BasisRoom* r = b->room;
    Factors* f = &r->factors;
    if (r->count == MOST_WAITING) { basis_refresh_end(b); }
    Waiting* w = &r->waiting[r->count++];
    w->site = *s;
    w->state = basis_state_needed(b, s);
    w->n = n;
    w->T = T;
    w->report = report;
    Passing* passing = buffer_take<Passing>(&w->passing, 1);
    unsigned char* use = buffer_take<unsigned char>(&w->use, (size_t)n + 1);
    double* norm2 = buffer_take<double>(&w->norm2, (size_t)n + 1);
    device_zero(norm2, sizeof(double) * ((size_t)n + 1));
    use_kernel<<<blocks_of((size_t)n + 1, BLOCK), BLOCK>>>(use, usable, n);
    LAUNCHED();
    factors_begin(f, s, T, use);
    factor_norm2_each(norm2, f, n);
    total_kernel<<<1, 1>>>(passing, w->state->found, use, norm2, n, b->forget);
    LAUNCHED();
    factors_begin(f, s, T, use); // without the rows that were dropped
    for (int side = LEFT; side <= RIGHT; side++) {
        if (!is_stored(w, side)) { continue; }
        Work work = work_on(b, w, side);
        begin_side(&work, b, w->state->refreshes);
    }
}

static void end_site(Basis* b, Waiting* w) {
    BasisRoom* r = b->room;
    double* inside = buffer_take<double>(&r->inside, (size_t)w->n + 1);
    int stored = is_stored(w, LEFT) || is_stored(w, RIGHT);
    device_zero(inside, sizeof(double) * ((size_t)w->n + 1));
    device_zero(w->report, sizeof(*w->report)); // its padding as well
    end_side(b, w, LEFT);
    end_side(b, w, RIGHT);
    w->state->refreshes++;
    factors_begin(&r->factors, &w->site, w->T, (unsigned char*)w->use.data);
    if (stored) { rows_inside(b, w->state, inside, w->n); }
    report_kernel<<<1, 1>>>(w->report, (Passing*)w->passing.data, w->state->found, stored ? inside : (double*)w->norm2.data, w->n);
    LAUNCHED();
}

void basis_refresh_end(Basis* b) {
    static_assert(2 * MOST_WAITING <= MOST_SYMMETRIC, "both sides of all sites that wait at once");
    BasisRoom* r = b->room;
    Symmetric all[MOST_SYMMETRIC];
    int count = 0;
    for (int i = 0; i < r->count; i++) {
        for (int side = LEFT; side <= RIGHT; side++) {
            if (!is_stored(&r->waiting[i], side)) { continue; }
            Work w = work_on(b, &r->waiting[i], side);
            all[count++] = Symmetric{ w.H, w.E, w.k };
        }
    }
    eigenvectors_all(all, count, &r->subspace);
    for (int i = 0; i < r->count; i++) { end_site(b, &r->waiting[i]); }
    r->count = 0;
}
