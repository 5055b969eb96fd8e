/* rng.c — draws from Philox blocks. SPDX-License-Identifier: MIT */
#include "rng.h"
#include <math.h>
#include <string.h>
#include "../engine/philox.h"

enum { WORDS = 4 };

void mr_rng_seek(mr_rng *r, uint64_t seed, mr_stream stream, uint64_t index)
{
  *r = (mr_rng){.seed = seed, .index = index, .stream = (uint32_t)stream, .used = WORDS};
}

uint32_t mr_rng_u32(mr_rng *r)
{
  if (r->used == WORDS) {
    philox4x32_ctr_t c =
        mr_philox(r->seed, r->block++, (uint32_t)r->index, (uint32_t)(r->index >> 32), r->stream);
    memcpy(r->word, c.v, sizeof r->word);
    r->used = 0;
  }
  return r->word[r->used++];
}

double mr_rng_uniform(mr_rng *r)
{
  uint64_t high = mr_rng_u32(r) >> 5, low = mr_rng_u32(r) >> 6;
  return (double)(high << 26 | low) * 0x1p-53;
}

/* Box and Muller 1958. The first draw is turned round so that the logarithm never meets 0. */
double mr_rng_normal(mr_rng *r)
{
  const double two_pi = 6.283185307179586;
  double radius = sqrt(-2 * log(1 - mr_rng_uniform(r)));
  return radius * cos(two_pi * mr_rng_uniform(r));
}

/* The upper half of word * n, with the words redrawn that would make some results likelier (Lemire
 * 2019). */
uint32_t mr_rng_below(mr_rng *r, uint32_t n)
{
  uint64_t product = (uint64_t)mr_rng_u32(r) * n;
  if ((uint32_t)product < n) {
    uint32_t surplus = (0u - n) % n;
    while ((uint32_t)product < surplus) product = (uint64_t)mr_rng_u32(r) * n;
  }
  return (uint32_t)(product >> 32);
}

/* Selection sampling: each number is taken with chance (still wanted) / (still to come). n draws. */
static void select_each(mr_rng *r, uint32_t n, uint32_t k, uint32_t *out)
{
  uint32_t taken = 0;
  for (uint32_t i = 0; taken < k; i++)
    if (mr_rng_below(r, n - i) < k - taken) out[taken++] = i;
}

/* Floyd's method: k draws; a number drawn before is replaced by the largest one yet allowed. The
 * list stays sorted by insertion, k^2 / 4 moves. */
static void insert_each(mr_rng *r, uint32_t n, uint32_t k, uint32_t *out)
{
  for (uint32_t taken = 0; taken < k; taken++) {
    uint32_t top = n - k + taken, draw = mr_rng_below(r, top + 1), at = taken;
    while (at > 0 && out[at - 1] > draw) at--;
    if (at > 0 && out[at - 1] == draw) {
      out[taken] = top;
      continue;
    }
    memmove(out + at + 1, out + at, (taken - at) * sizeof *out);
    out[at] = draw;
  }
}

void mr_rng_subset(mr_rng *r, uint32_t n, uint32_t k, uint32_t *out)
{
  if ((uint64_t)k * k > n)
    select_each(r, n, k, out);
  else
    insert_each(r, n, k, out);
}
