// gpt2_tensors.h -- the tensors of GPT-2: one list for the trainer on the CPU and its twin on the GPU.
#ifndef LLMC_GPT2_TENSORS_H
#define LLMC_GPT2_TENSORS_H

#include "gpt2_file.h"
#include "real.h"

// These lists are the only ones: allocation, checkpoints, initialisation, weight decay and tests walk
// them. Parameters stand in memory as in llm.c's file, each tensor for all blocks in one piece; matrices are
// decayed, vectors are not. Initial values: 0, 1, N normal, R normal, narrower for what adds to the residual stream. A scalar head,
// where there is one, stands at the end.
//         name       blocks  rows   cols  init
#define OUTER_PARAMS(X)                     \
    X(wte,        1,      Vp,    C,    'N') \
    X(wpe,        1,      maxT,  C,    'N')
#define BLOCK_PARAMS(X)                     \
    X(ln1w,       L,      1,     C,    '1') \
    X(ln1b,       L,      1,     C,    '0') \
    X(qkvw,       L,      3*C,   C,    'N') \
    X(qkvb,       L,      1,     3*C,  '0') \
    X(attprojw,   L,      C,     C,    'R') \
    X(attprojb,   L,      1,     C,    '0') \
    X(ln2w,       L,      1,     C,    '1') \
    X(ln2b,       L,      1,     C,    '0') \
    X(fcw,        L,      4*C,   C,    'N') \
    X(fcb,        L,      1,     4*C,  '0') \
    X(fcprojw,    L,      C,     4*C,  'R') \
    X(fcprojb,    L,      1,     C,    '0')
#define FINAL_PARAMS(X)                     \
    X(lnfw,       1,      1,     C,    '1') \
    X(lnfb,       1,      1,     C,    '0') \
    X(headw,      head,   1,     C,    '0') \
    X(headb,      head,   1,     1,    '0')
#define PARAMS(X) OUTER_PARAMS(X) BLOCK_PARAMS(X) FINAL_PARAMS(X)

// What the forward of a block keeps for its backward; with --recompute only residual3, the rest is computed again,
//         name       type   how many
#define BLOCK_ACTS(X)             \
    X(ln1,        Real,  N*C)     \
    X(ln1_mean,   float, N)       \
    X(ln1_rstd,   float, N)       \
    X(qkv,        Real,  N*3*C)   \
    X(lse,        float, N*NH)    \
    X(atty,       Real,  N*C)     \
    X(residual2,  Real,  N*C)     \
    X(ln2,        Real,  N*C)     \
    X(ln2_mean,   float, N)       \
    X(ln2_rstd,   float, N)       \
    X(fch,        Real,  N*4*C)   \
    X(fch_gelu,   Real,  N*4*C)   \
    X(residual3,  Real,  N*C)
// and the gradients that its sites point to, of one block at a time unless a group reaches across blocks. fcproj and attproj are those of
// residual3 and residual2 too.
#define BLOCK_GRADS(X)            \
    X(ln1,        Real,  N*C)     \
    X(qkv,        Real,  N*3*C)   \
    X(atty,       Real,  N*C)     \
    X(attproj,    Real,  N*C)     \
    X(ln2,        Real,  N*C)     \
    X(fch,        Real,  N*4*C)   \
    X(fcproj,     Real,  N*C)

// Weights, and their gradients, which are float whatever the weights are.
#define WEIGHT(name, ...) Real* name;
typedef struct { BLOCK_PARAMS(WEIGHT) } BlockParams;
typedef struct { OUTER_PARAMS(WEIGHT) BlockParams* block; FINAL_PARAMS(WEIGHT) } Params;
#undef WEIGHT
#define GRAD(name, ...) float* name;
typedef struct { BLOCK_PARAMS(GRAD) } BlockParamGrads;
typedef struct { OUTER_PARAMS(GRAD) BlockParamGrads* block; FINAL_PARAMS(GRAD) } ParamGrads;
#undef GRAD
#define FIELD(name, type, ...) type* name;
typedef struct { BLOCK_ACTS(FIELD) } BlockActs;
typedef struct { BLOCK_GRADS(FIELD) } BlockGrads;
#undef FIELD

#define INDEX(name, ...) TENSOR_##name,
enum { PARAMS(INDEX) NUM_TENSORS };
#undef INDEX

typedef struct { size_t begin, blocks, rows, cols; char init; } Tensor;

// Fills the table of all tensors; returns the number of parameters.
static inline size_t list_tensors(Tensor tensor[NUM_TENSORS], const GPT2Config* config) {
    size_t L = (size_t)config->layers, C = (size_t)config->channels, head = (size_t)config->head;
    size_t Vp = (size_t)config->padded_vocab_size, maxT = (size_t)config->max_seq_len, total = 0;
    #define ROW(name, blocks, rows, cols, init) tensor[TENSOR_##name] = (Tensor){ 0, blocks, rows, cols, init };
    PARAMS(ROW)
    #undef ROW
    for (int i = 0; i < NUM_TENSORS; i++) {
        tensor[i].begin = total;
        total += tensor[i].blocks * tensor[i].rows * tensor[i].cols;
    }
    return total;
}

// Pointers into one copy of the parameters: Params into weights, ParamGrads into gradients.
#define POINT(name, ...) p->name = base + tensor[TENSOR_##name].begin;
#define POINT_BLOCK(name, ...) p->block[l].name = base + tensor[TENSOR_##name].begin \
                                               + (size_t)l * tensor[TENSOR_##name].rows * tensor[TENSOR_##name].cols;
static inline void point_params(Params* p, Real* base, const Tensor tensor[NUM_TENSORS], int L) {
    OUTER_PARAMS(POINT)
    FINAL_PARAMS(POINT)
    for (int l = 0; l < L; l++) { BLOCK_PARAMS(POINT_BLOCK) }
}
static inline void point_param_grads(ParamGrads* p, float* base, const Tensor tensor[NUM_TENSORS], int L) {
    OUTER_PARAMS(POINT)
    FINAL_PARAMS(POINT)
    for (int l = 0; l < L; l++) { BLOCK_PARAMS(POINT_BLOCK) }
}
#undef POINT
#undef POINT_BLOCK

#endif // LLMC_GPT2_TENSORS_H
