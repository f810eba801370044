// Linears that read the same input, some of their rows.
#pragma once

#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Algorithm/Result.h"
#include "qcc/Format/Format.h"

namespace qcc {

class LinearGroup {
public:
  /// `limit`: see AwqOptions::rows.
  static Result<LinearGroup> create(const Format &format, const std::vector<MatrixView> &linears, int64_t limit);

  int64_t rows() const { return count; }
  int64_t columns() const { return width; }
  /// [rows][columns] of all linears.
  const std::vector<float> &weights() const { return values; }
  /// The weights after multiplication with `scales`, rounding, and division.
  std::vector<float> rounded(const std::vector<float> &scales) const;
  /// Σ over rows of e H eᵀ with e = W - rounded(scales), H being [columns][columns] in float32.
  double error(const std::vector<float> &scales, const std::vector<float> &covariance, unsigned threads) const;

private:
  struct Part {
    int64_t first, rows;
  };
  const Format *format = nullptr;
  int64_t width = 0, count = 0;
  std::vector<float> values;
  std::vector<Part> parts; // one per linear: blocks do not reach across
};

/// Rounds a matrix to nearest, in place.
void roundToFormat(const Format &format, float *values, int64_t rows, int64_t columns);

} // namespace qcc
