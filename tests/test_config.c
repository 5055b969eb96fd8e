/* test_config.c — keys are strict, errors say what is allowed, and values survive a round trip.
 * SPDX-License-Identifier: MIT */
/* labels: unit */
#include "testing.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "config.h"
#include "mem.h"

static const mr_opt cell_opts[] = {
    {"form", "linear", "linear|log", 0, 0, "space of the scan"},
    {"bias", "0.5", NULL, -1, 1, "shift of the gate"},
};
static const mr_opt copy_opts[] = {
    {"data_tokens", "16", NULL, 1, 1024, "tokens to remember"},
    {"note", "", "*", 0, 0, "any words | marks"},
};
static const mr_owner owners[] = {
    {"cell", cell_opts, 2}, {"empty", NULL, 0}, {"copy", copy_opts, 2}};
enum { N_OWNERS = 3, N_OPTIONS = 4 };

static mr_status load(mr_config *c, const char *path, int n, const char *const *args)
{
  return mr_config_load(c, owners, N_OWNERS, path, n, args);
}

static mr_status load_flag(mr_config *c, const char *arg)
{
  return load(c, NULL, 1, &arg);
}

static mr_status load_text(mr_config *c, const char *text)
{
  return load(c, mr_test_file("run.cfg", text, strlen(text)), 0, NULL);
}

/* ---- Good input ------------------------------------------------------------------------------- */

static void defaults_are_those_of_the_table(void **state)
{
  (void)state;
  mr_config c;
  assert_ok(load(&c, NULL, 0, NULL));
#define STR(name, dflt, help)           assert_string_equal(c.name, dflt);
#define WORD(name, dflt, choices, help) assert_string_equal(c.name, dflt);
#define INT(name, dflt, lo, hi, help)   assert_true(c.name == (dflt));
#define NUM(name, dflt, lo, hi, help)   assert_true(c.name == (dflt));
  MR_CONFIG_MAP(STR, WORD, INT, NUM)
#undef STR
#undef WORD
#undef INT
#undef NUM
  assert_int_equal(c.n_options, N_OPTIONS);
  assert_string_equal(mr_option_text(&c, "cell", "form"), "linear");
  assert_true(mr_option_num(&c, "cell", "bias") == 0.5);
  assert_true(mr_option_num(&c, "copy", "data_tokens") == 16);
  assert_string_equal(mr_option_text(&c, "copy", "note"), "");
  mr_config_free(&c);
}

static void flags_win_over_the_file_and_later_flags_over_earlier(void **state)
{
  (void)state;
  mr_config c;
  static const char text[] = "# an experiment\n"
                             "\n"
                             "width = 128   ; channels\n"
                             "  layers=2\r\n"
                             "; lr = 7\n"
                             "lr = 3e-4 # peak\n"
                             "out = a#b;c.h5\n"
                             "cell.form = log\n"
                             "nodecay =\n"
                             "copy.data_tokens = 8";
  static const char *const args[] = {"--lr=0.25", "--cell.bias=-1", "--seed=5", "--lr=0.5"};
  assert_ok(load(&c, mr_test_file("run.cfg", text, sizeof text - 1), 4, args));
  assert_int_equal(c.width, 128);
  assert_int_equal(c.layers, 2);
  assert_int_equal(c.seed, 5);
  assert_true(c.lr == 0.5);
  assert_string_equal(c.out, "a#b;c.h5");
  assert_string_equal(c.nodecay, "");
  assert_string_equal(mr_option_text(&c, "cell", "form"), "log");
  assert_true(mr_option_num(&c, "cell", "bias") == -1);
  assert_true(mr_option_num(&c, "copy", "data_tokens") == 8);
  mr_config_free(&c);
}

static void bounds_of_a_range_are_allowed(void **state)
{
  (void)state;
  static const char *const args[] = {"--dropout=0.99", "--batch=1048576",
                                     "--accum=1",      "--seed=4611686018427387904",
                                     "--lr=1e2",       "--out=a=b"};
  mr_config c;
  assert_ok(load(&c, NULL, 6, args));
  assert_true(c.dropout == 0.99 && c.batch == 1 << 20 && c.seed == (int64_t)1 << 62);
  assert_string_equal(c.out, "a=b");
  mr_config_free(&c);
}

