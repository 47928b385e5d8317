// rows.c -- data files of lines of text.
#include "rows.h"
#include "../../llmc/check.h"
#include "../../llmc/files.h"

#include <string.h>

TextRows text_rows_create(size_t room, size_t T) {
    TextRows r = { malloc(room * (T + 1) * sizeof(uint16_t)), calloc(room, T), 0, room, T };
    check(r.tokens && r.mask, "out of memory for %zu rows", room);
    return r;
}

void text_rows_free(TextRows* r) {
    free(r->tokens);
    free(r->mask);
    *r = (TextRows){0};
}

void text_rows_add(TextRows* r, const char* prompt, const char* following, int asked) {
    size_t before = strlen(prompt), behind = strlen(following), n = before + behind;
    check(r->rows < r->room && before > 0 && n <= r->T, "'%s%s' has no place in rows of %zu tokens", prompt, following, r->T + 1);
    uint16_t* tokens = r->tokens + r->rows * (r->T + 1);
    unsigned char* mask = r->mask + r->rows * r->T;
    for (size_t t = 0; t <= r->T; t++) {
        tokens[t] = t < before ? (unsigned char)prompt[t] : t < n ? (unsigned char)following[t - before] : END_OF_TEXT;
    }
    for (size_t t = before - 1; t < n - (asked ? 1 : 0); t++) { mask[t] = 1; }
    r->rows++;
}

static void print_row(const uint16_t* tokens, size_t T) {
    printf("    ");
    for (size_t t = 0; t <= T && tokens[t] != END_OF_TEXT; t++) { putchar(tokens[t]); }
    printf("\n");
}

void text_rows_write(const TextRows* r, const char* folder, const char* name, ExamplesKind kind, int show) {
    char* path = path_join(folder, name);
    examples_write(path, r->tokens, r->mask, r->rows, r->T, TEXT_VOCAB, kind, TOKENIZER_BYTES);
    printf("%s: %zu %s\n", path, kind == KIND_PAIRS ? r->rows / 2 : r->rows, kind == KIND_PAIRS ? "pairs" : kind == KIND_PROMPTS ? "prompts" : "rows");
    for (size_t i = 0; i < r->rows && i < (size_t)show * (kind == KIND_PAIRS ? 2 : 1); i++) { print_row(r->tokens + i * (r->T + 1), r->T); }
    free(path);
}
