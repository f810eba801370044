#include "qcc/Algorithm/Rotation.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace qcc;

namespace {

TEST(Hadamard, rowsAreOrthogonal) {
  int sizes = 0;
  for (int64_t size = 1; size <= 256; ++size) {
    std::vector<int8_t> matrix = hadamardMatrix(size);
    if (matrix.empty())
      continue;
    ++sizes;
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j <= i; ++j) {
        int sum = 0;
        for (int64_t k = 0; k < size; ++k) {
          ASSERT_EQ(std::abs(matrix[size_t(i * size + k)]), 1);
          sum += matrix[size_t(i * size + k)] * matrix[size_t(j * size + k)];
        }
        ASSERT_EQ(sum, i == j ? size : 0) << size << " rows " << i << " and " << j;
      }
  }
  EXPECT_GT(sizes, 30);
  for (int64_t size : {12, 20, 28, 36, 44, 60, 76, 108, 140, 148})
    EXPECT_FALSE(hadamardMatrix(size).empty()) << size;
}

/// The sizes of layers of known models.
TEST(Rotation, isOrthonormal) {
  for (int64_t size : {1, 2, 12, 20, 28, 36, 40, 64, 576, 768, 896, 1536}) {
    auto rotation = Rotation::create(size, size % 3);
    ASSERT_TRUE(bool(rotation)) << rotation.reason();
    std::vector<float> q(size_t(size * size), 0);
    for (int64_t i = 0; i < size; ++i)
      q[size_t(i * size + i)] = 1;
    rotation->apply(q.data(), size, 2);
    // Some columns against all.
    for (int64_t i = 0; i < size; i += 1 + size / 23)
      for (int64_t j = 0; j < size; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < size; ++k)
          sum += double(q[size_t(k * size + i)]) * q[size_t(k * size + j)];
        ASSERT_NEAR(sum, i == j, 1e-6) << size;
      }
    for (float value : q)
      ASSERT_NEAR(std::abs(value), 1 / std::sqrt(double(size)), 1e-6);
    rotation->applyTransposed(q.data(), size);
    for (int64_t i = 0; i < size * size; ++i)
      ASSERT_NEAR(q[size_t(i)], i % (size + 1) == 0, 1e-6) << size;
  }
}

TEST(Rotation, knowsTheSizesOfModels) {
  for (int64_t size : {2048, 3072, 3584, 4096, 4864, 5120, 6144, 8192, 8960, 11264, 13824, 14336, 18944, 28672})
    EXPECT_TRUE(bool(Rotation::create(size))) << size;
  auto refused = Rotation::create(11008);
  EXPECT_NE(refused.reason().find("blocks of 256"), std::string::npos) << refused.reason();
  EXPECT_TRUE(bool(Rotation::blocks(11008, 256)));
  EXPECT_FALSE(bool(Rotation::blocks(100, 64)));
  EXPECT_FALSE(bool(Rotation::create(0)));
}

TEST(Rotation, keepsTheFunctionAndSpreadsOutliers) {
  const int64_t rows = 8, size = 640, block = 64;
  std::mt19937_64 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> weights(size_t(rows * size)), input(size_t(size), 0);
  for (float &weight : weights)
    weight = normal(generator);
  for (float &value : input)
    value = normal(generator);
  input[17] = 300;
  for (auto rotation : {Rotation::create(size, 5), Rotation::blocks(size, block, 5)}) {
    ASSERT_TRUE(bool(rotation)) << rotation.reason();
    std::vector<float> w = weights, x = input;
    rotation->apply(w.data(), rows);
    rotation->apply(x.data(), 1);
    float most = 0;
    for (float value : x)
      most = std::max(most, std::abs(value));
    EXPECT_LT(most, 60);
    for (int64_t row = 0; row < rows; ++row) {
      double before = 0, after = 0;
      for (int64_t i = 0; i < size; ++i) {
        before += double(weights[size_t(row * size + i)]) * input[size_t(i)];
        after += double(w[size_t(row * size + i)]) * x[size_t(i)];
      }
      EXPECT_NEAR(before, after, 1e-3);
    }
  }
}

} // namespace
