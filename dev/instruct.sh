#!/bin/sh
# instruct.sh -- post-training on 16 rows of one kind of instruction, with or without other instructions beside them.
#
#     sh dev/instruct.sh DATA_FOLDER [FOLDER [TEXT [SEEDS]]]
#
# DATA_FOLDER holds instruction_data.json, alpaca_en_demo.json and tinyshakespeare.txt. The target is the kind of instruction that
# has TEXT in it ["What is the opposite"] in instruction_data.json: 16 of its rows, drawn by each of SEEDS ["0 1 2"]; the others of
# that kind are held out. General data are all other rows of that file and of alpaca_en_demo.json, cut at 160 bytes, of which
# some are held out to see what is forgotten. The base is one byte-level model, pretrained here on tinyshakespeare.txt and
# on the bytes of alpaca_en_demo.json as they stand in the file: small, and no match for a real language model.
#
# Into FOLDER [demo/instruct]. From the repository root, after make; about a quarter of an hour on two cores.
set -eu

data=${1:?"which data? sh dev/instruct.sh DATA_FOLDER"}
out=${2:-demo/instruct}
match=${3:-What is the opposite}
seeds=${4:-0 1 2}
build=${BUILD:-build}
trainer=$build/train_gpt2_drpt
mkdir -p "$out"

# ---------------------------------------------------------------------------------------------

pretrain() {
    cat "$data/tinyshakespeare.txt" "$data/alpaca_en_demo.json" >"$out/base.txt"
    "$build/dev/prep" --input "$out/base.txt" --out "$out/base_train.bin" --val "$out/base_val.bin" --val-fraction 0.02
    "$trainer" --init L4,H4,C128,V257,T160 --general "$out/base_train.bin" --val "$out/base_val.bin" --seq 160 --batch 12 --steps 2500 \
        --lr 2e-3 --warmup 100 --schedule cosine --final-lr 0.1 --weight-decay 0.1 --val-every 500 --val-batches -1 --out "$out/base" --resume 1
}

prepare() { # SEED
    mkdir -p "$out/$1"
    "$build/dev/prep" --input "$data/instruction_data.json" --match "$match" --seq 160 --seed "$1" --take 16 --out "$out/$1/target.bin"
    "$build/dev/prep" --input "$data/instruction_data.json" --match "$match" --seq 160 --seed "$1" --skip 16 --out "$out/$1/held_out.bin"
    "$build/dev/prep" --input "$data/instruction_data.json,$data/alpaca_en_demo.json" --not-match "$match" --drop --seq 160 --seed "$1" \
        --out "$out/$1/general.bin" --val "$out/$1/general_held_out.bin" --val-fraction 0.06
}

posttrain() { # SEED NAME METHOD OPTION...
    run=$out/$1/$2 rows=$out/$1 seed=$1
    shift 2
    "$trainer" --init "$out/base/model_final.bin" --method "$@" --general "$rows/general.bin" --target "$rows/target.bin" \
        --val "$rows/held_out.bin" --val-general "$rows/general_held_out.bin" --batch 24 --target-batch 16 --seed "$seed" \
        --steps 120 --lr 1e-3 --warmup 10 --schedule linear --final-lr 0 --val-every 20 --val-batches -1 --out "$run" >"$run.txt" ||
        { tail -n 1 "$run.txt" >&2; exit 1; }
    echo "$seed,$(basename "$run"),$(awk -F, '
        $2 == "val" { if (first == "") first = best = $3; if ($3 + 0 < best + 0) best = $3; loss = $3; accuracy = $4; exact = $5 }
        $2 == "val_general" { if (base == "") base = $3; general = $3 }
        END { print first "," base "," loss "," best "," accuracy "," exact "," general }' "$run/eval.csv")" | tee -a "$out/results.csv"
}

# ---------------------------------------------------------------------------------------------

[ -f "$out/base/model_final.bin" ] || pretrain
echo 'seed,method,base_loss,base_general_loss,loss,best_loss,accuracy,exact,general_loss' | tee "$out/results.csv"
for seed in $seeds; do
    rm -rf "${out:?}/$seed"
    prepare "$seed" >"$out/prep.txt"
    posttrain "$seed" target target
    posttrain "$seed" full   full
    posttrain "$seed" mix    mix --mix 0.2
    posttrain "$seed" subset subset --keep 0.25 --group layer
    posttrain "$seed" cone   cone --group layer
done

echo
grep ' rows of ' "$out/prep.txt"
awk -F, -v match_text="$match" '
    NR == 1 { next }
    !($2 in n) { order[++methods] = $2 }
    { n[$2]++; for (i = 3; i <= 9; i++) { sum[$2, i] += $i; squares[$2, i] += $i * $i } }
    function mean(m, i) { return sum[m, i] / n[m] }
    function with_error(m, i,    v) {
        v = n[m] > 1 ? (squares[m, i] - sum[m, i] ^ 2 / n[m]) / (n[m] - 1) / n[m] : 0
        return sprintf("%.3f +- %.3f", mean(m, i), sqrt(v > 0 ? v : 0))
    }
    END {
        printf "\n16 rows with \"%s\"; mean +- standard error of %d draws\n\n", match_text, n[order[1]]
        printf "%-14s %16s %7s %9s %7s %16s\n", "method", "held-out loss", "best", "accuracy", "exact", "general loss"
        printf "%-14s %16s %7s %9s %7s %16s\n", "base, before", with_error(order[1], 3), "", "", "", with_error(order[1], 4)
        for (k = 1; k <= methods; k++) {
            m = order[k]
            printf "%-14s %16s %7.3f %7.1f %% %5.1f %% %16s\n", m, with_error(m, 5), mean(m, 6), 100 * mean(m, 7), 100 * mean(m, 8), with_error(m, 9)
        }
        print "\nheld-out loss: nats a byte, after the last step, rows of the same kind; best: the lowest of a run, known to an"
        print "oracle only; accuracy: of bytes; exact: of whole answers, each byte given the right ones before it; general"
        print "loss: held-out rows of other kinds. One learning rate for all methods, nothing was tuned on these rows."
    }' "$out/results.csv" | tee "$out/table.txt"
