// world.h -- sources of text whose every probability is known: order-2 Markov chains over a small vocabulary.
//
// Source d continues the two tokens a b with c with probability P_d(c | a b), a softmax of  X_d[a,c] + Y_d[b,c]. The tables are normal;
// what makes a domain useful to the target or harmful is how much of the target's tables is in its own:
//     aligned      X_d =  s X_target + sqrt(1 - s^2) N_d     at the same place mostly the same token (Y alike)
//     irrelevant   X_d =  N_d                                tables of its own
//     conflicting  X_d = -s X_target + sqrt(1 - s^2) N_d     where the target expects a token, another one
// No token says which source it is from, so that a model of all of them must settle for their mean, and learning the target
// means to change its mind everywhere.
#ifndef DEV_WORLD_WORLD_H
#define DEV_WORLD_WORLD_H

#include "../../llmc/rng.h"

enum {
    VOCAB = 16, CONTEXTS = VOCAB * VOCAB, // context a b is number a VOCAB + b
    ALIGNED = 3, IRRELEVANT = 8, CONFLICTING = 4, DOMAINS = ALIGNED + IRRELEVANT + CONFLICTING,
    TARGET = DOMAINS, GENERAL, SOURCES,   // after the domains; GENERAL is the mixture of all of them in equal parts
};

typedef struct {
    double often[SOURCES][CONTEXTS];       // how often a context occurs in the long run
    double next[SOURCES][CONTEXTS][VOCAB]; // P_d(c | a b)
} World;

void world_create(World* w, uint64_t seed);

// The least loss that any model can have: the entropy of the next token.
double world_floor(const World* w, int source);

// A row of T positions as it comes up in the long run: contexts and the tokens that follow them. Not of GENERAL.
void world_row(int* context, int* next, const World* w, int source, Rng* rng, int T);

#endif // DEV_WORLD_WORLD_H
