/* cmd_rl_make.c — `minrnn rl-make`: trains policies and writes data sets of theirs.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "make.h"
#include "mem.h"
#include "registry.h"
#include "rl_rows.h"

enum { LEVELS = 3, WORD_BYTES = 1200 };
static const char *const level_name[LEVELS] = {"medium", "medium-replay", "medium-expert"};

static int help(void)
{
  printf(
      "minrnn rl-make trains policies with PPO and writes data sets in D4RL's layout, as D4RL "
      "made\n"
      "its own: every step of training (medium-replay), a policy half-way (medium), that and the\n"
      "best one (medium-expert). Files that are there are kept; a search that was interrupted is\n"
      "gone on with.\n\n"
      "Usage: minrnn rl-make ENV [LEVEL...] [--out=DIR] [--seeds=N] [--steps=N] [--budget=N]\n"
      "                      [--quiet] [--key=value ...]\n\n"
      "  ENV         halfcheetah, hopper or walker2d\n"
      "  LEVEL       medium, medium-replay, medium-expert; none: all three. Without medium-expert\n"
      "              the search ends with the first policy that is half-way\n"
      "  --out=DIR   folder to write to (offline_rl.cache)\n"
      "  --seeds=N   policies to train, one per thread at a time (offline_rl.ppo_seeds)\n"
      "  --steps=N   steps of medium data, and again of expert data (offline_rl.data_steps)\n"
      "  --budget=N  steps each policy learns for (offline_rl.ppo_steps)\n"
      "  --quiet     no progress on standard error\n\n"
      "Other keys are those of minrnn train, such as threads and offline_rl.assets.\n");
  return MR_EXIT_DONE;
}

typedef struct arguments {
  mr_cli_settings settings;
  char (*text)[WORD_BYTES]; /* settings under their long names */
  const char *env, *level[LEVELS];
  int n_levels;
  bool quiet, help;
} arguments;

static mr_status take_word(arguments *a, const char *word)
{
  if (!a->env) {
    a->env = word;
    return MR_OK;
  }
  for (int i = 0; i < LEVELS; i++)
    if (strcmp(word, level_name[i]) == 0 && a->n_levels < LEVELS) {
      a->level[a->n_levels++] = level_name[i];
      return MR_OK;
    }
  return MR_FAIL(MR_ERR_ARG,
                 "level is %s, allowed are medium, medium-replay and medium-expert, once each",
                 word);
}

/* A setting, "--out=..." and its like under the names that the config knows. */
static mr_status take_setting(arguments *a, const char *command, const char *word)
{
  static const char *const name[][2] = {
      {"out", "cache"}, {"seeds", "ppo_seeds"}, {"steps", "data_steps"}, {"budget", "ppo_steps"}};
  for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
    const char *value = mr_cli_value(word, name[i][0]);
    if (!value) continue;
    char *text = a->text[a->settings.n];
    const int len = snprintf(text, WORD_BYTES, "--offline_rl.%s=%s", name[i][1], value);
    if (len < 0 || len >= WORD_BYTES)
      return MR_FAIL(MR_ERR_ARG, "--%s has %zu characters, allowed are at most %d", name[i][0],
                     strlen(value), WORD_BYTES / 2);
    word = text;
  }
  return mr_cli_setting(&a->settings, command, word);
}

static mr_status parse(arguments *a, int argc, char **argv)
{
  MR_CHECK(mr_cli_settings_open(&a->settings, argc));
  MR_CHECK(mr_calloc((void **)&a->text, (size_t)argc, sizeof *a->text));
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help"))
      a->help = true;
    else if (mr_cli_flag(argv[i], "quiet"))
      a->quiet = true;
    else if (argv[i][0] == '-')
      MR_CHECK(take_setting(a, argv[0], argv[i]));
    else
      MR_CHECK(take_word(a, argv[i]));
  }
  return MR_OK;
}

/* Makes the data and shows what they hold. */
static mr_status make(const arguments *a, const mr_config *c)
{
  mr_status st = MR_OK;
  mr_grid g = {.n_columns = 0};
  char path[1024];
  const int n = a->n_levels > 0 ? a->n_levels : LEVELS;
  const char *const *level = a->n_levels > 0 ? a->level : level_name;
  if (!a->env)
    return MR_FAIL(MR_ERR_ARG, "rl-make needs an environment, see minrnn rl-make --help");
  const mr_env_def *env = mr_env_find(a->env);
  if (!env)
    return MR_FAIL(MR_ERR_ARG, "there is no environment %s; halfcheetah, hopper and walker2d are",
                   a->env);
  MR_TRY(mr_make(env, c, level, n, a->quiet));
  for (int i = 0; i < n; i++) {
    MR_TRY(mr_make_path(path, sizeof path, env, c, level[i]));
    MR_TRY(mr_rl_file_row(&g, path, c));
  }
  mr_grid_print(&g, MR_GRID_ALIGNED, stdout);
out:
  mr_grid_free(&g);
  return st;
}

int mr_cmd_rl_make(int argc, char **argv)
{
  arguments a = {.env = NULL};
  mr_config c;
  int code = MR_EXIT_DONE;
  mr_status st = parse(&a, argc, argv);
  if (st == MR_OK && a.help) {
    code = help();
  } else {
    if (st == MR_OK) st = mr_run_config(&c, NULL, a.settings.n, a.settings.word);
    if (st == MR_OK) {
      st = make(&a, &c);
      mr_config_free(&c);
    }
    if (st != MR_OK) code = mr_cli_fail(st);
  }
  mr_free(a.text);
  mr_free(a.settings.word);
  return code;
}
