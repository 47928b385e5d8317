// prompts.c -- rows of the data as prompts.
#include "prompts.h"
#include "generate.h"
#include "../llmc/check.h"

#include <string.h>

static void* room_for(size_t count, size_t size) {
    void* p = calloc(count, size);
    check(p != NULL, "out of memory for prompts of %zu tokens", count);
    return p;
}

static void open_text(Prompts* p, const Config* c, const GPT2Config* model, TokenizerKind kind) {
    Config named = *c;
    if (kind == TOKENIZER_NONE && !c->tokenizer) { p->end = -1; return; }
    if (kind == TOKENIZER_BYTES && !c->tokenizer) { named.tokenizer = "bytes"; }
    p->tokenizer = open_tokenizer(&named, model, "rewards");
    p->end = tokenizer_eot(p->tokenizer);
}

Prompts prompts_open(const Config* c, const GPT2Config* model, const Dataset* const* data, int num_data) {
    Prompts p = { .vocab_size = model->vocab_size };
    const Dataset* first = NULL;
    for (int i = 0; i < num_data; i++) {
        const Dataset* d = data[i];
        if (d->rows == 0) { continue; }
        if (!first) { first = d; }
        check(d->tokenizer == first->tokenizer, "%s: was made with another tokenizer than %s", d->file[0].path, first->file[0].path);
        p.T = d->T > p.T ? d->T : p.T;
    }
    check(first != NULL, "no prompts: give --general, --target or --val");
    open_text(&p, c, model, first->tokenizer);
    p.inputs = room_for(p.T, sizeof(int));
    p.targets = room_for(p.T, sizeof(int));
    p.answer = room_for(p.T, sizeof(int));
    p.tokens = room_for(p.T + 1, sizeof(int));
    p.mask = room_for(p.T, 1);
    return p;
}

void prompts_close(Prompts* p) {
    void* arrays[] = { p->inputs, p->targets, p->tokens, p->answer, p->mask, p->text, p->at, p->cases };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) { free(arrays[i]); }
    if (p->tokenizer) { tokenizer_free(p->tokenizer); }
    *p = (Prompts){0};
}

Prompt prompts_row(Prompts* p, const Dataset* data, size_t row) {
    size_t T = data->T, first = 0, answer = 0;
    dataset_row(data, row, p->vocab_size, p->inputs, p->targets, p->mask, T);
    p->tokens[0] = p->inputs[0];
    memcpy(p->tokens + 1, p->targets, sizeof(int) * T);
    while (first < T && !p->mask[first]) { first++; }
    for (size_t t = first; t < T; t++) { if (p->mask[t]) { p->answer[answer++] = p->targets[t]; } }
    size_t count = first < T ? first + 1 : T + 1;
    while (first == T && count > 1 && p->tokens[count - 1] == p->end) { count--; } // padding
    return (Prompt){ p->tokens, p->answer, (int)count, (int)answer };
}

// ---------------------------------------------------------------------------------------------
// Texts.

static void add_bytes(Prompts* p, const char* bytes, size_t count) {
    if (p->bytes + count > p->room) {
        p->room = 2 * (p->bytes + count);
        p->text = realloc(p->text, p->room);
        check(p->text != NULL, "out of memory for %zu bytes of text to judge", p->room);
    }
    memcpy(p->text + p->bytes, bytes, count);
    p->bytes += count;
}

// Some models have more tokens than their tokenizer; those are no character.
static void add_tokens(Prompts* p, const int* tokens, int count) {
    char number[16];
    for (int i = 0, shown = 0; i < count; i++) {
        if (tokens[i] == p->end) { continue; }
        if (!p->tokenizer) {
            add_bytes(p, number, (size_t)snprintf(number, sizeof(number), "%s%d", shown++ ? " " : "", tokens[i]));
        } else if (tokens[i] >= tokenizer_vocab_size(p->tokenizer)) {
            add_bytes(p, "\xEF\xBF\xBD", 3);
        } else {
            size_t bytes;
            const char* text = tokenizer_decode(p->tokenizer, tokens[i], &bytes);
            add_bytes(p, text, bytes);
        }
    }
}

void prompts_begin(Prompts* p) { p->bytes = p->count = 0; }

static void make_room(Prompts* p) {
    if (p->count < p->most) { return; }
    p->most = p->most > 0 ? 2 * p->most : 64;
    p->at = realloc(p->at, p->most * sizeof(p->at[0]));
    p->cases = realloc(p->cases, p->most * sizeof(p->cases[0]));
    check(p->at && p->cases, "out of memory for %zu responses to judge", p->most);
}

void prompts_add(Prompts* p, Prompt prompt, const int* response, int count) {
    make_room(p);
    size_t* at = p->at[p->count++];
    at[0] = p->bytes;
    add_tokens(p, prompt.tokens, prompt.count);
    at[1] = p->bytes;
    add_tokens(p, response, count);
    at[2] = p->bytes;
    add_tokens(p, prompt.answer, prompt.answer_count);
    at[3] = p->bytes;
}

const RewardCase* prompts_cases(Prompts* p) {
    add_bytes(p, "", 1); // so that there is a text even if all of them are empty
    p->bytes--;
    for (size_t i = 0; i < p->count; i++) {
        const size_t* at = p->at[i];
        RewardText part[3];
        for (int k = 0; k < 3; k++) { part[k] = (RewardText){ p->text + at[k], at[k + 1] - at[k] }; }
        p->cases[i] = (RewardCase){ part[0], part[1], part[2] };
    }
    return p->cases;
}

void prompts_check(Prompts* p, const Dataset* data, const char* name, int T, const Rewarder* judge) {
    for (size_t row = 0; row < data->rows; row++) {
        Prompt prompt = prompts_row(p, data, row);
        check(prompt.count < T, "%s: row %zu (from 0): its prompt of %d tokens leaves no room for a response in rows of %d; use a larger --seq",
              name, row, prompt.count, T);
        if (!judge || judge->command) { continue; }
        prompts_begin(p);
        prompts_add(p, prompt, NULL, 0);
        const char* fault = reward_fault(judge->rule, prompts_cases(p));
        check(!fault, "%s: row %zu (from 0): %s; no response to it could be right", name, row, fault);
    }
}
