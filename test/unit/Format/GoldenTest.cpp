// What ml_dtypes and gguf make of the same numbers; goldens/make.py writes the file.
#include "Matrices.h"
#include "qcc/Npz/Npz.h"
#include "gtest/gtest.h"

#include <cstring>

using namespace qcc;

namespace {

class Goldens : public ::testing::Test {
protected:
  void SetUp() override {
    std::string error;
    ASSERT_TRUE(readNpz(GOLDENS, arrays, error)) << error;
  }
  const NpzArray &array(const std::string &name) {
    for (const NpzArray &array : arrays)
      if (array.name == name)
        return array;
    ADD_FAILURE() << "no array " << name;
    return arrays.front();
  }
  std::vector<float> floats(const std::string &name) {
    const NpzArray &from = array(name);
    std::vector<float> values(from.bytes.size() / sizeof(float), 0);
    std::memcpy(values.data(), from.bytes.data(), from.bytes.size());
    return values;
  }
  std::vector<uint32_t> codes(const std::string &name) {
    const NpzArray &from = array(name);
    std::vector<uint32_t> values;
    size_t step = size_t(byteSize(from.type));
    for (size_t i = 0; i < from.bytes.size(); i += step)
      values.push_back(step == 1 ? from.bytes[i] : from.bytes[i] | uint32_t(from.bytes[i + 1]) << 8);
    return values;
  }
  std::vector<NpzArray> arrays;
};

TEST_F(Goldens, elementsDecode) {
  for (const char *name : {"float16", "bfloat16", "e4m3", "e5m2", "e2m1", "e2m3", "e3m2", "int4", "int2"}) {
    const ElementCodec *codec = findElementCodec(name);
    std::vector<uint32_t> stored = codes(std::string(name) + ":codes");
    std::vector<float> values = floats(std::string(name) + ":values");
    bool isIeee = llvm::StringRef(name).ends_with("float16");
    size_t compared = 0;
    for (size_t i = 0; i < stored.size(); ++i) {
      if (isIeee && std::isnan(values[i])) {
        EXPECT_TRUE(std::isnan(codec->value(stored[i]))) << name << " code " << stored[i];
      } else if (isIeee || std::isfinite(values[i])) {
        ++compared;
        EXPECT_EQ(codec->value(stored[i]), values[i]) << name << " code " << stored[i];
        EXPECT_EQ(std::signbit(codec->value(stored[i])), std::signbit(values[i])) << name << " code " << stored[i];
      }
    }
    EXPECT_GE(compared, stored.size() * 15 / 16) << name;
  }
}

TEST_F(Goldens, elementsRound) {
  for (const char *name : {"float16", "bfloat16", "e4m3", "e5m2", "e2m1", "e2m3", "e3m2"}) {
    const ElementCodec *codec = findElementCodec(name);
    std::vector<float> numbers = floats(std::string(name) + ":numbers");
    std::vector<uint32_t> rounded = codes(std::string(name) + ":rounded");
    for (size_t i = 0; i < numbers.size(); ++i)
      EXPECT_EQ(codec->encode(numbers[i]), rounded[i]) << name << " of " << numbers[i];
  }
}

TEST_F(Goldens, powersOfTwoDecode) {
  std::vector<uint32_t> stored = codes("e8m0:codes");
  std::vector<float> values = floats("e8m0:values");
  for (size_t i = 0; i < stored.size(); ++i)
    EXPECT_EQ(findScaleCodec("e8m0")->value(stored[i]), values[i]) << stored[i];
}

/// gguf's blocks in a matrix of a format's own order.
EncodedMatrix fromGguf(const NpzArray &blocks, int64_t columns, size_t scaleBytes, bool isSplit) {
  EncodedMatrix matrix;
  matrix.rows = blocks.shape[0];
  matrix.columns = columns;
  size_t codeBytes = isSplit ? 16 : 32;
  for (size_t at = 0; at < blocks.bytes.size(); at += scaleBytes + codeBytes) {
    const uint8_t *block = blocks.bytes.data() + at;
    matrix.scales.insert(matrix.scales.end(), block, block + scaleBytes);
    block += scaleBytes;
    if (!isSplit)
      matrix.codes.insert(matrix.codes.end(), block, block + codeBytes);
    else // byte j holds elements j and j + 16
      for (size_t half : {0, 4})
        for (size_t j = 0; j < 16; j += 2)
          matrix.codes.push_back(uint8_t((block[j] >> half & 15) | (block[j + 1] >> half & 15) << 4));
  }
  return matrix;
}

TEST_F(Goldens, ggufBlocksDecodeToTheSameValues) {
  Format int8 = llvm::cantFail(findFormat("int8-g32")), mxfp4 = llvm::cantFail(findFormat("mxfp4"));
  EXPECT_EQ(decoded(int8, fromGguf(array("gguf:q8_0"), 64, 2, false)), floats("gguf:q8_0:values"));
  EXPECT_EQ(decoded(mxfp4, fromGguf(array("gguf:mxfp4"), 64, 1, true)), floats("gguf:mxfp4:values"));
}

TEST_F(Goldens, int8BlocksAreThoseOfQ8_0) {
  std::vector<float> matrix = floats("gguf:matrix");
  EncodedMatrix ours = llvm::cantFail(findFormat("int8-g32")).encode(matrix, 24, 64);
  EncodedMatrix theirs = fromGguf(array("gguf:q8_0"), 64, 2, false);
  EXPECT_EQ(ours.scales, theirs.scales);
  // gguf divides by the scale before it is rounded to float16, which moves a code near a halfway point by one.
  size_t moved = 0;
  for (size_t i = 0; i < ours.codes.size(); ++i) {
    int difference = std::abs(int(int8_t(ours.codes[i])) - int8_t(theirs.codes[i]));
    EXPECT_LE(difference, 1);
    moved += difference != 0;
  }
  EXPECT_LE(moved, ours.codes.size() / 50);
}

TEST_F(Goldens, mxfp4BlocksAreThoseOfGguf) {
  std::vector<float> matrix = floats("gguf:matrix");
  Format mxfp4 = llvm::cantFail(findFormat("mxfp4"));
  EncodedMatrix ours = mxfp4.encode(matrix, 24, 64), theirs = fromGguf(array("gguf:mxfp4"), 64, 1, true);
  EXPECT_EQ(ours.scales, theirs.scales);
  EXPECT_EQ(decoded(mxfp4, ours), decoded(mxfp4, theirs)); // codes of +0 and -0 may differ
}

} // namespace
