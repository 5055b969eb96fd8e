#!/usr/bin/env bash
# compare_same.sh — how often minrnn compare tells the same work apart, on a machine that others use.
# SPDX-License-Identifier: MIT
#
#   scripts/compare_same.sh [TRIES [LOAD]] [bench's words...]
#
# TRIES (20) times the same cells are timed twice and compared, while LOAD (10) other programs compute. A line
# per try, then how many tries told all cells the same; exit code 1 when fewer than 19 of 20 did. By default the
# cells are those of README. OTHER names a second program that makes the second timing: then it shows how
# often a slower build is told. MINRNN names the program.
set -uo pipefail
export LC_ALL=C.UTF-8 OMP_WAIT_POLICY=passive

root=$(cd "$(dirname "$0")/.." && pwd)
minrnn=${MINRNN:-$root/build/minrnn}
tries=${1:-20} load=${2:-10}
cells=("${@:3}")
((${#cells[@]})) ||
  cells=("--model=mingru,gru,lstm" --batch=8 --length=256 --width=64 --layers=1 --threads=1 --seconds=1.5)
tmp=$(mktemp -d)
busy=()
stop() { # the load, and what it leaves
  ((${#busy[@]} == 0)) || kill "${busy[@]}" 2>/dev/null
  wait 2>/dev/null
  rm -rf "$tmp"
}
trap stop EXIT

for ((i = 0; i < load; i++)); do
  (while :; do :; done) &
  busy+=($!)
done

same=0
for ((try = 1; try <= tries; try++)); do
  for side in a b; do
    program=$minrnn
    [[ $side == b ]] && program=${OTHER:-$minrnn}
    "$program" bench "${cells[@]}" --out="$tmp/$try/$side" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 2; }
  done
  "$minrnn" compare "$tmp/$try/a" "$tmp/$try/b" >"$tmp/verdicts"
  verdict=$(tail -n 1 "$tmp/verdicts")
  echo "try $try: $verdict"
  [[ $verdict == *" 0 faster, 0 slower, 0 cannot"* ]] && same=$((same + 1))
  grep -A 2 -E '^(faster|slower|cannot)' "$tmp/verdicts"
done
echo "$same of $tries tries told all cells the same"
((20 * same >= 19 * tries))
