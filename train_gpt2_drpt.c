// train_gpt2_drpt.c -- trains GPT-2 on a CPU, plainly or data-regularized.
//
// Read it from the top: the layers, forward and backward; the block; the model; one training step; main. The gradient of
// an activation is computed here, layer by layer. The gradient of a weight is *recorded* as a site of
// drpt/, which forms it at once in plain training, or projects it first (drpt/drpt.h; the formulas of all
// weight gradients stand in drpt/site.h). That is the whole difference between the two.
//
// Letters: B rows of a batch, T tokens of a row, N = B*T positions, C channels, NH heads, V vocabulary, L blocks.
// Arrays are row-major, d* is the gradient of the loss with respect to *, and activation gradients are
// overwritten unless a comment says that they are added to.
#include "drpt/drpt.h"
#include "drpt/probe.h"
#include "llmc/arena.h"
#include "llmc/batch.h"
#include "llmc/check.h"
#include "llmc/checkpoint.h"
#include "llmc/config.h"
#include "llmc/dataset.h"
#include "llmc/files.h"
#include "llmc/gpt2_file.h"
#include "llmc/gpt2_tensors.h"
#include "llmc/matmul.h"
#include "llmc/optimizer.h"
#include "llmc/rng.h"
#include "llmc/runlog.h"
#include "llmc/sampler.h"
#include "llmc/tokenizer.h"

#include <errno.h>
#include <math.h>
#include <omp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#ifndef VERIFY_SITES
#define VERIFY_SITES 0 // 1: check that nothing overwrites what a site points to (the sanitizer build does)
#endif

// ---------------------------------------------------------------------------------------------
// Layers.

// e^x to a relative error of 3e-7, in operations that a compiler turns into vector instructions: x = n ln 2 + r with
// |r| <= ln 2 / 2, a Taylor polynomial for e^r, and n put into the exponent's bits. Adding 1.5 * 2^23 rounds
// to a whole number and leaves it in the low bits. NaN stays NaN; beyond +-87 the result is that of +-87.
static inline float fast_exp(float x) {
    if (sizeof(float) != sizeof(int32_t)) { return exp(x); } // the tests compile this file in double precision
    const float round = 12582912.0f;
    x = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
    float shifted = x * 1.44269504f + round, n = shifted - round;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f; // ln 2 in two parts, the first exact in n * part
    float p = 1.0f/720;
    p = p * r + 1.0f/120;
    p = p * r + 1.0f/24;
    p = p * r + 1.0f/6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    uint32_t bits;
    float scale;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits + 127) << 23;
    memcpy(&scale, &bits, sizeof(bits));
    return p * scale;
}

// out (N,C) = wte[token] + wpe[t], the embedding of a token and of its place.
static void encoder_forward(float* out, const int* tokens, const float* wte, const float* wpe, int B, int T, int C) {
    #pragma omp parallel for
    for (int n = 0; n < B * T; n++) {
        float* y = out + (size_t)n * C;
        const float* token = wte + (size_t)tokens[n] * C;
        const float* place = wpe + (size_t)(n % T) * C;
        for (int c = 0; c < C; c++) { y[c] = token[c] + place[c]; }
    }
}

// Each row to mean 0 and variance 1, then scaled and shifted: out = (inp - mean) * rstd * weight + bias, with
// rstd = 1 / sqrt(variance + 1e-5) kept for the backward.
static void layernorm_forward(float* out, float* mean, float* rstd,
                              const float* inp, const float* weight, const float* bias, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        const float* x = inp + (size_t)n * C;
        float* y = out + (size_t)n * C;
        float sum = 0.0f, squares = 0.0f;
        #pragma omp simd reduction(+:sum)
        for (int c = 0; c < C; c++) { sum += x[c]; }
        float m = sum / C;
        #pragma omp simd reduction(+:squares)
        for (int c = 0; c < C; c++) { squares += (x[c] - m) * (x[c] - m); }
        float r = 1.0f / sqrtf(squares / C + 1e-5f);
        for (int c = 0; c < C; c++) { y[c] = (x[c] - m) * r * weight[c] + bias[c]; }
        mean[n] = m;
        rstd[n] = r;
    }
}

// With xhat = (x - mean) * rstd and dxhat = dout * weight, the chain rule through mean and rstd takes from dxhat its
// average and its component along xhat:
//     dinp = rstd * (dxhat - avg(dxhat) - xhat * avg(dxhat * xhat))
static void layernorm_backward_input(float* dinp, // added to
                                     const float* dout, const float* inp, const float* weight,
                                     const float* mean, const float* rstd, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        const float* x = inp + (size_t)n * C;
        const float* dy = dout + (size_t)n * C;
        float* dx = dinp + (size_t)n * C;
        float m = mean[n], r = rstd[n], average = 0.0f, along = 0.0f;
        #pragma omp simd reduction(+:average, along)
        for (int c = 0; c < C; c++) {
            average += dy[c] * weight[c];
            along += dy[c] * weight[c] * (x[c] - m) * r;
        }
        average /= C;
        along /= C;
        for (int c = 0; c < C; c++) { dx[c] += r * (dy[c] * weight[c] - average - (x[c] - m) * r * along); }
    }
}

// Causal self-attention. qkv (B,T,3C) holds a query, a key and a value of C = NH * hs channels for each
// position; each head attends with its own hs of them:
//     S[t,u] = q_t . k_u / sqrt(hs)  for u <= t,     P = softmax of its rows,     out_t = sum_u P[t,u] v_u
// A thread takes one head of one row at a time, and of it BLOCK queries by BLOCK keys: that is all of S that is ever stored,
// turned, S[u,t], so that the lanes of a vector are neighbouring queries. The softmax is online (M. Milakov and N. Gimelshein,
// 2018): what was gathered while the largest score was a smaller one is scaled down. The backward forms P again from
// lse[t] = log sum_u exp S[t,u]. In a block t and u count from its first query and its first key, which is `ahead` positions
// before that query: query t sees the keys u <= t + ahead.
enum { BLOCK = 64 };

// A tile of a product is TILE_ROWS x 2 vectors of sums, which stay in registers: 16 of AVX-512's 32, 8 of any other's 16 or more.
#if defined(__AVX512F__)
enum { LANES = 64 / sizeof(float), TILE_ROWS = 8 };
#elif defined(__AVX__)
enum { LANES = 32 / sizeof(float), TILE_ROWS = 4 };
#else
enum { LANES = 16 / sizeof(float), TILE_ROWS = LANES };
#endif
_Static_assert(LANES % TILE_ROWS == 0, "a tile on the diagonal reads only what the softmax, LANES queries at a time, has written");
#ifdef __clang__
#define UNROLL // clang unrolls these loops by itself; asked to, clang 14 leaves a tile in memory
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
typedef float Four __attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef float Vec __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }

// One tile of out = (add ? out : 0) + a @ b; k < K. `vecs` is a constant wherever this is expanded.
static inline __attribute__((always_inline)) void tile(int vecs, float* out, size_t out_row, const float* a, size_t a_row, size_t a_col,
                                                       const float* b, size_t b_row, int K, int add) {
    Vec sum[TILE_ROWS][2] = {{{0}}};
    for (int k = 0; k < K; k++, a += a_col, b += b_row) {
        UNROLL for (int i = 0; i < TILE_ROWS; i++) {
            UNROLL for (int v = 0; v < vecs; v++) { sum[i][v] += a[i * a_row] * *(const Vec*)(b + v * LANES); }
        }
    }
    UNROLL for (int i = 0; i < TILE_ROWS; i++, out += out_row) {
        UNROLL for (int v = 0; v < vecs; v++) {
            if (add) { sum[i][v] += *(Vec*)(out + v * LANES); }
            *(Vec*)(out + v * LANES) = sum[i][v];
        }
    }
}

// TILE_ROWS rows of the same; the columns are [first,end), made whole vectors.
static inline __attribute__((always_inline)) void tiles(int first, int end, float* out, size_t out_row, const float* a, size_t a_row, size_t a_col,
                                                        const float* b, size_t b_row, int K, int add) {
    int j = first / LANES * LANES;
    for (; j + LANES < end; j += 2 * LANES) { tile(2, out + j, out_row, a, a_row, a_col, b + j, b_row, K, add); }
    if (j < end) { tile(1, out + j, out_row, a, a_row, a_col, b + j, b_row, K, add); }
}

typedef struct {
    int hs, width;                                  // width: hs filled up to whole vectors, as are T and BLOCK below
    float *k, *v, *dk, *dv;                         // (T,width)
    float *q, *dout, *out;                          // (BLOCK,width); out is dq in the backward
    float *qT, *doutT;                              // (width,BLOCK)
    float *S, *dS;                                  // (BLOCK,BLOCK): keys, queries
    int keys, queries, ahead;                       // of the block at hand
} Attention;

