#!/bin/sh
# test_invariants.sh -- the page dev/doc/invariants.md: each number from 1 to 57 has one row, each defect from a to s has one, every test that
# it names is there, and what is tested by number, as in 47_closed_forms, is named in that row.
set -eu
page=dev/doc/invariants.md
failed=0
complain() { echo "$page: $1"; failed=1; }

sed -n 's/^| \([0-9][0-9]*\) |.*/\1/p' "$page" >"${TMPDIR:-/tmp}/invariants.$$"
trap 'rm -f "${TMPDIR:-/tmp}/invariants.$$"' EXIT
seq 57 | cmp -s - "${TMPDIR:-/tmp}/invariants.$$" || complain "not a row for each of 1 to 57, in order"
[ "$(sed -n 's/^| \([a-z]\) |.*/\1/p' "$page" | tr -d '\n')" = abcdefghijklmnopqrs ] || complain "not a row for each of a to s, in order"
if grep -n '^| [0-9a-z]* |' "$page" | grep -v ' | [^ |].* | [^ |].* |$'; then complain "a row without its last column"; fi
for i in $(seq 57); do
    grep "^| $i |" "$page" | grep -q -e '`test_' -e 'Does not apply' || complain "$i: neither a test nor why there is none"
done
for file in test/test_*.c; do
    program=$(basename "$file" .c)
    for name in $(sed -n 's/.*{ "\([a-z_]*\/[0-9][a-z0-9_]*\)", .*/\1/p; s/.*TEST(\([0-9][a-z0-9_]*\)).*/\1/p' "$file"); do
        for i in $(echo "${name#*/}" | sed 's/[a-z].*//; s/_/ /g'); do
            grep "^| $i |" "$page" | grep -qF "\`$program $name\`" || complain "$program $name: row $i does not name it"
        done
    done
done

grep -o '`test_[^`]*`' "$page" | tr -d '`' | sort -u >"${TMPDIR:-/tmp}/invariants.$$"
while read -r program name; do
    case $program in
        *.sh) [ -f "test/$program" ] || complain "there is no test/$program" ;;
        *) { [ -n "$name" ] && grep -q -e "{ \"$name\", " -e "TEST($name)" "test/$program.c"; } || complain "there is no $name in test/$program.c" ;;
    esac
done <"${TMPDIR:-/tmp}/invariants.$$"
[ "$(wc -l <"${TMPDIR:-/tmp}/invariants.$$")" -gt 50 ] || complain "hardly a test is named"
for name in $(sed -n 's/.*TEST(\([0-9_]*_[a-z0-9_]*\)).*/\1/p' test/test_invariants.c); do
    grep -q "test_invariants $name" "$page" || complain "test_invariants $name is not on the page"
done
exit $failed
