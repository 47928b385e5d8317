// site.c -- the gradient of one site for any weighting of the batch's rows.
#include "site.h"
#include "../llmc/matmul.h"

#include <string.h>

static float weight_of(const float* weight, int b) { return weight ? weight[b] : 1.0f; }

// scaled (rows*T, count) = columns [o, o+count) of the rows' dout, times their weight.
static void scaled_columns(float* scaled, const Site* s, const float* weight, int first, int end, int T, int o, int count) {
    for (int b = first; b < end; b++) {
        float w = weight_of(weight, b);
        for (int t = 0; t < T; t++) {
            const float* dout = s->dout + ((size_t)b * T + t) * s->stride + o;
            for (int k = 0; k < count; k++) { scaled[k] = w * dout[k]; }
            scaled += count;
        }
    }
}

// One product for each run of consecutive rows that count.
static void linear(float* dweight, float* dbias, const Site* s, const float* weight, int first, int end, int T,
                   int o, int count, float* scratch) {
    for (int b = first, stop; b < end; b = stop) {
        for (stop = b + 1; stop < end && (weight_of(weight, stop) != 0.0f) == (weight_of(weight, b) != 0.0f); stop++) { }
        if (weight_of(weight, b) == 0.0f) { continue; }
        scaled_columns(scratch, s, weight, b, stop, T, o, count);
        matmul_backward_params(dweight, dbias, scratch, s->inp + (size_t)b * T * s->cols, (stop - b) * T, s->cols, count);
    }
}

static void layernorm(float* dweight, float* dbias, const Site* s, const float* weight, int first, int end, int T,
                      int o, int count) {
    for (size_t at = (size_t)first * T; at < (size_t)end * T; at++) {
        float w = weight_of(weight, (int)(at / (size_t)T));
        if (w == 0.0f) { continue; }
        const float* dout = s->dout + at * s->stride + o;
        const float* inp = s->inp + at * s->rows + o;
        for (int c = 0; c < count; c++) {
            dweight[c] += w * dout[c] * (inp[c] - s->mean[at]) * s->rstd[at];
            if (dbias) { dbias[c] += w * dout[c]; }
        }
    }
}

static void position(float* dweight, const Site* s, const float* weight, int first, int end, int T, int o, int count) {
    for (int b = first; b < end; b++) {
        float w = weight_of(weight, b);
        if (w == 0.0f) { continue; }
        const float* dout = s->dout + ((size_t)b * T + o) * s->cols;
        for (size_t k = 0; k < (size_t)count * s->cols; k++) { dweight[k] += w * dout[k]; }
    }
}

static void lookup(float* dweight, const Site* s, const float* weight, int first, int end, int T, int o, int count) {
    for (size_t at = (size_t)first * T; at < (size_t)end * T; at++) {
        float w = weight_of(weight, (int)(at / (size_t)T));
        int row = s->tokens[at] - o;
        if (w == 0.0f || row < 0 || row >= count) { continue; }
        const float* d = s->dlookup + at * s->cols;
        float* to = dweight + (size_t)row * s->cols;
        for (int c = 0; c < s->cols; c++) { to[c] += w * d[c]; }
    }
}

void site_gradient(float* dweight, float* dbias,
                   const Site* s, const float* weight, int first, int end, int T,
                   int o, int count, float* scratch) {
    switch (s->kind) {
        case SITE_LINEAR:    linear(dweight, dbias, s, weight, first, end, T, o, count, scratch); break;
        case SITE_LAYERNORM: layernorm(dweight, dbias, s, weight, first, end, T, o, count); break;
        case SITE_POSITION:  position(dweight, s, weight, first, end, T, o, count); break;
        case SITE_TOKEN:     linear(dweight, NULL, s, weight, first, end, T, o, count, scratch);
                             lookup(dweight, s, weight, first, end, T, o, count); break;
        case SITE_LOOKUP:    lookup(dweight, s, weight, first, end, T, o, count); break;
    }
}

const float* site_dout(float* copy, const Site* s, size_t begin, int count) {
    if (s->stride == s->rows) { return s->dout + begin * s->rows; }
    #pragma omp parallel for
    for (int k = 0; k < count; k++) {
        memcpy(copy + (size_t)k * s->rows, s->dout + (begin + (size_t)k) * s->stride, sizeof(float) * (size_t)s->rows);
    }
    return copy;
}

int site_slab_rows(const Site* s, int copies) {
    int rows = SLAB_FLOATS / (copies * (site_block_width(s, 0) + 1));
    rows = rows < SLAB_MIN_ROWS ? SLAB_MIN_ROWS : rows > SLAB_MAX_ROWS ? SLAB_MAX_ROWS : rows;
    return rows < s->rows ? rows : s->rows;
}
