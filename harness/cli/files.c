/* files.c — run files named on a command line. SPDX-License-Identifier: MIT */
#include "files.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "mem.h"

static mr_status add(mr_files *f, const char *folder, const char *name)
{
  void *p = f->path;
  char *path;
  if (f->n == f->room) {
    const int room = f->room > 0 ? 2 * f->room : 64;
    MR_CHECK(mr_regrow(&p, (size_t)room, sizeof *f->path));
    f->path = p;
    f->room = room;
  }
  const size_t bytes = strlen(folder) + strlen(name) + 2;
  MR_CHECK(mr_calloc(&p, bytes, 1));
  path = p;
  (void)snprintf(path, bytes, "%s%s%s", folder, *folder != '\0' ? "/" : "", name);
  f->path[f->n++] = path;
  return MR_OK;
}

static int is_run(const struct dirent *d)
{
  const size_t n = strlen(d->d_name);
  return n > 3 && d->d_name[0] != '.' && strcmp(d->d_name + n - 3, ".h5") == 0;
}

static mr_status add_folder(mr_files *f, const char *folder)
{
  mr_status st = MR_OK;
  struct dirent **entry = NULL;
  const int n = scandir(folder, &entry, is_run, versionsort);
  if (n < 0) return MR_FAIL(MR_ERR_IO, "the folder %s cannot be read: %s", folder, strerror(errno));
  for (int i = 0; i < n; i++) {
    if (st == MR_OK) st = add(f, folder, entry[i]->d_name);
    free(entry[i]);
  }
  free(entry);
  MR_CHECK(st);
  return n > 0 ? MR_OK : MR_FAIL(MR_ERR_IO, "the folder %s holds no run file (*.h5)", folder);
}

mr_status mr_files_add(mr_files *f, const char *path)
{
  struct stat s;
  if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) return add_folder(f, path);
  return add(f, "", path);
}

void mr_files_free(mr_files *f)
{
  for (int i = 0; i < f->n; i++) mr_free(f->path[i]);
  mr_free(f->path);
  *f = (mr_files){.n = 0};
}
