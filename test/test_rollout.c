// test_rollout.c -- rollouts: what is sampled with the cache is what whole forwards give, and depends on nothing but seed and prompt.
#include "trainer.h"
#include "../drpt/rollout.h"

#include <omp.h>

// clang's OpenMP library, asked for more threads than before, leaves its old table of them behind.
const char* __lsan_default_suppressions(void);
const char* __lsan_default_suppressions(void) { return "leak:libomp"; }

enum { ROWS = 11, END = 3 };
static int prompts[ROWS][64], prompt_length[ROWS];

// Of all lengths up to T, the empty one and T itself among them.
static void random_prompts(int T, int V) {
    for (int i = 0; i < ROWS; i++) {
        prompt_length[i] = i == 0 ? 0 : i == 1 ? T : i == 2 ? T - 1 : 1 + test_below(T);
        for (int t = 0; t < prompt_length[i]; t++) { prompts[i][t] = test_below(V); }
    }
}

static GPT2* random_model(const char* sizes, float size) {
    GPT2* model = gpt2_create(sizes, 3, 0, 0);
    fill_params(model, size);
    return model;
}

// Row i has the prompt i + shift.
static void roll_out(Rollouts* r, const GPT2* model, int shift) {
    rollouts_begin(r, 7, 20, (uint64_t)shift);
    for (int i = 0; i < r->rows; i++) { rollouts_prompt(r, i, prompts[i + shift], prompt_length[i + shift]); }
    for (int left = r->rows + 1, next; left > 0; left = next) {
        next = rollouts_step(r, model);
        expect(next <= left && r->running <= r->width);
    }
}

static Rollouts rollouts_of(const GPT2* model, int rows, int T, int width, Sampling s, int most_tokens) {
    Rollouts r = rollouts_create(gpt2_config(model), rows, T, width);
    r.sampling = s;
    r.most = most_tokens;
    r.end = END;
    return r;
}

// A row again, by a forward of all of it for each token.
static void expect_plain(GPT2* model, const Rollouts* r, int i) {
    int V = model->config.vocab_size, T = r->T, length = prompt_length[i], tokens[64];
    const int* got = r->tokens + i * T;
    memcpy(tokens, prompts[i], sizeof(tokens));
    if (length == 0) { tokens[length++] = END; }
    int prompt = length, ended = 0;
    Rng rng = rng_seed(7, 20, (uint64_t)i);
    float* weight = calloc((size_t)V, sizeof(float));
    for (; length < T && length - prompt < r->most && !ended; length++) {
        float log_prob;
        gpt2_forward(model, tokens, 1, length);
        tokens[length] = sample_token(model->logits + (size_t)(length - 1) * (size_t)V, V, r->sampling, &rng, weight, &log_prob);
        ended = tokens[length] == END;
        expect(got[length] == tokens[length] && r->mask[i * T + length] == 1);
        expect(fabsf(r->log_prob[i * T + length] - log_prob) <= 1e-5f);
    }
    free(weight);
    expect(r->prompt[i] == prompt && r->length[i] == length && r->ended[i] == ended);
    for (int t = 0; t < T; t++) {
        if (t < prompt) { expect(got[t] == tokens[t]); }
        if (t >= length) { expect(got[t] == 0); }
        if (t < prompt || t >= length) { expect(r->mask[i * T + t] == 0 && r->log_prob[i * T + t] == 0.0f); }
    }
}

// The log-probabilities of sampling are those of the training forward on the same rows.
static void expect_training_forward(GPT2* model, const Rollouts* r) {
    int T = r->T - 1, N = r->rows * T, sampled = 0;
    int *inputs = calloc((size_t)N, sizeof(int)), *targets = calloc((size_t)N, sizeof(int));
    float *weight = calloc((size_t)N, sizeof(float)), *losses = calloc((size_t)N, sizeof(float));
    unsigned char* hits = calloc((size_t)N, 1);
    for (int n = 0; n < N; n++) {
        int at = n / T * r->T + n % T;
        inputs[n] = r->tokens[at];
        targets[n] = r->tokens[at + 1];
        weight[n] = r->mask[at + 1];
        sampled += r->mask[at + 1];
    }
    gpt2_forward(model, inputs, r->rows, T);
    gpt2_evaluate(model, targets, weight, losses, hits, r->rows, T);
    for (int n = 0; n < N; n++) {
        if (weight[n] != 0.0f) { expect(fabsf(r->log_prob[n / T * r->T + n % T + 1] + losses[n]) <= 1e-5f); }
    }
    expect(sampled > r->rows);
    free(inputs); free(targets); free(weight); free(losses); free(hits);
}

