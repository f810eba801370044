#include "qcc/Program/Program.h"

namespace qcc {

std::unique_ptr<Program> Program::open(const std::string &path, const Options &options, std::string &error) {
  std::unique_ptr<Program> program(new Program);
  qcc1_error failure = {sizeof(qcc1_error), 0, {}, {}};
  qcc1_model_options modelOptions = {sizeof(qcc1_model_options), nullptr,
                                     options.device.empty() ? nullptr : options.device.c_str()};
  qcc1_session_options sessionOptions = {sizeof(qcc1_session_options), options.threads, nullptr, 0, options.graphs};
  if (qcc1_model_open(path.c_str(), &modelOptions, &program->model, &failure) != QCC1_OK ||
      qcc1_session_open(program->model, &sessionOptions, &program->session, &failure) != QCC1_OK) {
    error = failure.message;
    return nullptr;
  }
  std::optional<Manifest> manifest = Manifest::parse(qcc1_model_manifest(program->model), error);
  if (!manifest)
    return nullptr;
  program->description = std::move(*manifest);
  return program;
}

Program::~Program() {
  qcc1_session_close(session);
  qcc1_model_close(model);
}

std::vector<uint8_t> Program::part(const std::string &name) const {
  size_t size = 0;
  const uint8_t *data = static_cast<const uint8_t *>(qcc1_model_part(model, name.c_str(), &size));
  return data ? std::vector<uint8_t>(data, data + size) : std::vector<uint8_t>();
}

bool Program::run(const std::vector<qcc1_input> &inputs, const std::vector<std::string> &outputs,
                  std::vector<TensorHandle> &results, std::string &error) {
  std::vector<qcc1_output> wanted;
  for (const std::string &name : outputs)
    wanted.push_back({name.c_str(), nullptr});
  qcc1_error failure = {sizeof(qcc1_error), 0, {}, {}};
  results.clear();
  if (qcc1_session_run(session, inputs.data(), inputs.size(), wanted.data(), wanted.size(), &failure) != QCC1_OK) {
    error = failure.message;
    return false;
  }
  for (const qcc1_output &output : wanted)
    results.emplace_back(output.tensor);
  return true;
}

bool Program::run(const std::vector<NpzArray> &inputs, const std::vector<std::string> &outputs,
                  std::vector<NpzArray> &results, std::string &error) {
  std::vector<DLTensor> tensors;
  for (const NpzArray &array : inputs)
    tensors.push_back(viewOf(array));
  std::vector<qcc1_input> given;
  for (size_t i = 0; i < inputs.size(); ++i)
    given.push_back({inputs[i].name.c_str(), &tensors[i]});
  std::vector<TensorHandle> handles;
  if (!run(given, outputs, handles, error))
    return false;
  results.clear();
  for (size_t i = 0; i < outputs.size(); ++i)
    results.push_back(arrayOf(outputs[i], handles[i]->dl_tensor));
  return true;
}

DLTensor viewOf(const NpzArray &array) {
  DLTensor tensor = {};
  tensor.data = const_cast<uint8_t *>(array.bytes.data());
  tensor.device = {1, 0};
  tensor.ndim = static_cast<int32_t>(array.shape.size());
  tensor.dtype = {dlpackCode(array.type), static_cast<uint8_t>(bits(array.type)), 1};
  tensor.shape = const_cast<int64_t *>(array.shape.data());
  return tensor;
}

NpzArray arrayOf(const std::string &name, const DLTensor &tensor) {
  NpzArray array;
  array.name = name;
  array.type = *fromDlpack(tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes);
  array.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  size_t bytes = *tensorBytes(array.type, tensor.shape, tensor.ndim);
  const uint8_t *data = static_cast<const uint8_t *>(tensor.data);
  array.bytes.assign(data, data + bytes);
  return array;
}

} // namespace qcc
