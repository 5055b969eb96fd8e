#!/usr/bin/env bash
# test_bench_cli.sh — sweeps on the command line: lists, descriptors, folders of cells, what does not
# fit, and the table of cells.
# labels: unit
# SPDX-License-Identifier: MIT
set -uo pipefail
export LC_ALL=C.UTF-8
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
minrnn=${MINRNN:-$root/build/minrnn}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

# run CODE WORD...: the program ends with CODE; its output goes to $tmp/out and $tmp/err.
run()
{
  local want=$1 got=0
  shift
  "$minrnn" "$@" > "$tmp/out" 2> "$tmp/err" || got=$?
  [ "$got" = "$want" ] || fail "minrnn $* ended with $got, not $want: $(cat "$tmp/err")"
}

refused() # WORD ARGUMENTS...
{
  local word=$1
  shift
  run 2 "$@"
  grep -qF -- "$word" "$tmp/err" || fail "minrnn $*: $(cat "$tmp/err") does not name $word"
  [ "$(wc -l < "$tmp/err")" = 1 ] || fail "minrnn $*: not one line of errors"
}

# The values of the columns $2.. of the TSV file $1, one row per line.
columns()
{
  local file=$1
  shift
  awk -F'\t' -v names="$*" '
    BEGIN { n = split(names, name, " ") }
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { for (k = 1; k <= n; k++) printf "%s%s", at[name[k]] ? $at[name[k]] : "no column", k < n ? " " : "\n" }' "$file"
}

small=(--selective_copy.data_tokens=1 --layers=1 --threads=1 --samples=2)

echo "every combination of lists is a cell, and its file is named after it"
run 0 bench "${small[@]}" --model=mingru,gru --length=4,8 --batch=1,2 --width=4 --cache=hot --out="$tmp/sweep"
[ "$(find "$tmp/sweep" -name '*.h5' | wc -l)" = 8 ] || fail "not 8 cells: $(ls "$tmp/sweep")"
[ -e "$tmp/sweep/gru-b2t8d4l1-f32-eager-hot-cpu1-selective_copy.data_tokens=1.h5" ] || fail "$(ls "$tmp/sweep")"
[ "$(grep -c '^batch ' "$tmp/out")" = 4 ] || fail "models of one shape do not stand together"

echo "a sweep goes on: finished cells are kept, others are timed"
rm "$tmp"/sweep/gru-b1t4*.h5
run 0 bench "${small[@]}" --model=mingru,gru --length=4,8 --batch=1,2 --width=4 --out="$tmp/sweep"
[ "$(grep -c ' kept: ' "$tmp/out")" = 7 ] || fail "$(cat "$tmp/out")"
run 0 bench "${small[@]}" --model=mingru --length=4 --batch=1 --width=4 --out="$tmp/sweep" --force
[ "$(grep -c ' kept: ' "$tmp/out")" = 0 ] || fail "--force keeps cells"

echo "one row per cell, with speed-ups over other models of the same setting"
run 0 table cells "$tmp/sweep" --over=gru,mingru,lstm --format=tsv
cp "$tmp/out" "$tmp/cells.tsv"
[ "$(columns "$tmp/cells.tsv" status trust granularity mode cache threads | sort -u | sed 's/mistrusted/trusted/' | uniq)" \
  = "complete trusted fused eager hot 1" ] || fail "$(cat "$tmp/cells.tsv")"
[ "$(columns "$tmp/cells.tsv" model batch length width layers | sort | paste -sd,)" = \
  "gru 1 4 4 1,gru 1 8 4 1,gru 2 4 4 1,gru 2 8 4 1,mingru 1 4 4 1,mingru 1 8 4 1,mingru 2 4 4 1,mingru 2 8 4 1" ] ||
  fail "$(columns "$tmp/cells.tsv" model batch length width layers)"
columns "$tmp/cells.tsv" model batch length step_ms speed_up_gru speed_up_mingru speed_up_lstm | sort -k2,3 -k1,1 |
  awk '$1 == "gru" { if ($5 != 1 || $7 != "nan") exit 1; gru = $4; over = $6 }
       $1 == "mingru" { r = gru / $4; if ($6 != 1 || $5 / r > 1.0001 || $5 / r < 0.9999 || over * $5 > 1.0001) exit 1 }' ||
  fail "speed-ups: $(columns "$tmp/cells.tsv" model step_ms speed_up_gru speed_up_mingru speed_up_lstm)"
