// test_letters.c -- the data of the demo of a learned reward: a language with its shares of capitals, pairs in the order that is said, and the judge.
#include "text_files.h"

#define main letters_main
#include "../dev/letters.c"
#undef main

static void make(void) {
    char* argv[] = { "letters", "--out", (char*)(uintptr_t)scratch("a"), "--seed", "3", "--pretrain", "8000", NULL };
    expect(run_quietly(letters_main, 7, argv) == 0);
}

static TextRow* rows_of(const char* name, ExamplesKind kind, size_t* count) {
    char* path = path_join(scratch("a"), name);
    TextRow* rows = read_text_file(path, kind, count);
    free(path);
    return rows;
}

// Small letters of a text, and what they are worth if an A is worth `liked`; spelt out a second time.
static int worth_of(const char* text, int liked) {
    int sum = 0;
    for (; *text; text++) {
        expect((*text >= 'a' && *text <= 'r') || (*text >= 'A' && *text <= 'F'));
        sum += *text >= 'a' ? 1 : *text == 'A' ? liked : 0;
    }
    return sum;
}

static void test_pretrain(void) {
    size_t count, after[2] = {0}, capitals[2] = {0};
    make();
    TextRow* rows = rows_of("pretrain.bin", KIND_EXAMPLES, &count);
    expect(count == 8000);
    for (size_t i = 0; i < count; i++) {
        const char* text = rows[i].text;
        worth_of(text, 0);
        expect(strlen(text) == 20 && rows[i].before == 1 && strlen(rows[i].trained) == 20 && rows[i].trained[19] == '.');
        for (int t = 1; t < 20; t++) {
            int capital = text[t - 1] <= 'Z';
            after[capital]++;
            capitals[capital] += text[t] <= 'Z';
        }
    }
    expect(is_share(capitals[0], after[0], 0.12) && is_share(capitals[1], after[1], 0.55));
    free(rows);
}

// After a letter comes one that the language likes there, or (unlikely) any of the kind; after the last one of a prompt too.
typedef struct { size_t count, liked, first; double expected, expected_first; } Transitions; // first: the first that is liked
static void add_transition(Transitions* s, const Language* l, char from, char to) {
    const Successors* after = &l->of[from <= 'Z' ? SMALL + from - 'A' : from - 'a'];
    const int* liked = to <= 'Z' ? after->capital : after->small;
    int kind = to <= 'Z' ? CAPITALS : SMALL, name = to <= 'Z' ? SMALL + to - 'A' : to - 'a', different = 0, is_liked = 0;
    for (int k = 0; k < LIKELY; k++) {
        int again = 0;
        for (int i = 0; i < k; i++) { again |= liked[i] == liked[k]; }
        different += !again;
        is_liked |= liked[k] == name;
    }
    s->count++;
    s->liked += (size_t)is_liked;
    s->expected += 0.85 + 0.15 * different / kind;
    int times = 0;
    for (int k = 0; k < LIKELY; k++) { times += liked[k] == liked[0]; }
    s->first += liked[0] == name;
    s->expected_first += 0.85 * times / LIKELY + 0.15 / kind;
}

static void expect_liked(Transitions s) {
    double n = (double)s.count;
    expect(s.count > 1000 && is_share(s.liked, s.count, s.expected / n) && is_share(s.first, s.count, s.expected_first / n));
}

static void test_language(void) {
    size_t count;
    Language l = language_create(3), other = language_create(4);
    Transitions within = {0}, of_prompts = {0}, behind = {0};
    expect(memcmp(&l, &other, sizeof(l)) != 0);
    make();
    TextRow* rows = rows_of("pretrain.bin", KIND_EXAMPLES, &count);
    for (size_t i = 0; i < count; i++) {
        for (int t = 1; t < 20; t++) { add_transition(&within, &l, rows[i].text[t - 1], rows[i].text[t]); }
    }
    free(rows);
    rows = rows_of("pairs.bin", KIND_PAIRS, &count);
    for (size_t i = 0; i < count; i++) { add_transition(&behind, &l, rows[i].text[3], rows[i].text[4]); }
    free(rows);
    rows = rows_of("general.bin", KIND_PROMPTS, &count);
    for (size_t i = 0; i < count; i++) {
        for (int t = 1; t < 4; t++) { add_transition(&of_prompts, &l, rows[i].text[t - 1], rows[i].text[t]); }
    }
    free(rows);
    expect_liked(within);
    expect_liked(behind);
    expect_liked(of_prompts);
}

