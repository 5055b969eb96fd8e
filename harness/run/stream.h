/* stream.h — recurrent mode: a network that reads sequences as they come, in stretches and step by
 * step, with its state carried along. SPDX-License-Identifier: MIT */
#ifndef MR_STREAM_H
#define MR_STREAM_H
#include "build.h"
MR_C_BEGIN

typedef struct mr_streamer mr_streamer;

/* Memory for B sequences side by side; `chunk` >= 1 steps are read at once where there are as many.
 * Takes the parameters of `owner`, the allocated tape of a network recorded by mr_build, as they are
 * whenever steps are read; NULL: has its own, with their initial values. Borrows be, c, m and owner. */
MR_MUST mr_status mr_streamer_open(mr_streamer **out, mr_backend *be, const mr_config *c,
                                   const mr_model_def *m, const mr_task_info *info, int64_t B,
                                   int64_t chunk, const mr_tape *owner);
void mr_streamer_close(mr_streamer *s); /* NULL is fine */
/* Device bytes that opening would allocate; allocates none of them. */
MR_MUST mr_status mr_streamer_bytes(mr_backend *be, const mr_config *c, const mr_model_def *m,
                                    const mr_task_info *info, int64_t B, int64_t chunk,
                                    int64_t *bytes);
/* The tape whose parameters the network has, for mr_checkpoint_load. */
const mr_tape *mr_streamer_params(const mr_streamer *s);
/* Steps that the model can read from the start of a sequence; 0: any number. */
int64_t mr_streamer_context(const mr_streamer *s);

/* All B sequences start anew; so they do after opening. Wanted too when parameters have changed. */
void mr_streamer_restart(mr_streamer *s);
/* The same where parameters have not changed: initial states are not computed again. */
void mr_streamer_rewind(mr_streamer *s);
/* Reads n more steps: token [B,n] and value [B,n,in_dim], on the host, NULL where the task has none.
 * Allocates nothing. */
MR_MUST mr_status mr_streamer_read(mr_streamer *s, const int32_t *token, const mr_real *value,
                                   int64_t n);
/* Outputs [B,out_dim] of the step read last, to the host. MR_ERR_ARG before the first. */
MR_MUST mr_status mr_streamer_last(const mr_streamer *s, mr_real *y);
/* The same network over one whole sequence at once, without any carried state: token [T] and value
 * [T,in_dim] of info.T steps, y [T - from,out_dim] its outputs; all on the host. MR_ERR_ARG with an
 * owner. */
MR_MUST mr_status mr_streamer_whole(mr_streamer *s, const int32_t *token, const mr_real *value,
                                    mr_real *y);
MR_C_END
#endif
