// test_gpt2.c -- the trainer's parts in the precision they run in: against their definitions in double precision, and against each
// other. That the backward is the derivative of the forward is test_gradient.c's.
#include "trainer.h"

static float* floats(size_t n) {
    float* x = calloc(n, sizeof(float));
    check(x != NULL, "out of memory");
    return x;
}

static float* random_floats(size_t n, float size) {
    float* x = floats(n);
    test_fill(x, n, &test_rng);
    for (size_t i = 0; i < n; i++) { x[i] *= size; }
    return x;
}

// ---------------------------------------------------------------------------------------------
// Layers.

static void test_fast_exp(void) {
    double worst = 0.0;
    for (int i = -870000; i <= 870000; i++) {
        float x = (float)i * 1e-4f;
        double error = fabs(fast_exp(x) / exp(x) - 1.0);
        worst = error > worst || isnan(error) ? error : worst;
    }
    expect(worst <= 3e-7); // 2.3e-7 with fused multiply-adds, 2.6e-7 without
    expect(fast_exp(0.0f) == 1.0f && fast_exp(-0.0f) == 1.0f);
    expect(isnan(fast_exp(NAN)) && isnan(fast_exp(-NAN)));
    expect(fast_exp(INFINITY) == fast_exp(87.0f) && fast_exp(1e30f) == fast_exp(87.0f) && isfinite(fast_exp(87.0f)));
    expect(fast_exp(-INFINITY) == fast_exp(-87.0f) && fast_exp(-1e30f) == fast_exp(-87.0f) && fast_exp(-87.0f) > 0.0f);
}

static void test_layernorm(void) {
    enum { N = 3, C = 37 };
    float *inp = random_floats(N * C, 3.0f), *weight = random_floats(C, 1.0f), *bias = random_floats(C, 1.0f);
    float out[N*C], want[N*C], mean[N], rstd[N];
    for (int c = 0; c < C; c++) { inp[c] += 1000.0f; } // an offset that squares would drown in
    layernorm_forward(out, mean, rstd, inp, weight, bias, N, C);
    for (int n = 0; n < N; n++) {
        double m = 0.0, variance = 0.0;
        for (int c = 0; c < C; c++) { m += inp[n*C + c] / (double)C; }
        for (int c = 0; c < C; c++) { variance += (inp[n*C + c] - m) * (inp[n*C + c] - m) / C; }
        for (int c = 0; c < C; c++) { want[n*C + c] = (float)((inp[n*C + c] - m) / sqrt(variance + 1e-5) * weight[c] + bias[c]); }
        expect(fabs(mean[n] - m) <= 1e-6 * fabs(m) + 1e-6 && fabs(rstd[n] * sqrt(variance + 1e-5) - 1.0) < 1e-4);
    }
    expect_close(out, want, C, 1e-4f);
    expect_close(out + C, want + C, (N - 1) * C, 1e-6f);
    free(inp);
    free(weight);
    free(bias);
}

static void test_gelu(void) {
    enum { N = 401 };
    float x[N], out[N], want[N], dinp[N], slope[N];
    for (int i = 0; i < N; i++) {
        double v = x[i] = (float)(i - N / 2) * 0.1f, u = sqrt(2.0 / acos(-1.0)) * (v + 0.044715 * v * v * v);
        double sech2 = 1.0 - tanh(u) * tanh(u);
        want[i] = (float)(0.5 * v * (1.0 + tanh(u)));
        slope[i] = (float)(0.5 * (1.0 + tanh(u)) + 0.5 * v * sech2 * sqrt(2.0 / acos(-1.0)) * (1.0 + 3.0 * 0.044715 * v * v));
        dinp[i] = 1.0f;
    }
    gelu_forward(out, x, N);
    gelu_backward(dinp, x, N);
    expect_close(out, want, N, 1e-6f);
    expect_close(dinp, slope, N, 3e-6f);
}

// Attention by its definition: every sum written out, in double precision. AB rows, ANH heads of AC / ANH channels.
enum { AB = 2, ANH = 3 };

static void plain_scores(double* P, const float* qkv, int b, int h, int t, int T, int hs) {
    double sum = 0.0, largest = -INFINITY;
    int AC = ANH * hs;
    const float* q = qkv + ((size_t)b * T + t) * 3*AC + h * hs;
    for (int u = 0; u <= t; u++) {
        const float* k = qkv + ((size_t)b * T + u) * 3*AC + AC + h * hs;
        P[u] = 0.0;
        for (int j = 0; j < hs; j++) { P[u] += q[j] * (double)k[j] / sqrt((double)hs); }
        largest = fmax(largest, P[u]);
    }
    for (int u = 0; u <= t; u++) { sum += P[u] = exp(P[u] - largest); }
    for (int u = 0; u <= t; u++) { P[u] /= sum; }
}

static void plain_attention(float* out, double* dqkv, const float* dout, const float* qkv, int T, int hs) {
    double P[512], dS[512];
    int AC = ANH * hs;
    for (int i = 0; i < AB * ANH * T; i++) {
        int b = i / (ANH * T), h = i / T % ANH, t = i % T;
        size_t row = (size_t)b * T, at = (row + t) * AC + h * hs;
        double along = 0.0;
        plain_scores(P, qkv, b, h, t, T, hs);
        for (int j = 0; j < hs; j++) {
            double sum = 0.0;
            for (int u = 0; u <= t; u++) { sum += P[u] * qkv[(row + u) * 3*AC + 2*AC + h * hs + j]; }
            out[at + j] = (float)sum;
        }
        for (int u = 0; u <= t; u++) {
            dS[u] = 0.0;
            for (int j = 0; j < hs; j++) { dS[u] += (double)dout[at + j] * qkv[(row + u) * 3*AC + 2*AC + h * hs + j]; }
            along += P[u] * dS[u];
        }
        for (int u = 0; u <= t; u++) {
            double d = P[u] * (dS[u] - along) / sqrt((double)hs);
            size_t q = (row + t) * 3*AC + h * hs, k = (row + u) * 3*AC + AC + h * hs;
            for (int j = 0; j < hs; j++) {
                dqkv[q + j] += d * qkv[k + j];
                dqkv[k + j] += d * qkv[q + j];
                dqkv[k + AC + j] += P[u] * dout[at + j];
            }
        }
    }
}

