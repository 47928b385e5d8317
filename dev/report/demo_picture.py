#!/usr/bin/env python3
"""Draws FOLDER/curves.png from a demo's results.csv and the eval.csv of the runs in it: the mean over the seeds, with a
band of one standard error.

    make picture                       makes a virtual environment with matplotlib, and draws demo/curves.png
    python3 dev/report/demo_picture.py [FOLDER]
"""
import collections
import csv
import math
import os
import statistics
import sys

sys.dont_write_bytecode = True
from figures import colour_of, draw_band, label_ends, log_losses, own_look, plain_axes, style_of
import matplotlib.pyplot as plt

# Titles of the two panels: of losses, of accuracies where the data are preference pairs, of rewards where they are prompts.
PANELS = [("val", "Test loss on the target task\n(512 held-out rows, log scale)"),
          ("val_general", "Loss on what the base model knew\n(labelled dialects: forgetting)")]
PAIRS = [("val", "Test pairs of the target in the right order\n(of 512, in percent)"),
         ("val_general", "Pairs of what the base model knew\n(labelled dialects, in percent)")]
PROMPTS = [("val", "Right answers to prompts of the target's kind\n(256 held out, in percent)"),
           ("target_reward", "Right answers to the 16 target prompts\n(in percent, a mean over ten steps)")]
LEARNED = [("reward", "What the model of the reward gives\n(a mean over ten steps)"),
           ("val", "What the true rule gives\n(256 held-out prompts, in percent)")]
WINDOW = 10


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def read_curves(folder):
    """{name: its runs}, in the order of results.csv; a run is its row there, with {data: {step: loss}} as "curves"."""
    runs = collections.OrderedDict()
    for row in read_rows(os.path.join(folder, "results.csv")):
        if row["chosen"] != "1":
            continue
        row["curves"] = collections.defaultdict(dict)
        for point in read_rows(os.path.join(folder, row["folder"], "eval.csv")):
            row["pairs"], row["prompts"] = "margin" in point, "reward" in point
            worth = 100 * float(point["accuracy"]) if row["pairs"] else 100 * float(point["reward"]) if row["prompts"] else float(point["loss"])
            row["curves"][point["data"]][int(point["step"])] = worth
        if row["prompts"]:
            add_sampled(row, read_rows(os.path.join(folder, row["folder"], "log.csv")))
        runs.setdefault(row["name"], []).append(row)
    return runs


def add_sampled(row, log):
    """The rewards of the responses that training sampled, as means over some steps: of a few prompts at a time they are noisy."""
    row["learned"] = row["known_accuracy"] != ""
    for column, scale in (("reward", 1 if row["learned"] else 100), ("target_reward", 100)):
        known = [(int(point["step"]), float(point[column])) for point in log if point.get(column)]
        for k in range(0, len(known) - len(known) % WINDOW, WINDOW):
            row["curves"][column][known[k][0] + WINDOW // 2] = scale * statistics.fmean(value for _, value in known[k:k + WINDOW])


def mean_and_error(runs, data):
    steps = sorted(set.intersection(*(set(run["curves"][data]) for run in runs)))
    values = [[run["curves"][data][step] for run in runs] for step in steps]
    error = [statistics.stdev(v) / math.sqrt(len(v)) if len(v) > 1 else 0.0 for v in values]
    return steps, [statistics.fmean(v) for v in values], error


def draw_panel(axes, runs, data, title):
    ends, taken = [], set()
    for of_name in runs.values():
        first = of_name[0]
        if not all(run["curves"][data] for run in of_name):
            continue
        colour = colour_of(first["method"])
        steps, mean, error = mean_and_error(of_name, data)
        draw_band(axes, steps, mean, error, *own_look(taken, colour, style_of(first["method"], first["group"])))
        ends.append((steps[-1], mean[-1], first["label"], colour))
    axes.set_title(title, fontsize=10, loc="left")
    if not ends:  # of fewer steps than one mean takes
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        return
    axes.set_xlabel("post-training step")
    axes.set_xlim(0, max(x for x, _, _, _ in ends))
    plain_axes(axes)
    if data == "reward":
        pass
    elif first["pairs"] or first["prompts"]:
        axes.set_ylim(0, 100)
    elif data == "val":
        log_losses(axes)
    else:
        axes.set_ylim(bottom=0)
    axes.figure.canvas.draw()
    label_ends(axes, ends)


def what_to_draw(run):
    if run["pairs"]:
        return PAIRS, "DPO on 16 target pairs, alone or with a general pool"
    if not run["prompts"]:
        return PANELS, "Post-training on 16 target rows, alone or with a general pool"
    if run["learned"]:
        return LEARNED, "PPO with a learned reward, and what the true rule says of it"
    return PROMPTS, "GRPO on 16 target prompts, alone or with misjudged general ones"


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "demo"
    runs = read_curves(folder)
    seeds = len(next(iter(runs.values())))
    panels_of, title = what_to_draw(next(iter(runs.values()))[0])
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), dpi=150)
    figure.subplots_adjust(left=0.06, right=0.86, top=0.83, bottom=0.12, wspace=0.62)
    for axes, (data, text) in zip(panels, panels_of):
        draw_panel(axes, runs, data, text)
    of_seeds = f"mean of {seeds} seeds, standard error shaded" if seeds > 1 else "one seed"
    figure.suptitle(f"{title}: {of_seeds}", x=0.06, ha="left", fontsize=11)
    path = os.path.join(folder, "curves.png")
    figure.savefig(path + ".tmp", format="png")
    os.replace(path + ".tmp", path)
    print(path)


if __name__ == "__main__":
    main()
