#!/usr/bin/env bash
# test_reproduce.sh — runs profiles with a stand-in for minrnn and tries to lose, repeat or hide runs.
# labels: unit
# SPDX-License-Identifier: MIT
set -euo pipefail
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset PROFILE FORCE PARALLEL DEVICE ONLY

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

# The scripts in a tree of their own, with a profile of three runs and figures that only say so.
mkdir -p "$tmp/scripts/experiments"
cp "$root/scripts/reproduce.sh" "$tmp/scripts/"
cat > "$tmp/scripts/figures.sh" << 'EOF'
#!/bin/sh
echo "drawing $1"
EOF
sed 's/drawing/reporting/' "$tmp/scripts/figures.sh" > "$tmp/scripts/report.sh"
chmod +x "$tmp/scripts/figures.sh" "$tmp/scripts/report.sh"
cat > "$tmp/scripts/experiments/profile_three.txt" << 'EOF'
# a comment, and an empty line

a.cfg --model=gru --layers=2   # another comment
a.cfg --model=bad
a.cfg --model=lstm --a.key=x/y
EOF
export MINRNN=$tmp/minrnn RESULTS=$tmp/results
cat > "$MINRNN" << EOF
#!/bin/sh
echo "\$*" >> "$tmp/calls"
case "\$*" in *--model=bad*) echo "no such model" >&2; exit 2 ;; esac
case "\$*" in *--model=other*--resume*) echo "it was another run" >&2; exit 2 ;; esac
for word in "\$@"; do case \$word in --out=*) out=\${word#--out=} ;; esac; done
if [ "\$1" = table ]; then printf 'run\tstatus\treason\n%s\t%s\n' "\$3" "\$(cat "\$3")"; exit; fi
case "\$*" in *--model=fails*) echo failed > "\$out"; exit 1 ;; esac
case "\$*" in *--model=reads*) [ -e "\$MINRNN_DATA/tinyshakespeare.txt" ] || { printf 'skipped\tno text here\n' > "\$out"; exit 0; } ;; esac
case "\$*" in *--model=hops*) printf 'skipped\thopper needs MuJoCo\n' > "\$out"; exit 0 ;; esac
echo complete > "\$out"
EOF
chmod +x "$MINRNN"

for parallel in 1 2; do
  echo "a failed run does not stop the others and is named at the end (PARALLEL=$parallel)"
  rm -rf "$RESULTS" "$tmp/calls"
  code=0
  said=$(PARALLEL=$parallel "$tmp/scripts/reproduce.sh" three 2>&1) || code=$?
  [ "$code" = 1 ] || fail "exit code $code instead of 1: $said"
  [ "$(grep -c ^train "$tmp/calls")" = 3 ] || fail "not three runs: $(cat "$tmp/calls")"
  [ "$(tail -n 1 <<< "$said")" = "reproduce: failed: a-bad" ] || fail "the failed run is not named last: $said"
  grep -q 'run 3 of 3: a-lstm-a.keyx_y' <<< "$said" || fail "no progress: $said"
  grep -q '2 of 3 runs are complete' <<< "$said" || fail "no count: $said"
  grep -q 'drawing three' <<< "$said" || fail "no figures: $said"
  grep -q 'reporting three' <<< "$said" || fail "no report: $said"
  [ -e "$RESULTS/runs/three/a-gru-layers2.h5" ] || fail "no run file: $(ls "$RESULTS/runs/three")"
done
[ "$(grep -c -- '--threads=1' "$tmp/calls")" = 3 ] || fail "runs side by side take more than one thread"
grep -q -- "train $tmp/scripts/experiments/a.cfg --model=gru --layers=2 --out=.*/a-gru-layers2.h5" "$tmp/calls" ||
  fail "arguments: $(cat "$tmp/calls")"

echo "some of the runs, on another device"
rm -rf "$RESULTS" "$tmp/calls"
DEVICE=cuda ONLY='^a-(gru|lstm)' PARALLEL=1 "$tmp/scripts/reproduce.sh" three > /dev/null 2>&1 || fail "ONLY: exit code $?"
[ "$(grep -c '^train .* --device=cuda --out=' "$tmp/calls")" = 2 ] || fail "not two runs on it: $(cat "$tmp/calls")"
code=0
said=$(ONLY=none "$tmp/scripts/reproduce.sh" three 2>&1) || code=$?
[ "$code" = 2 ] && grep -q 'ONLY=none' <<< "$said" || fail "ONLY=none: exit code $code: $said"
rm -rf "$RESULTS" "$tmp/calls"
PARALLEL=2 "$tmp/scripts/reproduce.sh" three > /dev/null 2>&1 || true

