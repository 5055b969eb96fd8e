# fig_roofline.gp — the rate of each op over the arithmetic it does per byte, under the machine's measured copy
# and product rates. SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of roofline.tsv and its captions; plots: folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/roofline.tsv"
roofs = line_of(data."/roofline_roofs.txt")
copy = real(word(roofs, 1))
gemm = real(word(roofs, 2))

set label 1 line_of(data."/roofline_setting.txt") at screen 0.02, 0.055 left font ",9" textcolor rgb "#555555" noenhanced
set label 4 sprintf("Measured: copy %.3g GB/s, products %.4g Gflop/s.", copy, gemm) at screen 0.02, 0.025 left font ",9" textcolor rgb "#555555" noenhanced
set label 2 line_of(data."/roofline_ops.txt") at screen 0.825, 0.845 left font ",9" noenhanced
set label 3 "What each op reaches of the machine's measured rates" at screen 0.02, 0.955 left font ",14"
# figures_roofline.awk places the numbers in a plot of these proportions.
set tmargin at screen 0.86
set bmargin at screen 0.17
set lmargin at screen 0.09
set rmargin at screen 0.80
set logscale xy
set grid xtics ytics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set xrange [real(word(roofs, 3)):real(word(roofs, 4))]
set yrange [real(word(roofs, 5)):real(word(roofs, 6))]
set samples 1000
set xlabel "flop per byte" offset 0, 0.4
set ylabel "Gflop/s" offset 1, 0
set key at screen 0.09, 0.90 left center maxrows 1 samplen 2 Left reverse font ",10"
set style textbox opaque noborder margins 0.4,0.2
roof(x) = x * copy < gemm ? x * copy : gemm
at_pass(pass, value) = strcol("pass") eq pass ? value : NaN
# Passes are told apart by shape; colours are the models'.
plot roof(x) with lines linewidth 2 linecolor rgb "#333333" \
    title "measured rates", \
  table using (column("intensity")):(column("gflop_per_s")):(column("x") - column("intensity")):(column("y") - column("gflop_per_s")) \
    with vectors nohead linewidth 0.6 linecolor rgb "#999999" notitle, \
  table using (column("x")):(column("y")):(strcol("number")) with labels center boxed font ",9" noenhanced notitle, \
  table using (column("intensity")):(at_pass("forward", column("gflop_per_s"))) \
    with points pointtype 7 pointsize 0.9 linecolor rgb "#333333" title "forward", \
  table using (column("intensity")):(at_pass("backward", column("gflop_per_s"))) \
    with points pointtype 8 pointsize 1.1 linewidth 1.4 linecolor rgb "#333333" title "backward"
