"""bench_gpu.py -- the GPU trainer's step and PyTorch's of the same model, in turns on one GPU: dev/bench/gpu.md.

    python3 dev/bench_gpu.py [--programs build/cuda/bench_gpu build/cuda_bf16/bench_gpu] [--rounds 5] [--seconds S] [--out dev/bench/gpu.md] [--small]

Each line is written as soon as it is measured, what tells most first: bf16 before TF32, plain training before the methods. After S seconds
nothing new is begun. It ends with 1 if one of the trainer's measurements failed, or was left out.
--small times a model that fits anything; it shows that the measurement works, and nothing else.
"""
import argparse
import datetime
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# Products of the tensor cores without sparsity, TFLOP/s, as NVIDIA states them: what MFU is a share of.
PEAKS = {"H100": {"bf16": 989.4, "tf32": 494.7}, "H200": {"bf16": 989.4, "tf32": 494.7}, "A100": {"bf16": 312.0, "tf32": 156.0}}

SIZES = {"124M": ("d12", 12, 12, 768, 50257, 1024), "tiny": ("L2,H2,C32,V96,T64", 2, 2, 32, 96, 64)}

LONGEST = 300  # seconds for an answer: compiling PyTorch's step takes one or two minutes

# In a small measurement nothing is learnt from more than the first three. One of each kind comes first.
METHODS = ["subset", "cone", "inside", "target", "span", "greedy", "mix", "random", "filter", "simplex", "capped", "agem", "agem_mirror",
           "gem", "pcgrad", "cagrad", "trust", "outside"]


