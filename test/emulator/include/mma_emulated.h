// mma_emulated.h -- llmc/mma.cuh without tensor cores: the lanes of a warp lay their fragments side by side, and each computes what is its
// own of the result. The layout is PTX's. Like the hardware's, neither function orders accesses to memory.
#ifndef EMU_MMA_EMULATED_H
#define EMU_MMA_EMULATED_H

#include <cuda_bf16.h>

namespace emu {

struct Fragments { uint32_t a[4], b[2]; };
inline Fragments fragments[1024]; // of each thread of the block

// The two numbers of a register; the lower half comes first.
EMU_INLINE float half_of(uint32_t word, int half) {
    __nv_bfloat16 x;
    x.bits = (uint16_t)(word >> 16 * half);
    return x;
}
// Element (row,k) of A, (k,col) of B, from the lanes that hold them.
EMU_INLINE float a_at(const Fragments* warp, int row, int k) { return half_of(warp[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2], k % 2); }
EMU_INLINE float b_at(const Fragments* warp, int k, int col) { return half_of(warp[col * 4 + k % 8 / 2].b[k / 8], k % 2); }

} // namespace emu

static EMU_INLINE void mma_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2], emu::Site site = emu::here()) {
    emu::Fragments* warp = emu::fragments + emu::running / 32 * 32;
    memcpy(warp[emu::lane()].a, a, 16);
    memcpy(warp[emu::lane()].b, b, 8);
    emu::warp_exchange("mma_16x8x16", ~0u, 0, emu::lane(), site); // all have come
    for (int i = 0; i < 4; i++) {
        int row = emu::lane() / 4 + i / 2 * 8, col = emu::lane() % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++) { d[i] += emu::a_at(warp, row, k) * emu::b_at(warp, k, col); }
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
