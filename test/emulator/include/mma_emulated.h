// mma_emulated.h -- llmc/mma.cuh without tensor cores: the lanes of a warp lay their fragments side by side, and each computes what is its
// own of the result. The layout is PTX's. Like the hardware's, neither function orders accesses to memory.
#ifndef EMU_MMA_EMULATED_H
#define EMU_MMA_EMULATED_H

#include <cuda_bf16.h>

namespace emu {

// The factors of the product that a warp is about to make; B's columns are rows here.
struct Factors { float a[16][16], b[8][16]; };
inline Factors factors[32];

// The two numbers of a register, the lower half first.
EMU_INLINE void unpack(float to[2], uint32_t word) {
    __nv_bfloat16 x[2];
    memcpy(x, &word, sizeof(word));
    to[0] = x[0];
    to[1] = x[1];
}

} // namespace emu

static EMU_INLINE void mma_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2], emu::Site site = emu::here()) {
    emu::Factors& f = emu::factors[emu::running / 32];
    int g = emu::lane() / 4, t = emu::lane() % 4;
    for (int i = 0; i < 4; i++) { emu::unpack(&f.a[g + i % 2 * 8][2 * t + i / 2 * 8], a[i]); }
    for (int i = 0; i < 2; i++) { emu::unpack(&f.b[g][2 * t + i * 8], b[i]); }
    emu::warp_exchange("mma_16x8x16", ~0u, 0, emu::lane(), site); // all have come
    for (int i = 0; i < 4; i++) {
        const float *row = f.a[g + i / 2 * 8], *col = f.b[2 * t + i % 2];
        for (int k = 0; k < 16; k++) { d[i] += row[k] * col[k]; }
    }
    emu::warp_exchange("mma_16x8x16", ~0u, 0, emu::lane(), site); // all have read
}

// Row r of matrix i is where lane 8i + r points to.
static EMU_INLINE void load_matrices(uint32_t to[4], const void* row, emu::Site site = emu::here()) {
    for (int i = 0; i < 4; i++) {
        const uint32_t* from = emu::shuffle("load_matrices", ~0u, (const uint32_t*)row, i * 8 + emu::lane() / 4, site);
        to[i] = from[emu::lane() % 4];
    }
}
static EMU_INLINE void load_matrices_turned(uint32_t to[4], const void* row, emu::Site site = emu::here()) {
    for (int i = 0; i < 4; i++) {
        uint32_t pair = 0;
        for (int half = 0; half < 2; half++) {
            int source = i * 8 + emu::lane() % 4 * 2 + half;
            const uint16_t* from = emu::shuffle("load_matrices_turned", ~0u, (const uint16_t*)row, source, site);
            pair |= (uint32_t)from[emu::lane() / 4] << 16 * half;
        }
        to[i] = pair;
    }
}

#endif // EMU_MMA_EMULATED_H
