// json.c -- a JSON file as a tree of values.
//
// Texts are decoded where they stand: no escape is shorter than what it means. So the file is read
// once, and nothing is copied.
#include "json.h"
#include "check.h"
#include "files.h"
#include "unicode.h"

#include <stdint.h>
#include <string.h>

enum { BLOCK_VALUES = 1024, MAX_DEPTH = 100 };

typedef struct JsonBlock {
    struct JsonBlock* next;
    size_t used;
    JsonValue value[BLOCK_VALUES];
} JsonBlock;

typedef struct {
    Json* json;
    char* at;
    const char* end;
    const char* line_start;
    size_t line;
    int depth;
} Parser;

_Noreturn static void fail(const Parser* p, const char* at, const char* what) {
    die("%s: line %zu, column %zu: %s", p->json->path, p->line, (size_t)(at - p->line_start) + 1, what);
}

static void skip_space(Parser* p) {
    for (;; p->at++) {
        if (*p->at == '\n') {
            p->line++;
            p->line_start = p->at + 1;
        } else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r') {
            return;
        }
    }
}

static JsonValue* new_value(Parser* p) {
    JsonBlock* b = p->json->blocks;
    if (b == NULL || b->used == BLOCK_VALUES) {
        b = malloc(sizeof(JsonBlock));
        check(b != NULL, "%s: out of memory for its values", p->json->path);
        b->next = p->json->blocks;
        b->used = 0;
        p->json->blocks = b;
    }
    JsonValue* v = &b->value[b->used++];
    *v = (JsonValue){ .line = p->line };
    return v;
}

static uint32_t parse_hex(Parser* p) { // of \uXXXX, standing before the u
    uint32_t value = 0;
    for (int i = 1; i <= 4; i++) {
        char c = p->at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) { fail(p, p->at + i, "\\u needs four hexadecimal digits"); }
        value = value * 16 + (uint32_t)digit;
    }
    p->at += 5;
    return value;
}

// Characters beyond 16 bits are written as two surrogates; one without the other is no character.
static uint32_t parse_unicode_escape(Parser* p) {
    const char* begin = p->at - 1;
    uint32_t c = parse_hex(p);
    if (c < 0xd800 || c >= 0xe000) { return c; }
    if (c >= 0xdc00 || p->at[0] != '\\' || p->at[1] != 'u') { fail(p, begin, "half a surrogate pair is no character"); }
    p->at++;
    uint32_t low = parse_hex(p);
    if (low < 0xdc00 || low >= 0xe000) { fail(p, begin, "half a surrogate pair is no character"); }
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

// Returns how many bytes it wrote.
static size_t parse_escape(Parser* p, char* to) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (*p->at == 'u') { return utf8_encode(parse_unicode_escape(p), to); }
    const char* name = *p->at ? strchr(names, *p->at) : NULL;
    if (name == NULL) { fail(p, p->at - 1, "there is no such escape"); }
    *to = meant[name - names];
    p->at++;
    return 1;
}

static char* parse_text(Parser* p, size_t* bytes) {
    if (*p->at != '"') { fail(p, p->at, "expected a text in double quotes"); }
    char* text = ++p->at;
    char* to = text;
    while (*p->at != '"') {
        if ((unsigned char)*p->at < 0x20) {
            fail(p, p->at, p->at == p->end ? "the file ends within a text" : "a control character within a text, it must be escaped");
        }
        if (*p->at == '\\') {
            p->at++;
            to += parse_escape(p, to);
        } else {
            *to++ = *p->at++;
        }
    }
    p->at++;
    *to = '\0';
    *bytes = (size_t)(to - text);
    return text;
}

static size_t skip_digits(Parser* p) {
    size_t n = strspn(p->at, "0123456789");
    p->at += n;
    return n;
}

static void parse_number(Parser* p, JsonValue* v) {
    char* begin = p->at;
    p->at += *p->at == '-';
    int zero = *p->at == '0';
    size_t digits = skip_digits(p);
    int good = digits == 1 || (digits > 1 && !zero);
    if (*p->at == '.') {
        p->at++;
        good = skip_digits(p) > 0 && good;
    }
    if (*p->at == 'e' || *p->at == 'E') {
        p->at += 1 + (p->at[1] == '+' || p->at[1] == '-');
        good = skip_digits(p) > 0 && good;
    }
    if (!good) { fail(p, begin, "is no JSON value"); }
    v->kind = JSON_NUMBER;
    v->number = strtod(begin, NULL);
}

