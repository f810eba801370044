#include "qcc/Pack/PackedLayout.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cstring>

using namespace qcc;

/// Whether a table of integers is the codes as two's complement numbers.
static bool isTwosComplement(const std::vector<int8_t> &table, unsigned bits) {
  for (size_t code = 0; code < table.size(); ++code)
    if (table[code] != llvm::SignExtend32(uint32_t(code), bits))
      return false;
  return !table.empty();
}

PackedLayout PackedLayout::of(const Format &format, int64_t rows, int64_t columns) {
  PackedLayout layout;
  layout.rows = rows, layout.columns = columns;
  layout.element = format.element->name(), layout.scale = format.scale->name();
  layout.codeBits = format.element->bits();
  // A scale per block of one row stands with the block. One that covers more columns or more rows is a factor of the
  // whole row's sum, or is repeated for each row.
  bool wholeRows = format.block == 0;
  layout.block = std::min(wholeRows ? freeBlock : format.block, std::max<int64_t>(columns, 1));
  if (!format.isPlain() && !wholeRows)
    layout.scaleBytes = format.blockRows == 1 ? format.scale->bits() / 8 : 4;
  layout.hasZero = format.hasZero;
  layout.hasRowScales = !format.isPlain() && (wholeRows || format.scale->tensorScaleFor() != 0);
  if (auto view = format.element->integerView(); view && isTwosComplement(view->table, layout.codeBits))
    layout.bias = 1 << (layout.codeBits - 1);
  layout.movesToSigned = layout.hasZero && layout.codeBits == 8;
  return layout;
}

/// Code (row, column) of an encoded matrix.
static uint32_t codeAt(const uint8_t *row, unsigned bits, int64_t column) {
  uint32_t code = 0;
  if (bits < 8) {
    int64_t first = column * bits / 8, last = (column * bits + bits - 1) / 8;
    code = row[first] | uint32_t(row[last]) << (last - first) * 8;
    return code >> (column * bits % 8) & ((1u << bits) - 1);
  }
  std::memcpy(&code, row + column * (bits / 8), bits / 8);
  return code;
}

/// Adds the code of a block's column to its lane.
static void packCode(const PackedLayout &layout, uint32_t code, int64_t column, uint8_t *lane) {
  int64_t place = column % layout.chunkColumns(), perPlane = 32 / layout.planeBits();
  uint8_t *chunk = lane + column / layout.chunkColumns() * layout.chunkBytes() + column % 4;
  uint32_t low = code & ((1u << layout.planeBits()) - 1);
  chunk[place / perPlane * PackedLayout::planeBytes] |= low << (place % perPlane / 4 * layout.planeBits());
  if (layout.codeBits == 3)
    chunk[2 * PackedLayout::planeBytes] |= (code >> 2) << (place / 4);
}

namespace {
/// Writes the blocks of one tile through what the formats differ in.
template <typename Codes, typename Head>
void packTile(const PackedLayout &layout, int64_t tile, uint8_t *out, Codes codes, Head head) {
  int64_t firstRow = tile * PackedLayout::tileRows;
  for (int64_t block = 0; block < layout.blocks(); ++block) {
    int64_t from = block * layout.block, columns = std::min(layout.block, layout.columns - from);
    head(firstRow, block, out);
    uint8_t *to = out + layout.codesOffset();
    codes(firstRow, from, columns, to);
    out += layout.blockBytes(columns);
  }
}
} // namespace

