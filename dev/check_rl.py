#!/usr/bin/python3
"""check_rl.py -- the objectives of llmc/objective.c against PyTorch's autograd, in double precision, on random steps.

    python3 dev/check_rl.py [--trainer build/train_gpt2_drpt]     prints a table of the worst errors; exits with 1 if one is too large

llmc/objective.c is compiled as it is into a library of its own. A policy is a table of random logits, and what is compared is dL/dlogits:
weight (softmax - onehot) here, autograd of the loss there, so that the coefficients and what they are used for are both put to
the test. PPO and GRPO go the whole way from scores to gradients. With DPO the trainer is compared too, on whole small models, with
check_torch.py's GPT-2. Debian: apt-get install python3-torch python3-numpy.
"""
import argparse
import ctypes
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
import check_torch

STATS = ["empty", "broken", "loss", "pairs", "correct", "margin", "responses", "kl_penalty", "groups", "degenerate",
         "tokens", "clipped", "kl_old", "kl_reference", "value_loss", "value_clipped"]
BYTES, FLOATS = ctypes.POINTER(ctypes.c_ubyte), ctypes.POINTER(ctypes.c_float)


class Responses(ctypes.Structure):
    _fields_ = [("mask", BYTES), ("usable", BYTES), ("B", ctypes.c_int), ("T", ctypes.c_int)]


class Stats(ctypes.Structure):
    _fields_ = [(name, ctypes.c_double) for name in STATS]


def build(folder):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.path.join(folder, "objective.so")
    subprocess.run(["cc", "-O2", "-std=c11", "-shared", "-fPIC", os.path.join(here, "llmc/objective.c"), "-lm", "-o", path], check=True)
    return ctypes.CDLL(path)


class Step:
    """The rows of a step: arrays go in as float32, and what a function writes comes back as float64."""

    def __init__(self, library, mask):
        self.library, self.mask, self.stats = library, np.ascontiguousarray(mask, "u1"), Stats()
        self.usable = np.ones(len(mask), "u1")

    def call(self, name, shapes, arrays, scalars, first=0, end=None):
        """The function called `name` on the rows [first, end): outputs of these shapes, then stats, rows, inputs, scalars."""
        mask, usable = self.mask[first:end], self.usable[first:end]
        arrays = [None if a is None else np.ascontiguousarray(a[first:end], "<f4") for a in arrays]
        outs = [np.full((len(mask), mask.shape[1]) if shape == "BT" else len(mask), np.nan, "<f4") for shape in shapes]
        rows = Responses(mask.ctypes.data_as(BYTES), usable.ctypes.data_as(BYTES), *mask.shape)
        pointers = [None if a is None else a.ctypes.data_as(FLOATS) for a in arrays]
        numbers = [ctypes.c_int(x) if isinstance(x, int) else ctypes.c_double(x) for x in scalars]
        getattr(self.library, name)(*[o.ctypes.data_as(FLOATS) for o in outs], ctypes.byref(self.stats), rows, *pointers, *numbers)
        return [o.astype("f8") for o in outs]

    def whiten(self, advantage):
        a = np.ascontiguousarray(advantage, "<f4")
        rows = Responses(self.mask.ctypes.data_as(BYTES), self.usable.ctypes.data_as(BYTES), *self.mask.shape)
        self.library.whiten_advantages(a.ctypes.data_as(FLOATS), ctypes.byref(self.stats), rows)
        return a.astype("f8")


# ------------------------------------------------------------------------------------------------
# A step drawn at random. What C gets is rounded to float32, and PyTorch gets the rounded numbers.

def rounded(x):
    return np.asarray(x, "<f4").astype("f8")


