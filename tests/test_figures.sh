#!/usr/bin/env bash
# test_figures.sh — draws figures from made-up tables and tries to catch missing, empty or wrong ones.
# labels: unit
# SPDX-License-Identifier: MIT
set -euo pipefail
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
command -v gnuplot > /dev/null || { echo "gnuplot is missing: skipped"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset PROFILE
export MINRNN=$tmp/minrnn RESULTS=$tmp/results

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

# A program that knows only `table summary` and `table eval`, from files.
cat > "$MINRNN" << EOF
#!/bin/sh
[ "\$1" = table ] && cat "$tmp/\$2.tsv"
exit \$(cat "$tmp/table_code" 2> /dev/null || echo 0)
EOF
chmod +x "$MINRNN"

# One run per line of input: model, layers, seed, status, test accuracy; the task is $1.
make_tables()
{
  rm -rf "$RESULTS"
  mkdir -p "$RESULTS/runs/made_up"
  awk -v OFS='\t' -v task="${1:-selective_copy}" -v summary="$tmp/summary.tsv" -v eval="$tmp/eval.tsv" -v runs="$RESULTS/runs/made_up" '
    BEGIN {
      print "run", "experiment", "task", "model", "length", "width", "layers", "batch", "seed", "device", "math", \
        "steps", "status", "test_accuracy_best", "test_loss_best", "seconds" > summary
      print "run", "model", "layers", "seed", "step", "split", "loss", "accuracy", "wall_ns" > eval
    }
    {
      run = $1 "-" $2 "-" $3
      printf "" > (runs "/" run ".h5")
      print run, "made_up", task, $1, 64, 64, $2, 32, $3, "cpu", "f32", 400, $4, $5, 0.1, 12 > summary
      for (step = 0; step <= 400; step += 50)
        print run, $1, $2, $3, step, "valid", 2.6 * exp(-step / 100), $5 * step / 400, 3e7 * step > eval
      print run, $1, $2, $3, 400, "test", 0.1, $5, 1.2e10 > eval
    }'
}

figure_is_good() # NAME [TITLE]
{
  local png=$RESULTS/figures/$1.png svg=$RESULTS/figures/$1.svg
  [ "$(head -c 8 "$png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "$1.png is no PNG"
  [ "$(wc -c < "$png")" -gt 20000 ] || fail "$1.png is nearly empty: $(wc -c < "$png") bytes"
  grep -q '<svg ' "$svg" || fail "$1.svg is no SVG"
  tail -n 2 "$svg" | grep -q '</svg>' || fail "$1.svg is cut off"
  grep -q "${2:-Selective copying}" "$svg" || fail "$1.svg has no title"
}

# The value in column $2 of the line of table $1 where column 'model' is $3 (and 'layers' is $4).
cell()
{
  awk -F'\t' -v name="$2" -v model="$3" -v layers="${4:-}" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    NF && $at["model"] == model && (layers == "" || $at["layers"] == layers) { print $at[name] }' \
    "$RESULTS/figures/data/$1.tsv"
}

heading_is() # TABLE WORDS
{
  local want
  want=$(tr ' ' '\t' <<< "$2")
  [ "$(head -n 1 "$RESULTS/figures/data/$1.tsv")" = "$want" ] || fail "$1.tsv has another heading than: $2"
}

echo "all figures and tables of a full set of runs are made"
make_tables << 'EOF'
mingru 3 1 complete 0.98
mingru 3 2 complete 0.96
minlstm 3 1 complete 0.95
gru 3 1 complete 0.99
lstm 3 1 complete 0.40
mingru 1 1 complete 0.30
mingru 2 1 complete 0.90
minlstm 1 1 complete 0.35
own_cell 3 1 complete 0.50
gru 1 1 failed 0.77
EOF
said=$("$root/scripts/figures.sh" made_up 2>&1) || fail "figures.sh: $said"
grep -qi warning <<< "$said" && fail "gnuplot warns: $said"
for name in curves models layers; do figure_is_good "selective_copy_$name"; done
heading_is models "row model label seeds ours_percent ours_deviation_percent paper_percent paper_deviation_percent certainty"
heading_is layers "model layers seeds accuracy_percent deviation_percent"
heading_is curves "model step rows accuracy_percent loss"

echo "seeds are averaged, failed runs left out, published numbers stand beside ours"
[ "$(cell models ours_percent mingru)" = 97 ] || fail "mean of two seeds: $(cell models ours_percent mingru)"
[ "$(cell models ours_deviation_percent mingru)" = 1.41421 ] || fail "deviation of two seeds"
[ "$(cell models ours_deviation_percent gru)" = nan ] || fail "a single seed has no deviation"
[ "$(cell models paper_percent mingru)" = 99.5 ] || fail "published value of minGRU"
[ "$(cell models certainty minlstm)" = S ] || fail "certainty of minLSTM"
[ "$(cell models ours_percent s4)" = nan ] || fail "S4 was not trained here"
[ "$(cell layers accuracy_percent mingru 2)" = 90 ] || fail "minGRU with two layers"
[ -z "$(cell layers accuracy_percent gru 1)" ] || fail "a failed run is drawn"
[ "$(cell models ours_percent own_cell)" = 50 ] || fail "a model that style.gp does not list is missing"
[ "$(cell curves step lstm | sort -n | tail -n 1)" = 400 ] || fail "curve of the LSTM"
grep -q 'different setting' "$RESULTS/figures/data/published.txt" || fail "the caption hides the other setting"

echo "each figure script runs alone"
scripts_run_alone() # PATTERN
{
  local script
  for script in "$root"/plots/$1; do
    (cd "$root" && gnuplot -e "data = '$RESULTS/figures/data'; set terminal svg; set output '$tmp/alone.svg'" "$script")
    [ "$(wc -c < "$tmp/alone.svg")" -gt 5000 ] || fail "$script alone draws nothing"
    rm "$tmp/alone.svg"
  done
}
scripts_run_alone 'fig_selective_copy_*.gp'
[ ! -e "$RESULTS/figures/shakespeare.png" ] || fail "a figure of Shakespeare without runs"

echo "losses on Shakespeare are drawn over steps and seconds, as means over seeds"
make_tables shakespeare << 'EOF'
mingru 4 1 complete 0.5
mingru 4 2 complete 0.5
minlstm 4 1 complete 0.5
transformer 4 1 complete 0.5
mamba 4 1 complete 0.5
own_cell 4 1 complete 0.5
gru 4 1 failed 0.5
lstm 4 1 skipped 0.5
EOF
said=$("$root/scripts/figures.sh" made_up 2>&1) || fail "figures.sh: $said"
grep -qi warning <<< "$said" && fail "gnuplot warns: $said"
figure_is_good shakespeare Shakespeare
heading_is shakespeare_curves "model step seconds loss"
heading_is shakespeare_models "model seeds loss bits_per_char step seconds"
[ "$(cell shakespeare_models seeds mingru)" = 2 ] || fail "seeds of minGRU"
[ "$(cell shakespeare_models step minlstm)" = 400 ] || fail "the lowest loss of minLSTM comes last"
[ -z "$(cell shakespeare_models loss gru)$(cell shakespeare_models loss lstm)" ] || fail "unfinished runs are drawn"
awk -v got="$(cell shakespeare_models bits_per_char mamba)" \
  'BEGIN { want = 2.6 * exp(-4) / log(2); exit !(got > 0.999 * want && got < 1.001 * want) }' || fail "bits of Mamba"
awk -v got="$(cell shakespeare_curves seconds mingru | tail -n 1)" 'BEGIN { exit got != 12 }' || fail "seconds of minGRU"
[ ! -e "$RESULTS/figures/selective_copy_curves.png" ] || fail "a figure of selective copying without runs"
scripts_run_alone fig_shakespeare.gp

echo "scores of acting stand by data set and model, with their seeds, targets and origin"
# One run per line: environment, level, generated (yes or no), model, seed, status, eval, score, layers if not 3.
make_plays()
{
  rm -rf "$RESULTS"
  mkdir -p "$RESULTS/runs/made_up"
  printf 'run\tstep\n' > "$tmp/eval.tsv"
  awk -v OFS='\t' -v summary="$tmp/summary.tsv" -v runs="$RESULTS/runs/made_up" '
    BEGIN {
      print "run", "task", "model", "seed", "device", "math", "status", "test_score_best", "test_score_last", \
        "valid_score_best", "test_score_2_best", "test_score_2_last", "test_data_score_best", "test_data_score_last", \
        "test_return_best", "test_return_last", "test_return_2_best", "test_return_2_last", "offline_rl.env", "offline_rl.data", "offline_rl.eval", \
        "offline_rl.window", "data_generated", "data_origin", "data_return_mean", "data_return_low", \
        "data_return_high", "data_target", "data_target_2", "layers" > summary
    }
    {
      run = $1 "-" $2 "-" $3 "-" $4 "-" $5 "-" $9
      printf "" > (runs "/" run ".h5")
      second = $1 == "tmaze" ? "nan" : $8 / 2
      print run, "offline_rl", $4, $5, "cpu", "f32", $6, $8, $8 - 5, $8 + 3, second, second, $8, $8, 10 * $8, 10 * $8, second, second, \
        $1, $2, $7, 20, $3, "somewhere", 500, 0, 1000, 3600, ($1 == "tmaze" ? "nan" : 1800), ($9 ? $9 : 3) > summary
    }'
}
make_plays << 'EOF'
hopper medium yes mingru 1 complete window 50
hopper medium yes mingru 2 complete window 54
hopper medium yes transformer 1 complete window 40
hopper medium yes mlp 1 failed window 99
hopper medium no mingru 1 complete window 70
hopper medium no mamba 1 complete window 60
tmaze medium yes minlstm 1 complete stream 100
tmaze medium yes mlp 1 complete stream -12
repeat medium yes mingru 1 complete stream 60
repeat medium yes mingru 1 complete stream 10 1
EOF
said=$("$root/scripts/figures.sh" made_up 2>&1) || fail "figures.sh: $said"
grep -qi warning <<< "$said" && fail "gnuplot warns: $said"
figure_is_good offline_rl 'Offline reinforcement learning'
# Column $1 of the row of environment $2, origin $3 and model $4.
play()
{
  awk -F'\t' -v name="$1" -v env="$2" -v origin="$3" -v model="$4" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["env"] == env && $at["origin"] == origin && $at["model"] == model { print $at[name] }' \
    "$RESULTS/figures/data/offline_rl.tsv"
}
[ "$(play best hopper generated mingru)" = 52 ] || fail "mean of two seeds: $(play best hopper generated mingru)"
[ "$(play best_deviation hopper generated mingru)" = 2.82843 ] || fail "deviation of two seeds"
[ "$(play last hopper generated mingru) $(play highest hopper generated mingru)" = "47 55" ] || fail "last, highest"
[ "$(play best_2 hopper generated mingru)" = 26 ] || fail "the second target"
[ "$(play return_2_best hopper generated mingru)" = 26 ] || fail "the return for the second target"
[ "$(play best_2 tmaze generated minlstm)" = nan ] || fail "the T-maze has one target"
[ "$(play published hopper generated mingru) $(play certainty hopper D4RL mingru)" = "79.4 M" ] || fail "published"
[ "$(play certainty hopper D4RL mamba)" = V ] || fail "what was read is not recalled"
grep -q "(recalled: M; Decision Mamba on Hopper medium: V)" "$RESULTS/figures/data/offline_rl_published.txt" ||
  fail "certainties: $(cat "$RESULTS/figures/data/offline_rl_published.txt")"
[ "$(play published tmaze generated minlstm)" = nan ] || fail "nobody published this"
[ "$(play best hopper D4RL mingru)" = 70 ] || fail "D4RL's data are kept apart from ours"
[ -z "$(play best hopper generated mlp)" ] || fail "a failed run is drawn"
[ "$(play data_mean hopper generated mingru)" = 50 ] || fail "score of the data"
grep -q '\* Data generated here' "$RESULTS/figures/data/offline_rl_origin.txt" || fail "the caption hides what was generated"
[ "$(play best repeat generated mingru | paste -sd ' ')" = "10 60" ] || fail "layers of repetition are kept apart"
grep -q 'Repeat, 1 layer	' "$RESULTS/figures/data/offline_rl_sets.tsv" || fail "layers of repetition are not told"
grep -q 'State carried along in T-maze, Repeat; otherwise' "$RESULTS/figures/data/offline_rl_setting.txt" ||
  fail "the caption: $(cat "$RESULTS/figures/data/offline_rl_setting.txt")"
grep -q 'Hopper\*' "$RESULTS/figures/data/offline_rl_sets.tsv" || fail "generated data are not marked"
scripts_run_alone fig_offline_rl.gp
make_plays <<< 'tmaze medium yes minlstm 1 complete stream 100'
said=$("$root/scripts/figures.sh" made_up 2>&1) || fail "figures.sh: $said"
grep -qi warning <<< "$said" && fail "gnuplot warns: $said"
figure_is_good offline_rl 'Offline reinforcement learning'

echo "missing models are left out, and the newest profile is taken when none is named"
make_tables << 'EOF'
minlstm 2 1 complete 0.80
EOF
"$root/scripts/figures.sh" > /dev/null
for name in curves models layers; do figure_is_good "selective_copy_$name"; done
[ -z "$(cell layers accuracy_percent mingru)" ] || fail "minGRU was not trained"
[ "$(cell models ours_percent minlstm)" = 80 ] || fail "minLSTM was trained"

echo "a run file that cannot be read does not stop the others"
echo 1 > "$tmp/table_code"
"$root/scripts/figures.sh" made_up > /dev/null || fail "exit code $?"
figure_is_good selective_copy_curves
rm "$tmp/table_code"

echo "without runs there is one clear sentence and no figure"
make_tables < /dev/null
if said=$("$root/scripts/figures.sh" made_up 2>&1); then fail "no runs, but exit code 0"; fi
grep -q 'no finished run' <<< "$said" || fail "unclear: $said"
[ "$(wc -l <<< "$said")" = 1 ] || fail "more than one line: $said"
[ ! -e "$RESULTS/figures/selective_copy_curves.png" ] || fail "a figure of nothing"

echo "only failed runs are said to be no runs"
make_tables <<< 'mingru 3 1 failed 0.5'
if said=$("$root/scripts/figures.sh" made_up 2>&1); then fail "failed runs only, but exit code 0"; fi
grep -q 'nothing in .* is complete' <<< "$said" || fail "unclear: $said"

echo "no two models share a colour or a point, and no figure uses a model's colour for something else"
list_of() { sed -n "s/^$1 *= \"\(.*\)\"/\1/p" "$root/plots/style.gp" | tr -s ' ' '\n'; }
models=$(list_of models | wc -l)
for list in colours points titles; do
  [ "$(list_of $list | sort -u | wc -l)" = "$models" ] || fail "$list of $models models: $(list_of $list | paste -sd ' ')"
done
grep -nif <(list_of colours) "$root"/plots/fig_*.gp && fail "a figure names the colour of a model"

echo "published numbers are tables of numbers with a certainty"
for table in "$root"/results/paper/*.tsv; do
  awk -F'\t' '
    /^#/ { next }
    !n { n = NF; for (i = 1; i <= NF; i++) at[$i] = i; if (!("certainty" in at) || !("source" in at)) bad = 1; next }
    NF != n || $at["certainty"] !~ /^[VTSIM]$/ || $at["source"] == "" { bad = 1 }
    { rows++ }
    END { exit bad || !rows }' "$table" || fail "$table is not in order"
done
echo "ok"
