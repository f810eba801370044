// wgmma: asynchronous products of a warpgroup. Results are there at once; what is checked is that nobody relies on it.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Matrix/Descriptor.h"
#include "Matrix/Elements.h"

#include <cstdio>

namespace qcc::ptxemu {
namespace {

struct WgmmaDetail : Detail {
  unsigned n = 0, k = 0;
  Type a = Type::None, b = Type::None, d = Type::None;
  bool saturates = false, hasScale = false, scaleNegated = false;
  bool aIsRowMajor = false, bIsRowMajor = false;
  double sign = 1;
  std::vector<Slot> dSlots, aSlots; // A may lie in registers
  Slot aDescriptor, bDescriptor, scale;
};

constexpr uint64_t commitMark = 1, waitMark = 2;

// The same for all lanes, or a finding.
uint64_t uniform(Machine &machine, Warp &warp, const Slot &slot) {
  uint64_t value = warp.value(slot, 0);
  for (unsigned lane = 1; lane < 32; ++lane)
    if (warp.value(slot, lane) != value) {
      machine.find("wgmma", "a descriptor differs between lanes", 1u << lane);
      break;
    }
  return value;
}

void readA(Machine &machine, Warp &warp, const WgmmaDetail &detail, const Actor &actor, std::vector<float> &values,
           uint64_t &mark) {
  if (detail.aSlots.empty()) {
    uint64_t bits = uniform(machine, warp, detail.aDescriptor);
    mark = mark * 0x9e3779b97f4a7c15u + bits;
    TileShape shape;
    shape.type = detail.a;
    shape.rows = 16;
    shape.depth = detail.k;
    shape.firstRow = warp.index % 4 * 16;
    shape.isRowMajor = detail.aIsRowMajor;
    return readTile(machine, warp, wgmmaDescriptor(machine, bits), shape, false, actor, values);
  }
  unsigned width = bitsOf(detail.a), perRegister = 32 / width;
  values.resize(size_t(16) * detail.k);
  for (unsigned index = 0; index < 4; ++index) {
    const Slot &slot = detail.aSlots[index];
    if (warp.dirty[slot.number])
      machine.find("wgmma", "register " + machine.nameOf(static_cast<uint32_t>(slot.number)) +
                                " of A was written after the last wgmma.fence");
    for (unsigned lane = 0; lane < 32; ++lane)
      for (unsigned element = 0; element < perRegister; ++element) {
        unsigned row = lane / 4 + 8 * (index % 2), k = (index / 2 * 4 + lane % 4) * perRegister + element;
        values[row * detail.k + k] =
            elementValue(detail.a, lowBits(warp.words(slot.at)[lane] >> (element * width), width));
      }
  }
}

void checkAccumulators(Machine &machine, Warp &warp, const WgmmaDetail &detail, bool accumulates) {
  for (const Slot &slot : detail.dSlots) {
    uint32_t number = static_cast<uint32_t>(slot.number);
    if (!accumulates || warp.flight[number])
      continue;
    if (warp.valid[number] != ~0u)
      machine.find("uninitialised", "accumulator " + machine.nameOf(number) + " is read and nothing wrote it");
    if (warp.dirty[number])
      machine.find("wgmma", "accumulator " + machine.nameOf(number) + " was written after the last wgmma.fence");
  }
}

// Register 4j + 2h + p of a lane is row lane / 4 + 8h, column 8j + 2 (lane % 4) + p; halves come in pairs.
struct Place {
  unsigned slot, lane, shift;
};
Place placeOf(unsigned row, unsigned column, bool isHalf) {
  unsigned index = column / 8 * 4 + row / 8 * 2 + column % 2, lane = row % 8 * 4 + column % 8 / 2;
  return isHalf ? Place{index / 2, lane, index % 2 * 16} : Place{index, lane, 0};
}

void readSum(Warp &warp, const WgmmaDetail &detail, std::vector<double> &sum) {
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned column = 0; column < detail.n; ++column) {
      Place place = placeOf(row, column, detail.d == Type::F16);
      uint32_t bits = warp.words(detail.dSlots[place.slot].at)[place.lane] >> place.shift;
      sum[row * detail.n + column] = detail.d == Type::S32   ? static_cast<double>(static_cast<int32_t>(bits))
                                     : detail.d == Type::F16 ? static_cast<double>(baseline::Half::get(bits & 0xffff))
                                                             : static_cast<double>(singleOf(bits));
    }
}

void writeSum(Warp &warp, const WgmmaDetail &detail, const std::vector<double> &sum) {
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned column = 0; column < detail.n; ++column) {
      Place place = placeOf(row, column, detail.d == Type::F16);
      uint32_t &word = warp.words(detail.dSlots[place.slot].at)[place.lane];
      double value = sum[row * detail.n + column];
      if (detail.d == Type::F16) {
        uint32_t bits = encodeFloat(Type::F16, value, Rounding::Nearest, false);
        word = (word & ~(0xffffu << place.shift)) | bits << place.shift;
      } else if (detail.d == Type::S32) {
        if (detail.saturates)
          value = std::min(std::max(value, -2147483648.0), 2147483647.0);
        word = static_cast<uint32_t>(static_cast<int64_t>(value));
      } else {
        word = bitsOfSum(value);
      }
    }
}

