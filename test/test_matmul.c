// test_matmul.c -- the linear layer against plain loops, at every kind of edge.
//
// The data are small integers: every sum of them is exact in any order, so results must be equal, and
// not only close, to those of the plain loops.
#include "../llmc/matmul.h"
#include "test.h"

#include <omp.h>
#include <stdlib.h>

// clang's OpenMP library, asked for more threads than before, leaves its old table of them behind.
const char* __lsan_default_suppressions(void);
const char* __lsan_default_suppressions(void) { return "leak:libomp"; }

// Arguments, what the functions made of them, and what they should have.
#define TENSORS(X) \
    X(inp, N*C)      X(weight, OC*C)       X(bias, OC)            X(dout, N*OC)     \
    X(out, N*OC)     X(dinp, N*C)          X(dweight, OC*C)       X(dbias, OC)      \
    X(want_out, N*OC) X(want_dinp, N*C)    X(want_dweight, OC*C)  X(want_dbias, OC)

#define FIELD(name, size) float* name;
typedef struct { int N, C, OC; TENSORS(FIELD) } Layer;

static void fill_integers(float* x, size_t n, uint64_t* rng) {
    for (size_t i = 0; i < n; i++) { x[i] = floorf(4.0f * test_uniform(rng)); }
}

// Every tensor is an array of its own and no longer than it must be: the sanitizers see one element
// too many.
static float* take(size_t n, uint64_t* rng) {
    float* x = (float*)malloc(n * sizeof(float) + (n == 0));
    if (x == NULL) { abort(); }
    fill_integers(x, n, rng);
    return x;
}

// Fixed sizes and seed give the same layer each time. What is to be overwritten holds numbers too.
static Layer layer_create(int rows, int inputs, int outputs) {
    uint64_t rng = 1;
    size_t N = (size_t)rows, C = (size_t)inputs, OC = (size_t)outputs;
    Layer l = { .N = rows, .C = inputs, .OC = outputs };
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

static void run(Layer* l, int with_bias) {
    matmul_forward(l->out, l->inp, l->weight, with_bias ? l->bias : NULL, l->N, l->C, l->OC);
    matmul_backward_input(l->dinp, l->dout, l->weight, l->N, l->C, l->OC);
    matmul_backward_params(l->dweight, with_bias ? l->dbias : NULL, l->dout, l->inp, l->N, l->C, l->OC);
}

static void run_plainly(Layer* l, int with_bias) {
    size_t N = (size_t)l->N, C = (size_t)l->C, OC = (size_t)l->OC;
    memset(l->want_dinp, 0, N*C * sizeof(float));
    for (size_t n = 0; n < N; n++) {
        for (size_t o = 0; o < OC; o++) {
            float dy = l->dout[n*OC + o], sum = with_bias ? l->bias[o] : 0.0f;
            for (size_t c = 0; c < C; c++) {
                sum += l->inp[n*C + c] * l->weight[o*C + c];
                l->want_dinp[n*C + c] += dy * l->weight[o*C + c];
                l->want_dweight[o*C + c] += dy * l->inp[n*C + c];
            }
            l->want_out[n*OC + o] = sum;
            if (with_bias) { l->want_dbias[o] += dy; }
        }
    }
}

static int equal(const float* got, const float* want, size_t n) { // not memcmp: 0 and -0 are equal
    size_t same = 0;
    for (size_t i = 0; i < n; i++) { same += got[i] == want[i]; }
    return same == n;
}

static void expect_results(const Layer* l) {
    size_t N = (size_t)l->N, C = (size_t)l->C, OC = (size_t)l->OC;
    int before = test_failures;
    expect(equal(l->out, l->want_out, N*OC));
    expect(equal(l->dinp, l->want_dinp, N*C));
    expect(equal(l->dweight, l->want_dweight, OC*C));
    expect(equal(l->dbias, l->want_dbias, OC));
    if (test_failures > before) { fprintf(stderr, "  N = %d, C = %d, OC = %d\n", l->N, l->C, l->OC); }
}

static void expect_plain(int N, int C, int OC, int with_bias) {
    Layer l = layer_create(N, C, OC);
    run_plainly(&l, with_bias);
    run(&l, with_bias);
    expect_results(&l);
    matmul_forward_rows(l.out, l.inp, l.weight, with_bias ? l.bias : NULL, l.N, l.C, l.OC);
    expect_results(&l);
    layer_free(&l);
}

// Around the sizes of a vector and a tile, for 4, 8 and 16 lanes and 6, 12 and 14 rows.
static void test_tile_edges(void) {
    static const int sizes[] = { 0, 1, 3, 6, 7, 8, 13, 14, 15, 16, 17, 31, 33, 41 };
    const int count = sizeof(sizes) / sizeof(sizes[0]);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            for (int k = 0; k < count; k++) { expect_plain(sizes[i], sizes[j], sizes[k], (i + j + k) % 2); }
        }
    }
}

