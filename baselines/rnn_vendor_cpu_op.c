/* rnn_vendor_cpu_op.c — GRU and LSTM layers as ops over oneDNN's. SPDX-License-Identifier: MIT */
#include "rnn_vendor_impl.h"

#if defined MR_WITH_DNNL && !defined MR_REAL_IS_DOUBLE
#include <string.h>
#include "onednn.h"
#include "op_util.h"

/* oneDNN's GRU gates are z, r, n; ours r, z, n. LSTM gates agree. */
static const int gru_gate[] = {1, 0, 2};

static const mr_vendor_attr *attr_of(const mr_call *c)
{
  return c->attr;
}

static mr_onednn_shape shape_of(const mr_vendor_attr *a, const mr_shape *x, const mr_shape *u,
                                bool state, int threads)
{
  return (mr_onednn_shape){.cell = a->gru ? MR_ONEDNN_GRU : MR_ONEDNN_LSTM,
                           .threads = threads,
                           .state = state,
                           .B = x->dim[0],
                           .T = x->dim[1],
                           .D = x->dim[2],
                           .H = u->dim[1]};
}

/* ---- Memory of a call: counted when planned, placed when run ------------------------------------ */

typedef struct carver {
  char *base; /* NULL: count only */
  size_t used;
} carver;

static void *carve(carver *c, size_t bytes)
{
  void *p = c->base != NULL ? c->base + c->used : NULL;
  c->used += (bytes + 63) / 64 * 64;
  return p;
}

/* Gives the roles that are no view of the call their places; returns the bytes. */
static size_t lay_out(const mr_onednn_shape *s, const mr_onednn_need *need, mr_onednn_pass pass,
                      void *base, void **data)
{
  carver c = {base, 0};
  const bool gru = s->cell == MR_ONEDNN_GRU;
  const size_t H = (size_t)s->H * sizeof(mr_real), state = (size_t)s->B * H;
  const size_t w = (gru ? 3 : 4) * (size_t)s->D * H, u = (gru ? 3 : 4) * (size_t)s->H * H;
  data[MR_ROLE_SCRATCH] = carve(&c, need->scratch[pass]);
  data[MR_ROLE_W] = carve(&c, need->w_bytes[pass]);
  data[MR_ROLE_U] = carve(&c, need->u_bytes[pass]);
  if (gru) {
    data[MR_ROLE_W_PLAIN] = carve(&c, w);
    data[MR_ROLE_U_PLAIN] = carve(&c, u);
    data[MR_ROLE_BIAS] = carve(&c, 4 * H);
  } else {
    data[MR_ROLE_H_LAST] = carve(&c, state);
  }
  if (pass == MR_ONEDNN_FWD) return c.used;
  data[MR_ROLE_DX] = carve(&c, (size_t)(s->B * s->T * s->D) * sizeof(mr_real));
  data[MR_ROLE_DH0] = carve(&c, state);
  data[MR_ROLE_DC0] = carve(&c, state);
  data[MR_ROLE_DW] = carve(&c, need->dw_bytes);
  data[MR_ROLE_DU] = carve(&c, need->du_bytes);
  data[MR_ROLE_DW_PLAIN] = carve(&c, w);
  data[MR_ROLE_DU_PLAIN] = carve(&c, u);
  data[MR_ROLE_DBIAS] = carve(&c, 4 * H);
  data[MR_ROLE_DH_LAST] = carve(&c, state);
  data[MR_ROLE_DC_LAST] = carve(&c, state);
  return c.used;
}

/* ---- Kernels ---------------------------------------------------------------------------------- */

/* The address of an input, which oneDNN takes as one it could write to, but only reads. */
static void *input(const mr_call *c, int i)
{
  return c->in[i].data;
}

/* Rows of n reals, one per gate, from our order to oneDNN's: to[g] = from[gate[g]]. */
static void gates_in(mr_real *to, const mr_real *from, int64_t n)
{
  for (int g = 0; g < 3; g++) memcpy(to + g * n, from + gru_gate[g] * n, (size_t)n * sizeof *to);
}

