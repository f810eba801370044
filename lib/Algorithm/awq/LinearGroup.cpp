#include "LinearGroup.h"
#include "../dense/Dense.h"
#include <algorithm>

using namespace qcc;

void qcc::roundToFormat(const Format &format, float *values, int64_t rows, int64_t columns) {
  EncodedMatrix encoded = format.encode({values, size_t(rows * columns)}, rows, columns);
  format.decode(encoded, 0, rows, values);
}

Result<LinearGroup> LinearGroup::create(const Format &format, const std::vector<MatrixView> &linears, int64_t limit) {
  LinearGroup group;
  group.format = &format;
  int64_t all = 0;
  for (const MatrixView &linear : linears) {
    if (linear.columns != linears.front().columns)
      return Refusal{"linears that read the same input have different widths"};
    if (!isFinite({linear.data, size_t(linear.size())}))
      return Refusal{"the weights hold infinities or NaNs"};
    all += linear.rows;
  }
  if (all == 0)
    return Refusal{"there are no weights to scale"};
  if (format.isPlain())
    return Refusal{"format '" + format.name + "' has no scales: scaling its input's channels gains nothing"};
  group.width = linears.front().columns;
  const bool isWhole = limit <= 0 || limit >= all || format.blockRows != 1;
  for (const MatrixView &linear : linears) {
    const int64_t rows = isWhole ? linear.rows : std::max<int64_t>(1, linear.rows * limit / all);
    group.parts.push_back({group.count, std::min(rows, linear.rows)});
    for (int64_t i = 0; i < group.parts.back().rows; ++i) {
      const float *row = linear.row(i * linear.rows / group.parts.back().rows);
      group.values.insert(group.values.end(), row, row + group.width);
    }
    group.count += group.parts.back().rows;
  }
  return group;
}

std::vector<float> LinearGroup::rounded(const std::vector<float> &scales) const {
  std::vector<float> result = values;
  for (int64_t i = 0; i < count * width; ++i)
    result[size_t(i)] *= scales[size_t(i % width)];
  for (const Part &part : parts)
    roundToFormat(*format, result.data() + part.first * width, part.rows, width);
  for (int64_t i = 0; i < count * width; ++i)
    result[size_t(i)] /= scales[size_t(i % width)];
  return result;
}

double LinearGroup::error(const std::vector<float> &scales, const std::vector<float> &covariance,
                          unsigned threads) const {
  std::vector<float> errors = rounded(scales), products(errors.size());
  for (size_t i = 0; i < errors.size(); ++i)
    errors[i] = values[i] - errors[i];
  dense::product(count, width, width, errors.data(), covariance.data(), products.data(), threads);
  double sum = 0;
  for (size_t i = 0; i < errors.size(); ++i)
    sum += double(errors[i]) * products[i];
  return sum;
}
