/* attention.c — causal multi-head attention with online softmax, on the CPU.
 * SPDX-License-Identifier: MIT
 *
 * A thread takes whole heads of single sequences. Scores exist as one tile of queries x keys at a
 * time. Forward keeps of each row the logarithm of its sum of exp, from which backward makes the
 * tile's weights again. Products read and write the rows of qkv, y and their gradients in place. */
#include "attention.h"
#include <math.h>
#include <string.h>
#include "op_util.h"
#include "ops.h"
#include "scalar.h"

/* Queries and keys of a tile; scores whose arithmetic is done together. */
enum { TILE = 64, AREA = TILE * TILE, GROUP = 16 };

static mr_status infer(const void *attr, const mr_view *in, int32_t n_in, const mr_site *site,
                       mr_need *need)
{
  const int64_t heads = ((const attention_attr *)attr)->heads;
  const bool cached = mr_rule_given(in, n_in, 1);
  char text[80];
  MR_CHECK(mr_rule_rank("attention", "qkv", &in[0], MR_REAL, 3));
  const int64_t B = in[0].shape.dim[0], T = in[0].shape.dim[1], D = in[0].shape.dim[2] / 3;
  if (heads < 1 || D < 1 || in[0].shape.dim[2] % (3 * heads) != 0)
    return MR_FAIL(MR_ERR_SHAPE,
                   "attention: qkv %s does not hold queries, keys and values of %lld "
                   "heads",
                   mr_shape_text(&in[0].shape, text, sizeof text), (long long)heads);
  int64_t C = 0;
  if (cached != mr_rule_given(in, n_in, 2))
    return MR_FAIL(MR_ERR_SHAPE, "attention: cache and seen must be given together");
  if (cached) {
    MR_CHECK(mr_rule_rank("attention", "cache", &in[1], MR_REAL, 3));
    C = in[1].shape.dim[1];
    const mr_shape cache = mr_shape3(B, C, 2 * D), seen = mr_shape3(B, 1, 1);
    MR_CHECK(mr_rule_shape("attention", "cache", &in[1], MR_REAL, &cache));
    MR_CHECK(mr_rule_shape("attention", "seen", &in[2], MR_REAL, &seen));
  }
  need->out[0] = mr_shape3(B, T, D);
  need->save[0] = mr_shape3(B, heads, T);
  need->n_save = 1;
  need->reads_in = cached ? 7 : 1;
  need->reads_out = 1;
  if (site->device == MR_CPU) {
    const size_t each = sizeof(mr_real) * (size_t)site->threads;
    need->work_fwd = each * (TILE * TILE + 2 * TILE);
    need->work_bwd = each * (size_t)((int64_t)2 * AREA + (T + TILE - 1) / TILE * TILE);
  } else {
    need->work_bwd = mr_bytes(&need->save[0], MR_REAL); /* dout . out of each row */
    need->hides_products = true;
    need->variant = D / heads <= MR_ATTENTION_TILED ? "tiles" : "row by row";
  }
  need->flops = 4 * (double)(B * D) * ((double)T * (double)(T + 1) / 2 + (double)T * (double)C);
  need->flops_bwd = 2.5 * need->flops; /* five products for two: the scores are not kept */
  need->bytes = (double)(B * (4 * T * D + heads * T + 2 * C * D)) * sizeof(mr_real);
  return MR_OK;
}

/* ==== Heads ================================================================================== */

/* Keys and values of one head whose rows stand one behind the other: carried ones, or those of this
 * stretch. */
typedef struct keys {
  const mr_real *k, *v;
  mr_real *dk, *dv; /* NULL: not wanted                            */
  mr_real beta;     /* of dk and dv                                */
  int64_t n, ld;    /* rows, and reals from row to row             */
  bool causal;      /* query t sees rows 0 .. t only               */
} keys;

/* One head of one sequence, with the thread's working memory. */
typedef struct head {
  mr_backend *be;
  int64_t T, D, d; /* d channels of D                               */
  mr_real scale;   /* 1 / sqrt(d)                                   */
  const mr_real *q, *dout;
  mr_real *dq, beta; /* NULL: not wanted                            */
  mr_real *out, *lse;
  keys part[2];       /* carried keys, own keys                           */
  mr_real *s, *ds;    /* [TILE,TILE] scores, then weights; their gradient */
  mr_real *top, *sum; /* [TILE] forward: of each row so far               */
  mr_real *delta;     /* [T] backward: dout . out of each row             */
} head;

