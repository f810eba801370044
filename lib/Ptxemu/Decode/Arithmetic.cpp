// Decodes arithmetic of integers, and moves.
#include "Decode/Decoder.h"
#include "Decode/Numeric.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Lanes/Lanes.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

uint32_t *words(char *r, uint32_t slot) { return reinterpret_cast<uint32_t *>(r + slot); }
uint64_t *longs(char *r, uint32_t slot) { return reinterpret_cast<uint64_t *>(r + slot); }

void emitInteger(Decoder &decoder, IntegerOp op, Type type) { decoder.emitLanes(laneHandlers().integer(op, type)); }

// d, a, b of one type.
void twoSources(Decoder &decoder, Type type) {
  decoder.expectOperands(3);
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, type).at;
}

void oneSource(Decoder &decoder, Type type, Type result) {
  decoder.expectOperands(2);
  decoder.out.d = decoder.destination(0, result).at;
  decoder.out.a = decoder.source(1, type).at;
}

Type twice(Type type) {
  switch (type) {
  case Type::S16:
    return Type::S32;
  case Type::U16:
    return Type::U32;
  case Type::S32:
    return Type::S64;
  default:
    return Type::U64;
  }
}

// --- predicates

enum class PredicateOp : uint8_t { Move, And, Or, Xor, Not };

void predicates(char *r, const Instruction &i, uint32_t mask) {
  uint32_t a = *words(r, i.a), b = *words(r, i.b == noSlot ? i.a : i.b);
  a = i.immediate & 16 ? ~a : a;
  b = i.immediate & 32 ? ~b : b;
  uint32_t result = a;
  switch (static_cast<PredicateOp>(i.immediate & 15)) {
  case PredicateOp::Move:
    break;
  case PredicateOp::And:
    result = a & b;
    break;
  case PredicateOp::Or:
    result = a | b;
    break;
  case PredicateOp::Xor:
    result = a ^ b;
    break;
  case PredicateOp::Not:
    result = ~a;
    break;
  }
  uint32_t *d = words(r, i.d);
  *d = (*d & ~mask) | (result & mask);
}

void emitPredicates(Decoder &decoder, PredicateOp op) {
  bool two = op != PredicateOp::Move && op != PredicateOp::Not;
  decoder.expectOperands(two ? 3 : 2);
  decoder.out.d = decoder.destination(0, Type::Pred).at;
  decoder.out.a = decoder.predicate(decoder.operand(1)).at;
  decoder.out.immediate = static_cast<uint64_t>(op) | (decoder.operand(1).negated ? 16 : 0);
  if (two) {
    decoder.out.b = decoder.predicate(decoder.operand(2)).at;
    decoder.out.immediate |= decoder.operand(2).negated ? 32 : 0;
  }
  decoder.out.propagates = true;
  decoder.emitLanes(predicates);
}

// --- moves between a register and its parts

struct Parts : Detail {
  Slot whole;
  std::vector<Slot> parts;
  unsigned width = 0; // of a part
};

uint64_t partAt(const char *r, const Slot &slot, unsigned lane, unsigned index) {
  const char *at = r + slot.at + index * 256;
  return slot.wide ? reinterpret_cast<const uint64_t *>(at)[lane] : reinterpret_cast<const uint32_t *>(at)[lane];
}

void setPart(char *r, const Slot &slot, unsigned lane, unsigned index, uint64_t value) {
  char *at = r + slot.at + index * 256;
  if (slot.wide)
    reinterpret_cast<uint64_t *>(at)[lane] = value;
  else
    reinterpret_cast<uint32_t *>(at)[lane] = static_cast<uint32_t>(value);
}

uint64_t lowBits(uint64_t value, unsigned width) { return width >= 64 ? value : value & ((uint64_t(1) << width) - 1); }

