// factor.cu -- a site's gradients as sums of outer products a x' over positions; see factor.cuh.
#include "factor.cuh"
#include "../llmc/product.cuh"

#include <string.h>

enum { BLOCK = 256, WARPS = 4, SUM_WARPS = 16, OWN = 8, SLICE = OWN * WARP, PARTS = 64, FEW_POSITIONS = 256 };

// ---------------------------------------------------------------------------------------------
// The factors.

// Of each of `count` rows of the batch, the sum over N positions of a x': a (N,rows), `stride` apart, or, where it is NULL, the unit
// vector of a word; x (N,cols), or NULL: zeros. The bias column is 1 if there is one.
typedef struct {
    const float *a, *x;
    size_t stride;
    const int* token; // NULL: the word is the place in the sequence, of as many as the site has rows,
    int place;        // of the first position
    int count, N, bias;
} Term;

void factors_begin(Factors* f, const Site* site, int T, const unsigned char* use) {
    f->site = site;
    f->T = T;
    f->use = use;
    f->held = Piece{};
}

void factors_free(Factors* f) {
    for (Buffer* b : { &f->a, &f->x, &f->word, &f->p, &f->q, &f->ones, &f->partial, &f->whole }) { device_free(b->data); }
}

static size_t floats_of(const Factors* f) { return f->floats > 0 ? f->floats : (size_t)FACTOR_FLOATS; }

Piece piece_first(const Factors* f, int first, int end, int k, size_t more) {
    const Site* s = f->site;
    size_t floats = floats_of(f), T = (size_t)f->T, rows = (size_t)s->rows, cols = (size_t)s->cols;
    size_t position = (s->dout ? rows : 0) + 2 * cols + (size_t)k;
    size_t row = more + (s->kind == SITE_LAYERNORM ? 2 * rows + (size_t)k : T * position);
    Piece p = { first, end - first, 0, f->T, f->T };
    if (floats / row < (size_t)p.count) { p.count = (int)(floats / row); }
    if (first == end || p.count > 0) { return p; }
    p.count = 1;
    if (s->kind == SITE_LAYERNORM) { return p; }
    size_t fit = floats > more ? (floats - more) / position : 0;
    if (fit < FEW_POSITIONS && f->floats == 0) { fit = FEW_POSITIONS; }
    if (fit == 0) { fit = 1; }
    if (fit < T) { p.positions = p.most = (int)fit; }
    return p;
}

Piece piece_next(const Factors* f, Piece p, int end) {
    p.at += p.positions;
    if (p.at == f->T) {
        p.at = 0;
        p.first += p.count;
        p.count = p.count < end - p.first ? p.count : end - p.first;
    }
    p.positions = f->T - p.at < p.most ? f->T - p.at : p.most;
    return p;
}

// grid (positions; channels / BLOCK), block (BLOCK)
static __global__ void pack_kernel(float* out, const Real* in, size_t stride, const unsigned char* use, int N, int channels) {
    size_t n = blockIdx.x;
    int c = blockIdx.y * BLOCK + threadIdx.x;
    if (c >= channels) { return; }
    out[n * (size_t)channels + c] = !use || use[n / (size_t)N] ? (float)in[n * stride + c] : 0.0f;
}

// The two columns of the gradients of a layer normalisation. A block takes 32 neighbouring channels of one row of the batch; its warps
// share out the positions, and the first adds up what they found. grid (rows / WARP; rows of the batch), block (WARP, SUM_WARPS)
static __global__ void layernorm_kernel(float* weight, float* bias, const Real* dout, const Real* inp, const float* mean, const float* rstd,
                                        size_t stride, const unsigned char* use, int T, int rows) {
    __shared__ float dw[SUM_WARPS][WARP], db[SUM_WARPS][WARP];
    int x = threadIdx.x, y = threadIdx.y, c = blockIdx.x * WARP + x, b = blockIdx.y;
    int count = c < rows && (!use || use[b]) ? steps_below(T, y, SUM_WARPS) : 0;
    float w = 0.0f, sum = 0.0f;
    #pragma unroll 4
    for (int k = 0; k < count; k++) {
        size_t n = (size_t)b * T + (size_t)(y + k * SUM_WARPS);
        float dy = (float)dout[n * stride + c];
        w += dy * ((float)inp[n * rows + c] - mean[n]) * rstd[n];
        sum += dy;
    }
    dw[y][x] = w;
    db[y][x] = sum;
    __syncthreads();
    if (y > 0 || c >= rows) { return; }
    for (int k = 1; k < SUM_WARPS; k++) { w += dw[k][x]; sum += db[k][x]; }
    weight[(size_t)b * rows + c] = w;
    bias[(size_t)b * rows + c] = sum;
}

