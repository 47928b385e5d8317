// attention_mma.cu -- see attention_mma.h: attention as FlashAttention-2 has it (Dao 2023), nothing of S in memory.
//
// A block of threads owns OWN queries (the forward, and dq) or OWN keys (dk and dv) of one head, a warp 16 of them, and walks over tiles
// of the others. What it multiplies stands in shared memory, HS channels a row, those beyond hs zero; a row is 16 bytes longer than that,
// so that eight rows meet different banks. Of a tile of S a lane holds rows g and g+8 and two columns of every eight (mma.cuh): a row is
// four lanes', and its largest and its sum are found by shuffles.
//
// A head of more than WIDEST channels has as many blocks as it has pieces of HS: each forms its own piece of the output, and goes over all of
// them for S, its own last, so that this is what then stands in shared memory.
#ifdef BF16
#include "attention_mma.h"
#include "device.cuh"
#include "mma.cuh"

#include <math.h>

enum { WARPS = 4, THREADS = WARPS * WARP, OWN = WARPS * 16, WIDEST = 128 }; // of HS the largest

template <int HS, int OTHERS> struct Tiles {
    static_assert(HS % 16 == 0 && OTHERS % 16 == 0 && OWN % OTHERS == 0, "whole fragments, and no tile half before, half past the diagonal");
    static constexpr int ROW = HS + 8, MINE = OWN * ROW, THEIRS = OTHERS * ROW; // in numbers
};
#define ATTENTION_TILES \
    typedef Tiles<HS, OTHERS> Sizes; \
    extern __shared__ float4 tiles[]; \
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, column = lane % 4 * 2, C3 = 3 * C; \
    int pieces = HS < WIDEST ? 1 : (hs + HS - 1) / HS, mine = blockIdx.y % pieces; \
    size_t number = blockIdx.y / pieces, head = number * hs, rows = (size_t)blockIdx.z * T, stats = ((size_t)blockIdx.z * (gridDim.y / pieces) + number) * T; \
    float scale = 1.0f / sqrtf((float)hs)

// tile = a piece of rows [first, first+ROWS) of x, zero past T and hs.
template <int HS, int ROWS> static __device__ void load_tile(Real* tile, const Real* x, int piece, int first, int T, int hs, int stride) {
    for (int i = threadIdx.x; i < ROWS * HS / 8; i += THREADS) {
        int r = i / (HS / 8), c = i % (HS / 8) * 8, channels = first + r < T ? hs - piece * HS - c : 0;
        const Real* from = x + (size_t)(first + r) * stride + piece * HS + c;
        Pack<WIDE> pack = {};
        if (hs % 8 == 0) {
            if (channels > 0) { pack = load<WIDE>(from); }
        } else {
            for (int k = 0; k < 8; k++) { if (k < channels) { pack.at[k] = from[k]; } }
        }
        store<WIDE>(tile + r * (HS + 8) + c, pack);
    }
}

template <int N> static __device__ void clear(float s[N / 8][4]) {
    for (int n = 0; n < N / 8; n++) { for (int i = 0; i < 4; i++) { s[n][i] = 0.0f; } }
}

// s (16,N) += rows [row, row+16) of a times the N rows of b, transposed
template <int HS, int N> static __device__ void add_rows_by_rows(float s[N / 8][4], const Real* a, int row, const Real* b) {
    int lane = threadIdx.x % WARP;
    const Real* a_row = a + (row + lane % 16) * (HS + 8) + lane / 16 * 8;
    const Real* b_row = b + (lane % 8 + lane / 16 * 8) * (HS + 8) + lane / 8 % 2 * 8;
    #pragma unroll
    for (int c = 0; c < HS; c += 16) {
        uint32_t p[4], q[4];
        load_matrices(p, a_row + c);
        #pragma unroll
        for (int n = 0; n < N / 8; n += 2) {
            load_matrices(q, b_row + n * 8 * (HS + 8) + c);
            mma_16x8x16(s[n], p, q);
            mma_16x8x16(s[n + 1], p, q + 2);
        }
    }
}

// out (16,HS) += s (16,N), rounded, times the N rows of b
template <int HS, int N> static __device__ void add_rows(float out[HS / 8][4], const float s[N / 8][4], const Real* b) {
    int lane = threadIdx.x % WARP;
    const Real* b_row = b + lane % 16 * (HS + 8) + lane / 16 * 8;
    #pragma unroll
    for (int n = 0; n < N / 8; n += 2) {
        uint32_t q[4];
        uint32_t p[4] = { pair_of(s[n][0], s[n][1]), pair_of(s[n][2], s[n][3]), pair_of(s[n + 1][0], s[n + 1][1]), pair_of(s[n + 1][2], s[n + 1][3]) };
        #pragma unroll
        for (int c = 0; c < HS / 8; c += 2) {
            load_matrices_turned(q, b_row + n * 8 * (HS + 8) + c * 8);
            mma_16x8x16(out[c], p, q);
            mma_16x8x16(out[c + 1], p, q + 2);
        }
    }
}

