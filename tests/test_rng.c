/* test_rng.c — random numbers are Philox's own, even, repeatable and independent of order.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <math.h>
#include <string.h>
#include "mem.h"
#include "philox.h"
#include "rng.h"

/* Statistics below are of fixed seeds: they either always pass or never. Bounds are five standard
 * deviations, so a sound generator fails one check in a million seeds. */
static const double sigmas = 5;

/* chi^2 of observed counts against equal chances, in standard deviations from its mean. */
static double unevenness(const int64_t *seen, int64_t n_cells, int64_t n)
{
  double want = (double)n / (double)n_cells, chi2 = 0;
  for (int64_t i = 0; i < n_cells; i++)
    chi2 += ((double)seen[i] - want) * ((double)seen[i] - want) / want;
  double freedom = (double)(n_cells - 1);
  return (chi2 - freedom) / sqrt(2 * freedom);
}

static mr_rng at(uint64_t seed, mr_stream stream, uint64_t index)
{
  mr_rng r;
  mr_rng_seek(&r, seed, stream, index);
  return r;
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* Known answers of philox4x32-10, published with Random123. */
static void philox_gives_the_published_words(void **state)
{
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], word[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    uint64_t seed = (uint64_t)known[i].key[1] << 32 | known[i].key[0];
    const uint32_t *c = known[i].counter;
    philox4x32_ctr_t got = mr_philox(seed, c[0], c[1], c[2], c[3]);
    assert_memory_equal(got.v, known[i].word, sizeof got.v);
  }
}

static void a_sequence_is_its_blocks_in_order(void **state)
{
  (void)state;
  const uint64_t seed = 0x123456789abcdef0, index = 0xfedcba9876543210;
  mr_rng r = at(seed, MR_STREAM_TEST, index);
  for (uint32_t block = 0; block < 5; block++) {
    philox4x32_ctr_t want =
        mr_philox(seed, block, (uint32_t)index, (uint32_t)(index >> 32), MR_STREAM_TEST);
    for (int i = 0; i < 4; i++) assert_int_equal(mr_rng_u32(&r), want.v[i]);
  }
}

static void sequences_do_not_depend_on_what_was_drawn_before(void **state)
{
  (void)state;
  uint32_t forth[50], back[50];
  for (uint64_t i = 0; i < 50; i++) {
    mr_rng r = at(3, MR_STREAM_TRAIN, i);
    for (uint64_t k = 0; k < i; k++) (void)mr_rng_u32(&r);
    forth[i] = mr_rng_u32(&r);
  }
  for (uint64_t i = 50; i-- > 0;) {
    mr_rng other = at(4, MR_STREAM_TEST, i), r = at(3, MR_STREAM_TRAIN, i);
    for (uint64_t k = 0; k < i; k++) (void)mr_rng_u32(&r), (void)mr_rng_u32(&other);
    mr_rng copy = r;
    back[i] = mr_rng_u32(&r);
    assert_int_equal(mr_rng_u32(&copy), back[i]);
  }
  assert_memory_equal(forth, back, sizeof forth);
}

static void seed_stream_and_index_each_change_the_sequence(void **state)
{
  (void)state;
  static const uint64_t big = (uint64_t)1 << 40;
  mr_rng r[] = {at(1, MR_STREAM_TRAIN, 1),       at(2, MR_STREAM_TRAIN, 1),
                at(1 + big, MR_STREAM_TRAIN, 1), at(1, MR_STREAM_VALID, 1),
                at(1, MR_STREAM_TRAIN, 2),       at(1, MR_STREAM_TRAIN, 1 + big)};
  enum { N = sizeof r / sizeof *r, WORDS = 1000 };
  static uint32_t word[N][WORDS];
  for (int i = 0; i < N; i++)
    for (int k = 0; k < WORDS; k++) word[i][k] = mr_rng_u32(&r[i]);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < i; j++) {
      int64_t same_bits = 0;
      for (int k = 0; k < WORDS; k++) same_bits += 32 - __builtin_popcount(word[i][k] ^ word[j][k]);
      double off = ((double)same_bits - 16.0 * WORDS) / sqrt(8.0 * WORDS);
      assert_true(fabs(off) < sigmas);
    }
}

