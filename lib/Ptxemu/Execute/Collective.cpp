// What the lanes of a warp do together.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

enum class Shuffle : uint8_t { Up, Down, Butterfly, Index };
enum class Vote : uint8_t { All, Any, Uniform, Ballot };
enum class Reduction : uint8_t { Add, Min, Max, And, Or, Xor };

struct CollectiveDetail : Detail {
  unsigned kind = 0;
  Slot d, second, value, b, c, members;
  bool negated = false, hasMembers = true;
  Type type = Type::None;
  bool isAbsolute = false, nanWins = false;
};

// The members that an instruction names; all lanes must name the same.
uint32_t membersOf(Machine &machine, Warp &warp, const CollectiveDetail &detail, uint32_t mask) {
  uint32_t members = static_cast<uint32_t>(warp.value(detail.members, firstLane(mask)));
  if (mask & ~members)
    machine.find("shuffle", "lanes execute an instruction whose member mask leaves them out", mask & ~members);
  return members;
}

Step shuffle(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CollectiveDetail &detail = detailOf<CollectiveDetail>(instruction);
  if (detail.hasMembers && !machine.together(warp, mask, membersOf(machine, warp, detail, mask)))
    return Step::Leave;
  uint32_t results[32], inRange = 0, absent = 0, undefined = 0;
  uint32_t known = detail.value.number >= 0 ? warp.valid[detail.value.number] : ~0u;
  const uint32_t *value = warp.words(detail.value.at);
  eachLane(mask, [&](unsigned lane) {
    unsigned by = static_cast<unsigned>(warp.value(detail.b, lane)) & 31;
    unsigned bounds = static_cast<unsigned>(warp.value(detail.c, lane));
    unsigned segment = bounds >> 8 & 31, clamp = bounds & 31;
    int last = static_cast<int>((lane & segment) | (clamp & ~segment)), first = static_cast<int>(lane & segment);
    int from = 0;
    bool valid = false;
    switch (static_cast<Shuffle>(detail.kind)) {
    case Shuffle::Up:
      from = static_cast<int>(lane) - static_cast<int>(by);
      valid = from >= last;
      break;
    case Shuffle::Down:
      from = static_cast<int>(lane + by);
      valid = from <= last;
      break;
    case Shuffle::Butterfly:
      from = static_cast<int>(lane ^ by);
      valid = from <= last;
      break;
    case Shuffle::Index:
      from = first | static_cast<int>(by & ~segment);
      valid = from <= last;
      break;
    }
    if (!valid)
      from = static_cast<int>(lane);
    if (!(mask >> from & 1))
      absent |= 1u << lane;
    if (!(known >> from & 1))
      undefined |= 1u << lane;
    inRange |= uint32_t(valid) << lane;
    results[lane] = value[from];
  });
  if (absent)
    machine.find("shuffle", "lanes read from lanes that take no part", absent);
  if (undefined & ~absent)
    machine.find("uninitialised", "lanes receive a register that nothing wrote", undefined);
  uint32_t *destination = warp.words(detail.d.at);
  eachLane(mask, [&](unsigned lane) { destination[lane] = results[lane]; });
  uint32_t &second = warp.predicate(detail.second.at);
  second = (second & ~mask) | (inRange & mask);
  return Step::Next;
}

Step vote(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CollectiveDetail &detail = detailOf<CollectiveDetail>(instruction);
  if (detail.hasMembers && !machine.together(warp, mask, membersOf(machine, warp, detail, mask)))
    return Step::Leave;
  uint32_t predicate = warp.predicate(detail.value.at);
  uint32_t ballot = (detail.negated ? ~predicate : predicate) & mask;
  Vote kind = static_cast<Vote>(detail.kind);
  if (kind == Vote::Ballot) {
    uint32_t *destination = warp.words(detail.d.at);
    eachLane(mask, [&](unsigned lane) { destination[lane] = ballot; });
    return Step::Next;
  }
  bool result = kind == Vote::All ? ballot == mask : kind == Vote::Any ? ballot != 0 : ballot == 0 || ballot == mask;
  uint32_t &destination = warp.predicate(detail.d.at);
  destination = result ? destination | mask : destination & ~mask;
  return Step::Next;
}

