#!/usr/bin/env bash
# test_claims.sh — drives infer, crossover and verify on runs it makes: forms of output, exit codes, what is
# kept; and holds the table of claims against the other published tables.
# labels: unit
# SPDX-License-Identifier: MIT
set -u
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
minrnn=${MINRNN:-$root/build/minrnn}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
failures=0

fail()
{
  echo "FAILED: $1"
  sed 's/^/    /' err
  failures=$((failures + 1))
}

# Runs the program; standard output, error and exit code go to out, err and $code.
run() { "$minrnn" "$@" > out 2> err; code=$?; }

# $1 is the exit code, $2 must stand in the one line on standard error; the rest is the command.
wrong()
{
  local want=$1 word=$2
  shift 2
  run "$@"
  [ "$code" = "$want" ] || fail "exit code $code instead of $want: $*"
  [ "$(wc -l < err)" = 1 ] && grep -qF -- "$word" err || fail "not one line with '$word': $*"
}

# Column $2 of the rows of out whose column $1 is $3; out is a table split by tabs.
cell()
{
  awk -F'\t' -v key="$1" -v name="$2" -v value="$3" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    NR > 1 && $at[key] == value { print $at[name] }' out
}

tiny=(--width=8 --layers=1 --threads=1 --batch=2)

echo "inference: every combination is a cell, finished ones are kept, cells are replayed"
run infer --model=mingru,gru,transformer "${tiny[@]}" --context=8,16 --tokens=3 --samples=2 --out=runs/infer
[ "$code" = 0 ] || fail "infer"
[ "$(find runs/infer -name '*.h5' | wc -l)" = 6 ] || fail "not six files: $(ls runs/infer)"
run infer --model=mingru,gru,transformer "${tiny[@]}" --context=8,16 --tokens=3 --samples=2 --out=runs/infer
[ "$(grep -c 'kept: runs/infer/' out)" = 6 ] || fail "finished cells are not kept: $(cat out)"
run infer --cell=mingru:b2t8d8l1:f32:eager:hot:cpu1:infer3 --samples=2 --json
[ "$code" = 0 ] && grep -q '"cell": "mingru:b2t8d8l1:f32:eager:hot:cpu1:infer3", "state": "timed"' out ||
  fail "a cell is not replayed: $(cat out)"
run table cells runs/infer --format=tsv
[ "$(cell model state_bytes mingru | sort -u)" = 32 ] || fail "state of mingru: $(cell model state_bytes mingru)"
[ "$(cell model state_step_bytes transformer | sort -u)" = 64 ] || fail "growth of the transformer's cache"
wrong 2 "it has no key length" infer --length=8
wrong 2 'context has an entry that is empty' infer --context=8,,9
wrong 2 "context is 0" infer --context=0
wrong 2 'tokens is "0"' infer --tokens=0
wrong 2 "no other settings go with it" infer --cell=gru:b1t8d8l1:f32 --width=9
wrong 2 "is not understood" infer --cell=gru:b1t8d8l1:f32:infer
wrong 2 "which does not exist" infer --model=nothing
run infer --model=mingru "${tiny[@]}" --context=8 --samples=1 --limit=10 --json
[ "$code" = 0 ] && grep -q '"state": "skipped"' out || fail "what does not fit is not skipped: $(cat out)"

echo "crossover: a row for each pair, also where there is nothing to compare"
run bench --model=mingru,gru --length=4,8 "${tiny[@]}" --selective_copy.data_tokens=1 --samples=3 --out=runs/bench
[ "$code" = 0 ] || fail "bench"
run crossover --runs=runs --model=mingru --over=gru,transformer --format=tsv
[ "$code" = 0 ] && [ "$(wc -l < out)" = 3 ] || fail "crossover: $(cat out)"
[ "$(cell over outcome transformer)" = "not measured" ] || fail "what was not timed: $(cat out)"
cell over outcome gru | grep -qE '^(between 4 and 8|at 4 already|not within 4 \.\. 8)' || fail "outcome: $(cat out)"
run crossover --runs=runs --json
[ "$code" = 0 ] && [ "$(wc -l < out)" = 29 ] || fail "not all pairs of the usual models: $(wc -l < out)"
wrong 2 "model is nosuch, which does not exist" crossover --runs=runs --over=gru,nosuch
wrong 2 "model is nosuch, which does not exist" crossover --runs=runs --model=nosuch
wrong 1 "holds no timings" crossover --runs=runs/infer
wrong 1 "cannot be read" crossover --runs=nowhere
wrong 2 "does not know the argument" crossover runs

