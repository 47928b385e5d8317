// generate.c -- text from a model.
#include "generate.h"
#include "../llmc/check.h"
#include "../llmc/rng.h"
#include "../llmc/sampler.h"

#include <string.h>
#include <unistd.h>

// Decodes tokens[first..count-1] again from place 0; returns the logits after the last.
static float* decode_window(const GPT2* model, Decoder* d, const uint16_t* tokens, size_t first, size_t count) {
    float* logits = NULL;
    for (size_t i = first; i < count; i++) { logits = gpt2_decode(model, d, tokens[i], (int)(i - first)); }
    return logits;
}

void generate(const GPT2* model, const Tokenizer* tokenizer, uint16_t* tokens, size_t count, int more, const Config* c, uint64_t stream) {
    size_t maxT = (size_t)gpt2_config(model)->max_seq_len, first = count > maxT ? count - maxT : 0;
    Decoder* d = decoder_create(gpt2_config(model));
    Rng rng = rng_seed((uint64_t)c->seed, UINT64_MAX, stream);
    float* logits = decode_window(model, d, tokens, first, count);
    for (int i = 0; i < more; i++) {
        int token = sample_token(logits, gpt2_config(model)->vocab_size, c->temperature, c->top_k, &rng);
        if (token == tokenizer_eot(tokenizer)) { break; }
        size_t bytes;
        const char* text = tokenizer_decode(tokenizer, token, &bytes);
        fwrite(text, 1, bytes, stdout);
        fflush(stdout);
        tokens[count++] = (uint16_t)token;
        if (count - first <= maxT) { logits = gpt2_decode(model, d, token, (int)(count - 1 - first)); continue; }
        first = count - (maxT + 1) / 2;
        logits = decode_window(model, d, tokens, first, count);
    }
    putchar('\n');
    decoder_free(d);
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
    GPT2* model = gpt2_create(c->init, c->seed, 0);
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
