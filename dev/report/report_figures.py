"""report_figures.py -- the figures of a sweep's report, drawn from what lab.py computed. Needs matplotlib.

All are 7.2 inches wide, so that they are printed at their own size; no text is below 8 points.
"""
import collections
import math
import multiprocessing
import os

import lab as numbers
import rewards
from published import SPEARMAN
from figures import MARKERS, colour_of, draw_band, ink, label_ends, log_losses, own_look, plain_axes, style_of
import matplotlib.pyplot as plt
import matplotlib.patheffects
import matplotlib.ticker
import numpy as np

WIDTH, SMALL = 7.2, 8
WORLDS = {"gpt": "GPT", "ngram": "n-gram world"}
GREY = "#777777"
HALO = [matplotlib.patheffects.withStroke(linewidth=2, foreground="white")]


def title_of(at):
    return f"{WORLDS.get(at[0], at[0])}, {'base' if at[1] == 0 else f'step {at[1]:.0f}'}"


def is_soft(row):
    return numbers.option(row["options"], "strength", "1") not in ("1", "1.0")


def marker_style(row):
    """Filled for groups of a layer, hollow for all others, pale inside for the way back towards t."""
    colour = colour_of(row["method"])
    hollow = row["group"] not in ("", "layer")
    face = "white" if hollow else colour + "55" if is_soft(row) else colour
    return dict(marker=MARKERS.get(row["method"], "o"), color=colour, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.2,
                markersize=8 if row["method"] == "inside" else 6.5, linestyle="none")


# ------------------------------------------------------------------------------------------------
# Names beside points, where they hide nothing.

def boxes_overlap(a, b):
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def inside(box, points, margin):
    """How many of the points (an array of x, y) lie in a box or close to it."""
    return int(((points[:, 0] > box[0] - margin) & (points[:, 0] < box[2] + margin) & (points[:, 1] > box[1] - margin) & (points[:, 1] < box[3] + margin)).sum())


def along(x0, y0, x1, y1, steps=12):
    return [(x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps) for k in range(1, steps)]


def label_points(axes, points, obstacles, size=SMALL):
    """Each (x, y, text, colour) named nearby: of many places the one that covers least. obstacles: data coordinates to keep clear."""
    figure = axes.figure
    figure.canvas.draw()
    renderer, scale = figure.canvas.get_renderer(), figure.dpi / 72
    frame = axes.get_window_extent(renderer)
    to_display, to_data = axes.transData.transform, axes.transData.inverted().transform
    covered = to_display(np.array(obstacles, float).reshape(-1, 2))
    anchors = to_display(np.array([p[:2] for p in points], float))
    crowd = [inside((x - 60 * scale, y - 60 * scale, x + 60 * scale, y + 60 * scale), anchors, 0) for x, y in anchors]
    placed, lines = [], np.zeros((0, 2))
    for i in sorted(range(len(points)), key=lambda i: crowd[i]):
        x, y = anchors[i]
        width, height = text_size(renderer, axes, points[i][2], size)
        best = None
        for distance in (7, 12, 20, 30, 44, 60, 80):
            for turn in range(16):
                angle = math.pi * turn / 8
                cx = x + distance * scale * math.cos(angle) + math.copysign(width / 2, math.cos(angle)) * (abs(math.cos(angle)) > 0.1)
                cy = y + distance * scale * math.sin(angle)
                box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
                cost = (1e4 * (box[0] < frame.x0 or box[2] > frame.x1 or box[1] < frame.y0 or box[3] > frame.y1) + 2.2 * distance
                        + 4 * sum(boxes_overlap(box, other) for other in placed) + 90 * inside(box, covered, 1.5)
                        + 120 * inside(box, anchors, 4 * scale) + 60 * inside(box, lines, 0))
                if distance > 12 and (best is None or cost < best[0]):
                    leader = np.array(along(x, y, *nearest(box, x, y)))
                    cost += 60 * sum(inside(other, leader, 0) for other in placed) + 25 * sum(inside((px, py, px, py), leader, 3 * scale) for px, py in anchors)
                if best is None or cost < best[0]:
                    best = (cost, box, cx, cy, distance)
        _, box, cx, cy, distance = best
        placed.append(box)
        if distance > 12:
            near = nearest(box, x, y)
            lines = np.vstack([lines, along(x, y, *near)])
            axes.plot(*zip(to_data((x, y)), to_data(near)), color=points[i][3], linewidth=0.6, zorder=2, scalex=False, scaley=False)
        axes.text(*to_data((cx, cy)), points[i][2], color=points[i][3], fontsize=size, ha="center", va="center", zorder=9, path_effects=HALO)