/* Carried steps that sequence b attends to. */
static int64_t seen_by(const mr_call *c, int64_t b)
{
  const int64_t C = c->in[1].shape.dim[1];
  const mr_real n = MR_IN(c, 2)[b];
  if (!(n > 0)) return 0;
  return n < (mr_real)C ? (int64_t)(n + (mr_real)0.5) : C;
}

/* Head number `lane` of the call's B * heads. */
static head head_of(mr_backend *be, const mr_call *c, int64_t lane)
{
  const int64_t heads = ((const attention_attr *)c->attr)->heads;
  const int64_t b = lane / heads, T = c->out[0].shape.dim[1], D = c->out[0].shape.dim[2];
  const int64_t d = D / heads, at = lane % heads * d;
  const mr_real *qkv = MR_IN(c, 0) + b * T * 3 * D + at;
  head h = {.be = be, .T = T, .D = D, .d = d, .scale = 1 / mr_sqrt1((mr_real)d), .q = qkv};
  h.out = MR_OUT(c, 0) + b * T * D + at;
  h.lse = MR_SAVE(c, 0) + lane * T;
  h.part[1] = (keys){.k = qkv + D, .v = qkv + 2 * D, .n = T, .ld = 3 * D, .causal = true};
  if (MR_GIVEN(c, 1)) {
    const int64_t C = c->in[1].shape.dim[1], n = seen_by(c, b);
    const mr_real *row = MR_IN(c, 1) + (b * C + C - n) * 2 * D + at;
    h.part[0] = (keys){.k = row, .v = row + D, .n = n, .ld = 2 * D};
  }
  return h;
}

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Keys of j .. j + n - 1 that query t sees. */
static int visible(const keys *p, int64_t t, int64_t j, int64_t n)
{
  return (int)(p->causal ? least(n, t + 1 - j) : n);
}

/* n rounded up to groups: at most TILE. The surplus scores become -inf, whose exp is exactly 0. */
static int whole_groups(int n)
{
  return (n + GROUP - 1) / GROUP * GROUP;
}

/* s = scale q k^T for queries from .. from + m - 1 and keys j .. j + n - 1. */
static void scores(const head *h, const keys *p, int64_t from, int64_t m, int64_t j, int64_t n)
{
  mr_cpu_gemm(h->be, &(mr_gemm){m, n, h->d, false, true, h->scale, 0, h->q + from * 3 * h->D,
                                3 * h->D, p->k + j * p->ld, p->ld, h->s, TILE});
}

/* ==== Forward ================================================================================ */

/* The same for one query. A product of so few rows would spend its time on copying the keys. */
static void scores_of_one(const head *h, const keys *p, int64_t from, int64_t j, int64_t n)
{
  const mr_real *q = h->q + from * 3 * h->D;
  for (int64_t i = 0; i < n; i++) {
    const mr_real *k = p->k + (j + i) * p->ld;
    mr_real dot = 0;
    MR_PRAGMA(omp simd reduction(+ : dot))
    for (int64_t c = 0; c < h->d; c++) dot += q[c] * k[c];
    h->s[i] = h->scale * dot;
  }
}

/* out = (first ? 0 : out) + weights s [n] times values j .. j + n - 1. */
static void add_values(const head *h, const keys *p, int64_t j, int64_t n, bool first,
                       mr_real *restrict out)
{
  if (first) memset(out, 0, (size_t)h->d * sizeof *out);
  for (int64_t i = 0; i < n; i++) {
    const mr_real *v = p->v + (j + i) * p->ld, w = h->s[i];
    MR_SIMD
    for (int64_t c = 0; c < h->d; c++) out[c] += w * v[c];
  }
}

/* Turns the n visible scores of a row into weights exp(s - top), the others up to `width` into 0;
 * what the row has gathered so far is scaled to the new top. */
static void weigh(mr_real *restrict s, int n, int width, bool first, mr_real *top, mr_real *sum,
                  mr_real *out, int64_t d)
{
  const int full = whole_groups(n);
  mr_real best[GROUP], total = 0;
  for (int i = 0; i < GROUP; i++) best[i] = first ? s[0] : *top;
  for (int k = 0; k < full; k += GROUP) {
    MR_SIMD
    for (int i = 0; i < GROUP; i++) {
      const mr_real x = k + i < n ? s[k + i] : -INFINITY;
      s[k + i] = x;
      best[i] = x > best[i] ? x : best[i];
    }
  }
  for (int half = GROUP / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) best[i] = best[i] > best[half + i] ? best[i] : best[half + i];
  const mr_real most = best[0];
  MR_PRAGMA(omp simd reduction(+ : total))
  for (int i = 0; i < full; i++) {
    const mr_real e = mr_exp1(s[i] - most);
    s[i] = e;
    total += e;
  }
  for (int i = full; i < width; i++) s[i] = 0;
  if (!first && *top != most) {
    const mr_real fade = mr_exp1(*top - most);
    *sum *= fade;
    MR_SIMD
    for (int64_t i = 0; i < d; i++) out[i] *= fade;
  }
  *sum = first ? total : *sum + total;
  *top = most;
}

