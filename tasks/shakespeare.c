/* shakespeare.c — predict the next character of a text. SPDX-License-Identifier: MIT
 *
 * The first nine tenths of the symbols are for training, the others are held out, as in nanoGPT. A
 * sequence is `length` symbols in a row; the label of each is the one that follows it. Training draws
 * its sequences anywhere; the held-out part is scored window by window, or at random places. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "corpus.h"
#include "mem.h"
#include "rng.h"
#include "task.h"

enum { DEFAULT_LENGTH = 256, PATH_BYTES = 4096 };

static const char name[] = "shakespeare";
static const mr_opt opts[] = {
    {"file", "", "*", 0, 0, "text to learn; empty: tinyshakespeare.txt in MINRNN_DATA or data/"},
    {"units", "chars", "chars|bytes", 0, 0, "symbols: characters of UTF-8 text, or bytes"},
    {"eval", "full", "full|random", 0, 0,
     "validation and test: the whole held-out tenth, or eval_batches random crops of it"},
};

struct mr_task {
  uint64_t seed;
  int64_t T, stride; /* stride: rows of one batch */
  int64_t n_train;
  bool full;
  double chance;
  mr_corpus text;
};

/* ---- Opening --------------------------------------------------------------------------------- */

/* The file to read. That the default one is missing is no mistake: it is not part of the source. */
static mr_status find_file(const mr_config *c, char *path, size_t n)
{
  const char *file = mr_option_text(c, name, "file"), *data = getenv("MINRNN_DATA");
  if (data == NULL || data[0] == '\0') data = "data";
  const int len = file[0] != '\0' ? snprintf(path, n, "%s", file)
                                  : snprintf(path, n, "%s/tinyshakespeare.txt", data);
  if (len < 0 || (size_t)len >= n)
    return MR_FAIL(MR_ERR_CONFIG, "the path of the text has %d characters; allowed: at most %zu",
                   len, n - 1);
  if (file[0] == '\0' && access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
    return MR_FAIL(MR_ERR_IO,
                   "the text %s is missing: scripts/fetch_data.sh downloads it, or "
                   "--shakespeare.file=ANY.txt takes another",
                   path);
  return MR_OK;
}

/* Share of the commonest symbol among those to train on. */
static mr_status count_chance(mr_task *k)
{
  int64_t *seen = NULL, most = 0;
  MR_CHECK(mr_calloc((void **)&seen, (size_t)k->text.n_symbols, sizeof *seen));
  for (int64_t i = 0; i < k->n_train; i++) seen[k->text.id[i]]++;
  for (int32_t v = 0; v < k->text.n_symbols; v++)
    if (seen[v] > most) most = seen[v];
  k->chance = (double)most / (double)k->n_train;
  mr_free(seen);
  return MR_OK;
}

/* The part from `first` on with n symbols is where the split's sequences lie. */
static int64_t part_of(const mr_task *k, mr_split s, int64_t *first)
{
  *first = s == MR_TRAIN ? 0 : k->n_train;
  return s == MR_TRAIN ? k->n_train : k->text.n - k->n_train;
}

static mr_status set_up(mr_task *k, const mr_config *c)
{
  char path[PATH_BYTES];
  int64_t first;
  MR_CHECK(find_file(c, path, sizeof path));
  const bool bytes = strcmp(mr_option_text(c, name, "units"), "bytes") == 0;
  MR_CHECK(mr_corpus_open(&k->text, path, bytes ? MR_UNITS_BYTES : MR_UNITS_CHARS));
  k->seed = (uint64_t)c->seed;
  k->T = c->length == 0 ? DEFAULT_LENGTH : c->length;
  k->stride = c->batch / c->accum;
  k->full = strcmp(mr_option_text(c, name, "eval"), "full") == 0;
  k->n_train = k->text.n / 10 * 9 + k->text.n % 10 * 9 / 10;
  const int64_t held_out = part_of(k, MR_VALID, &first);
  if (held_out <= k->T)
    return MR_FAIL(MR_ERR_CONFIG,
                   "length is %" PRId64 ", but the held-out tenth of %s has only %" PRId64
                   " symbols; allowed: at most %" PRId64,
                   k->T, path, held_out, held_out > 1 ? held_out - 1 : 0);
  return count_chance(k);
}

static void text_close(mr_task *k)
{
  if (k == NULL) return;
  mr_corpus_close(&k->text);
  mr_free(k);
}

static mr_status text_open(mr_task **out, const mr_config *c)
{
  void *p = NULL;
  MR_CHECK(mr_calloc(&p, 1, sizeof **out));
  const mr_status st = set_up(p, c);
  if (st == MR_OK)
    *out = p;
  else
    text_close(p);
  return st;
}

/* Every held-out symbol but the first is the label of one position. */
static int64_t windows_of(const mr_task *k)
{
  int64_t first;
  return (part_of(k, MR_VALID, &first) - 1 + k->T - 1) / k->T;
}

static void text_info(const mr_task *k, mr_task_info *out)
{
  *out =
      (mr_task_info){.loss = MR_LOSS_XENT,
                     .T = k->T,
                     .vocab = k->text.n_symbols,
                     .out_dim = k->text.n_symbols,
                     .n_metrics = 1,
                     .metric = {"accuracy"},
                     .unit = {"1"},
                     .chance = {k->chance},
                     .n_eval = k->full ? windows_of(k) : 0,
                     .bits = k->text.units == MR_UNITS_CHARS ? "bits_per_char" : "bits_per_byte"};
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* A row [T] of tokens and labels from symbol `from` on; what lies at `end` or behind has no label. */
static void fill_row(const mr_task *k, int64_t from, int64_t end, int32_t *token, int32_t *label)
{
  for (int64_t t = 0; t < k->T; t++) {
    const int64_t next = from + t + 1;
    token[t] = next < end ? k->text.id[next - 1] : 0;
    label[t] = next < end ? k->text.id[next] : -1;
  }
}

/* Row b of batch `index` at a random place is drawn from sequence index * 2^20 + b, so it does not
 * depend on B. The fixed sets are the same for every config seed, so that runs can be compared. */
static mr_status text_batch(const mr_task *k, mr_split s, uint64_t index, int64_t B, mr_batch *out)
{
  static const mr_stream stream[] = {MR_STREAM_TRAIN, MR_STREAM_VALID, MR_STREAM_TEST};
  int64_t first;
  const int64_t n = part_of(k, s, &first);
  for (int64_t b = 0; b < B; b++) {
    int64_t from;
    if (s != MR_TRAIN && k->full) {
      const uint64_t row = index * (uint64_t)k->stride + (uint64_t)b;
      from = row < (uint64_t)windows_of(k) ? (int64_t)row * k->T : n;
    } else {
      mr_rng r;
      mr_rng_seek(&r, s == MR_TRAIN ? k->seed : 0, stream[s], index << 20 | (uint64_t)b);
      from = (int64_t)(mr_rng_uniform(&r) * (double)(n - k->T));
    }
    fill_row(k, first + from, first + n, out->token + b * k->T, out->label + b * k->T);
  }
  return MR_OK;
}

/* Accuracy: an answer is right when its class is above all others. Ties and NaN are not. */
static mr_status text_score(const mr_task *k, const mr_batch *batch, int64_t B, const mr_real *y,
                            double *sum, double *count)
{
  const int64_t V = k->text.n_symbols;
  for (int64_t i = 0; i < B * k->T; i++) {
    const mr_real *row = y + i * V;
    const int32_t want = batch->label[i];
    if (want < 0) continue;
    int right = 1;
    for (int64_t v = 0; v < V; v++) right &= v == want || row[want] > row[v];
    sum[0] += right;
    count[0] += 1;
  }
  return MR_OK;
}

/* ---- Text ------------------------------------------------------------------------------------ */

static int text_decode(const mr_task *k, int32_t id, char *out)
{
  return mr_corpus_decode(&k->text, id, out);
}

static mr_status text_encode(const mr_task *k, const char *text, size_t n, int32_t *id,
                             int64_t *count)
{
  return mr_corpus_encode(&k->text, text, n, id, count);
}

MR_TASK(shakespeare) = {
    .name = name,
    .summary = "predict the next character of Shakespeare's plays, or of any text",
    .opts = opts,
    .n_opts = sizeof opts / sizeof *opts,
    .open = text_open,
    .close = text_close,
    .info = text_info,
    .batch = text_batch,
    .score = text_score,
    .decode = text_decode,
    .encode = text_encode,
};
