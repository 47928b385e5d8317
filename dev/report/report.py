#!/usr/bin/env python3
"""Writes sweep/NAME/report.html, report.md and figures/*.png from the collected CSV files of that folder, and from nothing else.

    make report PLAN=quick             with matplotlib, in a virtual environment
    python3 dev/report/report.py FOLDER       without matplotlib: the tables alone

Whatever the report says is computed here from those files; nothing is known beforehand, and what a file lacks is said in one line.
"""
import collections
import math
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
import lab as numbers
import published
import rewards
from document import Document, bold_if, counted, listed, million, percent, scientific, short_rate, span_of, with_error, without_empty_columns
from lab import Fault, Lab, differs, estimate, measured, paired


def at_text(at):
    world, step = at
    return f"{WORLDS.get(world, world)}, {'base' if step == 0 else f'step {step:.0f}'}"


WORLDS = {"gpt": "GPT", "ngram": "n-gram world"}


# ------------------------------------------------------------------------------------------------
# The tables of results.

class Results:
    """Rows of one size m, by name."""

    def __init__(self, rows, label_of):
        self.rows, self.label_of, self.names = rows, label_of, numbers.names_of(rows)

    def column(self, name, column):
        return numbers.by_seed(self.rows, name, column)

    def mean(self, name, column):
        return estimate(self.column(name, column).values())

    def forgetting(self, name):
        end, base = self.column(name, "general_loss"), self.column(name, "base_general_loss")
        return paired(end, base)

    def first(self, name):
        return next(row for row in self.rows if row["name"] == name)

    def marked(self, column):
        """The name that is lowest in a column by more than two errors of its paired difference to the runner-up."""
        best, gap = numbers.separated_best({name: self.column(name, column) for name in self.names})
        return best if best and differs(gap) else None

    def lowest(self, column):
        return numbers.separated_best({name: self.column(name, column) for name in self.names})[0]


def base_row(results, width):
    seeds = {row["seed"]: row for row in results.rows}.values()
    cells = ["base, before", "", with_error(estimate(row["base_test_loss"] for row in seeds)), "", "",
             percent(estimate(row.get("base_accuracy") for row in seeds)), percent(estimate(row.get("base_exact") for row in seeds)),
             with_error(estimate(row["base_general_loss"] for row in seeds))]
    return cells + [""] * (width - len(cells))


HEAD = ["method", "learning rate", "test loss, end", "at its best (oracle)", "end, less that of the lowest", "{accuracy}", "exact match", "general loss",
        "forgetting", "loss on D*", "tokens", "FLOPs", "{accuracy}, general"]


def result_rows(lab, results):
    P = numbers.parameters(lab)
    marks = {column: results.marked(column) for column in ("test_loss", "best_test_loss")}
    lowest = results.lowest("test_loss")
    rows = [base_row(results, len(HEAD))]
    of_pairs = lab.items() == "pairs"
    for name in results.names:
        own = [row for row in results.rows if row["name"] == name]
        rates = span_of((row["lr"] for row in own), short_rate)
        behind = "" if name == lowest or lowest is None else with_error(paired(results.column(name, "test_loss"), results.column(lowest, "test_loss")), True)
        rows.append([results.label_of(name), rates, bold_if(marks["test_loss"] == name, with_error(results.mean(name, "test_loss"))),
                     bold_if(marks["best_test_loss"] == name, with_error(results.mean(name, "best_test_loss"))), behind,
                     percent(results.mean(name, "accuracy")), percent(results.mean(name, "exact")), with_error(results.mean(name, "general_loss")),
                     with_error(results.forgetting(name), True), with_error(results.mean(name, "target_loss")),
                     span_of((row["tokens"] for row in own), million), span_of((numbers.flops(lab, row, P) for row in own), scientific),
                     percent(estimate(float(row["general_accuracy"]) for row in own if row["general_accuracy"])) if of_pairs else ""])
        if results.first(name)["method"] == "target":
            rows.append([results.label_of(name) + ", stopped at its best by an oracle", rates, with_error(results.mean(name, "best_test_loss")), "", "",
                         percent(results.mean(name, "best_accuracy")), percent(results.mean(name, "best_exact")),
                         with_error(results.mean(name, "best_general_loss"))] + [""] * 5)
    return rows


def order_sentence(results):
    """The names from the lowest final test loss up, with what separates neighbours."""
    means = {name: results.mean(name, "test_loss") for name in results.names}
    order = sorted((name for name in means if math.isfinite(means[name].value)), key=lambda name: means[name].value)
    parts = []
    for i, name in enumerate(order):
        if i:
            gap = paired(results.column(name, "test_loss"), results.column(order[i - 1], "test_loss"))
            parts.append("<" if differs(gap) else "≈")
        parts.append(results.label_of(name))
    return " ".join(parts)


