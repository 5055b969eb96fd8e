/* d4rl_fetch.c — a foreign HDF5 file is read by a process of its own, which may crash, hang or ask for
 * all memory without harm. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "d4rl_impl.h"
#include "mem.h"

enum { SUPERBLOCK = 64, MESSAGE = 1024, LEAST_SECONDS = 5, BYTES_PER_SECOND = 4 << 20 };
static const int64_t spare_bytes = INT64_C(2) << 30; /* of memory, besides copies of the file */
enum { COPIES = 16 };

/* What the reading process sends first; the arrays follow when st is MR_OK. */
typedef struct head {
  mr_status st;
  char message[MESSAGE];
  mr_d4rl_raw r; /* its pointers mean nothing here */
} head;

/* ---- Before any reading ---------------------------------------------------------------------- */

static uint64_t number_at(const unsigned char *p)
{
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
  return v;
}

/* Bytes that HDF5 believes the file to have from its superblock b on; 0: not told. */
static uint64_t believed_bytes(const unsigned char *b)
{
  const int version = b[8], bytes_of_sizes = version < 2 ? b[13] : b[9];
  if (bytes_of_sizes != 8 || version > 3) return 0;
  const uint64_t base = number_at(b + (version == 0   ? 24
                                       : version == 1 ? 28
                                                      : 12)),
                 end = number_at(b + (version == 0   ? 40
                                      : version == 1 ? 44
                                                     : 28));
  return end > base ? end - base : 0;
}

/* Reads the superblock of a file of `bytes` to b [SUPERBLOCK] and tells where it begins: behind what a
 * user put in front, at 512, 1024, 2048 and so on. -1: there is none; -2: reading failed. */
static int64_t find_superblock(int fd, int64_t bytes, unsigned char *b)
{
  static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};
  for (int64_t at = 0; at + SUPERBLOCK <= bytes; at = at == 0 ? 512 : 2 * at) {
    const ssize_t got = pread(fd, b, SUPERBLOCK, at);
    if (got < 0) return -2;
    if (got == SUPERBLOCK && memcmp(b, signature, sizeof signature) == 0) return at;
  }
  return -1;
}

/* The file is there, is HDF5 and is as long as it says. */
static mr_status look_at(const char *path, int64_t *bytes)
{
  unsigned char b[SUPERBLOCK] = {0};
  struct stat s;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait for its writer */
  if (fd < 0) {
    const mr_status st = errno == ENOENT || errno == ENOTDIR ? MR_ERR_IO : MR_ERR_CONFIG;
    return MR_FAIL(st, "cannot open %s: %s", path, strerror(errno));
  }
  const bool plain = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
  const int64_t at = plain ? find_superblock(fd, s.st_size, b) : -1;
  const int why = errno;
  (void)close(fd); /* only read from */
  if (!plain) return MR_FAIL(MR_ERR_CONFIG, "%s is not a file", path);
  if (at == -2) return MR_FAIL(MR_ERR_CONFIG, "cannot read %s: %s", path, strerror(why));
  if (s.st_size == 0) return MR_FAIL(MR_ERR_CONFIG, "%s is empty", path);
  if (at < 0) return MR_FAIL(MR_ERR_CONFIG, "%s is not an HDF5 file", path);
  if (believed_bytes(b) > (uint64_t)(s.st_size - at))
    return MR_FAIL(MR_ERR_CONFIG, "%s is cut off: it has %" PRId64 " of %" PRIu64 " bytes", path,
                   (int64_t)s.st_size, (uint64_t)at + believed_bytes(b));
  *bytes = s.st_size;
  return MR_OK;
}

/* ---- The pipe -------------------------------------------------------------------------------- */

