// rows.h -- a batch of the world's text, general rows first and then target rows, and a pass over it as a trainer makes it.
#ifndef DEV_WORLD_ROWS_H
#define DEV_WORLD_ROWS_H

#include "net.h"
#include "world.h"

typedef struct {
    int n, m, T;           // general and target rows, positions of a row
    int *context, *next;   // (n+m, T)
    int* domain;           // (n)
    unsigned char* usable; // (n): 1, as every row has something to learn from
    const World* exact;    // NULL, or the target rows are all contexts, and their gradient the target's true one
    Arena arena;
} TextRows;

void rows_create(TextRows* r, int n, int m, int T);
void rows_free(TextRows* r);
void rows_draw_general(TextRows* r, const World* w, Rng* rng); // each of a domain drawn for it
void rows_draw_target(TextRows* r, const World* w, Rng* rng);
void rows_take_all_contexts(TextRows* r, const World* w);      // as target rows: m T must be CONTEXTS

// Mean loss of the target rows, or the exact one, after a forward.
double rows_target_loss(const TextRows* r, const Net* net);

// Forward and backward, recorded in drpt, which was told of the batch before; a general row stands for itself, the target rows for
// their mean. The pass is of the target rows alone where the method needs no more.
void rows_pass(const TextRows* r, Net* net, const Params* w, Params* grad, Drpt* drpt);

#endif // DEV_WORLD_ROWS_H
