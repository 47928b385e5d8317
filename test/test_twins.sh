#!/bin/sh
# test_twins.sh -- the CPU trainer and the GPU trainer are one program: the same losses, updates, evaluations, texts and messages, and
# checkpoints that one saves and the other continues. GPU=build/train_gpt2_drpt_cuda: on a GPU; else under the emulator (test/emulator/), and with EMULATED=all in bf16 too.
set -u
build=${BUILD:-build}
cpu=$PWD/$build/train_gpt2_drpt gpu=$PWD/${GPU:-$build/emu/plain/train_gpt2_drpt_cuda}
[ -x "$gpu" ] || [ -z "${GPU:-}" ] || { echo "error: $gpu is not there"; exit 1; }
[ -x "$gpu" ] || { echo "not built for the emulator (no g++, or a build with sanitizers or BLAS): left out"; exit 0; }
fixture=$PWD/test/fixtures/examples.bin
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
"$OLDPWD/$build/dev/tasks" --out tasks --target 5 --pretrain 1 --general 1 --test 1 --labelled 1 --val 1 --endless 1 --show 0 >said.txt || { cat said.txt; exit 1; }
cp tasks/target.bin few.bin
"$OLDPWD/$build/dev/tasks" --pairs 1 --out pairs --target 5 --pretrain 1 --general 5 --test 4 --labelled 1 --val 1 --endless 1 --show 0 >said.txt || { cat said.txt; exit 1; }
cp pairs/general.bin pairs.bin
cp pairs/target.bin few_pairs.bin
cp pairs/test.bin val_pairs.bin
printf '#!/bin/sh\nexec sed -u -n '"'"'s/.*response": "\\([0-9]*\\).*/\\1/p'"'"'\n' >judge.sh # the first token's number is the reward
chmod +x judge.sh
cp "$fixture" data.bin # 5 rows: with batches of 3 every epoch begins somewhere else
failed=0 cases=0
fail() { echo "test_twins.sh: $*"; failed=$((failed + 1)); }

# Heads of 8 channels, rows of 9 tokens in a context of 12. eps is above the rounding errors: the bias of the keys has no gradient but these.
model="--init L2,H2,C16,V41,T12 --seed 7 --precision fp32"
data="--general data.bin --batch 3 --lr 3e-3 --eps 1e-4 --weight-decay 0.1"

train() { # PROGRAM OPTIONS...
    program=$1; shift
    "$program" "$@" >said.txt 2>errors.txt || { fail "$(basename "$program") $* exits with $?:"; cat errors.txt; }
}

# A GPU's e^x is a little less exact than the emulator's, which is the host's; and a score may be what is left of larger numbers.
each=1e-4 update=1e-5
[ -z "${GPU:-}" ] || { each=1e-3; update=1e-4; }

# same_numbers FILE FILE FIELDS [TOLERANCE]: CSV files agree, to so much of each number; an empty cell is one in both.
same_numbers() {
    cut -d, -f"$3" "$1" >left.csv
    cut -d, -f"$3" "$2" >right.csv
    paste -d';' left.csv right.csv | awk -F';' -v tolerance="${4:-$each}" '
        { n = split($1, a, ","); if (split($2, b, ",") != n || n == 0) { bad = 1 }
          for (i = 1; i <= n; i++) {
              number = a[i] + 0 == a[i] && b[i] + 0 == b[i] && a[i] != "" && b[i] != ""
              if (!number && a[i] != b[i]) { bad = 1 }
              d = a[i] - b[i]; if (d < 0) { d = -d }; size = a[i] < 0 ? -a[i] : a[i]
              if (number && !(d <= tolerance * (size + 1e-2))) { bad = 1 } } }
        bad && !said { said = 1; print "CPU " $1; print "GPU " $2 }
        END { exit bad || NR < 2 }'
}

# same_floats FILE FILE TOLERANCE: what stands behind the headers agrees, to so much of the largest; there is more than zeros.
same_floats() {
    for f in "$1" "$2"; do od -An -v -w4 -t f4 -j 1024 "$f" >"$f.txt"; done
    [ "$(wc -l <"$1.txt")" -eq "$(wc -l <"$2.txt")" ] || return 1
    paste "$1.txt" "$2.txt" | awk -v tolerance="$3" '
        { d = $1 - $2; if (d < 0) { d = -d }; size = $1 < 0 ? -$1 : $1
          if (d != d || $1 ~ /[a-z]{3}/ || $2 ~ /[a-z]{3}/) { bad = 1 }
          if (d > worst) { worst = d }; if (size > largest) { largest = size } }
        END { if (bad || !(worst <= tolerance * largest) || largest == 0) { print "off by " worst " of " largest; exit 1 } }'
}

