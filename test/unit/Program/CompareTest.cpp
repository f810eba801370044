#include "qcc/Program/Compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace qcc;

namespace {

template <typename T> NpzArray array(DataType type, std::vector<T> values) {
  NpzArray result{"y", type, {static_cast<int64_t>(values.size())}, std::vector<uint8_t>(values.size() * sizeof(T))};
  std::memcpy(result.bytes.data(), values.data(), result.bytes.size());
  return result;
}
NpzArray floats(std::vector<float> values) { return array(DataType::F32, std::move(values)); }

const float nan = std::numeric_limits<float>::quiet_NaN();
const float inf = std::numeric_limits<float>::infinity();

TEST(Compare, relativeErrorOfTheWhole) {
  Comparison comparison = compare(floats({3, 4.5f}), floats({3, 4}), 0.1);
  EXPECT_TRUE(comparison.same);
  EXPECT_DOUBLE_EQ(comparison.error, 0.1);
  EXPECT_FALSE(compare(floats({3, 4.5f}), floats({3, 4}), 0.0999).same);
  EXPECT_TRUE(compare(floats({}), floats({}), 0).same);
  EXPECT_TRUE(compare(floats({0, 0}), floats({0, 0}), 0).same);
  comparison = compare(floats({0, 1e-30f}), floats({0, 0}), 1e-5);
  EXPECT_FALSE(comparison.same);
  EXPECT_TRUE(std::isinf(comparison.error));
}

TEST(Compare, nansAndInfinities) {
  EXPECT_TRUE(compare(floats({1, nan, inf, -inf}), floats({1, nan, inf, -inf}), 0).same);
  Comparison comparison = compare(floats({1, nan}), floats({1, 2}), 1);
  EXPECT_FALSE(comparison.same);
  EXPECT_EQ(comparison.reason, "1 NaNs, expected 0");
  EXPECT_FALSE(compare(floats({1, 2}), floats({1, nan}), 1).same);
  EXPECT_FALSE(compare(floats({nan, 1}), floats({1, nan}), 1).same);
  EXPECT_FALSE(compare(floats({inf}), floats({-inf}), 1).same);
  EXPECT_FALSE(compare(floats({inf}), floats({1}), 1).same);
}

TEST(Compare, integersAreEqual) {
  auto numbers = [](std::vector<int64_t> values) { return array(DataType::I64, std::move(values)); };
  EXPECT_TRUE(compare(numbers({1, -2}), numbers({1, -2}), 0).same);
  Comparison comparison = compare(numbers({1, 2, 3, 4}), numbers({1, 2, 3, 5}), 1);
  EXPECT_FALSE(comparison.same);
  EXPECT_EQ(comparison.error, 0.25);
  EXPECT_EQ(comparison.reason, "1 of 4 elements differ");
}

TEST(Compare, shapesAndTypes) {
  EXPECT_EQ(compare(floats({1}), floats({1, 2}), 1).reason, "its shape is [1], expected [2]");
  EXPECT_EQ(compare(floats({1}), array<int64_t>(DataType::I64, {1}), 1).reason, "its type is f32, expected i64");
  NpzArray bf16 = array<uint16_t>(DataType::BF16, {0x3fc0, 0xc000}),
           raw = array<uint16_t>(DataType::U16, {0x3fc0, 0xc000});
  EXPECT_TRUE(compare(bf16, raw, 0).same);
  EXPECT_TRUE(compare(bf16, floats({1.5f, -2}), 0).same);
  // Half precision: one, the largest, the smallest, minus infinity.
  EXPECT_TRUE(
      compare(array<uint16_t>(DataType::F16, {0x3c00, 0x7bff, 0x0001, 0xfc00}),
              array<double>(DataType::F64, {1, 65504, std::ldexp(1.0, -24), -std::numeric_limits<double>::infinity()}),
              0)
          .same);
  EXPECT_TRUE(compare(array<uint8_t>(DataType::F8E4M3FN, {0x38}), array<uint8_t>(DataType::U8, {0x38}), 0).same);
  EXPECT_FALSE(compare(array<uint8_t>(DataType::F8E4M3FN, {0x38}), array<uint8_t>(DataType::U8, {0x39}), 1).same);
}

} // namespace
