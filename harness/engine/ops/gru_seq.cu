/* gru_seq.cu — GRU over whole sequences, on CUDA. SPDX-License-Identifier: MIT
 *
 * See rnn_steps.cuh for the two ways through the steps; gates in the order r, z, n. With d the
 * gradient of h_t and a' that of the sum inside gate a:
 *   n' = d (1 - z)(1 - n^2);  z' = d (h_{t-1} - n) z (1 - z)
 *   reset after:  r' = n' m r (1 - r), m = U_n h + b_n; what multiplies U_n is n' r
 *   reset before: r' = p h_{t-1} r (1 - r), p = U_n^T n'
 * Traffic of the persistent kernels: forward 4 + S passes (S = 4 or 3 values saved), backward S + 3 and
 * 6 for the gradients, apart from the product for dU. */
#include "gru_seq.h"
#include "ops.h"
#include "rnn_steps.cuh"

namespace
{
struct forward {
  int64_t B, T, H, TH;
  const mr_real *xw, *u, *bias, *h0;
  mr_real *save, *h, *packed; /* packed: see mr_rnn_pack_kernel */
};

struct gates_back {
  mr_real r, z, n;  /* gradients of the sums; n is what multiplies U_n, xn what reaches xw */
  mr_real xn, kept; /* kept: z d, what passes by U */
};

__device__ __forceinline__ gates_back back_after(mr_real d, mr_real r, mr_real z, mr_real n,
                                                 mr_real m, mr_real before)
{
  const mr_real dn = d * (1 - z) * (1 - n * n);
  return {dn * m * r * (1 - r), d * (before - n) * z * (1 - z), dn * r, dn, d * z};
}

/* ==== Weights on chip ======================================================================== */

template <int HP, bool AFTER>
__global__ void __launch_bounds__(4 * HP) forward_on_chip(const forward f)
{
  enum { S = AFTER ? 4 : 3, GROUPS = HP / 16 };
  MR_SHARED(mr_vec4, shared, [3][HP / 4]); /* h in turn, r h */
  mr_real(*v)[HP] = reinterpret_cast<mr_real(*)[HP]>(shared);
  const int j = mr_rnn_unit(), q = mr_rnn_quarter();
  const int64_t H = f.H, b = blockIdx.x;
  const bool on = j < H, reads = on && q < 3;
  const mr_real bias = reads ? f.bias[q * H + j] : (mr_real)0;
  const int T = (int)f.T;
  const uint32_t step = (uint32_t)H * sizeof(mr_real);
  const uint32_t unit = (uint32_t)j * sizeof(mr_real);
  uint32_t at_x = (uint32_t)q * step + unit, at_save = at_x;
  const int64_t first = b * f.TH;
  const mr_real *xw = f.xw + first * 3;
  mr_real *save = f.save + first * S, *out = f.h + first;
  /* Thread 2 of a unit, which has x of gate n, has the state; that of the others is of no use. */
  mr_real h = on && f.h0 != nullptr ? f.h0[b * H + j] : (mr_real)0;
  mr_real x = reads ? mr_rnn_at(xw, at_x) : (mr_real)0;
  if (q == 2) v[0][j] = h;
  mr_real w[3 * GROUPS][4];
  mr_rnn_load_weights<HP, 3 * GROUPS>(f.packed, w, nullptr);
  for (int t = 0; t < T; t++, at_x += 3 * step, at_save += S * step) {
    const mr_real next = reads && t + 1 < T ? mr_rnn_at(xw, at_x + 3 * step) : (mr_real)0;
    if (reads && t + MR_RNN_AHEAD < T)
      mr_rnn_prefetch(&mr_rnn_at(xw, at_x + MR_RNN_AHEAD * 3 * step));
    const int turn = t & 1;
    const mr_real with = x + bias;
    mr_real r, z, n, m;
    if constexpr (AFTER) {
      mr_real acc[3] = {q == 0 ? with : 0, q == 1 ? with : 0, q == 2 ? bias : 0};
      mr_rnn_dot<MR_RNN_QUAD, GROUPS, 0>(w, nullptr, v[turn], q, acc);
      mr_rnn_fold(acc);
      r = mr_sigmoid1(acc[0]), z = mr_sigmoid1(acc[1]), m = acc[2];
      n = mr_tanh1(x + r * m);
    } else {
      mr_real acc[2] = {q == 0 ? with : 0, q == 1 ? with : 0}, sum[1] = {q == 2 ? with : 0};
      mr_rnn_dot<MR_RNN_QUAD, GROUPS, 0>(w, nullptr, v[turn], q, acc);
      mr_rnn_fold(acc);
      r = mr_sigmoid1(acc[0]), z = mr_sigmoid1(acc[1]), m = 0;
      if (q == 2) v[2][j] = r * h;
      __syncthreads();
      mr_rnn_dot<MR_RNN_QUAD, GROUPS, 2 * GROUPS>(w, nullptr, v[2], q, sum);
      mr_rnn_fold(sum);
      n = mr_tanh1(sum[0]);
    }
    h = n + z * (h - n);
    if (q == 2) v[turn ^ 1][j] = h;
    if (on && q < S) mr_rnn_at(save, at_save) = q == 0 ? r : q == 1 ? z : q == 2 ? n : m;
    if (on && q == 2) mr_rnn_at(out, (uint32_t)t * step + unit) = h;
    x = next;
    __syncthreads();
  }
}

/* A thread has two duties: for its unit j, value q of the gates; for the units of its 8 lanes' pair, a
 * share of the product with U. */
template <int HP, bool AFTER>
__global__ void __launch_bounds__(4 * HP) backward_on_chip(const mr_rnn_walk k)
{
  enum {
    S = AFTER ? 4 : 3,
    SLICES = 2 * MR_RNN_QUAD,
    GROUPS = HP / 32,
    GATE = 2 * GROUPS,
    PITCH = HP + 4 * MR_RNN_PAD
  };
  MR_SHARED(mr_vec4, shared, [2][3][HP / 4 + MR_RNN_PAD]); /* gradients of the gates, in turn */
  const int j = mr_rnn_unit(), q = mr_rnn_quarter();
  const int slice = mr_rnn_slice();
  const int64_t H = k.H, b = blockIdx.x;
  const bool on = j < H, writes = on && q < 3;
  /* Lane q of a unit reads saved value q; lane 0 also h_{t-1}, lane 1 dh. Arrays stand at step t0. */
  const int n = (int)(k.t1 - k.t0);
  const uint32_t step = (uint32_t)H * sizeof(mr_real), unit = (uint32_t)j * sizeof(mr_real);
  const int64_t first = b * k.TH + k.t0H, dense = b * k.nH;
  const mr_real *save = k.save + first * S, *left = k.left + dense, *dout = k.dh + first;
  mr_real *gate = k.gate + dense * 3, *dxw = k.dxw + (k.dxw != nullptr ? first * 3 : 0);
  uint32_t at = (uint32_t)(n - 1) * step, at_gate = 3 * at + (uint32_t)q * step + unit;
  uint32_t at_save = S * at + (uint32_t)q * step + unit;
  at += unit;
  const bool reads = on && q < S;
  mr_real dh = on && !mr_rnn_first(k) ? (k.state + b * H)[j] : (mr_real)0, bias = 0;
  mr_real a = reads ? mr_rnn_at(save, at_save) : (mr_real)0, c = 0;
  if (on && q == 0) c = mr_rnn_at(left, at);
  if (on && q == 1) c = mr_rnn_at(dout, at);
  mr_real w[3 * GATE][4];
  mr_rnn_load_weights<HP, 3 * GATE>(k.packed, w, nullptr);
  for (int i = n - 1; i >= 0; i--, at_gate -= 3 * step) {
    at_save -= S * step, at -= step;
    const mr_real next_a = reads && i > 0 ? mr_rnn_at(save, at_save) : (mr_real)0;
    mr_real next_c = 0;
    if (on && q == 0 && i > 0) next_c = mr_rnn_at(left, at);
    if (on && q == 1 && i > 0) next_c = mr_rnn_at(dout, at);
    if (reads && i > MR_RNN_AHEAD)
      mr_rnn_prefetch(&mr_rnn_at(save, at_save - (MR_RNN_AHEAD - 1) * S * step));
    if (on && q == 1 && i > MR_RNN_AHEAD)
      mr_rnn_prefetch(&mr_rnn_at(dout, at - (MR_RNN_AHEAD - 1) * step));
    const mr_real r = mr_rnn_of(a, 0), z = mr_rnn_of(a, 1);
    const mr_real before = mr_rnn_of(c, 0), d = dh + mr_rnn_of(c, 1);
    mr_real(*v)[PITCH] = reinterpret_cast<mr_real(*)[PITCH]>(shared[i & 1]);
    gates_back g = back_after(d, r, z, mr_rnn_of(a, 2), AFTER ? mr_rnn_of(a, 3) : 0, before);
    mr_real acc[2] = {0, 0};
    if constexpr (AFTER) {
      if (q < 3) v[q][j] = q == 0 ? g.r : q == 1 ? g.z : g.n;
    } else {
      mr_real part[2] = {0, 0};
      g.n = g.xn;
      if (q == 1 || q == 2) v[q][j] = q == 1 ? g.z : g.n;
      __syncthreads();
      mr_rnn_dot<SLICES, GROUPS, 2 * GATE>(w, nullptr, v[2], slice, part);
      const mr_real p = mr_rnn_fold_pair(part);
      g.r = p * before * r * (1 - r);
      g.kept += p * r;
      if (q == 0) v[0][j] = g.r;
    }
    const mr_real grad = q == 0 ? g.r : q == 1 ? g.z : g.n;
    bias += grad;
    if (writes) mr_rnn_at(gate, at_gate) = grad;
    if (writes && k.dxw != nullptr) {
      mr_real &to = mr_rnn_at(dxw, at_gate);
      to = mr_plus_at(k.beta_xw, &to, q == 2 ? g.xn : grad);
    }
    __syncthreads();
    mr_rnn_dot<SLICES, GROUPS, 0>(w, nullptr, v[0], slice, acc);
    mr_rnn_dot<SLICES, GROUPS, GATE>(w, nullptr, v[1], slice, acc);
    if constexpr (AFTER) mr_rnn_dot<SLICES, GROUPS, 2 * GATE>(w, nullptr, v[2], slice, acc);
    dh = g.kept + mr_rnn_fold_pair(acc);
    a = next_a, c = next_c;
  }
  if (writes) {
    mr_real *to = k.bias + b * 3 * H + q * (int)H + j;
    *to = mr_plus_at(mr_rnn_first(k) ? 0 : 1, to, bias);
  }
  if (!on || q != 0) return;
  if (k.t0 > 0)
    (k.state + b * H)[j] = dh;
  else if (k.dh0 != nullptr)
    (k.dh0 + b * H)[j] = mr_plus_at(k.beta_h0, k.dh0 + b * H + j, dh);
}

/* ==== A product per step ===================================================================== */

/* One step; gate [B,3H] holds the products with U, NULL: zeros. With reset before this is the first
 * half, which leaves r h in rh. */
template <bool AFTER>
__global__ void gates_kernel(const forward f, int64_t t, const mr_real *gate, mr_real *rh)
{
  const int64_t H = f.H;
  enum { S = AFTER ? 4 : 3 };
  MR_RNN_FOR(b, f.B, j, H)
  {
    const mr_real *x = f.xw + (b * f.T + t) * 3 * H + j;
    const mr_real before = mr_rnn_before(f.h, f.h0, f.T, H, b, t, j);
    mr_real g[3], *save = f.save + (b * f.T + t) * S * H + j;
    for (int i = 0; i < 3; i++)
      g[i] = f.bias[i * H + j] + (gate != nullptr ? gate[(b * 3 + i) * H + j] : (mr_real)0);
    const mr_real r = mr_sigmoid1(x[0] + g[0]), z = mr_sigmoid1(x[H] + g[1]);
    save[0] = r;
    save[H] = z;
    if (AFTER) {
      const mr_real n = mr_tanh1(x[2 * H] + r * g[2]);
      save[2 * H] = n;
      save[3 * H] = g[2];
      f.h[(b * f.T + t) * H + j] = n + z * (before - n);
    } else {
      rh[b * H + j] = r * before;
    }
  }
}

/* The second half with reset before; gate's third part holds (r h) U_n^T. */
__global__ void state_kernel(const forward f, int64_t t, const mr_real *gate)
{
  const int64_t H = f.H;
  MR_RNN_FOR(b, f.B, j, H)
  {
    const mr_real before = mr_rnn_before(f.h, f.h0, f.T, H, b, t, j);
    const mr_real sum = gate != nullptr ? gate[(b * 3 + 2) * H + j] : (mr_real)0;
    mr_real *save = f.save + (b * f.T + t) * 3 * H + j;
    const mr_real n = mr_tanh1(f.xw[((b * f.T + t) * 3 + 2) * H + j] + sum + f.bias[2 * H + j]);
    save[2 * H] = n;
    f.h[(b * f.T + t) * H + j] = n + save[H] * (before - n);
  }
}

template <bool AFTER> mr_status forward_by_products(mr_backend *be, const forward &f, void *work)
{
  mr_real *gate = static_cast<mr_real *>(work), *rh = gate + f.B * 3 * f.H;
  const dim3 grid = mr_rnn_grid(f.B, f.H);
  for (int64_t t = 0; t < f.T; t++) {
    const mr_real *before = t > 0 ? f.h + (t - 1) * f.H : f.h0;
    const int64_t ld = t > 0 ? f.T * f.H : f.H;
    const mr_real *sums = before != nullptr ? gate : nullptr;
    if (sums != nullptr)
      MR_CHECK(mr_rnn_multiply(be, f.B, f.H, false, f.u, 0, AFTER ? 3 : 2, before, ld, 0, gate,
                               3 * f.H));
    MR_CHECK(MR_LAUNCH(be, gates_kernel<AFTER>, grid, MR_RNN_ROW, 0, f, t, sums, rh));
    if constexpr (!AFTER) {
      if (sums != nullptr)
        MR_CHECK(
            mr_rnn_multiply(be, f.B, f.H, false, f.u, 2, 3, rh, f.H, 0, gate + 2 * f.H, 3 * f.H));
      MR_CHECK(MR_LAUNCH(be, state_kernel, grid, MR_RNN_ROW, 0, f, t, sums));
    }
  }
  return MR_OK;
}

/* Stores gate q's gradients of one step: for the products, for the bias and for xw. */
__device__ __forceinline__ void put_gate(const mr_rnn_walk &k, int64_t b, int64_t t, int64_t j,
                                         int q, mr_real gate, mr_real xw)
{
  mr_real *bias = k.bias + (b * 3 + q) * k.H + j;
  k.gate[((b * (k.t1 - k.t0) + t - k.t0) * 3 + q) * k.H + j] = gate;
  *bias = mr_plus_at(t == k.T - 1 ? 0 : 1, bias, gate);
  if (k.dxw == nullptr) return;
  mr_real *x = k.dxw + ((b * k.T + t) * 3 + q) * k.H + j;
  *x = mr_plus_at(k.beta_xw, x, xw);
}

/* One step back: the gates' gradients, and in `state` what passes by U. With reset before all but r. */
template <bool AFTER> __global__ void gates_back_kernel(const mr_rnn_walk k, int64_t t)
{
  const int64_t H = k.H;
  enum { S = AFTER ? 4 : 3 };
  MR_RNN_FOR(b, k.B, j, H)
  {
    const mr_real *save = k.save + (b * k.T + t) * S * H + j;
    const mr_real before = mr_rnn_before(k.h, k.h0, k.T, H, b, t, j);
    const mr_real d = k.dh[(b * k.T + t) * H + j] + (t < k.T - 1 ? k.state[b * H + j] : (mr_real)0);
    const gates_back g =
        back_after(d, save[0], save[H], save[2 * H], AFTER ? save[3 * H] : (mr_real)0, before);
    if (AFTER) put_gate(k, b, t, j, 0, g.r, g.r);
    put_gate(k, b, t, j, 1, g.z, g.z);
    put_gate(k, b, t, j, 2, AFTER ? g.n : g.xn, g.xn);
    k.state[b * H + j] = g.kept;
  }
}

/* Reset before: the gradient of r, more being that of r h. */
__global__ void reset_back_kernel(const mr_rnn_walk k, int64_t t)
{
  const int64_t H = k.H;
  MR_RNN_FOR(b, k.B, j, H)
  {
    const mr_real r = k.save[(b * k.T + t) * 3 * H + j], p = k.more[b * H + j];
    const mr_real g = p * mr_rnn_before(k.h, k.h0, k.T, H, b, t, j) * r * (1 - r);
    put_gate(k, b, t, j, 0, g, g);
    k.state[b * H + j] += p * r;
  }
}

template <bool AFTER> mr_status stretch_by_products(mr_backend *be, const mr_rnn_walk &k)
{
  const dim3 grid = mr_rnn_grid(k.B, k.H);
  const int64_t ld = (k.t1 - k.t0) * 3 * k.H;
  for (int64_t t = k.t1 - 1; t >= k.t0; t--) {
    const mr_real *gate = k.gate + (t - k.t0) * 3 * k.H;
    MR_CHECK(MR_LAUNCH(be, gates_back_kernel<AFTER>, grid, MR_RNN_ROW, 0, k, t));
    if constexpr (!AFTER) {
      MR_CHECK(mr_rnn_multiply(be, k.B, k.H, true, k.u, 2, 3, gate + 2 * k.H, ld, 0, k.more, k.H));
      MR_CHECK(MR_LAUNCH(be, reset_back_kernel, grid, MR_RNN_ROW, 0, k, t));
    }
    MR_CHECK(mr_rnn_multiply(be, k.B, k.H, true, k.u, 0, AFTER ? 3 : 2, gate, ld, 1, k.state, k.H));
  }
  return MR_OK;
}

/* ==== Choice ================================================================================= */

template <int HP, bool AFTER> mr_status launch(mr_backend *be, const forward &f)
{
  MR_CHECK(mr_rnn_pack<MR_RNN_QUAD>(be, 3, HP, f.H, f.u, f.packed));
  return MR_LAUNCH(be, (forward_on_chip<HP, AFTER>), (unsigned)f.B, 4 * HP, 0, f);
}

template <int HP, bool AFTER> mr_status launch(mr_backend *be, const mr_rnn_walk &k)
{
  if (k.t1 == k.T) MR_CHECK(mr_rnn_pack<2 * MR_RNN_QUAD>(be, 3, HP, k.H, k.u, k.packed));
  return MR_LAUNCH(be, (backward_on_chip<HP, AFTER>), (unsigned)k.B, 4 * HP, 0, k);
}

template <bool AFTER> mr_status run_forward(mr_backend *be, const forward &f, void *work)
{
  switch (mr_rnn_cuda_padded(f.T, f.H, 3, be->shared_limit)) {
  case 32:
    return launch<32, AFTER>(be, f);
  case 64:
    return launch<64, AFTER>(be, f);
  case 128:
    return launch<128, AFTER>(be, f);
  default:
    return forward_by_products<AFTER>(be, f, work);
  }
}

template <bool AFTER> mr_status run_stretch(mr_backend *be, const mr_rnn_walk &k)
{
  switch (mr_rnn_cuda_padded(k.T, k.H, 3, be->shared_limit)) {
  case 32:
    return launch<32, AFTER>(be, k);
  case 64:
    return launch<64, AFTER>(be, k);
  case 128:
    return launch<128, AFTER>(be, k);
  default:
    return stretch_by_products<AFTER>(be, k);
  }
}

template <bool AFTER> mr_status run_backward(mr_backend *be, const mr_call *c)
{
  mr_rnn_walk k = mr_rnn_begin_walk(be, c, 3, 3);
  mr_real *du = MR_DIN(c, 1);
  for (int64_t t1 = k.T; t1 > 0; t1 = k.t0) {
    mr_rnn_take_stretch(&k, t1);
    const dim3 grid = mr_rnn_grid(k.B * (k.t1 - k.t0), k.H);
    const mr_real beta = k.t1 == k.T ? c->beta[1] : 1;
    MR_CHECK(MR_LAUNCH(be, mr_rnn_left_kernel, grid, MR_RNN_ROW, 0, k, 0));
    MR_CHECK(run_stretch<AFTER>(be, k));
    if (du == nullptr) continue;
    MR_CHECK(mr_rnn_add_weights(be, k, 0, AFTER ? 3 : 2, beta, du));
    if constexpr (!AFTER) {
      MR_CHECK(MR_LAUNCH(be, mr_rnn_left_kernel, grid, MR_RNN_ROW, 0, k, 3));
      MR_CHECK(mr_rnn_add_weights(be, k, 2, 3, beta, du));
    }
  }
  if (MR_DIN(c, 2) != nullptr)
    MR_CHECK(MR_LAUNCH(be, mr_rnn_bias_kernel, mr_grid(be, 3 * k.H, 64), 64, 0, k.B, 3 * k.H,
                       k.bias, c->beta[2], MR_DIN(c, 2)));
  if (k.dh0 == nullptr || mr_rnn_cuda_padded(k.T, k.H, 3, be->shared_limit) > 0) return MR_OK;
  return MR_LAUNCH(be, mr_rnn_initial_kernel, mr_grid(be, k.B * k.H, 256), 256, 0, k.B * k.H,
                   k.state, k.beta_h0, k.dh0);
}
} // namespace

mr_status gru_seq_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_shape *s = &c->out[0].shape;
  const forward f = {s->dim[0],
                     s->dim[1],
                     s->dim[2],
                     s->dim[1] * s->dim[2],
                     MR_IN(c, 0),
                     MR_IN(c, 1),
                     MR_IN(c, 2),
                     MR_GIVEN(c, 3) ? MR_IN(c, 3) : nullptr,
                     MR_SAVE(c, 0),
                     MR_OUT(c, 0),
                     static_cast<mr_real *>(c->work)};
  const bool after = static_cast<const gru_seq_attr *>(c->attr)->reset == MR_RESET_AFTER;
  return after ? run_forward<true>(be, f, c->work) : run_forward<false>(be, f, c->work);
}

mr_status gru_seq_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const bool after = static_cast<const gru_seq_attr *>(c->attr)->reset == MR_RESET_AFTER;
  return after ? run_backward<true>(be, c) : run_backward<false>(be, c);
}
