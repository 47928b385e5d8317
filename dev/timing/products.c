// products.c -- matmul_forward (NT), matmul_backward_input (NN) and matmul_backward_params (TN), each beside cblas_sgemm.
#include "products.h"
#include "peak.h"
#include "worker.h"
#include "../../llmc/check.h"
#include "../../llmc/matmul.h"
#include "../../llmc/runlog.h"

#include <dlfcn.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

typedef struct { int C, OC; } Layer;
typedef struct { const char* name; Layer layer[8]; int count; } Family;

static const Family families[] = {
    { "768 channels", { { 768, 768 }, { 768, 2304 }, { 768, 3072 }, { 3072, 768 } }, 4 },
    { "128 to 384 channels", { { 128, 128 }, { 128, 384 }, { 128, 512 }, { 512, 128 },
                                { 384, 384 }, { 384, 1152 }, { 384, 1536 }, { 1536, 384 } }, 8 },
    { "the vocabulary", { { 768, 50257 } }, 1 },
};
enum { NUM_FAMILIES = sizeof(families) / sizeof(families[0]) };
static const int row_counts[] = { 64, 256, 1024 };
static const char* const operations[] = { "NT", "NN", "TN" };
enum { NUM_OPERATIONS = 3 };

// ---------------------------------------------------------------------------------------------
// A contender.

typedef void Sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                   const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 }; // as cblas has it

typedef struct { int threads, blas; } Job;

// float* to a function cannot be written as a conversion in C.
static int find_function(void* library, const char* name, void* function, size_t size) {
    void* symbol = library ? dlsym(library, name) : NULL;
    memcpy(function, &symbol, size);
    return symbol != NULL;
}

// NULL: OpenBLAS is not installed. description: its version and kernels.
static Sgemm* open_blas(int threads, const char** description) {
    Sgemm* sgemm;
    void (*set_threads)(int);
    char* (*config)(void);
    void* library = dlopen("libopenblas.so.0", RTLD_NOW);
    library = library ? library : dlopen("libopenblas.so", RTLD_NOW);
    library = library ? library : dlopen("libopenblas.dylib", RTLD_NOW);
    if (!find_function(library, "cblas_sgemm", &sgemm, sizeof(sgemm))) { return NULL; }
    if (!find_function(library, "openblas_set_num_threads", &set_threads, sizeof(set_threads))) { return NULL; }
    set_threads(threads);
    *description = find_function(library, "openblas_get_config", &config, sizeof(config)) ? config() : "OpenBLAS";
    return sgemm;
}

static float* filled(size_t n) {
    float* x = malloc(n * sizeof(float));
    check(x != NULL, "out of memory for a matrix of %zu floats", n);
    #pragma omp parallel for
    for (size_t i = 0; i < n; i++) { x[i] = (float)((uint32_t)i * 2654435761u >> 8) / 16777216.0f - 0.5f; }
    return x;
}

typedef struct { float *out, *inp, *weight; } Matrices; // the largest of all families

static void multiply(Sgemm* sgemm, char operation, const Matrices* x, int N, int C, int OC) {
    if (!sgemm && operation == 'F') { matmul_forward(x->out, x->inp, x->weight, NULL, N, C, OC); }
    else if (!sgemm && operation == 'I') { matmul_backward_input(x->inp, x->out, x->weight, N, C, OC); }
    else if (!sgemm) { matmul_backward_params(x->weight, NULL, x->out, x->inp, N, C, OC); }
    else if (operation == 'F') { sgemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, N, OC, C, 1.0f, x->inp, C, x->weight, C, 0.0f, x->out, OC); }
    else if (operation == 'I') { sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, N, C, OC, 1.0f, x->out, OC, x->weight, C, 0.0f, x->inp, C); }
    else { sgemm(ROW_MAJOR, TRANSPOSE, NO_TRANSPOSE, OC, C, N, 1.0f, x->out, OC, x->inp, C, 1.0f, x->weight, C); }
}

// Median of calls in GFLOP/s; the first, with the caches of somebody else, does not count.
static double gflops(Sgemm* sgemm, char operation, const Matrices* x, int N, int C, int OC) {
    enum { MOST_CALLS = 50 };
    double found[MOST_CALLS], began = seconds_now();
    int calls = -1;
    while (calls < 3 || (calls < MOST_CALLS && seconds_now() - began < 0.03)) {
        double start = seconds_now();
        multiply(sgemm, operation, x, N, C, OC);
        if (calls >= 0) { found[calls] = 2e-9 * N * C * OC / (seconds_now() - start); }
        calls++;
    }
    return median(found, calls);
}

