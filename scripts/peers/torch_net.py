# torch_net.py — the whole network of a language model as a PyTorch user would write it: embedding,
# blocks, norm and head as results/README.md describes them, with mixers made of PyTorch's own layers or
# the published log-space form. SPDX-License-Identifier: MIT
#
# Loss and gradients are this program's (time_steps.py compares them). What differs: nn.LSTM's second
# bias is there but stays zero, and dropout draws other elements.
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch_forms import heads_of, log_g

# Our names of parameters that PyTorch's recurrent layers call otherwise.
RECURRENT = {"inward.weight": "cell.weight_ih_l0", "inward.bias": "cell.bias_ih_l0",
             "u.weight": "cell.weight_hh_l0", "u.bias": "cell.bias_hh_l0"}


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.gain


class Conv(nn.Module):
    """Causal depthwise convolution, then a pointwise layer."""

    def __init__(self, s):
        super().__init__()
        self.taps = s.conv
        self.depthwise = nn.Conv1d(s.width, s.width, s.conv, groups=s.width)
        self.pointwise = nn.Linear(s.width, s.width)

    def forward(self, x):
        y = self.depthwise(F.pad(x.transpose(1, 2), (self.taps - 1, 0)))
        return self.pointwise(y.transpose(1, 2))


class Mlp(nn.Module):
    """norm, then geglu between two layers."""

    def __init__(self, s):
        super().__init__()
        self.norm = RMSNorm(s.width)
        self.inward, self.out = nn.Linear(s.width, 4 * s.width), nn.Linear(2 * s.width, s.width)

    def forward(self, x):
        a, b = self.inward(self.norm(x)).chunk(2, -1)
        return self.out(a * F.gelu(b))


def scan(log_keep, log_add, h0):
    """h_t = keep_t h_{t-1} + add_t from logarithms, all steps at once; h0 [H] is log_g of the state."""
    start = log_g(h0).expand(log_add.shape[0], 1, -1)
    total = F.pad(log_keep.cumsum(1), (0, 0, 1, 0))
    return (total + torch.logcumsumexp(torch.cat([start, log_add], 1) - total, 1)).exp()[:, 1:]


class MinGRU(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.norm, self.h0 = RMSNorm(s.width), nn.Parameter(torch.zeros(s.hidden))
        self.inward, self.out = nn.Linear(s.width, 2 * s.hidden), nn.Linear(s.hidden, s.width)

    def forward(self, x):
        c, k = self.inward(self.norm(x)).chunk(2, -1)
        return self.out(scan(-F.softplus(k), log_g(c) - F.softplus(-k), self.h0))


class MinLSTM(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.norm, self.h0 = RMSNorm(s.width), nn.Parameter(torch.zeros(s.hidden))
        self.inward, self.out = nn.Linear(s.width, 3 * s.hidden), nn.Linear(s.hidden, s.width)

    def forward(self, x):
        c, kf, ki = self.inward(self.norm(x)).chunk(3, -1)
        diff = F.softplus(-kf) - F.softplus(-ki)
        return self.out(scan(-F.softplus(diff), log_g(c) - F.softplus(-diff), self.h0))


class Recurrent(nn.Module):
    """nn.GRU or nn.LSTM over the whole sequence, from learned states."""

    def __init__(self, kind, s):
        super().__init__()
        self.norm, self.h0 = RMSNorm(s.width), nn.Parameter(torch.zeros(s.hidden))
        self.cell = kind(s.width, s.hidden, batch_first=True)
        self.out = nn.Linear(s.hidden, s.width)
        if kind is nn.LSTM:
            self.c0 = nn.Parameter(torch.zeros(s.hidden))
            self.cell.bias_hh_l0 = nn.Parameter(torch.zeros(4 * s.hidden), requires_grad=False)

    def forward(self, x):
        start = [p.expand(1, x.shape[0], -1).contiguous()
                 for p in (self.h0, getattr(self, "c0", None)) if p is not None]
        h, _ = self.cell(self.norm(x), start[0] if len(start) == 1 else tuple(start))
        return self.out(h)


class Attention(nn.Module):
    """Causal attention; PyTorch's fused form where this version has it."""

    def __init__(self, s):
        super().__init__()
        self.norm, self.heads = RMSNorm(s.width), heads_of(s.width)
        self.inward, self.out = nn.Linear(s.width, 3 * s.width), nn.Linear(s.width, s.width)

    def forward(self, x):
        batch, steps, width = x.shape
        q, k, v = (part.reshape(batch, steps, self.heads, width // self.heads).transpose(1, 2)
                   for part in self.inward(self.norm(x)).chunk(3, -1))
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            past = torch.ones(steps, steps, dtype=torch.bool, device=x.device).tril()
            score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            y = score.masked_fill(~past, -math.inf).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(x.shape))


MIXERS = {"mingru": MinGRU, "minlstm": MinLSTM, "gru": lambda s: Recurrent(nn.GRU, s),
          "lstm": lambda s: Recurrent(nn.LSTM, s), "transformer": Attention}


class Block(nn.Module):
    def __init__(self, model, s):
        super().__init__()
        self.conv = Conv(s) if s.conv > 0 else None
        self.mixer, self.mlp, self.dropout = MIXERS[model](s), Mlp(s), s.dropout

    def forward(self, x):
        if self.conv is not None:
            x = x + self.conv(x)
        x = x + F.dropout(self.mixer(x), self.dropout, self.training)
        return x + F.dropout(self.mlp(x), self.dropout, self.training)


class Net(nn.Module):
    """Settings s: length, width, hidden, layers, conv, dropout. Gives the loss of tokens and labels."""

    def __init__(self, model, vocab, s):
        super().__init__()
        self.embed = nn.Embedding(vocab, s.width)
        self.position = nn.Embedding(s.length, s.width) if model == "transformer" else None
        self.block = nn.ModuleList(Block(model, s) for _ in range(s.layers))
        self.norm, self.head = RMSNorm(s.width), nn.Linear(s.width, vocab, bias=False)

    def forward(self, token, label):
        x = self.embed(token)
        if self.position is not None:
            x = x + self.position.weight
        for block in self.block:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), label.flatten())

    def named_as_ours(self):
        """Trainable parameters under the names that results/README.md gives them."""
        ours = {}
        for name, p in self.named_parameters():
            for mine, theirs in RECURRENT.items():
                name = name.replace("mixer." + theirs, "mixer." + mine)
            if p.requires_grad:
                ours[name.replace("inward.", "in.")] = p
        return ours


def optimizer(net, device):
    """AdamW as the experiment has it: matrices decay, vectors do not."""
    some = [p for p in net.parameters() if p.requires_grad]
    groups = [{"params": [p for p in some if p.dim() >= 2], "weight_decay": 0.1},
              {"params": [p for p in some if p.dim() < 2], "weight_decay": 0.0}]
    fused = {"fused": True} if device == "cuda" and torch.__version__ >= "2" else {}
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, **fused)
