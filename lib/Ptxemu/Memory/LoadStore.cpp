// Loads, stores, and what goes with them.
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Memory/Words.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

constexpr unsigned maximumVector = 8;

struct AccessDetail : Detail {
  Space space = Space::Generic;
  bool isStrong = false, isSigned = false;
  uint8_t elementBytes = 4, count = 1;
  Slot address;
  uint64_t offset = 0;
  Slot data[maximumVector];
};

void addressesOf(Warp &warp, const AccessDetail &detail, uint64_t *addresses) {
  if (detail.address.wide) {
    const uint64_t *base = warp.longs(detail.address.at);
    for (unsigned lane = 0; lane < 32; ++lane)
      addresses[lane] = base[lane] + detail.offset;
    return;
  }
  const uint32_t *base = warp.words(detail.address.at);
  for (unsigned lane = 0; lane < 32; ++lane)
    addresses[lane] = static_cast<uint32_t>(base[lane] + detail.offset);
}

template <typename T, typename S> void loadLanes(S *destination, uint8_t *const *pointers, unsigned at, uint32_t mask) {
  auto load = [&](unsigned lane) {
    T value;
    std::memcpy(&value, pointers[lane] + at, sizeof value);
    destination[lane] = static_cast<S>(value);
  };
  if (mask == ~0u && sizeof(T) == sizeof(S) && pointers[31] == pointers[0] + 31 * sizeof(T)) {
    bool contiguous = true;
    for (unsigned lane = 0; lane < 32; ++lane)
      contiguous &= pointers[lane] == pointers[0] + lane * sizeof(T);
    if (contiguous) {
      std::memcpy(destination, pointers[0] + at, 32 * sizeof(T));
      return;
    }
  }
  eachLane(mask, load);
}

template <typename S>
void loadElement(S *destination, uint8_t *const *pointers, unsigned at, const AccessDetail &detail, uint32_t mask) {
  switch (detail.elementBytes * 2 + detail.isSigned) {
  case 2:
    return loadLanes<uint8_t>(destination, pointers, at, mask);
  case 3:
    return loadLanes<int8_t>(destination, pointers, at, mask);
  case 4:
    return loadLanes<uint16_t>(destination, pointers, at, mask);
  case 5:
    return loadLanes<int16_t>(destination, pointers, at, mask);
  case 8:
    return loadLanes<uint32_t>(destination, pointers, at, mask);
  case 9:
    return loadLanes<int32_t>(destination, pointers, at, mask);
  default:
    return loadLanes<uint64_t>(destination, pointers, at, mask);
  }
}

void loadData(Warp &warp, const AccessDetail &detail, uint8_t *const *pointers, uint32_t mask) {
  for (unsigned index = 0; index < detail.count; ++index) {
    const Slot &slot = detail.data[index];
    unsigned at = index * detail.elementBytes;
    if (detail.elementBytes == 16) {
      loadLanes<uint64_t>(warp.longs(slot.at), pointers, at, mask);
      loadLanes<uint64_t>(warp.longs(slot.at) + 32, pointers, at + 8, mask);
    } else if (slot.wide) {
      loadElement(warp.longs(slot.at), pointers, at, detail, mask);
    } else {
      loadElement(warp.words(slot.at), pointers, at, detail, mask);
    }
  }
}

Step load(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const AccessDetail &detail = detailOf<AccessDetail>(instruction);
  uint64_t addresses[32];
  uint8_t *pointers[32];
  addressesOf(warp, detail, addresses);
  uint32_t bytes = uint32_t(detail.elementBytes) * detail.count;
  machine.resolve(warp, detail.space, addresses, bytes, bytes, false, detail.isStrong, mask, pointers);
  loadData(warp, detail, pointers, mask);
  return Step::Next;
}

// A kernel's parameter at a fixed place is the same for all lanes.
Step loadParameter(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const AccessDetail &detail = detailOf<AccessDetail>(instruction);
  uint32_t bytes = uint32_t(detail.elementBytes) * detail.count;
  if (detail.offset + bytes > machine.launch.parameterBytes)
    machine.stop("out-of-bounds", "a parameter that the launch did not pass", mask);
  uint8_t *pointers[32];
  uint8_t *address = const_cast<uint8_t *>(machine.parameters()) + detail.offset;
  std::fill_n(pointers, 32, address);
  loadData(warp, detail, pointers, mask);
  return Step::Next;
}