// Every file has random numbers of its own: none begins as another does.
static void test_files_differ(void) {
    static const char* const names[] = { "general.bin", "target.bin", "val.bin", "test.bin", "pairs.bin", "held_out.bin" };
    TextRow* rows[6];
    size_t count;
    make();
    for (int f = 0; f < 6; f++) { rows[f] = rows_of(names[f], f < 4 ? KIND_PROMPTS : KIND_PAIRS, &count); }
    for (int f = 0; f < 6; f++) {
        for (int g = 0; g < f; g++) { expect(memcmp(rows[f][0].text, rows[g][0].text, 4) != 0); }
    }
    for (int f = 0; f < 6; f++) { free(rows[f]); }
}

static void test_pairs(void) {
    static const struct { const char* name; int liked; double flipped; size_t pairs; } files[] = { { "pairs.bin", 3, 0.3, 4096 }, { "held_out.bin", 0, 0.0, 256 } };
    make();
    for (int f = 0; f < 2; f++) {
        size_t count, swapped = 0;
        TextRow* rows = rows_of(files[f].name, KIND_PAIRS, &count);
        expect(count == 2 * files[f].pairs);
        for (size_t i = 0; i < count; i += 2) {
            expect(memcmp(rows[i].text, rows[i + 1].text, 4) == 0 && rows[i].before == 4 && rows[i + 1].before == 4 && strlen(rows[i].trained) == 17);
            int first = worth_of(rows[i].text + 4, files[f].liked), second = worth_of(rows[i + 1].text + 4, files[f].liked);
            expect(first != second);
            swapped += first < second;
        }
        expect(files[f].flipped > 0.0 ? is_share(swapped, count / 2, files[f].flipped) : swapped == 0);
        free(rows);
    }
}

static void test_prompts(void) {
    static const char* const names[] = { "general.bin", "target.bin", "val.bin", "test.bin" };
    make();
    for (int f = 0; f < 4; f++) {
        size_t count;
        TextRow* rows = rows_of(names[f], KIND_PROMPTS, &count);
        for (size_t i = 0; i < count; i++) { expect(strlen(rows[i].text) == 4 && rows[i].trained[0] == '\0'); }
        free(rows);
    }
}

// Of sixteen letters; what is no letter, or escaped, is worth nothing.
static void test_judge(void) {
    expect(judge("{\"prompt\": \"abcd\", \"response\": \"abcdefghijklmnop\", \"answer\": \"\"}\n") == 1.0);
    expect(judge("{\"prompt\": \"abcd\", \"response\": \"abcdABCD\", \"answer\": \"xyz\"}\n") == 4.0 / 16);
    expect(judge("{\"prompt\": \"abcd\", \"response\": \"\", \"answer\": \"xyz\"}\n") == 0.0);
    expect(judge("{\"prompt\": \"abcd\", \"response\": \"a\\u00e4b\\\"c\\ufffd d\", \"answer\": \"\"}\n") == 4.0 / 16);
    expect(judge("{\"response\": \"ab") == 2.0 / 16);
    expect(judge("{\"response\": \"ab\\u0") == 2.0 / 16);
    expect(judge("{\"response\": \"ab\\") == 2.0 / 16);
    expect_dies("a line without a response", judge("{}"));
}

static void test_refuses(void) {
    char* nowhere[] = { "letters", NULL };
    expect_dies("where to?", letters_main(1, nowhere));
}

int main(int argc, char** argv) {
    const Test tests[] = { { "pretrain", test_pretrain }, { "language", test_language }, { "files_differ", test_files_differ }, { "pairs", test_pairs },
                           { "prompts", test_prompts }, { "judge", test_judge }, { "refuses", test_refuses } };
    return test_main(argc, argv, tests, 7);
}
