#!/bin/sh
# test_prep.sh -- dev/prep from the outside: files for what can be read, one line and no file for what cannot.
set -u
prep=$PWD/${BUILD:-build}/dev/prep
data=$PWD/../shared/data
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

fail() { echo "test_prep.sh: $*"; failed=1; }

# works TEXT ARGUMENTS...: exits with 0 and its output has the text in it
works() {
    want=$1; shift
    "$prep" "$@" > log 2>&1 || { fail "prep $* exits with $?:"; cat log; return; }
    grep -qF -- "$want" log || { fail "prep $* does not say '$want':"; cat log; }
}

# refuses TEXT ARGUMENTS...: exits with 1, says one line with the text in it, and writes nothing
refuses() {
    want=$1; shift
    rm -rf out; mkdir out
    ASAN_OPTIONS=detect_leaks=0 "$prep" "$@" > log 2> errors
    [ $? -eq 1 ] || fail "prep $* should exit with 1"
    [ "$(wc -l < errors)" -eq 1 ] && grep -q '^error: ' errors || { fail "prep $* should say one line:"; cat errors; }
    grep -qF -- "$want" errors || { fail "prep $* does not say '$want':"; cat errors; }
    [ -z "$(ls out)" ] || fail "prep $* leaves behind: $(ls out)"
}

# the numbers of a file: uint16 FILE SKIP COUNT, bytes FILE SKIP COUNT
uint16() { od -An -v -tu2 -j "$2" -N "$3" "$1" | tr -s ' \n' ' '; }
bytes()  { od -An -v -tu1 -j "$2" -N "$3" "$1" | tr -s ' \n' ' '; }
same()   { [ "$2" = "$3" ] || fail "$1 is '$2', should be '$3'"; }

# ---- text

printf 'ab\ncd\nef\ngh\nij\n' > text.txt
works 'train.bin: 15 tokens (bytes) of 15 bytes' --input text.txt --out train.bin
same "the shard's header" "$(od -An -v -td4 -N 12 train.bin | tr -s ' ')" " 20240520 1 15"
same "the shard's tokens" "$(uint16 train.bin 1024 99)" " 97 98 10 99 100 10 101 102 10 103 104 10 105 106 10 "
same "the shard's size" "$(wc -c < train.bin)" 1054

works 'val.bin: 6 tokens' --input text.txt --out train.bin --val val.bin --val-fraction 0.4
same "what is trained on" "$(uint16 train.bin 1024 99)" " 97 98 10 99 100 10 101 102 10 "
same "what is held out" "$(uint16 val.bin 1024 99)" " 103 104 10 105 106 10 "

printf 'x\303\251\303\251\303\251y' > accents.txt # no line to begin at: the cut must not split a character
works 'val.bin: 5 tokens' --input accents.txt --out train.bin --val val.bin --val-fraction 0.5
same "the end with its first character whole" "$(uint16 val.bin 1024 99)" " 195 169 195 169 121 "

works 'train.bin: 24 tokens' --input text.txt,accents.txt --out train.bin
same "the end of text between two files" "$(uint16 train.bin 1054 2)" " 256 "

# ---- records

cat > rows.jsonl <<'END'
{"prompt": "1+1=", "completion": "2"}
{"prompt": "ten", "completion": "zehn"}

{"prompt": "2+2=", "completion": "4"}
{"prompt": "nine", "completion": "neun"}
END
works '4 rows of 8 tokens (bytes), 14 trained tokens, 0 rows cut' --input rows.jsonl --seq 8 --shuffle 0 --out rows.bin
grep -qF '1+1=[[2<|endoftext|>]]' log || { fail "the first row is not shown:"; cat log; }
grep -qF 'and 3 tokens of padding' log || { fail "padding is not counted:"; cat log; }
same "the examples' header" "$(od -An -v -td4 -N 28 rows.bin | tr -s ' \n' ' ')" " 20260507 1 4 8 257 0 0 "
same "the first rows" "$(uint16 rows.bin 1024 36)" " 49 43 49 61 50 256 256 256 256 116 101 110 122 101 104 110 256 256 "
same "their masks" "$(bytes rows.bin 1096 16)" " 0 0 0 1 1 0 0 0 0 0 1 1 1 1 1 0 "
same "the examples' size" "$(wc -c < rows.bin)" $((1024 + 4 * 9 * 2 + 4 * 8))

