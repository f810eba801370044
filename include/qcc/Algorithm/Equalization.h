// Data-free preparations and repairs of weights.
#pragma once

#include "qcc/Algorithm/MatrixView.h"

namespace qcc {

/// Cross-layer equalization (Nagel et al., arXiv 1906.04721, equation 11): for y = W₂ f(W₁ x), f positively homogeneous
/// (ReLU, none), the scales s with which W₁ / s and W₂ s have equal ranges in every channel: s_i = sqrt(r₁ / r₂), r₁
/// being the largest magnitude in row i of `first`, r₂ that in column i of `second`. `first`'s bias is divided by s
/// too. 1 where a range is 0.
std::vector<float> equalizationScales(MatrixView first, MatrixView second);

/// Multiplies the rows, or columns, of a matrix with `rows` x `columns` values by one scale each.
void scaleRows(std::vector<float> &matrix, int64_t columns, const std::vector<float> &scales, bool divide);
void scaleColumns(std::vector<float> &matrix, const std::vector<float> &scales, bool divide);

/// Bias correction (section 4.2, equation 16): what to add to the bias so that quantized weights keep the outputs'
/// means: (W - Q) E[x]. `mean`: of the input, by column.
std::vector<float> biasCorrection(MatrixView weights, const std::vector<float> &quantized,
                                  const std::vector<double> &mean);

} // namespace qcc
