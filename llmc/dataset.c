// dataset.c -- rows of tokens out of token shards or examples files.
//
// Files are mapped, not read: opening a large dataset costs nothing but the check of its examples, and
// rows come straight out of the page cache. Nothing behind a header is touched before the size of
// the file has been found to be what the header says.
#include "dataset.h"
#include "check.h"
#include "files.h"
#include "rng.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/mman.h>

enum {
    HEADER_BYTES = HEADER_INTS * (int)sizeof(int32_t),
    VERSION = 1,
    MAX_VOCAB = 65536, // tokens are 16 bits wide
};

// Where an examples file states what.
enum { ROWS = 2, LENGTH, VOCAB, KIND, TOKENIZER, UNUSED };

static const int32_t* header(const DataFile* f) { return (const int32_t*)(const void*)f->map; }

static const uint16_t* tokens(const DataFile* f) { return (const uint16_t*)(const void*)(f->map + HEADER_BYTES); }

static const unsigned char* masks(const DataFile* f, size_t T) {
    return f->map + HEADER_BYTES + f->rows * (T + 1) * sizeof(uint16_t);
}

static int is_examples(const DataFile* f) { return header(f)[0] == MAGIC_EXAMPLES; }

// What else people have at hand, so that they are told what they mixed up.
static const char* known_as(int32_t magic) {
    switch (magic) {
        case 20240326: return "is a GPT-2 checkpoint";
        case 20240327: return "is a debug state";
        case 20240328: return "is a tokenizer";
        case 20240522: return "is a multiple-choice evaluation";
        case 20240527: return "is an optimizer state";
        case 20240801: return "is a shard of Llama-3 tokens, 32 bits wide";
        case 20240803: return "is a Llama-3 checkpoint";
        default:       return "begins with no known magic number";
    }
}

