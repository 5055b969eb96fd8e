/* rnn_vendor_op.cu — GRU and LSTM layers as ops over cuDNN's. SPDX-License-Identifier: MIT
 *
 * cuDNN wants time in front, and the weights in one space of its own order: x, h and their gradients
 * are turned, weights gathered and their gradients scattered by one kernel each. That moves
 * 2 B T (2 D + 3 H) reals more per step than the layer needs, and nothing per time step. */
#include "rnn_vendor_impl.h"
#ifdef MR_WITH_CUDNN
#include "cuda_util.cuh"
#include "cudnn.h"

namespace
{

enum { BLOCK = 256 };

/* to[c, r, :] = beta to + from[r, c, :]; rows r of R, c of C, width D. */
__global__ void swap_rows(mr_real *to, const mr_real *from, int64_t R, int64_t C, int64_t D,
                          mr_real beta)
{
  MR_GRID_FOR(i, R * C * D)
  {
    const int64_t d = i % D, row = i / D, r = row % R, c = row / R;
    to[i] = mr_plus_at(beta, to + i, from[(r * C + c) * D + d]);
  }
}

struct parameters {
  mr_real *data[4]; /* by mr_cudnn_param; NULL: not wanted */
  mr_real beta[4];
};
struct pieces {
  mr_cudnn_piece at[MR_CUDNN_PIECES];
};

/* One row of blocks per piece. */
__global__ void gather(mr_real *space, parameters p, pieces all)
{
  const mr_cudnn_piece piece = all.at[blockIdx.y];
  MR_GRID_FOR(i, piece.n) space[piece.to + i] = p.data[piece.param][piece.from + i];
}

__global__ void scatter(parameters p, const mr_real *space, pieces all)
{
  const mr_cudnn_piece piece = all.at[blockIdx.y];
  mr_real *to = p.data[piece.param] + piece.from;
  if (p.data[piece.param] == NULL) return;
  MR_GRID_FOR(i, piece.n) to[i] = mr_plus_at(p.beta[piece.param], to + i, space[piece.to + i]);
}

__global__ void set_lengths(int32_t *length, int64_t B, int32_t T)
{
  MR_GRID_FOR(b, B) length[b] = T;
}

__global__ void add_to(mr_real *to, const mr_real *from, int64_t n)
{
  MR_GRID_FOR(i, n) to[i] += from[i];
}

/* Memory of a call: counted when planned, placed when run. */
struct carver {
  char *base; /* NULL: count only */
  size_t used;

