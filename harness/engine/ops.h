/* ops.h — the page that authors of models read: every op that can be recorded on a tape.
 * SPDX-License-Identifier: MIT
 *
 * Letters: B batch, T time, D width, H hidden, V vocabulary, K taps, N any leading dimensions.
 * Every builder returns the output value; after an error it returns id 0 and does nothing.
 * "Keeps" lists what backward needs beyond the inputs named under "Reads"; saved reals are counted
 * by the plan. flops are those of one forward call. */
#ifndef MR_OPS_H
#define MR_OPS_H
#include "tape.h"
MR_C_BEGIN

/* ==== Projections ============================================================================ */

/* y = x W^T + b.  x [N,K] -> [N,M].  Makes "<name>.weight" [M,K] and "<name>.bias" [M], both
 * uniform within 1/sqrt(K) (PyTorch's default for nn.Linear).
 * Reads x.  flops 2 N K M. */
mr_val mr_linear(mr_tape *t, mr_val x, const char *name, int64_t m);
/* The same without bias: x [N,K] -> [N,M]. */
mr_val mr_linear_nobias(mr_tape *t, mr_val x, const char *name, int64_t m);
/* The same with given parameters, for weights used more than once: x [N,K], weight [M,K],
 * bias [M] or none -> [N,M]. */
mr_val mr_linear_with(mr_tape *t, mr_val x, mr_val weight, mr_val bias);

/* y_n = E[token_n].  token [B,T] of 0..V-1 -> [B,T,D].  Makes "<name>.weight" [V,D], normal(0,1)
 * (PyTorch's default for nn.Embedding).  A token outside 0..V-1 reads and trains nothing: zeros. */
mr_val mr_embed(mr_tape *t, mr_val token, const char *name, int64_t vocab, int64_t width);

/* ==== Normalisation (over the last dimension) ================================================ */

/* y = x / sqrt(mean(x^2) + 1e-6) * gain.  x [N,D] -> [N,D].  Makes "<name>.gain" [D] = 1.
 * Reads x.  Keeps 1/rms: N reals. */
mr_val mr_rmsnorm(mr_tape *t, mr_val x, const char *name);
/* y = (x - mean) / sqrt(var + 1e-5) * gain + bias.  x [N,D] -> [N,D].  Makes "<name>.gain" [D] = 1,
 * "<name>.bias" [D] = 0.  Reads x.  Keeps mean and 1/deviation: 2 N reals. */
mr_val mr_layernorm(mr_tape *t, mr_val x, const char *name);

/* ==== Element by element ===================================================================== */

mr_val mr_add(mr_tape *t, mr_val a, mr_val b);   /* a + b, both [N] -> [N]. Reads nothing.   */
mr_val mr_sub(mr_tape *t, mr_val a, mr_val b);   /* a - b, both [N] -> [N]. Reads nothing.   */
mr_val mr_mul(mr_tape *t, mr_val a, mr_val b);   /* a * b, both [N] -> [N]. Reads a and b.   */
mr_val mr_scale(mr_tape *t, mr_val x, double s); /* s * x, [N] -> [N]. Reads nothing.        */
mr_val mr_shift(mr_tape *t, mr_val x, double s); /* x + s, [N] -> [N]. Reads nothing.        */

/* Activations, [N] -> [N]. Backward reads y where dy/dx is a function of y alone (sigmoid, tanh,
 * relu, exp), otherwise x. g and log g are the paper's (appendix B):
 * g(x) = x + 0.5 for x >= 0, sigmoid(x) below; log g(x) = log(x + 0.5) or -softplus(-x). */
typedef enum mr_act_kind {
  MR_SIGMOID,
  MR_TANH,
  MR_RELU,
  MR_EXP,  /* backward reads y */
  MR_GELU, /* x Phi(x), exact (erf) */
  MR_SILU,
  MR_SOFTPLUS,
  MR_G,
  MR_LOG_G,
  MR_LOG,
  MR_N_ACTS
} mr_act_kind;
mr_val mr_act(mr_tape *t, mr_val x, mr_act_kind kind); /* [N] -> [N] */

/* a * gelu(b) for x = [a, b]: [N,2F] -> [N,F] (Shazeer 2020).  Reads x. */
mr_val mr_geglu(mr_tape *t, mr_val x);

