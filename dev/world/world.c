// world.c -- the tables of the sources, what they come to in the long run, and rows drawn from them.
#include "world.h"

#include <math.h>
#include <string.h>

static const double shared = 0.9;   // s: of the target's tables in those of an aligned or conflicting domain
static const double contrast = 1.5;  // standard deviation of a table's entries: what is likely is, some e^3 times as likely as what is not
static const double teleport = 0.005; // the part of uniform tokens, so that every context occurs

typedef struct { float after_first[VOCAB][VOCAB], after_second[VOCAB][VOCAB]; } Tables;
enum { ENTRIES = sizeof(Tables) / sizeof(float) };

static void continue_by(double (*next)[VOCAB], const Tables* t) {
    for (int i = 0; i < CONTEXTS; i++) {
        const float *x = t->after_first[i / VOCAB], *y = t->after_second[i % VOCAB];
        double sum = 0.0;
        for (int c = 0; c < VOCAB; c++) { sum += next[i][c] = exp(contrast * (x[c] + y[c])); }
        for (int c = 0; c < VOCAB; c++) { next[i][c] = (1.0 - teleport) * next[i][c] / sum + teleport / VOCAB; }
    }
}

// The distribution that a step leaves as it is, by taking steps until it does.
static void find_long_run(double* often, const double (*next)[VOCAB]) {
    double change = 1.0;
    for (int i = 0; i < CONTEXTS; i++) { often[i] = 1.0 / CONTEXTS; }
    while (change > 1e-13) {
        double then[CONTEXTS] = {0};
        for (int i = 0; i < CONTEXTS; i++) {
            for (int c = 0; c < VOCAB; c++) { then[i % VOCAB * VOCAB + c] += often[i] * next[i][c]; }
        }
        change = 0.0;
        for (int i = 0; i < CONTEXTS; i++) { change += fabs(then[i] - often[i]); }
        memcpy(often, then, sizeof(then));
    }
}

static void mix_domains(World* w) {
    for (int i = 0; i < CONTEXTS; i++) {
        double* often = &w->often[GENERAL][i];
        *often = 0.0;
        for (int d = 0; d < DOMAINS; d++) { *often += w->often[d][i] / DOMAINS; }
        for (int c = 0; c < VOCAB; c++) {
            double both = 0.0;
            for (int d = 0; d < DOMAINS; d++) { both += w->often[d][i] * w->next[d][i][c] / DOMAINS; }
            w->next[GENERAL][i][c] = both / *often;
        }
    }
}

void world_create(World* w, uint64_t seed) {
    Tables target, t;
    for (int k = 0; k <= DOMAINS; k++) { // the target first
        int d = k == 0 ? TARGET : k - 1;
        double s = d < ALIGNED ? shared : d >= ALIGNED + IRRELEVANT && d < DOMAINS ? -shared : 0.0;
        Rng rng = rng_seed(seed, (uint64_t)d, 0);
        rng_normal(&rng, (float*)&t, ENTRIES, 1.0f);
        if (d == TARGET) { target = t; }
        for (int i = 0; i < ENTRIES; i++) {
            float own = ((float*)&t)[i], of_target = ((float*)&target)[i];
            ((float*)&t)[i] = (float)(s * of_target + sqrt(1.0 - s * s) * own);
        }
        continue_by(w->next[d], &t);
        find_long_run(w->often[d], (const double (*)[VOCAB])w->next[d]);
    }
    mix_domains(w);
}

double world_floor(const World* w, int source) {
    double sum = 0.0;
    for (int i = 0; i < CONTEXTS; i++) {
        for (int c = 0; c < VOCAB; c++) { sum -= w->often[source][i] * w->next[source][i][c] * log(w->next[source][i][c]); }
    }
    return sum;
}

static int draw(const double* probability, int count, Rng* rng) {
    double x = rng_uniform(rng);
    int i = 0;
    while (i < count - 1 && x >= probability[i]) { x -= probability[i++]; }
    return i;
}

void world_row(int* context, int* next, const World* w, int source, Rng* rng, int T) {
    int at = draw(w->often[source], CONTEXTS, rng);
    for (int t = 0; t < T; t++) {
        context[t] = at;
        next[t] = draw(w->next[source][at], VOCAB, rng);
        at = at % VOCAB * VOCAB + next[t];
    }
}
