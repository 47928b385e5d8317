#!/bin/sh
# test_instructions.sh -- a step that has become slower shows in the number of its instructions, which is the same on a
# busy machine as on a quiet one. Valgrind counts them for the AVX2 build, per multiply-add of a step.
set -eu
BUILD=${BUILD:-build}
case $BUILD in *san*) echo "skipped: instructions are counted in the ordinary build only"; exit 0 ;; esac
command -v valgrind >/dev/null || { echo "skipped: valgrind is not installed"; exit 0; }
[ "$(uname -m)" = x86_64 ] || { echo "skipped: the bounds are those of x86-64"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

MAKEFLAGS= make -s BUILD="$BUILD/v3" CFLAGS="-O3 -march=x86-64-v3" "$BUILD/v3/train_gpt2_drpt"
i=0
while [ $i -lt 400 ]; do echo "Row $i of a text that says nothing and is long enough to be cut into rows."; i=$((i + 1)); done >"$tmp/text.txt"
"$BUILD/dev/prep" --input "$tmp/text.txt" --out "$tmp/text.bin" >/dev/null

instructions() { # STEPS OPTION...
    steps=$1; shift
    valgrind --tool=callgrind --callgrind-out-file="$tmp/out" "$BUILD/v3/train_gpt2_drpt" --init L1,H2,C64,V257,T32 --seq 32 \
        --threads 1 --general "$tmp/text.bin" --steps "$steps" "$@" 2>&1 | sed -n 's/.*Collected : *//p'
}
# NAME, MULTIPLY-ADDS of a step in millions, BOUND in instructions for one of them, OPTION...
expect_at_most() {
    name=$1 multiply_adds=$2 bound=$3; shift 3
    one=$(instructions 1 "$@") three=$(instructions 3 "$@")
    awk -v one="$one" -v three="$three" -v work="$multiply_adds" -v bound="$bound" -v name="$name" 'BEGIN {
        each = (three - one) / 2e6 / work
        printf "%s: %.3f instructions for a multiply-add, at most %s\n", name, each, bound
        exit !(each > 0 && each <= bound) }'
}
# 3 N (12 L C^2 + V C) with N = 9 * 32; the machine's floor is 1/8, eight multiply-adds an instruction.
expect_at_most "plain step"       56.7 0.65 --batch 9
expect_at_most "subset by layer"  56.7 0.70 --batch 8 --target "$tmp/text.bin" --method subset
