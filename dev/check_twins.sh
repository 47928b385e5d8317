#!/bin/sh
# check_twins.sh A B FUNCTION... -- the CPU trainer and the GPU trainer are the same program.
#
# Prints where the calls that FUNCTION makes in A and in B, in order and with their arguments, differ; fails if they do. Of the arguments
# only those count that name what the twins share: `model->tokens` there is `tokens` here.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
calls() { # FILE FUNCTION: the calls in its body, one a line
    awk -v f="$2" '$0 ~ "[ *]" f "\\(" && !/;$/ { inside = 1; next } inside && /^}/ { exit } inside { print }' "$1" | sed 's,//.*,,' |
    tr -s ' \n' '  ' | grep -oE '[a-z_0-9]+_(forward|backward|hidden|site|project|update|decode)[a-z_]*\([^;]*\);' | sed 's/model->tokens/tokens/; s/model->targets/targets/; s/model->share/weight/; s/model->values/values/; s/model->dvalue/head->dvalue/; s/model->head_share/head->share/' || true
}
a=$1 b=$2
shift 2
for f; do
    calls "$a" "$f" >"$tmp/a"
    calls "$b" "$f" >"$tmp/b"
    [ -s "$tmp/a" ] || { echo "$a: no calls found in $f"; exit 1; }
    diff -u --label "$a: $f" --label "$b: $f" "$tmp/a" "$tmp/b"
done
echo "$a and $b make the same calls in: $*"
