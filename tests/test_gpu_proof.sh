#!/usr/bin/env bash
# test_gpu_proof.sh — scripts/gpu_proof.sh without a GPU: a timing on the CPU, and with a program that fails
# and hangs: what goes wrong is told, the rest goes on, and all of it ends in time.
# labels: unit
# SPDX-License-Identifier: MIT
set -u
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
export MINRNN=${MINRNN:-$root/build/minrnn} DEVICE=cpu SIZE=small PYTHON=none
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0

fail() { echo "FAILED: $1"; sed 's/^/    /' "$tmp/out"; failures=$((failures + 1)); }
proof() { "$root/scripts/gpu_proof.sh" "$@" > "$tmp/out" 2>&1; code=$?; }
holds() { grep -qE "$1" "$tmp/out" || fail "no line holds: $1"; }

echo "a timing, twice: the second time it is there"
ARCHIVE=$tmp/all.tar.gz proof "$tmp/real" eager long_loops peers
[ "$code" = 0 ] || fail "exit code $code"
holds '^eager: ok, '
holds '^peers_f32: no PyTorch'
holds '^length 32, f32:$'
holds '^  mul +backward +[0-9.]+ % copy +[0-9.]+ % products  [a-z_]+$'
holds '^  linear +forward +[0-9.]+ % copy +[1-9][0-9.]* % products  [a-z_]+$'
holds '^  mingru +2 +32 +16 f32 +eager +[0-9.e-]+ +[0-9.e-]+ +[0-9.e-]+ +[0-9.]+'
holds '^  lstm +2 +32 +16 f32 +eager +[0-9.]+'
holds 'every step ended well'
cmp -s <(tar -xzOf "$tmp/all.tar.gz" real/timings.txt) "$tmp/real/timings.txt" || fail "the archive has other timings"
proof "$tmp/real" eager
grep -q '^mingru .*kept' "$tmp/real/eager.log" || fail "a finished timing is not kept"

echo "what fails and what hangs do not stop the rest"
cat > "$tmp/broken" <<'END'
#!/bin/sh
case "$*" in
  'check --list') printf 'mul:B1 rtol\nadd:B1 rtol\n' ;;
  'check --all') printf 'ok mul:B1\nFAIL add:B1\n     parity is off\n'; exit 1 ;;
  'check mul') echo ok ;;
  'check add') printf 'FAIL add:B1\n     parity is off\n'; exit 1 ;;
  list) printf 'models\n  mingru it\n      --mingru.form=it\n\ntasks\n  it it\n' ;;
  'check model:mingru') echo ok ;;
  bench*) sleep 60 ;;
  *) echo "$1 did it" ;;
esac
END
chmod +x "$tmp/broken"
started=$SECONDS
MINRNN=$tmp/broken LIMITS="eager=4 loops=0" proof "$tmp/broken_out" check eager loops inference
[ "$code" = 1 ] || fail "exit code $code"
((SECONDS - started < 30)) || fail "it took $((SECONDS - started)) s"
holds '^check: FAILED with exit code 1'
holds '^add: FAIL add:B1'
holds '^eager: cut after 4 s'
holds '^inference: ok, '
holds 'NOT WELL: check check_add_ eager'
! grep -q '^loops' "$tmp/out" || fail "a part without time was begun"

echo "the sanitizer's cases are cases"
printf '#!/bin/sh\nshift 4\nexec "$@"\n' > "$tmp/sanitizer"
chmod +x "$tmp/sanitizer"
SANITIZER=$tmp/sanitizer proof "$tmp/clean" sanitizer
[ "$code" = 0 ] || fail "exit code $code"
holds '^racecheck: 11 of 11 cases$'
holds '^memcheck: 19 of 19 cases$'

echo "what is refused"
proof "$tmp/x" all
[ "$code" = 2 ] && holds 'no part named all; there are: info check' || fail "exit code $code"
LIMITS=check proof "$tmp/x" check
[ "$code" = 2 ] && holds 'allowed: PART=SECONDS' || fail "exit code $code"

((failures == 0)) || exit 1
