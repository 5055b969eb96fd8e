#!/usr/bin/python3
# torch_check.py — rebuilds the network of a dump (minrnn dump) in PyTorch, as results/README.md
# describes it, and compares loss, outputs and the gradient of every parameter.
#   torch_check.py [--verbose] DUMP.h5 ...
# Needs Debian's python3-torch and python3-h5py. Exit codes: 0 all agree, 1 some do not, 2 a file
# that cannot be used.
# SPDX-License-Identifier: MIT
import argparse
import math
import sys

try:
    import h5py
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    sys.exit(f"torch_check.py: {error}; it needs Debian's python3-torch, python3-h5py and "
             "/usr/bin/python3")

# Largest difference of an output or the loss; largest norm of a gradient's difference / its norm.
OUTPUT_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
# A gradient that is mathematically zero has rounding errors only: its norm counts at least as this
# share of the norm of all gradients together.
GRADIENT_FLOOR = 1e-5


class Unusable(Exception):
    """A file that cannot be used, with one sentence that says why."""


# ---- Reading --------------------------------------------------------------------------------------


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


class Dump:
    """Config, batch, parameters and results of one file."""

    def __init__(self, path):
        self.path = path
        self.used = set()
        try:
            self.check_seal()
            with h5py.File(path, "r") as f:
                self.read(f)
        except KeyError as error:
            raise Unusable(f"{path} is no whole dump: {error.args[0]}") from error
        except OSError as error:
            raise Unusable(f"{path} cannot be read: {error}") from error

    def check_seal(self):
        """The line that ends a whole file; h5py itself reads some files that are cut off."""
        with open(self.path, "rb") as f:
            if f.read(8) != b"\x89HDF\r\n\x1a\n":
                raise Unusable(f"{self.path} is not an HDF5 file")
            f.seek(0, 2)
            f.seek(max(0, f.tell() - 29))
            if not f.read().startswith(b"minrnn-seal "):
                raise Unusable(f"{self.path} is cut off: the seal that ends it is missing")

    def read(self, f):
        schema = text(f.attrs["schema"]) if "schema" in f.attrs else "unknown"
        if schema != "minrnn-dump 1":
            raise Unusable(f"{self.path} is no dump: its schema is {schema}, not minrnn-dump 1")
        self.config = {key: text(value) for key, value in f["config"].attrs.items()}
        self.start = int(f.attrs["from"])
        self.hidden = int(f.attrs["hidden"])
        self.loss_kind = text(f.attrs["loss_kind"])
        if int(f.attrs["dropout_drawn"]) != 0:
            raise Unusable(f"{self.path} was made with dropout, whose masks cannot be rebuilt")
        self.batch = {name: torch.tensor(data[()]) for name, data in f["batch"].items()}
        self.params = {name: torch.nn.Parameter(torch.tensor(data[()]))
                       for name, data in f["params"].items()}
        self.grads = {name: torch.tensor(data[()]) for name, data in f["grads"].items()}
        self.y = torch.tensor(f["y"][()])
        self.loss = float(f["loss"][()])

    def key(self, name):
        if name not in self.config:
            raise Unusable(f"{self.path} is no whole dump: its config has no key {name}")
        return self.config[name]

    def number(self, name):
        return float(self.key(name))

    def param(self, name, *shape):
        """The parameter of that name, which must have that shape."""
        if name not in self.params:
            raise Unusable(f"{self.path}: model {self.key('model')} has a parameter {name}, the "
                           "dump has none")
        value = self.params[name]
        if tuple(value.shape) != shape:
            raise Unusable(f"{self.path}: parameter {name} is {list(value.shape)}, but model "
                           f"{self.key('model')} has it as {list(shape)}")
        self.used.add(name)
        return value

    def check_all_used(self):
        for name in self.params:
            if name not in self.used:
                raise Unusable(f"{self.path}: model {self.key('model')} has no parameter {name}")
            if name not in self.grads:
                raise Unusable(f"{self.path}: the gradient of {name} is missing")


