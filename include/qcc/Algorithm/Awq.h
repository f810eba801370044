// AWQ: scales the channels that large activations reach, so that their weights are rounded more finely.
#pragma once

#include "qcc/Algorithm/InputScales.h"
#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Algorithm/Result.h"
#include "qcc/Format/Format.h"

namespace qcc {

struct AwqOptions {
  /// Exponents tried: i / grid for i in [0, grid).
  int grid = 20;
  /// Also try s = x^α / w^(1 - α), w being the mean of |weight| over its block's largest.
  bool useWeights = true;
  /// At most so many rows of all linears together are looked at, evenly spread; 0: all. Formats whose blocks span rows
  /// are looked at whole.
  int64_t rows = 256;
  /// By channel: those with the same number get the same scale; empty where each has its own.
  std::vector<int64_t> ties;
  unsigned threads = 1;
};

/// AWQ (arXiv 2306.00978, equations 4 and 5): s = meanAbsolute^α, divided by sqrt(max s · min s), for the α with the
/// least ‖(W - Q(W s) / s) X‖², which is taken through the covariance [columns][columns]. α = 0 leaves all as it is, so
/// the error is never above that of no scales. `linears` read the same input; refuses none, different widths and
/// formats that do not round.
Result<InputScales> searchAwqScales(const Format &format, const std::vector<MatrixView> &linears,
                                    const double *covariance, const std::vector<double> &meanAbsolute,
                                    const AwqOptions &options);

} // namespace qcc
