// group.h -- groups of sites that share one (alpha, beta): their statistics, their solution, and what came of it, on the device.
//
// On the CPU one group after the other is gathered, solved and assembled. On a GPU those of a block are gathered, then solved
// at once, one thread a group; the host learns what came of them at the end of the step.
#ifndef DRPT_GROUP_H
#define DRPT_GROUP_H

#include "basis.h"
#include "site.h"
#include "solve.h"

#ifdef __cplusplus
extern "C" {
#endif

// Of one group.
typedef struct {
    double beta, q;
    double dot_ut, norm_u2;  // <u,t>; |u|^2, NaN where K is not known
    Verdict verdict;
} GroupResult;

// Of one site with a basis.
typedef struct {
    double norm2;            // |P(t)|^2
    BasisReport report;      // of the last refresh
} BasisResult;

// All arrays are on the device. `slots` groups are gathered before they are solved; the results of all groups of a step stay.
typedef struct {
    int n, m, slots;
    Statistics statistics;   // of the first slot; those of the next stand `apart` doubles further; `partial` serves all
    size_t apart;
    double* before;          // (n) s before the site at hand
    double* work;            // (slots, work_size) of the solver
    size_t work_size;
    float* weight;           // (slots, n+m) per row: alpha, then beta
    unsigned char* usable;   // (n) of this step
    int* domain;             // (n)
    GroupResult* result;     // (DRPT_MAX_SITES) group by group; NULL: there are bases
    double *alpha, *score;   // (DRPT_MAX_SITES, n)
    BasisResult* basis;      // (DRPT_MAX_SITES) site by site, or NULL
} Groups;

// What the groups of a step have in common. The seed is the run's.
typedef struct {
    Method method;
    int needs;
    Knobs knobs;
    Rows rows;               // usable, domain: on the device
    uint64_t step;
} GroupTask;

// How many groups are gathered before they are solved together. 1: each is assembled before the next is gathered, so that its
// gradients may be kept that long.
int group_batch(void);

// with_rows: S and Q are asked for; own_scores: score is not s itself; partial: doubles of Statistics.partial.
Groups groups_create(int n, int m, int domains, int with_rows, int own_scores, size_t partial);
Groups groups_create_for_bases(int n);
void groups_free(Groups* g);

Rows groups_rows(Groups* g, Rows rows); // the same with copies of usable and domain on the device
void groups_clear(Groups* g, int count); // the statistics of the first `count` slots
Statistics groups_statistics(const Groups* g, int slot);

// Groups `first` to first + count - 1 of the step, from the statistics of slots 0 to count - 1: their result, alpha, score, weight.
void group_solve(Groups* g, int first, int count, const GroupTask* task);

// Layer-normalised scores: score (n) += what a layer adds to s by its mean magnitude over the usable rows.
// before (n): s before the layer; NULL: 0.
void group_add_normalised(double* score, const double* s, const double* before, const unsigned char* usable, int n);

// ---------------------------------------------------------------------------------------------
// The same lines on either device.

// <u,t> = alpha's + beta q, and |u|^2 = alpha'K alpha + 2 beta alpha's + beta^2 q. A row without a weight may hold a NaN.
static inline HOST_DEVICE double group_dot(const double* alpha, double beta, const Statistics* st, int n) {
    double dot = beta * *st->q;
    for (int i = 0; i < n; i++) { dot += alpha[i] != 0.0 ? alpha[i] * st->s[i] : 0.0; }
    return dot;
}

static inline HOST_DEVICE double group_norm2(const double* alpha, double beta, const Statistics* st, int n) {
    double sum = beta * beta * *st->q;
    for (int i = 0; i < n; i++) {
        if (alpha[i] == 0.0) { continue; }
        sum += 2.0 * beta * alpha[i] * st->s[i];
        for (int j = 0; j < n; j++) { sum += alpha[j] != 0.0 ? alpha[i] * alpha[j] * st->K[i*n + j] : 0.0; }
    }
    return sum;
}

// alpha, score (n), weight (n+m); group: its number in the step.
static inline HOST_DEVICE void group_solve_one(GroupResult* result, double* alpha, double* score, float* weight, const Statistics* st,
                                               const GroupTask* task, uint64_t group, double* work) {
    int n = task->rows.n;
    Knobs knobs = task->knobs;
    knobs.seed = drpt_group_seed(knobs.seed, task->step, group);
    result->verdict = drpt_solve(alpha, &result->beta, task->method, st, task->rows, task->needs, knobs, work);
    for (int i = 0; i < n; i++) { weight[i] = (float)alpha[i]; score[i] = st->score[i] - solve_own(st, task->rows, i); }
    for (int j = 0; j < task->rows.m; j++) { weight[n + j] = (float)result->beta; }
    result->q = *st->q;
    result->dot_ut = group_dot(alpha, result->beta, st, n);
    result->norm_u2 = task->needs & NEEDS_K ? group_norm2(alpha, result->beta, st, n) : NAN;
}

#ifdef __cplusplus
}
#endif

#endif // DRPT_GROUP_H