static JsonValue* parse_value(Parser* p);

static JsonValue* parse_member(Parser* p) {
    size_t bytes;
    skip_space(p);
    const char* begin = p->at;
    const char* key = parse_text(p, &bytes);
    if (strlen(key) != bytes) { fail(p, begin, "a key with a zero in it is not supported"); }
    skip_space(p);
    if (*p->at != ':') { fail(p, p->at, "expected ':' after the key"); }
    p->at++;
    JsonValue* v = parse_value(p);
    v->key = key;
    return v;
}

// A list or an object, whose members differ only in the key.
static void parse_members(Parser* p, JsonValue* v) {
    char close = *p->at == '{' ? '}' : ']';
    v->kind = close == '}' ? JSON_OBJECT : JSON_LIST;
    if (++p->depth > MAX_DEPTH) { fail(p, p->at, "is nested too deep"); }
    p->at++;
    skip_space(p);
    for (JsonValue** link = &v->first; *p->at != close; link = &(*link)->next) {
        if (v->first != NULL) {
            if (*p->at != ',') { fail(p, p->at, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'"); }
            p->at++;
        }
        *link = close == '}' ? parse_member(p) : parse_value(p);
        skip_space(p);
    }
    p->at++;
    p->depth--;
}

static void parse_word(Parser* p, JsonValue* v) {
    static const struct { const char* word; JsonKind kind; } words[] = {
        { "null", JSON_NULL }, { "false", JSON_FALSE }, { "true", JSON_TRUE },
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i].word);
        if (strncmp(p->at, words[i].word, n) == 0) {
            p->at += n;
            v->kind = words[i].kind;
            return;
        }
    }
    fail(p, p->at, p->at == p->end ? "the file ends where a value should be" : "is no JSON value");
}

static JsonValue* parse_value(Parser* p) {
    skip_space(p);
    JsonValue* v = new_value(p);
    switch (*p->at) {
        case '{': case '[':
            parse_members(p, v);
            break;
        case '"':
            v->kind = JSON_TEXT;
            v->text = parse_text(p, &v->bytes);
            break;
        case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
            parse_number(p, v);
            break;
        default:
            parse_word(p, v);
    }
    return v;
}

Json json_open(const char* path) {
    size_t bytes, line, column;
    Json json = { .path = strdup(path), .root = { .kind = JSON_LIST, .line = 1 } };
    check(json.path != NULL, "%s: out of memory for its name", path);
    FILE* file = input_open(path, &bytes);
    json.text = malloc(bytes + 1);
    check(json.text != NULL, "%s: out of memory for its %zu bytes", path, bytes);
    input_read(file, path, json.text, bytes);
    json.text[bytes] = '\0'; // where every loop of the parser stops
    fclose(file);
    check(utf8_check(json.text, bytes, &line, &column), "%s: line %zu, column %zu: is not UTF-8 text", path, line, column);
    Parser p = { .json = &json, .at = json.text, .end = json.text + bytes, .line_start = json.text, .line = 1 };
    if (strncmp(p.at, "\xef\xbb\xbf", 3) == 0) { p.at += 3; } // the byte order mark of some editors

    JsonValue** link = &json.root.first;
    for (skip_space(&p); p.at < p.end; skip_space(&p)) {
        *link = parse_value(&p);
        link = &(*link)->next;
    }
    return json;
}

void json_close(Json* json) {
    for (JsonBlock *b = json->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(json->text);
    free(json->path);
    *json = (Json){0};
}

const JsonValue* json_member(const Json* json, const JsonValue* object, const char* key) {
    const JsonValue* found = NULL;
    for (const JsonValue* v = object->kind == JSON_OBJECT ? object->first : NULL; v; v = v->next) {
        if (strcmp(v->key, key) != 0) { continue; }
        check(found == NULL, "%s: line %zu: the key \"%s\" stands twice in one object", json->path, v->line, key);
        found = v;
    }
    return found;
}
