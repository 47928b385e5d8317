// options.c -- the command line, described by tables.
#include "options.h"
#include "check.h"
#include "files.h"

#include <math.h>
#include <string.h>

typedef struct {
    const OptionTable* table;
    const Option* option;
} Found;

static int is_heading(const Option* o) { return o->help == NULL; }

static Found find(const OptionTable* tables, int num_tables, const char* name, size_t length, int alias) {
    for (int t = 0; t < num_tables; t++) {
        for (int i = 0; i < tables[t].count; i++) {
            const Option* o = &tables[t].options[i];
            const char* known = alias ? o->alias : o->name;
            if (known && !is_heading(o) && strlen(known) == length && memcmp(known, name, length) == 0) {
                return (Found){ &tables[t], o };
            }
        }
    }
    return (Found){ NULL, NULL };
}

static int is_choice(const char* value, const char* choices) {
    size_t n = strlen(value);
    for (const char* c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL) {
        if (n > 0 && strncmp(c, value, n) == 0 && (c[n] == '|' || c[n] == '\0')) { return 1; }
    }
    return 0;
}

// where: "file:line: ", or nothing.
static double parse_number(const Option* o, const char* value, const char* where) {
    char* end;
    double number = strtod(value, &end);
    check(end != value && *end == '\0' && isfinite(number), "%s--%s %s: is not a number", where, o->name, value);
    check(number >= o->min && number <= o->max, "%s--%s %s: must lie between %.10g and %.10g", where, o->name, value, o->min, o->max);
    check(o->kind == OPTION_REAL || number == floor(number), "%s--%s %s: must be a whole number", where, o->name, value);
    return number;
}

static void set(Found f, const char* value, const char* where) {
    const Option* o = f.option;
    void* field = (char*)f.table->values + o->offset;
    if (o->kind == OPTION_TEXT) {
        check(!o->choices || is_choice(value, o->choices), "%s--%s %s: must be one of %s", where, o->name, value, o->choices);
        *(const char**)field = value;
    } else if (o->kind == OPTION_REAL) {
        *(double*)field = parse_number(o, value, where);
    } else {
        *(int*)field = (int)parse_number(o, value, where);
    }
}

static void print_value(FILE* out, const Option* o, const void* values) {
    const void* field = (const char*)values + o->offset;
    if (o->kind == OPTION_TEXT) {
        const char* text = *(const char* const*)field;
        fputs(text ? text : "", out);
    } else if (o->kind == OPTION_REAL) {
        double number = *(const double*)field;
        char text[32];
        snprintf(text, sizeof(text), "%.9g", number); // as it was typed, if that is the same number
        if (strtod(text, NULL) != number) { snprintf(text, sizeof(text), "%.17g", number); }
        fputs(text, out);
    } else {
        fprintf(out, "%d", *(const int*)field);
    }
}

void options_print(FILE* out, const OptionTable* tables, int num_tables) {
    for (int t = 0; t < num_tables; t++) {
        for (int i = 0; i < tables[t].count; i++) {
            const Option* o = &tables[t].options[i];
            if (is_heading(o)) { continue; }
            if (o->kind == OPTION_TEXT && *(const char**)((char*)tables[t].values + o->offset) == NULL) { continue; }
            fprintf(out, "%s ", o->name);
            print_value(out, o, tables[t].values);
            fputc('\n', out);
        }
    }
}

static int is_changed(const Option* o, const void* values, const void* defaults) {
    const void *a = (const char*)values + o->offset, *b = (const char*)defaults + o->offset;
    if (o->kind == OPTION_REAL) { return *(const double*)a != *(const double*)b; }
    if (o->kind != OPTION_TEXT) { return *(const int*)a != *(const int*)b; }
    const char *x = *(const char* const*)a, *y = *(const char* const*)b;
    return x && y ? strcmp(x, y) != 0 : x != y;
}

const char* options_changed(const OptionTable* table, const void* defaults) {
    for (int i = 0; i < table->count; i++) {
        const Option* o = &table->options[i];
        if (!is_heading(o) && is_changed(o, table->values, defaults)) { return o->name; }
    }
    return NULL;
}