void pack(char *r, const Instruction &i, uint32_t mask) {
  const Parts &detail = detailOf<Parts>(i);
  unsigned perWord = std::min<unsigned>(static_cast<unsigned>(detail.parts.size()), 64 / detail.width);
  eachLane(mask, [&](unsigned lane) {
    for (unsigned word = 0; word * perWord < detail.parts.size(); ++word) {
      uint64_t value = 0;
      for (unsigned index = 0; index < perWord; ++index)
        value |= lowBits(partAt(r, detail.parts[word * perWord + index], lane, 0), detail.width)
                 << (index * detail.width);
      setPart(r, detail.whole, lane, word, value);
    }
  });
}

void unpack(char *r, const Instruction &i, uint32_t mask) {
  const Parts &detail = detailOf<Parts>(i);
  unsigned perWord = 64 / detail.width;
  eachLane(mask, [&](unsigned lane) {
    for (unsigned index = 0; index < detail.parts.size(); ++index) {
      uint64_t value = partAt(r, detail.whole, lane, index / perWord) >> (index % perWord * detail.width);
      setPart(r, detail.parts[index], lane, 0, lowBits(value, detail.width));
    }
  });
}

void packPair(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = words(r, i.a), *b = words(r, i.b);
  uint64_t *d = longs(r, i.d);
  eachLane(mask, [=](unsigned lane) { d[lane] = a[lane] | uint64_t(b[lane]) << 32; });
}

void unpackPair(char *r, const Instruction &i, uint32_t mask) {
  const uint64_t *a = longs(r, i.a);
  uint32_t *d = words(r, i.d), *e = words(r, i.e);
  eachLane(mask, [=](unsigned lane) {
    uint64_t value = a[lane];
    d[lane] = static_cast<uint32_t>(value);
    e[lane] = static_cast<uint32_t>(value >> 32);
  });
}

void move128(char *r, const Instruction &i, uint32_t mask) {
  eachLane(mask, [=](unsigned lane) {
    for (unsigned half = 0; half < 2; ++half)
      longs(r, i.d + half * 256)[lane] = longs(r, i.a + half * 256)[lane];
  });
}

Type bitsType(unsigned bits) {
  return bits == 8 ? Type::B8 : bits == 16 ? Type::B16 : bits == 32 ? Type::B32 : bits == 64 ? Type::B64 : Type::B128;
}

void movePacked(Decoder &decoder, Type type, bool packs) {
  const Operand &vector = decoder.operand(packs ? 1 : 0), &whole = decoder.operand(packs ? 0 : 1);
  unsigned count = static_cast<unsigned>(vector.parts.size());
  if (count == 0 || bitsOf(type) % count)
    decoder.fail("these parts do not make up the whole");
  Parts &detail = decoder.detail<Parts>();
  detail.width = bitsOf(type) / count;
  Type part = bitsType(detail.width);
  detail.parts = packs ? decoder.sources(vector, part) : decoder.destinations(vector, part);
  detail.whole = packs ? decoder.destination(whole, type) : decoder.source(whole, type);
  decoder.out.propagates = true;
  // Compilers pack a register that nothing wrote beside one whose half alone they use.
  decoder.out.packs = packs;
  bool isPair = bitsOf(type) == 64 && count == 2;
  if (isPair && packs) {
    decoder.out.a = detail.parts[0].at;
    decoder.out.b = detail.parts[1].at;
    decoder.out.d = detail.whole.at;
  } else if (isPair) {
    decoder.out.d = detail.parts[0].at;
    decoder.out.e = detail.parts[1].at;
    decoder.out.a = detail.whole.at;
  }
  decoder.emitLanes(packs ? (isPair ? packPair : pack) : (isPair ? unpackPair : unpack));
}

// What counts time counts instructions here.
bool moveClock(Decoder &decoder, Type type) {
  std::string_view name = decoder.operand(1).name;
  bool isHigh = name == "%clock_hi" || name == "%globaltimer_hi";
  if (name != "%clock" && name != "%clock64" && name != "%globaltimer" && name != "%globaltimer_lo" && !isHigh)
    return false;
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.immediate = (bitsOf(type) == 64 ? 1 : 0) | (isHigh ? 2 : 0);
  decoder.emitMachine([](Machine &machine, Warp &warp, const Instruction &instruction, uint32_t mask) {
    uint64_t now = ++machine.executed;
    eachLane(mask, [&](unsigned lane) {
      if (instruction.immediate & 1)
        warp.longs(instruction.d)[lane] = now;
      else
        warp.words(instruction.d)[lane] = static_cast<uint32_t>(instruction.immediate & 2 ? now >> 32 : now);
    });
    return Step::Next;
  });
  return true;
}

