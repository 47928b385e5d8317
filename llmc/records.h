// records.h -- a JSON record of instructions or of a conversation as a row of tokens, with what is trained on in it.
//
// Four shapes are known, by their keys:
//     messages                        [{role: system|user|assistant, content}, ...]
//     instruction, (input,) output    as in Alpaca's data
//     prompt, completion              as they are, without headings
//     question, answer
// and the last three with chosen and rejected instead of the answer: a preference pair, which is two rows.
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

#endif // LLMC_RECORDS_H
