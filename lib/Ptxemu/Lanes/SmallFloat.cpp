#include "Lanes/SmallFloat.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace qcc::ptxemu {
namespace {

// What the largest exponent means.
enum class Top : uint8_t { Ieee, OnlyNan, Finite };

struct Format {
  int exponentBits, mantissaBits, bias;
  Top top;
};

Format formatOf(Type type) {
  switch (type) {
  case Type::F16:
    return {5, 10, 15, Top::Ieee};
  case Type::BF16:
    return {8, 7, 127, Top::Ieee};
  case Type::TF32:
    return {8, 10, 127, Top::Ieee};
  case Type::F32:
    return {8, 23, 127, Top::Ieee};
  case Type::E5M2:
    return {5, 2, 15, Top::Ieee};
  case Type::E2M3:
    return {2, 3, 1, Top::Finite};
  case Type::E3M2:
    return {3, 2, 3, Top::Finite};
  case Type::E2M1:
    return {2, 1, 1, Top::Finite};
  default:
    return {4, 3, 7, Top::OnlyNan}; // e4m3 and ue4m3
  }
}

uint32_t largestFinite(const Format &format) {
  uint32_t all = (1u << (format.exponentBits + format.mantissaBits)) - 1;
  return format.top == Top::Finite ? all : format.top == Top::OnlyNan ? all - 1 : all - (1u << format.mantissaBits);
}

uint32_t encodeExponent(double value, Rounding rounding) {
  if (!(value > 0))
    return value != value ? 255 : 0;
  if (std::isinf(value))
    return 254;
  int exponent;
  double fraction = std::frexp(value, &exponent); // value = fraction * 2^exponent, fraction in [0.5, 1)
  int result = exponent + 126 + (fraction > 0.5 && rounding != Rounding::Zero);
  return static_cast<uint32_t>(std::clamp(result, 0, 254));
}

bool roundsUp(Rounding rounding, bool isNegative, bool isOdd, uint64_t rest, uint64_t half) {
  switch (rounding) {
  case Rounding::Nearest:
    return rest > half || (rest == half && isOdd);
  case Rounding::NearestAway:
    return rest >= half;
  case Rounding::Zero:
    return false;
  case Rounding::Down:
    return rest && isNegative;
  case Rounding::Up:
    return rest && !isNegative;
  }
  return false;
}

} // namespace

double decodeFloat(Type type, uint64_t bits) {
  if (type == Type::F32 || type == Type::TF32) {
    uint32_t word = static_cast<uint32_t>(bits);
    if (type == Type::TF32)
      word &= 0xffffe000u;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  if (type == Type::F64) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  if (type == Type::UE8M0)
    return (bits & 255) == 255 ? std::numeric_limits<double>::quiet_NaN()
                               : std::ldexp(1.0, static_cast<int>(bits & 255) - 127);
  Format format = formatOf(type);
  int width = format.exponentBits + format.mantissaBits;
  uint32_t magnitude = static_cast<uint32_t>(bits) & ((1u << width) - 1);
  uint32_t exponent = magnitude >> format.mantissaBits, mantissa = magnitude & ((1u << format.mantissaBits) - 1);
  double value;
  if (magnitude > largestFinite(format))
    value = format.top == Top::Ieee && mantissa == 0 ? std::numeric_limits<double>::infinity()
                                                     : std::numeric_limits<double>::quiet_NaN();
  else if (exponent)
    value = std::ldexp(mantissa + (1 << format.mantissaBits),
                       static_cast<int>(exponent) - format.bias - format.mantissaBits);
  else
    value = std::ldexp(mantissa, 1 - format.bias - format.mantissaBits);
  return type != Type::UE4M3 && bits >> width & 1 ? -value : value;
}

uint32_t encodeFloat(Type type, double value, Rounding rounding, bool saturatesFinite) {
  if (type == Type::UE8M0)
    return encodeExponent(value, rounding);
  Format format = formatOf(type);
  int width = format.exponentBits + format.mantissaBits;
  uint32_t largest = largestFinite(format);
  if (value != value)
    return format.top == Top::Finite ? largest : (1u << width) - 1;
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bool isNegative = bits >> 63;
  uint32_t sign = isNegative ? 1u << width : 0;
  uint64_t magnitude = bits & ~(uint64_t(1) << 63);
  if (magnitude == 0)
    return sign;
  bool isInfinite = magnitude == uint64_t(0x7ff) << 52;
  int exponent = std::max(static_cast<int>(magnitude >> 52), 1) - 1023;
  uint64_t significand = (magnitude & ((uint64_t(1) << 52) - 1)) | (magnitude >> 52 ? uint64_t(1) << 52 : 0);
  int least = 1 - format.bias;
  int shift = 52 - format.mantissaBits + std::max(0, least - exponent);
  shift = std::min(shift, 62);
  uint64_t kept = significand >> shift, rest = significand & ((uint64_t(1) << shift) - 1);
  kept += roundsUp(rounding, isNegative, kept & 1, rest, uint64_t(1) << (shift - 1));
  // A carry out of the mantissa moves the exponent as it should.
  uint64_t result = kept;
  if (exponent > least)
    result += static_cast<uint64_t>(exponent - least) << format.mantissaBits;
  if (isInfinite || result > largest) {
    bool towardZero = rounding == Rounding::Zero || (rounding == Rounding::Down && !isNegative) ||
                      (rounding == Rounding::Up && isNegative);
    bool stays = saturatesFinite || format.top != Top::Ieee || (towardZero && !isInfinite);
    result = stays ? largest : largest + 1;
  }
  return sign | static_cast<uint32_t>(result);
}

const float *valuesOf(Type type) {
  static const auto tables = [] {
    std::vector<std::vector<float>> result(static_cast<size_t>(Type::E2M1x4) + 1);
    for (Type each : {Type::E4M3, Type::E5M2, Type::E2M3, Type::E3M2, Type::E2M1, Type::UE8M0, Type::UE4M3, Type::S8,
                      Type::U8, Type::S4, Type::U4})
      for (unsigned bits = 0; bits < 256; ++bits) {
        float value = each == Type::S8   ? static_cast<float>(static_cast<int8_t>(bits))
                      : each == Type::U8 ? static_cast<float>(bits)
                      : each == Type::S4 ? static_cast<float>(static_cast<int8_t>(bits << 4) >> 4)
                      : each == Type::U4 ? static_cast<float>(bits & 15)
                                         : static_cast<float>(decodeFloat(each, bits));
        result[static_cast<size_t>(each)].push_back(value);
      }
    return result;
  }();
  return tables[static_cast<size_t>(type)].data();
}

} // namespace qcc::ptxemu
