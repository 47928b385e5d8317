// test_basis.c -- gradients between thin matrices, cached bases and their projections: against gradients written out in
// double precision, eigenvectors by Jacobi's method, and frequent directions, the slow oracle of a stream's directions.
#include "../drpt/basis.h"
#include "../drpt/factor.h"
#include "../llmc/files.h"
#include "scratch.h"
#include "test.h"

#include <omp.h>

enum { n = 4, m = 3, B = n + m, T = 5, MOST = 4200, MAX_ROWS = 257, NUM = B*T*MAX_ROWS * 3 };

typedef struct { const char* what; SiteKind kind; int rows, cols, bias, apart; } Case;

static const Case cases[] = {
    { "linear",       SITE_LINEAR,    11,  7,   1, 0 },
    { "no bias",      SITE_LINEAR,    13,  18,  0, 0 },
    { "a part",       SITE_LINEAR,    15,  12,  1, 30 }, // of a fused projection: rows + apart from one position to the next
    { "wide",         SITE_LINEAR,    30,  41,  1, 0 },
    { "layernorm",    SITE_LAYERNORM, 19,  1,   1, 0 },
    { "no shift",     SITE_LAYERNORM, 21,  1,   0, 0 },
    { "position",     SITE_POSITION,  T,   8,   0, 0 },
    { "token",        SITE_TOKEN,     12,  10,  0, 0 },
    { "many tokens",  SITE_TOKEN,     257, 14,  0, 0 },
    { "lookup alone", SITE_LOOKUP,    17,  9,   0, 0 },
};
enum { NUM_CASES = sizeof(cases) / sizeof(cases[0]), NO_BIAS = 1, WIDE = 3 };

static float dout[NUM], inp[NUM], mean[B*T], rstd[B*T], dlookup[NUM];
static int tokens[B*T];
static float dweight[MOST], dbias[MAX_ROWS];
static uint64_t rng = 7;
static double gradient[B][MOST]; // of the single rows, (rows, cols + bias)

static int width_of(const Site* s) { return s->cols + (s->dbias != NULL); }
static size_t size_of(const Site* s) { return (size_t)s->rows * (size_t)width_of(s); }

static Site draw(const Case* c) {
    test_fill(dout, NUM, &rng);
    test_fill(inp, NUM, &rng);
    test_fill(dlookup, NUM, &rng);
    test_fill(mean, B*T, &rng);
    test_fill(rstd, B*T, &rng);
    for (int i = 0; i < B*T; i++) { // words repeat
        tokens[i] = i % 3 == 0 ? c->rows - 1 : (int)((test_uniform(&rng) + 1.0f) / 2.0f * (float)c->rows) % c->rows;
    }
    Site s = { .kind = c->kind, .name = c->what, .dweight = dweight, .dbias = c->bias ? dbias : NULL, .dout = dout, .inp = inp,
               .rows = c->rows, .cols = c->cols, .stride = c->rows + c->apart, .index = 3 };
    if (c->kind == SITE_LAYERNORM) { s.mean = mean; s.rstd = rstd; }
    if (c->kind == SITE_POSITION) { s.inp = NULL; }
    if (c->kind == SITE_LOOKUP) { s.inp = s.dout = NULL; }
    if (c->kind == SITE_TOKEN || c->kind == SITE_LOOKUP) { s.dlookup = dlookup; s.tokens = tokens; }
    return s;
}

static double element(const Site* s, size_t at, int r, int c) { // of one position's part of the gradient
    size_t o = at * (size_t)s->stride + (size_t)r, i = at * (size_t)s->cols + (size_t)c;
    double word = s->tokens && tokens[at] == r ? dlookup[i] : 0.0;
    switch (s->kind) {
        case SITE_LINEAR:    return (double)dout[o] * (c == s->cols ? 1.0 : inp[i]);
        case SITE_LAYERNORM: return (double)dout[o] * (c == s->cols ? 1.0 : ((double)inp[o] - mean[at]) * rstd[at]);
        case SITE_POSITION:  return at % T == (size_t)r ? dout[i] : 0.0;
        case SITE_TOKEN:     return (double)dout[o] * inp[i] + word;
        default:             return word;
    }
}

static void single_rows(const Site* s) {
    int width = width_of(s);
    for (int b = 0; b < B; b++) {
        for (int k = 0; k < s->rows * width; k++) {
            gradient[b][k] = 0.0;
            for (int t = 0; t < T; t++) { gradient[b][k] += element(s, (size_t)(b*T + t), k / width, k % width); }
        }
    }
}

static void sum_rows(double* sum, const Site* s, int first, int end) {
    memset(sum, 0, sizeof(double) * size_of(s));
    for (int b = first; b < end; b++) { for (size_t k = 0; k < size_of(s); k++) { sum[k] += gradient[b][k]; } }
}

// Everything that can be read of a row becomes x.
static void set_row(const Site* s, int b, float x) {
    for (int at = b*T; at < (b + 1)*T; at++) {
        int outputs = s->kind == SITE_POSITION ? s->cols : s->stride;
        int inputs = s->kind == SITE_LAYERNORM ? s->rows : s->cols;
        for (int k = 0; k < outputs; k++) { dout[at*outputs + k] = x; }
        for (int k = 0; k < inputs; k++) { inp[at*inputs + k] = x; }
        for (int k = 0; k < s->cols; k++) { dlookup[at*s->cols + k] = x; }
        mean[at] = rstd[at] = x;
    }
}

// Memory exactly as large as promised, with a value behind it (and the sanitizer behind that).
static float* take(size_t count) {
    float* x = malloc(sizeof(float) * (count + 1));
    if (x == NULL) { abort(); }
    for (size_t i = 0; i < count; i++) { x[i] = NAN; }
    x[count] = 42.0f;
    return x;
}

static void give_back(float* x, size_t count) {
    expect(x[count] == 42.0f);
    free(x);
}

static double dot(const double* x, const double* y, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) { sum += x[i] * y[i]; }
    return sum;
}

static int near(double x, double y, double tolerance) { return fabs(x - y) <= tolerance; } // a NaN is near nothing

