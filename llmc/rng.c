// rng.c -- the Mersenne Twister.
#include "rng.h"

#include <math.h>

enum { N = 624, M = 397 };

// The state is filled from the three numbers by splitmix64 (Steele, Lea and Flood 2014), whose output is
// well mixed for seeds that differ in one bit.
static uint64_t splitmix(uint64_t* x) {
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

Rng rng_seed(uint64_t seed, uint64_t stream, uint64_t substream) {
    Rng r = { .next = N };
    uint64_t x = seed;
    x = splitmix(&x) ^ stream;
    x = splitmix(&x) ^ substream;
    for (int i = 0; i < N; i += 2) {
        uint64_t z = splitmix(&x);
        r.state[i] = (uint32_t)z;
        r.state[i + 1] = (uint32_t)(z >> 32);
    }
    return r;
}

static void regenerate(Rng* r) {
    uint32_t* s = r->state;
    for (int i = 0; i < N; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
        s[i] = s[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->next = 0;
}

uint32_t rng_u32(Rng* r) {
    if (r->next == N) { regenerate(r); }
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t rng_below(Rng* r, uint32_t n) {
    uint32_t limit = UINT32_MAX - UINT32_MAX % n, y; // the largest multiple of n
    do { y = rng_u32(r); } while (y >= limit);
    return y % n;
}

double rng_uniform(Rng* r) {
    uint32_t high = rng_u32(r) >> 5, low = rng_u32(r) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

void rng_normal(Rng* r, float* x, size_t n, float sd) {
    const double tau = 6.283185307179586;
    for (size_t i = 0; i < n; i += 2) {
        double radius = sqrt(-2.0 * log(1.0 - rng_uniform(r))), angle = tau * rng_uniform(r);
        x[i] = (float)(sd * radius * cos(angle));
        if (i + 1 < n) { x[i + 1] = (float)(sd * radius * sin(angle)); }
    }
}

void rng_shuffle(Rng* r, uint32_t* x, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(r, (uint32_t)i);
        uint32_t kept = x[i - 1];
        x[i - 1] = x[j];
        x[j] = kept;
    }
}
