/* data.c — where a data set comes from. SPDX-License-Identifier: MIT */
#include "data.h"
#include <string.h>
#include "d4rl.h"
#include "make.h"
#include "options.h"

mr_status mr_data_open(mr_dataset *out, const mr_env_def *env, const mr_config *c)
{
  const char *source = mr_option_text(c, MR_RL, "source"),
             *folder = mr_option_text(c, MR_RL, "d4rl");
  if (env->expert != NULL) return mr_data_scripted(out, env, c);
  if (strcmp(source, "d4rl") == 0 && folder[0] == '\0')
    return MR_FAIL(MR_ERR_CONFIG, "source is d4rl, but --offline_rl.d4rl=DIR names no folder");
  if (strcmp(source, "generated") != 0 && folder[0] != '\0')
    return mr_d4rl_open(out, env, c, folder, mr_option_text(c, MR_RL, "data"));
  return mr_make_open(out, env, c);
}
