/* plan.c — placement of buffers by live range. SPDX-License-Identifier: MIT
 *
 * Packing intervals into least memory is NP-hard, so several cheap orders are tried and the best is
 * kept; most steps end at the lower bound. First a walk through time, first fit, plain and round a
 * stack of what lives at the peak; then, for few buffers, greedy lowest offset in several orders,
 * improved by moving what stands above the bound to the front. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "plan.h"

enum { GREEDY_MAX = 4000, ROUNDS = 48 };

typedef struct item {
  size_t bytes, offset;
  int32_t first, last, id;
  double key; /* order of placement, larger first */
} item;

static size_t round_up(size_t n)
{
  return (n + MR_PLAN_ALIGN - 1) / MR_PLAN_ALIGN * MR_PLAN_ALIGN;
}

static int by_key(const void *a, const void *b)
{
  const item *x = a, *y = b;
  if (x->key != y->key) return x->key > y->key ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

static int by_first(const void *a, const void *b)
{
  const item *x = a, *y = b;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  if (x->last != y->last) return x->last > y->last ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

/* Those with a key first, then as by_first. */
static int by_stack(const void *a, const void *b)
{
  const item *x = a, *y = b;
  return x->key != y->key ? (x->key > y->key ? -1 : 1) : by_first(a, b);
}

static bool meet(const item *a, const item *b)
{
  return a->first <= b->last && b->first <= a->last;
}

/* Places items in their order, each at the lowest offset free over its life. `low` holds pointers
 * to the placed ones by rising offset. Returns the height reached. */
static size_t greedy(item *it, int64_t n, item **low)
{
  size_t height = 0;
  for (int64_t i = 0; i < n; i++) {
    size_t at = 0;
    for (int64_t j = 0; j < i; j++) {
      const item *p = low[j];
      if (!meet(p, &it[i])) continue;
      if (p->offset >= at + it[i].bytes) break;
      if (p->offset + p->bytes > at) at = p->offset + p->bytes;
    }
    it[i].offset = at;
    if (at + it[i].bytes > height) height = at + it[i].bytes;
    int64_t k = i;
    while (k > 0 && low[k - 1]->offset > at) low[k] = low[k - 1], k--;
    low[k] = &it[i];
  }
  return height;
}

static double key_of(const item *a, int rule)
{
  const double life = (double)a->last - a->first + 1, bytes = (double)a->bytes;
  switch (rule) {
  case 0:
    return bytes;
  case 1:
    return life;
  case 2:
    return bytes * life;
  case 3:
    return -(double)a->first;
  default:
    return (double)a->last;
  }
}

static void keep_best(const item *it, int64_t n, size_t height, mr_buf *buf, size_t *best)
{
  if (height >= *best) return;
  *best = height;
  for (int64_t i = 0; i < n; i++) buf[it[i].id].offset = it[i].offset;
}

static void place_few(item *it, int64_t n, item **low, size_t bound, mr_buf *buf, size_t *best)
{
  for (int rule = 0; rule < 5 && *best > bound; rule++) {
    for (int64_t i = 0; i < n; i++) it[i].key = key_of(&it[i], rule);
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = it[i].key > top ? it[i].key : top;
    for (int round = 0; round<ROUNDS && * best> bound; round++) {
      qsort(it, (size_t)n, sizeof *it, by_key);
      const size_t height = greedy(it, n, low);
      keep_best(it, n, height, buf, best);
      /* What stands above the bound gets an earlier turn. */
      for (int64_t i = 0; i < n; i++)
        if (it[i].offset + it[i].bytes > bound) it[i].key = top + 1 + round;
    }
  }
}

typedef struct gap {
  size_t from, to;
} gap;

/* Gives [from, to) back to the sorted list of gaps, joining neighbours. */
static void give_back(gap *g, int64_t *n, size_t from, size_t to)
{
  int64_t lo = 0, hi = *n;
  while (lo < hi) {
    const int64_t mid = (lo + hi) / 2;
    if (g[mid].from < from)
      lo = mid + 1;
    else
      hi = mid;
  }
  const bool left = lo > 0 && g[lo - 1].to == from, right = lo < *n && g[lo].from == to;
  if (left && right) {
    g[lo - 1].to = g[lo].to;
    memmove(&g[lo], &g[lo + 1], (size_t)(*n - lo - 1) * sizeof *g);
    --*n;
  } else if (left) {
    g[lo - 1].to = to;
  } else if (right) {
    g[lo].from = from;
  } else {
    memmove(&g[lo + 1], &g[lo], (size_t)(*n - lo) * sizeof *g);
    g[lo].from = from, g[lo].to = to;
    ++*n;
  }
}

/* Takes [at, at + bytes) out of gap i, which holds it. */
static void carve(gap *g, int64_t *n, int64_t i, size_t at, size_t bytes)
{
  const gap above = {at + bytes, g[i].to};
  const bool below = at > g[i].from, rest = above.from < above.to;
  g[i].to = at;
  if (below && rest) {
    memmove(&g[i + 2], &g[i + 1], (size_t)(*n - i - 1) * sizeof *g);
    g[i + 1] = above;
    ++*n;
  } else if (rest) {
    g[i] = above;
  } else if (!below) {
    memmove(&g[i], &g[i + 1], (size_t)(*n - i - 1) * sizeof *g);
    --*n;
  }
}

/* The lowest free place that stays clear of the n_later fixed items still to come in the item's
 * life, which stand by rising offset. */
static size_t take_first_fit(gap *g, int64_t *n, size_t bytes, const item *later, int64_t n_later)
{
  for (int64_t i = 0;; i++) { /* the last gap is endless */
    size_t at = g[i].from;
    for (int64_t k = 0; k < n_later && at <= g[i].to && g[i].to - at >= bytes; k++)
      if (later[k].offset < at + bytes && later[k].offset + later[k].bytes > at)
        at = later[k].offset + later[k].bytes;
    if (at > g[i].to || g[i].to - at < bytes) continue;
    carve(g, n, i, at, bytes);
    return at;
  }
}

static void take_fixed(gap *g, int64_t *n, size_t at, size_t bytes)
{
  int64_t lo = 0, hi = *n - 1;
  while (lo < hi) {
    const int64_t mid = (lo + hi + 1) / 2;
    if (g[mid].from <= at)
      lo = mid;
    else
      hi = mid - 1;
  }
  carve(g, n, lo, at, bytes);
}

/* Item indices leave `heap` in the order of their last use. */
static void sift(int32_t *heap, int64_t n, int64_t i, const item *it)
{
  for (;;) {
    int64_t c = 2 * i + 1;
    if (c >= n) return;
    if (c + 1 < n && it[heap[c + 1]].last < it[heap[c]].last) c++;
    if (it[heap[i]].last <= it[heap[c]].last) return;
    const int32_t x = heap[i];
    heap[i] = heap[c], heap[c] = x;
    i = c;
  }
}

/* An item of the walk dies: its place is free again. */
static void bury(gap *g, int64_t *gaps, int32_t *heap, int64_t *live, const item *it)
{
  const item *dead = &it[heap[0]];
  give_back(g, gaps, dead->offset, dead->offset + dead->bytes);
  heap[0] = heap[--*live];
  sift(heap, *live, 0, it);
}

static void expect(int32_t *heap, int64_t *live, int32_t i, const item *it)
{
  int64_t k = (*live)++;
  heap[k] = i;
  for (; k > 0 && it[heap[k]].last < it[heap[(k - 1) / 2]].last; k = (k - 1) / 2) {
    const int32_t x = heap[k];
    heap[k] = heap[(k - 1) / 2], heap[(k - 1) / 2] = x;
  }
}

/* First fit through time. The first n_fixed items have their places, by rising offset and first
 * use; the others, by first use, fill the space between and above. Room: 2n + 2 gaps, n heap
 * entries. Returns the height reached. */
static size_t walk(item *it, int64_t n_fixed, int64_t n, gap *g, int32_t *heap)
{
  size_t height = 0;
  int64_t gaps = 1, live = 0, f = 0, i = n_fixed;
  g[0].from = 0, g[0].to = SIZE_MAX;
  while (f < n_fixed || i < n) {
    const bool fixed = f < n_fixed && (i == n || it[f].first <= it[i].first);
    const int64_t k = fixed ? f++ : i++;
    while (live > 0 && it[heap[0]].last < it[k].first) bury(g, &gaps, heap, &live, it);
    if (fixed) {
      take_fixed(g, &gaps, it[k].offset, it[k].bytes);
    } else {
      int64_t later = f;
      while (later < n_fixed && it[later].first <= it[k].last) later++;
      it[k].offset = take_first_fit(g, &gaps, it[k].bytes, &it[f], later - f);
    }
    if (it[k].offset + it[k].bytes > height) height = it[k].offset + it[k].bytes;
    expect(heap, &live, (int32_t)k, it);
  }
  return height;
}

/* What lives at the time of the peak goes to the bottom as one stack, oldest lowest, so that at the
 * peak there is no gap; the rest walks around it. */
static size_t walk_round_stack(item *it, int64_t n, int32_t peak, gap *g, int32_t *heap)
{
  size_t height = 0;
  int64_t stack = 0;
  for (int64_t i = 0; i < n; i++) it[i].key = it[i].first <= peak && it[i].last >= peak;
  qsort(it, (size_t)n, sizeof *it, by_stack);
  for (; stack < n && it[stack].key != 0; stack++) {
    it[stack].offset = height;
    height += it[stack].bytes;
  }
  return walk(it, stack, n, g, heap);
}

/* Most bytes live at one time, and when. `change` has room for every time and one more. */
static size_t lower_bound(const item *it, int64_t n, int32_t horizon, int64_t *change,
                          int32_t *peak)
{
  int64_t now = 0, most = 0;
  memset(change, 0, ((size_t)horizon + 2) * sizeof *change);
  for (int64_t i = 0; i < n; i++) {
    change[it[i].first] += (int64_t)it[i].bytes;
    change[it[i].last + 1] -= (int64_t)it[i].bytes;
  }
  for (int32_t t = 0; t <= horizon; t++) {
    now += change[t];
    if (now <= most) continue;
    most = now;
    *peak = t;
  }
  return (size_t)most;
}

/* Copies the buffers that need a place into items and counts them in *m. */
static mr_status collect(mr_buf *buf, int64_t n, item *it, int64_t *m, int32_t *horizon)
{
  size_t sum = 0;
  *m = 0;
  for (int64_t i = 0; i < n; i++) {
    buf[i].offset = 0;
    if (buf[i].first < 0 || buf[i].last < buf[i].first)
      return MR_FAIL(MR_ERR_INTERNAL, "a buffer's last use comes before its first");
    if (buf[i].bytes == 0) continue;
    item *x = &it[(*m)++];
    if (buf[i].bytes > SIZE_MAX / 4 || (sum += round_up(buf[i].bytes)) > SIZE_MAX / 4)
      return MR_FAIL(MR_ERR_NOMEM, "a step of this size needs more bytes than can be counted");
    x->bytes = round_up(buf[i].bytes);
    x->first = buf[i].first, x->last = buf[i].last, x->id = (int32_t)i;
    if (x->last > *horizon) *horizon = x->last;
  }
  return MR_OK;
}

mr_status mr_place(mr_buf *buf, int64_t n, size_t *slab, size_t *bound)
{
  mr_status st = MR_OK;
  void *it = NULL, *low = NULL, *gaps = NULL, *heap = NULL, *times = NULL;
  int32_t horizon = 0, peak = 0;
  *slab = *bound = 0;
  MR_TRY(mr_calloc(&it, (size_t)n, sizeof(item)));
  int64_t m;
  MR_TRY(collect(buf, n, it, &m, &horizon));
  if (m == 0) goto out;
  MR_TRY(mr_calloc(&times, (size_t)horizon + 2, sizeof(int64_t)));
  *bound = lower_bound(it, m, horizon, times, &peak);
  MR_TRY(mr_calloc(&gaps, 2 * (size_t)m + 2, sizeof(gap)));
  MR_TRY(mr_calloc(&heap, (size_t)m, sizeof(int32_t)));
  *slab = SIZE_MAX;
  qsort(it, (size_t)m, sizeof(item), by_first);
  keep_best(it, m, walk(it, 0, m, gaps, heap), buf, slab);
  if (*slab > *bound) keep_best(it, m, walk_round_stack(it, m, peak, gaps, heap), buf, slab);
  if (m <= GREEDY_MAX && *slab > *bound) {
    MR_TRY(mr_calloc(&low, (size_t)m, sizeof(item *)));
    place_few(it, m, low, *bound, buf, slab);
  }
out:
  mr_free(it);
  mr_free(low);
  mr_free(gaps);
  mr_free(heap);
  mr_free(times);
  return st;
}

mr_status mr_place_check(const mr_buf *buf, int64_t n, size_t slab)
{
  for (int64_t i = 0; i < n; i++) {
    if (buf[i].bytes == 0) continue;
    if (buf[i].offset % MR_PLAN_ALIGN != 0 || buf[i].offset + buf[i].bytes > slab)
      return MR_FAIL(MR_ERR_INTERNAL, "buffer %lld at %zu + %zu does not fit a slab of %zu bytes",
                     (long long)i, buf[i].offset, buf[i].bytes, slab);
    for (int64_t j = 0; j < i; j++) {
      if (buf[j].bytes == 0 || buf[i].first > buf[j].last || buf[j].first > buf[i].last) continue;
      if (buf[i].offset < buf[j].offset + buf[j].bytes &&
          buf[j].offset < buf[i].offset + buf[i].bytes)
        return MR_FAIL(MR_ERR_INTERNAL, "buffers %lld and %lld overlap in place and time",
                       (long long)j, (long long)i);
    }
  }
  return MR_OK;
}
