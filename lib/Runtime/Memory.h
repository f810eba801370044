// Where a session's tensors live: the processor's memory or a device's.
#ifndef QCC_LIB_RUNTIME_MEMORY_H
#define QCC_LIB_RUNTIME_MEMORY_H

#include "Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace qcc {

// Which sides of a copy are in this memory. For the processor's memory all three are the same.
enum class Copy { In, Out, Within };

class Memory {
public:
  virtual ~Memory() = default;

  // Aligned as a program's tensors must be; null when there is none.
  virtual uint8_t *allocate(size_t bytes) = 0;
  virtual void release(uint8_t *data, size_t bytes) = 0;
  // What an empty tensor points to.
  virtual uint8_t *nothing() = 0;

  // These happen in the order they are called in, after all that the session started before. False when the device
  // refuses.
  virtual bool clear(uint8_t *data, size_t bytes) = 0;
  // Moves rows of `bytes` bytes between tensors whose rows start `fromStride` and `toStride` bytes apart.
  virtual bool copyRows(Copy kind, void *to, int64_t toStride, const void *from, int64_t fromStride, int64_t rows,
                        int64_t bytes) = 0;
  bool copy(Copy kind, void *to, const void *from, int64_t bytes) { return copyRows(kind, to, 0, from, 0, 1, bytes); }
  // Waits until all that the session started has happened.
  virtual bool wait() { return true; }
  // Waits for everything that anybody started on the device.
  virtual void settle() {}

  // How DLPack calls it.
  virtual DLDevice device() const = 0;
  // Whether a pointer that a caller says is on this device is that.
  virtual bool holds(const void *data) const { return true; }
  // Describes the last call that failed; returns false, to be returned. `what` completes "no memory for".
  virtual bool refuse(Error &error, const std::string &what) const {
    return error.set(QCC1_MEMORY, "no memory for " + what);
  }

  // The processor's.
  static const std::shared_ptr<Memory> &host();
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_MEMORY_H
