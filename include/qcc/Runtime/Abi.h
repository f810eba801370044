/* The contract between generated code and the runtime: what a code object exports and what it is called with.
 *
 * Every thread of a run executes the whole program (SPMD): `run` is called once per thread with the same frame. Scalars
 * (dimensions, offsets) are computed by each thread for itself; loops are split among the threads by the generated
 * code; `barrier` stands where data crosses threads. Callbacks marked (thread 0) are called by thread 0 alone.
 *
 * Plain C, no dependencies: the header is also read by programs that embed a code object. */
#ifndef QCC_RUNTIME_ABI_H
#define QCC_RUNTIME_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QCC_ABI_VERSION 2
#define QCC_MAX_TABLE_LENGTH (1 << 20)

typedef struct qcc_frame qcc_frame;
typedef struct qcc_tensor_map qcc_tensor_map;

/* One run of a program. Filled by the runtime, shared by all its threads. */
struct qcc_frame {
  const int64_t *table;      /* what `plan` wrote */
  const void *const *inputs; /* data of each input, contiguous, row-major, aligned to its element; elements of less than
                                8 bits take a byte each, here as in outputs and states */
  void **outputs;            /* data of each output; set by `output` before the first store */
  void *const *states;    /* data of each state (KV cache), row-major, its dimension at `axis` being its capacity; the
                             first `length` positions along it are stored, the others hold finite values */
  const uint8_t *weights; /* start of the weights' data section, 64-byte aligned */
  uint8_t *arena;         /* table[0] bytes, 64-byte aligned, contents undefined */
  int64_t threads;        /* how many threads run the program, 1 or more */
  void *exchange;         /* owned by the generated code: thread 0 passes a pointer to the others around a barrier */
  int64_t error;          /* 0, or 1 + index of the node whose run-time check failed; the first one is kept */
  void (*barrier)(qcc_frame *, int64_t thread);
  /* (thread 0) Makes the storage of output `index`, whose dimensions are dims[0..rank) with the rank of the manifest,
   * 64-byte aligned, and stores it in outputs[index]. Never returns null: when there is no memory or a dimension is
   * negative it does not return; the run ends there for thread 0 and for every other thread at its next barrier.
   * Generated code therefore holds no resource of its own, and other threads read outputs[] after a barrier only. */
  void *(*output)(qcc_frame *, int64_t index, const int64_t *dims);
  /* (thread 0) Scratch of `bytes` bytes, 64-byte aligned, that lives until the run ends; ends the run
   * as `output` does when there is no memory or `bytes` is negative. */
  void *(*allocate)(qcc_frame *, int64_t bytes);
  void *runtime; /* owned by the runtime */

  /* What follows is set for programs for a device alone. */
  int64_t multiprocessors; /* of the device, 1 or more */
  int64_t
      *device_error; /* device memory, zero when the run starts: what kernels store there is `error` after the run */
  /* Starts `blocks` blocks of kernel `kernel`, after all that was started before. arguments[i] points to the kernel's
   * argument i, which is copied before the call returns. Nothing is started for 0 blocks. */
  void (*launch)(qcc_frame *, int64_t kernel, int64_t blocks, void **arguments);
  /* Copies from device memory, after all that was started before. */
  void (*read)(qcc_frame *, const void *from, void *to, int64_t bytes);
  /* Writes the 128 bytes of a tensor map, which kernels take by value. */
  void (*tensor_map)(qcc_frame *, void *map, const qcc_tensor_map *description);
};

/* The one symbol that a code object exports: `qcc_program_v1`, a qcc_program. The counts are those of the manifest;
 * what is a state there is neither an input nor an output. */
typedef struct {
  int64_t abi_version;  /* QCC_ABI_VERSION */
  int64_t table_length; /* int64 entries that `plan` writes: 1 + states or more, at most QCC_MAX_TABLE_LENGTH */
  int64_t inputs, outputs, states;
  /* Computes every size from the inputs' dimensions (all inputs' dims one after another, in the manifest's order) and
   * the states' (length, capacity) pairs. Returns 0, or 1 + the position in input_dims of the first dimension that
   * contradicts the model's signature. Dimensions must be >= 0 and products below 2^62: checked here; -1 when it is too
   * large.
   *
   * table[0] is the arena's size in bytes. table[1 + s] is the length that state s has after the run, which is not less
   * than before it: when that is more than the capacity, the runtime grows the state and calls `plan` again, so that
   * `run` sees a table made for the capacity it has. The rest of the table is the code object's own. A state's other
   * dimensions are those of the inputs that have the same symbols in the manifest. */
  int64_t (*plan)(const int64_t *input_dims, const int64_t *state_dims, int64_t *table);
  void (*run)(qcc_frame *, int64_t thread);
} qcc_program;

#define QCC_PROGRAM_SYMBOL "qcc_program_v1"

/* ---- Programs for a device
 *
 * The host part is a code object like any other; a second one, of the device's own kind (PTX, cubin), holds the
 * kernels. `run` is called by one thread, with `threads` 1, and never touches what the frame's pointers lead to but the
 * table: inputs, outputs, states, weights, arena and what `allocate` and `output` give are device addresses, 256-byte
 * aligned. All callbacks may end the run, in which case they do not return. `barrier` is not set. */

/* A tile of device memory as a device's copy engine sees it; dimension 0 is the innermost. */
struct qcc_tensor_map {
  int64_t type;        /* of elements: CUtensorMapDataType */
  int64_t rank;        /* 1 to 5 */
  const void *address; /* in device memory, 16-byte aligned */
  int64_t dims[5];
  int64_t strides[5]; /* bytes from one element to the next; strides[0] is not read */
  int64_t box[5];
  int64_t swizzle; /* bytes of the pattern: 0, 32, 64 or 128 */
};

typedef struct {
  const char *name;     /* of the entry in the device's code */
  int64_t threads;      /* of a block */
  int64_t shared_bytes; /* dynamic shared memory of a block */
  int64_t cluster;      /* blocks of a cluster, along the grid's first axis; 1: no clusters */
} qcc_device_kernel;

/* The second symbol of a device program's host part: `qcc_device_v1`, a qcc_device_program. */
typedef struct {
  int64_t abi_version; /* QCC_ABI_VERSION */
  int64_t kernel_count;
  const qcc_device_kernel *kernels;
  int64_t is_capturable; /* 1 when a run never calls `read` or `allocate`: what it starts follows from the table, and
                            the addresses in the frame, alone */
} qcc_device_program;

#define QCC_DEVICE_SYMBOL "qcc_device_v1"

#ifdef __cplusplus
}
#endif
#endif
