# run.awk -- what one run of a sweep came to: lines that begin with the file they belong to, and the folder, for collect.awk.
#
#     awk -v folder= -v name= -v label= -v m= -v seed= -v options= -v domains="a b" -f dev/sweep/run.awk config.txt choice/eval.csv eval.csv log.csv [composition.csv]

BEGIN { FS = ","; split(domains, domain, " ") }
function unless(condition, text) { return condition ? "" : text }
FNR == 1 { file++ }
file == 3 && FNR == 1 { pairs = $5 == "margin" }
file == 1 { value = $0; sub(/^[^ ]* /, "", value); sub(/ .*/, "", $1); config[$1] = value; next }
file == 5 { mass[++masses] = $1 "," domain[$2 + 1] "," $3; next }
FNR == 1 { next }
file == 2 && $2 == "val" { choice = $3 }
file == 3 && $2 == "val_general" { general[$1] = $3; general_accuracy = $4; last_general = $3 }
file == 3 && $2 == "val" {
    if (first == "") { first = $1; best = $1 }
    loss[$1] = $3; accuracy[$1] = $4; exact[$1] = unless(pairs, $5); last = $1; evaluated[++evaluations] = $1
    if ($3 ~ /^[0-9]/ && $3 + 0 < loss[best] + 0) best = $1 # awk would take nan for 0
}
file == 4 { at_tokens[$1] = tokens; if ($10 ~ /^[0-9]/) tokens += $10; seconds += $11 / 1000 }
file == 4 && $3 != "" { target_loss = $3; if (ms == "" || $11 + 0 < ms) ms = $11 + 0 }
file == 4 { at_target[$1] = target_loss }
END {
    method = config["method"]; plain = method ~ /^(target|full|mix)$/
    printf "results,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%d,", folder, name, label, method, unless(plain, config["group"]), options, m, seed, config["lr"], config["steps"], tokens
    printf "%s,%s,%s,%s,%s,%s,%s,", loss[last], accuracy[last], exact[last], loss[best], best, accuracy[best], exact[best]
    printf "%s,%s,%s,%s,%s,", general[best], last_general, general_accuracy, target_loss, choice
    printf "%s,%s,%s,%s,%s\n", loss[first], accuracy[first], exact[first], general[first], folder
    for (i = 1; i <= evaluations; i++) {
        step = evaluated[i]
        printf "curves,%s,%s,%s,%s,%d,%s,%s,%s,%d\n", folder, name, m, seed, step, loss[step], general[step], at_target[step], at_tokens[step]
    }
    for (i = 1; i <= masses; i++) printf "composition,%s,%s,%s,%s,%s\n", folder, name, m, seed, mass[i]
    printf "times,%s,%s,%.2f,%.1f\n", folder, folder, ms, seconds
}
