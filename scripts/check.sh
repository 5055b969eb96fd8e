#!/bin/bash
# check.sh [JOB...] — what a change must pass besides its tests; no JOB means all of them:
#   format    clang-format has nothing to change
#   headers   every header compiles alone as C11, and the public ones as C++17
#   shapes    every op, mixer and batch function states its shapes in brackets
#   files     no file over 500 lines, no fast-math, no exit or abort outside main.c
#   warnings  gcc and clang compile everything without a warning
#   tidy      clang-tidy, as .clang-tidy says
#   cppcheck  warnings, performance, portability
#   sanitize  all but the slow tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   threads   every op on 2 and 5 threads under ThreadSanitizer
# Goes on after a failure, names the failed jobs at the end and exits 1. Logs: build-check/JOB.log
# SPDX-License-Identifier: MIT
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
all=(format headers shapes files cppcheck warnings tidy sanitize threads)
jobs=${JOBS:-$(nproc)}
work=build-check
include=(-Iharness -Iharness/core -Iharness/engine -Iharness/engine/ops -Iharness/engine/cuda
  -Iharness/run -Iharness/check -Itasks/rl -Itests)

# Our files of the given kinds, e.g. `ours c h`.
ours() {
  local kind args=()
  for kind in "$@"; do args+=(-o -name "*.$kind"); done
  find harness models baselines tasks tests plots scripts cmake -type f \( "${args[@]:1}" \) | sort
}

configure() { # folder compiler options...
  local folder=$1 compiler=$2
  shift 2
  cmake -S . -B "$folder" -DCMAKE_C_COMPILER="$compiler" -DMR_CUDA=OFF "$@" >/dev/null
}

job_format() {
  ours c h cpp cu cuh | xargs clang-format --dry-run -Werror
}

