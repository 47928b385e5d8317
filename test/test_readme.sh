#!/bin/sh
# test_readme.sh -- the README's table of methods is that of --help, which is that of the code.
set -eu
BUILD=${BUILD:-build}
"$BUILD/train_gpt2_drpt" --help | sed -n 's/^        \([a-z_]*\): \(.*\)/| `\1` | \2 |/p' | sed 's/ *([^()]*) *\[[^]]*\] *|$/ |/' >"${TMPDIR:-/tmp}/methods.$$"
trap 'rm -f "${TMPDIR:-/tmp}/methods.$$"' EXIT
[ -s "${TMPDIR:-/tmp}/methods.$$" ] || { echo "no methods in --help"; exit 1; }
while read -r line; do
    grep -qF "$line" README.md || { echo "README.md lacks: $line"; exit 1; }
done <"${TMPDIR:-/tmp}/methods.$$"
echo "$(wc -l <"${TMPDIR:-/tmp}/methods.$$") methods stand in README.md as in --help"