// ---------------------------------------------------------------------------------------------
// factor

enum { RL = 4, RR = 3 };

static void expect_between(const Site* s, int first, int end, int positions) {
    static float left[RL*MAX_ROWS], right[RR*64], right_bias[RR], M[RL*RR], want[RL*RR];
    static double G[MOST];
    int width = width_of(s);
    size_t floats = positions ? (size_t)(2 * s->rows + positions * (s->rows + RL + RR)) : site_between_scratch(s, RL, RR);
    test_fill(left, RL*MAX_ROWS, &rng);
    test_fill(right, RR*64, &rng);
    test_fill(right_bias, RR, &rng);
    test_fill(M, RL*RR, &rng);
    sum_rows(G, s, first, end);
    for (int i = 0; i < RL*RR; i++) {
        double sum = 0.0;
        for (int r = 0; r < s->rows; r++) {
            for (int c = 0; c < width; c++) {
                double v = c < s->cols ? right[i % RR * s->cols + c] : right_bias[i % RR];
                sum += (double)left[i / RR * s->rows + r] * G[r*width + c] * v;
            }
        }
        want[i] = (float)sum;
    }
    float* room = take(floats);
    site_between(M, s, first, end, T, left, RL, right, s->dbias ? right_bias : NULL, RR, room, floats);
    expect_close(M, want, RL*RR, 2e-5f);
    give_back(room, floats);
}

// Rows outside of [first, end) hold NaN; memory is what is asked for, or little.
static void test_between(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (int positions = 0; positions <= 6; positions += 3) {
            Site s = draw(&cases[k]);
            single_rows(&s);
            expect_between(&s, 0, B, positions);
            expect_between(&s, 3, 3, positions);
            set_row(&s, 1, NAN);
            set_row(&s, 5, NAN);
            expect_between(&s, 2, 5, positions);
        }
    }
}

static void test_left_and_right(void) {
    static float left[RL*MAX_ROWS], out[RL*MAX_ROWS], want[RL*MAX_ROWS], out_bias[RL], want_bias[RL];
    static double G[MOST];
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        single_rows(&s);
        sum_rows(G, &s, 2, 6);
        int width = width_of(&s);
        size_t floats = site_between_scratch(&s, RL, 0);
        float* room = take(floats);
        test_fill(left, RL*MAX_ROWS, &rng);
        test_fill(out, RL*MAX_ROWS, &rng);
        test_fill(out_bias, RL, &rng);
        for (int j = 0; j < RL; j++) {
            for (int c = 0; c < width; c++) {
                double sum = c < s.cols ? out[j*s.cols + c] : out_bias[j];
                for (int r = 0; r < s.rows; r++) { sum += left[j*s.rows + r] * G[r*width + c]; }
                *(c < s.cols ? &want[j*s.cols + c] : &want_bias[j]) = (float)sum;
            }
        }
        site_left(out, s.dbias ? out_bias : NULL, &s, 2, 6, T, left, RL, room, floats);
        expect_close(out, want, (size_t)(RL * s.cols), 2e-5f);
        if (s.dbias) { expect_close(out_bias, want_bias, RL, 2e-5f); }
        for (int j = 0; j < RL; j++) { // left is used as right, out_bias as its last column
            for (int r = 0; r < s.rows; r++) {
                double sum = want[j*s.rows + r] = out[j*s.rows + r];
                for (int c = 0; c < width; c++) { sum += G[r*width + c] * (c < s.cols ? left[j*s.cols + c] : out_bias[j]); }
                want[j*s.rows + r] = (float)sum;
            }
        }
        site_right(out, &s, 2, 6, T, left, s.dbias ? out_bias : NULL, RL, room, floats);
        expect_close(out, want, (size_t)(RL * s.rows), 2e-5f);
        give_back(room, floats);
    }
}

static void test_whole_gradients(void) {
    static double G[MOST];
    static float want[MOST], want_bias[MAX_ROWS];
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        single_rows(&s);
        sum_rows(G, &s, 1, 6);
        int width = width_of(&s);
        test_fill(dweight, MOST, &rng);
        test_fill(dbias, MAX_ROWS, &rng);
        for (int i = 0; i < s.rows * width; i++) {
            int r = i / width, c = i % width;
            if (c < s.cols) { want[r*s.cols + c] = (float)(dweight[r*s.cols + c] + G[i]); }
            else { want_bias[r] = (float)(dbias[r] + G[i]); }
        }
        size_t floats = site_between_scratch(&s, 0, 0), part = site_norm_scratch(&s, T) * 3;
        float *room = take(floats), *slabs = take(part);
        expect(near(site_norm2(&s, 1, 6, T, slabs, 3) / dot(G, G, size_of(&s)), 1.0, 1e-5));
        set_row(&s, 0, NAN);
        set_row(&s, 6, NAN);
        site_add(&s, 1, 6, T, room, floats);
        expect_close(dweight, want, (size_t)(s.rows * s.cols), 2e-5f);
        if (s.dbias) { expect_close(dbias, want_bias, (size_t)s.rows, 2e-5f); }
        expect(!isfinite(site_norm2(&s, 1, 7, T, slabs, 2)));
        give_back(room, floats);
        give_back(slabs, part);
    }
}

// ---------------------------------------------------------------------------------------------
// What a basis holds, as its file says: U (rank,rows) and V (rank,cols + bias) of its only site.

typedef struct {
    int rank[2], dim[2];
    double value[2][64], total, vector[2][64 * MAX_ROWS];
} Held;