// Queries and keys of `size`, values of 1; `late`: every key has a larger score than those before, so that each block has to
// scale down what the others have gathered. Memory holds NaN before, and nothing may be written beyond it.
static void expect_attention(int T, int hs, float size, int late, float tolerance) {
    size_t N = (size_t)AB * (size_t)T, C = (size_t)ANH * (size_t)hs, n = N * C, room = attention_scratch_size(T, hs) * (size_t)omp_get_max_threads();
    float *qkv = random_floats(3*n, 1.0f), *dout = random_floats(n, 1.0f), *want = floats(n), *dwant = floats(3*n);
    float *out = floats(2*n), *dqkv = floats(6*n), *lse = floats(2 * N * ANH), *memory = floats(room + 1);
    double* exact = calloc(3*n, sizeof(double));
    check(exact != NULL, "out of memory");
    for (size_t i = 0; i < N * 2*C; i++) {
        float* x = &qkv[i / (2*C) * 3*C + i % (2*C)];
        *x = late ? (i % (2*C) < C ? size : (float)(i / (2*C) % (size_t)T) / (float)T * size + 1e-2f * *x) : size * *x;
    }
    plain_attention(want, exact, dout, qkv, T, hs);
    for (size_t k = 0; k < 3*n; k++) { dwant[k] = (float)exact[k]; }
    for (int again = 0; again < 2; again++) {
        for (size_t k = 0; k < room; k++) { memory[k] = NAN; }
        memory[room] = 7.0f;
        for (size_t k = 0; k < 3*n; k++) { dqkv[(size_t)again * 3*n + k] = NAN; }
        attention_forward(out + (size_t)again * n, lse + (size_t)again * N * ANH, qkv, memory, AB, T, (int)C, ANH);
        attention_backward(dqkv + (size_t)again * 3*n, dout, qkv, out + (size_t)again * n, lse + (size_t)again * N * ANH, memory, AB, T, (int)C, ANH);
        expect(memory[room] == 7.0f);
    }
    expect_close(out, want, n, tolerance);
    expect_close(dqkv, dwant, 3*n, 2.5f * tolerance);
    expect(memcmp(out, out + n, sizeof(float) * n) == 0 && memcmp(dqkv, dqkv + 3*n, sizeof(float) * 3*n) == 0);
    float* all[] = { qkv, dout, out, want, lse, dqkv, dwant, memory };
    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) { free(all[k]); }
    free(exact);
}

static void test_attention(void) {
    static const int lengths[] = { 1, 2, 17, 63, 64, 65, 100, 130, 257 }, sizes[] = { 1, 3, 20, 32, 64 };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) { expect_attention(lengths[i], sizes[k], 2.0f, 0, 3e-6f); }
    }
}

// Scores as far apart as 160, the largest early, late or anywhere: the old sums are scaled by as little as e^-160.
static void test_attention_online(void) {
    for (int i = 0; i < 2; i++) {
        int T = i == 0 ? 257 : 130;
        expect_attention(T, 20, 8.0f, 0, 2e-5f);
        expect_attention(T, 1, 9.0f, 0, 2e-5f);   // +-81
        expect_attention(T, 1, 9.0f, 1, 2e-5f);   // 0 to 81, growing
        expect_attention(T, 64, 3.5f, 1, 2e-5f);  // 0 to 98, growing
    }
}

static void test_cross_entropy(void) {
    enum { N = 4, V = 9, ROW = 12 }; // a row ends in numbers that are not to be looked at
    float logits[N*ROW], losses[N], again[N], want[N], weight[N] = { 1.0f, 0.25f, 0.0f, 2.0f };
    int targets[N] = { 0, 8, 3, 5 };
    unsigned char hits[N];
    uint64_t rng = 1; // its own: row 1 must miss
    test_fill(logits, N * ROW, &rng);
    for (int i = 0; i < N * ROW; i++) { logits[i] *= 30.0f; } // as far apart as e^60
    logits[0] = 100.0f;                                     // row 0 hits,
    logits[3*ROW + 2] = logits[3*ROW + 5] = 70.0f;              // row 3 shares the largest with a lower token: no hit
    logits[2*ROW] = NAN;                                    // not trained on: not looked at
    for (int n = 0; n < N; n++) {
        for (int v = V; v < ROW; v++) { logits[n*ROW + v] = v % 2 ? NAN : 200.0f; }
        double sum = 0.0;
        for (int v = 0; v < V; v++) { sum += exp((double)logits[n*ROW + v] - 100.0); }
        want[n] = weight[n] != 0.0f ? (float)(log(sum) + 100.0 - logits[n*ROW + targets[n]]) : 0.0f;
    }
    cross_entropy_forward(losses, hits, logits, targets, weight, N, V, ROW);
    expect_close(losses, want, N, 1e-6f);
    expect(hits[0] == 1 && hits[1] == (logits[ROW + 8] >= 30.0f) && hits[2] == 0 && hits[3] == 0);
    cross_entropy_backward(again, logits, targets, weight, N, V, ROW);
    expect(memcmp(again, losses, sizeof(losses)) == 0);
    for (int n = 0; n < N; n++) { for (int v = V; v < ROW; v++) { expect(logits[n*ROW + v] == 0.0f); } }
    for (int v = 0; v < V; v++) { expect(logits[2*ROW + v] == 0.0f); }
}

// ---------------------------------------------------------------------------------------------
// The tensors.

static void test_tensors(void) {
    static const struct { const char* init; size_t params; } known[] = { // formats.md 2
        { "d6", 30357504 }, { "d12", 124475904 }, { "d24", 354871296 }, { "d36", 774090240 }, { "d48", 1557686400 },
    };
    Tensor tensor[NUM_TENSORS];
    GPT2Config c;
    expect(NUM_TENSORS == 18);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        expect(gpt2_config_parse(&c, known[i].init) && list_tensors(tensor, &c) == known[i].params);
    }
}

// Deviation and mean of a piece of the parameters; of n normal ones they are that to about 1 / sqrt(n).
static void expect_normal_at(int line, const float* x, size_t n, double sd) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) { sum += x[i]; squares += (double)x[i] * x[i]; }
    double off = fabs(sqrt(squares / (double)n) / sd - 1.0) + fabs(sum / (double)n / sd);
    if (!(off <= 8.0 / sqrt((double)n))) {
        fprintf(stderr, "%s:%d: mean %g, deviation %g, not 0 and %g\n", __FILE__, line, sum / (double)n, sqrt(squares / (double)n), sd);
        test_failures++;
    }
}
#define expect_normal(x, n, sd) expect_normal_at(__LINE__, x, n, sd)

