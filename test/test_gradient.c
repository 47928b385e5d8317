// test_gradient.c -- every backward is the derivative of its forward. All of this program is double precision (the Makefile
// puts test/double.h before every source), so a difference of losses shows an error of 1e-8 in a gradient.
#include "trainer.h"

// ---------------------------------------------------------------------------------------------
// The products of llmc/matmul.h by their definition; the real ones have a test of their own.

void matmul_forward(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    for (int i = 0; i < N * OC; i++) {
        out[i] = bias ? bias[i % OC] : 0.0;
        for (int c = 0; c < C; c++) { out[i] += inp[i / OC * C + c] * weight[i % OC * C + c]; }
    }
}

void matmul_forward_rows(float* out, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    matmul_forward(out, inp, weight, bias, N, C, OC);
}

void matmul_backward_input(float* dinp, const float* dout, const float* weight, int N, int C, int OC) {
    for (int i = 0; i < N * C; i++) {
        dinp[i] = 0.0;
        for (int o = 0; o < OC; o++) { dinp[i] += dout[i / C * OC + o] * weight[o * C + i % C]; }
    }
}

void matmul_backward_params(float* dweight, float* dbias, const float* dout, const float* inp, int N, int C, int OC) {
    for (int n = 0; n < N; n++) {
        for (int i = 0; i < OC * C; i++) { dweight[i] += dout[n * OC + i / C] * inp[n * C + i % C]; }
        for (int o = 0; dbias && o < OC; o++) { dbias[o] += dout[n * OC + o]; }
    }
}

// ---------------------------------------------------------------------------------------------
// Slopes.

// The loss at x + h v, x being put back afterwards.
static double loss_at(double (*loss)(void), float* x, const float* v, double h, size_t n) {
    for (size_t i = 0; i < n; i++) { x[i] += h * v[i]; }
    double value = loss();
    for (size_t i = 0; i < n; i++) { x[i] -= h * v[i]; }
    return value;
}

// Along random directions v the slope of the loss must be <grad, v>, to 1e-8 of what such sums are like: the constants in the
// text (0.044715f) are single precision still. By a formula of five points, whose error is of the order h^4.
static void expect_slope_at(int line, const char* what, double (*loss)(void), float* x, const float* grad, size_t n) {
    const double h = 2e-4;
    float* v = malloc(sizeof(float) * n);
    check(v != NULL, "out of memory");
    for (int draw = 0; draw < 3; draw++) {
        double want = 0.0, scale = 0.0;
        test_fill(v, n, &test_rng);
        for (size_t i = 0; i < n; i++) {
            want += grad[i] * v[i];
            scale += grad[i] * v[i] * grad[i] * v[i];
        }
        double near = loss_at(loss, x, v, h, n) - loss_at(loss, x, v, -h, n);
        double far = loss_at(loss, x, v, 2*h, n) - loss_at(loss, x, v, -2*h, n);
        double got = (8.0 * near - far) / (12.0 * h);
        if (!(fabs(got - want) <= 1e-8 * sqrt(scale)) || scale == 0.0) {
            fprintf(stderr, "%s:%d: %s: the slope is %.12g, the gradient says %.12g (error %.1e)\n",
                    __FILE__, line, what, got, want, fabs(got - want) / sqrt(scale));
            test_failures++;
        }
    }
    free(v);
}
#define expect_slope(what, loss, x, grad, n) expect_slope_at(__LINE__, what, loss, x, grad, n)

// A layer: its output weighed with dout is the loss.
enum { ROOM = 1 << 15 };
static float inp[ROOM], out[ROOM], dout[ROOM], dinp[ROOM], weight[ROOM], bias[ROOM], dweight[ROOM], dbias[ROOM];
static float mean[64], rstd[64];

static double weighed(size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) { sum += dout[i] * out[i]; }
    return sum;
}

static void fill_all(void) {
    float* all[] = { inp, out, dout, dinp, weight, bias };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) { test_fill(all[i], ROOM, &test_rng); }
    memset(dweight, 0, sizeof(dweight));
    memset(dbias, 0, sizeof(dbias));
}

static Drpt plain(int n, int T, int widest) {
    DrptOptions o = drpt_defaults;
    return drpt_create(&o, n, 0, T, widest, 1, 1);
}

// ---------------------------------------------------------------------------------------------
// Layers.

