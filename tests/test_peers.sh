#!/usr/bin/env bash
# labels: slow
# test_peers.sh — mixers timed beside PyTorch's: every form agrees with its recurrence, the table is
# whole, wrong use is refused. Skipped without python3-torch. SPDX-License-Identifier: MIT
set -uo pipefail
cd "${MINRNN_SOURCE_DIR:?}" || exit 1
time_all=scripts/peers/time_all.py
/usr/bin/python3 -c 'from importlib.util import find_spec as f; exit(not f("torch"))' || { echo "no python3-torch here"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() { echo "FAILED: $1"; failed=1; }

"$time_all" --batch=3 --length=20 --width=12 --rounds=2 --samples=2 --threads=1 \
  --out="$tmp/peers.tsv" > "$tmp/out" 2> "$tmp/err" || fail "a small run ends well: $(cat "$tmp/err")"
rows=$(grep -vc '^#' "$tmp/peers.tsv")
((rows == 8)) || fail "seven forms under one header line, got $rows lines"
grep -q '^# command: scripts/peers/time_all.py --batch=3' "$tmp/peers.tsv" || fail "names its command"
awk -F'\t' '/^#/ { next } $1 == "form" { for (i = 1; i <= NF; i++) at[$i] = i; next }
  { r = $at["torch_ms"] / $at["ours_ms"]
    if (NF != 17 || $at["samples"] != 4 || r < 0.98 * $at["ratio"] - 0.01 || r > 1.02 * $at["ratio"] + 0.01) bad++ }
  END { exit bad > 0 }' "$tmp/peers.tsv" || fail "ratios are those of the medians beside them"

"$time_all" --batch=0 > "$tmp/out" 2> "$tmp/err"
(($? == 2)) && grep -q 'batch is 0; allowed: 1 and more' "$tmp/err" || fail "batch 0 is refused"
"$time_all" --forms=nonsense > "$tmp/out" 2> "$tmp/err"
(($? == 2)) && grep -q 'forms is nonsense' "$tmp/err" || fail "unknown forms are refused"

# A form that computes something else must not be timed.
sed 's/z \* g(c)/z * c/' scripts/peers/torch_forms.py > "$tmp/torch_forms.py"
cp "$time_all" scripts/peers/timing.py "$tmp"
"$tmp/time_all.py" --batch=3 --length=20 --width=12 --forms=minGRU > "$tmp/out" 2> "$tmp/err"
(($? == 1)) && grep -q 'minGRU log space differs' "$tmp/err" || fail "a wrong form is found out"
exit $failed
