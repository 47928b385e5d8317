// trainer.c -- the trainer's text without its main, and its functions under the clock.
#include "worker.h"

#pragma GCC diagnostic ignored "-Wunused-function" // not all of the trainer is called here
#define TESTING
#include "../../train_gpt2_drpt.c"
#include "operations.h"

Part trainer_part(int i) { return (Part){ operations[i].name, operations[i].work }; }

static double step_ms(Run* run, int step) {
    double began = seconds_now();
    train_step(run, step);
    return 1e3 * (seconds_now() - began);
}

static double operation_ms(Step* s, int operation) {
    double began = seconds_now();
    run_operation(s, operation);
    return 1e3 * (seconds_now() - began);
}

static void answer_steps(FILE* out, Run* run, int* step, int count) {
    double ms[MOST_ROUNDS];
    check(count <= MOST_ROUNDS, "%d steps in a turn", count);
    for (int i = 0; i < count; i++) { ms[i] = step_ms(run, (*step)++); }
    fprintf(out, "%.9g\n", median(ms, count));
}

static void answer_parts(FILE* out, Run* run, int* step, int passes) {
    double ms[NUM_PARTS + 1][MOST_ROUNDS];
    const Batch* b = &run->batch;
    Step s = step_of(run, b->inputs, b->targets, b->weight, gpt2_config(run->model)->vocab_size);
    check(passes <= MOST_ROUNDS, "%d passes", passes);
    for (int p = 0; p < passes; p++) {
        ms[0][p] = step_ms(run, (*step)++);
        for (int i = 0; i < NUM_PARTS; i++) { ms[1 + i][p] = operation_ms(&s, i); }
    }
    for (int i = 0; i <= NUM_PARTS; i++) { fprintf(out, "%.9g\n", median(ms[i], passes)); }
}

void trainer_serve(FILE* in, FILE* out, const void* job) {
    Run run;
    int step = 0;
    trainer_open(&run, job);
    for (int count; fscanf(in, "%d", &count) == 1 && count != 0; ) {
        if (count > 0) { answer_steps(out, &run, &step, count); } else { answer_parts(out, &run, &step, -count); }
    }
    run_close(&run);
}
