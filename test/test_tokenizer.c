// test_tokenizer.c -- tokens of small vocabularies against joins made by hand, GPT-2's pieces, bytes that come back.
#include "../llmc/check.h"
#include "../llmc/files.h"
#include "../llmc/tokenizer.h"
#include "../llmc/unicode.h"
#include "scratch.h"
#include "test.h"

#include <errno.h>

static const char* folder;
static char path[256];

// A tokenizer file in the making: the 256 bytes, in an order that is not theirs, and what is added.
static struct {
    int32_t header[HEADER_INTS];
    char body[1 << 16];
    size_t bytes;
} made;

static int add(const char* s, size_t n) {
    made.body[made.bytes] = (char)n;
    memcpy(made.body + made.bytes + 1, s, n);
    made.bytes += 1 + n;
    return made.header[2]++;
}

#define BYTE(c) (((c) + 7) % 256) // the id of a byte

static void begin(void) {
    memset(&made, 0, sizeof(made));
    made.header[0] = 20240328;
    made.header[1] = 2;
    for (int id = 0; id < 256; id++) {
        char c = (char)(id - 7);
        add(&c, 1);
    }
}

static void write_made(void) {
    Output o = output_open(path);
    output_write(&o, made.header, sizeof(made.header));
    output_write(&o, made.body, made.bytes);
    output_close(&o);
}

static Tokenizer* finish(void) {
    made.header[3] = add("<|endoftext|>", 13);
    write_made();
    return tokenizer_open(path);
}

static Tokenizer* open_small(void) {
    static const char* const joined[] = { "ab", "bc", "abc", "aa", " a", "aab", "1a", "a1", "aaaa", "ca", "bb", "bbb" };
    begin();
    for (size_t i = 0; i < sizeof(joined) / sizeof(joined[0]); i++) { add(joined[i], strlen(joined[i])); }
    return finish();
}
enum { AB = 256, BC, ABC, AA, _A, AAB, ONE_A, A_ONE, AAAA };

static void expect_round_trip(const Tokenizer* t, const char* text, size_t n) {
    uint16_t* tokens = malloc(n * sizeof(uint16_t) + 1);
    size_t count = tokenizer_encode(t, tokens, text, n), at = 0, bytes = 0;
    for (size_t i = 0; i < count && at <= n; i++, at += bytes) {
        const char* s = tokenizer_decode(t, tokens[i], &bytes);
        expect(bytes > 0 && bytes <= n - at && memcmp(s, text + at, bytes) == 0);
        expect(tokens[i] != tokenizer_eot(t));
    }
    expect(at == n && count <= n);
    free(tokens);
}

static void random_bytes(char* s, size_t n, const char* alphabet, size_t letters, uint64_t* rng) {
    for (size_t i = 0; i < n; i++) {
        test_uniform(rng);
        size_t r = (size_t)(*rng >> 40);
        s[i] = alphabet ? alphabet[r % letters] : (char)r;
    }
}

static void test_bytes(void) {
    char text[256];
    uint16_t tokens[256];
    size_t n;
    for (int i = 0; i < 256; i++) { text[i] = (char)i; }
    Tokenizer* t = tokenizer_open("bytes");
    expect(tokenizer_vocab_size(t) == 257 && tokenizer_eot(t) == 256);
    expect(tokenizer_encode(t, tokens, text, 256) == 256);
    for (int i = 0; i < 256; i++) {
        expect(tokens[i] == i);
        expect(*tokenizer_decode(t, i, &n) == text[i] && n == 1);
    }
    expect(tokenizer_encode(t, tokens, text, 0) == 0);
    expect(memcmp(tokenizer_decode(t, 256, &n), "<|endoftext|>", 13) == 0 && n == 13);
    expect_dies("no token 257 in a vocabulary of 257", tokenizer_decode(t, 257, &n));
    expect_dies("no token -1", tokenizer_decode(t, -1, &n));
    tokenizer_free(t);
}

static void test_joins_by_hand(void) {
    static const struct { const char* text; int tokens[8]; } cases[] = {
        { "abc", { ABC } },                        // a whole piece is looked up first
        { "abcd", { ABC, BYTE('d') } },            // ab, then abc
        { "aabc", { BYTE('a'), ABC } },            // ab before bc and aa; then abc before aab
        { "aaa", { AA, BYTE('a') } },              // the leftmost of equals
        { "aaaaaa", { AAAA, AA } },                // all pairs first
        { " abc", { BYTE(' '), ABC } },            // ab before " a"
        { " a", { _A } },
        { "a1a", { BYTE('a'), BYTE('1'), BYTE('a') } }, // no join across pieces, though both are tokens
        { "dabcbc", { BYTE('d'), ABC, BC } },
    };
    Tokenizer* t = open_small();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint16_t tokens[16];
        size_t n = tokenizer_encode(t, tokens, cases[i].text, strlen(cases[i].text));
        for (size_t k = 0; k < n; k++) {
            if (tokens[k] != cases[i].tokens[k]) { fprintf(stderr, "'%s', token %zu: %d\n", cases[i].text, k, tokens[k]); }
            expect(tokens[k] == cases[i].tokens[k]);
        }
        expect(cases[i].tokens[n] == 0);
    }
    tokenizer_free(t);
}

