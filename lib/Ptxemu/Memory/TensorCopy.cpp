// Copies of a tensor's tiles between global and shared memory.
#include "Memory/TensorCopy.h"
#include "Execute/Families.h"
#include "Lanes/SmallFloat.h"
#include "Memory/Words.h"
#include "qcc/Ptxemu/TensorMap.h"

#include <algorithm>

namespace qcc::ptxemu {

void startLate(Machine &machine, Warp &warp, const Actor &actor, std::function<void(const Actor &)> action) {
  auto knowledge = std::make_shared<Knowledge>(warp.knowledge);
  Machine::Place place = machine.place();
  auto run = [=, &machine] {
    Actor later = actor;
    later.knowledge = knowledge.get();
    machine.setPlace(place);
    action(later);
  };
  if (machine.options.seed && machine.chance(2))
    machine.later(run);
  else
    run();
}

void forTargets(uint32_t blocks, uint32_t address, const std::function<void(uint32_t)> &action) {
  if (!blocks)
    return action(address);
  for (uint32_t rank = 0; rank < 16; ++rank)
    if (blocks >> rank & 1)
      action((address & offsetMask) | rank << rankShift);
}

void completeBytes(Machine &machine, const Actor &actor, uint32_t barrierAt, int64_t bytes, unsigned lane) {
  Mbarrier &barrier = machine.mbarrier(barrierAt, lane);
  Knowledge knowledge = *actor.knowledge;
  uint32_t &seen = knowledge.seen[actor.id];
  seen = std::max(seen, actor.clock);
  barrier.arriving.join(knowledge);
  machine.addBytes(barrier, -bytes, lane);
  machine.completePhase(barrier);
}

namespace {

enum class Reduction : uint8_t { None, Add, Min, Max, And, Or, Xor };

struct TensorDetail : Detail {
  unsigned rank = 0;
  bool isLoad = true, isMulticast = false, isPair = false;
  Reduction reduction = Reduction::None;
  Slot map, shared, mbarrier, mask;
  uint64_t mapOffset = 0, sharedOffset = 0, barrierOffset = 0;
  std::vector<Slot> coordinates;
};

// How elements lie: in units of 16 bytes of shared memory.
struct Layout {
  unsigned perUnit = 16;         // elements
  unsigned globalUnitBytes = 16; // of a whole unit in global memory
  bool isPacked = false;
};

Layout layoutOf(TensorType type) {
  switch (type) {
  case TensorType::U8:
    return {16, 16, false};
  case TensorType::U16:
  case TensorType::F16:
  case TensorType::Bf16:
    return {8, 16, false};
  case TensorType::U64:
  case TensorType::S64:
  case TensorType::F64:
    return {2, 16, false};
  case TensorType::U4Align8:
    return {32, 16, true};
  case TensorType::U4Align16:
    return {16, 8, true};
  case TensorType::U6Align16:
    return {16, 12, true};
  default:
    return {4, 16, false};
  }
}

struct Tile {
  TensorMapDescription map;
  Layout layout;
  int64_t coordinates[5] = {};
  uint32_t unitsPerRow = 0, rows = 1;
  uint64_t bytes = 0;
};

Tile tileOf(const TensorMapDescription &map) {
  Tile tile;
  tile.map = map;
  tile.layout = layoutOf(map.type);
  tile.unitsPerRow = map.box[0] / tile.layout.perUnit;
  for (uint32_t dim = 1; dim < map.rank; ++dim)
    tile.rows *= map.box[dim];
  tile.bytes = uint64_t(tile.unitsPerRow) * tile.rows * 16;
  return tile;
}

// Where a row of the box begins in global memory; false if the row lies outside of the tensor.
bool rowAddress(const Tile &tile, uint32_t row, uint64_t &address) {
  bool isInside = true;
  address = tile.map.address;
  for (uint32_t dim = 1; dim < tile.map.rank; ++dim) {
    int64_t at = tile.coordinates[dim] + row % tile.map.box[dim];
    row /= tile.map.box[dim];
    isInside &= at >= 0 && static_cast<uint64_t>(at) < tile.map.dims[dim];
    address += static_cast<uint64_t>(at) * tile.map.strides[dim - 1];
  }
  return isInside;
}

// The elements of a unit that lie in the tensor: [first, last).
void insideOf(const Tile &tile, int64_t element, unsigned &first, unsigned &last) {
  int64_t extent = static_cast<int64_t>(tile.map.dims[0]), count = tile.layout.perUnit;
  first = static_cast<unsigned>(std::clamp<int64_t>(-element, 0, count));
  last = static_cast<unsigned>(std::clamp<int64_t>(extent - element, 0, count));
  last = std::max(first, last);
}

void fillOutside(const Tile &tile, uint8_t *unit) {
  std::memset(unit, 0, 16);
  if (tile.map.fill != TensorFill::Nan)
    return;
  unsigned width = 16 / tile.layout.perUnit;
  uint64_t nan = width == 2 ? 0x7fff : width == 4 ? 0x7fffffff : 0x7fffffffffffffff;
  for (unsigned index = 0; index < tile.layout.perUnit; ++index)
    std::memcpy(unit + index * width, &nan, width);
}

// Calls action(shared address, global address of the unit's first element, first and last element inside).
template <typename Action> void forUnits(const Tile &tile, uint32_t shared, Action action) {
  constexpr uint32_t spans[] = {0, 32, 64, 128};
  uint32_t span = spans[static_cast<unsigned>(tile.map.swizzle)];
  for (uint32_t row = 0; row < tile.rows; ++row) {
    uint64_t begin;
    bool isInside = rowAddress(tile, row, begin);
    for (uint32_t unit = 0; unit < tile.unitsPerRow; ++unit) {
      int64_t element = tile.coordinates[0] + int64_t(unit) * tile.layout.perUnit;
      unsigned first, last;
      insideOf(tile, element, first, last);
      if (!isInside)
        last = first;
      int64_t offset = element * static_cast<int64_t>(tile.layout.globalUnitBytes) / tile.layout.perUnit;
      uint32_t at = swizzled(shared + (row * tile.unitsPerRow + unit) * 16, span);
      action(at, begin + static_cast<uint64_t>(offset), first, last);
    }
  }
}

unsigned bytesOf(const Layout &layout, unsigned elements) { return elements * layout.globalUnitBytes / layout.perUnit; }

void load(Machine &machine, Warp &warp, const Tile &tile, uint32_t shared, const Actor &actor, unsigned lane) {
  forUnits(tile, shared, [&](uint32_t at, uint64_t global, unsigned first, unsigned last) {
    uint8_t *unit = machine.shared(warp, at, 16, true, actor, lane);
    if (first != 0 || last != tile.layout.perUnit || tile.layout.globalUnitBytes != 16)
      fillOutside(tile, unit);
    if (first == last)
      return;
    unsigned begin = bytesOf(tile.layout, first), count = bytesOf(tile.layout, last) - begin;
    std::memcpy(unit + begin, machine.global(global + begin, count, lane), count);
  });
}

void reduceElements(const Tile &tile, Reduction reduction, uint8_t *to, const uint8_t *from, unsigned count) {
  unsigned width = 16 / tile.layout.perUnit;
  for (unsigned index = 0; index < count; ++index) {
    uint64_t one = 0, two = 0;
    std::memcpy(&one, to + index * width, width);
    std::memcpy(&two, from + index * width, width);
    Type type = tile.map.type == TensorType::F16    ? Type::F16
                : tile.map.type == TensorType::Bf16 ? Type::BF16
                : tile.map.type == TensorType::F32  ? Type::F32
                : tile.map.type == TensorType::U32  ? Type::U32
                : tile.map.type == TensorType::S32  ? Type::S32
                                                    : Type::U64;
    uint64_t result = 0;
    if (isFloat(type)) {
      double left = decodeFloat(type, one), right = decodeFloat(type, two);
      double value = reduction == Reduction::Add   ? left + right
                     : reduction == Reduction::Min ? std::min(left, right)
                                                   : std::max(left, right);
      result = encodeFloat(type, value, Rounding::Nearest, false);
    } else {
      bool isLess = type == Type::S32 ? static_cast<int32_t>(one) < static_cast<int32_t>(two) : one < two;
      switch (reduction) {
      case Reduction::Add:
        result = one + two;
        break;
      case Reduction::Min:
        result = isLess ? one : two;
        break;
      case Reduction::Max:
        result = isLess ? two : one;
        break;
      case Reduction::And:
        result = one & two;
        break;
      case Reduction::Or:
        result = one | two;
        break;
      default:
        result = one ^ two;
        break;
      }
    }
    std::memcpy(to + index * width, &result, width);
  }
}

void store(Machine &machine, Warp &warp, const TensorDetail &detail, const Tile &tile, uint32_t shared,
           const Actor &actor, unsigned lane) {
  forUnits(tile, shared, [&](uint32_t at, uint64_t global, unsigned first, unsigned last) {
    const uint8_t *unit = machine.shared(warp, at, 16, false, actor, lane);
    if (first == last)
      return;
    unsigned begin = bytesOf(tile.layout, first), count = bytesOf(tile.layout, last) - begin;
    uint8_t *to = machine.global(global + begin, count, lane);
    if (detail.reduction == Reduction::None)
      std::memcpy(to, unit + begin, count);
    else
      reduceElements(tile, detail.reduction, to, unit + begin, last - first);
  });
}

Tile readMap(Machine &machine, Warp &warp, const TensorDetail &detail, unsigned lane) {
  uint64_t addresses[32] = {};
  uint8_t *pointers[32];
  addresses[lane] = warp.value(detail.map, lane) + detail.mapOffset;
  machine.resolve(warp, Space::Generic, addresses, tensorMapBytes, 64, false, false, 1u << lane, pointers);
  TensorMapDescription map;
  if (!decodeTensorMap(pointers[lane], map))
    machine.stop("tma", "the address is not that of a tensor map", 1u << lane);
  if (map.rank != detail.rank)
    machine.stop("tma",
                 "the instruction has " + std::to_string(detail.rank) + " dimensions, the tensor map " +
                     std::to_string(map.rank),
                 1u << lane);
  Tile tile = tileOf(map);
  for (unsigned dim = 0; dim < detail.rank; ++dim)
    tile.coordinates[dim] = static_cast<int32_t>(warp.value(detail.coordinates[dim], lane));
  if (tile.layout.isPacked && tile.coordinates[0] % (tile.layout.perUnit == 32 ? 2 : 128))
    machine.stop("tma", "a coordinate of a packed type is not a multiple of what is packed", 1u << lane);
  return tile;
}

Step tensorCopy(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const TensorDetail &detail = detailOf<TensorDetail>(instruction);
  eachLane(mask, [&](unsigned lane) {
    Tile tile = readMap(machine, warp, detail, lane);
    uint32_t shared = static_cast<uint32_t>((warp.value(detail.shared, lane) + detail.sharedOffset) & ~windowMask);
    if (shared % 128)
      machine.stop("misaligned", "the shared address of a tile is not a multiple of 128", 1u << lane);
    Actor actor = machine.beginAsync(warp, Work::BulkCopies);
    if (!detail.isLoad)
      return store(machine, warp, detail, tile, shared, actor, lane);
    uint32_t barrier = static_cast<uint32_t>((warp.value(detail.mbarrier, lane) + detail.barrierOffset) & ~windowMask);
    uint32_t blocks = detail.isMulticast ? static_cast<uint32_t>(warp.value(detail.mask, lane)) & 0xffff : 0;
    Warp *issuer = &warp;
    startLate(machine, warp, actor, [=, &machine](const Actor &later) {
      forTargets(blocks, shared, [&](uint32_t target) {
        load(machine, *issuer, tile, target, later, lane);
        uint32_t at = blocks ? (target & ~offsetMask) | (barrier & offsetMask) : barrier;
        completeBytes(machine, later, at, static_cast<int64_t>(tile.bytes), lane);
      });
    });
  });
  return Step::Next;
}

unsigned takeRank(Decoder &decoder) {
  int rank = decoder.words().takeOneOf({"1d", "2d", "3d", "4d", "5d"});
  if (rank < 0)
    decoder.fail("the count of dimensions is missing");
  return static_cast<unsigned>(rank) + 1;
}

void decodeMapOperand(Decoder &decoder, TensorDetail &detail, const Operand &operand) {
  detail.map = decoder.address(operand);
  detail.mapOffset = operand.value;
  // A map that is a kernel's parameter is in the space of parameters even if the address is not generic.
  if (operand.parts.size() != 1 || operand.parts[0].parts.size() != detail.rank)
    decoder.fail("the count of coordinates is not that of the dimensions");
  for (const Operand &coordinate : operand.parts[0].parts)
    detail.coordinates.push_back(decoder.source(coordinate, Type::B32));
}

void decodeSharedOperand(Decoder &decoder, TensorDetail &detail, const Operand &operand) {
  detail.shared = decoder.address(operand);
  detail.sharedOffset = operand.value;
}

} // namespace

void decodeTensorCopy(Decoder &decoder) {
  Modifiers &words = decoder.words();
  TensorDetail &detail = decoder.detail<TensorDetail>();
  detail.rank = takeRank(decoder);
  words.take("tile");
  if (words.take("prefetch") || words.take("L2")) {
    words.take("L2");
    words.take("global");
    bool hasPolicy = words.take("L2::cache_hint");
    decodeMapOperand(decoder, detail, decoder.operand(0));
    decoder.expectOperands(hasPolicy ? 2 : 1);
    return decoder.emitMachine([](Machine &, Warp &, const Instruction &, uint32_t) { return Step::Next; });
  }
  detail.isLoad = words.take("mbarrier::complete_tx::bytes");
  if (!words.take("shared::cluster") && !words.take("shared::cta"))
    decoder.fail("this form of a tensor copy is not understood");
  if (!words.take("global") || (!detail.isLoad && !words.take("bulk_group")))
    decoder.fail("this form of a tensor copy is not understood");
  detail.isMulticast = words.take("multicast::cluster");
  words.take("cta_group::1");
  detail.isPair = words.take("cta_group::2");
  bool hasPolicy = words.take("L2::cache_hint");
  size_t index = 2;
  if (detail.isLoad) {
    decodeSharedOperand(decoder, detail, decoder.operand(0));
    decodeMapOperand(decoder, detail, decoder.operand(1));
    detail.mbarrier = decoder.address(decoder.operand(index));
    detail.barrierOffset = decoder.operand(index++).value;
    if (detail.isMulticast)
      detail.mask = decoder.source(decoder.operand(index++), Type::B16);
  } else {
    decodeMapOperand(decoder, detail, decoder.operand(0));
    decodeSharedOperand(decoder, detail, decoder.operand(1));
  }
  if (hasPolicy)
    decoder.source(decoder.operand(index++), Type::B64);
  decoder.expectOperands(index);
  decoder.emitMachine(tensorCopy);
}

void decodeTensorReduce(Decoder &decoder) {
  Modifiers &words = decoder.words();
  if (!words.take("tensor"))
    decoder.fail("reductions of plain bytes are not understood");
  TensorDetail &detail = decoder.detail<TensorDetail>();
  detail.isLoad = false;
  detail.rank = takeRank(decoder);
  words.take("tile");
  int reduction = words.takeOneOf({"add", "min", "max", "and", "or", "xor"});
  if (reduction < 0 || !words.take("global") || !words.take("shared::cta") || !words.take("bulk_group"))
    decoder.fail("this form of a tensor reduction is not understood");
  detail.reduction = static_cast<Reduction>(reduction + 1);
  bool hasPolicy = words.take("L2::cache_hint");
  decodeMapOperand(decoder, detail, decoder.operand(0));
  decodeSharedOperand(decoder, detail, decoder.operand(1));
  if (hasPolicy)
    decoder.source(decoder.operand(2), Type::B64);
  decoder.expectOperands(hasPolicy ? 3 : 2);
  decoder.emitMachine(tensorCopy);
}

} // namespace qcc::ptxemu