job_headers() {
  local flags=(-D_GNU_SOURCE -fopenmp -fsyntax-only -Wall -Wextra -Wpedantic -Werror "${include[@]}")
  read -ra packages < <(pkg-config --cflags hdf5 openblas cmocka inih)
  # Fed through standard input, so that a header is no "main file" to the compiler.
  local header bad=0
  while read -r header; do
    if ! echo "#include \"./$header\"" | gcc -std=c11 -x c "${flags[@]}" "${packages[@]}" -; then
      echo "$header does not compile alone as C11"
      bad=1
    fi
    # Only the harness's public headers are included by .cu files.
    case $header in *_impl.h) continue ;; harness/*) ;; *) continue ;; esac
    if ! echo "#include \"./$header\"" |
      g++ -std=c++17 -x c++ "${flags[@]}" -Wno-extra "${packages[@]}" -; then
      echo "$header does not compile alone as C++17"
      bad=1
    fi
  done < <(ours h)
  return $bad
}

# A prototype of the page authors read needs a shape such as [B,T,H] beside it or in the comment
# right above it.
job_shapes() {
  awk '
    FNR == 1 { comment = ""; inside = 0 }
    function shaped(text) { return text ~ /\[[A-Za-z0-9][A-Za-z0-9_.,+* -]*\]/ }
    inside || /^ *\/\*/ {
      if (!inside) comment = ""
      comment = comment $0
      inside = $0 !~ /\*\//
      next
    }
    wanted { rest = rest $0 }
    !wanted && (/^mr_val mr_[a-z0-9_]+\(/ || /\(\*(mixer|batch|score)\)\(/) { wanted = 1; rest = $0 }
    wanted && /;/ {
      match(rest, /(mr_[a-z0-9_]+\(|\(\*[a-z]+\))/)
      if (!shaped(comment rest)) {
        printf "%s:%d: %s has no shape in brackets in its comment\n", FILENAME, FNR,
               substr(rest, RSTART, RLENGTH - 1)
        bad = 1
      }
      n++; wanted = 0; rest = ""
    }
    /^ *$/ { comment = "" }
    END {
      if (n < 3) { print "found only " n " prototypes: the pattern no longer fits"; bad = 1 }
      exit bad
    }' harness/engine/ops.h harness/run/model.h harness/run/task.h
}

job_files() {
  local file lines bad=0
  while read -r file; do
    lines=$(wc -l <"$file")
    if ((lines > 500)); then
      echo "$file has $lines lines, at most 500 are allowed"
      bad=1
    fi
  done < <(ours c h cpp cu cuh sh cmake gp awk py; ls CMakeLists.txt Makefile)
  if grep -nE -- '-(ffast-math|Ofast|funsafe-math-optimizations|ffinite-math-only|-?use_fast_math)' \
    CMakeLists.txt Makefile $(ours c h cpp cu cuh cmake); then
    echo "flags that assume there are no NaN are not allowed"
    bad=1
  fi
  if grep -nE '\b(exit|_exit|_Exit|quick_exit|abort)[[:space:]]*\(' \
    $(ours c h cpp cu cuh | grep -v -e '^tests/' -e '^harness/main.c$'); then
    echo "only harness/main.c ends the program"
    bad=1
  fi
  return $bad
}

job_warnings() {
  local gcc_build=$work/gcc bad=0
  # `make build` has just done this one, when it did so with gcc.
  if grep -qs '^CMAKE_C_COMPILER:.*/\(gcc\|cc\)$' "${BUILD:-build}/CMakeCache.txt" &&
    grep -qs '^MR_WERROR:BOOL=ON' "${BUILD:-build}/CMakeCache.txt"; then
    gcc_build=${BUILD:-build}
  else
    configure $gcc_build gcc || return 1
  fi
  cmake --build "$gcc_build" -j "$jobs" || bad=1
  # No optimisation: clang finds what it finds in the front end.
  configure $work/clang clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 &&
    cmake --build $work/clang -j "$jobs" || bad=1
  return $bad
}

job_tidy() {
  configure $work/clang clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 &&
    cmake --build $work/clang --target build_info >/dev/null || return 1
  # The module on MuJoCo is compiled only where MuJoCo is.
  local left_out=none
  grep -q mujoco/engine.c $work/clang/compile_commands.json || left_out=mujoco/engine.c
  ours c | grep -v "$left_out" | xargs -P "$jobs" -n 1 clang-tidy --quiet -p $work/clang
}

# invalidFunctionArg guesses the values of sums and then forbids log(0), which is -inf and fine.
# readdirCalled wants readdir_r, which glibc has deprecated: readdir is safe on a stream of one's own.
job_cppcheck() {
  ours c | xargs cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability \
    --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
    --suppress=invalidFunctionArg --suppress=readdirCalled -j "$jobs" "${include[@]}" \
    -DMR_C_BEGIN= -DMR_C_END= --library=posix
}

job_sanitize() {
  configure $work/sanitize gcc -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O2 -g1" \
    -DCMAKE_CXX_FLAGS_DEBUG="-O2 -g1" -DMR_SANITIZE=address,undefined &&
    cmake --build $work/sanitize -j "$jobs" || return 1
  # Slow tests build things of their own, without sanitizers.
  (cd $work/sanitize &&
    ctest --output-on-failure --no-label-summary --no-tests=error -LE slow -j "$jobs")
}

# The archer tool tells ThreadSanitizer what OpenMP's barriers order.
job_threads() {
  local archer
  archer=$(find /usr/lib/llvm-*/lib -name libarcher.so | tail -n 1)
  [[ $archer ]] || { echo "libarcher.so of package libomp-dev is missing" && return 1; }
  configure $work/threads clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O2 -g1" \
    -DCMAKE_CXX_FLAGS_DEBUG="-O2 -g1" -DMR_SANITIZE=thread &&
    cmake --build $work/threads --target test_ops_ref -j "$jobs" || return 1
  OMP_TOOL_LIBRARIES=$archer TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" \
    $work/threads/tests/test_ops_ref
}

(($#)) || set -- "${all[@]}"
for name in "$@"; do
  if ! declare -F "job_$name" >/dev/null; then
    echo "check.sh: unknown job $name; allowed are ${all[*]}" >&2
    exit 2
  fi
done

if ! scripts/setup.sh --dev --check >/dev/null 2>&1; then
  if [[ ${SETUP:-1} == 0 ]]; then
    scripts/setup.sh --dev --check
    exit 1
  fi
  scripts/setup.sh --dev || exit 1
fi

mkdir -p $work
failed=()
for name in "$@"; do
  start=$SECONDS
  if "job_$name" >$work/"$name".log 2>&1; then
    printf 'check %-9s ok      %4d s\n' "$name" $((SECONDS - start))
  else
    grep -vE '^(\[ *[0-9]+%\]|gmake|make)|warnings? (generated|treated)|^Suppressed' \
      $work/"$name".log | tail -n 60
    printf 'check %-9s FAILED  %4d s   whole log: %s\n' "$name" $((SECONDS - start)) \
      "$work/$name.log"
    failed+=("$name")
  fi
done
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo "all checks passed"
