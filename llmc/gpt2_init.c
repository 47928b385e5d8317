// gpt2_init.c -- the parameters that a model begins with.
#include "gpt2_init.h"
#include "check.h"
#include "files.h"
#include "rng.h"

#include <math.h>

static size_t file_size(const GPT2Init* g) { return sizeof(int32_t) * HEADER_INTS + sizeof(float) * g->num_params; }

GPT2Init gpt2_init_open(const char* init) {
    GPT2Init g = { .init = init };
    size_t bytes = 0;
    g.file = gpt2_config_parse(&g.config, init) ? NULL : model_open(init, &g.config, &bytes);
    g.num_params = list_tensors(g.tensor, &g.config);
    check(!g.file || bytes == file_size(&g), "%s: has %zu bytes, its header asks for %zu", init, bytes, file_size(&g));
    return g;
}

void gpt2_init(const GPT2Init* g, float* params, int seed) {
    if (g->file) { model_read(g->file, g->init, file_size(g), params, g->num_params); return; }
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