// Each product leaves out the tiles where no query sees a key: S = k @ qT,
static void attention_scores(const Attention* a, float* S, const float* k, const float* qT) {
    size_t row = (size_t)a->width;
    for (int u = 0; u < a->keys; u += TILE_ROWS) {
        tiles(most(0, u - a->ahead), a->queries, S + u * BLOCK, BLOCK, k + u * row, row, 1, qT, BLOCK, a->hs, 0);
    }
}

// out (+)= S' @ v,
static void attention_to_queries(const Attention* a, float* out, const float* S, const float* v, int add) {
    size_t row = (size_t)a->width;
    for (int t = 0; t < a->queries; t += TILE_ROWS) {
        tiles(0, a->hs, out + t * row, row, S + t, 1, BLOCK, v, row, least(a->keys, t + TILE_ROWS + a->ahead), add);
    }
}

// and dv += S @ dout.
static void attention_to_keys(const Attention* a, float* dv, const float* S, const float* dout) {
    size_t row = (size_t)a->width;
    for (int u = 0; u < a->keys; u += TILE_ROWS) {
        int t = most(0, u - a->ahead);
        tiles(0, a->hs, dv + u * row, row, S + u * BLOCK + t, BLOCK, 1, dout + t * row, row, a->queries - t, 1);
    }
}

static int whole_vectors(int n) { return (n + 15) / 16 * 16; } // LANES and TILE_ROWS divide 16

static size_t attention_scratch_size(int T, int hs) {
    return (4 * (size_t)whole_vectors(T) + 5 * BLOCK) * (size_t)whole_vectors(hs) + 2 * BLOCK * BLOCK;
}

static Attention attention_scratch(float* scratch, int T, int hs) {
    int width = whole_vectors(hs);
    size_t whole = (size_t)whole_vectors(T) * (size_t)width, part = (size_t)BLOCK * (size_t)width;
    float* k = scratch + (size_t)omp_get_thread_num() * attention_scratch_size(T, hs);
    float *q = k + 4 * whole, *S = q + 5 * part;
    return (Attention){ hs, width, k, k + whole, k + 2*whole, k + 3*whole, q, q + part, q + 2*part, q + 3*part, q + 4*part,
                        S, S + BLOCK * BLOCK, 0, 0, 0 };
}

// to = scale * from, n rows of hs.
static void copy_rows(float* to, size_t to_row, const float* from, size_t from_row, float scale, int n, int hs) {
    for (int t = 0; t < n; t++) {
        for (int j = 0; j < hs; j++) { to[t * to_row + j] = scale * from[t * from_row + j]; }
    }
}

#define LOW(x, y) (Four){ x[0], y[0], x[1], y[1] }
#define HIGH(x, y) (Four){ x[2], y[2], x[3], y[3] }

// to (width,BLOCK) = the transpose of from (queries,width), four by four.
static void turn(const Attention* s, float* to, const float* from) {
    for (int j = 0; j < s->hs; j += 4) {
        for (int t = 0; t < s->queries; t += 4) {
            const Four* x = (const Four*)(from + t * s->width + j);
            Four a = x[0], b = x[s->width/4], c = x[s->width/2], d = x[s->width/4*3];
            Four ac = LOW(a, c), bd = LOW(b, d), ca = HIGH(a, c), db = HIGH(b, d), *y = (Four*)(to + j * BLOCK + t);
            y[0] = LOW(ac, bd);
            y[BLOCK/4] = HIGH(ac, bd);
            y[BLOCK/2] = LOW(ca, db);
            y[BLOCK/4*3] = HIGH(ca, db);
        }
    }
}

// S becomes exp(S - largest), 0 where a key is not seen. `largest` and `sum` of each query take in this block's keys; `factor` is
// e to the old largest minus the new.
static void softmax_online(const Attention* a, float* largest, float* sum, float* factor) {
    for (int first = 0; first < a->queries; first += LANES) {
        int seen = least(a->keys, first + LANES + a->ahead); // by any of these queries
        float top[LANES], added[LANES] = {0};
        memcpy(top, largest + first, sizeof(top));
        for (int u = 0; u < seen; u++) {
            const float* S = a->S + u * BLOCK + first;
            #pragma omp simd
            for (int i = 0; i < LANES; i++) { top[i] = u <= first + i + a->ahead && S[i] > top[i] ? S[i] : top[i]; }
        }
        for (int u = 0; u < seen; u++) {
            float* S = a->S + u * BLOCK + first;
            #pragma omp simd
            for (int i = 0; i < LANES; i++) {
                float p = fast_exp(S[i] - top[i]);
                added[i] += S[i] = u <= first + i + a->ahead ? p : 0.0f;
            }
        }
        for (int i = 0, t = first; i < LANES; i++, t++) {
            factor[t] = fast_exp(largest[t] - top[i]);
            sum[t] = sum[t] * factor[t] + added[i];
            largest[t] = top[i];
        }
    }
}

static void attention_forward(float* out, float* lse, // lse (B,NH,T)
                              const float* qkv, float* scratch, int B, int T, int C, int NH) {
    int hs = C / NH;
    float scale = 1.0f / sqrtf((float)hs);
    #pragma omp parallel for
    for (int bh = 0; bh < B * NH; bh++) {
        Attention a = attention_scratch(scratch, T, hs);
        size_t head = (size_t)(bh % NH) * hs, row = (size_t)(bh / NH) * T, width = (size_t)a.width;
        const float* x = qkv + row * 3*C + head;
        copy_rows(a.k, width, x + C, (size_t)3*C, 1.0f, T, hs);
        copy_rows(a.v, width, x + 2*C, (size_t)3*C, 1.0f, T, hs);
        for (int t = 0; t < T; t += BLOCK) {
            float largest[BLOCK], sum[BLOCK] = {0}, factor[BLOCK];
            for (int i = 0; i < BLOCK; i++) { largest[i] = -INFINITY; }
            a.queries = least(BLOCK, T - t);
            copy_rows(a.q, width, x + (size_t)t * 3*C, (size_t)3*C, scale, a.queries, hs);
            turn(&a, a.qT, a.q);
            for (int u = 0; u <= t; u += BLOCK) {
                a.keys = least(BLOCK, T - u);
                a.ahead = t - u;
                attention_scores(&a, a.S, a.k + u * width, a.qT);
                softmax_online(&a, largest, sum, factor);
                for (int i = 0; u > 0 && i < a.queries; i++) { copy_rows(a.out + i * width, 0, a.out + i * width, 0, factor[i], 1, hs); }
                attention_to_queries(&a, a.out, a.S, a.v + u * width, u > 0);
            }
            for (int i = 0; i < a.queries; i++) {
                copy_rows(out + (row + t + i) * C + head, 0, a.out + i * width, 0, 1.0f / sum[i], 1, hs);
                lse[(size_t)bh * T + t + i] = largest[i] + logf(sum[i]);
            }
        }
    }
}

static float dot(const float* a, const float* b, int n) {
    float sum = 0.0f;
    #pragma omp simd reduction(+:sum)
    for (int i = 0; i < n; i++) { sum += a[i] * b[i]; }
    return sum;
}

// dS = P * (dP - row sums of dP * P), and the row sum of dP * P is along[t] = dout_t . out_t. S becomes P, dS holds dP on entry.
static void softmax_backward(const Attention* a, const float* lse, const float* along) {
    for (int first = 0; first < a->queries; first += LANES) {
        for (int u = 0; u < least(a->keys, first + LANES + a->ahead); u++) {
            float *S = a->S + u * BLOCK, *dS = a->dS + u * BLOCK;
            #pragma omp simd
            for (int t = first; t < first + LANES; t++) {
                float p = fast_exp(S[t] - lse[t]), d = p * (dS[t] - along[t]);
                S[t] = u <= t + a->ahead ? p : 0.0f;
                dS[t] = u <= t + a->ahead ? d : 0.0f;
            }
        }
    }
}

