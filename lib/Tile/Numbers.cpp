#include "qcc/Tile/Numbers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace qcc;

bool qcc::isUnsigned(Type element) { return element.isUnsignedInteger() || element.isInteger(1); }
bool qcc::isFloat(Type element) { return isa<FloatType>(element); }

Type qcc::computeType(Type element) {
  Builder b(element.getContext());
  if (auto type = dyn_cast<FloatType>(element))
    return type.getWidth() >= 32 ? element : b.getF32Type();
  if (element.isInteger(1))
    return b.getI1Type();
  return b.getIntegerType(std::max(8u, element.getIntOrFloatBitWidth()));
}

Type qcc::storageType(Type element) {
  Builder b(element.getContext());
  if (auto type = dyn_cast<FloatType>(element))
    return type.getWidth() >= 32 ? element : b.getIntegerType(std::max(8u, type.getWidth()));
  return b.getIntegerType(std::max(8u, element.getIntOrFloatBitWidth()));
}

Type qcc::plainType(llvm::StringRef codec, MLIRContext *context) {
  return llvm::StringSwitch<Type>(codec)
      .Case("float32", Float32Type::get(context))
      .Case("float16", Float16Type::get(context))
      .Case("bfloat16", BFloat16Type::get(context))
      .Default(Type());
}

int64_t qcc::storageBytes(Type element) { return storageType(element).getIntOrFloatBitWidth() / 8; }

namespace {
/// The parts of a binary float format narrower than f32.
struct SmallFloat {
  unsigned exponentBits, mantissaBits;
  int bias;
  bool infinity; // the top exponent holds infinities and NaNs, as IEEE has it
  bool negativeZeroIsNaN;
  bool hasNaN, hasSign;
  unsigned bits() const { return exponentBits + mantissaBits + hasSign; }
  uint32_t nan() const {
    if (negativeZeroIsNaN)
      return 1u << (bits() - 1);
    if (infinity)
      return ((1u << exponentBits) - 1) << mantissaBits | 1u << (mantissaBits - 1);
    return (1u << (exponentBits + mantissaBits)) - 1;
  }
  uint32_t largest() const { // the bits of the largest finite value
    uint32_t all = (1u << (exponentBits + mantissaBits)) - 1;
    if (infinity)
      return (((1u << exponentBits) - 1) << mantissaBits) - 1;
    return hasNaN && !negativeZeroIsNaN ? all - 1 : all;
  }
};

std::optional<SmallFloat> smallFloat(Type type) {
  if (type.isF16())
    return SmallFloat{5, 10, 15, true, false, true, true};
  if (type.isBF16())
    return SmallFloat{8, 7, 127, true, false, true, true};
  if (isa<Float8E4M3FNType>(type))
    return SmallFloat{4, 3, 7, false, false, true, true};
  if (isa<Float8E4M3FNUZType>(type))
    return SmallFloat{4, 3, 8, false, true, true, true};
  if (isa<Float8E5M2Type>(type))
    return SmallFloat{5, 2, 15, true, false, true, true};
  if (isa<Float8E5M2FNUZType>(type))
    return SmallFloat{5, 2, 16, false, true, true, true};
  if (isa<Float4E2M1FNType>(type))
    return SmallFloat{2, 1, 1, false, false, false, true};
  return std::nullopt;
}

/// i32 arithmetic in few words.
struct Bits {
  ImplicitLocOpBuilder &b;
  Value c(int64_t v) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(v))); }
  Value f(float v) { return arith::ConstantOp::create(b, b.getF32FloatAttr(v)); }
  Value shl(Value a, unsigned n) { return arith::ShLIOp::create(b, a, c(n)); }
  Value shr(Value a, unsigned n) { return arith::ShRUIOp::create(b, a, c(n)); }
  Value land(Value a, int64_t mask) { return arith::AndIOp::create(b, a, c(mask)); }
  Value lor(Value a, Value x) { return arith::OrIOp::create(b, a, x); }
  Value add(Value a, Value x) { return arith::AddIOp::create(b, a, x); }
  Value is(arith::CmpIPredicate p, Value a, int64_t v) { return arith::CmpIOp::create(b, p, a, c(v)); }
  Value pick(Value condition, Value x, Value y) { return arith::SelectOp::create(b, condition, x, y); }
  Value asFloat(Value a) { return arith::BitcastOp::create(b, b.getF32Type(), a); }
  Value asInt(Value a) { return arith::BitcastOp::create(b, b.getI32Type(), a); }
};
} // namespace