// --- carries: a predicate of the function that instructions hand on

enum class CarryOp : uint8_t { Add, Sub, MulAddLow, MulAddHigh };
constexpr uint64_t takesCarry = 16, setsCarry = 32, isSignedProduct = 64;

template <typename T> void carries(char *r, const Instruction &i, uint32_t mask) {
  using W = std::conditional_t<sizeof(T) == 8, unsigned __int128, uint64_t>;
  using SignedW = std::conditional_t<sizeof(T) == 8, __int128, int64_t>;
  using SignedT = std::make_signed_t<T>;
  const T *a = reinterpret_cast<const T *>(r + i.a), *b = reinterpret_cast<const T *>(r + i.b);
  const T *c = reinterpret_cast<const T *>(r + (i.c == noSlot ? i.a : i.c));
  T *d = reinterpret_cast<T *>(r + i.d);
  uint32_t carry = *words(r, i.e), result = carry;
  CarryOp op = static_cast<CarryOp>(i.immediate & 15);
  eachLane(mask, [&](unsigned lane) {
    W in = i.immediate & takesCarry ? carry >> lane & 1 : 0, sum;
    T first = a[lane], second = b[lane];
    if (op >= CarryOp::MulAddLow) {
      W product = i.immediate & isSignedProduct ? static_cast<W>(SignedW(SignedT(first)) * SignedW(SignedT(second)))
                                                : W(first) * second;
      first = static_cast<T>(op == CarryOp::MulAddLow ? product : product >> (sizeof(T) * 8));
      second = c[lane];
    }
    bool out;
    if (op == CarryOp::Sub) {
      sum = W(first) - second - in;
      out = W(first) < W(second) + in;
    } else {
      sum = W(first) + second + in;
      out = sum >> (sizeof(T) * 8) & 1;
    }
    d[lane] = static_cast<T>(sum);
    result = (result & ~(1u << lane)) | uint32_t(out) << lane;
  });
  if (i.immediate & setsCarry)
    *words(r, i.e) = result;
}

// --- others, one lane at a time

void permute(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = words(r, i.a), *b = words(r, i.b), *c = words(r, i.c);
  uint32_t *d = words(r, i.d);
  eachLane(mask, [=](unsigned lane) {
    uint64_t bytes = a[lane] | uint64_t(b[lane]) << 32;
    uint32_t selectors = c[lane], result = 0, s = selectors & 3;
    for (unsigned index = 0; index < 4; ++index) {
      uint32_t selector = 0;
      switch (i.immediate) {
      case 0:
        selector = selectors >> (4 * index) & 15;
        break;
      case 1: // f4e
        selector = s + index;
        break;
      case 2: // b4e
        selector = (s - index) & 7;
        break;
      case 3: // rc8
        selector = s;
        break;
      case 4: // ecl
        selector = std::max(s, index);
        break;
      case 5: // ecr
        selector = std::min(s, index);
        break;
      default: // rc16
        selector = (s & 1) * 2 + (index & 1);
        break;
      }
      uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (selector & 7))) & 255;
      if (selector & 8)
        byte = byte & 128 ? 255 : 0;
      result |= byte << (8 * index);
    }
    d[lane] = result;
  });
}

