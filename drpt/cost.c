// cost.c -- what a route should take on the CPU: FLOP of products, and all else as the FLOP that would take as long.
#include "gather.h"
#include "pairs.h"
#include "sketch.h"

// On two cores of the machine it was fitted on, products reach some 180 GFLOP/s and the memory 30 GB/s, so that a byte costs MEMORY
// FLOP. CACHE, the same within a core's L2, is what direct takes beyond its products at T=64. Packing makes a product M x N dearer by
// 6/M + 6/N (llmc/matmul.c). A dot product of vectors in L1 loads two for each multiply-add: half the speed. `bench --gather`
// prints all this beside measured times.
static const double CACHE = 1.5, MEMORY = 6.0, PACKING = 6.0, DOT = 2.0;

static double weights_of(const Site* s) { return (double)s->rows * s->cols; }
static double positions_of(const Gather* g) { return ((double)g->n + g->m) * g->T; }

// Forming the update by a product.
static double weighed(const Gather* g) { return g->weighed > 0.0 ? g->weighed : g->needs & NEEDS_K ? g->n : 0.5 * g->n; }
static double cost_of_assembly(const Site* s, const Gather* g) {
    return 2.0 * weighed(g) * g->T * weights_of(s) * (1.0 + PACKING / SLAB_MAX_ROWS);
}

// A factor is copied and packed for each block of columns. Each element of each vector is cleared, added to and read in cache. Those
// that are kept are cleared and read in memory instead, and the update reads the ones that have a weight, and itself.
static double cost_of_direct(const Site* s, const Gather* g) {
    double V = g->n + (g->needs & NEEDS_ROWS ? g->m : 1), W = weights_of(s);
    double dots = g->needs & NEEDS_K ? 0.5 * V * (V + 1.0) : V * (V - g->n) + (g->metric ? g->n : 0);
    double product = 2.0 * positions_of(g) * W, multiplying = 2.0 * dots * W * DOT;
    if (gather_keeps(s, g)) {
        return product * (1.0 + PACKING / s->rows + PACKING / s->cols) + multiplying + (8.0 * V + 4.0 * weighed(g) + 8.0) * W * MEMORY;
    }
    return product * (1.0 + 2.0 * PACKING / site_block_width(s, 0)) + V * W * 12.0 * CACHE + multiplying + cost_of_assembly(s, g);
}

// The lookup of a token site takes three more products over its columns. A pair is written and read five times.
static double cost_of_pairs(const Site* s, const Gather* g) {
    double length = s->kind == SITE_TOKEN ? s->rows + 4.0 * s->cols : (double)s->rows + s->cols;
    double packing = PACKING / pairs_panel(s, g) + PACKING / (g->needs & NEEDS_K ? 0.5 * positions_of(g) : (double)g->m * g->T);
    return pairs_count(g) * (2.0 * length * (1.0 + packing) + 20.0 * CACHE) + cost_of_assembly(s, g);
}

static double cost_of_tokens(const Site* s, const Gather* g) {
    return 2.0 * positions_of(g) * weights_of(s) * (1.0 + PACKING / SLAB_MAX_ROWS) + cost_of_assembly(s, g);
}

static double cost_of_sketch(const Site* s, const Gather* g) {
    double k = g->sketches ? sketch_width(g->sketches) : 0.0;
    return 2.0 * positions_of(g) * k * ((double)s->rows + s->cols + k) + cost_of_assembly(s, g);
}

double gather_cost(const Site* s, const Gather* g, Route route) {
    switch (route) {
        case ROUTE_pairs:  return cost_of_pairs(s, g);
        case ROUTE_tokens: return cost_of_tokens(s, g);
        case ROUTE_sketch: return cost_of_sketch(s, g);
        default:           return cost_of_direct(s, g);
    }
}
