// probe_vectors.cu -- see probe_vectors.h. Each float of a vector belongs to one thread, which adds in the order of what it is made of.
#include "probe_vectors.h"
#include "form.cuh"
#include "../llmc/device.h"
#include "../llmc/product.cuh"

enum { BLOCK = 256, EACH = 8, PARTS = 256, SLAB = 32 << 20 }; // SLAB: floats of all gradients at a time before they are folded

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }

// One thread for each float of a vector that something is added to. grid (floats of a vector / BLOCK; vectors), block (BLOCK)
static __global__ void fold_kernel(float* to, size_t to_apart, const float* from, size_t from_apart, Fold f, size_t first, size_t floats) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k >= floats || k >= f.width) { return; }
    float* x = to + blockIdx.y * to_apart + (first + k) % f.width;
    float sum = *x;
    for (size_t j = k; j < floats; j += f.width) {
        float y = from[blockIdx.y * from_apart + j];
        sum += fold_signs(f, first + j) & 1 ? -y : y;
    }
    *x = sum;
}

void vectors_fold(float* to, size_t to_apart, const float* from, size_t from_apart, int count, Fold f, size_t first, size_t floats) {
    if (floats == 0) { return; }
    dim3 grid(blocks_of(least(floats, f.width), BLOCK), (unsigned)count);
    fold_kernel<<<grid, BLOCK>>>(to, to_apart, from, from_apart, f, first, floats);
    LAUNCHED();
}

// In slab_rows() rows of a gradient begin where products like them to: up to 7 floats behind the one before.
static size_t slab_room(const Site* s, int rows, size_t vectors) { return vectors * (slab_length(s, rows) + 7); }

size_t vectors_form_scratch(const Site* s, int n, int, int, int) {
    size_t vectors = (size_t)n + 1;
    return least(slab_room(s, s->rows, vectors), most(SLAB, slab_room(s, 1, vectors)));
}

// A slab has its weights first, and then its part of the bias, which stands behind all weights.
void vectors_form(float* to, const Site* s, Fold f, int n, int m, int T, float* scratch, size_t floats, int) {
    Vectors v = { 0, n, n + 1, n + m, T };
    size_t vectors = (size_t)v.count, cols = (size_t)s->cols;
    int slab = slab_rows(s, (most(floats / vectors, 7) - 7) / slab_length(s, 1));
    device_zero(to, sizeof(float) * vectors * f.width);
    for (int o = 0; o < s->rows; o += slab) {
        int rows = s->rows - o < slab ? s->rows - o : slab;
        size_t step = slab_step(s, rows), weights = (size_t)rows * cols;
        form_gradients(scratch, step, s, v, o, rows);
        vectors_fold(to, f.width, scratch, step, v.count, f, (size_t)o * cols, weights);
        if (s->dbias) { vectors_fold(to, f.width, scratch + weights, step, v.count, f, (size_t)s->rows * cols + (size_t)o, (size_t)rows); }
    }
}

void vectors_combine(float* out, const float* weight, const float* x, int rows, size_t width, int count) {
    product(matrix(out, count, (int)width), turned(weight, rows, count), matrix(x, rows, (int)width), 1.0f);
}

// A block takes, of one product, every gridDim.x-th piece of BLOCK floats. grid (parts; products), block (BLOCK)
static __global__ void products_kernel(double* partial, const float* x, size_t x_apart, const float* y, size_t y_apart, size_t size) {
    double sum = 0.0;
    x += blockIdx.y * x_apart;
    y += blockIdx.y * y_apart;
    for (size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x; k < size; k += (size_t)gridDim.x * BLOCK) { sum += (double)x[k] * (double)y[k]; }
    sum = block_sum<BLOCK>(sum);
    if (threadIdx.x == 0) { partial[(size_t)blockIdx.y * gridDim.x + blockIdx.x] = sum; }
}

// grid (count / BLOCK), block (BLOCK)
static __global__ void add_parts_kernel(double* out, const double* partial, int parts, int count) {
    int i = blockIdx.x * BLOCK + threadIdx.x;
    if (i >= count) { return; }
    double sum = 0.0;
    for (int p = 0; p < parts; p++) { sum += partial[(size_t)i * parts + p]; }
    out[i] += sum;
}

void vectors_products(double* out, const float* x, size_t x_apart, const float* y, size_t y_apart, size_t size, int count) {
    int parts = (int)least(blocks_of(size, BLOCK * EACH), PARTS);
    double* partial = (double*)device.workspace;
    if (count == 0 || size == 0) { return; }
    check(sizeof(double) * (size_t)parts * (size_t)count <= WORKSPACE, "the probe: %d variants or draws are too many at a time", count);
    products_kernel<<<dim3((unsigned)parts, (unsigned)count), BLOCK>>>(partial, x, x_apart, y, y_apart, size);
    LAUNCHED();
    add_parts_kernel<<<blocks_of((size_t)count, BLOCK), BLOCK>>>(out, partial, parts, count);
    LAUNCHED();
}
