/* h5file.c — whole HDF5 files: built in memory, sealed, renamed into place.
 * SPDX-License-Identifier: MIT */
#include "h5file.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mem.h"

enum { GROW_BYTES = 1 << 20, BLOCK_BYTES = 1 << 16, SEAL_BYTES = 29 };
static const char seal_head[] = "minrnn-seal "; /* then 16 hexadecimal digits and a line end */
static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};

/* FNV-1a, 64 bits: every changed byte changes the sum. */
static const uint64_t sum_start = 0xcbf29ce484222325u;
static uint64_t sum_add(uint64_t sum, const unsigned char *p, size_t n)
{
  for (size_t i = 0; i < n; i++) sum = (sum ^ p[i]) * 0x100000001b3u;
  return sum;
}

static void seal_text(uint64_t sum, char text[SEAL_BYTES + 1])
{
  (void)snprintf(text, SEAL_BYTES + 1, "%s%016" PRIx64 "\n", seal_head, sum);
}

mr_status mr_make_parents(const char *path)
{
  mr_status st = MR_OK;
  char *folder = NULL;
  MR_TRY(mr_strdup(&folder, path));
  for (char *p = folder + 1; *folder && *p; p++) {
    if (*p != '/') continue;
    *p = '\0';
    struct stat s;
    if (mkdir(folder, 0777) != 0 && (errno != EEXIST || stat(folder, &s) != 0)) {
      st = MR_FAIL(MR_ERR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
      goto out;
    }
    *p = '/';
  }
out:
  mr_free(folder);
  return st;
}

/* ---- Writing --------------------------------------------------------------------------------- */

mr_status mr_h5_begin(hid_t *file, const char *path)
{
  mr_status st = MR_OK;
  hid_t fapl = -1, made = -1;
  MR_H5(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), "be made silent");
  MR_H5(fapl = H5Pcreate(H5P_FILE_ACCESS), "start");
  MR_H5(H5Pset_fapl_core(fapl, GROW_BYTES, false), "write to memory");
  MR_H5(made = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, fapl), "start a file in memory");
out:
  st = mr_h5_drop(fapl, st, path);
  if (st == MR_OK)
    *file = made;
  else
    mr_h5_close(made);
  return st;
}

