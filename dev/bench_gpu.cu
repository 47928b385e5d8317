// bench_gpu.cu -- the GPU trainer under the clock, a contender of dev/bench_gpu.py.
//
//     bench_gpu PRECISION INIT GENERAL TARGET T [OPTIONS OF THE REGULARIZER]
//
// It trains INIT on so many general and target rows of T random tokens, and answers each line of its standard input with numbers:
//     steps K       the median of K steps in milliseconds, each from an idle GPU to an idle GPU
//     operations K  of K passes over the operations of dev/timing/operations.h: a line each, its name and the median in milliseconds
//     memory        MiB of the GPU's memory taken since the program began
//     product N     TFLOP/s of a product of N x N matrices in this precision
//     device        the GPU's name
#define TESTING
#include "../train_gpt2_drpt.cu"
#include "../drpt/run.h"
#include "../llmc/rng.h"
#include "timing/operations.h"
#include "timing/worker.h"

#include <unistd.h>
#include <vector>

static size_t memory_at_start;

static size_t memory_taken(void) {
    size_t left, all;
    CUDA(cudaMemGetInfo(&left, &all));
    return all - left;
}

// Seconds, with nothing left to do.
static double idle(const Run* run) {
    float unused;
    device_read(&unused, run->model->params, sizeof(unused));
    return seconds_now();
}

static void answer_steps(FILE* out, Run* run, int* step, int count) {
    std::vector<double> ms;
    for (int i = 0; i < count; i++) {
        double began = idle(run);
        train_step(run, (*step)++);
        ms.push_back(1e3 * (idle(run) - began));
    }
    fprintf(out, "%.9g\n", median(ms.data(), count));
}

static void answer_operations(FILE* out, Run* run, int* step, int passes) {
    GPT2* model = run->model;
    Step s = step_of(run, model->tokens, model->targets, model->share, logits_stride(&model->config));
    std::vector<double> ms[NUM_PARTS];
    for (int p = 0; p < passes; p++) {
        train_step(run, (*step)++);
        for (int i = 0; i < NUM_PARTS; i++) {
            double began = idle(run);
            run_operation(&s, i);
            ms[i].push_back(1e3 * (idle(run) - began));
        }
    }
    for (int i = 0; i < NUM_PARTS; i++) { fprintf(out, "%s,%.9g\n", operations[i].name, median(ms[i].data(), passes)); }
    fprintf(out, "\n");
}

// Random factors: of zeros a GPU multiplies faster, as it takes less power.
static void answer_product(FILE* out, const Run* run, int n) {
    size_t size = (size_t)n * n, piece = size < 1 << 20 ? size : 1 << 20;
    Real* x = (Real*)device_alloc(sizeof(Real) * 3 * size, "a product");
    Rng rng = rng_seed(1, 0, 0);
    std::vector<float> drawn(piece);
    std::vector<Real> rounded(piece);
    rng_normal(&rng, drawn.data(), piece, 1.0f);
    for (size_t i = 0; i < piece; i++) { rounded[i] = (Real)drawn[i]; }
    for (size_t at = 0; at < 2 * size; at += piece) { device_write(x + at, rounded.data(), sizeof(Real) * (2 * size - at < piece ? 2 * size - at : piece)); }
    std::vector<double> ms;
    for (int i = 0; i < 12; i++) {
        double began = idle(run);
        matmul_forward(x + 2 * size, x, x + size, NULL, n, n, n);
        double took = 1e3 * (idle(run) - began);
        if (i >= 2) { ms.push_back(took); }
    }
    device_free(x);
    fprintf(out, "%.9g\n", 2.0 * n * n * n / median(ms.data(), (int)ms.size()) / 1e9);
}

static void answer_device(FILE* out) {
    cudaDeviceProp properties;
    CUDA(cudaGetDeviceProperties(&properties, 0));
    fprintf(out, "%s\n", properties.name);
}

static void answer(FILE* out, Run* run, int* step, const char* line) {
    int count = 0;
    if (sscanf(line, "steps %d", &count) == 1 && count > 0) { answer_steps(out, run, step, count); }
    else if (sscanf(line, "operations %d", &count) == 1 && count > 0) { answer_operations(out, run, step, count); }
    else if (sscanf(line, "product %d", &count) == 1 && count > 0) { answer_product(out, run, count); }
    else if (strcmp(line, "memory\n") == 0) { fprintf(out, "%.9g\n", (double)(memory_taken() - memory_at_start) / (1 << 20)); }
    else if (strcmp(line, "device\n") == 0) { answer_device(out); }
    else { die("bench_gpu: asked for %s", line); }
    fflush(out);
}

// What the trainer itself prints is dropped.
static FILE* take_stdout(void) {
    FILE* out = fdopen(dup(STDOUT_FILENO), "w");
    check(out != NULL && freopen("/dev/null", "w", stdout) != NULL, "bench_gpu: no standard output");
    return out;
}

static int whole_number(const char* text) {
    char* end;
    long x = strtol(text, &end, 10);
    check(end != text && *end == '\0' && x >= 0 && x <= 1 << 20, "bench_gpu: %s is no number of rows or tokens", text);
    return (int)x;
}

int main(int argc, char** argv) {
    char line[64];
    Run run;
    int step = 0;
    check(argc == 6 || argc == 7, "bench_gpu PRECISION INIT GENERAL TARGET T [OPTIONS]");
    device_start(argv[1]);
    memory_at_start = memory_taken();
    FILE* out = take_stdout();
    int n = whole_number(argv[3]), m = whole_number(argv[4]), T = whole_number(argv[5]);
    check(n >= 1 && T >= 1, "bench_gpu: %d general rows of %d tokens", n, T);
    TrainerJob job = { argv[2], T, T, 1, argc == 7 ? argv[6] : "", n, m };
    trainer_open(&run, &job);
    while (fgets(line, sizeof(line), stdin)) { answer(out, &run, &step, line); }
    run_close(&run);
    return 0;
}
