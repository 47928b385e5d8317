#!/bin/sh
# test_reward_model.sh -- --objective reward from the outside: a model with a scalar head learns pairs, is saved with its head, goes on where
# it stopped, and serves where a model without one would. The gradients are test_gradient.c's, the scores test_policy.c's.
. test/trainer.sh

entry() { od -An -t d4 -j $((4 * $2)) -N 4 "$1" | tr -d ' '; } # FILE INDEX, of the header
size() { wc -c <"$1" | tr -d ' '; }

"$build/dev/tasks" --pairs 1 --out data --pretrain 9 --general 7 --target 4 --val 5 --test 6 --labelled 3 --endless 1 --show 0 >out.txt || { cat out.txt; exit 1; }
cp "$fixture" examples.bin
model='--init L1,H2,C16,V41,T13 --seed 3 --threads 2'
pairs="$model --objective reward --general data/general.bin --batch 2 --lr 3e-3 --val data/test.bin --val-general data/labelled.bin --val-every 3"
target='--target data/target.bin --target-batch 2'

# A head of zeros scores all alike: every pair a tie, every loss log 2. The rows of 12 tokens take 13 places, the last one's included.
train $pairs $target --steps 7 --out run
same "the first row of log.csv" "$(sed -n 2p run/log.csv | cut -d, -f 1-5,12-)" '0,0.693147181,0.693147181,0.693147181,0.693147181,0.5,0,0.5,0,0.5,0,0.5,0'
same "tokens of a step: 4 pairs of rows of 13" "$(sed -n 3p run/log.csv | cut -d, -f 10)" 104
same "the header of eval.csv" "$(sed -n 1p run/eval.csv)" step,data,loss,accuracy,margin

# What it learns: the pairs themselves.
train $pairs $target --method target --schedule constant --steps 60 --target-batch 4 --val-every 0 --out learnt
tail -n 2 learnt/log.csv | head -n 1 | awk -F, '{ exit !($3 < 0.2 && $14 == 1 && $15 > 1) }' || { fail "the target pairs are not learnt:"; tail -n 2 learnt/log.csv; }

# The file has the head, of 16 channels and a bias, which pairs cannot move; --steps 0 says of it what the run said at its end.
train $model --steps 0 --val data/test.bin --objective dpo --out bare
same "heads of a model without one, and with one" "$(entry bare/model_final.bin 8) $(entry run/model_final.bin 8)" "0 1"
same "bytes of the head" $(($(size run/model_final.bin) - $(size bare/model_final.bin))) 68
same "the head's bias" "$(tail -c 4 run/model_final.bin | od -An -t f4 | tr -d ' -')" 0
train --init learnt/model_final.bin --batch 4 --steps 0 --val examples.bin # nothing is trained
grep 'scalar head' out.txt && fail 'an evaluation leaves every head as it is'
train --init learnt/model_final.bin --objective reward --batch 4 --steps 0 --val data/test.bin --out judged
same "an evaluation of a trained model" "$(sed -n 2p judged/eval.csv | cut -d, -f 2-5)" "$(grep ',val,' learnt/eval.csv | tail -n 1 | cut -d, -f 2-5)"

# Other objectives take such a model: its head stays what it is.
train --init run/model_final.bin --general examples.bin --lr 1e-2 --steps 2 --out tuned
same "what is said of a head that is not trained" "$(head -n 1 out.txt)" '--init run/model_final.bin: has a scalar head, which --objective sft leaves as it is'
cmp tuned/model_final.bin run/model_final.bin >/dev/null && fail "training on examples should move the model"
tail -c 68 run/model_final.bin >head.bin
tail -c 68 tuned/model_final.bin | cmp - head.bin || fail "training on examples should leave the head alone"
train --init run/model_final.bin --objective dpo --general data/general.bin --batch 2 --steps 2 --out preferred
tail -c 68 preferred/model_final.bin | cmp - head.bin || fail "dpo should leave the head alone"
# and one without gets a head on top of what it is
train --init bare/model_final.bin --objective reward --steps 0 --val data/test.bin --out crowned
head -c $(($(size bare/model_final.bin))) crowned/model_final.bin | tail -c +1025 >body.bin
tail -c +1025 bare/model_final.bin | cmp - body.bin || fail "a head should change nothing else"

# Micro-batches, with a target: one batch of all their pairs.
pairs_in_micro_batches

# Goes on bit for bit.
pairs_resumed

# What is refused.
refuses 'rows of 13 tokens, at the last of which they are scored, do not fit the model' $pairs --init L1,H2,C16,V41,T12
refuses '--seq 12' $pairs --seq 12
refuses 'holds examples, but --objective reward needs preference pairs' $model --objective reward --general examples.bin
refuses '--beta: --objective reward has none' $pairs --beta 0.3
refuses '--reference: --objective reward has none' $pairs --reference bare/model_final.bin
refuses '--weigh tokens' $pairs --weigh tokens
head -c $(($(size run/model_final.bin) - 68)) run/model_final.bin >cut.bin
refuses "cut.bin: has $(size cut.bin) bytes, its header asks for $(size run/model_final.bin)" $pairs --init cut.bin
rm -rf other
train $model --general examples.bin --steps 2 --save-every 2 --out other
refuses 'this model' $pairs --steps 4 --save-every 2 --out other --resume 1

# Real pairs, a smoke run.
if [ -d "$data" ]; then
    "$build/dev/prep" --input "$data/instruction_preference.json" --seq 256 --take 24 --drop --out real.bin >out.txt || { fail "prep:"; cat out.txt; }
    train --init L2,H2,C32,V257,T257 --objective reward --general real.bin --batch 4 --target real.bin --target-batch 2 --method cone --lr 1e-3 --steps 4 --out real
    sed -n 5p real/log.csv | awk -F, '{ exit !($3 > 0 && $3 < 0.69 && $15 > 0) }' || { fail "real pairs:"; cat real/log.csv; }
else
    echo "skipped: real pairs, $data is not there"
fi

finish
