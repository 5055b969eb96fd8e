#!/usr/bin/env bash
# labels: slow
# test_peer_steps.sh — whole training steps timed beside PyTorch's: each of its networks has our loss and
# gradients, the table is whole, wrong networks and wrong use are refused. Skipped without python3-torch and
# python3-h5py. SPDX-License-Identifier: MIT
set -uo pipefail
cd "${MINRNN_SOURCE_DIR:?}" || exit 1
time_steps=scripts/peers/time_steps.py
/usr/bin/python3 -c 'from importlib.util import find_spec as f; exit(not (f("torch") and f("h5py")))' || {
  echo "no python3-torch or no python3-h5py here"
  exit 77
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() { echo "FAILED: $1"; failed=1; }
for _ in $(seq 60); do printf 'pack my box with five dozen liquor jugs\n'; done > "$tmp/text"
tiny=(--file="$tmp/text" --batch=2 --length=12 --width=12 --layers=2 --threads=1)

"$time_steps" "${tiny[@]}" --rounds=0 > "$tmp/out" 2> "$tmp/err" || fail "networks differ: $(cat "$tmp/err")"
(($(grep -c ' agrees$' "$tmp/out") == 5)) || fail "not all networks were compared: $(cat "$tmp/out")"

"$time_steps" "${tiny[@]}" --model=mingru,transformer --rounds=1 --samples=2 --out="$tmp/steps.tsv" > "$tmp/out" \
  2> "$tmp/err" || fail "a small run ends well: $(cat "$tmp/err")"
awk -F'\t' '/^#/ { next } $1 == "model" { for (i = 1; i <= NF; i++) at[$i] = i; next }
  { rows++; r = $at["torch_ms"] / $at["ours_ms"]
    if (NF != 20 || $at["samples"] != 2 || r < 0.98 * $at["ratio"] - 0.01 || r > 1.02 * $at["ratio"] + 0.01) bad++ }
  END { exit bad > 0 || rows != 2 }' "$tmp/steps.tsv" || fail "the table: $(cat "$tmp/steps.tsv")"

# A network that computes something else must not be timed.
cp scripts/peers/*.py "$tmp"
sed -i 's/return x + F.dropout(self.mlp/return 2 * x + F.dropout(self.mlp/' "$tmp/torch_net.py"
"$tmp/time_steps.py" "${tiny[@]}" --model=gru > "$tmp/out" 2> "$tmp/err"
(($? == 1)) && grep -q '^time_steps.py: gru: the loss is ' "$tmp/err" || fail "a wrong network: $(cat "$tmp/err")"

"$time_steps" "${tiny[@]}" --model=mamba > "$tmp/out" 2> "$tmp/err"
(($? == 2)) && grep -q 'model is mamba; allowed: mingru, minlstm' "$tmp/err" || fail "an unknown model is refused"
exit $failed