enum { B = 3, T = 5, C = 13, OC = 7, N = B * T };

static double layernorm_loss(void) {
    layernorm_forward(out, mean, rstd, inp, weight, bias, N, C);
    return weighed(N * C);
}

static void test_layernorm(void) {
    Drpt drpt = plain(B, T, C);
    fill_all();
    layernorm_loss();
    float alone[N * C];
    layernorm_backward_input(alone, NULL, dout, inp, weight, mean, rstd, N, C);
    layernorm_backward_input(dinp, inp, dout, inp, weight, mean, rstd, N, C);
    expect(fabs(dinp[5] - inp[5] - alone[5]) < 1e-12); // the stream's is added
    drpt_site_layernorm(&drpt, "ln", dweight, dbias, dout, inp, mean, rstd, C);
    expect_slope("input", layernorm_loss, inp, alone, N * C);
    expect_slope("weight", layernorm_loss, weight, dweight, C);
    expect_slope("bias", layernorm_loss, bias, dbias, C);
    drpt_free(&drpt);
}

static double linear_loss(void) {
    matmul_forward(out, inp, weight, bias, N, C, OC);
    return weighed(N * OC);
}

static void test_linear(void) {
    Drpt drpt = plain(B, T, C);
    fill_all();
    matmul_backward_input(dinp, dout, weight, N, C, OC);
    drpt_site(&drpt, "fc", dweight, dbias, dout, inp, C, OC);
    expect_slope("input", linear_loss, inp, dinp, N * C);
    expect_slope("weight", linear_loss, weight, dweight, OC * C);
    expect_slope("bias", linear_loss, bias, dbias, OC);
    drpt_free(&drpt);
}

static int attention_T;
static float lse[ROOM], *attention_memory;
enum { AB = 2, ANH = 3, AHS = 4, AC = ANH * AHS };

static double attention_loss(void) {
    attention_forward(out, lse, inp, attention_memory, AB, attention_T, AC, ANH);
    return weighed((size_t)AB * (size_t)attention_T * AC);
}

static void test_attention(void) {
    static const int lengths[] = { 1, 2, 7, 64, 65, 70, 130 };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int len = attention_T = lengths[i];
        size_t floats = attention_scratch_size(len, AHS) * (size_t)omp_get_max_threads();
        attention_memory = malloc(sizeof(float) * floats);
        check(attention_memory != NULL, "out of memory");
        for (size_t k = 0; k < floats; k++) { attention_memory[k] = NAN; } // what it held before must not matter
        fill_all();
        attention_loss();
        for (int k = 0; k < AB * len * 3*AC; k++) { dinp[k] = NAN; }
        attention_backward(dinp, dout, inp, out, lse, attention_memory, AB, len, AC, ANH);
        expect_slope("qkv", attention_loss, inp, dinp, (size_t)(AB * len * 3*AC));
        free(attention_memory);
    }
}

static double gelu_loss(void) { gelu_forward(out, inp, N * C); return weighed(N * C); }

static void test_gelu(void) {
    fill_all();
    for (int i = 0; i < N * C; i++) { inp[i] *= 6.0; }
    memcpy(dinp, dout, sizeof(float) * N * C);
    gelu_backward(dinp, inp, N * C);
    expect_slope("input", gelu_loss, inp, dinp, N * C);
}

static double residual_loss(void) {
    memcpy(out, weight, sizeof(float) * N * C);
    residual_forward(out, inp, N * C);
    return weighed(N * C);
}

static void test_residual(void) {
    fill_all();
    expect_slope("stream", residual_loss, weight, dout, N * C);
    expect_slope("branch", residual_loss, inp, dout, N * C);
}

static int targets[N];
static unsigned char hits[N];

static double cross_entropy_loss(void) {
    double sum = 0.0;
    cross_entropy_forward(out, hits, inp, targets, weight, N, C, C);
    for (int i = 0; i < N; i++) { sum += weight[i] * out[i]; }
    return sum;
}

