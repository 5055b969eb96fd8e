/* train_lock.c — keeps two processes from training into one run. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "train_impl.h"

/* Is the open file still the one at path? Its owner removes it at the end. */
static bool stands_at(int fd, const char *path)
{
  struct stat open_one, named;
  return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_dev == named.st_dev &&
         open_one.st_ino == named.st_ino;
}

static mr_status try_lock(const char *path, int *out)
{
  *out = -1;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return MR_FAIL(MR_ERR_CONFIG, "%s cannot be opened: %s", path, strerror(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *out = fd;
    return MR_OK;
  }
  int why = errno;
  (void)close(fd); /* nothing was written */
  if (why == EWOULDBLOCK)
    return MR_FAIL(MR_ERR_CONFIG, "another process is training into this run: it holds %s", path);
  return MR_FAIL(MR_ERR_CONFIG, "%s cannot be locked: %s", path, strerror(why));
}

mr_status mr_training_lock(mr_training *t)
{
  MR_CHECK(try_lock(t->lock_path, &t->lock));
  while (!stands_at(t->lock, t->lock_path)) {
    (void)close(t->lock); /* nothing was written */
    MR_CHECK(try_lock(t->lock_path, &t->lock));
  }
  return MR_OK;
}

void mr_training_unlock(mr_training *t)
{
  if (t->lock < 0) return;
  /* Removed while still held; what stays behind is no obstacle to the next run. */
  (void)unlink(t->lock_path);
  (void)close(t->lock);
  t->lock = -1;
}
