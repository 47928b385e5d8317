// tasks.c -- makes the data of the demo, "one tag, many dialects": a synthetic task whose every symbol is known.
//
// A row is   skill dialect x1..x5 = y1..y5   and only the five y are trained on. A dialect is a permutation sigma of the
// symbols, a skill rearranges them, and y = skill(sigma(x)). Four dialects have a tag of their own; all others
// hide behind the tag '?'. To be learnt from few rows: reverse, in one hidden dialect, the target's.
#include "../llmc/check.h"
#include "../llmc/dataset.h"
#include "../llmc/files.h"
#include "../llmc/options.h"
#include "../llmc/rng.h"

#include <string.h>

enum {
    SYMBOLS = 32, DIALECTS = 4, SKILLS = 3, LENGTH = 5,
    EQUALS = SYMBOLS, SKILL_TAG, DIALECT_TAG = SKILL_TAG + SKILLS, HIDDEN_TAG = DIALECT_TAG + DIALECTS, VOCAB,
    T = 2 + LENGTH + 1 + LENGTH - 1, // inputs of a row; it has T+1 tokens
    FIRST_TRAINED = T - LENGTH,      // the input position whose target is y1
};
enum { COPY, REVERSE, ROTATE };

typedef struct { unsigned char to[SYMBOLS]; } Permutation;

typedef struct {
    Permutation labelled[DIALECTS], target, conflicting[DIALECTS];
} World;

static Permutation draw_permutation(Rng* rng) {
    uint32_t order[SYMBOLS];
    Permutation p;
    for (uint32_t i = 0; i < SYMBOLS; i++) { order[i] = i; }
    rng_shuffle(rng, order, SYMBOLS);
    for (int i = 0; i < SYMBOLS; i++) { p.to[i] = (unsigned char)order[i]; }
    return p;
}

// Stream 0 of a seed is its world; the files follow.
static World world_create(uint64_t seed) {
    World w;
    Rng rng = rng_seed(seed, 0, 0);
    for (int i = 0; i < DIALECTS; i++) { w.labelled[i] = draw_permutation(&rng); }
    w.target = draw_permutation(&rng);
    for (int i = 0; i < DIALECTS; i++) { w.conflicting[i] = draw_permutation(&rng); }
    return w;
}

// ---------------------------------------------------------------------------------------------
// Rows, and the mixtures they are drawn from.

// Where the symbol at place i of y comes from.
static int source(int skill, int i) {
    switch (skill) {
        case REVERSE: return LENGTH - 1 - i;
        case ROTATE:  return (i + LENGTH - 1) % LENGTH; // by one to the right: y = x5 x1 x2 x3 x4
        default:      return i;
    }
}

// x is uniform, with repetition. Each y is replaced by a uniform symbol with probability `noise`.
static void draw_row(uint16_t* row, Rng* rng, int skill, int tag, const Permutation* sigma, double noise) {
    uint16_t *x = row + 2, *y = x + LENGTH + 1;
    row[0] = (uint16_t)(SKILL_TAG + skill);
    row[1] = (uint16_t)tag;
    x[LENGTH] = EQUALS;
    for (int i = 0; i < LENGTH; i++) { x[i] = (uint16_t)rng_below(rng, SYMBOLS); }
    for (int i = 0; i < LENGTH; i++) {
        y[i] = sigma->to[x[source(skill, i)]];
        if (noise > 0.0 && rng_uniform(rng) < noise) { y[i] = (uint16_t)rng_below(rng, SYMBOLS); }
    }
}

static void draw_labelled(uint16_t* row, Rng* rng, const World* w) {
    int dialect = (int)rng_below(rng, DIALECTS), skill = (int)rng_below(rng, SKILLS);
    draw_row(row, rng, skill, DIALECT_TAG + dialect, &w->labelled[dialect], 0.0);
}

static void draw_target(uint16_t* row, Rng* rng, const World* w) {
    draw_row(row, rng, REVERSE, HIDDEN_TAG, &w->target, 0.0);
}

// What the base model learns from. The quarter with a new dialect in every row teaches it that it cannot know
// what '?' means; otherwise it would begin confidently wrong there.
static void draw_pretrain(uint16_t* row, Rng* rng, const World* w) {
    if (rng_below(rng, 4) > 0) { draw_labelled(row, rng, w); return; }
    Permutation fresh = draw_permutation(rng);
    draw_row(row, rng, (int)rng_below(rng, SKILLS), HIDDEN_TAG, &fresh, 0.0);
}