static const Held* held(const Basis* b, const Site* s) {
    static Held h;
    size_t bytes;
    const char* path = scratch("held");
    int32_t header[HEADER_INTS], record[8];
    basis_write(b, path);
    FILE* f = input_open(path, &bytes);
    input_read(f, path, header, sizeof(header));
    expect(header[0] == 20260508 && header[4] == 1);
    input_read(f, path, record, sizeof(record));
    input_read(f, path, &h.total, sizeof(h.total));
    expect(record[0] == s->index && record[2] == s->rows);
    for (int side = 0; side < 2; side++) {
        float row[MAX_ROWS], last[64];
        int cols = side ? s->cols : s->rows, bias = side && s->dbias, stored = header[3] == 2 || header[3] == side;
        h.dim[side] = cols + bias;
        h.rank[side] = record[6 + side];
        if (!stored || h.dim[side] <= header[2]) { continue; }
        input_read(f, path, h.value[side], sizeof(double) * (size_t)h.rank[side]);
        for (int q = 0; q < h.rank[side]; q++) {
            input_read(f, path, row, sizeof(float) * (size_t)cols);
            for (int c = 0; c < cols; c++) { h.vector[side][q * h.dim[side] + c] = row[c]; }
        }
        if (bias) { input_read(f, path, last, sizeof(float) * (size_t)h.rank[side]); }
        for (int q = 0; bias && q < h.rank[side]; q++) { h.vector[side][q * h.dim[side] + cols] = last[q]; }
    }
    expect(fgetc(f) == EOF);
    fclose(f);
    return &h;
}

// x (rows,width) -> the projection on a side's directions
static void project_side(double* x, const Held* h, int side, int rows, int width) {
    const double* u = h->vector[side];
    int lines = side ? rows : width, dim = h->dim[side], step = side ? 1 : width, line = side ? width : 1;
    for (int l = 0; l < lines; l++) {
        double along[64], *at = x + l * line;
        for (int q = 0; q < h->rank[side]; q++) {
            along[q] = 0.0;
            for (int i = 0; i < dim; i++) { along[q] += u[q*dim + i] * at[i * step]; }
        }
        for (int i = 0; i < dim; i++) {
            at[i * step] = 0.0;
            for (int q = 0; q < h->rank[side]; q++) { at[i * step] += u[q*dim + i] * along[q]; }
        }
    }
}

// P (dim,dim) = UU' of a side.
static void projector(double* P, const Held* h, int side) {
    int dim = h->dim[side];
    for (int i = 0; i < dim * dim; i++) {
        P[i] = 0.0;
        for (int q = 0; q < h->rank[side]; q++) { P[i] += h->vector[side][q*dim + i / dim] * h->vector[side][q*dim + i % dim]; }
    }
}

static double distance(const double* x, const double* y, int count) { // largest difference
    double most = 0.0;
    for (int i = 0; i < count; i++) { double d = fabs(x[i] - y[i]); most = d > most || isnan(d) ? d : most; }
    return most;
}

// C (dim,dim) += weight * sum of g g' (left) or g' g (right) of rows [first, end).
static void add_moment(double* C, const Site* s, int side, int first, int end, double weight) {
    int width = width_of(s), dim = side ? width : s->rows, other = side ? s->rows : width;
    int step = side ? 1 : width, line = side ? width : 1;
    for (int b = first; b < end; b++) {
        for (int i = 0; i < dim * dim; i++) {
            for (int l = 0; l < other; l++) {
                C[i] += weight * gradient[b][i / dim * step + l * line] * gradient[b][i % dim * step + l * line];
            }
        }
    }
}

// Jacobi: A (k,k) becomes diagonal, the columns of E its eigenvectors, largest first.
static void jacobi(double* A, double* E, int k) {
    for (int i = 0; i < k*k; i++) { E[i] = i % (k + 1) == 0; }
    for (int sweep = 0; sweep < 60; sweep++) {
        for (int p = 0; p < k; p++) {
            for (int q = p + 1; q < k; q++) {
                if (A[p*k + q] == 0.0) { continue; }
                double angle = 0.5 * atan2(2.0 * A[p*k + q], A[p*k + p] - A[q*k + q]), c = cos(angle), sn = sin(angle);
                for (int i = 0; i < k; i++) { double x = A[i*k + p], y = A[i*k + q]; A[i*k + p] = c*x + sn*y; A[i*k + q] = c*y - sn*x; }
                for (int i = 0; i < k; i++) { double x = A[p*k + i], y = A[q*k + i]; A[p*k + i] = c*x + sn*y; A[q*k + i] = c*y - sn*x; }
                for (int i = 0; i < k; i++) { double x = E[i*k + p], y = E[i*k + q]; E[i*k + p] = c*x + sn*y; E[i*k + q] = c*y - sn*x; }
                A[p*k + q] = A[q*k + p] = 0.0;
            }
        }
    }
    for (int p = 0; p < k; p++) {
        for (int q = p + 1; q < k; q++) {
            if (A[q*k + q] <= A[p*k + p]) { continue; }
            double x = A[p*k + p]; A[p*k + p] = A[q*k + q]; A[q*k + q] = x;
            for (int i = 0; i < k; i++) { x = E[i*k + p]; E[i*k + p] = E[i*k + q]; E[i*k + q] = x; }
        }
    }
}

// trace(U C U') of a side
static double captured(const double* C, const Held* h, int side) {
    int dim = h->dim[side];
    double sum = 0.0;
    for (int q = 0; q < h->rank[side]; q++) {
        const double* u = h->vector[side] + q*dim;
        for (int i = 0; i < dim; i++) { sum += u[i] * dot(C + i*dim, u, (size_t)dim); }
    }
    return sum;
}

static BasisReport refresh(Basis* b, const Site* s, int count, int length, const unsigned char* usable) {
    BasisReport report;
    basis_refresh(b, s, count, length, usable, &report);
    return report;
}

static Basis* refreshed(const Site* s, int rank, Sides sides, int times) {
    Basis* b = basis_create(rank, sides, 0.0, 11, 2);
    for (int i = 0; i < times; i++) { refresh(b, s, n, T, NULL); }
    return b;
}

// ---------------------------------------------------------------------------------------------
// Projections.

