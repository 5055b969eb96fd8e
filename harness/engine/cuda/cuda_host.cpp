/* cuda_host.cpp — runs kernels on the host: fibers, their meeting points, and the order they run in.
 * SPDX-License-Identifier: MIT
 *
 * A fiber is a stack on which threads run to their end one after the other; only a thread that waits
 * keeps its fiber. So a kernel without barriers needs one fiber and no switch. */
#include "cuda_host.cuh"
#include "cuda_fiber.cuh"
#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>
dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace
{

constexpr int WARP = 32;
constexpr unsigned MAX_THREADS = 1024, MAX_GRID_YZ = 65535; /* of every device */
constexpr size_t MAX_SHARED = 227 << 10;                    /* of compute capability 9.0 */

enum state { FRESH, READY, AT_BLOCK, AT_WARP, DONE };

struct thread {
  state at;
  mr_fiber *on; /* where it waits or has waited */
  int line;     /* of the meeting point         */
  alignas(16) char slot[2][16];
};

/* Exchanges use two sets of slots in turn: none is written before all have read it. */
struct warp {
  int live, waiting;
  unsigned turn;
  uint32_t arriving, yes;        /* lanes of the meeting under way              */
  uint32_t arrived[2], voted[2]; /* lanes of the last two, by turn modulo 2     */
};

/* The one launch there is at a time, and what is used again by the next. */
struct launch {
  const char *name;
  const std::function<void()> *body;
  std::vector<thread> threads;
  std::vector<warp> warps;
  std::vector<dim3> place; /* of each thread in its block */
  std::vector<int> ready;  /* threads that may run, fresh ones included */
  int live, waiting;       /* threads not ended; those at a barrier     */
  int current, chosen;     /* thread that runs; that shall run next     */
  char *dynamic_shared;
  char wrong[384]; /* what was found wrong; empty: nothing      */

  std::deque<mr_fiber> fibers;
  std::vector<mr_fiber *> idle;
  mr_fiber main, *running;
  uint64_t block, random = 1;
  bool ahead; /* of this block: warps run ahead of each other */
} now;

uint64_t draw()
{
  now.random ^= now.random << 13;
  now.random ^= now.random >> 7;
  now.random ^= now.random << 17;
  return now.random;
}

void run_threads();

/* As many fibers as a block has threads. */
bool make_fibers(unsigned n)
{
  while (now.fibers.size() < n) {
    mr_fiber f;
    if (!mr_fiber_make(&f, run_threads)) return false;
    now.fibers.push_back(f);
    now.idle.push_back(&now.fibers.back());
  }
  return true;
}

/* All fibers start anew, whatever they were doing when a launch failed. */
void reset_fibers()
{
  now.idle.clear();
  for (mr_fiber &f : now.fibers) {
    mr_fiber_reset(&f, run_threads);
    now.idle.push_back(&f);
  }
}

/* ==== Who runs =============================================================================== */

/* Takes a thread that may run; -1: none. In every other block, on average, it is the one that became
 * ready last: a warp then runs to the next barrier before others have moved. */
int pick()
{
  if (now.ready.empty()) return -1;
  const size_t n = now.ready.size();
  const size_t i = now.ahead ? n - 1 : (size_t)((draw() >> 32) * n >> 32);
  const int t = now.ready[i];
  now.ready[i] = now.ready.back();
  now.ready.pop_back();
  return t;
}

/* Goes on with thread t, or with the launcher for -1. Returns when the caller's turn comes. */
void go(int t)
{
  mr_fiber *to = &now.main;
  if (t >= 0 && now.threads[(size_t)t].at == FRESH) {
    to = now.idle.back();
    now.idle.pop_back();
  } else if (t >= 0) {
    to = now.threads[(size_t)t].on;
  }
  now.chosen = t;
  mr_fiber_switch(&now.running, to);
}

void become(int t)
{
  now.current = t;
  now.threads[(size_t)t].at = READY;
  threadIdx = now.place[(size_t)t];
}

thread &self()
{
  return now.threads[(size_t)now.current];
}

/* Gives the turn away until something has made this thread ready. */
void wait(state at, int line)
{
  const int me = now.current;
  self().at = at;
  self().line = line;
  self().on = now.running;
  const int t = now.wrong[0] != '\0' ? -1 : pick();
  if (t != me) go(t);
  become(me);
}

void wrong_place(int a, int b)
{
  snprintf(now.wrong, sizeof now.wrong,
           "thread %d waits at line %d and thread %d at line %d, which is another meeting point", a,
           now.threads[(size_t)a].line, b, now.threads[(size_t)b].line);
}

/* Makes the threads from .. to-1 that wait in state `at` ready. */
void release(int from, int to, state at)
{
  int first = -1;
  for (int t = from; t < to; t++) {
    thread &x = now.threads[(size_t)t];
    if (x.at != at) continue;
    if (first < 0) first = t;
    if (x.line != now.threads[(size_t)first].line) wrong_place(first, t);
    x.at = READY;
    now.ready.push_back(t);
  }
}

int n_threads()
{
  return (int)now.threads.size();
}

/* Another warp is the last to become ready. */
void turn_ready()
{
  const size_t n = now.ready.size(), by = (size_t)((draw() >> 32) * n >> 32) / WARP * WARP;
  std::rotate(now.ready.begin(), now.ready.begin() + (ptrdiff_t)by, now.ready.end());
}

void release_block()
{
  if (now.waiting == 0 || now.waiting < now.live) return;
  now.waiting = 0;
  release(0, n_threads(), AT_BLOCK);
  turn_ready();
}

void release_warp(int w)
{
  warp &x = now.warps[(size_t)w];
  if (x.waiting == 0 || x.waiting < x.live) return;
  x.waiting = 0;
  x.arrived[x.turn % 2] = x.arriving;
  x.voted[x.turn % 2] = x.yes;
  x.arriving = x.yes = 0;
  x.turn++;
  release(w * WARP, w * WARP + WARP < n_threads() ? w * WARP + WARP : n_threads(), AT_WARP);
}

/* The life of a fiber: thread after thread, for ever. */
void run_threads()
{
  mr_fiber_arrive(now.running);
  mr_fiber *own = now.running;
  for (;;) {
    become(now.chosen);
    (*now.body)();
    self().at = DONE;
    now.live--;
    now.warps[(size_t)(now.current / WARP)].live--;
    release_block();
    release_warp(now.current / WARP);
    now.chosen = now.wrong[0] != '\0' ? -1 : pick();
    if (now.chosen >= 0 && now.threads[(size_t)now.chosen].at == FRESH) continue;
    now.idle.push_back(own);
    go(now.chosen);
  }
}

/* All threads that are left wait, and not for each other. */
void tell_stuck()
{
  int n[DONE + 1] = {0}, first[DONE + 1] = {0};
  for (int t = n_threads() - 1; t >= 0; t--) {
    const thread &x = now.threads[(size_t)t];
    n[x.at]++;
    first[x.at] = t;
  }
  const state at = n[AT_BLOCK] > 0 ? AT_BLOCK : AT_WARP;
  const int t = first[at],
            used = snprintf(
                now.wrong, sizeof now.wrong,
                "thread %d waits at the %s of line %d, which %d of %d live threads of its %s reach",
                t, at == AT_BLOCK ? "barrier" : "shuffle or vote", now.threads[(size_t)t].line,
                at == AT_BLOCK ? n[AT_BLOCK] : now.warps[(size_t)(t / WARP)].waiting,
                at == AT_BLOCK ? now.live : now.warps[(size_t)(t / WARP)].live,
                at == AT_BLOCK ? "block" : "warp");
  if (at == AT_BLOCK && n[AT_WARP] > 0)
    snprintf(now.wrong + used, sizeof now.wrong - (size_t)used, "; thread %d waits at line %d",
             first[AT_WARP], now.threads[(size_t)first[AT_WARP]].line);
}

void run_block(unsigned n)
{
  const thread fresh = {};
  const warp empty = {};
  now.threads.assign(n, fresh);
  now.warps.assign((n + WARP - 1) / WARP, empty);
  now.ready.resize(n);
  std::iota(now.ready.begin(), now.ready.end(), 0);
  turn_ready();
  for (int t = 0; t < (int)n; t++) now.warps[(size_t)(t / WARP)].live++;
  now.live = (int)n;
  now.waiting = 0;
  now.block++;
  now.ahead = draw() >> 63 != 0;
  now.running = &now.main;
  go(pick());
  if (now.wrong[0] == '\0' && now.live > 0) tell_stuck();
}

mr_status check_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes)
{
  const uint64_t n = (uint64_t)block.x * block.y * block.z;
  if (n == 0 || n > MAX_THREADS)
    return MR_FAIL(MR_ERR_CUDA, "kernel %s: a block of %u x %u x %u threads; allowed: 1 to %u",
                   name, block.x, block.y, block.z, MAX_THREADS);
  if (grid.x > 0x7fffffffu || grid.y > MAX_GRID_YZ || grid.z > MAX_GRID_YZ)
    return MR_FAIL(MR_ERR_CUDA, "kernel %s: a grid of %u x %u x %u; y and z are at most %u", name,
                   grid.x, grid.y, grid.z, MAX_GRID_YZ);
  if (shared_bytes > MAX_SHARED)
    return MR_FAIL(MR_ERR_CUDA, "kernel %s: %zu bytes of shared memory; allowed: 0 to %zu", name,
                   shared_bytes, MAX_SHARED);
  return MR_OK;
}

} // namespace

