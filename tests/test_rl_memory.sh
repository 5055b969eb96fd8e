#!/usr/bin/env bash
# test_rl_memory.sh — where something must be remembered, a recurrent policy solves what a memoryless one
# cannot: the experiments of the CPU profile, at their full length.
# SPDX-License-Identifier: MIT
# labels: slow
set -u
minrnn=${MINRNN:?run me through ctest}
experiments=${MINRNN_SOURCE_DIR:?run me through ctest}/scripts/experiments
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

score() { # EXPERIMENT MODEL WORDS...: 0 random or guessing, 100 expert
  "$minrnn" train "$experiments/$1" --model="$2" "${@:3}" --quiet --json --out="$1-$2.h5" |
    sed -n 's/.*"test_score_last": \(-\?[0-9.e+-]*\).*/\1/p'
}
expect() { # WHAT CONDITION-ON-x VALUE
  echo "$1: $3"
  awk -v x="$3" "BEGIN { exit !(x != \"\" && x $2) }" || { echo "FAILED: $1 scores $3, not $2"; exit 1; }
}

# One who guesses is right in half of 400 corridors, give or take 2.5 %: a score of +-5.
expect "T-maze without memory" "< 20" "$(score offline_rl_tmaze_cpu.cfg mlp)" || exit 1
expect "T-maze with minGRU" "> 90" "$(score offline_rl_tmaze_cpu.cfg mingru --steps=1200)" || exit 1
# Seeds differ: four of minGRU's score 76 to 87.
expect "pendulum without memory" "< 20" "$(score offline_rl_pendulum_cpu.cfg mlp)" || exit 1
expect "pendulum with minGRU" "> 60" "$(score offline_rl_pendulum_cpu.cfg mingru --expansion=2)" || exit 1