class Draw:
    def __init__(self, seed, B, T, V):
        rng = self.rng = np.random.default_rng(seed)
        self.B, self.T, self.V = B, T, V
        begin, length = rng.integers(0, T - 1, B), rng.integers(1, T, B)
        at = np.arange(T)[None]
        self.mask = (at >= begin[:, None]) & (at < (begin + length)[:, None])
        self.cut = begin + length >= T
        self.logits = 2.0 * rng.standard_normal((B, T, V))
        self.tokens = rng.integers(0, V, (B, T))
        self.logp = rounded(self.of(torch.tensor(self.logits)).numpy())
        self.old = rounded(self.logp + 0.3 * rng.standard_normal((B, T)))
        self.reference = rounded(self.logp + 0.5 * rng.standard_normal((B, T)))
        self.value = rounded(rng.standard_normal((B, T)))
        self.old_value = rounded(self.value + 0.3 * rng.standard_normal((B, T)))
        self.score = rounded(np.round(2.0 * rng.standard_normal(B)) / 2.0)  # some of them equal
        self.after = rounded(np.where(self.cut, rng.standard_normal(B), 0.0))

    def of(self, logits):
        return logits.log_softmax(2).gather(2, torch.tensor(self.tokens)[:, :, None])[:, :, 0]

    def dlogits(self, weight):
        """What the classifier's backward makes of the weights."""
        p = torch.tensor(self.logits).softmax(2).numpy()
        return weight[:, :, None] * (p - np.eye(self.V)[self.tokens])

    def gradient(self, loss_of):
        logits = torch.tensor(self.logits, requires_grad=True)
        loss = loss_of(self.of(logits))
        loss.backward()
        return loss.item(), logits.grad.numpy()

    def tensors(self):
        names = ["mask", "logp", "old", "reference", "value", "old_value", "score", "after"]
        return [torch.tensor(getattr(self, name)) for name in names]


failures = 0


def report(case, what, got, want, allowed):
    global failures
    got, want = np.asarray(got, "f8"), np.asarray(want, "f8")
    error = np.abs(got - want).max() / max(np.abs(want).max(), 1e-30)
    bad = not error <= allowed  # so phrased that a NaN fails
    failures += bad
    print(f"{case:24} {what:26} {error:9.2e}  (allowed {allowed:.0e}){'  TOO LARGE' if bad else ''}")


# ------------------------------------------------------------------------------------------------
# The objectives.

def check_dpo(library, case, d, beta):
    mask, _, _, reference, *_ = d.tensors()

    def loss_of(logp):
        h = ((logp - reference) * mask).sum(1)
        return -F.logsigmoid(beta * (h[0::2] - h[1::2])).mean()

    step = Step(library, d.mask)
    weight, = step.call("dpo_weights", ["BT"], [d.logp, d.reference], [beta, 2.0 / d.B])
    loss, grad = d.gradient(loss_of)
    report(case, "dpo: loss", step.stats.loss, loss, 1e-6)
    report(case, "dpo: dlogits", d.dlogits(weight), grad, 2e-6)


def check_reward(library, case, d):
    score = torch.tensor(3.0 * d.score, requires_grad=True)
    loss = -F.logsigmoid(score[0::2] - score[1::2]).mean()
    loss.backward()
    step = Step(library, d.mask)
    dscore, = step.call("reward_gradient", ["B"], [3.0 * d.score], [2.0 / d.B])
    report(case, "reward: loss", step.stats.loss, loss.item(), 1e-6)
    report(case, "reward: dscore", dscore, score.grad.numpy(), 1e-6)
    report(case, "reward: accuracy", step.stats.correct, ((score[0::2] > score[1::2]) + 0.5 * (score[0::2] == score[1::2])).sum().item(), 0.0)


def surrogate(logp, old, advantage, mask, clip):
    ratio = (logp - old).exp()
    return (torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)) * mask).sum() / mask.sum()


def micro_batches(d, step, name, arrays, scalars, rows):
    """The step's output, from pieces of so many rows, each with its share of the whole step."""
    pieces = [step.call(name, ["BT"], arrays, scalars, first, first + rows)[0] for first in range(0, d.B, rows)]
    return np.concatenate(pieces)


