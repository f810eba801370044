#include "StableQuotient.h"
#include "qcc/Format/Format.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace qcc;
using llvm::ArrayRef;

namespace {

/// The finite values' lowest and highest, and 0. Kept as integers that are ordered as the floats are: their minimum and
/// maximum may be taken in any order, so that the loop vectorizes.
class Range {
public:
  void include(ArrayRef<float> values) {
    int32_t least = low, most = high;
    for (float value : values) {
      int32_t bits = llvm::bit_cast<int32_t>(value), magnitude = bits & 0x7fffffff;
      int32_t ordered = magnitude < 0x7f800000 ? flip(bits) : 0;
      least = ordered < least ? ordered : least;
      most = ordered > most ? ordered : most;
    }
    low = least;
    high = most;
  }
  float lowest() const { return llvm::bit_cast<float>(flip(low)); }
  float highest() const { return llvm::bit_cast<float>(flip(high)); }
  float amax() const { return std::max(highest(), -lowest()); }

private:
  static int32_t flip(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }
  int32_t low = 0, high = 0;
};

/// Codes of one row, from the low bits of each byte on.
void pack(ArrayRef<uint32_t> codes, unsigned bits, uint8_t *out) {
  size_t n = codes.size();
  if (bits == 4) {
    for (size_t i = 0; i < n / 2; ++i)
      out[i] = uint8_t(codes[2 * i] | codes[2 * i + 1] << 4);
    if (n % 2)
      out[n / 2] = uint8_t(codes[n - 1]);
    return;
  }
  if (bits == 8) {
    for (size_t i = 0; i < n; ++i)
      out[i] = uint8_t(codes[i]);
    return;
  }
  // Eight codes take as many bytes as a code has bits.
  for (; bits < 8 && codes.size() >= 8; codes = codes.drop_front(8)) {
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; ++i)
      word |= uint64_t(codes[i]) << (i * bits);
    for (unsigned byte = 0; byte < bits; ++byte)
      *out++ = uint8_t(word >> (8 * byte));
  }
  uint64_t pending = 0;
  unsigned count = 0;
  for (uint32_t code : codes) {
    pending |= uint64_t(code) << count;
    for (count += bits; count >= 8; count -= 8, pending >>= 8)
      *out++ = uint8_t(pending);
  }
  if (count)
    *out = uint8_t(pending);
}

} // namespace

bool qcc::isFinite(ArrayRef<float> values) {
  uint32_t most = 0;
  for (float value : values) {
    uint32_t magnitude = llvm::bit_cast<uint32_t>(value) & 0x7fffffff;
    most = magnitude > most ? magnitude : most;
  }
  return most < 0x7f800000;
}

float Format::chooseTensorScale(float amax) const {
  float largestScale = scale->tensorScaleFor();
  return largestScale == 0 || amax == 0 ? 1 : stableQuotient(amax, element->largest(), largestScale);
}

/// The integer nearest to a float of magnitude below 2^22, to even; beyond, something as large. Not a call on any
/// x86-64.
static float nearestInteger(float value) { return (value + 12582912.0f) - 12582912.0f; }

/// A scale under which [lowest, highest] takes all codes of an unsigned element, and the code of 0.
static BlockScale chooseScaleWithZero(const Format &format, float lowest, float highest) {
  float top = format.element->largest();
  // So far that no code times the scale is beyond float32.
  constexpr float limit = std::numeric_limits<float>::max() / 4;
  lowest = std::max(lowest, -limit);
  highest = std::min(highest, limit);
  BlockScale result;
  result.code = format.scale->encode((highest - lowest) / top);
  // float32 scales of 16 significant bits: every product with a code is exact, and asks for the scale again.
  uint32_t unit = format.scale->bits() == 32 ? 0x100 : 1;
  result.code = (result.code + unit / 2) & ~(unit - 1);
  auto steps = [&](float scale) { return nearestInteger(highest / scale) - nearestInteger(lowest / scale); };
  result.value = format.scale->value(result.code);
  // Where both ends round inwards one code stays unused, and rounding a second time would use it. The next smaller
  // scale moves the ends by next to nothing; where scales lie further apart than that, in their subnormal range, the
  // code stays unused.
  float smaller = result.code < unit ? 0 : format.scale->value(result.code - unit);
  if (steps(result.value) < top && smaller > 0.998f * result.value) {
    result.code -= unit;
    result.value = smaller;
  }
  if (result.value > 0)
    result.zero = uint8_t(std::clamp(nearestInteger(-lowest / result.value), 0.0f, top));
  return result;
}

BlockScale Format::chooseScale(float lowest, float highest, float tensorScale) const {
  lowest = std::min(0.0f, lowest);
  highest = std::max(0.0f, highest);
  if (hasZero)
    return chooseScaleWithZero(*this, lowest, highest);
  BlockScale result;
  result.code = scale->encode(scale->wanted(std::max(highest, -lowest), element->largest()) / tensorScale);
  result.value = scale->value(result.code) * tensorScale;
  return result;
}

