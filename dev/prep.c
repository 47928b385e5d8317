// prep.c -- makes data files: text to token shards, records of instructions or conversations to examples or prompts, of preferences to pairs.
//
//     prep --input book.txt --out train.bin --val val.bin                         bytes
//     prep --encoder encoder.json --out gpt2_tokenizer.bin                        the tokenizer file of llm.c
//     prep --input chats.jsonl --tokenizer gpt2_tokenizer.bin --seq 256 --out chats.bin
//     prep --input gsm8k.jsonl --tokenizer gpt2_tokenizer.bin --seq 256 --prompts 1 --out questions.bin
#include "../llmc/check.h"
#include "../llmc/dataset.h"
#include "../llmc/encoder.h"
#include "../llmc/files.h"
#include "../llmc/options.h"
#include "../llmc/records.h"
#include "../llmc/rng.h"
#include "../llmc/tokenizer.h"
#include "../llmc/unicode.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *input, *out, *val, *tokenizer, *match, *not_match, *encoder;
    double val_fraction;
    int seq, prompts, skip, take, shuffle, seed, drop;
} Config;

#define AT(field) offsetof(Config, field)

static const Option options[] = {
    { .name = "Files" },
    { "input", "i", OPTION_TEXT, AT(input), 0, 0, NULL, "what to read, separated by commas: .json and .jsonl are records, others text" },
    { "out", "o", OPTION_TEXT, AT(out), 0, 0, NULL, "the file to write" },
    { "val", "j", OPTION_TEXT, AT(val), 0, 0, NULL, "a second file, for a held-out part: the end of each text, or records" },
    { "val-fraction", NULL, OPTION_REAL, AT(val_fraction), 0, 0.99, NULL, "how much is held out; 0.1 if --val is given" },
    { "tokenizer", NULL, OPTION_TEXT, AT(tokenizer), 0, 0, NULL, "bytes, or a tokenizer file of llm.c" },
    { .name = "Records" },
    { "seq", "t", OPTION_INT, AT(seq), 1, 1 << 20, NULL, "row length; longer records are cut" },
    { "prompts", NULL, OPTION_SWITCH, AT(prompts), 0, 1, NULL,
      "for --objective grpo and ppo: prompts to be answered, with the answers that responses are judged by" },
    { "match", NULL, OPTION_TEXT, AT(match), 0, 0, NULL, "only records with this in their instruction, prompt or question" },
    { "not-match", NULL, OPTION_TEXT, AT(not_match), 0, 0, NULL, "only records without this text there" },
    { "shuffle", NULL, OPTION_SWITCH, AT(shuffle), 0, 1, NULL, "mix the records, before any are skipped, taken or held out" },
    { "seed", NULL, OPTION_INT, AT(seed), 0, 2147483647, NULL, "of the shuffle" },
    { "skip", NULL, OPTION_INT, AT(skip), 0, 2147483647, NULL, "leave out as many records" },
    { "take", NULL, OPTION_INT, AT(take), 0, 2147483647, NULL, "then use as many; 0 is all" },
    { "drop", NULL, OPTION_SWITCH, AT(drop), 0, 1, NULL, "leave out records with nothing to train on, or whose prompt or answer has no room, instead of refusing them" },
    { .name = "Tokenizer" },
    { "encoder", NULL, OPTION_TEXT, AT(encoder), 0, 0, NULL, "GPT-2's encoder.json: writes llm.c's tokenizer file to --out, and nothing else" },
};

static Config parse(int argc, char** argv) {
    Config c = { .tokenizer = "bytes", .seq = 128, .shuffle = 1, .seed = 42 };
    OptionTable table = { options, sizeof(options) / sizeof(options[0]), &c };
    options_parse(&table, 1, argc, argv, "prep: makes data files to train on. --input or --encoder, and --out, are needed.");
    check(c.out && !c.input != !c.encoder, "give --out, and either --input or --encoder; --help explains them");
    check(!c.encoder || !c.val, "--encoder writes one file, it has no use for --val");
    check(c.val || c.val_fraction == 0, "--val-fraction %g: needs --val, a file for the held-out part", c.val_fraction);
    check(!c.encoder || strcmp(c.encoder, c.out) != 0, "%s: would be written over, it is an input", c.out);
    check(!c.val || strcmp(c.val, c.out) != 0, "%s: --out and --val are the same file", c.val);
    if (c.val && c.val_fraction == 0) { c.val_fraction = 0.1; }
    return c;
}

