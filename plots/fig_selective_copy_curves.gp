# fig_selective_copy_curves.gp — validation accuracy and loss of selective copying over training steps.
# SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of curves.tsv and setting_curves.txt; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/curves.tsv"
shown = line_of(data."/curves_models.txt")

# One row in n gets a point, so that a curve carries about ten of them.
stats table using (column("step")) name "S" nooutput
every_n = 1 + int(S_records / words(shown) / 12)
of(m, value) = strcol("model") eq m ? value : NaN

set multiplot
set label 1 line_of(data."/setting_curves.txt") at screen 0.02, 0.035 left font ",9" textcolor rgb "#555555" noenhanced
set label 2 "Selective copying: training curves" at screen 0.02, 0.955 left font ",14"
set tmargin at screen 0.80
set bmargin at screen 0.20
if (S_max >= 20000) set format x "%.0s%c"
set xlabel "optimizer step" offset 0, 0.3
set xrange [0:S_max]
set xtics autofreq

set lmargin at screen 0.085
set rmargin at screen 0.475
set key at screen 0.5, 0.89 center center maxrows 1 samplen 2.5 width 2 Left reverse
if (words(shown) > 5) set key at screen 0.5, 0.87 maxrows 3 font ",9" width -1
set ylabel "validation accuracy (%)"
set yrange [0:100]
plot for [m in shown] table using (column("step")):(of(m, column("accuracy_percent"))) \
  with linespoints linewidth 1.8 pointtype point_of(m) pointsize 0.9 pointinterval every_n \
  linecolor rgb colour_of(m) title title_of(m)

unset label 1
unset label 2
unset key
set lmargin at screen 0.59
set rmargin at screen 0.97
set ylabel "validation loss (nats)"
set yrange [*:*]
set logscale y
set format y "10^{%T}"
plot for [m in shown] table using (column("step")):(of(m, column("loss"))) \
  with linespoints linewidth 1.8 pointtype point_of(m) pointsize 0.9 pointinterval every_n \
  linecolor rgb colour_of(m) notitle
unset multiplot
