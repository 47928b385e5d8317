// train_gpt2_drpt.cu -- the GPU twin of train_gpt2_drpt.c: the same functions in the same order, kernels instead of loops.
//
// The formulas stand there. Here stands what is new: which thread owns what, and what a block shares. Nothing that feeds a weight is
// added to by atomics, so that equal runs give equal bits. All work is on one stream, in the order of the calls.
#include "llmc/gpt2_tensors.h"
#include "drpt/drpt.h"
#include "drpt/gpt2.h"
#include "drpt/run.h"
#include "llmc/attention_mma.h"
#include "llmc/config.h"
#include "llmc/device.h"
#include "llmc/device.cuh"
#include "llmc/gpt2_init.h"
#include "llmc/matmul.h"
#include "llmc/optimizer.h"
#include "llmc/product.cuh"

#include <math.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// Layers.

enum { THREADS = 256, WARPS = 4 }; // of a block: one thread an element; one warp a row

// The hardware's e^x, to some 2^-21; like the CPU's it ends at +-87, and NaN stays NaN.
static __device__ float fast_exp(float x) {
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    return __expf(x);
}

// W neighbouring channels a thread. grid (NC / W / THREADS), block (THREADS)
template <int W> static __global__ void encoder_forward_kernel(Real* out, const int* tokens, const Real* wte, const Real* wpe, size_t NC, int T, int C) {
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * W;
    if (i >= NC) { return; }
    size_t n = i / C, c = i % C;
    Pack<W> token = load<W>(wte + (size_t)tokens[n] * C + c), position = load<W>(wpe + n % T * C + c), sum;
    for (int k = 0; k < W; k++) { sum.at[k] = (Real)((float)token.at[k] + (float)position.at[k]); }
    store<W>(out + i, sum);
}

static void encoder_forward(Real* out, const int* tokens, const Real* wte, const Real* wpe, int B, int T, int C) {
    size_t NC = (size_t)B * T * C;
    if (C % WIDE == 0) { encoder_forward_kernel<WIDE><<<blocks_of(NC / WIDE, THREADS), THREADS>>>(out, tokens, wte, wpe, NC, T, C); }
    else { encoder_forward_kernel<1><<<blocks_of(NC, THREADS), THREADS>>>(out, tokens, wte, wpe, NC, T, C); }
    LAUNCHED();
}

// One warp a row: of every 32 W channels a lane takes W. grid (N / WARPS), block (WARP, WARPS)
template <int W> static __global__ void layernorm_forward_kernel(Real* out, float* mean, float* rstd,
                                                                 const Real* inp, const Real* weight, const Real* bias, int N, int C) {
    int n = blockIdx.x * WARPS + threadIdx.y, first = threadIdx.x * W;
    if (n >= N) { return; }
    const Real* x = inp + (size_t)n * C;
    float sum = 0.0f, squares = 0.0f;
    for (int c = first; c < C; c += WARP * W) {
        Pack<W> xs = load<W>(x + c);
        for (int k = 0; k < W; k++) { sum += (float)xs.at[k]; }
    }
    float m = warp_sum(sum) / C;
    for (int c = first; c < C; c += WARP * W) {
        Pack<W> xs = load<W>(x + c);
        for (int k = 0; k < W; k++) { squares += ((float)xs.at[k] - m) * ((float)xs.at[k] - m); }
    }
    float r = 1.0f / sqrtf(warp_sum(squares) / C + 1e-5f);
    for (int c = first; c < C; c += WARP * W) {
        Pack<W> xs = load<W>(x + c), w = load<W>(weight + c), b = load<W>(bias + c), y;
        for (int k = 0; k < W; k++) { y.at[k] = (Real)(((float)xs.at[k] - m) * r * (float)w.at[k] + (float)b.at[k]); }
        store<W>(out + (size_t)n * C + c, y);
    }
    if (threadIdx.x == 0) {
        mean[n] = m;
        rstd[n] = r;
    }
}

static void layernorm_forward(Real* out, float* mean, float* rstd,
                              const Real* inp, const Real* weight, const Real* bias, int N, int C) {
    dim3 grid(blocks_of((size_t)N, WARPS)), block(WARP, WARPS);
    if (C % WIDE == 0) { layernorm_forward_kernel<WIDE><<<grid, block>>>(out, mean, rstd, inp, weight, bias, N, C); }
    else { layernorm_forward_kernel<1><<<grid, block>>>(out, mean, rstd, inp, weight, bias, N, C); }
    LAUNCHED();
}

// One warp a row. grid (N / WARPS), block (WARP, WARPS)
template <int W> static __global__ void layernorm_backward_input_kernel(Real* dinp, const Real* dstream, const Real* dout, const Real* inp, const Real* weight,
                                                                        const float* mean, const float* rstd, int N, int C) {
    int n = blockIdx.x * WARPS + threadIdx.y, first = threadIdx.x * W;
    if (n >= N) { return; }
    const Real* x = inp + (size_t)n * C;
    const Real* past = dstream ? dstream + (size_t)n * C : NULL;
    const Real* dy = dout + (size_t)n * C;
    Real* dx = dinp + (size_t)n * C;
    float m = mean[n], r = rstd[n], average = 0.0f, along = 0.0f;
    for (int c = first; c < C; c += WARP * W) {
        Pack<W> xs = load<W>(x + c), dys = load<W>(dy + c), w = load<W>(weight + c);
        for (int k = 0; k < W; k++) {
            float d = (float)dys.at[k] * (float)w.at[k];
            average += d;
            along += d * ((float)xs.at[k] - m) * r;
        }
    }
    average = warp_sum(average) / C;
    along = warp_sum(along) / C;
    for (int c = first; c < C; c += WARP * W) {
        Pack<W> xs = load<W>(x + c), dys = load<W>(dy + c), w = load<W>(weight + c), dxs = past ? load<W>(past + c) : Pack<W>{};
        for (int k = 0; k < W; k++) {
            float d = (float)dys.at[k] * (float)w.at[k];
            dxs.at[k] = (Real)((float)dxs.at[k] + r * (d - average - ((float)xs.at[k] - m) * r * along));
        }
        store<W>(dx + c, dxs);
    }
}

static void layernorm_backward_input(Real* dinp, const Real* dstream, const Real* dout, const Real* inp, const Real* weight,
                                     const float* mean, const float* rstd, int N, int C) {
    dim3 grid(blocks_of((size_t)N, WARPS)), block(WARP, WARPS);
    if (C % WIDE == 0) { layernorm_backward_input_kernel<WIDE><<<grid, block>>>(dinp, dstream, dout, inp, weight, mean, rstd, N, C); }
    else { layernorm_backward_input_kernel<1><<<grid, block>>>(dinp, dstream, dout, inp, weight, mean, rstd, N, C); }
    LAUNCHED();
}

// Attention without tensor cores; llmc/attention_mma.cu is what bf16 has. A block of threads owns TILE queries (the forward, and dq) or TILE keys (dk and dv) of one head, and walks over the
// tiles of the others: S is never longer than a tile is wide. What it reads stands in shared memory, HS channels a row, those beyond hs
// zero; a row is 4 floats longer than that, so that the 128-bit reads of neighbouring rows meet different banks.
//
// A head of more than WIDEST channels has as many blocks as it has pieces of HS: each forms its own piece of the output, and goes over all of
// them for S, its own last, so that this is what then stands in shared memory.
//
// The threads form a square of ACROSS columns and TILE/4 rows. Thread (x,y) owns of a tile of S the rows y*4 .. y*4+3 and the columns
// x + ACROSS*k, and of an output (TILE,HS) the same rows and columns: that is what it keeps in registers. The ACROSS threads of a row
// are half a warp, so that a row's largest and its sum are found by shuffles.
enum { ACROSS = 16, OWN = 4, WIDEST = 128 }; // of HS the largest
#if defined(BF16) && !defined(PLAIN_ATTENTION)
static constexpr bool TENSOR_CORES = true;
#else
static constexpr bool TENSOR_CORES = false;
#endif

template <int HS, int TILE> struct AttentionTile {
    static_assert(TILE % ACROSS == 0 && HS % ACROSS == 0 && HS % 4 == 0, "every thread owns as much as any other");
    static constexpr int ROW = HS + 4, SIZE = TILE * ROW;      // of q, k, v, dout: floats
    static constexpr int S_ROW = TILE + 4, S_SIZE = TILE * S_ROW;
    static constexpr int DOWN = TILE / OWN, KEYS = TILE / ACROSS, CHANNELS = HS / ACROSS;
};
#define ATTENTION_TILE \
    typedef AttentionTile<HS, TILE> A; \
    int x = threadIdx.x, y = threadIdx.y, C3 = 3 * C, first = blockIdx.x * TILE; \
    int pieces = HS < WIDEST ? 1 : (hs + HS - 1) / HS, mine = blockIdx.y % pieces; \
    size_t number = blockIdx.y / pieces, head = number * hs, row = (size_t)blockIdx.z * T, stats = ((size_t)blockIdx.z * (gridDim.y / pieces) + number) * T; \
    float scale = 1.0f / sqrtf((float)hs)

