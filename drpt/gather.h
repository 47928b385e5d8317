// gather.h -- inner products of the per-row gradients of a site, by whichever route costs least.
#ifndef DRPT_GATHER_H
#define DRPT_GATHER_H

#include "site.h"
#include "solve.h"

#ifdef __cplusplus
extern "C" {
#endif

// The one table of routes. All but the last are exact; a route that cannot give what is asked for gives way to direct:
//     pairs    linear and token sites, not Adam's metric
//     tokens   linear and token sites with m > 0 or a given v, neither K nor single target rows
//     sketch   linear and token sites, not Adam's metric, and only with a store of sketches
// Layer normalisation and positions have small gradients, which are formed whatever is asked for.
//    name     what it does
#define DRPT_ROUTES(X)                                                                        \
    X(auto,   "the exact one that should take least time, site by site")                      \
    X(direct, "forms the gradients of all rows, a slab at a time")                            \
    X(pairs,  "multiplies pairs of positions; no gradient is formed")                         \
    X(tokens, "forms the target's gradient and multiplies it with every general position")    \
    X(sketch, "projects both factors at random to --sketch numbers: unbiased, not exact")

#define ROUTE_ENUM(name, ...) ROUTE_##name,
typedef enum { DRPT_ROUTES(ROUTE_ENUM) NUM_ROUTES } Route;
#undef ROUTE_ENUM

struct SketchStore;
struct Tables;

typedef struct {
    int n, m, T, threads;            // general and target rows of the batch, tokens of a row
    int needs;                       // NEEDS_S, NEEDS_K, NEEDS_ROWS
    int metric;                      // 1: score_i = <g_i, t / (sqrt(v * correction) + eps)> is asked for, instead of s; v: the site's
    float correction, eps;           //    vweight and vbias. Not with NEEDS_K or NEEDS_ROWS.
    int given;                       // with metric 1: score_i = <g_i, v>. Not with NEEDS_K; m may be 0.
    Route route;
    double weighed;                  // general rows that will have a weight, for the cost model; 0: all with K, half of them without
    int keep_gradients;              // 1: the caller will assemble this site right after; gradients may be left in `kept`
    float* kept;                     // room for n+1 gradients of a site
    size_t kept_size;                // floats of it
    struct SketchStore* sketches;    // or NULL
    struct Tables* tables;           // of gather_tables()
    float* scratch;                  // `threads` parts of
    size_t part;                     // gather_scratch() floats
} Gather;

typedef struct {
    Route route;  // what was done, never auto
    int kept;     // 1: kept holds g_1..g_n and t of this site, for drpt_assemble_kept()
} Gathered;

// Adds the site's part of q, and of what is asked for: K (n,n); s (n), with NEEDS_S, K or ROWS; S (n,m) and Q (m,m); score (n)
// if a metric is, and then s only where it costs nothing. partial is overwritten. The same thread count gives the same bits.
Gathered drpt_gather(Statistics* statistics, const Site* site, const Gather* g);

// A GPU adds the inner products of several sites to their statistics at once: before the statistics are read, gather_end() adds what waits.
// For n and m rows; NULL on a CPU, where nothing waits.
struct Tables* gather_tables(int n, int m);
void gather_tables_free(struct Tables* tables);
void gather_end(const Gather* g);

// The route that drpt_gather() takes.
Route gather_route(const Site* site, const Gather* g);

// What a route should take, in FLOP of a large product: what `auto` compares. It includes forming the update, which some routes make
// cheaper than others.
double gather_cost(const Site* site, const Gather* g, Route route);

// Will the direct route leave the gradients?
int gather_keeps(const Site* site, const Gather* g);

size_t gather_scratch(int n, int m, int T, int widest); // floats that one thread needs for any site of at most `widest` columns
size_t gather_partial(int n, int m, int threads);       // doubles of Statistics.partial

#ifdef __cplusplus
}
#endif

#endif // DRPT_GATHER_H
