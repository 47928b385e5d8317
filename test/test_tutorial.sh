#!/bin/sh
# test_tutorial.sh -- dev/doc/tutorial.md: what it quotes from the program is what the program prints, its lines of C stand in the
# sources, and its diff applies to them, compiles without a warning and runs.
set -u
build=${BUILD:-build}
text=dev/doc/tutorial.md
work=$(mktemp -d "${TMPDIR:-/tmp}/test tutorial XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() { echo "test_tutorial.sh: $*"; failed=1; }
blocks() { awk -v kind="$1" '/^```/ { inside = !inside && $0 == "```" kind; next } inside' "$text"; } # KIND
case $build in *san*) export SAN=1 ;; esac
case $build in *blas*) export USE_BLAS=1 ;; esac

# The reader's copy, with what is built already: only what the diff touches is compiled again.
mkdir -p "$work/$build/dev/doc" "$work/dev" "$work/test"
cp -pr Makefile drpt llmc "$work"
cp -pr test/emulator "$work/test" # rules of the Makefile
cp -pr dev/doc "$work/dev"
cp -pr "$build/drpt" "$build/llmc" "$work/$build"
blocks diff >"$work/graded.diff"
(cd "$work" && patch -p1 --fuzz=0 <graded.diff >patch.txt 2>&1) || { fail "the diff does not apply:"; cat "$work/patch.txt"; }
(cd "$work" && make -s CFLAGS=-O1 tutorial >make.txt 2>&1) || { fail "with the diff it does not compile:"; cat "$work/make.txt"; }
if grep 'warning: .*\[-W' "$work/make.txt"; then fail "compiles with warnings"; fi

# The method is the reader's alone, and one line is all that it changes.
"$build/dev/doc/tutorial" >"$work/plain.txt" || fail "the program ends with $?"
(cd "$work" && "$build/dev/doc/tutorial" graded >own.txt) || fail "with the diff the program ends with $?"
[ "$(cat "$work/plain.txt"; grep '^graded ' "$work/own.txt")" = "$(cat "$work/own.txt")" ] || fail "the diff changed more than a line of the output"
if "$build/dev/doc/tutorial" graded >/dev/null 2>&1; then fail "graded is a method of the program; the tutorial needs another example"; fi

# Every block of output, whole and in order.
awk -v text="$text" '
    NR == FNR { printed = printed $0 "\n"; next }
    /^```/ { if (inside) { count++; if (!index("\n" printed, "\n" block)) { wrong = 1; print text ": not what is printed:\n" block } }
             inside = !inside && $0 == "```output"; block = ""; next }
    inside { block = block $0 "\n" }
    END { if (count < 7) { wrong = 1; print text ": only " count " blocks of output" } exit wrong }
' "$work/own.txt" "$text" || { fail "it prints:"; cat "$work/own.txt"; }

# Every line of C.
blocks c >"$work/lines.txt"
[ -s "$work/lines.txt" ] || fail "no C in $text"
while IFS= read -r line; do
    grep -qxF -- "$line" dev/doc/tutorial.c || fail "not in dev/doc/tutorial.c: $line"
done <"$work/lines.txt"

grep -q "^    make tutorial && build/dev/doc/tutorial\$" "$text" || fail "the command is gone from $text"
[ "$(awk '/^```/ { inside = !inside } !inside' "$text" | wc -w)" -le 3000 ] || fail "more than 3000 words: over twenty minutes of reading"
[ $failed -eq 0 ] && echo "the output, code and diff of $text are those of the program"
