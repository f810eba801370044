#include "Minifloat.h"
#include "llvm/ADT/bit.h"
#include <cmath>

using namespace qcc;

MinifloatCodec::MinifloatCodec(const MinifloatShape &shape) : shape(shape), largestValue(magnitude(shape.largestCode)) {
  if (bits() > 4)
    return;
  for (uint32_t code = 0; code < 1u << shape.magnitudeBits(); ++code)
    table.push_back(magnitude(code));
  for (uint32_t code = 0; code < 1u << shape.magnitudeBits(); ++code)
    table.push_back(-magnitude(code));
}

float MinifloatCodec::magnitude(uint32_t code) const {
  uint32_t exponent = code >> shape.mantissaBits, mantissa = code & ((1u << shape.mantissaBits) - 1);
  uint32_t significand = exponent ? mantissa | 1u << shape.mantissaBits : mantissa;
  return std::ldexp(float(significand), int(exponent ? exponent : 1) - shape.bias() - int(shape.mantissaBits));
}

void MinifloatCodec::encodeBlock(llvm::ArrayRef<float> block, float scale, int32_t zero, uint32_t *codes) const {
  const unsigned drop = 23 - shape.mantissaBits, signShift = 31 - shape.magnitudeBits();
  const uint32_t half = (1u << (drop - 1)) - 1, rebias = uint32_t(127 - shape.bias()) << shape.mantissaBits;
  const uint32_t top = llvm::bit_cast<uint32_t>(largestValue);
  const uint32_t smallestNormal = uint32_t(128 - shape.bias()) << 23;
  // Subnormal results: a float whose unit in the last place is the smallest step, so that adding it rounds.
  const uint32_t rounderBits = uint32_t(127 + 1 - shape.bias() - int(shape.mantissaBits) + 23) << 23;
  const float rounder = llvm::bit_cast<float>(rounderBits);
  const uint32_t infinity = shape.hasInfinity ? ((1u << shape.exponentBits) - 1) << shape.mantissaBits : 0;
  const uint32_t nan = shape.hasInfinity ? infinity | 1u << (shape.mantissaBits - 1) : 0;
  const uint32_t infinityOrTop = shape.hasInfinity ? infinity : shape.largestCode;
  for (size_t i = 0, n = block.size(); i < n; ++i) {
    uint32_t bits = llvm::bit_cast<uint32_t>(block[i] / scale);
    uint32_t sign = (bits & 0x80000000) >> signShift, whole = bits & 0x7fffffff;
    uint32_t clamped = whole < top ? whole : top;
    uint32_t normal = ((clamped + half + ((clamped >> drop) & 1)) >> drop) - rebias;
    uint32_t subnormal = llvm::bit_cast<uint32_t>(llvm::bit_cast<float>(clamped) + rounder) - rounderBits;
    uint32_t code = (clamped < smallestNormal ? subnormal : normal) | sign;
    code = whole == 0x7f800000 ? infinityOrTop | sign : code;
    codes[i] = whole > 0x7f800000 ? nan : code;
  }
}

Primitives::Value MinifloatCodec::round(EncodePrimitives &p, Primitives::Value x) const {
  const unsigned drop = 23 - shape.mantissaBits;
  const int32_t half = (1 << (drop - 1)) - 1, rebias = (127 - shape.bias()) << shape.mantissaBits;
  const auto top = llvm::bit_cast<int32_t>(largestValue);
  const int32_t smallestNormal = (128 - shape.bias()) << 23;
  const int32_t rounder = (127 + 1 - shape.bias() - int(shape.mantissaBits) + 23) << 23;
  const int32_t infinity = shape.hasInfinity ? ((1 << shape.exponentBits) - 1) << shape.mantissaBits : 0;
  const int32_t nan = shape.hasInfinity ? infinity | 1 << (shape.mantissaBits - 1) : 0;
  Primitives::Value bits = p.bits(x), whole = p.bitAnd(bits, 0x7fffffff);
  Primitives::Value sign = p.shiftLeft(p.field(bits, 31, 1), shape.magnitudeBits());
  Primitives::Value clamped = p.select(p.isLess(whole, p.integer(top)), whole, p.integer(top));
  Primitives::Value raised = p.add(p.add(clamped, p.integer(half)), p.field(clamped, drop, 1));
  Primitives::Value normal = p.add(p.field(raised, drop, 32 - drop), p.integer(-rebias));
  Primitives::Value sum = p.addFloats(p.asFloat(clamped), p.asFloat(p.integer(rounder)));
  Primitives::Value subnormal = p.add(p.bits(sum), p.integer(-rounder));
  Primitives::Value magnitude = p.select(p.isLess(clamped, p.integer(smallestNormal)), subnormal, normal);
  if (shape.hasInfinity)
    magnitude = p.select(p.isLess(whole, p.integer(0x7f800000)), magnitude, p.integer(infinity));
  return p.select(p.isLess(p.integer(0x7f800000), whole), p.integer(nan), p.bitOr(magnitude, sign));
}

Primitives::Value MinifloatCodec::decode(Primitives &p, Primitives::Value code) const {
  if (!table.empty())
    return p.lookup(table, code);
  if (shape.exponentBits == 8) // the upper bits of a float32
    return p.asFloat(p.shiftLeft(code, 31 - shape.magnitudeBits()));
  if (shape.exponentBits == 5 && shape.mantissaBits == 10) // most targets convert these in one instruction
    return p.halfToFloat(code);
  // Exponent and mantissa move into float32's place, and the sign with them: of the copies of it that fill the bits
  // above, the uppermost is kept. The product corrects the bias and normalizes subnormals.
  const unsigned distance = 23 - shape.mantissaBits;
  const uint32_t magnitude = ((1u << shape.magnitudeBits()) - 1) << distance;
  Primitives::Value extended = p.shiftLeft(p.signExtend(code, shape.magnitudeBits() + 1), distance);
  Primitives::Value bits = p.bitAnd(extended, magnitude | 0x80000000);
  return p.multiply(p.asFloat(bits), p.real(std::ldexp(1.0f, 127 - shape.bias())));
}

std::optional<IntegerView> MinifloatCodec::integerView() const {
  if (table.empty())
    return std::nullopt;
  IntegerView view;
  view.factor = magnitude(1); // every value is a multiple of the smallest step
  for (float value : table)
    view.table.push_back(int8_t(value / view.factor));
  return view;
}