/* to = beta * to + from, n reals; nothing when `to` is NULL. */
static void add(mr_real *to, const mr_real *from, int64_t n, mr_real beta)
{
  if (to == NULL) return;
  MR_SIMD
  for (int64_t i = 0; i < n; i++) to[i] = mr_plus(beta, to[i], from[i]);
}

/* The same for rows of n reals, one per gate, back in our order. */
static void gates_out(const mr_call *c, int i, const mr_real *from, int64_t n)
{
  const bool gru = attr_of(c)->gru;
  for (int g = 0; g < (gru ? 3 : 4) && c->din[i].data != NULL; g++)
    add(MR_DIN(c, i) + (gru ? gru_gate[g] : g) * n, from + g * n, n, c->beta[i]);
}

/* Bias rows z, r (both biases summed), n of the input, n of the state. */
static void bias_in(const mr_call *c, int64_t H, mr_real *bias)
{
  const mr_real *w = MR_IN(c, MR_VENDOR_WB), *u = MR_IN(c, MR_VENDOR_UB);
  for (int64_t j = 0; j < H; j++) {
    bias[j] = w[H + j] + u[H + j], bias[H + j] = w[j] + u[j];
    bias[2 * H + j] = w[2 * H + j], bias[3 * H + j] = u[2 * H + j];
  }
}

/* What both passes hand to oneDNN alike. */
static void share_inputs(const mr_call *c, const mr_onednn_shape *s, void **data)
{
  const int first = mr_vendor_state(attr_of(c));
  data[MR_ROLE_X] = input(c, MR_VENDOR_X);
  data[MR_ROLE_WORKSPACE] = c->save[0].data;
  data[MR_ROLE_H] = c->out[0].data;
  if (s->state) data[MR_ROLE_H0] = input(c, first);
  if (s->cell == MR_ONEDNN_GRU) {
    gates_in(data[MR_ROLE_W_PLAIN], MR_IN(c, MR_VENDOR_W), s->H * s->D);
    gates_in(data[MR_ROLE_U_PLAIN], MR_IN(c, MR_VENDOR_U), s->H * s->H);
    bias_in(c, s->H, data[MR_ROLE_BIAS]);
    return;
  }
  if (s->state) data[MR_ROLE_C0] = input(c, first + 1);
  data[MR_ROLE_C_LAST] = c->out[1].data;
  data[MR_ROLE_W_PLAIN] = input(c, MR_VENDOR_W);
  data[MR_ROLE_U_PLAIN] = input(c, MR_VENDOR_U);
  data[MR_ROLE_BIAS] = input(c, MR_VENDOR_WB);
}

static mr_status open_call(mr_backend *be, const mr_call *c, mr_onednn_pass pass,
                           mr_onednn_shape *s, void **data)
{
  mr_onednn_need need;
  *s = shape_of(attr_of(c), &c->in[MR_VENDOR_X].shape, &c->in[MR_VENDOR_U].shape,
                MR_GIVEN(c, mr_vendor_state(attr_of(c))), be->threads);
  MR_CHECK(mr_onednn_needs(s, &need));
  (void)lay_out(s, &need, pass, c->work, data);
  share_inputs(c, s, data);
  return MR_OK;
}

mr_status rnn_vendor_fwd_cpu(mr_backend *be, const mr_call *c)
{
  mr_onednn_shape s;
  void *data[MR_ONEDNN_ROLES] = {NULL};
  MR_CHECK(open_call(be, c, MR_ONEDNN_FWD, &s, data));
  return mr_onednn_run(&s, MR_ONEDNN_FWD, data);
}

/* The last step of h, which oneDNN wants once more, and the gradients of the last state. */
static void last_state(const mr_call *c, const mr_onednn_shape *s, void **data)
{
  const size_t bytes = (size_t)s->H * sizeof(mr_real);
  mr_real *last = data[MR_ROLE_H_LAST];
  for (int64_t b = 0; b < s->B; b++)
    memcpy(last + b * s->H, MR_OUT(c, 0) + (b * s->T + s->T - 1) * s->H, bytes);
  memset(data[MR_ROLE_DH_LAST], 0, (size_t)s->B * bytes);
  if (c->dout[1].data != NULL)
    data[MR_ROLE_DC_LAST] = c->dout[1].data;
  else
    memset(data[MR_ROLE_DC_LAST], 0, (size_t)s->B * bytes);
}

