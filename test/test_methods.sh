#!/bin/sh
# test_methods.sh -- every method with every group against the oracle of dev/check_methods.py, where there is NumPy.
set -eu
BUILD=${BUILD:-build}
for python in python3 /usr/bin/python3 ''; do
    [ -z "$python" ] || "$python" -c 'import numpy' 2>/dev/null && break
done
[ -n "$python" ] || { echo "skipped: there is no python3 with numpy"; exit 0; }
case $BUILD in *san*) only='--only cone' ;; *) only= ;; esac # a thousand starts of a sanitized trainer take minutes
"$python" dev/check_methods.py --build "$BUILD" $only
