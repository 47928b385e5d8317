// basis_state.c -- the memory of the cached bases.
#include "basis_state.h"
#include "../llmc/check.h"
#include "../llmc/device.h"

#include <stdlib.h>

enum { MAX_RANK = 4096 };

static void* take(size_t bytes) {
    void* p = device_alloc(bytes, "a basis");
    device_zero(p, bytes);
    return p;
}

static void* take_on_host(size_t bytes) {
    void* p = calloc(1, bytes);
    check(p != NULL, "out of memory for a basis: %zu bytes", bytes);
    return p;
}

Basis* basis_create(int rank, Sides sides, double forget, uint64_t seed, int threads) {
    check(rank >= 1 && rank <= MAX_RANK, "--rank %d is not in 1..%d", rank, MAX_RANK);
    check(forget >= 0.0 && forget <= 1.0, "--forget %g is not in 0..1", forget);
    Basis* b = take_on_host(sizeof(*b));
    *b = (Basis){ .rank = rank, .threads = threads, .sides = sides, .forget = forget, .seed = seed };
    b->room = basis_room_create();
    return b;
}

static void state_free(State* st) {
    if (!st) { return; }
    for (int side = LEFT; side <= RIGHT; side++) {
        device_free(st->side[side].u.main);
        device_free(st->side[side].value);
    }
    device_free(st->found);
    free(st);
}

void basis_free(Basis* b) {
    if (!b) { return; }
    for (int i = 0; i < DRPT_MAX_SITES; i++) { state_free(b->state[i]); }
    basis_room_free(b->room);
    free(b);
}

static int is_projected(const Basis* b, int side) { return b->sides == SIDES_both || (b->sides == SIDES_left) == (side == LEFT); }

State* basis_state_create(const Basis* b, int kind, int rows, int cols, int bias) {
    State* st = take_on_host(sizeof(*st));
    *st = (State){ .kind = kind, .rows = rows, .cols = cols, .bias = bias, .found = take(sizeof(Found)) };
    for (int side = LEFT; side <= RIGHT; side++) {
        Side* s = &st->side[side];
        s->dim = side == LEFT ? rows : cols + bias;
        s->rank = &st->found->rank[side];
        if (!is_projected(b, side) || s->dim <= b->rank) { continue; }
        s->u = block_at(take(sizeof(float) * (size_t)s->dim * b->rank), side == LEFT ? rows : cols, side == RIGHT && bias, b->rank);
        s->value = take(sizeof(double) * (size_t)b->rank);
    }
    return st;
}

// A token site is its lookup alone in a pass in which no token is trained on.
static int kind_of(const Site* s) { return s->kind == SITE_LOOKUP ? SITE_TOKEN : (int)s->kind; }

// A basis that a file brought must fit the model.
State* basis_state_of(const Basis* b, const Site* s) {
    check(s->index >= 0 && s->index < DRPT_MAX_SITES, "%s: site %d of at most %d", s->name, s->index, DRPT_MAX_SITES);
    State* st = b->state[s->index];
    check(!st || (st->kind == kind_of(s) && st->rows == s->rows && st->cols == s->cols && st->bias == (s->dbias != NULL)),
          "%s: its basis is of another layer: (%d,%d), not (%d,%d)", s->name, st->rows, st->cols, s->rows, s->cols);
    return st;
}

State* basis_state_needed(Basis* b, const Site* s) {
    State* st = basis_state_of(b, s);
    if (!st) { st = b->state[s->index] = basis_state_create(b, kind_of(s), s->rows, s->cols, s->dbias != NULL); }
    return st;
}

void basis_heard(Basis* b, int index, const BasisReport* report) {
    b->state[index]->side[LEFT].heard = report->rank_left;
    b->state[index]->side[RIGHT].heard = report->rank_right;
}
