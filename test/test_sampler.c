// test_sampler.c -- choosing a token: what each weighs against a plain reference that sorts, and how often it is chosen against that.
#include "../llmc/sampler.h"
#include "../llmc/softmax.h"
#include "test.h"

enum { FEW = 60, MOST = 1000 };
static uint64_t state = 1;

static int below(int n) { return (int)((test_uniform(&state) + 1.0f) / 2.0f * (float)n) % n; }

// probability (V) of each token: all of them in order, the likeliest first, and of equals the one that stands first.
static void plain_probabilities(double* probability, const float* logits, int V, Sampling s) {
    int order[MOST], left = s.top_k > 0 && s.top_k < V ? s.top_k : V;
    double sum = 0.0, passed = 0.0;
    for (int i = 0; i < V; i++) {
        int at = i;
        for (; at > 0 && logits[order[at - 1]] < logits[i]; at--) { order[at] = order[at - 1]; }
        order[at] = i;
        probability[i] = 0.0;
    }
    for (int i = 0; i < left; i++) { sum += exp(((double)logits[order[i]] - logits[order[0]]) / s.temperature); }
    for (int i = 0; i < left && (passed < s.top_p || s.top_p == 1.0); i++) {
        probability[order[i]] = exp(((double)logits[order[i]] - logits[order[0]]) / s.temperature) / sum;
        passed += probability[order[i]];
    }
    for (int v = 0; v < V; v++) { probability[v] /= passed; }
}

// All V, temperatures, top-k and top-p; many equal logits, and some of minus infinity.
static void test_weights(void) {
    for (int i = 0; i < 20000; i++) {
        float logits[MOST], weight[MOST], log_prob;
        double want[MOST], sum = 0.0, all = 0.0, passed = 0.0;
        int V = 1 + below(i % 50 ? FEW : MOST), kinds = 1 + below(12);
        for (int v = 0; v < V; v++) { logits[v] = i % 2 ? 8.0f * test_uniform(&state) : (float)(below(kinds) - 5); }
        if (i % 7 == 0) { logits[below(V)] = -INFINITY; logits[0] = 1.5f; }
        Sampling s = { 0.2 + below(20) / 8.0, i % 3 ? 0.03 + 0.96 * (test_uniform(&state) + 1.0) / 2.0 : 1.0, below(V + 3) };
        Rng rng = rng_seed((uint64_t)i, 0, 0);
        plain_probabilities(want, logits, V, s);
        Rng same = rng;
        int token = sample_token(logits, V, s, &rng, weight, &log_prob);
        for (int v = 0; v < V; v++) {
            sum += weight[v];
            all += exp((double)logits[v] - logits[token]);
        }
        for (int v = 0; v < V; v++) { expect(fabs(weight[v] / sum - want[v]) <= 1e-6 && (weight[v] > 0.0f) == (want[v] > 1e-37)); }
        expect(token >= 0 && token < V && want[token] > 0.0);
        for (int v = 0; v < token; v++) { passed += weight[v]; }
        double coin = rng_uniform(&same) * sum;
        expect(passed <= coin + 1e-6 * sum && passed + weight[token] >= coin - 1e-6 * sum);
        expect(fabs(log_prob + log(all)) <= 1e-5 * (1.0 + fabs(log_prob))); // of the model: whatever s is
    }
}

// Pearson's statistic of many draws stays below the quantile that one of a hundred thousand exceeds.
static void test_frequencies(void) {
    enum { V = 9, DRAWS = 100000 };
    const float logits[V] = { 0.3f, -1.0f, 2.0f, 0.3f, 1.9f, -4.0f, 1.0f, 0.0f, -0.5f };
    const Sampling how[] = { { 1.0, 1.0, 0 }, { 0.6, 1.0, 0 }, { 1.0, 1.0, 4 }, { 1.0, 0.8, 0 }, { 2.0, 0.7, 6 }, { 1.3, 0.999, 0 } };
    for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
        double want[V], chi = 0.0;
        int count[V] = {0};
        Rng rng = rng_seed(5, i, 0);
        plain_probabilities(want, logits, V, how[i]);
        for (int k = 0; k < DRAWS; k++) {
            float weight[V], log_prob;
            count[sample_token(logits, V, how[i], &rng, weight, &log_prob)]++;
        }
        for (int v = 0; v < V; v++) {
            if (want[v] == 0.0) { expect(count[v] == 0); continue; }
            chi += (count[v] - DRAWS * want[v]) * (count[v] - DRAWS * want[v]) / (DRAWS * want[v]);
        }
        expect(chi <= 40.0); // of 8 degrees of freedom: 1 - 3e-6
    }
}

