"""oracle.py -- the update u of every method, from gradients given as vectors: for dev/check_methods.py and dev/doc/methods.py.

Each method is the sentence that defines it, in double precision and by enumeration; the answers carry certificates of optimality. Made
to be believed, not fast: for a handful of rows. `python3 dev/oracle.py` tests it by itself.
"""
import functools
import itertools
import math
from types import SimpleNamespace

import numpy as np

METHODS = ["full", "target", "mix", "random", "subset", "filter", "greedy", "span", "cone", "simplex", "capped", "agem", "agem_mirror",
           "gem", "pcgrad", "cagrad", "trust", "inside", "outside"]


# ------------------------------------------------------------------------------------------------
# Quadratic problems, by looking at every face of the feasible set.

@functools.lru_cache(maxsize=None)
def faces(n, k):
    """Every way to have each of n variables at 0 (0), free (1) or at its upper bound (2). k: how many bounds make up the sum, so that
    fewer are reached and more are needed, unless none is free; 0: there are no bounds."""
    states = np.array(list(itertools.product(range(3 if k else 2), repeat=n)), dtype=np.int8)
    high, free = (states == 2).sum(1), (states == 1).sum(1)
    return states[(high < k) & (high + free > k) | (high == k) & (free == 0)] if k else states


def minimise(H, s, high=None, total=None):
    """argmin a'Ha/2 - s'a over a >= 0, optionally a <= high (alike for all, total over a whole number) and sum a = total.

    A minimum lies on some face, where it is stationary, and at least one minimum on a face where the stationary point is unique. So
    the best feasible one of these points is the minimum, whatever comes of faces where it is not; a certificate of optimality confirms it.
    """
    n = len(s)
    size = max(np.abs(H).max(), np.abs(s).max())
    if size == 0.0:  # everything is a minimum: the first vertex
        return np.zeros(n) if total is None else fill(np.zeros(n), high, total)
    H, s = H / size, s / size
    key = n, 0 if high is None else round(total / high[0])
    states = faces(*key)
    at, free = np.where(states == 2, 0.0 if high is None else high, 0.0), states == 1
    # Per face: free rows of H a + p 1 = s, the others a_i = their bound, and sum a = total for the multiplier p.
    A = np.zeros((len(states), n + 1, n + 1))
    A[:, :n, :n] = np.where(free[:, :, None], H, np.eye(n))
    A[:, :n, n] = free
    b = np.zeros((len(states), n + 1))
    b[:, :n] = np.where(free, s, at)
    bound = np.full(len(states), total is not None) & free.any(1)
    A[bound, n, :n] = 1.0
    A[~bound, n, n] = 1.0
    b[bound, n] = 0.0 if total is None else total
    try:
        a = np.linalg.solve(A, b[:, :, None])[:, :n, 0]
    except np.linalg.LinAlgError:
        singular = np.linalg.svd(A, compute_uv=False)[:, -1] < 1e-12
        A[singular], b[singular] = np.eye(n + 1), -1.0
        a = np.linalg.solve(A, b[:, :, None])[:, :n, 0]
    room = 1e-9 * (1.0 + np.abs(a).max(1))
    feasible = (a >= -room[:, None]).all(1)
    if high is not None:
        feasible &= (a <= high + room[:, None]).all(1)
    if total is not None:
        feasible &= np.abs(a.sum(1) - total) <= room
    value = np.where(feasible, 0.5 * np.einsum("fi,ij,fj->f", a, H, a) - a @ s, np.inf)
    best = np.maximum(a[value.argmin()], 0.0)
    certify(H, s, best, high, total)
    return best


def fill(gradient, high, total):
    """A vertex of the feasible set where gradient'a is least."""
    a, left = np.zeros(len(gradient)), total
    for i in np.argsort(gradient, kind="stable"):
        a[i] = left if high is None else min(left, high[i])
        left -= a[i]
    return a


def certify(H, s, a, high, total):
    """The gradient at a minimum has no negative product with any step into the feasible set."""
    gradient = H @ a - s
    if total is None and high is None:
        worst = max(-gradient.min(), abs(gradient @ a))
    else:
        worst = gradient @ (a - fill(gradient, high, total))
    assert worst <= 1e-8 * (1.0 + np.abs(a).max()) * np.abs(s).max() + 1e-12, f"no minimum: {worst}"


# ------------------------------------------------------------------------------------------------
# The methods. G (n,d) general gradients, t (d) target gradient; own: target row i is general row i, and scores are of t without it. Each returns its candidates (N,d), of which there are several only
# where something is drawn at random, and how far its decisions are from going the other way.