def nearest(box, x, y):
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])


def text_size(renderer, axes, text, size):
    probe = axes.text(0, 0, text, fontsize=size)
    box = probe.get_window_extent(renderer)
    probe.remove()
    return box.width + 2, box.height * 0.9


# ------------------------------------------------------------------------------------------------
# P1: the spectrum.

def edge_of(estimates):
    """Where an axis ends: below the smallest estimate that stands out of its error, at most six decades below the largest."""
    sure = [e.value for e in estimates if e.value > 0 and (not e.error or e.value > e.error)]
    positive = sure or [e.value for e in estimates if e.value > 0] or [1.0]
    return max(min(positive), max(positive) * 1e-6) / 2.2


def reach(e, edge):
    """What an estimate is drawn as on a logarithmic axis: its place, and its bar down and up."""
    error = e.error or 0.0
    place = max(e.value, edge)
    return place, min(error, place - edge) if e.value > edge else 0.0, max(e.value + error - place, 0.0)


def draw_spectrum(lab, at):
    points = {}
    for label in lab.probes[at]:
        pair = numbers.measured(lab, at, label, "bias2"), numbers.measured(lab, at, label, "v_tgt")
        if None not in pair:
            points[label] = pair
    if not points:
        return None
    left, bottom = edge_of([p[0] for p in points.values()]), edge_of([p[1] for p in points.values()])
    right, top = (2.5 * max(p[k].value + (p[k].error or 0) for p in points.values()) for k in (0, 1))
    figure, axes = plt.subplots(figsize=(WIDTH, 6.4))
    figure.subplots_adjust(left=0.09, right=0.98, top=0.94, bottom=0.08)
    axes.set(xscale="log", yscale="log", xlim=(left / 1.35, max(right, 3 * left)), ylim=(bottom / 1.35, max(top, 3 * bottom)))
    axes.axvspan(left / 1.35, left * 1.05, color="#F2F2F2", zorder=0)
    axes.axhspan(bottom / 1.35, bottom * 1.05, color="#F2F2F2", zorder=0)
    obstacles, lines = draw_iso(lab, at, axes)
    drawn = {}
    for label, (x, y) in points.items():
        row = numbers.variant(lab, at, label)
        (px, xlow, xhigh), (py, ylow, yhigh) = reach(x, left), reach(y, bottom)
        axes.errorbar(px, py, xerr=[[xlow], [xhigh]], yerr=[[ylow], [yhigh]], ecolor=colour_of(row["method"]) + "70", elinewidth=0.8, zorder=5, **marker_style(row))
        drawn[label] = (px, py)
        obstacles += [(px - xlow, py), (px + xhigh, py), (px, py - ylow), (px, py + yhigh)]
    families = numbers.families({label: numbers.variant(lab, at, label) for label in points})
    named = iso_names(axes, lines, list(drawn.values()))
    for label, text in short_names(points, families).items():
        named.append((*drawn[label], text, ink(colour_of(numbers.variant(lab, at, label)["method"]))))
    for family in families:
        places = [drawn[label] for _, label in family.members]
        axes.plot(*zip(*places), color=colour_of(family.method), linestyle=style_of(family.method, family.group), linewidth=1.0, alpha=0.8, zorder=4)
        for (x0, y0), (x1, y1) in zip(places, places[1:]):
            obstacles += [(x0 * (x1 / x0) ** (k / 8), y0 * (y1 / y0) ** (k / 8)) for k in range(1, 8)]
    axes.set_xlabel("bias²  (of |t*|²)", fontsize=9)
    axes.set_ylabel("persistent variance v_tgt  (of |t*|²)", fontsize=9)
    axes.set_title("Spectrum, " + title_of(at), fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    label_points(axes, named, obstacles)
    return figure


def draw_directions(lab, at):
    """The same variants whatever the length of u: 1 - cos^2 of E u and t* against v_tgt / E|u|^2."""
    points = {label: (numbers.measured(lab, at, label, "turn"), numbers.measured(lab, at, label, "v_share")) for label in lab.probes[at]}
    points = {label: pair for label, pair in points.items() if None not in pair and pair[0].error is not None and pair[0].error < 0.2}
    if len(points) < 2:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 5.4))
    figure.subplots_adjust(left=0.09, right=0.98, top=0.93, bottom=0.095)
    rows = {label: numbers.variant(lab, at, label) for label in points}
    obstacles, families = [], numbers.families(rows)
    for label, (x, y) in points.items():
        ex, ey = x.error or 0.0, y.error or 0.0
        colour = colour_of(rows[label]["method"])
        axes.errorbar(x.value, y.value, xerr=ex, yerr=ey, ecolor=colour + "70", elinewidth=0.8, zorder=5, **marker_style(rows[label]))
        obstacles += [(x.value - ex, y.value), (x.value + ex, y.value), (x.value, y.value - ey), (x.value, y.value + ey)]
    for family in families:
        places = [(points[label][0].value, points[label][1].value) for _, label in family.members]
        axes.plot(*zip(*places), color=colour_of(family.method), linestyle=style_of(family.method, family.group), linewidth=1.0, alpha=0.8, zorder=4)
        obstacles += [p for a, b in zip(places, places[1:]) for p in along(*a, *b, 8)]
    axes.margins(0.08, 0.08)
    axes.set_xlabel("1 - cos²(E u, t*): where the mean update points", fontsize=9)
    axes.set_ylabel("v_tgt / E|u|²", fontsize=9)
    axes.set_title("Whatever the update's length, " + title_of(at), fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    named = [(points[label][0].value, points[label][1].value, text, ink(colour_of(rows[label]["method"]))) for label, text in short_names(points, families).items()]
    label_points(axes, named, obstacles)
    return figure


def short_names(labels, families):
    """In full at a family's end nearest to the target; what differs from that in the knob alone shows the knob's value."""
    names = {label: label for label in labels}
    ends = {family.members[-1][1] for family in families}
    seen = collections.Counter(label for family in families for _, label in family.members)
    for family in families:
        for value, label in family.members:
            if label not in ends and seen[label] == 1:
                names[label] = f"{value:g}"
    return names


def draw_iso(lab, at, axes):
    """bias2 + v_tgt = the lowest mse_h, for h = 1, 10, 100; equal ones once. Points of the curves, and (name, curve)."""
    curves = collections.OrderedDict()
    for h in (1, 10, 100):
        label, level = numbers.best_over(lab, at, h)
        if label and level > 0:
            same = next((key for key in curves if key[0] == label and abs(math.log(key[1] / level)) < 0.15), None)
            curves.setdefault(same or (label, level), []).append(h)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    covered, lines = [], []
    for ((label, level), hs), style in zip(curves.items(), ((0, (1, 1.5)), (0, (4, 2)), "-")):
        run = [(level * (1 - f), level * f) for f in (10 ** (k / 20 - 7) for k in range(141)) if f < 1]
        run += [(level * f, level * (1 - f)) for f in (10 ** (-k / 20) for k in range(1, 141))]
        run = sorted((x, y) for x, y in run if left < x < right and bottom < y < top)
        if not run:
            continue
        axes.plot(*zip(*run), color=GREY, linestyle=style, linewidth=0.9, zorder=1)
        lines.append((f"h = {', '.join(map(str, hs))}: {label}", run))
        covered += run[::15]  # a name may cross them
    return covered, lines


def iso_names(axes, lines, markers):
    """Where each curve is named: at its point that is furthest from all markers and from the other names."""
    to_axes = (axes.transData + axes.transAxes.inverted()).transform
    taken, named = [to_axes(p) for p in markers], []
    for text, run in lines:
        within = [p for p in run[::4] if 0.08 < to_axes(p)[0] < 0.92 and 0.08 < to_axes(p)[1] < 0.92] or run
        x, y = max(within, key=lambda p: min(math.dist(to_axes(p), q) for q in taken))
        taken.append(to_axes((x, y)))
        named.append((x, y, text, "#555555"))
    return named


# ------------------------------------------------------------------------------------------------
# What is drawn where not everything can be.

# Each method's plainest variant first, and the second of those whose group matters; then the others, and what is left.
PRIORITY = ("target", "full", "mix", "subset", "cone", "soft", "span", "capped", "subset 2", "cone 2", "random", "simplex", "greedy", "filter", "inside",
            "trust", "pcgrad", "agem")


def representatives(rows, rank, most=11):
    """Of variants that differ in a knob alone, one: that of the lowest rank. rows: {label: row}. Then the first `most` by PRIORITY."""
    dropped = set()
    for family in numbers.families(rows):
        labels = [label for value, label in family.members if family.knob != "strength" or value != 1]
        kept = min(labels, key=lambda label: rank(label, labels))
        dropped.update(label for label in labels if label != kept)
    left = [label for label in rows if label not in dropped]
    met, place = collections.Counter(), {}
    for label in sorted(left, key=lambda label: len((rows[label]["options"] or "").split())):
        kind = "soft" if is_soft(rows[label]) else rows[label]["method"]
        met[kind] += 1
        key = kind if met[kind] == 1 else f"{kind} {met[kind]}"
        place[label] = PRIORITY.index(key) if key in PRIORITY else len(PRIORITY) + met[kind]
    chosen = set(sorted(left, key=lambda label: place[label])[:most])
    return [label for label in left if label in chosen]


def plainest(rows):
    """Ranks variants: few options first, then the middle of the knob."""
    return lambda label, labels: (len((rows[label]["options"] or "").split()), abs(labels.index(label) - (len(labels) - 1) / 2))


# ------------------------------------------------------------------------------------------------
# P2: along a run.

def draw_progress(lab, world):
    steps = [step for w, step in lab.probes if w == world]
    if len(steps) < 2:
        return None
    rows = {label: numbers.variant(lab, (world, steps[0]), label) for label in lab.probes[world, steps[0]]}
    labels = representatives(rows, plainest(rows))
    figure, panels = plt.subplots(2, 1, figsize=(WIDTH, 6.6), sharex=True)
    figure.subplots_adjust(left=0.09, right=0.70, top=0.95, bottom=0.07, hspace=0.18)
    for axes, measure, title in zip(panels, ("rho", "mse"), ("Descent efficiency ρ (log scale; at the lower edge: below it, or negative)", "One-step mse, of |t*|² (log scale)")):
        ends = []
        known = [numbers.measured(lab, (world, step), label, measure) for label in labels for step in steps]
        floor = max(min((e.value for e in known if e and e.value > 0), default=1e-3), 2e-3) / 1.2
        for k, label in enumerate(labels):
            of = [(i, numbers.measured(lab, (world, step), label, measure)) for i, step in enumerate(steps)]
            of = [(i, e._replace(value=max(e.value, floor))) for i, e in of if e]
            if not of:
                continue
            row, offset = rows[label], (k - len(labels) / 2) * 0.012
            axes.errorbar([i + offset for i, _ in of], [e.value for _, e in of], yerr=[min(e.error or 0, 0.9 * e.value) for _, e in of],
                          ecolor=colour_of(row["method"]), elinewidth=0.8, **marker_style(row))
            axes.plot([i + offset for i, _ in of], [e.value for _, e in of], color=colour_of(row["method"]), linewidth=1.4,
                      linestyle=":" if is_soft(row) else style_of(row["method"], row["group"]))
            ends.append((of[-1][0], of[-1][1].value, label, ink(colour_of(row["method"]))))
        finish_panel(axes, f"{WORLDS.get(world, world)}: {title[0].lower()}{title[1:]}", ends, 0.05)
        axes.set_yscale("log")
        axes.set_ylim(bottom=floor / 1.1)
        axes.grid(axis="y", which="minor", color="#F0F0F0", linewidth=0.4)
        axes.set_xticks(range(len(steps)), ["base" if step == 0 else f"{step:.0f}" for step in steps])
        figure.canvas.draw()
        label_ends(axes, ends, 0.068, SMALL)
    panels[1].set_xlabel("step at which the update was measured", fontsize=9)
    return figure


def finish_panel(axes, title, ends, margin=0.0):
    axes.set_title(title, fontsize=10, loc="left")
    plain_axes(axes)
    axes.tick_params(labelsize=SMALL)
    if margin and ends:
        axes.set_xlim(-0.15, max(x for x, _, _, _ in ends) + 0.15)


# ------------------------------------------------------------------------------------------------
# P3: final loss along a knob.

# A colour and a marker a size of the target set.
SIZES = (("#E69F00", "o"), ("#56B4E9", "s"), ("#009E73", "^"), ("#000000", "D"), ("#CC79A7", "v"))


def draw_knobs(rows):
    first = {}
    for row in rows:
        if not numbers.ends_in_flops(row["name"]):
            first.setdefault(row["name"], row)
    families = numbers.families(first)
    if not families:
        return None
    columns = 1 if len(families) == 1 else 2 if len(families) < 5 else 3
    lines = math.ceil(len(families) / columns)
    each = 2.7 if columns < 3 else 2.25
    height = each * lines + 0.5
    figure, panels = plt.subplots(lines, columns, figsize=(WIDTH, height), squeeze=False)
    figure.subplots_adjust(left=0.085, right=0.92, top=1 - 0.35 / height, bottom=0.5 / height, wspace=0.46 if columns < 3 else 0.72, hspace=0.6)
    for axes, family in zip(panels.flat, families):
        draw_family(axes, rows, family)
    for axes in panels[:, 0]:
        axes.set_ylabel("final test loss", fontsize=SMALL)
    for axes in panels.flat[len(families):]:
        axes.axis("off")
    return figure


def draw_family(axes, rows, family):
    ends, levels, drawn = [], [], []
    for (colour, marker), m in zip(SIZES, numbers.sizes(rows)):
        of_m = [row for row in rows if row["m"] == m]
        of = [(i, numbers.estimate(numbers.by_seed(of_m, name, "test_loss").values())) for i, (_, name) in enumerate(family.members)]
        of = [(i, e) for i, e in of if e and math.isfinite(e.value)]
        if not of:
            continue
        axes.errorbar([i for i, _ in of], [e.value for _, e in of], yerr=[e.error or 0 for _, e in of], color=colour, marker=marker, markersize=5, linewidth=1.4,
                      elinewidth=0.9)
        ends.append((of[-1][0], of[-1][1].value, f"m = {m}" if m != "inf" else "m = ∞", ink(colour)))
        target = [row for row in of_m if row["method"] == "target" and not numbers.ends_in_flops(row["name"])]
        level = numbers.estimate(row["test_loss"] for row in target)
        drawn += [e.value for _, e in of] + [e.value + (e.error or 0) for _, e in of]
        if level and math.isfinite(level.value):
            levels.append((level.value, colour))
    low, high = min(drawn, default=0), max(drawn, default=1)
    for level, colour in levels:
        if low - (high - low) < level < high + (high - low):
            axes.axhline(level, color=colour, linestyle=":", linewidth=1.1)
    if low > 0 and high > 8 * low:
        log_losses(axes)
    axes.set_title(numbers.family_title(family), fontsize=SMALL + 0.5, loc="left")
    axes.set_xlabel(f"{family.knob}, towards the target →", fontsize=SMALL)
    axes.set_xticks(range(len(family.members)), [f"{value:g}" for value, _ in family.members])
    axes.set_xlim(-0.25, len(family.members) - 0.75)
    axes.tick_params(labelsize=SMALL)
    plain_axes(axes)
    axes.figure.canvas.draw()
    label_ends(axes, ends, 0.12, SMALL)


# ------------------------------------------------------------------------------------------------
# P4: training curves.

def draw_curves(points, rows, m, columns, label_of, rank):
    """points: the rows of curves; columns: [(column, title, "log", "linear", "reward" or "percent")]; rows: the runs, for their method and group."""
    first = {}
    for row in rows:
        if row["m"] == m and not numbers.ends_in_flops(row["name"]):
            first.setdefault(row["name"], row)
    names = representatives(first, rank, most=13)
    height = 2.9 * len(columns)
    figure, panels = plt.subplots(len(columns), 1, figsize=(WIDTH, height), sharex=True)
    figure.subplots_adjust(left=0.075, right=0.70, top=1 - 0.3 / height, bottom=0.48 / height, hspace=0.17)
    for axes, (column, title, scale) in zip(panels, columns):
        ends, heights, taken = [], [], set()
        for name in names:
            steps, of = numbers.curves_of(points, name, m, column)
            keep = [(s, e) for s, e in zip(steps, of) if math.isfinite(e.value)]
            if len(keep) < 2:
                continue
            row = first[name]
            style = (0, (3, 1, 1, 1)) if is_soft(row) else style_of(row["method"], row["group"])
            draw_band(axes, [s for s, _ in keep], [e.value for _, e in keep], [e.error or 0 for _, e in keep], *own_look(taken, colour_of(row["method"]), style))
            heights += [e.value for _, e in keep]
            ends.append((keep[-1][0], keep[-1][1].value, label_of(name), ink(colour_of(row["method"]))))
        if not ends:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=9, color=GREY)
            continue
        finish_panel(axes, title + (" (log scale)" if scale == "log" else ""), ends)
        axes.set_xlim(0, max(x for x, _, _, _ in ends))
        if scale == "log":
            log_losses(axes)
            low = min(max(y, 1e-3) for _, y, _, _ in ends)
            axes.set_ylim(bottom=max(min(low, 1) / 1.6, 1e-3))
        elif scale == "linear":  # a few steps that shoot up are cut off
            heights.sort()
            top, bottom = max(heights[int(0.97 * (len(heights) - 1))], *(y for _, y, _, _ in ends)), heights[0]
            axes.set_ylim(bottom - 0.05 * (top - bottom), top + 0.08 * (top - bottom))
        elif scale == "percent":
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1))
        figure.canvas.draw()
        label_ends(axes, ends, 0.072, SMALL)
    panels[-1].set_xlabel("post-training step", fontsize=9)
    return figure