last_call() # OF THE RUN
{
  grep "^train .*/$1.h5" "$tmp/calls" | tail -n 1
}

echo "finished runs are left to minrnn to skip, interrupted ones go on, failed ones start again"
sed -i 's/bad/fails/' "$tmp/scripts/experiments/profile_three.txt"
if "$tmp/scripts/reproduce.sh" three > /dev/null 2>&1; then fail "exit code 0 with a failed run"; fi
[[ $(last_call a-fails) != *--force ]] || fail "first start: $(last_call a-fails)"
rm "$RESULTS/runs/three/a-lstm-a.keyx_y.h5"
touch "$RESULTS/runs/three/a-lstm-a.keyx_y.h5.part"
if "$tmp/scripts/reproduce.sh" three > /dev/null 2>&1; then fail "exit code 0 with a failed run"; fi
[[ $(last_call a-gru-layers2) == *--resume* ]] || fail "finished: $(last_call a-gru-layers2)"
[[ $(last_call a-lstm-a.keyx_y) == *--resume* ]] || fail "interrupted: $(last_call a-lstm-a.keyx_y)"
[[ $(last_call a-fails) == *--force ]] || fail "failed: $(last_call a-fails)"

echo "a run that cannot be resumed is started again, and this is said"
echo 'a.cfg --model=other' > "$tmp/scripts/experiments/profile_other.txt"
for parallel in 1 2; do
  for left in h5 h5.part; do
    rm -rf "$RESULTS/runs/other" "$tmp/calls"
    mkdir -p "$RESULTS/runs/other"
    echo complete > "$RESULTS/runs/other/a-other.$left"
    said=$(PARALLEL=$parallel "$tmp/scripts/reproduce.sh" other 2> /dev/null) || fail "exit code $?: $said"
    [ "$(grep -c '^train .*--resume' "$tmp/calls")" = 1 ] || fail "not resumed first: $(cat "$tmp/calls")"
    [ "$(grep -c '^train .*--force' "$tmp/calls")" = 1 ] || fail "not started again: $(cat "$tmp/calls")"
    grep -q 'a-other cannot be resumed, so it starts again' <<< "$said" || fail "not said: $said"
    grep -q '1 of 1 runs are complete' <<< "$said" || fail "no count: $said"
  done
done
rm "$tmp/scripts/experiments/profile_other.txt"

echo "without a failed run the exit code is 0, and FORCE=1 starts afresh"
sed -i '/fails/d' "$tmp/scripts/experiments/profile_three.txt"
rm "$tmp/calls"
FORCE=1 "$tmp/scripts/reproduce.sh" three > /dev/null || fail "exit code $? instead of 0"
[ "$(grep -c -- '--force' "$tmp/calls")" = 2 ] || fail "FORCE=1 does not reach minrnn"

echo "a text that is needed is fetched once; without it the run is SKIPPED, which is no failure"
echo 'b.cfg --model=reads' >> "$tmp/scripts/experiments/profile_three.txt"
echo 'task = shakespeare # a comment' > "$tmp/scripts/experiments/b.cfg"
export MINRNN_DATA=$tmp/data
cat > "$tmp/scripts/fetch_data.sh" << EOF
#!/bin/sh
echo asked >> "$tmp/asked"
[ -e "$tmp/network" ] || { echo "no network" >&2; exit 1; }
mkdir -p "$MINRNN_DATA" && touch "$MINRNN_DATA/tinyshakespeare.txt"
EOF
chmod +x "$tmp/scripts/fetch_data.sh"
for parallel in 1 2; do
  rm -f "$tmp/asked"
  said=$(PARALLEL=$parallel "$tmp/scripts/reproduce.sh" three 2>&1) || fail "a skipped run is a failure: $said"
  [ "$(wc -l < "$tmp/asked")" = 1 ] || fail "the text is not asked for once"
  grep -q '^reproduce: SKIPPED: b-reads: no text here$' <<< "$said" || fail "no word of what was skipped and why: $said"
  grep -q ' 2 of 3 runs are complete' <<< "$said" || fail "wrong count: $said"
