// Tensor maps: what the driver's cuTensorMapEncodeTiled writes and the instructions that copy tiles read.
#ifndef QCC_PTXEMU_TENSORMAP_H
#define QCC_PTXEMU_TENSORMAP_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace qcc::ptxemu {

constexpr size_t tensorMapBytes = 128;

// The values of CUtensorMapDataType, CUtensorMapInterleave, CUtensorMapSwizzle and CUtensorMapFloatOOBfill.
enum class TensorType : uint8_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  Bf16,
  F32Ftz,
  Tf32,
  Tf32Ftz,
  U4Align8,  // 16 elements in 8 bytes
  U4Align16, // 16 elements in the first 8 of 16 bytes of shared memory
  U6Align16  // 16 elements in the first 12 of 16 bytes of shared memory
};
enum class TensorInterleave : uint8_t { None, Bytes16, Bytes32 };
enum class TensorSwizzle : uint8_t { None, Bytes32, Bytes64, Bytes128 };
enum class TensorFill : uint8_t { Zero, Nan };

struct TensorMapDescription {
  TensorType type = TensorType::U8;
  uint32_t rank = 0;    // 1 to 5; dimension 0 is the innermost
  uint64_t address = 0; // of the first element
  uint64_t dims[5] = {};
  uint64_t strides[4] = {}; // of dimensions 1 to rank - 1, in bytes
  uint32_t box[5] = {};
  uint32_t elementStrides[5] = {1, 1, 1, 1, 1};
  TensorInterleave interleave = TensorInterleave::None;
  TensorSwizzle swizzle = TensorSwizzle::None;
  TensorFill fill = TensorFill::Zero;
};

// Writes the 128 bytes of `map`, which is aligned to 64. False, with the rule that is broken, if the driver would
// refuse the description or the emulator does not execute it.
bool encodeTensorMap(const TensorMapDescription &description, void *map, std::string &error);
// False if the bytes are not a map that encodeTensorMap wrote.
bool decodeTensorMap(const void *map, TensorMapDescription &description);

} // namespace qcc::ptxemu

#endif // QCC_PTXEMU_TENSORMAP_H
