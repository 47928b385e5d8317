// sampler.c -- choosing the next token.
#include "sampler.h"

#include <math.h>

static int most_likely(const float* logits, int V) {
    int best = 0;
    for (int v = 1; v < V; v++) { if (logits[v] > logits[best]) { best = v; } }
    return best;
}

// Marks all but the k largest with -inf: k rounds of taking out the largest below the last one, equal ones by
// their order.
static void keep_top(float* logits, int V, int k) {
    float bound = INFINITY;
    int kept = 0, equal = 0; // logits above the bound; those equal to it that fit
    while (kept < k) {
        float next = -INFINITY;
        int count = 0;
        for (int v = 0; v < V; v++) {
            if (logits[v] < bound && logits[v] > next) { next = logits[v]; count = 0; }
            count += logits[v] == next;
        }
        if (count == 0) { break; }
        equal = k - kept;
        kept += count;
        bound = next;
    }
    for (int v = 0; v < V; v++) {
        if (logits[v] < bound || (logits[v] == bound && equal-- <= 0)) { logits[v] = -INFINITY; }
    }
}

int sample_token(float* logits, int V, double temperature, int top_k, Rng* rng) {
    if (temperature == 0.0) { return most_likely(logits, V); }
    if (top_k > 0 && top_k < V) { keep_top(logits, V, top_k); }
    double largest = logits[most_likely(logits, V)], sum = 0.0, passed = 0.0;
    for (int v = 0; v < V; v++) {
        logits[v] = (float)exp((logits[v] - largest) / temperature);
        sum += logits[v];
    }
    double coin = rng_uniform(rng) * sum;
    int token = 0;
    for (int v = 0; v < V && passed <= coin; v++) {
        passed += logits[v];
        if (logits[v] > 0.0f) { token = v; }
    }
    return token;
}
