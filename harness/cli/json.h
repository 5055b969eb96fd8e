/* json.h — writes one JSON object per line to a stream. SPDX-License-Identifier: MIT */
#ifndef MR_JSON_H
#define MR_JSON_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "status.h"
MR_C_BEGIN

enum { MR_JSON_DEPTH = 8 };
/* A writer. Calls come in the order of the text; open and close in pairs. Errors of the stream are
 * the stream's: ask ferror once at the end. */
typedef struct mr_json {
  FILE *f;
  int depth;
  bool filled[MR_JSON_DEPTH]; /* the object or list at this depth has a member already */
} mr_json;

void mr_json_begin(mr_json *j, FILE *f); /* {                  */
void mr_json_end(mr_json *j);            /* } and the line end */

/* Members. key NULL: inside a list. Bytes that are no UTF-8 become U+FFFD; a NULL string and a
 * number that is not finite become null. */
void mr_json_field_str(mr_json *j, const char *key, const char *value);
void mr_json_field_num(mr_json *j, const char *key, double value);
void mr_json_field_int(mr_json *j, const char *key, int64_t value);
void mr_json_field_bool(mr_json *j, const char *key, bool value);

/* A list or object as a member. At most MR_JSON_DEPTH deep. */
void mr_json_list_open(mr_json *j, const char *key);
void mr_json_list_close(mr_json *j);
void mr_json_object_open(mr_json *j, const char *key);
void mr_json_object_close(mr_json *j);
MR_C_END
#endif
