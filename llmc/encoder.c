// encoder.c -- GPT-2's published vocabulary, encoder.json, as a tokenizer file of llm.c.
#include "encoder.h"
#include "check.h"
#include "files.h"
#include "json.h"
#include "unicode.h"

#include <string.h>

enum { MAGIC = 20240328, VERSION = 2, MAX_VOCAB = 65536, MAX_BYTES = 255 };

// The vocabulary shows bytes as characters: those that can be seen as themselves, the others, in order, as 256 and up.
static int is_shown(uint32_t byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
}

static int byte_of(uint32_t c) {
    if (is_shown(c)) { return (int)c; }
    for (uint32_t byte = 0, next = 256; byte < 256; byte++) {
        if (!is_shown(byte) && next++ == c) { return (int)byte; }
    }
    return -1;
}

// Writes the token's length and its bytes; returns where the next one is to be written.
static char* spell(const Json* json, const JsonValue* v, char* to) {
    size_t n = 0, length = strlen(v->key);
    uint32_t c = 0;
    for (size_t at = 0; at < length; n++) {
        at += utf8_decode(v->key + at, length - at, &c); // never 0: the file was found to be UTF-8
        int byte = byte_of(c);
        check(byte >= 0, "%s: line %zu: token %g has the character U+%04X, which stands for no byte",
              json->path, v->line, v->number, (unsigned)c);
        check(n < MAX_BYTES, "%s: line %zu: token %g is longer than %d bytes", json->path, v->line, v->number, MAX_BYTES);
        to[1 + n] = (char)byte;
    }
    check(n > 0, "%s: line %zu: token %g is empty", json->path, v->line, v->number);
    to[0] = (char)n;
    return to + 1 + n;
}

// The members in the order of their ids, which must be 0 to count-1, each once.
static const JsonValue** by_id(const Json* json, const JsonValue* object, int* count) {
    *count = 0;
    for (const JsonValue* v = object->first; v && *count <= MAX_VOCAB; v = v->next) { (*count)++; }
    check(*count > 0 && *count <= MAX_VOCAB, "%s: possible are 1 to %d tokens, it has %s", json->path, MAX_VOCAB, *count ? "more" : "none");
    const JsonValue** token = calloc((size_t)*count, sizeof(JsonValue*));
    check(token != NULL, "%s: out of memory for %d tokens", json->path, *count);
    for (const JsonValue* v = object->first; v; v = v->next) {
        int good = v->kind == JSON_NUMBER && v->number >= 0 && v->number < *count && v->number == (int)v->number;
        check(good, "%s: line %zu: a token's id is not a whole number from 0 to %d", json->path, v->line, *count - 1);
        check(token[(int)v->number] == NULL, "%s: line %zu: the id %g is given twice", json->path, v->line, v->number);
        token[(int)v->number] = v;
    }
    return token;
}

int encoder_convert(const char* from, const char* to) {
    int count;
    Json json = json_open(from);
    const JsonValue* object = json.root.first;
    check(object && object->kind == JSON_OBJECT && !object->next, "%s: is not one object of tokens and their ids", from);
    const JsonValue** token = by_id(&json, object, &count);
    const JsonValue* eot = json_member(&json, object, "<|endoftext|>");
    check(eot != NULL, "%s: has no token <|endoftext|>", from);

    char* body = malloc((size_t)count * (1 + MAX_BYTES));
    check(body != NULL, "%s: out of memory for %d tokens", from, count);
    char* end = body;
    for (int id = 0; id < count; id++) { end = spell(&json, token[id], end); }

    int32_t header[HEADER_INTS] = { MAGIC, VERSION, count, (int32_t)eot->number };
    Output o = output_open(to);
    output_write(&o, header, sizeof(header));
    output_write(&o, body, (size_t)(end - body));
    output_close(&o);
    free(body);
    free(token);
    json_close(&json);
    return count;
}