static void test_init(void) {
    GPT2 *model = gpt2_create("L3,H4,C48,V130,T50", 5, 0, 0), *other = gpt2_create("L3,H4,C48,V130,T50", 6, 0, 0);
    const Params* w = &model->weight;
    expect(model->config.padded_vocab_size == 256 && model->config.heads == 4 && model->config.layers == 3);
    expect_normal(w->wte, 130 * 48, 0.02);
    for (int i = 130 * 48; i < 256 * 48; i++) { expect(w->wte[i] == 0.0f); }
    expect_normal(w->wpe, 50 * 48, 0.02);
    for (int l = 0; l < 3; l++) {
        const BlockParams* b = &w->block[l];
        expect_normal(b->qkvw, 3*48*48, 0.02);
        expect_normal(b->attprojw, 48*48, 0.02 / sqrt(6.0));
        expect_normal(b->fcw, 4*48*48, 0.02);
        expect_normal(b->fcprojw, 4*48*48, 0.02 / sqrt(6.0));
        for (int c = 0; c < 48; c++) {
            expect(b->ln1w[c] == 1.0f && b->ln2w[c] == 1.0f && b->ln1b[c] == 0.0f && b->ln2b[c] == 0.0f);
            expect(b->qkvb[c] == 0.0f && b->attprojb[c] == 0.0f && b->fcb[c] == 0.0f && b->fcprojb[c] == 0.0f);
            expect(w->lnfw[c] == 1.0f && w->lnfb[c] == 0.0f);
        }
    }
    expect(memcmp(w->block[0].qkvw, w->block[1].qkvw, 64) != 0); // no two tensors alike, no two seeds
    expect(memcmp(w->block[0].qkvw, w->wte, 64) != 0);
    expect(memcmp(w->wte, other->weight.wte, 64) != 0);
    gpt2_free(model);
    gpt2_free(other);
}

// A model with a weight that is no number is refused, not trained.
static void test_broken_model(void) {
    static const float broken[] = { NAN, INFINITY, -INFINITY };
    for (int i = 0; i < 3; i++) {
        GPT2* model = gpt2_create("L1,H2,C6,V11,T7", 1, 0, 0);
        model->params[i == 0 ? 0 : i == 1 ? model->num_params / 2 : model->num_params - 1] = broken[i];
        model_write(scratch("broken.bin"), &model->config, MODEL_FP32, model->params, model->num_params);
        expect_dies("not a number", omp_set_num_threads(1); gpt2_create(scratch("broken.bin"), 1, 0, 0)); // a child has no other threads
        gpt2_free(model);
    }
}

// A file of the model that a test may change: its 16-bit words.
static uint16_t* read_words(const char* path, size_t* count) {
    size_t bytes;
    FILE* f = input_open(path, &bytes);
    uint16_t* words = malloc(bytes + sizeof(uint16_t));
    check(words != NULL, "out of memory");
    input_read(f, path, words, bytes);
    fclose(f);
    *count = bytes / sizeof(uint16_t);
    return words;
}

static void write_words(const char* path, const uint16_t* words, size_t count) {
    Output o = output_open(path);
    output_write(&o, words, sizeof(uint16_t) * count);
    output_close(&o);
}

// A bf16 model is rounded once, to the nearest, and read by the same trainer.
static void test_bf16_model(void) {
    static const float given[] = { 0x1.01p0f, 0x1.03p0f, -0x1.01p0f, 0x1.010002p0f, 0x1.00fffep0f, 0x1.ffp3f, 0x1p-130f, -0.0f, 0x1.fep127f };
    static const float want[] = { 1.0f, 0x1.04p0f, -1.0f, 0x1.02p0f, 1.0f, 0x1p4f, 0x1p-130f, -0.0f, 0x1.fep127f };
    enum { GIVEN = sizeof(given) / sizeof(given[0]) };
    size_t count;
    GPT2* model = gpt2_create("L2,H2,C24,V11,T7", 1, 0, 0);
    memcpy(model->params, given, sizeof(given));
    model_write(scratch("bf16.bin"), &model->config, MODEL_BF16, model->params, model->num_params);
    GPT2* read = gpt2_create(scratch("bf16.bin"), 2, 0, 0);
    expect(memcmp(&read->config, &model->config, sizeof(read->config)) == 0 && read->num_params == model->num_params);
    expect(memcmp(read->params, want, sizeof(want)) == 0);
    for (size_t i = GIVEN; i < model->num_params; i++) { expect(fabsf(read->params[i] - model->params[i]) <= 0x1p-8f * fabsf(model->params[i])); }
    model_write(scratch("again.bin"), &model->config, MODEL_BF16, read->params, read->num_params); // nothing left to round
    uint16_t *words = read_words(scratch("bf16.bin"), &count), *again = read_words(scratch("again.bin"), &count);
    expect(count == 512 + model->num_params && memcmp(words, again, sizeof(uint16_t) * count) == 0 && words[2] == 5);
    free(words);
    free(again);
    gpt2_free(model);
    gpt2_free(read);
}

static void expect_broken_words(const char* about, const uint16_t* words, size_t count) {
    write_words(scratch("broken.bin"), words, count);
    expect_dies(about, omp_set_num_threads(1); gpt2_create(scratch("broken.bin"), 1, 0, 0));
}

static void test_broken_bf16_model(void) {
    size_t count;
    GPT2* model = gpt2_create("L2,H2,C6,V11,T7", 1, 0, 0);
    model_write(scratch("bf16.bin"), &model->config, MODEL_BF16, model->params, model->num_params);
    uint16_t* words = read_words(scratch("bf16.bin"), &count);
    expect_broken_words("its header asks for", words, count - 1);
    words[count] = 0;
    expect_broken_words("its header asks for", words, count + 1);
    words[2] = 3;                                                     // fp32 would need twice as much
    expect_broken_words("its header asks for", words, count);
    words[2] = 4;
    expect_broken_words("version 4", words, count);
    words[2] = 5;
    for (int i = 0; i < 3; i++) {
        uint16_t* word = &words[i == 0 ? 512 : i == 1 ? (512 + count) / 2 : count - 1], kept = *word;
        *word = i == 1 ? 0x7fc0 : i == 0 ? 0xff80 : 0x7f81;           // NaN, -infinity, a signalling NaN
        expect_broken_words("not a number", words, count);
        *word = kept;
    }
    free(words);
    gpt2_free(model);
}

// ---------------------------------------------------------------------------------------------
// The scalar head.

