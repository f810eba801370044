// Statistics of activations that are streamed past: nothing of the samples is kept. Each kind adds batches and merges
// with others of its kind, so that several threads or runs can each have their own.
#pragma once

#include "qcc/Algorithm/MatrixView.h"

namespace qcc {

/// An interval of values; 0 lies in every one that is used for a scale.
struct ValueRange {
  float lowest = 0, highest = 0;
  float amax() const { return highest > -lowest ? highest : -lowest; }
};

/// Which values of a tensor share statistics: element i belongs to channel (i / inner) % channels.
struct Channels {
  int64_t channels = 1, inner = 1;
  static Channels tensor() { return {1, 1}; }
  /// The last axis, of this size.
  static Channels lastAxis(int64_t size) { return {size, 1}; }
  /// Rows of `features` values: one for each token of a sequence of this length.
  static Channels tokens(int64_t count, int64_t features) { return {count, features}; }
};

/// Lowest and highest value by channel. Infinities and NaNs are counted and otherwise left out.
class MinMax {
public:
  explicit MinMax(Channels channels = Channels::tensor());
  /// `count`: a multiple of channels * inner.
  void add(const float *values, int64_t count);
  void merge(const MinMax &other);
  /// [0, 0] before any value.
  ValueRange range(int64_t channel = 0) const;
  int64_t channels() const { return split.channels; }
  int64_t notFinite() const { return bad; }

private:
  Channels split;
  std::vector<float> low, high;
  int64_t bad = 0;
};

/// Lowest and highest value of a batch, averaged over batches: r = m r + (1 - m) batch (Jacob et al., arXiv 1712.05877,
/// section 3.1). It depends on the order of batches, so two of them do not merge.
class MovingAverage {
public:
  explicit MovingAverage(Channels channels = Channels::tensor(), double momentum = 0.9);
  void add(const float *values, int64_t count);
  ValueRange range(int64_t channel = 0) const { return ranges[size_t(channel)]; }

private:
  Channels split;
  double momentum;
  bool isFirst = true;
  std::vector<ValueRange> ranges;
};

/// Means by column, in float64.
class Moments {
public:
  explicit Moments(int64_t columns);
  void add(MatrixView activations);
  void merge(const Moments &other);
  int64_t tokens() const { return count; }
  std::vector<double> mean() const { return perToken(sums); }
  std::vector<double> meanAbsolute() const { return perToken(absolutes); }
  std::vector<double> meanSquare() const { return perToken(squares); }
  const std::vector<float> &maxAbsolute() const { return most; }

private:
  std::vector<double> perToken(const std::vector<double> &sum) const;
  int64_t count = 0;
  std::vector<double> sums, absolutes, squares;
  std::vector<float> most;
};

} // namespace qcc