void qcc::packTiles(const PackedLayout &layout, const Format &format, const EncodedMatrix &matrix, int64_t first,
                    int64_t count, uint8_t *out) {
  constexpr int64_t tileRows = PackedLayout::tileRows;
  unsigned bits = layout.codeBits;
  int64_t rowBytes = format.rowCodeBytes(layout.columns), scaleBytes = format.scale->bits() / 8;
  int64_t columnBlocks = format.columnBlocks(layout.columns);
  std::memset(out, 0, count * layout.tileBytes());
  auto head = [&](int64_t firstRow, int64_t block, uint8_t *to) {
    if (layout.scaleBytes)
      for (int64_t r = 0; r < tileRows && firstRow + r < layout.rows; ++r) {
        int64_t rowBlock = format.blockRows == 0 ? 0 : (firstRow + r) / format.blockRows;
        const uint8_t *scale = &matrix.scales[(rowBlock * columnBlocks + block) * scaleBytes];
        if (format.blockRows == 1) {
          std::memcpy(to + r * scaleBytes, scale, scaleBytes);
          continue;
        }
        uint32_t code = 0;
        std::memcpy(&code, scale, scaleBytes);
        float value = format.scale->value(code);
        std::memcpy(to + r * 4, &value, 4);
      }
    if (layout.hasZero)
      for (int64_t r = 0; r < tileRows && firstRow + r < layout.rows; ++r)
        to[tileRows * layout.scaleBytes + r] =
            matrix.zeros[(firstRow + r) * columnBlocks + block] ^ (layout.movesToSigned ? 0x80 : 0);
  };
  auto codes = [&](int64_t firstRow, int64_t from, int64_t columns, uint8_t *to) {
    for (int64_t r = 0; r < tileRows && firstRow + r < layout.rows; ++r) {
      const uint8_t *row = &matrix.codes[(firstRow + r) * rowBytes];
      uint8_t *lane = to + r * 4;
      if (bits < 8)
        for (int64_t c = 0; c < columns; ++c)
          packCode(layout, codeAt(row, bits, from + c) ^ uint32_t(layout.bias), c, lane);
      else // a chunk's lane is four bytes of the row as they are
        for (int64_t c = 0, step = layout.chunkColumns(), bytes = bits / 8; c < columns; c += step)
          std::memcpy(lane + c / step * PackedLayout::planeBytes, row + (from + c) * bytes,
                      std::min(step, columns - c) * bytes);
      if (layout.movesToSigned)
        for (int64_t c = 0; c < columns; ++c)
          lane[c / 4 * 64 + c % 4] ^= 0x80;
    }
  };
  for (int64_t tile = first; tile < first + count; ++tile, out += layout.tileBytes())
    packTile(layout, tile, out, codes, head);
}

void qcc::packTiles(const PackedLayout &layout, const float *data, int64_t rowStride, int64_t columnStride,
                    int64_t first, int64_t count, uint8_t *out) {
  constexpr int64_t tileRows = PackedLayout::tileRows;
  std::memset(out, 0, count * layout.tileBytes());
  auto codes = [&](int64_t firstRow, int64_t from, int64_t columns, uint8_t *to) {
    int64_t rows = std::min(tileRows, layout.rows - firstRow);
    auto *floats = reinterpret_cast<float *>(to);
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r < rows; ++r)
        floats[c * tileRows + r] = data[(firstRow + r) * rowStride + (from + c) * columnStride];
  };
  for (int64_t tile = first; tile < first + count; ++tile, out += layout.tileBytes())
    packTile(layout, tile, out, codes, [](int64_t, int64_t, uint8_t *) {});
}

void qcc::packRowScales(const PackedLayout &layout, const Format &format, const EncodedMatrix &matrix, uint8_t *out) {
  std::memset(out, 0, layout.bytes() - layout.rowScalesOffset());
  if (!layout.hasRowScales)
    return;
  int64_t scaleBytes = format.scale->bits() / 8;
  for (int64_t row = 0; row < layout.rows; ++row) {
    float value = matrix.tensorScale;
    if (!layout.scaleBytes) {
      uint32_t code = 0;
      std::memcpy(&code, &matrix.scales[(format.blockRows == 0 ? 0 : row / format.blockRows) * scaleBytes], scaleBytes);
      value *= format.scale->value(code);
    }
    std::memcpy(out + row * 4, &value, 4);
  }
}
