/* onednn_op.c — plans of oneDNN's recurrent layers and their cache. SPDX-License-Identifier: MIT */
#if defined MR_WITH_DNNL && !defined MR_REAL_IS_DOUBLE
#include "onednn.h"
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <string.h>
#include "backend.h"
#include "mem.h"

/* Plans that are kept; the one unused longest goes. */
enum { MOST_PLANS = 16 };

/* For functions with `st` and `out:`. */
#define DNNL(expr, what)                                                                           \
  do {                                                                                             \
    st = status_of((expr), what);                                                                  \
    if (st != MR_OK) goto out;                                                                     \
  } while (0)

typedef struct reorder {
  dnnl_primitive_t primitive;
  dnnl_memory_t from, to;
} reorder;

/* Weights in both passes and gradients in one, each with where they come from and go to. */
typedef struct conversion {
  mr_onednn_pass pass;
  mr_onednn_role from, to;
} conversion;
enum { INTO = 4, CONVERSIONS = 6 }; /* the first INTO before a pass, the others after it */
static const conversion conversions[CONVERSIONS] = {
    {MR_ONEDNN_FWD, MR_ROLE_W_PLAIN, MR_ROLE_W},   {MR_ONEDNN_FWD, MR_ROLE_U_PLAIN, MR_ROLE_U},
    {MR_ONEDNN_BWD, MR_ROLE_W_PLAIN, MR_ROLE_W},   {MR_ONEDNN_BWD, MR_ROLE_U_PLAIN, MR_ROLE_U},
    {MR_ONEDNN_BWD, MR_ROLE_DW, MR_ROLE_DW_PLAIN}, {MR_ONEDNN_BWD, MR_ROLE_DU, MR_ROLE_DU_PLAIN}};

/* What oneDNN calls each role; 0: it does not know it. */
static const int argument[MR_ONEDNN_ROLES] = {
    [MR_ROLE_X] = DNNL_ARG_SRC_LAYER,           [MR_ROLE_H0] = DNNL_ARG_SRC_ITER,
    [MR_ROLE_C0] = DNNL_ARG_SRC_ITER_C,         [MR_ROLE_W] = DNNL_ARG_WEIGHTS_LAYER,
    [MR_ROLE_U] = DNNL_ARG_WEIGHTS_ITER,        [MR_ROLE_BIAS] = DNNL_ARG_BIAS,
    [MR_ROLE_H] = DNNL_ARG_DST_LAYER,           [MR_ROLE_H_LAST] = DNNL_ARG_DST_ITER,
    [MR_ROLE_C_LAST] = DNNL_ARG_DST_ITER_C,     [MR_ROLE_WORKSPACE] = DNNL_ARG_WORKSPACE,
    [MR_ROLE_SCRATCH] = DNNL_ARG_SCRATCHPAD,    [MR_ROLE_DX] = DNNL_ARG_DIFF_SRC_LAYER,
    [MR_ROLE_DH0] = DNNL_ARG_DIFF_SRC_ITER,     [MR_ROLE_DC0] = DNNL_ARG_DIFF_SRC_ITER_C,
    [MR_ROLE_DW] = DNNL_ARG_DIFF_WEIGHTS_LAYER, [MR_ROLE_DU] = DNNL_ARG_DIFF_WEIGHTS_ITER,
    [MR_ROLE_DBIAS] = DNNL_ARG_DIFF_BIAS,       [MR_ROLE_DH] = DNNL_ARG_DIFF_DST_LAYER,
    [MR_ROLE_DH_LAST] = DNNL_ARG_DIFF_DST_ITER, [MR_ROLE_DC_LAST] = DNNL_ARG_DIFF_DST_ITER_C};

typedef struct plan {
  mr_onednn_shape shape;
  uint64_t used; /* when; 0: empty */
  mr_onednn_need need;
  dnnl_primitive_t layer[MR_ONEDNN_PASSES];
  dnnl_memory_t memory[MR_ONEDNN_PASSES][MR_ONEDNN_ROLES]; /* NULL: no such role here */
  reorder convert[CONVERSIONS];
} plan;