// The same joins found by looking through all pairs again and again.
static size_t slow_encode(const Tokenizer* t, int* ids, const char* text, size_t n) {
    size_t start[65], count = n, bytes;
    for (size_t i = 0; i <= n; i++) { start[i] = i; }
    for (size_t i = 0; i < n; i++) { ids[i] = BYTE((unsigned char)text[i]); }
    for (;;) {
        int best = -1;
        size_t where = 0;
        for (int id = 0; id < tokenizer_eot(t) && best < 0; id++) {
            const char* s = tokenizer_decode(t, id, &bytes);
            for (size_t i = 0; i + 1 < count && best < 0; i++) {
                if (start[i + 2] - start[i] == bytes && memcmp(s, text + start[i], bytes) == 0) { best = id; where = i; }
            }
        }
        if (best < 0) { return count; }
        ids[where] = best;
        memmove(ids + where + 1, ids + where + 2, (count - where - 2) * sizeof(int));
        memmove(start + where + 1, start + where + 2, (count - where - 1) * sizeof(size_t));
        count--;
    }
}

// Tokens of a few letters in any order, so that joins become impossible, change, and overtake others.
static Tokenizer* open_random(uint64_t* rng) {
    begin();
    for (int i = 0; i < 60; i++) {
        char s[5];
        size_t n = 2 + (size_t)i / 20, bytes = 0;
        random_bytes(s, n, "abc", 3, rng);
        int again = 0;
        for (const char* t = made.body; t < made.body + made.bytes; t += 1 + bytes) {
            bytes = (unsigned char)*t;
            again |= bytes == n && memcmp(t + 1, s, n) == 0;
        }
        if (!again) { add(s, n); }
    }
    return finish();
}

static void test_joins_against_slow_ones(void) {
    uint64_t rng = 5;
    for (int again = 0; again < 20; again++) {
        Tokenizer* t = again == 0 ? open_small() : open_random(&rng);
        for (size_t n = 6; n <= 64; n += 2) { // longer than all tokens, which are found at once
            char text[64];
            uint16_t tokens[64];
            int want[64];
            random_bytes(text, n, "abcd", 3 + n % 4 / 2, &rng);
            size_t got = tokenizer_encode(t, tokens, text, n), count = slow_encode(t, want, text, n);
            expect(got == count);
            for (size_t i = 0; i < got && got == count; i++) { expect(tokens[i] == want[i]); }
        }
        tokenizer_free(t);
    }
}

// If every part of a text is a token, its pieces are its tokens.
static void expect_pieces(const char* text, size_t n, const char* want) {
    uint16_t tokens[64];
    char got[128] = "";
    size_t end = 0, bytes;
    begin();
    for (size_t length = 2; length <= n; length++) {
        for (size_t at = 0; at + length <= n; at++) {
            int again = 0; // equal parts are one token
            for (size_t before = 0; before < at; before++) { again |= memcmp(text + before, text + at, length) == 0; }
            if (!again) { add(text + at, length); }
        }
    }
    Tokenizer* t = finish();
    size_t count = tokenizer_encode(t, tokens, text, n);
    for (size_t i = 0; i < count; i++) {
        const char* s = tokenizer_decode(t, tokens[i], &bytes);
        end += (size_t)snprintf(got + end, sizeof(got) - end, "%s%.*s", i ? "|" : "", (int)bytes, s);
    }
    if (strcmp(got, want) != 0) { fprintf(stderr, "pieces %s, should be %s\n", got, want); }
    expect(strcmp(got, want) == 0);
    tokenizer_free(t);
}

