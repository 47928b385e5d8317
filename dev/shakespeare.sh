#!/bin/sh
# shakespeare.sh -- trains a byte-level GPT-2 from nothing on a text, and lets it write.
#
#     sh dev/shakespeare.sh PATH/tinyshakespeare.txt [FOLDER]
#
# Into FOLDER [demo/shakespeare]. From the repository root, after make; minutes on two cores. Any other text will do as well.
set -eu

text=${1:?"which text? sh dev/shakespeare.sh PATH/tinyshakespeare.txt"}
out=${2:-demo/shakespeare}
build=${BUILD:-build}
mkdir -p "$out"

# The last tenth of the text is held out.
"$build/dev/prep" --input "$text" --out "$out/train.bin" --val "$out/val.bin" --val-fraction 0.1

"$build/train_gpt2_drpt" --init L4,H4,C128,V257,T128 --general "$out/train.bin" --val "$out/val.bin" --seq 128 --batch 16 \
    --steps 2000 --lr 2e-3 --warmup 100 --schedule cosine --final-lr 0.1 --weight-decay 0.1 --val-every 250 --val-batches -1 --out "$out/model"

awk -F, 'NR > 1 { loss = $3; accuracy = $4 }
    END { printf "\nheld-out loss: %.3f nats a byte (%.2f bits); %.0f %% of the bytes are the likeliest\n\n", loss, loss / log(2), 100 * accuracy }' "$out/model/eval.csv"
"$build/train_gpt2_drpt" --init "$out/model/model_final.bin" --generate 'ROMEO:
' --sample-tokens 600 --temperature 0.8 | tee "$out/sample.txt"
