/* config_file.c — `key = value` files, read by inih line by line. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include "config_impl.h"

typedef struct source {
  mr_config *c;
  const char *path;
  FILE *file;
  int line, n_set;
  int set_in[MR_N_KEYS + MR_MAX_OPTIONS]; /* line that set a key; 0: none */
  mr_status st;                           /* of the first failure; nothing is read after it */
} source;

static char *fail_here(source *s, mr_status code, const char *sentence)
{
  s->st = MR_FAIL(code, "%s:%d: %s", s->path, s->line, sentence);
  return NULL;
}

/* The rules of our files that inih does not share: no sections, no `key: value`, no key alone. */
static char *check_line(source *s, char *text)
{
  if (text[0] == '[')
    return fail_here(s, MR_ERR_CONFIG, "sections are not used; write key = value");
  if (text[0] != '\0' && text[strcspn(text, "=:")] != '=')
    return fail_here(s, MR_ERR_IO, "not of the form key = value; is the file cut off?");
  return text;
}

/* Reads one line into text [n] for inih: without the blanks in front (inih would join such a line to
 * the one before) and without its comment, so that only a real entry can be too long. */
static char *next_line(char *text, int n, void *ctx)
{
  source *s = ctx;
  int used = 0, last = ' ', ch = EOF, in_comment = 0;
  if (s->st != MR_OK) return NULL;
  s->line++;
  while ((ch = getc(s->file)) != EOF && ch != '\n') {
    if (ch == '\0') return fail_here(s, MR_ERR_IO, "a zero byte; this is no text file");
    if ((ch == '#' || ch == ';') && isspace(last)) in_comment = 1;
    last = ch;
    if (in_comment || (used == 0 && isspace(ch))) continue;
    if (used + 1 >= n) return fail_here(s, MR_ERR_IO, "the line is too long");
    text[used++] = (char)ch;
  }
  text[used] = '\0';
  if (ferror(s->file)) {
    s->st = MR_FAIL(MR_ERR_IO, "cannot read %s: %s", s->path, strerror(errno));
    return NULL;
  }
  if (ch == EOF && used == 0) return NULL;
  return check_line(s, text);
}

static int take(void *ctx, const char *section, const char *key, const char *value)
{
  source *s = ctx;
  (void)section;
  char where[512];
  (void)snprintf(where, sizeof where, "%s:%d", s->path, s->line);
  int i = mr_config_index(s->c, key);
  if (i >= 0 && s->set_in[i] != 0)
    s->st = MR_FAIL(MR_ERR_CONFIG, "%s: %s is set a second time; the first is in line %d", where,
                    key, s->set_in[i]);
  else
    s->st = mr_config_set(s->c, key, value, where);
  if (s->st != MR_OK) return 0;
  s->set_in[i] = s->line;
  s->n_set++;
  return 1;
}

mr_status mr_config_read(mr_config *c, const char *path)
{
  source s = {.c = c, .path = path};
  s.file = fopen(path, "r");
  if (!s.file) return MR_FAIL(MR_ERR_IO, "cannot open %s: %s", path, strerror(errno));
  int bad_line = ini_parse_stream(next_line, &s, take, &s);
  if (s.st == MR_OK && bad_line != 0)
    s.st = MR_FAIL(MR_ERR_IO, "%s:%d: not of the form key = value", path, bad_line);
  if (s.st == MR_OK && s.n_set == 0)
    s.st = MR_FAIL(MR_ERR_IO, "%s holds no line of the form key = value", path);
  if (fclose(s.file) != 0 && s.st == MR_OK)
    s.st = MR_FAIL(MR_ERR_IO, "cannot close %s: %s", path, strerror(errno));
  return s.st;
}
