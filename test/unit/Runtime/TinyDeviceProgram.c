/* TinyProgram.c for a device: the host part of the kernels in TinyProgram.ptx.
 *
 * mode 5: a kernel stores where it may not; 6: a kernel that does not exist is started; 7: reads where no memory is;
 * 8: the copy engine gets a tensor map, and one that it cannot use. Built with TINY_CAPTURABLE, mode is not looked at
 * and runs may be captured. */
#include "qcc/Runtime/Abi.h"

#ifndef TINY_KERNEL
#define TINY_KERNEL "scale"
#endif
#ifndef TINY_CLUSTER
#define TINY_CLUSTER 1
#endif
#ifdef TINY_CAPTURABLE
enum { Capturable = 1 };
#else
enum { Capturable = 0 };
#endif

enum { Width = 4, Block = 32, Arena = 0, NewLength, Batch, Tokens, Length, Capacity, TableLength };
enum { Scale, Append, Sum, Report, Stray, KernelCount };

static int64_t plan(const int64_t *dims, const int64_t *states, int64_t *table) {
  if (dims[2] != Width)
    return 3;
  int64_t bytes;
  if (__builtin_mul_overflow(dims[0], dims[1], &bytes) || __builtin_mul_overflow(bytes, Width * 4, &bytes))
    return -1;
  table[Arena] = bytes;
  table[Batch] = dims[0];
  table[Tokens] = dims[1];
  table[Length] = states[0];
  table[Capacity] = states[1];
  table[NewLength] = states[0] + dims[1];
  return 0;
}

static void run(qcc_frame *frame, int64_t thread) {
  const int64_t *table = frame->table;
  int64_t batch = table[Batch], tokens = table[Tokens], rows = batch * tokens, elements = rows * Width, mode = 0;
  if (!Capturable)
    frame->read(frame, frame->inputs[1], &mode, sizeof(mode));
  const int64_t huge[3] = {INT64_C(1) << 24, INT64_C(1) << 24, Width}, dims[3] = {batch, tokens, Width};
  const void *x = frame->inputs[0], *weights = frame->weights;
  void *state = frame->states[0], *arena = frame->arena;
  void *y = frame->output(frame, 0, mode == 2 ? huge : dims);
  if (mode == 3)
    frame->allocate(frame, INT64_C(1) << 60);
  if (mode == 1) {
    void *cell = frame->device_error;
    void *arguments[] = {&cell};
    frame->launch(frame, Report, 1, arguments);
  }
  if (mode == 5) {
    int64_t bytes = INT64_C(1) << 40;
    void *arguments[] = {&arena, &bytes};
    frame->launch(frame, Stray, 1, arguments);
  }
  if (mode == 6)
    frame->launch(frame, KernelCount, 1, 0);
  if (mode == 7)
    frame->read(frame, (const char *)arena + (INT64_C(1) << 40), &mode, sizeof(mode));
  if (mode == 8) {
    _Alignas(64) char map[128];
    qcc_tensor_map description = {7 /* float32 */, 2, arena, {Width, rows}, {0, 16}, {Width, 1}, 0};
    frame->tensor_map(frame, map, &description);
    description.address = (const char *)arena + 4;
    frame->tensor_map(frame, map, &description);
  }
  int64_t blocks = (elements + Block - 1) / Block;
  blocks = (blocks + TINY_CLUSTER - 1) / TINY_CLUSTER * TINY_CLUSTER;
  /* By way of the arena, so that two kernels follow one another. */
  void *scale[] = {&x, &weights, &arena, &elements};
  frame->launch(frame, Scale, blocks, scale);
  int64_t zero = 0;
  void *copy[] = {&arena, &y, &rows, &rows, &zero, &rows};
  frame->launch(frame, Append, (rows + Block - 1) / Block, copy);
  void *append[] = {&x, &state, &rows, (void *)&table[Tokens], (void *)&table[Length], (void *)&table[Capacity]};
  frame->launch(frame, Append, (rows + Block - 1) / Block, append);
  if (mode == 4)
    return;
  void *total = frame->output(frame, 1, 0);
  int64_t count = table[NewLength] * Width, stride = table[Capacity] * Width;
  void *sum[] = {&state, &total, &batch, &count, &stride};
  frame->launch(frame, Sum, 1, sum);
}

__attribute__((visibility("default")))
const qcc_program qcc_program_v1 = {QCC_ABI_VERSION, TableLength, 2, 2, 1, plan, run};

/* The sum wants more shared memory than every device has without being asked. */
static const qcc_device_kernel kernels[KernelCount] = {{TINY_KERNEL, Block, 0, TINY_CLUSTER},
                                                       {"append", Block, 0, 1},
                                                       {"sum", 1, 64 << 10, 1},
                                                       {"report", 1, 0, 1},
                                                       {"stray", 1, 0, 1}};

__attribute__((visibility("default")))
const qcc_device_program qcc_device_v1 = {QCC_ABI_VERSION, KernelCount, kernels, Capturable};
