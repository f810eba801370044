// Scales for the channels of an input: what is divided by them there is multiplied into the weights that read it, so
// that the function stays the same and rounding becomes cheaper. AWQ and SmoothQuant differ in how they choose them.
#pragma once

#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Algorithm/Result.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// W [rows][columns] becomes W diag(s), the input x becomes x / s; s is finite and above 0, and 1 for channels that no
/// token reached.
struct InputScales {
  std::vector<float> scales;
  double alpha = 0;
  /// Whether the weights' magnitudes took part (AWQ's second grid).
  bool withWeights = false;
  /// Mean squared error of the outputs over tokens, summed over the rows that were looked at: with these scales, and
  /// with none.
  double error = 0, errorWithout = 0;
};

struct AwqOptions {
  /// Exponents tried: i / grid for i in [0, grid).
  int grid = 20;
  /// Also try s = x^α / w^(1 - α), w being the mean of |weight| over its block's largest.
  bool useWeights = true;
  /// At most so many rows of all linears together are looked at, evenly spread; 0: all. Formats whose blocks span rows
  /// are looked at whole.
  int64_t rows = 256;
  unsigned threads = 1;
};

/// AWQ (arXiv 2306.00978, equations 4 and 5): s = meanAbsolute^α, divided by sqrt(max s · min s), for the α with the
/// least ‖(W - Q(W s) / s) X‖², which is taken through the covariance [columns][columns]. α = 0 leaves all as it is, so
/// the error is never above that of no scales. `linears` read the same input; refuses none, different widths and
/// formats that do not round.
Result<InputScales> searchAwqScales(const Format &format, const std::vector<MatrixView> &linears,
                                    const double *covariance, const std::vector<double> &meanAbsolute,
                                    const AwqOptions &options);

/// SmoothQuant (arXiv 2211.10438, equation 4): s_j = max|x_j|^α / max|w_j|^(1 - α), the maximum over all linears that
/// read the input.
std::vector<float> smoothingScales(const std::vector<float> &maxInput, const std::vector<float> &maxWeight,
                                   double alpha);
/// The largest magnitude in each column of all matrices.
std::vector<float> maxByColumn(const std::vector<MatrixView> &matrices);

struct SmoothingOptions {
  /// Exponents tried: i / grid for i in [0, grid]; and no scales at all.
  int grid = 20;
  /// See AwqOptions.
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