/* ==== What kernels call ====================================================================== */

void mr_host_fresh(void *array, size_t bytes, uint64_t *block)
{
  if (*block == now.block) return;
  *block = now.block;
  memset(array, 0xff, bytes);
}

void *mr_host_dynamic_shared()
{
  return now.dynamic_shared;
}

int mr_host_lane()
{
  return now.current % WARP;
}

void mr_host_sync_block(int line)
{
  now.waiting++;
  self().at = AT_BLOCK;
  self().line = line;
  release_block();
  wait(self().at, line);
}

namespace
{
/* Meets the warp; returns which set of slots the meeting used. */
unsigned meet(int line, bool yes)
{
  warp &w = now.warps[(size_t)(now.current / WARP)];
  const unsigned turn = w.turn % 2;
  const uint32_t bit = 1u << (now.current % WARP);
  w.waiting++;
  w.arriving |= bit;
  w.yes |= yes ? bit : 0;
  self().at = AT_WARP;
  self().line = line;
  release_warp(now.current / WARP);
  wait(self().at, line);
  return turn;
}
} // namespace

void mr_host_exchange(int line, void *value, size_t bytes, int from)
{
  const int w = now.current / WARP;
  memcpy(self().slot[now.warps[(size_t)w].turn % 2], value, bytes);
  const unsigned turn = meet(line, true);
  if ((now.warps[(size_t)w].arrived[turn] >> from & 1u) != 0)
    memcpy(value, now.threads[(size_t)(w * WARP + from)].slot[turn], bytes);
  else
    memset(value, 0xff, bytes);
}