BlockScaleValues Format::chooseScale(EncodePrimitives &p, Primitives::Value lowest, Primitives::Value highest) const {
  using Number = Primitives::Value;
  Number none = p.real(0);
  lowest = p.smaller(none, lowest), highest = p.larger(none, highest);
  BlockScaleValues result;
  result.zero = p.integer(0);
  if (!hasZero) {
    Number amax = p.larger(highest, p.multiply(lowest, p.real(-1)));
    result.code = scale->codeOf(p, scale->wanted(p, amax, element->largest()));
    result.value = scale->decode(p, result.code);
    return result;
  }
  constexpr float limit = std::numeric_limits<float>::max() / 4;
  constexpr float most = 1 << 20; // more steps than any element has, and few enough to be rounded
  lowest = p.larger(lowest, p.real(-limit)), highest = p.smaller(highest, p.real(limit));
  const float top = element->largest();
  const int32_t unit = scale->bits() == 32 ? 0x100 : 1;
  Number minusLowest = p.multiply(lowest, p.real(-1));
  Number code = scale->codeOf(p, p.divide(p.addFloats(highest, minusLowest), p.real(top)));
  code = p.bitAnd(p.add(code, p.integer(unit / 2)), ~uint32_t(unit - 1));
  Number value = scale->decode(p, code);
  Number above = p.smaller(p.divide(highest, value), p.real(most));
  Number below = p.smaller(p.divide(minusLowest, value), p.real(most));
  Number steps = p.add(p.nearest(above), p.nearest(below));
  Number lessCode = p.add(code, p.integer(-unit));
  Number less = p.select(p.isLess(code, p.integer(unit)), none, scale->decode(p, lessCode));
  Number isClose = p.isLessFloat(p.multiply(value, p.real(0.998f)), less);
  Number never = p.isLess(p.integer(0), p.integer(0));
  Number shrinks = p.select(p.isLess(steps, p.integer(int32_t(top))), isClose, never);
  result.code = p.select(shrinks, lessCode, code);
  result.value = p.select(shrinks, less, value);
  Number zero = p.nearest(p.smaller(p.divide(minusLowest, result.value), p.real(top)));
  result.zero = p.select(p.isLessFloat(none, result.value), zero, p.integer(0));
  return result;
}

EncodedMatrix Format::allocate(int64_t rows, int64_t columns, float tensorScale) const {
  EncodedMatrix result;
  result.rows = rows;
  result.columns = columns;
  result.tensorScale = tensorScale;
  const size_t blocks = size_t(rowBlocks(rows) * columnBlocks(columns));
  result.codes.resize(size_t(rows * rowCodeBytes(columns)));
  result.scales.resize(blocks * (scale->bits() / 8));
  result.zeros.resize(hasZero ? blocks : 0);
  return result;
}

void Format::storeScale(EncodedMatrix &matrix, int64_t index, const BlockScale &block) const {
  const size_t scaleBytes = scale->bits() / 8;
  for (size_t byte = 0; byte < scaleBytes; ++byte)
    matrix.scales[size_t(index) * scaleBytes + byte] = uint8_t(block.code >> (8 * byte));
  if (hasZero)
    matrix.zeros[size_t(index)] = block.zero;
}

void Format::storeRow(EncodedMatrix &matrix, int64_t row, ArrayRef<uint32_t> codes) const {
  pack(codes, element->bits(), matrix.codes.data() + row * rowCodeBytes(matrix.columns));
}

EncodedMatrix Format::encode(ArrayRef<float> matrix, int64_t rows, int64_t columns) const {
  assert(int64_t(matrix.size()) == rows * columns && "a matrix of another size");
  float tensorScale = 1;
  if (scale->tensorScaleFor() != 0) {
    Range range;
    range.include(matrix);
    tensorScale = chooseTensorScale(range.amax());
  }
  EncodedMatrix result = allocate(rows, columns, tensorScale);
  const int64_t perRow = columnBlocks(columns), width = block ? block : columns, height = blockRows ? blockRows : rows;

  std::vector<uint32_t> codes(columns, 0);
  std::vector<BlockScale> scales(perRow, BlockScale());
  auto blockOf = [&](int64_t row, int64_t index) {
    int64_t first = index * width;
    return matrix.slice(size_t(row * columns + first), size_t(std::min(width, columns - first)));
  };
  for (int64_t top = 0; top < rows && columns > 0; top += height) {
    int64_t bottom = top + std::min(height, rows - top);
    for (int64_t i = 0; i < perRow && !isPlain(); ++i) {
      Range range;
      for (int64_t row = top; row < bottom; ++row)
        range.include(blockOf(row, i));
      scales[i] = chooseScale(range.lowest(), range.highest(), tensorScale);
      storeScale(result, top / height * perRow + i, scales[i]);
    }
    for (int64_t row = top; row < bottom; ++row) {
      for (int64_t i = 0; i < perRow; ++i)
        element->encodeBlock(blockOf(row, i), scales[i].value, scales[i].zero, codes.data() + i * width);
      storeRow(result, row, codes);
    }
  }
  return result;
}
