#!/bin/sh
# test_grpo.sh -- rounds of policy gradients from the outside: what is learnt, what the log says, the same bits again and after an
# interruption, rewards that fail, and what is refused.
. test/trainer.sh

column() { # FOLDER NAME: of all steps
    awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) { if ($i == name) { at = i } } } NR > 1 && $11 != "" { print $at }' "$1/log.csv"
}

# Prompts of two digits, that are answered by one, and then nothing more. The base answers with any of 1 to 4.
prep() { # NAME OPTIONS...: NAME.jsonl into NAME.bin
    name=$1; shift
    "$build/dev/prep" --input "$name.jsonl" --out "$name.bin" --seq 7 "$@" >out.txt || { fail "prep:"; cat out.txt; }
}
for i in 1 2 3 4; do
    for j in 1 2 3 4; do
        for k in 1 2 3 4; do echo "{\"prompt\":\"$i$j=\",\"completion\":\"$k\"}"; done >>any.jsonl
        echo "{\"prompt\":\"$i$j=\",\"completion\":\"3\"}" >>three.jsonl
        echo "{\"prompt\":\"$i$j=\",\"completion\":\"$j\"}" >>copy.jsonl
        echo "{\"prompt\":\"$i$j=\",\"chosen\":\"3\",\"rejected\":\"$(((i + j) % 3 + 4 - (i + j) % 3 / 2 * 4))\"}" >>pairs.jsonl
        echo "{\"prompt\":\"$i\",\"completion\":\"$j=\"}" >>none.jsonl # the end of text behind the prompt
    done
done
cat three.jsonl none.jsonl >either.jsonl
head -n 4 three.jsonl >few.jsonl
prep any
prep either
prep three --prompts 1
prep copy --prompts 1
prep few --prompts 1
prep pairs
train --init L1,H2,C16,V257,T12 --seed 3 --threads 1 --general any.bin --batch 16 --lr 1e-2 --steps 120 --val-every 0 --out base
train --init L1,H2,C16,V257,T12 --seed 3 --threads 1 --general either.bin --batch 16 --lr 1e-2 --steps 120 --val-every 0 --out silent
model='--init base/model_final.bin --seed 5 --threads 1 --objective grpo --max-new 3 --val-batches -1 --schedule constant'
run="$model --general three.bin --reward exact --batch 32 --lr 3e-3"

# ---- what is learnt, and the log

train $run --val three.bin --val-every 30 --steps 60 --out learnt
tail -n 1 learnt/eval.csv | awk -F, '{ exit !($2 == "val" && $3 == $4 && $3 > 0.9 && $5 <= 3) }' || { fail "the reward is not learnt:"; cat learnt/eval.csv; }
same "the header of log.csv" "$(head -n 1 learnt/log.csv | cut -d, -f12-)" \
    'reward,target_reward,val_reward,val_general_reward,length,kl_old,kl_reference,kl,clipped,degenerate,value_loss,target_age,kept'
same "the header of eval.csv" "$(head -n 1 learnt/eval.csv)" step,data,reward,right,length
same "tokens of a step: 32 rows of 8" "$(column learnt tokens | sort -u)" 256
holds "rewards of 0 and 1, one update a round" learnt 'c["reward"] >= 0 && c["reward"] <= 1 && c["reward"] * 32 % 1 == 0 && c["kl_old"] < 1e-9 && c["clipped"] + 0 == 0 && c["kl"] == "" && c["target_reward"] == ""'
grep -q '| val reward 0' out.txt && grep -q '| reward ' out.txt && grep -q '| kl ' out.txt || { fail "the terminal should show reward, val reward and kl:"; cat out.txt; }
same "evaluations in main.log" "$(grep eval: learnt/main.log)" "$(awk -F, 'NR > 1 { printf "s:%d eval:%.4f\n", $1, $3 }' learnt/eval.csv)"
# --steps 0 evaluates, with the random numbers of any evaluation; --steps -1: one pass over 16 prompts, in groups of 8
train --init learnt/model_final.bin --seed 5 --threads 1 --objective grpo --max-new 3 --val-batches -1 --reward exact --val three.bin --steps 0 --out judged
same "an evaluation of a trained model" "$(tail -n 1 judged/eval.csv | cut -d, -f2-)" "$(tail -n 1 learnt/eval.csv | cut -d, -f2-)"
train $run --rollouts 64 --epochs 2 --steps -1 --out pass
same "steps of a pass: 2 rounds of 2 epochs of 2 steps" "$(column pass reward | wc -l)" 8
# examples are prompts as well
train $model --general any.bin --reward number --batch 16 --steps 2 --out examples

