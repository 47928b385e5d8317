// test_tasks.c -- the demo's data: every row follows its rule, and the mixtures have their shares.
#include "scratch.h"
#include "test.h"

#define main tasks_main
#include "../dev/tasks.c"
#undef main

#include <fcntl.h>
#include <sys/stat.h>

enum { ROWS_PRETRAIN = 20000, ROWS_GENERAL = 12800, OTHER = -1 };

typedef struct {
    int skill, tag, x[LENGTH], y[LENGTH]; // y with the skill undone, so that y[i] should be sigma(x[i])
} Row;

static const char* folder;

static const char* const file_names[] = { "pretrain.bin", "general.bin", "target.bin", "val.bin", "test.bin", "labelled.bin" };

// Its output thrown away.
static void run_quietly(int argc, char** argv) {
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDOUT_FILENO);
    expect(tasks_main(argc, argv) == 0);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(nothing);
}

// Runs the program into FOLDER/<name>.
static char* make_world(const char* name, const char* seed) {
    char* out = path_join(folder, name);
    char* argv[] = { "tasks", "--out", out, "--seed", (char*)(uintptr_t)seed, "--pretrain", "20000", NULL };
    run_quietly(7, argv);
    return out;
}

static Dataset open_file(const char* out, const char* name) {
    char* path = path_join(out, name);
    Dataset d = dataset_open(path, 0);
    free(path);
    return d;
}

// What a row says, read by position; the skills are spelt out here a second time.
static Row read_row(const Dataset* d, size_t number) {
    static const int from[SKILLS][LENGTH] = { { 0, 1, 2, 3, 4 }, { 4, 3, 2, 1, 0 }, { 4, 0, 1, 2, 3 } };
    int in[12], out[12];
    unsigned char mask[12];
    Row r;
    dataset_row(d, number, 41, in, out, mask, 12);
    r.skill = in[0] - 33;
    r.tag = in[1];
    expect(r.skill >= 0 && r.skill < 3 && r.tag >= 36 && r.tag <= 40 && in[7] == 32);
    for (int i = 0; i < LENGTH; i++) {
        r.x[i] = in[2 + i];
        r.y[from[r.skill][i]] = out[7 + i];
        expect(r.x[i] < 32 && out[7 + i] < 32);
    }
    for (int t = 0; t < 12; t++) { expect(mask[t] == (t >= 7)); }
    return r;
}

// The whole file; the caller frees it.
static Row* read_rows(const char* out, const char* name, size_t count) {
    Dataset d = open_file(out, name);
    Row* rows = malloc(count * sizeof(Row));
    expect(d.rows == count && d.T == 12 && d.vocab_size == 41 && d.kind == KIND_EXAMPLES && d.tokenizer == TOKENIZER_NONE);
    for (size_t i = 0; i < count && i < d.rows; i++) { rows[i] = read_row(&d, i); }
    dataset_close(&d);
    return rows;
}

static int agreeing(const Row* r, const Permutation* sigma) {
    int count = 0;
    for (int i = 0; i < LENGTH; i++) { count += r->y[i] == sigma->to[r->x[i]]; }
    return count;
}

// Within five standard deviations of what `p` of n rows would be.
static int is_share(size_t count, size_t n, double p) {
    return fabs((double)count - p * (double)n) <= 5.0 * sqrt(p * (1.0 - p) * (double)n);
}

static int is_permutation(const Permutation* p) {
    uint32_t seen = 0;
    for (int i = 0; i < SYMBOLS; i++) { seen |= (uint32_t)1 << p->to[i]; }
    return seen == UINT32_MAX;
}

static void test_world(void) {
    World w = world_create(3);
    const Permutation* all[] = { &w.labelled[0], &w.labelled[1], &w.labelled[2], &w.labelled[3], &w.target,
                                 &w.conflicting[0], &w.conflicting[1], &w.conflicting[2], &w.conflicting[3] };
    for (int i = 0; i < 9; i++) {
        expect(is_permutation(all[i]));
        for (int k = 0; k < i; k++) { expect(memcmp(all[i], all[k], sizeof(Permutation)) != 0); }
    }
}

// Labelled rows: their tag's permutation, every dialect and skill alike often, every symbol as often as any.
static void expect_labelled(const Row* rows, size_t count, const World* w) {
    size_t kind[DIALECTS][SKILLS] = {{0}}, symbol[SYMBOLS] = {0}, n = 0;
    for (size_t i = 0; i < count; i++) {
        const Row* r = &rows[i];
        if (r->tag == HIDDEN_TAG) { continue; }
        expect(agreeing(r, &w->labelled[r->tag - DIALECT_TAG]) == LENGTH);
        kind[r->tag - DIALECT_TAG][r->skill]++;
        for (int k = 0; k < LENGTH; k++) { symbol[r->x[k]]++; }
        n++;
    }
    for (int d = 0; d < DIALECTS; d++) {
        for (int s = 0; s < SKILLS; s++) { expect(is_share(kind[d][s], n, 1.0 / 12)); }
    }
    for (int s = 0; s < SYMBOLS; s++) { expect(is_share(symbol[s], LENGTH * n, 1.0 / 32)); }
}

