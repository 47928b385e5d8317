// guarded.h -- memory that notices who writes behind it.
#ifndef TEST_GUARDED_H
#define TEST_GUARDED_H

#include "test.h"

#include <math.h>
#include <stdlib.h>

// Memory exactly as large as promised, with a value behind it (and the sanitizer behind that).
static float* take(size_t count) {
    float* x = (float*)malloc(sizeof(float) * (count + 1));
    if (x == NULL) { abort(); }
    for (size_t i = 0; i < count; i++) { x[i] = NAN; } // nobody may count on what is in it
    x[count] = 42.0f;
    return x;
}

static void give_back(float* x, size_t count) {
    expect(x[count] == 42.0f);
    free(x);
}

#endif // TEST_GUARDED_H
