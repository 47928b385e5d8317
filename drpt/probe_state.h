// probe_state.h -- what a Probe holds; for probe.c and probe_result.c alone.
#ifndef DRPT_PROBE_STATE_H
#define DRPT_PROBE_STATE_H

#include "probe.h"
#include "../llmc/arena.h"

// A vector of the probe has the floats of all sites, one after the other; those of a site of more than `width` are folded to that.
typedef struct {
    char name[32];
    int block, group[DRPT_GLOBAL + 1]; // group: the number of the one it is in, for each --group
    size_t size, at, width;            // floats of its gradient; where it begins in a vector, and how many it takes there
    float* half[2];                    // its part of t*, whole, until the first draw; on the device
    Statistics statistics;             // of the pass
} ProbeSite;

// Sums over passes. S_a = sum_b u_ab.
typedef struct {
    DrptChoice choice;
    Basis* basis;       // of the pass, or NULL
    double *norm2, *cos_t, *cos_true;  // (draws) sums over b of |u_ab|^2 and of the cosines
    double* mass;       // (domains) sums of the passes' shares
    long passes;        // that had any mass
    double *gram, *along[2];           // (draws,draws) <S_a,S_c>; (draws) <S_a, half of t*>; each row as its draw ends
} Measured;

struct Probe {
    const ProbeList* list;
    Drpt recorder;
    int draws, batches, domains;
    int half, rows, T;                 // of a reference pass; half -1: a pass of a draw
    int a, b, passes;                  // of the draw at hand; passes: of draws, so far
    int next, sublayer, block, layer;  // while sites come in
    int num_sites;
    ProbeSite site[DRPT_MAX_SITES];
    Measured* measured;                // (variants)
    size_t size, width, limit;         // of a vector; of a folded site; bytes

    // On the device.
    float *reference[2];               // vectors: the halves of t*
    float* sums;                       // (variants,draws) vectors
    float* updates;                    // of the pass: site by site (variants,width)
    float* gradients;                  // of the pass: site by site (n+1,width)
    float* weights;                    // of the pass: site by site (n+1,variants) of g_1..g_n and t
    double* products;                  // of vectors, on their way to the host
    double* normalised;                // (2,n): s of a layer; what such add up to
    BasisResult* projected;
    float* scratch;
    size_t scratch_size;

    float* scores;                     // (passes,sites,n)
    Statistics group;                  // sums of its sites'
    double *alpha, *work, *mass;
    unsigned char* usable;             // (n) of the pass
    int* domain;                       // (n)
    double t_norm2, halves_apart2;     // |t*|^2, NaN before the first draw; of the two estimates of t*
    Arena arena, statistics_arena;
};

#endif // DRPT_PROBE_STATE_H
