/* machine.c — facts about this machine and build. SPDX-License-Identifier: MIT */
#include "machine.h"
#include <cblas.h>
#include <dirent.h>
#include <hdf5.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "machine_impl.h"
#if defined(__has_include)
#if __has_include("build_info.h")
#include "build_info.h"
#endif
#endif
#ifndef MR_BUILD_COMPILER
#define MR_BUILD_COMPILER "unknown"
#define MR_BUILD_FLAGS    "unknown"
#define MR_BUILD_COMMIT   "unknown"
#define MR_BUILD_DIRTY    "unknown"
#endif

enum { FACT_BYTES = 1024 };

/* ---- Reading what the kernel tells ----------------------------------------------------------- */

/* Cuts blanks and line ends off the end; returns s moved behind blanks at the start. */
static char *trim(char *s)
{
  size_t n = strlen(s);
  while (n > 0 && strchr(" \t\n", s[n - 1])) s[--n] = '\0';
  return s + strspn(s, " \t");
}

/* The first line of a file, trimmed; "none" if there is none. */
static void first_line(const char *path, char *buf, size_t n)
{
  char line[FACT_BYTES];
  FILE *f = fopen(path, "r");
  bool read = f && fgets(line, sizeof line, f);
  (void)snprintf(buf, n, "%s", read && *trim(line) ? trim(line) : "none");
  if (f) (void)fclose(f); /* only read from */
}

/* What follows `key` and a colon in a file of such lines; "none" if there is none. */
static void keyed_line(const char *path, const char *key, char *buf, size_t n)
{
  char line[FACT_BYTES];
  size_t length = strlen(key);
  (void)snprintf(buf, n, "none");
  FILE *f = fopen(path, "r");
  if (!f) return;
  while (fgets(line, sizeof line, f)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, key, length) != 0 || !colon || line + length > colon) continue;
    if (strspn(line + length, " \t") != (size_t)(colon - line) - length) continue;
    (void)snprintf(buf, n, "%s", trim(colon + 1));
    break;
  }
  (void)fclose(f); /* only read from */
}

static int64_t cache_bytes(int level)
{
  for (int i = 0; i < 16; i++) {
    char path[96], text[64];
    char *end;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
    first_line(path, text, sizeof text);
    if (atoi(text) != level) continue;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
    first_line(path, text, sizeof text);
    if (strcmp(text, "Instruction") == 0) continue;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
    first_line(path, text, sizeof text);
    int64_t bytes = strtoll(text, &end, 10);
    return *end == 'K' ? bytes << 10 : *end == 'M' ? bytes << 20 : bytes;
  }
  return 0;
}

int64_t mr_last_cache_bytes(void)
{
  for (int level = 4; level > 0; level--)
    if (cache_bytes(level) > 0) return cache_bytes(level);
  return 0;
}

int64_t mr_ram_bytes(void)
{
  int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? pages * size : 0;
}

int64_t mr_ram_available(void)
{
  char text[64];
  keyed_line("/proc/meminfo", "MemAvailable", text, sizeof text);
  return strtoll(text, NULL, 10) << 10; /* "1234 kB" */
}

int64_t mr_rss_peak(void)
{
  char text[64];
  keyed_line("/proc/self/status", "VmHWM", text, sizeof text);
  return strtoll(text, NULL, 10) << 10; /* "1234 kB" */
}