// What a call adds to dweight and dbias, as one matrix (rows, cols + bias), by a difference; returns what the call says.
static double added(double* x, Basis* b, const Site* s, void (*call)(Basis*, const Site*, int, int, int, double*)) {
    static float weight[MOST], bias[MAX_ROWS];
    int width = width_of(s);
    test_fill(dweight, MOST, &rng);
    test_fill(dbias, MAX_ROWS, &rng);
    memcpy(weight, dweight, sizeof(weight));
    memcpy(bias, dbias, sizeof(bias));
    double said;
    call(b, s, n, B, T, &said);
    for (int i = 0; i < s->rows * width; i++) {
        int r = i / width, c = i % width;
        x[i] = c < s->cols ? (double)dweight[r*s->cols + c] - weight[r*s->cols + c] : (double)dbias[r] - bias[r];
    }
    for (int i = s->rows * s->cols; i < MOST; i++) { expect(dweight[i] == weight[i]); } // nothing beyond
    for (int r = s->dbias ? s->rows : 0; r < MAX_ROWS; r++) { expect(dbias[r] == bias[r]); }
    return said;
}

static double u[MOST], v[MOST], t[MOST], w[MOST];

static void test_projections(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (Sides sides = 0; sides < NUM_SIDES; sides++) {
            for (int rank = 1; rank <= 5; rank += 2) {
                Site s = draw(&cases[k]);
                single_rows(&s);
                sum_rows(t, &s, n, B);
                Basis* b = refreshed(&s, rank, sides, 1);
                const Held* h = held(b, &s);
                memcpy(w, t, sizeof(w));
                for (int side = 0; side < 2; side++) {
                    if ((sides != SIDES_both && (int)sides != side) || h->dim[side] <= rank) { continue; }
                    for (int q = 0; q < h->rank[side]; q++) { // U U' = I
                        for (int p = 0; p <= q; p++) {
                            double got = dot(h->vector[side] + q*h->dim[side], h->vector[side] + p*h->dim[side], (size_t)h->dim[side]);
                            expect(near(got, p == q, 1e-5));
                        }
                    }
                    project_side(w, h, side, s.rows, width_of(&s));
                }
                double t2 = dot(t, t, size_of(&s)), said = added(u, b, &s, basis_inside);
                double out = added(v, b, &s, basis_outside), u2 = dot(u, u, size_of(&s));
                expect(u2 > 0.0 && distance(u, w, (int)size_of(&s)) <= 1e-5 * sqrt(t2)); // u = U'U t V'V
                expect(near(dot(u, t, size_of(&s)), u2, 1e-5 * t2) && u2 <= t2 * (1.0 + 1e-6));
                expect(near(said, u2, 1e-5 * t2) && near(out, u2, 1e-5 * t2));
                for (size_t i = 0; i < size_of(&s); i++) { u[i] += v[i]; }
                expect(distance(u, t, (int)size_of(&s)) <= 1e-5 * sqrt(t2)); // inside + outside = t
                basis_free(b);
            }
        }
    }
}

// A projection on all directions changes nothing, whichever side it is on.
static void test_full_rank(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (Sides sides = 0; sides < NUM_SIDES; sides++) {
            Site s = draw(&cases[k]);
            single_rows(&s);
            sum_rows(t, &s, n, B);
            int width = width_of(&s), rank = sides == SIDES_left ? s.rows : sides == SIDES_right ? width : s.rows > width ? s.rows : width;
            Basis* b = refreshed(&s, rank, sides, 2);
            double t2 = dot(t, t, size_of(&s)), said = added(u, b, &s, basis_inside);
            expect(distance(u, t, (int)size_of(&s)) <= 1e-6 * sqrt(t2) && near(said, t2, 1e-5 * t2));
            added(u, b, &s, basis_outside);
            expect(dot(u, u, size_of(&s)) == 0.0);
            basis_free(b);
        }
    }
}

// The site of the no-bias case whose target gradient is the matrix x: a position for each row, its dout a unit vector. The
// general rows stay.
static Site with_target(const Site* s, const double* x) {
    for (int i = 0; i < m*T; i++) {
        for (int r = 0; r < s->rows; r++) { dout[(n*T + i)*s->rows + r] = r == i; }
        for (int c = 0; c < s->cols; c++) { inp[(n*T + i)*s->cols + c] = i < s->rows ? (float)x[i*s->cols + c] : 0.0f; }
    }
    return *s;
}

static void apply(double* x, Basis* b, const Site* s) { // x = P(x)
    Site of_x = with_target(s, x);
    added(x, b, &of_x, basis_inside);
}

static void test_projector(void) {
    for (Sides sides = 0; sides < NUM_SIDES; sides++) {
        Site s = draw(&cases[NO_BIAS]);
        Basis* b = refreshed(&s, 4, sides, 2);
        size_t size = size_of(&s);
        for (size_t i = 0; i < size; i++) { t[i] = test_uniform(&rng); v[i] = test_uniform(&rng); }
        memcpy(u, t, sizeof(u));
        apply(u, b, &s);
        memcpy(w, u, sizeof(w));
        apply(w, b, &s);
        expect(dot(u, u, size) > 0.1 && distance(u, w, (int)size) < 2e-6);       // P P x = P x
        memcpy(w, v, sizeof(w));
        apply(w, b, &s);
        expect(near(dot(u, v, size), dot(t, w, size), 2e-6 * dot(t, t, size)));  // <P x, y> = <x, P y>
        basis_free(b);
    }
}

// Each side has its own stream: the basis of both is those of the two sides.
static void test_sides_compose(void) {
    Site s = draw(&cases[NO_BIAS]);
    Basis* b[NUM_SIDES];
    size_t size = size_of(&s);
    for (Sides sides = 0; sides < NUM_SIDES; sides++) { b[sides] = refreshed(&s, 4, sides, 2); }
    for (size_t i = 0; i < size; i++) { t[i] = u[i] = v[i] = test_uniform(&rng); }
    apply(u, b[SIDES_left], &s);
    expect(distance(u, v, (int)size) > 0.1);
    apply(u, b[SIDES_right], &s);
    apply(v, b[SIDES_right], &s);
    expect(distance(u, v, (int)size) > 0.01);
    apply(v, b[SIDES_left], &s);
    apply(t, b[SIDES_both], &s);
    expect(dot(t, t, size) > 0.1 && distance(u, t, (int)size) < 2e-6 && distance(v, t, (int)size) < 2e-6);
    for (Sides sides = 0; sides < NUM_SIDES; sides++) { basis_free(b[sides]); }
}

