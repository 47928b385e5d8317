# demo.awk -- reads results.csv of the demo and says what came out: the tables of the terminal, or (-v markdown=1) of report.md.
# Every number and every comparison is computed here from that file; nothing is known beforehand. The report's times are in times.csv.
#
#     awk [-v markdown=1] [-v rate=fixed|chosen] -f dev/sweep/demo.awk [times.csv] results.csv

BEGIN { FS = "," }

FNR == 1 { is_times = $1 == "folder"; for (i = 1; i <= NF; i++) column[$i] = i; next }
is_times { fastest[$1] = $2; next }

function of(name) { return $(column[name]) }

# Only what was chosen counts. value[row, quantity, k]: of the k-th seed of a row; the base models are a row of their own.
of("chosen") == 1 {
    name = of("name")
    if (!(name in count)) { order[++methods] = name; label[name] = of("label"); method[name] = of("method") }
    k = ++count[name]
    if (k == 1 || of("lr") + 0 < lowest[name]) lowest[name] = of("lr") + 0
    if (k == 1 || of("lr") + 0 > highest[name]) highest[name] = of("lr") + 0
    split("test_loss accuracy exact best_test_loss best_step best_accuracy best_exact best_general_loss general_loss target_loss", all, " ")
    for (i in all) value[name, all[i], k] = of(all[i])
    value[name, "ms", k] = fastest[of("folder")]
    if (!(of("seed") in seeds)) {
        seeds[of("seed")]; k = ++count["base"]
        value["base", "test_loss", k] = of("base_test_loss"); value["base", "accuracy", k] = of("base_accuracy")
        value["base", "exact", k] = of("base_exact"); value["base", "general_loss", k] = of("base_general_loss")
        if (of("base_general_loss") + 0 > 0.05) weak = weak sprintf("%s %s (%.2f)", weak ? "," : "", of("seed"), of("base_general_loss"))
    }
}

function short(lr) { lr = sprintf("%.1e", lr); sub(/\.0e/, "e", lr); sub(/e-0/, "e-", lr); return lr }
function rates(name) { return short(lowest[name]) (highest[name] > lowest[name] ? ".." short(highest[name]) : "") }

# A loss that is no number stays one: awk would take it for 0.
function is_number(x) { return x ~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ }

function mean(name, quantity,    i, sum) {
    for (i = 1; i <= count[name]; i++) {
        if (!is_number(value[name, quantity, i])) return "nan"
        sum += value[name, quantity, i]
    }
    return sum / count[name]
}

# Of the mean: the standard deviation of the seeds over the root of their number.
function standard_error(name, quantity,    i, m, sum, n) {
    n = count[name]; m = mean(name, quantity)
    if (m == "nan" || n < 2) return "nan"
    for (i = 1; i <= n; i++) sum += (value[name, quantity, i] - m) ^ 2
    return sqrt(sum / (n - 1) / n)
}

function number(format, x) { return x == "nan" ? "nan" : sprintf(format, x) }
function with_error(name, quantity) {
    return number("%.2f", mean(name, quantity)) (count[name] > 1 ? (markdown ? " ± " : " +- ") number("%.2f", standard_error(name, quantity)) : "")
}
function percent(name, quantity) { m = mean(name, quantity); return m == "nan" ? "nan" : sprintf("%.1f %%", 100 * m) }

# One row of the table. The terminal's stays below 80 columns and leaves the last two out.
function line(name, lr, loss, best, accuracy, exact, general, train, step) {
    if (markdown) printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, lr, loss, best, accuracy, exact, general, train, step
    else printf "%-22s %-" (rate_chosen ? 12 : 6) "s %12s %6s %8s %7s %12s\n", name, lr, loss, best, accuracy, exact, general
}

function table(    i, name) {
    line("method", markdown ? "learning rate" : "lr", "test loss", markdown ? "at its best" : "best", "accuracy", "exact", "general loss", "train", "fastest step")
    if (markdown) print "|---|---|---|---|---|---|---|---|---|"
    line("base, before", "", with_error("base", "test_loss"), "", percent("base", "accuracy"), percent("base", "exact"), with_error("base", "general_loss"), "", "")
    for (i = 1; i <= methods; i++) {
        name = order[i]
        line(label[name], rates(name), with_error(name, "test_loss"), number("%.2f", mean(name, "best_test_loss")), percent(name, "accuracy"),
             percent(name, "exact"), with_error(name, "general_loss"), number("%.3f", mean(name, "target_loss")), number("%.1f ms", mean(name, "ms")))
        if (method[name] != "target") continue
        line(markdown ? "target, stopped at its best (oracle)" : "target, best (oracle)", rates(name), with_error(name, "best_test_loss"), "",
             percent(name, "best_accuracy"), percent(name, "best_exact"), with_error(name, "best_general_loss"), "", "")
    }
}

