// An emulated GPU: memory, loaded modules, launches.
#ifndef QCC_PTXEMU_DEVICE_H
#define QCC_PTXEMU_DEVICE_H

#include "qcc/Ptxemu/Module.h"
#include "qcc/Ptxemu/Report.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace qcc::ptxemu {

struct DeviceLimits {
  uint64_t memoryBytes = uint64_t(8) << 30;
  uint32_t threadsPerBlock = 1024;
  uint32_t clusterBlocks = 16;
  // Shared memory of a block, dynamic and static; 0 is what the architecture has.
  uint32_t sharedBytesPerBlock = 0;
};

struct Launch {
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  // Blocks in a cluster; zeros take the kernel's own or one.
  uint32_t cluster[3] = {0, 0, 0};
  uint32_t sharedBytes = 0; // dynamic
  // The parameter block, laid out as KernelInfo says.
  const void *parameters = nullptr;
  size_t parameterBytes = 0;
};

struct Options {
  uint64_t seed = 1;      // of the order in which warps run and asynchronous work completes
  bool checks = true;     // happens-before on shared memory; everything else is always checked
  bool counts = true;     // bank conflicts and coverage
  unsigned findings = 16; // the launch ends after so many
  // The launch ends, with a finding, after so many instructions of warps.
  uint64_t instructionLimit = uint64_t(1) << 40;
};

// Device addresses are addresses of this process, but only inside allocations of this device may a kernel read or
// write. Not safe for use by two threads at a time.
class Device {
public:
  explicit Device(Architecture architecture, DeviceLimits limits = {});
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  const Architecture &architecture() const;
  // Shared memory that a block may have on this architecture.
  uint32_t sharedBytesPerBlock() const;
  uint64_t memoryBytes() const;
  uint64_t allocatedBytes() const;

  // 0 if memory does not suffice or `alignment` is not a power of two. The bytes are not initialised.
  uint64_t allocate(uint64_t bytes, uint64_t alignment = 256);
  // False if the address is not the beginning of an allocation.
  bool release(uint64_t address);
  // Whether all bytes lie in one allocation.
  bool contains(uint64_t address, uint64_t bytes) const;
  // The allocation that holds the address; false if there is none.
  bool allocationOf(uint64_t address, uint64_t &begin, uint64_t &bytes) const;

  // These return false, and do nothing, if the bytes of the device do not lie in one allocation.
  bool write(uint64_t to, const void *from, uint64_t bytes);
  bool read(void *to, uint64_t from, uint64_t bytes) const;
  bool copy(uint64_t to, uint64_t from, uint64_t bytes);
  bool fill(uint64_t to, uint8_t value, uint64_t bytes);

  // Places the module's variables in memory. False, with the reason, if the module is for another architecture or
  // memory does not suffice. Loading again does nothing.
  bool load(const std::shared_ptr<const Module> &module, std::string &error);
  void unload(const std::shared_ptr<const Module> &module);
  // Where a variable of a loaded module lies; 0 if there is none of that name.
  uint64_t globalAddress(const Module &module, std::string_view name) const;

  // Runs a kernel of a loaded module to its end or to the last finding that `options` allow.
  Report launch(const Module &module, std::string_view kernel, const Launch &launch, const Options &options = {});

  struct State; // private to the library
private:
  std::unique_ptr<State> state;
};

} // namespace qcc::ptxemu

#endif // QCC_PTXEMU_DEVICE_H
