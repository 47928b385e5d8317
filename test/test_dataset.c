// test_dataset.c -- rows out of shards and examples, their order, and every way a file can be wrong.
#include "../llmc/check.h"
#include "../llmc/dataset.h"
#include "../llmc/files.h"
#include "../llmc/rng.h"
#include "scratch.h"
#include "test.h"

#include <errno.h>

enum { HEADER_BYTES = 4 * HEADER_INTS, T = 4, ROWS = 3, VOCAB = 11 };

static const char* folder;
static char path[256], other[256], all[256];

static uint16_t stream[2 * 64];

static const uint16_t row_tokens[ROWS][T + 1] = { { 1, 2, 3, 4, 10 }, { 5, 6, 7, 10, 10 }, { 8, 9, 0, 1, 2 } };
static const unsigned char row_mask[ROWS][T] = { { 0, 1, 1, 1 }, { 0, 0, 1, 0 }, { 1, 0, 0, 0 } };

static void write_examples(const char* to) {
    examples_write(to, &row_tokens[0][0], &row_mask[0][0], ROWS, T, VOCAB, KIND_EXAMPLES, TOKENIZER_NONE);
}

static void set_entry(const char* file, int entry, int32_t value) {
    FILE* f = fopen(file, "r+b");
    expect(f && fseek(f, 4L * entry, SEEK_SET) == 0 && fwrite(&value, 4, 1, f) == 1);
    if (f) { fclose(f); }
}

static void open_and_close(const char* pattern, size_t length) {
    Dataset d = dataset_open(pattern, length);
    dataset_close(&d);
}

// Rows of a shard are consecutive, so B of them are llm.c's batch of B*T+1 tokens; the second file's rows
// follow the first one's, each file's tail that fills no row is left out.
static void test_shards(void) {
    int in[T + 2], target[T + 2];
    unsigned char mask[T + 2];
    tokens_write(path, stream, 3*T + 1);
    tokens_write(other, stream + 64, 2*T + 3);
    Dataset d = dataset_open(all, T);
    expect(d.num_files == 2 && d.rows == 5 && d.T == T && !d.examples && d.tokenizer == TOKENIZER_NONE);
    for (size_t row = 0; row < 5; row++) {
        size_t start = row < 3 ? row * T : 64 + (row - 3) * T;
        dataset_row(&d, row, 128, in, target, mask, T + 2);
        for (size_t t = 0; t < T; t++) {
            expect(in[t] == stream[start + t] && target[t] == stream[start + t + 1] && mask[t] == 1);
        }
        for (size_t t = T; t < T + 2; t++) { expect(in[t] == 0 && target[t] == 0 && mask[t] == 0); }
    }
    dataset_close(&d);
    expect(dataset_row_length(path) == 0);
}

// One token fewer than a full last row is a row fewer.
static void test_shard_boundary(void) {
    for (size_t count = T + 1; count < 4*T; count++) {
        tokens_write(path, stream, count);
        Dataset d = dataset_open(path, T);
        expect(d.rows == (count - 1) / T);
        dataset_close(&d);
    }
}

static void test_examples(void) {
    int in[T], target[T];
    unsigned char mask[T];
    write_examples(path);
    write_examples(other);
    Dataset d = dataset_open(all, 999);
    expect(d.rows == 2*ROWS && d.T == T && d.examples && d.vocab_size == VOCAB && d.kind == KIND_EXAMPLES);
    for (size_t row = 0; row < 2*ROWS; row++) {
        dataset_row(&d, row, VOCAB, in, target, mask, T);
        for (size_t t = 0; t < T; t++) {
            expect(in[t] == row_tokens[row % ROWS][t] && target[t] == row_tokens[row % ROWS][t + 1]);
        }
        expect(memcmp(mask, row_mask[row % ROWS], T) == 0);
    }
    dataset_close(&d);
    expect(dataset_row_length(path) == T);
}

// A file whose name looks like a pattern is found by that name.
static void test_name_with_brackets(void) {
    char name[300];
    snprintf(name, sizeof(name), "%s/c[1].bin", folder);
    write_examples(name);
    Dataset d = dataset_open(name, 0);
    expect(d.rows == ROWS);
    dataset_close(&d);
    unlink(name);
}

// Every epoch visits every row once; epochs and seeds differ; without shuffling, file order.
static void test_reader_orders(void) {
    size_t first[5], count[5] = {0};
    tokens_write(path, stream, 5*T + 1);
    Dataset d = dataset_open(path, T);
    Reader r = reader_open(&d, 7, 1), plain = reader_open(&d, 7, 0);
    int moved = 0;
    for (int i = 0; i < 5; i++) { count[first[i] = reader_next(&r)]++; }
    for (int epoch = 1; epoch < 20; epoch++) {
        for (int i = 0; i < 5; i++) {
            size_t row = reader_next(&r);
            count[row]++;
            moved += row != first[i];
        }
    }
    for (int i = 0; i < 5; i++) { expect(count[i] == 20); }
    for (size_t i = 0; i < 12; i++) { expect(reader_next(&plain) == i % 5); }
    expect(moved > 40);
    expect(r.epoch == 19 && r.position == 5);
    reader_close(&r);
    reader_close(&plain);
    dataset_close(&d);
}

