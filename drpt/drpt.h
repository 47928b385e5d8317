// drpt.h -- data-regularized post-training: the gradient of scarce target data is projected onto
// directions that general data would also have taken.
//
// A batch holds n general rows (0..n-1) and after them m target rows. Write g_i for the gradient of
// general row i, t for that of the target rows together. A *site* is one weight of one layer with its
// bias, and the two factors of its gradient; a *group* is a set of sites that share one update
//     u = beta t + sum_i alpha_i g_i
// (Dr. Post-Training, arXiv 2605.07063). Every method finds (alpha, beta) from three statistics of the group,
//     K_ij = <g_i, g_j>    s_i = <g_i, t>    q = |t|^2,
// so that a step is
//     gather     K, s, q          added up over the sites of the group
//     solve      alpha, beta      a problem of the size of the batch
//     assemble   dweight += u     one weight-gradient product with scaled rows
//
// A trainer calls drpt_site() where it would form a weight gradient, for all rows, and drpt_project() where
// the recorded buffers are about to be reused. Nothing in a backward pass reads a weight gradient, so
// the gradients of the activations are what they always were.
//
// Two methods keep a low-rank basis of the general gradients instead (basis.h), and need general rows only in the steps
// that refresh it.
//
// A row here is what gets one weight: it may be several sequences one behind the other, as the two of a preference pair.
//
// Scaling: the trainer weighs the tokens' losses so that general row i of the batch gives g_i itself
// (not g_i / n) and the target rows add up to t. Then alpha_i = 1/n is ordinary training.
//
// own_rows: the target rows may be the general rows themselves with other losses, target row i being general row i. Its score
// would then hold <g_i, t_i>, a merit that every row has whatever it is worth to the others. With own_rows the solver gets
//     s_i = <g_i, t - t_i>
// instead, each row judged by what the rest wants, and K and q as they are: the methods that weigh rows maximise
//     sum_i alpha_i <g_i, t - t_i> - tau/2 |u|^2    over their set,
// which for one t would be the projection on it, and those that keep t take these scores for its conflicts with the rows. The scores in the
// geometry are these; beta t, <u,t> and all lengths are still of the whole t.
#ifndef DRPT_DRPT_H
#define DRPT_DRPT_H

#include "basis.h"
#include "gather.h"
#include "group.h"
#include "site.h"
#include "sketch.h"
#include "solve.h"
#include "../llmc/arena.h"
#include "../llmc/device.h"
#include "../llmc/options.h"

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

// What shares a projection, from fine to coarse. A matrix is a layer, or Q, K or V of the layer that makes them; a sublayer is the
// attention or the MLP of a block, with its layer normalisation; the two embeddings are a block, the last layer normalisation another.
typedef enum { DRPT_MATRIX, DRPT_LAYER, DRPT_SUBLAYER, DRPT_BLOCK, DRPT_GLOBAL } DrptGroup;

typedef struct {
    const char* method;
    const char* group;
    const char* weigh;      // rows: each row's own token mean counts alike; tokens: each trained token does
    const char* strength;   // a number, or auto
    const char *rescale, *metric, *score, *sides;
    double keep, ridge, mix, tau, radius, forget;
    int normalise, sketch, rank, refresh;
    int log_geometry;
    int own_rows;           // no option: set by who makes the target rows from the general ones; see above
    int scores_only;        // no option: the general rows are scored against what stands where their update would go, and that is all;
                            // target rows are there only to be left out of these scores, with own_rows
} DrptOptions;

extern const DrptOptions drpt_defaults;
OptionTable drpt_option_table(DrptOptions* o);

// Options as numbers.
typedef struct {
    Method method;
    DrptGroup group;
    Knobs knobs;
    int normalise;            // scores of a group are sums of its sites', each by its mean magnitude
    Sides sides;
} DrptChoice;

// Ends the program on unknown names and on combinations that make no sense.
DrptChoice drpt_choose(const DrptOptions* o, int n, int m, uint64_t seed);

struct Probe;

// Of a group, or a site with a basis: what its row of geometry.csv is called, and how its last site was gathered.
typedef struct {
    Site first;
    const char* last;         // the name of the last site; NULL: it is the first
    Gathered gathered;
} GroupLabel;

