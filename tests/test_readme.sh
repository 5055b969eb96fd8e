#!/usr/bin/env bash
# test_readme.sh — takes the example baseline and task out of the READMEs, builds a copy of the tree with
# them and does what the text says: tries to catch examples that no longer work.
# labels: slow
# SPDX-License-Identifier: MIT
set -euo pipefail
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
build=${MINRNN_BUILD_DIR:-$root/build}
minrnn=${MINRNN:-$build/minrnn}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tree=$tmp/tree

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

# Writes the block behind "<!-- example: PATH -->" in README $1 to PATH in the tree.
take_example() # README PATH
{
  [ ! -e "$tree/$2" ] || fail "$2 exists already, so $1 adds nothing"
  awk -v mark="<!-- example: $2 -->" '
    $0 == mark { found = 1; next }
    found && /^```c$/ { inside = 1; next }
    inside && /^```$/ { exit }
    inside { print }' "$root/$1" > "$tree/$2"
  [ "$(wc -l < "$tree/$2")" -ge 10 ] || fail "$1 has no example marked $2"
}

# The commands `build/minrnn ...` of README $1 that name $2.
commands_of() # README WORD
{
  awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$root/$1" | grep "^build/minrnn .*$2"
}

echo "the README's table of options is the program's"
MINRNN=$minrnn "$root/scripts/readme_options.sh" --check || fail "run scripts/readme_options.sh"

echo "the README's table of claims is that of the reference results"
"$root/scripts/readme_claims.sh" --check || fail "run scripts/readme_claims.sh"

echo "links in the READMEs lead somewhere"
for page in README.md harness/README.md models/README.md baselines/README.md tasks/README.md results/README.md; do
  while read -r link; do
    [ -e "$(dirname "$root/$page")/$link" ] || fail "$page links to $link, which is missing"
  done < <(grep -o '](\([^)#]*\))' "$root/$page" | sed 's/^](//; s/)$//' | grep -v '://')
done

echo "the examples build in a copy of the tree where nothing else is changed"
mkdir -p "$tree/tests"
(cd "$root" && cp -r CMakeLists.txt Makefile cmake harness models baselines tasks scripts "$tree/")
take_example baselines/README.md baselines/ema.c
take_example tasks/README.md tasks/recall_first.c
choices=()
while IFS= read -r line; do choices+=("-D$line"); done < <(
  grep -E '^(CMAKE_BUILD_TYPE|CMAKE_C_COMPILER|CMAKE_C_FLAGS_RELEASE|MR_[A-Z_]+):[A-Z]+=' "$build/CMakeCache.txt")
cmake -S "$tree" -B "$tree/build" "${choices[@]}" -DBUILD_TESTING=OFF -DMR_CUDA=OFF > "$tmp/log" 2>&1 ||
  fail "configure: $(tail -n 20 "$tmp/log")"
cmake --build "$tree/build" --target minrnn -j 2 > "$tmp/log" 2>&1 || fail "build: $(tail -n 30 "$tmp/log")"

cd "$tree"
echo "minrnn list shows them"
build/minrnn list > "$tmp/list"
grep -qw ema "$tmp/list" || fail "no ema in: $(cat "$tmp/list")"
grep -qw recall_first "$tmp/list" || fail "no recall_first in: $(cat "$tmp/list")"

echo "minrnn check holds for the scan that the example baseline is made of"
build/minrnn check scan > "$tmp/log" 2>&1 || fail "check: $(tail -n 5 "$tmp/log")"

echo "the commands of the text run, and the runs complete"
run_all() # README WORD
{
  local command n=0
  while read -r command; do
    echo "  $command"
    # The words of these commands need no quoting.
    # shellcheck disable=SC2086
    $command > "$tmp/log" 2>&1 || fail "$command: $(tail -n 5 "$tmp/log")"
    n=$((n + 1))
  done < <(commands_of "$1" "$2")
  [ "$n" -gt 0 ] || fail "$1 has no command with $2"
}
run_all baselines/README.md model=ema
run_all tasks/README.md task=recall_first
build/minrnn table summary results/runs/*.h5 --format=tsv > "$tmp/summary"
[ "$(grep -cw complete "$tmp/summary")" = 2 ] || fail "not two complete runs: $(cat "$tmp/summary")"

echo "the example task is learnt: nine of ten answers are right, guessing gives one of eight"
awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["task"] == "recall_first" { accuracy = $at["test_accuracy_best"] }
  END { print "  accuracy " accuracy; exit !(accuracy > 0.9) }' "$tmp/summary" || fail "the example does not learn"
echo "ok"
