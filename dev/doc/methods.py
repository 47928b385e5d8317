#!/usr/bin/env python3
"""Draws dev/doc/methods/*.png, the pictures of dev/doc/methods.md: gradients in the plane, the set that u may come from, and u
as the oracle finds it (dev/oracle.py). Needs NumPy and matplotlib.

    python3 dev/doc/methods.py [NAME...]
"""
import itertools
import os
import sys
from types import SimpleNamespace

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))
from oracle import domain_means, knobs, step_of

# Okabe and Ito's colours, which the colour-blind can tell apart; in print t is dashed and the set is hatched.
GENERAL, TARGET, UPDATE, SET = "#444444", "#D55E00", "#0072B2", "#009E73"
ROWS = np.array([[2.3, 0.1], [1.9, 1.3], [0.2, 1.2], [1.3, -1.3]])
LEFT, RIGHT, BOTTOM, TOP = -1.35, 2.75, -1.55, 2.25
NEAR, AGAINST = np.array([1.6, 1.9]), np.array([-0.9, 1.5])  # a target that agrees with most rows; one that conflicts with their mean


def group(t, rows=ROWS, domain=None):
    return SimpleNamespace(G=np.array(rows), rows=np.atleast_2d(t), score=None,
                           domain=np.zeros(len(rows), int) if domain is None else np.array(domain))


# ------------------------------------------------------------------------------------------------
# What a picture is made of.

class Picture:
    def __init__(self, c):
        self.c, self.t = c, c.rows.sum(0)
        self.figure, self.axes = plt.subplots(figsize=(3.3, 3.06), dpi=110)
        self.figure.subplots_adjust(0.01, 0.01, 0.99, 0.99)
        self.axes.set(xlim=(LEFT, RIGHT), ylim=(BOTTOM, TOP), aspect="equal", xticks=[], yticks=[])
        for spine in self.axes.spines.values():
            spine.set_color("#BBBBBB")
        self.axes.plot(0, 0, "o", color="black", markersize=3.5, zorder=6)

    def label(self, at, text, colour, away=None, size=10):
        """Beside a point, on the side that `away` points to: by default away from the origin."""
        away = np.array(at if away is None else away, float)
        x, y = np.array(at) + 0.17 * away / max(np.linalg.norm(away), 1e-9)
        self.axes.text(x, y, text, color=colour, fontsize=size, ha="center", va="center", zorder=8,
                       bbox=dict(boxstyle="round,pad=0.08", facecolor="white", edgecolor="none", alpha=0.75))

    def arrow(self, to, colour, text="", width=1.6, style="-", begin=(0, 0), away=None, z=5):
        self.axes.annotate("", xy=to, xytext=begin, zorder=z, arrowprops=dict(arrowstyle="-|>,head_width=0.22,head_length=0.42", color=colour,
                           linewidth=width, linestyle=style, shrinkA=0, shrinkB=0))
        if text:
            self.label(to, text, colour, away)

    def rows(self, faint=(), names=True, aways={}):
        for i, g in enumerate(self.c.G):
            self.arrow(g, "#BBBBBB" if i in faint else GENERAL, f"$g_{i + 1}$" if names else "", 1.0, away=aways.get(i), z=4)

    def target(self, away=None):
        self.arrow(self.t, TARGET, "$t$", 1.6, (0, (4, 1.5)), away=away)

    def update(self, u, away=None, text="$u$"):
        self.arrow(u, UPDATE, text, 2.4, away=away, z=7)

    def mean(self, point, text=r"$\bar g$", away=None):
        self.axes.plot(*point, "D", color=GENERAL, markersize=4.5, zorder=6)
        self.label(point, text, GENERAL, away)

    def region(self, corners):
        self.axes.add_patch(plt.Polygon(corners, facecolor=SET, alpha=0.16, linewidth=0, zorder=1))
        self.axes.add_patch(plt.Polygon(corners, facecolor="none", edgecolor=SET, hatch="..", linewidth=0.9, alpha=0.6, zorder=1))

    def ball(self, centre, radius):
        angle = np.linspace(0, 2 * np.pi, 100)
        self.region(centre + radius * np.column_stack([np.cos(angle), np.sin(angle)]))

    def points(self, points):
        self.axes.plot(*np.transpose(points), "o", color=SET, markersize=5, markeredgecolor="white", markeredgewidth=0.7, zorder=5)

    def line(self, a, b, colour="#777777", style=":", width=1.1, z=3):
        self.axes.plot([a[0], b[0]], [a[1], b[1]], color=colour, linestyle=style, linewidth=width, zorder=z)

    def save(self, name):
        path = os.path.join(HERE, "methods", name + ".png")
        self.figure.savefig(path, metadata={"Software": None})
        plt.close(self.figure)
        print(path, os.path.getsize(path))


