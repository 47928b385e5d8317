#!/usr/bin/env python3
"""Writes llmc/unicode_table.h: which characters are letters, numbers and white space.

    pip install regex==2024.11.6
    python3 dev/make_unicode.py > llmc/unicode_table.h

The classes are those of Unicode 16, as in that version of the regex module and in tiktoken 0.14:
token ids must not change because somebody's Unicode is newer.
"""
import importlib.metadata
import sys

import regex

REGEX_VERSION = "2024.11.6"
CLASSES = [("LETTER", r"\p{L}"), ("NUMBER", r"\p{N}"), ("SPACE", r"\s")]
SURROGATES = range(0xD800, 0xE000)  # no characters, and not in UTF-8


def ranges(name, pattern):
    member = regex.compile(pattern)
    found = []
    for c in range(0x110000):
        if c in SURROGATES or not member.match(chr(c)):
            continue
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return [(first, last, name) for first, last in found]


def main():
    version = importlib.metadata.version("regex")
    if version != REGEX_VERSION:
        sys.exit(f"error: regex {version} may know another Unicode; pip install regex=={REGEX_VERSION}")
    table = sorted(row for name, pattern in CLASSES for row in ranges(name, pattern))
    print("// unicode_table.h -- the classes of Unicode 16's characters, in order. Written by dev/make_unicode.py.")
    print("static const struct { uint32_t first, last; CharClass is; } unicode_table[] = {")
    line = ""
    for first, last, name in table:
        item = f"{{0x{first:x},0x{last:x},{name}}}, "
        if len(line) + len(item) > 120:
            print("    " + line.rstrip())
            line = ""
        line += item
    print("    " + line.rstrip())
    print("};")


main()
