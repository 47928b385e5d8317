#!/bin/sh
# demo.sh -- the main job, end to end: worlds, a base model in each, every method from that base, and what came out.
#
#   sh dev/demo.sh [--full] [--out FOLDER] [--plan FILE] [--seeds "0 1 2"] [--jobs N] [--base-steps 4000] [--steps 400]
#
# --full   five seeds and every learning rate of the grid; the one of each method and seed is chosen on val.bin
# --out    where everything goes [demo]
# --plan   other runs than those below, in the same form
# --jobs   runs side by side, one thread each [the cores there are]
#
# From the repository root, after make. A run whose outputs are complete is not repeated, unless the programs
# or its options are no longer the same.
set -u

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------------------------------------
# What is run.

base_lr=3e-3
base_options='--init L2,H4,C64,V41,T12 --batch 32 --warmup 100 --schedule cosine --final-lr 0.1 --val-every 1000'
post_options='--batch 32 --target-batch 16 --warmup 10 --schedule linear --final-lr 0 --val-every 20'
common_options='--weight-decay 0 --clip 1 --threads 1 --val-batches -1'

# name | label | options | learning rate | the grid of --full | cost. The rate was the best of a sweep on other worlds, by another
# program. The cost foretells the remaining time: about the seconds of a run.
default_plan='
target        | target                | --method target                             | 1.5e-3 | 3e-4 1e-3 1.5e-3 3e-3 6e-3 1e-2 | 3.5
full          | full                  | --method full                               | 3e-3   | 3e-4 1e-3 1.5e-3 3e-3 6e-3 1e-2 | 4.5
mix           | mix (0.2 target)      | --method mix --mix 0.2                      | 1e-3   | 3e-4 1e-3 1.5e-3 3e-3 6e-3 1e-2 | 5
random        | random (1/8)          | --method random --keep 0.125 --group layer  | 3e-3   | 1.5e-3 3e-3 6e-3                | 4.5
subset-layer  | subset by layer (1/4) | --method subset --keep 0.25 --group layer   | 6e-3   | 1.5e-3 3e-3 6e-3 1e-2           | 5
subset-global | subset global (1/8)   | --method subset --keep 0.125 --group global | 6e-3   | 1.5e-3 3e-3 6e-3                | 5
cone-layer    | cone by layer         | --method cone --group layer                 | 6e-3   | 1.5e-3 3e-3 6e-3                | 7
cone-global   | cone global           | --method cone --group global                | 3e-3   | 1.5e-3 3e-3 6e-3                | 7
'

rates=fixed # how the learning rates came about, for the report
out=demo seeds='0 1 2' plan=$default_plan full='' base_steps=4000 post_steps=400
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
while [ $# -gt 0 ]; do
    case $1 in
        --full)  full=yes rates=chosen seeds='0 1 2 3 4' ;;
        --out)   out=${2:?--out needs a folder}; shift ;;
        --plan)  plan=$(cat "${2:?--plan needs a file}") || exit 1; rates=planned; shift ;;
        --seeds) seeds=${2:?--seeds needs numbers}; shift ;;
        --jobs)  jobs=${2:?--jobs needs a number}; shift ;;
        --base-steps) base_steps=${2:?--base-steps needs a number}; shift ;;
        --steps) post_steps=${2:?--steps needs a number}; shift ;;
        --help)  sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *)       die "$1: no such option; --help lists them" ;;
    esac
    shift
done

build=${BUILD:-build}
trainer=$build/train_gpt2_drpt
{ [ -x "$trainer" ] && [ -x "$build/dev/tasks" ]; } || die "$trainer or $build/dev/tasks is not there; run make first"
case $jobs in '' | *[!0-9]* | 0) die "--jobs $jobs: must be a number of runs" ;; esac
base_options="$base_options --steps $base_steps" post_options="$post_options --steps $post_steps"
mkdir -p "$out" || exit 1

