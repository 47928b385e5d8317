#!/bin/sh
# test_gpu.sh -- test/gpu.sh says what came of each part, whatever fails, hangs or is not there; so does dev/bench_gpu.py. Stand-ins take the
# place of the GPU, the compilers and the programs.
set -u
command -v python3 >/dev/null || { echo "no python3: left out"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "test_gpu.sh: $*"; tail -n 25 "$work/said"; failed=1; }
mkdir -p "$work/bin" "$work/tree/test" "$work/tree/dev/bench" "$work/tree/built/dev"
cp test/gpu.sh test/test_twins.sh "$work/tree/test"
cp dev/bench_gpu.py dev/bench_torch.py "$work/tree/dev"
for name in test_cuda test_cuda_gather; do : >"$work/tree/test/$name.cu"; done
script() { # FILE LINE...
    file=$1; shift
    mkdir -p "$(dirname "$file")"
    { echo '#!/bin/sh'; printf '%s\n' "$@"; } >"$file"
    chmod +x "$file"
}
cd "$work/tree" || exit 1
PATH=$work/bin:$PATH
BUILD=built
export PATH BUILD
expect() { grep -q "^$1\$" "$work/said" || fail "$2: no line '$1'"; }
gpu() { # STATUS ARGUMENTS...
    wanted=$1; shift
    sh test/gpu.sh "$@" >"$work/said" 2>&1
    status=$?
    [ $status -eq "$wanted" ] || fail "gpu.sh $*: exits with $status"
}

# ---- without a GPU or a compiler; a part that there is not
script ../bin/nvcc true
script ../bin/nvidia-smi 'exit 9'
gpu 1
expect 'error: no NVIDIA GPU, or no driver.*' 'no GPU'
script ../bin/nvidia-smi 'echo "Stand-in H100, 9.0, 1.2"'
gpu 1 benhc
expect 'error: benhc: no part.*' 'another part'
gpu 1 --seconds soon
expect 'error: --seconds soon: a whole number' 'no number'

# ---- a build that fails in part, a test that fails, a method that dies, no GPU trainer, no sanitizer
script ../bin/make 'exit 2'
script built/dev/tasks true
for kind in cuda cuda_bf16; do
    script built/$kind/test_cuda 'echo fine'
    script built/$kind/test_cuda_gather 'echo what went wrong; exit 1'
    script built/$kind/bench_gpu 'case "$6" in *span*) echo "error: no | room" >&2; exit 1;; esac' 'ms=10; [ -z "$6" ] || ms=11' \
        'while read -r what n; do case $what in' 'device) echo Stand-in H100;;' 'product) echo 500;;' 'memory) echo 1000;;' \
        'operations) echo "one, of two,1.5"; echo two,2; echo;;' '*) echo $ms;; esac; done'
done
rm built/cuda_bf16/test_cuda_gather
script ../bin/python3 "PATH=${PATH#*:} exec python3 -S \"\$@\"" # without PyTorch, which may be there
gpu 1
expect '| build | FAILED | .* s |' 'part of it'
expect '| test_cuda, bf16 | ok | .* s |' 'part of it'
expect '| test_cuda_gather, fp32 | FAILED | .* s |' 'part of it'
expect 'what went wrong' 'part of it'
expect '| test_cuda_gather, bf16 | FAILED | .* s |' 'part of it'
expect '| benchmark: dev/bench/gpu.md | FAILED | .* s |' 'part of it'
expect "| whole programs beside the CPU's | FAILED | .* s |" 'part of it'
for line in '| 32 x 1024 | 10.00 | 3,276,800 | .* % | .* % | 1,000 | not at hand |  |' '| subset | 11.00 | 1.100 | 1.000 |' '| span | error: no / room | | |' \
    '| outside | 11.00 | 1.100 | 1.000 |' '| one, of two | 1.500 |' '## Operations, tf32, 32 x 1024'; do
    grep -q "^$line\$" dev/bench/gpu.md || { cp dev/bench/gpu.md ../said; fail "gpu.md: no line '$line'"; }
    expect "$line" 'at the end'
done

# ---- the time is over: what hangs is stopped, the rest left out, what was measured before stays
script built/cuda/test_cuda 'sleep 60'
gpu 1 --seconds 3 tests bench
expect '| test_cuda, fp32 | stopped | .* s |' 'over'
expect '| test_cuda_gather, bf16 | left out: no time |  |' 'over'
expect '| benchmark: dev/bench/gpu.md | left out: no time |  |' 'over'
grep -q '^| subset |' dev/bench/gpu.md || fail 'gpu.md is gone'
python3 dev/bench_gpu.py --programs built/cuda/bench_gpu built/cuda_bf16/bench_gpu --seconds 0 --out gpu.md >"$work/said"
expect '| subset | left out: no time | | |' 'no time for a method'
script built/cuda/bench_gpu 'echo broken >&2; exit 1'
python3 dev/bench_gpu.py --programs built/cuda/bench_gpu built/cuda/bench_gpu --out gpu.md >"$work/said" 2>&1 && fail 'a trainer that does not start'
expect 'bench_gpu.py: tf32: broken' 'a trainer that does not start'
grep -q '^| subset |' gpu.md || fail 'what was measured before is gone'

# ---- Ctrl-C
sh test/gpu.sh tests >"$work/said" 2>&1 &
sleep 1
kill -TERM $!
wait $!
expect '| test_cuda, fp32 | stopped |  |' 'a signal'

# ---- all is well
script ../bin/make true
script ../bin/compute-sanitizer 'shift 4; exec "$@"'
for kind in cuda cuda_bf16; do for name in test_cuda test_cuda_gather; do script built/$kind/$name true; done; done
for name in train_gpt2_drpt_cuda train_gpt2_drpt_cuda_bf16; do script built/$name true; done
gpu 0 tests sanitizer
expect '| racecheck, bf16, cone | ok | .* s |' 'all is well'
expect '21 passed, 0 failed, 0 left out' 'all is well'
exit $failed
