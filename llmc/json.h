// json.h -- a JSON file (RFC 8259) as a tree of values; JSON Lines too, and what else has one value after another.
#ifndef LLMC_JSON_H
#define LLMC_JSON_H

#include <stddef.h>

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } JsonKind;

// Texts are UTF-8 without their escapes; they end with a zero, but may have zeros in them too.
typedef struct JsonValue {
    JsonKind kind;
    const char* key;          // of a member of an object, else NULL
    const char* text;         // of a text
    size_t bytes;             // its length
    double number;            // of a number
    struct JsonValue* first;  // of a list or an object: a member, and from there along `next`
    struct JsonValue* next;
    size_t line;              // where the value begins, from 1
} JsonValue;

typedef struct {
    char* path;
    char* text;               // the file; all texts stand in it
    JsonValue root;           // a list of the file's values, from first to last
    struct JsonBlock* blocks; // the memory of all values
} Json;

// Ends the program with file, line and column (in bytes, from 1) if the file is not UTF-8 or not JSON.
Json json_open(const char* path);
void json_close(Json* json);

// The member of an object that has this key, or NULL. Ends the program if there are two.
const JsonValue* json_member(const Json* json, const JsonValue* object, const char* key);

#endif // LLMC_JSON_H
