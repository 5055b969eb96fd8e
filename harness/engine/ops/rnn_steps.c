/* rnn_steps.c — sizes, working memory and dU products of the recurrent cells on the CPU.
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include "panel.h"
#include "rnn_steps.h"

/* Rows that make the products for dU efficient while their blocks stay in the cache. */
enum { GATHER_ROWS = 512 };
/* Rows, of all steps and sequences, from which packing U pays. */
enum { PACK_ROWS = 16 };

mr_rnn mr_rnn_sizes(const mr_shape *xw, int64_t gates, int threads)
{
  mr_rnn r;
  r.B = xw->dim[0], r.T = xw->dim[1], r.H = xw->dim[2] / gates, r.G = gates;
  r.parts = r.B < threads ? (int)r.B : threads;
  r.rows = (r.B + r.parts - 1) / r.parts;
  r.stretch = (GATHER_ROWS + r.rows - 1) / r.rows;
  if (r.stretch > r.T) r.stretch = r.T;
  r.packs = r.B * r.T >= PACK_ROWS && mr_panel_pays(r.B, true, r.H, r.G * r.H);
  return r;
}

mr_status mr_rnn_infer(const char *name, const mr_view *in, int32_t n_in, int64_t gates,
                       int first_state)
{
  char xw[80], other[80];
  if (n_in < 2 || in[0].shape.rank != 3 || in[0].shape.dim[2] % gates != 0)
    return MR_FAIL(MR_ERR_SHAPE, "%s: xw is %s; it must be [B,T,%dH]", name,
                   n_in < 2 ? "missing" : mr_shape_text(&in[0].shape, xw, sizeof xw), (int)gates);
  for (int i = 0; i < n_in; i++)
    if (in[i].shape.rank >= 0 && in[i].dtype != MR_REAL)
      return MR_FAIL(MR_ERR_SHAPE, "%s: input %d holds integers, not reals", name, i);
  const int64_t H = in[0].shape.dim[2] / gates;
  const mr_shape u = mr_shape2(gates * H, H), h = mr_shape3(in[0].shape.dim[0], 1, H);
  if (!mr_shape_eq(&in[1].shape, &u))
    return MR_FAIL(MR_ERR_SHAPE, "%s: xw is %s, so u must be [%lld,%lld], not %s", name,
                   mr_shape_text(&in[0].shape, xw, sizeof xw), (long long)(gates * H), (long long)H,
                   mr_shape_text(&in[1].shape, other, sizeof other));
  for (int i = first_state; i < n_in; i++)
    if (in[i].shape.rank >= 0 && !mr_shape_eq(&in[i].shape, &h))
      return MR_FAIL(MR_ERR_SHAPE, "%s: xw is %s, so a state must be [%lld,1,%lld], not %s", name,
                     mr_shape_text(&in[0].shape, xw, sizeof xw), (long long)h.dim[0], (long long)H,
                     mr_shape_text(&in[i].shape, other, sizeof other));
  return MR_OK;
}

int64_t mr_rnn_panel_reals(const mr_rnn *r)
{
  /* Forward has k = H and up to GH columns, backward H columns and k up to GH. */
  return r->packs ? r->G * mr_panel_reals(r->H, r->H) : 0;
}

int mr_rnn_cuda_padded(int64_t T, int64_t H, int64_t gates, int shared_limit)
{
  const int padded = H <= 32 ? 32 : H <= 64 ? 64 : H <= 128 ? 128 : 0;
  if ((double)T * (double)H * 4 * sizeof(mr_real) >= UINT32_MAX) return 0;
  if (padded < 128 || gates < 4) return padded;
  /* What of the weights has no room in registers (lstm_seq.cu), and the gates' gradients. */
  return (size_t)shared_limit >= (10 * 2048 + 1088) * sizeof(mr_real) ? padded : 0;
}

int64_t mr_rnn_cuda_stretch(int sm_count, int64_t B, int64_t T)
{
  /* Rows that make the product for dU efficient; starting a kernel anew is little beside them. */
  const int64_t rows = (int64_t)sm_count * 64, steps = (rows + B - 1) / B;
  return steps < T ? steps : T;
}

/* The gates' gradients and what U was multiplied with, of a stretch; and per sequence the sums for the
 * bias and two states. A multiple of 4: what follows is read 16 bytes at a time. */
int64_t mr_rnn_cuda_walk_reals(int sm_count, int64_t B, int64_t T, int64_t H, int64_t gates)
{
  const int64_t n = ((gates + 1) * mr_rnn_cuda_stretch(sm_count, B, T) + gates + 2) * B * H;
  return (n + 3) / 4 * 4;
}

void mr_rnn_cuda_need(const mr_site *site, const mr_rnn *r, mr_need *need)
{
  const int64_t padded = mr_rnn_cuda_padded(r->T, r->H, r->G, site->shared_limit);
  const int64_t packed = r->G * padded * padded, step = (r->G + 1) * r->B * r->H;
  need->variant = padded > 0 ? "weights on chip" : "a product per step";
  need->hides_products = padded > 0;
  need->work_fwd = (size_t)(padded > 0 ? packed : step) * sizeof(mr_real);
  const int64_t walk = mr_rnn_cuda_walk_reals(site->sm_count, r->B, r->T, r->H, r->G);
  need->work_bwd = (size_t)(walk + packed) * sizeof(mr_real);
}

