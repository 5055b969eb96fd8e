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
  grep -q "SKIPPED: $env needs MuJoCo.*libmujoco-dev, then make builds again; make MUJOCO_DIR=FOLDER" out || fail "$env: $(cat out)"
  [[ $(h5dump -a status $env.h5) == *skipped* ]] || fail "the run of $env is not marked as skipped"
done

# That advice helps in a build folder, too, which was made without MuJoCo or with another one.
root=$(cd "$MINRNN_SOURCE_DIR" && pwd)
mkdir -p one/include/mujoco one/lib two/include/mujoco two/lib src/tasks/rl/mujoco
touch {one,two}/{include/mujoco/mujoco.h,lib/libmujoco.so} src/tasks/rl/mujoco/engine.c
cat > src/CMakeLists.txt << EOF
cmake_minimum_required(VERSION 3.25)
project(finds C)
add_library(mr_flags INTERFACE)
add_library(mr_deps INTERFACE)
include($root/cmake/Mujoco.cmake)
EOF
for copy in one two two; do
  [[ -e asked ]] || export MUJOCO_DIR=$tmp/$copy
  cmake -S src -B found > out 2>&1 || fail "cmake: $(cat out)"
  grep -q "MuJoCo found: $tmp/$copy/lib/libmujoco.so" out || fail "MUJOCO_DIR=$copy: $(cat out)"
  [[ $copy == one ]] || { touch asked && unset MUJOCO_DIR; } # the folder remembers
done

# make configures anew until there is the module, and when a copy is named.
unset MAKEFLAGS MAKEOVERRIDES CMAKE_ARGS
mkdir bin build
cp "$root/Makefile" .
printf '#!/bin/sh\necho "$@" >> calls\n' > bin/cmake
chmod +x bin/cmake
configures()
{
  rm -f calls
  PATH=$tmp/bin:$PATH make -s configure BUILD=build "$@" > out 2>&1 || fail "make: $(cat out)"
  [[ -e calls ]]
}
mkdir scripts && printf '#!/bin/sh\n' > scripts/setup.sh && chmod +x scripts/setup.sh
configures || fail "make does not configure a new folder"
touch build/Makefile
configures || fail "make does not look for MuJoCo again"
touch build/libminrnn_mujoco.so
! configures || fail "make configures for nothing: $(cat calls)"
configures MUJOCO_DIR=one || fail "make MUJOCO_DIR=FOLDER does not configure"

[[ -e ${minrnn%/*}/libminrnn_mujoco.so ]] || exit 0
got=0
"$minrnn" train --task=offline_rl --offline_rl.env=hopper --offline_rl.assets=/nowhere --steps=1 \
  --out=wrong.h5 > out 2> err || got=$?
[[ $got == 2 ]] || fail "a wrong folder of models ended with $got"
grep -q "offline_rl.assets is /nowhere, where hopper.xml cannot be read" err || fail "$(cat err)"
[[ $(wc -l < err) == 1 && ! -e wrong.h5 ]] || fail "a wrong folder of models: $(cat err)"