SURE = math.inf


def at_least_one(k, n):
    return max(1, min(n, math.floor(k * n + 1e-9)))


def gap(values, chosen, scale):
    """How far the last of the chosen is above the first of the others."""
    others = np.delete(values, chosen)
    return (values[chosen].min() - others.max()) / scale if len(others) and scale > 0 else SURE


def score_scale(c, t):
    return np.linalg.norm(c.G, axis=1).max() * np.linalg.norm(t) if c.score is None else np.abs(c.score).max()


def scores(c, t):
    return c.G @ t - ((c.G * c.rows).sum(1) if getattr(c, "own", False) else 0.0)


def u_full(c, t, k):
    return c.G.mean(0), SURE


def u_target(c, t, k):
    return t, SURE


def u_mix(c, t, k):
    return k.mix * t + (1 - k.mix) * c.G.mean(0), SURE


def u_random(c, t, k):
    n = len(c.G)
    return np.array([c.G[list(S)].mean(0) for S in itertools.combinations(range(n), at_least_one(k.keep, n))]), SURE


def u_subset(c, t, k):
    score = scores(c, t) if c.score is None else c.score
    chosen = np.argsort(-score, kind="stable")[:at_least_one(k.keep, len(score))]
    return c.G[chosen].mean(0), gap(score, chosen, score_scale(c, t))


def u_filter(c, t, k):
    score, scale = scores(c, t) if c.score is None else c.score, score_scale(c, t)
    kept = score >= 0
    return c.G[kept].mean(0) if kept.any() else 0 * t, np.abs(score).min() / scale if scale > 0 else SURE


def objective(c, t, k, a):
    u = a @ c.G
    return a @ scores(c, t) - k.tau / 2 * u @ u


def u_greedy(c, t, k):
    """Adds the row that raises the objective <u,t> - tau |u|^2 / 2 most, as a full evaluation of each."""
    n, count = len(c.G), at_least_one(k.keep, len(c.G))
    chosen, a, sure = [], np.zeros(n), SURE
    scale = np.linalg.norm(c.G, axis=1).max() * max(np.linalg.norm(t), k.tau * np.linalg.norm(c.G, axis=1).max()) / count
    one = np.eye(n) / count
    for _ in range(count):
        gains = np.array([-math.inf if i in chosen else objective(c, t, k, a + one[i]) - objective(c, t, k, a) for i in range(n)])
        best = int(gains.argmax())
        sure = min(sure, gap(gains, [best], scale)) if len(chosen) + 1 < n else sure
        chosen.append(best)
        a = a + one[best]
    return a @ c.G, sure


def ridge_of(c, k):
    return k.ridge * (c.G**2).sum() / len(c.G)


def u_span(c, t, k):
    mu = ridge_of(c, k)
    if not c.G.any():
        return 0 * t, SURE
    if mu > 0:
        return np.linalg.solve(k.tau * c.G @ c.G.T + mu * np.eye(len(c.G)), scores(c, t)) @ c.G, SURE
    # No ridge: the projection, by an orthonormal basis. What single precision cannot tell from 0 may count or not.
    _, size, V = np.linalg.svd(c.G, full_matrices=False)
    size = size / size[0]
    sure = 0.0 if ((size > 1e-5) & (size < 1e-2)).any() else SURE
    if getattr(c, "own", False):
        return np.linalg.pinv(k.tau * c.G @ c.G.T, 1e-6) @ scores(c, t) @ c.G, sure
    V = V[size > 1e-3]
    return V.T @ (V @ t) / k.tau, sure


def weighed(c, t, k, high=None, total=None):
    mu = ridge_of(c, k)
    if not c.G.any():
        return 0 * t, SURE
    if k.tau == 0 and mu == 0:
        score = scores(c, t)
        a = fill(-score, high, total)
        return a @ c.G, gap(score, np.flatnonzero(a), score_scale(c, t))
    return minimise(k.tau * c.G @ c.G.T + mu * np.eye(len(c.G)), scores(c, t), high, total) @ c.G, SURE


def u_cone(c, t, k):
    return weighed(c, t, k)


def u_simplex(c, t, k):
    return weighed(c, t, k, None, 1.0)


def u_capped(c, t, k):
    n = len(c.G)
    return weighed(c, t, k, np.full(n, 1.0 / at_least_one(k.keep, n)), 1.0)


def off(v, g, product=None):
    """v without what in it works against g."""
    product = v @ g if product is None else product
    return v - min(0.0, product) / (g @ g) * g if g @ g > 0 else v


