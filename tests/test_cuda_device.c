/* test_cuda_device.c — the real device's own code (staging, order of work, captured graphs, errors, what
 * is left behind) over a stand-in for CUDA's run time that does work as late as it may (fake/cudart.c).
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: float; device: runtime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend_cuda.h"
#include "fake/cudart.h"
#include "mem.h"
#include "testing.h"

static mr_backend *be;

static int open_device(void **state)
{
  (void)state;
  fake_cudart = (struct fake_cudart){.memory = (size_t)1 << 30};
  assert_ok(mr_cuda_open(&be));
  return 0;
}

static int close_device(void **state)
{
  (void)state;
  be->api->close(be);
  assert_int_equal(fake_cudart_alive(), 0);
  return 0;
}

static void *device(size_t bytes)
{
  void *p = NULL;
  assert_ok(be->api->alloc(be, bytes, &p));
  return p;
}

static void *host(size_t bytes)
{
  void *p = NULL;
  assert_ok(mr_calloc(&p, bytes, 1));
  return p;
}

static uint32_t drawn = 1;

static uint32_t draw(uint32_t below)
{
  drawn = drawn * 1664525U + 1013904223U;
  return (drawn >> 8) % below;
}

/* ---- Staging -------------------------------------------------------------------------------- */

enum { UPLOADS = 400, MOST = 1 << 20, LARGE = 12 << 20 };

/* All sizes, most of them small, some of which must be cut; the host's copy is gone right after. */
static void uploads_arrive_though_the_device_lags_and_the_host_goes_on(void **state)
{
  const size_t all = (size_t)UPLOADS * MOST / 8 + 8 * (size_t)LARGE;
  char *to = device(all), *want = host(all), *got = host(all), *source = host(LARGE);
  size_t used = 0;
  (void)state;
  for (int i = 0; i < UPLOADS; i++) {
    size_t n = i % 200 >= 196 ? LARGE - draw(1000) : i % 16 == 15 ? draw(MOST) : draw(3000);
    if (n > all - used) n = all - used;
    memset(source, i % 251, n);
    if (n > 2) source[n / 2] = 77;
    memcpy(want + used, source, n);
    assert_ok(be->api->upload(be, to + used, source, n));
    memset(source, 0xee, n);
    used += n;
  }
  assert_true(used > (size_t)64 << 20); /* the ring went round a few times */
  assert_ok(be->api->download(be, got, to, used));
  assert_memory_equal(got, want, used);
  be->api->release(be, to);
  mr_free(want);
  mr_free(got);
  mr_free(source);
}

static void small_uploads_do_not_wait(void **state)
{
  char *to = device(4096);
  const char one = 1;
  (void)state;
  for (int i = 0; i < 30; i++) assert_ok(be->api->upload(be, to + i, &one, 1));
  assert_int_equal(fake_cudart_pending(), 60); /* a copy and its event each */
  assert_ok(be->api->sync(be));
  assert_int_equal(fake_cudart_pending(), 0);
  be->api->release(be, to);
}

/* ---- Order ---------------------------------------------------------------------------------- */

static void copies_and_fills_are_done_in_order_and_row_by_row(void **state)
{
  char *p = device(64), got[64];
  (void)state;
  assert_ok(be->api->fill(be, p, 1, 64));
  assert_ok(be->api->fill(be, p, 2, 8));
  assert_ok(be->api->copy(be, p + 8, p, 8));
  assert_ok(be->api->copy_rows(be, p + 32, 8, p + 4, 8, 3, 3));
  assert_ok(be->api->copy(be, p, p, 0));
  assert_ok(be->api->fill(be, p, 0, 0));
  assert_ok(be->api->copy_rows(be, p, 8, p, 8, 0, 3));
  assert_ok(be->api->download(be, got, p, 64));
  for (int i = 0; i < 64; i++) {
    const int row = (i - 32) / 8, in_row = i >= 32 && row < 3 && (i - 32) % 8 < 3;
    const int from = 4 + 8 * row + (i - 32) % 8;
    assert_int_equal(got[i], in_row ? (from < 16 ? 2 : 1) : i < 16 ? 2 : 1);
  }
  be->api->release(be, p);
}

static void marks_tell_the_time_between_them(void **state)
{
  char *p = device(64);
  double ns = 0;
  (void)state;
  assert_ok(be->api->mark(be, 0));
  for (int i = 0; i < 5; i++) assert_ok(be->api->fill(be, p, 1, 64));
  assert_ok(be->api->mark(be, 15));
  assert_ok(be->api->elapsed(be, 0, 15, &ns));
  assert_true(ns == 6e6); /* the stand-in takes a millisecond for each */
  assert_fails(be->api->mark(be, 16), MR_ERR_ARG, "0 to 15");
  be->api->release(be, p);
}

