// schedule.c -- the learning rate of a step.
#include "schedule.h"

#include <math.h>
#include <string.h>

double scheduled_lr(const char* schedule, double lr, int warmup, double final, int step, int steps) {
    if (strcmp(schedule, "constant") == 0) { return lr; }
    if (step < warmup) { return lr * (step + 1) / warmup; }
    int wsd = strcmp(schedule, "wsd") == 0;
    double begin = wsd ? fmax(0.8 * steps, warmup) : warmup;
    if (step < begin || steps <= begin) { return lr; }
    double progress = (step - begin) / (steps - begin);
    double left = wsd ? 1.0 - sqrt(progress)
                : strcmp(schedule, "linear") == 0 ? 1.0 - progress
                : 0.5 * (1.0 + cos(3.14159265358979323846 * progress));
    return lr * (final + (1.0 - final) * left);
}
