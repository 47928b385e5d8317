// test_matmul.c -- the linear layer against three plain loops, at every kind of edge.
#include "../llmc/matmul.h"
#include "test.h"

#include <omp.h>
#include <stdlib.h>

typedef struct {
    int N, C, OC;
    float *inp, *weight, *bias, *dout;          // arguments
    float *out, *dinp, *dweight, *dbias;        // results
    float *want_out, *want_dinp, *want_dweight, *want_dbias;
} Layer;

// An array of its own for every tensor, no longer than it must be, so that the sanitizers see one
// element too many.
static float* take(size_t n, uint64_t* rng) {
    float* x = (float*)malloc((n ? n : 1) * sizeof(float));
    if (x == NULL) { abort(); }
    test_fill(x, n, rng);
    return x;
}

#define TENSORS(X) \
    X(inp, N*C) X(weight, OC*C) X(bias, OC) X(dout, N*OC) \
    X(out, N*OC) X(dinp, N*C) X(dweight, OC*C) X(dbias, OC) \
    X(want_out, N*OC) X(want_dinp, N*C) X(want_dweight, OC*C) X(want_dbias, OC)

static Layer layer_create(int n, int c, int oc) {
    uint64_t rng = 1;
    size_t N = (size_t)n, C = (size_t)c, OC = (size_t)oc;
    Layer l = { .N = n, .C = c, .OC = oc };
    #define TAKE(name, size) l.name = take(size, &rng);
    TENSORS(TAKE)
    memcpy(l.want_dweight, l.dweight, OC*C * sizeof(float)); // what the gradients are added to
    memcpy(l.want_dbias, l.dbias, OC * sizeof(float));
    return l;
}

static void layer_free(Layer* l) {
    #define FREE(name, size) free(l->name);
    TENSORS(FREE)
}

static void plain(Layer* l, int with_bias) {
    size_t N = (size_t)l->N, C = (size_t)l->C, OC = (size_t)l->OC;
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < OC; o++) {
            double sum = with_bias ? l->bias[o] : 0.0;
            for (size_t c = 0; c < C; c++) { sum += (double)l->inp[n*C + c] * l->weight[o*C + c]; }
            l->want_out[n*OC + o] = (float)sum;
        }
        for (size_t c = 0; c < C; c++) {
            double sum = 0.0;
            for (size_t o = 0; o < OC; o++) { sum += (double)l->dout[n*OC + o] * l->weight[o*C + c]; }
            l->want_dinp[n*C + c] = (float)sum;
        }
    }
    for (size_t o = 0; o < OC; o++) {
        double sum = l->want_dbias[o];
        for (size_t n = 0; n < N; n++) { sum += l->dout[n*OC + o]; }
        l->want_dbias[o] = (float)sum;
        for (size_t c = 0; c < C; c++) {
            double dot = l->want_dweight[o*C + c];
            for (size_t n = 0; n < N; n++) { dot += (double)l->dout[n*OC + o] * l->inp[n*C + c]; }
            l->want_dweight[o*C + c] = (float)dot;
        }
    }
}

static void run_layer(Layer* l, int with_bias) {
    matmul_forward(l->out, l->inp, l->weight, with_bias ? l->bias : NULL, l->N, l->C, l->OC);
    matmul_backward_input(l->dinp, l->dout, l->weight, l->N, l->C, l->OC);
    matmul_backward_params(l->dweight, with_bias ? l->dbias : NULL, l->dout, l->inp, l->N, l->C, l->OC);
}

static void expect_plain(int N, int C, int OC, int with_bias) {
    Layer l = layer_create(N, C, OC);
    size_t n = (size_t)N, c = (size_t)C, oc = (size_t)OC;
    int before = test_failures;
    if (!with_bias) { memcpy(l.want_dbias, l.dbias, oc * sizeof(float)); }
    plain(&l, with_bias);
    run_layer(&l, with_bias);
    expect_close(l.out, l.want_out, n*oc, 1e-5f);
    expect_close(l.dinp, l.want_dinp, n*c, 1e-5f);
    expect_close(l.dweight, l.want_dweight, oc*c, 1e-5f);
    if (with_bias) { expect_close(l.dbias, l.want_dbias, oc, 1e-5f); }
    if (test_failures > before) { fprintf(stderr, "  N=%d C=%d OC=%d bias=%d\n", N, C, OC, with_bias); }
    layer_free(&l);
}

static void test_small_sizes(void) {
    const int sizes[] = { 0, 1, 2, 3, 5, 6, 7, 8, 11, 13, 14, 15, 16, 17, 31, 32, 33, 41 };
    const int count = sizeof(sizes) / sizeof(sizes[0]);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            for (int k = 0; k < count; k++) { expect_plain(sizes[i], sizes[j], sizes[k], (i + j + k) % 2); }
        }
    }
}

static void test_block_edges(void) {
    const int sizes[] = { 1, 29, 64, 255, 257, 383, 385, 521, 769 };
    const int count = sizeof(sizes) / sizeof(sizes[0]);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < 3; j++) {
            expect_plain(sizes[i], sizes[(i + 3*j + 1) % count], sizes[(i + 2*j + 4) % count], 1);
        }
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "matmul/small_sizes", test_small_sizes },
        { "matmul/block_edges", test_block_edges },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
