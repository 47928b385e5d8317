// peak.c -- multiply-adds on registers alone, and dot products of bf16 pairs where the processor has them.
#include "peak.h"
#include "worker.h"
#include "../../llmc/runlog.h"

#include <math.h>
#include <omp.h>
#if defined(__x86_64__)
#include <immintrin.h> // the only intrinsics of the tree: no compiler makes this instruction of plain C
#endif

// A multiply-add is complete after 4 cycles or so (a multiplication and an addition after 6 to 8), and up to 4 begin in
// each: so many independent ones keep all units busy, and fit the registers together with two constants.
#if defined(__AVX512F__)
enum { LANES = 16, CHAINS = 24 };
const char peak_vectors[] = "16 floats (AVX-512)";
#elif defined(__AVX__)
enum { LANES = 8, CHAINS = 12 };
const char peak_vectors[] = "8 floats (AVX)";
#elif defined(__aarch64__)
enum { LANES = 4, CHAINS = 24 };
const char peak_vectors[] = "4 floats (NEON)";
#else
enum { LANES = 4, CHAINS = 12 };
const char peak_vectors[] = "4 floats";
#endif
enum { TIMES = 4000000, REPEATS = 3 }; // 15 to 40 ms each

#ifdef __clang__
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif

typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));

// x = x * factor + term over and over, in each of CHAINS vectors.
static float multiply_add(float factor, float term) {
    Vec x[CHAINS], sum = {0};
    for (int i = 0; i < CHAINS; i++) { x[i] = (Vec){0} + (float)i; }
    for (int k = 0; k < TIMES; k++) {
        UNROLL
        for (int i = 0; i < CHAINS; i++) { x[i] = x[i] * factor + term; }
    }
    for (int i = 0; i < CHAINS; i++) { sum += x[i]; }
    return sum[0] + sum[LANES - 1];
}

// sum += a . b over and over, of 16 pairs of bf16 in each of CHAINS vectors; so also in a build for older processors.
#if defined(__x86_64__)
static int has_bf16(void) { return __builtin_cpu_supports("avx512bf16"); }

__attribute__((target("avx512f,avx512bf16")))
static float dot_bf16(float factor, float term) {
    enum { SUMS = 24 };
    __m512 sum[SUMS];
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(factor), _mm512_set1_ps(factor));
    for (int i = 0; i < SUMS; i++) { sum[i] = _mm512_set1_ps(term + (float)i); }
    for (int k = 0; k < TIMES; k++) {
        UNROLL
        for (int i = 0; i < SUMS; i++) { sum[i] = _mm512_dpbf16_ps(sum[i], a, a); }
    }
    for (int i = 1; i < SUMS; i++) { sum[0] = _mm512_add_ps(sum[0], sum[i]); }
    return _mm512_reduce_add_ps(sum[0]);
}
enum { BF16_FLOP = 2 * 32 * 24 };
#else
static int has_bf16(void) { return 0; }
static float dot_bf16(float factor, float term) { return factor + term; }
enum { BF16_FLOP = 0 };
#endif

static double gflops(int threads, float (*work)(float, float), double flop) {
    static volatile float factor = 0.5f, term = 1.0f; // unknown to the compiler; x goes to 2
    float total = 0.0f;
    double began = seconds_now();
    #pragma omp parallel num_threads(threads) reduction(+:total)
    total += work(factor, term);
    double seconds = seconds_now() - began;
    factor = total > 0.0f ? 0.5f : 0.25f;             // and the sum is of use
    return flop * TIMES * threads / seconds / 1e9;
}

void peak_serve(FILE* in, FILE* out, const void* job) {
    (void)job;
    for (int threads; fscanf(in, "%d", &threads) == 1; ) {
        double found[REPEATS];
        if (threads < 0 && !has_bf16()) { fprintf(out, "nan\n"); continue; }
        for (int i = 0; i < REPEATS; i++) {
            found[i] = threads > 0 ? gflops(threads, multiply_add, 2.0 * LANES * CHAINS) : gflops(-threads, dot_bf16, BF16_FLOP);
        }
        fprintf(out, "%.9g\n", median(found, REPEATS));
    }
}