static void test_cross_entropy(void) {
    fill_all();
    for (int i = 0; i < N * C; i++) { inp[i] *= 8.0; }
    for (int i = 0; i < N; i++) {
        targets[i] = test_below(C);
        weight[i] = i % 4 == 1 ? 0.0 : 0.1 + i; // unequal, some not trained on
    }
    memcpy(dinp, inp, sizeof(float) * N * C);
    cross_entropy_backward(dout, dinp, targets, weight, N, C, C);
    cross_entropy_loss();
    expect_close(dout, out, N, 1e-14); // both say the same losses
    for (int i = 0; i < N; i++) { expect(weight[i] != 0.0 || (out[i] == 0.0 && !hits[i])); }
    expect_slope("logits", cross_entropy_loss, inp, dinp, N * C);
}

// ---------------------------------------------------------------------------------------------
// The whole model: general rows and target rows, each with a mask of its own.

static GPT2* model;
static Batch batch;
static int by_tokens;
static double mix; // the loss is mix * that of the target rows + (1 - mix) * that of the general rows

// The mean loss of rows [first, end), by the definition.
static double mean_loss(int first, int end) {
    double loss = 0.0, tokens = 0.0, rows = 0.0;
    for (int i = first; i < end; i++) {
        double sum = 0.0, count = 0.0;
        for (int t = i * batch.T; t < (i + 1) * batch.T; t++) {
            if (!batch.mask[t]) { continue; }
            const float* x = model->logits + (size_t)t * (size_t)model->config.vocab_size;
            double total = 0.0;
            for (int v = 0; v < model->config.vocab_size; v++) { total += exp(x[v]); }
            sum += log(total) - x[batch.targets[t]];
            count++;
        }
        if (count == 0.0) { continue; }
        loss += by_tokens ? sum : sum / count;
        tokens += count;
        rows++;
    }
    return loss / (by_tokens ? tokens : rows);
}

static double model_loss(void) {
    int n = batch.n, rows = batch.n + batch.m;
    gpt2_forward(model, batch.inputs, rows, batch.T);
    return (n > 0 ? (1.0 - mix) * mean_loss(0, n) : 0.0) + (rows > n ? mix * mean_loss(n, rows) : 0.0);
}

static int with_head;

static void model_open_random(const char* init, int n, int m, int len, int keep_blocks) {
    model = gpt2_create(init, 7, 1, with_head);
    gpt2_alloc(model, n + m, len, 1, keep_blocks, 0);
    fill_params(model, 0.4);
    batch = batch_create(n, m, len, 1);
    for (int i = 0; i < n + m; i++) {
        uint16_t tokens[100];
        unsigned char* mask = batch.mask + i * len;
        random_row(tokens, mask, len, model->config.vocab_size);
        if (i == 1) { memset(mask, 0, (size_t)len); } // not a single trained token
        batch.usable[i] = i != 1;
        for (int t = 0; t < len; t++) {
            batch.inputs[i * len + t] = tokens[t];
            batch.targets[i * len + t] = tokens[t + 1];
        }
    }
}

static void model_backward(Drpt* drpt) {
    int usable = (int)batch_count(&batch, 0, batch.n).rows, rows = batch.n + batch.m;
    batch_weigh(&batch, 0, batch.n, by_tokens, drpt->plain ? 1.0 : usable);
    batch_weigh(&batch, batch.n, rows, by_tokens, 1.0);
    drpt_begin(drpt, 0, batch.usable, NULL);
    gpt2_forward(model, batch.inputs, rows, batch.T);
    gpt2_backward(model, batch.inputs, batch.targets, batch.weight, NULL, drpt, rows, batch.T);
}

static void expect_model_gradient(Drpt* drpt) {
    memset(model->grads, 0, sizeof(float) * model->num_params);
    model_backward(drpt);
    #define NAME(name, ...) #name,
    static const char* const names[] = { PARAMS(NAME) };
    #undef NAME
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        if (t->blocks == 0) { continue; }
        expect_slope(names[i], model_loss, model->params + t->begin, model->grads + t->begin, t->blocks * t->rows * t->cols);
    }
}

static void test_plain_model(void) {
    static const struct { const char* init; int rows, len; } cases[] = {
        { "L2,H3,C12,V17,T9", 3, 7 }, { "L1,H1,C5,V11,T1", 4, 1 }, { "L1,H2,C6,V13,T81", 2, 70 },
    };
    for (int i = 0; i < 6; i++) {
        model_open_random(cases[i / 2].init, cases[i / 2].rows, 0, cases[i / 2].len, 0);
        by_tokens = i % 2;
        mix = 0.0;
        Drpt drpt = plain(batch.n, batch.T, 4 * model->config.channels);
        expect_model_gradient(&drpt);
        drpt_free(&drpt);
        batch_free(&batch);
        gpt2_free(model);
    }
}

