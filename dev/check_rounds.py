#!/usr/bin/python3
"""check_rounds.py -- whole steps of --objective reward, grpo and ppo against an oracle in NumPy, in double precision.

    python3 dev/check_rounds.py [--build build] [--thorough] [--only TEXT] [--verbose]

A run leaves its round in a file beside each checkpoint. What was sampled and what the program of the test said about it is taken from
there; all else is computed anew (rl_oracle.py, gpt2_numpy.py, oracle.py) and compared: log-probabilities, values, advantages, which
rows take part, the log, and --dump-update. A group whose choice hangs on rounding is left out and counted. One line for each
thing compared with --verbose, else for each case; exit code 1 if anything is wrong. Debian: apt-get install python3-numpy.
"""
import argparse
import itertools
import os
import sys
import tempfile
from types import SimpleNamespace

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is loaded; its threads would only wait for one another
import numpy as np

sys.dont_write_bytecode = True
import check_methods
import gpt2_numpy
import rl_oracle as rl
from oracle import KNOBS, knobs
from rl_runs import EOT, Report, Setting

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
        first = m.argmax() + 1 if m.any() else np.flatnonzero(x != EOT).max() + 1
        found[tuple(x[:first])] = tuple(x[1:][m])
    return found


def text_of(setting, tokens):
    return "".join(chr(x) for x in tokens if x < 128) if setting.byte_tokens else " ".join(map(str, tokens))


def judgement(setting, o, prompt, response, answer, row):
    """What the program says, or the model of rewards of the row."""
    if hasattr(o, "reward_model"):
        return gpt2_numpy.Pass(setting.c, setting.models["judge"], np.array([row])).values[0, -1]
    texts = (text_of(setting, [x for x in part if x != EOT or not setting.byte_tokens]) for part in (prompt, response, answer))
    return min(1, sum(map(ord, "".join(texts))) % 3)


def check_rows(report, setting, rows, files, group, most, who, o):
    """Prompts are of the files, `group` rows of one; what was sampled is masked, at most so many, and nothing stands behind; judged as the
    program does."""
    prompts = {prompt: (answer, d) for d, which in enumerate(files) for prompt, answer in prompts_of(setting, which).items()}
    T, wrong = rows.tokens.shape[1], []
    for i, (tokens, mask, length) in enumerate(zip(rows.tokens, rows.mask, rows.length)):
        first = mask.argmax() + 1 if mask.any() else length
        prompt, response = tuple(tokens[:first]), tokens[first:length]
        ended = setting.byte_tokens and EOT in response
        wrong += [f"row {i}: no prompt of the files"] if prompt not in prompts else []
        wrong += [f"row {i}: mask"] if not np.array_equal(np.flatnonzero(mask), np.arange(first - 1, length - 1)) else []
        wrong += [f"row {i}: padding"] if tokens[length:].any() else []
        wrong += [f"row {i}: goes on behind its end"] if ended and EOT in response[:-1] else []
        wrong += [f"row {i}: too short"] if not ended and not (len(response) == most or length == T) else []
        wrong += [f"row {i}: too long"] if len(response) > most else []
        wrong += [f"row {i}: another prompt than its group"] if prompt != tuple(rows.tokens[i - i % group][:first]) else []
        if prompt in prompts:
            answer, domain = prompts[prompt]
            wrong += [f"row {i}: domain"] if rows.domain[i] != domain else []
            want = judgement(setting, o, prompt, response, answer, tokens[:length])
            wrong += [f"row {i}: reward {rows.reward[i]}, not {want}"] if not abs(rows.reward[i] - want) <= 1e-5 * (1 + abs(want)) else []
    report.same(f"{who}: tokens, masks, rewards {'; '.join(wrong[:2])}", len(wrong), 0)


