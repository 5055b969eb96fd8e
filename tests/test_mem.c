/* test_mem.c — host allocation is counted, aligned, starvable; shapes count without overflow.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "testing.h"
#include <string.h>
#include "mem.h"

static void calloc_gives_zeros_and_regrow_keeps_them(void **state)
{
  (void)state;
  void *p = NULL;
  assert_ok(mr_calloc(&p, 100, sizeof(int32_t)));
  int32_t *x = p;
  for (int i = 0; i < 100; i++) assert_int_equal(x[i], 0);
  for (int i = 0; i < 100; i++) x[i] = i;
  assert_ok(mr_regrow(&p, 10000, sizeof(int32_t)));
  x = p;
  for (int i = 0; i < 100; i++) assert_int_equal(x[i], i);
  x[9999] = 1;
  mr_free(p);
}

static void regrow_starts_from_null_and_strdup_copies(void **state)
{
  (void)state;
  void *p = NULL;
  char *s = NULL, text[] = "first";
  assert_ok(mr_regrow(&p, 3, 8));
  memset(p, 1, 24);
  assert_ok(mr_strdup(&s, text));
  text[0] = 'F';
  assert_string_equal(s, "first");
  mr_free(p);
  mr_free(s);
  mr_free(NULL);
}

static void what_is_held_goes_up_and_comes_back(void **state)
{
  const int64_t before = mr_held_bytes();
  void *p = NULL, *q = NULL;
  char *s = NULL;
  (void)state;
  assert_ok(mr_calloc(&p, 1000, 1));
  assert_in_range(mr_held_bytes() - before, 1000, 1100);
  assert_ok(mr_regrow(&p, 100000, 1));
  assert_in_range(mr_held_bytes() - before, 100000, 110000);
  assert_ok(mr_alloc_slab(&q, (5 << 20) + 1));
  assert_in_range(mr_held_bytes() - before, 100000 + (6 << 20), 120000 + (8 << 20));
  assert_ok(mr_strdup(&s, "text"));
  mr_free(p);
  mr_free(q);
  mr_free(s);
  mr_free(NULL);
  assert_int_equal(mr_held_bytes(), before);
}

static void nothing_is_a_valid_block(void **state)
{
  (void)state;
  void *p = NULL, *q = NULL, *r = NULL;
  assert_ok(mr_calloc(&p, 0, 8));
  assert_ok(mr_regrow(&q, 0, 8));
  assert_ok(mr_alloc_slab(&r, 0));
  assert_non_null(p);
  assert_non_null(q);
  assert_non_null(r);
  *(char *)p = 1;
  mr_free(p);
  mr_free(q);
  mr_free(r);
}

static void slabs_are_aligned_small_and_large(void **state)
{
  (void)state;
  static const size_t bytes[] = {1, 255, 257, 100000, (4 << 20) - 1, 4 << 20, (9 << 20) + 5};
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
    void *p = NULL;
    assert_ok(mr_alloc_slab(&p, bytes[i]));
    assert_int_equal((uintptr_t)p % (bytes[i] < 4 << 20 ? 256 : 2 << 20), 0);
    memset(p, 0xff, bytes[i]);
    mr_free(p);
  }
}

static void impossible_sizes_are_refused_with_a_sentence(void **state)
{
  (void)state;
  char small[4] = "abc";
  void *p = small;
  assert_fails(mr_calloc(&p, SIZE_MAX / 2, 3), MR_ERR_NOMEM, "exceed");
  assert_fails(mr_regrow(&p, SIZE_MAX, SIZE_MAX), MR_ERR_NOMEM, "exceed");
  assert_fails(mr_alloc_slab(&p, SIZE_MAX - 1), MR_ERR_NOMEM, "18446744073709551614 bytes");
  assert_fails(mr_calloc(&p, (size_t)1 << 60, 1), MR_ERR_NOMEM, "1152921504606846976 bytes");
  assert_ptr_equal(p, small);
}

static void the_counter_counts_what_was_granted(void **state)
{
  (void)state;
  void *p = NULL, *q = NULL;
  char *s = NULL;
  int64_t before = mr_alloc_count();
  assert_ok(mr_calloc(&p, 1, 1));
  assert_ok(mr_regrow(&p, 100, 1));
  assert_ok(mr_alloc_slab(&q, 10));
  assert_ok(mr_strdup(&s, ""));
  assert_int_equal(mr_alloc_count() - before, 4);
  assert_fails(mr_calloc(&p, SIZE_MAX, 2), MR_ERR_NOMEM, NULL);
  mr_free(p);
  mr_free(q);
  mr_free(s);
  assert_int_equal(mr_alloc_count() - before, 4);
}

static mr_status four(void **p)
{
  char *s = NULL;
  MR_CHECK(mr_calloc(&p[0], 1, 1));
  MR_CHECK(mr_alloc_slab(&p[1], 1));
  MR_CHECK(mr_regrow(&p[2], 1, 1));
  MR_CHECK(mr_strdup(&s, "x"));
  p[3] = s;
  return MR_OK;
}

static void the_chosen_allocation_fails_once(void **state)
{
  (void)state;
  for (int n = 0; n <= 5; n++) {
    void *p[4] = {0};
    mr_alloc_fail_at(n);
    mr_status st = four(p);
    assert_int_equal(st, n >= 1 && n <= 4 ? MR_ERR_NOMEM : MR_OK);
    for (int i = 0; i < 4; i++) {
      if (n > 0) assert_int_equal(p[i] != NULL, i < n - 1 || n == 5);
      mr_free(p[i]);
    }
    mr_alloc_fail_at(0);
    void *again = NULL;
    assert_ok(mr_calloc(&again, 1, 1));
    mr_free(again);
  }
}

static void a_failed_regrow_keeps_the_block(void **state)
{
  (void)state;
  void *p = NULL;
  assert_ok(mr_calloc(&p, 4, 1));
  memcpy(p, "abc", 4);
  mr_alloc_fail_at(1);
  assert_fails(mr_regrow(&p, 1000, 1), MR_ERR_NOMEM, "1000 bytes");
  assert_string_equal((char *)p, "abc");
  mr_free(p);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static void shapes_count_elements_rows_and_bytes(void **state)
{
  (void)state;
  mr_shape s0 = mr_shape0(), s1 = mr_shape1(5), s2 = mr_shape2(3, 7), s3 = mr_shape3(2, 3, 4);
  assert_int_equal(mr_count(&s0), 1);
  assert_int_equal(mr_count(&s1), 5);
  assert_int_equal(mr_count(&s2), 21);
  assert_int_equal(mr_count(&s3), 24);
  assert_int_equal(mr_rows(&s0), 1);
  assert_int_equal(mr_rows(&s1), 1);
  assert_int_equal(mr_rows(&s3), 6);
  assert_int_equal(mr_cols(&s0), 1);
  assert_int_equal(mr_cols(&s3), 4);
  assert_int_equal(mr_bytes(&s3, MR_REAL), 24 * sizeof(mr_real));
  assert_int_equal(mr_bytes(&s3, MR_I32), 96);
}

static void sizes_past_64_bits_stay_at_the_largest(void **state)
{
  (void)state;
  const int64_t big = (int64_t)1 << 40;
  mr_shape s = mr_shape3(big, big, big), none = mr_shape3(big, big, 0),
           edge = mr_shape2(big, 1 << 22);
  assert_true(mr_count(&s) == INT64_MAX);
  assert_true(mr_bytes(&s, MR_REAL) == (size_t)INT64_MAX);
  assert_int_equal(mr_count(&none), 0);
  assert_true(mr_count(&edge) == (int64_t)1 << 62);
  assert_true(mr_bytes(&edge, MR_REAL) == (size_t)INT64_MAX);
}

static void shapes_are_equal_by_rank_and_dimensions_in_use(void **state)
{
  (void)state;
  mr_shape a = mr_shape2(3, 4), b = mr_shape2(3, 4), c = mr_shape2(4, 3), d = mr_shape3(3, 4, 1);
  b.dim[3] = 99;
  assert_true(mr_shape_eq(&a, &b));
  assert_false(mr_shape_eq(&a, &c));
  assert_false(mr_shape_eq(&a, &d));
}

static void shapes_have_a_text_that_is_always_ended(void **state)
{
  (void)state;
  char buf[80], tiny[6];
  mr_shape s0 = mr_shape0(), s1 = mr_shape1(5), s3 = mr_shape3(64, 512, 256);
  assert_string_equal(mr_shape_text(&s0, buf, sizeof buf), "[]");
  assert_string_equal(mr_shape_text(&s1, buf, sizeof buf), "[5]");
  assert_string_equal(mr_shape_text(&s3, buf, sizeof buf), "[64,512,256]");
  assert_string_equal(mr_shape_text(&s3, tiny, sizeof tiny), "[64,5");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(calloc_gives_zeros_and_regrow_keeps_them),
      cmocka_unit_test(regrow_starts_from_null_and_strdup_copies),
      cmocka_unit_test(what_is_held_goes_up_and_comes_back),
      cmocka_unit_test(nothing_is_a_valid_block),
      cmocka_unit_test(slabs_are_aligned_small_and_large),
      cmocka_unit_test(impossible_sizes_are_refused_with_a_sentence),
      cmocka_unit_test(the_counter_counts_what_was_granted),
      cmocka_unit_test(the_chosen_allocation_fails_once),
      cmocka_unit_test(a_failed_regrow_keeps_the_block),
      cmocka_unit_test(shapes_count_elements_rows_and_bytes),
      cmocka_unit_test(sizes_past_64_bits_stay_at_the_largest),
      cmocka_unit_test(shapes_are_equal_by_rank_and_dimensions_in_use),
      cmocka_unit_test(shapes_have_a_text_that_is_always_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
