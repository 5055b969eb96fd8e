/* d4rl.h — data sets in the file layout of D4RL: its own files, and ours in the same layout.
 * SPDX-License-Identifier: MIT
 *
 * The files are HDF5: observations [N,obs], actions [N,act], rewards [N] or [N,1], terminals [N] and,
 * where it is there, timeouts [N]; anything else in them is not looked at. A trajectory ends where
 * terminals or timeouts say so, or without timeouts at the environment's horizon; what is behind the
 * last end is dropped. */
#ifndef MR_RL_D4RL_H
#define MR_RL_D4RL_H
#include "dataset.h"
#include "steps.h"
MR_C_BEGIN

/* Reads a file. spec NULL: of any environment. The HDF5 library is not safe on damaged bytes, so a
 * process of its own reads and this one takes what it sends: whatever the file holds, the answer is a
 * data set or one sentence that names the file, the part and the value. A missing file is MR_ERR_IO,
 * all else MR_ERR_CONFIG. */
MR_MUST mr_status mr_d4rl_read(mr_dataset *out, const char *path, const mr_env_spec *spec);

/* The same for a file of that environment, whose numbers per step it must have. With a simulator, e not
 * NULL, half of its episodes must start as those of the environment do, too. */
MR_MUST mr_status mr_d4rl_read_env(mr_dataset *out, const char *path, const mr_env_def *env,
                                   mr_env *e);

/* The data set of `level` ("medium", "medium-replay", "medium-expert", "expert") in a folder of D4RL's
 * files; medium-expert may also be the two files it is made of. Missing files are MR_ERR_IO and say how to get them. */
MR_MUST mr_status mr_d4rl_open(mr_dataset *out, const mr_env_def *env, const mr_config *c,
                               const char *folder, const char *level);

/* ---- Writing --------------------------------------------------------------------------------- */

/* What our files say of themselves, as attributes of the root. */
typedef struct mr_d4rl_about {
  const char *environment, *engine, *level;
  int64_t seed;      /* of the policy search                         */
  int64_t iteration; /* of the policy, or of the last one of several */
} mr_d4rl_about;

typedef struct mr_d4rl_file mr_d4rl_file;
/* Begins a file under a temporary name beside `path`, which stays as it is until mr_d4rl_finish.
 * Besides D4RL's own, it gets infos/qpos, infos/qvel and infos/action_log_probs, and the attribute
 * generated = 1. Folders that are missing are made. */
MR_MUST mr_status mr_d4rl_create(mr_d4rl_file **out, const char *path, const mr_env_spec *spec,
                                 const mr_d4rl_about *about);
MR_MUST mr_status mr_d4rl_append(mr_d4rl_file *f, const mr_steps *s);
/* Completes the file and gives it its name. expert: mean return of the best policy behind it; NAN: not
 * known. On failure the temporary file is gone. */
MR_MUST mr_status mr_d4rl_finish(mr_d4rl_file *f, double expert);
void mr_d4rl_close(mr_d4rl_file *f); /* NULL, unfinished (its file is removed) or finished */
MR_C_END
#endif