def check_numbers(report, setting, objective, rows, sampler, o, kl, who):
    """log-probabilities, values and advantages; returns the rows with those of the oracle and with who takes part."""
    state = rl.now(*sampler, rows)
    reference = rl.now(setting.c, setting.models["reference"], rows)
    report.numbers(who + ": old", np.where(rows.mask, rows.old, 0), np.where(rows.mask, state.logp, 0), 1e-5)
    if kl or o.kl:
        report.numbers(who + ": reference", np.where(rows.mask, rows.reference, 0), np.where(rows.mask, reference.logp, 0), 1e-5)
    if objective == "grpo":
        A, usable = rl.of_groups(rows.reward, o.group_size)
        advantage = np.where(rows.mask & usable[:, None], A[:, None], 0)
        mine = SimpleNamespace(**{**vars(rows), "advantage": advantage, "usable": usable & rows.mask.any(1)})
    else:
        report.numbers(who + ": values", np.where(rows.mask, rows.value, 0), np.where(rows.mask, state.value, 0), 1e-5)
        after = np.zeros(len(rows.length))  # a response is judged as it stands, cut or not: nothing comes after it
        _, raw, returns = rl.of_values(rows, rows.value, after, kl, o.gamma, getattr(o, "lambda"))
        advantage = rl.whitened(raw, rows.mask)
        if who == "general" or o.target_objective != "avg-reward":
            report.numbers(who + ": returns", np.where(rows.mask, rows.returns, 0), np.where(rows.mask, returns, 0), 2e-5)
        mine = SimpleNamespace(**{**vars(rows), "advantage": advantage, "returns": returns, "usable": rows.mask.any(1)})
    return mine


def check_update(report, run, objective, general, target, o, options):
    """--dump-update of a step that took all these rows. target: its rows, or "self". Returns the target's gradient."""
    state = rl.now(run.c, run.w, general)
    G, counts = rl.step_gradients("objective", objective, general, state, o)
    head = slice(gpt2_numpy.count(run.c) - (run.c["C"] + 1) * run.c["head"], None)
    if target is None:
        report.numbers("update", run.dump, G.sum(0), 2e-5)
        return None
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
    if compared or not ties:  # of a single group, which hangs on rounding, there is nothing to compare
        report.add(f"update, {compared} groups {where}", worst if compared else np.nan, 3e-5)
    if run.c["head"] and (objective == "ppo" or np.abs(run.dump[head]).max() > 0):
        report.numbers("update of the head", run.dump[head], (rows.sum(0) if o.method == "target" else G.mean(0))[head], 2e-5)
    return rows.sum(0)


