/* test_sample.c — recurrent mode as one reader, drawing symbols, and text from checkpoints.
 * SPDX-License-Identifier: MIT */
/* labels: unit; real: both */
#include "texts.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "mem.h"
#include "nets.h"
#include "runs.h"
#include "sample.h"
#include "stream.h"

static mr_backend *be;

/* ---- Recurrent mode -------------------------------------------------------------------------- */

enum { B = 2, T = 7, V = 16 };

/* Reads the sequences of `whole` in stretches of the given lengths (ended by 0) and compares what
 * comes last with the last output of the whole. */
static void check_stretches(const net *whole, mr_streamer *s, const int *length)
{
  const double tolerance = sizeof(mr_real) == sizeof(double) ? 1e-10 : 1e-4;
  const int32_t *token = NULL;
  const int64_t T_out = whole->info.T - whole->info.from;
  int32_t part[B * T];
  mr_real got[B * V], want[B * V];
  mr_view in;
  assert_ok(mr_tape_view(whole->tape, whole->n.token, &in));
  token = in.data;
  for (int b = 0; b < B; b++)
    memcpy(want + b * V, net_data(whole->tape, whole->n.y) + ((b + 1) * T_out - 1) * V,
           V * sizeof *want);
  mr_streamer_restart(s);
  for (int from = 0; *length > 0; from += *length++) {
    for (int b = 0; b < B; b++)
      memcpy(part + b * *length, token + b * T + from, (size_t)*length * sizeof *part);
    assert_ok(mr_streamer_read(s, part, NULL, *length));
  }
  assert_ok(mr_streamer_last(s, got));
  assert_close(got, want, B * V, tolerance, tolerance);
}

static void stretches_of(const char *model, const char *words)
{
  static const int way[][8] = {{7}, {3, 4}, {1, 6}, {1, 1, 1, 1, 1, 1, 1}, {2, 5}};
  net n;
  char more[512];
  net_words(more, sizeof more, "%s --dropout=0 --batch=2", words);
  assert_ok(net_ready(&n, be, model, more));
  assert_int_equal(n.info.T, T);
  assert_int_equal(n.info.out_dim, V);
  mr_tape_poison(n.tape, false);
  assert_ok(mr_tape_tick(n.tape, 0, false));
  assert_ok(mr_tape_forward(n.tape));
  for (int64_t chunk = 1; chunk <= 4; chunk++) {
    mr_streamer *s = NULL;
    mr_real y[B * V];
    assert_ok(mr_streamer_open(&s, be, &n.c, n.model, &n.info, B, chunk, NULL));
    assert_fails(mr_streamer_last(s, y), MR_ERR_ARG, "no step was read");
    /* Equal seeds give equal parameters. */
    for (int w = 0; w < 5; w++) check_stretches(&n, s, way[w]);
    mr_streamer_close(s);
  }
  net_close(&n);
}

static void reading_in_stretches_gives_what_the_whole_sequence_gives(void **state)
{
  (void)state;
  net_each_variant(stretches_of);
}

/* Plain stretches of `chunk` steps whose states are handed over whole, from zeros on: outputs of the
 * last of them into y [B,V]. */
static void hand_over_whole(const net *n, const mr_streamer *s, int64_t chunk, int stretches,
                            const int32_t *token, mr_real *y)
{
  mr_state state[2] = {{.n = 0}, {.n = 0}};
  mr_net at;
  mr_tape *t = NULL;
  assert_ok(mr_tape_create(&t, be, 1));
  mr_tape_borrow(t, mr_streamer_params(s));
  mr_build_step(t, &n->c, n->model, &n->info, B, chunk, &at, state);
  assert_ok(mr_tape_plan(t, at.y, false, NULL));
  assert_ok(mr_tape_alloc(t));
  assert_ok(mr_tape_tick(t, 0, false));
  for (int k = 0; k < stretches; k++) {
    for (int l = 0; l < 2; l++)
      for (int i = 0; i < state[l].n; i++) {
        const mr_shape shape = mr_shape_of(t, state[l].in[i]);
        mr_real *in = net_data(t, state[l].in[i]);
        if (k == 0)
          memset(in, 0, mr_bytes(&shape, MR_REAL));
        else
          memmove(in, net_data(t, state[l].out[i]), mr_bytes(&shape, MR_REAL));
      }
    mr_view in;
    assert_ok(mr_tape_view(t, at.token, &in));
    memcpy(in.data, token + (int64_t)k * B * chunk, (size_t)(B * chunk) * sizeof *token);
    assert_ok(mr_tape_forward(t));
  }
  for (int b = 0; b < B; b++)
    memcpy(y + b * V, net_data(t, at.y) + ((b + 1) * chunk - 1) * V, V * sizeof *y);
  mr_tape_destroy(t);
}

