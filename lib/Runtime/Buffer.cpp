#include "Buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace qcc {
namespace {

alignas(64) uint8_t noBytes[64];
// From here on a buffer is made of huge pages where the system has them: it is read at the speed of memory, and misses
// in the address translation would count.
constexpr size_t hugePage = size_t(2) << 20;

class HostMemory : public Memory {
public:
  uint8_t *allocate(size_t bytes) override {
    size_t alignment = bytes >= 2 * hugePage ? hugePage : 64;
    void *fresh = nullptr;
    if (::posix_memalign(&fresh, alignment, bytes) != 0)
      return nullptr;
    if (alignment == hugePage)
      ::madvise(fresh, bytes, MADV_HUGEPAGE);
    return static_cast<uint8_t *>(fresh);
  }
  void release(uint8_t *data, size_t bytes) override { std::free(data); }
  uint8_t *nothing() override { return noBytes; }
  bool clear(uint8_t *data, size_t bytes) override {
    std::memset(data, 0, bytes);
    return true;
  }
  bool copyRows(Copy kind, void *to, int64_t toStride, const void *from, int64_t fromStride, int64_t rows,
                int64_t bytes) override {
    if (bytes != 0)
      for (int64_t row = 0; row < rows; ++row)
        std::memcpy(static_cast<uint8_t *>(to) + row * toStride, static_cast<const uint8_t *>(from) + row * fromStride,
                    bytes);
    return true;
  }
  DLDevice device() const override { return {1, 0}; }
};

} // namespace

const std::shared_ptr<Memory> &Memory::host() {
  // Never destroyed: tensors may outlive everything else.
  static const auto &memory = *new std::shared_ptr<Memory>(std::make_shared<HostMemory>());
  return memory;
}

Buffer::Buffer(std::shared_ptr<Memory> memory) : place(std::move(memory)), bytes(place->nothing()) {}

Buffer::~Buffer() {
  if (capacity)
    place->release(bytes, capacity);
}

bool Buffer::reserve(size_t size) {
  if (size <= capacity)
    return true;
  if (size > SIZE_MAX / 2)
    return false;
  size_t rounded = (size + 63) / 64 * 64;
  uint8_t *fresh = place->allocate(rounded);
  if (!fresh)
    return false;
  if (capacity)
    place->release(bytes, capacity);
  bytes = fresh;
  capacity = rounded;
  return true;
}

} // namespace qcc