static mr_status write_all(int fd, const char *path, const void *data, size_t n)
{
  const char *p = data;
  while (n > 0) {
    ssize_t k = write(fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return MR_FAIL(MR_ERR_IO, "cannot write %s: %s", path, strerror(errno));
    p += k;
    n -= (size_t)k;
  }
  return MR_OK;
}

/* The bytes and seal to `part`, down to the disk. */
static mr_status write_sealed(const char *part, const char *path, const void *image, size_t n)
{
  mr_status st = MR_OK;
  char seal[SEAL_BYTES + 1];
  int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return MR_FAIL(MR_ERR_IO, "cannot write %s: %s", path, strerror(errno));
  seal_text(sum_add(sum_start, image, n), seal);
  MR_TRY(write_all(fd, path, image, n));
  MR_TRY(write_all(fd, path, seal, SEAL_BYTES));
  /* Some file systems know no fsync; that is no reason to lose the run. */
  if (fsync(fd) != 0 && errno != EINVAL && errno != ENOSYS)
    st = MR_FAIL(MR_ERR_IO, "cannot write %s: %s", path, strerror(errno));
out:
  if (close(fd) != 0 && st == MR_OK)
    st = MR_FAIL(MR_ERR_IO, "cannot write %s: %s", path, strerror(errno));
  return st;
}

mr_status mr_h5_commit(hid_t file, const char *part, const char *path)
{
  mr_status st = MR_OK;
  void **memory = NULL;
  void *handle = NULL;
  ssize_t n = 0;
  MR_H5(H5Fflush(file, H5F_SCOPE_GLOBAL), "finish the file");
  /* The driver rounds its block up; the image is what the file really holds. */
  MR_H5(n = H5Fget_file_image(file, NULL, 0), "tell the size of the file");
  MR_H5(H5Fget_vfd_handle(file, H5P_DEFAULT, &handle), "hand out the file");
  memory = handle;
  st = write_sealed(part, path, *memory, (size_t)n);
  if (st == MR_OK && rename(part, path) != 0)
    st = MR_FAIL(MR_ERR_IO, "cannot write %s: %s", path, strerror(errno));
  if (st != MR_OK) (void)unlink(part); /* it may not exist */
out:
  return st;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Reads up to n bytes at the descriptor's place; *got is less only at the end of the file. */
static mr_status read_some(int fd, const char *path, void *buf, size_t n, size_t *got)
{
  for (*got = 0; *got < n;) {
    ssize_t k = read(fd, (char *)buf + *got, n - *got);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return MR_FAIL(MR_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (k == 0) break;
    *got += (size_t)k;
  }
  return MR_OK;
}

static mr_status check_seal(int fd, const char *path)
{
  mr_status st = MR_OK;
  unsigned char *block = NULL;
  char seal[SEAL_BYTES + 1] = "", wanted[SEAL_BYTES + 1];
  uint64_t sum = sum_start;
  size_t got = 0;
  struct stat s;
  if (fstat(fd, &s) != 0) return MR_FAIL(MR_ERR_IO, "cannot read %s: %s", path, strerror(errno));
  MR_TRY(mr_calloc((void **)&block, BLOCK_BYTES, 1));
  MR_TRY(read_some(fd, path, block, sizeof signature, &got));
  if (got < sizeof signature || memcmp(block, signature, sizeof signature) != 0) {
    st = MR_FAIL(MR_ERR_IO, "%s is not an HDF5 file", path);
    goto out;
  }
  sum = sum_add(sum, block, got);
  for (int64_t left = s.st_size - SEAL_BYTES - (int64_t)got; left > 0; left -= (int64_t)got) {
    MR_TRY(read_some(fd, path, block, left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES, &got));
    if (got == 0) break;
    sum = sum_add(sum, block, got);
  }
  MR_TRY(read_some(fd, path, seal, SEAL_BYTES, &got));
  seal_text(sum, wanted);
  if (got < SEAL_BYTES || memcmp(seal, seal_head, strlen(seal_head)) != 0)
    st = MR_FAIL(MR_ERR_IO,
                 "%s is cut off, or was changed by another program: the seal that ends it "
                 "is missing",
                 path);
  else if (memcmp(seal, wanted, SEAL_BYTES) != 0)
    st = MR_FAIL(MR_ERR_IO, "%s is damaged: its content does not match its seal", path);
out:
  mr_free(block);
  return st;
}

mr_status mr_h5_open(hid_t *file, const char *path)
{
  mr_status st = MR_OK;
  hid_t fapl = -1, opened = -1;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return MR_FAIL(MR_ERR_IO, "cannot open %s: %s", path, strerror(errno));
  MR_TRY(check_seal(fd, path));
  MR_H5(H5Eset_auto2(H5E_DEFAULT, NULL, NULL), "be made silent");
  MR_H5(fapl = H5Pcreate(H5P_FILE_ACCESS), "start");
  /* Files are replaced, never changed: locks, which some network folders refuse, are not needed. */
  MR_H5(H5Pset_file_locking(fapl, false, true), "do without locks");
  MR_H5(opened = H5Fopen(path, H5F_ACC_RDONLY, fapl), "open it");
out:
  (void)close(fd); /* only read from */
  st = mr_h5_drop(fapl, st, path);
  if (st == MR_OK)
    *file = opened;
  else
    mr_h5_close(opened);
  return st;
}

void mr_h5_close(hid_t file)
{
  /* Nothing is lost here: the file is in memory and written already, or was only read. */
  if (file >= 0) (void)H5Fclose(file);
}

mr_status mr_h5_drop(hid_t id, mr_status st, const char *path)
{
  if (id >= 0 && H5Idec_ref(id) < 0 && st == MR_OK)
    return MR_FAIL(MR_ERR_IO, "%s: HDF5 could not close an object", path);
  return st;
}