static void test_labelled_rows(void) {
    World w = world_create(3);
    char* out = make_world("world3", "3");
    Row* rows = read_rows(out, "labelled.bin", 256);
    for (int i = 0; i < 256; i++) { expect(rows[i].tag != HIDDEN_TAG); }
    expect_labelled(rows, 256, &w);
    free(rows);
    free(out);
}

// All three files of the target task: one skill, one permutation, no row twice among them.
static void test_target_rows(void) {
    static const struct { const char* name; size_t rows; } files[] = { { "target.bin", 16 }, { "val.bin", 64 }, { "test.bin", 512 } };
    World w = world_create(3);
    char* out = make_world("world3", "3");
    Row all[592];
    size_t n = 0;
    for (int f = 0; f < 3; f++) {
        Row* rows = read_rows(out, files[f].name, files[f].rows);
        memcpy(&all[n], rows, files[f].rows * sizeof(Row));
        n += files[f].rows;
        free(rows);
    }
    for (size_t i = 0; i < n; i++) {
        expect(all[i].skill == REVERSE && all[i].tag == HIDDEN_TAG && agreeing(&all[i], &w.target) == LENGTH);
        for (size_t k = 0; k < i; k++) { expect(memcmp(all[i].x, all[k].x, sizeof(all[i].x)) != 0); }
    }
    free(out);
}

// A dialect of one row only: the same symbol always becomes the same, different ones different; and it is none of the world's.
static void expect_own_dialect(const Row* r, const World* w, size_t* like_target) {
    for (int i = 0; i < LENGTH; i++) {
        for (int k = 0; k < i; k++) { expect((r->x[i] == r->x[k]) == (r->y[i] == r->y[k])); }
    }
    *like_target += (size_t)agreeing(r, &w->target);
}

static void test_pretrain_rows(void) {
    World w = world_create(3);
    char* out = make_world("world3", "3");
    Row* rows = read_rows(out, "pretrain.bin", ROWS_PRETRAIN);
    size_t hidden = 0, skill[SKILLS] = {0}, like_target = 0;
    for (int i = 0; i < ROWS_PRETRAIN; i++) {
        if (rows[i].tag != HIDDEN_TAG) { continue; }
        expect_own_dialect(&rows[i], &w, &like_target);
        skill[rows[i].skill]++;
        hidden++;
    }
    expect(is_share(hidden, ROWS_PRETRAIN, 0.25));
    expect(is_share(like_target, LENGTH * hidden, 1.0 / 32));
    for (int s = 0; s < SKILLS; s++) { expect(is_share(skill[s], hidden, 1.0 / 3)); }
    expect_labelled(rows, ROWS_PRETRAIN, &w);
    free(rows);
    free(out);
}

// Which of the four conflicting permutations a row follows in all its symbols; OTHER if in none.
static int conflict_of(const Row* r, const World* w) {
    for (int c = 0; c < DIALECTS; c++) { if (agreeing(r, &w->conflicting[c]) == LENGTH) { return c; } }
    return OTHER;
}

// What follows no conflicting permutation is the target's with a fifth of its symbols redrawn, of which one in 32 stays right.
static void test_general_rows(void) {
    World w = world_create(3);
    char* out = make_world("world3", "3");
    Row* rows = read_rows(out, "general.bin", ROWS_GENERAL);
    size_t labelled = 0, copies = 0, noisy = 0, right = 0, conflict[DIALECTS] = {0};
    for (int i = 0; i < ROWS_GENERAL; i++) {
        const Row* r = &rows[i];
        int c = conflict_of(r, &w);
        if (r->tag != HIDDEN_TAG) { labelled++; continue; }
        expect(r->skill == REVERSE || r->skill == COPY);
        if (r->skill == COPY) { copies++; expect(agreeing(r, &w.target) == LENGTH); }
        else if (c != OTHER) { conflict[c]++; }
        else { noisy++; right += (size_t)agreeing(r, &w.target); }
    }
    expect(is_share(labelled, ROWS_GENERAL, 0.25));
    expect(is_share(copies, ROWS_GENERAL, 0.125));
    expect(is_share(noisy, ROWS_GENERAL, 0.125));
    for (int c = 0; c < DIALECTS; c++) { expect(is_share(conflict[c], ROWS_GENERAL, 0.125)); }
    expect(is_share(right, LENGTH * noisy, 0.8 + 0.2 / 32));
    expect_labelled(rows, ROWS_GENERAL, &w);
    free(rows);
    free(out);
}

