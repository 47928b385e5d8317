// basis.c -- the cached bases and the projections on them: two thin products and a small one between.
#include "basis_room.h"
#include "factor.h"
#include "../llmc/check.h"
#include "../llmc/matmul.h"

#include <math.h>
#include <stdlib.h>

// ---------------------------------------------------------------------------------------------
// Memory.

BasisRoom* basis_room_create(void) {
    BasisRoom* room = calloc(1, sizeof(*room));
    check(room != NULL, "out of memory for a basis");
    return room;
}

void basis_room_free(BasisRoom* room) {
    arena_free(&room->arena);
    free(room->use);
    free(room);
}

Arena* basis_room(Basis* b, Arena measured) {
    if (measured.used > b->room->arena.size) {
        arena_free(&b->room->arena);
        b->room->arena = measured;
        arena_alloc(&b->room->arena, "a basis");
    }
    b->room->arena.used = 0;
    return &b->room->arena;
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

static int is_nothing(const State* st) { return *st->side[LEFT].rank == 0 || *st->side[RIGHT].rank == 0; }
static int is_everything(const State* st) { return !st->side[LEFT].u.main && !st->side[RIGHT].u.main && !is_nothing(st); }

static void layout_middle(Middle* x, Arena* arena, const State* st, const Site* s, int T, int threads) {
    const Side *left = &st->side[LEFT], *right = &st->side[RIGHT];
    size_t rl = left->u.main ? (size_t)*left->rank : 0, rr = right->u.main ? (size_t)*right->rank : 0, width = (size_t)right->dim;
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

// Returns |P(t)|^2.
static double project(const Middle* x, const State* st, const Site* s, int first, int end, int T) {
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u;
    if (is_nothing(st)) { return 0.0; }
    if (is_everything(st)) { return site_norm2(s, first, end, T, x->scratch, x->threads); }
    if (u.main && v.main) {
        site_between(x->m.main, s, first, end, T, u.main, x->k, v.main, v.bias, x->m.cols, x->scratch, x->floats);
        return block_norm2(x->m, x->k);
    }
    block_clear(x->m, x->k);
    if (u.main) { site_left(x->m.main, x->m.bias, s, first, end, T, u.main, x->k, x->scratch, x->floats); }
    else { site_right(x->m.main, s, first, end, T, v.main, v.bias, x->k, x->scratch, x->floats); }
    return block_norm2(x->m, x->k);
}

// dweight and dbias += left' right, left (k,rows), right (k,cols + bias).
static void add_thin(const Site* s, Block left, Block right, int k) {
    matmul_backward_params(s->dweight, NULL, left.main, right.main, k, s->cols, s->rows);
    if (s->dbias) { matmul_backward_params(s->dbias, NULL, left.main, right.bias, k, 1, s->rows); }
}

// dweight and dbias += sign P(t)
static void expand(const Middle* x, const State* st, const Site* s, float sign) {
    Block u = st->side[LEFT].u, v = st->side[RIGHT].u, wide = x->wide;
    block_scale(x->m, x->k, sign);
    if (!u.main) { add_thin(s, x->m, v, x->k); return; }
    if (!v.main) { add_thin(s, u, x->m, x->k); return; }
    matmul_backward_input(wide.main, x->m.main, v.main, x->k, s->cols, x->m.cols);
    if (wide.bias) { matmul_backward_input(wide.bias, x->m.main, v.bias, x->k, 1, x->m.cols); }
    add_thin(s, u, wide, x->k);
}

static Middle middle(Basis* b, const State* st, const Site* s, int T) {
    Middle x;
    Arena measured = {0};
    check(st != NULL, "%s: has no basis yet", s->name);
    layout_middle(&x, &measured, st, s, T, b->threads);
    layout_middle(&x, basis_room(b, measured), st, s, T, b->threads);
    return x;
}

double basis_inside_norm2(Basis* b, const Site* s, int first, int end, int T) {
    const State* st = basis_state_of(b, s);
    Middle x = middle(b, st, s, T);
    return project(&x, st, s, first, end, T);
}

void basis_inside(Basis* b, const Site* s, int first, int end, int T, double* norm2) {
    const State* st = basis_state_of(b, s);
    Middle x = middle(b, st, s, T);
    *norm2 = project(&x, st, s, first, end, T);
    if (!isfinite(*norm2) || is_nothing(st)) { return; }
    if (is_everything(st)) { site_add(s, first, end, T, x.scratch, x.floats); }
    else { expand(&x, st, s, 1.0f); }
}

void basis_outside(Basis* b, const Site* s, int first, int end, int T, double* norm2) {
    const State* st = basis_state_of(b, s);
    Middle x = middle(b, st, s, T);
    *norm2 = project(&x, st, s, first, end, T);
    if (is_nothing(st)) { *norm2 = 0.0 * site_norm2(s, first, end, T, x.scratch, b->threads); } // is t finite?
    if (!isfinite(*norm2) || is_everything(st)) { return; }
    site_add(s, first, end, T, x.scratch, x.floats);
    if (!is_nothing(st)) { expand(&x, st, s, -1.0f); }
}
