// gpt2.h -- GPT-2 as a run sees it: train_gpt2_drpt.c implements it on the CPU, train_gpt2_drpt.cu on a GPU.
//
// Tokens, targets, losses and logits are the host's; parameters, gradients and moments stand on the device (llmc/device.h).
#ifndef DRPT_GPT2_H
#define DRPT_GPT2_H

#include "drpt.h"
#include "../llmc/config.h"
#include "../llmc/gpt2_file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct GPT2 GPT2;

// The model of a checkpoint, or of a descriptor with random weights. Gradients and moments are zero, and are there only for `training`.
// with_head 1: if it has no scalar head it gets one of zeros.
// Memory for its activations comes from gpt2_alloc(): B rows of T tokens at most; for `training` those of the backward too, with
// keep_blocks of all blocks at once; with `recompute` the blocks share their activations, the outputs apart.
GPT2* gpt2_create(const char* init, int seed, int training, int with_head);
void gpt2_alloc(GPT2* model, int B, int T, int training, int keep_blocks, int recompute);
void gpt2_free(GPT2* model);

const GPT2Config* gpt2_config(const GPT2* model);

typedef struct {
    float *params, *grads, *m, *v; // (num_params) each, on the device, laid out as in the file; NULL where there are none
    size_t num_params;
} GPT2Arrays;
GPT2Arrays gpt2_arrays(const GPT2* model);

// What the scalar head reads of the tokens (B,T): all but the logits.
void gpt2_hidden(GPT2* model, const int* tokens, int B, int T);
// And logits (B,T,V), for those of the next three.
void gpt2_forward(GPT2* model, const int* tokens, int B, int T);

// losses (B,T) = -log softmax(logits)[target]; hits (B,T) = 1 where the target has the largest logit. Both are 0 where weight (B,T) is.
void gpt2_evaluate(GPT2* model, const int* targets, const float* weight, float* losses, unsigned char* hits, int B, int T);

// values (B,T): what the scalar head says of each position, headw . lnf + headb. The model must have one.
void gpt2_values(const GPT2* model, float* values, int B, int T);

// What the loss wants of the values: dvalue (B,T) = dL/dvalue. It is part of every row's gradient, and so of what the regularizer sees.
// The head itself is no site: its own gradient is the sum over the rows of share[b] (B) times what dvalue says.
typedef struct {
    const float *dvalue, *share;
} HeadGradient;

// After gpt2_forward() on the same tokens, or gpt2_hidden() where all weights are 0: adds to the gradients of all parameters. weight (B,T) is each
// position's share of the loss; head: NULL, or what the values add to it.
void gpt2_backward(GPT2* model, const int* tokens, const int* targets, const float* weight, const HeadGradient* head, Drpt* drpt, int B, int T);
// The losses (B,T), on the device, of the positions that it was given, 0 where weight was. They stay the model's, until the next call.
const float* gpt2_losses(const GPT2* model);

// One step of the optimizer, with the gradient no longer than c->clip; the gradients are zero afterwards. number: which update of the
// moments it is, from 1. With a gradient that is not finite nothing changes.
void gpt2_update(GPT2* model, const Config* c, double lr, int number);
// The norm that the gradient had then; that of the gradient as it is. The host waits for them.
double gpt2_norm(const GPT2* model);
double gpt2_gradient_norm(GPT2* model);

// Generation. A decoder keeps keys and values of T places of each of its rows, so that a token costs one forward of a single position;
// positions of all rows go through the weights together. The position n is tokens[n] at places[n] of rows[n], which is one of
// 0..rows-1. The earlier places of its row have been decoded since they held other tokens, or stand before it in the list.
// On the CPU the logits of a row have the same bits whatever other rows, and however many, go with it.
typedef struct Decoder Decoder;
enum { DECODER_ROOM = 256 }; // positions that are computed at a time, or `rows`
Decoder* decoder_create(const GPT2Config* config, int rows, int T);
void decoder_free(Decoder* d);

// Copies n of N: row to[n] gets the first places[n] places of row from[n], as if it had been given the same tokens. N is at most `rows`, and no
// row that is copied to is copied from.
void decoder_copy(Decoder* d, const int* from, const int* to, const int* places, int N);

// N positions, as many as there are: all of a prompt but its last token.
void gpt2_prefill(const GPT2* model, Decoder* d, const int* tokens, const int* rows, const int* places, int N);
// The logits (B,V), on the host, that follow each of B positions, `rows` at most. They stay the decoder's, until the next call.
const float* gpt2_decode(const GPT2* model, Decoder* d, const int* tokens, const int* rows, const int* places, int B);

#ifdef __cplusplus
}
#endif

#endif // DRPT_GPT2_H
