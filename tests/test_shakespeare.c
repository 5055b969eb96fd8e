/* test_shakespeare.c — the text task: splits, windows, crops, symbols, whole-split evaluation, bad files,
 * runs without a text. SPDX-License-Identifier: MIT */
/* labels: unit; real: float */
#include "texts.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mem.h"
#include "runs.h"

enum { MOST_WORDS = 12 };

typedef struct subject {
  const mr_task_def *def;
  mr_task *task;
  mr_task_info info;
} subject;

/* Opens the task with n settings. */
static mr_status try_open(subject *s, int n, const char *const *words)
{
  mr_config c;
  const char *all[MOST_WORDS] = {"--task=shakespeare"};
  assert_true(n + 1 < MOST_WORDS);
  for (int i = 0; i < n; i++) all[1 + i] = words[i];
  *s = (subject){.def = mr_find_task("shakespeare")};
  MR_CHECK(mr_run_config(&c, NULL, 1 + n, all));
  mr_status st = s->def->open(&s->task, &c);
  mr_config_free(&c);
  if (st == MR_OK) s->def->info(s->task, &s->info);
  return st;
}

static void close_subject(subject *s)
{
  s->def->close(s->task);
}

/* Batches of at most 8 rows of at most 256 steps. */
static int32_t token[8 * 256], label[8 * 256];

static void draw(const subject *s, mr_split split, uint64_t index, int64_t B)
{
  mr_batch b = {.token = token, .label = label};
  assert_true(B <= 8 && s->info.T <= 256);
  assert_ok(s->def->batch(s->task, split, index, B, &b));
}

/* ---- The real text --------------------------------------------------------------------------- */

static void the_real_text_is_split_and_numbered_as_in_nanogpt(void **state)
{
  static const char symbols[] =
      "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const char *path = text_of_shakespeare();
  char flag[1100], text[4], held_out[8 * 256 + 1];
  (void)state;
  if (path == NULL) {
    print_message("  left out: the text is not on this machine\n");
    return;
  }
  subject s;
  snprintf(flag, sizeof flag, "--shakespeare.file=%s", path);
  assert_ok(try_open(&s, 1, (const char *[]){flag}));
  assert_int_equal(s.info.vocab, 65);
  assert_int_equal(s.info.T, 256);
  assert_int_equal(s.info.n_eval, (111540 - 1 + 255) / 256);
  assert_string_equal(s.info.bits, "bits_per_char");
  for (int32_t i = 0; i < 65; i++) {
    assert_int_equal(s.def->decode(s.task, i, text), 1);
    assert_int_equal(text[0], symbols[i]);
  }
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fseek(f, 1003854, SEEK_SET), 0);
  assert_int_equal(fread(held_out, 1, sizeof held_out, f), sizeof held_out);
  assert_int_equal(fclose(f), 0);
  draw(&s, MR_TEST, 0, 8);
  for (int i = 0; i < 8 * 256; i++) {
    (void)s.def->decode(s.task, token[i], text);
    assert_int_equal(text[0], held_out[i]);
    (void)s.def->decode(s.task, label[i], text);
    assert_int_equal(text[0], held_out[i + 1]);
  }
  close_subject(&s);
}

/* ---- Windows and crops ----------------------------------------------------------------------- */

/* 300 symbols whose ids are their places: 270 to train on, 30 held out. */
static void open_places(subject *s, const char *eval, const char *length, const char *batch)
{
  const char *words[] = {text_of_places("places.txt", 300), eval, length, batch, "--accum=2"};
  assert_ok(try_open(s, 5, words));
}

static void held_out_windows_label_every_symbol_but_the_first_once(void **state)
{
  (void)state;
  static const char *const length[] = {"--length=7", "--length=1", "--length=29", "--length=10"};
  for (int k = 0; k < 4; k++) {
    subject s;
    int32_t next = 271;
    open_places(&s, "--shakespeare.eval=full", length[k], "--batch=4");
    assert_int_equal(s.info.n_eval, (29 + s.info.T - 1) / s.info.T);
    for (uint64_t index = 0; index < 40; index++) {
      draw(&s, MR_VALID, index, 2);
      for (int64_t i = 0; i < 2 * s.info.T; i++) {
        if (label[i] < 0) continue;
        assert_int_equal(token[i], next - 1);
        assert_int_equal(label[i], next);
        next++;
      }
      if ((int64_t)(index + 1) * 2 >= s.info.n_eval) assert_int_equal(next, 300);
    }
    assert_int_equal(next, 300);
    close_subject(&s);
  }
}

