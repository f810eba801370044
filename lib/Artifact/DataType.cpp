#include "qcc/Artifact/DataType.h"

#include <iterator>

namespace qcc {
namespace {

struct Row {
  DataType type;
  std::string_view name;
  uint8_t bits;
  uint8_t dlpackCode;
  std::string_view safetensors;
};

// DLPack's codes: dlpack.h of version 1.1, DLDataTypeCode.
constexpr Row rows[] = {
    {DataType::Bool, "bool", 8, 6, "BOOL"},
    {DataType::I2, "i2", 2, 0, "U8"},
    {DataType::U2, "u2", 2, 1, "U8"},
    {DataType::I4, "i4", 4, 0, "U8"},
    {DataType::U4, "u4", 4, 1, "U8"},
    {DataType::I8, "i8", 8, 0, "I8"},
    {DataType::U8, "u8", 8, 1, "U8"},
    {DataType::I16, "i16", 16, 0, "I16"},
    {DataType::U16, "u16", 16, 1, "U16"},
    {DataType::I32, "i32", 32, 0, "I32"},
    {DataType::U32, "u32", 32, 1, "U32"},
    {DataType::I64, "i64", 64, 0, "I64"},
    {DataType::U64, "u64", 64, 1, "U64"},
    {DataType::F4E2M1FN, "f4E2M1FN", 4, 17, "U8"},
    {DataType::F8E4M3FN, "f8E4M3FN", 8, 10, "F8_E4M3"},
    {DataType::F8E4M3FNUZ, "f8E4M3FNUZ", 8, 11, "U8"},
    {DataType::F8E5M2, "f8E5M2", 8, 12, "F8_E5M2"},
    {DataType::F8E5M2FNUZ, "f8E5M2FNUZ", 8, 13, "U8"},
    {DataType::F8E8M0FNU, "f8E8M0FNU", 8, 14, "U8"},
    {DataType::F16, "f16", 16, 2, "F16"},
    {DataType::BF16, "bf16", 16, 4, "BF16"},
    {DataType::F32, "f32", 32, 2, "F32"},
    {DataType::F64, "f64", 64, 2, "F64"},
    {DataType::C64, "c64", 64, 5, "U8"},
    {DataType::C128, "c128", 128, 5, "U8"},
};

constexpr bool rowsStandInOrder() {
  for (size_t i = 0; i < std::size(rows); ++i)
    if (static_cast<size_t>(rows[i].type) != i)
      return false;
  return true;
}
static_assert(rowsStandInOrder(), "a row per DataType, in its order");

const Row &row(DataType type) { return rows[static_cast<size_t>(type)]; }

} // namespace

std::string_view name(DataType type) { return row(type).name; }
int64_t bits(DataType type) { return row(type).bits; }
int64_t byteSize(DataType type) { return (row(type).bits + 7) / 8; }
uint8_t dlpackCode(DataType type) { return row(type).dlpackCode; }
std::string_view safetensorsName(DataType type) { return row(type).safetensors; }

std::optional<DataType> parseDataType(std::string_view name) {
  for (const Row &row : rows)
    if (row.name == name)
      return row.type;
  return std::nullopt;
}

std::optional<DataType> fromDlpack(uint8_t code, uint8_t bits, uint16_t lanes) {
  for (const Row &row : rows)
    if (lanes == 1 && row.dlpackCode == code && row.bits == bits)
      return row.type;
  return std::nullopt;
}

} // namespace qcc