# One line a run: folder | seed | options | learning rate | cost. The bases come first: whoever takes a later line can
# count on its base being made.
list_jobs() {
    for seed in $seeds; do echo "seed$seed/base|$seed|base|$base_lr|18"; done
    for seed in $seeds; do
        echo "$plan" | while IFS='|' read -r name label options lr grid cost; do
            name=$(echo "$name" | tr -d ' ')
            [ -n "$name" ] || continue
            for rate in $([ -n "$full" ] && echo "$grid" || echo "$lr"); do
                echo "seed$seed/$name-$rate|$seed|$options|$rate|$(echo "$cost" | tr -d ' ')"
            done
        done
    done
}

# ---------------------------------------------------------------------------------------------
# One run.

# A finished run has this in its folder, written last.
version=$(cat "$trainer" "$build/dev/tasks" | cksum)
stamp() { echo "$version | $base_options | $post_options | $common_options | $1 | $2"; }       # OPTIONS LR
is_finished() { [ -f "$1/finished" ] && [ "$(cat "$1/finished")" = "$(stamp "$2" "$3")" ]; } # FOLDER OPTIONS LR

quoted() { # WORD...
    for word; do
        case $word in *[!A-Za-z0-9_./,-]*) printf "'%s' " "$word" ;; *) printf '%s ' "$word" ;; esac
    done
    printf '\n'
}

# In the background and waited for, so that a signal can end it at once.
train() { # FOLDER ARGUMENT...
    mkdir -p "$1"
    into=$1; shift
    quoted "$trainer" "$@" --out "$into" >"$into/command.txt"
    "$trainer" "$@" --out "$into" >"$into/output.txt" 2>&1 &
    child=$!
    wait "$child"
}

# shellcheck disable=SC2086 # options are words
pretrain() { # FOLDER SEED
    train "$1" $base_options --lr "$base_lr" $common_options --seed "$2" \
        --general "$out/seed$2/data/pretrain.bin" --val "$out/seed$2/data/test.bin" --val-general "$out/seed$2/data/labelled.bin"
}

# shellcheck disable=SC2086
posttrain() { # FOLDER SEED OPTIONS LR
    train "$1" --init "$out/seed$2/base/model_final.bin" $3 --lr "$4" $post_options $common_options --seed "$2" \
        --general "$out/seed$2/data/general.bin" --target "$out/seed$2/data/target.bin" \
        --val "$out/seed$2/data/test.bin" --val-general "$out/seed$2/data/labelled.bin"
}

# The final model on val.bin, which is there to choose a learning rate by.
# shellcheck disable=SC2086
judge() { # FOLDER SEED
    train "$1/choice" --init "$1/model_final.bin" --method full --steps 0 $common_options --batch 32 --val "$out/seed$2/data/val.bin"
}

run_job() { # FOLDER SEED OPTIONS LR
    rm -rf "${out:?}/$1"
    if [ "$3" = base ]; then pretrain "$out/$1" "$2" || return 1
    else posttrain "$out/$1" "$2" "$3" "$4" && judge "$out/$1" "$2" || return 1; fi
    stamp "$3" "$4" >"$out/$1/unfinished" && mv "$out/$1/unfinished" "$out/$1/finished"
}

# ---------------------------------------------------------------------------------------------
# All of them, side by side.

wait_for_base() { # SEED
    until is_finished "$out/seed$1/base" base "$base_lr" || [ -e "$state/failed" ]; do sleep 0.2; done
}

# Takes one line after another that no other worker has taken: mkdir succeeds for one of them only.
work() {
    child=''
    trap 'kill "$child" 2>/dev/null; wait "$child"; exit 1' TERM
    while IFS='|' read -r folder seed options lr cost; do
        mkdir "$state/$(echo "$folder" | tr / .)" 2>/dev/null || continue
        [ "$options" = base ] || wait_for_base "$seed"
        [ ! -e "$state/failed" ] || return
        run_job "$folder" "$seed" "$options" "$lr" || { echo "$into" >"$state/failed"; return; }
        [ -t 1 ] || echo "$(clock $(($(date +%s) - begun)))  $folder: $(said "$out/$folder")"
    done <"$state/jobs"
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }
said() { awk -F, '$2 == "val" { loss = $3; exact = $5 } END { printf "test loss %.3f, exact match %.1f %%", loss, 100 * exact }' "$1/eval.csv"; }

