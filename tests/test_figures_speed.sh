#!/usr/bin/env bash
# test_figures_speed.sh — draws efficiency, inference and roofline from made-up cells: ratios, settings that do
# not mix, what is left out. SPDX-License-Identifier: MIT
# labels: unit
set -euo pipefail
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
command -v gnuplot > /dev/null || { echo "gnuplot is missing: skipped"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset PROFILE
export MINRNN=$tmp/minrnn RESULTS=$tmp/results
data=$RESULTS/figures/data

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

cat > "$MINRNN" << EOF
#!/bin/sh
[ "\$1" = table ] && cat "$tmp/\$2.tsv" 2> /dev/null
exit 0
EOF
chmod +x "$MINRNN"
mkdir -p "$RESULTS/runs/made_up/times"
touch "$RESULTS/runs/made_up/times/cell.h5"

# Step times: gru_loop 20 times, gru 3 times, gru_vendor twice that of mingru, and memory alike; a few cells are of
# another kind, or mistrusted.
awk -v OFS='\t' 'BEGIN {
  print "run", "status", "trust", "model", "device", "threads", "math", "mode", "cache", "batch", "length", "width", "layers", \
    "step_ms", "step_p10_ms", "step_p90_ms", "planned_bytes", "copy_bytes_per_s", "gemm_flop_per_s", "context", "prefill_ms", "token_ms", \
    "tokens_per_s", "state_bytes"
  n = split("mingru 1 minlstm 1.2 gru 3 lstm 3.6 gru_loop 20 lstm_loop 24 gru_vendor 2 mamba 1.1 transformer 1.5 own_cell 9 mingru_smallops 4", m, " ")
  for (w = 64; w <= 128; w *= 2) for (t = 64; t <= 1024; t *= 4) for (i = 1; i < n; i += 2) {
    ms = m[i + 1] * t / 64
    print m[i] "-" w "-" t, "complete", "trusted", m[i], "cpu", 2, "f32", "eager", "hot", 8, t, w, 1, ms, 0.9 * ms, 1.1 * ms, m[i + 1] * t * w * 1e4, 2e10, 4e11, "nan", "nan", "nan", "nan", "nan"
  }
  print "cold", "complete", "trusted", "mingru", "cpu", 2, "f32", "eager", "cold", 8, 64, 64, 1, 777, 777, 777, 1e6, 2e10, 4e11, "nan", "nan", "nan", "nan", "nan"
  print "bad", "failed", "trusted", "lstm_vendor", "cpu", 2, "f32", "eager", "hot", 8, 64, 64, 1, 888, 888, 888, 1e6, 2e10, 4e11, "nan", "nan", "nan", "nan", "nan"
  print "odd", "complete", "mistrusted", "lstm_vendor", "cpu", 2, "f32", "eager", "hot", 8, 64, 64, 1, 999, 999, 999, 1e6, 2e10, 4e11, "nan", "nan", "nan", "nan", "nan"
  print "doubt", "complete", "mistrusted", "lstm_vendor", "cpu", 2, "f32", "eager", "hot", 8, 1024, 128, 1, 999, 999, 999, 1e6, 2e10, 4e11, "nan", "nan", "nan", "nan", "nan"
  print "doubt-i", "complete", "mistrusted", "mingru", "cpu", 2, "f32", "infer", "nan", 64, "nan", 64, 2, "nan", "nan", "nan", 1e6, "nan", "nan", 2048, 999, 999, 999, 999
  for (b = 1; b <= 64; b *= 4) for (t = 128; t <= 2048; t *= 4) for (i = 1; i < n; i += 2)
    print m[i] "-i-" b "-" t, "complete", "trusted", m[i], "cpu", 2, "f32", "infer", "nan", b, "nan", 64, 2, "nan", "nan", "nan", 1e6, "nan", "nan", t, (m[i] == "mamba" ? 2 : 1) * m[i + 1] * t, m[i + 1] * b / 1000, 1e6 / m[i + 1], 4096
}' > "$tmp/rising"
{ head -n 1 "$tmp/rising" && tail -n +2 "$tmp/rising" | tac; } > "$tmp/cells.tsv" # in no order of lengths
awk -v OFS='\t' 'BEGIN {
  print "run", "model", "layers", "seed", "name", "pass", "calls", "ns", "flops_per_s", "bytes_per_s"
  split("forward backward", pass, " ")
  for (k = 1; k <= 2; k++) {
    print "gru-128-1024", "gru", 1, 1, "linear", pass[k], 3, 1000, 2e11, 1e10
    print "mingru-128-1024", "mingru", 1, 1, "linear", pass[k], 3, 3000, 4e11, 2e10
    print "mingru-128-1024", "mingru", 1, 1, "mingru_seq", pass[k], 1, 500, 5e9, 1.6e10
    print "mingru-128-1024", "mingru", 1, 1, "rare", pass[k], 1, 1, 5e9, 1.6e10
    print "mingru-128-1024", "mingru", 1, 1, "twin", pass[k], 1, 500, 5e9, 1.6e10
    print "doubt", "lstm_vendor", 1, 1, "doubtful", pass[k], 1, 9000, 5e9, 1.6e10
    print "mingru-64-64", "mingru", 1, 1, "small", pass[k], 1, 9000, 5e9, 1.6e10
  }
}' > "$tmp/ops.tsv"

