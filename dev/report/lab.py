"""lab.py -- the numbers of a report: reads a sweep's collected CSV files, and computes what is said about them. Draws nothing; needs
nothing but Python's standard library.

Errors are standard errors throughout. Of a mean over seeds: the standard deviation (divisor n - 1) over the root of n. Of a
probe: over the seeds where there are three or more, else from the jackknife over its target draws.
"""
import collections
import csv
import itertools
import math
import os
import re
import statistics


class Fault(Exception):
    """Something is wrong with the input; the text says what, in one line."""


# ------------------------------------------------------------------------------------------------
# Statistics.

# error is None where it is not known (a single value); count: the values it is a mean of.
Estimate = collections.namedtuple("Estimate", "value error count")


def estimate(values):
    """The mean of the values that there are, with its standard error."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    if not all(map(math.isfinite, values)):
        return Estimate(math.nan, math.nan if len(values) > 1 else None, len(values))
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), error, len(values))


def paired(a, b):
    """Of two {seed: value}: the mean of a - b over the seeds that both have."""
    both = [seed for seed in a if seed in b and a[seed] is not None and b[seed] is not None]
    return estimate([a[seed] - b[seed] for seed in both])


def differs(e):
    """Is the estimate further from 0 than two standard errors? Where no error is known: no."""
    return e is not None and e.error is not None and abs(e.value) > 2 * e.error


def jackknife_error(replicates):
    """The standard error of an estimate, from the estimates with one draw left out each."""
    count, mean = len(replicates), statistics.fmean(replicates)
    return math.sqrt((count - 1) / count * sum((r - mean) ** 2 for r in replicates))


def ranks(values):
    """1 for the smallest; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    for _, tied in itertools.groupby(enumerate(order, 1), key=lambda pair: values[pair[1]]):
        tied = list(tied)
        for _, i in tied:
            result[i] = statistics.fmean(rank for rank, _ in tied)
    return result


def spearman(a, b):
    """Rank correlation; None if one of the two is constant."""
    a, b = ranks(a), ranks(b)
    mean = (len(a) + 1) / 2
    product = sum((x - mean) * (y - mean) for x, y in zip(a, b))
    norm = math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))
    return product / norm if norm > 0 else None


