// tokenizer.c -- text to tokens and back: bytes, or GPT-2's byte-pair encoding.
//
// The text is cut into pieces (words with the space before them, numbers, punctuation, white space), and each piece
// is encoded by itself: it begins as its bytes, and as long as two neighbours together are a token,
// those are joined whose token has the lowest id. Ids were given out in the order in which training found
// the joins, so no list of them is needed.
#include "tokenizer.h"
#include "check.h"
#include "files.h"
#include "unicode.h"

#include <string.h>

enum { MAGIC = 20240328, MAX_VOCAB = 65536, NONE = -1 };

struct Tokenizer {
    char* text;            // one length byte and the bytes, token after token
    const char** token;    // where the bytes of each begin
    int vocab_size, eot;
    size_t longest;        // that text can become
    int* slots;            // hash table: ids, or NONE
    uint32_t num_slots;    // a power of two
    int byte_id[256];
};

static size_t length(const Tokenizer* t, int id) { return (unsigned char)t->token[id][-1]; }

// FNV-1a. Returns the slot where these bytes are, or the free one where they would be put.
static int* find_slot(const Tokenizer* t, const char* s, size_t n) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) { h = (h ^ (unsigned char)s[i]) * 16777619u; }
    for (h ^= h >> 15;; h++) {
        int* slot = &t->slots[h & (t->num_slots - 1)];
        if (*slot == NONE || (length(t, *slot) == n && memcmp(t->token[*slot], s, n) == 0)) { return slot; }
    }
}

static int find_token(const Tokenizer* t, const char* s, size_t n) {
    return n <= t->longest ? *find_slot(t, s, n) : NONE;
}

// <|endoftext|> is left out: text that looks like it stays text.
static void index_tokens(Tokenizer* t, const char* name) {
    for (uint32_t i = 0; i < t->num_slots; i++) { t->slots[i] = NONE; }
    for (int id = 0; id < t->vocab_size; id++) {
        if (id == t->eot) { continue; }
        int* slot = find_slot(t, t->token[id], length(t, id));
        check(*slot == NONE, "%s: tokens %d and %d are the same bytes", name, *slot, id);
        *slot = id;
        if (length(t, id) > t->longest) { t->longest = length(t, id); }
    }
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        t->byte_id[c] = find_token(t, &byte, 1);
        check(t->byte_id[c] != NONE, "%s: has no token for the byte %d, so it cannot encode all text", name, c);
    }
}

// The tokens stand one after the other in `text`, of `bytes` bytes, which becomes the tokenizer's.
static Tokenizer* make(const char* name, char* text, size_t bytes, int vocab_size, int eot) {
    Tokenizer* t = calloc(1, sizeof(Tokenizer));
    check(t != NULL, "%s: out of memory", name);
    *t = (Tokenizer){ .text = text, .vocab_size = vocab_size, .eot = eot, .num_slots = 1 };
    while (t->num_slots < 2 * (uint32_t)vocab_size) { t->num_slots *= 2; }
    t->token = malloc((size_t)vocab_size * sizeof(char*));
    t->slots = malloc(t->num_slots * sizeof(int));
    check(t->token && t->slots, "%s: out of memory for %d tokens", name, vocab_size);

    size_t at = 0;
    for (int id = 0; id < vocab_size; id++) {
        size_t n = at < bytes ? (unsigned char)text[at] : 1;
        check(n > 0, "%s: token %d is empty", name, id);
        check(n < bytes - at, "%s: ends within token %d of %d; is it complete?", name, id, vocab_size);
        t->token[id] = text + at + 1;
        at += 1 + n;
    }
    check(at == bytes, "%s: has %zu bytes behind its last token", name, bytes - at);
    index_tokens(t, name);
    return t;
}

static Tokenizer* make_bytes(void) {
    static const char eot[] = "<|endoftext|>";
    size_t end = sizeof(eot) - 1, bytes = 2 * 256 + 1 + end;
    char* text = malloc(bytes);
    check(text != NULL, "out of memory for a tokenizer");
    for (int c = 0; c < 256; c++) {
        text[2*c] = 1;
        text[2*c + 1] = (char)c;
    }
    text[512] = (char)end;
    memcpy(text + 513, eot, end);
    return make("bytes", text, bytes, 257, 256);
}