def about_results(lab, doc, rows, label_of):
    if lab.lacks("results") or not rows:
        doc.text(lab.lacks("results") or "Not shown: results.csv has no chosen run.")
        return
    for m in numbers.sizes(rows):
        of_m = [row for row in rows if row["m"] == m]
        for title, some in ((f"m = {m}, equal steps", numbers.equal_steps(of_m)), (f"m = {m}, equal processed tokens", numbers.equal_tokens(of_m))):
            if not some:
                continue
            results = Results(some, label_of)
            doc.part(title)
            accuracy = "in the right order" if lab.items() == "pairs" else "accuracy"
            doc.table(*without_empty_columns([head.format(accuracy=accuracy) for head in HEAD], result_rows(lab, results)))
            doc.text(f"From the lowest test loss at the end up (< where the paired difference of neighbours exceeds two standard errors, ≈ where it "
                     f"does not): {order_sentence(results)}.")
    diverged = sorted({label_of(row["name"]) for row in lab.tables["results"] if row["test_loss"] is not None and not math.isfinite(row["test_loss"])})
    if diverged:
        doc.text(f"Runs whose loss is no longer a number: {listed(diverged)}.")
    if not any(numbers.equal_tokens([row for row in rows if row["m"] == m]) for m in numbers.sizes(rows)):
        doc.text("Not shown: equal processed tokens; no run's name ends in `-flops`.")
    P = numbers.parameters(lab)
    doc.text("Mean ± standard error over the seeds. The learning rate of each method and seed is the one of its grid with the lowest loss on "
             "rows that are neither trained nor tested on. At its best: the lowest test loss of a run, which only an oracle could stop at. "
             "Forgetting: general loss at the end, less the base's. A value is **bold** only if it is the lowest and differs from the runner-up by "
             "more than two standard errors of the paired difference over the seeds. Tokens: all that were processed, of general and target rows. "
             f"FLOPs = {numbers.FLOPS}, with P {f'= {P} ' if P else ''}weights{'' if P else ' (their number is not known here)'}, n general rows a step: forward "
             "and backward pass, and the inner products as if all rows' gradients were formed; the small solves are left out.")


def ngram_table(doc, ends, m):
    results = Results([row for row in ends if row["m"] == m], lambda name: name)
    marks = {column: results.marked(column) for column in ("test_loss", "best_test_loss")}
    base = base_row(results, 8)
    rows = [[base[0], "", base[2], "", base[7], "", ""]]
    for name in results.names:
        rows.append([name, span_of(results.column(name, "lr").values(), short_rate), bold_if(marks["test_loss"] == name, with_error(results.mean(name, "test_loss"))),
                     bold_if(marks["best_test_loss"] == name, with_error(results.mean(name, "best_test_loss"))),
                     with_error(results.mean(name, "general_loss")), with_error(results.forgetting(name), True), with_error(results.mean(name, "target_loss"))])
    doc.part(f"n-gram world, m = {m}")
    doc.table(*without_empty_columns(["method", "learning rate", "exact test loss, end", "at its best (oracle)", "general loss", "forgetting", "loss on D*"], rows))


# ------------------------------------------------------------------------------------------------
# What was to be visible, and whether it is.

def verdict(holds):
    return {True: "**holds**", False: "**does not hold**", None: "**not separated**"}[holds]


def extreme_rows(lab, method, measure):
    """Is a variant of the method the one with the largest measure? A row a checkpoint, and how often it is."""
    rows, counts = [], collections.Counter()
    for at in lab.probes:
        found = numbers.extremes(lab, at, method, measure)
        if not found:
            continue
        own, other, gap = found
        holds = None if not differs(gap) else gap.value > 0
        counts[holds] += 1
        rows.append([at_text(at), f"{own}: {with_error(measured(lab, at, own, measure))}", f"{other}: {with_error(measured(lab, at, other, measure))}",
                     with_error(gap, True), verdict(holds)])
    return rows, counts


def about_extremes(lab, doc):
    for method, measure, what in (("target", "v_tgt", "Target-only has the largest persistent variance"), ("full", "bias2", "Full training has the largest bias"),
                                  ("target", "v_share", "Target-only has the largest persistent variance for its length, v_tgt / E|u|²"),
                                  ("full", "turn", "Full training's mean update points furthest from t*, 1 - cos²(E u, t*)")):
        rows, counts = extreme_rows(lab, method, measure)
        if not rows:
            doc.text(f"{what}: not measured.")
            continue
        doc.text(f"{what}: of {counted(len(rows), 'checkpoint')} it holds at {counts[True]}, does **not** hold at {counts[False]}, and is not separated from the largest "
                 f"of the others (by two standard errors of the difference) at {counts[None]}."
                 + (" Selections and the trust region count on their rays (`--rescale ray`): unscaled they are as long as general gradients are, however short t* is."
                    if measure in ("v_tgt", "bias2") else "") + (" An angle not known to ±0.2 is left out." if measure == "turn" else ""))
        doc.table(["checkpoint", f"{method}'s {NAMES[measure]}", "largest of the others", "difference", "verdict"], rows)


NAMES = {"v_tgt": "v_tgt", "bias2": "bias²", "v_share": "v_tgt / E|u|²", "turn": "1 - cos²"}


