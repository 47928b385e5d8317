// options.h -- the command line, described by tables: parsing, range checks, help and the record of a
// run all come from the same rows.
#ifndef LLMC_OPTIONS_H
#define LLMC_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

typedef enum {
    OPTION_TEXT,   // const char*, NULL if not given
    OPTION_INT,    // int
    OPTION_REAL,   // double
    OPTION_SWITCH, // int, 0 or 1; named without a value it is 1
} OptionKind;

typedef struct {
    const char* name;     // without the dashes; a row with a name only is a heading of the help
    const char* alias;    // one dash, or NULL
    OptionKind kind;
    size_t offset;        // of the field in the table's values
    double min, max;      // of a number
    const char* choices;  // of a text: "a|b|c", or NULL for any
    const char* help;
} Option;

// Rows, and the struct they fill: it holds the defaults when parsing begins, and what the text
// options point to is the caller's (argv) or lives as long as the program (a --config file).
typedef struct {
    const Option* options;
    int count;
    void* values;
} OptionTable;

// Every argument is "--name value", "--name=value" or "-alias value"; a later one wins. "--config FILE" reads a
// file that options_print() wrote, as if its lines stood on the command line. "--help" prints `about` and
// all options and exits with 0. Anything else ends the program with one line.
void options_parse(const OptionTable* tables, int num_tables, int argc, char** argv, const char* about);

// The options in one line of a file, between spaces; it is cut into pieces, and the text options point into it. An error
// names `where`, "file:line".
void options_parse_line(const OptionTable* tables, int num_tables, char* line, const char* where);

// The name of the first option that has another value than in `defaults`, a struct like the table's; NULL: there is none.
const char* options_changed(const OptionTable* table, const void* defaults);

// One "name value" line an option, as it is in force; texts that were not given are left out.
void options_print(FILE* out, const OptionTable* tables, int num_tables);

#endif // LLMC_OPTIONS_H
