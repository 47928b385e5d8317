// rollout.c -- what a model answers to prompts.
#include "rollout.h"
#include "../llmc/check.h"

#include <string.h>

static void* zeros(size_t count, size_t size) {
    void* p = calloc(count > 0 ? count : 1, size);
    check(p != NULL, "out of memory for rollouts: %zu MiB", count * size >> 20);
    return p;
}

Rollouts rollouts_create(const GPT2Config* model, int rows, int T, int width) {
    check(T >= 1 && T <= model->max_seq_len + 1, "rollouts of %d tokens: the model's context is %d", T, model->max_seq_len);
    size_t R = (size_t)rows, W = (size_t)(width = width < rows ? width : rows), all = R * (size_t)T, fed = W * (size_t)T;
    Rollouts r = { .rows = rows, .T = T, .sampling = { 1.0, 1.0, 0 }, .most = T, .end = -1, .width = width };
    r.tokens = zeros(all, sizeof(int));
    r.mask = zeros(all, 1);
    r.log_prob = zeros(all, sizeof(float));
    r.prompt = zeros(R, sizeof(int));
    r.length = zeros(R, sizeof(int));
    r.ended = zeros(R, 1);
    r.row = zeros(W, sizeof(int));
    r.place = zeros(W, sizeof(int));
    r.queue = zeros(R, sizeof(int));
    r.rng = zeros(R, sizeof(Rng));
    r.fed = zeros(fed, sizeof(int));
    r.fed_row = zeros(fed, sizeof(int));
    r.fed_place = zeros(fed, sizeof(int));
    r.weight = zeros(W * (size_t)model->vocab_size, sizeof(float));
    r.decoder = decoder_create(model, width, T > 1 ? T - 1 : 1); // a row's last token is not decoded
    return r;
}

void rollouts_free(Rollouts* r) {
    void* arrays[] = { r->tokens, r->mask, r->log_prob, r->prompt, r->length, r->ended, r->row, r->place, r->queue, r->rng,
                       r->fed, r->fed_row, r->fed_place, r->weight };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) { free(arrays[i]); }
    decoder_free(r->decoder);
    *r = (Rollouts){0};
}

// A row of `count` tokens, which are there already, none of them sampled.
static void set_prompt(Rollouts* r, int row, int count) {
    size_t at = (size_t)row * (size_t)r->T, T = (size_t)r->T;
    memset(r->tokens + at + count, 0, sizeof(int) * (T - (size_t)count));
    memset(r->mask + at, 0, T);
    memset(r->log_prob + at, 0, sizeof(float) * T);
    r->prompt[row] = r->length[row] = count;
    r->ended[row] = 0;
}

void rollouts_begin(Rollouts* r, uint64_t seed, uint64_t stream, uint64_t first) {
    r->running = r->waiting = 0;
    for (int i = 0; i < r->width; i++) { r->place[i] = i; }
    for (int i = 0; i < r->rows; i++) {
        set_prompt(r, i, 0);
        r->rng[i] = rng_seed(seed, stream, first + (uint64_t)i);
    }
}

static int is_done(const Rollouts* r, int row) {
    return r->ended[row] || r->length[row] >= r->T || r->length[row] - r->prompt[row] >= r->most;
}

void rollouts_prompt(Rollouts* r, int row, const int* tokens, int count) {
    if (count == 0) {
        check(r->end >= 0, "an empty prompt needs a token that begins a text: there is no end of text");
        tokens = &r->end;
        count = 1;
    }
    check(count <= r->T, "a prompt of %d tokens: a rollout has room for %d", count, r->T);
    memmove(r->tokens + (size_t)row * (size_t)r->T, tokens, sizeof(int) * (size_t)count);
    set_prompt(r, row, count);
    if (is_done(r, row)) { return; }
    check(r->running + r->waiting < r->rows, "a prompt for rollout %d, which is not done with its last one", row);
    r->queue[r->waiting++] = row;
}

