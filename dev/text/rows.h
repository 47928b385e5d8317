// rows.h -- data files of lines of text, in bytes: a prompt, and behind it what follows.
#ifndef DEV_TEXT_ROWS_H
#define DEV_TEXT_ROWS_H

#include "../../llmc/dataset.h"

enum { END_OF_TEXT = 256, TEXT_VOCAB };

typedef struct {
    uint16_t* tokens;    // (room, T+1)
    unsigned char* mask; // (room, T)
    size_t rows, room, T;
} TextRows;

TextRows text_rows_create(size_t room, size_t T);
void text_rows_free(TextRows* r);

// One more row: what follows is trained on, with an end of text behind it; or (asked) it is what an answer to the prompt is compared with.
void text_rows_add(TextRows* r, const char* prompt, const char* following, int asked);

// Into FOLDER/NAME, and the first `show` rows onto the terminal.
void text_rows_write(const TextRows* r, const char* folder, const char* name, ExamplesKind kind, int show);

#endif // DEV_TEXT_ROWS_H
