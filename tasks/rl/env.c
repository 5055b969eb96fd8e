/* env.c — the environments by name. SPDX-License-Identifier: MIT */
#include "env.h"
#include <string.h>

extern const mr_env_def mr_env_pendulum, mr_env_tmaze, mr_env_repeat;
extern const mr_env_def mr_env_halfcheetah, mr_env_hopper, mr_env_walker2d;

static const mr_env_def *const all[] = {
    &mr_env_pendulum, &mr_env_tmaze, &mr_env_repeat, &mr_env_halfcheetah, &mr_env_hopper,
    &mr_env_walker2d, NULL};

const mr_env_def *mr_env_find(const char *name)
{
  for (int i = 0; all[i] != NULL; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}
