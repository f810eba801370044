/* Runs compiled models: the C interface of libqcc.
 *
 * A model is an opened artifact; a session is what one caller runs it with: its threads, its memory, its state (such as
 * a decoder's key/value cache). A model may be used from any number of threads at once, a session from one at a time.
 * There is no global state. Tensors at the border are DLPack's, on the CPU or on the session's device.
 *
 * An artifact's data is checked; its code is a program, to be trusted as any shared library is.
 *
 * Structs passed by the caller start with their size (`struct_size = sizeof(...)`), so that later versions can add
 * fields at their ends. Every function that can fail returns a code and, when `error` is not null, describes the
 * failure there. */
#ifndef QCC_RUNTIME_QCC_H
#define QCC_RUNTIME_QCC_H

#include <stddef.h>
#include <stdint.h>

/* DLPack's stable structs, for programs that do not include dlpack.h before this header. */
#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_
#ifdef __cplusplus
extern "C" {
#endif
typedef struct {
  int32_t device_type; /* 1: CPU, 2: CUDA */
  int32_t device_id;
} DLDevice;

/* Codes: 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool, 10 float8_e4m3fn, 11 e4m3fnuz, 12 e5m2, 13 e5m2fnuz,
 * 14 e8m0fnu, 17 float4_e2m1fn. Elements of less than 8 bits take a byte each. */
typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; /* in elements; null: row-major without gaps */
  uint64_t byte_offset;
} DLTensor;

typedef struct DLManagedTensor {
  DLTensor dl_tensor;
  void *manager_ctx;
  void (*deleter)(struct DLManagedTensor *self);
} DLManagedTensor;
#ifdef __cplusplus
}
#endif
#endif

#if defined(__GNUC__)
#define QCC_API __attribute__((visibility("default")))
#else
#define QCC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  QCC1_OK = 0,
  QCC1_FILE = 1,     /* the file cannot be read, or is not an unaltered artifact of this version */
  QCC1_TARGET = 2,   /* no code in the artifact runs on this machine or device, or it cannot be loaded; no driver */
  QCC1_ARGUMENT = 3, /* an argument, name, index, element type or dimension is not what the model takes */
  QCC1_RUN = 4,      /* a check inside the model failed while it ran (`node` says where), or a device did */
  QCC1_MEMORY = 5
} qcc1_status;

typedef struct {
  size_t struct_size;
  int32_t code;       /* a qcc1_status */
  char message[1024]; /* one sentence, cut where it is longer */
  char node[256];     /* the ONNX node that failed, or empty */
} qcc1_error;

typedef struct qcc1_model qcc1_model;
typedef struct qcc1_session qcc1_session;

/* The ABI of this header: 1. */
QCC_API int32_t qcc1_version(void);

/* ---- models ---- */

typedef struct {
  size_t struct_size;
  const char *target; /* the name of the code to take; null: the artifact's first that the device supports */
  /* Where sessions run that do not say otherwise: "cpu", "cuda" (the first such device), "cuda:N", or "emulate", which
   * runs code for CUDA devices on the processor, slowly, and checks it. Null: the processor where the artifact has code
   * for that, else "cuda". */
  const char *device;
} qcc1_model_options;

/* `options` may be null. On failure *model is null. */
QCC_API qcc1_status qcc1_model_open(const char *path, const qcc1_model_options *options, qcc1_model **model,
                                    qcc1_error *error);
/* `data` is neither copied nor freed: it stays as it is until the model and its sessions are closed. */
QCC_API qcc1_status qcc1_model_open_memory(const void *data, size_t size, const qcc1_model_options *options,
                                           qcc1_model **model, qcc1_error *error);
/* Null is allowed. Sessions that are still open keep what they need. */
QCC_API void qcc1_model_close(qcc1_model *model);

/* What follows is owned by the model and lives as long. */

typedef struct {
  size_t struct_size;
  const char *name;
  DLDataType dtype;
  int32_t rank;
  const int64_t *dims;        /* -1 where the size is known at run time only */
  const char *const *symbols; /* the name of such a dimension; empty where the size is known */
} qcc1_value;