void dotProduct(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = words(r, i.a), *b = words(r, i.b), *c = words(r, i.c);
  uint32_t *d = words(r, i.d);
  bool signedA = i.immediate & 1, signedB = i.immediate & 2, isPairs = i.immediate & 4, isHigh = i.immediate & 8;
  eachLane(mask, [=](unsigned lane) {
    uint32_t sum = c[lane];
    auto byte = [](uint32_t word, unsigned index, bool isSigned) {
      uint32_t value = word >> (8 * index) & 255;
      return isSigned ? static_cast<int32_t>(static_cast<int8_t>(value)) : static_cast<int32_t>(value);
    };
    for (unsigned index = 0; index < (isPairs ? 2u : 4u); ++index) {
      int32_t left = byte(a[lane], index, signedA);
      if (isPairs) {
        uint32_t half = a[lane] >> (16 * index) & 0xffff;
        left = signedA ? static_cast<int16_t>(half) : static_cast<int32_t>(half);
      }
      sum += static_cast<uint32_t>(left) * static_cast<uint32_t>(byte(b[lane], index + (isHigh ? 2 : 0), signedB));
    }
    d[lane] = sum;
  });
}

void findNthSet(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = words(r, i.a), *b = words(r, i.b), *c = words(r, i.c);
  uint32_t *d = words(r, i.d);
  eachLane(mask, [=](unsigned lane) {
    int32_t offset = static_cast<int32_t>(c[lane]);
    int position = static_cast<int>(b[lane]), step = offset < 0 ? -1 : 1;
    int left = offset == 0 ? 1 : std::abs(offset);
    uint32_t found = ~0u;
    for (; position >= 0 && position < 32; position += step)
      if (a[lane] >> position & 1 && --left == 0) {
        found = static_cast<uint32_t>(position);
        break;
      } else if (offset == 0) {
        break;
      }
    d[lane] = found;
  });
}

void makeBitMask(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = words(r, i.a), *b = words(r, i.b);
  uint32_t *d = words(r, i.d);
  bool wraps = i.immediate;
  eachLane(mask, [=](unsigned lane) {
    uint32_t position = wraps ? a[lane] & 31 : a[lane], count = wraps ? b[lane] & 31 : b[lane];
    uint64_t bits = count >= 32 ? 0xffffffffu : (uint64_t(1) << count) - 1;
    d[lane] = position >= 32 ? 0 : static_cast<uint32_t>(bits << position);
  });
}

void extend(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = words(r, i.a), *b = words(r, i.b);
  uint32_t *d = words(r, i.d);
  bool wraps = i.immediate & 1, isSigned = i.immediate & 2;
  eachLane(mask, [=](unsigned lane) {
    uint32_t width = wraps ? b[lane] & 31 : std::min(b[lane], 32u);
    uint64_t low = width >= 32 ? a[lane] : a[lane] & ((uint64_t(1) << width) - 1);
    bool isNegative = isSigned && width && low >> (width - 1) & 1;
    d[lane] = static_cast<uint32_t>(isNegative && width < 32 ? low | ~uint64_t(0) << width : low);
  });
}

template <typename S> void selectBySign(char *r, const Instruction &i, uint32_t mask) {
  const S *a = reinterpret_cast<const S *>(r + i.a), *b = reinterpret_cast<const S *>(r + i.b);
  const uint32_t *c = words(r, i.c);
  S *d = reinterpret_cast<S *>(r + i.d);
  bool isFloat = i.immediate & 1;
  uint32_t least = i.immediate & 2 ? 0x00800000u : 1; // magnitudes below are zero
  eachLane(mask, [=](unsigned lane) {
    uint32_t magnitude = c[lane] & 0x7fffffffu;
    bool isNegative = c[lane] >> 31;
    if (isFloat) // nan selects b, -0 selects a
      isNegative = (isNegative && magnitude >= least) || magnitude > 0x7f800000u;
    d[lane] = isNegative ? b[lane] : a[lane];
  });
}

} // namespace

