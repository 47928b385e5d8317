// schedule.h -- the learning rate of a step.
#ifndef LLMC_SCHEDULE_H
#define LLMC_SCHEDULE_H

// step counts from 0. Linear warm-up over `warmup` steps, then cosine or linear decay to final * lr at `steps`; wsd: constant up to
// 80 % of the steps, then final + (1 - final)(1 - sqrt(progress)); constant: lr throughout.
double scheduled_lr(const char* schedule, double lr, int warmup, double final, int step, int steps);

#endif // LLMC_SCHEDULE_H
