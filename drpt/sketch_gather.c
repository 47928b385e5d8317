// sketch_gather.c -- inner products of random projections.
//
// With P_O (rows, k) and P_I (cols, k) of independent entries of mean 0 and variance 1/k, E[P P'] is the unit matrix, so that for
//     c_i = P_O' G_i P_I = sum_t (P_O' dout_t)(P_I' x_t)'
// <c_i, c_j> has the mean <G_i, G_j>. A bias is one more row of P_I, whose input is 1. A side that is no longer than k is left as it
// is. The lookup of token w adds (row w of P_O)' (P_I' dlookup_t)'.
#include "sketch_store.h"
#include "gram.h"
#include "../llmc/check.h"
#include "../llmc/matmul.h"

#include <string.h>

void sketch_copy(Real* to, const float* x, size_t count) { memcpy(to, x, sizeof(float) * count); }

// to (count, width) = from (count, length) P; or from itself, with ones if there is a bias.
static void project(float* to, const float* from, const float* factor, int length, int width, int bias, int count) {
    if (factor) { matmul_backward_input(to, from, factor, count, width, length); }
    #pragma omp parallel for
    for (int a = 0; a < count; a++) {
        float* row = to + (size_t)a * width;
        if (!factor) { memcpy(row, from + (size_t)a * length, sizeof(float) * (size_t)length); }
        if (!factor && bias) { row[length] = 1.0f; }
        for (int c = 0; factor && bias && c < width; c++) { row[c] += factor[(size_t)length * width + c]; }
    }
}

// How the gradients of a site are projected: the store, the projection, its widths.
typedef struct {
    SketchStore* store;
    const Projection* p;
    int width[2];
} Sketch;

// Positions [begin, end) of both factors.
static void project_factors(const Sketch* k, const Site* s, const Gather* g, size_t begin, size_t end) {
    size_t fit = g->part / (size_t)s->rows; // of copies of dout
    for (size_t from = begin, count; from < end; from += count) {
        count = s->stride == s->rows || end - from < fit ? end - from : fit;
        project(k->store->side[0] + from * k->width[0], site_dout(g->scratch, s, from, (int)count), k->p->factor[0], s->rows, k->width[0], 0, (int)count);
    }
    project(k->store->side[1] + begin * k->width[1], s->inp + begin * s->cols, k->p->factor[1], s->cols, k->width[1], s->dbias != NULL, (int)(end - begin));
}

// The same of the lookup, whose factors are the unit vector of a token and dlookup.
static void project_lookup(const Sketch* k, const Site* s, size_t begin, size_t end) {
    int width = k->width[0];
    #pragma omp parallel for
    for (size_t at = begin; at < end; at++) {
        float* to = k->store->side[0] + at * width;
        if (k->p->factor[0]) { memcpy(to, k->p->factor[0] + (size_t)s->tokens[at] * width, sizeof(float) * (size_t)width); continue; }
        memset(to, 0, sizeof(float) * (size_t)width);
        to[s->tokens[at]] = 1.0f;
    }
    project(k->store->side[1] + begin * k->width[1], s->dlookup + begin * s->cols, k->p->factor[1], s->cols, k->width[1], 0, (int)(end - begin));
}

// vector i += the projected gradient, for vectors [first, V), the last of which is all target rows unless they are wanted singly.
static void add_vectors(const Sketch* k, const Gather* g, int first, int V) {
    size_t length = (size_t)k->width[0] * (size_t)k->width[1], T = (size_t)g->T;
    #pragma omp parallel for schedule(static, 1) num_threads(g->threads)
    for (int i = first; i < V; i++) {
        int rows = i < V - 1 || g->needs & NEEDS_ROWS ? 1 : g->n + g->m - i;
        matmul_backward_params(k->store->vector + (size_t)i * length, NULL, k->store->side[0] + (size_t)i * T * k->width[0],
                               k->store->side[1] + (size_t)i * T * k->width[1], rows * g->T, k->width[1], k->width[0]);
    }
}

void gather_sketch(Statistics* st, const Site* s, const Gather* g) {
    SketchStore* store = g->sketches;
    int V = g->n + (g->needs & NEEDS_ROWS ? g->m : 1), first = gram_first(g);
    size_t begin = (size_t)first * g->T, end = (size_t)(g->n + g->m) * g->T;
    Sketch k = { store, sketch_projection(store, s), { 0, 0 } };
    for (int side = 0; side < 2; side++) { k.width[side] = k.p->length[side] < store->k ? k.p->length[side] : store->k; }
    size_t length = (size_t)k.width[0] * (size_t)k.width[1];
    check(g->n + g->m <= store->n + store->m && g->T <= store->T, "a sketch for %d rows of %d tokens got %d of %d",
          store->n + store->m, store->T, g->n + g->m, g->T);
    memset(store->vector, 0, sizeof(float) * (size_t)V * length);
    project_factors(&k, s, g, begin, end);
    add_vectors(&k, g, first, V);
    if (s->kind == SITE_TOKEN) {
        project_lookup(&k, s, begin, end);
        add_vectors(&k, g, first, V);
    }
    memset(st->partial, 0, sizeof(double) * (size_t)g->threads * (size_t)V * (size_t)V);
    gram_add(st->partial, store->vector, length, length, V, first, gram_from(g));
    gram_to_statistics(st, st->partial, (size_t)V * V, g, V);
}
