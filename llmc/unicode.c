// unicode.c -- characters out of UTF-8 bytes and back, and what kind of character they are.
#include "unicode.h"
#include "unicode_table.h"

// Most characters of most texts are answered by the first lines, the others by halving the table.
CharClass unicode_class(uint32_t c) {
    if (c < 0x80) {
        if ((c | 0x20) - 'a' < 26) { return LETTER; }
        if (c - '0' < 10) { return NUMBER; }
        return c == ' ' || c - '\t' < 5 ? SPACE : OTHER;
    }
    size_t low = 0, high = sizeof(unicode_table) / sizeof(unicode_table[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > unicode_table[middle].last) { low = middle + 1; }
        else if (c < unicode_table[middle].first) { high = middle; }
        else { return unicode_table[middle].is; }
    }
    return OTHER;
}

size_t utf8_decode(const char* text, size_t n, uint32_t* c) {
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 }; // what needs as many bytes
    const unsigned char* s = (const unsigned char*)text;
    if (s[0] < 0x80) { *c = s[0]; return 1; }
    size_t bytes = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || bytes > n) { return 0; }
    uint32_t value = s[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((s[i] & 0xc0) != 0x80) { return 0; }
        value = value << 6 | (s[i] & 0x3f);
    }
    if (value < least[bytes] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) { return 0; }
    *c = value;
    return bytes;
}

size_t utf8_encode(uint32_t c, char bytes[4]) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (n == 1) { bytes[0] = (char)c; return 1; }
    for (size_t i = n - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    bytes[0] = (char)((0xf00u >> n) | c); // n ones and a zero, of which the low 8 bits stay
    return n;
}

int utf8_check(const char* text, size_t n, size_t* line, size_t* column) {
    uint32_t c;
    size_t at = 0, bytes = 1, line_start = 0;
    while (at < n && (bytes = utf8_decode(text + at, n - at, &c)) > 0) { at += bytes; }
    *line = 1;
    for (size_t i = 0; i < at && bytes == 0; i++) {
        if (text[i] == '\n') {
            ++*line;
            line_start = i + 1;
        }
    }
    *column = at - line_start + 1;
    return bytes > 0;
}
