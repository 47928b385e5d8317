#!/bin/sh
# demo_rlvr.sh -- GRPO with a rule for a verifier, end to end: worlds, a base model in each, every method from that base, and what came out.
#
#   sh dev/demo_rlvr.sh [--out FOLDER] [--plan FILE] [--seeds "1 2"] [--jobs N] [--base-steps 2400] [--steps 120]
#
# --out    where everything goes [demo-rlvr]
# --plan   other runs than those of dev/plans/rlvr.plan
# --jobs   runs side by side, one thread each [the cores there are]
#
# From the repository root, after make. The runs are those of a sweep (dev/sweep/runs.sh): what is finished is not repeated.
set -u
# shellcheck source=dev/sweep/runs.sh
. dev/sweep/runs.sh

out=demo-rlvr plan=dev/plans/rlvr.plan
demo_options "$0" "$@"

print_rows() {
    printf '\nWhat the base learns from, and prompts of the target and of the general data with the answers they are judged by:\n\n'
    print_files '- - - -' pretrain target general
}

write_report() {
    cat <<EOF
# What the demo of verifiable rewards found

$took, on one thread each.

$(awk -v markdown=1 -f dev/sweep/rewards.awk "$out/results.csv")

## What the data is

Sums of two numbers of two digits, without the hundred. The base model has learnt from somebody who knows, for each two digits, with and without a
carry, the right digit and a wrong one, drawn once for a world, and who writes the right one 45 times in a hundred. So it gives both digits right about
one time in five. The tens come first: to write them is to have seen the carry.

A response is worth 1 if it is the answer of its prompt, else 0. In the 16 target prompts, as in those of the test, the units carry, and the answers are
right. Of the general prompts one in ten carries, and three in ten have the wrong answers, so that there the wrong digits are what is rewarded. In a step
8 general prompts and 8 of the target's are answered 8 times each, by the model as it is at that moment. GRPO weighs the general responses; the target's gradient is that of its mean reward.

IIF is the published control: the responses of a step are scored once against the target's gradient, those with a score below 0 are left out, and
the others are trained on as usual.

$(print_commands)
EOF
}

run_demo -f dev/sweep/rewards.awk