static void test_pieces(void) {
    static const char* const cases[] = { // as the pattern's own regular expression engine cuts them
        "Hello| world", "it|'s", "we|'ll| I|'ve", "they|'re|'d|'m|'t", "'|S|'|lx", "a| '|s", "!'|s", "'", "x|'",
        "a| | b", "a| |\r|b", "a|   ", "a| \n| b", "a|\n|\n|b", "\t|a", "a|\t| b", " ", " | x", "a| \t",
        "x|1|y|22", " | 12", "!?|a", " !|1", "a|_|b", " $|3|.|50", "9|'s",
        "na\xc3\xafve| caf\xc3\xa9", "\xd0\x96\xd0\xb6|1",            // letters of two bytes
        "\xe4\xbd\xa0\xe5\xa5\xbd|\xef\xbc\x81",                      // Chinese and its exclamation mark
        "x|\xd9\xa3\xc2\xbd\xe2\x85\xa7|x",                           // an Arabic digit, a half, a Roman numeral
        "\xe3\x80\x80|a", "a|\xc2\xa0|\xc2\xa0|b", "a|\xe2\x80\xa8",  // white space beyond ASCII
        "e|\xcc\x81", "a| \xf0\x9f\x98\x80|b",                        // an accent by itself, an emoji
        "\xf0\x90\x90\x80x|\xf0\x9d\x9f\x8e", "\xe1\xb2\x89x",     // beyond 16 bits; a letter since Unicode 16
        "a|\xe2\x80\x8b|b",                                           // a zero-width space is no space
        "\xff\xfe|a", "a|\xc3", "a|\xed\xa0\x80|1", "a|\xc0\xaf!", "\xf0\x9f|a", "a| \x80|b", // bytes that are no characters
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        size_t n = 0;
        for (const char* c = cases[i]; *c; c++) {
            if (*c != '|') { text[n++] = *c; }
        }
        expect_pieces(text, n, cases[i]);
    }
    char zeros[3] = { 'a', 0, 0 };
    Tokenizer* t = open_small();
    expect_round_trip(t, zeros, 3);
    tokenizer_free(t);
}

static void test_round_trips(void) {
    uint64_t rng = 3;
    static char text[2000];
    Tokenizer* t = open_small();
    expect_round_trip(t, "<|endoftext|>", 13);
    for (size_t n = 0; n < 300; n++) {
        random_bytes(text, n, NULL, 0, &rng);
        expect_round_trip(t, text, n);
        random_bytes(text, n, "ab 1'\n\xc3\xa9\xe2\x80\xf0\x9f", 12, &rng);
        expect_round_trip(t, text, n);
    }
    tokenizer_free(t);
}

// One piece of a megabyte: rescanning it for each join would take minutes.
static void test_long_run(void) {
    enum { N = 1 << 20 };
    char* text = malloc(N + 1);
    uint16_t* tokens = malloc((N + 1) * sizeof(uint16_t));
    memset(text, 'a', N + 1);
    Tokenizer* t = open_small();
    expect(tokenizer_encode(t, tokens, text, N + 1) == N / 4 + 1);
    for (int i = 0; i < N / 4; i++) { expect(tokens[i] == AAAA); }
    expect(tokens[N / 4] == BYTE('a'));
    tokenizer_free(t);
    free(text);
    free(tokens);
}

static void open_and_free(void) { tokenizer_free(tokenizer_open(path)); }

static void expect_entry_dies(int entry, int32_t value, const char* about) {
    int32_t kept = made.header[entry];
    made.header[entry] = value;
    write_made();
    expect_dies(about, open_and_free());
    made.header[entry] = kept;
}

static void test_broken_files(void) {
    tokenizer_free(open_small());
    expect_entry_dies(0, 20240520, "is no tokenizer file");
    expect_entry_dies(1, 3, "version 3");
    expect_entry_dies(1, 1, "version 1 with 269 tokens");
    expect_entry_dies(2, 0, "states 0 tokens");
    expect_entry_dies(2, -5, "states -5 tokens");
    expect_entry_dies(2, 65537, "states 65537 tokens");
    expect_entry_dies(2, 270, "is it complete");
    expect_entry_dies(3, 269, "end of text is token 269");
    expect_entry_dies(3, -1, "end of text is token -1");
    made.bytes++;
    write_made();
    expect_dies("has 1 bytes behind its last token", open_and_free());
    made.bytes--;
    made.body[0] = 0;
    write_made();
    expect_dies("token 0 is empty", open_and_free());
    made.body[0] = 1;
    made.body[1] = 'b';
    write_made();
    expect_dies("are the same bytes", open_and_free());
    made.header[3] = 0; // takes the first byte away from the text
    write_made();
    expect_dies("has no token for the byte 249", open_and_free());
    expect_dies("/nothing: cannot be read", tokenizer_open("/nothing"));
    expect_dies("is not a regular file", tokenizer_open("/tmp"));
}