// Around the depth of a block (256) and its width (384), with enough rows to pack b for and too few,
// and with a b too large to be used where it is.
static void test_block_edges(void) {
    static const int sizes[][3] = {
        { 1, 257, 401 }, { 3, 521, 31 }, { 5, 255, 97 }, { 67, 256, 385 }, { 129, 257, 131 },
        { 256, 61, 383 }, { 257, 67, 29 }, { 521, 37, 53 }, { 4, 67, 1031 }, { 61, 1031, 41 }, { 131, 3, 769 },
        { 1031, 31, 33 }, { 113, 127, 149 }, { 2, 1009, 1013 },
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        expect_plain(sizes[i][0], sizes[i][1], sizes[i][2], i % 4 != 3);
    }
}

// With numbers that round: the error of a sum of K products, against one in double precision.
static void test_rounding(void) {
    enum { N = 37, C = 700, OC = 45 };
    Layer l = layer_create(N, C, OC);
    uint64_t rng = 2;
    test_fill(l.inp, N*C, &rng);
    test_fill(l.weight, OC*C, &rng);
    for (int n = 0; n < N; n++) {
        for (int o = 0; o < OC; o++) {
            double sum = l.bias[o];
            for (int c = 0; c < C; c++) { sum += (double)l.inp[n*C + c] * l.weight[o*C + c]; }
            l.want_out[n*OC + o] = (float)sum;
        }
    }
    matmul_forward(l.out, l.inp, l.weight, l.bias, N, C, OC);
    expect_close(l.out, l.want_out, N*OC, 1e-6f);
    layer_free(&l);
}

// The results of a layer with numbers that round, in want_*, computed by so many threads.
static Layer rounded_by(int threads) {
    Layer l = layer_create(150, 170, 190);
    uint64_t rng = 3;
    int before = omp_get_max_threads();
    test_fill(l.inp, 150*170, &rng);
    test_fill(l.weight, 190*170, &rng);
    test_fill(l.dout, 150*190, &rng);
    omp_set_num_threads(threads);
    run(&l, 1);
    omp_set_num_threads(before);
    return l;
}

static void expect_same_bits(const Layer* x, const Layer* y) {
    size_t N = (size_t)x->N, C = (size_t)x->C, OC = (size_t)x->OC;
    expect(memcmp(x->out, y->out, N*OC * sizeof(float)) == 0);
    expect(memcmp(x->dinp, y->dinp, N*C * sizeof(float)) == 0);
    expect(memcmp(x->dweight, y->dweight, OC*C * sizeof(float)) == 0);
    expect(memcmp(x->dbias, y->dbias, OC * sizeof(float)) == 0);
}

static void test_same_bits_again(void) {
    for (int threads = 1; threads <= 4; threads++) {
        Layer first = rounded_by(threads), second = rounded_by(threads);
        expect_same_bits(&first, &second);
        layer_free(&first);
        layer_free(&second);
    }
}

