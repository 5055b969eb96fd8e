# fig_efficiency.gp — time, speed-up and memory of one training step over the sequence length, after the
# paper's figure 1. SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of efficiency_<width>.tsv, _speed.tsv, _memory.tsv, their captions
# and efficiency_paper.tsv; width; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/efficiency_".width.".tsv"
speed = data."/efficiency_".width."_speed.tsv"
published = data."/efficiency_paper.tsv"
shown = line_of(data."/efficiency_".width."_models.txt")

stats table using (column("length")) name "T" nooutput
stats table using (column("mib")) name "M" nooutput
stats speed using (column("ratio")) name "R" nooutput
of(m, value) = strcol("model") eq m ? value : NaN
within(t) = t >= T_min && t <= T_max
paper_time(m) = strcol("quantity") eq "step_time" && within(column("length")) ? of(m, column("value")) : NaN
paper_speed(m) = strcol("quantity") eq "speed_up" && within(column("length")) ? of(m, column("value")) : NaN
# The longest of these lengths has a published point.
known = T_max >= 512

set multiplot
set label 1 line_of(data."/efficiency_".width."_setting.txt") at screen 0.02, 0.085 left font ",9" textcolor rgb "#555555" noenhanced
if (known) set label 2 "Crosses: arXiv 2410.01201, section 4.1 (T), NVIDIA T4, batch 64, PyTorch; times of GRU and LSTM computed from the speed-ups." \
  at screen 0.02, 0.055 left font ",9" textcolor rgb "#555555" noenhanced
set label 6 "Its method: small ops, over loops over time steps. The paper states neither its widths nor its number of layers nor its precision; run here: width ".line_of(data."/efficiency_widths.txt")."." \
  at screen 0.02, 0.025 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "One training step over the sequence length, width ".width at screen 0.02, 0.962 left font ",14"
set label 7 "milliseconds" at graph 0.5, 1.05 center font ",10"
set tmargin at screen 0.73
set bmargin at screen 0.205
set logscale x 2
set logscale y 10
set xrange [0.85 * T_min:1.18 * T_max]
set xtics T_min, 4
set xlabel "sequence length" offset 0, 0.3
set grid xtics ytics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set lmargin at screen 0.065
set rmargin at screen 0.325
set key at screen 0.5, 0.86 center center maxrows 3 samplen 3 width 1 Left reverse font ",10"
marks = known ? 'for [m in "mingru_smallops minlstm_smallops mamba gru_loop lstm_loop"] published using (column("length")):(paper_time(m)) \
  with points pointtype 2 pointsize 1.2 linewidth 2 linecolor rgb colour_of(m) notitle,' : ""
plot @marks for [m in shown] table using (column("length")):(of(m, column("step_ms"))) \
  with linespoints linewidth 1.8 dashtype dash_of(m) pointtype point_of(m) pointsize 0.9 \
  linecolor rgb colour_of(m) title title_of(m)

unset label
unset key
set label 4 "times faster" at graph 0.5, 1.05 center font ",10"
set lmargin at screen 0.395
set rmargin at screen 0.655
set key at graph 0.02, 0.99 left top maxrows auto maxcols 1 samplen 2.5 Left reverse font ",9"
# Room for the key above the lines, four tenths of the height.
theirs = T_max >= 4096 ? 1400 : known ? 240 : 1
highest = R_max < theirs ? theirs : R_max
lowest = 0.6 * (R_min < 1 ? R_min : 1)
set yrange [lowest:highest * (highest / lowest) ** 0.67]
over(m, r, value) = strcol("over") eq r ? of(m, value) : NaN
marks = known ? 'for [m in "mingru_smallops minlstm_smallops"] published using (column("length")):(paper_speed(m)) \
  with points pointtype 2 pointsize 1.2 linewidth 2 linecolor rgb colour_of(m) notitle,' : ""
pairs = "mingru_smallops:gru_loop mingru:gru mingru:gru_vendor minlstm_smallops:lstm_loop minlstm:lstm minlstm:lstm_vendor"
first_of(p) = p[1:strstrt(p, ":") - 1]
second_of(p) = p[strstrt(p, ":") + 1:*]
plot @marks 1 with lines linewidth 1 dashtype 2 linecolor rgb "#999999" notitle, \
  for [pair in pairs] speed using (column("length")):(over(first_of(pair), second_of(pair), column("ratio"))) \
  with linespoints linewidth 1.8 dashtype dash_of(second_of(pair)) pointtype point_of(second_of(pair)) pointsize 0.9 \
  linecolor rgb colour_of(first_of(pair)) title title_of(first_of(pair))." over ".title_of(second_of(pair))

unset label
unset key
set label 5 "MiB of memory" at graph 0.5, 1.05 center font ",10"
# How much more memory, published and ours, as a little table with room for it above the lines.
cells(k) = system(sprintf("cut -f%d '%s'", k, data."/efficiency_".width."_memory.tsv"))
who = "more at ".word(cells(1), 1)
do for [k=2:words(cells(1))] { who = who."\n".title_of(word(cells(1), k))." / ".title_of(word(cells(2), k)) }
set label 10 who at graph 0.02, 0.96 left font ",9" noenhanced
places = "0.555 0.81 1.0"
do for [k=1:3] { set label 10 + k cells(2 + k) at graph real(word(places, k)), 0.96 right font ",9" noenhanced }
set yrange [0.7 * M_min:M_max * (M_max / M_min) ** 0.5]
set lmargin at screen 0.725
set rmargin at screen 0.985
plot for [m in shown] table using (column("length")):(of(m, column("mib"))) \
  with linespoints linewidth 1.8 dashtype dash_of(m) pointtype point_of(m) pointsize 0.9 \
  linecolor rgb colour_of(m) notitle
unset multiplot
