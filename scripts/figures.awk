# figures.awk — shapes the tables of runs into what the figures of selective copying read.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -v profile=NAME -f figures_common.awk -f figures.awk \
#     summary.tsv eval.tsv selective_copy_models.tsv
#
# Writes to FOLDER curves.tsv, models.tsv, layers.tsv (one heading line, tabs, percent, nan where there is
# no number), the lists of models in them and the captions. Prints the number of complete runs, if any.
function percent(x) { return x ~ /^[-+.0-9]/ ? 100 * x : "nan" }

part == 1 && field("task") == "selective_copy" && field("status") == "complete" {
  accuracy = percent(field("test_accuracy_best"))
  if (accuracy == "nan") next
  model = field("model")
  layers = field("layers") + 0
  run = field("run")
  complete++
  model_of[run] = model
  layers_of[run] = layers
  list_model(model)
  if (!((model, layers) in n)) { models_at[layers]++; seen_layers[layers] = 1 }
  n[model, layers]++
  sum[model, layers] += accuracy
  square[model, layers] += accuracy * accuracy
  text = field("length") " tokens"
  setting_seen(length_text, text)
  setting_seen(steps_text, field("steps") " steps of " field("batch") " sequences")
  setting_seen(width_text, "width " field("width"))
  setting_seen(place_text, field("device") ", " field("math"))
  if (field("length") != 4096 || field("steps") != 400000) different = 1
}

# The depth that most models were trained at; of equal ones the deepest.
function main_depth(   l, best) {
  best = -1
  for (l in seen_layers)
    if (best < 0 || models_at[l] > models_at[best] || (models_at[l] == models_at[best] && l + 0 > best + 0)) best = l
  return best + 0
}

part == 2 && field("run") in model_of && (field("split") == "valid" || field("split") == "1") {
  validation(model_of[field("run")], field("step") + 0, percent(field("accuracy")), field("loss"))
}

# Sums over the seeds of a model at the main depth; steps in the order in which they come.
function validation(model, step, accuracy, loss) {
  if (!depth) depth = main_depth()
  if (layers_of[field("run")] != depth) return
  if (!((model, step) in v_n)) step_of[model, ++steps[model]] = step
  v_n[model, step]++
  v_accuracy[model, step] += accuracy
  v_loss[model, step] += loss
}

part == 3 {
  published[++n_published] = field("model")
  label[field("model")] = field("label")
  value[field("model")] = field("accuracy_percent")
  spread[field("model")] = field("deviation_percent")
  certainty[field("model")] = field("certainty")
}

# One curve per model: the mean over its seeds. Of more than 200 validations, neighbours are averaged,
# or the noise would hide the curve.
function write_curves(   i, m, j, k, s, width, rows, accuracy, loss, list, text) {
  text = out "/curves.tsv"
  print "model", "step", "rows", "accuracy_percent", "loss" > text
  for (i = 1; i <= favourites; i++) {
    m = order[i]
    if (!steps[m]) continue
    if (list != "") print "" > text # an empty line between models, so that gnuplot does not join them
    list = with(list, m)
    width = int((steps[m] + 199) / 200)
    if (width > widest) widest = width
    for (j = 1; j <= steps[m]; j += width) {
      rows = accuracy = loss = 0
      for (k = j; k < j + width && k <= steps[m]; k++) {
        s = step_of[m, k]
        rows += v_n[m, s]
        accuracy += v_accuracy[m, s]
        loss += v_loss[m, s]
      }
      print m, s, rows, accuracy / rows, loss / rows > text
    }
  }
  print list > (out "/curves_models.txt")
}

function mean(model, layers) { return sum[model, layers] / n[model, layers] }
function deviation(model, layers,   k, v) {
  k = n[model, layers]
  if (k < 2) return "nan"
  v = (square[model, layers] - k * mean(model, layers) ^ 2) / (k - 1)
  return v > 0 ? sqrt(v) : 0
}

function write_models(   i, m, row, list, spread_list, text) {
  text = out "/models.tsv"
  print "row", "model", "label", "seeds", "ours_percent", "ours_deviation_percent", "paper_percent", \
    "paper_deviation_percent", "certainty" > text
  for (i = 1; i <= favourites; i++) {
    m = order[i]
    if (!((m, depth) in n)) continue
    list = with(list, m)
    if (n[m, depth] > 1) spread_list = with(spread_list, m)
    print ++row, m, name(m), n[m, depth], mean(m, depth), deviation(m, depth), (m in value ? value[m] : "nan"), \
      (m in value ? spread[m] : "nan"), (m in value ? certainty[m] : "-") > text
  }
  for (i = 1; i <= n_published; i++) {
    m = published[i]
    if ((m, depth) in n) continue
    print ++row, m, label[m], 0, "nan", "nan", value[m], spread[m], certainty[m] > text
  }
  print list > (out "/models_ours.txt")
  print spread_list > (out "/models_spread.txt")
}

function name(m) {
  if (m in label) return label[m]
  if (sub(/_smallops$/, "", m)) return name(m) ", small ops"
  if (sub(/_loop$/, "", m)) return name(m) ", loop"
  return m == "gru" || m == "lstm" ? toupper(m) : m
}

function write_layers(   i, m, l, list, spread_list, most, depths, several, text) {
  text = out "/layers.tsv"
  print "model", "layers", "seeds", "accuracy_percent", "deviation_percent" > text
  most = 3
  for (i = 1; i <= favourites; i++) {
    m = order[i]
    depths = several = 0
    for (l = 1; l <= 64; l++)
      if ((m, l) in n) {
        depths++
        if (n[m, l] > 1) several++
      }
    if (depths < 2 && m !~ /^min(gru|lstm)$/) continue
    if (depths) list = with(list, m)
    if (several) spread_list = with(spread_list, m)
    for (l = 1; l <= 64; l++)
      if ((m, l) in n) {
        print m, l, n[m, l], mean(m, l), deviation(m, l) > text
        if (l > most) most = l
      }
  }
  print list > (out "/layers_models.txt")
  print spread_list > (out "/layers_spread.txt")
  print most > (out "/layers_most.txt")
}

function write_captions(   ours, ours_deep, theirs, means, i, seeds, least) {
  for (i in n) {
    if (seeds == "" || n[i] > seeds) seeds = n[i]
    if (least == "" || n[i] < least) least = n[i]
  }
  ours = "Ours (profile " profile "): " one_of(length_text, "several lengths") ", " \
    one_of(width_text, "several widths") ", " one_of(steps_text, "several numbers of steps") ", " \
    (least == seeds ? seeds : least " to " seeds) (seeds == 1 ? " seed" : " seeds") ", " \
    one_of(place_text, "several devices")
  ours_deep = ours ", " depth (depth == 1 ? " layer" : " layers")
  print ours_deep "." > (out "/setting.txt")
  means = seeds > 1 ? "seeds" : ""
  if (widest > 1) means = means (means == "" ? "" : " and ") widest " validations"
  print ours_deep (means == "" ? "" : "; curves are means over " means) "." > (out "/setting_curves.txt")
  print ours "." > (out "/setting_layers.txt")
  theirs = "Published" (different ? ", in a different setting" : "") ": 4096 tokens, width 64, 400000 steps"
  print theirs ". V: seen in the source, S: quoted by others." > (out "/published.txt")
}

END {
  if (!complete) exit 0
  depth = main_depth()
  write_curves()
  write_models()
  write_layers()
  write_captions()
  print complete
}