static const Sampling ways[] = { { 1.0, 1.0, 0 }, { 0.0, 1.0, 0 }, { 0.7, 0.9, 0 }, { 1.5, 1.0, 5 }, { 1.0, 0.6, 7 } };

// Rows that end by themselves, at a full context and one beyond it, after so many tokens; a vocabulary of which most is padding.
static void test_without_cache(void) {
    for (int i = 0; i < 5; i++) {
        int T = i % 2 ? 23 : 24, V = 13;
        GPT2* model = random_model("L2,H3,C18,V13,T23", 0.4f);
        gpt2_alloc(model, ROWS, 24, 0, 0, 0);
        random_prompts(T, V);
        Rollouts r = rollouts_of(model, ROWS, T, 4, ways[i], i == 2 ? 5 : 1000);
        roll_out(&r, model, 0);
        for (int k = 0; k < ROWS; k++) { expect_plain(model, &r, k); }
        expect_training_forward(model, &r);
        expect(r.length[1] == T && r.prompt[1] == T && !r.ended[1]);
        roll_out(&r, model, 0); // again, in the same memory
        for (int k = 0; k < ROWS; k++) { expect_plain(model, &r, k); }
        rollouts_free(&r);
        gpt2_free(model);
    }
}

static int same_row(const Rollouts* a, int i, const Rollouts* b, int k) {
    size_t T = (size_t)a->T, x = (size_t)i * T, y = (size_t)k * T;
    return a->length[i] == b->length[k] && a->ended[i] == b->ended[k] && memcmp(a->tokens + x, b->tokens + y, sizeof(int) * T) == 0 &&
           memcmp(a->log_prob + x, b->log_prob + y, sizeof(float) * T) == 0;
}

// To the last bit: any number of threads, rows at a time, other rows. The products of the wide ones are shared by threads.
static void test_same_bits(void) {
    GPT2* model = random_model("L2,H4,C148,V700,T30", 0.15f);
    int threads = omp_get_max_threads();
    random_prompts(30, 700);
    omp_set_num_threads(1);
    Rollouts want = rollouts_of(model, ROWS, 31, 1, ways[4], 1000);
    roll_out(&want, model, 0);
    for (int i = 0; i < 9; i++) {
        static const int widths[3] = { 2, 5, ROWS };
        int shift = i / 3;
        omp_set_num_threads(1 + i % 3);
        Rollouts r = rollouts_of(model, ROWS - shift, 31, widths[(i + shift) % 3], ways[4], 1000);
        roll_out(&r, model, shift);
        for (int k = 0; k < r.rows; k++) { expect(same_row(&r, k, &want, k + shift)); }
        rollouts_free(&r);
    }
    omp_set_num_threads(threads);
    rollouts_free(&want);
    gpt2_free(model);
}

// The end of text is the likeliest: every row ends with its first token, the place is the next one's, and nobody is decoded in vain.
static void test_end_at_once(void) {
    GPT2* model = random_model("L1,H2,C16,V13,T23", 0.3f);
    for (int k = 0; k < 16; k++) { model->weight.lnfw[k] = 0.0f; model->weight.lnfb[k] = 1.0f; model->weight.wte[END * 16 + k] = 5.0f; }
    random_prompts(20, 13);
    Rollouts r = rollouts_of(model, ROWS, 24, 4, ways[0], 1000);
    rollouts_begin(&r, 1, 2, 0);
    for (int i = 0; i < ROWS; i++) { rollouts_prompt(&r, i, prompts[i], prompt_length[i]); }
    expect(rollouts_step(&r, model) == ROWS - 4 && r.running == 0);
    expect(rollouts_step(&r, model) == ROWS - 8 && rollouts_step(&r, model) == 0 && rollouts_step(&r, model) == 0);
    for (int i = 0; i < ROWS; i++) {
        int last = r.length[i] - 1;
        expect(r.ended[i] && last == r.prompt[i] && r.mask[i * 24 + last] == 1 && r.tokens[i * 24 + last] == END);
        expect(fabsf(r.log_prob[i * 24 + last]) <= 1e-5f);
    }
    rollouts_free(&r);
    gpt2_free(model);
}

