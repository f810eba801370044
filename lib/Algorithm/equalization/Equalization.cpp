#include "qcc/Algorithm/Equalization.h"
#include <algorithm>
#include <cassert>
#include <cmath>

using namespace qcc;

std::vector<float> qcc::equalizationScales(MatrixView first, MatrixView second) {
  assert(first.rows == second.columns && "the second matrix does not read what the first one makes");
  std::vector<float> scales(size_t(first.rows), 1), columns(size_t(first.rows), 0);
  for (int64_t row = 0; row < second.rows; ++row)
    for (int64_t i = 0; i < second.columns; ++i)
      columns[size_t(i)] = std::max(columns[size_t(i)], std::abs(second.row(row)[i]));
  for (int64_t i = 0; i < first.rows; ++i) {
    float most = 0;
    for (int64_t j = 0; j < first.columns; ++j)
      most = std::max(most, std::abs(first.row(i)[j]));
    if (most > 0 && columns[size_t(i)] > 0)
      scales[size_t(i)] = float(std::sqrt(double(most) / columns[size_t(i)]));
  }
  return scales;
}

void qcc::scaleRows(std::vector<float> &matrix, int64_t columns, const std::vector<float> &scales, bool divide) {
  for (size_t row = 0; row < scales.size(); ++row)
    for (size_t i = row * size_t(columns); i < (row + 1) * size_t(columns); ++i)
      matrix[i] = divide ? matrix[i] / scales[row] : matrix[i] * scales[row];
}

void qcc::scaleColumns(std::vector<float> &matrix, const std::vector<float> &scales, bool divide) {
  for (size_t at = 0; at < matrix.size(); at += scales.size())
    for (size_t i = 0; i < scales.size(); ++i)
      matrix[at + i] = divide ? matrix[at + i] / scales[i] : matrix[at + i] * scales[i];
}

std::vector<float> qcc::biasCorrection(MatrixView weights, const std::vector<float> &quantized,
                                       const std::vector<double> &mean) {
  std::vector<float> correction(size_t(weights.rows), 0);
  for (int64_t row = 0; row < weights.rows; ++row) {
    double sum = 0;
    for (int64_t i = 0; i < weights.columns; ++i)
      sum += (double(weights.row(row)[i]) - quantized[size_t(row * weights.columns + i)]) * mean[size_t(i)];
    correction[size_t(row)] = float(sum);
  }
  return correction;
}