void decodeMove(Decoder &decoder) {
  Type type = decoder.needType();
  decoder.expectOperands(2);
  if (type == Type::Pred)
    return emitPredicates(decoder, PredicateOp::Move);
  if (decoder.operand(1).kind == Operand::Vector)
    return movePacked(decoder, type, true);
  if (decoder.operand(0).kind == Operand::Vector)
    return movePacked(decoder, type, false);
  if (decoder.operand(1).kind == Operand::Special && moveClock(decoder, type))
    return;
  if (bitsOf(type) == 64 && decoder.operand(1).kind == Operand::Special) {
    decoder.out.d = decoder.destination(0, type).at;
    decoder.out.a = decoder.source(1, Type::U32).at;
    return decoder.emitLanes(laneHandlers().convert(Type::U64, Type::U32, {}));
  }
  oneSource(decoder, type, type);
  decoder.out.propagates = true;
  if (type == Type::B128)
    return decoder.emitLanes(move128);
  emitInteger(decoder, IntegerOp::Move, bitsOf(type) <= 32 ? Type::B32 : Type::B64);
}

void decodeCarry(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  std::string_view opcode = modifiers.opcode();
  bool sets = modifiers.take("cc"), takes = opcode.back() == 'c';
  CarryOp op = opcode.substr(0, 3) == "add"   ? CarryOp::Add
               : opcode.substr(0, 3) == "sub" ? CarryOp::Sub
                                              : CarryOp::MulAddLow;
  if (op == CarryOp::MulAddLow && modifiers.takeOneOf({"lo", "hi"}) == 1)
    op = CarryOp::MulAddHigh;
  Type type = decoder.needType();
  if (bitsOf(type) != 32 && bitsOf(type) != 64)
    decoder.fail("carries are of 32 or 64 bits");
  decoder.expectOperands(op >= CarryOp::MulAddLow ? 4 : 3);
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, type).at;
  if (op >= CarryOp::MulAddLow)
    decoder.out.c = decoder.source(3, type).at;
  decoder.out.e = decoder.carry().at;
  decoder.out.immediate = static_cast<uint64_t>(op) | (takes ? takesCarry : 0) | (sets ? setsCarry : 0) |
                          (isSigned(type) ? isSignedProduct : 0);
  decoder.emitLanes(bitsOf(type) == 64 ? carries<uint64_t> : carries<uint32_t>);
}

void decodeIntegerAddSubtract(Decoder &decoder, Type type) {
  bool adds = decoder.words().opcode() == "add";
  bool saturates = decoder.words().take("sat");
  if (saturates && type != Type::S32)
    decoder.fail(".sat needs .s32");
  twoSources(decoder, type);
  emitInteger(decoder,
              saturates ? (adds ? IntegerOp::AddSaturated : IntegerOp::SubSaturated)
              : adds    ? IntegerOp::Add
                        : IntegerOp::Sub,
              type);
}

void decodeIntegerMultiply(Decoder &decoder, Type type, int part) {
  if (part < 0)
    decoder.fail("an integer product is .lo, .hi or .wide");
  bool is24 = decoder.words().opcode() == "mul24";
  Type result = part == 2 ? twice(type) : type;
  decoder.expectOperands(3);
  decoder.out.d = decoder.destination(0, result).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, type).at;
  constexpr IntegerOp plain[] = {IntegerOp::Mul, IntegerOp::MulHigh, IntegerOp::MulWide};
  emitInteger(decoder, is24 ? (part ? IntegerOp::Mul24High : IntegerOp::Mul24) : plain[part], type);
}

void decodeMultiplyAdd(Decoder &decoder) {
  if (decoder.words().has("cc"))
    return decodeCarry(decoder);
  int part = decoder.words().takeOneOf({"lo", "hi", "wide"});
  if (part < 0)
    return decodeFusedMultiplyAdd(decoder);
  bool saturates = decoder.words().take("sat"), is24 = decoder.words().opcode() == "mad24";
  Type type = decoder.needType(), result = part == 2 ? twice(type) : type;
  decoder.expectOperands(4);
  if (is24) {
    Slot product = decoder.temporary(32);
    decoder.out.d = product.at;
    decoder.out.a = decoder.source(1, type).at;
    decoder.out.b = decoder.source(2, type).at;
    emitInteger(decoder, part ? IntegerOp::Mul24High : IntegerOp::Mul24, type);
    decoder.out.d = decoder.destination(0, type).at;
    decoder.out.a = product.at;
    decoder.out.b = decoder.source(3, type).at;
    return emitInteger(decoder, IntegerOp::Add, type);
  }
  decoder.out.d = decoder.destination(0, result).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, type).at;
  decoder.out.c = decoder.source(3, result).at;
  constexpr IntegerOp plain[] = {IntegerOp::Mad, IntegerOp::MadHigh, IntegerOp::MadWide};
  if (saturates && (part != 1 || type != Type::S32))
    decoder.fail(".sat needs .hi.s32");
  emitInteger(decoder, saturates ? IntegerOp::MadHighSaturated : plain[part], type);
}