// Writes a piece of the warp's 16 rows, the first of them row `first` of `to`, by way of its rows of a tile that it alone still uses.
template <int HS> static __device__ void store_rows(Real* to, Real* tile, float own[HS / 8][4], int piece, int first, int T, int hs, int stride, const float factor[2]) {
    int lane = threadIdx.x % WARP, g = lane / 4;
    __syncwarp(); // the rows have been read, by whichever lanes do it for the warp
    for (int c = 0; c < HS / 8; c++) {
        for (int half = 0; half < 2; half++) {
            *(uint32_t*)(tile + (g + half * 8) * (HS + 8) + c * 8 + lane % 4 * 2) = pair_of(factor[half] * own[c][half * 2], factor[half] * own[c][half * 2 + 1]);
        }
    }
    __syncwarp(); // the rows are there
    for (int i = lane; i < 16 * HS / 8; i += WARP) {
        int r = i / (HS / 8), c = i % (HS / 8) * 8, channels = first + r < T ? hs - piece * HS - c : 0;
        Real* at = to + (size_t)(first + r) * stride + piece * HS + c;
        Pack<WIDE> pack = load<WIDE>(tile + r * (HS + 8) + c);
        if (hs % 8 == 0) {
            if (channels > 0) { store<WIDE>(at, pack); }
        } else {
            for (int k = 0; k < 8; k++) { if (k < channels) { at[k] = pack.at[k]; } }
        }
    }
}

// One more tile of keys for the softmax of the lane's two rows, of query `row` and of row+8: s becomes exp(scale s - top); sum, of the lane's
// own columns, and acc are scaled to the new top.
template <int HS, int KEYS> static __device__ void soften(float s[KEYS / 8][4], float acc[HS / 8][4], float top[2], float sum[2],
                                                          int row, int key, float scale) {
    for (int half = 0; half < 2; half++) {
        int query = row + half * 8;
        float largest = -INFINITY, before = top[half];
        for (int n = 0; n < KEYS / 8; n++) {
            for (int i = half * 2; i < half * 2 + 2; i++) {
                s[n][i] = key + n * 8 + i % 2 <= query ? s[n][i] * scale : -INFINITY;
                largest = fmaxf(largest, s[n][i]);
            }
        }
        top[half] = fmaxf(before, lanes_max<4>(largest)); // key 0 is every query's: no longer -infinity
        float factor = __expf(before - top[half]);
        sum[half] *= factor;
        for (int n = 0; n < KEYS / 8; n++) {
            for (int i = half * 2; i < half * 2 + 2; i++) {
                s[n][i] = __expf(s[n][i] - top[half]);
                sum[half] += s[n][i];
            }
        }
        for (int c = 0; c < HS / 8; c++) {
            acc[c][half * 2] *= factor;
            acc[c][half * 2 + 1] *= factor;
        }
    }
}

// The longest rows first, so that the last blocks are short. grid (T / OWN, NH * pieces, B), block (THREADS), shared: q, k and v
template <int HS, int OTHERS> static __global__ void __launch_bounds__(THREADS)
forward_kernel(Real* out, float* lse, const Real* qkv, int T, int C, int hs) {
    ATTENTION_TILES;
    Real *q = (Real*)tiles, *k = q + Sizes::MINE, *v = k + Sizes::THEIRS;
    const Real* base = qkv + rows * C3 + head;
    int first = (int)(gridDim.x - 1 - blockIdx.x) * OWN, begin = first + warp * 16, row = begin + lane / 4;
    float s[OTHERS / 8][4], acc[HS / 8][4] = {{0.0f}}, top[2] = { -INFINITY, -INFINITY }, sum[2] = { 0.0f, 0.0f };
    if (pieces == 1) { load_tile<HS, OWN>(q, base, 0, first, T, hs, C3); }
    for (int u = 0; u < min(first + OWN, T); u += OTHERS) {
        bool idle = u >= begin + 16 || begin >= T; // all past the warp's queries, or these past the last
        clear<OTHERS>(s);
        for (int i = 1; i <= pieces; i++) {
            int piece = (mine + i) % pieces;
            __syncthreads(); // the last tiles have been read
            if (pieces > 1) { load_tile<HS, OWN>(q, base, piece, first, T, hs, C3); }
            load_tile<HS, OTHERS>(k, base + C, piece, u, T, hs, C3);
            if (piece == mine) { load_tile<HS, OTHERS>(v, base + 2*C, piece, u, T, hs, C3); }
            __syncthreads(); // the tiles are there
            if (!idle) { add_rows_by_rows<HS, OTHERS>(s, q, warp * 16, k); }
        }
        if (idle) { continue; }
        soften<HS, OTHERS>(s, acc, top, sum, row, u + column, scale);
        add_rows<HS, OTHERS>(acc, s, v);
    }
    float factor[2];
    for (int half = 0; half < 2; half++) {
        int t = row + half * 8;
        sum[half] = lanes_sum<4>(sum[half]);
        factor[half] = t < T ? 1.0f / sum[half] : 0.0f;
        if (column == 0 && mine == 0 && t < T) { lse[stats + t] = top[half] + logf(sum[half]); }
    }
    store_rows<HS>(out + rows * C + head, q + warp * 16 * Sizes::ROW, acc, mine, begin, T, hs, C, factor);
}

