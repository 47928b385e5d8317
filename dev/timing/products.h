// products.h -- the matrix products of a linear layer one by one, beside OpenBLAS.
#ifndef DEV_TIMING_PRODUCTS_H
#define DEV_TIMING_PRODUCTS_H

#include "report.h"

// Measures and prints; into the report's file too, if it has one.
void products_measure(const Report* report, int rounds, int threads, int quick);

#endif // DEV_TIMING_PRODUCTS_H
