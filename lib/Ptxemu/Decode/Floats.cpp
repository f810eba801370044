// Decodes arithmetic of floats, comparisons, and conversions.
#include "Decode/Decoder.h"
#include "Decode/Numeric.h"
#include "Execute/Families.h"
#include "Execute/Machine.h"
#include "Lanes/Lanes.h"

#include <algorithm>

namespace qcc::ptxemu {
namespace {

struct FloatWords {
  FloatMode mode;
  bool approximates = false;
};

FloatWords takeFloatWords(Modifiers &modifiers) {
  FloatWords result;
  int rounding = modifiers.takeOneOf({"rn", "rz", "rm", "rp"});
  result.mode.rounding = rounding < 0 ? Rounding::Nearest : static_cast<Rounding>(rounding);
  result.mode.flushes = modifiers.take("ftz");
  modifiers.take("noftz");
  result.mode.saturates = modifiers.take("sat");
  result.mode.relu = modifiers.take("relu");
  result.approximates = modifiers.take("approx") || modifiers.take("full");
  return result;
}

// A 16-bit operand of an operation of f32, converted.
Slot asSingle(Decoder &decoder, size_t index, Type type) {
  Slot single = decoder.temporary(32);
  decoder.out.a = decoder.source(index, type).at;
  decoder.out.d = single.at;
  decoder.emitLanes(laneHandlers().convert(Type::F32, type, {}));
  return single;
}

void emitFloat(Decoder &decoder, FloatOp op, Type type, const FloatMode &mode) {
  if (mode.rounding == Rounding::Nearest)
    return decoder.emitLanes(laneHandlers().floating(op, type, mode));
  decoder.out.immediate = roundedFloatMode(mode);
  decoder.emitLanes(mode.relu ? nullptr : roundedFloatHandler(op, type));
}

void sources(Decoder &decoder, Type type, unsigned count) {
  decoder.expectOperands(count + 1);
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.a = decoder.source(1, type).at;
  if (count > 1)
    decoder.out.b = decoder.source(2, type).at;
  if (count > 2)
    decoder.out.c = decoder.source(3, type).at;
}

// The type of an operation that integers and floats share; None if the instruction is one of integers.
bool takeType(Decoder &decoder, Type &type) {
  type = decoder.needType();
  return isFloat(type);
}

Compare compareOf(Decoder &decoder, Type type) {
  static constexpr std::string_view names[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                               "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
  for (unsigned index = 0; index < std::size(names); ++index)
    if (decoder.words().take(names[index]))
      return static_cast<Compare>(index);
  // Of unsigned integers.
  int other = decoder.words().takeOneOf({"lo", "ls", "hi", "hs"});
  if (other < 0 || isFloat(type) || isSigned(type))
    decoder.fail("this comparison is not understood");
  constexpr Compare same[] = {Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge};
  return same[other];
}

template <typename S> void testProperty(char *r, const Instruction &i, uint32_t mask) {
  const S *a = reinterpret_cast<const S *>(r + i.a);
  constexpr S infinity = sizeof(S) == 8 ? S(0x7ff0000000000000) : S(0x7f800000);
  constexpr S magnitude = static_cast<S>(~S(0)) >> 1;
  constexpr S least = sizeof(S) == 8 ? S(1) << 52 % (sizeof(S) * 8) : S(1) << 23;
  uint32_t result = 0;
  eachLane(mask, [&](unsigned lane) {
    S value = a[lane] & magnitude;
    bool holds = false;
    switch (i.immediate) {
    case 0:
      holds = value < infinity;
      break;
    case 1:
      holds = value == infinity;
      break;
    case 2:
      holds = value <= infinity;
      break;
    case 3:
      holds = value > infinity;
      break;
    case 4:
      holds = value >= least && value < infinity;
      break;
    default:
      holds = value < least && value != 0;
      break;
    }
    result |= uint32_t(holds) << lane;
  });
  uint32_t *d = reinterpret_cast<uint32_t *>(r + i.d);
  *d = (*d & ~mask) | result;
}

void widen(char *r, const Instruction &i, uint32_t mask) {
  const uint32_t *a = reinterpret_cast<const uint32_t *>(r + i.a);
  uint64_t *d = reinterpret_cast<uint64_t *>(r + i.d);
  eachLane(mask, [=](unsigned lane) { d[lane] = a[lane]; });
}

void narrow(char *r, const Instruction &i, uint32_t mask) {
  const uint64_t *a = reinterpret_cast<const uint64_t *>(r + i.a);
  uint32_t *d = reinterpret_cast<uint32_t *>(r + i.d);
  eachLane(mask, [=](unsigned lane) { d[lane] = static_cast<uint32_t>(a[lane]); });
}

} // namespace

void decodeAddSubtract(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  if (modifiers.has("cc"))
    return decodeCarry(decoder);
  Type type;
  if (!takeType(decoder, type))
    return decodeIntegerAddSubtract(decoder, type);
  FloatWords words = takeFloatWords(modifiers);
  if (Type narrow = modifiers.takeType(); narrow != Type::None) {
    if (type != Type::F32 || (narrow != Type::F16 && narrow != Type::BF16))
      decoder.fail("these types together are not understood");
    decoder.expectOperands(3);
    Slot single = asSingle(decoder, 1, narrow);
    decoder.out.d = decoder.destination(0, type).at;
    decoder.out.a = single.at;
    decoder.out.b = decoder.source(2, type).at;
  } else {
    sources(decoder, type, 2);
  }
  emitFloat(decoder, modifiers.opcode() == "add" ? FloatOp::Add : FloatOp::Sub, type, words.mode);
}

void decodeMultiply(Decoder &decoder) {
  int part = decoder.words().takeOneOf({"lo", "hi", "wide"});
  Type type;
  if (!takeType(decoder, type))
    return decodeIntegerMultiply(decoder, type, part);
  FloatWords words = takeFloatWords(decoder.words());
  sources(decoder, type, 2);
  emitFloat(decoder, FloatOp::Mul, type, words.mode);
}

void decodeFusedMultiplyAdd(Decoder &decoder) {
  Type type;
  if (!takeType(decoder, type))
    decoder.fail("an integer product is .lo, .hi or .wide");
  FloatWords words = takeFloatWords(decoder.words());
  if (Type narrow = decoder.words().takeType(); narrow != Type::None) {
    if (type != Type::F32 || (narrow != Type::F16 && narrow != Type::BF16))
      decoder.fail("these types together are not understood");
    decoder.expectOperands(4);
    Slot first = asSingle(decoder, 1, narrow), second = asSingle(decoder, 2, narrow);
    decoder.out.d = decoder.destination(0, type).at;
    decoder.out.a = first.at;
    decoder.out.b = second.at;
    decoder.out.c = decoder.source(3, type).at;
  } else {
    sources(decoder, type, 3);
  }
  emitFloat(decoder, FloatOp::Fma, type, words.mode);
}

void decodeDivide(Decoder &decoder) {
  Type type;
  if (!takeType(decoder, type))
    return decodeIntegerDivide(decoder, type);
  FloatWords words = takeFloatWords(decoder.words());
  sources(decoder, type, 2);
  emitFloat(decoder, FloatOp::Div, type, words.mode);
}

void decodeMinMax(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  Type type;
  if (!takeType(decoder, type))
    return decodeIntegerMinMax(decoder, type);
  FloatMode mode;
  mode.flushes = modifiers.take("ftz");
  bool isMin = modifiers.opcode() == "min", nan = modifiers.take("NaN"), xorsign = modifiers.take("xorsign");
  if (xorsign && !modifiers.take("abs"))
    decoder.fail("only .xorsign.abs is understood");
  bool three = decoder.operandCount() == 4;
  if (three && (type != Type::F32 || xorsign))
    decoder.fail("three operands are only understood of .f32");
  sources(decoder, type, three ? 3 : 2);
  unsigned base = static_cast<unsigned>(three ? FloatOp::Min3 : xorsign ? FloatOp::MinXorsign : FloatOp::Min);
  emitFloat(decoder, static_cast<FloatOp>(base + (nan ? 2 : 0) + (isMin ? 0 : 1)), type, mode);
}

void decodeUnary(Decoder &decoder) {
  Type type;
  if (!takeType(decoder, type))
    return decodeIntegerUnary(decoder, type);
  FloatMode mode;
  mode.flushes = decoder.words().take("ftz");
  sources(decoder, type, 1);
  emitFloat(decoder, decoder.words().opcode() == "abs" ? FloatOp::Abs : FloatOp::Neg, type, mode);
}

// rcp, sqrt, rsqrt, ex2, lg2, sin, cos, tanh
void decodeFunction(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  std::string_view opcode = modifiers.opcode();
  Type type = decoder.needType();
  FloatWords words = takeFloatWords(modifiers);
  FloatOp op = opcode == "rcp"     ? FloatOp::Rcp
               : opcode == "sqrt"  ? FloatOp::Sqrt
               : opcode == "rsqrt" ? FloatOp::Rsqrt
               : opcode == "ex2"   ? FloatOp::Exp2
               : opcode == "lg2"   ? FloatOp::Log2
               : opcode == "sin"   ? FloatOp::Sin
               : opcode == "cos"   ? FloatOp::Cos
                                   : FloatOp::Tanh;
  bool isDouble = type == Type::F64, isHalf = bitsOf(elementOf(type)) == 16;
  bool known = isDouble ? op <= FloatOp::Rsqrt
               : isHalf ? op == FloatOp::Exp2 || op == FloatOp::Tanh
                        : type == Type::F32;
  if (!known)
    decoder.fail("this type of '" + std::string(opcode) + "' is not understood");
  if (isDouble && words.approximates)
    words.mode.flushes = false; // subnormals of f64 are far below what is approximated
  sources(decoder, type, 1);
  emitFloat(decoder, op, type, words.mode);
}

void decodeCopySign(Decoder &decoder) {
  Type type = decoder.needType();
  sources(decoder, type, 2);
  emitFloat(decoder, FloatOp::CopySign, type, {});
}

void decodeTestProperty(Decoder &decoder) {
  int test = decoder.words().takeOneOf({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  Type type = decoder.needType();
  if (test < 0 || (type != Type::F32 && type != Type::F64))
    decoder.fail("this form of testp is not understood");
  decoder.expectOperands(2);
  decoder.out.d = decoder.destination(0, Type::Pred).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.immediate = static_cast<uint64_t>(test);
  decoder.emitLanes(type == Type::F64 ? testProperty<uint64_t> : testProperty<uint32_t>);
}

// setp and set
void decodeCompare(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  bool writesValue = modifiers.opcode() == "set";
  int combine = modifiers.takeOneOf({"and", "or", "xor"});
  bool flushes = modifiers.take("ftz");
  Type result = writesValue ? decoder.needType() : Type::Pred;
  Type type = decoder.needType();
  Compare compare = compareOf(decoder, type);
  decoder.expectOperands(combine < 0 ? 3 : 4);
  const Operand &target = decoder.operand(0);
  if (writesValue && elementsOf(type) > 1)
    decoder.fail("set of packed types is not understood");
  Slot predicate = writesValue ? decoder.temporary(1) : decoder.destination(target, Type::Pred);
  decoder.out.d = predicate.at;
  if (!writesValue && target.hasSecond)
    decoder.out.e = decoder.secondDestination(target, Type::Pred).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.source(2, type).at;
  if (combine >= 0) {
    decoder.out.c = decoder.predicate(decoder.operand(3)).at;
    decoder.out.immediate = static_cast<uint64_t>(combine + 1) | (decoder.operand(3).negated ? combineInverts : 0);
  }
  decoder.emitLanes(isFloat(type) ? laneHandlers().compareFloats(compare, type, flushes)
                                  : laneHandlers().compareIntegers(compare, type));
  if (!writesValue)
    return;
  decoder.out.d = decoder.destination(0, result).at;
  decoder.out.a = decoder
                      .constant(result == Type::F32    ? 0x3f800000u
                                : result == Type::F16  ? 0x3c00u
                                : result == Type::BF16 ? 0x3f80u
                                                       : 0xffffffffu,
                                false)
                      .at;
  decoder.out.b = decoder.constant(0, false).at;
  decoder.out.c = predicate.at;
  decoder.emitLanes(laneHandlers().select(result));
}

void decodeConvert(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  if (modifiers.take("pack"))
    decoder.fail("cvt.pack is not understood");
  ConvertMode mode;
  int rounding = modifiers.takeOneOf({"rn", "rz", "rm", "rp", "rna"});
  int integral = modifiers.takeOneOf({"rni", "rzi", "rmi", "rpi"});
  mode.toIntegral = integral >= 0;
  mode.rounding = static_cast<Rounding>(std::max({rounding, integral, 0}));
  mode.flushes = modifiers.take("ftz");
  mode.saturates = modifiers.take("sat");
  mode.relu = modifiers.take("relu");
  mode.saturatesFinite = modifiers.take("satfinite");
  Type to = decoder.needType(), from = decoder.needType();
  bool fromTwo = elementsOf(to) == 2 && elementsOf(from) == 1;
  decoder.expectOperands(fromTwo ? 3 : 2);
  if (!isFloat(to) && isFloat(from) && !mode.toIntegral)
    decoder.fail("a conversion to an integer needs a rounding");
  Type toRegister = elementOf(to) == Type::E2M1 ? Type::B8 : to;
  Type fromRegister = elementOf(from) == Type::E2M1 ? Type::B8 : from;
  // Registers may be wider than what is converted.
  Slot source = decoder.source(decoder.operand(1), fromRegister, true);
  if (source.wide && bitsOf(from) <= 32) {
    Slot low = decoder.temporary(32);
    decoder.out.a = source.at;
    decoder.out.d = low.at;
    decoder.emitLanes(narrow);
    source = low;
  }
  Slot second = fromTwo ? decoder.source(decoder.operand(2), from, true) : Slot();
  Slot destination = decoder.destination(decoder.operand(0), toRegister, true);
  bool isWider = destination.wide && bitsOf(to) <= 32;
  Slot result = isWider ? decoder.temporary(32) : destination;
  decoder.out.a = source.at;
  decoder.out.b = second.at;
  decoder.out.d = result.at;
  if (LaneHandler handler = laneHandlers().convert(to, from, mode)) {
    decoder.out.immediate = (mode.flushes ? 1 : 0) | (mode.saturates ? 2 : 0);
    decoder.out.propagates = !isFloat(to) && !isFloat(from);
    decoder.emitLanes(handler);
  } else {
    decoder.out.immediate = packMode(mode) | static_cast<uint64_t>(to) << 32 | static_cast<uint64_t>(from) << 40;
    decoder.emitLanes(anyConvertHandler(to, from));
  }
  if (isWider) {
    decoder.out.a = result.at;
    decoder.out.d = destination.at;
    decoder.writes(destination);
    decoder.emitLanes(isSigned(to) ? laneHandlers().convert(Type::S64, to, {}) : widen);
  }
}

void decodeConvertAddress(Decoder &decoder) {
  Modifiers &modifiers = decoder.words();
  bool toSpace = modifiers.take("to");
  int space = modifiers.takeOneOf(
      {"global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"});
  Type type = decoder.needType();
  if (space < 0 || bitsOf(type) != 64)
    decoder.fail("this form of cvta is not understood");
  decoder.expectOperands(2);
  uint64_t window = space < 2 ? 0 : space < 5 ? sharedWindow : space == 5 ? localWindow : paramWindow;
  decoder.out.d = decoder.destination(0, type).at;
  decoder.out.a = decoder.source(1, type).at;
  decoder.out.b = decoder.constant(toSpace ? ~windowMask : window, true).at;
  decoder.emitLanes(
      laneHandlers().integer(toSpace ? (window ? IntegerOp::And : IntegerOp::Move) : IntegerOp::Or, Type::B64));
}

void decodeIsSpace(Decoder &decoder) {
  int space = decoder.words().takeOneOf(
      {"global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"});
  if (space < 0)
    decoder.fail("this form of isspacep is not understood");
  decoder.expectOperands(2);
  Slot high = decoder.temporary(64);
  decoder.out.d = high.at;
  decoder.out.a = decoder.source(1, Type::B64).at;
  decoder.out.b = decoder.constant(windowMask, true).at;
  decoder.emitLanes(laneHandlers().integer(IntegerOp::And, Type::B64));
  uint64_t window = space < 2 ? 0 : space < 5 ? sharedWindow : space == 5 ? localWindow : paramWindow;
  decoder.out.d = decoder.destination(0, Type::Pred).at;
  decoder.out.a = high.at;
  decoder.out.b = decoder.constant(window, true).at;
  decoder.emitLanes(laneHandlers().compareIntegers(Compare::Eq, Type::B64));
}

} // namespace qcc::ptxemu