static int is_bytes(const Config* c) { return strcmp(c->tokenizer, "bytes") == 0; }

// Found out before the work instead of after it.
static void check_writable(const char* path) {
    const char* slash = strrchr(path, '/');
    char* folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("./");
    check(folder != NULL, "%s: out of memory for its folder", path);
    check(access(folder, W_OK | X_OK) == 0, "%s: cannot be written, its folder: %s", path, strerror(errno));
    free(folder);
}

// ---- the list of input files

typedef struct {
    char* names; // one after another, each with its zero
    char** path;
    size_t count;
} Inputs;

static int is_records(const char* path) {
    const char* dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".json") == 0 || strcmp(dot, ".jsonl") == 0);
}

static Inputs split_inputs(const Config* c) {
    Inputs in = { .names = strdup(c->input), .path = malloc((strlen(c->input) + 1) * sizeof(char*)) };
    check(in.names && in.path, "out of memory for the names in --input");
    char* rest = in.names;
    for (char* path; (path = strsep(&rest, ",")) != NULL; ) {
        check(*path, "--input %s: a name between the commas is empty", c->input);
        check(strcmp(path, c->out) != 0 && (!c->val || strcmp(path, c->val) != 0), "%s: would be written over, it is an input", path);
        in.path[in.count++] = path;
        check(is_records(path) == is_records(in.path[0]), "%s and %s: text and records cannot go into one file", in.path[0], path);
    }
    return in;
}

static void free_inputs(Inputs* in) {
    free(in->names);
    free(in->path);
}

// ---- text

typedef struct {
    uint16_t* tokens;
    size_t count, bytes; // bytes of text they stand for
} Tokens;

static void add_text(Tokens* to, const Tokenizer* t, const char* text, size_t bytes) {
    if (bytes == 0) { return; }
    to->tokens = realloc(to->tokens, (to->count + bytes + 1) * sizeof(uint16_t));
    check(to->tokens != NULL, "out of memory for %zu bytes of text", to->bytes + bytes);
    if (to->count > 0) { to->tokens[to->count++] = (uint16_t)tokenizer_eot(t); } // between two files
    to->count += tokenizer_encode(t, to->tokens + to->count, text, bytes);
    to->bytes += bytes;
}

// Bytes are trained on whatever they are; but tokens of text are learned from text.
static char* read_text(const Config* c, const char* path, size_t* bytes) {
    size_t line, column;
    FILE* f = input_open(path, bytes);
    char* text = malloc(*bytes + 1);
    check(text != NULL, "%s: out of memory for its %zu bytes", path, *bytes);
    input_read(f, path, text, *bytes);
    fclose(f);
    check(is_bytes(c) || utf8_check(text, *bytes, &line, &column),
          "%s: line %zu, column %zu: is not UTF-8 text; convert it, or use --tokenizer bytes", path, line, column);
    return text;
}

// Where the held-out end begins: at a line if there is one to begin, so that no character is cut.
static size_t held_out_from(const char* text, size_t bytes, double fraction) {
    size_t at = bytes - (size_t)((double)bytes * fraction);
    const char* line = at > 0 ? memchr(text + at - 1, '\n', bytes - at + 1) : NULL;
    if (line && line + 1 < text + bytes) { return (size_t)(line - text) + 1; }
    while (at > 0 && at < bytes && (text[at] & 0xc0) == 0x80) { at--; }
    return at;
}

