"""bench_torch.py -- the training step of the same GPT-2 in PyTorch, for dev/bench.c and dev/bench_gpu.py to measure beside.

    python3 dev/bench_torch.py --version
    python3 dev/bench_torch.py LAYERS HEADS CHANNELS VOCABULARY CONTEXT BATCH T THREADS [tf32 | bf16]

Eager and fp32 on the CPU; with tf32 or bf16 (autocast) compiled, with its fused AdamW and flash attention, on the GPU.
Reads a number of steps from each line of its standard input and answers with their median in milliseconds.
"""
import math
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    sys.exit(1)  # nothing said: dev/bench.c tries another interpreter, or leaves PyTorch out and says so


class Block(nn.Module):
    """x + attention(layernorm(x)), and x + mlp(layernorm(x)) of that."""

    def __init__(self, channels, heads, context):
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.attproj = nn.Linear(channels, channels)
        self.ln2 = nn.LayerNorm(channels)
        self.fc = nn.Linear(channels, 4 * channels)
        self.fcproj = nn.Linear(4 * channels, channels)
        future = torch.ones(context, context, dtype=torch.bool).triu(1)
        self.register_buffer("future", future)

    def attention(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, -1).transpose(1, 2) for part in self.qkv(x).split(C, dim=2))
        if hasattr(F, "scaled_dot_product_attention"):  # PyTorch 2: its own fused one
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(2, 3) / math.sqrt(C // self.heads)
            scores = scores.masked_fill(self.future[:T, :T], -math.inf)
            y = F.softmax(scores, dim=3) @ v
        return self.attproj(y.transpose(1, 2).reshape(B, T, C))

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.fcproj(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, layers, heads, channels, vocabulary, context):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, channels)
        self.wpe = nn.Embedding(context, channels)
        self.blocks = nn.ModuleList(Block(channels, heads, context) for _ in range(layers))
        self.lnf = nn.LayerNorm(channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.lnf(x) @ self.wte.weight.t()  # the head is the embedding
        return F.cross_entropy(logits.view(-1, logits.shape[2]), targets.view(-1))


def make_optimizer(model, **options):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices}, {"params": vectors}]
    return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0, **options)


def step(model, optimizer, tokens, targets):
    """Milliseconds of one step. It ends with the loss and the norm known, as the trainer's does."""
    began = time.perf_counter()
    loss = model(tokens, targets)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()
    norm.item()
    return 1e3 * (time.perf_counter() - began)


def on_gpu(model, precision):
    """The compiled model, called in the precision asked for, and its optimizer."""
    torch.set_float32_matmul_precision("high")  # fp32 products in TF32
    model = model.cuda()
    compiled = torch.compile(model)

    def call(tokens, targets):
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            return compiled(tokens, targets)

    call.parameters = model.parameters
    return call, make_optimizer(model, fused=True)


def main():
    if sys.argv[1:] == ["--version"]:
        print(torch.__version__)
        return
    layers, heads, channels, vocabulary, context, batch, T, threads = map(int, sys.argv[1:9])
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model = GPT2(layers, heads, channels, vocabulary, context)
    tokens = torch.randint(vocabulary, (batch, T + 1))
    if len(sys.argv) > 9:
        tokens = tokens.cuda()
        model, optimizer = on_gpu(model, sys.argv[9])
    else:
        optimizer = make_optimizer(model)
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    for line in sys.stdin:
        print(statistics.median(step(model, optimizer, inputs, targets) for _ in range(int(line))), flush=True)


if __name__ == "__main__":
    main()