// tile = scale times a piece of rows [first, first+TILE) of x, zero past T and hs.
template <int HS, int TILE> static __device__ void load_tile(float* tile, const Real* x, int piece, int first, int T, int hs, int stride, float scale) {
    typedef AttentionTile<HS, TILE> A;
    for (int i = threadIdx.y * ACROSS + threadIdx.x; i < TILE * HS; i += ACROSS * A::DOWN) {
        int r = i / HS, c = i % HS, channel = piece * HS + c;
        tile[r * A::ROW + c] = first + r < T && channel < hs ? scale * (float)x[(size_t)(first + r) * stride + channel] : 0.0f;
    }
}

template <int HS, int TILE> static __device__ void clear(float s[OWN][AttentionTile<HS, TILE>::KEYS]) {
    for (int i = 0; i < OWN; i++) { for (int k = 0; k < AttentionTile<HS, TILE>::KEYS; k++) { s[i][k] = 0.0f; } }
}

// s[i][k] += <row y*4+i of a, row x+16*k of b>
template <int HS, int TILE> static __device__ void add_rows_by_rows(float s[OWN][AttentionTile<HS, TILE>::KEYS], const float* a, const float* b) {
    typedef AttentionTile<HS, TILE> A;
    #pragma unroll 4
    for (int c = 0; c < HS; c += 4) {
        float4 p[OWN];
        for (int i = 0; i < OWN; i++) { p[i] = *(const float4*)(a + (threadIdx.y * OWN + i) * A::ROW + c); }
        for (int k = 0; k < A::KEYS; k++) {
            float4 q = *(const float4*)(b + (threadIdx.x + ACROSS * k) * A::ROW + c);
            for (int i = 0; i < OWN; i++) { s[i][k] += p[i].x * q.x + p[i].y * q.y + p[i].z * q.z + p[i].w * q.w; }
        }
    }
}

// out[i][w] += sum_j s[row y*4+i][j] b[row j][channel x+16*w]
template <int HS, int TILE> static __device__ void add_rows(float out[OWN][AttentionTile<HS, TILE>::CHANNELS], const float* s, const float* b) {
    typedef AttentionTile<HS, TILE> A;
    for (int j = 0; j < TILE; j += 4) {
        float4 p[OWN];
        for (int i = 0; i < OWN; i++) { p[i] = *(const float4*)(s + (threadIdx.y * OWN + i) * A::S_ROW + j); }
        for (int w = 0; w < A::CHANNELS; w++) {
            const float* v = b + j * A::ROW + threadIdx.x + ACROSS * w;
            float v0 = v[0], v1 = v[A::ROW], v2 = v[2 * A::ROW], v3 = v[3 * A::ROW];
            for (int i = 0; i < OWN; i++) { out[i][w] += p[i].x * v0 + p[i].y * v1 + p[i].z * v2 + p[i].w * v3; }
        }
    }
}

// The tile of S, as others will read it.
template <int HS, int TILE> static __device__ void share(float* to, float s[OWN][AttentionTile<HS, TILE>::KEYS]) {
    typedef AttentionTile<HS, TILE> A;
    for (int i = 0; i < OWN; i++) {
        for (int k = 0; k < A::KEYS; k++) { to[(threadIdx.y * OWN + i) * A::S_ROW + threadIdx.x + ACROSS * k] = s[i][k]; }
    }
}

// Writes the channels that the thread owns of a piece of rows [first, first+TILE).
template <int HS, int TILE> static __device__ void store_tile(Real* to, float own[OWN][AttentionTile<HS, TILE>::CHANNELS],
                                                              int piece, int first, int T, int hs, int stride, float scale) {
    typedef AttentionTile<HS, TILE> A;
    for (int i = 0; i < OWN; i++) {
        int t = first + threadIdx.y * OWN + i;
        for (int w = 0, c = piece * HS + threadIdx.x; t < T && c < hs && w < A::CHANNELS; w++, c += ACROSS) { to[(size_t)t * stride + c] = (Real)(scale * own[i][w]); }
    }
}

// grid (T / TILE, NH * pieces, B), block (ACROSS, TILE / OWN), shared: q, k, v and S
template <int HS, int TILE> static __global__ void attention_forward_kernel(Real* out, float* lse, const Real* qkv, int T, int C, int hs) {
    ATTENTION_TILE;
    extern __shared__ float4 tiles[];
    float *q = (float*)tiles, *k = q + A::SIZE, *v = k + A::SIZE, *P = v + A::SIZE;
    const Real* base = qkv + row * C3 + head;
    float s[OWN][A::KEYS], acc[OWN][A::CHANNELS] = {{0.0f}}, largest[OWN], sum[OWN];
    for (int i = 0; i < OWN; i++) { largest[i] = -INFINITY; sum[i] = 0.0f; }
    if (pieces == 1) { load_tile<HS, TILE>(q, base, 0, first, T, hs, C3, scale); }
    for (int u = 0; u <= first; u += TILE) {
        clear<HS, TILE>(s);
        for (int i = 1; i <= pieces; i++) {
            int piece = (mine + i) % pieces;
            __syncthreads(); // the last tiles have been read
            if (pieces > 1) { load_tile<HS, TILE>(q, base, piece, first, T, hs, C3, scale); }
            load_tile<HS, TILE>(k, base + C, piece, u, T, hs, C3, 1.0f);
            if (piece == mine) { load_tile<HS, TILE>(v, base + 2*C, piece, u, T, hs, C3, 1.0f); }
            __syncthreads();
            add_rows_by_rows<HS, TILE>(s, q, k);
        }
        for (int i = 0; i < OWN; i++) {
            int t = first + y * OWN + i;
            float top = largest[i], added = 0.0f;
            for (int j = 0; j < A::KEYS; j++) { if (u + x + ACROSS * j <= t) { top = fmaxf(top, s[i][j]); } }
            top = lanes_max<ACROSS>(top);
            for (int j = 0; j < A::KEYS; j++) {
                s[i][j] = u + x + ACROSS * j <= t ? fast_exp(s[i][j] - top) : 0.0f;
                added += s[i][j];
            }
            float factor = fast_exp(largest[i] - top);
            sum[i] = sum[i] * factor + lanes_sum<ACROSS>(added);
            largest[i] = top;
            for (int w = 0; w < A::CHANNELS; w++) { acc[i][w] *= factor; }
        }
        share<HS, TILE>(P, s);
        __syncthreads(); // all of P is there
        add_rows<HS, TILE>(acc, P, v);
    }
    for (int i = 0; i < OWN; i++) {
        int t = first + y * OWN + i;
        for (int w = 0; w < A::CHANNELS; w++) { acc[i][w] /= sum[i]; }
        if (x == 0 && mine == 0 && t < T) { lse[stats + t] = largest[i] + logf(sum[i]); }
    }
    store_tile<HS, TILE>(out + row * C + head, acc, mine, first, T, hs, C, 1.0f);
}

// along (B,NH,T) = dout . out of each query's head. One warp a query. grid (T / WARPS, NH, B), block (WARP, WARPS)
static __global__ void attention_along_kernel(float* along, const Real* dout, const Real* out, int T, int C, int hs) {
    int t = blockIdx.x * WARPS + threadIdx.y;
    if (t >= T) { return; }
    size_t at = ((size_t)blockIdx.z * T + t) * C + (size_t)blockIdx.y * hs;
    float sum = 0.0f;
    for (int c = threadIdx.x; c < hs; c += WARP) { sum += (float)dout[at + c] * (float)out[at + c]; }
    sum = warp_sum(sum);
    if (threadIdx.x == 0) { along[((size_t)blockIdx.z * gridDim.y + blockIdx.y) * T + t] = sum; }
}