// grid (n / BLOCK), block (BLOCK)
static __global__ void ones_kernel(float* x, size_t n) {
    size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (k < n) { x[k] = 1.0f; }
}

static const float* ones(Factors* f, size_t n) {
    size_t before = f->ones.bytes;
    float* x = buffer_take<float>(&f->ones, n);
    if (f->ones.bytes != before) {
        ones_kernel<<<blocks_of(n, BLOCK), BLOCK>>>(x, n);
        LAUNCHED();
    }
    return x;
}

static size_t position_of(const Factors* f, Piece p) { return (size_t)p.first * (size_t)f->T + (size_t)p.at; }

// Channels [0, channels) of `in`, `apart` from one position to the next, at those of the piece: where they are, if nothing keeps their
// rows out and they are floats; else in `room`, whose stride is then left in *stride.
static const float* packed(Buffer* room, size_t* stride, const Factors* f, Piece p, const Real* in, int channels, size_t apart) {
    size_t N = (size_t)p.count * (size_t)p.positions;
    in += position_of(f, p) * apart;
    *stride = apart;
    if (!f->use && sizeof(Real) == sizeof(float)) { return (const float*)in; }
    *stride = (size_t)channels;
    float* out = buffer_take<float>(room, N * (size_t)channels);
    if (memcmp(&p, &f->held, sizeof(p)) == 0) { return out; }
    pack_kernel<<<dim3((unsigned)N, blocks_of((size_t)channels, BLOCK)), BLOCK>>>(
        out, in, apart, f->use ? f->use + p.first : NULL, p.positions, channels);
    LAUNCHED();
    return out;
}

// A gradient of two columns, formed at once; each is a position.
static int layernorm_terms(Term term[2], Factors* f, Piece p) {
    const Site* s = f->site;
    size_t at = position_of(f, p), rows = (size_t)s->rows, size = (size_t)p.count * rows;
    float *weight = buffer_take<float>(&f->a, 2 * size), *bias = weight + size;
    layernorm_kernel<<<dim3(blocks_of(rows, WARP), (unsigned)p.count), dim3(WARP, SUM_WARPS)>>>(
        weight, bias, s->dout + at * (size_t)s->stride, s->inp + at * rows, s->mean + at, s->rstd + at, (size_t)s->stride,
        f->use ? f->use + p.first : NULL, f->T, s->rows);
    LAUNCHED();
    term[0] = Term{ weight, ones(f, (size_t)p.count), rows, NULL, 0, p.count, 1, 0 };
    term[1] = Term{ bias, NULL, rows, NULL, 0, p.count, 1, 1 };
    return s->dbias ? 2 : 1;
}

// The one or two terms of a piece.
static int terms(Term term[2], Factors* f, Piece p) {
    const Site* s = f->site;
    if (s->kind == SITE_LAYERNORM) { return layernorm_terms(term, f, p); }
    int count = 0;
    size_t unused;
    if (site_is_product(s)) {
        Term t = { NULL, NULL, 0, NULL, 0, p.count, p.positions, s->dbias != NULL };
        t.a = packed(&f->a, &t.stride, f, p, s->dout, s->rows, (size_t)s->stride);
        t.x = packed(&f->x, &unused, f, p, s->inp, s->cols, (size_t)s->cols);
        term[count++] = t;
    }
    if (s->kind != SITE_LINEAR) {
        int by_place = s->kind == SITE_POSITION;
        const float* x = packed(&f->word, &unused, f, p, by_place ? s->dout : s->dlookup, s->cols, (size_t)s->cols);
        term[count++] = Term{ NULL, x, 0, by_place ? NULL : s->tokens + position_of(f, p), p.at, p.count, p.positions, 0 };
    }
    f->held = p;
    return count;
}

// ---------------------------------------------------------------------------------------------
// Sums by words.

// P (count * N,k): column word(n) of left (k,rows), of the row's own one if they are `apart`. grid (elements / BLOCK), block (BLOCK)
static __global__ void pick_words_kernel(float* P, const float* left, const int* token, int place, int N, size_t elements, int k, int rows,
                                         size_t apart) {
    size_t e = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    if (e >= elements) { return; }
    size_t n = e / (size_t)k, j = e % (size_t)k;
    int word = token ? token[n] : (place + (int)(n % (size_t)N)) % rows;
    P[e] = left[n / (size_t)N * apart + j * (size_t)rows + word];
}

