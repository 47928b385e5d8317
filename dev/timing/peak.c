// peak.c -- multiply-adds on registers alone.
#include "peak.h"
#include "worker.h"
#include "../../llmc/runlog.h"

#include <omp.h>

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

static double gflops(int threads) {
    static volatile float factor = 0.5f, term = 1.0f; // unknown to the compiler; x goes to 2
    float total = 0.0f;
    double began = seconds_now();
    #pragma omp parallel num_threads(threads) reduction(+:total)
    total += multiply_add(factor, term);
    double seconds = seconds_now() - began;
    factor = total > 0.0f ? 0.5f : 0.25f;             // and the sum is of use
    return 2.0 * LANES * CHAINS * TIMES * threads / seconds / 1e9;
}

void peak_serve(FILE* in, FILE* out, const void* job) {
    (void)job;
    for (int threads; fscanf(in, "%d", &threads) == 1; ) {
        double found[REPEATS];
        for (int i = 0; i < REPEATS; i++) { found[i] = gflops(threads); }
        fprintf(out, "%.9g\n", median(found, REPEATS));
    }
}