// dq of a tile of queries: dq += dS k over the tiles of keys. grid (T / TILE, NH * pieces, B), block (ACROSS, TILE / OWN), shared: q, dout, k, v and dS
template <int HS, int TILE> static __global__ void __launch_bounds__(ACROSS * TILE / OWN, 2)
attention_backward_queries_kernel(Real* dqkv, const Real* dout, const Real* qkv, const float* lse, const float* along, int T, int C, int hs) {
    ATTENTION_TILE;
    extern __shared__ float4 tiles[];
    float *q = (float*)tiles, *d = q + A::SIZE, *k = d + A::SIZE, *v = k + A::SIZE, *dS = v + A::SIZE;
    const Real *base = qkv + row * C3 + head, *dhead = dout + row * C + head;
    float s[OWN][A::KEYS], dp[OWN][A::KEYS], dq[OWN][A::CHANNELS] = {{0.0f}};
    if (pieces == 1) {
        load_tile<HS, TILE>(q, base, 0, first, T, hs, C3, scale);
        load_tile<HS, TILE>(d, dhead, 0, first, T, hs, C, 1.0f);
    }
    for (int u = 0; u <= first; u += TILE) {
        clear<HS, TILE>(s);
        clear<HS, TILE>(dp);
        for (int i = 1; i <= pieces; i++) {
            int piece = (mine + i) % pieces;
            __syncthreads(); // the last tiles have been read
            if (pieces > 1) {
                load_tile<HS, TILE>(q, base, piece, first, T, hs, C3, scale);
                load_tile<HS, TILE>(d, dhead, piece, first, T, hs, C, 1.0f);
            }
            load_tile<HS, TILE>(k, base + C, piece, u, T, hs, C3, 1.0f);
            load_tile<HS, TILE>(v, base + 2*C, piece, u, T, hs, C3, 1.0f);
            __syncthreads();
            add_rows_by_rows<HS, TILE>(s, q, k);
            add_rows_by_rows<HS, TILE>(dp, d, v);
        }
        for (int i = 0; i < OWN; i++) {
            int t = first + y * OWN + i, seen = min(t, T - 1);
            for (int j = 0; j < A::KEYS; j++) {
                float p = fast_exp(s[i][j] - lse[stats + seen]);
                s[i][j] = t < T && u + x + ACROSS * j <= t ? p * (dp[i][j] - along[stats + seen]) : 0.0f;
            }
        }
        share<HS, TILE>(dS, s);
        __syncthreads(); // all of dS is there
        add_rows<HS, TILE>(dq, dS, k);
    }
    store_tile<HS, TILE>(dqkv + row * C3 + head, dq, mine, first, T, hs, C3, scale);
}

// dk and dv of a tile of keys: dv += P' dout and dk += dS' q over the tiles of queries; the rows of S are keys here.
// grid (T / TILE, NH * pieces, B), block (ACROSS, TILE / OWN), shared: q, dout, k, v and P, then dS
template <int HS, int TILE> static __global__ void __launch_bounds__(ACROSS * TILE / OWN, 2)
attention_backward_keys_kernel(Real* dqkv, const Real* dout, const Real* qkv, const float* lse, const float* along, int T, int C, int hs) {
    ATTENTION_TILE;
    extern __shared__ float4 tiles[];
    float *q = (float*)tiles, *d = q + A::SIZE, *k = d + A::SIZE, *v = k + A::SIZE, *P = v + A::SIZE;
    const Real *base = qkv + row * C3 + head, *dhead = dout + row * C + head;
    float s[OWN][A::KEYS], dp[OWN][A::KEYS], dk[OWN][A::CHANNELS] = {{0.0f}}, dv[OWN][A::CHANNELS] = {{0.0f}};
    if (pieces == 1) {
        load_tile<HS, TILE>(k, base + C, 0, first, T, hs, C3, 1.0f);
        load_tile<HS, TILE>(v, base + 2*C, 0, first, T, hs, C3, 1.0f);
    }
    for (int t = first; t < T; t += TILE) {
        clear<HS, TILE>(s);
        clear<HS, TILE>(dp);
        for (int i = 1; i <= pieces; i++) {
            int piece = (mine + i) % pieces;
            __syncthreads(); // the last tiles have been read
            if (pieces > 1) {
                load_tile<HS, TILE>(k, base + C, piece, first, T, hs, C3, 1.0f);
                load_tile<HS, TILE>(v, base + 2*C, piece, first, T, hs, C3, 1.0f);
            }
            load_tile<HS, TILE>(q, base, piece, t, T, hs, C3, scale);
            load_tile<HS, TILE>(d, dhead, piece, t, T, hs, C, 1.0f);
            __syncthreads();
            add_rows_by_rows<HS, TILE>(s, k, q);
            add_rows_by_rows<HS, TILE>(dp, v, d);
        }
        for (int j = 0; j < A::KEYS; j++) {
            int query = t + x + ACROSS * j, seen = min(query, T - 1);
            float log_sum = lse[stats + seen], a = along[stats + seen];
            for (int i = 0; i < OWN; i++) {
                s[i][j] = query < T && first + y * OWN + i <= query ? fast_exp(s[i][j] - log_sum) : 0.0f;
                dp[i][j] = s[i][j] * (dp[i][j] - a);
            }
        }
        share<HS, TILE>(P, s);
        __syncthreads(); // all of P is there
        add_rows<HS, TILE>(dv, P, d);
        __syncthreads(); // P has been read
        share<HS, TILE>(P, dp);
        __syncthreads(); // all of dS is there
        add_rows<HS, TILE>(dk, P, q);
    }
    store_tile<HS, TILE>(dqkv + row * C3 + head + C, dk, mine, first, T, hs, C3, 1.0f);
    store_tile<HS, TILE>(dqkv + row * C3 + head + 2*C, dv, mine, first, T, hs, C3, 1.0f);
}

// More than 48 KiB of shared memory has to be asked for.
template <class Kernel> static void allow_shared(Kernel kernel, size_t bytes) {
    CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));
}

template <int HS, int TILE> static void attention_forward_launch(Real* out, float* lse, const Real* qkv, int B, int T, int C, int NH) {
    typedef AttentionTile<HS, TILE> A;
    size_t shared = sizeof(float) * (3 * A::SIZE + A::S_SIZE);
    dim3 grid(blocks_of((size_t)T, TILE), (unsigned)NH * blocks_of((size_t)(C / NH), HS), (unsigned)B), block(ACROSS, A::DOWN);
    allow_shared(attention_forward_kernel<HS, TILE>, shared);
    attention_forward_kernel<HS, TILE><<<grid, block, shared>>>(out, lse, qkv, T, C, C / NH);
    LAUNCHED();
}

template <int HS, int TILE> static void attention_backward_launch(Real* dqkv, const Real* dout, const Real* qkv, const float* lse,
                                                                  const float* along, int B, int T, int C, int NH) {
    typedef AttentionTile<HS, TILE> A;
    size_t shared = sizeof(float) * (4 * A::SIZE + A::S_SIZE);
    dim3 grid(blocks_of((size_t)T, TILE), (unsigned)NH * blocks_of((size_t)(C / NH), HS), (unsigned)B), block(ACROSS, A::DOWN);
    allow_shared(attention_backward_queries_kernel<HS, TILE>, shared);
    attention_backward_queries_kernel<HS, TILE><<<grid, block, shared>>>(dqkv, dout, qkv, lse, along, T, C, C / NH);
    LAUNCHED();
    allow_shared(attention_backward_keys_kernel<HS, TILE>, shared);
    attention_backward_keys_kernel<HS, TILE><<<grid, block, shared>>>(dqkv, dout, qkv, lse, along, T, C, C / NH);
    LAUNCHED();
}

static size_t attention_scratch_size(int B, int T, int NH) { return (size_t)B * (size_t)T * (size_t)NH; }

static void attention_forward(Real* out, float* lse, // lse (B,NH,T)
                              const Real* qkv, float*, int B, int T, int C, int NH) {
    int hs = C / NH;
    if constexpr (TENSOR_CORES) { attention_mma_forward(out, lse, qkv, B, T, C, NH); }
    else if (hs <= 32) { attention_forward_launch<32, 32>(out, lse, qkv, B, T, C, NH); }
    else if (hs <= 64) { attention_forward_launch<64, 64>(out, lse, qkv, B, T, C, NH); }
    else { attention_forward_launch<WIDEST, 32>(out, lse, qkv, B, T, C, NH); }
}

static void attention_backward(Real* dqkv, const Real* dout, const Real* qkv, const Real* out, const float* lse,
                               float* scratch, int B, int T, int C, int NH) {
    int hs = C / NH;
    dim3 grid(blocks_of((size_t)T, WARPS), (unsigned)NH, (unsigned)B);
    attention_along_kernel<<<grid, dim3(WARP, WARPS)>>>(scratch, dout, out, T, C, hs);
    LAUNCHED();
    if constexpr (TENSOR_CORES) { attention_mma_backward(dqkv, dout, qkv, lse, scratch, B, T, C, NH); }
    else if (hs <= 32) { attention_backward_launch<32, 32>(dqkv, dout, qkv, lse, scratch, B, T, C, NH); }
    else if (hs <= 64) { attention_backward_launch<64, 64>(dqkv, dout, qkv, lse, scratch, B, T, C, NH); }
    else { attention_backward_launch<WIDEST, 32>(dqkv, dout, qkv, lse, scratch, B, T, C, NH); }
}

