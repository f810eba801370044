#include "Model.h"
#include "Cuda/Program.h"

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

// Of a manifest whose code nobody chose a device for.
std::string defaultDevice(const Manifest &manifest, const std::string &wanted) {
  bool forDevice = false, forProcessor = false;
  for (const Manifest::Target &target : manifest.targets)
    if (wanted.empty() || target.name == wanted)
      (target.isForDevice() ? forDevice : forProcessor) = true;
  return forDevice && !forProcessor ? "cuda" : "cpu";
}

} // namespace

bool Model::alignWeights(const uint8_t *&aligned, Error &error) {
  Part weights = artifact->weights();
  aligned = weights.data ? weights.data : weightCopy.data();
  constexpr size_t alignment = 64;
  if (reinterpret_cast<uintptr_t>(weights.data) % alignment) {
    if (!weightCopy.reserve(weights.size))
      return error.set(QCC1_MEMORY, "no memory for an aligned copy of the weights");
    std::memcpy(weightCopy.data(), weights.data, weights.size);
    aligned = weightCopy.data();
  }
  return true;
}

std::shared_ptr<const Placement> Model::load(const DeviceName &device, Error &error) {
  auto placement = std::make_shared<Placement>();
  std::shared_ptr<cuda::Context> context;
  CodeObject::Lacks lacks = [](const Manifest::Target &target) {
    return target.isForDevice() ? "it is for " + target.device.kind + " devices" : std::string();
  };
  if (device.kind != DeviceName::Cpu) {
    context = cuda::Context::open(device, cuda::newestArchitecture(manifest()), error);
    if (!context)
      return nullptr;
    lacks = [&](const Manifest::Target &target) {
      return target.isForDevice() ? cuda::lacksModule(target, *context) : "it is for the processor";
    };
  }
  placement->code = CodeObject::load(*artifact, target, lacks, error);
  if (!placement->code)
    return nullptr;
  if (!context)
    return alignWeights(placement->weights, error) ? placement : nullptr;
  placement->program = cuda::Program::load(std::move(context), *artifact, *placement->code, error);
  if (!placement->program)
    return nullptr;
  placement->weights = placement->program->weights();
  return placement;
}

std::shared_ptr<const Placement> Model::place(const std::string &device, Error &error) {
  DeviceName name;
  if (!DeviceName::parse(device, name, error))
    return nullptr;
  std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<const Placement> &placement = placements[name.spell()];
  if (!placement)
    placement = load(name, error);
  return placement;
}

std::shared_ptr<Model> Model::make(std::unique_ptr<ArtifactReader> artifact, const std::string &target,
                                   const std::string &device, Error &error) {
  auto model = std::make_shared<Model>();
  model->artifact = std::move(artifact);
  model->target = target;
  const Manifest &manifest = model->manifest();
  model->home = model->place(device.empty() ? defaultDevice(manifest, target) : device, error);
  if (!model->home)
    return nullptr;
  model->manifestText = std::string(model->artifact->manifestText());
  for (const Manifest::Value &value : manifest.inputs)
    model->inputs.push_back(show(value.name, value.type, value.dims));
  for (const Manifest::Value &value : manifest.outputs)
    model->outputs.push_back(show(value.name, value.type, value.dims));
  for (const Manifest::State &state : manifest.states)
    model->states.push_back(show(state.input, state.type, state.dims));
  return model;
}

} // namespace qcc
