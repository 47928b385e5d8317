#!/bin/sh
# test_cuda.sh -- the GPU trainer without a GPU (test/emulator/): planted faults are caught; its tests pass under three schedules of
# the threads and the race check; it makes the calls that the CPU trainer makes.
set -eu
emu=${BUILD:-build}/emu
sh dev/check_twins.sh train_gpt2_drpt.c train_gpt2_drpt.cu block_hidden block_forward block_backward gpt2_forward gpt2_backward gpt2_update blocks_decode gpt2_prefill gpt2_decode
[ -x "$emu/plain/test_cuda" ] || { echo "not built for the emulator (no g++, or a build with sanitizers or BLAS): left out"; exit 0; }
export OMP_NUM_THREADS=1 # the CPU twin: small problems
for program in test/test_cuda*.cu; do
    name=$(basename "$program" .cu)
    for schedule in forward reverse 1; do
        echo "-- $name, schedule $schedule"
        EMU_SCHEDULE=$schedule "$emu/plain/$name"
    done
    echo "-- $name, race check"
    "$emu/races/$name"
    for schedule in forward reverse; do
        echo "-- $name in bf16, schedule $schedule"
        EMU_SCHEDULE=$schedule "$emu/bf16/$name"
    done
done
echo "-- attention in bf16, race check"
"$emu/bf16_races/test_cuda" cuda/attention
sh test/emulator/faults.sh "$emu/plain/faults"
sh test/emulator/faults.sh "$emu/races/faults" races