// The first of those that run that begins with the prompt of number `at` of them: what is kept of it in the decoder is what this one needs.
static int first_with_prompt(const Rollouts* r, int at) {
    const int *prompt = r->tokens + (size_t)r->row[at] * (size_t)r->T, count = r->prompt[r->row[at]];
    for (int i = 0; i < at; i++) {
        const int* other = r->tokens + (size_t)r->row[i] * (size_t)r->T;
        if (r->length[r->row[i]] >= count && memcmp(other, prompt, sizeof(int) * (size_t)count) == 0) { return i; }
    }
    return at;
}

// Free places of the decoder for rows that wait: it gets all of their prompts but the last token, in one forward; those it has are copied.
static void admit(Rollouts* r, const GPT2* model) {
    int N = 0, admitted = 0, copies = 0, first = r->running;
    for (; r->running < r->width && admitted < r->waiting; admitted++) {
        int at = r->running++, row = r->row[at] = r->queue[admitted];
        if (first_with_prompt(r, at) < at) { continue; }
        for (int t = 0; t < r->length[row] - 1; t++, N++) {
            r->fed[N] = r->tokens[(size_t)row * (size_t)r->T + (size_t)t];
            r->fed_row[N] = r->place[at];
            r->fed_place[N] = t;
        }
    }
    r->waiting -= admitted;
    memmove(r->queue, r->queue + admitted, sizeof(int) * (size_t)r->waiting);
    gpt2_prefill(model, r->decoder, r->fed, r->fed_row, r->fed_place, N);
    for (int at = first; at < r->running; at++) {
        int from = first_with_prompt(r, at);
        if (from == at) { continue; }
        r->fed[copies] = r->place[from];
        r->fed_row[copies] = r->place[at];
        r->fed_place[copies++] = r->prompt[r->row[at]] - 1;
    }
    decoder_copy(r->decoder, r->fed, r->fed_row, r->fed_place, copies);
}

// The rows' last tokens through the model.
static const float* decode(Rollouts* r, const GPT2* model) {
    for (int i = 0; i < r->running; i++) {
        int row = r->row[i], last = r->length[row] - 1;
        r->fed[i] = r->tokens[(size_t)row * (size_t)r->T + (size_t)last];
        r->fed_row[i] = r->place[i];
        r->fed_place[i] = last;
    }
    return gpt2_decode(model, r->decoder, r->fed, r->fed_row, r->fed_place, r->running);
}

static void sample(Rollouts* r, const float* logits, int V) {
    #pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < r->running; i++) {
        size_t at = (size_t)r->row[i] * (size_t)r->T + (size_t)r->length[r->row[i]], to = (size_t)i * (size_t)V;
        r->tokens[at] = sample_token(logits + to, V, r->sampling, &r->rng[r->row[i]], r->weight + to, &r->log_prob[at]);
    }
}

// Takes in what was sampled. A row that is done changes places with the last that runs, and costs nothing from now on.
static void take_in(Rollouts* r) {
    for (int i = r->running - 1; i >= 0; i--) {
        int row = r->row[i], place = r->place[i], t = r->length[row]++;
        size_t at = (size_t)row * (size_t)r->T + (size_t)t;
        check(r->tokens[at] >= 0, "rollout %d: the logits of its token %d are not numbers: the model has diverged", row, t);
        r->mask[at] = 1;
        r->ended[row] = r->tokens[at] == r->end;
        if (!is_done(r, row)) { continue; }
        int last = --r->running;
        r->row[i] = r->row[last];
        r->place[i] = r->place[last];
        r->place[last] = place;
    }
}

int rollouts_step(Rollouts* r, const GPT2* model) {
    admit(r, model);
    if (r->running == 0) { return 0; }
    sample(r, decode(r, model), gpt2_config(model)->vocab_size);
    take_in(r);
    return r->running + r->waiting;
}
