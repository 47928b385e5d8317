// direct.c -- inner products of gradients that are formed.
//
// An inner product of two matrices is a sum over their elements. So the gradients of all rows of the batch are formed for a tile
// of the site only, small enough to stay in a core's cache, and multiplied with each other there.
//
// A tile is as wide as a block of columns, whose input is brought together first: a product then reads it in one piece. Where it is,
// each of 256 positions is on a page of its own, which made these products six times as long. Wider blocks are read again too often
// by the slabs of rows, which are then lower: at T=512 256 columns took a third longer than 128.
#include "direct.h"
#include "gram.h"
#include "../llmc/matmul.h"

#include <math.h>
#include <string.h>

// Rows [o, o+count) and columns [c, c+width) of the site.
typedef struct {
    int o, count, c, width;
} Tile;

// One thread's memory, and where a tile's gradients go: vector i has its weights at weights + i * step.
typedef struct {
    float *weights, *bias;    // bias: NULL if there is none, or none in this tile
    size_t step;
    float *metric, *columns, *one;
} Part;

static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static int vectors(const Gather* g) { return g->n + (g->needs & NEEDS_ROWS ? g->m : 1); }

static size_t own_scratch(int n, int m, int T, int widest) {
    size_t V = (size_t)(n + m + 2), columns = (size_t)SLAB_MAX_ROWS * T * most((size_t)m, 1);
    size_t width = least((size_t)widest, SITE_BLOCK) + 1;
    return most(SLAB_FLOATS, V * SLAB_MIN_ROWS * width) + columns + (size_t)(n + m);
}

// And one block of the input of all positions, for all threads, behind the first one's.
size_t direct_scratch(int n, int m, int T, int widest) {
    return own_scratch(n, m, T, widest) + (size_t)(n + m) * T * least((size_t)widest, SITE_BLOCK);
}

static Part divide(float* scratch, const Site* s, const Gather* g, Tile k) {
    size_t V = (size_t)vectors(g), weights = (size_t)k.count * k.width, length = weights + (s->dbias ? (size_t)k.count : 0);
    Part p = { .one = scratch, .metric = scratch + g->n + g->m };
    p.weights = p.metric + (g->metric ? length : 0);
    p.columns = p.weights + V * length;
    p.step = length;
    p.bias = s->dbias && k.c == 0 ? p.weights + weights : NULL;
    for (int b = 0; b < g->n + g->m; b++) { p.one[b] = 1.0f; }
    return p;
}

// Adds the lookups of positions [begin, end).
static void add_lookup(float* weights, const Site* s, size_t begin, size_t end, Tile k) {
    for (size_t at = begin; at < end; at++) {
        int row = s->tokens[at] - k.o;
        if (row < 0 || row >= k.count) { continue; }
        const float* d = s->dlookup + at * s->cols + k.c;
        float* to = weights + (size_t)row * k.width;
        for (int c = 0; c < k.width; c++) { to[c] += d[c]; }
    }
}

// x: the block of the input, (positions, width).
static void form_product(float* weights, float* bias, const Site* s, size_t begin, size_t end, Tile k, const float* x, float* columns) {
    for (size_t at = begin; at < end; at++) {
        memcpy(columns + (at - begin) * k.count, s->dout + at * s->stride + k.o, sizeof(float) * (size_t)k.count);
    }
    matmul_backward_params(weights, bias, columns, x + begin * k.width, (int)(end - begin), k.width, k.count);
    if (s->kind == SITE_TOKEN) { add_lookup(weights, s, begin, end, k); }
}

static void form_position(float* weights, const Site* s, int first, int end, int T, Tile k) {
    for (size_t at = (size_t)first * T; at < (size_t)end * T; at += (size_t)s->rows) {
        for (int r = 0; r < k.count; r++) {
            const float* dout = s->dout + (at + (size_t)(k.o + r)) * s->cols + k.c;
            for (int c = 0; c < k.width; c++) { weights[(size_t)r * k.width + c] += dout[c]; }
        }
    }
}