static Tokenizer* read_file(const char* path) {
    int32_t h[HEADER_INTS];
    size_t bytes;
    FILE* file = input_open(path, &bytes);
    check(bytes > sizeof(h), "%s: has %zu bytes, is no tokenizer", path, bytes);
    input_read(file, path, h, sizeof(h));
    check(h[0] == MAGIC, "%s: is no tokenizer file of llm.c, its magic number is %d; dev/prep --encoder makes one", path, h[0]);
    check(h[1] == 1 || h[1] == 2, "%s: is version %d of its format, only 1 and 2 can be read", path, h[1]);
    int vocab_size = h[2], eot = h[1] == 1 ? 50256 : h[3]; // version 1 was GPT-2's only
    check(h[1] == 2 || vocab_size == 50257, "%s: is version 1 with %d tokens, should have 50257", path, vocab_size);
    check(vocab_size > 0 && vocab_size <= MAX_VOCAB, "%s: states %d tokens, possible are 1 to %d", path, vocab_size, MAX_VOCAB);
    check(eot >= 0 && eot < vocab_size, "%s: end of text is token %d of %d", path, eot, vocab_size);

    bytes -= sizeof(h);
    char* text = malloc(bytes);
    check(text != NULL, "%s: out of memory for its %zu bytes", path, bytes);
    input_read(file, path, text, bytes);
    fclose(file);
    return make(path, text, bytes, vocab_size, eot);
}

Tokenizer* tokenizer_open(const char* name) {
    return strcmp(name, "bytes") == 0 ? make_bytes() : read_file(name);
}

void tokenizer_free(Tokenizer* t) {
    if (t == NULL) { return; }
    free(t->text);
    free(t->token);
    free(t->slots);
    free(t);
}

int tokenizer_vocab_size(const Tokenizer* t) { return t->vocab_size; }

int tokenizer_eot(const Tokenizer* t) { return t->eot; }

const char* tokenizer_decode(const Tokenizer* t, int token, size_t* bytes) {
    check(token >= 0 && token < t->vocab_size, "there is no token %d in a vocabulary of %d", token, t->vocab_size);
    *bytes = length(t, token);
    return t->token[token];
}

// ---- cutting text into pieces

// A byte that is not UTF-8 counts as a character by itself, of no class.
static CharClass class_at(const char* s, size_t n, size_t* bytes) {
    uint32_t c;
    *bytes = utf8_decode(s, n, &c);
    if (*bytes > 0) { return unicode_class(c); }
    *bytes = 1;
    return OTHER;
}

// The bytes of the characters of one class that s begins with, and where the last of them begins.
static size_t run_length(const char* s, size_t n, CharClass class, size_t* last) {
    size_t at = 0, bytes;
    while (at < n && class_at(s + at, n - at, &bytes) == class) {
        *last = at;
        at += bytes;
    }
    return at;
}

// 's 't 'd 'm 'll 've 're
static size_t contraction_length(const char* s, size_t n) {
    if (n < 2 || s[0] != '\'') { return 0; }
    if (s[1] == 's' || s[1] == 't' || s[1] == 'd' || s[1] == 'm') { return 2; }
    int two = n > 2 && ((s[1] == 'l' && s[2] == 'l') || (s[1] == 'v' && s[2] == 'e') || (s[1] == 'r' && s[2] == 'e'));
    return two ? 3 : 0;
}

// GPT-2's pattern, '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ at the first of n > 0 bytes.
// White space before a word leaves its last character to the word, or, if that is no space, to itself.
static size_t piece_length(const char* s, size_t n) {
    size_t bytes, last = 0, contraction = contraction_length(s, n);
    if (contraction > 0) { return contraction; }
    size_t space = s[0] == ' ' && n > 1;
    CharClass class = class_at(s + space, n - space, &bytes);
    if (class != SPACE) { return space + run_length(s + space, n - space, class, &last); }
    size_t run = run_length(s, n, SPACE, &last);
    return run == n || last == 0 ? run : last;
}

// ---- joining the bytes of a piece

