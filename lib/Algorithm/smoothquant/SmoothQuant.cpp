#include "qcc/Algorithm/SmoothQuant.h"
#include "../awq/LinearGroup.h"
#include "../dense/Dense.h"
#include <algorithm>
#include <cmath>

using namespace qcc;

std::vector<float> qcc::maxByColumn(const std::vector<MatrixView> &matrices) {
  std::vector<float> result;
  for (const MatrixView &matrix : matrices) {
    result.resize(size_t(matrix.columns));
    for (int64_t row = 0; row < matrix.rows; ++row)
      for (int64_t i = 0; i < matrix.columns; ++i)
        result[size_t(i)] = std::max(result[size_t(i)], std::abs(matrix.row(row)[i]));
  }
  return result;
}

void qcc::tieScales(std::vector<float> &scales, const std::vector<int64_t> &ties) {
  if (ties.empty())
    return;
  std::vector<double> logs(scales.size(), 0);
  std::vector<int64_t> counts(scales.size(), 0);
  for (size_t i = 0; i < scales.size(); ++i)
    logs[size_t(ties[i])] += std::log(double(scales[i])), ++counts[size_t(ties[i])];
  for (size_t i = 0; i < scales.size(); ++i)
    scales[i] = float(std::exp(logs[size_t(ties[i])] / double(counts[size_t(ties[i])])));
}

std::vector<float> qcc::smoothingScales(const std::vector<float> &maxInput, const std::vector<float> &maxWeight,
                                        double alpha) {
  std::vector<float> scales(maxInput.size(), 1);
  for (size_t i = 0; i < scales.size(); ++i) {
    // Equation 4. A channel without inputs or weights stays as it is; the bounds keep products within float32.
    double scale = std::pow(double(maxInput[i]), alpha) / std::pow(double(maxWeight[i]), 1 - alpha);
    if (maxInput[i] > 0 && maxWeight[i] > 0 && std::isfinite(scale))
      scales[i] = float(std::clamp(scale, 1e-5, 1e5));
  }
  return scales;
}

namespace {

/// What is left of samples and weights after both were rounded.
class Smoothing {
public:
  Smoothing(const Format &activationFormat, const LinearGroup &group, MatrixView samples, unsigned threads)
      : activationFormat(activationFormat), group(group), samples(samples), threads(threads),
        exact(outputs(std::vector<float>(samples.data, samples.data + samples.size()), group.weights())) {}

  double error(const std::vector<float> &scales) const {
    const int64_t columns = samples.columns;
    std::vector<float> inputs(samples.data, samples.data + samples.size());
    for (int64_t i = 0; i < samples.size(); ++i)
      inputs[size_t(i)] /= scales[size_t(i % columns)];
    roundToFormat(activationFormat, inputs.data(), samples.rows, columns);
    for (int64_t i = 0; i < samples.size(); ++i)
      inputs[size_t(i)] *= scales[size_t(i % columns)];
    std::vector<float> results = outputs(inputs, group.rounded(scales));
    double sum = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      double difference = double(results[i]) - exact[i];
      sum += difference * difference;
    }
    return sum / double(samples.rows);
  }

private:
  /// Weights [rows][columns] times transposed inputs [tokens][columns].
  std::vector<float> outputs(const std::vector<float> &inputs, const std::vector<float> &weights) const {
    std::vector<float> turned(inputs.size(), 0), result(size_t(group.rows() * samples.rows), 0);
    for (int64_t token = 0; token < samples.rows; ++token)
      for (int64_t i = 0; i < samples.columns; ++i)
        turned[size_t(i * samples.rows + token)] = inputs[size_t(token * samples.columns + i)];
    dense::product(group.rows(), samples.rows, samples.columns, weights.data(), turned.data(), result.data(), threads);
    return result;
  }

  const Format &activationFormat;
  const LinearGroup &group;
  MatrixView samples;
  unsigned threads;
  std::vector<float> exact;
};

} // namespace

Result<InputScales> qcc::searchSmoothing(const Format &weightFormat, const Format &activationFormat,
                                         const std::vector<MatrixView> &linears, MatrixView samples,
                                         const std::vector<float> &maxInput, const SmoothingOptions &options) {
  auto group = LinearGroup::create(weightFormat, linears, options.rows);
  if (!group)
    return Refusal{group.reason()};
  if (samples.columns != group->columns() || int64_t(maxInput.size()) != group->columns())
    return Refusal{"samples of " + std::to_string(samples.columns) + " channels and statistics of " +
                   std::to_string(maxInput.size()) + " for weights of " + std::to_string(group->columns()) +
                   " columns"};
  if (samples.rows == 0)
    return Refusal{"there are no samples to smooth by"};
  Smoothing smoothing(activationFormat, *group, samples, options.threads);
  const std::vector<float> maxWeight = maxByColumn(linears);
  InputScales best;
  best.scales.assign(maxInput.size(), 1);
  best.error = best.errorWithout = smoothing.error(best.scales);
  for (int step = 0; step <= options.grid; ++step) {
    const double alpha = double(step) / std::max(1, options.grid);
    std::vector<float> scales = smoothingScales(maxInput, maxWeight, alpha);
    const double error = smoothing.error(scales);
    if (error < best.error) {
      best.scales = std::move(scales);
      best.alpha = alpha;
      best.error = error;
    }
  }
  return best;
}
