// mma.sync: products of fragments that the lanes of a warp hold.
#include "Decode/Decoder.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Matrix/Elements.h"

#include <algorithm>
#include <cstdio>

namespace qcc::ptxemu {
namespace {

struct ScaleOperand {
  Slot factors, byte, thread;
};

struct MmaDetail : Detail {
  unsigned m = 0, n = 0, k = 0;
  Type a = Type::None, b = Type::None, c = Type::None, d = Type::None;
  unsigned elementBits = 0; // in a register
  bool isShifted = false;   // 4-bit floats are in bits 2 to 5 of their byte
  bool saturates = false;
  unsigned scaleBlocks = 0; // along k, of a row; 0 without scales
  Type scale = Type::None;
  std::vector<Slot> aSlots, bSlots, cSlots, dSlots;
  ScaleOperand aScale, bScale;
};

constexpr unsigned maximumM = 16, maximumN = 8, maximumK = 64;

float valueAt(const MmaDetail &detail, Type type, uint32_t bits) {
  if (type == Type::E2M1 && detail.isShifted)
    bits = bits >> 2 & 15;
  return elementValue(type, bits);
}

// A register holds consecutive elements of k, the lowest first. A lane has row lane / 4; with 16 rows, registers
// alternate between it and the one 8 below.
void unpackA(Warp &warp, const MmaDetail &detail, float *a) {
  unsigned perRegister = 32 / detail.elementBits, rowGroups = detail.m / 8;
  for (unsigned index = 0; index < detail.aSlots.size(); ++index) {
    const uint32_t *registers = warp.words(detail.aSlots[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      unsigned row = lane / 4 + 8 * (index % rowGroups);
      unsigned k = (index / rowGroups * 4 + lane % 4) * perRegister;
      for (unsigned element = 0; element < perRegister; ++element)
        a[row * detail.k + k + element] =
            valueAt(detail, detail.a, lowBits(registers[lane] >> (element * detail.elementBits), detail.elementBits));
    }
  }
}

void unpackB(Warp &warp, const MmaDetail &detail, float *b) {
  unsigned perRegister = 32 / detail.elementBits;
  for (unsigned index = 0; index < detail.bSlots.size(); ++index) {
    const uint32_t *registers = warp.words(detail.bSlots[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      unsigned k = (index * 4 + lane % 4) * perRegister;
      for (unsigned element = 0; element < perRegister; ++element)
        b[(k + element) * detail.n + lane / 4] =
            valueAt(detail, detail.b, lowBits(registers[lane] >> (element * detail.elementBits), detail.elementBits));
    }
  }
}

double accumulatorValue(Type type, uint32_t bits, unsigned half) {
  if (type == Type::F16)
    return baseline::Half::get(bits >> (16 * half) & 0xffff);
  return type == Type::S32 ? static_cast<double>(static_cast<int32_t>(bits)) : static_cast<double>(singleOf(bits));
}

void unpackC(Warp &warp, const MmaDetail &detail, double *c) {
  bool isHalf = detail.c == Type::F16;
  for (unsigned index = 0; index < detail.cSlots.size(); ++index) {
    const uint32_t *registers = warp.words(detail.cSlots[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      unsigned row = lane / 4 + 8 * (isHalf ? index : index / 2), column = lane % 4 * 2;
      if (isHalf)
        for (unsigned half = 0; half < 2; ++half)
          c[row * detail.n + column + half] = accumulatorValue(detail.c, registers[lane], half);
      else
        c[row * detail.n + column + index % 2] = accumulatorValue(detail.c, registers[lane], 0);
    }
  }
}

uint32_t resultBits(const MmaDetail &detail, double sum) {
  if (detail.d == Type::F16)
    return encodeFloat(Type::F16, sum, Rounding::Nearest, false);
  if (detail.d != Type::S32)
    return bitsOfSum(sum);
  if (detail.saturates)
    sum = std::clamp(sum, -2147483648.0, 2147483647.0);
  return static_cast<uint32_t>(static_cast<int64_t>(sum)); // wraps around
}

void packD(Warp &warp, const MmaDetail &detail, const double *c) {
  bool isHalf = detail.d == Type::F16;
  for (unsigned index = 0; index < detail.dSlots.size(); ++index) {
    uint32_t *registers = warp.words(detail.dSlots[index].at);
    for (unsigned lane = 0; lane < 32; ++lane) {
      unsigned row = lane / 4 + 8 * (isHalf ? index : index / 2), column = lane % 4 * 2;
      const double *at = c + row * detail.n + column;
      registers[lane] =
          isHalf ? resultBits(detail, at[0]) | resultBits(detail, at[1]) << 16 : resultBits(detail, at[index % 2]);
    }
  }
}

uint64_t selector(Machine &machine, Warp &warp, const Slot &slot, uint32_t mask) {
  uint64_t value = warp.value(slot, 0) & 0xffff;
  eachLane(mask, [&](unsigned lane) {
    if ((warp.value(slot, lane) & 0xffff) != value)
      machine.stop("diverged", "a scale selector differs between lanes", mask);
  });
  return value;
}

// The factors of a row of A are in two lanes of its four, those of a column of B in one of its four; the selectors say
// which, and which byte of the register is the first.
void scaleOperand(Machine &machine, Warp &warp, const MmaDetail &detail, const ScaleOperand &operand, bool isA,
                  float *values) {
  uint64_t byte = selector(machine, warp, operand.byte, ~0u), thread = selector(machine, warp, operand.thread, ~0u);
  bool fits = byte % detail.scaleBlocks == 0 && byte < 4 && thread < (isA ? 2u : 4u);
  if (!fits)
    machine.stop("descriptor",
                 "scale selectors {" + std::to_string(byte) + ", " + std::to_string(thread) + "} are out of range");
  const uint32_t *factors = warp.words(operand.factors.at);
  unsigned rows = isA ? detail.m : detail.n, block = detail.k / detail.scaleBlocks;
  for (unsigned row = 0; row < rows; ++row) {
    uint64_t lane = isA ? row % 8 * 4 + 2 * thread + row / 8 : row * 4 + thread;
    for (unsigned k = 0; k < detail.k; ++k) {
      unsigned which = static_cast<unsigned>(byte) + k / block;
      float factor = elementValue(detail.scale, factors[lane] >> (8 * which) & 255);
      values[isA ? row * detail.k + k : k * detail.n + row] *= factor;
    }
  }
}

Step mma(Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
  const MmaDetail &detail = detailOf<MmaDetail>(instruction);
  if (!machine.wholeWarp(warp, mask))
    return Step::Leave;
  if (mask != ~0u)
    machine.stop("diverged", "lanes of the warp exited before an instruction that needs all of them", ~mask);
  float a[maximumM * maximumK], b[maximumN * maximumK];
  double c[maximumM * maximumN];
  unpackA(warp, detail, a);
  unpackB(warp, detail, b);
  unpackC(warp, detail, c);
  if (detail.scaleBlocks) {
    scaleOperand(machine, warp, detail, detail.aScale, true, a);
    scaleOperand(machine, warp, detail, detail.bScale, false, b);
  }
  laneHandlers().product(a, b, c, detail.m, detail.n, detail.k);
  packD(warp, detail, c);
  return Step::Next;
}

struct Shape {
  unsigned m, n, k;
};

bool hasShape(std::initializer_list<Shape> list, const MmaDetail &detail) {
  return std::any_of(list.begin(), list.end(), [&](const Shape &shape) {
    return shape.m == detail.m && shape.n == detail.n && shape.k == detail.k;
  });
}

bool isByteFloat(Type type) {
  return type == Type::E4M3 || type == Type::E5M2 || type == Type::E2M3 || type == Type::E3M2 || type == Type::E2M1;
}

// Shapes and types that belong together, and the oldest architecture that has them; 0 if there is none.
unsigned oldestArchitecture(const MmaDetail &detail, bool hasKind) {
  Type a = detail.a, b = detail.b;
  if (a == Type::F16 && b == Type::F16)
    return hasShape({{16, 8, 8}}, detail) ? 75 : hasShape({{16, 8, 16}}, detail) ? 80 : 0;
  if (a == Type::BF16 && b == Type::BF16)
    return hasShape({{16, 8, 8}, {16, 8, 16}}, detail) ? 80 : 0;
  if (a == Type::TF32 && b == Type::TF32)
    return hasShape({{16, 8, 4}, {16, 8, 8}}, detail) ? 80 : 0;
  bool bytes = (a == Type::S8 || a == Type::U8) && (b == Type::S8 || b == Type::U8);
  if (bytes)
    return hasShape({{8, 8, 16}}, detail) ? 75 : hasShape({{16, 8, 16}, {16, 8, 32}}, detail) ? 80 : 0;
  bool nibbles = (a == Type::S4 || a == Type::U4) && (b == Type::S4 || b == Type::U4);
  if (nibbles)
    return hasShape({{8, 8, 32}}, detail) ? 75 : hasShape({{16, 8, 32}, {16, 8, 64}}, detail) ? 80 : 0;
  if (hasKind)
    return isByteFloat(a) && isByteFloat(b) && hasShape({{16, 8, 32}, {16, 8, 64}}, detail) ? 120 : 0;
  bool e8 = (a == Type::E4M3 || a == Type::E5M2) && (b == Type::E4M3 || b == Type::E5M2);
  return e8 && hasShape({{16, 8, 16}, {16, 8, 32}}, detail) ? 89 : 0;
}

void decodeScales(Decoder &decoder, MmaDetail &detail, int kind) {
  Modifiers &words = decoder.words();
  int blocks = words.takeOneOf({"scale_vec::1X", "scale_vec::2X", "scale_vec::4X", "block32", "block16"});
  detail.scale = decoder.needType();
  constexpr unsigned counts[] = {1, 2, 4, 2, 4};
  detail.scaleBlocks = blocks >= 0 ? counts[blocks] : kind == 0 ? 1 : 2;
  bool exponents = detail.scale == Type::UE8M0;
  bool known = kind == 0   ? detail.scaleBlocks == 1 && exponents
               : kind == 1 ? detail.scaleBlocks == 2 && exponents
                           : (detail.scaleBlocks == 2 && exponents) ||
                                 (detail.scaleBlocks == 4 && (exponents || detail.scale == Type::UE4M3));
  if (!known)
    decoder.fail("this kind does not have these scales");
  auto operand = [&](ScaleOperand &into, size_t index) {
    into.factors = decoder.sources(decoder.operand(index), Type::B32).at(0);
    const Operand &selectors = decoder.operand(index + 1);
    if (selectors.parts.size() != 2)
      decoder.fail("a scale has two selectors");
    into.byte = decoder.source(selectors.parts[0], Type::B16);
    into.thread = decoder.source(selectors.parts[1], Type::B16);
  };
  decoder.expectOperands(8);
  operand(detail.aScale, 4);
  operand(detail.bScale, 6);
}

} // namespace

void decodeMma(Decoder &decoder) {
  Modifiers &words = decoder.words();
  MmaDetail &detail = decoder.detail<MmaDetail>();
  auto shape = words.takePrefix("m");
  if (!words.take("sync") || !words.take("aligned") || !shape ||
      std::sscanf(std::string(*shape).c_str(), "m%un%uk%u", &detail.m, &detail.n, &detail.k) != 3)
    decoder.fail("this form of mma is not understood");
  if (!words.take("row") || !words.take("col"))
    decoder.fail("only .row.col is understood");
  int kind = words.takeOneOf({"kind::mxf8f6f4", "kind::mxf4", "kind::mxf4nvf4", "kind::f8f6f4"});
  bool scaled = words.take("block_scale");
  detail.saturates = words.take("satfinite");
  detail.d = decoder.needType();
  detail.a = decoder.needType();
  detail.b = decoder.needType();
  detail.c = decoder.needType();
  bool isPacked = kind == 1 || kind == 2;
  detail.elementBits = isPacked ? 4 : containerBits(detail.a);
  detail.isShifted = kind >= 0 && !isPacked;
  unsigned oldest = oldestArchitecture(detail, kind >= 0);
  bool isInteger = bitsOf(detail.a) <= 8 && !isFloat(detail.a);
  bool accumulates =
      isInteger ? detail.d == Type::S32 && detail.c == Type::S32
                : (detail.d == Type::F32 || detail.d == Type::F16) && (detail.c == Type::F32 || detail.c == Type::F16);
  bool isLong = isPacked || detail.a == Type::S4 || detail.a == Type::U4;
  if (!oldest || !accumulates || scaled != (kind >= 0 && kind < 3) || (isPacked && detail.k != 64) ||
      (detail.k == 64 && !isLong))
    decoder.fail("mma has no such shape with these types");
  const Architecture &target = decoder.module().target;
  if (target.major * 10 + target.minor < oldest)
    decoder.fail("this mma begins with sm_" + std::to_string(oldest));
  if (!scaled)
    decoder.expectOperands(4);
  detail.dSlots = decoder.destinations(decoder.operand(0), Type::B32);
  detail.aSlots = decoder.sources(decoder.operand(1), Type::B32);
  detail.bSlots = decoder.sources(decoder.operand(2), Type::B32);
  detail.cSlots = decoder.sources(decoder.operand(3), Type::B32);
  auto words32 = [](unsigned elements, unsigned bits) { return elements * bits / 1024; };
  if (detail.aSlots.size() != words32(detail.m * detail.k, detail.elementBits) ||
      detail.bSlots.size() != words32(detail.n * detail.k, detail.elementBits) ||
      detail.cSlots.size() != words32(detail.m * detail.n, detail.c == Type::F16 ? 16 : 32) ||
      detail.dSlots.size() != words32(detail.m * detail.n, detail.d == Type::F16 ? 16 : 32))
    decoder.fail("the counts of registers are not those of the shape");
  if (scaled)
    decodeScales(decoder, detail, kind);
  decoder.emitMachine(mma);
}

} // namespace qcc::ptxemu
