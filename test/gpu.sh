#!/bin/sh
# gpu.sh [--seconds S] [PART...] -- on a machine with an NVIDIA GPU: builds for it, then does these parts, or those named, what tells most first:
#     tests      the GPU trainer's tests natively, in fp32 and in bf16
#     bench      its step beside PyTorch's: dev/bench/gpu.md, line by line as it comes
#     twins      whole programs beside the CPU's
#     sanitizer  compute-sanitizer's memcheck and racecheck on a small model
# Each result is a line as soon as it is there; a table of all of them comes last, whatever failed. After S seconds what runs is stopped and the
# rest left out, so that a session with a GPU that is short is used to its end: --seconds 540 tests bench, then --seconds 540 twins sanitizer.
# From the repository root. It needs nvcc, cuBLASLt, make, gcc; compute-sanitizer and PyTorch are used if they are there.
set -u
build=${BUILD:-build}
until=''
if [ "${1:-}" = --seconds ]; then
    case ${2:-} in ''|*[!0-9]*) echo "error: --seconds ${2:-}: a whole number"; exit 1;; esac
    until=$(($(date +%s) + $2))
    shift 2
fi
[ $# -gt 0 ] || set -- tests bench twins sanitizer
for part in "$@"; do
    case $part in tests|bench|twins|sanitizer) ;; *) echo "error: $part: no part; there are tests, bench, twins and sanitizer"; exit 1;; esac
done
parts=" $* "
command -v nvcc >/dev/null || { echo "error: nvcc is not to be found; it comes with the CUDA toolkit"; exit 1; }
gpu=$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader 2>/dev/null | head -n 1)
[ -n "$gpu" ] || { echo "error: no NVIDIA GPU, or no driver for it; without one 'make test' runs the same tests under test/emulator"; exit 1; }
work=$(mktemp -d) || exit 1
ok=0 failed=0 left_out=0 running=''
: >"$work/table"
finish() {
    trap - EXIT INT TERM
    [ -z "$running" ] || kill "$running"
    if [ -n "$(find dev/bench/gpu.md -newer "$work/begun" 2>/dev/null)" ]; then echo; cat dev/bench/gpu.md; fi
    printf '\n%s, %s\n\n| what | | |\n|---|---|---|\n' "$gpu" "$(date +%F)"
    cat "$work/table"
    echo "$ok passed, $failed failed, $left_out left out"
    rm -rf "$work"
    exit $((failed + left_out > 0))
}
trap finish EXIT
trap 'failed=$((failed + 1)); line "$name" stopped ""; finish' INT TERM

line() { printf '| %s | %s | %s |\n' "$1" "$2" "$3" | tee -a "$work/table"; }
left() { # SECONDS: so many, or what is left
    seconds=$1
    [ -z "$until" ] || [ $((until - $(date +%s))) -ge "$seconds" ] || seconds=$((until - $(date +%s)))
    echo "$seconds"
}
# result SECONDS NAME COMMAND...: what it printed stands in a file, its end is shown if it fails.
result() {
    most=$(left "$1") name=$2; shift 2
    if [ "$most" -le 0 ]; then left_out=$((left_out + 1)); line "$name" "left out: no time" ""; return; fi
    began=$(date +%s)
    timeout -k 5 "$most" "$@" >"$work/said" 2>&1 & # in the background, so that a signal is heard at once
    running=$!
    wait "$running"
    status=$?
    running=''
    took="$(($(date +%s) - began)) s"
    case $status in
        0)       ok=$((ok + 1)); line "$name" ok "$took"; return ;;
        124|137) verdict="stopped" ;;
        *)       verdict=FAILED ;;
    esac
    failed=$((failed + 1))
    tail -n 15 "$work/said"
    line "$name" "$verdict" "$took"
}
wants() { case $parts in *" $1 "*) true;; *) false;; esac; }

# What cannot be built fails below; the rest does not wait for it.
result 1800 "build" make -s -k -j"$(nproc)" BUILD="$build" all cuda

if wants tests; then
    for kind in cuda cuda_bf16; do
        for program in test/test_cuda*.cu; do
            name=$(basename "$program" .cu)
            result 120 "$name, $([ $kind = cuda ] && echo fp32 || echo bf16)" "$build/$kind/$name"
        done
    done
fi

# It begins nothing new in the last minute, and so ends by itself.
if wants bench; then
    seconds=$(left 3600)
    touch "$work/begun"
    result "$seconds" "benchmark: dev/bench/gpu.md" python3 dev/bench_gpu.py --programs "$build/cuda/bench_gpu" "$build/cuda_bf16/bench_gpu" \
        --seconds $((seconds - 60)) --out dev/bench/gpu.md
fi

if wants twins; then
    result 600 "whole programs beside the CPU's" env GPU="$build/train_gpt2_drpt_cuda" BUILD="$build" sh test/test_twins.sh
fi

# Every kernel once: a plain step, selections, a projection with all inner products, bases. The program is started anew for each, which with its
# libraries takes the tool longer than the steps.
sanitize() { # TOOL PRECISION METHOD
    target=$([ "$3" = full ] || echo "--target $work/data/target.bin --target-batch 2")
    # shellcheck disable=SC2086 # words
    result 240 "$1, $2, $3" compute-sanitizer --tool "$1" --error-exitcode 9 "$build/train_gpt2_drpt_cuda$([ "$2" = bf16 ] && echo _bf16)" --precision "$2" \
        --init L2,H2,C64,V41,T12 --general "$work/data/general.bin" --batch 4 --steps 2 --method "$3" $target
}
if wants sanitizer && ! command -v compute-sanitizer >/dev/null; then
    left_out=$((left_out + 1))
    line "compute-sanitizer" "left out: not to be found" ""
elif wants sanitizer; then
    "$build/dev/tasks" --out "$work/data" --target 8 --pretrain 64 --general 64 --test 8 --labelled 8 --val 8 --endless 8 --show 0 >"$work/said"
    for tool in memcheck racecheck; do
        for precision in bf16 fp32; do
            for method in subset cone inside full; do sanitize $tool $precision $method; done
        done
    done
fi
