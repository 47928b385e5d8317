#!/bin/sh
# test_dpo.sh -- preference pairs through the trainer, from the outside: what the logs say, what goes on where it stopped, what is refused.
# The gradients are test_gradient.c's and dev/check_rl.py's.
. test/trainer.sh

"$build/dev/tasks" --pairs 1 --out data --pretrain 9 --general 7 --target 4 --val 5 --test 6 --labelled 3 --endless 1 --show 0 >out.txt || { cat out.txt; exit 1; }
model='--init L1,H2,C16,V41,T12 --seed 3 --threads 2'
pairs="$model --objective dpo --beta 0.5 --general data/general.bin --batch 2 --lr 3e-3 --val data/test.bin --val-general data/labelled.bin --val-every 3"
target='--target data/target.bin --target-batch 2'

# The model is its own reference at first: every margin is 0, every pair a tie, every loss log 2.
train $pairs $target --steps 7 --out run
same "the first row of log.csv" "$(sed -n 2p run/log.csv | cut -d, -f 1-5,12-)" '0,0.693147181,0.693147181,0.693147181,0.693147181,0.5,0,0.5,0,0.5,0,0.5,0'
same "the header of log.csv" "$(sed -n 1p run/log.csv)" \
    'step,loss,target_loss,val_loss,val_general_loss,lr,grad_norm,update_cos,update_ratio,tokens,ms,accuracy,margin,target_accuracy,target_margin,val_accuracy,val_margin,val_general_accuracy,val_general_margin'
same "the header of eval.csv" "$(sed -n 1p run/eval.csv)" step,data,loss,accuracy,margin
same "a row of eval.csv" "$(sed -n 2p run/eval.csv)" 0,val,0.693147181,0.5,0
same "tokens of a step: 4 pairs of rows of 12" "$(sed -n 3p run/log.csv | cut -d, -f 10)" 96

# What it learns: the pairs themselves. The reference stays what it was, named or not.
train $pairs $target --method target --schedule constant --steps 60 --target-batch 4 --val-every 0 --out learnt
tail -n 2 learnt/log.csv | head -n 1 | awk -F, '{ exit !($3 < 0.4 && $14 == 1 && $15 > 0.5) }' || { fail "the target pairs are not learnt:"; tail -n 2 learnt/log.csv; }
train $model --steps 0 --val data/test.bin --objective dpo --out start
train $pairs $target --reference start/model_final.bin --steps 7 --out named
same_run run named
# --steps 0 evaluates, against another reference too: the loss is what the end of the run said
train --init learnt/model_final.bin --reference start/model_final.bin --objective dpo --beta 0.5 --batch 4 --steps 0 --val data/test.bin --out judged
same "an evaluation of a trained model" "$(sed -n 2p judged/eval.csv | cut -d, -f 2-5)" "$(grep ',val,' learnt/eval.csv | tail -n 1 | cut -d, -f 2-5)"

# Micro-batches: one batch of all their pairs.
train $pairs --steps 3 --batch 2 --accumulate 3 --out micro
train $pairs --steps 3 --batch 6 --out whole
paste -d, micro/log.csv whole/log.csv | awk -F, 'NR > 1 && NR < 5 { d = $2 - $21; if (d * d > 1e-12 || $10 != $29) { print; bad = 1 } } END { exit bad }' || fail "accumulate: another loss"
pairs_in_micro_batches

# Goes on bit for bit, the reference being what the run began with.
pairs_resumed

# geometry.csv: a weight for each pair, not for each row
train $pairs $target --method cone --group global --log-geometry 1 --steps 1 --out weights
same "weights of a step of 2 pairs" "$(head -n 1 weights/geometry.csv | tr , '\n' | grep -c '^alpha_')" 2

# What is refused.
cp "$fixture" examples.bin
refuses 'holds examples, but --objective dpo needs preference pairs' --init L1,H2,C16,V41,T12 --objective dpo --general examples.bin
refuses 'holds examples, but --objective dpo needs preference pairs' $pairs --val examples.bin
refuses 'holds preference pairs, but --objective sft needs examples' $model --general data/general.bin
refuses 'missing.bin' $pairs --reference missing.bin
refuses '--reference L1,H2,C16,V40,T12: has a vocabulary of 40' $pairs --reference L1,H2,C16,V40,T12
refuses 'do not fit its context of 9' $pairs --reference L1,H2,C16,V41,T9
refuses '--reference: --objective sft has none' $model --general examples.bin --reference data/general.bin
refuses '--beta: --objective sft has none' $model --general examples.bin --beta 0.3
refuses '--weigh tokens' $pairs --weigh tokens
refuses '--beta' $pairs --beta 0
refuses 'sft|dpo|reward' $pairs --objective kto
{ head -c 8 data/general.bin; printf '\015\000\000\000'; tail -c +13 data/general.bin; } >odd.bin
refuses 'which are not pairs' $pairs --general odd.bin

# Real pairs, a smoke run.
if [ -d "$data" ]; then
    "$build/dev/prep" --input "$data/instruction_preference.json" --seq 256 --take 24 --drop --out real.bin >out.txt || { fail "prep:"; cat out.txt; }
    train --init L2,H2,C32,V257,T256 --objective dpo --general real.bin --batch 4 --target real.bin --target-batch 2 --method cone --lr 1e-3 --steps 4 --out real
    sed -n 5p real/log.csv | awk -F, '{ exit !($3 > 0 && $3 < 0.69 && $15 > 0) }' || { fail "real pairs:"; cat real/log.csv; }
else
    echo "skipped: real pairs, $data is not there"
fi

finish
