// table.cuh -- tables of inner products on the device, and how they add up to the statistics; cf. gram.h, whose vectors they are.
#ifndef DRPT_TABLE_CUH
#define DRPT_TABLE_CUH

#include "gram.h"

// Blocks of a kernel add to tables of their own, so that nobody waits and the order of each sum is fixed: what block `p` finds of
// <x_i, x_j>, i <= j, is added to partial[(p * V + i) * V + j]. V: vectors, the last of them, with a metric, the target in that metric.
typedef struct { double* partial; int V, pieces; } Table;

// All zero. What is added to it will be added to the statistics by gather_end(), as gram_to_statistics() does, and with a metric the products
// with the last vector to score.
Table table_open(const Gather* g, const Statistics* statistics, int V);

// Adds the products of vectors i >= first with all j that are neither below i nor below `from`. x_i: `length` floats at
// x + (i - first) * step.
void table_add(Table table, const float* x, size_t step, size_t length, int first, int from);

#endif // DRPT_TABLE_CUH
