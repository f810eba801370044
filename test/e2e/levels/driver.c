/* Runs a code object without the runtime, for processors that are emulated: one float32 input, one float32 output, no
 * states. driver CODE.so WEIGHTS INPUT ROWS COLUMNS OUTPUT OUTPUT_BYTES */
#include "qcc/Runtime/Abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *read_all(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file)
    exit(3);
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  void *data = aligned_alloc(64, (size_t)(size + 127) / 64 * 64);
  if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
    exit(3);
  fclose(file);
  return data;
}

static void *result;
static void barrier(qcc_frame *frame, int64_t thread) { (void)frame, (void)thread; }
static void *output(qcc_frame *frame, int64_t index, const int64_t *dims) {
  (void)dims;
  return frame->outputs[index] = result;
}
static void *allocate(qcc_frame *frame, int64_t bytes) {
  (void)frame;
  return aligned_alloc(64, (size_t)(bytes + 127) / 64 * 64);
}

int main(int argc, char **argv) {
  if (argc != 8)
    return 3;
  void *code = dlopen(argv[1], RTLD_NOW);
  if (!code) {
    fprintf(stderr, "%s\n", dlerror());
    return 3;
  }
  const qcc_program *program = dlsym(code, QCC_PROGRAM_SYMBOL);
  int64_t dims[2] = {atoll(argv[4]), atoll(argv[5])}, bytes = atoll(argv[7]);
  int64_t *table = calloc((size_t)program->table_length, sizeof(int64_t));
  if (program->plan(dims, NULL, table))
    return 4;
  const void *inputs[1] = {read_all(argv[3])};
  void *outputs[1] = {NULL};
  result = aligned_alloc(64, (size_t)(bytes + 127) / 64 * 64);
  qcc_frame frame = {0};
  frame.table = table, frame.inputs = inputs, frame.outputs = outputs, frame.weights = read_all(argv[2]);
  frame.arena = allocate(&frame, table[0]);
  frame.threads = 1;
  frame.barrier = barrier, frame.output = output, frame.allocate = allocate;
  program->run(&frame, 0);
  FILE *file = fopen(argv[6], "wb");
  return frame.error || !file || fwrite(result, 1, (size_t)bytes, file) != (size_t)bytes || fclose(file);
}
