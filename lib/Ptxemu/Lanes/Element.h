// Floating-point elements of registers: how their bits become a value that the host computes with. In the namespace of
// the vector extension, as Loop.h.
#ifndef QCC_LIB_PTXEMU_LANES_ELEMENT_H
#define QCC_LIB_PTXEMU_LANES_ELEMENT_H

#include "Lanes/Loop.h"

namespace qcc::ptxemu::QCC_PTXEMU_LANES {

#define QCC_PTXEMU_INLINE static inline __attribute__((always_inline))

struct Half {
  using Value = float;
  using Bits = uint16_t;
  static constexpr Bits nan = 0x7fff, infinity = 0x7c00, one = 0x3c00;
  QCC_PTXEMU_INLINE float get(uint32_t bits) {
    uint32_t magnitude = (bits & 0x7fff) << 13, sign = (bits & 0x8000) << 16;
    // Scaling makes subnormals normal; infinities and nans get their exponent back.
    float value = bitsAs<float>(magnitude) * 0x1p112f;
    uint32_t result = bitsAs<uint32_t>(value);
    result |= (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    return bitsAs<float>(result | sign);
  }
  QCC_PTXEMU_INLINE uint32_t put(float value) {
    uint32_t bits = bitsAs<uint32_t>(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    // Normal results: round to nearest even in the integer. Subnormal ones: let an addition do it.
    uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000u) >> 13;
    uint32_t small = bitsAs<uint32_t>(bitsAs<float>(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t result = magnitude < 0x38800000u ? small : normal;
    result = magnitude >= 0x477ff000u ? 0x7c00 : result;
    return magnitude > 0x7f800000u ? 0x7fff : result | sign;
  }
  QCC_PTXEMU_INLINE uint32_t flush(uint32_t bits) { return bits & 0x7c00 ? bits : bits & 0x8000; }
};

struct Brain {
  using Value = float;
  using Bits = uint16_t;
  static constexpr Bits nan = 0x7fff, infinity = 0x7f80, one = 0x3f80;
  QCC_PTXEMU_INLINE float get(uint32_t bits) { return bitsAs<float>(bits << 16); }
  QCC_PTXEMU_INLINE uint32_t put(float value) {
    uint32_t bits = bitsAs<uint32_t>(value);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (bits & 0x7fffffff) > 0x7f800000u ? 0x7fff : rounded;
  }
  QCC_PTXEMU_INLINE uint32_t flush(uint32_t bits) { return bits & 0x7f80 ? bits : bits & 0x8000; }
};

struct Single {
  using Value = float;
  using Bits = uint32_t;
  static constexpr Bits nan = 0x7fffffff, infinity = 0x7f800000, one = 0x3f800000;
  QCC_PTXEMU_INLINE float get(uint32_t bits) { return bitsAs<float>(bits); }
  QCC_PTXEMU_INLINE uint32_t put(float value) { return value == value ? bitsAs<uint32_t>(value) : 0x7fffffff; }
  QCC_PTXEMU_INLINE uint32_t flush(uint32_t bits) { return bits & 0x7f800000u ? bits : bits & 0x80000000u; }
};

struct Double {
  using Value = double;
  using Bits = uint64_t;
  static constexpr Bits nan = 0x7fffffffffffffff, infinity = 0x7ff0000000000000, one = 0x3ff0000000000000;
  QCC_PTXEMU_INLINE double get(uint64_t bits) { return bitsAs<double>(bits); }
  QCC_PTXEMU_INLINE uint64_t put(double value) { return bitsAs<uint64_t>(value); }
  QCC_PTXEMU_INLINE uint64_t flush(uint64_t bits) { return bits; }
};

} // namespace qcc::ptxemu::QCC_PTXEMU_LANES

#endif // QCC_LIB_PTXEMU_LANES_ELEMENT_H
