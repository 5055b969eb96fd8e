/* test_cublaslt.c — products as the device queues them, with a stand-in for cuBLASLt that computes on
 * the host (fake/cublaslt.c): alone and in linear layers. SPDX-License-Identifier: MIT */
/* labels: unit; real: both; device: host */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "mem.h"
#include "rng.h"
#include "testing.h"

enum { F64 = sizeof(mr_real) == 8, N_DRAWN = 4096 };
static char library[1024];
static void *loaded; /* the stand-in; it stays, and with it the count of searches */

static mr_backend *open_device(mr_math math)
{
  mr_backend *be = NULL;
  assert_ok(mr_backend_open(&be, MR_CUDA, 1));
  assert_ok(mr_backend_set_math(be, math));
  return be;
}

/* A matrix in device memory of its own, `skew` reals behind where allocation begins; strides between
 * rows and everything around it hold a number that must stay. */
typedef struct matrix {
  mr_backend *be;
  int64_t rows, cols, ld;
  mr_real *host;
  void *device, *base;
  size_t n, skew;
} matrix;

static const mr_real guard = 123;

static void matrix_open(matrix *m, mr_backend *be, int64_t rows, int64_t cols, int64_t pad,
                        size_t skew, uint64_t seed)
{
  void *p;
  mr_rng r;
  *m = (matrix){be, rows, cols, cols + pad, NULL, NULL, NULL, 0, skew};
  m->n = skew + (size_t)(rows * m->ld) + 4;
  assert_ok(mr_calloc(&p, m->n, sizeof(mr_real)));
  m->host = p;
  for (size_t i = 0; i < m->n; i++) m->host[i] = guard;
  mr_rng_seek(&r, seed, MR_STREAM_CHECK, 0);
  for (int64_t i = 0; i < rows * cols; i++)
    m->host[skew + (size_t)(i / cols * m->ld + i % cols)] = (mr_real)mr_rng_normal(&r);
  assert_ok(be->api->alloc(be, m->n * sizeof(mr_real), &m->base));
  m->device = (char *)m->base + skew * sizeof(mr_real);
}

static mr_real *element(const matrix *m, int64_t i, int64_t j)
{
  return &m->host[m->skew + (size_t)(i * m->ld + j)];
}

static void matrix_send(const matrix *m)
{
  assert_ok(m->be->api->upload(m->be, m->base, m->host, m->n * sizeof(mr_real)));
}

static void matrix_close(matrix *m)
{
  m->be->api->release(m->be, m->base);
  mr_free(m->host);
}

/* What a product reads x as. */
static double rounded(mr_real x, mr_math math)
{
  int e;
  const double bits = math == MR_MATH_TF32 ? 11 : 8, f = frexp((double)x, &e);
  return F64 || math == MR_MATH_F32 ? (double)x
                                    : ldexp(nearbyint(ldexp(f, (int)bits)), e - (int)bits);
}

typedef struct product {
  int64_t m, n, k, pad;
  bool trans_a, trans_b, adds, bias;
  size_t skew, bias_skew;
  mr_math math;
} product;

static double want_at(const product *p, const matrix *a, const matrix *b, int64_t i, int64_t j)
{
  double sum = 0;
  for (int64_t l = 0; l < p->k; l++)
    sum += rounded(p->trans_a ? *element(a, l, i) : *element(a, i, l), p->math) *
           rounded(p->trans_b ? *element(b, j, l) : *element(b, l, j), p->math);
  return sum;
}

static mr_gemm call_of(const product *p, const matrix *a, const matrix *b, const matrix *c,
                       const matrix *bias)
{
  return (mr_gemm){.m = p->m,
                   .n = p->n,
                   .k = p->k,
                   .trans_a = p->trans_a,
                   .trans_b = p->trans_b,
                   .alpha = -0.5,
                   .beta = p->adds,
                   .a = a->device,
                   .lda = a->ld,
                   .b = b->device,
                   .ldb = b->ld,
                   .c = c->device,
                   .ldc = c->ld,
                   .bias = p->bias ? bias->device : NULL};
}

/* Largest difference to plain sums, of the entries and of what lies between and around the rows. */
static double worst_of(const product *p, const matrix *a, const matrix *b, const matrix *bias,
                       const matrix *before, const mr_real *after)
{
  double worst = 0;
  for (size_t at = 0; at < before->n; at++) {
    const int64_t i = ((int64_t)at - (int64_t)before->skew) / before->ld,
                  j = ((int64_t)at - (int64_t)before->skew) % before->ld;
    double want = (double)before->host[at];
    if (at >= before->skew && i < p->m && j < p->n)
      want = -0.5 * want_at(p, a, b, i, j) + (p->adds ? want : 0) +
             (p->bias ? (double)*element(bias, 0, j) : 0);
    const double off = fabs((double)after[at] - want);
    worst = off <= worst ? worst : off; /* NaN stays */
  }
  return worst;
}

