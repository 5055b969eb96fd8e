# figures_inference.awk — shapes the cells of minrnn infer into what the inference figure reads.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -f figures_common.awk -f figures_inference.awk cells.tsv inference.tsv
#
# Of several widths, numbers of layers or machines the one with most cells is drawn. Writes to FOLDER
# inference_context.tsv (model, context, prefill_ms, token_us, state_kib; the largest batch that most contexts were
# read with),
# inference_batch.tsv (model, batch, token_us, tokens_per_s; the longest context that most models have),
# inference_faster.tsv (model, over, who, batch, percent; over mamba of prefill_ms, else of
# token_us), their lists and captions. Prints the number of cells.
part == 1 && field("status") == "complete" && field("trust") != "mistrusted" && field("token_ms") + 0 > 0 {
  n++
  set[n] = field("device") (field("device") == "cpu" ? " (" field("threads") " thread" (field("threads") + 0 > 1 ? "s" : "") ")" : "") "\t" field("math") "\t" field("width") "\t" field("layers")
  model[n] = field("model")
  batch[n] = field("batch") + 0
  context[n] = field("context") + 0
  prefill[n] = field("prefill_ms")
  token[n] = field("token_ms")
  rate[n] = field("tokens_per_s")
  state[n] = field("state_bytes") / 1024
  cells[set[n]]++
  list_model(model[n])
}

part == 2 && field("percent") != "" { published[++papers] = field("model") OFS field("over") OFS "paper" OFS field("batch") OFS field("percent") }

# The value of `of` that most cells have; of equals the larger.
function most(of,   i, k, count, best) {
  for (i = 1; i <= n; i++) if (set[i] == chosen) count[of[i]]++
  for (k in count) if (best == "" || count[k] > count[best] || (count[k] == count[best] && k + 0 > best + 0)) best = k
  return best + 0
}

END {
  if (!n) exit
  for (s in cells) if (cells[s] > cells[chosen]) chosen = s
  long = most(context)
  wide = most(batch)
  print "model", "context", "prefill_ms", "token_us", "state_kib" > (out "/inference_context.tsv")
  print "model", "batch", "token_us", "tokens_per_s" > (out "/inference_batch.tsv")
  print "model", "over", "who", "batch", "percent" > (out "/inference_faster.tsv")
  for (k = 1; k <= favourites; k++) {
    found = 0
    for (i = 1; i <= n; i++) {
      if (set[i] != chosen || model[i] != order[k]) continue
      found = 1
      if (batch[i] == wide) print model[i], context[i], prefill[i], 1000 * token[i], state[i] > (out "/inference_context.tsv")
      if (context[i] == long) {
        print model[i], batch[i], 1000 * token[i], rate[i] > (out "/inference_batch.tsv")
        at[model[i], batch[i]] = token[i]
        read[model[i], batch[i]] = prefill[i]
        if (!(batch[i] in listed_batch)) batches[++sizes] = batch[i]
        listed_batch[batch[i]] = 1
      }
    }
    if (found) list = with(list, order[k])
  }
  pairs = split("mingru:mamba minlstm:mamba mingru:gru minlstm:lstm", pair, " ")
  for (p = 1; p <= pairs; p++) {
    split(pair[p], who, ":")
    # As published: against Mamba at reading the context, against GRU and LSTM at one more token.
    for (i = 1; i <= sizes; i++) {
      b = batches[i]
      ours = who[2] == "mamba" ? read[who[1], b] : at[who[1], b]
      other = who[2] == "mamba" ? read[who[2], b] : at[who[2], b]
      if (ours && other) print who[1], who[2], "ours", b, 100 * (other / ours - 1) > (out "/inference_faster.tsv")
    }
  }
  for (p = 1; p <= papers; p++) print published[p] > (out "/inference_faster.tsv")
  split(chosen, word, "\t")
  print list > (out "/inference_models.txt")
  print "Recurrent mode: the context is read in stretches, then one step at a time. Width " word[3] ", " word[4] " layer" (word[4] > 1 ? "s" : "") ", " word[1] ", " word[2] "." > (out "/inference_setting.txt")
  print "batch " wide > (out "/inference_wide.txt")
  print "context " long > (out "/inference_long.txt")
  print n
}
