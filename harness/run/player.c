/* player.c — the network in training as one that acts. SPDX-License-Identifier: MIT */
#include "player.h"
#include "mem.h"

enum { CHUNK = 3 }; /* steps that a streaming task is likely to read at once */

struct mr_player {
  mr_policy policy; /* first, so that a policy is its player */
  mr_backend *be;
  mr_tape *tape; /* the whole network, forward only; or */
  mr_net net;
  mr_streamer *stream;
};

/* ---- Whole windows --------------------------------------------------------------------------- */

static mr_status upload(mr_player *p, mr_val v, const void *x)
{
  mr_view in;
  if (v.id == 0) return MR_OK;
  MR_CHECK(mr_tape_view(p->tape, v, &in));
  return p->be->api->upload(p->be, in.data, x, mr_bytes(&in.shape, in.dtype));
}

static mr_status window(mr_policy *policy, const int32_t *token, const mr_real *value, mr_real *y)
{
  mr_player *p = (mr_player *)policy;
  mr_view out;
  MR_CHECK(upload(p, p->net.token, token));
  MR_CHECK(upload(p, p->net.value, value));
  MR_CHECK(mr_tape_forward(p->tape));
  MR_CHECK(mr_tape_view(p->tape, p->net.y, &out));
  return p->be->api->download(p->be, y, out.data, mr_bytes(&out.shape, out.dtype));
}

static mr_status open_window(mr_player *p, const mr_config *c, const mr_model_def *m,
                             const mr_task_info *info, const mr_tape *owner)
{
  MR_CHECK(mr_tape_create(&p->tape, p->be, (uint64_t)c->seed));
  mr_tape_borrow(p->tape, owner);
  mr_build(p->tape, c, m, info, info->episodes, &p->net);
  MR_CHECK(mr_tape_plan(p->tape, p->net.y, false, NULL));
  MR_CHECK(mr_tape_alloc(p->tape));
  return mr_tape_tick(p->tape, 0, false);
}

/* ---- Step by step ---------------------------------------------------------------------------- */

static void restart(mr_policy *policy)
{
  mr_streamer_restart(((mr_player *)policy)->stream);
}

static mr_status read(mr_policy *policy, const int32_t *token, const mr_real *value, int64_t n,
                      mr_real *y)
{
  mr_streamer *s = ((mr_player *)policy)->stream;
  MR_CHECK(mr_streamer_read(s, token, value, n));
  return mr_streamer_last(s, y);
}

/* ---- Opening --------------------------------------------------------------------------------- */

mr_status mr_player_open(mr_player **out, mr_backend *be, const mr_config *c, const mr_model_def *m,
                         const mr_task_info *info, const mr_tape *owner)
{
  mr_status st = MR_OK;
  mr_player *p = NULL;
  MR_TRY(mr_calloc((void **)&p, 1, sizeof *p));
  p->be = be;
  if (info->streams) {
    p->policy = (mr_policy){.restart = restart, .read = read};
    MR_TRY(mr_streamer_open(&p->stream, be, c, m, info, info->episodes, CHUNK, owner));
  } else {
    p->policy = (mr_policy){.window = window};
    MR_TRY(open_window(p, c, m, info, owner));
  }
  *out = p;
  p = NULL;
out:
  mr_player_close(p);
  return st;
}

void mr_player_close(mr_player *p)
{
  if (p == NULL) return;
  mr_streamer_close(p->stream);
  mr_tape_destroy(p->tape);
  mr_free(p);
}

mr_policy *mr_player_policy(mr_player *p)
{
  return &p->policy;
}
