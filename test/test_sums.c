// test_sums.c -- the data of the demo of verifiable rewards: every digit is the right one or its world's wrong one, in the shares that are said.
#include "text_files.h"

#define main sums_main
#include "../dev/sums.c"
#undef main

static void make(const char* folder, const char* seed) {
    char* argv[] = { "sums", "--out", (char*)(uintptr_t)folder, "--seed", (char*)(uintptr_t)seed, "--pretrain", "20000", NULL };
    expect(run_quietly(sums_main, 7, argv) == 0);
}

static TextRow* rows_of(const char* folder, const char* name, ExamplesKind kind, size_t* count) {
    char* path = path_join(folder, name);
    TextRow* rows = read_text_file(path, kind, count);
    free(path);
    return rows;
}

static int is_carried(const TextRow* r) { return r->text[1] - '0' + r->text[4] - '0' >= 10; }

// Of the two columns of a row such as 37+48=85, those that are right; one that is neither right nor the table's is a failure.
static int right_columns(const TextRow* r, const Table* wrong) {
    int count = 0, sum = (10 * (r->text[0] - '0') + r->text[1] - '0' + 10 * (r->text[3] - '0') + r->text[4] - '0') % 100;
    expect(strlen(r->text) == 8 && r->text[2] == '+' && r->text[5] == '=' && r->before == 6);
    for (int i = 0; i < 2; i++) {
        int a = r->text[i] - '0', b = r->text[3 + i] - '0', given = r->text[6 + i] - '0';
        expect(a >= 0 && a < 10 && b >= 0 && b < 10);
        if (given == (i == 0 ? sum / 10 : sum % 10)) { count++; continue; }
        expect(given == wrong->digit[i == 0 && is_carried(r)][a][b] - '0');
    }
    return count;
}

static void test_table(void) {
    Table t = draw_wrong(5), other = draw_wrong(6);
    for (int i = 0; i < 200; i++) {
        int carry = i / 100, a = i / 10 % 10, b = i % 10, digit = t.digit[carry][a][b] - '0';
        expect(digit >= 0 && digit <= 9 && digit != (a + b + carry) % 10 && digit + '0' == t.digit[carry][b][a]);
    }
    expect(memcmp(&t, &other, sizeof(t)) != 0);
}

static void test_pretrain(void) {
    size_t count, columns = 0, carried = 0;
    Table wrong = draw_wrong(3);
    make(scratch("a"), "3");
    TextRow* rows = rows_of(scratch("a"), "pretrain.bin", KIND_EXAMPLES, &count);
    expect(count == 20000);
    for (size_t i = 0; i < count; i++) {
        columns += (size_t)right_columns(&rows[i], &wrong);
        carried += (size_t)is_carried(&rows[i]);
        expect(strlen(rows[i].trained) == 3 && rows[i].trained[2] == '.' && memcmp(rows[i].trained, rows[i].text + 6, 2) == 0);
    }
    expect(is_share(columns, 2 * count, 0.45));
    expect(is_share(carried, count, 0.45)); // 45 of 100 pairs of digits
    free(rows);
}

// The answer is all right or all wrong.
static void test_prompts(void) {
    static const struct { const char* name; size_t rows; double wrong, carried; } files[] = {
        { "general.bin", 2048, 0.3, 0.1 }, { "target.bin", 16, 0.0, 1.0 }, { "val.bin", 64, 0.0, 1.0 }, { "test.bin", 256, 0.0, 1.0 },
    };
    Table wrong = draw_wrong(3);
    make(scratch("a"), "3");
    for (int f = 0; f < 4; f++) {
        size_t count, wrongs = 0, carried = 0;
        TextRow* rows = rows_of(scratch("a"), files[f].name, KIND_PROMPTS, &count);
        expect(count == files[f].rows);
        for (size_t i = 0; i < count; i++) {
            int right = right_columns(&rows[i], &wrong);
            expect(right != 1 && strlen(rows[i].trained) == 2 && memcmp(rows[i].trained, rows[i].text + 6, 2) == 0);
            wrongs += right == 0;
            carried += (size_t)is_carried(&rows[i]);
        }
        expect(files[f].wrong > 0.0 ? is_share(wrongs, count, files[f].wrong) : wrongs == 0);
        expect(files[f].carried < 1.0 ? is_share(carried, count, files[f].carried) : carried == count);
        free(rows);
    }
}

// The same seed is the same world, another is another.
static void test_seeds(void) {
    size_t count;
    make(scratch("a"), "3");
    make(scratch("b"), "3");
    make(scratch("c"), "4");
    TextRow* a = rows_of(scratch("a"), "test.bin", KIND_PROMPTS, &count);
    TextRow* b = rows_of(scratch("b"), "test.bin", KIND_PROMPTS, &count);
    TextRow* c = rows_of(scratch("c"), "test.bin", KIND_PROMPTS, &count);
    expect(memcmp(a, b, count * sizeof(TextRow)) == 0);
    expect(memcmp(a, c, count * sizeof(TextRow)) != 0);
    free(a);
    free(b);
    free(c);
}

// Every file has random numbers of its own: none begins as another does.
static void test_files_differ(void) {
    static const char* const names[] = { "general.bin", "target.bin", "val.bin", "test.bin" };
    TextRow* rows[4];
    size_t count;
    make(scratch("a"), "3");
    for (int f = 0; f < 4; f++) { rows[f] = rows_of(scratch("a"), names[f], KIND_PROMPTS, &count); }
    for (int f = 0; f < 4; f++) {
        for (int g = 0; g < f; g++) { expect(memcmp(rows[f][0].text, rows[g][0].text, 6) != 0); }
    }
    for (int f = 0; f < 4; f++) { free(rows[f]); }
}

static void test_refuses(void) {
    char* nowhere[] = { "sums", NULL };
    expect_dies("where to?", sums_main(1, nowhere));
}

int main(int argc, char** argv) {
    const Test tests[] = { { "table", test_table }, { "pretrain", test_pretrain }, { "prompts", test_prompts }, { "seeds", test_seeds }, { "files_differ", test_files_differ },
                           { "refuses", test_refuses } };
    return test_main(argc, argv, tests, 6);
}
