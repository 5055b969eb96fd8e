/* sweep.c — tiling of the gated scans over sequences and channels. SPDX-License-Identifier: MIT */
#include <string.h>
#include "sweep.h"

/* The shortest stretch of time that is cut, and the shortest and the most segments. */
enum { CUT_FROM = 1024, SEGMENT = 256, MOST_SEGMENTS = 64 };

/* Segments read their inputs twice. A block alone on its multiprocessor reaches about two thirds of
 * the share of bandwidth that belongs to that: cutting pays when more than half of them are idle. */
mr_sweep_cut mr_sweep_split(int sm_count, int64_t B, int64_t T, int64_t H)
{
  const int64_t blocks = B * ((H + MR_SWEEP_WIDTH - 1) / MR_SWEEP_WIDTH);
  mr_sweep_cut cut = {1, T};
  if (T < CUT_FROM || blocks == 0 || 2 * blocks > sm_count) return cut;
  int64_t n = 2 * (int64_t)sm_count / blocks;
  n = n < T / SEGMENT ? n : T / SEGMENT;
  n = n < MOST_SEGMENTS ? n : MOST_SEGMENTS;
  cut.steps = ((T + n - 1) / n + MR_SWEEP_STEPS - 1) / MR_SWEEP_STEPS * MR_SWEEP_STEPS;
  cut.segments = (T + cut.steps - 1) / cut.steps;
  return cut;
}

void mr_sweep_need(const mr_site *site, const mr_shape *h, mr_need *need)
{
  if (site->device != MR_CUDA) return;
  const int64_t B = h->dim[0], T = h->dim[1], H = h->dim[2];
  const mr_sweep_cut cut = mr_sweep_split(site->sm_count, B, T, H);
  need->variant = cut.segments > 1 ? "sweep cut along time" : "sweep";
  if (cut.segments > 1)
    need->work_fwd = need->work_bwd = (size_t)(2 * cut.segments * B * H) * sizeof(mr_real);
}

mr_status mr_sweep_infer(const char *name, const mr_view *in, int32_t n_in, int64_t gates,
                         const mr_site *site, mr_need *need)
{
  char pre[80], h0[80];
  if (n_in < 1 || in[0].shape.rank != 3 || in[0].shape.dim[2] % gates != 0)
    return MR_FAIL(MR_ERR_SHAPE, "%s: pre is %s; it must be [B,T,%dH]", name,
                   n_in < 1 ? "missing" : mr_shape_text(&in[0].shape, pre, sizeof pre), (int)gates);
  for (int32_t i = 0; i < n_in; i++)
    if (in[i].shape.rank >= 0 && in[i].dtype != MR_REAL)
      return MR_FAIL(MR_ERR_SHAPE, "%s: input %d holds integers, not reals", name, i);
  const int64_t B = in[0].shape.dim[0], T = in[0].shape.dim[1], H = in[0].shape.dim[2] / gates;
  const bool given = n_in > 1 && in[1].shape.rank >= 0;
  const mr_shape want = mr_shape3(B, 1, H);
  if (given && !mr_shape_eq(&in[1].shape, &want))
    return MR_FAIL(MR_ERR_SHAPE, "%s: pre is %s, so h0 must be [%lld,1,%lld], not %s", name,
                   mr_shape_text(&in[0].shape, pre, sizeof pre), (long long)B, (long long)H,
                   mr_shape_text(&in[1].shape, h0, sizeof h0));
  need->out[0] = mr_shape3(B, T, H);
  need->reads_in = 1u << 0 | (given ? 1u << 1 : 0);
  need->reads_out = 1u << 0;
  need->overwrites = 1u << 0;
  need->flops = (double)(B * T * H) * 4;
  need->flops_bwd = 2 * need->flops;
  need->bytes = (double)(B * T * H) * (double)(gates + 1) * sizeof(mr_real);
  mr_sweep_need(site, &need->out[0], need);
  return MR_OK;
}

static void tile(mr_sweep *s, const mr_call *c, int64_t i, int64_t tiles)
{
  const int64_t b = i / tiles, j = i % tiles * MR_SWEEP_TILE;
  const int64_t row = b * s->T;
  s->n = s->H - j < MR_SWEEP_TILE ? s->H - j : MR_SWEEP_TILE;
  s->pre = MR_IN(c, 0) + row * s->gates * s->H + j;
  s->h0 = MR_GIVEN(c, 1) ? MR_IN(c, 1) + b * s->H + j : NULL;
  s->h = MR_OUT(c, 0) + row * s->H + j;
  if (c->dout == NULL) return;
  s->dh = MR_DOUT(c, 0) + row * s->H + j;
  s->dpre = c->din[0].data != NULL ? MR_DIN(c, 0) + row * s->gates * s->H + j : NULL;
  s->dh0 = MR_GIVEN(c, 1) && c->din[1].data != NULL ? MR_DIN(c, 1) + b * s->H + j : NULL;
  s->beta_pre = c->beta[0];
  s->beta_h0 = c->n_in > 1 ? c->beta[1] : 0;
}

void mr_sweep_all(mr_backend *be, const mr_call *c, int64_t gates, mr_sweep_fn fn)
{
  const mr_shape *h = &c->out[0].shape;
  const int64_t B = h->dim[0], T = h->dim[1], H = h->dim[2];
  const int64_t tiles = (H + MR_SWEEP_TILE - 1) / MR_SWEEP_TILE;
  MR_PARALLEL_FOR(be, MR_WORTH(B * T * H))
  for (int64_t i = 0; i < B * tiles; i++) {
    mr_sweep s;
    memset(&s, 0, sizeof s);
    s.T = T, s.H = H, s.gates = gates, s.attr = c->attr;
    tile(&s, c, i, tiles);
    fn(&s);
  }
}

void mr_sweep_store(const mr_sweep *s, int64_t t, const mr_real *grad)
{
  for (int64_t g = 0; s->dpre != NULL && g < s->gates; g++) {
    mr_real *to = s->dpre + (t * s->gates + g) * s->H;
    const mr_real *from = grad + g * MR_SWEEP_TILE;
    if (s->beta_pre == 0)
      memcpy(to, from, (size_t)s->n * sizeof *to);
    else
      for (int64_t j = 0; j < s->n; j++) to[j] += from[j];
  }
}
