// encoder.h -- GPT-2's published vocabulary, encoder.json, as a tokenizer file of llm.c.
#ifndef LLMC_ENCODER_H
#define LLMC_ENCODER_H

// Returns the number of tokens. Ends the program, and writes nothing, if `json` is not such a vocabulary.
int encoder_convert(const char* json, const char* tokenizer);

#endif // LLMC_ENCODER_H