// A file has a head or none; whoever asks for one gets it of zeros, and a file's own stays. All else is the same in both.
static void test_head_file(void) {
    GPT2 *bare = gpt2_create("L2,H2,C6,V11,T7", 1, 0, 0), *model = gpt2_create("L2,H2,C6,V11,T7", 1, 0, 1);
    size_t body = bare->num_params;
    expect(bare->config.head == 0 && model->config.head == 1 && model->num_params == body + 7);
    expect(memcmp(model->params, bare->params, sizeof(float) * body) == 0 && model->weight.headw == model->params + body && model->weight.headb == model->params + body + 6);
    for (size_t i = body; i < model->num_params; i++) { expect(model->params[i] == 0.0f); model->params[i] = 0.5f * (float)(i - body) - 1.0f; }
    model_write(scratch("bare.bin"), &bare->config, MODEL_FP32, bare->params, body);
    model_write(scratch("head.bin"), &model->config, MODEL_FP32, model->params, model->num_params);
    model_write(scratch("head16.bin"), &model->config, MODEL_BF16, model->params, model->num_params);
    for (int with_head = 0; with_head < 2; with_head++) {
        GPT2* read = gpt2_create(scratch("bare.bin"), 2, 1, with_head);
        expect(read->config.head == with_head && read->num_params == body + (with_head ? 7 : 0));
        expect(memcmp(read->params, bare->params, sizeof(float) * body) == 0);
        for (size_t i = body; i < read->num_params; i++) { expect(read->params[i] == 0.0f); }
        gpt2_free(read);
        read = gpt2_create(scratch("head.bin"), 2, 1, with_head);
        expect(read->config.head == 1 && read->num_params == body + 7 && memcmp(read->params, model->params, sizeof(float) * read->num_params) == 0);
        gpt2_free(read);
        read = gpt2_create(scratch("head16.bin"), 2, 1, with_head);
        expect(read->config.head == 1 && memcmp(read->params + body, model->params + body, sizeof(float) * 7) == 0); // bf16 holds all of these
        gpt2_free(read);
    }
    GPT2Init from = gpt2_init_open(scratch("bare.bin"), 1);
    float* params = random_floats(from.num_params, 1.0f);
    gpt2_init(&from, params, 0);
    for (size_t i = body; i < from.num_params; i++) { expect(params[i] == 0.0f); } // wherever it is put
    free(params);
    size_t count;
    uint16_t* words = read_words(scratch("head.bin"), &count);
    expect(words[16] == 1 && words[17] == 0);
    expect_broken_words("its header asks for", words, count - 14); // a header that promises a head
    words[16] = 0;
    expect_broken_words("its header asks for", words, count);      // a head that no header promises
    words[16] = 2;
    expect_broken_words("scalar heads: 2", words, count);
    free(words);
    gpt2_free(bare);
    gpt2_free(model);
}

// The head stands beside the projections: its shares change its own gradient and nothing else, while what flows through it is part of every
// row's gradient. A position without a gradient is left alone, whatever its numbers are.
static void test_head_is_no_site(void) {
    enum { n = 4, m = 2, T = 6, N = (n + m) * T, CASES = 5 };
    static const char* const groups[] = { "layer", "global" };
    static const unsigned char usable[n] = { 1, 1, 1, 1 };
    for (int g = 0; g < 2; g++) {
        DrptOptions o = drpt_defaults;
        o.method = "subset";
        o.group = groups[g];
        float *kept = NULL, *scores = NULL;
        Drpt drpt = drpt_create(&o, n, m, T, 32, 1, 1);
        GPT2* model = gpt2_create("L2,H2,C8,V13,T8", 1, 1, 1);
        gpt2_alloc(model, n + m, T, 1, drpt_keeps_blocks(&drpt), 0);
        fill_params(model, 0.4f);
        int tokens[N], targets[N];
        float weight[N], dvalue[N], share[n + m];
        for (int i = 0; i < N; i++) { tokens[i] = test_below(13); targets[i] = test_below(13); weight[i] = i % 3 ? 0.2f : 0.0f; }
        size_t body = model->num_params - 9, all = model->num_params;
        kept = floats(all);
        scores = floats(n * 16);
        for (int k = 0; k < CASES; k++) { // shares of 1; of 0; others; no head; another dvalue
            for (int i = 0; i < N; i++) { dvalue[i] = i % 4 == 1 && k != 3 ? (k == 4 ? -0.3f : 0.1f) * (float)(1 + i % 5) : 0.0f; }
            for (int i = 0; i < n + m; i++) { share[i] = k == 1 ? 0.0f : k == 2 ? 0.5f * (float)(i - 2) : 1.0f; }
            HeadGradient head = { dvalue, share };
            memset(model->grads, 0, sizeof(float) * all);
            drpt_begin(&drpt, 1, usable, NULL);
            gpt2_forward(model, tokens, n + m, T);
            if (k == 3) { for (int c = 0; c < 8; c++) { model->weight.headw[c] = NAN; } } // of nobody's business then
            gpt2_backward(model, tokens, targets, weight, &head, &drpt, n + m, T);
            drpt_end(&drpt);
            if (k == 3) { for (int c = 0; c < 8; c++) { model->weight.headw[c] = 0.4f; } }
            size_t count = (size_t)drpt.num_groups * n < n * 16 ? (size_t)drpt.num_groups * n : n * 16;
            for (size_t i = 0; i < all; i++) { expect(isfinite(model->grads[i])); }
            expect(drpt.rows_dropped == 0 && drpt.groups_skipped == 0);
            if (k == 0) {
                memcpy(kept, model->grads, sizeof(float) * all);
                for (size_t i = 0; i < count; i++) { scores[i] = (float)drpt.scores[i]; }
                for (size_t i = body; i < all; i++) { expect(kept[i] != 0.0f); }
                continue;
            }
            int same = 1;
            for (size_t i = 0; i < count; i++) { same &= scores[i] == (float)drpt.scores[i]; }
            expect(same == (k < 3) && (memcmp(kept, model->grads, sizeof(float) * body) == 0) == (k < 3));
            int zero = 1;
            for (size_t i = body; i < all; i++) { zero &= model->grads[i] == 0.0f; expect(k == 1 || k == 3 || model->grads[i] != kept[i]); }
            expect(zero == (k == 1 || k == 3));
        }
        free(kept);
        free(scores);
        drpt_free(&drpt);
        gpt2_free(model);
    }
}

