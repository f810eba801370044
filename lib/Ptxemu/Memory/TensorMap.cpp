#include "qcc/Ptxemu/TensorMap.h"

#include <cstring>
#include <type_traits>

namespace qcc::ptxemu {
namespace {

// What the opaque bytes hold here.
struct Encoded {
  uint64_t magic;
  uint64_t address;
  uint64_t dims[5];
  uint64_t strides[4]; // divided by 16
  uint32_t box;        // of the first four dimensions, less one
  uint8_t lastBox, rank, type, flags;
};
constexpr uint64_t magicValue = 0x70616d65726f746eu;

static_assert(sizeof(Encoded) <= tensorMapBytes && std::is_trivially_copyable_v<Encoded>);

bool isPacked(TensorType type) { return type >= TensorType::U4Align8; }

uint64_t elementBits(TensorType type) {
  switch (type) {
  case TensorType::U8:
    return 8;
  case TensorType::U16:
  case TensorType::F16:
  case TensorType::Bf16:
    return 16;
  case TensorType::U64:
  case TensorType::S64:
  case TensorType::F64:
    return 64;
  case TensorType::U4Align8:
    return 4;
  case TensorType::U4Align16:
  case TensorType::U6Align16:
    return 8; // as it lies in shared memory
  default:
    return 32;
  }
}

const char *brokenRule(const TensorMapDescription &map) {
  if (map.rank < 1 || map.rank > 5)
    return "the rank is not 1 to 5";
  bool needs32 = map.type == TensorType::U4Align16 || map.type == TensorType::U6Align16;
  if (map.address % (needs32 ? 32 : 16))
    return needs32 ? "the address is not a multiple of 32" : "the address is not a multiple of 16";
  if (map.interleave != TensorInterleave::None)
    return "interleaved tensors are not emulated";
  for (uint32_t dim = 0; dim < map.rank; ++dim) {
    if (map.dims[dim] < 1 || map.dims[dim] > uint64_t(1) << 32)
      return "a dimension is not 1 to 2^32";
    if (map.box[dim] < 1 || map.box[dim] > 256)
      return "a dimension of the box is not 1 to 256";
    if (map.elementStrides[dim] != 1)
      return "element strides other than 1 are not emulated";
    if (dim && (map.strides[dim - 1] % (needs32 ? 32 : 16) || map.strides[dim - 1] >= uint64_t(1) << 40))
      return "a stride is not a multiple of 16 (of packed types: 32) or not below 2^40";
  }
  if (needs32 && map.dims[0] % 128)
    return "the inner dimension of a packed type is not a multiple of 128";
  if (needs32 && map.box[0] != 128)
    return "the inner dimension of the box of a packed type is not 128";
  if (map.type == TensorType::U4Align8 && map.dims[0] % 2)
    return "the inner dimension of a 4-bit type is odd";
  uint64_t inner = map.box[0] * elementBits(map.type) / 8;
  if (inner % 16)
    return "the inner dimension of the box is not a multiple of 16 bytes";
  constexpr uint64_t span[] = {UINT64_MAX, 32, 64, 128};
  if (inner > span[static_cast<unsigned>(map.swizzle)])
    return "the inner dimension of the box is wider than the swizzle";
  if (map.fill == TensorFill::Nan && (isPacked(map.type) || map.type < TensorType::F16))
    return "only floats are filled with nan";
  return nullptr;
}

} // namespace

bool encodeTensorMap(const TensorMapDescription &description, void *map, std::string &error) {
  if (const char *rule = brokenRule(description)) {
    error = rule;
    return false;
  }
  Encoded encoded = {};
  encoded.magic = magicValue;
  encoded.address = description.address;
  encoded.rank = static_cast<uint8_t>(description.rank);
  encoded.type = static_cast<uint8_t>(description.type);
  encoded.flags =
      static_cast<uint8_t>(static_cast<unsigned>(description.swizzle) | static_cast<unsigned>(description.fill) << 2);
  for (uint32_t dim = 0; dim < description.rank; ++dim) {
    encoded.dims[dim] = description.dims[dim];
    if (dim)
      encoded.strides[dim - 1] = description.strides[dim - 1] / 16;
    if (dim < 4)
      encoded.box |= (description.box[dim] - 1) << (8 * dim);
    else
      encoded.lastBox = static_cast<uint8_t>(description.box[dim] - 1);
  }
  std::memset(map, 0, tensorMapBytes);
  std::memcpy(map, &encoded, sizeof encoded);
  return true;
}

bool decodeTensorMap(const void *map, TensorMapDescription &description) {
  Encoded encoded;
  std::memcpy(&encoded, map, sizeof encoded);
  if (encoded.magic != magicValue || encoded.rank < 1 || encoded.rank > 5)
    return false;
  description = {};
  description.address = encoded.address;
  description.rank = encoded.rank;
  description.type = static_cast<TensorType>(encoded.type);
  description.swizzle = static_cast<TensorSwizzle>(encoded.flags & 3);
  description.fill = static_cast<TensorFill>(encoded.flags >> 2 & 1);
  for (uint32_t dim = 0; dim < encoded.rank; ++dim) {
    description.dims[dim] = encoded.dims[dim];
    if (dim)
      description.strides[dim - 1] = encoded.strides[dim - 1] * 16;
    description.box[dim] = 1 + (dim < 4 ? encoded.box >> (8 * dim) & 255 : encoded.lastBox);
  }
  return true;
}

} // namespace qcc::ptxemu
