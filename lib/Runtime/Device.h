// Devices as the rest of the runtime sees them: a name, a model's part on a device, a session's part.
#ifndef QCC_LIB_RUNTIME_DEVICE_H
#define QCC_LIB_RUNTIME_DEVICE_H

#include "Memory.h"
#include "qcc/Runtime/Abi.h"

#include <cstdint>
#include <memory>
#include <string>

namespace qcc {

struct DeviceName {
  enum Kind { Cpu, Cuda, Emulated };
  Kind kind = Cpu;
  int ordinal = 0;

  // Reads "cpu", "cuda", "cuda:1", "emulate".
  static bool parse(const std::string &text, DeviceName &name, Error &error);
  std::string spell() const;
};

// A session's work on a device and the memory it uses there; what is started happens in order. After a call that
// returned false, `refuse` describes why.
class Queue : public Memory {
public:
  // Until `leave` the calling thread works on this device.
  virtual void enter() = 0;
  virtual void leave() = 0;

  // What a device program's frame needs for a run; what kernels report starts at zero.
  virtual bool begin(qcc_frame &frame) = 0;
  virtual bool launch(int64_t kernel, int64_t blocks, void **arguments) noexcept = 0;
  virtual bool read(const void *from, void *to, int64_t bytes) noexcept = 0;
  virtual bool encode(void *map, const qcc_tensor_map &description) noexcept = 0;
  // Records what is started instead of starting it, in place of what was in the slot before; or throws it away.
  virtual bool beginRecording() = 0;
  virtual bool endRecording(size_t slot, bool keep) = 0;
  // Starts what was recorded.
  virtual bool replay(size_t slot) = 0;
  // Waits until the run has ended, and gives what its kernels reported.
  virtual bool end(int64_t &reported) = 0;
};

// A model's code and weights on a device, shared by its sessions.
class DeviceProgram {
public:
  virtual ~DeviceProgram() = default;
  virtual const uint8_t *weights() const = 0;
  // Null when the device refuses.
  virtual std::shared_ptr<Queue> open(Error &error) = 0;
};

} // namespace qcc

#endif // QCC_LIB_RUNTIME_DEVICE_H
