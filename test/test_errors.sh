#!/bin/sh
# test_errors.sh -- whatever is wrong with files, folders or options: one line, "error: ...", exit code 1, and nothing half-written.
# Broken bytes at random are test_fuzz.c's.
set -u
trainer=$PWD/${BUILD:-build}/train_gpt2_drpt
fixtures=$PWD/test/fixtures
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
cp "$fixtures/model.bin" "$fixtures/examples.bin" .
failed=0

fail() { echo "test_errors.sh: $*"; failed=1; }

# ended STATUS TEXT: the run in out.txt and errors.txt has died of that
ended() {
    [ "$1" -eq 1 ] || fail "$run should exit with 1, not $1"
    [ "$(wc -l < errors.txt)" -eq 1 ] && grep -q '^error: ' errors.txt || { fail "$run should say one line:"; head -5 errors.txt; }
    grep -qF -- "$2" errors.txt || { fail "$run does not say '$2':"; cat errors.txt; }
    [ -z "$(find . -name '*.tmp')" ] || { fail "$run leaves behind $(find . -name '*.tmp')"; find . -name '*.tmp' -exec rm {} +; }
}

# refuses TEXT ARGUMENTS...
refuses() {
    want=$1; shift
    run="train $*"
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 "$trainer" "$@" > out.txt 2> all.txt
    status=$?
    grep -v 'AddressSanitizer failed to allocate' all.txt > errors.txt
    ended $status "$want"
}

works() { "$trainer" "$@" > out.txt 2> errors.txt || { fail "train $* exits with $?:"; cat errors.txt; }; }

