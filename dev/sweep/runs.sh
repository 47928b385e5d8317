# shellcheck shell=sh
# runs.sh -- the jobs of a plan: which are missing, doing them side by side, stopping, going on. For dev/sweep.sh and dev/demo.sh, which
# source it; dev/sweep/plan.awk says what a job is.
#
# Needs $out, the folder that everything goes into, and $plan, a file; and may be given $jobs, $seeds, $first_rate, $steps and
# $base_steps. A job whose outputs are complete is not repeated, unless its program, its commands or what it needs are no longer the same.

die() { printf 'error: %s\n' "$*" >&2; exit 1; }
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

BUILD=${BUILD:-build}
TRAINER=${TRAINER:-$BUILD/train_gpt2_drpt} # train_gpt2_drpt_cuda: on a GPU
out='' plan='' seeds='' first_rate='' steps='' base_steps='' jobs=''
into='' child='' claimed=''
export took='' # what was done, in words

# ---------------------------------------------------------------------------------------------
# The list.

from_plan() { # SHOW
    awk -v show="$1" -v seeds="$seeds" -v first_rate="$first_rate" -v steps="$steps" -v base_steps="$base_steps" -f dev/sweep/plan.awk "$plan"
}

world() { awk '$1 == "world" { name = $2 } END { print name == "" ? "tasks" : name }' "$plan"; }

# Runs a command of the list. Its words are those that stand there: what a variable holds is neither split nor a pattern.
as_written() { set -f; IFS=; eval "$1"; }

# Only the trainer knows its options. Without a model, it complains of that if there is nothing else to complain of.
check_plan() { # FILE
    from_plan options >"$1" || exit 1
    while IFS='|' read -r where options; do
        fault=$(as_written "\"\$TRAINER\" $options" 2>&1 >/dev/null)
        case $fault in 'error: --init is missing'*) ;; *) die "$where: ${fault#error: }" ;; esac
    done <"$1"
}

leave() { rm -rf "$state"; [ -z "$claimed" ] || rm -f "$claimed"; }

# Reads the plan; $list is then the file of its jobs.
read_plan() {
    [ -f "$plan" ] || die "$plan: there is no such plan; those that ship are in dev/plans"
    for program in "$TRAINER" "$BUILD/dev/tasks"; do [ -x "$program" ] || die "$program is not there; run make first"; done
    case $jobs in *[!0-9]* | 0) die "--jobs $jobs: must be a number of runs" ;; esac
    state=$(mktemp -d "${TMPDIR:-/tmp}/sweep.XXXXXX") || exit 1
    trap leave EXIT
    list=$state/list
    check_plan "$state/options"
    from_plan jobs >"$list" || exit 1
    threads=$(from_plan slurm | cut -d '|' -f 1)
    cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    [ -n "$jobs" ] || jobs=$(((cores + threads - 1) / threads))
    export OMP_NUM_THREADS="$threads"
}

# ---------------------------------------------------------------------------------------------
# One job.

# The program that does a job: when it changes, the job is done again.
version() { # KIND
    case $1 in
        data)  cat "$BUILD/dev/prep" "$BUILD/dev/$(world)" ;; # instruct is no program
        ngram) cat "$BUILD/dev/ngram" ;;
        *)     cat "$TRAINER" ;;
    esac 2>/dev/null | cksum
}

# A finished job has this in its folder, written last: with it, what it needs has not changed either.
# shellcheck disable=SC2086 # $2 are words, without blanks
stamp() { # KIND NEEDS COMMANDS
    eval "echo \"\$version_$1 | \$variables| $(cd "$out" && cat $2 /dev/null 2>/dev/null | cksum)\""
    printf '%s\n' "$3"
}
is_finished() { [ -f "$out/$1/finished" ] && [ "$(cat "$out/$1/finished")" = "$(stamp "$2" "$3" "$4")" ]; } # FOLDER KIND NEEDS COMMANDS

quoted() { # WORD...
    for word; do
        case $word in *[!A-Za-z0-9_./,-]*) printf "'%s' " "$word" ;; *) printf '%s ' "$word" ;; esac
    done
    printf '\n'
}

# One after the other, in the background and waited for, so that a signal can end it at once.
execute() { # FOLDER COMMANDS
    into=$1 rest=$2
    while [ -n "$rest" ]; do
        command=${rest%%" && "*}
        case $rest in *" && "*) rest=${rest#*" && "} ;; *) rest='' ;; esac
        case $command in *'>'*) ;; *) (as_written "quoted $command") >>"$into/command.txt" ;; esac
        (as_written "exec $command") >>"$into/output.txt" 2>&1 &
        child=$!
        wait "$child" || return 1
    done
}

