# mutate.sh -- breaks one line at a time and sees that a test notices: the loop of dev/mutants.sh and test/emulator/mutants.sh, which say
# `files`, what is copied to be broken, and command_of TESTS..., the command that runs them, whose first word is what make has to build.
#
# A line of a list: file ~ sed expression ~ tests ~ what it breaks. SURVIVED: no test noticed, so one is missing. STALE: the expression no longer
# changes the file. BROKEN: it no longer compiles. As many at a time as there are cores (JOBS=1: one after the other), each in a folder of its own,
# in which what a mutant touched is put back after it.
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)} every=1 workers=
tmp=$(mktemp -d)
trap 'kill $workers 2>/dev/null || :; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
[ "${1-}" != --every ] || { every=$2; shift 2; }
sed '1,/^exit/d; /^#/d; /^$/d' "$0" | grep -F -e "${1-}" | awk -v n="$every" 'NR % n == 0' >"$tmp/list" && [ -s "$tmp/list" ] || { echo "no mutant contains '${1-}'"; exit 1; }

quietly() { # FOLDER COMMAND...
    (cd "$1" && shift && TMPDIR=$tmp "$@" || exit 1) >"$tmp/said.${1##*/}" 2>&1 </dev/null
}
mkdir "$tmp/whole"
cp -a --parents $files "$tmp/whole"
cut -d'~' -f3 "$tmp/list" | sort -u >"$tmp/tests"
quietly "$tmp/whole" make -s -j"$jobs" $(while read -r tests; do command_of $tests; done <"$tmp/tests" | cut -d' ' -f1 | sort -u) || { cat "$tmp/said.whole"; exit 1; }
while read -r tests; do
    quietly "$tmp/whole" $(command_of $tests) || { grep -v 'ok$' "$tmp/said.whole" || :; echo "without a mutant this fails: $tests"; exit 1; }
done <"$tmp/tests"

# What did not compile may lack files, and is begun anew.
put_back() { # FOLDER FILE VERDICT
    if [ "$3" = BROKEN ]; then rm -rf "$1" && cp -a "$tmp/whole" "$1"; return; fi
    cp -p "$tmp/whole/$2" "$1/$2"
    (cd "$1" && find build -type f -newer "$1.begun") | while read -r built; do cp -p "$tmp/whole/$built" "$1/$built"; done
}
try() { # NUMBER: its share of the list
    folder=$tmp/$1
    awk -v n="$jobs" -v i="$1" 'NR % n == i' "$tmp/list" >"$folder.list"
    cp -a "$tmp/whole" "$folder"
    while IFS='~' read -r file edit tests what; do
        set -- $(command_of $tests)
        : >"$folder.begun"
        sed -i "$edit" "$folder/$file" || : # that it is none, the verdict says
        if cmp -s "$tmp/whole/$file" "$folder/$file"; then verdict=STALE
        elif ! quietly "$folder" make -s "$1"; then verdict=BROKEN
        elif quietly "$folder" timeout 60 "$@"; then verdict=SURVIVED
        else verdict=killed; fi
        printf '%-8s %s: %s\n' "$verdict" "$file" "$what"
        echo "$verdict" >>"$tmp/verdicts"
        put_back "$folder" "$file" "$verdict"
    done <"$folder.list"
}
i=0
: >"$tmp/verdicts"
while [ $i -lt "$jobs" ]; do
    try $i &
    workers="$workers $!"
    i=$((i + 1))
done
wait
killed=$(grep -c killed "$tmp/verdicts" || :)
echo "$killed killed, $(($(wc -l <"$tmp/list") - killed)) not"
[ "$killed" -eq "$(wc -l <"$tmp/list")" ]