static void attention_backward(float* dqkv, const float* dout, const float* qkv, const float* out, const float* lse,
                               float* scratch, int B, int T, int C, int NH) {
    int hs = C / NH;
    float scale = 1.0f / sqrtf((float)hs);
    #pragma omp parallel for
    for (int bh = 0; bh < B * NH; bh++) {
        Attention a = attention_scratch(scratch, T, hs);
        size_t head = (size_t)(bh % NH) * hs, row = (size_t)(bh / NH) * T, width = (size_t)a.width;
        const float* x = qkv + row * 3*C + head;
        float* dx = dqkv + row * 3*C + head;
        copy_rows(a.k, width, x + C, (size_t)3*C, 1.0f, T, hs);
        copy_rows(a.v, width, x + 2*C, (size_t)3*C, 1.0f, T, hs);
        memset(a.dk, 0, sizeof(float) * (size_t)(a.q - a.dk)); // and dv behind it
        for (int t = 0; t < T; t += BLOCK) {
            const float *y = out + (row + t) * C + head, *dy = dout + (row + t) * C + head;
            float log_sum[BLOCK] = {0}, along[BLOCK] = {0};
            a.queries = least(BLOCK, T - t);
            copy_rows(a.q, width, x + (size_t)t * 3*C, (size_t)3*C, scale, a.queries, hs);
            copy_rows(a.dout, width, dy, (size_t)C, 1.0f, a.queries, hs);
            turn(&a, a.qT, a.q);
            turn(&a, a.doutT, a.dout);
            for (int i = 0; i < a.queries; i++) {
                log_sum[i] = lse[(size_t)bh * T + t + i];
                along[i] = dot(y + (size_t)i * C, dy + (size_t)i * C, hs);
            }
            for (int u = 0; u <= t; u += BLOCK) {
                a.keys = least(BLOCK, T - u);
                a.ahead = t - u;
                attention_scores(&a, a.S, a.k + u * width, a.qT);
                attention_scores(&a, a.dS, a.v + u * width, a.doutT);                // dP = dout v'
                softmax_backward(&a, log_sum, along);
                attention_to_keys(&a, a.dv + u * width, a.S, a.dout);                // dv += P' dout
                attention_to_keys(&a, a.dk + u * width, a.dS, a.q);                  // dk += dS' q
                attention_to_queries(&a, a.out, a.dS, a.k + u * width, u > 0);       // dq += dS k
            }
            copy_rows(dx + (size_t)t * 3*C, (size_t)3*C, a.out, width, scale, a.queries, hs);
        }
        copy_rows(dx + C, (size_t)3*C, a.dk, width, 1.0f, T, hs);
        copy_rows(dx + 2*C, (size_t)3*C, a.dv, width, 1.0f, T, hs);
    }
}

// GELU in GPT-2's form: x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3). Since (1 + tanh u)/2 = 1 / (1 + e^-2u) it is
// x * sigmoid(2u), and its derivative sigmoid + x * sigmoid (1 - sigmoid) * 2 du/dx.
#define GELU_A 1.5957691216057308f // 2 sqrt(2/pi)
#define GELU_B 0.044715f

static void gelu_forward(float* out, const float* inp, size_t n) {
    #pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) {
        float x = inp[i];
        out[i] = x / (1.0f + fast_exp(-GELU_A * (x + GELU_B * x * x * x)));
    }
}

static void gelu_backward(float* dinp, // holds dout on entry
                          const float* inp, size_t n) {
    #pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) {
        float x = inp[i];
        float e = fast_exp(-GELU_A * (x + GELU_B * x * x * x)), sigmoid = 1.0f / (1.0f + e);
        float slope = GELU_A * (1.0f + 3.0f * GELU_B * x * x);
        dinp[i] *= sigmoid * (1.0f + x * (e * sigmoid) * slope); // 1 - sigmoid without cancellation
    }
}

static void residual_forward(float* out, // added to
                             const float* inp, size_t n) {
    #pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) { out[i] += inp[i]; }
}

// The branch's gradient is a copy: the stream's moves on while a site still points to the branch's.
static void residual_backward(float* dbranch, const float* dstream, size_t n) {
    #pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) { dbranch[i] = dstream[i]; }
}

static float log_sum_exp(const float* x, int V) {
    float largest = x[0], sum = 0.0f;
    #pragma omp simd reduction(max:largest)
    for (int v = 0; v < V; v++) { largest = x[v] > largest ? x[v] : largest; }
    #pragma omp simd reduction(+:sum)
    for (int v = 0; v < V; v++) { sum += fast_exp(x[v] - largest); }
    return largest + logf(sum);
}

static int argmax(const float* x, int V) {
    int best = 0;
    for (int v = 1; v < V; v++) { if (x[v] > x[best]) { best = v; } }
    return best;
}

// losses (N) = -log softmax(logits)[target], hits (N) = 1 where the target has the largest logit; both 0 where the
// position is not trained on (weight 0).
static void cross_entropy_forward(float* losses, unsigned char* hits, const float* logits, const int* targets,
                                  const float* weight, int N, int V) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        const float* x = logits + (size_t)n * V;
        losses[n] = weight[n] != 0.0f ? log_sum_exp(x, V) - x[targets[n]] : 0.0f;
        hits[n] = weight[n] != 0.0f && argmax(x, V) == targets[n];
    }
}

// The same losses, and logits replaced by the gradient of sum_n weight[n] losses[n]: weight * (softmax - onehot).
static void cross_entropy_backward(float* losses, float* logits, const int* targets, const float* weight, int N, int V) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        float* x = logits + (size_t)n * V;
        losses[n] = 0.0f;
        if (weight[n] == 0.0f) { memset(x, 0, sizeof(float) * (size_t)V); continue; }
        float lse = log_sum_exp(x, V), w = weight[n];
        losses[n] = lse - x[targets[n]];
        #pragma omp simd
        for (int v = 0; v < V; v++) { x[v] = w * fast_exp(x[v] - lse); }
        x[targets[n]] -= w;
    }
}

// ---------------------------------------------------------------------------------------------
// One block, both ways. w: weights, a: activations; g and d: their gradients. The backward reads the forward from the last
// line to the first.

// All that the backward of a block reads, the block's output left out.
static void block_hidden(const BlockActs* a, const float* x, const BlockParams* w, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    size_t NC = (size_t)N * C;
    layernorm_forward(a->ln1, a->ln1_mean, a->ln1_rstd, x, w->ln1w, w->ln1b, N, C);
    matmul_forward(a->qkv, a->ln1, w->qkvw, w->qkvb, N, C, 3*C);
    attention_forward(a->atty, a->lse, a->qkv, scratch, B, T, C, NH);
    matmul_forward(a->residual2, a->atty, w->attprojw, w->attprojb, N, C, C);
    residual_forward(a->residual2, x, NC);
    layernorm_forward(a->ln2, a->ln2_mean, a->ln2_rstd, a->residual2, w->ln2w, w->ln2b, N, C);
    matmul_forward(a->fch, a->ln2, w->fcw, w->fcb, N, C, 4*C);
    gelu_forward(a->fch_gelu, a->fch, 4*NC);
}

static void block_forward(const BlockActs* a, const float* x, const BlockParams* w, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    block_hidden(a, x, w, scratch, B, T, C, NH);
    matmul_forward(a->residual3, a->fch_gelu, w->fcprojw, w->fcprojb, N, 4*C, C);
    residual_forward(a->residual3, a->residual2, (size_t)N * C);
}

// dx is the gradient of residual3 on entry, that of the block's input x on return.
static void block_backward(const BlockParamGrads* g, const BlockGrads* d, float* dx,
                           const BlockParams* w, const BlockActs* a, const float* x,
                           Drpt* drpt, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    size_t NC = (size_t)N * C;
    residual_backward(d->fcproj, dx, NC);
    matmul_backward_input(d->fch, d->fcproj, w->fcprojw, N, 4*C, C);
    drpt_site(drpt, "fcproj", g->fcprojw, g->fcprojb, d->fcproj, a->fch_gelu, 4*C, C);
    gelu_backward(d->fch, a->fch, 4*NC);
    matmul_backward_input(d->ln2, d->fch, w->fcw, N, C, 4*C);
    drpt_site(drpt, "fc", g->fcw, g->fcb, d->fch, a->ln2, C, 4*C);
    layernorm_backward_input(dx, d->ln2, a->residual2, w->ln2w, a->ln2_mean, a->ln2_rstd, N, C);
    drpt_site_layernorm(drpt, "ln2", g->ln2w, g->ln2b, d->ln2, a->residual2, a->ln2_mean, a->ln2_rstd, C);
    drpt_project(drpt, DRPT_SUBLAYER);
    residual_backward(d->attproj, dx, NC);
    matmul_backward_input(d->atty, d->attproj, w->attprojw, N, C, C);
    drpt_site(drpt, "attproj", g->attprojw, g->attprojb, d->attproj, a->atty, C, C);
    attention_backward(d->qkv, d->atty, a->qkv, a->atty, a->lse, scratch, B, T, C, NH);
    matmul_backward_input(d->ln1, d->qkv, w->qkvw, N, C, 3*C);
    drpt_site_fused(drpt, "qkv", g->qkvw, g->qkvb, d->qkv, a->ln1, C, 3*C);
    layernorm_backward_input(dx, d->ln1, x, w->ln1w, a->ln1_mean, a->ln1_rstd, N, C);
    drpt_site_layernorm(drpt, "ln1", g->ln1w, g->ln1b, d->ln1, x, a->ln1_mean, a->ln1_rstd, C);
    drpt_project(drpt, DRPT_BLOCK);
}

