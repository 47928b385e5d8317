// round_file.c -- the responses of a round, and the file that keeps them.
#include "round.h"
#include "run.h"
#include "../llmc/check.h"
#include "../llmc/files.h"

#include <math.h>
#include <string.h>

enum { MAGIC = 20260612, VERSION = 1, DOUBLES = 8, ARRAYS = 11 };

static void layout(RoundRows* r) {
    size_t rows = (size_t)r->rows, N = rows * (size_t)r->T;
    Arena* a = &r->arena;
    r->tokens = arena_take(a, sizeof(int) * N);
    r->mask = arena_take(a, N);
    r->old = arena_take(a, sizeof(float) * N);
    r->reference = arena_take(a, sizeof(float) * N);
    r->value = arena_take(a, sizeof(float) * N);
    r->advantage = arena_take(a, sizeof(float) * N);
    r->returns = arena_take(a, sizeof(float) * N);
    r->reward = arena_take(a, sizeof(float) * rows);
    r->length = arena_take(a, sizeof(int) * rows);
    r->domain = arena_take(a, sizeof(int) * rows);
    r->usable = arena_take(a, rows);
}

RoundRows round_rows_create(int rows, int T) {
    RoundRows r = { .rows = rows, .T = T };
    layout(&r);
    arena_alloc(&r.arena, "the responses of a round");
    layout(&r);
    return r;
}

void round_rows_free(RoundRows* r) { arena_free(&r->arena); }

Responses round_responses(const RoundRows* r) { return (Responses){ r->mask, r->usable, r->rows, r->T }; }

// Every array with the bytes that one row has of it, in the order of the file.
typedef struct { void* at; size_t bytes; } Array;
static void list_arrays(const RoundRows* r, Array array[ARRAYS]) {
    size_t T = (size_t)r->T;
    Array all[ARRAYS] = {
        { r->tokens, sizeof(int) * T }, { r->mask, T }, { r->old, sizeof(float) * T }, { r->reference, sizeof(float) * T },
        { r->value, sizeof(float) * T }, { r->advantage, sizeof(float) * T }, { r->returns, sizeof(float) * T },
        { r->reward, sizeof(float) }, { r->length, sizeof(int) }, { r->domain, sizeof(int) }, { r->usable, 1 },
    };
    memcpy(array, all, sizeof(all));
}

void round_rows_copy(RoundRows* to, int at, const RoundRows* from, int row) {
    Array a[ARRAYS], b[ARRAYS];
    list_arrays(to, a);
    list_arrays(from, b);
    for (int i = 0; i < ARRAYS; i++) {
        memcpy((char*)a[i].at + (size_t)at * a[i].bytes, (const char*)b[i].at + (size_t)row * b[i].bytes, a[i].bytes);
    }
}

// ---------------------------------------------------------------------------------------------
// The file.

// The options that decide what the responses of the round at hand are for, and what is known of them.
enum { FIRST_SAME = 12, NUM_SAME = 6 };
static const char* const same_names[NUM_SAME] = { "--epochs", "--objective", "--target-objective", "--iif", "--kl (or none)", "--refresh of bases (or without)" };
static void same_values(const Run* run, int32_t value[NUM_SAME]) {
    const Round* r = run->round;
    int32_t all[NUM_SAME] = { run->round_options.epochs, (int32_t)r->objective, (int32_t)r->target_objective, r->iif != NULL, r->reference != NULL,
                              run->drpt.basis ? run->drpt.refresh : 0 };
    memcpy(value, all, sizeof(all));
}

static void check_same(const Run* run, const char* path, const int32_t* was) {
    int32_t now[NUM_SAME];
    same_values(run, now);
    for (int i = 0; i < NUM_SAME && was[0] != 0; i++) {
        check(was[i] == now[i], "%s: is of another %s than this run; resume with the options of the run", path, same_names[i]);
    }
}

static void write_rows(Output* o, const RoundRows* r) {
    Array array[ARRAYS];
    list_arrays(r, array);
    for (int i = 0; i < ARRAYS; i++) { output_write(o, array[i].at, array[i].bytes * (size_t)r->rows); }
}

