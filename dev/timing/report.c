// report.c -- each part goes to the terminal and, in Markdown, to the file.
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void print(const Report* r, const char* file_form, const char* terminal_form, const char* format, va_list args) {
    char text[1024];
    vsnprintf(text, sizeof(text), format, args);
    printf(terminal_form, text);
    if (r->file) { fprintf(r->file, file_form, text); }
}

void report_heading(const Report* r, const char* format, ...) {
    va_list args;
    va_start(args, format);
    print(r, "## %s\n\n", "\n== %s\n", format, args);
    va_end(args);
}

void report_text(const Report* r, const char* format, ...) {
    va_list args;
    va_start(args, format);
    print(r, "%s\n\n", "%s\n", format, args);
    va_end(args);
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
