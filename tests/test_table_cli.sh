#!/usr/bin/env bash
# test_table_cli.sh — list, info and table on the command line: every form, odd names, missing and
# damaged files.
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

# A refusal is one sentence on standard error and nothing else.
refused() # CODE WORD ARGUMENTS...
{
  local code=$1 word=$2
  shift 2
  run "$code" "$@"
  [ "$(wc -l < "$tmp/err")" = 1 ] || fail "minrnn $*: $(wc -l < "$tmp/err") lines of errors"
  grep -q '^minrnn: ' "$tmp/err" || fail "minrnn $*: no sentence"
  grep -qF -- "$word" "$tmp/err" || fail "minrnn $*: $(cat "$tmp/err") does not name $word"
}

# The value under the heading $2 in line $3 (1: first row) of the TSV file $1.
cell()
{
  awk -F'\t' -v name="$2" -v row="$3" '
    NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i }
    NR == row + 1 { print k ? $k : "no column" }' "$1"
}

equal() # WHAT GOT WANT
{
  [ "$2" = "$3" ] || fail "$1 is '$2', wanted '$3'"
}

train() # MODEL SEED
{
  run 0 train --task=selective_copy --model="$1" --seed="$2" --steps=4 --layers=1 --width=8 --length=16 \
    --selective_copy.data_tokens=4 --batch=4 --eval_every=2 --eval_batches=1 --log_every=1 --threads=1 \
    --out="$tmp/first/$1-$2.h5" --quiet
}
train mingru 1
train gru 2
a=$tmp/first/mingru-1.h5
b=$tmp/first/gru-2.h5

# ---- summary
run 0 table summary "$a" "$b" --format=tsv
cp "$tmp/out" "$tmp/summary.tsv"
equal lines "$(wc -l < "$tmp/summary.tsv")" 3
equal heading "$(head -n 1 "$tmp/summary.tsv" | cut -f 1-14 | tr '\t' ' ')" \
  "run experiment task model length width layers batch seed device math steps status trust"
equal run "$(cell "$tmp/summary.tsv" run 1)" mingru-1
equal experiment "$(cell "$tmp/summary.tsv" experiment 2)" first
equal model "$(cell "$tmp/summary.tsv" model 2)" gru
equal width "$(cell "$tmp/summary.tsv" width 1)" 8
equal seed "$(cell "$tmp/summary.tsv" seed 2)" 2
equal status "$(cell "$tmp/summary.tsv" status 1)" complete
cell "$tmp/summary.tsv" test_accuracy_best 1 | grep -qE '^[01](\.[0-9]+)?$' || fail "no test accuracy"
cell "$tmp/summary.tsv" seconds 2 | grep -qE '^[0-9.e-]+$' || fail "no seconds"

# ---- rows, in the order given; columns by name
run 0 table train "$b" "$a" --format=tsv
cp "$tmp/out" "$tmp/train.tsv"
equal "first column names" "$(head -n 1 "$tmp/train.tsv" | cut -f 1-6 | tr '\t' ' ')" \
  "run model layers seed step loss"
equal "first run" "$(cell "$tmp/train.tsv" run 1)" gru-2
equal "last run" "$(cell "$tmp/train.tsv" run 8)" mingru-1
equal "last step" "$(cell "$tmp/train.tsv" step 8)" 4
equal rows "$(wc -l < "$tmp/train.tsv")" 9
run 0 table eval "$a" --format=tsv
equal splits "$(cut -f 6 "$tmp/out" | sort -u | tr '\n' ' ')" "split test valid "
run 0 table ops "$a" --format=tsv
cell "$tmp/out" pass 1 | grep -qE '^(forward|backward)$' || fail "ops have no pass"

# ---- the same cells in every form
run 0 table summary "$a" "$b" --format=csv
tr ',' '\t' < "$tmp/out" | cmp -s - "$tmp/summary.tsv" || fail "csv differs from tsv"
run 0 table summary "$a" "$b"
awk '{ $1 = $1; print }' OFS='\t' "$tmp/out" | cmp -s - "$tmp/summary.tsv" || fail "aligned differs from tsv"
run 0 table summary "$a" "$b" --json
equal "json lines" "$(wc -l < "$tmp/out")" 2
head -n 1 "$tmp/out" | grep -q '^{"run": "mingru-1", .*"width": 8, .*"status": "complete", .*}$' ||
  fail "json: $(head -n 1 "$tmp/out")"

