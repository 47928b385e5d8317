// gpt2_file.c -- llm.c's checkpoint and optimizer-state files.
#include "gpt2_file.h"
#include "check.h"
#include "files.h"

#include <limits.h>
#include <math.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------
// Sizes.

static const struct { int depth, channels, heads; } depths[] = {
    { 6, 384, 6 }, { 12, 768, 12 }, { 24, 1024, 16 }, { 36, 1280, 20 }, { 48, 1600, 25 },
    { 60, 1920, 30 }, { 72, 2880, 30 }, { 84, 3456, 36 },
};

static int parse_depth(GPT2Config* c, const char* text) {
    char* end;
    if (text[0] != 'd' || text[1] < '0' || text[1] > '9') { return 0; }
    long depth = strtol(text + 1, &end, 10);
    if (*end != '\0') { return 0; }
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        if (depths[i].depth != depth) { continue; }
        *c = (GPT2Config){ .max_seq_len = 1024, .vocab_size = 50257, .layers = (int)depth,
                           .heads = depths[i].heads, .channels = depths[i].channels };
        return 1;
    }
    die("--init %s: no such depth; there are d6, d12, d24, d36, d48, d60, d72, d84", text);
}

static int* field(GPT2Config* c, char letter) {
    switch (letter) {
        case 'L': return &c->layers;
        case 'H': return &c->heads;
        case 'C': return &c->channels;
        case 'V': return &c->vocab_size;
        case 'T': return &c->max_seq_len;
        default:  return NULL;
    }
}

static int parse_list(GPT2Config* c, const char* text) {
    *c = (GPT2Config){0};
    for (const char* at = text; ; at++) {
        char* end;
        int* size = field(c, *at);
        if (!size || at[1] < '0' || at[1] > '9') { return 0; }
        check(*size == 0, "--init %s: %c is given twice", text, *at);
        long value = strtol(at + 1, &end, 10);
        check(value > 0 && value <= INT_MAX, "--init %s: %c must be a positive whole number", text, *at);
        *size = (int)value;
        at = end;
        if (*at == '\0') { break; }
        if (*at != ',') { return 0; }
    }
    check(c->layers && c->heads && c->channels && c->vocab_size && c->max_seq_len,
          "--init %s: needs all of L (layers), H (heads), C (channels), V (vocabulary), T (context)", text);
    return 1;
}

int gpt2_config_parse(GPT2Config* config, const char* text) {
    if (!parse_depth(config, text) && !parse_list(config, text)) { return 0; }
    config->padded_vocab_size = (int)(((int64_t)config->vocab_size + 127) / 128 * 128);
    gpt2_config_check(config, text);
    return 1;
}

void gpt2_config_check(const GPT2Config* c, const char* where) {
    const int most = 1 << 20; // of any one size: keeps every product below in 63 bits
    check(c->layers > 0 && c->heads > 0 && c->channels > 0 && c->vocab_size > 0 && c->max_seq_len > 0,
          "%s: a size is not positive (layers %d, heads %d, channels %d, vocabulary %d, context %d)",
          where, c->layers, c->heads, c->channels, c->vocab_size, c->max_seq_len);
    check(c->layers <= 1024 && c->channels <= most && c->max_seq_len <= most,
          "%s: too large (layers %d of at most 1024, channels %d and context %d of at most %d)",
          where, c->layers, c->channels, c->max_seq_len, most);
    check(c->vocab_size <= 65536, "%s: vocabulary %d is too large; the data files hold tokens of 16 bits", where, c->vocab_size);
    check(c->padded_vocab_size >= c->vocab_size && c->padded_vocab_size <= 2 * 65536,
          "%s: padded vocabulary %d does not fit vocabulary %d", where, c->padded_vocab_size, c->vocab_size);
    check(c->channels % c->heads == 0, "%s: %d channels cannot be shared by %d heads", where, c->channels, c->heads);
    check(c->head == 0 || c->head == 1, "%s: scalar heads: %d; a model has one or none", where, c->head);
}

// ---------------------------------------------------------------------------------------------
// Model files.