static DataFile map_file(const char* path) {
    DataFile f = { .path = strdup(path) };
    check(f.path != NULL, "%s: out of memory for its name", path);
    FILE* file = input_open(path, &f.bytes);
    check(f.bytes >= HEADER_BYTES, "%s: has %zu bytes, its header alone should have %d", path, f.bytes, HEADER_BYTES);
    void* map = mmap(NULL, f.bytes, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    check(map != MAP_FAILED, "%s: its %zu bytes cannot be mapped: %s", path, f.bytes, strerror(errno));
    fclose(file);
    f.map = map;

    int32_t magic = header(&f)[0], version = header(&f)[1];
    check(magic == MAGIC_TOKENS || magic == MAGIC_EXAMPLES,
          "%s: %s, neither GPT-2 tokens nor examples; dev/prep makes those", path, known_as(magic));
    check(version == VERSION, "%s: is version %d of its format, only version %d can be read", path, version, VERSION);
    return f;
}

static void unmap_file(DataFile* f) {
    munmap((void*)(uintptr_t)f->map, f->bytes); // the map is const to everybody but its owner
    free(f->path);
}

// The last token of a row is the target of its last position and also the first token of the next row.
static size_t shard_rows(const DataFile* f, size_t T) {
    int32_t count = header(f)[2];
    check(count >= 0, "%s: states %d tokens", f->path, count);
    size_t bytes = HEADER_BYTES + (size_t)count * sizeof(uint16_t);
    check(f->bytes == bytes, "%s: has %zu bytes, should have %zu for the %d tokens it states; is it complete?",
          f->path, f->bytes, bytes, count);
    check((size_t)count > T, "%s: has %d tokens, a row of %zu needs %zu; use a shorter --seq", f->path, count, T, T + 1);
    return ((size_t)count - 1) / T;
}

static void check_examples_header(const DataFile* f) {
    const int32_t* h = header(f);
    check(h[ROWS] > 0 && h[LENGTH] > 0, "%s: states %d rows of length %d", f->path, h[ROWS], h[LENGTH]);
    check(h[VOCAB] > 0 && h[VOCAB] <= MAX_VOCAB, "%s: states a vocabulary of %d, possible are 1 to %d", f->path, h[VOCAB], MAX_VOCAB);
    check(h[KIND] >= KIND_EXAMPLES && h[KIND] <= KIND_PROMPTS, "%s: states the unknown kind %d", f->path, h[KIND]);
    check(h[KIND] != KIND_PAIRS || h[ROWS] % 2 == 0, "%s: states %d rows, which are not pairs", f->path, h[ROWS]);
    check(h[TOKENIZER] >= TOKENIZER_BYTES && h[TOKENIZER] <= TOKENIZER_NONE, "%s: states the unknown tokenizer %d", f->path, h[TOKENIZER]);
    for (int i = UNUSED; i < HEADER_INTS; i++) {
        check(h[i] == 0, "%s: header entry %d is %d, version %d has 0 there", f->path, i, h[i], VERSION);
    }
    // Both factors are below 2^31, so three times their product is below 2^64.
    uint64_t rows = (uint64_t)h[ROWS], T = (uint64_t)h[LENGTH], bytes = HEADER_BYTES + rows * ((T + 1) * sizeof(uint16_t) + T);
    check(f->bytes == bytes, "%s: has %zu bytes, should have %llu for the %d rows of length %d it states; is it complete?",
          f->path, f->bytes, (unsigned long long)bytes, h[ROWS], h[LENGTH]);
}

static void check_example(const DataFile* f, size_t row, size_t T) {
    const uint16_t* x = tokens(f) + row * (T + 1);
    const unsigned char* mask = masks(f, T) + row * T;
    int vocab_size = header(f)[VOCAB], trained = 0;
    for (size_t t = 0; t <= T; t++) {
        check(x[t] < vocab_size, "%s: row %zu (from 0), position %zu: token %d is not below the vocabulary of %d",
              f->path, row, t, x[t], vocab_size);
    }
    for (size_t t = 0; t < T; t++) {
        check(mask[t] <= 1, "%s: row %zu (from 0), position %zu: the mask is %d, not 0 or 1", f->path, row, t, mask[t]);
        trained |= mask[t];
    }
    check(trained || header(f)[KIND] == KIND_PROMPTS, "%s: row %zu (from 0) has no position that is trained on", f->path, row);
}

static size_t examples_rows(DataFile* f) {
    check_examples_header(f);
    f->rows = (size_t)header(f)[ROWS];
    for (size_t row = 0; row < f->rows; row++) { check_example(f, row, (size_t)header(f)[LENGTH]); }
    return f->rows;
}

// A pattern that matches nothing stands for itself: a file may have brackets in its name, and otherwise
// its opening says what is missing.
static glob_t find_files(const char* pattern) {
    glob_t found = {0};
    check(glob(pattern, GLOB_NOCHECK, NULL, &found) == 0, "%s: out of memory for the files that match", pattern);
    return found;
}

size_t dataset_row_length(const char* pattern) {
    glob_t found = find_files(pattern);
    DataFile first = map_file(found.gl_pathv[0]);
    size_t T = 0;
    if (is_examples(&first)) {
        check_examples_header(&first);
        T = (size_t)header(&first)[LENGTH];
    }
    unmap_file(&first);
    globfree(&found);
    return T;
}

// What the first file is, the dataset is.
static void describe(Dataset* d, size_t T) {
    const DataFile* first = &d->file[0];
    const int32_t* h = header(first);
    d->examples = is_examples(first);
    if (!d->examples) {
        check(T > 0, "%s: token shards need a row length above 0; use --seq", first->path);
        d->T = T;
        d->tokenizer = TOKENIZER_NONE;
        return;
    }
    check_examples_header(first);
    d->T = (size_t)h[LENGTH];
    d->vocab_size = h[VOCAB];
    d->kind = (ExamplesKind)h[KIND];
    d->together = d->kind == KIND_PAIRS ? 2 : 1;
    d->tokenizer = (TokenizerKind)h[TOKENIZER];
}

static void check_alike(const DataFile* f, const DataFile* first) {
    static const char* const names[] = { [LENGTH] = "row length", [VOCAB] = "vocabulary", [KIND] = "kind", [TOKENIZER] = "tokenizer" };
    check(is_examples(f) == is_examples(first), "%s: holds %s, but %s holds %s; the files of one dataset must be alike",
          f->path, is_examples(f) ? "examples" : "tokens", first->path, is_examples(first) ? "examples" : "tokens");
    for (int i = LENGTH; i < UNUSED && is_examples(f); i++) {
        check(header(f)[i] == header(first)[i], "%s: has %s %d, but %s has %d; the files of one dataset must be alike",
              f->path, names[i], header(f)[i], first->path, header(first)[i]);
    }
}

Dataset dataset_open(const char* pattern, size_t T) {
    glob_t found = find_files(pattern);
    Dataset d = { .num_files = found.gl_pathc, .together = 1 };
    d.file = calloc(d.num_files, sizeof(DataFile));
    check(d.file != NULL, "%s: out of memory for %zu files", pattern, d.num_files);
    for (size_t i = 0; i < d.num_files; i++) {
        DataFile* f = &d.file[i];
        *f = map_file(found.gl_pathv[i]);
        if (i == 0) { describe(&d, T); }
        check_alike(f, &d.file[0]);
        f->rows = d.examples ? examples_rows(f) : shard_rows(f, d.T);
        d.rows += f->rows;
    }
    // A shuffled order counts rows with 32 bits.
    check(d.rows <= UINT32_MAX, "%s: has %zu rows, at most %u can be kept in order; use a longer --seq or fewer files",
          pattern, d.rows, UINT32_MAX);
    globfree(&found);
    return d;
}

void dataset_close(Dataset* d) {
    for (size_t i = 0; i < d->num_files; i++) { unmap_file(&d->file[i]); }
    free(d->file);
    *d = (Dataset){0};
}

static void copy_tokens(const DataFile* f, size_t row, const uint16_t* from, int vocab_size, int* to, size_t n) {
    for (size_t t = 0; t < n; t++) {
        check(from[t] < vocab_size,
              "%s: row %zu (from 0): token %d is not below the model's vocabulary of %d; was it made with another tokenizer?",
              f->path, row, from[t], vocab_size);
        to[t] = from[t];
    }
}

int dataset_domain(const Dataset* d, size_t row) {
    int file = 0;
    while (row >= d->file[file].rows) { row -= d->file[file++].rows; }
    return file;
}

void dataset_row(const Dataset* d, size_t row, int vocab_size, int* inputs, int* targets, unsigned char* mask, size_t T) {
    check(row < d->rows && T >= d->T, "row %zu into %zu positions: the data has %zu rows of %zu", row, T, d->rows, d->T);
    const DataFile* f = d->file;
    while (row >= f->rows) { row -= f->rows; f++; }

    const uint16_t* x = tokens(f) + row * (d->examples ? d->T + 1 : d->T);
    copy_tokens(f, row, x, vocab_size, inputs, d->T);
    copy_tokens(f, row, x + 1, vocab_size, targets, d->T);
    if (d->examples) { memcpy(mask, masks(f, d->T) + row * d->T, d->T); } else { memset(mask, 1, d->T); }

    size_t rest = T - d->T;
    memset(inputs + d->T, 0, rest * sizeof(int));
    memset(targets + d->T, 0, rest * sizeof(int));
    memset(mask + d->T, 0, rest);
}

static void begin_epoch(Reader* r) {
    if (!r->shuffle) { return; }
    Rng rng = rng_seed(r->seed, r->epoch, 0);
    size_t count = r->data->rows / r->data->together;
    for (size_t i = 0; i < count; i++) { r->order[i] = (uint32_t)i; }
    rng_shuffle(&rng, r->order, count);
}

Reader reader_open(const Dataset* d, uint64_t seed, int shuffle) {
    Reader r = { .data = d, .seed = seed, .shuffle = shuffle };
    if (shuffle) {
        r.order = malloc(d->rows * sizeof(uint32_t));
        check(r.order != NULL, "out of memory for the order of %zu rows", d->rows);
    }
    begin_epoch(&r);
    return r;
}

size_t reader_next(Reader* r) {
    if (r->position == r->data->rows) {
        r->epoch++;
        r->position = 0;
        begin_epoch(r);
    }
    size_t row = r->position++, together = r->data->together;
    return r->shuffle ? r->order[row / together] * together + row % together : row;
}

void reader_seek(Reader* r, uint64_t epoch, uint64_t position) {
    check(position <= r->data->rows, "cannot continue at row %llu of an epoch: the data has %zu rows; is it the data the run began with?",
          (unsigned long long)position, r->data->rows);
    r->epoch = epoch;
    r->position = position;
    begin_epoch(r);
}

void reader_close(Reader* r) {
    free(r->order);
    *r = (Reader){0};
}

void tokens_write(const char* path, const uint16_t* x, size_t count) {
    check(count <= INT32_MAX, "%s: %zu tokens, one file can state at most %d; split the text", path, count, INT32_MAX);
    int32_t h[HEADER_INTS] = { MAGIC_TOKENS, VERSION, (int32_t)count };
    Output o = output_open(path);
    output_write(&o, h, sizeof(h));
    output_write(&o, x, count * sizeof(uint16_t));
    output_close(&o);
}

void examples_write(const char* path, const uint16_t* x, const unsigned char* mask, size_t rows, size_t T,
                    int vocab_size, ExamplesKind kind, TokenizerKind tokenizer) {
    check(rows <= INT32_MAX && T <= INT32_MAX, "%s: %zu rows of length %zu, a file can state at most %d", path, rows, T, INT32_MAX);
    int32_t h[HEADER_INTS] = { MAGIC_EXAMPLES, VERSION, [ROWS] = (int32_t)rows, [LENGTH] = (int32_t)T,
                               [VOCAB] = vocab_size, [KIND] = (int32_t)kind, [TOKENIZER] = (int32_t)tokenizer };
    Output o = output_open(path);
    output_write(&o, h, sizeof(h));
    output_write(&o, x, rows * (T + 1) * sizeof(uint16_t));
    output_write(&o, mask, rows * T);
    output_close(&o);
}
