# rewards.awk -- reads results.csv of a demo on prompts and says what came out: the table of the terminal, or (-v markdown=1) of report.md.
# Every number is computed here from that file; nothing is known beforehand. With -v learned=1 there was a model of the reward, and beside what it
# gave stands what the true rule gives.
#
#     awk [-v markdown=1] [-v learned=1] -f dev/sweep/rewards.awk results.csv

BEGIN { FS = ","; pm = markdown ? " ± " : " +- " }
NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
{
    name = $(column["name"])
    if (!(name in count)) { order[++methods] = name; label[name] = $(column["label"]); lr[name] = $(column["lr"]); method[name] = $(column["method"]) }
    k = ++count[name]
    split("reward right early_reward best_reward sampled_reward target_reward", all, " ")
    for (i in all) value[name, all[i], k] = $(column[all[i]])
    if (!($(column["seed"]) in seeds)) {
        seeds[$(column["seed"])]; k = ++count["base"]
        value["base", "reward", k] = $(column["base_reward"]); value["base", "right", k] = $(column["base_right"])
        value["base", "known", k] = $(column["known_accuracy"])
    }
}

function is_number(x) { return x ~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ }
function mean(name, quantity,    i, sum) {
    for (i = 1; i <= count[name]; i++) {
        if (!is_number(value[name, quantity, i])) return "nan"
        sum += value[name, quantity, i]
    }
    return sum / count[name]
}

# Mean and its standard error, times `scale`.
function with_error(name, quantity, format, scale,    i, squares, n, m) {
    n = count[name]; m = mean(name, quantity)
    if (m == "nan") return "nan"
    for (i = 1; i <= n; i++) squares += (value[name, quantity, i] - m) ^ 2
    return sprintf(format, scale * m) (n > 1 ? pm sprintf(format, scale * sqrt(squares / (n - 1) / n)) : "")
}
function percent(name, quantity) { return with_error(name, quantity, "%.1f", 100) }

function line(a, b, c, d, e, f) {
    if (markdown) printf "| %s | %s | %s | %s | %s | %s |\n", a, b, c, d, e, f
    else printf "%-22s %-5s %13s %13s %13s %9s\n", a, b, c, d, e, f
}
function rule() { if (markdown) print "|---|---|---|---|---|---|" }

function plain_mean(name, quantity, format, scale,    m) { m = mean(name, quantity); return m == "nan" ? "" : sprintf(format, scale * m) }

function table_of_rule(    i, name) {
    line("method", "lr", "a sixth", "at the end", "at its best", "target")
    rule()
    line("base, before", "", "", percent("base", "reward"), "", "")
    for (i = 1; i <= methods; i++) {
        name = order[i]
        line(label[name], lr[name], percent(name, "early_reward"), percent(name, "reward"), plain_mean(name, "best_reward", "%.1f", 100), plain_mean(name, "target_reward", "%.1f", 100))
    }
}

function table_of_model(    i, name) {
    line("method", "lr", "learned", "true", "right", "best true")
    rule()
    line("base, before", "", "", percent("base", "reward"), percent("base", "right"), "")
    for (i = 1; i <= methods; i++) {
        name = order[i]
        line(label[name], lr[name], with_error(name, "sampled_reward", "%.2f", 1), percent(name, "reward"), percent(name, "right"), plain_mean(name, "best_reward", "%.1f", 100))
    }
}

# In how many seeds one method's test reward is above another's.
function wins(a, b, quantity,    i, n) {
    for (i = 1; i <= count[a]; i++) if (value[a, quantity, i] + 0 > value[b, quantity, i] + 0) n++
    return n + 0
}
function is_baseline(name) { return method[name] ~ /^(full|target|mix)$/ && label[name] !~ /IIF/ }

function comparison(    i, j, text, shown) {
    text = ""
    for (j = 1; j <= methods; j++) if (is_baseline(order[j])) text = text (shown++ ? ", " : "") label[order[j]]
    printf "Of %s, those in which the reward is above that of %s:\n\n", seeds_text(count["base"]), text
    if (markdown) print "| method | " (learned ? "" : "after a sixth | ") "at the end |\n|---|" (learned ? "" : "---|") "---|"
    for (i = 1; i <= methods; i++) if (!is_baseline(order[i])) {
        if (markdown) printf "| %s |%s %s |\n", label[order[i]], learned ? "" : " " row_of(order[i], "early_reward") " |", row_of(order[i], "reward")
        else printf "%-22s %s%s\n", label[order[i]], learned ? "" : row_of(order[i], "early_reward") " after a sixth, ", row_of(order[i], "reward") " at the end"
    }
    print ""
}
function seeds_text(n) { return n (n == 1 ? " seed" : " seeds") }
function row_of(name, quantity,    j, text) {
    for (j = 1; j <= methods; j++) if (is_baseline(order[j])) text = text (text == "" ? "" : ", ") wins(name, order[j], quantity)
    return text
}

END {
    if (learned) table_of_model(); else table_of_rule()
    print "\nMean" pm "standard error over " seeds_text(count["base"]) "."
    if (learned) {
        print "Learned: what the model of the reward gives the sampled responses, mean of the last ten steps; it has no zero and no unit."
        print "True, in percent: small letters of those asked for, in one response to each of 256 test prompts. Right: responses without a"
        print "capital. Best true: the highest of the run, which only an oracle could stop at. The model of the reward puts"
        print percent("base", "known") " % of clean held-out pairs in the right order.\n"
    } else {
        print "In percent: right answers to 256 test prompts, one response each, after a sixth of the steps, after the last, and the"
        print "highest of the run, which only an oracle could stop at. Target: to the 16 target prompts, in the last ten steps.\n"
    }
    comparison()
}
