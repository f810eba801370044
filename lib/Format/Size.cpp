#include "qcc/Format/Format.h"
#include "llvm/Support/MathExtras.h"

using namespace qcc;

/// Sizes of hostile shapes: negative ones are 0, those beyond 64 bits the largest integer.
static uint64_t size(int64_t value) { return uint64_t(std::max<int64_t>(value, 0)); }
static int64_t clamped(uint64_t value) { return int64_t(std::min<uint64_t>(value, INT64_MAX)); }

/// Blocks of `block` elements, 0 meaning all, that cover `count`.
static int64_t blocks(int64_t count, int64_t block) {
  return count <= 0 ? 0 : block == 0 ? 1 : count / block + (count % block != 0);
}

int64_t Format::columnBlocks(int64_t columns) const { return blocks(columns, block); }
int64_t Format::rowBlocks(int64_t rows) const { return blocks(rows, blockRows); }

int64_t Format::rowCodeBytes(int64_t columns) const {
  uint64_t count = size(columns), bits = element->bits();
  return clamped(llvm::SaturatingMultiplyAdd(count / 8, bits, (count % 8 * bits + 7) / 8));
}

int64_t Format::bytes(int64_t rows, int64_t columns) const {
  uint64_t scales = llvm::SaturatingMultiply(size(rowBlocks(rows)), size(columnBlocks(columns)));
  uint64_t tensorBytes = scale->tensorScaleFor() != 0 && scales != 0 ? sizeof(float) : 0;
  uint64_t total = llvm::SaturatingMultiply(size(rows), size(rowCodeBytes(columns)));
  total = llvm::SaturatingAdd(total, llvm::SaturatingMultiply<uint64_t>(scales, scale->bits() / 8 + hasZero));
  return clamped(llvm::SaturatingAdd(total, tensorBytes));
}
