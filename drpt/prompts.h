// prompts.h -- rows of the data as prompts: the tokens that are answered, and the texts by which an answer is judged.
//
// A row's prompt is what stands before its first token that is trained on; its answer are the tokens that are. A row without any is all
// prompt, less the padding at its end.
#ifndef DRPT_PROMPTS_H
#define DRPT_PROMPTS_H

#include "../llmc/config.h"
#include "../llmc/dataset.h"
#include "../llmc/gpt2_file.h"
#include "../llmc/reward.h"
#include "../llmc/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    Tokenizer* tokenizer;     // NULL: the tokens stand for no text and are written as numbers with blanks between
    int end;                  // the token that ends a text, which no text shows; -1: there is none
    int vocab_size;
    size_t T;                 // of the longest row
    int *inputs, *targets, *tokens, *answer; // of one row: (T), (T), (T+1), (T)
    unsigned char* mask;      // (T)

    char* text;               // of all cases, one behind the other
    size_t bytes, room;
    size_t (*at)[4];          // (most) where prompt, response and answer of a case begin in it, and where it ends
    RewardCase* cases;        // (most)
    size_t count, most;
} Prompts;

// For the data that is given (rows > 0), which must all be of one tokenizer.
Prompts prompts_open(const Config* c, const GPT2Config* model, const Dataset* const* data, int num_data);
void prompts_close(Prompts* p);

typedef struct {
    const int *tokens, *answer; // they stay Prompts', until the next row
    int count, answer_count;    // a prompt has at least one token
} Prompt;
Prompt prompts_row(Prompts* p, const Dataset* data, size_t row);

// What is to be judged: begun anew, one more, and all of them, valid until the next is added.
void prompts_begin(Prompts* p);
void prompts_add(Prompts* p, Prompt prompt, const int* response, int count);
const RewardCase* prompts_cases(Prompts* p);

// Ends the program at the first row whose prompt leaves no room for a token in rows of T, or whose answer no response could match
// (judge: NULL, or one that may go by a rule). name: the file's.
void prompts_check(Prompts* p, const Dataset* data, const char* name, int T, const Rewarder* judge);

#ifdef __cplusplus
}
#endif

#endif // DRPT_PROMPTS_H
