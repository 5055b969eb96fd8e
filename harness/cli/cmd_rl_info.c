/* cmd_rl_info.c — `minrnn rl-info`: what data sets of offline reinforcement learning hold.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>
#include "cli.h"
#include "mem.h"
#include "registry.h"
#include "rl_rows.h"

static int help(void)
{
  printf(
      "minrnn rl-info tells what data sets of offline reinforcement learning hold: trajectories,\n"
      "steps, sums of rewards, lengths, the normalised score of the mean (0 a random policy, 100 "
      "an\n"
      "expert) and whether D4RL or this program made them.\n\n"
      "Usage: minrnn rl-info FILE|ENV... [--json] [--key=value ...]\n\n"
      "  FILE    a data set in D4RL's layout (.hdf5), named after its environment: hopper_...\n"
      "  ENV     pendulum, tmaze, repeat, halfcheetah, hopper or walker2d: all its data on this\n"
      "          machine\n"
      "  --json  one JSON object per data set\n\n"
      "Keys are those of minrnn train; offline_rl.cache and offline_rl.d4rl (else MINRNN_D4RL)\n"
      "name the folders to look in. A data set that cannot be read is named on standard error,\n"
      "the others are still shown, and the exit code is 1.\n");
  return MR_EXIT_DONE;
}

static int show(char **word, int n, mr_grid_form form, const mr_config *c)
{
  mr_grid g = {.n_columns = 0};
  int code = MR_EXIT_DONE, failed = 0;
  for (int i = 0; i < n; i++) {
    const int64_t before = g.n_rows;
    const bool env = access(word[i], F_OK) != 0;
    const mr_status st =
        env ? mr_rl_env_rows(&g, word[i], c, &failed) : mr_rl_file_row(&g, word[i], c);
    if (st == MR_OK) continue;
    if (!env) g.n_rows = before;
    (void)mr_cli_fail(st);
    code = st == MR_ERR_ARG ? MR_EXIT_USAGE : MR_EXIT_FAILED;
  }
  if (failed > 0 && code == MR_EXIT_DONE) code = MR_EXIT_FAILED;
  if (g.n_rows > 0) mr_grid_print(&g, form, stdout);
  mr_grid_free(&g);
  return code;
}

int mr_cmd_rl_info(int argc, char **argv)
{
  mr_cli_settings s;
  mr_config c;
  mr_grid_form form = MR_GRID_ALIGNED;
  int n = 0, code; /* words that are no options move to the front of argv + 1 */
  for (int i = 1; i < argc; i++)
    if (mr_cli_flag(argv[i], "help")) return help();
  mr_status st = mr_cli_settings_open(&s, argc);
  if (st != MR_OK) return mr_cli_fail(st);
  for (int i = 1; i < argc && st == MR_OK; i++) {
    if (mr_cli_flag(argv[i], "json"))
      form = MR_GRID_JSON;
    else if (argv[i][0] == '-')
      st = mr_cli_setting(&s, argv[0], argv[i]);
    else
      argv[1 + n++] = argv[i];
  }
  if (st == MR_OK) st = mr_run_config(&c, NULL, s.n, s.word);
  if (st != MR_OK) {
    code = mr_cli_fail(st);
  } else {
    code = n > 0 ? show(argv + 1, n, form, &c)
                 : mr_cli_fail(MR_FAIL(MR_ERR_ARG, "rl-info needs a file or an environment, see "
                                                   "minrnn rl-info --help"));
    mr_config_free(&c);
  }
  mr_free(s.word);
  return code;
}
