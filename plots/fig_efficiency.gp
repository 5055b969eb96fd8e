# fig_efficiency.gp — time, speed-up and memory of one training step over the sequence length, after the
# paper's figure 1. SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of efficiency_<width>.tsv, its captions and
# efficiency_paper.tsv; width; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/efficiency_".width.".tsv"
speed = data."/efficiency_".width."_speed.tsv"
published = data."/efficiency_paper.tsv"
shown = line_of(data."/efficiency_".width."_models.txt")

stats table using (column("length")) name "T" nooutput
stats speed using (column("ratio")) name "R" nooutput
of(m, value) = strcol("model") eq m ? value : NaN
# Granularity by line: whole, dotted for loops, dashed for vendors, dash-dot for small ops.
dash_of(m) = strstrt(m, "_loop") ? 3 : strstrt(m, "_vendor") ? 2 : strstrt(m, "_smallops") ? 4 : 1
within(t) = t >= T_min && t <= T_max
paper_time(m) = strcol("quantity") eq "step_time" && within(column("length")) ? of(m, column("value")) : NaN
paper_speed(m) = strcol("quantity") eq "speed_up" && within(column("length")) ? of(m, column("value")) : NaN
# The longest of these lengths has a published point.
known = T_max >= 512

set multiplot
set label 1 line_of(data."/efficiency_".width."_setting.txt") at screen 0.02, 0.060 left font ",9" textcolor rgb "#555555" noenhanced
if (known) set label 2 "Crosses: arXiv 2410.01201, section 4.1 (T), NVIDIA T4, batch 64, PyTorch; GRU and LSTM computed from the speed-ups, loops over steps." \
  at screen 0.02, 0.025 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "One training step over the sequence length, width ".width at screen 0.02, 0.962 left font ",14"
set tmargin at screen 0.71
set bmargin at screen 0.185
set logscale x 2
set logscale y 10
set xrange [0.85 * T_min:1.18 * T_max]
set xtics T_min, 4
set xlabel "sequence length" offset 0, 0.3
set grid xtics ytics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set ylabel "milliseconds" offset 1, 0

set lmargin at screen 0.065
set rmargin at screen 0.325
set key at screen 0.5, 0.845 center center maxrows 3 samplen 3 width 1 Left reverse font ",10"
marks = known ? 'for [m in "mingru minlstm mamba gru lstm"] published using (column("length")):(paper_time(m)) \
  with points pointtype 2 pointsize 1.2 linewidth 2 linecolor rgb colour_of(m) notitle,' : ""
plot @marks for [m in shown] table using (column("length")):(of(m, column("step_ms"))) \
  with linespoints linewidth 1.8 dashtype dash_of(m) pointtype point_of(m) pointsize 0.9 \
  linecolor rgb colour_of(m) title title_of(m)

unset label
unset key
set label 4 "times faster" at graph 0.5, 1.05 center font ",10"
unset ylabel
set lmargin at screen 0.395
set rmargin at screen 0.655
set key at graph 0.02, 0.99 left top maxrows auto maxcols 1 samplen 2.5 Left reverse font ",9"
# Room for the key above the lines.
theirs = T_max >= 4096 ? 1400 : known ? 240 : 1
highest = R_max < theirs ? theirs : R_max
set yrange [0.6 * (R_min < 1 ? R_min : 1):200 * highest]
over(m, r, value) = strcol("over") eq r ? of(m, value) : NaN
marks = known ? 'for [m in "mingru minlstm"] published using (column("length")):(paper_speed(m)) \
  with points pointtype 2 pointsize 1.2 linewidth 2 linecolor rgb colour_of(m) notitle,' : ""
pairs = "mingru:gru_loop mingru:gru mingru:gru_vendor minlstm:lstm_loop minlstm:lstm minlstm:lstm_vendor"
first_of(p) = p[1:strstrt(p, ":") - 1]
second_of(p) = p[strstrt(p, ":") + 1:*]
plot @marks 1 with lines linewidth 1 dashtype 2 linecolor rgb "#999999" notitle, \
  for [pair in pairs] speed using (column("length")):(over(first_of(pair), second_of(pair), column("ratio"))) \
  with linespoints linewidth 1.8 dashtype dash_of(second_of(pair)) pointtype point_of(second_of(pair)) pointsize 0.9 \
  linecolor rgb colour_of(first_of(pair)) title title_of(first_of(pair))." over ".title_of(second_of(pair))

unset label
unset key
set label 5 "MiB of memory" at graph 0.5, 1.05 center font ",10"
set yrange [*:*]
set lmargin at screen 0.725
set rmargin at screen 0.985
plot for [m in shown] table using (column("length")):(of(m, column("mib"))) \
  with linespoints linewidth 1.8 dashtype dash_of(m) pointtype point_of(m) pointsize 0.9 \
  linecolor rgb colour_of(m) notitle
unset multiplot