template <typename T, typename S>
void storeLanes(const S *source, uint8_t *const *pointers, unsigned at, uint32_t mask) {
  if (mask == ~0u && sizeof(T) == sizeof(S) && pointers[31] == pointers[0] + 31 * sizeof(T)) {
    bool contiguous = true;
    for (unsigned lane = 0; lane < 32; ++lane)
      contiguous &= pointers[lane] == pointers[0] + lane * sizeof(T);
    if (contiguous) {
      std::memcpy(pointers[0] + at, source, 32 * sizeof(T));
      return;
    }
  }
  eachLane(mask, [&](unsigned lane) {
    T value = static_cast<T>(source[lane]);
    std::memcpy(pointers[lane] + at, &value, sizeof value);
  });
}

template <typename S>
void storeElement(const S *source, uint8_t *const *pointers, unsigned at, unsigned bytes, uint32_t mask) {
  switch (bytes) {
  case 1:
    return storeLanes<uint8_t>(source, pointers, at, mask);
  case 2:
    return storeLanes<uint16_t>(source, pointers, at, mask);
  case 4:
    return storeLanes<uint32_t>(source, pointers, at, mask);
  default:
    return storeLanes<uint64_t>(source, pointers, at, mask);
  }
}

Step store(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const AccessDetail &detail = detailOf<AccessDetail>(instruction);
  uint64_t addresses[32];
  uint8_t *pointers[32];
  addressesOf(warp, detail, addresses);
  uint32_t bytes = uint32_t(detail.elementBytes) * detail.count;
  machine.resolve(warp, detail.space, addresses, bytes, bytes, true, detail.isStrong, mask, pointers);
  for (unsigned index = 0; index < detail.count; ++index) {
    const Slot &slot = detail.data[index];
    unsigned at = index * detail.elementBytes;
    if (detail.elementBytes == 16) {
      storeLanes<uint64_t>(warp.longs(slot.at), pointers, at, mask);
      storeLanes<uint64_t>(warp.longs(slot.at) + 32, pointers, at + 8, mask);
    } else if (slot.wide) {
      storeElement(warp.longs(slot.at), pointers, at, detail.elementBytes, mask);
    } else {
      storeElement(warp.words(slot.at), pointers, at, detail.elementBytes, mask);
    }
  }
  return Step::Next;
}

// Everything but the data operand.
void decodeAccess(Decoder &decoder, AccessDetail &detail, Type &type, const Operand &address) {
  Modifiers &words = decoder.words();
  detail.isStrong = takeOrder(words);
  detail.space = takeSpace(words);
  takeCacheWords(words);
  words.take("unified");
  int vector = words.takeOneOf({"v2", "v4", "v8"});
  type = decoder.needType();
  if (bitsOf(type) < 8 || type == Type::Pred)
    decoder.fail("this type of an access is not understood");
  detail.elementBytes = static_cast<uint8_t>(bitsOf(type) / 8);
  detail.isSigned = isSigned(type);
  detail.count = static_cast<uint8_t>(1 << (vector + 1));
  if (detail.elementBytes * detail.count > 32)
    decoder.fail("a vector of more than 32 bytes");
  detail.address = decoder.address(address);
  detail.offset = address.value;
  if (detail.space == Space::Generic && address.variable) {
    detail.space = address.variable->space;
  }
}

void data(Decoder &decoder, AccessDetail &detail, const std::vector<Slot> &slots) {
  if (slots.size() != detail.count)
    decoder.fail("the count of data operands is not that of the vector");
  std::copy(slots.begin(), slots.end(), detail.data);
}

} // namespace

void decodeLoad(Decoder &decoder) {
  AccessDetail &detail = decoder.detail<AccessDetail>();
  const Operand &address = decoder.operand(1);
  Type type = Type::None;
  decodeAccess(decoder, detail, type, address);
  decoder.expectOperands(2, 3);
  if (decoder.operandCount() == 3)
    decoder.source(2, Type::B64); // a cache policy
  data(decoder, detail, decoder.destinations(decoder.operand(0), type, true));
  bool isParameter = detail.space == Space::Param && address.variable && !address.variable->isCallParam;
  if (isParameter)
    detail.offset = address.variable->offset + address.value;
  decoder.emitMachine(isParameter ? loadParameter : load);
}

void decodeStore(Decoder &decoder) {
  AccessDetail &detail = decoder.detail<AccessDetail>();
  Type type = Type::None;
  decodeAccess(decoder, detail, type, decoder.operand(0));
  decoder.expectOperands(2, 3);
  if (decoder.operandCount() == 3)
    decoder.source(2, Type::B64);
  data(decoder, detail, decoder.sources(decoder.operand(1), type, true));
  decoder.emitMachine(store);
}

