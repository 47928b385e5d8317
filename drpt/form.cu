// form.cu -- see form.cuh, and site.h for the formulas. A kernel or product forms all vectors at once; each of their elements belongs
// to one thread, which adds in the order of the positions.
#include "form.cuh"
#include "../llmc/product.cuh"

enum { BLOCK = 256, SUM_WARPS = 16, WARPS = 4, OWN = 8, SLICE = OWN * WARP };

// The positions that vector i sums over.
static __device__ size_t begin_of(Vectors v, int i) { return (size_t)i * v.T; }
static __device__ size_t end_of(Vectors v, int i) { return (size_t)(i < v.singles ? i + 1 : v.B) * v.T; }

// The product of both factors: a batch of the single rows, and one of the rest.
static void form_products(float* to, size_t step, const Site* s, Vectors v, int o, int rows) {
    int alone = v.singles - v.first, rest = (v.B - v.singles) * v.T;
    size_t T = (size_t)v.T, stride = (size_t)s->stride, cols = (size_t)s->cols;
    const Real *dout = s->dout + (size_t)v.first * T * stride + o, *inp = s->inp + (size_t)v.first * T * cols;
    product(matrix(to, rows, s->cols, 0, step), turned(dout, v.T, rows, stride, T * stride), matrix(inp, v.T, s->cols, 0, T * cols), 0.0f, NULL, alone);
    if (v.count == v.singles) { return; }
    size_t at = (size_t)alone;
    product(matrix(to + at * step, rows, s->cols), turned(dout + at * T * stride, rest, rows, stride), matrix(inp + at * T * cols, rest, s->cols));
}

// Sums of columns: a bias, and the weights (rows) of a layer normalisation, if they are not NULL. A block takes 32 neighbouring columns
// of one vector; its warps share out the positions, and the first adds up what they found. dout and inp begin at the slab's first column.
// grid (rows / WARP; vectors), block (WARP, SUM_WARPS)
static __global__ void sums_kernel(float* weights, float* bias, size_t step, const Real* dout, const Real* inp,
                                   const float* mean, const float* rstd, size_t dout_stride, size_t inp_stride, int rows, Vectors v) {
    __shared__ float dw[SUM_WARPS][WARP], db[SUM_WARPS][WARP];
    int x = threadIdx.x, y = threadIdx.y, o = blockIdx.x * WARP + x, i = v.first + (int)blockIdx.y;
    int positions = (int)(end_of(v, i) - begin_of(v, i)), count = o < rows ? steps_below(positions, y, SUM_WARPS) : 0;
    float w = 0.0f, b = 0.0f;
    #pragma unroll 4
    for (int k = 0; k < count; k++) {
        size_t at = begin_of(v, i) + (size_t)(y + k * SUM_WARPS);
        float d = (float)dout[at * dout_stride + o];
        b += d;
        if (weights) { w += d * ((float)inp[at * inp_stride + o] - mean[at]) * rstd[at]; }
    }
    dw[y][x] = w;
    db[y][x] = b;
    __syncthreads();
    if (y > 0 || o >= rows) { return; }
    for (int k = 1; k < SUM_WARPS; k++) { w += dw[k][x]; b += db[k][x]; }
    if (weights) { weights[blockIdx.y * step + o] = w; }
    if (bias) { bias[blockIdx.y * step + o] = b; }
}

static void form_sums(float* to, size_t step, const Site* s, Vectors v, int o, int rows) {
    bool norm = s->kind == SITE_LAYERNORM;
    float* bias = s->dbias ? to + (size_t)rows * (size_t)s->cols : NULL;
    dim3 grid(blocks_of((size_t)rows, WARP), (unsigned)(v.count - v.first));
    sums_kernel<<<grid, dim3(WARP, SUM_WARPS)>>>(norm ? to : NULL, bias, step, s->dout + o, norm ? s->inp + o : NULL, s->mean, s->rstd,
                                                 (size_t)s->stride, (size_t)s->rows, rows, v);
    LAUNCHED();
}

// One thread an element. dout begins at the slab's first row of the `places` there are, C numbers each.
// grid (elements / BLOCK; vectors), block (BLOCK)
static __global__ void position_kernel(float* to, size_t step, const Real* dout, size_t elements, size_t places, size_t C, Vectors v) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    int i = v.first + (int)blockIdx.y;
    if (k >= elements) { return; }
    float sum = 0.0f;
    for (size_t at = begin_of(v, i), end = end_of(v, i); at < end; at += places) { sum += (float)dout[at * C + k]; }
    to[blockIdx.y * step + k] = sum;
}

