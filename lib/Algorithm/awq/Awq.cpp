#include "qcc/Algorithm/Awq.h"
#include "LinearGroup.h"
#include <algorithm>
#include <cmath>

using namespace qcc;

/// By column: the mean over rows of |weight| over the largest of its block. A salient column of small weights is one
/// that may be scaled up.
static std::vector<double> relativeMagnitude(const Format &format, const LinearGroup &group) {
  const int64_t columns = group.columns(), block = format.block ? format.block : columns;
  std::vector<double> result(size_t(columns), 0);
  for (int64_t row = 0; row < group.rows(); ++row)
    for (int64_t left = 0; left < columns; left += block) {
      const float *values = group.weights().data() + row * columns;
      const int64_t right = std::min(columns, left + block);
      float most = 1e-30f;
      for (int64_t i = left; i < right; ++i)
        most = std::max(most, std::abs(values[i]));
      for (int64_t i = left; i < right; ++i)
        result[size_t(i)] += std::abs(values[i]) / most / double(group.rows());
    }
  return result;
}

/// Divides by sqrt(max · min) of the channels that are in use; all others become 1.
static std::vector<float> normalized(const std::vector<double> &scales, const std::vector<double> &used) {
  double least = INFINITY, most = 0;
  for (size_t i = 0; i < scales.size(); ++i)
    if (used[i] > 0) {
      least = std::min(least, scales[i]);
      most = std::max(most, scales[i]);
    }
  std::vector<float> result(scales.size(), 1);
  for (size_t i = 0; i < scales.size(); ++i)
    if (used[i] > 0)
      result[i] = float(scales[i] / std::sqrt(least * most));
  return result;
}

Result<InputScales> qcc::searchAwqScales(const Format &format, const std::vector<MatrixView> &linears,
                                         const double *covariance, const std::vector<double> &meanAbsolute,
                                         const AwqOptions &options) {
  auto group = LinearGroup::create(format, linears, options.rows);
  if (!group)
    return Refusal{group.reason()};
  const int64_t columns = group->columns();
  if (int64_t(meanAbsolute.size()) != columns)
    return Refusal{"statistics of " + std::to_string(meanAbsolute.size()) + " channels for weights of " +
                   std::to_string(columns) + " columns"};
  std::vector<float> narrow(covariance, covariance + columns * columns);
  std::vector<double> weightSizes = relativeMagnitude(format, *group);

  // Below these, scales would no longer say anything about a channel (the bounds of AWQ's own program).
  constexpr double leastInput = 1e-4, leastWeight = 1e-4;
  InputScales best;
  best.scales.assign(size_t(columns), 1);
  best.error = best.errorWithout = group->error(best.scales, narrow, options.threads);
  for (bool withWeights : {false, true})
    for (int step = withWeights ? 0 : 1; step < options.grid && (!withWeights || options.useWeights); ++step) {
      const double alpha = double(step) / options.grid;
      std::vector<double> raw(size_t(columns), 1);
      for (size_t i = 0; i < raw.size(); ++i)
        // Equation 5: s = s_X^α.
        raw[i] = std::max(std::pow(meanAbsolute[i], alpha) /
                              (withWeights ? std::pow(weightSizes[i], 1 - alpha) + leastWeight : 1),
                          leastInput);
      std::vector<float> scales = normalized(raw, meanAbsolute);
      tieScales(scales, options.ties);
      const double error = group->error(scales, narrow, options.threads);
      if (error < best.error) {
        best.scales = std::move(scales);
        best.alpha = alpha;
        best.withWeights = withWeights;
        best.error = error;
      }
    }
  return best;
}