def turn_sentence(results, name, where):
    final, best = results.column(name, "test_loss"), results.column(name, "best_test_loss")
    rise = paired(final, best)
    early = sum(row["best_step"] < row["steps"] and row["test_loss"] > row["best_test_loss"] for row in results.rows if row["name"] == name)
    if rise is None or not math.isfinite(rise.value):
        return f"Test loss of {results.label_of(name)} turns upward ({where}): it diverged."
    holds = None if rise.error is None or (rise.value > 0 and not differs(rise)) else rise.value > 0
    if rise.error is None and rise.value == 0:
        holds = False
    return (f"Test loss of {results.label_of(name)} turns upward ({where}): {verdict(holds)}. It ends {with_error(rise)} above its lowest, which came "
            f"before the last step in {early} of {counted(len(final), 'seed')}.")


def turns(rows, ends, label_of):
    sentences = []
    for source, label, world in ((rows, label_of, "GPT"), (ends, str, "n-gram world")):
        for m in numbers.sizes(source):
            results = Results([row for row in source if row["m"] == m], label)
            sentences += [turn_sentence(results, name, f"{world}, m = {m}") for name in results.names
                          if results.first(name).get("method") == "target"]
    return sentences


# ------------------------------------------------------------------------------------------------
# Probes.

def about_probes(lab, doc, drawn):
    if lab.lacks("probe"):
        doc.text(lab.lacks("probe"))
        return
    some = lab.tables["probe"][0]
    doc.text(f"Every variant's update u, measured from the same gradients at a frozen checkpoint: {some['draws']:.0f} target sets of m = {some['m']} {lab.items()}, "
             f"each with {some['batches']:.0f} batches of n = {some['n']:.0f} general {lab.items()}. bias² = |E u - t\\*|², v_tgt: the variance of u over target sets, "
             "which training on one set never averages out; v_gen: its variance over general batches, which h steps divide by h. All in units "
             "of |t\\*|², t\\* the true gradient. The estimates are unbiased, so that a small one may be negative. ρ = ⟨E u, t\\*⟩² / (|t\\*|² E|u|²): "
             "the decrease of a smooth loss that one step can reach, as a fraction of what t\\* itself would, negative where the mean update points away from t\\*.".replace("\\*", "*"))
    for at in lab.probes:
        name = f"spectrum-{at[0]}-{at[1]:.0f}"
        if name in drawn:
            doc.figure(name, f"Spectrum, {at_text(at)}. Bias² against persistent variance, one marker a variant, lines through a knob's values, whose "
                       "end nearest to the target has its full name; hollow: groups other than a layer; pale: part of the way back to t; "
                       "bars: one standard error. Markers at the edge: an estimate below the axis or negative, its bar reaching up to one error above. "
                       "Grey curves: bias² + v_tgt = c, with c the lowest mse_h = bias² + v_tgt + v_gen/h of all variants, whose name stands beside its h. "
                       "A variant without fresh variance is better than that one if it lies below the curve; one with v_gen must lie below by v_gen/h.")
        name = f"directions-{at[0]}-{at[1]:.0f}"
        if name in drawn:
            doc.figure(name, f"The same variants whatever the length of u, {at_text(at)}. Across: how far the mean update points away from t*, 0 for the same direction, "
                       "1 at a right angle, more if it points against it; up: the share of E|u|² that is persistent variance. Variants whose angle is not known to ±0.2 are left out.")
    for at in lab.probes:
        doc.part(at_text(at))
        seeds = max(len(rows) for rows in lab.probes[at].values())
        rows = [[label] + [with_error(measured(lab, at, label, measure)) for measure in ("bias2", "v_tgt", "v_gen", "mse", "cos_true", "rho")]
                for label in lab.probes[at]]
        reference = max(row["reference_error"] or 0 for of in lab.probes[at].values() for row in of.values())
        doc.table(["variant", "bias²", "v_tgt", "v_gen", "mse", "cos(u,t*)", "ρ"], rows)
        best = [(h, *numbers.best_over(lab, at, h)) for h in (1, 10, 100)]
        doc.text(f"{counted(seeds, 'seed')}; error of t* itself: {reference:.2g} |t*|² at most. Lowest mse over h steps with one target set: "
                 + ", ".join(f"h = {h}: {label} ({value:.3g})" for h, label, value in best if label) + ".")


def probe_variants(lab, at):
    return {label: numbers.variant(lab, at, label) for label in lab.probes[at]}