static bool put(int fd, const void *data, size_t n)
{
  const char *p = data;
  while (n > 0) {
    const ssize_t k = write(fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    p += k, n -= (size_t)k;
  }
  return true;
}

static bool take(int fd, void *data, size_t n)
{
  char *p = data;
  while (n > 0) {
    const ssize_t k = read(fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    p += k, n -= (size_t)k;
  }
  return true;
}

/* Moves the arrays through the pipe, in one order at both ends. */
static bool pass(int fd, const mr_d4rl_raw *r, bool sending)
{
  const size_t n = (size_t)r->n;
  const struct {
    void *data;
    size_t bytes;
  } part[] = {{r->ob, n * (size_t)r->obs * sizeof *r->ob},
              {r->ac, n * (size_t)r->act * sizeof *r->ac},
              {r->reward, n * sizeof *r->reward},
              {r->terminal, n * sizeof *r->terminal},
              {r->timeout, r->has_timeouts ? n * sizeof *r->timeout : 0}};
  for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
    const bool whole =
        sending ? put(fd, part[i].data, part[i].bytes) : take(fd, part[i].data, part[i].bytes);
    if (!whole) return false;
  }
  return true;
}

/* ---- The reading process --------------------------------------------------------------------- */

/* Address space of this process now, in bytes; 0: unknown. */
static int64_t address_space(void)
{
  long long pages = 0;
  FILE *f = fopen("/proc/self/statm", "re");
  if (!f) return 0;
  const bool read = fscanf(f, "%lld", &pages) == 1;
  (void)fclose(f); /* only read from */
  return read ? (int64_t)pages * sysconf(_SC_PAGESIZE) : 0;
}

static rlim_t seconds_for(int64_t bytes)
{
  return (rlim_t)(LEAST_SECONDS + bytes / BYTES_PER_SECOND);
}

static void limit(int what, rlim_t to)
{
  struct rlimit now;
  if (getrlimit(what, &now) != 0) return;
  if (now.rlim_max != RLIM_INFINITY && to > now.rlim_max) to = now.rlim_max;
  now.rlim_cur = to;
  (void)setrlimit(what, &now); /* without it a damaged file costs more, and harms as little */
}

/* Nothing that goes wrong from here on may be heard, last, or take all memory. */
static void become_disposable(int64_t bytes)
{
  static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGTERM};
  for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) (void)signal(deadly[i], SIG_DFL);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2 && nowhere >= 0; fd++) (void)dup2(nowhere, fd);
  const int64_t had = address_space();
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, seconds_for(bytes));
  if (had > 0) limit(RLIMIT_AS, (rlim_t)(had + spare_bytes + COPIES * bytes));
}

static void deliver(int fd, const char *path, int64_t bytes)
{
  head h;
  memset(&h, 0, sizeof h);
  become_disposable(bytes);
  h.st = mr_d4rl_load(&h.r, path);
  if (h.st != MR_OK) (void)snprintf(h.message, sizeof h.message, "%s", mr_error_message());
  if (put(fd, &h, sizeof h) && h.st == MR_OK) (void)pass(fd, &h.r, true);
  /* No exit handler of the parent may run here a second time, and no buffer be written again. */
  for (;;) (void)raise(SIGKILL);
}

/* ---- This process ---------------------------------------------------------------------------- */

static bool sane(const head *h)
{
  const mr_d4rl_raw *r = &h->r;
  return memchr(r->origin, '\0', sizeof r->origin) && r->n > 0 && r->obs > 0 && r->act > 0 &&
         r->n <= INT64_C(1) << 30 && r->obs <= 1 << 12 && r->act <= 1 << 12;
}

/* Takes what the reading process sends; *ended is set when it stopped too early. */
static mr_status receive(mr_d4rl_raw *r, int fd, bool *ended)
{
  head h;
  *ended = !take(fd, &h, sizeof h);
  if (*ended) return MR_OK;
  h.message[MESSAGE - 1] = '\0';
  if (h.st == MR_ERR_NOMEM) return MR_FAIL(MR_ERR_NOMEM, "%s", h.message);
  if (h.st != MR_OK) return MR_FAIL(MR_ERR_CONFIG, "%s", h.message);
  *ended = !sane(&h);
  if (*ended) return MR_OK;
  *r = h.r;
  r->ob = r->ac = r->reward = NULL, r->terminal = r->timeout = NULL;
  MR_CHECK(mr_d4rl_raw_alloc(r));
  *ended = !pass(fd, r, false);
  return MR_OK;
}

static mr_status died(const char *path, int64_t bytes, int status)
{
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == SIGXCPU)
    return MR_FAIL(MR_ERR_CONFIG, "%s is damaged: HDF5 came to no end in %d s", path,
                   (int)seconds_for(bytes));
  return MR_FAIL(MR_ERR_CONFIG, "%s is damaged: HDF5 died of it (%s)", path,
                 signal != 0 ? strsignal(signal) : "without a signal");
}

mr_status mr_d4rl_fetch(mr_d4rl_raw *r, const char *path)
{
  int end[2], status = 0;
  int64_t bytes = 0;
  bool ended = false;
  *r = (mr_d4rl_raw){.n = 0};
  MR_CHECK(look_at(path, &bytes));
  if (pipe2(end, O_CLOEXEC) != 0)
    return MR_FAIL(MR_ERR_CONFIG, "no pipe to read %s: %s", path, strerror(errno));
  const pid_t child = fork();
  if (child == 0) deliver(end[1], path, bytes);
  const int why = errno;
  (void)close(end[1]); /* nothing was written */
  mr_status st = child > 0
                     ? receive(r, end[0], &ended)
                     : MR_FAIL(MR_ERR_CONFIG, "no process to read %s: %s", path, strerror(why));
  (void)close(end[0]); /* only read from; a child that still writes ends by that */
  if (child > 0)
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (st == MR_OK && ended) st = died(path, bytes, status);
  if (st != MR_OK) mr_d4rl_raw_free(r);
  return st;
}