// ---------------------------------------------------------------------------------------------
// The model.

typedef struct {
    GPT2Config config;
    Tensor tensor[NUM_TENSORS];
    size_t num_params;
    Params weight;
    ParamGrads grad;
    float *params, *grads, *m, *v;    // (num_params) each; the last three only for training
    int B, T;                         // the largest batch there is memory for
    int recompute;                    // 1: the blocks share their activations, residual3 apart
    BlockActs* act;                   // (L)
    BlockGrads* dact;                 // (L), all the same memory unless a group reaches across blocks
    float *encoded, *lnf, *lnf_mean, *lnf_rstd, *logits, *losses;
    float *dx, *dlnf;
    float* scratch;                   // of attention, a part for each thread
    unsigned char* hits;
    Arena param_arena, act_arena;
} GPT2;

static float* take(Arena* arena, size_t floats) { return arena_take(arena, sizeof(float) * floats); }

static void layout_params(GPT2* model, int training) {
    Arena* arena = &model->param_arena;
    size_t L = (size_t)model->config.layers;
    model->weight.block = arena_take(arena, sizeof(BlockParams) * L);
    model->grad.block = arena_take(arena, sizeof(BlockParamGrads) * L);
    model->params = take(arena, model->num_params);
    if (!training) { return; }
    model->grads = take(arena, model->num_params);
    model->m = take(arena, model->num_params);
    model->v = take(arena, model->num_params);
}

static void layout_block_acts(BlockActs* a, Arena* arena, size_t N, size_t C, size_t NH) {
    BlockActs acts;
    #define TAKE(name, type, floats) acts.name = take(arena, floats);
    BLOCK_ACTS(TAKE)
    #undef TAKE
    if (a) { *a = acts; }
}

static void layout_block_grads(BlockGrads* d, Arena* arena, size_t N, size_t C) {
    BlockGrads grads;
    #define TAKE(name, type, floats) grads.name = take(arena, floats);
    BLOCK_GRADS(TAKE)
    #undef TAKE
    if (d) { *d = grads; }
}

static void layout_acts(GPT2* model, int training, int keep_blocks) {
    Arena* arena = &model->act_arena;
    size_t L = (size_t)model->config.layers, C = (size_t)model->config.channels, NH = (size_t)model->config.heads;
    size_t V = (size_t)model->config.vocab_size, N = (size_t)model->B * (size_t)model->T;
    model->act = arena_take(arena, sizeof(BlockActs) * L);
    model->dact = arena_take(arena, sizeof(BlockGrads) * L);
    model->encoded = take(arena, N * C);
    for (size_t l = 0; l < L; l++) {
        BlockActs* a = model->act ? &model->act[l] : NULL;
        if (l == 0 || !model->recompute) { layout_block_acts(a, arena, N, C, NH); continue; }
        float* residual3 = take(arena, N * C);
        if (a) {
            *a = model->act[0];
            a->residual3 = residual3;
        }
    }
    model->lnf = take(arena, N * C);
    model->lnf_mean = take(arena, N);
    model->lnf_rstd = take(arena, N);
    model->logits = take(arena, N * V);
    model->losses = take(arena, N);
    model->hits = arena_take(arena, N);
    model->scratch = take(arena, attention_scratch_size(model->T, (int)(C / NH)) * (size_t)omp_get_max_threads());
    if (!training) { return; }
    model->dx = take(arena, N * C);
    model->dlnf = take(arena, N * C);
    for (size_t l = 0; l < L; l++) {
        BlockGrads* d = model->dact ? &model->dact[l] : NULL;
        if (l == 0 || keep_blocks) { layout_block_grads(d, arena, N, C); }
        else if (d) { *d = model->dact[0]; }
    }
}

// Normal with deviation 0.02, and 0.02 / sqrt(2L) for what adds to the residual stream, as GPT-2 has it; rows of the
// padded vocabulary are zero. Each matrix has a random stream of its own.
static void gpt2_init(GPT2* model, int seed) {
    size_t unused = (size_t)(model->config.padded_vocab_size - model->config.vocab_size) * (size_t)model->config.channels;
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        size_t size = t->rows * t->cols;
        float sd = t->init == 'R' ? 0.02f / sqrtf(2.0f * (float)model->config.layers) : 0.02f;
        for (size_t l = 0; l < t->blocks; l++) {
            float* x = model->params + t->begin + l * size;
            Rng rng = rng_seed((uint64_t)seed, (uint64_t)i + 1, l);
            if (t->init == 'N' || t->init == 'R') { rng_normal(&rng, x, i == TENSOR_wte ? size - unused : size, sd); }
            for (size_t k = 0; t->init == '1' && k < size; k++) { x[k] = 1.0f; }
        }
    }
}

// The model of a checkpoint, or of a descriptor with random weights. Memory for its activations comes from gpt2_alloc().
static GPT2 gpt2_create(const char* init, int seed, int training) {
    GPT2 model = {0};
    size_t bytes = 0;
    FILE* file = gpt2_config_parse(&model.config, init) ? NULL : model_open(init, &model.config, &bytes);
    model.num_params = list_tensors(model.tensor, &model.config);
    check(!file || bytes == sizeof(int32_t) * HEADER_INTS + sizeof(float) * model.num_params,
          "%s: has %zu bytes, its header asks for %zu", init, bytes, sizeof(int32_t) * HEADER_INTS + sizeof(float) * model.num_params);
    layout_params(&model, training);
    arena_alloc(&model.param_arena, "the parameters");
    layout_params(&model, training);
    point_params(&model.weight, model.params, model.tensor, model.config.layers);
    if (training) { point_param_grads(&model.grad, model.grads, model.tensor, model.config.layers); }
    if (file) { model_read(file, init, bytes, model.params, model.num_params); } else { gpt2_init(&model, seed); }
    return model;
}

static void gpt2_alloc(GPT2* model, int B, int T, int training, int keep_blocks, int recompute) {
    model->B = B;
    model->T = T;
    model->recompute = recompute;
    layout_acts(model, training, keep_blocks);
    arena_alloc(&model->act_arena, "the activations");
    layout_acts(model, training, keep_blocks);
}

static void gpt2_free(GPT2* model) {
    arena_free(&model->param_arena);
    arena_free(&model->act_arena);
}

// logits (B,T,V) of the tokens (B,T).
static void gpt2_forward(GPT2* model, const int* tokens, int B, int T) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, N = B * T;
    const float* x = model->encoded;
    encoder_forward(model->encoded, tokens, model->weight.wte, model->weight.wpe, B, T, C);
    for (int l = 0; l < L; l++) {
        block_forward(&model->act[l], x, &model->weight.block[l], model->scratch, B, T, C, NH);
        x = model->act[l].residual3;
    }
    layernorm_forward(model->lnf, model->lnf_mean, model->lnf_rstd, x, model->weight.lnfw, model->weight.lnfb, N, C);
    matmul_forward(model->logits, model->lnf, model->weight.wte, NULL, N, C, model->config.vocab_size);
}

// After gpt2_forward() on the same tokens: adds to the gradients of all parameters, and leaves the losses of the
// positions. weight (B,T) is each position's share of the loss.
static void gpt2_backward(GPT2* model, const int* tokens, const int* targets, const float* weight, Drpt* drpt, int B, int T) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, V = model->config.vocab_size, N = B * T;
    const float* last = model->act[L - 1].residual3;
    float* dlogits = model->logits; // in place
    cross_entropy_backward(model->losses, dlogits, targets, weight, N, V);
    matmul_backward_input(model->dlnf, dlogits, model->weight.wte, N, C, V);
    memset(model->dx, 0, sizeof(float) * (size_t)N * C);
    layernorm_backward_input(model->dx, model->dlnf, last, model->weight.lnfw, model->lnf_mean, model->lnf_rstd, N, C);
    drpt->block = -1;
    drpt_site_layernorm(drpt, "lnf", model->grad.lnfw, model->grad.lnfb, model->dlnf, last, model->lnf_mean, model->lnf_rstd, C);
    drpt_project(drpt, DRPT_BLOCK);
    for (int l = L - 1; l >= 0; l--) {
        const float* x = l > 0 ? model->act[l - 1].residual3 : model->encoded;
        drpt->block = l;
        if (model->recompute && l < L - 1) { block_hidden(&model->act[l], x, &model->weight.block[l], model->scratch, B, T, C, NH); }
        block_backward(&model->grad.block[l], &model->dact[l], model->dx, &model->weight.block[l], &model->act[l], x,
                       drpt, model->scratch, B, T, C, NH);
    }
    drpt->block = -1;
    drpt_site_token(drpt, "wte", model->grad.wte, dlogits, model->lnf, model->dx, tokens, C, V);
    drpt_site_position(drpt, "wpe", model->grad.wpe, model->dx, C);
    drpt_project(drpt, DRPT_GLOBAL);
}

