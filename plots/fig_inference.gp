# fig_inference.gp — inference: reading a context, the time of one more token by context and by batch, tokens per
# second, what a sequence's state takes, and how much faster the minimal models are, beside the paper's percentages.
# SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of inference_*.tsv and their captions; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

by_context = data."/inference_context.tsv"
by_batch = data."/inference_batch.tsv"
faster = data."/inference_faster.tsv"
shown = line_of(data."/inference_models.txt")
wide = line_of(data."/inference_wide.txt")
long = line_of(data."/inference_long.txt")

stats by_context using (column("context")) name "T" nooutput
stats by_context using (column("state_kib")) name "S" nooutput
stats by_batch using (column("batch")) name "B" nooutput
stats faster using (column("percent")) name "F" nooutput
of(m, value) = strcol("model") eq m ? value : NaN

# Panels stand in three columns and two rows.
panel(column, row) = sprintf("set lmargin at screen %g; set rmargin at screen %g; set tmargin at screen %g; set bmargin at screen %g", \
  0.055 + 0.335 * column, 0.315 + 0.335 * column, row ? 0.41 : 0.80, row ? 0.145 : 0.535)
lines = 'with linespoints linewidth 1.8 dashtype dash_of(m) pointtype point_of(m) pointsize 0.9 linecolor rgb colour_of(m)'

set multiplot
set label 1 line_of(data."/inference_setting.txt") at screen 0.02, 0.045 left font ",9" textcolor rgb "#555555" noenhanced
set label 2 "Percent faster: than Mamba at reading the context, than GRU and LSTM at one more token; published: arXiv 2410.01201, appendix D.2 (T), GPU and widths not stated." \
  at screen 0.02, 0.018 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "Inference" at screen 0.02, 0.972 left font ",14"
set logscale x 2
set logscale y 10
set grid xtics ytics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set format y "%g"

eval(panel(0, 0))
set xrange [0.85 * T_min:1.18 * T_max]
set xtics T_min, 4
set xlabel "context" offset 0, 0.5
set label 4 "reading the context, ms, ".wide at graph 0, 1.06 left font ",10"
set key at screen 0.5, 0.905 center center maxrows 3 samplen 3 width 1 Left reverse font ",10"
plot for [m in shown] by_context using (column("context")):(of(m, column("prefill_ms"))) @lines title title_of(m)

unset label
unset key
eval(panel(1, 0))
set label 4 "one more token, µs, ".wide at graph 0, 1.06 left font ",10"
plot for [m in shown] by_context using (column("context")):(of(m, column("token_us"))) @lines notitle

eval(panel(2, 0))
set yrange [0.5 * S_min:2 * S_max]
set label 4 "state of one sequence, KiB" at graph 0, 1.06 left font ",10"
plot for [m in shown] by_context using (column("context")):(of(m, column("state_kib"))) @lines notitle

eval(panel(0, 1))
set yrange [*:*]
set xrange [0.85 * B_min:1.18 * B_max]
set xtics B_min, 2
set xlabel "sequences side by side"
set label 4 "one more token of each, µs, ".long at graph 0, 1.06 left font ",10"
plot for [m in shown] by_batch using (column("batch")):(of(m, column("token_us"))) @lines notitle

eval(panel(1, 1))
set label 4 "thousand tokens per second, ".long at graph 0, 1.06 left font ",10"
plot for [m in shown] by_batch using (column("batch")):(of(m, column("tokens_per_s") / 1000)) @lines notitle

eval(panel(2, 1))
unset logscale y
set label 4 "percent faster" at graph 0, 1.06 left font ",10"
# Room for the key above the lines.
set yrange [F_min - 0.1 * (F_max - F_min):F_max + (F_max - F_min)]
set key at graph 1, 1 right top maxrows auto maxcols 1 samplen 2.5 Left reverse font ",9" opaque
pairs = "mingru:mamba minlstm:mamba mingru:gru minlstm:lstm"
first_of(p) = p[1:strstrt(p, ":") - 1]
second_of(p) = p[strstrt(p, ":") + 1:*]
of_pair(pair, who, value) = strcol("over") eq second_of(pair) && strcol("who") eq who ? of(first_of(pair), value) : NaN
# The hollow form of a reference's point is the published one.
plot for [pair in pairs] faster using (column("batch")):(of_pair(pair, "ours", column("percent"))) \
  with linespoints linewidth 1.8 pointtype point_of(second_of(pair)) pointsize 0.9 \
  linecolor rgb colour_of(first_of(pair)) title title_of(first_of(pair))." over ".title_of(second_of(pair)), \
  for [pair in pairs] faster using (column("batch")):(of_pair(pair, "paper", column("percent"))) \
  with points pointtype point_of(second_of(pair)) - 1 pointsize 1.1 linewidth 1.5 linecolor rgb colour_of(first_of(pair)) notitle, \
  NaN with points pointtype 6 pointsize 1.1 linewidth 1.5 linecolor rgb paper_colour title "hollow: published"
unset multiplot