static void behind_the_end_of_its_context_attention_sees_the_latest_steps(void **state)
{
  enum { STRETCHES = 9 };
  const double tolerance = sizeof(mr_real) == sizeof(double) ? 1e-10 : 1e-4;
  (void)state;
  for (int64_t chunk = 1; chunk <= 5; chunk++) {
    net n;
    mr_streamer *s = NULL;
    int32_t token[STRETCHES * B * 5];
    mr_real got[B * V], want[B * V];
    for (int i = 0; i < STRETCHES * B * 5; i++) token[i] = (i * 7 + i / 3) % V;
    assert_ok(net_config(&n, be, "transformer", "--transformer.positions=none"));
    assert_int_equal(n.info.T, T);
    assert_ok(mr_streamer_open(&s, be, &n.c, n.model, &n.info, B, chunk, NULL));
    for (int k = 0; k < STRETCHES; k++) {
      assert_ok(mr_streamer_read(s, token + k * B * chunk, NULL, chunk));
      assert_ok(mr_streamer_last(s, got));
      hand_over_whole(&n, s, chunk, k + 1, token, want);
      assert_close(got, want, B * V, tolerance, tolerance);
    }
    mr_streamer_close(s);
    net_close(&n);
  }
}

static void a_rewound_reader_begins_anew(void **state)
{
  static const char *const model[] = {"mingru", "lstm", "transformer", "mamba"};
  int32_t token[B * 6];
  mr_real first[B * V], again[B * V], other[B * V];
  (void)state;
  for (int i = 0; i < B * 6; i++) token[i] = (i * 5) % V;
  for (int m = 0; m < 4; m++) {
    net n;
    mr_streamer *s = NULL;
    assert_ok(net_config(&n, be, model[m], "--conv=3"));
    assert_ok(mr_streamer_open(&s, be, &n.c, n.model, &n.info, B, 4, NULL));
    assert_ok(mr_streamer_read(s, token, NULL, 6));
    assert_ok(mr_streamer_last(s, first));
    mr_streamer_rewind(s);
    assert_ok(mr_streamer_read(s, token + B, NULL, 5));
    assert_ok(mr_streamer_last(s, other));
    mr_streamer_rewind(s);
    assert_ok(mr_streamer_read(s, token, NULL, 6));
    assert_ok(mr_streamer_last(s, again));
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    mr_streamer_close(s);
    net_close(&n);
  }
}

static void a_starved_opening_fails_cleanly(void **state)
{
  (void)state;
  net n;
  assert_ok(net_config(&n, be, "mingru", "--conv=4"));
  mr_status st = MR_ERR_NOMEM;
  for (int64_t i = 1; st == MR_ERR_NOMEM; i++) {
    mr_streamer *s = NULL;
    assert_in_range(i, 1, 10000);
    mr_alloc_fail_at(i);
    st = mr_streamer_open(&s, be, &n.c, n.model, &n.info, 1, 3, NULL);
    mr_alloc_fail_at(0);
    mr_streamer_close(s);
  }
  assert_ok(st);
  net_close(&n);
}

/* ---- Drawing --------------------------------------------------------------------------------- */

static int32_t pick(const mr_sample_opts *o, int64_t place, const mr_real *logit, int64_t n)
{
  mr_candidate scratch[16];
  int32_t id = -1;
  assert_in_range(n, 1, 16);
  assert_ok(mr_sample_pick(o, place, logit, n, scratch, &id));
  return id;
}

static void without_temperature_or_choice_the_likeliest_is_taken(void **state)
{
  (void)state;
  const mr_real logit[] = {-3, 2, 5, 5, (mr_real)-1e30};
  const mr_sample_opts cold = {.temperature = 0}, one = {.temperature = 100, .top_k = 1};
  const mr_sample_opts nearly = {.temperature = 1e-9, .top_k = 1};
  for (int64_t place = 0; place < 100; place++) {
    assert_int_equal(pick(&cold, place, logit, 5), 2);
    assert_int_equal(pick(&one, place, logit, 5), 2);
    assert_int_equal(pick(&nearly, place, logit, 5), 2);
  }
}

/* Draws many symbols and compares their shares with softmax(logit / temperature) over the k likeliest
 * of {1, 3, 2, 0, 2.5} by a chi-squared test. */
