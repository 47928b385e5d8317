// tasks.c -- makes the data of the demo, "one tag, many dialects": a synthetic task whose every symbol is known.
//
// A row is   skill dialect x1..x5 = y1..y5   and only the five y are trained on. A dialect is a permutation sigma of the
// symbols, a skill rearranges them, and y = skill(sigma(x)). Four dialects have a tag of their own; all others
// hide behind the tag '?'. To be learnt from few rows: reverse, in one hidden dialect, the target's.
//
// With --pairs a row is two, for preferences: one with the right y and one with that of a dialect drawn for the pair.
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

// Two rows, the better one first; with probability `flipped` the worse.
static void draw_pair(uint16_t* rows, Rng* rng, int skill, int tag, const Permutation* sigma, double flipped) {
    Permutation other = draw_permutation(rng);
    int is_flipped = flipped > 0.0 && rng_uniform(rng) < flipped;
    uint16_t *better = rows + is_flipped * (T + 1), *worse = rows + !is_flipped * (T + 1);
    draw_row(better, rng, skill, tag, sigma, 0.0);
    memcpy(worse, better, (T + 1) * sizeof(uint16_t));
    for (int i = 0; i < LENGTH; i++) { worse[2 + LENGTH + 1 + i] = other.to[better[2 + source(skill, i)]]; }
}

static void draw_labelled_pair(uint16_t* rows, Rng* rng, const World* w, double flipped) {
    int dialect = (int)rng_below(rng, DIALECTS), skill = (int)rng_below(rng, SKILLS);
    draw_pair(rows, rng, skill, DIALECT_TAG + dialect, &w->labelled[dialect], flipped);
}

static void draw_target_pair(uint16_t* rows, Rng* rng, const World* w) { draw_pair(rows, rng, REVERSE, HIDDEN_TAG, &w->target, 0.0); }

static void draw_clean_labelled_pair(uint16_t* rows, Rng* rng, const World* w) { draw_labelled_pair(rows, rng, w, 0.0); }

// Half of the general pairs are of the target's dialect, in all three skills; half are of the labelled ones. Of both, as many are flipped.
static void draw_general_pair(uint16_t* rows, Rng* rng, const World* w) {
    const double flipped = 0.3;
    if (rng_below(rng, 2) == 0) { draw_labelled_pair(rows, rng, w, flipped); return; }
    draw_pair(rows, rng, (int)rng_below(rng, SKILLS), HIDDEN_TAG, &w->target, flipped);
}

// ---------------------------------------------------------------------------------------------
// The files.

typedef struct {
    const char* out;
    int seed, show;
    int pretrain, general, target, val, test, labelled; // rows
    int split, endless, pool, reference, pairs;
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
    { "pairs",    NULL, OPTION_SWITCH, AT(pairs),  0, 1,          NULL, "preference pairs in all files but pretrain.bin, 3 of 10 general ones flipped; and known.bin, rows of the labelled dialects" },
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

// Rows of T+1 tokens, or (each = 2) pairs of them, that one file, or the files of one draw, are made of.
typedef struct { uint16_t* tokens; size_t count, each; } Rows;
static uint16_t* row_at(Rows r, size_t i) { return r.tokens + i * r.each * (T + 1); }

static Rows rows_create(int count, int each) {
    Rows r = { malloc((size_t)count * (size_t)each * (T + 1) * sizeof(uint16_t)), (size_t)count, (size_t)each };
    check(r.tokens != NULL, "out of memory for %d rows", count);
    return r;
}

static void write_rows(const Config* c, const char* name, Rows rows) {
    char* path = path_join(c->out, name);
    size_t all = rows.count * rows.each;
    unsigned char* mask = calloc(all, T);
    check(mask, "%s: out of memory for %zu rows", path, all);
    for (size_t i = 0; i < all; i++) {
        for (int t = FIRST_TRAINED; t < T; t++) { mask[i * T + t] = 1; }
    }
    examples_write(path, rows.tokens, mask, all, T, VOCAB, rows.each == 2 ? KIND_PAIRS : KIND_EXAMPLES, TOKENIZER_NONE);
    printf("%s: %zu %s\n", path, rows.count, rows.each == 2 ? "pairs" : "rows");
    for (size_t i = 0; i < all && i < (size_t)c->show * rows.each; i++) { print_row(rows.tokens + i * (T + 1)); }
    free(mask);
    free(path);
}

typedef struct { void (*draw)(uint16_t* rows, Rng* rng, const World* w); int each; } Kind;

static void make_file(const Config* c, const World* w, const char* name, int stream, int count, Kind kind) {
    if (count == 0) { return; }
    Rows rows = rows_create(count, kind.each);
    Rng rng = rng_seed((uint64_t)c->seed, (uint64_t)stream, 0);
    for (size_t i = 0; i < rows.count; i++) { kind.draw(row_at(rows, i), &rng, w); }
    write_rows(c, name, rows);
    free(rows.tokens);
}

// The rows that make_file() writes into general.bin, each into the file of its domain.
static void make_split_general(const Config* c, const World* w, int stream) {
    Rows domain[DOMAINS];
    Rng rng = rng_seed((uint64_t)c->seed, (uint64_t)stream, 0);
    for (int d = 0; d < DOMAINS; d++) { domain[d] = rows_create(c->general, 1); domain[d].count = 0; }
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
static void make_sizes(const Config* c, const World* w, int stream, Kind target) {
    int length;
    for (const char* at = c->sizes; at && *at; at = after(at, length)) {
        char name[64];
        int rows = size_at(c, at, &length);
        snprintf(name, sizeof(name), "target_%.*s.bin", length, at);
        make_file(c, w, name, stream, rows, target);
    }
}

int main(int argc, char** argv) {
    Config c = { .seed = 0, .show = 3, .pretrain = 192000, .general = 12800, .target = 16, .val = 64, .test = 512, .labelled = 256, .endless = 25600 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &c };
    options_parse(&table, 1, argc, argv, about);
    check(c.out != NULL, "where to? --out FOLDER; --help lists the options");
    check(!c.split || !c.pairs, "--split: not with --pairs");
    check_sizes(&c);
    folder_create(c.out);
    World w = world_create((uint64_t)c.seed);
    Kind pretrain = { draw_pretrain, 1 }, general = { draw_general, 1 }, target = { draw_target, 1 }, labelled = { draw_labelled, 1 }, known = labelled;
    if (c.pairs) { general = (Kind){ draw_general_pair, 2 }; target = (Kind){ draw_target_pair, 2 }; labelled = (Kind){ draw_clean_labelled_pair, 2 }; }
    make_file(&c, &w, "pretrain.bin", 1, c.pretrain, pretrain);
    if (c.split) { make_split_general(&c, &w, 2); }
    else { make_file(&c, &w, "general.bin", 2, c.general, general); }
    make_file(&c, &w, "target.bin",   3, c.target,   target);
    make_file(&c, &w, "val.bin",      4, c.val,      target);
    make_file(&c, &w, "test.bin",     5, c.test,     target);
    make_file(&c, &w, "labelled.bin", 6, c.labelled, labelled);
    make_sizes(&c, &w, 3, target);
    make_file(&c, &w, "pool.bin",      7, c.pool,      target);
    make_file(&c, &w, "reference.bin", 8, c.reference, target);
    if (c.pairs) { make_file(&c, &w, "known.bin", 9, c.labelled, known); }
    return 0;
}