mr_rnn_side mr_rnn_right(mr_backend *be, const mr_rnn *r, const mr_real *u, int64_t g0, int64_t g1,
                         bool back, mr_real *panels)
{
  const int64_t H = r->H, rows = (g1 - g0) * H;
  mr_rnn_side s = {back ? rows : H, back ? H : rows, u + g0 * H * H, !back, r->packs};
  s.packed = s.packed && mr_panel_pays(r->B, s.trans, s.k, s.n);
  if (!s.packed) return s;
  panels += g0 * mr_panel_reals(H, H);
  mr_panel_pack(be, s.b, H, s.trans, s.k, s.n, panels);
  s.b = panels;
  s.trans = false;
  return s;
}

void mr_rnn_product(mr_backend *be, int64_t m, const mr_real *a, int64_t lda, const mr_rnn_side *b,
                    mr_real beta, mr_real *c, int64_t ldc)
{
  const mr_gemm g = {
      m, b->n, b->k,     false, b->trans, 1, beta, a, lda, b->b, b->trans ? b->k : b->n,
      c, ldc,  b->packed};
  mr_cpu_gemm(be, &g);
}

void mr_rnn_load_state(const mr_call *c, int input, int64_t from, int64_t n, int64_t H, mr_real *h)
{
  if (MR_GIVEN(c, input))
    memcpy(h, MR_IN(c, input) + from * H, (size_t)(n * H) * sizeof *h);
  else
    memset(h, 0, (size_t)(n * H) * sizeof *h);
}

void mr_rnn_put(mr_real *to, const mr_real *from, int64_t n, mr_real beta)
{
  if (to == NULL) return;
  if (beta == 0)
    memcpy(to, from, (size_t)n * sizeof *to);
  else
    for (int64_t j = 0; j < n; j++) to[j] += from[j];
}

static int64_t part_reals(const mr_rnn *r, int blocks)
{
  const int64_t GH = r->G * r->H;
  return r->stretch * r->rows * (GH + blocks * r->H) + (2 * r->rows + 1) * r->H + GH * r->H + GH;
}

size_t mr_rnn_work_back(const mr_rnn *r, int blocks)
{
  return (size_t)(mr_rnn_panel_reals(r) + r->parts * part_reals(r, blocks)) * sizeof(mr_real);
}

mr_rnn_back mr_rnn_part(const mr_rnn *r, const mr_call *c, int part, int blocks, int u, int b)
{
  const int64_t GH = r->G * r->H, block = r->stretch * r->rows;
  mr_real *w = (mr_real *)c->work + mr_rnn_panel_reals(r) + part * part_reals(r, blocks);
  int64_t to;
  mr_rnn_back p;
  memset(&p, 0, sizeof p);
  mr_share(r->B, 1, part, r->parts, &p.from, &to);
  p.n = to - p.from;
  p.gate = w, w += block * GH;
  p.left = w, w += block * r->H;
  if (blocks == 2) p.left2 = w, w += block * r->H;
  p.dh = w, w += r->rows * r->H;
  p.tmp = w, w += r->rows * r->H;
  p.zero = w, w += r->H;
  p.du = w, w += GH * r->H;
  p.db = w;
  if (part == 0 && c->din[u].data != NULL) p.du = MR_DIN(c, u), p.beta_u = c->beta[u];
  if (part == 0 && b >= 0 && c->din[b].data != NULL) p.db = MR_DIN(c, b), p.beta_b = c->beta[b];
  return p;
}

mr_rnn_back mr_rnn_begin(const mr_rnn *r, const mr_call *c, int part, int blocks, int u, int b)
{
  mr_rnn_back p = mr_rnn_part(r, c, part, blocks, u, b);
  memset(p.dh, 0, (size_t)(p.n * r->H) * sizeof *p.dh);
  memset(p.zero, 0, (size_t)r->H * sizeof *p.zero);
  return p;
}

/* du[g0*H .. g1*H) = beta du + gate^T left. */
static void add_du(mr_backend *be, const mr_rnn *r, const mr_rnn_back *p, const mr_real *left,
                   int64_t g0, int64_t g1)
{
  const mr_gemm g = {(g1 - g0) * r->H,
                     r->H,
                     p->gathered * p->n,
                     true,
                     false,
                     1,
                     p->beta_u,
                     p->gate + g0 * r->H,
                     r->G * r->H,
                     left,
                     r->H,
                     p->du + g0 * r->H * r->H,
                     r->H};
  mr_cpu_gemm(be, &g);
}

void mr_rnn_gather(mr_backend *be, const mr_rnn *r, mr_rnn_back *p, int64_t split)
{
  const int64_t GH = r->G * r->H, rows = p->gathered * p->n;
  if (rows == 0) return;
  add_du(be, r, p, p->left, 0, p->left2 != NULL ? split : r->G);
  if (p->left2 != NULL) add_du(be, r, p, p->left2, split, r->G);
  for (int64_t j = 0; j < GH; j++) p->db[j] = p->beta_b == 0 ? 0 : p->db[j];
  for (int64_t i = 0; i < rows; i++) {
    const mr_real *g = p->gate + i * GH;
    for (int64_t j = 0; j < GH; j++) p->db[j] += g[j];
  }
  p->beta_u = p->beta_b = 1;
  p->gathered = 0;
}

void mr_rnn_add_parts(const mr_rnn *r, const mr_call *c, int blocks, int u, int b)
{
  const int64_t GH = r->G * r->H;
  for (int part = 1; part < r->parts; part++) {
    const mr_rnn_back p = mr_rnn_part(r, c, part, blocks, u, b);
    for (int64_t i = 0; c->din[u].data != NULL && i < GH * r->H; i++) MR_DIN(c, u)[i] += p.du[i];
    for (int64_t i = 0; b >= 0 && c->din[b].data != NULL && i < GH; i++) MR_DIN(c, b)[i] += p.db[i];
  }
}
