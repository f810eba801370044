#include "BlockCodes.h"
#include "qcc/Algorithm/BlockScales.h"
#include <algorithm>
#include <cmath>

using namespace qcc;

namespace {

/// One block whose scale is searched for.
class Search {
public:
  Search(const Format &format, const float *values, const float *importance, int64_t count, float tensorScale)
      : format(format), values(values), importance(importance), count(count), tensorScale(tensorScale),
        codes(size_t(count)), rounded(size_t(count)) {}

  void consider(const BlockScale &scale) {
    if (bestError >= 0 && scale.code == last.code && scale.zero == last.zero)
      return;
    last = scale;
    format.element->encodeBlock({values, size_t(count)}, scale.value, scale.zero, codes.data());
    valuesOf(format, codes.data(), count, scale, rounded.data());
    const double error = importance ? sum([&](int64_t i) { return importance[i]; }) : sum([](int64_t) { return 1.0f; });
    if (bestError < 0 || error < bestError) {
      bestError = error;
      best = scale;
    }
  }

  /// The scale for which Σ h (w - s v)² is least, v being what the best scale's codes stand for without it:
  /// s = Σ h w v / Σ h v².
  void refine() {
    if (best.value == 0 || bestError <= 0)
      return;
    format.element->encodeBlock({values, size_t(count)}, best.value, best.zero, codes.data());
    valuesOf(format, codes.data(), count, best, rounded.data());
    double cross = 0, square = 0;
    for (int64_t i = 0; i < count; ++i) {
      double weight = importance ? importance[i] : 1, value = rounded[i];
      cross += weight * values[i] * value;
      square += weight * value * value;
    }
    if (!(cross > 0) || !(square > 0))
      return;
    BlockScale scale = best;
    scale.code = format.scale->encode(float(best.value * (cross / square)) / tensorScale);
    scale.value = format.scale->value(scale.code) * tensorScale;
    if (scale.value > 0)
      consider(scale);
  }

  BlockScale best;

private:
  /// Σ weight(i) (w - q)², in several sums side by side so that they need not wait for each other.
  template <typename Weight> double sum(const Weight &weight) const {
    constexpr int64_t lanes = 8;
    double sums[lanes] = {};
    auto term = [&](int64_t i) {
      const float difference = values[i] - rounded[size_t(i)];
      return double(difference * difference) * weight(i);
    };
    int64_t at = 0;
    for (; at + lanes <= count; at += lanes)
      for (int64_t lane = 0; lane < lanes; ++lane)
        sums[lane] += term(at + lane);
    for (; at < count; ++at)
      sums[at % lanes] += term(at);
    for (int64_t lane = 1; lane < lanes; ++lane)
      sums[0] += sums[lane];
    return sums[0];
  }

  const Format &format;
  const float *values, *importance;
  int64_t count;
  float tensorScale;
  double bestError = -1;
  BlockScale last;
  std::vector<uint32_t> codes;
  std::vector<float> rounded;
};

} // namespace

BlockScale qcc::searchScale(const Format &format, const float *values, const float *importance, int64_t count,
                            float tensorScale, const ScaleSearch &options) {
  float lowest = 0, highest = 0;
  for (int64_t i = 0; i < count; ++i) {
    lowest = std::min(lowest, values[i]);
    highest = std::max(highest, values[i]);
  }
  const BlockScale nearest = format.chooseScale(lowest, highest, tensorScale);
  if (format.isPlain() || (lowest == 0 && highest == 0))
    return nearest;
  Search search(format, values, importance, count, tensorScale);
  search.consider(nearest);
  for (int step = 0; step < options.steps; ++step) {
    double part = options.steps > 1 ? double(step) / (options.steps - 1) : 0;
    float factor = float(options.highest + part * (options.lowest - options.highest));
    search.consider(format.chooseScale(lowest * factor, highest * factor, tensorScale));
  }
  for (int i = 0; i < options.refinements; ++i)
    search.refine();
  return search.best;
}
