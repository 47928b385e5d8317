#!/bin/sh
# test_ngram.sh -- the program around the exactly solvable world: what it writes, twice the same, and what it refuses.
set -eu
program=${BUILD:-build}/dev/ngram
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "test_ngram.sh: $1"; exit 1; }

cat >"$tmp/variants" <<'END'
target | --method target
full | --method full
cone global | --method cone --group global
auto | --method span --ridge 0.1 --strength auto
inside | --method inside --rank 2 --refresh 5
END
run() { # FOLDER OPTION...
    out=$1; shift
    "$program" --out "$tmp/$out" --variants "$tmp/variants" --seed 3 --draws 3 --draw-batches 2 --batch 8 --seq 8 --at 0,4 --rows 4,inf --steps 40 \
        --rates 0.1,0.4 --val-rows 32 "$@" >"$tmp/log" 2>&1
}
run a && run b || fail "$(cat "$tmp/log")"
diff -r "$tmp/a" "$tmp/b" || fail "the same seed, other bits"
for f in ngram.txt curves.csv probe_0/probe.csv probe_4/replicates.csv probe_4/scores.csv; do [ -s "$tmp/a/$f" ] || fail "no $f"; done
[ "$(head -n 1 "$tmp/a/curves.csv")" = "name,m,seed,step,test,train,general,lr" ] || fail "the columns of curves.csv"
[ "$(wc -l <"$tmp/a/curves.csv")" -eq $((1 + 5 * 2 * 5)) ] || fail "curves.csv should have every label, size and point"

# The true gradient has no other loss than the exact one, whatever its rows; with rows it is fitted better than what it stands for.
awk -F, 'NR > 1 && $2 == "inf" && $5 != $6 { exit 1 }' "$tmp/a/curves.csv" || fail "m = inf: train is not test"
awk -F, '$1 == "target" && $4 == 40 { loss[$2] = $5; if ($2 == 4 && $6 >= $5) { exit 1 } } END { exit loss["inf"] >= loss[4] }' "$tmp/a/curves.csv" ||
    fail "target: more rows should be better, and 4 rows be fitted"
awk -F, '$1 == "target" { t = $0 } $1 == "auto" && $2 == "inf" { n++; sub("auto", "target"); if (index(seen, $0)) { m++ } } { seen = seen "\n" $0 } END { exit n != m }' \
    "$tmp/a/curves.csv" || fail "auto: with the true gradient it is the target"

run c --train "cone global" --at none && [ ! -e "$tmp/c/probe_0" ] && [ "$(cut -d, -f1 "$tmp/c/curves.csv" | sort -u | grep -vc name)" -eq 1 ] || fail "--train"
grep "^cone global" "$tmp/a/curves.csv" >"$tmp/alone"; tail -n +2 "$tmp/c/curves.csv" | cmp - "$tmp/alone" || fail "a label alone trains as among others"
# The probe along a training run looks at the same base, and then elsewhere.
run e --train none --along "cone global"
cmp -s "$tmp/a/probe_0/probe.csv" "$tmp/e/probe_0/probe.csv" || fail "--along: another base"
cmp -s "$tmp/a/probe_4/probe.csv" "$tmp/e/probe_4/probe.csv" && fail "--along: the same descent"
run d --along nothing && fail "--along an unknown label"
run d --train nothing && fail "an unknown label"
grep -q "error: --train nothing" "$tmp/log" || fail "$(cat "$tmp/log")"
run d --seq 7 && fail "inf with a --seq that does not divide"
run d --at 4,0 && fail "--at that descends"
run d --rows 0 && fail "no rows"
echo "test_ngram.sh ok"