static void print_range(const Option* o) {
    if (o->kind == OPTION_TEXT && o->choices) { printf(" (%s)", o->choices); }
    if (o->kind == OPTION_TEXT && !o->choices) { printf(" (text)"); }
    if (o->kind == OPTION_INT)  { printf(" (whole number, %.10g to %.10g)", o->min, o->max); }
    if (o->kind == OPTION_REAL) { printf(" (number, %.10g to %.10g)", o->min, o->max); }
    if (o->kind == OPTION_SWITCH) { printf(" (0 or 1)"); }
}

static void print_help(const OptionTable* tables, int num_tables, const char* about) {
    printf("%s\n  --config FILE: options from a file, as a run writes them into its config.txt\n", about);
    for (int t = 0; t < num_tables; t++) {
        for (int i = 0; i < tables[t].count; i++) {
            const Option* o = &tables[t].options[i];
            if (is_heading(o)) { printf("\n%s\n", o->name); continue; }
            printf("  --%s", o->name);
            if (o->alias) { printf(", -%s", o->alias); }
            printf(": %s", o->help);
            print_range(o);
            printf(" [");
            print_value(stdout, o, tables[t].values);
            printf("]\n");
        }
    }
}

// The text stays in memory: the options point into it.
static void read_config(const OptionTable* tables, int num_tables, const char* path) {
    char *line = input_text(path), where[4096];
    for (int number = 1; *line; number++) {
        snprintf(where, sizeof(where), "%s:%d: ", path, number);
        char* next = line + strcspn(line, "\n");
        if (*next) { *next++ = '\0'; }
        size_t name = strcspn(line, " ");
        if (*line && *line != '#') {
            Found f = find(tables, num_tables, line, name, 0);
            check(f.option && line[name], "%s'%s' is not 'option value'; --help lists the options", where, line);
            set(f, line + name + 1, where);
        }
        line = next;
    }
}

static int looks_like_option(const char* text) {
    return text[0] == '-' && !(text[1] >= '0' && text[1] <= '9') && text[1] != '.' && text[1] != '\0';
}

// Handles argv[i] and its value; returns how many arguments that took.
static int parse_one(const OptionTable* tables, int num_tables, int argc, char** argv, int i, const char* where) {
    const char* word = argv[i];
    int dashes = strncmp(word, "--", 2) == 0 ? 2 : 1;
    check(word[0] == '-', "%s'%s' is not an option; options look like --name value, --help lists them", where, word);
    size_t length = dashes == 2 ? strcspn(word + 2, "=") : strlen(word + 1);
    const char* value = word[dashes + length] == '=' ? word + dashes + length + 1 : NULL;
    const char* next = i + 1 < argc ? argv[i + 1] : NULL;
    int is_config = dashes == 2 && length == 6 && memcmp(word + 2, "config", 6) == 0;

    Found f = find(tables, num_tables, word + dashes, length, dashes == 1);
    check(is_config || f.option, "%s%s: no such option; --help lists them", where, word);
    int taken = 1;
    if (!value && f.option && f.option->kind == OPTION_SWITCH && (!next || looks_like_option(next))) { value = "1"; }
    if (!value) {
        check(next != NULL, "%s%s: needs a value", where, word);
        value = next;
        taken = 2;
    }
    if (is_config) { read_config(tables, num_tables, value); } else { set(f, value, where); }
    return taken;
}

void options_parse(const OptionTable* tables, int num_tables, int argc, char** argv, const char* about) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(tables, num_tables, about);
            exit(EXIT_SUCCESS);
        }
    }
    for (int i = 1; i < argc; ) { i += parse_one(tables, num_tables, argc, argv, i, ""); }
}

void options_parse_line(const OptionTable* tables, int num_tables, char* line, const char* where) {
    char *word[64], prefix[4096];
    int count = 0;
    snprintf(prefix, sizeof(prefix), "%s: ", where);
    for (char* next = strtok(line, " \t\r"); next; next = strtok(NULL, " \t\r")) {
        check(count < 64, "%smore than 64 words", prefix);
        word[count++] = next;
    }
    for (int i = 0; i < count; ) { i += parse_one(tables, num_tables, count, word, i, prefix); }
}
