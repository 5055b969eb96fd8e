/* tape_impl.h — what the tape's own files share: recording, planning, running.
 * SPDX-License-Identifier: MIT */
#ifndef MR_TAPE_IMPL_H
#define MR_TAPE_IMPL_H
#include "mem.h"
#include "plan.h"
#include "tape.h"

enum { MR_MAX_SCOPE = 256, MR_NONE = -1 };

typedef enum value_kind { VALUE_INPUT, VALUE_PARAM, VALUE_NODE } value_kind;

/* One value of the step. Ids start at 1; value[0] is unused. */
typedef struct value {
  value_kind kind;
  mr_dtype dtype;
  mr_shape shape;
  const char *name;          /* inputs and parameters                       */
  int32_t node, output;      /* producer, for VALUE_NODE                */
  int32_t slot;              /* for VALUE_PARAM                             */
  int32_t first_use, n_uses; /* into tape.use, after planning      */
  bool kept, wants_grad, has_grad;
  int32_t buf, grad_buf; /* into tape.buf; MR_NONE: none           */
} value;

typedef struct node {
  const mr_op *op;
  void *attr;
  const char *scope;
  mr_need need;
  int32_t in, n_in; /* tape.operand[in .. in + n_in)              */
  int32_t out;      /* id of output 0; outputs have rising ids    */
  int32_t save;     /* buffer of saved 0; MR_NONE: none           */
  int32_t work_fwd, work_bwd;
  int32_t zero_out; /* buffer of a dout[0] that nobody gives      */
  bool active;      /* has a backward                             */
  double flops_bwd, bytes_bwd;
} node;

/* How the gradient of one operand is written. */
typedef struct operand {
  int32_t value, node;
  bool wanted, first, shared; /* shared: in the memory of dout[0] or of the input itself */
} operand;

typedef struct param {
  mr_init init;
  size_t offset;      /* into values and gradients                       */
  int32_t owner_slot; /* borrowed: the owner's slot                 */
} param;

/* A call ready to run, and where its views stand in the pool. */
typedef struct call {
  mr_call c;
  mr_kernel fn;
} call;

struct mr_tape {
  mr_backend *be;
  const struct mr_tape *owner; /* of borrowed parameters            */
  uint64_t seed;
  mr_status st; /* first recording error, with its sentence         */
  char *error;

  value *value;
  node *node;
  operand *operand;
  param *param;
  mr_slot *slot;
  int32_t n_values, n_nodes, n_operands, n_slots;
  int32_t cap_values, cap_nodes, cap_operands, cap_params, cap_slots;
  void *arena; /* chain of blocks for names and attributes          */
  size_t arena_used;
  char scope[MR_MAX_SCOPE];
  int32_t *table; /* hash of names of inputs and parameters         */
  int32_t cap_table;

  bool planned, train, allocated, poison;
  int32_t root;
  int32_t *use; /* consuming operands, grouped by value, by rising node */
  mr_buf *buf;
  int32_t *alias;   /* buffer -> the buffer whose memory it shares      */
  int32_t *member;  /* next buffer in the same memory; MR_NONE ends     */
  int32_t *grad_of; /* value whose gradient the buffer holds; 0: none   */
  int32_t n_bufs;
  size_t slab_bytes, bound_bytes, param_bytes;

  void *slab, *values, *grads;
  mr_tick *tick;
  mr_tick tick_host;
  mr_real *scale; /* device: the gradient of a scalar root        */
  mr_real scale_host;
  call *fwd, *bwd;
  mr_view *views;
  mr_real *betas;
  mr_real **beta_first; /* betas of first writers to parameters     */
  int32_t n_beta_first;
  bool *slot_written;
};

/* Copies n bytes into the tape's arena. */
MR_MUST mr_status mr_arena_copy(struct mr_tape *t, const void *p, size_t n, void **out);
/* Room for one more element of a growing array. */
MR_MUST mr_status mr_room(void **p, int32_t n, int32_t *cap, size_t size);
/* FNV-1a of a name: places in the name table, streams of initial values. */
uint64_t mr_name_hash(const char *s);
/* Initial values of all own parameters. */
MR_MUST mr_status mr_tape_init_params(struct mr_tape *t);
/* Puts the gradient of a scalar root on the device, where a captured backward finds it. */
MR_MUST mr_status mr_tape_set_scale(struct mr_tape *t, mr_real scale);
/* Calls with their views, after the slabs exist. */
MR_MUST mr_status mr_tape_wire(struct mr_tape *t);
#endif