# On a terminal, one line that is rewritten. A run is done as far as its log.csv goes, which has a header and a last row.
report_progress() {
    while sleep 1; do
        (cd "$out" && wc -l seed*/*/log.csv 2>/dev/null) | awk -v seconds=$(($(date +%s) - begun)) -v jobs="$state/jobs" -v base="$base_steps" -v post="$post_steps" '
            function clock(s) { return sprintf("%d:%02d", int(s / 60), s % 60) }
            { lines[$2] = $1 }
            END {
                while ((getline row < jobs) > 0) {
                    split(row, f, "|")
                    part = lines[f[1] "/log.csv"] / ((f[3] == "base" ? base : post) + 2)
                    all += 1; ended += part >= 1; cost += f[5]; done += f[5] * part
                }
                left = done > 0.03 * cost ? sprintf(", about %s left ", clock(seconds * (cost - done) / done)) : ""
                printf "\r%d of %d runs, %.0f %%, %s gone%s", ended, all, 100 * done / cost, clock(seconds), left
            }'
    done
}

stop() {
    trap '' INT TERM HUP
    # shellcheck disable=SC2086 # numbers
    kill $workers $monitor 2>/dev/null
    wait
    rm -rf "$state"
    printf '\nstopped; finished runs are kept, the same command goes on from here\n' >&2
    exit 130
}

run_all() {
    state=$(mktemp -d "${TMPDIR:-/tmp}/demo.XXXXXX") || exit 1
    workers='' monitor='' begun=$(date +%s)
    trap stop INT TERM HUP
    list_jobs | while IFS='|' read -r folder seed options lr cost; do
        is_finished "$out/$folder" "$options" "$lr" || echo "$folder|$seed|$options|$lr|$cost"
    done >"$state/jobs"
    all=$(list_jobs | wc -l) left=$(wc -l <"$state/jobs")
    echo "$((all)) runs, $((all - left)) of them finished before; $((jobs)) at a time"
    while [ $(($(echo "$workers" | wc -w))) -lt "$jobs" ]; do
        work &
        workers="$workers $!"
    done
    if [ -t 1 ] && [ "$left" -gt 0 ]; then report_progress & monitor=$!; fi
    for worker in $workers; do wait "$worker"; done
    [ -z "$monitor" ] || { kill "$monitor"; printf '\n'; }
    failed=$(cat "$state/failed" 2>/dev/null)
    rm -rf "$state"
    trap - INT TERM HUP
    [ -z "$failed" ] || die "$failed did not finish: $(tail -n 1 "$failed/output.txt")"
    took="$((left)) runs in $(clock $(($(date +%s) - begun))), $((jobs)) at a time"
    [ "$left" -gt 0 ] || took="$((all)) runs, finished before"
}

# ---------------------------------------------------------------------------------------------
# What came out.

# One row of results.csv, from what the run wrote: config.txt, log.csv, eval.csv and choice/eval.csv.
summarise() { # FOLDER NAME LABEL
    awk -F, -v folder="$1" -v name="$2" -v label="$3" '
        function unless(condition, text) { return condition ? "" : text }
        FNR == 1 { file++ }
        file == 1 { value = $0; sub(/^[^ ]* /, "", value); sub(/ .*/, "", $1); config[$1] = value; next }
        FNR == 1 { next }
        file == 2 && $3 != "" { target_loss = $3; if (ms == "" || $11 + 0 < ms) ms = $11 + 0 }
        file == 3 && $2 == "val_general" { general[$1] = $3; general_accuracy = $4; last_general = $3 }
        file == 3 && $2 == "val" {
            if (first == "") { first = $1; best = $1 }
            loss[$1] = $3; accuracy[$1] = $4; exact[$1] = $5; last = $1
            if ($3 ~ /^[0-9]/ && $3 + 0 < loss[best] + 0) best = $1 # awk would take nan for 0
        }
        file == 4 && $2 == "val" { choice = $3 }
        END {
            m = config["method"]; plain = m ~ /^(target|full|mix)$/
            printf "%s,%s,%s,%s,%s,%s,%s,%s,", name, label, config["seed"], m, unless(plain, config["group"]),
                unless(m !~ /^(subset|random)$/, config["keep"]), unless(m != "mix", config["mix"]), config["lr"]
            printf "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,", loss[last], accuracy[last], exact[last], loss[best], best, accuracy[best], exact[best],
                general[best], last_general, general_accuracy, target_loss
            printf "%s,%s,%s,%s,%s,%.2f,%s\n", choice, loss[first], accuracy[first], exact[first], general[first], ms, folder
        }' "$out/$1/config.txt" "$out/$1/log.csv" "$out/$1/eval.csv" "$out/$1/choice/eval.csv"
}

