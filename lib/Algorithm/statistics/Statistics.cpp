#include "qcc/Algorithm/Statistics.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

using namespace qcc;

static constexpr float infinity = std::numeric_limits<float>::infinity();

MinMax::MinMax(Channels channels)
    : split(channels), low(size_t(channels.channels), infinity), high(size_t(channels.channels), -infinity) {}

void MinMax::add(const float *values, int64_t count) {
  assert(count % (split.channels * split.inner) == 0 && "part of a row of channels");
  auto include = [&](float value, float &lowest, float &highest, int64_t &strange) {
    const bool isFinite = std::abs(value) < infinity;
    lowest = isFinite && value < lowest ? value : lowest;
    highest = isFinite && value > highest ? value : highest;
    strange += !isFinite;
  };
  if (split.inner == 1 && split.channels > 1) {
    for (const float *end = values + count; values < end; values += split.channels)
      for (int64_t i = 0; i < split.channels; ++i)
        include(values[i], low[size_t(i)], high[size_t(i)], bad);
    return;
  }
  const int64_t length = split.channels == 1 ? count : split.inner;
  for (int64_t at = 0, channel = 0; at < count; at += length, channel = (channel + 1) % split.channels) {
    float lowest = low[size_t(channel)], highest = high[size_t(channel)];
    for (int64_t i = at; i < at + length; ++i)
      include(values[i], lowest, highest, bad);
    low[size_t(channel)] = lowest;
    high[size_t(channel)] = highest;
  }
}

void MinMax::merge(const MinMax &other) {
  assert(split.channels == other.split.channels && "statistics of different channels");
  for (size_t i = 0; i < low.size(); ++i) {
    low[i] = std::min(low[i], other.low[i]);
    high[i] = std::max(high[i], other.high[i]);
  }
  bad += other.bad;
}

ValueRange MinMax::range(int64_t channel) const {
  const float lowest = low[size_t(channel)], highest = high[size_t(channel)];
  return lowest <= highest ? ValueRange{lowest, highest} : ValueRange();
}

MovingAverage::MovingAverage(Channels channels, double momentum)
    : split(channels), momentum(momentum), ranges(size_t(channels.channels)) {}

void MovingAverage::add(const float *values, int64_t count) {
  MinMax batch(split);
  batch.add(values, count);
  for (int64_t i = 0; i < split.channels; ++i) {
    ValueRange now = batch.range(i), &range = ranges[size_t(i)];
    auto average = [&](float before, float value) {
      return isFirst ? value : float(momentum * before + (1 - momentum) * value);
    };
    range = {average(range.lowest, now.lowest), average(range.highest, now.highest)};
  }
  isFirst = false;
}

Moments::Moments(int64_t columns)
    : sums(size_t(columns)), absolutes(size_t(columns)), squares(size_t(columns)), most(size_t(columns)) {}

void Moments::add(MatrixView activations) {
  assert(activations.columns == int64_t(sums.size()) && "activations of another width");
  for (int64_t row = 0; row < activations.rows; ++row) {
    const float *values = activations.row(row);
    for (size_t i = 0; i < sums.size(); ++i) {
      const double value = values[i];
      sums[i] += value;
      absolutes[i] += std::abs(value);
      squares[i] += value * value;
      most[i] = std::max(most[i], std::abs(values[i]));
    }
  }
  count += activations.rows;
}

void Moments::merge(const Moments &other) {
  assert(sums.size() == other.sums.size() && "statistics of different widths");
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] += other.sums[i];
    absolutes[i] += other.absolutes[i];
    squares[i] += other.squares[i];
    most[i] = std::max(most[i], other.most[i]);
  }
  count += other.count;
}

std::vector<double> Moments::perToken(const std::vector<double> &sum) const {
  std::vector<double> result = sum;
  for (double &value : result)
    value /= double(std::max<int64_t>(count, 1));
  return result;
}
