// The order in which CPUs read a weight matrix: tiles of 16 rows, block after block, so that one tile is one stream.
#pragma once

#include "qcc/Format/Format.h"

namespace qcc {

/// How a matrix stands in the artifact for CPU targets. A tile holds 16 rows; its blocks follow one another along the
/// columns, each with its scales (16), its zeros (16 bytes, where the format has them) and its codes in chunks of 64
/// bytes. A chunk's 32-bit lane r holds codes of row r for consecutive columns:
///   4-bit codes: byte j has column j in its low half and column 4 + j in its high half (8 columns a chunk);
///   2-bit codes: byte j has columns j, 4 + j, 8 + j and 12 + j, from the low bits on (16 columns a chunk);
///   3-bit codes: a chunk has three such planes of 64 bytes for 32 columns: the low two bits of 16 columns, those of 16
///   more, and the highest bits, of which byte j has columns j, 4 + j ... 28 + j;
///   8-, 16- and 32-bit codes: in order (4, 2 and 1 columns a chunk).
/// The same bytes serve vectors of 4, 8 and 16 lanes. Rows and columns beyond the matrix hold codes whose scale is 0,
/// or that express 0.
struct PackedLayout {
  static constexpr int64_t tileRows = 16, planeBytes = 64;
  /// Columns of a block where the format's scales do not divide a row: such a block has no scales, and activations are
  /// scaled by it.
  static constexpr int64_t freeBlock = 128;

  int64_t rows = 0, columns = 0;
  llvm::StringRef element, scale; // the codecs' names
  unsigned codeBits = 32;
  int64_t block = 0;      // columns
  int64_t scaleBytes = 0; // of a row in a block
  bool hasZero = false;
  /// Whether a float32 per row stands behind the tiles, which multiplies the row's sum.
  bool hasRowScales = false;
  /// Codes of up to 4 bits whose numbers are consecutive are stored as the number plus this.
  int bias = 0;
  /// Unsigned 8-bit codes and their zeros are stored minus 128, as signed ones.
  bool movesToSigned = false;

  static PackedLayout of(const Format &format, int64_t rows, int64_t columns);

  /// Bits of a code that stand together.
  unsigned planeBits() const { return codeBits == 3 ? 2 : codeBits; }
  int64_t planes() const { return codeBits == 3 ? 3 : 1; }
  int64_t chunkBytes() const { return planes() * planeBytes; }
  int64_t chunkColumns() const { return codeBits == 3 ? 32 : 32 / codeBits; }
  int64_t fullBlocks() const { return columns / block; }
  int64_t tail() const { return columns % block; }
  int64_t blocks() const { return fullBlocks() + (tail() != 0); }
  int64_t chunks(int64_t blockColumns) const { return (blockColumns + chunkColumns() - 1) / chunkColumns(); }
  int64_t codesOffset() const { return tileRows * (scaleBytes + hasZero); }
  int64_t blockBytes(int64_t blockColumns) const { return codesOffset() + chunks(blockColumns) * chunkBytes(); }
  int64_t tileBytes() const { return fullBlocks() * blockBytes(block) + (tail() ? blockBytes(tail()) : 0); }
  int64_t tiles() const { return (rows + tileRows - 1) / tileRows; }
  int64_t rowScalesOffset() const { return tiles() * tileBytes(); }
  /// Bytes in all; a multiple of 64.
  int64_t bytes() const { return (rowScalesOffset() + (hasRowScales ? tiles() * tileRows * 4 : 0) + 63) / 64 * 64; }
};

/// Writes tiles [first, first + count) to `out`.
void packTiles(const PackedLayout &layout, const Format &format, const EncodedMatrix &matrix, int64_t first,
               int64_t count, uint8_t *out);
/// The same from float32 elements that are stored as they are; element (row, column) is `data[row * rowStride + column
/// * columnStride]`.
void packTiles(const PackedLayout &layout, const float *data, int64_t rowStride, int64_t columnStride, int64_t first,
               int64_t count, uint8_t *out);
/// Writes what stands behind the tiles: bytes() - rowScalesOffset() bytes.
void packRowScales(const PackedLayout &layout, const Format &format, const EncodedMatrix &matrix, uint8_t *out);

} // namespace qcc
