// Half-quadratic quantization: zeros and scales without any data.
#pragma once

#include "qcc/Algorithm/BlockScales.h"

namespace qcc {

/// The published defaults (H. Badri and A. Shaji, "Half-Quadratic Quantization of Large Machine Learning Models",
/// 2023).
struct HqqOptions {
  double norm = 0.7; // p
  double beta = 10, kappa = 1.01;
  int iterations = 20;
  unsigned threads = 1;
};

/// Zeros and scales of all blocks that lower Σ |w - q|^p, p < 1: a few large errors are let be for the sake of the many
/// small ones. Never above what rounding to nearest has. The published solver keeps zeros as floats; a format's zeros
/// are integers, so that every iterate's is rounded before it is judged, and the scale follows by least squares.
/// Refuses formats without zeros: the method moves nothing else.
Result<BlockScales> hqq(const Format &format, MatrixView weights, const HqqOptions &options);

} // namespace qcc
