#include "Program.h"
#include "Architecture.h"
#include "Queue.h"

#include <algorithm>
#include <cstring>

namespace qcc::cuda {
namespace {

std::string quoted(const std::string &text) { return "'" + text + "'"; }

bool runs(const Manifest::Target::Module &module, const Context &device) {
  Architecture architecture;
  return Architecture::parse(module.architecture, architecture) &&
         architecture.runsOn(device.major(), device.minor(), module.kind == "cubin");
}

// Of a driver that cannot take a module which another one might.
bool isAnotherDrivers(Result result) {
  return result == noBinaryForGpu || result == invalidPtx || result == unsupportedPtxVersion || result == invalidImage;
}

} // namespace

std::string newestArchitecture(const Manifest &manifest) {
  Architecture newest;
  std::string spelled;
  for (const Manifest::Target &target : manifest.targets)
    for (const Manifest::Target::Module &module : target.device.modules) {
      Architecture architecture;
      if (module.kind != "ptx" || !Architecture::parse(module.architecture, architecture) ||
          !architecture.isNewerThan(newest))
        continue;
      newest = architecture;
      spelled = module.architecture;
    }
  return spelled;
}

std::string lacksModule(const Manifest::Target &target, const Context &device) {
  std::string seen;
  for (const Manifest::Target::Module &module : target.device.modules) {
    if (runs(module, device))
      return {};
    seen += (seen.empty() ? "" : ", ") + module.architecture + " " + module.kind;
  }
  return "its device code is " + (seen.empty() ? "missing" : seen) + ", the device is " + device.spell();
}

bool Program::loadModule(const ArtifactReader &artifact, const Manifest::Target &target, Error &error) {
  std::string why;
  for (const Manifest::Target::Module &candidate : target.device.modules) {
    if (!runs(candidate, *device))
      continue;
    Part part = artifact.part(candidate.entry);
    // The driver reads PTX up to a zero, and compiled code from where it is aligned.
    std::string copy(reinterpret_cast<const char *>(part.data), part.size);
    char log[4096] = {};
    int options[] = {jitErrorLog, jitErrorLogBytes};
    void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
    Result result = device->driver().moduleLoadData(&module, copy.c_str(), 2, options, values);
    if (result == success) {
      entry = candidate.entry;
      return true;
    }
    module = nullptr;
    why += (why.empty() ? "" : "; ") + quoted(candidate.entry) + ": " + device->driver().describe(result);
    if (result == unsupportedPtxVersion)
      why += "; the driver is older than this PTX, update it";
    if (log[0])
      why += std::string(" (") + log + ")";
    if (!isAnotherDrivers(result))
      break;
  }
  return error.set(QCC1_TARGET, "the device code for " + quoted(target.name) + " cannot be loaded on " +
                                    device->spell() + ": " + why);
}

bool Program::findKernels(const qcc_device_program &program, Error &error) {
  const Driver &driver = device->driver();
  for (int64_t k = 0; k < program.kernel_count; ++k) {
    const qcc_device_kernel &wanted = program.kernels[k];
    Kernel kernel;
    kernel.name = wanted.name;
    auto fail = [&](const std::string &why) {
      return error.set(QCC1_TARGET, "kernel " + quoted(kernel.name) + " in " + quoted(entry) + " " + why);
    };
    if (Result result = driver.moduleGetFunction(&kernel.function, module, wanted.name)) {
      if (result == notFound)
        return fail("is missing; the artifact's host code and device code do not belong together");
      return fail("cannot be used: " + driver.describe(result));
    }
    int most = 0, fixed = 0;
    Result result = driver.functionGetAttribute(&most, functionMaxThreadsPerBlock, kernel.function);
    if (result == success)
      result = driver.functionGetAttribute(&fixed, functionSharedBytes, kernel.function);
    if (result == success && wanted.threads > most)
      return fail("wants blocks of " + std::to_string(wanted.threads) + " threads; " + device->spell() +
                  " runs it with " + std::to_string(most) + " or fewer");
    if (result == success && wanted.shared_bytes + fixed > device->sharedBytes())
      return fail("wants " + std::to_string(wanted.shared_bytes + fixed) + " bytes of shared memory; " +
                  device->spell() + " has " + std::to_string(device->sharedBytes()) + " for a block");
    // More than every device has must be asked for, and so must clusters that not every device has.
    constexpr int64_t always = 48 << 10, portable = 8;
    if (result == success && wanted.shared_bytes + fixed > always)
      result = driver.functionSetAttribute(kernel.function, functionMaxDynamicSharedBytes,
                                           static_cast<int>(wanted.shared_bytes));
    if (result == success && wanted.cluster > portable)
      result = driver.functionSetAttribute(kernel.function, functionNonPortableClusters, 1);
    if (result != success)
      return fail("cannot be used: " + driver.describe(result));
    kernel.threads = static_cast<unsigned>(wanted.threads);
    kernel.sharedBytes = static_cast<unsigned>(wanted.shared_bytes);
    kernel.cluster = static_cast<unsigned>(wanted.cluster);
    table.push_back(std::move(kernel));
  }
  return true;
}

bool Program::upload(Part weights, Error &error) {
  const Driver &driver = device->driver();
  // Empty weights have an address too.
  constexpr size_t least = 256;
  size_t bytes = std::max(weights.size, least);
  Result result = driver.memAlloc(&memory, bytes);
  if (result == outOfMemory) {
    memory = 0;
    return error.set(QCC1_MEMORY, "no memory for the weights" + device->shortage(bytes));
  }
  // From the mapped file, in pieces so that the system need not have it all in memory at once.
  constexpr size_t piece = size_t(64) << 20;
  for (size_t at = 0; at < weights.size && result == success; at += piece)
    result = driver.copyToDevice(memory + at, weights.data + at, std::min(piece, weights.size - at), nullptr);
  if (result == success)
    result = driver.streamSynchronize(nullptr);
  return result == success ||
         error.set(QCC1_RUN, "the weights cannot be copied to " + device->spell() + ": " + driver.describe(result));
}

std::unique_ptr<Program> Program::load(std::shared_ptr<Context> device, const ArtifactReader &artifact,
                                       const CodeObject &code, Error &error) {
  std::unique_ptr<Program> program(new Program(std::move(device)));
  Current current(*program->device);
  if (!program->loadModule(artifact, code.description(), error) || !program->findKernels(*code.devicePart(), error) ||
      !program->upload(artifact.weights(), error))
    return nullptr;
  return program;
}

Program::~Program() {
  Current current(*device);
  if (memory)
    device->driver().memFree(memory);
  if (module)
    device->driver().moduleUnload(module);
}

std::shared_ptr<qcc::Queue> Program::open(Error &error) { return Queue::open(*this, error); }

} // namespace qcc::cuda
