#!/bin/sh
# test_rl_data.sh -- reinforcement learning on real data from one end to the other, a few steps of tiny models: preferences to a reward model
# to PPO, and word problems from examples to GRPO. What is learnt in so few steps is nothing; that all fits together is what is seen.
. test/trainer.sh
[ -d "$data" ] || { echo "skipped: real data, $data is not there"; exit 0; }

prep() { "$build/dev/prep" --drop "$@" >out.txt 2>&1 || { fail "prep $* exits with $?:"; cat out.txt; }; }

# ---- preferences

prep --input "$data/instruction_preference.json" --seq 256 --take 24 --out pairs.bin
prep --input "$data/instruction_preference.json" --seq 256 --skip 24 --take 24 --prompts 1 --out prompts.bin
tiny='--init L2,H2,C32,V257,T288 --seed 3 --threads 2'
train $tiny --objective dpo --general pairs.bin --batch 4 --target pairs.bin --target-batch 2 --method subset --lr 1e-3 --steps 3 --out dpo
holds "DPO: the loss falls on the pairs that are the target's too" dpo 'c["target_loss"] < 0.7'
train $tiny --objective reward --general pairs.bin --batch 4 --lr 1e-3 --steps 3 --out judge
holds "the reward model" judge 'c["loss"] > 0 && c["loss"] < 1'
train $tiny --objective ppo --reward-model judge/model_final.bin --general prompts.bin --val prompts.bin --val-batches 1 --seq 280 --max-new 12 --batch 4 --kl 0.1 --steps 2 --out ppo
holds "PPO by the reward model" ppo 'c["length"] > 0 && c["value_loss"] > 0 && c["reward"] != 0'

# ---- word problems

prep --input "$data/svamp.json" --seq 256 --take 64 --out worked.bin
prep --input "$data/svamp.json" --seq 256 --skip 64 --take 24 --prompts 1 --out svamp.bin
prep --input "$data/gsm8k_test.jsonl" --seq 256 --take 24 --prompts 1 --out gsm8k.bin
train --init L2,H2,C32,V257,T264 --seed 3 --threads 2 --general worked.bin --batch 8 --lr 3e-3 --steps 30 --val-every 0 --out base
train --init base/model_final.bin --threads 2 --objective grpo --reward number --general svamp.bin --target gsm8k.bin --val svamp.bin --val-batches 1 --seq 264 --max-new 8 \
    --batch 8 --target-batch 8 --method cone --group global --steps 3 --out grpo
holds "GRPO with a held-out target" grpo 'c["reward"] >= 0 && c["reward"] <= 1 && c["target_age"] == 0 && c["length"] > 0'
grep -q '^3,val,[01]' grpo/eval.csv || { fail "no evaluation:"; cat grpo/eval.csv; }

finish
