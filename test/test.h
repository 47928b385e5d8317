// test.h -- a test is a function that calls expect*(); the program fails if any of them did.
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int test_failures;

#define expect(cond) do { if (!(cond)) { \
    fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); test_failures++; } } while (0)

#define expect_close(got, want, n, tol) expect_close_at(__FILE__, __LINE__, #got, got, want, n, tol)

// Largest difference over largest magnitude: one number for a whole tensor, in units of its scale.
static inline void expect_close_at(const char* file, int line, const char* what,
                                   const float* got, const float* want, size_t n, float tol) {
    double diff = 0.0, scale = 0.0;
    size_t worst = 0;
    for (size_t i = 0; i < n && !isnan(diff); i++) {
        double e = fabs((double)got[i] - want[i]);
        if (e > diff || isnan(e)) { diff = e; worst = i; }
        scale = fmax(scale, fabs(want[i]));
    }
    if (!(diff <= tol * scale)) { // so phrased that a NaN fails
        fprintf(stderr, "%s:%d: %s[%zu] is %g, not %g (error %.1e of the tensor's scale, allowed %.1e)\n",
                file, line, what, worst, got[worst], want[worst], diff / scale, tol);
        test_failures++;
    }
}

// The statement must end the program with status 1 and one line on stderr, "error: ..." with `about` in it.
// It runs in a child process, so the test goes on.
#define expect_dies(about, ...) do { \
    int out_; \
    pid_t child_ = test_fork(&out_); \
    if (child_ == 0) { __VA_ARGS__; exit(0); } \
    expect_died_at(__FILE__, __LINE__, #__VA_ARGS__, child_, out_, about); } while (0)

// Giving up need not free memory, so the leak check that runs at exit is not reached.
static inline void test_leave(int status, void* nothing) {
    (void)nothing;
    _exit(status);
}

static inline pid_t test_fork(int* out) {
    int ends[2];
    fflush(stdout); // what is in the buffer now would be printed by both
    if (pipe(ends) != 0) { perror("pipe"); exit(1); }
    pid_t child = fork();
    if (child < 0) { perror("fork"); exit(1); }
    if (child == 0) { dup2(ends[1], STDERR_FILENO); close(ends[0]); on_exit(test_leave, NULL); }
    close(ends[1]);
    *out = ends[0];
    return child;
}

static inline void expect_died_at(const char* file, int line, const char* what, pid_t child, int out, const char* about) {
    char text[1 << 12];
    size_t n = 0;
    for (ssize_t got = 1; got > 0 && n < sizeof(text) - 1; n += got > 0 ? (size_t)got : 0) {
        got = read(out, text + n, sizeof(text) - 1 - n);
    }
    close(out);
    text[n] = '\0';
    int status;
    waitpid(child, &status, 0);
    int died = WIFEXITED(status) && WEXITSTATUS(status) == 1;
    int one_line = strncmp(text, "error: ", 7) == 0 && strchr(text, '\n') == text + n - 1;
    if (!died || !one_line || !strstr(text, about)) {
        fprintf(stderr, "%s:%d: should die of '%s': %s\n    wait status %d, it said: %s\n", file, line, about, what, status, text);
        test_failures++;
    }
}

static inline float test_uniform(uint64_t* state) { // in [-1, 1), the same on every machine
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) / 2147483648.0f;
}

static inline void test_fill(float* x, size_t n, uint64_t* state) {
    for (size_t i = 0; i < n; i++) { x[i] = test_uniform(state); }
}

typedef struct { const char* name; void (*run)(void); } Test;

// Runs all tests, or those whose name is given on the command line.
static inline int test_main(int argc, char** argv, const Test* tests, int count) {
    for (int i = 0; i < count; i++) {
        int wanted = argc == 1;
        for (int k = 1; k < argc; k++) { wanted |= strcmp(argv[k], tests[i].name) == 0; }
        if (!wanted) { continue; }
        int before = test_failures;
        tests[i].run();
        printf("%-40s %s\n", tests[i].name, test_failures == before ? "ok" : "FAILED");
    }
    return test_failures ? 1 : 0;
}

#endif // TEST_H