void setFlight(Warp &warp, const Slot &slot, uint32_t group, bool isResult) {
  uint32_t number = static_cast<uint32_t>(slot.number);
  warp.inFlight += !warp.flight[number];
  warp.flight[number] = group;
  if (isResult)
    warp.valid[number] = 0;
  warp.flying.push_back({number, group, isResult});
}

Step product(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const WgmmaDetail &detail = detailOf<WgmmaDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  if (mask != ~0u)
    machine.stop("diverged", "lanes of the warp exited before an instruction that needs all of them", ~mask);
  bool accumulates = true;
  if (detail.hasScale) {
    uint32_t scale = warp.predicate(detail.scale.at);
    accumulates = (scale & 1) != detail.scaleNegated;
    if (scale != 0 && scale != ~0u)
      machine.find("wgmma", "scale-d differs between lanes");
  }
  Actor actor = machine.beginAsync(warp, Work::Products);
  checkAccumulators(machine, warp, detail, accumulates);
  uint64_t bits = uniform(machine, warp, detail.bDescriptor);
  uint64_t mark = bits + (accumulates ? 3 : 5);
  std::vector<float> a, b;
  readA(machine, warp, detail, actor, a, mark);
  TileShape shape;
  shape.type = detail.b;
  shape.rows = detail.n;
  shape.depth = detail.k;
  shape.isRowMajor = detail.bIsRowMajor;
  readTile(machine, warp, wgmmaDescriptor(machine, bits), shape, true, actor, b);
  if (detail.sign < 0)
    for (float &value : a)
      value = -value;
  std::vector<double> sum(size_t(16) * detail.n, 0.0);
  if (accumulates)
    readSum(warp, detail, sum);
  laneHandlers().product(a.data(), b.data(), sum.data(), 16, detail.n, detail.k);
  writeSum(warp, detail, sum);
  warp.wgmma.sequence.push_back(mark);
  for (const Slot &slot : detail.dSlots)
    setFlight(warp, slot, warp.wgmma.group + 1, true);
  for (const Slot &slot : detail.aSlots)
    setFlight(warp, slot, warp.wgmma.group + 1, false);
  return Step::Next;
}

Step fence(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  std::memset(warp.dirty, 0, machine.kernel.registerCount);
  return Step::Next;
}

Step commit(Machine &machine, Warp &warp, const Instruction &, uint32_t mask) {
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  ++warp.wgmma.group;
  warp.wgmma.clocks.push_back(warp.clock(Work::Products));
  warp.wgmma.sequence.push_back(commitMark);
  return Step::Next;
}

Step wait(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  WgmmaState &state = warp.wgmma;
  state.sequence.push_back(waitMark + instruction.immediate * 4);
  uint32_t pending = static_cast<uint32_t>(instruction.immediate);
  if (state.group <= pending || state.group - pending <= state.done)
    return Step::Next;
  state.done = state.group - pending;
  machine.completeAsync(warp, Work::Products, state.clocks[state.done - 1]);
  std::vector<Warp::Flying> left;
  for (const Warp::Flying &each : warp.flying) {
    if (each.group > state.done || each.group == ~0u) {
      left.push_back(each);
      continue;
    }
    if (warp.flight[each.number] > state.done)
      continue; // a later product uses it too
    warp.inFlight -= warp.flight[each.number] != 0;
    warp.flight[each.number] = 0;
    if (each.isResult)
      warp.valid[each.number] = ~0u;
  }
  warp.flying = std::move(left);
  return Step::Next;
}

