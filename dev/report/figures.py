"""figures.py -- what demo_picture.py and report_figures.py draw with: colours, styles, and names beside their curves. Needs matplotlib."""
import matplotlib
matplotlib.use("Agg")
import matplotlib.ticker

# A colour a method (Okabe and Ito's, which the colour-blind can tell apart), a line style a group.
COLOURS = {"target": "#D55E00", "full": "#000000", "mix": "#CC79A7", "random": "#8C8C8C", "subset": "#0072B2", "cone": "#009E73",
           "filter": "#56B4E9", "greedy": "#56B4E9", "span": "#E69F00", "simplex": "#007F8C", "capped": "#007F8C", "inside": "#8A6D00", "outside": "#8A6D00",
           "agem": "#A0522D", "agem_mirror": "#A0522D", "gem": "#A0522D", "pcgrad": "#7A4D9E", "cagrad": "#7A4D9E", "trust": "#7A4D9E"}
MARKERS = {"target": "^", "full": "s", "mix": "D", "random": "X", "subset": "o", "cone": "h", "filter": "v", "greedy": "P", "span": "d", "simplex": "<",
           "capped": ">", "inside": "*", "outside": "p", "agem": "v", "agem_mirror": "^", "gem": "<", "pcgrad": "H", "cagrad": "8", "trust": ">"}
STYLES = {"": "-", "layer": "-", "global": (0, (4, 1.5)), "block": (0, (1, 1)), "sublayer": (0, (5, 1, 1, 1)), "matrix": (0, (3, 1, 1, 1, 1, 1))}


def colour_of(method):
    return COLOURS.get(method, "#444444")


def ink(colour):
    """The same colour, dark enough for text on white."""
    return {"#E69F00": "#A86E00", "#56B4E9": "#1F78B4", "#CC79A7": "#A4487B", "#8C8C8C": "#6E6E6E"}.get(colour, colour)


def style_of(method, group):
    return ":" if method == "random" else STYLES.get(group, "-")


def own_look(taken, colour, style):
    """(colour, style), the style another one where a curve of that colour has it: two of one method, as with --strength, are told apart."""
    look = next(((colour, other) for other in (style, ":", "-.", (0, (6, 2, 1, 2))) if (colour, other) not in taken), (colour, style))
    taken.add(look)
    return look


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


def label_ends(axes, ends, gap=0.055, size=9):
    """The name of each (x, y, name, colour) beside the axes, joined to its end by a thin line; the gap in fractions of the axes."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [min(max(to_axes.transform((0, y))[1], 0.0), 1.0) for _, y, _, _ in ends]
    for (x, _, text, colour), height, place in zip(ends, heights, spread(heights, gap, 0.02, 0.98)):
        axes.annotate(text, xy=(1.0, height), xytext=(1.05, place), xycoords="axes fraction", textcoords="axes fraction",
                      color=colour, va="center", fontsize=size, annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 1})


def draw_band(axes, steps, mean, error, colour, style):
    """A curve with a band of one standard error; where that would reach 0, a logarithmic axis needs something above."""
    axes.plot(steps, mean, color=colour, linestyle=style, linewidth=1.7)
    low = [m - e if m > e or m <= 0 else m / 10 for m, e in zip(mean, error)]
    axes.fill_between(steps, low, [m + e for m, e in zip(mean, error)], color=colour, alpha=0.15, linewidth=0)


def plain_axes(axes):
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def log_losses(axes):
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
