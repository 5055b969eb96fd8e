#!/usr/bin/env bash
# test_mujoco.sh — the program does without MuJoCo: runs that need it are recorded as skipped, with the
# way to get it, and a folder of models that is wrong is the user's mistake.
# labels: unit
# SPDX-License-Identifier: MIT
set -uo pipefail
export LC_ALL=C.UTF-8
minrnn=${MINRNN:?run me through ctest}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

! ldd "$minrnn" | grep -i mujoco || fail "the program is linked with MuJoCo"

# Away from its build folder the module is not beside it.
cp "$minrnn" alone
for env in halfcheetah hopper walker2d; do
  ./alone train --task=offline_rl --offline_rl.env=$env --steps=1 --out=$env.h5 > out 2> err ||
    fail "$env without MuJoCo ended with $?: $(cat err)"
  grep -q "SKIPPED: $env needs MuJoCo.*libmujoco-dev.*build again" out || fail "$env: $(cat out)"
  [[ $(h5dump -a status $env.h5) == *skipped* ]] || fail "the run of $env is not marked as skipped"
done

[[ -e ${minrnn%/*}/libminrnn_mujoco.so ]] || exit 0
got=0
"$minrnn" train --task=offline_rl --offline_rl.env=hopper --offline_rl.assets=/nowhere --steps=1 \
  --out=wrong.h5 > out 2> err || got=$?
[[ $got == 2 ]] || fail "a wrong folder of models ended with $got"
grep -q "offline_rl.assets is /nowhere, where hopper.xml cannot be read" err || fail "$(cat err)"
[[ $(wc -l < err) == 1 && ! -e wrong.h5 ]] || fail "a wrong folder of models: $(cat err)"