def about_knobs(lab, doc, rows, ends, drawn):
    if lab.lacks("probe", "replicates"):
        doc.text(lab.lacks("probe", "replicates"))
    doc.part("Does bias² fall and v_tgt rise along every knob?")
    curves = faults = 0
    for world in collections.OrderedDict.fromkeys(world for world, _ in lab.probes):
        checkpoints = [at for at in lab.probes if at[0] == world]
        table = []
        for family in numbers.families(probe_variants(lab, checkpoints[0])):
            cells = [monotone(lab, at, family, measure, sign) for measure, sign in (("bias2", -1), ("v_tgt", 1)) for at in checkpoints]
            table.append([numbers.family_title(family), family.knob + ": " + " → ".join(f"{value:g}" for value, _ in family.members)] + cells)
            curves, faults = curves + len(cells), faults + sum("**no**" in cell for cell in cells)
        if table:
            step = [at_text(at).split(", ")[1] for at in checkpoints]
            doc.table([WORLDS.get(world, world), "towards the target"] + [f"bias² falls, {s}" for s in step] + [f"v_tgt rises, {s}" for s in step], table)
    if curves:
        doc.text(f"Neighbouring values are compared by their difference's error (jackknife, the same draws serve both): a step the wrong way counts if "
                 f"it exceeds two standard errors. Of {curves} curves {curves - faults} are monotone within errors, {faults} are not.")
    elif not lab.lacks("probe"):
        doc.text("Not shown: no two probed variants differ in a knob alone.")
    about_u_curves(doc, rows, ends, drawn)


def monotone(lab, at, family, measure, sign):
    """yes, no and where, or that errors are not known."""
    if any(label not in lab.probes[at] for _, label in family.members):
        return ""
    wrong = numbers.wrong_steps(lab, at, family, measure, sign)
    if wrong:
        return "**no**: " + ", ".join(f"{a:g} → {b:g} {with_error(e, True)}" for a, b, e in wrong)
    steps = [numbers.difference(lab, at, b, a, measure) for (_, a), (_, b) in zip(family.members, family.members[1:])]
    return "yes" if all(e and e.error is not None for e in steps) else "no errors known"


def trained_families(rows):
    first = collections.OrderedDict()
    for row in rows:
        if not numbers.ends_in_flops(row["name"]):
            first.setdefault(row["name"], row)
    return numbers.families(first)


def about_u_curves(doc, rows, ends, drawn):
    if not rows and not ends:
        return
    for title, source, name in (("GPT", rows, "knobs-gpt"), ("n-gram world", ends, "knobs-ngram")):
        families = trained_families(source) if source else []
        if not families:
            doc.text(f"Not shown: final loss along a knob ({title}); no two runs differ in a knob alone.")
            continue
        doc.part(f"Final test loss along a knob, {title}")
        if name in drawn:
            doc.figure(name, f"Final test loss against the knob, {title}. One line a size m of the target set, towards the target gradient to the right; bars: "
                       "one standard error over the seeds. Dotted: target-only of that m, where it is not far outside.")
        table, moves = [], collections.defaultdict(list)
        for family in families:
            for m in numbers.sizes(source):
                results = Results([row for row in source if row["m"] == m], str)
                columns = {value: results.column(member, "test_loss") for value, member in family.members if member in results.names}
                best, gap = numbers.separated_best(columns)
                if best is not None:
                    moves[family[:5]].append([value for value, _ in family.members].index(best))
                    table.append([numbers.family_title(family), f"{family.knob}: " + " → ".join(f"{v:g}" for v in columns), m,
                                  bold_if(differs(gap), f"{best:g}"), with_error(estimate(columns[best].values())), with_error(gap, True)])
        doc.table(["family", "knob, towards the target", "m", "lowest at", "final test loss there", "runner-up's, less that (paired)"], table)
        several = [places for places in moves.values() if len(places) > 1]
        if several:
            onward = sum(all(a <= b for a, b in zip(places, places[1:])) and places[0] < places[-1] for places in several)
            still = sum(len(set(places)) == 1 for places in several)
            doc.text(f"As m grows, the value with the lowest mean moves towards the target, and never back, in {onward} of {len(several)} families, stays in "
                     f"{still}, and goes otherwise in {len(several) - onward - still}. **Bold**: lower than the runner-up by more than two standard errors.")


# ------------------------------------------------------------------------------------------------
# Projections against ranking.

def kind(row):
    """span, cone, capped or soft, as a projection; None for what is no projection, or is changed by other options."""
    if row["method"] not in ("span", "cone", "capped"):
        return None
    return "soft" if numbers.option(row["options"], "strength", "1") not in ("1", "1.0") else row["method"]


def keep(row):
    return float(numbers.option(row["options"], "keep", 0.5))


def matchups(rows):
    """(projection, subset) of one group; capped only against its own k. Of span, cone and soft the form with the fewest options."""
    pairs = []
    for label, row in rows.items():
        if row["method"] != "subset" or numbers.option(row["options"], "normalise", "0") != "0" or numbers.option(row["options"], "rescale", "none") != "none":
            continue
        alike = {other: r for other, r in rows.items() if r["group"] == row["group"] and kind(r) and numbers.option(r["options"], "rescale", "none") == "none"}
        for which in ("span", "cone", "soft", "capped"):
            some = {other: r for other, r in alike.items() if kind(r) == which and (which != "capped" or keep(r) == keep(row))}
            if some:
                pairs.append((numbers.plain_form(some), label))
    return pairs