static void test_nested_ranks(void) {
    for (Sides sides = 0; sides < NUM_SIDES; sides++) {
        Site s = draw(&cases[WIDE]);
        double before = 0.0;
        for (int rank = 1; rank <= 16; rank += 3) { // of 20 positions
            Basis* b = refreshed(&s, rank, sides, 30); // converged: the larger basis contains the smaller
            double now = added(u, b, &s, basis_inside);
            expect(now > before);
            before = now;
            basis_free(b);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Bases.

static void test_zero_general_gradient(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (int rank = 2; rank <= 300; rank += 298) { // some directions, and all
            Site s = draw(&cases[k]);
            single_rows(&s);
            sum_rows(t, &s, n, B);
            for (int i = 0; i < n; i++) { set_row(&s, i, 0.0f); }
            Basis* b = basis_create(rank, SIDES_both, 0.5, 11, 2);
            BasisReport r = refresh(b, &s, n, T, NULL);
            expect(r.rank_left == 0 && r.rank_right == 0 && r.dropped == 0);
            expect(isnan(r.energy) && isnan(r.overlap_left) && isnan(r.overlap_right));
            expect(added(u, b, &s, basis_inside) == 0.0 && dot(u, u, size_of(&s)) == 0.0);
            expect(added(u, b, &s, basis_outside) == 0.0 && distance(u, t, (int)size_of(&s)) < 1e-5);
            set_row(&s, B - 1, NAN);
            expect(isnan(added(u, b, &s, basis_outside)) && dot(u, u, size_of(&s)) == 0.0);
            s = draw(&cases[k]);
            r = refresh(b, &s, n, T, NULL);
            expect(r.rank_left > 0 && r.rank_right > 0 && r.energy > 0.0 && isnan(r.overlap_left));
            basis_free(b);
        }
    }
}

// Rows that are not usable are not read; rows that are not finite are left out and counted.
static void test_rows_left_out(void) {
    static const unsigned char usable[n] = { 1, 0, 1, 1 };
    for (int k = 0; k < NUM_CASES; k++) {
        Site s = draw(&cases[k]);
        Basis *with = basis_create(3, SIDES_both, 0.5, 11, 2), *without = basis_create(3, SIDES_both, 0.5, 11, 2);
        set_row(&s, 1, NAN);
        BasisReport r = refresh(with, &s, n, T, usable);
        expect(r.dropped == 0 && r.rank_left > 0 && isfinite(r.energy));
        r = refresh(without, &s, n, T, NULL);
        expect(r.dropped == 1 && isfinite(r.energy));
        expect(added(u, with, &s, basis_inside) > 0.0);
        added(v, without, &s, basis_inside);
        expect(distance(u, v, (int)size_of(&s)) < 1e-5);
        basis_free(with);
        basis_free(without);
    }
}

static void test_target_not_finite(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (int rank = 2; rank <= 300; rank += 298) {
            Site s = draw(&cases[k]);
            Basis* b = refreshed(&s, rank, SIDES_both, 1);
            set_row(&s, n, k % 2 ? INFINITY : NAN);
            expect(!isfinite(added(u, b, &s, basis_inside)) && dot(u, u, size_of(&s)) == 0.0);
            expect(!isfinite(added(u, b, &s, basis_outside)) && dot(u, u, size_of(&s)) == 0.0);
            basis_free(b);
        }
    }
}

// The energy of the exact top eigenvectors, to 1 %, for any kind of site and either side; and what is said of it.
static void test_captured_energy(void) {
    static double C[MAX_ROWS*MAX_ROWS], A[MAX_ROWS*MAX_ROWS], E[MAX_ROWS*MAX_ROWS];
    enum { RANK = 5 };
    for (int k = 0; k < NUM_CASES; k++) {
        for (int side = 0; side < 2; side++) {
            Site s = draw(&cases[k]);
            single_rows(&s);
            int dim = side ? width_of(&s) : s.rows;
            if (dim <= RANK || dim > 50) { continue; }
            Basis* b = refreshed(&s, RANK, side ? SIDES_right : SIDES_left, 5);
            BasisReport r = refresh(b, &s, n, T, NULL);
            memset(C, 0, sizeof(C));
            add_moment(C, &s, side, 0, n, 1.0);
            memcpy(A, C, sizeof(A));
            jacobi(A, E, dim);
            double exact = 0.0, trace = 0.0, values = 0.0;
            const Held* h = held(b, &s);
            for (int i = 0; i < dim; i++) { trace += C[i * (dim + 1)]; exact += i < RANK ? A[i * (dim + 1)] : 0.0; }
            for (int q = 0; q < h->rank[side]; q++) { values += h->value[side][q]; }
            expect(captured(C, h, side) >= 0.99 * exact && captured(C, h, side) <= exact * (1.0 + 1e-5));
            expect(near(values / captured(C, h, side), 1.0, 1e-4) && near(h->total / trace, 1.0, 1e-5));
            expect(near(r.energy, captured(C, h, side) / trace, 1e-4));
            expect((side ? r.overlap_right : r.overlap_left) > 0.98 && (side ? r.overlap_left : r.overlap_right) == 1.0);
            for (int q = 1; q < h->rank[side]; q++) { expect(h->value[side][q] <= h->value[side][q - 1]); }
            basis_free(b);
        }
    }
}

// Frequent directions (M. Ghashami, E. Liberty, J. Phillips, D. Woodruff 2016): of the rows of a stream, at most 2 ELL at a time;
// then all squared singular values are lowered by that of number ELL.
enum { ELL = 12, DIM = 30 };
typedef struct { double row[2*ELL][DIM]; int rows; } Frequent;

static void shrink(Frequent* f) {
    double A[DIM*DIM] = {0}, E[DIM*DIM];
    for (int r = 0; r < f->rows; r++) { for (int i = 0; i < DIM*DIM; i++) { A[i] += f->row[r][i / DIM] * f->row[r][i % DIM]; } }
    jacobi(A, E, DIM);
    double least = A[(ELL - 1) * (DIM + 1)];
    f->rows = ELL - 1;
    for (int r = 0; r < f->rows; r++) {
        double length = sqrt(fmax(0.0, A[r * (DIM + 1)] - least));
        for (int c = 0; c < DIM; c++) { f->row[r][c] = length * E[c*DIM + r]; }
    }
}

static void insert(Frequent* f, const double* row) {
    if (f->rows == 2*ELL) { shrink(f); }
    memcpy(f->row[f->rows++], row, sizeof(double) * DIM);
}

static void test_frequent_directions(void) {
    enum { RANK = 5 };
    static Frequent f;
    static double C[DIM*DIM], D[DIM*DIM], E[DIM*DIM], row[DIM];
    Site s = draw(&cases[WIDE]);
    single_rows(&s);
    int width = width_of(&s);
    for (int i = 0; i < n * width; i++) { // the columns of the gradients: A'A = C_L
        for (int r = 0; r < DIM; r++) { row[r] = gradient[i / width][r*width + i % width]; }
        insert(&f, row);
    }
    shrink(&f);
    add_moment(C, &s, 0, 0, n, 1.0);
    memcpy(D, C, sizeof(D));
    for (int r = 0; r < f.rows; r++) { for (int i = 0; i < DIM*DIM; i++) { D[i] -= f.row[r][i / DIM] * f.row[r][i % DIM]; } }
    jacobi(D, E, DIM);
    double largest = D[0], smallest = D[DIM*DIM - 1], scale = 0.0, tail = 0.0;
    memcpy(D, C, sizeof(D));
    jacobi(D, E, DIM);
    for (int i = 0; i < DIM; i++) { scale += D[i * (DIM + 1)]; }
    expect(smallest >= -1e-9 * scale && largest > 0.0);
    for (int k = 0; k < ELL; k++) { // 0 <= A'A - B'B <= |A - A_k|_F^2 / (ell - k)
        tail = 0.0;
        for (int i = k; i < DIM; i++) { tail += D[i * (DIM + 1)]; }
        expect(largest <= tail / (ELL - k) * (1.0 + 1e-9));
    }
    double frequent = 0.0;
    for (int q = 0; q < RANK; q++) { // the rows are orthogonal, the largest first
        double length = dot(f.row[q], f.row[q], DIM);
        for (int i = 0; i < DIM; i++) { frequent += f.row[q][i] * dot(C + i*DIM, f.row[q], DIM) / length; }
    }
    Basis* b = refreshed(&s, RANK, SIDES_left, 6);
    expect(captured(C, held(b, &s), 0) >= 0.99 * frequent);
    basis_free(b);
}

// C stays the same if all gradients change their sign, change places, or two are turned into one another.
static void test_invariance(void) {
    static double P[4][41*41];
    static float kept_dout[NUM];
    Site s = draw(&cases[WIDE]);
    size_t half = (size_t)(2*T*s.rows);
    for (int b = 0; b < n; b += 2) { // row b has its gradient in its first half of a row twice as long, row b + 1 in the second
        memset(dout + (size_t)b*2*T*s.rows + half / 2, 0, sizeof(float) * half / 2);
        memset(dout + (size_t)(b + 1)*2*T*s.rows, 0, sizeof(float) * half / 2);
        memcpy(inp + (size_t)(b + 1)*2*T*s.cols, inp + (size_t)b*2*T*s.cols, sizeof(float) * (size_t)(2*T*s.cols));
    }
    memcpy(kept_dout, dout, sizeof(dout));
    for (int change = 0; change < 3; change++) {
        for (int b = 0; b < n; b++) {
            for (size_t i = 0; i < half; i++) {
                float here = kept_dout[(size_t)b*half + i], there = kept_dout[(size_t)(b ^ 1)*half + i];
                float turned = (b % 2 ? there - here : here + there) / sqrtf(2.0f);
                dout[(size_t)b*half + i] = change == 0 ? here : change == 1 ? -here : turned;
            }
        }
        Basis* b = basis_create(6, SIDES_left, 0.0, 11, 2);
        for (int i = 0; i < 30; i++) { refresh(b, &s, n, 2*T, NULL); }
        projector(P[change], held(b, &s), 0);
        basis_free(b);
    }
    expect(distance(P[0], P[1], s.rows * s.rows) < 1e-4 && distance(P[0], P[2], s.rows * s.rows) < 1e-4);
    expect(P[0][0] > 1e-3);
}

// Gradients with `count` positions that are not zero: of rank `count` together.
static void low_rank(const Site* s, int count, int from) {
    for (int at = 0; at < n*T; at++) {
        for (int r = 0; r < s->rows; r++) { dout[at*s->rows + r] = at % 7 == 0 && at / 7 < count ? test_uniform(&rng) + (r == from + at / 7) : 0.0f; }
    }
}

// The past counts for forget times what it did: against C written out, where the basis has room for all of it.
static void test_forgetting(void) {
    static const double forget[] = { 0.0, 0.3, 1.0 };
    static double C[30*30], E[30*30], P[30*30], want[30*30];
    enum { RANK = 5, DIMS = 30 };
    for (int k = 0; k < 3; k++) {
        Site s = draw(&cases[WIDE]);
        Basis* b = basis_create(RANK, SIDES_left, forget[k], 11, 2);
        memset(C, 0, sizeof(C));
        for (int batch = 0; batch < 3; batch++) { // of rank 2, 2 and 1
            low_rank(&s, batch < 2 ? 2 : 1, 5 * batch);
            single_rows(&s);
            for (int i = 0; i < DIMS*DIMS; i++) { C[i] *= forget[k]; }
            add_moment(C, &s, 0, 0, n, 1.0);
            refresh(b, &s, n, T, NULL);
        }
        const Held* h = held(b, &s);
        int rank = forget[k] > 0.0 ? 5 : 1;
        jacobi(C, E, DIMS);
        expect(h->rank[0] == rank);
        for (int q = 0; q < rank; q++) { expect(near(h->value[0][q], C[q * (DIMS + 1)], 1e-4 * C[0])); }
        projector(P, h, 0);
        for (int i = 0; i < DIMS*DIMS; i++) {
            want[i] = 0.0;
            for (int q = 0; q < rank; q++) { want[i] += E[i / DIMS * DIMS + q] * E[i % DIMS * DIMS + q]; }
        }
        expect(distance(P, want, DIMS*DIMS) < 1e-3);
        basis_free(b);
    }
}

// Without new gradients the past alone decides, ever less of it, and nothing is left where nothing is kept.
static void test_past_alone(void) {
    Site s = draw(&cases[WIDE]);
    for (int k = 0; k < 2; k++) {
        static const unsigned char none[n] = {0};
        Basis* b = basis_create(5, SIDES_both, k ? 0.5 : 0.0, 11, 2);
        refresh(b, &s, n, T, NULL);
        double first = held(b, &s)->value[0][0];
        BasisReport r = refresh(b, &s, n, T, none);
        expect(isnan(r.energy) && r.rank_left == (k ? 5 : 0) && r.rank_right == (k ? 5 : 0));
        expect(k == 0 || (near(r.overlap_left, 1.0, 1e-5) && near(r.overlap_right, 1.0, 1e-5)));
        if (k) { expect(near(held(b, &s)->value[0][0] / first, 0.5, 1e-5)); }
        basis_free(b);
    }
}

// The gradients of the general rows use 4 rows and 5 columns of the weight alone, others each batch, and 3 directions of each.
static void three_directions(const Site* s, int batch) {
    for (int at = 0; at < n*T; at++) {
        for (int r = 0; r < s->rows; r++) { dout[at*s->rows + r] = at < 3 && r / 4 == batch ? test_uniform(&rng) : 0.0f; }
        for (int c = 0; c < s->cols; c++) { inp[at*s->cols + c] = c / 5 == batch ? test_uniform(&rng) : 0.0f; }
    }
}

// Directions that no gradient has are not kept, however many there is room for; new ones are found although a basis that has no
// room left knows nothing of them; and the energy is that of the rows, not of the past.
static void test_effective_rank(void) {
    static const struct { int rank; double forget; int then; double overlap; } of[] = { { 3, 0.0, 3, 0.0 }, { 6, 0.0, 3, 0.0 }, { 6, 0.5, 6, 0.5 } };
    for (int k = 0; k < 3; k++) {
        Site s = draw(&cases[NO_BIAS]);
        Basis* b = basis_create(of[k].rank, SIDES_both, of[k].forget, 11, 2);
        for (int batch = 0; batch < 2; batch++) {
            three_directions(&s, batch);
            BasisReport r = refresh(b, &s, n, T, NULL);
            expect(r.rank_left == (batch ? of[k].then : 3) && r.rank_right == r.rank_left && near(r.energy, 1.0, 1e-5));
            expect(batch ? near(r.overlap_left, of[k].overlap, 1e-5) : isnan(r.overlap_left));
            expect(batch ? near(r.overlap_right, of[k].overlap, 1e-5) : isnan(r.overlap_right));
        }
        basis_free(b);
    }
}

// Gradients as small or as large as single precision has them give the same directions.
static void test_scale(void) {
    static double P[3][30*30];
    static const float scale[3] = { 1.0f, 0x1p-60f, 0x1p50f };
    for (int k = 0; k < 3; k++) {
        rng = 99;
        Site s = draw(&cases[WIDE]);
        for (int i = 0; i < n*T*s.rows; i++) { dout[i] *= scale[k]; }
        Basis* b = basis_create(5, SIDES_left, 0.5, 11, 2);
        for (int i = 0; i < 20; i++) { refresh(b, &s, n, T, NULL); }
        projector(P[k], held(b, &s), 0);
        basis_free(b);
    }
    expect(distance(P[0], P[1], 900) < 1e-5 && distance(P[0], P[2], 900) < 1e-5);
}

static void test_repeats_itself(void) {
    for (int k = 0; k < NUM_CASES; k++) {
        for (int threads = 1; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            Site s = draw(&cases[k]);
            for (int again = 0; again < 2; again++) {
                Basis* b = basis_create(3, SIDES_both, 0.5, 11, threads);
                for (int i = 0; i < 2; i++) { refresh(b, &s, n, T, NULL); }
                double said;
                memset(dweight, 0, sizeof(dweight));
                basis_inside(b, &s, n, B, T, &said);
                for (int i = 0; i < MOST; i++) { (again ? v : u)[i] = dweight[i]; }
                basis_free(b);
            }
            expect(memcmp(u, v, sizeof(u)) == 0);
        }
    }
    omp_set_num_threads(2);
}

// Another seed, site or side begins elsewhere.
static void test_streams(void) {
    static double first[3][30];
    Site s = draw(&cases[WIDE]);
    for (int k = 0; k < 3; k++) {
        s.index = k == 2 ? 4 : 3;
        Basis* b = basis_create(2, SIDES_left, 0.0, k == 1 ? 12 : 11, 2);
        refresh(b, &s, n, T, NULL);
        memcpy(first[k], held(b, &s)->vector[0], sizeof(first[k]));
        basis_free(b);
    }
    expect(distance(first[0], first[1], 30) > 1e-6 && distance(first[0], first[2], 30) > 1e-6);
}

// ---------------------------------------------------------------------------------------------
// Files.

// Two sites, one of which has a side that is not stored.
static Basis* of_two_sites(Site* a, Site* c) {
    Basis* b = basis_create(6, SIDES_both, 0.25, 0x123456789abcdefu, 2);
    *c = draw(&cases[0]);
    c->index = 9;
    *a = draw(&cases[4]);
    refresh(b, a, n, T, NULL);
    refresh(b, c, n, T, NULL);
    refresh(b, c, n, T, NULL);
    return b;
}

static Basis* like_that(void) { return basis_create(6, SIDES_both, 0.25, 0x123456789abcdefu, 2); }

static void test_resume(void) {
    Site a, c;
    Basis *one = of_two_sites(&a, &c), *two = like_that();
    const char *path = scratch("one"), *again = scratch("two");
    size_t bytes, bytes_again;
    basis_write(one, path);
    basis_read(two, path);
    for (int step = 0; step < 2; step++) { // as it is, and after one more refresh of each
        basis_write(one, path);
        basis_write(two, again);
        FILE *f = input_open(path, &bytes), *g = input_open(again, &bytes_again);
        int same = bytes == bytes_again, x = 0;
        while (same && (x = fgetc(f)) != EOF) { same = x == fgetc(g); }
        expect(same && bytes > 2000);
        fclose(f);
        fclose(g);
        for (int k = 0; k < 2; k++) {
            const Site* s = k ? &c : &a;
            double x1 = added(u, one, s, basis_inside);
            double x2 = added(v, two, s, basis_inside);
            expect(x1 == x2);
            refresh(one, s, n, T, NULL);
            refresh(two, s, n, T, NULL);
        }
    }
    basis_free(one);
    basis_free(two);
}

static char content[1 << 16];
static size_t content_bytes;

static void put(const char* path, size_t bytes) {
    Output o = output_open(path);
    output_write(&o, content, bytes);
    output_close(&o);
}

static void expect_refused(const char* about, size_t at, const void* what, size_t bytes) {
    char kept[16];
    const char* path = scratch("damaged");
    memcpy(kept, content + at, bytes);
    memcpy(content + at, what, bytes);
    put(path, content_bytes);
    expect_dies(about, basis_read(like_that(), path));
    memcpy(content + at, kept, bytes);
}

static void expect_refused_int(const char* about, size_t at, int32_t x) { expect_refused(about, at, &x, sizeof(x)); }

static void test_damaged_files(void) {
    enum { RECORD = 4 * HEADER_INTS, TOTAL = RECORD + 32, VALUE = TOTAL + 8, DIRECTION = VALUE + 6 * 8 };
    Site a, c;
    Basis* b = of_two_sites(&a, &c);
    const char* path = scratch("whole");
    basis_write(b, path);
    basis_free(b);
    FILE* f = input_open(path, &content_bytes);
    input_read(f, path, content, content_bytes);
    fclose(f);
    for (size_t bytes = 0; bytes < content_bytes; bytes += bytes < VALUE ? 61 : 311) {
        put(path, bytes);
        expect_dies("ends early", basis_read(like_that(), path));
    }
    content[content_bytes] = 0;
    put(path, content_bytes + 1);
    expect_dies("1 bytes too many", basis_read(like_that(), path));
    expect_refused_int("magic", 0, 20240326);
    expect_refused_int("version 2", 4, 2);
    expect_refused_int("--rank 7", 8, 7);
    expect_refused_int("--sides left", 12, SIDES_left);
    expect_refused_int("sides 3", 12, 3);
    expect_refused_int("sites", 16, -1);
    expect_refused_int("ends early", 16, 3);
    expect_refused_int("too many", 16, 1);
    expect_refused("--forget 0.5", 20, &(double){ 0.5 }, 8);
    expect_refused("--seed", 28, &(uint64_t){ 1 }, 8);
    expect_refused_int("site -1", RECORD, -1);
    expect_refused_int("site 4096", RECORD, 4096);
    expect_refused_int("site 9 after site 9", RECORD, 9);
    expect_refused_int("kind 5", RECORD + 4, 5);
    expect_refused_int("0 rows", RECORD + 8, 0);
    expect_refused_int("ends early", RECORD + 8, 1 << 20);
    expect_refused_int("2000000000 rows", RECORD + 8, 2000000000);
    expect_refused_int("-3 columns", RECORD + 12, -3);
    expect_refused_int("bias 2", RECORD + 16, 2);
    expect_refused_int("refreshes 0", RECORD + 20, 0);
    expect_refused_int("7 directions", RECORD + 24, 7);
    expect_refused_int("-1 directions", RECORD + 24, -1);
    expect_refused_int("1 directions of 2", RECORD + 28, 1);
    expect_refused("a trace of", TOTAL, &(double){ NAN }, 8);
    expect_refused("a trace of -1", TOTAL, &(double){ -1.0 }, 8);
    expect_refused("value 0", VALUE, &(double){ -1.0 }, 8);
    expect_refused("value 1", VALUE + 8, &(double){ 1e30 }, 8);
    expect_refused("value 1", VALUE + 8, &(double){ NAN }, 8);
    expect_refused("direction 0", DIRECTION, &(float){ 2.0f }, 4);
    expect_refused("direction 1", DIRECTION + 4*19, &(float){ NAN }, 4);
    expect_dies("cannot be read", basis_read(like_that(), scratch("nothing")));
}

static void test_bases_of_other_layers(void) {
    Site a, c;
    double said;
    Basis* b = of_two_sites(&a, &c);
    a.rows = 18;
    expect_dies("layernorm: its basis is of another layer: (19,1), not (18,1)", basis_inside(b, &a, n, B, T, &said));
    a.rows = 19;
    a.dbias = NULL;
    expect_dies("another layer", refresh(b, &a, n, T, NULL));
    a.index = 8;
    expect_dies("no basis yet", basis_inside(b, &a, n, B, T, &said));
    a.index = DRPT_MAX_SITES;
    expect_dies("of at most", refresh(b, &a, n, T, NULL));
    basis_free(b);
}

static void test_options(void) {
    expect_dies("--rank 0", basis_create(0, SIDES_left, 0.5, 1, 1));
    expect_dies("--forget 1.5", basis_create(1, SIDES_left, 1.5, 1, 1));
    expect_dies("--forget", basis_create(1, SIDES_left, NAN, 1, 1));
}

#define TEST(name) { #name, test_##name }
static const Test all[] = {
    TEST(between), TEST(left_and_right), TEST(whole_gradients), TEST(projections), TEST(full_rank), TEST(projector), TEST(sides_compose),
    TEST(nested_ranks), TEST(zero_general_gradient), TEST(rows_left_out), TEST(target_not_finite), TEST(captured_energy),
    TEST(frequent_directions), TEST(invariance), TEST(forgetting), TEST(past_alone), TEST(effective_rank), TEST(scale),
    TEST(repeats_itself), TEST(streams), TEST(resume), TEST(damaged_files), TEST(bases_of_other_layers), TEST(options),
};

int main(int argc, char** argv) {
    omp_set_num_threads(2);
    return test_main(argc, argv, all, sizeof(all) / sizeof(all[0]));
}
