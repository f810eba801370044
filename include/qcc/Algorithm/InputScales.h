// Scales for the channels of an input: what is divided by them there is multiplied into the weights that read it, so
// that the function stays the same and rounding becomes cheaper. AWQ and SmoothQuant differ in how they choose them.
#pragma once

#include <cstdint>
#include <vector>

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

/// Makes the scales of channels that share an entry of `ties` (a number below their count) equal: their geometric mean.
void tieScales(std::vector<float> &scales, const std::vector<int64_t> &ties);

} // namespace qcc
