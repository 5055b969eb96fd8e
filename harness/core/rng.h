/* rng.h — counter-based random numbers (Philox4x32-10 of Random123): the same numbers on CPU and
 * GPU, in any order, in any number of threads. SPDX-License-Identifier: MIT */
#ifndef MR_RNG_H
#define MR_RNG_H
#include <stdint.h>
#include "status.h"
MR_C_BEGIN

/* Who draws. Streams of one seed are independent. */
typedef enum mr_stream {
  MR_STREAM_INIT,    /* parameters; index = hash of the name        */
  MR_STREAM_TRAIN,   /* training data; index = batch row            */
  MR_STREAM_VALID,   /* validation data                             */
  MR_STREAM_TEST,    /* test data                                   */
  MR_STREAM_DROPOUT, /* masks; drawn in kernels, see philox.h       */
  MR_STREAM_CHECK,   /* test inputs                                 */
  MR_STREAM_SAMPLE,  /* symbols of generated text; index = place    */
  MR_STREAM_EPISODE, /* starts and noise of environments; index = episode */
  MR_STREAM_ACTION   /* actions that try things out; index = episode      */
} mr_stream;

/* A cursor in the sequence named by (seed, stream, index). A plain value: copy it freely. */
typedef struct mr_rng {
  uint64_t seed, index;
  uint32_t stream, block, used;
  uint32_t word[4];
} mr_rng;

void mr_rng_seek(mr_rng *r, uint64_t seed, mr_stream stream, uint64_t index);
uint32_t mr_rng_u32(mr_rng *r);
double mr_rng_uniform(mr_rng *r);             /* [0, 1), 53 bits                        */
double mr_rng_normal(mr_rng *r);              /* mean 0, deviation 1                    */
uint32_t mr_rng_below(mr_rng *r, uint32_t n); /* 0 .. n-1, without bias; n >= 1         */
/* k distinct numbers of 0 .. n-1 in rising order, every subset equally likely. 0 <= k <= n. */
void mr_rng_subset(mr_rng *r, uint32_t n, uint32_t k, uint32_t *out);
MR_C_END
#endif
