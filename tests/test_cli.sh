#!/usr/bin/env bash
# test_cli.sh — drives the built program: wrong use in every way, lost output, kills and signals.
# SPDX-License-Identifier: MIT
# labels: unit
set -u
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
minrnn=${MINRNN:-$root/build/minrnn}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/work"
cd "$tmp/work" || exit 1
failures=0
tiny=(--length=12 --selective_copy.data_tokens=2 --width=8 --layers=1 --batch=4 --steps=12
  --eval_every=4 --log_every=4 --eval_batches=2)

fail() { echo "FAILED: $1"; sed 's/^/    /' "$tmp/err"; failures=$((failures + 1)); }

# Runs the program; standard output, error and exit code go to $tmp/out, $tmp/err and $code.
run() { "$minrnn" "$@" > "$tmp/out" 2> "$tmp/err"; code=$?; }

# All files below the current folder with size and time of change, and all folders.
listing() { find . \( -type f -printf '%p %s %T@\n' \) -o \( -type d -print \) | sort; }

# $1 must stand in the one line on standard error; the rest is the wrong command.
wrong()
{
  local word=$1 before
  shift
  before=$(listing)
  run "$@"
  [ "$code" = 2 ] || fail "minrnn $*: exit code $code, wanted 2"
  [ "$(wc -l < "$tmp/err")" = 1 ] || fail "minrnn $*: not one line on standard error"
  grep -q '^minrnn: ' "$tmp/err" || fail "minrnn $*: the line does not start with minrnn:"
  grep -qF -- "$word" "$tmp/err" || fail "minrnn $*: does not name $word"
  [ ! -s "$tmp/out" ] || fail "minrnn $*: printed to standard output"
  [ "$(listing)" = "$before" ] || fail "minrnn $*: wrote files"
}

# The command must succeed with $1 on standard output.
right()
{
  local word=$1
  shift
  run "$@"
  [ "$code" = 0 ] || fail "minrnn $*: exit code $code, wanted 0"
  grep -qF -- "$word" "$tmp/out" || fail "minrnn $*: does not print $word"
}

echo "help and version"
right "Usage: minrnn COMMAND"
right "Usage: minrnn COMMAND" --help
right "minrnn 0." --version
for command in list info train sample bench table check dump infer compare crossover verify rl-info rl-make; do right "Usage: minrnn $command" "$command" --help; done
for key in task model steps selective_copy.data_tokens lr; do
  right "$key" train --help
  right "$key" bench --help
done

echo "commands and arguments that do not exist"
wrong "did you mean train?" trian
wrong "no command frobnicate" frobnicate
wrong "no command" ""
for command in list info train sample bench table check dump rl-info rl-make; do wrong "frobnicate" "$command" --frobnicate; done
wrong "-x" train -x
wrong "one experiment file" train a.cfg b.cfg

echo "keys and values"
wrong "widht" train --widht=3
wrong "steps" train --steps=-1
wrong "lr" train --lr=1e9
wrong "lr" train --lr=fast
wrong "lr" train --lr=
wrong "lr" train --lr=nan
wrong "width" train --width=0
wrong "width" train --width=99999999999999999999
wrong "seed" train --seed=1.5
wrong "frobnicate" train --model=frobnicate
wrong "frobnicate" train --task=frobnicate
wrong "data_tokens" train --selective_copy.data_tokens=0
wrong "data_tokens" train --selective_copy.data_tokens=1.5
wrong "accum" train --batch=4 --accum=3
wrong "cpu" train --device=frobnicate
wrong "bf16" train --math=bf16
if [ ! -e /dev/nvidia0 ]; then
  for command in train bench check; do wrong "cuda" "$command" --device=cuda; done
fi
wrong "device" check --device=abacus
wrong "no_such_case" check no_such_case
wrong "samples" bench --samples=0
wrong "samples" bench --samples=2.5
wrong "seconds" bench --seconds=soon
wrong "frobnicate" bench --model=mingru,frobnicate
wrong "accum" bench "${tiny[@]}" --accum=2
wrong "math" bench --math=tf32

echo "experiment files"
wrong "missing.cfg" train missing.cfg
printf 'task = selective_copy\nwidth = 8\nste' > cut.cfg
wrong "cut.cfg" train cut.cfg
printf 'widht = 8\n' > unknown.cfg
wrong "widht" train unknown.cfg
printf 'width = 0\n' > range.cfg
wrong "range.cfg" train range.cfg
mkdir folder.cfg
wrong "folder.cfg" train folder.cfg
printf 'width = 8\n\000\377\n' > bytes.cfg
wrong "bytes.cfg" train bytes.cfg

