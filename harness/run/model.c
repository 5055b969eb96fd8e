/* model.c — what mixers share: carried states, initial states, options. SPDX-License-Identifier: MIT */
#include <string.h>
#include "model.h"

static mr_val none(void)
{
  const mr_val v = {0};
  return v;
}

mr_val mr_carry(mr_state *st, int i, mr_val initial)
{
  if (st == NULL) return initial;
  st->initial[i] = initial;
  return st->in[i];
}

void mr_carry_last(mr_tape *t, mr_state *st, int i, mr_val h)
{
  if (st == NULL) return;
  const mr_shape s = mr_shape_of(t, h);
  st->out[i] = mr_slice_time(t, h, s.dim[1] - 1, 1);
}

void mr_carry_rows(mr_tape *t, mr_state *st, int i, mr_val x, int64_t n)
{
  if (st == NULL) return;
  const mr_val all[] = {st->in[i], x};
  const mr_shape s = mr_shape_of(t, x);
  st->rows[i] = st->grows;
  st->out[i] = st->grows ? x : mr_slice_time(t, mr_concat_time(t, all, 2), s.dim[1], n);
}

mr_val mr_initial_state(mr_tape *t, const mr_config *c, mr_dims d, const char *name, bool positive)
{
  if (strcmp(c->h0, "zero") == 0) return none();
  mr_val p = mr_param(t, name, mr_shape1(d.H), mr_init_normal(1));
  mr_no_decay(t, p);
  return mr_repeat_batch(t, positive ? mr_act(t, p, MR_G) : p, d.B);
}

bool mr_option_is(const mr_config *c, const char *owner, const char *key, const char *word)
{
  return strcmp(mr_option_text(c, owner, key), word) == 0;
}

int mr_state_h(const mr_config *c, mr_dims d, mr_shape *shapes)
{
  (void)c;
  shapes[0] = mr_shape3(d.B, 1, d.H);
  return 1;
}

int mr_state_hc(const mr_config *c, mr_dims d, mr_shape *shapes)
{
  shapes[1] = mr_shape3(d.B, 1, d.H);
  return mr_state_h(c, d, shapes) + 1;
}
