// generate.c -- text from a model.
#include "generate.h"
#include "rollout.h"
#include "../llmc/check.h"

#include <string.h>
#include <unistd.h>

// The last `window` tokens are row 0's prompt.
static void prompt_with(Rollouts* r, const uint16_t* tokens, size_t count, size_t window) {
    int* prompt = malloc(sizeof(int) * window);
    check(prompt != NULL, "out of memory for the prompt");
    for (size_t i = 0; i < window; i++) { prompt[i] = tokens[count - window + i]; }
    rollouts_prompt(r, 0, prompt, (int)window);
    free(prompt);
}

void generate(const GPT2* model, const Tokenizer* tokenizer, uint16_t* tokens, size_t count, int more, const Config* c, uint64_t stream) {
    size_t maxT = (size_t)gpt2_config(model)->max_seq_len;
    Rollouts r = rollouts_create(gpt2_config(model), 1, (int)maxT + 1, 1);
    r.sampling = (Sampling){ .temperature = c->temperature, .top_p = c->top_p, .top_k = c->top_k };
    r.end = tokenizer_eot(tokenizer);
    rollouts_begin(&r, (uint64_t)c->seed, UINT64_MAX, stream);
    prompt_with(&r, tokens, count, count < maxT ? count : maxT);
    for (int i = 0; i < more; i++) {
        int full = rollouts_step(&r, model) == 0, token = r.tokens[r.length[0] - 1];
        if (r.ended[0]) { break; }
        size_t bytes;
        const char* text = tokenizer_decode(tokenizer, token, &bytes);
        fwrite(text, 1, bytes, stdout);
        fflush(stdout);
        tokens[count++] = (uint16_t)token;
        if (full) { prompt_with(&r, tokens, count, (maxT + 1) / 2); }
    }
    putchar('\n');
    rollouts_free(&r);
}

Tokenizer* open_tokenizer(const Config* c, const GPT2Config* model, const char* why) {
    const char* name = c->tokenizer ? c->tokenizer : model->vocab_size == 257 ? "bytes" : "gpt2_tokenizer.bin";
    check(c->tokenizer || model->vocab_size == 257 || access(name, R_OK) == 0,
          "%s: a vocabulary of %d needs its tokenizer: name llm.c's tokenizer file with --tokenizer (dev/prep makes it)", why, model->vocab_size);
    Tokenizer* t = tokenizer_open(name);
    check(tokenizer_vocab_size(t) <= model->vocab_size, "%s: has %d tokens, the model %d; name the model's own with --tokenizer",
          name, tokenizer_vocab_size(t), model->vocab_size);
    return t;
}

void generate_from_text(const Config* c) {
    GPT2* model = gpt2_create(c->init, c->seed, 0, 0);
    Tokenizer* tokenizer = open_tokenizer(c, gpt2_config(model), "--generate");
    size_t bytes = strlen(c->generate);
    uint16_t* tokens = malloc(sizeof(uint16_t) * (bytes + 1 + (size_t)c->sample_tokens));
    check(tokens != NULL, "out of memory for the prompt");
    size_t count = tokenizer_encode(tokenizer, tokens, c->generate, bytes);
    if (count == 0) { tokens[count++] = (uint16_t)tokenizer_eot(tokenizer); } // an empty prompt: a text from its beginning
    fputs(c->generate, stdout);
    generate(model, tokenizer, tokens, count, c->sample_tokens, c, 0);
    free(tokens);
    tokenizer_free(tokenizer);
    gpt2_free(model);
}