// The gradients of parameters are added to: two micro-batches are their sum.
static void test_gradients_add_up(void) {
    model_open_random("L2,H3,C12,V17,T9", 3, 0, 7, 0);
    by_tokens = 0;
    Drpt drpt = plain(batch.n, batch.T, 4 * model->config.channels);
    float* once = malloc(sizeof(float) * model->num_params);
    check(once != NULL, "out of memory");
    model_backward(&drpt);
    for (size_t i = 0; i < model->num_params; i++) { once[i] = 2.0 * model->grads[i]; }
    model_backward(&drpt);
    expect_close(model->grads, once, model->num_params, 1e-13);
    free(once);
    drpt_free(&drpt);
    batch_free(&batch);
    gpt2_free(model);
}

// Through the regularizer: a mixture is the gradient of the mixed loss, whatever shares a group, and `full` never sees
// the target rows, nor `target` the general ones.
static void test_mixed_model(void) {
    static const char* const groups[] = { "layer", "sublayer", "block", "global" };
    static const struct { const char* method; double mix; } methods[] = { { "mix", 0.3 }, { "full", 0.0 }, { "target", 1.0 } };
    for (int i = 0; i < 12; i++) {
        DrptOptions o = drpt_defaults;
        o.method = methods[i / 4].method;
        o.group = groups[i % 4];
        o.mix = mix = methods[i / 4].mix;
        by_tokens = i % 2;
        Drpt drpt = drpt_create(&o, 4, 2, 7, 48, 1, 1);
        drpt.verify = 1;
        model_open_random("L2,H3,C12,V17,T9", 4, 2, 7, drpt_keeps_blocks(&drpt));
        expect_model_gradient(&drpt);
        drpt_free(&drpt);
        batch_free(&batch);
        gpt2_free(model);
    }
}

// ---------------------------------------------------------------------------------------------
// The scalar head: what it says of the positions is part of the loss, some weights apart that are 0.

static double value_at(size_t n) { // by its definition
    size_t channels = (size_t)model->config.channels;
    double value = model->weight.headb[0];
    for (size_t c = 0; c < channels; c++) { value += model->weight.headw[c] * model->lnf[n * channels + c]; }
    return value;
}

enum { HEAD_ROWS = 6, HEAD_N = 4, HEAD_T = 7 };
static float value_weight[HEAD_ROWS * HEAD_T], head_share[HEAD_ROWS];

static double sum_values(int first, int end) {
    double sum = 0.0;
    for (int n = first * HEAD_T; n < end * HEAD_T; n++) { sum += value_weight[n] * value_at((size_t)n); }
    return sum;
}

static double loss_with_values(void) {
    double loss = model_loss(); // what comes before is its forward
    return loss + (1.0 - mix) * sum_values(0, batch.n) + mix * sum_values(batch.n, batch.n + batch.m);
}

static double loss_of_head(void) {
    double sum = 0.0;
    gpt2_forward(model, batch.inputs, batch.n + batch.m, batch.T);
    for (int i = 0; i < batch.n + batch.m; i++) { sum += head_share[i] * sum_values(i, i + 1); }
    return sum;
}

// Every parameter gets the gradient through the values as the regularizer has it, the head its own as the shares have it.
static void expect_head_gradient(Drpt* drpt) {
    int rows = batch.n + batch.m, usable = (int)batch_count(&batch, 0, batch.n).rows;
    double general = drpt->plain ? 1.0 : usable;
    float dvalue[HEAD_ROWS * HEAD_T], share[HEAD_ROWS];
    test_fill(value_weight, HEAD_ROWS * HEAD_T, &test_rng);
    test_fill(head_share, HEAD_ROWS, &test_rng);
    head_share[2] = 0.0;
    for (int i = 0; i < rows; i++) {
        for (int t = i * HEAD_T; t < (i + 1) * HEAD_T; t++) {
            value_weight[t] *= batch.usable[i] && t % 4 > 0;
            dvalue[t] = i < batch.n ? general * value_weight[t] : value_weight[t];
        }
        share[i] = i < batch.n ? head_share[i] / general : head_share[i];
    }
    batch_weigh(&batch, 0, batch.n, 0, general);
    batch_weigh(&batch, batch.n, rows, 0, 1.0);
    drpt_begin(drpt, 0, batch.usable, NULL);
    gpt2_forward(model, batch.inputs, rows, batch.T);
    float values[HEAD_ROWS * HEAD_T];
    gpt2_values(model, values, rows, batch.T);
    for (int n = 0; n < rows * batch.T; n++) { expect(fabs(values[n] - value_at((size_t)n)) < 1e-13); }
    HeadGradient head = { dvalue, share };
    gpt2_backward(model, batch.inputs, batch.targets, batch.weight, &head, drpt, rows, batch.T);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        expect_slope("head", i < TENSOR_headw ? loss_with_values : loss_of_head, model->params + t->begin, model->grads + t->begin, t->blocks * t->rows * t->cols);
    }
}