// One step of the optimizer with the gradient times `scale`; the gradients are zero afterwards. step counts from 1.
static void gpt2_update(GPT2* model, const Config* c, double lr, double scale, int step) {
    for (int i = 0; i < NUM_TENSORS; i++) {
        const Tensor* t = &model->tensor[i];
        size_t at = t->begin, size = t->blocks * t->rows * t->cols;
        float decay = t->rows > 1 ? (float)c->weight_decay : 0.0f;
        if (strcmp(c->optimizer, "sgd") == 0) {
            sgd_update(model->params + at, model->grads + at, size, (float)lr, decay, (float)scale);
        } else {
            AdamW a = { (float)lr, (float)c->beta1, (float)c->beta2, (float)c->eps, decay };
            adamw_update(model->params + at, model->grads + at, model->m + at, model->v + at, size, a, (float)scale, step);
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Generation, one token at a time: the keys and values of the places before are kept, so that a token costs one
// forward of a single position.

typedef struct {
    BlockActs act;                    // of one position, used by all blocks in turn
    float *x, *lnf, *stats, *logits;
    float* cache;                     // (L,2,maxT,C): keys and values
    float* S;                         // (maxT)
    Arena arena;
} Decoder;

static void layout_decoder(Decoder* d, const GPT2Config* c) {
    size_t C = (size_t)c->channels, maxT = (size_t)c->max_seq_len;
    layout_block_acts(&d->act, &d->arena, 1, C, (size_t)c->heads);
    d->x = take(&d->arena, C);
    d->lnf = take(&d->arena, C);
    d->stats = take(&d->arena, 2);
    d->logits = take(&d->arena, (size_t)c->vocab_size);
    d->S = take(&d->arena, maxT);
    d->cache = take(&d->arena, (size_t)c->layers * 2 * maxT * C);
}

static Decoder decoder_create(const GPT2Config* config) {
    Decoder d = {0};
    layout_decoder(&d, config);
    arena_alloc(&d.arena, "the key-value cache");
    layout_decoder(&d, config);
    return d;
}

// atty (C) for the query of place t, with keys and values (maxT,C) of the places up to t.
static void attention_decode(float* atty, float* S, const float* q, const float* keys, const float* values, int t, int C, int NH) {
    int hs = C / NH;
    float scale = 1.0f / sqrtf((float)hs);
    for (int h = 0; h < NH; h++) {
        const float *k = keys + h * hs, *v = values + h * hs;
        float* out = atty + h * hs;
        for (int u = 0; u <= t; u++) { S[u] = scale * dot(q + h * hs, k + (size_t)u * C, hs); }
        float lse = log_sum_exp(S, t + 1);
        for (int j = 0; j < hs; j++) { out[j] = 0.0f; }
        for (int u = 0; u <= t; u++) {
            float p = fast_exp(S[u] - lse);
            for (int j = 0; j < hs; j++) { out[j] += p * v[(size_t)u * C + j]; }
        }
    }
}

// The logits (V) that follow `token` at place t; places 0..t-1 have been decoded before.
static float* gpt2_decode(const GPT2* model, Decoder* d, int token, int t) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads;
    size_t maxT = (size_t)model->config.max_seq_len;
    const BlockActs* a = &d->act;
    encoder_forward(d->x, &token, model->weight.wte, model->weight.wpe + (size_t)t * C, 1, 1, C);
    for (int l = 0; l < L; l++) {
        const BlockParams* w = &model->weight.block[l];
        float *keys = d->cache + (size_t)l * 2 * maxT * C, *values = keys + maxT * C;
        layernorm_forward(a->ln1, a->ln1_mean, a->ln1_rstd, d->x, w->ln1w, w->ln1b, 1, C);
        matmul_forward(a->qkv, a->ln1, w->qkvw, w->qkvb, 1, C, 3*C);
        memcpy(keys + (size_t)t * C, a->qkv + C, sizeof(float) * (size_t)C);
        memcpy(values + (size_t)t * C, a->qkv + 2*C, sizeof(float) * (size_t)C);
        attention_decode(a->atty, d->S, a->qkv, keys, values, t, C, NH);
        matmul_forward(a->residual2, a->atty, w->attprojw, w->attprojb, 1, C, C);
        residual_forward(d->x, a->residual2, (size_t)C);
        layernorm_forward(a->ln2, a->ln2_mean, a->ln2_rstd, d->x, w->ln2w, w->ln2b, 1, C);
        matmul_forward(a->fch, a->ln2, w->fcw, w->fcb, 1, C, 4*C);
        gelu_forward(a->fch_gelu, a->fch, 4 * (size_t)C);
        matmul_forward(a->residual3, a->fch_gelu, w->fcprojw, w->fcprojb, 1, 4*C, C);
        residual_forward(d->x, a->residual3, (size_t)C);
    }
    layernorm_forward(d->lnf, d->stats, d->stats + 1, d->x, model->weight.lnfw, model->weight.lnfb, 1, C);
    matmul_forward(d->logits, d->lnf, model->weight.wte, NULL, 1, C, model->config.vocab_size);
    return d->logits;
}

// Decodes tokens[first..count-1] again from place 0; returns the logits after the last.
static float* decode_window(const GPT2* model, Decoder* d, const uint16_t* tokens, size_t first, size_t count) {
    float* logits = NULL;
    for (size_t i = first; i < count; i++) { logits = gpt2_decode(model, d, tokens[i], (int)(i - first)); }
    return logits;
}

// Prints the continuation of tokens (count of them, room for `more` behind) until `more` tokens or an end of text. Where
// the context is full, it goes on with the latter half of it.
static void generate(const GPT2* model, const Tokenizer* tokenizer, uint16_t* tokens, size_t count, int more,
                     const Config* c, uint64_t stream) {
    size_t maxT = (size_t)model->config.max_seq_len, first = count > maxT ? count - maxT : 0;
    Decoder d = decoder_create(&model->config);
    Rng rng = rng_seed((uint64_t)c->seed, UINT64_MAX, stream);
    float* logits = decode_window(model, &d, tokens, first, count);
    for (int i = 0; i < more; i++) {
        int token = sample_token(logits, model->config.vocab_size, c->temperature, c->top_k, &rng);
        if (token == tokenizer_eot(tokenizer)) { break; }
        size_t bytes;
        const char* text = tokenizer_decode(tokenizer, token, &bytes);
        fwrite(text, 1, bytes, stdout);
        fflush(stdout);
        tokens[count++] = (uint16_t)token;
        if (count - first <= maxT) { logits = gpt2_decode(model, &d, token, (int)(count - 1 - first)); continue; }
        first = count - (maxT + 1) / 2;
        logits = decode_window(model, &d, tokens, first, count);
    }
    putchar('\n');
    arena_free(&d.arena);
}

static Tokenizer* open_tokenizer(const Config* c, const GPT2Config* model, const char* why) {
    const char* name = c->tokenizer ? c->tokenizer : model->vocab_size == 257 ? "bytes" : "gpt2_tokenizer.bin";
    check(c->tokenizer || model->vocab_size == 257 || access(name, R_OK) == 0,
          "%s: a vocabulary of %d needs its tokenizer: name llm.c's tokenizer file with --tokenizer (dev/prep makes it)", why, model->vocab_size);
    Tokenizer* t = tokenizer_open(name);
    check(tokenizer_vocab_size(t) <= model->vocab_size, "%s: has %d tokens, the model %d; name the model's own with --tokenizer",
          name, tokenizer_vocab_size(t), model->vocab_size);
    return t;
}

static void generate_from_text(const Config* c) {
    GPT2 model = gpt2_create(c->init, c->seed, 0);
    Tokenizer* tokenizer = open_tokenizer(c, &model.config, "--generate");
    size_t bytes = strlen(c->generate);
    uint16_t* tokens = malloc(sizeof(uint16_t) * (bytes + 1 + (size_t)c->sample_tokens));
    check(tokens != NULL, "out of memory for the prompt");
    size_t count = tokenizer_encode(tokenizer, tokens, c->generate, bytes);
    if (count == 0) { tokens[count++] = (uint16_t)tokenizer_eot(tokenizer); } // an empty prompt: a text from its beginning
    fputs(c->generate, stdout);
    generate(&model, tokenizer, tokens, count, c->sample_tokens, c, 0);
    free(tokens);
    tokenizer_free(tokenizer);
    gpt2_free(&model);
}

// ---------------------------------------------------------------------------------------------
// A run.

typedef struct {
    Config config;
    DrptOptions options;
    GPT2 model;
    Drpt drpt;
    Dataset general, target, val, val_general; // rows = 0: not given
    Reader general_reader, target_reader;
    Batch batch;
    Batch eval;                                // --batch rows of evaluation data
    RunLog log;
    Tokenizer* tokenizer;                      // for samples, else NULL
    int T, steps, first_step;
} Run;

static volatile sig_atomic_t stop_requested;
static void request_stop(int signal_number) { (void)signal_number; stop_requested = 1; }

// What an evaluation adds up: the weighted losses and the weights; trained positions, and those whose target was the
// likeliest token; rows, and those where all were.
typedef struct { double loss, weight, trained, hits, rows, exact; } Tally;

// `count` rows of run->eval, weighed so that they have a weight of `share` together.
static void evaluate_batch(Run* run, int count, double share, Tally* tally) {
    const Batch* b = &run->eval;
    GPT2* model = &run->model;
    gpt2_forward(model, b->inputs, count, b->T);
    cross_entropy_forward(model->losses, model->hits, model->logits, b->targets, b->weight, count * b->T, model->config.vocab_size);
    for (int i = 0; i < count; i++) {
        int hits = 0, trained = batch_trained(b, (size_t)i);
        for (int t = i * b->T; t < (i + 1) * b->T; t++) {
            tally->loss += (double)b->weight[t] * model->losses[t];
            hits += model->hits[t];
        }
        tally->trained += trained;
        tally->hits += hits;
        tally->rows += trained > 0;
        tally->exact += trained > 0 && hits == trained;
    }
    tally->weight += share;
}

static Tally evaluate(Run* run, const Dataset* data) {
    Batch* b = &run->eval;
    Tally tally = {0};
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0;
    size_t most = run->config.val_batches < 0 ? data->rows : (size_t)run->config.val_batches * (size_t)b->n;
    size_t end = most < data->rows ? most : data->rows;
    for (size_t first = 0; first < end; first += (size_t)b->n) {
        int count = end - first < (size_t)b->n ? (int)(end - first) : b->n;
        for (int i = 0; i < count; i++) { batch_row(b, (size_t)i, data, first + (size_t)i, run->model.config.vocab_size); }
        Count all = batch_count(b, 0, count);
        double share = by_tokens ? (double)all.tokens : (double)all.rows;
        batch_weigh(b, 0, count, by_tokens, share);
        evaluate_batch(run, count, share, &tally);
    }
    return tally;
}

static double evaluate_and_log(Run* run, const Dataset* data, const char* name, int step) {
    if (data->rows == 0) { return NAN; }
    Tally t = evaluate(run, data);
    double loss = t.loss / t.weight;
    check(isfinite(loss), "step %d: the %s loss is not finite; lower --lr, or look for broken values in the model or the data", step, name);
    runlog_eval(&run->log, step, name, loss, t.hits / t.trained, t.exact / t.rows);
    return loss;
}

// Loss of the rows [first, end) of all micro-batches from what was added up: rows with a loss that is no number are left out.
typedef struct { double sum, weight; } Mean;

static void add_losses(Mean* mean, const GPT2* model, const Batch* b, const float* weight, int first, int end) {
    for (int i = first; i < end; i++) {
        double sum = 0.0, total = 0.0;
        for (int t = i * b->T; t < (i + 1) * b->T; t++) {
            sum += (double)weight[t] * model->losses[t];
            total += weight[t];
        }
        if (isfinite(sum)) { mean->sum += sum; mean->weight += total; }
    }
}

static double mean_of(Mean m) { return m.weight > 0.0 ? m.sum / m.weight : NAN; }

// Forward and backward of all micro-batches: the gradients hold the update direction of the step.
static void compute_update(Run* run, int step, StepRow* row) {
    Batch* b = &run->batch;
    Drpt* drpt = &run->drpt;
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0, rows = b->n + b->m;
    int with_general = drpt_wants_general(drpt, (uint64_t)step), first = with_general ? 0 : b->n; // first row of a pass
    Mean general = {0}, target = {0};
    batch_fill(b, &run->general_reader, &run->target_reader, with_general, run->model.config.vocab_size);
    Count usable = batch_count(b, 0, b->n);
    // Plain training: the mean loss. Else each row stands for itself and the feasible set gives it its weight.
    batch_weigh(b, 0, b->n, by_tokens, drpt->plain ? 1.0 : (double)usable.rows);
    batch_weigh(b, b->n, rows, by_tokens, 1.0);
    for (int a = 0; a < b->accumulate; a++) {
        size_t at = ((size_t)a * (size_t)rows + (size_t)first) * (size_t)b->T;
        drpt_begin(drpt, (uint64_t)step, b->usable, b->domain);
        gpt2_forward(&run->model, b->inputs + at, rows - first, b->T);
        gpt2_backward(&run->model, b->inputs + at, b->targets + at, b->weight + at, drpt, rows - first, b->T);
        add_losses(&general, &run->model, b, b->weight + at, 0, b->n - first);
        add_losses(&target, &run->model, b, b->weight + at, b->n - first, rows - first);
    }
    drpt_end(drpt);
    row->loss = mean_of(general);
    row->target_loss = mean_of(target);
    row->tokens = (long)b->accumulate * (rows - first) * b->T;
    row->projecting_ms = drpt->plain ? NAN : 1e3 * drpt->seconds;
}

// The norm of the update, its angle to the target gradient and its length in units of it.
static void measure_update(const Run* run, StepRow* row) {
    const Drpt* d = &run->drpt;
    row->grad_norm = sqrt(squared_norm(run->model.grads, run->model.num_params));
    check(isfinite(row->grad_norm), "step %d: the gradient is not finite (loss %g); lower --lr, or look for broken values in the model or the data",
          row->step, isnan(row->loss) ? row->target_loss : row->loss);
    if (d->m == 0) { return; }
    double u = row->grad_norm, t = sqrt(d->norm_t2);
    if (d->method == METHOD_target) { row->update_cos = row->update_ratio = u > 0.0 ? 1.0 : 0.0; return; }
    row->update_cos = u * t > 0.0 || isnan(t) ? d->dot_ut / (u * t) : 0.0;
    row->update_ratio = t > 0.0 || isnan(t) ? u / t : 0.0;
}

static void note_degenerate(const Drpt* d, char* note, size_t size) {
    note[0] = '\0';
    if (d->rows_dropped > 0) { snprintf(note, size, "%d gradients with NaN or Inf left out", d->rows_dropped); }
    else if (d->groups_skipped > 0) { snprintf(note, size, "%d groups with nothing to project, or on", d->groups_skipped); }
}

// One optimizer step, its evaluation before it.
static void train_step(Run* run, int step) {
    const Config* c = &run->config;
    StepRow row = { .step = step, .val_loss = NAN, .val_general_loss = NAN, .update_cos = NAN, .update_ratio = NAN, .projecting_ms = NAN };
    char note[96];
    if (c->val_every > 0 && step % c->val_every == 0) {
        row.val_loss = evaluate_and_log(run, &run->val, "val", step);
        row.val_general_loss = evaluate_and_log(run, &run->val_general, "val_general", step);
    }
    double began = seconds_now();
    compute_update(run, step, &row);
    measure_update(run, &row);
    if (c->dump_update && step == run->steps - 1) {
        model_write(c->dump_update, &run->model.config, run->model.grads, run->model.num_params);
    }
    double scale = c->clip > 0.0 && row.grad_norm > c->clip ? c->clip / row.grad_norm : 1.0;
    row.lr = scheduled_lr(c->schedule, c->lr, c->warmup, c->final_lr, step, run->steps);
    gpt2_update(&run->model, c, row.lr, scale, step + 1);
    row.ms = 1e3 * (seconds_now() - began);
    note_degenerate(&run->drpt, note, sizeof(note));
    runlog_step(&run->log, &row, note);
}

// ---------------------------------------------------------------------------------------------
// Checkpoints.

static RunState run_state(const Run* run, int step) {
    const Config* c = &run->config;
    return (RunState){
        .step = step,
        .position = { run->general_reader.epoch, run->general_reader.position, run->target_reader.epoch, run->target_reader.position },
        .batch = c->general ? c->batch : 0, .target_batch = c->target ? c->target_batch : 0, .accumulate = c->accumulate,
        .T = run->T, .seed = c->seed,
        .general_rows = run->general.rows, .target_rows = run->target.rows,
    };
}

static void save_checkpoint(const Run* run, int step) {
    RunState state = run_state(run, step);
    if (run->drpt.geometry) { fflush(run->drpt.geometry); } // a run that is killed goes on from here, and so do its logs
    if (drpt_has_state(&run->drpt)) {
        char* path = checkpoint_basis(run->config.out, step);
        drpt_save(&run->drpt, path);
        free(path);
    }
    checkpoint_save(run->config.out, &run->model.config, &state, run->model.params, run->model.m, run->model.v, run->model.num_params);
}

static void load_state(Run* run, int step) {
    RunState now = run_state(run, step);
    DataPosition at = checkpoint_load_state(run->config.out, &now, run->model.m, run->model.v, run->model.num_params);
    if (run->general.rows > 0) { reader_seek(&run->general_reader, at.general_epoch, at.general_position); }
    if (run->target.rows > 0) { reader_seek(&run->target_reader, at.target_epoch, at.target_position); }
    if (drpt_has_state(&run->drpt)) {
        char* path = checkpoint_basis(run->config.out, step);
        drpt_load(&run->drpt, path);
        free(path);
    }
}

// ---------------------------------------------------------------------------------------------
// Setting up, and the loop.

static void open_data(Run* run) {
    const Config* c = &run->config;
    const char* pattern[4] = { c->general, c->target, c->val, c->val_general };
    Dataset* data[4] = { &run->general, &run->target, &run->val, &run->val_general };
    size_t widest = 0;
    for (int i = 0; i < 4; i++) {
        size_t T = pattern[i] ? dataset_row_length(pattern[i]) : 0;
        widest = T > widest ? T : widest;
    }
    run->T = c->seq > 0 ? c->seq : widest > 0 ? (int)widest : 64;
    check((size_t)run->T >= widest, "--seq %d: the examples have rows of %zu tokens; leave --seq out or prepare them with --seq %d", run->T, widest, run->T);
    for (int i = 0; i < 4; i++) {
        if (!pattern[i]) { continue; }
        *data[i] = dataset_open(pattern[i], (size_t)run->T);
        check(data[i]->vocab_size <= run->model.config.vocab_size, "%s: made with a vocabulary of %d, the model has %d",
              pattern[i], data[i]->vocab_size, run->model.config.vocab_size);
        check(!data[i]->examples || data[i]->kind == KIND_EXAMPLES, "%s: preference pairs and prompts: not built yet", pattern[i]);
    }
    check(run->T <= run->model.config.max_seq_len, "rows of %d tokens do not fit the model's context of %d; use a smaller --seq or another --init",
          run->T, run->model.config.max_seq_len);
}

static void check_options(const Config* c, const DrptOptions* o) {
    check(c->init, "--init is missing: a checkpoint file, or sizes such as L4,H4,C128,V257,T128");
    check(c->out || !c->resume, "--resume needs --out, the directory of the run to continue");
    check(c->out || !c->save_every, "--save-every needs --out, a directory for the checkpoints");
    check(c->out || !o->log_geometry, "--log-geometry needs --out, a directory for geometry.csv");
    check(!o->log_geometry || c->target, "--log-geometry needs --target: there is no geometry without a target");
    check(c->general || c->target || (c->steps == 0 && (c->val || c->val_general)),
          "no data: give --general (and --target), or --steps 0 and --val to evaluate");
    check(!c->recompute || !c->target || strcmp(o->group, "global") != 0, "--recompute with --group global: the activations of all blocks are needed to the end");
    check(strcmp(o->metric, "adam") != 0 || strcmp(c->optimizer, "adamw") == 0, "--metric adam needs --optimizer adamw: it is measured by its moments");
    check(!c->dump_update || c->steps != 0, "--dump-update needs a step; --steps is 0");
}

static void write_config(Run* run) {
    Config c = run->config;
    DrptOptions o = run->options;
    OptionTable tables[2] = { config_option_table(&c), drpt_option_table(&o) };
    char* path = path_join(c.out, "config.txt");
    c.steps = run->steps; // resolved
    c.seq = run->T;
    c.resume = 0;
    Output out = output_open(path);
    options_print(out.file, tables, 2);
    output_close(&out);
    free(path);
}

static char* find_checkpoint(Run* run) {
    const Config* c = &run->config;
    int last = c->out ? checkpoint_last(c->out) : -1;
    check(last < 0 || c->resume, "%s: holds checkpoints of a run; continue it with --resume 1, or give another --out", c->out);
    if (c->resume && last < 0) { printf("%s: no checkpoint yet, starting from the beginning\n", c->out); }
    run->first_step = last < 0 ? 0 : last;
    return last < 0 ? NULL : checkpoint_model(c->out, last);
}

static void open_geometry(Run* run) {
    int is_new;
    if (!run->options.log_geometry) { return; }
    FILE* f = runlog_csv(run->config.out, "geometry.csv", run->first_step, &is_new);
    drpt_log_geometry(&run->drpt, f, is_new);
}

static void run_open(Run* run) {
    const Config* c = &run->config;
    char* checkpoint = find_checkpoint(run);
    run->model = gpt2_create(checkpoint ? checkpoint : c->init, c->seed, 1);
    free(checkpoint);
    open_data(run);
    // The feasible set is made of all general rows of a step, so its micro-batches are one batch where there is a target. Of its
    // blocks only the outputs are kept, and the rest is computed again: a micro-batch's memory is mostly that rest.
    int as_one = c->target && c->accumulate > 1, times = as_one ? c->accumulate : 1;
    int n = c->general ? times * c->batch : 0, m = c->target ? times * c->target_batch : 0, most = n + m > c->batch ? n + m : c->batch;
    size_t step_rows = (size_t)c->accumulate * (size_t)c->batch, rows = c->general ? run->general.rows : run->target.rows;
    if (!c->general) { step_rows = (size_t)c->accumulate * (size_t)c->target_batch; }
    run->steps = c->steps >= 0 ? c->steps : rows > step_rows ? (int)(rows / step_rows) : 1;
    check(run->first_step <= run->steps, "%s: stands at step %d, beyond --steps %d", c->out, run->first_step, run->steps);
    if (n + m > 0) {
        run->drpt = drpt_create(&run->options, n, m, run->T, 4 * run->model.config.channels, (int)run->general.num_files, (uint64_t)c->seed);
        drpt_moments(&run->drpt, run->model.grads, run->model.v, c->beta2, c->eps);
    }
    run->drpt.verify = VERIFY_SITES;
    int keep_blocks = drpt_keeps_blocks(&run->drpt);
    gpt2_alloc(&run->model, most, run->T, 1, keep_blocks, (c->recompute || as_one) && !keep_blocks);
    run->batch = batch_create(n, m, run->T, as_one ? 1 : c->accumulate);
    run->eval = batch_create(c->batch, 0, run->T, 1);
    if (n > 0) { run->general_reader = reader_open(&run->general, (uint64_t)c->seed, 1); }
    if (m > 0) { run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1, 1); }
    if (run->first_step > 0) { load_state(run, run->first_step); }
    if (c->dump_update) { output_probe(c->dump_update); } // now rather than at the last step
    if (c->sample_every > 0) { run->tokenizer = open_tokenizer(c, &run->model.config, "--sample-every"); }
    if (c->out) {
        folder_create(c->out);
        write_config(run);
    }
    run->log = runlog_open(c->out, run->first_step, run->steps);
    open_geometry(run);
}

static void run_close(Run* run) {
    runlog_close(&run->log);
    if (run->drpt.geometry) { check(fclose(run->drpt.geometry) == 0, "%s/geometry.csv: writing failed: %s", run->config.out, strerror(errno)); }
    reader_close(&run->general_reader);
    reader_close(&run->target_reader);
    dataset_close(&run->general);
    dataset_close(&run->target);
    dataset_close(&run->val);
    dataset_close(&run->val_general);
    batch_free(&run->batch);
    batch_free(&run->eval);
    drpt_free(&run->drpt);
    gpt2_free(&run->model);
    if (run->tokenizer) { tokenizer_free(run->tokenizer); }
}

static void print_sample(Run* run, int step) {
    size_t most = (size_t)run->config.sample_tokens + 1;
    uint16_t* tokens = malloc(sizeof(uint16_t) * most);
    check(tokens != NULL, "out of memory for a sample");
    tokens[0] = (uint16_t)tokenizer_eot(run->tokenizer);
    printf("--- sample at step %d\n", step);
    generate(&run->model, run->tokenizer, tokens, 1, run->config.sample_tokens, &run->config, (uint64_t)step);
    printf("---\n");
    free(tokens);
}

// After Ctrl-C: what was done so far is kept, and the way on is told.
static void stop(Run* run, const char* program, int step) {
    printf("stopped after step %d of %d\n", step, run->steps);
    if (run->config.out) {
        save_checkpoint(run, step);
        printf("continue with: %s --config '%s/config.txt' --resume 1\n", program, run->config.out);
    }
    run_close(run);
    exit(130);
}

static void finish(Run* run) {
    StepRow row = { .step = run->steps, .loss = NAN, .target_loss = NAN, .lr = NAN, .grad_norm = NAN,
                    .update_cos = NAN, .update_ratio = NAN, .ms = NAN, .projecting_ms = NAN };
    row.val_loss = evaluate_and_log(run, &run->val, "val", run->steps);
    row.val_general_loss = evaluate_and_log(run, &run->val_general, "val_general", run->steps);
    runlog_step(&run->log, &row, "");
    if (!run->config.out) { return; }
    char* path = path_join(run->config.out, "model_final.bin");
    model_write(path, &run->model.config, run->model.params, run->model.num_params);
    printf("wrote %s\n", path);
    free(path);
}

static void train(Run* run, const char* program) {
    const Config* c = &run->config;
    for (int step = run->first_step; step < run->steps; step++) {
        train_step(run, step);
        int done = step + 1;
        if (c->sample_every > 0 && done % c->sample_every == 0) { print_sample(run, done); }
        if (stop_requested) { stop(run, program, done); }
        if (c->save_every > 0 && done % c->save_every == 0) {
            save_checkpoint(run, done);
            int old = done - c->keep_checkpoints * c->save_every;
            if (c->keep_checkpoints > 0 && old > 0) { checkpoint_remove(c->out, old); }
        }
    }
    finish(run);
}

// ---------------------------------------------------------------------------------------------
// Measuring bias and variance at a checkpoint (drpt/probe.h).

static size_t count_trained(Run* run, const Dataset* data, size_t first, size_t end) {
    size_t tokens = 0;
    for (size_t i = first; i < end; i++) {
        batch_row(&run->eval, 0, data, i, run->model.config.vocab_size);
        tokens += (size_t)batch_trained(&run->eval, 0);
    }
    return tokens;
}

// The rows [first, end) of --val are half of the reference, or (2) all of it.
static void probe_reference(Run* run, Probe* probe, int half, size_t first, size_t end) {
    Batch* b = &run->eval;
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0;
    double all = (double)(by_tokens ? count_trained(run, &run->val, first, end) : end - first);
    for (size_t at = first; at < end && !stop_requested; at += (size_t)b->n) {
        int count = end - at < (size_t)b->n ? (int)(end - at) : b->n;
        for (int i = 0; i < count; i++) { batch_row(b, (size_t)i, &run->val, at + (size_t)i, run->model.config.vocab_size); }
        Count these = batch_count(b, 0, count);
        batch_weigh(b, 0, count, by_tokens, (double)(by_tokens ? these.tokens : these.rows) / all);
        probe_begin_reference(probe, half, count, b->T);
        gpt2_forward(&run->model, b->inputs, count, b->T);
        gpt2_backward(&run->model, b->inputs, b->targets, b->weight, probe_recorder(probe), count, b->T);
    }
}

// One target draw with one batch: as in a step of training.
static void probe_pass(Run* run, Probe* probe, const size_t* target_rows, int draw, int batch) {
    Batch* b = &run->batch;
    int by_tokens = strcmp(run->options.weigh, "tokens") == 0, rows = b->n + b->m, vocab = run->model.config.vocab_size;
    for (int i = 0; i < b->n; i++) { batch_row(b, (size_t)i, &run->general, reader_next(&run->general_reader), vocab); }
    for (int j = 0; j < b->m; j++) { batch_row(b, (size_t)(b->n + j), &run->target, target_rows[j], vocab); }
    batch_weigh(b, 0, b->n, by_tokens, (double)batch_count(b, 0, b->n).rows);
    batch_weigh(b, b->n, rows, by_tokens, 1.0);
    probe_begin(probe, draw, batch, b->usable, b->domain);
    gpt2_forward(&run->model, b->inputs, rows, b->T);
    gpt2_backward(&run->model, b->inputs, b->targets, b->weight, probe_recorder(probe), rows, b->T);
}

// Where --val and --target are one file it is the whole population, and its draws are independent; else they are disjoint, as if drawn
// from the population one after the other.
static void probe_draws(Run* run, Probe* probe, int is_population) {
    const Config* c = &run->config;
    size_t* rows = malloc(sizeof(size_t) * (size_t)c->target_batch);
    check(rows != NULL, "out of memory for a draw");
    double began = seconds_now();
    for (int a = 0; a < c->draws && !stop_requested; a++) {
        if (is_population) {
            reader_close(&run->target_reader);
            run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1 + (uint64_t)a, 1);
        }
        for (int j = 0; j < c->target_batch; j++) { rows[j] = reader_next(&run->target_reader); }
        for (int b = 0; b < c->draw_batches && !stop_requested; b++) { probe_pass(run, probe, rows, a, b); }
        double gone = seconds_now() - began;
        if (isatty(1)) { printf("\rdraw %d of %d, %.0f s left ", a + 1, c->draws, gone / (a + 1) * (c->draws - a - 1)); fflush(stdout); }
    }
    if (isatty(1)) { putchar('\n'); }
    free(rows);
}