done
echo 'a.cfg --model=hops' > "$tmp/scripts/experiments/profile_hops.txt"
said=$("$tmp/scripts/reproduce.sh" hops 2>&1) || fail "a skipped run is a failure: $said"
grep -q '^reproduce: SKIPPED: a-hops: hopper needs MuJoCo$' <<< "$said" || fail "another reason than the run's own: $said"
grep -qi text <<< "$said" && fail "a text is said to be missing: $said"
rm "$tmp/scripts/experiments/profile_hops.txt"
touch "$tmp/network"
said=$("$tmp/scripts/reproduce.sh" three 2>&1) || fail "exit code $? instead of 0: $said"
grep -q ' 3 of 3 runs are complete' <<< "$said" || fail "the text came, the run did not: $said"
[[ $(last_call b-reads) == *--force ]] || fail "a skipped run is not started again: $(last_call b-reads)"
rm "$tmp/asked"
"$tmp/scripts/reproduce.sh" three > /dev/null 2>&1 || fail "exit code $? instead of 0"
[ ! -e "$tmp/asked" ] || fail "a text that is there is asked for"

echo "a line with another command measures alone, into a folder of its own"
cat > "$tmp/scripts/experiments/profile_times.txt" << 'EOF'
a.cfg --model=gru
bench e.cfg --model=gru,lstm --length=1,2
a.cfg --model=lstm
EOF
rm -f "$tmp/calls"
said=$(PARALLEL=2 "$tmp/scripts/reproduce.sh" times 2>&1) || fail "exit code $? instead of 0: $said"
grep -q ' 3 of 3 runs are complete' <<< "$said" || fail "wrong count: $said"
grep -q "^bench $tmp/scripts/experiments/e.cfg --model=gru,lstm --length=1,2 --out=$RESULTS/runs/times/e\$" "$tmp/calls" ||
  fail "the measurement was not started as it should: $(grep ^bench "$tmp/calls")"
grep -v '^table' "$tmp/calls" | sed -n 2p | grep -q ^bench || fail "the measurement did not wait for the run before it"

echo "with LIMIT runs are stopped in time, nothing else is started, and the rest is named"
cat > "$tmp/scripts/experiments/profile_long.txt" << 'EOF'
a.cfg --model=gru
a.cfg --model=slow
a.cfg --model=lstm
EOF
sed -i '2i case "$*" in *--model=slow*) [ -e "$(dirname "$0")/fast" ] || sleep 30 ;; esac' "$MINRNN"
for parallel in 1 2; do
  rm -rf "$RESULTS" "$tmp/fast"
  code=0
  before=$SECONDS
  said=$(LIMIT=1 PARALLEL=$parallel "$tmp/scripts/reproduce.sh" long 2>&1) || code=$?
  [ "$code" = 3 ] || fail "exit code $code instead of 3: $said"
  [ $((SECONDS - before)) -lt 15 ] || fail "the limit was not kept"
  grep -q '^reproduce: LEFT: a-slow$' <<< "$said" || fail "the stopped run is not named: $said"
  touch "$tmp/fast"
  said=$(LIMIT=60 PARALLEL=$parallel "$tmp/scripts/reproduce.sh" long 2>&1) || fail "exit code $? instead of 0: $said"
  grep -q ' 3 of 3 runs are complete' <<< "$said" || fail "the same command does not go on: $said"
done

echo "failing figures are a failure"
printf '#!/bin/sh\nexit 1\n' > "$tmp/scripts/figures.sh"
if "$tmp/scripts/reproduce.sh" three > /dev/null 2>&1; then fail "exit code 0 without figures"; fi

echo "wrong use is one sentence and exit code 2"
refused() # WORDS OF THE SENTENCE, COMMAND ...
{
  local want=$1 said code=0
  shift
  said=$("$@" 2>&1) || code=$?
  [ "$code" = 2 ] || fail "exit code $code instead of 2: $said"
  grep -q "$want" <<< "$said" || fail "unclear: $said"
}
refused "no profile named 'four'; there are: long three times" "$tmp/scripts/reproduce.sh" four
refused 'LIMIT=soon' env LIMIT=soon "$tmp/scripts/reproduce.sh" three
refused 'PARALLEL=x' env PARALLEL=x "$tmp/scripts/reproduce.sh" three

echo "the profiles of the project name experiment files that exist, and no run twice"
for profile in "$root"/scripts/experiments/profile_*.txt; do
  while read -r file second _; do
    case $file in *.cfg) ;; *) file=$second ;; esac
    [ -f "$root/scripts/experiments/$file" ] || fail "$profile names $file, which is missing"
  done < <(sed 's/#.*//; /^[[:space:]]*$/d' "$profile")
  twice=$(sed 's/#.*//; /^[[:space:]]*$/d' "$profile" | sort | uniq -d)
  [ -z "$twice" ] || fail "$profile names a run twice: $twice"
done
echo "ok"
