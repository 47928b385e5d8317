// batch.h -- the data of one optimizer step: micro-batches of n general rows and, behind them, m target rows.
#ifndef LLMC_BATCH_H
#define LLMC_BATCH_H

#include "arena.h"
#include "dataset.h"

typedef struct {
    int n, m, T, accumulate;
    int *inputs, *targets;        // (accumulate, n+m, T)
    unsigned char* mask;          // (accumulate, n+m, T) 1: trained on
    float* weight;                // (accumulate, n+m, T) share of the loss
    unsigned char* usable;        // (accumulate, n+m) 1: the row has a trained token
    int* domain;                  // (accumulate, n+m) which file of its data the row comes from
    Arena arena;
} Batch;

Batch batch_create(int n, int m, int T, int accumulate);
void batch_free(Batch* b);

// Row `from` of the data as row `row` of the batch, counted through all micro-batches.
void batch_row(Batch* b, size_t row, const Dataset* data, size_t from, int vocab_size);

// The next rows of both readers; one that is not needed (n or m is 0) may be empty, and without `with_general` the general rows
// stay what they were.
void batch_fill(Batch* b, Reader* general, Reader* target, int with_general, int vocab_size);

int batch_trained(const Batch* b, size_t row);    // trained tokens of a row

// Usable rows and trained tokens, of the rows [first, end) of all micro-batches.
typedef struct { long rows, tokens; } Count;
Count batch_count(const Batch* b, int first, int end);

// Weighs the rows [first, end) of all micro-batches so that each usable row counts alike (or each trained token,
// by_tokens) and all of them together `total`.
void batch_weigh(Batch* b, int first, int end, int by_tokens, double total);

#endif // LLMC_BATCH_H