// The order is a function of seed and epoch alone: it is that of the stream (seed, epoch, 0).
static void test_reader_order_is_the_stream(void) {
    uint32_t order[5] = { 0, 1, 2, 3, 4 };
    tokens_write(path, stream, 5*T + 1);
    Dataset d = dataset_open(path, T);
    Reader r = reader_open(&d, 99, 1);
    reader_seek(&r, 3, 0);
    Rng rng = rng_seed(99, 3, 0);
    rng_shuffle(&rng, order, 5);
    for (int i = 0; i < 5; i++) { expect(reader_next(&r) == order[i]); }
    reader_close(&r);
    dataset_close(&d);
}

// From wherever a reader is interrupted, epoch ends included, another one continues the same.
static void test_reader_seek(void) {
    tokens_write(path, stream, 5*T + 1);
    Dataset d = dataset_open(path, T);
    for (int shuffle = 0; shuffle <= 1; shuffle++) {
        for (int at = 0; at < 12; at++) {
            Reader a = reader_open(&d, 3, shuffle), b = reader_open(&d, 3, shuffle);
            for (int i = 0; i < at; i++) { reader_next(&a); }
            reader_seek(&b, a.epoch, a.position);
            for (int i = 0; i < 7; i++) { expect(reader_next(&a) == reader_next(&b)); }
            reader_close(&a);
            reader_close(&b);
        }
    }
    Reader r = reader_open(&d, 3, 1);
    expect_dies("the data has 5 rows", reader_seek(&r, 0, 6));
    reader_close(&r);
    dataset_close(&d);
}

static void test_broken_shards(void) {
    tokens_write(path, stream, 3*T + 1);
    expect_dies("/nothing.bin", open_and_close("/nothing.bin", T));
    expect_dies("is not a regular file", open_and_close(folder, T));
    expect_dies("needs 14; use a shorter --seq", open_and_close(path, 3*T + 1));
    expect_dies("row length above 0", open_and_close(path, 0));
    set_entry(path, 2, 3*T + 2);
    expect_dies("is it complete", open_and_close(path, T));
    set_entry(path, 2, -1);
    expect_dies("states -1 tokens", open_and_close(path, T));
    set_entry(path, 2, INT32_MAX);
    expect_dies("is it complete", open_and_close(path, T));
    set_entry(path, 2, 3*T + 1);
    set_entry(path, 1, 7);
    expect_dies("is version 7", open_and_close(path, T));
    set_entry(path, 0, 20240801);
    expect_dies("Llama-3", open_and_close(path, T));
    expect(truncate(path, 1000) == 0);
    expect_dies("has 1000 bytes", open_and_close(path, T));
    expect(truncate(path, 0) == 0);
    expect_dies("has 0 bytes", dataset_row_length(path));
}

// Can a flipped bit 6 of this byte be seen? Not in a token's low byte, which stays below the vocabulary
// often enough, and not where the vocabulary only grows. Of the zeros behind the header some are tried.
static int is_telling(long at) {
    int in_tokens = at >= HEADER_BYTES && at < HEADER_BYTES + ROWS * (T + 1) * 2;
    if (in_tokens) { return at % 2 == 1; }
    if (at == 16 || at == 17) { return 0; }
    return at < 32 || at >= HEADER_BYTES || at % 128 == 0;
}

static void flip(long at) {
    FILE* f = fopen(path, "r+b");
    int old = f && fseek(f, at, SEEK_SET) == 0 ? fgetc(f) : EOF;
    expect(old != EOF && fseek(f, at, SEEK_SET) == 0 && fputc(old ^ 0x40, f) != EOF && fclose(f) == 0);
}

static void test_flipped_bits(void) {
    long end = HEADER_BYTES + ROWS * (T + 1) * 2 + ROWS * T;
    write_examples(path);
    for (long at = 0; at < end; at++) {
        if (!is_telling(at)) { continue; }
        flip(at);
        expect_dies(path, open_and_close(path, 0));
        flip(at);
    }
    open_and_close(path, 0);
}

// From too long to too short: what is cut off is not missed before.
static void test_wrong_lengths(void) {
    long end = HEADER_BYTES + ROWS * (T + 1) * 2 + ROWS * T, shard_end = HEADER_BYTES + 2 * (3*T + 1);
    write_examples(path);
    tokens_write(other, stream, 3*T + 1);
    for (long more = 5; more >= -5; more--) {
        expect(truncate(path, end + more) == 0 && truncate(other, shard_end + more) == 0);
        if (more == 0) { continue; }
        expect_dies("is it complete", open_and_close(path, 0));
        expect_dies("is it complete", open_and_close(other, T));
    }
    unlink(other);
}

