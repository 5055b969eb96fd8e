/* data.c — where a data set comes from. SPDX-License-Identifier: MIT */
#include "data.h"
#include <stdlib.h>
#include <string.h>
#include "d4rl.h"
#include "make.h"
#include "options.h"

const char *mr_data_folder(const mr_config *c)
{
  const char *folder = mr_option_text(c, MR_RL, "d4rl"), *usual = getenv("MINRNN_D4RL");
  return folder[0] == '\0' && usual ? usual : folder;
}

mr_status mr_data_open(mr_dataset *out, const mr_env_def *env, const mr_config *c)
{
  const char *source = mr_option_text(c, MR_RL, "source"), *folder = mr_data_folder(c);
  if (env->expert != NULL) return mr_data_scripted(out, env, c);
  if (strcmp(source, "d4rl") == 0 && folder[0] == '\0')
    return MR_FAIL(
        MR_ERR_CONFIG,
        "source is d4rl, but neither --offline_rl.d4rl=DIR nor MINRNN_D4RL names a folder");
  if (strcmp(source, "generated") != 0 && folder[0] != '\0')
    return mr_d4rl_open(out, env, c, folder, mr_option_text(c, MR_RL, "data"));
  return mr_make_open(out, env, c);
}
