// form.cuh -- the gradients of a batch's rows at one site, formed on the device.
#ifndef DRPT_FORM_CUH
#define DRPT_FORM_CUH

#include "gather.h"

// Vector i is the gradient of row i of the batch for i < singles; the last, where count = singles + 1, that of rows [singles, B) as one.
// Those before `first` do not take part.
typedef struct { int first, singles, count, B, T; } Vectors;

// Of the general rows, then the target as it is asked for.
static inline Vectors vectors_of(const Gather* g, int first) {
    int rows = g->needs & NEEDS_ROWS, B = g->n + g->m;
    return Vectors{ first, rows ? B : g->n, rows ? B : g->n + 1, B, g->T };
}

// Floats of a slab of a gradient, bias included; from one vector to the next, which begin where products like them to.
static inline size_t slab_length(const Site* s, int rows) { return (size_t)rows * ((size_t)s->cols + (s->dbias != NULL)); }
static inline size_t slab_step(const Site* s, int rows) { return (slab_length(s, rows) + 7) / 8 * 8; }

// How many rows of a site to take where there is room for `fit`; whole multiples of what products like.
int slab_rows(const Site* s, size_t fit);

// Forms rows [o, o+rows) of the site's gradients: of vector i the weights (rows, cols), then the bias (rows) if there is one, at
// to + (i - first) * step, which are overwritten.
void form_gradients(float* to, size_t step, const Site* s, Vectors v, int o, int rows);

#endif // DRPT_FORM_CUH
