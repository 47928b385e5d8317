// trainer.h -- the trainer as a contender of a measurement: its own steps, and the operations they consist of.
#ifndef DEV_TIMING_TRAINER_H
#define DEV_TIMING_TRAINER_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct Run;

// A run on random rows of T tokens, the last `trained` of which are trained on.
typedef struct {
    const char* init;          // sizes of the model, as --init takes them
    int T, trained, threads;
    const char* options;       // of the trainer's regularizer: "--method cone --ridge 0.1"
    int n, m;                  // general and target rows of a step
} TrainerJob;

// Multiply-adds of an operation, in FLOP: `blocks` times N 12 L C^2, `head` times N V C, `attention` times N L T C.
typedef struct { double blocks, head, attention; } Work;

enum { NUM_PARTS = 16 };
typedef struct {
    const char* name;
    Work work;                 // zero: no products to speak of
} Part;
Part trainer_part(int i);

// Three products of 2 FLOP (forward, input gradient, weight gradient) for each matrix of a block and for the head; attention's
// two products forward and four backward, over half of the pairs of positions.
double trainer_step_flops(const TrainerJob* job);
double trainer_flops(const TrainerJob* job, Work work);

// In bytes: weights, gradients and two moments; what the backward needs of the forward.
double trainer_parameter_bytes(const TrainerJob* job);
double trainer_activation_bytes(const TrainerJob* job);

// For worker.h; job: a TrainerJob. A number of steps is answered with their median in milliseconds. A negative
// number -p asks for p passes, each of a whole step and then each of its operations alone, and is answered
// with NUM_PARTS + 1 medians, the step's first.
void trainer_serve(FILE* in, FILE* out, const void* job);

// Opens a run of the job (drpt/run.h), ready for its first step.
void trainer_open(struct Run* run, const TrainerJob* job);

// The sizes of the model: layers, heads, channels, vocabulary, context.
void trainer_sizes(const TrainerJob* job, int sizes[5]);

#ifdef __cplusplus
}
#endif

#endif // DEV_TIMING_TRAINER_H
