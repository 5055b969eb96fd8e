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
stats table using (column("intensity")) name "I" nooutput
stats table using (column("gflop_per_s")) name "F" nooutput

set multiplot
set label 1 line_of(data."/roofline_setting.txt") at screen 0.02, 0.030 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "What each op reaches of the machine's measured rates" at screen 0.02, 0.955 left font ",14"
set tmargin at screen 0.90
set bmargin at screen 0.16
set lmargin at screen 0.09
set rmargin at screen 0.97
set logscale xy
set grid xtics ytics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set xrange [0.5 * I_min:4 * (I_max > gemm / copy ? I_max : gemm / copy)]
set yrange [0.5 * F_min:3 * gemm]
set xlabel "flop per byte" offset 0, 0.4
set ylabel "Gflop/s" offset 1, 0
set key at graph 0.99, 0.03 right bottom samplen 2 Left reverse font ",10"
roof(x) = x * copy < gemm ? x * copy : gemm
at_pass(pass, value) = strcol("pass") eq pass ? value : NaN
named(pass) = strcol("pass") eq pass ? strcol("op") : ""
plot roof(x) with lines linewidth 2 linecolor rgb "#333333" \
    title sprintf("measured: copy %.3g GB/s, products %.4g Gflop/s", copy, gemm), \
  table using (column("intensity")):(at_pass("forward", column("gflop_per_s"))) \
    with points pointtype 7 pointsize 1 linecolor rgb "#0072B2" title "forward", \
  table using (column("intensity")):(at_pass("backward", column("gflop_per_s"))) \
    with points pointtype 9 pointsize 1 linecolor rgb "#D55E00" title "backward", \
  table using (column("intensity")):(at_pass("forward", column("gflop_per_s"))):(named("forward")) \
    with labels right offset -0.8, 0 font ",8" textcolor rgb "#333333" noenhanced notitle
unset multiplot
