// report.h -- what a benchmark tells: the machine, paragraphs and tables, on the terminal and as a Markdown file.
#ifndef DEV_TIMING_REPORT_H
#define DEV_TIMING_REPORT_H

#include "table.h"

typedef struct {
    FILE* file; // or NULL
} Report;

#ifdef __GNUC__
#define REPORT_FORMAT __attribute__((format(printf, 2, 3)))
#else
#define REPORT_FORMAT
#endif
REPORT_FORMAT void report_heading(const Report* r, const char* format, ...);
REPORT_FORMAT void report_text(const Report* r, const char* format, ...);   // a paragraph
void report_table(const Report* r, const Table* t);

// Processor, cores, load, compiler, date. flags: what the compiler was told, or NULL.
void report_machine(const Report* r, const char* flags);

#endif // DEV_TIMING_REPORT_H