void decodePrefetch(Decoder &decoder) {
  Modifiers &words = decoder.words();
  takeSpace(words);
  bool isMap = words.take("tensormap");
  if (!isMap && words.takeOneOf({"L1", "L2", "L2::evict_last", "L2::evict_normal", "L2::evict_first"}) < 0 &&
      words.opcode() == "prefetch")
    decoder.fail("this form of prefetch is not understood");
  words.take("L1");
  decoder.address(decoder.operand(0));
  decoder.emitMachine([](Machine &, Warp &, const Instruction &, uint32_t) { return Step::Next; });
}

void decodeCreatePolicy(Decoder &decoder) {
  Modifiers &words = decoder.words();
  if (words.takeOneOf({"fractional", "range", "cvt"}) < 0)
    decoder.fail("this form of createpolicy is not understood");
  takeSpace(words);
  words.take("L2");
  while (words.takePrefix("L2::")) {
  }
  decoder.needType();
  decoder.out.d = decoder.destination(0, Type::B64).at;
  decoder.emitMachine([](Machine &, Warp &warp, const Instruction &instruction, uint32_t mask) {
    uint64_t *destination = warp.longs(instruction.d);
    eachLane(mask, [&](unsigned lane) { destination[lane] = 0; });
    return Step::Next;
  });
}

void decodeFence(Decoder &decoder) {
  Modifiers &words = decoder.words();
  bool isProxy = words.take("proxy");
  if (isProxy) {
    if (words.takeOneOf(
            {"async", "async::generic", "async.global", "async.shared::cta", "alias", "tensormap::generic"}) < 0)
      decoder.fail("this proxy is not understood");
    takeSpace(words);
    takeOrder(words);
    if (words.take("sync_restrict::shared::cta") || words.take("sync_restrict::shared::cluster"))
      takeOrder(words);
  } else if (words.takeOneOf({"mbarrier_init"}) >= 0) {
    words.take("release");
    words.take("cluster");
  } else {
    words.takeOneOf({"sc", "acq_rel", "acquire", "release"});
    words.takeOneOf({"cta", "cluster", "gpu", "sys", "gl"});
    if (words.take("sync_restrict::shared::cta") || words.take("sync_restrict::shared::cluster"))
      takeOrder(words);
  }
  decoder.out.immediate = isProxy;
  if (decoder.operandCount()) {
    decoder.address(decoder.operand(0)); // a tensor map
    decoder.expectOperands(1, 2);
  }
  decoder.emitMachine([](Machine &, Warp &warp, const Instruction &instruction, uint32_t) {
    if (instruction.immediate)
      warp.knowledge.seenByProxy = warp.knowledge.seen;
    return Step::Next;
  });
}

void decodeMapAddress(Decoder &decoder) {
  Modifiers &words = decoder.words();
  bool isRank = words.opcode() == "getctarank";
  bool isShared = words.take("shared::cluster");
  Type type = decoder.needType();
  if (bitsOf(type) != 32 && bitsOf(type) != 64)
    decoder.fail("an address has 32 or 64 bits");
  (void)isShared;
  struct MapDetail : Detail {
    Slot d, a, b;
    bool isRank;
  };
  decoder.expectOperands(isRank ? 2 : 3);
  MapDetail &detail = decoder.detail<MapDetail>();
  detail.isRank = isRank;
  detail.d = decoder.destination(0, isRank ? Type::B32 : type);
  detail.a = decoder.source(1, type);
  if (!isRank)
    detail.b = decoder.source(2, Type::B32);
  decoder.emitMachine([](Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
    const MapDetail &detail = detailOf<MapDetail>(instruction);
    eachLane(mask, [&](unsigned lane) {
      uint64_t address = warp.value(detail.a, lane);
      uint64_t result = address >> rankShift & 0xff;
      if (!detail.isRank) {
        uint64_t rank = warp.value(detail.b, lane);
        if (rank >= machine.blocks.size())
          machine.stop("out-of-bounds", "the cluster has no block " + std::to_string(rank), 1u << lane);
        result = (address & (windowMask | offsetMask)) | rank << rankShift;
      }
      if (detail.d.wide)
        warp.longs(detail.d.at)[lane] = result;
      else
        warp.words(detail.d.at)[lane] = static_cast<uint32_t>(result);
    });
    return Step::Next;
  });
}

} // namespace qcc::ptxemu
