// Convolutions of any element types.
#pragma once

#include "Planes.h"

namespace qcc {

/// y(n, m, o) = sum over c and k of x(n, g * C + c, o * stride + k * dilation - before) * w(m, c, k), where g is the
/// group of output channel m and C the number of input channels of a group.
struct Convolution {
  mlir::Value input, weights;
  Dim groups;
  Window window;
  mlir::Type accumulator;
  /// Whether all windows lie within the input and step by one, so that it is read where it is.
  bool inPlace = false;
  /// What an element of the input and one of the weights of an output channel count as, as compute values of
  /// `accumulator`.
  std::function<mlir::Value(Kernel &, mlir::Value element)> read;
  std::function<mlir::Value(Kernel &, mlir::Value element, mlir::Value channel)> readWeight;
  /// Takes each finished sum once; `at` is its index in N x M x output.
  std::function<void(Kernel &, mlir::Value channel, const Index &at, mlir::Value sum)> store;

  /// The input, weights, groups, window and default readers of a node with operands `input` and `weights`.
  static mlir::FailureOr<Convolution> of(const Node &node, Dimensions &dims, unsigned input, unsigned weights,
                                         mlir::Type accumulator);
  /// N x M x output.
  llvm::SmallVector<Dim> resultDims() const;
};

/// Requires the channels of the input, the weights and the groups to fit together when the program runs.
void requireFit(Infer &infer, const Convolution &convolution, unsigned input, unsigned weights);

/// The same channel by channel, for groups of one input channel each.
void emitDepthwise(Lowering &lowering, llvm::StringRef name, const Convolution &convolution);
void emitConvolution(Lowering &lowering, llvm::StringRef name, const Convolution &convolution);

} // namespace qcc
