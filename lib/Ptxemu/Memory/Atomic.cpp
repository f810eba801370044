// atom and red: lanes one after the other.
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Lanes/SmallFloat.h"
#include "Memory/Words.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

enum class AtomicOp : uint8_t { Add, Min, Max, And, Or, Xor, Exchange, CompareSwap, Increment, Decrement };

struct AtomicDetail : Detail {
  AtomicOp op = AtomicOp::Add;
  Type type = Type::None;
  Space space = Space::Generic;
  bool returns = true;
  uint64_t offset = 0;
  uint32_t bytes = 4;
  unsigned count = 1; // elements of a vector
  Slot address;
  std::vector<Slot> d, b, c;
};

template <typename T> T as(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <typename T> uint64_t bitsFrom(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

uint64_t floatOperation(AtomicOp op, Type type, uint64_t memory, uint64_t operand) {
  if (type == Type::F64)
    return bitsFrom(as<double>(memory) + as<double>(operand));
  if (type == Type::F32 && op == AtomicOp::Add)
    return bitsFrom(as<float>(memory) + as<float>(operand));
  double left = decodeFloat(type, memory), right = decodeFloat(type, operand);
  if (op == AtomicOp::Add)
    return encodeFloat(type, left + right, Rounding::Nearest, false);
  bool takesRight = left != left || (op == AtomicOp::Min ? right < left : right > left);
  return takesRight ? operand : memory;
}

uint64_t operation(AtomicOp op, Type type, uint64_t memory, uint64_t operand, uint64_t swap) {
  if (isFloat(type) && op <= AtomicOp::Max) {
    unsigned count = elementsOf(type), width = bitsOf(type) / count;
    uint64_t low = width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1, result = 0;
    for (unsigned index = 0; index < count; ++index)
      result |=
          (floatOperation(op, elementOf(type), memory >> (index * width) & low, operand >> (index * width) & low) & low)
          << (index * width);
    return result;
  }
  unsigned width = bitsOf(type);
  if (width < 64)
    operand &= (uint64_t(1) << width) - 1;
  auto extended = [&](uint64_t value) { return static_cast<int64_t>(value << (64 - width)) >> (64 - width); };
  bool isLess = isSigned(type) ? extended(operand) < extended(memory) : operand < memory;
  switch (op) {
  case AtomicOp::Add:
    return memory + operand;
  case AtomicOp::Min:
    return isLess ? operand : memory;
  case AtomicOp::Max:
    return isLess ? memory : operand;
  case AtomicOp::And:
    return memory & operand;
  case AtomicOp::Or:
    return memory | operand;
  case AtomicOp::Xor:
    return memory ^ operand;
  case AtomicOp::Exchange:
    return operand;
  case AtomicOp::CompareSwap:
    return memory == operand ? swap : memory;
  case AtomicOp::Increment:
    return memory >= operand ? 0 : memory + 1;
  case AtomicOp::Decrement:
    return memory == 0 || memory > operand ? operand : memory - 1;
  }
  return memory;
}

Step atomic(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const AtomicDetail &detail = detailOf<AtomicDetail>(instruction);
  uint64_t addresses[32];
  uint8_t *pointers[32];
  for (unsigned lane = 0; lane < 32; ++lane) {
    addresses[lane] = warp.value(detail.address, lane) + detail.offset;
    if (!detail.address.wide)
      addresses[lane] &= 0xffffffffu;
  }
  uint32_t bytes = detail.bytes * detail.count;
  machine.resolve(warp, detail.space, addresses, bytes, bytes, false, true, mask, pointers);
  machine.resolve(warp, detail.space, addresses, bytes, bytes, true, true, mask, pointers);
  eachLane(mask, [&](unsigned lane) {
    for (unsigned index = 0; index < detail.count; ++index) {
      uint8_t *at = pointers[lane] + index * detail.bytes;
      uint64_t before = 0, swap = detail.c.empty() ? 0 : warp.value(detail.c[index], lane);
      std::memcpy(&before, at, detail.bytes);
      uint64_t after = operation(detail.op, detail.type, before, warp.value(detail.b[index], lane), swap);
      std::memcpy(at, &after, detail.bytes);
      if (!detail.returns)
        continue;
      const Slot &d = detail.d[index];
      if (d.wide)
        warp.longs(d.at)[lane] = before;
      else
        warp.words(d.at)[lane] = static_cast<uint32_t>(before);
    }
  });
  return Step::Next;
}

} // namespace

void decodeAtomic(Decoder &decoder) {
  Modifiers &words = decoder.words();
  if (words.has("async"))
    decoder.fail("red.async is not understood");
  AtomicDetail &detail = decoder.detail<AtomicDetail>();
  detail.returns = words.opcode() == "atom";
  takeOrder(words);
  detail.space = takeSpace(words);
  takeCacheWords(words);
  words.take("noftz");
  int op = words.takeOneOf({"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"});
  int vector = words.takeOneOf({"v2", "v4", "v8"});
  detail.type = decoder.needType();
  if (op < 0 || bitsOf(detail.type) < 16 || bitsOf(detail.type) > 64)
    decoder.fail("this form of an atomic operation is not understood");
  detail.op = static_cast<AtomicOp>(op);
  detail.bytes = bitsOf(detail.type) / 8;
  detail.count = 1u << (vector + 1);
  size_t index = 0;
  if (detail.returns)
    detail.d = decoder.destinations(decoder.operand(index++), detail.type);
  const Operand &address = decoder.operand(index++);
  detail.address = decoder.address(address);
  detail.offset = address.value;
  if (detail.space == Space::Generic && address.variable)
    detail.space = address.variable->space;
  detail.b = decoder.sources(decoder.operand(index++), detail.type);
  if (detail.op == AtomicOp::CompareSwap)
    detail.c = decoder.sources(decoder.operand(index++), detail.type);
  if (detail.b.size() != detail.count || (detail.returns && detail.d.size() != detail.count))
    decoder.fail("the count of data operands is not that of the vector");
  if (index < decoder.operandCount())
    decoder.source(decoder.operand(index++), Type::B64); // a cache policy
  decoder.expectOperands(index);
  decoder.emitMachine(atomic);
}

} // namespace qcc::ptxemu
