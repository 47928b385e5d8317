#!/bin/sh
# run.sh TEST... -- runs every test program and every test/test_*.sh, as many at a time as there are cores (JOBS=1: one after the
# other); what they say comes in the order of the list, with their seconds, and the last line counts them.
set -u
export OMP_WAIT_POLICY=passive # small problems on busy cores: threads that wait should not spin
log_of() { echo "$1/$(echo "$2" | tr / _)"; } # FOLDER TEST
if [ "$1" = --one ]; then # FOLDER TEST
    log=$(log_of "$2" "$3") began=$(date +%s)
    case $3 in *.sh) sh "$3" ;; *) "$3" ;; esac >"$log" 2>&1
    echo $? >"$log.status"
    times >"$log.times" # of this shell, and of all that the test has started
    awk -v wall=$(($(date +%s) - began)) 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, t, "m"); cpu += 60 * t[1] + t[2] } printf "%.1f %d\n", cpu, wall }' "$log.times" >"$log.seconds"
    mv "$log.status" "$log.done"
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# The longest begin first.
for t in test/test_cuda.sh test/test_twins.sh test/test_demo.sh "$@" test/test_*.sh; do echo "$t"; done | awk '!seen[$0]++' >"$work/list"

report() {
    passed=0 failed=0
    while read -r t; do
        log=$(log_of "$work" "$t")
        until [ -e "$log.done" ]; do sleep 0.1; done
        cpu=0 wall=0
        [ ! -e "$log.seconds" ] || read -r cpu wall <"$log.seconds"
        printf '== %s (%s seconds of CPU, %s on the clock)\n' "$t" "$cpu" "$wall"
        echo "$t $cpu" >>"$work/seconds"
        cat "$log"
        if [ "$(cat "$log.done")" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $t"; fi
    done <"$work/list"
    echo "most seconds of CPU: $(sort -k2 -rn "$work/seconds" | head -n 8 | paste -sd ,)"
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
}
# In the background, since what is started there cannot be told of Ctrl-C, and tests are to hear of it.
report &
trap 'kill $!; exit 130' INT TERM
xargs -P "${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}" -n 1 sh "$0" --one "$work" <"$work/list"
while read -r t; do # one that was killed with its shell has failed
    log=$(log_of "$work" "$t")
    [ -e "$log.done" ] || { echo "$t was killed" >>"$log"; echo 1 >"$log.done"; }
done <"$work/list"
wait $!
