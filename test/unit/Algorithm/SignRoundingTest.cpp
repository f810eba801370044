#include "qcc/Algorithm/SignRounding.h"
#include "Problems.h"
#include "gtest/gtest.h"

using namespace qcc;

namespace {

TEST(SignRounding, lowersTheErrorInEveryFormat) {
  Problem problem(24, 128, 400);
  for (const Format &format : allFormats()) {
    BlockScales scales = nearestScales(format, problem.view());
    auto result = signRounding(format, problem.view(), problem.covariance.data(), scales, {});
    if (format.element->bits() > 16) {
      EXPECT_NE(result.reason().find("nothing to round"), std::string::npos);
      continue;
    }
    ASSERT_TRUE(bool(result)) << result.reason();
    std::vector<float> nearest = decodeAll(format, format.encode(problem.weights, 24, 128));
    double before = outputError(problem.view(), nearest, problem.covariance.data());
    double after = outputError(problem.view(), decodeAll(format, result->encoded), problem.covariance.data());
    EXPECT_NEAR(result->errorOfNearest / before, 1, 1e-4) << format.name;
    EXPECT_NEAR(result->error / after, 1, 1e-3) << format.name;
    EXPECT_LT(after, 0.8 * before) << format.name;
  }
}

TEST(SignRounding, staysWithinOneStepOfTheWeights) {
  Problem problem(8, 64, 200);
  Format int4 = format("int4-g32-asym");
  BlockScales scales = nearestScales(int4, problem.view());
  auto result = signRounding(int4, problem.view(), problem.covariance.data(), scales, {});
  std::vector<float> values = decodeAll(int4, result->encoded);
  for (int64_t i = 0; i < 8 * 64; ++i)
    EXPECT_LE(std::abs(values[size_t(i)] - problem.weights[size_t(i)]), 1.0001 * scales.blocks[size_t(i / 32)].value);
}

TEST(SignRounding, uncorrelatedInputsAreRoundedToNearest) {
  Problem problem(8, 64, 1);
  for (int64_t i = 0; i < 64 * 64; ++i)
    problem.covariance[size_t(i)] = i % 65 == 0;
  Format nf4 = format("nf4");
  auto result = signRounding(nf4, problem.view(), problem.covariance.data(), nearestScales(nf4, problem.view()), {});
  EXPECT_EQ(result->encoded.codes, nf4.encode(problem.weights, 8, 64).codes);
}

} // namespace