def check_ppo(library, case, d, beta, gamma, lam, clip, rows):
    mask, _, old, reference, value, old_value, score, after = d.tensors()
    reward, last = -beta * (old - reference) * mask, mask.double().cumsum(1).argmax(1)
    reward[torch.arange(d.B), last] += score
    advantage, next_a, next_v = torch.zeros_like(value), torch.zeros(d.B), after
    for t in reversed(range(d.T)):
        a = reward[:, t] + gamma * next_v - old_value[:, t] + gamma * lam * next_a
        advantage[:, t] = torch.where(mask[:, t], a, torch.zeros(d.B))
        next_a, next_v = torch.where(mask[:, t], a, next_a), torch.where(mask[:, t], old_value[:, t], next_v)
    returns = advantage + old_value
    white = (advantage - advantage[mask].mean()) / (advantage[mask].var() + 1e-8).sqrt()

    step = Step(library, d.mask)
    got_reward, = step.call("ppo_rewards", ["BT"], [d.score, d.old, d.reference], [beta])
    got_advantage, got_returns = step.call("ppo_advantages", ["BT", "BT"], [got_reward, d.old_value, d.after], [gamma, lam])
    got_white = step.whiten(got_advantage)
    share = 1.0 / d.mask.sum()
    weight = micro_batches(d, step, "policy_weights", [d.logp, d.old, None, got_white], [clip, 0.0, share], rows)
    dvalue = micro_batches(d, step, "value_gradient", [d.value, d.old_value, got_returns], [clip, share], rows)

    loss, grad = d.gradient(lambda logp: surrogate(logp, old, white, mask, clip))
    v = value.clone().requires_grad_()
    near = old_value + (v - old_value).clamp(-clip, clip)
    value_loss = 0.5 * (torch.max((v - returns) ** 2, (near - returns) ** 2) * mask).sum() / mask.sum()
    value_loss.backward()
    moved = torch.tensor(d.logp) - old
    report(case, "ppo: rewards", got_reward, reward.numpy(), 1e-6)
    report(case, "ppo: advantages", got_advantage, advantage.numpy(), 1e-6)
    report(case, "ppo: returns", got_returns * d.mask, (returns * mask).numpy(), 1e-6)
    report(case, "ppo: whitened", got_white, (white * mask).numpy(), 2e-6)
    report(case, "ppo: loss", step.stats.loss, loss, 1e-5)
    report(case, "ppo: dlogits", d.dlogits(weight), grad, 5e-6)
    report(case, "ppo: value loss", step.stats.value_loss, value_loss.item(), 1e-6)
    report(case, "ppo: dvalue", dvalue, v.grad.numpy(), 2e-6)
    report(case, "ppo: KL of the penalty", step.stats.kl_penalty, ((old - reference) * mask).sum().item(), 1e-6)
    report(case, "ppo: KL from the old", step.stats.kl_old, ((moved.exp() - 1 - moved) * mask).sum().item(), 1e-6)
    ratio = moved.exp()
    clipped = mask & ((white > 0) & (ratio > 1 + clip) | (white < 0) & (ratio < 1 - clip))
    report(case, "ppo: clipped tokens", step.stats.clipped, clipped.sum().item(), 0.0)


def check_grpo(library, case, d, group, clip, kl, rows):
    mask, _, old, reference, _, _, score, _ = d.tensors()
    groups = score.view(-1, group)
    advantage = ((groups - groups.mean(1, True)) / (groups.std(1, keepdim=True) + 1e-6)).view(-1, 1).expand(d.B, d.T)

    def loss_of(logp):
        gap = reference - logp
        return surrogate(logp, old, advantage, mask, clip) + kl * ((gap.exp() - gap - 1) * mask).sum() / mask.sum()

    step = Step(library, d.mask)
    got, = step.call("grpo_advantages", ["BT"], [d.score], [group])
    share = 1.0 / d.mask.sum()
    weight = micro_batches(d, step, "policy_weights", [d.logp, d.old, d.reference, got], [clip, kl, share], rows)
    loss, grad = d.gradient(loss_of)
    report(case, "grpo: advantages", got, (advantage * mask).numpy(), 1e-6)
    report(case, "grpo: degenerate groups", step.stats.degenerate, (groups == groups[:, :1]).all(1).sum().item(), 0.0)
    report(case, "grpo: loss", step.stats.loss, loss, 1e-5)
    report(case, "grpo: dlogits", d.dlogits(weight), grad, 5e-6)
    reinforce, = step.call("policy_weights", ["BT"], [d.logp, d.logp, None, got], [clip, 0.0, share])
    _, grad = d.gradient(lambda logp: -(advantage * logp * mask).sum() / mask.sum())
    report(case, "reinforce: dlogits", d.dlogits(reinforce), grad, 2e-6)


# ------------------------------------------------------------------------------------------------
# The trainer.

def log_probabilities(c, w, tokens, mask):
    """Of each row the sum over what is trained on."""
    logp = check_torch.logits_of(c, w, tokens[:, :-1]).log_softmax(2).gather(2, tokens[:, 1:, None])[:, :, 0]
    return (logp * mask).sum(1)