def u_agem(c, t, k):
    return off(t, c.G.mean(0), scores(c, t).mean()), SURE


def u_agem_mirror(c, t, k):
    return off(c.G.mean(0), t, scores(c, t).mean()), SURE


def domain_means(c):
    return np.array([c.G[c.domain == d].mean(0) for d in np.unique(c.domain)])


def u_gem(c, t, k):
    """The nearest u with <u,M_d> >= 0 for all domains d. What is taken away from t, r = t - u, is t's projection on the cone of the -M_d."""
    M = domain_means(c)
    u = t - minimise(M @ M.T, -M @ t) @ -M
    scale = np.linalg.norm(M, axis=1) * np.linalg.norm(t)
    assert (M @ u >= -1e-9 * scale).all() and abs(u @ (t - u)) <= 1e-9 * (t @ t), "gem: neither feasible nor orthogonal"
    return u, SURE


def u_pcgrad(c, t, k):
    """One candidate for each order in which each task meets the others."""
    tasks = np.vstack([t, domain_means(c)])
    results = []
    for i in range(len(tasks)):
        of_task = []
        for order in itertools.permutations(np.delete(tasks, i, 0)):
            v = tasks[i]
            for other in order:
                v = off(v, other)
            of_task.append(v)
        results.append(np.array(of_task))
    total = results[0]
    for of_task in results[1:]:
        total = (total[:, None, :] + of_task[None, :, :]).reshape(-1, total.shape[1])
    return total / len(tasks), SURE


def u_cagrad(c, t, k):
    """max over |u - g0| <= radius |g0| of the smallest <u,task>. For the right level b it touches only; found on each set of tasks that can
    be the active ones: there the best u = g0 + r d, |d| = 1, has all products alike, and the others' are larger."""
    tasks = np.vstack([t, domain_means(c)])
    g0 = tasks.mean(0)
    r = k.radius * np.linalg.norm(g0)
    if r == 0:
        return g0, SURE
    nearest = minimise(tasks @ tasks.T, np.zeros(len(tasks)), None, 1.0) @ tasks
    if np.linalg.norm(nearest) <= 1e-6 * np.linalg.norm(tasks, axis=1).max():
        return g0, 0.0  # no direction is good for all tasks: the best value is 0, and not of one u alone
    best = (tasks @ g0).min(), g0
    for count in range(1, len(tasks) + 1):
        for active in itertools.combinations(range(len(tasks)), count):
            for u in level_points(tasks[list(active)], g0, r):
                value = (tasks @ u).min()
                if value > best[0]:
                    best = value, u
    certify_cagrad(tasks, g0, r, best)
    return best[1], SURE


def level_points(A, g0, r):
    """Stationary points of <u,A_1> on the ball's surface within the plane where all A u are alike: u = g0 + x, |x| = r.

    The plane is A_j - A_1 orthogonal to u; x = p + y with p the least vector that leads g0 into the plane, y along A_1 within it."""
    D = A[1:] - A[0]
    _, size, V = np.linalg.svd(D, full_matrices=False) if len(D) else (0, np.zeros(0), np.zeros((0, len(g0))))
    V = V[size > 1e-12 * max(size.max(), 1e-300)] if len(size) else V
    p = -V.T @ (V @ g0)
    along = A[0] - V.T @ (V @ A[0])
    left, length = r * r - p @ p, np.linalg.norm(along)
    return [g0 + p + math.sqrt(left) * along / length] if left >= 0 and length > 0 else []


def certify_cagrad(tasks, g0, r, best):
    """Weak duality: for every w on the simplex min_i <u,task_i> <= <g_w,g0> + r |g_w|. The w that belongs to u closes the gap."""
    value, u = best
    scale = np.linalg.norm(tasks, axis=1).max() ** 2 + 1e-300
    active = np.flatnonzero(tasks @ u - value <= 1e-7 * scale)
    direction = u - g0
    # g_w along u - g0: least squares over the simplex of the active tasks, for the component orthogonal to the direction
    A = tasks[active]
    across = A - np.outer(A @ direction, direction) / (direction @ direction) if direction @ direction > 0 else 0 * A
    w = minimise(across @ across.T + 1e-14 * scale * np.eye(len(A)), np.zeros(len(A)), None, 1.0)
    g = w @ A
    dual = g @ g0 + r * np.linalg.norm(g)
    assert dual - value <= 1e-6 * scale, f"cagrad: a duality gap of {dual - value}"


