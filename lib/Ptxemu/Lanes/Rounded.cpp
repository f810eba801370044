// Arithmetic and conversions in the roundings that the host's vectors do not have, and to and from small floats.
// Compiled for a rounding mode that changes.
#include "Lanes/SmallFloat.h"

#include <cfenv>
#include <cmath>
#include <cstring>

namespace qcc::ptxemu {
namespace {

class RoundingScope {
public:
  explicit RoundingScope(Rounding rounding) : before(std::fegetround()) {
    std::fesetround(rounding == Rounding::Zero   ? FE_TOWARDZERO
                    : rounding == Rounding::Down ? FE_DOWNWARD
                    : rounding == Rounding::Up   ? FE_UPWARD
                                                 : FE_TONEAREST);
  }
  ~RoundingScope() { std::fesetround(before); }

private:
  int before;
};

// `immediate`: the rounding, whether subnormals are flushed, whether the result is saturated.
constexpr uint64_t flushBit = 16, saturateBit = 32;

float singleAt(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
uint32_t bitsOfSingle(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return value == value ? bits : 0x7fffffff;
}

template <typename V> V apply(FloatOp op, V a, V b, V c) {
  switch (op) {
  case FloatOp::Add:
    return a + b;
  case FloatOp::Sub:
    return a - b;
  case FloatOp::Mul:
    return a * b;
  case FloatOp::Fma:
    return std::fma(a, b, c);
  case FloatOp::Div:
    return a / b;
  case FloatOp::Rcp:
    return 1 / a;
  default:
    return std::sqrt(a);
  }
}

float flushed(float value) { return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value; }

uint32_t applySingle(FloatOp op, uint64_t mode, uint32_t a, uint32_t b, uint32_t c) {
  float x = singleAt(a), y = singleAt(b), z = singleAt(c);
  if (mode & flushBit) {
    x = flushed(x);
    y = flushed(y);
    z = flushed(z);
  }
  float result = apply(op, x, y, z);
  if (mode & saturateBit)
    result = result >= 1 ? 1 : result > 0 ? result : 0;
  return bitsOfSingle(mode & flushBit ? flushed(result) : result);
}

template <FloatOp op> void singles(char *r, const Instruction &i, uint32_t mask) {
  RoundingScope scope(static_cast<Rounding>(i.immediate & 15));
  const uint32_t *a = reinterpret_cast<const uint32_t *>(r + i.a);
  const uint32_t *b = reinterpret_cast<const uint32_t *>(r + (i.b == noSlot ? i.a : i.b));
  const uint32_t *c = reinterpret_cast<const uint32_t *>(r + (i.c == noSlot ? i.a : i.c));
  uint32_t *d = reinterpret_cast<uint32_t *>(r + i.d);
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      d[lane] = applySingle(op, i.immediate, a[lane], b[lane], c[lane]);
}

template <FloatOp op> void singlePairs(char *r, const Instruction &i, uint32_t mask) {
  RoundingScope scope(static_cast<Rounding>(i.immediate & 15));
  const uint64_t *a = reinterpret_cast<const uint64_t *>(r + i.a);
  const uint64_t *b = reinterpret_cast<const uint64_t *>(r + i.b);
  const uint64_t *c = reinterpret_cast<const uint64_t *>(r + (i.c == noSlot ? i.a : i.c));
  uint64_t *d = reinterpret_cast<uint64_t *>(r + i.d);
  auto half = [&](unsigned lane, unsigned shift) -> uint64_t {
    return applySingle(op, i.immediate, static_cast<uint32_t>(a[lane] >> shift),
                       static_cast<uint32_t>(b[lane] >> shift), static_cast<uint32_t>(c[lane] >> shift));
  };
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      d[lane] = half(lane, 0) | half(lane, 32) << 32;
}

template <FloatOp op> void doubles(char *r, const Instruction &i, uint32_t mask) {
  RoundingScope scope(static_cast<Rounding>(i.immediate & 15));
  const double *a = reinterpret_cast<const double *>(r + i.a);
  const double *b = reinterpret_cast<const double *>(r + (i.b == noSlot ? i.a : i.b));
  const double *c = reinterpret_cast<const double *>(r + (i.c == noSlot ? i.a : i.c));
  double *d = reinterpret_cast<double *>(r + i.d);
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      d[lane] = apply(op, a[lane], b[lane], c[lane]);
}

template <FloatOp op> LaneHandler byType(Type type) {
  return type == Type::F32     ? singles<op>
         : type == Type::F32x2 ? singlePairs<op>
         : type == Type::F64   ? doubles<op>
                               : nullptr;
}

// --- conversions

struct Conversion {
  Type to, from;
  ConvertMode mode;
};

// Kept in `immediate`: types in the low bits, the mode above.
Conversion conversionOf(const Instruction &i) {
  return {static_cast<Type>(i.immediate >> 32 & 255), static_cast<Type>(i.immediate >> 40 & 255),
          unpackMode(i.immediate)};
}

uint64_t lane(const char *r, uint32_t slot, Type type, unsigned index) {
  return bitsOf(type) > 32 ? reinterpret_cast<const uint64_t *>(r + slot)[index]
                           : reinterpret_cast<const uint32_t *>(r + slot)[index];
}

// A 64-bit integer as a double whose last bit says whether something was lost.
double oddDouble(bool isNegative, uint64_t magnitude) {
  if (magnitude >> 53) {
    unsigned shift = 64 - 53 - static_cast<unsigned>(__builtin_clzll(magnitude));
    uint64_t lost = magnitude & ((uint64_t(1) << shift) - 1);
    magnitude = (magnitude >> shift | (lost != 0)) << shift;
  }
  double value = static_cast<double>(magnitude);
  return isNegative ? -value : value;
}

double valueOf(Type type, uint64_t bits) {
  if (isFloat(type))
    return decodeFloat(type, bits);
  unsigned width = bitsOf(type);
  if (!isSigned(type))
    return oddDouble(false, width == 64 ? bits : bits & ((uint64_t(1) << width) - 1));
  int64_t value = static_cast<int64_t>(bits << (64 - width)) >> (64 - width);
  return oddDouble(value < 0, value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
}

double flushedDouble(double value) { return std::fabs(value) < 0x1p-126 ? std::copysign(0.0, value) : value; }

uint64_t convertOne(const Conversion &conversion, Type to, double value) {
  const ConvertMode &mode = conversion.mode;
  if (mode.flushes)
    value = flushedDouble(value);
  if (mode.toIntegral) {
    RoundingScope scope(mode.rounding);
    value = std::nearbyint(value);
  }
  if (mode.saturates)
    value = value >= 1 ? 1 : value > 0 ? value : 0;
  if (mode.relu && value < 0)
    value = 0;
  if (to == Type::F64) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
  }
  uint32_t result = encodeFloat(to, value, mode.toIntegral ? Rounding::Nearest : mode.rounding, mode.saturatesFinite);
  if (to == Type::TF32)
    return uint64_t(result) << 13;
  if (mode.flushes && to == Type::F32 && !(result & 0x7f800000u))
    result &= 0x80000000u;
  return result;
}

void write(char *r, uint32_t slot, Type type, unsigned index, uint64_t value) {
  if (bitsOf(type) > 32)
    reinterpret_cast<uint64_t *>(r + slot)[index] = value;
  else
    reinterpret_cast<uint32_t *>(r + slot)[index] = static_cast<uint32_t>(value);
}

void scalars(char *r, const Instruction &i, uint32_t mask) {
  Conversion conversion = conversionOf(i);
  for (unsigned index = 0; index < 32; ++index)
    if (mask >> index & 1)
      write(r, i.d, conversion.to, index,
            convertOne(conversion, conversion.to, valueOf(conversion.from, lane(r, i.a, conversion.from, index))));
}

// Two values of `from`, a the high one, to a pair.
void toPairs(char *r, const Instruction &i, uint32_t mask) {
  Conversion conversion = conversionOf(i);
  Type to = elementOf(conversion.to);
  unsigned width = bitsOf(conversion.to) / 2;
  for (unsigned index = 0; index < 32; ++index)
    if (mask >> index & 1) {
      uint64_t high = convertOne(conversion, to, valueOf(conversion.from, lane(r, i.a, conversion.from, index)));
      uint64_t low = convertOne(conversion, to, valueOf(conversion.from, lane(r, i.b, conversion.from, index)));
      write(r, i.d, conversion.to, index, high << width | low);
    }
}

void betweenPairs(char *r, const Instruction &i, uint32_t mask) {
  Conversion conversion = conversionOf(i);
  Type to = elementOf(conversion.to), from = elementOf(conversion.from);
  unsigned toWidth = bitsOf(conversion.to) / 2, fromWidth = bitsOf(conversion.from) / 2;
  for (unsigned index = 0; index < 32; ++index)
    if (mask >> index & 1) {
      uint64_t bits = lane(r, i.a, conversion.from, index), low = (uint64_t(1) << fromWidth) - 1;
      uint64_t first = convertOne(conversion, to, decodeFloat(from, bits & low));
      uint64_t second = convertOne(conversion, to, decodeFloat(from, bits >> fromWidth & low));
      write(r, i.d, conversion.to, index, second << toWidth | first);
    }
}

} // namespace

uint64_t packMode(const ConvertMode &mode) {
  return static_cast<uint64_t>(mode.rounding) | uint64_t(mode.toIntegral) << 4 | uint64_t(mode.flushes) << 5 |
         uint64_t(mode.saturates) << 6 | uint64_t(mode.relu) << 7 | uint64_t(mode.saturatesFinite) << 8;
}

ConvertMode unpackMode(uint64_t packed) {
  ConvertMode mode;
  mode.rounding = static_cast<Rounding>(packed & 15);
  mode.toIntegral = packed >> 4 & 1;
  mode.flushes = packed >> 5 & 1;
  mode.saturates = packed >> 6 & 1;
  mode.relu = packed >> 7 & 1;
  mode.saturatesFinite = packed >> 8 & 1;
  return mode;
}

LaneHandler roundedFloatHandler(FloatOp op, Type type) {
  switch (op) {
  case FloatOp::Add:
    return byType<FloatOp::Add>(type);
  case FloatOp::Sub:
    return byType<FloatOp::Sub>(type);
  case FloatOp::Mul:
    return byType<FloatOp::Mul>(type);
  case FloatOp::Fma:
    return byType<FloatOp::Fma>(type);
  case FloatOp::Div:
    return byType<FloatOp::Div>(type);
  case FloatOp::Rcp:
    return byType<FloatOp::Rcp>(type);
  case FloatOp::Sqrt:
    return byType<FloatOp::Sqrt>(type);
  default:
    return nullptr;
  }
}

uint64_t roundedFloatMode(const FloatMode &mode) {
  return static_cast<uint64_t>(mode.rounding) | (mode.flushes ? flushBit : 0) | (mode.saturates ? saturateBit : 0);
}

LaneHandler anyConvertHandler(Type to, Type from) {
  if (elementsOf(to) == 1)
    return elementsOf(from) == 1 && isFloat(to) ? scalars : nullptr;
  if (elementsOf(to) == 2)
    return elementsOf(from) == 2 ? betweenPairs : elementsOf(from) == 1 ? toPairs : nullptr;
  return nullptr;
}

} // namespace qcc::ptxemu
