# fig_shakespeare.gp — validation loss on Shakespeare over training steps and over seconds, with the lowest
# losses that were published. SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of shakespeare_curves.tsv and its captions; paper: folder of
# the published numbers; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
if (!exists("paper")) paper = "results/paper"
load plots."/style.gp"

table = data."/shakespeare_curves.tsv"
published = paper."/shakespeare.tsv"
shown = line_of(data."/shakespeare_models.txt")
same = line_of(data."/shakespeare_same.txt")

stats table using (column("step")) name "S" nooutput
stats table using (column("seconds")) name "W" nooutput
stats published using (column("step")) name "P" nooutput
# One row in n gets a point, so that a curve carries about ten of them.
every_n = 1 + int(S_records / words(shown) / 12)
of(m, value) = strcol("model") eq m ? value : NaN
point_at(m, setting) = strcol("setting") eq setting && column("step") <= S_max ? of(m, column("loss")) : NaN

set multiplot
set label 1 line_of(data."/shakespeare_setting.txt") at screen 0.02, 0.070 left font ",9" textcolor rgb "#555555" noenhanced
theirs = "Published, lowest loss and its step: arXiv 2410.01201 (T), width 384, 3 layers, 64 sequences of 256 characters"
if (P_min <= S_max) set label 2 theirs.(same eq "cpu" ? "; nanoGPT's Transformer (V), our size." : ".") \
  at screen 0.02, 0.030 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "Shakespeare, character by character: validation loss" at screen 0.02, 0.955 left font ",14"
set tmargin at screen 0.80
set bmargin at screen 0.23
if (S_max >= 20000) set format x "%.0s%c"
set xlabel "optimizer step" offset 0, 0.3
set xrange [0:1.03 * S_max]
set xtics S_max / 4 < 1 ? 1 : S_max / 4
set ylabel "nats per character"

set lmargin at screen 0.085
set rmargin at screen 0.485
set key at screen 0.5, 0.875 center center maxrows 2 samplen 2.5 width 1 Left reverse font ",10"
# Published points exist where the curves reach their steps.
marks = P_min > S_max ? "" : 'for [m in "mingru minlstm mamba transformer"] published using (column("step")): \
  (point_at(m, "paper")) with points pointtype 3 pointsize 1.3 linewidth 2 linecolor rgb colour_of(m) notitle, \
  NaN with points pointtype 3 pointsize 1.3 linewidth 2 linecolor rgb "#444444" title "published",'
marks_same = same eq "cpu" && P_min <= S_max ? 'published using (column("step")):(point_at("transformer", "cpu")) \
  with points pointtype 2 pointsize 1.3 linewidth 2 linecolor rgb colour_of("transformer") title "nanoGPT",' : ""
plot @marks @marks_same for [m in shown] table using (column("step")):(of(m, column("loss"))) \
  with linespoints linewidth 1.8 pointtype point_of(m) pointsize 0.9 pointinterval every_n \
  linecolor rgb colour_of(m) title title_of(m)

unset label 1
unset label 2
unset label 3
unset key
set lmargin at screen 0.575
set rmargin at screen 0.97
set xlabel "seconds, validations included" offset 0, 0.3
set format x "%g"
set xrange [0:1.03 * W_max]
set xtics autofreq
set yrange [GPVAL_Y_MIN:GPVAL_Y_MAX]
unset ylabel
plot for [m in shown] table using (column("seconds")):(of(m, column("loss"))) \
  with linespoints linewidth 1.8 pointtype point_of(m) pointsize 0.9 pointinterval every_n \
  linecolor rgb colour_of(m) notitle
unset multiplot
