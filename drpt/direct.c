// direct.c -- inner products of gradients that are formed.
//
// An inner product of two matrices is a sum over their rows. So the gradients of all rows of the batch are formed for a slab of
// the site's rows only, small enough to stay in a core's cache, and multiplied with each other there. Whoever forms an update of
// the site right after can have the gradients left in memory: what they add up to is then read instead of multiplied out.
#include "direct.h"
#include "gram.h"

#include <math.h>
#include <string.h>

// One thread's memory, and where the slab's gradients go: vector i has its weights at weights + i * step.
typedef struct {
    float *weights, *bias;    // bias: NULL if there is none
    size_t step;
    float *metric, *columns, *one;
} Part;

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

static int vectors(const Gather* g) { return g->n + (g->needs & NEEDS_ROWS ? g->m : 1); }

size_t direct_scratch(int n, int m, int T, int widest) {
    size_t V = (size_t)(n + m + 2), columns = (size_t)SLAB_MAX_ROWS * T * most((size_t)m, 1);
    return most(SLAB_FLOATS, V * SLAB_MIN_ROWS * ((size_t)widest + 1)) + columns + (size_t)(n + m);
}

// Slab rows [o, o+count); a metric takes one more vector.
static Part divide(float* scratch, const Site* s, const Gather* g, int o, int count, int keep) {
    size_t V = (size_t)vectors(g), weights = (size_t)count * s->cols, length = weights + (s->dbias ? (size_t)count : 0);
    Part p = { .one = scratch, .metric = scratch + g->n + g->m };
    p.weights = p.metric + (g->metric ? length : 0);
    p.columns = p.weights + (keep ? 0 : V * length);
    p.step = length;
    p.bias = p.weights + weights;
    if (keep) {
        p.weights = g->kept + (size_t)o * s->cols;
        p.step = site_size(s);
        p.bias = g->kept + (size_t)s->rows * s->cols + o;
    }
    p.bias = s->dbias ? p.bias : NULL;
    for (int b = 0; b < g->n + g->m; b++) { p.one[b] = 1.0f; }
    return p;
}

// Forms the slab of all vectors that take part.
static void form(const Part* p, const Site* s, const Gather* g, int first, int o, int count) {
    for (int i = first; i < vectors(g); i++) {
        float *weights = p->weights + (size_t)i * p->step, *bias = p->bias ? p->bias + (size_t)i * p->step : NULL;
        int end = i < g->n || g->needs & NEEDS_ROWS ? i + 1 : g->n + g->m;
        memset(weights, 0, sizeof(float) * (size_t)count * s->cols);
        if (bias) { memset(bias, 0, sizeof(float) * (size_t)count); }
        site_gradient(weights, bias, s, p->one, i, end, g->T, o, count, p->columns);
    }
}

void gather_metric(float* x, const float* v, size_t count, const Gather* g) {
    float correction = g->correction, eps = g->eps;
    for (size_t k = 0; k < count; k++) { x[k] /= sqrtf(v[k] * correction) + eps; }
}

// score (n) += products of one run of floats with the target divided by Adam's denominators v.
static void add_scores(double* score, const Part* p, const float* x, const float* v, size_t count, const Gather* g) {
    memcpy(p->metric, x + (size_t)g->n * p->step, sizeof(float) * count);
    gather_metric(p->metric, v, count, g);
    for (int i = 0; i < g->n; i++) { score[i] += gram_long_dot(x + (size_t)i * p->step, p->metric, count); }
}

// table (V,V), then scores (n), += products of one slab.
static void multiply(double* table, const Part* p, const Site* s, const Gather* g, int first, int o, int count) {
    int V = vectors(g), from = gram_from(g);
    size_t weights = (size_t)count * s->cols;
    gram_add(table, p->weights, p->step, weights, V, first, from);
    if (p->bias) { gram_add(table, p->bias, p->step, (size_t)count, V, first, from); }
    if (!g->metric) { return; }
    add_scores(table + (size_t)V * V, p, p->weights, s->vweight + (size_t)o * s->cols, weights, g);
    if (p->bias) { add_scores(table + (size_t)V * V, p, p->bias, s->vbias + o, (size_t)count, g); }
}

void gather_direct(Statistics* st, const Site* s, const Gather* g, int keep) {
    int V = vectors(g), slab = site_slab_rows(s, V + g->metric), threads = g->threads;
    int first = keep || g->metric ? 0 : gram_first(g); // where only q is asked for, t alone
    size_t apart = (size_t)V * V + (size_t)g->n;
    if (slab > s->rows / threads + 1) { slab = s->rows / threads + 1; }
    memset(st->partial, 0, sizeof(double) * (size_t)threads * apart);
    #pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
        for (int o = thread * slab; o < s->rows; o += threads * slab) {
            int count = s->rows - o < slab ? s->rows - o : slab;
            Part p = divide(g->scratch + (size_t)thread * g->part, s, g, o, count, keep);
            form(&p, s, g, first, o, count);
            multiply(st->partial + (size_t)thread * apart, &p, s, g, first, o, count);
        }
    }
    gram_to_statistics(st, st->partial, apart, g, V);
    for (int i = 0; g->metric && i < g->n; i++) {
        for (int thread = 0; thread < threads; thread++) { st->score[i] += st->partial[(size_t)thread * apart + (size_t)V * V + (size_t)i]; }
    }
}
