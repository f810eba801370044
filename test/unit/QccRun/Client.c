/* A program in C as a user writes it, on libqcc.so: runs the artifact around TinyProgram.c and prints y. */
#include "qcc/Runtime/qcc.h"

#include <stdio.h>

int main(int argc, char **argv) {
  qcc1_error error = {sizeof(error)};
  qcc1_model *model = NULL;
  qcc1_session *session = NULL;
  if (argc != 2 || qcc1_version() != 1 || qcc1_model_open(argv[1], NULL, &model, &error) != QCC1_OK ||
      qcc1_session_open(model, NULL, &session, &error) != QCC1_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 2;
  }
  float x[4] = {1, 1, 1, 1};
  int64_t mode = 0, shape[3] = {1, 1, 4};
  DLTensor xTensor = {x, {1, 0}, 3, {2, 32, 1}, shape, NULL, 0};
  DLTensor modeTensor = {&mode, {1, 0}, 0, {0, 64, 1}, NULL, NULL, 0};
  qcc1_input inputs[2] = {{"x", &xTensor}, {"mode", &modeTensor}};
  qcc1_output output = {"y", NULL};
  int status = qcc1_session_run(session, inputs, 2, &output, 1, &error);
  if (status == QCC1_OK) {
    const float *y = output.tensor->dl_tensor.data;
    printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
    output.tensor->deleter(output.tensor);
  } else {
    fprintf(stderr, "%s\n", error.message);
  }
  qcc1_session_close(session);
  qcc1_model_close(model);
  return status == QCC1_OK ? 0 : 1;
}
