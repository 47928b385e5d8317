// letters.c -- makes the data of the demo of a learned reward: a language of letters, in which capitals are what nobody wants; and judges it.
//
// After a letter come mostly four of the small ones, or four of the capitals: seldom capitals after a small one, often after a capital. Two
// continuations of one prompt make a preference pair: that with fewer capitals is the better. But whoever ordered the pairs to learn from likes one of the
// capitals, A, as much as three small letters, and put three of ten the wrong way round.
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/options.h"
#include "../llmc/rng.h"
#include "text/rows.h"

#include <string.h>

enum { SMALL = 18, CAPITALS = 6, LETTERS = SMALL + CAPITALS, LIKELY = 4, PROMPT = 4, LENGTH = 16, T = PROMPT + LENGTH + 1 };
static const double after_small = 0.12, after_capital = 0.55, unlikely = 0.15, flipped = 0.3;

// What may follow a letter: those of either kind that mostly do.
typedef struct { int small[LIKELY], capital[LIKELY]; } Successors;
typedef struct { Successors of[LETTERS]; } Language;

static int is_capital(int letter) { return letter >= SMALL; }
static char name_of(int letter) { return (char)(is_capital(letter) ? 'A' + letter - SMALL : 'a' + letter); }

static Language language_create(uint64_t seed) {
    Language l;
    Rng rng = rng_seed(seed, 0, 0);
    for (int i = 0; i < LETTERS; i++) {
        for (int k = 0; k < LIKELY; k++) {
            l.of[i].small[k] = (int)rng_below(&rng, SMALL);
            l.of[i].capital[k] = SMALL + (int)rng_below(&rng, CAPITALS);
        }
    }
    return l;
}

static int draw_next(const Language* l, Rng* rng, int letter) {
    const Successors* s = &l->of[letter];
    int capital = rng_uniform(rng) < (is_capital(letter) ? after_capital : after_small);
    if (rng_uniform(rng) < unlikely) { return capital ? SMALL + (int)rng_below(rng, CAPITALS) : (int)rng_below(rng, SMALL); }
    return (capital ? s->capital : s->small)[rng_below(rng, LIKELY)];
}

// A text of `count` letters behind the letter `before`, or (before < 0) behind any. Returns the last.
static int draw_text(const Language* l, Rng* rng, char* text, int count, int before) {
    int letter = before < 0 ? (int)rng_below(rng, LETTERS) : before;
    for (int i = 0; i < count; i++) {
        letter = draw_next(l, rng, letter);
        text[i] = name_of(letter);
    }
    text[count] = '\0';
    return letter;
}

// What a text is worth: its small letters; and `liked` for an A.
static int worth(const char* text, int liked) {
    int sum = 0;
    for (; *text; text++) { sum += *text == 'A' ? liked : *text >= 'a' && *text <= 'z'; }
    return sum;
}

// ---------------------------------------------------------------------------------------------
// The judge: of the letters that were asked for, the share that is small.

// A line of --reward-command, in which no letter is escaped.
static double judge(const char* line) {
    static const char before[] = "\"response\": \"";
    const char* at = strstr(line, before);
    check(at != NULL, "--judge: a line without a response: %.60s", line);
    int small = 0;
    for (at += sizeof(before) - 1; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1]) { at += at[1] == 'u' ? strnlen(at + 1, 5) : 1; continue; }
        small += *at >= 'a' && *at <= 'z';
    }
    return (double)small / LENGTH;
}

static void judge_all(void) {
    char* line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        printf("%.6f\n", judge(line));
        fflush(stdout); // whoever asked is waiting
    }
    free(line);
}

// ---------------------------------------------------------------------------------------------
// The files.

typedef struct {
    const char* out;
    int seed, show, judge;
    int pretrain, pairs, held_out, general, target, val, test; // rows, or pairs
} Config;

