// rollouts.h -- sampling beside a forward pass of as many rows.
#ifndef DEV_TIMING_ROLLOUTS_H
#define DEV_TIMING_ROLLOUTS_H

#include "report.h"

// Measures and prints; into the report's file too, if it has one.
void rollouts_measure(const Report* report, int rounds, int threads, int quick);

#endif // DEV_TIMING_ROLLOUTS_H
