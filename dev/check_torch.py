#!/usr/bin/python3
"""check_torch.py -- the trainer against GPT-2 written anew in PyTorch, in double precision.

    python3 dev/check_torch.py [--trainer build/train_gpt2_drpt]    prints a table of the worst errors; exits with 1 if one is too large
    python3 dev/check_torch.py --make-fixture test/fixtures         writes what test/test_parity.c compares with

The two share nothing but the file formats; those are gpt2_numpy.py's, whose GPT-2 is compared too.
Debian: apt-get install python3-torch python3-numpy.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
import gpt2_numpy
from gpt2_numpy import tensors, write_examples


def read_model(path):
    c, w = gpt2_numpy.read_model(path)
    return c, {name: torch.tensor(x) for name, x in w.items()}


def write_model(path, c, w):
    gpt2_numpy.write_model(path, c, {name: x.detach().numpy() for name, x in w.items()})


def random_examples(rng, rows, T, vocab):
    """Rows with repeated tokens and masks of very unequal weight."""
    tokens = np.stack([rng.integers(0, 1 + rng.integers(vocab), T + 1) for _ in range(rows)])
    mask = np.stack([rng.random(T) < share for share in np.linspace(0.15, 1.0, rows)])
    mask[:, -1] = 1
    return tokens, mask


def hidden(c, w, inputs):
    """What the classifier and a scalar head see."""
    B, T = inputs.shape
    C, H = c["C"], c["H"]
    future = torch.ones(T, T).triu(1).bool()
    norm = lambda x, weight, bias: F.layer_norm(x, (C,), weight, bias, 1e-5)
    x = w["wte"][inputs] + w["wpe"][:T]
    for l in range(c["L"]):
        h = F.linear(norm(x, w["ln1w"][l], w["ln1b"][l]), w["qkvw"][l], w["qkvb"][l])
        q, k, v = (part.view(B, T, H, C // H).transpose(1, 2) for part in h.split(C, 2))
        scores = (q @ k.transpose(2, 3) / math.sqrt(C // H)).masked_fill(future, -math.inf)
        y = (scores.softmax(3) @ v).transpose(1, 2).reshape(B, T, C)
        x = x + F.linear(y, w["attprojw"][l], w["attprojb"][l])
        h = F.linear(norm(x, w["ln2w"][l], w["ln2b"][l]), w["fcw"][l], w["fcb"][l])
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        x = x + F.linear(h, w["fcprojw"][l], w["fcprojb"][l])
    return norm(x, w["lnfw"], w["lnfb"])


def logits_of(c, w, inputs):
    return F.linear(hidden(c, w, inputs), w["wte"][:c["V"]])


def loss_of(c, w, tokens, mask, weigh):
    tokens, mask = torch.tensor(tokens), torch.tensor(mask).double()
    logits = logits_of(c, w, tokens[:, :-1])
    losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none") * mask
    return losses.sum() / mask.sum() if weigh == "tokens" else (losses.sum(1) / mask.sum(1)).mean()


def gradients(c, w, tokens, mask, weigh):
    w = {name: x.clone().requires_grad_() for name, x in w.items()}
    loss = loss_of(c, w, tokens, mask, weigh)
    loss.backward()
    return loss.item(), {name: x.grad for name, x in w.items()}


def train(c, w, tokens, mask, weigh, steps, lr, decay, eps, clip):
    """AdamW at a constant rate; returns the losses before each step and the final weights."""
    w = {name: x.clone().requires_grad_() for name, x in w.items()}
    groups = [{"params": [w[name] for name, _, decayed in tensors(c) if decayed == d], "weight_decay": decay * d} for d in (0, 1)]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=eps)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(c, w, tokens, mask, weigh)
        loss.backward()
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(list(w.values()), clip)
        optimizer.step()
        losses.append(loss.item())
    return losses, w


# ------------------------------------------------------------------------------------------------
# The comparison.

failures = 0


def report(case, what, error, allowed):
    global failures
    bad = not error <= allowed  # so phrased that a NaN fails
    failures += bad
    print(f"{case:34} {what:26} {error:9.2e}  (allowed {allowed:.0e}){'  TOO LARGE' if bad else ''}")


def worst(got, want):
    """Over all tensors: largest difference in units of the tensor's largest value."""
    errors = {name: ((got[name] - want[name]).abs().max() / want[name].abs().max()).item() for name in want}
    name = max(errors, key=lambda n: errors[n] if errors[n] == errors[n] else math.inf)
    return name, errors[name]