#define GELU_A 1.5957691216057308f // 2 sqrt(2/pi)
#define GELU_B 0.044715f

// W elements a thread, from here to residual_forward. grid (n / W / THREADS), block (THREADS)
template <int W> static __global__ void gelu_forward_kernel(Real* out, const Real* inp, size_t n) {
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * W;
    if (i >= n) { return; }
    Pack<W> xs = load<W>(inp + i), y;
    for (int k = 0; k < W; k++) {
        float x = (float)xs.at[k];
        y.at[k] = (Real)(x / (1.0f + fast_exp(-GELU_A * (x + GELU_B * x * x * x))));
    }
    store<W>(out + i, y);
}

static void gelu_forward(Real* out, const Real* inp, size_t n) {
    if (n % WIDE == 0) { gelu_forward_kernel<WIDE><<<blocks_of(n / WIDE, THREADS), THREADS>>>(out, inp, n); }
    else { gelu_forward_kernel<1><<<blocks_of(n, THREADS), THREADS>>>(out, inp, n); }
    LAUNCHED();
}

template <int W> static __global__ void gelu_backward_kernel(Real* dinp, const Real* inp, size_t n) {
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * W;
    if (i >= n) { return; }
    Pack<W> xs = load<W>(inp + i), dx = load<W>(dinp + i);
    for (int k = 0; k < W; k++) {
        float x = (float)xs.at[k];
        float e = fast_exp(-GELU_A * (x + GELU_B * x * x * x)), sigmoid = 1.0f / (1.0f + e);
        float slope = GELU_A * (1.0f + 3.0f * GELU_B * x * x);
        dx.at[k] = (Real)((float)dx.at[k] * (sigmoid * (1.0f + x * (e * sigmoid) * slope))); // 1 - sigmoid without cancellation
    }
    store<W>(dinp + i, dx);
}

static void gelu_backward(Real* dinp, // holds dout on entry
                          const Real* inp, size_t n) {
    if (n % WIDE == 0) { gelu_backward_kernel<WIDE><<<blocks_of(n / WIDE, THREADS), THREADS>>>(dinp, inp, n); }
    else { gelu_backward_kernel<1><<<blocks_of(n, THREADS), THREADS>>>(dinp, inp, n); }
    LAUNCHED();
}

template <int W> static __global__ void residual_forward_kernel(Real* out, const Real* inp, size_t n) {
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * W;
    if (i >= n) { return; }
    Pack<W> x = load<W>(inp + i), sum = load<W>(out + i);
    for (int k = 0; k < W; k++) { sum.at[k] = (Real)((float)sum.at[k] + (float)x.at[k]); }
    store<W>(out + i, sum);
}

static void residual_forward(Real* out, // added to
                             const Real* inp, size_t n) {
    if (n % WIDE == 0) { residual_forward_kernel<WIDE><<<blocks_of(n / WIDE, THREADS), THREADS>>>(out, inp, n); }
    else { residual_forward_kernel<1><<<blocks_of(n, THREADS), THREADS>>>(out, inp, n); }
    LAUNCHED();
}

// The stream is what the product begins with. A kernel for this sum and the layer normalisation behind it would move more: both write the sum
// and what is normalised, but it reads the product and the stream, and not the sum alone.
static void matmul_forward_residual(Real* out, const Real* stream, const Real* inp, const Real* weight, const Real* bias, int N, int C, int OC) {
    product_onto(matrix(out, N, OC), stream, matrix(inp, N, C), turned(weight, OC, C), bias);
}

// GELU in the product itself, where the GPU is faster that way.
static void matmul_forward_gelu(Real* out, Real* hidden, const Real* inp, const Real* weight, const Real* bias, int N, int C, int OC) {
    if (product_gelu(matrix(out, N, OC), hidden, matrix(inp, N, C), turned(weight, OC, C), bias)) { return; }
    matmul_forward(hidden, inp, weight, bias, N, C, OC);
    gelu_forward(out, hidden, (size_t)N * OC);
}

static void matmul_backward_input_gelu(Real* dhidden, const Real* dout, const Real* weight, const Real* hidden, int N, int C, int OC) {
    if (product_gelu_backward(matrix(dhidden, N, C), hidden, matrix(dout, N, OC), matrix(weight, OC, C))) { return; }
    matmul_backward_input(dhidden, dout, weight, N, C, OC);
    gelu_backward(dhidden, hidden, (size_t)N * C);
}

// A row of logits is long and read twice: the fewer rows are at work at a time, the more of them are still in the second-level cache then.
enum { ROW_THREADS = 1024 };

// log sum_v exp x[v] of a row, by all ROW_THREADS of a block, in every one of them. The row is read once: whenever a thread finds a larger
// x, its sum so far is scaled down.
template <int W> static __device__ float log_sum_exp(const Real* x, int V) {
    __shared__ float of_warp[ROW_THREADS / WARP];
    float largest = -INFINITY, sum = 0.0f;
    for (int v = threadIdx.x * W; v < V; v += ROW_THREADS * W) {
        Pack<W> xs = load<W>(x + v);
        float before = largest;
        for (int k = 0; k < W; k++) { if (v + k < V) { largest = fmaxf(largest, (float)xs.at[k]); } }
        sum *= fast_exp(before - largest);
        for (int k = 0; k < W; k++) { if (v + k < V) { sum += fast_exp((float)xs.at[k] - largest); } }
    }
    float top = warp_max(largest);
    if (threadIdx.x % WARP == 0) { of_warp[threadIdx.x / WARP] = top; }
    __syncthreads();
    for (int w = 0; w < ROW_THREADS / WARP; w++) { top = fmaxf(top, of_warp[w]); }
    return top + logf(block_sum<ROW_THREADS>(sum * fast_exp(largest - top)));
}

// 1 if no logit is larger than the target's, and of equals none stands before it. One block a row: every thread of it is told.
static __device__ bool is_argmax(const Real* x, int target, int V) {
    float better = 0.0f, best = (float)x[target];
    for (int v = threadIdx.x; v < V; v += ROW_THREADS) { better += (float)x[v] > best || ((float)x[v] == best && v < target) ? 1.0f : 0.0f; }
    return block_sum<ROW_THREADS>(better) == 0.0f;
}

// One block a row. grid (N), block (ROW_THREADS)
template <int W> static __global__ void __launch_bounds__(ROW_THREADS)
cross_entropy_forward_kernel(float* losses, unsigned char* hits, const Real* logits, const int* targets, const float* weight, int V, int stride) {
    size_t n = blockIdx.x;
    const Real* x = logits + n * stride;
    int target = targets[n];
    if (weight[n] == 0.0f) { // so is every thread's
        if (threadIdx.x == 0) { losses[n] = 0.0f; hits[n] = 0; }
        return;
    }
    float lse = log_sum_exp<W>(x, V);
    bool hit = is_argmax(x, target, V);
    if (threadIdx.x == 0) { losses[n] = lse - (float)x[target]; hits[n] = hit; }
}

static void cross_entropy_forward(float* losses, unsigned char* hits, const Real* logits, const int* targets,
                                  const float* weight, int N, int V, int stride) {
    if (stride % WIDE == 0) { cross_entropy_forward_kernel<WIDE><<<N, ROW_THREADS>>>(losses, hits, logits, targets, weight, V, stride); }
    else { cross_entropy_forward_kernel<1><<<N, ROW_THREADS>>>(losses, hits, logits, targets, weight, V, stride); }
    LAUNCHED();
}

// One block a row. grid (N), block (ROW_THREADS)
template <int W> static __global__ void __launch_bounds__(ROW_THREADS)
cross_entropy_backward_kernel(float* losses, Real* logits, const int* targets, const float* weight, int V, int stride) {
    size_t n = blockIdx.x;
    Real* x = logits + n * stride;
    float w = weight[n];
    int target = targets[n];
    if (w == 0.0f) {
        if (threadIdx.x == 0) { losses[n] = 0.0f; }
        for (int v = threadIdx.x * W; v < stride; v += ROW_THREADS * W) { store<W>(x + v, Pack<W>{}); }
        return;
    }
    float lse = log_sum_exp<W>(x, V);
    if (threadIdx.x == 0) { losses[n] = lse - (float)x[target]; }
    __syncthreads(); // the target's logit has been read
    for (int v = threadIdx.x * W; v < stride; v += ROW_THREADS * W) {
        Pack<W> xs = load<W>(x + v), dx = {};
        for (int k = 0; k < W; k++) { if (v + k < V) { dx.at[k] = (Real)(w * fast_exp((float)xs.at[k] - lse) - (v + k == target ? w : 0.0f)); } }
        store<W>(x + v, dx);
    }
}

