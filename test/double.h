// double.h -- put before a source file (gcc -include), it makes all its single precision double, so that finite
// differences show errors that rounding would hide.
#ifndef TEST_DOUBLE_H
#define TEST_DOUBLE_H

// What the system declares with float must have been read before.
#include <complex.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#undef I // of complex.h
#define float double
#define expf exp
#define logf log
#define sqrtf sqrt
#define fabsf fabs

#endif // TEST_DOUBLE_H