def about_projections(lab, doc, rows, ends, label_of):
    doc.text("Each projection against the subset (top-k by score) of the same group: the capped simplex has the subset's own k, for span, cone and the soft "
             "path every subset's k is shown. Differences projection less subset, so that a negative one is in the projection's favour (for ρ a "
             "positive one); **bold** beyond two standard errors.")
    shown = False
    for source, label, world in ((numbers.equal_steps(rows), label_of, "GPT"), (ends, str, "n-gram world")):
        for m in numbers.sizes(source):
            results = Results([row for row in source if row["m"] == m], label)
            table = []
            for ours, theirs in matchups({name: results.first(name) for name in results.names}):
                final, best = (paired(results.column(ours, c), results.column(theirs, c)) for c in ("test_loss", "best_test_loss"))
                if final:
                    table.append([f"{label(ours)} − {label(theirs)}", bold_if(differs(final), with_error(final, True)),
                                  bold_if(differs(best), with_error(best, True)), str(final.count)])
            if table:
                shown = True
                doc.part(f"Training runs, {world}, m = {m}")
                doc.table(["difference", "test loss, end", "test loss, at its best", "seeds"], table)
                doc.text(tally(table, 1, "test loss at the end"))
    for at in lab.probes:
        table = []
        for ours, theirs in matchups(probe_variants(lab, at)):
            gaps = [numbers.difference(lab, at, ours, theirs, measure) for measure in ("bias2", "v_tgt", "v_gen", "mse", "rho")]
            table.append([f"{ours} − {theirs}"] + [bold_if(differs(gap), with_error(gap, True)) for gap in gaps])
        if table:
            shown = True
            doc.part(f"Probe, {at_text(at)}")
            doc.table(["difference", "bias²", "v_tgt", "v_gen", "mse", "ρ"], table)
            doc.text(tally(table, 4, "mse"))
    if not shown:
        doc.text("Not shown: no run and no probe has both a subset and a projection of one group.")


def tally(table, column, what):
    lower = sum(row[column].startswith("**-") for row in table)
    higher = sum(row[column].startswith("**+") for row in table)
    return f"In {what} the projection is lower in {lower} of {len(table)} pairs, higher in {higher}, not separated in {len(table) - lower - higher}."


# ------------------------------------------------------------------------------------------------
# The case study.

def interval(values, places=2):
    return f"{min(values):.{places}f}..{max(values):.{places}f}"


def published_share(kind_of):
    return [value / max(column) for value, *column in zip(published.MAGNITUDE[kind_of], *published.MAGNITUDE.values())]


def study_table(doc, types, n):
    magnitude = {t: numbers.study_estimate([q for _, q in sites], "magnitude") for t, sites in types.items()}
    matrices = [t for t in types if t in published.NAMES] or list(types)
    largest = max(magnitude[t].value for t in matrices)
    rows = []
    for t, sites in types.items():
        of = {quantity: numbers.study_estimate([q for _, q in sites], quantity) for quantity in numbers.STUDY}
        mean = magnitude[t]
        rows.append([t, scientific(mean.value) + (f" ± {scientific(mean.error)}" if mean.error else ""), f"{mean.value / largest:.3g}" if largest else "",
                     with_error(of["spearman"]), with_error(of["spearman_rest"]), with_error(of["jaccard"]),
                     published.NAMES.get(t, ""), interval(published_share(t), 3) if t in published.NAMES else "",
                     interval(published.SPEARMAN[t]) if t in published.NAMES else ""])
    doc.table(["layer type", "mean |s|", "over the largest matrix type", "Spearman with global", "without its own part", "Jaccard of top halves",
               "published type", "over its largest", "Spearman"], rows)
    doc.text(f"Chance value of the Jaccard index for {n // 2} of {n}: {numbers.chance_jaccard(n, n // 2):.3f} (4 of 8, as published: "
             f"{numbers.chance_jaccard(8, 4):.3f}, where sets of a layer had .446 and .480 in common with the global one).")
    shared = [t for t in published.NAMES if t in types]
    if len(shared) > 2:
        ours = [magnitude[t].value for t in shared]
        rho = [numbers.study_estimate([q for _, q in types[t]], "spearman").value for t in shared]
        theirs = [estimate(published_share(t)).value for t in shared]
        their_rho = [estimate(published.SPEARMAN[t]).value for t in shared]
        doc.text(f"Over the {len(shared)} types that both have, the order of magnitudes agrees with the published one at a rank correlation of "
                 f"{numbers.spearman(ours, theirs):.2f}, the order of correlations at {numbers.spearman(rho, their_rho):.2f}. Largest here: "
                 f"{shared[ours.index(max(ours))]}; published: {shared[theirs.index(max(theirs))]}.")


def number_order_of(block):
    """Blocks by number, what is outside of them last."""
    return int(block) if re.fullmatch(r"\d+", block) else math.inf


