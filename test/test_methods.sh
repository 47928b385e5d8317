#!/bin/sh
# test_methods.sh -- every method of --help has its place and picture on the page dev/doc/methods.md; and where there is NumPy, every
# method with every group is what the oracle of dev/check_methods.py makes of the same rows.
set -eu
BUILD=${BUILD:-build}
for method in $("$BUILD/train_gpt2_drpt" --help | sed -n '/^  --method/,/^  --group/s/^        \([a-z_]*\): .*/\1/p'); do
    grep -q "^### $method\$" dev/doc/methods.md || { echo "dev/doc/methods.md lacks $method"; exit 1; }
    [ -s "dev/doc/methods/$method.png" ] || { echo "there is no picture of $method"; exit 1; }
done
for python in python3 /usr/bin/python3 ''; do
    [ -z "$python" ] || "$python" -c 'import numpy' 2>/dev/null && break
done
[ -n "$python" ] || { echo "skipped: there is no python3 with numpy"; exit 0; }
case $BUILD in *san*) only='--only cone' ;; *) only= ;; esac # a thousand starts of a sanitized trainer take minutes
"$python" dev/check_methods.py --complete --build "$BUILD" $only
