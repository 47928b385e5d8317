// group_memory.c -- the arrays of the groups at hand and of a step's results, taken once.
#include "group.h"
#include "../llmc/device.h"

static const char* const what = "the regularizer's statistics";

static double* doubles(size_t count) { return device_alloc(sizeof(double) * count, what); }

// Where the pieces of a slot stand in it; counts them where `base` is NULL. q is first, so that every piece has an address of its own.
static size_t slice(Statistics* st, double* base, size_t n, size_t m, int with_rows, int own_scores) {
    size_t at = 0;
#define PIECE(p, count) do { if (base) { (p) = base + at; } at += (count); } while (0)
    PIECE(st->q, 1);
    PIECE(st->s, n);
    PIECE(st->K, n * n);
    if (own_scores) { PIECE(st->score, n); } else { st->score = st->s; }
    if (with_rows) { PIECE(st->S, n * m); PIECE(st->Q, m * m); }
#undef PIECE
    return at;
}

Groups groups_create_for_bases(int n) {
    Groups g = { .n = n, .usable = device_alloc((size_t)n, what), .domain = device_alloc(sizeof(int) * (size_t)n, what) };
    g.basis = device_alloc(sizeof(BasisResult) * DRPT_MAX_SITES, what);
    device_zero(g.basis, sizeof(BasisResult) * DRPT_MAX_SITES);
    return g;
}

Groups groups_create(int n, int m, int domains, int with_rows, int own_scores, size_t partial) {
    size_t rows = (size_t)n, targets = (size_t)m, slots = (size_t)group_batch();
    Groups g = { .n = n, .m = m, .slots = (int)slots, .work_size = solve_work(n, m, domains),
                 .usable = device_alloc(rows, what), .domain = device_alloc(sizeof(int) * rows, what) };
    g.apart = slice(&g.statistics, NULL, rows, targets, with_rows, own_scores);
    slice(&g.statistics, doubles(slots * g.apart), rows, targets, with_rows, own_scores);
    g.statistics.partial = doubles(partial);
    g.before = doubles(rows);
    g.work = doubles(slots * g.work_size);
    g.weight = device_alloc(sizeof(float) * slots * (rows + targets), what);
    g.result = device_alloc(sizeof(GroupResult) * DRPT_MAX_SITES, what);
    g.alpha = doubles(rows * DRPT_MAX_SITES);
    g.score = doubles(rows * DRPT_MAX_SITES);
    return g;
}

void groups_free(Groups* g) {
    void* const arrays[] = { g->statistics.q, g->statistics.partial, g->before, g->work, g->weight, g->usable, g->domain,
                             g->result, g->alpha, g->score, g->basis };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) { device_free(arrays[i]); }
    *g = (Groups){0};
}

Rows groups_rows(Groups* g, Rows rows) {
    if (rows.usable) { device_write(g->usable, rows.usable, (size_t)g->n); rows.usable = g->usable; }
    if (rows.domain) { device_write(g->domain, rows.domain, sizeof(int) * (size_t)g->n); rows.domain = g->domain; }
    return rows;
}

void groups_clear(Groups* g, int count) { device_zero(g->statistics.q, sizeof(double) * g->apart * (size_t)count); }

Statistics groups_statistics(const Groups* g, int slot) {
    Statistics st = g->statistics;
    size_t at = (size_t)slot * g->apart;
    double** const pieces[] = { &st.K, &st.s, &st.q, &st.score, &st.S, &st.Q };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) { if (*pieces[i]) { *pieces[i] += at; } }
    return st;
}
