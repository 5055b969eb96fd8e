# fig_selective_copy_models.gp — test accuracy of selective copying by model, ours beside the published.
# SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of models.tsv and setting.txt; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/models.tsv"
stats table using (column("row")) name "R" nooutput
stats table using (column("ours_percent")) name "O" nooutput

half = 0.19
given(x) = x == x
both(r) = given(column("ours_percent")) && given(column("paper_percent"))
# Two bars share a row, a single one is centred in it.
y_ours(r) = r + (both(r) ? -half - 0.02 : 0)
y_paper(r) = r + (both(r) ? half + 0.02 : 0)
number(v, d) = given(d) ? sprintf("%.1f ± %.1f", v, d) : sprintf("%.1f", v)
reach(v, d) = given(d) ? v + d : v

set label 1 line_of(data."/setting.txt") at screen 0.02, screen 0 offset 0, 2.2 left font ",9" textcolor rgb "#555555" noenhanced
set label 2 line_of(data."/published.txt") at screen 0.02, screen 0 offset 0, 1.1 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "Selective copying: test accuracy by model" at screen 0.02, screen 1 offset 0, -1.5 left font ",14"
set tmargin 3.2
set bmargin 6.4
set lmargin at screen 0.22
set rmargin at screen 0.97

set grid noytics xtics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set xrange [0:116]
set xtics 0, 20, 100
set xlabel "test accuracy (%)" offset 0, 0.3
set yrange [R_max + 0.6 : 0.4]
set ytics scale 0
set key at screen 0.97, graph 1.0 right bottom maxrows 1 samplen 1.2 width 1 Left reverse
set style fill solid 1.0 noborder

# The line between what was trained here and what was only published.
split = O_records + 0.5
if (O_records > 0 && O_records < R_max) set arrow 1 from graph 0, first split to graph 1, first split \
  nohead linewidth 0.8 dashtype 3 linecolor rgb "#999999"

# Deviations exist where a model was trained with several seeds.
ours_spread = line_of(data."/models_spread.txt") eq "" ? "" : 'table using (column("ours_percent")): \
  (y_ours(column("row"))):(column("ours_deviation_percent")) with xerrorbars pointsize 0 linewidth 1.2 \
  linecolor rgb "#000000" notitle,'

plot \
  table using (0):(column("row")):(0):(column("ours_percent")):(y_ours(column("row")) - half): \
    (y_ours(column("row")) + half):ytic(strcol("label")) with boxxyerror linecolor rgb "#FFFFFF" notitle, \
  for [m in line_of(data."/models_ours.txt")] \
    table using (0):(column("row")):(0):(strcol("model") eq m ? column("ours_percent") : NaN): \
      (y_ours(column("row")) - half):(y_ours(column("row")) + half) \
      with boxxyerror linecolor rgb colour_of(m) notitle, \
  NaN with boxes linecolor rgb "#444444" title "ours", \
  table using (0):(column("row")):(0):(column("paper_percent")):(y_paper(column("row")) - half): \
    (y_paper(column("row")) + half) with boxxyerror fill pattern 4 border linecolor "#888888" linecolor rgb "#888888" \
    title "published", \
  @ours_spread \
  table using (column("paper_percent")):(y_paper(column("row"))):(column("paper_deviation_percent")) \
    with xerrorbars pointsize 0 linewidth 1.2 linecolor rgb "#000000" notitle, \
  table using (reach(column("ours_percent"), column("ours_deviation_percent"))):(y_ours(column("row"))): \
    (number(column("ours_percent"), column("ours_deviation_percent"))) with labels left offset 0.5, 0 \
    font ",9" notitle, \
  table using (reach(column("paper_percent"), column("paper_deviation_percent"))):(y_paper(column("row"))): \
    (number(column("paper_percent"), column("paper_deviation_percent"))."  ".strcol("certainty")) \
    with labels left offset 0.5, 0 font ",9" textcolor rgb paper_colour notitle
