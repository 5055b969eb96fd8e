/* corpus.c — a text file as numbered symbols. SPDX-License-Identifier: MIT */
#include "corpus.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mem.h"

enum { CODE_POINTS = 0x110000, BYTES = 256 };

/* ---- UTF-8 (RFC 3629) ------------------------------------------------------------------------ */

/* Reads one character; returns its bytes, 0 when they are no UTF-8. left >= 1. */
static int read_char(const unsigned char *p, size_t left, uint32_t *out)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length; less is overlong */
  int n = p[0] < 0x80   ? 1
          : p[0] < 0xc0 ? 0
          : p[0] < 0xe0 ? 2
          : p[0] < 0xf0 ? 3
          : p[0] < 0xf8 ? 4
                        : 0;
  if (n == 0 || (size_t)n > left) return 0;
  uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
  for (int i = 1; i < n; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (p[i] & 0x3fu);
  }
  if (c < least[n] || c >= CODE_POINTS || (c >= 0xd800 && c < 0xe000)) return 0;
  *out = c;
  return n;
}

static int write_char(uint32_t c, char *out)
{
  int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  if (n == 1) {
    out[0] = (char)c;
    return 1;
  }
  for (int i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
  out[0] = (char)((0xf00u >> n & 0xff) | c);
  return n;
}

static int read_symbol(mr_units units, const unsigned char *p, size_t left, uint32_t *out)
{
  if (units == MR_UNITS_CHARS) return read_char(p, left, out);
  *out = p[0];
  return 1;
}

/* ---- The file -------------------------------------------------------------------------------- */

/* The file's bytes, the ids of as many symbols and the table of code points must fit. */
static mr_status check_size(const char *path, int64_t size)
{
  const double need = 3.0 * (double)size + 4.0 * CODE_POINTS;
  const double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
  if (size == 0) return MR_FAIL(MR_ERR_CONFIG, "%s is empty: there is no text to learn from", path);
  if (need <= have) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG,
                 "%s is too large: its %.1f GB need %.1f GB of memory, this machine has %.1f GB",
                 path, (double)size / 1e9, need / 1e9, have / 1e9);
}

static mr_status read_bytes(FILE *f, const char *path, unsigned char *to, size_t size)
{
  if (fread(to, 1, size, f) == size) return MR_OK;
  return MR_FAIL(MR_ERR_CONFIG, "%s cannot be read to its end: %s", path,
                 ferror(f) ? strerror(errno) : "it became shorter meanwhile");
}

/* The file is looked at before it is opened: opening a pipe would wait for its writer. */
static mr_status read_all(const char *path, unsigned char **bytes, size_t *size)
{
  struct stat s;
  if (stat(path, &s) != 0)
    return MR_FAIL(MR_ERR_CONFIG, "%s cannot be read: %s", path, strerror(errno));
  if (!S_ISREG(s.st_mode))
    return MR_FAIL(MR_ERR_CONFIG, "%s is %s, not a text file", path,
                   S_ISDIR(s.st_mode) ? "a folder" : "a device or pipe");
  MR_CHECK(check_size(path, s.st_size));
  *size = (size_t)s.st_size;
  FILE *f = fopen(path, "rb");
  if (f == NULL) return MR_FAIL(MR_ERR_CONFIG, "%s cannot be read: %s", path, strerror(errno));
  mr_status st = mr_calloc((void **)bytes, *size, 1);
  if (st == MR_OK) st = read_bytes(f, path, *bytes, *size);
  (void)fclose(f); /* was only read */
  return st;
}

/* ---- Symbols --------------------------------------------------------------------------------- */

