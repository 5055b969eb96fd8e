/* env.c — the environments by name. SPDX-License-Identifier: MIT */
#include "env.h"
#include <string.h>

extern const mr_env_def mr_env_pendulum, mr_env_tmaze, mr_env_repeat;
extern const mr_env_def mr_env_halfcheetah, mr_env_hopper, mr_env_walker2d;

static const mr_env_def *const all[] = {&mr_env_pendulum,    &mr_env_tmaze,  &mr_env_repeat,
                                        &mr_env_halfcheetah, &mr_env_hopper, &mr_env_walker2d};

const mr_env_def *mr_env_find(const char *name)
{
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}
