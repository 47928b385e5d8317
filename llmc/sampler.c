// sampler.c -- choosing the next token.
#include "sampler.h"
#include "softmax.h"

// The vocabulary in pieces, so that most of it need not be looked at again.
enum { MOST_PIECES = 256, UNIT = 256 };
typedef struct {
    const float* logits;
    float* weight;                                // of each token e to the logit less the largest, divided by the temperature
    int V, size, pieces;                          // tokens; of a piece, the last may be smaller; how many
    float top[MOST_PIECES], sum[MOST_PIECES];     // of each piece the largest logit, and the weight
    float largest, smallest, least;               // logit; no token below the least weighs anything
} Choice;

static int end_of(const Choice* c, int piece) { return c->V - piece * c->size < c->size ? c->V : (piece + 1) * c->size; }

static void begin(Choice* c, const float* logits, float* weight, int V) {
    c->logits = logits;
    c->weight = weight;
    c->V = V;
    c->size = (V / (MOST_PIECES * UNIT) + 1) * UNIT;
    c->pieces = (V - 1) / c->size + 1;
    c->largest = -INFINITY;
    c->smallest = INFINITY;
    for (int p = 0; p < c->pieces; p++) {
        int end = end_of(c, p);
        float top = -INFINITY, bottom = INFINITY;
        #pragma omp simd reduction(max:top) reduction(min:bottom)
        for (int v = p * c->size; v < end; v++) {
            top = logits[v] > top ? logits[v] : top;
            bottom = logits[v] < bottom ? logits[v] : bottom;
        }
        c->top[p] = top;
        c->largest = top > c->largest ? top : c->largest;
        c->smallest = bottom < c->smallest ? bottom : c->smallest;
    }
}

static int most_likely(const Choice* c) {
    int p = 0;
    while (p < c->pieces - 1 && c->top[p] < c->largest) { p++; }
    int v = p * c->size;
    while (v < end_of(c, p) - 1 && c->logits[v] < c->largest) { v++; }
    return v;
}

// Weighs all tokens; returns their sum, which is not finite if a logit is no number or none is finite. Too little for a float is zero.
static double weigh(Choice* c, double temperature) {
    float scale = (float)fmin(fmax(1.0 / temperature, 1e-30), 1e30);
    const float* logits = c->logits;
    float *weight = c->weight, largest = c->largest;
    double all = 0.0;
    c->least = (float)fmax((double)c->smallest, (double)largest - 88.0 * temperature);
    for (int p = 0; p < c->pieces; p++) {
        int end = end_of(c, p);
        float sum = 0.0f;
        #pragma omp simd reduction(+:sum)
        for (int v = p * c->size; v < end; v++) {
            float x = (logits[v] - largest) * scale, w = fast_exp(x);
            weight[v] = x < -87.0f ? 0.0f : w;
            sum += weight[v];
        }
        c->sum[p] = sum;
        all += (double)sum;
    }
    return all;
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
    memcpy(&x, &bits, sizeof(bits));
    return x;
}

typedef struct {
    double weight;
    int count;
} Above;

// What stands at logits of at least `bound`; without a weight where only (count) their number is asked for. Single precision is fast, and
// exact enough for the few of a piece.
static Above above(const Choice* c, float bound, int count) {
    const float *logits = c->logits, *weight = c->weight;
    Above all = {0};
    for (int p = 0; p < c->pieces; p++) {
        int end = end_of(c, p), found = 0;
        float sum = 0.0f;
        if (c->top[p] < bound) { continue; }
        #pragma omp simd reduction(+:found)
        for (int v = p * c->size; v < end; v++) { found += logits[v] >= bound; }
        all.count += found;
        if (count) { continue; }
        #pragma omp simd reduction(+:sum)
        for (int v = p * c->size; v < end; v++) { sum += logits[v] >= bound ? weight[v] : 0.0f; }
        all.weight += (double)sum;
    }
    return all;
}

static double measure(Above all, int count) { return count ? all.count : all.weight; }

// Of the tokens at the bound itself, keeps the first that make up what is still wanted.
static void keep_first(Choice* c, float bound, double wanted, int count) {
    for (int p = 0; p < c->pieces; p++) {
        int end = c->top[p] >= bound ? end_of(c, p) : 0;
        for (int v = p * c->size; v < end; v++) {
            if (c->logits[v] != bound) { continue; }
            if (wanted <= 0.0) { c->weight[v] = 0.0f; }
            wanted -= count ? 1.0 : (double)c->weight[v];
        }
    }
}

// The largest bound above which there is `wanted` of the weight, or (count) so many tokens, is found by halving the range of values, until
// one token is between or none but equal ones, of which the first are kept; a sort would take longer. Returns what is left.
static double keep_top(Choice* c, double wanted, int count) {
    int32_t low = order_of(c->least), high = order_of(c->largest) + 1;
    Above at_low = above(c, c->least, count), at_high = {0};
    while (measure(at_low, count) > wanted && at_low.count - at_high.count > 1 && high - (int64_t)low > 1) {
        int32_t middle = order_of(0.5f * at_order(low) + 0.5f * at_order(high));
        if (middle <= low || middle >= high) { middle = (int32_t)(((int64_t)low + high) >> 1); }
        Above all = above(c, at_order(middle), count);
        if (measure(all, count) >= wanted) { low = middle; at_low = all; } else { high = middle; at_high = all; }
    }
    float bound = at_order(low), *weight = c->weight;
    const float* logits = c->logits;
    double all = 0.0;
    if (high - (int64_t)low == 1) { keep_first(c, bound, wanted - measure(at_high, count), count); }
    for (int p = 0; p < c->pieces; p++) {
        int end = end_of(c, p);
        float sum = 0.0f;
        #pragma omp simd reduction(+:sum)
        for (int v = p * c->size; v < end; v++) {
            weight[v] = logits[v] >= bound ? weight[v] : 0.0f;
            sum += weight[v];
        }
        c->sum[p] = sum;
        all += (double)sum;
    }
    c->least = bound;
    return all;
}

// The token at which the weights from the first on pass `coin`, or, where rounding leaves none, the last that weighs anything.
static int token_at(const Choice* c, double coin) {
    double passed = 0.0, before = 0.0;
    int piece = 0, token = 0;
    for (int p = 0; p < c->pieces && passed <= coin; p++) {
        if (c->sum[p] == 0.0f) { continue; }
        piece = p;
        before = passed;
        passed += (double)c->sum[p];
    }
    for (int v = piece * c->size; v < end_of(c, piece) && before <= coin; v++) {
        if (c->weight[v] == 0.0f) { continue; }
        token = v;
        before += (double)c->weight[v];
    }
    return token;
}

int sample_token(const float* logits, int V, Sampling how, Rng* rng, float* weight, float* log_prob) {
    Choice c;
    begin(&c, logits, weight, V);
    int token = most_likely(&c);
    double all = weigh(&c, 1.0), log_all = log(all);
    if (!isfinite(all)) { return -1; }
    if (how.temperature > 0.0) {
        if (how.temperature != 1.0) { all = weigh(&c, how.temperature); }
        if (how.top_k > 0 && how.top_k < V) { all = keep_top(&c, how.top_k, 1); }
        if (how.top_p < 1.0) { all = keep_top(&c, how.top_p * all, 0); }
        token = token_at(&c, rng_uniform(rng) * all);
    }
    *log_prob = (float)((double)logits[token] - (double)c.largest - log_all);
    return token;
}