class Contender:
    """A process that answers lines."""

    def __init__(self, command):
        self.errors = tempfile.TemporaryFile(mode="w+")  # not a pipe: who fills one that nobody reads stands still
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def lines(self, line, most):
        """The answer, up to `most` lines or an empty one; none if it ended instead, or took too long."""
        timer = threading.Timer(LONGEST, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            rows = []
            while len(rows) < most and (row := self.process.stdout.readline().strip()):
                rows.append(row)
            return rows
        except BrokenPipeError:
            return []
        finally:
            timer.cancel()

    def text(self, line):
        """The answer, or None."""
        answer = self.lines(line, 1)
        return answer[0] if answer else None

    def number(self, line):
        answer = self.text(line)
        return float(answer) if answer else None

    def table(self, line):
        """Names and numbers, up to an empty line."""
        rows = (row.rsplit(",", 1) for row in self.lines(line, 1000))
        return [(name, float(ms)) for name, ms in rows]

    def end(self):
        """What it complained of, if it ended before it was asked to."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        if self.process.returncode == 0:
            return ""
        return said[-1].replace("|", "/") if said else ""


class Bench:
    def __init__(self, args):
        self.args = args
        self.size = "tiny" if args.small else "124M"
        self.steps = "steps 1" if args.small else "steps 10"
        self.began = time.monotonic()
        self.failed = 0
        self.file = None

    def over(self):
        """No time for another measurement."""
        return self.args.seconds is not None and time.monotonic() - self.began > self.args.seconds

    def say(self, *lines):
        """Into the file, whose last contents stay until there is a first line."""
        self.file = self.file or open(self.args.out, "w", encoding="utf-8")
        for out in (self.file, sys.stdout):
            print(*lines, sep="\n", file=out, flush=True)

    def fail(self, row, why, columns):
        self.failed += 1
        self.say(f"| {row} | {why} |" + " |" * columns)

    def ours(self, precision, n, m, T, options=""):
        program = self.args.programs[precision == "bf16"]
        return Contender([program, precision, SIZES[self.size][0], str(n), str(m), str(T), options])

    def torch(self, precision, rows, T):
        _, layers, heads, channels, vocabulary, context = SIZES[self.size]
        padded = (vocabulary + 127) // 128 * 128
        sizes = [layers, heads, channels, padded, context, rows, T, 1]
        return Contender([self.args.python, "dev/bench_torch.py", *map(str, sizes), precision])

    def rounds(self, contenders, request):
        """Each contender's answers, asked in turns after a round that does not count; None where one ended."""
        answers = {name: [] for name in contenders}
        for turn in range(self.args.rounds + 1):
            for name, (contender, torch) in contenders.items():
                number = contender.number(self.steps.split()[1] if torch else request) if answers[name] is not None else None
                if number is None:
                    answers[name] = None
                elif turn > 0:
                    answers[name].append(number)
        return answers

    def flops(self, rows, T):
        _, layers, _, channels, vocabulary, _ = SIZES[self.size]
        N = rows * T
        return 6 * N * (12 * layers * channels * channels + vocabulary * channels) + 6 * layers * N * T * channels

    def peak(self, device, precision):
        return next((peak[precision] for name, peak in PEAKS.items() if name in device), None)

    def plain(self, device, precision, large_product, B, T):
        """Plain steps beside PyTorch's."""
        row = f"{B} x {T}"
        if self.over():
            return self.fail(row, "left out: no time", 6)
        ours, torch = self.ours(precision, B, 0, T), self.torch(precision, B, T)
        answers = self.rounds({"ours": (ours, False), "torch": (torch, True)}, self.steps)
        memory = ours.number("memory")
        why, missing = ours.end(), torch.end()
        if not answers["ours"]:
            return self.fail(row, why or "ended", 6)
        ms = statistics.median(answers["ours"])
        rate = self.flops(B, T) / ms / 1e9
        peak = self.peak(device, precision)
        mfu = f"{100 * rate / peak:.1f} %" if peak else "?"
        share = f"{100 * rate / large_product:.1f} %" if large_product else "?"
        theirs = f"{statistics.median(answers['torch']):.2f}" if answers["torch"] else missing or "not at hand"
        faster = f"{statistics.median(t / o for t, o in zip(answers['torch'], answers['ours'])):.2f}x" if answers["torch"] else ""
        self.say(f"| {row} | {ms:.2f} | {1e3 * B * T / ms:,.0f} | {mfu} | {share} | {memory or float('nan'):,.0f} | {theirs} | {faster} |")

    def methods(self, precision, n, m, T):
        """The regularizer's steps as multiples of a plain step on the same rows, in turns with it."""
        plain = None
        for method in METHODS[:3] if self.args.small else METHODS:
            if self.over():
                self.fail(method, "left out: no time", 2)
                continue
            plain = plain or self.ours(precision, n + m, 0, T)
            contender = self.ours(precision, n, m, T, f"--method {method}" + (" --rank 64" if method in ("inside", "outside") else ""))
            answers = self.rounds({"plain": (plain, False), method: (contender, False)}, self.steps)
            memory, more = plain.number("memory"), contender.number("memory")
            why = contender.end()
            if not answers["plain"]:
                why = plain.end() or "ended"
                self.fail(method, f"the plain step: {why}", 2)
                plain = None
            elif not answers[method] or not memory or not more:
                self.fail(method, why or "ended", 2)
            else:
                ratio = statistics.median(a / b for a, b in zip(answers[method], answers["plain"]))
                self.say(f"| {method} | {statistics.median(answers[method]):.2f} | {ratio:.3f} | {more / memory:.3f} |")
        if plain:
            plain.end()

    def operations(self, precision, B, T):
        if self.over():
            return self.fail("all", "left out: no time", 0)
        contender = self.ours(precision, B, 0, T)
        table = contender.table("operations" + self.steps[5:])
        why = contender.end()
        if not table or why:
            return self.fail("all", why or "ended", 0)
        for name, ms in table:
            self.say(f"| {name} | {ms:.3f} |")

    def precision(self, precision):
        side, sizes, (n, m, T) = (64, [(4, 16), (2, 16)], (3, 1, 16)) if self.args.small else (8192, [(32, 1024), (8, 1024)], (8, 1, 512))
        contender = self.ours(precision, 1, 0, 16)
        device, rate = contender.text("device"), contender.number(f"product {side}")
        why = contender.end()
        if device is None:
            self.failed += 1
            print(f"bench_gpu.py: {precision}: {why or 'no answer from the trainer'}", file=sys.stderr)
            return
        if self.file is None:
            self.say("# The training step on a GPU", "",
                     f"{device}; {datetime.date.today()}; medians of {self.args.rounds} rounds of {self.steps[6:]} steps, contenders in turns. "
                     "PyTorch: compiled, flash attention, fused AdamW. FLOP of a step: 6 N (12 L C^2 + V C) + 6 L N T C. "
                     "MFU is a share of what NVIDIA states for the chip.")
        said = f"{rate:.0f} TFLOP/s" if rate else f"not measured: {why or 'ended'}"
        self.say("", f"## Plain training, {self.size}, {precision}", "", f"A product of {side} x {side} matrices: {said}.", "",
                 "| rows x T | ms | tokens/s | MFU | of the large product | MiB | PyTorch ms | faster |", "|---|---:|---:|---:|---:|---:|---:|---:|")
        for B, rows in sizes:
            self.plain(device, precision, rate, B, rows)
        self.say("", f"## Methods by layer, {precision}, n = {n}, m = {m}, T = {T}", "",
                 "| method | ms | of a plain step on the same rows | memory of it |", "|---|---:|---:|---:|")
        self.methods(precision, n, m, T)
        B, rows = sizes[0]
        self.say("", f"## Operations, {precision}, {B} x {rows}", "", "| operation | ms |", "|---|---:|")
        self.operations(precision, B, rows)

    def run(self):
        for precision in ("bf16", "tf32"):
            self.precision(precision)
        sys.exit(1 if self.failed else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs=2, default=["build/cuda/bench_gpu", "build/cuda_bf16/bench_gpu"], help="with fp32, with bf16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="after which nothing new is begun")
    parser.add_argument("--out", default="dev/bench/gpu.md")
    parser.add_argument("--python", default=sys.executable, help="of PyTorch")
    parser.add_argument("--small", action="store_true")
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