/* Crops of a split lie in [first, end), their starts reach both ends of what is possible. */
static void check_crops(const subject *s, mr_split split, int64_t first, int64_t end)
{
  int64_t least = end, most = 0;
  const int64_t T = s->info.T;
  for (uint64_t index = 0; index < 400; index++) {
    draw(s, split, index, 8);
    for (int64_t b = 0; b < 8; b++) {
      const int32_t *row = token + b * T;
      if (row[0] < least) least = row[0];
      if (row[0] > most) most = row[0];
      for (int64_t t = 0; t < T; t++) {
        assert_int_equal(row[t], row[0] + t);
        assert_int_equal(label[b * T + t], row[t] + 1);
      }
    }
  }
  assert_int_equal(least, first);
  assert_int_equal(most + T, end - 1);
}

static void crops_lie_in_their_split_and_reach_its_ends(void **state)
{
  (void)state;
  subject s;
  open_places(&s, "--shakespeare.eval=random", "--length=12", "--batch=8");
  assert_int_equal(s.info.n_eval, 0);
  check_crops(&s, MR_TRAIN, 0, 270);
  check_crops(&s, MR_VALID, 270, 300);
  check_crops(&s, MR_TEST, 270, 300);
  close_subject(&s);
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* Encodes text and decodes it again; returns the number of symbols. */
static int64_t there_and_back(const subject *s, const char *text)
{
  int32_t id[64];
  char back[64], piece[4];
  int64_t count = 0;
  size_t at = 0;
  assert_ok(s->def->encode(s->task, text, strlen(text), id, &count));
  for (int64_t i = 0; i < count; i++) {
    const int n = s->def->decode(s->task, id[i], piece);
    memcpy(back + at, piece, (size_t)n);
    at += (size_t)n;
  }
  assert_int_equal(at, strlen(text));
  assert_memory_equal(back, text, at);
  return count;
}

static void characters_and_bytes_are_symbols_in_rising_order(void **state)
{
  /* Characters of one to four bytes. */
  static const char piece[] = "a\xc3\xafz \xe2\x98\x83\xf0\x9f\x98\x80";
  char text[100 * sizeof piece];
  int64_t count;
  int32_t id[8];
  subject s;
  (void)state;
  text[0] = '\0';
  for (int i = 0; i < 100; i++) memcpy(text + i * (sizeof piece - 1), piece, sizeof piece);
  const char *words[] = {text_of_bytes("pieces.txt", text, strlen(text)), "--length=8",
                         "--shakespeare.units=chars"};
  assert_ok(try_open(&s, 3, words));
  assert_int_equal(s.info.vocab, 6);
  assert_int_equal(there_and_back(&s, piece), 6);
  assert_ok(s.def->encode(s.task, " az\xc3\xaf", 5, id, &count));
  assert_int_equal(count, 4);
  for (int32_t i = 0; i < 4; i++) assert_int_equal(id[i], i);
  assert_fails(s.def->encode(s.task, "ab", 2, id, &count), MR_ERR_ARG, "b (U+0062)");
  assert_fails(s.def->encode(s.task, "a\n", 2, id, &count), MR_ERR_ARG, "(U+000A)");
  assert_fails(s.def->encode(s.task, "a\xc3", 2, id, &count), MR_ERR_ARG, "byte 1 (0xc3)");
  close_subject(&s);
  words[2] = "--shakespeare.units=bytes";
  assert_ok(try_open(&s, 3, words));
  assert_int_equal(s.info.vocab, 11); /* of 12 bytes, two are equal */
  assert_int_equal(there_and_back(&s, piece), 12);
  assert_string_equal(s.info.bits, "bits_per_byte");
  assert_fails(s.def->encode(s.task, "b", 1, id, &count), MR_ERR_ARG, "byte 0x62");
  close_subject(&s);
}

static void up_to_65536_symbols_are_taken_and_no_more(void **state)
{
  (void)state;
  enum { MOST = 65536 };
  char *text = NULL;
  subject s;
  assert_ok(mr_calloc((void **)&text, MOST + 1, 4));
  for (int i = 0; i <= MOST; i++) { /* four bytes each, from U+10000 on */
    const int c = 0x10000 + i;
    text[4 * i] = (char)(0xf0 | c >> 18);
    text[4 * i + 1] = (char)(0x80 | (c >> 12 & 0x3f));
    text[4 * i + 2] = (char)(0x80 | (c >> 6 & 0x3f));
    text[4 * i + 3] = (char)(0x80 | (c & 0x3f));
  }
  const char *words[] = {text_of_bytes("most.txt", text, (size_t)MOST * 4)};
  assert_ok(try_open(&s, 1, words));
  assert_int_equal(s.info.vocab, MOST);
  draw(&s, MR_VALID, 0, 1);
  assert_int_equal(label[0], MOST * 9 / 10 + 1);
  close_subject(&s);
  words[0] = text_of_bytes("more.txt", text, (size_t)(MOST + 1) * 4);
  assert_fails(try_open(&s, 1, words), MR_ERR_CONFIG,
               "65537 different symbols; allowed: at most 65536");
  mr_free(text);
}

/* ---- Bad files ------------------------------------------------------------------------------- */

static void refuse(const char *flag, const char *word)
{
  subject s;
  const char *words[] = {flag, "--length=8"};
  assert_fails(try_open(&s, 2, words), MR_ERR_CONFIG, word);
}

static void refuse_bytes(const char *bytes, size_t n, const char *word)
{
  refuse(text_of_bytes("bad.txt", bytes, n), word);
}

static void files_that_are_no_text_are_refused_in_a_sentence(void **state)
{
  static const char many[] = "abababababababababababababababababababababababababababababababababab";
  char flag[1100], path[1024];
  (void)state;
  snprintf(path, sizeof path, "%s/pipe", mr_test_folder());
  snprintf(flag, sizeof flag, "--shakespeare.file=%s", path);
  refuse(flag, "pipe cannot be read: No such file");
  assert_int_equal(mkfifo(path, 0600), 0);
  refuse(flag, "pipe is a device or pipe, not a text file");
  snprintf(flag, sizeof flag, "--shakespeare.file=%s", mr_test_folder());
  refuse(flag, "is a folder");
  refuse_bytes("", 0, "bad.txt is empty");
  refuse_bytes("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40, "one symbol only");
  refuse_bytes(many, 68, "held-out tenth of");
  refuse_bytes("ab\0cd", 5, "byte 2 is zero");
  refuse_bytes("ab\x80", 3, "byte 2 (0x80) begins no character");
  refuse_bytes("ab\xc3", 3, "byte 2 (0xc3)");                 /* cut off             */
  refuse_bytes("ab\xc0\x80", 4, "byte 2 (0xc0)");             /* overlong            */
  refuse_bytes("ab\xe0\x9f\xbf", 5, "byte 2 (0xe0)");         /* overlong            */
  refuse_bytes("ab\xed\xa0\x80", 5, "byte 2 (0xed)");         /* half a surrogate    */
  refuse_bytes("ab\xf4\x90\x80\x80", 6, "byte 2 (0xf4)");     /* behind U+10FFFF     */
  refuse_bytes("ab\xf8\x88\x80\x80\x80", 7, "byte 2 (0xf8)"); /* five bytes          */
  refuse_bytes("\xff\xfe"
               "a\0b\0",
               6, "byte 0 (0xff)"); /* UTF-16              */
}

static void a_file_larger_than_memory_is_refused_before_it_is_read(void **state)
{
  (void)state;
  const char *path = mr_test_file("sparse.txt", "ab", 2);
  char flag[1100];
  if (truncate(path, (off_t)1 << 43) != 0) {
    print_message("  left out: this file system takes no file of 8 TiB\n");
    return;
  }
  snprintf(flag, sizeof flag, "--shakespeare.file=%s", path);
  refuse(flag, "too large: its 8796.1 GB need");
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void the_whole_split_scores_the_same_in_batches_of_any_size(void **state)
{
  (void)state;
  static const char *const batch[] = {"--batch=1", "--batch=4", "--batch=7", "--batch=64"};
  double loss = 0, accuracy = 0;
  for (int i = 0; i < 4; i++) {
    small_run r;
    mr_train_result got;
    const char *words[] = {"--task=shakespeare", text_of_places("places.txt", 900), "--length=8",
                           "--steps=0", batch[i]};
    run_open(&r, "whole", 5, words);
    assert_ok(run_train(&r, RUN_FORCE, &got));
    if (i == 0) loss = got.valid_loss_last, accuracy = got.valid_last[0];
    assert_true(fabs(got.valid_loss_last - loss) < 1e-5 * loss);
    assert_true(got.valid_last[0] == accuracy);
    assert_true(got.test_loss_last == got.valid_loss_last);
    assert_true(got.test_loss_best == got.valid_loss_last);
    assert_true(fabs(run_number(r.path, "/result", "test_bits_per_char_best") -
                     got.test_loss_best / log(2)) < 1e-12);
    run_close(&r);
  }
}

static void without_the_text_a_run_is_recorded_as_skipped(void **state)
{
  (void)state;
  static const char *const words[] = {"--task=shakespeare", "--shakespeare.units=bytes"};
  small_run r;
  mr_train_result got;
  subject s;
  char path[1024];
  assert_int_equal(setenv("MINRNN_DATA", "/nowhere", 1), 0);
  assert_fails(try_open(&s, 0, NULL), MR_ERR_IO, "/nowhere/tinyshakespeare.txt is missing");
  run_open(&r, "absent", 2, words);
  for (int again = 0; again < 2; again++) {
    assert_ok(run_train(&r, RUN_NEW, &got));
    assert_true(got.skipped);
    assert_string_equal(run_attr(r.path, "/", "status"), "skipped");
    assert_holds(run_attr(r.path, "/", "reason"), "scripts/fetch_data.sh");
    assert_string_equal(got.reason, run_attr(r.path, "/", "reason"));
    assert_false(file_exists(r.part) || file_exists(r.last) || file_exists(r.best));
  }
  /* The text comes: the same command trains. Then it goes: nothing is lost. */
  char text[600];
  for (int i = 0; i < 600; i++) text[i] = (char)('a' + i * i % 7);
  (void)mr_test_file("tinyshakespeare.txt", text, sizeof text);
  assert_int_equal(setenv("MINRNN_DATA", mr_test_folder(), 1), 0);
  assert_ok(run_train(&r, RUN_NEW, &got));
  assert_false(got.skipped);
  assert_string_equal(run_attr(r.path, "/", "status"), "complete");
  snprintf(path, sizeof path, "%s/tinyshakespeare.txt", mr_test_folder());
  assert_int_equal(unlink(path), 0);
  assert_fails(run_train(&r, RUN_FORCE, &got), MR_ERR_CONFIG, "scripts/fetch_data.sh");
  assert_fails(run_train(&r, RUN_RESUME, &got), MR_ERR_CONFIG, "scripts/fetch_data.sh");
  assert_string_equal(run_attr(r.path, "/", "status"), "complete");
  assert_true(file_exists(r.best) && file_exists(r.last));
  run_close(&r);
}

static int tear_down(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_real_text_is_split_and_numbered_as_in_nanogpt),
      cmocka_unit_test(held_out_windows_label_every_symbol_but_the_first_once),
      cmocka_unit_test(crops_lie_in_their_split_and_reach_its_ends),
      cmocka_unit_test(characters_and_bytes_are_symbols_in_rising_order),
      cmocka_unit_test(up_to_65536_symbols_are_taken_and_no_more),
      cmocka_unit_test(files_that_are_no_text_are_refused_in_a_sentence),
      cmocka_unit_test(a_file_larger_than_memory_is_refused_before_it_is_read),
      cmocka_unit_test(the_whole_split_scores_the_same_in_batches_of_any_size),
      cmocka_unit_test(without_the_text_a_run_is_recorded_as_skipped),
  };
  return cmocka_run_group_tests(tests, NULL, tear_down);
}