// Where the rows of Q are added: element (word,j) of a matrix at (word - first) * word_stride + j * stride, for `words` words.
typedef struct { float* out; size_t apart, word_stride, stride; int first, words; } Words;

// A matrix for every `span` of the positions. A warp takes the word of one position, if that position is the word's first in its span,
// and SLICE of the columns: it adds up the rows of all positions of that word, which it finds 32 at a time.
// grid (positions / WARPS; k / SLICE), block (WARP, WARPS)
static __global__ void add_tokens_kernel(Words to, const float* Q, const int* token, int positions, int span, int k) {
    int at = blockIdx.x * WARPS + threadIdx.y, lane = threadIdx.x, column = blockIdx.y * SLICE + lane;
    if (at >= positions) { return; }
    int word = token[at], begin = at / span * span, end = begin + span;
    if (word < to.first || word >= to.first + to.words) { return; }
    for (int n = at; n > begin; n -= WARP) {
        int before = n - 1 - lane;
        if (__any_sync(~0u, before >= begin && token[before < begin ? begin : before] == word)) { return; }
    }
    float sum[OWN] = {0.0f};
    for (int n = at; n < end; n += WARP) {
        unsigned same = __ballot_sync(~0u, n + lane < end && token[n + lane < end ? n + lane : at] == word);
        for (; same != 0; same &= same - 1) {
            const float* q = Q + (size_t)(n + __ffs((int)same) - 1) * k;
            for (int i = 0; i < OWN; i++) { sum[i] += column + i * WARP < k ? q[column + i * WARP] : 0.0f; }
        }
    }
    float* out = to.out + (size_t)(begin / span) * to.apart + (size_t)(word - to.first) * to.word_stride;
    for (int i = 0; i < OWN && column + i * WARP < k; i++) { out[(size_t)(column + i * WARP) * to.stride] += sum[i]; }
}

// The words are `places`: one thread an element of those that occur, which `rows` rows of N positions add to, each every `places`-th of its
// positions. grid (least(N, places) * k / BLOCK; matrices), block (BLOCK)
static __global__ void add_places_kernel(Words to, const float* Q, int place, int places, int N, int rows, int k) {
    size_t e = (size_t)blockIdx.x * BLOCK + threadIdx.x;
    int first = (int)(e / (size_t)k), word = (place + first) % places;
    if (first >= N || first >= places) { return; }
    if (word < to.first || word >= to.first + to.words) { return; }
    float sum = 0.0f;
    for (int b = 0; b < rows; b++) {
        const float* q = Q + ((size_t)blockIdx.y * rows + b) * N * (size_t)k + e % (size_t)k;
        for (int n = first; n < N; n += places) { sum += q[(size_t)n * k]; }
    }
    to.out[blockIdx.y * to.apart + (size_t)(word - to.first) * to.word_stride + e % (size_t)k * to.stride] += sum;
}

static void add_words(Words to, const Term* t, const float* Q, int each, int k, int places) {
    int positions = t->count * t->N;
    if (t->token) {
        dim3 grid(blocks_of((size_t)positions, WARPS), blocks_of((size_t)k, SLICE));
        add_tokens_kernel<<<grid, dim3(WARP, WARPS)>>>(to, Q, t->token, positions, each ? t->N : positions, k);
    } else {
        dim3 grid(blocks_of((size_t)(t->N < places ? t->N : places) * (size_t)k, BLOCK), each ? (unsigned)t->count : 1);
        add_places_kernel<<<grid, BLOCK>>>(to, Q, t->place, places, t->N, each ? 1 : t->count, k);
    }
    LAUNCHED();
}

// ---------------------------------------------------------------------------------------------
// Products with k directions. A batch of products, one for each row of the batch, or one over all positions.

typedef struct { int count, N; size_t step; } Batch; // matrices, positions of each

static Batch batch_of(const Term* t, int each) {
    return each ? Batch{ t->count, t->N, (size_t)t->N } : Batch{ 1, t->count * t->N, (size_t)t->count * (size_t)t->N };
}

