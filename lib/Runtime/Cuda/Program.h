// A model's kernels and weights on a CUDA device.
#ifndef QCC_LIB_RUNTIME_CUDA_PROGRAM_H
#define QCC_LIB_RUNTIME_CUDA_PROGRAM_H

#include "../CodeObject.h"
#include "Context.h"
#include "qcc/Artifact/Reader.h"

#include <memory>
#include <string>
#include <vector>

namespace qcc::cuda {

// What an emulated device becomes when nothing else says: the newest architecture that the artifact has PTX for.
std::string newestArchitecture(const Manifest &manifest);
// Empty when the device runs one of the target's modules, else why not.
std::string lacksModule(const Manifest::Target &target, const Context &device);

class Program : public DeviceProgram {
public:
  struct Kernel {
    Function function = nullptr;
    std::string name;
    unsigned threads = 1, sharedBytes = 0, cluster = 1;
  };

  // `code` is the host part. Null when something is missing or does not fit the device.
  static std::unique_ptr<Program> load(std::shared_ptr<Context> device, const ArtifactReader &artifact,
                                       const CodeObject &code, Error &error);
  ~Program() override;

  const uint8_t *weights() const override { return reinterpret_cast<const uint8_t *>(memory); }
  std::shared_ptr<Queue> open(Error &error) override;

  const std::shared_ptr<Context> &sharedContext() const { return device; }
  const std::vector<Kernel> &kernels() const { return table; }

private:
  explicit Program(std::shared_ptr<Context> device) : device(std::move(device)) {}
  bool loadModule(const ArtifactReader &artifact, const Manifest::Target &target, Error &error);
  bool findKernels(const qcc_device_program &program, Error &error);
  bool upload(Part weights, Error &error);

  std::shared_ptr<Context> device;
  ModuleHandle module = nullptr;
  std::string entry; // of the module in the artifact
  std::vector<Kernel> table;
  Address memory = 0; // of the weights
};

} // namespace qcc::cuda

#endif // QCC_LIB_RUNTIME_CUDA_PROGRAM_H