echo "output that stands in the way"
run train "${tiny[@]}" --out=done.h5 --quiet
[ "$code" = 0 ] || fail "a small run ends with $code"
[ ! -s "$tmp/err" ] || fail "--quiet is not quiet"
wrong "done.h5 exists already" train "${tiny[@]}" --out=done.h5
wrong "done.h5 exists already" bench "${tiny[@]}" --out=done.h5
wrong "not a folder" train "${tiny[@]}" --out=done.h5/deeper
wrong "not a folder" bench "${tiny[@]}" --out=done.h5/deeper
wrong "/proc" train "${tiny[@]}" --out=/proc/run.h5
wrong "/proc" bench "${tiny[@]}" --out=/proc/run.h5
wrong "nothing to resume" train "${tiny[@]}" --out=absent.h5 --resume
if [ "$(id -u)" != 0 ]; then
  mkdir locked && chmod a-w locked
  wrong "locked" train "${tiny[@]}" --out=locked/run.h5
fi
# Commands in a folder that is 64 KiB large and full.
mkdir full
cat > "$tmp/full.sh" << 'END'
mount -t tmpfs -o size=64k none full && dd if=/dev/zero of=full/stone bs=1k count=64 2> /dev/null
"$@" 2> "$0.err"
echo $? > "$0.code"
ls full > "$0.ls"
END
if unshare --user --map-root-user --mount true 2> /dev/null; then
  unshare --user --map-root-user --mount bash "$tmp/full.sh" "$minrnn" train "${tiny[@]}" --out=full/run.h5 > /dev/null
  cp "$tmp/full.sh.err" "$tmp/err"
  [ "$(cat "$tmp/full.sh.code")" = 2 ] || fail "a full folder gives exit code $(cat "$tmp/full.sh.code")"
  [ "$(wc -l < "$tmp/err")" = 1 ] && grep -q "full" "$tmp/err" || fail "a full folder is not named"
  [ "$(cat "$tmp/full.sh.ls")" = stone ] || fail "something was written to a full folder"
else
  echo "  (a full folder: left out, file systems cannot be mounted here)"
fi

echo "checkpoints"
wrong "missing.ckpt" train "${tiny[@]}" --out=new.h5 --init=missing.ckpt
wrong "init is empty" train "${tiny[@]}" --out=new.h5 --init=
printf 'no checkpoint' > bad.ckpt
wrong "bad.ckpt" train "${tiny[@]}" --out=new.h5 --init=bad.ckpt
head -c 2000 done.best.ckpt > cut.ckpt
wrong "cut.ckpt" train "${tiny[@]}" --out=new.h5 --init=cut.ckpt
wrong "done.best.ckpt" train "${tiny[@]}" --out=new.h5 --init=done.best.ckpt --model=gru
wrong "done.h5" train "${tiny[@]}" --out=new.h5 --init=done.h5
run train "${tiny[@]}" --out=begun.h5 --quiet --threads=1
mv begun.h5 begun.h5.part
wrong "begun.h5.part is an unfinished run" train "${tiny[@]}" --out=begun.h5
wrong "lr was 0.001" train "${tiny[@]}" --out=begun.h5 --resume --lr=0.5
wrong "steps is 13 now: give --force" train "${tiny[@]}" --out=done.h5 --resume --steps=13
wrong "give --threads=1" train "${tiny[@]}" --out=begun.h5 --resume --threads=2
wrong "init was not given when the run began" train "${tiny[@]}" --out=begun.h5 --resume --init=begun.best.ckpt
wrong "give one" train "${tiny[@]}" --out=begun.h5 --resume --force
head -c 3000 begun.last.ckpt > short && mv short begun.last.ckpt
wrong "begun.last.ckpt" train "${tiny[@]}" --out=begun.h5 --resume

echo "dumps"
wrong "--out=FILE.h5" dump "${tiny[@]}"
wrong "ends in .h5" dump "${tiny[@]}" --out=new.txt
wrong "done.h5 exists already" dump "${tiny[@]}" --out=done.h5
wrong "done.h5" dump "${tiny[@]}" --out=new.h5 --init=done.h5
wrong "not a folder" dump "${tiny[@]}" --out=done.h5/new.h5
wrong "widht" dump --widht=3 --out=new.h5
right "gru on selective_copy" dump "${tiny[@]}" --model=gru --out=dump.h5
wrong "it has no parameter block.0.mixer.c0" train "${tiny[@]}" --out=new.h5 --init=dump.h5 --model=lstm
wrong "done.best.ckpt" dump "${tiny[@]}" --out=new.h5 --init=done.best.ckpt --model=gru
head -c 3000 dump.h5 > cut.h5
wrong "cut.h5" train "${tiny[@]}" --out=new.h5 --init=cut.h5 --model=gru
right "loss" dump "${tiny[@]}" --model=gru --out=dump.h5 --init=dump.h5 --force
h5dump -d /grads/head.weight dump.h5 > /dev/null || fail "h5dump does not read a dump"
run train "${tiny[@]}" --model=gru --out=initialised.h5 --init=dump.h5 --quiet
[ "$code" = 0 ] || fail "a run does not start from a dump"

echo "results"
right '"status": "complete"' train "${tiny[@]}" --out=done.h5 --force --quiet --json
for field in run seconds steps best_step test_accuracy_best test_accuracy_last valid_accuracy_best \
  valid_accuracy_last test_loss_best test_loss_last valid_loss_best valid_loss_last; do
  tail -n 1 "$tmp/out" | grep -q "\"$field\": " || fail "train --json lacks $field"