# Weights and scores of every row, step and group are megabytes: what they say of the composition is kept.
condense() { # FOLDER
    [ -f "$1/geometry.csv" ] || return 0
    awk -f dev/sweep/composition.awk "$1/eval.csv" "$1/geometry.csv" >"$1/composition.csv" && rm "$1/geometry.csv"
}

run_job() { # FOLDER KIND NEEDS COMMANDS
    rm -rf "${out:?}/$1"
    mkdir -p "$out/$1" || return 1
    execute "$out/$1" "$4" && condense "$out/$1" || return 1
    stamp "$2" "$3" "$4" >"$out/$1/unfinished" && mv "$out/$1/unfinished" "$out/$1/finished"
}

why() { tail -n 1 "$out/$1/output.txt" 2>/dev/null; } # FOLDER

# ---------------------------------------------------------------------------------------------
# All of them, side by side.

# What is needed comes earlier in the list: somebody is at it, or it has failed.
wait_for() { # NEEDS
    for need in $1; do
        until [ -f "$out/$need" ] || [ -e "$state/failed" ]; do sleep 0.2; done
    done
}

# Takes one line after another that no other worker has taken: mkdir succeeds for one of them only.
# shellcheck disable=SC2034 # all fields have names
work() {
    trap 'kill "$child" 2>/dev/null; wait "$child"; exit 1' TERM
    while IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands; do
        kill -0 $$ 2>/dev/null || { leave; exit 1; } # who started this was killed
        mkdir "$state/$(echo "$folder" | tr / .)" 2>/dev/null || continue
        wait_for "$needs"
        [ ! -e "$state/failed" ] || return
        run_job "$folder" "$kind" "$needs" "$commands" || { echo "$folder" >"$state/failed"; return; }
        [ -t 1 ] || echo "$(clock $(($(date +%s) - begun)))  $folder$(said "$out/$folder")"
    done <"$state/jobs"
}

said() { # FOLDER
    [ -f "$1/eval.csv" ] || return 0
    awk -F, 'NR == 1 { pairs = $5 == "margin"; rewards = $3 == "reward" } $2 == "val" { loss = $3; share = pairs || rewards ? $4 : $5; some = 1 }
        END {
            if (some) printf ": test %s %.3f", rewards ? "reward" : "loss", loss
            if (share != "") printf ", %s %.1f %%", rewards ? "right" : pairs ? "right order" : "exact match", 100 * share
        }' "$1/eval.csv"
}

# On a terminal, one line that is rewritten. A run is done as far as its log.csv goes, which has a header and a last row; another
# job when it is finished.
report_progress() {
    while sleep 1; do
        (cd "$out" && cut -d '|' -f 2 "$state/jobs" | while read -r folder; do
            [ ! -f "$folder/finished" ] || echo "$folder finished"
            [ ! -f "$folder/log.csv" ] || echo "$folder $(wc -l <"$folder/log.csv")"
        done) | awk -v seconds=$(($(date +%s) - begun)) -v jobs="$state/jobs" '
            function clock(s) { return sprintf("%d:%02d", int(s / 60), s % 60) }
            $2 == "finished" { finished[$1] = 1; next }
            { lines[$1] = $2 }
            END {
                while ((getline row < jobs) > 0) {
                    split(row, f, "|")
                    part = f[2] in finished ? 1 : f[9] > 0 ? lines[f[2]] / (f[9] + 3) : 0
                    all += 1; ended += part >= 1; cost += f[8]; done += f[8] * part
                }
                left = done > 0.03 * cost ? sprintf(", about %s left ", clock(seconds * (cost - done) / done)) : ""
                printf "\r%d of %d runs, %.0f %%, %s gone%s   ", ended, all, 100 * done / cost, clock(seconds), left
            }'
    done
}

stop() {
    trap '' INT TERM HUP
    # shellcheck disable=SC2086 # numbers
    kill $workers $monitor $child 2>/dev/null
    wait
    leave
    printf '\nstopped; finished runs are kept, the same command goes on from here\n' >&2
    exit 130
}

# The jobs of the kinds that are named and not finished, into $state/jobs. What is out of date loses its stamp, so that nobody takes it for done.
# shellcheck disable=SC2034
missing_jobs() { # KIND...
    while IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands; do
        case " $* " in *" $kind "*) ;; *) continue ;; esac
        is_finished "$folder" "$kind" "$needs" "$commands" && continue
        rm -f "$out/$folder/finished"
        echo "$kind|$folder|$seed|$m|$name|$label|$lr|$cost|$job_steps|$needs|$commands"
    done <"$list" >"$state/jobs"
}