static void forward_rows(const head *h, int64_t from, int64_t m)
{
  const int64_t D = h->D, d = h->d;
  mr_real *out = h->out + from * D;
  bool first = true;
  for (const keys *p = h->part; p < h->part + 2; p++) {
    const int64_t end = p->causal ? from + m : p->n;
    for (int64_t j = 0; j < end; j += TILE) {
      const int64_t n = least(TILE, end - j);
      if (m == 1)
        scores_of_one(h, p, from, j, n);
      else
        scores(h, p, from, m, j, n);
      for (int64_t r = 0; r < m; r++)
        weigh(h->s + r * TILE, visible(p, from + r, j, n), (int)n, first, h->top + r, h->sum + r,
              out + r * D, d);
      if (m == 1)
        add_values(h, p, j, n, first, out);
      else
        mr_cpu_gemm(h->be, &(mr_gemm){m, d, n, false, false, 1, first ? 0 : 1, h->s, TILE,
                                      p->v + j * p->ld, p->ld, out, D});
      first = false;
    }
  }
  mr_real *top = h->top, *sum = h->sum, *lse = h->lse + from;
  MR_SIMD
  for (int64_t r = 0; r < m; r++) {
    lse[r] = top[r] + mr_log1(sum[r]);
    sum[r] = 1 / sum[r];
  }
  for (int64_t r = 0; r < m; r++) {
    MR_SIMD
    for (int64_t i = 0; i < d; i++) out[r * D + i] *= sum[r];
  }
}

/* Is the work of B * heads * T rows of scores worth a second thread? */
static bool worth(const mr_call *c)
{
  const mr_shape *s = &c->save[0].shape;
  const int64_t C = MR_GIVEN(c, 1) ? c->in[1].shape.dim[1] : 0;
  return MR_WORTH(mr_count(s) * (s->dim[2] + C));
}

mr_status attention_fwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t lanes = c->save[0].shape.dim[0] * c->save[0].shape.dim[1];
  MR_PARALLEL(be, worth(c))
  {
    int64_t lane, to;
    mr_share(lanes, 1, mr_tid(), mr_team(), &lane, &to);
    for (; lane < to; lane++) {
      head h = head_of(be, c, lane);
      h.s = (mr_real *)c->work + (int64_t)mr_tid() * (AREA + 2 * TILE);
      h.top = h.s + AREA;
      h.sum = h.top + TILE;
      for (int64_t from = 0; from < h.T; from += TILE)
        forward_rows(&h, from, least(TILE, h.T - from));
    }
  }
  return MR_OK;
}

/* ==== Backward =============================================================================== */

/* From the scores s and da = dout v^T (in ds) of a row, n of `width` visible: the weights a into s
 * and a (da - delta) into ds. */
static void weigh_back(mr_real *restrict s, mr_real *restrict ds, int n, int width, mr_real lse,
                       mr_real delta)
{
  const int full = whole_groups(n);
  MR_SIMD
  for (int i = 0; i < full; i++) {
    const mr_real a = mr_exp1(i < n ? s[i] - lse : -INFINITY);
    s[i] = a;
    ds[i] = a * (ds[i] - delta);
  }
  for (int i = full; i < width; i++) s[i] = ds[i] = 0;
}

/* Queries from .. from + m - 1 against keys j .. j + n - 1. first_keys, first_rows: nothing has been
 * added yet to the gradient of these queries, of these keys. */
static void backward_tile(const head *h, const keys *p, int64_t from, int64_t m, int64_t j,
                          int64_t n, bool first_keys, bool first_rows)
{
  const int64_t D = h->D, d = h->d;
  const mr_real *dout = h->dout + from * D, *q = h->q + from * 3 * D, *k = p->k + j * p->ld;
  const mr_real beta_q = first_keys ? h->beta : 1, beta_k = first_rows ? p->beta : 1;
  scores(h, p, from, m, j, n);
  mr_cpu_gemm(
      h->be, &(mr_gemm){m, n, d, false, true, 1, 0, dout, D, p->v + j * p->ld, p->ld, h->ds, TILE});
  for (int64_t r = 0; r < m; r++)
    weigh_back(h->s + r * TILE, h->ds + r * TILE, visible(p, from + r, j, n), (int)n,
               h->lse[from + r], h->delta[from + r]);
  if (h->dq != NULL)
    mr_cpu_gemm(h->be, &(mr_gemm){m, d, n, false, false, h->scale, beta_q, h->ds, TILE, k, p->ld,
                                  h->dq + from * 3 * D, 3 * D});
  if (p->dk == NULL) return;
  mr_cpu_gemm(h->be, &(mr_gemm){n, d, m, true, false, h->scale, beta_k, h->ds, TILE, q, 3 * D,
                                p->dk + j * p->ld, p->ld});
  mr_cpu_gemm(h->be, &(mr_gemm){n, d, m, true, false, 1, beta_k, h->s, TILE, dout, D,
                                p->dv + j * p->ld, p->ld});
}

