# timing.py — what the scripts that time PyTorch beside this program share.
# SPDX-License-Identifier: MIT
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
MINRNN = os.environ.get("MINRNN", os.path.join(HERE, "..", "..", "build", "minrnn"))


def fail(code, words):
    print(f"{os.path.basename(sys.argv[0])}: {words}", file=sys.stderr)
    sys.exit(code)


def minrnn(*words):
    """What the program prints; it must end well."""
    command = [MINRNN, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        fail(1, f"the program cannot be run: {error}")
    if done.returncode != 0:
        fail(1, f"{shlex.join(command)} fails: {done.stderr.strip()}")
    return done.stdout


def bench(*words):
    """Rows of minrnn bench; a cell without times ends the script, with what keeps it from them."""
    rows = [json.loads(line) for line in minrnn("bench", *words, "--json").splitlines()]
    for row in rows:
        if row["status"] != "complete":
            fail(1, f"{row['cell']} is {row['status']}: {row['reason']}")
    return rows


def use_math(args):
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = args.math == "tf32"
    torch.backends.cudnn.allow_tf32 = args.math == "tf32"


def wait(args):
    if args.device == "cuda":
        torch.cuda.synchronize()


def quantile(values, share):
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def cells(ours, theirs):
    """Median, p10 and p90 of both in ms, and the ratio of the medians."""
    row = []
    for values in (ours, theirs):
        row += [f"{x:.4g}" for x in (statistics.median(values), quantile(values, 0.1),
                                     quantile(values, 0.9))]
    return row + [f"{statistics.median(theirs) / statistics.median(ours):.2f}"]


def machine(args):
    text = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            text = next((line.split(":", 1)[1].strip() for line in f if "model name" in line), text)
    except OSError:
        pass
    if args.device == "cuda":
        text = f"{torch.cuda.get_device_name()}, {text}"
    return text


def write(path, lines):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    part = path + ".part"
    with open(part, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    os.replace(part, path)