# Before the first job: the folder, the plan's copy, and what the stamps are made of.
open_folder() {
    mkdir -p "$out" || exit 1
    workers='' monitor=''
    export OUT="$out" BUILD TRAINER
    trap stop INT TERM HUP
    for kind in data base reward run trajectory probe ngram; do eval "version_$kind=\$(version $kind)"; done
    variables=$(from_plan variables)
    export variables
    cmp -s "$plan" "$out/plan" || cp "$plan" "$out/plan" || exit 1
    from_plan variants >"$state/variants" || exit 1
    [ ! -s "$state/variants" ] || cmp -s "$state/variants" "$out/variants.txt" || cp "$state/variants" "$out/variants.txt" || exit 1
}

# Two at work in one folder would undo each other's runs. The tasks of a job array have theirs each.
claim_folder() {
    other=$(cat "$out/running" 2>/dev/null)
    [ -z "$other" ] || ! kill -0 "$other" 2>/dev/null || die "$out: process $other is at work on it; if that is something else, remove $out/running"
    claimed=$out/running
    echo $$ >"$claimed"
}

# Data are made first, and one after the other: that takes no time.
# shellcheck disable=SC2034
make_data() {
    claim_folder
    missing_jobs data
    while IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands; do
        run_job "$folder" "$kind" "$needs" "$commands" || die "$out/$folder did not finish: $(why "$folder")"
    done <"$state/jobs"
}

runs() { if [ "$1" -eq 1 ]; then echo "1 run"; else echo "$1 runs"; fi; } # COUNT

do_jobs() { # KIND...
    begun=$(date +%s)
    missing_jobs "$@"
    all=$(cut -d '|' -f 1 "$list" | grep -cxE "$(echo "$*" | tr ' ' '|')") left=$(wc -l <"$state/jobs")
    echo "$(runs $((all))), $((all - left)) of them finished before; $((jobs)) at a time"
    while [ "$(echo "$workers" | wc -w)" -lt "$jobs" ]; do
        work &
        workers="$workers $!"
    done
    if [ -t 1 ] && [ "$left" -gt 0 ]; then report_progress & monitor=$!; fi
    for worker in $workers; do wait "$worker"; done
    [ -z "$monitor" ] || { kill "$monitor"; printf '\n'; }
    workers='' monitor=''
    [ -f "$state/jobs" ] || die "$state is gone; nothing was collected, the same command goes on from here"
    failed=$(cat "$state/failed" 2>/dev/null)
    [ -z "$failed" ] || die "$out/$failed did not finish: $(why "$failed")"
    took="$(runs $((left))) in $(clock $(($(date +%s) - begun))), $((jobs)) at a time"
    [ "$left" -gt 0 ] || took="$(runs $((all))), finished before"
}

# ---------------------------------------------------------------------------------------------
# What came out. Nothing in these files depends on when or where the jobs ran; times.csv, for the curious, does.

in_cell() { case $1 in *,*) printf '"%s"' "$1" ;; *) printf '%s' "$1" ;; esac; }

# shellcheck disable=SC2034
list_commands() {
    echo folder,seed,m,name,label,lr,command
    while IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands; do
        printf '%s,%s,%s,%s,%s,%s,%s\n' "$folder" "$seed" "$m" "$name" "$label" "$lr" "$(in_cell "$commands")"
    done <"$list" | sed "s|\\\$TRAINER|build/${TRAINER##*/}|g; s|\\\$BUILD|build|g"
}

# Each run in lines of its own that begin with the file they belong to.
# shellcheck disable=SC2034
gather_runs() {
    while IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands; do
        [ "$kind" = run ] || continue
        at=$out/$folder
        set -- "$at/config.txt" "$at/choice/eval.csv" "$at/eval.csv" "$at/log.csv"
        [ ! -f "$at/composition.csv" ] || set -- "$@" "$at/composition.csv"
        domains=$(cd "$out/seed$seed/data" && for file in general_*.bin; do file=${file#general_}; printf '%s ' "${file%.bin}"; done)
        awk -v folder="$folder" -v name="$name" -v label="$label" -v m="$m" -v seed="$seed" -v domains="$domains" \
            -v options="$(options_of "$name" "$m" "$commands")" -f dev/sweep/run.awk "$@"
    done <"$list"
}

# The options that make a run what it is: those of its line in the plan, behind the target's rows that the sweep puts in.
options_of() { # NAME M COMMANDS
    echo "$3" | sed 's/ --lr .*//; s/.* --target-batch [0-9]* //; s/ --log-geometry 1//'
}

# One file out of those of many jobs: their rows behind the world, seed and step that they are of, under the longest of their headers.
# shellcheck disable=SC2034
join_probes() { # FILE
    cut -d '|' -f 1-3 "$list" | while IFS='|' read -r kind folder seed; do
        case $kind in
            probe) join_rows "gpt,$seed,${folder##*/}," "$out/$folder/$1" ;;
            ngram) for step in $(cd "$out/$folder" && for at in probe_*; do echo "${at#probe_}"; done | sort -n); do
                       join_rows "ngram,$seed,$step," "$out/$folder/probe_$step/$1"
                   done ;;
        esac
    done | awk -F, '
        /^world,seed,step,/ { if (NF > most) { most = NF; header = $0 } next }
        { row[++rows] = $0; fields[rows] = NF }
        END {
            if (rows) print header
            for (i = 1; i <= rows; i++) { for (k = fields[i]; k < most; k++) row[i] = row[i] ","; print row[i] }
        }'
}

