#include "qcc/Format/Format.h"
#include "llvm/ADT/bit.h"

using namespace qcc;

Primitives::Value Format::value(Primitives &p, Primitives::Value code, Primitives::Value scale,
                                Primitives::Value minusZero) const {
  // With a zero, codes are unsigned integers: the difference is one too, and exact.
  Primitives::Value number = hasZero ? p.toFloat(p.add(code, minusZero)) : element->decode(p, code);
  return isPlain() ? number : p.multiply(number, scale);
}

static void unpack(const uint8_t *bytes, unsigned bits, llvm::MutableArrayRef<uint32_t> codes) {
  size_t n = codes.size();
  if (bits == 4) {
    for (size_t i = 0; i < n; ++i)
      codes[i] = bytes[i / 2] >> (4 * (i % 2)) & 15;
    return;
  }
  if (bits == 8) {
    for (size_t i = 0; i < n; ++i)
      codes[i] = bytes[i];
    return;
  }
  uint64_t pending = 0;
  unsigned count = 0;
  for (uint32_t &code : codes) {
    for (; count < bits; count += 8)
      pending |= uint64_t(*bytes++) << count;
    code = uint32_t(pending & ((uint64_t(1) << bits) - 1));
    pending >>= bits;
    count -= bits;
  }
}

void Format::decode(const EncodedMatrix &matrix, int64_t first, int64_t count, float *out) const {
  const int64_t columns = matrix.columns, perRow = columnBlocks(columns), width = block ? block : columns;
  const int64_t height = blockRows ? blockRows : matrix.rows, scaleBytes = scale->bits() / 8;
  assert(first >= 0 && count >= 0 && first <= matrix.rows - count && "rows beyond the matrix");
  std::vector<uint32_t> codes(size_t(columns), 0);
  for (int64_t row = first; row < first + count; ++row) {
    unpack(matrix.codes.data() + row * rowCodeBytes(columns), element->bits(), codes);
    for (int64_t i = 0; i < perRow; ++i) {
      int64_t start = i * width, end = std::min(start + width, columns), at = row / height * perRow + i;
      uint32_t scaleCode = 0;
      for (int64_t byte = 0; byte < scaleBytes; ++byte)
        scaleCode |= uint32_t(matrix.scales[size_t(at * scaleBytes + byte)]) << (8 * byte);
      float factor = isPlain() ? 1 : scale->value(scaleCode) * matrix.tensorScale;
      if (element->bits() == 32) {
        for (int64_t column = start; column < end; ++column)
          out[column] = llvm::bit_cast<float>(codes[size_t(column)]);
      } else if (hasZero) {
        int32_t zero = matrix.zeros[size_t(at)];
        for (int64_t column = start; column < end; ++column)
          out[column] = float(int32_t(codes[size_t(column)]) - zero) * factor;
      } else {
        const float *values = element->values().data();
        for (int64_t column = start; column < end; ++column)
          out[column] = values[codes[size_t(column)]] * factor;
      }
    }
    out += columns;
  }
}
