// tokens.c -- scores from the target's gradient, one product for all general positions.
//
// With the target's gradient (t, t_bias) of a slab of the site's rows at hand, the score of a row is a sum over its positions a:
//     s_i = sum_a dout_a . (t x_a + t_bias)
// whose costly part is an ordinary forward through t. The lookup of token w adds t[w] . dlookup_a. In Adam's metric t is divided
// by its denominators first.
#include "tokens.h"
#include "direct.h"
#include "gram.h"
#include "../llmc/matmul.h"

#include <string.h>

enum { POSITIONS = 512 }; // at a time: their products with a slab are 256 KiB

// One thread's memory: t of a slab; the positions' products with it; the factor of t.
typedef struct {
    float *t, *bias, *product, *columns, *one;
} Part;

size_t tokens_scratch(int n, int m, int T, int widest) {
    return (size_t)SLAB_MAX_ROWS * ((size_t)widest + 1 + POSITIONS + (size_t)m * T) + (size_t)(n + m);
}

static Part divide(float* scratch, const Site* s, const Gather* g) {
    Part p = { .one = scratch, .product = scratch + g->n + g->m };
    p.bias = p.product + SLAB_MAX_ROWS * POSITIONS;
    p.t = p.bias + SLAB_MAX_ROWS;
    p.columns = p.t + (size_t)SLAB_MAX_ROWS * s->cols;
    for (int b = 0; b < g->n + g->m; b++) { p.one[b] = 1.0f; }
    return p;
}

// Forms rows [o, o+count) of t and adds |t|^2 to q; then t in the metric, if there is one.
static void form(double* q, const Part* p, const Site* s, const Gather* g, int o, int count) {
    size_t weights = (size_t)count * s->cols;
    memset(p->t, 0, sizeof(float) * weights);
    memset(p->bias, 0, sizeof(float) * (size_t)count);
    site_gradient(p->t, s->dbias ? p->bias : NULL, s, p->one, g->n, g->n + g->m, g->T, o, count, p->columns);
    *q += gram_long_dot(p->t, p->t, weights) + gram_dot(p->bias, p->bias, (size_t)count);
    if (!g->metric) { return; }
    gather_metric(p->t, s->vweight + (size_t)o * s->cols, weights, g);
    if (s->dbias) { gather_metric(p->bias, s->vbias + o, (size_t)count, g); }
}

static void add_lookup(double* score, const Part* p, const Site* s, const Gather* g, int o, int count) {
    for (size_t at = 0; at < (size_t)g->n * g->T; at++) {
        int row = s->tokens[at] - o;
        if (row < 0 || row >= count) { continue; }
        score[at / (size_t)g->T] += gram_dot(p->t + (size_t)row * s->cols, s->dlookup + at * s->cols, (size_t)s->cols);
    }
}

// score (n) += products of all general positions with rows [o, o+count) of t.
static void multiply(double* score, const Part* p, const Site* s, const Gather* g, int o, int count) {
    size_t end = (size_t)g->n * g->T;
    for (size_t from = 0; from < end; from += POSITIONS) {
        int N = (int)(end - from < POSITIONS ? end - from : POSITIONS);
        matmul_forward(p->product, s->inp + from * s->cols, p->t, p->bias, N, s->cols, count);
        for (int a = 0; a < N; a++) {
            size_t at = from + (size_t)a;
            score[at / (size_t)g->T] += gram_dot(s->dout + at * s->stride + o, p->product + (size_t)a * count, (size_t)count);
        }
    }
    if (s->kind == SITE_TOKEN) { add_lookup(score, p, s, g, o, count); }
}

void gather_tokens(Statistics* st, const Site* s, const Gather* g) {
    int threads = g->threads, slab = s->rows / threads + 1;
    size_t apart = (size_t)g->n + 1;
    if (slab > SLAB_MAX_ROWS) { slab = SLAB_MAX_ROWS; }
    memset(st->partial, 0, sizeof(double) * (size_t)threads * apart);
    #pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
        Part p = divide(g->scratch + (size_t)thread * g->part, s, g);
        double* partial = st->partial + (size_t)thread * apart;
        for (int o = thread * slab; o < s->rows; o += threads * slab) {
            int count = s->rows - o < slab ? s->rows - o : slab;
            form(&partial[g->n], &p, s, g, o, count);
            if (g->needs) { multiply(partial, &p, s, g, o, count); }
        }
    }
    double* score = g->metric ? st->score : st->s;
    for (int thread = 0; thread < threads; thread++) { // always in this order: the same bits each run
        const double* partial = st->partial + (size_t)thread * apart;
        for (int i = 0; i < g->n; i++) { score[i] += g->needs ? partial[i] : 0.0; }
        *st->q += partial[g->n];
    }
}