static void cross_entropy_backward(float* losses, Real* logits, const int* targets, const float* weight, int N, int V, int stride) {
    if (stride % WIDE == 0) { cross_entropy_backward_kernel<WIDE><<<N, ROW_THREADS>>>(losses, logits, targets, weight, V, stride); }
    else { cross_entropy_backward_kernel<1><<<N, ROW_THREADS>>>(losses, logits, targets, weight, V, stride); }
    LAUNCHED();
}

// One warp a position. grid (N / WARPS), block (WARP, WARPS)
static __global__ void value_forward_kernel(float* values, const Real* lnf, const Real* weight, const Real* bias, int N, int C) {
    int n = blockIdx.x * WARPS + threadIdx.y;
    if (n >= N) { return; }
    float sum = 0.0f;
    for (int c = threadIdx.x; c < C; c += WARP) { sum += (float)weight[c] * (float)lnf[(size_t)n * C + c]; }
    sum = warp_sum(sum);
    if (threadIdx.x == 0) { values[n] = sum + (float)bias[0]; }
}

static void value_forward(float* values, const Real* lnf, const Real* weight, const Real* bias, int N, int C) {
    value_forward_kernel<<<blocks_of((size_t)N, WARPS), dim3(WARP, WARPS)>>>(values, lnf, weight, bias, N, C);
    LAUNCHED();
}

// One warp a position. grid (N / WARPS), block (WARP, WARPS)
static __global__ void value_backward_input_kernel(Real* dlnf, const float* dvalue, const Real* weight, int N, int C) {
    int n = blockIdx.x * WARPS + threadIdx.y;
    if (n >= N || dvalue[n] == 0.0f) { return; }
    Real* dx = dlnf + (size_t)n * C;
    for (int c = threadIdx.x; c < C; c += WARP) { dx[c] = (Real)((float)dx[c] + dvalue[n] * (float)weight[c]); }
}

static void value_backward_input(Real* dlnf, // added to
                                const float* dvalue, const Real* weight, int N, int C) {
    value_backward_input_kernel<<<blocks_of((size_t)N, WARPS), dim3(WARP, WARPS)>>>(dlnf, dvalue, weight, N, C);
    LAUNCHED();
}

// A block owns WARP columns, of which the last of all, number C, is the bias; its rows of threads take every VALUE_ROWS-th position. In double,
// so that what cancels, as it does where scores are compared, leaves nothing. grid ((C + 1) / WARP), block (WARP, VALUE_ROWS)
enum { VALUE_ROWS = 16 };
static __global__ void value_backward_params_kernel(float* dweight, float* dbias, const float* dvalue, const float* share, const Real* lnf, int N, int T, int C) {
    __shared__ double part[VALUE_ROWS][WARP];
    int c = blockIdx.x * WARP + threadIdx.x;
    double sum = 0.0;
    for (int n = threadIdx.y; c <= C && n < N; n += VALUE_ROWS) {
        float d = share[n / T] * dvalue[n];
        if (d != 0.0f) { sum += c < C ? d * (float)lnf[(size_t)n * C + c] : d; }
    }
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads(); // all of part is there
    if (threadIdx.y > 0 || c > C) { return; }
    sum = 0.0;
    for (int y = 0; y < VALUE_ROWS; y++) { sum += part[y][threadIdx.x]; }
    *(c < C ? dweight + c : dbias) += (float)sum;
}

static void value_backward_params(float* dweight, float* dbias, // added to
                                 const float* dvalue, const float* share, const Real* lnf, int B, int T, int C) {
    value_backward_params_kernel<<<blocks_of((size_t)C + 1, WARP), dim3(WARP, VALUE_ROWS)>>>(dweight, dbias, dvalue, share, lnf, B * T, T, C);
    LAUNCHED();
}

// ---------------------------------------------------------------------------------------------
// One block, both ways. w: weights, a: activations; g and d: their gradients. The backward reads the forward from the last
// line to the first.

// All that the backward of a block reads, the block's output left out.
static void block_hidden(const BlockActs* a, const Real* x, const BlockParams* w, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    layernorm_forward(a->ln1, a->ln1_mean, a->ln1_rstd, x, w->ln1w, w->ln1b, N, C);
    matmul_forward(a->qkv, a->ln1, w->qkvw, w->qkvb, N, C, 3*C);
    attention_forward(a->atty, a->lse, a->qkv, scratch, B, T, C, NH);
    matmul_forward_residual(a->residual2, x, a->atty, w->attprojw, w->attprojb, N, C, C);
    layernorm_forward(a->ln2, a->ln2_mean, a->ln2_rstd, a->residual2, w->ln2w, w->ln2b, N, C);
    matmul_forward_gelu(a->fch_gelu, a->fch, a->ln2, w->fcw, w->fcb, N, C, 4*C);
}

static void block_forward(const BlockActs* a, const Real* x, const BlockParams* w, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    block_hidden(a, x, w, scratch, B, T, C, NH);
    matmul_forward_residual(a->residual3, a->residual2, a->fch_gelu, w->fcprojw, w->fcprojb, N, 4*C, C);
}

// d->fcproj is the gradient of residual3 on entry, and so that of the branch which is added there; d->attproj likewise of residual2. dx
// becomes that of the block's input x: it is no buffer of d, as sites point to them while the stream's gradient moves on.
static void block_backward(const BlockParamGrads* g, const BlockGrads* d, Real* dx,
                           const BlockParams* w, const BlockActs* a, const Real* x,
                           Drpt* drpt, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    matmul_backward_input_gelu(d->fch, d->fcproj, w->fcprojw, a->fch, N, 4*C, C);
    drpt_site(drpt, "fcproj", g->fcprojw, g->fcprojb, d->fcproj, a->fch_gelu, 4*C, C);
    matmul_backward_input(d->ln2, d->fch, w->fcw, N, C, 4*C);
    drpt_site(drpt, "fc", g->fcw, g->fcb, d->fch, a->ln2, C, 4*C);
    layernorm_backward_input(d->attproj, d->fcproj, d->ln2, a->residual2, w->ln2w, a->ln2_mean, a->ln2_rstd, N, C);
    drpt_site_layernorm(drpt, "ln2", g->ln2w, g->ln2b, d->ln2, a->residual2, a->ln2_mean, a->ln2_rstd, C);
    drpt_project(drpt, DRPT_SUBLAYER);
    matmul_backward_input(d->atty, d->attproj, w->attprojw, N, C, C);
    drpt_site(drpt, "attproj", g->attprojw, g->attprojb, d->attproj, a->atty, C, C);
    attention_backward(d->qkv, d->atty, a->qkv, a->atty, a->lse, scratch, B, T, C, NH);
    matmul_backward_input(d->ln1, d->qkv, w->qkvw, N, C, 3*C);
    drpt_site_fused(drpt, "qkv", g->qkvw, g->qkvb, d->qkv, a->ln1, C, 3*C);
    layernorm_backward_input(dx, d->attproj, d->ln1, x, w->ln1w, a->ln1_mean, a->ln1_rstd, N, C);
    drpt_site_layernorm(drpt, "ln1", g->ln1w, g->ln1b, d->ln1, x, a->ln1_mean, a->ln1_rstd, C);
    drpt_project(drpt, DRPT_BLOCK);
}

// ---------------------------------------------------------------------------------------------
// The model. Its arrays are the GPU's, a piece of memory each; what points to them is the host's.

typedef struct { void** piece; int count; } Pieces;

static void* take_bytes(Pieces* p, size_t bytes, const char* what) {
    p->piece = (void**)realloc(p->piece, sizeof(void*) * ((size_t)p->count + 1));
    check(p->piece != NULL, "out of memory");
    return p->piece[p->count++] = device_alloc(bytes, what);
}
#define TAKE_ARRAY(pieces, type, count, what) (type*)take_bytes(pieces, sizeof(type) * (count), what)

static void free_pieces(Pieces* p) {
    for (int i = 0; i < p->count; i++) { device_free(p->piece[i]); }
    free(p->piece);
}

// Zeroed.
static void* host_alloc(size_t count, size_t size) {
    void* p = calloc(count, size);
    check(p != NULL, "out of memory: %zu MiB", count * size >> 20);
    return p;
}

struct GPT2 {
    GPT2Config config;
    Tensor tensor[NUM_TENSORS];
    size_t num_params;
    Params weight;
    ParamGrads grad;
    float *params, *grads, *m, *v;    // (num_params) each; the last three only for training
    Clip* clip;                       // of the last update
    Real* weights;                    // (num_params) what the layers compute with: params itself, or a rounded copy
    int B, T;                         // the largest batch there is memory for
    int recompute;                    // 1: the blocks share their activations, residual3 apart
    BlockActs* act;                   // (L)
    BlockGrads* dact;                 // (L), all the same memory unless a group reaches across blocks; fcproj in turn another and dx
    Real *encoded, *lnf, *logits, *dx, *dlnf;
    float *lnf_mean, *lnf_rstd, *losses;
    float* scratch;                   // of attention
    unsigned char* hits;
    int *tokens, *targets;            // of the batch at hand: copies of the host's
    float* share;                     // and its positions' shares of the loss
    float *values, *dvalue, *head_share; // of the scalar head, if there is one: what it says, and its gradient
    Pieces pieces;
};

