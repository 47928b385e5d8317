// report.c -- each part goes to the terminal and, in Markdown, to the file.
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 120, MOST_TEXT = 1024 };

void report_heading(const Report* r, const char* format, ...) {
    char text[MOST_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    printf("\n== %s\n", text);
    if (r->file) { fprintf(r->file, "## %s\n\n", text); }
}

// Lines of at most WIDTH, broken at blanks.
static void print_wrapped(const char* text) {
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > WIDTH) { putchar('\n'); column = 0; }
        column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)word, text);
        text += word + strspn(text + word, " ");
    }
    putchar('\n');
}

void report_text(const Report* r, const char* format, ...) {
    char text[MOST_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    print_wrapped(text);
    fflush(stdout);
    if (r->file) { fprintf(r->file, "%s\n\n", text); }
}

void report_table(const Report* r, const Table* t) {
    table_print(stdout, t, 0);
    fflush(stdout);
    if (!r->file) { return; }
    table_print(r->file, t, 1);
    fputc('\n', r->file);
}

// As Linux names it; elsewhere unknown.
static void processor_name(char* name, size_t size) {
    char line[256];
    snprintf(name, size, "a processor without a name");
    FILE* f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof(line), f)) {
        char* colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) { continue; }
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    if (f) { fclose(f); }
}

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

void report_machine(const Report* r, const char* flags) {
    char name[256], date[32];
    double load = 0.0;
    time_t now = time(NULL);
    processor_name(name, sizeof(name));
    strftime(date, sizeof(date), "%Y-%m-%d", localtime(&now));
    report_text(r, "%s, %ld cores; %s%s%s; %s.", name, sysconf(_SC_NPROCESSORS_ONLN), COMPILER, flags ? ": " : "", flags ? flags : "", date);
    if (getloadavg(&load, 1) == 1) {
        report_text(r, "Load of the machine in the minute before: %.2f (0 is a quiet machine).", load);
    }
}
