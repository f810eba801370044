// Scales moved from one convolution into the next, which changes no result.
#pragma once

#include "dialects/onnx/Onnx.h"
#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace qcc {

/// Convolutions of which the second alone reads what the first gives, as it is or through Relu: f(s x) = s f(x) for
/// every s > 0, so that each channel between them may have any scale.
struct ConvolutionPair {
  onnx::NodeOp first, second;
  int64_t channels; // between them
};
llvm::SmallVector<ConvolutionPair> convolutionPairs(mlir::ModuleOp module);

/// Multiplies the second's weights by a scale for each channel that it reads, and divides the first's weights and bias.
void scaleBetween(const ConvolutionPair &pair, const std::vector<float> &scales);

/// Cross-layer equalization of a chain of pairs, over and over until the ranges of weights are equal.
void equalizePairs(llvm::ArrayRef<ConvolutionPair> pairs);

/// The scales by which SmoothQuant moves the ranges of activations, the largest magnitude in each channel that the
/// second reads, into its weights. Where each channel has output channels of its own, their scales take all of it.
std::vector<float> smoothingOf(const ConvolutionPair &pair, const std::vector<float> &maxInput,
                               std::optional<double> alpha);

} // namespace qcc
