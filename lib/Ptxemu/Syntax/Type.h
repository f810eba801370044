// The types that instructions of PTX name.
#ifndef QCC_LIB_PTXEMU_SYNTAX_TYPE_H
#define QCC_LIB_PTXEMU_SYNTAX_TYPE_H

#include <cstdint>
#include <string_view>

namespace qcc::ptxemu {

enum class Type : uint8_t {
  None,
  Pred,
  B1,
  B2,
  B4,
  B8,
  B16,
  B32,
  B64,
  B128,
  U4,
  U8,
  U16,
  U32,
  U64,
  S4,
  S8,
  S16,
  S32,
  S64,
  F16,
  BF16,
  TF32,
  F32,
  F64,
  E4M3,
  E5M2,
  E2M3,
  E3M2,
  E2M1,
  UE8M0,
  UE4M3,
  U16x2,
  S16x2,
  F16x2,
  BF16x2,
  F32x2,
  E4M3x2,
  E5M2x2,
  E2M3x2,
  E3M2x2,
  E2M1x2,
  UE8M0x2,
  E4M3x4,
  E5M2x4,
  E2M3x4,
  E3M2x4,
  E2M1x4
};

// Type::None if the word is no type.
Type typeOf(std::string_view word);
// All elements together; 0 for None.
unsigned bitsOf(Type type);
bool isFloat(Type type); // scalar or packed
bool isSigned(Type type);
// The element of a packed type, and how many there are; a scalar is its own.
Type elementOf(Type type);
unsigned elementsOf(Type type);

} // namespace qcc::ptxemu

#endif // QCC_LIB_PTXEMU_SYNTAX_TYPE_H