/* Of the whole process, as oneDNN's own engine is; made at the first plan, kept to the end. */
static struct {
  pthread_mutex_t lock;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  plan plan[MOST_PLANS];
  uint64_t clock;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static mr_status status_of(dnnl_status_t s, const char *what)
{
  switch (s) {
  case dnnl_success:
    return MR_OK;
  case dnnl_out_of_memory:
    return MR_FAIL(MR_ERR_NOMEM, "oneDNN had no memory to %s", what);
  case dnnl_unimplemented:
    return MR_FAIL(MR_ERR_UNSUPPORTED, "oneDNN cannot %s on this processor", what);
  default:
    return MR_FAIL(MR_ERR_INTERNAL, "oneDNN could not %s (its status %d)", what, (int)s);
  }
}

/* ---- Making a plan ---------------------------------------------------------------------------- */

static int64_t gates(const mr_onednn_shape *s)
{
  return s->cell == MR_ONEDNN_GRU ? 3 : 4;
}

/* Descriptions of all arrays; formats that oneDNN may choose are `any`. */
typedef struct shapes {
  dnnl_memory_desc_t x, h, state, w, u, bias, w_plain, u_plain;
} shapes;

static mr_status describe(const mr_onednn_shape *s, shapes *d)
{
  mr_status st = MR_OK;
  const dnnl_dims_t x = {s->T, s->B, s->D}, h = {s->T, s->B, s->H}, state = {1, 1, s->B, s->H};
  const dnnl_dims_t w = {1, 1, s->D, gates(s), s->H}, u = {1, 1, s->H, gates(s), s->H};
  const dnnl_dims_t bias = {1, 1, 4, s->H};
  const struct {
    dnnl_memory_desc_t *to;
    const dnnl_dim_t *dims;
    int rank;
    dnnl_format_tag_t tag;
  } all[] = {{&d->x, x, 3, dnnl_ntc},
             {&d->h, h, 3, dnnl_ntc},
             {&d->state, state, 4, dnnl_ldnc},
             {&d->w, w, 5, dnnl_format_tag_any},
             {&d->u, u, 5, dnnl_format_tag_any},
             {&d->bias, bias, 4, dnnl_ldgo},
             {&d->w_plain, w, 5, dnnl_ldgoi},
             {&d->u_plain, u, 5, dnnl_ldgoi}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    DNNL(dnnl_memory_desc_init_by_tag(all[i].to, all[i].rank, all[i].dims, dnnl_f32, all[i].tag),
         "describe an array");
out:
  return st;
}

static dnnl_status_t describe_layer(const mr_onednn_shape *s, mr_onednn_pass pass, const shapes *d,
                                    dnnl_rnn_desc_t *out)
{
  const dnnl_rnn_direction_t right = dnnl_unidirectional_left2right;
  const dnnl_memory_desc_t *start = s->state ? &d->state : NULL, *end = &d->state;
  if (s->cell == MR_ONEDNN_GRU && pass == MR_ONEDNN_FWD)
    return dnnl_lbr_gru_forward_desc_init(out, dnnl_forward_training, right, &d->x, start, &d->w,
                                          &d->u, &d->bias, &d->h, NULL, 0);
  if (s->cell == MR_ONEDNN_GRU)
    return dnnl_lbr_gru_backward_desc_init(out, dnnl_backward, right, &d->x, start, &d->w, &d->u,
                                           &d->bias, &d->h, NULL, &d->x, start, &d->w, &d->u,
                                           &d->bias, &d->h, NULL, 0);
  if (pass == MR_ONEDNN_FWD)
    return dnnl_lstm_forward_desc_init(out, dnnl_forward_training, right, &d->x, start, start,
                                       &d->w, &d->u, &d->bias, &d->h, end, end, 0);
  return dnnl_lstm_backward_desc_init(out, dnnl_backward, right, &d->x, start, start, &d->w, &d->u,
                                      &d->bias, &d->h, end, end, &d->x, start, start, &d->w, &d->u,
                                      &d->bias, &d->h, end, end, 0);
}

/* Memory without bytes for every argument that the primitive has. */
static mr_status make_memory(plan *p, mr_onednn_pass pass, const_dnnl_primitive_desc_t pd)
{
  mr_status st = MR_OK;
  for (int r = 0; r < MR_ONEDNN_ROLES; r++) {
    if (argument[r] == 0) continue;
    const dnnl_memory_desc_t *md =
        dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, argument[r]);
    if (md == NULL || md->ndims == 0) continue;
    DNNL(dnnl_memory_create(&p->memory[pass][r], md, cache.engine, DNNL_MEMORY_NONE),
         "make a memory object");
  }
out:
  return st;
}

static size_t bytes_of(const plan *p, mr_onednn_pass pass, mr_onednn_role role)
{
  const dnnl_memory_desc_t *md = NULL;
  if (p->memory[pass][role] == NULL) return 0;
  if (dnnl_memory_get_memory_desc(p->memory[pass][role], &md) != dnnl_success) return 0;
  return dnnl_memory_desc_get_size(md);
}

static mr_status make_layers(plan *p, const shapes *d)
{
  mr_status st = MR_OK;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_primitive_desc_t pd[MR_ONEDNN_PASSES] = {NULL};
  dnnl_rnn_desc_t desc;
  DNNL(dnnl_primitive_attr_create(&attr), "make attributes");
  DNNL(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
       "leave its scratch memory to the caller");
  for (int pass = 0; pass < MR_ONEDNN_PASSES; pass++) {
    DNNL(describe_layer(&p->shape, (mr_onednn_pass)pass, d, &desc), "describe a recurrent layer");
    DNNL(dnnl_primitive_desc_create(&pd[pass], &desc, attr, cache.engine,
                                    pass == MR_ONEDNN_BWD ? pd[MR_ONEDNN_FWD] : NULL),
         "compute this recurrent layer");
    DNNL(dnnl_primitive_create(&p->layer[pass], pd[pass]), "make a recurrent layer");
    MR_TRY(make_memory(p, (mr_onednn_pass)pass, pd[pass]));
    p->need.scratch[pass] = bytes_of(p, (mr_onednn_pass)pass, MR_ROLE_SCRATCH);
    p->need.w_bytes[pass] = bytes_of(p, (mr_onednn_pass)pass, MR_ROLE_W);
    p->need.u_bytes[pass] = bytes_of(p, (mr_onednn_pass)pass, MR_ROLE_U);
  }
  p->need.workspace = bytes_of(p, MR_ONEDNN_FWD, MR_ROLE_WORKSPACE);
  p->need.dw_bytes = bytes_of(p, MR_ONEDNN_BWD, MR_ROLE_DW);
  p->need.du_bytes = bytes_of(p, MR_ONEDNN_BWD, MR_ROLE_DU);
out:
  /* Destroying valid objects cannot fail. */
  for (int pass = 0; pass < MR_ONEDNN_PASSES; pass++) (void)dnnl_primitive_desc_destroy(pd[pass]);
  (void)dnnl_primitive_attr_destroy(attr);
  return st;
}

static mr_status make_conversion(plan *p, int i, const shapes *d)
{
  mr_status st = MR_OK;
  dnnl_primitive_desc_t pd = NULL;
  const dnnl_memory_desc_t *formatted = NULL, *md[2];
  const conversion *k = &conversions[i];
  reorder *r = &p->convert[i];
  const bool into = i < INTO, is_w = k->from == MR_ROLE_W_PLAIN || k->to == MR_ROLE_DW_PLAIN;
  DNNL(dnnl_memory_get_memory_desc(p->memory[k->pass][into ? k->to : k->from], &formatted),
       "tell a format");
  md[into ? 0 : 1] = is_w ? &d->w_plain : &d->u_plain;
  md[into ? 1 : 0] = formatted;
  DNNL(dnnl_memory_create(&r->from, md[0], cache.engine, DNNL_MEMORY_NONE), "make a memory object");
  DNNL(dnnl_memory_create(&r->to, md[1], cache.engine, DNNL_MEMORY_NONE), "make a memory object");
  DNNL(dnnl_reorder_primitive_desc_create(&pd, md[0], cache.engine, md[1], cache.engine, NULL),
       "change a format");
  DNNL(dnnl_primitive_create(&r->primitive, pd), "make a change of format");
out:
  (void)dnnl_primitive_desc_destroy(pd);
  return st;
}

static void free_plan(plan *p)
{
  for (int pass = 0; pass < MR_ONEDNN_PASSES; pass++) {
    (void)dnnl_primitive_destroy(p->layer[pass]);
    for (int r = 0; r < MR_ONEDNN_ROLES; r++) (void)dnnl_memory_destroy(p->memory[pass][r]);
  }
  for (int i = 0; i < CONVERSIONS; i++) {
    (void)dnnl_primitive_destroy(p->convert[i].primitive);
    (void)dnnl_memory_destroy(p->convert[i].from);
    (void)dnnl_memory_destroy(p->convert[i].to);
  }
  memset(p, 0, sizeof *p);
}

static mr_status make_plan(plan *p, const mr_onednn_shape *s)
{
  mr_status st = MR_OK;
  shapes d;
  p->shape = *s;
  if (cache.stream == NULL) {
    if (cache.engine == NULL)
      DNNL(dnnl_engine_create(&cache.engine, dnnl_cpu, 0), "open the processor");
    DNNL(dnnl_stream_create(&cache.stream, cache.engine, dnnl_stream_default_flags),
         "open a stream");
  }
  MR_TRY(describe(s, &d));
  MR_TRY(make_layers(p, &d));
  for (int i = 0; i < CONVERSIONS; i++) MR_TRY(make_conversion(p, i, &d));
out:
  if (st != MR_OK) free_plan(p);
  return st;
}

/* ---- The cache, with its lock held -------------------------------------------------------------- */

static bool same(const mr_onednn_shape *a, const mr_onednn_shape *b)
{
  return a->cell == b->cell && a->threads == b->threads && a->state == b->state && a->B == b->B &&
         a->T == b->T && a->D == b->D && a->H == b->H;
}

static mr_status find_plan(const mr_onednn_shape *s, plan **out)
{
  plan *oldest = &cache.plan[0];
  for (int i = 0; i < MOST_PLANS; i++) {
    plan *p = &cache.plan[i];
    if (p->used > 0 && same(&p->shape, s)) {
      p->used = ++cache.clock;
      *out = p;
      return MR_OK;
    }
    if (p->used < oldest->used) oldest = p;
  }
  if (oldest->used > 0) free_plan(oldest);
  MR_CHECK(make_plan(oldest, s));
  oldest->used = ++cache.clock;
  *out = oldest;
  return MR_OK;
}

/* oneDNN takes as many threads as the calling thread's next parallel region would. */
static int take_threads(int n)
{
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  omp_set_num_threads(n);
  return before;
#else
  return n;
#endif
}

mr_status mr_onednn_needs(const mr_onednn_shape *s, mr_onednn_need *need)
{
  plan *p = NULL;
  if (pthread_mutex_lock(&cache.lock) != 0)
    return MR_FAIL(MR_ERR_INTERNAL, "the cache of oneDNN's layers cannot be locked");
  const int before = take_threads(s->threads);
  const mr_status st = find_plan(s, &p);
  if (st == MR_OK) *need = p->need;
  (void)take_threads(before);
  (void)pthread_mutex_unlock(&cache.lock); /* held by this thread: cannot fail */
  return st;
}

/* ---- Running ---------------------------------------------------------------------------------- */

static mr_status run_conversions(plan *p, mr_onednn_pass pass, int from, int to, void *const *data)
{
  mr_status st = MR_OK;
  for (int i = from; i < to; i++) {
    const conversion *k = &conversions[i];
    const reorder *r = &p->convert[i];
    if (k->pass != pass) continue;
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, r->from}, {DNNL_ARG_TO, r->to}};
    DNNL(dnnl_memory_set_data_handle(r->from, data[k->from]), "set an address");
    DNNL(dnnl_memory_set_data_handle(r->to, data[k->to]), "set an address");
    DNNL(dnnl_primitive_execute(r->primitive, cache.stream, 2, args), "change a format");
  }
