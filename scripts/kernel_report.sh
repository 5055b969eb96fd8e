#!/bin/bash
# kernel_report.sh [ARCH [FILE.cu...]] — what nvcc makes of the CUDA kernels in float for compute capability ARCH
# (default 90), of all files or the named ones: registers per thread, bytes of static shared memory, stack and
# spills, 16-byte loads and stores of global memory. Exits 1 when a file does not compile without a warning, a
# kernel spills, or a kernel that lives by its bandwidth has no 16-byte access; 77 when there is no nvcc.
# Wide accesses are counted in the disassembly, or in PTX where cuobjdump is missing, and the report says which
# (PyPI has it, with what it needs: nvidia-cuda-cuobjdump, nvidia-cuda-nvdisasm). NVCC, CUOBJDUMP: other programs.
# SPDX-License-Identifier: MIT
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
arch=${1:-90}
shift $(($# > 0))
export NVCC=${NVCC:-nvcc} work=build-check/kernels/$arch arch
command -v "$NVCC" >/dev/null || { echo "kernel_report.sh: there is no $NVCC" >&2 && exit 77; }
dump=$(command -v "${CUOBJDUMP:-cuobjdump}") || dump=
source=${dump:+the disassembly}
source=${source:-PTX}

files=("$@")
((${#files[@]})) || mapfile -t files < <(find harness models baselines -name '*.cu' | sort)

# FILE.cu: its cubin, PTX and the assembler's log into a folder of its own.
compile()
{
  local to
  to=$work/$(basename "$1" .cu)
  rm -rf "$to"
  mkdir -p "$to"
  if ! "$NVCC" -std=c++17 -O3 -DNDEBUG -DMR_WITH_CUDA=1 -arch="sm_$arch" -cubin -Xptxas -v --keep --keep-dir "$to" \
    -Werror all-warnings -Xcompiler -Wall,-Wextra -I harness -I harness/core -I harness/engine \
    -I harness/engine/ops -I harness/engine/cuda -o "$to/kernels.cubin" "$1" > "$to/log" 2>&1; then
    echo "$1 does not compile:"
    grep -v '^ptxas info' "$to/log"
    return 1
  fi
}
export -f compile
printf '%s\n' "${files[@]}" | xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'compile {}'

# One line per kernel: registers, shared, stack, stored and loaded spills, wide loads and stores, name.
for file in "${files[@]}"; do
  from=$work/$(basename "$file" .cu)
  if [[ $dump ]]; then "$dump" -sass "$from/kernels.cubin"; else cat "$from"/*.ptx; fi > "$from/code"
  awk -v file="$(basename "$file")" '
    FNR == NR && /Function :|\.entry / { name = $0; sub(/.*(Function :|\.entry) */, "", name); sub(/\(.*/, "", name) }
    FNR == NR && /LDG?\.E(\.[A-Z0-9]+)*\.128|[^a-z]ld(\.global(\.[a-z]+)*)?\.(v4\..32|v2\..64)/ { wide_in[name]++ }
    FNR == NR && /STG?\.E(\.[A-Z0-9]+)*\.128|[^a-z]st(\.global(\.[a-z]+)*)?\.(v4\..32|v2\..64)/ { wide_out[name]++ }
    FNR == NR { next }
    /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
    /bytes stack frame/ { stack = $1; stores = $5; loads = $9 }
    /: Used [0-9]+ registers/ {
      registers = shared = $0
      sub(/.*Used /, "", registers)
      if (!sub(/ bytes smem.*/, "", shared)) shared = 0
      sub(/.* /, "", shared)
      print registers + 0, shared, stack, stores, loads, wide_in[name] + 0, wide_out[name] + 0, file, name
    }' "$from/code" "$from/log"
done | c++filt | sed -e 's/(anonymous namespace):://g' -e 's/\.cu \(void \)\?/.cu /' -e 's/\(.*[a-z>]\)(.*/\1/' |
sort -k 8 > "$work/table"

echo "compute capability $arch, wide accesses counted in $source"
awk -v seen="$#" -v source="$source" '
  BEGIN {
    form = "%9s %6s %5s %6s %6s %8s %9s  %s\n"
    printf form, "registers", "shared", "stack", "stored", "loaded", "load.128", "store.128", "kernel"
  }
  {
    name = $0
    sub(/^([0-9]+ )+/, "", name)
    printf form, $1, $2, $3, $4, $5, $6, $7, name
    if ($4 + $5) bad[++n] = name " spills"
    # Sweeps that move four channels at a time, the optimizer, and element-by-element kernels.
    if (name ~ /mr_sweep_kernel<.*, 4, |adamw\.cu step|mr_map[12]_kernel/) {
      split(name, part, ".")
      live[part[1]] = 1
      if (!$6 || (!$7 && name !~ /, 4, true>/)) bad[++n] = name " has no 16-byte accesses"
    }
  }
  END {
    for (i = split("adamw act mul mingru_seq minlstm_seq scan", must, " "); i > 0 && !seen; i--)
      if (!(must[i] in live)) bad[++n] = must[i] ".cu has none of the kernels that must be wide"
    for (i = 1; i <= n; i++) print "FAILED: " bad[i]
    if (!n) print NR " kernels, none spills, all that must be wide are in " source
    exit n > 0
  }' "$work/table"
