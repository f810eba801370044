#include "qcc/Program/Divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace qcc;

namespace {

NpzArray matrix(std::string name, std::vector<int64_t> shape, std::vector<float> values) {
  NpzArray array{std::move(name), DataType::F32, std::move(shape), std::vector<uint8_t>(values.size() * 4)};
  std::memcpy(array.bytes.data(), values.data(), array.bytes.size());
  return array;
}

TEST(Divergence, ofTwoDistributions) {
  // p = (1/2, 1/2), q = (1/4, 3/4): KL(p ‖ q) = 1/2 log 2 + 1/2 log 2/3.
  Divergence divergence;
  std::string error;
  ASSERT_TRUE(divergence.add({matrix("y", {1, 2}, {5, 5})}, {matrix("y", {1, 2}, {0, std::log(3.0f)})}, error));
  EXPECT_NEAR(divergence.kld(), 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3.0), 1e-7);
  // Another row, with equal distributions and the same largest element, halves the mean.
  ASSERT_TRUE(divergence.add({matrix("y", {1, 2}, {1, 2})}, {matrix("y", {1, 2}, {101, 102})}, error));
  EXPECT_NEAR(divergence.kld(), 0.25 * std::log(2.0) + 0.25 * std::log(2.0 / 3.0), 1e-7);
  EXPECT_DOUBLE_EQ(divergence.top1(), 0.5);
  EXPECT_EQ(divergence.rows(), 2);
}

TEST(Divergence, relativeErrorOverAllRuns) {
  Divergence divergence;
  std::string error;
  ASSERT_TRUE(divergence.add({matrix("y", {}, {3})}, {matrix("y", {}, {3.5f})}, error));
  ASSERT_TRUE(divergence.add({matrix("y", {}, {4})}, {matrix("y", {}, {4})}, error));
  EXPECT_DOUBLE_EQ(divergence.relativeErrors().at("y"), 0.1);
  EXPECT_TRUE(std::isnan(divergence.kld()));
  EXPECT_TRUE(std::isnan(divergence.top1()));
}

TEST(Divergence, hugeLogitsDoNotOverflow) {
  Divergence divergence;
  std::string error;
  ASSERT_TRUE(divergence.add({matrix("y", {1, 2}, {3e4f, -3e4f})}, {matrix("y", {1, 2}, {3e4f, -3e4f})}, error));
  EXPECT_EQ(divergence.kld(), 0);
}

TEST(Divergence, shapesMustBeEqual) {
  Divergence divergence;
  std::string error;
  EXPECT_FALSE(divergence.add({matrix("y", {1, 2}, {1, 2})}, {matrix("y", {2, 1}, {1, 2})}, error));
  EXPECT_EQ(error, "output 'y' has another shape or type than the reference's");
}

} // namespace