static void test_truncated_files(void) {
    tokenizer_free(open_small());
    long end = (long)(sizeof(made.header) + made.bytes);
    for (long n = end - 1; n >= 0; n -= n > end - 40 ? 1 : 97) {
        expect(truncate(path, n) == 0);
        expect_dies(n > (long)sizeof(made.header) ? "is it complete" : path, open_and_free());
    }
}

// What decodes is encoded as the same bytes, so nothing longer than needed and no surrogate decodes; and
// every character there is comes back.
static void test_utf8(void) {
    uint32_t c = 0, back = 0;
    char bytes[4];
    for (c = 0; c < 0x110000; c++) {
        size_t n = utf8_encode(c, bytes), got = utf8_decode(bytes, n, &back);
        int surrogate = c >= 0xd800 && c < 0xe000;
        if (surrogate ? got != 0 : got != n || back != c) { expect(!"a character comes back"); break; }
        for (size_t cut = 1; cut < n && !surrogate; cut++) { if (utf8_decode(bytes, cut, &back)) { expect(!"a part is refused"); } }
    }
    static const unsigned char tail[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff };
    for (unsigned i = 0; i < 256 * 11 * 11 * 11; i++) {
        unsigned k = i / 256;
        char s[4] = { (char)i, (char)tail[k % 11], (char)tail[k / 11 % 11], (char)tail[k / 121] };
        size_t n = utf8_decode(s, 4, &c);
        expect(n == 0 || (utf8_encode(c, bytes) == n && memcmp(s, bytes, n) == 0 && c < 0x110000));
    }
    size_t line, column;
    expect(utf8_check("abc\n\xc3\xa9", 6, &line, &column) && utf8_check("", 0, &line, &column));
    expect(!utf8_check("\n\xc3\xa9\n\na\xc3", 7, &line, &column) && line == 4 && column == 2);
}

// GPT-2's own tokenizer, as dev/prep writes it. The ids were made with tiktoken 0.14.
static void expect_gpt2_ids(const Tokenizer* t) {
    static const struct { const char* text; int count, ids[16]; } cases[] = {
        { "Hello, world!", 4, { 15496, 11, 995, 0 } },
        { "They're 12345 dogs\n\n  and don't", 10, { 2990, 821, 17031, 2231, 6844, 628, 220, 290, 836, 470 } },
        { "<|endoftext|>", 7, { 27, 91, 437, 1659, 5239, 91, 29 } },
        { "na\xc3\xafve caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 \xc2\xbd", 11,
          { 2616, 38776, 40304, 220, 19526, 254, 25001, 121, 30325, 222, 25208 } },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 9, { 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 64 } },
        { "  indented\n\tcode_line = 3.14;  ", 15, { 220, 773, 4714, 198, 197, 8189, 62, 1370, 796, 513, 13, 1415, 26, 220, 220 } },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint16_t tokens[64];
        int n = (int)tokenizer_encode(t, tokens, cases[i].text, strlen(cases[i].text));
        expect(n == cases[i].count);
        for (int k = 0; k < n && k < cases[i].count; k++) { expect(tokens[k] == cases[i].ids[k]); }
    }
}

static void test_gpt2(void) {
    static const char encoder[] = "../shared/data/gpt2_bpe/encoder.json";
    char command[1024], text[500];
    const char* build = getenv("BUILD");
    uint64_t rng = 17;
    if (access(encoder, R_OK) != 0) { printf("skipped: %s is not there\n", encoder); return; }
    snprintf(command, sizeof(command), "%s/dev/prep --encoder %s --out %s > %s/log", build ? build : "build", encoder, path, folder);
    int written = system(command) == 0;
    expect(written);
    if (!written) { return; }
    Tokenizer* t = tokenizer_open(path);
    expect(tokenizer_vocab_size(t) == 50257 && tokenizer_eot(t) == 50256);
    expect_gpt2_ids(t);
    for (size_t n = 0; n < 500; n += 7) {
        random_bytes(text, n, NULL, 0, &rng);
        expect_round_trip(t, text, n);
    }
    tokenizer_free(t);
    snprintf(command, sizeof(command), "%s/log", folder);
    unlink(command);
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "bytes", test_bytes },
        { "joins_by_hand", test_joins_by_hand },
        { "joins_against_slow_ones", test_joins_against_slow_ones },
        { "pieces", test_pieces },
        { "round_trips", test_round_trips },
        { "long_run", test_long_run },
        { "broken_files", test_broken_files },
        { "truncated_files", test_truncated_files },
        { "utf8", test_utf8 },
        { "gpt2", test_gpt2 },
    };
    snprintf(path, sizeof(path), "%s", scratch("tokenizer.bin"));
    folder = scratch_folder;
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