works '4 rows of 5 tokens (bytes), 9 trained tokens, 2 rows cut at --seq' --input rows.jsonl --seq 5 --out rows.bin
works '2 rows of 8' --input rows.jsonl --seq 8 --match = --out math.bin
works 'left out: 2 by --match' --input rows.jsonl --seq 8 --not-match = --out words.bin
works '1 rows of 8' --input rows.jsonl --seq 8 --match n --not-match nine --out words.bin
works 'val.bin: 1 rows' --input rows.jsonl,rows.jsonl --seq 8 --out rows.bin --val val.bin

# --take and --skip with one seed part the records; another seed parts them otherwise
works '3 rows' --input rows.jsonl --seq 8 --skip 1 --out rest.bin
works '1 rows' --input rows.jsonl --seq 8 --take 1 --out first.bin
cat > all.txt <<END
$(uint16 first.bin 1024 18)
$(uint16 rest.bin 1024 18)
$(uint16 rest.bin 1042 18)
$(uint16 rest.bin 1060 18)
END
same "different rows of all parts" "$(sort -u all.txt | wc -l)" 4
works '4 rows' --input rows.jsonl --seq 8 --seed 1 --out a.bin
works '4 rows' --input rows.jsonl --seq 8 --seed 1 --out b.bin
works '4 rows' --input rows.jsonl --seq 8 --seed 3 --out c.bin
cmp -s a.bin b.bin || fail "one seed makes two files"
cmp -s a.bin c.bin && fail "two seeds make one file"

cat > empty.json <<'END'
[{"instruction": "a", "output": "b"},
 {"instruction": "a", "output": ""},
 {"instruction": "a very long question that does not fit into the row that it should stand in, far from it", "output": "b"}]
END
works '1 rows of 64' --input empty.json --seq 64 --drop --out rows.bin
works '2 without anything to train on' --input empty.json --seq 64 --drop --out rows.bin
refuses 'empty.json: record 2 (line 2): has nothing to train on, its answer' --input empty.json --seq 64 --out out/x
sed 2d empty.json > long.json
refuses 'long.json: record 2 (line 2): has nothing to train on in its part within --seq' --input long.json --seq 64 --out out/x

# prompts: what a response is compared with is masked, without an end; the prompt is whole and has room for a response, the answer is whole
cat > worked.jsonl <<'END'
{"prompt": "1+1=", "completion": "one and one\n#### 2"}
{"prompt": "2+3=", "completion": 5.0}
{"prompt": "abcde", "completion": "x"}
{"prompt": "abcdef", "completion": "x"}
{"prompt": "abcdefg", "completion": ""}
{"prompt": "a", "completion": "bcdefghi"}
{"prompt": "b", "completion": "#### bcdefgh"}
END
works '5 prompts of 7 tokens (bytes), 11 tokens of answers' --input worked.jsonl --prompts 1 --seq 7 --shuffle 0 --drop --out prompts.bin
grep -qF '5 prompts; left out: 0 by --match or --not-match, 2 too long' log || { fail "prompts that are too long are not counted:"; cat log; }
grep -qF '1+1=[[2]]' log && grep -qF 'with [[the answer]]' log || { fail "the first prompt is not shown:"; cat log; }
same "rows, length, vocabulary and kind" "$(od -An -v -td4 -j 8 -N 16 prompts.bin | tr -s ' \n' ' ')" ' 5 7 257 2 '
same "tokens of prompts" "$(uint16 prompts.bin 1024 48)" ' 49 43 49 61 50 256 256 256 50 43 51 61 53 256 256 256 97 98 99 100 101 120 256 256 '
same "masks of prompts" "$(bytes prompts.bin 1104 35)" ' 0 0 0 1 0 0 0 0 0 0 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 1 0 1 1 1 1 1 1 1 '
head -n 5 worked.jsonl > wide.jsonl
head -n 6 worked.jsonl | tail -n 1 > deep.jsonl
refuses 'wide.jsonl: record 5 (line 5): its prompt leaves no room for a response' --input wide.jsonl --prompts 1 --seq 7 --out out/x
refuses 'deep.jsonl: record 1 (line 1): its prompt and answer are longer' --input deep.jsonl --prompts 1 --seq 7 --out out/x

