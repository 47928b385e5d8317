#!/bin/sh
# demo.sh -- the main job, end to end: worlds, a base model in each, every method from that base, and what came out.
#
#   sh dev/demo.sh [--full] [--out FOLDER] [--plan FILE] [--seeds "0 1 2"] [--jobs N] [--base-steps 4000] [--steps 400]
#
# --full   five seeds and every learning rate of the plan; the one of each method and seed is chosen on val.bin
# --out    where everything goes [demo]
# --plan   other runs than those of dev/plans/demo.plan, with all their learning rates
# --jobs   runs side by side, one thread each [the cores there are]
#
# From the repository root, after make. The runs are those of a sweep (dev/sweep/runs.sh): what is finished is not repeated.
set -u
# shellcheck source=dev/sweep/runs.sh
. dev/sweep/runs.sh

out=demo full=''
for option; do # one that the other demos have not
    shift
    case $option in --full) full=yes ;; *) set -- "$@" "$option" ;; esac
done
demo_options "$0" "$@"
rates=fixed first_rate=1 # how the learning rates came about, for the report
[ -z "$plan" ] || rates=planned first_rate=''
[ -z "$full" ] || rates=chosen first_rate='' seeds=${seeds:-0 1 2 3 4}
plan=${plan:-dev/plans/demo.plan}

# ---------------------------------------------------------------------------------------------

print_rows() {
    printf '\nRows of the target, and of the general pool (skill, dialect, x = y; only y is trained on):\n\n'
    print_files '- - - -' target general
}

write_report() {
    cat <<EOF
# What the demo found

$took, on one thread each.

$(awk -v markdown=1 -v rate="$rates" -f dev/sweep/demo.awk "$out/times.csv" "$out/results.csv")

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

$(print_commands)
EOF
}

# ---------------------------------------------------------------------------------------------

run_demo -v rate="$rates" -f dev/sweep/demo.awk
