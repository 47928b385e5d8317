#!/bin/sh
# run.sh TEST... -- runs every test program and every test/test_*.sh; the last line counts them.
set -u
export OMP_WAIT_POLICY=passive # small problems on busy cores: threads that wait should not spin
passed=0 failed=0
for t in "$@" test/test_*.sh; do
    [ -e "$t" ] || continue
    printf '== %s\n' "$t"
    case $t in *.sh) sh "$t" ;; *) "$t" ;; esac
    if [ $? -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $t"; fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
