#include "qcc/Algorithm/Gptq.h"
#include "Goldens.h"
#include "Problems.h"

using namespace qcc;

namespace {

double roundingError(const Format &format, MatrixView weights, const std::vector<double> &covariance) {
  EncodedMatrix nearest = format.encode({weights.data, size_t(weights.size())}, weights.rows, weights.columns);
  return outputError(weights, decodeAll(format, nearest), covariance.data());
}

GptqResult solve(const Format &format, const Problem &problem, const HessianOptions &hessian = {},
                 const GptqOptions &options = {}) {
  auto factor = HessianFactor::create(problem.covariance.data(), problem.columns, hessian);
  EXPECT_TRUE(bool(factor)) << factor.reason();
  auto result = gptq(format, problem.view(), *factor, options);
  EXPECT_TRUE(bool(result)) << result.reason();
  return *result;
}

using GptqGoldens = Goldens;

TEST_F(GptqGoldens, objectiveIsThePapers) {
  for (bool ordered : {false, true}) {
    HessianOptions options;
    options.activationOrder = ordered;
    auto factor = HessianFactor::create(covariance.data(), columns, options);
    ASSERT_TRUE(bool(factor)) << factor.reason();
    for (const char *name : {"int4-g32", "int4-g64", "int4-g128", "int4-g32-asym", "int4-g64-asym", "int4-g128-asym",
                             "int4", "int8", "int8-g32", "nf4", "mxfp4", "fp8"}) {
      Format to = format(name);
      auto result = gptq(to, view(), *factor, {});
      ASSERT_TRUE(bool(result)) << result.reason();
      double wanted = numbers<double>(std::string(name) + (ordered ? ":ordered" : ":natural")).front();
      EXPECT_NEAR(result->objective / wanted, 1, 1e-6) << name << (ordered ? " ordered" : "");
      double measured = outputError(view(), decodeAll(to, result->encoded), covariance.data());
      EXPECT_NEAR(result->objective / measured, 1, 1e-9) << name;
      EXPECT_LT(result->objective, roundingError(to, view(), covariance)) << name;
    }
  }
}

TEST_F(GptqGoldens, clippedObjectiveIsTheSame) {
  HessianOptions ordered;
  ordered.activationOrder = true;
  auto factor = HessianFactor::create(covariance.data(), columns, ordered);
  GptqOptions options;
  options.clip = ScaleSearch();
  options.clip->refinements = 0;
  auto result = gptq(format("int4-g64"), view(), *factor, options);
  EXPECT_NEAR(result->objective / numbers<double>("int4-g64:clipped").front(), 1, 1e-6);
}

/// All formats but those without anything to choose.
std::vector<Format> roundingFormats() {
  std::vector<Format> formats;
  for (const Format &format : allFormats())
    if (format.element->bits() <= 8)
      formats.push_back(format);
  return formats;
}

TEST(Gptq, isBetterThanRoundingInEveryFormat) {
  Problem problem(40, 192, 500);
  for (const Format &format : roundingFormats())
    for (bool ordered : {false, true}) {
      HessianOptions options;
      options.activationOrder = ordered;
      GptqResult result = solve(format, problem, options);
      double measured = outputError(problem.view(), decodeAll(format, result.encoded), problem.covariance.data());
      EXPECT_NEAR(result.objective / measured, 1, 1e-8) << format.name;
      EXPECT_LT(result.objective, roundingError(format, problem.view(), problem.covariance)) << format.name;
    }
}

TEST(Gptq, blocksNeedNotDivideTheColumns) {
  Problem problem(6, 576, 700);
  for (const char *name : {"int4-g128", "int4-g256", "int4-g64", "int4-g32-asym", "nf4-g256", "nvfp4", "int8"}) {
    GptqOptions narrow, wide;
    narrow.lazyColumns = 48;
    wide.lazyColumns = 1 << 20;
    GptqResult usual = solve(format(name), problem);
    EXPECT_NEAR(solve(format(name), problem, {}, narrow).objective / usual.objective, 1, 1e-9) << name;
    EXPECT_NEAR(solve(format(name), problem, {}, wide).objective / usual.objective, 1, 1e-9) << name;
    EXPECT_LT(usual.objective, roundingError(format(name), problem.view(), problem.covariance)) << name;
  }
}

TEST(Gptq, uncorrelatedInputsAreRoundedToNearest) {
  Problem problem(16, 64, 100);
  for (int64_t i = 0; i < 64 * 64; ++i)
    problem.covariance[size_t(i)] = i % 65 == 0 ? 1 + double(i % 7) : 0;
  for (const Format &format : roundingFormats()) {
    GptqResult result = solve(format, problem);
    EncodedMatrix nearest = format.encode(problem.weights, 16, 64);
    EXPECT_EQ(result.encoded.codes, nearest.codes) << format.name;
    EXPECT_EQ(result.encoded.scales, nearest.scales) << format.name;
    EXPECT_EQ(result.encoded.zeros, nearest.zeros) << format.name;
  }
}

TEST(Gptq, singlePrecisionComesClose) {
  Problem problem(32, 256, 600);
  HessianOptions single;
  single.singlePrecision = true;
  for (const char *name : {"int4-g32", "int8"}) {
    double wide = solve(format(name), problem).objective, narrow = solve(format(name), problem, single).objective;
    EXPECT_NEAR(narrow / wide, 1, 1e-3) << name;
  }
}

TEST(Gptq, threadsDoNotChangeTheResult) {
  Problem problem(100, 608, 700); // more columns than one piece of the factorization has
  GptqOptions two;
  HessianOptions both;
  two.threads = both.threads = 2;
  for (const char *name : {"int4-g32-asym", "fp8-b128x128", "int8-tensor"}) {
    GptqResult one = solve(format(name), problem), other = solve(format(name), problem, both, two);
    EXPECT_EQ(one.encoded.codes, other.encoded.codes) << name;
    EXPECT_EQ(one.objective, other.objective) << name;
  }
}

TEST(Gptq, orderIsThatOfPermutedColumnsWhereTheRowHasOneScale) {
  Problem problem(12, 80, 200);
  HessianOptions ordered;
  ordered.activationOrder = true;
  Format int8 = format("int8");
  GptqResult inPlace = solve(int8, problem, ordered);
  std::vector<int64_t> order = activationOrder(problem.covariance.data(), 80);
  Problem permuted = problem;
  permuted.weights = permuteColumns(problem.view(), order);
  permuted.covariance = permuteCovariance(problem.covariance.data(), order);
  for (int64_t i = 1; i < 80; ++i)
    EXPECT_GE(permuted.covariance[size_t((i - 1) * 81)], permuted.covariance[size_t(i * 81)]);
  std::vector<float> there = decodeAll(int8, inPlace.encoded), folded = decodeAll(int8, solve(int8, permuted).encoded);
  for (int64_t row = 0; row < 12; ++row)
    for (int64_t i = 0; i < 80; ++i)
      EXPECT_EQ(folded[size_t(row * 80 + i)], there[size_t(row * 80 + order[size_t(i)])]);
}

TEST(Gptq, deadColumnsAreRoundedAndDisturbNothing) {
  Problem problem(10, 64, 200);
  for (int64_t i = 0; i < 64; ++i)
    problem.covariance[size_t(5 * 64 + i)] = problem.covariance[size_t(i * 64 + 5)] = 0;
  Format int8 = format("int8");
  GptqResult result = solve(int8, problem);
  std::vector<float> values = decodeAll(int8, result.encoded);
  std::vector<float> nearest = decodeAll(int8, int8.encode(problem.weights, 10, 64));
  for (int64_t row = 0; row < 10; ++row)
    EXPECT_EQ(values[size_t(row * 64 + 5)], nearest[size_t(row * 64 + 5)]);
  double measured = outputError(problem.view(), values, problem.covariance.data());
  EXPECT_NEAR(result.objective / measured, 1, 1e-9);
}

TEST(Gptq, clippedScalesLowerTheErrorOfHeavyTails) {
  Problem problem(24, 256, 500);
  for (size_t i = 0; i < problem.weights.size(); i += 97)
    problem.weights[i] *= 8;
  GptqOptions clip;
  clip.clip = ScaleSearch();
  EXPECT_LT(solve(format("int4-g128"), problem, {}, clip).objective, solve(format("int4-g128"), problem).objective);
}

TEST(Gptq, scalesMayBeGiven) {
  Problem problem(20, 256, 500);
  for (const char *name : {"int4-g64", "nvfp4", "int4-g32-asym"}) {
    Format to = format(name);
    BlockScales nearest = nearestScales(to, problem.view()), others = nearest;
    others.blocks.pop_back();
    GptqOptions options;
    options.scales = &nearest;
    GptqResult result = solve(to, problem, {}, options);
    EXPECT_EQ(result.encoded.scales, to.encode(problem.weights, 20, 256).scales);
    EXPECT_LT(result.objective, roundingError(to, problem.view(), problem.covariance));
    options.scales = &others;
    auto factor = HessianFactor::create(problem.covariance.data(), 256, {});
    EXPECT_NE(gptq(to, problem.view(), *factor, options).reason().find("another matrix"), std::string::npos);
  }
}

TEST(Gptq, blocksMaySpanRows) {
  Problem problem(70, 96, 200);
  Format tiles = format("fp8-b16x32");
  for (bool ordered : {false, true}) {
    HessianOptions options;
    options.activationOrder = ordered;
    GptqResult result = solve(tiles, problem, options);
    double measured = outputError(problem.view(), decodeAll(tiles, result.encoded), problem.covariance.data());
    EXPECT_NEAR(result.objective / measured, 1, 1e-9);
    EXPECT_LT(result.objective, 0.8 * roundingError(tiles, problem.view(), problem.covariance));
  }
}

TEST(Gptq, dampingRisesWhereTheFactorizationFails) {
  // Fewer tokens than columns, and a covariance that rounding made slightly indefinite.
  Problem problem(4, 32, 8);
  for (int64_t i = 0; i < 32; ++i)
    problem.covariance[size_t(i * 33)] -= 0.002 * problem.covariance[0];
  HessianOptions options;
  options.damping = 1e-9;
  options.retries = 9;
  for (int64_t i = 0; i < 32; ++i)
    problem.covariance[size_t(i * 33)] = std::max(problem.covariance[size_t(i * 33)], 1e-3);
  auto factor = HessianFactor::create(problem.covariance.data(), 32, options);
  ASSERT_TRUE(bool(factor)) << factor.reason();
  EXPECT_GT(factor->usedDamping(), 1e-9);
}

TEST(Gptq, refusesInWords) {
  Problem problem(4, 32, 64);
  std::vector<double> broken = problem.covariance;
  broken[1] = broken[32] = 1e9; // far from definite
  auto refused = HessianFactor::create(broken.data(), 32, {});
  EXPECT_FALSE(bool(refused));
  EXPECT_NE(refused.reason().find("not positive definite"), std::string::npos) << refused.reason();
  std::fill(broken.begin(), broken.end(), 0);
  EXPECT_NE(HessianFactor::create(broken.data(), 32, {}).reason().find("is zero"), std::string::npos);
  broken[33] = NAN;
  EXPECT_NE(HessianFactor::create(broken.data(), 32, {}).reason().find("NaN"), std::string::npos);
  broken = problem.covariance;
  broken[1 * 32 + 8] = broken[8 * 32 + 1] = NAN;
  EXPECT_FALSE(bool(HessianFactor::create(broken.data(), 32, {})));

  auto factor = HessianFactor::create(problem.covariance.data(), 32, {});
  ASSERT_TRUE(bool(factor));
  EXPECT_NE(gptq(format("float32"), problem.view(), *factor, {}).reason().find("float32"), std::string::npos);
  EXPECT_NE(gptq(format("int8"), {problem.weights, 8, 16}, *factor, {}).reason().find("16 columns"), std::string::npos);
  problem.weights[3] = INFINITY;
  EXPECT_NE(gptq(format("int8"), problem.view(), *factor, {}).reason().find("infinities"), std::string::npos);
}

} // namespace
