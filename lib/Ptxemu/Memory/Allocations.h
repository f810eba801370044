// The allocations of a device's memory by address.
#ifndef QCC_LIB_PTXEMU_MEMORY_ALLOCATIONS_H
#define QCC_LIB_PTXEMU_MEMORY_ALLOCATIONS_H

#include <cstdint>
#include <map>

namespace qcc::ptxemu {

struct Range {
  uint64_t begin = 0, end = 0;
  bool holds(uint64_t address, uint64_t bytes) const {
    return address >= begin && address <= end && bytes <= end - address;
  }
};

class Allocations {
public:
  ~Allocations();
  // 0 if memory cannot be had.
  uint64_t allocate(uint64_t bytes, uint64_t alignment);
  bool release(uint64_t address, uint64_t &bytes);
  // The one that begins at or below the address, whether it holds it or not; false if there is none.
  bool below(uint64_t address, Range &range) const;
  bool find(uint64_t address, uint64_t bytes, Range &range) const {
    return below(address, range) && range.holds(address, bytes);
  }

private:
  struct Block {
    uint64_t bytes;
    void *memory;
  };
  std::map<uint64_t, Block> blocks;
};

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MEMORY_ALLOCATIONS_H
