// sums.c -- makes the data of the demo of verifiable rewards: sums such as 37+48=85, half of them with a carry.
//
// What the base model learns from is one time in five right; else the ten is carried where it should not be, or not where it
// should. So it can do both, and the reward is to tell it which. The general prompts' answers, by which they are judged, have the same
// fault in three of ten.
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/options.h"
#include "../llmc/rng.h"
#include "text/rows.h"

#include <string.h>

enum { T = 9, BELOW = 100 }; // the sum has two digits, as each of its parts
static const double right_traces = 0.2, corrupted = 0.3;

typedef struct { int a, b; } Sum;

static int carries(Sum s) { return s.a % 10 + s.b % 10 >= 10; }
static int wrong(Sum s) { return s.a + s.b + (carries(s) ? -10 : 10); }

static Sum draw_with(Rng* rng, int carry) {
    Sum s;
    do { s = (Sum){ 10 + (int)rng_below(rng, 80), 10 + (int)rng_below(rng, 80) }; }
    while (carries(s) != carry || s.a + s.b >= BELOW || wrong(s) >= BELOW);
    return s;
}

static Sum draw(Rng* rng) { return draw_with(rng, (int)rng_below(rng, 2)); }

static void add(TextRows* rows, Sum s, int answer, int asked) {
    char prompt[32], text[16];
    snprintf(prompt, sizeof(prompt), "%d+%d=", s.a, s.b);
    snprintf(text, sizeof(text), "%d", answer);
    text_rows_add(rows, prompt, text, asked);
}

// ---------------------------------------------------------------------------------------------
// The files.

typedef struct {
    const char* out;
    int seed, show;
    int pretrain, general, target, val, test; // rows
} Config;

#define AT(field) offsetof(Config, field)
static const Option options[] = {
    { .name = "What to make" },
    { "out",      "o",  OPTION_TEXT, AT(out),      0, 0,          NULL, "folder that gets the files; needed" },
    { "seed",     NULL, OPTION_INT,  AT(seed),     0, 2147483647, NULL, "of every row" },
    { "show",     NULL, OPTION_INT,  AT(show),     0, 1000,       NULL, "rows of each file to print" },
    { .name = "Rows of each file" },
    { "pretrain", NULL, OPTION_INT,  AT(pretrain), 1, 50000000,   NULL, "what the base model learns from, one in five right" },
    { "general",  NULL, OPTION_INT,  AT(general),  1, 50000000,   NULL, "prompts, of three in ten the answer is wrong" },
    { "target",   NULL, OPTION_INT,  AT(target),   1, 50000000,   NULL, "prompts with the right answers" },
    { "val",      NULL, OPTION_INT,  AT(val),      1, 50000000,   NULL, "more of them, to choose by" },
    { "test",     NULL, OPTION_INT,  AT(test),     1, 50000000,   NULL, "more of them, to judge by" },
};

static const char about[] = "sums -- makes the data of the demo of verifiable rewards: sums such as 37+48=85, and who did them wrong.";

static int is_target(const Sum* target, int count, Sum s) {
    for (int i = 0; i < count; i++) { if (target[i].a == s.a && target[i].b == s.b) { return 1; } }
    return 0;
}

typedef struct { Config c; Sum* target; } Files;

// Prompts that are none of the target's: of `wrong_share` of them the answer is wrong.
static void make_prompts(const Files* f, const char* name, uint64_t stream, int count, double wrong_share) {
    TextRows rows = text_rows_create((size_t)count, T);
    Rng rng = rng_seed((uint64_t)f->c.seed, stream, 0);
    for (int i = 0; i < count; i++) {
        Sum s;
        do { s = draw(&rng); } while (is_target(f->target, f->c.target, s));
        add(&rows, s, wrong_share > 0.0 && rng_uniform(&rng) < wrong_share ? wrong(s) : s.a + s.b, 1);
    }
    text_rows_write(&rows, f->c.out, name, KIND_PROMPTS, f->c.show);
    text_rows_free(&rows);
}

static void draw_target(Files* f) {
    Rng rng = rng_seed((uint64_t)f->c.seed, 0, 0);
    f->target = malloc((size_t)f->c.target * sizeof(Sum));
    check(f->target != NULL, "out of memory for %d target prompts", f->c.target);
    for (int i = 0; i < f->c.target; i++) {
        do { f->target[i] = draw(&rng); } while (is_target(f->target, i, f->target[i]));
    }
}

static void make_target(const Files* f) {
    TextRows rows = text_rows_create((size_t)f->c.target, T);
    for (int i = 0; i < f->c.target; i++) { add(&rows, f->target[i], f->target[i].a + f->target[i].b, 1); }
    text_rows_write(&rows, f->c.out, "target.bin", KIND_PROMPTS, f->c.show);
    text_rows_free(&rows);
}

static void make_pretrain(const Files* f) {
    TextRows rows = text_rows_create((size_t)f->c.pretrain, T);
    Rng rng = rng_seed((uint64_t)f->c.seed, 1, 0);
    for (int i = 0; i < f->c.pretrain; i++) {
        Sum s = draw(&rng);
        add(&rows, s, rng_uniform(&rng) < right_traces ? s.a + s.b : wrong(s), 0);
    }
    text_rows_write(&rows, f->c.out, "pretrain.bin", KIND_EXAMPLES, f->c.show);
    text_rows_free(&rows);
}

int main(int argc, char** argv) {
    Files f = { .c = { .seed = 0, .show = 3, .pretrain = 64000, .general = 1024, .target = 16, .val = 64, .test = 256 } };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &f.c };
    options_parse(&table, 1, argc, argv, about);
    check(f.c.out != NULL, "where to? --out FOLDER; --help lists the options");
    check(f.c.target <= 1000, "--target %d: more than 1000 would leave too few sums for the others", f.c.target);
    folder_create(f.c.out);
    draw_target(&f);
    make_pretrain(&f);
    make_prompts(&f, "general.bin", 2, f.c.general, corrupted);
    make_target(&f);
    make_prompts(&f, "val.bin", 4, f.c.val, 0.0);
    make_prompts(&f, "test.bin", 5, f.c.test, 0.0);
    free(f.target);
    return 0;
}
