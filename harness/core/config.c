/* config.c — the table of keys at work: defaults, flags, checks and text.
 * SPDX-License-Identifier: MIT */
#include "config.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "config_impl.h"
#include "mem.h"
#include "text.h"

/* ---- Fields --------------------------------------------------------------------------------- */

static const mr_field rows[MR_N_KEYS] = {
#define STR(name, dflt, help)                                                                      \
  {#name, MR_KIND_STR, dflt, NULL, help, 0, 0, 0, 0, offsetof(mr_config, name)},
#define WORD(name, dflt, choices, help)                                                            \
  {#name, MR_KIND_WORD, dflt, choices, help, 0, 0, 0, 0, offsetof(mr_config, name)},
#define INT(name, dflt, lo, hi, help)                                                              \
  {#name, MR_KIND_INT, #dflt, NULL, help, 0, 0, lo, hi, offsetof(mr_config, name)},
#define NUM(name, dflt, lo, hi, help)                                                              \
  {#name, MR_KIND_NUM, #dflt, NULL, help, lo, hi, 0, 0, offsetof(mr_config, name)},
    MR_CONFIG_MAP(STR, WORD, INT, NUM)
#undef STR
#undef WORD
#undef INT
#undef NUM
};

void mr_config_field(int i, mr_field *out)
{
  *out = rows[i];
}

void mr_config_option_field(const char *owner, const mr_opt *opt, mr_field *out)
{
  mr_kind kind = !opt->choices                    ? MR_KIND_NUM
                 : strcmp(opt->choices, "*") == 0 ? MR_KIND_STR
                                                  : MR_KIND_WORD;
  *out = (mr_field){.kind = kind,
                    .dflt = opt->dflt,
                    .choices = opt->choices,
                    .help = opt->help,
                    .min = opt->min,
                    .max = opt->max};
  (void)snprintf(out->key, sizeof out->key, "%s.%s", owner, opt->key);
}

static void field_at(const mr_config *c, int i, mr_field *out)
{
  if (i < MR_N_KEYS)
    mr_config_field(i, out);
  else
    mr_config_option_field(c->option[i - MR_N_KEYS].owner, c->option[i - MR_N_KEYS].opt, out);
}

static int n_fields(const mr_config *c)
{
  return MR_N_KEYS + c->n_options;
}

int mr_config_index(const mr_config *c, const char *key)
{
  for (int i = 0; i < n_fields(c); i++) {
    mr_field f;
    field_at(c, i, &f);
    if (strcmp(f.key, key) == 0) return i;
  }
  return -1;
}

/* ---- Checks --------------------------------------------------------------------------------- */

/* "a|b|c" as "a, b, c". */
static void list_choices(const char *choices, char *buf, size_t n)
{
  size_t used = 0;
  for (const char *p = choices; *p && used + 3 < n; p++) {
    buf[used++] = *p == '|' ? ',' : *p;
    if (*p == '|') buf[used++] = ' ';
  }
  buf[used] = '\0';
}

const char *mr_config_allowed(const mr_field *f, char *buf, size_t n)
{
  switch (f->kind) {
  case MR_KIND_STR:
    (void)snprintf(buf, n, "any text");
    break;
  case MR_KIND_WORD:
    list_choices(f->choices, buf, n);
    break;
  case MR_KIND_INT:
    (void)snprintf(buf, n, "%" PRId64 " to %" PRId64, f->min_int, f->max_int);
    break;
  case MR_KIND_NUM:
    (void)snprintf(buf, n, "%g to %g", f->min, f->max);
    break;
  }
  return buf;
}

static bool is_choice(const char *choices, const char *text)
{
  size_t n = strlen(text);
  for (const char *p = choices;; p++) {
    size_t len = strcspn(p, "|");
    if (len == n && strncmp(p, text, n) == 0) return true;
    p += len;
    if (*p == '\0') return false;
  }
}

/* Decimal digits with an optional minus, and room in 64 bits. */
static bool read_int(const char *text, int64_t *out)
{
  size_t sign = text[0] == '-';
  if (text[sign] == '\0' || text[sign + strspn(text + sign, "0123456789")] != '\0') return false;
  errno = 0;
  *out = strtoll(text, NULL, 10);
  return errno == 0;
}

/* A finite decimal number; no blanks, hexadecimal, "inf" or "nan". */
static bool read_num(const char *text, double *out)
{
  char *end;
  if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0') return false;
  *out = strtod(text, &end);
  return *end == '\0' && isfinite(*out);
}

typedef struct value {
  int64_t i;
  double d;
} value;

static mr_status check(const mr_field *f, const char *text, const char *where, value *out)
{
  char allowed[256];
  const char *colon = where ? ": " : "", *place = where ? where : "", *fault = NULL;
  switch (f->kind) {
  case MR_KIND_STR:
    break;
  case MR_KIND_WORD:
    if (!is_choice(f->choices, text)) fault = "is not among the choices";
    break;
  case MR_KIND_INT:
    if (!read_int(text, &out->i))
      fault = "is no whole number";
    else if (out->i < f->min_int || out->i > f->max_int)
      fault = "is out of range";
    break;
  case MR_KIND_NUM:
    if (!read_num(text, &out->d))
      fault = "is no finite decimal number";
    else if (out->d < f->min || out->d > f->max)
      fault = "is out of range";
    break;
  }
  if (!fault) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s%s%s = \"%.64s\" %s; allowed: %s", place, colon, f->key, text,
                 fault, mr_config_allowed(f, allowed, sizeof allowed));
}

/* Checks text and stores it; text itself is kept, not copied. */
static mr_status store(mr_config *c, int i, const char *text, const char *where)
{
  mr_field f;
  value v = {0, 0};
  field_at(c, i, &f);
  MR_CHECK(check(&f, text, where, &v));
  char *place = (char *)c + f.offset;
  if (i >= MR_N_KEYS)
    c->option[i - MR_N_KEYS].text = text;
  else if (f.kind == MR_KIND_INT)
    memcpy(place, &v.i, sizeof v.i);
  else if (f.kind == MR_KIND_NUM)
    memcpy(place, &v.d, sizeof v.d);
  else
    memcpy(place, &text, sizeof text);
  return MR_OK;
}

/* ---- Unknown keys --------------------------------------------------------------------------- */

static int min3(int a, int b, int c)
{
  int ab = a < b ? a : b;
  return ab < c ? ab : c;
}

/* Letters to insert, drop or change to make a into b (Levenshtein). Long words: far apart. */
static int distance(const char *a, const char *b)
{
  int row_of[MR_MAX_KEY + 1];
  int na = (int)strlen(a), nb = (int)strlen(b);
  if (na > MR_MAX_KEY || nb > MR_MAX_KEY) return MR_MAX_KEY;
  for (int j = 0; j <= nb; j++) row_of[j] = j;
  for (int i = 1; i <= na; i++) {
    int diagonal = row_of[0];
    row_of[0] = i;
    for (int j = 1; j <= nb; j++) {
      int change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row_of[j];
      row_of[j] = min3(change, row_of[j] + 1, row_of[j - 1] + 1);
    }
  }
  return row_of[nb];
}

static mr_status unknown_key(const mr_config *c, const char *key, const char *where)
{
  mr_field f, best;
  int least = 3; /* two slips are a misspelling, three another word */
  best.key[0] = '\0';
  for (int i = 0; i < n_fields(c); i++) {
    field_at(c, i, &f);
    const char *bare = i < MR_N_KEYS ? f.key : c->option[i - MR_N_KEYS].opt->key;
    int whole = distance(key, f.key), part = distance(key, bare);
    int d = whole < part ? whole : part;
    if (d < least && d < (int)strlen(key)) least = d, best = f;
  }
  const char *colon = where ? ": " : "", *place = where ? where : "";
  if (best.key[0] == '\0')
    return MR_FAIL(MR_ERR_CONFIG, "%s%sunknown key \"%.64s\"", place, colon, key);
  return MR_FAIL(MR_ERR_CONFIG, "%s%sunknown key \"%.64s\"; did you mean \"%s\"?", place, colon,
                 key, best.key);
}

/* ---- Setting -------------------------------------------------------------------------------- */

/* A copied string; the config owns a chain of them. */
typedef struct copy {
  struct copy *next;
  char text[];
} copy;

mr_status mr_config_set(mr_config *c, const char *key, const char *text, const char *where)
{
  mr_status st = MR_OK;
  void *block = NULL;
  int i = mr_config_index(c, key);
  if (i < 0) MR_TRY(unknown_key(c, key, where));
  size_t bytes = strlen(text) + 1;
  MR_TRY(mr_calloc(&block, 1, sizeof(copy) + bytes));
  copy *mine = block;
  memcpy(mine->text, text, bytes);
  MR_TRY(store(c, i, mine->text, where));
  mine->next = c->text;
  c->text = mine;
  block = NULL;
out:
  mr_free(block);
  return st;
}

void mr_config_free(mr_config *c)
{
  for (copy *p = c->text, *next; p; p = next) {
    next = p->next;
    mr_free(p);
  }
  *c = (mr_config){0};
}

static mr_status set_defaults(mr_config *c, const mr_owner *owners, int n_owners)
{
  for (int o = 0; o < n_owners; o++)
    for (int k = 0; k < owners[o].n_opts; k++) {
      if (c->n_options == MR_MAX_OPTIONS)
        return MR_FAIL(MR_ERR_INTERNAL, "models and tasks have more than %d options",
                       MR_MAX_OPTIONS);
      c->option[c->n_options++] =
          (mr_option_value){.owner = owners[o].name, .opt = &owners[o].opts[k]};
    }
  for (int i = 0; i < n_fields(c); i++) {
    mr_field f;
    field_at(c, i, &f);
    MR_CHECK(store(c, i, f.dflt, "default"));
  }
  return MR_OK;
}

/* arg is "--key=value"; next is the word behind it, for the hint. */
static mr_status set_flag(mr_config *c, const char *arg, const char *next)
{
  char key[MR_MAX_KEY];
  if (strncmp(arg, "--", 2) != 0)
    return MR_FAIL(MR_ERR_CONFIG, "\"%.64s\" is no option; options are written --key=value", arg);
  size_t n = strcspn(arg + 2, "=");
  (void)snprintf(key, sizeof key, "%.*s", (int)(n < sizeof key ? n : sizeof key), arg + 2);
  if (arg[2 + n] == '=') return mr_config_set(c, key, arg + 2 + n + 1, NULL);
  int i = mr_config_index(c, key);
  if (i < 0) return unknown_key(c, key, NULL);
  mr_field f;
  field_at(c, i, &f);
  bool follows = next && strncmp(next, "--", 2) != 0;
  return MR_FAIL(MR_ERR_CONFIG, "--%s has no value; write --%s=%.64s", key, key,
                 follows     ? next
                 : f.dflt[0] ? f.dflt
                             : "<text>");
}

mr_status mr_config_load(mr_config *c, const mr_owner *owners, int n_owners, const char *path,
                         int n, const char *const *args)
{
  mr_status st = MR_OK;
  *c = (mr_config){0};
  MR_TRY(set_defaults(c, owners, n_owners));
  if (path) MR_TRY(mr_config_read(c, path));
  for (int i = 0; i < n; i++) MR_TRY(set_flag(c, args[i], i + 1 < n ? args[i + 1] : NULL));
out:
  if (st != MR_OK) mr_config_free(c);
  return st;
}

/* ---- Reading back --------------------------------------------------------------------------- */

mr_status mr_config_each(const mr_config *c, mr_config_fn fn, void *ctx)
{
  for (int i = 0; i < n_fields(c); i++) {
    mr_field f;
    char number[40];
    const char *text = number;
    field_at(c, i, &f);
    const char *place = (const char *)c + f.offset;
    int64_t whole;
    double real;
    if (i >= MR_N_KEYS) {
      text = c->option[i - MR_N_KEYS].text;
    } else if (f.kind == MR_KIND_INT) {
      memcpy(&whole, place, sizeof whole);
      (void)snprintf(number, sizeof number, "%" PRId64, whole);
    } else if (f.kind == MR_KIND_NUM) {
      memcpy(&real, place, sizeof real);
      (void)mr_num_text(real, number, sizeof number);
    } else {
      memcpy(&text, place, sizeof text);
    }
    MR_CHECK(fn(ctx, f.key, text));
  }
  return MR_OK;
}

static const mr_option_value *find_option(const mr_config *c, const char *owner, const char *key)
{
  for (int i = 0; i < c->n_options; i++)
    if (strcmp(c->option[i].owner, owner) == 0 && strcmp(c->option[i].opt->key, key) == 0)
      return &c->option[i];
  return NULL;
}

const char *mr_option_text(const mr_config *c, const char *owner, const char *key)
{
  const mr_option_value *v = find_option(c, owner, key);
  assert(v && "a model or task asked for an option that it does not list");
  return v ? v->text : "";
}

double mr_option_num(const mr_config *c, const char *owner, const char *key)
{
  const mr_option_value *v = find_option(c, owner, key);
  assert(v && !v->opt->choices && "a model or task asked for a number that it does not list");
  return v ? strtod(v->text, NULL) : NAN;
}
