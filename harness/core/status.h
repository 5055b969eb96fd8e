/* status.h — every function that can fail returns mr_status and leaves one sentence behind.
 * SPDX-License-Identifier: MIT */
#ifndef MR_STATUS_H
#define MR_STATUS_H

#ifdef __cplusplus
#define MR_C_BEGIN extern "C" {
#define MR_C_END   }
#else
#define MR_C_BEGIN
#define MR_C_END
#endif
/* The result must be read. */
#define MR_MUST __attribute__((warn_unused_result))

MR_C_BEGIN
/* One table: the enum, the texts and their test are made from it. */
#define MR_STATUS_MAP(X)                                                                           \
  X(MR_OK, "ok")                                                                                   \
  X(MR_ERR_ARG, "bad argument")                                                                    \
  X(MR_ERR_CONFIG, "bad config key or value")                                                      \
  X(MR_ERR_SHAPE, "shapes do not fit")                                                             \
  X(MR_ERR_NOMEM, "out of memory")                                                                 \
  X(MR_ERR_UNSUPPORTED, "no kernel on this device")                                                \
  X(MR_ERR_IO, "file or HDF5 error")                                                               \
  X(MR_ERR_CUDA, "CUDA or cuBLAS error")                                                           \
  X(MR_ERR_NUMERIC, "non-finite value")                                                            \
  X(MR_ERR_INTERRUPTED, "stopped by a signal")                                                     \
  X(MR_ERR_INTERNAL, "broken invariant")

typedef enum mr_status {
#define X(code, text) code,
  MR_STATUS_MAP(X)
#undef X
      MR_STATUS_COUNT
} mr_status;

/* The text of a status, never NULL. */
const char *mr_status_text(mr_status s);

/* Starts the thread's error trail with one sentence and a place. Returns `code`. */
mr_status mr_fail_at(const char *file, int line, mr_status code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds "via file:line" to the trail. */
void mr_trace_at(const char *file, int line);
/* The sentence of the last failure of this thread, without places. */
const char *mr_error_message(void);
/* The sentence and the places it passed, innermost first. Both stay valid until the next mr_fail_at
 * of this thread. */
const char *mr_error_trail(void);

/* Fails: the value is `code`, said twice so that static analysers see that it is not MR_OK. */
#define MR_FAIL(code, ...) (mr_fail_at(__FILE__, __LINE__, (code), __VA_ARGS__), (code))

/* For .c files. Needs a local `mr_status st` and a label `out:`. */
#define MR_TRY(expr)                                                                               \
  do {                                                                                             \
    st = (expr);                                                                                   \
    if (st != MR_OK) {                                                                             \
      mr_trace_at(__FILE__, __LINE__);                                                             \
      goto out;                                                                                    \
    }                                                                                              \
  } while (0)

/* For functions that own nothing (and all .cu launchers), which may return at once. */
#define MR_CHECK(expr)                                                                             \
  do {                                                                                             \
    mr_status st_ = (expr);                                                                        \
    if (st_ != MR_OK) {                                                                            \
      mr_trace_at(__FILE__, __LINE__);                                                             \
      return st_;                                                                                  \
    }                                                                                              \
  } while (0)
MR_C_END
#endif
