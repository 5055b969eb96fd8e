/* folder.c — can a file be written where it is to lie? SPDX-License-Identifier: MIT */
#include "folder.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FOLDER_BYTES = 1024 };

/* The folder that a file at path would lie in, or the nearest one above it that exists. */
static mr_status nearest_folder(const char *path, char *folder, size_t n)
{
  struct stat s;
  int len = snprintf(folder, n, "%s", path);
  if (len < 0 || (size_t)len >= n)
    return MR_FAIL(MR_ERR_CONFIG, "the path %s is longer than %zu characters", path, n - 1);
  for (;;) {
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
      snprintf(folder, n, ".");
    else if (slash == folder)
      folder[1] = '\0';
    else
      *slash = '\0';
    if (stat(folder, &s) == 0) break;
    if (errno != ENOENT && errno != ENOTDIR)
      return MR_FAIL(MR_ERR_CONFIG, "folder %s cannot be used: %s", folder, strerror(errno));
    if (strcmp(folder, ".") == 0 || strcmp(folder, "/") == 0)
      return MR_FAIL(MR_ERR_CONFIG, "the current folder is gone");
  }
  if (!S_ISDIR(s.st_mode))
    return MR_FAIL(MR_ERR_CONFIG, "%s is not a folder, so %s cannot be written", folder, path);
  return MR_OK;
}

mr_status mr_check_room(const char *path, int64_t bytes)
{
  char folder[FOLDER_BYTES], probe[FOLDER_BYTES + 32];
  struct statvfs s;
  MR_CHECK(nearest_folder(path, folder, sizeof folder));
  /* Permission bits say little to root or on read-only and special file systems: try it. */
  snprintf(probe, sizeof probe, "%s/.minrnn-%ld", folder, (long)getpid());
  int fd = open(probe, O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (fd < 0)
    return MR_FAIL(MR_ERR_CONFIG, "folder %s cannot be written: %s", folder, strerror(errno));
  bool gone = close(fd) == 0 && unlink(probe) == 0;
  if (!gone)
    return MR_FAIL(MR_ERR_CONFIG, "folder %s cannot be written: %s", folder, strerror(errno));
  /* File systems without a size tell 0 blocks. */
  if (statvfs(folder, &s) != 0 || s.f_blocks == 0) return MR_OK;
  double room = (double)s.f_bavail * (double)s.f_frsize;
  if (room < (double)bytes)
    return MR_FAIL(MR_ERR_CONFIG, "folder %s is full: the run needs %.1f MB and %.1f MB are free",
                   folder, (double)bytes * 1e-6, room * 1e-6);
  return MR_OK;
}
