"""gpt2_numpy.py -- GPT-2 in NumPy and double precision, with the gradient of each row by itself; and the files that models and rows are in.

For dev/check_*.py: written to be read, row by row, and to share nothing with the trainer but the file formats. A model is c, its sizes
by the letters of a descriptor (Vp: padded vocabulary; head: 1 with a scalar head), and w, {name: array}.
`python3 dev/gpt2_numpy.py` tests the backward by finite differences. Debian: apt-get install python3-numpy.
"""
import math

import numpy as np

MAGIC_MODEL, MAGIC_EXAMPLES = 20240326, 20260507
SIZES = ["T", "V", "L", "H", "C", "Vp", "head"]


def tensors(c):
    """Names, shapes (the first axis of a block's tensor is the block) and whether it is decayed, in the order of llm.c's file."""
    L, C, V, T = c["L"], c["C"], c["Vp"], c["T"]
    head = [("headw", (C,), 0), ("headb", (1,), 0)] if c.get("head") else []
    return [("wte", (V, C), 1), ("wpe", (T, C), 1), ("ln1w", (L, C), 0), ("ln1b", (L, C), 0),
            ("qkvw", (L, 3 * C, C), 1), ("qkvb", (L, 3 * C), 0), ("attprojw", (L, C, C), 1), ("attprojb", (L, C), 0),
            ("ln2w", (L, C), 0), ("ln2b", (L, C), 0), ("fcw", (L, 4 * C, C), 1), ("fcb", (L, 4 * C), 0),
            ("fcprojw", (L, C, 4 * C), 1), ("fcprojb", (L, C), 0), ("lnfw", (C,), 0), ("lnfb", (C,), 0)] + head


def count(c):
    return sum(math.prod(shape) for _, shape, _ in tensors(c))


def split(c, flat):
    """{name: array} of numbers laid out as in a file; of several such rows with one more axis in front."""
    parts, begin = {}, 0
    for name, shape, _ in tensors(c):
        parts[name] = flat[..., begin : begin + math.prod(shape)].reshape(*flat.shape[:-1], *shape)
        begin += math.prod(shape)
    return parts


def read_model(path):
    with open(path, "rb") as f:
        header = np.fromfile(f, "<i4", 256)
        assert header[0] == MAGIC_MODEL and header[1] == 3, path
        c = dict(zip(SIZES, map(int, header[2:9])))
        flat = np.fromfile(f, "<f4")
    assert len(flat) == count(c), f"{path} holds {len(flat)} numbers, its header says {count(c)}"
    return c, split(c, flat.astype("f8"))


def write_model(path, c, w):
    header = np.zeros(256, "<i4")
    header[:9] = [MAGIC_MODEL, 3] + [c.get(name, 0) for name in SIZES]
    with open(path, "wb") as f:
        header.tofile(f)
        for name, shape, _ in tensors(c):
            f.write(np.asarray(w[name]).astype("<f4").tobytes())


def random_model(c, rng, size=0.3):
    """Weights so large that every part of the model matters, layer normalisations about 1; numbers that a file can hold."""
    return {name: (size * rng.standard_normal(shape) + (name in ("ln1w", "ln2w", "lnfw"))).astype("f4").astype("f8")
            for name, shape, _ in tensors(c)}


def write_examples(path, tokens, mask, vocab, kind=0, tokenizer=2):
    header = np.zeros(256, "<i4")
    header[:7] = [MAGIC_EXAMPLES, 1, len(tokens), mask.shape[1], vocab, kind, tokenizer]
    with open(path, "wb") as f:
        header.tofile(f)
        f.write(tokens.astype("<u2").tobytes())
        f.write(mask.astype("u1").tobytes())


# ------------------------------------------------------------------------------------------------
# Layers. Activations are (B,T,.); gradients of weights are of each row: (B, ...).

def normalise(x, weight, bias):
    xhat = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((xhat**2).mean(-1, keepdims=True) + 1e-5)
    xhat = xhat * rstd

    def backward(dy):
        dxhat = dy * weight
        dx = rstd * (dxhat - dxhat.mean(-1, keepdims=True) - xhat * (dxhat * xhat).mean(-1, keepdims=True))
        return dx, (dy * xhat).sum(1), dy.sum(1)
    return xhat * weight + bias, backward


def linear(x, weight, bias):
    def backward(dy):
        return dy @ weight, np.einsum("bto,btc->boc", dy, x), dy.sum(1)
    return x @ weight.T + bias, backward


