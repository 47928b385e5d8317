// sketch.c -- the random factors of all sites; what is done with them is in sketch_gather.c, or sketch_gather.cu.
#include "sketch_store.h"
#include "../llmc/check.h"
#include "../llmc/device.h"
#include "../llmc/rng.h"

#include <math.h>
#include <stdlib.h>

static const char what[] = "a sketch: a smaller --sketch takes less";

SketchStore* sketch_create(int k, int n, int m, int T, uint64_t seed) {
    SketchStore* store = calloc(1, sizeof(SketchStore));
    check(store != NULL, "out of memory for the table of sketches");
    size_t positions = (size_t)(n + m) * T, width = (size_t)k;
    store->k = k;
    store->n = n;
    store->m = m;
    store->T = T;
    store->seed = seed;
    for (int side = 0; side < 2; side++) { store->side[side] = device_alloc(sizeof(float) * positions * width, what); }
    store->vector = device_alloc(sizeof(float) * (size_t)(n + m + 1) * width * width, what);
    return store;
}

void sketch_free(SketchStore* store) {
    if (store == NULL) { return; }
    for (int i = 0; i < DRPT_MAX_SITES; i++) {
        for (int side = 0; side < 2; side++) { if (store->site[i].factor[side]) { device_free(store->site[i].factor[side]); } }
    }
    device_free(store->side[0]);
    device_free(store->side[1]);
    device_free(store->vector);
    free(store->drawn);
    free(store);
}

void sketch_refresh(SketchStore* store, uint64_t seed) {
    store->seed = seed;
    for (int i = 0; i < DRPT_MAX_SITES; i++) { store->site[i].fresh = 0; }
}

int sketch_width(const SketchStore* store) { return store->k; }

// A stream for each side of each site: one number tells them apart, and the generator's seeding is one to one in it.
static void draw(SketchStore* store, Projection* p, int index) {
    for (int side = 0; side < 2; side++) {
        size_t count = (size_t)p->length[side] * (size_t)store->k;
        if (!p->factor[side]) { continue; }
        Rng rng = rng_seed(store->seed, 2 * (uint64_t)index + (uint64_t)side, 0);
        rng_normal(&rng, store->drawn, count, sqrt(1.0 / store->k));
        sketch_copy(p->factor[side], store->drawn, count);
    }
    p->fresh = 1;
}

// Memory for the factors that the site takes, and to draw them in.
static void make_room(SketchStore* store, Projection* p) {
    for (int side = 0; side < 2; side++) {
        size_t count = (size_t)p->length[side] * (size_t)store->k;
        if (p->length[side] <= store->k) { continue; }
        p->factor[side] = device_alloc(sizeof(Real) * count, what);
        if (count <= store->room) { continue; }
        free(store->drawn);
        store->drawn = malloc(sizeof(float) * count);
        store->room = count;
        check(store->drawn != NULL, "out of memory: %zu MiB for %s", sizeof(float) * count >> 20, what);
    }
}

const Projection* sketch_projection(SketchStore* store, const Site* s) {
    Projection* p = &store->site[s->index];
    if (p->length[0] == 0) {
        p->length[0] = s->rows;
        p->length[1] = s->cols + (s->dbias != NULL);
        make_room(store, p);
    }
    check(p->length[0] == s->rows && p->length[1] == s->cols + (s->dbias != NULL), "%s: not the site that its sketch was made for", s->name);
    if (!p->fresh) { draw(store, p, s->index); }
    return p;
}

const Real* sketch_factor(SketchStore* store, const Site* s, int side) { return sketch_projection(store, s)->factor[side]; }
