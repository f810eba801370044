#include "qcc/Ptxemu/Device.h"
#include "Execute/Machine.h"

#include <algorithm>
#include <map>

namespace qcc::ptxemu {
namespace {

uint32_t sharedOf(const Architecture &architecture) {
  switch (architecture.major * 10 + architecture.minor) {
  case 75:
    return 65536;
  case 80:
  case 87:
    return 166912;
  case 86:
  case 89:
  case 120:
  case 121:
    return 101376;
  default:
    return architecture.major >= 9 ? 232448 : 65536;
  }
}

} // namespace

struct Device::State {
  struct Loaded {
    std::shared_ptr<const Module> module;
    std::map<const Variable *, uint64_t> addresses;
  };

  Architecture architecture;
  DeviceLimits limits;
  Allocations memory;
  uint64_t allocated = 0;
  std::vector<Loaded> modules;

  const Loaded *find(const Module &module) const {
    for (const Loaded &each : modules)
      if (each.module.get() == &module)
        return &each;
    return nullptr;
  }
  void initialize(const Loaded &loaded) const;
  bool refuse(const Module &module, const KernelInfo *kernel, const Launch &launch, const uint32_t (&cluster)[3],
              std::string &why) const;
};

Device::Device(Architecture architecture, DeviceLimits limits) : state(new State) {
  state->architecture = architecture;
  state->limits = limits;
}

Device::~Device() = default;

const Architecture &Device::architecture() const { return state->architecture; }
uint32_t Device::sharedBytesPerBlock() const {
  return state->limits.sharedBytesPerBlock ? state->limits.sharedBytesPerBlock : sharedOf(state->architecture);
}
uint64_t Device::memoryBytes() const { return state->limits.memoryBytes; }
uint64_t Device::allocatedBytes() const { return state->allocated; }

uint64_t Device::allocate(uint64_t bytes, uint64_t alignment) {
  if (alignment == 0 || (alignment & (alignment - 1)) || bytes > state->limits.memoryBytes - state->allocated)
    return 0;
  uint64_t address = state->memory.allocate(bytes, alignment);
  if (address)
    state->allocated += bytes;
  return address;
}

bool Device::release(uint64_t address) {
  uint64_t bytes;
  if (!state->memory.release(address, bytes))
    return false;
  state->allocated -= bytes;
  return true;
}

bool Device::contains(uint64_t address, uint64_t bytes) const {
  Range range;
  return state->memory.find(address, bytes, range);
}

bool Device::allocationOf(uint64_t address, uint64_t &begin, uint64_t &bytes) const {
  Range range;
  if (!state->memory.find(address, 0, range))
    return false;
  begin = range.begin;
  bytes = range.end - range.begin;
  return true;
}

bool Device::write(uint64_t to, const void *from, uint64_t bytes) {
  if (!contains(to, bytes))
    return false;
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  return true;
}

bool Device::read(void *to, uint64_t from, uint64_t bytes) const {
  if (!contains(from, bytes))
    return false;
  std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
  return true;
}

bool Device::copy(uint64_t to, uint64_t from, uint64_t bytes) {
  if (!contains(to, bytes) || !contains(from, bytes))
    return false;
  std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
  return true;
}

bool Device::fill(uint64_t to, uint8_t value, uint64_t bytes) {
  if (!contains(to, bytes))
    return false;
  std::memset(reinterpret_cast<void *>(to), value, bytes);
  return true;
}

bool Device::load(const std::shared_ptr<const Module> &module, std::string &error) {
  if (!state->architecture.runs(module->target())) {
    error = "the module is for " + module->target().spell() + " and does not run on " + state->architecture.spell();
    return false;
  }
  if (state->find(*module))
    return true;
  State::Loaded loaded;
  loaded.module = module;
  for (const Variable &variable : module->program().tree.variables) {
    if (variable.space != Space::Global)
      continue;
    if (variable.isExternal)
      error = "the variable '" + std::string(variable.name) + "' is defined nowhere";
    uint64_t address = variable.isExternal ? 0 : allocate(variable.size, std::max<uint64_t>(variable.alignment, 256));
    if (!address) {
      if (error.empty())
        error = "too little memory for the variable '" + std::string(variable.name) + "'";
      for (const auto &[placed, at] : loaded.addresses)
        release(at);
      return false;
    }
    loaded.addresses[&variable] = address;
  }
  state->initialize(loaded);
  state->modules.push_back(std::move(loaded));
  return true;
}

void Device::State::initialize(const Loaded &loaded) const {
  for (const auto &[variable, address] : loaded.addresses) {
    uint8_t *bytes = reinterpret_cast<uint8_t *>(address);
    std::memset(bytes, 0, variable->size);
    std::copy(variable->initial.begin(), variable->initial.end(), bytes);
    for (const Relocation &relocation : variable->relocations)
      for (const auto &[other, at] : loaded.addresses)
        if (other->name == relocation.symbol && relocation.at + relocation.bytes <= variable->size) {
          uint64_t value = (at + static_cast<uint64_t>(relocation.addend)) >> relocation.shift;
          std::memcpy(bytes + relocation.at, &value, relocation.bytes);
        }
  }
}

void Device::unload(const std::shared_ptr<const Module> &module) {
  auto found = std::find_if(state->modules.begin(), state->modules.end(),
                            [&](const State::Loaded &each) { return each.module == module; });
  if (found == state->modules.end())
    return;
  for (const auto &[variable, address] : found->addresses)
    release(address);
  state->modules.erase(found);
}

uint64_t Device::globalAddress(const Module &module, std::string_view name) const {
  if (const State::Loaded *loaded = state->find(module))
    for (const auto &[variable, address] : loaded->addresses)
      if (variable->name == name)
        return address;
  return 0;
}

bool Device::State::refuse(const Module &module, const KernelInfo *kernel, const Launch &launch,
                           const uint32_t (&cluster)[3], std::string &why) const {
  auto product = [](const uint32_t (&extent)[3]) { return uint64_t(extent[0]) * extent[1] * extent[2]; };
  uint64_t threads = product(launch.block), blocks = product(cluster);
  uint32_t shared = limits.sharedBytesPerBlock ? limits.sharedBytesPerBlock : sharedOf(architecture);
  uint64_t wanted = uint64_t(kernel ? kernel->sharedBytes : 0) + launch.sharedBytes;
  if (!find(module))
    why = "the module is not loaded";
  else if (!kernel)
    why = "the module has no kernel of this name";
  else if (product(launch.grid) == 0 || threads == 0)
    why = "a grid or block without threads";
  else if (threads > limits.threadsPerBlock)
    why = "a block of " + std::to_string(threads) + " threads; " + std::to_string(limits.threadsPerBlock) +
          " are the most";
  else if (product(kernel->requiredBlock) && !std::equal(launch.block, launch.block + 3, kernel->requiredBlock))
    why = "the kernel requires another block (.reqntid)";
  else if (product(kernel->maximumBlock) && threads > product(kernel->maximumBlock))
    why = "the kernel's blocks have at most " + std::to_string(product(kernel->maximumBlock)) + " threads (.maxntid)";
  else if (blocks > limits.clusterBlocks)
    why =
        "a cluster of " + std::to_string(blocks) + " blocks; " + std::to_string(limits.clusterBlocks) + " are the most";
  else if (blocks > 1 && architecture.major < 9)
    why = "clusters begin with sm_90";
  else if (product(kernel->requiredCluster) && !std::equal(cluster, cluster + 3, kernel->requiredCluster))
    why = "the kernel requires another cluster (.reqnctapercluster)";
  else if (launch.grid[0] % cluster[0] || launch.grid[1] % cluster[1] || launch.grid[2] % cluster[2])
    why = "the grid is not a multiple of the cluster";
  else if (kernel->sharedBytes > 49152)
    why = "the kernel declares " + std::to_string(kernel->sharedBytes) +
          " bytes of static shared memory; 49152 are the most";
  else if (wanted > shared)
    why = "the block wants " + std::to_string(wanted) + " bytes of shared memory; " + std::to_string(shared) +
          " are the most of " + architecture.spell();
  else if (launch.parameterBytes != kernel->parameterBytes)
    why = "the kernel's parameters have " + std::to_string(kernel->parameterBytes) + " bytes, the launch passes " +
          std::to_string(launch.parameterBytes);
  return !why.empty();
}

Report Device::launch(const Module &module, std::string_view name, const Launch &launch, const Options &options) {
  const KernelInfo *kernel = module.kernel(name);
  uint32_t cluster[3];
  for (unsigned dim = 0; dim < 3; ++dim)
    cluster[dim] = launch.cluster[dim]                      ? launch.cluster[dim]
                   : kernel && kernel->requiredCluster[dim] ? kernel->requiredCluster[dim]
                                                            : 1;
  Finding refused;
  if (state->refuse(module, kernel, launch, cluster, refused.message)) {
    refused.kind = "launch";
    refused.kernel = name;
    Report report;
    report.findings.push_back(std::move(refused));
    return report;
  }
  const State::Loaded &loaded = *state->find(module);
  std::function<uint64_t(const Variable &)> addressOf = [&](const Variable &variable) {
    auto found = loaded.addresses.find(&variable);
    return found == loaded.addresses.end() ? 0 : found->second;
  };
  const Program &program = module.program();
  Machine machine(program, *program.function(name), state->memory, addressOf, launch, options, cluster,
                  state->architecture);
  return machine.run();
}

} // namespace qcc::ptxemu
