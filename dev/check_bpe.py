#!/usr/bin/env python3
"""Compares the tokens of llmc/tokenizer.c and dev/prep with tiktoken's, and what they decode to with the text.

    pip install tiktoken
    python3 dev/check_bpe.py ../shared/data

The folder has gpt2_bpe/vocab.bpe and gpt2_bpe/encoder.json, and any other text, all of which is encoded.
Works on the C functions themselves, compiled into a shared library in a temporary folder; for prep,
run make first. Exits with 1 if anything differs.
"""
import array
import ctypes
import os
import random
import subprocess
import sys
import tempfile
import time

try:
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks
    from tiktoken_ext.openai_public import r50k_pat_str
except ImportError as e:
    sys.exit(f"error: {e}; pip install tiktoken")

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PREP = os.path.join(ROOT, os.environ.get("BUILD", "build"), "dev", "prep")


class OurTokenizer:
    def __init__(self, path, folder):
        library = os.path.join(folder, "tokenizer.so")
        sources = [os.path.join(ROOT, "llmc", name) for name in ("tokenizer.c", "unicode.c", "files.c")]
        flags = ["-O3", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC"]
        subprocess.run([os.environ.get("CC", "cc"), *flags, *sources, "-o", library], check=True)
        self.c = ctypes.CDLL(library)
        self.c.tokenizer_open.restype = ctypes.c_void_p
        self.c.tokenizer_encode.restype = ctypes.c_size_t
        self.c.tokenizer_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        self.c.tokenizer_decode.restype = ctypes.c_void_p
        self.c.tokenizer_decode.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_size_t)]
        self.t = self.c.tokenizer_open(path.encode())
        self.bytes_of = [self.decode_one(token) for token in range(50257)]

    def decode_one(self, token):
        n = ctypes.c_size_t()
        return ctypes.string_at(self.c.tokenizer_decode(self.t, token, ctypes.byref(n)), n.value)

    def encode(self, text):
        tokens = array.array("H", bytes(2 * max(1, len(text))))
        n = self.c.tokenizer_encode(self.t, tokens.buffer_info()[0], text, len(text))
        return tokens[:n].tolist()

    def decode(self, tokens):
        return b"".join(self.bytes_of[token] for token in tokens)


class Check:
    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.texts = self.bytes = self.tokens = self.differences = 0
        self.our_seconds = self.their_seconds = 0.0

    def differ(self, what, where):
        self.differences += 1
        if self.differences <= 10:
            print(f"DIFFERS: {what}: {where!r:.200}")

    def text(self, text, name=None):
        data = text.encode()
        start = time.perf_counter()
        tokens = self.ours.encode(data)
        middle = time.perf_counter()
        wanted = self.theirs.encode_ordinary(text)
        self.our_seconds += middle - start
        self.their_seconds += time.perf_counter() - middle
        if tokens != wanted:
            self.differ("ids", name or text)
        self.back(data, tokens)

    def back(self, data, tokens=None):
        tokens = self.ours.encode(data) if tokens is None else tokens
        if self.ours.decode(tokens) != data:
            self.differ("bytes back", data)
        self.texts += 1
        self.bytes += len(data)
        self.tokens += len(tokens)

    def report(self, what):
        print(f"{what}: {self.texts} texts, {self.bytes} bytes, {self.tokens} tokens, {self.differences} differences", end="")
        if self.our_seconds > 0:
            print(f"; {self.bytes / self.our_seconds / 1e6:.0f} MB/s, tiktoken {self.bytes / self.their_seconds / 1e6:.0f}", end="")
        print()
        bad, self.texts, self.bytes, self.tokens, self.differences = self.differences, 0, 0, 0, 0
        self.our_seconds = self.their_seconds = 0.0
        return bad


def check_files(check, folder):
    for root, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(root, name)
            with open(path, "rb") as f:
                data = f.read()
            try:
                check.text(data.decode(), path)
            except UnicodeDecodeError:
                check.back(data)
    return check.report(f"all files of {folder}")