def u_trust(c, t, k):
    g, length = c.G.mean(0), np.linalg.norm(t)
    return (g + k.radius * np.linalg.norm(g) / length * t if length > 0 else g), SURE


def step_of(method, c, k):
    """Candidates (N,d) for u of one group, and how sure its decisions are. c: G (n,d), rows (m,d) that add up to t, domain (n), score (n) or None."""
    t = c.rows.sum(0)
    u, sure = globals()["u_" + method](c, t, k)
    u = np.atleast_2d(u)
    if k.strength == "auto":
        m = len(c.rows)
        residual = np.array([m * row - globals()["u_" + method](c, m * row, k)[0] for row in c.rows])
        mean, products = residual.mean(0), residual @ residual.T
        U = (products.sum() - np.trace(products)) / (m * (m - 1))
        u = u + (min(1.0, max(0.0, U) / (mean @ mean)) if mean @ mean > 0 else 0.0) * (t - u)
    else:
        u = (1 - k.strength) * t + k.strength * u
    return np.array([rescaled(v, t, c.G.mean(0), k) for v in u]), sure


def rescaled(u, t, mean, k):
    length = np.linalg.norm(u)
    if k.rescale == "none" or length <= 1e-12 * (np.linalg.norm(t) + np.linalg.norm(mean)):
        return u
    most = k.radius * np.linalg.norm(mean)
    return u * {"ray": max(0.0, u @ t) / length**2, "target": np.linalg.norm(t) / length, "general": np.linalg.norm(mean) / length,
                "cap": min(1.0, most / length)}[k.rescale]


KNOBS = dict(keep=0.5, ridge=0.0, mix=0.5, tau=1.0, radius=0.5, strength=1.0, rescale="none")


def knobs(**given):
    return SimpleNamespace(**{**KNOBS, **given})


# ------------------------------------------------------------------------------------------------
# The solvers against what must hold of them, on random problems.

def self_test():
    rng = np.random.default_rng(1)
    for trial in range(60):
        n, d, m = rng.integers(2, 6), rng.integers(2, 7), 3
        c = SimpleNamespace(G=rng.standard_normal((n, d)), rows=rng.standard_normal((m, d)) / m, domain=np.arange(n) % 2, score=None)
        if trial % 5 == 0:
            c.G[-1] = c.G[0]
        t = c.rows.sum(0)
        of = {name: globals()["u_" + name](c, t, knobs())[0] for name in METHODS if name not in ("inside", "outside")}
        distance = {name: np.linalg.norm(of[name] - t) for name in ("full", "capped", "simplex", "cone", "span")}
        order = list(distance.values())
        assert all(a >= b - 1e-9 for a, b in zip(order, order[1:])), f"sets are nested, distances are not: {distance}"
        for name in ("cone", "span"):  # Moreau: what is left is orthogonal
            assert abs(of[name] @ (t - of[name])) < 1e-7
        assert (c.G @ (t - of["cone"]) < 1e-7).all() and np.abs(c.G @ (t - of["span"])).max() < 1e-7
        for _ in range(200):  # nothing in the set is nearer
            a = rng.dirichlet(np.ones(n) / 2)
            assert np.linalg.norm(a @ c.G - t) >= distance["simplex"] - 1e-9
            assert np.linalg.norm(rng.exponential() * 3 * a @ c.G - t) >= distance["cone"] - 1e-9
        tasks, g0 = np.vstack([t, domain_means(c)]), np.vstack([t, domain_means(c)]).mean(0)
        for _ in range(200 if u_cagrad(c, t, knobs())[1] else 0):  # nothing in the ball is better for the worst task
            x = rng.standard_normal(d)
            u = g0 + 0.5 * np.linalg.norm(g0) * x / np.linalg.norm(x)
            assert (tasks @ u).min() <= (tasks @ of["cagrad"]).min() + 1e-9
        one = SimpleNamespace(G=c.G, rows=c.rows, domain=np.zeros(n, int), score=None)
        assert np.allclose(u_gem(one, t, knobs())[0], u_agem(one, t, knobs())[0]), "gem of one domain is agem"
        tau0 = [weighed(c, t, knobs(tau=0.0), np.full(n, 1.0 / k), 1.0)[0] for k in range(1, n + 1)]
        assert all(np.allclose(u, u_subset(c, t, knobs(keep=(i + 1) / n))[0]) for i, u in enumerate(tau0)), "capped, tau 0, is subset"
        assert np.allclose(u_greedy(c, t, knobs(tau=0.0))[0], of["subset"]), "greedy, tau 0, is subset"


if __name__ == "__main__":
    self_test()
    print("the oracle holds what it must")
