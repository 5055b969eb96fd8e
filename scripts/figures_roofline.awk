# figures_roofline.awk — shapes the tables of ops into what the roofline figure reads.
# SPDX-License-Identifier: MIT
#
#   awk -v out=FOLDER -f figures_common.awk -f figures_roofline.awk cells.tsv ops.tsv
#
# Of the cells with the most positions (batch x length x width) of one device and arithmetic, an op's calls in all
# models are added up. Writes to FOLDER roofline.tsv (op, its number, pass, intensity in flop per byte, gflop_per_s,
# and where the number is written: x, y) with ops that take at least 1 % of a model's time, roofline_ops.txt (the
# numbers' meaning, a line each), roofline_roofs.txt (GB/s and Gflop/s measured beside them, then the ranges of the
# axes) and roofline_setting.txt. Prints the number of points.
part == 1 && field("status") == "complete" && field("trust") != "mistrusted" && field("step_ms") + 0 > 0 {
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

# Ranges of the axes around all points and the ridge, in powers of ten.
function take_ranges(   k, word, x, y, ridge) {
  split(roofs, word, " ")
  top = log10(3 * word[2])
  ridge = log10(word[2] / word[1])
  right = ridge
  left = ridge
  bottom = top
  for (k = 1; k <= points; k++) {
    x = log10(flops[point[k]] / bytes[point[k]])
    y = log10(flops[point[k]] / ns[point[k]] / 1e9)
    if (x < left) left = x
    if (x > right) right = x
    if (y < bottom) bottom = y
    if (y > top - 0.2) top = y + 0.2
  }
  left -= 0.3
  right += 0.5
  bottom -= 0.3
}
function log10(x) { return log(x) / log(10) }

# In pixels of the plot, for which the size of a number and of a point is known.
function place_points(   k) {
  for (k = 1; k <= points; k++) {
    px[k] = WIDE * (log10(flops[point[k]] / bytes[point[k]]) - left) / (right - left)
    py[k] = HIGH * (log10(flops[point[k]] / ns[point[k]] / 1e9) - bottom) / (top - bottom)
  }
}
# Overlaps of a number centred at (x, y) with points, numbers placed before, and the frame; points count less.
function overlaps(x, y, upto,   k, bad) {
  if (x < 10 || x > WIDE - 10 || y < 8 || y > HIGH - 8) bad = 100
  for (k = 1; k <= points; k++) if (abs(x - px[k]) < 14 && abs(y - py[k]) < 11) bad++
  for (k = 1; k < upto; k++) if (abs(x - tx[k]) < 18 && abs(y - ty[k]) < 13) bad += 10
  return bad
}
function abs(x) { return x < 0 ? -x : x }
# Each number stands at the nearest free place around its point.
function place_numbers(   k, r, a, bad, least) {
  for (k = 1; k <= points; k++) {
    least = 1e9
    for (r = 15; r <= 60 && least > 0; r += 7.5)
      for (a = 0; a < 16 && least > 0; a++) {
        bad = overlaps(px[k] + r * cos(a * PI / 8), py[k] + r * sin(a * PI / 8), k)
        if (bad >= least) continue
        least = bad
        tx[k] = px[k] + r * cos(a * PI / 8)
        ty[k] = py[k] + r * sin(a * PI / 8)
      }
  }
}

END {
  if (!row) exit
  WIDE = 680
  HIGH = 400
  PI = atan2(0, -1)
  for (i = 1; i <= row; i++) if (time[i] >= 0.01 * total[model_run[i]]) shown[of[i]] = 1
  # Sorted by flop per byte, forward first: so numbers rise from left to right.
  for (key in shown) {
    for (k = ++points; k > 1 && before(key, point[k - 1]); k--) point[k] = point[k - 1]
    point[k] = key
  }
  take_ranges()
  place_points()
  place_numbers()
  print "op", "number", "pass", "intensity", "gflop_per_s", "x", "y" > (out "/roofline.tsv")
  for (k = 1; k <= points; k++) {
    split(point[k], word, OFS)
    if (!(word[1] in number)) { number[word[1]] = ++ops; print ops "  " word[1] > (out "/roofline_ops.txt") }
    print word[1], number[word[1]], word[2], flops[point[k]] / bytes[point[k]], flops[point[k]] / ns[point[k]] / 1e9, \
      10 ^ (left + tx[k] / WIDE * (right - left)), 10 ^ (bottom + ty[k] / HIGH * (top - bottom)) > (out "/roofline.tsv")
  }
  print roofs " " 10 ^ left " " 10 ^ right " " 10 ^ bottom " " 10 ^ top > (out "/roofline_roofs.txt")
  split(chosen, word, "\t")
  print "Ops of all models at batch " word[3] ", length " word[4] ", width " word[5] ", " word[1] ", " word[2] ", " word[6] " thread" (word[6] > 1 ? "s" : "") "; flops and bytes are the least an op must compute and move." > (out "/roofline_setting.txt")
  print points
}

function before(a, b,   x, y) {
  x = flops[a] / bytes[a]
  y = flops[b] / bytes[b]
  return x != y ? x < y : a < b
}
