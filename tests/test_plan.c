/* test_plan.c — the planner is safe, tight and repeatable. SPDX-License-Identifier: MIT */
/* labels: unit */
#include <stdlib.h>
#include <stdlib.h>
#include <string.h>
#include "testing.h"
#include "mem.h"
#include "plan.h"
#include "rng.h"

/* Fills n buffers with random sizes and lives over `horizon` times, deterministic in `seed`. */
static void draw(mr_buf *b, int64_t n, int32_t horizon, uint32_t most_bytes, uint64_t seed)
{
  mr_rng r;
  mr_rng_seek(&r, seed, MR_STREAM_CHECK, 0);
  memset(b, 0, (size_t)n * sizeof *b);
  for (int64_t i = 0; i < n; i++) {
    b[i].bytes = mr_rng_below(&r, most_bytes);
    b[i].first = (int32_t)mr_rng_below(&r, (uint32_t)horizon);
    b[i].last = b[i].first + (int32_t)mr_rng_below(&r, (uint32_t)(horizon - b[i].first));
  }
}

/* The lives of a network's step: value i from i to 2N-1-i, gradients two steps long, scratch one. */
static int64_t draw_step(mr_buf *b, int32_t nodes, uint64_t seed)
{
  mr_rng r;
  int64_t n = 0;
  mr_rng_seek(&r, seed, MR_STREAM_CHECK, 1);
  memset(b, 0, 3 * (size_t)nodes * sizeof *b);
  for (int32_t i = 0; i < nodes; i++) {
    int32_t back = 2 * nodes - 1 - i;
    bool saved = mr_rng_below(&r, 3) > 0;
    b[n].bytes = 1 + mr_rng_below(&r, 100000), b[n].first = i;
    b[n++].last = saved ? back : i + 1;
    b[n].bytes = 1 + mr_rng_below(&r, 100000), b[n].first = back;
    b[n++].last = i > 0 ? back + 1 : back;
    b[n].bytes = mr_rng_below(&r, 50000), b[n].first = b[n].last = back;
    n++;
  }
  return n;
}

static void check(mr_buf *b, int64_t n, size_t *slab, size_t *bound)
{
  assert_int_equal(mr_place(b, n, slab, bound), MR_OK);
  assert_true(*slab >= *bound);
  assert_int_equal(mr_place_check(b, n, *slab), MR_OK);
}

/* Most rounded-up bytes alive at one time, by asking at every time. */
static size_t slow_bound(const mr_buf *b, int64_t n, int32_t horizon)
{
  size_t most = 0;
  for (int32_t t = 0; t < horizon; t++) {
    size_t now = 0;
    for (int64_t i = 0; i < n; i++)
      if (b[i].first <= t && t <= b[i].last)
        now += (b[i].bytes + MR_PLAN_ALIGN - 1) / MR_PLAN_ALIGN * MR_PLAN_ALIGN;
    most = now > most ? now : most;
  }
  return most;
}

static void random_buffers_never_overlap_and_the_bound_is_right(void **state)
{
  enum { N = 300 };
  static mr_buf b[N];
  (void)state;
  for (uint64_t seed = 0; seed < 40; seed++) {
    size_t slab, bound;
    int32_t horizon = seed % 2 ? 40 : 1000;
    draw(b, N, horizon, seed % 3 ? 70000 : 600, seed);
    check(b, N, &slab, &bound);
    assert_int_equal(bound, slow_bound(b, N, horizon));
    for (int i = 0; i < N; i++) assert_int_equal(b[i].offset % MR_PLAN_ALIGN, 0);
  }
}

static void buffers_of_one_size_reach_the_bound(void **state)
{
  enum { N = 500 };
  static mr_buf b[N];
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    size_t slab, bound;
    draw(b, N, 200, 2, seed);
    for (int i = 0; i < N; i++) b[i].bytes = 1000;
    check(b, N, &slab, &bound);
    assert_int_equal(slab, bound);
  }
}

static void steps_of_a_network_stay_near_the_bound(void **state)
{
  enum { NODES = 60 };
  static mr_buf b[3 * NODES];
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    size_t slab, bound;
    int64_t n = draw_step(b, NODES, seed);
    check(b, n, &slab, &bound);
    assert_true((double)slab <= 1.02 * (double)bound);
  }
}

static void no_buffers_and_empty_buffers_need_no_slab(void **state)
{
  mr_buf b[3];
  size_t slab = 1, bound = 1;
  (void)state;
  assert_int_equal(mr_place(NULL, 0, &slab, &bound), MR_OK);
  assert_int_equal(slab, 0);
  assert_int_equal(bound, 0);
  memset(b, 0, sizeof b);
  check(b, 3, &slab, &bound);
  assert_int_equal(slab, 0);
  assert_int_equal(bound, 0);
}