# ---- what is refused

printf '{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": "b"\n' > broken.jsonl
printf '{"prompt": "a", "completion": "b"}\n{"prompt": "\377", "completion": "b"}\n' > latin.jsonl
printf 'ab\nc\377d\n' > latin.txt
printf '{"prompt": "a", "chosen": "b", "rejected": "c"}\n' > pairs.jsonl
: > nothing.txt
refuses 'broken.jsonl: line 3, column 1: expected' --input broken.jsonl --out out/x
refuses 'latin.jsonl: line 2, column 13: is not UTF-8' --input latin.jsonl --out out/x
# a pair is two rows with the same beginning: a, then b or cd and the end of text
printf '{"prompt": "a", "chosen": "b", "rejected": "cd"}\n{"prompt": "e", "chosen": "f", "rejected": "g"}\n' > two.jsonl
works '2 prompts of 3 tokens (bytes), 0 tokens of answers' --input two.jsonl --prompts 1 --seq 3 --out pairs.bin
works '2 pairs of 3 tokens' --input two.jsonl --shuffle 0 --seq 3 --out pairs.bin
same "rows, length, vocabulary and kind" "$(od -An -v -td4 -j 8 -N 16 pairs.bin | tr -s ' \n' ' ')" ' 4 3 257 1 '
same "tokens of pairs" "$(uint16 pairs.bin 1024 32)" ' 97 98 256 256 97 99 100 256 101 102 256 256 101 103 256 256 '
same "masks of pairs" "$(bytes pairs.bin 1056 12)" ' 1 1 0 1 1 1 1 1 0 1 1 0 '
works '1 pairs of 3 tokens' --input two.jsonl --shuffle 0 --seq 3 --skip 1 --out pairs.bin
same "the second pair" "$(uint16 pairs.bin 1024 16)" ' 101 102 256 256 101 103 256 256 '
printf '{"prompt": "a", "chosen": "b", "rejected": ""}\n' > empty_pair.jsonl
refuses 'has nothing to train on' --input empty_pair.jsonl --out out/x
sed 's/, "rejected": "c"//' pairs.jsonl > half.jsonl
cat rows.jsonl pairs.jsonl > mixed.jsonl
printf '{"messages": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"}\n' > chat_pairs.jsonl
refuses 'half.jsonl: record 1 (line 1): there is no rejected' --input half.jsonl --out out/x
refuses 'a preference pair, unlike the records before it' --input mixed.jsonl --out out/x
refuses 'give what comes before the answers as its prompt' --input chat_pairs.jsonl --out out/x
refuses 'too few to train on' --input nothing.txt --out out/x
refuses 'nothing is left to hold out' --input text.txt --out out/x --val out/y --val-fraction 0.01
printf '{"text": "a"}\n' > unknown.jsonl
refuses 'has none of the keys' --input unknown.jsonl --out out/x
refuses 'no rows are left' --input rows.jsonl --match nowhere --out out/x
refuses 'only 2 rows after --skip' --input rows.jsonl --skip 2 --take 3 --out out/x
refuses 'leaves one of the files empty' --input rows.jsonl --out out/x --val out/y
refuses 'text and records' --input rows.jsonl,text.txt --out out/x
refuses 'between the commas is empty' --input text.txt,,text.txt --out out/x
refuses 'but the input is text' --input text.txt --take 3 --out out/x
refuses 'but the input is text' --input text.txt --prompts 1 --out out/x
refuses 'missing.txt: cannot be read' --input missing.txt --out out/x
refuses 'missing/x: cannot be written' --input text.txt --out missing/x
refuses 'missing/x: cannot be written' --input text.txt --out out/y --val missing/x
refuses 'is an input' --input text.txt --out text.txt
refuses 'are the same file' --input text.txt --out out/x --val out/x
refuses 'needs --val' --input text.txt --out out/x --val-fraction 0.1
refuses 'give --out' --input text.txt
refuses 'give --out' --out out/x
refuses 'give --out' --out out/x --input text.txt --encoder e.json
refuses '--seq 0' --input rows.jsonl --seq 0 --out out/x
refuses 'is no tokenizer' --input text.txt --tokenizer train.bin --out out/x
same "the text after all that" "$(cat text.txt | tr '\n' ' ')" 'ab cd ef gh ij '

