// pairwise.h -- the estimates of a probe and their errors by loops over pairs of updates, which share no formula with the probe.
#ifndef TEST_PAIRWISE_H
#define TEST_PAIRWISE_H

#include "../drpt/probe.h"
#include "test.h"

enum { NUM_ESTIMATES = sizeof(ProbeResult) / sizeof(Estimate) };
#define INDEX(name) AT_##name,
enum { PROBE_ESTIMATES(INDEX) };
#define ESTIMATE_NAME(name) #name,
static const char* const estimate_name[] = { PROBE_ESTIMATES(ESTIMATE_NAME) };

// All updates u (R,Q,size), the target's gradients then (R,Q,size) and the halves of the true one (2,size).
typedef struct {
    const float *u, *target, *half;
    size_t size;
    int R, Q;
} Updates;

static void* room(size_t bytes) {
    void* x = calloc(bytes, 1);
    if (x == NULL) { abort(); }
    return x;
}

static double product(const float* a, const float* b, size_t size) {
    double sum = 0.0;
    for (size_t k = 0; k < size; k++) { sum += (double)a[k] * b[k]; }
    return sum;
}

static double half_square_apart(const double* x, const double* y, size_t size) {
    double sum = 0.0;
    for (size_t k = 0; k < size; k++) { sum += 0.5 * (x[k] - y[k]) * (x[k] - y[k]); }
    return sum;
}

static double product_less(const double* x, const float* s, const double* y, const float* t, size_t size) { // <x - s, y - t>
    double sum = 0.0;
    for (size_t k = 0; k < size; k++) { sum += (x[k] - (s ? s[k] : 0.0f)) * (y ? y[k] - (t ? t[k] : 0.0f) : (double)t[k]); }
    return sum;
}

// Without draw `out`, or of all if that is -1. Variances are means over pairs of half of what is between the two.
static void pairwise(double* x, const Updates* all, int out) {
    int R = all->R, Q = all->Q;
    size_t size = all->size;
    const float *half[2] = { all->half, all->half + size };
    double *single = room(sizeof(double) * (size_t)(R * Q) * size), *mean = room(sizeof(double) * (size_t)R * size);
    double pairs = 0.0, passes = 0.0, t2 = product(half[0], half[1], size), *norm2 = &x[AT_norm2], crossed = 0.0, slope = 0.0;
    memset(x, 0, sizeof(double) * NUM_ESTIMATES);
    for (int a = 0; a < R; a++) {
        for (int b = 0; b < Q; b++) {
            size_t at = (size_t)(a * Q + b) * size;
            for (size_t k = 0; k < size; k++) {
                single[at + k] = all->u[at + k];
                mean[(size_t)a * size + k] += all->u[at + k] / Q;
            }
        }
    }
    for (int a = 0; a < R; a++) {
        if (a == out) { continue; }
        const double* here = mean + (size_t)a * size;
        double within = 0.0;
        for (int b = 0; b < Q; b++) {
            const float *v = all->u + (size_t)(a * Q + b) * size, *target = all->target + (size_t)(a * Q + b) * size;
            double length = sqrt(product(v, v, size)), lengths = length * sqrt(product(target, target, size)), along = 0.5 * (product(v, half[0], size) + product(v, half[1], size));
            passes += 1.0;
            *norm2 += length * length;
            x[AT_cos_t] += lengths > 0.0 ? product(v, target, size) / lengths : 0.0;
            x[AT_cos_true] += length > 0.0 ? along / length / sqrt(t2) : 0.0;
            for (int c = 0; c < b; c++) { within += half_square_apart(single + (size_t)(a * Q + b) * size, single + (size_t)(a * Q + c) * size, size); }
        }
        x[AT_v_gen] += within / (Q * (Q - 1) / 2) / (R - (out >= 0));
        for (int c = 0; c < R; c++) {
            if (c == a || c == out) { continue; }
            const double* there = mean + (size_t)c * size;
            pairs += 1.0;
            x[AT_v_tgt] += half_square_apart(here, there, size);
            x[AT_bias2] += product_less(here, half[0], there, half[1], size);
            crossed += product_less(here, NULL, NULL, half[0], size) * product_less(there, NULL, NULL, half[1], size);
            slope += product_less(here, NULL, NULL, half[0], size) + product_less(here, NULL, NULL, half[1], size);
        }
    }
    *norm2 /= passes;
    x[AT_cos_t] /= passes;
    x[AT_cos_true] /= passes;
    x[AT_v_tgt] = x[AT_v_tgt] / pairs - x[AT_v_gen] / Q;
    x[AT_bias2] /= pairs;
    x[AT_rho] = *norm2 > 0.0 ? (slope < 0.0 ? -crossed : crossed) / pairs / (t2 * *norm2) : 0.0;
    x[AT_bias2] /= t2;
    x[AT_v_tgt] /= t2;
    x[AT_v_gen] /= t2;
    *norm2 /= t2;
    x[AT_mse] = x[AT_bias2] + x[AT_v_tgt] + x[AT_v_gen];
    free(single);
    free(mean);
}

static void expect_estimate(const char* label, const char* what, double got, double want, double tolerance) {
    if (fabs(got - want) <= tolerance) { return; } // so phrased that a NaN fails
    fprintf(stderr, "%s of '%s' is %.9g, not %.9g (off by %.1e, allowed %.1e)\n", what, label, got, want, fabs(got - want), tolerance);
    test_failures++;
}

// Values and jackknife errors of one variant.
static void expect_estimates(const ProbeResult* result, const char* label, const Updates* u, double tolerance) {
    double all[NUM_ESTIMATES], without[16][NUM_ESTIMATES];
    const Estimate* got = (const Estimate*)result;
    pairwise(all, u, -1);
    for (int a = 0; a < u->R; a++) { pairwise(without[a], u, a); }
    for (int e = 0; e < NUM_ESTIMATES; e++) {
        double mean = 0.0, squares = 0.0, unit = tolerance * fmax(1.0, all[AT_norm2]);
        for (int a = 0; a < u->R; a++) { mean += without[a][e] / u->R; }
        for (int a = 0; a < u->R; a++) { squares += (without[a][e] - mean) * (without[a][e] - mean); }
        expect_estimate(label, estimate_name[e], got[e].value, all[e], unit);
        expect_estimate(label, estimate_name[e], got[e].error, sqrt(squares * (u->R - 1) / u->R), unit);
    }
}

#endif // TEST_PAIRWISE_H