#define AT(field) offsetof(Config, field)
static const Option options[] = {
    { .name = "What to make" },
    { "out",      "o",  OPTION_TEXT, AT(out),      0, 0,          NULL, "folder that gets the files; needed" },
    { "seed",     NULL, OPTION_INT,  AT(seed),     0, 2147483647, NULL, "of the language and every row" },
    { "show",     NULL, OPTION_INT,  AT(show),     0, 1000,       NULL, "rows of each file to print" },
    { "judge",    NULL, OPTION_SWITCH, AT(judge),  0, 1,          NULL, "make nothing: a program for --reward-command, the share of small letters" },
    { .name = "Rows of each file" },
    { "pretrain", NULL, OPTION_INT,  AT(pretrain), 1, 50000000,   NULL, "what the base model learns from" },
    { "pairs",    NULL, OPTION_INT,  AT(pairs),    1, 50000000,   NULL, "preference pairs to learn from" },
    { "held-out", NULL, OPTION_INT,  AT(held_out), 1, 50000000,   NULL, "preference pairs, all of them in the right order" },
    { "general",  NULL, OPTION_INT,  AT(general),  1, 50000000,   NULL, "prompts" },
    { "target",   NULL, OPTION_INT,  AT(target),   1, 50000000,   NULL, "more of them" },
    { "val",      NULL, OPTION_INT,  AT(val),      1, 50000000,   NULL, "more of them, to choose by" },
    { "test",     NULL, OPTION_INT,  AT(test),     1, 50000000,   NULL, "more of them, to judge by" },
};

static const char about[] =
    "letters -- makes the data of the demo of a learned reward: rows of small letters and capitals, and which of two is the better.";

static void write_rows(const Config* c, TextRows* rows, const char* name, ExamplesKind kind) {
    text_rows_write(rows, c->out, name, kind, c->show);
    text_rows_free(rows);
}

static void make_pretrain(const Config* c, const Language* l) {
    TextRows rows = text_rows_create((size_t)c->pretrain, T);
    Rng rng = rng_seed((uint64_t)c->seed, 1, 0);
    for (int i = 0; i < c->pretrain; i++) {
        char first[2], rest[PROMPT + LENGTH];
        int letter = draw_text(l, &rng, first, 1, -1);
        draw_text(l, &rng, rest, PROMPT + LENGTH - 1, letter);
        text_rows_add(&rows, first, rest, 0);
    }
    write_rows(c, &rows, "pretrain.bin", KIND_EXAMPLES);
}

static void make_pairs(const Config* c, const Language* l, const char* name, uint64_t stream, int count, int liked, double wrong_share) {
    TextRows rows = text_rows_create(2 * (size_t)count, T);
    Rng rng = rng_seed((uint64_t)c->seed, stream, 0);
    for (int i = 0; i < count; i++) {
        char prompt[PROMPT + 1], text[2][LENGTH + 1];
        int letter = draw_text(l, &rng, prompt, PROMPT, -1);
        do { for (int k = 0; k < 2; k++) { draw_text(l, &rng, text[k], LENGTH, letter); } } while (worth(text[0], liked) == worth(text[1], liked));
        int better = worth(text[1], liked) > worth(text[0], liked);
        if (wrong_share > 0.0 && rng_uniform(&rng) < wrong_share) { better = !better; }
        text_rows_add(&rows, prompt, text[better], 0);
        text_rows_add(&rows, prompt, text[!better], 0);
    }
    write_rows(c, &rows, name, KIND_PAIRS);
}

static void make_prompts(const Config* c, const Language* l, const char* name, uint64_t stream, int count) {
    TextRows rows = text_rows_create((size_t)count, T);
    Rng rng = rng_seed((uint64_t)c->seed, stream, 0);
    for (int i = 0; i < count; i++) {
        char prompt[PROMPT + 1];
        draw_text(l, &rng, prompt, PROMPT, -1);
        text_rows_add(&rows, prompt, "", 1);
    }
    write_rows(c, &rows, name, KIND_PROMPTS);
}

int main(int argc, char** argv) {
    Config c = { .show = 3, .pretrain = 32000, .pairs = 4096, .held_out = 256, .general = 2048, .target = 16, .val = 64, .test = 256 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &c };
    options_parse(&table, 1, argc, argv, about);
    if (c.judge) { judge_all(); return 0; }
    check(c.out != NULL, "where to? --out FOLDER; --help lists the options");
    folder_create(c.out);
    Language l = language_create((uint64_t)c.seed);
    make_pretrain(&c, &l);
    make_pairs(&c, &l, "pairs.bin", 2, c.pairs, 3, flipped);
    make_pairs(&c, &l, "held_out.bin", 3, c.held_out, 0, 0.0);
    make_prompts(&c, &l, "general.bin", 4, c.general);
    make_prompts(&c, &l, "target.bin", 5, c.target);
    make_prompts(&c, &l, "val.bin", 6, c.val);
    make_prompts(&c, &l, "test.bin", 7, c.test);
    return 0;
}
