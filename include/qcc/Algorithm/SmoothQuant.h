// SmoothQuant: moves outliers of activations into weights, so that both can be rounded.
#pragma once

#include "qcc/Algorithm/InputScales.h"
#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Algorithm/Result.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// SmoothQuant (arXiv 2211.10438, equation 4): s_j = max|x_j|^α / max|w_j|^(1 - α), the maximum over all linears that
/// read the input.
std::vector<float> smoothingScales(const std::vector<float> &maxInput, const std::vector<float> &maxWeight,
                                   double alpha);
/// The largest magnitude in each column of all matrices.
std::vector<float> maxByColumn(const std::vector<MatrixView> &matrices);

struct SmoothingOptions {
  /// Exponents tried: i / grid for i in [0, grid]; and no scales at all.
  int grid = 20;
  /// At most so many rows of all linears together are looked at, evenly spread; 0: all.
  int64_t rows = 256;
  unsigned threads = 1;
};

/// The α whose scales make the outputs of `samples` (some tokens, [tokens][columns]) differ least when weights and
/// activations are both rounded. A row of activations is a token: `activationFormat` int8 or fp8 has a scale per token,
/// int8-tensor one for all.
Result<InputScales> searchSmoothing(const Format &weightFormat, const Format &activationFormat,
                                    const std::vector<MatrixView> &linears, MatrixView samples,
                                    const std::vector<float> &maxInput, const SmoothingOptions &options);

} // namespace qcc
