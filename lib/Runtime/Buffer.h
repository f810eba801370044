// Memory whose size hostile input may have chosen: allocation reports failure instead of throwing.
#ifndef QCC_LIB_RUNTIME_BUFFER_H
#define QCC_LIB_RUNTIME_BUFFER_H

#include "Memory.h"

#include <utility>

namespace qcc {

// 64-byte aligned, on devices 256; never null, even when it is empty.
class Buffer {
public:
  explicit Buffer(std::shared_ptr<Memory> place = Memory::host());
  ~Buffer();
  Buffer(Buffer &&other) noexcept : place(other.place), bytes(place->nothing()) { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    std::swap(place, other.place);
    std::swap(bytes, other.bytes);
    std::swap(capacity, other.capacity);
    return *this;
  }

  // Makes room for `size` bytes, keeping nothing of the contents when that needs new memory. False when there is none;
  // the buffer is then as before.
  bool reserve(size_t size);
  uint8_t *data() const { return bytes; }
  size_t size() const { return capacity; }
  Memory &memory() const { return *place; }

private:
  std::shared_ptr<Memory> place;
  uint8_t *bytes;
  size_t capacity = 0;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_BUFFER_H
