#!/usr/bin/env bash
# test_rl_hopper.sh — PPO brings Hopper to the return of D4RL's medium data.
# SPDX-License-Identifier: MIT
# labels: slow
set -u
minrnn=${MINRNN:?run me through ctest}
[ -e "${minrnn%/*}/libminrnn_mujoco.so" ] || exit 77
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

# One seed reaches the level; 40000 steps of its policy are about 100 episodes.
"$minrnn" rl-make hopper medium --out=. --seeds=1 --steps=40000 --quiet > out || exit 1
"$minrnn" rl-info --json hopper_medium-*.hdf5 > told || exit 1
cat told
# What a policy reaches by noisy actions varies: D4RL's mean is 1422 +- 379, and random actions earn 18.
awk -F'"return": ' '{ mean = $2 + 0 } END { exit !(mean >= 1300 && mean < 2000) }' told ||
  { echo "FAILED: PPO misses the return of D4RL's medium data"; exit 1; }
grep -q '"generated": "yes"' told || { echo "FAILED: the data are not marked as generated"; exit 1; }