static void check_shares(double temperature, int64_t top_k)
{
  enum { N = 5, DRAWS = 40000 };
  static const mr_real logit[N] = {1, 3, 2, 0, (mr_real)2.5};
  static const int rank[N] = {3, 0, 2, 4, 1};
  const mr_sample_opts o = {.temperature = temperature, .top_k = top_k, .seed = 7};
  double sum = 0, chi2 = 0, p[N], seen[N] = {0};
  for (int i = 0; i < N; i++) {
    p[i] = top_k == 0 || rank[i] < top_k ? exp((double)logit[i] / temperature) : 0;
    sum += p[i];
  }
  for (int64_t place = 0; place < DRAWS; place++) seen[pick(&o, place, logit, N)]++;
  for (int i = 0; i < N; i++) {
    const double want = DRAWS * p[i] / sum;
    if (p[i] == 0)
      assert_true(seen[i] == 0);
    else
      chi2 += (seen[i] - want) * (seen[i] - want) / want;
  }
  assert_true(chi2 < 25); /* 4 degrees of freedom: once in 20000 */
}

static void symbols_come_as_often_as_temperature_and_top_k_say(void **state)
{
  (void)state;
  check_shares(1, 0);
  check_shares(0.5, 0);
  check_shares(3, 0);
  check_shares(1, 5);
  check_shares(1, 99);
  check_shares(1, 2);
  check_shares(2, 3);
}

static void draws_depend_on_seed_and_place_alone(void **state)
{
  (void)state;
  const mr_real logit[16] = {0};
  const mr_sample_opts a = {.temperature = 1, .seed = 1}, b = {.temperature = 1, .seed = 2};
  int same = 0, repeated = 0;
  for (int64_t place = 0; place < 400; place++) {
    assert_int_equal(pick(&a, place, logit, 16), pick(&a, place, logit, 16));
    same += pick(&a, place, logit, 16) == pick(&b, place, logit, 16);
    repeated += pick(&a, place, logit, 16) == pick(&a, place + 1, logit, 16);
  }
  assert_in_range(same, 5, 60);
  assert_in_range(repeated, 5, 60);
}

static void logits_that_are_no_numbers_are_refused(void **state)
{
  (void)state;
  const mr_real nan[] = {0, (mr_real)NAN}, inf[] = {(mr_real)INFINITY, 0};
  const mr_sample_opts o = {.temperature = 1};
  mr_candidate scratch[2];
  int32_t id;
  assert_fails(mr_sample_pick(&o, 0, nan, 2, scratch, &id), MR_ERR_NUMERIC, "symbol 1 is");
  assert_fails(mr_sample_pick(&o, 0, inf, 2, scratch, &id), MR_ERR_NUMERIC, "symbol 0 is");
}

/* ---- Text ------------------------------------------------------------------------------------ */

typedef struct page {
  char text[4096];
  size_t n;
  int pieces, fail_at;
} page;

static mr_status write_page(void *ctx, const char *bytes, int n)
{
  page *p = ctx;
  assert_true(p->n + (size_t)n < sizeof p->text);
  memcpy(p->text + p->n, bytes, (size_t)n);
  p->n += (size_t)n;
  p->text[p->n] = '\0';
  if (++p->pieces == p->fail_at) return MR_FAIL(MR_ERR_IO, "the page is full");
  return MR_OK;
}

/* A network that has learnt a text of a few letters for some steps; the path of its checkpoint. */
static const char *learn(small_run *r, const char *model, const char *steps)
{
  char text[3000], flag[64];
  for (int i = 0; i < 3000; i++) text[i] = "abcab\n"[i % 6];
  snprintf(flag, sizeof flag, "--model=%s", model);
  const char *words[] = {"--task=shakespeare",
                         text_of_bytes("letters.txt", text, sizeof text),
                         flag,
                         steps,
                         "--length=12",
                         "--lr=0.03"};
  run_open(r, "letters", 6, words);
  assert_ok(run_train(r, RUN_FORCE, NULL));
  return r->last;
}

static mr_status sample(const char *checkpoint, const mr_sample_opts *o, page *p)
{
  *p = (page){.fail_at = p->fail_at};
  return mr_sample(checkpoint, 0, NULL, o, write_page, p);
}

static void every_model_writes_on_from_a_prompt(void **state)
{
  (void)state;
  for (int i = 0; i < mr_n_models; i++) {
    small_run r;
    page a = {.n = 0}, b = {.n = 0};
    if (!net_can_run(mr_models[i]->name)) continue;
    mr_sample_opts o = {.prompt = "abcabca", .tokens = 40, .temperature = 1, .seed = 3};
    const char *checkpoint = learn(&r, mr_models[i]->name, "--steps=2");
    assert_ok(sample(checkpoint, &o, &a));
    assert_ok(sample(checkpoint, &o, &b));
    assert_int_equal(a.n, 47);
    assert_int_equal(a.pieces, 41); /* the prompt, then symbol by symbol */
    assert_memory_equal(a.text, "abcabca", 7);
    assert_int_equal(strspn(a.text, "abc\n"), 47);
    assert_string_equal(a.text, b.text);
    o.seed = 4;
    assert_ok(sample(checkpoint, &o, &b));
    assert_string_not_equal(a.text, b.text);
    run_close(&r);
  }
}

