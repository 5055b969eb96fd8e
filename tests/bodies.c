/* bodies.c — see bodies.h. SPDX-License-Identifier: MIT */
#include "bodies.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "rng.h"

const char *const body_names[N_BODIES] = {"halfcheetah", "hopper", "walker2d"};
const char *const body_files[N_BODIES] = {"half_cheetah", "hopper", "walker2d"};

bool bodies_here(void)
{
#ifdef MR_WITH_MUJOCO
  return true;
#else
  return false;
#endif
}

mr_status body_open(mr_env **out, int k, const char *assets)
{
  static const mr_owner owner = {.name = MR_RL, .opts = mr_rl_opts, .n_opts = MR_RL_OPTIONS};
  mr_config c = {0};
  char word[4096];
  const char *const words[] = {word};
  snprintf(word, sizeof word, "--" MR_RL ".assets=%s", assets);
  assert_ok(mr_config_load(&c, &owner, 1, NULL, 1, words));
  const mr_status st = mr_env_find(body_names[k])->open(out, &c);
  mr_config_free(&c);
  return st;
}

mr_env *body_ready(int k)
{
  mr_env *e = NULL;
  assert_ok(body_open(&e, k, ""));
  return e;
}

mr_env_spec body_spec(int k, const mr_env *e)
{
  mr_env_spec s;
  mr_env_find(body_names[k])->spec(e, &s);
  return s;
}

const char *body_changed(int k, const char *from, const char *to)
{
  static char text[16384], out[16384];
  char path[4096];
  snprintf(path, sizeof path, "%s/tasks/rl/mujoco/%s.xml", getenv("MINRNN_SOURCE_DIR"),
           body_files[k]);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  assert_int_equal(fclose(f), 0);
  const char *at = strstr(text, from);
  assert_non_null(at);
  const int n =
      snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  snprintf(path, sizeof path, "%s.xml", body_files[k]);
  mr_test_file(path, out, (size_t)n);
  return mr_test_folder();
}

static void mix(trace *t, const double *x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) {
    uint64_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    t->hash = (t->hash ^ bits) * 0x9E3779B97F4A7C15u;
    t->hash ^= t->hash >> 32;
  }
}

trace body_play(int k, mr_env *e, uint64_t seed, uint64_t episode, int64_t most)
{
  const mr_env_def *def = mr_env_find(body_names[k]);
  const mr_env_spec s = body_spec(k, e);
  double obs[BODY_MOST], act[BODY_MOST], reward;
  bool terminal = false;
  trace t = {0};
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_ACTION, episode);
  def->reset(e, seed, episode, obs);
  mix(&t, obs, s.obs);
  while (!terminal && t.steps < most) {
    for (int64_t i = 0; i < s.act; i++) act[i] = 2 * mr_rng_uniform(&r) - 1;
    def->step(e, act, obs, &reward, &terminal);
    mix(&t, obs, s.obs);
    mix(&t, &reward, 1);
    t.sum += reward, t.steps++;
  }
  return t;
}
