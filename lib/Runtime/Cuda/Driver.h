// NVIDIA's driver, loaded by name; or the emulated one in its place.
#ifndef QCC_LIB_RUNTIME_CUDA_DRIVER_H
#define QCC_LIB_RUNTIME_CUDA_DRIVER_H

#include "../Device.h"
#include "qcc/Runtime/CudaDriver.h"

#include <memory>
#include <string>

namespace qcc::cuda {

class Driver {
public:
  // Initialised. `prefer` ("sm_90a") is what an emulated device becomes when nothing else says.
  static std::shared_ptr<const Driver> load(const DeviceName &device, const std::string &prefer, Error &error);

#define QCC_CUDA_MEMBER(name, symbol, parameters) Result(*name) parameters = nullptr;
  QCC_CUDA_DRIVER_ENTRIES(QCC_CUDA_MEMBER)
#undef QCC_CUDA_MEMBER

  // "CUDA_ERROR_OUT_OF_MEMORY: out of memory"
  std::string describe(Result result) const;

private:
  bool bind(void *library, const std::string &path, Error &error);
};

} // namespace qcc::cuda

#endif // QCC_LIB_RUNTIME_CUDA_DRIVER_H
