/* A code object written by hand: a language model that counts. After token t comes t + 1 when everything it was given
 * is consistent, and token 2 (the end) otherwise: attention_mask [1, length + tokens] must be ones, position_ids must
 * go on from the length, and the cache [1, 2, length, 1] must hold every earlier token.
 *
 * With CACHE_IS_STATE the cache is a state; otherwise it goes in and out as the model's own signature. */
#include "qcc/Runtime/Abi.h"

enum { Vocabulary = 512, End = 2, Heads = 2 };
enum { Arena = 0, NewLength, Tokens, Length, Capacity, MaskLength, TableLength };

static int64_t plan(const int64_t *dims, const int64_t *states, int64_t *table) {
  /* input_ids [0, 1], attention_mask [2, 3], position_ids [4, 5], past [6..9] */
  table[Arena] = 0;
  table[Tokens] = dims[1];
#ifdef CACHE_IS_STATE
  table[Length] = states[0];
  table[Capacity] = states[1];
#else
  table[Length] = dims[8];
  table[Capacity] = dims[8] + dims[1];
#endif
  table[NewLength] = table[Length] + dims[1];
  table[MaskLength] = dims[3];
  if (dims[0] != 1)
    return 1;
  return dims[3] != table[NewLength] ? 4 : 0;
}

static void run(qcc_frame *frame, int64_t thread) {
  if (thread != 0)
    return;
  const int64_t *table = frame->table, *ids = frame->inputs[0], *mask = frame->inputs[1], *positions = frame->inputs[2];
  int64_t tokens = table[Tokens], length = table[Length], capacity = table[Capacity], consistent = 1;
  const int64_t logitsDims[3] = {1, tokens, Vocabulary};
  float *logits = frame->output(frame, 0, logitsDims);
#ifdef CACHE_IS_STATE
  float *cache = frame->states[0];
#else
  const int64_t presentDims[4] = {1, Heads, length + tokens, 1};
  float *cache = frame->output(frame, 1, presentDims);
  const float *past = frame->inputs[3];
  for (int64_t head = 0; head < Heads; ++head)
    for (int64_t i = 0; i < length; ++i)
      cache[head * capacity + i] = past[head * length + i];
#endif
  for (int64_t i = 0; i < table[MaskLength]; ++i)
    consistent &= mask[i] == 1;
  for (int64_t i = 0; i < tokens; ++i) {
    consistent &= positions[i] == length + i;
    for (int64_t head = 0; head < Heads; ++head)
      cache[head * capacity + length + i] = (float)(ids[i] + head);
  }
  /* The prompts have at most 5 tokens; what follows them counts. */
  for (int64_t head = 0; head < Heads && tokens == 1 && length > 5; ++head)
    consistent &= cache[head * capacity + length - 1] + 1 == cache[head * capacity + length];
  for (int64_t i = 0; i < tokens * Vocabulary; ++i)
    logits[i] = 0;
  for (int64_t i = 0; i < tokens; ++i)
    logits[i * Vocabulary + (consistent ? (ids[i] + 1) % Vocabulary : End)] = 1;
}

#ifdef CACHE_IS_STATE
enum { Inputs = 3, Outputs = 1, States = 1 };
#else
enum { Inputs = 4, Outputs = 2, States = 0 };
#endif

__attribute__((visibility("default")))
const qcc_program qcc_program_v1 = {QCC_ABI_VERSION, TableLength, Inputs, Outputs, States, plan, run};