# Off the policy the ratio moves, within a round only; the reference stays what the model began with.
train $run --rollouts 64 --epochs 4 --batch 16 --kl 0.1 --lr 1e-2 --steps 20 --out epochs
holds "divergences" epochs 'c["kl"] == 0.1 && (c["step"] % 16 == 0) == (c["kl_old"] < 1e-9) && (c["step"] == 0) == (c["kl_reference"] < 1e-9)'
[ "$(column epochs reward | uniq | wc -l)" -eq 2 ] || fail "two rounds should have two rewards: $(column epochs reward)"
column epochs clipped | awk '$1 > 0 { some++ } END { exit !some }' || fail "no ratio is ever clipped"
train $run --rollouts 64 --epochs 4 --batch 16 --kl 0.1 --lr 1e-2 --steps 20 --reference base/model_final.bin --out named
same_run epochs named
# --kl-stop: a round ends before the update that would be too much, and the step is the next round's
train $run --rollouts 64 --epochs 4 --batch 16 --kl-stop 1e-9 --steps 5 --out stopped
holds "rounds that are stopped" stopped 'c["kl_old"] < 1e-9 && c["grad_norm"] > 0'
[ "$(grep -c 'beyond --kl-stop: a new round' out.txt)" -eq 4 ] || { fail "4 rounds should end early:"; cat out.txt; }
train $run --rollouts 64 --epochs 4 --batch 16 --kl-stop 1e9 --steps 5 --out unstopped
train $run --rollouts 64 --epochs 4 --batch 16 --steps 5 --out free
same_run unstopped free

# ---- the target

target='--target few.bin --target-batch 16'
train $model --general copy.bin --reward exact --batch 16 --lr 1e-2 $target --method target --steps 30 --out aimed
column aimed target_reward | tail -n 1 | awk '{ exit !($1 > 0.8) }' || fail "the target is not learnt: $(column aimed target_reward | tail -n 1)"
holds "new responses to the target with every round" aimed 'c["target_age"] == 0 && c["update_cos"] == (c["grad_norm"] > 0)'
train $model --general copy.bin --reward exact --batch 16 --lr 1e-2 $target --method target --steps 7 --target-refresh 3 --out aged
same "the age of the target's responses" "$(column aged target_age | tr '\n' ' ')" "0 1 2 0 1 2 0 "
same "they are drawn when they are due" "$(column aged target_reward | uniq | wc -l)" 3
train $model $target --reward exact --method target --steps 20 --lr 1e-2 --out alone # without general data
column alone target_reward | tail -n 1 | awk '{ exit !($1 > 0.5) }' || fail "the target alone is not learnt: $(column alone target_reward | tr '\n' ' ')"
train $model $target --reward exact --method target --target-objective objective --kl 0.1 --epochs 3 --kl-stop 1e-9 --steps 3 --lr 1e-2 --out alone_far
[ "$(grep -c 'beyond --kl-stop: a new round' out.txt)" -eq 2 ] || { fail "without general data 2 rounds should end early:"; cat out.txt; }
holds "no general data" alone 'c["reward"] == "" && c["loss"] == "" && c["length"] > 0'
for objective in pre-clip objective; do
    train $run $target --method cone --target-objective $objective --epochs 2 --steps 3 --out $objective
    holds "a target of another objective" $objective 'c["update_cos"] > 0'
done
cmp -s pre-clip/model_final.bin objective/model_final.bin && fail "--target-objective is not heeded"
# self-reference: the responses are their own target
train $run --method subset --batch 16 --rollouts 32 --steps 6 --log-geometry 1 --out own
holds "the target's rewards are the responses'" own 'c["target_reward"] == c["reward"] && c["target_age"] == c["step"] % 2 && c["update_cos"] > 0 && c["tokens"] == 256'
train $run --method subset --batch 16 --rollouts 32 --steps 6 --log-geometry 1 --leave-one-out 0 --out with_own
cmp -s own/model_final.bin with_own/model_final.bin && fail "--leave-one-out is not heeded"

