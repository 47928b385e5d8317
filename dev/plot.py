#!/usr/bin/env python3
"""Draws FOLDER/curves.png from a demo's results.csv and the eval.csv of the runs in it: the mean over the seeds, with a
band of one standard error.

    make picture                       makes a virtual environment with matplotlib, and draws demo/curves.png
    python3 dev/plot.py [FOLDER]
"""
import collections
import csv
import math
import os
import statistics
import sys

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker

# A colour a method (Okabe and Ito's, which the colour-blind can tell apart), a line style a group.
COLOURS = {"target": "#D55E00", "full": "#000000", "mix": "#CC79A7", "random": "#8C8C8C", "subset": "#0072B2", "cone": "#009E73"}
STYLES = {"": "-", "layer": "-", "global": (0, (4, 1.5)), "block": (0, (1, 1)), "sublayer": (0, (5, 1, 1, 1))}
PANELS = [("val", "Test loss on the target task\n(512 held-out rows, log scale)"),
          ("val_general", "Loss on what the base model knew\n(labelled dialects: forgetting)")]


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
            row["curves"][point["data"]][int(point["step"])] = float(point["loss"])
        runs.setdefault(row["name"], []).append(row)
    return runs


def mean_and_error(runs, data):
    steps = sorted(set.intersection(*(set(run["curves"][data]) for run in runs)))
    values = [[run["curves"][data][step] for run in runs] for step in steps]
    error = [statistics.stdev(v) / math.sqrt(len(v)) if len(v) > 1 else 0.0 for v in values]
    return steps, [statistics.fmean(v) for v in values], error


def spread(heights, gap, low, high):
    """The heights moved apart, so that neighbours are at least `gap` from each other, within [low, high]."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for _ in range(200):
        placed = [min(max(y, low), high) for y in placed]
        for k in range(len(placed) - 1):
            overlap = gap - (placed[k + 1] - placed[k])
            if overlap > 1e-6:
                placed[k] -= overlap / 2
                placed[k + 1] += overlap / 2
    result = [0.0] * len(heights)
    for i, y in zip(order, placed):
        result[i] = y
    return result


def label_ends(axes, ends):
    """Each curve's name beside its end, joined to it by a thin line; heights in fractions of the axes."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [to_axes.transform((0, y))[1] for _, y, _, _ in ends]
    for (x, _, text, colour), height, place in zip(ends, heights, spread(heights, 0.055, 0.02, 0.98)):
        axes.annotate(text, xy=(1.0, height), xytext=(1.05, place), xycoords="axes fraction", textcoords="axes fraction",
                      color=colour, va="center", fontsize=9, annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 1})


def draw_panel(axes, runs, data, title):
    ends = []
    for of_name in runs.values():
        first = of_name[0]
        colour, style = COLOURS.get(first["method"], "#444444"), STYLES.get(first["group"], "-")
        style = ":" if first["method"] == "random" else style
        steps, mean, error = mean_and_error(of_name, data)
        axes.plot(steps, mean, color=colour, linestyle=style, linewidth=1.7)
        low = [m - e if m > e else m / 10 for m, e in zip(mean, error)]
        axes.fill_between(steps, low, [m + e for m, e in zip(mean, error)], color=colour, alpha=0.15, linewidth=0)
        ends.append((steps[-1], mean[-1], first["label"], colour))
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("post-training step")
    axes.set_xlim(0, max(x for x, _, _, _ in ends))
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if data == "val":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    else:
        axes.set_ylim(bottom=0)
    axes.figure.canvas.draw()
    label_ends(axes, ends)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "demo"
    runs = read_curves(folder)
    seeds = len(next(iter(runs.values())))
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), dpi=150)
    figure.subplots_adjust(left=0.06, right=0.86, top=0.83, bottom=0.12, wspace=0.62)
    for axes, (data, title) in zip(panels, PANELS):
        draw_panel(axes, runs, data, title)
    figure.suptitle(f"Post-training on 16 target rows, alone or with a general pool: mean of {seeds} seeds, standard error shaded",
                    x=0.06, ha="left", fontsize=11)
    path = os.path.join(folder, "curves.png")
    figure.savefig(path + ".tmp", format="png")
    os.replace(path + ".tmp", path)
    print(path)


if __name__ == "__main__":
    main()