/* While training, zeroes each element with probability p and scales the others by 1/(1-p); the
 * mask is a function of (seed, step, node, element), so nothing is kept.  [N] -> [N]. */
mr_val mr_dropout(mr_tape *t, mr_val x, double p);

/* ==== Shape ================================================================================== */

mr_val mr_slice_time(mr_tape *t, mr_val x, int64_t from,
                     int64_t n); /* [B,T,D] -> [B,n,D]; [T,D] -> [n,D] */
mr_val mr_slice_last(mr_tape *t, mr_val x, int64_t from, int64_t n); /* [N,D] -> [N,n]           */
/* One after the other along time: n values [B,T_i,D] -> [B,sum T_i,D]. */
mr_val mr_concat_time(mr_tape *t, const mr_val *x, int n);
/* One row for every sequence: v [D] -> [B,1,D].  Gradient: sum over B. */
mr_val mr_repeat_batch(mr_tape *t, mr_val v, int64_t batch);

/* ==== Along time ============================================================================= */

/* y_t = bias + sum_k w[:,k] * x_{t-K+1+k}: causal depthwise convolution.  x [B,T,D] -> [B,T,D].
 * Makes "<name>.weight" [D,K] and "<name>.bias" [D], uniform within 1/sqrt(K).  tail: the K-1 steps
 * before x, [B,K-1,D], or none for zeros.  Reads x and tail. */
mr_val mr_conv1d(mr_tape *t, mr_val x, mr_val tail, const char *name, int64_t taps);

mr_val mr_cumsum_time(mr_tape *t, mr_val x);       /* sum_{s<=t} x_s: [B,T,D] -> [B,T,D]          */
mr_val mr_logcumsumexp_time(mr_tape *t, mr_val x); /* log sum_{s<=t} exp x_s: [B,T,D] -> [B,T,D]  */

/* h_t = a_t h_{t-1} + b_t.  a, b [B,T,H] -> h [B,T,H].  h0 [B,1,H], or none for zeros.
 * Reads a, h and h0.  T dependent steps, 3 passes over memory forward. */
mr_val mr_scan(mr_tape *t, mr_val a, mr_val b, mr_val h0);

typedef enum mr_scan_form { MR_FORM_LINEAR, MR_FORM_LOG } mr_scan_form;

/* minGRU (Feng et al. 2024, section 3.1), gates from pre = [c, k]:
 *   z = sigmoid(k);  h_t = (1 - z_t) h_{t-1} + z_t g(c_t).
 * pre [B,T,2H] -> h [B,T,H].  h0 [B,1,H], or none for zeros; used as it is in either form (log form
 * needs h0 >= 0).  form: the sweep in linear space, or with log h carried (appendix B); same
 * function, same backward.  Reads pre, h, h0; the gradient may overwrite pre. */
mr_val mr_mingru_seq(mr_tape *t, mr_val pre, mr_val h0, mr_scan_form form);

/* minLSTM (section 3.2), gates from pre = [c, k_f, k_i]:
 *   f = sigmoid(k_f), i = sigmoid(k_i);  normalise: f, i <- f/(f+i), i/(f+i);
 *   h_t = f_t h_{t-1} + i_t g(c_t).
 * pre [B,T,3H] -> h [B,T,H].  h0, form and memory as mr_mingru_seq. */
mr_val mr_minlstm_seq(mr_tape *t, mr_val pre, mr_val h0, bool normalise, mr_scan_form form);

typedef enum mr_gru_reset { MR_RESET_AFTER, MR_RESET_BEFORE } mr_gru_reset;

/* GRU over whole sequences, gates in the order r, z, n, as PyTorch and cuDNN (update gate z keeps
 * the old state; the paper's z is 1 - z):
 *   r = sigmoid(xw_r + U_r h + b_r), z = sigmoid(xw_z + U_z h + b_z)
 *   reset after:  n = tanh(xw_n + r * (U_n h + b_n))        (cuDNN, PyTorch)
 *   reset before: n = tanh(xw_n + U_n (r * h) + b_n)        (Cho et al. 2014, the paper)
 *   h_t = (1 - z) n + z h_{t-1}
 * xw [B,T,3H] input projections, u [3H,H] recurrent weights, b [3H] recurrent bias, h0 [B,1,H] or
 * none -> h [B,T,H].  Reads u, h, h0.  Keeps r, z, n and (after) U_n h + b_n or (before) nothing
 * more: 4 or 3 B T H reals.  flops 6 B T H^2.  T dependent steps. */
