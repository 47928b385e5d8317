// test_json.c -- what is JSON and what is not, and where the fault stands.
#include "../llmc/check.h"
#include "../llmc/json.h"
#include "scratch.h"
#include "test.h"

#include <errno.h>

static const char* path;

static void write_text(const char* text, size_t n) {
    FILE* f = fopen(path, "wb");
    expect(f && fwrite(text, 1, n, f) == n && fclose(f) == 0);
}

static Json open_text(const char* text) {
    write_text(text, strlen(text));
    return json_open(path);
}

static void open_and_close(void) {
    Json json = json_open(path);
    json_close(&json);
}

static void test_values(void) {
    Json json = open_text(" {\"a\": [1, -2.5e1 ,true,false,null,\"x\"],\n\t\"b\":{}, \"c\":[] , \"d\":{\"a\":0}}\r\n");
    const JsonValue* top = json.root.first;
    expect(top && top->kind == JSON_OBJECT && !top->next && top->line == 1 && !top->key);
    const JsonValue* v = json_member(&json, top, "a")->first;
    expect(v->kind == JSON_NUMBER && v->number == 1);
    v = v->next;
    expect(v->kind == JSON_NUMBER && v->number == -25);
    static const JsonKind kinds[] = { JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_TEXT };
    for (int i = 0; i < 4; i++) { v = v->next; expect(v && v->kind == kinds[i]); }
    expect(strcmp(v->text, "x") == 0 && v->bytes == 1 && !v->next);
    v = json_member(&json, top, "b");
    expect(v->kind == JSON_OBJECT && !v->first && v->line == 2);
    expect(json_member(&json, top, "c")->kind == JSON_LIST);
    expect(json_member(&json, json_member(&json, top, "d"), "a")->number == 0);
    expect(!json_member(&json, top, "e") && !json_member(&json, v, "a") && !json_member(&json, json_member(&json, top, "c"), "a"));
    json_close(&json);
}

