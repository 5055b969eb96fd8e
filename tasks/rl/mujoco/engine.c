/* engine.c — libminrnn_mujoco.so: MuJoCo behind an interface that returns where MuJoCo would end the
 * process or write files. SPDX-License-Identifier: MIT */
#include "engine.h"
#include <fenv.h>
#include <mujoco/mujoco.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "mjcf.h" /* made by CMake from the .xml files here */

_Static_assert(sizeof(mjtNum) == sizeof(double), "the interface is in double precision");

/* ---- Errors ---------------------------------------------------------------------------------- */

static _Thread_local char note[512];
static _Thread_local jmp_buf *escape;

/* MuJoCo's texts may have several lines. */
static void take_note(const char *text)
{
  (void)snprintf(note, sizeof note, "%s", text);
  for (char *c = note; *c != '\0'; c++)
    if (*c == '\n') *c = ' ';
  for (size_t n = strlen(note); n > 0 && note[n - 1] == ' '; n--) note[n - 1] = '\0';
}

/* MuJoCo would go on after this function had returned. */
static void on_error(const char *text)
{
  take_note(text);
  if (escape != NULL) longjmp(*escape, 1);
}

static const char *complaint(void)
{
  return note;
}

/* What a guarded call works on; `done` tells that it came back by itself. */
typedef struct job {
  mr_mujoco_model *model;
  mr_mujoco_sim *sim;
  const char *path;
  int times;
  bool done;
} job;

/* Runs act with errors led back here, and with floating point as a process begins: whether a thread
 * takes tiny numbers for zero shall not change what is simulated. */
static bool guarded(void (*act)(job *), job *j)
{
  jmp_buf here;
  fenv_t outside;
  (void)fegetenv(&outside); /* neither of the three has a way to fail on Linux */
  (void)fesetenv(FE_DFL_ENV);
  escape = &here;
  j->done = false;
  if (setjmp(here) == 0) {
    act(j);
    j->done = true;
  }
  escape = NULL;
  (void)fesetenv(&outside);
  return j->done;
}

static const char *start(void)
{
  static char engine[64];
  mju_user_error = on_error;
  mju_user_warning = take_note;
  if (mj_version() != mjVERSION_HEADER) {
    (void)snprintf(note, sizeof note, "its version is %d, and the program was built for %d",
                   mj_version(), mjVERSION_HEADER);
    return NULL;
  }
  (void)snprintf(engine, sizeof engine, "MuJoCo %s", mj_versionString());
  return engine;
}

/* ---- Models ---------------------------------------------------------------------------------- */

static void load_job(job *j)
{
  char why[sizeof note] = "";
  mjModel *m = mj_loadXML(j->path, NULL, why, sizeof why);
  if (m == NULL) {
    take_note(why);
    return;
  }
  *j->model = (mr_mujoco_model){.model = m,
                                .nq = (int)m->nq,
                                .nv = (int)m->nv,
                                .nu = (int)m->nu,
                                .timestep = m->opt.timestep};
}

/* Ours of that name as a file in memory, for reading files is what all versions of MuJoCo do alike. */
static int open_own(const char *name)
{
  const mjcf_text *t = mjcf;
  while (t->name != NULL && strcmp(t->name, name) != 0) t++;
  const int file = t->name != NULL ? memfd_create(name, MFD_CLOEXEC) : -1;
  if (file >= 0 && write(file, t->text, t->bytes) == (ssize_t)t->bytes) return file;
  (void)snprintf(note, sizeof note, "there is no model %s, or no memory for it", name);
  if (file >= 0) (void)close(file); /* of memory: nothing is lost */
  return -1;
}

static bool load(mr_mujoco_model *m, const char *name, const char *path)
{
  char own[64];
  job j = {.model = m, .path = path};
  const int file = path == NULL ? open_own(name) : -1;
  *m = (mr_mujoco_model){0};
  if (path == NULL) {
    if (file < 0) return false;
    (void)snprintf(own, sizeof own, "/proc/self/fd/%d", file);
    j.path = own;
  }
  const bool done = guarded(load_job, &j);
  if (file >= 0) (void)close(file); /* of memory: nothing is lost */
  return done && m->model != NULL;
}

static void unload(mr_mujoco_model *m)
{
  if (m->model != NULL) mj_deleteModel(m->model);
  *m = (mr_mujoco_model){0};
}

/* ---- Simulations ----------------------------------------------------------------------------- */

static void open_job(job *j)
{
  mjData *d = mj_makeData(j->sim->of->model);
  if (d == NULL) {
    take_note("there is no memory for a simulation");
    return;
  }
  *j->sim = (mr_mujoco_sim){
      .of = j->sim->of, .data = d, .qpos = d->qpos, .qvel = d->qvel, .ctrl = d->ctrl};
}

static bool open_sim(mr_mujoco_sim *s, const mr_mujoco_model *m)
{
  *s = (mr_mujoco_sim){.of = m};
  return guarded(open_job, &(job){.sim = s}) && s->data != NULL;
}

static void close_sim(mr_mujoco_sim *s)
{
  if (s->data != NULL) mj_deleteData(s->data);
  *s = (mr_mujoco_sim){0};
}

static void reset(mr_mujoco_sim *s)
{
  mj_resetData(s->of->model, s->data);
}

static void forward_job(job *j)
{
  mj_forward(j->sim->of->model, j->sim->data);
}

static bool forward(mr_mujoco_sim *s)
{
  return guarded(forward_job, &(job){.sim = s});
}

static void step_job(job *j)
{
  for (int i = 0; i < j->times; i++) mj_step(j->sim->of->model, j->sim->data);
}

/* Bad states, and contacts that found no room, are only counted; the counts stay until reset. */
static bool step(mr_mujoco_sim *s, int times)
{
  const mjWarningStat *w = ((const mjData *)s->data)->warning;
  bool fine = guarded(step_job, &(job){.sim = s, .times = times});
  for (int i = 0; i < mjNWARNING; i++) fine = fine && w[i].number == 0;
  return fine;
}

extern const mr_mujoco mr_mujoco_engine; /* asked for by name */
const mr_mujoco mr_mujoco_engine = {
    .interface = MR_MUJOCO_INTERFACE,
    .start = start,
    .complaint = complaint,
    .load = load,
    .unload = unload,
    .open = open_sim,
    .close = close_sim,
    .reset = reset,
    .forward = forward,
    .step = step,
};
