# figures_offline_rl.awk — shapes runs of offline reinforcement learning into what its figure and table read.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -f figures_common.awk -f figures_offline_rl.awk summary.tsv offline_rl.tsv
#
# Writes to FOLDER offline_rl.tsv: a row per data set and model with the mean and deviation over seeds of the best
# and the last score, and the published score (nan: none); offline_rl_bars.tsv, where the bars stand;
# offline_rl_sets.txt, their names, and the caption. Prints the number of data sets.
function number(x) { return x ~ /^[-+.0-9]/ ? x + 0 : "nan" }

part == 1 && field("task") == "offline_rl" && field("status") == "complete" {
  best = number(field("test_score_best"))
  last = number(field("test_score_last"))
  if (best == "nan") next
  set = field("offline_rl.env") OFS field("offline_rl.data")
  model = field("model")
  if (!(set in seen)) { seen[set] = 1; sets[++n_sets] = set }
  list_model(model)
  n[set, model]++
  sum[set, model] += best
  square[set, model] += best * best
  sum_last[set, model] += last
  made[set] = field("generated") == "yes" ? "generated" : "D4RL"
  if (field("engine") ~ /^built/) made[set] = "built in"
}

part == 2 {
  set = field("env") OFS field("data")
  score[set, field("model")] = field("score")
  spread[set, field("model")] = field("deviation")
}

END {
  if (!n_sets) exit
  print "env", "data", "source", "model", "seeds", "score_best", "deviation", "score_last", "published", "published_deviation" > (out "/offline_rl.tsv")
  print "at", "model", "score_best", "deviation", "published" > (out "/offline_rl_bars.tsv")
  for (k = 1; k <= favourites; k++)
    for (s = 1; s <= n_sets; s++) if (n[sets[s], order[k]]) { shown[++bars] = order[k]; break }
  for (s = 1; s <= n_sets; s++) {
    set = sets[s]
    for (k = 1; k <= bars; k++) {
      m = shown[k]
      c = n[set, m]
      theirs = (set, m) in score ? score[set, m] : "nan"
      if (!c) continue
      mean = sum[set, m] / c
      deviation = c > 1 ? sqrt((square[set, m] - c * mean * mean) / (c - 1) > 0 ? (square[set, m] - c * mean * mean) / (c - 1) : 0) : "nan"
      print set, made[set], m, c, mean, deviation, sum_last[set, m] / c, theirs, ((set, m) in spread ? spread[set, m] : "nan") > (out "/offline_rl.tsv")
      print s + (k - (bars + 1) / 2) * 0.8 / bars, m, mean, deviation, theirs > (out "/offline_rl_bars.tsv")
    }
    split(set, word, OFS)
    names = names (s > 1 ? ";" : "") word[1] "|" word[2] "|(" made[set] ")"
  }
  for (k = 1; k <= bars; k++) list = with(list, shown[k])
  print names > (out "/offline_rl_sets.txt")
  print list > (out "/offline_rl_models.txt")
  print bars > (out "/offline_rl_count.txt")
  print n_sets
}