typedef struct {
    Method method;
    DrptGroup group;
    Knobs knobs;
    int plain;                // method full without target rows: a site is an ordinary weight gradient
    int verify;               // check at drpt_project() that recorded buffers were left alone
    int n, m, T;              // rows of the batch, tokens of a row
    int places;               // of a row's positions: T, or a divisor of it, if a row is several sequences of so many tokens
    Rows rows;                // of this step, on the device
    const int* domain;        // (n) on the host, or NULL
    uint64_t step;
    int with_general;         // 0: the pass holds the target rows alone
    int refresh;              // steps from one basis, or sketch, to the next
    int normalise;            // scores of a group are sums of its sites', each by its mean magnitude
    int scores_only;          // nothing is assembled
    struct Probe* probe;      // NULL: none; else it takes the sites

    // Recorded since the last projection; in this pass.
    int num_sites, num_groups, block, next_index; // groups: a site with a basis is one
    Site site[DRPT_MAX_SITES];
    uint64_t checksum[DRPT_MAX_SITES];

    Groups groups;            // at hand, and of the step so far
    int needs;                // of their statistics
    Gather gather;
    float* scratch;           // of gather and assemble, one part a thread
    size_t scratch_size;      // floats of one part
    int threads;
    Arena arena;              // of the host
    Basis* basis;             // NULL: not asked for
    SketchStore* sketches;    // likewise
    uint64_t sketch_age;      // how often they were refreshed
    const float *grads, *v;   // Adam's metric: gradients and AdamW's second moments, laid out alike; the latter's number of updates
    const int* updates;
    double beta2;
    Stopwatch stopwatch;      // of gathering and solving

    // Of the step, on the host: copied and added up by drpt_end().
    GroupLabel* label;        // (num_groups)
    GroupResult* result;      // (num_groups)
    double *alphas, *scores;  // (num_groups, n)
    BasisResult* basis_result; // (num_groups)
    double *alpha, beta;      // (n), of the last group
    double dot_ut, norm_t2;   // <u,t> and |t|^2 over all groups; NaN where nothing measures them
    double seconds;           // spent on gathering and solving
    int rows_dropped;         // (row, group) pairs left out: a gradient with a NaN or Inf in it
    int groups_skipped;       // groups without a direction to go: t zero or not finite, or nothing in the feasible set
    FILE* geometry;           // NULL: not asked for
} Drpt;

// widest: the largest number of columns of any site (for GPT-2 4*C); domains: how many sources the general rows come from.
Drpt drpt_create(const DrptOptions* o, int n, int m, int T, int widest, int domains, uint64_t seed);
void drpt_free(Drpt* d);

// Where AdamW's second moments stand, and how many updates they are of, its beta2 and eps: for --metric adam. v and grads are laid out alike.
void drpt_moments(Drpt* d, const float* grads, const float* v, const int* updates, double beta2, double eps);

// Does this step need general rows? If not, the pass holds the m target rows alone.
int drpt_wants_general(const Drpt* d, uint64_t step);

// Before a backward pass. usable (n): 0 for rows without a trained token; domain (n): where they come from, or NULL.
void drpt_begin(Drpt* d, uint64_t step, const unsigned char* usable, const int* domain);

// Record a site. The buffers must keep their values until it is projected.
//     linear     dweight (OC,C), dbias (OC)   dout (B,T,OC), inp (B,T,C)
//     layernorm  dweight (C), dbias (C)       dout, inp (B,T,C), mean, rstd (B,T)
//     position   dweight (maxT,C)             dout (B,T,C); position t is of place t % places
//     token      dweight (V,C)                as the head: dout (B,T,stride), zeros behind the V, inp (B,T,C), or
//                                             dout NULL: nothing came back through it;
//                                             as the lookup: dlookup (B,T,C), tokens (B,T)
void drpt_site(Drpt* d, const char* name, float* dweight, float* dbias, const Real* dout, const Real* inp, int C, int OC);
// A projection that is several in one: `name` has a letter for each, OC / strlen(name) rows belong to each.
void drpt_site_fused(Drpt* d, const char* name, float* dweight, float* dbias, const Real* dout, const Real* inp, int C, int OC);
void drpt_site_layernorm(Drpt* d, const char* name, float* dweight, float* dbias, const Real* dout, const Real* inp,
                         const float* mean, const float* rstd, int C);
void drpt_site_position(Drpt* d, const char* name, float* dweight, const Real* dout, int C);
void drpt_site_token(Drpt* d, const char* name, float* dweight, const Real* dout, const Real* inp,
                     const Real* dlookup, const int* tokens, int C, int V, int stride);

// A sublayer, a block, or (global) the whole model has been recorded: projects what is recorded, if the
// groups of this run are no coarser than that.
void drpt_project(Drpt* d, DrptGroup complete);

// After the last backward pass of a step: what came of its groups, for the trainer's log and geometry.csv. The first time that the host
// waits for the device.
void drpt_end(Drpt* d);

// The statistics of these sites together, into d->groups.statistics.
void drpt_gather_sites(Drpt* d, const Site* site, int count);

// Does a group reach across blocks, so that their gradients must all be kept to the end?
int drpt_keeps_blocks(const Drpt* d);

// What a run carries from step to step besides the weights: the bases. Nothing is written or read where there are none.
int drpt_has_state(const Drpt* d);
void drpt_save(const Drpt* d, const char* path);
void drpt_load(Drpt* d, const char* path);

// "h3.fc", or "h3.q" of a fused projection.
const char* drpt_site_name(const Site* s, char* name, size_t size);

// The header row of geometry.csv; then drpt_end() adds one row a group (a basis: one a site and refresh).
void drpt_log_geometry(Drpt* d, FILE* file, int with_header);

#ifdef __cplusplus
}
#endif

#endif // DRPT_DRPT_H
