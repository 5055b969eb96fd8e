#!/usr/bin/env bash
# test_sample.sh — trains on a made-up text and lets the program write on: wrong use, streaming, repeats,
# runs without a text.
# labels: unit
# SPDX-License-Identifier: MIT
set -u
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
minrnn=${MINRNN:-$root/build/minrnn}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
unset MINRNN_DATA
failures=0

fail() { echo "FAILED: $1"; sed 's/^/    /' err; failures=$((failures + 1)); }
run() { "$minrnn" "$@" > out 2> err; code=$?; }

# $1 must stand in the one line on standard error; the rest is the wrong command.
wrong()
{
  local word=$1
  shift
  run "$@"
  [ "$code" = 2 ] || fail "minrnn $*: exit code $code, wanted 2"
  [ "$(wc -l < err)" = 1 ] && grep -q '^minrnn: ' err || fail "minrnn $*: not one line on standard error"
  grep -qF -- "$word" err || fail "minrnn $*: does not name $word"
  [ ! -s out ] || fail "minrnn $*: printed to standard output"
}

for _ in $(seq 100); do printf 'pack my box with five dozen liquor jugs — ok\n'; done > text.txt
tiny=(--task=shakespeare --shakespeare.file=text.txt --length=16 --width=16 --layers=1 --conv=4 --batch=8
  --lr=0.02 --threads=1 --quiet)
run train "${tiny[@]}" --steps=300 --out=run.h5
[ "$code" = 0 ] || fail "training on a text of one's own"
run train --length=12 --selective_copy.data_tokens=2 --width=8 --layers=1 --batch=4 --steps=2 --quiet --out=copy.h5
[ "$code" = 0 ] || fail "training on selective copying"

echo "text goes on from the prompt and can be repeated"
run sample run.best.ckpt --prompt='pack my ' --tokens=60 --temperature=0
[ "$code" = 0 ] && [ ! -s err ] || fail "sample ends with $code"
[ "$(head -n 1 out)" = 'pack my box with five dozen liquor jugs — ok' ] || fail "what was learnt is not told: $(cat out)"
[ "$(tail -c 1 out | od -An -tx1)" = ' 0a' ] || fail "the last line has no end"
run sample run.best.ckpt --tokens=200 --seed=5 && cp out first
run sample run.best.ckpt --tokens=200 --seed=5
cmp -s out first || fail "equal arguments, other text"
run sample run.best.ckpt --tokens=200 --seed=6
cmp -s out first && fail "another seed, the same text"
run sample run.best.ckpt --prompt='my box' --tokens=0
[ "$(cat out)" = 'my box' ] || fail "no tokens: $(cat out)"

echo "text is shown as it is made: a reader of the first letters need not wait for the last"
{ timeout 60 "$minrnn" sample run.best.ckpt --tokens=1000000000 2> err; echo $? > code; } | head -c 300 > out
[ "$(wc -c < out)" = 300 ] || fail "only $(wc -c < out) bytes came"
[ "$(cat code)" = 1 ] && grep -q 'standard output could not be written' err || fail "the reader went away: exit code $(cat code)"

echo "wrong use"
wrong "needs a checkpoint" sample
wrong "one checkpoint" sample run.best.ckpt run.last.ckpt
wrong "none.ckpt" sample none.ckpt
wrong "run.h5" sample run.h5
wrong "text.txt" sample text.txt
head -c 2000 run.best.ckpt > cut.ckpt
wrong "cut.ckpt" sample cut.ckpt
wrong "no text" sample copy.best.ckpt
wrong "X (U+0058)" sample run.best.ckpt --prompt='my X'
wrong "é (U+00E9)" sample run.best.ckpt --prompt='é'
wrong "no UTF-8" sample run.best.ckpt --prompt=$'my \xff'
for bad in tokens=-1 tokens=1.5 tokens=x tokens= top-k=-1 top-k=0.5 temperature=-1 temperature=nan temperature=hot \
  seed=-1 seed=x frobnicate=1; do
  wrong "${bad%%=*}" sample run.best.ckpt --$bad
done
wrong "frobnicate" sample run.best.ckpt --frobnicate
wrong "another network" sample run.best.ckpt --width=3
wrong "another network" sample run.best.ckpt --model=gru
mv text.txt moved.txt
wrong "text.txt cannot be read" sample run.best.ckpt
run sample run.best.ckpt --shakespeare.file=moved.txt --tokens=3
[ "$code" = 0 ] || fail "the text has moved, and it was said where to"

echo "bad texts"
: > empty.txt
printf 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa' > one.txt
head -c 4000 /dev/urandom > binary.bin
mkdir folder.txt
wrong "empty.txt is empty" train --task=shakespeare --shakespeare.file=empty.txt --out=x.h5
wrong "one.txt has one symbol only" train --task=shakespeare --shakespeare.file=one.txt --out=x.h5
wrong "binary.bin" train --task=shakespeare --shakespeare.file=binary.bin --out=x.h5
wrong "folder.txt is a folder" train --task=shakespeare --shakespeare.file=folder.txt --out=x.h5
wrong "none.txt" train --task=shakespeare --shakespeare.file=none.txt --out=x.h5
wrong "length is 1000" train --task=shakespeare --shakespeare.file=moved.txt --length=1000 --out=x.h5
wrong "data/tinyshakespeare.txt is missing: scripts/fetch_data.sh" bench --task=shakespeare
[ ! -e x.h5 ] && [ ! -e x.h5.part ] || fail "a refused run left a file"
run train --task=shakespeare --shakespeare.file=binary.bin --shakespeare.units=bytes --length=16 --width=8 --layers=1 \
  --batch=4 --steps=2 --quiet --out=bytes.h5
[ "$code" = 0 ] || fail "units=bytes does not take any file"

echo "without the text a run is skipped, and says what to do"
run train --task=shakespeare --out=skip.h5 --json
[ "$code" = 0 ] || fail "a skipped run ends with $code"
grep -q '"status": "skipped", "reason": ".*scripts/fetch_data.sh' out || fail "a skipped run does not say so: $(cat out)"
"$minrnn" table summary skip.h5 --format=csv | grep -q skipped || fail "the file does not say skipped"
mkdir data && cp moved.txt data/tinyshakespeare.txt
run train --task=shakespeare --length=16 --width=8 --layers=1 --batch=4 --steps=2 --quiet --out=skip.h5 --json
[ "$code" = 0 ] && grep -q '"test_bits_per_char_best": ' out || fail "the text came, the run did not"

[ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
echo "ok"
