// train_gpt2_drpt.c -- trains GPT-2 on a CPU, plainly or data-regularized.
//
// Read it from the top: the layers, forward and backward; the block; the model; main. A run of it is drpt/run.c's. The gradient of
// an activation is computed here, layer by layer. The gradient of a weight is *recorded* as a site of
// drpt/, which forms it at once in plain training, or projects it first (drpt/drpt.h; the formulas of all
// weight gradients stand in drpt/site.h). That is the whole difference between the two.
//
// Letters: B rows of a batch, T tokens of a row, N = B*T positions, C channels, NH heads, V vocabulary, L blocks.
// Arrays are row-major, d* is the gradient of the loss with respect to *, and activation gradients are
// overwritten unless a comment says that they are added to.
#include "drpt/drpt.h"
#include "drpt/gpt2.h"
#include "drpt/run.h"
#include "llmc/arena.h"
#include "llmc/check.h"
#include "llmc/config.h"
#include "llmc/gpt2_init.h"
#include "llmc/gpt2_tensors.h"
#include "llmc/matmul.h"
#include "llmc/optimizer.h"
#include "llmc/softmax.h"

#include <math.h>
#include <omp.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// Layers.

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
//     dinp = dstream + rstd * (dxhat - avg(dxhat) - xhat * avg(dxhat * xhat))
// where dstream is the gradient of what goes past the layer; NULL: nothing does.
static void layernorm_backward_input(float* dinp, const float* dstream, const float* dout, const float* inp, const float* weight,
                                     const float* mean, const float* rstd, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        const float* past = dstream ? dstream + (size_t)n * C : NULL;
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
        for (int c = 0; c < C; c++) { dx[c] = (past ? past[c] : 0.0f) + r * (dy[c] * weight[c] - average - (x[c] - m) * r * along); }
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

// out = stream + inp @ weight^T + bias: the last layer of a branch, added to the stream.
static void matmul_forward_residual(float* out, const float* stream, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    matmul_forward(out, inp, weight, bias, N, C, OC);
    residual_forward(out, stream, (size_t)N * OC);
}

// out = gelu(hidden), hidden = inp @ weight^T + bias
static void matmul_forward_gelu(float* out, float* hidden, const float* inp, const float* weight, const float* bias, int N, int C, int OC) {
    matmul_forward(hidden, inp, weight, bias, N, C, OC);
    gelu_forward(out, hidden, (size_t)N * OC);
}

// The gradient of `hidden` from that of what a layer makes of gelu(hidden): dhidden (N,C) = (dout @ weight) gelu'(hidden)
static void matmul_backward_input_gelu(float* dhidden, const float* dout, const float* weight, const float* hidden, int N, int C, int OC) {
    matmul_backward_input(dhidden, dout, weight, N, C, OC);
    gelu_backward(dhidden, hidden, (size_t)N * C);
}

static int argmax(const float* x, int V) {
    int best = 0;
    for (int v = 1; v < V; v++) { if (x[v] > x[best]) { best = v; } }
    return best;
}

// losses (N) = -log softmax(logits)[target], hits (N) = 1 where the target has the largest logit; both 0 where the
// position is not trained on (weight 0). A row of logits is `stride` long; what follows the V logits counts for nothing.
static void cross_entropy_forward(float* losses, unsigned char* hits, const float* logits, const int* targets,
                                  const float* weight, int N, int V, int stride) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        const float* x = logits + (size_t)n * stride;
        losses[n] = weight[n] != 0.0f ? log_sum_exp(x, V) - x[targets[n]] : 0.0f;
        hits[n] = weight[n] != 0.0f && argmax(x, V) == targets[n];
    }
}

// The same losses, and logits replaced by the gradient of sum_n weight[n] losses[n]: weight * (softmax - onehot), then zeros.
static void cross_entropy_backward(float* losses, float* logits, const int* targets, const float* weight, int N, int V, int stride) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        float* x = logits + (size_t)n * stride;
        losses[n] = 0.0f;
        memset(x + V, 0, sizeof(float) * (size_t)(stride - V));
        if (weight[n] == 0.0f) { memset(x, 0, sizeof(float) * (size_t)V); continue; }
        float lse = log_sum_exp(x, V), w = weight[n];
        losses[n] = lse - x[targets[n]];
        #pragma omp simd
        for (int v = 0; v < V; v++) { x[v] = w * fast_exp(x[v] - lse); }
        x[targets[n]] -= w;
    }
}

