/* testing.h — what every test includes first: cmocka with the headers it wants, and comparisons that
 * say where and by how much. SPDX-License-Identifier: MIT */
#ifndef MR_TESTING_H
#define MR_TESTING_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "shape.h"

/* Exit status that CTest shows as "skipped". */
enum { MR_TEST_SKIPPED = 77 };

/* got[i] == want[i] within atol + rtol * |want[i]| for all n reals; fails at NaN on one side only.
 * On failure prints how many are off and the worst of them. The _double one compares doubles in
 * either build. */
#define assert_close(got, want, n, rtol, atol)                                                     \
  mr_assert_close((got), (want), (n), (rtol), (atol), #got, __FILE__, __LINE__)
#define assert_close_double(got, want, n, rtol, atol)                                              \
  mr_assert_close_double((got), (want), (n), (rtol), (atol), #got, __FILE__, __LINE__)

/* The call returns MR_OK; otherwise prints the error trail. */
#define assert_ok(expr) mr_assert_ok((expr), #expr, __FILE__, __LINE__)
/* The call returns `status`, and its sentence holds `word` (NULL: any sentence). */
#define assert_fails(expr, status, word)                                                           \
  mr_assert_fails((expr), (status), (word), #expr, __FILE__, __LINE__)
/* `text` holds `word`. */
#define assert_holds(text, word) mr_assert_holds((text), (word), __FILE__, __LINE__)

void mr_assert_close(const mr_real *got, const mr_real *want, int64_t n, double rtol, double atol,
                     const char *what, const char *file, int line);
void mr_assert_close_double(const double *got, const double *want, int64_t n, double rtol,
                            double atol, const char *what, const char *file, int line);
void mr_assert_ok(mr_status st, const char *what, const char *file, int line);
void mr_assert_fails(mr_status st, mr_status status, const char *word, const char *what,
                     const char *file, int line);
void mr_assert_holds(const char *text, const char *word, const char *file, int line);

/* A new empty folder for files of this test; its path ends without a slash. Removed with all its
 * content by mr_test_folder_remove. */
const char *mr_test_folder(void);
void mr_test_folder_remove(void);
/* Writes n bytes to <folder>/<name> and returns the path, valid until the next call. */
const char *mr_test_file(const char *name, const void *bytes, size_t n);
#endif
