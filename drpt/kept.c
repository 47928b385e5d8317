// kept.c -- the gradients of all rows of a site, formed whole and left in memory.
//
// All of them together take the products of one ordinary weight gradient. They are read once for their inner products and, those that
// have a weight, once more for the update, which costs no product then: with enough positions in a row that is hardly dearer than
// plain training, and K comes with it.
#include "kept.h"
#include "direct.h"
#include "gram.h"
#include "../llmc/matmul.h"

#include <string.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// The part of positions [begin, end); where dout is a part of a fused projection, copies of some of its columns at a time.
static void form_product(float* weights, float* bias, const Site* s, const Gather* g, size_t begin, size_t end) {
    int N = (int)(end - begin), rows = s->rows;
    size_t room = g->part * (size_t)g->threads / (size_t)N;
    if (s->stride != rows && room < (size_t)rows) { rows = (int)room; }
    for (int o = 0; o < s->rows; o += rows) {
        int count = s->rows - o < rows ? s->rows - o : rows;
        const float* dout = s->dout + begin * (size_t)s->stride + o;
        if (s->stride != s->rows) {
            #pragma omp parallel for num_threads(g->threads)
            for (int k = 0; k < N; k++) { memcpy(g->scratch + (size_t)k * count, dout + (size_t)k * s->stride, sizeof(float) * (size_t)count); }
            dout = g->scratch;
        }
        matmul_backward_params(weights + (size_t)o * s->cols, bias ? bias + o : NULL, dout, s->inp + begin * (size_t)s->cols, N, s->cols, count);
    }
}

static void form(const Site* s, const Gather* g) {
    size_t size = site_size(s), all = (size_t)(g->n + 1) * size;
    #pragma omp parallel for num_threads(g->threads)
    for (size_t at = 0; at < all; at += 1 << 16) { memset(g->kept + at, 0, sizeof(float) * least(1 << 16, all - at)); }
    for (int i = 0; i <= g->n; i++) {
        float *weights = g->kept + (size_t)i * size, *bias = s->dbias ? weights + (size_t)s->rows * s->cols : NULL;
        int end = i < g->n ? i + 1 : g->n + g->m;
        Site rest = *s; // what is no product: nothing in it is scaled, so that it takes no scratch
        if (site_is_product(s) && end > i) { form_product(weights, bias, s, g, (size_t)i * g->T, (size_t)end * g->T); }
        if (s->kind == SITE_LINEAR) { continue; }
        if (s->kind == SITE_TOKEN) { rest.kind = SITE_LOOKUP; }
        for (int b = i; b < end; b++) { g->scratch[b] = 1.0f; }
        site_gradient(weights, bias, &rest, g->scratch, i, end, g->T, 0, s->rows, NULL);
    }
}

// score (n) += products of the floats [begin, end) of the gradients with those of t in the metric, v: their second moments.
static void add_scores(double* score, const Gather* g, size_t size, size_t begin, size_t end, const float* v) {
    float t[512];
    for (size_t at = begin; at < end; at += 512) {
        size_t count = least(512, end - at);
        memcpy(t, g->kept + (size_t)g->n * size + at, sizeof(float) * count);
        gather_metric(t, v + (at - begin), count, g);
        for (int i = 0; i < g->n; i++) { score[i] += gram_dot(g->kept + (size_t)i * size + at, t, count); }
    }
}

void gather_kept(Statistics* st, const Site* s, const Gather* g) {
    int V = g->n + 1;
    size_t size = site_size(s), weights = (size_t)s->rows * s->cols, apart = (size_t)V * V + (size_t)g->n, share = size / (size_t)g->threads + 1;
    form(s, g);
    memset(st->partial, 0, sizeof(double) * (size_t)g->threads * apart);
    #pragma omp parallel for schedule(static, 1) num_threads(g->threads)
    for (int thread = 0; thread < g->threads; thread++) {
        size_t begin = least(size, (size_t)thread * share), end = least(size, begin + share), middle = least(weights, end);
        double* table = st->partial + (size_t)thread * apart;
        gram_add(table, g->kept + begin, size, end - begin, V, gram_first(g), gram_from(g));
        if (!g->metric) { continue; }
        if (begin < middle) { add_scores(table + (size_t)V * V, g, size, begin, middle, s->vweight + begin); }
        begin = begin < weights ? weights : begin;
        if (begin < end) { add_scores(table + (size_t)V * V, g, size, begin, end, s->vbias + (begin - weights)); }
    }
    gram_to_statistics(st, st->partial, apart, g, V);
    for (int thread = 0; g->metric && thread < g->threads; thread++) {
        for (int i = 0; i < g->n; i++) { st->score[i] += st->partial[(size_t)thread * apart + (size_t)V * V + (size_t)i]; }
    }
}
