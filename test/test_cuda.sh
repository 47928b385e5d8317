#!/bin/sh
# test_cuda.sh -- the GPU trainer without a GPU (test/emulator/): planted faults are caught; its tests pass; it makes the calls that the
# CPU trainer makes. EMULATED=all: under three schedules of the threads, under the race check, and in bf16; and its benchmark answers.
set -eu
emu=${BUILD:-build}/emu
sh dev/check_twins.sh train_gpt2_drpt.c train_gpt2_drpt.cu block_hidden block_forward block_backward gpt2_hidden gpt2_forward gpt2_values gpt2_backward gpt2_update blocks_decode gpt2_prefill gpt2_decode
[ -x "$emu/plain/test_cuda" ] || { echo "not built for the emulator (no g++, or a build with sanitizers or BLAS): left out"; exit 0; }
export OMP_NUM_THREADS=1 # the CPU twin: small problems
under() { # SCHEDULE KIND NAME
    echo "-- $3, $2, schedule $1"
    EMU_SCHEDULE=$1 "$emu/$2/$3"
}
programs=$(cd test && echo test_cuda*.cu | sed 's/\.cu//g')
if [ "${EMULATED:-}" = all ]; then # the longest, beside the others
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    (for name in $programs; do under forward races "$name" || exit 1; done
     echo "-- attention in bf16, race check"
     "$emu/bf16_races/test_cuda" cuda/attention) >"$log" 2>&1 &
    races=$!
fi
for name in $programs; do
    under 1 plain "$name"
    [ "${EMULATED:-}" = all ] || continue
    under reverse plain "$name"
    under 1 bf16 "$name"
done
sh test/emulator/faults.sh "$emu/plain/faults"
[ "${EMULATED:-}" = all ] || exit 0
sh test/emulator/faults.sh "$emu/races/faults" races
wait "$races" || { cat "$log"; exit 1; }
cat "$log"
if command -v python3 >/dev/null; then
    table=$(mktemp)
    python3 dev/bench_gpu.py --programs "$emu/plain/bench_gpu" "$emu/bf16/bench_gpu" --rounds 1 --small --out "$table" >/dev/null
    [ "$(grep -c '^| gradient norm, AdamW | [0-9.]* |$' "$table")" -eq 2 ] && [ "$(grep -c '^| inside | .* | [0-9.]* |$' "$table")" -eq 2 ] || { cat "$table"; exit 1; }
    rm "$table"
fi