static void test_examples_that_cannot_be(void) {
    static const struct { int entry; int32_t value; const char* about; } faults[] = {
        { 2, 0, "states 0 rows" }, { 2, -3, "states -3 rows" }, { 3, -1, "length -1" }, { 3, 0, "length 0" },
        { 2, INT32_MAX, "is it complete" }, { 3, INT32_MAX, "is it complete" },
        { 4, 0, "vocabulary of 0" }, { 4, 65537, "vocabulary of 65537" }, { 4, VOCAB - 1, "row 0 (from 0), position 4: token 10" },
        { 5, 3, "unknown kind 3" }, { 5, -1, "unknown kind -1" }, { 5, 1, "not pairs" }, { 6, 3, "unknown tokenizer 3" },
        { 7, 1, "header entry 7" }, { 255, 1, "header entry 255" }, { 0, 20240326, "GPT-2 checkpoint" }, { 1, 2, "version 2" },
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        write_examples(path);
        set_entry(path, faults[i].entry, faults[i].value);
        expect_dies(faults[i].about, open_and_close(path, 0));
    }
    write_examples(path);
    set_entry(path, 2, INT32_MAX); // rows and lengths whose product leaves 32 bits, and nearly 64
    set_entry(path, 3, INT32_MAX);
    expect_dies("should have 13835058046692230145 for", open_and_close(path, 0));
}

static void test_rows_without_training(void) {
    unsigned char mask[ROWS][T];
    memcpy(mask, row_mask, sizeof(mask));
    mask[1][2] = 0;
    examples_write(path, &row_tokens[0][0], &mask[0][0], ROWS, T, VOCAB, KIND_EXAMPLES, TOKENIZER_NONE);
    expect_dies("row 1 (from 0) has no position", open_and_close(path, 0));
    examples_write(path, &row_tokens[0][0], &mask[0][0], ROWS, T, VOCAB, KIND_PROMPTS, TOKENIZER_NONE);
    open_and_close(path, 0); // a prompt's answer may be empty
    mask[2][1] = 2;
    examples_write(path, &row_tokens[0][0], &mask[0][0], ROWS, T, VOCAB, KIND_PROMPTS, TOKENIZER_NONE);
    expect_dies("row 2 (from 0), position 1: the mask is 2", open_and_close(path, 0));
}

static void test_files_that_differ(void) {
    write_examples(path);
    tokens_write(other, stream, 3*T + 1);
    expect_dies("must be alike", open_and_close(all, T));
    examples_write(other, &row_tokens[0][0], &row_mask[0][0], ROWS, T, VOCAB + 1, KIND_EXAMPLES, TOKENIZER_NONE);
    expect_dies("has vocabulary 12", open_and_close(all, T));
    examples_write(other, &row_tokens[0][0], &row_mask[0][0], ROWS, T, VOCAB, KIND_PROMPTS, TOKENIZER_NONE);
    expect_dies("has kind 2", open_and_close(all, T));
    unlink(other);
}

static void test_token_beyond_the_model(void) {
    int in[T], target[T];
    unsigned char mask[T];
    tokens_write(path, stream, 3*T + 1);
    Dataset d = dataset_open(path, T);
    dataset_row(&d, 1, stream[2*T] + 1, in, target, mask, T);
    expect_dies("row 1 (from 0): token 8 is not below", dataset_row(&d, 1, stream[2*T], in, target, mask, T));
    expect_dies("the data has 3 rows", dataset_row(&d, 3, 128, in, target, mask, T));
    dataset_close(&d);
}

static void test_unwritable(void) {
    char missing[300];
    snprintf(missing, sizeof(missing), "%s/missing/x.bin", folder);
    expect_dies("cannot be written", tokens_write(missing, stream, 9));
    expect(access(missing, F_OK) != 0);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "shards", test_shards },
        { "shard_boundary", test_shard_boundary },
        { "examples", test_examples },
        { "name_with_brackets", test_name_with_brackets },
        { "reader_orders", test_reader_orders },
        { "reader_order_is_the_stream", test_reader_order_is_the_stream },
        { "reader_seek", test_reader_seek },
        { "broken_shards", test_broken_shards },
        { "flipped_bits", test_flipped_bits },
        { "wrong_lengths", test_wrong_lengths },
        { "examples_that_cannot_be", test_examples_that_cannot_be },
        { "rows_without_training", test_rows_without_training },
        { "files_that_differ", test_files_that_differ },
        { "token_beyond_the_model", test_token_beyond_the_model },
        { "unwritable", test_unwritable },
    };
    snprintf(path, sizeof(path), "%s", scratch("a.bin"));
    snprintf(other, sizeof(other), "%s", scratch("b.bin"));
    snprintf(all, sizeof(all), "%s", scratch("[ab].bin"));
    folder = scratch_folder;
    for (int i = 0; i < 128; i++) { stream[i] = (uint16_t)i; }

    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