class Scope:
    """Parameters whose names begin alike, and the sizes of one mixer."""

    def __init__(self, dump, prefix):
        self.dump, self.prefix = dump, prefix
        self.D, self.H = int(dump.number("width")), dump.hidden

    def __call__(self, name, *shape):
        return self.dump.param(self.prefix + name, *shape)

    def option(self, key):
        return self.dump.key(f"{self.dump.key('model')}.{key}")

    def linear(self, name, x, m, bias=True):
        k = x.shape[-1]
        return F.linear(x, self(name + ".weight", m, k), self(name + ".bias", m) if bias else None)

    def initial(self, name, batch, positive=False):
        """[B,H]: zeros, or the learned vector."""
        if self.dump.key("h0") == "zero":
            return torch.zeros(batch, self.H)
        p = self(name, self.H)
        return (g(p) if positive else p).expand(batch, self.H)


# ---- Mixers: x [B,T,D] -> [B,T,D] -------------------------------------------------------------------


def g(x):
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


def causal_conv(x, weight, bias):
    """y_t = bias + sum_k weight[:,k] x_{t-K+1+k}; x [B,T,C], weight [C,K]."""
    past = F.pad(x.transpose(1, 2), (weight.shape[1] - 1, 0))
    return F.conv1d(past, weight[:, None], bias, groups=x.shape[-1]).transpose(1, 2)


def recurrence(keep, add, h):
    """h_t = keep_t h_{t-1} + add_t; time is dimension 1."""
    states = []
    for t in range(keep.shape[1]):
        h = keep[:, t] * h + add[:, t]
        states.append(h)
    return torch.stack(states, 1)


def mingru(p, x):
    c, k = p.linear("in", x, 2 * p.H).split(p.H, -1)
    z = torch.sigmoid(k)
    h = recurrence(1 - z, z * g(c), p.initial("h0", x.shape[0], True))
    return p.linear("out", h, p.D)


def minlstm(p, x):
    c, kf, ki = p.linear("in", x, 3 * p.H).split(p.H, -1)
    f, i = torch.sigmoid(kf), torch.sigmoid(ki)
    if float(p.option("normalise")) != 0:
        f, i = f / (f + i), i / (f + i)
    h = recurrence(f, i * g(c), p.initial("h0", x.shape[0], True))
    return p.linear("out", h, p.D)


def gru_before(p, x):
    """Reset gate before the recurrent product, which nn.GRU does not have."""
    xw = p.linear("in", x, 3 * p.H)
    u, b = p("u.weight", 3 * p.H, p.H), p("u.bias", 3 * p.H)
    h = p.initial("h0", x.shape[0])
    states = []
    for t in range(x.shape[1]):
        xr, xz, xn = xw[:, t].split(p.H, -1)
        r = torch.sigmoid(xr + F.linear(h, u[:p.H], b[:p.H]))
        z = torch.sigmoid(xz + F.linear(h, u[p.H:2 * p.H], b[p.H:2 * p.H]))
        n = torch.tanh(xn + F.linear(r * h, u[2 * p.H:], b[2 * p.H:]))
        h = (1 - z) * n + z * h
        states.append(h)
    return torch.stack(states, 1)


def gru(p, x):
    # gru_vendor has the one form only.
    if p.dump.config.get(f"{p.dump.key('model')}.reset") == "before":
        return p.linear("out", gru_before(p, x), p.D)
    cell = torch.nn.GRU(p.D, p.H, batch_first=True)
    cell.weight_ih_l0 = p("in.weight", 3 * p.H, p.D)
    cell.bias_ih_l0 = p("in.bias", 3 * p.H)
    cell.weight_hh_l0 = p("u.weight", 3 * p.H, p.H)
    cell.bias_hh_l0 = p("u.bias", 3 * p.H)
    h, _ = cell(x, p.initial("h0", x.shape[0])[None].contiguous())
    return p.linear("out", h, p.D)


def lstm(p, x):
    cell = torch.nn.LSTM(p.D, p.H, batch_first=True)
    cell.weight_ih_l0 = p("in.weight", 4 * p.H, p.D)
    cell.bias_ih_l0 = p("in.bias", 4 * p.H)
    cell.weight_hh_l0 = p("u.weight", 4 * p.H, p.H)
    cell.bias_hh_l0 = torch.nn.Parameter(torch.zeros(4 * p.H), requires_grad=False)
    start = [p.initial(name, x.shape[0])[None].contiguous() for name in ("h0", "c0")]
    h, _ = cell(x, tuple(start))
    return p.linear("out", h, p.D)


