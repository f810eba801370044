// Memory whose size hostile input may have chosen: allocation reports failure instead of throwing.
#ifndef QCC_LIB_RUNTIME_BUFFER_H
#define QCC_LIB_RUNTIME_BUFFER_H

#include <cstddef>
#include <cstdint>
#include <utility>

namespace qcc {

// 64-byte aligned; never null, even when it is empty.
class Buffer {
public:
  Buffer();
  ~Buffer();
  Buffer(Buffer &&other) noexcept : Buffer() { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    std::swap(memory, other.memory);
    std::swap(capacity, other.capacity);
    return *this;
  }

  // Makes room for `bytes`, keeping nothing of the contents when that needs new memory. False when there is none; the
  // buffer is then as before.
  bool reserve(size_t bytes);
  uint8_t *data() const { return memory; }
  size_t size() const { return capacity; }

private:
  uint8_t *memory;
  size_t capacity = 0;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_BUFFER_H
