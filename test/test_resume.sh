#!/bin/sh
# test_resume.sh -- a run that was killed at random moments, or stopped by Ctrl-C, and then resumed leaves the same bytes behind as
# one that was left alone.
set -u
trainer=$PWD/${BUILD:-build}/train_gpt2_drpt
fixture=$PWD/test/fixtures/examples.bin
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
cp "$fixture" data.bin # 5 rows: with batches of 3 and of 2 every epoch begins somewhere else
failed=0

fail() { echo "test_resume.sh: $*"; failed=1; }

plain="--init L2,H2,C12,V17,T9 --general data.bin --val data.bin --batch 3 --steps 240 --save-every 12 --val-every 40 --lr 3e-3 --weight-decay 0.1
       --schedule cosine --warmup 9 --final-lr 0.1 --seed 5 --threads 2"
short="$plain --steps 48"
regularized="$plain --target data.bin --target-batch 2 --method subset --group block --log-geometry 1"

train() { "$trainer" "$@" > out.txt 2> errors.txt || { fail "train $* exits with $?:"; cat errors.txt; }; }

# refuses TEXT ARGUMENTS...: exits with 1 and says one line with the text in it
refuses() {
    want=$1; shift
    ASAN_OPTIONS=detect_leaks=0 "$trainer" "$@" > out.txt 2> errors.txt
    [ $? -eq 1 ] || fail "$* should exit with 1"
    [ "$(wc -l < errors.txt)" -eq 1 ] && grep -q '^error: ' errors.txt || { fail "$* should say one line:"; cat errors.txt; }
    grep -qF -- "$want" errors.txt || { fail "$* does not say '$want':"; cat errors.txt; }
}

# same FOLDER FOLDER: the final model, byte for byte; the logs but for the times
same() {
    cmp "$1/model_final.bin" "$2/model_final.bin" || fail "$2: another model"
    for log in log.csv eval.csv main.log geometry.csv; do
        [ -e "$1/$log" ] || [ -e "$2/$log" ] || continue
        if [ $log = log.csv ]; then fields=1-10; else fields=1-; fi
        cut -d, -f$fields "$1/$log" > left.txt
        cut -d, -f$fields "$2/$log" > right.txt
        diff left.txt right.txt > difference.txt || { fail "$2: another $log:"; head -4 difference.txt; }
    done
    [ -z "$(find "$2" -name '*.tmp')" ] || fail "$2: left behind $(find "$2" -name '*.tmp')"
}

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
same undisturbed_plain killed_plain

train $regularized --out undisturbed
killed killed_regularized $regularized
same undisturbed killed_regularized

# bases, and sketches: refreshed in other steps than those that are saved
cached="$plain --target data.bin --target-batch 2 --method inside --rank 3 --refresh 7 --forget 0.7 --log-geometry 1"
train $cached --out undisturbed_basis
killed killed_basis $cached
same undisturbed_basis killed_basis
[ "$(cut -d, -f1 undisturbed_basis/geometry.csv | sort -u | wc -l)" -eq 36 ] || fail "240 steps should have 35 refreshes"

sketched="$plain --target data.bin --target-batch 2 --method span --ridge 0.1 --score sketch --sketch 3 --refresh 7"
train $sketched --out undisturbed_sketch
killed killed_sketch $sketched
same undisturbed_sketch killed_sketch

# gradients that are kept: the first step of a run makes room for them, and every run has one
formed="$plain --target data.bin --target-batch 2 --method span --ridge 0.1 --score direct"
train $formed --out undisturbed_direct
killed killed_direct $formed
same undisturbed_direct killed_direct

# ---- the same again: the same bits

train $short --target data.bin --method cone --group global --out once
train $short --target data.bin --method cone --group global --out twice
same once twice
[ "$(wc -l < undisturbed/log.csv)" -eq 242 ] || fail "log.csv should have a header, 240 steps and the final evaluation"

# ---- Ctrl-C

"$trainer" $regularized --out stopped > stopped.txt 2>&1 &
pid=$!
tries=0
while [ "$(cat stopped/log.csv 2> /dev/null | wc -l)" -lt 4 ] && [ $tries -lt 500 ]; do sleep 0.02; tries=$((tries + 1)); done
kill -INT $pid
wait $pid
[ $? -eq 130 ] || fail "Ctrl-C should end the run with 130"
[ ! -e stopped/model_final.bin ] || fail "Ctrl-C came too late to test anything"
command=$(sed -n 's/^continue with: //p' stopped.txt)
[ -n "$command" ] || { fail "Ctrl-C should tell how to continue:"; cat stopped.txt; }
# the texts of a --config file live as long as the program, which the sanitizer calls a leak
ASAN_OPTIONS=detect_leaks=0 sh -c "$command" > out.txt 2>&1 || { fail "the printed command fails: $command"; cat out.txt; }
same undisturbed stopped

# ---- what a folder holds

cp -r undisturbed finished
train $regularized --out finished --resume 1
same undisturbed finished

train $short --out undisturbed_short
train $short --out kept --keep-checkpoints 2
[ "$(cd kept && echo DONE_* model_0* state_*)" = "DONE_00000036 DONE_00000048 model_00000036.bin model_00000048.bin \
state_00000036_00000.bin state_00000048_00000.bin" ] || fail "--keep-checkpoints 2 leaves $(ls kept)"
same undisturbed_short kept

cp -r kept unfinished # a checkpoint counts when its DONE is there
rm unfinished/DONE_00000048
echo garbage > unfinished/model_00000048.bin
train $short --out unfinished --keep-checkpoints 2 --resume 1
same undisturbed_short unfinished

train $short --out fresh --resume 1 # nothing to continue: from the beginning
same undisturbed_short fresh

# an lr with more digits than one would print must come back from config.txt as the same number
train $plain --lr 0.0010000001057050123 --schedule constant --steps 12 --save-every 0 --out digits
(ASAN_OPTIONS=detect_leaks=0; export ASAN_OPTIONS; train --config digits/config.txt --out digits_again)
same digits digits_again

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
same undisturbed finished
same undisturbed_short kept

exit $failed