// Where no token is trained on, nobody asks for logits: the gradient is that of the values alone, and of the words' embeddings only those
// that the rows hold have one.
static void test_values_alone(void) {
    enum { n = 3, T = 5, V = 13, C = 8, N = n * T };
    DrptOptions o = drpt_defaults;
    o.method = "full";
    Drpt drpt = drpt_create(&o, n, 0, T, 4 * C, 1, 1);
    GPT2* model = gpt2_create("L2,H2,C8,V13,T8", 1, 1, 1);
    gpt2_alloc(model, n, T, 1, 0, 0);
    fill_params(model, 0.4f);
    // The last of a row has a part in the loss: else a word that is there alone has no gradient.
    int tokens[N], targets[N], found[V] = {0};
    float weight[N] = {0}, dvalue[N], share[n] = { 1.0f, 1.0f, 1.0f };
    for (int i = 0; i < N; i++) { tokens[i] = test_below(7); targets[i] = test_below(V); found[tokens[i]] = 1; dvalue[i] = i % T != 2 ? 0.1f * (float)(i - 6) : 0.0f; }
    HeadGradient head = { dvalue, share };
    float* whole = floats(model->num_params);
    for (int with_logits = 1; with_logits >= 0; with_logits--) {
        memset(model->grads, 0, sizeof(float) * model->num_params);
        for (int i = 0; i < N * V; i++) { model->logits[i] = NAN; }
        for (int i = 0; i < N; i++) { model->losses[i] = NAN; }
        for (int i = 0; i < N * C; i++) { model->dlnf[i] = NAN; }
        drpt_begin(&drpt, 0, NULL, NULL);
        (with_logits ? gpt2_forward : gpt2_hidden)(model, tokens, n, T);
        gpt2_backward(model, tokens, targets, weight, &head, &drpt, n, T);
        for (int i = 0; i < N; i++) { expect(model->losses[i] == 0.0f); }
        if (with_logits) { memcpy(whole, model->grads, sizeof(float) * model->num_params); }
    }
    expect(memcmp(whole, model->grads, sizeof(float) * model->num_params) == 0);
    for (int i = 0; i < V * C; i++) { expect((model->grad.wte[i] != 0.0f) == found[i / C] && isfinite(model->grad.wte[i])); }
    weight[N - 2] = -0.1f; // a token to be unlearnt is one
    drpt_begin(&drpt, 0, NULL, NULL);
    gpt2_forward(model, tokens, n, T);
    gpt2_backward(model, tokens, targets, weight, &head, &drpt, n, T);
    for (int i = 0; i < N; i++) { expect((model->losses[i] > 0.0f) == (i == N - 2)); }
    free(whole);
    drpt_free(&drpt);
    gpt2_free(model);
}

// ---------------------------------------------------------------------------------------------
// The optimizer.

// AdamW as its paper has it, in double precision.
static void test_adamw(void) {
    enum { N = 1003, STEPS = 5 };
    float *params = random_floats(N, 1.0f), *m = floats(N), *v = floats(N), *grads = floats(N);
    float want[N], want_m[N], want_v[N];
    double p[N], dm[N], dv[N];
    AdamW a = { 0.01f, 0.9f, 0.95f, 1e-8f, 0.1f };
    Clip clip = { 0.0, 0.3 };
    for (int i = 0; i < N; i++) { p[i] = params[i]; dm[i] = dv[i] = 0.0; }
    for (int step = 1; step <= STEPS; step++) {
        test_fill(grads, N, &test_rng);
        for (int i = 0; i < N; i++) {
            double g = 0.3 * grads[i];
            dm[i] = 0.9 * dm[i] + 0.1 * g;
            dv[i] = 0.95 * dv[i] + 0.05 * g * g;
            double mhat = dm[i] / (1.0 - pow(0.9, step)), vhat = dv[i] / (1.0 - pow(0.95, step));
            p[i] -= 0.01 * (mhat / (sqrt(vhat) + 1e-8) + 0.1 * p[i]);
        }
        adamw_update(params, grads, m, v, N, a, &clip, step);
        for (int i = 0; i < N; i++) { expect(grads[i] == 0.0f); }
    }
    for (int i = 0; i < N; i++) { want[i] = (float)p[i]; want_m[i] = (float)dm[i]; want_v[i] = (float)dv[i]; }
    expect_close(params, want, N, 1e-6f);
    expect_close(m, want_m, N, 1e-6f);
    expect_close(v, want_v, N, 1e-6f);
    free(params);
    free(grads);
    free(m);
    free(v);
}

// eps counts where the gradient is small: a step of lr g / (|g| + eps).
static void test_adamw_eps(void) {
    float params[1] = {0}, grads[1] = { 2e-3f }, m[1] = {0}, v[1] = {0};
    float want[1] = { (float)(-0.1 * 2e-3 / (2e-3 + 1e-3)) };
    adamw_update(params, grads, m, v, 1, (AdamW){ 0.1f, 0.9f, 0.999f, 1e-3f, 0.0f }, NULL, 1);
    expect_close(params, want, 1, 1e-6f);
}

static void test_sgd(void) {
    enum { N = 77 };
    float *params = random_floats(N, 1.0f), *grads = random_floats(N, 1.0f), want[N];
    for (int i = 0; i < N; i++) { want[i] = (float)(params[i] - 0.2 * (0.7 * grads[i] + 0.3 * params[i])); }
    Clip clip = { 0.0, 0.7 };
    sgd_update(params, grads, N, 0.2f, 0.3f, &clip);
    expect_close(params, want, N, 1e-6f);
    for (int i = 0; i < N; i++) { expect(grads[i] == 0.0f); }
    free(params);
    free(grads);
}

// The norm, and the scale with a bound above, below and without.
static void test_gradient_clip(void) {
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 1000, 100003 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        float* x = random_floats(sizes[i] + 1, 1.0f);
        double want = 0.0;
        Clip clip;
        for (size_t k = 0; k < sizes[i]; k++) { want += (double)x[k] * x[k]; }
        want = sqrt(want);
        gradient_clip(&clip, x, sizes[i], 2.0 * want);
        expect(fabs(clip.norm - want) <= 1e-12 * want && clip.scale == 1.0);
        gradient_clip(&clip, x, sizes[i], 0.25 * want);
        expect(fabs(clip.scale - (want > 0.0 ? 0.25 : 1.0)) <= 1e-12);
        gradient_clip(&clip, x, sizes[i], 0.0);
        expect(clip.scale == 1.0);
        free(x);
    }
}

