/* d4rl_write.c — files in the layout of D4RL, written in stretches and named when they are whole.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "d4rl.h"
#include "h5file.h"
#include "mem.h"

enum { CHUNK_BYTES = 1 << 18, DEFLATE = 1 };

static const char *const name[MR_STEP_FIELDS] = {[MR_STEP_OB] = "observations",
                                                 [MR_STEP_NEXT] = "next_observations",
                                                 [MR_STEP_AC] = "actions",
                                                 [MR_STEP_REWARD] = "rewards",
                                                 [MR_STEP_TERMINAL] = "terminals",
                                                 [MR_STEP_TIMEOUT] = "timeouts",
                                                 [MR_STEP_QPOS] = "infos/qpos",
                                                 [MR_STEP_QVEL] = "infos/qvel",
                                                 [MR_STEP_LOGP] = "infos/action_log_probs"};

struct mr_d4rl_file {
  char *path, *part; /* of the whole file, and while it grows */
  hid_t file, boolean;
  hid_t set[MR_STEP_FIELDS]; /* -1: the simulator does not tell */
  int64_t width[MR_STEP_FIELDS];
  int64_t n; /* steps so far */
};

static hid_t type_of(const mr_d4rl_file *f, mr_step_field field)
{
  if (mr_step_size(field) == sizeof(int8_t)) return f->boolean;
  return mr_step_size(field) == sizeof(double) ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
}

/* bool as h5py writes it: an enumeration over 8 bits. */
static mr_status make_boolean(mr_d4rl_file *f, const char *path)
{
  mr_status st = MR_OK;
  static const int8_t value[] = {0, 1};
  MR_H5(f->boolean = H5Tenum_create(H5T_NATIVE_INT8), "make a type");
  MR_H5(H5Tenum_insert(f->boolean, "FALSE", &value[0]), "make a type");
  MR_H5(H5Tenum_insert(f->boolean, "TRUE", &value[1]), "make a type");
out:
  return st;
}

/* An array without rows that can grow; its chunks are checked when they are read. */
static mr_status make_array(mr_d4rl_file *f, mr_step_field field, const char *path)
{
  mr_status st = MR_OK;
  hid_t space = -1, plist = -1;
  const hsize_t width = (hsize_t)f->width[field];
  const bool flat =
      field == MR_STEP_REWARD || field == MR_STEP_LOGP || mr_step_size(field) == sizeof(int8_t);
  const int rank = flat ? 1 : 2;
  const hsize_t none[2] = {0, width}, most[2] = {H5S_UNLIMITED, width};
  const hsize_t chunk[2] = {CHUNK_BYTES / (width * mr_step_size(field)) + 1, width};
  MR_H5(space = H5Screate_simple(rank, none, most), "make an array");
  MR_H5(plist = H5Pcreate(H5P_DATASET_CREATE), "make an array");
  MR_H5(H5Pset_chunk(plist, rank, chunk), "make an array");
  MR_H5(H5Pset_shuffle(plist), "make an array");
  MR_H5(H5Pset_deflate(plist, DEFLATE), "make an array");
  MR_H5(H5Pset_fletcher32(plist), "make an array");
  MR_H5(H5Pset_obj_track_times(plist, false), "make an array");
  MR_H5(f->set[field] = H5Dcreate2(f->file, name[field], type_of(f, field), space, H5P_DEFAULT,
                                   plist, H5P_DEFAULT),
        "make an array");
out:
  st = mr_h5_drop(plist, st, path);
  return mr_h5_drop(space, st, path);
}

static mr_status put_about(hid_t file, const char *path, const mr_d4rl_about *a)
{
  MR_CHECK(mr_h5_put_int(file, path, "generated", 1));
  MR_CHECK(mr_h5_put_text(file, path, "environment", a->environment));
  MR_CHECK(mr_h5_put_text(file, path, "engine", a->engine));
  MR_CHECK(mr_h5_put_text(file, path, "level", a->level));
  MR_CHECK(mr_h5_put_text(file, path, "algorithm", "PPO"));
  MR_CHECK(mr_h5_put_int(file, path, "seed", a->seed));
  return mr_h5_put_int(file, path, "iteration", a->iteration);
}

/* New formats of HDF5, whose own structures carry checksums; without times, so that equal data make
 * equal files. */
static mr_status begin(mr_d4rl_file *f, const mr_d4rl_about *about)
{
  mr_status st = MR_OK;
  hid_t fapl = -1, fcpl = -1, gcpl = -1, infos = -1;
  const char *path = f->part;
  MR_TRY(mr_make_parents(path));
  MR_H5(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), "be made silent");
  MR_H5(fapl = H5Pcreate(H5P_FILE_ACCESS), "start");
  MR_H5(H5Pset_libver_bounds(fapl, H5F_LIBVER_V18, H5F_LIBVER_V18), "start");
  MR_H5(H5Pset_file_locking(fapl, false, true), "do without locks");
  MR_H5(fcpl = H5Pcreate(H5P_FILE_CREATE), "start");
  MR_H5(H5Pset_obj_track_times(fcpl, false), "start");
  MR_H5(gcpl = H5Pcreate(H5P_GROUP_CREATE), "start");
  MR_H5(H5Pset_obj_track_times(gcpl, false), "start");
  MR_H5(f->file = H5Fcreate(path, H5F_ACC_TRUNC, fcpl, fapl), "start the file");
  MR_TRY(put_about(f->file, path, about));
  MR_TRY(make_boolean(f, path));
  MR_H5(infos = H5Gcreate2(f->file, "infos", H5P_DEFAULT, gcpl, H5P_DEFAULT), "make a group");
  for (int i = 0; i < MR_STEP_FIELDS; i++)
    if (f->width[i] > 0) MR_TRY(make_array(f, (mr_step_field)i, path));
