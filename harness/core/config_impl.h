/* config_impl.h — how config.c, config_file.c and config_help.c see one key.
 * SPDX-License-Identifier: MIT */
#ifndef MR_CONFIG_IMPL_H
#define MR_CONFIG_IMPL_H
#include <stddef.h>
#include "config.h"
MR_C_BEGIN

enum { MR_MAX_KEY = 96 }; /* bytes of "<owner>.<key>", end included */
typedef enum mr_kind { MR_KIND_STR, MR_KIND_WORD, MR_KIND_INT, MR_KIND_NUM } mr_kind;

/* One key: of the table, or "<owner>.<key>" of an option. */
typedef struct mr_field {
  char key[MR_MAX_KEY];
  mr_kind kind;
  const char *dflt, *choices, *help;
  double min, max;          /* MR_KIND_NUM */
  int64_t min_int, max_int; /* MR_KIND_INT */
  size_t offset;            /* in mr_config; table keys only */
} mr_field;

#define MR_ONE(...) +1
enum { MR_N_KEYS = 0 MR_CONFIG_MAP(MR_ONE, MR_ONE, MR_ONE, MR_ONE) };
#undef MR_ONE

/* Key i of the table, 0 .. MR_N_KEYS - 1. */
void mr_config_field(int i, mr_field *out);
void mr_config_option_field(const char *owner, const mr_opt *opt, mr_field *out);

/* "64 to 128", "a, b, c" or "any text" into buf; returns buf. */
const char *mr_config_allowed(const mr_field *f, char *buf, size_t n);
/* Number of the key: table keys first, then options; -1: unknown. */
int mr_config_index(const mr_config *c, const char *key);
/* Sets the keys of file `path`; see mr_config_load. */
MR_MUST mr_status mr_config_read(mr_config *c, const char *path);
MR_C_END
#endif