def transformer(p, x):
    heads = int(float(p.option("heads")))
    if heads == 0:
        heads = max(n for n in range(1, 7) if p.D % n == 0)
    batch, steps, d = x.shape[0], x.shape[1], p.D // heads
    q, k, v = (part.reshape(batch, steps, heads, d).transpose(1, 2)
               for part in p.linear("in", x, 3 * p.D).split(p.D, -1))
    score = q @ k.transpose(-1, -2) / math.sqrt(d)
    past = torch.ones(steps, steps, dtype=torch.bool).tril()
    y = score.masked_fill(~past, -math.inf).softmax(-1) @ v
    return p.linear("out", y.transpose(1, 2).reshape(batch, steps, p.D), p.D)


def mamba(p, x):
    E, N, taps = p.H, int(float(p.option("state"))), int(float(p.option("conv")))
    R = (p.D + 15) // 16
    u, z = p.linear("in", x, 2 * E, bias=False).split(E, -1)
    u = F.silu(causal_conv(u, p("conv.weight", E, taps), p("conv.bias", E)))
    d, b, c = p.linear("x", u, R + 2 * N, bias=False).split([R, N, N], -1)
    delta = F.softplus(p.linear("dt", d, E))
    A = -p("a_log", E, N).exp()
    keep = torch.exp(delta[..., None] * A)                     # [B,T,E,N]
    add = (delta * u)[..., None] * b[:, :, None]               # [B,T,E,N]
    h = recurrence(keep, add, torch.zeros(x.shape[0], E, N))
    y = (h * c[:, :, None]).sum(-1) + p("skip", E) * u
    return p.linear("out", y * F.silu(z), p.D, bias=False)


def memoryless(p, x):
    return p.linear("out", F.gelu(p.linear("in", x, p.H)), p.D)


MIXERS = {
    "mingru": mingru, "mingru_smallops": mingru,
    "minlstm": minlstm, "minlstm_smallops": minlstm,
    "gru": gru, "gru_loop": gru, "gru_vendor": gru,
    "lstm": lstm, "lstm_loop": lstm, "lstm_vendor": lstm,
    "transformer": transformer, "mamba": mamba, "mlp": memoryless,
}

# ---- The scaffold ------------------------------------------------------------------------------------


def norm(p, x):
    if p.dump.key("norm") == "layernorm":
        return F.layer_norm(x, (p.D,), p("norm.gain", p.D), p("norm.bias", p.D), 1e-5)
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * p("norm.gain", p.D)


def conv(p, x, taps):
    """Causal depthwise convolution, then a pointwise layer."""
    y = causal_conv(x, p("depthwise.weight", p.D, taps), p("depthwise.bias", p.D))
    return p.linear("pointwise", y, p.D)


def mlp(p, x):
    hidden = max(1, math.floor(p.dump.number("mlp_mult") * p.D + 0.5))
    y = norm(p, x)
    if p.dump.key("mlp") == "geglu":
        a, b = p.linear("in", y, 2 * hidden).split(hidden, -1)
        return p.linear("out", a * F.gelu(b), p.D)
    return p.linear("out", F.gelu(p.linear("in", y, hidden)), p.D)


def embed(dump, top, width):
    """[B,T,D]: the sum of what there is of tokens, parts of the values, and values as a whole."""
    x, at, part = 0, 0, 0
    while f"embed.{part}.weight" in dump.params:
        n = dump.params[f"embed.{part}.weight"].shape[1]
        x = x + F.linear(dump.batch["value"][..., at:at + n],
                         dump.param(f"embed.{part}.weight", width, n))
        at, part = at + n, part + 1
    if "value" in dump.batch and part == 0:
        x = x + top.linear("embed", dump.batch["value"], width)
    if "token" in dump.batch:
        vocab = dump.params["embed.weight"].shape[0] if "embed.weight" in dump.params else 0
        x = x + F.embedding(dump.batch["token"].long(), dump.param("embed.weight", vocab, width))
    return norm(Scope(dump, "embed."), x) if "embed.norm.gain" in dump.params else x


