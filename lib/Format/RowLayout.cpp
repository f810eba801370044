#include "qcc/Format/RowLayout.h"

using namespace qcc;

llvm::Expected<RowLayout> RowLayout::of(const Format &format, int64_t size) {
  auto refuse = [&](const llvm::Twine &why) { return llvm::createStringError("format '" + format.name + "' " + why); };
  RowLayout layout;
  layout.format = format;
  layout.size = size;
  layout.block = format.block ? std::min(format.block, size) : size;
  layout.codeBits = format.element->bits();
  layout.scaleBytes = format.scale->bits() / 8;
  if (format.isPlain())
    return refuse("has no scales: its elements are stored as they are");
  if (format.blockRows != 1 || format.scale->tensorScaleFor() != 0)
    return refuse("has a scale for several rows, and a cache is written row by row; choose one with a scale for each "
                  "block of a row, such as int8-g32");
  if (8 % layout.codeBits != 0)
    return refuse("has codes of " + llvm::Twine(layout.codeBits) +
                  " bits, and a cache takes codes of 2, 4 or 8; choose int8, int4 or fp8");
  return layout;
}

std::vector<uint8_t> RowLayout::encode(llvm::ArrayRef<float> row) const {
  EncodedMatrix matrix = format.encode(row, 1, size);
  std::vector<uint8_t> result(size_t(bytes()), 0);
  const unsigned perByte = 8 / codeBits, mask = (1u << codeBits) - 1;
  for (int64_t i = 0; i < size; ++i) {
    unsigned code = matrix.codes[size_t(i / perByte)] >> (i % perByte * codeBits) & mask;
    int64_t first = i / block * block, width = std::min(block, size - first), each = codeBytes(width);
    int64_t place = i - first, base = first / block * codeBytes(block);
    result[size_t(base + place % each)] |= uint8_t(code << (place / each * codeBits));
  }
  llvm::copy(matrix.scales, result.begin() + scalesOffset());
  llvm::copy(matrix.zeros, result.begin() + zerosOffset());
  return result;
}

std::vector<float> RowLayout::decode(llvm::ArrayRef<uint8_t> bytes) const {
  EncodedMatrix matrix = format.allocate(1, size, 1);
  std::vector<uint32_t> codes;
  for (int64_t i = 0; i < size; ++i) {
    int64_t first = i / block * block, width = std::min(block, size - first), each = codeBytes(width);
    int64_t place = i - first, base = first / block * codeBytes(block);
    codes.push_back(bytes[size_t(base + place % each)] >> (place / each * codeBits) & ((1u << codeBits) - 1));
  }
  format.storeRow(matrix, 0, codes);
  llvm::copy(bytes.slice(size_t(scalesOffset()), matrix.scales.size()), matrix.scales.begin());
  llvm::copy(bytes.slice(size_t(zerosOffset()), matrix.zeros.size()), matrix.zeros.begin());
  std::vector<float> result(size_t(size), 0);
  format.decode(matrix, 0, 1, result.data());
  return result;
}