static int same_file(const char* a, const char* b, const char* name) {
    char *path_a = path_join(a, name), *path_b = path_join(b, name);
    size_t bytes_a, bytes_b;
    FILE *in_a = input_open(path_a, &bytes_a), *in_b = input_open(path_b, &bytes_b);
    char *text_a = malloc(bytes_a), *text_b = malloc(bytes_b);
    input_read(in_a, path_a, text_a, bytes_a);
    input_read(in_b, path_b, text_b, bytes_b);
    int same = bytes_a == bytes_b && memcmp(text_a, text_b, bytes_a) == 0;
    fclose(in_a); fclose(in_b);
    free(text_a); free(text_b);
    free(path_a); free(path_b);
    return same;
}

static void test_seeds(void) {
    char *a = make_world("a", "7"), *b = make_world("b", "7"), *other = make_world("other", "8");
    for (int f = 0; f < 6; f++) {
        expect(same_file(a, b, file_names[f]));
        expect(!same_file(a, other, file_names[f]));
    }
    Row *rows = read_rows(a, "test.bin", 512), *others = read_rows(other, "test.bin", 512);
    size_t same = 0;
    for (int i = 0; i < 512; i++) { same += memcmp(rows[i].x, others[i].x, sizeof(rows[i].x)) == 0; }
    expect(same == 0); // another draw of x too, not only another world
    free(rows); free(others);
    free(a); free(b); free(other);
}

// Runs the program with the options of what is measured; the caller frees the folder's name.
static char* make_measured(void) {
    char* out = path_join(folder, "measured");
    char* argv[] = { "tasks", "--out", out, "--seed", "3", "--pretrain", "10", "--split", "1", "--sizes", "4,40,inf", "--endless", "64",
                     "--pool", "96", "--reference", "32", "--show", "0", NULL };
    run_quietly(19, argv);
    return out;
}

// The three files of the general pool are the rows of general.bin, each in the file of its domain and in their order.
static void test_split(void) {
    static const char* const names[] = { "general_aligned.bin", "general_irrelevant.bin", "general_conflicting.bin" };
    World w = world_create(3);
    char *whole = make_world("world3", "3"), *out = make_measured();
    Row* all = read_rows(whole, "general.bin", ROWS_GENERAL);
    size_t found = 0;
    for (int f = 0; f < 3; f++) {
        Dataset d = open_file(out, names[f]);
        size_t at = 0;
        for (size_t i = 0; i < d.rows; i++, at++, found++) {
            Row r = read_row(&d, i);
            while (at < ROWS_GENERAL && memcmp(&all[at], &r, sizeof(Row)) != 0) { at++; }
            int conflict = conflict_of(&r, &w), domain = r.tag != HIDDEN_TAG ? 1 : r.skill == REVERSE && conflict != OTHER ? 2 : 0;
            expect(domain == f && at < ROWS_GENERAL);
        }
        dataset_close(&d);
    }
    expect(found == ROWS_GENERAL);
    char* unsplit = path_join(out, "general.bin");
    expect(access(unsplit, F_OK) != 0);
    free(unsplit); free(all); free(whole); free(out);
}

// The target's files are the first rows of one sequence; pool and reference are others of the same task.
static void test_measured_rows(void) {
    static const struct { const char* name; size_t rows; } fresh[] = { { "pool.bin", 96 }, { "reference.bin", 32 }, { "target.bin", 16 } };
    World w = world_create(3);
    char* out = make_measured();
    Row *all = read_rows(out, "target_inf.bin", 64), *few = read_rows(out, "target_4.bin", 4), *more = read_rows(out, "target_40.bin", 40);
    expect(memcmp(all, few, 4 * sizeof(Row)) == 0 && memcmp(all, more, 40 * sizeof(Row)) == 0);
    for (int f = 0; f < 3; f++) {
        Row* rows = read_rows(out, fresh[f].name, fresh[f].rows);
        size_t shared = 0;
        for (size_t i = 0; i < fresh[f].rows; i++) {
            expect(rows[i].skill == REVERSE && rows[i].tag == HIDDEN_TAG && agreeing(&rows[i], &w.target) == LENGTH);
            for (size_t k = 0; k < 64; k++) { shared += memcmp(&rows[i], &all[k], sizeof(Row)) == 0; }
        }
        expect(shared == (f == 2 ? 16 : 0));
        free(rows);
    }
    free(all); free(few); free(more); free(out);
}