Step match(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CollectiveDetail &detail = detailOf<CollectiveDetail>(instruction);
  if (!machine.together(warp, mask, membersOf(machine, warp, detail, mask)))
    return Step::Leave;
  uint32_t results[32], equal = 0;
  eachLane(mask, [&](unsigned lane) {
    uint32_t same = 0;
    eachLane(mask, [&](unsigned other) {
      same |= uint32_t(warp.value(detail.value, lane) == warp.value(detail.value, other)) << other;
    });
    results[lane] = same;
    equal |= uint32_t(same == mask) << lane;
  });
  bool isAll = detail.kind == 1;
  uint32_t *destination = warp.words(detail.d.at);
  eachLane(mask, [&](unsigned lane) { destination[lane] = !isAll || results[lane] == mask ? results[lane] : 0; });
  uint32_t &second = warp.predicate(detail.second.at);
  second = (second & ~mask) | equal;
  return Step::Next;
}

float singleOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint32_t reducePair(const CollectiveDetail &detail, uint32_t one, uint32_t two) {
  Reduction kind = static_cast<Reduction>(detail.kind);
  bool isMin = kind == Reduction::Min;
  switch (kind) {
  case Reduction::Add:
    return one + two;
  case Reduction::And:
    return one & two;
  case Reduction::Or:
    return one | two;
  case Reduction::Xor:
    return one ^ two;
  default:
    break;
  }
  if (detail.type == Type::F32) {
    float x = singleOf(one), y = singleOf(two);
    if (x != x || y != y)
      return detail.nanWins ? 0x7fffffffu : x != x ? two : one;
    return (isMin ? x < y : x > y) ? one : two;
  }
  bool isLess = detail.type == Type::S32 ? static_cast<int32_t>(one) < static_cast<int32_t>(two) : one < two;
  return isLess == isMin ? one : two;
}

Step reduce(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CollectiveDetail &detail = detailOf<CollectiveDetail>(instruction);
  if (!machine.together(warp, mask, membersOf(machine, warp, detail, mask)))
    return Step::Leave;
  const uint32_t *value = warp.words(detail.value.at);
  auto read = [&](unsigned lane) { return detail.isAbsolute ? value[lane] & 0x7fffffffu : value[lane]; };
  uint32_t result = read(firstLane(mask));
  eachLane(mask & (mask - 1), [&](unsigned lane) { result = reducePair(detail, result, read(lane)); });
  uint32_t *destination = warp.words(detail.d.at);
  eachLane(mask, [&](unsigned lane) { destination[lane] = result; });
  return Step::Next;
}

Step elect(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const CollectiveDetail &detail = detailOf<CollectiveDetail>(instruction);
  if (!machine.together(warp, mask, membersOf(machine, warp, detail, mask)))
    return Step::Leave;
  unsigned leader = firstLane(mask);
  uint32_t *destination = warp.words(detail.d.at);
  eachLane(mask, [&](unsigned lane) { destination[lane] = leader; });
  uint32_t &second = warp.predicate(detail.second.at);
  second = (second & ~mask) | 1u << leader;
  return Step::Next;
}

Step activeMask(Machine &, Warp &warp, const Instruction &instruction, uint32_t mask) {
  uint32_t *destination = warp.words(instruction.d);
  eachLane(mask, [&](unsigned lane) { destination[lane] = mask; });
  return Step::Next;
}

} // namespace