def hull(points):
    """The corners of the convex hull, in order (the lower chain, then the upper)."""
    points = sorted(map(tuple, points))
    chains = []
    for run in (points, points[::-1]):
        chain = []
        for x, y in run:
            while len(chain) > 1 and (chain[-1][0] - chain[-2][0]) * (y - chain[-2][1]) <= (chain[-1][1] - chain[-2][1]) * (x - chain[-2][0]):
                chain.pop()
            chain.append((x, y))
        chains += chain[:-1]
    return np.array(chains)


def half_plane(normals):
    """The corners of all x in a wide square with <x,normal> >= 0 for each normal."""
    corners = 9 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.0]])
    for normal in normals:
        kept, side = [], corners @ normal
        for i in range(len(corners)):
            j = (i + 1) % len(corners)
            if side[i] >= 0:
                kept.append(corners[i])
            if side[i] * side[j] < 0:
                kept.append(corners[i] + side[i] / (side[i] - side[j]) * (corners[j] - corners[i]))
        corners = np.array(kept)
    return corners


def means_of(k):
    return np.array([ROWS[list(chosen)].mean(0) for chosen in itertools.combinations(range(len(ROWS)), k)])


def u_of(method, c, **given):
    return step_of(method, c, knobs(**given))[0][0]


# ------------------------------------------------------------------------------------------------
# The pictures.

def draw_full(c=group(NEAR)):
    p = Picture(c)
    p.rows()
    p.target()
    p.update(u_of("full", c), away=(-0.1, 1), text=r"$u=\bar g$")
    return p


def draw_target(c=group(NEAR)):
    p = Picture(c)
    p.rows()
    p.update(u_of("target", c), text="$u=t$")
    return p


def draw_mix(c=group(NEAR)):
    p = Picture(c)
    mean = c.G.mean(0)
    p.rows(names=False)
    p.line(mean, p.t, SET, "-", 2.2)
    p.mean(mean, away=(1, -0.7))
    p.target()
    p.update(u_of("mix", c, mix=0.5), away=(1, -0.2))
    return p


def draw_random(c=group(NEAR)):
    p = Picture(c)
    p.rows()
    p.points(means_of(2))
    p.target()
    p.update(step_of("random", c, knobs())[0][1], away=(0, -1))
    return p


def draw_subset(c=group(NEAR)):
    p = Picture(c)
    p.rows()
    p.points(means_of(2))
    p.target()
    u = u_of("subset", c)
    beyond = np.array([p.t[1], -p.t[0]]) / np.linalg.norm(p.t)  # the level line of <.,t> through u
    p.line(u - 1.7 * beyond, u + 1.7 * beyond)
    p.update(u, away=(1, 0.3))
    return p


def draw_filter(c=group(NEAR)):
    p = Picture(c)
    p.region(half_plane([p.t]))
    p.rows(faint=np.flatnonzero(c.G @ p.t < 0))
    p.target()
    p.update(u_of("filter", c), away=(0, -1))
    return p


def draw_greedy(c=group(NEAR)):
    p = Picture(c)
    p.rows()
    p.points(means_of(2))
    p.target()
    u = u_of("greedy", c)
    p.line(u, p.t)
    p.update(u, away=(-1, 0.4))
    return p


def draw_span(c=group(NEAR, rows=[[1.05, 0.25], [2.52, 0.6]])):
    p = Picture(c)
    along = c.G[0] / np.linalg.norm(c.G[0])
    p.line(-9 * along, 9 * along, SET, "-", 2.6, 2)
    p.rows(aways={0: (0.2, -1), 1: (0.2, -1)})
    p.target()
    u = u_of("span", c)
    p.line(u, p.t)
    p.update(u, away=(0.2, -1))
    return p


