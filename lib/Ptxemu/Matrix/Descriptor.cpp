#include "Matrix/Descriptor.h"
#include "Matrix/Elements.h"
#include "Memory/TensorCopy.h"

namespace qcc::ptxemu {
namespace {

MatrixDescriptor commonFields(uint64_t bits) {
  MatrixDescriptor result;
  result.start = static_cast<uint32_t>(bits & 0x3fff) << 4;
  result.leading = static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4;
  result.stride = static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4;
  result.baseOffset = static_cast<uint32_t>(bits >> 49 & 7);
  return result;
}

void checkBase(Machine &machine, const MatrixDescriptor &descriptor) {
  if (descriptor.baseOffset && descriptor.span != 16)
    machine.stop("unsupported", "a base offset of a swizzled matrix descriptor");
}

// What a unit of 16 bytes holds.
struct UnitFormat {
  unsigned elements = 16, bits = 8;
  unsigned bytes() const { return elements * bits / 8; } // the rest of a unit is padding
};

UnitFormat unitFormat(const TileShape &shape) {
  if (shape.isPacked)
    return {32, 4};
  unsigned bits = bitsOf(shape.type);
  if (bits < 8)
    return {16, bits};
  return {128 / bits, bits};
}

void decodeUnit(const uint8_t *unit, const TileShape &shape, const UnitFormat &format, float *values) {
  for (unsigned index = 0; index < format.elements; ++index) {
    unsigned bit = index * format.bits;
    uint32_t word = 0;
    std::memcpy(&word, unit + bit / 8, format.bits == 32 ? 4 : bit / 8 + 1 < format.bytes() ? 2 : 1);
    values[index] = elementValue(shape.type, lowBits(word >> bit % 8, format.bits));
  }
}

} // namespace

MatrixDescriptor wgmmaDescriptor(Machine &machine, uint64_t bits) {
  MatrixDescriptor result = commonFields(bits);
  constexpr uint32_t spans[] = {16, 128, 64, 32};
  result.span = spans[bits >> 62];
  checkBase(machine, result);
  return result;
}

MatrixDescriptor tensorCoreDescriptor(Machine &machine, uint64_t bits) {
  MatrixDescriptor result = commonFields(bits);
  constexpr uint32_t spans[] = {16, 0, 128, 0, 64, 0, 32, 0};
  result.span = spans[bits >> 61];
  if (result.span == 0)
    machine.stop("descriptor", "the layout " + std::to_string(bits >> 61) + " of a matrix descriptor is not emulated");
  if ((bits >> 46 & 7) != 1)
    machine.find("descriptor", "bits 46 to 48 of a matrix descriptor must be 1");
  checkBase(machine, result);
  return result;
}

uint32_t unitAddress(const MatrixDescriptor &descriptor, bool isRowMajor, uint32_t row, uint32_t k) {
  uint32_t span = descriptor.span, at = descriptor.start;
  if (!isRowMajor && span == 16)
    at += row / 8 * descriptor.stride + row % 8 * 16 + k / 16 * descriptor.leading;
  else if (!isRowMajor)
    at += row / 8 * descriptor.stride + row % 8 * span + k;
  else if (span == 16)
    at += row / 16 * descriptor.stride + k / 8 * descriptor.leading + k % 8 * 16;
  else
    at += row / span * descriptor.leading + k / 8 * descriptor.stride + k % 8 * span + row % span;
  return swizzled(at, span);
}

void readTile(Machine &machine, Warp &warp, const MatrixDescriptor &descriptor, const TileShape &shape, bool transposed,
              const Actor &actor, std::vector<float> &values) {
  values.resize(size_t(shape.rows) * shape.depth);
  UnitFormat format = unitFormat(shape);
  uint32_t rank = warp.block << rankShift;
  float unit[32];
  auto put = [&](unsigned row, unsigned k, float value) {
    values[transposed ? size_t(k) * shape.rows + row : size_t(row) * shape.depth + k] = value;
  };
  auto fetch = [&](uint32_t row, uint32_t k) {
    uint32_t at = unitAddress(descriptor, shape.isRowMajor, row, k);
    decodeUnit(machine.shared(warp, rank | at, format.bytes(), false, actor, 0), shape, format, unit);
  };
  if (!shape.isRowMajor) {
    for (unsigned row = 0; row < shape.rows; ++row)
      for (unsigned k = 0; k < shape.depth; k += format.elements) {
        fetch(shape.firstRow + row, k / format.elements * 16);
        for (unsigned index = 0; index < format.elements; ++index)
          put(row, k + index, unit[index]);
      }
    return;
  }
  for (unsigned k = 0; k < shape.depth; ++k)
    for (unsigned row = 0; row < shape.rows; row += format.elements) {
      fetch((shape.firstRow + row) / format.elements * 16, k);
      for (unsigned index = 0; index < format.elements && row + index < shape.rows; ++index)
        put(row + index, k, unit[index]);
    }
}

} // namespace qcc::ptxemu