# --iif: each round loses the responses that the target is against, and is then ordinary training
train $run --iif 1 --rollouts 64 --epochs 2 --steps 12 --out filtered
holds "responses that are kept" filtered 'c["kept"] > 0 && c["kept"] <= 64 && c["target_reward"] == c["reward"] && c["update_cos"] == "" && c["tokens"] == 256'
same "three rounds, each filtered once" "$(column filtered kept | awk 'NR % 4 == 1 { first = $1 } $1 != first { print "changed" }' | wc -l)" 0
train $model --general copy.bin --reward exact --batch 16 --lr 3e-3 --iif 1 $target --steps 8 --out filtered # another aim
holds "a target that is held out" filtered 'c["kept"] >= 0 && c["kept"] <= 16 - 8 * c["degenerate"] && c["update_cos"] != ""'
holds "some of them are left out" filtered '(left += 16 - 8 * c["degenerate"] - c["kept"]) > 0 || c["step"] < 7'
train $model --general copy.bin --reward exact --batch 16 --lr 3e-3 --iif 1 --method full $target --steps 8 --out by_name
same_run filtered by_name

# ---- the same bits, and after an interruption

train $run --threads 2 --steps 6 --rollouts 64 --save-every 1 --keep-checkpoints 6 --out once
train $run --threads 2 --steps 6 --rollouts 64 --save-every 1 --keep-checkpoints 6 --out twice
same_run once twice
cmp once/round_00000005.bin twice/round_00000005.bin || fail "another round"
train $run --steps 1 --rollouts 64 --save-every 1 --threads 1 --out thread
cmp once/round_00000001.bin thread/round_00000001.bin || fail "other responses with another number of threads"
same "what --keep-checkpoints 2 keeps" "$(train $run --steps 6 --save-every 2 --keep-checkpoints 2 --out kept; ls kept | grep round_ | tr '\n' ' ')" "round_00000004.bin round_00000006.bin "

long='--rollouts 64 --batch 16 --epochs 2 --steps 20 --save-every 3 --val three.bin --val-every 7 --kl 0.05'
while read -r options; do
    [ -n "$options" ] || continue
    rm -rf all part
    train $run $long $options --out all
    cp -r all part
    rm part/*_00000009* part/*_00000012* part/*_00000015* part/*_00000018* part/model_final.bin
    train $run $long $options --out part --resume 1
    same_run all part
done <<LIST
--kl-stop 0.02
--method cone --target few.bin --target-batch 8 --target-refresh 5 --log-geometry 1
--method filter --group global
--method inside --rank 2 --refresh 5 --target few.bin --target-batch 8
--method outside --rank 2 --refresh 5 --rollouts 32 --epochs 1 --target few.bin --target-batch 8
--iif 1
--iif 1 --method full --target few.bin --target-batch 8 --target-refresh 5
LIST
stopped TERM 'has_steps terminated' terminated $run $long --steps 200 --save-every 0
continued
train $run $long --steps 200 --save-every 0 --out undisturbed
same_run undisturbed terminated

# A wait for rewards ends with the step that it belongs to: what was done before is kept. `hang` holds the number of the response that is never answered.
cat >hanging.sh <<'END'
n=0
while read -r line; do
    n=$((n + 1))
    [ ! -e hang ] || [ $n -ne "$(cat hang)" ] || { echo $$ >judge.pid; exec sleep 60; }
    case $line in *'response": "3'*) echo 1 ;; *'response": "1'*) echo 0.5 ;; *) echo 0 ;; esac
done
END
waiting="--init base/model_final.bin --seed 5 --threads 1 --max-new 3 --schedule constant --general three.bin --batch 8 --rollouts 16 --epochs 2 --steps 7 --lr 3e-3 --reward-seconds 60"
while read -r signal number options; do
    rm -rf hang judge.pid all part
    train $waiting $options --reward-command 'sh hanging.sh' --out all
    echo $number >hang
    stopped $signal '[ -s judge.pid ]' part $waiting $options --reward-command 'sh hanging.sh'
    waits_for '! kill -0 "$(cat judge.pid)" 2>/dev/null'
    rm hang
    continued
    same_run all part
done <<LIST
INT 1 --objective grpo
TERM 20 --objective grpo
TERM 30 --objective grpo --val three.bin --val-every 3 --val-batches 1
INT 44 --objective grpo --target few.bin --target-batch 8 --method cone
TERM 20 --objective ppo --kl 0.1 --kl-target 0.001 --kl-horizon 40
TERM 44 --objective grpo --target few.bin --target-batch 8 --method cone --kl-stop 1e-9
TERM 44 --objective grpo --target few.bin --target-batch 8 --method cone --target-refresh 1
LIST

head -c 2000 once/round_00000006.bin >cut.bin
cp -r once broken
cp cut.bin broken/round_00000006.bin
refuses 'round_00000006.bin' $run --steps 8 --rollouts 64 --out broken --resume 1
refuses 'round_00000006.bin: holds 64 and 0 responses' $run --steps 8 --rollouts 128 --out once --resume 1
refuses 'round_00000006.bin: is of another --epochs' $run --steps 8 --rollouts 64 --epochs 2 --out once --resume 1
refuses 'round_00000006.bin: is of another --kl (or none)' $run --steps 8 --rollouts 64 --kl 0.1 --out once --resume 1
{ head -c 2000 once/round_00000006.bin; tail -c +2005 once/round_00000006.bin; } >broken/round_00000006.bin
refuses 'its header asks for' $run --steps 8 --rollouts 64 --out broken --resume 1

# ---- micro-batches: one batch

train $run --steps 4 --batch 8 --accumulate 4 --kl 0.1 --rollouts 64 --out micro
train $run --steps 4 --batch 32 --kl 0.1 --rollouts 64 --out whole
paste -d, micro/log.csv whole/log.csv | awk -F, 'NR == 2 || NR == 3 { d = $2 - $26; e = $7 / $31 - 1; if (d * d > 1e-12 || e * e > 1e-8 || $10 != $34) { print; bad = 1 } } END { exit bad }' || fail "accumulate: another loss"
for options in "$target --method cone --target-batch 8" "--method subset"; do
    train $run $options --steps 3 --batch 16 --accumulate 2 --out micro
    train $run $options ${options%%--method*}--steps 3 --batch 32 --recompute 1 $(echo "$options" | grep -q target && echo --target-batch 16) --out whole
    same_run micro whole
done

# ---- what has nothing to say

constant="$model --general three.bin --batch 16 --lr 1e-2 --weight-decay 0.1"
for options in '' "$target" '--method cone' "$target --method target"; do
    train $constant --reward-command "sed -u 's/.*/0.5/'" $options --steps 3 --out equal
    cmp base/model_final.bin equal/model_final.bin || fail "$options: equal rewards should leave the model alone"
    holds "equal rewards" equal 'c["degenerate"] == 2 && c["reward"] == 0.5 && c["grad_norm"] == 0'
    grep -qi 'nan' equal/log.csv && fail "NaN in the log"
