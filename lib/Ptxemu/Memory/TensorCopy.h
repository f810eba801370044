// Copies of the async proxy: what bulk copies of bytes and of tiles share.
#ifndef QCC_LIB_PTXEMU_MEMORY_TENSORCOPY_H
#define QCC_LIB_PTXEMU_MEMORY_TENSORCOPY_H

#include "Decode/Decoder.h"
#include "Execute/Machine.h"

#include <functional>

namespace qcc::ptxemu {

void decodeTensorCopy(Decoder &decoder);
void decodeTensorReduce(Decoder &decoder);

// The 16-byte units of shared memory that a swizzle of `span` bytes exchanges, by the absolute address.
inline uint32_t swizzled(uint32_t address, uint32_t span) {
  return span < 32 ? address : address ^ ((address >> 7 & (span / 16 - 1)) << 4);
}

// Runs `action` now or later, with the actor's knowledge of now.
void startLate(Machine &machine, Warp &warp, const Actor &actor, std::function<void(const Actor &)> action);
// Calls `action` with the shared address in every block of the cluster that the mask names; without a mask, as it is.
void forTargets(uint32_t blocks, uint32_t address, const std::function<void(uint32_t)> &action);
// Tells an mbarrier that bytes have arrived.
void completeBytes(Machine &machine, const Actor &actor, uint32_t barrier, int64_t bytes, unsigned lane);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MEMORY_TENSORCOPY_H
