// Whole matrices: bytes, blocks, scales and what they decode to.
#include "Matrices.h"
#include "qcc/Format/HostReader.h"
#include "gtest/gtest.h"

using namespace qcc;

namespace qcc {
void PrintTo(const Format &format, std::ostream *os) { *os << format.name; }
} // namespace qcc

namespace {

constexpr float inf = INFINITY, nan = NAN;

Format format(llvm::StringRef name) { return llvm::cantFail(findFormat(name)); }

class EveryFormat : public ::testing::TestWithParam<Format> {};

std::string testName(const ::testing::TestParamInfo<Format> &info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Registry, EveryFormat, ::testing::ValuesIn(allFormats()), testName);

struct Shape {
  int64_t rows, columns;
};
/// Block ends within a row, single rows and columns, an odd number of 4-bit codes, a matrix that is not a whole number
/// of 128 x 128.
constexpr Shape shapes[] = {{1, 1},     {1, 7},    {5, 1},    {3, 33}, {2, 576}, {7, 129},
                            {130, 260}, {64, 256}, {1, 4096}, {0, 16}, {4, 0}};

void expectSame(const EncodedMatrix &a, const EncodedMatrix &b, const std::string &what) {
  EXPECT_EQ(a.codes, b.codes) << what;
  EXPECT_EQ(a.scales, b.scales) << what;
  EXPECT_EQ(a.zeros, b.zeros) << what;
  EXPECT_EQ(a.tensorScale, b.tensorScale) << what;
}

/// Encoding what was decoded gives the same values, bit for bit.
void expectIdempotent(const Format &f, llvm::ArrayRef<float> matrix, Shape shape) {
  std::vector<float> once = decoded(f, f.encode(matrix, shape.rows, shape.columns));
  std::vector<float> twice = decoded(f, f.encode(once, shape.rows, shape.columns));
  ASSERT_EQ(once.size(), twice.size());
  for (size_t i = 0; i < once.size(); ++i)
    ASSERT_EQ(once[i], twice[i]) << f.name << " " << shape.rows << "x" << shape.columns << " at " << i;
}

TEST_P(EveryFormat, isIdempotent) {
  for (Shape shape : shapes)
    for (unsigned seed = 1; seed <= 8; ++seed)
      for (float deviation : {1.0f, 0.02f, 300.0f}) {
        std::vector<float> matrix = normalMatrix(shape.rows, shape.columns, deviation, seed);
        if (seed == 2) // one sign
          for (float &value : matrix)
            value = std::abs(value);
        if (seed == 3)
          for (float &value : matrix)
            value = -std::abs(value);
        if (seed == 4) // few distinct values, halfway ones among them
          for (float &value : matrix)
            value = std::round(value / deviation * 4) / 4;
        if (seed == 5 && !matrix.empty())
          matrix[matrix.size() / 2] *= 50;
        expectIdempotent(GetParam(), matrix, shape);
      }
}

TEST_P(EveryFormat, keepsZeros) {
  for (Shape shape : shapes) {
    std::vector<float> zeros(size_t(shape.rows * shape.columns), 0);
    EXPECT_EQ(decoded(GetParam(), GetParam().encode(zeros, shape.rows, shape.columns)), zeros);
  }
  std::vector<float> mixed = normalMatrix(4, 64);
  std::fill(mixed.begin() + 64, mixed.begin() + 128, 0.0f);
  mixed[3] = 0;
  std::vector<float> back = decoded(GetParam(), GetParam().encode(mixed, 4, 64));
  EXPECT_EQ(back[3], 0);
  for (int i = 64; i < 128; ++i)
    EXPECT_EQ(back[size_t(i)], 0);
}

TEST_P(EveryFormat, decodesRowsByThemselves) {
  Shape shape{130, 260};
  std::vector<float> matrix = normalMatrix(shape.rows, shape.columns);
  EncodedMatrix encoded = GetParam().encode(matrix, shape.rows, shape.columns);
  std::vector<float> all = decoded(GetParam(), encoded), some(size_t(4 * shape.columns), 0);
  GetParam().decode(encoded, 126, 4, some.data());
  for (size_t i = 0; i < size_t(4 * shape.columns); ++i)
    EXPECT_EQ(some[i], all[size_t(126 * shape.columns) + i]);
}

TEST_P(EveryFormat, primitivesGiveWhatDecodeGives) {
  const Format &f = GetParam();
  std::vector<float> matrix = normalMatrix(3, 150);
  EncodedMatrix encoded = f.encode(matrix, 3, 150);
  std::vector<float> expected = decoded(f, encoded);
  HostReader p;
  unsigned bits = f.element->bits();
  for (int64_t row = 0; row < 3; ++row)
    for (int64_t column = 0; column < 150; ++column) {
      const uint8_t *codes = encoded.codes.data() + row * f.rowCodeBytes(150);
      uint32_t code = 0;
      for (unsigned bit = 0; bit < bits; ++bit) { // one bit after the other, from the low bits on
        size_t at = size_t(column) * bits + bit;
        code |= uint32_t(codes[at / 8] >> (at % 8) & 1) << bit;
      }
      size_t block = 0;
      if (!f.isPlain())
        block = size_t((f.blockRows ? row / f.blockRows : 0) * f.columnBlocks(150) + (f.block ? column / f.block : 0));
      uint32_t scaleCode = 0;
      for (unsigned byte = 0; byte < f.scale->bits() / 8; ++byte)
        scaleCode |= uint32_t(encoded.scales[block * f.scale->bits() / 8 + byte]) << (8 * byte);
      Primitives::Value scale =
          p.multiply(f.scale->decode(p, p.integer(int32_t(scaleCode))), p.real(encoded.tensorScale));
      Primitives::Value minusZero = p.integer(f.hasZero ? -int32_t(encoded.zeros[block]) : 0);
      ASSERT_EQ(f.value(p, p.integer(int32_t(code)), scale, minusZero).number, expected[size_t(row * 150 + column)]);
    }
}

TEST_P(EveryFormat, sizesAreExact) {
  for (Shape shape : shapes) {
    std::vector<float> matrix = normalMatrix(shape.rows, shape.columns);
    EncodedMatrix encoded = GetParam().encode(matrix, shape.rows, shape.columns);
    bool hasTensorScale = GetParam().scale->tensorScaleFor() != 0 && !encoded.scales.empty();
    EXPECT_EQ(GetParam().bytes(shape.rows, shape.columns),
              int64_t(encoded.codes.size() + encoded.scales.size() + encoded.zeros.size()) + 4 * hasTensorScale);
  }
}

TEST_P(EveryFormat, hostileShapesHaveASize) {
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(GetParam().bytes(most, most), most);
  EXPECT_EQ(GetParam().bytes(most, 1 << 20), most);
  EXPECT_GT(GetParam().bytes(1, most), most / 16 * 3);
  EXPECT_EQ(GetParam().bytes(-1, 5), 0);
  EXPECT_EQ(GetParam().bytes(5, -1), 0);
  EXPECT_EQ(GetParam().bytes(std::numeric_limits<int64_t>::min(), most), 0);
}

TEST_P(EveryFormat, valuesThatAreNoNumbers) {
  std::vector<float> matrix = normalMatrix(2, 64), clean = matrix;
  matrix[5] = nan;
  matrix[70] = inf;
  matrix[75] = -inf;
  clean[5] = clean[70] = clean[75] = 0;
  EXPECT_FALSE(isFinite(matrix));
  EXPECT_TRUE(isFinite(clean));
  const Format &f = GetParam();
  EncodedMatrix encoded = f.encode(matrix, 2, 64);
  std::vector<float> back = decoded(f, encoded), expected = decoded(f, f.encode(clean, 2, 64));
  if (f.isPlain()) {
    EXPECT_TRUE(std::isnan(back[5]));
    EXPECT_EQ(back[70], inf);
    EXPECT_EQ(back[75], -inf);
  } else {
    EXPECT_TRUE(isFinite(back));
    EXPECT_EQ(back[5], 0);
    float most = 0;
    for (float value : back)
      most = std::max(most, value);
    EXPECT_GT(back[70], 0.9f * most / (f.blockRows == 1 ? 4 : 1)); // its own block's largest
    EXPECT_LT(back[75], 0);
  }
  for (size_t i : {5, 70, 75})
    back[i] = expected[i] = 0;
  EXPECT_EQ(back, expected);
}

TEST_P(EveryFormat, subnormalsAndTheLargestNumbers) {
  const Format &f = GetParam();
  for (float size : {1e-45f, 1e-41f, 1.2e-38f, 1e-30f, 1e30f, 3.4028234e38f}) {
    std::vector<float> matrix = {size, -size, size / 2, -size / 4, 0, size};
    std::vector<float> back = decoded(f, f.encode(matrix, 1, 6));
    EXPECT_TRUE(isFinite(back)) << f.name << " of " << size;
    for (size_t i = 0; i < matrix.size(); ++i) // never further from the value than 0 is, but for a scale's own limits
      EXPECT_LE(std::abs(double(back[i]) - matrix[i]), std::abs(double(matrix[i])) + 1e-7)
          << f.name << ": " << matrix[i] << " became " << back[i];
  }
}

TEST_P(EveryFormat, oneBlockDoesNotSeeAnother) {
  const Format &f = GetParam();
  if (f.isPlain() || f.blockRows != 1 || f.block == 0 || f.scale->tensorScaleFor() != 0)
    return;
  std::vector<float> matrix = normalMatrix(2, 4 * f.block), other = matrix;
  for (int64_t i = 0; i < f.block; ++i)
    other[size_t(f.block + i)] *= 1000;
  std::vector<float> a = decoded(f, f.encode(matrix, 2, 4 * f.block)), b = decoded(f, f.encode(other, 2, 4 * f.block));
  for (size_t i = 0; i < a.size(); ++i)
    if (int64_t(i) / f.block != 1)
      ASSERT_EQ(a[i], b[i]) << i;
}

TEST_P(EveryFormat, roundsToNearest) {
  // With the scale given, no code of any other value is nearer.
  const Format &f = GetParam();
  if (f.isPlain() || f.element->bits() > 8)
    return;
  std::vector<float> matrix = normalMatrix(1, 200);
  matrix.resize(size_t(std::min<int64_t>(200, f.block ? f.block : 200)));
  int64_t columns = int64_t(matrix.size());
  EncodedMatrix encoded = f.encode(matrix, 1, columns);
  std::vector<float> back = decoded(f, encoded);
  uint32_t scaleCode = 0;
  for (unsigned byte = 0; byte < f.scale->bits() / 8; ++byte)
    scaleCode |= uint32_t(encoded.scales[byte]) << (8 * byte);
  double scale = double(f.scale->value(scaleCode)) * encoded.tensorScale;
  int zero = f.hasZero ? encoded.zeros[0] : 0;
  for (size_t i = 0; i < matrix.size(); ++i)
    for (uint32_t code = 0; code < 1u << f.element->bits(); ++code) {
      double value = (double(f.element->value(code)) - zero) * scale;
      bool isNumber = std::abs(f.element->value(code)) <= f.element->largest();
      if (isNumber)
        ASSERT_LE(std::abs(double(back[i]) - matrix[i]), std::abs(value - matrix[i]) + 1e-6) << f.name << " " << code;
    }
}

TEST(Encode, sizesByFormula) {
  EXPECT_EQ(format("float32").bytes(3, 5), 60);
  EXPECT_EQ(format("float16").bytes(3, 5), 30);
  EXPECT_EQ(format("int8").bytes(3, 5), 3 * 5 + 3 * 4);
  EXPECT_EQ(format("int8-tensor").bytes(3, 5), 3 * 5 + 4);
  EXPECT_EQ(format("int8-g32").bytes(3, 33), 3 * 33 + 3 * 2 * 2);
  EXPECT_EQ(format("int4").bytes(3, 5), 3 * 3 + 3 * 4);
  EXPECT_EQ(format("int4-g128").bytes(2, 576), 2 * 288 + 2 * 5 * 2); // the fifth block is half
  EXPECT_EQ(format("int4-g32-asym").bytes(2, 576), 2 * 288 + 2 * 18 * 3);
  EXPECT_EQ(format("fp8-b128x128").bytes(129, 129), 129 * 129 + 2 * 2 * 4);
  EXPECT_EQ(format("nf4").bytes(2, 576), 2 * 288 + 2 * 9 * 4);
  EXPECT_EQ(format("mxfp4").bytes(2, 64), 64 + 4);
  EXPECT_EQ(format("nvfp4").bytes(2, 64), 64 + 8 + 4);
  EXPECT_EQ(format("nvfp4").bitsPerWeight(4096, 4096), 4.5 + 32.0 / (4096 * 4096));
}

TEST(Encode, layout) {
  std::vector<float> row = {7, -7, 3, 0.4f, 1};
  EncodedMatrix encoded = format("int4-g32").encode(row, 1, 5);
  EXPECT_EQ(encoded.codes, (std::vector<uint8_t>{0x97, 0x03, 0x01})); // the first code in the low half
  EXPECT_EQ(encoded.scales, (std::vector<uint8_t>{0x00, 0x3c}));      // 1.0 in float16, little-endian
  std::vector<float> asym = {-5, 10, 0, 2, 3};
  encoded = format("int4-g32-asym").encode(asym, 1, 5);
  EXPECT_EQ(encoded.codes, (std::vector<uint8_t>{0xf0, 0x75, 0x08}));
  EXPECT_EQ(encoded.scales, (std::vector<uint8_t>{0x00, 0x3c}));
  EXPECT_EQ(encoded.zeros, (std::vector<uint8_t>{5}));
}

TEST(Encode, oddWidthsOfCodes) {
  // Codes that cross bytes: none is listed, all must work.
  for (const char *element : {"int2", "int3", "int5", "int6", "e2m3", "e3m2"}) {
    Format f = format("mxfp4");
    f.name = std::string("with ") + element;
    f.element = findElementCodec(element);
    std::vector<float> matrix = normalMatrix(3, 101);
    EncodedMatrix encoded = f.encode(matrix, 3, 101);
    EXPECT_EQ(int64_t(encoded.codes.size()), 3 * ((101 * f.element->bits() + 7) / 8)) << element;
    EXPECT_GT(sqnr(matrix, decoded(f, encoded)), 5.0) << element;
    expectIdempotent(f, matrix, {3, 101});
  }
}

TEST(Encode, unlistedFormatsAreIdempotent) {
  for (const char *name : {"int4-asym", "int8-asym", "int4-g32-f32-asym", "int8-g64-f32", "int8-tensor-asym",
                           "int8-b64x32", "fp8-e5m2-g32", "nf4-g16"})
    for (unsigned seed = 1; seed <= 20; ++seed)
      for (Shape shape : {Shape{7, 129}, Shape{130, 260}, Shape{1, 1}})
        expectIdempotent(format(name), normalMatrix(shape.rows, shape.columns, 0.05f, seed), shape);
}

TEST(Encode, isDeterministic) {
  std::vector<float> matrix = normalMatrix(130, 260);
  for (const Format &f : allFormats())
    expectSame(f.encode(matrix, 130, 260), f.encode(matrix, 130, 260), f.name);
}

TEST(Encode, scalesAreTheFieldsOwn) {
  std::vector<float> row = normalMatrix(1, 64);
  float amax = 0;
  for (float value : row)
    amax = std::max(amax, std::abs(value));
  auto scaleOf = [&](const char *name) {
    EncodedMatrix encoded = format(name).encode(row, 1, 64);
    float scale;
    memcpy(&scale, encoded.scales.data(), sizeof scale);
    return scale;
  };
  EXPECT_FLOAT_EQ(scaleOf("int8"), amax / 127);
  EXPECT_FLOAT_EQ(scaleOf("int4"), amax / 7);
  EXPECT_FLOAT_EQ(scaleOf("fp8"), amax / 448);
  EXPECT_FLOAT_EQ(scaleOf("fp8-tensor"), amax / 448);
  EXPECT_FLOAT_EQ(scaleOf("nf4"), amax);
  EXPECT_FLOAT_EQ(format("nvfp4").encode(row, 1, 64).tensorScale, amax / (6 * 448));
}

TEST(Encode, int8StaysWithin127) {
  std::vector<float> matrix = normalMatrix(64, 256);
  for (const char *name : {"int8", "int8-g32", "int8-tensor", "mxint8"})
    for (uint8_t code : format(name).encode(matrix, 64, 256).codes)
      ASSERT_NE(code, 0x80) << name;
  for (uint8_t codes : format("int4-g32").encode(matrix, 64, 256).codes)
    ASSERT_TRUE((codes & 15) != 8 && codes >> 4 != 8);
}

/// One row's blocks by `chooseScale` and `codeOf` in primitives, as kernels run them, against `encode`.
TEST_P(EveryFormat, primitivesEncodeTheSameBits) {
  const Format &f = GetParam();
  if (f.blockRows != 1 || f.scale->tensorScaleFor() != 0 || f.isPlain())
    GTEST_SKIP() << "a row has no scales of its own";
  HostReader p;
  const int64_t columns = 96, width = f.block ? f.block : columns;
  for (unsigned seed = 1; seed <= 12; ++seed)
    for (float deviation : {1.0f, 1e-6f, 1e-30f, 1e30f}) {
      std::vector<float> row = normalMatrix(1, columns, deviation, seed);
      if (seed % 4 == 1)
        row[5] = inf, row[40] = nan, row[70] = -inf;
      if (seed % 4 == 2)
        std::fill(row.begin(), row.begin() + 64, 0.0f);
      if (seed % 4 == 3) // one sign, and values halfway between two codes
        for (float &value : row)
          value = std::abs(std::round(value / deviation * 4) / 4 * deviation);
      EncodedMatrix expected = f.encode(row, 1, columns), actual = f.allocate(1, columns, 1);
      std::vector<uint32_t> codes;
      for (int64_t first = 0; first < columns; first += width) {
        auto block = llvm::ArrayRef(row).slice(size_t(first), size_t(std::min(width, columns - first)));
        float lowest = 0, highest = 0;
        for (float value : block)
          if (std::isfinite(value))
            lowest = std::min(lowest, value), highest = std::max(highest, value);
        BlockScaleValues chosen = f.chooseScale(p, p.real(lowest), p.real(highest));
        BlockScale stored{uint32_t(int32_t(chosen.code.number)), float(chosen.value.number),
                          uint8_t(chosen.zero.number)};
        f.storeScale(actual, first / width, stored);
        for (float value : block)
          codes.push_back(uint32_t(int32_t(f.element->codeOf(p, p.real(value), chosen.value, chosen.zero).number)));
      }
      f.storeRow(actual, 0, codes);
      expectSame(actual, expected, f.name + " seed " + std::to_string(seed) + " of " + std::to_string(deviation));
    }
}

} // namespace
