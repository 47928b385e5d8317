# preference.awk -- reads results.csv of make demo-rlhf and says what came out: the table of the terminal, or (-v markdown=1) of report.md.
# Every number is computed here from that file; nothing is known beforehand.
#
#     awk [-v markdown=1] -f dev/sweep/preference.awk results.csv

BEGIN { FS = ","; pm = markdown ? " ± " : " +- " }
NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
$(column["chosen"]) == 1 {
    name = $(column["name"])
    if (!(name in count)) { order[++methods] = name; label[name] = $(column["label"]); lr[name] = $(column["lr"]) }
    add(name, $(column["test_loss"]), $(column["accuracy"]), $(column["general_accuracy"]), $(column["target_loss"]))
}

function add(name, test_loss, accuracy, general, target,    k) {
    k = ++count[name]
    value[name, "loss", k] = test_loss; value[name, "accuracy", k] = 100 * accuracy
    value[name, "general", k] = 100 * general; value[name, "target", k] = target
}

# Mean, and the standard error of it; a loss that is no number stays one.
function with_error(name, quantity, format,    i, sum, squares, n, m) {
    n = count[name]
    for (i = 1; i <= n; i++) {
        if (value[name, quantity, i] !~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/) return "nan"
        sum += value[name, quantity, i]
    }
    m = sum / n
    for (i = 1; i <= n; i++) squares += (value[name, quantity, i] - m) ^ 2
    return sprintf(format, m) (n > 1 ? pm sprintf(format, sqrt(squares / (n - 1) / n)) : "")
}

function line(a, b, c, d, e, f) {
    if (markdown) printf "| %s | %s | %s | %s | %s | %s |\n", a, b, c, d, e, f
    else printf "%-22s %-5s %13s %13s %13s %8s\n", a, b, c, d, e, f
}

# In how many seeds a method's test accuracy is above another's.
function wins(a, b,    i, n) {
    for (i = 1; i <= count[a]; i++) if (value[a, "accuracy", i] + 0 > value[b, "accuracy", i] + 0) n++
    return n + 0
}

END {
    line("method", "lr", "test loss", "test accuracy", "general acc.", "train")
    if (markdown) print "|---|---|---|---|---|---|"
    for (i = 1; i <= methods; i++) {
        name = order[i]
        line(label[name], lr[name], with_error(name, "loss", "%.2f"), with_error(name, "accuracy", "%.1f"), with_error(name, "general", "%.1f"), with_error_free(name))
    }
    print "\nMean" pm "standard error over " count[order[1]] (count[order[1]] == 1 ? " seed" : " seeds") ", after the last step. Test: 512 held-out pairs of the target;"
    print "accuracy in percent: the right answer has gained on the wrong one, relative to the base. General:"
    print "256 clean pairs of the labelled dialects. Train: loss on the 16 target pairs. The base has log 2 = 0.69 and 50."
    printf "\nSeeds in which the test accuracy is above that of"
    for (i = 1; i <= methods; i++) if (order[i] ~ /^(full|target|mix)$/) printf "%s %s", (shown++ ? "," : ""), order[i]
    print ":\n"
    if (markdown) print "| method | wins |\n|---|---|"
    for (i = 1; i <= methods; i++) {
        if (order[i] ~ /^(full|target|mix)$/) continue
        text = ""
        for (j = 1; j <= methods; j++) if (order[j] ~ /^(full|target|mix)$/) text = text (text == "" ? "" : ", ") wins(order[i], order[j]) "/" count[order[i]]
        if (markdown) printf "| %s | %s |\n", label[order[i]], text; else printf "%-22s %s\n", label[order[i]], text
    }
    print ""
}

function with_error_free(name,    i, sum) { for (i = 1; i <= count[name]; i++) sum += value[name, "target", i]; return sprintf("%.3f", sum / count[name]) }