// One thread a parameter. grid (n / THREADS), block (THREADS)
static __global__ void round_weights_kernel(Real* weights, const float* params, size_t n) {
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n) { weights[i] = (Real)params[i]; }
}

// After every change of the parameters.
static void round_weights(GPT2* model) {
    if ((void*)model->weights == (void*)model->params) { return; }
    round_weights_kernel<<<blocks_of(model->num_params, THREADS), THREADS>>>(model->weights, model->params, model->num_params);
    LAUNCHED();
}

static float* take_params(GPT2* model, const char* what) {
    float* x = TAKE_ARRAY(&model->pieces, float, model->num_params, what);
    device_zero(x, sizeof(float) * model->num_params);
    return x;
}

static void layout_params(GPT2* model, int training) {
    size_t L = (size_t)model->config.layers, P = model->num_params;
    model->weight.block = (BlockParams*)host_alloc(L, sizeof(BlockParams));
    model->grad.block = (BlockParamGrads*)host_alloc(L, sizeof(BlockParamGrads));
    model->params = TAKE_ARRAY(&model->pieces, float, P, "the parameters");
    model->weights = sizeof(Real) == sizeof(float) ? (Real*)model->params : TAKE_ARRAY(&model->pieces, Real, P, "the rounded parameters");
    if (!training) { return; }
    model->grads = take_params(model, "the gradients");
    model->m = take_params(model, "AdamW's first moments");
    model->v = take_params(model, "AdamW's second moments");
    model->clip = TAKE_ARRAY(&model->pieces, Clip, 1, "the gradient's norm");
}

static void layout_block_acts(BlockActs* a, Pieces* pieces, size_t N, size_t C, size_t NH, const char* what) {
    #define TAKE(name, type, count) a->name = TAKE_ARRAY(pieces, type, count, what);
    BLOCK_ACTS(TAKE)
    #undef TAKE
}

static void layout_block_grads(BlockGrads* d, Pieces* pieces, size_t N, size_t C, const char* what) {
    #define TAKE(name, type, count) d->name = TAKE_ARRAY(pieces, type, count, what);
    BLOCK_GRADS(TAKE)
    #undef TAKE
}

// The length of a row of logits. Those past the vocabulary come of weights that are padding: the loss leaves them out, their gradient is
// zero. With them, rows begin where tensor cores can load.
static int logits_stride(const GPT2Config* c) { return c->padded_vocab_size; }

static void layout_acts(GPT2* model, int training, int keep_blocks) {
    Pieces* pieces = &model->pieces;
    size_t L = (size_t)model->config.layers, C = (size_t)model->config.channels, NH = (size_t)model->config.heads;
    size_t V = (size_t)logits_stride(&model->config), N = (size_t)model->B * (size_t)model->T;
    const char* what = "the activations";
    model->act = (BlockActs*)host_alloc(L, sizeof(BlockActs));
    model->dact = (BlockGrads*)host_alloc(L, sizeof(BlockGrads));
    model->encoded = TAKE_ARRAY(pieces, Real, N * C, what);
    for (size_t l = 0; l < L; l++) {
        BlockActs* a = &model->act[l];
        if (l == 0 || !model->recompute) { layout_block_acts(a, pieces, N, C, NH, what); continue; }
        *a = model->act[0];
        a->residual3 = TAKE_ARRAY(pieces, Real, N * C, what);
    }
    model->lnf = TAKE_ARRAY(pieces, Real, N * C, what);
    model->lnf_mean = TAKE_ARRAY(pieces, float, N, what);
    model->lnf_rstd = TAKE_ARRAY(pieces, float, N, what);
    model->logits = TAKE_ARRAY(pieces, Real, N * V, what);
    model->losses = TAKE_ARRAY(pieces, float, N, what);
    model->hits = TAKE_ARRAY(pieces, unsigned char, N, what);
    model->scratch = TAKE_ARRAY(pieces, float, attention_scratch_size(model->B, model->T, (int)NH), what);
    model->tokens = TAKE_ARRAY(pieces, int, N, what);
    model->targets = TAKE_ARRAY(pieces, int, N, what);
    model->share = TAKE_ARRAY(pieces, float, N, what);
    if (model->config.head) {
        model->values = TAKE_ARRAY(pieces, float, N, what);
        model->dvalue = TAKE_ARRAY(pieces, float, N, what);
        model->head_share = TAKE_ARRAY(pieces, float, (size_t)model->B, what);
    }
    if (!training) { return; }
    model->dx = TAKE_ARRAY(pieces, Real, N * C, what);
    model->dlnf = TAKE_ARRAY(pieces, Real, N * C, what);
    for (size_t l = 0; l < L; l++) {
        if (l == 0 || keep_blocks) { layout_block_grads(&model->dact[l], pieces, N, C, what); }
        else {
            model->dact[l] = model->dact[0];
            if (l % 2 == 1) { model->dact[l].fcproj = model->dx; }
        }
    }
}

GPT2* gpt2_create(const char* init, int seed, int training, int with_head) {
    GPT2* model = (GPT2*)host_alloc(1, sizeof(GPT2));
    GPT2Init from = gpt2_init_open(init, with_head);
    model->config = from.config;
    memcpy(model->tensor, from.tensor, sizeof(model->tensor));
    model->num_params = from.num_params;
    layout_params(model, training);
    point_params(&model->weight, model->weights, model->tensor, model->config.layers);
    if (training) { point_param_grads(&model->grad, model->grads, model->tensor, model->config.layers); }
    float* host = (float*)host_alloc(model->num_params, sizeof(float));
    gpt2_init(&from, host, seed);
    device_write(model->params, host, sizeof(float) * model->num_params);
    free(host);
    round_weights(model);
    return model;
}

void gpt2_alloc(GPT2* model, int B, int T, int training, int keep_blocks, int recompute) {
    model->B = B;
    model->T = T;
    model->recompute = recompute;
    layout_acts(model, training, keep_blocks);
}

void gpt2_free(GPT2* model) {
    free_pieces(&model->pieces);
    free(model->act);
    free(model->dact);
    free(model->weight.block);
    free(model->grad.block);
    free(model);
}

const GPT2Config* gpt2_config(const GPT2* model) { return &model->config; }
GPT2Arrays gpt2_arrays(const GPT2* model) { return GPT2Arrays{ model->params, model->grads, model->m, model->v, model->num_params }; }

void gpt2_hidden(GPT2* model, const int* tokens, int B, int T) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, N = B * T;
    const Real* x = model->encoded;
    device_write(model->tokens, tokens, sizeof(int) * (size_t)N);
    encoder_forward(model->encoded, model->tokens, model->weight.wte, model->weight.wpe, B, T, C);
    for (int l = 0; l < L; l++) {
        block_forward(&model->act[l], x, &model->weight.block[l], model->scratch, B, T, C, NH);
        x = model->act[l].residual3;
    }
    layernorm_forward(model->lnf, model->lnf_mean, model->lnf_rstd, x, model->weight.lnfw, model->weight.lnfb, N, C);
}

void gpt2_forward(GPT2* model, const int* tokens, int B, int T) {
    int C = model->config.channels, N = B * T;
    gpt2_hidden(model, tokens, B, T);
    matmul_forward(model->logits, model->lnf, model->weight.wte, NULL, N, C, logits_stride(&model->config));
}

void gpt2_evaluate(GPT2* model, const int* targets, const float* weight, float* losses, unsigned char* hits, int B, int T) {
    size_t N = (size_t)B * T;
    device_write(model->targets, targets, sizeof(int) * N);
    device_write(model->share, weight, sizeof(float) * N);
    cross_entropy_forward(model->losses, model->hits, model->logits, model->targets, model->share, B * T,
                          model->config.vocab_size, logits_stride(&model->config));
    device_read(losses, model->losses, sizeof(float) * N);
    device_read(hits, model->hits, N);
}

void gpt2_values(const GPT2* model, float* values, int B, int T) {
    value_forward(model->values, model->lnf, model->weight.headw, model->weight.headb, B * T, model->config.channels);
    device_read(values, model->values, sizeof(float) * (size_t)B * (size_t)T);
}

static int any(const float* weight, int N) {
    int n = 0;
    while (n < N && weight[n] == 0.0f) { n++; }
    return n < N;
}

