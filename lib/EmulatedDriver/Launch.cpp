// Entries that start kernels, and what describes tensors to them.
#include "Driver.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

namespace qcc::cuda {
namespace {

// False where the bytes are not memory of this process: the caller's array of arguments may be too short.
bool readSafely(void *to, const void *from, size_t bytes) {
  iovec local{to, bytes}, remote{const_cast<void *>(from), bytes};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
}

Result gather(EmulatedDriver &driver, const ptxemu::KernelInfo &kernel, void **arguments,
              std::vector<uint8_t> &parameters) {
  parameters.assign(kernel.parameterBytes, 0);
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    const ptxemu::Parameter &parameter = kernel.parameters[i];
    const void *from = nullptr;
    if (!arguments || !readSafely(&from, arguments + i, sizeof(from)) || !from ||
        !readSafely(parameters.data() + parameter.offset, from, parameter.size))
      return driver.fail(invalidValue, "kernel '" + kernel.name + "' has " + std::to_string(kernel.parameters.size()) +
                                           " parameters; argument " + std::to_string(i) + " of " +
                                           std::to_string(parameter.size) + " bytes cannot be read");
  }
  return success;
}

Result start(const LaunchConfig &config, Function function, void **arguments, void **extra) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) -> Result {
    if (!driver.functions.count(function))
      return driver.fail(invalidHandle, "there is no such function");
    const ptxemu::KernelInfo &kernel = *function->kernel;
    auto refuse = [&](const std::string &why) {
      return driver.fail(invalidValue, "kernel '" + kernel.name + "': " + why);
    };
    if (extra)
      return driver.fail(notSupported, "the emulator takes arguments as an array of pointers");
    constexpr unsigned always = 48 << 10;
    if (config.sharedBytes + kernel.sharedBytes > always && config.sharedBytes > function->dynamicShared)
      return refuse(std::to_string(config.sharedBytes) + " bytes of dynamic shared memory were not asked for before");
    ptxemu::Launch launch;
    for (int d = 0; d < 3; ++d) {
      if (config.grid[d] == 0 || config.block[d] == 0)
        return refuse("an empty grid or block");
      launch.grid[d] = config.grid[d];
      launch.block[d] = config.block[d];
    }
    launch.sharedBytes = config.sharedBytes;
    for (unsigned i = 0; i < config.attributeCount; ++i) {
      const LaunchAttribute &attribute = config.attributes[i];
      if (attribute.id != LaunchAttribute::clusterDimension)
        return driver.fail(notSupported, "the emulator does not know launch attribute " + std::to_string(attribute.id));
      uint64_t blocks = 1;
      for (int d = 0; d < 3; ++d) {
        launch.cluster[d] = attribute.cluster[d];
        blocks *= attribute.cluster[d];
        if (attribute.cluster[d] == 0 || config.grid[d] % attribute.cluster[d])
          return refuse("the grid is not a multiple of the cluster");
      }
      constexpr unsigned portable = 8, most = 16;
      if (blocks > (function->nonPortableClusters ? most : portable))
        return driver.fail(invalidClusterSize, "kernel '" + kernel.name + "': a cluster of " + std::to_string(blocks) +
                                                   " blocks was not asked for before");
    }
    std::vector<uint8_t> parameters;
    if (Result result = gather(driver, kernel, arguments, parameters))
      return result;
    std::shared_ptr<const ptxemu::Module> code = function->module->code;
    return driver.submit(config.stream, function, [=, &driver, &kernel, parameters = std::move(parameters)]() mutable {
      launch.parameters = parameters.data();
      launch.parameterBytes = parameters.size();
      ptxemu::Options options;
      options.seed = driver.seed;
      options.counts = false;
      options.findings = 1;
      ptxemu::Report report = driver.device->launch(*code, kernel.name, launch, options);
      return report.ok() ? Result(success) : driver.lose(report);
    });
  });
}

} // namespace

Result cuLaunchKernel(Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                      unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream stream, void **arguments,
                      void **extra) {
  LaunchConfig config = {{gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, stream, nullptr, 0};
  return start(config, function, arguments, extra);
}

Result cuLaunchKernelEx(const LaunchConfig *config, Function function, void **arguments, void **extra) {
  return start(*config, function, arguments, extra);
}

Result cuTensorMapEncodeTiled(TensorMap *map, int type, uint32_t rank, void *address, const uint64_t *dims,
                              const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides,
                              int interleave, int swizzle, int promotion, int fill) {
  return entry(Needs::Context, [&](EmulatedDriver &driver) {
    ptxemu::TensorMapDescription description;
    constexpr uint32_t mostDims = 5;
    if (rank < 1 || rank > mostDims)
      return driver.fail(invalidValue, "a tensor map has 1 to 5 dimensions");
    description.type = static_cast<ptxemu::TensorType>(type);
    description.rank = rank;
    description.address = reinterpret_cast<uint64_t>(address);
    for (uint32_t d = 0; d < rank; ++d) {
      description.dims[d] = dims[d];
      description.box[d] = box[d];
      description.elementStrides[d] = elementStrides[d];
      if (d > 0)
        description.strides[d - 1] = strides[d - 1];
    }
    description.interleave = static_cast<ptxemu::TensorInterleave>(interleave);
    description.swizzle = static_cast<ptxemu::TensorSwizzle>(swizzle);
    description.fill = static_cast<ptxemu::TensorFill>(fill);
    std::string error;
    return ptxemu::encodeTensorMap(description, map, error) ? Result(success) : driver.fail(invalidValue, error);
  });
}

} // namespace qcc::cuda
