"""rewards.py -- the part of a report that tells of runs on prompts: rewards where other runs have losses."""
import lab as numbers
from document import bold_if, counted, listed, percent, short_rate, span_of, with_error, without_empty_columns
from lab import differs, estimate, paired

HEAD = ["method", "learning rate", "learned reward, end", "{reward}, after a sixth", "{reward}, end", "at its best (oracle)", "end, less that of the highest",
        "end, less that of plain training", "full reward, end", "target prompts, in training"]


def column(rows, name, of):
    return numbers.by_seed(rows, name, of)


def points(e):
    """A difference of two shares, in percentage points."""
    return with_error(e and e._replace(value=100 * e.value, error=None if e.error is None else 100 * e.error), True)


def is_learned(rows):
    return any(row["known_accuracy"] is not None for row in rows)


def plain_training(rows):
    """The name of the run of all general rows with the fewest options; None where there is none."""
    full = {row["name"]: row for row in rows if row["method"] == "full"}
    return numbers.plain_form(full)


def highest(rows, of):
    """The name with the highest mean, and the paired difference of the runner-up to it."""
    best, gap = numbers.separated_best({name: {seed: -value for seed, value in column(rows, name, of).items()} for name in numbers.names_of(rows)})
    return best, gap


def table(rows, label_of):
    learned, names = is_learned(rows), numbers.names_of(rows)
    best, gap = highest(rows, "reward")
    plain, mean = plain_training(rows), lambda name, of: estimate(column(rows, name, of).values())
    full_is_more = any(row["right"] != row["reward"] for row in rows)
    first = column(rows, names[0], "base_reward")
    cells = [["base, before", "", "", "", percent(estimate(first.values())), "", "", "",
              percent(estimate(column(rows, names[0], "base_right").values())) if full_is_more else "", ""]]
    for name in names:
        less = lambda other: points(paired(column(rows, name, "reward"), column(rows, other, "reward"))) if other not in (None, name) else ""
        own = [row for row in rows if row["name"] == name]
        cells.append([label_of(name), span_of((row["lr"] for row in own), short_rate), with_error(mean(name, "sampled_reward")) if learned else "",
                      "" if learned else percent(mean(name, "early_reward")), bold_if(name == best and differs(gap), percent(mean(name, "reward"))),
                      percent(mean(name, "best_reward")), less(best), less(plain), percent(mean(name, "right")) if full_is_more else "",
                      "" if learned else percent(mean(name, "target_reward"))])
    what = "true rule" if learned else "reward" if full_is_more else "right answers"
    return without_empty_columns([head.format(reward=what) for head in HEAD], cells)


def order_sentence(rows, label_of):
    """The names from the highest final reward down, with what separates neighbours."""
    order = sorted(numbers.names_of(rows), key=lambda name: -estimate(column(rows, name, "reward").values()).value)
    parts = [label_of(order[0])]
    for above, below in zip(order, order[1:]):
        parts += [">" if differs(paired(column(rows, above, "reward"), column(rows, below, "reward"))) else "≈", label_of(below)]
    return " ".join(parts)


def about_results(doc, rows, label_of):
    seeds = len({row["seed"] for row in rows})
    doc.table(*table(rows, label_of))
    doc.text(f"From the highest reward at the end down (> where the paired difference of neighbours exceeds two standard errors, ≈ where it does not): "
             f"{order_sentence(rows, label_of)}.")
    if is_learned(rows):
        known = estimate({row["seed"]: row["known_accuracy"] for row in rows}.values())
        doc.text("Learned reward: what the model of the reward gives the responses that training samples, mean of the last ten steps; it has no zero and no "
                 "unit. True rule: the mean over the test prompts of what the rule gives one response to each, which training never hears. Full reward: the "
                 f"share of these responses that the rule gives 1. The model of the reward puts {percent(known)} of the held-out pairs in the right order.")
    else:
        doc.text("One response to each test prompt, judged by the rule, after a sixth of the steps and after the last. Target prompts: the responses to the "
                 "target's prompts that training samples, mean of the last ten steps.")
    doc.text(f"Mean{' ± standard error' if seeds > 1 else ''} over {counted(seeds, 'seed')}. At its best: the highest of a run, which only an oracle could stop at. "
             "Differences are in percentage points, paired by seed. **Bold**: higher than the runner-up by more than two standard errors of the paired "
             "difference. Plain training: all responses, without a regularizer.")


def about_curves(lab, doc, drawn):
    if lab.lacks("curves"):
        doc.text(lab.lacks("curves"))
    elif "curves" in drawn:
        doc.figure("curves", "Rewards during training. Means over the seeds with a band of one standard error. What training samples is the mean over the steps "
                   "since the evaluation before. Of variants that differ in a knob alone the middle value is drawn.")


def curve_columns(rows):
    """(column, title, look of the axis) of the panels."""
    if is_learned(rows):
        return (("sampled_reward", "What the model of the reward gives, in training", "reward"), ("reward", "What the true rule gives, test prompts", "percent"))
    right = "Reward" if any(row["right"] != row["reward"] for row in rows) else "Right answers"
    return (("reward", f"{right}, test prompts", "percent"), ("target_reward", f"{right}, target prompts in training", "percent"),
            ("sampled_reward", "Reward of the general prompts in training", "percent"))


def write(lab, doc, drawn, label_of):
    rows = lab.results
    doc.heading("Results")
    about_results(doc, rows, label_of)
    doc.heading("Training curves")
    about_curves(lab, doc, drawn)