// A prompt of what there is already: the row goes on with its random numbers, as if there had been no stop.
static void test_prompt_again(void) {
    GPT2* model = random_model("L2,H3,C18,V13,T23", 0.3f);
    Rollouts whole = rollouts_of(model, 1, 24, 1, ways[0], 1000), parts = rollouts_of(model, 1, 24, 1, ways[0], 3);
    whole.end = parts.end = -1;
    random_prompts(20, 13);
    prompt_length[0] = 2;
    roll_out(&whole, model, 0);
    roll_out(&parts, model, 0);
    while (parts.length[0] < 24) {
        rollouts_prompt(&parts, 0, parts.tokens, parts.length[0]);
        while (rollouts_step(&parts, model) > 0) { }
    }
    expect(memcmp(whole.tokens, parts.tokens, sizeof(int) * 24) == 0 && whole.length[0] == 24 && parts.prompt[0] == 23);
    rollouts_free(&whole);
    rollouts_free(&parts);
    gpt2_free(model);
}

static void test_faults(void) {
    GPT2* model = random_model("L1,H2,C16,V13,T23", 0.3f);
    int prompt[24] = {0}, threads = omp_get_max_threads();
    omp_set_num_threads(1); // a child that expect_dies() starts has no others
    expect_dies("context is 23", rollouts_create(gpt2_config(model), 1, 25, 1));
    Rollouts r = rollouts_of(model, 2, 20, 2, ways[0], 1000);
    rollouts_begin(&r, 1, 0, 0);
    expect_dies("21 tokens", rollouts_prompt(&r, 0, prompt, 21));
    expect_dies("not done", for (int i = 0; i < 3; i++) { rollouts_prompt(&r, 0, prompt, 1); });
    expect_dies("room for 2", gpt2_decode(model, r.decoder, prompt, prompt, prompt, 3));
    r.end = -1;
    expect_dies("empty prompt", rollouts_prompt(&r, 0, prompt, 0));
    rollouts_prompt(&r, 1, prompt, 4);
    model->weight.wte[5 * 16] = NAN;
    expect_dies("rollout 1: the logits of its token 4", rollouts_step(&r, model));
    omp_set_num_threads(threads);
    rollouts_free(&r);
    gpt2_free(model);
}

// More positions than are computed at a time, of several rows.
static void test_long_prompts(void) {
    enum { T = 300, V = 11, B = 3 };
    GPT2* model = random_model("L2,H2,C16,V11,T300", 0.3f);
    int tokens[B * T], row[B * T], place[B * T], count = 0, fed[B * T], at[B] = { 299, 1, 180 }, last[B], slot[B] = { 2, 0, 1 };
    gpt2_alloc(model, B, T, 0, 0, 0);
    for (int n = 0; n < B * T; n++) { tokens[n] = test_below(V); }
    gpt2_forward(model, tokens, B, T);
    Decoder* d = decoder_create(gpt2_config(model), B, T);
    for (int b = 0; b < B; b++) {
        last[b] = tokens[b * T + at[b]];
        for (int t = 0; t < at[b]; t++, count++) {
            fed[count] = tokens[b * T + t];
            row[count] = slot[b];
            place[count] = t;
        }
    }
    gpt2_prefill(model, d, fed, row, place, count);
    const float* logits = gpt2_decode(model, d, last, slot, at, B);
    for (int b = 0; b < B; b++) { expect_close(logits + b * V, model->logits + (b * T + at[b]) * V, V, 1e-5f); }
    decoder_free(d);
    gpt2_free(model);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "rollout/without_cache", test_without_cache },
        { "rollout/same_bits", test_same_bits },
        { "rollout/end_at_once", test_end_at_once },
        { "rollout/prompt_again", test_prompt_again },
        { "rollout/faults", test_faults },
        { "rollout/long_prompts", test_long_prompts },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
