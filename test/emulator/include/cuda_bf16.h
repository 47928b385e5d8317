// cuda_bf16.h -- bfloat16 as the trainer uses it: the upper half of a float, rounded to the nearest, to even between two.
#ifndef EMU_CUDA_BF16_H
#define EMU_CUDA_BF16_H

#include <fenv.h>

#include "cuda_runtime.h"

struct __nv_bfloat16 {
    uint16_t bits;

    __nv_bfloat16() = default;
    // NaN stays one: rounding its bits could carry into the exponent and beyond.
    __nv_bfloat16(float x) {
        uint32_t word;
        memcpy(&word, &x, sizeof(word));
        bits = x != x ? 0x7fff : (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
    }
    // Reading what was never written is a fault by itself, as the float that comes of it may be thrown away or rounded again.
    operator float() const {
        uint32_t word = (uint32_t)bits << 16;
        float x;
        if ((bits & 0x7fc0) == 0x7f80 && (bits & 0x3f)) { feraiseexcept(FE_INVALID); } // a signalling NaN
        memcpy(&x, &word, sizeof(x));
        return x;
    }
};

struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }

#endif // EMU_CUDA_BF16_H
