// worker.h -- contenders of a measurement, each in a process of its own, that work in turns.
//
// A process answers each line it reads with one number. It waits between its turns, so that only one contender
// runs at a time and what else happens on the machine hits all alike.
#ifndef DEV_TIMING_WORKER_H
#define DEV_TIMING_WORKER_H

#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MOST_ROUNDS = 99 };

typedef struct {
    const char* name;
    int optional;                // 1: may end early, and then has no numbers; else that ends the program
    pid_t pid;                   // 0: it did not start, or ended
    FILE *questions, *answers;
    char request[64];            // what a turn asks for, a line
    double sample[MOST_ROUNDS];  // the answers to it, one a round; NAN: none
} Worker;

// A process that runs serve(in, out, job) and ends. What it prints to the standard output is dropped.
Worker worker_start(const char* name, void (*serve)(FILE* in, FILE* out, const void* job), const void* job);
// A program that reads its standard input and answers on its standard output; optional. argv[0] is looked up in PATH.
Worker worker_start_program(const char* name, char* const argv[], int threads);
// Ends it and returns the most memory that it held at a time, in MiB. Who started last is stopped first: later processes
// hold the ends of earlier pipes open.
double worker_stop(Worker* w);

void worker_send(Worker* w, const char* line);
double worker_number(Worker* w);                        // the next answer
int worker_text(Worker* w, char* text, size_t size);    // or as it stands; 0 if there is none

// Each worker answers its request once a round.
void workers_take_turns(Worker* w, int count, int rounds);

double median(const double* x, int n);
// Of x[i] / y[i], the pairs of each round.
double median_ratio(const double* x, const double* y, int n);

#ifdef __cplusplus
}
#endif

#endif // DEV_TIMING_WORKER_H
