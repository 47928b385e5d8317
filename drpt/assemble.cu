// assemble.cu -- the gradient of a site on the GPU; see site.h for the formulas.
//
// Each element of dweight belongs to one thread, which adds in the order of the positions: no atomics, the same bits each run.
#include "assemble.h"
#include "../llmc/device.cuh"
#include "../llmc/matmul.h"

enum { BLOCK = 256, COLUMNS = 32, ROWS = 8, PARTS = 64 };

// A layer normalisation is two sums over all N positions: as in matmul.cu a block takes COLUMNS channels, and of the positions every
// gridDim.y-th piece of ROWS. partial (parts,2,C).
// grid (C / COLUMNS, parts), block (COLUMNS, ROWS)
static __global__ void layernorm_partial_kernel(float* partial, const float* dout, const float* inp, const float* mean, const float* rstd,
                                                int N, int C) {
    __shared__ float dw[ROWS][COLUMNS], db[ROWS][COLUMNS];
    int x = threadIdx.x, y = threadIdx.y, c = blockIdx.x * COLUMNS + x;
    float w = 0.0f, b = 0.0f;
    for (size_t n = (size_t)blockIdx.y * ROWS + y; n < (size_t)N && c < C; n += (size_t)gridDim.y * ROWS) {
        float dy = dout[n*C + c];
        w += dy * (inp[n*C + c] - mean[n]) * rstd[n];
        b += dy;
    }
    dw[y][x] = w;
    db[y][x] = b;
    __syncthreads();
    if (y > 0 || c >= C) { return; }
    for (int k = 1; k < ROWS; k++) { w += dw[k][x]; b += db[k][x]; }
    partial[(size_t)blockIdx.y * 2*C + c] = w;
    partial[(size_t)blockIdx.y * 2*C + C + c] = b;
}

// One thread a channel. grid (C / BLOCK), block (BLOCK)
static __global__ void layernorm_add_kernel(float* dweight, float* dbias, const float* partial, int parts, int C) {
    int c = blockIdx.x * BLOCK + threadIdx.x;
    if (c >= C) { return; }
    float w = 0.0f, b = 0.0f;
    for (int p = 0; p < parts; p++) {
        w += partial[(size_t)p * 2*C + c];
        b += partial[(size_t)p * 2*C + C + c];
    }
    dweight[c] += w;
    dbias[c] += b;
}

static void layernorm(const Site* s, int N) {
    int C = s->rows, parts = (int)blocks_of((size_t)N, ROWS * 4);
    float* partial = (float*)device.workspace;
    parts = parts > PARTS ? PARTS : parts;
    check((size_t)parts * 2 * C * sizeof(float) <= WORKSPACE, "a layer normalisation of %d channels does not fit the workspace", C);
    layernorm_partial_kernel<<<dim3(blocks_of((size_t)C, COLUMNS), (unsigned)parts), dim3(COLUMNS, ROWS)>>>(
        partial, s->dout, s->inp, s->mean, s->rstd, N, C);
    LAUNCHED();
    layernorm_add_kernel<<<blocks_of((size_t)C, BLOCK), BLOCK>>>(s->dweight, s->dbias, partial, parts, C);
    LAUNCHED();
}

// One thread an element, which all rows of the batch add to. grid (TC / BLOCK), block (BLOCK)
static __global__ void position_kernel(float* dweight, const float* dout, int B, size_t TC) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k >= TC) { return; }
    float sum = 0.0f;
    for (int b = 0; b < B; b++) { sum += dout[(size_t)b * TC + k]; }
    dweight[k] += sum;
}

// A warp takes the row of one position's token, if that position is the token's first, and SLICE of its channels: it adds up the
// gradients of all positions that have the token, which it finds 32 at a time.
// grid (N / WARPS; C / SLICE), block (WARP, WARPS)
enum { WARPS = 4, OWN = 8, SLICE = OWN * WARP };
static __global__ void lookup_kernel(float* dweight, const float* dlookup, const int* tokens, int N, int C) {
    int at = blockIdx.x * WARPS + threadIdx.y, lane = threadIdx.x, first = blockIdx.y * SLICE + lane;
    if (at >= N) { return; }
    int token = tokens[at];
    for (int n = at; n > 0; n -= WARP) { // backwards: what is frequent was there a moment ago
        int before = n - 1 - lane;
        if (__any_sync(~0u, before >= 0 && tokens[before < 0 ? 0 : before] == token)) { return; }
    }
    float sum[OWN] = {0.0f};
    for (int n = at; n < N; n += WARP) {
        unsigned same = __ballot_sync(~0u, n + lane < N && tokens[n + lane < N ? n + lane : at] == token);
        for (; same != 0; same &= same - 1) {
            const float* d = dlookup + (size_t)(n + __ffs((int)same) - 1) * C;
            for (int k = 0; k < OWN; k++) { sum[k] += first + k * WARP < C ? d[first + k * WARP] : 0.0f; }
        }
    }
    for (int k = 0; k < OWN && first + k * WARP < C; k++) { dweight[(size_t)token * C + first + k * WARP] += sum[k]; }
}

static void lookup(const Site* s, int N) {
    dim3 grid(blocks_of((size_t)N, WARPS), blocks_of((size_t)s->cols, SLICE));
    lookup_kernel<<<grid, dim3(WARP, WARPS)>>>(s->dweight, s->dlookup, s->tokens, N, s->cols);
    LAUNCHED();
}

static int all_ones(const float* weight, int B) {
    int b = 0;
    while (b < B && weight[b] == 1.0f) { b++; }
    return b == B;
}

void drpt_assemble(const Site* s, const float* weight, int B, int T, float*, size_t, int) {
    check(all_ones(weight, B) && s->parts == 1, "weighted gradients: not built for the GPU yet; only --method full without --target is");
    int N = B * T;
    size_t TC = (size_t)T * (size_t)s->cols;
    switch (s->kind) {
        case SITE_LINEAR:    matmul_backward_params(s->dweight, s->dbias, s->dout, s->inp, N, s->cols, s->rows); break;
        case SITE_LAYERNORM: layernorm(s, N); break;
        case SITE_POSITION:  position_kernel<<<blocks_of(TC, BLOCK), BLOCK>>>(s->dweight, s->dout, B, TC);
                             LAUNCHED(); break;
        case SITE_TOKEN:     matmul_backward_params(s->dweight, NULL, s->dout, s->inp, N, s->cols, s->rows);
                             lookup(s, N); break;
        case SITE_LOOKUP:    lookup(s, N); break;
    }
}

size_t assemble_scratch(int, int) { return 0; }

void drpt_assemble_kept(const Site*, const double*, double, const float*, int, int) {
    check(0, "kept gradients: not built for the GPU yet");
}
