# figures_roofline.awk — shapes the tables of ops into what the roofline figure reads.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -f figures_common.awk -f figures_roofline.awk cells.tsv ops.tsv
#
# Of the cells with the most positions (batch x length x width) of one device and arithmetic, an op's calls in all
# models are added up. Writes to FOLDER roofline.tsv (op, pass, intensity in flop per byte, gflop_per_s) with ops
# that take at least 1 % of a model's time, roofline_roofs.txt (GB/s and Gflop/s measured beside them) and
# roofline_setting.txt. Prints the number of points.
part == 1 && field("status") == "complete" && field("step_ms") + 0 > 0 {
  run = field("run")
  size[run] = field("batch") * field("length") * field("width")
  setting[run] = field("device") "\t" field("math") "\t" field("batch") "\t" field("length") "\t" field("width") "\t" field("threads")
  copy[run] = field("copy_bytes_per_s") / 1e9
  gemm[run] = field("gemm_flop_per_s") / 1e9
  if (size[run] > largest) { largest = size[run]; chosen = setting[run] }
}

part == 2 && setting[field("run")] == chosen && field("ns") + 0 > 0 && field("flops_per_s") + 0 > 0 && field("bytes_per_s") + 0 > 0 {
  run = field("run")
  key = field("name") OFS field("pass")
  row++
  of[row] = key
  model_run[row] = run
  time[row] = field("ns")
  total[run] += time[row]
  flops[key] += field("flops_per_s") * field("ns")
  bytes[key] += field("bytes_per_s") * field("ns")
  ns[key] += field("ns")
  if (!roofs) roofs = copy[run] " " gemm[run]
}

END {
  if (!row) exit
  for (i = 1; i <= row; i++) if (time[i] >= 0.01 * total[model_run[i]]) shown[of[i]] = 1
  print "op", "pass", "intensity", "gflop_per_s" > (out "/roofline.tsv")
  for (key in shown) {
    print key, flops[key] / bytes[key], flops[key] / ns[key] / 1e9 > (out "/roofline.tsv")
    n++
  }
  print roofs > (out "/roofline_roofs.txt")
  split(chosen, word, "\t")
  print "Ops of all models at batch " word[3] ", length " word[4] ", width " word[5] ", " word[1] ", " word[2] ", " word[6] " thread" (word[6] > 1 ? "s" : "") "; flops and bytes are the least an op must compute and move." > (out "/roofline_setting.txt")
  print n
}
