#!/bin/sh
# gpu.sh [--quick] -- on a machine with an NVIDIA GPU: builds for it, runs the GPU trainer's tests natively, compute-sanitizer on a
# small model, and the benchmark; prints a short table last. What it measured goes into dev/bench/gpu.md. --quick leaves the
# benchmark out. From the repository root. It needs nvcc, cuBLASLt, make, gcc; compute-sanitizer and PyTorch are used if they are there.
set -u
build=${BUILD:-build}
quick=''
[ "${1:-}" != --quick ] || quick=1
command -v nvcc >/dev/null || { echo "error: nvcc is not to be found; it comes with the CUDA toolkit"; exit 1; }
gpu=$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader 2>/dev/null | head -n 1)
[ -n "$gpu" ] || { echo "error: no NVIDIA GPU, or no driver for it; without one 'make test' runs the same tests under test/emulator"; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# result NAME COMMAND...: what it printed stands in a file, its end is shown if it fails.
result() {
    name=$1; shift
    began=$(date +%s)
    if "$@" >"$work/said" 2>&1; then verdict=ok; else verdict=FAILED; failed=$((failed + 1)); tail -n 15 "$work/said"; fi
    printf '| %s | %s | %d s |\n' "$name" "$verdict" $(($(date +%s) - began)) | tee -a "$work/table"
}

result "build" make -s -j"$(nproc)" BUILD="$build" all cuda
for kind in cuda cuda_bf16; do
    for program in test/test_cuda*.cu; do
        name=$(basename "$program" .cu)
        result "$name, $([ $kind = cuda ] && echo fp32 || echo bf16)" "$build/$kind/$name"
    done
done
result "whole programs beside the CPU's" env GPU="$build/train_gpt2_drpt_cuda" BUILD="$build" sh test/test_twins.sh

# Every kernel once: a plain step, selections, a projection with all inner products, bases.
"$build/dev/tasks" --out "$work/data" --target 8 --pretrain 64 --general 64 --test 8 --labelled 8 --val 8 --endless 8 --show 0 >"$work/said"
steps() { # TOOL PRECISION METHOD...
    tool=$1 precision=$2; shift 2
    suffix=$([ "$precision" = bf16 ] && echo _bf16)
    for method in "$@"; do
        target=$([ "$method" = full ] || echo "--target $work/data/target.bin --target-batch 2")
        # shellcheck disable=SC2086 # words
        compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/train_gpt2_drpt_cuda$suffix" --precision "$precision" --init L2,H2,C64,V41,T12 \
            --general "$work/data/general.bin" --batch 4 --steps 2 --method "$method" $target || return 1
    done
}
if command -v compute-sanitizer >/dev/null; then
    for precision in fp32 bf16; do
        for tool in memcheck racecheck; do result "$tool, $precision" steps $tool $precision full subset cone inside; done
    done
else
    echo "| compute-sanitizer | not to be found | |" | tee -a "$work/table"
fi

if [ -z "$quick" ]; then
    result "benchmark: dev/bench/gpu.md" python3 dev/bench_gpu.py --programs "$build/cuda/bench_gpu" "$build/cuda_bf16/bench_gpu" --out dev/bench/gpu.md
    [ ! -f dev/bench/gpu.md ] || sed -n '1,/^## Operations/p' dev/bench/gpu.md
fi
printf '\n%s, %s\n\n| what | | |\n|---|---|---|\n' "$gpu" "$(date +%F)"
cat "$work/table"
echo "$failed failed"
[ $failed -eq 0 ]
