/* cli.c — errors, arguments and near misses for all commands. SPDX-License-Identifier: MIT */
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem.h"

int mr_cli_fail(mr_status st)
{
  const char *trace = getenv("MINRNN_TRACE");
  bool whole = trace != NULL && strcmp(trace, "1") == 0;
  /* Nothing is left to be told when standard error itself fails. */
  (void)fprintf(stderr, "minrnn: %s\n", whole ? mr_error_trail() : mr_error_message());
  return st == MR_ERR_CONFIG || st == MR_ERR_ARG ? MR_EXIT_USAGE : MR_EXIT_FAILED;
}

int mr_cli_wrong_use(mr_status st)
{
  (void)mr_cli_fail(st);
  return MR_EXIT_USAGE;
}

int mr_cli_unknown(const char *command, const char *arg)
{
  return mr_cli_fail(MR_FAIL(MR_ERR_ARG, "%s does not know the argument %s, see minrnn %s --help",
                             command, arg, command));
}

bool mr_cli_flag(const char *arg, const char *name)
{
  return strncmp(arg, "--", 2) == 0 && strcmp(arg + 2, name) == 0;
}

const char *mr_cli_value(const char *arg, const char *name)
{
  size_t n = strlen(name);
  if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, n) != 0 || arg[2 + n] != '=')
    return NULL;
  return arg + 3 + n;
}

/* ---- Settings ------------------------------------------------------------------------------- */

mr_status mr_cli_settings_open(mr_cli_settings *s, int argc)
{
  void *p;
  memset(s, 0, sizeof *s);
  MR_CHECK(mr_calloc(&p, (size_t)argc, sizeof *s->word));
  s->word = p;
  return MR_OK;
}

mr_status mr_cli_setting(mr_cli_settings *s, const char *command, const char *arg)
{
  if (strncmp(arg, "--", 2) == 0) {
    s->word[s->n++] = arg;
    return MR_OK;
  }
  if (arg[0] == '-' || arg[0] == '\0')
    return MR_FAIL(MR_ERR_ARG, "%s does not know the argument \"%s\", see minrnn %s --help",
                   command, arg, command);
  if (s->file != NULL)
    return MR_FAIL(MR_ERR_ARG, "%s takes one experiment file, not both %s and %s", command, s->file,
                   arg);
  s->file = arg;
  return MR_OK;
}

static bool is_plain(const char *word)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_-+=./,:@%";
  return word[0] != '\0' && word[strspn(word, plain)] == '\0';
}

/* Appends a word at *at, in single quotes where a shell would change it. */
static char *put_word(char *at, const char *word)
{
  *at++ = ' ';
  if (is_plain(word)) return stpcpy(at, word);
  *at++ = '\'';
  for (; *word != '\0'; word++) {
    if (*word == '\'')
      at = stpcpy(at, "'\\''");
    else
      *at++ = *word;
  }
  *at++ = '\'';
  *at = '\0';
  return at;
}

mr_status mr_cli_line(char **out, int n, char **word)
{
  void *p;
  size_t bytes = sizeof "minrnn";
  for (int i = 0; i < n; i++) bytes += 4 * strlen(word[i]) + 3; /* every byte a quote at worst */
  MR_CHECK(mr_calloc(&p, bytes, 1));
  char *at = stpcpy(p, "minrnn");
  for (int i = 0; i < n; i++) at = put_word(at, word[i]);
  *out = p;
  return MR_OK;
}

/* ---- Near misses ---------------------------------------------------------------------------- */

enum { LONGEST_WORD = 63 };

/* Insertions, deletions and replacements that turn a into b (Levenshtein). */
static int distance(const char *a, const char *b)
{
  int row[LONGEST_WORD + 1];
  int n = (int)strlen(b);
  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 1; a[i - 1] != '\0'; i++) {
    int corner = row[0]; /* row i-1, column j-1 */
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int replaced = corner + (a[i - 1] != b[j - 1]);
      int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      corner = row[j];
      row[j] = replaced < other ? replaced : other;
    }
  }
  return row[n];
}

int mr_cli_nearest(const char *word, const char *const *choice, int n)
{
  int best = -1, best_distance = 0;
  for (int i = 0; i < n; i++) {
    if (strlen(choice[i]) > LONGEST_WORD) continue;
    int d = distance(word, choice[i]);
    if (d > 2 || d >= (int)strlen(choice[i])) continue;
    if (best < 0 || d < best_distance) best = i, best_distance = d;
  }
  return best;
}