/* ---- Distributions ---------------------------------------------------------------------------- */

static void uniform_fills_the_interval_evenly(void **state)
{
  (void)state;
  enum { CELLS = 1000, DRAWS = 1000000 };
  static int64_t seen[CELLS];
  mr_rng r = at(5, MR_STREAM_CHECK, 0);
  double sum = 0, cross = 0, before = 0.5;
  for (int i = 0; i < DRAWS; i++) {
    double u = mr_rng_uniform(&r);
    assert_true(u >= 0 && u < 1);
    seen[(int)(u * CELLS)]++;
    sum += u;
    cross += (u - 0.5) * (before - 0.5);
    before = u;
  }
  assert_true(fabs(unevenness(seen, CELLS, DRAWS)) < sigmas);
  assert_true(fabs(sum / DRAWS - 0.5) < sigmas * sqrt(1.0 / 12 / DRAWS));
  assert_true(fabs(cross / DRAWS) < sigmas / 12 / sqrt(DRAWS));
}

static void uniform_uses_all_53_bits(void **state)
{
  (void)state;
  mr_rng r = at(6, MR_STREAM_CHECK, 0);
  uint64_t any = 0, all = ~(uint64_t)0;
  for (int i = 0; i < 1000; i++) {
    double scaled = mr_rng_uniform(&r) * 0x1p53;
    assert_true(scaled == floor(scaled));
    any |= (uint64_t)scaled;
    all &= (uint64_t)scaled;
  }
  assert_true(any == ((uint64_t)1 << 53) - 1);
  assert_true(all == 0);
}

static void normal_has_the_moments_and_tails_of_a_normal(void **state)
{
  (void)state;
  enum { DRAWS = 1000000 };
  mr_rng r = at(7, MR_STREAM_CHECK, 0);
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, n = DRAWS;
  int64_t beyond_one = 0, beyond_three = 0;
  for (int i = 0; i < DRAWS; i++) {
    double x = mr_rng_normal(&r);
    assert_true(isfinite(x));
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    beyond_one += fabs(x) > 1, beyond_three += fabs(x) > 3;
  }
  assert_true(fabs(m1 / n) < sigmas * sqrt(1 / n));
  assert_true(fabs(m2 / n - 1) < sigmas * sqrt(2 / n));
  assert_true(fabs(m3 / n) < sigmas * sqrt(15 / n));
  assert_true(fabs(m4 / n - 3) < sigmas * sqrt(96 / n));
  const double p1 = 0.31731050786291415, p3 = 0.0026997960632601866;
  assert_true(fabs((double)beyond_one / n - p1) < sigmas * sqrt(p1 * (1 - p1) / n));
  assert_true(fabs((double)beyond_three / n - p3) < sigmas * sqrt(p3 * (1 - p3) / n));
}

static void below_is_even_also_where_words_do_not_divide(void **state)
{
  (void)state;
  static const uint32_t sizes[] = {1, 2, 3, 14, 16, 65, 1000};
  int64_t seen[1000];
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    mr_rng r = at(8, MR_STREAM_CHECK, s);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 200000; i++) {
      uint32_t x = mr_rng_below(&r, sizes[s]);
      assert_true(x < sizes[s]);
      seen[x]++;
    }
    if (sizes[s] > 1) assert_true(fabs(unevenness(seen, sizes[s], 200000)) < sigmas);
  }
  /* Of 3 * 2^30 numbers, taking words without redrawing would make every third twice as likely. */
  const uint32_t n = 3u << 30;
  int64_t third[3] = {0};
  mr_rng r = at(9, MR_STREAM_CHECK, 0);
  for (int i = 0; i < 200000; i++) third[mr_rng_below(&r, n) % 3]++;
  assert_true(fabs(unevenness(third, 3, 200000)) < sigmas);
}

/* ---- Subsets ---------------------------------------------------------------------------------- */