done
# the general responses learn what the target unlearns: no score is above 0
train $model --reward-command "sed -u -n 's/.*response\": \"3.*answer\": \"3.*/1/;t p;s/.*answer\": \"3.*/0/;t p;s/.*response\": \"3.*/0/;t p;s/.*/1/;:p;p'" \
    --general copy.bin --target few.bin --target-batch 32 --batch 16 --method filter --group global --steps 4 --log-geometry 1 --out against
grep -qi 'nan' against/log.csv && fail "scores below 0: NaN in the log"
column against grad_norm | grep -qx 0 || fail "there should be a step where all scores are below 0: $(column against grad_norm | tr '\n' ' ')"

# ---- responses without a text, and those that are cut

train --init silent/model_final.bin --seed 5 --objective grpo --general three.bin --reward exact --batch 32 --lr 3e-3 --schedule constant --steps 30 --out spoken
column spoken reward | awk 'NR == 1 { first = $1 } END { exit !(first > 0.2 && first < 0.8 && $1 > 0.9) }' || fail "empty responses: $(column spoken reward | tr '\n' ' ')"
column spoken length | awk 'NR == 1 { exit !($1 > 1 && $1 < 2) }' || fail "half of the responses should be an end of text alone"
train $run --seq 4 --steps 30 --out cut
column cut length | awk '$1 != 1 { bad = 1 } END { exit bad }' || fail "rows of 4 have room for 1 token"
column cut reward | tail -n 1 | awk '{ exit !($1 > 0.6) }' || fail "cut responses: $(column cut reward | tr '\n' ' ')"

# ---- rewards that fail, or that a model gives