def block_table(doc, types):
    blocks = sorted({block for sites in types.values() for block, _ in sites}, key=lambda b: (number_order_of(b), b))
    if len(blocks) < 2:
        return
    rows = []
    for t, sites in types.items():
        cells = [numbers.study_estimate([q for b, q in sites if b == block], "magnitude") for block in blocks]
        rows.append([t] + [scientific(e.value) if e else "" for e in cells])
    doc.table(["mean |s|"] + ["outside of blocks" if number_order_of(b) == math.inf else f"block {b}" for b in blocks], rows)


def about_scores(lab, doc, drawn):
    if lab.lacks("scores"):
        doc.text(lab.lacks("scores"))
        return
    worlds = {row["world"] for row in lab.tables["scores"]}
    world = "gpt" if "gpt" in worlds else sorted(worlds)[0]
    doc.text("Which layers decide a global choice? The scores s_i = ⟨g_i, t⟩ of every site in the probe. The global score is the sum over all sites, so a site "
             "of large magnitude agrees with it by construction; the column without its own part leaves the site out of the sum. The published "
             "study trained Llama-3.2-1B with batches of 8, four settings; its magnitudes are comparable only relative to each other.")
    for step in sorted({row["step"] for row in lab.tables["scores"] if row["world"] == world}):
        rows = [row for row in lab.tables["scores"] if row["world"] == world and row["step"] == step]
        study, n = numbers.score_study(rows)
        doc.part(at_text((world, step)))
        name = f"scores-{world}-{step:.0f}"
        if name in drawn:
            doc.figure(name, f"Scores by layer type, {at_text((world, step))}. Left: mean |s|, a dot a block. Right: rank correlation with the global score, whole and "
                       "without the site's own part; bars: one standard error; grey bands: range of the published four settings.")
        study_table(doc, numbers.by_type(study), n)
        block_table(doc, numbers.by_type(study))


# ------------------------------------------------------------------------------------------------
# The published comparison.

def published_names(results):
    """Our name for each of published.ROWS: of several subsets the one that keeps nearest to half; None where there is none."""
    wanted = (("full", None), ("subset", "global"), ("subset", "layer"), ("target", None))
    found = []
    for method, group in wanted:
        some = [name for name in results.names if results.first(name)["method"] == method and group in (None, results.first(name)["group"])]
        found.append(min(some, key=lambda name: (abs(keep(results.first(name)) - 0.5), len(results.first(name)["options"]))) if some else None)
    return found


def about_published(doc, rows, label_of):
    rows = numbers.equal_steps(rows)
    for m in numbers.sizes(rows):
        results = Results([row for row in rows if row["m"] == m], label_of)
        ours = published_names(results)
        if None in ours:
            doc.text(f"Not shown (m = {m}): no run of " + listed(p for p, name in zip(published.ROWS, ours) if name is None) + ".")
            continue
        doc.part(f"m = {m}")
        table = [["ours: " + ", ".join(label_of(name) for name in ours)] + [perplexities(results, name) for name in ours]]
        table += [[f"published: {setting}"] + [f"{low:.2f} / {final:.2f} ({final / low:.2f}x)" for low, final in row]
                  for setting, row in published.PERPLEXITY.items()]
        doc.table(["perplexity on the test set, lowest / final"] + list(published.ROWS), table)
        accuracy = [["ours: accuracy, exact match"] + [f"{percent(results.mean(name, 'accuracy'))}, {percent(results.mean(name, 'exact'))}" for name in ours]]
        accuracy += [[f"published: {setting}, ROUGE-L or F1"] + [f"{value:.3f}" for value in row] for setting, row in published.DOWNSTREAM.items()]
        doc.table(["on the task, final"] + list(published.ROWS), accuracy)
        doc.bullets(agreement(results, ours))


def perplexities(results, name):
    low, final = results.mean(name, "best_test_loss").value, results.mean(name, "test_loss").value
    if not math.isfinite(final):
        return "diverged"
    return f"{math.exp(low):.2f} / {math.exp(final):.2f} ({math.exp(final - low):.2f}x)"


def agreement(results, ours):
    """A sentence a pair of rows and measure: how often the published one is lower (higher), what ours says, whether that agrees."""
    sentences = []
    measures = (("final perplexity", "test_loss", [[row[i][1] for i in range(4)] for row in published.PERPLEXITY.values()]),
                ("lowest perplexity", "best_test_loss", [[row[i][0] for i in range(4)] for row in published.PERPLEXITY.values()]),
                ("task measure", "exact", list(published.DOWNSTREAM.values())))
    for what, column, theirs in measures:
        for i in range(4):
            for j in range(i + 1, 4):
                gap = paired(results.column(ours[i], column), results.column(ours[j], column))
                if gap is None or not math.isfinite(gap.value):
                    continue
                lower = sum(row[i] < row[j] for row in theirs)
                most = lower * 2 - len(theirs)
                if not differs(gap):
                    judged = "ours not separated"
                elif most == 0:
                    judged = "published undecided"
                else:
                    judged = "agrees" if (gap.value < 0) == (most > 0) else "**disagrees**"
                unit = {"test_loss": "log perplexity", "best_test_loss": "log perplexity", "exact": "exact match"}[column]
                sentences.append(f"{what}: {published.ROWS[i]} below {published.ROWS[j]} in {lower} of {len(theirs)} published settings; ours "
                                 f"{with_error(gap, True)} ({unit}): {judged}.")
    return sentences