unsigned mr_host_vote(int line, bool yes)
{
  const int w = now.current / WARP;
  return now.warps[(size_t)w].voted[meet(line, yes)];
}

/* ==== Launching ============================================================================== */

void mr_host_seed(uint64_t seed)
{
  now.random = seed * 2 + 1;
}

mr_status mr_host_run(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                      const std::function<void()> &body)
{
  MR_CHECK(check_launch(name, grid, block, shared_bytes));
  const unsigned n = block.x * block.y * block.z;
  const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
  if (!make_fibers(n))
    return MR_FAIL(MR_ERR_NOMEM, "kernel %s: no memory for the stacks of %u threads", name, n);
  const std::unique_ptr<char[]> shared(new char[shared_bytes]); /* exact: overruns show */
  now.name = name;
  now.body = &body;
  now.dynamic_shared = shared.get();
  now.wrong[0] = '\0';
  gridDim = grid;
  blockDim = block;
  now.place.resize(n);
  for (unsigned t = 0; t < n; t++)
    now.place[t] = dim3(t % block.x, t / block.x % block.y, t / block.x / block.y);
  /* Every block once, in steps that share no divisor with their number. */
  uint64_t step = 1 + draw() % blocks, b = draw() % blocks;
  while (std::gcd(step, blocks) != 1) step++;
  for (uint64_t i = 0; i < blocks; i++, b = (b + step) % blocks) {
    blockIdx = dim3((unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                    (unsigned)(b / grid.x / grid.y));
    if (shared_bytes > 0) memset(now.dynamic_shared, 0xff, shared_bytes);
    run_block(n);
    if (now.wrong[0] == '\0') continue;
    reset_fibers();
    return MR_FAIL(MR_ERR_CUDA, "kernel %s, block (%u,%u,%u): %s", name, blockIdx.x, blockIdx.y,
                   blockIdx.z, now.wrong);
  }
  return MR_OK;
}