columns=name,label,seed,method,group,keep,mix,lr,test_loss,accuracy,exact,best_test_loss,best_step,best_accuracy,best_exact,\
best_general_loss,general_loss,general_accuracy,target_loss,choice_loss,base_test_loss,base_accuracy,base_exact,base_general_loss,ms,folder

# The last column marks, for each method and seed, the run whose final loss on val.bin is lowest.
collect() {
    list_jobs | while IFS='|' read -r folder seed options lr cost; do
        [ "$options" != base ] || continue
        name=${folder#*/}
        name=${name%-"$lr"}
        label=$(echo "$plan" | awk -F'|' -v name="$name" '{ gsub(/ /, "", $1) } $1 == name { gsub(/^ *| *$/, "", $2); print $2 }')
        summarise "$folder" "$name" "$label"
    done | awk -F, -v columns="$columns,chosen" '
        {
            row[NR] = $0; key[NR] = $1 "," $3; loss = $20 ~ /^[0-9]/ ? $20 + 0 : 1e30 # nan
            if (!(key[NR] in best) || loss < lowest[key[NR]]) { best[key[NR]] = NR; lowest[key[NR]] = loss }
        }
        END { print columns; for (i = 1; i <= NR; i++) print row[i] "," (best[key[i]] == i) }' >"$out/results.csv"
}

write_report() {
    cat <<EOF
# What the demo found

$took, on one thread each.

$(awk -v markdown=1 -v rate="$rates" -f dev/demo.awk "$out/results.csv")

## What the data is

A synthetic task with nothing hidden from whoever judges it. A world has nine permutations of 32 symbols, its dialects. A row gives a
skill, a dialect's tag, five symbols and the five that follow from them; only the latter are trained on. The base model
learns four dialects that have tags of their own, and, from rows with a new dialect each, that the tag \`?\` tells it nothing. The
target is one skill, reverse, in one dialect that hides behind \`?\`, and there are 16 rows of it.

The general pool is polluted on purpose, and what is needed is in it: 12.5 % of its rows are target rows with a fifth of their
labels redrawn at random, 12.5 % show the target's dialect through another skill (copy), 50 % contradict it under
the same tags (reverse, in four other hidden dialects), 25 % are labelled dialects, which the base knows already. So what
is shown here is how well each method finds, with the help of 16 clean rows, the few useful ones among many misleading
ones. It says nothing about a pool that has none, and little about large models and real text.

## The commands

Those of a base and of one of the runs. Each folder holds its own in command.txt, and all options in config.txt.

\`\`\`
$(cat "$out/seed${seeds%% *}/base/command.txt")
$(cat "$out/$(list_jobs | tail -n 1 | cut -d '|' -f 1)/command.txt")
\`\`\`
EOF
}

# ---------------------------------------------------------------------------------------------

for seed in $seeds; do
    mkdir -p "$out/seed$seed/data"
    "$build/dev/tasks" --out "$out/seed$seed/data" --seed "$seed" --show 4 >"$out/seed$seed/data/rows.txt" || exit 1
done
first=$out/seed${seeds%% *}/data
printf '\nRows of the target, and of the general pool (skill, dialect, x = y; only y is trained on):\n\n'
for name in target general; do awk -v name="$name" '/\.bin: / { on = index($0, "/" name ".bin: ") } on && !/\.bin: /' "$first/rows.txt"; done | paste -d ' ' - - - -
printf '\n'
run_all
collect
printf '\n'
awk -v rate="$rates" -f dev/demo.awk "$out/results.csv"
write_report >"$out/report.md"
printf '%s\n%s/results.csv, %s/report.md\n' "$took" "$out" "$out"