def draw_cone(c=group(AGAINST)):
    p = Picture(c)
    p.region(np.vstack([[0, 0], 9 * ROWS[3], [9, 9], 9 * ROWS[2]]))
    p.rows(aways={2: (-1, -0.5)})
    p.target()
    u = u_of("cone", c)
    p.line(u, p.t)
    p.update(u, away=(1, 0.5))
    return p


def draw_simplex(c=group(NEAR)):
    p = Picture(c)
    p.region(hull(ROWS))
    p.rows()
    p.target()
    u = u_of("simplex", c)
    p.line(u, p.t)
    p.update(u, away=(-0.9, 0.8))
    return p


def draw_capped(c=group(NEAR)):
    p = Picture(c)
    p.region(hull(means_of(2)))
    p.axes.add_patch(plt.Polygon(hull(ROWS), facecolor="none", edgecolor="#999999", linewidth=0.8, linestyle=":"))
    p.rows()
    p.points(means_of(2))
    p.target()
    u = u_of("capped", c)
    p.line(u, p.t)
    p.update(u, away=(0.9, -0.6))
    return p


def draw_agem(c=group(AGAINST)):
    p = Picture(c)
    mean = c.G.mean(0)
    p.region(half_plane([mean]))
    p.rows(faint=range(4), names=False)
    p.arrow(mean, GENERAL, r"$\bar g$", away=(1, 0.3))
    p.target()
    u = u_of("agem", c)
    p.line(u, p.t)
    p.update(u, away=(0.7, 0.7))
    return p


def draw_agem_mirror(c=group(AGAINST)):
    p = Picture(c)
    mean = c.G.mean(0)
    p.region(half_plane([p.t]))
    p.rows(faint=range(4), names=False)
    p.arrow(mean, GENERAL, r"$\bar g$", away=(1, -0.4))
    p.target()
    u = u_of("agem_mirror", c)
    p.line(u, mean)
    p.update(u, away=(-0.1, 1))
    return p


def draw_gem(c=group(AGAINST, domain=[0, 1, 1, 0])):
    p = Picture(c)
    means = domain_means(c)
    p.region(half_plane(means))
    p.rows(faint=range(4), names=False)
    p.arrow(means[0], GENERAL, r"$\bar g_1$", away=(1, 0))
    p.arrow(means[1], GENERAL, r"$\bar g_2$", away=(1, 0.2))
    p.target()
    u = u_of("gem", c)
    p.line(u, p.t)
    p.update(u, away=(0.9, 0.9))
    return p


def draw_pcgrad(c=group(AGAINST)):
    p = Picture(c)
    mean = c.G.mean(0)
    p.rows(faint=range(4), names=False)
    p.arrow(mean, GENERAL, r"$\bar g$", away=(1, -0.4))
    p.target()
    ends = u_of("agem", c), u_of("agem_mirror", c)  # each without what works against the other
    p.line(ends[0], p.t)
    p.line(ends[1], mean)
    p.line(*ends, SET, "-", 1.6)
    p.points(ends)
    p.update(u_of("pcgrad", c), away=(0.4, 1))
    return p


def draw_cagrad(c=group(AGAINST)):
    p = Picture(c)
    mean = c.G.mean(0)
    middle = (p.t + mean) / 2
    p.ball(middle, 0.5 * np.linalg.norm(middle))
    p.rows(faint=range(4), names=False)
    p.arrow(mean, GENERAL, r"$\bar g$", away=(1, -0.4))
    p.target()
    p.line(mean, p.t, "#999999", ":")
    p.mean(middle, "$g_0$", away=(-1, 0.2))
    p.update(u_of("cagrad", c), away=(0.6, 1))
    return p


def draw_trust(c=group(NEAR)):
    p = Picture(c)
    mean = c.G.mean(0)
    p.ball(mean, 0.5 * np.linalg.norm(mean))
    p.rows(faint=range(4), names=False)
    p.mean(mean, away=(0.4, -1))
    p.target()
    u = u_of("trust", c)
    p.line(mean, u, TARGET, (0, (4, 1.5)), 1.3, 6)
    p.update(u, away=(1, 0.3))
    return p


