# fig_offline_rl.gp — scores of offline reinforcement learning by data set and model, beside the published.
# SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of offline_rl.tsv, offline_rl_sets.tsv and captions; plots:
# folder of style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/offline_rl.tsv"
sets = data."/offline_rl_sets.tsv"
shown = line_of(data."/offline_rl_models.txt")
stats sets using (column("set")) name "S" nooutput
stats table using (column("best")) name "B" nooutput
highest = line_of(data."/offline_rl_highest.txt") # of the published scores; empty: there are none

bar = 0.86 / words(shown)
place_of(m) = (k = 0, sum [i=1:words(shown)] (word(shown, i) eq m ? (k = i) : 0), k)
at(set, m) = set + bar * (place_of(m) - (words(shown) + 1) / 2.0)
of(m, value) = strcol("model") eq m ? value : NaN
given(x) = x == x

diamonds = line_of(data."/offline_rl_published.txt")
up = diamonds eq "" ? 0 : 1.1 # a line more

set label 1 line_of(data."/offline_rl_setting.txt") at screen 0.02, screen 0 offset 0, 3.2 + up left font ",9" textcolor rgb "#555555" noenhanced
set label 4 "Bars: test episodes with the parameters of the best validation. Line: with the last ones. Grey: mean of the data." \
  at screen 0.02, screen 0 offset 0, 2.1 + up left font ",9" textcolor rgb "#555555" noenhanced
set label 2 line_of(data."/offline_rl_origin.txt") at screen 0.02, screen 0 offset 0, 1.0 + up left font ",9" textcolor rgb "#555555" noenhanced
set label 5 diamonds at screen 0.02, screen 0 offset 0, 1.0 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "Offline reinforcement learning: normalised score by data set and model" at screen 0.02, screen 1 offset 0, -1.5 left font ",14"
set tmargin 6
set bmargin 7.6 + up
set lmargin 9
set rmargin 2
set key at screen 0.5, screen 0.885 center center maxrows 2 samplen 1.2 width 1 Left reverse font ",10"
set style fill solid 1.0 noborder
set xrange [0.4 : S_max + 0.6]
set xtics scale 0
set ylabel "score (0: random or guessing, 100: expert)"
low = B_min < 0 ? 5 * floor(B_min / 5.0) - 5 : 0
top = highest ne "" && real(highest) > B_max ? real(highest) : B_max
set yrange [low : 10 * ceil(top / 10.0) + 10]
set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead linewidth 0.8 linecolor rgb "#333333"

marks = highest eq "" ? "" : 'table using (at(column("set"), strcol("model"))):(column("published")) \
  with points pointtype 12 pointsize 0.9 linewidth 1.4 linecolor rgb "#000000" title "published",'
# Deviations exist where a model was trained with several seeds.
spread = line_of(data."/offline_rl_spread.txt") eq "" ? "" : 'table using (at(column("set"), strcol("model"))):(column("best")):(column("best_deviation")) \
  with yerrorbars pointsize 0 linewidth 1 linecolor rgb "#000000" notitle,'

plot \
  sets using (column("set")):(column("data_mean")):(column("set") - 0.45):(column("set") + 0.45) \
    with xerrorbars pointsize 0 linewidth 3 linecolor rgb "#C8C8C8" notitle, \
  for [m in shown] table using (at(column("set"), m)):(of(m, column("best"))):(0.9 * bar) \
    with boxes linecolor rgb colour_of(m) title title_of(m), \
  table using (at(column("set"), strcol("model")) - 0.45 * bar):(column("last")):(0.9 * bar):(0) \
    with vectors nohead linewidth 1.6 linecolor rgb "#FFFFFF" notitle, \
  table using (at(column("set"), strcol("model")) - 0.45 * bar):(column("last")):(0.9 * bar):(0) \
    with vectors nohead linewidth 0.8 linecolor rgb "#000000" notitle, \
  @spread \
  @marks \
  sets using (column("set")):(low):xtic(strcol("name")."\n".strcol("level")) with points pointsize 0 notitle
