# figures_offline_rl.awk — shapes the tables of runs into what the figure of offline reinforcement learning
# reads. SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -v profile=NAME -f figures_common.awk -f figures_offline_rl.awk \
#     summary.tsv offline_rl.tsv
#
# Writes to FOLDER offline_rl.tsv, one row per data set and model with means and deviations over seeds: last
# and best parameters on the test episodes, the highest validation of the run (which papers report), per
# target return, and the published score; the list of models in it, names of the data sets, and the captions.
# Repetition is there once per number of layers, on which it depends who can do it. Prints the number of
# complete runs, if any.
BEGIN {
  n_envs = split("pendulum tmaze repeat halfcheetah hopper walker2d", env_order, " ")
  n_levels = split("medium medium-replay medium-expert", level_order, " ")
  n_columns = split("last best highest last_2 best_2 data_last data_best return_last return_best return_2_last return_2_best", column, " ")
  split("test_score_last test_score_best valid_score_best test_score_2_last test_score_2_best " \
    "test_data_score_last test_data_score_best test_return_last test_return_best " \
    "test_return_2_last test_return_2_best", from, " ")
  split("pendulum=Pendulum tmaze=T-maze repeat=Repeat halfcheetah=HalfCheetah hopper=Hopper walker2d=Walker2d", pair, " ")
  for (i in pair) { split(pair[i], both, "="); shown[both[1]] = both[2] }
}

part == 1 && field("task") == "offline_rl" && field("status") == "complete" {
  layers = field("offline_rl.env") == "repeat" ? field("layers") + 0 : 0
  if (layers > most_layers) most_layers = layers
  set = field("offline_rl.env") SUBSEP field("offline_rl.data") SUBSEP (field("data_generated") == "yes") SUBSEP layers
  model = field("model")
  list_model(model)
  complete++
  seen[set] = 1
  seeds[set, model]++
  for (i = 1; i <= n_columns; i++) add(set, model, column[i], field(from[i]))
  mode[set, model] = field("offline_rl.eval") " " field("offline_rl.window")
  target[set] = field("data_target")
  target_2[set] = field("data_target_2")
  data_score[set] = 100 * (field("data_return_mean") - field("data_return_low")) / \
    (field("data_return_high") - field("data_return_low"))
  origin[set] = field("data_origin")
  setting_seen(place_text, field("device") ", " field("math"))
}

function add(set, model, name, value) {
  if (value !~ /^[-+.0-9]/) return
  n[set, model, name]++
  sum[set, model, name] += value
  square[set, model, name] += value * value
}

part == 2 {
  published[field("env"), field("data"), field("model")] = field("score")
  published_deviation[field("env"), field("data"), field("model")] = field("deviation")
  certainty[field("env"), field("data"), field("model")] = field("certainty")
  label[field("env"), field("data"), field("model")] = field("label")
}

function mean(set, model, name) {
  return n[set, model, name] ? sum[set, model, name] / n[set, model, name] : "nan"
}
function deviation(set, model, name,   k, v) {
  k = n[set, model, name]
  if (k < 2) return "nan"
  v = (square[set, model, name] - k * mean(set, model, name) ^ 2) / (k - 1)
  return v > 0 ? sqrt(v) : 0
}
# A target or a mode that is not there.
function told(x) { return x == "" ? "nan" : x }

function write_row(set, env, level, made, layers, model,   i, p, line, text) {
  text = out "/offline_rl.tsv"
  split(mode[set, model], m, " ")
  p = env SUBSEP level SUBSEP model
  line = sets OFS env OFS level OFS (made ? "generated" : "D4RL") OFS (layers ? layers : "nan") OFS model OFS \
    m[1] OFS m[2] OFS seeds[set, model] OFS told(target[set]) OFS told(target_2[set])
  for (i = 1; i <= n_columns; i++)
    line = line OFS mean(set, model, column[i]) OFS deviation(set, model, column[i])
  if (p in published && !(p in diamond)) {
    diamond[p] = label[p] " on " shown[env] " " level
    letters[certainty[p]]++
  }
  if (p in published && (highest == "" || published[p] > highest + 0)) highest = published[p]
  if (seeds[set, model] > 1) several = 1
  print line, data_score[set], (p in published ? published[p] : "nan"), \
    (p in published ? published_deviation[p] : "nan"), (p in published ? certainty[p] : "-") > text
}