def draw_inside(c=group(NEAR), method="inside"):
    p = Picture(c)
    vectors = np.linalg.eigh(c.G.T @ c.G)[1]
    along = vectors[:, -1] * np.sign(vectors[0, -1])
    p.line(-9 * along, 9 * along, SET, "-", 2.6, 2)
    p.rows()
    p.target()
    inside = along * (along @ p.t)
    p.line(p.t, inside)
    p.label(-0.95 * along, "basis", SET, away=(0, -1))
    if method == "inside":
        p.update(inside, away=(0.4, -1))
    else:
        p.line(p.t, p.t - inside)
        p.update(p.t - inside, away=(-0.5, 1))
    return p


def draw_outside():
    return draw_inside(method="outside")


def draw_strength(c=group(AGAINST)):
    p = draw_cone(c)
    p.axes.texts[-1].remove()
    u = u_of("cone", c)
    p.line(u, p.t, SET, "-", 2.4, 6)
    for x, away in ((0, (-1.6, -1.4)), (0.5, (-0.1, 1)), (1, (1, 0.8))):
        p.points([u_of("cone", c, strength=x)])
        p.label(u_of("cone", c, strength=x), f"$x={x}$", UPDATE, away=np.array(away), size=8)
    return p


def draw_auto():
    """Three target rows; from each its own residual."""
    rows = np.array([[0.2, 1.79], [-0.17, 0.84], [-1.16, 1.56]])
    c = group(rows / 3)
    p = Picture(c)
    p.region(np.vstack([[0, 0], 9 * ROWS[3], [9, 9], 9 * ROWS[2]]))
    p.rows(faint=range(4), names=False)
    for j, row in enumerate(rows):
        p.line(row, u_of("cone", group(row)), TARGET, ":")
        p.axes.plot(*row, "o", color=TARGET, markersize=4.5, zorder=6)
        p.label(row, f"$t_{j + 1}$", TARGET, away=((-0.3, 1), (-1, -0.4), (-0.3, 1))[j], size=9)
    p.target(away=(-1, 0.3))
    p.points([u_of("cone", c)])
    p.label(u_of("cone", c), "$P(t)$", SET, away=(2, 0.2))
    p.update(u_of("cone", c, strength="auto"), away=(0.1, 1))
    return p


def draw_rescale(c=group((-1.0, 1.8))):
    p = Picture(c)
    mean, told = c.G.mean(0), dict(keep=0.25, radius=0.35)
    u = u_of("subset", c, **told)
    p.rows(faint=range(4), names=False)
    p.arrow(mean, GENERAL, r"$\bar g$", away=(1, -0.2))
    p.target()
    p.line((0, 0), 9 * u, "#999999", "-", 0.8)
    for name in ("none", "ray", "target", "general", "cap"):
        v = u_of("subset", c, rescale=name, **told)
        p.points([v])
        p.axes.text(v[0] + 0.13, v[1] - 0.03, name, color=UPDATE, fontsize=9, va="center", zorder=8)
    p.update(u, text="")
    return p


def draw_sets(c=group(AGAINST)):
    """The feasible sets inside each other, and the projection of t on each."""
    p = Picture(c)
    shades = (("cone", np.vstack([[0, 0], 9 * ROWS[3], [9, 9], 9 * ROWS[2]]), "#E3F1EC"), ("simplex", hull(ROWS), "#B9DED2"),
              ("capped", hull(means_of(2)), "#7FC4AE"))
    for name, corners, colour in shades:
        p.axes.add_patch(plt.Polygon(corners, facecolor=colour, edgecolor=SET, linewidth=0.8, zorder=1))
    p.rows(names=False)
    p.target()
    p.mean(c.G.mean(0), "full", away=(0.3, -1))
    for name, away in (("cone", (0.9, 0.9)), ("simplex", (-1, -0.1)), ("capped", (-0.3, 1))):
        u = u_of(name, c)
        p.line(u, p.t)
        p.axes.plot(*u, "o", color=UPDATE, markersize=5.5, markeredgecolor="white", zorder=7)
        p.label(u, name, UPDATE, away=np.array(away) * 2, size=8)
    return p


def main():
    plt.rcParams.update({"mathtext.fontset": "cm", "hatch.linewidth": 0.5, "hatch.color": SET})
    drawings = {name[5:]: draw for name, draw in globals().items() if name.startswith("draw_")}
    os.makedirs(os.path.join(HERE, "methods"), exist_ok=True)
    for name in sys.argv[1:] or drawings:
        drawings[name]().save(name)


if __name__ == "__main__":
    main()