// A gradient that is not finite leaves everything as it was, itself included.
static void test_not_finite(void) {
    static const float bad[] = { NAN, INFINITY };
    float params[3] = { 1.0f, 2.0f, 3.0f }, grads[3] = { 4.0f, 5.0f, 6.0f }, m[3] = { 7.0f, 8.0f, 9.0f }, v[3] = { 1.0f, 2.0f, 3.0f }, before[12], after[12];
    for (int i = 0; i < 2; i++) {
        Clip clip;
        grads[1] = bad[i];
        float* const all[] = { params, grads, m, v };
        for (int k = 0; k < 4; k++) { memcpy(before + 3 * k, all[k], sizeof(params)); }
        gradient_clip(&clip, grads, 3, 1.0);
        expect(!isfinite(clip.norm) && clip.scale == 0.0);
        adamw_update(params, grads, m, v, 3, (AdamW){ 0.1f, 0.9f, 0.99f, 1e-8f, 0.1f }, &clip, 1);
        sgd_update(params, grads, 3, 0.1f, 0.1f, &clip);
        for (int k = 0; k < 4; k++) { memcpy(after + 3 * k, all[k], sizeof(params)); }
        expect(memcmp(before, after, sizeof(before)) == 0);
    }
}

static int near(double got, double want) { return fabs(got - want) <= 1e-12 * fabs(want); }

// lr 2, warm-up 10 of 110 steps, final 0.1: at the corners and half way.
static void test_schedules(void) {
    static const char* const all[] = { "cosine", "linear", "wsd" };
    for (int i = 0; i < 3; i++) {
        expect(near(scheduled_lr(all[i], 2.0, 10, 0.1, 0, 110), 0.2));
        expect(near(scheduled_lr(all[i], 2.0, 10, 0.1, 4, 110), 1.0));
        expect(near(scheduled_lr(all[i], 2.0, 10, 0.1, 9, 110), 2.0));
        expect(near(scheduled_lr(all[i], 2.0, 10, 0.1, 10, 110), 2.0));
        expect(near(scheduled_lr(all[i], 2.0, 10, 0.1, 110, 110), 0.2));
        expect(near(scheduled_lr(all[i], 2.0, 0, 0.1, 0, 110), 2.0));
        expect(near(scheduled_lr(all[i], 2.0, 20, 0.1, 9, 10), 1.0)); // a warm-up that never ends
        expect(near(scheduled_lr(all[i], 2.0, 5, 1.0, 77, 110), 2.0));
        expect(near(scheduled_lr(all[i], 2.0, 0, 0.1, 0, 1), 2.0));
    }
    expect(near(scheduled_lr("cosine", 2.0, 10, 0.1, 60, 110), 2.0 * 0.55));
    expect(near(scheduled_lr("cosine", 2.0, 10, 0.1, 35, 110), 2.0 * (0.1 + 0.9 * 0.5 * (1.0 + sqrt(0.5)))));
    expect(near(scheduled_lr("linear", 2.0, 10, 0.1, 35, 110), 2.0 * (0.1 + 0.9 * 0.75)));
    expect(near(scheduled_lr("wsd", 2.0, 10, 0.1, 88, 110), 2.0));
    expect(near(scheduled_lr("wsd", 2.0, 10, 0.1, 99, 110), 2.0 * (0.1 + 0.9 * (1.0 - sqrt(0.5)))));
    expect(near(scheduled_lr("constant", 2.0, 10, 0.1, 0, 110), 2.0) && near(scheduled_lr("constant", 2.0, 10, 0.1, 110, 110), 2.0));
}