# same_run OPTIONS...: five steps, their losses and norms and evaluations, the last update and the weights.
same_run() {
    cases=$((cases + 1))
    rm -rf cpu gpu
    for p in cpu gpu; do
        eval program=\$$p
        train "$program" $model $data --val data.bin --val-every 2 --steps 5 --out $p --dump-update $p.update "$@"
    done
    same_numbers cpu/log.csv gpu/log.csv 1-10,12- || fail "$*: another log.csv"
    same_numbers cpu/eval.csv gpu/eval.csv 1- || fail "$*: another eval.csv"
    if [ -e cpu/geometry.csv ]; then
        for p in cpu gpu; do sed -E 's/,(direct|pairs|tokens|sketch),/,a route,/' $p/geometry.csv >$p.geometry; done # whichever takes least time there
        same_numbers cpu.geometry gpu.geometry 1- || fail "$*: another geometry.csv"
    fi
    same_floats cpu.update gpu.update $update || fail "$*: another update"
    same_floats cpu/model_final.bin gpu/model_final.bin 1e-4 || fail "$*: another model"
}

# ---- runs: methods, groups, options; a line each
while read -r options; do
    [ -z "$options" ] || same_run $options
done <<'LIST'
--method full
--method full --recompute 1
--method full --accumulate 2
--method full --accumulate 2 --recompute 1
--method full --optimizer sgd
--method full --weigh tokens --clip 0.1
--method full --schedule linear --warmup 2 --final-lr 0.1 --val-general data.bin
--target few.bin --target-batch 2 --method target
--target few.bin --target-batch 2 --method mix --weigh tokens
--target few.bin --target-batch 2 --method random --keep 0.7
--target few.bin --target-batch 2 --method subset --log-geometry 1
--target few.bin --target-batch 2 --method subset --group global
--target few.bin --target-batch 2 --method subset --group sublayer --normalise 1
--target few.bin --target-batch 2 --method subset --metric adam
--target few.bin --target-batch 2 --method subset --group matrix --strength 0.7
--target few.bin --target-batch 2 --method filter --group block --rescale ray --log-geometry 1
--target few.bin --target-batch 2 --method greedy --group block
--target few.bin --target-batch 2 --method span --ridge 0.1 --group global --log-geometry 1
--target few.bin --target-batch 2 --method cone --log-geometry 1
--target few.bin --target-batch 2 --method cone --group global --strength auto --accumulate 2
--target few.bin --target-batch 2 --method simplex --group matrix --rescale target
--target few.bin --target-batch 2 --method capped --group sublayer
--target few.bin --target-batch 2 --method agem --group block
--target few.bin --target-batch 2 --method agem_mirror
--target few.bin --target-batch 2 --method gem --group global
--target few.bin --target-batch 2 --method pcgrad
--target few.bin --target-batch 2 --method cagrad --group block
--target few.bin --target-batch 2 --method trust --recompute 1
--target few.bin --target-batch 2 --method cone --score direct
--target few.bin --target-batch 2 --method cone --score pairs --group block
--target few.bin --target-batch 2 --method subset --score tokens
--target few.bin --target-batch 2 --method cone --score sketch --sketch 4
--target few.bin --target-batch 2 --method inside --rank 3 --group matrix --log-geometry 1
--target few.bin --target-batch 2 --method outside --rank 4 --sides left --refresh 2
--objective dpo --general pairs.bin --val val_pairs.bin --batch 2 --method full --accumulate 2
--objective dpo --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method subset --log-geometry 1
--objective dpo --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method mix --beta 2 --reference L1,H2,C8,V41,T12
--objective dpo --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method cone --group global --score direct --log-geometry 1
--objective dpo --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method cone --strength auto --accumulate 2
--objective dpo --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method inside --rank 3 --log-geometry 1
--objective dpo --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method outside --rank 2 --refresh 2
--objective reward --init L2,H2,C16,V41,T13 --general pairs.bin --val val_pairs.bin --batch 2 --method full --accumulate 2
--objective reward --init L2,H2,C16,V41,T13 --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method subset --log-geometry 1
--objective reward --init L2,H2,C16,V41,T13 --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method cone --group global --accumulate 2
--objective reward --init L2,H2,C16,V41,T13 --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method target --recompute 1
--objective reward --init L2,H2,C16,V41,T13 --general pairs.bin --val val_pairs.bin --target few_pairs.bin --target-batch 2 --method outside --rank 2 --refresh 2
--objective ppo --reward-command ./judge.sh --max-new 4 --rollouts 6 --epochs 2 --kl 0.1 --kl-target 0.02 --kl-horizon 20 --reference L1,H2,C8,V41,T12
--objective ppo --reward-command ./judge.sh --max-new 4 --target few.bin --target-batch 2 --method subset --target-objective objective --accumulate 2 --log-geometry 1
--objective ppo --reward-command ./judge.sh --max-new 4 --method cone --group global --target-objective pre-clip --rollouts 6
--objective grpo --batch 6 --reward-command ./judge.sh --max-new 4 --group-size 3 --iif 1
--objective ppo --reward-command ./judge.sh --max-new 4 --target few.bin --target-batch 2 --method full --target-objective objective --batch 6 --epochs 2 --iif 1
--objective grpo --batch 8 --group-size 4 --reward-command ./judge.sh --method full --max-new 3 --epochs 2 --kl 0.1 --accumulate 2
--objective grpo --batch 8 --group-size 4 --reward-command ./judge.sh --method subset --max-new 3 --rollouts 16 --log-geometry 1
--objective grpo --batch 8 --group-size 4 --reward-command ./judge.sh --method cone --group global --target few.bin --target-batch 4 --target-objective objective --max-new 3 --top-k 9
LIST