out:
  st = mr_h5_drop(infos, st, path);
  st = mr_h5_drop(gcpl, st, path);
  st = mr_h5_drop(fcpl, st, path);
  return mr_h5_drop(fapl, st, path);
}

mr_status mr_d4rl_create(mr_d4rl_file **out, const char *path, const mr_env_spec *spec,
                         const mr_d4rl_about *about)
{
  mr_status st = MR_OK;
  mr_d4rl_file *f = NULL;
  mr_steps like;
  size_t bytes = strlen(path) + sizeof ".part";
  MR_CHECK(mr_calloc((void **)&f, 1, sizeof *f));
  f->file = f->boolean = -1;
  for (int i = 0; i < MR_STEP_FIELDS; i++) f->set[i] = -1;
  mr_steps_init(&like, spec);
  memcpy(f->width, like.width, sizeof f->width);
  MR_TRY(mr_strdup(&f->path, path));
  MR_TRY(mr_calloc((void **)&f->part, bytes, 1));
  (void)snprintf(f->part, bytes, "%s.part", path);
  MR_TRY(begin(f, about));
  *out = f;
out:
  if (st != MR_OK) mr_d4rl_close(f);
  return st;
}

static mr_status append_field(mr_d4rl_file *f, mr_step_field field, const mr_steps *s)
{
  mr_status st = MR_OK;
  const char *path = f->part;
  hid_t space = -1, memory = -1;
  const hsize_t from[2] = {(hsize_t)f->n, 0};
  const hsize_t count[2] = {(hsize_t)s->n, (hsize_t)f->width[field]};
  const hsize_t size[2] = {from[0] + count[0], count[1]};
  MR_H5(H5Dset_extent(f->set[field], size), "make an array longer");
  MR_H5(space = H5Dget_space(f->set[field]), "write an array");
  MR_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, count, NULL), "write an array");
  MR_H5(memory = H5Screate_simple(2, count, NULL), "write an array");
  MR_H5(H5Dwrite(f->set[field], type_of(f, field), memory, space, H5P_DEFAULT, s->data[field]),
        "write an array");
out:
  st = mr_h5_drop(memory, st, path);
  return mr_h5_drop(space, st, path);
}

mr_status mr_d4rl_append(mr_d4rl_file *f, const mr_steps *s)
{
  if (s->n == 0) return MR_OK;
  for (int i = 0; i < MR_STEP_FIELDS; i++)
    if (f->width[i] > 0) MR_CHECK(append_field(f, (mr_step_field)i, s));
  f->n += s->n;
  return MR_OK;
}

/* Closes what HDF5 holds; the file is written when that goes well. */
static mr_status let_go(mr_d4rl_file *f)
{
  mr_status st = MR_OK;
  const char *path = f->part;
  for (int i = 0; i < MR_STEP_FIELDS; i++) st = mr_h5_drop(f->set[i], st, path), f->set[i] = -1;
  st = mr_h5_drop(f->boolean, st, path);
  if (f->file >= 0 && H5Fclose(f->file) < 0 && st == MR_OK)
    st = MR_FAIL(MR_ERR_IO, "%s: HDF5 could not write the file", path);
  f->boolean = f->file = -1;
  return st;
}

/* Down to the disk, so that no power cut leaves a name without its content. */
static mr_status settle(const char *path)
{
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return MR_FAIL(MR_ERR_IO, "cannot open %s: %s", path, strerror(errno));
  /* Some file systems know no fsync; that is no reason to lose the data. */
  const bool bad = fsync(fd) != 0 && errno != EINVAL && errno != ENOSYS;
  const int why = errno;
  (void)close(fd); /* only synced */
  return bad ? MR_FAIL(MR_ERR_IO, "cannot write %s: %s", path, strerror(why)) : MR_OK;
}

mr_status mr_d4rl_finish(mr_d4rl_file *f, double expert)
{
  mr_status st = mr_h5_put_num(f->file, f->part, "expert_return", expert);
  const mr_status closed = let_go(f);
  if (st == MR_OK) st = closed;
  if (st == MR_OK) st = settle(f->part);
  if (st == MR_OK && rename(f->part, f->path) != 0)
    st = MR_FAIL(MR_ERR_IO, "cannot write %s: %s", f->path, strerror(errno));
  if (st != MR_OK) (void)unlink(f->part); /* it may not exist */
  mr_free(f->part);
  f->part = NULL;
  return st;
}

void mr_d4rl_close(mr_d4rl_file *f)
{
  if (!f) return;
  if (f->part) {
    (void)let_go(f); /* thrown away */
    (void)unlink(f->part);
  }
  mr_free(f->part);
  mr_free(f->path);
  mr_free(f);
}