// dq of a tile of queries: dq += dS k over the tiles of keys. grid (T / OWN, NH * pieces, B), block (THREADS), shared: q, dout, k and v
template <int HS, int OTHERS> static __global__ void __launch_bounds__(THREADS)
backward_queries_kernel(Real* dqkv, const Real* dout, const Real* qkv, const float* lse, const float* along, int T, int C, int hs) {
    ATTENTION_TILES;
    Real *q = (Real*)tiles, *d = q + Sizes::MINE, *k = d + Sizes::MINE, *v = k + Sizes::THEIRS;
    const Real *base = qkv + rows * C3 + head, *dhead = dout + rows * C + head;
    int first = (int)(gridDim.x - 1 - blockIdx.x) * OWN, begin = first + warp * 16, row = begin + lane / 4;
    float s[OTHERS / 8][4], dp[OTHERS / 8][4], dq[HS / 8][4] = {{0.0f}}, log_sum[2], a[2], factor[2] = { scale, scale };
    for (int half = 0; half < 2; half++) {
        int seen = min(row + half * 8, T - 1);
        log_sum[half] = lse[stats + seen];
        a[half] = along[stats + seen];
    }
    if (pieces == 1) {
        load_tile<HS, OWN>(q, base, 0, first, T, hs, C3);
        load_tile<HS, OWN>(d, dhead, 0, first, T, hs, C);
    }
    for (int u = 0; u < min(first + OWN, T); u += OTHERS) {
        bool idle = u >= begin + 16 || begin >= T; // all past the warp's queries, or these past the last
        clear<OTHERS>(s);
        clear<OTHERS>(dp);
        for (int i = 1; i <= pieces; i++) {
            int piece = (mine + i) % pieces;
            __syncthreads(); // the last tiles have been read
            if (pieces > 1) {
                load_tile<HS, OWN>(q, base, piece, first, T, hs, C3);
                load_tile<HS, OWN>(d, dhead, piece, first, T, hs, C);
            }
            load_tile<HS, OTHERS>(k, base + C, piece, u, T, hs, C3);
            load_tile<HS, OTHERS>(v, base + 2*C, piece, u, T, hs, C3);
            __syncthreads(); // the tiles are there
            if (idle) { continue; }
            add_rows_by_rows<HS, OTHERS>(s, q, warp * 16, k);
            add_rows_by_rows<HS, OTHERS>(dp, d, warp * 16, v);
        }
        if (idle) { continue; }
        for (int n = 0; n < OTHERS / 8; n++) {
            for (int i = 0; i < 4; i++) {
                bool seen = u + n * 8 + column + i % 2 <= row + i / 2 * 8;
                s[n][i] = seen ? __expf(scale * s[n][i] - log_sum[i / 2]) * (dp[n][i] - a[i / 2]) : 0.0f;
            }
        }
        add_rows<HS, OTHERS>(dq, s, k);
    }
    store_rows<HS>(dqkv + rows * C3 + head, q + warp * 16 * Sizes::ROW, dq, mine, begin, T, hs, C3, factor);
}