static void set_copies_its_text_and_replaces_the_value(void **state)
{
  (void)state;
  mr_config c;
  char text[] = "first.h5";
  assert_ok(load(&c, NULL, 0, NULL));
  assert_ok(mr_config_set(&c, "out", text, NULL));
  text[0] = 'X';
  assert_string_equal(c.out, "first.h5");
  assert_ok(mr_config_set(&c, "out", "second.h5", NULL));
  assert_string_equal(c.out, "second.h5");
  assert_fails(mr_config_set(&c, "width", "0", "here"), MR_ERR_CONFIG, "here: width");
  assert_int_equal(c.width, 64);
  mr_config_free(&c);
  mr_config_free(&c);
}

/* ---- Bad flags -------------------------------------------------------------------------------- */

static void wrong_values_are_refused_with_key_value_and_range(void **state)
{
  (void)state;
  static const struct {
    const char *arg, *words[3];
  } c[] = {
      {"--width=0", {"width", "\"0\"", "1 to 65536"}},
      {"--width=65537", {"width", "out of range", "65536"}},
      {"--width=64.0", {"width", "64.0", "whole number"}},
      {"--width=6x4", {"width", "6x4", "whole number"}},
      {"--width= 64", {"width", " 64", "whole number"}},
      {"--width=+64", {"width", "+64", "whole number"}},
      {"--width=", {"width", "\"\"", "whole number"}},
      {"--width=-", {"width", "\"-\"", "whole number"}},
      {"--width=0x10", {"width", "0x10", "whole number"}},
      {"--seed=99999999999999999999", {"seed", "99999999999999999999", "whole number"}},
      {"--seed=-1", {"seed", "-1", "0 to 4611686018427387904"}},
      {"--lr=fast", {"lr", "fast", "0 to 100"}},
      {"--lr=nan", {"lr", "nan", "finite"}},
      {"--lr=inf", {"lr", "inf", "finite"}},
      {"--lr=1e999", {"lr", "1e999", "finite"}},
      {"--lr=1e-3x", {"lr", "1e-3x", "0 to 100"}},
      {"--lr=0x1p2", {"lr", "0x1p2", "finite decimal"}},
      {"--lr=", {"lr", "\"\"", "finite"}},
      {"--lr=-0.1", {"lr", "-0.1", "out of range"}},
      {"--device=gpu", {"device", "gpu", "cpu, cuda"}},
      {"--device=cp", {"device", "cp", "cpu, cuda"}},
      {"--device=cpu|cuda", {"device", "cpu|cuda", "cpu, cuda"}},
      {"--device=", {"device", "\"\"", "cpu, cuda"}},
      {"--cell.form=cube", {"cell.form", "cube", "linear, log"}},
      {"--cell.bias=2", {"cell.bias", "2", "-1 to 1"}},
  };
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    mr_config config;
    for (int w = 0; w < 3; w++)
      assert_fails(load_flag(&config, c[i].arg), MR_ERR_CONFIG, c[i].words[w]);
    assert_null(config.text);
  }
}

static void unknown_keys_are_refused_and_near_ones_suggested(void **state)
{
  (void)state;
  mr_config c;
  assert_fails(load_flag(&c, "--lenght=5"), MR_ERR_CONFIG,
               "unknown key \"lenght\"; did you mean \"length\"?");
  assert_fails(load_flag(&c, "--data_token=5"), MR_ERR_CONFIG, "\"copy.data_tokens\"");
  assert_fails(load_flag(&c, "--cel.form=log"), MR_ERR_CONFIG, "\"cell.form\"");
  assert_fails(load_flag(&c, "--momentum=5"), MR_ERR_CONFIG, "unknown key \"momentum\"");
  assert_null(strstr(mr_error_message(), "did you mean"));
  assert_fails(load_flag(&c, "--=5"), MR_ERR_CONFIG, "unknown key \"\"");
  assert_fails(load_flag(&c, "--form=log"), MR_ERR_CONFIG, "\"cell.form\"");
  char endless[5000] = "--";
  memset(endless + 2, 'k', sizeof endless - 5);
  memcpy(endless + sizeof endless - 3, "=1", 3);
  assert_fails(load_flag(&c, endless), MR_ERR_CONFIG, "unknown key \"kkk");
}

