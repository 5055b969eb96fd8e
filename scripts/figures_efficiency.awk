# figures_efficiency.awk — shapes the cells of minrnn bench into what the efficiency figures read.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -f figures_common.awk -f figures_efficiency.awk cells.tsv efficiency.tsv
#
# One figure per width; other settings are those of most cells, among them eager before graph only where
# there is no graph. Writes to FOLDER efficiency_<D>.tsv (model, length, step_ms, p10_ms, p90_ms, mib),
# efficiency_<D>_speed.tsv (model, over, length, ratio), efficiency_<D>_memory.tsv (how much more memory, as published
# and ours, as text, headed by the length), efficiency_<D>_models.txt, _setting.txt, efficiency_paper.tsv (published points, under the form of
# each model that the paper timed) and efficiency_widths.txt. Prints the widths.
function setting() { return field("device") " " field("threads") "\t" field("math") "\t" field("mode") "\t" field("cache") "\t" \
    field("batch") "\t" field("layers") }

part == 1 && field("status") == "complete" && field("trust") != "mistrusted" && field("step_ms") + 0 > 0 {
  n++
  set[n] = setting()
  model[n] = field("model")
  width[n] = field("width") + 0
  long[n] = field("length") + 0
  ms[n] = field("step_ms")
  low[n] = field("step_p10_ms")
  high[n] = field("step_p90_ms")
  mib[n] = field("planned_bytes") / 1048576
  times[set[n]] += field("mode") == "graph" ? 1.001 : 1
  list_model(model[n])
}

part == 2 && (field("quantity") == "step_time" || field("quantity") == "speed_up") {
  published[++papers] = timed(field("model")) OFS timed(field("reference")) OFS field("quantity") OFS field("length") OFS field("value")
}
part == 2 && field("quantity") == "memory_increase" {
  memory[++memories] = field("model") " " field("reference") " " field("value")
}

# The form that the paper timed: small ops in log space, loops over steps, Mamba's own kernels.
function timed(m) { return m ~ /^min/ ? m "_smallops" : m ~ /^(gru|lstm)$/ ? m "_loop" : m }

# Speed-ups of like over like: the paper's method, whole sequences, whole sequences over the vendor's.
function numerator(m, k) { return k == 1 ? timed(m) : m }
function reference(m, k) { return (m == "mingru" ? "gru" : "lstm") (k == 1 ? "_loop" : k == 2 ? "" : "_vendor") }

# Memory of a over b at the longest length that both have, as text.
function increase(a, b, d, t) {
  return (a, d, t) in at && (b, d, t) in at ? sprintf("%+.0f %%", 100 * (mib[at[a, d, t]] / mib[at[b, d, t]] - 1)) : "-"
}
function write_memory(name, d, t,   k, word) {
  print t, "over", "paper", "its method", "fused" > (name "_memory.tsv")
  for (k = 1; k <= memories; k++) {
    split(memory[k], word, " ")
    print word[1], word[2], sprintf("%+.0f %%", word[3]), increase(timed(word[1]), timed(word[2]), d, t), \
      increase(word[1], word[2], d, t) > (name "_memory.tsv")
  }
}

END {
  for (s in times) if (times[s] > times[best]) best = s
  for (i = 1; i <= n; i++) if (set[i] == best) { widths[width[i]] = 1; if (long[i] > longest[width[i]]) longest[width[i]] = long[i]; at[model[i], width[i], long[i]] = i }
  if (papers) {
    print "model", "over", "quantity", "length", "value" > (out "/efficiency_paper.tsv")
    for (i = 1; i <= papers; i++) print published[i] > (out "/efficiency_paper.tsv")
  }
  split(best, word, "\t")
  split(word[1], place, " ")
  for (d in widths) {
    name = out "/efficiency_" d
    print "model", "length", "step_ms", "p10_ms", "p90_ms", "mib" > (name ".tsv")
    print "model", "over", "length", "ratio" > (name "_speed.tsv")
    list = ""
    for (k = 1; k <= favourites; k++) {
      found = 0
      for (i = 1; i <= n; i++) if (set[i] == best && width[i] == d && model[i] == order[k]) { print model[i], long[i], ms[i], low[i], high[i], mib[i] > (name ".tsv"); found = 1 }
      if (found) list = with(list, order[k])
    }
    ratios = 0
    for (m = 1; m <= 2; m++) for (k = 1; k <= 3; k++) for (i = 1; i <= n; i++) {
      mine = m == 1 ? "mingru" : "minlstm"
      if (set[i] != best || width[i] != d || model[i] != numerator(mine, k)) continue
      other = at[reference(mine, k), d, long[i]]
      if (other) { print model[i], reference(mine, k), long[i], ms[other] / ms[i] > (name "_speed.tsv"); ratios++ }
    }
    write_memory(name, d, longest[d])
    if (!ratios) print "none", "none", "nan", "nan" > (name "_speed.tsv")
    print list > (name "_models.txt")
    print "One training step: forward, loss, backward, optimizer. Batch " word[5] ", width " d ", " word[6] " layer" (word[6] > 1 ? "s" : "") ", " \
      place[1] (place[1] == "cpu" ? " (" place[2] " thread" (place[2] > 1 ? "s" : "") ")" : "") ", " word[2] ", " word[3] ", " word[4] " caches." > (name "_setting.txt")
    print d
    for (k = ++n_widths; k > 1 && sorted[k - 1] + 0 > d + 0; k--) sorted[k] = sorted[k - 1]
    sorted[k] = d
  }
  for (k = 1; k <= n_widths; k++) text = text (k == 1 ? "" : k < n_widths ? ", " : " and ") sorted[k]
  if (n_widths) print text > (out "/efficiency_widths.txt")
}
