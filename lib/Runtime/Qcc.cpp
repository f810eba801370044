// The C interface: checks arguments and keeps exceptions inside.
#include "qcc/Runtime/qcc.h"
#include "Model.h"
#include "Session.h"

#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

struct qcc1_session {
  std::unique_ptr<qcc::Session> session;
};

namespace {

using qcc::Error;
using qcc::Model;

// Copies as much of the text as fits, without cutting a UTF-8 character.
void copyText(char *to, size_t room, const std::string &text) {
  size_t length = std::min(text.size(), room - 1);
  if (length < text.size())
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
      --length;
  std::memcpy(to, text.data(), length);
  to[length] = 0;
}

qcc1_status report(qcc1_error *to, const Error &error) {
  if (to && to->struct_size >= sizeof(qcc1_error)) {
    to->code = error.code;
    copyText(to->message, sizeof(to->message), error.message);
    copyText(to->node, sizeof(to->node), error.node);
  }
  return error.code;
}

// Calls body(error), which returns whether it succeeded.
template <typename Body> qcc1_status guarded(qcc1_error *to, Body body) {
  Error error;
  try {
    if (body(error))
      error = Error();
    return report(to, error);
  } catch (const std::bad_alloc &) {
    error.code = QCC1_MEMORY;
  } catch (const std::exception &exception) {
    error.code = QCC1_RUN;
  }
  error.message.clear();
  error.node.clear();
  if (to && to->struct_size >= sizeof(qcc1_error)) {
    to->code = error.code;
    std::strcpy(to->message, error.code == QCC1_MEMORY ? "no memory" : "the system refused a resource");
    to->node[0] = 0;
  }
  return error.code;
}

// Whether an options struct that starts with its size reaches past `member`'s end.
template <typename Options> bool reaches(const Options *options, size_t end) {
  return options && options->struct_size >= end;
}

bool open(std::unique_ptr<qcc::ArtifactReader> artifact, const std::string &why, const qcc1_model_options *options,
          qcc1_model **model, Error &error) {
  if (!artifact)
    return error.set(QCC1_FILE, why);
  std::string target, device;
  if (reaches(options, offsetof(qcc1_model_options, target) + sizeof(options->target)) && options->target)
    target = options->target;
  if (reaches(options, offsetof(qcc1_model_options, device) + sizeof(options->device)) && options->device)
    device = options->device;
  std::shared_ptr<Model> made = Model::make(std::move(artifact), target, device, error);
  if (!made)
    return false;
  *model = new qcc1_model{std::move(made)};
  return true;
}

bool describe(const std::vector<Model::Shown> &values, size_t index, qcc1_value *value) {
  if (index >= values.size() || !value || value->struct_size < sizeof(qcc1_value))
    return false;
  const Model::Shown &shown = values[index];
  value->name = shown.name;
  value->dtype = {qcc::dlpackCode(shown.type), static_cast<uint8_t>(qcc::bits(shown.type)), 1};
  value->rank = static_cast<int32_t>(shown.dims.size());
  value->dims = shown.dims.data();
  value->symbols = shown.symbols.data();
  return true;
}

} // namespace

int32_t qcc1_version(void) { return 1; }

qcc1_status qcc1_model_open(const char *path, const qcc1_model_options *options, qcc1_model **model,
                            qcc1_error *error) {
  return guarded(error, [&](Error &failure) {
    if (!model)
      return failure.set(QCC1_ARGUMENT, "no place for the model");
    *model = nullptr;
    if (!path)
      return failure.set(QCC1_ARGUMENT, "no path");
    std::string why;
    return open(qcc::ArtifactReader::open(path, why), why, options, model, failure);
  });
}

qcc1_status qcc1_model_open_memory(const void *data, size_t size, const qcc1_model_options *options, qcc1_model **model,
                                   qcc1_error *error) {
  return guarded(error, [&](Error &failure) {
    if (!model)
      return failure.set(QCC1_ARGUMENT, "no place for the model");
    *model = nullptr;
    std::string why;
    return open(qcc::ArtifactReader::openMemory(data, size, why), why, options, model, failure);
  });
}

void qcc1_model_close(qcc1_model *model) { delete model; }

