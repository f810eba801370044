#include "Memory/Allocations.h"

#include <algorithm>
#include <cstdlib>

namespace qcc::ptxemu {

Allocations::~Allocations() {
  for (auto &[address, block] : blocks)
    std::free(block.memory);
}

uint64_t Allocations::allocate(uint64_t bytes, uint64_t alignment) {
  // Space behind every allocation keeps neighbours apart, so that an address just past one lies in none.
  uint64_t padding = std::max<uint64_t>(alignment, 64);
  if (bytes > UINT64_MAX - 2 * padding)
    return 0;
  void *memory = std::malloc(bytes + 2 * padding);
  if (!memory)
    return 0;
  uint64_t address = (reinterpret_cast<uint64_t>(memory) + padding - 1) / padding * padding;
  blocks[address] = {bytes, memory};
  return address;
}

bool Allocations::release(uint64_t address, uint64_t &bytes) {
  auto found = blocks.find(address);
  if (found == blocks.end())
    return false;
  bytes = found->second.bytes;
  std::free(found->second.memory);
  blocks.erase(found);
  return true;
}

bool Allocations::below(uint64_t address, Range &range) const {
  auto found = blocks.upper_bound(address);
  if (found == blocks.begin())
    return false;
  --found;
  range = {found->first, found->first + found->second.bytes};
  return true;
}

} // namespace qcc::ptxemu