# ------------------------------------------------------------------------------------------------
# Gain against forgetting.

def draw_pareto(rows, m, label_of, rank):
    of_m = [row for row in rows if row["m"] == m and not numbers.ends_in_flops(row["name"])]
    points = collections.OrderedDict()
    first = {row["name"]: row for row in reversed(of_m)}
    first = {name: first[name] for name in numbers.names_of(of_m)}
    for name in representatives(first, rank, 16):
        x = numbers.paired(numbers.by_seed(of_m, name, "general_loss"), numbers.by_seed(of_m, name, "base_general_loss"))
        y = numbers.estimate(numbers.by_seed(of_m, name, "test_loss").values())
        if x and y and math.isfinite(x.value) and math.isfinite(y.value):
            points[name] = (x, y)
    if len(points) < 2:
        return None
    figure, axes = plt.subplots(figsize=(WIDTH, 4.4))
    figure.subplots_adjust(left=0.09, right=0.97, top=0.92, bottom=0.11)
    obstacles, named = [], []
    for name, (x, y) in points.items():
        ex, ey = x.error or 0.0, y.error or 0.0
        axes.errorbar(x.value, y.value, xerr=ex, yerr=min(ey, 0.9 * y.value) if y.value > 0 else ey, ecolor=colour_of(first[name]["method"]), elinewidth=0.8, zorder=5,
                      **marker_style(first[name]))
        obstacles += [(x.value + f * ex, y.value) for f in (-1, -.5, .5, 1)] + [(x.value, max(y.value + f * ey, y.value / 10)) for f in (-1, -.5, .5, 1)]
        named.append((x.value, y.value, label_of(name), ink(colour_of(first[name]["method"]))))
    front = [p for p in points.values() if not any(q[0].value <= p[0].value and q[1].value <= p[1].value and q is not p for q in points.values())]
    front.sort(key=lambda p: p[0].value)
    axes.step([p[0].value for p in front], [p[1].value for p in front], where="post", color=GREY, linestyle=(0, (4, 2)), linewidth=0.9, zorder=1)
    obstacles += [(a[0].value + (b[0].value - a[0].value) * k / 12, a[1].value) for a, b in zip(front, front[1:]) for k in range(1, 13)]
    obstacles += [(b[0].value, a[1].value * max(b[1].value / a[1].value, 1e-9) ** (k / 12)) for a, b in zip(front, front[1:]) for k in range(1, 12)
                  if a[1].value > 0]
    values = [y.value for _, y in points.values()]
    if min(values) > 0 and max(values) > 4 * min(values):
        log_losses(axes)
    gains = [x.value for x, _ in points.values()]
    if min(gains) > 0 and max(gains) > 8 * min(gains):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.margins(0.12, 0.12)
    axes.set_title(f"Final test loss against forgetting, m = {m}", fontsize=10, loc="left")
    axes.set_xlabel("general loss at the end, less the base's", fontsize=9)
    axes.set_ylabel("test loss at the end", fontsize=9)
    axes.tick_params(labelsize=SMALL)
    plain_axes(axes)
    label_points(axes, named, obstacles)
    return figure