void decodeIntegerMinMax(Decoder &decoder, Type type) {
  bool isMin = decoder.words().opcode() == "min", relu = decoder.words().take("relu");
  twoSources(decoder, type);
  emitInteger(decoder,
              isMin ? (relu ? IntegerOp::MinRelu : IntegerOp::Min) : (relu ? IntegerOp::MaxRelu : IntegerOp::Max),
              type);
}

void decodeLogic(Decoder &decoder) {
  std::string_view opcode = decoder.words().opcode();
  Type type = decoder.needType();
  if (type == Type::Pred)
    return emitPredicates(decoder, opcode == "and"   ? PredicateOp::And
                                   : opcode == "or"  ? PredicateOp::Or
                                   : opcode == "xor" ? PredicateOp::Xor
                                                     : PredicateOp::Not);
  if (opcode == "not" || opcode == "cnot")
    oneSource(decoder, type, type);
  else
    twoSources(decoder, type);
  decoder.out.propagates = opcode != "cnot";
  emitInteger(decoder,
              opcode == "and"   ? IntegerOp::And
              : opcode == "or"  ? IntegerOp::Or
              : opcode == "xor" ? IntegerOp::Xor
              : opcode == "not" ? IntegerOp::Not
                                : IntegerOp::LogicalNot,
              type);
}

void decodeShift(Decoder &decoder) {
  bool left = decoder.words().opcode() == "shl";
  Type type = decoder.needType();
  decoder.expectOperands(3);
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, Type::U32).at;
  decoder.out.propagates = true;
  emitInteger(decoder, left ? IntegerOp::ShiftLeft : IntegerOp::ShiftRight, type);
}

void decodeFunnelShift(Decoder &decoder) {
  int direction = decoder.words().takeOneOf({"l", "r"}), mode = decoder.words().takeOneOf({"wrap", "clamp"});
  if (direction < 0 || mode < 0 || decoder.needType() != Type::B32)
    decoder.fail("this form of shf is not understood");
  decoder.expectOperands(4);
  decoder.out.d = decoder.destination(0, Type::B32).at;
  decoder.out.a = decoder.source(1, Type::B32).at;
  decoder.out.b = decoder.source(2, Type::B32).at;
  decoder.out.c = decoder.source(3, Type::B32).at;
  decoder.out.propagates = true;
  constexpr IntegerOp ops[] = {IntegerOp::FunnelLeftWrap, IntegerOp::FunnelLeftClamp, IntegerOp::FunnelRightWrap,
                               IntegerOp::FunnelRightClamp};
  emitInteger(decoder, ops[direction * 2 + mode], Type::B32);
}