/* Counts symbols and marks in id_of those that occur. */
static mr_status scan(mr_corpus *k, const char *path, const unsigned char *p, size_t size)
{
  uint32_t c = 0;
  for (size_t at = 0; at < size; k->n++) {
    const int n = read_symbol(k->units, p + at, size - at, &c);
    if (n == 0)
      return MR_FAIL(MR_ERR_CONFIG,
                     "%s is no UTF-8 text: byte %zu (0x%02x) begins no character; in units of "
                     "bytes any file can be read",
                     path, at, p[at]);
    if (c == 0 && k->units == MR_UNITS_CHARS)
      return MR_FAIL(MR_ERR_CONFIG,
                     "%s is no text: byte %zu is zero; in units of bytes any file can be read",
                     path, at);
    if (k->id_of[c] < 0) k->n_symbols++;
    k->id_of[c] = 0;
    at += (size_t)n;
  }
  if (k->n_symbols < 2)
    return MR_FAIL(MR_ERR_CONFIG, "%s has one symbol only, so there is nothing to predict", path);
  if (k->n_symbols > MR_MAX_SYMBOLS)
    return MR_FAIL(MR_ERR_CONFIG, "%s has %" PRId32 " different symbols; allowed: at most %d", path,
                   k->n_symbols, MR_MAX_SYMBOLS);
  return MR_OK;
}

/* Numbers the symbols by rising code point, then the text by them. */
static mr_status number(mr_corpus *k, const unsigned char *p, size_t size)
{
  const uint32_t all = k->units == MR_UNITS_CHARS ? CODE_POINTS : BYTES;
  int32_t next = 0;
  uint32_t c = 0;
  MR_CHECK(mr_calloc((void **)&k->symbol, (size_t)k->n_symbols, sizeof *k->symbol));
  MR_CHECK(mr_calloc((void **)&k->id, (size_t)k->n, sizeof *k->id));
  for (uint32_t i = 0; i < all; i++) {
    if (k->id_of[i] < 0) continue;
    k->symbol[next] = i;
    k->id_of[i] = next++;
  }
  for (int64_t i = 0; i < k->n; i++) {
    const int n = read_symbol(k->units, p, size, &c);
    k->id[i] = (uint16_t)k->id_of[c];
    p += n;
    size -= (size_t)n;
  }
  return MR_OK;
}

mr_status mr_corpus_open(mr_corpus *out, const char *path, mr_units units)
{
  mr_status st = MR_OK;
  mr_corpus k = {.units = units};
  const size_t all = units == MR_UNITS_CHARS ? CODE_POINTS : BYTES;
  unsigned char *bytes = NULL;
  size_t size = 0;
  memset(out, 0, sizeof *out);
  MR_TRY(read_all(path, &bytes, &size));
  MR_TRY(mr_calloc((void **)&k.id_of, all, sizeof *k.id_of));
  for (size_t i = 0; i < all; i++) k.id_of[i] = -1;
  MR_TRY(scan(&k, path, bytes, size));
  MR_TRY(number(&k, bytes, size));
  *out = k;
  memset(&k, 0, sizeof k);
out:
  mr_corpus_close(&k);
  mr_free(bytes);
  return st;
}

void mr_corpus_close(mr_corpus *k)
{
  mr_free(k->id);
  mr_free(k->symbol);
  mr_free(k->id_of);
}

/* ---- Text in and out ------------------------------------------------------------------------- */

int mr_corpus_decode(const mr_corpus *k, int32_t id, char *out)
{
  const uint32_t c = k->symbol[id];
  if (k->units == MR_UNITS_CHARS) return write_char(c, out);
  out[0] = (char)(unsigned char)c;
  return 1;
}

mr_status mr_corpus_encode(const mr_corpus *k, const char *text, size_t n, int32_t *id,
                           int64_t *count)
{
  const unsigned char *p = (const unsigned char *)text;
  uint32_t c = 0;
  *count = 0;
  for (size_t at = 0; at < n;) {
    const int bytes = read_symbol(k->units, p + at, n - at, &c);
    if (bytes == 0)
      return MR_FAIL(MR_ERR_ARG, "the text is no UTF-8: byte %zu (0x%02x) begins no character", at,
                     p[at]);
    if (k->id_of[c] < 0 && k->units == MR_UNITS_BYTES)
      return MR_FAIL(MR_ERR_ARG, "byte 0x%02" PRIx32 " is none of the %" PRId32 " that were learnt",
                     c, k->n_symbols);
    if (k->id_of[c] < 0)
      return MR_FAIL(MR_ERR_ARG,
                     "the character %.*s (U+%04" PRIX32 ") is none of the %" PRId32
                     " that were learnt",
                     c < ' ' ? 0 : bytes, text + at, c, k->n_symbols);
    id[(*count)++] = k->id_of[c];
    at += (size_t)bytes;
  }
  return MR_OK;
}