const char *qcc1_model_manifest(const qcc1_model *model) { return model->model->manifestText.c_str(); }
const char *qcc1_model_target(const qcc1_model *model) { return model->model->home->code->target().c_str(); }
size_t qcc1_model_input_count(const qcc1_model *model) { return model->model->inputs.size(); }
size_t qcc1_model_output_count(const qcc1_model *model) { return model->model->outputs.size(); }
size_t qcc1_model_state_count(const qcc1_model *model) { return model->model->states.size(); }

qcc1_status qcc1_model_input(const qcc1_model *model, size_t index, qcc1_value *value) {
  return describe(model->model->inputs, index, value) ? QCC1_OK : QCC1_ARGUMENT;
}

qcc1_status qcc1_model_output(const qcc1_model *model, size_t index, qcc1_value *value) {
  return describe(model->model->outputs, index, value) ? QCC1_OK : QCC1_ARGUMENT;
}

qcc1_status qcc1_model_state(const qcc1_model *model, size_t index, qcc1_state *state) {
  if (!state || state->struct_size < sizeof(qcc1_state))
    return QCC1_ARGUMENT;
  state->value.struct_size = sizeof(qcc1_value);
  if (!describe(model->model->states, index, &state->value))
    return QCC1_ARGUMENT;
  const qcc::Manifest::State &description = model->model->manifest().states[index];
  state->output = description.output.c_str();
  state->axis = static_cast<int32_t>(description.axis);
  return QCC1_OK;
}

const void *qcc1_model_part(const qcc1_model *model, const char *name, size_t *size) {
  qcc::Part part = model->model->artifact->part(name ? name : "");
  if (size)
    *size = part.size;
  return part.data;
}

qcc1_status qcc1_model_verify(const qcc1_model *model, qcc1_error *error) {
  return guarded(error, [&](Error &failure) {
    std::string why;
    return model->model->artifact->verifyAll(why) || failure.set(QCC1_FILE, why);
  });
}

qcc1_status qcc1_session_open(qcc1_model *model, const qcc1_session_options *options, qcc1_session **session,
                              qcc1_error *error) {
  return guarded(error, [&](Error &failure) {
    if (!session || !model)
      return failure.set(QCC1_ARGUMENT, "no model, or no place for the session");
    *session = nullptr;
    int threads = 0;
    if (reaches(options, offsetof(qcc1_session_options, threads) + sizeof(options->threads)))
      threads = options->threads;
    constexpr int mostThreads = 1024;
    if (threads < 0 || threads > mostThreads)
      return failure.set(QCC1_ARGUMENT, std::to_string(threads) + " threads are not from 1 to 1024");
    qcc::Session::Options wanted;
    wanted.threads = threads ? threads : qcc::usableThreads();
    if (reaches(options, offsetof(qcc1_session_options, outputs_on_device) + sizeof(options->outputs_on_device)))
      wanted.outputsOnDevice = options->outputs_on_device != 0;
    if (reaches(options, offsetof(qcc1_session_options, graphs) + sizeof(options->graphs)))
      wanted.graphs = options->graphs != 0;
    std::shared_ptr<const qcc::Placement> placement = model->model->home;
    if (reaches(options, offsetof(qcc1_session_options, device) + sizeof(options->device)) && options->device)
      placement = model->model->place(options->device, failure);
    if (!placement)
      return false;
    auto opened = qcc::Session::open(model->model, std::move(placement), wanted, failure);
    if (!opened)
      return false;
    *session = new qcc1_session{std::move(opened)};
    return true;
  });
}

void qcc1_session_close(qcc1_session *session) { delete session; }

int32_t qcc1_session_threads(const qcc1_session *session) { return static_cast<int32_t>(session->session->threads()); }

int64_t qcc1_session_length(const qcc1_session *session, size_t index) {
  const std::vector<qcc::State> &states = session->session->allStates();
  return index < states.size() ? states[index].length() : -1;
}

void qcc1_session_reset(qcc1_session *session) { session->session->reset(); }

qcc1_status qcc1_session_truncate(qcc1_session *session, int64_t length, qcc1_error *error) {
  return guarded(error, [&](Error &failure) {
    if (length < 0)
      return failure.set(QCC1_ARGUMENT, "a length below 0");
    session->session->truncate(length);
    return true;
  });
}

qcc1_status qcc1_session_run(qcc1_session *session, const qcc1_input *inputs, size_t input_count, qcc1_output *outputs,
                             size_t output_count, qcc1_error *error) {
  return guarded(error, [&](Error &failure) {
    return session->session->run(inputs, input_count, outputs, output_count, failure);
  });
}