// dk and dv of a tile of keys: dv += P' dout and dk += dS' q over the tiles of queries; the rows of S are keys here.
// grid (T / OWN, NH * pieces, B), block (THREADS), shared: k, v, q and dout
template <int HS, int OTHERS> static __global__ void __launch_bounds__(THREADS)
backward_keys_kernel(Real* dqkv, const Real* dout, const Real* qkv, const float* lse, const float* along, int T, int C, int hs) {
    ATTENTION_TILES;
    Real *k = (Real*)tiles, *v = k + Sizes::MINE, *q = v + Sizes::MINE, *d = q + Sizes::THEIRS;
    const Real *base = qkv + rows * C3 + head, *dhead = dout + rows * C + head;
    Real* dkeys = dqkv + rows * C3 + head + C;
    int first = (int)blockIdx.x * OWN, begin = first + warp * 16, row = begin + lane / 4;
    float s[OTHERS / 8][4], dp[OTHERS / 8][4], dk[HS / 8][4] = {{0.0f}}, dv[HS / 8][4] = {{0.0f}};
    const float one[2] = { 1.0f, 1.0f }, factor[2] = { scale, scale };
    if (pieces == 1) {
        load_tile<HS, OWN>(k, base + C, 0, first, T, hs, C3);
        load_tile<HS, OWN>(v, base + 2*C, 0, first, T, hs, C3);
    }
    for (int t = first; t < T; t += OTHERS) {
        bool idle = t + OTHERS <= begin || begin >= T; // all before the warp's keys, or these past the last
        clear<OTHERS>(s);
        clear<OTHERS>(dp);
        for (int i = 1; i <= pieces; i++) {
            int piece = (mine + i) % pieces;
            __syncthreads(); // the last tiles have been read
            if (pieces > 1) {
                load_tile<HS, OWN>(k, base + C, piece, first, T, hs, C3);
                load_tile<HS, OWN>(v, base + 2*C, piece, first, T, hs, C3);
            }
            load_tile<HS, OTHERS>(q, base, piece, t, T, hs, C3);
            load_tile<HS, OTHERS>(d, dhead, piece, t, T, hs, C);
            __syncthreads(); // the tiles are there
            if (idle) { continue; }
            add_rows_by_rows<HS, OTHERS>(s, k, warp * 16, q);
            add_rows_by_rows<HS, OTHERS>(dp, v, warp * 16, d);
        }
        if (idle) { continue; }
        for (int n = 0; n < OTHERS / 8; n++) {
            for (int i = 0; i < 4; i++) {
                int query = t + n * 8 + column + i % 2, seen = min(query, T - 1);
                s[n][i] = query < T && row + i / 2 * 8 <= query ? __expf(scale * s[n][i] - lse[stats + seen]) : 0.0f;
                dp[n][i] = s[n][i] * (dp[n][i] - along[stats + seen]);
            }
        }
        add_rows<HS, OTHERS>(dv, s, d);
        add_rows<HS, OTHERS>(dk, dp, q);
    }
    store_rows<HS>(dkeys, k + warp * 16 * Sizes::ROW, dk, mine, begin, T, hs, C3, factor);
    store_rows<HS>(dkeys + C, v + warp * 16 * Sizes::ROW, dv, mine, begin, T, hs, C3, one);
}

// More than 48 KiB of shared memory has to be asked for.
template <class Kernel> static void allow_shared(Kernel kernel, size_t bytes) {
    CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));
}

template <int HS, int OTHERS> static void forward(Real* out, float* lse, const Real* qkv, int B, int T, int C, int NH) {
    typedef Tiles<HS, OTHERS> Sizes;
    size_t shared = sizeof(Real) * (Sizes::MINE + 2 * Sizes::THEIRS);
    dim3 grid(blocks_of((size_t)T, OWN), (unsigned)NH * blocks_of((size_t)(C / NH), HS), (unsigned)B);
    allow_shared(forward_kernel<HS, OTHERS>, shared);
    forward_kernel<HS, OTHERS><<<grid, THREADS, shared>>>(out, lse, qkv, T, C, C / NH);
    LAUNCHED();
}

template <int HS, int OTHERS> static void backward(Real* dqkv, const Real* dout, const Real* qkv, const float* lse, const float* along,
                                                   int B, int T, int C, int NH) {
    typedef Tiles<HS, OTHERS> Sizes;
    size_t shared = sizeof(Real) * (2 * Sizes::MINE + 2 * Sizes::THEIRS);
    dim3 grid(blocks_of((size_t)T, OWN), (unsigned)NH * blocks_of((size_t)(C / NH), HS), (unsigned)B);
    allow_shared(backward_queries_kernel<HS, OTHERS>, shared);
    backward_queries_kernel<HS, OTHERS><<<grid, THREADS, shared>>>(dqkv, dout, qkv, lse, along, T, C, C / NH);
    LAUNCHED();
    allow_shared(backward_keys_kernel<HS, OTHERS>, shared);
    backward_keys_kernel<HS, OTHERS><<<grid, THREADS, shared>>>(dqkv, dout, qkv, lse, along, T, C, C / NH);
    LAUNCHED();
}

void attention_mma_forward(Real* out, float* lse, const Real* qkv, int B, int T, int C, int NH) {
    if (C / NH <= 64) { forward<64, 64>(out, lse, qkv, B, T, C, NH); } else { forward<WIDEST, 64>(out, lse, qkv, B, T, C, NH); }
}

void attention_mma_backward(Real* dqkv, const Real* dout, const Real* qkv, const float* lse, const float* along, int B, int T, int C, int NH) {
    if (C / NH <= 64) { backward<64, 64>(dqkv, dout, qkv, lse, along, B, T, C, NH); }
    else { backward<WIDEST, 32>(dqkv, dout, qkv, lse, along, B, T, C, NH); }
}
#endif // BF16