# little-endian bytes of a 32-bit number, as an octal format of printf; put FILE ENTRY NUMBER: into its header
le() { printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
put() { printf "$(le "$3")" | dd of="$1" bs=4 seek="$2" conv=notrunc 2> /dev/null; }
patched() { cp "$1" patched.bin; put patched.bin "$2" "$3"; }

good="--init model.bin --general examples.bin --batch 2 --steps 2"
works $good --out run --save-every 1

# ---- model files

refuses 'cannot be read' --init missing.bin --general examples.bin
refuses 'not a regular file' --init run --general examples.bin
refuses 'not a GPT-2 checkpoint' --init examples.bin --general examples.bin
for bytes in 0 100 1023 1024 1028 17820 17823; do
    head -c $bytes model.bin > cut.bin
    refuses 'cut.bin' --init cut.bin --general examples.bin
done
{ cat model.bin; echo; } > long.bin
refuses 'has 17825 bytes, its header asks for 17824' --init long.bin --general examples.bin
while read -r entry value want; do
    patched model.bin "$entry" "$value"
    refuses "$want" --init patched.bin --general examples.bin
done << 'END'
0 20240327 not a GPT-2 checkpoint
1 1 version 1
1 4 version 4
1 5 its header asks for
2 0 not positive
2 -1 not positive
2 2147483647 too large
3 2147483647 vocabulary
3 0 not positive
4 1000000 too large
4 1024 its header asks for
5 5 cannot be shared by 5 heads
5 -3 not positive
6 1048572 its header asks for
6 2147483644 too large
7 16 padded vocabulary
7 2147483647 padded vocabulary
END
patched model.bin 300 2143289344 # 0x7fc00000, not a number
for what in "--general examples.bin" "--val examples.bin --steps 0"; do refuses 'patched.bin' --init patched.bin $what --out never; done
patched model.bin 300 2139095040 # 0x7f800000, infinity
refuses 'patched.bin' --init patched.bin --general examples.bin --out never
patched model.bin 1576 2130706432 # 0x7f000000, 1.7e38, as a bias of the queries and of the keys: finite, but not what comes of it
put patched.bin 1588 2130706432
for what in '--general examples.bin --steps 1' '--val examples.bin --steps 0'; do refuses 'finite' --init patched.bin --batch 5 $what --out broken_model; done
[ ! -e broken_model/model_final.bin ] || fail "a broken model was written"

# ---- data files

refuses 'cannot be read' --init model.bin --general missing.bin
refuses 'cannot be read' --init model.bin --general 'no*match.bin'
refuses 'is a GPT-2 checkpoint' --init model.bin --general model.bin
refuses 'is an optimizer state' --init model.bin --general run/state_00000001_00000.bin
for bytes in 0 1023 1024 1168; do
    head -c $bytes examples.bin > cut.bin
    for option in --general --target --val --val-general; do refuses 'cut.bin' --init model.bin --general examples.bin $option cut.bin; done
done
{ cat examples.bin; echo; } > long.bin
refuses 'is it complete' --init model.bin --general long.bin
while read -r entry value want; do
    patched examples.bin "$entry" "$value"
    refuses "$want" --init model.bin --general patched.bin
done << 'END'
0 20260508 no known magic number
1 2 version 2
2 0 rows
2 6 is it complete
2 2147483647 is it complete
2 -5 rows
3 8 is it complete
3 2147483647 is it complete
4 13 token 13 is not below
4 18 made with a vocabulary of 18, the model has 17
4 65537 vocabulary
4 0 vocabulary
5 1 not pairs
5 2 holds prompts, but --objective sft needs examples
5 7 unknown kind
6 9 unknown tokenizer
7 1 header entry 7
256 1114129 token 17
END
{ printf "$(le 20240520)$(le 1)$(le 21)"; head -c 1012 /dev/zero; head -c 40 /dev/zero; printf '\021\000'; } > shard.bin
refuses 'token 17 is not below' --init model.bin --general shard.bin --seq 4 --batch 5 --steps 1
refuses 'needs 22' --init model.bin --general shard.bin --seq 21
refuses "model's context of 11" --init model.bin --general shard.bin --seq 12
refuses 'must be alike' --init model.bin --general '[es][xh]a*.bin'
refuses 'rows of 9 tokens' --init model.bin --general examples.bin --seq 8

# ---- the state of a run

cp -r run broken
for bytes in 0 1024 34623; do
    head -c $bytes run/state_00000002_00000.bin > broken/state_00000002_00000.bin
    refuses 'state_00000002' $good --out broken --resume 1
done
while read -r entry value want; do
    cp run/state_00000002_00000.bin broken/
    put broken/state_00000002_00000.bin "$entry" "$value"
    refuses "$want" $good --out broken --resume 1
done << 'END'
0 1 not a state file
1 2 not a state file
10 1 holds step 1
10 -1 step -1
32 1000 cannot continue at row 1000
33 1 cannot continue at row
40 9 rows
44 3 --batch
49 3 3 steps without an update, of 2
49 -1 -1 steps without an update
END
rm broken/state_00000002_00000.bin
refuses 'cannot be read' $good --out broken --resume 1
cp run/state_00000002_00000.bin broken/
head -c 2000 model.bin > broken/model_00000002.bin
refuses 'model_00000002.bin' $good --out broken --resume 1
cmp run/model_final.bin broken/model_final.bin || fail "a refused run has changed model_final.bin"

# ---- folders and disks. A file where a folder should be stands for what may not be written to, since root may do all;
# a limit on the size of files stands for a full disk.

refuses 'examples.bin' $good --out examples.bin
refuses 'examples.bin' $good --out examples.bin/run
refuses 'cannot be written' $good --dump-update missing/update.bin
mkdir -p taken/model_final.bin/taken taken2/log.csv
refuses 'model_final.bin' $good --out taken
refuses 'log.csv' $good --out taken2
cp -r run full
for what in "--out full2 --save-every 1" "--out full --resume 1" "--dump-update update.bin"; do
    run="train $what on a full disk"
    (trap '' XFSZ; ulimit -f 8; ASAN_OPTIONS=detect_leaks=0 exec "$trainer" $good $what > out.txt 2> errors.txt)
    ended $? 'writing failed'
done
cmp run/model_final.bin full/model_final.bin || fail "a full disk has changed model_final.bin"
[ ! -e update.bin ] && [ ! -e full2/DONE_00000001 ] || fail "a full disk holds half a file"

# ---- options

refuses "'bogus' is not an option" bogus
refuses '--bogus' $good --bogus 3
refuses '--batch' $good --batch
for value in 0 -1 1.5 x 1x '' 65537 1e400 nan; do refuses '--batch' --init model.bin --general examples.bin --batch "$value"; done
for value in -1e-9 inf nan 1e4 0x; do refuses '--lr' $good --lr "$value"; done
for value in 1 -0.1; do refuses '--beta1' $good --beta1 "$value"; done
refuses '--eps' $good --eps 0
refuses '--seed' $good --seed 2147483648
refuses '--method' $good --target examples.bin --method subse
refuses '--group' $good --group all
refuses '--keep' $good --target examples.bin --keep 1.5
refuses '--schedule' $good --schedule ''
refuses '--strength' $good --target examples.bin --strength half
refuses '--strength' $good --target examples.bin --method full --strength 0.5
refuses '--target-batch' $good --target examples.bin --method cone --strength auto
refuses '--rescale' $good --rescale ray
refuses '--tau' $good --target examples.bin --method cone --tau 0
refuses '--optimizer' $good --target examples.bin --metric adam --optimizer sgd
refuses '--metric' $good --target examples.bin --method cone --metric adam
refuses '--normalise' $good --target examples.bin --method cone --normalise 1
refuses '--group' $good --target examples.bin --method inside --group block
refuses '--rank' $good --target examples.bin --method inside --rank 0
refuses '--score' $good --target examples.bin --score fast
refuses 'cannot be read' --config missing.txt
printf 'batch 3\nno-such-option 4\n' > config.txt
refuses 'config.txt:2' --config config.txt
printf 'batch three\n' > config.txt
refuses '--batch' --config config.txt
while read -r want sizes; do refuses "$want" --init "$sizes" --general examples.bin; done << 'END'
channels L2,H5,C12,V17,T9
needs L2,H2,C12,V17
twice L2,L2,H2,C12,V17,T9
positive L2,H2,C0,V17,T9
positive L99999999999,H2,C12,V17,T9
large L2,H2,C1048578,V17,T9
large L1025,H1,C1,V17,T9
16 L1,H1,C1,V65537,T9
depth d13
cannot L2;H2
END
refuses 'out of memory' --init L1024,H1,C1048576,V65536,T1048576 --general examples.bin # 200 PiB

# ---- options that contradict each other, or the data

refuses '--init is missing' --general examples.bin
refuses 'no data' --init model.bin
refuses 'no data' --init model.bin --val examples.bin --steps 1
refuses '--target' $good --method subset
refuses '--general' --init model.bin --target examples.bin --method cone
refuses '--general' --init model.bin --target examples.bin
refuses '--out' $good --resume 1
refuses '--out' $good --save-every 1
refuses '--out' $good --target examples.bin --log-geometry 1
refuses '--target' $good --out never --log-geometry 1
refuses '--recompute' $good --target examples.bin --group global --recompute 1
refuses '--dump-update' $good --steps 0 --dump-update update.bin
refuses 'holds checkpoints' $good --out run
refuses 'beyond --steps 1' $good --out run --resume 1 --steps 1
refuses '--tokenizer' $good --sample-every 1
refuses '--tokenizer' --init model.bin --generate x
refuses 'has 257 tokens, the model 17' --init model.bin --generate x --tokenizer bytes
refuses 'model.bin' --init model.bin --generate x --tokenizer model.bin
[ ! -e never ] || [ -z "$(ls never)" ] || fail "a refused run leaves $(ls never)"

exit $failed