// First line: what it is. Then a number for each "N C OC operation".
static void serve(FILE* in, FILE* out, const void* job) {
    const Job* j = job;
    const char* description = "matmul.h";
    omp_set_num_threads(j->threads);
    Sgemm* sgemm = j->blas ? open_blas(j->threads, &description) : NULL;
    if (j->blas && !sgemm) { return; }
    fprintf(out, "%s\n", description);
    Matrices x = { filled((size_t)1024 * 50257), filled((size_t)1024 * 3072), filled((size_t)768 * 50257) };
    char operation;
    for (int N, C, OC; fscanf(in, "%d %d %d %c", &N, &C, &OC, &operation) == 4; ) {
        fprintf(out, "%.9g\n", gflops(sgemm, operation, &x, N, C, OC));
    }
}

// ---------------------------------------------------------------------------------------------
// All shapes.

enum { OURS, BLAS, PEAK, NUM_WORKERS };
typedef struct { double log_share[NUM_OPERATIONS], log_ratio[NUM_OPERATIONS]; int count; } Means;

static void head_row(Table* t) {
    table_cell(t, "rows x inputs -> outputs");
    for (int o = 0; o < NUM_OPERATIONS; o++) {
        table_cell(t, "%s", operations[o]);
        table_cell(t, "of peak");
        table_cell(t, "OpenBLAS");
        table_cell(t, "ratio");
    }
    table_end_row(t);
}

static void shape_row(Table* t, Worker* w, Means* means, int N, Layer layer, int rounds) {
    table_cell(t, "%d x %d -> %d", N, layer.C, layer.OC);
    for (int o = 0; o < NUM_OPERATIONS; o++) {
        for (int i = OURS; i <= BLAS; i++) {
            snprintf(w[i].request, sizeof(w[i].request), "%d %d %d %c", N, layer.C, layer.OC, "FIW"[o]);
        }
        workers_take_turns(w, NUM_WORKERS, rounds);
        double ours = median(w[OURS].sample, rounds), blas = median(w[BLAS].sample, rounds);
        double share = ours / median(w[PEAK].sample, rounds), ratio = median_ratio(w[OURS].sample, w[BLAS].sample, rounds);
        table_number(t, ours, 0, "");
        table_number(t, 100 * share, 0, " %");
        table_number(t, blas, 0, "");
        table_number(t, ratio, 2, "");
        means->log_share[o] += log(share);
        means->log_ratio[o] += log(ratio);
    }
    means->count++;
    table_end_row(t);
}

static void mean_row(Table* t, const Means* means) {
    table_cell(t, "geometric mean");
    for (int o = 0; o < NUM_OPERATIONS; o++) {
        table_cell(t, " ");
        table_number(t, 100 * exp(means->log_share[o] / means->count), 0, " %");
        table_cell(t, " ");
        table_number(t, exp(means->log_ratio[o] / means->count), 2, "");
    }
    table_end_row(t);
}

static void family(const Report* report, Worker* w, const Family* f, int rounds, int num_row_counts) {
    Table* t = calloc(1, sizeof(Table));
    Means means = {0};
    check(t != NULL, "out of memory for a table");
    head_row(t);
    for (int i = 0; i < f->count; i++) {
        for (int k = 0; k < num_row_counts; k++) {
            fprintf(stderr, "%d rows, %d -> %d\n", row_counts[k], f->layer[i].C, f->layer[i].OC);
            shape_row(t, w, &means, row_counts[k], f->layer[i], rounds);
        }
    }
    mean_row(t, &means);
    report_heading(report, "Matrix products: %s", f->name);
    report_table(report, t);
    free(t);
}

void products_measure(const Report* report, int rounds, int threads, int quick) {
    Job job[2] = { { threads, 0 }, { threads, 1 } };
    char description[2][256] = { "", "" };
    Worker w[NUM_WORKERS] = {
        worker_start("matmul", serve, &job[OURS]),
        worker_start("OpenBLAS", serve, &job[BLAS]),
        worker_start("the peak", peak_serve, NULL),
    };
    w[BLAS].optional = 1;
    snprintf(w[PEAK].request, sizeof(w[PEAK].request), "%d", threads);
    for (int i = OURS; i <= BLAS; i++) { worker_text(&w[i], description[i], sizeof(description[i])); }
    report_text(report, "GFLOP/s with %d threads, medians of %d interleaved rounds. NT: forward, NN: gradient of the input, "
                "TN: gradient of the weight. "
                "Peak: multiply-adds on registers alone, vectors of %s, measured in turn with each. "
                "OpenBLAS: %s. Ratio: ours to OpenBLAS, above 1 ours is faster.",
                threads, rounds, peak_vectors, description[BLAS][0] ? description[BLAS] : "not found");
    for (int i = 0; i < (quick ? 2 : (int)NUM_FAMILIES); i++) { family(report, w, &families[i], rounds, quick ? 1 : 3); }
    for (int i = NUM_WORKERS - 1; i >= 0; i--) { worker_stop(&w[i]); }
}
