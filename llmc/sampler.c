// sampler.c -- choosing the next token.
#include "sampler.h"
#include "softmax.h"

static int most_likely(const float* logits, int V) {
    int best = 0;
    for (int v = 1; v < V; v++) { if (logits[v] > logits[best]) { best = v; } }
    return best;
}

// The bits of a float as a number that grows with it, and back.
static int32_t order_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits ^ (bits >> 31 & INT32_MAX);
}

static float at_order(int32_t order) {
    float x = 0.0f;
    int32_t bits = order ^ (order >> 31 & INT32_MAX);
    memcpy(&x, &bits, sizeof(x));
    return x;
}

// How much of `weight` stands at logits of at least `bound`, in pieces: single precision is fast, and exact enough for so few.
static double weight_above(const float* logits, const float* weight, int V, float bound) {
    enum { PIECE = 1024 };
    double all = 0.0;
    for (int first = 0; first < V; first += PIECE) {
        int end = V - first < PIECE ? V : first + PIECE;
        float sum = 0.0f;
        #pragma omp simd reduction(+:sum)
        for (int v = first; v < end; v++) { sum += logits[v] >= bound ? weight[v] : 0.0f; }
        all += (double)sum;
    }
    return all;
}

static int count_above(const float* logits, int V, float bound) {
    int count = 0;
    #pragma omp simd reduction(+:count)
    for (int v = 0; v < V; v++) { count += logits[v] >= bound; }
    return count;
}

// Takes the weight from all but the most likely tokens that have `wanted` of it together, or (count) are so many. The least logit among
// them is found by halving the range of floats, at most 32 times; a sort would take longer.
static void keep_top(float* weight, const float* logits, int V, double wanted, int count, float largest) {
    int32_t low = order_of(-INFINITY), high = order_of(largest);
    while (low < high) {
        int32_t middle = (int32_t)(((int64_t)low + high + 1) >> 1);
        float bound = at_order(middle);
        double above = count ? count_above(logits, V, bound) : weight_above(logits, weight, V, bound);
        if (above >= wanted) { low = middle; } else { high = middle - 1; }
    }
    float last = at_order(low);
    double kept = 0.0;
    for (int v = 0; v < V; v++) { if (logits[v] > last) { kept += count ? 1.0 : (double)weight[v]; } }
    for (int v = 0; v < V; v++) {
        if (logits[v] > last) { continue; }
        if (logits[v] < last || kept >= wanted) { weight[v] = 0.0f; } else { kept += count ? 1.0 : (double)weight[v]; }
    }
}

int sample_token(const float* logits, int V, Sampling how, Rng* rng, float* weight, float* log_prob) {
    float lse = log_sum_exp(logits, V);
    if (!isfinite(lse)) { return -1; }
    int token = most_likely(logits, V);
    float largest = logits[token];
    *log_prob = largest - lse;
    if (how.temperature == 0.0) { return token; }
    for (int v = 0; v < V; v++) {
        float x = (float)(((double)logits[v] - (double)largest) / how.temperature);
        weight[v] = x > -87.0f ? fast_exp(x) : 0.0f;
    }
    if (how.top_k > 0 && how.top_k < V) { keep_top(weight, logits, V, how.top_k, 1, largest); }
    if (how.top_p < 1.0) { keep_top(weight, logits, V, how.top_p * weight_above(logits, weight, V, -INFINITY), 0, largest); }
    double coin = rng_uniform(rng) * weight_above(logits, weight, V, -INFINITY), passed = 0.0;
    for (int v = 0; v < V && passed <= coin; v++) {
        passed += (double)weight[v];
        if (weight[v] > 0.0f) { token = v; }
    }
    *log_prob = logits[token] - lse;
    return token;
}
