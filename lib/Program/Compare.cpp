#include "qcc/Program/Compare.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace qcc {
namespace {

template <typename T> T load(const uint8_t *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

double fromHalf(uint16_t code) {
  int exponent = code >> 10 & 31, fraction = code & 1023;
  double magnitude =
      exponent == 0    ? std::ldexp(fraction, -24)
      : exponent == 31 ? (fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity())
                       : std::ldexp(1024 + fraction, exponent - 25);
  return code & 0x8000 ? -magnitude : magnitude;
}

bool isFloat(DataType type) {
  switch (type) {
  case DataType::F16:
  case DataType::BF16:
  case DataType::F32:
  case DataType::F64:
  case DataType::C64:
  case DataType::C128:
    return true;
  default:
    return false;
  }
}

// The elements as doubles, a complex one as two; empty for types that are compared by their bytes.
std::vector<double> values(const NpzArray &array, DataType type) {
  std::vector<double> result;
  bool single = type == DataType::F32 || type == DataType::C64, wide = type == DataType::F64 || type == DataType::C128;
  size_t step = single ? 4 : wide ? 8 : 2;
  result.reserve(array.bytes.size() / step);
  for (size_t at = 0; at + step <= array.bytes.size(); at += step) {
    const uint8_t *element = array.bytes.data() + at;
    if (single)
      result.push_back(load<float>(element));
    else if (wide)
      result.push_back(load<double>(element));
    else if (type == DataType::F16)
      result.push_back(fromHalf(load<uint16_t>(element)));
    else {
      uint32_t bits = uint32_t(load<uint16_t>(element)) << 16;
      result.push_back(load<float>(reinterpret_cast<const uint8_t *>(&bits)));
    }
  }
  return result;
}

std::string spell(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  return "[" + text + "]";
}

} // namespace

Comparison compare(const NpzArray &actual, const NpzArray &expected, double tolerance) {
  Comparison result;
  if (actual.shape != expected.shape) {
    result.error = std::numeric_limits<double>::infinity();
    result.reason = "its shape is " + spell(actual.shape) + ", expected " + spell(expected.shape);
    return result;
  }
  bool raw = !isFloat(expected.type) && byteSize(actual.type) == byteSize(expected.type);
  if (actual.type != expected.type && !raw && !(isFloat(actual.type) && isFloat(expected.type))) {
    result.error = std::numeric_limits<double>::infinity();
    result.reason = "its type is " + std::string(name(actual.type)) + ", expected " + std::string(name(expected.type));
    return result;
  }
  if (!isFloat(actual.type)) {
    size_t element = byteSize(actual.type), count = actual.bytes.size() / element, different = 0;
    for (size_t i = 0; i < count; ++i)
      different += std::memcmp(&actual.bytes[i * element], &expected.bytes[i * element], element) != 0;
    result.error = count ? double(different) / double(count) : 0;
    result.same = different == 0;
    if (different)
      result.reason = std::to_string(different) + " of " + std::to_string(count) + " elements differ";
    return result;
  }
  std::vector<double> a = values(actual, actual.type), b = values(expected, raw ? actual.type : expected.type);
  if (a.size() != b.size()) {
    result.error = std::numeric_limits<double>::infinity();
    result.reason = "complex and real elements";
    return result;
  }
  double difference = 0, norm = 0;
  size_t nanA = 0, nanB = 0;
  bool apart = false;
  for (size_t i = 0; i < a.size(); ++i) {
    nanA += std::isnan(a[i]);
    nanB += std::isnan(b[i]);
    if (std::isnan(a[i]) || std::isnan(b[i]) || std::isinf(a[i]) || std::isinf(b[i])) {
      apart |= !(std::isnan(a[i]) && std::isnan(b[i])) && a[i] != b[i];
      continue;
    }
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  result.error = difference == 0 ? 0 : std::sqrt(difference / norm);
  if (apart) {
    result.error = std::numeric_limits<double>::infinity();
    result.reason = nanA != nanB ? std::to_string(nanA) + " NaNs, expected " + std::to_string(nanB)
                                 : "NaNs or infinities at other places";
  }
  result.same = !apart && result.error <= tolerance;
  return result;
}

} // namespace qcc