static void probe_open(Run* run) {
    const Config* c = &run->config;
    check(c->init && c->general && c->target && c->val && c->out, "--probe needs --init, --general, --target, --val and --out");
    check(!run->options.method, "--probe: its file says what is measured; leave --method out");
    run->model = gpt2_create(c->init, c->seed, 1);
    open_data(run);
    check(run->val.rows >= 2, "--val %s: one row cannot tell how well it knows the true gradient", c->val);
    int rows = c->batch + c->target_batch;
    gpt2_alloc(&run->model, rows, run->T, 1, 0, c->recompute);
    run->batch = batch_create(c->batch, c->target_batch, run->T, 1);
    run->eval = batch_create(rows, 0, run->T, 1);
    run->general_reader = reader_open(&run->general, (uint64_t)c->seed, 1);
    run->target_reader = reader_open(&run->target, (uint64_t)c->seed + 1, 1);
    folder_create(c->out);
    write_config(run);
}

static void probe_checkpoint(Run* run) {
    const Config* c = &run->config;
    ProbeList list = probe_list_read(c->probe);
    probe_open(run);
    int is_population = strcmp(c->val, c->target) == 0;
    size_t rows = run->val.rows, drawn = (size_t)c->target_batch * (is_population ? 1 : (size_t)c->draws);
    check(drawn <= run->target.rows, "--target %s: has %zu rows, %s of %d rows take %zu; use fewer --draws or a smaller --target-batch",
          c->target, run->target.rows, is_population ? "a draw" : "disjoint draws", c->target_batch, drawn);
    Probe* probe = probe_create(&list, c->batch, c->target_batch, run->T, 4 * run->model.config.channels, (int)run->general.num_files,
                                c->draws, c->draw_batches, (uint64_t)c->seed);
    if (is_population) { probe_reference(run, probe, 2, 0, rows); }
    for (size_t half = 0; half < 2 && !is_population; half++) { probe_reference(run, probe, (int)half, half * (rows / 2), half ? rows : rows / 2); }
    probe_draws(run, probe, is_population);
    if (stop_requested) { printf("stopped; nothing was written\n"); exit(130); }
    if (!(probe_t_norm2(probe) > 0.0)) { printf("the two halves of --val %s do not agree on the target's gradient: nothing can be said in its units; give more rows\n", c->val); }
    probe_write(probe, c->out);
    printf("wrote %s/probe.csv: %d variants, %d draws of %d target rows with %d batches of %d general rows%s\n", c->out, list.count,
           c->draws, c->target_batch, c->draw_batches, c->batch, probe_is_folded(probe) ? "; large gradients were folded at random" : "");
    probe_free(probe);
    probe_list_free(&list);
}

