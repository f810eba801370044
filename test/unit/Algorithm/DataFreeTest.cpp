// Algorithms that look at weights alone.
#include "Goldens.h"
#include "Problems.h"
#include "qcc/Algorithm/Equalization.h"
#include "qcc/Algorithm/Hqq.h"

using namespace qcc;

namespace {

double normOf(const Problem &problem, const std::vector<float> &values, double norm) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += std::pow(std::abs(double(problem.weights[i]) - values[i]), norm);
  return sum;
}

TEST(Hqq, lowersTheNormOfFormatsWithZeros) {
  Problem problem(32, 256, 1);
  for (size_t i = 0; i < problem.weights.size(); i += 29)
    problem.weights[i] *= 5;
  for (const char *name : {"int4-g32-asym", "int4-g128-asym", "int8-g32-asym", "int4-asym"}) {
    Format to = format(name);
    auto scales = hqq(to, problem.view(), {});
    ASSERT_TRUE(bool(scales)) << scales.reason();
    std::vector<float> values = decodeAll(to, encodeWithScales(to, problem.view(), *scales));
    std::vector<float> nearest = decodeAll(to, to.encode(problem.weights, 32, 256));
    EXPECT_LE(normOf(problem, values, 0.7), normOf(problem, nearest, 0.7)) << name;
  }
}

using HqqGoldens = Goldens;

TEST_F(HqqGoldens, normIsTheSame) {
  for (const char *name : {"int4-g32-asym", "int4-g128-asym"}) {
    Format to = format(name);
    auto scales = hqq(to, view(), {});
    std::vector<float> values = decodeAll(to, encodeWithScales(to, view(), *scales));
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i)
      sum += std::pow(std::abs(double(weights[i]) - values[i]), 0.7);
    EXPECT_NEAR(sum / numbers<double>(std::string(name) + ":hqq").front(), 1, 1e-5) << name;
  }
}

TEST(Hqq, doesNotApplyWithoutZeros) {
  Problem problem(2, 32, 1);
  for (const char *name : {"nf4", "int4-g32", "mxfp4", "fp8"})
    EXPECT_NE(hqq(format(name), problem.view(), {}).reason().find("does not apply"), std::string::npos) << name;
}

TEST(Equalization, makesRangesEqualAndKeepsTheFunction) {
  Problem first(24, 16, 1), second(8, 24, 1, 2);
  for (int64_t i = 0; i < 24 * 16; ++i)
    first.weights[size_t(i)] *= float(1 + i / 16);
  std::vector<float> scales = equalizationScales(first.view(), second.view());
  std::vector<float> a = first.weights, b = second.weights;
  scaleRows(a, 16, scales, true);
  scaleColumns(b, scales, false);
  for (float scale : equalizationScales({a, 24, 16}, {b, 8, 24}))
    EXPECT_NEAR(scale, 1, 1e-6);
  for (int64_t row = 0; row < 8; ++row)
    for (int64_t column = 0; column < 16; ++column) {
      double before = 0, after = 0;
      for (int64_t i = 0; i < 24; ++i) {
        before += double(second.weights[size_t(row * 24 + i)]) * first.weights[size_t(i * 16 + column)];
        after += double(b[size_t(row * 24 + i)]) * a[size_t(i * 16 + column)];
      }
      EXPECT_NEAR(before, after, 1e-6);
    }
  std::vector<float> zeros(24 * 16, 0);
  for (float scale : equalizationScales({zeros, 24, 16}, second.view()))
    EXPECT_EQ(scale, 1);
}

TEST(BiasCorrection, restoresTheMeanOfTheOutputs) {
  Problem problem(8, 64, 50);
  std::vector<double> mean(64, 0);
  for (int64_t i = 0; i < 50 * 64; ++i)
    mean[size_t(i % 64)] += (problem.activations[size_t(i)] + 1) / 50.0;
  std::vector<float> quantized = decodeAll(format("int4"), format("int4").encode(problem.weights, 8, 64));
  std::vector<float> correction = biasCorrection(problem.view(), quantized, mean);
  for (int64_t row = 0; row < 8; ++row) {
    double exact = 0, rounded = correction[size_t(row)];
    for (int64_t i = 0; i < 64; ++i) {
      exact += problem.weights[size_t(row * 64 + i)] * mean[size_t(i)];
      rounded += quantized[size_t(row * 64 + i)] * mean[size_t(i)];
    }
    EXPECT_NEAR(exact, rounded, 1e-6);
  }
}

} // namespace
