# torch_forms.py — what a PyTorch user would write for each mixer, x [B,T,D] -> [B,T,D], and the plain
# recurrence each of them must agree with before it is timed.
# SPDX-License-Identifier: MIT
import math

import torch
import torch.nn.functional as F
from torch import nn


def log_g(x):
    """log of g(x) = x + 0.5 for x >= 0, sigmoid(x) below (paper, appendix B)."""
    return torch.where(x >= 0, (F.relu(x) + 0.5).log(), -F.softplus(-x))


def g(x):
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


def scan_log(log_keep, log_add):
    """h_t = keep_t h_{t-1} + add_t from logarithms, all steps at once; h_0 = 0."""
    total = log_keep.cumsum(1)
    return (total + torch.logcumsumexp(log_add - total, 1)).exp()


def recurrence(keep, add):
    h, states = torch.zeros_like(add[:, 0]), []
    for t in range(add.shape[1]):
        h = keep[:, t] * h + add[:, t]
        states.append(h)
    return torch.stack(states, 1)


class MinGRU(nn.Module):
    """The log-space form of the paper, in PyTorch operations."""

    def __init__(self, width):
        super().__init__()
        self.inward, self.out = nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x):
        c, k = self.inward(x).chunk(2, -1)
        return self.out(scan_log(-F.softplus(k), log_g(c) - F.softplus(-k)))

    def plain(self, x):
        c, k = self.inward(x).chunk(2, -1)
        z = torch.sigmoid(k)
        return self.out(recurrence(1 - z, z * g(c)))


class MinLSTM(nn.Module):
    """The same for minLSTM with gates that sum to 1."""

    def __init__(self, width):
        super().__init__()
        self.inward, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        c, kf, ki = self.inward(x).chunk(3, -1)
        diff = F.softplus(-kf) - F.softplus(-ki)
        return self.out(scan_log(-F.softplus(diff), log_g(c) - F.softplus(-diff)))

    def plain(self, x):
        c, kf, ki = self.inward(x).chunk(3, -1)
        f, i = torch.sigmoid(kf), torch.sigmoid(ki)
        return self.out(recurrence(f / (f + i), i / (f + i) * g(c)))


class Recurrent(nn.Module):
    """nn.GRU or nn.LSTM over the whole sequence."""

    def __init__(self, kind, width):
        super().__init__()
        self.cell, self.out = kind(width, width, batch_first=True), nn.Linear(width, width)

    def forward(self, x):
        return self.out(self.cell(x)[0])

    def plain(self, x):
        p, w = dict(self.cell.named_parameters()), x.shape[-1]
        h, c, states = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            a = F.linear(x[:, t], p["weight_ih_l0"], p["bias_ih_l0"]).split(w, -1)
            u = F.linear(h, p["weight_hh_l0"], p["bias_hh_l0"]).split(w, -1)
            if isinstance(self.cell, nn.GRU):
                r, z = torch.sigmoid(a[0] + u[0]), torch.sigmoid(a[1] + u[1])
                h = (1 - z) * torch.tanh(a[2] + r * u[2]) + z * h
            else:
                i, f, o = (torch.sigmoid(a[n] + u[n]) for n in (0, 1, 3))
                c = f * c + i * torch.tanh(a[2] + u[2])
                h = o * torch.tanh(c)
            states.append(h)
        return self.out(torch.stack(states, 1))


class CellLoop(nn.Module):
    """nn.GRUCell or nn.LSTMCell in a Python loop over steps, as the paper timed."""

    def __init__(self, kind, whole, width):
        super().__init__()
        self.cell, self.out = kind(width, width), nn.Linear(width, width)
        self.whole = Recurrent(whole, width)
        for (_, mine), (_, theirs) in zip(self.cell.named_parameters(),
                                          self.whole.cell.named_parameters()):
            theirs.data = mine.data
        self.whole.out = self.out

    def forward(self, x):
        state, states = None, []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            states.append(state[0] if isinstance(state, tuple) else state)
        return self.out(torch.stack(states, 1))

    def plain(self, x):
        return self.whole(x)


class Attention(nn.Module):
    """Causal attention; PyTorch's fused form where this version has it."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.inward, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def split(self, x):
        batch, steps, width = x.shape
        return (part.reshape(batch, steps, self.heads, width // self.heads).transpose(1, 2)
                for part in self.inward(x).chunk(3, -1))

    def forward(self, x):
        if not hasattr(F, "scaled_dot_product_attention"):
            return self.plain(x)
        q, k, v = self.split(x)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(x.shape))

    def plain(self, x):
        q, k, v = self.split(x)
        score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        past = torch.ones(score.shape[-2:], dtype=torch.bool, device=x.device).tril()
        y = score.masked_fill(~past, -math.inf).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(x.shape))


def heads_of(width):
    """The head count that baselines/transformer.c takes by default."""
    return max(n for n in range(1, 7) if width % n == 0)


# name: (our model, how to make it from the width, whether torch.compile is used)
FORMS = {
    "nn.GRU": ("gru", lambda w: Recurrent(nn.GRU, w), False),
    "nn.LSTM": ("lstm", lambda w: Recurrent(nn.LSTM, w), False),
    "nn.GRUCell loop": ("gru", lambda w: CellLoop(nn.GRUCell, nn.GRU, w), False),
    "nn.LSTMCell loop": ("lstm", lambda w: CellLoop(nn.LSTMCell, nn.LSTM, w), False),
    "minGRU log space": ("mingru", MinGRU, False),
    "minLSTM log space": ("minlstm", MinLSTM, False),
    "minGRU log space, compiled": ("mingru", MinGRU, True),
    "minLSTM log space, compiled": ("minlstm", MinLSTM, True),
    "attention": ("transformer", lambda w: Attention(w, heads_of(w)), False),
}
