#include "Model.h"

#include <cstring>

namespace qcc {
namespace {

Model::Shown show(const std::string &name, DataType type, const std::vector<Manifest::Dim> &dims) {
  Model::Shown shown{name.c_str(), type, {}, {}};
  for (const Manifest::Dim &dim : dims) {
    shown.dims.push_back(dim.size);
    shown.symbols.push_back(dim.symbol.c_str());
  }
  return shown;
}

} // namespace

std::shared_ptr<Model> Model::make(std::unique_ptr<ArtifactReader> artifact, const std::string &target, Error &error) {
  auto model = std::make_shared<Model>();
  model->artifact = std::move(artifact);
  model->code = CodeObject::load(*model->artifact, target, error);
  if (!model->code)
    return nullptr;
  Part weights = model->artifact->weights();
  model->weights = weights.data ? weights.data : model->weightCopy.data();
  if (reinterpret_cast<uintptr_t>(weights.data) % 64) {
    if (!model->weightCopy.reserve(weights.size)) {
      error.set(QCC1_MEMORY, "no memory for an aligned copy of the weights");
      return nullptr;
    }
    std::memcpy(model->weightCopy.data(), weights.data, weights.size);
    model->weights = model->weightCopy.data();
  }
  model->manifestText = std::string(model->artifact->manifestText());
  const Manifest &manifest = model->manifest();
  for (const Manifest::Value &value : manifest.inputs)
    model->inputs.push_back(show(value.name, value.type, value.dims));
  for (const Manifest::Value &value : manifest.outputs)
    model->outputs.push_back(show(value.name, value.type, value.dims));
  for (const Manifest::State &state : manifest.states)
    model->states.push_back(show(state.input, state.type, state.dims));
  return model;
}

} // namespace qcc
