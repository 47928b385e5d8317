// gather.h -- the routes of the statistics one by one, and which one the cost model takes.
#ifndef DEV_TIMING_GATHER_H
#define DEV_TIMING_GATHER_H

#include "report.h"

// Measures and prints; into the report's file too, if it has one.
void gather_measure(const Report* report, int rounds, int threads, int quick);

#endif // DEV_TIMING_GATHER_H