out:
  return st;
}

static mr_status run_layer(plan *p, mr_onednn_pass pass, void *const *data)
{
  mr_status st = MR_OK;
  dnnl_exec_arg_t args[MR_ONEDNN_ROLES];
  int n = 0;
  for (int r = 0; r < MR_ONEDNN_ROLES; r++) {
    const dnnl_memory_t memory = p->memory[pass][r];
    if (memory == NULL) continue;
    DNNL(dnnl_memory_set_data_handle(memory, data[r]), "set an address");
    args[n].arg = argument[r], args[n++].memory = memory;
  }
  if (pass == MR_ONEDNN_BWD) { /* these are added to */
    memset(data[MR_ROLE_DW], 0, p->need.dw_bytes);
    memset(data[MR_ROLE_DU], 0, p->need.du_bytes);
    memset(data[MR_ROLE_DBIAS], 0, (size_t)(4 * p->shape.H) * sizeof(float));
  }
  DNNL(dnnl_primitive_execute(p->layer[pass], cache.stream, n, args), "run a recurrent layer");
out:
  return st;
}

mr_status mr_onednn_run(const mr_onednn_shape *s, mr_onednn_pass pass,
                        void *const data[MR_ONEDNN_ROLES])
{
  mr_status st = MR_OK;
  plan *p = NULL;
  if (pthread_mutex_lock(&cache.lock) != 0)
    return MR_FAIL(MR_ERR_INTERNAL, "the cache of oneDNN's layers cannot be locked");
  const int before = take_threads(s->threads);
  MR_TRY(find_plan(s, &p));
  MR_TRY(run_conversions(p, pass, 0, INTO, data));
  MR_TRY(run_layer(p, pass, data));
  MR_TRY(run_conversions(p, pass, INTO, CONVERSIONS, data));
  DNNL(dnnl_stream_wait(cache.stream), "finish");
out:
  (void)take_threads(before);
  (void)pthread_mutex_unlock(&cache.lock); /* held by this thread: cannot fail */
  return st;
}
#else
typedef int mr_onednn_is_not_built; /* a file without a declaration is no C */
#endif
