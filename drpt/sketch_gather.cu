// sketch_gather.cu -- see sketch.h, and sketch_gather.c for the formula.
#include "sketch_store.h"
#include "table.cuh"
#include "../llmc/device.h"
#include "../llmc/product.cuh"

#include <vector>

enum { BLOCK = 256 };

void sketch_copy(Real* to, const float* x, size_t count) {
    std::vector<Real> host(count);
    for (size_t k = 0; k < count; k++) { host[k] = (Real)x[k]; }
    device_write(to, host.data(), sizeof(Real) * count);
}

// What a product leaves to do for to (count, width): += the factor's last row, `last`, for a bias; or, where there is no factor,
// = from (count, length), then 1 if there is a bias. One thread an element. grid (elements / BLOCK), block (BLOCK)
static __global__ void bias_kernel(float* to, const Real* last, int width, size_t elements) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < elements) { to[k] += (float)last[k % width]; }
}
static __global__ void copy_kernel(float* to, const Real* from, size_t stride, int length, int width, size_t elements) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x, a = k / width, c = k % width;
    if (k < elements) { to[k] = c < (size_t)length ? (float)from[a * stride + c] : 1.0f; }
}

// to (count, width) = from (count, length) P; or from itself, with ones if there is a bias. `from` has `stride` numbers a position.
static void project(float* to, const Real* from, size_t stride, const Real* factor, int length, int width, bool bias, int count) {
    size_t elements = (size_t)count * (size_t)width;
    if (elements == 0) { return; }
    if (factor) { product(matrix(to, count, width), matrix(from, count, length, stride), matrix(factor, length, width)); }
    if (factor && bias) { bias_kernel<<<blocks_of(elements, BLOCK), BLOCK>>>(to, factor + (size_t)length * (size_t)width, width, elements); }
    if (!factor) { copy_kernel<<<blocks_of(elements, BLOCK), BLOCK>>>(to, from, stride, length, width, elements); }
    LAUNCHED();
}

// A lookup's factor is the unit vector of its token, which picks a row of P. grid (elements / BLOCK), block (BLOCK)
static __global__ void pick_kernel(float* to, const Real* factor, const int* tokens, int width, size_t elements) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x, a = k / width, c = k % width;
    if (k >= elements) { return; }
    to[k] = factor ? (float)factor[(size_t)tokens[a] * width + c] : (size_t)tokens[a] == c ? 1.0f : 0.0f;
}

// How the gradients of a site are projected, and of which rows of the batch.
typedef struct {
    SketchStore* store;
    const Projection* p;
    int width[2], first, singles, B, T;
} Sketch;

static float* side_of(const Sketch* k, int side) { return k->store->side[side] + (size_t)k->first * k->T * k->width[side]; }

static void project_factors(const Sketch* k, const Site* s) {
    size_t begin = (size_t)k->first * (size_t)k->T;
    int count = (k->B - k->first) * k->T;
    project(side_of(k, 0), s->dout + begin * (size_t)s->stride, (size_t)s->stride, k->p->factor[0], s->rows, k->width[0], false, count);
    project(side_of(k, 1), s->inp + begin * (size_t)s->cols, (size_t)s->cols, k->p->factor[1], s->cols, k->width[1], s->dbias != NULL, count);
}

static void project_lookups(const Sketch* k, const Site* s) {
    size_t begin = (size_t)k->first * (size_t)k->T, cols = (size_t)s->cols;
    int count = (k->B - k->first) * k->T, width = k->width[0];
    size_t elements = (size_t)count * (size_t)width;
    if (elements == 0) { return; }
    pick_kernel<<<blocks_of(elements, BLOCK), BLOCK>>>(side_of(k, 0), k->p->factor[0], s->tokens + begin, width, elements);
    LAUNCHED();
    project(side_of(k, 1), s->dlookup + begin * cols, cols, k->p->factor[1], s->cols, k->width[1], false, count);
}

// Vectors (V - first) of the store: the projected gradients of single rows, a batch, and of the rest of the rows as one.
static void add_vectors(const Sketch* k, int V, float beta) {
    int alone = k->singles - k->first, T = k->T, O = k->width[0], I = k->width[1];
    size_t size = (size_t)O * (size_t)I, left = (size_t)T * (size_t)O, right = (size_t)T * (size_t)I;
    float* rest = k->store->vector + (size_t)alone * size;
    product(matrix(k->store->vector, O, I, 0, size), turned(side_of(k, 0), T, O, 0, left), matrix(side_of(k, 1), T, I, 0, right), beta, NULL, alone);
    if (V == k->singles) { return; }
    int count = (k->B - k->singles) * T;
    product(matrix(rest, O, I), turned(side_of(k, 0) + (size_t)alone * left, count, O), matrix(side_of(k, 1) + (size_t)alone * right, count, I), beta);
}

void gather_sketch(Statistics* st, const Site* s, const Gather* g) {
    SketchStore* store = g->sketches;
    int B = g->n + g->m, singles = g->needs & NEEDS_ROWS ? B : g->n, V = g->needs & NEEDS_ROWS ? B : g->n + 1;
    Sketch k = { store, sketch_projection(store, s), { 0, 0 }, gram_first(g), singles, B, g->T };
    for (int side = 0; side < 2; side++) { k.width[side] = k.p->length[side] < store->k ? k.p->length[side] : store->k; }
    size_t length = (size_t)k.width[0] * (size_t)k.width[1];
    check(B <= store->n + store->m && g->T <= store->T, "a sketch for %d rows of %d tokens got %d of %d", store->n + store->m, store->T, B, g->T);
    project_factors(&k, s);
    add_vectors(&k, V, 0.0f);
    if (s->kind == SITE_TOKEN) {
        project_lookups(&k, s);
        add_vectors(&k, V, 1.0f);
    }
    Table table = table_open(g, st, V);
    table_add(table, store->vector, length, length, k.first, gram_from(g));
}