static void write_tokens(const char* path, const Tokens* t, const char* tokenizer) {
    check(t->count > 1, "%s: would have %zu tokens, too few to train on; the text is too short", path, t->count);
    tokens_write(path, t->tokens, t->count);
    printf("%s: %zu tokens (%s) of %zu bytes of text\n", path, t->count, tokenizer, t->bytes);
}

static void prepare_text(const Config* c, const Inputs* in, const Tokenizer* t) {
    Tokens train = {0}, val = {0};
    check(!c->match && !c->not_match && !c->skip && !c->take && !c->prompts,
          "--prompts, --match, --not-match, --skip and --take are about records, but the input is text");
    for (size_t i = 0; i < in->count; i++) {
        size_t bytes;
        char* text = read_text(c, in->path[i], &bytes);
        size_t at = c->val ? held_out_from(text, bytes, c->val_fraction) : bytes;
        add_text(&train, t, text, at);
        add_text(&val, t, text + at, bytes - at);
        free(text);
    }
    check(!c->val || val.count > 1, "%s: nothing is left to hold out, the text is too short", c->val);
    write_tokens(c->out, &train, c->tokenizer);
    if (c->val) { write_tokens(c->val, &val, c->tokenizer); }
    free(train.tokens);
    free(val.tokens);
}

// ---- records

// A record is one row, or two: a pair, the chosen answer first.
typedef struct {
    size_t T, count, room, each;  // each: rows of a record; 0 as long as there is none
    uint16_t* tokens;             // (count, each, T+1)
    unsigned char *mask, *is_cut; // (count, each, T) and (count)
    size_t unmatched, dropped;
} Rows;

static void make_room(Rows* rows) {
    if (rows->count < rows->room) { return; }
    rows->room = rows->room ? 2 * rows->room : 64;
    rows->tokens = realloc(rows->tokens, rows->room * rows->each * (rows->T + 1) * sizeof(uint16_t));
    rows->mask = realloc(rows->mask, rows->room * rows->each * rows->T);
    rows->is_cut = realloc(rows->is_cut, rows->room);
    check(rows->tokens && rows->mask && rows->is_cut, "out of memory for %zu rows of %zu tokens", rows->room, rows->T);
}

static void free_rows(Rows* rows) {
    free(rows->tokens);
    free(rows->mask);
    free(rows->is_cut);
}

static int is_chosen(const Config* c, const Record* r) {
    size_t bytes;
    if (!c->match && !c->not_match) { return 1; }
    const char* prompt = record_prompt(r, &bytes);
    int with = c->match && prompt && memmem(prompt, bytes, c->match, strlen(c->match));
    int without = !c->not_match || !prompt || !memmem(prompt, bytes, c->not_match, strlen(c->not_match));
    return (with || !c->match) && without;
}

// A row to train on, or two; returns what is wrong with it, or NULL.
static const char* add_examples(Rows* rows, RecordEncoder* e, const Record* r, size_t each) {
    int cut = 0, trained = 1;
    for (size_t i = 0; i < each; i++) {
        size_t row = rows->count * each + i;
        unsigned char* mask = rows->mask + row * rows->T;
        size_t tokens = record_row(e, r, each == 1 ? NULL : i == 0 ? "chosen" : "rejected", rows->tokens + row * (rows->T + 1), mask);
        cut |= tokens > rows->T + 1;
        trained &= memchr(mask, 1, rows->T) != NULL;
    }
    rows->is_cut[rows->count] = (unsigned char)cut;
    if (trained) { return NULL; }
    return cut ? "has nothing to train on in its part within --seq, use a longer one" : "has nothing to train on, its answer is missing or empty";
}

// A prompt is whole and has room for a response, of one token at least, in a row of --seq tokens; so is what the response is compared with.
static const char* add_prompt(Rows* rows, RecordEncoder* e, const Record* r) {
    size_t at = rows->count, prompt, tokens = record_prompt_row(e, r, rows->tokens + at * (rows->T + 1), rows->mask + at * rows->T, &prompt);
    rows->is_cut[at] = 0;
    if (prompt >= rows->T) { return "its prompt leaves no room for a response within --seq, use a longer one"; }
    return tokens > rows->T + 1 ? "its prompt and answer are longer than --seq, use a longer one" : NULL;
}