static void a_learnt_text_is_told_by_heart(void **state)
{
  (void)state;
  static const char *const model[] = {"mingru", "gru"};
  for (int i = 0; i < 2; i++) {
    small_run r;
    page p = {.n = 0};
    const mr_sample_opts o = {.prompt = "", .tokens = 30};
    const mr_sample_opts longer = {.prompt = "bcab\nab", .tokens = 10};
    const char *checkpoint = learn(&r, model[i], "--steps=300");
    assert_ok(sample(checkpoint, &o, &p));
    assert_string_equal(p.text, "abcab\nabcab\nabcab\nabcab\nabcab\n");
    assert_ok(sample(checkpoint, &longer, &p));
    assert_string_equal(p.text, "bcab\nabcab\nabcab\n");
    run_close(&r);
  }
}

static void nothing_is_written_when_something_is_wrong(void **state)
{
  (void)state;
  small_run r, other;
  page p = {.n = 0};
  mr_sample_opts o = {.prompt = "ab", .tokens = 5, .temperature = 1};
  const char *checkpoint = learn(&r, "mingru", "--steps=2");
  assert_fails(sample("/nowhere/x.ckpt", &o, &p), MR_ERR_CONFIG, "/nowhere/x.ckpt");
  assert_fails(sample(mr_test_file("x.ckpt", "no checkpoint", 13), &o, &p), MR_ERR_CONFIG,
               "x.ckpt");
  assert_fails(sample(r.path, &o, &p), MR_ERR_CONFIG, "is no checkpoint");
  o.prompt = "abx";
  assert_fails(sample(checkpoint, &o, &p), MR_ERR_ARG, "x (U+0078) is none of the 4");
  o.prompt = "ab";
  const char *wide = "--width=16", *unknown = "--widht=16";
  assert_fails(mr_sample(checkpoint, 1, &wide, &o, write_page, &p), MR_ERR_CONFIG,
               "of another network");
  assert_fails(mr_sample(checkpoint, 1, &unknown, &o, write_page, &p), MR_ERR_CONFIG, "widht");
  run_open(&other, "copying", 0, NULL);
  assert_ok(run_train(&other, RUN_FORCE, NULL));
  assert_fails(sample(other.best, &o, &p), MR_ERR_CONFIG, "selective_copy, which is no text");
  run_close(&other);
  const char *gone = "--shakespeare.file=/nowhere/text.txt";
  assert_fails(mr_sample(checkpoint, 1, &gone, &o, write_page, &p), MR_ERR_CONFIG,
               "/nowhere/text.txt");
  assert_int_equal(p.pieces, 0);
  p.fail_at = 3;
  assert_fails(sample(checkpoint, &o, &p), MR_ERR_IO, "the page is full");
  assert_int_equal(p.pieces, 3);
  run_close(&r);
}

static void a_starved_sampler_fails_cleanly(void **state)
{
  (void)state;
  small_run r;
  page p = {.n = 0};
  const mr_sample_opts o = {.prompt = "ab", .tokens = 3, .temperature = 1};
  const char *checkpoint = learn(&r, "minlstm", "--steps=1");
  mr_status st = MR_ERR_NOMEM;
  for (int64_t i = 1; st == MR_ERR_NOMEM; i++) {
    assert_in_range(i, 1, 10000);
    mr_alloc_fail_at(i);
    st = sample(checkpoint, &o, &p);
    mr_alloc_fail_at(0);
  }
  assert_ok(st);
  assert_int_equal(p.pieces, 4);
  run_close(&r);
}

static int open_backend(void **state)
{
  (void)state;
  assert_ok(mr_backend_open(&be, MR_CPU, 1));
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  mr_backend_close(be);
  mr_test_folder_remove();
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reading_in_stretches_gives_what_the_whole_sequence_gives),
      cmocka_unit_test(behind_the_end_of_its_context_attention_sees_the_latest_steps),
      cmocka_unit_test(a_rewound_reader_begins_anew),
      cmocka_unit_test(a_starved_opening_fails_cleanly),
      cmocka_unit_test(without_temperature_or_choice_the_likeliest_is_taken),
      cmocka_unit_test(symbols_come_as_often_as_temperature_and_top_k_say),
      cmocka_unit_test(draws_depend_on_seed_and_place_alone),
      cmocka_unit_test(logits_that_are_no_numbers_are_refused),
      cmocka_unit_test(every_model_writes_on_from_a_prompt),
      cmocka_unit_test(a_learnt_text_is_told_by_heart),
      cmocka_unit_test(nothing_is_written_when_something_is_wrong),
      cmocka_unit_test(a_starved_sampler_fails_cleanly),
  };
  return cmocka_run_group_tests(tests, open_backend, tear_down);
}