/// Any small float to f32: shift exponent and mantissa into f32's place and multiply by 2^(127 - bias), which also
/// normalizes subnormals.
static Value widen(ImplicitLocOpBuilder &b, Value stored, const SmallFloat &format) {
  Bits x{b};
  Value code = arith::ExtUIOp::create(b, b.getI32Type(), stored);
  unsigned magnitudeBits = format.exponentBits + format.mantissaBits;
  Value magnitude = x.land(code, (1 << magnitudeBits) - 1);
  Value sign = x.shl(x.shr(code, magnitudeBits), 31);
  if (format.bits() == 16 && format.exponentBits == 8) // bfloat16 is the upper half of f32
    return x.asFloat(x.shl(code, 16));
  Value moved = x.asFloat(x.shl(magnitude, 23 - format.mantissaBits));
  Value value = arith::MulFOp::create(b, moved, x.f(std::ldexp(1.0f, 127 - format.bias)));
  Value bits = x.asInt(value);
  if (format.infinity) // everything from infinity on keeps the top exponent
    bits = x.pick(x.is(arith::CmpIPredicate::uge, magnitude, ((1 << format.exponentBits) - 1) << format.mantissaBits),
                  x.lor(x.shl(magnitude, 23 - format.mantissaBits), x.c(0x7f800000)), bits);
  else if (format.hasNaN)
    bits = x.pick(x.is(arith::CmpIPredicate::eq, format.negativeZeroIsNaN ? code : magnitude, format.nan()),
                  x.c(0x7fc00000), bits);
  return x.asFloat(x.lor(bits, sign));
}

/// f32 to any small float, to nearest even. Normal results round in the integer bits; subnormal ones by adding a power
/// of two whose unit in the last place is the format's smallest step, so that f32's own rounding does it.
static Value narrow(ImplicitLocOpBuilder &b, Value value, const SmallFloat &format, Type storage, bool saturate) {
  Bits x{b};
  Value bits = x.asInt(value);
  Value sign = x.shr(bits, 31), magnitude = x.land(bits, 0x7fffffff);
  unsigned drop = 23 - format.mantissaBits;
  Value odd = x.land(x.shr(magnitude, drop), 1);
  Value rounded = x.shr(x.add(magnitude, x.add(odd, x.c((int64_t(1) << (drop - 1)) - 1))), drop);
  Value normal = x.add(rounded, x.c(-(int64_t(127 - format.bias) << format.mantissaBits)));
  Value result = normal;
  if (format.bias != 127) {
    float step = std::ldexp(1.0f, 1 - format.bias - int(format.mantissaBits) + 23);
    Value small = x.asInt(arith::AddFOp::create(b, x.asFloat(magnitude), x.f(step)));
    Value subnormal = arith::SubIOp::create(b, small, x.asInt(x.f(step)));
    float smallestNormal = std::ldexp(1.0f, 1 - format.bias);
    result = x.pick(arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x.asFloat(magnitude), x.f(smallestNormal)),
                    subnormal, normal);
  }
  // Above the largest finite value: infinity or NaN, or the largest value when the conversion saturates (float8 and
  // float4 only).
  bool clamps = format.bits() <= 8 && (saturate || !format.hasNaN);
  uint32_t over = clamps ? format.largest() : format.infinity ? format.largest() + 1 : format.nan();
  Value beyond = x.is(arith::CmpIPredicate::ugt, result, format.largest());
  beyond = arith::OrIOp::create(b, beyond, x.is(arith::CmpIPredicate::uge, magnitude, 0x7f800000));
  result = x.pick(beyond, x.c(over), result);
  Value isNaN = x.is(arith::CmpIPredicate::ugt, magnitude, 0x7f800000);
  result = x.pick(isNaN, x.c(format.hasNaN ? format.nan() : 0), result);
  if (format.infinity) // infinities stay infinities
    result = x.pick(x.is(arith::CmpIPredicate::eq, magnitude, 0x7f800000), x.c(format.largest() + 1), result);
  Value withSign = x.lor(result, x.shl(sign, format.exponentBits + format.mantissaBits));
  if (format.negativeZeroIsNaN)
    withSign = x.pick(arith::OrIOp::create(b, x.is(arith::CmpIPredicate::eq, result, 0), isNaN), result, withSign);
  return arith::TruncIOp::create(b, storage, withSign);
}

Value qcc::fromStorage(ImplicitLocOpBuilder &b, Value stored, Type element) {
  if (auto format = smallFloat(element))
    return widen(b, stored, *format);
  if (isa<Float8E8M0FNUType>(element)) { // 2^(code - 127); 255 is NaN; 0 is 2^-127, a subnormal of f32
    Bits x{b};
    Value code = arith::ExtUIOp::create(b, b.getI32Type(), stored);
    Value bits = x.pick(x.is(arith::CmpIPredicate::eq, code, 0), x.c(0x00400000), x.shl(code, 23));
    return x.asFloat(x.pick(x.is(arith::CmpIPredicate::eq, code, 255), x.c(0x7fc00000), bits));
  }
  if (element.isInteger(1))
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, stored,
                                 arith::ConstantOp::create(b, b.getI8IntegerAttr(0)));
  if (auto type = dyn_cast<IntegerType>(element); type && type.getWidth() < 8) {
    // A byte holds the element's bits; the ones above them are not to be trusted.
    Value narrowed = arith::TruncIOp::create(b, b.getIntegerType(type.getWidth()), stored);
    if (type.isUnsigned())
      return arith::ExtUIOp::create(b, b.getI8Type(), narrowed);
    return arith::ExtSIOp::create(b, b.getI8Type(), narrowed);
  }
  return stored;
}