def check_characters(check):
    """Every character there is, between letters, numbers, spaces, and its like."""
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for start in range(0, len(characters), 512):
        check.text("".join(f"a{c} {c}{c}1{c}1 {c}'{c}\n {c} " for c in characters[start:start + 512]))
    return check.report("every character of Unicode")


def any_character(rng):
    return chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000))))


def check_random_text(check, rng, count):
    spaces = " \n\t\r\x0b\u00a0\u2028\u3000 "
    alphabets = [spaces, spaces + "ab'", "'stdmlreve' ", "abcdefghijklmnopqrstuvwxyz ", "0123456789.,-+ ", "!?'\"()[]{}<|> \n",
                 "аждё ЖЩ", "你好，世界。 ", "áéíóúñçü ", "😀👍🏽\u200d♀️ ", "e\u0301\u0308 ", "½Ⅷ٣² 1"]
    for _ in range(count):
        length, one = rng.randrange(60), rng.choice(alphabets)
        if rng.random() < 0.5:
            check.text("".join(rng.choice(one) for _ in range(length)))
        else:
            check.text("".join(rng.choice(rng.choice(alphabets)) if rng.random() < 0.9 else any_character(rng) for _ in range(length)))
    return check.report("random Unicode")


def check_random_bytes(check, rng, count):
    for _ in range(count):
        check.back(rng.randbytes(rng.randrange(200)))
    check.back(rng.randbytes(1 << 20))
    return check.report("random bytes, there and back")


def check_long_runs(check, rng):
    for text in ("a" * 1000000, " " * 1000000, "ab" * 300000, "0" * 300000, "é" * 300000, "=" * 300001, "\n" * 100000 + "x",
                 "".join(rng.choices("abcdefghij", k=300000))):
        check.text(text)
    return check.report("long runs without a break")


def check_prep(check, tokenizer, data, folder):
    """The ids in the file that dev/prep makes of a text."""
    text, out = os.path.join(data, "tinyshakespeare.txt"), os.path.join(folder, "tokens.bin")
    subprocess.run([PREP, "--input", text, "--tokenizer", tokenizer, "--out", out], check=True, stdout=subprocess.DEVNULL)
    with open(out, "rb") as f:
        f.seek(1024)
        tokens = array.array("H", f.read()).tolist()
    with open(text, encoding="utf-8", newline="") as f:
        if tokens != check.theirs.encode_ordinary(f.read()):
            check.differ("ids of dev/prep", text)
    with open(text, "rb") as f:
        check.back(f.read(), tokens)
    return check.report("dev/prep")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data, rng = sys.argv[1], random.Random(20240328)
    bpe, encoder = (os.path.join(data, "gpt2_bpe", name) for name in ("vocab.bpe", "encoder.json"))
    ranks = data_gym_to_mergeable_bpe_ranks(vocab_bpe_file=bpe, encoder_json_file=encoder)
    theirs = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = os.path.join(folder, "gpt2_tokenizer.bin")
        subprocess.run([PREP, "--encoder", encoder, "--out", tokenizer], check=True, stdout=subprocess.DEVNULL)
        check = Check(OurTokenizer(tokenizer, folder), theirs)
        bad = sum(check.ours.bytes_of[token] != theirs.decode_single_token_bytes(token) for token in range(50257))
        print(f"gpt2_tokenizer.bin: {os.path.getsize(tokenizer)} bytes, {bad} of 50257 tokens differ")
        bad += os.path.getsize(tokenizer) != 372108
        bad += check_prep(check, tokenizer, data, folder)
        bad += check_files(check, data)
        bad += check_characters(check)
        bad += check_random_text(check, rng, 100000)
        bad += check_random_bytes(check, rng, 20000)
        bad += check_long_runs(check, rng)
    print("FAILED" if bad else "all the same")
    sys.exit(1 if bad else 0)


main()