# ------------------------------------------------------------------------------------------------
# P5: what the update is made of.

DOMAINS = {"aligned": ("#009E73", "-"), "irrelevant": ("#6E6E6E", (0, (4, 1.5))), "conflicting": ("#D55E00", (0, (1, 1)))}
SPARE = (("#0072B2", (0, (5, 1, 1, 1))), ("#CC79A7", (0, (3, 1))), ("#000000", "-"))


def draw_composition(points, m, label_of):
    of_m = [row for row in points if row["m"] == m and row["mass"] is not None]
    names = numbers.names_of(of_m)
    if not names:
        return None
    domains = list(collections.OrderedDict.fromkeys(row["domain"] for row in of_m))
    look = {d: DOMAINS.get(d, SPARE[i % len(SPARE)]) for i, d in enumerate(domains)}
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)
    height = 1.75 * lines + 0.75
    figure, panels = plt.subplots(lines, columns, figsize=(WIDTH, height), sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(left=0.075, right=0.87, top=1 - 0.3 / height, bottom=0.48 / height, wspace=0.12, hspace=0.36)
    for k, (axes, name) in enumerate(zip(panels.flat, names)):
        ends = []
        for domain in domains:
            some = [row for row in of_m if row["name"] == name and row["domain"] == domain]
            steps, of = numbers.curves_of(some, name, m, "mass")
            if steps:
                draw_band(axes, steps, [e.value for e in of], [e.error or 0 for e in of], *look[domain])
                ends.append((steps[-1], of[-1].value, domain, look[domain][0]))
        axes.set_title(label_of(name), fontsize=9, loc="left")
        axes.tick_params(labelsize=SMALL)
        axes.set_ylim(0, 1)
        axes.set_yticks((0, 0.25, 0.5, 0.75, 1))
        plain_axes(axes)
        if k % columns == columns - 1 or k == len(names) - 1:
            figure.canvas.draw()
            label_ends(axes, ends, 0.14, SMALL)
        if k + columns >= len(names):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("step", fontsize=SMALL)
    for axes in panels.flat[len(names):]:
        axes.axis("off")
    return figure


# ------------------------------------------------------------------------------------------------
# The case study.

def draw_scores(lab, at):
    study, _ = numbers.score_study([row for row in lab.tables["scores"] if (row["world"], row["step"]) == at])
    types = numbers.by_type(study)
    names = list(types)
    height = 0.3 * len(names) + 1.0
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, height), sharey=True)
    figure.subplots_adjust(left=0.11, right=0.98, top=1 - 0.32 / height, bottom=0.48 / height, wspace=0.08)
    for i, name in enumerate(names):
        for _, quantities in types[name]:
            e = numbers.study_estimate([quantities], "magnitude")
            left.plot(e.value, i, "o", color="#0072B2", markersize=5, markerfacecolor="none")
        if name in SPEARMAN:
            band = SPEARMAN[name]
            right.plot([min(band), max(band)], [i, i], color="#CFCFCF", linewidth=9, solid_capstyle="butt", zorder=1)
        for quantity, marker, colour, shift in (("spearman", "o", "#0072B2", -0.13), ("spearman_rest", "D", "#D55E00", 0.13)):
            e = numbers.study_estimate([q for _, q in types[name]], quantity)
            if e:
                right.errorbar(e.value, i + shift, xerr=e.error or 0, marker=marker, color=colour, markersize=4.5, elinewidth=0.9, linestyle="none", zorder=3)
    left.set_xscale("log")
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_title(f"mean |s|, {title_of(at)}", fontsize=9, loc="left")
    left.set_xlabel("a dot a block", fontsize=SMALL)
    right.set_title("rank correlation with the global score", fontsize=9, loc="left")
    right.set_xlabel("●  whole    ◆  less its own part    band: published", fontsize=SMALL)
    right.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    for axes in (left, right):
        axes.grid(axis="x", color="#E4E4E4", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=SMALL)
    return figure