# ---- probes: every method, and every group, of examples; what each objective makes of rows, of a population, so that |t*|^2 is positive
cat >all.txt <<'LIST'
target | --method target
full | --method full
mix | --method mix --mix 0.3 --group global
random | --method random --keep 0.4 --group block
subset | --method subset --group matrix
filter normalised | --method filter --group sublayer --normalise 1
greedy | --method greedy --keep 0.7 --group global
span | --method span --ridge 0.1 --group block
cone | --method cone
cone auto | --method cone --group global --strength auto
simplex | --method simplex --group sublayer --rescale target
capped | --method capped --keep 0.7 --group matrix
agem | --method agem --group global
agem mirror | --method agem_mirror --group block
gem | --method gem --group global
pcgrad | --method pcgrad
cagrad | --method cagrad --group sublayer
trust | --method trust --group global --rescale ray
inside | --method inside --rank 3
inside left | --method inside --rank 3 --sides left --group matrix
outside | --method outside --rank 4
LIST
printf 'target | --method target\nsubset | --method subset --group matrix\ncone | --method cone --group global\noutside | --method outside --rank 2\n' >some.txt
train "$cpu" --init L2,H2,C16,V41,T13 --precision fp32 --objective reward --general pairs.bin --batch 2 --steps 2 --lr 1e-2 --out scored
same_probe() { # OPTIONS...
    cases=$((cases + 1))
    rm -rf cpu gpu
    for p in cpu gpu; do
        eval program=\$$p
        train "$program" $model --general data.bin --batch 3 --target-batch 2 --draws 2 --draw-batches 2 --out $p "$@"
    done
    for file in probe replicates scores; do same_numbers cpu/$file.csv gpu/$file.csv 1- || fail "$*: another $file.csv"; done
    awk -F, 'END { exit !($10 > 0) }' cpu/probe.csv || fail "$*: |t*|^2 should be positive"
}
while read -r options; do
    [ -z "$options" ] || same_probe $options
done <<'LIST'
--probe all.txt --target few.bin --val data.bin --draws 2
--probe some.txt --target few.bin --val few.bin --draws 3 --recompute 1
--probe some.txt --objective dpo --general pairs.bin --target few_pairs.bin --val few_pairs.bin --batch 2 --beta 2 --reference L1,H2,C8,V41,T12
--probe some.txt --objective reward --init scored/model_final.bin --general pairs.bin --target few_pairs.bin --val few_pairs.bin --batch 2
--probe some.txt --objective grpo --target few.bin --val few.bin --reward-command ./judge.sh --max-new 3 --group-size 3 --batch 6 --target-batch 6
--probe some.txt --objective ppo --target few.bin --val few.bin --reward-command ./judge.sh --max-new 3 --group-size 3 --target-batch 3 --target-objective objective
LIST