static double run_product(mr_backend *be, const product *p)
{
  matrix a, b, c, bias;
  void *after;
  matrix_open(&a, be, p->trans_a ? p->k : p->m, p->trans_a ? p->m : p->k, p->pad, p->skew, 1);
  matrix_open(&b, be, p->trans_b ? p->n : p->k, p->trans_b ? p->k : p->n, 2 * p->pad, p->skew, 2);
  matrix_open(&c, be, p->m, p->n, p->pad, p->skew, 3);
  matrix_open(&bias, be, 1, p->n, 0, p->bias_skew, 4);
  /* What is not added to is not read. */
  for (int64_t i = 0; i < p->m * p->n && !p->adds; i++)
    *element(&c, i / p->n, i % p->n) = (mr_real)NAN;
  matrix_send(&a), matrix_send(&b), matrix_send(&c), matrix_send(&bias);
  const mr_gemm g = call_of(p, &a, &b, &c, &bias);
  assert_ok(be->api->gemm(be, &g));
  assert_ok(mr_calloc(&after, c.n, sizeof(mr_real)));
  assert_ok(be->api->download(be, after, c.base, c.n * sizeof(mr_real)));
  const double worst = worst_of(p, &a, &b, &bias, &c, after);
  mr_free(after);
  matrix_close(&a), matrix_close(&b), matrix_close(&c), matrix_close(&bias);
  return worst;
}

static void expect_right(mr_backend *be, const product *p)
{
  const double worst = run_product(be, p);
  if (!(worst <= (F64 ? 1e-12 : 2e-5)))
    fail_msg("[%d,%d] [%d,%d], transposed %d %d, added %d, bias %d, skew %d, math %d: off by %.3g",
             (int)p->m, (int)p->k, (int)p->k, (int)p->n, p->trans_a, p->trans_b, p->adds, p->bias,
             (int)p->skew, (int)p->math, worst);
}

static const int64_t size[][3] = {{1, 1, 1}, {5, 1, 9},    {1, 6, 4},
                                  {3, 7, 5}, {13, 14, 11}, {16, 8, 33}};
enum { N_SIZES = sizeof size / sizeof *size };

static void products_of_all_shapes_and_kinds_are_plain_sums(void **state)
{
  mr_backend *be = open_device(MR_MATH_F32);
  (void)state;
  for (int s = 0; s < N_SIZES; s++)
    for (int kind = 0; kind < 64; kind++) {
      product p = {size[s][0], size[s][1], size[s][2], kind & 1 ? 3 : 0,
                   kind & 2,   kind & 4,   kind & 8,   kind & 16,
                   kind & 32,  0,          MR_MATH_F32};
      p.skew = kind & 32 ? 1 : 0;
      expect_right(be, &p);
    }
  mr_backend_close(be);
}

static void a_bias_that_is_not_aligned_is_added_too(void **state)
{
  mr_backend *be = open_device(MR_MATH_F32);
  product p = {6, 9, 5, 0, false, true, false, true, 0, 1, MR_MATH_F32};
  (void)state;
  for (p.bias_skew = 0; p.bias_skew < 4; p.bias_skew++) expect_right(be, &p);
  mr_backend_close(be);
}

static void math_says_what_factors_are_rounded_to(void **state)
{
  (void)state;
  for (int math = MR_MATH_F32; math <= MR_MATH_BF16; math++) {
    mr_backend *be = open_device((mr_math)math);
    product p = {6, 9, 65, 0, false, true, true, true, 0, 0, (mr_math)math};
    expect_right(be, &p);
    p.math = math == MR_MATH_F32 ? MR_MATH_TF32 : MR_MATH_F32;
    if (!F64) assert_true(run_product(be, &p) > 1e-4); /* the other one is another sum */
    mr_backend_close(be);
  }
}

/* 75 is such a depth; 7 columns besides have no kernel that adds a bias. */
static void a_product_without_a_kernel_of_its_math_is_computed_in_f32_and_counted(void **state)
{
  (void)state;
  for (int math = MR_MATH_TF32; math <= MR_MATH_BF16; math++) {
    mr_backend *be = open_device((mr_math)math);
    product p = {6, 9, 75, 0, false, true, true, true, 0, 0, MR_MATH_F32};
    for (int again = 0; again < 2; again++) expect_right(be, &p);
    assert_int_equal(be->f32_products, F64 ? 0 : 1);
    p.n = 7;
    expect_right(be, &p);
    assert_int_equal(be->f32_products, F64 ? 0 : 2);
    p.k = 65, p.math = (mr_math)math;
    expect_right(be, &p);
    assert_int_equal(be->f32_products, F64 ? 0 : 2);
    mr_backend_close(be);
  }
}

static int searches(void)
{
  int (*count)(void) = NULL;
  *(void **)&count = dlsym(loaded, "fake_cublaslt_searches");
  assert_non_null(count);
  return count();
}