# ------------------------------------------------------------------------------------------------

def first_and_last(checkpoints):
    """Of each world's, given in order."""
    of = collections.OrderedDict()
    for world, step in checkpoints:
        of.setdefault(world, []).append((world, step))
    return [at for all_of in of.values() for at in (all_of[:1] + all_of[1:][-1:])]


def all_figures(lab, ends):
    """(name, a function that draws it) of every figure that the files allow; it may still return None."""
    for at in lab.probes:
        yield f"spectrum-{at[0]}-{at[1]:.0f}", lambda: draw_spectrum(lab, at)
    for at in first_and_last(lab.probes):
        yield f"directions-{at[0]}-{at[1]:.0f}", lambda: draw_directions(lab, at)
    for world in collections.OrderedDict.fromkeys(world for world, _ in lab.probes):
        yield f"progress-{world}", lambda: draw_progress(lab, world)
    labels = {row["name"]: row["label"] or row["name"] for row in lab.results}
    yield from (figures_of_prompts if lab.of_prompts else figures_of_runs)(lab, lab.results, ends, lambda name: labels.get(name, name))
    worlds = {row["world"] for row in lab.tables["scores"]}
    for at in first_and_last(sorted({(row["world"], row["step"]) for row in lab.tables["scores"] if row["world"] == ("gpt" if "gpt" in worlds else row["world"])})):
        yield f"scores-{at[0]}-{at[1]:.0f}", lambda: draw_scores(lab, at)


