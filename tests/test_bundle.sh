#!/usr/bin/env bash
# test_bundle.sh — what is built here, packed and unpacked elsewhere, runs without a library of this machine but
# the C library and CUDA's, and holds what the scripts of a GPU machine need; a bundle is not made without GPU
# kernels unless that is asked for.
# labels: slow
# SPDX-License-Identifier: MIT
set -uo pipefail
cd "${MINRNN_SOURCE_DIR:?}" || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fail() { echo "FAILED: $1"; sed 's/^/    /' "$tmp/out"; failed=1; }

BUILD=0 DIST=$tmp/dist COMPRESS="gzip -1" scripts/bundle.sh "${MINRNN_BUILD_DIR:?}" > "$tmp/out" 2>&1 ||
  fail "no bundle is made"
mkdir "$tmp/else" "$tmp/where"
tar -xzf "$tmp/dist/minrnn-bundle.tar.gz" -C "$tmp/else" || fail "the archive does not unpack"
rm -rf "$tmp/dist"
mv "$tmp/else/minrnn-bundle" "$tmp/where/it"
cd "$tmp/where/it" || exit 1
env -i bin/minrnn check mul > "$tmp/out" 2>&1 && grep -q 'cases hold$' "$tmp/out" || fail "the program does not run"
env -i ldd bin/minrnn > "$tmp/out"
grep -q 'libhdf5.* => .*/where/it/' "$tmp/out" || fail "its libraries come from elsewhere"
for path in build/minrnn scripts/gpu_proof.sh scripts/peers/time_steps.py scripts/experiments/shakespeare_paper.cfg \
  plots results/paper/claims.tsv README.md LICENSE licences; do
  [ -e "$path" ] || fail "$path is missing"
done

cd "$MINRNN_SOURCE_DIR" || exit 1
printf '#!/bin/sh\necho "$@"\nexit 1\n' > "$tmp/cmake"
chmod +x "$tmp/cmake"
PATH=$tmp:$PATH CMAKE_ARGS="" DIST=$tmp/dist scripts/bundle.sh "$tmp/build" > "$tmp/out" 2>&1 && fail "a build that fails is packed"
grep -q -- ' -DMR_CUDA=ON$' "$tmp/out" || fail "without nvcc a bundle would have no GPU kernels"
PATH=$tmp:$PATH CMAKE_ARGS=-DMR_CUDA=OFF scripts/bundle.sh "$tmp/build" > "$tmp/out" 2>&1
grep -q -- ' -DMR_CUDA=ON -DMR_CUDA=OFF$' "$tmp/out" || fail "it cannot be made without GPU kernels"
exit $failed
