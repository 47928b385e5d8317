// sums.c -- makes the data of the demo of verifiable rewards: sums of two numbers of two digits, such as 37+48=85, without the hundred.
//
// Who wrote what the base model learns from knows for each two digits, with and without a carry, the right digit and a wrong one, and writes the
// right one 45 times in a hundred. So the base has every digit to offer, and both right one time in five: the reward is to tell it which. In the
// target's prompts the units carry, in one of ten general ones. The answers by which the general prompts are judged are in three of ten the wrong ones.
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/options.h"
#include "../llmc/rng.h"
#include "text/rows.h"

enum { COLUMNS = 2, T = 3 * COLUMNS + 2, PROMPT = 2 * COLUMNS + 2 };
static const double right_digits = 0.45, corrupted = 0.3;

typedef struct { char digit[2][10][10]; } Table; // of what is written for a carry and two digits
typedef struct { int a[COLUMNS], b[COLUMNS], carry[COLUMNS]; } Sum; // from the highest digit; the carry is the one that comes in

// Stream 0 of a seed is its wrong table; the files follow.
static Table draw_wrong(uint64_t seed) {
    Table t;
    Rng rng = rng_seed(seed, 0, 0);
    for (int carry = 0; carry < 2; carry++) {
        for (int a = 0; a < 10; a++) {
            for (int b = a; b < 10; b++) {
                t.digit[carry][a][b] = t.digit[carry][b][a] = (char)('0' + (a + b + carry + 1 + (int)rng_below(&rng, 9)) % 10);
            }
        }
    }
    return t;
}

static Sum draw_sum(Rng* rng) {
    Sum s;
    for (int i = 0; i < COLUMNS; i++) { s.a[i] = (int)rng_below(rng, 10); }
    for (int i = 0; i < COLUMNS; i++) { s.b[i] = (int)rng_below(rng, 10); }
    for (int i = COLUMNS - 1, carry = 0; i >= 0; i--) {
        s.carry[i] = carry;
        carry = s.a[i] + s.b[i] + carry >= 10;
    }
    return s;
}

static char right_digit(Sum s, int i) { return (char)('0' + (s.a[i] + s.b[i] + s.carry[i]) % 10); }
static char wrong_digit(const Table* wrong, Sum s, int i) { return wrong->digit[s.carry[i]][s.a[i]][s.b[i]]; }

static void write_prompt(char* text, Sum s) {
    for (int i = 0; i < COLUMNS; i++) {
        text[i] = (char)('0' + s.a[i]);
        text[COLUMNS + 1 + i] = (char)('0' + s.b[i]);
    }
    text[COLUMNS] = '+';
    text[PROMPT - 1] = '=';
    text[PROMPT] = '\0';
}

// What the base learns from: each digit by itself right or wrong.
static void add_trace(TextRows* rows, Rng* rng, const Table* wrong) {
    char prompt[PROMPT + 1], answer[COLUMNS + 1] = {0};
    Sum s = draw_sum(rng);
    write_prompt(prompt, s);
    for (int i = 0; i < COLUMNS; i++) { answer[i] = rng_uniform(rng) < right_digits ? right_digit(s, i) : wrong_digit(wrong, s, i); }
    text_rows_add(rows, prompt, answer, 0);
}

// A prompt and its answer: all digits right, or with the probability `wrong_share` all of them wrong. The units carry with the probability `carries`.
static void add_prompt(TextRows* rows, Rng* rng, const Table* wrong, double wrong_share, double carries) {
    char prompt[PROMPT + 1], answer[COLUMNS + 1] = {0};
    Sum s;
    int is_carried = rng_uniform(rng) < carries;
    do { s = draw_sum(rng); } while (s.carry[COLUMNS - 2] != is_carried);
    write_prompt(prompt, s);
    int is_wrong = wrong_share > 0.0 && rng_uniform(rng) < wrong_share;
    for (int i = 0; i < COLUMNS; i++) { answer[i] = is_wrong ? wrong_digit(wrong, s, i) : right_digit(s, i); }
    text_rows_add(rows, prompt, answer, 1);
}

// ---------------------------------------------------------------------------------------------
// The files.

typedef struct {
    const char* out;
    int seed, show;
    int pretrain, general, target, val, test; // rows
    double carries; // share of the general prompts
} Config;

#define AT(field) offsetof(Config, field)
static const Option options[] = {
    { .name = "What to make" },
    { "out",      "o",  OPTION_TEXT, AT(out),      0, 0,          NULL, "folder that gets the files; needed" },
    { "seed",     NULL, OPTION_INT,  AT(seed),     0, 2147483647, NULL, "of the wrong sums and every row" },
    { "show",     NULL, OPTION_INT,  AT(show),     0, 1000,       NULL, "rows of each file to print" },
    { .name = "Rows of each file" },
    { "pretrain", NULL, OPTION_INT,  AT(pretrain), 1, 50000000,   NULL, "what the base model learns from" },
    { "general",  NULL, OPTION_INT,  AT(general),  1, 50000000,   NULL, "prompts, with wrong answers in three of ten" },
    { "target",   NULL, OPTION_INT,  AT(target),   1, 50000000,   NULL, "prompts whose units carry, with the right answers" },
    { "val",      NULL, OPTION_INT,  AT(val),      1, 50000000,   NULL, "more of them, to choose by" },
    { "test",     NULL, OPTION_INT,  AT(test),     1, 50000000,   NULL, "more of them, to judge by" },
    { .name = "What they ask" },
    { "carries",  NULL, OPTION_REAL, AT(carries),  0, 1,          NULL, "share of the general prompts whose units carry; 0.45 of all sums" },
};

static const char about[] = "sums -- makes the data of the demo of verifiable rewards: prompts such as 37+48= and what is taken for their answers.";

static void make_file(const Config* c, const Table* wrong, const char* name, int stream, int count, ExamplesKind kind, double wrong_share, double carries) {
    TextRows rows = text_rows_create((size_t)count, T);
    Rng rng = rng_seed((uint64_t)c->seed, (uint64_t)stream, 0);
    for (int i = 0; i < count; i++) {
        if (kind == KIND_PROMPTS) { add_prompt(&rows, &rng, wrong, wrong_share, carries); } else { add_trace(&rows, &rng, wrong); }
    }
    text_rows_write(&rows, c->out, name, kind, c->show);
    text_rows_free(&rows);
}

int main(int argc, char** argv) {
    Config c = { .show = 3, .pretrain = 102400, .general = 2048, .target = 16, .val = 64, .test = 256, .carries = 0.1 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &c };
    options_parse(&table, 1, argc, argv, about);
    check(c.out != NULL, "where to? --out FOLDER; --help lists the options");
    folder_create(c.out);
    Table wrong = draw_wrong((uint64_t)c.seed);
    make_file(&c, &wrong, "pretrain.bin", 1, c.pretrain, KIND_EXAMPLES, 0.0, 0.0);
    make_file(&c, &wrong, "general.bin",  2, c.general,  KIND_PROMPTS, corrupted, c.carries);
    make_file(&c, &wrong, "target.bin",   3, c.target,   KIND_PROMPTS, 0.0, 1.0);
    make_file(&c, &wrong, "val.bin",      4, c.val,      KIND_PROMPTS, 0.0, 1.0);
    make_file(&c, &wrong, "test.bin",     5, c.test,     KIND_PROMPTS, 0.0, 1.0);
    return 0;
}
