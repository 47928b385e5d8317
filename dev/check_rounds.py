#!/usr/bin/python3
"""check_rounds.py -- whole steps of --objective reward, grpo and ppo against an oracle in NumPy, in double precision.

    python3 dev/check_rounds.py [--build build] [--thorough] [--verbose]

A run leaves its round in a file beside each checkpoint. What was sampled and what the program of the test said about it is taken from
there; all else is computed anew (rl_oracle.py, gpt2_numpy.py, oracle.py) and compared: log-probabilities, values, advantages, which
rows take part, the log, and --dump-update. A group whose choice hangs on rounding is left out and counted. One line for each
thing compared with --verbose, else for each case; exit code 1 if anything is wrong. Debian: apt-get install python3-numpy.
"""
import argparse
import csv
import itertools
import os
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import numpy as np

sys.dont_write_bytecode = True
import check_methods
import gpt2_numpy
import rl_oracle as rl
from oracle import KNOBS, knobs

EOT = 256  # of the tokenizer of bytes
JUDGE = """
import json, sys
for line in sys.stdin:
    case = json.loads(line)
    print(sum(ord(x) for name in case for x in case[name] if ord(x) < 128) % 3 / 2, flush=True)
"""


class Report:
    """Errors in units of what is compared; the worst of a case."""

    def __init__(self, verbose):
        self.verbose, self.failed, self.compared = verbose, 0, 0

    def begin(self, case):
        self.case, self.worst, self.bad, self.count, self.ties = case, (0.0, ""), 0, 0, 0

    def add(self, what, error, allowed):
        bad = not error <= allowed  # so phrased that a NaN fails
        self.bad, self.count = self.bad + bad, self.count + 1
        self.worst = max(self.worst, (error / allowed if error == error else np.inf, f"{error:.1e} of {allowed:.0e} allowed, {what}"))
        if bad or self.verbose:
            print(f"    {self.case:44} {what:32} {error:8.1e}  (allowed {allowed:.0e}){'  TOO LARGE' if bad else ''}", flush=True)

    def numbers(self, what, got, want, allowed):
        got, want = np.asarray(got, "f8"), np.asarray(want, "f8")
        same = got.shape == want.shape
        self.add(what, np.abs(got - want).max(initial=0) / max(np.abs(want).max(initial=0), 1e-30) if same and want.any() else
                 np.abs(got).max(initial=0) if same else np.nan, allowed)

    def same(self, what, got, want):
        self.add(what, 0.0 if np.array_equal(got, want) else np.nan, 0.5)

    def end(self):
        self.failed += self.bad > 0
        self.compared += self.count
        ties = f", {self.ties} groups left out for ties" if self.ties else ""
        print(f"{self.case:44} {self.count:3} compared{ties}; nearest to failing: {self.worst[1]}{'  FAILED' if self.bad else ''}", flush=True)


# ------------------------------------------------------------------------------------------------
# Models, prompts, runs.

def talkative_model(c, rng):
    """Random, but most of what it says is text, and about one token in ten ends it. Channel 0 is a bias of the tokens."""
    w = gpt2_numpy.random_model(c, rng)
    if c["V"] == 257:
        w["lnfb"][0] = 3
        w["wte"][:, 0] = np.where((np.arange(c["Vp"]) >= 32) & (np.arange(c["Vp"]) < 127), 0, -1.5)
        w["wte"][EOT, 0] = 1
    return {name: x.astype("f4").astype("f8") for name, x in w.items()}