function write_set(set, env, level, made, layers,   i, m) {
  sets++
  print sets, shown[env] (made && env !~ /pendulum|tmaze|repeat/ ? "*" : "") \
    (layers ? ", " layers " layer" (layers > 1 ? "s" : "") : ""), level, data_score[set] > (out "/offline_rl_sets.tsv")
  for (i = 1; i <= favourites; i++) {
    m = order[i]
    if (!((set, m) in seeds)) continue
    used[m] = 1
    write_row(set, env, level, made, layers, m)
  }
}

function write_tables(   e, l, made, layers, set, i, text) {
  text = out "/offline_rl.tsv"
  printf "set\tenv\tdata\torigin\tlayers\tmodel\teval\twindow\tseeds\ttarget\ttarget_2" > text
  for (i = 1; i <= n_columns; i++) printf "\t%s\t%s_deviation", column[i], column[i] > text
  print "", "data_mean", "published", "published_deviation", "certainty" > text
  print "set", "name", "level", "data_mean" > (out "/offline_rl_sets.tsv")
  for (e = 1; e <= n_envs; e++)
    for (l = 1; l <= n_levels; l++)
      for (made = 0; made < 2; made++)
        for (layers = 0; layers <= most_layers; layers++) {
          set = env_order[e] SUBSEP level_order[l] SUBSEP made SUBSEP layers
          if (set in seen) write_set(set, env_order[e], level_order[l], made, layers)
        }
}

# Who carries its state along, and who sees windows.
function acting(   i, k, part_of, streams, windows, places, others, elsewhere) {
  for (k in mode) { split(k, part_of, SUBSEP); if (mode[k] ~ /stream/) streams[part_of[1]] = 1 }
  for (k in mode) {
    split(k, part_of, SUBSEP)
    if (!(part_of[1] in streams)) elsewhere = 1
    else if (mode[k] !~ /stream/) windows[part_of[5]] = 1
  }
  for (i = 1; i <= n_envs; i++)
    if (env_order[i] in streams) places = places (places == "" ? "" : ", ") shown[env_order[i]]
  for (i = 1; i <= favourites; i++) if (order[i] in windows) others = others (others == "" ? "" : ", ") order[i]
  if (places == "") return "Actions from windows of the last steps."
  return "State carried along in " places (others == "" ? "" : " (not by " others ")") \
    (others elsewhere == "" ? "." : "; otherwise windows of the last steps.")
}

# How surely the published scores are known: the letter of most of them, and which have another.
function certainties(   i, j, l, p, m, most, list) {
  for (l in letters) if (most == "" || letters[l] > letters[most]) most = l
  list = (most == "M" ? "recalled: " : "certainty ") most
  for (i = 1; i <= n_envs; i++)
    for (j = 1; j <= n_levels; j++)
      for (m = 1; m <= favourites; m++) {
        p = env_order[i] SUBSEP level_order[j] SUBSEP order[m]
        if (p in diamond && certainty[p] != most) list = list "; " diamond[p] ": " certainty[p]
      }
  return list
}

function write_captions(   k, i, list, least, most, any) {
  for (i = 1; i <= favourites; i++) if (order[i] in used) list = with(list, order[i])
  print list > (out "/offline_rl_models.txt")
  print highest > (out "/offline_rl_highest.txt")
  print several > (out "/offline_rl_spread.txt")
  for (k in seeds) {
    if (least == "" || seeds[k] < least) least = seeds[k]
    if (seeds[k] > most) most = seeds[k]
  }
  print "Ours (profile " profile "): " (least == most ? most : least " to " most) (most == 1 ? " seed" : " seeds") ", " \
    one_of(place_text, "several devices") ". " acting() > (out "/offline_rl_setting.txt")
  for (k in seen) { split(k, part_of, SUBSEP); if (part_of[3] && part_of[1] !~ /pendulum|tmaze|repeat/) any = 1 }
  print (any ? "* Data generated here by PPO, not D4RL's. " : "") "Small environments: by a controller." \
    > (out "/offline_rl_origin.txt")
  print (highest != "" ? "Diamonds: published, on D4RL's data (" certainties() ")." : "") \
    > (out "/offline_rl_published.txt")
}

END {
  if (!complete) exit 0
  write_tables()
  write_captions()
  print complete
}