# ------------------------------------------------------------------------------------------------
# The commands.

def about_commands(lab, doc):
    if lab.lacks("runs"):
        doc.text(lab.lacks("runs"))
    else:
        first = collections.OrderedDict()
        for row in lab.tables["runs"]:
            first.setdefault(row["name"] or row["folder"], row)
        doc.text("One run of each kind; `runs.csv` has all. To repeat a row of another file: find its folder in `runs.csv` and run that line's `command` from "
                 f"the repository root, with OUT=sweep/{lab.name} (a base model before what starts from it). `make sweep PLAN={lab.name}` runs whatever is missing, "
                 f"`make report PLAN={lab.name}` writes this report.")
        doc.code("\n".join(f"# {row['folder']}\n{row['command']}" for row in first.values()))
    doc.part("The plan")
    if lab.plan():
        doc.code(lab.plan())
    else:
        doc.text("Not shown: the file plan is missing.")


# ------------------------------------------------------------------------------------------------

def add_variants(lab, ends):
    """Runs of the n-gram world are named by the label of a probed variant, which knows their method and options."""
    known = {}
    for row in lab.tables["probe"]:
        if row["world"] == "ngram":
            known[row["label"]] = row
    for row in ends:
        found = known.get(row["name"], {})
        row.update({column: found.get(column, "") for column in ("method", "group", "options")}, tokens=None)
    return ends


def about_curves(lab, doc, drawn):
    for name, caption, needs in (("curves", "Training runs of the GPT", "curves"), ("curves-ngram", "Training runs of the n-gram world, exact losses", "ngram_curves")):
        some = [d for d in drawn if re.fullmatch(name + r"-m\w+", d)]
        if lab.lacks(needs):
            doc.text(lab.lacks(needs))
        for d in some:
            doc.figure(d, f"{caption}, m = {d.split('-m')[-1]}. Means over the seeds with a band of one standard error. Of variants that differ in a knob alone "
                       "the one with the lowest loss on the choosing rows (n-gram world: the middle value) is drawn. "
                       "Short peaks may reach beyond the panel.")


def about_forgetting(doc, rows, ends, drawn, label_of):
    some = [d for d in drawn if d.startswith("pareto")]
    for d in some:
        doc.figure(d, f"What is gained and what is forgotten, {'n-gram world' if 'ngram' in d else 'GPT'}, m = {d.split('-m')[-1]}. Final test loss against "
                   "the rise of the general loss over the base's; bars: one standard error. No other method is better in both where the dashed line passes.")
    if not rows and not ends:
        doc.text("Not shown: results.csv and ngram_curves.csv have no runs.")
    for source, label, world in ((rows, label_of, "GPT"), (ends, str, "n-gram world")):
        for m in numbers.sizes(source):
            results = Results(numbers.equal_steps([row for row in source if row["m"] == m]), label)
            front = pareto_front({name: (results.forgetting(name), results.mean(name, "test_loss")) for name in results.names})
            doc.text(f"{world}, m = {m}: no method has both means lower than {listed(label(name) for name in front)}.")


def pareto_front(points):
    """The names for which no other is lower in both means; {name: (Estimate, Estimate)}, in the order of the first."""
    finite = {name: (a.value, b.value) for name, (a, b) in points.items() if a and b and math.isfinite(a.value) and math.isfinite(b.value)}
    front = [name for name, (a, b) in finite.items() if not any(x <= a and y <= b and (x, y) != (a, b) for x, y in finite.values())]
    return sorted(front, key=lambda name: finite[name])


def summary(lab, rows, ends):
    """What there is, and what a seed is."""
    seeds = sorted({row["seed"] for row in rows or lab.tables["probe"]}, key=numbers.number_order)
    parts = [f"{counted(len(lab.tables['results']), 'training run')} {'on prompts' if lab.of_prompts else 'of the GPT'}"] if rows else []
    parts += [f"{len(ends)} of the n-gram world"] if ends else []
    parts += [f"{counted(len(lab.tables['probe']), 'row')} of probes at {counted(len(lab.probes), 'checkpoint')}"] if lab.probes else []
    of_m = "" if lab.of_prompts or not rows else f"; target sets of m = {', '.join(numbers.sizes(rows))} {lab.items()}"
    text = (f"{', '.join(parts)}; seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds) or 'none'}{of_m}. A seed is a world, a base model and a draw of {'the prompts' if lab.of_prompts else 'the target set'}. "
            "Every number and every sentence about it is computed from the CSV files beside this page.")
    if len(seeds) < 3 and rows:
        text += f" With {counted(len(seeds), 'seed')} a standard error over seeds is {'not known' if len(seeds) < 2 else 'itself hardly known'}."
    return text


