#!/bin/sh
# test_probe.sh -- measuring a checkpoint from the command line: what is written, the same twice, and what is refused.
set -u
build=${BUILD:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/test probe XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() { echo "test_probe.sh: $*"; failed=1; }
probe() { # FOLDER OPTION...
    folder=$1
    shift
    "$build/train_gpt2_drpt" --init "$work/base/model_final.bin" --probe "$work/list.txt" --draws 4 --draw-batches 3 --general "$work/data/general.bin" \
        --target "$work/data/target.bin" --val "$work/data/test.bin" --batch 6 --target-batch 5 --threads 1 --out "$work/$folder" "$@" >"$work/out.txt" 2>&1
}
refused() { # TEXT COMMAND...
    text=$1
    shift
    if "$@"; then fail "was not refused: $text"; fi
    grep -q "^error: .*$text" "$work/out.txt" || { fail "no '$text' in"; cat "$work/out.txt"; }
    [ "$(wc -l <"$work/out.txt")" -eq 1 ] || fail "more than a line: $text"
}
value() { awk -F, -v label="$2" -v name="$3" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } $1 == label { print $at[name] }' "$work/$1/probe.csv"; }
holds() { awk "BEGIN { exit !($1) }" || fail "not so: $1"; }

"$build/dev/tasks" --out "$work/data" --pretrain 600 --general 600 --target 24 --test 600 >"$work/out.txt" || { cat "$work/out.txt"; exit 1; }
"$build/train_gpt2_drpt" --init L1,H2,C16,V41,T13 --general "$work/data/pretrain.bin" --batch 16 --steps 30 --lr 3e-3 --threads 1 --out "$work/base" >"$work/out.txt" || exit 1
cat >"$work/list.txt" <<'END'
# what is measured
target | --method target
full | --method full
mix, in words | --method mix --mix 0.25
END
refused "list.txt:4: a label has" probe a
sed -i 's/mix, in words/mix in words/' "$work/list.txt"

probe a || { fail "ends with $?"; cat "$work/out.txt"; }
[ "$(awk -F, '{ print NF }' "$work/a/probe.csv" | sort -u)" = 28 ] || fail "probe.csv should have 28 columns throughout"
[ "$(cut -d, -f1 "$work/a/probe.csv" | tr '\n' ' ')" = 'label target full mix in words ' ] || fail "labels of probe.csv"
[ "$(wc -l <"$work/a/replicates.csv")" -eq 13 ] || fail "replicates.csv should have 3 variants of 4 draws"
[ "$(wc -l <"$work/a/scores.csv")" -eq 133 ] || fail "scores.csv should have 12 passes of 11 sites"
grep -q '^3,2,h0.v,0,' "$work/a/scores.csv" || fail "Q, K and V should be apart in scores.csv"

# What holds exactly: target has no noise from general rows, full none from the target; a mixture's is of both, by its weight.
holds "$(value a target v_gen) < 1e-6 && $(value a target v_gen) > -1e-6 && $(value a target cos_t) > 0.999999"
v=$(value a 'mix in words' v_gen) all=$(value a full v_gen)
holds "$v / $all > 0.5625 * 0.9999 && $v / $all < 0.5625 * 1.0001"

probe b || fail "ends with $? the second time"
for file in probe replicates scores; do cmp -s "$work/a/$file.csv" "$work/b/$file.csv" || fail "$file.csv is not the same twice"; done
probe c --seed 7 || fail "ends with $? with another seed"
cmp -s "$work/a/probe.csv" "$work/c/probe.csv" && fail "another seed should draw other rows"

# A file that is the population: nothing about the reference is uncertain.
probe d --val "$work/data/target.bin" || fail "ends with $? with a population"
[ "$(value d full reference_error)" = 0 ] || fail "the reference of a population has an error"
holds "$(value a full reference_error) > 0"

# Pairs: a row is a pair, and the reference is the checkpoint unless another is named.
pairs() { # FOLDER OPTION...
    folder=$1
    shift
    "$build/train_gpt2_drpt" --objective dpo --init "$work/base/model_final.bin" --probe "$work/list.txt" --draws 3 --draw-batches 2 --general "$work/pairs/general.bin" \
        --target "$work/pairs/target.bin" --val "$work/pairs/test.bin" --batch 6 --target-batch 4 --threads 1 --out "$work/$folder" "$@" >"$work/out.txt" 2>&1
}
"$build/dev/tasks" --pairs 1 --out "$work/pairs" --pretrain 60 --general 60 --target 12 --val 5 --test 60 >"$work/out.txt" || { cat "$work/out.txt"; exit 1; }
pairs p || { fail "ends with $? with pairs"; cat "$work/out.txt"; }
grep -q '3 draws of 4 target pairs with 2 batches of 6 general pairs' "$work/out.txt" || { fail "what was measured:"; cat "$work/out.txt"; }
[ "$(head -n 1 "$work/p/scores.csv" | tr , '\n' | grep -c '^s_')" -eq 6 ] || fail "scores.csv should have a score for each pair"
pairs q || fail "ends with $? with pairs the second time"
for file in probe replicates scores; do cmp -s "$work/p/$file.csv" "$work/q/$file.csv" || fail "$file.csv of pairs is not the same twice"; done
pairs r --reference L1,H1,C8,V41,T12 --beta 0.5 || fail "ends with $? with another reference"
cmp -s "$work/p/probe.csv" "$work/r/probe.csv" && fail "another reference should weigh the pairs otherwise"
refused "has no scalar head" pairs e --objective reward
"$build/train_gpt2_drpt" --init "$work/base/model_final.bin" --objective reward --general "$work/pairs/general.bin" --batch 8 --steps 20 --lr 3e-3 --threads 1 \
    --out "$work/judge" >"$work/out.txt" || { cat "$work/out.txt"; exit 1; }
pairs s --objective reward --init "$work/judge/model_final.bin" || { fail "ends with $? with scores"; cat "$work/out.txt"; }
holds "$(value s target bias2_se) > 0 && $(value s full v_gen) > 0 && $(value s target v_gen) < 1e-5"
refused "has 12 pairs, disjoint draws of 4 take 36" pairs e --draws 9
refused "holds examples, but --objective dpo needs preference pairs" pairs e --val "$work/data/test.bin"
refused "of --objective dpo a pair counts as one" pairs e --weigh tokens

# Responses: prompts are drawn, and answered at the checkpoint by its own random numbers.
cat >"$work/judge.sh" <<'END'
#!/bin/sh
while IFS= read -r line; do line=${line#*response}; case ${line%answer*} in *1*2*) echo 2 ;; *1*) echo 1 ;; *) echo 0 ;; esac; done
END
chmod +x "$work/judge.sh"
responses() { # FOLDER OPTION...
    folder=$1
    shift
    probe "$folder" --objective grpo --group-size 4 --batch 12 --target-batch 8 --max-new 3 --reward-command "'$work/judge.sh'" "$@"
}
responses t || { fail "ends with $? with responses"; cat "$work/out.txt"; }
grep -q '4 draws of 8 target responses with 3 batches of 12 general responses' "$work/out.txt" || { fail "what was measured:"; cat "$work/out.txt"; }
responses u || fail "ends with $? with responses the second time"
for file in probe replicates scores; do cmp -s "$work/t/$file.csv" "$work/u/$file.csv" || fail "$file.csv of responses is not the same twice"; done
holds "$(value t target v_gen) < 1e-5 && $(value t target v_gen) > -1e-5"
responses w --target-refresh 1 || fail "ends with $? with fresh responses"
holds "$(value w target v_gen) > 1e-5"
responses x --val "$work/data/target.bin" || fail "ends with $? with a population of prompts"
holds "$(value x full reference_error) != 0"
refused "has 24 prompts, disjoint draws of 2 take 26" responses e --draws 13
refused "must be a multiple of it" responses e --group-size 5
refused "leave --rollouts, --epochs" responses e --epochs 2
refused "rewards are needed" probe e --objective grpo --group-size 4 --batch 12 --target-batch 8
refused "a batch of --probe is one batch" responses e --accumulate 2

refused "disjoint draws of 5 take 45" probe e --draws 9
bare() { "$build/train_gpt2_drpt" --probe "$work/list.txt" --init L1,H1,C8,V41,T12 --target "$work/data/target.bin" >"$work/out.txt" 2>&1; }
refused "needs --init, --general, --target, --val and --out" bare
refused "leave --method out" probe e --method cone
refused "must lie between 2 and" probe e --draws 1
echo 'soft | --method full --strength 0.5' >"$work/list.txt"
refused "method full has no projection to soften" probe e
[ ! -e "$work/e/probe.csv" ] || fail "what is refused should write nothing"
exit $failed
