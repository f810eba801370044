#include "qcc/Algorithm/Histogram.h"
#include "Problems.h"
#include "gtest/gtest.h"

#include <algorithm>

using namespace qcc;

namespace {

std::vector<float> heavyTails(int64_t count, unsigned seed, bool isPositive = false) {
  std::mt19937_64 generator(seed);
  std::student_t_distribution<float> tails(3);
  std::vector<float> values(size_t(count), 0);
  for (float &value : values) {
    value = tails(generator);
    value = isPositive ? std::max(value, 0.0f) : value;
  }
  return values;
}

int64_t countIn(const Histogram &histogram) {
  int64_t sum = histogram.zeros();
  for (const Histogram::Bin &bin : histogram.filled())
    sum += bin.count;
  return sum;
}

TEST(Histogram, countsAreExactHoweverValuesArrive) {
  Histogram histogram(256);
  std::vector<float> all;
  // Each batch is ten times as wide as the one before, and some lie on one side.
  for (int batch = 0; batch < 8; ++batch) {
    std::vector<float> values = heavyTails(1000, unsigned(batch + 1), batch % 3 == 1);
    for (float &value : values)
      value *= std::pow(10.0f, float(batch - 3));
    histogram.add(values.data(), 1000);
    all.insert(all.end(), values.begin(), values.end());
  }
  EXPECT_EQ(histogram.total(), 8000);
  EXPECT_EQ(countIn(histogram), 8000);
  EXPECT_EQ(histogram.seen().lowest, *std::min_element(all.begin(), all.end()));
  EXPECT_EQ(histogram.seen().highest, *std::max_element(all.begin(), all.end()));
  std::vector<Histogram::Bin> bins = histogram.filled();
  double width = bins.front().width, span = double(histogram.seen().highest) - histogram.seen().lowest;
  EXPECT_LE(span / width, 256);
  EXPECT_GE(span / width, 63) << "bins are wider than needed";
  for (const Histogram::Bin &bin : bins) {
    double low = std::floor(bin.value / width) * width;
    auto isInside = [&](float value) { return value != 0 && value >= low && value < low + width; };
    EXPECT_EQ(bin.count, std::count_if(all.begin(), all.end(), isInside));
  }
}

TEST(Histogram, mergingIsAddingTheSameValues) {
  for (float size : {1e-3f, 1.0f, 1e4f}) {
    std::vector<float> a = heavyTails(3000, 5), b = heavyTails(2000, 6, true);
    for (float &value : b)
      value = value * size + (size > 1 ? 7 : 0);
    Histogram first, second, both, none;
    first.add(a.data(), 3000);
    second.add(b.data(), 2000);
    first.merge(second);
    first.merge(none);
    none.merge(first);
    both.add(a.data(), 3000);
    both.add(b.data(), 2000);
    EXPECT_EQ(countIn(first), 5000);
    EXPECT_EQ(first.zeros(), both.zeros());
    EXPECT_EQ(first.seen().highest, both.seen().highest);
    EXPECT_EQ(countIn(none), 5000);
    double ratio = first.filled().front().width / both.filled().front().width;
    EXPECT_TRUE(ratio == 1 || ratio == 2 || ratio == 0.5) << ratio;
  }
}

TEST(Histogram, extremesDoNotHurt) {
  const float extremes[] = {1e-45f, 3e38f, -3e38f, NAN, INFINITY, 0, -0.0f, 5};
  Histogram histogram(64), tiny(64);
  for (const float &value : extremes)
    histogram.add(&value, 1);
  EXPECT_EQ(histogram.total(), 6);
  EXPECT_EQ(histogram.zeros(), 2);
  EXPECT_EQ(histogram.notFinite(), 2);
  EXPECT_EQ(countIn(histogram), 6);
  tiny.add(extremes, 1);
  tiny.merge(histogram);
  EXPECT_EQ(countIn(tiny), 7);
  Histogram empty;
  EXPECT_EQ(entropyRange(empty, format("int8-tensor")).amax(), 0);
  EXPECT_EQ(percentileRange(empty).amax(), 0);
  EXPECT_EQ(leastSquaresRange(empty, format("int8-tensor")).amax(), 0);
}

TEST(Histogram, nothingIsClippedWhereNothingIsRounded) {
  std::vector<float> values = heavyTails(1000, 2);
  Histogram histogram;
  histogram.add(values.data(), 1000);
  for (const char *name : {"float32", "float16"})
    for (ValueRange range : {leastSquaresRange(histogram, format(name)), entropyRange(histogram, format(name))}) {
      EXPECT_EQ(range.lowest, histogram.seen().lowest) << name;
      EXPECT_EQ(range.highest, histogram.seen().highest) << name;
    }
}

TEST(Percentile, isThatOfSortedValues) {
  std::vector<float> values = heavyTails(20000, 9), positive = heavyTails(20000, 10, true);
  for (std::vector<float> *each : {&values, &positive}) {
    Histogram histogram;
    histogram.add(each->data(), 20000);
    std::sort(each->begin(), each->end());
    for (double fraction : {0.9, 0.99, 0.999, 1.0}) {
      ValueRange range = percentileRange(histogram, fraction);
      size_t leftOut = size_t(std::lround((1 - fraction) / 2 * 20000));
      double width = histogram.filled().front().width;
      EXPECT_NEAR(range.lowest, std::min(0.0f, (*each)[leftOut]), width) << fraction;
      EXPECT_NEAR(range.highest, (*each)[20000 - 1 - leftOut], width) << fraction;
    }
  }
}

/// Mean squared error of the values themselves.
double errorOf(const std::vector<float> &values, const Format &format, ValueRange range) {
  BlockScale scale = format.chooseScale(range.lowest, range.highest, 1);
  std::vector<uint32_t> codes(values.size(), 0);
  format.element->encodeBlock(values, scale.value, scale.zero, codes.data());
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    float value = format.hasZero ? float(int32_t(codes[i]) - scale.zero) : format.element->value(codes[i]);
    sum += std::pow(double(values[i]) - double(value) * scale.value, 2);
  }
  return sum / double(values.size());
}