for column in step_p10_ms step_p90_ms mixer_fwd_ms mixer_bwd_ms mixer_both_ms mixer_both_device_ms mixer_floor_ms \
  mixer_floor_ratio mixer_gemm_ms gemm_share gemm_peak_share copy_share \
  scaling launches planned_bytes device_bytes bound_bytes needed_bytes copy_bytes_per_s gemm_flop_per_s; do
  columns "$tmp/cells.tsv" "$column" | grep -qv '^[0-9.e+-]*$' && fail "column $column: $(columns "$tmp/cells.tsv" "$column")"
done
run 0 table ops "$tmp/sweep" --format=tsv
columns "$tmp/out" run name pass flops_per_s bytes_per_s > "$tmp/ops.tsv" # a pipe into grep -q may break
grep -q '^gru-b2t8.* gru_seq backward ' "$tmp/ops.tsv" || fail "no ops: $(head -n 3 "$tmp/out")"

echo "a descriptor replays its cell"
descriptor=$(columns "$tmp/cells.tsv" descriptor | head -n 1)
run 0 bench --cell="$descriptor" --samples=2 --json
grep -qF "\"cell\": \"$descriptor\", \"status\": \"complete\"" "$tmp/out" || fail "$(cat "$tmp/out")"
run 0 bench --cell=mingru:b1t32d4l1:cold --cell=gru:b1t32d4l1:cold --samples=1 --json
[ "$(grep -c '"cache": "cold"' "$tmp/out")" = 2 ] || fail "$(cat "$tmp/out")"
refused "not understood" bench --cell=mingru:4096
refused "either --cell or other settings" bench --cell=mingru:b1t4d4l1 --model=gru
refused "need a folder" bench "${small[@]}" --model=mingru,gru --out="$tmp/one.h5"
refused "cache is \"warm\"" bench --cache=hot,warm
many=1$(printf ",1%.0s" {1..70})
refused "more than 4096 cells" bench --length="$many" --batch="$many"
refused "named twice" bench "${small[@]}" --model=mingru,mingru --length=4 --width=4 --out="$tmp/twice"
refused "limit" bench --limit=0

echo "what does not fit in memory is skipped before anything is allocated, with the bytes it would need"
run 0 bench "${small[@]}" --model=mingru --length=4,100000 --batch=4096 --width=64 --limit=1e9 --out="$tmp/large"
run 0 table cells "$tmp/large" --format=tsv
columns "$tmp/out" length status needed_bytes free_bytes |
  awk '$1 == 4 && $2 == "complete" && $3 < 1e9 { small = 1 }
       $1 == 100000 && $2 == "skipped" && $3 > 1e11 && $4 == 1e9 { large = 1 }
       END { exit !(small && large) }' || fail "$(columns "$tmp/out" length status needed_bytes free_bytes)"
run 1 bench "${small[@]}" --model=mingru --length=100000 --batch=4096 --width=64 --limit=1e9
grep -q 'needs [0-9]* bytes' "$tmp/err" || fail "$(cat "$tmp/err")"

if [ ! -e /dev/nvidia0 ]; then
  echo "a device that is absent is recorded, not a failure"
  run 0 bench "${small[@]}" --model=mingru,gru --device=cuda --length=4 --out="$tmp/gpu"
  run 0 table cells "$tmp/gpu" --format=tsv
  [ "$(columns "$tmp/out" status device mode | sort -u)" = "skipped cuda graph" ] || fail "$(cat "$tmp/out")"
fi

echo "cells as bench writes them can be compared: with themselves the same, with others not at all"
for model in mingru gru; do
  run 0 bench "${small[@]/--samples=*/--samples=5}" --model=$model --length=8 --width=4 --out="$tmp/$model.h5"
  if run 0 table cells "$tmp/$model.h5" --format=tsv && grep -q mistrusted "$tmp/out"; then continue; fi
  run 0 compare "$tmp/$model.h5" "$tmp/$model.h5"
  grep -q '^1 same, 0 faster, 0 slower, 0 cannot' "$tmp/out" || fail "$(cat "$tmp/out")"
done
run 2 compare "$tmp/mingru.h5" "$tmp/gru.h5"
grep -q '^cannot compare' "$tmp/out" || fail "$(cat "$tmp/out")"

echo "a folder without run files is named"
mkdir "$tmp/empty"
run 1 table cells "$tmp/empty"
grep -q 'holds no run file' "$tmp/err" || fail "$(cat "$tmp/err")"
echo "ok"