static void add_record(Rows* rows, const Config* c, RecordEncoder* e, const Record* r) {
    if (!is_chosen(c, r)) { rows->unmatched++; return; }
    size_t each = record_is_pair(r) && !c->prompts ? 2 : 1;
    if (rows->each == 0) { rows->each = each; }
    check(each == rows->each, "%s: record %zu (line %zu): %s a preference pair, unlike the records before it; they cannot go into one file",
          r->json->path, r->number, r->value->line, each == 2 ? "is" : "is not");
    make_room(rows);
    const char* fault = c->prompts ? add_prompt(rows, e, r) : add_examples(rows, e, r, each);
    check(!fault || c->drop, "%s: record %zu (line %zu): %s; --drop leaves such records out", r->json->path, r->number, r->value->line, fault);
    if (fault) { rows->dropped++; } else { rows->count++; }
}

static Rows read_records(const Config* c, const Inputs* in, const Tokenizer* t) {
    Rows rows = { .T = (size_t)c->seq };
    RecordEncoder* e = record_encoder_open(t, rows.T);
    for (size_t i = 0; i < in->count; i++) {
        size_t count;
        Json json = json_open(in->path[i]);
        Record* records = records_find(&json, &count);
        for (size_t k = 0; k < count; k++) { add_record(&rows, c, e, &records[k]); }
        printf("%s: %zu records\n", in->path[i], count);
        free(records);
        json_close(&json);
    }
    record_encoder_free(e);
    return rows;
}

static uint32_t* order_of(const Rows* rows, const Config* c) {
    uint32_t* order = malloc((rows->count + 1) * sizeof(uint32_t));
    check(order && rows->count <= INT32_MAX, "out of memory for the order of %zu rows", rows->count);
    for (size_t i = 0; i < rows->count; i++) { order[i] = (uint32_t)i; }
    Rng rng = rng_seed((uint64_t)c->seed, 0, 0);
    if (c->shuffle) { rng_shuffle(&rng, order, rows->count); }
    return order;
}

// Text as it is, but what would move the cursor about or is half a character as its code.
static void print_text(const char* s, size_t n) {
    uint32_t c;
    for (size_t at = 0, bytes; at < n; at += bytes) {
        bytes = utf8_decode(s + at, n - at, &c);
        if (bytes > 0 && (c == '\n' || (c >= 0x20 && c != 0x7f && (c < 0x80 || c >= 0xa0)))) {
            fwrite(s + at, 1, bytes, stdout);
        } else {
            bytes = 1;
            printf("\\x%02x", (unsigned char)s[at]);
        }
    }
}

// Tokens first to last of a row, up to where the mask changes; characters may reach over tokens.
static void print_tokens(const Tokenizer* t, const uint16_t* tokens, size_t count) {
    size_t room = count * 255, n = 0, bytes;
    char* text = malloc(room + 1);
    check(text != NULL, "out of memory to show a row");
    for (size_t i = 0; i < count; i++) {
        const char* s = tokenizer_decode(t, tokens[i], &bytes);
        memcpy(text + n, s, bytes);
        n += bytes;
    }
    print_text(text, n);
    free(text);
}

static void show_row(const Tokenizer* t, const uint16_t* tokens, const unsigned char* mask, size_t T, const char* which, const char* masked) {
    size_t end = T + 1;
    while (end > 1 && !mask[end - 2] && tokens[end - 1] == tokenizer_eot(t)) { end--; } // padding
    printf("its %s row, with [[%s]]:\n", which, masked);
    for (size_t at = 0, next; at < end; at = next) {
        int trained = at > 0 && mask[at - 1];
        for (next = at + 1; next < end && mask[next - 1] == trained; next++) {}
        if (trained) { printf("[["); }
        print_tokens(t, tokens + at, next - at);
        if (trained) { printf("]]"); }
    }
    printf("\nand %zu tokens of padding\n", T + 1 - end);
}

