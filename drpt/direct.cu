// direct.cu -- see direct.h: the gradients of all rows, formed a slab of the site's rows at a time.
//
// The slabs of all vectors together stay in the second-level cache, where they are read for their inner products.
#include "direct.h"
#include "form.cuh"
#include "table.cuh"
#include "../llmc/device.cuh"

enum { SLAB = 8 << 20, BLOCK = 256 }; // floats: 32 of the 50 MB of an H100's cache

static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// At least one row of a site; whole ones, if they are as in GPT-2, where the longest rows are a quarter of their number, and fit.
size_t direct_scratch(int n, int m, int, int widest) {
    size_t V = (size_t)n + (size_t)m + 2, row = (size_t)widest + 8;
    return V * most(row, least(SLAB / V, row * ((size_t)widest / 4 + 16)));
}

// One thread an element. grid (count / BLOCK), block (BLOCK)
static __global__ void metric_kernel(float* x, const float* v, size_t count, float correction, float eps) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < count) { x[k] /= sqrtf(v[k] * correction) + eps; }
}

void gather_metric(float* x, const float* v, size_t count, const Gather* g) {
    if (g->given) { CUDA(cudaMemcpyAsync(x, v, sizeof(float) * count, cudaMemcpyDeviceToDevice)); return; }
    metric_kernel<<<blocks_of(count, BLOCK), BLOCK>>>(x, v, count, g->correction, g->eps);
    LAUNCHED();
}

// x becomes the target in the metric.
static void add_metric(float* x, const float* target, const Site* s, const Gather* g, int o, int rows) {
    size_t weights = (size_t)rows * (size_t)s->cols;
    if (!g->given) { CUDA(cudaMemcpyAsync(x, target, sizeof(float) * slab_length(s, rows), cudaMemcpyDeviceToDevice)); }
    gather_metric(x, s->vweight + (size_t)o * (size_t)s->cols, weights, g);
    if (s->dbias) { gather_metric(x + weights, s->vbias + o, (size_t)rows, g); }
}

void gather_direct(Statistics* st, const Site* s, const Gather* g) {
    Vectors v = vectors_of(g, g->metric ? 0 : gram_first(g)); // where only q is asked for, t alone
    Table table = table_open(g, st, v.count + g->metric);
    float* x = g->scratch;
    size_t room = least(g->part, most(SLAB, (size_t)table.V * (slab_length(s, 1) + 7)));
    int slab = slab_rows(s, (room / (size_t)table.V - 7) / slab_length(s, 1));
    for (int o = 0; o < s->rows; o += slab) {
        int rows = s->rows - o < slab ? s->rows - o : slab;
        size_t step = slab_step(s, rows);
        form_gradients(x, step, s, v, o, rows);
        if (g->metric) { add_metric(x + (size_t)(v.count - v.first) * step, x + (size_t)(g->n - v.first) * step, s, g, o, rows); }
        table_add(table, x, step, slab_length(s, rows), v.first, gram_from(g));
    }
}
