// How often values occur, and the ranges that are chosen from it.
#pragma once

#include "qcc/Algorithm/Statistics.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// Counts of streamed values. Bins are as wide as a power of two and start at multiples of it; when a value lies
/// outside, bins move or are joined in pairs, so that counts stay exact and histograms merge exactly. Zeros are counted
/// apart: every format expresses them.
class Histogram {
public:
  explicit Histogram(int64_t bins = 4096);
  /// Infinities and NaNs are counted and otherwise left out.
  void add(const float *values, int64_t count);
  void merge(const Histogram &other);

  /// The values seen, exactly; [0, 0] before any.
  ValueRange seen() const { return total() ? range : ValueRange(); }
  int64_t total() const { return nonZeros + zeroCount; }
  int64_t zeros() const { return zeroCount; }
  int64_t notFinite() const { return bad; }

  /// Bins with something in them, in ascending order: their middles (no further out than what was seen) and counts.
  struct Bin {
    float value;
    double width;
    int64_t count;
  };
  std::vector<Bin> filled() const;

private:
  void reserve(float lowest, float highest);
  void rebin(int newExponent, int64_t newFirst);

  int64_t bins;
  int exponent = -200; // bins are 2^exponent wide
  int64_t first = 0;   // bin i covers [(first + i), (first + i + 1)) widths
  std::vector<int64_t> counts;
  ValueRange range;
  int64_t nonZeros = 0, zeroCount = 0, bad = 0;
};

/// The range that leaves out (1 - fraction) / 2 of the values at either end; 0 is added to it.
ValueRange percentileRange(const Histogram &histogram, double fraction = 0.9999);

/// The range within what was seen for which rounding to the format, one scale for all, has the least mean squared
/// error. Both ends shrink alike where the format has no zero, each by itself where it has.
ValueRange leastSquaresRange(const Histogram &histogram, const Format &format);

/// The range [-t, t], or its part within what was seen, for which the counts differ least from those that rounding
/// leaves, by Kullback-Leibler divergence (S. Migacz, "8-bit Inference with TensorRT", GTC 2017).
ValueRange entropyRange(const Histogram &histogram, const Format &format);

/// The mean squared error of rounding what was seen with the scale that the format chooses for a range.
double squaredError(const Histogram &histogram, const Format &format, ValueRange range);

} // namespace qcc