// clz, popc, brev, bfind, bfe, bfi, prmt, lop3, sad, fns, bmsk, szext
void decodeBits(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  std::string_view opcode = modifiers.opcode();
  Instruction &out = decoder.out;
  bool shiftAmount = modifiers.take("shiftamt");
  int wrapping = modifiers.takeOneOf({"clamp", "wrap"});
  int permutation = modifiers.takeOneOf({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"});
  Type type = decoder.needType();
  if (opcode == "clz" || opcode == "popc" || opcode == "bfind") {
    oneSource(decoder, type, Type::U32);
    return emitInteger(decoder,
                       opcode == "clz"    ? IntegerOp::CountLeadingZeros
                       : opcode == "popc" ? IntegerOp::CountOnes
                       : shiftAmount      ? IntegerOp::FindBitShift
                                          : IntegerOp::FindBit,
                       opcode == "clz" ? (bitsOf(type) == 64 ? Type::U64 : Type::U32) : type);
  }
  if (opcode == "brev") {
    oneSource(decoder, type, type);
    return emitInteger(decoder, IntegerOp::Reverse, type);
  }
  decoder.expectOperands(opcode == "bfi" || opcode == "lop3" ? 5 : opcode == "bmsk" || opcode == "szext" ? 3 : 4);
  out.d = decoder.destination(0, type).at;
  out.a = decoder.source(1, type).at;
  out.b = decoder.source(2, opcode == "bfe" ? Type::U32 : type).at;
  if (opcode == "bmsk" || opcode == "szext") {
    out.immediate = (wrapping == 1 ? 1 : 0) | (isSigned(type) && opcode == "szext" ? 2 : 0);
    return decoder.emitLanes(opcode == "bmsk" ? makeBitMask : extend);
  }
  out.c = decoder.source(3, opcode == "bfe" || opcode == "bfi" ? Type::U32 : type).at;
  out.propagates = opcode != "sad" && opcode != "fns";
  if (opcode == "bfi" || opcode == "lop3")
    out.f = decoder.source(4, Type::U32).at;
  if (opcode == "prmt") {
    out.immediate = static_cast<uint64_t>(permutation + 1);
    return decoder.emitLanes(permute);
  }
  if (opcode == "fns")
    return decoder.emitLanes(findNthSet);
  emitInteger(decoder,
              opcode == "bfe"    ? IntegerOp::ExtractBits
              : opcode == "bfi"  ? IntegerOp::InsertBits
              : opcode == "lop3" ? IntegerOp::LogicTable
                                 : IntegerOp::Sad,
              type);
}

void decodeDotProduct(Decoder &decoder) {
  bool isPairs = decoder.words().opcode() == "dp2a", isHigh = false;
  if (isPairs)
    isHigh = decoder.words().takeOneOf({"lo", "hi"}) == 1;
  Type a = decoder.needType(), b = decoder.needType();
  decoder.expectOperands(4);
  decoder.out.d = decoder.destination(0, Type::B32).at;
  decoder.out.a = decoder.source(1, Type::B32).at;
  decoder.out.b = decoder.source(2, Type::B32).at;
  decoder.out.c = decoder.source(3, Type::B32).at;
  decoder.out.immediate = (isSigned(a) ? 1 : 0) | (isSigned(b) ? 2 : 0) | (isPairs ? 4 : 0) | (isHigh ? 8 : 0);
  decoder.emitLanes(dotProduct);
}

void decodeIntegerDivide(Decoder &decoder, Type type) {
  twoSources(decoder, type);
  emitInteger(decoder, decoder.words().opcode() == "div" ? IntegerOp::Div : IntegerOp::Rem, type);
}

void decodeIntegerUnary(Decoder &decoder, Type type) {
  oneSource(decoder, type, type);
  emitInteger(decoder, decoder.words().opcode() == "abs" ? IntegerOp::Abs : IntegerOp::Neg, type);
}

void decodeSelect(Decoder &decoder) {
  bool bySign = decoder.words().opcode() == "slct";
  bool flushes = bySign && decoder.words().take("ftz");
  Type type = decoder.needType();
  decoder.expectOperands(4);
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, type).at;
  if (bySign) {
    Type by = decoder.needType();
    decoder.out.c = decoder.source(3, by).at;
    decoder.out.immediate = (by == Type::F32 ? 1 : 0) | (flushes ? 2 : 0);
    return decoder.emitLanes(bitsOf(type) == 64 ? selectBySign<uint64_t> : selectBySign<uint32_t>);
  }
  const Operand &condition = decoder.operand(3);
  decoder.out.c = decoder.predicate(condition).at;
  if (condition.negated)
    std::swap(decoder.out.a, decoder.out.b);
  decoder.out.propagates = true;
  decoder.emitLanes(laneHandlers().select(type));
}

} // namespace qcc::ptxemu
