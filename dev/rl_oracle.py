"""rl_oracle.py -- a step of --objective grpo, ppo or reward, from its definition: for dev/check_rounds.py.

It knows a round as the file that a checkpoint leaves (drpt/round.h): tokens, which of them were sampled, rewards. Losses are written down
as functions of one token's log-probability or value, and their derivatives are differences, so that no formula of a gradient is
used that could be wrong in the same way as the trainer's; gpt2_numpy.py makes gradients of parameters out of them, row by row.
"""
import math
from types import SimpleNamespace

import numpy as np

import gpt2_numpy

MAGIC_ROUND = 20260612
HEADER = ["magic", "version", "rows", "targets", "T", "group", "round", "step", "age"]
FLOATS = ["old", "reference", "value", "advantage", "returns"]


def read_round(path):
    """Its header and numbers, and general and target rows, each with their arrays."""
    with open(path, "rb") as f:
        header = np.fromfile(f, "<i4", 256)
        r = SimpleNamespace(**dict(zip(HEADER, map(int, header))))
        assert (r.magic, r.version) == (MAGIC_ROUND, 1), path
        body = f.read()
    of_row = r.T * (4 + 1 + 4 * len(FLOATS)) + 4 + 4 + 4 + 1
    at = len(body) - (r.rows + r.targets) * of_row
    assert at > 0 and at % 8 == 0, f"{path}: {len(body)} bytes behind the header, the rows need {(r.rows + r.targets) * of_row}"
    r.numbers = np.frombuffer(body, "<f8", at // 8)

    def take(kind, *shape):
        nonlocal at
        array = np.frombuffer(body, kind, math.prod(shape), at).reshape(shape)
        at += array.nbytes
        return array

    def take_rows(B):
        rows = SimpleNamespace(tokens=take("<i4", B, r.T), mask=take("u1", B, r.T) > 0)
        for name in FLOATS:
            setattr(rows, name, take("<f4", B, r.T).astype("f8"))
        rows.reward, rows.length, rows.domain, rows.usable = take("<f4", B).astype("f8"), take("<i4", B), take("<i4", B), take("u1", B) > 0
        return rows
    r.general, r.target = take_rows(r.rows), take_rows(r.targets)
    return r


def some(rows, which):
    """The rows of these numbers."""
    return SimpleNamespace(**{name: array[which] for name, array in vars(rows).items()})


# ------------------------------------------------------------------------------------------------
# Advantages.

def standardised(reward):
    """(reward - mean) / deviation; 0 where all are alike."""
    return (reward - reward.mean()) / (reward.std(ddof=1) + 1e-6) if np.ptp(reward) > 0 else 0 * reward


def of_groups(reward, group):
    """The advantages within each group, and which rows are of one that has a best."""
    groups = reward.reshape(-1, group)
    return np.concatenate([standardised(g) for g in groups]), np.repeat(np.ptp(groups, axis=1) > 0, group)


def of_values(rows, value, after, beta, gamma, lam):
    """Rewards, advantages and returns (B,T), each advantage as the sum over all that follows of (gamma lambda)^k delta."""
    reward = np.where(rows.mask, -beta * (rows.old - rows.reference), 0)
    advantage, returns = np.zeros(rows.mask.shape), np.zeros(rows.mask.shape)
    for b, places in enumerate(map(np.flatnonzero, rows.mask)):
        if len(places) == 0:
            continue
        reward[b, places[-1]] += rows.reward[b]
        v = np.append(value[b, places], after[b])
        delta = reward[b, places] + gamma * v[1:] - v[:-1]
        for k, t in enumerate(places):
            advantage[b, t] = sum((gamma * lam) ** (j - k) * delta[j] for j in range(k, len(places)))
            returns[b, t] = advantage[b, t] + v[k]
    return reward, advantage, returns


def whitened(advantage, mask):
    x = advantage[mask]
    return np.where(mask, (advantage - x.mean()) / np.sqrt(x.var(ddof=1) + 1e-8), 0)


# ------------------------------------------------------------------------------------------------
# Losses of one token, and what they make of a row.

def clipped_loss(logp, old, A, clip):
    ratio = np.exp(logp - old)
    return np.maximum(-A * ratio, -A * np.clip(ratio, 1 - clip, 1 + clip))


def k3(logp, reference):
    gap = reference - logp
    return np.exp(gap) - gap - 1


def value_loss(value, old, returns, clip):
    near = np.clip(value, old - clip, old + clip)
    return 0.5 * np.maximum((value - returns) ** 2, (near - returns) ** 2)


def slope(f, x, h=1e-6):
    return (f(x + h) - f(x - h)) / (2 * h)


def now(c, w, rows):
    """The pass of the rows through a model: logp and value (B,T) of the sampled tokens and of the states that they were sampled in. The last
    place of a row is an input too, for the state behind its last token."""
    p = gpt2_numpy.Pass(c, w, rows.tokens)
    targets = np.roll(rows.tokens, -1, 1)
    return SimpleNamespace(p=p, targets=targets, logp=p.logp(targets), value=p.values)


def row_gradients(state, mask, loss, of_value=None):
    """(B, parameters): of each row the gradient of the sum over its sampled tokens of loss(logp), and of_value(value)."""
    dlogp = np.where(mask, slope(loss, state.logp), 0)
    dvalue = np.where(mask, slope(of_value, state.value), 0) if of_value else None
    return state.p.gradients(state.targets, dlogp, dvalue)


def token_mean(gradients, mask, counts):
    """Each row's part of the mean over all tokens of the rows that count; nothing of the others."""
    return gradients * counts[:, None] / max(1, (mask & counts[:, None]).sum())


def step_gradients(kind, objective, rows, state, o):
    """Of each row its part of the loss of a step: of `objective` itself, or of a target's. rows.advantage: what the objective's are."""
    filled = rows.mask.any(1)
    if kind == "avg-reward":
        A = standardised(rows.reward)[:, None]
        return token_mean(row_gradients(state, rows.mask, lambda x: -A * x), rows.mask, filled), filled
    counts = filled & rows.usable
    if kind == "pre-clip":
        return token_mean(row_gradients(state, rows.mask, lambda x: -rows.advantage * x), rows.mask, counts), counts
    loss = lambda x: clipped_loss(x, rows.old, rows.advantage, o.clip_ratio) + (o.kl * k3(x, rows.reference) if objective == "grpo" else 0)
    of_value = (lambda v: o.value_weight * value_loss(v, rows.value, rows.returns, o.value_clip)) if objective == "ppo" else None
    return token_mean(row_gradients(state, rows.mask, loss, of_value), rows.mask, counts), counts


def score_gradients(rows, state):
    """What IIF ranks: of each row the mean over its tokens of -A log p."""
    length = np.maximum(rows.mask.sum(1), 1)
    return row_gradients(state, rows.mask, lambda x: -rows.advantage * x) / length[:, None]


def next_kl(kl, mean, target, responses, horizon):
    """A proportional controller whose error counts at most a fifth."""
    return kl * (1 + max(-0.2, min(0.2, mean / target - 1)) * min(1.0, responses / horizon))
