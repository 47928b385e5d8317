// gather.c -- inner products of the per-row gradients of a site.
//
// Scores against a target of few positions come from pairs of positions (pairs.c). All else from the gradients
// themselves: an inner product of two matrices is a sum over their rows. So the gradients of all rows of the batch are formed
// for a slab of the site's rows only, small enough to stay in a core's cache, and multiplied with each
// other there. The products of one slab are single precision, their sum over slabs and sites double.
#include "gather.h"
#include "pairs.h"
#include "../llmc/matmul.h"

#include <string.h>

// One thread's memory: the gradients (n+1, length) of a slab, the last one t; their products; the scaled factor.
typedef struct {
    float *gradient, *product, *columns, *one;
} Part;

static size_t slab_length(const Site* s, int count) { return (size_t)count * (s->cols + (s->dbias != NULL)); }

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

size_t gather_scratch(int n, int m, int T, int widest) {
    size_t copies = (size_t)n + 1, columns = (size_t)SLAB_MAX_ROWS * T * most((size_t)m, 1);
    size_t slab = most(SLAB_FLOATS, copies * SLAB_MIN_ROWS * ((size_t)widest + 1));
    size_t pairs = 2 * (size_t)(n + m) * T * 64; // 64 target positions at a time, whatever the number of threads
    return most(slab + copies * copies + columns + (size_t)n + m, pairs);
}

static Part divide(float* scratch, size_t length, int n, int m) {
    Part p;
    p.one = scratch;
    p.product = p.one + n + m;
    p.gradient = p.product + (size_t)(n + 1) * (n + 1);
    p.columns = p.gradient + (size_t)(n + 1) * length;
    for (int b = 0; b < n + m; b++) { p.one[b] = 1.0f; }
    return p;
}

// Forms rows [o, o+count) of g_1..g_n and t. Where only q is asked for, t alone.
static void form(const Part* p, const Site* s, int needs, int n, int m, int T, int o, int count, size_t length) {
    size_t weights = (size_t)count * s->cols;
    int first = needs & (NEEDS_S | NEEDS_K) ? 0 : n;
    memset(p->gradient + first * length, 0, sizeof(float) * (n + 1 - first) * length);
    for (int i = first; i <= n; i++) {
        float* g = p->gradient + i * length;
        int end = i < n ? i + 1 : n + m;
        site_gradient(g, s->dbias ? g + weights : NULL, s, p->one, i, end, T, o, count, p->columns);
    }
}

// statistics (n+1,n+1 leading part) += products of one slab.
static void multiply(double* total, const Part* p, int needs, int n, size_t length) {
    int first = needs & NEEDS_K ? 0 : n; // without K only the products with t
    int from = needs & (NEEDS_S | NEEDS_K) ? 0 : n;
    matmul_forward(p->product, p->gradient + first * length, p->gradient + from * length, NULL,
                   n + 1 - first, (int)length, n + 1 - from);
    const float* product = p->product;
    for (int i = first; i <= n; i++) {
        for (int j = from; j <= n; j++) { total[i * (n + 1) + j] += *product++; }
    }
}

void drpt_gather(Statistics* statistics, const Site* s, int needs, int n, int m, int T,
                 float* scratch, size_t part, int threads) {
    if (pairs_are_cheaper(s, needs, m, T)) {
        gather_pairs(statistics, s, needs, n, m, T, scratch, part * (size_t)threads);
        return;
    }
    int slab = site_slab_rows(s, n + 1), size = (n + 1) * (n + 1);
    if (slab > s->rows / threads + 1) { slab = s->rows / threads + 1; }
    memset(statistics->partial, 0, sizeof(double) * (size_t)threads * size);
    #pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
        Part p = divide(scratch + (size_t)thread * part, slab_length(s, slab), n, m);
        for (int o = thread * slab; o < s->rows; o += threads * slab) {
            int count = s->rows - o < slab ? s->rows - o : slab;
            size_t length = slab_length(s, count);
            form(&p, s, needs, n, m, T, o, count, length);
            multiply(statistics->partial + (size_t)thread * size, &p, needs, n, length);
        }
    }
    for (int thread = 0; thread < threads; thread++) { // always in this order: the same bits each run
        const double* from = statistics->partial + (size_t)thread * size;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) { statistics->K[i * n + j] += from[i * (n + 1) + j]; }
            statistics->s[i] += from[n * (n + 1) + i];
        }
        statistics->q += from[n * (n + 1) + n];
    }
}