static void words_that_are_no_flags_show_the_right_form(void **state)
{
  (void)state;
  static const char *const apart[] = {"--lr", "0.5"}, *const alone[] = {"--steps", "--lr=1"};
  mr_config c;
  assert_fails(load(&c, NULL, 2, apart), MR_ERR_CONFIG, "--lr=0.5");
  assert_fails(load(&c, NULL, 2, alone), MR_ERR_CONFIG, "--steps=1000");
  assert_fails(load_flag(&c, "--out"), MR_ERR_CONFIG, "--out=<text>");
  assert_fails(load_flag(&c, "--stps"), MR_ERR_CONFIG, "did you mean \"steps\"?");
  assert_fails(load_flag(&c, "lr=0.5"), MR_ERR_CONFIG, "--key=value");
  assert_fails(load_flag(&c, "-lr=0.5"), MR_ERR_CONFIG, "--key=value");
  assert_fails(load_flag(&c, ""), MR_ERR_CONFIG, "--key=value");
  assert_fails(load_flag(&c, "--"), MR_ERR_CONFIG, "unknown key");
}

/* ---- Bad files -------------------------------------------------------------------------------- */

static void errors_in_a_file_name_it_and_the_line(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    mr_status status;
    const char *word;
  } c[] = {
      {"lr = 1\nwidht = 4\n", MR_ERR_CONFIG,
       "run.cfg:2: unknown key \"widht\"; did you mean \"width\"?"},
      {"\n# x\nwidth = many\n", MR_ERR_CONFIG, "run.cfg:3: width = \"many\""},
      {"lr = 1\n\nwidth = 4\nlr = 1\n", MR_ERR_CONFIG,
       "run.cfg:4: lr is set a second time; the first is in line 1"},
      {"cell.bias = 0\ncell.bias = 0\n", MR_ERR_CONFIG, "run.cfg:2: cell.bias is set a second"},
      {"lr = 1\n[model]\nwidth = 4\n", MR_ERR_CONFIG, "run.cfg:2: sections"},
      {"lr = 1\nwid", MR_ERR_IO, "run.cfg:2: not of the form key = value"},
      {"lr: 1\n", MR_ERR_IO, "run.cfg:1: not of the form"},
      {"lr\n", MR_ERR_IO, "run.cfg:1: not of the form"},
      {"= 1\n", MR_ERR_CONFIG, "run.cfg:1: unknown key \"\""},
      {"width = 32\n  64\n", MR_ERR_IO, "run.cfg:2: not of the form"},
      {"out = a\n  width = 3x\n", MR_ERR_CONFIG, "run.cfg:2: width"},
      {"", MR_ERR_IO, "run.cfg holds no line"},
      {"# only a remark\n\n", MR_ERR_IO, "run.cfg holds no line"},
      {"width =\n", MR_ERR_CONFIG, "run.cfg:1: width = \"\""},
      {"width = 32 64\n", MR_ERR_CONFIG, "run.cfg:1: width = \"32 64\""},
      {"--width=32\n", MR_ERR_CONFIG, "run.cfg:1: unknown key \"--width\""},
  };
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
    mr_config config;
    assert_fails(load_text(&config, c[i].text), c[i].status, c[i].word);
    assert_null(config.text);
  }
}

static void zero_bytes_and_binary_files_are_refused(void **state)
{
  (void)state;
  static const char text[] = "lr = 1\nwidth = 3\0 2\n", binary[] = "\x89HDF\r\n\x1a\n\0\0\0\0";
  mr_config c;
  assert_fails(load(&c, mr_test_file("run.cfg", text, sizeof text - 1), 0, NULL), MR_ERR_IO,
               "run.cfg:2: a zero byte");
  assert_fails(load(&c, mr_test_file("run.h5", binary, sizeof binary - 1), 0, NULL), MR_ERR_IO,
               "run.h5:1: not of the form");
}

static void missing_files_and_folders_are_refused(void **state)
{
  (void)state;
  mr_config c;
  char path[512];
  (void)snprintf(path, sizeof path, "%s/absent.cfg", mr_test_folder());
  assert_fails(load(&c, path, 0, NULL), MR_ERR_IO, path);
  assert_fails(load(&c, mr_test_folder(), 0, NULL), MR_ERR_IO, mr_test_folder());
  assert_fails(load(&c, "", 0, NULL), MR_ERR_IO, "cannot open");
}

