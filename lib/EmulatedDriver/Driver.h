// The emulated driver's state: one device, one context, and the objects that callers hold handles to.
#ifndef QCC_LIB_EMULATEDDRIVER_DRIVER_H
#define QCC_LIB_EMULATEDDRIVER_DRIVER_H

#include "qcc/Ptxemu/Device.h"
#include "qcc/Ptxemu/TensorMap.h"
#include "qcc/Runtime/CudaDriver.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <vector>

namespace qcc::cuda {

// What the handles of CudaDriver.h point to.
struct ContextObject {};

struct ModuleObject {
  std::shared_ptr<const ptxemu::Module> code;
  std::vector<std::unique_ptr<FunctionObject>> functions;
};

struct FunctionObject {
  ModuleObject *module = nullptr;
  const ptxemu::KernelInfo *kernel = nullptr;
  unsigned dynamicShared = 48 << 10; // the most that a launch may ask for
  bool nonPortableClusters = false;
};

// Something that a stream does: at once, or when a graph that it was captured into is launched.
struct Operation {
  const void *kind; // operations that a graph may exchange for one another have the same
  std::function<Result()> run;
};

struct StreamObject {
  bool captures = false;
  std::vector<Operation> captured;
};

struct GraphObject {
  std::vector<Operation> operations;
};

struct GraphExecObject {
  std::vector<Operation> operations;
};

template <typename Object> class Handles {
public:
  Object *add(std::unique_ptr<Object> object) {
    Object *handle = object.get();
    objects[handle] = std::move(object);
    return handle;
  }
  bool has(const Object *handle) const { return objects.count(const_cast<Object *>(handle)) != 0; }
  bool remove(Object *handle) { return objects.erase(handle) != 0; }
  void clear() { objects.clear(); }

private:
  std::map<Object *, std::unique_ptr<Object>> objects;
};

class EmulatedDriver {
public:
  static EmulatedDriver &get();

  // Takes the settings from the environment, unless the device is in use.
  Result initialize();
  // The device's architecture where the environment does not say.
  void prefer(const char *architecture);
  ptxemu::Architecture architecture() const { return chosen; }
  uint32_t sharedBytesPerBlock() const;

  Result retain();
  Result release();

  // Keeps a text for cuGetErrorString; returns the result, to be returned.
  Result fail(Result result, const std::string &text);
  const char *text(Result result) const;
  // A kernel's finding: the context is lost with it, as on a device.
  Result lose(const ptxemu::Report &report);

  // Does it now, or captures it.
  Result submit(Stream stream, const void *kind, std::function<Result()> run);
  // The bytes that stand in the device's memory; else an error that says so.
  Result checkRange(Address address, size_t bytes, const char *what);

  std::mutex mutex;
  bool initialized = false;
  Result lost = success;
  // The settings.
  uint64_t seed = 1, memoryBytes = 0;
  int multiprocessors = 1;
  std::unique_ptr<ptxemu::Device> device; // while the context is retained
  ContextObject context;
  Handles<ModuleObject> modules;
  std::set<FunctionObject *> functions;
  Handles<StreamObject> streams;
  Handles<GraphObject> graphs;
  Handles<GraphExecObject> graphExecs;
  std::map<void *, std::unique_ptr<uint8_t[]>> hostMemory;

private:
  ptxemu::Architecture preferred{9, 0, 0}, chosen;
  int users = 0;               // of the context
  std::set<std::string> texts; // of all errors so far: callers keep pointers to them
  std::map<Result, const char *> latest;
};

// The contexts that the calling thread has pushed.
std::vector<ContextHandle> &currentContexts();

enum class Needs { Nothing, Driver, Context };

// Every entry runs in this: alone, with what it needs, no exception leaves it.
template <typename Body> Result entry(Needs needs, Body body) {
  EmulatedDriver &driver = EmulatedDriver::get();
  std::lock_guard<std::mutex> lock(driver.mutex);
  if (needs != Needs::Nothing && !driver.initialized)
    return notInitialized;
  if (needs == Needs::Context) {
    if (currentContexts().empty() || !driver.device)
      return driver.fail(invalidContext, "the calling thread has no current context");
    if (driver.lost != success)
      return driver.lost;
  }
  try {
    return body(driver);
  } catch (const std::bad_alloc &) {
    return outOfMemory;
  }
}

#define QCC_EMULATED_ENTRY(name, symbol, parameters)                                                                   \
  extern "C" __attribute__((visibility("default"))) Result symbol parameters;
QCC_CUDA_DRIVER_ENTRIES(QCC_EMULATED_ENTRY)
#undef QCC_EMULATED_ENTRY

} // namespace qcc::cuda

#endif // QCC_LIB_EMULATEDDRIVER_DRIVER_H