void decodeTypes(Decoder &decoder, WgmmaDetail &detail) {
  Modifiers &words = decoder.words();
  detail.d = decoder.needType();
  detail.a = decoder.needType();
  detail.b = decoder.needType();
  bool bytes = (detail.a == Type::S8 || detail.a == Type::U8) && (detail.b == Type::S8 || detail.b == Type::U8);
  bool e8 = (detail.a == Type::E4M3 || detail.a == Type::E5M2) && (detail.b == Type::E4M3 || detail.b == Type::E5M2);
  bool same = detail.a == detail.b && (detail.a == Type::F16 || detail.a == Type::BF16 || detail.a == Type::TF32);
  bool f16Sum = detail.d == Type::F16 && (detail.a == Type::F16 || e8);
  bool known = bytes ? detail.d == Type::S32 : (e8 || same) && (detail.d == Type::F32 || f16Sum);
  bool fits = detail.k * bitsOf(detail.a) == 256 && detail.n % 8 == 0 && detail.n >= 8 && detail.n <= 256 &&
              (!bytes || detail.n <= 24 || detail.n % 16 == 0);
  if (!known || !fits)
    decoder.fail("wgmma has no such shape with these types");
  detail.saturates = words.take("satfinite");
}

void decodeProduct(Decoder &decoder) {
  Modifiers &words = decoder.words();
  WgmmaDetail &detail = decoder.detail<WgmmaDetail>();
  auto shape = words.takePrefix("m64n");
  if (!shape || std::sscanf(std::string(*shape).c_str(), "m64n%uk%u", &detail.n, &detail.k) != 2)
    decoder.fail("wgmma lacks a shape");
  decodeTypes(decoder, detail);
  detail.dSlots = decoder.unchecked(decoder.operand(0), Type::B32);
  if (detail.dSlots.size() != detail.n / (detail.d == Type::F16 ? 4 : 2))
    decoder.fail("the count of accumulators is not that of the shape");
  if (decoder.operand(1).kind == Operand::Vector) {
    detail.aSlots = decoder.sources(decoder.operand(1), Type::B32);
    if (detail.aSlots.size() != 4)
      decoder.fail("A has four registers");
  } else {
    detail.aDescriptor = decoder.source(1, Type::B64);
  }
  detail.bDescriptor = decoder.source(2, Type::B64);
  size_t index = 3;
  if (index < decoder.operandCount()) {
    const Operand &scale = decoder.operand(index++);
    detail.hasScale = true;
    detail.scale = decoder.predicate(scale);
    detail.scaleNegated = scale.negated;
  }
  for (unsigned side = 0; side < 2 && index < decoder.operandCount(); ++side) {
    int64_t factor = static_cast<int32_t>(decoder.immediate(index++));
    if (factor != 1 && factor != -1)
      decoder.fail("imm-scale is 1 or -1");
    detail.sign *= static_cast<double>(factor);
  }
  bool mayTranspose = bitsOf(detail.a) == 16;
  if (decoder.operandCount() < index + (mayTranspose ? detail.aSlots.empty() ? 2 : 1 : 0))
    decoder.fail("wgmma of 16-bit types says for each matrix in shared memory whether it is transposed");
  if (detail.aSlots.empty() && index < decoder.operandCount())
    detail.aIsRowMajor = decoder.immediate(index++) & 1;
  if (index < decoder.operandCount())
    detail.bIsRowMajor = decoder.immediate(index++) & 1;
  if ((detail.aIsRowMajor || detail.bIsRowMajor) && !mayTranspose)
    decoder.fail("only 16-bit operands may be transposed");
  decoder.expectOperands(index);
  decoder.emitMachine(product);
}

} // namespace

void decodeWgmma(Decoder &decoder) {
  Modifiers &words = decoder.words();
  decoder.target().tracksWrites = true;
  int operation = words.takeOneOf({"fence", "commit_group", "wait_group", "mma_async"});
  if (operation < 0 || !words.take("sync") || !words.take("aligned"))
    decoder.fail("this form of wgmma is not understood");
  if (decoder.module().target.major != 9 || decoder.module().target.suffix != 'a')
    decoder.fail("wgmma needs sm_90a");
  if (operation == 3)
    return decodeProduct(decoder);
  decoder.expectOperands(operation == 2 ? 1 : 0);
  if (operation == 2)
    decoder.out.immediate = decoder.immediate(0);
  decoder.emitMachine(operation == 0 ? fence : operation == 1 ? commit : wait);
}

} // namespace qcc::ptxemu