int64_t mr_now_ns(void)
{
  struct timespec t = {0};
  /* CLOCK_MONOTONIC always exists on Linux, and t is ours: the call has no way to fail. */
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double mr_processor_ns(void)
{
  struct timespec t = {0};
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* always exists on Linux */
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- Facts ----------------------------------------------------------------------------------- */

typedef struct teller {
  mr_fact_fn fn;
  void *ctx;
  char buf[FACT_BYTES];
} teller;

static mr_status tell_int(teller *t, const char *name, int64_t value)
{
  (void)snprintf(t->buf, sizeof t->buf, "%" PRId64, value);
  return t->fn(t->ctx, name, value > 0 ? t->buf : "none");
}

/* Cores that this process may use: all that any of its threads may, as pinning narrows each of them
 * to its own. 0: unknown. */
static int count_cores(void)
{
  cpu_set_t all, one;
  CPU_ZERO(&all);
  DIR *threads = opendir("/proc/self/task");
  if (!threads) return 0;
  for (struct dirent *d = readdir(threads); d; d = readdir(threads)) {
    pid_t id = (pid_t)atoi(d->d_name);
    if (id > 0 && sched_getaffinity(id, sizeof one, &one) == 0) CPU_OR(&all, &all, &one);
  }
  (void)closedir(threads); /* only read from */
  return CPU_COUNT(&all);
}

static mr_status tell_processor(teller *t, const mr_backend *be)
{
  double load[3] = {0};
  keyed_line("/proc/cpuinfo", "model name", t->buf, sizeof t->buf);
  MR_CHECK(t->fn(t->ctx, "cpu", t->buf));
  int cores = count_cores();
  MR_CHECK(tell_int(t, "cores", cores > 0 ? cores : sysconf(_SC_NPROCESSORS_ONLN)));
  MR_CHECK(tell_int(t, "threads", be->threads));
  MR_CHECK(t->fn(t->ctx, "binding", be->binding ? be->binding : "none"));
  MR_CHECK(t->fn(t->ctx, "subnormals", be->device == MR_CPU ? "flushed to zero" : "kept"));
  bool loaded = getloadavg(load, 3) == 3;
  (void)snprintf(t->buf, sizeof t->buf, "%.2f %.2f %.2f", load[0], load[1], load[2]);
  MR_CHECK(t->fn(t->ctx, "load", loaded ? t->buf : "none"));
  MR_CHECK(tell_int(t, "ram_bytes", mr_ram_bytes()));
  MR_CHECK(tell_int(t, "l1d_bytes", cache_bytes(1)));
  MR_CHECK(tell_int(t, "l2_bytes", cache_bytes(2)));
  return tell_int(t, "l3_bytes", cache_bytes(3));
}

/* Of the device in use: on the CPU there is none. */
static mr_status tell_gpu(teller *t, const mr_backend *be)
{
  const mr_gpu none = {"none", "none", "none", "none", "none"}, *g = be->gpu ? be->gpu : &none;
  const char *const fact[][2] = {{"gpu", g->name},
                                 {"compute_capability", g->capability},
                                 {"driver", g->driver},
                                 {"cuda", g->runtime},
                                 {"cublas", g->blas}};
  MR_CHECK(tell_int(t, "sm_count", be->sm_count));
  for (size_t i = 0; i < sizeof fact / sizeof *fact; i++)
    MR_CHECK(t->fn(t->ctx, fact[i][0], fact[i][1]));
  return MR_OK;
}

static mr_status tell_build(teller *t)
{
  unsigned major = 0, minor = 0, patch = 0;
  struct utsname os;
  (void)snprintf(t->buf, sizeof t->buf, "%s", openblas_get_config());
  MR_CHECK(t->fn(t->ctx, "openblas", trim(t->buf)));
  MR_CHECK(t->fn(t->ctx, "openblas_core", openblas_get_corename()));
  bool known = H5get_libversion(&major, &minor, &patch) >= 0;
  (void)snprintf(t->buf, sizeof t->buf, "%u.%u.%u", major, minor, patch);
  MR_CHECK(t->fn(t->ctx, "hdf5", known ? t->buf : "none"));
  MR_CHECK(t->fn(t->ctx, "compiler", MR_BUILD_COMPILER));
  MR_CHECK(t->fn(t->ctx, "flags", MR_BUILD_FLAGS));
  MR_CHECK(t->fn(t->ctx, "git_commit", MR_BUILD_COMMIT));
  MR_CHECK(t->fn(t->ctx, "dirty", MR_BUILD_DIRTY));
  bool named = uname(&os) == 0;
  if (named) (void)snprintf(t->buf, sizeof t->buf, "%s %s %s", os.sysname, os.release, os.machine);
  return t->fn(t->ctx, "kernel", named ? t->buf : "none");
}

mr_status mr_machine_each(const mr_backend *be, mr_fact_fn fn, void *ctx)
{
  teller t = {.fn = fn, .ctx = ctx};
  MR_CHECK(tell_processor(&t, be));
  MR_CHECK(tell_gpu(&t, be));
  MR_CHECK(tell_build(&t));
  return tell_int(&t, "rate_block_bytes", mr_rate_block_bytes(be));
}