echo "verify: all forms, and verdicts that say at which scale"
claims=$root/results/paper/claims.tsv
run verify --claims="$claims" --tsv
[ "$code" = 0 ] || fail "verify without runs"
published=$(grep -c '^[a-z]' "$claims") # the heading too
[ "$(wc -l < out)" = "$published" ] || fail "not a row per claim: $(wc -l < out) of $published"
[ -z "$(cell verdict id reproduced)" ] || fail "reproduced without runs: $(cell verdict id reproduced)"
cat > own.tsv << 'EOF'
id	claim	quantity	value	deviation	unit	certainty	source	rule	paper	fair	paper_with	match	scale	vary	experiment
cache	no	step_faster	1	nan	percent	T	x	at_least 1	mingru / transformer	gru / transformer	-	batch=2	context=4096	width=8	-
pace	yes	speed_up	1e-6	nan	1	T	x	at_least 1	mingru / gru	-	-	length=8 selective_copy.data_tokens=1	width=8	-	-
EOF
run verify --claims=own.tsv --runs=runs --tsv
[ "$code" = 0 ] || fail "verify"
[ "$(cell id verdict pace)" = reproduced ] || fail "full scale: $(cat out)"
[ "$(cell id scale cache)" = "context 16 instead of 4096" ] || fail "scale: $(cat out)"
cell id verdict cache | grep -q 'at reduced scale$' || fail "reduced scale: $(cat out)"
run verify --claims=own.tsv --runs=runs --json
[ "$(grep -c '^{"id": ' out)" = 2 ] || fail "json: $(cat out)"
run verify --claims=own.tsv --runs=runs --markdown
[ "$(grep -c '^| no | width 8 |' out)" = 1 ] && grep -q '^| not run | paper | why | command |$' out || fail "markdown: $(cat out)"
run verify --claims=own.tsv --runs=runs
grep -q '^pace .* reproduced$' out && grep -q ' 1 reproduced$' out || fail "short form: $(cat out)"
run verify pa --claims=own.tsv --runs=runs
grep -q '^  verdict      reproduced$' out && ! grep -q '^cache' out || fail "one claim: $(cat out)"
echo "no HDF5" > runs/text.h5
wrong 1 "runs/text.h5" verify --claims=own.tsv --runs=runs
[ -s out ] || fail "one bad file and nothing is judged"
wrong 1 "cannot be read" verify --claims=own.tsv --runs=nowhere
wrong 1 "cannot be read" verify --claims=nothing.tsv
wrong 2 "there is no claim speedy" verify speedy --claims=own.tsv
wrong 2 "does not know the argument" verify --fast
sed -i 's/at_least 1/roughly/' own.tsv
wrong 2 'own.tsv, line 2: rule is "roughly"' verify --claims=own.tsv

echo "the claims say what the other published tables say"
# Rows "key value" of a published table against "key value" of the claims; each must have its partner.
same() # NAME, THEN TWO LISTS ON FILES a AND b
{
  sort a > a.sorted && sort b > b.sorted
  [ -s a ] && diff a.sorted b.sorted > err || fail "claims differ from $1"
}
of_claims() # AWK CONDITION
{
  awk -F'\t' "/^#/ { next } NR > 1 && ($1) { print \$1, \$4 + 0, \$7 }" "$claims"
}
rows() # TABLE, AWK PROGRAM
{
  awk -F'\t' '/^#/ { next } !head { head = 1; next } '"$2" "$root/results/paper/$1"
}
rows efficiency.tsv '$3 == "speed_up" { print "speed-" $1 "-" $4, $5 + 0, $7 } $3 == "memory_increase" { print "memory-" $1, $5 + 0, $7 }' > a
of_claims '/^(speed|memory)-/' > b
same efficiency.tsv
rows selective_copy_layers.tsv '{ print "layers-" $1 "-" $2, $3 + 0, $5 }' > a
of_claims '/^layers-/' > b
same selective_copy_layers.tsv
rows selective_copy_models.tsv '{ print "copy-" $1, $6 + 0, $8 }' > a
of_claims '/^copy-/' > b
same selective_copy_models.tsv
rows shakespeare.tsv '$2 == "paper" { print "text-loss-" $1, $3 + 0, $5; print "text-step-" $1, $4 + 0, $5 }' > a
of_claims '/^text-(loss|step)-/' > b
same shakespeare.tsv
rows inference.tsv '{ print ($2 == "mamba" ? "context-" : "steps-") $1 "-" $3, $4 + 0, $5 }' > a
of_claims '/^(context|steps)-/' > b
same inference.tsv
# With their deviations; the averages are not in that table.
rows offline_rl.tsv '$3 ~ /^(mingru|minlstm|mamba|transformer)$/ { print "rl-" $3 "-" $1 "-" $2, $5 + 0, $7, $6 + 0 }' > a
awk -F'\t' '/^rl-/ && !/-average/ { print $1, $4 + 0, $7, $5 + 0 }' "$claims" > b
same offline_rl.tsv
awk -F'\t' '$1 == "text-step-mingru" { a = $4 } $1 == "text-step-transformer" { b = $4 }
  $1 == "text-steps-fewer" { c = $4 } END { d = b / a - c; exit !(d * d < 0.01) }' "$claims" ||
  fail "text-steps-fewer is not the ratio of the published steps"

[ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
echo "all is well"
