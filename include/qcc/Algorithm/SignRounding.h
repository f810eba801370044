// Rounding up or down, learned by the signs of gradients.
#pragma once

#include "qcc/Algorithm/BlockScales.h"

namespace qcc {

struct SignRoundingOptions {
  int iterations = 200;
  /// Of the first step; it falls linearly to 0. 0: 1 / iterations.
  double learningRate = 0;
  unsigned threads = 1;
};

struct SignRoundingResult {
  EncodedMatrix encoded;
  /// tr((W - Q) H (W - Q)ᵀ), and what it is for rounding to nearest with the same scales.
  double error = 0, errorOfNearest = 0;
};

/// Weights [rows][columns] with given scales, each rounded to one of the two values around it so that
/// tr((W - Q) H (W - Q)ᵀ) falls, `covariance` [columns][columns] being H: signed gradient descent on an offset V within
/// half a step (W. Cheng et al., arXiv 2309.05516, equations 3 and 5; there the loss is a block's, here a linear's
/// own). The best iterate of each row is kept, so no row is worse than rounded to nearest. Every iteration costs
/// 2 rows columns² operations. Refuses weights that are not finite and formats that have nothing to choose.
Result<SignRoundingResult> signRounding(const Format &format, MatrixView weights, const double *covariance,
                                        const BlockScales &scales, const SignRoundingOptions &options);

} // namespace qcc
