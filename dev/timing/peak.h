// peak.h -- the most multiply-adds a second that the machine does, as this program is compiled.
#ifndef DEV_TIMING_PEAK_H
#define DEV_TIMING_PEAK_H

#include <stdio.h>

extern const char peak_vectors[]; // the kind of vectors that it was measured with

// Answers each number of threads with GFLOP/s, a multiply-add counted as two; a negative number, -threads, with those of dot
// products of bf16 pairs (AVX512_BF16), NAN where the processor has none. job is not used.
void peak_serve(FILE* in, FILE* out, const void* job);

#endif // DEV_TIMING_PEAK_H