/* ---- Graphs --------------------------------------------------------------------------------- */

static void captured_work_is_done_when_launched_and_as_often(void **state)
{
  unsigned char *p = device(8), got[8];
  mr_graph *g = NULL;
  (void)state;
  assert_ok(be->api->fill(be, p, 0, 8));
  assert_ok(be->api->capture_begin(be));
  assert_ok(be->api->copy(be, p + 1, p, 7)); /* memmove: a shift by one */
  assert_ok(be->api->fill(be, p, 9, 1));
  assert_ok(be->api->capture_end(be, &g));
  assert_ok(be->api->download(be, got, p, 8));
  assert_int_equal(got[0], 0);
  for (int i = 0; i < 3; i++) assert_ok(be->api->launch(be, g));
  assert_ok(be->api->download(be, got, p, 8));
  for (int i = 0; i < 8; i++) assert_int_equal(got[i], i < 3 ? 9 : 0);
  assert_ok(be->api->launch(be, g));
  be->api->free_graph(be, g); /* waits for what is queued */
  be->api->free_graph(be, NULL);
  be->api->release(be, p);
}

static void what_no_graph_can_hold_is_refused_and_harms_no_capture(void **state)
{
  char *p = device(8), byte = 0;
  void *other;
  double ns;
  mr_graph *g = NULL;
  (void)state;
  assert_ok(be->api->capture_begin(be));
  assert_fails(be->api->capture_begin(be), MR_ERR_CUDA, "a second capture");
  assert_fails(be->api->upload(be, p, &byte, 1), MR_ERR_CUDA, "an upload");
  assert_fails(be->api->download(be, &byte, p, 1), MR_ERR_CUDA, "a download");
  assert_fails(be->api->alloc(be, 8, &other), MR_ERR_CUDA, "allocation");
  assert_fails(be->api->sync(be), MR_ERR_CUDA, "waiting");
  assert_fails(be->api->elapsed(be, 0, 1, &ns), MR_ERR_CUDA, "waiting");
  assert_ok(be->api->fill(be, p, 3, 8));
  assert_ok(be->api->capture_end(be, &g));
  assert_ok(be->api->launch(be, g));
  assert_ok(be->api->download(be, &byte, p, 1));
  assert_int_equal(byte, 3);
  be->api->free_graph(be, g);
  be->api->release(be, p);
}

static void a_capture_that_fails_is_told_and_leaves_nothing_behind(void **state)
{
  char *p = device(8), byte = 0;
  mr_graph *g = NULL;
  (void)state;
  assert_ok(be->api->capture_begin(be));
  assert_ok(be->api->fill(be, p, 3, 8));
  fake_cudart.no_graphs = true;
  assert_fails(be->api->capture_end(be, &g), MR_ERR_CUDA, "previous error during capture");
  fake_cudart.no_graphs = false;
  assert_null(g);
  assert_ok(be->api->capture_begin(be));
  assert_ok(be->api->fill(be, p, 3, 8));
  fake_cudart.no_graph_memory = true; /* known only when the graph is sent; nothing of it stays */
  assert_fails(be->api->capture_end(be, &g), MR_ERR_CUDA, "cudaGraphUpload");
  fake_cudart.no_graph_memory = false;
  assert_null(g);
  assert_ok(mr_cuda_launched(be, "that comes next")); /* is not blamed */
  assert_ok(be->api->fill(be, p, 4, 8));
  assert_ok(be->api->download(be, &byte, p, 1));
  assert_int_equal(byte, 4);
  assert_fails(be->api->capture_end(be, &g), MR_ERR_ARG, "no capture was begun");
  be->api->release(be, p);
}

/* ---- Memory and errors ---------------------------------------------------------------------- */

static void memory_is_the_devices_own_count(void **state)
{
  mr_device_mem before, with, after;
  (void)state;
  assert_ok(be->api->mem(be, &before));
  void *p = device(1 << 20);
  assert_ok(be->api->mem(be, &with));
  be->api->release(be, p);
  assert_ok(be->api->mem(be, &after));
  assert_int_equal(be->workspace_bytes, 32 << 20);
  assert_true(before.used_bytes >= be->workspace_bytes);
  assert_int_equal(with.used_bytes - before.used_bytes, 1 << 20);
  assert_int_equal(after.used_bytes, before.used_bytes);
  assert_int_equal(after.peak_bytes, with.used_bytes);
  assert_int_equal(after.total_bytes, 1 << 30);
}