// Returns P (count * N,k) = a left'
static const float* project_left(Factors* f, const Term* t, const float* left, int each, int k) {
    size_t rows = (size_t)f->site->rows, elements = (size_t)t->count * (size_t)t->N * (size_t)k;
    float* P = buffer_take<float>(&f->p, elements);
    Batch b = batch_of(t, each);
    if (t->a) {
        product(matrix(P, b.N, k, 0, b.step * (size_t)k), matrix(t->a, b.N, f->site->rows, t->stride, b.step * t->stride),
                turned(left, k, f->site->rows, 0, (size_t)k * rows), 0.0f, NULL, b.count);
        return P;
    }
    pick_words_kernel<<<blocks_of(elements, BLOCK), BLOCK>>>(P, left, t->token, t->place, t->N, elements, k, f->site->rows,
                                                            each ? (size_t)k * rows : 0);
    LAUNCHED();
    return P;
}

// Returns Q (count * N,k) = [x | bias] [right.main | right.bias]'
static const float* project_right(Factors* f, const Term* t, Block right, int each, int k) {
    int cols = f->site->cols;
    float* Q = buffer_take<float>(&f->q, (size_t)t->count * (size_t)t->N * (size_t)k);
    Batch b = batch_of(t, each);
    Matrix out = matrix(Q, b.N, k, 0, b.step * (size_t)k);
    if (t->x) {
        product(out, matrix(t->x, b.N, cols, 0, b.step * (size_t)cols), turned(right.main, k, cols, 0, (size_t)k * (size_t)cols),
                0.0f, NULL, b.count);
    }
    if (t->bias) {
        product(out, matrix(ones(f, (size_t)b.N), b.N, 1), turned(right.bias, k, 1, 0, (size_t)k), t->x ? 1.0f : 0.0f, NULL, b.count);
    }
    return Q;
}

// out (k,rows) += Q' a
static void expand_left(float* out, Factors* f, const Term* t, const float* Q, int each, int k) {
    size_t rows = (size_t)f->site->rows, apart = (size_t)k * rows;
    if (!t->a) { add_words(Words{ out, apart, 1, rows, 0, f->site->rows }, t, Q, each, k, f->site->rows); return; }
    Batch b = batch_of(t, each);
    product(matrix(out, k, f->site->rows, 0, apart), turned(Q, b.N, k, 0, b.step * (size_t)k),
            matrix(t->a, b.N, f->site->rows, t->stride, b.step * t->stride), 1.0f, NULL, b.count);
}

// [out.main | out.bias] (k,cols + 1) += P' [x | bias]
static void expand_right(Block out, Factors* f, const Term* t, const float* P, int each, int k) {
    int cols = f->site->cols;
    Batch b = batch_of(t, each);
    Matrix left = turned(P, b.N, k, 0, b.step * (size_t)k);
    if (t->x) {
        product(matrix(out.main, k, cols, 0, (size_t)k * (size_t)cols), left, matrix(t->x, b.N, cols, 0, b.step * (size_t)cols),
                1.0f, NULL, b.count);
    }
    if (t->bias) { product(matrix(out.bias, k, 1, 0, (size_t)k), left, matrix(ones(f, (size_t)b.N), b.N, 1), 1.0f, NULL, b.count); }
}

void factor_left(Block out, int out_each, Factors* f, Piece p, const float* left, int left_each, int k) {
    Term term[2];
    int count = terms(term, f, p);
    for (int i = 0; i < count; i++) { expand_right(out, f, &term[i], project_left(f, &term[i], left, left_each, k), out_each, k); }
}

void factor_right(float* out, int out_each, Factors* f, Piece p, Block right, int right_each, int k) {
    Term term[2];
    int count = terms(term, f, p);
    for (int i = 0; i < count; i++) { expand_left(out, f, &term[i], project_right(f, &term[i], right, right_each, k), out_each, k); }
}

void factor_between(float* M, int each, Factors* f, Piece p, const float* left, int rl, Block right, int rr) {
    Term term[2];
    int count = terms(term, f, p);
    for (int i = 0; i < count; i++) {
        Batch b = batch_of(&term[i], each);
        const float *P = project_left(f, &term[i], left, 0, rl), *Q = project_right(f, &term[i], right, 0, rr);
        product(matrix(M, rl, rr, 0, (size_t)rl * (size_t)rr), turned(P, b.N, rl, 0, b.step * (size_t)rl),
                matrix(Q, b.N, rr, 0, b.step * (size_t)rr), 1.0f, NULL, b.count);
    }
}

// ---------------------------------------------------------------------------------------------
// The gradient as it is.

