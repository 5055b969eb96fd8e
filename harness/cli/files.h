/* files.h — run files named on a command line. SPDX-License-Identifier: MIT */
#ifndef MR_FILES_H
#define MR_FILES_H
#include "status.h"
MR_C_BEGIN

typedef struct mr_files {
  char **path;
  int n, room;
} mr_files;

/* Adds a path; for a folder its files that end in .h5, numbers in their names in order of size.
 * MR_ERR_IO where a folder cannot be read or has none. */
MR_MUST mr_status mr_files_add(mr_files *f, const char *path);
void mr_files_free(mr_files *f); /* a zeroed list is empty */
MR_C_END
#endif
