// probe.h -- bias and variance of the update direction of every method, measured from the same gradients.
//
// At frozen weights, R target draws (sets of m rows) meet Q batches of n general rows each: u_ab is what a method makes of target draw
// a with batch b, u_a its mean over b, u that over a too; t* is the true target gradient. All in units of |t*|^2:
//     v_gen  = sum_ab |u_ab - u_a|^2 / (R)               fresh in every step: averages out over steps
//     v_tgt  = (Q sum_a |u_a - u|^2 / (R-1) - v_gen) / Q        attached to the target rows, which are the same in every step: does not
//     bias2  = mean over a != c of <u_a - t*, u_c - t*>         |E u - t*|^2 without bias, as no draw meets itself
//     rho    = mean over a != c of <u_a, t*> <u_c, t*> / (|t*|^2 mean |u_ab|^2), with the sign of <u, t*>
// |rho| in [0,1] is the share of the best possible one-step decrease of a smooth loss that a step along u, or against it, can expect.
// t* may be an estimate: it comes in two independent halves, and products of it with itself are taken across them. Errors are standard errors by
// the jackknife over target draws.
//
// The gradients of a pass are formed once, site by site; each variant is a table of weights of theirs, one small product away.
#ifndef DRPT_PROBE_H
#define DRPT_PROBE_H

#include "drpt.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// What to measure: a text file with a line "label | options of the regularizer" each; # begins a comment.
typedef struct {
    char *label, *text; // the options as they were written
    char* words;        // the same in pieces, which the text options point into
    DrptOptions options;
} ProbeVariant;

typedef struct {
    ProbeVariant* variant;
    int count;
    char* text;         // of the file; labels and options point into it
} ProbeList;

ProbeList probe_list_read(const char* path); // ends the program naming the line and the fault
void probe_list_free(ProbeList* list);

typedef struct Probe Probe;

// The list must stay as long as the probe. n, m, T, widest, domains, seed: as for drpt_create(). Two draws and two batches at least.
Probe* probe_create(const ProbeList* list, int n, int m, int T, int widest, int domains, int draws, int batches, uint64_t seed);
void probe_free(Probe* p);

// Before the first draw: how many bytes the sums may take [2 GiB]; large sites are folded to stay below.
void probe_limit(Probe* p, size_t bytes);

// Takes the place of the regularizer in the backward passes.
Drpt* probe_recorder(Probe* p);

// Before a backward pass over `rows` rows of T tokens, whose losses are weighed to add up, over all passes of a half, to their mean:
// they are part of half 0 or 1 of t*, or (2) of both, where that is the true gradient itself. All of these passes come first.
void probe_begin_reference(Probe* p, int half, int rows, int T);

// Before a backward pass over n general and m target rows, weighed as in training: draw a with batch b, b running faster, from 0, 0 on.
// usable and domain (n) as for drpt_begin().
void probe_begin(Probe* p, int a, int b, const unsigned char* usable, const int* domain);

typedef struct { double value, error; } Estimate;

// The one table of what is estimated; cosines are means of the angles of single updates.
#define PROBE_ESTIMATES(X) X(bias2) X(v_tgt) X(v_gen) X(mse) X(cos_t) X(cos_true) X(norm2) X(rho)
#define PROBE_FIELD(name) Estimate name;
typedef struct { PROBE_ESTIMATES(PROBE_FIELD) } ProbeResult;
#undef PROBE_FIELD

// After the last pass. NaN where t* is not known well enough: its halves have no positive inner product.
ProbeResult probe_result(const Probe* p, int variant);
double probe_t_norm2(const Probe* p); // |t*|^2

// sum (probe_size()) = sum_b u_ab: all sites one after the other as they were recorded, a site the weights and then the bias. A large model's
// are folded: floats of a site are added up under random signs to a fixed number, which leaves inner products as they were on average.
void probe_sum(const Probe* p, float* sum, int variant, int a);
size_t probe_size(const Probe* p);
int probe_is_folded(const Probe* p);

// probe.csv (a row a variant), replicates.csv (the estimates without one draw: errors of any difference) and scores.csv (<g_i,t> of every
// matrix and pass) into the folder.
void probe_write(const Probe* p, const char* folder);

// For drpt_begin() and drpt_project() alone: a pass begins, which may be one of several of a reference; a site of the pass; the end of a
// sublayer, a block or the pass.
void probe_restart(Probe* p);
void probe_site(Probe* p, const Site* site);
void probe_boundary(Probe* p, DrptGroup complete);

#ifdef __cplusplus
}
#endif

#endif // DRPT_PROBE_H