# In how many seeds is the final test loss of `a` below that of `b`, or below b's lowest?
function wins(a, b, quantity,    i, n) {
    for (i = 1; i <= count[a]; i++) {
        if (is_number(value[a, "test_loss", i]) && !(value[a, "test_loss", i] + 0 >= value[b, quantity, i] + 0)) n++
    }
    return n + 0
}

function is_baseline(name) { return method[name] ~ /^(target|full|mix)$/ }

function comparison(    i, j, row, head, rule, all) {
    for (i = 1; i <= methods; i++) {
        if (is_baseline(order[i])) continue
        all = count[order[i]]; row = head = rule = ""
        for (j = 1; j <= methods; j++) {
            if (!is_baseline(order[j])) continue
            head = head cell(order[j]) cell("its best"); rule = rule "---|---|"
            row = row cell(wins(order[i], order[j], "test_loss") "/" all) cell(wins(order[i], order[j], "best_test_loss") "/" all)
        }
        if (!shown++) print markdown ? "| seeds in which the final test loss is below that of |" head "\n|---|" rule : sprintf("%-22s", "ends below") head
        print markdown ? "| " label[order[i]] " |" row : sprintf("%-22s", label[order[i]]) row
    }
}
function cell(text) { return markdown ? " " text " |" : sprintf(" %8s", text) }

# Each seed's final test loss of a row, and where its lowest was.
function per_seed(name,    i, text) {
    for (i = 1; i <= count[name]; i++) {
        text = text (i > 1 ? ", " : "") number("%.2f", value[name, "best_test_loss", i]) " at step " value[name, "best_step", i]
        text = text " and " number("%.2f", value[name, "test_loss", i]) " at the end"
    }
    return text
}

function about_target(    i, name) {
    for (i = 1; i <= methods; i++) {
        name = order[i]
        if (method[name] != "target") continue
        print "Trained on the target rows alone, the model ends at a loss of " number("%.4f", mean(name, "target_loss")) " on them. Its lowest test loss, and its"
        print "last, seed by seed: " per_seed(name) "."
    }
}

function about_learning_rates() {
    if (rate == "chosen") print "The learning rate of each method and seed is the one of its grid whose final model has the lowest loss on val.bin: 64 rows\nof the target task that are neither trained on nor tested on.\n"
    if (rate == "fixed") print "The learning rate of each method was fixed beforehand: it was the best of a sweep on other worlds, by another program.\n`make demo FULL=1` tries the whole grid and chooses for each method and seed on a validation set.\n"
}

function about_weak_bases() {
    if (weak) print "Base models that have not quite learnt the labelled dialects (loss above 0.05), and\ncount all the same: seed" weak ".\n"
}

function legend(    n) {
    n = count["base"] (count["base"] > 1 ? " seeds" : " seed")
    if (markdown) {
        print "\nMean ± standard error over " n "; a seed is a world, its base model and its draw of 16 target rows. Test loss, accuracy (of"
        print "symbols) and exact match (of rows): 512 held-out target rows, after the last step. At its best: the lowest test loss of"
        print "the run, which only an oracle could stop at. General loss: 256 rows of the labelled dialects, which the base knows and may forget."
        print "Train: loss on the 16 target rows in the last step. Fastest step: on one thread, while other runs share the machine.\n"
        return
    }
    print "\nMean +- standard error over " n ", after the last step. best: the lowest of a run, which"
    print "only an oracle knows; accuracy: of symbols; exact: of rows; general loss: on the"
    print "labelled dialects, which may be forgotten. Seeds in which a method ends below another:\n"
}

END {
    rate_chosen = rate == "chosen"
    table()
    legend()
    comparison()
    print ""
    if (markdown) { about_target(); print ""; about_learning_rates() }
    about_weak_bases()
}
