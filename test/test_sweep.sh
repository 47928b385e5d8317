#!/bin/sh
# test_sweep.sh -- a sweep of runs far too short to learn anything: its list, what is run, kept, stopped and collected, and what is refused.
set -u
build=${BUILD:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/test sweep XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() { echo "test_sweep.sh: $*"; failed=1; }
sweep() { BUILD=$build sh dev/sweep.sh "$@" >"$work/out.txt" 2>"$work/errors.txt"; }
expect() { grep -qF -- "$1" "$2" || { fail "no '$1' in"; cat "$2"; }; } # TEXT FILE
rows() { echo $(($(wc -l <"$1"))); }

cat >"$work/tiny.plan" <<'PLAN'
# Two numbers of target rows, two rates, two brace lists.
world tasks --split 1 --pretrain 640 --general 1280 --test 32 --labelled 32 --pool 64 --reference 64 --endless 512
seeds 3
base --init L1,H2,C16,V41,T12 --batch 16 --steps 4 --lr 1e-3
post --batch 16 --steps 6 --val-every 3
rates 1e-3 3e-3
run target | target | --method target | 1e-3
m 4 inf
run cone   | cone   | --method cone --group {layer,global} --ridge {0,0.1} --log-geometry 1
PLAN

# The list: brace lists are all combinations, and the name and label get the values.
sweep "$work/tiny.plan" --list || { fail "--list ends with $?"; cat "$work/errors.txt"; }
[ "$(grep -c '^seed3/m' "$work/out.txt")" -eq 17 ] || { fail "1 run and 2 x 2 x 2 x 2 more should be listed"; cat "$work/out.txt"; }
for folder in m16/target-lr1e-3 m4/cone-layer-0-lr1e-3 minf/cone-global-0.1-lr3e-3; do expect "seed3/$folder: " "$work/out.txt"; done
expect '--method cone --group global --ridge 0.1' "$work/out.txt"
[ ! -e sweep/tiny ] || fail "--list should make nothing"

# As a job array: a script that sh can read, with each run once.
sweep "$work/tiny.plan" --slurm || fail "--slurm ends with $?"
cp "$work/out.txt" "$work/array.sbatch"
sh -n "$work/array.sbatch" || fail "the job array is no sh"
expect '#SBATCH --array=1-17' "$work/array.sbatch"
[ "$(grep -c -- '--only seed3/' "$work/array.sbatch")" -eq 17 ] || fail "the job array should have 17 tasks"
[ "$(grep -o -- '--only seed3/.*' "$work/array.sbatch" | sort -u | wc -l)" -eq 17 ] || fail "the job array names a run twice"

# A whole sweep, and what it collects.
sweep "$work/tiny.plan" --out "$work/a" --jobs 2 || { fail "ends with $?"; cat "$work/errors.txt"; }
expect '18 runs, 0 of them finished before' "$work/out.txt"
expect 'make report PLAN=tiny' "$work/out.txt"
[ "$(rows "$work/a/results.csv")" -eq 18 ] || fail "results.csv should have a header and 17 rows"
[ "$(rows "$work/a/runs.csv")" -eq 20 ] || fail "runs.csv should have a header and 19 rows"
[ "$(cut -d , -f 28 "$work/a/results.csv" | grep -c 1)" -eq 9 ] || fail "9 rates should be chosen"
[ "$(rows "$work/a/curves.csv")" -eq 28 ] || fail "curves.csv should have a header and 9 x 3 rows"
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
    $c["chosen"] == 1 { key = $1 "," $c["m"] "," $c["seed"]; low[key] = $c["choice_loss"] } { all[NR] = $1 "," $c["m"] "," $c["seed"]; loss[NR] = $c["choice_loss"] }
    $1 == "target" && $c["tokens"] != 6 * (16 + 16) * 12 { exit 1 }
    $1 ~ /^cone/ && $c["tokens"] != 6 * (16 + ($c["m"] == "inf" ? 64 : $c["m"])) * 12 { exit 1 }
    END { for (i in all) if (low[all[i]] + 0 > loss[i] + 0) exit 1 }' "$work/a/results.csv" || { fail "tokens, or a chosen rate that is not the best:"; cat "$work/a/results.csv"; }
row=$(grep '^cone-global-0.1,.*,4,3,0.003,' "$work/a/results.csv")
expect "6,val,$(echo "$row" | cut -d , -f 11,12,13)" "$work/a/seed3/m4/cone-global-0.1-lr3e-3/eval.csv"
[ "$(echo "$row" | cut -d , -f 2-5)" = "cone global 0.1,cone,global,--method cone --group global --ridge 0.1" ] || fail "what a run is should stand in its row: $row"
[ ! -e "$work/a/seed3/m4/cone-global-0.1-lr3e-3/geometry.csv" ] || fail "geometry.csv should be condensed"

# A run can be made again from its row, which is written for a folder that holds the programs as build/.
command=$(grep '^seed3/m16/target' "$work/a/runs.csv" | cut -d , -f 7-)
cp -r "$work/a/seed3/m16/target-lr1e-3" "$work/before"
rm -r "$work/a/seed3/m16/target-lr1e-3"
mkdir "$work/a/seed3/m16/target-lr1e-3"
ln -s "$(cd "$build" && pwd)" "$work/build"
(cd "$work" && export OUT=a && eval "$command") >/dev/null 2>&1 || fail "the command of a row fails: $command"
for file in model_final.bin eval.csv choice/eval.csv; do cmp "$work/before/$file" "$work/a/seed3/m16/target-lr1e-3/$file" || fail "a row's command made another $file"; done
cp "$work/before/finished" "$work/a/seed3/m16/target-lr1e-3/"

# Started again it repeats nothing; one without its stamp, or with other options, it alone; and what is collected is the same, there and elsewhere.
collected() { (cd "$1" && cat results.csv runs.csv curves.csv); }
collected "$work/a" >"$work/first"
sweep "$work/tiny.plan" --out "$work/a" --jobs 2
expect '18 runs, 18 of them finished before' "$work/out.txt"
rm "$work/a/seed3/m4/cone-layer-0-lr1e-3/finished"
sweep "$work/tiny.plan" --out "$work/a" --jobs 2
expect '18 runs, 17 of them finished before' "$work/out.txt"
sweep "$work/tiny.plan" --out "$work/b" --jobs 1
for folder in a b; do collected "$work/$folder" | cmp -s "$work/first" - || fail "the second time something else came out in $folder"; done
sed 's/^run target | target | --method target/& --clip 2/' "$work/tiny.plan" >"$work/other.plan"
sweep "$work/other.plan" --out "$work/b" --jobs 2
expect '18 runs, 17 of them finished before' "$work/out.txt"

# The tasks of a job array make the same.
sweep "$work/tiny.plan" --out "$work/c" --only seed3/m16/target-lr1e-3 && fail "a task without its base should fail"
expect 'run sh dev/sweep.sh' "$work/errors.txt"
sweep "$work/tiny.plan" --out "$work/c" --prepare || { fail "--prepare ends with $?"; cat "$work/errors.txt"; }
sweep "$work/tiny.plan" --out "$work/c" --only seed3/m16/target-lr1e-3 || { fail "--only ends with $?"; cat "$work/errors.txt"; }
cmp "$work/c/seed3/m16/target-lr1e-3/model_final.bin" "$work/before/model_final.bin" || fail "a task made another model"
sweep "$work/tiny.plan" --out "$work/c" --jobs 2
expect '18 runs, 2 of them finished before' "$work/out.txt"

# Stopped, it leaves nothing running and says so; started again it goes on, and nothing half done is taken for finished.
sed 's/--steps 6/--steps 100000/' "$work/tiny.plan" >"$work/long.plan"
BUILD=$build sh dev/sweep.sh "$work/long.plan" --out "$work/d" --jobs 2 >"$work/out.txt" 2>"$work/stopped.txt" &
sweep=$!
tries=0
until [ -s "$work/d/seed3/m16/target-lr1e-3/log.csv" ] || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
if sweep "$work/tiny.plan" --out "$work/d"; then fail "two sweeps should not work in one folder"; fi
expect "process $sweep is at work on it" "$work/errors.txt"
kill "$sweep"
wait "$sweep"
[ $? -eq 130 ] || fail "stopped, it should exit with 130"
expect 'stopped; ' "$work/stopped.txt"
lines=$(rows "$work/d/seed3/m16/target-lr1e-3/log.csv")
sleep 0.3
[ "$lines" -eq "$(rows "$work/d/seed3/m16/target-lr1e-3/log.csv")" ] || fail "stopped, it left a trainer running"
sweep "$work/tiny.plan" --out "$work/d" --jobs 2
expect '18 runs, 1 of them finished before' "$work/out.txt"
collected "$work/d" | cmp -s "$work/first" - || fail "after a stop something else came out"

# Killed without a chance to say so, its workers take no other run, and the next sweep is not kept out.
BUILD=$build sh dev/sweep.sh "$work/long.plan" --steps 2000 --out "$work/e" --jobs 1 >"$work/out.txt" 2>&1 &
sweep=$!
tries=0
until [ -s "$work/e/seed3/m16/target-lr1e-3/log.csv" ] || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
kill -9 "$sweep"
wait "$sweep" 2>/dev/null
tries=0
until [ -f "$work/e/seed3/m16/target-lr1e-3/finished" ] || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
sweep "$work/tiny.plan" --out "$work/e" --jobs 2 || { fail "after a kill it ends with $?"; cat "$work/errors.txt"; }
expect '18 runs, 1 of them finished before' "$work/out.txt"
collected "$work/e" | cmp -s "$work/first" - || fail "after a kill something else came out"

# Probes: of the base, and of the checkpoints of a trajectory, by a trainer that only says what it was asked.
mkdir -p "$work/stub/dev"
cp "$build/dev/tasks" "$work/stub/dev/"
cat >"$work/stub/train_gpt2_drpt" <<STUB
#!/bin/sh
case "\$*" in *--probe*) ;; *) exec "$(cd "$build" && pwd)/train_gpt2_drpt" "\$@" ;; esac
for word; do :; done
case \$2 in */seed3/*) ;; *) exit 1 ;; esac
[ -f "\$2" ] || exit 1
printf 'label,bias2\ncone,%s\n' "\$(basename "\$2")" >"\$word/probe.csv"
cp "\$word/probe.csv" "\$word/replicates.csv"
cp "\$word/probe.csv" "\$word/scores.csv"
STUB
cat >"$work/stub/dev/ngram" <<'STUB'
#!/bin/sh
for word; do :; done
for step in 0 100 25; do mkdir -p "$word/probe_$step"; printf 'label,bias2\ncone,1\n' >"$word/probe_$step/probe.csv"; done
printf 'name,m,seed\ncone,4,3\n' >"$word/curves.csv"
STUB
chmod +x "$work/stub/train_gpt2_drpt" "$work/stub/dev/ngram"
{ grep -vE '^(run|m) ' "$work/tiny.plan"; cat <<'PLAN'; } >"$work/probe.plan"
trajectory --method target --lr 1e-3 --save-every 2
probe 0 2 6 --draws 4 --draw-batches 2 --batch 8 --target-batch 4
ngram --draws 4
variant cone layer | --method cone --ridge {0,1}
PLAN
kept=$build build=$work/stub
sweep "$work/probe.plan" --out "$work/p" || { fail "with probes it ends with $?"; cat "$work/errors.txt"; }
build=$kept
printf '%s\n' world,seed,step,label,bias2 gpt,3,0,cone,model_final.bin gpt,3,2,cone,model_00000002.bin gpt,3,6,cone,model_final.bin |
    diff - "$work/p/replicates.csv" || fail "replicates.csv should be that"
[ "$(cut -d , -f 1-3 "$work/p/probe.csv" | tr '\n' ' ')" = "world,seed,step ngram,3,0 ngram,3,25 ngram,3,100 gpt,3,0 gpt,3,2 gpt,3,6 " ] || { fail "probe.csv:"; cat "$work/p/probe.csv"; }
[ "$(cat "$work/p/variants.txt")" = "$(printf 'cone layer 0 | --method cone --ridge 0\ncone layer 1 | --method cone --ridge 1')" ] || fail "variants.txt"
[ "$(rows "$work/p/ngram_curves.csv")" -eq 2 ] || fail "ngram_curves.csv"

# Real text: one base for all draws of the target rows; what chooses a rate and what is the test are different rows of their kind.
mkdir "$work/texts"
awk 'BEGIN {
    for (i = 1; i <= 90; i++) records = records (i > 1 ? "," : "") sprintf("{\"instruction\": \"%s %d?\", \"input\": \"\", \"output\": \"Word %d.\"}\n", i % 2 ? "A synonym of" : "The size of", i, 7 * i)
    print "[" records "]" }' >"$work/texts/instruction_data.json"
cp "$work/texts/instruction_data.json" "$work/texts/alpaca_en_demo.json"
awk 'BEGIN { for (i = 1; i <= 60; i++) print "A line of a play that nobody wrote." }' >"$work/texts/tinyshakespeare.txt"
cat >"$work/text.plan" <<'PLAN'
world instruct --seq 96
seeds 1 2
base --init L1,H2,C16,V257,T96 --seq 96 --batch 4 --steps 2 --lr 1e-3
post --batch 4 --steps 2 --val-every 1
run cone | cone | --method cone | 1e-3
PLAN
if sweep "$work/text.plan" --list; then fail "should ask for DATA"; fi
expect 'say DATA=FOLDER' "$work/errors.txt"
DATA=$work/texts sweep "$work/text.plan" --out "$work/t" --jobs 2 || { fail "on text it ends with $?"; cat "$work/errors.txt"; }
expect '3 runs, 0 of them finished before' "$work/out.txt"
expect 'val.bin: 16 rows' "$work/t/seed1/data/output.txt"
expect 'test.bin: 13 rows' "$work/t/seed2/data/output.txt"
[ "$(rows "$work/t/results.csv")" -eq 3 ] || fail "results.csv of the text should have a header and 2 rows"

# A mistake in a plan is one line that names the file and the line.
refuse() { # SED_SCRIPT TEXT
    sed "$1" "$work/tiny.plan" >"$work/bad.plan"
    if sweep "$work/bad.plan" --list; then fail "should refuse '$1'"; fi
    { [ "$(rows "$work/errors.txt")" -eq 1 ] && [ "$(cut -c 1-"$((${#work} + 17))" "$work/errors.txt")" = "error: $work/bad.plan:" ]; } || { fail "'$1' should be refused in one line:"; cat "$work/errors.txt"; }
    expect "$2" "$work/errors.txt"
}
refuse 's/^rates/rate/'                       "bad.plan:6: 'rate' begins no line of a plan"
refuse '/^seeds/d'                            "without a line 'seeds'"
refuse 's/--method cone/--methods cone/'      'bad.plan:9: --methods: no such option'
refuse 's/--method cone/--method cune/'       'bad.plan:9: --method cune'
refuse 's/^post/& --batch x/'                 'bad.plan:5: --batch x'
refuse 's/{0,0.1}/{0,0.1/'                    "'{' without '}'"
refuse 's/^run cone .*/run target|again|--method full/' 'bad.plan:9: a second run target'
refuse 's/^run cone *| cone/&, soft/'         'bad.plan:9: a label is for a table'
refuse 's/^rates.*//;s/^run target.*//'       'with which learning rates?'
refuse 's/--method cone/--method cone; rm x/' "bad.plan:9: ';' has no place in options"
# shellcheck disable=SC2016 # it is the plan's
refuse 's/--method cone/--method $NO_SUCH/'   'bad.plan:9: $NO_SUCH is not set'
refuse 's/^m 4 inf/m 4 0/'                    "'0' is not a number of target rows"
refuse 's/^world tasks/world task/'           'is no world'
refuse 's/^run cone.*/probe 0 --draws 2/'     'without a variant'
refuse 's/^world tasks.*/world letters/'      "a line 'reward' and the world letters need each other"
refuse 's/^world tasks.*/world letters\nreward --lr 1e-3/;s/^rates/trajectory --method cone\n&/' 'nothing is probed'
if sweep no_such_plan; then fail "should refuse a plan that is not there"; fi
expect 'there is no such plan' "$work/errors.txt"
for plan in dev/plans/*.plan; do DATA=. GPT2=x sweep "$plan" --list || { fail "$plan"; cat "$work/errors.txt"; }; done

# The same runs and the same probe on the GPU trainer, under the emulator: the same losses and estimates, but for rounding.
gpu=$build/emu/plain/train_gpt2_drpt_cuda
if [ -x "$gpu" ]; then
    sed 's/ --group {layer,global} --ridge {0,0.1}//; s/^m 4 inf/m 4/' "$work/tiny.plan" >"$work/less.plan"
    printf 'probe 0 --draws 3 --draw-batches 2 --batch 4 --target-batch 2\nvariant cone | --method cone\n' >>"$work/less.plan"
    for trainer in "$build/train_gpt2_drpt" "$gpu"; do
        TRAINER=$trainer sweep "$work/less.plan" --first-rate --out "$work/on ${trainer##*/}" || { fail "$trainer ends with $?"; cat "$work/errors.txt"; }
    done
    expect "build/train_gpt2_drpt_cuda --init" "$work/on train_gpt2_drpt_cuda/runs.csv"
    paste -d, "$work/on train_gpt2_drpt/curves.csv" "$work/on train_gpt2_drpt_cuda/curves.csv" | awk -F, 'NR > 1 { n++
        for (i = 5; i <= 7; i++) { d = $i - $(i + 8); if (!(d * d < 1e-10)) { exit 1 } } }
        END { if (n != 6) { exit 1 } }' || { fail "another sweep on the GPU trainer"; cat "$work/on "*/curves.csv; }
    expect "/train_gpt2_drpt_cuda --init" "$work/on train_gpt2_drpt_cuda/seed3/probe/0/command.txt"
    paste -d, "$work/on train_gpt2_drpt/probe.csv" "$work/on train_gpt2_drpt_cuda/probe.csv" | awk -F, 'NR > 1 { n++
        for (i = 13; i <= NF / 2; i++) { d = $i - $(i + NF / 2); if ($i == "" || !(d * d <= 1e-8 * (1 + $i * $i))) { exit 1 } } }
        END { if (n != 1) { exit 1 } }' || { fail "another probe on the GPU trainer"; cat "$work/on "*/probe.csv; }
fi

exit $failed