# ---- files with different results side by side: what one lacks is nan, in JSON null
run 0 bench --model=mingru --batch=1 --length=16 --selective_copy.data_tokens=4 --width=4 --layers=1 \
  --threads=1 --samples=1 --out="$tmp/bench.h5"
run 0 table summary "$tmp/bench.h5" "$a" --format=tsv
equal "accuracy of a benchmark" "$(cell "$tmp/out" test_accuracy_best 1)" nan
equal "step time of a training" "$(cell "$tmp/out" step_ms 2)" nan
cell "$tmp/out" step_ms 1 | grep -qE '^[0-9.e-]+$' || fail "no step time"
run 0 table summary "$tmp/bench.h5" "$a" --json
head -n 1 "$tmp/out" | grep -q '"test_accuracy_best": null' || fail "json: $(head -n 1 "$tmp/out")"
run 0 table bench "$tmp/bench.h5" --format=tsv
equal "samples of a benchmark" "$(wc -l < "$tmp/out")" 2
refused 1 bench.h5 table train "$tmp/bench.h5" "$a"

# ---- odd names
odd=$(printf 'o,d"d\tn\\a m#e\xff')
cp "$a" "$tmp/$odd.h5"
run 0 table summary "$tmp/$odd.h5" --format=csv
tail -n 1 "$tmp/out" | grep -qaF "$(printf '"o,d""d\tn\\a m#e\xff",')" || fail "csv: $(cat "$tmp/out")"
run 0 table summary "$tmp/$odd.h5" --format=tsv
tail -n 1 "$tmp/out" | grep -qaF "$(printf 'o,d"d\\tn\\\\a m#e\xff\t')" || fail "tsv: $(cat "$tmp/out")"
run 0 table summary "$tmp/$odd.h5"
tail -n 1 "$tmp/out" | grep -qaF "$(printf '"o,d\\"d\\tn\\\\a m#e\xff" ')" || fail "aligned: $(cat "$tmp/out")"
run 0 table summary "$tmp/$odd.h5" --json
grep -qF '{"run": "o,d\"d\u0009n\\a m#e�", ' "$tmp/out" || fail "json: $(cat "$tmp/out")"
if command -v python3 > /dev/null; then
  { cat "$tmp/out"; "$minrnn" list --json; "$minrnn" table eval "$a" "$b" --json; } |
    python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' || fail "no JSON"
fi

# ---- unfinished and damaged files: named, and the others are still printed
cp "$a" "$tmp/cut.h5.part"
run 0 table summary "$tmp/cut.h5.part" --format=tsv
equal "stem of a .part" "$(cell "$tmp/out" run 1)" cut
head -c 5000 "$a" > "$tmp/cut.h5.part"
refused 1 cut.h5.part table train "$tmp/cut.h5.part" "$b" --format=tsv
equal "rows beside a cut file" "$(wc -l < "$tmp/out")" 5
refused 1 missing.h5 table summary "$tmp/missing.h5" "$b" --format=tsv
equal "rows beside a missing file" "$(wc -l < "$tmp/out")" 2
refused 1 colours table colours "$a"
refused 1 best.ckpt table summary "${a%.h5}.best.ckpt"

# ---- wrong use
refused 2 group table
refused 2 group table summary
refused 2 tsv table summary "$a" --format=xls
refused 2 --colour table summary "$a" --colour
refused 2 --colour list --colour
refused 2 --colour info --colour
refused 2 4096 info --threads=5000
refused 2 cuda info --device=tpu
"$minrnn" list > /dev/full 2> "$tmp/err" && fail "a full disk is no failure to list"
for command in list info table; do
  run 0 $command --help
  grep -q "^Usage: minrnn $command" "$tmp/out" || fail "$command --help shows no usage"
done

# ---- list and info
run 0 list
for name in mingru minlstm gru lstm selective_copy --minlstm.normalise=1; do
  grep -qE -- "^ +$name( |$)" "$tmp/out" || fail "list lacks $name"
done
run 0 list --json
grep -q '^{"kind": "baseline", "name": "gru", "summary": ".*", "options": \[{"key": "gru.reset", ' "$tmp/out" ||
  fail "list --json lacks gru"
run 0 info --threads=1 --json
equal "info lines" "$(wc -l < "$tmp/out")" 1
for key in cpu openblas hdf5 compiler git_commit; do
  grep -q "\"$key\": \"" "$tmp/out" || fail "info --json lacks $key"
done
for key in cores threads ram_bytes copy_bytes_per_s gemm_flop_per_s; do
  grep -qE "\"$key\": [1-9]" "$tmp/out" || fail "info --json lacks $key"
done
echo "list, info and table do what they say"
