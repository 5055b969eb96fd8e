/* engine.h — MuJoCo as the program sees it: all that crosses over to libminrnn_mujoco.so, which is
 * loaded when an environment first needs it. SPDX-License-Identifier: MIT */
#ifndef MR_RL_MUJOCO_ENGINE_H
#define MR_RL_MUJOCO_ENGINE_H
#include <stdbool.h>
#include <stddef.h>

#define MR_MUJOCO_LIBRARY "libminrnn_mujoco.so"
#define MR_MUJOCO_SYMBOL  "mr_mujoco_engine" /* of type mr_mujoco */
enum { MR_MUJOCO_INTERFACE = 1 };            /* counted up at every change of this file */

/* A body and its world. Simulations in several threads may share it. */
typedef struct mr_mujoco_model {
  void *model;
  int nq, nv, nu;  /* positions, velocities, controls */
  double timestep; /* s */
} mr_mujoco_model;

typedef struct mr_mujoco_sim {
  const mr_mujoco_model *of;
  void *data;
  double *qpos, *qvel, *ctrl; /* [nq], [nv], [nu]; free to be written between calls */
} mr_mujoco_sim;

/* Calls that return bool say with false that MuJoCo refused; complaint() then tells why. A simulation
 * may be used by one thread at a time; load by one thread alone. */
typedef struct mr_mujoco {
  int interface;                  /* MR_MUJOCO_INTERFACE; only then the rest may be looked at */
  const char *(*start)(void);     /* once, before all others: "MuJoCo 2.2.2", or NULL */
  const char *(*complaint)(void); /* of the last refusal in this thread, one line */

  /* The model in the file at `path`; NULL: ours of that name, e.g. "hopper". */
  bool (*load)(mr_mujoco_model *m, const char *name, const char *path);
  void (*unload)(mr_mujoco_model *m); /* zeroed or loaded */

  bool (*open)(mr_mujoco_sim *s, const mr_mujoco_model *m);
  void (*close)(mr_mujoco_sim *s); /* zeroed or opened */

  void (*reset)(mr_mujoco_sim *s);   /* to the model's own start, as if just opened */
  bool (*forward)(mr_mujoco_sim *s); /* qpos and qvel have been set: makes the rest follow */
  /* `times` steps under ctrl. False also where MuJoCo goes on with less than the truth: numbers not
   * finite or beyond 1e10, for which it puts the start, or contacts that it has no room for. */
  bool (*step)(mr_mujoco_sim *s, int times);
} mr_mujoco;
#endif
