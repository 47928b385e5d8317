// factor.c -- a site's gradient as a sum of outer products a x' over positions, of any kind of site.
#include "factor.h"
#include "../llmc/matmul.h"

#include <assert.h>
#include <string.h>

// Positions at a time: the projected factors stay in a cache, and a product is still large enough to be fast.
enum { POSITIONS = 1024 };

// ---------------------------------------------------------------------------------------------
// The factors.

// sum over N positions of a x': a (N,rows), or, where it is NULL, the unit vector of a word; x (N,cols), its bias column
// 1 if there is one.
typedef struct {
    const float *a, *x;
    const int* token;  // NULL: the word is the place in the sequence,
    int place, places; // of the first position, modulo places
    int N, bias;
} Term;

// The site of the batch that begins at position `at`.
static Site moved(const Site* s, size_t at) {
    Site m = *s;
    int of_inp = s->kind == SITE_LAYERNORM ? s->rows : s->cols, of_dout = s->kind == SITE_POSITION ? s->cols : s->stride;
    if (s->dout) { m.dout += at * (size_t)of_dout; }
    if (s->inp) { m.inp += at * (size_t)of_inp; }
    if (s->mean) { m.mean += at; }
    if (s->rstd) { m.rstd += at; }
    if (s->dlookup) { m.dlookup += at * (size_t)s->cols; }
    if (s->tokens) { m.tokens += at; }
    return m;
}

// The rows of a part of a fused projection are apart: they are copied together.
static const float* packed(float* room, const Site* s, int N) {
    if (s->stride == s->rows) { return s->dout; }
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        memcpy(room + (size_t)n * s->rows, s->dout + (size_t)n * s->stride, sizeof(float) * (size_t)s->rows);
    }
    return room;
}

// Layernorm's gradient has two columns, formed at once; each is a position: [weight] is a 1', [bias] is b 0' with bias 1.
static void two_columns(Term* term, const Site* s, int N, float* room) {
    static const float one = 1.0f, zero = 0.0f;
    float *weight = room, *bias = room + s->rows;
    memset(room, 0, sizeof(float) * 2 * (size_t)s->rows);
    site_gradient(weight, s->dbias ? bias : NULL, s, &one, 0, 1, N, 0, s->rows, NULL);
    term[0] = (Term){ .a = weight, .x = &one, .N = 1 };
    term[1] = (Term){ .a = bias, .x = &zero, .N = 1, .bias = s->dbias != NULL };
}

// The one or two terms of positions [at, at+N) of the batch. room: site_room().
static int terms(Term term[2], const Site* site, size_t at, int N, float* room) {
    Site s = moved(site, at);
    Term head = { .x = s.inp, .N = N, .bias = s.dbias != NULL };
    Term lookup = { .x = s.dlookup, .token = s.tokens, .N = N };
    switch (s.kind) {
        case SITE_LINEAR:    head.a = packed(room, &s, N); term[0] = head; return 1;
        case SITE_TOKEN:     head.a = packed(room, &s, N); term[0] = head; term[1] = lookup; return 2;
        case SITE_LOOKUP:    term[0] = lookup; return 1;
        case SITE_LAYERNORM: two_columns(term, &s, N, room); return 2;
        case SITE_POSITION:  term[0] = (Term){ .x = s.dout, .place = (int)(at % (size_t)s.rows), .places = s.rows, .N = N }; return 1;
    }
    return 0;
}

static size_t site_room(const Site* s, int N) {
    size_t rows = (size_t)s->rows;
    return s->kind == SITE_LAYERNORM ? 2 * rows : s->stride != s->rows ? (size_t)N * rows : 0;
}

// How many positions at a time the scratch allows.
static int chunk(const Site* s, size_t k, size_t floats) {
    int N = POSITIONS;
    while (N > 1 && site_room(s, N) + (size_t)N * k > floats) { N /= 2; }
    assert(site_room(s, N) + (size_t)N * k <= floats);
    return N;
}

size_t site_between_scratch(const Site* site, int rl, int rr) {
    return site_room(site, POSITIONS) + (size_t)POSITIONS * (size_t)(rl + rr);
}

// ---------------------------------------------------------------------------------------------
// Their products with k directions.

static int word(const Term* t, int n) { return t->token ? t->token[n] : (t->place + n) % t->places; }

// P (N,k) = a left'
static void project_left(float* P, const Term* t, const float* left, int rows, int k) {
    if (t->a) { matmul_forward(P, t->a, left, NULL, t->N, rows, k); return; }
    #pragma omp parallel for
    for (int n = 0; n < t->N; n++) {
        for (int j = 0; j < k; j++) { P[(size_t)n * k + j] = left[(size_t)j * rows + word(t, n)]; }
    }
}

// Q (N,k) = [x | bias] [right | right_bias]'
static void project_right(float* Q, const Term* t, const float* right, const float* right_bias, int cols, int k) {
    matmul_forward(Q, t->x, right, t->bias ? right_bias : NULL, t->N, cols, k);
}

// out (k,rows) += Q' a
static void expand_left(float* out, const Term* t, const float* Q, int rows, int k) {
    if (t->a) { matmul_backward_params(out, NULL, Q, t->a, t->N, rows, k); return; }
    #pragma omp parallel for
    for (int j = 0; j < k; j++) {
        for (int n = 0; n < t->N; n++) { out[(size_t)j * rows + word(t, n)] += Q[(size_t)n * k + j]; }
    }
}

