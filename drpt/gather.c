// gather.c -- which route a site takes; by what reckoning: cost.c, or cost.cu.
#include "gather.h"
#include "direct.h"
#include "kept.h"
#include "pairs.h"
#include "sketch.h"
#include "tokens.h"

#include <math.h>

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

size_t gather_scratch(int n, int m, int T, int widest) {
    size_t formed = most(direct_scratch(n, m, T, widest), tokens_scratch(n, m, T, widest));
    return most(formed, pairs_scratch(n, m, T, widest));
}

size_t gather_partial(int n, int m, int threads) {
    size_t V = (size_t)n + (size_t)m + 1;
    return (size_t)threads * (V * V + V);
}

int gather_keeps(const Site* s, const Gather* g) {
    return g->keep_gradients && g->needs && !(g->needs & NEEDS_ROWS) && (size_t)(g->n + 1) * site_size(s) <= g->kept_size;
}

static int can(const Site* s, const Gather* g, Route route) {
    if (route == ROUTE_direct) { return 1; }
    if (!site_is_product(s)) { return 0; }
    switch (route) {
        case ROUTE_pairs:  return !g->metric;
        case ROUTE_tokens: return (g->m > 0 || g->given) && !(g->needs & (NEEDS_K | NEEDS_ROWS));
        case ROUTE_sketch: return !g->metric && g->sketches != NULL;
        default:           return 0;
    }
}

Route gather_route(const Site* s, const Gather* g) {
    if (g->route != ROUTE_auto) { return can(s, g, g->route) ? g->route : ROUTE_direct; }
    Route best = ROUTE_direct;
    for (int r = ROUTE_direct; r <= ROUTE_tokens; r++) {
        if (can(s, g, (Route)r) && gather_cost(s, g, (Route)r) < gather_cost(s, g, best)) { best = (Route)r; }
    }
    return best;
}

Gathered drpt_gather(Statistics* st, const Site* s, const Gather* g) {
    Gathered done = { gather_route(s, g), 0 };
    switch (done.route) {
        case ROUTE_pairs:  gather_pairs(st, s, g); break;
        case ROUTE_tokens: gather_tokens(st, s, g); break;
        case ROUTE_sketch: gather_sketch(st, s, g); break;
        default:           done.kept = gather_keeps(s, g);
                           if (done.kept) { gather_kept(st, s, g); } else { gather_direct(st, s, g); }
                           break;
    }
    return done;
}