static int sample(const float* logits, int V, Sampling s, Rng* rng) {
    float weight[MOST], log_prob;
    return sample_token(logits, V, s, rng, weight, &log_prob);
}

// A vocabulary in as many pieces as there may be, or nearly: the largest are kept wherever they stand.
static void test_large(void) {
    static const int sizes[] = { 16383, 65535, 65536, 140000 };
    for (int i = 0; i < 8; i++) {
        int V = sizes[i / 2], kept = 0;
        float *logits = malloc(sizeof(float) * (size_t)V), *weight = malloc(sizeof(float) * (size_t)V), log_prob, least = INFINITY, most = -INFINITY;
        Rng rng = rng_seed((uint64_t)i, 1, 0);
        expect(logits && weight);
        for (int v = 0; v < V; v++) { logits[v] = 4.0f * test_uniform(&state); }
        logits[V - 1] = 5.0f;
        int token = sample_token(logits, V, (Sampling){ 0.9, i % 2 ? 0.5 : 1.0, 99 }, &rng, weight, &log_prob);
        for (int v = 0; v < V; v++) {
            kept += weight[v] > 0.0f;
            if (weight[v] > 0.0f) { least = fminf(least, logits[v]); } else { most = fmaxf(most, logits[v]); }
        }
        expect(token >= 0 && weight[token] > 0.0f && weight[V - 1] > 0.0f);
        expect(i % 2 ? kept > 10 && kept < 99 : kept == 99);
        expect(least >= most); // of so many some are equal
        free(logits);
        free(weight);
    }
}

// What weighs nothing at a temperature of one may at a higher one.
static void test_hot(void) {
    const float logits[5] = { -150.0f, -400.0f, 0.0f, -151.0f, -152.0f };
    float weight[5], log_prob;
    Rng rng = rng_seed(3, 0, 0);
    expect(sample_token(logits, 5, (Sampling){ 8.0, 1.0, 3 }, &rng, weight, &log_prob) == 2);
    expect(weight[0] > 0.0f && weight[1] == 0.0f && weight[2] > 0.0f && weight[3] > 0.0f && weight[4] == 0.0f);
}

// The numbers that are drawn: one for a token, none where there is no choice to make.
static void test_stream(void) {
    const float logits[4] = { 1.0f, 3.0f, 3.0f, -2.0f };
    Rng used = rng_seed(1, 2, 3), other = used;
    expect(sample(logits, 4, (Sampling){ 0.0, 0.5, 2 }, &used) == 1);
    expect(memcmp(&used, &other, sizeof(used)) == 0);
    for (int i = 0; i < 50; i++) {
        expect(sample(logits, 4, (Sampling){ 1.0, 1e-6, 0 }, &used) == 1); // the first of equals
        rng_uniform(&other);
        expect(memcmp(&used, &other, sizeof(used)) == 0);
        expect(sample(logits, 4, (Sampling){ 1e-300, 1.0, 1 }, &used) == 1);
        rng_uniform(&other);
    }
}

static void test_no_probabilities(void) {
    const float bad[][3] = { { 0.0f, NAN, 1.0f }, { NAN, 0.0f, 1.0f }, { 0.0f, 1.0f, INFINITY }, { -INFINITY, -INFINITY, -INFINITY } };
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 2; k++) {
            Rng rng = rng_seed(1, 0, 0);
            expect(sample(bad[i], 3, (Sampling){ k, 0.9, 2 }, &rng) == -1);
        }
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "sampler/weights", test_weights },
        { "sampler/frequencies", test_frequencies },
        { "sampler/large", test_large },
        { "sampler/hot", test_hot },
        { "sampler/stream", test_stream },
        { "sampler/no_probabilities", test_no_probabilities },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
