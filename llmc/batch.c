// batch.c -- the data of one optimizer step.
#include "batch.h"

static void layout(Batch* b) {
    size_t rows = (size_t)b->accumulate * (size_t)(b->n + b->m), positions = rows * (size_t)b->T;
    b->inputs = arena_take(&b->arena, sizeof(int) * positions);
    b->targets = arena_take(&b->arena, sizeof(int) * positions);
    b->mask = arena_take(&b->arena, positions);
    b->weight = arena_take(&b->arena, sizeof(float) * positions);
    b->usable = arena_take(&b->arena, rows);
    b->domain = arena_take(&b->arena, sizeof(int) * rows);
}

Batch batch_create(int n, int m, int T, int accumulate) {
    Batch b = { .n = n, .m = m, .T = T, .accumulate = accumulate };
    layout(&b);
    arena_alloc(&b.arena, "the batch");
    layout(&b);
    return b;
}

void batch_free(Batch* b) { arena_free(&b->arena); }

int batch_trained(const Batch* b, size_t row) {
    const unsigned char* mask = b->mask + row * (size_t)b->T;
    int count = 0;
    for (int t = 0; t < b->T; t++) { count += mask[t] != 0; }
    return count;
}

void batch_row(Batch* b, size_t row, const Dataset* data, size_t from, int vocab_size) {
    size_t at = row * (size_t)b->T;
    dataset_row(data, from, vocab_size, b->inputs + at, b->targets + at, b->mask + at, (size_t)b->T);
    b->usable[row] = batch_trained(b, row) > 0;
    b->domain[row] = dataset_domain(data, from);
}

void batch_fill(Batch* b, Reader* general, Reader* target, int with_general, int vocab_size) {
    for (int a = 0; a < b->accumulate; a++) {
        size_t row = (size_t)a * (size_t)(b->n + b->m), first = row + (size_t)b->n;
        for (int i = 0; with_general && i < b->n; i++) { batch_row(b, row + (size_t)i, general->data, reader_next(general), vocab_size); }
        for (int j = 0; j < b->m; j++) { batch_row(b, first + (size_t)j, target->data, reader_next(target), vocab_size); }
    }
}

Count batch_count(const Batch* b, int first, int end) {
    Count c = { 0, 0 };
    for (int a = 0; a < b->accumulate; a++) {
        for (int i = first; i < end; i++) {
            size_t row = (size_t)a * (size_t)(b->n + b->m) + (size_t)i;
            c.rows += b->usable[row];
            c.tokens += batch_trained(b, row);
        }
    }
    return c;
}

void batch_weigh(Batch* b, int first, int end, int by_tokens, double total) {
    Count all = batch_count(b, first, end);
    for (int a = 0; a < b->accumulate; a++) {
        for (int i = first; i < end; i++) {
            size_t row = (size_t)a * (size_t)(b->n + b->m) + (size_t)i, at = row * (size_t)b->T;
            double share = by_tokens ? total / (double)all.tokens : total / ((double)all.rows * batch_trained(b, row));
            for (int t = 0; t < b->T; t++) { b->weight[at + (size_t)t] = b->mask[at + (size_t)t] ? (float)share : 0.0f; }
        }
    }
}
