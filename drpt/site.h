// site.h -- one weight of one layer with the factors of its gradient, and that gradient for any weighting
// of the batch's rows.
#ifndef DRPT_SITE_H
#define DRPT_SITE_H

#include "../llmc/real.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DRPT_MAX_SITES = 4096 };

typedef enum { SITE_LINEAR, SITE_LAYERNORM, SITE_POSITION, SITE_TOKEN, SITE_LOOKUP } SiteKind; // LOOKUP: of a token site, that part alone

// The gradient of a site is a matrix (rows, cols), with one more column if it has a bias:
//                 rows   cols
//     linear      OC     C      dweight[o] = sum_bt dout[b,t,o] inp[b,t]            bias: its input is 1
//     layernorm   C      1      dweight[c] = sum_bt dout[b,t,c] xhat[b,t,c]         bias: xhat is 1
//     position    T      C      dweight[t] = sum_b  dout[b,t]
//     token       V      C      dweight[v] = sum_bt dout[b,t,v] inp[b,t] + sum of dlookup[b,t] where tokens[b,t] = v
// The tied token embedding is one matrix with two roles; its inner products have cross terms, which come
// right by themselves when the two parts are added first. The parts of a fused projection (Q, K and V) are linear sites that
// share their input; the dout of a part is columns of the whole one's.
typedef struct {
    SiteKind kind;
    const char* name;
    int block;                 // of the model, -1 outside
    float* dweight;            // receive the update
    float* dbias;              // or NULL
    const Real* dout;          // the factors are the trainer's buffers
    const Real* inp;
    const float *mean, *rstd;  // layernorm
    const Real* dlookup;       // token
    const int* tokens;
    int rows, cols;
    int stride;                // numbers from one position of dout to the next; rows, unless the site is a part of a fused projection
    int part, parts;           // of a fused projection, else 0, 1
    int index;                 // of the site within the model, the same in every step: where per-site state is found
    const float *vweight, *vbias; // AdamW's second moments of dweight and dbias; NULL: not asked for
} Site;

// Floats of its gradient, bias included.
static inline size_t site_size(const Site* s) { return (size_t)s->rows * ((size_t)s->cols + (s->dbias != NULL)); }

// In those kinds a gradient is a product of two matrices, which is what routes other than forming it live on.
static inline int site_is_product(const Site* s) { return s->kind == SITE_LINEAR || s->kind == SITE_TOKEN; }

// Positions [begin, begin + count) of dout in one piece, (count, rows): where they are, or in `copy`, count * rows floats, if the site
// is a part of a fused projection.
const Real* site_dout(Real* copy, const Site* s, size_t begin, int count);

// Rows [o, o+count) of  sum_b weight[b] G_b  over the batch's rows b in [first, end), G_b the gradient of row b. weight NULL: all 1.
// dweight (count, cols) and dbias (count) or NULL are added to. Rows of weight 0 are not read, so
// that a NaN in them stays there. scratch: (end-first)*T*count floats.
void site_gradient(float* dweight, float* dbias,
                   const Site* s, const float* weight, int first, int end, int T,
                   int o, int count, float* scratch);

// Gradients are formed in blocks of so many columns (direct.c).
enum { SITE_BLOCK = 128 };
static inline int site_block_width(const Site* s, int c) { return s->cols - c < SITE_BLOCK ? s->cols - c : SITE_BLOCK; }

// How many rows of a block to treat at a time, so that `copies` slabs of them stay in a core's cache (SLAB_FLOATS, as
// long as that allows SLAB_MIN_ROWS), and never more than SLAB_MAX_ROWS.
enum { SLAB_FLOATS = 96 * 1024, SLAB_MIN_ROWS = 8, SLAB_MAX_ROWS = 128 };
int site_slab_rows(const Site* s, int copies);

#ifdef __cplusplus
}
#endif

#endif // DRPT_SITE_H