static void a_shape_is_searched_for_once(void **state)
{
  mr_backend *be = open_device(MR_MATH_F32);
  product p = {6, 9, 5, 0, false, true, false, true, 0, 0, MR_MATH_F32};
  (void)state;
  expect_right(be, &p);
  const int first = searches();
  for (int i = 0; i < 5; i++) expect_right(be, &p); /* each with a bias elsewhere */
  p.adds = true;
  expect_right(be, &p);
  assert_int_equal(searches(), first);
  p.m++;
  expect_right(be, &p);
  assert_int_equal(searches(), first + 1);
  mr_backend_close(be);
}

static void a_product_without_a_kernel_is_one_sentence(void **state)
{
  (void)state;
  for (int64_t k = 77; k <= 78; k++) {
    mr_backend *be = open_device(MR_MATH_F32);
    matrix a, b, c;
    char want[128];
    const product p = {.m = 2, .n = 3, .k = k};
    matrix_open(&a, be, 2, k, 0, 0, 1);
    matrix_open(&b, be, k, 3, 0, 0, 2);
    matrix_open(&c, be, 2, 3, 0, 0, 3);
    const mr_gemm g = call_of(&p, &a, &b, &c, NULL);
    mr_status st = be->api->gemm(be, &g);
    if (st == MR_OK) st = be->api->sync(be);
    (void)snprintf(want, sizeof want, "cuBLASLt has no kernel for a product [2,%d] [%d,3]", (int)k,
                   (int)k);
    assert_fails(st, MR_ERR_CUDA, want);
    matrix_close(&a), matrix_close(&b), matrix_close(&c);
    mr_backend_close(be);
  }
}

static mr_status check_linear(void *ctx, const mr_case *c)
{
  mr_backend *const *be = ctx;
  mr_check_result r;
  if (strcmp(c->op->name, "linear") != 0) return MR_OK;
  assert_ok(mr_check_case(c, be[0], MR_CHECK_FORWARD | MR_CHECK_REPEAT, &r));
  if (r.ok) assert_ok(mr_check_parity(c, be[0], be[1], &r));
  if (!r.ok) fail_msg("%s: %s", c->name, r.text);
  return MR_OK;
}

static void linear_layers_and_their_gradients_go_through_it(void **state)
{
  mr_backend *be[2] = {open_device(MR_MATH_F32), NULL};
  (void)state;
  assert_ok(mr_backend_open(&be[1], MR_CPU, 1));
  const int before = searches();
  assert_ok(mr_cases_each(check_linear, be));
  assert_true(searches() > before);
  mr_backend_close(be[0]);
  mr_backend_close(be[1]);
}

static void a_model_in_other_math_is_nearly_that_in_f32(void **state)
{
  mr_backend *be[2] = {open_device(MR_MATH_F32), NULL};
  mr_check_count n = {0, 0, 0};
  (void)state;
  assert_ok(mr_backend_open(&be[1], MR_CPU, 1));
  assert_ok(mr_check_models("model:mingru:math", be[0], be[1], stdout, &n));
  assert_int_equal(n.run, 2);
  assert_int_equal(n.failed, 0);
  assert_int_equal(be[0]->math, MR_MATH_F32);
  mr_backend_close(be[0]);
  mr_backend_close(be[1]);
}

static void without_the_library_the_sentence_says_how_to_name_it(void **state)
{
  mr_backend *be = NULL;
  (void)state;
  assert_int_equal(setenv("MINRNN_CUBLASLT", "/nowhere/libcublasLt.so", 1), 0);
  assert_fails(mr_backend_open(&be, MR_CUDA, 1), MR_ERR_UNSUPPORTED, "MINRNN_CUBLASLT");
  assert_int_equal(setenv("MINRNN_CUBLASLT", library, 1), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_of_all_shapes_and_kinds_are_plain_sums),
      cmocka_unit_test(a_bias_that_is_not_aligned_is_added_too),
      cmocka_unit_test(math_says_what_factors_are_rounded_to),
      cmocka_unit_test(a_product_without_a_kernel_of_its_math_is_computed_in_f32_and_counted),
      cmocka_unit_test(a_shape_is_searched_for_once),
      cmocka_unit_test(a_product_without_a_kernel_is_one_sentence),
      cmocka_unit_test(a_model_in_other_math_is_nearly_that_in_f32),
      cmocka_unit_test(linear_layers_and_their_gradients_go_through_it),
      cmocka_unit_test(without_the_library_the_sentence_says_how_to_name_it),
  };
  const char *folder = getenv("MINRNN_BUILD_DIR");
  if (folder == NULL) return MR_TEST_SKIPPED;
  (void)snprintf(library, sizeof library, "%s/tests/libfake_cublaslt.so", folder);
  loaded = dlopen(library, RTLD_NOW);
  if (loaded == NULL) return MR_TEST_SKIPPED;
  if (setenv("MINRNN_CUBLASLT", library, 1) != 0) return 1;
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return dlclose(loaded) == 0 ? failed : 1;
}
