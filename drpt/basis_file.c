// basis_file.c -- the bases on file: a header; then of each site a record, its trace, and of each side that is stored the
// values and the directions.
#include "basis_state.h"
#include "../llmc/check.h"
#include "../llmc/device.h"
#include "../llmc/files.h"

#include <math.h>
#include <string.h>

#define SIDES_NAME(name) #name,
static const char* const sides_names[] = { DRPT_SIDES(SIDES_NAME) };

enum { MAGIC_BASIS = 20260508, BASIS_VERSION = 1, RANK = 2, SIDES, COUNT, FORGET, SEED = FORGET + 2 };
typedef struct { int32_t index, kind, rows, cols, bias, refreshes, rank[2]; } Record;

static void write_array(Output* o, void* array, size_t bytes) {
    void* host = device_open(array, bytes);
    output_write(o, host, bytes);
    device_close(host, array, bytes, 0);
}

static void write_state(Output* o, const State* st, int index) {
    Found found;
    device_read(&found, st->found, sizeof(found));
    Record r = { index, st->kind, st->rows, st->cols, st->bias, st->refreshes, { found.rank[LEFT], found.rank[RIGHT] } };
    output_write(o, &r, sizeof(r));
    output_write(o, &found.total, sizeof(found.total));
    for (int side = LEFT; side <= RIGHT; side++) {
        const Side* s = &st->side[side];
        size_t rank = (size_t)found.rank[side];
        if (!s->u.main) { continue; }
        write_array(o, s->value, sizeof(double) * rank);
        write_array(o, s->u.main, sizeof(float) * rank * (size_t)s->u.cols);
        if (s->u.bias) { write_array(o, s->u.bias, sizeof(float) * rank); }
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

// Every direction of u has length one, and every value is positive and no larger than the one before.
static void check_side(Block u, const double* value, int rank, int index, const char* path) {
    for (int q = 0; q < rank; q++) {
        double squares = u.bias ? (double)u.bias[q] * u.bias[q] : 0.0;
        for (int c = 0; c < u.cols; c++) { squares += (double)u.main[(size_t)q * u.cols + c] * u.main[(size_t)q * u.cols + c]; }
        check(fabs(squares - 1.0) < 1e-3, "%s: site %d: direction %d (from 0) has not length 1", path, index, q);
        check(value[q] > 0.0 && isfinite(value[q]) && (q == 0 || value[q] <= value[q - 1]),
              "%s: site %d: value %d (from 0) is %g", path, index, q, value[q]);
    }
}

static void read_side(Input* in, Side* s, int rank, int most, int index) {
    check(s->u.main ? rank >= 0 && rank <= most : rank == 0 || rank == s->dim,
          "%s: site %d: %d directions of %d make no sense", in->path, index, rank, s->dim);
    s->heard = rank;
    if (!s->u.main) { return; }
    size_t values = sizeof(double) * (size_t)rank, floats = sizeof(float) * (size_t)rank * s->u.cols, column = sizeof(float) * (size_t)rank;
    double* value = device_open(s->value, values);
    Block u = { device_open(s->u.main, floats), s->u.bias ? device_open(s->u.bias, column) : NULL, s->u.cols };
    input_take(in, value, values);
    input_take(in, u.main, floats);
    if (u.bias) { input_take(in, u.bias, column); }
    check_side(u, value, rank, index, in->path);
    device_close(value, s->value, values, 1);
    device_close(u.main, s->u.main, floats, 1);
    if (u.bias) { device_close(u.bias, s->u.bias, column, 1); }
}

static int read_state(Basis* b, Input* in, int after) {
    Record r;
    input_take(in, &r, sizeof(r));
    check_record(&r, after, in->path);
    State* st = b->state[r.index] = basis_state_create(b, r.kind, r.rows, r.cols, r.bias);
    st->refreshes = r.refreshes;
    Found found = { .rank = { r.rank[LEFT], r.rank[RIGHT] } };
    input_take(in, &found.total, sizeof(found.total));
    check(found.total >= 0.0 && isfinite(found.total), "%s: site %d: a trace of %g", in->path, r.index, found.total);
    for (int side = LEFT; side <= RIGHT; side++) { read_side(in, &st->side[side], r.rank[side], b->rank, r.index); }
    device_write(st->found, &found, sizeof(found));
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
