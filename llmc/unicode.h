// unicode.h -- characters out of UTF-8 bytes and back, and what kind of character they are.
#ifndef LLMC_UNICODE_H
#define LLMC_UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum { OTHER, LETTER, NUMBER, SPACE } CharClass; // \p{L}, \p{N} and \s of Unicode 16; what is left is OTHER

CharClass unicode_class(uint32_t c);

// The character that the first of the n > 0 bytes begin. Returns how many bytes it takes, 1 to 4, or 0 if
// they are not UTF-8: cut off, longer than needed, a surrogate, or beyond 0x10ffff.
size_t utf8_decode(const char* text, size_t n, uint32_t* c);

// Its 1 to 4 bytes; returns how many.
size_t utf8_encode(uint32_t c, char bytes[4]);

// Is all of it UTF-8? If not, line and column say where the first fault is, from 1, the column in bytes.
int utf8_check(const char* text, size_t n, size_t* line, size_t* column);

#endif // LLMC_UNICODE_H