# ---- what one saves the other continues, bases included
while read -r first second method; do
    options="$model $data --steps 6 --save-every 3 $method"
    eval program=\$$first other=\$$second
    rm -rf whole mixed
    train "$program" $options --out whole
    cp -r whole mixed
    rm mixed/*_00000006* mixed/model_final.bin
    train "$other" $options --out mixed --resume 1
    [ -e mixed/DONE_00000006 ] || fail "the $second trainer did not continue the $first trainer's run"
    same_numbers whole/log.csv mixed/log.csv 1-10 || fail "$method begun on the $first, continued on the $second: another log.csv"
    for file in model_00000006.bin state_00000006_00000.bin; do
        same_floats whole/$file mixed/$file 1e-4 || fail "$method begun on the $first, continued on the $second: another $file"
    done
    cases=$((cases + 1))
done <<'LIST'
cpu gpu --method full
gpu cpu --method full
cpu gpu --target few.bin --target-batch 2 --method inside --rank 3 --refresh 5
gpu cpu --target few.bin --target-batch 2 --method outside --rank 3 --refresh 5
cpu gpu --objective grpo --batch 4 --group-size 4 --rollouts 8 --epochs 2 --reward-command ./judge.sh --max-new 3 --kl 0.1
gpu cpu --objective grpo --batch 4 --group-size 4 --rollouts 8 --epochs 2 --reward-command ./judge.sh --max-new 3 --target few.bin --target-batch 4 --method subset
cpu gpu --objective ppo --reward-command ./judge.sh --max-new 4 --rollouts 6 --epochs 2
LIST

# ---- bf16: another program, which the GPU trainer starts. It stays close, resumes bit for bit, and ends with half a file that both read.
if [ -n "${GPU:-}" ] || [ "${EMULATED:-}" = all ]; then
options="${model% *} bf16 $data --steps 6 --save-every 3 --val data.bin --val-every 2"
train "$gpu" $options --out whole16
train "$cpu" $model $data --steps 6 --val data.bin --val-every 2 --out whole32
cp -r whole16 mixed16
rm mixed16/*_00000006* mixed16/model_final.bin
train "$gpu" $options --out mixed16 --resume 1
for file in model_final.bin model_00000006.bin state_00000006_00000.bin; do
    cmp whole16/$file mixed16/$file || fail "bf16: another $file after --resume"
done
[ $((2 * $(wc -c <whole16/model_final.bin) - 1024)) -eq "$(wc -c <whole32/model_final.bin)" ] || fail "bf16: model_final.bin should have half the weights' bytes"
for p in cpu gpu; do
    eval program=\$$p
    train "$program" --init whole16/model_final.bin --precision fp32 --steps 0 --val data.bin --out final_$p
    tail -n 1 final_$p/eval.csv >>whole32/final.csv
    tail -n 1 whole16/eval.csv | sed 's/^6,/0,/' >>whole16/final.csv
done
for what in eval final; do
    paste -d, whole16/$what.csv whole32/$what.csv | awk -F, '$1 + 0 == $1 { n++; d = $3 - $(NF / 2 + 3); if (!(d * d <= 4e-4) || $1 != $(NF / 2 + 1)) { bad = 1; print } }
        END { exit bad || n < 2 }' || fail "bf16: $what.csv is not close to fp32's"
done
# Rounding to 8 bits turns the update a little, and chooses the same rows.
for p in cpu gpu; do
    eval program=\$$p
    precision=$([ $p = cpu ] && echo fp32 || echo bf16)
    train "$program" ${model% *} $precision $data --target few.bin --target-batch 2 --method subset --log-geometry 1 --steps 1 --out chosen_$p --dump-update $p.update
    cut -d, -f 1-3,16- chosen_$p/geometry.csv >$p.chosen
done
cmp cpu.chosen gpu.chosen || fail "bf16: other rows are chosen"
same_floats cpu.update gpu.update 2e-2 || fail "bf16: another update"
# Q, K and V apart, whose gradients stand in the columns of one array.
for p in cpu gpu; do
    eval program=\$$p
    precision=$([ $p = cpu ] && echo fp32 || echo bf16)
    train "$program" ${model% *} $precision $data --target few.bin --target-batch 2 --method mix --group matrix --steps 1 --dump-update $p.update
    train "$program" ${model% *} $precision --general data.bin --batch 3 --target few.bin --target-batch 2 --val few.bin --probe some.txt --draws 2 --draw-batches 2 --out probed_$p
done
same_floats cpu.update gpu.update 2e-2 || fail "bf16: another update of Q, K and V"
same_numbers probed_cpu/probe.csv probed_gpu/probe.csv 1- 5e-2 || fail "bf16: another probe.csv"
ln "$gpu" alone
./alone ${model% *} bf16 $data >said.txt 2>errors.txt
[ $? -eq 1 ] && grep -q '^error: --precision bf16 .*/alone_bf16' errors.txt || { fail "bf16: a program that is not there should be named"; cat errors.txt; }
"${gpu}_bf16" $model $data >said.txt 2>errors.txt
[ $? -eq 1 ] && grep -q '^error: --precision fp32' errors.txt || { fail "the bf16 program should refuse fp32"; cat errors.txt; }
train "$gpu" ${model% *} bf16 --objective dpo --general pairs.bin --batch 2 --steps 2 --out pairs16
sed -n 2p pairs16/log.csv | grep -q '^0,0.693147181,.*,0.5,0,' || { fail "bf16: the model should be its own reference at first"; cat pairs16/log.csv; }
cases=$((cases + 9))
fi

