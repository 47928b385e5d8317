#!/bin/sh
# demo_ppo.sh -- PPO against a learned reward, end to end: a language, a base model, a model of the reward, every method, and what the true rule says.
#
#   sh dev/demo_ppo.sh [--out FOLDER] [--plan FILE] [--seeds "1 2"] [--jobs N] [--base-steps 600] [--steps 100]
#
# --out    where everything goes [demo-rlhf/ppo]
# --plan   other runs than those of dev/plans/ppo.plan
# --jobs   runs side by side, one thread each [the cores there are]
#
# From the repository root, after make. The runs are those of a sweep (dev/sweep/runs.sh): what is finished is not repeated.
set -u
# shellcheck source=dev/sweep/runs.sh
. dev/sweep/runs.sh

out=demo-rlhf/ppo plan=dev/plans/ppo.plan
demo_options "$0" "$@"

print_rows() {
    printf '\nWhat the base learns from, and pairs that the reward is learnt from, the one that was called better first:\n\n'
    print_files '- - - -' pretrain pairs
}

write_report() {
    cat <<EOF
# What PPO against a learned reward found

$took, on one thread each.

$(awk -v markdown=1 -v learned=1 -f dev/sweep/rewards.awk "$out/results.csv")

## What the data is

A language of 18 small letters and 6 capitals, drawn for each world: what may follow a letter, seldom a capital after a small letter, often one
after a capital. Capitals are what nobody wants. The true rule is the share of small letters among the 16 that are asked for, given by
\`build/dev/letters --judge\`, a program that the trainer asks (\`--reward-command\`) in evaluations only.

What training is rewarded by is a model of the reward: the base with a head, trained on 4096 pairs of continuations of one prompt. Whoever ordered them
counted small letters too, but liked one capital, A, as much as three small letters, and put three of ten pairs the wrong way round. So at first
what is learnt and what is true rise together, and then the policy may find the A.

Filter and IIF have no target prompts here: the gradient that a response is scored against is that of the round's own mean reward, less its own part.
It comes from the same model of the reward, so no method can know of the flaw; a bound on the way from the base can.

$(print_commands)
EOF
}

run_demo -v learned=1 -f dev/sweep/rewards.awk
