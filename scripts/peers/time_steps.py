#!/usr/bin/python3
# time_steps.py — times the whole training step of character models (forward, loss, backward, clip,
# AdamW) here and in PyTorch, turn by turn; the paper's Shakespeare network by default.
#   time_steps.py --file=TEXT [--model=mingru,...] [--forms=eager,compiled,graphs] [--batch=64]
#                 [--length=256] [--width=384] [--layers=3] [--dropout=0.2] [--device=cpu|cuda]
#                 [--math=f32|tf32] [--threads=N] [--rounds=3] [--samples=5] [--out=FILE.tsv]
# Forms: eager; compiled, torch.compile; graphs, the same with mode=reduce-overhead, which replays CUDA
# graphs as this program does. Default: eager on the CPU, compiled on CUDA. Before a network is timed,
# loss and every gradient of a small one must be those of `minrnn dump` (needs python3-h5py; the table
# says where it was missing). torch_net.py says what differs. A row is printed and FILE.tsv written anew
# as each model ends; --rounds=0 compares and times nothing. The program is $MINRNN, or build/minrnn.
# Exit codes: 0 all timed, 1 a network disagrees or the program fails, 2 wrong use.
# SPDX-License-Identifier: MIT
import argparse
import importlib.util
import os
import shlex
import sys
import tempfile
import time

try:
    import torch
    import timing
    from torch_net import MIXERS, Net, optimizer
except ImportError as error:
    print(f"time_steps.py: {error}; install it with scripts/setup.sh --peers", file=sys.stderr)
    sys.exit(2)

FORMS = ("eager", "compiled", "graphs")
CLIP = 0.25
# Of a small network: the gradient of a parameter, in parts of its norm, and the loss.
GRADIENT_TOLERANCE, LOSS_TOLERANCE = 1e-3, 1e-4
COLUMNS = ("model form ours_ms ours_p10_ms ours_p90_ms torch_ms torch_p10_ms torch_p90_ms ratio batch "
           "length width layers dropout device math threads samples mode torch").split()


class Settings:
    """A network's sizes; the paper: Conv4 in front of all but attention, wider minimal models."""

    def __init__(self, model, length, width, layers, dropout):
        self.length, self.width, self.layers, self.dropout = length, width, layers, dropout
        self.conv = 0 if model == "transformer" else 4
        self.expansion = 2 if model in ("mingru", "minlstm") else 1
        self.hidden = self.expansion * width

    def words(self, model, batch):
        return ["--task=shakespeare", f"--model={model}", f"--batch={batch}",
                f"--length={self.length}", f"--width={self.width}", f"--layers={self.layers}",
                f"--dropout={self.dropout}", f"--conv={self.conv}", f"--expansion={self.expansion}",
                "--mlp=geglu", f"--clip={CLIP}", "--beta2=0.99", "--weight_decay=0.1"]


def compare(model, args):
    """Ends the script where loss or gradients of a small network differ from ours."""
    from torch_check import Dump
    s = Settings(model, 13, 12, 2, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "it.h5")
        timing.minrnn("dump", *s.words(model, 3), f"--shakespeare.file={args.file}", "--threads=1",
                      f"--out={path}")
        dump = Dump(path)
    net = Net(model, dump.params["embed.weight"].shape[0], s)
    ours = net.named_as_ours()
    if set(ours) != set(dump.params):
        timing.fail(1, f"{model}: parameters differ: {', '.join(set(ours) ^ set(dump.params))}")
    with torch.no_grad():
        for name, p in ours.items():
            p.copy_(dump.params[name].reshape(p.shape))
    loss = net(dump.batch["token"].long(), dump.batch["label"].long())
    loss.backward()
    if not abs(float(loss) - dump.loss) <= LOSS_TOLERANCE:
        timing.fail(1, f"{model}: the loss is {float(loss):.6g} in PyTorch, {dump.loss:.6g} here")
    whole = sum(float(g.square().sum()) for g in dump.grads.values()) ** 0.5
    for name, p in ours.items():
        want = dump.grads[name].reshape(p.shape)
        off = float((p.grad - want).norm()) / max(float(want.norm()), 1e-5 * whole)
        if not off <= GRADIENT_TOLERANCE:
            timing.fail(1, f"{model}: the gradient of {name} differs by {off:.2g} of its norm; "
                           f"allowed: {GRADIENT_TOLERANCE:g}")