// dweight (words,cols) and dbias (words) += rows [o, o + words) of G
static void add_whole(float* dweight, float* dbias, Factors* f, Piece p, int each, int o, int words) {
    Term term[2];
    int count = terms(term, f, p), cols = f->site->cols;
    size_t apart = (size_t)words * (size_t)cols;
    for (int i = 0; i < count; i++) {
        const Term* t = &term[i];
        if (!t->a) { add_words(Words{ dweight, apart, (size_t)cols, 1, o, words }, t, t->x, each, cols, f->site->rows); continue; }
        Batch b = batch_of(t, each);
        Matrix left = turned(t->a + o, b.N, words, t->stride, b.step * t->stride);
        if (t->x) {
            product(matrix(dweight, words, cols, 0, apart), left, matrix(t->x, b.N, cols, 0, b.step * (size_t)cols), 1.0f, NULL, b.count);
        }
        if (t->bias) {
            product(matrix(dbias, words, 1, 0, (size_t)words), left, matrix(ones(f, (size_t)b.N), b.N, 1), 1.0f, NULL, b.count);
        }
    }
}

void factor_add(Factors* f, int first, int end) {
    const Site* s = f->site;
    for (Piece p = piece_first(f, first, end, 0, 0); p.count > 0; p = piece_next(f, p, end)) { add_whole(s->dweight, s->dbias, f, p, 0, 0, s->rows); }
}

// grid (parts; arrays), block (BLOCK)
static __global__ void squares_kernel(double* partial, const float* x, size_t size, size_t apart) {
    double sum = 0.0;
    x += blockIdx.y * apart;
    for (size_t k = (size_t)blockIdx.x * BLOCK + threadIdx.x; k < size; k += (size_t)gridDim.x * BLOCK) { sum += (double)x[k] * (double)x[k]; }
    sum = block_sum<BLOCK>(sum);
    if (threadIdx.x == 0) { partial[(size_t)blockIdx.y * gridDim.x + blockIdx.x] = sum; }
}

// grid (count / BLOCK), block (BLOCK)
static __global__ void add_parts_kernel(double* sum, const double* partial, int parts, int count) {
    int i = blockIdx.x * BLOCK + threadIdx.x;
    if (i >= count) { return; }
    for (int p = 0; p < parts; p++) { sum[i] += partial[(size_t)i * parts + p]; }
}

void sums_of_squares(double* sum, const float* x, size_t size, size_t apart, int count, Buffer* room) {
    unsigned parts = blocks_of(size, BLOCK * 8);
    if (parts > PARTS) { parts = PARTS; }
    double* partial = buffer_take<double>(room, (size_t)parts * (size_t)count);
    squares_kernel<<<dim3(parts, (unsigned)count), BLOCK>>>(partial, x, size, apart);
    LAUNCHED();
    add_parts_kernel<<<blocks_of((size_t)count, BLOCK), BLOCK>>>(sum, partial, (int)parts, count);
    LAUNCHED();
}

// Forms `words` rows of G at a time.
static void add_norm2(double* norm2, Factors* f, int first, int end, int each, int o, int words) {
    int cols = f->site->cols, bias = f->site->dbias != NULL;
    size_t size = (size_t)words * (size_t)cols, all = size + (bias ? (size_t)words : 0);
    for (Piece p = piece_first(f, first, end, 0, all); p.count > 0; p = piece_next(f, p, end)) {
        int count = each ? p.count : 1, begins = each ? p.at == 0 : p.first == first && p.at == 0;
        float *dweight = buffer_take<float>(&f->whole, (size_t)count * all), *dbias = dweight + (size_t)count * size;
        if (begins) { device_zero(dweight, sizeof(float) * (size_t)count * all); }
        add_whole(dweight, bias ? dbias : NULL, f, p, each, o, words);
        if (!piece_is_last(f, p) || (!each && p.first + p.count < end)) { continue; }
        sums_of_squares(each ? norm2 + p.first : norm2, dweight, size, size, count, &f->partial);
        if (bias) { sums_of_squares(each ? norm2 + p.first : norm2, dbias, (size_t)words, (size_t)words, count, &f->partial); }
    }
}

static void in_slabs(double* norm2, Factors* f, int first, int end, int each) {
    int rows = f->site->rows, slab = (int)(floats_of(f) / 4 / (size_t)(f->site->cols + 1));
    slab = slab > rows ? rows : slab > 0 ? slab : 1;
    for (int o = 0; o < rows; o += slab) { add_norm2(norm2, f, first, end, each, o, rows - o < slab ? rows - o : slab); }
}

void factor_norm2_each(double* norm2, Factors* f, int n) { in_slabs(norm2, f, 0, n, 1); }
void factor_norm2(double* norm2, Factors* f, int first, int end) { in_slabs(norm2, f, first, end, 0); }
