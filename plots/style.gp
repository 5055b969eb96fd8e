# style.gp — colours, points and names of the models, the same in every figure; loaded by each fig_*.gp.
# SPDX-License-Identifier: MIT
#
# The palette is Okabe and Ito's, which people with any of the common forms of colour blindness can tell
# apart; each model has a point of its own as well. A model that is not listed gets a grey one.
models  = "mingru  minlstm gru     lstm    mingru_smallops minlstm_smallops gru_loop lstm_loop gru_vendor lstm_vendor mamba   transformer mlp"
colours = "#0072B2 #D55E00 #56B4E9 #E69F00 #009E73         #CC79A7          #000000  #7A6A00   #56B4E9    #E69F00     #009E73 #CC79A7     #999999"
points  = "7       5       9       11      6               4                2        1         8          10          13      15          14"
titles  = "minGRU minLSTM GRU LSTM minGRU(small_ops) minLSTM(small_ops) GRU(loop) LSTM(loop) GRU(vendor) LSTM(vendor) Mamba Transformer MLP"

# Number of a model in the lists, 0: not listed. Names are compared word for word.
index_of(m) = (found = 0, sum [i=1:words(models)] (word(models, i) eq m ? (found = i) : 0), found)
colour_of(m) = index_of(m) ? word(colours, index_of(m)) : "#666666"
point_of(m) = index_of(m) ? int(word(points, index_of(m))) : 3
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
