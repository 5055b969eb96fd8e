/* corpus.h — a text file as numbered symbols: characters or bytes. SPDX-License-Identifier: MIT */
#ifndef MR_CORPUS_H
#define MR_CORPUS_H
#include <stddef.h>
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

enum { MR_MAX_SYMBOLS = 65536 };

/* What a symbol is: a Unicode character of UTF-8 text, or a byte of any file. */
typedef enum mr_units { MR_UNITS_CHARS, MR_UNITS_BYTES } mr_units;

typedef struct mr_corpus {
  mr_units units;
  uint16_t *id; /* [n], the text                                       */
  int64_t n;
  uint32_t *symbol; /* [n_symbols], code points or bytes, rising           */
  int32_t n_symbols;
  int32_t *id_of; /* of every code point or byte; -1: not in the text    */
} mr_corpus;

/* Reads the file. MR_ERR_CONFIG says in a sentence what is wrong with it: absent, a folder, unreadable,
 * empty, too large for this machine's memory, no UTF-8, fewer than 2 or more than 65536 symbols. */
MR_MUST mr_status mr_corpus_open(mr_corpus *out, const char *path, mr_units units);
void mr_corpus_close(mr_corpus *k); /* zeroed, failed or open */

/* Symbol id as UTF-8 or as the byte itself into out [4], not ended; returns the number of bytes. */
int mr_corpus_decode(const mr_corpus *k, int32_t id, char *out);
/* n bytes of text as *count <= n symbols into id [n]. MR_ERR_ARG names the first that is not UTF-8 or
 * not in the corpus. */
MR_MUST mr_status mr_corpus_encode(const mr_corpus *k, const char *text, size_t n, int32_t *id,
                                   int64_t *count);
MR_C_END
#endif
