#!/usr/bin/python3
# check_all.py — dumps a small network of every model, with every choice of its options and every
# part of the scaffold, and compares them all with PyTorch (torch_check.py). What `make peers-check`
# runs. The program is $MINRNN, or build/minrnn.
# SPDX-License-Identifier: MIT
import itertools
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MINRNN = os.environ.get("MINRNN", os.path.join(HERE, "..", "..", "build", "minrnn"))
SIZES = ["--length=20", "--selective_copy.data_tokens=4", "--batch=3", "--width=24", "--layers=2",
         "--expansion=1.5", "--threads=1", "--seed=3"]
# A few large steps, so that no gain is 1 and no bias 0 any more.
STEPS = ["--steps=4", "--lr=0.05", "--eval_batches=1", "--quiet", "--force"]
SCAFFOLDS = [
    ["--conv=4", "--mlp=geglu"],
    ["--conv=4", "--mlp=gelu", "--norm=layernorm", "--h0=zero"],
    ["--conv=1", "--mlp=geglu", "--mlp_mult=1.3", "--norm=layernorm", "--dropout=0.2"],
    ["--task=offline_rl", "--length=0", "--offline_rl.window=7", "--mlp=gelu", "--norm=layernorm"],
]
# Sizes that only some models have.
OWN = {
    "minlstm": [["--minlstm.forget_bias=2"]],
    "transformer": [["--transformer.heads=3", "--transformer.context=64"]],
    "mamba": [["--mamba.state=5", "--mamba.conv=3", "--width=20"]],
}


def minrnn(*words):
    return subprocess.run([MINRNN, *words], capture_output=True, text=True, check=False)


def choices(option):
    if "choices" in option:
        values = [] if option["choices"] == "*" else option["choices"].split("|")
    else:
        values = ["0", "1"] if (option["min"], option["max"]) == (0, 1) else []
    return [f"--{option['key']}={value}" for value in values]


def variants(model):
    """Every choice of the model's own options in a bare scaffold, then its defaults in others."""
    lists = [words for words in map(choices, model["options"]) if words]
    return [list(words) for words in itertools.product(*lists)] + (
        OWN.get(model["name"], []) + SCAFFOLDS)


def dump(path, model, words):
    """None, or what the program says against it."""
    start = path.replace(".h5", ".start.h5")
    common = [f"--model={model}", *SIZES, *words]
    done = minrnn("train", *common, *STEPS, f"--out={start}")
    if done.returncode == 0:
        init = start.replace(".h5", ".last.ckpt")
        done = minrnn("dump", *common, f"--init={init}", f"--out={path}")
    return done.stderr.strip() if done.returncode != 0 else None


def main():
    listing = minrnn("list", "--json")
    if listing.returncode != 0:
        sys.exit(f"check_all.py: {MINRNN} list --json fails: {listing.stderr.strip()}")
    entries = [json.loads(line) for line in listing.stdout.splitlines()]
    models = [e for e in entries if e["kind"] in ("model", "baseline")]
    with tempfile.TemporaryDirectory() as folder:
        paths, failed = [], False
        for model in models:
            for words in variants(model):
                path = os.path.join(folder, f"{model['name']}-{len(paths)}.h5")
                problem = dump(path, model["name"], words)
                if problem is None:
                    paths.append(path)
                elif "libdnnl-dev" in problem: # a model that this build leaves out
                    print(f"{model['name']} is skipped: {problem}")
                    break
                else:
                    print(f"{model['name']} {' '.join(words)} cannot be dumped: {problem}")
                    failed = True
        code = subprocess.run([os.path.join(HERE, "torch_check.py"), *paths], check=False).returncode
    return code or int(failed)


if __name__ == "__main__":
    sys.exit(main())
