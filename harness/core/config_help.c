/* config_help.c — the table of keys as text for readers. SPDX-License-Identifier: MIT */
#include <string.h>
#include "config_impl.h"

static void plain_line(FILE *f, const mr_field *field, int width)
{
  char allowed[256], sample[2 * MR_MAX_KEY];
  (void)snprintf(sample, sizeof sample, "%s=%s", field->key, field->dflt);
  (void)fprintf(f, "  --%-*s  %s (%s)\n", width, sample, field->help,
                mr_config_allowed(field, allowed, sizeof allowed));
}

/* A bare vertical bar would end the cell. */
static void put_escaped(FILE *f, const char *text)
{
  for (; *text; text++) {
    if (*text == '|') (void)fputc('\\', f);
    (void)fputc(*text, f);
  }
}

static void markdown_line(FILE *f, const mr_field *field)
{
  char allowed[256];
  const char *tick = field->dflt[0] ? "`" : "";
  (void)fprintf(f, "| `%s` | %s%s%s | %s | ", field->key, tick, field->dflt, tick,
                mr_config_allowed(field, allowed, sizeof allowed));
  put_escaped(f, field->help);
  (void)fputs(" |\n", f);
}

/* The i-th key of the table and the owners' options in one row; 0 behind the last. */
static int nth_field(const mr_owner *owners, int n_owners, int i, mr_field *out)
{
  if (i < MR_N_KEYS) {
    mr_config_field(i, out);
    return 1;
  }
  i -= MR_N_KEYS;
  for (int o = 0; o < n_owners; i -= owners[o++].n_opts)
    if (i < owners[o].n_opts) {
      mr_config_option_field(owners[o].name, &owners[o].opts[i], out);
      return 1;
    }
  return 0;
}

void mr_config_help(FILE *f, const mr_owner *owners, int n_owners, int markdown)
{
  mr_field field;
  int width = 0;
  for (int i = 0; nth_field(owners, n_owners, i, &field); i++) {
    int used = (int)(strlen(field.key) + 1 + strlen(field.dflt));
    if (used > width) width = used;
  }
  if (markdown) (void)fputs("| key | default | allowed | meaning |\n|---|---|---|---|\n", f);
  for (int i = 0; nth_field(owners, n_owners, i, &field); i++)
    if (markdown)
      markdown_line(f, &field);
    else
      plain_line(f, &field, width);
}
