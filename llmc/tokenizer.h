// tokenizer.h -- text to tokens and back: bytes, or GPT-2's byte-pair encoding.
#ifndef LLMC_TOKENIZER_H
#define LLMC_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

typedef struct Tokenizer Tokenizer;

// name: "bytes" (256 byte values and <|endoftext|> = 256), or a tokenizer file in llm.c's format
// (for GPT-2: 50257 tokens, <|endoftext|> = 50256). Ends the program if the file is not one.
Tokenizer* tokenizer_open(const char* name);
void tokenizer_free(Tokenizer* t);

int tokenizer_vocab_size(const Tokenizer* t);
int tokenizer_eot(const Tokenizer* t);

// Tokens of `bytes` bytes of text, any bytes at all; special tokens are not recognised in the text. At most
// one token a byte: `tokens` has room for `bytes` of them. Returns their number.
size_t tokenizer_encode(const Tokenizer* t, uint16_t* tokens, const char* text, size_t bytes);

// The bytes of one token; they stay the tokenizer's. Ends the program if there is no such token.
const char* tokenizer_decode(const Tokenizer* t, int token, size_t* bytes);

#endif // LLMC_TOKENIZER_H