// The piece as a list of parts in an array, by the place of their first byte, and a heap of the joins that
// may be made, lowest id first and leftmost among equals. A join of parts that have changed since
// is recognised when it comes up: the part's `join` is no longer the same.
typedef struct {
    uint32_t previous, next; // next: also where the part ends
    int id, join;            // join: the token that it makes with its right neighbour, or NONE
} Part;

typedef struct {
    Part* part;
    uint64_t* heap;
    size_t heap_size, room;
} Work;

static const uint64_t PLACE = ((uint64_t)1 << 40) - 1; // a join in the heap: id above, place of the left part below

static void heap_push(Work* w, uint64_t x) {
    size_t i = w->heap_size++;
    for (; i > 0 && w->heap[(i - 1) / 2] > x; i = (i - 1) / 2) { w->heap[i] = w->heap[(i - 1) / 2]; }
    w->heap[i] = x;
}

static uint64_t heap_pop(Work* w) {
    uint64_t top = w->heap[0], x = w->heap[--w->heap_size];
    size_t i = 0, child;
    while ((child = 2*i + 1) < w->heap_size) {
        if (child + 1 < w->heap_size && w->heap[child + 1] < w->heap[child]) { child++; }
        if (w->heap[child] >= x) { break; }
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = x;
    return top;
}

// Finds out what the part makes with its right neighbour now.
static void offer_join(const Tokenizer* t, Work* w, const char* s, size_t n, uint32_t at) {
    Part* p = &w->part[at];
    p->join = p->next < n ? find_token(t, s + at, w->part[p->next].next - at) : NONE;
    if (p->join != NONE) { heap_push(w, (uint64_t)p->join << 40 | at); }
}

static void make_join(const Tokenizer* t, Work* w, const char* s, size_t n, uint32_t at) {
    Part* p = &w->part[at];
    Part* gone = &w->part[p->next];
    p->id = p->join;
    p->next = gone->next;
    gone->join = NONE;
    if (p->next < n) { w->part[p->next].previous = at; }
    offer_join(t, w, s, n, at);
    if (at > 0) { offer_join(t, w, s, n, p->previous); }
}

// Each of the n bytes offers one join at first, and each join made takes one out and offers two.
static void make_room(Work* w, size_t n) {
    if (n <= w->room) { return; }
    check(n < UINT32_MAX, "the text has %zu bytes without a break, at most %u can be encoded", n, UINT32_MAX - 1);
    w->room = n > 2 * w->room ? n : 2 * w->room;
    free(w->part);
    free(w->heap);
    w->part = malloc(w->room * sizeof(Part));
    w->heap = malloc(2 * w->room * sizeof(uint64_t));
    check(w->part && w->heap, "out of memory to encode %zu bytes without a break", n);
}

static size_t encode_piece(const Tokenizer* t, Work* w, uint16_t* tokens, const char* s, size_t n) {
    int whole = find_token(t, s, n);
    if (whole != NONE) {
        tokens[0] = (uint16_t)whole;
        return 1;
    }
    make_room(w, n);
    w->heap_size = 0;
    for (uint32_t i = 0; i < n; i++) { w->part[i] = (Part){ i - 1, i + 1, t->byte_id[(unsigned char)s[i]], NONE }; }
    for (uint32_t i = 0; i < n; i++) { offer_join(t, w, s, n, i); }
    while (w->heap_size > 0) {
        uint64_t top = heap_pop(w);
        uint32_t at = (uint32_t)(top & PLACE);
        if (w->part[at].join == (int)(top >> 40)) { make_join(t, w, s, n, at); }
    }
    size_t count = 0;
    for (uint32_t i = 0; i < n; i = w->part[i].next) { tokens[count++] = (uint16_t)w->part[i].id; }
    return count;
}

size_t tokenizer_encode(const Tokenizer* t, uint16_t* tokens, const char* text, size_t bytes) {
    Work w = {0};
    size_t count = 0;
    for (size_t at = 0, n; at < bytes; at += n) {
        n = t->longest > 1 ? piece_length(text + at, bytes - at) : 1; // no joins, no pieces
        count += encode_piece(t, &w, tokens + count, text + at, n);
    }
    free(w.part);
    free(w.heap);
    return count;
}