// The scalar head: values (N) = <weight, lnf> + bias.
static void value_forward(float* values, const float* lnf, const float* weight, const float* bias, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) { values[n] = dot(weight, lnf + (size_t)n * C, C) + bias[0]; }
}

// A position without a gradient is left alone, whatever its numbers are.
static void value_backward_input(float* dlnf, // added to
                                const float* dvalue, const float* weight, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        float* dx = dlnf + (size_t)n * C;
        for (int c = 0; c < C && dvalue[n] != 0.0f; c++) { dx[c] += dvalue[n] * weight[c]; }
    }
}

static void value_backward_params(float* dweight, float* dbias, // added to
                                 const float* dvalue, const float* share, const float* lnf, int B, int T, int C) {
    for (int n = 0; n < B * T; n++) {
        const float* x = lnf + (size_t)n * C;
        float d = share[n / T] * dvalue[n];
        if (d == 0.0f) { continue; }
        for (int c = 0; c < C; c++) { dweight[c] += d * x[c]; }
        dbias[0] += d;
    }
}

// ---------------------------------------------------------------------------------------------
// One block, both ways. w: weights, a: activations; g and d: their gradients. The backward reads the forward from the last
// line to the first.

// All that the backward of a block reads, the block's output left out.
static void block_hidden(const BlockActs* a, const float* x, const BlockParams* w, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    layernorm_forward(a->ln1, a->ln1_mean, a->ln1_rstd, x, w->ln1w, w->ln1b, N, C);
    matmul_forward(a->qkv, a->ln1, w->qkvw, w->qkvb, N, C, 3*C);
    attention_forward(a->atty, a->lse, a->qkv, scratch, B, T, C, NH);
    matmul_forward_residual(a->residual2, x, a->atty, w->attprojw, w->attprojb, N, C, C);
    layernorm_forward(a->ln2, a->ln2_mean, a->ln2_rstd, a->residual2, w->ln2w, w->ln2b, N, C);
    matmul_forward_gelu(a->fch_gelu, a->fch, a->ln2, w->fcw, w->fcb, N, C, 4*C);
}

static void block_forward(const BlockActs* a, const float* x, const BlockParams* w, float* scratch, int B, int T, int C, int NH) {
    int N = B * T;
    block_hidden(a, x, w, scratch, B, T, C, NH);
    matmul_forward_residual(a->residual3, a->residual2, a->fch_gelu, w->fcprojw, w->fcprojb, N, 4*C, C);
}

// d->fcproj is the gradient of residual3 on entry, and so that of the branch which is added there; d->attproj likewise of residual2. dx
// becomes that of the block's input x: it is no buffer of d, as sites point to them while the stream's gradient moves on.
static void block_backward(const BlockParamGrads* g, const BlockGrads* d, float* dx,
                           const BlockParams* w, const BlockActs* a, const float* x,
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
// The model.

struct GPT2 {
    GPT2Config config;
    Tensor tensor[NUM_TENSORS];
    size_t num_params;
    Params weight;
    ParamGrads grad;
    float *params, *grads, *m, *v;    // (num_params) each; the last three only for training
    Clip* clip;                       // of the last update
    int B, T;                         // the largest batch there is memory for
    int recompute;                    // 1: the blocks share their activations, residual3 apart
    BlockActs* act;                   // (L)
    BlockGrads* dact;                 // (L), all the same memory unless a group reaches across blocks; fcproj in turn another and dx
    float *encoded, *lnf, *lnf_mean, *lnf_rstd, *logits, *losses;
    float *dx, *dlnf;
    float* scratch;                   // of attention, a part for each thread
    Arena param_arena, act_arena;
};

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
    model->clip = arena_take(arena, sizeof(Clip));
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
    model->scratch = take(arena, attention_scratch_size(model->T, (int)(C / NH)) * (size_t)omp_get_max_threads());
    if (!training) { return; }
    model->dx = take(arena, N * C);
    model->dlnf = take(arena, N * C);
    for (size_t l = 0; l < L; l++) {
        BlockGrads* d = model->dact ? &model->dact[l] : NULL;
        if (l == 0 || keep_blocks) { layout_block_grads(d, arena, N, C); }
        else if (d) {
            *d = model->dact[0];
            if (l % 2 == 1) { d->fcproj = model->dx; }
        }
    }
}