def run(trainer, *options):
    done = subprocess.run([trainer, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{trainer} {' '.join(map(str, options))}\nfailed with {done.returncode}:\n{done.stdout}")


def column(folder, name):
    with open(os.path.join(folder, "log.csv")) as f:
        header, *rows = [line.rstrip("\n").split(",") for line in f]
    return [float(row[header.index(name)]) for row in rows if row[header.index(name)]]


def compare(trainer, folder, descriptor, rows, T, weigh, clip, seed):
    case, path = f"{descriptor} {weigh}", lambda name: os.path.join(folder, name)
    rng = np.random.default_rng(seed)
    # A random model of the trainer's own; then so much noise on all of it that no part is negligible.
    c0 = dict(zip("LHCVT", (int(part[1:]) for part in descriptor.split(","))))
    tokens, mask = random_examples(rng, rows, T, c0["V"])
    write_examples(path("data.bin"), tokens, mask, c0["V"])
    run(trainer, "--init", descriptor, "--steps", 0, "--val", path("data.bin"), "--out", path("init"))
    c, w = read_model(path("init/model_final.bin"))
    assert all(c[x] == c0[x] for x in "LHCVT")
    for name, shape, _ in tensors(c):
        w[name] = (w[name] + 0.2 * torch.tensor(rng.standard_normal(shape))).float().double()
    write_model(path("model.bin"), c, w)

    common = ["--init", path("model.bin"), "--general", path("data.bin"), "--batch", rows, "--weigh", weigh, "--method", "full",
              "--schedule", "constant"]
    run(trainer, *common, "--val", path("data.bin"), "--steps", 1, "--lr", 0, "--clip", 0, "--out", path("step"),
        "--dump-update", path("update.bin"))
    loss, grads = gradients(c, w, tokens, mask, weigh)
    report(case, "loss", abs(column(path("step"), "loss")[0] - loss) / loss, 1e-6)
    report(case, "loss of the evaluation", abs(column(path("step"), "val_loss")[0] - loss) / loss, 1e-6)
    name, error = worst(read_model(path("update.bin"))[1], grads)
    report(case, f"gradients (worst: {name})", error, 2e-5)

    # eps is far above rounding: the gradient of the keys' biases is zero but for it, and AdamW would make it a full step.
    lr, decay, eps = 1e-3, 0.1, 1e-5
    run(trainer, *common, "--steps", 10, "--lr", lr, "--weight-decay", decay, "--eps", eps, "--clip", clip, "--out", path("train"))
    losses, trained = train(c, w, tokens, mask, weigh, 10, lr, decay, eps, clip)
    got = column(path("train"), "loss")
    report(case, "ten losses", max(abs(a - b) / b for a, b in zip(got, losses)) if len(got) == 10 else math.nan, 2e-6)
    moved = {name: trained[name].detach() - w[name] for name in w}
    name, error = worst({name: x - w[name] for name, x in read_model(path("train/model_final.bin"))[1].items()}, moved)
    report(case, f"ten steps (worst: {name})", error, 2e-3)


def compare_numpy(seed):
    """gpt2_numpy.py's rows, added up, against autograd: any coefficients on log-probabilities and values, of a model with a head."""
    rng = np.random.default_rng(seed)
    c = dict(L=3, H=3, C=12, V=17, Vp=24, T=11, head=1)
    w = gpt2_numpy.random_model(c, rng)
    inputs, targets = rng.integers(0, c["V"], (2, 5, 9))
    dlogp, dvalue = rng.standard_normal((2, 5, 9))
    p = gpt2_numpy.Pass(c, w, inputs)
    got = gpt2_numpy.split(c, torch.tensor(p.gradients(targets, dlogp, dvalue)).sum(0))
    v = {name: torch.tensor(x, requires_grad=True) for name, x in w.items()}
    x = hidden(c, v, torch.tensor(inputs))
    logp = F.linear(x, v["wte"][:c["V"]]).log_softmax(2).gather(2, torch.tensor(targets)[:, :, None])[:, :, 0]
    values = x @ v["headw"] + v["headb"]
    (torch.tensor(dlogp) * logp + torch.tensor(dvalue) * values).sum().backward()
    report("gpt2_numpy.py", "log-probabilities", np.abs(p.logp(targets) - logp.detach().numpy()).max(), 1e-12)
    report("gpt2_numpy.py", "values", np.abs(p.values - values.detach().numpy()).max(), 1e-12)
    name, error = worst(got, {name: x.grad for name, x in v.items()})
    report("gpt2_numpy.py", f"gradients (worst: {name})", error, 1e-10)


def make_fixture(folder):
    rng = np.random.default_rng(20260507)
    c = dict(zip(gpt2_numpy.SIZES, [11, 17, 2, 3, 12, 23]))  # an odd padding, with values in it that must not matter
    w = {name: torch.tensor(0.25 * rng.standard_normal(shape) + (name in ("ln1w", "ln2w", "lnfw"))).float().double()
         for name, shape, _ in tensors(c)}
    tokens, mask = random_examples(rng, 5, 9, c["V"])
    path = lambda name: os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    write_model(path("model.bin"), c, w)
    write_examples(path("examples.bin"), tokens, mask, c["V"])
    with torch.no_grad():
        logits_of(c, w, torch.tensor(tokens[:, :-1])).numpy().astype("<f4").tofile(path("logits.bin"))
    with open(path("losses.txt"), "w") as f:
        for weigh in ("rows", "tokens"):
            loss, grads = gradients(c, w, tokens, mask, weigh)
            write_model(path(f"gradient_{weigh}.bin"), c, grads)
            losses, trained = train(c, w, tokens, mask, weigh, 10, 1e-3, 0.1, 1e-5, 1.0)
            f.writelines(f"{weigh} {step} {loss:.9f}\n" for step, loss in enumerate(losses))
        write_model(path("trained_tokens.bin"), c, trained)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainer", default="build/train_gpt2_drpt")
    parser.add_argument("--make-fixture", metavar="FOLDER")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    if options.make_fixture:
        make_fixture(options.make_fixture)
        return 0
    for seed in range(3):
        compare_numpy(seed)
    cases = [("L2,H3,C12,V17,T9", 5, 9), ("L1,H1,C7,V300,T8", 3, 5), ("L3,H4,C64,V257,T130", 4, 130), ("L4,H6,C96,V1000,T65", 6, 64)]
    for seed, (descriptor, rows, T) in enumerate(cases):
        for weigh in ("rows", "tokens"):
            with tempfile.TemporaryDirectory() as folder:
                compare(options.trainer, folder, descriptor, rows, T, weigh, 0 if weigh == "rows" else 0.5, seed)
    print(f"{failures} too large" if failures else "all within tolerance")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
