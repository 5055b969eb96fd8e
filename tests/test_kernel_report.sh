#!/bin/bash
# test_kernel_report.sh — no CUDA kernel spills registers, those that live by their bandwidth move 16 bytes at a
# time, and the report notices when it is otherwise.
# labels: slow
# SPDX-License-Identifier: MIT
set -uo pipefail
command -v "${NVCC:-nvcc}" >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bad=0
fail() { echo "FAILED: $*" && bad=1; }

said=$(scripts/kernel_report.sh 90 2>&1) || fail "the kernels: $(grep -v ' .*  ' <<< "$said")"
tail -n 1 <<< "$said" | grep -qE 'wide are in (PTX|the disassembly)$' || fail "where it looked: $(tail -n 1 <<< "$said")"

# A name from the list of kernels that must be wide, without a wide access; and more values than registers.
cat > "$folder/poor.cu" <<'E2'
__global__ void mr_map1_kernel(int n, const float *x, float *y)
{
  if (threadIdx.x < n) y[threadIdx.x] = x[threadIdx.x];
}
__global__ void __maxnreg__(24) crowded(int n, const float *x, float *y)
{
  float v[64];
  for (int i = 0; i < 64; i++) v[i] = x[i * n];
  __syncthreads();
  for (int i = 0; i < 64; i++) y[i * n] = v[63 - i] * v[i ^ 5];
}
E2
said=$(scripts/kernel_report.sh 90 "$folder/poor.cu" 2>&1) && fail "poor kernels pass: $said"
grep -q '^FAILED: poor.cu mr_map1_kernel has no 16-byte accesses$' <<< "$said" || fail "narrow: $said"
grep -q '^FAILED: poor.cu crowded spills$' <<< "$said" || fail "spills: $said"

echo 'int unused(void) { int x; return 0; }' > "$folder/warns.cu"
said=$(scripts/kernel_report.sh 90 "$folder/warns.cu" 2>&1) && fail "a warning passes: $said"
exit $bad
