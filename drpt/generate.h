// generate.h -- text from a model.
#ifndef DRPT_GENERATE_H
#define DRPT_GENERATE_H

#include "gpt2.h"
#include "../llmc/tokenizer.h"

// Prints the continuation of tokens (count of them, room for `more` behind) until `more` tokens or an end of text. Where
// the context is full, it goes on with the latter half of it. Each stream has choices at random of its own.
void generate(const GPT2* model, const Tokenizer* tokenizer, uint16_t* tokens, size_t count, int more, const Config* c, uint64_t stream);

// --generate: the text that is given, and its continuation.
void generate_from_text(const Config* c);

// The tokenizer of a model; `why` it is needed stands in the error if it is not told which.
Tokenizer* open_tokenizer(const Config* c, const GPT2Config* model, const char* why);

#endif // DRPT_GENERATE_H