static void form_positions(float* to, size_t step, const Site* s, Vectors v, int o, int rows) {
    size_t C = (size_t)s->cols, elements = (size_t)rows * C;
    dim3 grid(blocks_of(elements, BLOCK), (unsigned)(v.count - v.first));
    position_kernel<<<grid, BLOCK>>>(to, step, s->dout + (size_t)o * C, elements, (size_t)s->rows, C, v);
    LAUNCHED();
}

// Lookups added to the vectors. A warp takes the row of one position's token, if that position is the first of its vector to have it,
// and SLICE of its channels: it adds up what all positions of the vector with that token looked up there, which it finds 32 at a time.
// grid (positions / WARPS; C / SLICE), block (WARP, WARPS)
static __global__ void lookup_kernel(float* to, size_t step, const Real* dlookup, const int* tokens, int o, int rows, int C, Vectors v) {
    size_t at = begin_of(v, v.first) + (size_t)blockIdx.x * WARPS + threadIdx.y;
    int lane = threadIdx.x, slice = blockIdx.y * SLICE + lane;
    if (at >= (size_t)v.B * v.T) { return; }
    int token = tokens[at], row = (int)(at / (size_t)v.T), i = row < v.singles ? row : v.singles;
    if (token < o || token >= o + rows) { return; }
    size_t begin = begin_of(v, i), end = end_of(v, i);
    for (size_t n = at; n > begin; n = n - begin > WARP ? n - WARP : begin) { // backwards: what is frequent was there a moment ago
        bool there = n - begin > (size_t)lane;
        if (__any_sync(~0u, tokens[there ? n - 1 - lane : at] == token && there)) { return; }
    }
    float sum[OWN] = {0.0f};
    for (size_t n = at; n < end; n += WARP) {
        unsigned same = __ballot_sync(~0u, n + lane < end && tokens[n + lane < end ? n + lane : at] == token);
        for (; same != 0; same &= same - 1) {
            const Real* d = dlookup + (n + __ffs((int)same) - 1) * C;
            for (int k = 0; k < OWN; k++) { sum[k] += slice + k * WARP < C ? (float)d[slice + k * WARP] : 0.0f; }
        }
    }
    float* x = to + (size_t)(i - v.first) * step + (size_t)(token - o) * C;
    for (int k = 0; k < OWN && slice + k * WARP < C; k++) { x[slice + k * WARP] += sum[k]; }
}

static void add_lookups(float* to, size_t step, const Site* s, Vectors v, int o, int rows) {
    dim3 grid(blocks_of((size_t)(v.B - v.first) * (size_t)v.T, WARPS), blocks_of((size_t)s->cols, SLICE));
    if (v.B == v.first) { return; }
    lookup_kernel<<<grid, dim3(WARP, WARPS)>>>(to, step, s->dlookup, s->tokens, o, rows, s->cols, v);
    LAUNCHED();
}

int slab_rows(const Site* s, size_t fit) {
    check(fit > 0, "%s: no room for a row of its gradients", s->name);
    if (fit >= (size_t)s->rows) { return s->rows; }
    return (int)(fit < 64 ? fit : fit / 64 * 64);
}

void form_gradients(float* to, size_t step, const Site* s, Vectors v, int o, int rows) {
    if (v.count == v.first) { return; }
    switch (s->kind) {
        case SITE_LINEAR:    form_products(to, step, s, v, o, rows);
                             if (s->dbias) { form_sums(to, step, s, v, o, rows); }
                             break;
        case SITE_LAYERNORM: form_sums(to, step, s, v, o, rows); break;
        case SITE_POSITION:  form_positions(to, step, s, v, o, rows); break;
        case SITE_TOKEN:     form_products(to, step, s, v, o, rows);
                             add_lookups(to, step, s, v, o, rows); break;
        case SITE_LOOKUP:    CUDA(cudaMemsetAsync(to, 0, sizeof(float) * step * (size_t)(v.count - v.first)));
                             add_lookups(to, step, s, v, o, rows); break;
    }
}