static const char* rows_name(const Rows* rows, const Config* c) { return rows->each == 2 ? "pairs" : c->prompts ? "prompts" : "rows"; }

// Writes the rows that `order` names, count of them.
static void write_rows(const char* path, const Config* c, const Tokenizer* t, const Rows* rows, const uint32_t* order, size_t count) {
    size_t T = rows->T, masked = 0, cut = 0, each = rows->each, tokens_each = each * (T + 1), mask_each = each * T;
    uint16_t* tokens = malloc(count * tokens_each * sizeof(uint16_t));
    unsigned char* mask = malloc(count * mask_each);
    const char* what = rows_name(rows, c);
    check(tokens && mask, "%s: out of memory for %zu %s", path, count, what);
    for (size_t i = 0; i < count; i++) {
        memcpy(tokens + i * tokens_each, rows->tokens + order[i] * tokens_each, tokens_each * sizeof(uint16_t));
        memcpy(mask + i * mask_each, rows->mask + order[i] * mask_each, mask_each);
        cut += rows->is_cut[order[i]];
    }
    for (size_t i = 0; i < count * mask_each; i++) { masked += mask[i]; }
    examples_write(path, tokens, mask, each * count, T, tokenizer_vocab_size(t), each == 2 ? KIND_PAIRS : c->prompts ? KIND_PROMPTS : KIND_EXAMPLES,
                   is_bytes(c) ? TOKENIZER_BYTES : TOKENIZER_GPT2);
    if (c->prompts) {
        printf("\n%s: %zu prompts of %zu tokens (%s), %zu tokens of answers\n", path, count, T, c->tokenizer, masked);
    } else {
        printf("\n%s: %zu %s of %zu tokens (%s), %zu trained tokens, %zu %s cut at --seq\n", path, count, what, T, c->tokenizer, masked, cut, what);
    }
    for (size_t i = 0; i < each; i++) {
        show_row(t, tokens + i * (T + 1), mask + i * T, T, i == 0 ? "first" : "second", c->prompts ? "the answer" : "what is trained on");
    }
    free(tokens);
    free(mask);
}

static void prepare_records(const Config* c, const Inputs* in, const Tokenizer* t) {
    Rows rows = read_records(c, in, t);
    uint32_t* order = order_of(&rows, c);
    size_t skip = (size_t)c->skip, wanted = (size_t)c->take;
    printf("%zu %s; left out: %zu by --match or --not-match, %zu %s\n",
           rows.count, rows_name(&rows, c), rows.unmatched, rows.dropped, c->prompts ? "too long" : "without anything to train on");
    check(skip < rows.count, "%s: no rows are left to write, %zu were found and --skip is %zu", c->out, rows.count, skip);
    check(wanted <= rows.count - skip, "%s: --take %zu, but there are only %zu rows after --skip", c->out, wanted, rows.count - skip);
    size_t count = wanted > 0 ? wanted : rows.count - skip, held_out = 0;
    if (c->val) {
        held_out = (size_t)((double)count * c->val_fraction + 0.5);
        check(held_out > 0 && held_out < count, "%s: --val-fraction %g of %zu rows leaves one of the files empty",
              c->val, c->val_fraction, count);
    }
    write_rows(c->out, c, t, &rows, order + skip, count - held_out);
    if (held_out > 0) { write_rows(c->val, c, t, &rows, order + skip + count - held_out, held_out); }
    free(order);
    free_rows(&rows);
}

int main(int argc, char** argv) {
    Config c = parse(argc, argv);
    check_writable(c.out);
    if (c.val) { check_writable(c.val); }
    if (c.encoder) {
        int count = encoder_convert(c.encoder, c.out);
        printf("%s: %d tokens\n", c.out, count);
        return 0;
    }
    Inputs in = split_inputs(&c);
    Tokenizer* t = tokenizer_open(c.tokenizer);
    if (is_records(in.path[0])) { prepare_records(&c, &in, t); } else { prepare_text(&c, &in, t); }
    tokenizer_free(t);
    free_inputs(&in);
    return 0;
}