GPT2* gpt2_create(const char* init, int seed, int training, int with_head) {
    GPT2* model = calloc(1, sizeof(GPT2));
    check(model != NULL, "out of memory for a model");
    GPT2Init from = gpt2_init_open(init, with_head);
    model->config = from.config;
    memcpy(model->tensor, from.tensor, sizeof(model->tensor));
    model->num_params = from.num_params;
    layout_params(model, training);
    arena_alloc(&model->param_arena, "the parameters");
    layout_params(model, training);
    point_params(&model->weight, model->params, model->tensor, model->config.layers);
    if (training) { point_param_grads(&model->grad, model->grads, model->tensor, model->config.layers); }
    gpt2_init(&from, model->params, seed);
    return model;
}

void gpt2_alloc(GPT2* model, int B, int T, int training, int keep_blocks, int recompute) {
    model->B = B;
    model->T = T;
    model->recompute = recompute;
    layout_acts(model, training, keep_blocks);
    arena_alloc(&model->act_arena, "the activations");
    layout_acts(model, training, keep_blocks);
}

void gpt2_free(GPT2* model) {
    arena_free(&model->param_arena);
    arena_free(&model->act_arena);
    free(model);
}

const GPT2Config* gpt2_config(const GPT2* model) { return &model->config; }
GPT2Arrays gpt2_arrays(const GPT2* model) { return (GPT2Arrays){ model->params, model->grads, model->m, model->v, model->num_params }; }

// The length of a row of logits; the GPU's is padded.
static int logits_stride(const GPT2Config* c) { return c->vocab_size; }

void gpt2_hidden(GPT2* model, const int* tokens, int B, int T) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, N = B * T;
    const float* x = model->encoded;
    encoder_forward(model->encoded, tokens, model->weight.wte, model->weight.wpe, B, T, C);
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
    cross_entropy_forward(losses, hits, model->logits, targets, weight, B * T,
                          model->config.vocab_size, logits_stride(&model->config));
}

void gpt2_values(const GPT2* model, float* values, int B, int T) {
    value_forward(values, model->lnf, model->weight.headw, model->weight.headb, B * T, model->config.channels);
}

static int any(const float* weight, int N) {
    int n = 0;
    while (n < N && weight[n] == 0.0f) { n++; }
    return n < N;
}

void gpt2_backward(GPT2* model, const int* tokens, const int* targets, const float* weight, const HeadGradient* head, Drpt* drpt, int B, int T) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, V = model->config.vocab_size, N = B * T;
    const float* last = model->act[L - 1].residual3;
    int stride = logits_stride(&model->config);
    float* dlogits = any(weight, N) ? model->logits : NULL; // in place; NULL: no token is trained on
    if (dlogits) {
        cross_entropy_backward(model->losses, dlogits, targets, weight, N, V, stride);
        matmul_backward_input(model->dlnf, dlogits, model->weight.wte, N, C, stride);
    } else {
        device_zero(model->losses, sizeof(*model->losses) * (size_t)N);
        device_zero(model->dlnf, sizeof(*model->dlnf) * (size_t)N * (size_t)C);
    }
    if (head) {
        value_backward_params(model->grad.headw, model->grad.headb, head->dvalue, head->share, model->lnf, B, T, C);
        value_backward_input(model->dlnf, head->dvalue, model->weight.headw, N, C);
    }
    layernorm_backward_input(model->dact[L - 1].fcproj, NULL, model->dlnf, last, model->weight.lnfw, model->lnf_mean, model->lnf_rstd, N, C);
    drpt->block = -1;
    drpt_site_layernorm(drpt, "lnf", model->grad.lnfw, model->grad.lnfb, model->dlnf, last, model->lnf_mean, model->lnf_rstd, C);
    drpt_project(drpt, DRPT_BLOCK);
    for (int l = L - 1; l >= 0; l--) {
        const float* x = l > 0 ? model->act[l - 1].residual3 : model->encoded;
        float* dx = l > 0 ? model->dact[l - 1].fcproj : model->dx;
        drpt->block = l;
        if (model->recompute && l < L - 1) { block_hidden(&model->act[l], x, &model->weight.block[l], model->scratch, B, T, C, NH); }
        block_backward(&model->grad.block[l], &model->dact[l], dx, &model->weight.block[l], &model->act[l], x,
                       drpt, model->scratch, B, T, C, NH);
    }
    drpt->block = -1;
    drpt_site_token(drpt, "wte", model->grad.wte, dlogits, model->lnf, model->dx, tokens, C, V, stride);
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
}

