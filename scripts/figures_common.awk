# figures_common.awk — what the scripts that shape tables for figures share: columns by name, captions.
# SPDX-License-Identifier: MIT
BEGIN {
  FS = OFS = "\t"
  favourites = split("mingru minlstm gru lstm mamba transformer mlp " \
    "mingru_smallops minlstm_smallops gru_loop lstm_loop gru_vendor lstm_vendor", order, " ")
  for (i = 1; i <= favourites; i++) listed[order[i]] = 1
}

/^#/ || NF == 0 { next }

# The heading: columns are found by name, so that their order does not matter. part counts the files.
FILENAME != file {
  file = FILENAME
  part++
  delete col
  for (i = 1; i <= NF; i++) col[$i] = i
  next
}

function field(name) { return name in col ? $col[name] : "" }
function with(list, m) { return list (list == "" ? "" : " ") m }

# A model that is not listed comes behind the others.
function list_model(m) { if (!(m in listed)) { order[++favourites] = m; listed[m] = 1 } }

function setting_seen(set, text) { set[text] = 1 }
function one_of(set, several,   text, k) {
  for (text in set) k++
  if (k != 1) return several
  for (text in set) return text
}