def top_half(scores):
    """The rows with the highest scores, half of them; of equal scores the first row's counts as higher."""
    return set(sorted(range(len(scores)), key=lambda i: -scores[i])[:len(scores) // 2])


def jaccard(a, b):
    return len(a & b) / len(a | b)


def chance_jaccard(n, k):
    """What two sets of k rows, drawn from n blindly, are expected to have in common."""
    return sum(math.comb(k, h) * math.comb(n - k, k - h) / math.comb(n, k) * h / (2 * k - h) for h in range(k + 1))


def separated_best(columns):
    """The name whose mean is lowest, and the paired difference of the runner-up to it. columns: {name: {seed: value}}."""
    means = {name: estimate(by_seed.values()) for name, by_seed in columns.items()}
    order = sorted((name for name in means if means[name] and math.isfinite(means[name].value)), key=lambda name: means[name].value)
    if len(order) < 2:
        return None, None
    return order[0], paired(columns[order[1]], columns[order[0]])


# ------------------------------------------------------------------------------------------------
# The files.

# What is no number.
TEXTS = {"folder", "name", "label", "method", "group", "options", "m", "seed", "command", "domain", "world", "site", "block", "chosen"}
# A run that diverged has no loss; anything else that is no number is a fault of the file.
MAY_BE_NAN = {"test_loss", "best_test_loss", "best_general_loss", "general_loss", "target_loss", "choice_loss", "test", "train", "general"}
MEASURES = ("bias2", "v_tgt", "v_gen", "mse", "cos_t", "cos_true", "norm2", "rho")
COLUMNS = {
    "runs": "folder name command",
    "results": "name label method group options m seed lr steps tokens test_loss accuracy exact best_test_loss best_step best_accuracy best_exact "
               "best_general_loss general_loss target_loss choice_loss base_test_loss base_accuracy base_exact base_general_loss folder chosen",
    "curves": "name m seed step test_loss general_loss target_loss tokens",
    "composition": "name m seed step domain mass",
    "probe": "world seed step label method group options n m draws batches parameters t_norm2 reference_error "
             + " ".join(f"{measure} {measure}_se" for measure in MEASURES),
    "replicates": "world seed step label draw " + " ".join(MEASURES),
    "scores": "world seed step draw batch site block s_0",
    "ngram_curves": "name m seed step test train general",
}
# Of runs on prompts, which have rewards for losses, and no m: their target prompts are 16.
OF_PROMPTS = {
    "results": "name label method group options seed lr steps reward right early_reward best_reward best_step base_reward base_right sampled_reward "
               "target_reward known_accuracy folder chosen",
    "curves": "name seed step reward right sampled_reward target_reward",
}


def columns_of(name, header):
    return (OF_PROMPTS if name in OF_PROMPTS and "reward" in header else COLUMNS)[name].split()


def cell(text, column, where):
    """A text, or a number; None where nothing was measured."""
    if column in TEXTS:
        return text
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        raise Fault(f'{where}: {column} is "{text}", which is no number') from None
    if not math.isfinite(number) and column not in MAY_BE_NAN:
        raise Fault(f"{where}: {column} is {text}")
    return number


def read_table(folder, name):
    """The rows of FOLDER/NAME.csv as dictionaries; none if it is missing or empty."""
    path = os.path.join(folder, name + ".csv")
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        columns = next(lines, [])
        known = columns_of(name, columns)
        lacking = [column for column in known if column not in columns]
        if columns and lacking:
            raise Fault(f"{path}: no column {', '.join(lacking)}")
        rows = []
        for fields in lines:
            where = f"{path}, line {lines.line_num}"
            if columns[-1] == "command":  # may hold commas
                fields[len(columns) - 1:] = [",".join(fields[len(columns) - 1:])]
            names = columns
            numbered = re.fullmatch(r"(s_|mass_)(\d+)", columns[-1])
            if numbered:  # worlds may differ in their rows and domains: the last columns of one may be more or fewer than the header's
                fixed = len(columns) - int(numbered.group(2)) - 1
                names = columns[:fixed] + [f"{numbered.group(1)}{i}" for i in range(len(fields) - fixed)]
            if len(fields) != len(names):
                raise Fault(f"{where}: {len(fields)} fields, the header has {len(columns)}")
            rows.append({column: cell(text, column, where) if column in known or column.startswith("s_") else text
                         for column, text in zip(names, fields)})
    return rows


SCALE_FREE = ("v_share", "turn")


def scale_free(row):
    """What does not depend on the update's length: v_tgt / E|u|^2, and 1 - cos^2 of E u and t*, which is rho E|u|^2 / |E u|^2."""
    if None in (row["v_tgt"], row["v_gen"], row["norm2"], row["rho"]) or row["norm2"] <= 0:
        return dict.fromkeys(SCALE_FREE)
    mean2 = row["norm2"] - row["v_tgt"] - row["v_gen"]  # |E u|^2, without the draws' own part
    return {"v_share": row["v_tgt"] / row["norm2"], "turn": 1 - row["rho"] * row["norm2"] / mean2 if mean2 > 1e-9 * row["norm2"] else None}


class Lab:
    """All that a sweep collected. `results` are the chosen runs alone; `tables` has every file's rows as they are."""

    def __init__(self, folder):
        if not os.path.isdir(folder):
            raise Fault(f"{folder} is not there; make sweep PLAN={os.path.basename(folder)} makes it")
        self.folder, self.name = folder, os.path.basename(os.path.normpath(folder))
        self.tables = {name: read_table(folder, name) for name in COLUMNS}
        if not any(self.tables.values()):
            raise Fault(f"{folder} holds none of {', '.join(name + '.csv' for name in COLUMNS)}")
        self.results = [row for row in self.tables["results"] if row["chosen"] == "1"]
        self.of_prompts = any("reward" in row for row in self.results)
        for row in self.results + self.tables["curves"]:
            row.setdefault("m", "")
        self.replicates = collections.defaultdict(dict)
        for row in self.tables["replicates"]:
            self.replicates[row["world"], row["step"], row["seed"], row["label"]][row["draw"]] = row
        for name in ("probe", "replicates"):
            for row in self.tables[name]:
                row.update(scale_free(row))
        for row in self.tables["probe"]:
            left_out = self.replicates.get((row["world"], row["step"], row["seed"], row["label"]), {}).values()
            for measure in SCALE_FREE:
                values = [r[measure] for r in left_out]
                row[measure + "_se"] = jackknife_error(values) if len(values) > 1 and None not in values else None
        self.probes = collections.OrderedDict()  # {(world, step): {label: {seed: row}}}
        for row in self.tables["probe"]:
            self.probes.setdefault((row["world"], row["step"]), collections.OrderedDict()).setdefault(row["label"], {})[row["seed"]] = row
        self.probes = collections.OrderedDict(sorted(self.probes.items(), key=lambda item: (item[0][0] != "gpt", item[0])))

    def path(self, name):
        return os.path.join(self.folder, name + ".csv")

    def lacks(self, *names):
        """One line about the first of the files that has no rows; "" if all have."""
        for name in names:
            if not self.tables[name]:
                state = "holds no rows" if os.path.exists(self.path(name)) else "is missing"
                return f"Not shown: {name}.csv {state}."
        return ""

    def items(self):
        """What a row of a batch is."""
        objectives = {option(row["command"], "objective") for row in self.tables["runs"]}
        return "responses" if objectives & {"grpo", "ppo"} else "pairs" if objectives & {"dpo", "reward"} else "rows"

    def plan(self):
        path = os.path.join(self.folder, "plan")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip()


def number_order(text):
    """Sorts texts that are numbers by size, "inf" last."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


# ------------------------------------------------------------------------------------------------
# Training runs.

def sizes(rows):
    return sorted({row["m"] for row in rows}, key=number_order)


def names_of(rows):
    """In the order of the file."""
    return list(collections.OrderedDict.fromkeys(row["name"] for row in rows))


def by_seed(rows, name, column):
    return {row["seed"]: row[column] for row in rows if row["name"] == name}


def ends_in_flops(name):
    return name.endswith("-flops")


def equal_tokens(rows):
    """The runs that have processed about as many tokens: NAME-flops where there is one, else NAME."""
    longer = {row["name"] for row in rows if ends_in_flops(row["name"])}
    return [row for row in rows if row["name"] + "-flops" not in longer] if longer else []


def equal_steps(rows):
    return [row for row in rows if not ends_in_flops(row["name"])]


def option(text, name, default=None):
    """The value of --name in a text of options."""
    found = re.search(rf"(?:^|\s)--{name}(?:\s+|=)(\S+)", text or "")
    return found.group(1) if found else default


# method: (reads K, reads s). Only then do inner products cost something.
READS = collections.defaultdict(lambda: (True, True), target=(False, False), full=(False, False), mix=(False, False), random=(False, False),
                                subset=(False, True), filter=(False, True), inside=(False, False), outside=(False, False))
FLOPS = "P (6 tokens + steps (n² if K is read + 2n if s is read))"


def parameters(lab):
    """The model's weights: as the probe counted them, else from --init L2,H4,C64,V41,T12 in a command; None if neither says."""
    for row in lab.tables["probe"]:
        if row["world"] == "gpt" and row["parameters"]:
            return int(row["parameters"])
    for row in lab.tables["runs"]:
        sizes_of = dict((part[0], part[1:]) for part in option(row["command"], "init", "").split(",") if part[1:].isdigit())
        if {"L", "C", "V", "T"} <= set(sizes_of):
            L, C, V, T = (int(sizes_of[letter]) for letter in "LCVT")
            return V * C + T * C + L * (12 * C * C + 13 * C) + 2 * C
    return None


def general_rows(lab, row):
    """n: the general rows of a step, from the run's command."""
    for run in lab.tables["runs"]:
        if run["folder"] == row["folder"]:
            n = option(run["command"], "batch") or option(run["command"], "b")
            return int(n) if n and n.isdigit() else None
    return None


def flops(lab, row, P):
    """What a run has computed, by the formula FLOPS; None where a size is not known."""
    reads_gram, reads_scores = READS[row["method"]]
    n = general_rows(lab, row) if reads_gram or reads_scores else 0
    if P is None or n is None or row["tokens"] is None or row["steps"] is None:
        return None
    return P * (6 * row["tokens"] + row["steps"] * (n * n * reads_gram + 2 * n * reads_scores))


def curves_of(rows, name, m, column):
    """(steps, estimates) over the seeds, at the steps that all of them have."""
    seeds = collections.defaultdict(dict)
    for row in rows:
        if row["name"] == name and row["m"] == m and row[column] is not None:
            seeds[row["seed"]][row["step"]] = row[column]
    if not seeds:
        return [], []
    steps = sorted(set.intersection(*(set(at) for at in seeds.values())))
    return steps, [estimate([at[step] for at in seeds.values()]) for step in steps]


def ngram_ends(rows):
    """The n-gram world's training runs in the form of results: final and best test loss, final general loss and loss on D*."""
    runs = collections.OrderedDict()
    for row in rows:
        runs.setdefault((row["name"], row["m"], row["seed"]), []).append(row)
    ends = []
    for (name, m, seed), points in runs.items():
        points.sort(key=lambda row: row["step"])
        finite = [p for p in points if p["test"] is not None and math.isfinite(p["test"])] or points
        best, first, last = min(finite, key=lambda row: row["test"]), points[0], points[-1]
        ends.append({"name": name, "m": m, "seed": seed, "test_loss": last["test"], "best_test_loss": best["test"], "best_step": best["step"],
                     "steps": last["step"], "target_loss": last["train"], "general_loss": last["general"], "base_test_loss": first["test"],
                     "base_general_loss": first["general"], "lr": float(first["lr"]) if first.get("lr") else None})
    return ends


# ------------------------------------------------------------------------------------------------
# Probes.

def over_seeds(values, errors):
    """Means of what several seeds measured: see the head of this file."""
    if len(values) > 2:
        return estimate(values)
    known = [e for e in errors if e is not None]
    error = math.sqrt(sum(e * e for e in known)) / len(known) if known and len(known) == len(values) else None
    return Estimate(statistics.fmean(values), error, len(values))


def measured(lab, at, label, measure):
    """A measure of a variant at (world, step); None where there is none."""
    rows = [row for row in lab.probes.get(at, {}).get(label, {}).values() if row[measure] is not None]
    return over_seeds([row[measure] for row in rows], [row[measure + "_se"] for row in rows]) if rows else None


def difference(lab, at, a, b, measure):
    """Of two variants from the same draws: a - b, its error from the replicates."""
    values, errors = [], []
    for seed in lab.probes[at][a]:
        if seed not in lab.probes[at][b]:
            continue
        of_a, of_b = lab.probes[at][a][seed][measure], lab.probes[at][b][seed][measure]
        if of_a is None or of_b is None:
            continue
        values.append(of_a - of_b)
        left_a, left_b = lab.replicates.get((*at, seed, a), {}), lab.replicates.get((*at, seed, b), {})
        pairs = [(left_a[draw][measure], left_b[draw][measure]) for draw in left_a if draw in left_b]
        known = len(pairs) > 1 and not any(None in pair for pair in pairs)
        errors.append(jackknife_error([x - y for x, y in pairs]) if known else None)
    return over_seeds(values, errors) if values else None


def variant(lab, at, label):
    """Any seed's row: method, group and options are the same in all."""
    return next(iter(lab.probes[at][label].values()))


def plain_form(labels_rows):
    """Of several variants, the one with the fewest options, the first of those."""
    return min(labels_rows, key=lambda label: len((labels_rows[label]["options"] or "").split())) if labels_rows else None


def mse_over(row, h):
    """Of a row: the error of the mean of h steps with one target set, bias2 + v_tgt + v_gen / h."""
    return row["bias2"] + row["v_tgt"] + row["v_gen"] / h


def best_over(lab, at, h):
    """The variant with the lowest mse_h, and that."""
    means = {}
    for label, rows in lab.probes[at].items():
        whole = [row for row in rows.values() if None not in (row["bias2"], row["v_tgt"], row["v_gen"])]
        if whole:
            means[label] = statistics.fmean(mse_over(row, h) for row in whole)
    return min(means.items(), key=lambda item: item[1]) if means else (None, None)


def has_length_of_t(row):
    """Not so where the update is made of single general rows or their mean, unless it is scaled to its ray."""
    return row["method"] not in ("subset", "random", "filter", "greedy", "trust", "agem_mirror") or option(row["options"], "rescale", "none") != "none"


def extremes(lab, at, method, measure):
    """Is a variant of `method` the one whose measure is largest? (its label, the largest other, its difference to that)."""
    of = {label: measured(lab, at, label, measure) for label in lab.probes[at]
          if measure not in ("bias2", "v_tgt") or has_length_of_t(variant(lab, at, label))}
    of = {label: e for label, e in of.items() if e and (measure != "turn" or (e.error is not None and e.error < 0.2))}  # else it says nothing
    own = [label for label in of if variant(lab, at, label)["method"] == method]
    others = [label for label in of if label not in own]
    if not own or not others:
        return None
    first = max(own, key=lambda label: of[label].value)
    second = max(others, key=lambda label: of[label].value)
    return first, second, difference(lab, at, first, second, measure)


# ------------------------------------------------------------------------------------------------
# Knobs.

# A method's knob: the option, its value where it is not given, and +1 if a larger value leads towards the target gradient
# (less bias, more variance), else -1.
KNOBS = (("keep", 0.5, -1, "subset random greedy capped"), ("ridge", 0.0, -1, "span cone simplex capped"), ("mix", 0.5, 1, "mix"),
         ("radius", 0.5, 1, "trust cagrad"), ("rank", 32.0, 1, "inside"), ("rank", 32.0, -1, "outside"),
         ("strength", 1.0, -1, "span cone simplex capped"))
Family = collections.namedtuple("Family", "method group knob towards others members")  # members: [(value, label)], towards the target


def knob_value(row, knob, default):
    try:
        return float(option(row["options"], knob, default))
    except ValueError:  # --strength auto
        return None


def families(rows):
    """Variants that differ in one knob alone. rows: {label: a row with method, group and options}."""
    found = []
    for knob, default, towards, methods in KNOBS:
        alike = collections.OrderedDict()
        for label, row in rows.items():
            value = knob_value(row, knob, default)
            if row["method"] not in methods.split() or value is None:
                continue
            rest = re.sub(rf"--(?:{knob}|method|group)(?:\s+|=)\S+", " ", row["options"] or "")
            others = " ".join(sorted(re.findall(r"--\S+(?:\s+[^-\s]\S*)?", rest)))
            alike.setdefault((row["method"], row["group"], others), {})[value] = label
        for (method, group, others), members in alike.items():
            if len(members) > 1:
                found.append(Family(method, group, knob, towards, others, sorted(members.items(), key=lambda item: towards * item[0])))
    return found


def family_title(family):
    parts = [family.method] + ([f"by {family.group}" if family.group != "global" else "global"] if family.group and family.method != "mix" else [])
    parts += [family.others.replace("--", "")] if family.others else []
    return " ".join(parts)


def wrong_steps(lab, at, family, measure, sign):
    """The steps towards the target at which a measure goes against `sign` by more than two errors: [(from, to, estimate)]."""
    wrong = []
    for (before, a), (after, b) in zip(family.members, family.members[1:]):
        step = difference(lab, at, b, a, measure)
        if differs(step) and step.value * sign < 0:
            wrong.append((before, after, step))
    return wrong


# ------------------------------------------------------------------------------------------------
# The case study: what decides a global choice?

def layer_type(site):
    return re.sub(r"^h\d+\.", "", site)


def score_study(rows):
    """{(site, block): {quantity: {(seed, draw): [values]}}} of one checkpoint's scores; quantities as in STUDY. Also n."""
    batches = collections.OrderedDict()
    for row in rows:
        scores = [row[column] for column in row if column.startswith("s_") and row[column] is not None]
        batches.setdefault((row["seed"], row["draw"], row["batch"]), {})[row["site"], row["block"]] = scores
    study = collections.OrderedDict()
    n = 0
    for (seed, draw, _), sites in batches.items():
        n = len(next(iter(sites.values())))
        if any(len(scores) != n for scores in sites.values()):
            raise Fault("scores.csv: the sites of a batch have different numbers of rows")
        total = [sum(column) for column in zip(*sites.values())]
        chosen = top_half(total)
        for site, scores in sites.items():
            values = (statistics.fmean(map(abs, scores)), spearman(scores, total), spearman(scores, [t - s for t, s in zip(total, scores)]),
                      jaccard(top_half(scores), chosen))
            for quantity, value in zip(STUDY, values):
                if value is not None:
                    study.setdefault(site, {}).setdefault(quantity, {}).setdefault((seed, draw), []).append(value)
    return study, n


LAYERS = ("wte", "wpe", "ln1", "q", "k", "v", "qkv", "attproj", "ln2", "fc", "fcproj", "lnf")


def by_type(study):
    """{type: [(block, quantities)]}, in the order of a forward pass."""
    types = collections.OrderedDict()
    for (site, block), quantities in sorted(study.items(), key=lambda item: number_order(item[0][1])):
        types.setdefault(layer_type(site), []).append((block, quantities))
    return collections.OrderedDict(sorted(types.items(), key=lambda item: LAYERS.index(item[0]) if item[0] in LAYERS else len(LAYERS)))


STUDY = ("magnitude", "spearman", "spearman_rest", "jaccard")


def study_estimate(sites, quantity):
    """The mean of a quantity over some sites: the error over seeds where there are three or more, else over target draws."""
    pooled = collections.defaultdict(list)
    seeds = {seed for site in sites for seed, _ in site.get(quantity, {})}
    for site in sites:
        for (seed, draw), values in site.get(quantity, {}).items():
            pooled[seed if len(seeds) > 2 else (seed, draw)] += values
    return estimate([statistics.fmean(values) for values in pooled.values()])