def random_prompts(rng, rows, T, byte_tokens):
    """Rows of a prompt, an answer with an end that may be missing, and padding; the last without an answer."""
    tokens, mask = np.zeros((rows, T + 1), int), np.zeros((rows, T), int)
    for i in range(rows):
        prompt, answer = 2 + rng.integers(T // 2), rng.integers(1, T // 2 - 1) if i + 1 < rows else 0
        tokens[i, : prompt + answer] = rng.integers(33, 127, prompt + answer) if byte_tokens else rng.integers(1, 20, prompt + answer)
        mask[i, prompt - 1 : prompt - 1 + answer] = 1
        if answer > 1 and i % 2 and byte_tokens:
            tokens[i, prompt + answer - 1] = EOT
    return tokens, mask


class Setting:
    """A model, a reference, files of prompts, and a program that judges."""

    def __init__(self, trainer, folder, name, seed, byte_tokens=True):
        self.trainer, self.folder, self.name, self.byte_tokens, self.runs = trainer, folder, name, byte_tokens, 0
        rng = np.random.default_rng(seed)
        self.c = dict(L=2, H=2, C=16, V=257 if byte_tokens else 23, Vp=264 if byte_tokens else 24, T=26, head=1)
        self.models = {}
        for which in ("policy", "reference", "judge"):
            self.models[which] = talkative_model(self.c, rng)
            gpt2_numpy.write_model(self.path(which + ".bin"), self.c, self.models[which])
        for which, rows in (("general0", 5), ("general1", 3), ("target", 6)):
            tokens, mask = random_prompts(rng, rows, 10, byte_tokens)
            gpt2_numpy.write_examples(self.path(which + ".bin"), tokens, mask, self.c["V"], 2, 0 if byte_tokens else 2)
        with open(self.path("judge.py"), "w") as f:
            f.write(JUDGE)

    def path(self, name):
        return os.path.join(self.folder, f"{self.name}_{name}")

    def run(self, options, steps):
        """The round's files, the models and the dump of the last step, and the log."""
        self.runs += 1
        out, dump = self.path(f"run{self.runs}"), self.path("dump.bin")
        options = dict(dict(general=self.path("general*.bin"), init=self.path("policy.bin"), reference=self.path("reference.bin"), seq=24,
                            schedule="constant", lr=0.02, clip=0, optimizer="sgd", threads=1, save_every=1, val_every=0, seed=7,
                            reward_command=f"exec {sys.executable} {self.path('judge.py')}"), **options)
        command = [self.trainer, "--steps", str(steps), "--out", out, "--dump-update", dump]
        command += [str(x) for name, value in options.items() if value is not None for x in ("--" + name.replace("_", "-"), value)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\nends with {done.returncode}: {done.stderr.strip()}")
        with open(os.path.join(out, "log.csv")) as f:
            log = [{name: float(x) if x else None for name, x in row.items()} for row in csv.DictReader(f)]
        model = lambda step: gpt2_numpy.read_model(os.path.join(out, f"model_{step:08d}.bin")) if step else (self.c, self.models["policy"])
        c, _ = model(steps)
        start = dict(zip(("c", "w"), model(steps - 1)))
        if not c["head"]:
            start = dict(c=c, w={name: start["w"][name] for name, _, _ in gpt2_numpy.tensors(c)})
        return SimpleNamespace(out=out, log=log, **start, model=model, dump=np.fromfile(dump, "<f4", offset=1024).astype("f8"),
                               file=lambda step: rl.read_round(os.path.join(out, f"round_{step:08d}.bin")))


# ------------------------------------------------------------------------------------------------
# A round, from its tokens and what was said about it.

OPTIONS = dict(clip_ratio=0.2, kl=0.0, gamma=1.0, **{"lambda": 0.95}, value_clip=0.2, value_weight=0.1, target_objective="avg-reward",
               method="full", leave_one_out=1, iif=0, group="layer", group_size=4)


def told(options):
    return SimpleNamespace(**{**OPTIONS, **options})


def prompts_of(setting, which):
    """{prompt: answer} as tokens, of a file."""
    header = np.fromfile(setting.path(which + ".bin"), "<i4", 256)
    rows, T = header[2:4]
    body = np.fromfile(setting.path(which + ".bin"), "u1", offset=1024)
    tokens = body[: 2 * rows * (T + 1)].view("<u2").reshape(rows, T + 1)
    mask = body[2 * rows * (T + 1) :].reshape(rows, T) > 0
    found = {}
    for x, m in zip(tokens, mask):
        first = m.argmax() + 1 if m.any() else np.flatnonzero(x).max() + 1
        found[tuple(x[:first])] = tuple(x[1:][m])
    return found


def text_of(setting, tokens):
    return "".join(chr(x) for x in tokens if x < 128) if setting.byte_tokens else " ".join(map(str, tokens))


def check_rows(report, setting, rows, files, group, most, who):
    """Prompts are of the files, `group` rows of one; what was sampled is masked, at most so many, and nothing stands behind; judged as the
    program does. Returns whether each row ended by itself."""
    prompts = {prompt: (answer, d) for d, which in enumerate(files) for prompt, answer in prompts_of(setting, which).items()}
    T, wrong, ended = rows.tokens.shape[1], [], np.zeros(len(rows.tokens), bool)
    for i, (tokens, mask, length) in enumerate(zip(rows.tokens, rows.mask, rows.length)):
        first = mask.argmax() + 1 if mask.any() else length
        prompt, response = tuple(tokens[:first]), tokens[first:length]
        ended[i] = setting.byte_tokens and EOT in response
        wrong += [f"row {i}: no prompt of the files"] if prompt not in prompts else []
        wrong += [f"row {i}: mask"] if not np.array_equal(np.flatnonzero(mask), np.arange(first - 1, length - 1)) else []
        wrong += [f"row {i}: padding"] if tokens[length:].any() else []
        wrong += [f"row {i}: goes on behind its end"] if ended[i] and EOT in response[:-1] else []
        wrong += [f"row {i}: too short"] if not ended[i] and not (len(response) == most or length == T) else []
        wrong += [f"row {i}: too long"] if len(response) > most else []
        wrong += [f"row {i}: another prompt than its group"] if prompt != tuple(rows.tokens[i - i % group][:first]) else []
        if prompt in prompts:
            answer, domain = prompts[prompt]
            wrong += [f"row {i}: domain"] if rows.domain[i] != domain else []
            texts = (text_of(setting, [x for x in part if x != EOT or not setting.byte_tokens]) for part in (prompt, response, answer))
            want = sum(map(ord, "".join(texts))) % 3 / 2
            wrong += [f"row {i}: reward {rows.reward[i]}, not {want}"] if rows.reward[i] != want else []
    report.same(f"{who}: tokens, masks, rewards {'; '.join(wrong[:2])}", len(wrong), 0)
    return ended


def check_numbers(report, setting, objective, rows, ended, sampler, o, kl, who, rewards_of=None):
    """log-probabilities, values and advantages; returns the rows with those of the oracle and with who takes part."""
    state = rl.now(*sampler, rows)
    reference = rl.now(*setting.reference, rows)
    report.numbers(who + ": old", np.where(rows.mask, rows.old, 0), np.where(rows.mask, state.logp, 0), 1e-5)
    if kl or o.kl:
        report.numbers(who + ": reference", np.where(rows.mask, rows.reference, 0), np.where(rows.mask, reference.logp, 0), 1e-5)
    if objective == "grpo":
        A, usable = rl.of_groups(rows.reward, o.group_size)
        advantage = np.where(rows.mask & usable[:, None], A[:, None], 0)
        mine = SimpleNamespace(**{**vars(rows), "advantage": advantage, "usable": usable & rows.mask.any(1)})
    else:
        report.numbers(who + ": values", np.where(rows.mask, rows.value, 0), np.where(rows.mask, state.value, 0), 1e-5)
        after = np.where(ended, 0, state.value[np.arange(len(ended)), rows.length - 1])
        _, raw, returns = rl.of_values(rows, rows.value, after, kl, o.gamma, getattr(o, "lambda"))
        advantage = rl.whitened(raw, rows.mask)
        report.numbers(who + ": returns", np.where(rows.mask, rows.returns, 0), np.where(rows.mask, returns, 0), 2e-5)
        mine = SimpleNamespace(**{**vars(rows), "advantage": advantage, "returns": returns, "usable": rows.mask.any(1)})
    return mine


def check_update(report, what, run, objective, general, target, o, options, candidates=None):
    """--dump-update of a step from the rows that it took: all, or one of the candidates."""
    state = rl.now(run.c, run.w, general)
    G, counts = rl.step_gradients("objective", objective, general, state, o)
    head = slice(gpt2_numpy.count(run.c) - (run.c["C"] + 1) * run.c["head"], None)
    if target is None:
        want = G.sum(0)
        report.numbers(what + " update", run.dump, want, 2e-5)
        return G
    G = G[counts] * counts.sum()  # a row stands for itself
    if target == "self":
        rows, _ = rl.step_gradients(o.target_objective, objective, general, state, o)
        rows = np.concatenate([rows[counts], rows[~counts]])  # the own rows of G first
        own = bool(o.leave_one_out)
    else:
        rows, _ = rl.step_gradients(o.target_objective, objective, target, rl.now(run.c, run.w, target), o)
        own = False
    k = knobs(**{name: value for name, value in options.items() if name in KNOBS})
    worst, where, compared, ties = check_methods.compare_update(
        run.c, G, rows, general.domain[counts], o.method, o.group, run.dump, k, own=own)
    report.ties += ties
    report.add(f"{what} update, {compared} groups {where}", worst if compared else np.nan, 3e-5)
    if run.c["head"] and (objective == "ppo" or np.abs(run.dump[head]).max() > 0):
        report.numbers(what + " update of the head", run.dump[head], (rows.sum(0) if o.method == "target" else G.mean(0))[head], 2e-5)
    return G


def check_round(report, setting, objective, case, options, steps, files=("general0", "general1")):
    """The last of so many steps of the first round, each of which takes all of its rows."""
    report.begin(f"{setting.name} {objective} {case}")
    o = told(options)
    n = 16
    more = dict(objective=objective, batch=n // options.get("accumulate", 1), rollouts=n, epochs=4, group_size=o.group_size, max_new=9)
    held_out = options.pop("held_out", False)
    if held_out:
        more.update(target=setting.path("target.bin"), target_batch=8 // options.get("accumulate", 1))
    run = setting.run({**more, **options}, steps)
    r = run.file(steps)
    report.same("header", (r.rows, r.T, r.group, r.round, r.step), (n, 24, o.group_size, 1, steps))
    sampler = run.model(0)
    if not run.c["head"]:
        sampler = (run.c, {name: sampler[1][name] for name, _, _ in gpt2_numpy.tensors(run.c)})
    ended = check_rows(report, setting, r.general, files, o.group_size, 9, "general")
    general = check_numbers(report, setting, objective, r.general, ended, sampler, o, r.numbers[0], "general")
    if not o.iif:
        report.same("general: usable", r.general.usable, general.usable)
    filled = r.general.mask & general.usable[:, None]
    report.numbers("general: advantages", np.where(filled, r.general.advantage, 0), np.where(filled, general.advantage, 0), 2e-5)
    target = None
    if held_out:
        ended = check_rows(report, setting, r.target, ("target",), o.group_size, 9, "target")
        target = check_numbers(report, setting, objective, r.target, ended, sampler, o, r.numbers[0], "target")
    elif o.method != "full":
        target = "self"
    if o.iif:
        check_iif(report, run, objective, r, general, target, sampler, o)
        general.usable, target = r.general.usable, None
    check_update(report, f"step {steps}:", run, objective, general, target, o, options)
    check_log(report, run.log[steps - 1], run, objective, r, general, o)
    report.end()
    return run


def check_iif(report, run, objective, r, general, target, sampler, o):
    """The rows that a round keeps: those that do not speak against the target, summed over all of the model but the head."""
    state = rl.now(*sampler, general)
    G = rl.score_gradients(general, state)
    if target is None:
        rows = rl.step_gradients(o.target_objective, objective, general, state, o)[0]
    else:
        rows = rl.step_gradients(o.target_objective, objective, target, rl.now(*sampler, target), o)[0]
    body = slice(0, gpt2_numpy.count(run.c) - (run.c["C"] + 1) * run.c["head"])
    score = G[:, body] @ rows.sum(0)[body]
    if target is None and o.leave_one_out:
        score -= (G * rows)[:, body].sum(1)
    clear = np.abs(score) > 1e-5 * np.abs(score).max()
    report.ties += (~clear & general.usable).sum()
    want = general.usable & (score >= 0)
    report.same(f"kept rows, {want.sum()} of {general.usable.sum()}", r.general.usable[clear], want[clear])


def check_log(report, row, run, objective, r, general, o):
    """What log.csv says about the step and the round."""
    tokens = general.mask & general.usable[:, None]
    state = rl.now(run.c, run.w, general)
    count = tokens.sum()
    of = lambda x: x[tokens].sum() / count
    with np.errstate(over="ignore"):
        policy = rl.clipped_loss(state.logp, general.old, general.advantage, o.clip_ratio)
        report.numbers("log: reward", row["reward"], r.general.reward.mean(), 1e-6)
        report.numbers("log: length", row["length"], r.general.mask.sum(1).mean(), 1e-6)
        moved = state.logp - general.old
        report.add("log: kl_old", abs(row["kl_old"] - of(np.exp(moved) - 1 - moved)), 1e-6 * (1 + of(np.exp(moved))))
        if objective == "grpo":
            degenerate = (~rl.of_groups(r.general.reward, o.group_size)[1]).sum() / o.group_size
            report.numbers("log: degenerate", row["degenerate"], degenerate, 1e-6)
            if o.kl:
                report.numbers("log: kl_reference", row["kl_reference"], of(rl.k3(state.logp, general.reference)), 1e-5)
                policy = policy + o.kl * rl.k3(state.logp, general.reference)
        else:
            report.numbers("log: value_loss", row["value_loss"], of(rl.value_loss(state.value, general.value, general.returns, o.value_clip)), 1e-5)
        report.add("log: loss", abs(row["loss"] - of(policy)), 2e-6 * (1 + np.abs(policy[tokens]).mean()))
    ratio = np.exp(moved)
    flat = (general.advantage > 0) & (ratio > 1 + o.clip_ratio) | (general.advantage < 0) & (ratio < 1 - o.clip_ratio)
    report.add(f"log: clipped, {of(flat):.3f}", min(abs(row["clipped"] - of(flat)), abs(row["clipped"] - flat[tokens].sum())), 1e-6)


# ------------------------------------------------------------------------------------------------
# Reward models.

def check_reward(report, setting, case, options):
    """Loss, accuracy, margin and gradient of a step of pairs; of methods with a target, check_methods.py has more."""
    report.begin(f"{setting.name} reward {case}")
    rng, c, T, pairs = np.random.default_rng(11), setting.c, 9, 6
    data = {}
    for which, count in (("pairs", pairs), ("target_pairs", 2)):
        data[which] = check_methods.random_rows(rng, 2 * count, T, c["V"], False)
        gpt2_numpy.write_examples(setting.path(which + ".bin"), *data[which], c["V"], kind=1)

    def pair_gradients(run, which):
        """Of each pair that of its loss, the loss, and the margin."""
        tokens, mask = data[which]
        p = gpt2_numpy.Pass(run.c, run.w, tokens)
        rows = np.arange(len(tokens))
        last = T - mask[:, ::-1].argmax(1)  # the place of the last trained token
        margin = p.values[rows, last][0::2] - p.values[rows, last][1::2]
        slope = rl.slope(lambda x: np.log1p(np.exp(-x)), margin)
        dvalue = np.zeros(tokens.shape)
        dvalue[rows, last] = np.stack([slope, -slope], 1).ravel()
        G = p.gradients(np.zeros_like(tokens), np.zeros(tokens.shape), dvalue)
        return G[0::2] + G[1::2], np.log1p(np.exp(-margin)), margin
    with_target = options.get("method", "full") != "full"
    more = dict(target=setting.path("target_pairs.bin"), target_batch=2) if with_target else {}
    run = setting.run(dict(dict(objective="reward", reference=None, reward_command=None, general=setting.path("pairs.bin"), seq=None,
                                batch=pairs, lr=0, val_every=1, val=setting.path("pairs.bin")), **more, **options), 1)
    G, loss, margin = pair_gradients(run, "pairs")
    right = ((margin > 0) + 0.5 * (margin == 0)).mean()
    for name, want in (("loss", loss.mean()), ("val_loss", loss.mean()), ("margin", margin.mean()), ("val_margin", margin.mean()),
                       ("accuracy", right), ("val_accuracy", right)):
        report.numbers("log: " + name, run.log[0][name], want, 5e-6)
    head = slice(gpt2_numpy.count(run.c) - run.c["C"] - 1, None)
    if not with_target:
        report.numbers("update", run.dump, G.mean(0), 2e-5)
    else:
        rows, loss, margin = pair_gradients(run, "target_pairs")
        report.numbers("log: target_loss", run.log[0]["target_loss"], loss.mean(), 5e-6)
        k = knobs(**{name: value for name, value in options.items() if name in KNOBS})
        worst, where, compared, ties = check_methods.compare_update(
            run.c, G, rows / len(rows), np.zeros(pairs, int), options["method"], options.get("group", "layer"), run.dump, k)
        report.ties += ties
        report.add(f"update, {compared} groups {where}", worst if compared else np.nan, 3e-5)
        want = rows.mean(0) if options["method"] == "target" else G.mean(0)
        report.numbers("update of the head", run.dump[head], want[head], 2e-5)
    report.end()


# ------------------------------------------------------------------------------------------------

def reward_cases(thorough):
    yield "full", {}
    yield "full, accumulate 3", dict(batch=2, accumulate=3)
    yield "full, recompute", dict(recompute=1)
    yield "subset layer", dict(method="subset")
    yield "cone block", dict(method="cone", group="block")
    if thorough:
        for method in ("target", "mix", "filter", "greedy", "span", "simplex", "agem"):
            for group in check_methods.GROUPS:
                yield f"{method} {group}", dict(method=method, group=group)


def main():
    parser = argparse.ArgumentParser(description="Whole steps of the objectives with rewards against an oracle in NumPy.")
    parser.add_argument("--build", default="build", help="where train_gpt2_drpt is")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--thorough", action="store_true", help="all cases, not one of each kind")
    parser.add_argument("--verbose", action="store_true", help="a line for each thing compared")
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gpt2_numpy.self_test()
    report, trainer = Report(options.verbose), os.path.join(options.build, "train_gpt2_drpt")
    with tempfile.TemporaryDirectory() as folder:
        text = Setting(trainer, folder, "text", 1)
        for case, more in reward_cases(options.thorough):
            if options.only in f"{text.name} reward {case}":
                check_reward(report, text, case, more)
    print(f"{report.compared} things compared; " + (f"{report.failed} cases FAILED" if report.failed else "all within tolerance"))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