  template <class T> T *take(size_t bytes)
  {
    char *p = base != NULL ? base + used : NULL;
    used += (bytes + 255) / 256 * 256;
    return reinterpret_cast<T *>(p);
  }
};

struct places {
  int32_t *lengths;
  mr_real *weights, *x, *h;
  void *work;
  mr_real *dx, *dh, *dweights, *dstate[2];
};

size_t lay_out(const mr_cudnn_shape &s, const mr_cudnn_need &need, bool back, void *base, places *p)
{
  carver c = {static_cast<char *>(base), 0};
  const size_t x = (size_t)(s.B * s.T * s.D) * sizeof(mr_real);
  const size_t h = (size_t)(s.B * s.T * s.H) * sizeof(mr_real);
  p->lengths = c.take<int32_t>((size_t)s.B * sizeof(int32_t));
  p->weights = c.take<mr_real>(need.weights);
  p->x = c.take<mr_real>(x);
  p->h = c.take<mr_real>(h);
  p->work = c.take<void>(need.work);
  if (!back) return c.used;
  p->dx = c.take<mr_real>(x);
  p->dh = c.take<mr_real>(h);
  p->dweights = c.take<mr_real>(need.weights);
  for (mr_real *&d : p->dstate) d = c.take<mr_real>((size_t)(s.B * s.H) * sizeof(mr_real));
  return c.used;
}

mr_cudnn_shape shape_of(const mr_vendor_attr *a, const mr_view *in, mr_math math)
{
  mr_cudnn_shape s = {};
  s.gru = a->gru != 0;
  s.algo = static_cast<mr_cudnn_algo>(a->algo);
  s.tensor_cores = math == MR_MATH_TF32;
  s.B = in[MR_VENDOR_X].shape.dim[0];
  s.T = in[MR_VENDOR_X].shape.dim[1];
  s.D = in[MR_VENDOR_X].shape.dim[2];
  s.H = in[MR_VENDOR_U].shape.dim[1];
  return s;
}

pieces pieces_of(const mr_cudnn_need &need)
{
  pieces all = {};
  for (int i = 0; i < need.n_pieces; i++) all.at[i] = need.piece[i];
  return all;
}

dim3 grid_of(const mr_backend *be, const mr_cudnn_shape &s, const mr_cudnn_need &need)
{
  return dim3(mr_grid(be, s.H * mr_max(s.D, s.H), BLOCK), (unsigned)need.n_pieces);
}

/* [B,T,n] to [T,B,n] and back. */
mr_status to_time_first(mr_backend *be, mr_real *to, const mr_real *from, const mr_cudnn_shape &s,
                        int64_t n)
{
  return MR_LAUNCH(be, swap_rows, mr_grid(be, s.B * s.T * n, BLOCK), BLOCK, 0, to, from, s.B, s.T,
                   n, (mr_real)0);
}

mr_status to_batch_first(mr_backend *be, mr_real *to, const mr_real *from, const mr_cudnn_shape &s,
                         int64_t n, mr_real beta)
{
  return MR_LAUNCH(be, swap_rows, mr_grid(be, s.B * s.T * n, BLOCK), BLOCK, 0, to, from, s.T, s.B,
                   n, beta);
}

/* What both passes begin with. */
mr_status open_call(mr_backend *be, const mr_call *c, const mr_cudnn_shape &s,
                    const mr_cudnn_need &need, const places &p, mr_cudnn_call *k)
{
  const mr_vendor_attr *a = static_cast<const mr_vendor_attr *>(c->attr);
  const int first = mr_vendor_state(a);
  parameters w = {};
  for (int i = MR_VENDOR_W; i < first; i++)
    w.data[i - MR_VENDOR_W] = static_cast<mr_real *>(c->in[i].data);
  MR_CHECK(
      MR_LAUNCH(be, set_lengths, mr_grid(be, s.B, BLOCK), BLOCK, 0, p.lengths, s.B, (int32_t)s.T));
  MR_CHECK(MR_LAUNCH(be, gather, grid_of(be, s, need), BLOCK, 0, p.weights, w, pieces_of(need)));
  MR_CHECK(to_time_first(be, p.x, MR_IN(c, MR_VENDOR_X), s, s.D));
  k->x = p.x, k->h = p.h, k->weights = p.weights, k->work = p.work, k->lengths = p.lengths;
  k->reserve = c->save[0].data;
  if (MR_GIVEN(c, first)) k->h0 = c->in[first].data;
  if (!s.gru && MR_GIVEN(c, first + 1)) k->c0 = c->in[first + 1].data;
  if (!s.gru) k->c_last = c->out[1].data;
  return MR_OK;
}

/* din[i] += from, where it was not written in its place. */
mr_status add_state(mr_backend *be, const mr_call *c, int i, const mr_real *from, int64_t n)
{
  if (c->din[i].data == NULL || c->beta[i] == 0) return MR_OK;
  return MR_LAUNCH(be, add_to, mr_grid(be, n, BLOCK), BLOCK, 0, MR_DIN(c, i), from, n);
}

} // namespace

mr_status mr_vendor_cuda_need(const mr_vendor_attr *a, const mr_view *in, int32_t n_in,
                              const mr_site *site, mr_need *need)
{
  (void)n_in;
  mr_cudnn_need asked;
  places nowhere = {};
  if (site->math == MR_MATH_BF16)
    return MR_FAIL(MR_ERR_UNSUPPORTED, "math is bf16, which cuDNN's layers on float arrays do not "
                                       "have; allowed: f32, tf32");
  const mr_cudnn_shape s = shape_of(a, in, site->math);
  MR_CHECK(mr_cudnn_needs(&s, &asked));
  const int64_t reals = (int64_t)((asked.reserve + sizeof(mr_real) - 1) / sizeof(mr_real));
  need->save[0] = mr_shape1(mr_max(reals, (int64_t)1));
  need->n_save = 1;
  need->work_fwd = lay_out(s, asked, false, NULL, &nowhere);
  need->work_bwd = lay_out(s, asked, true, NULL, &nowhere);
  need->variant = asked.variant;
  return MR_OK;
}