def figures_of_prompts(lab, rows, _, label_of):
    first = {row["name"]: row for row in reversed(rows)}
    if lab.tables["curves"]:
        yield "curves", lambda: draw_curves(lab.tables["curves"], rows, "", rewards.curve_columns(rows), label_of, plainest(first))


def figures_of_runs(lab, rows, ends, label_of):
    for world, source in (("gpt", rows), ("ngram", ends)):
        if source:
            yield f"knobs-{world}", lambda: draw_knobs(source)
    by_options = plainest({row["name"]: row for row in ends})
    by_choice = {m: {name: numbers.estimate(numbers.by_seed([r for r in rows if r["m"] == m], name, "choice_loss").values()) for name in numbers.names_of(rows)}
                 for m in numbers.sizes(rows)}
    choice = lambda m: lambda name, _: by_choice[m][name].value if by_choice.get(m, {}).get(name) else math.inf
    for m in numbers.sizes(lab.tables["curves"]):
        columns = (("test_loss", "Test loss on the target", "log"), ("target_loss", "Loss on the target set D*", "log"), ("general_loss", "General loss", "linear"))
        yield f"curves-m{m}", lambda: draw_curves(lab.tables["curves"], rows, m, columns, label_of, choice(m))
    for m in numbers.sizes(ends):
        columns = (("test", "Exact test loss on the target", "linear"), ("train", "Loss on the target set D*", "linear"), ("general", "Exact general loss", "linear"))
        yield f"curves-ngram-m{m}", lambda: draw_curves(lab.tables["ngram_curves"], ends, m, columns, str, by_options)
    for m in numbers.sizes(rows):
        yield f"pareto-m{m}", lambda: draw_pareto(rows, m, label_of, choice(m))
    for m in numbers.sizes(ends):
        yield f"pareto-ngram-m{m}", lambda: draw_pareto(ends, m, str, by_options)
    for m in numbers.sizes(lab.tables["composition"]):
        yield f"composition-m{m}", lambda: draw_composition(lab.tables["composition"], m, label_of)


def draw_share(part):
    """Draws the figures whose number leaves `share` when divided by `shares`; their names."""
    share, shares, lab, ends, folder = part
    drawn = []
    for i, (name, draw) in enumerate(all_figures(lab, ends)):
        figure = draw() if i % shares == share else None
        if figure is not None:
            figure.savefig(os.path.join(folder, name + ".png"), metadata={"Software": None})
            plt.close(figure)
            drawn.append(name)
    return drawn


def draw_all(lab, ends, folder):
    """Draws what can be drawn into FOLDER, on all cores; the figures' names, in order."""
    plt.rcParams.update({"font.size": 9, "savefig.dpi": 150, "figure.dpi": 150})
    os.makedirs(folder, exist_ok=True)
    shares = min(os.cpu_count() or 1, 8)
    with multiprocessing.get_context("fork").Pool(shares) as pool:
        drawn = set().union(*pool.map(draw_share, [(share, shares, lab, ends, folder) for share in range(shares)]))
    return [name for name, _ in all_figures(lab, ends) if name in drawn]
