// gpt2_file.h -- the sizes of a GPT-2 model, and llm.c's checkpoint and optimizer-state files.
#ifndef LLMC_GPT2_FILE_H
#define LLMC_GPT2_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MAGIC_MODEL = 20240326, MODEL_FP32 = 3, MODEL_BF16 = 5, MAGIC_STATE = 20240527 };

// As in the file. head: 1 if the model also has a scalar head, which llm.c's have not: it leaves the entry 0.
typedef struct { int max_seq_len, vocab_size, layers, heads, channels, padded_vocab_size, head; } GPT2Config;

// From a descriptor: d6, d12, d24, d36, d48, d60, d72, d84 as in llm.c, or L4,H4,C128,V257,T128 in any order. Returns 0
// if the text is not a descriptor; ends the program if it is one that makes no model.
int gpt2_config_parse(GPT2Config* config, const char* text);

// Ends the program unless the sizes make a model that can be addressed; `where` names the culprit.
void gpt2_config_check(const GPT2Config* c, const char* where);

// Model files: a header and the parameters in one piece, as float (version 3, MODEL_FP32) or bfloat16 (version 5, MODEL_BF16), which has
// half the size and keeps 8 bits of each. model_open() checks the header; model_read() gives floats whatever the file holds, and closes it.
// Both end the program unless the file is one.
typedef struct {
    FILE* file;
    const char* path;
    size_t bytes;
    int version;
    GPT2Config config;
} ModelFile;
ModelFile model_open(const char* path);
void model_check_size(const ModelFile* f, size_t num_params); // that it holds exactly as many
void model_read(const ModelFile* f, float* params, size_t num_params);
void model_write(const char* path, const GPT2Config* config, int version, const float* params, size_t num_params);

// State files: AdamW's moments and where the run stands. What llm.c's header has no place for stands in entries
// that it leaves zero.
typedef struct {
    uint64_t general_epoch, general_position, target_epoch, target_position;
} DataPosition;

typedef struct {
    int step, skipped;                            // of the steps, those that had nothing to learn and left weights and moments alone
    DataPosition position;
    int batch, target_batch, accumulate, T, seed; // of the run: it can only be continued with the same
    uint64_t general_rows, target_rows;
} RunState;

void state_write(const char* path, const RunState* state, const float* m, const float* v, size_t num_params);
void state_read(const char* path, RunState* state, float* m, float* v, size_t num_params);

#endif // LLMC_GPT2_FILE_H
