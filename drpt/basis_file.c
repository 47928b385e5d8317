// basis_file.c -- the bases on file: a header; then of each site a record, its trace, and of each side that is stored the
// values and the directions.
#include "basis_state.h"
#include "../llmc/check.h"
#include "../llmc/files.h"

#include <math.h>
#include <string.h>

#define SIDES_NAME(name) #name,
static const char* const sides_names[] = { DRPT_SIDES(SIDES_NAME) };

enum { MAGIC_BASIS = 20260508, BASIS_VERSION = 1, RANK = 2, SIDES, COUNT, FORGET, SEED = FORGET + 2 };
typedef struct { int32_t index, kind, rows, cols, bias, refreshes, rank[2]; } Record;

static void write_state(Output* o, const State* st, int index) {
    Record r = { index, st->kind, st->rows, st->cols, st->bias, st->refreshes, { st->side[LEFT].rank, st->side[RIGHT].rank } };
    output_write(o, &r, sizeof(r));
    output_write(o, &st->total, sizeof(st->total));
    for (int side = LEFT; side <= RIGHT; side++) {
        const Side* s = &st->side[side];
        if (!s->u.main) { continue; }
        output_write(o, s->value, sizeof(double) * (size_t)s->rank);
        output_write(o, s->u.main, sizeof(float) * (size_t)s->rank * s->u.cols);
        if (s->u.bias) { output_write(o, s->u.bias, sizeof(float) * (size_t)s->rank); }
    }
}

void basis_write(const Basis* b, const char* path) {
    int32_t header[HEADER_INTS] = { MAGIC_BASIS, BASIS_VERSION, b->rank, (int32_t)b->sides };
    for (int i = 0; i < DRPT_MAX_SITES; i++) { header[COUNT] += b->state[i] != NULL; }
    memcpy(header + FORGET, &b->forget, sizeof(b->forget));
    memcpy(header + SEED, &b->seed, sizeof(b->seed));
    Output o = output_open(path);
    output_write(&o, header, sizeof(header));
    for (int i = 0; i < DRPT_MAX_SITES; i++) {
        if (b->state[i]) { write_state(&o, b->state[i], i); }
    }
    output_close(&o);
}

typedef struct { FILE* file; const char* path; size_t left; } Input; // bytes left

static void input_take(Input* in, void* data, size_t bytes) {
    input_read(in->file, in->path, data, bytes);
    in->left -= bytes;
}

static void check_header(const Basis* b, const int32_t* header, const char* path) {
    double forget;
    uint64_t seed;
    memcpy(&forget, header + FORGET, sizeof(forget));
    memcpy(&seed, header + SEED, sizeof(seed));
    check(header[0] == MAGIC_BASIS && header[1] == BASIS_VERSION, "%s: not a file of bases (magic %d, version %d)", path, header[0], header[1]);
    check(header[RANK] == b->rank, "%s: is of --rank %d, this run of %d", path, header[RANK], b->rank);
    check(header[SIDES] >= 0 && header[SIDES] < NUM_SIDES, "%s: sides %d make no sense", path, header[SIDES]);
    check(header[SIDES] == (int32_t)b->sides, "%s: is of --sides %s, this run of %s", path, sides_names[header[SIDES]], sides_names[b->sides]);
    check(forget == b->forget, "%s: is of --forget %g, this run of %g", path, forget, b->forget);
    check(seed == b->seed, "%s: is of another --seed than this run", path);
    check(header[COUNT] >= 0 && header[COUNT] <= DRPT_MAX_SITES, "%s: %d sites make no sense", path, header[COUNT]);
}

static void check_record(const Record* r, int after, const char* path) {
    const int most = 1 << 20;
    check(r->index > after && r->index < DRPT_MAX_SITES, "%s: site %d after site %d", path, r->index, after);
    check(r->kind >= 0 && r->kind <= SITE_LOOKUP && (r->bias == 0 || r->bias == 1) && r->refreshes > 0
          && r->rows > 0 && r->rows <= most && r->cols > 0 && r->cols <= most,
          "%s: site %d makes no sense (kind %d, %d rows, %d columns, bias %d, refreshes %d)",
          path, r->index, r->kind, r->rows, r->cols, r->bias, r->refreshes);
}

// Every direction has length one, and every value is positive and no larger than the one before.
static void check_side(const Side* s, int index, const char* path) {
    for (int q = 0; q < s->rank; q++) {
        double squares = s->u.bias ? (double)s->u.bias[q] * s->u.bias[q] : 0.0;
        for (int c = 0; c < s->u.cols; c++) { squares += (double)s->u.main[(size_t)q * s->u.cols + c] * s->u.main[(size_t)q * s->u.cols + c]; }
        check(fabs(squares - 1.0) < 1e-3, "%s: site %d: direction %d (from 0) has not length 1", path, index, q);
        check(s->value[q] > 0.0 && isfinite(s->value[q]) && (q == 0 || s->value[q] <= s->value[q - 1]),
              "%s: site %d: value %d (from 0) is %g", path, index, q, s->value[q]);
    }
}

static void read_side(Input* in, Side* s, int rank, int most, int index) {
    check(s->u.main ? rank >= 0 && rank <= most : rank == 0 || rank == s->dim,
          "%s: site %d: %d directions of %d make no sense", in->path, index, rank, s->dim);
    s->rank = rank;
    if (!s->u.main) { return; }
    input_take(in, s->value, sizeof(double) * (size_t)rank);
    input_take(in, s->u.main, sizeof(float) * (size_t)rank * s->u.cols);
    if (s->u.bias) { input_take(in, s->u.bias, sizeof(float) * (size_t)rank); }
    check_side(s, index, in->path);
}

static int read_state(Basis* b, Input* in, int after) {
    Record r;
    input_take(in, &r, sizeof(r));
    check_record(&r, after, in->path);
    State* st = b->state[r.index] = basis_state_create(b, r.kind, r.rows, r.cols, r.bias);
    st->refreshes = r.refreshes;
    input_take(in, &st->total, sizeof(st->total));
    check(st->total >= 0.0 && isfinite(st->total), "%s: site %d: a trace of %g", in->path, r.index, st->total);
    for (int side = LEFT; side <= RIGHT; side++) { read_side(in, &st->side[side], r.rank[side], b->rank, r.index); }
    return r.index;
}

void basis_read(Basis* b, const char* path) {
    int32_t header[HEADER_INTS];
    Input in = { .path = path };
    in.file = input_open(path, &in.left);
    input_take(&in, header, sizeof(header));
    check_header(b, header, path);
    for (int i = 0, after = -1; i < header[COUNT]; i++) { after = read_state(b, &in, after); }
    check(in.left == 0, "%s: has %zu bytes too many", path, in.left);
    fclose(in.file);
}