static void long_lines_are_kept_whole_or_refused_never_cut(void **state)
{
  (void)state;
  mr_config c;
  static char text[20000], want[6000];
  int refused = 0;
  for (int n = 1; n < 5000; n = n * 5 / 4 + 1) {
    memset(want, 'p', (size_t)n);
    want[n] = '\0';
    (void)snprintf(text, sizeof text, "# %s\nout = %s # %s\nseed = 9\n", want, want, want);
    mr_status st = load_text(&c, text);
    if (st == MR_OK) {
      assert_int_equal(refused, 0);
      assert_string_equal(c.out, want);
      assert_int_equal(c.seed, 9);
      mr_config_free(&c);
    } else {
      assert_fails(st, MR_ERR_IO, "run.cfg:2: the line is too long");
      assert_true(n > 100);
      refused++;
    }
  }
  assert_true(refused > 0);
}

/* ---- Definitions ------------------------------------------------------------------------------ */

static void defaults_of_options_must_pass_their_own_check(void **state)
{
  (void)state;
  static const mr_opt bad[] = {{"form", "cubic", "linear|log", 0, 0, "space"}};
  static const mr_owner owner[] = {{"cell", bad, 1}};
  mr_config c;
  assert_fails(mr_config_load(&c, owner, 1, NULL, 0, NULL), MR_ERR_CONFIG,
               "default: cell.form = \"cubic\"");
}

static void more_options_than_there_is_room_for_are_a_clear_error(void **state)
{
  (void)state;
  static mr_opt many[MR_MAX_OPTIONS + 1];
  static const mr_owner owner[] = {{"cell", many, MR_MAX_OPTIONS + 1}};
  mr_config c;
  for (int i = 0; i <= MR_MAX_OPTIONS; i++) many[i] = cell_opts[1];
  assert_fails(mr_config_load(&c, owner, 1, NULL, 0, NULL), MR_ERR_INTERNAL,
               "more than 64 options");
}

/* ---- Round trip and help ----------------------------------------------------------------------- */

typedef struct pairs {
  int n;
  char key[128][96], value[128][96];
} pairs;

static mr_status collect(void *ctx, const char *key, const char *value)
{
  pairs *p = ctx;
  (void)snprintf(p->key[p->n], sizeof p->key[0], "%s", key);
  (void)snprintf(p->value[p->n++], sizeof p->value[0], "%s", value);
  return MR_OK;
}

static mr_status set_one(void *ctx, const char *key, const char *value)
{
  return mr_config_set(ctx, key, value, NULL);
}

static mr_status stop_at_lr(void *ctx, const char *key, const char *value)
{
  (void)value;
  ++*(int *)ctx;
  return strcmp(key, "lr") == 0 ? MR_FAIL(MR_ERR_IO, "full") : MR_OK;
}

static void every_value_survives_being_written_and_read(void **state)
{
  (void)state;
  static const char *const args[] = {"--lr=0.1",
                                     "--lr_min=3.3333333333333335e-05",
                                     "--dropout=0.30000000000000004",
                                     "--beta1=0.66666666666666663",
                                     "--adam_eps=1e-30",
                                     "--clip=123456789.12345679",
                                     "--seed=4611686018427387903",
                                     "--steps=1099511627776",
                                     "--out=a b#c",
                                     "--cell.bias=-0.125e-3",
                                     "--copy.note=x | y",
                                     "--weight_decay=4.9406564584124654e-324"};
  static pairs first, second;
  mr_config a, b;
  first.n = second.n = 0;
  assert_ok(load(&a, NULL, sizeof args / sizeof *args, args));
  assert_ok(load(&b, NULL, 0, NULL));
  assert_ok(mr_config_each(&a, set_one, &b));
#define STR(name, dflt, help)           assert_string_equal(a.name, b.name);
#define WORD(name, dflt, choices, help) assert_string_equal(a.name, b.name);
#define INT(name, dflt, lo, hi, help)   assert_true(a.name == b.name);
#define NUM(name, dflt, lo, hi, help)   assert_true(a.name == b.name);
  MR_CONFIG_MAP(STR, WORD, INT, NUM)
#undef STR
#undef WORD
#undef INT
#undef NUM
  assert_true(b.lr == 0.1 && b.lr_min == 1e-4 / 3 && b.dropout == 0.1 + 0.2);
  assert_ok(mr_config_each(&a, collect, &first));
  assert_ok(mr_config_each(&b, collect, &second));
  assert_int_equal(first.n, second.n);
  assert_string_equal(first.key[0], "task");
  assert_string_equal(first.key[first.n - N_OPTIONS], "cell.form");
  assert_string_equal(first.key[first.n - 1], "copy.note");
  assert_string_equal(first.value[first.n - 1], "x | y");
  for (int i = 0; i < first.n; i++) {
    assert_string_equal(first.key[i], second.key[i]);
    assert_string_equal(first.value[i], second.value[i]);
    if (strcmp(first.key[i], "lr") == 0) assert_string_equal(first.value[i], "0.1");
  }
  mr_config_free(&a);
  mr_config_free(&b);
}