TEST(LeastSquares, isNearTheBestOfAllRangesOfTheValues) {
  for (bool isPositive : {false, true})
    for (const char *name : {"int8-tensor", "int8-tensor-asym", "int4", "fp8-tensor"}) {
      std::vector<float> values = heavyTails(5000, 3, isPositive);
      Histogram histogram;
      histogram.add(values.data(), 5000);
      Format to = format(name);
      ValueRange seen = {std::min(0.0f, histogram.seen().lowest), histogram.seen().highest};
      double best = errorOf(values, to, seen);
      for (int i = 1; i < 300; ++i)
        for (int j = 0; j < (to.hasZero ? 30 : 1); ++j) {
          float high = float(i) / 300, low = to.hasZero ? float(j + 1) / 30 : high;
          best = std::min(best, errorOf(values, to, {seen.lowest * low, seen.highest * high}));
        }
      ValueRange found = leastSquaresRange(histogram, to);
      EXPECT_LE(errorOf(values, to, found), 1.03 * best) << name;
      EXPECT_NEAR(squaredError(histogram, to, found) / errorOf(values, to, found), 1, 0.03) << name;
    }
}

/// Migacz's divergence for 8-bit integers, counted anew from the values in bins of `width`.
double divergenceOf(const std::vector<float> &values, double width, double amax) {
  int64_t bins = int64_t(amax / width), codes = 127;
  std::vector<double> p(size_t(2 * bins), 0), q = p, share(size_t(2 * codes + 1), 0), members = share;
  auto codeOf = [&](int64_t bin) {
    return int64_t(std::nearbyint((double(bin - bins) + 0.5) * width / (amax / double(codes)))) + codes;
  };
  double all = 0, inside = 0;
  for (float value : values) {
    int64_t bin = int64_t(std::floor(value / width)) + bins;
    bool isIn = bin >= 0 && bin < 2 * bins;
    p[size_t(std::clamp<int64_t>(bin, 0, 2 * bins - 1))] += 1;
    all += 1;
    if (isIn)
      q[size_t(bin)] += 1, inside += 1;
  }
  for (int64_t bin = 0; bin < 2 * bins; ++bin)
    if (q[size_t(bin)] > 0)
      share[size_t(codeOf(bin))] += q[size_t(bin)], members[size_t(codeOf(bin))] += 1;
  double sum = 0;
  for (int64_t bin = 0; bin < 2 * bins; ++bin)
    if (q[size_t(bin)] > 0) {
      double spread = share[size_t(codeOf(bin))] / members[size_t(codeOf(bin))] / inside;
      sum += p[size_t(bin)] / all * std::log(p[size_t(bin)] / all / spread);
    }
  return sum;
}

TEST(Entropy, isNearTheLeastDivergenceOfAllThresholds) {
  std::vector<float> values = heavyTails(50000, 4);
  Histogram histogram;
  histogram.add(values.data(), 50000);
  double width = histogram.filled().front().width, amax = histogram.seen().amax();
  ValueRange found = entropyRange(histogram, format("int8-tensor"));
  EXPECT_EQ(found.amax(), std::max(-found.lowest, found.highest));
  EXPECT_LT(found.amax(), 0.5 * amax) << "heavy tails are worth clipping";
  double best = INFINITY;
  for (double threshold = 130 * width; threshold < amax; threshold += width)
    best = std::min(best, divergenceOf(values, width, threshold));
  EXPECT_LE(divergenceOf(values, width, found.amax()), best + 2e-3);
}

} // namespace
