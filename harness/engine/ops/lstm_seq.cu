/* lstm_seq.cu — LSTM over whole sequences, on CUDA. SPDX-License-Identifier: MIT
 *
 * See rnn_steps.cuh for the two ways through the steps; gates in the order i, f, g, o. For H in 65 ..
 * 128 the weights are 256 KiB in float, as much as all registers of a multiprocessor: 176 KiB stay in
 * registers, 80 KiB are parked in shared memory and read at every step (640 cycles at 128 bytes each,
 * beside the 512 of the products). Devices with less shared memory take a product per step there. */
#include "lstm_seq.h"
#include "rnn_steps.cuh"

namespace
{
struct forward {
  int64_t B, T, H, TH;
  const mr_real *xw, *u, *h0, *c0;
  mr_real *save, *h, *c, *packed; /* packed: see mr_rnn_pack_kernel */
};

/* What the walk back has besides: cells and their gradients. */
struct walk : mr_rnn_walk {
  const mr_real *c, *c0, *dc; /* dc: of output c, NULL: zeros */
  mr_real *dc0;
  mr_real beta_c0;
};

struct gates_back {
  mr_real i, f, g, o; /* gradients of the sums   */
  mr_real kept;       /* gradient of c_{t-1}     */
};

/* d: gradient of h_t; dc: what reaches c_t from behind and from output c. */
__device__ __forceinline__ gates_back step_back(mr_real d, mr_real dc, mr_real i, mr_real f,
                                                mr_real g, mr_real o, mr_real cell, mr_real before)
{
  const mr_real tc = mr_tanh1(cell), e = dc + d * o * (1 - tc * tc);
  return {e * g * i * (1 - i), e * before * f * (1 - f), e * i * (1 - g * g), d * tc * o * (1 - o),
          e * f};
}

/* ==== Weights on chip ======================================================================== */

/* Groups of four weights of a thread, those of them in registers, and the bytes of the others. */
template <int HP> struct chip {
  enum { ALL = HP / 4, KEPT = HP < 128 ? ALL : 22 };
  static constexpr size_t PARKED = (size_t)(ALL - KEPT) * 4 * 4 * HP * sizeof(mr_real);
};

template <int HP> __global__ void __launch_bounds__(4 * HP) forward_on_chip(const forward f)
{
  enum { KEPT = chip<HP>::KEPT, GROUPS = HP / 16 };
  MR_SHARED(mr_vec4, shared, [2][HP / 4]); /* h in turn */
  MR_DYN_SHARED(mr_real, parked);
  mr_real(*v)[HP] = reinterpret_cast<mr_real(*)[HP]>(shared);
  const int j = mr_rnn_unit(), q = mr_rnn_quarter();
  const int64_t H = f.H, b = blockIdx.x;
  const bool on = j < H;
  const int T = (int)f.T;
  const uint32_t step = (uint32_t)H * sizeof(mr_real);
  const uint32_t unit = (uint32_t)j * sizeof(mr_real);
  uint32_t gate = (uint32_t)q * step + unit;
  const int64_t first = b * f.TH;
  const mr_real *xw = f.xw + first * 4;
  mr_real *save = f.save + first * 4, *h_out = f.h + first, *c_out = f.c + first;
  mr_real cell = on && f.c0 != nullptr ? f.c0[b * H + j] : (mr_real)0;
  mr_real x = on ? mr_rnn_at(xw, gate) : (mr_real)0;
  if (q == 0) v[0][j] = on && f.h0 != nullptr ? f.h0[b * H + j] : (mr_real)0;
  mr_real w[KEPT][4];
  mr_rnn_load_weights<HP, chip<HP>::ALL>(f.packed, w, parked);
  for (int t = 0; t < T; t++, gate += 4 * step) {
    const uint32_t at = (uint32_t)t * step + unit;
    const mr_real next = on && t + 1 < T ? mr_rnn_at(xw, gate + 4 * step) : (mr_real)0;
    if (on && t + MR_RNN_AHEAD < T) mr_rnn_prefetch(&mr_rnn_at(xw, gate + 4 * MR_RNN_AHEAD * step));
    const int turn = t & 1;
    mr_real acc[4] = {q == 0 ? x : 0, q == 1 ? x : 0, q == 2 ? x : 0, q == 3 ? x : 0};
    mr_rnn_dot<MR_RNN_QUAD, GROUPS, 0>(w, parked, v[turn], q, acc);
    mr_rnn_fold(acc);
    const mr_real i = mr_sigmoid1(acc[0]), fg = mr_sigmoid1(acc[1]);
    const mr_real g = mr_tanh1(acc[2]), o = mr_sigmoid1(acc[3]);
    cell = fg * cell + i * g;
    const mr_real h = o * mr_tanh1(cell);
    if (q == 0) v[turn ^ 1][j] = h;
    if (on) mr_rnn_at(save, gate) = q == 0 ? i : q == 1 ? fg : q == 2 ? g : o;
    if (on && q == 0) mr_rnn_at(h_out, at) = h;
    if (on && q == 1) mr_rnn_at(c_out, at) = cell;
    x = next;
    __syncthreads();
  }
}

/* Threads have two duties, as in GRU: value q of unit j, and a share of the product with U. */
template <int HP> __global__ void __launch_bounds__(4 * HP) backward_on_chip(const walk k)
{
  enum {
    KEPT = chip<HP>::KEPT,
    SLICES = 2 * MR_RNN_QUAD,
    GROUPS = HP / 32,
    GATE = 2 * GROUPS,
    PITCH = HP + 4 * MR_RNN_PAD
  };
  MR_SHARED(mr_vec4, shared, [2][4][HP / 4 + MR_RNN_PAD]); /* gradients of the gates, in turn */
  MR_DYN_SHARED(mr_real, parked);
  const int j = mr_rnn_unit(), q = mr_rnn_quarter();
  const int slice = mr_rnn_slice();
  const int64_t H = k.H, b = blockIdx.x;
  const bool on = j < H;
  /* Lane q of a unit reads gate q, and c_t, c_{t-1}, dh or the gradient of output c. Arrays stand at
   * step t0. */
  const int n = (int)(k.t1 - k.t0);
  const uint32_t step = (uint32_t)H * sizeof(mr_real), unit = (uint32_t)j * sizeof(mr_real);
  const int64_t first = b * k.TH + k.t0H;
  const mr_real *save = k.save + first * 4, *other = q < 2 ? k.c : q == 2 ? k.dh : k.dc;
  mr_real *gate = k.gate + b * k.nH * 4, *dxw = k.dxw + (k.dxw != nullptr ? first * 4 : 0);
  uint32_t at_gate = (uint32_t)((n - 1) * 4 + q) * step + unit;
  uint32_t at = (uint32_t)(n - 1) * step + unit;
  const bool reads = on && other != nullptr, initial = q == 1 && k.t0 == 0;
  if (reads) other += first - (q == 1 ? H : 0);
  const mr_real c0 = on && initial && k.c0 != nullptr ? (k.c0 + b * H)[j] : (mr_real)0;
  mr_real dh = on && !mr_rnn_first(k) ? (k.state + b * H)[j] : (mr_real)0;
  mr_real dc = on && !mr_rnn_first(k) ? (k.more + b * H)[j] : (mr_real)0;
  mr_real a = on ? mr_rnn_at(save, at_gate) : (mr_real)0, c = c0;
  if (reads && n > (initial ? 1 : 0)) c = mr_rnn_at(other, at);
  mr_real w[KEPT][4];
  mr_rnn_load_weights<HP, chip<HP>::ALL>(k.packed, w, parked);
  for (int i = n - 1; i >= 0; i--, at_gate -= 4 * step) {
    at -= step;
    const mr_real next_a = on && i > 0 ? mr_rnn_at(save, at_gate - 4 * step) : (mr_real)0;
    const mr_real next_c = reads && i > (initial ? 1 : 0) ? mr_rnn_at(other, at) : c0;
    if (on && i > MR_RNN_AHEAD)
      mr_rnn_prefetch(&mr_rnn_at(save, at_gate - MR_RNN_AHEAD * 4 * step));
    if (reads && i > MR_RNN_AHEAD)
      mr_rnn_prefetch(&mr_rnn_at(other, at - (MR_RNN_AHEAD - 1) * step));
    mr_real(*v)[PITCH] = reinterpret_cast<mr_real(*)[PITCH]>(shared[i & 1]);
    const gates_back g =
        step_back(dh + mr_rnn_of(c, 2), dc + mr_rnn_of(c, 3), mr_rnn_of(a, 0), mr_rnn_of(a, 1),
                  mr_rnn_of(a, 2), mr_rnn_of(a, 3), mr_rnn_of(c, 0), mr_rnn_of(c, 1));
    const mr_real grad = q == 0 ? g.i : q == 1 ? g.f : q == 2 ? g.g : g.o;
    dc = g.kept;
    v[q][j] = grad;
    if (on) mr_rnn_at(gate, at_gate) = grad;
    if (on && k.dxw != nullptr) {
      mr_real &to = mr_rnn_at(dxw, at_gate);
      to = mr_plus_at(k.beta_xw, &to, grad);
    }
    __syncthreads();
    mr_real acc[2] = {0, 0};
    mr_rnn_dot<SLICES, GROUPS, 0>(w, parked, v[0], slice, acc);
    mr_rnn_dot<SLICES, GROUPS, GATE>(w, parked, v[1], slice, acc);
    mr_rnn_dot<SLICES, GROUPS, 2 * GATE>(w, parked, v[2], slice, acc);
    mr_rnn_dot<SLICES, GROUPS, 3 * GATE>(w, parked, v[3], slice, acc);
    dh = mr_rnn_fold_pair(acc);
    a = next_a, c = next_c;
  }
  if (!on || q > 1) return;
  mr_real *state = q == 0 ? k.state : k.more, *last = q == 0 ? k.dh0 : k.dc0;
  const mr_real d = q == 0 ? dh : dc;
  if (k.t0 > 0)
    (state + b * H)[j] = d;
  else if (last != nullptr)
    (last + b * H)[j] = mr_plus_at(q == 0 ? k.beta_h0 : k.beta_c0, last + b * H + j, d);
}

/* ==== A product per step ===================================================================== */

/* One step; sum [B,4H] holds the products with U, NULL: zeros. */
__global__ void step_kernel(const forward f, int64_t t, const mr_real *sum)
{
  const int64_t H = f.H;
  MR_RNN_FOR(b, f.B, j, H)
  {
    const int64_t row = b * f.T + t;
    mr_real a[4], *save = f.save + row * 4 * H + j;
    for (int g = 0; g < 4; g++)
      a[g] = f.xw[(row * 4 + g) * H + j] + (sum != nullptr ? sum[(b * 4 + g) * H + j] : (mr_real)0);
    const mr_real i = mr_sigmoid1(a[0]), fg = mr_sigmoid1(a[1]);
    const mr_real g = mr_tanh1(a[2]), o = mr_sigmoid1(a[3]);
    const mr_real cell = fg * mr_rnn_before(f.c, f.c0, f.T, H, b, t, j) + i * g;
    save[0] = i;
    save[H] = fg;
    save[2 * H] = g;
    save[3 * H] = o;
    f.c[row * H + j] = cell;
    f.h[row * H + j] = o * mr_tanh1(cell);
  }
}

mr_status forward_by_products(mr_backend *be, const forward &f, void *work)
{
  mr_real *sum = static_cast<mr_real *>(work);
  for (int64_t t = 0; t < f.T; t++) {
    const mr_real *before = t > 0 ? f.h + (t - 1) * f.H : f.h0;
    if (before != nullptr)
      MR_CHECK(mr_rnn_multiply(be, f.B, f.H, false, f.u, 0, 4, before, t > 0 ? f.T * f.H : f.H, 0,
                               sum, 4 * f.H));
    MR_CHECK(MR_LAUNCH(be, step_kernel, mr_rnn_grid(f.B, f.H), MR_RNN_ROW, 0, f, t,
                       before != nullptr ? sum : nullptr));
  }
  return MR_OK;
}

__global__ void step_back_kernel(const walk k, int64_t t)
{
  const int64_t H = k.H;
  MR_RNN_FOR(b, k.B, j, H)
  {
    const int64_t row = b * k.T + t, at = b * H + j;
    const mr_real *save = k.save + row * 4 * H + j;
    const bool last = t == k.T - 1;
    mr_real d = k.dh[row * H + j], dc = k.dc != nullptr ? k.dc[row * H + j] : (mr_real)0;
    if (!last) d += k.state[at], dc += k.more[at];
    const gates_back g = step_back(d, dc, save[0], save[H], save[2 * H], save[3 * H],
                                   k.c[row * H + j], mr_rnn_before(k.c, k.c0, k.T, H, b, t, j));
    const mr_real grad[4] = {g.i, g.f, g.g, g.o};
    mr_real *gate = k.gate + (b * (k.t1 - k.t0) + t - k.t0) * 4 * H + j;
    mr_real *x = k.dxw + row * 4 * H + j;
    for (int n = 0; n < 4; n++) {
      gate[n * H] = grad[n];
      if (k.dxw != nullptr) x[n * H] = mr_plus_at(k.beta_xw, x + n * H, grad[n]);
    }
    k.more[at] = g.kept;
  }
}

mr_status stretch_by_products(mr_backend *be, const walk &k)
{
  for (int64_t t = k.t1 - 1; t >= k.t0; t--) {
    MR_CHECK(MR_LAUNCH(be, step_back_kernel, mr_rnn_grid(k.B, k.H), MR_RNN_ROW, 0, k, t));
    MR_CHECK(mr_rnn_multiply(be, k.B, k.H, true, k.u, 0, 4, k.gate + (t - k.t0) * 4 * k.H,
                             (k.t1 - k.t0) * 4 * k.H, 0, k.state, k.H));
  }
  return MR_OK;
}

/* ==== Choice ================================================================================= */

template <int HP> mr_status launch(mr_backend *be, const forward &f)
{
  MR_CHECK(mr_rnn_pack<MR_RNN_QUAD>(be, 4, HP, f.H, f.u, f.packed));
  return MR_LAUNCH(be, forward_on_chip<HP>, (unsigned)f.B, 4 * HP, chip<HP>::PARKED, f);
}

template <int HP> mr_status launch(mr_backend *be, const walk &k)
{
  if (k.t1 == k.T) MR_CHECK(mr_rnn_pack<2 * MR_RNN_QUAD>(be, 4, HP, k.H, k.u, k.packed));
  return MR_LAUNCH(be, backward_on_chip<HP>, (unsigned)k.B, 4 * HP, chip<HP>::PARKED, k);
}

mr_status run_stretch(mr_backend *be, const walk &k)
{
  switch (mr_rnn_cuda_padded(k.T, k.H, 4, be->shared_limit)) {
  case 32:
    return launch<32>(be, k);
  case 64:
    return launch<64>(be, k);
  case 128:
    return launch<128>(be, k);
  default:
    return stretch_by_products(be, k);
  }
}

mr_status add_initial(mr_backend *be, const walk &k, const mr_real *x, mr_real beta, mr_real *y)
{
  if (y == nullptr) return MR_OK;
  return MR_LAUNCH(be, mr_rnn_initial_kernel, mr_grid(be, k.B * k.H, 256), 256, 0, k.B * k.H, x,
                   beta, y);
}
} // namespace

