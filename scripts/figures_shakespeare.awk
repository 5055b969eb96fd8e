# figures_shakespeare.awk — shapes the tables of runs into what the figure of Shakespeare reads.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -v profile=NAME -f figures_common.awk -f figures_shakespeare.awk \
#     summary.tsv eval.tsv
#
# Writes to FOLDER shakespeare_curves.tsv (losses and times, means over seeds) and
# shakespeare_models.tsv (the lowest loss of each), the list of models in them and the caption. Prints the
# number of complete runs, if any.
part == 1 && field("task") == "shakespeare" && field("status") == "complete" {
  model = field("model")
  list_model(model)
  model_of[field("run")] = model
  complete++
  seeds[model]++
  seconds[model] += field("seconds")
  setting_seen(length_text, field("length") " characters")
  setting_seen(width_text, "width " field("width"))
  setting_seen(layers_text, field("layers") " layers")
  setting_seen(steps_text, field("steps") " steps of " field("batch") " sequences")
  setting_seen(place_text, field("device") ", " field("math"))
  setting_seen(size_text, field("width") "x" field("layers") "x" field("length") "x" field("batch"))
}

part == 2 && field("run") in model_of && (field("split") == "valid" || field("split") == "1") {
  validation(model_of[field("run")], field("step") + 0, field("loss"), field("wall_ns") / 1e9)
}

# Sums over the seeds of a model; steps in the order in which they come.
function validation(model, step, loss, time) {
  if (!((model, step) in n)) step_of[model, ++steps[model]] = step
  n[model, step]++
  loss_sum[model, step] += loss
  time_sum[model, step] += time
}

function write_curves(   i, m, j, s, list, text) {
  text = out "/shakespeare_curves.tsv"
  print "model", "step", "seconds", "loss" > text
  for (i = 1; i <= favourites; i++) {
    m = order[i]
    if (!steps[m]) continue
    if (list != "") print "" > text # an empty line between models, so that gnuplot does not join them
    list = with(list, m)
    for (j = 1; j <= steps[m]; j++) {
      s = step_of[m, j]
      print m, s, time_sum[m, s] / n[m, s], loss_sum[m, s] / n[m, s] > text
    }
  }
  print list > (out "/shakespeare_models.txt")
}

# The lowest point of each curve, which the published numbers are too.
function write_models(   i, m, j, s, best, text) {
  text = out "/shakespeare_models.tsv"
  print "model", "seeds", "loss", "bits_per_char", "step", "seconds" > text
  for (i = 1; i <= favourites; i++) {
    m = order[i]
    if (!steps[m]) continue
    best = step_of[m, 1]
    for (j = 2; j <= steps[m]; j++) {
      s = step_of[m, j]
      if (loss_sum[m, s] / n[m, s] < loss_sum[m, best] / n[m, best]) best = s
    }
    print m, seeds[m], loss_sum[m, best] / n[m, best], loss_sum[m, best] / n[m, best] / log(2), best, \
      seconds[m] / seeds[m] > text
  }
}

function write_caption(   m, least, most) {
  for (m in seeds) {
    if (least == "" || seeds[m] < least) least = seeds[m]
    if (seeds[m] > most) most = seeds[m]
  }
  print "Ours (profile " profile "): " one_of(length_text, "several lengths") ", " \
    one_of(width_text, "several widths") ", " one_of(layers_text, "several depths") ", " \
    one_of(steps_text, "several numbers of steps") ", " (least == most ? most : least " to " most) \
    (most == 1 ? " seed" : " seeds") ", " one_of(place_text, "several devices") "." > (out "/shakespeare_setting.txt")
  # The published setting that is ours too, if any.
  print (one_of(size_text, "") == "128x4x64x12" ? "cpu" : one_of(size_text, "") == "384x3x256x64" ? "paper" : "none") \
    > (out "/shakespeare_same.txt")
}

END {
  if (!complete) exit 0
  write_curves()
  write_models()
  write_caption()
  print complete
}
