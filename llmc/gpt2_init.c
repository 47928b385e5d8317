// gpt2_init.c -- the parameters that a model begins with.
#include "gpt2_init.h"
#include "check.h"
#include "rng.h"

#include <math.h>

GPT2Init gpt2_init_open(const char* init, int with_head) {
    GPT2Init g = {0};
    if (!gpt2_config_parse(&g.config, init)) {
        g.file = model_open(init);
        g.config = g.file.config;
    }
    g.given = list_tensors(g.tensor, &g.config);
    if (g.file.file) { model_check_size(&g.file, g.given); }
    if (with_head) { g.config.head = 1; }
    g.num_params = list_tensors(g.tensor, &g.config);
    return g;
}

void gpt2_init(const GPT2Init* g, float* params, int seed) {
    if (g->file.file) {
        model_read(&g->file, params, g->given);
        for (size_t k = g->given; k < g->num_params; k++) { params[k] = 0.0f; }
        return;
    }
    size_t unused = (size_t)(g->config.padded_vocab_size - g->config.vocab_size) * (size_t)g->config.channels;
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &g->tensor[i];
        size_t size = t->rows * t->cols;
        float sd = t->init == 'R' ? 0.02f / sqrtf(2.0f * (float)g->config.layers) : 0.02f;
        for (size_t l = 0; l < t->blocks; l++) {
            float* x = params + t->begin + l * size;
            Rng rng = rng_seed((uint64_t)seed, (uint64_t)i + 1, l);
            for (size_t k = 0; k < size; k++) { x[k] = t->init == '1' ? 1.0f : 0.0f; }
            if (t->init == 'N' || t->init == 'R') { rng_normal(&rng, x, i == TENSOR_wte ? size - unused : size, sd); }
        }
    }
}
