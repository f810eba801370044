#include "qcc/Algorithm/Histogram.h"
#include <algorithm>
#include <cmath>

using namespace qcc;

Histogram::Histogram(int64_t bins) : bins(std::max<int64_t>(bins, 2)) {}

/// The bin of a value, counted from 0, for bins 2^exponent wide; beyond 64 bits where they are far too narrow.
static double placeOf(float value, int exponent) { return std::floor(std::ldexp(double(value), -exponent)); }

void Histogram::rebin(int newExponent, int64_t newFirst) {
  std::vector<int64_t> moved(size_t(bins), 0);
  const int shift = std::min(newExponent - exponent, 63);
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i])
      // Shifting to the right rounds down, for negative numbers too.
      moved[size_t(((first + int64_t(i)) >> shift) - newFirst)] += counts[i];
  counts = std::move(moved);
  exponent = newExponent;
  first = newFirst;
}

/// Makes bins for [lowest, highest], of which at least one is not 0, besides those with something in them.
void Histogram::reserve(float lowest, float highest) {
  const bool isFirst = nonZeros == 0;
  if (!isFirst) {
    lowest = std::min(lowest, range.lowest);
    highest = std::max(highest, range.highest);
    if (placeOf(lowest, exponent) >= double(first) && placeOf(highest, exponent) < double(first + bins))
      return;
  }
  // At the start a half of the bins, so that the next batches fit too.
  int wanted = isFirst ? std::ilogb(std::max(double(highest) - lowest, std::abs(double(highest)) * 1e-6)) + 1 -
                             std::ilogb(double(bins)) + 1
                       : exponent;
  wanted = std::clamp(wanted, -160, 140);
  while (placeOf(highest, wanted) - placeOf(lowest, wanted) >= double(bins))
    ++wanted;
  const int64_t low = int64_t(placeOf(lowest, wanted)), used = int64_t(placeOf(highest, wanted)) - low + 1;
  if (isFirst) {
    counts.assign(size_t(bins), 0);
    exponent = wanted;
    first = low - (bins - used) / 2;
  } else {
    rebin(wanted, low - (bins - used) / 2);
  }
}

void Histogram::add(const float *values, int64_t count) {
  MinMax batch;
  batch.add(values, count);
  bad += batch.notFinite();
  const ValueRange reach = batch.range();
  if (reach.lowest != 0 || reach.highest != 0)
    reserve(reach.lowest, reach.highest);
  const double scale = std::ldexp(1.0, -exponent);
  int64_t zeroValues = 0, others = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (values[i] == 0) {
      ++zeroValues;
    } else if (std::isfinite(values[i])) {
      const double place = values[i] * scale;
      const int64_t truncated = int64_t(place);
      ++counts[size_t(truncated - (place < double(truncated)) - first)];
      ++others;
    }
  }
  if (zeroValues + others == 0)
    return;
  range = total() ? ValueRange{std::min(range.lowest, reach.lowest), std::max(range.highest, reach.highest)} : reach;
  zeroCount += zeroValues;
  nonZeros += others;
}

void Histogram::merge(const Histogram &other) {
  if (other.nonZeros && nonZeros == 0) {
    bins = other.bins;
    counts = other.counts;
    exponent = other.exponent;
    first = other.first;
  } else if (other.nonZeros) {
    reserve(other.range.lowest, other.range.highest);
    if (other.exponent > exponent)
      rebin(other.exponent, int64_t(placeOf(std::min(range.lowest, other.range.lowest), other.exponent)));
    const int shift = std::min(exponent - other.exponent, 63);
    for (size_t i = 0; i < other.counts.size(); ++i)
      if (other.counts[i])
        counts[size_t(((other.first + int64_t(i)) >> shift) - first)] += other.counts[i];
  }
  if (other.total())
    range = total()
                ? ValueRange{std::min(range.lowest, other.range.lowest), std::max(range.highest, other.range.highest)}
                : other.range;
  nonZeros += other.nonZeros;
  zeroCount += other.zeroCount;
  bad += other.bad;
}

std::vector<Histogram::Bin> Histogram::filled() const {
  std::vector<Bin> result;
  const double width = std::ldexp(1.0, exponent);
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i]) {
      double middle = (double(first + int64_t(i)) + 0.5) * width;
      result.push_back({std::clamp(float(middle), range.lowest, range.highest), width, counts[i]});
    }
  return result;
}