join_rows() { # PREFIX FILE
    [ ! -f "$2" ] || awk -v prefix="$1" 'NR == 1 { print "world,seed,step," $0; next } { print prefix $0 }' "$2"
}

join_curves() {
    grep '^ngram|' "$list" | cut -d '|' -f 2 | while read -r folder; do cat "$out/$folder/curves.csv"; done | awk 'NR == 1 { header = $0; print; next } $0 != header'
}

# Written beside what it replaces, and then put in its place; nothing at all where there is nothing to tell.
put() { # FILE
    cat >"$out/$1.new"
    if [ -s "$out/$1.new" ]; then mv "$out/$1.new" "$out/$1"; else rm -f "$out/$1.new" "$out/$1"; fi
}

is_of_prompts() { case $(world) in sums | letters) ;; *) return 1 ;; esac; }

# Of runs on prompts: rewards instead of losses, in lines that begin with the file they belong to.
# shellcheck disable=SC2034
gather_rewards() {
    grep -q '^run|' "$list" || return 0
    awk -v header=1 -f dev/sweep/rewarded.awk /dev/null
    while IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands; do
        [ "$kind" = run ] || continue
        known=$(tail -n 1 "$out/seed$seed/reward/eval.csv" 2>/dev/null | cut -d , -f 4)
        at=$out/$folder
        awk -v folder="$folder" -v name="$name" -v label="$label" -v seed="$seed" -v known="$known" \
            -v options="$(options_of "$name" "$m" "$commands")" -f dev/sweep/rewarded.awk "$at/config.txt" "$at/eval.csv" "$at/log.csv"
    done <"$list"
}

collect() {
    list_commands | put runs.csv
    for file in probe replicates scores; do join_probes "$file.csv" | put "$file.csv"; done
    if is_of_prompts; then
        gather_rewards >"$state/gathered"
        for file in results curves; do sed -n "s/^$file,//p" "$state/gathered" | put "$file.csv"; done
        return
    fi
    gather_runs >"$state/gathered"
    for file in results curves composition times; do awk -v want="$file" -f dev/sweep/collect.awk "$state/gathered" "$state/gathered" | put "$file.csv"; done
    join_curves | put ngram_curves.csv
}

# The command line of a demo.
demo_options() { # SCRIPT ARGUMENT...
    script=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --out)   out=${2:?--out needs a folder}; shift ;;
            --plan)  plan=${2:?--plan needs a file}; shift ;;
            --seeds) seeds=${2:?--seeds needs numbers}; shift ;;
            --jobs)  jobs=${2:?--jobs needs a number}; shift ;;
            --base-steps) base_steps=${2:?--base-steps needs a number}; shift ;;
            --steps) steps=${2:?--steps needs a number}; shift ;;
            --help)  sed -n '2,/^set/s/^# \{0,1\}//p' "$script"; exit 0 ;;
            *)       die "$1: no such option; --help lists them" ;;
        esac
        shift
    done
}

# Side by side, so many in a line, the first rows of files of the first world.
# shellcheck disable=SC2086 # a column is a word
print_files() { # COLUMNS NAME...: a dash for each column
    columns=$1
    shift
    for file; do
        awk -v name="$file" '/\.bin: / { on = index($0, "/" name ".bin: ") } on && !/\.bin: /' "$out/$first_seed/data/rows.txt"
    done | paste -d ' ' $columns
    printf '\n'
}

# The end of a demo's report.
print_commands() {
    cat <<EOF
## The commands

Those of a base and of one of the runs. Each folder holds its own in command.txt, and all options in config.txt.

\`\`\`
$(cat "$out/$first_seed/base/command.txt")
$(head -n 1 "$out/$(tail -n 1 "$list" | cut -d '|' -f 2)/command.txt")
\`\`\`
EOF
}

# What a demo does: print_rows and write_report are its own, as is the table (ARGUMENTS of awk).
run_demo() {
    read_plan
    open_folder
    make_data
    first_seed=$(head -n 1 "$list" | cut -d '|' -f 2) first_seed=${first_seed%/data}
    print_rows
    do_jobs base reward run
    collect
    printf '\n'
    awk "$@" "$out/results.csv"
    write_report >"$out/report.md"
    printf '%s\n%s/results.csv, %s/report.md\n' "$took" "$out" "$out"
}
