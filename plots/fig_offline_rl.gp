# fig_offline_rl.gp — scores of offline reinforcement learning by data set and model, with the published ones.
# SPDX-License-Identifier: MIT
#
# From outside: terminal and output; data: folder of offline_rl_bars.tsv and its captions; plots: folder of
# style.gp.
reset
if (!exists("plots")) plots = "plots"
if (!exists("data")) data = "results/figures/data"
load plots."/style.gp"

table = data."/offline_rl_bars.tsv"
shown = line_of(data."/offline_rl_models.txt")
sets = line_of(data."/offline_rl_sets.txt")
bars = int(line_of(data."/offline_rl_count.txt"))
n_sets = 1
do for [i = 1:strlen(sets)] { if (sets[i:i] eq ";") { n_sets = n_sets + 1 } }
# Name i of the list.
rest = sets
array label[n_sets]
do for [i = 1:n_sets] {
  cut = strstrt(rest, ";")
  label[i] = cut ? rest[1:cut - 1] : rest
  rest = cut ? rest[cut + 1:*] : ""
}

stats table using (column("score_best")) name "S" nooutput
set multiplot
set label 1 "Best validation of each run, acted out on the test episodes; 0: random policy, 100: expert. Lines: deviation over seeds." \
  at screen 0.02, 0.055 left font ",9" textcolor rgb "#555555" noenhanced
set label 2 "Crosses: arXiv 2410.01201, table 3, on D4RL's own data (recalled, M). Generated: data made by a policy trained here." \
  at screen 0.02, 0.022 left font ",9" textcolor rgb "#555555" noenhanced
set label 3 "Offline reinforcement learning: score by data set" at screen 0.02, 0.955 left font ",14"
set tmargin at screen 0.79
set bmargin at screen 0.24
set lmargin at screen 0.07
set rmargin at screen 0.98
set xrange [0.5:n_sets + 0.5]
set yrange [(S_min < 0 ? 1.1 * S_min : 0):(S_max > 100 ? 1.12 * S_max : 112)]
set xtics ()
lines_of(s) = (c = strstrt(s, "|"), d = c + strstrt(s[c + 1:*], "|"), s[1:c - 1]."\n".s[c + 1:d - 1]."\n".s[d + 1:*])
do for [i = 1:n_sets] { set xtics add (lines_of(label[i]) i) }
set ylabel "score" offset 1, 0
set boxwidth 0.8 / bars
set style fill solid 0.85 noborder
set key at screen 0.5, 0.875 center center maxrows 2 samplen 2 width 1 Left reverse font ",10"
of(m, value) = strcol("model") eq m ? value : NaN
plot for [m in shown] table using (column("at")):(of(m, column("score_best"))) \
    with boxes linecolor rgb colour_of(m) title title_of(m), \
  table using (column("at")):(column("score_best") - column("deviation")):(0):(2 * column("deviation")) \
    with vectors nohead linewidth 1.4 linecolor rgb "#333333" notitle, \
  table using (column("at")):(column("published")) \
    with points pointtype 2 pointsize 1.1 linewidth 2 linecolor rgb "#333333" notitle
unset multiplot