static void test_head(void) {
    static const char* const groups[] = { "layer", "block", "global" };
    static const struct { const char* method; double mix; int m; } methods[] = {
        { NULL, 0.0, 0 }, { "mix", 0.3, HEAD_ROWS - HEAD_N }, { "full", 0.0, HEAD_ROWS - HEAD_N }, { "target", 1.0, HEAD_ROWS - HEAD_N },
    };
    with_head = 1;
    by_tokens = 0;
    for (int i = 0; i < 12; i++) {
        DrptOptions o = drpt_defaults;
        o.method = methods[i / 3].method;
        o.group = groups[i % 3];
        o.mix = mix = methods[i / 3].mix;
        Drpt drpt = drpt_create(&o, HEAD_N, methods[i / 3].m, HEAD_T, 48, 1, 1);
        drpt.verify = 1;
        model_open_random("L2,H3,C12,V17,T9", HEAD_N, methods[i / 3].m, HEAD_T, drpt_keeps_blocks(&drpt));
        expect_head_gradient(&drpt);
        drpt_free(&drpt);
        batch_free(&batch);
        gpt2_free(model);
    }
    with_head = 0;
}

// ---------------------------------------------------------------------------------------------
// Preference pairs: the same, with the mean loss of the pairs by its definition: DPO, or that of a reward model.

enum { PAIR_ROWS = 6, PAIR_TARGETS = 4, PAIR_T = 7 };
static Policy policy;
static Objective pair_objective;
static double reference_sum[PAIR_ROWS + PAIR_TARGETS]; // of the reference's log-probabilities of a row
static const double pair_beta = 0.7;

// log p of the trained targets of a row, by the definition.
static double row_sum(const GPT2* of, int i) {
    double sum = 0.0;
    for (int t = i * batch.T; t < (i + 1) * batch.T; t++) {
        const float* x = of->logits + (size_t)t * (size_t)of->config.vocab_size;
        double total = 0.0;
        for (int v = 0; v < of->config.vocab_size; v++) { total += exp(x[v]); }
        sum += batch.mask[t] ? x[batch.targets[t]] - log(total) : 0.0;
    }
    return sum;
}

// The value at the token that is the target of the last trained position.
static double row_score(int i) {
    int last = batch.T - 1;
    while (!batch.mask[i * batch.T + last]) { last--; }
    return value_at((size_t)(i * batch.T + last + 1));
}

static double pair_margin(int i) {
    if (pair_objective == OBJECTIVE_reward) { return row_score(i) - row_score(i + 1); }
    return pair_beta * (row_sum(model, i) - reference_sum[i] - row_sum(model, i + 1) + reference_sum[i + 1]);
}

static double mean_pair_loss(int first, int end) {
    double loss = 0.0;
    for (int i = first; i < end; i += 2) { loss += log(1.0 + exp(-pair_margin(i))); }
    return loss / ((end - first) / 2);
}

static double pair_loss(void) {
    int n = batch.n, rows = batch.n + batch.m;
    gpt2_forward(model, batch.inputs, rows, batch.T);
    return (1.0 - mix) * mean_pair_loss(0, n) + (rows > n ? mix * mean_pair_loss(n, rows) : 0.0);
}

// What a reward model learns its head from: the mean loss of the general pairs, or of the target's alone.
static double head_loss(void) {
    gpt2_forward(model, batch.inputs, batch.n + batch.m, batch.T);
    return mix == 1.0 ? mean_pair_loss(batch.n, batch.n + batch.m) : mean_pair_loss(0, batch.n);
}

