/* bench_cell.c — one cell of a benchmark, and the one line of text that replays it.
 * SPDX-License-Identifier: MIT */
#include "bench_cell.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PARTS = 40, WORD_BYTES = MR_CELL_TEXT + 16, FILE_BYTES = 200 };

void mr_cell_free(mr_cell *c)
{
  mr_config_free(&c->config);
}

const char *mr_cell_mode(const mr_config *c)
{
  return strcmp(c->device, "cuda") == 0 && c->graph ? "graph" : "eager";
}

static bool ends_in(const char *s, const char *ending)
{
  const size_t n = strlen(s), k = strlen(ending);
  return n >= k && strcmp(s + n - k, ending) == 0;
}

const char *mr_granularity(const char *model)
{
  if (ends_in(model, "_loop")) return "loop";
  if (ends_in(model, "_vendor")) return "vendor";
  return ends_in(model, "_smallops") ? "smallops" : "fused";
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* Has its own place in the descriptor, or does not change what one step computes. */
static bool left_out(const char *key)
{
  static const char *const name[] = {
      "model",     "device",    "math",     "graph",        "threads",     "batch",   "length",
      "width",     "layers",    "steps",    "lr",           "schedule",    "warmup",  "lr_min",
      "beta1",     "beta2",     "adam_eps", "weight_decay", "decay",       "nodecay", "clip",
      "log_every", "stop_loss", "out",      "eval_every",   "eval_batches"};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++)
    if (strcmp(key, name[i]) == 0) return true;
  return false;
}

/* An option counts where its owner takes part. */
static bool concerns(const mr_config *c, const char *key)
{
  const char *dot = strchr(key, '.');
  if (dot == NULL) return !left_out(key);
  const size_t n = (size_t)(dot - key);
  return (strlen(c->model) == n && strncmp(key, c->model, n) == 0) ||
         (strlen(c->task) == n && strncmp(key, c->task, n) == 0);
}

typedef struct writer {
  const mr_config *c;
  mr_config plain; /* all defaults */
  char *text;
  size_t used;
  bool full;
} writer;

static void put(writer *w, const char *s, size_t n)
{
  w->full = w->full || w->used + n >= MR_CELL_TEXT;
  if (w->full) return;
  memcpy(w->text + w->used, s, n);
  w->used += n;
  w->text[w->used] = '\0';
}

static void put_text(writer *w, const char *s)
{
  put(w, s, strlen(s));
}

typedef struct lookup {
  const char *key;
  bool same;
  const char *value;
} lookup;

static mr_status compare_key(void *ctx, const char *key, const char *value)
{
  lookup *l = ctx;
  if (strcmp(key, l->key) == 0) l->same = strcmp(value, l->value) == 0;
  return MR_OK;
}

static mr_status put_key(void *ctx, const char *key, const char *value)
{
  writer *w = ctx;
  lookup l = {.key = key, .value = value};
  if (!concerns(w->c, key)) return MR_OK;
  MR_CHECK(mr_config_each(&w->plain, compare_key, &l));
  if (l.same) return MR_OK;
  put_text(w, ":");
  put_text(w, key);
  put_text(w, "=");
  for (; *value != '\0'; value++) {
    if (*value == ':' || *value == '%')
      put_text(w, *value == ':' ? "%3a" : "%25");
    else
      put(w, value, 1);
  }
  return MR_OK;
}

mr_status mr_cell_describe(const mr_cell *cell, int64_t length, int threads, char *text)
{
  const mr_config *c = &cell->config;
  writer w = {.c = c, .text = text};
  char head[160];
  const bool cuda = strcmp(c->device, "cuda") == 0;
  snprintf(head, sizeof head, "b%" PRId64 "t%" PRId64 "d%" PRId64 "l%" PRId64 ":%s:%s:%s:%s",
           c->batch, length, c->width, c->layers, c->math, mr_cell_mode(c),
           cell->cold ? "cold" : "hot", c->device);
  put_text(&w, c->model);
  put_text(&w, ":");
  put_text(&w, head);
  snprintf(head, sizeof head, "%d", threads);
  if (!cuda) put_text(&w, head);
  MR_CHECK(mr_cell_config(&w.plain, NULL, 0, NULL));
  const mr_status st = mr_config_each(c, put_key, &w);
  mr_config_free(&w.plain);
  MR_CHECK(st);
  if (w.full)
    return MR_FAIL(MR_ERR_CONFIG, "the cell %.60s... takes more than %d letters to describe", text,
                   MR_CELL_TEXT - 1);
  return MR_OK;
}

void mr_cell_file(const char *descriptor, char *name)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_.+=-";
  uint64_t sum = 0xCBF29CE484222325; /* FNV-1a */
  size_t n = strlen(descriptor);
  for (size_t i = 0; i < n; i++)
    sum = (sum ^ (unsigned char)descriptor[i]) * (uint64_t)0x100000001B3;
  const bool cut = n > FILE_BYTES;
  if (cut) n = FILE_BYTES;
  for (size_t i = 0; i < n; i++)
    name[i] = strchr(plain, descriptor[i]) != NULL ? descriptor[i] : '-';
  if (cut)
    snprintf(name + n, 32, "-%016" PRIx64 ".h5", sum);
  else
    snprintf(name + n, 32, ".h5");
}

/* ---- Reading -------------------------------------------------------------------------------- */

