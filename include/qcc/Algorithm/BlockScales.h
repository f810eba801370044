// Scales for the blocks of a matrix, chosen by more than their largest magnitude.
#pragma once

#include "qcc/Algorithm/MatrixView.h"
#include "qcc/Algorithm/Result.h"
#include "qcc/Format/Format.h"

namespace qcc {

/// The scales (and zeros) of a matrix: [row blocks][column blocks], as Format stores them.
struct BlockScales {
  float tensorScale = 1;
  std::vector<BlockScale> blocks;
};

/// Which scales are tried for a block: those that its range times a factor asks for.
struct ScaleSearch {
  /// Factors of the block's range. Below 1 the largest values saturate; above 1 helps where a scale codec is coarse
  /// and its own rule lets values saturate (MX formats' power of two: 4/3 reaches the next one exactly where it does).
  double lowest = 0.5, highest = 4.0 / 3;
  int steps = 40;
  /// Afterwards the scale is replaced by the least-squares one for its own codes, while that lowers the error.
  int refinements = 2;
};

/// Only shrinks, as AWQ's clip search does: 20 factors from 1 down to 0.5.
inline ScaleSearch clipSearch() { return {0.5, 1, 20, 0}; }

/// The scale of one block that minimizes Σ h (w - q)² over the search's candidates. `importance` has a weight per
/// value, or is null: all 1. The scale that Format::chooseScale gives for the whole range is a candidate, so the error
/// is never above that of rounding to nearest. For formats whose elements have at most 16 bits.
BlockScale searchScale(const Format &format, const float *values, const float *importance, int64_t count,
                       float tensorScale, const ScaleSearch &search);

/// The scales of rounding to nearest.
BlockScales nearestScales(const Format &format, MatrixView weights);
/// searchScale for every block. `importance`: a weight per column (a covariance's diagonal, mean squares), or null.
BlockScales searchScales(const Format &format, MatrixView weights, const double *importance, const ScaleSearch &search,
                         unsigned threads = 1);
/// As searchScales, but every block of a row minimizes e H eᵀ, H being the part of the covariance ([columns][columns])
/// that belongs to the block's columns: the error of the block's own contribution to the output (AWQ, arXiv
/// 2306.00978, section 3.2 and its program's clip search). Refuses formats whose blocks span rows.
Result<BlockScales> searchScalesByCovariance(const Format &format, MatrixView weights, const double *covariance,
                                             const ScaleSearch &search, unsigned threads = 1);

/// Rounds to nearest with given scales.
EncodedMatrix encodeWithScales(const Format &format, MatrixView weights, const BlockScales &scales);
/// All rows of an encoded matrix.
std::vector<float> decodeAll(const Format &format, const EncodedMatrix &matrix);

/// tr((W - Q) H (W - Q)ᵀ): the mean squared error of the outputs, summed over outputs, where H is the mean of xᵀx over
/// tokens. In float64.
double outputError(MatrixView weights, const std::vector<float> &quantized, const double *covariance);

} // namespace qcc
