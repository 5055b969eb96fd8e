# style.gp — colours, points and names of the models, the same in every figure; loaded by each fig_*.gp.
# SPDX-License-Identifier: MIT
#
# Models have the colours of Okabe and Ito, which people with any of the common forms of colour blindness can tell
# apart; their forms of other granularity have a dark shade of about the same hue, chosen to keep that distance.
# No two share a colour or a point. A model that is not listed gets a grey one. Point 2, a cross, is for what was
# published.
models  = "mingru  minlstm gru     lstm    mingru_smallops minlstm_smallops gru_loop lstm_loop gru_vendor lstm_vendor mamba   transformer mlp"
colours = "#0072B2 #D55E00 #56B4E9 #E69F00 #03055E         #54160E          #234265  #54410B   #091BBB    #6C5B3B     #009E73 #CC79A7     #F0E442"
points  = "7       5       9       11      6               4                1        12        8          10          13      15          14"
titles  = "minGRU minLSTM GRU LSTM minGRU(small_ops) minLSTM(small_ops) GRU(loop) LSTM(loop) GRU(vendor) LSTM(vendor) Mamba Transformer MLP"

# Number of a model in the lists, 0: not listed. Names are compared word for word.
index_of(m) = (found = 0, sum [i=1:words(models)] (word(models, i) eq m ? (found = i) : 0), found)
colour_of(m) = index_of(m) ? word(colours, index_of(m)) : "#666666"
point_of(m) = index_of(m) ? int(word(points, index_of(m))) : 3
# Granularity by line: whole, dotted for loops, dashed for vendors, dash-dot for small ops.
dash_of(m) = strstrt(m, "_loop") ? 3 : strstrt(m, "_vendor") ? 2 : strstrt(m, "_smallops") ? 4 : 1
# "GRU(small_ops)" in the list reads "GRU (small ops)" in a figure.
words_apart(s) = (p = strstrt(s, "_"), p ? s[1:p-1]." ".s[p+1:*] : s)
title_of(m) = index_of(m) ? (s = words_apart(word(titles, index_of(m))), p = strstrt(s, "("), \
  p ? s[1:p-1]." ".s[p:*] : s) : m

paper_colour = "#555555"

# The text of a one-line file, "" when there is none.
line_of(path) = system(sprintf("cat '%s' 2>/dev/null || true", path))
set datafile separator tab
set datafile missing "nan"
set datafile columnheaders
set encoding utf8
set border 3 linewidth 1 linecolor rgb "#333333"
set tics nomirror out scale 0.6
set grid ytics linetype 1 dashtype 1 linewidth 0.7 linecolor rgb "#E3E3E3"
set format x "%g"
set format y "%g"
set key noenhanced
