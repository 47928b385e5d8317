// records.c -- a JSON record as a row of tokens, with what is trained on in it.
#include "records.h"
#include "check.h"

#include <string.h>

// What a record with one question and one answer is called by; the headings are what the model reads.
typedef struct {
    const char *prompt, *input, *answer;                         // keys; input may be NULL
    const char *before_prompt, *before_input, *before_answer;
} Shape;

static const Shape shapes[] = {
    { "instruction", "input", "output", "### Instruction:\n", "\n\n### Input:\n", "\n\n### Response:\n" },
    { "prompt", NULL, "completion", "", "", "" },
    { "question", NULL, "answer", "### Question:\n", "", "\n\n### Answer:\n" },
    { "Body", "Question", "Answer", "### Question:\n", " ", "\n\n### Answer:\n" },
};
enum { NUM_SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

typedef struct {
    char* data;
    size_t bytes, room;
} Text;

struct RecordEncoder {
    const Tokenizer* tokenizer;
    size_t T;
    Text pending;           // text that is not tokens yet: tokens may reach from one part of it into the next
    uint16_t* scratch;      // for the tokens of the pending text
    size_t scratch_room;
    uint16_t* tokens;       // the row that is being filled
    unsigned char* mask;
    size_t count;           // tokens of this record so far, also those that the row has no room for
    char number[32];        // an answer that is a number, as a text
};

#define refuse(r, ...) refuse_at((r)->json->path, (r)->number, (r)->value->line, __VA_ARGS__)

_Noreturn static void refuse_at(const char* path, size_t number, size_t line, const char* what, const char* name) {
    die("%s: record %zu (line %zu): %s%s", path, number, line, what, name);
}

Record* records_find(const Json* json, size_t* count) {
    const JsonValue* first = json->root.first;
    if (first && first->kind == JSON_LIST && !first->next) { first = first->first; }
    *count = 0;
    for (const JsonValue* v = first; v; v = v->next) {
        Record r = { json, v, ++*count };
        if (v->kind != JSON_OBJECT) { refuse(&r, "is not an object", ""); }
    }
    check(*count > 0, "%s: has no records", json->path);
    Record* records = malloc(*count * sizeof(Record));
    check(records != NULL, "%s: out of memory for %zu records", json->path, *count);
    size_t i = 0;
    for (const JsonValue* v = first; v; v = v->next, i++) { records[i] = (Record){ json, v, i + 1 }; }
    return records;
}

// A member that must be a text, or, with `optional`, may also be missing or null.
static const JsonValue* text_member(const Record* r, const JsonValue* object, const char* key, int optional) {
    const JsonValue* v = json_member(r->json, object, key);
    if (optional && (!v || v->kind == JSON_NULL)) { return NULL; }
    if (!v) { refuse(r, "there is no ", key); }
    if (v->kind != JSON_TEXT) { refuse(r, "this is not a text: ", key); }
    return v;
}

int record_is_pair(const Record* r) {
    return json_member(r->json, r->value, "chosen") || json_member(r->json, r->value, "rejected");
}

// The messages of a conversation, NULL if the record has another shape.
static const JsonValue* messages_of(const Record* r) {
    const JsonValue* v = json_member(r->json, r->value, "messages");
    if (v && record_is_pair(r)) { refuse(r, "a preference pair with messages; give what comes before the answers as its ", "prompt"); }
    if (v && (v->kind != JSON_LIST || !v->first)) { refuse(r, "messages is not a list with messages in it", ""); }
    return v;
}

static const Shape* shape_of(const Record* r) {
    for (int i = 0; i < NUM_SHAPES; i++) {
        if (json_member(r->json, r->value, shapes[i].prompt)) { return &shapes[i]; }
    }
    refuse(r, "has none of the keys messages, instruction, prompt, question, Body", "");
}

static int is_role(const Record* r, const JsonValue* message, const char* role) {
    if (message->kind != JSON_OBJECT) { refuse(r, "a message is not an object", ""); }
    return strcmp(text_member(r, message, "role", 0)->text, role) == 0;
}

const char* record_prompt(const Record* r, size_t* bytes) {
    const JsonValue *messages = messages_of(r), *text = NULL;
    if (!messages) { text = text_member(r, r->value, shape_of(r)->prompt, 0); }
    for (const JsonValue* m = messages ? messages->first : NULL; m && !text; m = m->next) {
        if (is_role(r, m, "user")) { text = text_member(r, m, "content", 0); }
    }
    *bytes = text ? text->bytes : 0;
    return text ? text->text : NULL;
}

RecordEncoder* record_encoder_open(const Tokenizer* tokenizer, size_t T) {
    RecordEncoder* e = calloc(1, sizeof(RecordEncoder));
    check(e != NULL, "out of memory to encode records");
    e->tokenizer = tokenizer;
    e->T = T;
    return e;
}

void record_encoder_free(RecordEncoder* e) {
    free(e->pending.data);
    free(e->scratch);
    free(e);
}

static void* grown(void* memory, size_t count, size_t size) {
    memory = realloc(memory, count * size);
    check(memory != NULL, "out of memory for a record of %zu bytes", count);
    return memory;
}

static void add_text(RecordEncoder* e, const char* s, size_t n) {
    Text* p = &e->pending;
    if (p->bytes + n > p->room) {
        p->room = 2 * (p->bytes + n);
        p->data = grown(p->data, p->room, 1);
    }
    if (n > 0) { memcpy(p->data + p->bytes, s, n); }
    p->bytes += n;
}

static void add_words(RecordEncoder* e, const char* s) { add_text(e, s, strlen(s)); }

// The mask of a position is about its target, the token after it.
static void add_token(RecordEncoder* e, uint16_t token, int trained) {
    size_t at = e->count++;
    if (at > e->T) { return; }
    e->tokens[at] = token;
    if (at > 0) { e->mask[at - 1] = (unsigned char)trained; }
}

static void encode_pending(RecordEncoder* e, int trained) {
    if (e->pending.bytes > e->scratch_room) {
        e->scratch_room = e->pending.room;
        e->scratch = grown(e->scratch, e->scratch_room, sizeof(uint16_t));
    }
    size_t n = tokenizer_encode(e->tokenizer, e->scratch, e->pending.data, e->pending.bytes);
    for (size_t i = 0; i < n; i++) { add_token(e, e->scratch[i], trained); }
    e->pending.bytes = 0;
}

// The text of a record's answer, which may be a number: 51.0 is "51".
static JsonValue answer_of(RecordEncoder* e, const Record* r, const char* key, int optional) {
    const JsonValue* v = json_member(r->json, r->value, key);
    if (v && v->kind == JSON_NUMBER) {
        int bytes = snprintf(e->number, sizeof(e->number), "%.15g", v->number);
        return (JsonValue){ .kind = JSON_TEXT, .text = e->number, .bytes = (size_t)bytes };
    }
    v = text_member(r, r->value, key, optional);
    return v ? *v : (JsonValue){ .kind = JSON_TEXT, .text = "" };
}

// An empty answer teaches nothing, not even to end there.
static void add_answer(RecordEncoder* e, const JsonValue* text, int trained) {
    encode_pending(e, 0);
    if (text->bytes == 0) { return; }
    add_text(e, text->text, text->bytes);
    encode_pending(e, trained);
    add_token(e, (uint16_t)tokenizer_eot(e->tokenizer), trained);
}

// All that stands before the answer.
static void add_context(RecordEncoder* e, const Record* r, const Shape* shape) {
    const JsonValue* prompt = text_member(r, r->value, shape->prompt, 0);
    const JsonValue* input = shape->input ? text_member(r, r->value, shape->input, 1) : NULL;
    add_words(e, shape->before_prompt);
    add_text(e, prompt->text, prompt->bytes);
    if (input && input->bytes > 0) {
        add_words(e, shape->before_input);
        add_text(e, input->text, input->bytes);
    }
    add_words(e, shape->before_answer);
}

static void add_message(RecordEncoder* e, const Record* r, const JsonValue* m, int trained) {
    int system = is_role(r, m, "system"), user = is_role(r, m, "user");
    const JsonValue* content = text_member(r, m, "content", 0);
    if (system || user) {
        add_words(e, system ? "### System:\n" : "### User:\n");
        add_text(e, content->text, content->bytes);
        add_words(e, "\n\n");
    } else {
        if (!is_role(r, m, "assistant")) { refuse(r, "a message's role is not system, user or assistant", ""); }
        add_words(e, "### Assistant:\n");
        add_answer(e, content, trained);
    }
}

static void begin_row(RecordEncoder* e, uint16_t* tokens, unsigned char* mask) {
    e->tokens = tokens;
    e->mask = mask;
    e->count = 0;
    memset(mask, 0, e->T);
}

// The end of text as often as there is room.
static size_t end_row(RecordEncoder* e) {
    for (size_t at = e->count; at <= e->T; at++) { e->tokens[at] = (uint16_t)tokenizer_eot(e->tokenizer); }
    return e->count;
}

size_t record_row(RecordEncoder* e, const Record* r, const char* answer, uint16_t* tokens, unsigned char* mask) {
    const JsonValue* messages = messages_of(r);
    begin_row(e, tokens, mask);
    if (messages) {
        for (const JsonValue* m = messages->first; m; m = m->next) { add_message(e, r, m, 1); }
        e->pending.bytes = 0; // what follows the last message of the assistant leads nowhere
    } else {
        const Shape* shape = shape_of(r);
        add_context(e, r, shape);
        JsonValue text = answer_of(e, r, answer ? answer : shape->answer, 0);
        add_answer(e, &text, 1);
    }
    return end_row(e);
}

// The context of a conversation; returns the message that answers it, NULL if there is none.
static const JsonValue* add_conversation(RecordEncoder* e, const Record* r, const JsonValue* messages) {
    const JsonValue* m = messages->first;
    for (; m && (m->next || !is_role(r, m, "assistant")); m = m->next) { add_message(e, r, m, 0); }
    add_words(e, "### Assistant:\n");
    return m ? text_member(r, m, "content", 0) : NULL;
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// What a response is compared with: a worked answer ends in "#### 18".
static void add_wanted(RecordEncoder* e, const JsonValue* answer) {
    const char *text = answer->text, *end = text + answer->bytes, *behind = text;
    for (const char* at = text; (at = memmem(at, (size_t)(end - at), "####", 4)) != NULL; at++) { behind = at + 4; }
    while (behind < end && is_space(*behind)) { behind++; }
    while (behind < end && is_space(end[-1])) { end--; }
    add_text(e, behind, (size_t)(end - behind));
    encode_pending(e, 1);
}

size_t record_prompt_row(RecordEncoder* e, const Record* r, uint16_t* tokens, unsigned char* mask, size_t* prompt) {
    const JsonValue *messages = messages_of(r), *last = NULL;
    const Shape* shape = messages ? NULL : shape_of(r);
    begin_row(e, tokens, mask);
    if (messages) { last = add_conversation(e, r, messages); } else { add_context(e, r, shape); }
    encode_pending(e, 0);
    if (e->count == 0) { add_token(e, (uint16_t)tokenizer_eot(e->tokenizer), 0); }
    *prompt = e->count;
    JsonValue answer = { .text = "" };
    if (shape) { answer = answer_of(e, r, shape->answer, 1); } else if (last) { answer = *last; }
    add_wanted(e, &answer);
    return end_row(e);
}