double gpt2_norm(const GPT2* model) { return model->clip->norm; }

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
    float *x, *lnf, *stats, *logits;  // x (room,C); of at most `rows` positions the others
    float *keys, *values;             // (L,rows,T/LANES,C,LANES) and (L,rows,T,C); T is in whole vectors, here and below
    float* S;                         // (threads,T)
    Arena arena;
};

static size_t row_size(const Decoder* d) { return (size_t)whole_vectors(d->T) * (size_t)d->config.channels; }

static void layout_decoder(Decoder* d) {
    size_t C = (size_t)d->config.channels, rows = (size_t)d->rows, all = (size_t)d->config.layers * rows, room = (size_t)d->room;
    layout_block_acts(&d->act, &d->arena, room, C, (size_t)d->config.heads);
    d->x = take(&d->arena, room * C);
    d->lnf = take(&d->arena, rows * C);
    d->stats = take(&d->arena, 2 * rows);
    d->logits = take(&d->arena, rows * (size_t)d->config.vocab_size);
    d->S = take(&d->arena, (size_t)omp_get_max_threads() * (size_t)whole_vectors(d->T));
    d->keys = take(&d->arena, all * row_size(d));
    d->values = take(&d->arena, all * row_size(d) + LANES); // the last vector of a head may reach over it
}

Decoder* decoder_create(const GPT2Config* config, int rows, int T) {
    Decoder* d = calloc(1, sizeof(Decoder));
    check(d != NULL, "out of memory for a decoder");
    *d = (Decoder){ .config = *config, .rows = rows, .T = T, .room = most(rows, DECODER_ROOM) };
    layout_decoder(d);
    arena_alloc(&d->arena, "the key-value cache");
    layout_decoder(d);
    return d;
}

void decoder_free(Decoder* d) {
    arena_free(&d->arena);
    free(d);
}

void decoder_copy(Decoder* d, const int* from, const int* to, const int* places, int N) {
    int L = d->config.layers;
    size_t C = (size_t)d->config.channels, row = row_size(d);
    #pragma omp parallel for
    for (int nl = 0; nl < N * L; nl++) {
        int n = nl / L;
        size_t first = (size_t)(nl % L) * (size_t)d->rows, a = (first + (size_t)from[n]) * row, b = (first + (size_t)to[n]) * row;
        memcpy(d->keys + b, d->keys + a, sizeof(float) * (size_t)whole_vectors(places[n]) * C);
        memcpy(d->values + b, d->values + a, sizeof(float) * (size_t)places[n] * C);
    }
}

// out (N,C): the embeddings of tokens at places of their own.
static void encoder_decode(float* out, const int* tokens, const int* places, const float* wte, const float* wpe, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        float* y = out + (size_t)n * C;
        const float* token = wte + (size_t)tokens[n] * C;
        const float* place = wpe + (size_t)places[n] * C;
        for (int c = 0; c < C; c++) { y[c] = token[c] + place[c]; }
    }
}

// The keys and values of N positions to their places in the cache: keys (rows,T/LANES,C,LANES), values (rows,T,C).
static void cache_update(float* keys, float* values, const float* qkv, const int* rows, const int* places, int T, int N, int C) {
    #pragma omp parallel for
    for (int n = 0; n < N; n++) {
        size_t row = (size_t)rows[n] * whole_vectors(T) * C;
        const float *k = qkv + (size_t)n * 3*C + C, *v = k + C;
        float* to = keys + row + (size_t)(places[n] / LANES * LANES) * C + places[n] % LANES;
        for (int c = 0; c < C; c++) { to[c * LANES] = k[c]; }
        memcpy(values + row + (size_t)places[n] * C, v, sizeof(float) * (size_t)C);
    }
}

