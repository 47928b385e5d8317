#!/bin/sh
# demo_rlhf.sh -- DPO, end to end: worlds, a base model in each, every method from that base on preference pairs, and what came out.
#
#   sh dev/demo_rlhf.sh [--out FOLDER] [--plan FILE] [--seeds "1 2"] [--jobs N] [--base-steps 4000] [--steps 200]
#
# --out    where everything goes [demo-rlhf]
# --plan   other runs than those of dev/plans/rlhf.plan
# --jobs   runs side by side, one thread each [the cores there are]
#
# From the repository root, after make. The runs are those of a sweep (dev/sweep/runs.sh): what is finished is not repeated.
set -u
# shellcheck source=dev/sweep/runs.sh
. dev/sweep/runs.sh

out=demo-rlhf plan=dev/plans/rlhf.plan
demo_options "$0" "$@"

print_rows() {
    printf '\nPairs of the target, and of the general pool (skill, dialect, x = y); the right y is to be first:\n\n'
    print_files '- -' target general
}

write_report() {
    cat <<EOF
# What the DPO demo found

$took, on one thread each.

$(awk -v markdown=1 -f dev/sweep/preference.awk "$out/results.csv")

## What the data is

The worlds of \`make demo\`: a row gives a skill, a dialect's tag, five symbols and the five that follow from them. A pair is two such rows
that differ in the latter: one has the right ones, the other those of a dialect drawn for the pair. The base model knows four labelled
dialects, and that the tag \`?\` tells nothing. The target is one skill, reverse, in the dialect that hides behind \`?\`: 16 pairs, all
of them in the right order.

Half of the general pairs are of that dialect, in all three skills, half of the labelled ones; and of all, three of ten are flipped: the wrong
answer is the one that is preferred. A method sees the target's pairs and 16 general ones in a step.

An answer of a labelled dialect is all but certain to the base. It can only lose by what moves the model, while the wrong answer may gain:
general accuracy falls below 50 % where nothing in the update holds on to what was known.

$(print_commands)
EOF
}

run_demo -f dev/sweep/preference.awk