def network(dump):
    """Outputs [B,T_out,out_dim]."""
    model = dump.key("model")
    if model not in MIXERS:
        raise Unusable(f"{dump.path}: model {model} is none that torch_check.py knows; it knows "
                       f"{', '.join(sorted(MIXERS))}")
    top, width = Scope(dump, ""), int(dump.number("width"))
    x = embed(dump, top, width)
    if model == "transformer" and top.option("positions") == "learned":
        context = int(float(top.option("context"))) or x.shape[1]
        x = x + top("position.weight", context, width)[:x.shape[1]]
    for layer in range(int(dump.number("layers"))):
        block = f"block.{layer}."
        if dump.number("conv") > 0:
            x = x + conv(Scope(dump, block + "conv."), x, int(dump.number("conv")))
        mixer = Scope(dump, block + "mixer.")
        x = x + MIXERS[model](mixer, norm(mixer, x))
        if dump.key("mlp") != "none":
            x = x + mlp(Scope(dump, block + "mlp."), x)
    x = norm(top, x[:, dump.start:])
    if "head.bias" in dump.params:
        return torch.tanh(top.linear("head", x, dump.y.shape[-1]))
    return top.linear("head", x, dump.y.shape[-1], bias=False)


def loss_of(dump, y):
    if dump.loss_kind == "cross_entropy":
        return F.cross_entropy(y.flatten(0, 1), dump.batch["label"].long().flatten(),
                               ignore_index=-1)
    weight = dump.batch["weight"]
    off = (y - dump.batch["target"]).square().sum(-1)
    return (weight * off).sum() / (y.shape[-1] * weight.sum())


# ---- Comparison --------------------------------------------------------------------------------------


def setting(dump):
    """The model, its options, and what of the scaffold is not the default."""
    model = dump.key("model")
    words = [f"{key.split('.', 1)[1]}={value}" for key, value in sorted(dump.config.items())
             if key.startswith(model + ".")]
    plain = {"conv": "0", "mlp": "none", "norm": "rmsnorm", "h0": "learned"}
    words += [f"{key}={dump.key(key)}" for key, value in plain.items() if dump.key(key) != value]
    return model, " ".join(words)


def worst_gradient(dump, verbose):
    """(relative difference, name) of the gradient that is furthest off."""
    whole = math.sqrt(sum(float(p.grad.double().square().sum()) for p in dump.params.values()))
    rows = []
    for name, p in dump.params.items():
        off = float((dump.grads[name].double() - p.grad.double()).norm())
        rows.append((off / max(float(p.grad.double().norm()), GRADIENT_FLOOR * whole), name))
    for row in sorted(rows, reverse=True) if verbose else []:
        print(f"    {row[0]:9.2e}  {row[1]}")
    return max((row for row in rows), key=lambda r: math.inf if math.isnan(r[0]) else r[0])


def compare(dump, verbose):
    y = network(dump)
    dump.check_all_used()
    if y.shape != dump.y.shape:
        raise Unusable(f"{dump.path}: y is {list(dump.y.shape)}, but the network gives "
                       f"{list(y.shape)}")
    loss = loss_of(dump, y)
    loss.backward()
    loss_off = abs(float(loss.detach()) - dump.loss)
    y_off = float((y.detach() - dump.y).abs().max())
    grad_off, name = worst_gradient(dump, verbose)
    good = (loss_off <= OUTPUT_TOLERANCE and y_off <= OUTPUT_TOLERANCE and
            grad_off <= GRADIENT_TOLERANCE)
    model, words = setting(dump)
    print(f"{model:17} {words:70} {loss_off:9.2e} {y_off:9.2e} {grad_off:9.2e}  {name:28} "
          f"{'ok' if good else 'FAILED'}")
    return good


def main():
    parser = argparse.ArgumentParser(description="Compares dumps with PyTorch.")
    parser.add_argument("--verbose", action="store_true", help="every gradient, not the worst alone")
    parser.add_argument("dump", nargs="+", help="file of minrnn dump")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'model':17} {'setting':70} {'loss':>9} {'outputs':>9} {'gradient':>9}  "
          f"{'of':28} verdict")
    good, usable = 0, 0
    for path in args.dump:
        try:
            good += compare(Dump(path), args.verbose)
            usable += 1
        except Unusable as problem:
            print(f"torch_check.py: {problem}", file=sys.stderr)
    print(f"{good} of {len(args.dump)} agree with PyTorch {torch.__version__}: loss and outputs "
          f"within {OUTPUT_TOLERANCE:g}, gradients within {GRADIENT_TOLERANCE:g} of their norm")
    return 2 if usable < len(args.dump) else int(good < usable)


if __name__ == "__main__":
    sys.exit(main())