void gpt2_backward(GPT2* model, const int* tokens, const int* targets, const float* weight, const HeadGradient* head, Drpt* drpt, int B, int T) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, V = model->config.vocab_size, N = B * T;
    const Real* last = model->act[L - 1].residual3;
    int stride = logits_stride(&model->config);
    Real* dlogits = any(weight, N) ? model->logits : NULL; // in place; NULL: no token is trained on
    (void)tokens; // gpt2_forward() has copied them
    if (dlogits) {
        device_write(model->targets, targets, sizeof(int) * (size_t)N);
        device_write(model->share, weight, sizeof(float) * (size_t)N);
        cross_entropy_backward(model->losses, dlogits, model->targets, model->share, N, V, stride);
        matmul_backward_input(model->dlnf, dlogits, model->weight.wte, N, C, stride);
    } else {
        device_zero(model->losses, sizeof(*model->losses) * (size_t)N);
        device_zero(model->dlnf, sizeof(*model->dlnf) * (size_t)N * (size_t)C);
    }
    if (head) {
        device_write(model->dvalue, head->dvalue, sizeof(float) * (size_t)N);
        device_write(model->head_share, head->share, sizeof(float) * (size_t)B);
        value_backward_params(model->grad.headw, model->grad.headb, model->dvalue, model->head_share, model->lnf, B, T, C);
        value_backward_input(model->dlnf, model->dvalue, model->weight.headw, N, C);
    }
    layernorm_backward_input(model->dact[L - 1].fcproj, NULL, model->dlnf, last, model->weight.lnfw, model->lnf_mean, model->lnf_rstd, N, C);
    drpt->block = -1;
    drpt_site_layernorm(drpt, "lnf", model->grad.lnfw, model->grad.lnfb, model->dlnf, last, model->lnf_mean, model->lnf_rstd, C);
    drpt_project(drpt, DRPT_BLOCK);
    for (int l = L - 1; l >= 0; l--) {
        const Real* x = l > 0 ? model->act[l - 1].residual3 : model->encoded;
        Real* dx = l > 0 ? model->dact[l - 1].fcproj : model->dx;
        drpt->block = l;
        if (model->recompute && l < L - 1) { block_hidden(&model->act[l], x, &model->weight.block[l], model->scratch, B, T, C, NH); }
        block_backward(&model->grad.block[l], &model->dact[l], dx, &model->weight.block[l], &model->act[l], x,
                       drpt, model->scratch, B, T, C, NH);
    }
    drpt->block = -1;
    drpt_site_token(drpt, "wte", model->grad.wte, dlogits, model->lnf, model->dx, model->tokens, C, V, stride);
    drpt_site_position(drpt, "wpe", model->grad.wpe, model->dx, C);
    drpt_project(drpt, DRPT_GLOBAL);
}

const float* gpt2_losses(const GPT2* model) { return model->losses; }

void gpt2_update(GPT2* model, const Config* c, double lr, int number) {
    gradient_clip(model->clip, model->grads, model->num_params, c->clip);
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        size_t at = t->begin, size = t->blocks * t->rows * t->cols;
        if (size == 0) { continue; } // of a head that the model has not
        float decay = t->rows > 1 ? (float)c->weight_decay : 0.0f;
        if (strcmp(c->optimizer, "sgd") == 0) {
            sgd_update(model->params + at, model->grads + at, size, (float)lr, decay, model->clip);
        } else {
            AdamW a = { (float)lr, (float)c->beta1, (float)c->beta2, (float)c->eps, decay };
            adamw_update(model->params + at, model->grads + at, model->m + at, model->v + at, size, a, model->clip, number);
        }
    }
    round_weights(model);
}

double gpt2_norm(const GPT2* model) {
    Clip clip;
    device_read(&clip, model->clip, sizeof(clip));
    return clip.norm;
}

double gpt2_gradient_norm(GPT2* model) {
    gradient_clip(model->clip, model->grads, model->num_params, 0.0);
    return gpt2_norm(model);
}

// ---------------------------------------------------------------------------------------------
// Generation: positions of several rows at a time, whose keys and values stay.

struct Decoder {
    GPT2Config config;
    int rows, T, room;                // the cache has T places for each of so many rows; positions at a time
    BlockActs act;                    // (room) used by all blocks in turn
    Real *x, *lnf, *logits;           // x (room,C); of at most `rows` positions the others; logits with their padding
    Real* cache;                      // (L,2,rows,T,C): keys and values
    float *stats, *S;                 // S (room,NH,T)
    int* position;                    // (3,N) of the N at hand: tokens, rows, places; or what is copied from where to where
    int* host_position;               // (3,room)
    float *wide, *host;               // (rows,V) the logits as floats, and on the host, where the GPU writes them by itself
    Pieces pieces;
};

Decoder* decoder_create(const GPT2Config* c, int rows, int T) {
    Decoder* d = (Decoder*)host_alloc(1, sizeof(Decoder));
    d->config = *c;
    d->rows = rows;
    d->T = T;
    d->room = rows > DECODER_ROOM ? rows : DECODER_ROOM;
    size_t C = (size_t)c->channels, NH = (size_t)c->heads, V = (size_t)c->vocab_size, B = (size_t)rows, room = (size_t)d->room;
    const char* what = "the key-value cache";
    layout_block_acts(&d->act, &d->pieces, room, C, NH, what);
    d->x = TAKE_ARRAY(&d->pieces, Real, room * C, what);
    d->lnf = TAKE_ARRAY(&d->pieces, Real, B * C, what);
    d->logits = TAKE_ARRAY(&d->pieces, Real, B * (size_t)logits_stride(c), what);
    d->cache = TAKE_ARRAY(&d->pieces, Real, (size_t)c->layers * 2 * B * (size_t)T * C, what);
    d->stats = TAKE_ARRAY(&d->pieces, float, 2 * B, what);
    d->S = TAKE_ARRAY(&d->pieces, float, room * NH * (size_t)T, what);
    d->position = TAKE_ARRAY(&d->pieces, int, 3 * room, what);
    d->host_position = (int*)host_alloc(3 * room, sizeof(int));
    d->wide = TAKE_ARRAY(&d->pieces, float, B * V, what);
    CUDA(cudaMallocHost((void**)&d->host, sizeof(float) * B * V));
    return d;
}

void decoder_free(Decoder* d) {
    free_pieces(&d->pieces);
    free(d->host_position);
    CUDA(cudaFreeHost(d->host));
    free(d);
}

// The keys or values of a row in one layer; cache (2L,rows,T*C). grid (N, 2L), block (THREADS)
static __global__ void decoder_copy_kernel(Real* cache, const int* from, const int* to, const int* places, int rows, int T, int C) {
    size_t first = (size_t)blockIdx.y * rows, count = (size_t)places[blockIdx.x] * C;
    const Real* a = cache + (first + from[blockIdx.x]) * T * C;
    Real* b = cache + (first + to[blockIdx.x]) * T * C;
    for (size_t i = threadIdx.x; i < count; i += THREADS) { b[i] = a[i]; }
}

// The lists of N positions, or copies, to the device.
static void send_positions(Decoder* d, const int* first, const int* second, const int* third, int N) {
    size_t ints = sizeof(int) * (size_t)N;
    memcpy(d->host_position, first, ints);
    memcpy(d->host_position + N, second, ints);
    memcpy(d->host_position + 2*N, third, ints);
    device_write(d->position, d->host_position, 3 * ints);
}

void decoder_copy(Decoder* d, const int* from, const int* to, const int* places, int N) {
    if (N == 0) { return; }
    dim3 grid((unsigned)N, 2 * (unsigned)d->config.layers);
    send_positions(d, from, to, places, N);
    decoder_copy_kernel<<<grid, THREADS>>>(d->cache, d->position, d->position + N, d->position + 2*N, d->rows, d->T, d->config.channels);
    LAUNCHED();
}

// W neighbouring channels a thread. grid (NC / W / THREADS), block (THREADS)
template <int W> static __global__ void encoder_decode_kernel(Real* out, const int* tokens, const int* places, const Real* wte, const Real* wpe,
                                                              size_t NC, int C) {
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * W;
    if (i >= NC) { return; }
    size_t n = i / C, c = i % C;
    Pack<W> token = load<W>(wte + (size_t)tokens[n] * C + c), position = load<W>(wpe + (size_t)places[n] * C + c), sum;
    for (int k = 0; k < W; k++) { sum.at[k] = (Real)((float)token.at[k] + (float)position.at[k]); }
    store<W>(out + i, sum);
}

static void encoder_decode(Real* out, const int* tokens, const int* places, const Real* wte, const Real* wpe, int N, int C) {
    size_t NC = (size_t)N * C;
    if (C % WIDE == 0) { encoder_decode_kernel<WIDE><<<blocks_of(NC / WIDE, THREADS), THREADS>>>(out, tokens, places, wte, wpe, NC, C); }
    else { encoder_decode_kernel<1><<<blocks_of(NC, THREADS), THREADS>>>(out, tokens, places, wte, wpe, NC, C); }
    LAUNCHED();
}

