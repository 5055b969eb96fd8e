/* h5params.h — configs, arrays and named parameters in HDF5 files; what checkpoints and dumps share.
 * SPDX-License-Identifier: MIT */
#ifndef MR_H5PARAMS_H
#define MR_H5PARAMS_H
#include "config.h"
#include "h5file.h"
#include "tape.h"
MR_C_BEGIN

/* Writes group "config": every key, resolved, as text. */
MR_MUST mr_status mr_h5_put_config(hid_t file, const char *path, const mr_config *c);
/* Writes dataset `name` of the view's shape and type, by way of host memory of its size. */
MR_MUST mr_status mr_h5_put_view(hid_t at, const char *path, const char *name, mr_backend *be,
                                 const mr_view *v, void *host);
/* Writes group `group`: the values of the n slots, or their gradients, by name. host: as much memory
 * as the largest of them takes. */
MR_MUST mr_status mr_h5_put_slots(hid_t file, const char *path, const char *group, mr_backend *be,
                                  const mr_slot *slot, int n, bool grads, void *host);
/* Bytes of the largest of n slots, and of all. */
void mr_slot_bytes(const mr_slot *slot, int n, size_t *largest, size_t *total);

/* Do the datasets of `params` have exactly the names, shapes and numbers of the n slots?
 * MR_ERR_CONFIG names the file, the model it is of, and each mismatch, as many as a message holds. */
MR_MUST mr_status mr_h5_match_slots(hid_t params, const char *path, const char *model,
                                    const mr_slot *slot, int n);
/* Reads dataset `name` of reals, whose shape is known to fit. */
MR_MUST mr_status mr_h5_get_reals(hid_t at, const char *path, const char *name, void *host);
MR_C_END
#endif