class Peer:
    """One network in one form, with a batch and its times in ms."""

    def __init__(self, model, form, vocab, args):
        self.form, self.args, self.times = form, args, []
        torch.manual_seed(1)
        s = Settings(model, args.length, args.width, args.layers, args.dropout)
        self.net = Net(model, vocab, s).to(args.device)
        self.optimizer = optimizer(self.net, args.device)
        self.token, self.label = (torch.randint(vocab, (args.batch, args.length), device=args.device)
                                  for _ in range(2))
        self.run = self.net
        if form != "eager":
            self.run = torch.compile(self.net,
                                     mode="reduce-overhead" if form == "graphs" else "default")

    def once(self):
        timing.wait(self.args)
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        self.run(self.token, self.label).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self.optimizer.step()
        timing.wait(self.args)
        return 1e3 * (time.perf_counter() - start)

    def take_turn(self):
        for _ in range(3):
            self.once()  # compiles, records graphs
        self.times += [self.once() for _ in range(self.args.samples)]


def time_model(model, vocab, args):
    """A row of the table per form."""
    words = [*Settings(model, args.length, args.width, args.layers, args.dropout).words(model, args.batch),
             f"--shakespeare.file={args.file}", f"--samples={args.samples}", f"--device={args.device}",
             f"--math={args.math}", f"--threads={args.threads}"]
    peers = [Peer(model, form, vocab, args) for form in args.forms]
    ours, mode = [], ""
    for _ in range(args.rounds):
        row = timing.bench(*words)[0]
        ours.append(row["step_wall_ms"])
        mode = row["mode"]
        for peer in peers:
            peer.take_turn()
    return [[model, peer.form, *timing.cells(ours, peer.times), args.batch, args.length, args.width,
             args.layers, args.dropout, args.device, args.math, args.threads, len(peer.times), mode,
             torch.__version__] for peer in peers]


def settings(argv):
    parser = argparse.ArgumentParser(description="Times training steps beside PyTorch's, turn by turn.")
    for name, value in (("batch", 64), ("length", 256), ("width", 384), ("layers", 3), ("rounds", 3),
                        ("samples", 5), ("threads", len(os.sched_getaffinity(0)))):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--file", required=True, help="text to learn")
    parser.add_argument("--model", default=",".join(MIXERS), help="some of these, by comma")
    parser.add_argument("--forms", default="", help=f"some of {','.join(FORMS)}")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--math", choices=("f32", "tf32"), default="f32")
    parser.add_argument("--out", default="", help="also write the table to this file")
    args = parser.parse_args(argv)
    for name in ("batch", "length", "width", "layers", "rounds", "samples", "threads"):
        least = int(name != "rounds")
        if getattr(args, name) < least:
            timing.fail(2, f"{name} is {getattr(args, name)}; allowed: {least} and more")
    args.model = args.model.split(",")
    args.forms = (args.forms or ("compiled" if args.device == "cuda" else "eager")).split(",")
    for name, allowed in (("model", tuple(MIXERS)), ("forms", FORMS)):
        for word in getattr(args, name):
            if word not in allowed:
                timing.fail(2, f"{name} is {word}; allowed: {', '.join(allowed)}")
    if args.forms != ["eager"] and not hasattr(torch, "compile"):
        timing.fail(2, f"forms is {','.join(args.forms)}, but PyTorch {torch.__version__} cannot compile")
    if args.device == "cuda" and not torch.cuda.is_available():
        timing.fail(2, "device is cuda, but this PyTorch finds no GPU")
    return args


def main():
    args = settings(sys.argv[1:])
    timing.use_math(args)
    checked = importlib.util.find_spec("h5py") is not None
    with open(args.file, encoding="utf-8") as f:
        vocab = len(set(f.read()))
    command = shlex.join(["scripts/peers/time_steps.py", *sys.argv[1:]])
    lines = [f"# Training steps here and in PyTorch {torch.__version__}, turn by turn; ratio = torch / ours.",
             f"# command: {command}", f"# machine: {timing.machine(args)}",
             "# loss and gradients of a small network " +
             ("are those of minrnn dump" if checked else "were not compared: h5py is missing"),
             "\t".join(COLUMNS)]
    print(f"{'model':12} {'PyTorch form':12} {'PyTorch ms':>11} {'here ms':>9} {'ratio':>7}", flush=True)
    for model in args.model:
        if checked:
            compare(model, args)
        if args.rounds == 0:
            print(f"{model:12} {'agrees' if checked else 'not compared: h5py is missing'}")
            continue
        for row in time_model(model, vocab, args):
            print(f"{row[0]:12} {row[1]:12} {row[5]:>11} {row[2]:>9} {row[8]:>7}", flush=True)
            lines.append("\t".join(map(str, row)))
        if args.out:
            timing.write(args.out, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
