#include "../scales/BlockCodes.h"
#include "qcc/Algorithm/Histogram.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace qcc;

namespace {

/// A histogram's bins as a block of values that is rounded over and over.
class Rounding {
public:
  Rounding(const Histogram &histogram, const Format &format)
      : format(format), total(histogram.total()), bins(histogram.filled()) {
    for (const Histogram::Bin &bin : bins)
      values.push_back(bin.value);
    codes.resize(values.size());
    rounded.resize(values.size());
  }

  void round(ValueRange range) {
    if (format.element->bits() > 16) { // every value is expressed
      rounded = values;
      std::iota(codes.begin(), codes.end(), 0);
      return;
    }
    BlockScale scale = format.chooseScale(range.lowest, range.highest, format.chooseTensorScale(range.amax()));
    format.element->encodeBlock(values, scale.value, scale.zero, codes.data());
    valuesOf(format, codes.data(), int64_t(codes.size()), scale, rounded.data());
  }

  double squaredError(ValueRange range) {
    round(range);
    double sum = 0;
    for (size_t i = 0; i < bins.size(); ++i) {
      double difference = double(values[i]) - rounded[i];
      sum += double(bins[i].count) * difference * difference;
    }
    return total ? sum / double(total) : 0;
  }

  /// Σ p log(p / q): p the counts, those outside of the range added to its last bins; q what is left of the counts
  /// inside when bins of one code share them equally. Infinite where q has nothing and p has something.
  double divergence(ValueRange range) {
    auto isIn = [&](size_t i) { return values[i] >= range.lowest && values[i] <= range.highest; };
    size_t begin = 0, end = bins.size();
    double below = 0, above = 0, inside = 0;
    while (begin < end && !isIn(begin))
      below += double(bins[begin++].count);
    while (end > begin && !isIn(end - 1))
      above += double(bins[--end].count);
    if (begin == end)
      return INFINITY;
    round(range);
    for (size_t i = begin; i < end; ++i)
      inside += double(bins[i].count);
    const double all = inside + below + above;
    double sum = 0;
    for (size_t i = begin; i < end;) {
      size_t next = i;
      double shared = 0;
      for (; next < end && codes[next] == codes[i]; ++next)
        shared += double(bins[next].count);
      const double q = shared / double(next - i) / inside;
      for (; i < next; ++i) {
        double p = double(bins[i].count) + (i == begin ? below : 0) + (i + 1 == end ? above : 0);
        sum += p / all * std::log(p / all / q);
      }
    }
    return sum;
  }

private:
  const Format &format;
  int64_t total;
  std::vector<Histogram::Bin> bins;
  std::vector<float> values, rounded;
  std::vector<uint32_t> codes;
};

ValueRange withZero(ValueRange range) { return {std::min(range.lowest, 0.0f), std::max(range.highest, 0.0f)}; }

} // namespace

ValueRange qcc::percentileRange(const Histogram &histogram, double fraction) {
  const double leftOut = std::clamp((1 - fraction) / 2, 0.0, 0.5) * double(histogram.total());
  std::vector<Histogram::Bin> bins = histogram.filled();
  ValueRange seen = histogram.seen();
  // The value that `leftOut` values lie beyond, zeros standing between the negative and the positive ones.
  auto end = [&](const auto &begin, const auto &stop, bool isLow) {
    double passed = 0;
    for (auto bin = begin; bin != stop && (bin->value < 0) == isLow; ++bin) {
      if (passed + double(bin->count) > leftOut) {
        double part = (leftOut - passed) / double(bin->count) - 0.5;
        return float(isLow ? bin->value + part * bin->width : bin->value - part * bin->width);
      }
      passed += double(bin->count);
    }
    return 0.0f;
  };
  if (leftOut <= 0)
    return withZero(seen);
  return {std::clamp(end(bins.begin(), bins.end(), true), std::min(seen.lowest, 0.0f), 0.0f),
          std::clamp(end(bins.rbegin(), bins.rend(), false), 0.0f, std::max(seen.highest, 0.0f))};
}

double qcc::squaredError(const Histogram &histogram, const Format &format, ValueRange range) {
  return Rounding(histogram, format).squaredError(range);
}

ValueRange qcc::leastSquaresRange(const Histogram &histogram, const Format &format) {
  Rounding rounding(histogram, format);
  const ValueRange seen = withZero(histogram.seen());
  ValueRange best = seen;
  double bestError = rounding.squaredError(seen);
  // Factors fall by 1 % from 1 to 1/150: beyond that, everything saturates.
  auto search = [&](bool low, bool high) {
    const ValueRange from = best;
    double factor = 1;
    for (int step = 0; step < 500; ++step, factor *= 0.99) {
      ValueRange range = {low ? float(seen.lowest * factor) : from.lowest,
                          high ? float(seen.highest * factor) : from.highest};
      double error = rounding.squaredError(range);
      if (error < bestError) {
        bestError = error;
        best = range;
      }
    }
  };
  search(true, true);
  for (int round = 0; round < 2 && format.hasZero; ++round) {
    search(true, false);
    search(false, true);
  }
  return best;
}

ValueRange qcc::entropyRange(const Histogram &histogram, const Format &format) {
  Rounding rounding(histogram, format);
  const ValueRange seen = withZero(histogram.seen());
  ValueRange best = seen;
  double least = rounding.divergence(seen);
  const std::vector<Histogram::Bin> bins = histogram.filled();
  const double codes = std::ldexp(1.0, int(format.element->bits()));
  constexpr int candidates = 512;
  for (int i = candidates - 1; i > 0 && !bins.empty(); --i) {
    float amax = float(seen.amax() * (double(i) / candidates));
    ValueRange range = {std::max(seen.lowest, -amax), std::min(seen.highest, amax)};
    // With fewer bins than codes every bin has its own, and nothing is lost: such ranges say nothing.
    if ((double(range.highest) - range.lowest) / bins.front().width < codes)
      break;
    double divergence = rounding.divergence(range);
    if (divergence < least) {
      least = divergence;
      best = range;
    }
  }
  return best;
}
