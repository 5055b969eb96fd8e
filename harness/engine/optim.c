/* optim.c — AdamW over a tape's parameters: schedule, clip, moments. SPDX-License-Identifier: MIT */
#include "optim.h"
#include <inttypes.h>
#include <math.h>
#include "mem.h"
#include "ops/adamw.h"

struct mr_optim {
  mr_backend *be;
  mr_optim_rule rule;
  const mr_slot *slot;
  int n_slots;
  void *slab;      /* of the backend: both moments of every parameter */
  int64_t bytes;   /* of the slab */
  int64_t *offset; /* [n_slots]; of the first moment, in reals */
  mr_pieces all;   /* on the host */
  double *part;    /* [all.n]; squared norm by piece */
  mr_adamw_in in;
  mr_adamw_out out; /* on CUDA: what was last read of it */
  void *device;     /* CUDA: one allocation with all that follows */
  mr_pieces device_all;
  double *device_part;
  mr_adamw_in *device_in;
  mr_adamw_out *device_out;
};

double mr_optim_lr(const mr_optim_rule *r, int64_t step)
{
  const double pi = 3.141592653589793;
  if (step < r->warmup) return r->lr * (double)(step + 1) / (double)r->warmup;
  if (r->schedule == MR_CONSTANT) return r->lr;
  double span = (double)(r->steps - r->warmup), done = (double)(step - r->warmup);
  double share = done < span ? done / span : 1;
  double left = r->schedule == MR_LINEAR ? 1 - share : (1 + cos(pi * share)) / 2;
  return r->lr_min + (r->lr - r->lr_min) * left;
}

/* Moments start where vector loads and cache lines do. */
static int64_t padded(int64_t n)
{
  const int64_t grain = 256 / (int64_t)sizeof(mr_real);
  return (n + grain - 1) / grain * grain;
}

static int64_t count(const mr_optim *o, int slot)
{
  return mr_count(&o->slot[slot].value.shape);
}

/* Places the moments of all parameters in one slab of zeros. */
static mr_status place_moments(mr_optim *o)
{
  const mr_backend_api *api = o->be->api;
  void *p = NULL;
  int64_t used = 0;
  MR_CHECK(mr_calloc(&p, (size_t)o->n_slots, sizeof *o->offset));
  o->offset = p;
  for (int s = 0; s < o->n_slots; s++) {
    if (!o->slot[s].grad.data)
      return MR_FAIL(MR_ERR_ARG, "parameter %s has no gradient; plan the tape for training",
                     o->slot[s].name);
    o->offset[s] = used;
    used += 2 * padded(count(o, s));
    o->all.n_reals += count(o, s);
    o->all.n += (count(o, s) + MR_PIECE - 1) / MR_PIECE;
  }
  o->bytes = used * (int64_t)sizeof(mr_real);
  MR_CHECK(api->alloc(o->be, (size_t)o->bytes, &o->slab));
  return api->fill(o->be, o->slab, 0, (size_t)o->bytes);
}

static mr_status cut_pieces(mr_optim *o, const bool *decay)
{
  void *p = NULL;
  MR_CHECK(mr_calloc(&p, (size_t)o->all.n, sizeof *o->part));
  o->part = p;
  MR_CHECK(mr_calloc(&p, (size_t)o->all.n, sizeof *o->all.piece));
  o->all.piece = p;
  mr_piece *q = o->all.piece;
  for (int s = 0; s < o->n_slots; s++) {
    const mr_slot *slot = &o->slot[s];
    bool decays = decay ? decay[s] : slot->decays;
    mr_view m, v;
    mr_optim_moments(o, s, &m, &v);
    for (int64_t from = 0, n = count(o, s); from < n; from += MR_PIECE)
      *q++ = (mr_piece){.value = (mr_real *)slot->value.data + from,
                        .grad = (const mr_real *)slot->grad.data + from,
                        .m = (mr_real *)m.data + from,
                        .v = (mr_real *)v.data + from,
                        .n = n - from < MR_PIECE ? n - from : MR_PIECE,
                        .decay = decays ? o->rule.weight_decay : 0};
  }
  return MR_OK;
}

#ifdef MR_WITH_CUDA
/* Pieces, their squared norms and the numbers of a step in device memory. */
static mr_status open_device(mr_optim *o)
{
  const mr_backend_api *api = o->be->api;
  const size_t pieces = (size_t)o->all.n * sizeof *o->all.piece;
  const size_t parts = (size_t)o->all.n * sizeof *o->part;
  const size_t bytes = pieces + parts + sizeof o->in + sizeof o->out;
  MR_CHECK(api->alloc(o->be, bytes, &o->device));
  char *at = o->device;
  o->device_all = o->all;
  o->device_all.piece = (mr_piece *)(void *)at;
  o->device_part = (double *)(void *)(at + pieces);
  o->device_in = (mr_adamw_in *)(void *)(at + pieces + parts);
  o->device_out = (mr_adamw_out *)(void *)(at + pieces + parts + sizeof o->in);
  o->bytes += (int64_t)bytes;
  MR_CHECK(api->upload(o->be, o->device_all.piece, o->all.piece, pieces));
  return api->upload(o->be, o->device_out, &o->out, sizeof o->out);
}
#endif

