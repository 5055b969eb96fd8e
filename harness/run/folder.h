/* folder.h — can a file be written where it is to lie? SPDX-License-Identifier: MIT */
#ifndef MR_FOLDER_H
#define MR_FOLDER_H
#include <stdint.h>
#include "status.h"
MR_C_BEGIN
/* Could `bytes` be written to a file at `path`, in its folder or, where that is still missing, in the
 * nearest one above? Leaves nothing behind. MR_ERR_CONFIG says what is in the way. */
MR_MUST mr_status mr_check_room(const char *path, int64_t bytes);
MR_C_END
#endif