done
cp "$tmp/out" "$tmp/first"
right '"status": "complete"' train "${tiny[@]}" --out=done.h5 --resume --json
cmp -s "$tmp/out" "$tmp/first" || fail "a complete run tells another result when resumed"
grep -q "nothing to do" "$tmp/err" || fail "a complete run does not say so"
right "test accuracy" train "${tiny[@]}" --out=done.h5 --force
right '"model": "gru"' bench --model=mingru,gru "${tiny[@]}" --samples=2 --json
[ "$(wc -l < "$tmp/out")" = 2 ] || fail "bench --json of two models does not print two lines"
for field in model batch length width layers device math mixer_fwd_ms mixer_bwd_ms mixer_both_ms mixer_floor_ratio mixer_gemm_ms \
  step_ms planned_bytes device_bytes samples; do
  [ "$(grep -c "\"$field\": " "$tmp/out")" = 2 ] || fail "bench --json lacks $field"
done
run train "${tiny[@]}" --out=wild.h5 --lr=100 --weight_decay=10 --decay=all --clip=0 --steps=100 --quiet
[ "$code" = 1 ] && grep -q ' at step [0-9]* of wild.h5' "$tmp/err" || fail "a wild run: exit code $code"
[ -e wild.h5 ] && [ ! -e wild.h5.part ] || fail "a wild run is not kept as wild.h5"

echo "standard streams that fail"
for command in --help list "train --help" "bench --help"; do
  # shellcheck disable=SC2086
  "$minrnn" $command > /dev/full 2> "$tmp/err"
  [ $? = 1 ] && [ "$(wc -l < "$tmp/err")" = 1 ] || fail "$command to a full device"
  # shellcheck disable=SC2086
  "$minrnn" $command >&- 2> "$tmp/err"
  [ $? = 1 ] && [ "$(wc -l < "$tmp/err")" = 1 ] || fail "$command to a closed standard output"
done
# The reader is gone before the program prints: opening the pipe for writing waits for it to exist.
mkfifo "$tmp/pipe"
true < "$tmp/pipe" &
{ wait; "$minrnn" list 2> "$tmp/err"; echo $? > "$tmp/code"; } > "$tmp/pipe"
[ "$(cat "$tmp/code")" = 1 ] || fail "list to a pipe that nobody reads ends with $(cat "$tmp/code")"
"$minrnn" train "${tiny[@]}" --out=done.h5 --force 2>&- > "$tmp/out" || fail "train without standard error"
h5dump -H done.h5 > /dev/null || fail "train without standard error spoils its file"

echo "kills and signals"
# Column $2 of table $1 of a run.
column()
{
  "$minrnn" table "$1" "$2" --format=tsv |
    awk -F'\t' -v name="$3" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i } NR > 1 { print $k }'
}
long=("${tiny[@]}" --steps=4000 --eval_every=100 --log_every=10 --quiet)
run train "${long[@]}" --out=whole.h5
[ "$code" = 0 ] || fail "the uninterrupted run"
for signal in KILL TERM INT; do
  rm -f hit.*
  # Jobs in the background have SIGINT turned off.
  env --default-signal=INT "$minrnn" train --force "${long[@]}" --out=hit.h5 2> "$tmp/err" > "$tmp/out" &
  victim=$!
  until [ -e hit.last.ckpt ] || ! kill -0 "$victim" 2> /dev/null; do sleep 0.01; done
  if [ "$signal" = KILL ]; then
    kill -s STOP "$victim"
    while grep -qs '^State:.[RSD]' "/proc/$victim/status"; do sleep 0.01; done
    for mode in --resume --force; do
      wrong "another process is training into this run" train "${long[@]}" --out=hit.h5 "$mode"
    done
  fi
  kill -s "$signal" "$victim" 2> /dev/null
  wait "$victim" 2> /dev/null
  code=$?
  [ -e hit.h5.part ] && [ ! -e hit.h5 ] || { fail "SIG$signal came too late to test anything"; continue; }
  h5dump -H hit.h5.part > /dev/null || fail "what SIG$signal leaves cannot be read"
  if [ "$signal" != KILL ]; then
    [ "$code" = 1 ] || fail "SIG$signal ends with exit code $code"
    [ "$(wc -l < "$tmp/err")" = 1 ] || fail "SIG$signal: not one line on standard error"
    grep -q -- "go on with: minrnn train --resume --length" "$tmp/err" || fail "SIG$signal: no resume command"
  fi
  run train "${long[@]}" --out=hit.h5 --resume
  [ "$code" = 0 ] || fail "the run that SIG$signal hit does not go on"
  for name in step loss grad_norm; do
    [ "$(column train hit.h5 "$name")" = "$(column train whole.h5 "$name")" ] || fail "SIG$signal: other $name"
  done
  [ "$(column eval hit.h5 loss)" = "$(column eval whole.h5 loss)" ] || fail "SIG$signal: other validation losses"
done

[ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
echo "all is well"
