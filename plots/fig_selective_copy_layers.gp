# fig_selective_copy_layers.gp — test accuracy of selective copying by number of layers, ours beside the
# published. SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of layers.tsv and setting_layers.txt; paper: folder of the
# published numbers; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
if (!exists("paper")) paper = "results/paper"
load plots."/style.gp"

ours = data."/layers.tsv"
published = paper."/selective_copy_layers.tsv"
shown = line_of(data."/layers_models.txt")
spread = line_of(data."/layers_spread.txt")
of(m, value) = strcol("model") eq m ? value : NaN
# Curves that would hide one another stand a little apart.
shift(m) = 0.03 * (m eq "minlstm" ? 1 : -1)

set label 1 line_of(data."/setting_layers.txt") at screen 0.02, 0.070 left font ",9" textcolor rgb "#555555" noenhanced
set label 2 line_of(data."/published.txt") at screen 0.02, 0.030 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "Selective copying: test accuracy by number of layers" at screen 0.02, 0.955 left font ",14"
set tmargin at screen 0.88
set bmargin at screen 0.22
set lmargin at screen 0.10
set rmargin at screen 0.70
set xlabel "layers" offset 0, 0.3
set ylabel "test accuracy (%)"
set xtics 1
set xrange [0.7:line_of(data."/layers_most.txt") + 0.3]
set yrange [0:104]
set ytics 0, 20, 100
set key at screen 0.72, 0.88 left top Left reverse samplen 2.5 spacing 1.3

# Deviations exist where a model was trained with several seeds.
ours_spread = spread eq "" ? "" : 'for [m in spread] ours using (column("layers") + shift(m)): \
  (of(m, column("accuracy_percent"))):(column("deviation_percent")) with yerrorbars linewidth 1.2 \
  pointsize 0 linecolor rgb colour_of(m) notitle,'

plot \
  for [m in shown] ours using (column("layers") + shift(m)):(of(m, column("accuracy_percent"))) \
    with linespoints linewidth 2 pointtype point_of(m) pointsize 1.2 linecolor rgb colour_of(m) \
    title title_of(m).", ours", \
  @ours_spread \
  for [m in "mingru minlstm"] published using (column("layers") + 3 * shift(m)): \
    (of(m, column("accuracy_percent"))) with lines linewidth 1.2 dashtype 2 linecolor rgb colour_of(m) \
    notitle, \
  for [m in "mingru minlstm"] published using (column("layers") + 3 * shift(m)): \
    (of(m, column("accuracy_percent"))):(column("deviation_percent")) with yerrorbars linewidth 1.2 \
    pointtype point_of(m) - 1 pointsize 1.2 linecolor rgb colour_of(m) \
    title title_of(m).", published"
