// From addresses to bytes of the host: bounds, alignment, order, banks.
#include "Execute/Machine.h"
#include "Memory/Words.h"

#include <algorithm>
#include <cstdio>

namespace qcc::ptxemu {
namespace {

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

// The addresses' smallest, largest, and all of their bits. Lanes that are not in the mask hold the first lane's.
struct Extent {
  uint64_t least = ~uint64_t(0), most = 0, bits = 0;
};

Extent extentOf(const uint64_t *addresses, uint32_t mask) {
  Extent extent;
  if (mask == ~0u) {
    for (unsigned lane = 0; lane < 32; ++lane) {
      extent.least = std::min(extent.least, addresses[lane]);
      extent.most = std::max(extent.most, addresses[lane]);
      extent.bits |= addresses[lane];
    }
    return extent;
  }
  eachLane(mask, [&](unsigned lane) {
    extent.least = std::min(extent.least, addresses[lane]);
    extent.most = std::max(extent.most, addresses[lane]);
    extent.bits |= addresses[lane];
  });
  return extent;
}

} // namespace

Space takeSpace(Modifiers &words) {
  if (words.take("global") || words.take("const"))
    return Space::Global;
  if (words.take("shared") || words.take("shared::cta") || words.take("shared::cluster"))
    return Space::Shared;
  if (words.take("local"))
    return Space::Local;
  if (words.take("param") || words.take("param::entry") || words.take("param::func"))
    return Space::Param;
  return Space::Generic;
}

bool takeOrder(Modifiers &words) {
  int order = words.takeOneOf({"weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "sc"});
  bool mapped = words.take("mmio");
  words.takeOneOf({"cta", "cluster", "gpu", "sys"});
  return order > 0 || mapped;
}

bool takeCacheWords(Modifiers &words) {
  words.takeOneOf({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  words.take("nc");
  while (words.takeOneOf({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
                          "L1::no_allocate", "L2::evict_normal", "L2::evict_first", "L2::evict_last", "L2::64B",
                          "L2::128B", "L2::256B"}) >= 0) {
  }
  return words.take("L2::cache_hint");
}

void Machine::checkAlignment(const uint64_t *addresses, uint32_t alignment, uint32_t mask) {
  uint32_t lanes = 0;
  uint64_t first = 0;
  eachLane(mask, [&](unsigned lane) {
    if (addresses[lane] % alignment) {
      first = lanes ? first : addresses[lane];
      lanes |= 1u << lane;
    }
  });
  stop("misaligned", "address " + hex(first & ~windowMask) + " is not a multiple of " + std::to_string(alignment),
       lanes);
}

void Machine::resolve(Warp &warp, Space space, const uint64_t *addresses, uint32_t bytes, uint32_t alignment,
                      bool isWrite, bool isStrong, uint32_t mask, uint8_t **pointers) {
  if (extentOf(addresses, mask).bits & (alignment - 1))
    checkAlignment(addresses, alignment, mask);
  switch (space) {
  case Space::Generic:
    return resolveGeneric(warp, addresses, bytes, isWrite, isStrong, mask, pointers);
  case Space::Global:
    return resolveGlobal(addresses, bytes, mask, pointers);
  case Space::Shared:
    return resolveShared(warp, addresses, bytes, isWrite, isStrong, mask, pointers);
  default:
    return resolveThread(warp, space, addresses, bytes, isWrite, mask, pointers);
  }
}

void Machine::resolveGeneric(Warp &warp, const uint64_t *addresses, uint32_t bytes, bool isWrite, bool isStrong,
                             uint32_t mask, uint8_t **pointers) {
  while (mask) {
    uint64_t window = addresses[firstLane(mask)] & windowMask;
    uint32_t same = 0;
    uint64_t inside[32];
    eachLane(mask, [&](unsigned lane) {
      same |= uint32_t((addresses[lane] & windowMask) == window) << lane;
      inside[lane] = addresses[lane] & ~windowMask;
    });
    if (window == 0)
      resolveGlobal(addresses, bytes, same, pointers);
    else if (window == sharedWindow)
      resolveShared(warp, inside, bytes, isWrite, isStrong, same, pointers);
    else if (window == localWindow || window == paramWindow)
      resolveThread(warp, window == localWindow ? Space::Local : Space::Param, inside, bytes, isWrite, same, pointers);
    else
      stop("out-of-bounds", "address " + hex(addresses[firstLane(mask)]) + " lies in no memory", same);
    mask &= ~same;
  }
}

void Machine::resolveGlobal(const uint64_t *addresses, uint32_t bytes, uint32_t mask, uint8_t **pointers) {
  Extent extent = extentOf(addresses, mask);
  Range &hint = hints[static_cast<size_t>(here.instruction - program.code.data())];
  bool oneAllocation = extent.least >= hint.begin && extent.most <= hint.end && bytes <= hint.end - extent.most;
  if (oneAllocation) {
    for (unsigned lane = 0; lane < 32; ++lane)
      pointers[lane] = reinterpret_cast<uint8_t *>(addresses[lane]);
    return;
  }
  eachLane(mask, [&](unsigned lane) { pointers[lane] = global(addresses[lane], bytes, lane); });
  memory.find(addresses[firstLane(mask)], bytes, hint);
}

uint8_t *Machine::global(uint64_t address, uint64_t bytes, unsigned lane) {
  Range range;
  if (here.instruction) {
    const Range &hint = hints[static_cast<size_t>(here.instruction - program.code.data())];
    if (hint.holds(address, bytes))
      return reinterpret_cast<uint8_t *>(address);
  }
  if (memory.find(address, bytes, range))
    return reinterpret_cast<uint8_t *>(address);
  std::string text = std::to_string(bytes) + " bytes at global address " + hex(address) + " are not in an allocation";
  if (memory.below(address, range))
    text += "; the nearest below has " + std::to_string(range.end - range.begin) + " bytes and begins " +
            std::to_string(address - range.begin) + " bytes before";
  stop("out-of-bounds", text, 1u << lane);
}

void Machine::resolveThread(Warp &warp, Space space, const uint64_t *addresses, uint32_t bytes, bool isWrite,
                            uint32_t mask, uint8_t **pointers) {
  eachLane(mask, [&](unsigned lane) {
    uint64_t at = addresses[lane];
    // Parameters of functions have local addresses too.
    bool isCall = at >= callParamStart, isLocal = space == Space::Local && !isCall;
    at -= isCall ? callParamStart : 0;
    uint64_t size = isLocal ? kernel.localBytes : isCall ? kernel.callParamBytes : parameterBlock.size();
    if (at > size || bytes > size - at)
      stop("out-of-bounds",
           std::to_string(bytes) + " bytes at " + hex(at) + " of " + std::to_string(size) + " bytes of " +
               (isLocal ? "local memory" : "parameters"),
           1u << lane);
    if (!isLocal && !isCall && isWrite)
      stop("out-of-bounds", "a kernel's parameters are not to be written", 1u << lane);
    pointers[lane] = isLocal  ? warp.local.data() + lane * size + at
                     : isCall ? warp.callMemory.data() + lane * size + at
                              : parameterBlock.data() + at;
  });
}

// --- shared memory

Block &Machine::blockOf(uint32_t address, uint32_t bytes, unsigned lane) {
  uint32_t rank = address >> rankShift, at = address & offsetMask;
  if (rank >= blocks.size() || at > sharedSize || bytes > sharedSize - at)
    stop("out-of-bounds",
         std::to_string(bytes) + " bytes at " + std::to_string(at) + " of " + std::to_string(sharedSize) +
             " bytes of shared memory" + (rank ? " of the cluster's block " + std::to_string(rank) : ""),
         1u << lane);
  return blocks[rank];
}

uint8_t *Machine::shared(Warp &, uint64_t address, uint32_t bytes, bool isWrite, const Actor &actor, unsigned lane) {
  Block &block = blockOf(static_cast<uint32_t>(address), bytes, lane);
  uint32_t at = static_cast<uint32_t>(address) & offsetMask;
  touch(block, at, bytes, isWrite, actor, lane);
  return block.shared.bytes.data() + at;
}

void Machine::touch(Block &block, uint32_t offset, uint32_t bytes, bool isWrite, const Actor &actor, unsigned lane) {
  Conflict result = block.shared.access(offset, bytes, isWrite, actor);
  if (result.kind != Conflict::None)
    conflict(result, isWrite, actor, lane);
}

void Machine::conflict(const Conflict &conflict, bool isWrite, const Actor &actor, unsigned lane) {
  std::string byte = "shared byte " + std::to_string(conflict.byte);
  if (conflict.kind == Conflict::Unwritten)
    return find("uninitialised", "read of " + byte + ", which nothing wrote", 1u << lane);
  Actor other;
  other.id = conflict.other;
  other.isAsync = conflict.other % actorsPerWarp != 0;
  std::string who;
  describe(who, other);
  if (conflict.kind == Conflict::Proxy)
    return find("proxy", byte + ", written by " + who + ", is read by the async proxy without a fence.proxy.async",
                1u << lane);
  find("race",
       std::string(actor.isAsync ? "an asynchronous " : "a ") + (isWrite ? "write" : "read") + " of " + byte +
           " is not ordered after the " + (conflict.kind == Conflict::ReadBefore ? "read" : "write") + " of " + who,
       1u << lane);
}

void Machine::resolveShared(Warp &warp, const uint64_t *addresses, uint32_t bytes, bool isWrite, bool isStrong,
                            uint32_t mask, uint8_t **pointers) {
  Extent extent = extentOf(addresses, mask);
  uint32_t first = static_cast<uint32_t>(extent.least), last = static_cast<uint32_t>(extent.most);
  bool oneBlock = first >> rankShift == last >> rankShift && extent.most <= 0xffffffffu;
  if (!oneBlock) {
    eachLane(mask, [&](unsigned lane) {
      if (addresses[lane] > 0xffffffffu)
        stop("out-of-bounds", "shared address " + hex(addresses[lane]), 1u << lane);
      blockOf(static_cast<uint32_t>(addresses[lane]), bytes, lane);
    });
  } else {
    blockOf(last, bytes, 31 - static_cast<unsigned>(__builtin_clz(mask)));
  }
  if (oneBlock) {
    recordShared(warp, blocks[first >> rankShift].shared, addresses, bytes, isWrite, isStrong, mask, pointers);
  } else {
    eachLane(mask, [&](unsigned lane) {
      SharedMemory &target = blocks[addresses[lane] >> rankShift].shared;
      recordShared(warp, target, addresses, bytes, isWrite, isStrong, 1u << lane, pointers);
    });
  }
  ++sharedAccesses;
  if (options.counts)
    countBanks(addresses, bytes, mask);
}

void Machine::recordShared(Warp &warp, SharedMemory &target, const uint64_t *addresses, uint32_t bytes, bool isWrite,
                           bool isStrong, uint32_t mask, uint8_t **pointers) {
  uint32_t offsets[32];
  for (unsigned lane = 0; lane < 32; ++lane)
    offsets[lane] = static_cast<uint32_t>(addresses[lane]) & offsetMask;
  for (unsigned lane = 0; lane < 32; ++lane)
    pointers[lane] = target.bytes.data() + offsets[lane];
  if (!target.hasCells())
    return;
  if (isStrong && !isWrite)
    eachLane(mask, [&](unsigned lane) {
      if (auto flag = target.flags.find(offsets[lane]); flag != target.flags.end())
        acquire(warp, flag->second);
    });
  Actor self = actor(warp);
  self.isStrong = isStrong;
  unsigned lane = 0;
  Conflict result = target.accessLanes(offsets, bytes, mask, isWrite, self, lane);
  if (result.kind != Conflict::None)
    conflict(result, isWrite, self, lane);
  if (isStrong && isWrite)
    eachLane(mask, [&](unsigned each) { release(warp, target.flags[offsets[each]]); });
}

// Shared memory has 32 banks of 4 bytes. Wide accesses go in passes of as many lanes as fill 128 bytes; within one,
// lanes that need different words of a bank wait for each other.
void Machine::countBanks(const uint64_t *addresses, uint32_t bytes, uint32_t mask) {
  // Lanes in a row of words, or all in one.
  bool isRow = bytes <= 4, isOne = bytes <= 4;
  for (unsigned lane = 0; lane < 32; ++lane) {
    isRow &= addresses[lane] == addresses[0] + 4 * lane;
    isOne &= addresses[lane] == addresses[0];
  }
  if (isRow || isOne)
    return;
  unsigned words = std::max(1u, bytes / 4), group = 32 / std::min(words, 32u);
  uint64_t additional = 0;
  for (unsigned begin = 0; begin < 32; begin += group) {
    uint32_t lanes = mask & (group == 32 ? ~0u : ((1u << group) - 1) << begin);
    if (!lanes)
      continue;
    uint32_t seenWord[32], used = 0;
    uint8_t depth[32];
    uint32_t more[32][4];
    unsigned most = 1;
    uint64_t previous = ~uint64_t(0);
    eachLane(lanes, [&](unsigned lane) {
      if (addresses[lane] == previous)
        return;
      previous = addresses[lane];
      for (unsigned word = 0; word < words; ++word) {
        uint32_t index = static_cast<uint32_t>(addresses[lane] >> 2) + word;
        unsigned bank = index & 31;
        if (!(used >> bank & 1)) {
          used |= 1u << bank;
          seenWord[bank] = index;
          depth[bank] = 1;
          continue;
        }
        bool isKnown = seenWord[bank] == index;
        for (unsigned other = 1; other < depth[bank] && other < 5 && !isKnown; ++other)
          isKnown = more[bank][other - 1] == index;
        if (isKnown)
          continue;
        if (depth[bank] < 5)
          more[bank][depth[bank] - 1] = index;
        most = std::max<unsigned>(most, ++depth[bank]);
      }
    });
    additional += most - 1;
  }
  counters[static_cast<size_t>(here.instruction - program.code.data())].conflicts += additional;
}

// --- order

Actor Machine::actor(const Warp &warp) const {
  Actor result;
  result.id = warp.actor();
  result.clock = warp.knowledge.seen[result.id];
  result.knowledge = &warp.knowledge;
  return result;
}

Actor Machine::beginAsync(Warp &warp, Work work) {
  Actor result;
  result.id = warp.actor(work);
  result.clock = ++warp.clock(work);
  result.knowledge = &warp.knowledge;
  result.isAsync = true;
  result.isGeneric = work == Work::Copies;
  return result;
}

void Machine::release(Warp &warp, Knowledge &into) {
  into.join(warp.knowledge);
  ++warp.knowledge.seen[warp.actor()];
}

void Machine::acquire(Warp &warp, const Knowledge &from) {
  if (!from.empty())
    warp.knowledge.join(from);
}

void Machine::completeAsync(Warp &warp, Work work, uint32_t clock) {
  uint32_t &seen = warp.knowledge.seen[warp.actor(work)];
  seen = std::max(seen, clock);
}

} // namespace qcc::ptxemu