def dpo_of(c, w, reference, tokens, mask, beta):
    h = log_probabilities(c, w, tokens, mask) - reference
    margin = beta * (h[0::2] - h[1::2])
    return -F.logsigmoid(margin).mean(), margin


def check_trainer_dpo(trainer, descriptor, pairs, T, beta, seed):
    case, rng = f"trainer {descriptor}", np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        V = int(descriptor.split("V")[1].split(",")[0])
        tokens, mask = check_torch.random_examples(rng, 2 * pairs, T, V)
        check_torch.write_examples(path("pairs.bin"), tokens, mask, V, kind=1)
        models = {}
        for name in ("policy", "reference"):
            check_torch.run(trainer, "--init", descriptor, "--objective", "dpo", "--steps", 0, "--val", path("pairs.bin"), "--out", path(name))
            c, w = check_torch.read_model(path(name + "/model_final.bin"))
            for key, shape, _ in check_torch.tensors(c):
                w[key] = (w[key] + 0.2 * torch.tensor(rng.standard_normal(shape))).float().double()
            check_torch.write_model(path(name + ".bin"), c, w)
            models[name] = w
        rows, counts = torch.tensor(tokens), torch.tensor(mask).double()
        with torch.no_grad():
            reference = log_probabilities(c, models["reference"], rows, counts)
        common = ["--init", path("policy.bin"), "--reference", path("reference.bin"), "--objective", "dpo", "--beta", beta, "--general", path("pairs.bin"),
                  "--method", "full", "--batch", pairs, "--schedule", "constant", "--clip", 0]
        check_torch.run(trainer, *common, "--steps", 1, "--lr", 0, "--val", path("pairs.bin"), "--out", path("step"), "--dump-update", path("update.bin"))
        w = {key: x.clone().requires_grad_() for key, x in models["policy"].items()}
        loss, margin = dpo_of(c, w, reference, rows, counts, beta)
        loss.backward()
        first = lambda name: check_torch.column(path("step"), name)[0]
        for column in ("loss", "val_loss"):
            report(case, "dpo: " + column, first(column), loss.item(), 2e-6)
        for column in ("margin", "val_margin"):
            report(case, "dpo: " + column, first(column), margin.mean().item(), 1e-5)
        report(case, "dpo: accuracy", first("accuracy"), (margin > 0).double().mean().item(), 1e-8)
        name, error = check_torch.worst(check_torch.read_model(path("update.bin"))[1], {key: x.grad for key, x in w.items()})
        report(case, "dpo: gradient, " + name, 1.0 + error, 1.0, 5e-5)

        check_torch.run(trainer, *common, "--steps", 10, "--lr", 1e-3, "--eps", 1e-5, "--out", path("train"))
        optimizer, losses = torch.optim.AdamW(list(w.values()), lr=1e-3, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.0), []
        for _ in range(10):
            optimizer.zero_grad()
            loss, _ = dpo_of(c, w, reference, rows, counts, beta)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        report(case, "dpo: ten losses", check_torch.column(path("train"), "loss"), losses, 1e-5)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainer", default="build/train_gpt2_drpt")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    with tempfile.TemporaryDirectory() as folder:
        library = build(folder)
        for seed, (B, T, V, rows) in enumerate([(12, 7, 5, 2), (24, 33, 17, 6), (48, 64, 11, 48)]):
            case, d = f"B {B}, T {T}, V {V}", Draw(seed, B, T, V)
            check_dpo(library, case, d, 0.1 * (1 + seed))
            check_reward(library, case, d)
            check_ppo(library, case, d, 0.05, [1.0, 0.99, 0.9][seed], [0.95, 0.8, 1.0][seed], 0.2, rows)
            check_grpo(library, case, d, [2, 4, 6][seed], 0.2, 0.04, rows)
    for seed, (descriptor, pairs, T) in enumerate([("L2,H3,C12,V17,T9", 3, 9), ("L1,H1,C7,V300,T8", 2, 5), ("L3,H4,C64,V257,T40", 4, 40)]):
        check_trainer_dpo(options.trainer, descriptor, pairs, T, [0.1, 0.5, 1.0][seed], seed)
    print(f"{failures} too large" if failures else "all within tolerance")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
