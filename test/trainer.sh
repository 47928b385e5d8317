# trainer.sh -- for tests of the trainer from the outside, which are begun in the repository's root: a folder of their own to work in,
# runs that succeed or are refused, and what they leave behind. `. test/trainer.sh` first of all.
set -u
test=$(basename "$0") build=$PWD/${BUILD:-build} data=$PWD/../shared/data fixture=$PWD/test/fixtures/examples.bin
trainer=$build/train_gpt2_drpt
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

fail() { echo "$test: $*"; failed=1; }
train() { "$trainer" "$@" >out.txt 2>errors.txt || { fail "train $* exits with $?:"; cat errors.txt; }; }
refuses() { # TEXT ARGUMENTS...: with one line, notes aside, that has the text in it
    want=$1; shift
    ASAN_OPTIONS=detect_leaks=0 "$trainer" "$@" >out.txt 2>errors.txt
    [ $? -eq 1 ] || fail "$* should exit with 1"
    [ "$(grep -cv '^note: ' errors.txt)" -eq 1 ] && grep -q '^error: ' errors.txt || { fail "$* should say one line:"; cat errors.txt; }
    grep -qF -- "$want" errors.txt || { fail "$* does not say '$want':"; cat errors.txt; }
}
columns() { cut -d, -f"$2" "$1/log.csv"; } # FOLDER FIELDS
same() { [ "$2" = "$3" ] || { fail "$1:"; echo "$2"; echo "$3"; }; }
same_run() { # FOLDER FOLDER: the final model, byte for byte; the logs but for the times
    cmp "$1/model_final.bin" "$2/model_final.bin" || fail "$2: another model"
    same "$2: another log.csv" "$(columns "$2" 1-10,12-)" "$(columns "$1" 1-10,12-)"
    for log in eval.csv main.log geometry.csv; do
        [ ! -e "$1/$log" ] && [ ! -e "$2/$log" ] || cmp "$1/$log" "$2/$log" || fail "$2: another $log"
    done
    [ -z "$(find "$2" -name '*.tmp')" ] || fail "$2: left behind $(find "$2" -name '*.tmp')"
}
waits_for() { # CONDITION: ten seconds at most
    tries=0
    until eval "$1" || [ $tries -eq 500 ]; do sleep 0.02; tries=$((tries + 1)); done
    [ $tries -lt 500 ] || fail "waited in vain for: $1"
}
stopped() { # SIGNAL CONDITION FOLDER OPTIONS...: a run that gets the signal when the condition holds
    signal=$1 condition=$2 folder=$3; shift 3
    "$trainer" "$@" --out "$folder" >stopped.txt 2>&1 &
    pid=$!
    waits_for "$condition"
    kill -"$signal" $pid
    wait $pid
    [ $? -eq 130 ] || { fail "SIG$signal should end the run with 130:"; cat stopped.txt; }
    [ ! -e "$folder/model_final.bin" ] || fail "SIG$signal came too late to test anything"
}
continued() { # and goes on as it has said
    command=$(sed -n 's/^continue with: //p' stopped.txt)
    [ -n "$command" ] || { fail "a run that is stopped should tell how to continue:"; cat stopped.txt; }
    # the texts of a --config file live as long as the program, which the sanitizer calls a leak
    ASAN_OPTIONS=detect_leaks=0 sh -c "$command" >out.txt 2>&1 || { fail "the printed command fails: $command"; cat out.txt; }
}
has_steps() { [ "$(cat "$1/log.csv" 2>/dev/null | wc -l)" -ge 4 ]; } # FOLDER
holds() { # WHAT FOLDER AWK-CONDITION: of a row of log.csv for every step, columns by name as c["reward"]
    awk -F, "NR == 1 { for (i = 1; i <= NF; i++) { name[i] = \$i } next } \$11 == \"\" { next }
        { for (i = 1; i <= NF; i++) { c[name[i]] = \$i } steps++; if (!($3) && !said++) { print } } END { exit said > 0 || steps == 0 }" "$2/log.csv" || fail "$1: $2/log.csv"
}
# Runs on pairs, with the options $pairs, and $target besides: micro-batches of 1 are one batch of 2; and what was stopped goes on bit for bit.
pairs_in_micro_batches() {
    for method in full cone; do
        train $pairs $target --method $method --steps 3 --batch 1 --target-batch 1 --accumulate 2 --out micro
        train $pairs $target --method $method --steps 3 --recompute 1 --out whole
        same_run micro whole
    done
}
pairs_resumed() {
    for options in '--method full' '--method subset --log-geometry 1' '--method inside --rank 2 --refresh 3'; do
        rm -rf all part
        [ "$options" = '--method full' ] && with= || with=$target
        train $pairs $with $options --steps 8 --save-every 4 --out all
        cp -r all part
        rm part/*_00000008* part/model_final.bin
        train $pairs $with $options --steps 8 --save-every 4 --out part --resume 1
        same_run all part
    done
}
finish() {
    [ $failed -eq 0 ] && echo "$test ok"
    exit $failed
}