// bfloat16 is the upper half of a float. To the nearest, of two to the even one; what is no number stays none.
static uint16_t bf16_of(float x) {
    uint32_t word;
    memcpy(&word, &x, sizeof(word));
    return isnan(x) ? 0x7fff : (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

static float float_of(uint16_t bf16) {
    uint32_t word = (uint32_t)bf16 << 16;
    float x = 0.0f;
    memcpy(&x, &word, sizeof(word));
    return x;
}

enum { PIECE = 4096 }; // numbers converted at a time

static size_t piece(size_t begin, size_t count) { return count - begin < PIECE ? count - begin : PIECE; }

static void read_bf16(const ModelFile* f, float* params, size_t count) {
    uint16_t x[PIECE];
    for (size_t begin = 0; begin < count; begin += PIECE) {
        size_t n = piece(begin, count);
        input_read(f->file, f->path, x, sizeof(uint16_t) * n);
        for (size_t i = 0; i < n; i++) { params[begin + i] = float_of(x[i]); }
    }
}

static void write_bf16(Output* o, const float* params, size_t count) {
    uint16_t x[PIECE];
    for (size_t begin = 0; begin < count; begin += PIECE) {
        size_t n = piece(begin, count);
        for (size_t i = 0; i < n; i++) { x[i] = bf16_of(params[begin + i]); }
        output_write(o, x, sizeof(uint16_t) * n);
    }
}

ModelFile model_open(const char* path) {
    int32_t header[HEADER_INTS];
    ModelFile f = { .path = path };
    f.file = input_open(path, &f.bytes);
    check(f.bytes >= sizeof(header), "%s: %zu bytes are no checkpoint; one begins with %zu bytes of header", path, f.bytes, sizeof(header));
    input_read(f.file, path, header, sizeof(header));
    check(header[0] == MAGIC_MODEL, "%s: not a GPT-2 checkpoint (magic %d, not %d)", path, header[0], MAGIC_MODEL);
    f.version = header[1];
    check(f.version == MODEL_FP32 || f.version == MODEL_BF16, "%s: version %d; checkpoints of version %d (fp32) and %d (bf16) can be read",
          path, f.version, MODEL_FP32, MODEL_BF16);
    memcpy(&f.config, header + 2, sizeof(f.config));
    gpt2_config_check(&f.config, path);
    return f;
}

void model_check_size(const ModelFile* f, size_t num_params) {
    size_t want = sizeof(int32_t) * HEADER_INTS + (f->version == MODEL_BF16 ? sizeof(uint16_t) : sizeof(float)) * num_params;
    check(f->bytes == want, "%s: has %zu bytes, its header asks for %zu", f->path, f->bytes, want);
}

void model_read(const ModelFile* f, float* params, size_t num_params) {
    model_check_size(f, num_params);
    if (f->version == MODEL_BF16) { read_bf16(f, params, num_params); } else { input_read(f->file, f->path, params, sizeof(float) * num_params); }
    fclose(f->file);
    for (size_t i = 0; i < num_params; i++) { check(isfinite(params[i]), "%s: parameter %zu (from 0) is %g, not a number", f->path, i, params[i]); }
}

void model_write(const char* path, const GPT2Config* config, int version, const float* params, size_t num_params) {
    int32_t header[HEADER_INTS] = { MAGIC_MODEL, version };
    memcpy(header + 2, config, sizeof(*config));
    Output o = output_open(path);
    output_write(&o, header, sizeof(header));
    if (version == MODEL_BF16) { write_bf16(&o, params, num_params); } else { output_write(&o, params, sizeof(float) * num_params); }
    output_close(&o);
}

// ---------------------------------------------------------------------------------------------
// State files. Entries 34 on are ours.

enum { STEP = 10, GENERAL_POSITION = 32, OURS = 34 };

static void put64(int32_t* header, int at, uint64_t x) { memcpy(header + at, &x, sizeof(x)); }
static uint64_t get64(const int32_t* header, int at) { uint64_t x; memcpy(&x, header + at, sizeof(x)); return x; }

void state_write(const char* path, const RunState* s, const float* m, const float* v, size_t num_params) {
    int32_t header[HEADER_INTS] = { MAGIC_STATE, 1, 1 }; // one process
    header[STEP] = s->step;
    put64(header, GENERAL_POSITION, s->position.general_position);
    put64(header, OURS, s->position.general_epoch);
    put64(header, OURS + 2, s->position.target_epoch);
    put64(header, OURS + 4, s->position.target_position);
    put64(header, OURS + 6, s->general_rows);
    put64(header, OURS + 8, s->target_rows);
    int32_t run[6] = { s->batch, s->target_batch, s->accumulate, s->T, s->seed, s->skipped };
    memcpy(header + OURS + 10, run, sizeof(run));
    Output o = output_open(path);
    output_write(&o, header, sizeof(header));
    output_write(&o, m, sizeof(float) * num_params);
    output_write(&o, v, sizeof(float) * num_params);
    output_close(&o);
}

void state_read(const char* path, RunState* s, float* m, float* v, size_t num_params) {
    int32_t header[HEADER_INTS], run[6];
    size_t bytes, want = sizeof(header) + 2 * sizeof(float) * num_params;
    FILE* f = input_open(path, &bytes);
    check(bytes == want, "%s: has %zu bytes, this model's state has %zu", path, bytes, want);
    input_read(f, path, header, sizeof(header));
    check(header[0] == MAGIC_STATE && header[1] == 1, "%s: not a state file (magic %d, version %d)", path, header[0], header[1]);
    check(header[STEP] >= 0, "%s: step %d makes no sense", path, header[STEP]);
    memcpy(run, header + OURS + 10, sizeof(run));
    check(run[5] >= 0 && run[5] <= header[STEP], "%s: %d steps without an update, of %d, make no sense", path, run[5], header[STEP]);
    *s = (RunState){
        .step = header[STEP], .skipped = run[5],
        .position = { get64(header, OURS), get64(header, GENERAL_POSITION), get64(header, OURS + 2), get64(header, OURS + 4) },
        .batch = run[0], .target_batch = run[1], .accumulate = run[2], .T = run[3], .seed = run[4],
        .general_rows = get64(header, OURS + 6), .target_rows = get64(header, OURS + 8),
    };
    input_read(f, path, m, sizeof(float) * num_params);
    input_read(f, path, v, sizeof(float) * num_params);
    fclose(f);
}