refuses 'reward command' $model --general three.bin --batch 8 --steps 1 --reward-command 'exit 3' --reward-restarts 1
refuses 'in 0.3 seconds' $model --general three.bin --batch 8 --steps 1 --reward-command 'sleep 60' --reward-restarts 0 --reward-seconds 0.3
refuses 'reward command' $model --general three.bin --batch 8 --steps 1 --reward-command "sed -u 's/.*/good/'"
refuses 'gave 4 of 8 answers' $model --general three.bin --batch 8 --steps 1 --reward-command "sed -u -n 'p;n' | sed -u 's/.*/1/'" --reward-restarts 0 --reward-seconds 0.5
train --init L1,H2,C16,V257,T12 --seed 3 --threads 1 --objective reward --general pairs.bin --batch 8 --lr 1e-2 --steps 60 --val-every 0 --out scores
train $model --general three.bin --val three.bin --reward-model scores/model_final.bin --reward exact --batch 32 --lr 3e-3 --steps 40 --out modelled
tail -n 1 modelled/eval.csv | awk -F, '{ exit !($3 > 0.8) }' || { fail "the reward model is not followed:"; cat modelled/eval.csv; }
column modelled reward | awk '$1 == int($1) { bad = 1 } END { exit bad }' || fail "rewards should be the model's: $(column modelled reward | tr '\n' ' ')"
awk -F, 'NR > 1 && $3 != $4 { exit 1 }' modelled/eval.csv || { fail "evaluations should be the rule's, 1 or 0:"; cat modelled/eval.csv; }
train $model --val three.bin --reward-model scores/model_final.bin --steps 0 --out by_model
tail -n 1 by_model/eval.csv | awk -F, '{ exit $3 == int($3) || $4 != "" || $5 == "" }' || { fail "without a judge the model judges, and nothing says what is right:"; cat by_model/eval.csv; }

# ---- what is refused

cp "$fixture" examples.bin
refuses 'rewards are needed' $model --general three.bin --batch 8
refuses '--reward exact and --reward-command' $run --reward-command cat
refuses '--reward-form' $model --general three.bin --reward-model scores/model_final.bin --reward-form 0.1
refuses 'has no head' $run --reward-model base/model_final.bin
refuses 'holds preference pairs, but --objective grpo needs prompts' $run --general pairs.bin
refuses 'holds prompts, but --objective sft needs examples' --init base/model_final.bin --general three.bin
refuses 'row 0 (from 0)' $run --reward expression
refuses 'leaves no room for a response' $run --seq 3
refuses 'do not fit the model' $run --seq 13
refuses '--rollouts 40: must be a multiple' $run --rollouts 40
refuses '--accumulate 65536' $run --accumulate 65536 --batch 65536
refuses '--epochs 1000000' $run --batch 8 --rollouts 16384 --epochs 1000000
refuses '--group-size 7' $run --group-size 7
refuses '--group-size 16: the 8 target responses' $run --group-size 16 --target few.bin --target-batch 8
refuses '--group-size 1' $run --group-size 1
refuses '--temperature 0' $run --temperature 0
refuses '--weigh tokens' $run --weigh tokens
refuses '--gamma: --objective grpo' $run --gamma 0.9
refuses '--beta: --objective grpo' $run --beta 0.9
refuses '--reference: needs --kl' $run --reference base/model_final.bin
refuses 'has a vocabulary of 40' $run --kl 0.1 --reference L1,H2,C16,V40,T12
refuses '--target-refresh: needs --target' $run --target-refresh 2
refuses '--target-objective: there is no target' $run --target-objective objective
refuses '--leave-one-out' $run --leave-one-out 0
refuses '--kl-stop: without --general' $model $target --reward exact --method target --epochs 2 --kl-stop 0.1
refuses '--kl: without --general' $model $target --reward exact --method target --target-objective pre-clip --kl 0.1
refuses '--iif: is followed by ordinary training' $run --iif 1 --method cone
refuses '--iif: needs --general' $model --reward exact --iif 1 --target few.bin --target-batch 8 --method full
refuses '--method cone needs' $model --reward exact --target few.bin --target-batch 8 --method cone
refuses '--rollouts: --objective sft has no rounds' --init base/model_final.bin --general any.bin --rollouts 8
refuses '--reward: --objective dpo has no rewards' --init base/model_final.bin --general pairs.bin --objective dpo --reward exact
refuses '--gamma: --objective sft has no rounds' --init base/model_final.bin --general any.bin --gamma 0.5
refuses 'was made with another tokenizer' $run --val examples.bin

# ---- real prompts, a smoke run

if [ -d "$data" ]; then
    for f in gsm8k_train.jsonl svamp.json; do
        "$build/dev/prep" --input "$data/$f" --seq 256 --take 24 --prompts 1 --drop --out real.bin >out.txt || { fail "prep:"; cat out.txt; }
        train --init L1,H2,C32,V257,T320 --objective grpo --general real.bin --val real.bin --val-batches 1 --seq 288 --max-new 16 --batch 16 --reward number --lr 1e-3 --steps 2 --out real
        holds "real prompts" real 'c["reward"] >= 0 && c["length"] > 8'
    done
else
    echo "skipped: real prompts, $data is not there"
fi

finish