static const char about[] =
    "train_gpt2_drpt: trains GPT-2 on a CPU; with target data, regularized by general data.\n"
    "  pretrain   train_gpt2_drpt --init L4,H4,C128,V257,T128 --general text.bin --out base\n"
    "  post-train train_gpt2_drpt --init base/model_final.bin --general pool.bin --target few.bin --val held_out.bin --out run\n"
    "  generate   train_gpt2_drpt --init run/model_final.bin --generate \"Once upon\"\n"
    "  build/dev/prep makes data files from text and JSON; --help lists all options.\n";

#ifndef TESTING
int main(int argc, char** argv) {
    Run run = { .config = config_defaults, .options = drpt_defaults };
    OptionTable tables[2] = { config_option_table(&run.config), drpt_option_table(&run.options) };
    if (argc == 1) { fputs(about, stdout); return 0; }
    options_parse(tables, 2, argc, argv, about);
    if (run.config.threads > 0) { omp_set_num_threads(run.config.threads); }
    if (run.config.init && run.config.generate) { generate_from_text(&run.config); return 0; }
    check_options(&run.config, &run.options);
    signal(SIGINT, request_stop);
    signal(SIGTERM, request_stop);
    if (run.config.probe) {
        probe_checkpoint(&run);
    } else {
        run_open(&run);
        train(&run, argv[0]);
    }
    run_close(&run);
    return 0;
}
#endif