static void backward_head(const head *h)
{
  bool first_keys = true;
  for (int64_t t = 0; t < h->T; t++) {
    const mr_real *out = h->out + t * h->D, *dout = h->dout + t * h->D;
    mr_real dot = 0;
    MR_PRAGMA(omp simd reduction(+ : dot))
    for (int64_t i = 0; i < h->d; i++) dot += out[i] * dout[i];
    h->delta[t] = dot;
  }
  for (const keys *p = h->part; p < h->part + 2; p++) {
    if (p->dk == NULL && h->dq == NULL) continue;
    for (int64_t j = 0; j < p->n; j += TILE) {
      const int64_t start = p->causal ? j : 0;
      for (int64_t from = start; from < h->T; from += TILE)
        backward_tile(h, p, from, least(TILE, h->T - from), j, least(TILE, p->n - j), first_keys,
                      from == start);
      first_keys = false;
    }
  }
}

/* Gradients of a head; carried rows that it does not attend to get zeros. */
static void aim(head *h, const mr_call *c, int64_t lane)
{
  const int64_t D = h->D, b = lane / ((const attention_attr *)c->attr)->heads;
  const int64_t at = lane * h->d - b * D;
  h->dout = MR_DOUT(c, 0) + b * h->T * D + at;
  h->beta = h->part[1].beta = c->beta[0];
  if (MR_DIN(c, 0) != NULL) {
    h->dq = MR_DIN(c, 0) + b * h->T * 3 * D + at;
    h->part[1].dk = h->dq + D;
    h->part[1].dv = h->dq + 2 * D;
  }
  if (!MR_GIVEN(c, 1) || MR_DIN(c, 1) == NULL) return;
  const int64_t C = c->in[1].shape.dim[1], unseen = C - h->part[0].n;
  mr_real *row = MR_DIN(c, 1) + b * C * 2 * D + at;
  for (int64_t i = 0; i < 2 * unseen && c->beta[1] == 0; i++)
    memset(row + i * D, 0, (size_t)h->d * sizeof *row);
  h->part[0].dk = row + unseen * 2 * D;
  h->part[0].dv = h->part[0].dk + D;
  h->part[0].beta = c->beta[1];
}

mr_status attention_bwd_cpu(mr_backend *be, const mr_call *c)
{
  const int64_t lanes = c->save[0].shape.dim[0] * c->save[0].shape.dim[1];
  const int64_t T = c->save[0].shape.dim[2];
  /* Nothing flows to the number of steps: zeros where somebody asks. */
  if (MR_GIVEN(c, 2) && MR_DIN(c, 2) != NULL && c->beta[2] == 0)
    memset(MR_DIN(c, 2), 0, mr_bytes(&c->din[2].shape, MR_REAL));
  MR_PARALLEL(be, worth(c))
  {
    int64_t lane, to;
    mr_share(lanes, 1, mr_tid(), mr_team(), &lane, &to);
    for (; lane < to; lane++) {
      head h = head_of(be, c, lane);
      h.s = (mr_real *)c->work + mr_tid() * ((int64_t)2 * AREA + (T + TILE - 1) / TILE * TILE);
      h.ds = h.s + AREA;
      h.delta = h.ds + AREA;
      aim(&h, c, lane);
      backward_head(&h);
    }
  }
  return MR_OK;
}

const mr_op mr_attention_op = {"attention",
                               3,
                               1,
                               sizeof(attention_attr),
                               infer,
                               MR_TWIN(attention, fwd),
                               MR_TWIN(attention, bwd)};

mr_val mr_attention(mr_tape *t, mr_val qkv, int64_t heads, mr_val cache, mr_val seen)
{
  const attention_attr a = {heads};
  const mr_val in[] = {qkv, cache, seen};
  return mr_apply(t, &mr_attention_op, &a, in, 3);
}