mr_status rnn_vendor_bwd_cpu(mr_backend *be, const mr_call *c)
{
  mr_onednn_shape s;
  void *data[MR_ONEDNN_ROLES] = {NULL};
  const int first = mr_vendor_state(attr_of(c));
  MR_CHECK(open_call(be, c, MR_ONEDNN_BWD, &s, data));
  const bool gru = s.cell == MR_ONEDNN_GRU,
             straight = c->din[MR_VENDOR_X].data && c->beta[MR_VENDOR_X] == 0;
  data[MR_ROLE_DH] = c->dout[0].data;
  if (straight) data[MR_ROLE_DX] = c->din[MR_VENDOR_X].data;
  if (!gru) last_state(c, &s, data);
  MR_CHECK(mr_onednn_run(&s, MR_ONEDNN_BWD, data));
  if (!straight)
    add(MR_DIN(c, MR_VENDOR_X), data[MR_ROLE_DX], s.B * s.T * s.D, c->beta[MR_VENDOR_X]);
  gates_out(c, MR_VENDOR_W, data[MR_ROLE_DW_PLAIN], s.H * s.D);
  gates_out(c, MR_VENDOR_U, data[MR_ROLE_DU_PLAIN], s.H * s.H);
  mr_real *bias = data[MR_ROLE_DBIAS];
  gates_out(c, MR_VENDOR_WB, bias, s.H);
  if (gru) { /* the recurrent bias shares z and r with the input's and has its own n */
    memcpy(bias + 2 * s.H, bias + 3 * s.H, (size_t)s.H * sizeof *bias);
    gates_out(c, MR_VENDOR_UB, bias, s.H);
  }
  if (!s.state) return MR_OK;
  add(MR_DIN(c, first), data[MR_ROLE_DH0], s.B * s.H, c->beta[first]);
  if (!gru) add(MR_DIN(c, first + 1), data[MR_ROLE_DC0], s.B * s.H, c->beta[first + 1]);
  return MR_OK;
}

mr_status mr_vendor_cpu_need(const mr_vendor_attr *a, const mr_view *in, int32_t n_in,
                             const mr_site *site, mr_need *need)
{
  mr_onednn_need asked;
  void *nowhere[MR_ONEDNN_ROLES];
  const mr_onednn_shape s = shape_of(a, &in[MR_VENDOR_X].shape, &in[MR_VENDOR_U].shape,
                                     mr_rule_given(in, n_in, mr_vendor_state(a)), site->threads);
  MR_CHECK(mr_onednn_needs(&s, &asked));
  need->save[0] = mr_shape1((int64_t)((asked.workspace + sizeof(mr_real) - 1) / sizeof(mr_real)));
  need->n_save = 1;
  need->work_fwd = lay_out(&s, &asked, MR_ONEDNN_FWD, NULL, nowhere);
  need->work_bwd = lay_out(&s, &asked, MR_ONEDNN_BWD, NULL, nowhere);
  return MR_OK;
}

#else
static mr_status refuse(bool gru)
{
#ifdef MR_WITH_DNNL
  const char *why = "computes in double precision, which oneDNN's recurrent layers do not have";
#else
  const char *why = "was built without it: install Debian's libdnnl-dev and build again";
#endif
  return MR_FAIL(MR_ERR_UNSUPPORTED, "%s_vendor needs oneDNN, and this program %s",
                 gru ? "gru" : "lstm", why);
}

mr_status mr_vendor_cpu_need(const mr_vendor_attr *a, const mr_view *in, int32_t n_in,
                             const mr_site *site, mr_need *need)
{
  (void)in, (void)n_in, (void)site, (void)need;
  return refuse(a->gru != 0);
}

/* Such an op cannot be planned, so these are not reached. */
mr_status rnn_vendor_fwd_cpu(mr_backend *be, const mr_call *c)
{
  (void)be;
  return refuse(((const mr_vendor_attr *)c->attr)->gru != 0);
}

mr_status rnn_vendor_bwd_cpu(mr_backend *be, const mr_call *c)
{
  return rnn_vendor_fwd_cpu(be, c);
}
#endif
