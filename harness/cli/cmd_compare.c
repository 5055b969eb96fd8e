/* cmd_compare.c — `minrnn compare`: the same cells timed twice, told apart. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "compare.h"
#include "files.h"
#include "json.h"

static int help(void)
{
  printf(
      "minrnn compare tells of cells that minrnn bench timed twice whether the second time, B, is\n"
      "the same, faster or slower, or cannot be compared, and why.\n\n"
      "Usage: minrnn compare A B [--json]\n\n"
      "  A, B    two files of minrnn bench --out, or two folders of them, whose cells are\n"
      "          paired by name\n"
      "  --json  one JSON object per cell\n\n"
      "Compared are step times in units of the machine's pace at that moment, on one CPU thread\n"
      "by processor time. B is slower when its median is above A's by more than the threshold,\n"
      "and A's third quartile is below it, and B's first above A's median. The threshold is the\n"
      "interquartile range over the median, of the noisier run; at least 5 %%. Where other\n"
      "programs had a core for over a tenth of most rounds, what is not the same cannot be\n"
      "compared. Cells, processors, cores and GPUs must be equal, and no cell mistrusted.\n\n"
      "Exit codes: 0 every cell is the same or faster; 1 one is slower; 2 none is slower, but one\n"
      "cannot be compared. Cells that neither side could time do not count.\n");
  return MR_EXIT_DONE;
}

static const char *const verdict_word[] = {[MR_SAME] = "same",
                                           [MR_FASTER] = "faster",
                                           [MR_SLOWER] = "slower",
                                           [MR_INCOMPARABLE] = "cannot compare"};

/* ---- Pairs ----------------------------------------------------------------------------------- */

static const char *base(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* The file of b that goes with a; NULL: none. Two single files go together whatever their names. */
static const char *partner(const mr_files *a, int i, const mr_files *b, bool folders)
{
  if (!folders) return b->path[0];
  for (int k = 0; k < b->n; k++)
    if (strcmp(base(a->path[i]), base(b->path[k])) == 0) return b->path[k];
  return NULL;
}

static void alone(const char *path, char side, mr_comparison *c)
{
  *c = (mr_comparison){.verdict = MR_INCOMPARABLE, .timed = {true, true}};
  snprintf(c->cell, sizeof c->cell, "%s", base(path));
  snprintf(c->reason, sizeof c->reason, "it is in %c alone", side);
}

/* ---- Telling --------------------------------------------------------------------------------- */

typedef struct tally {
  bool json;
  int n[MR_INCOMPARABLE + 1];
} tally;

static void print_text(const mr_comparison *c)
{
  printf("%-14s %s\n", verdict_word[c->verdict], c->cell);
  if (c->verdict == MR_INCOMPARABLE)
    printf("    %s\n", c->reason);
  else
    printf("    step %.4g and %.4g ms; in units of pace %+.1f %%, threshold %.1f %%\n",
           c->step_ms[0], c->step_ms[1], 100 * c->change, 100 * c->threshold);
  if (c->unclear) printf("    too noisy to tell\n");
  if (c->unclear || (c->disturbed && c->verdict == MR_INCOMPARABLE))
    printf("    time both sides again, longer, then compare:\n"
           "    minrnn bench --cell=%s --seconds=%.0f --out=FOLDER\n",
           c->cell, fmax(20, ceil(4 * c->seconds)));
}

static void print_json(const mr_comparison *c)
{
  mr_json j;
  mr_json_begin(&j, stdout);
  mr_json_field_str(&j, "cell", c->cell);
  mr_json_field_str(&j, "verdict", verdict_word[c->verdict]);
  mr_json_field_str(&j, "reason", c->reason);
  if (c->verdict != MR_INCOMPARABLE) {
    mr_json_field_bool(&j, "unclear", c->unclear);
    mr_json_field_bool(&j, "disturbed", c->disturbed);
    mr_json_field_num(&j, "step_ms_a", c->step_ms[0]);
    mr_json_field_num(&j, "step_ms_b", c->step_ms[1]);
    mr_json_field_num(&j, "change", c->change);
    mr_json_field_num(&j, "threshold", c->threshold);
    mr_json_field_str(&j, "clock", c->processor_time ? "processor" : "wall");
  }
  mr_json_end(&j);
}

static void tell(tally *t, const mr_comparison *c)
{
  if (t->json)
    print_json(c);
  else
    print_text(c);
  if (c->verdict != MR_INCOMPARABLE || c->timed[0] || c->timed[1]) t->n[c->verdict]++;
}

/* ---- The command ----------------------------------------------------------------------------- */

static mr_status compare_all(tally *t, const mr_files *a, const mr_files *b, bool folders)
{
  mr_comparison c;
  for (int i = 0; i < a->n; i++) {
    const char *other = partner(a, i, b, folders);
    if (other != NULL)
      MR_CHECK(mr_compare_files(a->path[i], other, &c));
    else
      alone(a->path[i], 'A', &c);
    tell(t, &c);
  }
  for (int i = 0; i < b->n && folders; i++) {
    if (partner(b, i, a, folders) != NULL) continue;
    alone(b->path[i], 'B', &c);
    tell(t, &c);
  }
  return MR_OK;
}

static int compare(const char *const *path, bool json)
{
  mr_files f[2] = {{.n = 0}, {.n = 0}};
  tally t = {.json = json};
  mr_status st = MR_OK;
  for (int i = 0; i < 2 && st == MR_OK; i++) st = mr_files_add(&f[i], path[i]);
  const bool folders =
      st == MR_OK && !(f[0].n == 1 && f[1].n == 1 && strcmp(f[0].path[0], path[0]) == 0 &&
                       strcmp(f[1].path[0], path[1]) == 0);
  if (st == MR_OK) st = compare_all(&t, &f[0], &f[1], folders);
  for (int i = 0; i < 2; i++) mr_files_free(&f[i]);
  if (st != MR_OK) return mr_cli_wrong_use(st); /* nothing was compared: 1 would read as slower */
  if (!json)
    printf("%d same, %d faster, %d slower, %d cannot be compared\n", t.n[MR_SAME], t.n[MR_FASTER],
           t.n[MR_SLOWER], t.n[MR_INCOMPARABLE]);
  return t.n[MR_SLOWER] > 0 ? 1 : t.n[MR_INCOMPARABLE] > 0 ? 2 : 0;
}

int mr_cmd_compare(int argc, char **argv)
{
  const char *path[2];
  int n = 0;
  bool json = false;
  for (int i = 1; i < argc; i++) {
    if (mr_cli_flag(argv[i], "help")) return help();
    if (mr_cli_flag(argv[i], "json"))
      json = true;
    else if (argv[i][0] == '-' || n == 2)
      return mr_cli_unknown(argv[0], argv[i]);
    else
      path[n++] = argv[i];
  }
  if (n < 2)
    return mr_cli_fail(
        MR_FAIL(MR_ERR_ARG, "compare takes two files or two folders, see minrnn compare --help"));
  return compare(path, json);
}
