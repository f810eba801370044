// Entries about the driver, its errors, the device and its context.
#include "Driver.h"

#include <cstdio>

namespace qcc::cuda {
namespace {

struct Described {
  Result result;
  const char *name, *text;
};

constexpr Described results[] = {
    {success, "CUDA_SUCCESS", "no error"},
    {invalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {outOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {notInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {noDevice, "CUDA_ERROR_NO_DEVICE", "no device"},
    {invalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {invalidImage, "CUDA_ERROR_INVALID_IMAGE", "neither PTX nor compiled code"},
    {invalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {noBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", "the code is for another architecture"},
    {invalidPtx, "CUDA_ERROR_INVALID_PTX", "the PTX text is wrong"},
    {unsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the PTX version is unknown"},
    {invalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid handle"},
    {notFound, "CUDA_ERROR_NOT_FOUND", "there is no such symbol"},
    {illegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "a kernel accessed memory that is not its own"},
    {launchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many threads or too much memory for a block"},
    {misalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "a kernel accessed a misaligned address"},
    {launchFailed, "CUDA_ERROR_LAUNCH_FAILED", "a kernel failed"},
    {notSupported, "CUDA_ERROR_NOT_SUPPORTED", "the emulator does not do this"},
    {captureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "not while a stream is captured"},
    {captureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the stream is not being captured"},
    {graphUpdateFailure, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graph is of another shape"},
    {invalidClusterSize, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "the cluster is too large"},
};

const Described *find(Result result) {
  for (const Described &described : results)
    if (described.result == result)
      return &described;
  return nullptr;
}

constexpr int emulatedVersion = 13000;

} // namespace

// Called before anything else by who knows what the device shall run.
extern "C" __attribute__((visibility("default"))) void qccEmulatedArchitecture(const char *architecture) {
  entry(Needs::Nothing, [&](EmulatedDriver &driver) {
    driver.prefer(architecture);
    return success;
  });
}

Result cuInit(unsigned flags) {
  return entry(Needs::Nothing, [&](EmulatedDriver &driver) { return flags ? invalidValue : driver.initialize(); });
}

Result cuDriverGetVersion(int *version) {
  *version = emulatedVersion;
  return success;
}

Result cuGetErrorName(Result error, const char **text) {
  const Described *described = find(error);
  *text = described ? described->name : nullptr;
  return described ? success : invalidValue;
}

Result cuGetErrorString(Result error, const char **text) {
  return entry(Needs::Nothing, [&](EmulatedDriver &driver) {
    const Described *described = find(error);
    *text = driver.text(error);
    if (!*text && described)
      *text = described->text;
    return *text ? success : invalidValue;
  });
}

Result cuDeviceGetCount(int *count) {
  return entry(Needs::Driver, [&](EmulatedDriver &) {
    *count = 1;
    return success;
  });
}

Result cuDeviceGet(Device *device, int ordinal) {
  return entry(Needs::Driver, [&](EmulatedDriver &) {
    *device = 0;
    return ordinal == 0 ? success : invalidDevice;
  });
}

Result cuDeviceGetName(char *name, int length, Device device) {
  return entry(Needs::Driver, [&](EmulatedDriver &driver) {
    if (device != 0 || length < 1)
      return invalidDevice;
    std::snprintf(name, length, "emulated %s", driver.architecture().spell().c_str());
    return success;
  });
}

Result cuDeviceGetAttribute(int *value, int attribute, Device device) {
  return entry(Needs::Driver, [&](EmulatedDriver &driver) {
    if (device != 0)
      return invalidDevice;
    switch (attribute) {
    case maxThreadsPerBlock:
      *value = static_cast<int>(ptxemu::DeviceLimits().threadsPerBlock);
      return success;
    case multiprocessorCount:
      *value = driver.multiprocessors;
      return success;
    case computeCapabilityMajor:
      *value = static_cast<int>(driver.architecture().major);
      return success;
    case computeCapabilityMinor:
      *value = static_cast<int>(driver.architecture().minor);
      return success;
    case maxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(driver.sharedBytesPerBlock());
      return success;
    default:
      return driver.fail(invalidValue, "the emulator does not know attribute " + std::to_string(attribute));
    }
  });
}

Result cuDevicePrimaryCtxRetain(ContextHandle *context, Device device) {
  return entry(Needs::Driver, [&](EmulatedDriver &driver) {
    if (device != 0)
      return invalidDevice;
    *context = &driver.context;
    return driver.retain();
  });
}

Result cuDevicePrimaryCtxRelease_v2(Device device) {
  return entry(Needs::Driver,
               [&](EmulatedDriver &driver) { return device == 0 ? driver.release() : Result(invalidDevice); });
}

Result cuCtxPushCurrent_v2(ContextHandle context) {
  return entry(Needs::Driver, [&](EmulatedDriver &driver) {
    if (context != &driver.context || !driver.device)
      return invalidContext;
    currentContexts().push_back(context);
    return success;
  });
}

Result cuCtxPopCurrent_v2(ContextHandle *context) {
  return entry(Needs::Driver, [&](EmulatedDriver &) {
    if (currentContexts().empty())
      return invalidContext;
    *context = currentContexts().back();
    currentContexts().pop_back();
    return success;
  });
}

Result cuCtxSynchronize() {
  return entry(Needs::Context, [](EmulatedDriver &) { return success; });
}

} // namespace qcc::cuda
