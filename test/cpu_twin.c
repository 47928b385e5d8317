// cpu_twin.c -- see cpu_twin.h.
#include "trainer.h"
#include "cpu_twin.h"

static float* attention_memory(int T, int C, int NH) {
    float* scratch = malloc(sizeof(float) * attention_scratch_size(T, C / NH) * (size_t)omp_get_max_threads());
    check(scratch != NULL, "out of memory");
    return scratch;
}

static void twin_attention_forward(float* out, float* lse, const float* qkv, int B, int T, int C, int NH) {
    float* scratch = attention_memory(T, C, NH);
    attention_forward(out, lse, qkv, scratch, B, T, C, NH);
    free(scratch);
}

static void twin_attention_backward(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse, int B, int T, int C, int NH) {
    float* scratch = attention_memory(T, C, NH);
    attention_backward(dqkv, dout, qkv, out, lse, scratch, B, T, C, NH);
    free(scratch);
}

static GPT2* model;
static Drpt drpt;

static GPT2Config twin_open(const char* sizes, int n, int T) {
    DrptOptions options = drpt_defaults;
    options.method = "full";
    model = gpt2_create(sizes, 1, 1, 1);
    gpt2_alloc(model, n, T, 1, 0, 0);
    drpt = drpt_create(&options, n, 0, T, 4 * model->config.channels, 1, 1);
    fill_params(model, 0.2f);
    return model->config;
}

static float* twin_params(void) { return model->params; }
static const float* twin_grads(void) { return model->grads; }
static const float* twin_losses(void) { return model->losses; }

static void twin_pass(const int* tokens, const int* targets, const float* weight, const HeadGradient* head) {
    drpt_begin(&drpt, 0, NULL, NULL);
    gpt2_forward(model, tokens, drpt.n, drpt.T);
    gpt2_backward(model, tokens, targets, weight, head, &drpt, drpt.n, drpt.T);
}

static void twin_values(float* values) { gpt2_values(model, values, drpt.n, drpt.T); }

static void twin_update(const char* optimizer, double lr, int step) {
    Config c = config_defaults;
    c.optimizer = optimizer;
    c.weight_decay = 0.1;
    c.eps = TWIN_EPS;
    c.clip = TWIN_CLIP;
    gpt2_update(model, &c, lr, step);
}

static void twin_close(void) {
    drpt_free(&drpt);
    gpt2_free(model);
}

const CpuTwin cpu_twin = {
    encoder_forward, layernorm_forward, layernorm_backward_input, twin_attention_forward, twin_attention_backward,
    gelu_forward, gelu_backward, cross_entropy_forward, cross_entropy_backward,
    matmul_forward, matmul_backward_input, matmul_backward_params, gradient_clip,
    twin_open, twin_params, twin_grads, twin_losses, twin_pass, twin_values, twin_update, twin_close,
    basis_create, basis_free, basis_refresh, basis_inside, basis_outside, basis_write, basis_read,
};
