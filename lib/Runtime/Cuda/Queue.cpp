#include "Queue.h"

#include <algorithm>
#include <climits>
#include <cstring>

namespace qcc::cuda {
namespace {

constexpr int32_t dlpackCuda = 2;
constexpr size_t alignment = 256;

Address address(const void *data) { return reinterpret_cast<Address>(data); }

} // namespace

std::shared_ptr<Queue> Queue::open(const Program &program, Error &error) {
  std::shared_ptr<Queue> queue(new Queue(program));
  Current current(*queue->context);
  const Driver &driver = queue->driver();
  // One place for what kernels report, one for empty tensors.
  if (!queue->check(driver.streamCreate(&queue->stream, streamNonBlocking), "making a stream") ||
      !queue->check(driver.memAlloc(&queue->cell, 2 * alignment), "allocating memory") ||
      !queue->check(driver.memAllocHost(reinterpret_cast<void **>(&queue->reported), sizeof(int64_t)),
                    "allocating pinned memory")) {
    queue->refuse(error, "a session");
    return nullptr;
  }
  return queue;
}

Queue::~Queue() {
  Current current(*context);
  if (stream)
    driver().streamSynchronize(stream);
  for (GraphExec exec : recorded)
    if (exec)
      driver().graphExecDestroy(exec);
  trim();
  if (reported)
    driver().memFreeHost(reported);
  if (cell)
    driver().memFree(cell);
  if (stream)
    driver().streamDestroy(stream);
}

bool Queue::check(Result result, const char *doing, const std::string &object) {
  if (result == success)
    return true;
  failed = result;
  failure = doing + object;
  shortage.clear();
  return false;
}

bool Queue::refuse(Error &error, const std::string &what) const {
  if (failed == outOfMemory)
    return error.set(QCC1_MEMORY, "no memory for " + what + shortage);
  return error.set(QCC1_RUN, context->spell() + ", " + failure + ": " + driver().describe(failed));
}

uint8_t *Queue::allocate(size_t bytes) {
  bytes = (bytes + alignment - 1) / alignment * alignment;
  std::lock_guard<std::mutex> lock(mutex);
  // What is a little larger serves too.
  auto found = idle.lower_bound(bytes);
  if (found != idle.end() && found->first <= bytes + bytes / 4) {
    Address memory = found->second;
    sizes[memory] = found->first;
    idleBytes -= found->first;
    idle.erase(found);
    return reinterpret_cast<uint8_t *>(memory);
  }
  Current current(*context);
  Address memory = 0;
  Result result = driver().memAlloc(&memory, bytes);
  if (result == outOfMemory && !idle.empty()) {
    trim();
    result = driver().memAlloc(&memory, bytes);
  }
  if (!check(result, "allocating memory")) {
    if (result == outOfMemory)
      shortage = context->shortage(bytes);
    return nullptr;
  }
  sizes[memory] = bytes;
  return reinterpret_cast<uint8_t *>(memory);
}

void Queue::release(uint8_t *data, size_t bytes) {
  constexpr size_t keptAtMost = size_t(256) << 20;
  std::lock_guard<std::mutex> lock(mutex);
  auto found = sizes.find(address(data));
  if (found == sizes.end())
    return;
  idle.emplace(found->second, found->first);
  idleBytes += found->second;
  sizes.erase(found);
  if (idleBytes > keptAtMost) {
    Current current(*context);
    trim();
  }
}

void Queue::trim() {
  for (auto [size, memory] : idle)
    driver().memFree(memory);
  idle.clear();
  idleBytes = 0;
}

bool Queue::clear(uint8_t *data, size_t bytes) {
  return bytes == 0 || check(driver().fill(address(data), 0, bytes, stream), "clearing memory");
}

bool Queue::copyRows(Copy kind, void *to, int64_t toStride, const void *from, int64_t fromStride, int64_t rows,
                     int64_t bytes) {
  if (rows == 0 || bytes == 0)
    return true;
  constexpr const char *doing = "copying a tensor";
  constexpr int64_t widest = INT32_MAX; // row of a copy in two dimensions
  if (rows > 1 && toStride <= widest && fromStride <= widest) {
    Copy2D copy = {};
    copy.sourceType = kind == Copy::In ? hostMemory : deviceMemory;
    copy.targetType = kind == Copy::Out ? hostMemory : deviceMemory;
    copy.sourceHost = kind == Copy::In ? from : nullptr;
    copy.sourceDevice = kind == Copy::In ? 0 : address(from);
    copy.targetHost = kind == Copy::Out ? to : nullptr;
    copy.targetDevice = kind == Copy::Out ? 0 : address(to);
    copy.sourcePitch = fromStride;
    copy.targetPitch = toStride;
    copy.widthInBytes = bytes;
    copy.height = rows;
    return check(driver().copy2D(&copy, stream), doing);
  }
  for (int64_t row = 0; row < rows; ++row) {
    uint8_t *target = static_cast<uint8_t *>(to) + row * toStride;
    const uint8_t *source = static_cast<const uint8_t *>(from) + row * fromStride;
    Result result = kind == Copy::In    ? driver().copyToDevice(address(target), source, bytes, stream)
                    : kind == Copy::Out ? driver().copyToHost(target, address(source), bytes, stream)
                                        : driver().copyOnDevice(address(target), address(source), bytes, stream);
    if (!check(result, doing))
      return false;
  }
  return true;
}

bool Queue::wait() { return check(driver().streamSynchronize(stream), "waiting for the device"); }

void Queue::settle() {
  Current current(*context);
  driver().contextSynchronize();
}

DLDevice Queue::device() const { return {dlpackCuda, context->ordinal()}; }

bool Queue::holds(const void *data) const {
  unsigned type = 0;
  int ordinal = -1;
  return driver().pointerGetAttribute(&type, pointerMemoryType, address(data)) == success && type == deviceMemory &&
         driver().pointerGetAttribute(&ordinal, pointerDeviceOrdinal, address(data)) == success &&
         ordinal == context->ordinal();
}

void Queue::enter() { entered.emplace(*context); }
void Queue::leave() { entered.reset(); }

bool Queue::begin(qcc_frame &frame) {
  frame.multiprocessors = context->multiprocessors();
  frame.device_error = reinterpret_cast<int64_t *>(cell);
  return check(driver().fill(cell, 0, sizeof(int64_t), stream), "clearing memory");
}

bool Queue::launch(int64_t index, int64_t blocks, void **arguments) noexcept {
  constexpr const char *starting = "starting kernel ";
  if (blocks == 0)
    return true;
  if (index < 0 || index >= static_cast<int64_t>(program.kernels().size()))
    return check(invalidHandle, starting, std::to_string(index));
  const Program::Kernel &kernel = program.kernels()[index];
  if (blocks < 0 || blocks > INT32_MAX)
    return check(invalidValue, starting, kernel.name + " with " + std::to_string(blocks) + " blocks");
  LaunchConfig config = {};
  LaunchAttribute cluster = {};
  config.grid[0] = static_cast<unsigned>(blocks);
  config.block[0] = kernel.threads;
  config.grid[1] = config.grid[2] = config.block[1] = config.block[2] = 1;
  config.sharedBytes = kernel.sharedBytes;
  config.stream = stream;
  if (kernel.cluster > 1) {
    cluster.id = LaunchAttribute::clusterDimension;
    cluster.cluster[0] = kernel.cluster;
    cluster.cluster[1] = cluster.cluster[2] = 1;
    config.attributes = &cluster;
    config.attributeCount = 1;
  }
  Result result = driver().launchKernelEx(&config, kernel.function, arguments, nullptr);
  return result == success || check(result, starting, kernel.name);
}

bool Queue::read(const void *from, void *to, int64_t bytes) noexcept {
  return copyRows(Copy::Out, to, 0, from, 0, 1, bytes) && wait();
}

bool Queue::encode(void *map, const qcc_tensor_map &wanted) noexcept {
  constexpr const char *doing = "describing a tensor to the copy engine";
  constexpr int64_t mostDims = 5;
  if (wanted.rank < 1 || wanted.rank > mostDims)
    return check(invalidValue, doing);
  uint64_t dims[mostDims] = {}, strides[mostDims] = {};
  uint32_t box[mostDims] = {}, steps[mostDims] = {};
  for (int64_t d = 0; d < wanted.rank; ++d) {
    dims[d] = wanted.dims[d];
    box[d] = static_cast<uint32_t>(wanted.box[d]);
    steps[d] = 1;
    if (d > 0)
      strides[d - 1] = wanted.strides[d];
  }
  int swizzle = wanted.swizzle == 128  ? tensorSwizzle128
                : wanted.swizzle == 64 ? tensorSwizzle64
                : wanted.swizzle == 32 ? tensorSwizzle32
                                       : tensorSwizzleNone;
  TensorMap encoded;
  if (!check(driver().tensorMapEncodeTiled(&encoded, static_cast<int>(wanted.type), static_cast<uint32_t>(wanted.rank),
                                           const_cast<void *>(wanted.address), dims, strides, box, steps,
                                           tensorInterleaveNone, swizzle, tensorPromote128, tensorFillZero),
             doing))
    return false;
  std::memcpy(map, &encoded, sizeof(encoded));
  return true;
}

bool Queue::beginRecording() {
  // Relaxed: an output's memory may be asked for meanwhile.
  return check(driver().streamBeginCapture(stream, captureRelaxed), "recording a run");
}

bool Queue::endRecording(size_t slot, bool keep) {
  Graph graph = nullptr;
  Result result = driver().streamEndCapture(stream, &graph);
  recorded.resize(std::max(recorded.size(), slot + 1));
  GraphExec &exec = recorded[slot];
  if (keep && result == success) {
    // Mostly only arguments have changed, and those can be exchanged.
    GraphUpdate update = {};
    if (exec && driver().graphExecUpdate(exec, graph, &update) != success) {
      driver().graphExecDestroy(exec);
      exec = nullptr;
    }
    if (!exec)
      result = driver().graphInstantiate(&exec, graph, 0);
  }
  if (graph)
    driver().graphDestroy(graph);
  return !keep || check(result, "recording a run");
}

bool Queue::replay(size_t slot) {
  return check(driver().graphLaunch(recorded[slot], stream), "starting a recorded run");
}

bool Queue::end(int64_t &code) {
  constexpr const char *doing = "running the program";
  code = 0;
  if (!check(driver().copyToHost(reported, cell, sizeof(int64_t), stream), doing) ||
      !check(driver().streamSynchronize(stream), doing))
    return false;
  code = *reported;
  return true;
}

} // namespace qcc::cuda