// The general pool. A quarter is of use: the target's dialect, half of it the target's skill with a label in five
// drawn at random, half of it clean copying. A half contradicts the target under the same tags. A quarter
// is what the base model knows already.
enum { ALIGNED, IRRELEVANT, CONFLICTING, DOMAINS };
static const char* const domain_files[DOMAINS] = { "general_aligned.bin", "general_irrelevant.bin", "general_conflicting.bin" };

static int draw_domain_row(uint16_t* row, Rng* rng, const World* w) {
    switch (rng_below(rng, 8)) {
        case 0:         draw_row(row, rng, REVERSE, HIDDEN_TAG, &w->target, 0.2); return ALIGNED;
        case 1:         draw_row(row, rng, COPY, HIDDEN_TAG, &w->target, 0.0); return ALIGNED;
        case 2: case 3: draw_labelled(row, rng, w); return IRRELEVANT;
        default:        draw_row(row, rng, REVERSE, HIDDEN_TAG, &w->conflicting[rng_below(rng, DIALECTS)], 0.0); return CONFLICTING;
    }
}

static void draw_general(uint16_t* row, Rng* rng, const World* w) { draw_domain_row(row, rng, w); }

// ---------------------------------------------------------------------------------------------
// The files.

typedef struct {
    const char* out;
    int seed, show;
    int pretrain, general, target, val, test, labelled; // rows
    int split, endless, pool, reference;
    const char* sizes;
} Config;

#define AT(field) offsetof(Config, field)
static const Option options[] = {
    { .name = "What to make" },
    { "out",      "o",  OPTION_TEXT, AT(out),      0, 0,          NULL, "folder that gets the files; needed" },
    { "seed",     NULL, OPTION_INT,  AT(seed),     0, 2147483647, NULL, "one world: its dialects and every row" },
    { "show",     NULL, OPTION_INT,  AT(show),     0, 1000,       NULL, "rows of each file to print" },
    { .name = "Rows of each file" },
    { "pretrain", NULL, OPTION_INT,  AT(pretrain), 1, 50000000,   NULL, "what the base model learns from: 6000 steps of 32" },
    { "general",  NULL, OPTION_INT,  AT(general),  1, 50000000,   NULL, "the general pool, useful, contradicting and known rows: 400 steps of 32" },
    { "target",   NULL, OPTION_INT,  AT(target),   1, 50000000,   NULL, "of the task to be learnt" },
    { "val",      NULL, OPTION_INT,  AT(val),      1, 50000000,   NULL, "of the same task, to choose by" },
    { "test",     NULL, OPTION_INT,  AT(test),     1, 50000000,   NULL, "of the same task, to judge by" },
    { "labelled", NULL, OPTION_INT,  AT(labelled), 1, 50000000,   NULL, "of the labelled dialects: what may be forgotten" },
    { .name = "Files for measurements" },
    { "split",     NULL, OPTION_SWITCH, AT(split),  0, 1,         NULL, "the rows of general.bin in three files instead: general_aligned, _irrelevant and _conflicting" },
    { "sizes",     NULL, OPTION_TEXT,  AT(sizes),   0, 0,         NULL, "such as 4,16,inf: files target_4.bin, ... of the first rows that target.bin is of" },
    { "endless",   NULL, OPTION_INT,  AT(endless),  1, 50000000,  NULL, "rows of target_inf.bin: 400 steps of 64" },
    { "pool",      NULL, OPTION_INT,  AT(pool),     0, 50000000,  NULL, "rows of pool.bin, more of the target's task, to draw sets of target rows from" },
    { "reference", NULL, OPTION_INT,  AT(reference), 0, 50000000, NULL, "rows of reference.bin, of the same task, whose mean gradient stands for the true one" },
};

static const char about[] =
    "tasks -- makes the data of the demo. A row is 'skill dialect x1..x5 = y1..y5' and only y is trained on.\n"
    "  skills c (copy), r (reverse), s (rotate); dialects A B C D, each a permutation of the symbols a..z 0..5,\n"
    "  and '?', which stands for any other; the target is 'r ?' in one of those.";

static void print_row(const uint16_t* row) {
    static const char names[] = "abcdefghijklmnopqrstuvwxyz012345=crsABCD?";
    printf("   ");
    for (int t = 0; t <= T; t++) { printf(" %c", names[row[t]]); }
    printf("\n");
}

// Rows of T+1 tokens that one file, or the files of one draw, are made of.
typedef struct { uint16_t* tokens; size_t count; } Rows;
static uint16_t* row_at(Rows r, size_t i) { return r.tokens + i * (T + 1); }

static Rows rows_create(int count) {
    Rows r = { malloc((size_t)count * (T + 1) * sizeof(uint16_t)), (size_t)count };
    check(r.tokens != NULL, "out of memory for %d rows", count);
    return r;
}

