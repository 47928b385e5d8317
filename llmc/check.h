// check.h -- the only ways this program gives up.
//
// A training run has no caller to hand an error to: it says in one line what it could not do, with
// the values and the way to mend it, and exits with status 1.
#ifndef LLMC_CHECK_H
#define LLMC_CHECK_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define check(cond, ...) do { if (!(cond)) { die(__VA_ARGS__); } } while (0)

#ifdef __GNUC__
__attribute__((noreturn, format(printf, 1, 2)))
#endif
static inline void die(const char* format, ...) {
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

#endif // LLMC_CHECK_H
