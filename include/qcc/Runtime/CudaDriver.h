/* The part of NVIDIA's driver interface (libcuda.so.1) that the runtime uses, declared here so that nothing of a CUDA
 * toolkit is needed to build or to run. What these functions do is said in NVIDIA's "CUDA Driver API"; names that end
 * in _v2 are the ABI of CUDA 12. The emulated driver (lib/EmulatedDriver) defines the same functions. */
#ifndef QCC_RUNTIME_CUDADRIVER_H
#define QCC_RUNTIME_CUDADRIVER_H

#include <cstddef>
#include <cstdint>

namespace qcc::cuda {

using Result = int;
using Device = int;
using Address = unsigned long long; // in device memory
using ContextHandle = struct ContextObject *;
using ModuleHandle = struct ModuleObject *;
using Function = struct FunctionObject *;
using Stream = struct StreamObject *;
using Graph = struct GraphObject *;
using GraphExec = struct GraphExecObject *;

constexpr Result success = 0;
constexpr Result invalidValue = 1;
constexpr Result outOfMemory = 2;
constexpr Result notInitialized = 3;
constexpr Result noDevice = 100;
constexpr Result invalidDevice = 101;
constexpr Result invalidImage = 200;
constexpr Result invalidContext = 201;
constexpr Result noBinaryForGpu = 209;
constexpr Result invalidPtx = 218;
constexpr Result unsupportedPtxVersion = 222;
constexpr Result invalidHandle = 400;
constexpr Result notFound = 500;
constexpr Result illegalAddress = 700;
constexpr Result launchOutOfResources = 701;
constexpr Result misalignedAddress = 716;
constexpr Result launchFailed = 719;
constexpr Result notSupported = 801;
constexpr Result captureUnsupported = 900;
constexpr Result captureUnmatched = 903;
constexpr Result graphUpdateFailure = 910;
constexpr Result invalidClusterSize = 912;

// Of devices (CUdevice_attribute).
enum : int {
  maxThreadsPerBlock = 1,
  multiprocessorCount = 16,
  computeCapabilityMajor = 75,
  computeCapabilityMinor = 76,
  maxSharedMemoryPerBlockOptin = 97
};

// Of functions (CUfunction_attribute).
enum : int {
  functionMaxThreadsPerBlock = 0,
  functionSharedBytes = 1,
  functionMaxDynamicSharedBytes = 8,
  functionNonPortableClusters = 14
};

// Of pointers (CUpointer_attribute), and what the first says.
enum : int { pointerMemoryType = 2, pointerDeviceOrdinal = 9 };
enum : unsigned { hostMemory = 1, deviceMemory = 2 };

// Options of the compiler of PTX (CUjit_option).
enum : int { jitErrorLog = 5, jitErrorLogBytes = 6 };

enum : unsigned { streamNonBlocking = 1 };
enum : int { captureRelaxed = 2 };

// CUDA_MEMCPY2D
struct Copy2D {
  size_t sourceX, sourceY;
  unsigned sourceType;
  const void *sourceHost;
  Address sourceDevice;
  void *sourceArray;
  size_t sourcePitch;
  size_t targetX, targetY;
  unsigned targetType;
  void *targetHost;
  Address targetDevice;
  void *targetArray;
  size_t targetPitch;
  size_t widthInBytes, height;
};

// CUlaunchAttribute
struct LaunchAttribute {
  static constexpr int clusterDimension = 4;
  int id;
  char padding[4];
  union {
    char bytes[64];
    unsigned cluster[3];
  };
};

// CUlaunchConfig
struct LaunchConfig {
  unsigned grid[3], block[3];
  unsigned sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

// CUgraphExecUpdateResultInfo
struct GraphUpdate {
  int result;
  void *errorNode, *errorFromNode;
};

// CUtensorMap, and the values of its enums that qcc uses.
struct alignas(64) TensorMap {
  uint64_t words[16];
};
enum : int {
  tensorInterleaveNone = 0,
  tensorSwizzleNone = 0,
  tensorSwizzle32 = 1,
  tensorSwizzle64 = 2,
  tensorSwizzle128 = 3,
  tensorPromote128 = 2, // what is read is fetched into the second-level cache in pieces of 128 bytes
  tensorFillZero = 0
};

// X(name, symbol, parameters): every function that the runtime calls. All are in CUDA 12.0's driver.
#define QCC_CUDA_DRIVER_ENTRIES(X)                                                                                     \
  X(init, cuInit, (unsigned flags))                                                                                    \
  X(driverGetVersion, cuDriverGetVersion, (int *version))                                                              \
  X(getErrorName, cuGetErrorName, (Result error, const char **text))                                                   \
  X(getErrorString, cuGetErrorString, (Result error, const char **text))                                               \
  X(deviceGetCount, cuDeviceGetCount, (int *count))                                                                    \
  X(deviceGet, cuDeviceGet, (Device * device, int ordinal))                                                            \
  X(deviceGetName, cuDeviceGetName, (char *name, int length, Device device))                                           \
  X(deviceGetAttribute, cuDeviceGetAttribute, (int *value, int attribute, Device device))                              \
  X(primaryContextRetain, cuDevicePrimaryCtxRetain, (ContextHandle * context, Device device))                          \
  X(primaryContextRelease, cuDevicePrimaryCtxRelease_v2, (Device device))                                              \
  X(contextPush, cuCtxPushCurrent_v2, (ContextHandle context))                                                         \
  X(contextPop, cuCtxPopCurrent_v2, (ContextHandle * context))                                                         \
  X(contextSynchronize, cuCtxSynchronize, ())                                                                          \
  X(memGetInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                                                        \
  X(memAlloc, cuMemAlloc_v2, (Address * memory, size_t bytes))                                                         \
  X(memFree, cuMemFree_v2, (Address memory))                                                                           \
  X(memAllocHost, cuMemAllocHost_v2, (void **memory, size_t bytes))                                                    \
  X(memFreeHost, cuMemFreeHost, (void *memory))                                                                        \
  X(copyToDevice, cuMemcpyHtoDAsync_v2, (Address to, const void *from, size_t bytes, Stream stream))                   \
  X(copyToHost, cuMemcpyDtoHAsync_v2, (void *to, Address from, size_t bytes, Stream stream))                           \
  X(copyOnDevice, cuMemcpyDtoDAsync_v2, (Address to, Address from, size_t bytes, Stream stream))                       \
  X(copy2D, cuMemcpy2DAsync_v2, (const Copy2D *copy, Stream stream))                                                   \
  X(fill, cuMemsetD8Async, (Address to, unsigned char value, size_t bytes, Stream stream))                             \
  X(pointerGetAttribute, cuPointerGetAttribute, (void *value, int attribute, Address address))                         \
  X(streamCreate, cuStreamCreate, (Stream * stream, unsigned flags))                                                   \
  X(streamDestroy, cuStreamDestroy_v2, (Stream stream))                                                                \
  X(streamSynchronize, cuStreamSynchronize, (Stream stream))                                                           \
  X(streamBeginCapture, cuStreamBeginCapture_v2, (Stream stream, int mode))                                            \
  X(streamEndCapture, cuStreamEndCapture, (Stream stream, Graph * graph))                                              \
  X(moduleLoadData, cuModuleLoadDataEx,                                                                                \
    (ModuleHandle * module, const void *image, unsigned optionCount, int *options, void **values))                     \
  X(moduleUnload, cuModuleUnload, (ModuleHandle module))                                                               \
  X(moduleGetFunction, cuModuleGetFunction, (Function * function, ModuleHandle module, const char *name))              \
  X(functionGetAttribute, cuFuncGetAttribute, (int *value, int attribute, Function function))                          \
  X(functionSetAttribute, cuFuncSetAttribute, (Function function, int attribute, int value))                           \
  X(launchKernel, cuLaunchKernel,                                                                                      \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,              \
     unsigned blockZ, unsigned sharedBytes, Stream stream, void **arguments, void **extra))                            \
  X(launchKernelEx, cuLaunchKernelEx, (const LaunchConfig *config, Function function, void **arguments, void **extra)) \
  X(tensorMapEncodeTiled, cuTensorMapEncodeTiled,                                                                      \
    (TensorMap * map, int type, uint32_t rank, void *address, const uint64_t *dims, const uint64_t *strides,           \
     const uint32_t *box, const uint32_t *elementStrides, int interleave, int swizzle, int promotion, int fill))       \
  X(graphInstantiate, cuGraphInstantiateWithFlags, (GraphExec * exec, Graph graph, unsigned long long flags))          \
  X(graphExecUpdate, cuGraphExecUpdate_v2, (GraphExec exec, Graph graph, GraphUpdate * info))                          \
  X(graphLaunch, cuGraphLaunch, (GraphExec exec, Stream stream))                                                       \
  X(graphDestroy, cuGraphDestroy, (Graph graph))                                                                       \
  X(graphExecDestroy, cuGraphExecDestroy, (GraphExec exec))

constexpr int leastDriverVersion = 12000; // as cuDriverGetVersion gives it: 1000 * major + 10 * minor

} // namespace qcc::cuda

#endif // QCC_RUNTIME_CUDADRIVER_H
