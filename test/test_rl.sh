#!/bin/sh
# test_rl.sh -- rounds of policy gradients: where there is NumPy, whole steps against the oracle of dev/check_rounds.py; and whatever is wrong
# with a model, a round's file, a prompt or a judge: one line, "error: ...", exit code 1, and nothing half-written.
set -u
build=${BUILD:-build}
repository=$PWD
failed=0
fail() { echo "test_rl.sh: $*"; failed=1; }

for python in python3 /usr/bin/python3 ''; do
    [ -z "$python" ] || "$python" -c 'import numpy' 2>/dev/null && break
done
# Sanitized, a trainer starts slowly; emulated, it runs slowly.
case $build in *san*) only='--only accumulate' ;; *) only= ;; esac
case ${EMULATED:-} in all) emulated= ;; *) emulated='--only subset' ;; esac
compare() {
    "$python" dev/check_rounds.py --build "$1" --trainer "$2" ${3-} ${4-} >"$log" 2>&1 || { fail "dev/check_rounds.py of $2:"; cat "$log"; }
    tail -n 1 "$log"
}
if [ -n "$python" ]; then
    log=$(mktemp) || exit 1
    compare "$build" train_gpt2_drpt $only
    [ ! -x "$build/emu/plain/train_gpt2_drpt_cuda" ] || compare "$build/emu/plain" train_gpt2_drpt_cuda $emulated
    rm -f "$log"
else
    echo "skipped: there is no python3 with numpy"
fi

trainer=$repository/$build/train_gpt2_drpt
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
works() { "$trainer" "$@" >out.txt 2>errors.txt || { fail "train $* exits with $?:"; cat errors.txt; }; }

# refuses TEXT ARGUMENTS...: the run dies of that, and leaves behind neither a checkpoint nor a part of one
refuses() {
    want=$1; shift
    rm -rf broken; cp -r "${start:-empty}" broken
    before=$(ls broken)
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 "$trainer" "$@" --out broken >out.txt 2>errors.txt
    status=$?
    [ $status -eq 1 ] || fail "$* should exit with 1, not $status"
    [ "$(wc -l <errors.txt)" -eq 1 ] && grep -q '^error: ' errors.txt || { fail "$* should say one line:"; head -n 5 errors.txt; }
    grep -qF -- "$want" errors.txt || { fail "$* does not say '$want':"; cat errors.txt; }
    after=$(ls broken | grep -v -e '^config.txt$' -e '^log.csv$' -e '^eval.csv$' -e '^main.log$')
    [ "$after" = "$(echo "$before" | grep -v -e '^config.txt$' -e '^log.csv$' -e '^eval.csv$' -e '^main.log$')" ] || fail "$* leaves behind $after"
    [ -z "$(find . -name '*.tmp')" ] || fail "$* leaves behind $(find . -name '*.tmp')"
}
mkdir empty

