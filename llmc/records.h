// records.h -- a JSON record of instructions or of a conversation as a row of tokens, with what is trained on in it.
//
// Five shapes are known, by their keys:
//     messages                        [{role: system|user|assistant, content}, ...]
//     instruction, (input,) output    as in Alpaca's data
//     prompt, completion              as they are, without headings
//     question, answer
//     Body, Question, Answer          as in SVAMP's data
// An answer may also be a number. All but the first may have chosen and rejected instead of the answer: a preference pair, which is two rows.
// Trained on are the assistant's messages, the output, completion or answer, each with the end of
// text behind it; all before is context. It reads, as far as the record has the parts:
//     ### Instruction:\n ... \n\n### Input:\n ... \n\n### Response:\n ... <|endoftext|>
// with "Question" and "Answer", or "System", "User" and "Assistant" as headings in the other shapes.
#ifndef LLMC_RECORDS_H
#define LLMC_RECORDS_H

#include "json.h"
#include "tokenizer.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const Json* json;       // the file it stands in
    const JsonValue* value;
    size_t number;          // in that file, from 1
} Record;

// The records of a file: the members of its one list, or all its values. The caller frees the array.
Record* records_find(const Json* json, size_t* count);

// What is asked: the instruction, prompt, question, or the first message of the user (NULL if there is none).
// This and record_row() end the program with file, record and line if the record has no shape that is known.
const char* record_prompt(const Record* r, size_t* bytes);

// Is it a preference pair?
int record_is_pair(const Record* r);

typedef struct RecordEncoder RecordEncoder; // a tokenizer, a row length and memory to work in

RecordEncoder* record_encoder_open(const Tokenizer* tokenizer, size_t T);
void record_encoder_free(RecordEncoder* e);

// Fills tokens (T+1) and mask (T): the beginning of a record that is too long, else all of it and then
// the end of text, not trained on. answer: the key that the answer of a pair has, else NULL. Returns how many tokens the record has.
size_t record_row(RecordEncoder* e, const Record* r, const char* answer, uint16_t* tokens, unsigned char* mask);

// The same for a prompt to be answered and judged, not to be trained on. The context is all before the last message if that is the
// assistant's, else all that there is; an empty one is the end of text, before which nothing stands. mask is 1 on what an answer is compared
// with: of the record's answer what stands behind its last "####", if there is one (GSM8K), without white space at both ends, and
// without an end of text. It may be empty or missing, as of a pair. *prompt: tokens of the context.
size_t record_prompt_row(RecordEncoder* e, const Record* r, uint16_t* tokens, unsigned char* mask, size_t* prompt);

#endif // LLMC_RECORDS_H