static void write_rows(const Config* c, const char* name, Rows rows) {
    char* path = path_join(c->out, name);
    unsigned char* mask = calloc(rows.count, T);
    check(mask, "%s: out of memory for %zu rows", path, rows.count);
    for (size_t i = 0; i < rows.count; i++) {
        for (int t = FIRST_TRAINED; t < T; t++) { mask[i * T + t] = 1; }
    }
    examples_write(path, rows.tokens, mask, rows.count, T, VOCAB, KIND_EXAMPLES, TOKENIZER_NONE);
    printf("%s: %zu rows\n", path, rows.count);
    for (size_t i = 0; i < rows.count && i < (size_t)c->show; i++) { print_row(row_at(rows, i)); }
    free(mask);
    free(path);
}

static void make_file(const Config* c, const World* w, const char* name, int stream, int count,
                      void (*draw)(uint16_t* row, Rng* rng, const World* w)) {
    if (count == 0) { return; }
    Rows rows = rows_create(count);
    Rng rng = rng_seed((uint64_t)c->seed, (uint64_t)stream, 0);
    for (size_t i = 0; i < rows.count; i++) { draw(row_at(rows, i), &rng, w); }
    write_rows(c, name, rows);
    free(rows.tokens);
}

// The rows that make_file() writes into general.bin, each into the file of its domain.
static void make_split_general(const Config* c, const World* w, int stream) {
    Rows domain[DOMAINS];
    Rng rng = rng_seed((uint64_t)c->seed, (uint64_t)stream, 0);
    for (int d = 0; d < DOMAINS; d++) { domain[d] = rows_create(c->general); domain[d].count = 0; }
    for (int i = 0; i < c->general; i++) {
        uint16_t row[T + 1];
        Rows* of = &domain[draw_domain_row(row, &rng, w)];
        memcpy(row_at(*of, of->count++), row, sizeof(row));
    }
    for (int d = 0; d < DOMAINS; d++) {
        check(domain[d].count > 0, "--split: %d general rows are too few: %s would be empty", c->general, domain_files[d]);
        write_rows(c, domain_files[d], domain[d]);
        free(domain[d].tokens);
    }
}

// How many rows the entry of --sizes at `at` asks for, and how long it is.
static int size_at(const Config* c, const char* at, int* length) {
    *length = (int)strcspn(at, ",");
    if (*length == 3 && strncmp(at, "inf", 3) == 0) { return c->endless; }
    long rows = strtol(at, NULL, 10);
    check((int)strspn(at, "0123456789") == *length && *length <= 8 && rows > 0, "--sizes %s: '%.*s' is no number of rows", c->sizes, *length, at);
    return (int)rows;
}

static const char* after(const char* at, int length) { return at + length + (at[length] == ','); }

static void check_sizes(const Config* c) {
    int length;
    for (const char* at = c->sizes; at && *at; at = after(at, length)) { size_at(c, at, &length); }
}

// target_N.bin for each N of --sizes.
static void make_sizes(const Config* c, const World* w, int stream) {
    int length;
    for (const char* at = c->sizes; at && *at; at = after(at, length)) {
        char name[64];
        int rows = size_at(c, at, &length);
        snprintf(name, sizeof(name), "target_%.*s.bin", length, at);
        make_file(c, w, name, stream, rows, draw_target);
    }
}

int main(int argc, char** argv) {
    Config c = { .seed = 0, .show = 3, .pretrain = 192000, .general = 12800, .target = 16, .val = 64, .test = 512, .labelled = 256, .endless = 25600 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &c };
    options_parse(&table, 1, argc, argv, about);
    check(c.out != NULL, "where to? --out FOLDER; --help lists the options");
    check_sizes(&c);
    folder_create(c.out);
    World w = world_create((uint64_t)c.seed);
    make_file(&c, &w, "pretrain.bin", 1, c.pretrain, draw_pretrain);
    if (c.split) { make_split_general(&c, &w, 2); }
    else { make_file(&c, &w, "general.bin", 2, c.general, draw_general); }
    make_file(&c, &w, "target.bin",   3, c.target,   draw_target);
    make_file(&c, &w, "val.bin",      4, c.val,      draw_target);
    make_file(&c, &w, "test.bin",     5, c.test,     draw_target);
    make_file(&c, &w, "labelled.bin", 6, c.labelled, draw_labelled);
    make_sizes(&c, &w, 3);
    make_file(&c, &w, "pool.bin",      7, c.pool,      draw_target);
    make_file(&c, &w, "reference.bin", 8, c.reference, draw_target);
    return 0;
}
