// softmax.h -- e^x and log sum e^x of whole rows, for loops that a compiler turns into vector instructions.
#ifndef LLMC_SOFTMAX_H
#define LLMC_SOFTMAX_H

#include <math.h>
#include <stdint.h>
#include <string.h>

// e^x to a relative error of 3e-7, in operations that a compiler turns into vector instructions: x = n ln 2 + r with
// |r| <= ln 2 / 2, a Taylor polynomial for e^r, and n put into the exponent's bits. Adding 1.5 * 2^23 rounds
// to a whole number and leaves it in the low bits. NaN stays NaN; beyond +-87 the result is that of +-87.
static inline float fast_exp(float x) {
    if (sizeof(float) != sizeof(int32_t)) { return exp(x); } // the tests compile this file in double precision
    const float round = 12582912.0f;
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    float shifted = x * 1.44269504f + round, n = shifted - round;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f; // ln 2 in two parts, the first exact in n * part
    float p = 1.0f/720;
    p = p * r + 1.0f/120;
    p = p * r + 1.0f/24;
    p = p * r + 1.0f/6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    float scale;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits + 127) << 23;
    memcpy(&scale, &bits, sizeof(bits));
    return p * scale;
}

// The largest x is taken out first; NaN if one of them is.
static inline float log_sum_exp(const float* x, int V) {
    float largest = x[0], sum = 0.0f;
    #pragma omp simd reduction(max:largest)
    for (int v = 0; v < V; v++) { largest = x[v] > largest ? x[v] : largest; }
    #pragma omp simd reduction(+:sum)
    for (int v = 0; v < V; v++) { sum += fast_exp(x[v] - largest); }
    return largest + logf(sum);
}

#endif // LLMC_SOFTMAX_H