# Sections about runs stand where there are runs; those about probes too, so that what is missing beside them is said.
def write_report(lab, drawn, remark):
    doc = Document()
    rows = lab.results
    labels = {row["name"]: row["label"] or row["name"] for row in rows}
    label_of = lambda name: labels.get(name, name)
    ends = add_variants(lab, numbers.ngram_ends(lab.tables["ngram_curves"]))
    trained = bool(rows or ends) and not lab.of_prompts
    doc.add("heading", 1, f"The sweep `{lab.name}`")
    doc.text(summary(lab, rows, ends))
    if remark:
        doc.text(remark)
    if trained or lab.probes:
        doc.heading("What was to be visible, and whether it is")
        about_extremes(lab, doc)
    if trained:
        doc.bullets(turns(rows, ends, label_of) or ["Test loss of target-only turns upward: not measured."])
        about_training(lab, doc, rows, ends, drawn, label_of)
    if lab.of_prompts:
        rewards.write(lab, doc, drawn, label_of)
    if trained or lab.probes:
        about_updates(lab, doc, rows if trained else [], ends, drawn, label_of)
    if trained:
        doc.heading("What the update is made of")
        about_composition(lab, doc, drawn, label_of)
    if trained or lab.probes:
        doc.heading("Case study: which layers decide")
        about_scores(lab, doc, drawn)
    if lab.name.startswith("paper"):
        doc.heading("Beside the published comparison")
        about_published(doc, rows, label_of)
    doc.heading("The commands")
    about_commands(lab, doc)
    return doc


def about_training(lab, doc, rows, ends, drawn, label_of):
    doc.heading("Results")
    about_results(lab, doc, rows, label_of)
    if ends:
        for m in numbers.sizes(ends):
            ngram_table(doc, ends, m)
    else:
        doc.text(lab.lacks("ngram_curves"))
    doc.heading("Training curves")
    about_curves(lab, doc, drawn)
    doc.heading("Forgetting")
    about_forgetting(doc, rows, ends, drawn, label_of)


def about_updates(lab, doc, rows, ends, drawn, label_of):
    doc.heading("Bias and variance of the update")
    about_probes(lab, doc, drawn)
    doc.heading("Progress")
    if "progress" in " ".join(drawn):
        for world in ("gpt", "ngram"):
            if f"progress-{world}" in drawn:
                doc.figure(f"progress-{world}", f"Along a training run, {WORLDS[world]}. Descent efficiency ρ and one-step mse of the update at each probed checkpoint; "
                           "bars: one standard error.")
    else:
        doc.text(lab.lacks("probe") or "Not shown: fewer than two checkpoints were probed, or nothing could be drawn.")
    doc.heading("Knobs")
    about_knobs(lab, doc, rows, ends, drawn)
    doc.heading("Projecting against ranking")
    about_projections(lab, doc, rows, ends, label_of)


def about_composition(lab, doc, drawn, label_of):
    if lab.lacks("composition"):
        doc.text(lab.lacks("composition"))
        return
    rows = lab.tables["composition"]
    for m in numbers.sizes(rows):
        if f"composition-m{m}" in drawn:
            doc.figure(f"composition-m{m}", f"Share of Σ|α| on each part of the general data, m = {m}. Means over groups and over the steps since the evaluation before, "
                       "then over the seeds, with a band of one standard error.")
        domains = list(collections.OrderedDict.fromkeys(row["domain"] for row in rows))
        table = []
        for name in numbers.names_of([row for row in rows if row["m"] == m]):
            of = [row for row in rows if row["name"] == name and row["m"] == m]
            last = max(row["step"] for row in of)
            table.append([label_of(name)] + [with_error(estimate(row["mass"] for row in of if row["domain"] == d and row["step"] == step))
                                             for step in (min(row["step"] for row in of), last) for d in domains])
        doc.table([f"m = {m}"] + [f"{d}, {when}" for when in ("first", "last") for d in domains], table)


def draw(lab, folder):
    """(names of the figures drawn, a remark if there are none)."""
    try:
        import report_figures
    except ImportError as error:
        return [], f"No figures: {error}. `make report PLAN={lab.name}` installs what they take, given python3-venv and the network."
    ends = add_variants(lab, numbers.ngram_ends(lab.tables["ngram_curves"]))
    return report_figures.draw_all(lab, ends, folder), ""


def write(path, text):
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".tmp", path)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    folder = sys.argv[1]
    try:
        lab = Lab(folder)
        shutil.rmtree(os.path.join(folder, "figures"), ignore_errors=True)
        drawn, remark = draw(lab, os.path.join(folder, "figures"))
        doc = write_report(lab, drawn, remark)
        write(os.path.join(folder, "report.md"), doc.markdown())
        write(os.path.join(folder, "report.html"), doc.html(f"The sweep {lab.name}", folder))
    except Fault as fault:
        sys.exit(f"error: {fault}")
    print(f"{folder}/report.html, report.md" + (", " + counted(len(drawn), "figure") if drawn else "; " + remark))


if __name__ == "__main__":
    main()
