#include "Goldens.h"
#include "Problems.h"
#include "qcc/Algorithm/Awq.h"
#include "qcc/Algorithm/SmoothQuant.h"
#include "qcc/Algorithm/Statistics.h"

#include <algorithm>

using namespace qcc;

namespace {

using AwqGoldens = Goldens;
using SmoothGoldens = Goldens;

TEST_F(AwqGoldens, findsThePapersExponent) {
  Moments moments(columns);
  moments.add({activations, tokens, columns});
  for (const char *name : {"int4-g32", "int4-g64-asym", "int4"}) {
    std::vector<double> alone = numbers<double>(std::string(name) + ":awq");
    std::vector<double> both = numbers<double>(std::string(name) + ":awq-weights");
    for (bool useWeights : {false, true}) {
      AwqOptions options;
      options.useWeights = useWeights;
      auto found = searchAwqScales(format(name), {view()}, covariance.data(), moments.meanAbsolute(), options);
      ASSERT_TRUE(bool(found)) << found.reason();
      bool isWeights = useWeights && both[0] < alone[0];
      EXPECT_EQ(found->withWeights, isWeights) << name;
      EXPECT_EQ(found->alpha, isWeights ? both[1] : alone[1]) << name;
      EXPECT_NEAR(found->error / (isWeights ? both[0] : alone[0]), 1, 1e-4) << name;
    }
  }
}

TEST_F(SmoothGoldens, scalesAreThePapers) {
  std::vector<float> wanted = numbers<float>("smooth");
  Moments moments(columns);
  moments.add({activations, tokens, columns});
  std::vector<float> scales = smoothingScales(moments.maxAbsolute(), maxByColumn({view()}), 0.7);
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(scales[i] / wanted[i], 1, 1e-6);
}

/// A problem with some channels far larger than the others, as language models have them.
Problem withOutliers() {
  Problem problem(48, 128, 300);
  for (int64_t channel : {7, 50, 99}) {
    for (int64_t token = 0; token < problem.tokens; ++token)
      problem.activations[size_t(token * 128 + channel)] *= 40;
    for (int64_t i = 0; i < 128; ++i) {
      problem.covariance[size_t(channel * 128 + i)] *= 40;
      problem.covariance[size_t(i * 128 + channel)] *= 40;
    }
  }
  return problem;
}

TEST(Awq, lowersTheErrorInEveryFormatThatRounds) {
  Problem problem = withOutliers();
  Moments moments(128);
  moments.add({problem.activations, problem.tokens, 128});
  MatrixView all = problem.view(), top(problem.weights, 16, 128), rest(all.row(16), 32, 128);
  for (const Format &format : allFormats()) {
    auto found = searchAwqScales(format, {top, rest}, problem.covariance.data(), moments.meanAbsolute(), {});
    if (format.isPlain()) {
      EXPECT_NE(found.reason().find("no scales"), std::string::npos) << format.name;
      continue;
    }
    ASSERT_TRUE(bool(found)) << format.name << ": " << found.reason();
    EXPECT_LE(found->error, found->errorWithout) << format.name;
    if (format.element->bits() == 4)
      EXPECT_LT(found->error, (format.scale->name() == "e8m0" ? 1 : 0.7) * found->errorWithout) << format.name;
    EXPECT_TRUE(isFinite(found->scales)) << format.name;
  }
}

TEST(Awq, someRowsStandForAll) {
  Problem problem = withOutliers();
  Moments moments(128);
  moments.add({problem.activations, problem.tokens, 128});
  AwqOptions few, all;
  few.rows = 24;
  all.rows = 0;
  Format int4 = format("int4-g32");
  auto a = searchAwqScales(int4, {problem.view()}, problem.covariance.data(), moments.meanAbsolute(), few);
  auto b = searchAwqScales(int4, {problem.view()}, problem.covariance.data(), moments.meanAbsolute(), all);
  EXPECT_NEAR(a->alpha, b->alpha, 0.15);
}

TEST(Awq, channelsWithoutInputsStayAsTheyAre) {
  Problem problem = withOutliers();
  Moments moments(128);
  moments.add({problem.activations, problem.tokens, 128});
  std::vector<double> sizes = moments.meanAbsolute();
  sizes[3] = 0;
  auto found = searchAwqScales(format("int4-g32"), {problem.view()}, problem.covariance.data(), sizes, {});
  EXPECT_EQ(found->scales[3], 1);
}

TEST(InputScales, refuseInWords) {
  Problem problem(4, 32, 10);
  std::vector<double> sizes(32, 1);
  Format int8 = format("int8");
  auto reason = [&](const std::vector<MatrixView> &linears) {
    return searchAwqScales(int8, linears, problem.covariance.data(), sizes, {}).reason();
  };
  EXPECT_NE(reason({}).find("no weights"), std::string::npos);
  EXPECT_NE(reason({problem.view(), {problem.weights, 8, 16}}).find("different widths"), std::string::npos);
  sizes.pop_back();
  EXPECT_NE(reason({problem.view()}).find("31 channels"), std::string::npos);
  std::vector<float> most(32, 1);
  EXPECT_NE(
      searchSmoothing(int8, int8, {problem.view()}, {problem.activations, 0, 32}, most, {}).reason().find("no samples"),
      std::string::npos);
}

TEST(SmoothQuant, movesOutliersIntoTheWeights) {
  Problem problem = withOutliers();
  Moments moments(128);
  MatrixView samples(problem.activations, 100, 128);
  moments.add({problem.activations, problem.tokens, 128});
  for (const char *activations : {"int8", "int8-tensor"}) {
    auto found =
        searchSmoothing(format("int8"), format(activations), {problem.view()}, samples, moments.maxAbsolute(), {});
    ASSERT_TRUE(bool(found)) << found.reason();
    EXPECT_LT(found->error, 0.3 * found->errorWithout) << activations;
    EXPECT_GT(found->alpha, 0.2);
    EXPECT_LT(found->alpha, 1);
  }
  // Floats do not mind outliers: there is little to be had.
  auto found = searchSmoothing(format("fp8"), format("fp8"), {problem.view()}, samples, moments.maxAbsolute(), {});
  EXPECT_GT(found->error, 0.5 * found->errorWithout);
}

} // namespace