said=$("$root/scripts/figures.sh" made_up 2>&1) || fail "figures.sh: $said"
grep -qi warning <<< "$said" && fail "gnuplot warns: $said"

echo "every figure is drawn, one of efficiency per width"
for name in efficiency_64 efficiency_128 inference roofline; do
  [ "$(wc -c < "$RESULTS/figures/$name.png")" -gt 20000 ] || fail "$name.png is nearly empty"
  tail -n 2 "$RESULTS/figures/$name.svg" | grep -q '</svg>' || fail "$name.svg is cut off"
done
grep -q 'GRU (loop)' "$RESULTS/figures/efficiency_64.svg" || fail "the loop is not named"

echo "lines go from left to right"
for table in efficiency_64 inference_context inference_batch; do
  awk -F'\t' 'NR > 1 && $1 == "mingru" { n++; if ($2 + 0 <= last) exit 1; last = $2 + 0 } END { exit n < 3 }' "$data/$table.tsv" ||
    fail "$table.tsv: $(grep '^mingru' "$data/$table.tsv")"
done

echo "speed-ups are ratios of step times in one setting"
ratio=$(awk -F'\t' '$1 == "mingru_smallops" && $2 == "gru_loop" && $3 == 256 { print $4 }' "$data/efficiency_64_speed.tsv")
[ "$ratio" = 5 ] || fail "minGRU over GRU by the method of the paper is $ratio"
[ "$(awk -F'\t' '$1 == "mingru" { print $2 }' "$data/efficiency_64_speed.tsv" | sort -u | paste -sd ' ')" = "gru gru_vendor" ] ||
  fail "a fused minGRU is held against small ops"
ratio=$(awk -F'\t' '$1 == "mingru" && $2 == "gru_vendor" && $3 == 1024 { print $4 }' "$data/efficiency_128_speed.tsv")
[ "$ratio" = 2 ] || fail "minGRU over the vendor is $ratio"
grep -q 777 "$data"/efficiency_64.tsv && fail "cold and hot cells are mixed"
grep -qE '888|999' "$data"/efficiency_*.tsv && fail "failed or mistrusted cells are drawn"
grep -qE '^(gru|lstm|mingru|minlstm)	' "$data/efficiency_paper.tsv" && fail "the paper timed loops and small ops, not what is fused"
[ "$(grep -c '^gru_loop	' "$data/efficiency_paper.tsv")" = 2 ] || fail "the times published of GRU"
[ "$(grep '^mingru	' "$data/efficiency_64_memory.tsv")" = "$(printf 'mingru\tgru\t+88 %%\t-80 %%\t-67 %%')" ] ||
  fail "memory: $(cat "$data/efficiency_64_memory.tsv")"
[ "$(cat "$data/efficiency_widths.txt")" = "64 and 128" ] || fail "$(cat "$data/efficiency_widths.txt")"
grep -q 'states neither its widths .* run here: width 64 and 128\.' "$RESULTS/figures/efficiency_64.svg" || fail "the widths are not told"
grep -q own_cell "$data/efficiency_64_models.txt" || fail "a model that style.gp does not list is missing"
grep -q 'Batch 8, width 64, 1 layer, cpu (2 threads), f32, eager, hot' "$data/efficiency_64_setting.txt" || fail "$(cat "$data/efficiency_64_setting.txt")"

echo "inference: percentages, the published ones beside them"
percent=$(awk -F'\t' '$1 == "mingru" && $2 == "mamba" && $3 == "ours" && $4 == 64 { print $5 }' "$data/inference_faster.tsv")
[ "$percent" = 120 ] || fail "minGRU reads the context $percent percent faster than Mamba"
percent=$(awk -F'\t' '$1 == "mingru" && $2 == "gru" && $3 == "ours" && $4 == 64 { print $5 }' "$data/inference_faster.tsv")
[ "$percent" = 200 ] || fail "minGRU makes a token $percent percent faster than GRU"
[ "$(awk -F'\t' '$3 == "paper" { n++ } END { print n }' "$data/inference_faster.tsv")" = 10 ] || fail "published percentages"
grep -qE '999|1.2e\+06' "$data"/inference_*.tsv && fail "a mistrusted cell is drawn"
grep -q 'cpu (2 threads)' "$data/inference_setting.txt" || fail "$(cat "$data/inference_setting.txt")"
[ "$(cat "$data/inference_long.txt")" = "context 2048" ] || fail "$(cat "$data/inference_long.txt")"

echo "roofline: an op's rate over all models, none of other shapes or below one percent"
row=$(awk -F'\t' '$1 == "linear" && $3 == "forward" { print $4, $5 }' "$data/roofline.tsv")
[ "$row" = "20 350" ] || fail "linear is at $row"
grep -qE '^(rare|small|doubtful)' "$data/roofline.tsv" && fail "an op that does not belong there"
[ "$(cut -d ' ' -f 1,2 "$data/roofline_roofs.txt")" = "20 400" ] || fail "$(cat "$data/roofline_roofs.txt")"
[ "$(paste -sd , "$data/roofline_ops.txt")" = "1  mingru_seq,2  twin,3  linear" ] || fail "$(cat "$data/roofline_ops.txt")"
# Ops at one place in the plot: their numbers are apart.
[ "$(tail -n +2 "$data/roofline.tsv" | cut -f 6,7 | sort -u | wc -l)" = 6 ] || fail "numbers lie on each other: $(cat "$data/roofline.tsv")"
echo "ok"
