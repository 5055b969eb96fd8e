#!/usr/bin/env bash
# test_cuda_cli.sh — every command of the program with device=cuda, played on the host: training op by
# op, as graphs and gone on with; text, dumps, timings, checks.
# labels: slow; device: host
# SPDX-License-Identifier: MIT
set -u
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
minrnn=${MINRNN_HOST:-$root/build/minrnn_host}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
failures=0

fail() { echo "FAILED: $1"; sed 's/^/    /' err; failures=$((failures + 1)); }
run() { "$minrnn" "$@" > out 2> err; code=$?; }
right() { run "$@"; [ "$code" = 0 ] || fail "minrnn $*: exit code $code"; }

# Losses and gradient norms of a run file's training, digit for digit.
rows() { h5dump -d /train/loss -d /train/grad_norm -d /eval/loss -m '%.9g' -y "$1" | grep -v '^HDF5'; }

tiny=(--length=12 --selective_copy.data_tokens=2 --width=12 --layers=2 --batch=8 --accum=2
  --conv=4 --mlp=geglu --dropout=0.1 --log_every=2 --eval_every=4 --eval_batches=2 --threads=1 --quiet)

echo "op by op, as graphs, and once more: the same run"
right train "${tiny[@]}" --device=cuda --steps=8 --graph=0 --out=eager.h5
right train "${tiny[@]}" --device=cuda --steps=8 --graph=1 --out=graph.h5
[ "$(rows eager.h5)" = "$(rows graph.h5)" ] || fail "graphs give other losses than single ops"
cmp -s <(h5dump -g /params eager.last.ckpt | tail -n +2) <(h5dump -g /params graph.last.ckpt | tail -n +2) ||
  fail "graphs give other parameters than single ops"
right train "${tiny[@]}" --device=cuda --steps=8 --out=again.h5
[ "$(rows again.h5)" = "$(rows graph.h5)" ] || fail "a second run gives other losses"

timeout -s TERM 0.4 "$minrnn" train "${tiny[@]}" --device=cuda --steps=60 --out=stopped.h5 > out 2> err
right train "${tiny[@]}" --device=cuda --steps=60 --out=stopped.h5 --resume
right train "${tiny[@]}" --device=cuda --steps=60 --out=whole.h5
[ "$(rows stopped.h5)" = "$(rows whole.h5)" ] || fail "a run that was stopped gives other losses"

echo "the CPU comes to nearly the same"
right train "${tiny[@]}" --device=cpu --steps=8 --out=cpu.h5
paste <(h5dump -d /train/loss -m '%.9g' -y graph.h5) \
  <(h5dump -d /train/loss -m '%.9g' -y cpu.h5) | tr -d ',' |
  awk '$1 ~ /^[0-9.]+$/ { n++; if (($1 - $2) ^ 2 > 1e-8) exit 1 } END { exit n < 3 }' ||
  fail "the CPU's losses differ"

echo "numbers that go wrong end the run and are told"
run train "${tiny[@]}" --device=cuda --steps=100 --lr=100 --weight_decay=10 --decay=all --clip=0 --out=wild.h5
[ "$code" = 1 ] && grep -q ' at step [0-9]* of wild.h5' err || fail "a wild run: exit code $code"
[ -e wild.h5 ] && [ ! -e wild.h5.part ] || fail "a wild run is not kept as wild.h5"

echo "text, dumps, timings, facts"
for _ in $(seq 60); do printf 'pack my box with five dozen liquor jugs\n'; done > text.txt
right train --task=shakespeare --shakespeare.file=text.txt --length=16 --width=12 --layers=1 --batch=4 \
  --steps=6 --eval_every=6 --quiet --threads=1 --device=cuda --out=text.h5
right sample text.best.ckpt --tokens=20 --temperature=0 --device=cuda
mv out cuda.txt
right sample text.best.ckpt --tokens=20 --temperature=0 --device=cpu
cmp -s out cuda.txt || fail "the likeliest text on CUDA is another"
for device in cpu cuda; do
  right dump --length=12 --selective_copy.data_tokens=2 --width=12 --batch=2 --threads=1 --device=$device --out=$device-dump.h5
done
h5diff -p 1e-3 cpu-dump.h5 cuda-dump.h5 /grads > diff 2>&1 || { cp diff err; fail "dumped gradients differ"; }
right bench --model=mingru,gru --batch=2 --length=6 --width=8 --layers=1 --samples=2 --device=cuda \
  --selective_copy.data_tokens=2 --out=cells
grep -q mingru out || fail "bench tells nothing"
h5dump -d /bench/both_device_ns -y cells/gru-*.h5 > out && ! grep -qi nan out || fail "bench does not log its captured mixers"
h5dump -a /plan/variants -a /cell/mode -a /plan/workspace_bytes -a /plan/f32_products cells/gru-*.h5 > out 2> err ||
  fail "bench does not log what products work in, or which are f32"
grep -q '"gru_seq: ' out && grep -q '"graph"' out || fail "bench does not log which kernel gru_seq got, or how steps are made"
right check --device=cuda mul
grep -q 'cases hold' out || fail "check tells nothing"
right check --device=cuda model:mingru:form
grep -q 'ok .*model:mingru:form=log' out || fail "no model was checked"

echo "what is refused"
run train "${tiny[@]}" --device=cuda --steps=2 --out=none/of/it.h5 --math=f16
[ "$code" = 2 ] && grep -q 'f32, tf32, bf16' err || fail "math=f16: exit code $code"
run train "${tiny[@]}" --device=cpu --steps=2 --out=it.h5 --math=tf32
[ "$code" = 2 ] && grep -q 'only f32' err || fail "math=tf32 on the CPU: exit code $code"

((failures == 0)) || exit 1
