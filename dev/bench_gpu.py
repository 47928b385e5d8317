"""bench_gpu.py -- the GPU trainer's step and PyTorch's of the same model, in turns on one GPU: dev/bench/gpu.md.

    python3 dev/bench_gpu.py [--programs build/cuda/bench_gpu build/cuda_bf16/bench_gpu] [--rounds 5] [--out dev/bench/gpu.md] [--small]

--small times a model that fits anything; it shows that the measurement works, and nothing else.
"""
import argparse
import datetime
import statistics
import subprocess
import sys

# Products of the tensor cores without sparsity, TFLOP/s, as NVIDIA states them: what MFU is a share of.
PEAKS = {"H100": {"bf16": 989.4, "tf32": 494.7}, "H200": {"bf16": 989.4, "tf32": 494.7}, "A100": {"bf16": 312.0, "tf32": 156.0}}

SIZES = {"124M": ("d12", 12, 12, 768, 50257, 1024), "tiny": ("L2,H2,C32,V96,T64", 2, 2, 32, 96, 64)}

# In a small measurement nothing is learnt from more.
SMALL_METHODS = ["full", "subset", "cone", "inside"]
METHODS = ["full", "target", "mix", "random", "subset", "filter", "greedy", "span", "cone", "simplex", "capped", "agem", "agem_mirror",
           "gem", "pcgrad", "cagrad", "trust", "inside", "outside"]


class Contender:
    """A process that answers lines."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, line):
        """The answer, or None if it ended instead."""
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.process.stdout.readline().strip() or None

    def number(self, line):
        answer = self.ask(line)
        return float(answer) if answer else None

    def table(self, line):
        rows = []
        row = self.ask(line)
        while row:
            rows.append(row.rsplit(",", 1))
            row = self.process.stdout.readline().strip()
        return [(name, float(ms)) for name, ms in rows]

    def end(self):
        """What it complained of."""
        self.process.stdin.close()
        self.process.wait()
        said = self.process.stderr.read().strip().splitlines()
        return said[-1] if self.process.returncode and said else ""


class Bench:
    def __init__(self, args):
        self.args = args
        self.size = "tiny" if args.small else "124M"
        self.steps = "steps 1" if args.small else "steps 10"
        self.lines = []

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

    def say(self, *lines):
        self.lines.extend(lines)
        print(*lines, sep="\n", flush=True)

    def peak(self, device, precision):
        return next((peak[precision] for name, peak in PEAKS.items() if name in device), None)

    def plain(self, device, rates, B, T):
        """Plain steps of both precisions beside PyTorch's."""
        for precision in ("bf16", "tf32"):
            ours = self.ours(precision, B, 0, T)
            answers = self.rounds({"ours": (ours, False), "torch": (self.torch(precision, B, T), True)}, self.steps)
            memory = ours.number("memory")
            if answers["ours"] is None:
                self.say(f"| {B} x {T} | {precision} | {ours.end() or 'ended'} | | | | | | |")
                continue
            ms = statistics.median(answers["ours"])
            rate = self.flops(B, T) / ms / 1e9
            peak = self.peak(device, precision)
            mfu = f"{100 * rate / peak:.1f} %" if peak else "?"
            torch = statistics.median(answers["torch"]) if answers["torch"] else None
            faster = f"{statistics.median(t / o for t, o in zip(answers['torch'], answers['ours'])):.2f}x" if torch else ""
            self.say(f"| {B} x {T} | {precision} | {ms:.2f} | {1e3 * B * T / ms:,.0f} | {mfu} | {100 * rate / rates[precision]:.1f} % | "
                     f"{memory:,.0f} | {torch and f'{torch:.2f}' or 'not at hand'} | {faster} |")

    def methods(self, n, m, T):
        """The regularizer's steps as multiples of a plain step on the same rows, in turns with it."""
        for precision in ("bf16", "tf32"):
            plain = self.ours(precision, n + m, 0, T)
            for method in (SMALL_METHODS if self.args.small else METHODS)[1:]:
                options = f"--method {method}" + (" --rank 64" if method in ("inside", "outside") else "")
                contender = self.ours(precision, n, m, T, options)
                answers = self.rounds({"plain": (plain, False), method: (contender, False)}, self.steps)
                memory, more = plain.number("memory"), contender.number("memory")
                if answers[method] is None or answers["plain"] is None:
                    self.say(f"| {method} | {precision} | {contender.end() or 'ended'} | | |")
                    continue
                ratio = statistics.median(a / b for a, b in zip(answers[method], answers["plain"]))
                self.say(f"| {method} | {precision} | {statistics.median(answers[method]):.2f} | {ratio:.3f} | {more / memory:.3f} |")
                contender.end()
            plain.end()

    def operations(self, B, T):
        tables = {}
        for precision in ("bf16", "tf32"):
            contender = self.ours(precision, B, 0, T)
            tables[precision] = dict(contender.table("operations" + self.steps[5:]))
            contender.end()
        for name in tables["bf16"]:
            self.say(f"| {name} | {tables['bf16'][name]:.3f} | {tables['tf32'].get(name, float('nan')):.3f} |")

    def run(self):
        side, (B, T), large, (n, m, rows) = (64, (2, 16), (4, 16), (3, 1, 16)) if self.args.small else (8192, (8, 1024), (32, 1024), (8, 1, 512))
        rates = {}
        for precision in ("bf16", "tf32"):
            contender = self.ours(precision, 1, 0, 16)
            device = contender.ask("device")
            if device is None:
                sys.exit(f"bench_gpu.py: {contender.end() or 'no answer from the trainer'}")
            rates[precision] = contender.number(f"product {side}")
            contender.end()
        self.say("# The training step on a GPU", "",
                 f"{device}; {datetime.date.today()}; medians of {self.args.rounds} rounds of {self.steps[6:]} steps, contenders in turns. "
                 f"A product of {side} x {side} matrices: {rates['bf16']:.0f} TFLOP/s in bf16, {rates['tf32']:.0f} in TF32.", "",
                 f"## Plain training, {self.size}", "",
                 "| rows x T | precision | ms | tokens/s | MFU | of the large product | MiB | PyTorch ms | faster |",
                 "|---|---|---:|---:|---:|---:|---:|---:|---:|")
        self.plain(device, rates, B, T)
        self.plain(device, rates, *large)
        self.say("", "PyTorch: compiled, flash attention, fused AdamW. FLOP of a step: 6 N (12 L C^2 + V C) + 6 L N T C. "
                 "MFU is a share of what NVIDIA states for the chip.", "",
                 f"## Methods by layer, n = {n}, m = {m}, T = {rows}", "",
                 "| method | precision | ms | of a plain step on the same rows | memory of it |", "|---|---|---:|---:|---:|")
        self.methods(n, m, rows)
        self.say("", f"## Operations, {B} x {T}", "", "| ms | bf16 | TF32 |", "|---|---:|---:|")
        self.operations(B, T)
        with open(self.args.out, "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs=2, default=["build/cuda/bench_gpu", "build/cuda_bf16/bench_gpu"], help="with fp32, with bf16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default="dev/bench/gpu.md")
    parser.add_argument("--python", default=sys.executable, help="of PyTorch")
    parser.add_argument("--small", action="store_true")
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
