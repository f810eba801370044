#include "qcc/Algorithm/Statistics.h"
#include "Problems.h"
#include "qcc/Algorithm/Covariance.h"
#include "gtest/gtest.h"

using namespace qcc;

namespace {

const float values[12] = {1, -2, 3, 4, 0.5f, -6, 7, 8, -9, 10, -11, 12}; // 2 x 2 x 3

TEST(MinMax, channelsMayBeTheTensorAnAxisOrTokens) {
  MinMax tensor, last(Channels::lastAxis(3)), middle({2, 3}), tokens(Channels::tokens(4, 3));
  for (MinMax *each : {&tensor, &last, &middle, &tokens})
    each->add(values, 12);
  EXPECT_EQ(tensor.range().lowest, -11);
  EXPECT_EQ(tensor.range().highest, 12);
  EXPECT_EQ(last.range(0).lowest, 1);
  EXPECT_EQ(last.range(0).highest, 10);
  EXPECT_EQ(last.range(2).lowest, -9);
  EXPECT_EQ(middle.range(0).lowest, -9);
  EXPECT_EQ(middle.range(0).highest, 8);
  EXPECT_EQ(middle.range(1).highest, 12);
  EXPECT_EQ(tokens.range(1).lowest, -6);
  EXPECT_EQ(tokens.range(3).highest, 12);
}

TEST(MinMax, strangeValuesAreCountedAndLeftOut) {
  MinMax tensor;
  EXPECT_EQ(tensor.range().amax(), 0);
  const float strange[] = {1, NAN, INFINITY, -INFINITY, -3};
  tensor.add(strange, 5);
  EXPECT_EQ(tensor.range().lowest, -3);
  EXPECT_EQ(tensor.range().highest, 1);
  EXPECT_EQ(tensor.range().amax(), 3);
  EXPECT_EQ(tensor.notFinite(), 3);
  MinMax other;
  other.add(values, 12);
  tensor.merge(other);
  EXPECT_EQ(tensor.range().highest, 12);
}

TEST(MovingAverage, followsBatches) {
  MovingAverage average(Channels::tensor(), 0.75);
  const float first[] = {-1, 2}, second[] = {-3, 4};
  average.add(first, 2);
  EXPECT_EQ(average.range().highest, 2);
  average.add(second, 2);
  EXPECT_FLOAT_EQ(average.range().lowest, -1.5f);
  EXPECT_FLOAT_EQ(average.range().highest, 2.5f);
}

TEST(Moments, areMeansByColumn) {
  Moments one(3), part(3), rest(3);
  one.add({values, 4, 3});
  part.add({values, 1, 3});
  rest.add({values + 3, 3, 3});
  part.merge(rest);
  EXPECT_EQ(one.tokens(), 4);
  EXPECT_DOUBLE_EQ(one.mean()[0], (1 + 4 + 7 + 10) / 4.0);
  EXPECT_DOUBLE_EQ(one.meanAbsolute()[1], (2 + 0.5 + 8 + 11) / 4.0);
  EXPECT_DOUBLE_EQ(one.meanSquare()[2], (9 + 36 + 81 + 144) / 4.0);
  EXPECT_EQ(one.maxAbsolute()[1], 11);
  EXPECT_EQ(one.meanSquare(), part.meanSquare());
  EXPECT_EQ(one.maxAbsolute(), part.maxAbsolute());
}

double largestDifference(const std::vector<double> &a, const std::vector<double> &b, int64_t columns) {
  double worst = 0;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double size = std::sqrt(b[size_t(i * (columns + 1))] * b[size_t(j * (columns + 1))]);
      worst = std::max(worst, std::abs(a[size_t(i * columns + j)] - b[size_t(i * columns + j)]) / size);
    }
  return worst;
}

TEST(Covariance, isTheMeanOfProducts) {
  Problem problem(1, 70, 3000);
  MatrixView all(problem.activations, 3000, 70);
  Covariance whole(70, 2);
  whole.add(all);
  EXPECT_EQ(whole.tokens(), 3000);
  std::vector<double> matrix = whole.matrix();
  EXPECT_LT(largestDifference(matrix, problem.covariance, 70), 1e-6);
  for (int64_t i = 0; i < 70; ++i)
    for (int64_t j = 0; j < i; ++j)
      EXPECT_EQ(matrix[size_t(i * 70 + j)], matrix[size_t(j * 70 + i)]);

  // Token by token and in two parts: the same.
  Covariance first(70), second(70);
  for (int64_t token = 0; token < 1100; ++token)
    first.add({all.row(token), 1, 70});
  second.add({all.row(1100), 1900, 70});
  first.merge(second);
  EXPECT_EQ(first.tokens(), 3000);
  EXPECT_LT(largestDifference(first.matrix(), problem.covariance, 70), 1e-6);
}

TEST(Covariance, threadsDoNotChangeTheResult) {
  Problem problem(1, 600, 40);
  Covariance one(600), two(600, 2);
  for (Covariance *each : {&one, &two})
    each->add({problem.activations, 40, 600});
  EXPECT_EQ(one.matrix(), two.matrix());
  EXPECT_LT(largestDifference(one.matrix(), problem.covariance, 600), 1e-6);
}

TEST(Covariance, reportsStrangeTokensAsNotANumber) {
  Covariance covariance(2);
  const float tokens[] = {1, 2, INFINITY, 1};
  covariance.add({tokens, 2, 2});
  EXPECT_FALSE(std::isfinite(covariance.matrix()[0]));
}

} // namespace