static void subsets_are_sorted_distinct_and_in_range(void **state)
{
  (void)state;
  static const struct {
    uint32_t n, k;
  } c[] = {{0, 0},        {1, 0},          {1, 1},     {5, 5},     {16, 16},   {17, 16},
           {64, 63},      {100, 3},        {4096, 16}, {4096, 64}, {4096, 65}, {4096, 4096},
           {70000, 1024}, {1 << 26, 1024}, {~0u, 3},   {~0u, 0},   {1000, 31}, {1000, 32}};
  static uint32_t out[4096 + 1];
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    mr_rng r = at(10, MR_STREAM_CHECK, i);
    for (int repeat = 0; repeat < 20; repeat++) {
      out[c[i].k] = 12345;
      mr_rng_subset(&r, c[i].n, c[i].k, out);
      assert_int_equal(out[c[i].k], 12345);
      for (uint32_t j = 0; j < c[i].k; j++) {
        assert_true(out[j] < c[i].n);
        if (j > 0) assert_true(out[j] > out[j - 1]);
      }
    }
  }
}

/* Number of the subset of k of n <= 16, as a bit set. */
static uint32_t bits_of(const uint32_t *out, uint32_t k)
{
  uint32_t bits = 0;
  for (uint32_t j = 0; j < k; j++) bits |= 1u << out[j];
  return bits;
}

static void every_subset_is_equally_likely(void **state)
{
  (void)state;
  /* Small k goes through Floyd's method, large k through selection. */
  static const struct {
    uint32_t n, k;
  } c[] = {{6, 2}, {10, 3}, {16, 4}, {6, 3}, {7, 5}, {8, 4}, {5, 5}};
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    static int64_t seen[1 << 16], packed[1 << 16];
    int64_t n_subsets = 0, draws = 300000;
    mr_rng r = at(11, MR_STREAM_CHECK, i);
    memset(seen, 0, sizeof seen);
    for (int64_t d = 0; d < draws; d++) {
      uint32_t out[16];
      mr_rng_subset(&r, c[i].n, c[i].k, out);
      seen[bits_of(out, c[i].k)]++;
    }
    for (uint32_t b = 0; b < 1u << c[i].n; b++)
      if ((uint32_t)__builtin_popcount(b) == c[i].k)
        packed[n_subsets++] = seen[b];
      else
        assert_int_equal(seen[b], 0);
    if (n_subsets > 1) assert_true(fabs(unevenness(packed, n_subsets, draws)) < sigmas);
  }
}

static void positions_of_large_subsets_are_even(void **state)
{
  (void)state;
  static const uint32_t ks[] = {16, 64, 65, 1000};
  enum { N = 4096, CELLS = 64 };
  for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
    int64_t seen[CELLS] = {0}, draws = 0;
    mr_rng r = at(12, MR_STREAM_CHECK, i);
    while (draws < 200000) {
      uint32_t out[1000];
      mr_rng_subset(&r, N, ks[i], out);
      for (uint32_t j = 0; j < ks[i]; j++) seen[out[j] * CELLS / N]++;
      draws += ks[i];
    }
    /* Draws without replacement spread a little better than chance; never worse. */
    assert_true(unevenness(seen, CELLS, draws) < sigmas);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(philox_gives_the_published_words),
      cmocka_unit_test(a_sequence_is_its_blocks_in_order),
      cmocka_unit_test(sequences_do_not_depend_on_what_was_drawn_before),
      cmocka_unit_test(seed_stream_and_index_each_change_the_sequence),
      cmocka_unit_test(uniform_fills_the_interval_evenly),
      cmocka_unit_test(uniform_uses_all_53_bits),
      cmocka_unit_test(normal_has_the_moments_and_tails_of_a_normal),
      cmocka_unit_test(below_is_even_also_where_words_do_not_divide),
      cmocka_unit_test(subsets_are_sorted_distinct_and_in_range),
      cmocka_unit_test(every_subset_is_equally_likely),
      cmocka_unit_test(positions_of_large_subsets_are_even),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
