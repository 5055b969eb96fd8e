/* rig_device.c — kernels called on copies in device memory. SPDX-License-Identifier: MIT */
#include "rig_device.h"
#include "rig.h"

enum { MAX_COPIES = 2 * MR_CASE_MAX_IN + 2 * MR_MAX_OUT + MR_MAX_SAVE + 2 };

int rig_device_skew;

typedef struct copy {
  void *host, *device;
  size_t bytes, skew;
} copy;

typedef struct mirror {
  mr_backend *be;
  copy copy[MAX_COPIES];
  int n;
} mirror;

/* The device's copy of a host buffer, made when it is first asked for. */
static void *on_device(mirror *m, void *host, size_t bytes, size_t skew)
{
  if (!host) return NULL;
  for (int i = 0; i < m->n; i++)
    if (m->copy[i].host == host) return (char *)m->copy[i].device + m->copy[i].skew;
  assert_true(m->n < MAX_COPIES);
  copy *c = &m->copy[m->n++];
  *c = (copy){host, NULL, bytes, skew};
  assert_ok(m->be->api->alloc(m->be, bytes + skew, &c->device));
  assert_ok(m->be->api->upload(m->be, (char *)c->device + skew, host, bytes));
  return (char *)c->device + skew;
}

static void views_on_device(mirror *m, mr_view *to, const mr_view *from, int n, int skew)
{
  for (int i = 0; from && i < n; i++) {
    to[i] = from[i];
    if (from[i].shape.rank < 0 || !from[i].data) continue;
    const bool real = from[i].dtype == MR_REAL;
    to[i].data = on_device(m, from[i].data, mr_bytes(&from[i].shape, from[i].dtype),
                           real ? (size_t)skew * sizeof(mr_real) : 0);
  }
}

mr_status rig_device_call(mr_backend *be, mr_kernel fn, const mr_call *k, int n_save,
                          size_t work_bytes)
{
  mirror m = {.be = be};
  mr_view in[MR_CASE_MAX_IN] = {{0}}, din[MR_CASE_MAX_IN] = {{0}}, out[MR_MAX_OUT] = {{0}};
  mr_view dout[MR_MAX_OUT] = {{0}}, save[MR_MAX_SAVE] = {{0}};
  mr_call d = *k;
  views_on_device(&m, in, k->in, k->n_in, rig_device_skew);
  views_on_device(&m, din, k->din, k->n_in, rig_device_skew);
  views_on_device(&m, out, k->out, k->n_out, rig_device_skew);
  views_on_device(&m, dout, k->dout, k->n_out, rig_device_skew);
  views_on_device(&m, save, k->save, n_save, 0);
  d.in = in, d.din = din, d.out = out, d.dout = dout, d.save = save;
  d.work = on_device(&m, k->work, work_bytes, 0);
  union { /* what the kernel reads is not const where it is copied to */
    const mr_tick *tick;
    void *data;
  } tick = {k->tick};
  d.tick = on_device(&m, tick.data, sizeof *k->tick, 0);
  mr_status st = fn(be, &d);
  for (int i = 0; i < m.n; i++) {
    const copy *c = &m.copy[i];
    if (st == MR_OK) st = be->api->download(be, c->host, (char *)c->device + c->skew, c->bytes);
    be->api->release(be, c->device);
  }
  return st;
}
