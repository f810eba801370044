#include "Buffer.h"

#include <sys/mman.h>

#include <cstdlib>

namespace qcc {
namespace {

alignas(64) uint8_t nothing[64];
// From here on a buffer is made of huge pages where the system has them: it is read at the speed of memory, and misses
// in the address translation would count.
constexpr size_t hugePage = size_t(2) << 20;

} // namespace

Buffer::Buffer() : memory(nothing) {}

Buffer::~Buffer() {
  if (memory != nothing)
    std::free(memory);
}

bool Buffer::reserve(size_t bytes) {
  if (bytes <= capacity)
    return true;
  if (bytes > SIZE_MAX / 2)
    return false;
  size_t alignment = bytes >= 2 * hugePage ? hugePage : 64;
  size_t rounded = (bytes + 63) / 64 * 64;
  void *fresh = nullptr;
  if (::posix_memalign(&fresh, alignment, rounded) != 0)
    return false;
  if (alignment == hugePage)
    ::madvise(fresh, rounded, MADV_HUGEPAGE);
  if (memory != nothing)
    std::free(memory);
  memory = static_cast<uint8_t *>(fresh);
  capacity = rounded;
  return true;
}

} // namespace qcc
