#!/usr/bin/python3
# time_all.py — times one mixer of this program and the same one in PyTorch, turn by turn: forward and
# backward in one piece that is waited for at its end, gradients of input and parameters included; on
# CUDA ours is one captured graph. What `make peers` runs.
#   time_all.py [--batch=64] [--length=512] [--width=128] [--device=cpu|cuda] [--math=f32|tf32]
#               [--threads=N] [--rounds=5] [--samples=3] [--forms=PART,...] [--out=FILE.tsv]
# A PyTorch form must first agree with its plain recurrence. The program is $MINRNN, or
# build/minrnn; it needs Debian's python3-torch, or any other PyTorch of this interpreter.
# Exit codes: 0 all timed, 1 a form disagrees or the program fails, 2 wrong use.
# SPDX-License-Identifier: MIT
import argparse
import os
import shlex
import sys
import time

try:
    import torch
    import timing
    from torch_forms import FORMS
except ImportError as error:
    print(f"time_all.py: {error}; install it with scripts/setup.sh --peers", file=sys.stderr)
    sys.exit(2)

# Largest difference between a form and its plain recurrence, in parts of the largest output.
TOLERANCE = {"f32": 2e-4, "tf32": 2e-2}
COLUMNS = ("form model ours_ms ours_p10_ms ours_p90_ms torch_ms torch_p10_ms torch_p90_ms ratio "
           "batch length width device math threads samples torch").split()


class Peer:
    """One PyTorch form with its input, gradient and times in ms."""

    def __init__(self, name, args):
        self.name, self.args, self.times = name, args, []
        self.ours, make, self.compiled = FORMS[name]
        torch.manual_seed(1)
        shape = (args.batch, args.length, args.width)
        self.module = make(args.width).to(args.device)
        self.x = torch.randn(shape, device=args.device, requires_grad=True)
        self.dy = torch.randn(shape, device=args.device)
        self.run = torch.compile(self.module) if self.compiled else self.module

    def check(self):
        """Ends the program when the form is not what it says it is."""
        few = self.x[:2].detach()
        with torch.no_grad():
            got, want = self.module(few), self.module.plain(few)
        off = float((got - want).abs().max() / want.abs().max())
        if not off <= TOLERANCE[self.args.math]:
            timing.fail(1, f"{self.name} differs from its plain recurrence by {off:.2g} of the "
                           f"largest output; allowed: {TOLERANCE[self.args.math]:g}")

    def once(self):
        self.x.grad = None
        self.module.zero_grad(set_to_none=True)
        timing.wait(self.args)
        start = time.perf_counter()
        self.run(self.x).backward(self.dy)
        timing.wait(self.args)
        return 1e3 * (time.perf_counter() - start)

    def take_turn(self):
        self.once()
        self.times += [self.once() for _ in range(self.args.samples)]


class Ours:
    """The same mixers in this program: one process a round, all models in it by turns."""

    def __init__(self, models, args):
        self.times = {model: [] for model in models}
        self.words = [f"--model={','.join(models)}", f"--batch={args.batch}",
                        f"--length={args.length}", f"--width={args.width}", "--layers=1",
                        "--h0=zero", f"--samples={args.samples}", f"--device={args.device}",
                        f"--math={args.math}", f"--threads={args.threads}"]

    def take_turn(self):
        for row in timing.bench(*self.words):
            self.times[row["model"]].append(row["mixer_both_ms"])


def settings(argv):
    parser = argparse.ArgumentParser(description="Times mixers beside PyTorch's, turn by turn.")
    for name, value in (("batch", 64), ("length", 512), ("width", 128), ("rounds", 5),
                        ("samples", 3), ("threads", len(os.sched_getaffinity(0)))):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--math", choices=("f32", "tf32"), default="f32")
    parser.add_argument("--forms", default="", help="names or parts of names, by comma; default: all")
    parser.add_argument("--out", default="", help="also write the table to this file")
    args = parser.parse_args(argv)
    for name in ("batch", "length", "width", "rounds", "samples", "threads"):
        if getattr(args, name) < 1:
            timing.fail(2, f"{name} is {getattr(args, name)}; allowed: 1 and more")
    if args.device == "cuda" and not torch.cuda.is_available():
        timing.fail(2, "device is cuda, but this PyTorch finds no GPU")
    return args


def chosen(args):
    parts = [part for part in args.forms.split(",") if part]
    # A whole name is that form alone, other words are parts of names.
    names = [name for name in FORMS if not parts or
             any(part == name if part in FORMS else part in name for part in parts)]
    # Compilation wants a compiler that may not be there on a CPU machine: only on demand.
    plain = [n for n in names if not FORMS[n][2] or args.device == "cuda" or parts]
    names = [n for n in plain if not FORMS[n][2] or hasattr(torch, "compile")]
    if not names:
        timing.fail(2, f"forms is {args.forms}; allowed: parts of {', '.join(FORMS)}")
    return names


def row_of(peer, ours, args):
    return [peer.name, peer.ours, *timing.cells(ours, peer.times), args.batch, args.length, args.width,
            args.device, args.math, args.threads, len(peer.times), torch.__version__]


def main():
    args = settings(sys.argv[1:])
    timing.use_math(args)
    peers = [Peer(name, args) for name in chosen(args)]
    for peer in peers:
        peer.check()
    ours = Ours(sorted({peer.ours for peer in peers}), args)
    for _ in range(args.rounds):
        ours.take_turn()
        for peer in peers:
            peer.take_turn()
    rows = [row_of(peer, ours.times[peer.ours], args) for peer in peers]
    command = shlex.join(["scripts/peers/time_all.py", *sys.argv[1:]])
    lines = [f"# Mixers here and in PyTorch {torch.__version__}, forward + backward, turn by turn; "
             "ratio = torch / ours.", f"# command: {command}", f"# machine: {timing.machine(args)}",
             "\t".join(COLUMNS)]
    lines += ["\t".join(map(str, row)) for row in rows]
    if args.out:
        timing.write(args.out, lines)
    print(f"{'PyTorch form':28} {'here':12} {'PyTorch ms':>11} {'here ms':>9} {'ratio':>7}")
    for row in rows:
        print(f"{row[0]:28} {row[1]:12} {row[5]:>11} {row[2]:>9} {row[8]:>7}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
