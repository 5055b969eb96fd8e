/* synthetic.c — run files with made-up results. SPDX-License-Identifier: MIT */
#include "synthetic.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "registry.h"

enum { MOST_WORDS = 24, WORD_BYTES = 64 };

/* A log at <folder>/<name>.h5 with the config that the words make; its steps go to *steps. */
static mr_log *begin(const char *name, const char *words, int64_t *steps)
{
  char text[MOST_WORDS][WORD_BYTES], path[600];
  const char *word[MOST_WORDS];
  mr_config c;
  mr_log *l = NULL;
  int n = 0;
  for (const char *at = words; *at != '\0'; at += strspn(at, " ")) {
    const size_t length = strcspn(at, " ");
    assert_true(n < MOST_WORDS && length < WORD_BYTES);
    memcpy(text[n], at, length);
    text[n][length] = '\0';
    word[n] = text[n];
    n++;
    at += length;
  }
  assert_ok(mr_cell_config(&c, NULL, n, word));
  snprintf(path, sizeof path, "%s/%s.h5", mr_test_folder(), name);
  assert_ok(mr_log_create(&l, path, &c, "minrnn"));
  *steps = c.steps;
  mr_config_free(&c);
  assert_ok(mr_log_text(l, "machine", "cpu", "Test CPU"));
  assert_ok(mr_log_text(l, "machine", "gpu", "Test GPU"));
  assert_ok(mr_log_text(l, "machine", "threads", "2"));
  return l;
}

static void end(mr_log *l, mr_run_status status, const char *reason)
{
  assert_ok(mr_log_finish(l, status, reason));
  mr_log_destroy(l);
}

static void put_samples(mr_log *l, const char *table, const char *column, double ms, double spread)
{
  const mr_column c = {column, "ns"};
  mr_table *t = NULL;
  assert_ok(mr_log_table(l, table, &c, 1, &t));
  for (int i = -2; i <= 2; i++) {
    const double ns = ms * 1e6 * (1 + i * spread / 200);
    assert_ok(mr_table_append(t, &ns));
  }
}

static void put_cell(mr_log *l, const char *model, const char *device, const char *mode,
                     const char *options)
{
  char text[256];
  snprintf(text, sizeof text, "%s:made up%s", model, options);
  assert_ok(mr_log_text(l, "cell", "descriptor", text));
  assert_ok(mr_log_text(l, "cell", "model", model));
  assert_ok(mr_log_text(l, "cell", "device", device));
  assert_ok(mr_log_text(l, "cell", "mode", mode));
  assert_ok(mr_log_text(l, "cell", "cache", "hot"));
  assert_ok(mr_log_int(l, "cell", "threads", 2));
}

void fake_timing_write(const char *name, const fake_timing *t)
{
  char words[256];
  const char *device = t->device != NULL ? t->device : "cpu", *reason = "";
  int64_t steps;
  snprintf(words, sizeof words,
           "--model=%s --length=%d --batch=%d --width=%d --device=%s --layers=1", t->model,
           t->length, t->batch, t->width, device);
  mr_log *l = begin(name, words, &steps);
  const mr_run_status status = t->status != 0 ? t->status : MR_RUN_COMPLETE;
  if (t->reason != NULL) reason = t->reason;
  put_cell(l, t->model, device, t->mode != NULL ? t->mode : "eager",
           t->options != NULL ? t->options : "");
  if (status == MR_RUN_COMPLETE) {
    put_samples(l, "bench", "step_ns", t->step_ms, t->spread);
    assert_ok(mr_log_num(l, "memory", "planned_bytes", t->megabytes * 1e6));
    if (*reason != '\0') assert_ok(mr_log_text(l, "/", "trust", "mistrusted"));
  }
  end(l, status, reason);
}

void fake_training_write(const char *name, const char *settings, const char *result, double value)
{
  int64_t steps;
  mr_log *l = begin(name, settings, &steps);
  assert_ok(mr_log_num(l, "result", result, value));
  assert_ok(mr_log_int(l, "result", "steps", steps));
  end(l, MR_RUN_COMPLETE, "");
}

void fake_inference_write(const char *name, const char *model, int batch, int context,
                          double prefill_ms, double token_ms)
{
  char words[256];
  snprintf(words, sizeof words, "--model=%s --length=%d --batch=%d --width=64 --layers=1", model,
           context, batch);
  int64_t steps;
  mr_log *l = begin(name, words, &steps);
  put_cell(l, model, "cpu", "infer", "");
  assert_ok(mr_log_int(l, "cell", "context", context));
  put_samples(l, "prefill", "prefill_ns", prefill_ms, 0);
  put_samples(l, "token", "token_ns", token_ms, 0);
  end(l, MR_RUN_COMPLETE, "");
}

void fake_damaged_write(const char *name)
{
  char path[600];
  fake_training_write(name, "--model=mingru", "test_accuracy_best", 1);
  snprintf(path, sizeof path, "%s/%s.h5", mr_test_folder(), name);
  assert_int_equal(truncate(path, 1000), 0);
}