// Every division of the work among threads covers all of it, once. The sizes are just large enough to
// be divided.
static void test_any_number_of_threads(void) {
    static const int sizes[][3] = {
        { 7, 400, 401 }, { 400, 401, 7 }, { 401, 7, 400 }, { 1, 1013, 1019 }, { 101, 102, 103 },
    };
    int before = omp_get_max_threads();
    for (int threads = 1; threads <= 7; threads += 2) {
        omp_set_num_threads(threads);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            expect_plain(sizes[i][0], sizes[i][1], sizes[i][2], 1);
        }
    }
    omp_set_num_threads(before);
}

static void test_inside_a_parallel_region(void) {
    enum { CALLS = 24 };
    Layer want = layer_create(120, 130, 140), got[CALLS];
    run(&want, 1);
    for (int i = 0; i < CALLS; i++) { got[i] = layer_create(120, 130, 140); }
    #pragma omp parallel for num_threads(4)
    for (int i = 0; i < CALLS; i++) { run(&got[i], 1); }
    for (int i = 0; i < CALLS; i++) {
        expect_same_bits(&got[i], &want);
        layer_free(&got[i]);
    }
    layer_free(&want);
}

// NaN stays in the row, or column, it was put into; infinity and zero are multiplied honestly.
static void test_nan_stays_in_its_row(void) {
    enum { N = 45, C = 35, OC = 43, bad = 17 };
    Layer l = layer_create(N, C, OC), clean = layer_create(N, C, OC);
    for (int c = 0; c < C; c++) { l.inp[bad*C + c] = NAN; }
    for (int o = 0; o < OC; o++) { l.dout[bad*OC + o] = NAN; }
    run(&l, 1);
    run(&clean, 1);
    for (int n = 0; n < N; n++) {
        expect(n == bad ? isnan(l.out[n*OC]) && isnan(l.out[n*OC + OC-1])
                        : equal(l.out + n*OC, clean.out + n*OC, OC));
        expect(n == bad ? isnan(l.dinp[n*C]) && isnan(l.dinp[n*C + C-1])
                        : equal(l.dinp + n*C, clean.dinp + n*C, C));
    }
    layer_free(&l);
    l = layer_create(N, C, OC);
    for (int n = 0; n < N; n++) { l.dout[n*OC + bad] = NAN; }
    layer_free(&clean);
    clean = layer_create(N, C, OC);
    run(&l, 1);
    run(&clean, 1);
    for (int o = 0; o < OC; o++) {
        expect(o == bad ? isnan(l.dweight[o*C]) && isnan(l.dbias[o])
                        : equal(l.dweight + o*C, clean.dweight + o*C, C) && l.dbias[o] == clean.dbias[o]);
    }
    layer_free(&l);
    layer_free(&clean);
}

// A decoder's rows have the same bits however many go together; C is of several depths that are no whole vectors.
static void test_rows_alone(void) {
    static const int sizes[][2] = { { 700, 45 }, { 17, 33 }, { 16, 16 }, { 257, 7 }, { 9, 20 } };
    enum { N = 31 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int C = sizes[i][0], OC = sizes[i][1];
        Layer l = layer_create(N, C, OC);
        for (int k = 0; k < N * C; k++) { l.inp[k] *= 0.3f; }
        for (int k = 0; k < OC * C; k++) { l.weight[k] *= 0.7f; }
        matmul_forward_rows(l.want_out, l.inp, l.weight, l.bias, N, C, OC);
        for (int n = 0; n < N; n++) {
            for (int rows = 1; rows <= 6 && n + rows <= N; rows++) {
                matmul_forward_rows(l.out, l.inp + n * C, l.weight, l.bias, rows, C, OC);
                expect(equal(l.out, l.want_out + n * OC, (size_t)(rows * OC)));
            }
        }
        layer_free(&l);
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "matmul/tile_edges", test_tile_edges },
        { "matmul/block_edges", test_block_edges },
        { "matmul/rounding", test_rounding },
        { "matmul/same_bits_again", test_same_bits_again },
        { "matmul/any_number_of_threads", test_any_number_of_threads },
        { "matmul/inside_a_parallel_region", test_inside_a_parallel_region },
        { "matmul/nan_stays_in_its_row", test_nan_stays_in_its_row },
        { "matmul/rows_alone", test_rows_alone },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
