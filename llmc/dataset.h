// dataset.h -- rows of tokens to train on, out of token shards or out of an examples file.
//
// A row is T inputs, T targets (the inputs one position later) and T mask values: 1 where the
// target is trained on. Token shards are one stream cut into rows, every position trained on; an
// examples file has rows of its own, with their masks.
#ifndef LLMC_DATASET_H
#define LLMC_DATASET_H

#include <stddef.h>
#include <stdint.h>

enum {
    MAGIC_TOKENS = 20240520,   // llm.c's token shard, version 1
    MAGIC_EXAMPLES = 20260507, // this project's examples, version 1
};
typedef enum { KIND_EXAMPLES = 0, KIND_PAIRS = 1, KIND_PROMPTS = 2 } ExamplesKind;
typedef enum { TOKENIZER_BYTES = 0, TOKENIZER_GPT2 = 1, TOKENIZER_NONE = 2 } TokenizerKind; // NONE: ids that stand for no text

typedef struct {
    char* path;
    const unsigned char* map;  // the file, read-only
    size_t bytes;
    size_t rows;
} DataFile;

typedef struct {
    DataFile* file;
    size_t num_files;
    size_t rows;               // in all files
    size_t T;                  // of one row in the files (token shards: as asked for)
    int examples;              // 1: the files are examples, 0: token shards
    int vocab_size;            // examples: as stated by the files; token shards: 0, unknown
    ExamplesKind kind;         // examples only: what the rows are for; token shards: KIND_EXAMPLES
    size_t together;           // rows that no reader takes apart: 2, a pair, or 1
    TokenizerKind tokenizer;   // token shards, which do not say: TOKENIZER_NONE
} Dataset;

// Opens a file or all files that match a glob pattern, in sorted order; they must be of one format.
// T is the row length for token shards, and is not used for examples. Every size is checked against
// the file; examples are checked whole (tokens below their vocabulary, a trained position in each row
// of kinds 0 and 1). Ends the program naming the file, the row and the fault.
Dataset dataset_open(const char* pattern, size_t T);
void dataset_close(Dataset* d);

// Is the first file that matches an examples file? Then its row length, else (token shards) 0.
size_t dataset_row_length(const char* pattern);

// Row number `row` into inputs, targets (T) and mask (T), T >= d->T; the rest is filled with token 0 and mask 0.
// Ends the program if a token is not below vocab_size.
void dataset_row(const Dataset* d, size_t row, int vocab_size, int* inputs, int* targets, unsigned char* mask, size_t T);

// The number of the file that a row is in.
int dataset_domain(const Dataset* d, size_t row);

// A reader takes rows one after another without end. Epoch e visits every row once, in the order of
// the stream (seed, e), or in file order; rows that belong together come one behind the other. (epoch, position) is its whole state.
typedef struct {
    const Dataset* data;
    uint64_t seed;
    int shuffle;
    uint64_t epoch, position;
    uint32_t* order;           // of this epoch: what comes first of the rows that belong together, divided by their number
} Reader;

Reader reader_open(const Dataset* d, uint64_t seed, int shuffle);
size_t reader_next(Reader* r);                                   // the number of the next row
void reader_seek(Reader* r, uint64_t epoch, uint64_t position);
void reader_close(Reader* r);

// Writing. tokens (rows, T+1), mask (rows, T).
void tokens_write(const char* path, const uint16_t* tokens, size_t count);
void examples_write(const char* path, const uint16_t* tokens, const unsigned char* mask, size_t rows, size_t T,
                    int vocab_size, ExamplesKind kind, TokenizerKind tokenizer);

#endif // LLMC_DATASET_H