def gelu(x):
    scale = math.sqrt(2 / math.pi)
    th = np.tanh(scale * (x + 0.044715 * x**3))
    slope = 0.5 * (1 + th) + 0.5 * x * (1 - th**2) * scale * (1 + 3 * 0.044715 * x**2)
    return 0.5 * x * (1 + th), lambda dy: dy * slope


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(qkv, heads):
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = (part.reshape(B, T, heads, C // heads).transpose(0, 2, 1, 3) for part in np.split(qkv, 3, 2))
    scale = 1 / math.sqrt(C // heads)
    p = softmax(np.where(np.triu(np.ones((T, T), bool), 1), -np.inf, scale * q @ k.swapaxes(2, 3)))
    merge = lambda x: x.transpose(0, 2, 1, 3).reshape(B, T, C)

    def backward(dy):
        dy = dy.reshape(B, T, heads, C // heads).transpose(0, 2, 1, 3)
        dp = dy @ v.swapaxes(2, 3)
        ds = scale * p * (dp - (p * dp).sum(-1, keepdims=True))
        return np.concatenate([merge(ds @ k), merge(ds.swapaxes(2, 3) @ q), merge(p.swapaxes(2, 3) @ dy)], 2)
    return merge(p @ v), backward


class Pass:
    """A forward of the inputs (B,T): logits (B,T,V), and values (B,T) of a model with a head."""

    def __init__(self, c, w, inputs):
        self.c, self.w, self.inputs = c, w, inputs
        self.blocks = []
        x = w["wte"][inputs] + w["wpe"][: inputs.shape[1]]
        for l in range(c["L"]):
            part = lambda name: (w[name + "w"][l], w[name + "b"][l])
            h, ln1 = normalise(x, *part("ln1"))
            h, qkv = linear(h, *part("qkv"))
            h, att = attention(h, c["H"])
            h, attproj = linear(h, *part("attproj"))
            x = x + h
            h, ln2 = normalise(x, *part("ln2"))
            h, fc = linear(h, *part("fc"))
            h, act = gelu(h)
            h, fcproj = linear(h, *part("fcproj"))
            x = x + h
            self.blocks.append((ln1, qkv, att, attproj, ln2, fc, act, fcproj))
        self.last, self.lnf = normalise(x, w["lnfw"], w["lnfb"])
        self.logits = self.last @ w["wte"][: c["V"]].T
        self.values = self.last @ w["headw"] + w["headb"] if c.get("head") else None

    def logp(self, targets):
        """log-probabilities (B,T) of the targets."""
        top = self.logits.max(-1, keepdims=True)
        norm = (top + np.log(np.exp(self.logits - top).sum(-1, keepdims=True)))[..., 0]
        return np.take_along_axis(self.logits, targets[..., None], 2)[..., 0] - norm

    def gradients(self, targets, dlogp, dvalue=None):
        """(B, number of parameters), laid out as in a file: of each row b that of sum_t dlogp logp(target) + dvalue value."""
        c, w, (B, T) = self.c, self.w, self.inputs.shape
        flat = np.zeros((B, count(c)))
        g = split(c, flat)
        dlogits = dlogp[..., None] * (np.eye(c["V"])[targets] - softmax(self.logits))
        g["wte"][:, : c["V"]] += np.einsum("btv,btc->bvc", dlogits, self.last)
        dx = dlogits @ w["wte"][: c["V"]]
        if dvalue is not None:
            g["headw"] += np.einsum("bt,btc->bc", dvalue, self.last)
            g["headb"] += dvalue.sum(1, keepdims=True)
            dx = dx + dvalue[..., None] * w["headw"]
        dx, g["lnfw"][:], g["lnfb"][:] = self.lnf(dx)
        for l in reversed(range(c["L"])):
            ln1, qkv, att, attproj, ln2, fc, act, fcproj = self.blocks[l]

            def back(name, layer, dy):
                dh, g[name + "w"][:, l], g[name + "b"][:, l] = layer(dy)
                return dh
            dx = dx + back("ln2", ln2, back("fc", fc, act(back("fcproj", fcproj, dx))))
            dx = dx + back("ln1", ln1, back("qkv", qkv, att(back("attproj", attproj, dx))))
        for b in range(B):
            np.add.at(g["wte"][b], self.inputs[b], dx[b])
            g["wpe"][b, :T] += dx[b]
        return flat


# ------------------------------------------------------------------------------------------------

def self_test():
    """Along a random direction the scalar changes by the gradient, of every row and tensor."""
    rng = np.random.default_rng(3)
    c = dict(L=2, H=2, C=8, V=11, Vp=16, T=7, head=1)
    w = random_model(c, rng)
    inputs, targets = rng.integers(0, c["V"], (2, 3, 6))
    dlogp, dvalue = rng.standard_normal((2, 3, 6))
    scalar = lambda w: (lambda p: (dlogp * p.logp(targets) + dvalue * p.values).sum(1))(Pass(c, w, inputs))
    got = split(c, Pass(c, w, inputs).gradients(targets, dlogp, dvalue))
    for name, shape, _ in tensors(c):
        v, h = rng.standard_normal(shape), 1e-5
        slope = (scalar({**w, name: w[name] + h * v}) - scalar({**w, name: w[name] - h * v})) / (2 * h)
        want = (got[name] * v).reshape(3, -1).sum(1)
        assert np.abs(slope - want).max() <= 1e-7 * np.abs(want).max(), f"{name}: {slope} is not {want}"


if __name__ == "__main__":
    self_test()
    print("the backward is the derivative of the forward")