// sum over k < K of a[k] b[k], for LANES columns of b, in four sums so that none has to wait for the one before.
static inline Vec combine(const float* a, const float* b, size_t b_row, int K) {
    Vec sum[4] = {{0}};
    int k = 0;
    for (; k + 4 <= K; k += 4) {
        UNROLL for (int i = 0; i < 4; i++) { sum[i] += a[k + i] * *(const Vec*)(b + (size_t)(k + i) * b_row); }
    }
    for (; k < K; k++) { sum[0] += a[k] * *(const Vec*)(b + (size_t)k * b_row); }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// s becomes exp(s - largest); returns their sum. Up to a whole vector there is room, and what is written there is too little to count.
static float softmax_decode(float* s, int count) {
    int whole = (count + LANES - 1) / LANES * LANES;
    float largest = s[0], sum = 0.0f;
    for (int u = count; u < whole; u++) { s[u] = -INFINITY; }
    #pragma omp simd reduction(max:largest)
    for (int u = 0; u < whole; u++) { largest = s[u] > largest ? s[u] : largest; }
    #pragma omp simd reduction(+:sum)
    for (int u = 0; u < whole; u++) { sum += s[u] = fast_exp(s[u] - largest); }
    return sum;
}

// atty (N,C): each query attends to the keys and values of its row, up to its own place. A thread takes a head of a position; the
// lanes of a vector are neighbouring places for the scores and neighbouring channels for what is gathered by them.
static void attention_decode(float* atty, float* S, const float* qkv, const float* keys, const float* values,
                             const int* rows, const int* places, int T, int N, int C, int NH) {
    int hs = C / NH;
    float scale = 1.0f / sqrtf((float)hs);
    #pragma omp parallel for
    for (int nh = 0; nh < N * NH; nh++) {
        int n = nh / NH, head = nh % NH * hs, count = places[n] + 1;
        size_t row = (size_t)rows[n] * whole_vectors(T) * C;
        const float *q = qkv + (size_t)n * 3*C + head, *k = keys + row + head * LANES, *v = values + row + head;
        float *out = atty + (size_t)n * C + head, *s = S + (size_t)omp_get_thread_num() * whole_vectors(T);
        for (int u = 0; u < count; u += LANES) { *(Vec*)(s + u) = scale * combine(q, k + (size_t)u * C, LANES, hs); }
        float sum = softmax_decode(s, count);
        for (int j = 0; j < hs; j += LANES) {
            Vec y = combine(s, v + j, (size_t)C, count) / sum;
            memcpy(out + j, &y, sizeof(float) * (size_t)least(LANES, hs - j));
        }
    }
}

// The blocks for N positions, which leaves their last output in x. All keys of a layer are in the cache before a query
// looks there, so that positions may follow one another.
static void blocks_decode(const GPT2* model, Decoder* d, const int* tokens, const int* rows, const int* places, int N) {
    int L = model->config.layers, C = model->config.channels, NH = model->config.heads, T = d->T;
    size_t NC = (size_t)N * (size_t)C, layer = (size_t)d->rows * row_size(d);
    const BlockActs* a = &d->act;
    encoder_decode(d->x, tokens, places, model->weight.wte, model->weight.wpe, N, C);
    for (int l = 0; l < L; l++) {
        const BlockParams* w = &model->weight.block[l];
        float *keys = d->keys + (size_t)l * layer, *values = d->values + (size_t)l * layer;
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
        int count = least(d->room, N - n);
        blocks_decode(model, d, tokens + n, rows + n, places + n, count);
    }
}

const float* gpt2_decode(const GPT2* model, Decoder* d, const int* tokens, const int* rows, const int* places, int B) {
    int C = model->config.channels;
    check(B <= d->rows, "%d rows at a time: the decoder has room for %d", B, d->rows);
    blocks_decode(model, d, tokens, rows, places, B);
    layernorm_forward(d->lnf, d->stats, d->stats + d->rows, d->x, model->weight.lnfw, model->weight.lnfb, B, C);
    matmul_forward_rows(d->logits, d->lnf, model->weight.wte, NULL, B, C, logits_stride(&model->config));
    return d->logits;
}

#ifndef TESTING
static const char about[] =
    "train_gpt2_drpt: trains GPT-2 on a CPU; with target data, regularized by general data.\n"
    "  pretrain   train_gpt2_drpt --init L4,H4,C128,V257,T128 --general text.bin --out base\n"
    "  post-train train_gpt2_drpt --init base/model_final.bin --general pool.bin --target few.bin --val held_out.bin --out run\n"
    "  generate   train_gpt2_drpt --init run/model_final.bin --generate \"Once upon\"\n"
    "  build/dev/prep makes data files from text and JSON; --help lists all options.\n";

int main(int argc, char** argv) { return run_main(argc, argv, about); }
#endif