static void each_stops_at_the_first_failure(void **state)
{
  (void)state;
  int n = 0;
  mr_config c;
  assert_ok(load(&c, NULL, 0, NULL));
  assert_fails(mr_config_each(&c, stop_at_lr, &n), MR_ERR_IO, "full");
  assert_in_range(n, 2, 25);
  mr_config_free(&c);
}

static void help_mentions_every_key_default_and_meaning(void **state)
{
  (void)state;
  for (int markdown = 0; markdown < 2; markdown++) {
    char text[32768], line[256];
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    mr_config_help(f, owners, N_OWNERS, markdown);
    assert_int_equal(fclose(f), 0);
    int n_lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++) n_lines++;
#define ONE(name, ...)                                                                             \
  (void)snprintf(line, sizeof line, markdown ? "| `%s` | " : "  --%s=", #name);                    \
  assert_holds(text, line);                                                                        \
  n_lines--;
    MR_CONFIG_MAP(ONE, ONE, ONE, ONE)
#undef ONE
    assert_int_equal(n_lines, N_OPTIONS + 2 * markdown);
    assert_holds(text, "cell.form");
    assert_holds(text, "linear, log");
    assert_holds(text, "tokens to remember");
    assert_holds(text, "1 to 1024");
    assert_holds(text,
                 markdown ? "| `lr` | `1e-3` | 0 to 100 | peak learning rate |\n" : "--lr=1e-3 ");
    assert_holds(text, markdown ? "any words \\| marks" : "any words | marks");
  }
}

static void a_starved_load_fails_cleanly_at_every_allocation(void **state)
{
  (void)state;
  static const char text[] = "width = 32\nout = x.h5\ncell.form = log\n";
  static const char *const args[] = {"--lr=1", "--copy.note=words"};
  const char *path = mr_test_file("run.cfg", text, sizeof text - 1);
  int64_t n = 1;
  for (mr_status st = MR_ERR_NOMEM; st != MR_OK; n++) {
    mr_config c;
    mr_alloc_fail_at(n);
    st = load(&c, path, 2, args);
    mr_alloc_fail_at(0);
    assert_true(st == MR_OK || st == MR_ERR_NOMEM);
    assert_true((st == MR_OK) == (c.text != NULL));
    mr_config_free(&c);
  }
  assert_int_equal(n, 7);
}

static int clean_up(void **state)
{
  (void)state;
  mr_test_folder_remove();
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults_are_those_of_the_table),
      cmocka_unit_test(flags_win_over_the_file_and_later_flags_over_earlier),
      cmocka_unit_test(bounds_of_a_range_are_allowed),
      cmocka_unit_test(set_copies_its_text_and_replaces_the_value),
      cmocka_unit_test(wrong_values_are_refused_with_key_value_and_range),
      cmocka_unit_test(unknown_keys_are_refused_and_near_ones_suggested),
      cmocka_unit_test(words_that_are_no_flags_show_the_right_form),
      cmocka_unit_test(errors_in_a_file_name_it_and_the_line),
      cmocka_unit_test(zero_bytes_and_binary_files_are_refused),
      cmocka_unit_test(missing_files_and_folders_are_refused),
      cmocka_unit_test(long_lines_are_kept_whole_or_refused_never_cut),
      cmocka_unit_test(defaults_of_options_must_pass_their_own_check),
      cmocka_unit_test(more_options_than_there_is_room_for_are_a_clear_error),
      cmocka_unit_test(every_value_survives_being_written_and_read),
      cmocka_unit_test(each_stops_at_the_first_failure),
      cmocka_unit_test(help_mentions_every_key_default_and_meaning),
      cmocka_unit_test(a_starved_load_fails_cleanly_at_every_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, clean_up);
}
