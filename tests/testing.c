/* testing.c — helpers of all tests. SPDX-License-Identifier: MIT */
#include "testing.h"
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Lets tests ask for impossible amounts of memory under the address sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
  return "allocator_may_return_null=1";
}

/* ---- Comparisons ----------------------------------------------------------------------------- */

/* Distance from want in units of the tolerance; over 1 fails. Two NaN agree, and so do equal
 * infinities. */
static double excess(double got, double want, double rtol, double atol)
{
  if (got == want || (isnan(got) && isnan(want))) return 0;
  if (!isfinite(got) || !isfinite(want)) return INFINITY;
  double off = fabs(got - want), allowed = atol + rtol * fabs(want);
  return allowed > 0 ? off / allowed : INFINITY;
}

typedef struct worst {
  int64_t n_off, at;
  double excess, got, want;
} worst;

static void look(worst *w, int64_t i, double got, double want, double rtol, double atol)
{
  double e = excess(got, want, rtol, atol);
  if (e <= 1) return;
  if (w->n_off++ == 0 || e > w->excess) w->at = i, w->excess = e, w->got = got, w->want = want;
}

static void judge(const worst *w, int64_t n, double rtol, double atol, const char *what,
                  const char *file, int line)
{
  if (w->n_off == 0) return;
  print_error("%s: %" PRId64 " of %" PRId64 " are off; worst is [%" PRId64
              "] = %.17g, wanted %.17g (off by %.3g, rtol %g, atol %g)\n",
              what, w->n_off, n, w->at, w->got, w->want, fabs(w->got - w->want), rtol, atol);
  _fail(file, line);
}

void mr_assert_close(const mr_real *got, const mr_real *want, int64_t n, double rtol, double atol,
                     const char *what, const char *file, int line)
{
  worst w = {0};
  for (int64_t i = 0; i < n; i++) look(&w, i, (double)got[i], (double)want[i], rtol, atol);
  judge(&w, n, rtol, atol, what, file, line);
}

void mr_assert_close_double(const double *got, const double *want, int64_t n, double rtol,
                            double atol, const char *what, const char *file, int line)
{
  worst w = {0};
  for (int64_t i = 0; i < n; i++) look(&w, i, got[i], want[i], rtol, atol);
  judge(&w, n, rtol, atol, what, file, line);
}

void mr_assert_ok(mr_status st, const char *what, const char *file, int line)
{
  if (st == MR_OK) return;
  print_error("%s: %s: %s\n", what, mr_status_text(st), mr_error_trail());
  _fail(file, line);
}

void mr_assert_fails(mr_status st, mr_status status, const char *word, const char *what,
                     const char *file, int line)
{
  if (st != status) {
    print_error("%s: status is \"%s\", wanted \"%s\"\n", what, mr_status_text(st),
                mr_status_text(status));
    _fail(file, line);
  }
  if (word) mr_assert_holds(mr_error_message(), word, file, line);
}

void mr_assert_holds(const char *text, const char *word, const char *file, int line)
{
  if (strstr(text, word)) return;
  print_error("\"%s\" does not hold \"%s\"\n", text, word);
  _fail(file, line);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static char folder[256];

const char *mr_test_folder(void)
{
  const char *tmp = getenv("TMPDIR");
  if (folder[0] == '\0') {
    (void)snprintf(folder, sizeof folder, "%s/minrnn-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) folder[0] = '\0';
  }
  assert_true(folder[0] != '\0');
  return folder;
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
  (void)sb, (void)type, (void)ftw;
  return remove(path);
}

void mr_test_folder_remove(void)
{
  if (folder[0] == '\0') return;
  assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
  folder[0] = '\0';
}

const char *mr_test_file(const char *name, const void *bytes, size_t n)
{
  static char path[512];
  (void)snprintf(path, sizeof path, "%s/%s", mr_test_folder(), name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
  return path;
}
