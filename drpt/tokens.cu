// tokens.cu -- see tokens.h, and tokens.c for the formula: slabs of the site's rows, of which the target's gradient t is formed and
// multiplied with all general positions.
#include "tokens.h"
#include "direct.h"
#include "form.cuh"
#include "table.cuh"
#include "../llmc/product.cuh"

enum { SLAB = 8 << 20, FEWEST = 128, BLOCK = 256, WARPS = BLOCK / WARP }; // SLAB: floats of products, which stay in the second-level cache

static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// Floats that a row of t takes, with its copy as Real, which the products are of.
static size_t row_floats(size_t cols) { return (sizeof(Real) < sizeof(float) ? 2 : 1) * (cols + 1); }

size_t tokens_scratch(int n, int, int T, int widest) {
    size_t row = row_floats((size_t)widest), one = row + (size_t)T, all = (row + (size_t)n * (size_t)T) * ((size_t)widest / 4 + 16);
    return 64 + most(one, least(SLAB, all));
}

// A slab: its rows, how many rows of the batch are multiplied with it at a time, and the memory.
typedef struct {
    int o, rows, together;
    float* t;              // t (rows, cols), its bias (rows)
    Real* factor;          // (rows, cols): t, as Real
    float* products;       // (together * T, rows)
} Slab;

static Slab divide(const Site* s, const Gather* g, float* room, size_t floats) {
    size_t T = (size_t)g->T, N = most(1, (size_t)g->n) * T, fit = (floats - 32) / (row_floats((size_t)s->cols) + T);
    Slab k = { .o = 0, .rows = slab_rows(s, least(fit, most(FEWEST, SLAB / N))), .together = 0, .t = room, .factor = NULL, .products = NULL };
    float* copy = room + slab_step(s, k.rows);
    k.factor = sizeof(Real) < sizeof(float) ? (Real*)copy : (Real*)room;
    k.products = sizeof(Real) < sizeof(float) ? copy + ((size_t)k.rows * (size_t)s->cols + 15) / 16 * 8 : copy;
    k.together = (int)least(most(1, (size_t)g->n), (size_t)(room + floats - k.products) / ((size_t)k.rows * T));
    return k;
}

// One thread an element. grid (count / BLOCK), block (BLOCK)
static __global__ void copy_kernel(Real* to, const float* from, size_t count) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < count) { to[k] = (Real)from[k]; }
}

// Forms the slab of t and adds |t|^2 to entry (n,n); then t in the metric, if there is one, and its copy.
static void form(Table table, const Slab* k, const Site* s, const Gather* g) {
    size_t weights = (size_t)k->rows * (size_t)s->cols;
    form_gradients(k->t, slab_step(s, k->rows), s, vectors_of(g, g->n), k->o, k->rows);
    table_add(table, k->t, 0, slab_length(s, k->rows), g->n, g->n);
    if (g->metric) {
        gather_metric(k->t, s->vweight + (size_t)k->o * (size_t)s->cols, weights, g);
        if (s->dbias) { gather_metric(k->t + weights, s->vbias + k->o, (size_t)k->rows, g); }
    }
    if (sizeof(Real) == sizeof(float)) { return; }
    copy_kernel<<<blocks_of(weights, BLOCK), BLOCK>>>(k->factor, k->t, weights);
    LAUNCHED();
}

// Entry (i, last) of the table, for rows i from `first` on, += what their positions find in the slab: each warp of a block takes a
// position, adding dout . (products + bias) over the slab's rows, and of a token site t[w] . dlookup if its word is one of them.
// dout begins at the slab's first column. grid (pieces; rows of the batch), block (BLOCK)
static __global__ void dot_kernel(double* partial, int V, int first, const float* products, const float* bias, const Real* dout, size_t stride,
                                  const float* t, const Real* dlookup, const int* tokens, int o, int rows, int cols, int T) {
    int i = first + blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float sum = 0.0f;
    for (int a = blockIdx.x * WARPS + warp; a < T; a += gridDim.x * WARPS) {
        size_t at = (size_t)i * T + a;
        const float* x = products + ((size_t)blockIdx.y * T + a) * rows;
        for (int c = lane; c < rows; c += WARP) { sum += (float)dout[at * stride + c] * (x[c] + (bias ? bias[c] : 0.0f)); }
        if (!tokens || tokens[at] < o || tokens[at] >= o + rows) { continue; }
        for (int c = lane; c < cols; c += WARP) { sum += t[(size_t)(tokens[at] - o) * cols + c] * (float)dlookup[at * cols + c]; }
    }
    double all = block_sum<BLOCK>((double)sum);
    if (threadIdx.x == 0) { partial[((size_t)blockIdx.x * V + i) * V + V - 1] += all; }
}

static void multiply(Table table, const Slab* k, const Site* s, const Gather* g) {
    const float* bias = s->dbias ? k->t + (size_t)k->rows * (size_t)s->cols : NULL;
    const int* tokens = s->kind == SITE_TOKEN ? s->tokens : NULL;
    for (int first = 0; first < g->n; first += k->together) {
        int count = g->n - first < k->together ? g->n - first : k->together;
        product(matrix(k->products, count * g->T, k->rows), matrix(s->inp + (size_t)first * g->T * s->cols, count * g->T, s->cols),
                turned(k->factor, k->rows, s->cols));
        dim3 grid((unsigned)least((size_t)table.pieces, blocks_of((size_t)g->T, WARPS)), (unsigned)count);
        dot_kernel<<<grid, BLOCK>>>(table.partial, table.V, first, k->products, bias, s->dout + k->o, (size_t)s->stride,
                                    k->t, s->dlookup, tokens, k->o, k->rows, s->cols, g->T);
        LAUNCHED();
    }
}

void gather_tokens(Statistics* st, const Site* s, const Gather* g) {
    Table table = table_open(g, st, g->n + 1 + g->metric);
    Slab all = divide(s, g, g->scratch, g->part);
    for (int o = 0; o < s->rows; o += all.rows) {
        Slab k = all;
        k.o = o;
        k.rows = s->rows - o < all.rows ? s->rows - o : all.rows;
        form(table, &k, s, g);
        if (g->needs) { multiply(table, &k, s, g); }
    }
}
