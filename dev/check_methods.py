#!/usr/bin/python3
"""check_methods.py -- every --method with every --group against an oracle in NumPy, in double precision.

    python3 dev/check_methods.py [--build build] [--only METHOD] [--verbose] [--complete]

The oracle knows the data only as gradients of single rows, which plain training of a file of one row dumps, and each method only as
a sentence of mathematics; of drpt/ it shares nothing. It cuts the gradients into groups, finds the update u of each by enumeration,
and compares with --dump-update of a step that has all rows in its batch: readers shuffle rows, and u does not depend on their
order (of what is drawn at random, every outcome is a candidate and the nearest counts). The error of a group is |difference| / |u|;
for a very short u, which may be all rounding, a tenth of the shorter of t and the longest g_i takes the place of |u|.

A selection may go either way where two scores tie: groups whose choice hangs on less than 1e-5 of the scores' size are left out
and counted. What the trainer does not know yet is reported and skipped; with --complete it is a failure. One line for each method
and group, one for each run with --verbose; exit code 1 if anything is wrong. Debian: apt-get install python3-numpy.
"""
import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from types import SimpleNamespace

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is loaded; its threads would only wait for one another
import numpy as np

from gpt2_numpy import count, random_model, tensors, write_examples, write_model
from oracle import KNOBS, METHODS, knobs, self_test, step_of

ALLOWED, TIE = 1e-5, 1e-5
GROUPS = ["matrix", "layer", "sublayer", "block", "global"]


# ------------------------------------------------------------------------------------------------
# The model's sites and groups; rows.

def sites(c):
    """{(block, site): the indices of its parameters, (rows, cols) with the bias as one more column}; block -1 in front, L behind."""
    result, begin = {}, 0
    for name, shape, _ in tensors(c):
        if name.startswith("head"):
            continue  # no site
        index = begin + np.arange(math.prod(shape)).reshape(shape)
        begin += math.prod(shape)
        if name in ("wte", "wpe"):
            result[-1, name] = index
            continue
        for block, part in enumerate(index if name[:3] != "lnf" else [index]):
            key = (c["L"] if name[:3] == "lnf" else block, name[:-1])
            part = part if part.ndim == 2 else part[:, None]
            result[key] = part if name[-1] == "w" else np.hstack([result[key], part])
    result[-1, "wte"] = result[-1, "wte"][: c["V"]]
    return result


def groups(c, group):
    """{group: [the sites in it]}"""
    C, result = c["C"], {}
    for (block, site), index in sites(c).items():
        half = "attention" if site in ("ln1", "qkv", "attproj") else "mlp"
        if group == "matrix" and site == "qkv":
            for i, part in enumerate("qkv"):
                result[block, part] = [index[i * C : (i + 1) * C]]
            continue
        inner = 0 <= block < c["L"]
        key = {"matrix": (block, site), "layer": (block, site), "sublayer": (block, half if inner else ""), "block": (block,), "global": ()}[group]
        result.setdefault(key, []).append(index)
    return result


def random_rows(rng, count, T, vocab, all_trained):
    """Rows whose tokens repeat, with 1 to T trained tokens."""
    tokens = np.stack([rng.integers(0, 2 + rng.integers(vocab - 2), T + 1) for _ in range(count)])
    trained = np.full(count, T) if all_trained else np.linspace(1, T, count).round().astype(int)
    mask = np.array([np.isin(np.arange(T), rng.permutation(T)[:k]) for k in trained])
    return tokens, mask


class NotBuilt(Exception):
    pass