// Matrices are decayed, vectors are not, whatever the optimizer.
static void test_decay(void) {
    static const char* const optimizers[] = { "adamw", "sgd" };
    for (int i = 0; i < 2; i++) {
        GPT2* model = gpt2_create("L2,H2,C6,V11,T7", 1, 1, 1);
        Config c = config_defaults;
        c.weight_decay = 0.1;
        c.optimizer = optimizers[i];
        for (size_t k = 0; k < model->num_params; k++) { model->params[k] = 1.0f; }
        gpt2_update(model, &c, 0.5, 1);
        #define EXPECT_DECAYED(name, blocks, rows, cols, init) \
            expect(fabsf(model->params[model->tensor[TENSOR_##name].begin] - (strchr("NR", init) ? 0.95f : 1.0f)) < 1e-6f);
        PARAMS(EXPECT_DECAYED)
        gpt2_free(model);
    }
}

// ---------------------------------------------------------------------------------------------
// Generation.

enum { CONTEXT = 13 };
static const char decoded_model[] = "L2,H3,C18,V257,T13";

static void test_decode_is_forward(void) {
    GPT2* model = gpt2_create(decoded_model, 3, 0, 0);
    int tokens[CONTEXT], V = model->config.vocab_size;
    fill_params(model, 0.3f);
    gpt2_alloc(model, 1, CONTEXT, 0, 0, 0);
    for (int t = 0; t < CONTEXT; t++) { tokens[t] = test_below(V); }
    Decoder* d = decoder_create(gpt2_config(model), 1, CONTEXT);
    gpt2_forward(model, tokens, 1, CONTEXT);
    for (int t = 0, row = 0; t < CONTEXT; t++) {
        expect_close(gpt2_decode(model, d, &tokens[t], &row, &t, 1), model->logits + (size_t)t * (size_t)V, (size_t)V, 1e-5f);
    }
    decoder_free(d);
    gpt2_free(model);
}

// The likeliest tokens, each from a whole forward over the window that generate() documents. Returns how many there are.
static size_t plain_generate(GPT2* model, uint16_t* tokens, size_t count, int more) {
    size_t first = count > CONTEXT ? count - CONTEXT : 0;
    int window[CONTEXT], V = model->config.vocab_size;
    for (int i = 0; i < more; i++) {
        for (size_t k = first; k < count; k++) { window[k - first] = tokens[k]; }
        gpt2_forward(model, window, 1, (int)(count - first));
        int next = argmax(model->logits + (count - first - 1) * (size_t)V, V);
        if (next == 256) { break; }
        tokens[count++] = (uint16_t)next;
        if (count - first > CONTEXT) { first = count - (CONTEXT + 1) / 2; }
    }
    return count;
}

static void test_generate(void) {
    Config c = config_defaults;
    c.temperature = 0.0;
    for (int prompt = 1; prompt <= 2 * CONTEXT; prompt += CONTEXT - 1) {
        GPT2* model = gpt2_create(decoded_model, 3, 0, 0);
        Tokenizer* tokenizer = tokenizer_open("bytes");
        uint16_t want[128], tokens[128];
        enum { MORE = 50 };
        fill_params(model, 0.4f);
        for (int k = 0; k < 18; k++) { model->weight.wte[256 * 18 + k] = 0.0f; } // end of text: seldom the likeliest
        gpt2_alloc(model, 1, CONTEXT, 0, 0, 0);
        for (int t = 0; t < prompt; t++) { want[t] = tokens[t] = (uint16_t)test_below(256); }
        size_t count = plain_generate(model, want, (size_t)prompt, MORE);
        const char* path = scratch("generated");
        quiet_begin(path);
        generate(model, tokenizer, tokens, (size_t)prompt, MORE, &c, 0);
        quiet_end();
        size_t bytes;
        FILE* f = input_open(path, &bytes);
        unsigned char text[256];
        expect(count > 3 * CONTEXT && bytes == count - (size_t)prompt + 1);
        input_read(f, path, text, bytes);
        fclose(f);
        for (size_t k = 0; k < bytes; k++) { expect(text[k] == (k + 1 < bytes ? want[(size_t)prompt + k] : '\n')); }
        tokenizer_free(tokenizer);
        gpt2_free(model);
    }
}

// ---------------------------------------------------------------------------------------------
// Batches, evaluation, training.

static void test_batch_weigh(void) {
    enum { n = 3, m = 2, T = 4, A = 2, ROWS = A * (n + m) };
    static const int trained[ROWS] = { 4, 1, 0, 2, 3, 2, 0, 3, 1, 4 };
    for (int by_tokens = 0; by_tokens < 2; by_tokens++) {
        Batch b = batch_create(n, m, T, A);
        for (int i = 0; i < ROWS * T; i++) {
            b.mask[i] = i % T < trained[i / T];
            b.weight[i] = -7.0f;
        }
        for (int i = 0; i < ROWS; i++) { b.usable[i] = trained[i] > 0; }
        expect(batch_count(&b, 0, n).rows == 4 && batch_count(&b, 0, n).tokens == 10);
        expect(batch_count(&b, n, n + m).rows == 4 && batch_count(&b, n, n + m).tokens == 10);
        batch_weigh(&b, 0, n, by_tokens, 5.0);
        for (int i = 0; i < ROWS * T; i++) {
            int row = i / T % (n + m), on = i % T < trained[i / T];
            double want = row >= n ? -7.0 : !on ? 0.0 : by_tokens ? 5.0 / 10.0 : 5.0 / (4.0 * trained[i / T]);
            expect(fabs(b.weight[i] - want) <= 1e-6);
        }
        batch_free(&b);
    }
}

// Scores of one row alone.
typedef struct { double loss, tokens, hits; } RowScore;

static RowScore score_row(GPT2* model, const Dataset* data, size_t row) {
    RowScore s = { 0.0, 0.0, 0.0 };
    int inputs[64], targets[64], T = (int)data->T, V = model->config.vocab_size;
    unsigned char mask[64];
    dataset_row(data, row, V, inputs, targets, mask, data->T);
    gpt2_forward(model, inputs, 1, T);
    for (int t = 0; t < T; t++) {
        const float* x = model->logits + (size_t)t * (size_t)V;
        double sum = 0.0;
        if (!mask[t]) { continue; }
        for (int v = 0; v < V; v++) { sum += exp(x[v]); }
        s.loss += log(sum) - x[targets[t]];
        s.hits += argmax(x, V) == targets[t];
        s.tokens++;
    }
    return s;
}

// Batches of 3, the last one not full; and rows shorter than those of the other data, which makes no difference.
static void test_evaluate(void) {
    write_examples(scratch("val.bin"), 8, 6, 5);
    write_examples(scratch("wide.bin"), 4, 9, 5);
    for (int i = 0; i < 8; i++) {
        int by_tokens = i % 2, wide = i / 2 % 2, some = i / 4;
        run_begin("--init L1,H2,C8,V5,T10 --steps 0 --batch 3 --val-batches %d --weigh %s --val %s %s %s",
                  some ? 2 : -1, by_tokens ? "tokens" : "rows", scratch("val.bin"),
                  wide ? "--general" : "", wide ? scratch("wide.bin") : "");
        fill_params(run.model, 0.4f);
        expect(run.T == (wide ? 9 : 6));
        Tally got = evaluate(&run, &run.val);
        double loss = 0.0, weight = 0.0, hits = 0.0, tokens = 0.0, exact = 0.0, rows = some ? 6.0 : 8.0;
        for (size_t row = 0; row < (size_t)rows; row++) {
            RowScore s = score_row(run.model, &run.val, row);
            loss += by_tokens ? s.loss : s.loss / s.tokens;
            weight += by_tokens ? s.tokens : 1.0;
            hits += s.hits;
            tokens += s.tokens;
            exact += s.hits == s.tokens;
        }
        expect(fabs(got.loss / got.weight - loss / weight) <= 1e-5 * loss / weight);
        expect(got.hits == hits && got.hits > 0.0 && got.trained == tokens && got.exact == exact && got.rows == rows);
        run_close(&run);
    }
}

// What stands in a row without trained tokens, and where no token is trained on, does not matter.
static void test_untrained_do_not_matter(void) {
    enum { rows = 4, T = 6 };
    GPT2* model = gpt2_create("L1,H2,C8,V13,T8", 1, 1, 0);
    fill_params(model, 0.4f);
    gpt2_alloc(model, rows, T, 1, 0, 0);
    Drpt drpt = drpt_create(&drpt_defaults, rows, 0, T, 32, 1, 1);
    Batch b = batch_create(rows, 0, T, 1);
    float* kept = floats(model->num_params);
    for (int i = 0; i < rows * T; i++) {
        b.inputs[i] = test_below(13);
        b.targets[i] = test_below(13);
        b.mask[i] = i / T != 2 && i % T == 1 + i / T; // row 2 not at all
        b.usable[i / T] = i / T != 2;
    }
    for (int pass = 0; pass < 2; pass++) {
        batch_weigh(&b, 0, rows, 0, 1.0);
        drpt_begin(&drpt, 0, b.usable, NULL);
        gpt2_forward(model, b.inputs, rows, T);
        gpt2_backward(model, b.inputs, b.targets, b.weight, NULL, &drpt, rows, T);
        if (pass == 1) { break; }
        memcpy(kept, model->grads, sizeof(float) * model->num_params);
        memset(model->grads, 0, sizeof(float) * model->num_params);
        for (int i = 0; i < rows * T; i++) {
            if (i / T == 2 || i % T > 1 + i / T) { b.inputs[i] = test_below(13); }
            if (!b.mask[i]) { b.targets[i] = test_below(13); }
        }
    }
    expect_close(model->grads, kept, model->num_params, 0.0f);
    free(kept);
    batch_free(&b);
    drpt_free(&drpt);
    gpt2_free(model);
}

// A row whose loss is no number is no part of the mean; rows count by their weight.
static void test_add_losses(void) {
    enum { n = 2, m = 1, T = 2 };
    float losses[(n + m) * T] = { 1.0f, 3.0f, 5.0f, NAN, 2.0f, 8.0f };
    static const float weight[(n + m) * T] = { 0.25f, 0.25f, 0.5f, 0.5f, 0.0f, 1.0f };
    Batch b = { .n = n, .m = m, .T = T, .accumulate = 1 };
    Mean mean = {0};
    add_losses(&mean, losses, &b, weight, 0, n);
    expect(mean_of(mean) == 2.0);
    add_losses(&mean, losses, &b, weight, n, n + m);
    expect(mean_of(mean) == 6.0);
    mean = (Mean){0};
    add_losses(&mean, losses, &b, weight, 1, n);
    expect(isnan(mean_of(mean)));
}

// Without --steps a run goes through its data once: through the general rows, or through the target's where there are no others.
static void test_default_steps(void) {
    static const struct { int general, target; const char* options; int steps; } cases[] = {
        { 1, 0, "--batch 2", 5 }, { 1, 0, "--batch 2 --accumulate 2", 2 }, { 1, 1, "--batch 2 --target-batch 3", 5 }, { 1, 0, "--batch 20", 1 },
        { 0, 1, "--target-batch 2 --method target --batch 4", 3 }, { 0, 1, "--target-batch 1 --method target --batch 4 --accumulate 3", 2 },
    };
    write_examples(scratch("general.bin"), 11, 9, 23);
    write_examples(scratch("target.bin"), 7, 9, 23);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_begin("--init L1,H2,C8,V23,T9 %s %s %s %s %s", cases[i].general ? "--general" : "", cases[i].general ? scratch("general.bin") : "",
                  cases[i].target ? "--target" : "", cases[i].target ? scratch("target.bin") : "", cases[i].options);
        expect(run.steps == cases[i].steps);
        run_close(&run);
    }
}

// The same seed and number of threads: the same bits, whatever the method.
static void test_same_bits(void) {
    static const char* const methods[] = { "full", "subset", "cone --group global", "random --group block" };
    write_examples(scratch("general.bin"), 11, 9, 23);
    write_examples(scratch("target.bin"), 3, 9, 23);
    for (int i = 0; i < 4; i++) {
        float* kept = NULL;
        for (int pass = 0; pass < 2; pass++) {
            run_begin("--init L2,H2,C12,V23,T9 --general %s --target %s --batch 5 --target-batch 2 --steps 4 --seed 3 --method %s",
                      scratch("general.bin"), scratch("target.bin"), methods[i]);
            run_train();
            size_t size = sizeof(float) * run.model->num_params;
            if (pass == 0) { kept = floats(run.model->num_params); memcpy(kept, run.model->params, size); }
            else { expect(memcmp(kept, run.model->params, size) == 0); }
            run_close(&run);
        }
        free(kept);
    }
}

// A run that goes on from a checkpoint comes to the same weights, bit for bit: the moments, the places in the data and
// the choices at random are those of the undisturbed run. (Killed processes are test_resume.sh's.)
static void test_resume(void) {
    static const char* const methods[] = { "subset", "random --group global", "full --optimizer sgd", "inside --rank 2 --refresh 4",
                                           "outside --rank 2 --refresh 4 --accumulate 2", "span --ridge 0.1 --score sketch --sketch 2 --refresh 4" };
    write_examples(scratch("general.bin"), 11, 9, 23);
    write_examples(scratch("target.bin"), 3, 9, 23);
    for (int i = 0; i < 6; i++) {
        char options[1024];
        snprintf(options, sizeof(options), "--init L1,H2,C8,V23,T9 --general %s --target %s --batch 4 --target-batch 2 --steps 9 --seed 3"
                 " --warmup 3 --lr 0.01 --save-every 5 --method %s --out %s%d",
                 scratch("general.bin"), scratch("target.bin"), methods[i], scratch("resumed"), i);
        run_begin("%s", options);
        run_train();
        float* kept = floats(run.model->num_params);
        memcpy(kept, run.model->params, sizeof(float) * run.model->num_params);
        run_close(&run);
        run_begin("%s --resume 1", options);
        expect(run.first_step == 5);
        run_train();
        expect(memcmp(kept, run.model->params, sizeof(float) * run.model->num_params) == 0);
        run_close(&run);
        free(kept);
        if (i > 0) { continue; }
        expect_dies("--accumulate", omp_set_num_threads(1); run_begin("%s --resume 1 --accumulate 3", options));
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "fast_exp", test_fast_exp },
        { "layernorm", test_layernorm },
        { "gelu", test_gelu },
        { "attention", test_attention },
        { "attention_online", test_attention_online },
        { "cross_entropy", test_cross_entropy },
        { "tensors", test_tensors },
        { "init", test_init },
        { "broken_model", test_broken_model },
        { "bf16_model", test_bf16_model },
        { "broken_bf16_model", test_broken_bf16_model },
        { "adamw", test_adamw },
        { "adamw_eps", test_adamw_eps },
        { "sgd", test_sgd },
        { "gradient_clip", test_gradient_clip },
        { "not_finite", test_not_finite },
        { "schedules", test_schedules },
        { "decay", test_decay },
        { "decode_is_forward", test_decode_is_forward },
        { "generate", test_generate },
        { "batch_weigh", test_batch_weigh },
        { "evaluate", test_evaluate },
        { "untrained_do_not_matter", test_untrained_do_not_matter },
        { "add_losses", test_add_losses },
        { "default_steps", test_default_steps },
        { "same_bits", test_same_bits },
        { "resume", test_resume },
        { "head_file", test_head_file },
        { "head_is_no_site", test_head_is_no_site },
        { "values_alone", test_values_alone },
    };
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
