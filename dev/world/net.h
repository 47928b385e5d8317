// net.h -- a model of the next token given the last two: three linear layers, whose gradients are sites of drpt.
//
//     x = one-hot of the first token, one-hot of the second      a1 = f(W1 x + b1)    a2 = f(W2 a1 + b2)    logits = W3 a2 + b3
// with the softsign f(h) = h / (1 + |h|), which costs no exponential.
//
// A context is a number below CONTEXTS (world.h), and there are no more than 256 of them. So a forward is one over all contexts, and
// a pass over text looks up its positions; and the same contexts, each weighed by how often it occurs, with the probabilities of what
// follows as labels, are a batch whose loss and gradient are those of all text there could be.
#ifndef DEV_WORLD_NET_H
#define DEV_WORLD_NET_H

#include "../../drpt/drpt.h"
#include "../../llmc/arena.h"
#include "../../llmc/rng.h"
#include "world.h"

enum { INPUTS = 2 * VOCAB, HIDDEN = 32, WIDEST = 32 }; // WIDEST: the most columns of a layer, for drpt_create()

// In the order in which a backward pass records them.
typedef struct {
    float w3[VOCAB * HIDDEN], b3[VOCAB];
    float w2[HIDDEN * HIDDEN], b2[HIDDEN];
    float w1[HIDDEN * INPUTS], b1[HIDDEN];
} Params;
enum { NUM_PARAMS = sizeof(Params) / sizeof(float) };

typedef struct {
    float x[CONTEXTS * INPUTS], a1[CONTEXTS * HIDDEN], a2[CONTEXTS * HIDDEN]; // of all contexts, in order
    float logp[CONTEXTS * VOCAB], p[CONTEXTS * VOCAB];                        // of what follows them
    struct {
        float *x, *a1, *a2;                  // (positions, INPUTS or HIDDEN)
        float *dlogits, *da1, *da2;          // (positions, VOCAB or HIDDEN)
    } pass;
    int positions;                           // most of a pass
    int context[CONTEXTS];                   // 0, 1, ...
    Drpt plain;                              // of backward passes whose gradient is exact
    Arena arena;
} Net;

void net_create(Net* net, int positions);
void net_free(Net* net);
void net_init(Params* w, uint64_t seed);

void net_forward(Net* net, const Params* w);                                          // fills what is of all contexts
double net_exact_loss(const Net* net, const World* world, int source);

// A backward pass over N positions. The caller fills dlogits of the pass before; what it is exactly, for all contexts in order and any source:
void net_backward(Net* net, const Params* w, Params* grad, Drpt* drpt, const int* context, int N);
void net_exact_dlogits(float* dlogits, const Net* net, const World* world, int source);

// The exact gradient, forward and all, as a plain backward pass gives it. Returns the loss.
double net_exact_gradient(Net* net, const Params* w, Params* grad, const World* world, int source);

#endif // DEV_WORLD_NET_H