Value qcc::toStorage(ImplicitLocOpBuilder &b, Value value, Type element, bool saturate) {
  if (auto format = smallFloat(element))
    return narrow(b, value, *format, storageType(element), saturate);
  if (isa<Float8E8M0FNUType>(element)) { // rounds up in magnitude, as ONNX's Cast does by default
    Bits x{b};
    Value bits = x.land(x.asInt(value), 0x7fffffff);
    Value exponent = x.shr(x.add(bits, x.c(0x7fffff)), 23);
    exponent = x.pick(x.is(arith::CmpIPredicate::ule, bits, 0x00400000), x.c(0), exponent); // up to 2^-127
    Value limit = x.pick(x.is(arith::CmpIPredicate::ugt, exponent, 254), x.c(254), exponent);
    Value code = x.pick(x.is(arith::CmpIPredicate::ugt, bits, 0x7f800000), x.c(255), limit);
    return arith::TruncIOp::create(b, b.getI8Type(), code);
  }
  if (element.isInteger(1))
    return arith::ExtUIOp::create(b, b.getI8Type(), value);
  return value;
}

Value qcc::numberConstant(ImplicitLocOpBuilder &b, Type element, double value) {
  Type type = computeType(element);
  if (auto real = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(b, b.getFloatAttr(real, value));
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, int64_t(value)));
}

Value qcc::castNumber(ImplicitLocOpBuilder &b, Value value, Type from, Type to) {
  Type source = computeType(from), target = computeType(to);
  if (to.isInteger(1)) {
    if (from.isInteger(1))
      return value;
    if (isFloat(from))
      return arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, value, numberConstant(b, from, 0));
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, value, numberConstant(b, from, 0));
  }
  unsigned sourceBits = source.getIntOrFloatBitWidth(), targetBits = target.getIntOrFloatBitWidth();
  if (isFloat(from) && isFloat(to)) {
    if (sourceBits == targetBits)
      return value;
    if (sourceBits < targetBits)
      return arith::ExtFOp::create(b, target, value);
    return arith::TruncFOp::create(b, target, value);
  }
  if (isFloat(from)) {
    // Through 64 bits: what C compilers and NumPy do on x86-64, and defined for every value that fits there.
    Type wide = b.getI64Type();
    Value integer = isUnsigned(to) && targetBits == 64 ? Value(arith::FPToUIOp::create(b, wide, value))
                                                       : Value(arith::FPToSIOp::create(b, wide, value));
    Value narrowed = targetBits < 64 ? Value(arith::TruncIOp::create(b, target, integer)) : integer;
    if (to.getIntOrFloatBitWidth() < 8)
      return fromStorage(b, narrowed, to);
    return narrowed;
  }
  if (isFloat(to)) {
    if (isUnsigned(from))
      return arith::UIToFPOp::create(b, target, value);
    return arith::SIToFPOp::create(b, target, value);
  }
  Value result = value;
  if (sourceBits > targetBits)
    result = arith::TruncIOp::create(b, target, value);
  else if (sourceBits < targetBits)
    result = isUnsigned(from) ? Value(arith::ExtUIOp::create(b, target, value))
                              : Value(arith::ExtSIOp::create(b, target, value));
  return to.getIntOrFloatBitWidth() < 8 ? fromStorage(b, result, to) : result;
}

Value qcc::lowestNumber(ImplicitLocOpBuilder &b, Type element) {
  if (isFloat(element))
    return numberConstant(b, element, -std::numeric_limits<double>::infinity());
  auto type = cast<IntegerType>(computeType(element));
  APInt value = isUnsigned(element) ? APInt::getZero(type.getWidth()) : APInt::getSignedMinValue(type.getWidth());
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, value));
}

Value qcc::highestNumber(ImplicitLocOpBuilder &b, Type element) {
  if (isFloat(element))
    return numberConstant(b, element, std::numeric_limits<double>::infinity());
  auto type = cast<IntegerType>(computeType(element));
  APInt value = isUnsigned(element) ? APInt::getAllOnes(type.getWidth()) : APInt::getSignedMaxValue(type.getWidth());
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, value));
}
