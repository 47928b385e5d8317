// cost.cu -- what a route should take on a GPU: FLOP of products, and all else as the FLOP that would take as long.
#include "gather.h"
#include "pairs.h"
#include "sketch.h"
#include "../llmc/device.cuh"

// Nominal figures of an H100, a little below what its maker gives; nothing here is fitted. FLOP/s of products by the type of their
// factors and of everything else, bytes/s of the memory and of the second-level cache, and the seconds between two kernels.
static const double BF16_PRODUCTS = 600e12, TF32_PRODUCTS = 300e12, FP32_PRODUCTS = 40e12, VECTOR = 30e12;
static const double MEMORY = 2.5e12, CACHE = 5e12, LAUNCH = 3e-6;

static double products_per_second(void) {
    if (sizeof(Real) < sizeof(float)) { return BF16_PRODUCTS; }
    return device.compute == CUBLAS_COMPUTE_32F ? FP32_PRODUCTS : TF32_PRODUCTS;
}

static double weights_of(const Site* s) { return (double)s->rows * s->cols; }
static double positions_of(const Gather* g) { return ((double)g->n + g->m) * g->T; }

// The update is a product over the same rows whatever the route, and left out. Seconds:

// Each element of each vector is written, then read for its products with vectors of eight.
static double direct(const Site* s, const Gather* g) {
    double V = g->n + (g->needs & NEEDS_ROWS ? g->m : 1) + g->metric, W = weights_of(s);
    double dots = g->needs & NEEDS_K ? 0.5 * V * (V + 1.0) : V * (V - g->n), readings = 1.0 + dots / (8.0 * V);
    return 2.0 * positions_of(g) * W / products_per_second() + 4.0 * V * W * (1.0 + readings) / CACHE + 2.0 * dots * W / VECTOR + 4.0 * LAUNCH;
}

// A pair's two products are written and read. The lookup of a token site takes three more products over its columns.
static double pairs(const Site* s, const Gather* g) {
    double count = pairs_count(g), products = s->kind == SITE_TOKEN ? 5.0 : 2.0;
    double length = s->kind == SITE_TOKEN ? s->rows + 4.0 * s->cols : (double)s->rows + s->cols;
    return 2.0 * count * length / products_per_second() + 8.0 * products * count / CACHE + (products + 2.0) * LAUNCH;
}

// t is written and read in memory, the positions' products with it in the cache.
static double tokens(const Site* s, const Gather* g) {
    double products = 2.0 * positions_of(g) * weights_of(s);
    return products / products_per_second() + 12.0 * weights_of(s) / MEMORY + 8.0 * g->n * g->T * s->rows / CACHE + 5.0 * LAUNCH;
}

static double sketch(const Site* s, const Gather* g) {
    double k = g->sketches ? sketch_width(g->sketches) : 0.0, N = positions_of(g);
    return 2.0 * N * k * ((double)s->rows + s->cols + k) / products_per_second() + 4.0 * (N * k * 4.0 + g->n * k * k) / CACHE + 7.0 * LAUNCH;
}

double gather_cost(const Site* s, const Gather* g, Route route) {
    switch (route) {
        case ROUTE_pairs:  return pairs(s, g) * products_per_second();
        case ROUTE_tokens: return tokens(s, g) * products_per_second();
        case ROUTE_sketch: return sketch(s, g) * products_per_second();
        default:           return direct(s, g) * products_per_second();
    }
}
