#!/bin/sh
# test_demo.sh -- the demo's scripts, on runs far too short to learn anything: what is run, kept, stopped and reported.
set -u
build=${BUILD:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/test demo XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() { echo "test_demo.sh: $*"; failed=1; }
demo() { BUILD=$build sh dev/demo.sh --seeds 3 --base-steps 12 --steps 6 --jobs 2 "$@" >"$work/out.txt" 2>"$work/errors.txt"; }
expect() { grep -qF -- "$1" "$2" || { fail "no '$1' in"; cat "$2"; }; } # TEXT FILE

# A whole demo: every run is in results.csv, with what its eval.csv says.
demo --out "$work/a" || { fail "ends with $?"; cat "$work/errors.txt"; }
expect '9 runs, 0 of them finished before' "$work/out.txt"
[ "$(wc -l <"$work/a/results.csv")" -eq 9 ] || fail "results.csv should have a header and 8 rows"
for row in $(sed 1d "$work/a/results.csv" | tr ' ' _); do
    folder=$(echo "$row" | cut -d , -f 27) loss=$(echo "$row" | cut -d , -f 11,12,13)
    expect "6,val,$loss" "$work/a/$folder/eval.csv"
    [ "$(echo "$row" | cut -d , -f 28)" = 1 ] || fail "$folder should count"
done
[ "$(grep -c '^| .* |$' "$work/a/report.md")" -eq 17 ] || { fail "the tables of report.md should have 11 and 6 rows"; cat "$work/a/report.md"; }
expect '| target, stopped at its best (oracle) |' "$work/a/report.md"

# Started again it repeats nothing; a run that is not whole, it alone; and the results are the same.
cp "$work/a/results.csv" "$work/before.csv"
demo --out "$work/a" || fail "ends with $? the second time"
expect '9 runs, 9 of them finished before' "$work/out.txt"
cmp -s "$work/before.csv" "$work/a/results.csv" || fail "results.csv changed although nothing was run"
rm "$work/a/seed3/m16/cone-layer-lr6e-3/finished"
demo --out "$work/a" || fail "ends with $? the third time"
expect '9 runs, 8 of them finished before' "$work/out.txt"
cmp -s "$work/before.csv" "$work/a/results.csv" || fail "a repeated run came out differently"

# A loss that is no number is shown, and is not the best.
awk -F, -v OFS=, '$1 == "cone-layer" { $11 = "nan" } { print }' "$work/before.csv" >"$work/nan.csv"
awk -f dev/sweep/demo.awk "$work/nan.csv" >"$work/table.txt"
grep -q '^cone by layer  *6e-3  *nan ' "$work/table.txt" || { fail "nan should be shown:"; cat "$work/table.txt"; }
grep -q '^cone by layer  *0/1  *0/1' "$work/table.txt" || fail "nan should be below nothing"

# Stopped, it leaves nothing running and says so with its exit status.
BUILD=$build sh dev/demo.sh --seeds 3 --base-steps 100000 --out "$work/b" >"$work/out.txt" 2>"$work/errors.txt" &
demo=$!
tries=0
until [ -s "$work/b/seed3/base/log.csv" ] || [ $((tries += 1)) -gt 300 ]; do sleep 0.1; done
kill "$demo"
wait "$demo"
[ $? -eq 130 ] || fail "stopped, it should exit with 130"
expect 'stopped; ' "$work/errors.txt"
lines=$(wc -l <"$work/b/seed3/base/log.csv")
sleep 0.3
[ "$lines" -eq "$(wc -l <"$work/b/seed3/base/log.csv")" ] || fail "stopped, it left a trainer running"

# A trainer that fails ends it, in one line.
mkdir -p "$work/broken/dev"
cp "$build/dev/tasks" "$work/broken/dev/"
printf '#!/bin/sh\ncase "$*" in *--out*) echo "error: broken on purpose" ;; *) echo "error: --init is missing" ;; esac >&2\nexit 1\n' >"$work/broken/train_gpt2_drpt"
chmod +x "$work/broken/train_gpt2_drpt"
build=$work/broken
if demo --out "$work/c"; then fail "should fail with its trainer"; fi
[ "$(cat "$work/errors.txt")" = "error: $work/c/seed3/base did not finish: error: broken on purpose" ] || { fail "should say why:"; cat "$work/errors.txt"; }

# The same of preference pairs.
build=${BUILD:-build}
BUILD=$build sh dev/demo_rlhf.sh --seeds 3 --base-steps 12 --steps 6 --jobs 2 --out "$work/d" >"$work/out.txt" 2>"$work/errors.txt" || { fail "demo_rlhf.sh ends with $?"; cat "$work/errors.txt"; }
expect '8 runs, 0 of them finished before' "$work/out.txt"
[ "$(wc -l <"$work/d/results.csv")" -eq 8 ] || fail "results.csv of pairs should have a header and 7 rows"
for row in $(sed 1d "$work/d/results.csv" | tr ' ' _); do
    folder=$(echo "$row" | cut -d , -f 27)
    expect "6,val,$(echo "$row" | cut -d , -f 11,12)," "$work/d/$folder/eval.csv"
    [ -z "$(echo "$row" | cut -d , -f 13)" ] || fail "$folder: pairs have no exact matches"
    [ -n "$(echo "$row" | cut -d , -f 22)" ] || fail "$folder: should be judged on val.bin too"
done
[ "$(grep -c '^| .* |$' "$work/d/report.md")" -eq 13 ] || { fail "the tables of the report on pairs should have 8 and 5 rows"; cat "$work/d/report.md"; }

# The same of prompts: rewards at the end are those of eval.csv, and a table has a row for the base and for each method.
prompts() { # SCRIPT FOLDER
    BUILD=$build sh "dev/$1" --seeds 3 --base-steps 12 --steps 4 --jobs 2 --out "$2" >"$work/out.txt" 2>"$work/errors.txt" || { fail "$1 ends with $?"; cat "$work/errors.txt"; }
    for row in $(sed 1d "$2/results.csv" | tr ' ' _); do
        folder=$(echo "$row" | cut -d , -f 19)
        expect "4,val,$(echo "$row" | cut -d , -f 9,10)," "$2/$folder/eval.csv"
        expect "$(echo "$row" | cut -d , -f 1),3,4,$(echo "$row" | cut -d , -f 9,10,16,17)" "$2/curves.csv" # the steps since the first evaluation are all
    done
    [ "$(wc -l <"$2/curves.csv")" -eq $((2 * $(wc -l <"$2/results.csv") - 1)) ] || fail "curves.csv should have a header and 2 rows a run"
}
prompts demo_rlvr.sh "$work/e"
expect '9 runs, 0 of them finished before' "$work/out.txt"
[ "$(wc -l <"$work/e/results.csv")" -eq 9 ] || fail "results.csv of sums should have a header and 8 rows"
[ "$(grep -c '^| .* |$' "$work/e/report.md")" -eq 16 ] || { fail "the tables of the report on sums should have 10 and 6 rows"; cat "$work/e/report.md"; }
prompts demo_ppo.sh "$work/f"
expect '7 runs, 0 of them finished before' "$work/out.txt"
[ "$(wc -l <"$work/f/results.csv")" -eq 6 ] || fail "results.csv of letters should have a header and 5 rows"
[ "$(cut -d , -f 18 "$work/f/results.csv" | sed 1d | sort -u)" = "$(tail -n 1 "$work/f/seed3/reward/eval.csv" | cut -d , -f 4)" ] || fail "the reward's accuracy should be that of its eval.csv"
for row in $(sed 1d "$work/f/results.csv" | cut -d , -f 16,19); do # the mean of all four rounds
    expected=$(awk -F, 'NR > 1 && $12 != "" { sum += $12; n++ } END { printf "%.6g", sum / n }' "$work/f/${row#*,}/log.csv")
    [ "${row%%,*}" = "$expected" ] || fail "$row: the sampled reward should be $expected"
done
prompts demo_ppo.sh "$work/f"
expect '7 runs, 7 of them finished before' "$work/out.txt"

exit $failed