mr_status rnn_vendor_fwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_cudnn_shape s = shape_of(static_cast<const mr_vendor_attr *>(c->attr), c->in, be->math);
  mr_cudnn_need need;
  mr_cudnn_call k = {};
  places p = {};
  MR_CHECK(mr_cudnn_needs(&s, &need));
  (void)lay_out(s, need, false, c->work, &p);
  MR_CHECK(open_call(be, c, s, need, p, &k));
  MR_CHECK(mr_queue(be, [=](void *stream) { return mr_cudnn_forward(&s, stream, &k); }));
  return to_batch_first(be, MR_OUT(c, 0), p.h, s, s.H, 0);
}

mr_status rnn_vendor_bwd_cuda(mr_backend *be, const mr_call *c)
{
  const mr_vendor_attr *a = static_cast<const mr_vendor_attr *>(c->attr);
  const mr_cudnn_shape s = shape_of(a, c->in, be->math);
  const int first = mr_vendor_state(a);
  mr_cudnn_need need;
  mr_cudnn_call k = {};
  places p = {};
  parameters grad = {};
  MR_CHECK(mr_cudnn_needs(&s, &need));
  (void)lay_out(s, need, true, c->work, &p);
  MR_CHECK(open_call(be, c, s, need, p, &k));
  MR_CHECK(to_time_first(be, p.h, MR_OUT(c, 0), s, s.H));
  MR_CHECK(to_time_first(be, p.dh, MR_DOUT(c, 0), s, s.H));
  MR_CHECK(be->api->fill(be, p.dweights, 0, need.weights));
  k.dh = p.dh, k.dx = p.dx, k.dweights = p.dweights;
  if (!s.gru) k.dc_last = c->dout[1].data;
  void **dstate[] = {&k.dh0, &k.dc0};
  const int states = k.h0 == NULL ? 0 : s.gru ? 1 : 2;
  for (int i = 0; i < states; i++) {
    const bool straight = c->din[first + i].data != NULL && c->beta[first + i] == 0;
    *dstate[i] = straight ? c->din[first + i].data : p.dstate[i];
  }
  MR_CHECK(mr_queue(be, [=](void *stream) { return mr_cudnn_backward(&s, stream, &k); }));
  for (int i = 0; i < states; i++) MR_CHECK(add_state(be, c, first + i, p.dstate[i], s.B * s.H));
  if (c->din[MR_VENDOR_X].data != NULL)
    MR_CHECK(to_batch_first(be, MR_DIN(c, MR_VENDOR_X), p.dx, s, s.D, c->beta[MR_VENDOR_X]));
  for (int i = MR_VENDOR_W; i < first; i++) {
    grad.data[i - MR_VENDOR_W] = MR_DIN(c, i);
    grad.beta[i - MR_VENDOR_W] = c->beta[i];
  }
  return MR_LAUNCH(be, scatter, grid_of(be, s, need), BLOCK, 0, grad, p.dweights, pieces_of(need));
}
#else
mr_status mr_vendor_cuda_need(const mr_vendor_attr *a, const mr_view *in, int32_t n_in,
                              const mr_site *site, mr_need *need)
{
  (void)a, (void)in, (void)n_in, (void)site, (void)need;
  return MR_FAIL(MR_ERR_UNSUPPORTED,
                 "%s_vendor needs cuDNN, and this program was built without its "
                 "header cudnn.h",
                 a->gru ? "gru" : "lstm");
}

/* Never reached: such an op cannot be planned. */
mr_status rnn_vendor_fwd_cuda(mr_backend *be, const mr_call *c)
{
  (void)be, (void)c;
  return MR_FAIL(MR_ERR_UNSUPPORTED, "this program was built without cuDNN");
}

mr_status rnn_vendor_bwd_cuda(mr_backend *be, const mr_call *c)
{
  (void)be, (void)c;
  return MR_FAIL(MR_ERR_UNSUPPORTED, "this program was built without cuDNN");
}
#endif
