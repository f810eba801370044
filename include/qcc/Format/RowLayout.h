// A row of a cache in a format, as kernels write and read it while the program runs.
#pragma once

#include "qcc/Format/Format.h"

namespace qcc {

/// The bytes of one row of `size` elements: the codes of all blocks, then the blocks' scales (little-endian), then
/// their zeros (a byte each), filled to a multiple of 4, so that scales stand aligned and a device reads words.
///
/// The codes of a block of `width` elements take `codeBytes(width)` bytes, and code c stands in byte c % codeBytes:
/// with 4 bits, the first half of a block fills the low halves of its bytes and the second half the high ones. Both are
/// then read, and written, in order.
struct RowLayout {
  Format format;
  int64_t size = 0;  // elements
  int64_t block = 0; // elements that share a scale
  unsigned codeBits = 8;
  int64_t scaleBytes = 0;

  /// An error where rows cannot be written one by one: the format has a scale for several rows, or its codes do not fit
  /// bytes evenly.
  static llvm::Expected<RowLayout> of(const Format &format, int64_t size);

  int64_t blocks() const { return (size + block - 1) / block; }
  int64_t fullBlocks() const { return size / block; }
  int64_t tail() const { return size % block; }
  int64_t codeBytes(int64_t width) const { return (width * codeBits + 7) / 8; }
  int64_t scalesOffset() const {
    int64_t codes = fullBlocks() * codeBytes(block) + codeBytes(tail());
    return (codes + 3) / 4 * 4;
  }
  int64_t zerosOffset() const { return scalesOffset() + blocks() * scaleBytes; }
  int64_t bytes() const { return (zerosOffset() + (format.hasZero ? blocks() : 0) + 3) / 4 * 4; }

  /// A row on the host: what kernels write, and what they read.
  std::vector<uint8_t> encode(llvm::ArrayRef<float> row) const;
  std::vector<float> decode(llvm::ArrayRef<uint8_t> bytes) const;
};

} // namespace qcc
