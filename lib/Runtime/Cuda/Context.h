// One CUDA device: what it is, and the context in which everything on it lives.
#ifndef QCC_LIB_RUNTIME_CUDA_CONTEXT_H
#define QCC_LIB_RUNTIME_CUDA_CONTEXT_H

#include "Driver.h"

#include <memory>
#include <string>

namespace qcc::cuda {

class Context {
public:
  // Takes the device's primary context, which other libraries in the process share.
  static std::shared_ptr<Context> open(const DeviceName &device, const std::string &prefer, Error &error);
  ~Context();
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;

  const Driver &driver() const { return *entries; }
  const std::string &spell() const { return text; } // "cuda:0 (NVIDIA H100, compute capability 9.0)"
  int ordinal() const { return index; }
  int major() const { return capabilityMajor; }
  int minor() const { return capabilityMinor; }
  int multiprocessors() const { return processors; }
  int sharedBytes() const { return shared; } // that a block may have
  // "; 3.00 GiB are needed, cuda:0 (...) has 1.25 GiB of 8.00 GiB free: 1.75 GiB are lacking". The device is current.
  std::string shortage(size_t bytes) const;

private:
  friend class Current;
  Context() = default;
  std::shared_ptr<const Driver> entries;
  ContextHandle handle = nullptr;
  Device device = 0;
  int index = 0, capabilityMajor = 0, capabilityMinor = 0, processors = 0, shared = 0;
  std::string text;
};

// The context is the calling thread's as long as this lives.
class Current {
public:
  explicit Current(const Context &context);
  ~Current();
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;

private:
  const Driver &driver;
  bool pushed;
};

} // namespace qcc::cuda

#endif // QCC_LIB_RUNTIME_CUDA_CONTEXT_H