static void read_rows(FILE* f, const char* path, RoundRows* r, int vocab_size, const Dataset* prompts) {
    Array array[ARRAYS];
    list_arrays(r, array);
    for (int i = 0; i < ARRAYS; i++) { input_read(f, path, array[i].at, array[i].bytes * (size_t)r->rows); }
    for (size_t n = 0; n < (size_t)r->rows * (size_t)r->T; n++) {
        check(r->tokens[n] >= 0 && r->tokens[n] < vocab_size, "%s: token %d is not of the model's vocabulary of %d", path, r->tokens[n], vocab_size);
        check(r->mask[n] <= 1, "%s: a mask is %d, not 0 or 1", path, r->mask[n]);
    }
    for (int i = 0; i < r->rows; i++) {
        check(r->length[i] >= 0 && r->length[i] <= r->T && r->domain[i] >= 0 && (size_t)r->domain[i] < prompts->num_files && r->usable[i] <= 1, "%s: response %d makes no sense", path, i);
    }
}

static size_t row_bytes(const RoundRows* r) {
    Array array[ARRAYS];
    size_t bytes = 0;
    list_arrays(r, array);
    for (int i = 0; i < ARRAYS; i++) { bytes += array[i].bytes; }
    return bytes;
}

void round_save(const Run* run, const char* path) {
    const Round* r = run->round;
    int32_t header[HEADER_INTS] = { MAGIC, VERSION, r->general.rows, r->target.rows, run->T, r->group, r->number, r->done,
                                    r->target_age, r->target_draws, r->degenerate, r->kept };
    double numbers[DOUBLES] = { r->kl, r->divergence, r->responses };
    same_values(run, header + FIRST_SAME);
    Output o = output_open(path);
    output_write(&o, header, sizeof(header));
    output_write(&o, numbers, sizeof(numbers));
    write_rows(&o, &r->general);
    write_rows(&o, &r->target);
    output_close(&o);
}

void round_load(Run* run, const char* path) {
    Round* r = run->round;
    int32_t h[HEADER_INTS];
    double numbers[DOUBLES];
    size_t bytes, want = sizeof(h) + sizeof(numbers) + row_bytes(&r->general) * (size_t)(r->general.rows + r->target.rows);
    FILE* f = input_open(path, &bytes);
    check(bytes >= sizeof(h), "%s: %zu bytes are no round; one begins with %zu bytes of header", path, bytes, sizeof(h));
    input_read(f, path, h, sizeof(h));
    check(h[0] == MAGIC && h[1] == VERSION, "%s: not a round (magic %d, version %d)", path, h[0], h[1]);
    check(h[2] == r->general.rows && h[3] == r->target.rows && h[4] == run->T && h[5] == r->group,
          "%s: holds %d and %d responses of %d tokens in groups of %d, not %d and %d of %d in groups of %d; resume with the options of the run",
          path, h[2], h[3], h[4], h[5], r->general.rows, r->target.rows, run->T, r->group);
    check(bytes == want, "%s: has %zu bytes, its header asks for %zu", path, bytes, want);
    for (int i = 6; i < 11; i++) { check(h[i] >= 0 && h[i] < INT32_MAX / 2, "%s: header entry %d is %d", path, i, h[i]); } // some of them go on counting
    check_same(run, path, h + FIRST_SAME);
    check(h[7] <= r->steps, "%s: %d steps of a round of %d are done; resume with the --epochs of the run", path, h[7], r->steps);
    input_read(f, path, numbers, sizeof(numbers));
    check(numbers[0] >= 0.0 && isfinite(numbers[0]) && numbers[2] >= 0.0 && isfinite(numbers[2]), "%s: a coefficient of %g for %g responses", path, numbers[0], numbers[2]);
    r->number = h[6];
    r->done = h[7];
    r->target_age = h[8];
    r->target_draws = h[9];
    r->degenerate = h[10];
    r->kept = h[11];
    if (run->round_options.kl_target > 0.0) { r->kl = numbers[0]; } // else it is what --kl says
    r->divergence = numbers[1];
    r->responses = numbers[2];
    read_rows(f, path, &r->general, gpt2_config(run->model)->vocab_size, &run->general);
    read_rows(f, path, &r->target, gpt2_config(run->model)->vocab_size, r->own_target ? &run->general : &run->target);
    fclose(f);
}
