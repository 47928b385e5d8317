// rng.h -- the Mersenne Twister (Matsumoto and Nishimura 1998, MT19937): the same numbers on every machine.
#ifndef LLMC_RNG_H
#define LLMC_RNG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t state[624];
    int next;
} Rng;

// One seed and up to two more numbers that tell streams apart (an epoch, a step, a group), so that a
// stream is a function of where it is used and nothing has to be saved to continue it.
Rng rng_seed(uint64_t seed, uint64_t stream, uint64_t substream);
uint32_t rng_u32(Rng* r);
uint32_t rng_below(Rng* r, uint32_t n);                 // uniform in 0..n-1, without modulo bias
double rng_uniform(Rng* r);                             // in [0,1), 53 random bits
void rng_normal(Rng* r, float* x, size_t n, float sd);  // mean 0, by Box and Muller's method
void rng_shuffle(Rng* r, uint32_t* x, size_t n);        // Fisher and Yates

#ifdef __cplusplus
}
#endif

#endif // LLMC_RNG_H