static void open_pairs(int m, int len, int keep_blocks) {
    static const char init[] = "L2,H3,C12,V17,T9";
    int rows = PAIR_ROWS + m;
    model_open_random(init, PAIR_ROWS, m, len, keep_blocks);
    for (int t = len; t < 2 * len; t++) { batch.mask[t] = t % 3 == 1; } // the row that has nothing to train on elsewhere
    batch.usable[1] = 1;
    for (int i = 0; i < rows && with_head; i++) { // the last position is there for its token
        batch.mask[(i + 1) * len - 1] = 0;
        batch.mask[i * len + i % (len - 1)] = 1;
    }
    policy = policy_create(pair_objective, with_head ? NULL : init, 8, pair_beta, &model->config, rows, len);
    if (with_head) { return; }
    fill_params(policy.reference, 0.3);
    gpt2_forward(policy.reference, batch.inputs, rows, len);
    for (int i = 0; i < rows; i++) { reference_sum[i] = row_sum(policy.reference, i); }
}

static void expect_pair_gradient(Drpt* drpt) {
    int rows = batch.n + batch.m;
    const double share[2] = { drpt->plain ? 2.0 / batch.n : 1.0, 2.0 / batch.m };
    ObjectiveStats stats[2] = {{0}};
    memset(model->grads, 0, sizeof(float) * model->num_params);
    policy_weigh(&policy, model, &batch, 0, rows, batch.n, share, stats);
    policy_items(&policy, &batch);
    drpt_begin(drpt, 0, policy.usable, policy.domain);
    gpt2_backward(model, batch.inputs, batch.targets, batch.weight, policy_head(&policy, drpt, rows, batch.n), drpt, rows, batch.T);
    gpt2_forward(model, batch.inputs, rows, batch.T);
    expect(fabs(stats[0].loss / (share[0] * stats[0].pairs) - mean_pair_loss(0, batch.n)) < 1e-12);
    expect(batch.m == 0 || fabs(stats[1].loss / (share[1] * stats[1].pairs) - mean_pair_loss(batch.n, rows)) < 1e-12);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        if (t->blocks == 0) { continue; }
        if (with_head && (i == TENSOR_headb || i == TENSOR_lnfb)) { // which add the same to both scores of a pair
            for (size_t k = 0; k < t->rows * t->cols; k++) { expect(fabs(model->grads[t->begin + k]) < 1e-14); }
            continue;
        }
        expect_slope("pairs", i < TENSOR_headw ? pair_loss : head_loss, model->params + t->begin, model->grads + t->begin, t->blocks * t->rows * t->cols);
    }
}

static void test_pairs(void) {
    static const char* const groups[] = { "layer", "sublayer", "block", "global" };
    static const struct { const char* method; double mix; int m; } methods[] = {
        { NULL, 0.0, 0 }, { "mix", 0.3, PAIR_TARGETS }, { "full", 0.0, PAIR_TARGETS }, { "target", 1.0, PAIR_TARGETS },
    };
    for (int k = 0; k < 32; k++) {
        int i = k % 16, len = PAIR_T + k / 16;
        with_head = k / 16;
        pair_objective = with_head ? OBJECTIVE_reward : OBJECTIVE_dpo;
        DrptOptions o = drpt_defaults;
        o.method = methods[i / 4].method;
        o.group = groups[i % 4];
        o.mix = mix = methods[i / 4].mix;
        Drpt drpt = drpt_create(&o, PAIR_ROWS / 2, methods[i / 4].m / 2, 2 * len, 48, 1, 1);
        drpt.places = len;
        drpt.verify = 1;
        open_pairs(methods[i / 4].m, len, drpt_keeps_blocks(&drpt));
        expect_pair_gradient(&drpt);
        drpt_free(&drpt);
        policy_free(&policy);
        batch_free(&batch);
        gpt2_free(model);
    }
    with_head = 0;
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "layernorm", test_layernorm },
        { "linear", test_linear },
        { "attention", test_attention },
        { "gelu", test_gelu },
        { "residual", test_residual },
        { "cross_entropy", test_cross_entropy },
        { "plain_model", test_plain_model },
        { "gradients_add_up", test_gradients_add_up },
        { "mixed_model", test_mixed_model },
        { "head", test_head },
        { "pairs", test_pairs },
    };
    omp_set_num_threads(1); // sizes so small that threads would only wait for each other
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
