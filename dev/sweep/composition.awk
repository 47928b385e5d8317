# composition.awk -- eval.csv and geometry.csv of a run: step,file,mass, where mass is the share of the general file's rows in the update,
# the mean over the groups, and over the steps since the evaluation before.
#
#     awk -f dev/sweep/composition.awk FOLDER/eval.csv FOLDER/geometry.csv

BEGIN { FS = "," }
FNR == 1 { file++ }
file == 1 { if (FNR > 1 && $1 + 0 > last + 0) evaluated[++evaluations] = last = $1 + 0; next }
FNR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^mass_[0-9]+$/) column[substr($i, 6) + 0] = i; else if ($i == "step") at = i; next }
{
    while (now <= evaluations && (now == 0 || $at + 0 >= evaluated[now])) now++
    for (d in column) if ($column[d] ~ /^[0-9]/) { sum[now, d] += $column[d]; count[now, d]++ }
}
END {
    for (now = 1; now <= evaluations; now++) {
        for (d = 0; d in column; d++) if (count[now, d] > 0) printf "%d,%d,%.6g\n", evaluated[now], d, sum[now, d] / count[now, d]
    }
}