# ---- evaluation alone; texts; samples
for p in cpu gpu; do
    eval program=\$$p
    rm -rf $p
    train "$program" $model --steps 0 --val data.bin --val-general data.bin --val-batches 1 --batch 4 --out $p
    text="--init L2,H2,C16,V257,T16 --seed 3 --sample-tokens 30"
    train "$program" $text --generate "Once upon" --temperature 0.7
    cp said.txt $p.text
    train "$program" $text --generate "" --temperature 0
    cp said.txt $p.likeliest
    train "$program" $text --general data.bin --steps 2 --sample-every 1 --top-k 9 --top-p 0.9
    sed -n '/^--- sample/,/^---$/p' said.txt >$p.samples
done
same_numbers cpu/eval.csv gpu/eval.csv 1- || fail "--steps 0: another evaluation"
for kind in text likeliest samples; do
    [ -s cpu.$kind ] && cmp cpu.$kind gpu.$kind || fail "another text: $kind"
done
cases=$((cases + 4))

# ---- what is refused is refused in the same words
head -c 1000 data.bin >short.bin
while read -r options; do
    [ -n "$options" ] || continue
    cases=$((cases + 1))
    for p in cpu gpu; do
        eval program=\$$p
        rm -rf $p
        "$program" $options >said.txt 2>$p.errors
        [ $? -eq 1 ] || fail "$options: $p should exit with 1"
        [ "$(wc -l <$p.errors)" -eq 1 ] && grep -q '^error: ' $p.errors || { fail "$options: $p should say one line:"; cat $p.errors; }
    done
    cmp -s cpu.errors gpu.errors || { fail "$options: other words:"; cat cpu.errors gpu.errors; }
done <<'LIST'
--init nothing.bin --general data.bin
--init short.bin --general data.bin
--init data.bin --general data.bin
--init L2,H3,C16,V41,T12 --general data.bin
--init L2,H2,C16,V41,T12 --general short.bin
--init L2,H2,C16,V41,T12 --general data.bin --seq 20
--init L2,H2,C16,V5,T12 --general data.bin
--init L2,H2,C16,V41,T12
--init L2,H2,C16,V41,T12 --general data.bin --method cone
--init L2,H2,C16,V41,T12 --general data.bin --steps 1.5
--init L2,H2,C16,V41,T12 --general data.bin --resume 1
--init L2,H2,C16,V41,T12 --general data.bin --precision fp16
--init L2,H2,C16,V41,T12 --generate x
--init L2,H2,C16,V41,T12 --general data.bin --objective dpo
--init L2,H2,C16,V41,T12 --general pairs.bin --objective dpo --reference L2,H2,C16,V40,T12
--init L2,H2,C16,V41,T12 --general data.bin --objective grpo --reward exact --batch 4
--init L2,H2,C16,V41,T12 --general pairs.bin --objective reward
--init L2,H2,C16,V41,T12 --general data.bin --probe some.txt
--init L2,H2,C16,V41,T12 --general data.bin --target data.bin --val data.bin --out cpu --probe data.bin
LIST
"$cpu" $model $data --precision bf16 >said.txt 2>errors.txt
[ $? -eq 1 ] && grep -q '^error: --precision bf16' errors.txt || { fail "--precision bf16 should be refused by the CPU trainer"; cat errors.txt; }

echo "$((cases + 1)) cases, $failed failed"
[ $failed -eq 0 ]