/* An input/output pair of the model that the session keeps: it grows along `axis` with every run. */
typedef struct {
  size_t struct_size;
  qcc1_value value;   /* `name` is the input's */
  const char *output; /* the output's name */
  int32_t axis;
} qcc1_state;

QCC_API const char *qcc1_model_manifest(const qcc1_model *model); /* JSON */
QCC_API const char *qcc1_model_target(const qcc1_model *model);
QCC_API size_t qcc1_model_input_count(const qcc1_model *model);
QCC_API size_t qcc1_model_output_count(const qcc1_model *model);
QCC_API size_t qcc1_model_state_count(const qcc1_model *model);
/* `value` (and `state`) come with struct_size set. QCC1_ARGUMENT when there is no such index. */
QCC_API qcc1_status qcc1_model_input(const qcc1_model *model, size_t index, qcc1_value *value);
QCC_API qcc1_status qcc1_model_output(const qcc1_model *model, size_t index, qcc1_value *value);
QCC_API qcc1_status qcc1_model_state(const qcc1_model *model, size_t index, qcc1_state *state);
/* The bytes of a part of the artifact ("tokenizer.bin"); null when there is none. */
QCC_API const void *qcc1_model_part(const qcc1_model *model, const char *name, size_t *size);
/* Compares every part with its hash in the manifest. Opening does so for all but weights of 64 MiB and more. */
QCC_API qcc1_status qcc1_model_verify(const qcc1_model *model, qcc1_error *error);

/* ---- sessions ---- */

typedef struct {
  size_t struct_size;
  int32_t threads;           /* on the processor; 0: as many as the process may use at once */
  const char *device;        /* as for the model; null: the model's */
  int32_t outputs_on_device; /* 1: outputs stay in the device's memory; 0: they are copied to the processor's */
  int32_t
      graphs; /* 1: what a run starts on a device is recorded as a graph and replayed, where the program allows it */
} qcc1_session_options;

QCC_API qcc1_status qcc1_session_open(qcc1_model *model, const qcc1_session_options *options, qcc1_session **session,
                                      qcc1_error *error);
QCC_API void qcc1_session_close(qcc1_session *session);
QCC_API int32_t qcc1_session_threads(const qcc1_session *session);
/* The number of positions state `index` holds; -1 when there is no such state. */
QCC_API int64_t qcc1_session_length(const qcc1_session *session, size_t index);
/* Forgets every state. The next run may have another batch. */
QCC_API void qcc1_session_reset(qcc1_session *session);
/* Keeps the first `length` positions of every state that has more. */
QCC_API qcc1_status qcc1_session_truncate(qcc1_session *session, int64_t length, qcc1_error *error);

typedef struct {
  const char *name;
  const DLTensor *tensor;
} qcc1_input;

typedef struct {
  const char *name;        /* set by the caller */
  DLManagedTensor *tensor; /* set by the run; the caller ends it with tensor->deleter(tensor), even after the session */
} qcc1_output;

/* Runs the model once. Every input must be there, in any order; element types must be the model's, or unsigned integers
 * of the same number of bytes for types that the caller has no name for (u16 for bf16, u8 for bool, float8 and 4-bit
 * types). Inputs may be in the processor's memory or in that of the session's device (then without gaps); what others
 * have started on the device is waited for first. The call returns when the outputs are complete.
 *
 * States: the run appends to what the session holds. When an input with the name of a state's input is passed, the
 * session first forgets that state and takes the tensor's contents instead; when an output with the name of a state's
 * output is asked for, it gets the state's contents after the run. So passing and asking for all of them is the model's
 * original signature, and passing none is a session.
 *
 * After an error no output tensor is set and the states are as before the run, but for those whose inputs were passed:
 * they are empty. */
QCC_API qcc1_status qcc1_session_run(qcc1_session *session, const qcc1_input *inputs, size_t input_count,
                                     qcc1_output *outputs, size_t output_count, qcc1_error *error);

#ifdef __cplusplus
}
#endif
#endif