class Data:
    """A model, general rows in several files (the domains), target rows, and the gradient of every row by itself. With
    objective dpo or reward a row is a pair."""

    def __init__(self, trainer, folder, name, general, targets, seed, all_trained=False, twins=False, objective="sft"):
        self.trainer, self.folder, self.name, self.objective, self.count = trainer, folder, name, objective, 0
        self.per = per = 1 if objective == "sft" else 2
        self.c = c = dict(L=2, H=2, C=16, V=61, Vp=64, T=12, head=int(objective == "reward"))
        rng = np.random.default_rng(seed)
        T = c["T"] - c["head"]  # the last token's score takes a place in the context
        write_model(self.path("model"), c, random_model(c, rng))
        if objective == "dpo":
            write_model(self.path("reference"), c, random_model(c, rng))
        rows = [random_rows(rng, per * k, T, c["V"], all_trained) for k in (*general, targets)]
        for tokens, mask in rows[:1] if twins else []:
            tokens[1], mask[1] = tokens[0], mask[0]
        self.n, self.m = sum(general), targets
        self.domain = np.repeat(np.arange(len(general)), general)
        for d, of_domain in enumerate(rows[:-1]):
            self.write(f"general{d}", *of_domain)
        self.write("single", *(np.concatenate([r[x] for r in rows[:-1]]) for x in (0, 1)))
        self.write("target", *rows[-1])
        every = [(tokens[i : i + per], mask[i : i + per]) for tokens, mask in rows for i in range(0, len(tokens), per)]
        self.trained = np.array([mask.sum() for _, mask in every], float)
        self.gradients = np.array([self.row_gradient(*row) for row in every])

    def path(self, what):
        return os.path.join(self.folder, f"{self.name}_{what}.bin")

    def write(self, what, tokens, mask):
        write_examples(self.path(what), tokens, mask, self.c["V"], kind=self.per - 1)

    def run(self, options):
        update = self.path("update")
        if self.per == 2:
            options = dict(options, objective=self.objective)
        if self.objective == "dpo":
            options = dict(options, reference=self.path("reference"), beta=0.3)
        command = [self.trainer, "--init", self.path("model"), "--schedule", "constant", "--lr", "0", "--clip", "0", "--threads", "1",
                   "--dump-update", update, *(str(x) for name, value in options.items() for x in ("--" + name.replace("_", "-"), value))]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.count += 1
        if done.returncode and re.search(r"not built yet|no such option|must be one of", done.stderr):
            raise NotBuilt(done.stderr.strip())
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\nends with {done.returncode}: {done.stderr.strip()}")
        dump = np.fromfile(update, "<f4", offset=1024).astype(float)
        V, Vp, C = self.c["V"], self.c["Vp"], self.c["C"]
        if dump[V * C : Vp * C].any():
            raise RuntimeError("the padding of the vocabulary has a gradient")
        return dump

    def row_gradient(self, tokens, mask):
        self.write("row", tokens, mask)
        return self.run(dict(general=self.path("row"), batch=1, steps=1, method="full"))

    def weighed(self, by_tokens):
        """G (n,.) and target rows (m,.) that add up to t: each row's token mean counts alike, or each trained token."""
        n, share = self.n, np.ones(self.n + self.m)
        if by_tokens:
            for rows in (slice(0, n), slice(n, None)):
                share[rows] = self.trained[rows] / self.trained[rows].mean()
        gradients = self.gradients * share[:, None]
        return gradients[:n], gradients[n:] / self.m

    def step(self, options, single=False, accumulate=1):
        """The update of a step with all rows."""
        pattern = self.path("single") if single else self.path("general*")
        return self.run(dict(dict(general=pattern, target=self.path("target"), batch=self.n // accumulate,
                                  target_batch=self.m // accumulate, steps=1), **({"accumulate": accumulate} if accumulate > 1 else {}), **options))


# ------------------------------------------------------------------------------------------------
# The comparison.

def scores(G, t, parts, normalise, metric):
    """The scores of a group where they are not <g_i, t>."""
    if metric is not None:
        index = np.concatenate([part.ravel() for part in parts])
        return G[:, index] @ (t[index] / metric[index])
    if normalise:
        of_site = [G[:, part.ravel()] @ t[part.ravel()] for part in parts]
        return sum(s / np.abs(s).mean() for s in of_site)
    return None


def compare(data, method, group, got, k, weigh="rows", single=False, normalise=False, metric=None):
    """The worst error over the groups, where, how many groups were compared, and how many left out."""
    G, rows = data.weighed(weigh == "tokens")
    domain = np.zeros(data.n, int) if single else data.domain
    return compare_update(data.c, G, rows, domain, method, group, got, k, normalise, metric)


def compare_update(c, G, rows, domain, method, group, got, k, normalise=False, metric=None, own=False):
    """The same of any gradients G (n,.) and rows (m,.) that add up to t, laid out as in a model's file. own: target row i is general row i,
    and no score is to hear of it."""
    worst, where, compared, ties = 0.0, "", 0, 0
    for name, parts in groups(c, group).items():
        index = np.concatenate([part.ravel() for part in parts])
        # All is in the span of the rows' gradients: an orthonormal basis of it keeps every product, and what of u is outside is error.
        Q, R = np.linalg.qr(np.vstack([G[:, index], rows[:, index]]).T)
        case = SimpleNamespace(G=R.T[: len(G)], rows=R.T[len(G) :], domain=domain, own=own, score=scores(G, rows.sum(0), parts, normalise, metric))
        u, sure = step_of(method, case, k)
        if sure < TIE:
            ties += 1
            continue
        inner = Q.T @ got[index]
        outside = np.linalg.norm(got[index] - Q @ inner)
        differences = np.hypot(np.linalg.norm(u - inner, axis=1), outside)
        best = differences.argmin()
        natural = min(np.linalg.norm(case.rows.sum(0)), np.linalg.norm(case.G, axis=1).max())
        error = differences[best] / max(np.linalg.norm(u[best]), natural / 10)
        compared += 1
        if not error <= worst:
            worst, where = error, ".".join(map(str, name))
    return worst, where, compared, ties


class Table:
    """The results, by method and group."""

    def __init__(self, verbose):
        self.verbose, self.lines, self.failed = verbose, {}, 0

    def line(self, method, group):
        return self.lines.setdefault((method, group), dict(runs=0, groups=0, ties=0, worst=0.0, where="", missing=[], wrong=[]))

    def add(self, method, group, what, worst, where, compared, ties, allowed=ALLOWED):
        line = self.line(method, group)
        line["runs"] += 1
        line["groups"] += compared
        line["ties"] += ties
        if not worst / allowed <= line["worst"] / ALLOWED:
            line["worst"], line["where"] = worst, f"{where} {what}".strip()
        if not worst <= allowed:
            line["wrong"].append(f"{what or 'as it is'}: {worst:.1e} at {where or 'all'}")
        if self.verbose:
            print(f"    {method} {group} {what}: {compared} groups, {ties} ties, {worst:.1e} {where}", flush=True)

    def attempt(self, method, group, what, check):
        """check() -> what add() wants, or raises."""
        try:
            self.add(method, group, what, *check())
        except NotBuilt as why:
            self.line(method, group)["missing"].append(what or "as it is")
            if self.verbose:
                print(f"    {method} {group} {what}: not built yet: {why}")
        except (RuntimeError, AssertionError) as why:
            self.line(method, group)["wrong"].append(f"{what or 'as it is'}: {why}")

    def print_line(self, method, group, complete):
        line = self.line(method, group)
        bad = line["wrong"] or complete and line["missing"]
        self.failed += bool(bad)
        if line["runs"]:
            text = f"{line['runs']:3} runs {line['groups']:4} groups {line['ties']:2} ties  worst {line['worst']:.1e} {line['where']}"
            text += f"; not built yet: {len(line['missing'])} runs skipped" if line["missing"] else ""
        else:
            text = "not built yet: skipped" if line["missing"] else "nothing ran"
        print(f"{method:12} {group:9} {text}{'  FAILED' if bad else ''}")
        for why in line["wrong"] + (["not built yet: " + x for x in line["missing"]] if complete else []):
            print("    " + why)


KEPT = ("random", "subset", "greedy", "capped")
QUADRATIC = ("span", "cone", "simplex", "capped")
PLAIN = ("full", "target", "mix", "inside", "outside")
DOMAINS = ("gem", "pcgrad", "cagrad")


def variants(method, pairs=False):
    """What a method can be told: dictionaries of options of the trainer."""
    if not pairs:
        yield dict(weigh="tokens")
    if method == "mix":
        yield dict(mix=0.2)
    if method in KEPT:
        yield from (dict(keep=x) for x in (0, 0.34, 1))
    if method in QUADRATIC:
        yield dict(ridge=0.1)
        yield dict(tau=0, ridge=0.2)
    if method in (*QUADRATIC, "greedy"):
        yield from (dict(tau=x) for x in (0.3, 2))
    if method in ("simplex", "capped", "greedy"):
        yield dict(tau=0)
    if method in ("cagrad", "trust"):
        yield from (dict(radius=x) for x in (0, 0.2, 0.9))
    if method not in PLAIN:
        yield from (dict(strength=x) for x in (0, 0.3))
        yield from (dict(rescale=x) for x in ("ray", "target", "general", "cap"))
        yield dict(rescale="cap", radius=0.1, strength=0.6)
    if method in QUADRATIC:
        yield from (dict(strength="auto", ridge=x) for x in (0, 0.1))
        yield dict(strength="auto", rescale="target", **({} if pairs else dict(weigh="tokens")))
    if method in ("full", "mix", "cone"):
        yield dict(recompute=1)


def name_of(options):
    return " ".join(f"{name} {value}" for name, value in options.items())


def check_variant(data, method, group, options, **more):
    got = data.step(dict(options, method=method, group=group), single=more.get("single", False), accumulate=more.pop("accumulate", 1))
    k = knobs(**{name: value for name, value in options.items() if name in KNOBS})
    return compare(data, method, group, got, k, options.get("weigh", "rows"), **more)


def check_accumulated(data, method, group, options):
    """Three micro-batches are one batch; where nothing is drawn, their update is that of the one to rounding."""
    worst, where, compared, ties = check_variant(data, method, group, options, accumulate=3)
    options = dict(options, method=method, group=group)
    if method not in ("random", "pcgrad") and ties == 0:
        one, three = data.step(options), data.step(options, accumulate=3)
        for name, parts in groups(data.c, group).items():
            index = np.concatenate([part.ravel() for part in parts])
            error = np.linalg.norm(three[index] - one[index]) / max(np.linalg.norm(one[index]), 1e-30)
            if error > worst:
                worst, where = error, ".".join(map(str, name)) + " of one batch"
    return worst, where, compared, ties


def check_head(data, method, group):
    """The scalar head is no site: its update is the general rows' mean, or without them the target's."""
    got = data.step(dict(method=method, group=group))
    G, rows = data.weighed(False)
    want, head = (rows.sum(0) if method == "target" else G.mean(0)), slice(count(data.c) - data.c["C"] - 1, None)
    return np.linalg.norm(got[head] - want[head]) / np.linalg.norm(want[head]), "head", 1, 0


def check_pairs(table, data, method, group, thorough):
    for options in [{}, *variants(method, pairs=True)] if thorough else [{}]:
        what = f"{data.name} {name_of(options)}".strip()
        table.attempt(method, group, what, lambda: check_variant(data, method, group, options))
    table.attempt(method, group, data.name + " accumulate 3", lambda: check_accumulated(data, method, group, {}))
    if data.c["head"]:
        table.attempt(method, group, data.name + " head", lambda: check_head(data, method, group))


def check_metric(data, method, group):
    """Scores in AdamW's metric. The rate is 0, so that weights stay: the first two updates, which a run each dumps, are what the moments
    of the third step are made of. A large eps shows in the scores."""
    eps, beta2 = 0.01, 0.95
    options = dict(method=method, group=group, metric="adam", eps=eps, beta2=beta2)
    first, second = (data.step(dict(options, steps=steps)) for steps in (1, 2))
    worst = compare(data, method, group, first, knobs())  # no moments yet: every direction counts alike
    v = beta2 * (1 - beta2) * first**2 + (1 - beta2) * second**2
    metric = np.sqrt(v / (1 - beta2**2)) + eps
    third = compare(data, method, group, data.step(dict(options, steps=3)), knobs(), metric=metric)
    return max(worst, third, key=lambda x: x[0])[:2] + (worst[2] + third[2], worst[3] + third[3])


def check_sketch(data, group):
    """Scores that are estimates pick some k rows or others."""
    return compare(data, "random", group, data.step(dict(method="subset", group=group, score="sketch")), knobs())


def check_method(table, data, more, twins, method, group, thorough):
    table.attempt(method, group, "", lambda: check_variant(data, method, group, {}))
    if method in DOMAINS + ("agem",):
        table.attempt(method, group, "one domain", lambda: check_variant(data, method, group, {}, single=True))
    table.attempt(method, group, "more rows", lambda: check_variant(more, method, group, {}))
    if method in ("subset", "filter"):
        table.attempt(method, group, "metric adam", lambda: check_metric(data, method, group))
        if group in ("sublayer", "block", "global"):
            for which in (data, more):
                table.attempt(method, group, f"normalise 1, {which.name}",
                              lambda: check_variant(which, method, group, dict(normalise=1), normalise=True))
    for route in ("direct", "pairs", "tokens") if method in ("subset", "cone", "agem") else []:
        table.attempt(method, group, "score " + route, lambda: check_variant(data, method, group, dict(score=route)))
    if method == "subset":
        table.attempt(method, group, "score sketch", lambda: check_sketch(data, group))
    for options in variants(method) if thorough else []:
        table.attempt(method, group, name_of(options), lambda: check_variant(data, method, group, options))
    for options in [{}, dict(ridge=0.1)] if method in QUADRATIC and thorough else []:
        what = f"one row twice {name_of(options)}".strip()
        table.attempt(method, group, what, lambda: check_variant(twins, method, group, options))
    for options in [{}, dict(weigh="tokens")] if thorough else [{}]:
        what = f"accumulate 3 {name_of(options)}".strip()
        table.attempt(method, group, what, lambda: check_accumulated(data, method, group, options))
    if method in QUADRATIC and thorough:
        table.attempt(method, group, "accumulate 3 strength auto", lambda: check_accumulated(data, method, group, dict(strength="auto")))


# ------------------------------------------------------------------------------------------------
# Cached bases: one of each matrix. T, G_i: a site's gradient as a matrix, the bias its last column.

def each_site(data, update, group):
    G, rows = data.weighed(False)
    t = rows.sum(0)
    for (block, site), (index,) in groups(data.c, group).items():
        yield f"{block}.{site}", G[:, index], t[index], update[index]


def worst_of(errors):
    errors = dict(errors)
    where = max(errors, key=lambda name: errors[name] if errors[name] == errors[name] else math.inf)
    return errors[where], where, len(errors), 0


def exact_sides(G, rank, sides):
    """Orthonormal columns that hold most of the general rows' second moments sum G_i G_i' (left), sum G_i' G_i (right), and by what factor
    the last that is taken stands above the first that is not."""
    bases, margin = [], math.inf
    for side, C in (("left", np.einsum("ijk,ilk->jl", G, G)), ("right", np.einsum("ijk,ijl->kl", G, G))):
        values, vectors = np.linalg.eigh(C)
        if sides not in (side, "both"):
            bases.append(np.eye(len(C)))
            continue
        bases.append(vectors[:, ::-1][:, :rank])
        if rank < len(C):
            margin = min(margin, values[::-1][rank - 1] / max(values[::-1][rank], 1e-300))
    return bases, margin


def step_with_basis(data, method, group, rank, sides, steps=1, refresh=20):
    return data.step(dict(method=method, group=group, rank=rank, sides=sides, refresh=refresh, steps=steps))


def check_all_inside(data, method, group, sides):
    """With bases as wide as the matrices nothing of t lies outside."""
    update = step_with_basis(data, method, group, 128, sides)
    return *worst_of((name, np.linalg.norm(u - (t if method == "inside" else 0)) / np.linalg.norm(t))
                     for name, _, t, u in each_site(data, update, group)), 1e-3


def check_projector(data, group, rank, sides, steps=1):
    """Inside and outside are orthogonal and add up to t, and inside has the rank asked for."""
    inside, outside = (step_with_basis(data, method, group, rank, sides, steps) for method in ("inside", "outside"))
    other = {name: u for name, _, _, u in each_site(data, outside, group)}
    errors = {}
    for name, _, t, u in each_site(data, inside, group):
        length = np.linalg.norm(t)
        beyond = np.linalg.svd(u, compute_uv=False)[rank:].max(initial=0.0)
        errors[name] = max(abs((u * other[name]).sum()) / length**2, np.linalg.norm(u + other[name] - t) / length, beyond / length)
    return *worst_of(errors), 1e-4


def check_energy(data, group, rank, sides):
    """A first basis need not be the best one; it holds nearly as much of the general rows as the best. It is read off u's own singular vectors."""
    errors = {}
    for name, G, t, u in each_site(data, step_with_basis(data, "inside", group, rank, sides), group):
        U, size, V = np.linalg.svd(u)
        if min(t.shape) <= rank or size[rank - 1] < 1e-4 * size[0]:
            continue
        best, _ = exact_sides(G, rank, sides)
        for side, got in enumerate((U[:, :rank], V[:rank].T)):
            if sides in (("left", "right")[side], "both"):
                held = [sum(np.linalg.norm(B.T @ (g if side == 0 else g.T)) ** 2 for g in G) for B in (got, best[side])]
                errors[f"{name} {('left', 'right')[side]}"] = 1 - held[0] / held[1]
    return *worst_of(errors), 0.05


def check_settled(data, group, rank, sides):
    """Refreshed often on data that stay the same, the bases become the eigenvectors, where these are well apart."""
    update, errors = step_with_basis(data, "inside", group, rank, sides, steps=40, refresh=1), {}
    for name, G, t, u in each_site(data, update, group):
        (U, V), margin = exact_sides(G, rank, sides)
        if min(t.shape) > 2 and margin > 1.3:  # a layer normalisation's two columns have no convention
            errors[name] = np.linalg.norm(U @ (U.T @ t @ V) @ V.T - u) / np.linalg.norm(t)
    return *worst_of(errors), 2e-2


def check_kept(data, method, group):
    """Between refreshes the basis stays: with weights that stay too, the third update is the first."""
    first, third = (step_with_basis(data, method, group, 4, "both", steps) for steps in (1, 3))
    other = {name: u for name, _, _, u in each_site(data, third, group)}
    return *worst_of((name, np.linalg.norm(u - other[name]) / np.linalg.norm(t)) for name, _, t, u in each_site(data, first, group)), 1e-5


def check_bases(table, data, method, group, thorough):
    all_sides = ("both", "left", "right") if thorough else ("both",)
    attempt = lambda what, check: table.attempt(method, group, what if data.per == 1 else f"{data.name} {what}", check)
    for sides in all_sides:
        attempt(f"rank 128 {sides}", lambda: check_all_inside(data, method, group, sides))
    for sides in all_sides if method == "inside" else []:
        attempt(f"rank 4 {sides}, sum", lambda: check_projector(data, group, 4, sides))
        if thorough:
            attempt(f"rank 4 {sides}, energy", lambda: check_energy(data, group, 4, sides))
            attempt(f"rank 4 {sides}, settled", lambda: check_settled(data, group, 4, sides))
    attempt("rank 4, kept", lambda: check_kept(data, method, group))


def offered(trainer, objectives):
    """Which of them the trainer knows."""
    text = subprocess.run([trainer, "--help"], stdout=subprocess.PIPE, text=True).stdout
    return [name for name in objectives if f"\n        {name}:" in text]


def main():
    parser = argparse.ArgumentParser(description="Every method and group of the trainer against an oracle in NumPy.")
    parser.add_argument("--build", default="build", help="where train_gpt2_drpt is")
    parser.add_argument("--only", choices=METHODS, help="one method")
    parser.add_argument("--verbose", action="store_true", help="a line for each run")
    parser.add_argument("--complete", action="store_true", help="what is not built yet is a failure")
    options = parser.parse_args()
    self_test()
    trainer, table = os.path.join(options.build, "train_gpt2_drpt"), Table(options.verbose)
    with tempfile.TemporaryDirectory() as folder:
        data = Data(trainer, folder, "small", (3, 2, 1), 3, 1)
        more = Data(trainer, folder, "more", (4, 3, 2), 4, 2)
        twins = Data(trainer, folder, "twins", (4, 2), 3, 4, twins=True)
        wide = Data(trainer, folder, "wide", (16,), 3, 3, all_trained=True)
        pairs = [Data(trainer, folder, f"pairs, {name}", (3, 2, 1), 3, 5, objective=name) for name in offered(trainer, ("dpo", "reward"))]
        wide_pairs = [Data(trainer, folder, f"wide pairs, {data.objective}", (16,), 3, 6, True, objective=data.objective) for data in pairs]
        for method in [options.only] if options.only else METHODS:
            for group in GROUPS:
                thorough = group in ("layer", "block")
                if method in ("inside", "outside") and group not in ("matrix", "layer"):
                    continue
                if method in ("inside", "outside"):
                    check_bases(table, wide, method, group, group == "layer")
                    for which in wide_pairs:
                        check_bases(table, which, method, group, False)
                else:
                    check_method(table, data, more, twins, method, group, thorough)
                    for which in pairs:
                        check_pairs(table, which, method, group, group == "layer" and which.objective == "dpo")
                table.print_line(method, group, options.complete)
    runs, missing, ties = (sum(f(line) for line in table.lines.values()) for f in
                           (lambda x: x["runs"], lambda x: len(x["missing"]), lambda x: x["ties"]))
    print(f"{runs} comparisons, {missing} of what is not built yet skipped, {ties} groups left out for ties; " +
          (f"{table.failed} lines FAILED" if table.failed else "all within tolerance"))
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