void site_between(float* M, const Site* s, int first, int end, int T, const float* left, int rl,
                  const float* right, const float* right_bias, int rr, float* scratch, size_t floats) {
    int most = chunk(s, (size_t)(rl + rr), floats);
    float *P = scratch, *Q = P + (size_t)most * rl, *room = Q + (size_t)most * rr;
    memset(M, 0, sizeof(float) * (size_t)rl * rr);
    for (size_t at = (size_t)first * T, stop = (size_t)end * T; at < stop; at += (size_t)most) {
        Term term[2];
        int count = terms(term, s, at, stop - at < (size_t)most ? (int)(stop - at) : most, room);
        for (int i = 0; i < count; i++) {
            project_left(P, &term[i], left, s->rows, rl);
            project_right(Q, &term[i], right, right_bias, s->cols, rr);
            matmul_backward_params(M, NULL, P, Q, term[i].N, rr, rl);
        }
    }
}

void site_left(float* out, float* out_bias, const Site* s, int first, int end, int T, const float* left, int k,
               float* scratch, size_t floats) {
    int most = chunk(s, (size_t)k, floats);
    float *P = scratch, *room = P + (size_t)most * k;
    for (size_t at = (size_t)first * T, stop = (size_t)end * T; at < stop; at += (size_t)most) {
        Term term[2];
        int count = terms(term, s, at, stop - at < (size_t)most ? (int)(stop - at) : most, room);
        for (int i = 0; i < count; i++) {
            project_left(P, &term[i], left, s->rows, k);
            matmul_backward_params(out, term[i].bias ? out_bias : NULL, P, term[i].x, term[i].N, s->cols, k);
        }
    }
}

void site_right(float* out, const Site* s, int first, int end, int T, const float* right, const float* right_bias, int k,
                float* scratch, size_t floats) {
    int most = chunk(s, (size_t)k, floats);
    float *Q = scratch, *room = Q + (size_t)most * k;
    for (size_t at = (size_t)first * T, stop = (size_t)end * T; at < stop; at += (size_t)most) {
        Term term[2];
        int count = terms(term, s, at, stop - at < (size_t)most ? (int)(stop - at) : most, room);
        for (int i = 0; i < count; i++) {
            project_right(Q, &term[i], right, right_bias, s->cols, k);
            expand_left(out, &term[i], Q, s->rows, k);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The gradient as it is.

// Runs of positions of one product each, so that a part of a fused projection needs little room.
void site_add(const Site* site, int first, int end, int T, float* scratch, size_t floats) {
    static const float one = 1.0f;
    int most = chunk(site, 0, floats);
    for (size_t at = (size_t)first * T, stop = (size_t)end * T; at < stop; at += (size_t)most) {
        int N = stop - at < (size_t)most ? (int)(stop - at) : most;
        Site s = moved(site, at);
        if (s.kind == SITE_LINEAR || s.kind == SITE_TOKEN) {
            matmul_backward_params(s.dweight, s.dbias, packed(scratch, &s, N), s.inp, N, s.cols, s.rows);
        }
        if (s.kind == SITE_TOKEN) { s.kind = SITE_LOOKUP; }
        if (s.kind == SITE_LAYERNORM || s.kind == SITE_LOOKUP) {
            site_gradient(s.dweight, s.dbias, &s, &one, 0, 1, N, 0, s.rows, NULL);
        }
    }
    for (int b = first; b < end && site->kind == SITE_POSITION; b++) {
        Site s = moved(site, (size_t)b * T);
        site_gradient(s.dweight, NULL, &s, &one, 0, 1, T, 0, s.rows, NULL);
    }
}

size_t site_norm_scratch(const Site* s, int T) {
    size_t slab = (size_t)site_slab_rows(s, 1);
    return slab * (size_t)(s->cols + 1) + (size_t)T * slab;
}

static double sum_of_squares(const float* x, size_t count) {
    double sum = 0.0;
    #pragma omp simd reduction(+:sum)
    for (size_t k = 0; k < count; k++) { sum += (double)x[k] * x[k]; }
    return sum;
}

// |rows [o, o+count) of G|^2
static double slab_norm2(const Site* site, int first, int end, int T, int o, int count, float* scratch) {
    static const float one = 1.0f;
    size_t weights = (size_t)count * site->cols, all = weights + (site->dbias ? (size_t)count : 0);
    memset(scratch, 0, sizeof(float) * all);
    for (int b = first; b < end; b++) {
        Site s = moved(site, (size_t)b * T);
        site_gradient(scratch, site->dbias ? scratch + weights : NULL, &s, &one, 0, 1, T, o, count, scratch + all);
    }
    return sum_of_squares(scratch, all);
}

double site_norm2(const Site* s, int first, int end, int T, float* scratch, int threads) {
    int slab = site_slab_rows(s, 1), slabs = (s->rows + slab - 1) / slab;
    double sum = 0.0;
    size_t part = site_norm_scratch(s, T);
    #pragma omp parallel for schedule(static, 1) num_threads(threads) ordered
    for (int i = 0; i < slabs; i++) {
        int o = i * slab, count = s->rows - o < slab ? s->rows - o : slab;
        double norm2 = slab_norm2(s, first, end, T, o, count, scratch + part * (size_t)(i % threads));
        #pragma omp ordered
        sum += norm2;
    }
    return sum;
}
