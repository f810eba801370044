// Element types as they stand in manifests and at the border of a program.
#ifndef QCC_ARTIFACT_DATATYPE_H
#define QCC_ARTIFACT_DATATYPE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace qcc {

// The names are MLIR's, but for integers, whose signedness is part of the name (i8, u8).
enum class DataType : uint8_t {
  Bool,
  I2,
  U2,
  I4,
  U4,
  I8,
  U8,
  I16,
  U16,
  I32,
  U32,
  I64,
  U64,
  F4E2M1FN,
  F8E4M3FN,
  F8E4M3FNUZ,
  F8E5M2,
  F8E5M2FNUZ,
  F8E8M0FNU,
  F16,
  BF16,
  F32,
  F64,
  C64,
  C128,
};

// "bool", "i8", "u4", "bf16", "f8E4M3FN", "c64", ...
std::string_view name(DataType type);
std::optional<DataType> parseDataType(std::string_view name);

// Bits of one element.
int64_t bits(DataType type);

// Bytes of one element in the tensors a program takes and gives: elements of less than a byte take one byte each, in
// its low bits (signed ones sign-extended), as NumPy's ml_dtypes keep them.
int64_t byteSize(DataType type);

// The number `code` stands for in DLPack's DLDataType, whose bits are `bits(type)` and lanes 1.
uint8_t dlpackCode(DataType type);
std::optional<DataType> fromDlpack(uint8_t code, uint8_t bits, uint16_t lanes);

// How safetensors spells the type; "U8" where it has no word for it.
std::string_view safetensorsName(DataType type);

} // namespace qcc

#endif // QCC_ARTIFACT_DATATYPE_H
