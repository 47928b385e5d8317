#!/bin/sh
# test_resume.sh -- a run that was killed at random moments, or stopped by Ctrl-C, and then resumed leaves the same bytes behind as
# one that was left alone.
. test/trainer.sh
cp "$fixture" data.bin # 5 rows: with batches of 3 and of 2 every epoch begins somewhere else

plain="--init L2,H2,C12,V17,T9 --general data.bin --val data.bin --batch 3 --steps 240 --save-every 12 --val-every 40 --lr 3e-3 --weight-decay 0.1
       --schedule cosine --warmup 9 --final-lr 0.1 --seed 5 --threads 2"
short="$plain --steps 48"
regularized="$plain --target data.bin --target-batch 2 --method subset --group block --log-geometry 1"

# killed NAME OPTIONS...: killed and resumed again and again, until it comes to its end
killed() {
    name=$1; shift
    kills=0
    for delay in 0.02 0.04 0.07 0.03 0.11 0.05 0.15 0.06 0.09 0.2; do
        [ -e "$name/model_final.bin" ] && break
        "$trainer" "$@" --out "$name" --resume 1 > out.txt 2>&1 &
        pid=$!
        sleep $delay
        kill -9 $pid 2> /dev/null && kills=$((kills + 1))
        wait $pid 2> /dev/null
    done
    [ $kills -ge 3 ] || fail "$name: was killed only $kills times; it should take longer"
    train "$@" --out "$name" --resume 1
}

# ---- killed

train $plain --out undisturbed_plain
killed killed_plain $plain
same_run undisturbed_plain killed_plain

train $regularized --out undisturbed
killed killed_regularized $regularized
same_run undisturbed killed_regularized

# bases, and sketches: refreshed in other steps than those that are saved
cached="$plain --target data.bin --target-batch 2 --method inside --rank 3 --refresh 7 --forget 0.7 --log-geometry 1"
train $cached --out undisturbed_basis
killed killed_basis $cached
same_run undisturbed_basis killed_basis
[ "$(cut -d, -f1 undisturbed_basis/geometry.csv | sort -u | wc -l)" -eq 36 ] || fail "240 steps should have 35 refreshes"

sketched="$plain --target data.bin --target-batch 2 --method span --ridge 0.1 --score sketch --sketch 3 --refresh 7"
train $sketched --out undisturbed_sketch
killed killed_sketch $sketched
same_run undisturbed_sketch killed_sketch

# gradients that are kept: the first step of a run makes room for them, and every run has one
formed="$plain --target data.bin --target-batch 2 --method span --ridge 0.1 --score direct"
train $formed --out undisturbed_direct
killed killed_direct $formed
same_run undisturbed_direct killed_direct

# ---- the same again: the same bits

train $short --target data.bin --method cone --group global --out once
train $short --target data.bin --method cone --group global --out twice
same_run once twice
[ "$(wc -l < undisturbed/log.csv)" -eq 242 ] || fail "log.csv should have a header, 240 steps and the final evaluation"

# ---- Ctrl-C

stopped INT 'has_steps stopped' stopped $regularized
continued
same_run undisturbed stopped

# ---- what a folder holds

cp -r undisturbed finished
train $regularized --out finished --resume 1
same_run undisturbed finished

train $short --out undisturbed_short
train $short --out kept --keep-checkpoints 2
[ "$(cd kept && echo DONE_* model_0* state_*)" = "DONE_00000036 DONE_00000048 model_00000036.bin model_00000048.bin \
state_00000036_00000.bin state_00000048_00000.bin" ] || fail "--keep-checkpoints 2 leaves $(ls kept)"
same_run undisturbed_short kept

cp -r kept unfinished # a checkpoint counts when its DONE is there
rm unfinished/DONE_00000048
echo garbage > unfinished/model_00000048.bin
train $short --out unfinished --keep-checkpoints 2 --resume 1
same_run undisturbed_short unfinished

train $short --out fresh --resume 1 # nothing to continue: from the beginning
same_run undisturbed_short fresh

# an lr with more digits than one would print must come back from config.txt as the same number
train $plain --lr 0.0010000001057050123 --schedule constant --steps 12 --save-every 0 --out digits
(ASAN_OPTIONS=detect_leaks=0; export ASAN_OPTIONS; train --config digits/config.txt --out digits_again)
same_run digits digits_again

train $short --target data.bin --method outside --rank 2 --keep-checkpoints 1 --out basis
[ "$(cd basis && echo basis_*)" = "basis_00000048.bin" ] || fail "--keep-checkpoints 1 leaves $(ls basis)"
head -c 2000 basis/basis_00000048.bin > cut.bin
mv cut.bin basis/basis_00000048.bin
refuses 'basis_00000048.bin' $plain --target data.bin --method outside --rank 2 --out basis --resume 1

# ---- other options

cp data.bin examples.bin
cp data.bin other.bin

refuses 'holds checkpoints' $regularized --out finished
refuses '--batch' $regularized --out finished --resume 1 --batch 4
refuses '--target-batch' $regularized --out finished --resume 1 --target-batch 1
refuses '--seed' $regularized --out finished --resume 1 --seed 6
refuses 'beyond --steps' $regularized --out finished --resume 1 --steps 100
refuses '--accumulate' $short --out kept --resume 1 --accumulate 2
refuses 'rows' $short --out kept --resume 1 --general "[eo][xt]*.bin" # other.bin and examples.bin: twice as many
same_run undisturbed finished
same_run undisturbed_short kept

finish