typedef struct reader {
  const char *text;                  /* the whole descriptor, for messages */
  char word[MOST_PARTS][WORD_BYTES]; /* settings of minrnn train           */
  int n;
  bool cold;
} reader;

static mr_status refuse(const reader *r, const char *part)
{
  return MR_FAIL(MR_ERR_CONFIG,
                 "\"%s\" in cell \"%s\" is not understood; a cell reads like "
                 "mingru:b64t4096d128l3:f32:eager:hot:cpu2",
                 part, r->text);
}

static mr_status add_word(reader *r, const char *key, const char *value, size_t n)
{
  if (r->n == MOST_PARTS)
    return MR_FAIL(MR_ERR_CONFIG, "cell \"%s\" has more than %d parts", r->text, MOST_PARTS);
  if (snprintf(r->word[r->n++], WORD_BYTES, "--%s=%.*s", key, (int)n, value) >= WORD_BYTES)
    return refuse(r, key);
  return MR_OK;
}

/* "b64t4096d128l3" */
static mr_status read_shape(reader *r, const char *part)
{
  static const struct {
    char letter;
    const char *key;
  } size[] = {{'b', "batch"}, {'t', "length"}, {'d', "width"}, {'l', "layers"}};
  const char *at = part;
  for (int i = 0; i < 4; i++) {
    const size_t n = *at == size[i].letter ? strspn(at + 1, "0123456789") : 0;
    if (n == 0) return refuse(r, part);
    MR_CHECK(add_word(r, size[i].key, at + 1, n));
    at += 1 + n;
  }
  return *at == '\0' ? MR_OK : refuse(r, part);
}

/* "key=value" with %3a and %25 undone. */
static mr_status read_setting(reader *r, const char *part)
{
  char plain[MR_CELL_TEXT];
  size_t n = 0;
  for (const char *at = part; *at != '\0'; at++) {
    const bool colon = strncmp(at, "%3a", 3) == 0, percent = strncmp(at, "%25", 3) == 0;
    if (*at == '%' && !colon && !percent) return refuse(r, part);
    plain[n++] = colon ? ':' : *at;
    at += *at == '%' ? 2 : 0;
  }
  plain[n] = '\0';
  const size_t key = strcspn(plain, "=");
  plain[key] = '\0';
  if (key == 0) return refuse(r, part);
  return add_word(r, plain, plain + key + 1, n - key - 1);
}

static mr_status read_part(reader *r, const char *part)
{
  if (strchr(part, '=') != NULL) return read_setting(r, part);
  if (strcmp(part, "graph") == 0) return add_word(r, "graph", "1", 1);
  if (strcmp(part, "eager") == 0) return add_word(r, "graph", "0", 1);
  if (strcmp(part, "hot") == 0 || strcmp(part, "cold") == 0) {
    r->cold = part[0] == 'c';
    return MR_OK;
  }
  if (strcmp(part, "cuda") == 0) return add_word(r, "device", part, 4);
  if (strncmp(part, "cpu", 3) == 0 && part[3 + strspn(part + 3, "0123456789")] == '\0') {
    MR_CHECK(add_word(r, "device", "cpu", 3));
    return part[3] != '\0' ? add_word(r, "threads", part + 3, strlen(part + 3)) : MR_OK;
  }
  if (part[0] == '\0') return refuse(r, part);
  if (strcmp(part, "f32") == 0 || strcmp(part, "tf32") == 0 || strcmp(part, "bf16") == 0)
    return add_word(r, "math", part, strlen(part));
  return refuse(r, part);
}

static mr_status read_all(reader *r, char *copy)
{
  char *rest = copy;
  for (int i = 0; rest != NULL; i++) {
    const char *part = strsep(&rest, ":");
    if (i == 0)
      MR_CHECK(add_word(r, "model", part, strlen(part)));
    else
      MR_CHECK(i == 1 ? read_shape(r, part) : read_part(r, part));
    if (i == 0 && rest == NULL) return refuse(r, part);
  }
  return MR_OK;
}

/* What only the GPU has names it where no device is named. */
static mr_status imply_device(reader *r)
{
  static const char *const of_gpu[] = {"--graph=1", "--math=tf32", "--math=bf16"};
  bool gpu = false;
  for (int i = 0; i < r->n; i++) {
    if (strncmp(r->word[i], "--device=", strlen("--device=")) == 0) return MR_OK;
    for (int k = 0; k < 3; k++) gpu = gpu || strcmp(r->word[i], of_gpu[k]) == 0;
  }
  return gpu ? add_word(r, "device", "cuda", 4) : MR_OK;
}

mr_status mr_cell_load(mr_cell *c, const char *text)
{
  reader r;
  char copy[MR_CELL_TEXT];
  const char *word[MOST_PARTS];
  if (strlen(text) >= sizeof copy)
    return MR_FAIL(MR_ERR_CONFIG, "cell \"%.60s...\" is longer than %zu letters", text,
                   sizeof copy - 1);
  memcpy(copy, text, strlen(text) + 1);
  r.text = text, r.n = 0, r.cold = false;
  MR_CHECK(read_all(&r, copy));
  MR_CHECK(imply_device(&r));
  for (int i = 0; i < r.n; i++) word[i] = r.word[i];
  MR_CHECK(mr_cell_config(&c->config, NULL, r.n, word));
  c->cold = r.cold;
  return MR_OK;
}