void decodeShuffle(Decoder &decoder) {
  CollectiveDetail &detail = decoder.detail<CollectiveDetail>();
  detail.hasMembers = decoder.words().take("sync");
  int kind = decoder.words().takeOneOf({"up", "down", "bfly", "idx"});
  if (kind < 0 || decoder.needType() != Type::B32)
    decoder.fail("this form of shfl is not understood");
  detail.kind = static_cast<unsigned>(kind);
  decoder.expectOperands(detail.hasMembers ? 5 : 4);
  detail.d = decoder.destination(0, Type::B32);
  detail.second = decoder.secondDestination(decoder.operand(0), Type::Pred);
  detail.value = decoder.source(1, Type::B32);
  detail.b = decoder.source(2, Type::B32);
  detail.c = decoder.source(3, Type::B32);
  if (detail.hasMembers)
    detail.members = decoder.source(4, Type::B32);
  decoder.emitMachine(shuffle);
}

void decodeVote(Decoder &decoder) {
  CollectiveDetail &detail = decoder.detail<CollectiveDetail>();
  detail.hasMembers = decoder.words().take("sync");
  int kind = decoder.words().takeOneOf({"all", "any", "uni", "ballot"});
  Type type = decoder.needType();
  if (kind < 0 || type != (kind == 3 ? Type::B32 : Type::Pred))
    decoder.fail("this form of vote is not understood");
  detail.kind = static_cast<unsigned>(kind);
  decoder.expectOperands(detail.hasMembers ? 3 : 2);
  detail.d = decoder.destination(0, type);
  detail.value = decoder.predicate(decoder.operand(1));
  detail.negated = decoder.operand(1).negated;
  if (detail.hasMembers)
    detail.members = decoder.source(2, Type::B32);
  decoder.emitMachine(vote);
}

void decodeMatch(Decoder &decoder) {
  CollectiveDetail &detail = decoder.detail<CollectiveDetail>();
  int kind = decoder.words().takeOneOf({"any", "all"});
  Type type = decoder.needType();
  if (kind < 0 || !decoder.words().take("sync"))
    decoder.fail("this form of match is not understood");
  detail.kind = static_cast<unsigned>(kind);
  decoder.expectOperands(3);
  detail.d = decoder.destination(0, Type::B32);
  detail.second = decoder.secondDestination(decoder.operand(0), Type::Pred);
  detail.value = decoder.source(1, type);
  detail.members = decoder.source(2, Type::B32);
  decoder.emitMachine(match);
}

void decodeReduce(Decoder &decoder) {
  CollectiveDetail &detail = decoder.detail<CollectiveDetail>();
  int kind = decoder.words().takeOneOf({"add", "min", "max", "and", "or", "xor"});
  detail.isAbsolute = decoder.words().take("abs");
  detail.nanWins = decoder.words().take("NaN");
  detail.type = decoder.needType();
  if (kind < 0 || !decoder.words().take("sync") || bitsOf(detail.type) != 32)
    decoder.fail("this form of redux is not understood");
  detail.kind = static_cast<unsigned>(kind);
  decoder.expectOperands(3);
  detail.d = decoder.destination(0, Type::B32);
  detail.value = decoder.source(1, Type::B32);
  detail.members = decoder.source(2, Type::B32);
  decoder.emitMachine(reduce);
}

void decodeElect(Decoder &decoder) {
  CollectiveDetail &detail = decoder.detail<CollectiveDetail>();
  if (!decoder.words().take("sync"))
    decoder.fail("only elect.sync is understood");
  decoder.expectOperands(2);
  detail.d = decoder.destination(0, Type::B32);
  detail.second = decoder.secondDestination(decoder.operand(0), Type::Pred);
  detail.members = decoder.source(1, Type::B32);
  decoder.emitMachine(elect);
}

void decodeActiveMask(Decoder &decoder) {
  if (decoder.needType() != Type::B32)
    decoder.fail("only activemask.b32 is understood");
  decoder.expectOperands(1);
  decoder.out.d = decoder.destination(0, Type::B32).at;
  decoder.emitMachine(activeMask);
}

} // namespace qcc::ptxemu