# ---- tokenizers

# all 256 bytes as encoder.json shows them, "ab", and the end of text
awk 'BEGIN {
    printf "{";
    for (b = 0; b < 256; b++) {
        shown = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        printf "\"\\u%04x\": %d, ", shown ? b : 256 + hidden++, b;
    }
    print "\"ab\": 256, \"<|endoftext|>\": 257}"
}' > encoder.json
works 'small.bin: 258 tokens' --encoder encoder.json --out small.bin
same "the tokenizer's header" "$(od -An -v -td4 -N 16 small.bin | tr -s ' \n' ' ')" " 20240328 2 258 257 "
same "the bytes of the first tokens" "$(bytes small.bin 1024 6)" " 1 0 1 1 1 2 "
same "a byte that is not shown" "$(bytes small.bin $((1024 + 2 * 173)) 2)" " 1 173 "
works 'train.bin: 14 tokens (small.bin) of 15 bytes' --input text.txt --tokenizer small.bin --out train.bin
same "its first tokens" "$(uint16 train.bin 1024 6)" " 256 10 99 "
works '(small.bin), 14 trained' --input rows.jsonl --tokenizer small.bin --seq 8 --out rows.bin
same "vocabulary, kind and tokenizer" "$(od -An -v -td4 -j 16 -N 12 rows.bin | tr -s ' \n' ' ')" " 258 0 1 "
refuses 'latin.txt: line 2, column 2: is not UTF-8' --input latin.txt --tokenizer small.bin --out out/x
works 'train.bin: 7 tokens' --input latin.txt --out train.bin # bytes may be any

refuses 'is not one object' --encoder rows.jsonl --out out/x
for fault in 's/"ab": 256/"ab": 255/ the id 255 is given twice' 's/"ab": 256/"ab": 256.5/ a whole number' 's/"ab": 256/"ab": 300/ a whole number from 0 to 257' \
             's/"ab"/"a€"/ U+20AC, which stands for no byte' 's/"ab"/""/ token 256 is empty' 's/<|end/<end/ has no token <|endoftext|>'; do
    sed "${fault%%/ *}/" encoder.json > faulty.json
    refuses "${fault#*/ }" --encoder faulty.json --out out/x
done

# ---- on real data

if [ -d "$data" ]; then
    works 'gpt2.bin: 50257 tokens' --encoder "$data/gpt2_bpe/encoder.json" --out gpt2.bin
    same "the size of llm.c's tokenizer file" "$(wc -c < gpt2.bin)" 372108
    works 'train.bin: 1003856 tokens' --input "$data/tinyshakespeare.txt" --out train.bin --val val.bin
    works 'train.bin: 338025 tokens (gpt2.bin)' --input "$data/tinyshakespeare.txt" --tokenizer gpt2.bin --out train.bin
    works '16 rows of 192 tokens' --input "$data/instruction_data.json" --match synonym --take 16 --seq 192 --out t.bin
    works '1036 rows of 256' --input "$data/instruction_data.json" --not-match synonym --seq 256 --out t.bin
    works '7473 rows of 320' --input "$data/gsm8k_train.jsonl" --tokenizer gpt2.bin --seq 320 --out t.bin
    works '990 pairs of 384' --input "$data/instruction_preference.json" --seq 384 --drop --out t.bin --val v.bin
    same "rows and kind" "$(od -An -v -td4 -j 8 -N 16 v.bin | tr -s ' \n' ' ')" ' 220 384 257 1 '
    works '7473 prompts of 320' --input "$data/gsm8k_train.jsonl" --prompts 1 --tokenizer gpt2.bin --seq 320 --out t.bin
    works '1000 prompts of 384' --input "$data/svamp.json" --prompts 1 --seq 384 --out t.bin
    works '1000 rows of 384' --input "$data/svamp.json" --seq 384 --out t.bin
    works '1100 prompts of 384' --input "$data/instruction_preference.json" --prompts 1 --seq 384 --drop --out t.bin
else
    echo "skipped: real data, $data is not there"
fi

[ $failed -eq 0 ] && echo "test_prep.sh ok"
exit $failed