# little-endian bytes of a 32-bit number, as an octal format of printf; put FILE BYTE NUMBER
le() { printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
put() { printf "$(le "$3")" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
nan=2143289344

for i in 1 2 3 4 5 6; do echo "{\"prompt\": \"$i+2=\", \"completion\": \"$((i + 2))\"}"; done >prompts.json
"$repository/$build/dev/prep" --input prompts.json --prompts 1 --seq 12 --out prompts.bin >out.txt || { cat out.txt; exit 1; }
model='--init L1,H2,C16,V257,T24 --threads 1'
judge='while read -r line; do echo $((${#line} % 3)); done'
rounds='--objective grpo --general prompts.bin --batch 8 --group-size 4 --max-new 6 --epochs 2 --lr 1e-3 --seed 5'

# Weights that are no numbers, of whatever model.
works $model --steps 0 --val prompts.bin $rounds --reward number --out good
cp good/model_final.bin broken_model.bin
put broken_model.bin $((1024 + 4 * 257 * 16)) $nan
refuses "broken_model.bin: parameter 4112" --init broken_model.bin $rounds --reward number
refuses "broken_model.bin: parameter 4112" $model --reference broken_model.bin --kl 0.1 $rounds --reward-command "$judge"

# Weights that are numbers and make none.
cp good/model_final.bin huge.bin
i=0
while [ $i -lt 16 ]; do put huge.bin $((1024 + 4 * (384 * 16 + 24 * 16 + i))) 2139095039; i=$((i + 1)); done # ln1w, the largest float
refuses 'the model has diverged' --init huge.bin $rounds --reward number

# Prompts without room, answers that are no numbers, judges that judge nothing.
refuses "prompts.bin: row 0 (from 0): its prompt of 4 tokens leaves no room" $model $rounds --reward number --seq 4
echo '{"prompt": "say", "completion": "yes"}' >words.json
"$repository/$build/dev/prep" --input words.json --prompts 1 --seq 12 --out words.bin >out.txt || { cat out.txt; exit 1; }
refuses 'words.bin: row 0 (from 0)' $model $rounds --reward number --target words.bin --target-batch 4
refuses 'words.bin: row 0 (from 0)' $model $rounds --reward number --val words.bin
for answer in nan inf -inf 1e999 yes '' '1 2'; do
    refuses "which is n" $model $rounds --reward-seconds 5 --reward-command "while read -r line; do echo '$answer'; done"
done
refuses 'a reward of 1e+300, which is not finite' $model $rounds --reward-command 'while read -r line; do echo 1e300; done'
refuses "reward command" $model $rounds --reward-command 'exit 3' --reward-restarts 0

# A round's file that is cut, longer, of other sizes, or not one.
works $model $rounds --reward-command "$judge" --steps 3 --save-every 3 --out run
start=damaged
damage() { rm -rf damaged; cp -r run damaged; file=damaged/round_00000003.bin; }
bytes=$(wc -c <run/round_00000003.bin)
for count in 0 1 1023 1024 1088 $((bytes - 1)); do
    damage
    head -c $count run/round_00000003.bin >$file
    refuses round_00000003.bin $model $rounds --reward-command "$judge" --steps 4 --resume 1
done
damage; echo >>$file
refuses round_00000003.bin $model $rounds --reward-command "$judge" --steps 4 --resume 1
damage; rm $file
refuses round_00000003.bin $model $rounds --reward-command "$judge" --steps 4 --resume 1
for entry in 0 1 2 3 4 5 6 7 8; do # each number of the header, absurd
    for number in -1 2147483647; do
        damage; put $file $((4 * entry)) $number
        refuses round_00000003.bin $model $rounds --reward-command "$judge" --steps 4 --resume 1
    done
done
damage; put $file 1028 2146959360 # the upper half of the coefficient, as a NaN
refuses 'a coefficient of nan' $model $rounds --reward-command "$judge" --steps 4 --resume 1
T=$(od -An -td4 -j16 -N4 $file | tr -d ' ')
for place in 0 $((8 * 4 * T)) $((8 * (25 * T + 4))) $((8 * (25 * T + 8))) $((8 * (25 * T + 12))); do # token, mask, length, domain, usable
    damage; put $file $((1088 + place)) 1073741823
    refuses round_00000003.bin $model $rounds --reward-command "$judge" --steps 4 --resume 1
done
# numbers of a response that are none: it is left out, and said to be
for place in $((8 * 5 * T)) $((8 * 17 * T)); do # old, advantage
    damage
    i=0
    while [ $i -lt $T ]; do put $file $((1088 + place + 4 * i)) $nan; i=$((i + 1)); done
    works $model $rounds --reward-command "$judge" --steps 4 --resume 1 --out damaged
    grep -q '1 rows with NaN or Inf left out' out.txt || { fail "a response with NaN:"; cat out.txt; }
done
start=empty

[ $failed -eq 0 ] && echo "test_rl.sh ok"
exit $failed