static void test_texts(void) {
    static const struct { const char *json, *text; size_t bytes; } cases[] = {
        { "\"\"", "", 0 },
        { "\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", 10 },
        { "\"\\u0041\\u00e9\\u20ac\\uFFFD\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbd", 9 },
        { "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!", 5 },
        { "\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8 },
        { "\"\xf0\x9f\x98\x80\x7f\"", "\xf0\x9f\x98\x80\x7f", 5 },
        { "\"a\\u0000b\"", "a\0b", 3 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Json json = open_text(cases[i].json);
        const JsonValue* v = json.root.first;
        expect(v->kind == JSON_TEXT && v->bytes == cases[i].bytes && memcmp(v->text, cases[i].text, v->bytes + 1) == 0);
        json_close(&json);
    }
}

// JSON Lines, with empty lines and without a last one; a byte order mark; nothing at all.
static void test_sequences(void) {
    Json json = open_text("\xef\xbb\xbf{\"n\":1}\n\n{\"n\":2}\r\n  {\"n\":3}");
    static const size_t lines[] = { 1, 3, 4 };
    int i = 0;
    for (const JsonValue* v = json.root.first; v; v = v->next, i++) {
        expect(i < 3 && v->line == lines[i] && json_member(&json, v, "n")->number == i + 1);
    }
    expect(i == 3);
    json_close(&json);
    json = open_text(" \n");
    expect(!json.root.first);
    json_close(&json);
}

// More values than one block of memory holds.
static void test_many_values(void) {
    enum { N = 5000 };
    static char text[2 * N + 2] = "[";
    for (int i = 0; i < N; i++) {
        text[1 + 2*i] = (char)('0' + i % 10);
        text[2 + 2*i] = ',';
    }
    text[2*N] = ']';
    Json json = open_text(text);
    int i = 0;
    for (const JsonValue* v = json.root.first->first; v; v = v->next, i++) { expect(v->number == i % 10); }
    expect(i == N);
    json_close(&json);
}

static void test_faults(void) {
    static const struct { const char *json, *about; } cases[] = {
        { "{\"a\":1", "line 1, column 7: expected ',' or '}'" },
        { "{\"a\":1,}", "line 1, column 8: expected a text" },
        { "[1,]", "line 1, column 4: is no JSON value" },
        { "[,1]", "column 2: is no JSON value" },
        { "[1 2]", "column 4: expected ',' or ']'" },
        { "{\"a\" 1}", "column 6: expected ':'" },
        { "{a:1}", "column 2: expected a text" },
        { "{'a':1}", "column 2: expected a text" },
        { "{\"a\":", "the file ends where a value should be" },
        { "[\n\"a\n\"]", "line 2, column 3: a control character within a text" },
        { "[\"a", "column 4: the file ends within a text" },
        { "[\"\\", "column 3: there is no such escape" },
        { "\"\\x\"", "column 2: there is no such escape" },
        { "\"\\u12g4\"", "column 6: \\u needs four" },
        { "\"\\u12", "column 6: \\u needs four" },
        { "\"\\ud800\"", "column 2: half a surrogate pair" },
        { "\"\\udc00\\ud800\"", "column 2: half a surrogate pair" },
        { "\"\\udc00\\udc00\"", "column 2: half a surrogate pair" },
        { "\"\x1f\"", "column 2: a control character" },
        { "\"\\ud800\\u0041\"", "half a surrogate pair" },
        { "01", "is no JSON value" }, { "1.", "is no JSON value" }, { ".5", "is no JSON value" }, { "-", "is no JSON value" },
        { "1e", "is no JSON value" }, { "+1", "is no JSON value" }, { "NaN", "is no JSON value" }, { "nul", "is no JSON value" },
        { "-Infinity", "is no JSON value" }, { "0x10]", "is no JSON value" }, { "}", "is no JSON value" },
        { "{\"a\\u0000\":1}", "column 2: a key with a zero" },
        { "[1]\n[\"\xc3(\"]", "line 2, column 3: is not UTF-8" },
        { "\"\xed\xa0\x80\"", "is not UTF-8" },
        { "\"\xff\"", "is not UTF-8" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text(cases[i].json, strlen(cases[i].json));
        expect_dies(cases[i].about, open_and_close());
    }
    write_text("[1,\0]", 5);
    expect_dies("column 4: is no JSON value", open_and_close());
    write_text("\"a\0b\"", 5);
    expect_dies("column 3: a control character", open_and_close());
}

static void test_depth(void) {
    char text[332] = "[";
    for (int i = 0; i < 110; i++) { memcpy(text + 1 + 3*i, i < 109 ? "[]," : "[] ", 3); }
    text[331] = ']';
    write_text(text, 332); // many lists, but not deep
    open_and_close();
    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    write_text(text, 200);
    open_and_close();
    memset(text, '[', 300);
    write_text(text, 300);
    expect_dies("column 101: is nested too deep", open_and_close());
}

static void test_twice_the_same_key(void) {
    Json json = open_text("{\"a\":1,\n\"b\":2,\"a\":3}");
    expect(json_member(&json, json.root.first, "b")->number == 2);
    expect_dies("line 2: the key \"a\" stands twice", json_member(&json, json.root.first, "a"));
    json_close(&json);
}

// An object cut short anywhere is no object.
static void test_truncations(void) {
    static const char text[] = "{\"a\": [1.5e3, {\"b\": \"\\u00e9\\n\xc3\xa9\"}, true], \"c\": null}";
    for (size_t n = 1; n < sizeof(text) - 1; n++) {
        write_text(text, n);
        expect_dies(path, open_and_close());
    }
    write_text(text, sizeof(text) - 1);
    open_and_close();
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "values", test_values },
        { "texts", test_texts },
        { "sequences", test_sequences },
        { "many_values", test_many_values },
        { "faults", test_faults },
        { "depth", test_depth },
        { "twice_the_same_key", test_twice_the_same_key },
        { "truncations", test_truncations },
    };
    path = scratch("file");
    int status = test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
    return status;
}
