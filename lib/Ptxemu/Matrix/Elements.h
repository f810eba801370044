// The elements of matrix operands.
#ifndef QCC_LIB_PTXEMU_MATRIX_ELEMENTS_H
#define QCC_LIB_PTXEMU_MATRIX_ELEMENTS_H

#include "Lanes/Element.h"
#include "Lanes/SmallFloat.h"

#include <cstdint>

namespace qcc::ptxemu {

// An element whose bits are the lowest of `bits`.
inline float elementValue(Type type, uint32_t bits) {
  switch (type) {
  case Type::F16:
    return baseline::Half::get(bits & 0xffff);
  case Type::BF16:
    return baseline::Brain::get(bits & 0xffff);
  case Type::TF32:
    return baseline::Single::get(bits & 0xffffe000u);
  default:
    return valuesOf(type)[bits & 255];
  }
}

// Bits that an element takes in a register or in memory; 4- and 6-bit floats next to others take a byte.
inline unsigned containerBits(Type type) {
  unsigned bits = bitsOf(type);
  return type == Type::S4 || type == Type::U4 ? 4 : bits < 8 ? 8 : bits;
}

inline uint32_t lowBits(uint32_t value, unsigned width) { return width >= 32 ? value : value & ((1u << width) - 1); }

inline float singleOf(uint32_t bits) { return baseline::bitsAs<float>(bits); }
inline uint32_t bitsOfSum(double sum) { return baseline::Single::put(static_cast<float>(sum)); }

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_MATRIX_ELEMENTS_H