// W neighbouring channels a thread. grid (NC / W / THREADS), block (THREADS)
template <int W> static __global__ void cache_update_kernel(Real* keys, Real* values, const Real* qkv, const int* rows, const int* places,
                                                            size_t NC, int T, int C) {
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * W;
    if (i >= NC) { return; }
    size_t n = i / C, c = i % C, at = ((size_t)rows[n] * T + places[n]) * C + c;
    const Real* x = qkv + n * 3*C + c;
    store<W>(keys + at, load<W>(x + C));
    store<W>(values + at, load<W>(x + 2*C));
}

static void cache_update(Real* keys, Real* values, const Real* qkv, const int* rows, const int* places, int T, int N, int C) {
    size_t NC = (size_t)N * C;
    if (C % WIDE == 0) { cache_update_kernel<WIDE><<<blocks_of(NC / WIDE, THREADS), THREADS>>>(keys, values, qkv, rows, places, NC, T, C); }
    else { cache_update_kernel<1><<<blocks_of(NC, THREADS), THREADS>>>(keys, values, qkv, rows, places, NC, T, C); }
    LAUNCHED();
}

// One warp a head of a position. A lane finds the weight of every 32nd place. Then lanes that have W channels each make up teams that have
// all of them; a team takes every `teams`-th place, and the first adds up what all have found. grid (N, NH), block (WARP)
template <int W> static __global__ void attention_decode_kernel(Real* atty, float* S, const Real* qkv, const Real* keys, const Real* values,
                                                                const int* rows, const int* places, int T, int C, int hs) {
    __shared__ float part[WARP][W];
    int lane = threadIdx.x, n = blockIdx.x, t = places[n], members = min(hs / W, (int)WARP), teams = WARP / members, team = lane / members;
    size_t head = (size_t)blockIdx.y * hs, row = (size_t)rows[n] * T * C + head;
    const Real *q = qkv + (size_t)n * 3*C + head, *k = keys + row, *v = values + row;
    float *s = S + ((size_t)n * gridDim.y + blockIdx.y) * T, scale = 1.0f / sqrtf((float)hs), largest = -INFINITY, sum = 0.0f;
    for (int u = lane; u <= t; u += WARP) {
        float dot = 0.0f;
        for (int c = 0; c < hs; c += W) {
            Pack<W> a = load<W>(q + c), b = load<W>(k + (size_t)u * C + c);
            for (int i = 0; i < W; i++) { dot += (float)a.at[i] * (float)b.at[i]; }
        }
        s[u] = scale * dot;
        largest = fmaxf(largest, s[u]);
    }
    largest = warp_max(largest);
    for (int u = lane; u <= t; u += WARP) {
        s[u] = fast_exp(s[u] - largest);
        sum += s[u];
    }
    sum = warp_sum(sum);
    __syncwarp(); // all of s is there
    for (int first = 0; first < hs; first += members * W) { // once, or all lanes are one team
        int c = first + lane % members * W, count = team < teams && c < hs ? steps_below(t + 1, team, teams) : 0;
        float out[W] = {0.0f};
        #pragma unroll 8
        for (int j = 0; j < count; j++) {
            int u = team + j * teams;
            Pack<W> x = load<W>(v + (size_t)u * C + c);
            for (int i = 0; i < W; i++) { out[i] += s[u] * (float)x.at[i]; }
        }
        for (int i = 0; i < W; i++) { part[lane][i] = out[i]; }
        __syncwarp(); // all parts are there
        Pack<W> all;
        for (int i = 0; i < W; i++) {
            for (int other = 1; other < teams; other++) { out[i] += part[other * members + lane % members][i]; }
            all.at[i] = (Real)(out[i] / sum);
        }
        if (team == 0 && c < hs) { store<W>(atty + (size_t)n * C + head + c, all); }
    }
}

static void attention_decode(Real* atty, float* S, const Real* qkv, const Real* keys, const Real* values,
                             const int* rows, const int* places, int T, int N, int C, int NH) {
    dim3 grid((unsigned)N, (unsigned)NH);
    int hs = C / NH;
    if (hs % WIDE == 0) { attention_decode_kernel<WIDE><<<grid, WARP>>>(atty, S, qkv, keys, values, rows, places, T, C, hs); }
    else { attention_decode_kernel<1><<<grid, WARP>>>(atty, S, qkv, keys, values, rows, places, T, C, hs); }
    LAUNCHED();
}

// The blocks for N positions, which leaves their last output in x.
static void blocks_decode(const GPT2* model, Decoder* d, const int* host_tokens, const int* host_rows, const int* host_places, int N) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, T = d->T;
    size_t NC = (size_t)N * (size_t)C, layer = (size_t)d->rows * (size_t)T * (size_t)C;
    const BlockActs* a = &d->act;
    const int *tokens = d->position, *rows = tokens + N, *places = rows + N;
    send_positions(d, host_tokens, host_rows, host_places, N);
    encoder_decode(d->x, tokens, places, model->weight.wte, model->weight.wpe, N, C);
    for (int l = 0; l < L; l++) {
        const BlockParams* w = &model->weight.block[l];
        Real *keys = d->cache + (size_t)l * 2 * layer, *values = keys + layer;
        layernorm_forward(a->ln1, a->ln1_mean, a->ln1_rstd, d->x, w->ln1w, w->ln1b, N, C);
        matmul_forward_rows(a->qkv, a->ln1, w->qkvw, w->qkvb, N, C, 3*C);
        cache_update(keys, values, a->qkv, rows, places, T, N, C);
        attention_decode(a->atty, d->S, a->qkv, keys, values, rows, places, T, N, C, NH);
        matmul_forward_rows(a->residual2, a->atty, w->attprojw, w->attprojb, N, C, C);
        residual_forward(d->x, a->residual2, NC);
        layernorm_forward(a->ln2, a->ln2_mean, a->ln2_rstd, d->x, w->ln2w, w->ln2b, N, C);
        matmul_forward_rows(a->fch, a->ln2, w->fcw, w->fcb, N, C, 4*C);
        gelu_forward(a->fch_gelu, a->fch, 4*NC);
        matmul_forward_rows(a->residual3, a->fch_gelu, w->fcprojw, w->fcprojb, N, 4*C, C);
        residual_forward(d->x, a->residual3, NC);
    }
}

void gpt2_prefill(const GPT2* model, Decoder* d, const int* tokens, const int* rows, const int* places, int N) {
    for (int n = 0; n < N; n += d->room) {
        int count = d->room < N - n ? d->room : N - n;
        blocks_decode(model, d, tokens + n, rows + n, places + n, count);
    }
}

// Rows of V numbers out of rows of `stride`. One thread a number. grid (rows, V / THREADS), block (THREADS)
static __global__ void widen_kernel(float* out, const Real* x, int V, int stride) {
    int v = blockIdx.y * THREADS + threadIdx.x;
    if (v < V) { out[(size_t)blockIdx.x * V + v] = (float)x[(size_t)blockIdx.x * stride + v]; }
}

const float* gpt2_decode(const GPT2* model, Decoder* d, const int* tokens, const int* rows, const int* places, int B) {
    int C = model->config.channels, V = model->config.vocab_size;
    check(B <= d->rows, "%d rows at a time: the decoder has room for %d", B, d->rows);
    blocks_decode(model, d, tokens, rows, places, B);
    layernorm_forward(d->lnf, d->stats, d->stats + d->rows, d->x, model->weight.lnfw, model->weight.lnfb, B, C);
    matmul_forward_rows(d->logits, d->lnf, model->weight.wte, NULL, B, C, logits_stride(&model->config));
    widen_kernel<<<dim3((unsigned)B, blocks_of((size_t)V, THREADS)), THREADS>>>(d->wide, d->logits, V, logits_stride(&model->config));
    LAUNCHED();
    device_read(d->host, d->wide, sizeof(float) * (size_t)B * (size_t)V);
    return d->host;
}

#ifndef TESTING
static const char about[] =
    "train_gpt2_drpt_cuda: trains GPT-2 on an NVIDIA GPU; with target data, regularized by general data.\n"
    "  pretrain   train_gpt2_drpt_cuda --init d12 --general 'text_*.bin' --seq 1024 --out base\n"
    "  post-train train_gpt2_drpt_cuda --init base/model_final.bin --general pool.bin --target few.bin --val held_out.bin --out run\n"
    "  generate   train_gpt2_drpt_cuda --init run/model_final.bin --generate \"Once upon\"\n"
    "  build/dev/prep makes data files from text and JSON; --help lists all options.\n";

int main(int argc, char** argv) { return run_main(argc, argv, about); }
#endif
