// The codes of one block and what they are worth.
#pragma once

#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// Where block (rowBlock, columnBlock) of a matrix lies.
struct BlockPlace {
  int64_t top, bottom, left, right;
  int64_t size() const { return (bottom - top) * (right - left); }
};

inline BlockPlace placeOf(const Format &format, int64_t rows, int64_t columns, int64_t rowBlock, int64_t columnBlock) {
  int64_t width = format.block ? format.block : columns, height = format.blockRows ? format.blockRows : rows;
  int64_t top = rowBlock * height, left = columnBlock * width;
  return {top, std::min(rows, top + height), left, std::min(columns, left + width)};
}

/// Copies a block's values to `out`, row by row.
inline void gather(MatrixView matrix, const BlockPlace &place, std::vector<float> &out) {
  out.clear();
  for (int64_t row = place.top; row < place.bottom; ++row)
    out.insert(out.end(), matrix.row(row) + place.left, matrix.row(row) + place.right);
}

/// The numbers that codes stand for, as Format::decode makes them. Of elements of at most 16 bits.
inline void valuesOf(const Format &format, const uint32_t *codes, int64_t count, const BlockScale &scale, float *out) {
  if (format.hasZero) {
    for (int64_t i = 0; i < count; ++i)
      out[i] = float(int32_t(codes[i]) - scale.zero) * scale.value;
    return;
  }
  const float *table = format.element->values().data();
  for (int64_t i = 0; i < count; ++i)
    out[i] = table[codes[i]] * scale.value;
}

} // namespace qcc