static void test_refuses(void) {
    char* no_folder[] = { "tasks", NULL };
    char* no_rows[] = { "tasks", "--out", (char*)(uintptr_t)folder, "--target", "0", NULL };
    char* unknown[] = { "tasks", "--out", (char*)(uintptr_t)folder, "--rows", "3", NULL };
    expect_dies("--out", tasks_main(1, no_folder));
    expect_dies("--target", tasks_main(5, no_rows));
    expect_dies("--rows", tasks_main(5, unknown));
    char* no_size[] = { "tasks", "--out", (char*)(uintptr_t)folder, "--sizes", "4,x", NULL };
    char* none[] = { "tasks", "--out", (char*)(uintptr_t)folder, "--sizes", "0", NULL };
    expect_dies("'x' is no number", tasks_main(5, no_size));
    expect_dies("'0' is no number", tasks_main(5, none));
}

static void remove_worlds(void) {
    static const char* const worlds[] = { "world3", "a", "b", "other", "measured" };
    static const char* const measured[] = { "general_aligned.bin", "general_irrelevant.bin", "general_conflicting.bin", "target_4.bin", "target_40.bin",
                                            "target_inf.bin", "pool.bin", "reference.bin" };
    for (int w = 0; w < 5; w++) {
        char* out = path_join(folder, worlds[w]);
        for (int f = 0; f < 6; f++) { char* path = path_join(out, file_names[f]); unlink(path); free(path); }
        for (int f = 0; f < 8; f++) { char* path = path_join(out, measured[f]); unlink(path); free(path); }
        rmdir(out);
        free(out);
    }
    rmdir(folder);
}

// Pairs: the right row and one with another answer to the same question, flipped as often as it is said; the known rows stay rows.
static void expect_pairs(const char* out, const char* name, size_t count, double flipped) {
    World w = world_create(3);
    Dataset d = open_file(out, name);
    size_t swapped = 0, hidden = 0, skills[SKILLS] = {0};
    expect(d.kind == KIND_PAIRS && d.rows == 2 * count);
    for (size_t i = 0; i < d.rows; i += 2) {
        Row a = read_row(&d, i), b = read_row(&d, i + 1);
        const Permutation* sigma = a.tag == HIDDEN_TAG ? &w.target : &w.labelled[a.tag - DIALECT_TAG];
        expect(a.skill == b.skill && a.tag == b.tag && memcmp(a.x, b.x, sizeof(a.x)) == 0);
        expect((agreeing(&a, sigma) == LENGTH) != (agreeing(&b, sigma) == LENGTH));
        swapped += agreeing(&b, sigma) == LENGTH;
        hidden += a.tag == HIDDEN_TAG;
        skills[a.skill]++;
    }
    expect(is_share(swapped, count, flipped));
    if (flipped > 0.0) {
        expect(is_share(hidden, count, 0.5));
        for (int k = 0; k < SKILLS; k++) { expect(is_share(skills[k], count, 1.0 / SKILLS)); }
    } else {
        expect(hidden == (strcmp(name, "labelled.bin") == 0 ? 0 : count));
        expect(hidden == 0 || skills[REVERSE] == count);
    }
    dataset_close(&d);
}

static void test_pairs(void) {
    char* out = path_join(folder, "pairs");
    char* argv[] = { "tasks", "--out", out, "--seed", "3", "--pretrain", "10", "--pairs", "1", "--sizes", "4", NULL };
    run_quietly(11, argv);
    expect_pairs(out, "general.bin", ROWS_GENERAL, 0.3);
    expect_pairs(out, "target.bin", 16, 0.0);
    expect_pairs(out, "target_4.bin", 4, 0.0);
    expect_pairs(out, "val.bin", 64, 0.0);
    expect_pairs(out, "test.bin", 512, 0.0);
    expect_pairs(out, "labelled.bin", 256, 0.0);
    Row* known = read_rows(out, "known.bin", 256);
    expect(known[0].tag != HIDDEN_TAG);
    free(known);
    free(out);
}

int main(int argc, char** argv) {
    folder = scratch("with a blank");
    check(mkdir(folder, 0777) == 0, "%s: cannot be made", folder);
    const Test tests[] = {
        { "world", test_world }, { "labelled rows", test_labelled_rows }, { "target rows", test_target_rows },
        { "pretrain rows", test_pretrain_rows }, { "general rows", test_general_rows }, { "seeds", test_seeds },
        { "split", test_split }, { "measured rows", test_measured_rows }, { "refuses", test_refuses },
        { "pairs", test_pairs },
    };
    int failed = test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
    remove_worlds();
    return failed;
}
