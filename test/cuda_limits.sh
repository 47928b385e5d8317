#!/bin/sh
# cuda_limits.sh LOG -- can a GPU launch every kernel? LOG is what `make -Otarget NVCC="nvcc -Xptxas -v"` printed. A processor has 65536
# registers for a block, in portions of 8 a thread; attention keeps what it works on in registers, and must not spill it.
set -eu
[ $# -eq 1 ] && [ -f "$1" ] || { echo "usage: cuda_limits.sh LOG"; exit 1; }
# Threads of a block, of those kernels that are no larger: any other is taken to be as large as a block can be.
blocks="attention_forward_kernel 256
attention_backward_queries_kernel 256
attention_backward_keys_kernel 256
forward_kernel 128
backward_queries_kernel 128
backward_keys_kernel 128
lookup_kernel 128
add_kernel 256
solve_kernel 1"
awk -v blocks="$blocks" '
    BEGIN { count = split(blocks, word); for (i = 1; i < count; i += 2) { threads[word[i]] = word[i + 1] } }
    /Compiling entry function/ { match($0, /[a-z][a-z_0-9]*_kernel/); name = substr($0, RSTART, RLENGTH); where = $0; sub(/.*function /, "", where) }
    /bytes spill stores/ { stores = $5 }
    / Used [0-9]+ registers/ {
        match($0, /Used [0-9]+/)
        used = substr($0, RSTART + 5, RLENGTH - 5)
        block = name in threads ? threads[name] : 1024
        portions = int((used + 7) / 8) * 8
        if (portions * block > 65536) { print where ": " block " threads of " used " registers each are too many"; bad++ }
        if (stores > 16 && name ~ /forward_kernel|backward_(queries|keys)_kernel/) { print where ": " stores " bytes of registers are kept in memory"; bad++ }
        kernels++
    }
    END { printf "%d kernels, %d of them beyond the limits\n", kernels, bad; exit bad > 0 || kernels == 0 }' "$1"
