// mma.cuh -- tensor cores: products of small bfloat16 matrices that the 32 lanes of a warp hold together, a few elements each.
//
// With g = lane / 4 and t = lane % 4, a lane holds of A (16,16), a register two neighbouring columns:
//     a[0]: row g, columns 2t and 2t+1     a[1]: row g+8     a[2]: row g, columns 2t+8 and 2t+9     a[3]: row g+8, these columns
// of B (16,8):  b[0]: rows 2t and 2t+1 of column g     b[1]: rows 2t+8 and 2t+9
// of D (16,8):  d[0], d[1]: row g, columns 2t and 2t+1     d[2], d[3]: row g+8
// So two neighbouring Ds, rounded, are an A: the result of one product is a factor of the next without leaving its lane.
#ifndef LLMC_MMA_CUH
#define LLMC_MMA_CUH

#include <cuda_bf16.h>
#include <stdint.h>
#include <string.h>

#ifndef __CUDACC__
#include <mma_emulated.h> // the three functions below in C++; see test/emulator/
#else

// D += A B
static __device__ inline void mma_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8 x 8 matrices from shared memory; lane 8i + r says where row r of the i-th begins, on 16 bytes. A lane gets of each, in to[i],
// row g, columns 2t and 2t+1; turned: column g, rows 2t and 2t+1.
static __device__ inline void load_matrices(uint32_t to[4], const void* row) {
    uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(at) : "memory");
}
static __device__ inline void load_matrices_turned(uint32_t to[4], const void* row) {
    uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(at) : "memory");
}

#endif

// Two numbers rounded into one register, x in its lower half.
static __device__ inline uint32_t pair_of(float x, float y) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(x, y);
    uint32_t word;
    memcpy(&word, &pair, sizeof(word));
    return word;
}

#endif // LLMC_MMA_CUH
