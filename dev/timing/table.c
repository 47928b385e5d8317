// table.c -- tables of text.
#include "table.h"
#include "../../llmc/check.h"

#include <math.h>
#include <string.h>

void table_cell(Table* t, const char* format, ...) {
    va_list args;
    check(t->rows < TABLE_ROWS && t->at < TABLE_COLS, "a table has more than %d rows or %d columns", TABLE_ROWS, TABLE_COLS);
    va_start(args, format);
    vsnprintf(t->cell[t->rows][t->at++], TABLE_CELL, format, args);
    va_end(args);
    if (t->at > t->cols) { t->cols = t->at; }
}

void table_number(Table* t, double x, int decimals, const char* unit) {
    if (isnan(x)) { table_cell(t, "-"); } else { table_cell(t, "%.*f%s", decimals, x, unit); }
}

void table_end_row(Table* t) {
    t->rows++;
    t->at = 0;
}

static int width(const Table* t, int col) {
    int most = 3;
    for (int row = 0; row < t->rows; row++) {
        int length = (int)strlen(t->cell[row][col]);
        most = length > most ? length : most;
    }
    return most;
}

// Markdown's line below the heading says to which side a column stands.
static void print_rule(FILE* out, const Table* t) {
    for (int col = 0; col < t->cols; col++) {
        fputs(col == 0 ? "|:" : "|-", out);
        for (int i = width(t, col); i > 0; i--) { fputc('-', out); }
        fputs(col == 0 ? "-" : ":", out);
    }
    fputs("|\n", out);
}

void table_print(FILE* out, const Table* t, int markdown) {
    for (int row = 0; row < t->rows; row++) {
        for (int col = 0; col < t->cols; col++) {
            int w = width(t, col);
            fprintf(out, markdown ? "| %*s " : col == 0 ? "%*s" : "  %*s", col == 0 ? -w : w, t->cell[row][col]);
        }
        fputs(markdown ? "|\n" : "\n", out);
        if (markdown && row == 0) { print_rule(out, t); }
    }
}
