// table.h -- tables of text: aligned on a terminal, and the same in Markdown.
#ifndef DEV_TIMING_TABLE_H
#define DEV_TIMING_TABLE_H

#include <stdio.h>

enum { TABLE_ROWS = 64, TABLE_COLS = 16, TABLE_CELL = 72 };

// The first row is the heading. Columns stand to the right, the first to the left.
typedef struct {
    int rows, cols, at;  // complete rows; columns of the widest; cells of the row being written
    char cell[TABLE_ROWS][TABLE_COLS][TABLE_CELL];
} Table;

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
void table_cell(Table* t, const char* format, ...);
void table_number(Table* t, double x, int decimals, const char* unit); // NAN: a dash
void table_end_row(Table* t);
void table_print(FILE* out, const Table* t, int markdown);

#endif // DEV_TIMING_TABLE_H
