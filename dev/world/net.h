// net.h -- a model of the next token given the last two: three linear layers, whose gradients are sites of drpt.
//
//     x = one-hot of the first token, one-hot of the second      a1 = f(W1 x + b1)    a2 = f(W2 a1 + b2)    logits = W3 a2 + b3
// with the softsign f(h) = h / (1 + |h|), which costs no exponential.
//
// A context is a number below CONTEXTS (world.h), so that all 256 of them, each weighed by how often it occurs, with the probabilities
// of what follows as labels, are a batch whose loss and gradient are those of all text there could be.
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

// The buffers of a pass over at most `positions` contexts.
typedef struct {
    int positions;
    float *x, *h1, *a1, *h2, *a2;            // (positions, INPUTS or HIDDEN)
    float *logp, *dlogits;                   // (positions, VOCAB): log-probabilities of what follows
    float *da1, *da2;                        // (positions, HIDDEN)
    Drpt plain;                              // of backward passes whose gradient is exact
    Arena arena;
} Net;

void net_create(Net* net, int positions);
void net_free(Net* net);
void net_init(Params* w, uint64_t seed);

void net_forward(Net* net, const Params* w, const int* context, int N);                     // fills logp
void net_backward(Net* net, const Params* w, Params* grad, Drpt* drpt, int N);              // from dlogits, which the caller fills

// After a forward over all contexts, in order, at positions first, first + 1, ...: the exact loss of any source, and dlogits for its exact
// gradient.
void net_forward_all(Net* net, const Params* w); // at positions 0, 1, ...
double net_exact_loss(const Net* net, const World* world, int source, int first);
void net_exact_dlogits(Net* net, const World* world, int source, int first);

// The exact gradient as a plain backward pass gives it. Returns the loss.
double net_exact_gradient(Net* net, const Params* w, Params* grad, const World* world, int source);

#endif // DEV_WORLD_NET_H