mr_status mr_optim_create(mr_optim **out, mr_backend *be, const mr_tape *t, const mr_optim_rule *r,
                          const bool *decay)
{
  mr_status st = MR_OK;
  mr_optim *o = NULL;
  void *p = NULL;
  MR_TRY(mr_calloc(&p, 1, sizeof *o));
  o = p;
  o->be = be;
  o->rule = *r;
  o->out = (mr_adamw_out){.norm = NAN, .scale = 1, .bad = -1};
  MR_TRY(mr_tape_slots(t, &o->slot, &o->n_slots));
  MR_TRY(place_moments(o));
  MR_TRY(cut_pieces(o, decay));
#ifdef MR_WITH_CUDA
  if (be->device == MR_CUDA) MR_TRY(open_device(o));
#endif
  *out = o;
  o = NULL;
out:
  mr_optim_destroy(o);
  return st;
}

void mr_optim_destroy(mr_optim *o)
{
  if (!o) return;
  o->be->api->release(o->be, o->slab);
  o->be->api->release(o->be, o->device);
  mr_free(o->offset);
  mr_free(o->all.piece);
  mr_free(o->part);
  mr_free(o);
}

mr_status mr_optim_ready(mr_optim *o, int64_t step)
{
  const mr_optim_rule *r = &o->rule;
  const double t = (double)(step + 1);
  o->in = (mr_adamw_in){.a = {.lr = mr_optim_lr(r, step),
                              .beta1 = r->beta1,
                              .beta2 = r->beta2,
                              .eps = r->eps,
                              .unbias1 = 1 / (1 - pow(r->beta1, t)),
                              .unbias2 = 1 / (1 - pow(r->beta2, t))},
                        .clip = r->clip,
                        .step = step};
  if (o->be->device == MR_CPU) return MR_OK;
  return o->be->api->upload(o->be, o->device_in, &o->in, sizeof o->in);
}

static mr_status update_cpu(mr_optim *o)
{
  const double norm = sqrt(mr_adamw_square_sum_cpu(o->be, &o->all, o->part));
  const double room = o->in.clip / (norm + 1e-6);
  o->out.norm = norm;
  /* Stop here, while parameters and moments are still those of the last good step. */
  if (!isfinite(norm)) {
    if (o->out.bad < 0) o->out.bad = o->in.step;
    return MR_FAIL(MR_ERR_NUMERIC, "the gradient norm of step %" PRId64 " is %g", o->in.step, norm);
  }
  o->in.a.scale = o->in.clip > 0 && room < 1 ? room : 1;
  mr_adamw_step_cpu(o->be, &o->all, &o->in.a);
  return MR_OK;
}

mr_status mr_optim_update(mr_optim *o)
{
#ifdef MR_WITH_CUDA
  if (o->be->device == MR_CUDA) {
    MR_CHECK(
        mr_adamw_norm_cuda(o->be, &o->device_all, o->device_part, o->device_in, o->device_out));
    return mr_adamw_step_cuda(o->be, &o->device_all, o->device_in, o->device_out);
  }
#endif
  return update_cpu(o);
}

mr_status mr_optim_norm(mr_optim *o, double *norm, int64_t *bad)
{
  if (o->be->device != MR_CPU)
    MR_CHECK(o->be->api->download(o->be, &o->out, o->device_out, sizeof o->out));
  *norm = o->out.norm;
  *bad = o->out.bad;
  return MR_OK;
}

mr_status mr_optim_step(mr_optim *o, int64_t step, double *grad_norm)
{
  double norm;
  int64_t bad;
  MR_CHECK(mr_optim_ready(o, step));
  mr_status st = mr_optim_update(o);
  if (st != MR_OK && st != MR_ERR_NUMERIC) return st;
  MR_CHECK(mr_optim_norm(o, &norm, &bad));
  if (grad_norm) *grad_norm = norm;
  if (st == MR_OK && bad >= 0)
    st = MR_FAIL(MR_ERR_NUMERIC, "the gradient norm of step %" PRId64 " is not finite", bad);
  return st;
}

int64_t mr_optim_bytes(const mr_optim *o)
{
  return o->bytes;
}

void mr_optim_moments(const mr_optim *o, int slot, mr_view *m, mr_view *v)
{
  *m = *v = o->slot[slot].value;
  m->data = (mr_real *)o->slab + o->offset[slot];
  v->data = (mr_real *)m->data + padded(count(o, slot));
}