static void one_byte_takes_one_aligned_place(void **state)
{
  mr_buf b = {1, 3, 3, 77};
  size_t slab, bound;
  (void)state;
  check(&b, 1, &slab, &bound);
  assert_int_equal(b.offset, 0);
  assert_int_equal(bound, MR_PLAN_ALIGN);
  assert_int_equal(slab, MR_PLAN_ALIGN);
}

static void placement_is_repeatable(void **state)
{
  enum { N = 400 };
  static mr_buf a[N], b[N];
  size_t slab_a, slab_b, bound;
  (void)state;
  draw(a, N, 100, 5000, 3);
  draw(b, N, 100, 5000, 3);
  check(a, N, &slab_a, &bound);
  check(b, N, &slab_b, &bound);
  assert_int_equal(slab_a, slab_b);
  for (int i = 0; i < N; i++) assert_int_equal(a[i].offset, b[i].offset);
}

static int by_first(const void *a, const void *b)
{
  const mr_buf *x = a, *y = b;
  return (x->first > y->first) - (x->first < y->first);
}

/* Too many for the quadratic proof: a walk through time, with the live ones at hand. */
static void two_hundred_thousand_buffers_are_placed(void **state)
{
  enum { N = 200000, HORIZON = 100000, LIFE = 40 };
  void *p = NULL, *q = NULL;
  size_t slab, bound;
  (void)state;
  assert_int_equal(mr_calloc(&p, N, sizeof(mr_buf)), MR_OK);
  assert_int_equal(mr_calloc(&q, N, sizeof(mr_buf)), MR_OK);
  mr_buf *b = p, *live = q;
  draw(b, N, HORIZON, 4096, 5);
  for (int64_t i = 0; i < N; i++)
    if (b[i].last - b[i].first > LIFE) b[i].last = b[i].first + LIFE;
  assert_int_equal(mr_place(b, N, &slab, &bound), MR_OK);
  assert_true(slab >= bound && slab < 2 * bound);
  qsort(b, N, sizeof *b, by_first);
  int64_t n_live = 0;
  for (int64_t i = 0; i < N; i++) {
    int64_t kept = 0;
    assert_true(b[i].offset + b[i].bytes <= slab);
    for (int64_t j = 0; j < n_live; j++) {
      if (live[j].last < b[i].first) continue;
      live[kept++] = live[j];
      assert_true(b[i].bytes == 0 || live[j].bytes == 0 ||
                  live[j].offset + live[j].bytes <= b[i].offset ||
                  b[i].offset + b[i].bytes <= live[j].offset);
    }
    n_live = kept;
    live[n_live++] = b[i];
  }
  mr_free(p);
  mr_free(q);
}

static void the_check_names_overlapping_and_stray_buffers(void **state)
{
  mr_buf b[2] = {{300, 0, 5, 0}, {300, 5, 9, 256}};
  (void)state;
  assert_int_equal(mr_place_check(b, 2, 1024), MR_ERR_INTERNAL);
  assert_non_null(strstr(mr_error_message(), "0 and 1"));
  b[1].offset = 512;
  assert_int_equal(mr_place_check(b, 2, 1024), MR_OK);
  assert_int_equal(mr_place_check(b, 2, 768), MR_ERR_INTERNAL);
  b[1].offset = 513;
  assert_int_equal(mr_place_check(b, 2, 1024), MR_ERR_INTERNAL);
  b[1].offset = 0, b[1].first = 6;
  assert_int_equal(mr_place_check(b, 2, 512), MR_OK);
}

static void a_life_that_ends_before_it_starts_is_refused(void **state)
{
  mr_buf b = {8, 4, 3, 0};
  size_t slab, bound;
  (void)state;
  assert_int_equal(mr_place(&b, 1, &slab, &bound), MR_ERR_INTERNAL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_buffers_never_overlap_and_the_bound_is_right),
      cmocka_unit_test(buffers_of_one_size_reach_the_bound),
      cmocka_unit_test(steps_of_a_network_stay_near_the_bound),
      cmocka_unit_test(no_buffers_and_empty_buffers_need_no_slab),
      cmocka_unit_test(one_byte_takes_one_aligned_place),
      cmocka_unit_test(placement_is_repeatable),
      cmocka_unit_test(two_hundred_thousand_buffers_are_placed),
      cmocka_unit_test(the_check_names_overlapping_and_stray_buffers),
      cmocka_unit_test(a_life_that_ends_before_it_starts_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