def check_round(report, setting, objective, options, steps, at=None, drawn=0):
    """The last of so many steps, each of which takes all rows of its round. at: number of the round and of its step, counted from 1;
    drawn: the step before which the target's responses were."""
    o, at = told(options), at or (1, steps)
    n = 16 if o.method == "full" else 8  # the oracle looks at every face of a feasible set
    more = dict(objective=objective, method=o.method, batch=n // options.get("accumulate", 1), rollouts=n, epochs=4, group_size=o.group_size, max_new=12)
    held_out = options.get("held_out", False)
    if held_out:
        more.update(target=setting.path("target.bin"), target_batch=8 // options.get("accumulate", 1))
    run = setting.run({**more, **{name: x for name, x in options.items() if name != "held_out"}}, steps)
    r = run.file(steps)
    report.same("header", (r.rows, r.T, r.group, r.round, r.step), (n, 24, o.group_size, *at))
    report.numbers("the coefficient of the KL", r.numbers[0], o.kl, 1e-12)
    sampler = run.model(steps - at[1])
    check_rows(report, setting, r.general, ("general0", "general1"), o.group_size, 12, "general", o)
    general = check_numbers(report, setting, objective, r.general, sampler, o, r.numbers[0], "general")
    if not o.iif:
        report.same("general: usable", r.general.usable, general.usable)
    filled = r.general.mask & general.usable[:, None]
    report.numbers("general: advantages", np.where(filled, r.general.advantage, 0), np.where(filled, general.advantage, 0), 2e-5)
    target = None
    if held_out:
        check_rows(report, setting, r.target, ("target",), o.group_size, 12, "target", o)
        target = check_numbers(report, setting, objective, r.target, run.model(drawn), o, r.numbers[0], "target")
    elif o.method != "full":
        target = "self"
    if o.iif:
        check_iif(report, run, objective, r, general, target, sampler, o)
        general.usable, target = r.general.usable, None
    t = check_update(report, run, objective, general, target, o, options)
    check_log(report, run.log[steps - 1], run, objective, r, general, o)
    check_log_of_target(report, run.log[steps - 1], run, objective, r, general if target == "self" else target, t, o)


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
    nothing = ~G.any(1)  # speaks neither for nor against
    clear = (np.abs(score) > 1e-5 * np.abs(score).max()) | nothing
    report.ties += (~clear & general.usable).sum()
    want = general.usable & ((score >= 0) | nothing)
    report.seen["rows that --iif left out"] += (general.usable & ~want).sum()
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
            report.seen["degenerate groups"] += degenerate
            if o.kl:
                report.numbers("log: kl_reference", row["kl_reference"], of(rl.k3(state.logp, general.reference)), 1e-5)
                policy = policy + o.kl * rl.k3(state.logp, general.reference)
        else:
            report.numbers("log: value_loss", row["value_loss"], of(rl.value_loss(state.value, general.value, general.returns, o.value_clip)), 1e-5)
        report.add("log: loss", abs(row["loss"] - of(policy)), 2e-6 * (1 + np.abs(policy[tokens]).mean()))
    ratio = np.exp(moved)
    flat = (general.advantage > 0) & (ratio > 1 + o.clip_ratio) | (general.advantage < 0) & (ratio < 1 - o.clip_ratio)
    report.seen["clipped tokens"] += flat[tokens].sum()
    report.add(f"log: clipped, {of(flat):.3f}", min(abs(row["clipped"] - of(flat)), abs(row["clipped"] - flat[tokens].sum())), 1e-6)


def check_epochs(report, setting, objective):
    """Steps of half a round: each epoch takes every row once, in another order, and a step's tokens count alike."""
    o, n = told({}), 16
    halves = []
    for steps in (1, 2, 3, 4):
        run = setting.run(dict(objective=objective, batch=n // 2, rollouts=n, epochs=3, group_size=o.group_size, max_new=12), steps)
        r = run.file(steps)
        rows = r.general
        if objective == "grpo":
            rows.advantage, rows.usable = (lambda A, best: (np.where(rows.mask, A[:, None], 0), best & rows.mask.any(1)))(*rl.of_groups(rows.reward, 4))
        G = rl.step_gradients("objective", objective, rows, rl.now(run.c, run.w, rows), o)[0]
        tokens = (rows.mask & rows.usable[:, None]).sum(1)
        subsets = np.array([[i in chosen for i in range(n)] for chosen in itertools.combinations(range(n), n // 2)], float)
        Q, R = np.linalg.qr(G.T)
        u = subsets @ R.T * tokens.sum() / np.maximum(subsets @ tokens, 1)[:, None]
        inner = Q.T @ run.dump
        errors = np.hypot(np.linalg.norm(u - inner, axis=1), np.linalg.norm(run.dump - Q @ inner)) / np.linalg.norm(run.dump)
        report.add(f"step {steps}: update of some 8 rows", errors.min(), 2e-5)
        near = subsets[errors <= errors.min() + 1e-5] > 0  # rows without a part may go either way
        halves.append({frozenset(np.flatnonzero(x & rows.usable)) for x in near})
    everything = frozenset(np.flatnonzero(rows.usable))
    for first in (0, 2):
        disjoint = any(a | b == everything and not a & b for a in halves[first] for b in halves[first + 1])
        report.same(f"epoch {first // 2 + 1}: every row once", disjoint, True)
    report.same("another order in the second epoch", bool(halves[0] & (halves[2] | halves[3])), False)


def check_own_rewards(report, setting):
    """Self-reference where a step is half a round: rewards are standardised over the round, as its file says."""
    o, n = told({}), 16
    run = setting.run(dict(objective="grpo", batch=n // 2, rollouts=n, epochs=2, group_size=o.group_size, max_new=12, method="mix", mix=1), 1)
    rows = run.file(1).general
    state, tokens = rl.now(run.c, run.w, rows), rows.mask.sum(1)
    best = {}
    for scope in ("round", "step"):
        best[scope] = np.inf
        G = rl.row_gradients(state, rows.mask, lambda x: -x)
        Q, R = np.linalg.qr(G.T)
        inner, size = Q.T @ run.dump, np.linalg.norm(run.dump)
        whole = rl.standardised(rows.reward)
        for chosen in itertools.combinations(range(n), n // 2):
            chosen = list(chosen)
            A = whole[chosen] if scope == "round" else rl.standardised(rows.reward[chosen])
            u = R[:, chosen] @ A / tokens[chosen].sum()
            best[scope] = min(best[scope], np.linalg.norm(u - inner) / size)
    scope = min(best, key=lambda x: best[x])
    report.add(f"update, standardised over the {scope}", best[scope], 2e-5)
    report.same("over the round", scope, "round")


def check_adaptive_kl(report, setting, target):
    """The coefficient of the next round, from the mean KL of a general response of the last one."""
    kl, horizon = 0.1, 100
    run = setting.run(dict(objective="ppo", batch=16, rollouts=16, epochs=2, max_new=12, kl=kl, kl_target=target, kl_horizon=horizon,
                           method="mix", target=setting.path("target.bin"), target_batch=4), 5)
    for step in (1, 3, 5):
        r = run.file(step)
        report.numbers(f"step {step}: the coefficient", r.numbers[0], kl, 1e-6)
        g = r.general
        mean = np.where(g.mask, g.old - g.reference, 0).sum(1).mean()
        kl = rl.next_kl(kl, mean, target, len(g.mask), horizon)


def check_log_of_target(report, row, run, objective, r, target, t, o):
    """A scalar head is part of the update and not of the target's gradient; where the update is the target's, the log says so: 1."""
    report.numbers("log: grad_norm", row["grad_norm"], np.linalg.norm(run.dump), 1e-6)
    if o.iif:
        report.numbers("log: kept", row["kept"], r.general.usable.sum(), 1e-9)
    if t is None:
        return
    body = slice(0, len(t) - (run.c["C"] + 1) * run.c["head"])
    length, moved = np.linalg.norm(t[body]), np.linalg.norm(run.dump)
    cosine, ratio = (run.dump[body] @ t[body] / (moved * length), moved / length) if moved * length > 0 else (0, 0)
    if o.method == "target":
        cosine = ratio = 1
    report.add("log: update_cos", abs(row["update_cos"] - cosine), 1e-5)
    report.numbers("log: update_ratio", row["update_ratio"], ratio, 2e-5)
    report.numbers("log: target_reward", row["target_reward"], target.reward.mean(), 1e-6)
    tokens = target.mask & target.usable[:, None]
    if o.target_objective == "objective":
        state = rl.now(run.c, run.w, target)
        loss = rl.clipped_loss(state.logp, target.old, target.advantage, o.clip_ratio) + (o.kl * rl.k3(state.logp, target.reference) if objective == "grpo" else 0)
        report.add("log: target_loss", abs(row["target_loss"] - loss[tokens].mean()), 2e-6 * (1 + np.abs(loss[tokens]).mean()))


# ------------------------------------------------------------------------------------------------
# Reward models.

def check_reward(report, setting, options):
    """Loss, accuracy, margin and gradient of a step of pairs; of methods with a target, check_methods.py has more."""
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
    run = setting.run(dict(dict(objective="reward", reward_command=None, general=setting.path("pairs.bin"), seq=None,
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


# ------------------------------------------------------------------------------------------------

# Without --thorough: one of each kind.
QUICK = ["reward full, accumulate 3", "reward subset layer", "grpo full, far", "grpo full, accumulate", "grpo subset layer, held out, avg",
         "grpo cone block, self, objective", "grpo filter layer, self with", "grpo iif, self, pre-clip", "grpo mix, fresh", "grpo epochs", "ppo full, far",
         "ppo subset layer, self, objective", "ppo cone block, held out, pre-clip", "ppo full, stopped", "ppo adaptive KL, target 2.0"]


def reward_cases():
    yield "full", {}
    yield "full, accumulate 3", dict(batch=2, accumulate=3)
    yield "full, recompute", dict(recompute=1)
    yield "subset layer", dict(method="subset")
    yield "cone block", dict(method="cone", group="block")
    for method in ("target", "mix", "filter", "greedy", "span", "simplex", "agem"):
        for group in check_methods.GROUPS:
            yield f"{method} {group}", dict(method=method, group=group)


def round_cases(objective):
    """Name, options, and the steps to look at."""
    clip = dict(lr=0.5 if objective == "grpo" else 0.03)
    yield "full", dict(kl=0.05), (1,)
    yield "full, far from the old policy", dict(kl=0.05, **clip), (3,)
    yield "full, accumulate 2, no KL", dict(accumulate=2, **clip), (2,)
    yield "full, recompute", dict(kl=0.05, recompute=1, **clip), (2,)
    yield "full, sampled at 0.8 of 40", dict(temperature=0.8, top_k=40, **clip), (2,)
    yield "full, judged by a model", dict(reward_command=None, reward_model=True, **clip), (2,)
    kinds = ["avg-reward", "pre-clip", "objective"]
    for kind, held_out in itertools.product(kinds, (True, False)):
        who = "held out" if held_out else "self"
        common = dict(target_objective=kind, kl=0.05, held_out=held_out, **clip)
        yield f"subset layer, {who}, {kind}", dict(common, method="subset"), (2,)
        yield f"cone block, {who}, {kind}", dict(common, method="cone", group="block"), (2,)
        yield f"cone layer, accumulate 4, {who}, {kind}", dict(common, method="cone", accumulate=4), (2,)
        for method in ("target", "mix", "filter", "greedy", "span", "simplex", "capped", "agem", "agem_mirror"):
            if method == "target" and not held_out:
                continue
            for group in ("global",) if method == "capped" else ("matrix", "global"):  # three faces for each row take the oracle long
                ridge = dict(ridge=0.05) if method == "span" else {}  # without it, short gradients of responses leave the oracle unsure
                yield f"{method} {group}, {who}, {kind}", dict(common, method=method, group=group, **ridge), (1, 3)
    yield "filter layer, self with its own part", dict(method="filter", leave_one_out=0, **clip), (2,)
    yield "cone global, self with its own part", dict(method="cone", group="global", leave_one_out=0, **clip), (2,)
    for kind in kinds[:2]:
        yield f"iif, held out, {kind}", dict(iif=1, held_out=True, target_objective=kind, **clip), (1, 3)
        yield f"iif, self, {kind}", dict(iif=1, target_objective=kind, **clip), (2,)
    yield "iif, self with its own part", dict(iif=1, leave_one_out=0, **clip), (2,)


def all_checks(setting):
    """(name, function, arguments) of everything there is to check."""
    if setting.byte_tokens:
        for case, more in reward_cases():
            yield f"reward {case}", check_reward, more
    for objective in ("grpo", "ppo"):
        for case, more, steps in round_cases(objective):
            if more.get("reward_model"):
                more["reward_model"] = setting.path("judge.bin")
            for step in steps:
                yield f"{objective} {case}, step {step}", check_round, objective, more, step
        stop, fresh = dict(kl_stop=1e-9, lr=0.1), dict(held_out=True, target_refresh=2, method="mix", lr=0.1)
        yield f"{objective} epochs", check_epochs, objective
        yield f"{objective} full, stopped by the KL", check_round, objective, stop, 2, (2, 1)
        yield f"{objective} mix, older target", check_round, objective, fresh, 2, None, 0
        yield f"{objective} mix, fresh target", check_round, objective, fresh, 3, None, 2
    yield "grpo self-reference, half a round", check_own_rewards
    for target in (0.02, 2.0, 50.0):
        yield f"ppo adaptive KL, target {target}", check_adaptive_kl, target


def main():
    parser = argparse.ArgumentParser(description="Whole steps of the objectives with rewards against an oracle in NumPy.")
    parser.add_argument("--build", default="build", help="where the trainer is")
    parser.add_argument("--trainer", default="train_gpt2_drpt", help="what it is called there; train_gpt2_drpt_cuda: run with --precision fp32")
    parser.add_argument("--only", default="", help="of these the cases whose name has this in it")
    parser.add_argument("--thorough", action="store_true", help="all cases, not one of each kind")
    parser.add_argument("--verbose", action="store_true", help="a line for each thing compared")
    options = parser.parse_args()
    gpt2_numpy.self_test()
    report, trainer = Report(options.verbose), os.path.join(options.build, options.trainer)
    with tempfile.TemporaryDirectory() as folder:
        for setting in (Setting(trainer, folder, "text", 1), Setting(trainer, folder, "ids", 2, byte_tokens=False)):
            for name, check, *arguments in all_checks(setting):
                wanted = options.only in f"{setting.name} {name}"
                quick = setting.byte_tokens and any(name.startswith(kind) for kind in QUICK)
                if wanted and (options.thorough or quick):
                    report.attempt(f"{setting.name} {name}", check, setting, *arguments)
    for what, count in report.seen.items():
        if not count and not options.only:
            report.failed += 1
            print(f"there were no {what}: nothing is known about them")
    print(f"{report.compared} things compared; " + (f"{report.failed} cases FAILED" if report.failed else "all within tolerance"))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
