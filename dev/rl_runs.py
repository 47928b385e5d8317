"""rl_runs.py -- small models, prompts, a program that judges, and runs of the trainer with them: for check_rounds.py."""
import csv
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np

import gpt2_numpy
import rl_oracle as rl

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

    def attempt(self, case, check, *arguments):
        self.case, self.worst, self.bad, self.count, self.ties = case, (0.0, ""), 0, 0, 0
        try:
            check(self, *arguments)
        except (RuntimeError, AssertionError, OSError) as why:
            self.bad += 1
            print(f"    {why}")
        self.end()

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
        w["wte"][EOT, 0] = 0.5
    return {name: x.astype("f4").astype("f8") for name, x in w.items()}


def random_prompts(rng, rows, T, byte_tokens):
    """Rows of a prompt, an answer with an end that may be missing, and padding; the last without an answer (and without padding, if no
    token ends a text)."""
    tokens, mask = np.full((rows, T + 1), EOT if byte_tokens else 0), np.zeros((rows, T), int)
    for i in range(rows):
        prompt, answer = 2 + rng.integers(T // 2), rng.integers(1, T // 2 - 1)
        if i + 1 == rows:
            prompt, answer = (prompt if byte_tokens else T + 1), 0
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
            gpt2_numpy.write_model(self.path(which + "_body.bin"), dict(self.c, head=0), self.models[which])
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
        body = "_body" if options["objective"] == "grpo" else ""
        options = dict(dict(general=self.path("general*.bin"), init=self.path(f"policy{body}.bin"), seq=24,
                            reference=self.path(f"reference{body}.bin") if options.get("kl") else None,
                            schedule="constant", lr=0.02, clip=0, optimizer="sgd", threads=1, save_every=1, val_every=0, seed=7,
                            reward_command=f"exec {sys.executable} {self.path('judge.py')}"), **options)
        command = [self.trainer, "--steps", str(steps), "--out", out, "--dump-update", dump]
        command += [str(x) for name, value in options.items() if value is not None for x in ("--" + name.replace("_", "-"), value)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\nends with {done.returncode}: {done.stderr.strip()}")
        with open(os.path.join(out, "log.csv")) as f:
            log = [{name: float(x) if x else None for name, x in row.items()} for row in csv.DictReader(f)]
        model = lambda step: gpt2_numpy.read_model(os.path.join(out, f"model_{step:08d}.bin")) if step else (dict(self.c, head=int(not body)), self.models["policy"])
        c, w = model(steps - 1)
        return SimpleNamespace(out=out, log=log, c=c, w=w, model=model, dump=np.fromfile(dump, "<f4", offset=1024).astype("f8"),
                               file=lambda step: rl.read_round(os.path.join(out, f"round_{step:08d}.bin")))