static void memory_that_is_not_there_is_one_sentence_and_no_later_error(void **state)
{
  void *p = NULL;
  (void)state;
  assert_fails(be->api->alloc(be, (size_t)2 << 30, &p), MR_ERR_NOMEM,
               "2147483648 bytes of device memory are wanted");
  assert_ok(mr_cuda_launched(be, "that comes next"));
  assert_fails(mr_cuda_allow_shared(&be, "greedy", 300 << 10), MR_ERR_CUDA, "kernel greedy wants");
  assert_ok(mr_cuda_launched(be, "that comes next"));
  assert_ok(mr_cuda_allow_shared(&be, "modest", 200 << 10));
}

/* ---- Products ------------------------------------------------------------------------------- */

/* The stand-in for cuBLASLt has no kernel with a bias for 7 columns. */
static void a_bias_the_library_cannot_add_is_added_behind_the_product(void **state)
{
  enum { M = 3, N = 7, K = 2 };
  mr_real a[M * K], b[K * N], bias[N], got[M * N];
  (void)state;
  for (int i = 0; i < M * K; i++) a[i] = (mr_real)i;
  for (int i = 0; i < K * N; i++) b[i] = (mr_real)(i % 5);
  for (int i = 0; i < N; i++) bias[i] = (mr_real)(100 * i);
  mr_real *da = device(sizeof a), *db = device(sizeof b), *dc = device(sizeof got),
          *dbias = device(sizeof bias);
  assert_ok(be->api->upload(be, da, a, sizeof a));
  assert_ok(be->api->upload(be, db, b, sizeof b));
  assert_ok(be->api->upload(be, dbias, bias, sizeof bias));
  assert_ok(be->api->sync(be)); /* the other stand-in does its work at once */
  const mr_gemm g = {.m = M,
                     .n = N,
                     .k = K,
                     .alpha = 1,
                     .a = da,
                     .lda = K,
                     .b = db,
                     .ldb = N,
                     .c = dc,
                     .ldc = N,
                     .bias = dbias};
  assert_ok(be->api->gemm(be, &g));
  assert_int_equal(fake_cudart_pending(), 1);
  assert_ok(be->api->download(be, got, dc, sizeof got));
  for (int i = 0; i < M * N; i++) {
    const mr_real want = a[i / N * K] * b[i % N] + a[i / N * K + 1] * b[N + i % N] + bias[i % N];
    assert_true(got[i] == want);
  }
  be->api->release(be, da);
  be->api->release(be, db);
  be->api->release(be, dc);
  be->api->release(be, dbias);
}

/* ---- Machines without ----------------------------------------------------------------------- */

static void a_machine_that_lacks_something_is_told_what(void **state)
{
  mr_backend *none = NULL;
  (void)state;
  fake_cudart = (struct fake_cudart){.no_driver = true};
  assert_fails(mr_cuda_open(&none), MR_ERR_UNSUPPORTED, "no NVIDIA driver");
  fake_cudart = (struct fake_cudart){.no_device = true};
  assert_fails(mr_cuda_open(&none), MR_ERR_UNSUPPORTED, "no CUDA-capable device");
  fake_cudart = (struct fake_cudart){.no_kernels = true};
  assert_fails(mr_cuda_open(&none), MR_ERR_UNSUPPORTED, "compute capability 9.0");
  fake_cudart = (struct fake_cudart){.memory = 1 << 20};
  assert_fails(mr_cuda_open(&none), MR_ERR_CUDA, "out of memory");
  assert_null(none);
  assert_int_equal(fake_cudart_alive(), 0);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, open_device, close_device)

int main(void)
{
  const struct CMUnitTest tests[] = {
      WITH_DEVICE(uploads_arrive_though_the_device_lags_and_the_host_goes_on),
      WITH_DEVICE(small_uploads_do_not_wait),
      WITH_DEVICE(copies_and_fills_are_done_in_order_and_row_by_row),
      WITH_DEVICE(marks_tell_the_time_between_them),
      WITH_DEVICE(captured_work_is_done_when_launched_and_as_often),
      WITH_DEVICE(what_no_graph_can_hold_is_refused_and_harms_no_capture),
      WITH_DEVICE(a_capture_that_fails_is_told_and_leaves_nothing_behind),
      WITH_DEVICE(memory_is_the_devices_own_count),
      WITH_DEVICE(memory_that_is_not_there_is_one_sentence_and_no_later_error),
      WITH_DEVICE(a_bias_the_library_cannot_add_is_added_behind_the_product),
      cmocka_unit_test(a_machine_that_lacks_something_is_told_what),
  };
  char path[1024];
  const char *folder = getenv("MINRNN_BUILD_DIR");
  if (folder == NULL) return MR_TEST_SKIPPED;
  (void)snprintf(path, sizeof path, "%s/tests/libfake_cublaslt.so", folder);
  if (setenv("MINRNN_CUBLASLT", path, 1) != 0) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