mr_val mr_gru_seq(mr_tape *t, mr_val xw, mr_val u, mr_val b, mr_val h0, mr_gru_reset reset);

/* LSTM over whole sequences, gates in the order i, f, g, o, as PyTorch and cuDNN:
 *   c_t = f * c_{t-1} + i * g;  h_t = o * tanh(c_t);  i, f, o sigmoid, g tanh of xw + U h.
 * xw [B,T,4H], u [4H,H], h0 and c0 [B,1,H] or none -> h [B,T,H]; mr_output(t, h, 1) is c [B,T,H].
 * Reads u, h, c, h0, c0.  Keeps i, f, g, o: 4 B T H reals.  flops 8 B T H^2. */
mr_val mr_lstm_seq(mr_tape *t, mr_val xw, mr_val u, mr_val h0, mr_val c0);

/* The selective scan of Mamba (Gu & Dao 2023, algorithm 2), N states per channel e, each row of B and
 * C shared by all channels; A = -exp(a_log), delta = softplus(delta_raw), a bias being part of
 * delta_raw:
 *   h_t[e,n] = exp(delta_t[e] A[e,n]) h_{t-1}[e,n] + delta_t[e] B_t[n] u_t[e]
 *   y_t[e] = sum_n C_t[n] h_t[e,n] + D[e] u_t[e]
 * u, delta_raw [B,T,E], a_log [E,N], b, c [B,T,N], skip (D) [E], h0 [B,E,N] or none for zeros
 * -> y [B,T,E]; mr_output(t, y, 1) is the last state [B,E,N].  Reads all inputs; gradients may
 * overwrite u and delta_raw.  Keeps the state at every 64th step, N/64 B T E reals, from which
 * backward replays.  flops B T E (7 N + 2).  T dependent steps. */
mr_val mr_selective_scan(mr_tape *t, mr_val u, mr_val delta_raw, mr_val a_log, mr_val b, mr_val c,
                         mr_val skip, mr_val h0);

/* Causal softmax attention of several heads, d = D / heads channels each, from qkv = [q, k, v]:
 *   y_t = sum_{s<=t} a_ts v_s,  a_t = softmax over s of q_t . k_s / sqrt(d).
 * qkv [B,T,3D], head i in channels i d .. of each third -> y [B,T,D].  cache [B,C,2D] and seen
 * [B,1,1], or none of both: keys and values before this stretch, the latest last, and the number of
 * steps before it, of which the last C at most are attended to.
 * Reads qkv, cache, seen, y.  Keeps log sum exp: B heads T reals; no T x T matrix is ever stored.
 * flops 2 B D T (T + 1 + 2 C). */
mr_val mr_attention(mr_tape *t, mr_val qkv, int64_t heads, mr_val cache, mr_val seen);
/* y_t = x_t + P[n + t], n = seen, or 0: x [B,T,D] -> [B,T,D].  seen [B,1,1]: steps before this
 * stretch, or none.  Makes "<name>.weight" [positions,D], normal(0,1); steps behind its end take its
 * last row.  Reads seen. */
mr_val mr_add_position(mr_tape *t, mr_val x, const char *name, int64_t positions, mr_val seen);

/* ==== Losses ================================================================================= */

/* Mean of -log softmax(logits)[label] over positions with label >= 0, in nats; 0 when none is.
 * logits [N,V], label [N] of -1..V-1 -> scalar.  Fused: backward recomputes the softmax.  A label
 * of V or more is MR_ERR_ARG on the CPU and makes the loss NaN on CUDA. */
mr_val mr_softmax_xent(mr_tape *t, mr_val logits, mr_val label);
/* Mean over positions of weight w: sum w (y - target)^2 / (D sum w); 0 when all weights are.
 * y, target [N,D], w [N] -> scalar.  No gradient flows to target or w. */
mr_val mr_mse(mr_tape *t, mr_val y, mr_val target, mr_val w);
MR_C_END
#endif
