// text_files.h -- the data programs that write lines of text, run from a test, and their files read back as text.
#ifndef TEST_TEXT_FILES_H
#define TEST_TEXT_FILES_H

#include "scratch.h"
#include "test.h"
#include "../llmc/dataset.h"

#include <fcntl.h>
#include <string.h>

typedef struct {
    char text[40];     // all tokens before the padding
    char trained[40];  // those among the targets that are trained on, or that are the answer; 256 is a dot
    int before;        // tokens before the first of them
} TextRow;

// Its output thrown away.
static int run_quietly(int (*program)(int, char**), int argc, char** argv) {
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDOUT_FILENO);
    int status = program(argc, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(nothing);
    return status;
}

static TextRow read_text_row(const Dataset* d, size_t number) {
    int in[40], out[40], n = 0, trained = 0;
    unsigned char mask[40];
    TextRow r = { .before = -1 };
    dataset_row(d, number, 257, in, out, mask, d->T);
    while (n < (int)d->T && in[n] != 256) { r.text[n] = (char)in[n]; n++; }
    if (n == (int)d->T && out[n - 1] != 256) { r.text[n] = (char)out[n - 1]; }
    for (int t = 0; t < (int)d->T; t++) {
        if (!mask[t]) { continue; }
        if (r.before < 0) { r.before = t + 1; }
        r.trained[trained++] = out[t] == 256 ? '.' : (char)out[t];
    }
    return r;
}

// The whole file; the caller frees the rows.
static TextRow* read_text_file(const char* path, ExamplesKind kind, size_t* count) {
    Dataset d = dataset_open(path, 0);
    expect(d.kind == kind && d.vocab_size == 257 && d.tokenizer == TOKENIZER_BYTES && d.T < 40);
    TextRow* rows = calloc(d.rows, sizeof(TextRow));
    for (size_t i = 0; i < d.rows; i++) { rows[i] = read_text_row(&d, i); }
    *count = d.rows;
    dataset_close(&d);
    return rows;
}

// Within five standard deviations of what `p` of n would be.
static int is_share(size_t count, size_t n, double p) {
    return fabs((double)count - p * (double)n) <= 5.0 * sqrt(p * (1.0 - p) * (double)n);
}

#endif // TEST_TEXT_FILES_H
