// basis.cu -- the projections on the cached bases; see basis.h. The host knows which sides are stored, and so all shapes. What it does
// not know, whether a basis is empty and whether P(t) is finite, turns what is added into zeros.
#include "basis_room.cuh"
#include "../llmc/product.cuh"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 256 };

// ---------------------------------------------------------------------------------------------
// Memory.

BasisRoom* basis_room_create(void) {
    BasisRoom* room = (BasisRoom*)calloc(1, sizeof(*room));
    check(room != NULL, "out of memory for a basis");
    room->passing = (Passing*)device_alloc(sizeof(Passing), "a basis");
    return room;
}

void basis_room_free(BasisRoom* r) {
    factors_free(&r->factors);
    subspace_free(&r->subspace);
    device_free(r->passing);
    for (Waiting& w : r->waiting) {
        for (Buffer* b : { &w.passing, &w.use, &w.norm2, &w.x[0], &w.x[1], &w.H[0], &w.H[1], &w.E[0], &w.E[1] }) { device_free(b->data); }
    }
    for (Buffer* b : { &r->use, &r->inside, &r->y, &r->other, &r->across, &r->past, &r->turn, &r->order, &r->random, &r->middle, &r->wide }) {
        device_free(b->data);
    }
    free(r);
}

Block basis_block(Buffer* room, const State* st, int side, int k, int count) {
    int cols = side == LEFT ? st->rows : st->cols, bias = side == RIGHT && st->bias;
    return block_at(buffer_take<float>(room, (size_t)k * (size_t)count * (size_t)(cols + bias)), cols, bias, k * count);
}

// ---------------------------------------------------------------------------------------------
// Projections.

// P(t) between the bases: U t V', or U t, or (t V')', whichever are stored. k directions.
typedef struct { Block m; int k; } Middle;

static Middle project(const Basis* b, const State* st, int first, int end) {
    BasisRoom* r = b->room;
    Factors* f = &r->factors;
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u;
    int k = b->rank;
    Middle x = { basis_block(&r->middle, st, u.main ? RIGHT : LEFT, k, 1), k };
    if (u.main && v.main) { x.m = Block{ buffer_take<float>(&r->middle, (size_t)k * (size_t)k), NULL, k }; }
    block_zero(x.m, k);
    for (Piece p = piece_first(f, first, end, 2 * k, 0); p.count > 0; p = piece_next(f, p, end)) {
        if (u.main && v.main) { factor_between(x.m.main, 0, f, p, u.main, k, v, k); }
        else if (u.main) { factor_left(x.m, 0, f, p, u.main, 0, k); }
        else { factor_right(x.m.main, 0, f, p, v, 0, k); }
    }
    return x;
}

// What is added and what is said, by |P(t)|^2 or, where no side is stored, |t|^2 in p->sum: use (end), whether t is; p->adds, whether
// P(t) is. grid (1), block (1)
static __global__ void decide_kernel(double* norm2, unsigned char* use, Passing* p, const Found* found, int first, int end, int stored, int outside) {
    int nothing = found->rank[LEFT] == 0 || found->rank[RIGHT] == 0, finite = isfinite(p->sum);
    *norm2 = !nothing ? p->sum : finite || !outside ? 0.0 : NAN;
    p->adds = stored && finite && !nothing;
    for (int i = first; i < end; i++) { use[i] = finite && (outside ? stored || nothing : !stored && !nothing); }
}

// grid (n / BLOCK), block (BLOCK)
static __global__ void scale_kernel(float* x, size_t n, float factor, const Passing* p) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < n) { x[k] = p->adds ? factor * x[k] : 0.0f; }
}

static void scale(float* x, size_t n, float factor, const Passing* p) {
    scale_kernel<<<blocks_of(n, BLOCK), BLOCK>>>(x, n, factor, p);
    LAUNCHED();
}

// dweight and dbias += left' right, left (k,rows), right (k,cols + bias).
static void add_thin(const Site* s, Block left, Block right, int k) {
    product(matrix(s->dweight, s->rows, s->cols), turned(left.main, k, s->rows), matrix(right.main, k, s->cols), 1.0f);
    if (s->dbias) { product(matrix(s->dbias, s->rows, 1), turned(left.main, k, s->rows), matrix(right.bias, k, 1), 1.0f); }
}

// dweight and dbias += sign P(t), or nothing.
static void expand(BasisRoom* r, const State* st, const Site* s, Middle x, float sign) {
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u;
    scale(x.m.main, (size_t)x.k * (size_t)x.m.cols, sign, r->passing);
    if (x.m.bias) { scale(x.m.bias, (size_t)x.k, sign, r->passing); }
    if (!u.main) { add_thin(s, x.m, v, x.k); return; }
    if (!v.main) { add_thin(s, u, x.m, x.k); return; }
    Block wide = basis_block(&r->wide, st, RIGHT, x.k, 1);
    product(matrix(wide.main, x.k, wide.cols), matrix(x.m.main, x.k, x.k), matrix(v.main, x.k, wide.cols));
    if (wide.bias) { product(matrix(wide.bias, x.k, 1), matrix(x.m.main, x.k, x.k), matrix(v.bias, x.k, 1)); }
    add_thin(s, u, wide, x.k);
}

static void add(Basis* b, const Site* s, int first, int end, int T, double* norm2, int outside) {
    const State* st = basis_state_of(b, s);
    check(st != NULL, "%s: has no basis yet", s->name);
    BasisRoom* r = b->room;
    Factors* f = &r->factors;
    int stored = st->side[LEFT].u.main || st->side[RIGHT].u.main;
    unsigned char* use = buffer_take<unsigned char>(&r->use, (size_t)end + 1);
    Middle x = {};
    factors_begin(f, s, T, NULL);
    device_zero(&r->passing->sum, sizeof(double));
    if (stored) {
        x = project(b, st, first, end);
        sums_of_squares(&r->passing->sum, x.m.main, (size_t)x.k * (size_t)x.m.cols, 0, 1, &f->partial);
        if (x.m.bias) { sums_of_squares(&r->passing->sum, x.m.bias, (size_t)x.k, 0, 1, &f->partial); }
    } else { factor_norm2(&r->passing->sum, f, first, end); }
    decide_kernel<<<1, 1>>>(norm2, use, r->passing, st->found, first, end, stored, outside);
    LAUNCHED();
    if (outside || !stored) {
        factors_begin(f, s, T, use);
        factor_add(f, first, end);
    }
    if (stored) { expand(r, st, s, x, outside ? -1.0f : 1.0f); }
}

void basis_inside(Basis* b, const Site* s, int first, int end, int T, double* norm2) { add(b, s, first, end, T, norm2, 0); }
void basis_outside(Basis* b, const Site* s, int first, int end, int T, double* norm2) { add(b, s, first, end, T, norm2, 1); }
