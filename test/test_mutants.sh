#!/bin/sh
# test_mutants.sh -- the lists of dev/mutants.sh and test/emulator/mutants.sh: every expression changes the file that it names, no two make the
# same of it, and the tests that are to notice are there. Whether they do notice is what those scripts are for.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
complain() { echo "$*"; : >"$tmp/failed"; }

# Where a test is: of the first list its program is named, of the second its own name says it.
source_of() { case $1 in test_*) echo "test/$1.c" ;; cuda/*) echo test/test_cuda.cu ;; *) echo "test/test_cuda_${1%%/*}.cu" ;; esac; }
check_tests() { # LIST TESTS...
    list=$1 source=$(source_of "${2#bf16:}")
    [ -f "$source" ] || { complain "$list: there is no $source"; return; }
    case $2 in test_*) shift ;; esac
    while shift && [ $# -gt 0 ]; do
        grep -qF -e "{ \"${1#bf16:}\", " -e "TEST(${1##*/})" "$source" || complain "$list: there is no $1 in $source"
    done
}

for list in dev/mutants.sh test/emulator/mutants.sh; do
    sed '1,/^exit/d; /^#/d; /^$/d' "$list" >"$tmp/list"
    cut -d'~' -f3 "$tmp/list" | sort -u >"$tmp/tests"
    while read -r tests; do check_tests "$list" $tests; done <"$tmp/tests"
    number=0
    while IFS='~' read -r file edit tests what; do
        number=$((number + 1)) made=$tmp/made/$file
        [ -f "$file" ] && [ -n "$what" ] || { complain "$list: not file~expression~tests~what of a file that is there: $file~$edit"; continue; }
        [ -d "$made" ] || { mkdir -p "$made" && cp "$file" "$made/0"; }
        sed "$edit" "$file" >"$made/$number" || complain "$list: no expression of sed: $file~$edit"
    done <"$tmp/list"
    # Those with the same content as another, by their numbers; 0 is the file as it is.
    (cd "$tmp/made" && find . -type f -exec md5sum {} +) | awk '{ at = match($2, "/[0-9]*$"); key = $1 substr($2, 1, at); equal[key] = equal[key] " " substr($2, at + 1); count[key]++ }
        END { for (key in count) { if (count[key] > 1) { print equal[key] } } }' >"$tmp/equal"
    while read -r numbers; do
        case " $numbers " in *" 0 "*) complain "$list: nothing is changed by" ;; *) complain "$list: the same is made by" ;; esac
        for i in $numbers; do [ "$i" = 0 ] || sed -n "${i}p" "$tmp/list"; done
    done <"$tmp/equal"
    rm -r "$tmp/made"
    echo "$number mutants in $list"
done
[ ! -e "$tmp/failed" ]
