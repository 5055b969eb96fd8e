/* json.c — writes one JSON object per line to a stream. SPDX-License-Identifier: MIT */
#include "json.h"
#include <assert.h>
#include <math.h>
#include "text.h"

/* Length of the well-formed UTF-8 sequence at s, or 0. */
static int utf8_length(const unsigned char *s)
{
  static const struct {
    unsigned char from, to, low, high; /* first byte; range of the second */
    int more;                          /* bytes after the first           */
  } form[] = {
      {0x20, 0x7F, 0, 0, 0},       {0xC2, 0xDF, 0x80, 0xBF, 1}, {0xE0, 0xE0, 0xA0, 0xBF, 2},
      {0xE1, 0xEC, 0x80, 0xBF, 2}, {0xED, 0xED, 0x80, 0x9F, 2}, {0xEE, 0xEF, 0x80, 0xBF, 2},
      {0xF0, 0xF0, 0x90, 0xBF, 3}, {0xF1, 0xF3, 0x80, 0xBF, 3}, {0xF4, 0xF4, 0x80, 0x8F, 3}};
  for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
    if (s[0] < form[i].from || s[0] > form[i].to) continue;
    if (form[i].more > 0 && (s[1] < form[i].low || s[1] > form[i].high)) return 0;
    for (int k = 2; k <= form[i].more; k++)
      if (s[k] < 0x80 || s[k] > 0xBF) return 0;
    return 1 + form[i].more;
  }
  return 0;
}

static void put_string(FILE *f, const char *text)
{
  fputc('"', f);
  const unsigned char *s = (const unsigned char *)text;
  while (*s) {
    int n = utf8_length(s);
    if (*s == '"' || *s == '\\')
      fprintf(f, "\\%c", *s);
    else if (*s < 0x20)
      fprintf(f, "\\u%04x", *s);
    else if (n == 0)
      fputs("\xEF\xBF\xBD", f);
    else
      fwrite(s, 1, (size_t)n, f);
    s += n ? n : 1;
  }
  fputc('"', f);
}

/* What stands in front of a member's value. */
static void lead(mr_json *j, const char *key)
{
  if (j->filled[j->depth]) fputs(", ", j->f);
  j->filled[j->depth] = true;
  if (key) {
    put_string(j->f, key);
    fputs(": ", j->f);
  }
}

static void deeper(mr_json *j, char bracket)
{
  assert(j->depth + 1 < MR_JSON_DEPTH);
  fputc(bracket, j->f);
  j->filled[++j->depth] = false;
}

void mr_json_begin(mr_json *j, FILE *f)
{
  j->f = f;
  j->depth = 0;
  j->filled[0] = false;
  fputc('{', f);
}

void mr_json_end(mr_json *j)
{
  fputs("}\n", j->f);
}

void mr_json_field_str(mr_json *j, const char *key, const char *value)
{
  lead(j, key);
  if (value)
    put_string(j->f, value);
  else
    fputs("null", j->f);
}

void mr_json_field_num(mr_json *j, const char *key, double value)
{
  char text[32];
  lead(j, key);
  fputs(isfinite(value) ? mr_num_text(value, text, sizeof text) : "null", j->f);
}

void mr_json_field_int(mr_json *j, const char *key, int64_t value)
{
  lead(j, key);
  fprintf(j->f, "%lld", (long long)value);
}

void mr_json_field_bool(mr_json *j, const char *key, bool value)
{
  lead(j, key);
  fputs(value ? "true" : "false", j->f);
}

void mr_json_list_open(mr_json *j, const char *key)
{
  lead(j, key);
  deeper(j, '[');
}

void mr_json_list_close(mr_json *j)
{
  j->depth--;
  fputc(']', j->f);
}

void mr_json_object_open(mr_json *j, const char *key)
{
  lead(j, key);
  deeper(j, '{');
}

void mr_json_object_close(mr_json *j)
{
  j->depth--;
  fputc('}', j->f);
}