mr_status lstm_seq_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->out[0].shape;
  const forward f = {s->dim[0],
                     s->dim[1],
                     s->dim[2],
                     s->dim[1] * s->dim[2],
                     MR_IN(c, 0),
                     MR_IN(c, 1),
                     MR_GIVEN(c, 2) ? MR_IN(c, 2) : nullptr,
                     MR_GIVEN(c, 3) ? MR_IN(c, 3) : nullptr,
                     MR_SAVE(c, 0),
                     MR_OUT(c, 0),
                     MR_OUT(c, 1),
                     static_cast<mr_real *>(c->work)};
  switch (mr_rnn_cuda_padded(f.T, f.H, 4, be->shared_limit)) {
  case 32:
    return launch<32>(be, f);
  case 64:
    return launch<64>(be, f);
  case 128:
    return launch<128>(be, f);
  default:
    return forward_by_products(be, f, c->work);
  }
}

mr_status lstm_seq_bwd_cuda(mr_backend *be, const mr_call *c)
{
  walk k = {};
  static_cast<mr_rnn_walk &>(k) = mr_rnn_begin_walk(be, c, 4, 2);
  k.c = MR_OUT(c, 1);
  k.dc = MR_DOUT(c, 1);
  if (MR_GIVEN(c, 3)) {
    k.c0 = MR_IN(c, 3);
    k.dc0 = MR_DIN(c, 3);
    k.beta_c0 = c->beta[3];
  }
  for (int64_t t1 = k.T; t1 > 0; t1 = k.t0) {
    mr_rnn_take_stretch(&k, t1);
    MR_CHECK(run_stretch(be, k));
    if (MR_DIN(c, 1) == nullptr) continue;
    const mr_rnn_walk &w = k;
    MR_CHECK(MR_LAUNCH(be, mr_rnn_left_kernel, mr_rnn_grid(k.B * (k.t1 - k.t0), k.H), MR_RNN_ROW, 0,
                       w, 0));
    MR_CHECK(mr_rnn_add_weights(be, k, 0, 4, k.t1 == k.T ? c->beta[1] : 1, MR_DIN(c, 1)));
  }
  if (mr_rnn_cuda_padded(k.T, k.H, 4, be->shared_limit) > 0) return MR_OK;
  MR_CHECK(add_initial(be, k, k.state, k.beta_h0, k.dh0));
  return add_initial(be, k, k.more, k.beta_c0, k.dc0);
}
