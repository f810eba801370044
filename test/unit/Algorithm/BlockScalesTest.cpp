#include "qcc/Algorithm/BlockScales.h"
#include "Goldens.h"
#include "Problems.h"

using namespace qcc;

namespace {

double weighedError(const Problem &problem, const std::vector<float> &values, const std::vector<double> &importance) {
  double sum = 0;
  for (int64_t i = 0; i < problem.rows * problem.columns; ++i) {
    double difference = double(problem.weights[size_t(i)]) - values[size_t(i)];
    sum += importance[size_t(i % problem.columns)] * difference * difference;
  }
  return sum;
}

std::vector<double> diagonal(const Problem &problem) {
  std::vector<double> result;
  for (int64_t i = 0; i < problem.columns; ++i)
    result.push_back(problem.covariance[size_t(i * (problem.columns + 1))]);
  return result;
}

TEST(BlockScales, nearestScalesAreThoseOfEncode) {
  Problem problem(33, 200, 4);
  for (const Format &format : allFormats()) {
    EncodedMatrix whole = format.encode(problem.weights, 33, 200);
    EncodedMatrix pieces = encodeWithScales(format, problem.view(), nearestScales(format, problem.view()));
    EXPECT_EQ(whole.codes, pieces.codes) << format.name;
    EXPECT_EQ(whole.scales, pieces.scales) << format.name;
    EXPECT_EQ(whole.zeros, pieces.zeros) << format.name;
    EXPECT_EQ(whole.tensorScale, pieces.tensorScale) << format.name;
  }
}

TEST(BlockScales, searchedScalesLowerTheWeighedError) {
  Problem problem(20, 160, 300);
  for (size_t i = 0; i < problem.weights.size(); i += 61)
    problem.weights[i] *= 6;
  std::vector<double> importance = diagonal(problem);
  for (const Format &format : allFormats()) {
    BlockScales nearest = nearestScales(format, problem.view());
    BlockScales searched = searchScales(format, problem.view(), importance.data(), {}, 2);
    double before =
        weighedError(problem, decodeAll(format, encodeWithScales(format, problem.view(), nearest)), importance);
    double after =
        weighedError(problem, decodeAll(format, encodeWithScales(format, problem.view(), searched)), importance);
    EXPECT_LE(after, before) << format.name;
    if (format.element->bits() == 4)
      EXPECT_LT(after, (format.scale->name() == "e8m0" ? 1 : 0.9) * before) << format.name;
  }
}

using SearchGoldens = Goldens;

TEST_F(SearchGoldens, searchFindsTheSameError) {
  Problem problem(1, 1, 1);
  problem.rows = rows, problem.columns = columns, problem.weights = weights, problem.covariance = covariance;
  std::vector<double> importance = diagonal(problem);
  ScaleSearch search;
  search.refinements = 0;
  for (const char *name : {"int4-g32", "int4-g64-asym", "nf4", "mxfp4", "fp8"}) {
    Format to = format(name);
    BlockScales scales = searchScales(to, view(), importance.data(), search);
    double error = weighedError(problem, decodeAll(to, encodeWithScales(to, view(), scales)), importance);
    EXPECT_NEAR(error / numbers<double>(std::string(name) + ":searched").front(), 1, 1e-5) << name;
  }
}

/// No scale on a grid a hundred times finer is much better.
TEST(BlockScales, searchComesNearTheBestOfAllScales) {
  Problem problem(8, 64, 4);
  std::vector<float> importance(64, 0);
  for (size_t i = 0; i < 64; ++i)
    importance[i] = float(1 + i % 9);
  Format fine = format("int4-g64-f32");
  for (int64_t row = 0; row < problem.rows; ++row) {
    const float *values = problem.view().row(row);
    float amax = 0;
    for (int i = 0; i < 64; ++i)
      amax = std::max(amax, std::abs(values[i]));
    auto error = [&](double scale) {
      double sum = 0;
      for (int i = 0; i < 64; ++i) {
        double q = std::clamp(std::nearbyint(values[i] / scale), -7.0, 7.0) * scale;
        sum += importance[size_t(i)] * (values[i] - q) * (values[i] - q);
      }
      return sum;
    };
    double best = error(amax / 7);
    for (int i = 0; i < 5000; ++i)
      best = std::min(best, error(amax / 7 * (0.4 + i * 0.0002)));
    BlockScale found = searchScale(fine, values, importance.data(), 64, 1, {});
    EXPECT_LE(error(found.value), 1.05 * best);
    EXPECT_GE(error(found.value), 0.9999 * best);
  }
}

TEST(BlockScales, coarseScalesMayGrow) {
  // 7.9 saturates at 6 under MXFP4's own rule, which makes an error of 1.9; the next scale makes one of 0.1.
  std::vector<float> values(32, 0);
  values[3] = 7.9f;
  Format mxfp4 = format("mxfp4");
  EXPECT_EQ(mxfp4.chooseScale(0, 7.9f, 1).value, 1);
  EXPECT_EQ(searchScale(mxfp4, values.data(), nullptr, 32, 1, {}).value, 2);
}

TEST(BlockScales, clipThroughTheCovarianceLowersTheBlocksError) {
  Problem problem(24, 128, 400);
  for (size_t i = 0; i < problem.weights.size(); i += 53)
    problem.weights[i] *= 5;
  Format row = format("int4"); // one block: its error is the whole one
  auto clipped = searchScalesByCovariance(row, problem.view(), problem.covariance.data(), clipSearch(), 2);
  ASSERT_TRUE(bool(clipped)) << clipped.reason();
  double after = outputError(problem.view(), decodeAll(row, encodeWithScales(row, problem.view(), *clipped)),
                             problem.covariance.data());
  double before =
      outputError(problem.view(), decodeAll(row, row.encode(problem.weights, 24, 128)), problem.covariance.data());
  EXPECT_LT(after, 0.8 * before);

  auto refused =
      searchScalesByCovariance(format("fp8-b128x128"), problem.view(), problem.covariance.data(), clipSearch());
  EXPECT_NE(refused.reason().find("spans several rows"), std::string::npos);
  refused = searchScalesByCovariance(format("float32"), problem.view(), problem.covariance.data(), clipSearch());
  EXPECT_NE(refused.reason().find("no scales"), std::string::npos);
}

TEST(BlockScales, zeroBlocksStayZero) {
  std::vector<float> zeros(64, 0);
  for (const Format &format : allFormats()) {
    BlockScales scales = searchScales(format, {zeros, 2, 32}, nullptr, {});
    for (float value : decodeAll(format, encodeWithScales(format, {zeros, 2, 32}, scales)))
      EXPECT_EQ(value, 0) << format.name;
  }
}

} // namespace
