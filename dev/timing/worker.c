// worker.c -- processes that answer questions through pipes.
#include "worker.h"
#include "../../llmc/check.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 40 }; // between turns: the threads of OpenBLAS spin for some 25 ms after their work before they sleep

typedef struct { int read, write; } Pipe;

static Pipe pipe_open(void) {
    int end[2];
    check(pipe(end) == 0, "no pipe to another process: %s", strerror(errno));
    for (int i = 0; i < 2; i++) { fcntl(end[i], F_SETFD, FD_CLOEXEC); }
    return (Pipe){ end[0], end[1] };
}

// In the child: its standard output becomes `to`, or nothing.
static void redirect_output(int to) {
    int nothing = to < 0 ? open("/dev/null", O_WRONLY) : -1;
    if (dup2(to < 0 ? nothing : to, STDOUT_FILENO) < 0) { _exit(EXIT_FAILURE); }
}

static void run_program(char* const argv[], int threads, Pipe in, Pipe out) {
    char count[16];
    snprintf(count, sizeof(count), "%d", threads);
    setenv("OMP_NUM_THREADS", count, 1);
    setenv("OPENBLAS_NUM_THREADS", count, 1);
    if (dup2(in.read, STDIN_FILENO) < 0) { _exit(EXIT_FAILURE); }
    redirect_output(out.write);
    execvp(argv[0], argv);
    _exit(EXIT_FAILURE);
}

// serve() ends with _exit: what the parent registered for its own end is not the child's to do.
static void run_serve(void (*serve)(FILE* in, FILE* out, const void* job), const void* job, Pipe in, Pipe out) {
    close(in.write);
    close(out.read);
    FILE *questions = fdopen(in.read, "r"), *answers = fdopen(out.write, "w");
    if (!questions || !answers) { _exit(EXIT_FAILURE); }
    setvbuf(answers, NULL, _IOLBF, BUFSIZ);
    redirect_output(-1);
    serve(questions, answers, job);
    fflush(answers);
    _exit(EXIT_SUCCESS);
}

// Returns in the parent with pid > 0, in the child with pid = 0.
static Worker split(const char* name, Pipe* in, Pipe* out) {
    Worker w = { .name = name };
    *in = pipe_open();
    *out = pipe_open();
    fflush(NULL);
    signal(SIGPIPE, SIG_IGN); // a worker that ended is noticed when its answer is missing
    w.pid = fork();
    check(w.pid >= 0, "no process for %s: %s", name, strerror(errno));
    if (w.pid == 0) { return w; }
    close(in->read);
    close(out->write);
    w.questions = fdopen(in->write, "w");
    w.answers = fdopen(out->read, "r");
    check(w.questions && w.answers, "no pipe to %s: %s", name, strerror(errno));
    return w;
}

Worker worker_start(const char* name, void (*serve)(FILE* in, FILE* out, const void* job), const void* job) {
    Pipe in, out;
    Worker w = split(name, &in, &out);
    if (w.pid == 0) { run_serve(serve, job, in, out); }
    return w;
}

Worker worker_start_program(const char* name, char* const argv[], int threads) {
    Pipe in, out;
    Worker w = split(name, &in, &out);
    if (w.pid == 0) { run_program(argv, threads, in, out); }
    w.optional = 1;
    return w;
}

double worker_stop(Worker* w) {
    struct rusage usage;
    int status;
    if (w->pid == 0) { return NAN; }
    fclose(w->questions);
    fclose(w->answers);
    pid_t ended = wait4(w->pid, &status, 0, &usage);
    w->pid = 0;
    if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        check(w->optional, "%s: ended with an error", w->name);
        return NAN;
    }
    #ifdef __APPLE__
    return (double)usage.ru_maxrss / (1 << 20); // there in bytes, elsewhere in KiB
    #else
    return (double)usage.ru_maxrss / 1024;
    #endif
}

void worker_send(Worker* w, const char* line) {
    if (w->pid == 0) { return; }
    fprintf(w->questions, "%s\n", line);
    fflush(w->questions);
}

int worker_text(Worker* w, char* text, size_t size) {
    if (w->pid == 0) { return 0; }
    if (fgets(text, (int)size, w->answers)) {
        text[strcspn(text, "\n")] = '\0';
        return 1;
    }
    check(w->optional, "%s: ended without an answer", w->name);
    worker_stop(w);
    return 0;
}

double worker_number(Worker* w) {
    char text[64], *end;
    if (!worker_text(w, text, sizeof(text))) { return NAN; }
    double x = strtod(text, &end);
    check(end != text && *end == '\0', "%s: answered '%s', which is no number", w->name, text);
    return x;
}

// Every other round in the opposite order: nobody always follows the same neighbour.
void workers_take_turns(Worker* w, int count, int rounds) {
    const struct timespec pause = { 0, PAUSE_MS * 1000000L };
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < count; i++) {
            Worker* next = &w[r % 2 ? count - 1 - i : i];
            nanosleep(&pause, NULL);
            worker_send(next, next->request);
            next->sample[r] = worker_number(next);
        }
    }
}

static int compare(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

// NAN as soon as one of them is: a contender without all its turns has no result.
double median(const double* x, int n) {
    double sorted[MOST_ROUNDS];
    check(n > 0 && n <= MOST_ROUNDS, "a median of %d numbers", n);
    for (int i = 0; i < n; i++) {
        if (isnan(x[i])) { return NAN; }
        sorted[i] = x[i];
    }
    qsort(sorted, (size_t)n, sizeof(double), compare);
    return (sorted[n / 2] + sorted[(n - 1) / 2]) / 2;
}

double median_ratio(const double* x, const double* y, int n) {
    double ratio[MOST_ROUNDS];
    check(n <= MOST_ROUNDS, "a median of %d ratios", n);
    for (int i = 0; i < n; i++) { ratio[i] = x[i] / y[i]; }
    return median(ratio, n);
}
