// Rows of caches: places of codes, scales and zeros, and what rows decode to.
#include "qcc/Format/RowLayout.h"
#include "Matrices.h"
#include "gtest/gtest.h"

using namespace qcc;

namespace {

RowLayout layout(llvm::StringRef format, int64_t size) {
  return llvm::cantFail(RowLayout::of(llvm::cantFail(findFormat(format)), size));
}

TEST(RowLayout, bytes) {
  EXPECT_EQ(layout("int8-g32", 64).bytes(), 64 + 4);
  EXPECT_EQ(layout("int8", 64).bytes(), 64 + 4);
  EXPECT_EQ(layout("int8-g32", 8).bytes(), 8 + 4);
  EXPECT_EQ(layout("int4-g32-asym", 128).bytes(), 64 + 8 + 4);
  EXPECT_EQ(layout("int4-g32-asym", 80).bytes(), 40 + 6 + 3 + 3);
  EXPECT_EQ(layout("int4-g32", 33).bytes(), 20 + 4); // a block of one element has a byte
  EXPECT_EQ(layout("mxfp4", 64).bytes(), 32 + 4);
}

TEST(RowLayout, halvesOfABlockShareBytes) {
  RowLayout rows = layout("int4-g32", 48);
  std::vector<float> row(48, 0);
  row[0] = 7, row[1] = 1, row[16] = 3, row[17] = -1; // the scale is 1
  row[32] = 7, row[33] = 2, row[40] = 5;
  std::vector<uint8_t> bytes = rows.encode(row);
  EXPECT_EQ(bytes[0], 0x37);
  EXPECT_EQ(bytes[1], 0xf1);
  EXPECT_EQ(bytes[16], 0x57);
  EXPECT_EQ(bytes[17], 0x02);
  EXPECT_EQ(rows.decode(bytes), row);
}

TEST(RowLayout, rowsDecodeToWhatTheFormatSays) {
  for (const Format &format : allFormats()) {
    auto rows = RowLayout::of(format, 100);
    if (!rows) {
      llvm::consumeError(rows.takeError());
      continue;
    }
    std::vector<float> row = normalMatrix(1, 100);
    EXPECT_EQ(rows->decode(rows->encode(row)), decoded(format, format.encode(row, 1, 100))) << format.name;
  }
}

TEST(RowLayout, refusals) {
  auto refusal = [](llvm::StringRef format) {
    return llvm::toString(RowLayout::of(llvm::cantFail(findFormat(format)), 64).takeError());
  };
  EXPECT_EQ(refusal("float16"), "format 'float16' has no scales: its elements are stored as they are");
  EXPECT_EQ(refusal("int3-g32"),
            "format 'int3-g32' has codes of 3 bits, and a cache takes codes of 2, 4 or 8; choose int8, int4 or fp8");
  for (llvm::StringRef name : {"nvfp4", "fp8-b128x128", "int8-tensor"})
    EXPECT_EQ(refusal(name),
              ("format '" + name +
               "' has a scale for several rows, and a cache is written row by row; choose one with a scale for each "
               "block of a row, such as int8-g32")
                  .str());
}

} // namespace