// Forms the tile of all vectors that take part.
static void form(const Part* p, const Site* s, const Gather* g, int first, Tile k, const float* x) {
    for (int i = first; i < vectors(g); i++) {
        float *weights = p->weights + (size_t)i * p->step, *bias = p->bias ? p->bias + (size_t)i * p->step : NULL;
        int end = i < g->n || g->needs & NEEDS_ROWS ? i + 1 : g->n + g->m;
        memset(weights, 0, sizeof(float) * (size_t)k.count * k.width);
        if (bias) { memset(bias, 0, sizeof(float) * (size_t)k.count); }
        if (site_is_product(s)) { form_product(weights, bias, s, (size_t)i * g->T, (size_t)end * g->T, k, x, p->columns); }
        else if (s->kind == SITE_LOOKUP) { add_lookup(weights, s, (size_t)i * g->T, (size_t)end * g->T, k); }
        else if (s->kind == SITE_POSITION) { form_position(weights, s, i, end, g->T, k); }
        else { site_gradient(weights, bias, s, p->one, i, end, g->T, k.o, k.count, p->columns); }
    }
}

void gather_metric(float* x, const float* v, size_t count, const Gather* g) {
    float correction = g->correction, eps = g->eps;
    if (g->given) { memcpy(x, v, sizeof(float) * count); return; }
    for (size_t k = 0; k < count; k++) { x[k] /= sqrtf(v[k] * correction) + eps; }
}

// score (n) += products of `runs` times `count` floats with the target divided by Adam's denominators, v (runs, apart).
static void add_scores(double* score, const Part* p, const float* x, const float* v, int runs, size_t count, size_t apart, const Gather* g) {
    size_t all = (size_t)runs * count;
    if (!g->given) { memcpy(p->metric, x + (size_t)g->n * p->step, sizeof(float) * all); } // there may be no target to copy
    for (int r = 0; r < runs; r++) { gather_metric(p->metric + (size_t)r * count, v + (size_t)r * apart, count, g); }
    for (int i = 0; i < g->n; i++) { score[i] += gram_long_dot(x + (size_t)i * p->step, p->metric, all); }
}

// table (V,V), then scores (n), += products of one tile.
static void multiply(double* table, const Part* p, const Site* s, const Gather* g, int first, Tile k) {
    int V = vectors(g), from = gram_from(g);
    gram_add(table, p->weights, p->step, (size_t)k.count * k.width, V, first, from);
    if (p->bias) { gram_add(table, p->bias, p->step, (size_t)k.count, V, first, from); }
    if (!g->metric) { return; }
    double* score = table + (size_t)V * V;
    add_scores(score, p, p->weights, s->vweight + (size_t)k.o * s->cols + k.c, k.count, (size_t)k.width, (size_t)s->cols, g);
    if (p->bias) { add_scores(score, p, p->bias, s->vbias + k.o, 1, (size_t)k.count, 0, g); }
}

// The input's columns [c, c+width) in one piece, where they are not.
static const float* bring_together(float* to, const Site* s, const Gather* g, int c, int width) {
    if (!site_is_product(s) || width == s->cols) { return s->inp; }
    #pragma omp parallel for num_threads(g->threads)
    for (int at = 0; at < (g->n + g->m) * g->T; at++) {
        memcpy(to + (size_t)at * width, s->inp + (size_t)at * s->cols + c, sizeof(float) * (size_t)width);
    }
    return to;
}

// All tiles of a block of columns.
static void add_block(double* tables, size_t apart, const Site* s, const Gather* g, Tile block, const float* x) {
    int slab = site_slab_rows(s, vectors(g) + g->metric), threads = g->threads;
    int first = g->metric ? 0 : gram_first(g); // where only q is asked for, t alone
    if (slab > s->rows / threads + 1) { slab = s->rows / threads + 1; }
    #pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
        for (int o = thread * slab; o < s->rows; o += threads * slab) {
            Tile k = { o, s->rows - o < slab ? s->rows - o : slab, block.c, block.width };
            Part p = divide(g->scratch + (size_t)thread * g->part, s, g, k);
            form(&p, s, g, first, k, x);
            multiply(tables + (size_t)thread * apart, &p, s, g, first, k);
        }
    }
}

void gather_direct(Statistics* st, const Site* s, const Gather* g) {
    int V = vectors(g);
    size_t apart = (size_t)V * V + (size_t)g->n;
    float* together = g->scratch + own_scratch(g->n, g->m, g->T, s->cols);
    memset(st->partial, 0, sizeof(double) * (size_t)g->threads * apart);
    for (int c = 0; c < s->cols; c += SITE_BLOCK) {
        Tile block = { 0, s->rows, c, site_block_width(s, c) };
        add_block(st->partial, apart, s, g, block, bring_together(together, s, g, c, block.width));
    }
    gram_to_statistics(st, st->partial, apart, g, V);
    for (int i = 0; g->metric && i < g->n; i++) {
        for (int thread = 0; thread < g->threads; thread++) { st->score[i] += st->partial[(size_t)thread * apart + (size_t)V * V + (size_t)i]; }
    }
}
