/* A code object written by hand: y = x * w, and a state that keeps every x.
 *
 * Inputs x [batch, tokens, 4] f32 and mode [] i64; outputs y [batch, tokens, 4], total [] f32 (the sum over the whole
 * state); state past -> present [batch, length, 4] f32. mode 1: node 2 fails; 2: an output no memory holds; 3: a
 * scratch that no memory holds; 4: total is not made. */
#include "qcc/Runtime/Abi.h"

#ifndef TINY_ABI_VERSION
#define TINY_ABI_VERSION QCC_ABI_VERSION
#endif

enum { Width = 4, Arena = 0, NewLength, Batch, Tokens, Length, Capacity, TableLength };

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
  int64_t batch = table[Batch], tokens = table[Tokens], rows = batch * tokens;
  int64_t mode = *(const int64_t *)frame->inputs[1];
  const float *x = frame->inputs[0], *w = (const float *)frame->weights;
  float *products = (float *)frame->arena, *state = frame->states[0];
  if (thread == 0) {
    const int64_t huge[3] = {INT64_C(1) << 24, INT64_C(1) << 24, Width}, dims[3] = {batch, tokens, Width};
    frame->output(frame, 0, mode == 2 ? huge : dims);
    if (mode != 4)
      frame->output(frame, 1, 0);
    if (mode == 1)
      frame->error = 2;
    if (mode == 3)
      frame->allocate(frame, INT64_C(1) << 60);
    frame->exchange = frame->allocate(frame, 64);
  }
  for (int64_t row = rows * thread / frame->threads; row < rows * (thread + 1) / frame->threads; ++row)
    for (int64_t i = 0; i < Width; ++i) {
      products[row * Width + i] = x[row * Width + i] * w[i];
      state[((row / tokens) * table[Capacity] + table[Length] + row % tokens) * Width + i] = x[row * Width + i];
    }
  frame->barrier(frame, thread);
  /* Each thread copies what another one has computed. */
  int64_t other = (thread + 1) % frame->threads;
  float *y = frame->outputs[0];
  for (int64_t row = rows * other / frame->threads; row < rows * (other + 1) / frame->threads; ++row)
    for (int64_t i = 0; i < Width; ++i)
      y[row * Width + i] = products[row * Width + i];
  if (thread == frame->threads - 1) {
    float sum = 0;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t i = 0; i < table[NewLength] * Width; ++i)
        sum += state[b * table[Capacity] * Width + i];
    *(float *)frame->exchange = sum;
  }
  frame->barrier(frame, thread);
  if (thread == 0 && mode != 4)
    *(float *)frame->outputs[1] = *(float *)frame->exchange;
}

__attribute__((visibility("default")))
const qcc_program qcc_program_v1 = {TINY_ABI_VERSION, TableLength, 2, 2, 1, plan, run};
